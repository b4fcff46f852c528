// C files made wrong as people make them wrong: a token is missing, there twice or another one, a
// name is misspelt, an argument, a declaration or an #include is gone. All by the numbers of a seed,
// so that a mutant is { file, kind, seed } and can be made again.

/** Numbers from a seed (mulberry32): next(n) is one of 0 … n - 1. */
export function randomOf(seed) {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n) | 0;
  };
}

const KEYWORDS = new Set(
  `asm auto break case char const continue default do double else enum extern float for goto if
   inline int long register restrict return short signed sizeof static struct switch typedef typeof
   union unsigned void volatile while _Bool __attribute__ __asm__ __volatile__ __inline __inline__
   __builtin_offsetof defined`.split(/\s+/),
);
const TYPE_WORDS = /^(int|char|long|short|unsigned|void|bool|_Bool)$/;
const TYPE_NAMES =
  /^(__)?[usb](8|16|32|64)$|^__(be|le)\d+$|_t$|^[us]?int\d+_t$/;

const TOKEN =
  /\/\/(?:\\\n|[^\n])*|\/\*[^]*?\*\/|^[ \t]*#(?:\\\r?\n|[^\n])*|[A-Za-z_$][\w$]*|\.?\d(?:[eEpP][+-]|[\w.])*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|[<>=!+\-*/%&|^]=|&&|\|\||##|[^\s\w]/gm;

