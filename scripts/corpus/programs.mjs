// Random programs: csmith's, with test/corpus/csmith.h in place of its own headers, and those of
// generate.mjs. Each is compiled natively by gcc, whose checksum is the right one, by clang-19, whose
// acceptance by the kernel is the reference, and by us at -O2 and at -O0; ours run in the kernel and
// in our VM. Programs and objects stay in build/ours/programs, so that a miss can be looked at.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { CLANG } from '../lib/corpus.mjs';
import { hasCommand } from '../lib/needs.mjs';
import { hashInputs, inRoot } from '../lib/steps.mjs';
import { isOurs, oursDir } from './compile.mjs';
import { generate } from './generate.mjs';
import { judge } from './load.mjs';
import { hash, keep, kept, parallel } from './work.mjs';

const run = promisify(execFile);
const NATIVE_SECONDS = 3;
const CHUNK = 64;
const BUDGET = '20000000';
const CLANG_FLAGS = ['-g', '-target', 'bpf', '-mcpu=v3', '-w', '-c'];

/** csmith without what BPF has not; every seed also says whether it has pointers and bit-fields. */
async function csmith(seed) {
  const args = ['--seed', String(seed), '--concise'];
  for (const what of ['float', 'volatiles', 'argc', 'volatile-pointers'])
    args.push(`--no-${what}`);
  for (const what of ['arg-structs', 'arg-unions', 'const-pointers'])
    args.push(`--no-${what}`);
  args.push('--no-return-structs', '--no-return-unions');
  args.push(seed % 2 ? '--bitfields' : '--no-bitfields');
  if (seed % 3) args.push('--no-pointers');
  const sizes = { funcs: 3, 'block-depth': 2, 'block-size': 3 };
  sizes['expr-complexity'] = 4;
  sizes['array-dim'] = 2;
  sizes['array-len-per-dim'] = 4;
  sizes['struct-fields'] = 4;
  for (const [what, most] of Object.entries(sizes))
    args.push(`--max-${what}`, String(most));
  // It leaves a file platform.info where it runs.
  const options = { maxBuffer: 1 << 24, cwd: os.tmpdir() };
  const { stdout } = await run('csmith', args, options);
  return stdout;
}

/** Kinds of programs: the text of a seed, and how many runs of one load have a known checksum. */
const KINDS = {
  csmith: { title: 'csmith', text: csmith, runs: 1 },
  own: { title: 'generated', text: generate, runs: 4 },
};

/** What gcc's program prints: { runs, alone: checksums }, or null where there is none to be had. */
async function nativeResult(source, text, runs) {
  const key = hash('native', text, hashInputs(['test/corpus/csmith.h']));
  const known = kept(key);
  if (known !== undefined) return known;
  const binary = source.replace(/\.c$/, '.native');
  const include = `-I${inRoot('test/corpus')}`;
  const args = ['-w', '-O1', '-DNATIVE', include, source, '-o', binary];
  try {
    await run('gcc', args);
    const { stdout } = await run(binary, [], {
      timeout: NATIVE_SECONDS * 1000,
    });
    const numbers = (pattern) =>
      [...stdout.matchAll(pattern)].map((match) => Number(match[1]));
    const one = numbers(/^(\d+)$/gm).slice(0, runs);
    const alone = numbers(/^alone (\d+)$/gm);
    return keep(key, { runs: one, alone: alone.length > 0 ? alone : one });
  } catch {
    return keep(key, null); // it does not end
  } finally {
    fs.rmSync(binary, { force: true });
  }
}

/** Compiles to `object`; '' or what the compiler said. */
async function compile(command, flags, source, object) {
  const include = `-I${inRoot('test/corpus')}`;
  const words = isOurs(command)
    ? [
        ...command.slice(1),
        ...flags.filter((flag) => flag !== '-O2'),
        '-mcpu=v3',
        include,
      ]
    : [...CLANG_FLAGS, ...flags, include, ...command.slice(1)];
  fs.rmSync(object, { force: true });
  try {
    await run(command[0], [...words, source, '-o', object], {
      timeout: 60_000,
      maxBuffer: 1 << 26,
    });
    return '';
  } catch (error) {
    return error.stderr || error.message;
  }
}

