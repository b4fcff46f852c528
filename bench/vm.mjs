// How fast the VM is, natively and in wasm: `node bench/vm.mjs` after `npm run build`. Numbers are
// millions of instructions per second of CPU time, the best of three runs; nothing is asserted.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const programs = fs
  .readdirSync(path.join(root, 'bench/programs'))
  .filter((name) => name.endsWith('.s'))
  .map((name) => `bench/programs/${name}`);
const memorySize = 8192;
const runs = 3;
// Offsets in ebpf_vm_state, from ebpf_vm.h.
const executedAt = 88;
const budgetAt = 96;

function native() {
  const build = ['--build', 'build/release', '--target', 'bench_vm'];
  execFileSync('cmake', build, { cwd: root, stdio: 'ignore' });
  const bench = path.join(root, 'build/release/bench_vm');
  return execFileSync(bench, programs, { cwd: root, encoding: 'utf8' });
}

async function instantiate(module) {
  const env = { emscripten_notify_memory_growth() {} };
  const instance = await WebAssembly.instantiate(module, { env });
  instance.exports._initialize?.();
  return instance.exports;
}

async function wasm(module, name) {
  const ebpf = await instantiate(module);
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
  const vm = view().getUint32(out, true);
  const state = ebpf.ebpf_vm_state_of(vm);
  let best = 0;
  for (let run = 0; run < runs; run++) {
    ebpf.ebpf_vm_start(
      vm,
      ebpf.ebpf_vm_program_find(vm, 0, 0),
      memory,
      memorySize,
      1,
    );
    view().setBigUint64(state + budgetAt, 1n << 62n, true);
    const start = process.cpuUsage();
    if (ebpf.ebpf_vm_run(vm) !== 1) throw new Error(`${name} does not exit`);
    const { user, system } = process.cpuUsage(start);
    const executed = Number(view().getBigUint64(state + executedAt, true));
    best = Math.max(best, executed / (user + system));
  }
  return `${name.padEnd(32)} ${best.toFixed(1).padStart(7)} M/s`;
}

console.log('native');
process.stdout.write(native());
console.log(`wasm (Node ${process.versions.node})`);
const bytes = fs.readFileSync(path.join(root, 'build/wasm/bpf.wasm'));
const module = await WebAssembly.compile(bytes);
for (const name of programs) console.log(await wasm(module, name));
