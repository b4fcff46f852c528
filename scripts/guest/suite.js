// suite.js - runs the kernel tests on the kernel that runs this, a guest's or the host's own:
// `node scripts/guest/suite.js OPTIONS [OUTPUT]`. OPTIONS is base64 of JSON, { only, files, run,
// skip }: patterns for names of tests and of their files, a shell command in place of the tests, files
// that need not run. To OUTPUT (standard output if there is none) goes a line of JSON for each thing
// that there is to know: { kernel }, { file } when one starts, { test, status, message } for each of
// its tests, { through } when it has ended, { note }. One process runs everything, since under
// emulation to start one takes seconds.
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
/** Under emulation everything takes ten times as long; tests look here, too. */
process.env.BPF_TEST_SLOWDOWN ??= output === undefined ? '1' : '10';
const TIMEOUT = 300_000;

const isWanted = (file) =>
  new RegExp(options.files ?? '', 'i').test(file) &&
  !options.skip?.includes(file);

/** Says where a file starts and ends around running it. */
function unit(file, run) {
  if (!isWanted(file)) return;
  tell({ file });
  run();
  tell({ through: file });
}

/** A native test: cmocka's lines for each part of it. */
function native(name) {
  const binary = path.join(root, 'build/release', name);
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

function report(test, status, { reason, message, duration } = {}) {
  const name = reason ? `${test} (skipped: ${reason})` : test;
  tell({ test: name, status, message, duration });
}

/** What the commands for people say here: they must end well. */
function commands() {
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

/** jest's results as they come. `as` is what to call the file. */
class Reporter {
  constructor(_, { as, only }) {
    this.nameOf = (test) => path.basename(test.path, '.test.ts');
    this.fileOf = (test) => as ?? this.nameOf(test);
    // jest calls all others pending.
    this.wanted = new RegExp(only ?? '', 'i');
  }
  onTestFileStart(test) {
    this.told = new Set();
    tell({ file: this.fileOf(test) });
  }
  onTestCaseResult(test, row) {
    this.told.add(row.fullName);
    this.tell(this.nameOf(test), row);
  }
  onTestFileResult(test, result) {
    const file = this.fileOf(test);
    for (const row of result.testResults)
      if (
        !this.told.has(row.fullName) &&
        (row.status !== 'pending' || this.wanted.test(row.fullName))
      )
        this.tell(this.nameOf(test), row);
    if (result.testExecError)
      report(file, 'failed', { message: result.failureMessage });
    tell({ through: file });
  }
  tell(file, row) {
    const status = row.status === 'pending' ? 'skipped' : row.status;
    report(`${file}: ${row.fullName}`, status, {
      message: messageOf(row),
      duration: row.duration,
    });
  }
}
module.exports = Reporter;

const folder = path.join(root, 'test/kernel');
const testFiles = fs
  .readdirSync(folder)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => name.replace('.test.ts', ''));

/** Takes as long as all others together, so it comes after them. */
const SLOWEST = 'faults';

/** Runs files of tests, and of them those of this pattern. */
async function jest(files, { only, as } = {}) {
  if (files.length === 0) return;
  const { runCLI } = require('jest');
  const argv = {
    roots: [folder],
    runInBand: true,
    reporters: [[__filename, { as, only }]],
    testTimeout: TIMEOUT,
    cacheDirectory: path.join(os.tmpdir(), 'jest'),
    watchman: false,
    testPathPatterns: files.map((file) => `/${file}\\.test\\.ts$`),
    ...(only && { testNamePattern: only }),
  };
  await runCLI(argv, [root]);
}

/**
 * Locks a guest's kernel down, which goes one way only, so this comes last; what kernels say then is
 * in the table of privileges.
 */
async function lockDown() {
  const place = '/sys/kernel/security/lockdown';
  const reason = 'this kernel has no lockdown';
  for (const mode of ['integrity', 'confidentiality']) {
    const as = `lockdown-${mode}`;
    if (!isWanted(as)) continue;
    if (fs.existsSync(place)) {
      fs.writeFileSync(place, mode);
      const only = `by the kernel itself: ${mode}`;
      await jest(['privilege'], { as, only });
    } else unit(as, () => report(as, 'skipped', { reason }));
  }
}

async function main() {
  tell({ kernel: os.release() });
  if (options.run) {
    const { status } = spawnSync('sh', ['-c', options.run], {
      stdio: ['ignore', fd, fd],
    });
    return status ?? 1;
  }
  const { only } = options;
  if (!only) {
    unit('bpf', commands);
    for (const name of require('./native')) unit(name, () => native(name));
  }
  await jest(
    testFiles.filter((file) => file !== SLOWEST && isWanted(file)),
    { only },
  );
  await jest([SLOWEST].filter(isWanted), { only });
  if (!only && output !== undefined) await lockDown();
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
