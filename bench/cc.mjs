// How fast and how small the C compiler is, against clang-19 on the same programs: those
// with vmlinux.h in bench/programs, or of the folders that --dir names (bcc's libbpf-tools, say). clang reads
// bpftool's vmlinux.h of the running kernel, as people have it; we take the kernel's BTF in its place, and the
// same file to compare. Times are of user and system together, medians of alternated runs. Then
// the shapes of bench/shapes.mjs, twice and four times as large: time shall grow as they do.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { folderCorpus } from '../scripts/corpus/sources.mjs';
import { CLANG, noCorpus, vmlinuxHeader } from '../scripts/lib/corpus.mjs';
import { median } from '../scripts/lib/cpu.mjs';
import { inRoot } from '../scripts/lib/steps.mjs';
import { shapes } from './shapes.mjs';

const BPFC = inRoot('build/release/bpfc');
const USAGE = inRoot('build/release/bench_usage');
const DIST = inRoot('dist/bindings/src/index.js');

const ROUNDS = 5;
const WARM = 12; // compilations in wasm before those that count
const MOST = { native: 1 / 20, wasm: 1 / 8, memory: 32, wasmSize: 700 };
/** Twice the text may take so many times the time: three is between n log n and n squared. */
const GROWTH = 3;
/** Below so many milliseconds, what is left of starting up decides. */
const NOISE = 25;

/** { ms, mb } of a command. */
function usage(command, args, cwd) {
  const done = spawnSync(USAGE, [command, ...args], { cwd, encoding: 'utf8' });
  if (done.status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${done.stderr}`);
  const [us, kib] = done.stdout.trim().split(' ').map(Number);
  return { ms: us / 1000, mb: kib / 1024 };
}

/** All memories of wasm instances that are made from here on, to be asked how large they are. */
function watchMemories() {
  const memories = [];
  const { Instance } = WebAssembly;
  WebAssembly.Instance = new Proxy(Instance, {
    construct(target, args) {
      const instance = new target(...args);
      memories.push(instance.exports.memory);
      return instance;
    },
  });
  return memories;
}

/** The options of compile() for what the command is told. */
function optionsOf({ source, flags }, withHeader) {
  const folders = flags
    .filter((flag) => flag.startsWith('-I'))
    .map((flag) => flag.slice(2))
    .filter((dir) => withHeader || dir !== vmlinuxHeader());
  const defines = flags
    .filter((flag) => flag.startsWith('-D'))
    .map((flag) => /^-D([^=]*)(?:=(.*))?$/.exec(flag).slice(1))
    .map(([name, value]) => [name, value ?? true]);
  return {
    filename: source,
    includePaths: folders,
    defines: Object.fromEntries(defines),
    warnings: ['none'],
  };
}

/** Milliseconds of a compilation in this process; the median is of many, so the engine is warm. */
function inWasm(compile, file, withHeader) {
  const text = fs.readFileSync(file.source);
  const options = optionsOf(file, withHeader);
  const start = process.cpuUsage();
  compile(text, options);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

/** What each way of compiling a file takes, in turns. */
function measureFile(file, out, compile) {
  const dir = path.dirname(file.source);
  const ours = (flags) => [
    ...['cc', '-w', '-c', file.source, '-o', out],
    ...flags,
  ];
  const words = file.flags.filter((flag) => /^-[DI]/.test(flag));
  const withoutHeader = words.filter((flag) => flag !== `-I${vmlinuxHeader()}`);
  const ways = {
    clang: () =>
      usage(CLANG, [...file.flags, '-c', file.source, '-o', out], dir),
    native: () => usage(BPFC, ours(withoutHeader), dir),
    header: () => usage(BPFC, ours(words), dir),
    wasm: () => ({ ms: inWasm(compile, file, false) }),
    wasmHeader: () => ({ ms: inWasm(compile, file, true) }),
  };
  const seen = {};
  for (let n = 0; n < ROUNDS; n++)
    for (const [way, measure] of Object.entries(ways))
      (seen[way] ??= []).push(measure());
  const of = (way, key) => median(seen[way].map((one) => one[key]));
  return Object.fromEntries(
    Object.keys(ways).map((way) => [
      way,
      { ms: of(way, 'ms'), mb: of(way, 'mb') },
    ]),
  );
}

function ratioRow(what, measured, way, most) {
  const ratios = measured.map((one) => one[way].ms / one.clang.ms);
  const ms = (key) => median(measured.map((one) => one[key].ms)).toFixed(1);
  const ratio = median(ratios);
  return {
    what: `${what}: CPU time over ${CLANG}'s, median`,
    required: most ? `<= 1/${(1 / most).toFixed(0)}` : 'told',
    measured: `1/${(1 / ratio).toFixed(1)} (${ms(way)} ms, ${CLANG} ${ms('clang')} ms)`,
    ok: !most || ratio <= most,
  };
}

