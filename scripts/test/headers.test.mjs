import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { inRoot } from '../lib/steps.mjs';
import {
  readHeaderSet,
  stripComments,
  writeHeaderSet,
} from '../pack-headers.mjs';

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

test('comments go, lines and what is about the licence stay', () => {
  const keep = (text) => assert.equal(stripComments(text), text);
  const gives = (text, stripped) => assert.equal(stripComments(text), stripped);
  gives('int a; /* b */ int c; // d\nint e;\n', 'int a;   int c;\nint e;\n');
  gives('a /* one\n two\n */\nb\n', 'a\n\n\nb\n');
  keep('a// one \\\n two\nb\n');
  gives("'\\'' /* ' */ \"/* no \\\" */\" // x", '\'\\\'\'   "/* no \\" */"');
  keep('/* SPDX-License-Identifier: MIT */\n// Copyright (c) somebody\n');
  keep('#define A 1 /* over\n lines */ + 2\n');
  keep('#define A \\\n 1 /* in \\\n it */\n');
  keep("#error don't\nint it's; /\n");
});

test(
  'the packed set has the headers that programs include, but for comments',
  { skip },
  () => {
    const set = readHeaderSet(fs.readFileSync(packed));
    for (const name of [
      'bpf/bpf_helpers.h',
      'bpf/bpf_helper_defs.h',
      'linux/bpf.h',
      'asm/types.h',
      'asm-generic/int-ll64.h',
      'stddef.h',
    ])
      assert.ok(set.has(name), name);
    const installed = fs.readFileSync('/usr/include/linux/bpf.h', 'utf8');
    assert.equal(
      set.get('linux/bpf.h').toString().split('\n').length,
      installed.split('\n').length,
    );
    assert.match(
      set.get('bpf/bpf_helpers.h').toString(),
      /SPDX-License-Identifier: \(LGPL-2.1 OR BSD-2-Clause\)/,
    );
  },
);
