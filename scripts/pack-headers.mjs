// Packs the C headers that programs include into one file, and reads it back: libbpf's <bpf/*.h>
// and the kernel's <linux/...>, <asm/...> and <asm-generic/...>, as they are installed, with their
// SPDX lines. The same headers give the same bytes.
//
// The file: 8 bytes magic "BPFHDR1\n", then everything else compressed with brotli:
//   u32 number of files (little-endian, as all numbers)
//   per file: u16 length of its path, the path (UTF-8), u32 offset, u32 size; sorted by path
//   the contents; offsets count from their start
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { inRoot } from './lib/steps.mjs';

const MAGIC = Buffer.from('BPFHDR1\n');

/** { path: Buffer } to the bytes of a header set. */
export function writeHeaderSet(files) {
  const paths = Object.keys(files).sort();
  const table = [Buffer.alloc(4)];
  table[0].writeUInt32LE(paths.length);
  let offset = 0;
  for (const name of paths) {
    const text = Buffer.from(name);
    const row = Buffer.alloc(2 + text.length + 8);
    row.writeUInt16LE(text.length, 0);
    text.copy(row, 2);
    row.writeUInt32LE(offset, 2 + text.length);
    row.writeUInt32LE(files[name].length, 6 + text.length);
    table.push(row);
    offset += files[name].length;
  }
  const plain = Buffer.concat([...table, ...paths.map((name) => files[name])]);
  const params = {
    [zlib.constants.BROTLI_PARAM_QUALITY]: 9,
    [zlib.constants.BROTLI_PARAM_LGWIN]: 22,
    [zlib.constants.BROTLI_PARAM_SIZE_HINT]: plain.length,
  };
  return Buffer.concat([MAGIC, zlib.brotliCompressSync(plain, { params })]);
}

/** The bytes of a header set to a Map of path to Buffer. */
export function readHeaderSet(bytes) {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw new Error('not a header set');
  const plain = zlib.brotliDecompressSync(bytes.subarray(MAGIC.length));
  const rows = [];
  let at = 4;
  for (let left = plain.readUInt32LE(0); left > 0; left--) {
    const end = at + 2 + plain.readUInt16LE(at);
    const name = plain.toString('utf8', at + 2, end);
    rows.push([name, plain.readUInt32LE(end), plain.readUInt32LE(end + 4)]);
    at = end + 8;
  }
  return new Map(
    rows.map(([name, offset, size]) => [
      name,
      plain.subarray(at + offset, at + offset + size),
    ]),
  );
}

function collect(files, dir, prefix) {
  for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
    const from = path.join(dir, entry.name);
    if (fs.statSync(from).isDirectory())
      collect(files, from, `${prefix}/${entry.name}`);
    else if (entry.name.endsWith('.h'))
      files[`${prefix}/${entry.name}`] = fs.readFileSync(from);
  }
}

/** Packs the installed headers into build/headers.bin; says what it packed. */
export function packHeaders(bpfDir) {
  const files = {};
  collect(files, bpfDir, 'bpf');
  const roots = ['/usr/include', ...multiarchRoots()];
  for (const prefix of ['linux', 'asm', 'asm-generic']) {
    const dir = roots
      .map((root) => path.join(root, prefix))
      .find((name) => fs.existsSync(name));
    if (!dir)
      throw new Error(`no <${prefix}/...> headers below ${roots.join(', ')}`);
    collect(files, dir, prefix);
  }
  const packed = writeHeaderSet(files);
  fs.mkdirSync(inRoot('build'), { recursive: true });
  fs.writeFileSync(inRoot('build/headers.bin'), packed);
  return `packed ${Object.keys(files).length} headers into ${Math.ceil(packed.length / 1024)} KB`;
}

function multiarchRoots() {
  return fs
    .readdirSync('/usr/include')
    .filter((name) => name.endsWith('-linux-gnu'))
    .map((name) => path.join('/usr/include', name));
}
