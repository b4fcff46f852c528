/**
 * Btf: what a type says of itself, looking up, split BTF, text, and what is refused. The bytes are
 * made here, word by word; the running kernel's BTF is read where there is one.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  assemble,
  BpfSyntaxError,
  Btf,
  btfKinds,
  KernelError,
  type BtfKind,
} from '../../dist/bindings/src';
import * as core from '../../dist/bindings/src/core';
import { bpf, bpfc, describeUnless, nativeCli, node, root } from '../support';

/** BTF bytes: each call adds a type and gives its id. */
class Bytes {
  readonly #strings: string[] = [''];
  readonly #words: number[] = [];
  #length: number;
  #next: number;

  constructor(first = 1, stringBase = 0) {
    this.#next = first;
    this.#length = stringBase + (stringBase ? 0 : 1);
    if (stringBase) this.#strings.length = 0;
  }

  name(text: string): number {
    if (text === '') return 0;
    const at = this.#length;
    this.#strings.push(text);
    this.#length += text.length + 1;
    return at;
  }

  add(
    kind: BtfKind,
    name: string,
    sizeOrType: number,
    words: number[] = [],
    count = 0,
    flag = 0,
  ): number {
    const info = ((flag << 31) | (btfKinds.indexOf(kind) << 24) | count) >>> 0;
    this.#words.push(this.name(name), info, sizeOrType, ...words);
    return this.#next++;
  }

  get stringsSize(): number {
    return this.#strings.reduce((sum, text) => sum + text.length + 1, 0);
  }

  done(little = true): Uint8Array {
    const strings = Buffer.from(this.#strings.map((s) => `${s}\0`).join(''));
    const types = this.#words.length * 4;
    const bytes = new Uint8Array(24 + types + strings.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 0xeb9f, little);
    view.setUint8(2, 1);
    [24, 0, types, types, strings.length].forEach((word, i) =>
      view.setUint32(4 + i * 4, word, little),
    );
    this.#words.forEach((word, i) =>
      view.setUint32(24 + i * 4, word >>> 0, little),
    );
    bytes.set(strings, 24 + types);
    return bytes;
  }
}

/** One type of every kind; ids in the order of the kernel's kinds. */
function everyKind(): Bytes {
  const b = new Bytes();
  b.add('int', 'int', 4, [(1 << 24) | 32]);
  b.add('ptr', '', 4);
  b.add('array', '', 0, [1, 1, 8]);
  const value = b.name('value');
  const flag = b.name('flag');
  b.add('struct', 'record', 16, [value, 2, 0, flag, 1, (3 << 24) | 64], 2, 1);
  b.add('union', 'either', 4, [0, 1, 0], 1);
  b.add('enum', 'sign', 4, [b.name('MINUS'), -2], 1, 1);
  b.add('fwd', 'later', 0, [], 0, 1);
  b.add('typedef', 'record_t', 4);
  b.add('volatile', '', 8);
  b.add('const', '', 9);
  b.add('restrict', '', 2);
  b.add('func', 'act', 13, [], 1);
  b.add('func_proto', '', 1, [b.name('rec'), 10, 0, 0], 2);
  b.add('var', 'state', 4, [1]);
  b.add('datasec', '.data', 16, [14, 0, 16], 1);
  b.add('float', 'double', 8);
  b.add('decl_tag', 'about', 4, [1]);
  b.add('type_tag', 'user', 1);
  b.add('enum64', 'wide', 8, [b.name('MOST'), -1, -1], 1);
  return b;
}

