// What libbpf is handed are never a stranger's bytes but what asm-core's writer made of what asm-core's
// reader took from them (load() of the package). Both must be the same to libbpf and to the kernel:
// each object is loaded twice, as its compiler wrote it and as asm-core does, and everything that
// libbpf asks of the kernel is compared (maps, BTF, instructions with their lines, contents), as are
// the answers: verdicts, the verifier's figures, tags and rewritten instructions.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { inRoot } from '../lib/steps.mjs';
import { asked } from './load.mjs';
import { noWasm } from './wasm.mjs';
import { hash } from './work.mjs';

const INDEX = inRoot('dist/bindings/src/index.js');
const require = createRequire(import.meta.url);

/** Why it cannot be judged here, or null. */
export const noReemit = noWasm;

/** The path of the object as load() hands it over; throws where asm-core does not read it. */
function reemitted(object, dir) {
  const { BpfObject } = require(INDEX);
  const elf = BpfObject.fromElf(fs.readFileSync(object)).toElf();
  const to = path.join(dir, `${hash(elf)}.o`);
  if (!fs.existsSync(to)) fs.writeFileSync(to, elf);
  return to;
}

/** A text for each question and answer, and the end of the load. */
const lines = ({ asked: calls = [], result, open, reason = '' } = {}) => [
  ...calls.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))),
  `result ${result ?? open}: ${reason}`,
];

/** '' or how the second differs. */
export function differs(raw, written) {
  const [one, two] = [lines(raw), lines(written)];
  const at = one.findIndex((line, n) => line !== two[n]);
  if (at < 0 && one.length === two.length) return '';
  const place = at < 0 ? one.length : at;
  return `${two[place] ?? 'nothing'}, raw ${one[place] ?? 'nothing'}`;
}

/** Of each object, by its path: '' or how it differs when asm-core has written it anew. */
export async function reemit(objects, { log } = {}) {
  const dir = inRoot('build/corpus/reemitted');
  fs.rmSync(dir, { recursive: true, force: true });
  fs.mkdirSync(dir, { recursive: true });
  const found = new Map();
  const pairs = new Map();
  for (const object of objects) {
    try {
      pairs.set(object, reemitted(object, dir));
    } catch (error) {
      found.set(object, `asm-core: ${String(error.message).split('\n')[0]}`);
    }
  }
  const told = await asked([...pairs.keys(), ...pairs.values()], { log });
  for (const [object, written] of pairs) {
    found.set(object, differs(told.get(object), told.get(written)));
  }
  return found;
}
