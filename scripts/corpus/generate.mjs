// Random C programs about what BPF code does and csmith does not: bit-fields, packed structs and
// unions, every integer type in every assignment, narrow and wide mixed, switches, copies of structs
// and arrays, memory built-ins, pointers into arrays and to variables, atomics, signed division by
// powers of two, calls with narrow arguments and with pointers, callbacks of bpf_loop, inline
// assembly. The same seed gives the same text everywhere.
//
// A program has one entry, SEC("syscall"), that reads 32 words of input and gives a checksum of all
// that it computed; with -DNATIVE it is a program that prints the checksums of the loader's inputs
// (test/corpus/run.c), run one after another, then of each input alone. Nothing in it is undefined:
// signed arithmetic wraps in the unsigned type, shifts and indices are masked, divisors are odd,
// nothing with an effect stands in an expression. Loops and stacks are small, so that the verifier
// accepts most of them.

const HEAD = `typedef unsigned char u8;
typedef signed char s8;
typedef unsigned short u16;
typedef short s16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;
#ifdef NATIVE
#include <stdio.h>
#include <unistd.h>
#include <sys/wait.h>
#define SEC(name)
#else
#define SEC(name) __attribute__((section(name), used))
char _license[] SEC("license") = "GPL";
#endif
#define noinline __attribute__((noinline))
#define always_inline inline __attribute__((always_inline))
struct input { u64 words[32]; };
#ifdef NATIVE
static long bpf_loop(u32 count, void *callback, void *context, u64 flags) {
    long n = 0;
    (void)flags;
    while (n < count && !((long (*)(u64, void *))callback)(n, context))
        n++;
    return n < count ? n + 1 : n;
}
#define asm_insn(name, text, sign) \\
    static always_inline u64 asm_##name(u64 a, u64 b) { return a sign b; }
#else
static long (*bpf_loop)(u32 count, void *callback, void *context, u64 flags) = (void *)181;
#define asm_insn(name, text, sign) \\
    static always_inline u64 asm_##name(u64 a, u64 b) { \\
        asm volatile(text : "+r"(a) : "ri"(b)); \\
        return a; \\
    }
#endif
asm_insn(add, "%0 += %1", +)
asm_insn(sub, "%0 -= %1", -)
asm_insn(xor, "%0 ^= %1", ^)
asm_insn(and, "%0 &= %1", &)
asm_insn(mul, "%0 *= %1", *)
static u64 sum;
static always_inline void mix(u64 value) {
    sum = (sum ^ value) * 0x100000001b3ull;
    sum ^= sum >> 29;
}
`;

const TAIL = `#ifdef NATIVE
static void fill(struct input *in, int index) {
    u8 *bytes = (u8 *)in;
    u32 state = (u32)index;
    for (int n = 0; n < 256; n++) {
        int low = n % 8 == 0;
        state = state * 1664525 + 1013904223;
        bytes[n] = (u8)(state >> 24);
        if (index == 0 || (index == 1 && !low) || (index == 2 && n % 8 > 2))
            bytes[n] = 0;
        else if (index == 1)
            bytes[n] = (u8)(n / 8 + 1);
    }
}
int main(void) {
    struct input in;
    for (int n = 0; n < 4; n++) {
        fflush(stdout);
        if (fork() == 0) {
            fill(&in, n);
            printf("alone %u\\n", (u32)entry(&in));
            return 0;
        }
        wait(0);
    }
    for (int n = 0; n < 4; n++) {
        fill(&in, n);
        printf("%u\\n", (u32)entry(&in));
    }
    return 0;
}
#endif
`;

const TYPES = ['u8', 's8', 'u16', 's16', 'u32', 's32', 'u64', 's64'];
const bitsOf = (type) => Number(type.slice(1));
const isSigned = (type) => type[0] === 's';
const unsigned = (type) => `u${bitsOf(type)}`;
const promoted = (type) => (bitsOf(type) < 32 ? 's32' : type);
/** The type that C computes in, for operands of these two. */
function common(a, b) {
  const [x, y] = [promoted(a), promoted(b)];
  if (bitsOf(x) !== bitsOf(y)) return bitsOf(x) > bitsOf(y) ? x : y;
  return isSigned(x) ? y : x;
}

