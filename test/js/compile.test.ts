/**
 * compile(), preprocess() and check() from JavaScript: options, headers from everywhere, what is
 * thrown, and what is refused.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync, constants } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  AssembleError,
  BpfSyntaxError,
  Btf,
  check,
  assemble,
  compile,
  CompileError,
  disassemble,
  kernelAvailable,
  load,
  Machine,
  preprocess,
  relocate,
  type CompileOptions,
} from 'bpf';
import { absent, describeUnless, node, root, testUnless } from '../support';

/** The tokens of the text, one blank between lines. */
const lines = (source: string, options?: CompileOptions): string =>
  preprocess(source, options).code.trim().replace(/\n+/g, ' ');

/** What a CompileError says. */
function errorOf(work: () => unknown): CompileError {
  try {
    work();
  } catch (error) {
    if (error instanceof CompileError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('options that there are not', () => {
  const source = 'int x;';
  const made = compile('SEC("xdp") int handle(void *ctx) { return 2; }\n', {
    defines: { 'SEC(name)': '__attribute__((section(name), used))' },
  });
  const wrong: [string, () => unknown, string][] = [
    ['compile', () => compile(source, { define: {} } as never), "'defines'"],
    ['preprocess', () => preprocess(source, { macro: 1 } as never), "'macros'"],
    ['check', () => check(source, { fileName: '' } as never), "'filename'"],
    ['assemble', () => assemble('exit', { dialct: 1 } as never), "'dialect'"],
    ['disassemble', () => disassemble(made, { hexx: 1 } as never), "'hex'"],
    ['Machine', () => new Machine(made, { cpu: 1 } as never), "'cpus'"],
    [
      'run',
      () => new Machine(made).run('handle', { paket: 1 } as never),
      "'packet'",
    ],
  ];
  test.each(wrong)('%s', (name, call, meant) => {
    expect(call).toThrow(TypeError);
    expect(call).toThrow(
      new RegExp(`^${name}.* has no option '\\w+'; did you mean ${meant}\\?$`),
    );
  });

  test('what is near nothing, and what is no object', () => {
    expect(() => assemble('exit', { verbose: true } as never)).toThrow(
      "assemble() has no option 'verbose'; it has filename, dialect, endian, memoryLimit",
    );
    expect(() => compile(source, 'O2' as never)).toThrow(
      'compile() takes its options as an object',
    );
    expect(() => compile(source, null as never)).toThrow(TypeError);
  });

  test('programs and maps by a name that is wrong', () => {
    using machine = new Machine(made);
    expect(machine.program('handle')).toBe(machine.programs['handle']);
    expect(() => machine.program('handel')).toThrow(
      "the object has no program 'handel'; did you mean 'handle'?",
    );
    expect(() => machine.map('counts')).toThrow(
      "the object has no map 'counts'; it has none",
    );
    expect('handel' in machine.programs).toBe(false);
    expect(machine.maps['counts']?.name).toBeUndefined();
    expect(() => machine.program('toString')).toThrow(TypeError);
  });
});

describe('options', () => {
  test('#embed takes bytes from what is given', () => {
    const { code, files } = preprocess('#embed "data.bin" limit(3)\n', {
      headers: { 'data.bin': Uint8Array.of(0, 255, 10, 7) },
    });
    expect({ code, files }).toEqual({
      code: ' 0, 255, 10\n',
      files: ['data.bin'],
    });
  });

  test('defines, and files that are read first', () => {
    const defines = {
      ON: true,
      N: 64,
      BIG: 1n << 40n,
      NAME: '"x"',
      'MAX(a, b)': '((a) > (b) ? (a) : (b))',
      __bpf__: null,
      __BPF__: false,
    };
    expect(
      lines('ON N BIG NAME MAX(1, 2) FIRST __bpf__ __BPF__', {
        defines,
        include: ['first.h'],
        headers: { 'first.h': '#define FIRST N' },
      }),
    ).toBe('1 64 1099511627776 "x" ((1) > (2) ? (1) : (2)) 64 __bpf__ __BPF__');
  });

  test('instruction set, byte order, optimisation', () => {
    const version = (cpu?: CompileOptions['cpu']): string =>
      lines('__BPF_CPU_VERSION__', cpu && { cpu });
    expect([version(), version('v1'), version('v4')]).toEqual(['3', '1', '4']);
    const order = '__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__';
    expect(lines(order)).toBe('1234 == 4321');
    expect(lines(order, { endian: 'big' })).toBe('4321 == 4321');
    expect(lines('__OPTIMIZE__')).toBe('1');
    expect(lines('__OPTIMIZE__', { optimize: 0 })).toBe('__OPTIMIZE__');
  });

  test.each<[string, object]>([
    ["'a b' is no name", { defines: { 'a b': 1 } }],
    ["'1x' is no name", { defines: { '1x': 1 } }],
    ['one line', { defines: { A: '1\n#define B 2' } }],
    ['one line', { include: ['a.h"\n#define B 2\n#include "b.h'] }],
    ['cpu is one of v1, v2, v3, v4', { cpu: 'v5' }],
    ['optimize is one of', { optimize: 4 }],
    ["'little' or 'big'", { endian: 'middle' }],
    ['memoryLimit', { memoryLimit: -1 }],
  ])('%s', (message, options) => {
    const call = (): unknown => preprocess('', options as CompileOptions);
    expect(call).toThrow(RangeError);
    expect(call).toThrow(message);
  });

  test('text may come as bytes, in UTF-8', () => {
    const bytes = new TextEncoder().encode('"ä" N');
    expect(lines(bytes as unknown as string, { defines: { N: 1 } })).toBe(
      '"ä" 1',
    );
  });

  test('a limit of memory ends a request, not the engine', () => {
    const big = 'int x;'.repeat(1 << 16);
    expect(() => preprocess(big, { memoryLimit: 1 << 16 })).toThrow(/memory/);
    expect(lines('1')).toBe('1');
  });

  test('a text of 100 MB is refused in a sentence', () => {
    const big = Buffer.alloc(100e6, ' ');
    expect(() => compile(big, { filename: 'big.c' })).toThrow(
      'cannot compile big.c: its 100 MB are more than the 64 MiB that a text may have',
    );
    expect(lines('1')).toBe('1');
  });
});

describe('many compilations', () => {
  const program =
    'int g[100]; struct s { int a, b; }; int f(struct s *s) { return g[s->a & 63] + s->b; }';

  test('one within another, asked for by it', () => {
    const inner = compile(program).toElf();
    const headers = (name: string): string | undefined => {
      if (name !== 'made.h') return undefined;
      expect(compile(program).toElf()).toEqual(inner);
      expect(() => compile('int x')).toThrow(CompileError);
      return '#define MADE 7';
    };
    const made = compile('#include "made.h"\nint f(void) { return MADE; }', {
      headers,
    });
    expect(new Machine(made).run('f').r0).toBe(7n);
  });

  test('a thousand leave the instance as large as ten', () => {
    const { Instance } = WebAssembly;
    const memories: WebAssembly.Memory[] = [];
    WebAssembly.Instance = class extends Instance {
      constructor(module: WebAssembly.Module, imports?: WebAssembly.Imports) {
        super(module, imports);
        memories.push(this.exports['memory'] as WebAssembly.Memory);
      }
    };
    try {
      // What is there has no memory that we know: a trap makes room for another.
      const big = 'int x;'.repeat(1 << 16);
      expect(() => compile(big, { memoryLimit: 1 << 19 })).toThrow(/memory/);
      const size = (): number =>
        memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
      for (let n = 0; n < 10; n++) compile(program);
      const before = size();
      expect(before).toBeGreaterThan(0);
      for (let n = 0; n < 1000; n++) {
        compile(program);
        expect(() => compile(`${program} int y = ${n};;; int`)).toThrow();
      }
      expect(size()).toBe(before);
      expect(memories).toHaveLength(1);
    } finally {
      WebAssembly.Instance = Instance;
    }
  });

  test('in several threads at once', () => {
    const { status, stdout, stderr } = node(`
      const { Worker, isMainThread, parentPort } = require('node:worker_threads');
      const bpf = require(${JSON.stringify(root)});
      const code = 'const bpf = require(' + ${JSON.stringify(JSON.stringify(root))} + ');' +
        'const { workerData, parentPort } = require("node:worker_threads");' +
        'const made = [];' +
        'for (let n = 0; n < 20; n++) made.push(Buffer.from(bpf.compile(workerData).toElf()).toString("hex"));' +
        'parentPort.postMessage(made);';
      const program = ${JSON.stringify(program)};
      const all = [1, 2, 3].map(() => new Promise((resolve, reject) => {
        const worker = new Worker(code, { eval: true, workerData: program });
        worker.on('message', resolve);
        worker.on('error', reject);
      }));
      const own = Buffer.from(bpf.compile(program).toElf()).toString('hex');
      Promise.all(all).then((lists) =>
        console.log(lists.flat().length, lists.flat().every((hex) => hex === own)));
    `);
    expect([status, stdout.trim(), stderr]).toEqual([0, '60 true', '']);
  });
});

describe('what is wrong', () => {
  test('preprocess throws all diagnostics, and the text of them', () => {
    const error = errorOf(() =>
      preprocess('#error one\n#include "no.h"\n', { filename: 'bad.c' }),
    );
    expect(error).toBeInstanceOf(BpfSyntaxError);
    expect(error).not.toBeInstanceOf(AssembleError);
    expect(error.name).toBe('CompileError');
    expect(error.diagnostics).toMatchObject([
      { severity: 'error', file: 'bad.c', line: 1 },
      { severity: 'error', file: 'bad.c', line: 2 },
    ]);
    expect(error.message).toMatch(
      /^cannot compile bad\.c: 2 errors\nbad\.c:1:/,
    );
    expect(error.text).toContain("'no.h'");
  });

  test('what would mend it is an edit', () => {
    const { diagnostics } = check('int one = 1;\nint two = oen;\n', {
      filename: 'x.c',
    });
    expect(diagnostics).toHaveLength(1);
    expect(diagnostics[0]).toMatchObject({
      message: "'oen' is not declared; did you mean 'one'?",
      notes: [{ message: "'one' is declared here", line: 1, column: 5 }],
    });
    expect(diagnostics[0]?.fixits).toEqual([
      {
        ...{ file: 'x.c', line: 2, column: 11, endLine: 2, endColumn: 14 },
        ...{ offset: 23, text: 'one' },
      },
    ]);
    const missing = check('int one = 1\n').diagnostics[0]?.fixits;
    expect(missing).toMatchObject([{ line: 1, column: 12, text: ';' }]);
  });

  test('as many errors are told as are asked for', () => {
    const source = 'int a = b;\n'.repeat(30);
    const told = (errorLimit?: number): number =>
      check(source, { errorLimit }).diagnostics.length;
    expect([told(), told(2), told(0)]).toEqual([20, 2, 59]);
    expect(check(source, { errorLimit: 2 }).text).toMatch(
      /too many errors emitted: \d+ more diagnostics are not shown\n$/,
    );
    expect(() => check(source, { errorLimit: -1 })).toThrow(RangeError);
  });

  test('check throws nothing', () => {
    const bad = check('int f(void) { return x; }\n', { filename: 'c.c' });
    expect(bad.ok).toBe(false);
    expect(bad.diagnostics).toMatchObject([{ file: 'c.c', line: 1 }]);
    expect(bad.text).toMatch(/^c\.c:1:22: error: /);
    expect(check('int f(void) { return 1; }\n')).toMatchObject({
      ok: true,
      diagnostics: [],
      text: '',
      files: [],
    });
  });

  test('warnings are there without an error', () => {
    const { diagnostics, code } = preprocess('#warning careful\nint x;');
    expect(diagnostics).toMatchObject([{ severity: 'warning', line: 1 }]);
    expect(code).toContain('int x;');
  });
});

describe('objects', () => {
  const source = `
    #include <linux/bpf.h>
    #include <bpf/bpf_helpers.h>
    int seen = 5;
    SEC("xdp") int pass(struct xdp_md *ctx) { seen++; return XDP_PASS; }
    char _license[] SEC("license") = "GPL";`;
  const object = (options?: CompileOptions) => compile(source, options);

  test('compile gives one that runs in the VM', () => {
    const made = object({ filename: 'x.c' });
    expect(made.programs).toMatchObject([{ name: 'pass', typeName: 'xdp' }]);
    expect(made.license).toBe('GPL');
    expect(made.diagnostics).toEqual([]);
    const machine = new Machine(made);
    expect(machine.run('pass', { packet: new Uint8Array(64) }).r0).toBe(2n);
  });

  const { available, reason } = kernelAvailable();
  testUnless(available ? undefined : reason, 'and in the kernel', () => {
    load(object()).close();
  });

  test('byte order, and no BTF where none is wanted', () => {
    expect(object().info.btf?.lines).toBeGreaterThan(0);
    expect(object({ endian: 'big' }).endian).toBe('big');
    const bare = compile('int f(int x) { return x + 1; }', { debug: false });
    expect(bare.info.btf).toBeNull();
  });

  describe('values of 128 bits', () => {
    const wide = `
      typedef unsigned __int128 u128;
      typedef __int128 s128;
      struct io { union { u128 a; int first; }; u128 b, out[16]; };
      static u128 kept = 7; static s128 below = -7; static u128 nothing;
      static __attribute__((noinline)) u128 mixed(u128 a, int n) { return (a ^ kept) - n; }
      int all(struct io *io) {
        u128 a = io->a, b = io->b, *out = io->out;
        s128 sa = a, sb = b;
        out[0] = a + b; out[1] = a - b; out[2] = (a & b) | 1; out[3] = ~a ^ -b;
        out[4] = a << 70; out[5] = a >> 3; out[6] = sa >> 100; out[7] = b << 5;
        out[8] = a ? b : below; out[9] = ({ u128 t = a; t++; t += 3; t; });
        out[10] = mixed(b, -1); out[11] = (int)a; out[12] = (u128)(int)b >> 64 << 64;
        out[13] = (u128)(unsigned long)b; out[14] = nothing--; out[15] = nothing;
        out[15] >>= 127;
        return (a == b) | (a != b) << 1 | (a < b) << 2 | (sa < sb) << 3 | (a >= b) << 4 |
               (sa <= sb) << 5 | !a << 6 | (a && b) << 7 | (_Bool)b << 8 | (sb < -1) << 9 |
               (1 << (b & 3)) << 10;
      }`;
    const mask = (1n << 128n) - 1n;
    const signed = (v: bigint): bigint => BigInt.asIntN(128, v);

    /** What `all` makes of a and b, as C has it. */
    function expected(a: bigint, b: bigint): [bigint[], bigint] {
      const int = (v: bigint): bigint => BigInt.asIntN(32, v);
      const out = [
        ...[a + b, a - b, (a & b) | 1n, ~a ^ -b],
        ...[a << 70n, a >> 3n, signed(a) >> 100n, b << 5n],
        ...[a ? b : -7n, a + 4n, (b ^ 7n) + 1n, int(a)],
        ...[int(b) < 0n ? mask << 64n : 0n, BigInt.asUintN(64, b), 0n, 1n],
      ].map((v) => v & mask);
      const [sa, sb] = [signed(a), signed(b)];
      const flags = [a === b, a !== b, a < b, sa < sb, a >= b, sa <= sb]
        .concat([!a, !!a && !!b, !!b, sb < -1n])
        .reduce((sum, on, n) => sum | (on ? 1 << n : 0), 0);
      return [out, BigInt(flags | ((1 << Number(b & 3n)) << 10))];
    }

    const values = [0n, 1n, mask, 1n << 127n, 1n << 64n, (1n << 64n) - 1n];
    values.push(0x80000000n, 0x0123456789abcdeffedcba9876543210n);
    const options = [0, 2] as const;

    test.each(options)('are what C says they are, at -O%d', (optimize) => {
      const made = compile(wide, { optimize });
      for (const a of values)
        for (const b of values) {
          const memory = new Uint8Array(18 * 16);
          const view = new DataView(memory.buffer);
          [a, b].forEach((value, n) => {
            view.setBigUint64(16 * n, BigInt.asUintN(64, value), true);
            view.setBigUint64(16 * n + 8, value >> 64n, true);
          });
          const { r0, mem: after } = new Machine(made).run('all', {
            mem: memory,
          });
          const [out, flags] = expected(a, b);
          out.forEach((value, n) => {
            const at = new DataView(after.buffer, after.byteOffset);
            const got =
              at.getBigUint64(32 + 16 * n, true) |
              (at.getBigUint64(40 + 16 * n, true) << 64n);
            expect([a, b, n, got]).toEqual([a, b, n, value]);
          });
          expect([a, b, r0]).toEqual([a, b, flags]);
        }
    });

    test.each([
      ['a * b'],
      ['a / b'],
      ['a % 3'],
      ['a << (int)b'],
      ['a << 128'],
      ['a ?: b'],
    ])('%s is refused', (expression) => {
      const source = `typedef unsigned __int128 u128; u128 a, b, c;
        int f(void) { c = ${expression}; return 0; }`;
      expect(errorOf(() => compile(source)).message).toMatch(
        /'u128' \(aka 'unsigned __int128'\) has no code here/,
      );
    });
  });

  test('records only CO-RE accesses are about have what is accessed', () => {
    const made = compile(`
      #pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
      struct list { struct list *next; };
      struct inner { int unused; union { long a; struct { short b, c; }; }; };
      struct task { char comm[8]; struct list list; const struct inner in[2]; int : 4, flag : 3;
                    struct gone *gone; int pid; struct task *parent; };
      struct kept { int a, b; };
      struct typed { int a, b; };
      #pragma clang attribute pop
      struct kept global;
      int f(void *ctx) {
        struct task *t = ctx;
        struct list list = t->list;
        return t->pid + t->in[1].c + t->flag + t->parent->pid + global.b +
               ((struct kept *)ctx)->b + __builtin_preserve_field_info(t->in[0].a, 0) +
               __builtin_preserve_type_info(*(struct typed *)0, 1) + ((struct typed *)ctx)->b +
               (list.next != 0);
      }`);
    const btf = Btf.ofObject(made);
    const members = (name: string): string[] | undefined =>
      btf.find(name, 'struct')?.members.map((one) => one.name);
    expect(members('task')).toEqual(['list', 'in', 'flag', 'pid', 'parent']);
    expect(members('inner')).toEqual(['']);
    expect(members('list')).toEqual(['next']);
    expect(members('kept')).toEqual(['a', 'b']);
    expect(members('typed')).toEqual(['a', 'b']);
    expect(btf.find('task', 'struct')?.size).toBe(80);
    const { relocations } = relocate(made, made);
    expect(relocations.filter(({ from, to }) => from !== to)).toEqual([]);
    expect(relocations.map(({ path }) => path.split(' ')[1])).toEqual(
      expect.arrayContaining(['task.pid', 'task.in[1].c', 'task.flag']),
    );
  });

  test('a shift by what CO-RE says of a bit-field needs no register', () => {
    const made = compile(`
      struct s { unsigned a : 2, b : 3; } __attribute__((preserve_access_index));
      unsigned long f(struct s *s, unsigned long v) {
        v <<= __builtin_preserve_field_info(s->b, 4);
        return v >> __builtin_preserve_field_info(s->b, 5);
      }`);
    const text = disassemble(made);
    expect(text).toMatch(/r2 <<= 59\b/);
    expect(text).toMatch(/>>= 61\b/);
  });

  test('what is volatile is zeroed whole, what is not as far as it is read', () => {
    const stores = (type: string): number =>
      disassemble(
        compile(`int f(long n) {
          ${type} char b[64] = {};
          b[n & 7] = 4;
          return b[3];
        }`),
      ).split('*(u64 *)(r10').length - 1;
    expect(stores('volatile')).toBe(8);
    expect(stores('')).toBe(1);
  });

  test('wrong C throws, and warnings become errors', () => {
    expect(errorOf(() => compile('int f(void) { return x; }')).name).toBe(
      'CompileError',
    );
    const unused = 'int f(void) { int nobody; return 0; }';
    const options = { warnings: ['unused-variable'] };
    expect(compile(unused, options).diagnostics).toMatchObject([
      { severity: 'warning' },
    ]);
    expect(compile(unused, { warnings: ['none'] }).diagnostics).toEqual([]);
    const strict = { warnings: ['unused-variable', 'error'] };
    expect(errorOf(() => compile(unused, strict)).diagnostics).toHaveLength(1);
  });

  test('what the verifier will refuse is foreseen, by check() too', () => {
    const source = `
      #include <linux/bpf.h>
      #include <bpf/bpf_helpers.h>
      SEC("socket") int f(struct __sk_buff *skb) {
        skb->mark = 1;
        for (;;) skb->cb[0] += bpf_redirect_map(0, 0, 0);
      }`;
    const options = ['-Wbpf-context', '-Wbpf-helper', '-Wbpf-loop'];
    const said = (diagnostics: readonly { option?: string }[]) =>
      diagnostics.map(({ option }) => option).sort();
    expect(said(compile(source).diagnostics)).toEqual(options);
    expect(said(check(source).diagnostics)).toEqual(options);
    const quiet = { warnings: ['no-bpf'] };
    expect(compile(source, quiet).diagnostics).toEqual([]);
    const strict = { warnings: ['no-bpf', 'error=bpf-loop'] };
    const { diagnostics } = errorOf(() => compile(source, strict));
    expect(diagnostics).toMatchObject([
      { severity: 'error', option: '-Wbpf-loop' },
    ]);
  });

  test('vmlinux.h from BTF that is given', () => {
    const other = compile(
      'struct task { long a; int pid; }; int f(struct task *t) { return t->pid; }',
    );
    const program =
      '#include "vmlinux.h"\nint g(struct task *t) { return t->pid; }';
    const made = compile(program, { btf: other });
    expect(made.info.core?.total).toBe(1);
    const text = '/* a file goes before BTF */ struct task { int pid; };\n';
    const headers = { 'vmlinux.h': text };
    expect(compile(program, { btf: other, headers }).info.core?.total).toBe(0);
    const error = errorOf(() => compile(program, { btf: false }));
    expect(error.text).toMatch(/'vmlinux\.h' was not found/);
  });
});

describe('headers that are given', () => {
  test('from a table: by name, and beside the one that includes', () => {
    const headers = {
      'a.h': '#include "lib/b.h"\n',
      'lib/b.h': '#include "c.h"\n#include <d.h>\n',
      'lib/c.h': 'inner\n',
      'c.h': 'outer\n',
      'd.h': new TextEncoder().encode('#pragma once\nd\n'),
    };
    const source = '#include "./a.h"\n#include "c.h"\n#include "lib/../d.h"\n';
    expect(lines(source, { headers })).toBe('inner d outer');
    expect(preprocess(source, { headers }).files).toEqual([
      'a.h',
      'lib/b.h',
      'lib/c.h',
      'd.h',
      'c.h',
    ]);
  });

  test('in folders, with #include_next', () => {
    const headers = {
      'one/x.h': 'one\n#include_next <x.h>\n',
      'two/x.h': 'two\n',
      'quote/y.h': 'quoted\n',
      'one/y.h': 'angled\n',
    };
    expect(
      lines('#include <x.h>\n#include "y.h"\n#include <y.h>', {
        headers,
        includePaths: ['one'],
        systemIncludePaths: ['two'],
        quoteIncludePaths: ['quote'],
      }),
    ).toBe('one two quoted angled');
  });

  test('from a function, which is asked for names', () => {
    const asked: string[] = [];
    const headers = (name: string): string | undefined => {
      asked.push(name);
      return name === 'x.h' ? '1\n' : undefined;
    };
    expect(
      lines('#include "x.h"\n#if !__has_include("sub/y.h")\n2\n#endif', {
        headers,
        filename: 'src/main.c',
        standardHeaders: false,
      }),
    ).toBe('1 2');
    expect(asked).toEqual(['src/x.h', 'x.h', 'x.h', 'src/sub/y.h', 'sub/y.h']);
  });

  test('they go before those of the package', () => {
    const headers = { 'linux/bpf.h': 'mine\n' };
    expect(lines('#include <linux/bpf.h>', { headers })).toBe('mine');
  });

  test('names that every object has are no headers', () => {
    const error = errorOf(() =>
      preprocess('#include "constructor"\n#include "__proto__"'),
    );
    expect(error.diagnostics).toHaveLength(2);
  });

  test('what a function throws reaches the caller, and the next request works', () => {
    const headers = (): never => {
      throw new TypeError('mine');
    };
    expect(() => preprocess('#include "x"', { headers })).toThrow('mine');
    expect(lines('1')).toBe('1');
  });
});

describe('headers on disk', () => {
  let folder = '';
  const put = (name: string, text: string): void =>
    writeFileSync(join(folder, name), text);
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bpf-cc-'));
    mkdirSync(join(folder, 'inc/dir.h'), { recursive: true });
    put('beside.h', '#include "inc/deep.h"\nbeside\n');
    put('inc/deep.h', 'deep\n');
    put('inc/only.h', 'only\n');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('beside the file, and along the folders', () => {
    const filename = join(folder, 'main.c');
    const made = preprocess('#include "beside.h"\n#include <only.h>\n', {
      filename,
      includePaths: [join(folder, 'inc')],
    });
    expect(made.code.trim().replace(/\n+/g, ' ')).toBe('deep beside only');
    expect(made.files).toEqual(
      ['beside.h', 'inc/deep.h', 'inc/only.h'].map((n) => join(folder, n)),
    );
  });

  test('a folder is no header', () => {
    const includePaths = [join(folder, 'inc')];
    const error = errorOf(() =>
      preprocess('#include <dir.h>', { includePaths }),
    );
    expect(error.text).toMatch(/'dir\.h' was not found/);
  });
});

describeUnless(
  absent(join(root, 'dist/headers.bin')),
  'headers of the package',
  () => {
    test('libbpf, the kernel and the compiler itself', () => {
      const source =
        '#include <linux/bpf.h>\n#include <linux/ip.h>\n' +
        '#include <bpf/bpf_helpers.h>\n#include <bpf/bpf_core_read.h>\n' +
        '#include <bpf/bpf_tracing.h>\n#include <bpf/bpf_endian.h>\n' +
        ['stdbool', 'stddef', 'stdint', 'limits', 'errno', 'string', 'stdarg']
          .map((name) => `#include <${name}.h>\n`)
          .join('') +
        'int e[ENOENT == 2 && UINT32_MAX == ~0U && INT64_MIN < 0 ? 1 : -1];\n';
      const made = check(source);
      expect(made).toMatchObject({ ok: true, text: '', files: [] });
    });

    test('string.h and parts of stddef.h behind the kernel types', () => {
      const source =
        'typedef unsigned short wchar_t;\ntypedef unsigned long size_t;\n' +
        '#include <string.h>\n#define __need_NULL\n#include <stddef.h>\n' +
        'void *nothing = NULL;\nsize_t three[sizeof(size_t) == 8 ? 1 : -1];\n';
      expect(check(source)).toMatchObject({ ok: true, text: '' });
    });

    test('standardHeaders: false leaves them out', () => {
      const error = errorOf(() =>
        preprocess('#include <stddef.h>', { standardHeaders: false }),
      );
      expect(error.diagnostics).toHaveLength(1);
    });

    test('messages about them name them', () => {
      const { text } = check('#define bool 5\n#include <bpf/bpf_helpers.h>\n', {
        defines: { __u32: 'nonsense' },
      });
      expect(text).toMatch(/<headers>\/bpf\/bpf_helper_defs\.h:\d+:\d+: error/);
    });
  },
);

/** A header set as scripts/pack-headers.mjs writes it, of streams that are already compressed. */
function headerSet(files: [string, Buffer, number][]): Uint8Array {
  const head = Buffer.alloc(12 + 20 * files.length);
  head.write('BPFHDR2\n');
  head.writeUInt32LE(files.length, 8);
  const parts: Uint8Array[] = [head];
  let offset = head.length;
  files.forEach(([name, stream, size], n) => {
    for (const [i, bytes] of [Buffer.from(name), stream].entries()) {
      head.writeUInt32LE(offset, 12 + 20 * n + 8 * i);
      head.writeUInt32LE(bytes.length, 16 + 20 * n + 8 * i);
      parts.push(bytes);
      offset += bytes.length;
    }
    head.writeUInt32LE(size, 28 + 20 * n);
  });
  return Buffer.concat(parts);
}

/** In a process of its own: init() with this set, then each header preprocessed. */
function withSet(set: Uint8Array, names: string[]): unknown[] {
  const script = `
    const fs = require('node:fs');
    const bpf = require('bpf/core');
    const set = new Uint8Array(fs.readFileSync(0));
    bpf.init(fs.readFileSync('dist/bpf.wasm'), { headers: set }).then(() => {
      const results = ${JSON.stringify(names)}.map((name) => {
        try {
          return bpf.preprocess('#include <' + name + '>').code.trim();
        } catch (error) {
          return error.name + ': ' + error.message.split('\\n')[0];
        }
      });
      console.log(JSON.stringify(results));
    });`;
  const { stdout, stderr, status } = node(script, {}, set);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as unknown[];
}

describe('a header set brought by init()', () => {
  const words = Array.from(
    { length: 20000 },
    (_, n) => `w${(n * 2654435761) % 1000003}`,
  );
  // What no preprocessor changes: names, one on each line.
  const text = words.join('\n');
  const flat = 'a'.repeat(70000);
  const { Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE } = constants;
  const streams: [string, Buffer, number][] = [
    ['best', deflateRawSync(text, { level: 9 }), text.length],
    ['empty', deflateRawSync(''), 0],
    ['fixed', deflateRawSync(text, { strategy: Z_FIXED }), text.length],
    ['flat', deflateRawSync(flat), flat.length],
    [
      'huffman',
      deflateRawSync(text, { strategy: Z_HUFFMAN_ONLY }),
      text.length,
    ],
    ['rle', deflateRawSync(text, { strategy: Z_RLE }), text.length],
    ['stored', deflateRawSync(text, { level: 0 }), text.length],
  ];

  test('every kind of DEFLATE block', () => {
    const results = withSet(
      headerSet(streams),
      streams.map(([name]) => name),
    );
    expect(results).toEqual([text, '', text, flat, text, text, text]);
  });

  test('damage is told, whatever it is', () => {
    const whole = Buffer.from(headerSet(streams));
    const names = streams.map(([name]) => name);
    const told = 'EngineError: the header set is damaged';
    const size = Buffer.from(whole);
    size.writeUInt32LE(text.length - 1, 28);
    expect(withSet(size, ['best'])).toEqual([expect.stringContaining(told)]);
    size.writeUInt32LE(text.length + 1, 28);
    expect(withSet(size, ['best'])).toEqual([expect.stringContaining(told)]);
    const cut = whole.subarray(0, whole.length - 1000);
    expect(withSet(cut, ['stored'])).toEqual([expect.stringContaining(told)]);
    expect(withSet(Buffer.from('BPFHDR1\n----'), ['best'])).toEqual([
      expect.stringContaining(told),
    ]);
    // Any byte may be any other: an answer or an error, never a hang or a trap.
    for (let seed = 1; seed <= 8; seed++) {
      const bent = Buffer.from(whole);
      for (let n = 0; n < 40; n++) {
        const at = (seed * 7919 + n * n * 104729 + n * 31) % bent.length;
        bent[at] = (bent[at] ?? 0) ^ (1 << (n % 8));
      }
      expect(withSet(bent, names)).toHaveLength(names.length);
    }
  });

  test('a name that is not in it', () => {
    expect(withSet(headerSet(streams), ['besu', 'a', 'zz'])).toEqual(
      Array(3).fill('CompileError: cannot compile <source>: 1 error'),
    );
  });
});