describe.each([
  ['little', true],
  ['big', false],
] as const)('types of %s-endian BTF', (_, little) => {
  const btf = Btf.from(everyKind().done(little));

  test.each([
    { id: 0, kind: 'void', name: '' },
    {
      id: 1,
      kind: 'int',
      name: 'int',
      size: 4,
      bits: 32,
      offset: 0,
      encoding: 'signed',
    },
    { id: 2, kind: 'ptr', name: '', type: 4 },
    { id: 3, kind: 'array', name: '', type: 1, indexType: 1, length: 8 },
    {
      id: 4,
      kind: 'struct',
      name: 'record',
      size: 16,
      members: [
        { name: 'value', type: 2, offset: 0, bits: 0 },
        { name: 'flag', type: 1, offset: 64, bits: 3 },
      ],
    },
    {
      id: 5,
      kind: 'union',
      name: 'either',
      size: 4,
      members: [{ name: '', type: 1, offset: 0, bits: 0 }],
    },
    {
      id: 6,
      kind: 'enum',
      name: 'sign',
      size: 4,
      signed: true,
      values: [{ name: 'MINUS', value: -2n }],
    },
    { id: 7, kind: 'fwd', name: 'later', of: 'union' },
    { id: 8, kind: 'typedef', name: 'record_t', type: 4 },
    { id: 9, kind: 'volatile', name: '', type: 8 },
    { id: 10, kind: 'const', name: '', type: 9 },
    { id: 11, kind: 'restrict', name: '', type: 2 },
    { id: 12, kind: 'func', name: 'act', type: 13, linkage: 'global' },
    {
      id: 13,
      kind: 'func_proto',
      name: '',
      returns: 1,
      params: [
        { name: 'rec', type: 10 },
        { name: '', type: 0 },
      ],
    },
    { id: 14, kind: 'var', name: 'state', type: 4, linkage: 'global' },
    {
      id: 15,
      kind: 'datasec',
      name: '.data',
      size: 16,
      vars: [{ type: 14, offset: 0, size: 16 }],
    },
    { id: 16, kind: 'float', name: 'double', size: 8 },
    {
      id: 17,
      kind: 'decl_tag',
      name: 'about',
      type: 4,
      component: 1,
      attribute: false,
    },
    { id: 18, kind: 'type_tag', name: 'user', type: 1, attribute: false },
    {
      id: 19,
      kind: 'enum64',
      name: 'wide',
      size: 8,
      signed: false,
      values: [{ name: 'MOST', value: 0xffffffffffffffffn }],
    },
  ])('$kind', (type) => {
    expect(btf.type(type.id)).toEqual(type);
  });

  test('are walked in order, all or of one kind', () => {
    expect([...btf].map(({ id }) => id)).toEqual(
      Array.from({ length: 19 }, (_, i) => i + 1),
    );
    expect([...btf.types('struct')].map(({ name }) => name)).toEqual([
      'record',
    ]);
    expect([btf.first, btf.count]).toEqual([1, 20]);
  });

  test('are resolved, measured and spelled', () => {
    expect(btf.resolve(10)).toMatchObject({ kind: 'struct', name: 'record' });
    expect(btf.resolve(btf.type(11))).toMatchObject({ kind: 'ptr' });
    expect([10, 3, 2, 7, 0].map((id) => btf.sizeOf(id))).toEqual([
      16, 32, 8, 0, 0,
    ]);
    expect([10, 2, 3, 0].map((id) => btf.spell(id))).toEqual([
      'const volatile record_t',
      'struct record *',
      'int[8]',
      'void',
    ]);
  });
});