function random(seed) {
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ 0x2545f491) >>> 0 || 1;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % n;
  };
}

/** The program of a seed. */
export function generate(seed) {
  const below = random(seed);
  for (let n = 0; n < 8; n++) below(2);
  const pick = (list) => list[below(list.length)];
  const chance = (percent) => below(100) < percent;
  let serial = 0;
  const name = (prefix) => `${prefix}${serial++}`;

  function literal(type) {
    const edge = [
      '0',
      '1',
      '2',
      '7',
      '0x7f',
      '0x80',
      '0xff',
      '0x100',
      '0x7fff',
    ];
    edge.push('0x8000', '0xffff', '0x10000', '0x7fffffff', '0x80000000u');
    edge.push('0xffffffffu', '0x100000000ull', '0x8000000000000000ull');
    const text = chance(60) ? pick(edge) : String(below(0x7fffffff));
    return `(${type})${text}`;
  }

  // ---- types ----

  const records = [];
  function makeRecord() {
    const packed = chance(30);
    const union = chance(25);
    const fields = [];
    for (let n = 2 + below(4); n > 0; n--) {
      const field = { name: name('f') };
      const kind = below(10);
      if (kind < 4) {
        field.type = pick(['u8', 'u16', 'u32', 's32', 's16', 'u64', 's8']);
        field.width = 1 + below(Math.min(bitsOf(field.type), 33));
      } else if (kind < 6) {
        field.type = pick(['u8', 'u16', 'u32', 's16']);
        field.length = pick([2, 4, 8]);
      } else field.type = pick(TYPES);
      fields.push(field);
    }
    const record = {
      tag: name(union ? 'union un' : 'struct st'),
      union,
      fields,
    };
    const lines = fields.map(
      ({ type, name: own, width, length }) =>
        `    ${type} ${own}${width ? ` : ${width}` : ''}${length ? `[${length}]` : ''};`,
    );
    record.text = `${record.tag} {\n${lines.join('\n')}\n}${packed ? ' __attribute__((packed))' : ''};\n`;
    records.push(record);
  }

  // ---- what can be read and assigned ----

  /** Places of a scope: { text, type, bits: whether it is a bit-field, fixed: whether not assigned }. */
  const fieldPlaces = (record, text) =>
    record.fields.map((field) => ({
      text: `${text}.${field.name}`,
      type: field.type,
      bits: field.width,
      length: field.length,
    }));
  const placesOf = (one) =>
    one.record
      ? fieldPlaces(one.record, one.count ? `${one.name}[@]` : one.name)
      : [
          {
            text: one.name,
            type: one.type,
            length: one.length,
            fixed: one.fixed,
          },
        ];

  /** A place, with its indices chosen within bounds. */
  function place(scope, { assigned = false } = {}) {
    const all = scope.filter((one) => !assigned || !one.fixed);
    const one = pick(all);
    const spot = { ...pick(placesOf(one)) };
    const index = (length) => {
      if (chance(40)) return String(below(length));
      const by = scope.filter((v) => !v.record && !v.length && !v.wide);
      return by.length > 0 ? `${pick(by).name} & ${length - 1}` : '0';
    };
    if (one.count) spot.text = spot.text.replace('@', index(one.count));
    if (spot.length) spot.text += `[${index(spot.length)}]`;
    return spot;
  }

  const cast = (type, text) => `(${type})(${text})`;

  function leaf(scope) {
    if (chance(25)) {
      const type = pick(TYPES);
      return { type, text: literal(type) };
    }
    const { text, type, bits } = place(scope);
    // Compilers do not agree on the type of a wide bit-field in an expression.
    return { type, text: bits ? cast(type, text) : text };
  }

  function binary(scope, depth) {
    const a = expression(scope, depth - 1);
    const b = expression(scope, depth - 1);
    const op = pick([
      '+',
      '-',
      '*',
      '&',
      '|',
      '^',
      '<<',
      '>>',
      '/',
      '%',
      '<',
      '==',
      '&&',
      '||',
      '>=',
      '!=',
    ]);
    if (['<', '==', '>=', '!=', '&&', '||'].includes(op))
      return { type: 's32', text: `(${a.text} ${op} ${b.text})` };
    const type = common(a.type, b.type);
    if (['&', '|', '^'].includes(op))
      return { type, text: `(${a.text} ${op} ${b.text})` };
    if (op === '<<' || op === '>>') {
      const own = promoted(a.type);
      const left = op === '<<' ? unsigned(own) : own;
      const count = `(${b.text} & ${bitsOf(own) - 1})`;
      return { type: left, text: `(${cast(left, a.text)} ${op} ${count})` };
    }
    const wide = unsigned(type);
    const [x, y] = [cast(wide, a.text), cast(wide, b.text)];
    if (op === '/' || op === '%')
      return { type: wide, text: `(${x} ${op} (${y} | 1))` };
    if (seed % 4 === 0 && isSigned(type) && chance(25)) {
      // v3 has none: at -O0 it is refused
      const by = pick([1, 2, 4, 8, 16, 256, -2, -8]);
      const one = pick(['/', '%']);
      return { type, text: `(${cast(type, a.text)} ${one} (${by}))` };
    }
    const small = bitsOf(a.type) < 32 && bitsOf(b.type) < 32 && op !== '*';
    if (small) return { type: 's32', text: `(${a.text} ${op} ${b.text})` };
    return { type, text: cast(type, `${x} ${op} ${y}`) };
  }

  function unary(scope, depth) {
    const a = expression(scope, depth - 1);
    const kind = below(9);
    const type = promoted(a.type);
    if (kind === 8) {
      const name = pick(['add', 'sub', 'xor', 'and', 'mul']);
      const by = chance(40)
        ? String(below(1000))
        : expression(scope, depth - 2).text;
      return {
        type: 'u64',
        text: `asm_${name}(${cast('u64', a.text)}, ${cast('u64', by)})`,
      };
    }
    if (kind === 0) return { type, text: `(~${a.text})` };
    if (kind === 1) return { type: 's32', text: `(!${a.text})` };
    if (kind === 2)
      return { type, text: cast(type, `0 - ${cast(unsigned(type), a.text)}`) };
    if (kind === 3) {
      const bits = pick([16, 32, 64]);
      return {
        type: `u${bits}`,
        text: `__builtin_bswap${bits}(${cast(`u${bits}`, a.text)})`,
      };
    }
    const to = pick(TYPES);
    return { type: to, text: cast(to, a.text) };
  }

  function expression(scope, depth) {
    if (depth <= 0 || chance(15)) return leaf(scope);
    const kind = below(10);
    if (kind < 6) return binary(scope, depth);
    if (kind < 9) return unary(scope, depth);
    const [c, a, b] = [0, 1, 2].map(() => expression(scope, depth - 1));
    return {
      type: common(a.type, b.type),
      text: `(${c.text} ? ${a.text} : ${b.text})`,
    };
  }

  // ---- statements ----

  const indent = (lines) => lines.map((line) => `    ${line}`);

  function assignment(scope) {
    const { text, type, bits } = place(scope, { assigned: true });
    const wide = bitsOf(type) === 64 ? 'u64' : 'u32';
    const value = expression(scope, 3).text;
    const op = pick([
      '',
      '',
      '',
      '+',
      '-',
      '*',
      '&',
      '|',
      '^',
      '/',
      '%',
      '<<',
      '>>',
      '++',
      '--',
    ]);
    if (op === '') return [`${text} = ${value};`];
    if (op === '++' || op === '--') {
      const safe = !isSigned(type) || bitsOf(type) < 32;
      return safe
        ? [chance(50) ? `${text}${op};` : `${op}${text};`]
        : [`${text} = 5;`];
    }
    if (op === '<<' || op === '>>') {
      const narrow =
        isSigned(type) && op === '<<'
          ? null
          : bits || bitsOf(type) < 32
            ? 7
            : bitsOf(type) - 1;
      return narrow
        ? [`${text} ${op}= ${value} & ${narrow};`]
        : [`${text} ^= ${value};`];
    }
    if (op === '/' || op === '%')
      return [`${text} ${op}= ${cast(wide, value)} | 1;`];
    return [`${text} ${op}= ${cast(wide, value)};`];
  }

  function branch(scope, depth) {
    const lines = [
      `if (${expression(scope, 2).text}) {`,
      ...indent(block(scope, depth - 1)),
    ];
    if (chance(50)) lines.push('} else {', ...indent(block(scope, depth - 1)));
    return [...lines, '}'];
  }

  function loop(scope, depth) {
    const i = name('i');
    const own = [...scope, { name: i, type: 'u32', fixed: true }];
    const trips = 2 + below(7);
    const body = indent(block(own, depth - 1, true));
    const out = chance(20)
      ? indent([
          `if (${expression(own, 1).text})`,
          `    ${pick(['break', 'continue'])};`,
        ])
      : [];
    const kind = below(3);
    if (kind === 0)
      return [
        `for (u32 ${i} = 0; ${i} < ${trips}; ${i}++) {`,
        ...out,
        ...body,
        '}',
      ];
    if (kind === 1)
      return [`for (u32 ${i} = ${trips}; ${i}-- > 0;) {`, ...out, ...body, '}'];
    return [
      '{',
      `    u32 ${i} = 0;`,
      '    do {',
      ...indent(body),
      `    } while (++${i} < ${trips});`,
      '}',
    ];
  }

  function choice(scope, depth) {
    const lines = [`switch (${cast('u32', expression(scope, 2).text)} & 15) {`];
    let next = 0;
    for (let n = 2 + below(5); n > 0 && next < 15; n--) {
      const last = chance(25) ? Math.min(next + 1 + below(3), 15) : next;
      lines.push(`case ${next}${last > next ? ` ... ${last}` : ''}:`);
      lines.push(
        ...indent(chance(30) ? assignment(scope) : block(scope, depth - 1)),
      );
      if (chance(75)) lines.push('    break;');
      next = last + 1 + below(3);
    }
    if (chance(60)) lines.push('default:', ...indent(assignment(scope)));
    return [...lines, '}'];
  }

  /** Copies, sets and compares whole structs and arrays. */
  function memory(scope) {
    const whole = scope.filter((one) => one.record && !one.fixed);
    if (whole.length === 0) return assignment(scope);
    const one = pick(whole);
    const spot = ({ name: own, count }) =>
      count ? `${own}[${below(count)}]` : own;
    const alike = whole.filter((other) => other.record === one.record);
    const [to, from] = [spot(one), spot(pick(alike))];
    const kind = below(6);
    const { tag } = one.record;
    if (kind === 0) return [`${to} = ${from};`];
    if (kind === 1)
      return to === from
        ? [`${to} = ${from};`]
        : [`__builtin_memcpy(&${to}, &${from}, sizeof(${tag}));`];
    if (kind === 2)
      return [
        `__builtin_memset(&${to}, ${pick([0, 0, 255, 0x5a])}, sizeof(${tag}));`,
      ];
    if (kind === 3) {
      const field = pick(one.record.fields);
      // What a literal leaves of a union is for the compiler to say.
      if (one.record.union)
        return [`__builtin_memset(&${to}, 0, sizeof(${tag}));`];
      if (field.length) return [`${to} = (${tag}){.${field.name} = {1, 2}};`];
      return [
        `${to} = (${tag}){.${field.name} = ${expression(scope, 2).text}};`,
      ];
    }
    const arrays = scope.filter(
      (v) => v.length && !v.record && v.type === 'u8',
    );
    if (arrays.length > 1 && kind === 4) {
      const [x, y] = [pick(arrays), pick(arrays)];
      const size = Math.min(x.length, y.length);
      return [`mix(__builtin_memcmp(${x.name}, ${y.name}, ${size}) != 0);`];
    }
    const copy = name('copy');
    const field = pick(one.record.fields);
    const read = `${copy}.${field.name}${field.length ? `[${below(field.length)}]` : ''}`;
    return [
      `{`,
      `    ${tag} ${copy} = ${from};`,
      `    ${to} = ${copy};`,
      `    mix((u64)${read});`,
      '}',
    ];
  }

  function pointer(scope) {
    const arrays = scope.filter((one) => one.length && !one.record);
    if (arrays.length === 0) return assignment(scope);
    const { name: own, type, length } = pick(arrays);
    const [p, n] = [name('p'), name('n')];
    const wide = bitsOf(type) === 64 ? 'u64' : 'u32';
    return [
      '{',
      `    ${type} *${p} = ${own};`,
      `    for (u32 ${n} = 0; ${n} < ${length}; ${n}++, ${p}++)`,
      `        *${p} ${pick(['+', '^', '-'])}= ${cast(wide, expression(scope, 1).text)};`,
      `    mix((u64)${p}[-1]);`,
      '}',
    ];
  }

  /** A walk over an array by an index of some type. */
  function walk(scope) {
    const arrays = scope.filter((one) => one.length && !one.record);
    if (arrays.length === 0) return assignment(scope);
    const { name: own, type, length } = pick(arrays);
    const n = name('n');
    const index = pick(['u8', 's8', 'u16', 's16', 'u32', 's32', 'u64']);
    const within = [...scope, { name: n, type: index, fixed: true }];
    const wide = bitsOf(type) === 64 ? 'u64' : 'u32';
    const value = cast(wide, expression(within, 2).text);
    const step = pick([1, 1, 2, 3]);
    const down = chance(30);
    const head = down
      ? `for (${index} ${n} = ${length}; ${n} > 0;) {`
      : `for (${index} ${n} = 0; ${n} < ${length}; ${n} += ${step}) {`;
    const lines = [head];
    if (down) lines.push(`    ${n}--;`);
    lines.push(
      `    ${own}[${n}] ${pick(['+', '^', '-', '|', '&'])}= ${value};`,
    );
    if (chance(30))
      lines.push(
        `    if (${own}[${n}] ${pick(['>', '==', '<'])} ${below(300)})`,
        `        ${pick(['break', 'continue'])};`,
      );
    if (chance(40))
      lines.push(
        `    ${own}[${n} & ${length - 1}] = ${own}[(${n} + 1) & ${length - 1}];`,
      );
    if (chance(50)) lines.push(`    mix((u64)${own}[${n} & ${length - 1}]);`);
    return [...lines, '}'];
  }

  const atomics = [];
  function atomic(scope) {
    const one = pick(atomics);
    const value = cast(one.type, expression(scope, 2).text);
    const op = pick([
      'fetch_and_add',
      'fetch_and_or',
      'fetch_and_xor',
      'fetch_and_and',
    ]);
    const old = cast(one.type, chance(50) ? one.name : literal(one.type));
    const kind = below(6);
    if (kind === 0)
      return [`mix(__sync_lock_test_and_set(&${one.name}, ${value}));`];
    if (kind === 1)
      return [
        `mix(__sync_val_compare_and_swap(&${one.name}, ${old}, ${value}));`,
      ];
    const call = `__sync_${op}(&${one.name}, ${value})`;
    return chance(50) ? [`${call};`] : [`mix(${call});`];
  }

  const functions = [];
  const changers = [];
  const callbacks = [];
  /** The address of a variable of the type, or null. */
  function addressOf(scope, type) {
    const all = scope.filter(
      (one) => one.type === type && !one.fixed && !one.record,
    );
    if (all.length === 0) return null;
    const one = pick(all);
    return one.length ? `&${one.name}[${below(one.length)}]` : `&${one.name}`;
  }
  function change(scope) {
    const one = changers.length > 0 ? pick(changers) : null;
    const place = one && addressOf(scope, one.type);
    const value = cast('u64', expression(scope, 2).text);
    return place
      ? [`mix((u64)${one.name}(${place}, ${value}));`]
      : assignment(scope);
  }
  function repeat(scope) {
    if (callbacks.length === 0) return assignment(scope);
    const { name: fn, context, fields } = pick(callbacks);
    const own = name('c');
    const values = fields.map(() => cast('u64', expression(scope, 2).text));
    return [
      '{',
      `    struct ${context} ${own} = {${values.join(', ')}};`,
      `    mix((u64)bpf_loop(${1 + below(6)}, ${fn}, &${own}, 0));`,
      ...fields.map((field) => `    mix(${own}.${field});`),
      '}',
    ];
  }
  function call(scope) {
    if (functions.length === 0) return assignment(scope);
    const one = pick(functions);
    const words = one.parameters.map((type) =>
      cast(type, expression(scope, 2).text),
    );
    return [`mix((u64)${one.name}(${words.join(', ')}));`];
  }

  function statement(scope, depth, inLoop) {
    const kind = below(24);
    if (kind === 20) return walk(scope);
    if (kind === 21) return change(scope);
    if (kind === 22 && !inLoop) return repeat(scope);
    if (kind === 23) return inLoop ? assignment(scope) : walk(scope);
    if (depth > 0 && kind < 3) return branch(scope, depth);
    if (depth > 0 && kind < 5 && !inLoop) return loop(scope, depth);
    if (depth > 0 && kind < 6) return choice(scope, depth);
    if (kind < 9) return memory(scope);
    if (kind === 9) return pointer(scope);
    if (kind === 10) return atomic(scope);
    if (kind < 13 && !inLoop) return call(scope);
    if (kind === 13) return [`mix((u64)${expression(scope, 3).text});`];
    return assignment(scope);
  }

  function block(scope, depth, inLoop = false) {
    const lines = [];
    for (let n = 1 + below(3); n > 0; n--)
      lines.push(...statement(scope, depth, inLoop));
    return lines;
  }

  // ---- functions and the whole ----

  function locals() {
    const made = [];
    const lines = [];
    for (let n = 2 + below(3); n > 0; n--) {
      const type = pick(TYPES);
      const one = { name: name('v'), type };
      made.push(one);
      lines.push(`${type} ${one.name} = ${literal(type)};`);
    }
    if (chance(70)) {
      const record = pick(records);
      const one = { name: name('r'), record };
      made.push(one);
      // All bytes, so that unions and copies are defined.
      lines.push(
        `${record.tag} ${one.name};`,
        `__builtin_memset(&${one.name}, 0, sizeof(${one.name}));`,
      );
    }
    if (chance(50)) {
      const type = pick(['u8', 'u8', 's16', 'u32']);
      const one = { name: name('a'), type, length: pick([4, 8]) };
      made.push(one);
      lines.push(
        `${type} ${one.name}[${one.length}] = {${below(100)}, ${below(100)}};`,
      );
    }
    return { made, lines };
  }

  function makeFunction(globals) {
    const parameters = Array.from({ length: 1 + below(5) }, () => pick(TYPES));
    const own = parameters.map((type) => ({ name: name('x'), type }));
    const { made, lines } = locals();
    const scope = [...globals, ...own, ...made, ...own, ...made];
    const result = pick(TYPES);
    const fn = name('fn');
    const list = own.map(({ type, name: it }) => `${type} ${it}`).join(', ');
    const how = pick([
      'static noinline',
      'static noinline',
      'static always_inline',
      'static',
    ]);
    const body = [];
    for (let n = 2 + below(4); n > 0; n--)
      body.push(...statement(scope, 2, false));
    const value = expression(scope, 2).text;
    functions.push({ name: fn, parameters });
    return `${how} ${result} ${fn}(${list}) {\n${indent([...lines, ...body, `return ${cast(result, value)};`]).join('\n')}\n}\n`;
  }

  /** A function that changes what a pointer leads to. */
  function makeChanger(globals) {
    const type = pick(TYPES);
    const fn = name('ch');
    const p = name('p');
    const by = { name: name('x'), type: 'u64' };
    const scope = [...globals, by, by];
    const wide = bitsOf(type) === 64 ? 'u64' : 'u32';
    const body = [
      `${type} old = *${p};`,
      ...statement(scope, 1, false),
      `*${p} ${pick(['', '+', '^', '-'])}= ${cast(wide, expression(scope, 2).text)};`,
      ...(chance(50) ? statement(scope, 1, false) : []),
      `return old ${pick(['+', '^'])} *${p};`,
    ];
    changers.push({ name: fn, type });
    const how = pick(['static noinline', 'static noinline', 'static']);
    return `${how} u64 ${fn}(${type} *${p}, u64 ${by.name}) {\n${indent(body).join('\n')}\n}\n`;
  }

  /** A callback of bpf_loop, which changes its context and sometimes stops. */
  function makeCallback(globals) {
    const context = name('context');
    const fn = name('cb');
    const fields = ['a', 'b'].slice(0, 1 + below(2));
    const own = fields.map((field) => ({ name: `c->${field}`, type: 'u64' }));
    const scope = [...globals, ...own, { name: 'i', type: 'u32', fixed: true }];
    const body = [
      ...statement(scope, 1, true),
      `c->a ${pick(['+', '^', '*'])}= ${cast('u64', expression(scope, 2).text)};`,
      chance(40)
        ? `return ${cast('u32', expression(scope, 1).text)} % 5 == 0;`
        : 'return 0;',
    ];
    callbacks.push({ name: fn, context, fields });
    const members = fields.map((field) => `u64 ${field};`).join(' ');
    return `struct ${context} { ${members} };\nstatic long ${fn}(u64 index, struct ${context} *c) {\n    u32 i = (u32)index;\n${indent(body).join('\n')}\n}\n`;
  }

  function initialOf({ fields }) {
    const first = fields[0];
    return first.length
      ? `{.${first.name} = {1, 2}}`
      : `{.${first.name} = ${1 + below(2)}}`;
  }

  let text = `/* seed ${seed} */\n${HEAD}`;
  for (let n = 2 + below(3); n > 0; n--) makeRecord();
  text += records.map((record) => record.text).join('');
  const globals = [];
  for (let n = 3 + below(4); n > 0; n--) {
    const one = { name: name('g') };
    const kind = below(4);
    const how = pick(['static', '', 'static']);
    const start = how ? `${how} ` : '';
    if (kind === 0) {
      one.record = pick(records);
      if (chance(50)) one.count = pick([2, 4]);
      const value =
        chance(50) && !one.count ? ` = ${initialOf(one.record)}` : '';
      text += `${start}${one.record.tag} ${one.name}${one.count ? `[${one.count}]` : ''}${value};\n`;
    } else if (kind === 1) {
      one.type = pick(['u8', 'u8', 'u16', 's32', 'u64']);
      one.length = pick([4, 8, 16]);
      text += `${start}${one.type} ${one.name}[${one.length}] = {${below(200)}, ${below(100)}, ${below(100)}};\n`;
    } else {
      one.type = pick(TYPES);
      text += `${start}${one.type} ${one.name} = ${literal(one.type)};\n`;
    }
    globals.push(one);
  }
  for (const type of ['u32', 'u64']) {
    const one = { name: name('at'), type };
    atomics.push(one);
    text += `static ${type} ${one.name};\n`;
  }
  for (let n = below(3); n > 0; n--) text += makeChanger(globals);
  for (let n = 1 + below(3); n > 0; n--) text += makeFunction(globals);
  if (chance(50)) text += makeCallback(globals);

  const { made, lines } = locals();
  const input = [];
  for (let n = 0; n < 4; n++) {
    const type = pick(TYPES);
    const one = { name: name('in'), type };
    input.push(one);
    lines.push(`${type} ${one.name} = (${type})in->words[${n}];`);
  }
  const scope = [...globals, ...made, ...input, ...input];
  const body = [];
  for (let n = 4 + below(6); n > 0; n--)
    body.push(...statement(scope, 2, false));
  for (const one of [...globals, ...made, ...atomics]) {
    for (const spot of placesOf(one)) {
      const at = spot.text.replace('@', '1');
      body.push(
        `mix((u64)${at}${spot.length ? `[${below(spot.length)}]` : ''});`,
      );
    }
  }
  const end = ['return (int)(sum ^ (sum >> 32));'];
  return `${text}SEC("syscall") int entry(struct input *in) {\n${indent([...lines, ...body, ...end]).join('\n')}\n}\n${TAIL}`;
}
