/**
 * Records between programs and user space: ring buffers, perf buffers, user ring buffers and the
 * trace pipe. BPF_RECORDS says how many the test at full speed makes (test:full: ten million).
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  ClosedError,
  compile,
  features,
  KernelError,
  load,
  mountTracefs,
  parseTraceLine,
  struct,
  tracePipe,
  u32,
  u64,
  type Batch,
  type KernelMap,
  type KernelObject,
} from 'bpf';
import { describeUnless, root, testUnless } from '../support';
import { lacks } from './hooks';
import { idsOf, kernelIds, noKernel, nothing, remaining } from './support';

const source = join(__dirname, 'programs/streams.c');
const noSamples = noKernel ?? lacks(features.mapType('user_ringbuf'));
const noLoop = noKernel ?? lacks(features.helper('raw_tracepoint', 'loop'));
/** Records by one call, where the program has to loop by itself. */
const BURST_MOST = 1024;
const elf = noKernel
  ? undefined
  : compile(readFileSync(source, 'utf8'), {
      filename: 'streams.c',
      defines: {
        ...(noSamples && { WITHOUT_SAMPLES: true }),
        ...(noLoop && { WITHOUT_LOOP: true, BURST_MOST: `${BURST_MOST}` }),
      },
    }).toElf();
/** The number of getuid(2), by which the program is told to write. */
const getuid = { x64: 102, arm64: 174 }[process.arch as string];
const noProgram =
  noKernel ?? (getuid ? undefined : `getuid(2) of ${process.arch} is unknown`);

const MODES = { ring: 1, perf: 2, printk: 3, drain: 4 };
const NO_WAKEUP = 1n;
const controlType = struct({
  pid: u32,
  syscall: u32,
  mode: u32,
  burst: u32,
  flags: u64,
});
const doneType = struct({
  next: u64,
  lost: u64,
  sum: u64,
  samples: u64,
  sampleSum: u64,
});

/** What /proc/self says that we hold of the kernel's maps and events. */
function held(): { files: number; mappings: number } {
  const mappings = readFileSync('/proc/self/maps', 'utf8').match(
    /anon_inode:(bpf-map|\[perf_event\])/g,
  );
  return {
    files: readdirSync('/proc/self/fd').length,
    mappings: mappings?.length ?? 0,
  };
}

const same = (a: object, b: object): boolean =>
  JSON.stringify(a) === JSON.stringify(b);
const later = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Sums over records as the program makes them, and whether their numbers grow. */
class Sums {
  count = 0;
  /** Beyond what a number holds exactly. */
  sum = 0n;
  /** Numbers that never came. */
  gaps = 0;
  #next = 0;

  add({ data, offsets, length }: Batch): void {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    let sum = 0;
    for (let i = 0; i < length; i++) {
      const at = offsets[2 * i] ?? NaN;
      const number =
        view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
      if (number < this.#next) {
        throw new Error(`record ${number} after ${this.#next - 1}`);
      }
      this.gaps += number - this.#next;
      this.#next = number + 1;
      sum += view.getUint32(at + 8, true);
    }
    this.sum += BigInt(sum);
    this.count += length;
  }
}

