/**
 * kernel_map.ts - maps of the running kernel: what BpfMap asks of a backend, through the addon, and
 * what only the kernel's maps can do.
 *
 * Single operations go through places that are bound once (NativeMap.bind): a key is written where
 * the kernel reads it, and the system call is all that is left. Whole maps are read in batches.
 */
import { endianness } from 'node:os';
import type {
  Flags,
  MapInfo as NativeMapInfo,
  NativeMap,
  NativeMapDef,
} from '../addon/addon';
import { addon } from './addon';
import { bytes } from './codec';
import { KernelError, kernelError } from './errors';
import { closeAll, Handle, orClose } from './handle';
import {
  BpfMap,
  updateFlags,
  type MapBackend,
  type MapEvent,
  type MapSlots,
  type UpdateMode,
} from './map';
import { checkNames, namesOf } from './options';
import { take, type PinOptions } from './pin';
import { RecordSender, RecordStream, type StreamOptions } from './stream';

const littleEndian = endianness() === 'LE';

export interface KernelMapInfo {
  name: string;
  /** enum bpf_map_type */
  type: number;
  keySize: number;
  /** As the kernel counts it: of one CPU. */
  valueSize: number;
  maxEntries: number;
  flags: number;
  /** The kernel's id. */
  id: number;
  /** Type-specific, such as the number of hashes of a Bloom filter (Linux 5.16). */
  extra: number;
  /** Bytes of kernel memory; all of it from Linux 6.4. */
  memlock: number;
  /** No more writes from user space. */
  frozen: boolean;
}

/** What KernelMap.create() makes. */
export interface KernelMapDef {
  /** The kernel keeps 15 characters of it (Linux 4.15). */
  name?: string;
  /** enum bpf_map_type */
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  /** BPF_F_* */
  flags?: number;
  /** With BPF_F_NUMA_NODE. */
  numaNode?: number;
  /** Maps of maps: a map like those that it will hold. */
  inner?: { readonly fd: number };
  /** Device to offload to (Linux 4.16). */
  ifindex?: number;
  /** Such as the number of hashes of a Bloom filter (Linux 5.16). */
  extra?: number;
  /** What it holds at first. */
  contents?: MapContents;
}

const defNames = namesOf<KernelMapDef>()(
  'name type keySize valueSize maxEntries flags numaNode inner ifindex extra',
  'contents',
);

/** Keys and values: bytes, or what a map of maps, a program array or a sock map refers to. */
export type MapContents = Iterable<
  readonly [key: Uint8Array, value: Uint8Array | { readonly fd: number }]
>;

/** All entries of a map, one after the other. */
export interface Snapshot {
  keys: Uint8Array;
  values: Uint8Array;
  count: number;
}

export interface ReadOptions {
  flags?: Flags;
  into?: Snapshot | undefined;
}

/** Fixed places for a key and a value, and operations on them that take no arguments. */
export interface BoundMap {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Where nextKey() writes. */
  readonly next: Uint8Array;
  /** `key` to `value`; false: no such key. */
  lookup(): boolean;
  /** `value` under `key`. */
  update(): void;
  /** False: no such key. */
  delete(): boolean;
  /** `key` to `value`, and deletes it (hash maps from Linux 5.14, queues and stacks from 4.20). */
  take(): boolean;
  /** The key after `key` to `next`; false: there is none. */
  nextKey(): boolean;
}

/** Of the first batch of a whole map, in entries. */
const FIRST_BATCH = 8192;
/** Entries asked for at once while iterating. */
const BATCH = 256;
/** Kernels and map types without batches. */
const noBatch = new Set(['EINVAL', 'ENOTSUPP', 'EOPNOTSUPP']);
/** The kernel writes a u32 at least into the place where a batch stopped. */
const LEAST_CURSOR = 4;

/** A map of the kernel, by bytes; `as()` gives it types. */
export class KernelMap extends BpfMap<Uint8Array, Uint8Array> {
  readonly #backend: NativeMapBackend;

  /** @internal */
  constructor(
    name: string,
    native: NativeMap,
    info: NativeMapInfo = native.info(),
  ) {
    const access = new NativeMapBackend(name, native, info);
    super(access, bytes(access.keySize), bytes(access.valueSize));
    this.#backend = access;
  }

