/**
 * Maps of the running kernel: a test per kind of map, and one per operation that only some have.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  bytes,
  ClosedError,
  compile,
  features,
  KernelError,
  KernelMap,
  load,
  perCpu,
  possibleCpus,
  struct,
  u32,
  u64,
  type KernelMapDef,
} from 'bpf';
import { describeUnless, root, testUnless } from '../support';
import { lacks, noTake } from './hooks';
import { errorOf, kernelIds, noKernel, remaining } from './support';

/** enum bpf_map_type */
const Type = {
  hash: 1,
  array: 2,
  programs: 3,
  percpuHash: 5,
  percpuArray: 6,
  stackTrace: 7,
  lruHash: 9,
  lruPercpuHash: 10,
  lpm: 11,
  arrayOfMaps: 12,
  hashOfMaps: 13,
  devmap: 14,
  sockmap: 15,
  cpumap: 16,
  sockhash: 18,
  queue: 22,
  stack: 23,
  skStorage: 24,
  taskStorage: 29,
  bloom: 30,
  arena: 33,
};
const NO_PREALLOC = 1;
const NOEXIST = 1;
const EXIST = 2;
const LOCK = 4;
const MMAPABLE = 1 << 10;
const RDONLY = 1 << 3;

/** Why there are no maps of a type here. */
const noType = (name: string): string | undefined =>
  noKernel ?? lacks(features.mapType(name));

const word = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
};
const words = (...values: number[]): Uint8Array =>
  Uint8Array.from(values.flatMap((value) => [...word(value)]));

/** By name: the addon's are of another realm than jest's. */
function nameOf(use: () => unknown): string | undefined {
  try {
    use();
  } catch (error) {
    return (error as Error).name;
  }
  return;
}

function held(): { files: number; mappings: number } {
  const mappings = readFileSync('/proc/self/maps', 'utf8').match(
    /anon_inode:bpf-map/g,
  );
  return {
    files: readdirSync('/proc/self/fd').length,
    mappings: mappings?.length ?? 0,
  };
}

