/**
 * assemble, disassemble, BpfObject and what they say about wrong input.
 */
import { describe, expect, test } from '@jest/globals';
import {
  assemble,
  AssembleError,
  BpfObject,
  BpfSyntaxError,
  disassemble,
  type Diagnostic,
} from 'bpf';

const program = `
.map counts, type=hash, key=u32, value=u64, max_entries=16
.section "raw_tp/sys_enter","ax",@progbits
.globl entry
entry:
        r1 = 0
        *(u32 *)(r10 - 4) = r1
        r1 = counts ll
        r2 = r10
        r2 += -4
        call 1
        if r0 == 0 goto out
        r0 = *(u64 *)(r0 + 0)
out:
        exit
.section license,"aw",@progbits
        .asciz "GPL"
`;

/** The diagnostics of text that must not assemble. */
function complaints(source: string): readonly Diagnostic[] {
  try {
    assemble(source, { filename: 'bad.s' });
  } catch (error) {
    expect(error).toBeInstanceOf(AssembleError);
    expect(error).toBeInstanceOf(BpfSyntaxError);
    return (error as AssembleError).diagnostics;
  }
  throw new Error('it assembled');
}

describe('assemble', () => {
  test('describes programs, maps and licence', () => {
    const object = assemble(program, { filename: 'program.s' });
    expect(object.license).toBe('GPL');
    expect(object.endian).toBe('little');
    expect(object.programs).toMatchObject([
      {
        name: 'entry',
        section: 'raw_tp/sys_enter',
        typeName: 'raw_tracepoint',
        attachTarget: 'sys_enter',
        insns: 10,
      },
    ]);
    expect(object.maps).toMatchObject([
      {
        name: 'counts',
        typeName: 'hash',
        keySize: 4,
        valueSize: 8,
        maxEntries: 16,
        key: 'u32',
        value: 'u64',
      },
    ]);
    expect(object.diagnostics).toEqual([]);
  });

  test('makes ELF of machine BPF, in both byte orders', () => {
    const little = assemble('r0 = 1\nexit\n').toElf();
    const big = assemble('r0 = 1\nexit\n', { endian: 'big' }).toElf();
    expect([...little.subarray(0, 6)]).toEqual([0x7f, 69, 76, 70, 2, 1]);
    expect([...little.subarray(18, 20)]).toEqual([247, 0]);
    expect([...big.subarray(0, 6)]).toEqual([0x7f, 69, 76, 70, 2, 2]);
    expect([...big.subarray(18, 20)]).toEqual([0, 247]);
    expect(BpfObject.fromElf(big).endian).toBe('big');
  });

  test.each(['llvm', 'ubpf'] as const)('text round trip in %s', (dialect) => {
    const object = assemble(program);
    const text = disassemble(object, { dialect });
    const again = assemble(text, { dialect });
    const section = 'raw_tp/sys_enter';
    expect(again.section(section)).toEqual(object.section(section));
    expect(again.maps).toEqual(object.maps);
    expect(disassemble(again.toElf(), { dialect })).toBe(text);
  });

  test('sections are the instructions themselves', () => {
    const object = assemble('r0 = 1\nexit\n');
    const slots = [0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
    expect([...(object.section('.text') ?? [])]).toEqual(slots);
    expect(object.section('.nothing')).toBeUndefined();
    const raw = BpfObject.fromRaw(new Uint8Array(slots));
    expect(raw.section('.text')).toEqual(object.section('.text'));
    expect(() => BpfObject.fromRaw(new Uint8Array(7))).toThrow(
      /7 bytes are no whole number/,
    );
  });

  test('bytes of a source serve as well as a string', () => {
    const bytes = new TextEncoder().encode(program);
    expect(assemble(bytes).toElf()).toEqual(assemble(program).toElf());
  });

  test('what it gives away is a copy', () => {
    const object = assemble('exit');
    object.toElf().fill(0);
    expect(disassemble(object)).toMatch(/exit/);
  });

  test('wrong options are told from wrong input', () => {
    const options = { dialect: 'gas' } as unknown as { dialect: 'llvm' };
    expect(() => assemble('exit', options)).toThrow(RangeError);
    const endian = { endian: 'middle' } as unknown as { endian: 'big' };
    expect(() => assemble('exit', endian)).toThrow(RangeError);
  });
});

describe('disassemble', () => {
  const object = assemble(program, { filename: 'program.s' });

  test('names helpers, or numbers them', () => {
    expect(disassemble(object)).toContain('\tcall bpf_map_lookup_elem\n');
    expect(disassemble(object, { numeric: true })).toContain('\tcall 1\n');
  });

  test('shows bytes and hexadecimal numbers', () => {
    const text = disassemble(object, { bytes: true, hex: true });
    expect(text).toMatch(/^\/\* b7 01( 00){6} +\*\/\tr1 = 0x0$/m);
    expect(assemble(text).section('license')).toEqual(
      object.section('license'),
    );
  });

  test('interleaves source lines', () => {
    const text = disassemble(object, { source: true });
    expect(text).toContain('\t# program.s\n\t# 6: r1 = 0\n\tr1 = 0\n');
    expect(assemble(text).maps).toEqual(object.maps);
  });

  test('lists as llvm-objdump does', () => {
    const filename = 'entry.o';
    const text = disassemble(object, { objdump: true, relocs: true, filename });
    const bytes = (hex: string): string => hex.replace(/..(?!$)/g, '$& ');
    expect(text).toBe(
      [
        '',
        'entry.o:\tfile format elf64-bpf',
        '',
        'Disassembly of section raw_tp/sys_enter:',
        '',
        '0000000000000000 <entry>:',
        `       0:\t${bytes('b701000000000000')}\tr1 = 0x0`,
        `       1:\t${bytes('631afcff00000000')}\t*(u32 *)(r10 - 0x4) = r1`,
        `       2:\t${bytes('18010000000000000000000000000000')}\tr1 = 0x0 ll`,
        '\t\t0000000000000010:  R_BPF_64_64\tcounts',
        `       4:\t${bytes('bfa2000000000000')}\tr2 = r10`,
        `       5:\t${bytes('07020000fcffffff')}\tr2 += -0x4`,
        `       6:\t${bytes('8500000001000000')}\tcall 0x1`,
        `       7:\t${bytes('1500010000000000')}\tif r0 == 0x0 goto +0x1 <out>`,
        `       8:\t${bytes('7900000000000000')}\tr0 = *(u64 *)(r0 + 0x0)`,
        '',
        '0000000000000048 <out>:',
        `       9:\t${bytes('9500000000000000')}\texit`,
        '',
      ].join('\n'),
    );
    expect(disassemble(object, { objdump: true, alu32: true })).toContain(
      '*(u32 *)(r10 - 0x4) = w1',
    );
  });
});

describe('BpfObject', () => {
  const object = assemble(
    `${program}
.data
.globl total
.type total,@object
.size total, 8
total:  .quad 0
.section "xdp","ax",@progbits
.globl second
second: r1 = total + 8 ll
        call elsewhere
        exit
.weak elsewhere
`,
    { filename: 'program.s' },
  );

  test('tells globals, externs, relocations, sections and symbols', () => {
    expect(object.globals).toEqual([
      {
        name: 'total',
        section: '.data',
        type: null,
        offset: 0,
        size: 8,
        readOnly: false,
        static: false,
      },
    ]);
    expect(object.externs).toEqual([
      { name: 'elsewhere', kind: 'unknown', type: null, weak: true },
    ]);
    expect(object.relocations).toMatchObject([
      { section: 'raw_tp/sys_enter', offset: 16, symbol: 'counts', addend: 0 },
      {
        section: 'xdp',
        typeName: 'R_BPF_64_64',
        symbol: 'total',
        addend: 8,
      },
      { typeName: 'R_BPF_64_32', symbol: 'elsewhere', addend: 0 },
    ]);
    expect(object.sections).toContainEqual({
      name: '.data',
      type: 'progbits',
      flags: 'WA',
      size: 8,
      align: 1,
      relocs: 0,
    });
    expect(object.symbols.map(({ name }) => name)).toContain('out');
    expect(object.info).toMatchObject({
      version: null,
      legacyMaps: [],
      structOps: [],
      core: { total: 0, kinds: {} },
    });
    expect(object.info.btf?.lines).toBeGreaterThan(10);
  });

  test('describes itself to people', () => {
    expect(object.describe('x.o')).toMatch(
      /^x\.o: BPF object, little-endian, licence 'GPL', BTF of \d+ types\n\nPrograms\n {2}entry {3}raw_tp\/sys_enter {2}raw_tracepoint {2}10 instructions\n/,
    );
  });

  test('is stripped of labels and BTF', () => {
    const names = ({ symbols }: BpfObject): string[] =>
      symbols.map(({ name }) => name);
    const read = BpfObject.fromElf(object.toElf());
    expect(names(object.strip())).toEqual(names(read));
    const bare = object.strip({ labels: true });
    expect(names(bare)).toEqual(names(read).filter((name) => name !== 'out'));
    expect(bare.maps).toEqual(object.maps);
    expect(bare.relocations).toEqual(object.relocations);
    const without = object.strip({ btf: true });
    expect(without.sections.map(({ name }) => name)).not.toContain('.BTF');
    expect(without.info.btf).toBeNull();
    expect(without.section('xdp')).toEqual(object.section('xdp'));
  });
});

describe('diagnostics', () => {
  test.each([
    ['unknown mnemonic', 'frobnicate r1\nexit\n', 1, /frobnicate|written/],
    ['register r11', 'exit\nr11 = 0\n', 2, /r11/],
    ['immediate overflow', 'r0 = 0x123456789\nexit\n', 1, /32 bits/],
    ['missing label', 'if r1 == 0 goto nowhere\nexit\n', 1, /nowhere/],
    [
      'duplicate map',
      '.map m, type=hash, key=u32, value=u32, max_entries=1\n'.repeat(2),
      2,
      /twice/,
    ],
  ])('%s', (_, source, line, message) => {
    const [first] = complaints(source);
    expect(first).toMatchObject({ severity: 'error', file: 'bad.s', line });
    expect(first?.column).toBeGreaterThan(0);
    expect(first?.message).toMatch(message);
  });

  test('all errors of a text are told at once, with text for people', () => {
    try {
      assemble('r11 = 0\nexit\nr0 = r12\n', { filename: 'two.s' });
      throw new Error('it assembled');
    } catch (error) {
      expect(error).toBeInstanceOf(AssembleError);
      const { diagnostics, message, text, ansi } = error as AssembleError;
      expect(diagnostics.map((d) => d.line)).toEqual([1, 3]);
      expect(message).toMatch(/^cannot assemble two\.s: 2 errors\n/);
      expect(text).toMatch(/^two\.s:1:1: error: .*\n.*r11 = 0\n.*\^/);
      expect(ansi).toContain('\x1b[');
      expect(text).not.toContain('\x1b[');
    }
  });

  test.each([
    ['nothing', new Uint8Array(0)],
    ['text', new TextEncoder().encode('r0 = 1')],
    ['a truncated file', assemble(program).toElf().subarray(0, 200)],
  ])('%s is no object', (_, bytes) => {
    expect(() => BpfObject.fromElf(bytes, { filename: 'x.o' })).toThrow(
      BpfSyntaxError,
    );
    expect(() => disassemble(bytes, { filename: 'x.o' })).toThrow(/x\.o/);
  });

  test('every truncation of an object is an error or an object, never a trap', () => {
    const elf = assemble(program).toElf();
    let refused = 0;
    for (let size = 0; size < elf.length; size += 7) {
      try {
        BpfObject.fromElf(elf.subarray(0, size));
      } catch (error) {
        expect(error).toBeInstanceOf(BpfSyntaxError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(10);
  });
});
