/**
 * llvm.test.ts - the instruction table against LLVM, in the llvm dialect: the text of every
 * instruction (isa_test prints it) assembled by llvm-mc and by bpfc to the same bytes, and
 * disassembled by llvm-objdump and by bpfc to the same lines. LLVM 14 judges v3, LLVM 19 v4.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BpfObject } from 'bpf';
import { bpfc, filesBelow, root, run } from '../support';

interface Peer {
  version: number;
  cpu: number;
  /** How its objdump is told to know 32-bit loads and to write numbers as bpfc is told. */
  objdump: string[];
  dis: string[];
  /** What its assembler cannot read although its disassembler writes it. */
  unreadable: RegExp;
}

const peers: Peer[] = [
  {
    version: 14,
    cpu: 3,
    objdump: ['--mattr=+alu32'],
    dis: [],
    unreadable: /xchg|atomic_fetch_/,
  },
  {
    version: 19,
    cpu: 4,
    objdump: ['--mcpu=v4'],
    dis: ['--hex'],
    unreadable: /(?!)/,
  },
];

const folder = mkdtempSync(join(tmpdir(), 'bpf-peers-'));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string): string => join(folder, name);

/** A line with its white space folded. */
const folded = (line: string): string => line.trim().replace(/\s+/g, ' ');

const lines = (text: string): string[] =>
  text.split('\n').map(folded).filter(Boolean);

/** The code of an object's .text, in hex. */
function code(path: string): string {
  const text = BpfObject.fromElf(readFileSync(path)).section('.text');
  return Buffer.from(text ?? []).toString('hex');
}

/** The lines that llvm-mc refuses, by number from 0. */
function refused(peer: Peer, path: string): Set<number> {
  const { stderr } = run(`llvm-mc-${peer.version}`, [
    '-triple=bpfel',
    `-mcpu=v${peer.cpu}`,
    '-filetype=obj',
    path,
    '-o',
    '/dev/null',
  ]);
  const found = stderr.matchAll(/^.*?:(\d+):\d+: error:/gm);
  return new Set([...found].map(([, line]) => Number(line) - 1));
}

function llvmMc(peer: Peer, path: string, out: string): void {
  const args = ['-triple=bpfel', `-mcpu=v${peer.cpu}`, '-filetype=obj'];
  const done = run(`llvm-mc-${peer.version}`, [...args, path, '-o', out]);
  expect(done.stderr).toBe('');
  expect(done.status).toBe(0);
}

/** What llvm-objdump says about each instruction: without address, and without <symbols>. */
function objdump(peer: Peer, path: string): string[] {
  const args = ['-d', '--no-show-raw-insn', ...peer.objdump, path];
  const { stdout } = run(`llvm-objdump-${peer.version}`, args);
  return lines(stdout)
    .filter((line) => /^\d+: /.test(line))
    .map((line) => folded(line.replace(/^\d+:/, '').replace(/ <\S+>$/, '')));
}

for (const peer of peers) {
  const there =
    spawnSync(`llvm-mc-${peer.version}`, ['--version']).error === undefined;
  const name = `LLVM ${peer.version}, v${peer.cpu}`;
  // Set-up installs the peers, so that their absence is a failure and no reason to skip.
  describe(name, () => {
    let table: string[] = [];

    beforeAll(() => {
      expect(there ? 'installed' : `llvm-mc-${peer.version} is missing`).toBe(
        'installed',
      );
      const printer = filesBelow(join(root, 'build/release'), 'isa_test')[0];
      expect(printer).toBeDefined();
      const printed = run(printer ?? '', ['--print', String(peer.cpu)]);
      table = printed.stdout.split('\n').filter(Boolean);
      expect(table.length).toBeGreaterThan(20_000);
    });

    test('the same bytes', () => {
      writeFileSync(file('all.s'), table.join('\n') + '\n');
      const bad = refused(peer, file('all.s'));
      for (const line of bad) expect(table[line]).toMatch(peer.unreadable);
      const readable = table.filter((_, line) => !bad.has(line));
      expect(readable.length).toBeGreaterThan(18_000);
      writeFileSync(file('table.s'), readable.join('\n') + '\n');
      llvmMc(peer, file('table.s'), file('llvm.o'));
      expect(bpfc('as', file('table.s'), '-o', file('ours.o'))).toEqual({
        status: 0,
        stdout: '',
        stderr: '',
      });
      expect(code(file('ours.o')) === code(file('llvm.o'))).toBe(true);
    });

    test('the same lines', () => {
      writeFileSync(file('table.s'), table.join('\n') + '\n');
      expect(bpfc('as', file('table.s'), '-o', file('ours.o')).status).toBe(0);
      const text = bpfc('dis', file('ours.o'), '--numeric', ...peer.dis).stdout;
      const ours = lines(text).slice(1); // behind the .section line
      const theirs = objdump(peer, file('ours.o'));
      expect(ours.length).toBe(table.length);
      expect(theirs.length).toBe(table.length);
      const different = ours
        .map((line, i) => [line, theirs[i]])
        .filter(([a, b]) => a !== b);
      expect(different.slice(0, 10)).toEqual([]);
    });
  });
}
