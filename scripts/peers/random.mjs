// Random programs in the VM and in the kernel, by the native tool of test/diff; those of a sample
// also in the wasm VM, against what the kernel made of them. The first seed is fixed;
// BPF_RANDOM_SEED sets another one, or with `random` one from the clock.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { hasCommand } from '../lib/needs.mjs';
import { inRoot, root } from '../lib/steps.mjs';

const COUNT = { sample: 500, full: 10_000 };
const REPLAYED = { sample: 60, full: 500 };
const CPU_SECONDS = 120;
const RINGBUF = 27; // BPF_MAP_TYPE_RINGBUF
const tool = inRoot('build/release/diff_random');
const dist = inRoot('dist/bindings/src/index.js');

function build() {
  const quiet = { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] };
  if (!fs.existsSync(inRoot('build/release/build.ninja')))
    execFileSync('cmake', ['--preset', 'release'], quiet);
  const args = ['--build', 'build/release', '--target', 'diff_random'];
  execFileSync('cmake', args, quiet);
}

/** Runs the tool; its report, and the text in front of it when a program differed. */
function runTool(args) {
  const seed = process.env.BPF_RANDOM_SEED;
  const seeds = seed === 'random' ? ['--random'] : seed ? ['--seed', seed] : [];
  const { stdout, stderr, error } = spawnSync(
    tool,
    [...args, ...seeds, '--json'],
    { encoding: 'utf8', maxBuffer: 1 << 28 },
  );
  if (error) throw error;
  const lines = stdout.trimEnd().split('\n');
  const last = lines.pop();
  if (!last.startsWith('{')) throw new Error(`${last}\n${stderr}`);
  return { report: JSON.parse(last), text: lines.join('\n') };
}

const unhex = (text) => Uint8Array.from(Buffer.from(text, 'hex'));
const hex = (bytes) => Buffer.from(bytes).toString('hex');

/** A value of a map as bytes: numbers of programs and maps are this machine's. */
function valueOf(machine, value) {
  if (typeof value === 'string') return unhex(value);
  const number =
    value.program === undefined
      ? machine.maps[value.map].id
      : Object.keys(machine.programs).indexOf(value.program);
  return new Uint8Array(Uint32Array.of(number).buffer);
}

/** All of a map or data section as pairs of hexadecimal key and value, sorted. */
function contents(machine, name, byOrder) {
  if (name.startsWith('.')) return [['00000000', hex(machine.section(name))]];
  const map = machine.maps[name];
  if (!byOrder) return [...map].map((pair) => pair.map(hex)).sort();
  const values = [];
  if (map.type === RINGBUF)
    for (const event of map.events()) values.push(hex(event.data));
  else
    for (let value = map.pop(); value; value = map.pop())
      values.push(hex(value));
  return values.map((value, i) => [i.toString(16).padStart(8, '0'), value]);
}

/** What differs when a recorded program runs in the wasm VM, or undefined. */
function replay({ Machine }, line) {
  const expected = JSON.parse(line);
  const machine = new Machine(unhex(expected.elf), { cpus: expected.cpus });
  const wrong = (what, got, want) =>
    `seed ${expected.seed}: ${what}: ${got}, in the kernel ${want}`;
  try {
    for (const [map, key, value] of expected.fill) {
      const bytes = valueOf(machine, value);
      if (key === '') machine.maps[map].push(bytes);
      else machine.maps[map].set(unhex(key), bytes);
    }
    for (const [i, input] of expected.runs.entries()) {
      const bytes = unhex(input);
      const options = expected.packet ? { packet: bytes } : { ctx: bytes };
      const { r0, mem, packet } = machine.run('f0', options);
      const result = Number(r0 & 0xffffffffn);
      if (result !== expected.results[i])
        return wrong(`run ${i}`, result, expected.results[i]);
      const after = hex(expected.packet ? packet : mem);
      if (after !== expected.after[i])
        return wrong(`memory after run ${i}`, after, expected.after[i]);
    }
    for (const [name, entries] of Object.entries(expected.maps)) {
      const byOrder = machine.maps[name]?.keySize === 0;
      const got = JSON.stringify(contents(machine, name, byOrder));
      const want = JSON.stringify(entries.sort());
      if (got !== want) return wrong(name, got, want);
    }
    return undefined;
  } catch (error) {
    return `seed ${expected.seed}: ${error.stack}`;
  } finally {
    machine.close();
  }
}

function replayAll(file) {
  const core = createRequire(import.meta.url)(dist);
  const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n');
  const bad = lines.map((line) => replay(core, line)).filter(Boolean);
  return { total: lines.length, bad };
}

const number = (value) => value.toLocaleString('en-US');

export default {
  name: 'random',
  title: 'Random programs: the same in the VM and in the kernel',

  needs() {
    if (process.platform !== 'linux') return 'random programs need Linux';
    if (process.getuid() !== 0) return 'random programs need root to be loaded';
    if (!hasCommand('cmake')) return 'no cmake to build test/diff with';
    return fs.existsSync(dist) ? null : 'dist/ is not built';
  },

  async run({ sample, log }) {
    const kind = sample ? 'sample' : 'full';
    build();
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-random-'));
    try {
      const record = path.join(dir, 'programs.jsonl');
      const { report, text } = runTool(['--count', String(COUNT[kind])]);
      if (report.skipped) throw new Error(report.skipped);
      const { programs, accepted, different } = report;
      log(`seeds from ${report.seed}: ${programs} programs`);
      const reasons = Object.entries(report.reasons);
      const rows = [
        {
          what: `${number(COUNT[kind])} random programs: same r0, memory and maps`,
          required: number(COUNT[kind]),
          measured: number(accepted - different),
          ok: accepted === COUNT[kind] && different === 0,
          notes: [
            `seeds ${report.seed} to ${Number(report.seed) + programs - 1}, ${number(report.executed)} instructions, ${report.cpuSeconds.toFixed(1)} s of CPU time`,
            ...(text ? [text] : []),
          ],
        },
        {
          what: 'of all generated ones, accepted by the verifier',
          required: '≥ 80 %',
          measured: `${((100 * accepted) / programs).toFixed(1)} %`,
          ok: accepted / programs >= 0.8,
          notes: reasons.map(([why, count]) => `${count} rejected: ${why}`),
        },
        {
          what: 'operations of insn.def that the verifier takes, run',
          required: 'all',
          measured: `${Object.keys(report.ops).length}, ${report.missed.length} not`,
          ok: report.missed.length === 0,
          notes: [
            ...report.missed,
            `maps: ${list(report.maps)}`,
            `helpers: ${list(report.helpers)}`,
            `types: ${list(report.types)}`,
          ],
        },
      ];
      if (!sample)
        rows.push({
          what: 'CPU time for that',
          required: `≤ ${CPU_SECONDS} s`,
          measured: `${report.cpuSeconds.toFixed(1)} s`,
          ok: report.cpuSeconds <= CPU_SECONDS,
        });
      runTool(['--count', String(REPLAYED[kind]), '--emit', record]);
      const { total, bad } = replayAll(record);
      rows.push({
        what: 'of them replayed in the wasm VM: same',
        required: number(REPLAYED[kind]),
        measured: number(total - bad.length),
        ok: bad.length === 0 && total === REPLAYED[kind],
        notes: bad.slice(0, 5),
      });
      return rows;
    } finally {
      fs.rmSync(dir, { recursive: true });
    }
  },
};

/** "hash 12, array 7": names with the number of programs that had them. */
function list(counts) {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
