/**
 * Nothing stays, and nothing that is closed works: use after close of every method that there is (a
 * new one cannot be forgotten), many loads and unloads, worker threads that are killed anywhere,
 * threads that are refused at the same time, SIGKILL, and the garbage collector between all calls.
 *
 * Counts are small; FAULTS=every (npm run test:full) has them all.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from '@jest/globals';
import * as bpf from 'bpf';
import { ClosedError, compile, features, load, MapType, u32, u64 } from 'bpf';
import { describeUnless, root } from '../support';
import { lacks } from './hooks';
import {
  bpfDescriptors,
  kernelIds,
  noKernel,
  nothing,
  remaining,
  within,
} from './support';

const { ids, stays } = require('../../scripts/jest-ids.js') as {
  ids(): string[];
  stays(before: string[]): Promise<string[]>;
};
const every = process.env['FAULTS'] === 'every';
const times = (few: number, many: number): number => (every ? many : few);
const noUserRing = noKernel ?? lacks(features.mapType('user_ringbuf'));
const entry = join(root, 'dist/bindings/src/index.js');

/** Without the lines of user ring buffers where there are none. */
const fitting = (text: string): string =>
  noUserRing ? text.replace(/.*(USER_RINGBUF|\bsender\b).*/g, '') : text;

const source = fitting(`
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } table SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_USER_RINGBUF); __uint(max_entries, 4096); } samples SEC(".maps");
u64 total;
SEC("raw_tp/sys_enter")
int prog(void *ctx) {
    u32 key = 0;
    u64 one = 1;
    bpf_map_update_elem(&table, &key, &one, 0);
    total++;
    return 0;
}
char LICENSE[] SEC("license") = "GPL";
`);
const object = noKernel === undefined ? compile(source) : undefined;
const loaded = () => {
  if (object === undefined) throw new Error('no kernel');
  return load(object);
};

/** A program that the verifier refuses for reading above the stack. */
const refused = (offset: number): string => `
.section "raw_tp/sys_enter","ax",@progbits
.globl refused
refused:
        r0 = *(u64 *)(r10 + ${offset})
        exit
.section license,"aw",@progbits
.asciz "GPL"
`;

/** Mappings of BPF's kinds. */
const mappings = (): string[] =>
  readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => /anon_inode|bpf-map|perf_event/.test(line));

/** Getters and methods of an instance, its classes' and its own. */
function members(instance: object): string[] {
  const names = new Set<string>();
  for (
    let at: object | null = instance;
    at && at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object | null
  ) {
    for (const key of Reflect.ownKeys(at)) {
      const { get, value } = Object.getOwnPropertyDescriptor(at, key) ?? {};
      const callable = get !== undefined || typeof value === 'function';
      if (callable && key !== 'constructor') names.add(String(key));
    }
  }
  return [...names];
}

const symbols: Record<string, symbol> = {
  'Symbol(Symbol.iterator)': Symbol.iterator,
  'Symbol(Symbol.asyncIterator)': Symbol.asyncIterator,
};

/** Uses a member with these arguments as far as it goes: getters, generators, promises. */
async function use(
  instance: object,
  name: string,
  args: unknown[],
): Promise<void> {
  const key = symbols[name] ?? name;
  const value: unknown = (instance as never)[key];
  let result: unknown =
    typeof value === 'function'
      ? (value as (...all: unknown[]) => unknown).apply(instance, args)
      : value;
  if (result !== null && typeof result === 'object' && 'next' in result) {
    result = (result as { next(): unknown }).next();
  }
  await result;
}

async function thrown(body: () => Promise<void>): Promise<unknown> {
  try {
    await body();
  } catch (error) {
    return error;
  }
  return 'nothing was thrown';
}

