/**
 * kernel_map.ts - maps of the running kernel: what BpfMap asks of a backend, through the addon.
 */
import { endianness } from 'node:os';
import type { NativeMap } from '../addon/addon';
import { bytes } from './codec';
import { KernelError } from './errors';
import { closeAll, Handle } from './handle';
import {
  BpfMap,
  updateFlags,
  type MapBackend,
  type MapEvent,
  type UpdateMode,
} from './map';
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
}

/** A map of the kernel, by bytes; `as()` gives it types. */
export class KernelMap extends BpfMap<Uint8Array, Uint8Array> {
  readonly #backend: NativeMapBackend;

  /** @internal */
  constructor(name: string, native: NativeMap) {
    const access = new NativeMapBackend(name, native);
    super(access, bytes(access.keySize), bytes(access.valueSize));
    this.#backend = access;
  }

  get closed(): boolean {
    return this.#backend.closed;
  }

  get fd(): number {
    return this.#backend.native.fd;
  }

  get info(): KernelMapInfo {
    const { name, type, keySize, valueSize, maxEntries, flags, id } =
      this.#backend.native.info();
    return { name, type, keySize, valueSize, maxEntries, flags, id };
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

/** Entries asked for at once; a map with less room takes less. */
const BATCH = 256;
/** Kernels and map types without batches. */
const noBatch = new Set(['EINVAL', 'ENOTSUPP', 'EOPNOTSUPP']);
/** The kernel writes a u32 at least into the place where a batch stopped. */
const LEAST_CURSOR = 4;

class NativeMapBackend extends Handle implements MapBackend {
  readonly #native: NativeMap;
  /** For record() and send(), opened at their first call. */
  #stream: RecordStream | undefined;
  #sender: RecordSender | undefined;
  /** Drained and not asked for yet, newest first. */
  readonly #events: MapEvent[] = [];
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly littleEndian = littleEndian;

  constructor(name: string, native: NativeMap) {
    super(`map ${name}`);
    const info = native.info();
    this.#native = native;
    this.name = name;
    this.type = info.type;
    this.keySize = info.keySize;
    this.valueSize = info.userValueSize;
    this.maxEntries = info.maxEntries;
  }

  /** The open handle; throws ClosedError after close(). */
  get native(): NativeMap {
    this.ensureOpen();
    return this.#native;
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

  *scan(): Generator<[Uint8Array, Uint8Array], void> {
    const cursor = new Uint8Array(Math.max(this.keySize, LEAST_CURSOR));
    let room = Math.min(BATCH, Math.max(this.maxEntries, 1));
    let first = true;
    for (;;) {
      const batch = this.#batch(cursor, first, room);
      if (batch === 'none') return yield* this.#scanSingly();
      if (batch === 'grow') {
        room *= 2;
        continue;
      }
      first = false;
      for (let i = 0; i < batch.count; i++) {
        yield [
          slot(batch.keys, i, this.keySize),
          slot(batch.values, i, this.valueSize),
        ];
      }
      if (batch.done) return;
    }
  }

  /** 'grow': one bucket of a hash holds more than `room`; 'none': no batches here. */
  #batch(
    cursor: Uint8Array,
    first: boolean,
    room: number,
  ):
    | 'grow'
    | 'none'
    | { keys: Uint8Array; values: Uint8Array; count: number; done: boolean } {
    const keys = new Uint8Array(room * this.keySize);
    const values = new Uint8Array(room * this.valueSize);
    try {
      const { count, done } = this.native.lookupBatch(
        cursor,
        first,
        keys,
        values,
        room,
      );
      return { keys, values, count, done };
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'ENOSPC' && room < this.maxEntries) return 'grow';
      if (first && noBatch.has(error.code)) return 'none';
      throw error;
    }
  }

  /** Key by key; bounded, since deleted keys can make the kernel start over. */
  *#scanSingly(): Generator<[Uint8Array, Uint8Array], void> {
    const { native } = this;
    let key = this.#next(native, undefined);
    for (let left = this.maxEntries; key && left > 0; left--) {
      const next = this.#next(this.native, key);
      const value = this.lookup(key);
      if (value) yield [key, value];
      key = next;
    }
  }

  #next(
    native: NativeMap,
    key: Uint8Array | undefined,
  ): Uint8Array | undefined {
    const next = new Uint8Array(this.keySize);
    return native.nextKey(key, next) ? next : undefined;
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
    throw new KernelError(`map send of ${this.name}: it is full (ENOSPC)`, {
      operation: 'map send',
      errno: 28,
      code: 'ENOSPC',
      subject: this.name,
    });
  }

  lost(): number {
    return this.#stream?.lost ?? 0;
  }

  protected override release(): void {
    closeAll([
      this.#native,
      ...(this.#stream ? [this.#stream] : []),
      ...(this.#sender ? [this.#sender] : []),
    ]);
  }
}

function slot(all: Uint8Array, index: number, size: number): Uint8Array {
  return all.slice(index * size, (index + 1) * size);
}
