/**
 * The public conformance suite, through wasm: every vector is assembled and run in a Machine.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { assemble, BpfObject, Machine } from 'bpf';
import { absent, describeUnless, filesBelow, shared } from '../support';

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

describeUnless(absent(folder), 'conformance vectors in wasm', () => {
  const files = filesBelow(folder, '.data');

  test(`there are ${COUNT}`, () => {
    expect(files.length).toBe(COUNT);
  });

  test.each(files.map((file) => [basename(file, '.data'), file]))(
    '%s',
    (_, file) => {
      const text = readFileSync(file, 'utf8');
      expect(runVector(text)).toBe(expected(text));
    },
  );
});
