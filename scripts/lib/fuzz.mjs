// The fuzzers of test/fuzz: building them, their seeds, running them, and what they reach.
//
// A target is a libFuzzer program fuzz_NAME. It starts from seeds that are made from the
// repository's own texts (cases, examples, the C files of test/fuzz/seeds) and, where they are, from
// small objects of the kernel's selftests; what it finds worth keeping goes to build/fuzz/corpus,
// and the next run goes on from there. An input that breaks a promise is kept in build/fuzz/found
// and belongs into test/cases once it is repaired. planted_NAME is the same program with a bug on
// purpose. What is reached is measured by a build for coverage, which runs the whole corpus once.
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { generate } from '../corpus/generate.mjs';
import { compileFlags } from './corpus.mjs';
import { noCounts } from './counts.mjs';
import { hasCommand } from './needs.mjs';
import { shake } from './shake.mjs';
import { Log, hashInputs, inRoot, listFiles } from './steps.mjs';

/** Bytes of the largest input: of C and assembly, of other sorts. */
const TEXT_MOST = 8192;
const INPUT_MOST = 16384;
const at = (...parts) => inRoot('build/fuzz', ...parts);
const run = promisify(execFile);

/** The names of the targets. */
export function fuzzTargets() {
  return listFiles(['test/fuzz'])
    .filter((name) => /^test\/fuzz\/\w+\.c$/.test(name))
    .map((name) => path.basename(name, '.c'));
}

/** Why there is no fuzzing here, or null. */
export function noFuzzers() {
  if (process.platform !== 'linux') return 'fuzzers are run on Linux';
  if (!hasCommand('clang')) return 'no clang';
  const dir = execFileSync('clang', ['-print-runtime-dir'], {
    encoding: 'utf8',
  }).trim();
  const there =
    fs.existsSync(dir) &&
    fs.readdirSync(dir).some((name) => name.startsWith('libclang_rt.fuzzer-'));
  return there ? null : "clang's fuzzer runtime is not installed";
}

/** Why what the fuzzers reach cannot be measured here, or null. */
export function noCoverage() {
  const gone = ['llvm-profdata', 'llvm-cov'].filter(
    (tool) => !fs.existsSync(llvm(tool)),
  );
  return gone.length > 0 ? `no ${gone.join(' and ')} of clang's version` : null;
}

/** A tool of the clang that builds the fuzzers. */
function llvm(tool) {
  return execFileSync('clang', [`-print-prog-name=${tool}`], {
    encoding: 'utf8',
  }).trim();
}

/** Builds a preset: 'fuzz' or 'fuzz-coverage'. */
export async function buildFuzzers(log, preset = 'fuzz') {
  await log.run('cmake', ['--preset', preset]);
  await log.run('cmake', ['--build', '--preset', preset]);
}

// ---- dictionary and seeds ----

