/**
 * The API of npm bpf 1.3: one suite that runs against this package and against npm bpf 1.3.0 itself
 * (the development dependency bpf-1), and what was wrong there and must not be here.
 */
import {
  closeSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type * as Api from 'bpf';
import * as ours from 'bpf';
import { describeUnless, node, root, run, testUnless } from '../support';
import { noTake } from './hooks';
import { noKernel } from './support';

const ancestor = join(root, 'node_modules/bpf-1');
const noAncestor =
  noKernel ??
  (existsSync(ancestor) ? undefined : 'npm package bpf-1 is not installed');

function codeOf(use: () => unknown): { code?: string; count?: number } {
  try {
    use();
  } catch (error) {
    return error as { code?: string };
  }
  throw new Error('it did not fail');
}

/** Errors of the addons are of another realm than jest's. */
function nameOf(use: () => unknown): string | undefined {
  try {
    use();
  } catch (error) {
    return (error as Error).name;
  }
  return;
}

function suite(load: () => typeof Api): void {
  const bpf = load();
  const { MapType, u32type } = bpf;
  const hash = (maxEntries = 16) =>
    bpf.createMap({ type: MapType.HASH, keySize: 4, valueSize: 4, maxEntries });
  const conv = (ref = hash()) => new bpf.ConvMap(ref, u32type, u32type);
  const word = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };

  test('constants and versions', () => {
    expect(bpf.OBJ_NAME_LEN).toBe(16);
    expect([MapType.HASH, MapType[1]]).toEqual([1, 'HASH']);
    expect(bpf.ProgramType.LSM).toBe(29);
    expect(bpf.AttachType.CGROUP_INET_INGRESS).toBe(0);
    expect(bpf.MapFlags.MMAPABLE).toBe(1024);
    expect(bpf.MapUpdateFlags.NOEXIST).toBe(1);
    expect(bpf.MapLookupFlags.F_LOCK).toBe(4);
    expect(bpf.libbpfErrnoMessages[bpf.LibbpfErrno.FORMAT]).toBe(
      'BPF object format invalid',
    );
    expect(bpf.version).toBe(bpf.versions.libbpf);
    expect(bpf.version).toMatch(/^\d+\.\d+/);
    expect(bpf.versions.btf).toBe(1);
    expect(bpf.versions.kernel).toMatch(/^\d/);
  });

  test('errors', () => {
    const error = new bpf.BPFError(22, 'bpf_something', 3);
    expect(error).toMatchObject({
      errno: 22,
      code: 'EINVAL',
      operation: 'bpf_something',
      count: 3,
      message: 'EINVAL',
    });
    expect(bpf.BPFError.getCode(524)).toBe('ENOTSUPP');
    expect(bpf.BPFError.getCode(2)).toBe('ENOENT');
    expect(new bpf.BPFError(4001, 'x').message).toBe(
      'BPF object format invalid',
    );
    const failed = codeOf(() => bpf.openMap(0xfffffff0));
    expect(failed).toBeInstanceOf(bpf.BPFError);
    expect(failed).toMatchObject({ code: 'ENOENT', errno: 2 });
  });

  test('references', () => {
    const ref = bpf.createMap({
      type: MapType.HASH,
      name: 'foo',
      keySize: 4,
      valueSize: 8,
      maxEntries: 50,
      flags: bpf.MapFlags.NO_PREALLOC,
    });
    expect({ ...ref }).toMatchObject({
      type: 1,
      keySize: 4,
      valueSize: 8,
      maxEntries: 50,
      flags: 1,
      name: 'foo',
      ifindex: 0,
      netnsDev: 0n,
      netnsIno: 0n,
    });
    expect(ref.id).toBeGreaterThan(0);
    expect(Object.isFrozen(ref)).toBe(true);
    const same = [bpf.createMapRef(ref.fd), bpf.openMap(ref.id ?? 0)];
    const { fd } = ref;
    ref.close();
    ref.close();
    expect(() => ref.fd).toThrow('FD was closed');
    for (const other of same) {
      expect(other.id).toBe(ref.id);
      expect(other.fd).toBeGreaterThanOrEqual(3);
      other.close();
    }
    expect(codeOf(() => bpf.createMapRef(fd)).code).toBe('EBADF');
  });

  test('a pinned map, whose descriptor is taken over', () => {
    const folder = mkdtempSync(join(tmpdir(), 'bpf-classic-'));
    ours.mountBpffs(folder);
    try {
      const first = hash();
      const path = join(folder, 'map');
      const pinned = ours.KernelMap.fromFd(first.fd);
      pinned.pin(path);
      pinned.close();
      expect(ours.KernelMap.fromPin(path).info.id).toBe(first.id);
      const fd = bpf.objGet(path);
      const taken = bpf.createMapRef(fd, { transfer: true });
      expect([taken.fd, taken.id]).toEqual([fd, first.id]);
      first.close();
      expect(new bpf.RawMap(taken).get(word(1))).toBeUndefined();
      taken.close();
      expect(codeOf(() => bpf.objGet(join(folder, 'none'))).code).toBe(
        'ENOENT',
      );
    } finally {
      run('umount', [folder]);
      rmdirSync(folder);
    }
  });

  test('sizes must be 32-bit numbers', () => {
    for (const wrong of [-1, 2 ** 32, 1.5, NaN]) {
      const make = () =>
        bpf.createMap({ ...hash(), keySize: wrong, innerMap: 0 } as never);
      expect(nameOf(make)).toBe('RangeError');
    }
    expect(
      codeOf(() =>
        bpf.createMap({ type: 2, keySize: 3, valueSize: 4, maxEntries: 1 }),
      ).code,
    ).toBe('EINVAL');
  });

  test('maps of maps', () => {
    const inner = {
      type: MapType.ARRAY,
      keySize: 4,
      valueSize: 4,
      maxEntries: 1,
    };
    const outer = {
      type: MapType.HASH_OF_MAPS,
      keySize: 4,
      valueSize: 4,
      maxEntries: 3,
    };
    const made = bpf.createMap(inner);
    const all = [
      bpf.createMap({ ...outer, innerMap: inner }),
      bpf.createMap({ ...outer, innerMap: made }),
      bpf.createMap({ ...outer, innerMap: made.fd }),
    ];
    for (const ref of all) {
      const map = conv(ref);
      map.set(5, made.fd);
      expect(map.get(5)).toBe(made.id);
      ref.close();
    }
    made.close();
    bpf.createMap({ ...outer, innerMap: made }).close(); // it remembers what it was
  });

  testUnless(noTake, 'maps: taking entries', () => {
    const map = conv();
    map.set(1, 10);
    expect(map.getDelete(1)).toBe(10);
    expect(map.getDelete(1)).toBeUndefined();
    for (let i = 0; i < 5; i++) map.set(i, i);
    expect([...map.consumeEntries()].length).toBe(5);
    expect([...map]).toEqual([]);
  });

  test('maps: single entries', () => {
    const map = conv();
    expect(map.get(1)).toBeUndefined();
    expect(map.set(1, 10)).toBe(map);
    map.set(2, 20, bpf.MapUpdateFlags.NOEXIST);
    expect(codeOf(() => map.set(2, 1, 1)).code).toBe('EEXIST');
    expect([map.get(1), map.has(1), map.has(9)]).toEqual([10, true, false]);
    expect([map.delete(2), map.delete(2)]).toEqual([true, false]);
  });

  test('maps: iterating, deleting what is at hand', () => {
    const map = conv();
    for (let i = 0; i < 10; i++) map.set(i, i * i);
    const sorted = (list: Iterable<[number, number]>) =>
      [...list].sort(([a], [b]) => a - b);
    const squares = Array.from({ length: 10 }, (_, i) => [i, i * i]);
    expect(sorted(map)).toEqual(squares);
    expect(sorted(map.entries())).toEqual(squares);
    expect([...map.values()].sort((a, b) => a - b)).toEqual(
      squares.map(([, value]) => value),
    );
    for (const key of map.keys()) if (key < 5) map.delete(key);
    expect(sorted(map).map(([key]) => key)).toEqual([5, 6, 7, 8, 9]);
    map.clear();
    expect([...map]).toEqual([]);
    expect([...map.keys(77)]).toEqual([]);
  });

  test('maps: batches', () => {
    const map = conv(hash(100));
    expect([...map.getBatch(100)]).toEqual([]);
    const entries = Array.from({ length: 50 }, (_, i): [number, number] => [
      i,
      i + 1,
    ]);
    expect(map.setBatch(entries)).toBe(map);
    const batches = [...map.getBatch(30)];
    expect(batches.flat().sort(([a], [b]) => a - b)).toEqual(entries);
    expect(batches.length).toBeGreaterThan(1);
    map.deleteBatch([1, 2, 3]);
    expect(codeOf(() => map.deleteBatch([10, 1, 11]))).toMatchObject({
      code: 'ENOENT',
      count: 1,
    });
    expect([map.has(10), map.has(11)]).toEqual([false, true]);
    expect(nameOf(() => [...map.getBatch(0)])).toMatch(/Error/);
  });

  test('maps: Buffers', () => {
    const map = new bpf.RawMap(hash());
    map.set(word(1), word(2));
    const out = Buffer.alloc(4);
    expect(map.get(word(1), 0, out)).toBe(out);
    expect(out).toEqual(word(2));
    expect(map.getNextKey()).toEqual(word(1));
    expect(map.getNextKey(word(1))).toBeUndefined();
    for (const use of [
      () => map.get(Buffer.alloc(3)),
      () => map.set(word(1), Buffer.alloc(5)),
      () => map.get(word(1), 0, Buffer.alloc(3)),
      () => map.delete(Buffer.alloc(0)),
      () => map.getNextKey(Buffer.alloc(8)),
      () => map.setBatch([[word(1), Buffer.alloc(1)]]),
    ]) {
      expect(nameOf(use)).toMatch(/Error/);
    }
    map.freeze();
    expect(codeOf(() => map.set(word(1), word(1))).code).toBe('EPERM');
  });

  test('arrays', () => {
    const map = bpf.createArrayMap(5, 4, u32type);
    expect([map.length, map.ref.type]).toEqual([5, MapType.ARRAY]);
    expect(map.set(4, 44)).toBe(map);
    expect([...map]).toEqual([0, 0, 0, 0, 44]);
    expect(
      map
        .setBatch([
          [0, 1],
          [2, 3],
        ])
        .getAll(),
    ).toEqual([1, 0, 3, 0, 44]);
    expect(map.setAll([1, 2, 3, 4, 5]).get(3)).toBe(4);
    expect([...map.getBatch(2)].flat()).toEqual([1, 2, 3, 4, 5]);
    for (const wrong of [-1, 5, 1.5]) {
      expect(nameOf(() => map.get(wrong))).toMatch(/Error/);
      expect(nameOf(() => map.set(wrong, 1))).toMatch(/Error/);
    }
    expect(nameOf(() => map.setAll([1]))).toMatch(/Error/);
    expect(nameOf(() => new bpf.RawArrayMap(hash()))).toBe('Error');
    map.freeze();
    expect(codeOf(() => map.set(0, 1)).code).toBe('EPERM');
  });

  test('queues and stacks', () => {
    for (const [create, order] of [
      [bpf.createQueueMap, [1, 2, 3]],
      [bpf.createStackMap, [3, 2, 1]],
    ] as const) {
      const map = create(3, 4, u32type);
      expect([map.empty(), map.pop(), map.peek()]).toEqual([
        true,
        undefined,
        undefined,
      ]);
      expect(map.push(1).push(2).push(3)).toBe(map);
      expect(codeOf(() => map.push(4)).code).toBe('E2BIG');
      expect(map.peek()).toBe(order[0]);
      expect([...map.consumeValues(2)]).toEqual(order.slice(0, 2));
      expect([...map]).toEqual(order.slice(2));
      expect(map.empty()).toBe(true);
      map.freeze();
    }
    expect(nameOf(() => new bpf.RawQueueMap(hash()))).toBe('Error');
  });

  test('conversions of one’s own', () => {
    const text: Api.TypeConversion<string> = {
      parse: (bytes) => bytes.toString('utf8', 0, bytes.indexOf(0)),
      format: (bytes, x) => void bytes.fill(0).write(x),
    };
    const ref = bpf.createMap({
      type: 1,
      keySize: 8,
      valueSize: 8,
      maxEntries: 4,
    });
    const map: Api.IMap<string, string> = new bpf.ConvMap(ref, text, text);
    map.set('abc', 'def');
    expect([...map]).toEqual([['abc', 'def']]);
  });

  test('closed references', () => {
    const ref = hash();
    const map = new bpf.RawMap(ref);
    ref.close();
    for (const use of [
      () => map.get(word(1)),
      () => map.set(word(1), word(1)),
      () => map.delete(word(1)),
      () => map.getDelete(word(1)),
      () => [...map],
      () => [...map.getBatch(1)],
      () => map.freeze(),
      () => map.setBatch([[word(1), word(1)]]),
      () => map.deleteBatch([word(1)]),
    ]) {
      expect(use).toThrow('FD was closed');
    }
  });
}

