// `npm run check:corpus`: real BPF programs compiled by us and by clang-19, loaded and run in the
// running kernel in the same run, and compared. Prints a table with a cause for each miss, writes
// build/corpus/CORPUS.csv with a row per program, ends with a summary line, and exits non-zero on a
// miss. A program that clang gets accepted and that is missing from ours is a failure, and counts
// double in the ratios.
//   node scripts/corpus.mjs [selftests|linux|xdp-tools|systemd|programs…] [OPTION…]
//     --dir D       judge the BPF C files in D in place of the corpora; again for more folders
//     -ID, -DN=V    for the files of --dir, given to both compilers
//     --only NAME   only files whose name has NAME in it, or FILE/PROGRAM
//     --verbose     every program with its figures, and the end of the verifier's log of misses
//     --all         every miss, not the first of each kind
//     --cc COMMAND  what compiles in place of `build/release/bpfc cc`
//     --programs N  so many random programs of each kind (in place of 200), from seed --seed S on
//     --sample      the fixed files and random programs of `npm test`
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  asAnnotated,
  differences,
  geomean,
  programRows,
  ratios,
  toCsv,
} from './corpus/compare.mjs';
import {
  compileByClang,
  compileByUs,
  compileWithBtf,
  usesTypeIds,
} from './corpus/compile.mjs';
import { judge, logOf, noLoader } from './corpus/load.mjs';
import { judgePrograms, noPrograms } from './corpus/programs.mjs';
import { noReemit, reemit } from './corpus/reemit.mjs';
import {
  corporaOf,
  corpusNames,
  folderCorpus,
  sampleCorpus,
} from './corpus/sources.mjs';
import { noVm, simulateRows } from './corpus/simulate.mjs';
import { compileInWasm, noWasm } from './corpus/wasm.mjs';
import { noCorpus } from './lib/corpus.mjs';
import { noCounts } from './lib/counts.mjs';
import { StepError, inRoot } from './lib/steps.mjs';
import { printTable, summary } from './lib/table.mjs';

const NOTES_MOST = 25;
const LIMITS = { accepted: 0.99, slots: 1.15, insns: 1.2, size: 20 };
const LOG_LINES = 40;
const SAMPLE_PROGRAMS = 24;

/** Texts by how often they come, most frequent first, with where the first are. */
function grouped(misses, { all }) {
  if (all) return misses.map(({ where, why }) => `${where}: ${why}`);
  const kinds = new Map();
  for (const { where, why } of misses) {
    const kind = why.replaceAll(/'[^']*'|\b\d+\b|0x[0-9a-f]+/g, '#');
    if (!kinds.has(kind)) kinds.set(kind, { why, places: [] });
    kinds.get(kind).places.push(where);
  }
  const sorted = [...kinds.values()].sort(
    (a, b) => b.places.length - a.places.length,
  );
  const lines = sorted.slice(0, NOTES_MOST).map(({ why, places }) => {
    const more = places.length > 3 ? ', …' : '';
    return `${places.length} × ${why} (${places.slice(0, 3).join(', ')}${more})`;
  });
  if (sorted.length > NOTES_MOST)
    lines.push(`… ${sorted.length - NOTES_MOST} other kinds (--all)`);
  return lines;
}

const share = (part, whole) =>
  `${part} of ${whole}${whole > 0 ? ` (${((100 * part) / whole).toFixed(1)} %)` : ''}`;
const percent = (number) => `≥ ${number * 100} %`;

function compileRow(corpus, options) {
  const wanted = corpus.files.filter((file) => file.clang.object);
  const misses = wanted
    .filter((file) => file.ours.error)
    .map((file) => ({ where: file.name, why: file.ours.error }));
  const good = wanted.length - misses.length;
  return {
    what: 'files that clang-19 compiles',
    required: percent(corpus.least),
    measured: share(good, wanted.length),
    ok: wanted.length > 0 && good >= corpus.least * wanted.length,
    notes: grouped(misses, options),
  };
}

