/**
 * Texts without measure end in an error, soon, natively and in wasm, whose stack is a megabyte:
 * what nests, what is long, what includes or expands itself, and megabytes of nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { compile, CompileError, EngineError } from 'bpf';
import { absent, bpfc, describeUnless, nativeCli } from '../support';

const DEEP = 20_000;
const LONG = 2_000_000;
/** CPU seconds; a second is what it should be, on a machine that does nothing else. */
const SECONDS = 5;

const nested = (open: string, inner: string, close: string, depth = DEEP) =>
  open.repeat(depth) + inner + close.repeat(depth);
const chain = (count: number, one: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => one(n)).join('');
const body = (text: string) =>
  `int g(int); int f(int a, int *p) { ${text}; return a; }\n`;
const value = (text: string) => body(`a = ${text}`);

const LEVELS = /nested deeper than \d+ levels/;
const MEMORY = /memory/;

/** [what, its text, what is said about it] */
const WRONG: readonly (readonly [string, string, RegExp])[] = [
  // expressions
  ['parentheses', value(nested('(', 'a', ')')), LEVELS],
  ['operators before', value(nested('-~!', 'a', '')), LEVELS],
  ['casts', value(nested('(char)', 'a', '')), LEVELS],
  ['sizeof', value(nested('sizeof ', 'a', '')), LEVELS],
  ['typeof', `int x; ${nested('typeof(', 'x', ')')} y;`, LEVELS],
  ['indices', value(nested('p[', '0', ']')), LEVELS],
  ['calls', value(nested('g(', 'a', ')')), LEVELS],
  ['assignments', value(nested('a = ', 'a', '')), LEVELS],
  ['conditions', value(nested('a ? 1 : ', 'a', '')), LEVELS],
  ['conditions inside', value(nested('a ? ', 'a', ' : 1')), LEVELS],
  ['a sum', value(nested('a + ', 'a', '')), LEVELS],
  [
    'sums of sums',
    value(nested('(', 'a', `${' + a'.repeat(900)})`, 9)),
    LEVELS,
  ],
  [
    'members',
    `struct s { struct s *n; } *f(struct s *p) { return p${'->n'.repeat(DEEP)}; }`,
    LEVELS,
  ],
  ['statements in expressions', value(nested('({', '1', ';})')), LEVELS],
  ['_Generic', value(nested('_Generic(1, int: ', '1', ')')), LEVELS],
  ['commas', body(nested('a, ', 'a', '')), LEVELS],
  // statements
  ['blocks', body(nested('{', ';', '}')), LEVELS],
  ['if', body(nested('if (a) ', ';', '')), LEVELS],
  ['else', body(chain(DEEP, (n) => `if (a == ${n}) a++; else `)), LEVELS],
  ['loops', body(nested('while (a--) ', ';', '')), LEVELS],
  ['switch', body(nested('switch (a) case 1: ', ';', '')), LEVELS],
  ['labels', body(chain(DEEP, (n) => `l${n}: `)), LEVELS],
  // types and initializers
  ['pointers', `int ${'*'.repeat(DEEP)} x;`, LEVELS],
  ['arrays', `int x${'[1]'.repeat(DEEP)};`, LEVELS],
  ['declarators', `int ${nested('(*', 'x', ')(void)')};`, LEVELS],
  ['parameters', `int f(${nested('int (', 'int', ')')});`, LEVELS],
  ['records', nested('struct { ', 'int a;', ' } x;'), LEVELS],
  [
    'arrays by typedef',
    `typedef int t0;${chain(DEEP, (n) => `typedef t${n} t${n + 1}[1];`)}`,
    LEVELS,
  ],
  [
    'pointers by typeof',
    `int x0;${chain(DEEP, (n) => `typeof(&x${n}) x${n + 1};`)}`,
    LEVELS,
  ],
  ['initializers', `int x[1] = ${nested('{', '1', '}')};`, LEVELS],
  // macros, conditions and files
  [
    'uses in uses',
    `#define M(x) x\nint x = ${nested('M(', '1', ')')};\n`,
    MEMORY,
  ],
  [
    'a macro that doubles',
    `#define a0 1 + 1\n${chain(64, (n) => `#define a${n + 1} a${n} + a${n}\n`)}int x = a64;\n`,
    MEMORY,
  ],
  ['#if with parentheses', `#if ${nested('(', '1', ')')}\n#endif\n`, MEMORY],
  ['#if without an end', '#if 1\n'.repeat(DEEP), /has no #endif/],
  ['a file that includes itself', '#include "own.c"\n', /#include nested/],
  // inline assembly
  [
    'an operand of assembly',
    body(`asm volatile("r0 = ${nested('(', '1', ')')}")`),
    /nested deeper/,
  ],
  [
    'a macro of assembly',
    body('asm volatile(".macro m\\nm\\n.endm\\nm")'),
    /nest deeper/,
  ],
  [
    'repeated assembly',
    body('asm volatile(".rept 100000000\\nr0 = 1\\n.endr")'),
    /bytes of text/,
  ],
  // much of nothing
  ['open parentheses', '('.repeat(LONG), /expected/],
  ['open braces', '{'.repeat(LONG), /expected/],
  ['stars', `int ${'*'.repeat(LONG)}`, LEVELS],
  ['numbers of directives', '#'.repeat(LONG), /expected/],
  ['quotes', '"'.repeat(LONG), /expected/],
  ['words', 'x '.repeat(LONG), /expected/],
  ['an open comment', `/*${'a'.repeat(5 * LONG)}`, /comment has no end/],
  [
    'any bytes',
    chain(LONG, (n) =>
      String.fromCharCode(Math.imul(n + 7, 0x9e3779b1) >>> 25),
    ),
    /error|expected|unknown/,
  ],
];

/** [what, its text]: long and deep, and right. */
const RIGHT: readonly (readonly [string, string])[] = [
  ['a sum', value(nested('a + ', 'a', '', 1900))],
  ['else', body(chain(1900, (n) => `if (a == ${n}) a += ${n}; else `))],
  [
    'members',
    `struct s { struct s *n; } *f(struct s *p) { return p${'->n'.repeat(950)}; }`,
  ],
  [
    'records in records',
    `struct s0 { int a; };${chain(5000, (n) => `struct s${n + 1} { struct s${n} m; };`)}struct s5000 x, y; void f(void) { x = y; }`,
  ],
  [
    'a list of variables',
    `struct s { struct s *n; };${chain(5000, (n) => `extern struct s v${n + 1}; struct s v${n} = {&v${n + 1}};`)}struct s v5000;`,
  ],
  ['numbers', `int x[] = {${'1 + 1,'.repeat(DEEP)}};`],
  ['semicolons', ';'.repeat(LONG)],
];

describe('in wasm', () => {
  const cpu = (work: () => void) => {
    const start = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1e6).toBeLessThan(SECONDS);
  };

  test.each(WRONG)('%s end in an error', (_, text, said) => {
    cpu(() => {
      let error: unknown;
      try {
        compile(text, {
          filename: 'own.c',
          headers: { 'own.c': text },
          btf: false,
          warnings: ['none'],
        });
      } catch (thrown) {
        error = thrown;
      }
      const refused =
        said === MEMORY
          ? error instanceof EngineError
          : error instanceof CompileError;
      expect(refused ? '' : String(error)).toBe('');
      expect(String(error)).toMatch(said);
    });
  });

  test.each(RIGHT)('%s compile', (_, text) => {
    cpu(() => {
      compile(text, { btf: false, warnings: ['none'] });
    });
  });
});

describeUnless(absent(nativeCli), 'natively', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'bpf-limits-'));
  });
  afterAll(() => {
    rmSync(dir, { recursive: true });
  });
  const cc = (text: string) => {
    const file = join(dir, 'own.c');
    writeFileSync(file, text);
    return bpfc('cc', '-w', '-nostdinc', file, '-o', join(dir, 'own.o'));
  };

  test.each(WRONG)('%s end in an error', (_, text, said) => {
    const { status, stderr } = cc(text);
    expect(status).toBe(1);
    expect(stderr).toMatch(said);
  });

  test.each(RIGHT)('%s compile', (_, text) => {
    expect(cc(text)).toMatchObject({ status: 0, stderr: '' });
  });
});
