// How fast the VM is, natively and in wasm: millions of instructions per second of CPU time, medians
// of alternated runs of the assembly files in bench/programs. scripts/peers/vm.mjs judges the same.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from '../scripts/lib/cpu.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const programs = fs
  .readdirSync(path.join(root, 'bench/programs'))
  .filter((name) => name.endsWith('.s'))
  .map((name) => `bench/programs/${name}`);
const ROUNDS = 5;
const LEAST = { native: 450, wasm: 300 }; // M instructions/s
const memorySize = 8192;
// Offsets in ebpf_vm_state, from ebpf_vm.h.
const executedAt = 88;
const budgetAt = 96;
const SIZE_IN_R2 = 1;
const STOP_EXIT = 1;

/** Builds the native measurement; returns a function from a program to its rate. */
function native() {
  const quiet = { cwd: root, stdio: 'ignore' };
  if (!fs.existsSync(path.join(root, 'build/release/build.ninja')))
    execFileSync('cmake', ['--preset', 'release'], quiet);
  const build = ['--build', 'build/release', '--target', 'bench_vm'];
  execFileSync('cmake', build, quiet);
  const bench = path.join(root, 'build/release/bench_vm');
  return (name) => {
    const out = execFileSync(bench, [name], { cwd: root, encoding: 'utf8' });
    return Number(/([\d.]+) M\/s/.exec(out)[1]);
  };
}

/** The same in wasm; the first run of each program warms it up and does not count. */
async function wasm() {
  const bytes = fs.readFileSync(path.join(root, 'build/wasm/bpf.wasm'));
  const env = { emscripten_notify_memory_growth() {} };
  const { instance } = await WebAssembly.instantiate(bytes, { env });
  const ebpf = instance.exports;
  ebpf._initialize?.();
  const machines = new Map();
  return (name) => {
    if (!machines.has(name)) {
      machines.set(name, load(ebpf, name));
      runOnce(ebpf, machines.get(name));
    }
    return runOnce(ebpf, machines.get(name));
  };
}

function load(ebpf, name) {
  const view = () => new DataView(ebpf.memory.buffer);
  const ctx = ebpf.ebpf_ctx_new(0);
  const text = fs.readFileSync(path.join(root, name));
  const at = ebpf.ebpf_ctx_alloc(ctx, text.length);
  const out = ebpf.ebpf_ctx_alloc(ctx, 8);
  const memory = ebpf.ebpf_ctx_alloc(ctx, memorySize);
  new Uint8Array(ebpf.memory.buffer).set(text, at);
  if (ebpf.ebpf_assemble(ctx, at, 0, at, text.length, 0, 0, out) !== 0)
    throw new Error(`${name} does not assemble`);
  if (ebpf.ebpf_vm_new(ctx, view().getUint32(out, true), 0, out) !== 0)
    throw new Error(`${name} does not load`);
  return { name, memory, vm: view().getUint32(out, true) };
}

function runOnce(ebpf, { name, memory, vm }) {
  const view = () => new DataView(ebpf.memory.buffer);
  const state = ebpf.ebpf_vm_state_of(vm);
  const program = ebpf.ebpf_vm_program_find(vm, 0, 0);
  ebpf.ebpf_vm_start(vm, program, memory, memorySize, SIZE_IN_R2);
  view().setBigUint64(state + budgetAt, 1n << 62n, true);
  const start = process.cpuUsage();
  if (ebpf.ebpf_vm_run(vm) !== STOP_EXIT)
    throw new Error(`${name} does not exit`);
  const { user, system } = process.cpuUsage(start);
  const executed = Number(view().getBigUint64(state + executedAt, true));
  return executed / (user + system);
}

/** Rows for the table: what each program does, natively and in wasm in turns. */
export async function measure(log) {
  const ways = { native: native(), wasm: await wasm() };
  const rates = programs.map((name) => ({ name, native: [], wasm: [] }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const row of rates) {
      for (const way of ['native', 'wasm']) row[way].push(ways[way](row.name));
    }
    log(`round ${round + 1} of ${ROUNDS}`);
  }
  return rates.flatMap((row) =>
    ['native', 'wasm'].map((way) => ({
      what: `${path.basename(row.name, '.s')}, ${way}`,
      required: `>= ${LEAST[way]} M instructions/s`,
      measured: `${median(row[way]).toFixed(0)} M/s`,
      ok: median(row[way]) >= LEAST[way],
    })),
  );
}

export default {
  name: 'vm',
  title: 'VM: speed',
  needs: () =>
    fs.existsSync(path.join(root, 'build/wasm/bpf.wasm'))
      ? null
      : 'no build/wasm/bpf.wasm: npm run build',
  run: ({ log }) => measure(log),
};
