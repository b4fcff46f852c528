// What operations on the kernel's maps cost from Node, against C on libbpf (bench/maps.c) in the same
// run: `node bench/maps.mjs [ROUNDS [NAME…]]` as root, after `npm run build`. Each contender is a process of
// its own in each round, in turn; CPU time of the best pass; the figure is the median of their
// ratios, above 1 = faster than C.
//   hot     lookups in a hash of 1,024 entries: the call and the system call
//   lookup  the same in 100,000 entries, in random order
//   get     the same through map.get(key) with types, number to bigint
//   batch   reading all 100,000 entries
//   drain   200,000 records of 64 bytes from a ring buffer, to bytes with offsets, and a sum over all;
//           C looks at each where it is
//   copy    the same; C makes bytes with offsets, too
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

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
  drain(bpf, elf) {
    const object = bpf.load(fs.readFileSync(elf));
    object.programs.fill.attach();
    const control = object.maps.control.as(bpf.u32, bpf.u64);
    control.set(0, BigInt(process.pid)).set(1, BigInt(RECORDS));
    control.set(2, GETUID);
    const stream = object.maps.ring.stream({ bytes: 1 << 20 });
    const time = best(() => {
      let sum = 0;
      let count = 0;
      process.getuid();
      const start = now();
      for (;;) {
        const { data, offsets, length } = stream.drain();
        if (length === 0) break;
        const view = new Uint32Array(data.buffer);
        for (let i = 0; i < length; i++) sum += view[offsets[2 * i] >>> 2];
        count += length;
      }
      const time = now() - start;
      if (count !== RECORDS || sum !== (RECORDS * (RECORDS - 1)) / 2)
        throw new Error('records');
      return time / RECORDS;
    });
    stream.close();
    object.close();
    return time;
  },
};

measures.copy = measures.drain;

/** The floor of each. */
const floors = { get: 'lookup' };

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

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

/** Rows of name, ns of C, ns of Node, ratio. */
export function compare(rounds, names = Object.keys(measures)) {
  const bpf = createRequire(import.meta.url)(root);
  const { available, reason } = bpf.kernelAvailable();
  if (!available) throw new Error(reason);
  const program = build();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-bench-'));
  const elf = path.join(folder, 'records.o');
  const source = path.join(root, 'bench/programs/records.c');
  fs.writeFileSync(elf, bpf.compile(fs.readFileSync(source, 'utf8')).toElf());
  const time = (file, args) =>
    Number(execFileSync(file, [...args, elf], { cwd: root, encoding: 'utf8' }));
  const rows = names.map((name) => {
    const c = [];
    const node = [];
    for (let round = 0; round < rounds; round++) {
      const measureC = () => c.push(time(program, [floors[name] ?? name]));
      const measureNode = () =>
        node.push(time(process.execPath, [self, '--run', name]));
      for (const run of round % 2
        ? [measureNode, measureC]
        : [measureC, measureNode])
        run();
    }
    const ratio = median(c.map((ns, i) => ns / node[i]));
    return { name, c: median(c), node: median(node), ratio };
  });
  fs.rmSync(folder, { recursive: true });
  return rows;
}

export default {
  name: 'maps',
  title: 'Maps and ring buffers of the kernel: CPU time over C on libbpf',

  needs() {
    const bpf = createRequire(import.meta.url)(root);
    const { available, reason } = bpf.kernelAvailable();
    return available ? null : reason;
  },

  run: () =>
    compare(ROUNDS).map(({ name, c, node, ratio }) => ({
      what: name,
      required: 'told',
      measured: `${ratio.toFixed(2)} (${node.toFixed(1)} ns, C ${c.toFixed(1)} ns)`,
      ok: true,
    })),
};

if (process.argv[1] === self) {
  const [, , option, name, elf] = process.argv;
  if (option === '--run') {
    const bpf = createRequire(import.meta.url)(root);
    console.log(measures[name](bpf, elf).toFixed(2));
    process.exit();
  }
  console.log('           C ns  Node ns  ratio');
  const names = process.argv.length > 3 ? process.argv.slice(3) : undefined;
  for (const { name, c, node, ratio } of compare(
    Number(option ?? ROUNDS),
    names,
  ))
    console.log(
      `${name.padEnd(7)}${c.toFixed(1).padStart(8)}${node.toFixed(1).padStart(9)}${ratio.toFixed(2).padStart(7)}`,
    );
}