/** `key` is where files say how they differ when they are compiled in another way, '' for not. */
function otherwiseRow(corpus, key, what, options) {
  const files = corpus.files.filter((file) => file[key] !== undefined);
  const misses = files
    .filter((file) => file[key])
    .map((file) => ({ where: file.name, why: file[key] }));
  return {
    what,
    required: 'all',
    measured: share(files.length - misses.length, files.length),
    ok: misses.length === 0,
    notes: grouped(misses, options),
  };
}

/** vmlinux.h need not be there: the kernel's BTF in its place gives the same code. And bpf.wasm
 * gives the same bytes as bpfc, built of the same sources (`npm run build`). */
const otherwiseRows = (corpus, options) =>
  [
    ['withBtf', 'files are the same with BTF in place of vmlinux.h'],
    ['inWasm', 'objects are the same bytes from wasm'],
  ]
    .filter(([key]) => corpus.files.some((file) => file[key] !== undefined))
    .map(([key, what]) => otherwiseRow(corpus, key, what, options));

function acceptedRow(rows, options) {
  const wanted = rows.filter((row) => row.clang.verdict === 'accepted');
  const misses = wanted
    .filter((row) => row.cause)
    .map((row) => ({ where: `${row.file}/${row.program}`, why: row.cause }));
  const good = wanted.length - misses.length;
  return {
    what: 'programs that the kernel accepts from clang-19',
    required: percent(LIMITS.accepted),
    measured: share(good, wanted.length),
    ok:
      (wanted.length > 0 || options.only) &&
      good >= LIMITS.accepted * wanted.length,
    notes: grouped(misses, options),
  };
}

/** Only where programs are annotated with what the kernel shall say. */
function annotatedRow(rows, options) {
  const annotated = rows.filter((row) => row.clang.expect);
  const fits = (record, row) => asAnnotated(row.clang.expect, record);
  const theirs = annotated.filter((row) => fits(row.clang, row)).length;
  const own = annotated.filter((row) => fits(row.ours, row)).length;
  const misses = annotated
    .filter((row) => fits(row.clang, row) && !fits(row.ours, row))
    .filter((row) => row.clang.expect === 'failure')
    .map((row) => ({
      where: `${row.file}/${row.program}`,
      why: `accepted from us, though it shall fail (clang: ${row.clang.reason})`,
    }));
  return {
    what: `verdicts as annotated (clang-19: ${theirs})`,
    required: 'within 1 %',
    measured: share(own, annotated.length),
    ok: own >= 0.99 * theirs,
    notes: grouped(misses, options),
  };
}

const canRun = (row) => row.clang.runs !== undefined;

/** `key` is where rows say how ours differs: differs of the kernel's runs, simulated of the VM's. */
function behaviourRow(rows, key, what, options) {
  const run = rows.filter((row) => row[key]);
  const misses = run
    .filter((row) => row[key].length > 0)
    .map((row) => ({ where: `${row.file}/${row.program}`, why: row[key][0] }));
  return {
    what,
    required: 'all',
    measured: share(run.length - misses.length, run.length),
    ok:
      misses.length === 0 &&
      (run.length > 0 || key !== 'differs' || !rows.some(canRun)),
    notes: grouped(misses, options),
  };
}

function ratioRow(rows, figure, what, limit, strict) {
  const found = ratios(rows, figure);
  const mean = geomean(found.map(({ ratio }) => ratio));
  const sum = (key) => found.reduce((total, one) => total + one[key], 0);
  const worst = found
    .filter(({ there }) => there)
    .sort((a, b) => b.ratio - a.ratio)
    .slice(0, 10)
    .filter(({ ratio }) => ratio > 1)
    .map(
      ({ row, theirs, own, ratio }) =>
        `${ratio.toFixed(2)}: ${row.file}/${row.program} ${own}, clang-19 ${theirs}`,
    );
  return {
    what: `${what}, geomean over clang-19's`,
    required: strict ? `≤ ${limit.toFixed(2)}` : 'told',
    measured: `${mean.toFixed(3)} (${sum('own')} to ${sum('theirs')})`,
    ok: !strict || mean <= limit,
    notes: worst,
  };
}