describeUnless(noKernel, 'use after close', () => {
  const key = new Uint8Array(4);
  const value = new Uint8Array(8);
  /** Name, how to make one and close it, arguments of methods, and what is known without the kernel. */
  const handles: [string, () => object, Record<string, unknown[]>, string[]][] =
    [];
  const closing = [
    'close',
    'closed',
    'Symbol(Symbol.dispose)',
    'Symbol(nodejs.dispose)',
  ];
  const add = (
    name: string,
    make: () => object,
    args: Record<string, unknown[]> = {},
    known: string[] = [],
  ) => handles.push([name, make, args, known]);

  /** Facts that were asked for when it was opened. */
  const shape = ['id', 'name', 'type', 'keySize', 'valueSize', 'maxEntries'];
  const onMap = {
    get: [key],
    set: [key, value],
    has: [key],
    delete: [key],
    lookup: [key],
    update: [key, value],
    take: [key],
    setFd: [key, { fd: 0 }],
    inner: [key],
    updateMany: [key, value, 1],
    deleteMany: [key, 1],
    pin: ['/sys/fs/bpf/never'],
    push: [value],
    fill: [[[key, value]]],
    as: [u32, u64],
    forEach: [() => {}],
  };
  add(
    'KernelObject',
    () => {
      const all = loaded();
      all.close();
      return all;
    },
    { attachStructOps: ['x'] },
  );
  add(
    'KernelProgram',
    () => {
      const all = loaded();
      all.close();
      return all.programs['prog'] as object;
    },
    { pin: ['/sys/fs/bpf/never'] },
    ['object', 'name', 'native'],
  );
  add(
    'Link',
    () => {
      const all = loaded();
      const link = all.programs['prog']?.attach();
      all.close();
      return link as object;
    },
    { update: [loadedProgram()], pin: ['/sys/fs/bpf/never'] },
  );
  add(
    'KernelMap',
    () => {
      const all = loaded();
      all.close();
      return all.maps['table'] as object;
    },
    onMap,
    [...shape, 'as'],
  );
  add(
    'typed map',
    () => {
      const all = loaded();
      const typed = all.maps['table']?.as(u32, u64);
      all.close();
      return typed as object;
    },
    {
      ...onMap,
      get: [1],
      set: [1, 1n],
      has: [1],
      delete: [1],
      push: [1n],
      fill: [[[1, 1n]]],
      take: [1],
    },
    [...shape, 'as'],
  );
  add(
    'RecordStream',
    () => {
      const all = loaded();
      const stream = all.maps['events']?.stream();
      stream?.close();
      all.close();
      return stream as object;
    },
    { keepAlive: [true] },
  );
  if (!noUserRing)
    add(
      'RecordSender',
      () => {
        const all = loaded();
        const sender = all.maps['samples']?.sender();
        sender?.close();
        all.close();
        return sender as object;
      },
      { trySend: [value], send: [value] },
    );
  add('StatsSwitch', () => {
    const stats = bpf.enableStats();
    stats.close();
    return stats;
  });
  add(
    'TracePipe',
    () => {
      bpf.mountTracefs();
      const pipe = bpf.tracePipe();
      pipe.close();
      return pipe;
    },
    { keepAlive: [true] },
  );

  function loadedProgram(): object {
    if (noKernel !== undefined) return {};
    const all = loaded();
    all.close();
    return all.programs['prog'] as object;
  }

  for (const [name, make, args, known] of handles) {
    test(name, async () => {
      const instance = make();
      const all = members(instance).filter(
        (member) =>
          !closing.includes(member) &&
          !known.includes(member) &&
          !['ensureOpen', 'release'].includes(member),
      );
      const wrong: string[] = [];
      for (const member of all) {
        const error = await thrown(() =>
          use(instance, member, args[member] ?? []),
        );
        if (!(error instanceof ClosedError))
          wrong.push(`${member}: ${String(error)}`);
      }
      expect(wrong).toEqual([]);
      expect(all.length).toBeGreaterThanOrEqual(name === 'StatsSwitch' ? 0 : 2);
      if ('closed' in instance) expect(instance.closed).toBe(true);
      (instance as { close?(): void }).close?.(); // again does nothing
    });
  }

  /** Those of npm bpf 1.x, whose reference is closed. */
  const raw = {
    get: [key],
    getDelete: [key],
    set: [key, key],
    delete: [key],
    has: [key],
    getBatch: [1],
    setBatch: [[[key, key]]],
    deleteBatch: [[key]],
    push: [key],
    consumeValues: [1],
    setAll: [[key]],
  };
  const conv = {
    get: [1],
    getDelete: [1],
    set: [1, 1],
    delete: [1],
    has: [1],
    getBatch: [1],
    setBatch: [[[1, 1]]],
    deleteBatch: [[1]],
    push: [1],
    consumeValues: [1],
    setAll: [[1]],
  };
  const at = { get: [0], set: [0, key], setBatch: [[[0, key]]] };
  const hash = () =>
    bpf.createMap({
      type: MapType.HASH,
      keySize: 4,
      valueSize: 4,
      maxEntries: 1,
    });
  const array = () =>
    bpf.createMap({
      type: MapType.ARRAY,
      keySize: 4,
      valueSize: 4,
      maxEntries: 1,
    });
  const queue = () =>
    bpf.createMap({
      type: MapType.QUEUE,
      keySize: 0,
      valueSize: 4,
      maxEntries: 1,
    });
  const classes: [
    string,
    () => { ref: bpf.MapRef },
    Record<string, unknown[]>,
  ][] = [
    ['RawMap', () => new bpf.RawMap(hash()), raw],
    ['ConvMap', () => new bpf.ConvMap(hash(), bpf.u32type, bpf.u32type), conv],
    ['RawArrayMap', () => new bpf.RawArrayMap(array()), { ...raw, ...at }],
    [
      'ConvArrayMap',
      () => new bpf.ConvArrayMap(array(), bpf.u32type),
      { ...conv, get: [0], set: [0, 1], setBatch: [[[0, 1]]] },
    ],
    ['RawQueueMap', () => new bpf.RawQueueMap(queue()), raw],
    ['ConvQueueMap', () => new bpf.ConvQueueMap(queue(), bpf.u32type), conv],
  ];
  for (const [name, make, args] of classes) {
    test(name, async () => {
      const map = make();
      map.ref.close();
      const known = [
        'ref',
        'length',
        'userValueSize',
        'map',
        'native',
        'key',
        'value',
        'room',
        'batches',
      ];
      const wrong: string[] = [];
      for (const member of members(map).filter(
        (each) => !known.includes(each),
      )) {
        const error = await thrown(() => use(map, member, args[member] ?? []));
        if (!/FD was closed/.test(String(error)))
          wrong.push(`${member}: ${String(error)}`);
      }
      expect(wrong).toEqual([]);
    });
  }
});

