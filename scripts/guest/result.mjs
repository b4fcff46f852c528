// What a kernel showed. In: what suite.js tells, line by line; out: lines for people as they come,
// and, of a run of everything, build/logs/kernel-NAME.json after each file of tests, so that what it
// has shown outlives it and --resume can go on from there.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { groupSkips, splitSkip } from '../lib/counts.mjs';
import { inRoot } from '../lib/steps.mjs';

const indent = (text) => text.replace(/^/gm, '    ');
const storeOf = (name) => inRoot('build/logs', `kernel-${name}.json`);

/** The commit that is tested, with a + when files differ from it. */
function commitHere() {
  const git = (...args) =>
    execFileSync('git', args, { cwd: inRoot(), encoding: 'utf8' }).trim();
  try {
    const changed = git('status', '--porcelain', '-uno') !== '';
    return git('rev-parse', '--short', 'HEAD') + (changed ? '+' : '');
  } catch {
    return ''; // not a clone
  }
}

export class Result {
  constructor(name, whole) {
    this.name = name;
    this.whole = whole;
    this.release = '';
    this.commit = commitHere();
    /** Name of a test to { file, status, reason, message }. */
    this.tests = new Map();
    /** Files of tests that have been run to their ends, with the commit. */
    this.through = new Map();
    this.spent = 0;
    this.started = performance.now();
    this.file = '';
    this.done = 0;
  }

  /** What earlier runs left: the files that they have run to their ends without a failure. */
  static resume(name) {
    const result = new Result(name, true);
    if (!fs.existsSync(storeOf(name))) return result;
    const old = JSON.parse(fs.readFileSync(storeOf(name), 'utf8'));
    const bad = old.tests
      .filter(([, { status }]) => status === 'failed')
      .map(([, { file }]) => file);
    const good = ([file]) => !bad.includes(file);
    result.through = new Map(old.through.filter(good));
    result.tests = new Map(
      old.tests.filter(([, { file }]) => result.through.has(file)),
    );
    result.release = old.release;
    result.spent = old.seconds;
    result.complete = old.complete && bad.length === 0;
    return result;
  }

  store() {
    if (!this.whole) return;
    const { release, complete, seconds } = this;
    const [through, tests] = [[...this.through], [...this.tests]];
    const text = JSON.stringify({ release, complete, seconds, through, tests });
    fs.mkdirSync(inRoot('build/logs'), { recursive: true });
    fs.writeFileSync(storeOf(this.name), text);
  }

  count(status) {
    let count = 0;
    for (const test of this.tests.values()) if (test.status === status) count++;
    return count;
  }

  /** That were tested: one, unless the run was resumed. */
  get commits() {
    return [...new Set(this.through.values())].join(', ') || this.commit;
  }

  get seconds() {
    const now = this.ended ?? performance.now();
    return this.spent + Math.round((now - this.started) / 1000);
  }

  hear(told) {
    if (told.kernel) this.release = told.kernel;
    else if (told.file) this.startFile(told.file);
    else if (told.test) this.hearTest(told);
    else if (told.through) {
      this.through.set(told.through, this.commit);
      this.store();
    } else if (told.note) console.log(`  ${told.note}`);
    else if (told.text !== undefined) console.log(told.text);
  }

  startFile(file) {
    this.file = file;
    this.done = 0;
    this.show();
  }

  show() {
    if (process.stdout.isTTY)
      process.stdout.write(
        `\r\x1b[K… ${this.name} ${this.file}: ${this.done} (${this.seconds} s)`,
      );
  }

  hearTest({ test, status, message }) {
    const { name, reason } = splitSkip(test);
    // What lockdown says is skipped in its own file, and runs at the end.
    const ran = this.tests.get(name)?.status ?? 'skipped';
    if (status !== 'skipped' || ran === 'skipped')
      this.tests.set(name, { file: this.file, status, reason, message });
    this.done += 1;
    this.show();
    if (status !== 'failed') return;
    this.clear();
    console.log(`✗ ${this.name}: ${name}\n${indent(message ?? '')}`);
  }

  /** The run is over; `trouble` is what is wrong with the run itself. */
  end(trouble) {
    this.ended = performance.now();
    this.trouble = trouble;
    this.complete = trouble === undefined;
    this.clear();
    const skipped = [...this.tests.values()]
      .filter(({ status }) => status === 'skipped')
      .map(({ reason }) => reason ?? 'no reason given');
    for (const line of groupSkips(skipped)) console.log(`  ${line}`);
    this.store();
    if (trouble) console.log(`✗ ${this.name}: ${indent(trouble).trim()}`);
  }

  clear() {
    if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  }

  get good() {
    return !this.trouble && this.count('failed') === 0;
  }
}