function sizeRow(corpus, strict) {
  const sizes = corpus.files.flatMap((file) => file.ours?.size ?? []);
  const sum = sizes.reduce((total, size) => total + size, 0);
  const mean = sum / Math.max(sizes.length, 1);
  return {
    what: 'an object without DWARF, on average',
    required: strict ? `≤ ${LIMITS.size} KB` : 'told',
    measured: `${(mean / 1000).toFixed(1)} KB`,
    ok: !strict || mean <= LIMITS.size * 1000,
  };
}

const withoutMaps = (record) => ({ ...record, maps: {} });

/** A random number of three bits is the same in all runs once in a hundred, then. */
const AGAIN = 12;

/** Programs that differ are run again, so that what is only unsteady is not held against us. */
async function confirm(files, verdicts, rows) {
  const names = new Set(
    rows.filter((row) => row.differs?.length > 0).map((row) => row.file),
  );
  const again = files.filter((file) => names.has(file.name));
  if (again.length === 0) return;
  for (let turn = 2; turn < 2 + AGAIN; turn++) {
    const clang = again.map((file) => file.clang.object);
    verdicts.clang.push(await judge(clang, { turn, fresh: true }));
  }
  const ours = await judge(
    again.map((file) => file.ours.object),
    { turn: 1, fresh: true },
  );
  for (const row of rows.filter(({ differs }) => differs?.length > 0)) {
    const file = again.find(({ name }) => name === row.file);
    const named = (map, object) =>
      map.get(object)?.find(({ program }) => program === row.program);
    const runs = verdicts.clang
      .map((map) => named(map, file.clang.object))
      .filter(Boolean);
    const second = named(ours, file.ours.object);
    const compare = (await usesTypeIds(file.ours.object))
      ? (record) => differences(runs.map(withoutMaps), withoutMaps(record))
      : (record) => differences(runs, record);
    const still = compare(row.ours);
    const also = second ? compare(second) : still;
    row.differs = still.filter((text) => also.includes(text));
  }
}

async function tellPrograms(corpus, rows) {
  for (const file of corpus.files.filter(({ ours }) => ours?.error))
    console.log(`${file.name}: not compiled\n${file.ours.said.trimEnd()}\n`);
  for (const row of rows) {
    const figures = (record) =>
      record
        ? `${record.verdict} ${record.slots} slots ${record.insns} insns ${record.states} states`
        : 'missing';
    const file = corpus.files.find(({ name }) => name === row.file);
    console.log(
      `${row.file}/${row.program} (${row.clang.section}): clang-19 ${figures(row.clang)}; ours ${figures(row.ours)}`,
    );
    for (const text of [...(row.differs ?? []), ...(row.simulated ?? [])])
      console.log(`    ${text}`);
    if (!row.cause) continue;
    console.log(`    ${row.cause}`);
    if (row.ours?.verdict !== 'rejected') continue;
    const log = await logOf(file.ours.object, row.program);
    for (const line of log.trimEnd().split('\n').slice(-LOG_LINES))
      console.log(`    | ${line}`);
  }
}

/** Keeps the files, and afterwards the programs, that --only names. */
function narrowed(corpus, only) {
  if (!only) return { corpus, wants: () => true };
  const names = corpus.files.map((file) => file.name);
  const exact = names.filter((name) => name === only);
  const within = names.filter((name) => only.startsWith(`${name}/`));
  const having = names.filter((name) => name.includes(only));
  const kept = [exact, within, having].find((list) => list.length > 0) ?? [];
  const files = corpus.files.filter((file) => kept.includes(file.name));
  const program = kept === within && only.slice(within[0].length + 1);
  return {
    corpus: { ...corpus, files },
    wants: (row) => !program || row.program === program,
  };
}

