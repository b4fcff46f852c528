// `npm run test:kernels`: boots Debian's kernels under QEMU and runs test/kernel and the native tests
// of kernel-backend in them. Prints what failed, a table with a row per kernel, the tests that ran
// on none of them, and a summary line; exits non-zero when something failed or a kernel was not to be
// had. Which test ran where goes to build/logs/kernels.md. A kernel takes about half an hour, nearly
// all of it emulation.
//   node scripts/kernels.mjs [KERNEL…] [OPTION…]
//     KERNEL          5.10, 6.1, 6.12, newest (those are the default), or host: this machine's own
//     --only PATTERN  only tests whose name matches
//     --files PATTERN only files of tests whose name matches
//     --append TEXT   more for the kernel's command line, such as lockdown=integrity
//     --resume        run only files that the last run of everything did not reach, or that failed
//     --update        fetch kernels again, where the suites have newer ones
//     --run COMMAND   run a shell command in place of the tests, and show what it says
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { Log, StepError, inRoot } from './lib/steps.mjs';
import { runGuest, toldIn } from './guest/guest.mjs';
import { Result } from './guest/result.mjs';
import {
  cached,
  fetchKernel,
  findQemu,
  kernelNames,
} from './guest/packages.mjs';

const VALUED = ['--only', '--files', '--append', '--run'];
const FLAGS = ['--resume', '--update'];

/** { names, only, files, append, run, resume, update }; throws what is wrong with the arguments. */
function parse(args) {
  const given = { names: [] };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (FLAGS.includes(arg)) given[arg.slice(2)] = true;
    else if (VALUED.includes(arg)) {
      if (args[i + 1] === undefined)
        throw new StepError(`${arg} needs a value`);
      given[arg.slice(2)] = args[++i];
    } else if (arg === 'host' || kernelNames.includes(arg))
      given.names.push(arg);
    else
      throw new StepError(
        `no kernel or option ${arg}; there are ${[...kernelNames, 'host', ...VALUED, ...FLAGS].join(', ')}`,
      );
  }
  if (given.names.length === 0) given.names = kernelNames;
  return given;
}

/** suite.js on this machine's kernel. */
function runHost(options, hear) {
  const given = Buffer.from(JSON.stringify(options)).toString('base64');
  const child = spawn(
    process.execPath,
    [inRoot('scripts/guest/suite.js'), given],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  return new Promise((resolve) => {
    readline
      .createInterface({ input: child.stdout })
      .on('line', (line) => hear(toldIn(line)));
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) =>
      resolve(code === 0 ? undefined : `it ended with ${code ?? signal}`),
    );
  });
}

/** Runs one kernel to its end. */
async function runKernel(name, { update, resume, ...options }, log) {
  const { only, files, append, run } = options;
  const whole = [only, files, append, run].every((given) => !given);
  const result =
    whole && resume ? Result.resume(name) : new Result(name, whole);
  if (result.complete) {
    result.end();
    return result;
  }
  const hear = (told) => result.hear(told);
  options.skip = [...result.through.keys()];
  try {
    if (name === 'host') result.end(await runHost(options, hear));
    else {
      const { kernel, qemu } = await findParts(name, update, log);
      result.end(await runGuest(name, kernel, qemu, options, hear));
    }
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    result.end(`not run: ${error.message}`);
  }
  return result;
}

async function findParts(name, update, log) {
  const kernel = (!update && cached(name)) || (await fetchKernel(log, name));
  for (const refusal of kernel.refusals ?? []) console.log(`  ${refusal}`);
  console.log(
    `${name}: ${kernel.release}, ${kernel.version} of ${kernel.suite}`,
  );
  const qemu = await findQemu(log);
  if (qemu.note) console.log(`  ${qemu.note}`);
  return { kernel, qemu };
}

function printTable(results) {
  const rows = results.map((result) => [
    result.name,
    result.release,
    result.commits,
    ...['passed', 'failed', 'skipped'].map((status) =>
      String(result.count(status)),
    ),
    `${result.seconds} s`,
    result.trouble ? result.trouble.split('\n')[0] : '',
  ]);
  const head = [
    'kernel',
    'release',
    'commit',
    'passed',
    'failed',
    'skipped',
    'time',
    '',
  ];
  const width = (column) =>
    Math.max(...[head, ...rows].map((row) => row[column].length));
  console.log();
  for (const row of [head, ...rows])
    console.log(
      row
        .map((cell, i) => cell.padEnd(width(i)))
        .join('  ')
        .trimEnd(),
    );
}

/** All names of tests with what became of each by kernel, in the order in which they came. */
function matrixOf(results) {
  const names = new Set(results.flatMap((result) => [...result.tests.keys()]));
  return [...names].map((name) => ({
    name,
    outcomes: results.map((result) => result.tests.get(name)),
  }));
}

function writeMatrix(results, matrix) {
  const marks = { passed: 'yes', failed: '**failed**' };
  const cell = (outcome) =>
    outcome === undefined
      ? ''
      : (marks[outcome.status] ?? outcome.reason ?? 'skipped');
  const lines = [
    `| test | ${results.map(({ name, release }) => `${name} (${release})`).join(' | ')} |`,
    `|---|${results.map(() => '---|').join('')}`,
    ...matrix.map(
      ({ name, outcomes }) =>
        `| ${[name, ...outcomes.map(cell)].map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`,
    ),
  ];
  fs.writeFileSync(inRoot('build/logs/kernels.md'), `${lines.join('\n')}\n`);
}

async function main() {
  const options = parse(process.argv.slice(2));
  if (options.names.some((name) => name !== 'host') && os.arch() !== 'x64')
    throw new StepError(
      `the guests share this machine's programs, and its kernels are of x64, not ${os.arch()}`,
    );
  const log = new Log('kernels');
  const results = [];
  for (const name of options.names)
    results.push(await runKernel(name, options, log));
  log.close();
  if (options.run) return results.every((result) => result.good) ? 0 : 1;

  const matrix = matrixOf(results);
  writeMatrix(results, matrix);
  printTable(results);
  const nowhere = matrix.filter(({ outcomes }) =>
    outcomes.every((outcome) => outcome?.status === 'skipped'),
  );
  if (nowhere.length > 0) console.log('\nOn none of these kernels:');
  for (const { name, outcomes } of nowhere)
    console.log(
      `  ${name}: ${[...new Set(outcomes.map((outcome) => outcome.reason))].join('; ')}`,
    );
  const good = results.filter((result) => result.good && result.tests.size > 0);
  const failed = results.reduce(
    (sum, result) => sum + result.count('failed'),
    0,
  );
  console.log(
    `\ntest:kernels: ${good.length} of ${results.length} kernels good, ${failed} tests failed, ${nowhere.length} ran on none of them`,
  );
  return good.length === results.length ? 0 : 1;
}

// Guests die with this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => process.exit(130));

main().then(
  (status) => (process.exitCode = status),
  (error) => {
    console.error(error instanceof StepError ? error.message : error);
    process.exitCode = 2;
  },
);