describeUnless(noKernel, 'nothing stays', () => {
  test(
    `${times(60, 1000)} loads and unloads`,
    async () => {
      const cycle = () => {
        const all = loaded();
        const link = all.programs['prog']?.attach();
        const stream = all.maps['events']?.stream();
        all.maps['bpf.bss']?.memory();
        const ids = {
          programs: all.programs['prog']?.info.id ?? 0,
          maps: all.maps['table']?.info.id ?? 0,
          links: link?.info().id ?? 0,
        };
        stream?.close();
        all.close();
        return ids;
      };
      cycle();
      const turn = () => new Promise((done) => setImmediate(done));
      await turn();
      const files = readdirSync('/proc/self/fd').length;
      const memory = process.memoryUsage().rss;
      const made = {
        programs: new Set<number>(),
        maps: new Set<number>(),
        links: new Set<number>(),
      };
      for (let i = 0; i < times(60, 1000); i++) {
        const ids = cycle();
        for (const kind of ['programs', 'maps', 'links'] as const)
          made[kind].add(ids[kind]);
        if (i % 10 === 9) await turn(); // libuv closes its handles
      }
      await turn();
      expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(files);
      expect(made.links.size).toBe(times(60, 1000));
      expect(await remaining(made)).toEqual(nothing);
      expect(process.memoryUsage().rss - memory).toBeLessThan(200 << 20);
    },
    within(300_000),
  );

  test(
    `worker threads, killed in the middle ${times(8, 100)} times`,
    async () => {
      const before = { fds: bpfDescriptors(), maps: mappings() };
      const script = fitting(`
      const { workerData, parentPort } = require('node:worker_threads');
      const bpf = require(workerData.entry);
      const map = bpf.KernelMap.create({ type: 27, keySize: 0, valueSize: 0, maxEntries: 4096 });
      const stream = map.stream();
      stream.wait();
      parentPort.postMessage('ready');
      for (;;) {
        const object = bpf.load(workerData.elf);
        const link = object.programs.prog.attach();
        object.maps['bpf.bss']?.memory();
        object.maps.table.as(bpf.u32, bpf.u64).set(1, 1n);
        const ring = object.maps.events.stream();
        object.maps.samples.sender();
        if (Math.random() < 0.3) object.close();
      }`);
      for (let i = 0; i < times(8, 100); i++) {
        const worker = new Worker(script, {
          eval: true,
          workerData: { entry, elf: object?.toElf() },
        });
        await once(worker, 'message');
        await new Promise((done) => setTimeout(done, Math.random() * 60));
        await worker.terminate();
      }
      // What the thread's memory was is unmapped a little later.
      for (let i = 0; i < 100 && mappings().length > before.maps.length; i++) {
        await new Promise((done) => setTimeout(done, 20));
      }
      expect(bpfDescriptors().filter((fd) => !before.fds.includes(fd))).toEqual(
        [],
      );
      expect(mappings().length).toBeLessThanOrEqual(before.maps.length);
    },
    within(300_000),
  );

  test(
    'SIGKILL leaves what was pinned, and nothing else',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'bpf-kill-'));
      bpf.mountBpffs(folder);
      try {
        const script = `
        const bpf = require(${JSON.stringify(entry)});
        const fs = require('fs');
        const elf = fs.readFileSync(0);
        const pinned = bpf.load(elf);
        pinned.maps.table.pin(${JSON.stringify(join(folder, 'table'))});
        const link = pinned.programs.prog.attach();
        link.pin(${JSON.stringify(join(folder, 'link'))});
        const other = bpf.load(elf);
        const ids = { programs: [other.programs.prog.info.id], maps: [other.maps.table.info.id], links: [other.programs.prog.attach().info().id], kept: [pinned.maps.table.info.id, link.info().id, pinned.programs.prog.info.id] };
        fs.writeSync(1, JSON.stringify(ids) + '\\n');
        for (;;) bpf.load(elf).attach();`;
        const child = spawn(process.execPath, ['-e', script], {
          stdio: ['pipe', 'pipe', 'inherit'],
        });
        child.stdin.end(object?.toElf());
        const [line] = (await once(child.stdout, 'data')) as [Buffer];
        const ids = JSON.parse(line.toString()) as Record<
          'programs' | 'maps' | 'links' | 'kept',
          number[]
        >;
        await new Promise((done) => setTimeout(done, 30));
        child.kill('SIGKILL');
        await once(child, 'exit');
        const gone = {
          programs: new Set(ids.programs),
          maps: new Set(ids.maps),
          links: new Set(ids.links),
        };
        expect(await remaining(gone)).toEqual(nothing);
        const [map = 0, link = 0, program = 0] = ids.kept;
        const now = kernelIds();
        expect([
          now.maps.has(map),
          now.links.has(link),
          now.programs.has(program),
        ]).toEqual([true, true, true]);
        expect(
          [...bpf.pins(folder)]
            .map(({ kind }) => kind)
            .filter((kind) => kind !== 'other'),
        ).toEqual(expect.arrayContaining(['link', 'map']));
        bpf.unpin(join(folder, 'table'));
        bpf.unpin(join(folder, 'link'));
        const rest = {
          programs: new Set([program]),
          maps: new Set([map]),
          links: new Set([link]),
        };
        expect(await remaining(rest)).toEqual(nothing);
      } finally {
        execFileSync('umount', [folder]);
        rmdirSync(folder);
      }
    },
    within(60_000),
  );
});

