#!/usr/bin/env node
// Records the system calls of a running kernel (needs root); events.json was made by
//   node record.js --seconds 2 --names sh,date,ls,sort,head,python3
// Our own calls are left out, and time starts with the first event.
'use strict';
const { readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { parseArgs } = require('node:util');
const bpf = require('bpf');

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '1' },
    /** At most so many events. */
    events: { type: 'string', default: '1500' },
    /** Only those of processes with these names. */
    names: { type: 'string', default: '' },
    out: { type: 'string', default: join(__dirname, 'events.json') },
  },
});
const names = new Set(values.names.split(',').filter(Boolean));

const event = bpf.struct({
  ts: bpf.u64,
  nr: bpf.u64,
  pid: bpf.u32,
  tgid: bpf.u32,
  comm: bpf.chars(16),
});

/** What the program saw in that time, oldest first. */
async function record(seconds) {
  const file = join(__dirname, 'record.s');
  const program = bpf.assemble(readFileSync(file), { filename: file });
  const object = bpf.load(program);
  try {
    const link = object.programs.record_syscall.attach();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    link.close();
    const all = [...object.maps.events.as(bpf.u32, event).values()];
    return all
      .filter(({ ts, tgid }) => ts > 0n && tgid !== process.pid)
      .sort((a, b) => Number(a.ts - b.ts));
  } finally {
    object.close();
  }
}

async function main() {
  const events = (await record(Number(values.seconds)))
    .filter(({ comm }) => names.size === 0 || names.has(comm))
    .slice(0, Number(values.events));
  const start = events[0]?.ts ?? 0n;
  const lines = events.map(({ ts, pid, tgid, comm, nr }) =>
    JSON.stringify({ ts: Number(ts - start), pid, tgid, comm, nr: Number(nr) }),
  );
  writeFileSync(values.out, `[\n${lines.join(',\n')}\n]\n`);
  console.log(`${events.length} events recorded`);
}

main();
