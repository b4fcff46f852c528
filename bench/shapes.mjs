// Programs that are large in one way: { name, size, make(n) } makes the C with n of something. What
// machines write looks like this, and what is quadratic in a
// compiler shows. Typedefs end at 500 of each other.
const repeat = (n, line) =>
  Array.from({ length: n }, (_, i) => line(i)).join('');

const HEAD = `typedef unsigned int u32; typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))
static u64 (*const now)(void) = (void *)5;
`;
const program = (body) =>
  `${HEAD}SEC("socket") int prog(u64 *ctx) { ${body} }\n`;

/** What a line of a long function may be. */
const lines = [
  (i) => `a += b * ${(i % 97) + 2};\n`,
  (i) => `if (a > ${i}) b ^= a >> ${(i % 31) + 1};\n`,
  (i) => `c += now() & ${i};\n`,
  () => 'b = b * 3 + c;\n',
];

const table = {
  'a function of 10,000 lines': [
    10000,
    (n) =>
      program(
        `u64 a = ctx[0], b = ctx[1], c = 3; ${repeat(n, (i) => lines[i % 4](i))} return a + b + c;`,
      ),
  ],
  '3,000 conditions with calls': [
    3000,
    (n) =>
      program(
        `u64 a = ctx[0], r = 0; ${repeat(n, (i) => `if (a & ${1 << (i % 30)}) { r += ${i}; if (now() == ${i}) r ^= a; }\n`)} return r;`,
      ),
  ],
  '1,000 loops': [
    1000,
    (n) =>
      program(
        `u64 r = 0; ${repeat(n, (i) => `for (u32 i = 0; i < ${(i % 100) + 50}; i++) r += i * ctx[0];\n`)} return r;`,
      ),
  ],
  'a switch of 5,000 cases': [
    5000,
    (n) =>
      program(
        `u64 r = 0; switch (ctx[0]) { ${repeat(n, (i) => `case ${i * 3}: r += ${(i * 17) % 1013}; break;\n`)} } return r;`,
      ),
  ],
  '3,000 small functions, inlined': [
    3000,
    (n) =>
      `${HEAD}${repeat(n, (i) => `static __attribute__((always_inline)) u64 f${i}(u64 x) { return x * ${i} + now(); }\n`)} SEC("socket") int prog(u64 *ctx) { u64 r = ctx[0]; ${repeat(n, (i) => `r = f${i}(r);\n`)} return r; }`,
  ],
  '50,000 macros': [
    50000,
    (n) =>
      `${repeat(n, (i) => `#define M${i}(x) ((x) + ${i})\n`)}${repeat(n / 25, (i) => `int f${i}[M${i * 25}(1)];\n`)}`,
  ],
  'a macro of 20,000 joined lines': [
    20000,
    (n) => `#define M \\\n${repeat(n, (i) => `int a${i};\\\n`)}\nM\n`,
  ],
  'a struct of 32,000 members': [
    32000,
    (n) =>
      `struct s { ${repeat(n, (i) => `int m${i};\n`)} } x; ${repeat(2000, (i) => `int *p${i} = &x.m${n - 1 - i};\n`)}`,
  ],
  '16,000 initialised members': [
    16000,
    (n) =>
      `struct s { ${repeat(n, (i) => `int m${i};\n`)} } x = { ${repeat(n, (i) => `.m${i} = ${i},\n`)} };`,
  ],
  '16,000 anonymous members': [
    16000,
    (n) =>
      `struct s { ${repeat(n, (i) => `struct { int m${i}; };\n`)} } x; ${repeat(2000, (i) => `int *p${i} = &x.m${n - 1 - i};\n`)}`,
  ],
  '240 typedefs of each other': [
    240,
    (n) =>
      `typedef int t0;\n${repeat(n, (i) => `typedef t${i} t${i + 1}; int f${i}(t${i + 1});\n`)}`,
  ],
  '20,000 records that point to each other': [
    20000,
    (n) =>
      repeat(
        n,
        (i) =>
          `struct s${i} { int a; struct s${i ? i - 1 : 0} *next; } x${i};\n`,
      ),
  ],
  '20,000 string literals': [
    20000,
    (n) => `const char *a[] = { ${repeat(n, (i) => `"string ${i}",\n`)} };`,
  ],
  '10,000 globals': [
    10000,
    (n) =>
      `${HEAD}${repeat(n, (i) => `int g${i} = ${i};\n`)} SEC("socket") int prog(void *ctx) { return g${n - 1}; }`,
  ],
  '10,000 externs of the kernel': [
    10000,
    (n) =>
      `${HEAD}${repeat(n, (i) => `extern int e${i} SEC(".ksyms");\n`)} SEC("socket") int prog(void *ctx) { u64 s = 0; ${repeat(n, (i) => `s += (u64)&e${i};\n`)} return s; }`,
  ],
  'an array of 50,000 values': [
    50000,
    (n) => `int a[] = { ${repeat(n, (i) => `${i},`)} };`,
  ],
  '20,000 pragmas': [
    20000,
    (n) =>
      repeat(
        n,
        (i) => `#pragma GCC diagnostic ignored "-Wunused"\nint a${i};\n`,
      ),
  ],
  '5,000 lines of assembly': [
    5000,
    (n) =>
      program(
        `u64 a = ctx[0]; ${repeat(n, (i) => `asm volatile("%0 += ${i}" : "+r"(a));\n`)} return a;`,
      ),
  ],
};

export const shapes = Object.entries(table).map(([name, [size, make]]) => ({
  name,
  size,
  make,
}));
