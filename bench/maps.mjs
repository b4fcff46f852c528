// What operations on the kernel's maps cost from Node, against C on libbpf (bench/maps.c) in the same
// run: `node bench/maps.mjs [ROUNDS [NAME…]]` as root, after `npm run build`. Each contender is a process of
// its own in each round, in turn; CPU time of the best pass; the figure is the median of their
// ratios, above 1 = faster than C.
//   hot     lookups in a hash of 1,024 entries: the call and the system call
//   lookup  the same in 100,000 entries, in random order
//   get     the same through map.get(key) with types, number to bigint
//   batch   reading all 100,000 entries
//   drain   200,000 records of 64 bytes from a ring buffer, to bytes with offsets; that they are the
//           right ones is looked at when the clock stands still
//   place   the same with a sum over all; C adds each where it is, Node what its batches have
//   load    opening and loading an object with maps, globals, BTF and CO-RE, in milliseconds
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { median } from '../scripts/lib/cpu.mjs';
import { printTable, summary } from '../scripts/lib/table.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const self = fileURLToPath(import.meta.url);
const HOT = 1024;
const ENTRIES = 100_000;
const RECORDS = 200_000;
const PASSES = 7;
const ROUNDS = 7;
const GETUID = { x64: 102n, arm64: 174n }[process.arch];