describe('looking up', () => {
  const btf = Btf.from(everyKind().done());

  test('by name and kind', () => {
    expect(btf.find('record')?.id).toBe(4);
    expect(btf.find('record', 'struct')?.members.length).toBe(2);
    expect(btf.find('record', 'union')).toBeUndefined();
    expect(btf.find('record', ['union', 'struct'])?.size).toBe(16);
    expect(btf.find('recor')).toBeUndefined();
    expect(btf.find('')).toBeUndefined();
    expect(() => btf.find('record', 'strct' as BtfKind)).toThrow(RangeError);
  });

  test('by enumerator', () => {
    expect(btf.enumerator('MINUS')).toMatchObject({
      type: { name: 'sign' },
      value: -2n,
    });
    expect(btf.enumerator('MOST')?.value).toBe(2n ** 64n - 1n);
    expect(btf.enumerator('LEAST')).toBeUndefined();
  });

  test('all namesakes', () => {
    const b = new Bytes();
    for (let i = 0; i < 3; i++) b.add('struct', 'same', i);
    b.add('union', 'same', 9);
    const same = Btf.from(b.done());
    expect(same.findAll('same').map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    expect(same.findAll('same', 'struct').map(({ size }) => size)).toEqual([
      0, 1, 2,
    ]);
    expect(same.findAll('other')).toEqual([]);
  });

  test.each([-1, 20, 1.5, NaN])('refuses the id %d', (id) => {
    expect(() => btf.type(id)).toThrow(RangeError);
    expect(() => btf.sizeOf(id)).toThrow(RangeError);
    expect(() => btf.spell(id)).toThrow(RangeError);
  });
});

describe('split BTF', () => {
  const below = everyKind();
  const base = Btf.from(below.done());
  const module = new Bytes(20, below.stringsSize);
  module.add('struct', 'record', 8, [5, 2, 0], 1);
  module.add('typedef', 'mine', 4);
  const split = Btf.from(module.done(), { base });

  test('goes on where its base ends', () => {
    expect([split.first, split.count, split.base === base]).toEqual([
      20,
      22,
      true,
    ]);
    expect(split.find('int')?.id).toBe(1);
    expect(split.findAll('record').map(({ id }) => id)).toEqual([4, 20]);
    expect(split.resolve(21)).toEqual(base.type(4));
    expect([...split].map(({ name }) => name)).toEqual(['record', 'mine']);
    expect(base.find('mine')).toBeUndefined();
  });

  test('is text with its base in C, without it in lines', () => {
    expect(split.dump('raw').split('\n')[0]).toMatch(/^\[20\] STRUCT 'record'/);
    expect(split.dump('c')).toContain('struct record___2 {');
  });

  test('is refused without its base, or on a smaller one', () => {
    expect(() => Btf.from(module.done())).toThrow(BpfSyntaxError);
    const small = new Bytes();
    small.add('int', 'x', 4, [32]);
    const other = Btf.from(small.done());
    expect(() => Btf.from(module.done(), { base: other })).toThrow(
      BpfSyntaxError,
    );
    expect(other.find('x')?.id).toBe(1); // it works on
  });
});

describe('text', () => {
  const btf = Btf.from(everyKind().done());

  test('C of some roots', () => {
    const text = btf.dump('c', { roots: ['record_t'] });
    expect(text).toContain(
      'struct record {\n\tstruct record *value;\n\tint flag: 3;',
    );
    expect(text).toContain('typedef struct record record_t;');
    expect(text).not.toContain('either');
    expect(btf.dump('c', { roots: [5] })).toContain('union either');
  });

  test('lines and JSON', () => {
    expect(btf.dump('raw', { roots: [2, 'int'] })).toBe(
      "[2] PTR '(anon)' type_id=4\n" +
        "[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED\n",
    );
    const json = JSON.parse(btf.dump('json')) as { types: unknown[] };
    expect(json.types.length).toBe(19);
    expect(json.types[18]).toMatchObject({
      kind: 'ENUM64',
      values: [{ name: 'MOST', val: '18446744073709551615' }],
    });
  });

  test('refuses what it has not', () => {
    expect(() => btf.dump('c', { roots: ['nothing'] })).toThrow(
      "there is no type 'nothing'",
    );
    expect(() => btf.dump('c', { roots: [0] })).toThrow(RangeError);
    expect(() => btf.dump('c', { roots: [] })).toThrow(RangeError);
    expect(() => btf.dump('yaml' as 'c')).toThrow(RangeError);
  });

  test('says what cannot be C', () => {
    const b = new Bytes();
    b.add('struct', 'loop', 4, [b.name('self'), 1, 0], 1);
    const error = thrown(() => Btf.from(b.done()).dump());
    expect(error).toBeInstanceOf(BpfSyntaxError);
    expect((error as BpfSyntaxError).diagnostics).toMatchObject([
      { code: 'btf-not-c' },
    ]);
  });
});

function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('it did not throw');
}

describe('objects', () => {
  const object = assemble(
    '.struct stat\n.field calls, u64\n.field comm, char, 16\n.ends\n' +
      '.map counts, type=hash, key=u32, value=stat, max_entries=64\n' +
      '.section xdp,"ax"\n.globl go\n.type go, @function\ngo: r0 = 0\nexit\n',
  );

  test('bring theirs', () => {
    const btf = Btf.ofObject(object);
    const stat = btf.find('stat', 'struct');
    expect(stat?.size).toBe(24);
    expect(stat?.members.map((m) => [m.name, m.offset])).toEqual([
      ['calls', 0],
      ['comm', 64],
    ]);
    expect(btf.spell(stat?.members[1]?.type ?? 0)).toBe('char[16]');
    expect(btf.find('go', 'func')?.linkage).toBe('global');
  });

  test('or have none', () => {
    const error = thrown(() => Btf.from(objectWithoutBtf()));
    expect(error).toBeInstanceOf(BpfSyntaxError);
    expect((error as BpfSyntaxError).diagnostics).toMatchObject([
      { code: 'no-btf' },
    ]);
  });
});

function objectWithoutBtf(): Uint8Array {
  const elf = assemble('.section .data,"aw"\n.byte 1\n').toElf();
  const at = Buffer.from(elf).indexOf('.BTF\0');
  if (at >= 0) elf.set(Buffer.from('.NOT\0'), at);
  return elf;
}