/**
 * What a process does again and again until it is killed; begin() says that it has done it. `bpf`, `elf`
 * and `pins`, a folder, are there.
 */
const doings: [string, string][] = [
  ['loads', `for (;;) { bpf.load(elf).close(); begin(); }`],
  [
    'verifies',
    `const slow = bpf.assemble('.section xdp,"ax",@progbits\\n.globl slow\\nslow: r6 = 0\\nagain: r6 += 1\\ncall 7\\nif r6 < 60000 goto again\\nr0 = 2\\nexit\\n.section license\\n.asciz "GPL"\\n');
    const loading = async () => { for (;;) (await bpf.loadAsync(slow)).close(); };
    loading(); loading(); loading();
    setTimeout(begin, 5);`,
  ],
  [
    'attaches',
    `bpf.mountTracefs();
    const { count, sample, clock, point } = bpf.load(elf).programs;
    const libc = { kind: 'uprobe', path: 'libc.so.6', name: 'getuid' };
    for (;;) {
      const links = [count.attach(), sample.attach(libc), sample.attach({ ...libc, pid: process.pid }),
        clock.attach({ kind: 'perf_event', event: 'cpu-clock', frequency: 100 }),
        point.attach({ kind: 'tracepoint', category: 'syscalls', name: 'sys_enter_getuid' })];
      process.getuid();
      for (const link of links) link.close();
      begin();
    }`,
  ],
  [
    'drains',
    `const { programs, maps } = bpf.load(elf);
    programs.count.attach();
    const rings = [maps.events.stream(), maps.perf.stream({ pages: 1 })];
    const sender = maps.samples.sender();
    const read = async (ring) => { for await (const batch of ring) { process.getuid(); begin(); } };
    rings.forEach(read);
    setInterval(() => sender.trySend(new Uint8Array(8)), 0);`,
  ],
  [
    'pins',
    `for (let i = 0; ; i++) {
      const { programs, maps } = bpf.load(elf);
      const link = programs.count.attach();
      maps.table.pin(pins + '/table' + i);
      programs.count.pin(pins + '/count' + i);
      link.pin(pins + '/link' + i);
      if (i % 2) for (const name of ['table', 'count', 'link']) bpf.unpin(pins + '/' + name + i);
      link.close();
      begin();
    }`,
  ],
];