/** libbpf and the kernel see the same in an object that asm-core has read and written anew. */
async function reemittedRow(corpus, options) {
  const named = corpus.files.flatMap((file) =>
    ['clang', 'ours']
      .filter((side) => file[side]?.object)
      .map((side) => ({ file, side, object: file[side].object })),
  );
  const objects = named.map(({ object }) => object);
  const found = await reemit(objects, options);
  const misses = named
    .filter(({ object }) => found.get(object))
    .map(({ file, side, object }) => ({
      where: `${file.name} (${side})`,
      why: found.get(object),
    }));
  return {
    what: 'objects load alike raw and as asm-core writes them',
    required: 'all',
    measured: share(named.length - misses.length, named.length),
    ok: misses.length === 0,
    notes: grouped(misses, options),
  };
}

/** One corpus: { title, reason, rows }, with its CSV written. */
async function judgeCorpus(whole, options) {
  if (whole.reason) return { ...whole, rows: [] };
  const log = (text) => options.log(`${whole.name}: ${text}`);
  const { corpus, wants } = narrowed(whole, options.only);
  if (corpus.files.length === 0) return null;
  await compileByClang(corpus, log);
  await compileByUs(corpus, options.command, log);
  if (options.command === ownCompiler) {
    await compileWithBtf(corpus, options.command);
    if (noWasm()) log(`not compared with wasm: ${noWasm()}`);
    else await compileInWasm(corpus);
  }
  const objects = (side) => corpus.files.flatMap((f) => f[side]?.object ?? []);
  const verdicts = { clang: [], ours: new Map() };
  for (const turn of [0, 1])
    verdicts.clang.push(await judge(objects('clang'), { turn, log }));
  verdicts.ours = await judge(objects('ours'), { log });
  const all = programRows(corpus.files, verdicts);
  await confirm(corpus.files, verdicts, all);
  const simulated = !options.sample && !noVm();
  const programs = all.filter(wants);
  if (simulated) simulateRows(corpus.files, programs, log);
  if (!options.only && !options.sample)
    fs.writeFileSync(
      inRoot('build/corpus', `${corpus.name}.csv`),
      toCsv(programs),
    );
  if (options.verbose) await tellPrograms(corpus, programs);
  const strict = corpus.strict === true;
  if (noReemit()) log(`not loaded as written anew: ${noReemit()}`);
  const rows = [
    compileRow(corpus, options),
    ...otherwiseRows(corpus, options),
    ...(noReemit() ? [] : [await reemittedRow(corpus, { ...options, log })]),
    acceptedRow(programs, options),
    ...(programs.some((row) => row.clang.expect)
      ? [annotatedRow(programs, options)]
      : []),
    behaviourRow(
      programs,
      'differs',
      'programs that were run do the same',
      options,
    ),
    ...(simulated
      ? [
          behaviourRow(
            programs,
            'simulated',
            'others do the same in the VM',
            options,
          ),
        ]
      : []),
    ratioRow(programs, 'slots', 'slots', LIMITS.slots, strict),
    ratioRow(programs, 'insns', "verifier's work", LIMITS.insns, strict),
    sizeRow(corpus, strict),
  ];
  return { title: corpus.title, reason: null, rows };
}

/** The random programs, as a result like a corpus has. */
async function judgeRandom(options) {
  const reason = noPrograms();
  if (reason) return { title: 'Random programs', reason, rows: [] };
  return judgePrograms({
    ...options,
    count: Number(options.programs ?? (options.sample ? SAMPLE_PROGRAMS : 200)),
    first: Number(options.seed ?? 1),
    notesOf: (misses) => grouped(misses, options),
  });
}

/** Why the check cannot run here, or null. */
const cannotRun = ({ command }) =>
  noCorpus() ??
  noLoader() ??
  (fs.existsSync(command[0]) || !command[0].includes('/')
    ? null
    : `no ${path.relative(inRoot(), command[0])}`);

