/**
 * options.ts - options by name. One that is misspelt would have no effect, and nobody would know: it is
 * refused, with the one that may have been meant. Each type of options has one list of its names, which
 * the compiler keeps complete.
 */
import { nearest, question } from './near';

type Words<S extends string> = S extends `${infer First} ${infer Rest}`
  ? First | Words<Rest>
  : S;

/** Of all members of a union. */
type Keys<T> = T extends unknown ? keyof T & string : never;

/** Lines of words that are all names of T; else what is missing or too much. */
type Complete<T, L extends readonly string[]> = [Keys<T>] extends [
  Words<L[number]>,
]
  ? [Words<L[number]>] extends [Keys<T>]
    ? L
    : readonly { unknown: Exclude<Words<L[number]>, Keys<T>> }[]
  : readonly { missing: Exclude<Keys<T>, Words<L[number]>> }[];

/** The names of T in lines of words: namesOf<{ a?: 1; b?: 2; c?: 3 }>()('a b', 'c'). */
export const namesOf =
  <T>() =>
  <const L extends readonly string[]>(
    ...lines: Complete<T, L> & L
  ): readonly string[] =>
    lines.flatMap((line) => line.split(' '));

/** What stands behind "there is no 'name'": what was meant, or all that there are. */
export const insteadOf = (name: string, names: readonly string[]): string =>
  question(nearest(name, names)) || `; it has ${names.join(', ') || 'none'}`;

/** of[name] of a null-prototype record, which must be there. */
export function named<T>(
  of: Readonly<Record<string, T>>,
  name: string,
  what: string,
): T {
  const found = of[name];
  if (found !== undefined) return found;
  throw new TypeError(
    `the object has no ${what} '${name}'${insteadOf(name, Object.keys(of))}`,
  );
}

/** Throws TypeError for an option that is none of these; `what` takes them. */
export function checkNames(
  what: string,
  given: object,
  names: readonly string[],
): void {
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`${what} takes its options as an object`);
  }
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    throw new TypeError(
      `${what} has no option '${name}'${insteadOf(name, names)}`,
    );
  }
}