describeUnless(noProgram, 'streams', () => {
  let object: KernelObject;
  let before: ReturnType<typeof held>;

  beforeEach(() => {
    before = held();
    object = load(elf ?? new Uint8Array());
    object.programs['produce']?.attach();
  });
  afterEach(async () => {
    object.close();
    // libuv closes its handles in its next turn, threads that ended somewhat later.
    for (let i = 0; i < 100 && !same(held(), before); i++) await later(5);
    expect(held()).toEqual(before);
  });

  const map = (name: string): KernelMap => {
    const found = object.maps[name];
    if (!found) throw new Error(`no map ${name}`);
    return found;
  };
  /** How often the program must be called for one burst. */
  let calls = 1;
  const tell = (mode: keyof typeof MODES, burst: number, flags = 0n): void => {
    for (calls = 1; noLoop && burst > calls * BURST_MOST;) calls *= 10;
    map('control')
      .as(u32, controlType)
      .set(0, {
        pid: process.pid,
        syscall: getuid ?? 0,
        mode: MODES[mode],
        burst: burst / calls,
        flags,
      });
  };
  const produce = (times = 1): void => {
    for (let i = 0; i < times * calls; i++) process.getuid?.();
  };
  const done = () => {
    const found = map('done').as(u32, doneType).get(0);
    if (!found) throw new Error('no element 0');
    return found;
  };

  /** Bursts from another thread, as fast as it goes. */
  const flood = (bursts: number): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const script = `
        const { workerData } = require('node:worker_threads');
        for (let i = 0; i < workerData; i++) process.getuid();`;
      const worker = new Worker(script, {
        eval: true,
        workerData: bursts * calls,
      });
      worker.once('exit', resolve).once('error', reject);
    });

  test('a drain gives records and their places, and nothing when there are none', () => {
    const stream = map('ring').stream();
    tell('ring', 3);
    expect(stream.drain().length).toBe(0);
    produce();
    const batch = stream.drain();
    expect(batch).toMatchObject({ length: 3, cpu: 0, lost: 0 });
    expect([...batch].map((record) => record[0])).toEqual([0, 1, 2]);
    expect([...batch].map((record) => record.length)).toEqual([16, 16, 16]);
    for (let i = 0; i < 3; i++) expect(batch.offsets[2 * i]! % 8).toBe(0);
    expect(() => batch.at(3)).toThrow(RangeError);
    expect(() => batch.at(-1)).toThrow(RangeError);
    const copy = batch.copy();
    produce();
    expect(stream.drain().at(0)[0]).toBe(3);
    expect([...copy].map((record) => record[0])).toEqual([0, 1, 2]);
    stream.close();
  });

  test('discarded records are passed over', () => {
    const stream = map('ring').stream();
    tell('ring', 1001);
    produce();
    const sums = new Sums();
    sums.add(stream.drain());
    expect(sums).toMatchObject({ count: 1001, gaps: 0 });
    stream.close();
  });

  test('a drain takes no more than it was allowed', () => {
    const stream = map('ring').stream({ records: 10 });
    tell('ring', 25);
    produce();
    expect([1, 2, 3, 4].map(() => stream.drain().length)).toEqual([
      10, 10, 5, 0,
    ]);
    stream.close();
    const narrow = map('ring').stream({ bytes: 100 });
    produce();
    expect(narrow.drain().length).toBe(6); // of 16 bytes each
    narrow.close();
    expect(() => map('ring').stream({ bytes: 0 })).toThrow(RangeError);
  });

  test('a record that is larger than the memory makes it grow', () => {
    const stream = map('ring').stream({ bytes: 1 });
    tell('ring', 2);
    produce();
    const first = stream.drain().copy();
    expect([first.length, first.at(0)[0]]).toEqual([1, 0]);
    expect(stream.drain().at(0)[0]).toBe(1);
    stream.close();
  });

  test('what finds no room is counted by the program, and the rest arrives', () => {
    const stream = map('ring').stream({ bytes: 1 << 23, records: 1 << 20 });
    tell('ring', 100_000);
    produce(3);
    const sums = new Sums();
    sums.add(stream.drain());
    produce();
    sums.add(stream.drain());
    const { next, lost, sum } = done();
    expect(lost).toBeGreaterThan(0n);
    // What is lost behind the last record leaves no gap.
    expect(BigInt(sums.count) + lost).toBe(next);
    expect(sums.sum).toBe(sum);
    expect(sums.gaps).toBeGreaterThan(0);
    expect(stream.size).toBe(1 << 22);
    stream.close();
  });

  test('iterating waits, and ends with the stream after what was left', async () => {
    const stream = map('ring').stream();
    tell('ring', 7);
    const sums = new Sums();
    const reading = (async () => {
      for await (const batch of stream) sums.add(batch);
    })();
    await later(20);
    produce();
    await later(20);
    expect(sums.count).toBe(7);
    produce();
    stream.close(); // before the event loop could say that there are seven more
    await reading;
    expect(sums).toMatchObject({ count: 14, gaps: 0 });
  });

  test('iterating stops for a signal', async () => {
    const stream = map('ring').stream();
    const stop = new AbortController();
    const reading = (async () => {
      for await (const batch of stream.batches({ signal: stop.signal })) {
        throw new Error(`${batch.length} records from nowhere`);
      }
    })();
    setTimeout(() => stop.abort(new Error('enough')), 10);
    await expect(reading).rejects.toThrow('enough');
    expect(stream.drain().length).toBe(0);
    stream.close();
  });

  test('producers that wake nobody are served by a timer', async () => {
    const asleep = map('ring').stream();
    tell('ring', 1, NO_WAKEUP);
    let woken = false;
    const waiting = asleep.wait().then(() => (woken = true));
    await later(5); // it is armed, and found nothing
    produce();
    await later(50);
    expect(woken).toBe(false);
    asleep.close();
    await waiting;
    for (const interval of [5, 0]) {
      const stream = map('ring').stream({ interval });
      produce();
      for await (const batch of stream) {
        expect(batch.length).toBeGreaterThan(0);
        break;
      }
      produce();
      await stream.wait();
      stream.close();
    }
  });

  test('of many records at full speed each arrives in order or is counted', async () => {
    const records = Number(process.env['BPF_RECORDS'] ?? 1_000_000);
    const stream = map('ring').stream();
    const burst = 5000;
    tell('ring', burst);
    const sums = new Sums();
    const finished = flood(records / burst).then(() => stream.close());
    for await (const batch of stream) sums.add(batch);
    await finished;
    const { next, lost, sum } = done();
    expect(next).toBeGreaterThanOrEqual(records); // Node's own calls come on top
    expect(BigInt(sums.count) + lost).toBe(next);
    expect(sums.sum).toBe(sum);
    expect(sums.count).toBeGreaterThan(records / 100);
  }, 300_000);

  test('perf buffers: records, CPU, and losses', async () => {
    const stream = map('perf').stream({ pages: 1 });
    tell('perf', 10);
    produce();
    let batch = stream.drain();
    expect(batch.length).toBe(10);
    const cpu = new DataView(batch.data.buffer).getUint32(12, true);
    expect(batch.cpu).toBe(cpu);
    // 16 bytes and the padding of their 32-bit size.
    expect(batch.at(0).length).toBe(20);
    tell('perf', 1000); // a page has room for a hundred
    produce();
    const exact = Number(done().lost);
    expect(exact).toBeGreaterThan(0);
    expect(stream.lost).toBe(exact);
    let count = 10;
    let told = 0;
    const drainAll = (): void => {
      for (;;) {
        batch = stream.drain();
        if (batch.length === 0 && batch.lost === 0) return;
        count += batch.length;
        told += batch.lost;
      }
    };
    drainAll();
    tell('perf', 1);
    produce(); // the next record brings the losses with it
    drainAll();
    const { next, lost } = done();
    expect(told).toBe(Number(lost));
    expect(BigInt(count) + lost).toBe(next);
    stream.close();
  });

  test('perf buffers: a watermark wakes late', async () => {
    const stream = map('perf').stream({ wakeupBytes: 4096 });
    tell('perf', 1);
    let woken = 0;
    const waiting = stream.wait().then(() => (woken = performance.now()));
    await later(5);
    produce(20); // 800 bytes
    await later(30);
    expect(woken).toBe(0);
    tell('perf', 200);
    produce();
    await waiting;
    expect(woken).toBeGreaterThan(0);
    stream.close();
    expect(() => map('perf').stream({ pages: 3 })).toThrow(/power of two/);
  });

  test('perf buffers: iterating, and a buffer that was closed takes no more', async () => {
    const stream = map('perf').stream();
    tell('perf', 4);
    setTimeout(() => produce(), 5);
    for await (const batch of stream) {
      expect(batch.length).toBe(4);
      break;
    }
    stream.close();
    produce();
    expect(done().lost).toBe(4n); // ENOENT: the map holds no event any more
  });

  testUnless(
    noSamples,
    'user ring buffers: samples reach the program',
    async () => {
      const sender = map('samples').sender();
      tell('drain', 0);
      const sample = (value: number): Uint8Array => {
        const bytes = new Uint8Array(8);
        new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
        return bytes;
      };
      for (let i = 1; i <= 100; i++)
        expect(sender.trySend(sample(i))).toBe(true);
      produce();
      expect(done()).toMatchObject({ samples: 100n, sampleSum: 5050n });
      // 16 bytes each, in 64 KiB.
      let sent = 0;
      while (sender.trySend(sample(1))) sent++;
      expect(sent).toBe(4096);
      let waited = true;
      const sending = sender.send(sample(1000)).then(() => (waited = false));
      await later(10);
      expect(waited).toBe(true);
      produce();
      await sending;
      produce();
      expect(done().samples).toBe(100n + 4096n + 1n);
      expect(done().sampleSum).toBe(5050n + 4096n + 1000n);
      expect(() => sender.trySend(new Uint8Array(1 << 16))).toThrow(/E2BIG/);
      sender.close();
      expect(() => sender.trySend(sample(1))).toThrow(ClosedError);
    },
  );

  test('the interface of a Machine’s maps: events, lost', () => {
    tell('ring', 5);
    expect([...map('ring').events()]).toEqual([]);
    produce();
    const numbers = [...map('ring').events()].map(({ data }) => data[0]);
    expect(numbers).toEqual([0, 1, 2, 3, 4]);
    expect(map('ring').lost).toBe(0);
  });

  testUnless(noSamples, 'the interface of a Machine’s maps: send', () => {
    tell('drain', 0);
    map('samples').send(new Uint8Array(8));
    produce();
    expect(done().samples).toBe(1n);
  });

  test('the trace pipe has what programs print', async () => {
    mountTracefs();
    const pipe = tracePipe();
    pipe.drain();
    const { next } = done();
    tell('printk', 0);
    setTimeout(() => produce(2), 5);
    const seen = [];
    for await (const line of pipe) {
      if (!line.text.endsWith('of stream.test')) continue; // somebody else's
      seen.push(line);
      if (seen.length === 2) break;
    }
    expect(seen.map(({ text }) => text)).toEqual([
      `number ${next} of stream.test`,
      `number ${next + 1n} of stream.test`,
    ]);
    expect(seen[0]).toMatchObject({ pid: process.pid });
    expect(seen[0]?.time).toBeGreaterThan(0);
    pipe.close();
    expect(() => pipe.drain()).toThrow(ClosedError);
  });

  test('lines of the trace pipe', () => {
    const line =
      '     a-b c-123   (    120) [003] d..31   12.345678: bpf_trace_printk: x: y';
    expect(parseTraceLine(line)).toEqual({
      comm: 'a-b c',
      pid: 123,
      cpu: 3,
      flags: 'd..31',
      time: 12.345678,
      text: 'x: y',
      line,
    });
    expect(parseTraceLine('CPU:0 [LOST 3 EVENTS]')).toBeUndefined();
  });

  test('only maps with records have streams', () => {
    for (const use of [
      () => map('done').stream(),
      () => map('done').sender(),
      () => map('ring').sender(),
      ...(noSamples ? [] : [() => map('samples').stream()]),
    ]) {
      expect(use).toThrow(KernelError);
      expect(use).toThrow(/maps of type \d+/);
    }
  });

  test('after close every use throws, and closing again does nothing', async () => {
    const stream = map('ring').stream();
    stream.close();
    stream.close();
    for (const use of [
      () => stream.fd,
      () => stream.size,
      () => stream.lost,
      () => stream.drain(),
      () => stream.wait(),
      () => stream.keepAlive(false),
    ]) {
      expect(use).toThrow(ClosedError);
    }
    await expect(stream.batches().next()).rejects.toThrow(ClosedError);
  });

  test('a stream outlives its map’s handle', () => {
    const stream = map('ring').stream();
    tell('ring', 2);
    produce();
    map('ring').close();
    expect(stream.drain().length).toBe(2);
    stream.close();
  });

  test('a stream that does not keep the process alive', () => {
    const script = `
      const { load } = require(${JSON.stringify(root)});
      const object = load(new Uint8Array(require('fs').readFileSync(0)));
      const stream = object.maps.ring.stream({ interval: 10 });
      if (process.env.UNREF) stream.keepAlive(false);
      setTimeout(() => { console.log('late'); process.exit(); }, 5000).unref();
      stream.wait().then(() => console.log('woken'));
      process.on('exit', () => object.close());`;
    const run = (env: Record<string, string>): string => {
      const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
        input: elf,
        env: { ...process.env, ...env },
        encoding: 'utf8',
        timeout: 120_000,
      });
      expect(stderr).toBe('');
      return stdout;
    };
    expect(run({ UNREF: '1' })).toBe('');
    expect(run({})).toMatch(/^woken/);
  });

  testUnless(noSamples, 'what is waited for is not collected', () => {
    const script = `
      const { load, u32, u64, struct } = require(${JSON.stringify(root)});
      const object = load(new Uint8Array(require('fs').readFileSync(0)));
      const link = object.programs.produce.attach();
      const control = struct({ pid: u32, syscall: u32, mode: u32, burst: u32, flags: u64 });
      const tell = (mode) => object.maps.control.as(u32, control).set(0, {
        pid: process.pid, syscall: ${getuid}, mode, burst: 3, flags: 0n });
      const sender = object.maps.samples.sender();
      gc(); gc(); // between opening and waiting
      while (sender.trySend(new Uint8Array(8)));
      const sent = sender.send(new Uint8Array(8)).then(() => console.log('sent'));
      (async () => {
        for await (const batch of object.maps.ring.stream()) {
          console.log(batch.length);
          await sent;
          object.close();
          process.exit();
        }
      })();
      let left = 30;
      setInterval(() => {
        gc();
        if (--left === 10) { tell(${MODES.ring}); process.getuid(); }
        if (left === 0) { tell(${MODES.drain}); process.getuid(); }
      }, 2);`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--expose-gc', '-e', script],
      { input: elf, encoding: 'utf8', timeout: 120_000 },
    );
    expect(stderr).toBe('');
    expect(stdout).toBe('3\nsent\n');
  });

  test('a worker thread killed in the middle leaves nothing', async () => {
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { load } = require(workerData.root);
      const object = load(workerData.elf);
      object.programs.produce.attach();
      const ring = object.maps.ring.stream({ interval: 1 });
      const perf = object.maps.perf.stream();
      const sender = object.maps.samples?.sender();
      (async () => { for await (const batch of ring) globalThis.last = batch; })();
      (async () => { for await (const batch of perf) globalThis.last = batch; })();
      const ids = (list) => Object.values(list).map((one) => one.info.id);
      parentPort.postMessage({
        programs: ids(object.programs), maps: ids(object.maps) });
      setTimeout(() => { for (;;) sender?.trySend(new Uint8Array(8)); }, 20);`;
    const worker = new Worker(script, {
      eval: true,
      workerData: { root, elf },
    });
    const ids = await new Promise<{ programs: number[]; maps: number[] }>(
      (resolve, reject) =>
        worker.once('message', resolve).once('error', reject),
    );
    expect(kernelIds().maps).toContain(ids.maps[0]);
    await later(50);
    await worker.terminate();
    expect(
      await remaining({
        programs: new Set(ids.programs),
        maps: new Set(ids.maps),
        links: new Set(),
      }),
    ).toEqual(nothing);
    expect(idsOf(object).maps.size).toBe(noSamples ? 5 : 6);
  });
});
