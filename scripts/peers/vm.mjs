// The VM against the public conformance vectors, natively and in wasm, and its speed on the three
// programs of bench/programs.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { measure } from '../../bench/vm.mjs';
import { inRoot } from '../lib/steps.mjs';

const VECTORS = 219;
const shared = process.env.BPF_SHARED ?? inRoot('../shared');
const folder = path.join(shared, 'vectors/conformance');
const bpfc = inRoot('build/release/bpfc');
const dist = inRoot('dist/bindings/src/index.js');

/** The parts of a vector by the word behind `-- `. */
function parse(file) {
  const parts = {};
  let name;
  for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
    if (line.startsWith('-- ')) parts[(name = line.slice(3).trim())] = '';
    else if (name !== undefined) parts[name] += `${line}\n`;
  }
  return {
    file,
    asm: parts.asm,
    raw: parts.raw,
    mem: (parts.mem ?? '').replace(/\s+/g, ''),
    result: BigInt.asUintN(64, BigInt(parts.result.trim())),
  };
}

function rawBytes(raw) {
  const words = raw.trim().split(/\s+/).map(BigInt);
  const bytes = Buffer.alloc(words.length * 8);
  words.forEach((word, i) => bytes.writeBigUInt64LE(word, i * 8));
  return bytes;
}

function runNative(vector, scratch) {
  const input = path.join(scratch, vector.raw ? 'v.bin' : 'v.s');
  fs.writeFileSync(input, vector.raw ? rawBytes(vector.raw) : vector.asm);
  const words = ['sim', input, '--dialect', 'ubpf'];
  if (vector.raw) words.push('--raw');
  if (vector.mem) words.push('--mem', vector.mem);
  const { stdout, stderr } = spawnSync(bpfc, words, { encoding: 'utf8' });
  const last = stdout.trim().split(/\s+/).pop();
  return last ? BigInt(last) : stderr;
}

function runWasm({ assemble, BpfObject, Machine }, vector) {
  const object = vector.raw
    ? BpfObject.fromRaw(rawBytes(vector.raw))
    : assemble(vector.asm, { dialect: 'ubpf' });
  const machine = new Machine(object);
  try {
    return machine.run('', { mem: Buffer.from(vector.mem, 'hex') }).r0;
  } catch (error) {
    return String(error);
  } finally {
    machine.close();
  }
}

/** A row: all vectors by one way of running them. */
function judge(what, vectors, run) {
  const wrong = [];
  for (const vector of vectors) {
    const r0 = run(vector);
    if (r0 !== vector.result)
      wrong.push(`${path.basename(vector.file)}: ${r0}, not ${vector.result}`);
  }
  const right = vectors.length - wrong.length;
  return {
    what: `conformance vectors, ${what}`,
    required: `${VECTORS} of ${VECTORS}`,
    measured: `${right} of ${vectors.length}`,
    ok: right === VECTORS && wrong.length === 0,
    notes: wrong,
  };
}

function vectorRows() {
  const files = fs.readdirSync(folder, { recursive: true });
  const vectors = files
    .filter((name) => name.endsWith('.data'))
    .map((name) => parse(path.join(folder, name)));
  const api = createRequire(import.meta.url)(dist);
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-vectors-'));
  try {
    return [
      judge('native', vectors, (vector) => runNative(vector, scratch)),
      judge('wasm', vectors, (vector) => runWasm(api, vector)),
    ];
  } finally {
    fs.rmSync(scratch, { recursive: true });
  }
}

export default {
  name: 'vm',
  title: 'VM: conformance vectors, speed',

  needs() {
    if (!fs.existsSync(folder)) return `no vectors in ${folder}`;
    if (!fs.existsSync(bpfc)) return 'no build/release/bpfc: npm run build';
    return fs.existsSync(dist) ? null : 'no dist: npm run build';
  },

  async run({ sample, log }) {
    const rows = vectorRows();
    return sample ? rows : [...rows, ...(await measure(log))];
  },
};