describeUnless(noKernel, 'npm bpf 1.3’s API, ours', () => suite(() => ours));
describeUnless(noAncestor, 'npm bpf 1.3’s API, its own', () =>
  suite(() => require('bpf-1') as typeof Api),
);

describeUnless(noAncestor, 'names', () => {
  test('everything that 1.3 exports', () => {
    const old = require('bpf-1') as object;
    const missing = Object.keys(old).filter((name) => !(name in ours));
    expect(missing).toEqual([]);
    for (const name of ['ProgramType', 'AttachType', 'MapType', 'MapFlags']) {
      const theirs = (old as Record<string, object>)[name];
      expect((ours as unknown as Record<string, object>)[name]).toMatchObject(
        theirs as object,
      );
    }
  });
});

describeUnless(noKernel, 'what was wrong in 1.3', () => {
  const { createMap, createMapRef, MapType, RawMap, RawArrayMap } = ours;

  test('1: values of per-CPU maps have room for every CPU', () => {
    const map = new RawMap(
      createMap({
        type: MapType.PERCPU_HASH,
        keySize: 4,
        valueSize: 4,
        maxEntries: 2,
      }),
    );
    const size = 8 * ours.possibleCpus();
    map.set(Buffer.alloc(4), Buffer.alloc(size, 1));
    expect(map.get(Buffer.alloc(4))?.length).toBe(size);
    const short = Buffer.alloc(4);
    expect(() => map.get(Buffer.alloc(4), 0, short)).toThrow(RangeError);
    expect([...map.getBatch(2)].flat()[0]?.[1].length).toBe(size);
  });

  test('2: the cursor of a batch has four bytes at least', () => {
    const map = new RawMap(
      createMap({ type: 1, keySize: 1, valueSize: 1, maxEntries: 200 }),
    );
    for (let i = 0; i < 200; i++) map.set(Buffer.of(i), Buffer.of(i));
    const seen = [...map.getBatch(50)].flat();
    expect(new Set(seen.map(([key]) => key[0])).size).toBe(200);
    for (const [key, value] of seen) expect(key).toEqual(value);
  });

  test('3: values of a batch are checked, too', () => {
    const map = new RawArrayMap(
      createMap({ type: 2, keySize: 4, valueSize: 8, maxEntries: 2 }),
    );
    expect(() => map.setBatch([[0, Buffer.alloc(1)]])).toThrow(RangeError);
    expect(() => map.setAll([Buffer.alloc(8), Buffer.alloc(7)])).toThrow(
      RangeError,
    );
  });

  test('4: a descriptor that is no map’s is not taken over', () => {
    const { openSync } = require('node:fs') as typeof import('node:fs');
    const fd = openSync('/dev/null', 'r');
    expect(codeOf(() => createMapRef(fd, { transfer: true })).code).toBe(
      'EINVAL',
    );
    expect(readdirSync('/proc/self/fd')).toContain(String(fd));
    closeSync(fd);
  });

  test('5: descriptors are closed on exec', () => {
    const made = createMap({
      type: 1,
      keySize: 4,
      valueSize: 4,
      maxEntries: 1,
    });
    const refs = [made, createMapRef(made.fd), ours.openMap(made.id ?? 0)];
    const { stdout } = node(
      `console.log(require('fs').readdirSync('/proc/self/fd').map((fd) => {
        try { return require('fs').readlinkSync('/proc/self/fd/' + fd); } catch { return ''; }
      }).join());`,
    );
    expect(stdout).not.toMatch(/bpf-map/);
    for (const ref of refs) ref.close();
  });

  test('6: only bytes are buffers', () => {
    const map = new RawMap(
      createMap({ type: 1, keySize: 4, valueSize: 4, maxEntries: 1 }),
    );
    for (const wrong of ['abcd', [1, 2, 3, 4], new Uint32Array(4), {}]) {
      expect(() => map.get(wrong as unknown as Buffer)).toThrow(TypeError);
    }
  });

  test('7: flags have 64 bits', () => {
    const map = new RawMap(
      createMap({ type: 1, keySize: 4, valueSize: 4, maxEntries: 1 }),
    );
    const set = () => map.set(Buffer.alloc(4), Buffer.alloc(4), 1n << 40n);
    expect(codeOf(set).code).toBe('EINVAL');
  });

  test('8: values of getAll() are aligned, whatever their size', () => {
    const map = ours.createArrayMap(3, 5, {
      parse: (bytes) => bytes.readUInt8(0) + ours.u32type.parse(bytes),
      format: (bytes, x: number) => void bytes.fill(x),
    });
    expect(map.setAll([1, 2, 3]).getAll().length).toBe(3);
    const offset = Buffer.alloc(9).subarray(1);
    ours.u32type.format(offset, 7);
    expect(ours.u32type.parse(offset)).toBe(7);
  });

  test('10: errors say why', () => {
    const error = codeOf(() =>
      createMap({ type: 22, keySize: 4, valueSize: 4, maxEntries: 1 }),
    ) as Error;
    expect(error.message).toMatch(/queues and stacks have keys of 0 bytes/);
  });
});

describe('constants', () => {
  test.each([
    ['MapType', 'map.def', 'MAP'],
    ['ProgramType', 'prog.def', 'PROG'],
    ['AttachType', 'attach.def', 'ATTACH'],
  ])('%s has the rows of %s', (name, file, macro) => {
    const { readFileSync } = require('node:fs') as typeof import('node:fs');
    const text = readFileSync(join(root, 'asm-core/def', file), 'utf8');
    const row = new RegExp(`^${macro}\\((\\w+),\\s*(\\d+),`, 'gm');
    const rows = [...text.matchAll(row)].map(([, id, number]) => [
      id,
      Number(number),
    ]);
    expect(rows.length).toBeGreaterThan(30);
    const constants = (ours as unknown as Record<string, object>)[name] ?? {};
    const named = Object.entries(constants).filter(
      ([, value]) => typeof value === 'number',
    );
    expect(named).toEqual(rows);
  });
});