/** The tokens of a C text but for its comments: { kind, text, at, end }; directives are one token. */
export function tokensOf(text) {
  const tokens = [];
  for (const { 0: word, index } of text.matchAll(TOKEN)) {
    if (word.startsWith('//') || word.startsWith('/*')) continue;
    const kind = /^[ \t]*#/.test(word)
      ? 'directive'
      : /^[A-Za-z_$]/.test(word)
        ? 'name'
        : /^\.?\d/.test(word)
          ? 'number'
          : /^["']/.test(word)
            ? 'literal'
            : 'punctuator';
    tokens.push({ kind, text: word, at: index, end: index + word.length });
  }
  return tokens;
}

/** Where the bracket that opens at `n` closes, or -1. */
function closeOf(tokens, n) {
  let depth = 0;
  for (let at = n; at < tokens.length; at += 1) {
    if ('([{'.includes(tokens[at].text)) depth += 1;
    if (')]}'.includes(tokens[at].text) && (depth -= 1) === 0) return at;
  }
  return -1;
}

/** A name with one or two letters changed as fingers do it. */
function misspelt(name, next) {
  const at = next(name.length);
  const letter = 'etaoinshrdlu'[next(12)];
  const forms = [
    name.slice(0, at) + name.slice(at + 1),
    name.slice(0, at) + name[at] + name.slice(at),
    name.slice(0, at) + letter + name.slice(at + 1),
    at + 1 < name.length
      ? name.slice(0, at) + name[at + 1] + name[at] + name.slice(at + 2)
      : `${name}s`,
  ];
  const form = forms[next(4)];
  return /^[A-Za-z_]/.test(form) && form !== name ? form : `${name}${letter}`;
}

const punctuator = (text) => (tokens) =>
  tokens.filter((token) => token.kind === 'punctuator' && token.text === text);
const drop = (token) => ({ at: token.at, end: token.end, text: '' });
const twice = (token) => ({
  at: token.end,
  end: token.end,
  text: ` ${token.text}`,
});
const to = (token, text) => ({ at: token.at, end: token.end, text });
const isName = ({ kind, text }) => kind === 'name' && !KEYWORDS.has(text);
const code = (tokens) => tokens.filter(({ kind }) => kind !== 'directive');
const isMember = (tokens, n) => ['.', '->'].includes(tokens[n - 1]?.text);

/** Each kind: what in the tokens it can be done to, and the edit { at, end, text } that does it. */
const KINDS = {
  'drop ;': [punctuator(';'), drop],
  'drop )': [punctuator(')'), drop],
  'drop (': [punctuator('('), drop],
  'drop }': [punctuator('}'), drop],
  'drop {': [punctuator('{'), drop],
  'drop ,': [punctuator(','), drop],
  'double )': [punctuator(')'), twice],
  'double }': [punctuator('}'), twice],
  'double ;': [punctuator(';'), twice],
  'misspell a name': [
    (tokens) => tokens.filter(isName),
    (token, next) => to(token, misspelt(token.text, next)),
  ],
  'misspell a type': [
    (tokens) =>
      tokens.filter(
        (token, n) =>
          token.kind === 'name' &&
          (TYPE_NAMES.test(token.text) ||
            TYPE_WORDS.test(token.text) ||
            ['struct', 'enum', 'union'].includes(tokens[n - 1]?.text)),
      ),
    (token, next) => to(token, misspelt(token.text, next)),
  ],
  'misspell a keyword': [
    (tokens) => tokens.filter(({ text }) => KEYWORDS.has(text)),
    (token, next) => to(token, misspelt(token.text, next)),
  ],
  'wrong member': [
    (tokens) =>
      tokens.filter((token, n) => isName(token) && isMember(tokens, n)),
    (token, next) =>
      to(token, next(2) ? misspelt(token.text, next) : 'no_such_member'),
  ],
  'undeclared name': [
    (tokens) =>
      tokens.filter((token, n) => isName(token) && !isMember(tokens, n)),
    (token) => to(token, 'undeclared_name'),
  ],
  'drop an argument': [
    (tokens) =>
      tokens.flatMap((token, n) => {
        if (token.text !== '(' || !isName(tokens[n - 1] ?? {})) return [];
        const close = closeOf(tokens, n);
        return close > n + 1 ? [{ list: tokens.slice(n, close + 1) }] : [];
      }),
    ({ list }, next) => {
      const ends = [list[0]];
      let depth = 0;
      for (const token of list) {
        if ('([{'.includes(token.text)) depth += 1;
        if (')]}'.includes(token.text)) depth -= 1;
        if (depth === 1 && token.text === ',') ends.push(token);
      }
      ends.push(list.at(-1));
      const n = next(ends.length - 1);
      const last = n === ends.length - 2;
      // With the ',' behind it, or the one in front of the last.
      return last && n > 0
        ? { at: ends[n].at, end: ends[n + 1].at, text: '' }
        : {
            at: ends[n].end,
            end: last ? ends[n + 1].at : ends[n + 1].end,
            text: '',
          };
    },
  ],
  'drop an #include': [
    (tokens) => tokens.filter(({ text }) => /^\s*#\s*include\b/.test(text)),
    drop,
  ],
  'misspell a directive': [
    (tokens) =>
      tokens.filter(({ text }) =>
        /^\s*#\s*(include|define|if|endif|else)/.test(text),
      ),
    (token, next) =>
      to(
        token,
        token.text.replace(/[a-z]+/, (word) => misspelt(word, next)),
      ),
  ],
  'misspell a header': [
    (tokens) =>
      tokens.filter(({ text }) => /^\s*#\s*include\s*["<]/.test(text)),
    (token, next) =>
      to(
        token,
        token.text.replace(/\w+(?=\.h)/, (word) => misspelt(word, next)),
      ),
  ],
  'drop a declaration': [
    (tokens) =>
      code(tokens).flatMap((token, n, all) => {
        const before = all[n - 1]?.text ?? ';';
        const starts = ';{}'.includes(before) && token.kind === 'name';
        if (
          !starts ||
          !(all[n + 1]?.kind === 'name' || all[n + 1]?.text === '*')
        )
          return [];
        if (['return', 'goto', 'case', 'else', 'asm'].includes(token.text))
          return [];
        let end = n;
        while (end < all.length && all[end].text !== ';') {
          if ('([{'.includes(all[end].text))
            end = Math.max(end, closeOf(all, end));
          // A function's body ends it.
          if (
            all[end].text === '}' &&
            all[end + 1]?.kind === 'name' &&
            /\)$/.test(all[end - 1].text)
          )
            break;
          end += 1;
        }
        return end < all.length ? [{ at: token.at, end: all[end].end }] : [];
      }),
    drop,
  ],
  'drop struct': [
    (tokens) => tokens.filter(({ text }) => /^(struct|enum|union)$/.test(text)),
    drop,
  ],
  '. for ->': [punctuator('->'), (token) => to(token, '.')],
  '-> for .': [punctuator('.'), (token) => to(token, '->')],
  '= for ==': [punctuator('=='), (token) => to(token, '=')],
  'drop * or &': [
    (tokens) => tokens.filter(({ text }) => text === '*' || text === '&'),
    drop,
  ],
  'drop a token': [code, drop],
  'double a token': [code, twice],
  'replace a token': [
    (tokens) => code(tokens).map((token, n, all) => ({ token, all })),
    ({ token, all }, next) => to(token, all[next(all.length)].text),
  ],
};

export const kinds = Object.keys(KINDS);

/** The text with one mistake of a kind; null where it has nothing that this can be made of. */
export function mutantOf(text, kind, seed) {
  const next = randomOf(seed);
  const [places, edit] = KINDS[kind];
  const all = places(tokensOf(text));
  if (all.length === 0) return null;
  const { at, end, text: put } = edit(all[next(all.length)], next);
  // A token that is put where another one was must not grow together with its neighbours.
  return text.slice(0, at) + (put || ' ') + text.slice(end);
}
