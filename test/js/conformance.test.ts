/**
 * The public conformance suite, natively and through wasm: every vector is assembled and run.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { assemble, BpfObject, Machine } from 'bpf';
import {
  absent,
  bpfc,
  describeUnless,
  filesBelow,
  nativeCli,
  node,
  shared,
  testUnless,
} from '../support';

const folder = join(shared, 'vectors/conformance');
const COUNT = 219;

/** The parts of a vector by the word behind `-- `. */
function sections(text: string): Map<string, string> {
  const parts = new Map<string, string>();
  let name: string | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('-- ')) parts.set((name = line.slice(3).trim()), '');
    else if (name !== undefined) {
      parts.set(name, `${parts.get(name) ?? ''}${line}\n`);
    }
  }
  return parts;
}

/** 64-bit words in hex, one a line, as little-endian bytes. */
function rawObject(words: string): BpfObject {
  const values = words.trim().split(/\s+/).map(BigInt);
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setBigUint64(i * 8, value, true));
  return BpfObject.fromRaw(bytes);
}

/** Texts are programs of their own: one without a place to stand is run from its start. */
function runVector(text: string): bigint {
  const parts = sections(text);
  const raw = parts.get('raw');
  const mem = Buffer.from((parts.get('mem') ?? '').replace(/\s+/g, ''), 'hex');
  const object = raw
    ? rawObject(raw)
    : assemble(parts.get('asm') ?? '', { dialect: 'ubpf' });
  const machine = new Machine(object);
  try {
    return machine.run('', { mem }).r0;
  } finally {
    machine.close();
  }
}

const expected = (text: string): bigint =>
  BigInt.asUintN(64, BigInt((sections(text).get('result') ?? '').trim()));

interface Vector {
  path: string;
  words: string[];
  r0: bigint;
}

/** What a vector is on a command line; its assembly goes to `file`. */
function commandLine(path: string, file: string): Vector {
  const text = readFileSync(path, 'utf8');
  const parts = sections(text);
  writeFileSync(file, parts.get('asm') ?? '');
  const mem = (parts.get('mem') ?? '').trim();
  const options = ['--dialect', 'ubpf', ...(mem ? ['--mem', mem] : [])];
  return { path, words: ['sim', file, ...options], r0: expected(text) };
}

describeUnless(absent(folder), 'conformance vectors', () => {
  const files = filesBelow(folder, '.data');

  test(`there are ${COUNT}`, () => {
    expect(files.length).toBe(COUNT);
  });

  let scratch = '';
  let vectors: Vector[] = [];
  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), 'bpf-vectors-'));
    vectors = files.map((path, i) =>
      commandLine(path, join(scratch, `${i}.s`)),
    );
  });
  afterAll(() => rmSync(scratch, { recursive: true }));

  testUnless(
    absent(nativeCli),
    'bpfc sim FILE --dialect ubpf --mem HEX passes all of them',
    () => {
      for (const { path, words, r0 } of vectors) {
        const { status, stdout, stderr } = bpfc(...words);
        const last = stdout.trim().split(/\s+/).at(-1) ?? '';
        expect({ path, status, stderr, r0: BigInt(last) }).toEqual({
          path,
          status: 0,
          stderr: '',
          r0,
        });
      }
    },
  );

  test('bpf sim FILE --dialect ubpf --mem HEX passes all of them', () => {
    // One process for all: main() is what the command runs.
    const words = JSON.stringify(vectors.map((vector) => vector.words));
    const { status, stdout, stderr } = node(
      `const { main } = require('./dist/bindings/src/cli/main.js');
       process.exitCode = Math.max(...${words}.map((words) => main(words)));`,
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toBe(
      vectors.map(({ r0 }) => `0x${r0.toString(16)}\n`).join(''),
    );
  });

  test.each(files.map((file) => [basename(file, '.data'), file]))(
    '%s',
    (_, file) => {
      const text = readFileSync(file, 'utf8');
      expect(runVector(text)).toBe(expected(text));
    },
  );
});
