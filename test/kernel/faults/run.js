// Runs one scenario again and again while faults.c makes one of its system calls fail, each in turn,
// and says what came of it. Run by faults.test.ts in a process of its own, under LD_PRELOAD:
//   node --expose-gc run.js [--every] [--memory] [SCENARIO…]     (all of them)
//   node run.js --list
// A scenario passes when each fault ends in a KernelError that tells what, where and what to do, or
// is overcome (the same result as without); and when nothing stays: no descriptor, no mapping, no
// allocation of the addon, no id of the kernel. Each scenario prints a line of JSON.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const os = require('node:os');
const root = path.join(__dirname, '../../..');
const bpf = require(path.join(root, 'dist/bindings/src/index.js'));
const { addon } = require(path.join(root, 'dist/bindings/src/addon.js'));
const scenarios = require('./scenarios.js');

// The short version takes one errno per call, and no call that fails always.
const names = process.argv.slice(2).filter((word) => !word.startsWith('--'));
let name = names[0];
if (process.argv.includes('--list')) {
  console.log(JSON.stringify(Object.keys(scenarios)));
  process.exit();
}
const every = process.argv.includes('--every');
const memory = process.argv.includes('--memory');

/** struct control of faults.c, in words. */
const ON = 0;
const FIRST = 1;
const COUNT = 5;
const HITS = 6;
const IDS_COUNT = 7;
const BLOCKS = 8;
const CALLS_AT = 16;
const CALLS = 16384;
const file = fs.openSync(process.env.FAULTS, 'r+');
function get(index, count = 1) {
  const words = new Uint32Array(count);
  fs.readSync(file, words, 0, 4 * count, 4 * index);
  return words;
}
const put = (index, ...words) =>
  fs.writeSync(file, Uint32Array.from(words), 0, 4 * words.length, 4 * index);
const FOREVER = 0xffffffff;
const SYSTEM_CALLS = 1;
const MEMORY = 2;

const other =
  'perf_event_open mmap ioctl socket bind send recvmsg setsockopt epoll_create1 epoll_ctl fcntl open fopen mount recv'.split(
    ' ',
  );
const commands =
  'MAP_CREATE MAP_LOOKUP_ELEM MAP_UPDATE_ELEM MAP_DELETE_ELEM MAP_GET_NEXT_KEY PROG_LOAD OBJ_PIN OBJ_GET PROG_ATTACH PROG_DETACH PROG_TEST_RUN PROG_GET_NEXT_ID MAP_GET_NEXT_ID PROG_GET_FD_BY_ID MAP_GET_FD_BY_ID OBJ_GET_INFO_BY_FD PROG_QUERY RAW_TRACEPOINT_OPEN BTF_LOAD BTF_GET_FD_BY_ID TASK_FD_QUERY MAP_LOOKUP_AND_DELETE_ELEM MAP_FREEZE BTF_GET_NEXT_ID MAP_LOOKUP_BATCH MAP_LOOKUP_AND_DELETE_BATCH MAP_UPDATE_BATCH MAP_DELETE_BATCH LINK_CREATE LINK_UPDATE LINK_GET_FD_BY_ID LINK_GET_NEXT_ID ENABLE_STATS ITER_CREATE LINK_DETACH PROG_BIND_MAP TOKEN_CREATE PROG_STREAM_READ_BY_FD PROG_ASSOC_STRUCT_OPS'.split(
    ' ',
  );
const callName = (kind) =>
  kind >= 0x300
    ? 'malloc'
    : kind >= 0x200
      ? other[kind - 0x200]
      : `BPF_${commands[kind - 0x100] ?? kind - 0x100}`;

const errnos = os.constants.errno;
const everyErrno =
  'EPERM ENOMEM EINVAL EBUSY EAGAIN EINTR EMFILE EACCES ENOSPC EOPNOTSUPP E2BIG EIO EEXIST EFAULT ENODEV ESRCH ENOENT'.split(
    ' ',
  );
const few = ['EPERM', 'ENOMEM', 'EINVAL', 'EBUSY', 'EAGAIN', 'EMFILE'];

/** Of what undoes: "it is not there any more", which is believed. */
const gone = ['ENOENT', 'ENODEV', 'EEXIST'];
const answers = {
  BPF_PROG_DETACH: gone,
  socket: gone,
  setsockopt: gone,
  bind: gone,
  send: gone,
  recvmsg: gone,
  recv: gone,
};

/** What a signal or an empty queue interrupts is asked for again. */
const again = ['recvmsg', 'recv'];
const ENDLESS = 10_000;