/** Every spelling of the tables, and the names of directives, as libFuzzer's dictionary. */
function writeDictionary() {
  const words = new Set();
  const tables = listFiles(['asm-core/def']).filter((n) => n.endsWith('.def'));
  for (const name of tables) {
    const text = fs.readFileSync(inRoot(name), 'utf8');
    if (/(diag|reason)\.def$/.test(name)) continue;
    for (const [, word] of text.matchAll(/"([^"\\\n]{2,40})"/g))
      for (const part of word.split(/\$\w|@/))
        if (part.trim().length > 1) words.add(part.trim());
    for (const [, id] of text.matchAll(/^HELPER\(\d+,\s*(\w+)/gm))
      words.add(`bpf_${id}`);
  }
  for (const name of listFiles(['asm-core/asm']))
    for (const [, word] of fs
      .readFileSync(inRoot(name), 'utf8')
      .matchAll(/\{"(\.[\w.]+)"/g))
      words.add(word);
  const write = (file, all) =>
    fs.writeFileSync(
      at(file),
      `${all.map((w) => JSON.stringify(w)).join('\n')}\n`,
    );
  write('words.dict', [...words]);
  write('explain.dict', messageWords());
}

/** What the verifier's messages consist of, without what they are about. */
function messageWords() {
  const text = fs.readFileSync(inRoot('asm-core/def/reason.def'), 'utf8');
  const patterns = text.matchAll(
    /^(?:SAYS|MAYBE|NOISE|TYPE)\(.*?"([^"\\]+)"/gm,
  );
  const parts = [...patterns].flatMap(([, pattern]) => pattern.split(/%./));
  return [...new Set(parts.filter((part) => part.trim().length > 1))];
}

/** The assembly in a case, with its dialect and byte order. */
function caseText(name) {
  const text = fs.readFileSync(inRoot(name), 'latin1');
  const input = /^-- input\.s\n([^]*?)(?=^-- |(?![^]))/m.exec(text)?.[1];
  const args = /^-- args\n(.*)/m.exec(text)?.[1] ?? '';
  return {
    input: input && Buffer.from(input, 'latin1'),
    ubpf: /--dialect ubpf/.test(args),
    big: /--endian big/.test(args),
  };
}

/** Assembly: of the cases, and what clang -S makes; the first byte tells dialect and byte order. */
function textSeeds(dir, kernel) {
  const write = (name, bytes, { ubpf = false, big = false } = {}) =>
    fs.writeFileSync(
      path.join(dir, name),
      Buffer.concat([Buffer.from([Number(ubpf) + 2 * Number(big)]), bytes]),
    );
  for (const name of listFiles(['test/cases'])) {
    const { input, ...options } = caseText(name);
    if (input) write(name.replaceAll('/', '-'), input, options);
  }
  for (const name of fs.readdirSync(at('objects')))
    if (name.endsWith('.s'))
      write(name, fs.readFileSync(at('objects', name)), {
        big: name.includes('bpfeb'),
      });
  for (const name of kernel.filter((n) => n.endsWith('.s')))
    write(`kernel-${path.basename(name)}`, fs.readFileSync(name));
}

/** C behind a byte of options: of the cases with the files that they include, the C seeds, and
 * programs of the kernel's selftests, which keep those of their headers that are small. */
function unitSeeds(dir, programs) {
  const write = (name, text) =>
    fs.writeFileSync(
      path.join(dir, name),
      Buffer.concat([Buffer.from([2]), Buffer.from(text, 'latin1')]),
    );
  for (const name of listFiles(['test/cases'])) {
    const text = fs.readFileSync(inRoot(name), 'latin1');
    const input = /^-- input\.c\n([^]*?)(?=^-- |(?![^]))/m.exec(text)?.[1];
    if (input === undefined) continue;
    const files = text.match(/^-- file [^]*?(?=^-- |(?![^]))/gm) ?? [];
    write(name.replaceAll('/', '-'), input + files.join(''));
  }
  for (const name of [...listFiles(['test/fuzz/seeds']), ...programs])
    write(path.basename(name), fs.readFileSync(name, 'latin1'));
}

/** Small programs of the kernel's selftests, each of another sort. */
function kernelPrograms(most) {
  const dir = inRoot('build/sources/linux/tools/testing/selftests/bpf/progs');
  if (!fs.existsSync(dir)) return [];
  const small = fs
    .readdirSync(dir)
    .filter((name) => name.endsWith('.c'))
    .map((name) => path.join(dir, name))
    .filter((name) => fs.statSync(name).size < 4000)
    .sort();
  const step = Math.max(1, Math.ceil(small.length / most));
  return small.filter((name, i) => i % step === 0);
}

/** Units that compile without any other file, in build/fuzz/programs: selftests
 * without what it does not need (none if they are not to be had), and programs of the generator. */
async function makePrograms(selftests) {
  const dir = at('programs');
  fs.mkdirSync(dir, { recursive: true });
  const fast = inRoot('build/release/bpfc'); // thousands of compilations
  const bpfc = fs.existsSync(fast) ? fast : at('bpfc');
  const compiles = (to) => async (text) => {
    fs.writeFileSync(to, text, 'latin1');
    const args = ['cc', '-w', '-nostdinc', to, '-o', `${to}.o`];
    return run(bpfc, args).then(
      () => true,
      () => false,
    );
  };
  await twoAtATime(
    selftests.map((source) => async () => {
      const name = path.basename(source);
      const flags = compileFlags(name.replace(/\.c$/, ''));
      const { stdout } = await run(bpfc, ['cc', '-E', ...flags, name], {
        cwd: path.dirname(source),
        encoding: 'latin1',
        maxBuffer: 1 << 28,
      }).catch(() => ({ stdout: '' }));
      const part = path.join(dir, `${name}.part.c`);
      const small = await shake(stdout, compiles(part));
      if (small && small.length < TEXT_MOST)
        fs.writeFileSync(path.join(dir, name), small, 'latin1');
      for (const gone of [part, `${part}.o`]) fs.rmSync(gone, { force: true });
    }),
  );
  for (let seed = 0; seed < 40; seed++)
    fs.writeFileSync(
      path.join(dir, `generated-${seed}.c`),
      generate(seed).replace(/#ifdef NATIVE\nstatic[^]*$/, ''),
    );
}

/** IR: of the cases, and of the programs behind some pass. */
async function irSeeds(dir) {
  for (const name of listFiles(['test/cases'])) {
    const text = fs.readFileSync(inRoot(name), 'latin1');
    const input = /^-- input\.ir\n([^]*?)(?=^-- |(?![^]))/m.exec(text)?.[1];
    if (input)
      fs.writeFileSync(
        path.join(dir, name.replaceAll('/', '-')),
        input,
        'latin1',
      );
  }
  const passes = ['', '=mem2reg', '=inline', '=gvn'];
  const programs = fs.readdirSync(at('programs'));
  await twoAtATime(
    programs.map((name, i) => async () => {
      const args = ['cc', '-w', '-nostdinc', at('programs', name)];
      args.push(`-fdump-ir${passes[i % passes.length]}`, '-o', '-');
      const { stdout } = await run(at('bpfc'), args, {
        encoding: 'latin1',
        maxBuffer: 1 << 26,
      }).catch(() => ({ stdout: '' })); // it is not for everybody
      const [first = ''] = stdout.split(/(?<=\n)(?=unit )/);
      if (first.length > 0 && first.length < INPUT_MOST)
        fs.writeFileSync(path.join(dir, `${name}.ir`), first, 'latin1');
    }),
  );
}

/** ELF files in build/fuzz/objects: the cases assembled, and what clang makes of the C seeds. */
async function makeObjects(log) {
  const dir = at('objects');
  fs.mkdirSync(dir, { recursive: true });
  const cases = listFiles(['test/cases']).filter((n) => n.endsWith('.case'));
  for (const name of cases) {
    const { input, ubpf, big } = caseText(name);
    const source = path.join(dir, 'case.s.in');
    if (!input) continue;
    fs.writeFileSync(source, input);
    const args = [
      'as',
      source,
      '-o',
      path.join(dir, `${name.replaceAll('/', '-')}.o`),
    ];
    if (ubpf) args.push('--dialect', 'ubpf');
    if (big) args.push('--endian', 'big');
    await run(at('bpfc'), args).catch(() => {}); // many cases are wrong on purpose
    fs.rmSync(source);
  }
  const clang = hasCommand('clang-19') ? 'clang-19' : 'clang';
  for (const name of listFiles(['test/fuzz/seeds']))
    for (const target of ['bpfel', 'bpfeb']) {
      const to = path.join(dir, `${path.basename(name)}.${target}`);
      const flags = ['-target', target, '-O2', '-g', '-w', name];
      flags.push('-fdebug-compilation-dir=.'); // the same bytes on every machine
      await log.run(clang, [...flags, '-c', '-o', `${to}.o`]);
      await log.run(clang, [...flags, '-S', '-o', `${to}.s`]);
    }
}

/** The bytes of a section of a 64-bit ELF file, or undefined. */
function sectionOf(elf, name) {
  const big = elf[5] === 2;
  const view = new DataView(elf.buffer, elf.byteOffset, elf.length);
  const number = (offset) => Number(view.getBigUint64(offset, !big));
  const headers = number(40);
  const header = (i) => headers + 64 * i;
  const contents = (i) =>
    elf.subarray(
      number(header(i) + 24),
      number(header(i) + 24) + number(header(i) + 32),
    );
  const names = contents(view.getUint16(62, !big)).toString('latin1');
  for (let i = 1; i < view.getUint16(60, !big); i++)
    if (
      names.startsWith(`${name}\0`, view.getUint32(header(i), !big)) &&
      view.getUint32(header(i) + 4, !big) !== 8
    )
      return contents(i);
  return undefined;
}

/** Two inputs in one, as test/fuzz/lib/pair.h reads them. */
const pair = (first, second) => {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(first.length);
  return Buffer.concat([Buffer.from('pair:'), size, first, second]);
};

/** BTF by itself, and split on itself. */
function btfSeeds(dir, objects) {
  for (const object of objects) {
    const name = path.basename(object);
    const btf = sectionOf(fs.readFileSync(object), '.BTF');
    if (!btf) continue;
    fs.writeFileSync(path.join(dir, name), btf);
    if (btf.length < 3000)
      fs.writeFileSync(path.join(dir, `${name}-split`), pair(btf, btf));
  }
}

/** Objects whose headers choose dialect and options, in bytes that ELF does not use. */
function disassembleSeeds(dir, objects) {
  const [OBJDUMP, RELOCS, ALU32] = [16, 32, 64];
  const flags = [0, 1, 2, 4, 8, OBJDUMP | RELOCS, OBJDUMP | ALU32, 15];
  for (const [i, object] of objects.entries()) {
    const bytes = fs.readFileSync(object);
    bytes[9] = i % 3 === 2 ? 1 : 0;
    bytes[10] = flags[i % flags.length];
    fs.writeFileSync(path.join(dir, path.basename(object)), bytes);
  }
}

/** Objects with CO-RE relocations: with their own types, and each of the selftests with those that
 * it is made for. */
function coreSeeds(dir, objects) {
  const types = (object) => sectionOf(fs.readFileSync(object), '.BTF');
  const write = (object, target, name) =>
    fs.writeFileSync(
      path.join(dir, name),
      pair(types(target), fs.readFileSync(object)),
    );
  for (const object of objects.filter(types)) {
    const name = path.basename(object);
    fs.copyFileSync(object, path.join(dir, name));
    write(object, object, `${name}-own`);
    const about = /test_core_reloc_(\w+)\.o$/.exec(name)?.[1];
    if (about)
      for (const target of objects)
        if (path.basename(target).startsWith(`btf__core_reloc_${about}`))
          write(object, target, `${name}-${path.basename(target)}`);
  }
}

/** The logs of the cases, by themselves and with an object. */
function logSeeds(dir, objects) {
  const small = objects.filter((name) => fs.statSync(name).size < 6000);
  for (const [i, name] of listFiles(['test/cases/verify']).entries()) {
    const text = fs.readFileSync(inRoot(name), 'utf8');
    const [, log] = /^-- input\.log\n([^]*?)(?=^-- |(?![^]))/m.exec(text) ?? [];
    if (!log) continue;
    const to = path.join(dir, path.basename(name));
    fs.writeFileSync(to, log);
    const object = small[i % Math.max(1, small.length)];
    if (object)
      fs.writeFileSync(
        `${to}-object`,
        pair(Buffer.from(log), fs.readFileSync(object)),
      );
  }
}

/** Objects of the kernel's selftests and their assembly, small ones of all sorts. */
function kernelFiles(most) {
  const dir = inRoot('build/corpus/selftests');
  const small = fs.existsSync(dir)
    ? fs.readdirSync(dir).filter((name) => {
        const limit = name.endsWith('.o') ? 12000 : 16000;
        return (
          /\.[os]$/.test(name) && fs.statSync(path.join(dir, name)).size < limit
        );
      })
    : [];
  const step = Math.max(1, Math.ceil(small.length / most));
  return small
    .sort()
    .filter((name, i) => i % step === 0 || /core_reloc.*\.o$/.test(name))
    .map((name) => path.join(dir, name));
}

/** Bytes that are the same in every run, for fuzz_vm and fuzz_calls to make programs of. */
function programSeeds(dir) {
  let state = 1;
  for (let i = 0; i < 40; i++) {
    const bytes = Buffer.alloc(40 + 8 * (1 + i));
    for (let j = 0; j < bytes.length; j++) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      bytes[j] = state >>> 16;
    }
    fs.writeFileSync(path.join(dir, `program-${i}`), bytes);
  }
}

/** Seeds of all targets in build/fuzz/seeds, made anew when something that they are made of is. */
async function makeSeeds(log, { kernel, programs, selftests }) {
  const from = ['test/cases', 'test/fuzz/seeds', 'scripts/lib/fuzz.mjs'];
  from.push('scripts/lib/shake.mjs', 'scripts/corpus/generate.mjs');
  const stamp = hashInputs(from, [...kernel, ...programs, ...selftests]);
  const stampFile = at('seeds', 'stamp');
  if (
    fs.existsSync(stampFile) &&
    fs.readFileSync(stampFile, 'utf8') === stamp &&
    fuzzTargets().every((target) => fs.existsSync(at('seeds', target)))
  )
    return;
  for (const dir of ['seeds', 'objects', 'programs'])
    fs.rmSync(at(dir), { recursive: true, force: true });
  await makeObjects(log);
  await makePrograms(selftests);
  const objects = [
    ...fs.readdirSync(at('objects')).map((name) => at('objects', name)),
    ...kernel,
  ].filter((name) => name.endsWith('.o'));
  for (const target of fuzzTargets()) {
    const dir = at('seeds', target);
    fs.mkdirSync(dir, { recursive: true });
    const small = fs.readdirSync(at('programs'));
    if (target === 'assemble') textSeeds(dir, kernel);
    else if (target === 'cc' || target === 'preprocess')
      unitSeeds(dir, programs);
    else if (target === 'compile')
      unitSeeds(
        dir,
        small.map((name) => at('programs', name)),
      );
    else if (target === 'ir') await irSeeds(dir);
    else if (target === 'btf' || target === 'kernel') btfSeeds(dir, objects);
    else if (target === 'core') coreSeeds(dir, objects);
    else if (target === 'explain') logSeeds(dir, objects);
    else if (target === 'disassemble') disassembleSeeds(dir, objects);
    else if (target !== 'calls')
      for (const object of objects)
        fs.copyFileSync(object, path.join(dir, path.basename(object)));
    if (target === 'vm' || target === 'calls') programSeeds(dir);
  }
  writeDictionary();
  fs.writeFileSync(stampFile, stamp);
}

/** Builds the targets and makes their seeds; with those of the kernel's selftests if it has to be
 * thorough. */
export async function prepareFuzzers(log, { thorough }) {
  await buildFuzzers(log);
  await makeSeeds(log, {
    kernel: thorough ? kernelFiles(200) : [],
    programs: thorough ? kernelPrograms(150) : [],
    selftests: thorough ? kernelPrograms(40) : [],
  });
}

// ---- running ----

const ENV = {
  UBSAN_OPTIONS: 'print_stacktrace=1',
  ASAN_OPTIONS: 'allocator_may_return_null=1',
};

const last = (text, pattern) => [...text.matchAll(pattern)].pop();

/** What libFuzzer says in its log. */
function readFuzzerLog(text) {
  const status = last(
    text,
    /cov: (\d+) ft: (\d+) corp: (\d+)\/(\d+)([KMG]?)b/g,
  );
  const unit = { '': 1, K: 1024, M: 1 << 20, G: 1 << 30 };
  return {
    executions: Number(
      last(text, /number_of_executed_units: (\d+)/g)?.[1] ?? 0,
    ),
    perSecond: Number(last(text, /average_exec_per_sec: +(\d+)/g)?.[1] ?? 0),
    edges: Number(status?.[1] ?? 0),
    features: Number(status?.[2] ?? 0),
    files: Number(status?.[3] ?? 0),
    bytes: Number(status?.[4] ?? 0) * unit[status?.[5] ?? ''],
  };
}

/** What was found, from the log: the error, the calls in our own files, and the input's file. */
function findingOf(text) {
  const lines = text.replaceAll(inRoot('/'), '').split('\n');
  const error = /ERROR: |runtime error: |^SUMMARY: /;
  const frame = /^ *#\d+ 0x\w+ (in \w+ (?:asm-core|test\/fuzz)\/\S+)/;
  const told = lines.flatMap((line) =>
    error.test(line) ? [line] : (frame.exec(line)?.slice(1) ?? []),
  );
  const input = /written to (\S+)/.exec(lines.join('\n'))?.[1];
  return [...told.slice(0, 12), input].filter(Boolean).join('\n') || 'no log';
}

/**
 * Runs a program of build/fuzz for some seconds, from the seeds of `target` and from what earlier
 * runs have kept; or with `runs`, that many executions from the seeds alone, the same in every run.
 * Gives what it did and what it found ('').
 */
export async function runFuzzer(program, target, { seconds, runs }) {
  const log = new Log(`fuzz-${program}`);
  const fresh = runs !== undefined;
  const corpus = at(fresh ? 'fresh' : 'corpus', fresh ? program : target);
  if (fresh) fs.rmSync(corpus, { recursive: true, force: true });
  fs.mkdirSync(corpus, { recursive: true });
  fs.mkdirSync(at('found'), { recursive: true });
  const options = [
    `-max_total_time=${seconds}`,
    `-artifact_prefix=${at('found', `${program}-`)}`,
    `-dict=${at(target === 'explain' ? 'explain.dict' : 'words.dict')}`,
    '-timeout=30',
    '-rss_limit_mb=2048',
    `-max_len=${/^(assemble|cc|compile|preprocess)$/.test(target) ? TEXT_MOST : INPUT_MOST}`,
    '-print_final_stats=1',
    ...(fresh ? ['-seed=1', `-runs=${runs}`] : []),
  ];
  const status = await log.status(
    at(program),
    [...options, corpus, at('seeds', target)],
    { env: ENV },
  );
  log.close();
  const text = fs.readFileSync(log.path, 'utf8');
  return {
    target,
    ...readFuzzerLog(text),
    found: status === 0 ? '' : findingOf(text),
  };
}

/** Runs jobs, as many at a time as there are processors, two at the most; results in their order. */
export async function twoAtATime(jobs) {
  const results = [];
  const rest = [...jobs.entries()];
  const worker = async () => {
    for (let next = rest.shift(); next; next = rest.shift())
      results[next[0]] = await next[1]();
  };
  const workers = Math.min(2, os.availableParallelism());
  await Promise.all(Array.from({ length: workers }, worker));
  return results;
}

// ---- coverage ----

/**
 * Runs the corpora of all targets in the build for coverage. `groups` names some targets each; for
 * each group: Map(file => { lines, covered, unreached: [function…] }), files as in the repository.
 */
export async function measureCoverage(log, groups) {
  await buildFuzzers(log, 'fuzz-coverage');
  const raw = (
    await twoAtATime(fuzzTargets().map((target) => () => profileOf(target)))
  ).flat();
  const measured = {};
  for (const [name, targets] of Object.entries(groups)) {
    const profiles = raw.filter(([target]) => targets.includes(target));
    measured[name] = await coverageOf(log, name, profiles);
  }
  return measured;
}

const inCoverage = (name) => inRoot('build/fuzz-coverage', name);

/** [[target, its raw profile]] of the whole corpus, or [] where an input stopped the run. */
async function profileOf(target) {
  const raw = inCoverage(`${target}.profraw`);
  const own = new Log(`fuzz-coverage-${target}`);
  fs.rmSync(raw, { force: true });
  fs.mkdirSync(at('corpus', target), { recursive: true });
  const inputs = [at('corpus', target), at('seeds', target)];
  await own.status(
    inCoverage(`fuzz_${target}`),
    ['-runs=0', `-artifact_prefix=${at('found', 'coverage-')}`, ...inputs],
    { env: { LLVM_PROFILE_FILE: raw } },
  );
  own.close();
  return fs.existsSync(raw) ? [[target, raw]] : [];
}

async function coverageOf(log, name, profiles) {
  if (profiles.length === 0) return new Map();
  const data = inCoverage(`${name}.profdata`);
  const raw = profiles.map(([, file]) => file);
  await log.run(llvm('llvm-profdata'), ['merge', '-o', data, ...raw]);
  const programs = profiles.map(([target]) => inCoverage(`fuzz_${target}`));
  const others = programs.slice(1).flatMap((program) => ['-object', program]);
  const { stdout } = await run(
    llvm('llvm-cov'),
    ['export', `-instr-profile=${data}`, programs[0], ...others],
    { maxBuffer: 1 << 30 },
  );
  const [{ files, functions }] = JSON.parse(stdout).data;
  const reached = new Map();
  for (const { filename, summary } of files)
    reached.set(path.relative(inRoot(), filename), {
      lines: summary.lines.count,
      covered: summary.lines.covered,
      unreached: [],
    });
  for (const { name: called, count, filenames } of functions)
    if (count === 0)
      reached
        .get(path.relative(inRoot(), filenames[0]))
        ?.unreached.push(called.replace(/^.*:/, ''));
  return reached;
}

/** Step for scripts/test.mjs: one test per target. */
export async function runFuzzers(log) {
  const seconds = Number(process.env.BPF_FUZZ_SECONDS ?? 60);
  await prepareFuzzers(log, { thorough: true });
  const counts = noCounts();
  const results = await twoAtATime(
    fuzzTargets().map(
      (target) => () => runFuzzer(`fuzz_${target}`, target, { seconds }),
    ),
  );
  for (const { target, found } of results) {
    counts[found ? 'failed' : 'passed'] += 1;
    if (found) counts.details.push(`fuzz_${target}:\n${found}`);
  }
  return counts;
}