  /** A new map; it lives until it is closed, unless somebody pins or uses it. */
  static create(def: KernelMapDef): KernelMap {
    checkNames('KernelMap.create()', def, defNames);
    const { inner, contents, ...rest } = def;
    const native: NativeMapDef = { ...rest };
    if (inner !== undefined) native.innerFd = inner.fd;
    const map = opened(addon().createMap(native));
    try {
      if (contents) map.fill(contents);
      return map;
    } catch (error) {
      map.close();
      throw error;
    }
  }

  /** The map with this id of the kernel's; needs CAP_SYS_ADMIN. Linux 4.13. */
  static fromId(id: number): KernelMap {
    return opened(addon().openMapId(id));
  }

  /** The map behind a file descriptor: on a duplicate of it, or with `own` on itself. */
  static fromFd(fd: number, own = false): KernelMap {
    if (!own) return opened(addon().openMapFd(fd));
    // Whatever can fail is done before the descriptor is taken.
    const info = infoOf(fd);
    return new KernelMap(info.name, addon().openMapFd(fd, true), info);
  }

  /** The map that is pinned at a path (4.4); TypeError if something else is. */
  static fromPin(path: string, options: PinOptions = {}): KernelMap {
    return take(path, 'map', (fd) => KernelMap.fromFd(fd), options);
  }

  get closed(): boolean {
    return this.#backend.closed;
  }

  /** @internal */
  get handle(): NativeMap {
    return this.#backend.native;
  }

  get fd(): number {
    return this.#backend.native.fd;
  }

  get info(): KernelMapInfo {
    const {
      name,
      type,
      keySize,
      valueSize,
      maxEntries,
      flags,
      id,
      extra,
      memlock,
      frozen,
    } = this.#backend.native.info();
    return {
      name,
      type,
      keySize,
      valueSize,
      maxEntries,
      flags,
      id,
      extra,
      memlock,
      frozen,
    };
  }