const busy = `
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } table SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 65536); } events SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_USER_RINGBUF); __uint(max_entries, 4096); } samples SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
u64 total;
SEC("raw_tp/sys_enter")
int count(void *ctx) {
    u64 number = total++;
    bpf_ringbuf_output(&events, &number, 8, 0);
    bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &number, 8);
    return 0;
}
SEC("uprobe")
int sample(void *ctx) {
    u32 key = 0;
    u64 one = 1;
    bpf_map_update_elem(&table, &key, &one, 0);
    return 0;
}
SEC("perf_event") int clock(void *ctx) { total++; return 0; }
SEC("tp") int point(void *ctx) { total++; return 0; }
char LICENSE[] SEC("license") = "GPL";
`;

describeUnless(noKernel, 'SIGKILL', () => {
  for (const [doing, body] of doings) {
    test(`a process that ${doing}, ${times(2, 50)} times`, async () => {
      const elf = compile(fitting(busy)).toElf();
      const folder = mkdtempSync(join(tmpdir(), 'bpf-kill-'));
      bpf.mountBpffs(folder);
      let pinned = 0;
      try {
        for (let turn = 0; turn < times(2, 50); turn++) {
          const before = ids();
          const script = `
            const bpf = require(${JSON.stringify(entry)});
            const elf = require('fs').readFileSync(0), pins = ${JSON.stringify(folder)};
            let begin = () => { begin = () => {}; require('fs').writeSync(1, 'it is at it'); };
            ${fitting(body)}`;
          const child = spawn(process.execPath, ['-e', script], {
            stdio: ['pipe', 'pipe', 'inherit'],
          });
          child.stdin.end(elf);
          await once(child.stdout, 'data');
          await new Promise((done) => setTimeout(done, 200 * Math.random()));
          child.kill('SIGKILL');
          const [, signal] = (await once(child, 'exit')) as [null, string];
          expect(signal).toBe('SIGKILL');
          const found = [...bpf.pins(folder)];
          pinned += found.length;
          for (const { path, kind } of found) {
            if (kind === 'other') continue;
            bpf.openPinned(path).close();
            bpf.unpin(path);
          }
          expect(await stays(before)).toEqual([]);
        }
      } finally {
        execFileSync('umount', [folder]);
        rmdirSync(folder);
      }
      expect(pinned > 0).toBe(doing === 'pins');
    }, 600_000);
  }
});