describeUnless(noKernel, 'kernel maps', () => {
  let before: ReturnType<typeof held>;
  const open: { close(): void }[] = [];
  const kept = <T extends { close(): void }>(handle: T): T => {
    open.push(handle);
    return handle;
  };
  const make = (def: Partial<KernelMapDef> & { type: number }): KernelMap =>
    kept(
      KernelMap.create({ keySize: 4, valueSize: 8, maxEntries: 16, ...def }),
    );
  /** A hash of u32 to u64 with `count` entries, i to 3 * i. */
  const filled = (count: number, def = {}): KernelMap => {
    const map = make({ type: Type.hash, maxEntries: count, ...def });
    const typed = map.as(u32, u64);
    for (let i = 0; i < count; i++) typed.set(i, BigInt(3 * i));
    return map;
  };

  beforeEach(() => {
    before = held();
  });
  afterEach(async () => {
    for (const handle of open.splice(0)) handle.close();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(held()).toEqual(before);
  });

  describe('handles', () => {
    test('create, and what the kernel tells', () => {
      const map = make({ type: Type.hash, name: 'a_name', maxEntries: 5 });
      expect(map.info).toMatchObject({
        name: 'a_name',
        type: 1,
        keySize: 4,
        valueSize: 8,
        maxEntries: 5,
        flags: 0,
        frozen: false,
        extra: 0,
      });
      expect(map.info.memlock).toBeGreaterThan(0);
      expect(kernelIds().maps).toContain(map.info.id);
    });

    test('by descriptor, by id: the same map, handles of their own', async () => {
      const map = make({ type: Type.hash });
      const { id } = map.info;
      const others = [KernelMap.fromFd(map.fd), KernelMap.fromId(id)].map(kept);
      map.update(word(1), new Uint8Array(8).fill(7));
      map.close();
      for (const other of others) {
        expect(other.info.id).toBe(id);
        expect(other.lookup(word(1))).toEqual(new Uint8Array(8).fill(7));
        other.close();
      }
      const maps = new Set([id]);
      const none = new Set<number>();
      expect(
        await remaining({ maps, programs: none, links: none }),
      ).toMatchObject({ maps: [] });
      expect(errorOf(() => KernelMap.fromId(id))).toMatchObject({
        code: 'ENOENT',
        message: expect.stringContaining(
          `id ${id}: the kernel has no map of this id`,
        ),
      });
    });

    test('descriptors that are no map’s', () => {
      expect(errorOf(() => KernelMap.fromFd(0)).message).toMatch(/no map's/);
      expect(errorOf(() => KernelMap.fromFd(999_999)).code).toBe('EBADF');
      expect(errorOf(() => KernelMap.fromPin('/no/such/pin')).code).toBe(
        'ENOENT',
      );
    });

    test('children do not inherit descriptors', () => {
      const map = make({ type: Type.hash });
      const { stdout } = spawnSync('ls', ['-l', '/proc/self/fd'], {
        encoding: 'utf8',
      });
      expect(stdout).not.toMatch(/bpf/);
      expect(map.fd).toBeGreaterThanOrEqual(3);
    });

    test('after close every use throws', () => {
      const map = make({ type: Type.hash });
      const bound = map.bind();
      map.set(word(1), new Uint8Array(8));
      map.close();
      map.close();
      for (const use of [
        () => map.fd,
        () => map.info,
        () => map.get(word(1)),
        () => map.has(word(1)),
        () => map.set(word(1), new Uint8Array(8)),
        () => map.delete(word(1)),
        () => map.take(word(1)),
        () => map.push(new Uint8Array(8)),
        () => map.pop(),
        () => map.peek(),
        () => map.clear(),
        () => map.size,
        () => [...map],
        () => [...map.events()],
        () => map.send(new Uint8Array(1)),
        () => map.lookup(word(1)),
        () => map.update(word(1), new Uint8Array(8)),
        () => map.nextKey(),
        () => map.bind(),
        () => map.readAll(),
        () => map.takeAll(),
        () => map.updateMany(word(1), new Uint8Array(8)),
        () => map.deleteMany(word(1)),
        () => map.setFd(word(1), { fd: 0 }),
        () => map.inner(word(1)),
        () => map.memory(),
        () => map.stream(),
        () => map.sender(),
        () => map.freeze(),
        () => map.pin('/sys/fs/bpf/never'),
      ]) {
        expect(use).toThrow(ClosedError);
      }
      for (const use of Object.values(bound)) {
        if (typeof use !== 'function') continue;
        expect(errorOf(use as () => unknown).code).toBe('ERR_CLOSED');
      }
    });
  });

  describe('operations', () => {
    test('flags: noexist, exist, lock', () => {
      const map = make({ type: Type.hash });
      const value = new Uint8Array(8);
      map.update(word(1), value, NOEXIST);
      expect(errorOf(() => map.update(word(1), value, NOEXIST)).code).toBe(
        'EEXIST',
      );
      expect(errorOf(() => map.update(word(2), value, EXIST)).code).toBe(
        'ENOENT',
      );
      map.update(word(1), value, BigInt(EXIST));
      const error = errorOf(() => map.lookup(word(1), LOCK));
      expect(error.code).toBe('EINVAL');
      expect(error.message).toMatch(/bpf_spin_lock/);
      // The upper half is not cut off: it is refused rather than ignored.
      expect(errorOf(() => map.update(word(1), value, 1n << 40n)).code).toBe(
        'EINVAL',
      );
    });

    testUnless(noTake, 'take is lookup and delete', () => {
      const map = filled(3);
      const typed = map.as(u32, u64);
      expect(typed.take(2)).toBe(6n);
      expect(typed.take(2)).toBeUndefined();
      expect(map.size).toBe(2);
    });

    test('next key', () => {
      const map = filled(10);
      const seen = [];
      for (let key = map.nextKey(); key; key = map.nextKey(key)) {
        seen.push(key[0]);
      }
      expect(seen.sort((a, b) => (a ?? 0) - (b ?? 0))).toEqual([
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
      ]);
    });

    test('bound places', () => {
      const map = filled(4);
      const { key, value, next, ...run } = map.bind();
      key.set(word(3));
      expect(run.lookup()).toBe(true);
      expect(value[0]).toBe(9);
      key.set(word(77));
      expect(run.lookup()).toBe(false);
      key.set(word(3));
      value.fill(1);
      run.update();
      expect(map.get(word(3))).toEqual(new Uint8Array(8).fill(1));
      expect([run.delete(), run.delete()]).toEqual([true, false]);
      if (noTake === undefined) {
        value.fill(0);
        key.set(word(2));
        expect([run.take(), value[0], run.take()]).toEqual([true, 6, false]);
      }
      key.set(word(99));
      expect(run.nextKey()).toBe(true); // a key that is not there: from the start
      expect(map.has(next.slice())).toBe(true);
      key.set(word(3));
      const only = map.bind(EXIST);
      only.key.set(word(3));
      expect(errorOf(() => only.update()).code).toBe('ENOENT');
      expect(key.buffer).toBeInstanceOf(SharedArrayBuffer);
    });

    test('bound places survive what happens to their map', async () => {
      const bound = filled(4).bind();
      global.gc?.();
      for (let i = 0; i < 20; i++) {
        await new Promise((resolve) => setImmediate(resolve));
        expect(() => new Array(10_000).fill({})).not.toThrow();
      }
      bound.key.set(word(1));
      expect([bound.lookup(), bound.value[0]]).toEqual([true, 3]);
    });

    test('codecs go through bound places', () => {
      const pair = struct({ a: u32, b: u32 });
      const map = make({ type: Type.hash }).as(u32, pair);
      map.set(1, { a: 1, b: 2 }).set(2, { a: 3, b: 4 });
      const first = map.get(1);
      expect(map.get(2)).toEqual({ a: 3, b: 4 });
      expect(first).toEqual({ a: 1, b: 2 });
      expect(map.get(9)).toBeUndefined();
      const raw = make({ type: Type.hash });
      raw.set(word(1), new Uint8Array(8).fill(1));
      raw.set(word(2), new Uint8Array(8).fill(2));
      const one = raw.get(word(1));
      expect(raw.get(word(2))?.[0]).toBe(2);
      expect(one?.[0]).toBe(1); // a copy, not the place
    });

    test('whole maps, larger than a batch, and buckets larger than one', () => {
      for (const count of [1, 5000, 20_000]) {
        const { keys, values, count: read } = filled(count).readAll();
        expect(read).toBe(count);
        const sum = new Uint32Array(keys.slice().buffer).reduce(
          (a, b) => a + b,
          0,
        );
        expect(sum).toBe((count * (count - 1)) / 2);
        const numbers = new BigUint64Array(values.slice().buffer);
        expect(numbers.reduce((a, b) => a + b, 0n)).toBe(3n * BigInt(sum));
      }
      // Keys of one byte: the kernel's cursor is larger than they are.
      const narrow = make({ type: Type.hash, keySize: 1, maxEntries: 200 });
      for (let i = 0; i < 200; i++) {
        narrow.set(Uint8Array.of(i), new Uint8Array(8));
      }
      expect(narrow.readAll().count).toBe(200);
      expect([...narrow.keys()].length).toBe(200);
      expect(make({ type: Type.hash }).readAll().count).toBe(0);
    });

    test('whole maps are emptied as they are read', () => {
      const map = filled(6000);
      expect(map.takeAll().count).toBe(6000);
      expect(map.size).toBe(0);
      expect(() => make({ type: Type.array }).takeAll()).toThrow(KernelError);
    });

    test('many updates and deletions at once', () => {
      const map = make({ type: Type.hash, maxEntries: 4 });
      const values = new Uint8Array(5 * 8).map((_, i) => i);
      map.updateMany(words(1, 2, 3), values.subarray(0, 24));
      expect(map.get(word(2))).toEqual(values.slice(8, 16));
      const full = errorOf(() => map.updateMany(words(4, 5, 6), values));
      expect(full).toMatchObject({ code: 'E2BIG', count: 1 });
      const gone = errorOf(() => map.deleteMany(words(1, 9, 2)));
      expect(gone).toMatchObject({ code: 'ENOENT', count: 1 });
      map.deleteMany(words(2, 3, 4));
      expect(map.size).toBe(0);
      const short = (): void => map.updateMany(words(1, 2), new Uint8Array(8));
      expect(nameOf(short)).toBe('RangeError');
      map.updateMany(new Uint8Array(), new Uint8Array());
    });

    test('entries that come and go while they are read', () => {
      const map = filled(2000, { maxEntries: 4000 });
      const typed = map.as(u32, u64);
      let steps = 0;
      for (const [key] of typed) {
        typed.delete(key);
        typed.set(100_000 + (steps % 1000), 0n);
        if (++steps > 10_000) throw new Error('it does not end');
      }
      for (let i = 0; i < 2000; i++) expect(typed.has(i)).toBe(false);
    });

    test('a frozen map', () => {
      const map = make({ type: Type.array });
      map.freeze();
      expect(map.info.frozen).toBe(true);
      const error = errorOf(() => map.update(word(0), new Uint8Array(8)));
      expect(error.code).toBe('EPERM');
      expect(error.message).toMatch(/frozen/);
      expect(map.get(word(0))).toEqual(new Uint8Array(8));
      expect(errorOf(() => map.freeze()).message).toMatch(/frozen/);
    });

    test('a map that user space may only read', () => {
      const map = make({ type: Type.hash, flags: RDONLY });
      const error = errorOf(() => map.update(word(0), new Uint8Array(8)));
      expect(error.message).toMatch(/read-only/);
      expect(map.get(word(0))).toBeUndefined();
    });

    test('buffers of wrong sizes never reach the kernel', () => {
      const map = make({ type: Type.hash });
      for (const use of [
        () => map.lookup(new Uint8Array(3)),
        () => map.lookup(word(1), 0, new Uint8Array(7)),
        () => map.update(word(1), new Uint8Array(9)),
        () => map.nextKey(new Uint8Array(5)),
        () => map.set(new Uint8Array(3), new Uint8Array(8)),
        () => map.delete(new Uint8Array(0)),
        () => map.updateMany(words(1, 2), new Uint8Array(15), 2),
        () => map.deleteMany(words(1), 2),
      ]) {
        expect(nameOf(use)).toBe('RangeError');
      }
      for (const wrong of ['abcd', [1, 2, 3, 4], new Uint32Array(1), null]) {
        expect(nameOf(() => map.lookup(wrong as unknown as Uint8Array))).toBe(
          'TypeError',
        );
      }
    });
  });

  describe('kinds of maps', () => {
    test('arrays', () => {
      const map = make({ type: Type.array, maxEntries: 300 }).as(u32, u64);
      map.set(299, 5n);
      expect([map.get(299), map.get(0), map.get(300)]).toEqual([
        5n,
        0n,
        undefined,
      ]);
      expect([...map.keys()]).toEqual(Array.from({ length: 300 }, (_, i) => i));
    });

    test.each([Type.percpuHash, Type.percpuArray, Type.lruPercpuHash])(
      'a value for each CPU: type %i',
      (type) => {
        const cpus = possibleCpus();
        const map = make({ type, valueSize: 4, maxEntries: 100 });
        expect(map.valueSize).toBe(8 * cpus);
        const typed = map.as(u32, perCpu(u32, cpus));
        const values = Array.from({ length: cpus }, (_, cpu) => cpu + 5);
        typed.set(1, values);
        expect(typed.get(1)).toEqual(values);
        expect(() => typed.set(1, [...values, 1])).toThrow(RangeError);
        const read = map.readAll();
        expect(read.values.length).toBe(read.count * 8 * cpus);
        expect([...typed].find(([key]) => key === 1)?.[1]).toEqual(values);
      },
    );

    test('least recently used entries make room', () => {
      const map = make({ type: Type.lruHash, maxEntries: 100 });
      for (let i = 0; i < 1000; i++) map.set(word(i), new Uint8Array(8));
      expect(map.size).toBeGreaterThan(0);
      expect(map.size).toBeLessThanOrEqual(100);
    });

    test('longest prefixes', () => {
      const map = make({
        type: Type.lpm,
        keySize: 8,
        valueSize: 1,
        flags: NO_PREALLOC,
      });
      const prefix = (length: number, ...address: number[]): Uint8Array =>
        Uint8Array.of(length, 0, 0, 0, ...address);
      map.set(prefix(8, 10, 0, 0, 0), Uint8Array.of(1));
      map.set(prefix(24, 10, 1, 2, 0), Uint8Array.of(2));
      expect(map.get(prefix(32, 10, 1, 2, 3))).toEqual(Uint8Array.of(2));
      expect(map.get(prefix(32, 10, 9, 9, 9))).toEqual(Uint8Array.of(1));
      expect(map.get(prefix(32, 11, 0, 0, 1))).toBeUndefined();
      expect(map.size).toBe(2);
      expect(map.readAll().count).toBe(2);
      expect(map.delete(prefix(8, 10, 0, 0, 0))).toBe(true);
    });

    test.each([
      ['queue', Type.queue, [1n, 2n]],
      ['stack', Type.stack, [2n, 1n]],
    ] as const)('%s', (_, type, order) => {
      const map = make({ type, keySize: 0, maxEntries: 2 }).as(bytes(0), u64);
      map.push(1n).push(2n);
      expect(errorOf(() => map.push(3n)).code).toBe('E2BIG');
      expect(map.peek()).toBe(order[0]);
      expect([map.pop(), map.pop(), map.pop()]).toEqual([...order, undefined]);
      expect(map.peek()).toBeUndefined();
    });

    testUnless(noType('bloom_filter'), 'bloom filters', () => {
      const map = make({
        type: Type.bloom,
        keySize: 0,
        valueSize: 4,
        maxEntries: 1000,
        extra: 7,
      });
      expect(map.info.extra).toBe(7);
      for (let i = 0; i < 100; i++) map.push(word(i));
      // It is asked with the value that may be in it.
      const holds = (value: number): boolean => {
        const place = word(value);
        return map.lookup(new Uint8Array(), 0, place) !== undefined;
      };
      for (let i = 0; i < 100; i++) expect(holds(i)).toBe(true);
      const wrong = Array.from({ length: 1000 }, (_, i) => holds(i + 1000));
      expect(wrong.filter(Boolean).length).toBeLessThan(100);
    });

    test.each([Type.arrayOfMaps, Type.hashOfMaps])(
      'maps of maps: type %i',
      (type) => {
        const inner = make({ type: Type.hash, name: 'inner' });
        const outer = make({ type, valueSize: 4, maxEntries: 4, inner });
        expect(outer.inner(word(1))).toBeUndefined();
        outer.setFd(word(1), inner);
        const found = outer.inner(word(1));
        expect(found?.info.id).toBe(inner.info.id);
        found?.close();
        expect([...outer.keys()]).toEqual([word(1)]);
        const other = make({ type: Type.array });
        expect(errorOf(() => outer.setFd(word(2), other)).code).toBe('EINVAL');
        expect(outer.delete(word(1))).toBe(true);
        expect(outer.inner(word(1))).toBeUndefined();
      },
    );

    test('program arrays', () => {
      const object = kept(
        load(
          compile(`#include <linux/bpf.h>
            #include <bpf/bpf_helpers.h>
            SEC("xdp") int pass(struct xdp_md *ctx) { return XDP_PASS; }
            char LICENSE[] SEC("license") = "GPL";`),
        ),
      );
      const map = make({ type: Type.programs, valueSize: 4 });
      const { fd, id } = object.programs['pass']?.info ?? { fd: -1, id: 0 };
      map.setFd(word(3), { fd });
      const value = map.get(word(3));
      expect(value && new DataView(value.buffer).getUint32(0, true)).toBe(id);
      expect(map.delete(word(3))).toBe(true);
      expect(map.get(word(3))).toBeUndefined();
    });

    test.each([
      ['sockmap', Type.sockmap],
      ['sockhash', Type.sockhash],
    ])('%s takes sockets by descriptor', (_, type) => {
      const map = make({ type });
      expect(errorOf(() => map.setFd(word(0), { fd: 0 })).code).toBe(
        'ENOTSOCK',
      );
      expect(map.has(word(0))).toBe(false);
    });

    test('devices and CPUs to redirect to', () => {
      const devices = make({ type: Type.devmap, valueSize: 4 });
      devices.set(word(0), word(1)); // the loopback device
      expect(devices.get(word(0))).toEqual(word(1));
      expect(errorOf(() => devices.set(word(1), word(0xffff))).code).toMatch(
        /ENODEV|EINVAL/,
      );
      const cpus = make({
        type: Type.cpumap,
        valueSize: 4,
        maxEntries: possibleCpus(),
      });
      cpus.set(word(0), word(192));
      expect(cpus.get(word(0))).toEqual(word(192));
    });

    testUnless(noType('task_storage'), 'storage of tasks', () => {
      const map = make({
        type: Type.taskStorage,
        maxEntries: 0,
        flags: NO_PREALLOC,
      });
      // Keys are descriptors of processes; this is none.
      expect(errorOf(() => map.has(word(0))).code).toBe('EBADF');
      expect(
        make({ type: Type.skStorage, maxEntries: 0, flags: NO_PREALLOC }).info
          .type,
      ).toBe(24);
    });

    test('memory of an array', () => {
      const map = make({ type: Type.array, maxEntries: 600, flags: MMAPABLE });
      const memory = map.memory();
      if (!memory) throw new Error('no memory');
      expect(memory.length).toBe(8192);
      expect(map.memory()).toBe(memory);
      map.as(u32, u64).set(3, 77n);
      const numbers = new BigUint64Array(memory.buffer);
      expect(numbers[3]).toBe(77n);
      numbers[599] = 5n;
      expect(map.as(u32, u64).get(599)).toBe(5n);
      expect(errorOf(() => map.freeze()).code).toBe('EBUSY');
      map.close();
      expect([memory.length, numbers.length]).toEqual([0, 0]);
    });

    test('memory that cannot be had', () => {
      const plain = make({ type: Type.array });
      expect(errorOf(() => plain.memory()).message).toMatch(/BPF_F_MMAPABLE/);
      const frozen = make({ type: Type.array, flags: MMAPABLE });
      frozen.freeze();
      expect(frozen.memory()).toBeUndefined();
    });

    testUnless(noType('arena'), 'an arena', () => {
      const map = make({
        type: Type.arena,
        keySize: 0,
        valueSize: 0,
        maxEntries: 4,
        flags: MMAPABLE,
      });
      const memory = map.memory();
      memory?.set([1, 2, 3], 4096);
      expect(memory?.length).toBe(4 * 4096);
      expect([...(memory?.subarray(4096, 4099) ?? [])]).toEqual([1, 2, 3]);
    });

    test('globals of a program', () => {
      const object = kept(
        load(
          compile(`#include <linux/bpf.h>
            #include <bpf/bpf_helpers.h>
            int counter; const volatile int fixed = 7;
            SEC("raw_tp/sys_enter") int count(void *ctx) { counter += fixed; return 0; }
            char LICENSE[] SEC("license") = "GPL";`),
        ),
      );
      object.programs['count']?.attach();
      const data = Object.values(object.maps).find(({ name }) =>
        name.endsWith('.bss'),
      );
      const memory = data?.memory();
      if (!memory) throw new Error('no memory');
      const counter = new Int32Array(memory.buffer, 0, 1);
      const old = counter[0] ?? 0;
      process.getuid?.();
      expect(counter[0]).toBeGreaterThan(old);
      const fixed = Object.values(object.maps).find(({ name }) =>
        name.endsWith('.rodata'),
      );
      expect(fixed?.memory()).toBeUndefined();
      expect(fixed?.as(u32, bytes(fixed.valueSize)).get(0)?.[0]).toBe(7);
    });
  });

  describe('what cannot be made says why', () => {
    test.each([
      [{ type: Type.queue, keySize: 4 }, /queues and stacks have keys of 0/],
      [{ type: Type.lpm, keySize: 8 }, /BPF_F_NO_PREALLOC/],
      [{ type: Type.arrayOfMaps, valueSize: 4 }, /a map as an example|refuses/],
      [
        { type: Type.arena },
        noType('arena')
          ? /too old for maps of type arena/
          : /arenas have no key/,
      ],
      [{ type: Type.skStorage }, /local storages have keys of 4 bytes/],
      [{ type: Type.stackTrace, keySize: 2 }, /stack traces have keys of 4/],
      [{ type: Type.array, keySize: 8 }, /array indexes have 4 bytes/],
      [{ type: 9999 }, /9999 is no map type/],
    ])('%j', (def, why) => {
      const error = errorOf(() => make(def));
      expect(error.operation).toBe('create map');
      expect(error.message).toMatch(why);
    });

    test('to whom it is not allowed', () => {
      const script = `
        const { KernelMap } = require(${JSON.stringify(root)});
        try { KernelMap.create({ type: 1, keySize: 4, valueSize: 4, maxEntries: 1 }); }
        catch (error) { console.log(error.code, error.message); }`;
      const { stdout, status } = spawnSync(
        'setpriv',
        [
          '--bounding-set',
          '-all',
          '--inh-caps',
          '-all',
          process.execPath,
          '-e',
          script,
        ],
        { encoding: 'utf8' },
      );
      expect(status).toBe(0);
      expect(stdout).toMatch(/^EPERM .*lacks CAP_BPF/);
    });
  });
});
