// Packs the C headers that programs include into one file, and reads it back: libbpf's <bpf/*.h>,
// the kernel's <linux/...>, <asm/...> and <asm-generic/...> as they are installed, and the compiler's
// own of asm-core/headers. Comments are left out, since they are half of it and every compilation
// would read them, except those that speak of licence and copyright; lines keep their numbers. The
// same headers give the same bytes. The format is described in asm-core/cc/packed.h, whose reader is
// the one that programs meet.
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { inRoot } from './lib/steps.mjs';

const MAGIC = Buffer.from('BPFHDR2\n');
const HEAD = 12;
const ROW = 20;

/** { path: Buffer } to the bytes of a header set. */
export function writeHeaderSet(files) {
  const names = Object.keys(files).map((name) => [Buffer.from(name), name]);
  names.sort(([a], [b]) => Buffer.compare(a, b));
  const head = Buffer.alloc(HEAD + ROW * names.length);
  MAGIC.copy(head);
  head.writeUInt32LE(names.length, MAGIC.length);
  const parts = [head];
  let offset = head.length;
  const place = (bytes, at) => {
    head.writeUInt32LE(offset, at);
    head.writeUInt32LE(bytes.length, at + 4);
    parts.push(bytes);
    offset += bytes.length;
  };
  names.forEach(([bytes], n) => place(bytes, HEAD + ROW * n));
  names.forEach(([, name], n) => {
    const row = HEAD + ROW * n;
    place(zlib.deflateRawSync(files[name], { level: 9 }), row + 8);
    head.writeUInt32LE(files[name].length, row + 16);
  });
  return Buffer.concat(parts);
}

/** The bytes of a header set to a Map of path to Buffer. */
export function readHeaderSet(bytes) {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw new Error('not a header set');
  const files = new Map();
  const span = (at) => {
    const offset = bytes.readUInt32LE(at);
    return bytes.subarray(offset, offset + bytes.readUInt32LE(at + 4));
  };
  for (let n = 0; n < bytes.readUInt32LE(MAGIC.length); n++) {
    const row = HEAD + ROW * n;
    files.set(span(row).toString(), zlib.inflateRawSync(span(row + 8)));
  }
  return files;
}

/**
 * C without its comments: each becomes a blank, or the line ends that it had. Kept are those about
 * the licence, and those that stand inside of a directive's line.
 */
export function stripComments(text) {
  const token =
    /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/\*[^]*?\*\/|\/\/(?:\\\n|[^\n])*/g;
  const blank = (comment, offset) => {
    if (!comment.startsWith('/')) return comment;
    if (/SPDX|copyright|licen[cs]e/i.test(comment)) return comment;
    const lines = comment.replace(/[^\n]/g, '');
    if (lines === '') return ' ';
    const rest = /.*/.exec(text.slice(offset + comment.length))[0];
    return rest.trim() === '' && !comment.includes('\\\n') ? lines : comment;
  };
  return text.replace(token, blank).replace(/[ \t]+$/gm, '');
}

function collect(files, dir, prefix) {
  for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
    const from = path.join(dir, entry.name);
    if (fs.statSync(from).isDirectory())
      collect(files, from, `${prefix}${entry.name}/`);
    else if (entry.name.endsWith('.h'))
      files[`${prefix}${entry.name}`] = Buffer.from(
        stripComments(fs.readFileSync(from, 'latin1')),
        'latin1',
      );
  }
}

/** Packs the installed headers into build/headers.bin; says what it packed. */
export function packHeaders(bpfDir) {
  const files = {};
  collect(files, bpfDir, 'bpf/');
  const roots = ['/usr/include', ...multiarchRoots()];
  for (const prefix of ['linux', 'asm', 'asm-generic']) {
    const dir = roots
      .map((root) => path.join(root, prefix))
      .find((name) => fs.existsSync(name));
    if (!dir)
      throw new Error(`no <${prefix}/...> headers below ${roots.join(', ')}`);
    collect(files, dir, `${prefix}/`);
  }
  collect(files, inRoot('asm-core/headers'), '');
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
