/**
 * near.ts - the word that was meant by one that is none: as in asm-core/cli/near.c.
 */

/** Letters that differ at most, and the longest words that are compared. */
const NEAR = 2;
const LONGEST = 40;

/** How many letters make one word of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (const letter of a) {
    const next = [(row[0] ?? 0) + 1];
    for (let n = 1; n <= b.length; n++) {
      const changed = (row[n - 1] ?? 0) + (letter === b[n - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[n] ?? 0) + 1, (next[n - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The nearest of the names, undefined when none is near. */
export function nearest(
  word: string,
  names: readonly string[],
): string | undefined {
  let best = NEAR + 1;
  let found: string | undefined;
  for (const name of names) {
    if (Math.max(word.length, name.length) > LONGEST) continue;
    const d = distance(word, name);
    if (d < best && word.length > 2 * d) {
      best = d;
      found = name;
    }
  }
  return found;
}

/** What stands behind a complaint. */
export const question = (meant: string | undefined): string =>
  meant === undefined ? '' : `; did you mean '${meant}'?`;