/** What the kernel makes of objects: { verdict, reason, runs: return values } by object. */
async function inKernel(objects) {
  const records = await judge(objects);
  const results = new Map();
  for (const [object, [record]] of records) {
    const runs = (record?.runs ?? []).map(({ retval }) => retval >>> 0);
    const { verdict = 'unopened', reason = '' } = record ?? {};
    results.set(object, { verdict, reason, runs });
  }
  return results;
}

/** The input of the loader's run `index`, as hex (fill_context() of test/corpus/run.c). */
function contextOf(index) {
  let state = index;
  const bytes = Buffer.alloc(256);
  for (let n = 0; n < bytes.length; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    if (index === 1) bytes[n] = n % 8 === 0 ? n / 8 + 1 : 0;
    else if (index === 3 || (index === 2 && n % 8 <= 2))
      bytes[n] = state >>> 24;
  }
  return bytes.toString('hex');
}

/** r0's low half in our VM, or why there is none. */
async function inVm(object, index) {
  const args = ['sim', object, '--type', 'syscall', '--budget', BUDGET];
  args.push('--ctx', contextOf(index));
  const { stdout, stderr } = await run(
    inRoot('build/release/bpfc'),
    args,
  ).catch((error) => error);
  const word = /0x([0-9a-f]+)\s*$/.exec(stdout ?? '');
  return word ? Number(BigInt(`0x${word[1]}`) & 0xffffffffn) : String(stderr);
}

/** The same programs with clang: whether the kernel accepts them, kept by their texts. */
async function acceptedFromClang(programs) {
  const todo = [];
  for (const program of programs) {
    const header = hashInputs(['test/corpus/csmith.h']);
    program.key = hash(
      'clang',
      program.text,
      header,
      JSON.stringify(CLANG_FLAGS),
    );
    program.accepted = kept(program.key);
    if (program.accepted === undefined) todo.push(program);
  }
  await parallel(todo, async (program) => {
    const object = program.source.replace(/\.c$/, '.clang.o');
    const said = await compile([CLANG], ['-O2'], program.source, object);
    if (!said) program.clangObject = object;
  });
  const objects = todo.flatMap(({ clangObject }) => clangObject ?? []);
  const results = await inKernel(objects);
  for (const program of todo) {
    const verdict = results.get(program.clangObject)?.verdict;
    program.accepted = keep(program.key, verdict === 'accepted');
    fs.rmSync(program.clangObject ?? '', { force: true });
  }
}

const equal = (got, want) => want.every((value, n) => got[n] === value);

/** Our objects of one level, in kernel and VM: counts and misses into `tally`. */
async function judgeOurs(programs, level, command, tally) {
  const object = (program) => program.source.replace(/\.c$/, `.${level}.o`);
  const compiled = [];
  await parallel(programs, async (program) => {
    const said = await compile(
      command,
      [`-${level}`],
      program.source,
      object(program),
    );
    if (!said) compiled.push(program);
    else if (program.accepted && level === 'O2')
      tally.refused.push({
        where: program.name,
        why: `does not compile: ${/error: .*/.exec(said)?.[0] ?? said.trim()}`,
      });
  });
  const results = await inKernel(compiled.map(object));
  await parallel(compiled, async (program) => {
    const kernel = results.get(object(program));
    const { native } = program;
    const wrong = [];
    if (kernel.verdict === 'accepted') {
      tally.inKernel[level] += 1;
      if (!equal(kernel.runs, native.runs))
        wrong.push(
          `the kernel gives ${kernel.runs.slice(0, native.runs.length)}, not ${native.runs}`,
        );
    } else if (program.accepted && level === 'O2')
      tally.refused.push({
        where: program.name,
        why: `${kernel.verdict}: ${kernel.reason}`,
      });
    for (const index of native.alone.length > 1 ? [0, 3] : [0]) {
      const got = await inVm(object(program), index);
      const stopped = typeof got === 'string';
      if (!stopped) tally.inVm[level] += 1;
      if (stopped ? kernel.verdict === 'accepted' : got !== native.alone[index])
        wrong.push(
          `the VM gives ${stopped ? got.trim() : got}, not ${native.alone[index]}`,
        );
    }
    if (wrong.length === 0) fs.rmSync(object(program));
    for (const why of wrong)
      tally.wrong.push({ where: `${program.name}.${level}`, why });
    program.kept ||= wrong.length > 0;
  });
}