/** What must be the same afterwards. */
const descriptors = () =>
  fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = fs.readlinkSync(`/proc/self/fd/${fd}`);
      return target.includes('/fd') ? [] : [`${fd} ${target}`];
    } catch {
      return []; // that of the listing
    }
  });
const mappings = () =>
  fs
    .readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => /anon_inode|bpf-map/.test(line));
const difference = (now, before) => now.filter((x) => !before.includes(x));

/** What is in an error that people and programs need. */
function flaws(error, errno) {
  // Without memory for it an error has no words, and who fails may not know why.
  if (memory && (error instanceof bpf.KernelError || error?.code === 'ENOMEM'))
    return [];
  if (!(error instanceof bpf.KernelError)) return [`it is ${error?.stack}`];
  const list = [];
  const { message, operation, code, reason, remedy } = error;
  if (errno !== undefined && error.errno !== errno)
    list.push(`errno is ${error.errno} (${code}), not ${errno}`);
  if (code !== bpf.BPFError.getCode(error.errno)) list.push(`code ${code}`);
  if (!operation) list.push('it has no operation');
  if (!message.startsWith(operation)) list.push('message without operation');
  if (!message.includes(`(${code})`)) list.push('message without code');
  if (!reason || !message.includes(reason)) list.push('it has no reason');
  if (!remedy || !message.includes(remedy)) list.push('it has no remedy');
  if (/undefined|null|%[sdu]/.test(message)) list.push('a hole in the message');
  return list;
}

let problems;
let tally;
function problem(where, what) {
  if (problems.length < 40) problems.push(`${name}, ${where}: ${what}`);
}

/** One run with these words of the control: what it gave or threw, and what was called. */
async function attempt(scenario, state, words) {
  put(ON, 0, 0, 0, 0, 0, 0, 0);
  put(FIRST, ...words);
  const handles = [];
  const keep = (handle) => (handles.push(handle), handle);
  const outcome = {};
  put(ON, words.memory ?? scenario.group ?? SYSTEM_CALLS);
  try {
    outcome.result = JSON.stringify(
      (await scenario.run(state, keep)) ?? null,
      (_, value) => (typeof value === 'bigint' ? `${value}n` : value),
    );
  } catch (error) {
    outcome.error = error;
  }
  const close = () => {
    for (const handle of handles.reverse()) {
      try {
        handle.close();
      } catch (error) {
        outcome.error ??= error;
      }
    }
  };
  close();
  put(ON, 0);
  close(); // what could not be detached can be tried again
  scenario.undo?.(state);
  const [count] = get(COUNT);
  outcome.hits = get(HITS)[0];
  outcome.calls = [...get(CALLS_AT, Math.min(count, CALLS))];
  return outcome;
}

function judge(scenario, where, outcome, baseline, call, errno) {
  const { error, result } = outcome;
  tally.faults++;
  if (error === undefined) {
    const key = `${call} ${bpf.BPFError.getCode(errno)}`;
    tally.overcome[key] = (tally.overcome[key] ?? 0) + 1;
    if (
      !memory && // words of a log may be lost
      result !== baseline.result &&
      !scenario.differs?.(result, errno, baseline.result)
    )
      problem(where, `${result} instead of ${baseline.result}`);
    return;
  }
  tally.errors++;
  const mapped = scenario.maps?.includes(call);
  for (const flaw of flaws(error, mapped ? undefined : errno))
    problem(where, `${flaw}: ${error?.message}`);
  const { message } = error;
  tally.sentences[call] ??= message;
}

async function collect() {
  for (let i = 0; i < 10; i++) {
    globalThis.gc();
    await new Promise((done) => setImmediate(done));
  }
}

/** The ids that are still there; the kernel frees some a little later. */
async function remaining() {
  const count = Math.min(get(IDS_COUNT)[0], CALLS);
  const words = get(CALLS_AT + CALLS, 2 * count);
  const native = addon();
  const next = [
    native.nextProgId,
    native.nextMapId,
    native.nextLinkId,
    native.nextBtfId,
  ];
  const kinds = ['program', 'map', 'link', 'btf'];
  let left = Array.from({ length: count }, (_, i) => [
    words[2 * i],
    words[2 * i + 1],
  ]);
  for (let turn = 0; turn < 200 && left.length > 0; turn++) {
    left = left.filter(([kind, id]) => next[kind]?.(id - 1) === id);
    if (left.length > 0) await new Promise((done) => setTimeout(done, 50));
  }
  return { count, left: left.map(([kind, id]) => `${kinds[kind]} ${id}`) };
}

