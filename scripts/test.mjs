// Runs the tests: `node scripts/test.mjs TIER|STEP…`. Each step is a line with its counts and its
// time, with details where something failed and a reason for each skipped test; the last line is
// "N passed, N failed, N skipped" over all steps. Logs are in build/logs.
//   quick  what `npm test` runs
//   full   quick, and the other compilers, the fuzzers for a minute each and the browser
//   STEP   one step by its name, e.g. format (with --fix it reformats), js, kernel, peers
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Log, StepError, inRoot, root } from './lib/steps.mjs';
import {
  addCounts,
  countCtest,
  countJest,
  countTap,
  groupSkips,
  noCounts,
} from './lib/counts.mjs';
import { runFuzzers } from './lib/fuzz.mjs';
import { runCorpusSample } from './corpus.mjs';
import { runSamples } from './peers.mjs';

const fix = process.argv.includes('--fix');
const one = (failed, details) => ({
  ...noCounts(),
  passed: failed ? 0 : 1,
  failed: failed ? 1 : 0,
  details: failed ? [details] : [],
});

/** Files of the repository with one of these endings: tracked, or new and not ignored. */
function sources(endings) {
  const listed = execFileSync(
    'git',
    ['ls-files', '-co', '--exclude-standard'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  return listed
    .split('\n')
    .filter((name) => endings.test(name) && fs.existsSync(inRoot(name)));
}

async function format(log) {
  const c = sources(/\.(c|h|cc|cpp|hpp)$/);
  const js = sources(/\.(ts|js|mjs|cjs|json)$/);
  const mode = fix ? ['-i'] : ['--dry-run', '-Werror'];
  const prettier = inRoot('node_modules/prettier/bin/prettier.cjs');
  const failed = [
    c.length > 0 &&
      (await log.status('clang-format-14', [...mode, ...c])) !== 0,
    js.length > 0 &&
      (await log.status(process.execPath, [
        prettier,
        fix ? '--write' : '--check',
        ...js,
      ])) !== 0,
  ].includes(true);
  return one(failed, `${log.tail(30).join('\n')}\nnpm run format repairs it`);
}

/** Builds with every warning an error, in a build folder of its own. */
function warnings(compiler, cxx) {
  return async (log) => {
    const dir = `build/dev-${compiler}`;
    const compilers = [
      `-DCMAKE_C_COMPILER=${compiler}`,
      `-DCMAKE_CXX_COMPILER=${cxx}`,
    ];
    const failed =
      (await log.status('cmake', [
        '--preset',
        'dev',
        '-B',
        dir,
        ...compilers,
      ])) !== 0 || (await log.status('cmake', ['--build', dir])) !== 0;
    return one(failed, log.tail(40).join('\n'));
  };
}

/** The native tests in a preset's build folder, through ctest. */
function native(preset, extra = [], dir = `build/${preset}`) {
  return async (log) => {
    const configure = [
      '--preset',
      preset,
      '-B',
      dir,
      '-DBPF_TESTS=ON',
      ...extra,
    ];
    await log.run('cmake', configure);
    await log.run('cmake', ['--build', dir]);
    const junit = inRoot(dir, 'ctest.xml');
    fs.rmSync(junit, { force: true });
    const sizes = ['passed', 'failed'].flatMap((kind) => [
      `--test-output-size-${kind}`,
      '1000000',
    ]);
    await log.status('ctest', [
      '--test-dir',
      dir,
      '--timeout',
      '600',
      '--output-junit',
      junit,
      ...sizes,
    ]);
    return countCtest(fs.readFileSync(junit, 'utf8'));
  };
}

async function scripts(log) {
  const files = sources(/^scripts\/test\/.*\.test\.mjs$/).map((name) =>
    inRoot(name),
  );
  await log.status(process.execPath, [
    '--test',
    '--test-reporter=tap',
    ...files,
  ]);
  return countTap(fs.readFileSync(log.path, 'utf8'));
}

async function types(log) {
  const tsc = inRoot('node_modules/typescript/bin/tsc');
  const failed =
    (await log.status(process.execPath, [tsc, '-p', 'test/tsconfig.json'])) !==
    0;
  return one(failed, log.tail(30).join('\n'));
}

/** The jest tests of one folder; those that share the kernel run one after the other. */
function jest(folder, ...options) {
  return async (log) => {
    const report = inRoot('build/logs', `jest-${path.basename(folder)}.json`);
    fs.rmSync(report, { force: true });
    const args = [
      '--json',
      '--outputFile',
      report,
      '--roots',
      inRoot(folder),
      ...options,
    ];
    await log.status(process.execPath, [
      inRoot('node_modules/jest/bin/jest.js'),
      ...args,
    ]);
    if (!fs.existsSync(report)) return one(true, log.tail(30).join('\n'));
    return countJest(JSON.parse(fs.readFileSync(report, 'utf8')));
  };
}

const quick = [
  { name: 'format', what: 'clang-format, prettier', run: format },
  { name: 'gcc', what: 'no warning with gcc', run: warnings('gcc', 'g++') },
  {
    name: 'clang',
    what: 'no warning with clang',
    run: warnings('clang', 'clang++'),
  },
  { name: 'asan', what: 'native tests, sanitized', run: native('asan') },
  {
    name: 'release',
    what: 'native tests, as released',
    run: native('release'),
  },
  { name: 'scripts', what: 'set-up and test scripts', run: scripts },
  { name: 'types', what: 'tests type-check', run: types },
  { name: 'js', what: 'jest, any machine', run: jest('test/js') },
  {
    name: 'kernel',
    what: 'jest, running kernel',
    run: jest('test/kernel', '--runInBand'),
  },
  { name: 'peers', what: 'sample of check:peers', run: runSamples },
  { name: 'corpus', what: 'sample of check:corpus', run: runCorpusSample },
];

const clang19 = [
  '-DCMAKE_C_COMPILER=clang-19',
  '-DCMAKE_CXX_COMPILER=clang++-19',
];
const more = [
  {
    name: 'clang-19',
    what: 'no warning with clang 19',
    run: warnings('clang-19', 'clang++-19'),
  },
  {
    name: 'asan-clang',
    what: 'native tests, sanitized by clang 19',
    run: native('asan', clang19, 'build/asan-clang-19'),
  },
  { name: 'fuzz', what: 'fuzzers', run: runFuzzers },
  {
    name: 'flood',
    what: 'ten million records',
    run(log) {
      process.env.BPF_RECORDS = '10000000';
      return jest('test/kernel', '--testNamePattern', 'at full speed')(log);
    },
  },
  {
    name: 'faults',
    what: 'every fault, many threads',
    run(log) {
      process.env.FAULTS = 'every';
      const pattern = '^(faults|nothing stays|SIGKILL|threads)';
      return jest('test/kernel', '--runInBand', '-t', pattern)(log);
    },
  },
  { name: 'e2e', what: 'in Chromium', run: jest('test/e2e') },
];

const tiers = { quick, full: [...quick, ...more] };
const byName = Object.fromEntries(
  [...quick, ...more].map((step) => [step.name, [step]]),
);

const plural = (counts) =>
  ['passed', 'failed', 'skipped']
    .filter((key) => counts[key] > 0)
    .map((key) => `${counts[key]} ${key}`)
    .join(', ') || 'no tests';

async function runStep(step) {
  const start = performance.now();
  const log = new Log(`test-${step.name}`);
  if (process.stdout.isTTY)
    process.stdout.write(`… ${step.name.padEnd(11)} ${step.what}`);
  let counts;
  try {
    counts = await step.run(log);
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    counts = one(true, `${error.message}\n${log.tail(40).join('\n')}`);
  }
  log.close();
  // A step that found nothing to test has not tested.
  if (counts.passed + counts.failed + counts.skipped === 0)
    counts = one(true, 'no tests found');
  const mark = counts.failed > 0 ? '✗' : counts.passed > 0 ? '✓' : '-';
  const time = ((performance.now() - start) / 1000).toFixed(1);
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  console.log(
    `${mark} ${step.name.padEnd(11)} ${step.what}: ${plural(counts)} (${time} s)`,
  );
  for (const line of groupSkips(counts.skips)) console.log(`    ${line}`);
  for (const text of counts.details) console.log(text.replace(/^/gm, '    '));
  if (counts.failed > 0)
    console.log(`    log: ${path.relative(root, log.path)}`);
  return counts;
}

async function main() {
  const names = process.argv.slice(2).filter((name) => name !== '--fix');
  const steps = (names.length > 0 ? names : ['quick']).flatMap(
    (name) => tiers[name] ?? byName[name] ?? [name],
  );
  const unknown = steps.filter((step) => typeof step === 'string');
  if (unknown.length > 0) {
    console.error(
      `no tier, step or option ${unknown.join(', ')}; there are quick, full, ${Object.keys(byName).join(', ')}; --fix`,
    );
    return 2;
  }
  const sum = noCounts();
  for (const step of steps) addCounts(sum, await runStep(step));
  console.log(
    `\n${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`,
  );
  return sum.failed > 0 ? 1 : 0;
}

process.exitCode = await main();
