#!/usr/bin/env node
// Counts the system calls of every process on this machine, live: syscalls.bpf.c is compiled here,
// loaded into the kernel, attached to the tracepoint at every system call's entry, and its map is
// shown until the time is over; then everything is detached. Where the kernel is out of reach the
// same program runs in the VM, once for each event of events.json.
'use strict';
const { readFileSync, readlinkSync } = require('node:fs');
const { join } = require('node:path');
const { parseArgs } = require('node:util');
const bpf = require('bpf');
const { Screen, plainTable } = require('./table');

const USAGE = `usage: npm run demo -- [--seconds N] [--top N] [--json]

Counts the system calls of every process for N seconds (default 10).

  --seconds N   how long
  --top N       show only the N busiest processes
  --json        no table: at the end one JSON document with all rows
`;

const statCodec = bpf.struct({ count: bpf.u64, comm: bpf.chars(16) });

/** The program in the kernel. */
function openKernel(program) {
  const object = bpf.load(program, { name: 'syscalls' });
  try {
    const link = object.programs.count_syscall.attach();
    const counts = object.maps.counts.as(bpf.u32, statCodec);
    const names = new Map();
    return {
      advance() {},
      rows: () => readRows(counts, (pid) => nameOf(pid, names)),
      stop: () => link.close(),
      close: () => object.close(),
    };
  } catch (error) {
    object.close();
    throw error;
  }
}

/** The program in the VM: events.json, stretched or pressed into the time that there is. */
function openMachine(program) {
  const machine = new bpf.Machine(program);
  const counts = machine.maps.counts.as(bpf.u32, statCodec);
  const events = JSON.parse(
    readFileSync(join(__dirname, 'events.json'), 'utf8'),
  );
  const last = events.at(-1).ts;
  let next = 0;
  return {
    advance(part) {
      while (next < events.length && events[next].ts <= last * part) {
        replay(machine, events[next++]);
      }
    },
    rows: () => readRows(counts, () => '?'),
    stop() {},
    close: () => machine.close(),
  };
}

/** One system call: what the helpers answer, and the tracepoint's arguments { regs, nr }. */
function replay(machine, { ts, pid, tgid, comm, nr }) {
  machine.set({ clock: ts, pid, tgid, comm });
  const ctx = new Uint8Array(16);
  new DataView(ctx.buffer).setBigInt64(8, BigInt(nr), true);
  machine.run('count_syscall', { ctx });
}

/** The map's entries, busiest first. */
function readRows(counts, nameless) {
  const rows = [];
  for (const [pid, { count, comm }] of counts) {
    rows.push({ pid, comm: comm || nameless(pid), count: Number(count) });
  }
  return rows.sort((a, b) => b.count - a.count || a.pid - b.pid);
}

/** A process whose main thread has made no call yet, so that the program could not name it. */
function nameOf(pid, names) {
  if (!names.has(pid)) names.set(pid, readName(pid));
  return names.get(pid);
}

/** The first process id namespace, which is the one that BPF programs see. */
const FIRST_NAMESPACE = 'pid:[4026531836]';

function readName(pid) {
  try {
    const sameIds = readlinkSync('/proc/self/ns/pid') === FIRST_NAMESPACE;
    return sameIds ? readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd() : '?';
  } catch {
    return '?'; // it has ended already
  }
}

/** What the kernel answers to who may not use it. */
const refusals = new Set(['EPERM', 'EACCES', 'ENOSYS']);

/** The kernel, or the VM and why: loading may be refused even where the probe was not. */
function open(program) {
  let backend = bpf.backend();
  if (backend.name === 'kernel') {
    try {
      return { backend, run: openKernel(program) };
    } catch (error) {
      if (!refusals.has(error.code)) throw error;
      backend = { name: 'vm', reason: error.message };
    }
  }
  return { backend, run: openMachine(program) };
}

function describe({ name, reason }) {
  return `backend: ${name}${reason ? ` (${reason})` : ''}`;
}

async function main() {
  const options = parse();
  if (!options) return;
  const file = join(__dirname, 'syscalls.bpf.c');
  const program = bpf.compile(readFileSync(file, 'utf8'), { filename: file });
  const { backend, run } = open(program);
  const live = !options.json && process.stdout.isTTY;
  (options.json ? process.stderr : process.stdout).write(
    `${describe(backend)}\n`,
  );
  try {
    const screen = live ? new Screen(process.stdout, options) : undefined;
    const rows = await watch(run, options, screen);
    if (options.json) printJson(backend, options, rows);
    else if (!screen) process.stdout.write(plainTable(rows, options.top));
  } finally {
    run.close();
  }
}

/** Refreshes until the time is over or Ctrl-C; returns the last rows. */
async function watch(run, { seconds }, screen) {
  const interval = screen ? 500 : 1000;
  const start = performance.now();
  const elapsed = () => Math.min((performance.now() - start) / 1000, seconds);
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  while (elapsed() < seconds && !interrupted.signal.aborted) {
    run.advance(elapsed() / seconds);
    screen?.draw(run.rows(), elapsed());
    const left = (seconds - elapsed()) * 1000;
    await sleep(Math.min(interval, left), interrupted.signal);
  }
  if (!interrupted.signal.aborted) run.advance(1);
  run.stop();
  process.removeListener('SIGINT', interrupt);
  process.removeListener('SIGTERM', interrupt);
  const rows = run.rows();
  screen?.end(rows, elapsed());
  return rows;
}

function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}

function printJson({ name, reason }, { seconds, top }, rows) {
  const head = JSON.stringify({ backend: name, reason, seconds }).slice(1, -1);
  const lines = rows
    .slice(0, top)
    .map((row) => `  ${JSON.stringify(row)}`)
    .join(',\n');
  process.stdout.write(`{${head},"rows":[\n${lines}\n]}\n`);
}

/** The options, or undefined when help or a complaint has been printed instead. */
function parse() {
  try {
    const { values } = parseArgs({
      options: {
        seconds: { type: 'string', default: '10' },
        top: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      return undefined;
    }
    return {
      json: values.json,
      seconds: positive('--seconds', values.seconds),
      top: values.top && Math.ceil(positive('--top', values.top)),
    };
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}`);
    process.exitCode = 2;
    return undefined;
  }
}

function positive(option, text) {
  const number = Number(text);
  if (!(number > 0 && number <= 86400)) {
    throw new RangeError(`${option} takes a positive number, not '${text}'`);
  }
  return number;
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n${error.log ?? ''}`);
  process.exitCode = 1;
});