/** Programs of one kind from `first` on. */
async function judgeKind(kind, first, count, { command, log }) {
  const folder = path.join(oursDir(command), 'programs');
  fs.mkdirSync(folder, { recursive: true });
  const { text: textOf, runs } = KINDS[kind];
  const levels = () => ({ O2: 0, O0: 0 });
  const tally = {
    all: 0,
    accepted: 0,
    refused: [],
    wrong: [],
    inKernel: levels(),
    inVm: levels(),
  };
  for (let at = first; at < first + count; at += CHUNK) {
    const seeds = Array.from(
      { length: Math.min(CHUNK, first + count - at) },
      (_, n) => at + n,
    );
    const programs = [];
    await parallel(seeds, async (seed) => {
      const text = await Promise.resolve(textOf(seed)).catch(() => ''); // csmith gave up
      const source = path.join(folder, `${kind}-${seed}.c`);
      if (!text) return;
      fs.writeFileSync(source, text);
      const native = await nativeResult(source, text, runs);
      if (native)
        programs.push({ name: `${kind}-${seed}`, source, text, native });
      else fs.rmSync(source);
    });
    await acceptedFromClang(programs);
    for (const level of ['O2', 'O0'])
      await judgeOurs(programs, level, command, tally);
    tally.all += programs.length;
    tally.accepted += programs.filter(({ accepted }) => accepted).length;
    const refused = new Set(tally.refused.map(({ where }) => where));
    for (const program of programs)
      if (!program.kept && !refused.has(program.name))
        fs.rmSync(program.source);
    if (count > CHUNK) log(`${kind}: ${at + seeds.length - first} programs`);
  }
  return tally;
}

/** Why there are no programs to judge, or null. */
export const noPrograms = () =>
  hasCommand('gcc') ? (hasCommand('csmith') ? null : 'no csmith') : 'no gcc';

/**
 * { title, reason, rows } of `count` programs of each kind from seed `first` on. `notesOf` groups
 * misses { where, why } into lines.
 */
export async function judgePrograms({ count, first, notesOf, ...options }) {
  const rows = [];
  for (const [kind, { title }] of Object.entries(KINDS)) {
    const tally = await judgeKind(kind, first, count, options);
    const good = tally.accepted - tally.refused.length;
    const share = ((100 * good) / tally.accepted).toFixed(1);
    rows.push({
      what: `${title} programs that the kernel accepts from clang-19`,
      required: '≥ 95 % or all but one',
      measured: `${good} of ${tally.accepted} (${share} %), of ${tally.all} made`,
      ok:
        tally.accepted > 0 &&
        good >= Math.min(0.95 * tally.accepted, tally.accepted - 1),
      notes: notesOf(tally.refused),
    });
    const { inKernel: kernel, inVm: vm } = tally;
    rows.push({
      what: `${title} programs: checksums of gcc at -O2 and -O0`,
      required: 'all',
      measured: `${tally.wrong.length} wrong of ${kernel.O2 + kernel.O0} in the kernel, ${vm.O2 + vm.O0} in the VM`,
      ok: kernel.O2 > 0 && tally.wrong.length === 0,
      notes: notesOf(tally.wrong),
    });
  }
  return { title: 'Random programs', reason: null, rows };
}
