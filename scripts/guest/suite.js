// suite.js - runs the kernel tests on the kernel that runs this, a guest's or the host's own:
// `node scripts/guest/suite.js OPTIONS [OUTPUT]`. OPTIONS is base64 of JSON, { only, run }: a pattern
// for names of tests, a shell command in place of the tests. To OUTPUT (standard output if there is none) goes a line of JSON for each
// thing that there is to know: { kernel }, { file }, { done } when a test has run, { test, status,
// message } for all of a file's when it is through, { note }.
// One process runs everything, since under emulation to start one takes seconds.
'use strict';
process.env.FORCE_COLOR = '0';
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.join(__dirname, '../..');
const [given = '', output] = process.argv.slice(2);
const options = JSON.parse(Buffer.from(given, 'base64').toString() || '{}');
const fd = output === undefined ? 1 : fs.openSync(output, 'a');
const tell = (what) => fs.writeSync(fd, `${JSON.stringify(what)}\n`);
/** Under emulation everything takes ten times as long. */
const TIMEOUT = 300_000;

/** A native test: cmocka's lines for each part of it. */
function native(name) {
  const binary = path.join(root, 'build/release', name);
  tell({ file: name });
  const {
    stdout: text,
    status,
    signal,
    error,
  } = spawnSync('sh', ['-c', `exec ${binary} 2>&1`], {
    cwd: root,
    encoding: 'utf8',
    timeout: TIMEOUT,
  });
  const pattern = /^\[ +(OK|FAILED|SKIPPED) +\] (\w+)$/gm;
  const seen = new Set();
  let before = 0;
  for (const match of text.matchAll(pattern)) {
    const [line, word, test] = match;
    const said = text.slice(before, match.index);
    before = match.index + line.length;
    if (seen.has(test)) continue; // cmocka repeats those that failed at the end
    seen.add(test);
    const reason = /^skipped: (.*)$/m.exec(said)?.[1];
    report(`${name} ${test}`, word === 'OK' ? 'passed' : word.toLowerCase(), {
      reason,
      message: word === 'FAILED' ? said : undefined,
    });
  }
  if (error) report(name, 'failed', { message: error.message });
  else if (signal || (status !== 0 && !/FAILED/.test(text)))
    report(name, 'failed', {
      message: `${text}\nended with ${signal ?? status}`,
    });
}

function report(test, status, { reason, message } = {}) {
  const name = reason ? `${test} (skipped: ${reason})` : test;
  tell({ test: name, status, ...(message && { message }) });
}

/** What the commands for people say here: they must end well. */
function commands() {
  tell({ file: 'bpf' });
  const cli = path.join(root, 'dist/bindings/src/cli/main.js');
  const run = (...args) =>
    spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' });
  const health = run('doctor', '--json');
  const usable = health.status === 0 && JSON.parse(health.stdout).usable;
  report('bpf doctor', usable ? 'passed' : 'failed', {
    message: usable ? undefined : `${health.stdout}${health.stderr}`,
  });
  const known = run('features', '--json');
  const answers = { yes: 0, no: 0, inconclusive: 0 };
  const unsure = [];
  if (known.status === 0) {
    for (const [kind, rows] of Object.entries(JSON.parse(known.stdout)))
      for (const [name, { answer, reason }] of Object.entries(rows)) {
        answers[answer] += 1;
        if (answer === 'inconclusive')
          unsure.push(`${kind} ${name}: ${reason}`);
      }
  }
  const good = known.status === 0 && answers.yes > 0;
  report('bpf features', good ? 'passed' : 'failed', {
    message: good ? undefined : `${known.stdout}${known.stderr}`,
  });
  tell({ note: `features: ${JSON.stringify(answers)}` });
  for (const line of unsure) tell({ note: `features: ${line}` });
}

/** What went wrong, without jest's own part of the stack. */
const messageOf = ({ failureMessages }) =>
  failureMessages
    .join('\n')
    .split('\n')
    .filter(
      (line) => !/^ +at .*(node_modules|node:internal|new Promise)/.test(line),
    )
    .join('\n') || undefined;

/** jest's results as they come. */
class Reporter {
  onTestFileStart(test) {
    tell({ file: path.basename(test.path) });
  }
  onTestCaseResult(test, { fullName, duration }) {
    tell({ done: fullName, duration });
  }
  onTestFileResult(test, result) {
    const file = path.basename(test.path, '.test.ts');
    const rows = result.testResults;
    // With --only, jest calls all others pending.
    const wanted = new RegExp(options.only ?? '', 'i');
    for (const row of rows)
      if (row.status !== 'pending' || wanted.test(row.fullName))
        report(
          `${file}: ${row.fullName}`,
          row.status === 'pending' ? 'skipped' : row.status,
          { message: messageOf(row) },
        );
    if (result.testExecError)
      report(file, 'failed', { message: result.failureMessage });
  }
}
module.exports = Reporter;

async function jest() {
  const { runCLI } = require('jest');
  const argv = {
    roots: [path.join(root, 'test/kernel')],
    runInBand: true,
    reporters: [__filename],
    testTimeout: TIMEOUT,
    cacheDirectory: path.join(os.tmpdir(), 'jest'),
    watchman: false,
    ...(options.only && { testNamePattern: options.only }),
  };
  await runCLI(argv, [root]);
}

async function main() {
  tell({ kernel: os.release() });
  if (options.run) {
    const { status } = spawnSync('sh', ['-c', options.run], {
      stdio: ['ignore', fd, fd],
    });
    return status ?? 1;
  }
  if (!options.only) {
    commands();
    for (const name of require('./native')) native(name);
  }
  await jest();
  return 0;
}

// jest loads this file as its reporter, too.
if (require.main === module)
  main().then(
    (status) => process.exit(status),
    (error) => {
      tell({
        test: 'suite.js',
        status: 'failed',
        message: String(error.stack),
      });
      process.exit(1);
    },
  );