describeUnless(noKernel, 'threads', () => {
  test(
    'that are refused at the same time get a log each',
    async () => {
      const count = times(100, 2000);
      const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      const bpf = require(workerData.entry);
      const object = bpf.assemble(workerData.source);
      const off = new RegExp('off=(-?\\\\d+)', 'g');
      let right = 0;
      const wrong = [];
      // All start at once.
      const gate = new Int32Array(workerData.gate);
      Atomics.add(gate, 0, 1);
      Atomics.notify(gate, 0);
      while (Atomics.load(gate, 0) < workerData.threads) Atomics.wait(gate, 0, Atomics.load(gate, 0), 100);
      for (let i = 0; i < workerData.count; i++) {
        try { bpf.load(object, i % 2 ? { logLevel: 1 } : {}); wrong.push('it loaded'); }
        catch (error) {
          // Some kernels print the map's value first, whose offset is 0.
          const found = error.log?.match(off)?.filter((text) => text !== 'off=0').join() ?? error.stack;
          if (found === 'off=' + workerData.offset && error.subject === 'refused') right++;
          else wrong.push(found);
        }
      }
      parentPort.postMessage({ right, wrong: wrong.slice(0, 3) });`;
      const offsets = [8, 16, 24];
      const gate = new SharedArrayBuffer(4);
      const results = await Promise.all(
        offsets.map(async (offset) => {
          const worker = new Worker(script, {
            eval: true,
            workerData: {
              entry,
              source: refused(offset),
              offset,
              count,
              gate,
              threads: offsets.length,
            },
          });
          const [told] = (await once(worker, 'message')) as [unknown];
          await worker.terminate();
          return told;
        }),
      );
      expect(results).toEqual(offsets.map(() => ({ right: count, wrong: [] })));
    },
    within(300_000),
  );
});

describeUnless(noKernel, 'the garbage collector', () => {
  /** In a process of its own, which collects before and after every call of the package. */
  const collecting = (body: string) => {
    const script = `
      const bpf = require(${JSON.stringify(entry)});
      const fs = require('fs');
      const wrapped = new Set();
      let calls = 0;
      const wrap = (prototype) => {
        if (!prototype || prototype === Object.prototype || wrapped.has(prototype)) return;
        wrapped.add(prototype);
        wrap(Object.getPrototypeOf(prototype));
        for (const key of Reflect.ownKeys(prototype)) {
          const row = Object.getOwnPropertyDescriptor(prototype, key);
          if (key === 'constructor' || !row.configurable) continue;
          for (const part of ['value', 'get']) {
            const method = row[part];
            if (typeof method !== 'function') continue;
            row[part] = function (...args) { calls++; gc(); const result = method.apply(this, args); gc(); return result; };
          }
          Object.defineProperty(prototype, key, row);
        }
      };
      const native = require(${JSON.stringify(join(root, 'dist/bindings/src/addon.js'))}).addon();
      for (const name of ['KernelObject', 'KernelProgram', 'KernelMap', 'Link', 'RecordStream', 'RecordSender', 'RawMap', 'ConvMap']) wrap(bpf[name].prototype);
      const elf = fs.readFileSync(0);
      const turns = async (count = 10) => { for (let i = 0; i < count; i++) { gc(); await new Promise((done) => setTimeout(done, 5)); } };
      const descriptors = () => fs.readdirSync('/proc/self/fd').filter((fd) => { try { return /bpf|perf_event/.test(fs.readlinkSync('/proc/self/fd/' + fd)); } catch { return false; } }).length;
      (async () => { ${fitting(body)} })();`;
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      ['--expose-gc', '-e', script],
      { input: object?.toElf(), encoding: 'utf8' },
    );
    return { status, stdout: stdout.trim(), stderr };
  };

  test(
    'closes nothing that is in use',
    () => {
      const { stdout, stderr, status } = collecting(`
      // Nothing but what is needed is referred to.
      const link = bpf.load(elf).programs.prog.attach();
      await turns();
      const id = link.info().id;
      const table = bpf.load(elf).maps.table.as(bpf.u32, bpf.u64);
      await turns();
      table.set(1, 10n).set(2, 20n);
      const seen = [...table].length + Number(table.get(2));
      const memory = bpf.load(elf).maps['bpf.bss'].memory();
      await turns();
      memory[0] = 7;
      const bound = bpf.load(elf).maps.table.bind();
      await turns();
      bound.update();
      const stream = bpf.load(elf).maps.events.stream();
      await turns();
      const drained = stream.drain().length;
      let sent = true;
      const sender = bpf.load(elf).maps.samples.sender();
      await turns();
      sent = sender.trySend(new Uint8Array(8));
      const old = new bpf.ConvMap(bpf.createMap({ type: 1, keySize: 4, valueSize: 4, maxEntries: 2 }), bpf.u32type, bpf.u32type);
      await turns();
      old.set(1, 2);
      console.log(JSON.stringify([link.info().id === id, seen, memory[0], bound.lookup(), drained, sent, old.get(1), calls > 30]));
      process.reallyExit(0);`);
      expect(
        `${status} ${stderr.replace(/.*Warning.*\n?.*trace-warnings.*\n?/g, '')}`,
      ).toBe('0 ');
      expect(stdout).toBe('[true,22,7,true,0,true,2,true]');
    },
    within(60_000),
  );

  test(
    'closes what was dropped',
    () => {
      const { stdout, status } = collecting(`
      const before = descriptors();
      (() => {
        const object = bpf.load(elf);
        object.programs.prog.attach();
        object.maps.events.stream();
        object.maps.samples.sender();
        object.maps['bpf.bss'].memory();
        bpf.createMap({ type: 1, keySize: 4, valueSize: 4, maxEntries: 2 });
        bpf.KernelMap.create({ type: 1, keySize: 4, valueSize: 4, maxEntries: 2 });
      })();
      const open = descriptors();
      await turns(40);
      console.log(JSON.stringify([open > before + 8, descriptors() - before]));
      process.reallyExit(0);`);
      expect({ status, stdout }).toEqual({ status: 0, stdout: '[true,0]' });
    },
    within(60_000),
  );
});
