import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { inRoot } from '../lib/steps.mjs';
import { readHeaderSet, writeHeaderSet } from '../pack-headers.mjs';

test('a header set reads back as it was written, in any order of its files', () => {
  const files = {
    'linux/types.h': Buffer.from('/* SPDX-License-Identifier: GPL-2.0 */\n'),
    'bpf/ä.h': Buffer.from([0, 255, 10]),
    'bpf/empty.h': Buffer.alloc(0),
  };
  const backwards = Object.fromEntries(Object.entries(files).reverse());
  assert.deepEqual(writeHeaderSet(files), writeHeaderSet(backwards));
  const read = readHeaderSet(writeHeaderSet(files));
  assert.deepEqual([...read.keys()], Object.keys(files).sort());
  for (const [name, bytes] of Object.entries(files))
    assert.ok(read.get(name).equals(bytes), name);
});

test('what is no header set is refused', () => {
  assert.throws(() => readHeaderSet(Buffer.from('ELF')), /not a header set/);
});

const packed = inRoot('build/headers.bin');
const skip = fs.existsSync(packed)
  ? false
  : 'build/headers.bin is made on Linux only';

test(
  'the packed set has the headers that programs include, as installed',
  { skip },
  () => {
    const set = readHeaderSet(fs.readFileSync(packed));
    for (const name of [
      'bpf/bpf_helpers.h',
      'bpf/bpf_helper_defs.h',
      'linux/bpf.h',
      'asm/types.h',
      'asm-generic/int-ll64.h',
    ])
      assert.ok(set.has(name), name);
    assert.ok(
      set
        .get('linux/bpf.h')
        .equals(fs.readFileSync('/usr/include/linux/bpf.h')),
    );
    assert.match(
      set.get('bpf/bpf_helpers.h').toString(),
      /SPDX-License-Identifier: \(LGPL-2.1 OR BSD-2-Clause\)/,
    );
  },
);
