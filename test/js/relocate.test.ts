/**
 * CO-RE relocation from JavaScript and by the command, beside bpfc; its decisions are compared with
 * libbpf's by scripts/peers/core.mjs.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  assemble,
  BpfObject,
  BpfSyntaxError,
  Btf,
  disassemble,
  relocate,
} from 'bpf';
import { absent, bpf, bpfc, describeUnless, nativeCli, root } from '../support';

/** A part of a case of test/cases/core. */
function part(name: string, wanted: string): string {
  const file = join(root, `test/cases/core/${name}.case`);
  const parts = `\n${readFileSync(file, 'utf8')}`.split(/\n-- (?=\S)/).slice(1);
  const found = parts.find((text) => text.startsWith(`${wanted}\n`));
  if (found === undefined) throw new Error(`${file} has no ${wanted}`);
  return found.slice(wanted.length + 1);
}

const object = (name: string, wanted = 'input.s'): BpfObject =>
  assemble(part(name, wanted));

/** Split BTF with struct gone { int a; }, whose a is at byte 4. */
function splitBtf(base: Uint8Array, int: number): Uint8Array {
  const strings = new DataView(base.buffer, base.byteOffset).getUint32(
    20,
    true,
  );
  const types = [strings + 1, 0x04000001, 8, strings + 6, int, 32];
  const names = new TextEncoder().encode('\0gone\0a\0');
  const words = [0x0001eb9f, 24, 0, 24, 24, names.length, ...types];
  return new Uint8Array([
    ...new Uint8Array(Uint32Array.from(words).buffer),
    ...names,
  ]);
}

let folder = '';
const at = (name: string): string => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpf-core-'));
  for (const name of ['relocate', 'ambiguous']) {
    writeFileSync(at(`${name}.o`), object(name).toElf());
    writeFileSync(at(`${name}-target.o`), object(name, 'target.s').toElf());
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('relocate()', () => {
  test('lists what became of each relocation', () => {
    const target = object('relocate', 'target.s');
    const made = relocate(object('relocate'), target, { names: ['new'] });
    expect(made).toMatchObject({ resolved: 13, poisoned: 1 });
    expect(made.relocations).toHaveLength(14);
    expect(made.relocations[0]).toEqual({
      section: 'tp/sched/sched_switch',
      insn: 0,
      file: './prog.c',
      line: 17,
      column: 19,
      source: 'long sum = t->pid + t->uid + t->comm[3] + t->word.whole;',
      kind: 'byte_off',
      typeId: 2,
      access: '0:0',
      path: 'struct task___old.pid (0:0)',
      outcome: 'resolved',
      from: 0n,
      to: 40n,
      target: { name: 'new', typeId: 2, path: 'struct task.pid (0:4)' },
      reason: null,
      bytes: '6113280000000000',
    });
    expect(
      made.relocations.find((r) => r.outcome === 'poisoned'),
    ).toMatchObject({
      path: 'struct gone.a (0:0)',
      from: null,
      to: null,
      target: null,
      reason: 'there is no struct gone in new',
      bytes: '850000001023ad0b',
    });
  });

  test('gives the relocated object, whose relocations are answered', () => {
    const target = object('relocate', 'target.s');
    const first = relocate(object('relocate'), [target]);
    expect(disassemble(first.object)).toMatch(/\*\(u32 \*\)\(r1 \+ 40\)\n/);
    const again = relocate(first.object.toElf(), target.toElf());
    expect(again.relocations).toEqual([]);
    expect(again.object.toElf()).toEqual(first.object.toElf());
  });

  test('takes Btf, which has a name', () => {
    const target = object('relocate', 'target.s');
    const btf = Btf.ofObject(target, { filename: 'new' });
    const made = relocate(object('relocate'), btf);
    expect(made.relocations[0]?.target?.name).toBe('new');
    const bytes = relocate(object('relocate'), target).object.toElf();
    expect(made.object.toElf()).toEqual(bytes);
  });

  test('looks for what a kernel does not have in its modules', () => {
    const kernel = object('relocate', 'target.s').section('.BTF')!;
    const base = Btf.from(kernel, { filename: 'kernel' });
    const module = Btf.from(splitBtf(kernel, base.find('int')!.id), {
      filename: 'module',
      base,
    });
    // The base comes by itself when the module stands alone.
    for (const targets of [module, [base, module]]) {
      const made = relocate(object('relocate'), targets);
      expect(made).toMatchObject({ resolved: 14, poisoned: 0 });
      expect(made.relocations.map((r) => r.target?.path)).toContain(
        'struct gone.a (0:0)',
      );
      expect(made.relocations.at(-1)?.target?.name).toBe('kernel');
    }
  });

  test('throws when a relocation fails, and names it', () => {
    const target = object('ambiguous', 'target.s');
    const options = { filename: 'prog.o', names: ['target.o'] };
    const run = (): unknown => relocate(object('ambiguous'), target, options);
    expect(run).toThrow(BpfSyntaxError);
    expect(run).toThrow(
      /struct pair \[1\] of target\.o and struct pair___2 \[4\]/,
    );
    expect(run).toThrow(/cannot relocate prog\.o/);
  });

  test('refuses what is no BTF, and no target at all', () => {
    const bytes = new Uint8Array(40);
    const run = (): unknown =>
      relocate(object('relocate'), bytes, { names: ['zeroes'] });
    expect(run).toThrow(/zeroes/);
    expect(() => relocate(object('relocate'), [])).toThrow(RangeError);
  });
});

describeUnless(absent(nativeCli), 'core, beside bpfc', () => {
  const both = (...args: string[]): { status: number; stdout: string } => {
    const native = bpfc('core', ...args);
    expect(bpf('core', ...args)).toEqual(native);
    return { status: native.status ?? -1, stdout: native.stdout };
  };

  test('the same list, as text and as JSON', () => {
    const args = [at('relocate.o'), '--btf', at('relocate-target.o')];
    expect(both(...args)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('13 resolved, 1 poisoned, 0 failed\n'),
    });
    const { stdout } = both(...args, '--json');
    expect(JSON.parse(stdout)).toMatchObject({ resolved: 13, failed: 0 });
  });

  test('the same object', () => {
    const args = [at('relocate.o'), '--btf', at('relocate-target.o'), '-o'];
    expect(both(...args, at('out.o')).status).toBe(0); // bpf writes last
    const mine = readFileSync(at('out.o'));
    bpfc('core', ...args, at('out.o'));
    expect(readFileSync(at('out.o'))).toEqual(mine);
    expect(new Uint8Array(mine)).toEqual(
      relocate(
        object('relocate'),
        object('relocate', 'target.s'),
      ).object.toElf(),
    );
  });

  test('the same errors', () => {
    const target = ['--btf', at('ambiguous-target.o')];
    expect(both(at('ambiguous.o'), ...target).status).toBe(1);
    expect(both(at('ambiguous.o'), ...target, '--json').status).toBe(1);
    writeFileSync(at('none.btf'), 'no types');
    expect(both(at('relocate.o'), '--btf', at('none.btf')).status).toBe(1);
    expect(both(at('relocate.o'), '--btf', at('none.btf'), '--json')).toEqual({
      status: 1,
      stdout: expect.stringContaining('"bad-btf"'),
    });
    expect(both(at('none.btf'), ...target).status).toBe(1);
  });
});