test.each([
  ['nothing', new Uint8Array(0)],
  ['text', Buffer.from('hello, this is no BTF at all')],
  ['half', everyKind().done().subarray(0, 100)],
])('%s is refused', (_, bytes) => {
  expect(() => Btf.from(bytes)).toThrow(BpfSyntaxError);
});

test('a memory limit is kept', () => {
  expect(() => Btf.from(everyKind().done(), { memoryLimit: 4096 })).toThrow(
    /memory/,
  );
});

describe('bpf/core', () => {
  test('is the same class', () => {
    expect(core.Btf).toBe(Btf);
  });

  test('has no kernel by itself', () => {
    const script = `
      const core = require(${JSON.stringify(join(root, 'dist/bindings/src/core.js'))});
      try { core.Btf.kernel(); } catch (error) { console.log(error.name, error.code); }`;
    expect(node(script).stdout).toBe('KernelError ERR_NO_KERNEL\n');
  });
});

describe('command line', () => {
  let folder = '';
  const at = (name: string): string => join(folder, name);
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bpf-btf-'));
    writeFileSync(at('base.btf'), everyKind().done());
    const module = new Bytes(20, everyKind().stringsSize);
    module.add('typedef', 'mine', 4);
    writeFileSync(at('module.btf'), module.done());
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const lines: [string, (at: (name: string) => string) => string[]][] = [
    ['C', () => [at('base.btf')]],
    ['lines', () => [at('base.btf'), '--format', 'raw']],
    ['JSON', () => [at('base.btf'), '--format', 'json']],
    ['roots', () => [at('base.btf'), '--root', 'record,5,sign']],
    ['no such root', () => [at('base.btf'), '--root', 'record,50']],
    ['split', () => [at('module.btf'), '--base', at('base.btf')]],
    ['split without its base', () => [at('module.btf')]],
    ['no such file', () => [at('nothing.btf')]],
    ['unknown format', () => [at('base.btf'), '--format', 'yaml']],
    ['help', () => ['--help']],
  ];

  test('dumps', () => {
    const { status, stdout } = bpf('btf', 'dump', at('base.btf'));
    expect(status).toBe(0);
    expect(stdout).toContain('struct record {');
    const out = ['--format', 'raw', '-o', at('out')];
    expect(bpf('btf', 'dump', at('base.btf'), ...out)).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
    expect(bpf('btf', 'show', at('base.btf')).status).toBe(2);
    expect(bpf('btf').stderr).toContain(
      'behind btf stands dump; it is missing',
    );
  });

  describeUnless(
    existsSync(nativeCli) ? undefined : `there is no ${nativeCli}`,
    'beside bpfc',
    () => {
      test.each(lines)('%s', (_, args) => {
        const mine = bpf('btf', 'dump', ...args(at));
        const native = bpfc('btf', 'dump', ...args(at));
        const same = (text: string): string => text.replace(/\bbpfc\b/g, 'bpf');
        expect(mine).toEqual({
          status: native.status,
          stdout: same(native.stdout),
          stderr: same(native.stderr),
        });
      });
    },
  );
});

const vmlinux = '/sys/kernel/btf/vmlinux';

describeUnless(
  existsSync(vmlinux) ? undefined : `there is no ${vmlinux}`,
  "the running kernel's",
  () => {
    const btf = Btf.kernel();

    test('knows its tasks', () => {
      const task = btf.find('task_struct', 'struct');
      const comm = task?.members.find(({ name }) => name === 'comm');
      expect(btf.spell(comm?.type ?? 0)).toBe('char[16]');
      expect(btf.enumerator('BPF_PROG_TYPE_XDP')?.value).toBe(6n);
      expect(btf.dump('c', { roots: ['task_struct'] })).toMatch(
        /^struct task_struct \{$/m,
      );
    });

    test('and its modules, if any', () => {
      for (const name of Btf.kernelModules().slice(0, 5)) {
        const module = Btf.kernel(name, { base: btf });
        expect(module.first).toBe(btf.count);
      }
      const error = thrown(() => Btf.kernel('no_such_module', { base: btf }));
      expect(error).toBeInstanceOf(KernelError);
      expect((error as KernelError).code).toBe('ENOENT');
      expect(() => Btf.kernel('../vmlinux')).toThrow(RangeError);
    });
  },
);