async function test() {
  problems = [];
  tally = { name, faults: 0, errors: 0, overcome: {}, sentences: {} };
  const scenario = scenarios[name];
  if (memory) scenario.group = MEMORY;
  const why = scenario.unless?.();
  if (why) return console.log(JSON.stringify({ name, skipped: why, problems }));
  const never = [0, 0, 0, 0];
  let state, baseline;
  try {
    state = scenario.setup?.() ?? {};
    await attempt(scenario, state, never); // what is done once in a process
    baseline = await attempt(scenario, state, never);
    if (baseline.error) throw baseline.error;
  } catch (error) {
    if (state) scenario.teardown?.(state);
    if (!scenario.tooOld) throw error;
    const skipped = `it came with Linux ${scenario.since}`;
    return console.log(JSON.stringify({ name, skipped, problems }));
  }
  const calls = baseline.calls;
  const list =
    scenario.group === MEMORY ? ['ENOMEM'] : every ? everyErrno : few;
  await collect();
  put(IDS_COUNT, 0);
  const before = {
    fds: descriptors(),
    maps: mappings(),
    blocks: get(BLOCKS)[0],
  };
  const check = async (where) => {
    const left = () => [
      difference(descriptors(), before.fds),
      difference(mappings(), before.maps),
    ];
    let [fds, maps] = left();
    // libuv closes a poller at its loop's next turn, V8 frees a buffer's memory when it collects.
    for (let i = 0; i < 10 && fds.length + maps.length > 0; i++) {
      if (fds.length === 0) globalThis.gc();
      await new Promise((done) => setImmediate(done));
      [fds, maps] = left();
    }
    if (fds.length + maps.length > 0)
      problem(where, `left open: ${[...fds, ...maps].join(', ')}`);
    const attached = scenario.left?.(state) ?? [];
    if (attached.length > 0)
      problem(where, `left attached: ${JSON.stringify(attached)}`);
    before.fds.push(...fds);
    before.maps.push(...maps);
  };
  const one = async (where, words, call, code) => {
    const outcome = await attempt(scenario, state, words);
    if (outcome.hits === 0) problem(where, 'the call was not made');
    if (outcome.hits >= ENDLESS && !again.includes(call))
      problem(where, 'the call is made again and again');
    judge(scenario, where, outcome, baseline, call, errnos[code]);
    await check(where);
  };
  // Each call once. In the short version the errnos take turns.
  for (let i = 0; i < calls.length; i++) {
    const call = callName(calls[i]);
    const skipped = scenario.skip?.[call] ?? [];
    const mine = list.filter(
      (code) => !skipped.includes(code) && !answers[call]?.includes(code),
    );
    const some = every ? mine : [mine[i % mine.length]];
    for (const code of some)
      await one(
        `call ${i + 1} of ${calls.length}, ${call}, ${code}`,
        [i + 1, 1, errnos[code], 0],
        call,
        code,
      );
  }
  // Each kind of call always.
  for (const kind of every ? new Set(calls) : []) {
    const call = callName(kind);
    for (const code of list) {
      if (scenario.skip?.[call]?.includes(code)) continue;
      if (answers[call]?.includes(code)) continue;
      await one(
        `every ${call}, ${code}`,
        [1, FOREVER, errnos[code], kind],
        call,
        code,
      );
    }
  }
  await collect();
  const ids = await remaining();
  if (ids.left.length > 0)
    problem('at the end', `left in the kernel: ${ids.left.join(', ')}`);
  const blocks = get(BLOCKS)[0] - before.blocks;
  if (blocks > 0) problem('at the end', `${blocks} allocations were not freed`);
  const after = await attempt(scenario, state, never);
  if (after.result !== baseline.result)
    problem('at the end', `${after.error ?? after.result} without a fault`);
  scenario.teardown?.(state);
  const names = {};
  for (const kind of calls)
    names[callName(kind)] = (names[callName(kind)] ?? 0) + 1;
  const sum = { ...tally, calls: names, ids: ids.count, blocks, problems };
  console.log(JSON.stringify(sum));
}

async function main() {
  for (name of names.length > 0 ? names : Object.keys(scenarios)) {
    try {
      await test();
    } catch (error) {
      put(ON, 0);
      console.log(
        JSON.stringify({ name, problems: [`${name}: ${error.stack}`] }),
      );
    }
  }
}

main();