const memoryRow = (what, mb) => ({
  what: `${what}: most memory`,
  required: `<= ${MOST.memory} MB`,
  measured: `${mb.toFixed(1)} MB`,
  ok: mb <= MOST.memory,
});

/** All that there is so far, without headers and BTF. */
function sizeRow() {
  const wasm = fs.readFileSync(inRoot('build/wasm/bpf.wasm'));
  const kb = gzipSync(wasm, { level: 9 }).length / 1000;
  return {
    what: 'bpf.wasm, gzipped',
    required: `<= ${MOST.wasmSize} KB`,
    measured: `${kb.toFixed(0)} KB (${(wasm.length / 1000).toFixed(0)} KB plain)`,
    ok: kb <= MOST.wasmSize,
  };
}

function fileRows(files, scratch, compile, memories, log) {
  const out = path.join(scratch, 'out.o');
  for (const file of files.slice(0, 3))
    for (let n = 0; n < WARM; n++) inWasm(compile, file, n % 2 === 0);
  const measured = files.map((file, n) => {
    log(`${n + 1} of ${files.length}: ${path.basename(file.source)}`);
    return measureFile(file, out, compile);
  });
  const most = (way) => Math.max(...measured.map((one) => one[way].mb));
  const wasm = Math.max(...memories.map((memory) => memory.buffer.byteLength));
  return [
    ratioRow('with BTF', measured, 'native', MOST.native),
    ratioRow('with BTF, in warm wasm', measured, 'wasm', MOST.wasm),
    ratioRow('with vmlinux.h', measured, 'header'),
    ratioRow('with vmlinux.h, in warm wasm', measured, 'wasmHeader'),
    sizeRow(),
    memoryRow('with BTF', most('native')),
    memoryRow('with vmlinux.h', most('header')),
    {
      what: 'memory of the wasm instance, behind all of them',
      required: 'told',
      measured: `${(wasm / (1 << 20)).toFixed(1)} MB`,
      ok: true,
    },
  ];
}

/** Milliseconds, the better of two runs. */
function timeOf(text, scratch) {
  const [source, out] = ['shape.c', 'shape.o'].map((name) =>
    path.join(scratch, name),
  );
  fs.writeFileSync(source, text);
  const args = ['cc', '-w', '-c', source, '-o', out];
  return Math.min(...[1, 2].map(() => usage(BPFC, args, scratch).ms));
}

/** One row a shape: the time at its size, and how it grows when the size doubles. */
function growthRow({ name, size, make }, scratch) {
  const row = {
    what: `twice ${name}`,
    required: `<= ${GROWTH.toFixed(1)} times`,
  };
  try {
    const [once, twice] = [size, 2 * size].map((n) => timeOf(make(n), scratch));
    const ratio = twice / Math.max(once, NOISE);
    const measured = `${ratio.toFixed(1)} (${once.toFixed(0)} to ${twice.toFixed(0)} ms)`;
    return { ...row, measured, ok: ratio <= GROWTH };
  } catch (error) {
    return { ...row, measured: 'no object', ok: false, notes: [error.message] };
  }
}

/** Headers that include each other, `depth` deep, each with a guard and a declaration. */
function includesRow(scratch) {
  const depth = 100;
  for (let n = 0; n < depth; n++)
    fs.writeFileSync(
      path.join(scratch, `h${n}.h`),
      `#ifndef H${n}\n#define H${n}\n${n + 1 < depth ? `#include "h${n + 1}.h"\n` : ''}int v${n};\n#endif\n`,
    );
  const ms = timeOf('#include "h0.h"\n#include "h50.h"\nint x;\n', scratch);
  return {
    what: `${depth} nested includes`,
    required: `<= ${NOISE} ms`,
    measured: `${ms.toFixed(1)} ms`,
    ok: ms <= NOISE,
  };
}

export default {
  name: 'cc',
  title: 'C compiler: speed, memory, growth',

  needs() {
    if (noCorpus()) return noCorpus();
    if (!fs.existsSync(BPFC)) return 'no build/release/bpfc: npm run build';
    return fs.existsSync(DIST) ? null : 'no dist: npm run build';
  },

  async run({ log, dirs }) {
    const build = ['--build', 'build/release', '--target', 'bench_usage'];
    execFileSync('cmake', build, { cwd: inRoot(), stdio: 'ignore' });
    const memories = watchMemories();
    const { compile } = createRequire(import.meta.url)(DIST);
    const folders = dirs.length > 0 ? dirs : [inRoot('bench/programs')];
    const files = folders
      .flatMap((dir) => folderCorpus(dir, []).files)
      .filter(({ source }) =>
        /[<"]vmlinux\.h[">]/.test(fs.readFileSync(source, 'utf8')),
      );
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-bench-'));
    try {
      const rows = fileRows(files, scratch, compile, memories, log);
      for (const shape of shapes) {
        log(shape.name);
        rows.push(growthRow(shape, scratch));
      }
      return [...rows, includesRow(scratch)];
    } finally {
      fs.rmSync(scratch, { recursive: true });
    }
  },
};