/** CPU time in ns, as bench/maps.c measures it. */
function now() {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

function makeMap(bpf, count) {
  const map = bpf.KernelMap.create({
    type: 1,
    keySize: 4,
    valueSize: 8,
    maxEntries: count,
  });
  const typed = map.as(bpf.u32, bpf.u64);
  for (let i = 0; i < count; i++) typed.set(i, BigInt(i));
  return map;
}

/** The same order as in bench/maps.c. */
function shuffled(count) {
  const keys = Uint32Array.from({ length: count }, (_, i) => i);
  let state = 1;
  for (let i = count - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = state % (i + 1);
    [keys[i], keys[j]] = [keys[j], keys[i]];
  }
  return keys;
}

function best(pass) {
  let least = Infinity;
  for (let i = 0; i < PASSES; i++) least = Math.min(least, pass());
  return least;
}

function bound(bpf, count) {
  const map = makeMap(bpf, count);
  const keys = shuffled(count);
  const { key, value, lookup } = map.bind();
  const where = new Uint32Array(key.buffer);
  const found = new Uint32Array(value.buffer);
  const times = Math.floor(ENTRIES / count);
  return best(() => {
    let sum = 0;
    const start = now();
    for (let n = 0; n < times; n++)
      for (let i = 0; i < count; i++) {
        where[0] = keys[i];
        if (!lookup()) throw new Error('lookup');
        sum += found[0];
      }
    const time = now() - start;
    if (sum !== ((count * (count - 1)) / 2) * times) throw new Error('sum');
    return time / (times * count);
  });
}

function sumOf({ data, offsets, length }) {
  const view = new Uint32Array(data.buffer);
  let sum = 0;
  for (let i = 0; i < length; i++) sum += view[offsets[2 * i] >>> 2];
  return sum;
}

/** Draining all records, and adding them up within the time or beside it. */
function drained(bpf, elf, added) {
  const object = bpf.load(fs.readFileSync(elf));
  object.programs.fill.attach();
  const control = object.maps.control.as(bpf.u32, bpf.u64);
  control.set(0, BigInt(process.pid)).set(1, BigInt(RECORDS));
  control.set(2, GETUID);
  const stream = object.maps.ring.stream();
  const time = best(() => {
    let sum = 0;
    let count = 0;
    let time = 0;
    process.getuid();
    for (let batch; batch?.length !== 0; count += batch.length) {
      let start = now();
      batch = stream.drain();
      if (added) sum += sumOf(batch);
      time += now() - start;
      if (!added) sum += sumOf(batch);
    }
    if (count !== RECORDS || sum !== (RECORDS * (RECORDS - 1)) / 2)
      throw new Error('records');
    return time / RECORDS;
  });
  stream.close();
  object.close();
  return time;
}

const measures = {
  hot: (bpf) => bound(bpf, HOT),
  lookup: (bpf) => bound(bpf, ENTRIES),
  get(bpf) {
    const map = makeMap(bpf, ENTRIES).as(bpf.u32, bpf.u64);
    const keys = shuffled(ENTRIES);
    return best(() => {
      const start = now();
      for (let i = 0; i < ENTRIES; i++)
        if (map.get(keys[i]) === undefined) throw new Error('get');
      return (now() - start) / ENTRIES;
    });
  },
  batch(bpf) {
    const map = makeMap(bpf, ENTRIES);
    let into;
    return best(() => {
      const start = now();
      into = map.readAll({ into });
      const { count } = into;
      if (count !== ENTRIES) throw new Error('batch');
      return (now() - start) / ENTRIES;
    });
  },
  drain: (bpf, elf) => drained(bpf, elf, false),
  place: (bpf, elf) => drained(bpf, elf, true),
  load(bpf, elf) {
    const bytes = fs.readFileSync(elf);
    return best(() => {
      const start = now();
      const object = bpf.load(bytes);
      const time = now() - start;
      object.close();
      return time / 1e6;
    });
  },
};

/** `required` of C's speed, `floor`: C's contender, `program` whose object is loaded. */
const contenders = [
  { name: 'hot', required: 0.9 },
  { name: 'lookup', required: 0.9 },
  { name: 'get', floor: 'lookup' },
  { name: 'batch', required: 0.95 },
  { name: 'drain', required: 0.9, program: 'records.c' },
  { name: 'place', program: 'records.c' },
  {
    name: 'load',
    required: 1 / 1.15,
    program: 'requests.bpf.c',
    unit: 'ms',
  },
];

function build() {
  const quiet = { cwd: root, stdio: 'ignore' };
  if (!fs.existsSync(path.join(root, 'build/release/build.ninja')))
    execFileSync('cmake', ['--preset', 'release'], quiet);
  execFileSync(
    'cmake',
    ['--build', 'build/release', '--target', 'bench_maps'],
    quiet,
  );
  return path.join(root, 'build/release/bench_maps');
}

/** Compiled by us; both load the same bytes. */
function compileTo(folder, bpf, program) {
  const elf = path.join(folder, `${program}.o`);
  const source = path.join(root, 'bench/programs', program);
  if (!fs.existsSync(elf))
    fs.writeFileSync(elf, bpf.compile(fs.readFileSync(source, 'utf8')).toElf());
  return [elf];
}

/** Rows of a contender, with the medians of C and of Node, and of their ratio. */
function compare(rounds, names, log) {
  const bpf = createRequire(import.meta.url)(root);
  const { available, reason } = bpf.kernelAvailable();
  if (!available) throw new Error(reason);
  const bench = build();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-bench-'));
  const time = (file, args) =>
    Number(execFileSync(file, args, { cwd: root, encoding: 'utf8' }));
  const chosen = contenders.filter(
    ({ name }) => names.length === 0 || names.includes(name),
  );
  const rows = chosen.map((contender) => {
    const { name, floor = name, program } = contender;
    const elf = program ? compileTo(folder, bpf, program) : [];
    const c = [];
    const node = [];
    log(name);
    for (let round = 0; round < rounds; round++) {
      const measureC = () => c.push(time(bench, [floor, ...elf]));
      const measureNode = () =>
        node.push(time(process.execPath, [self, '--run', name, ...elf]));
      for (const run of round % 2
        ? [measureNode, measureC]
        : [measureC, measureNode])
        run();
    }
    const ratio = median(c.map((least, i) => least / node[i]));
    return { ...contender, c: median(c), node: median(node), ratio };
  });
  fs.rmSync(folder, { recursive: true });
  return rows;
}

const module = {
  name: 'maps',
  title: 'The kernel from Node: speed over that of C on libbpf, by CPU time',

  needs() {
    const bpf = createRequire(import.meta.url)(root);
    const { available, reason } = bpf.kernelAvailable();
    return available ? null : reason;
  },

  run: ({ log, rounds = ROUNDS, names = [] }) =>
    compare(rounds, names, log).map(
      ({ name, required, c, node, ratio, unit = 'ns' }) => ({
        what: name,
        required: required ? `≥ ${required.toFixed(2)}` : 'told',
        measured: `${ratio.toFixed(2)} (${node.toFixed(1)} ${unit}, C ${c.toFixed(1)} ${unit})`,
        ok: !required || ratio >= required,
      }),
    ),
};

export default module;

if (process.argv[1] === self) {
  const [, , option = ROUNDS, ...words] = process.argv;
  if (option === '--run') {
    const [name, ...elf] = words;
    const bpf = createRequire(import.meta.url)(root);
    console.log(measures[name](bpf, ...elf).toFixed(4));
    process.exit();
  }
  const { title } = module;
  const log = (name) => process.stderr.write(`  ${name}\n`);
  const rows = module.run({ log, rounds: Number(option), names: words });
  const results = [{ title, reason: null, rows }];
  printTable(results);
  console.log(`\n${summary('maps', results).line}`);
}