const ownCompiler = [inRoot('build/release/bpfc'), 'cc'];

/** For scripts/test.mjs: the sample as the counts of a test step. */
export async function runCorpusSample(log) {
  const counts = noCounts();
  const options = {
    sample: true,
    command: ownCompiler,
    log: (text) => log.write(`${text}\n`),
  };
  const reason = cannotRun(options);
  if (reason) return { ...counts, skipped: 1, skips: [reason] };
  const results = [];
  try {
    results.push(await judgeCorpus(sampleCorpus(), options));
    results.push(await judgeRandom(options));
  } catch (error) {
    counts.failed += 1;
    counts.details.push(
      error instanceof StepError ? error.message : String(error.stack),
    );
  }
  for (const { reason } of results.filter((result) => result.reason)) {
    counts.skipped += 1;
    counts.skips.push(reason);
  }
  for (const row of results.flatMap((result) => result.rows)) {
    log.write(`${JSON.stringify(row)}\n`);
    counts[row.ok ? 'passed' : 'failed'] += 1;
    if (!row.ok)
      counts.details.push(
        [`${row.what}: ${row.measured}, required ${row.required}`]
          .concat(row.notes ?? [])
          .join('\n'),
      );
  }
  return counts;
}

function readArguments(words) {
  const options = { dirs: [], names: [], extra: [], command: ownCompiler };
  options.log = (text) => process.stderr.write(`  ${text}\n`);
  const value = (word) => {
    if (words.length === 0) throw new StepError(`${word} needs an argument`);
    return words.shift();
  };
  while (words.length > 0) {
    const word = words.shift();
    if (word === '--dir') options.dirs.push(value(word));
    else if (word === '--only') options.only = value(word);
    else if (word === '--cc') options.command = value(word).split(/\s+/);
    else if (word === '--programs' || word === '--seed')
      options[word.slice(2)] = value(word);
    else if (['--verbose', '--all', '--sample'].includes(word))
      options[word.slice(2)] = true;
    else if (/^-[ID]./.test(word)) options.extra.push(word);
    else if (word === 'programs') options.random = true;
    else if (corpusNames.includes(word)) options.names.push(word);
    else
      throw new StepError(
        `unknown ${word}; there are ${corpusNames.join(', ')}, programs`,
      );
  }
  return options;
}

/** A corpus of --dir or of Debian; one without files of BPF C is a mistake. */
function chosen({ dirs, names, extra, sample, random }) {
  if (sample) return [sampleCorpus()];
  if (random && dirs.length === 0 && names.length === 0) return [];
  const folders = dirs.map((dir) => {
    if (!fs.existsSync(dir)) throw new StepError(`no folder ${dir}`);
    const corpus = folderCorpus(dir, extra);
    if (corpus.files.length === 0)
      throw new StepError(`${dir} has no files of BPF C`);
    return corpus;
  });
  if (folders.length > 0 && names.length === 0) return folders;
  return [...corporaOf(names.length > 0 ? names : corpusNames), ...folders];
}

async function main() {
  const options = readArguments(process.argv.slice(2));
  const reason = cannotRun(options);
  if (reason) throw new StepError(`cannot run here: ${reason}`);
  const results = [];
  for (const corpus of chosen(options)) {
    const result = await judgeCorpus(corpus, options);
    if (result) results.push(result);
  }
  const whole = options.dirs.length === 0 && options.names.length === 0;
  if (options.random || (whole && !options.only))
    results.push(await judgeRandom(options));
  if (results.length === 0)
    throw new StepError(`no file has '${options.only}' in its name`);
  printTable(results);
  const { line, status } = summary('corpus', results);
  console.log(`\n${line}`);
  return status;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  process.exitCode = await main().catch((error) => {
    console.error(error instanceof StepError ? error.message : error);
    return 2;
  });
