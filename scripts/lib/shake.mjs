// What of a preprocessed C unit its programs need: the declarations that are reached from those that
// have a section. A selftest with vmlinux.h is three megabytes of C; what it needs of them is some
// hundred lines, which a fuzzer can take as a seed.

/** The declarations of the file scope, each a text that ends in ; or }. */
function split(text) {
  const parts = [];
  let depth = 0;
  let from = 0;
  const token = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[{}();]/g;
  for (let found; (found = token.exec(text));) {
    const [at] = found;
    if (at === '{' || at === '(') depth++;
    if (at === '}' || at === ')') depth--;
    const body =
      at === '}' && /\)[^;={]*\{/.test(text.slice(from, token.lastIndex));
    if (depth > 0 || !(at === ';' || (body && depth === 0))) continue;
    parts.push(text.slice(from, token.lastIndex).trim());
    from = token.lastIndex;
  }
  return parts;
}

const isRoot = (part) => /\bsection\s*\(/.test(part);
const isCode = (part) => /\}$/.test(part);
const isType = (part) =>
  /^(typedef|struct|union|enum)\b/.test(part) && !isCode(part);

/** The names that a declaration gives a meaning; records as "struct name". */
function namesOf(part) {
  const names = [];
  for (const [, kind, tag] of part.matchAll(
    /\b(struct|union|enum)\s+(\w+)\s*(?:__attribute__\s*\(\(.*?\)\)\s*)?\{/g,
  ))
    names.push(`${kind} ${tag}`);
  for (const [, list] of part.matchAll(/\benum\b[^{};]*\{([^}]*)\}/g))
    for (const [, name] of list.matchAll(/(\w+)\s*(?:=[^,]*)?(?:,|$)/g))
      names.push(name);
  if (/^typedef\b/.test(part)) {
    const bare = part.replace(/__attribute__\s*\(\(.*?\)\)/g, '');
    const name =
      /\(\s*\*\s*(\w+)\s*\)/.exec(bare) ??
      /(\w+)\s*(?:\[[^\]]*\]\s*)*;$/.exec(bare);
    if (name) names.push(name[1]);
  } else if (!isType(part) || /\}\s*\w+[^;]*;$/.test(part)) {
    const head = part
      .replace(/__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)/g, ' ')
      .replace(/^(\w+\s+)*(struct|union|enum)\b[^{}();=]*\{[^]*\}/, ' ')
      .replace(/[={][^]*/, '');
    const name =
      /\(\s*\*\s*(?:const\s+)?(\w+)/.exec(head) ??
      /(\w+)\s*(?:[[(;]|$)/.exec(head.trim());
    if (name) names.push(name[1]);
  }
  return names;
}

/** What a declaration needs: of a type, not what it only points to. */
function needsOf(part) {
  const needs = new Set();
  const word =
    /\b(struct|union|enum)\s+(\w+)(\s*\*)?|(?<![.>]\s*)\b([A-Za-z_]\w*)\b/g;
  for (const [, kind, tag, pointer, name] of part.matchAll(word)) {
    if (kind && !(pointer && isType(part))) needs.add(`${kind} ${tag}`);
    else if (name) needs.add(name);
  }
  return needs;
}

/** The declarations that those with a section need, in their order. */
function reached(parts) {
  const givers = new Map();
  parts.forEach((part, i) => {
    for (const name of namesOf(part)) {
      if (!givers.has(name)) givers.set(name, []);
      givers.get(name).push(i);
    }
  });
  const kept = new Set();
  const todo = parts.flatMap((part, i) => (isRoot(part) ? [i] : []));
  while (todo.length > 0) {
    const i = todo.pop();
    if (kept.has(i)) continue;
    kept.add(i);
    for (const name of needsOf(parts[i]))
      todo.push(...(givers.get(name) ?? []));
  }
  return parts.filter((part, i) => kept.has(i));
}

/**
 * A small unit with the programs of a preprocessed one, or null; `compiles(text)` resolves to
 * whether a text compiles. What names say is needed is tried without: first half of it, at last
 * single declarations.
 */
export async function shake(text, compiles) {
  const whole = (parts) => `${parts.join('\n')}\n`;
  let parts = reached(split(text.replace(/^#.*$/gm, '')));
  if (!parts.some(isRoot) || !(await compiles(whole(parts)))) return null;
  for (let size = parts.length >> 1; size > 0; size >>= 1)
    for (let at = 0; at < parts.length; at += size) {
      const less = parts.filter(
        (part, i) => i < at || i >= at + size || isRoot(part),
      );
      if (less.length === parts.length || !(await compiles(whole(less))))
        continue;
      parts = less;
      at -= size;
    }
  return whole(parts);
}
