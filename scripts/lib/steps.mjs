// Named steps with time, log and stamp. A step has inputs (files, folders, any values); their hash
// is its stamp, written only when the step succeeded, so a finished step is skipped until an input
// changes or an output is gone, and a failed one is repeated. What a step's commands print goes to
// build/logs/STEP.log; the terminal gets one line per step that had something to do.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(
  path.dirname(fileURLToPath(import.meta.url)),
  '../..',
);
const seconds = (since) =>
  ((performance.now() - since) / 1000).toFixed(1) + ' s';

export function inRoot(...parts) {
  return path.join(root, ...parts);
}

/** All files under the given paths (relative to the root), sorted; missing paths are left out. */
export function listFiles(paths) {
  const files = [];
  const visit = (name) => {
    const stat = fs.statSync(inRoot(name), { throwIfNoEntry: false });
    if (!stat) return;
    if (stat.isDirectory())
      for (const entry of fs.readdirSync(inRoot(name)))
        visit(`${name}/${entry}`);
    else files.push(name);
  };
  paths.forEach(visit);
  return files.sort();
}

/** Hash of the contents of files and folders and of any further values. */
export function hashInputs(paths, values = []) {
  const hash = createHash('sha256');
  hash.update(JSON.stringify(values));
  for (const name of listFiles(paths)) {
    const bytes = fs.readFileSync(inRoot(name));
    hash.update(`\0${name}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex');
}

export class StepError extends Error {}

/** The terminal's side of a step: a running clock where there is a terminal, one line in the end. */
function announce(name, what, start) {
  if (!process.stdout.isTTY) return { done: (line) => console.log(line) };
  const frames = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';
  let tick = 0;
  const timer = setInterval(() => {
    const frame = frames[tick++ % frames.length];
    process.stdout.write(
      `\r\x1b[K${frame} ${name.padEnd(11)} ${what} (${seconds(start)})`,
    );
  }, 100);
  return {
    done(line) {
      clearInterval(timer);
      process.stdout.write(`\r\x1b[K${line}\n`);
    },
  };
}

/** One log file, opened when something is written, and the commands that write to it. */
export class Log {
  constructor(name) {
    this.path = inRoot('build/logs', `${name}.log`);
    this.fd = -1;
  }

  open() {
    if (this.fd < 0) {
      fs.mkdirSync(path.dirname(this.path), { recursive: true });
      this.fd = fs.openSync(this.path, 'w');
    }
    return this.fd;
  }

  write(text) {
    fs.writeSync(this.open(), text);
  }

  close() {
    if (this.fd >= 0) fs.closeSync(this.fd);
    this.fd = -1;
  }

  /** Runs a command to its end with its output in the log; throws StepError if it fails. */
  async run(command, args, options = {}) {
    const status = await this.status(command, args, options);
    if (status !== 0)
      throw new StepError(`${command} ${args[0] ?? ''} ended with ${status}`);
  }

  /** As run(), but gives the exit status (or what stopped the command) back. */
  status(command, args, { cwd = root, env = {}, stdin = 'ignore' } = {}) {
    const fd = this.open();
    this.write(`$ ${[command, ...args].join(' ')}\n`);
    return new Promise((resolve) => {
      const child = spawn(command, args, {
        cwd,
        env: { ...process.env, ...env },
        stdio: [stdin, fd, fd],
      });
      child.on('error', (error) => resolve(error.message));
      child.on('close', (code, signal) => resolve(code ?? signal));
    });
  }

  tail(lines) {
    const text = fs.existsSync(this.path)
      ? fs.readFileSync(this.path, 'utf8')
      : '';
    return text.trimEnd().split('\n').slice(-lines);
  }
}

/**
 * A step: { name, what, inputs(), outputs, run(log) }. inputs() gives its stamp, and a step without
 * it always runs; outputs are paths that must exist for the stamp to count. run may return a text
 * that replaces `what` in the line. Gives true if the step had to run.
 */
export async function runStep(step, retry) {
  const stampPath = inRoot('build/stamps', step.name);
  const stamp = step.inputs?.();
  const made = (step.outputs ?? []).every((output) =>
    fs.existsSync(inRoot(output)),
  );
  if (
    stamp !== undefined &&
    made &&
    fs.existsSync(stampPath) &&
    fs.readFileSync(stampPath, 'utf8') === stamp
  )
    return false;

  const start = performance.now();
  const line = announce(step.name, step.what, start);
  const log = new Log(step.name);
  fs.rmSync(stampPath, { force: true });
  try {
    const said = await step.run(log);
    for (const output of step.outputs ?? [])
      if (!fs.existsSync(inRoot(output)))
        throw new StepError(`${output} was not made`);
    if (stamp !== undefined) {
      fs.mkdirSync(path.dirname(stampPath), { recursive: true });
      fs.writeFileSync(stampPath, stamp);
    }
    line.done(
      `✓ ${step.name.padEnd(11)} ${said ?? step.what} (${seconds(start)})`,
    );
  } catch (error) {
    line.done(
      `✗ ${step.name.padEnd(11)} ${step.what}: failed after ${seconds(start)}`,
    );
    if (!(error instanceof StepError)) log.write(`${error.stack}\n`);
    console.error(`\n${error.message}`);
    if (log.fd >= 0) {
      console.error(`The last lines of ${path.relative(root, log.path)}:`);
      for (const text of log.tail(15)) console.error(`    ${text}`);
    }
    console.error(`\nTo try again: ${retry} (it starts with this step)`);
    error.reported = true;
    throw error;
  } finally {
    log.close();
  }
  return true;
}
