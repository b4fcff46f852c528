// The running kernel's verdict on every program of objects, and what the programs do, by
// test/corpus/load.c. A verdict is kept by the object's contents, the kernel and the loader.
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { StepError, hashInputs, inRoot, root } from '../lib/steps.mjs';
import { hash, keep, kept, parallel } from './work.mjs';

const run = promisify(execFile);
const output = { maxBuffer: 1 << 30 };
const BATCH = 8;
const sources = ['load.c', 'asked.c', 'run.c', 'tell.c'].map(
  (name) => `test/corpus/${name}`,
);
const WRAPPED = [
  ...['bpf_prog_load', 'bpf_map_update_elem'],
  ...['btf__load_vmlinux_btf', 'btf__free', 'syscall'],
];

/** Why nothing can be loaded here, or null. */
export function noLoader() {
  if (process.getuid?.() !== 0) return 'only root loads programs';
  if (!fs.existsSync(inRoot('build/deps/lib/libbpf.a')))
    return 'no build/deps/lib/libbpf.a';
  return null;
}

let loader;
/** { path, key }: the loader, linked with the libbpf that the addon has. */
function buildLoader() {
  if (loader) return loader;
  const key = hashInputs([...sources, 'test/corpus/load.h']);
  const to = inRoot('build/peers', `load-${key.slice(0, 12)}`);
  if (!fs.existsSync(to)) {
    const lib = (name) => inRoot('build/deps/lib', name);
    const libraries = ['libbpf.a', 'libelf.a', 'libeu.a'].map(lib);
    fs.mkdirSync(path.dirname(to), { recursive: true });
    const args = [
      ...[
        '-O1',
        '-Wall',
        '-Wextra',
        '-o',
        to,
        ...sources.map((s) => inRoot(s)),
      ],
      `-I${inRoot('build/deps/include')}`,
      ...libraries.filter((file) => fs.existsSync(file)),
      '-lz',
      ...WRAPPED.map((name) => `-Wl,--wrap=${name}`),
    ];
    execFileSync('cc', args, { cwd: root, stdio: 'pipe' });
  }
  return (loader = { path: to, key });
}

async function ask(words) {
  const { path: program } = buildLoader();
  const { stdout } = await run(program, words, output).catch((error) => {
    throw new StepError(`${program} ${words.join(' ')}: ${error.message}`);
  });
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** The part of a record that is worth keeping, and figures out of the verifier's last line. */
function recordOf(said) {
  const number = (word) =>
    Number(new RegExp(`${word} (\\d+)`).exec(said.stats ?? '')?.[1] ?? 0);
  const record = { ...said };
  delete record.object;
  delete record.stats;
  record.insns = number('processed');
  record.states = number('total_states');
  return record;
}

/**
 * The records of each object's programs, by its path. `turn` tells repeated runs of one object from
 * each other; `fresh` asks the kernel again, whatever was kept.
 */
export async function judge(objects, { turn = 0, fresh = false, log } = {}) {
  const { key: loaderKey } = buildLoader();
  const kernel = os.release() + os.version();
  const records = new Map();
  const todo = [];
  for (const object of objects) {
    const bytes = fs.readFileSync(object);
    const key = hash(bytes, loaderKey, kernel, String(turn));
    const known = fresh ? undefined : kept(key);
    if (known) records.set(object, known);
    else todo.push({ object, key });
  }
  if (todo.length > 20) log?.(`kernel: ${todo.length} objects`);
  const batches = [];
  for (let n = 0; n < todo.length; n += BATCH)
    batches.push(todo.slice(n, n + BATCH));
  await parallel(batches, async (batch) => {
    const said = await ask(['--run', ...batch.map(({ object }) => object)]);
    for (const { object, key } of batch) {
      const own = said.filter((record) => record.object === object);
      records.set(object, keep(key, own.map(recordOf)));
    }
  });
  return records;
}

/**
 * All that libbpf asks of the kernel for each object, loaded with all of its programs, and what the
 * kernel makes of them, by the object's path: { asked: texts and programs, result }.
 */
export async function asked(objects, { log } = {}) {
  const { key: loaderKey } = buildLoader();
  const kernel = os.release() + os.version();
  const records = new Map();
  const todo = [];
  for (const object of objects) {
    const key = hash(fs.readFileSync(object), loaderKey, kernel, 'asked');
    const known = kept(key);
    if (known) records.set(object, known);
    else todo.push({ object, key });
  }
  if (todo.length > 20) log?.(`kernel: ${todo.length} objects as a whole`);
  await parallel(todo, async ({ object, key }) => {
    const [said] = await ask(['--asked', object]);
    delete said?.object;
    records.set(object, keep(key, said ?? {}));
  });
  return records;
}

const LOG_MOST = 1 << 20;

/**
 * What a user sees of the programs that are refused, by the object's path: records with `log`, at
 * level 1; of a longer log its last megabyte, as a kernel gives it whose buffer is too small.
 */
export async function refusals(objects, { log } = {}) {
  const { key: loaderKey } = buildLoader();
  const kernel = os.release() + os.version();
  const records = new Map();
  let done = 0;
  await parallel(objects, async (object) => {
    const key = hash(fs.readFileSync(object), loaderKey, kernel, 'refusals');
    let refused = kept(key);
    if (!refused) {
      const said = await ask(['--refusals', object]);
      refused = said
        .filter(({ verdict }) => verdict === 'rejected')
        .map((record) => ({
          program: record.program,
          expect: record.expect,
          log: (record.log ?? '').slice(-LOG_MOST),
        }));
      keep(key, refused);
      done += 1;
      if (done % 100 === 0) log?.(`kernel: ${done} objects`);
    }
    records.set(object, refused);
  });
  return records;
}

/** The verifier's whole log of one program. */
export async function logOf(object, program) {
  const [said] = await ask(['--log', '--program', program, object]);
  return said?.log ?? '';
}
