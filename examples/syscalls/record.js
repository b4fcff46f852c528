// Records events.json from the running kernel (needs root):
//   node record.js [SECONDS [EVENTS [COMM,...]]]
// At most EVENTS are kept, of processes with these names only where names are given, never of our
// own. Time starts with the first event.
'use strict';
const { readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const bpf = require('bpf');

const [seconds = 1, most = 1000, names = ''] = process.argv.slice(2);
const wanted = new Set(names.split(',').filter(Boolean));
const isWanted = ({ comm }) => wanted.size === 0 || wanted.has(comm);
const event = bpf.struct({
  ts: bpf.u64,
  nr: bpf.u64,
  pid: bpf.u32,
  tgid: bpf.u32,
  comm: bpf.chars(16),
});

async function main() {
  const file = join(__dirname, 'record.s');
  const object = bpf.load(
    bpf.assemble(readFileSync(file, 'utf8'), { filename: file }),
  );
  const link = object.programs.record_syscall.attach();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  link.close();
  const events = [...object.maps.events.as(bpf.u32, event).values()]
    .filter((e) => e.ts > 0n && e.tgid !== process.pid && isWanted(e))
    .sort((a, b) => (a.ts < b.ts ? -1 : 1))
    .slice(0, most);
  object.close();
  const start = events[0]?.ts ?? 0n;
  const lines = events.map((e) =>
    JSON.stringify({
      ts: Number(e.ts - start),
      pid: e.pid,
      tgid: e.tgid,
      comm: e.comm,
      nr: Number(e.nr),
    }),
  );
  writeFileSync(join(__dirname, 'events.json'), `[\n${lines.join(',\n')}\n]\n`);
  console.log(`${events.length} events recorded`);
}

main();