  /**
   * A lookup with flags: BPF_F_LOCK (4, Linux 5.1), or BPF_F_CPU (8) with the CPU in the upper 32 bits
   * (6.20). Into `out` if it is given.
   */
  lookup(
    key: Uint8Array,
    flags: Flags = 0,
    out?: Uint8Array,
  ): Uint8Array | undefined {
    const value = out ?? new Uint8Array(this.#backend.sizeFor(flags));
    return this.#backend.native.lookup(key, value, flags) ? value : undefined;
  }

  /** An update with flags: BPF_NOEXIST (1), BPF_EXIST (2), BPF_F_LOCK (4), and as lookup(). */
  update(key: Uint8Array, value: Uint8Array, flags: Flags = 0): void {
    this.#backend.native.update(key, value, flags);
  }

  /** The key after `key`, the first one without. A key that is gone makes hash maps start again. */
  nextKey(key?: Uint8Array): Uint8Array | undefined {
    const next = new Uint8Array(this.keySize);
    return this.#backend.native.nextKey(key, next) ? next : undefined;
  }

  /**
   * Places for single operations that cost no more than in C: write `key`, call, read `value`. The
   * functions take no arguments and throw after close(). The views are of shared memory, which nobody
   * can take away.
   */
  bind(flags: Flags = 0): BoundMap {
    return bindAll(this.#backend.native, this.keySize, this.valueSize, flags);
  }

  /**
   * All entries, in batches of system calls (Linux 5.6; one by one where there are none). Entries that
   * come or go meanwhile may be missed. `flags` as for lookup(). The memory of `into`, an earlier
   * result, is used again.
   */
  readAll({ flags = 0, into }: ReadOptions = {}): Snapshot {
    return this.#backend.readAll(false, flags, into);
  }

  /** All entries, which are deleted as they are read (hash maps, Linux 5.6). */
  takeAll({ flags = 0, into }: ReadOptions = {}): Snapshot {
    return this.#backend.readAll(true, flags, into);
  }

  /**
   * Many updates in one system call (Linux 5.6): `count` keys and values, one after the other. Throws
   * with `count`: how many came before the one that failed.
   */
  updateMany(
    keys: Uint8Array,
    values: Uint8Array,
    count = entries(keys, this.keySize),
    flags: Flags = 0,
  ): void {
    if (count > 0) {
      this.#backend.native.updateBatch(keys, values, count, flags);
    }
  }

  /** Many deletions in one system call (Linux 5.6); a missing key throws ENOENT, with `count`. */
  deleteMany(keys: Uint8Array, count = entries(keys, this.keySize)): void {
    if (count > 0) this.#backend.native.deleteBatch(keys, count);
  }

  /** Update entries one after the other. */
  fill(contents: MapContents): void {
    for (const [key, value] of contents) {
      if (value instanceof Uint8Array) this.update(key, value);
      else this.setFd(key, value);
    }
  }

  /**
   * What an entry of a map of maps, a program array, a cgroup array or a sock map refers to, given by
   * an open file descriptor.
   */
  setFd(
    key: Uint8Array,
    target: { readonly fd: number },
    mode: UpdateMode = 'any',
  ): void {
    const value = new Uint8Array(this.valueSize);
    new DataView(value.buffer).setUint32(0, target.fd, littleEndian);
    this.update(key, value, updateFlags[mode]);
  }

  /** The map under `key` of a map of maps, as a handle of its own; needs CAP_SYS_ADMIN. */
  inner(key: Uint8Array): KernelMap | undefined {
    const value = this.lookup(key);
    return (
      value &&
      KernelMap.fromId(new DataView(value.buffer).getUint32(0, littleEndian))
    );
  }

  /**
   * The memory of an array or arena that was made with BPF_F_MMAPABLE, globals too: what a program
   * writes is there at once. Elements are a multiple of 8 bytes apart. undefined where JavaScript
   * cannot have it: frozen maps (their pages fault when written), engines without external buffers.
   * After close() it is empty. That of an object's arena keeps the object in the kernel until the engine
   * has collected it. Arrays: Linux 5.5, arenas: 6.9.
   */
  memory(): Uint8Array | undefined {
    return this.#backend.memory();
  }

  /**
   * The records that programs write to this ring buffer (Linux 5.8) or perf event array (4.4, needs
   * CAP_PERFMON).
   */
  stream(options: StreamOptions = {}): RecordStream {
    const { native, name } = this.#backend;
    return new RecordStream(name, (perf) => native.openStream(perf), options);
  }

  /** For samples to the program that drains this user ring buffer (Linux 6.1). */
  sender(): RecordSender {
    const { native, name } = this.#backend;
    return new RecordSender(name, native.openSender());
  }

  /** A path in a BPF file system that keeps it in the kernel (4.4); see fromPin(), unpin(). */
  pin(path: string): void {
    addon().pin(this.fd, path);
  }

  /** No more writes from user space (Linux 5.2). */
  freeze(): void {
    this.#backend.native.freeze();
  }

  close(): void {
    this.#backend.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Ids of all maps of the machine, as far as they exist when they are come to. */
export function* mapIds(): Generator<number, void> {
  const native = addon();
  for (let id = native.nextMapId(0); id !== undefined;) {
    yield id;
    id = native.nextMapId(id);
  }
}

/** CPUs that per-CPU values have a slot for; see perCpu(). */
export function possibleCpus(): number {
  return addon().possibleCpus();
}

function opened(open: NativeMap): KernelMap {
  return orClose(open, (native) => {
    const info = native.info();
    return new KernelMap(info.name, native, info);
  });
}

/** What a descriptor is of, by a handle of its own for the moment. */
function infoOf(fd: number): NativeMapInfo {
  const native = addon().openMapFd(fd);
  try {
    return native.info();
  } finally {
    native.close();
  }
}

const entries = (keys: Uint8Array, size: number): number =>
  size > 0 ? Math.floor(keys.length / size) : 0;

/** enum kb_map_operation */
const LOOKUP = 0;
const UPDATE = 1;
const DELETE = 2;
const NEXT_KEY = 3;
const TAKE = 4;

function shared(size: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(size));
}

function bindAll(
  native: NativeMap,
  keySize: number,
  valueSize: number,
  flags: Flags,
): BoundMap {
  const key = shared(keySize);
  const value = shared(valueSize);
  const next = shared(keySize);
  return {
    key,
    value,
    next,
    lookup: native.bind(LOOKUP, key, value, flags),
    update: native.bind(UPDATE, key, value, flags),
    delete: native.bind(DELETE, key, shared(0)),
    take: native.bind(TAKE, key, value, flags),
    nextKey: native.bind(NEXT_KEY, key, next),
  };
}

class NativeMapBackend extends Handle implements MapBackend {
  readonly #native: NativeMap;
  #slots: MapSlots | undefined;
  /** For record() and send(), opened at their first call. */
  #stream: RecordStream | undefined;
  #sender: RecordSender | undefined;
  #memory: Uint8Array<ArrayBuffer> | undefined;
  /** Drained and not asked for yet, newest first. */
  readonly #events: MapEvent[] = [];
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** Of one CPU. */
  readonly #singleSize: number;
  readonly littleEndian = littleEndian;

  constructor(name: string, native: NativeMap, info: NativeMapInfo) {
    super(`map ${name}`);
    this.#native = native;
    this.name = name;
    this.type = info.type;
    this.keySize = info.keySize;
    this.valueSize = info.userValueSize;
    this.#singleSize = info.valueSize;
    this.maxEntries = info.maxEntries;
  }

  /** The open handle; throws ClosedError after close(). */
  get native(): NativeMap {
    this.ensureOpen();
    return this.#native;
  }

  get slots(): MapSlots {
    this.ensureOpen();
    return (this.#slots ??= this.#bind());
  }

  /** Bytes of a value with these flags: BPF_F_CPU and BPF_F_ALL_CPUS make it one CPU's. */
  sizeFor(flags: Flags): number {
    return (BigInt(flags) & 24n) !== 0n ? this.#singleSize : this.valueSize;
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    const value = new Uint8Array(this.valueSize);
    return this.native.lookup(key, value) ? value : undefined;
  }

  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode): void {
    this.native.update(key, value, updateFlags[mode]);
  }

  remove(key: Uint8Array): boolean {
    return this.native.delete(key);
  }

  take(key: Uint8Array): Uint8Array | undefined {
    const value = new Uint8Array(this.valueSize);
    return this.native.take(key, value) ? value : undefined;
  }

  *scan(): Generator<[Uint8Array, Uint8Array], void> {
    const cursor = this.#cursor();
    let room = Math.min(BATCH, Math.max(this.maxEntries, 1));
    let first = true;
    for (;;) {
      const keys = new Uint8Array(room * this.keySize);
      const values = new Uint8Array(room * this.valueSize);
      const batch = this.#batch(false, cursor, first, keys, values, room, 0);
      if (batch === 'none') return yield* this.#scanSingly();
      if (batch === 'grow') {
        room *= 2;
        continue;
      }
      first = false;
      for (let i = 0; i < batch.count; i++) {
        yield [slot(keys, i, this.keySize), slot(values, i, this.valueSize)];
      }
      if (batch.done) return;
    }
  }

  readAll(take: boolean, flags: Flags, into?: Snapshot): Snapshot {
    const cursor = this.#cursor();
    const valueSize = this.sizeFor(flags);
    let room = Math.min(FIRST_BATCH, Math.max(this.maxEntries, 1));
    let keys = whole(into?.keys) ?? new Uint8Array(room * this.keySize);
    let values = whole(into?.values) ?? new Uint8Array(room * valueSize);
    let count = 0;
    for (let first = true; ;) {
      keys = roomFor(keys, (count + room) * this.keySize);
      values = roomFor(values, (count + room) * valueSize);
      const batch = this.#batch(
        take,
        cursor,
        first,
        keys.subarray(count * this.keySize),
        values.subarray(count * valueSize),
        room,
        flags,
      );
      if (batch === 'none') return this.#readSingly();
      if (batch === 'grow') {
        room *= 2;
        continue;
      }
      first = false;
      count += batch.count;
      if (batch.done) break;
    }
    return {
      keys: keys.subarray(0, count * this.keySize),
      values: values.subarray(0, count * valueSize),
      count,
    };
  }

  /** The oldest record that nobody has read; events() of BpfMap. */
  record(): MapEvent | undefined {
    this.#stream ??= new RecordStream(this.name, (perf) =>
      this.native.openStream(perf),
    );
    if (this.#events.length === 0) {
      const batch = this.#stream.drain();
      const { cpu } = batch;
      for (const data of batch) this.#events.push({ cpu, data: data.slice() });
      this.#events.reverse();
    }
    return this.#events.pop();
  }

  send(data: Uint8Array): void {
    this.#sender ??= new RecordSender(this.name, this.native.openSender());
    if (this.#sender.trySend(data)) return;
    throw kernelError({
      operation: 'map send',
      errno: 28,
      code: 'ENOSPC',
      subject: this.name,
      reason: 'it is full',
      remedy: 'let the program drain it, then send again',
    });
  }

  lost(): number {
    this.ensureOpen();
    return this.#stream?.lost ?? 0;
  }

  memory(): Uint8Array | undefined {
    this.ensureOpen();
    if (this.#memory === undefined) {
      const buffer = this.#native.memory();
      this.#memory = buffer && new Uint8Array(buffer);
    }
    return this.#memory;
  }

  #bind(): MapSlots {
    const bound = bindAll(this.#native, this.keySize, this.valueSize, 0);
    const { key, value } = bound;
    const updates: Record<UpdateMode, () => boolean> = {
      any: bound.update as () => boolean,
      noexist: this.#native.bind(UPDATE, key, value, updateFlags.noexist),
      exist: this.#native.bind(UPDATE, key, value, updateFlags.exist),
    };
    return {
      key: view(key),
      value: view(value),
      lookup: () => bound.lookup(),
      update: (mode) => void updates[mode](),
      remove: () => bound.delete(),
    };
  }

  #cursor(): Uint8Array {
    return new Uint8Array(Math.max(this.keySize, LEAST_CURSOR));
  }

  /** 'grow': one bucket of a hash holds more than `room`; 'none': no batches here. */
  #batch(
    take: boolean,
    cursor: Uint8Array,
    first: boolean,
    keys: Uint8Array,
    values: Uint8Array,
    room: number,
    flags: Flags,
  ): 'grow' | 'none' | { count: number; done: boolean } {
    const { native } = this;
    try {
      return take
        ? native.takeBatch(cursor, first, keys, values, room, flags)
        : native.lookupBatch(cursor, first, keys, values, room, flags);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'ENOSPC' && room < this.maxEntries) return 'grow';
      // With flags, EINVAL may be about them.
      if (first && !take && !flags && noBatch.has(error.code)) return 'none';
      throw error;
    }
  }

  /** Key by key; bounded, since deleted keys can make the kernel start over. */
  *#scanSingly(): Generator<[Uint8Array, Uint8Array], void> {
    let key = this.#next(undefined);
    for (let left = this.maxEntries; key && left > 0; left--) {
      const next = this.#next(key);
      const value = this.lookup(key);
      if (value) yield [key, value];
      key = next;
    }
  }

  #readSingly(): Snapshot {
    const all = [...this.#scanSingly()];
    const joined = (parts: Uint8Array[]): Uint8Array =>
      new Uint8Array(Buffer.concat(parts));
    return {
      keys: joined(all.map(([key]) => key)),
      values: joined(all.map(([, value]) => value)),
      count: all.length,
    };
  }

  #next(key: Uint8Array | undefined): Uint8Array | undefined {
    const next = new Uint8Array(this.keySize);
    return this.native.nextKey(key, next) ? next : undefined;
  }

  protected override release(): void {
    if (this.#memory) addon().detach(this.#memory.buffer);
    closeAll([
      this.#native,
      ...(this.#stream ? [this.#stream] : []),
      ...(this.#sender ? [this.#sender] : []),
    ]);
  }
}

/** Part of a batch's own memory. */
function slot(all: Uint8Array, index: number, size: number): Uint8Array {
  return all.subarray(index * size, (index + 1) * size);
}

/** All the memory behind an earlier result. */
function whole(of: Uint8Array | undefined): Uint8Array | undefined {
  return of && new Uint8Array(of.buffer);
}

function roomFor(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length >= size) return bytes;
  const larger = new Uint8Array(2 * size);
  larger.set(bytes);
  return larger;
}

const view = (of: Uint8Array): DataView =>
  new DataView(of.buffer, of.byteOffset, of.byteLength);
