/**
 * map.ts - what a BPF map looks like to JavaScript, in the VM and in the kernel alike.
 *
 * A backend gives four operations on bytes; everything Map-like is made of them here. Keys and
 * values are bytes, or what a pair of codecs makes of them: `map.as(u32, struct({ ... }))`.
 * Iterating is safe against deleting the entry at hand; entries that others add or delete
 * meanwhile may or may not be seen.
 */
import type { Codec } from './codec';

/** What an update may do: make or change, only make, only change. */
export type UpdateMode = 'any' | 'noexist' | 'exist';

/** enum values of BPF_ANY, BPF_NOEXIST, BPF_EXIST */
export const updateFlags: Record<UpdateMode, number> = {
  any: 0,
  noexist: 1,
  exist: 2,
};

export interface MapShape {
  readonly name: string;
  /** enum bpf_map_type */
  readonly type: number;
  readonly keySize: number;
  /** Bytes of one value as user space sees it: for per-CPU maps the values of all CPUs. */
  readonly valueSize: number;
  readonly maxEntries: number;
}

/** A record that a program has written to a ring buffer or perf event array. */
export interface MapEvent {
  /** 0 for ring buffers. */
  cpu: number;
  data: Uint8Array;
}

/**
 * Places where a backend keeps one key and one value, and operations on them: for backends where the
 * memory for both would cost more than the operation. Codecs neither keep the views nor use the map.
 */
export interface MapSlots {
  readonly key: DataView;
  readonly value: DataView;
  lookup(): boolean;
  update(mode: UpdateMode): void;
  remove(): boolean;
}

/** The operations of a backend; keys of queues and the like have 0 bytes. Buffers have exactly keySize and valueSize bytes. */
export interface MapBackend extends MapShape {
  readonly littleEndian: boolean;
  lookup(key: Uint8Array): Uint8Array | undefined;
  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode): void;
  remove(key: Uint8Array): boolean;
  readonly slots?: MapSlots;
  /** Entries in it now, where that is known without reading them. */
  count?(): number;
  /** Look up and delete; of queues and stacks, pop. */
  take?(key: Uint8Array): Uint8Array | undefined;
  /** The oldest record that nobody has read. */
  record?(): MapEvent | undefined;
  /** A sample for a program that drains a user ring buffer. */
  send?(data: Uint8Array): void;
  /** Records that found no room. */
  lost?(): number;
  /** The number that maps of maps hold for this map. */
  readonly id?: number;
  /** All entries, as many as there are while it goes. */
  scan(): Iterable<[Uint8Array, Uint8Array]>;
}

/** A Map over a BPF map. */
export class BpfMap<K, V> implements MapShape, Iterable<[K, V]> {
  readonly #backend: MapBackend;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;

  constructor(backend: MapBackend, key: Codec<K>, value: Codec<V>) {
    checkSize(backend.name, 'key', key.size, backend.keySize);
    checkSize(backend.name, 'value', value.size, backend.valueSize);
    this.#backend = backend;
    this.#key = key;
    this.#value = value;
  }

  get name(): string {
    return this.#backend.name;
  }
  get type(): number {
    return this.#backend.type;
  }
  get keySize(): number {
    return this.#backend.keySize;
  }
  get valueSize(): number {
    return this.#backend.valueSize;
  }
  get maxEntries(): number {
    return this.#backend.maxEntries;
  }

  /** The same map, seen through other codecs. */
  as<K2, V2>(key: Codec<K2>, value: Codec<V2>): BpfMap<K2, V2> {
    return new BpfMap(this.#backend, key, value);
  }

  get(key: K): V | undefined {
    const { slots, littleEndian } = this.#backend;
    if (slots) {
      this.#key.format(slots.key, 0, key, littleEndian);
      if (!slots.lookup()) return undefined;
      return this.#value.parse(slots.value, 0, littleEndian);
    }
    const bytes = this.#backend.lookup(this.#encode(this.#key, key));
    return bytes && this.#decode(this.#value, bytes);
  }

  has(key: K): boolean {
    return this.#backend.lookup(this.#encode(this.#key, key)) !== undefined;
  }

  /** `mode` 'noexist' and 'exist' throw when the key is there already, or is not. */
  set(key: K, value: V, mode: UpdateMode = 'any'): this {
    if (!Object.hasOwn(updateFlags, mode)) {
      throw new RangeError(
        `an update's mode is 'any', 'noexist' or 'exist', not '${mode}'`,
      );
    }
    const { slots, littleEndian } = this.#backend;
    if (slots) {
      this.#key.format(slots.key, 0, key, littleEndian);
      this.#value.format(slots.value, 0, value, littleEndian);
      slots.update(mode);
      return this;
    }
    this.#backend.update(
      this.#encode(this.#key, key),
      this.#encode(this.#value, value),
      mode,
    );
    return this;
  }

  /** False when there is no such key. */
  delete(key: K): boolean {
    const { slots, littleEndian } = this.#backend;
    if (slots) {
      this.#key.format(slots.key, 0, key, littleEndian);
      return slots.remove();
    }
    return this.#backend.remove(this.#encode(this.#key, key));
  }

  /** The value, which is deleted: of the oldest or newest element in queues and stacks. */
  take(key: K): V | undefined {
    const bytes = this.#can('take')(this.#encode(this.#key, key));
    return bytes && this.#decode(this.#value, bytes);
  }

  /** Add to a queue, stack or Bloom filter; throws E2BIG when it is full. */
  push(value: V): this {
    this.#backend.update(none, this.#encode(this.#value, value), 'any');
    return this;
  }

  /** Take the oldest element of a queue, the newest of a stack; undefined when there is none. */
  pop(): V | undefined {
    const bytes = this.#can('take')(none);
    return bytes && this.#decode(this.#value, bytes);
  }

  /** The element that pop() would take. */
  peek(): V | undefined {
    const bytes = this.#backend.lookup(none);
    return bytes && this.#decode(this.#value, bytes);
  }

  /** Drain a ring buffer or perf event array: each record once, the oldest first. */
  *events(): Generator<MapEvent, void> {
    const next = this.#can('record');
    for (let event = next(); event; event = next()) yield event;
  }

  /** A sample for the program that drains this user ring buffer; throws ENOSPC when it is full. */
  send(data: Uint8Array): void {
    this.#can('send')(data);
  }

  /** Records that found no room in this ring buffer or perf event array. */
  get lost(): number {
    return this.#can('lost')();
  }

  /** The number to store in a map of maps, where the backend has one. */
  get id(): number | undefined {
    return this.#backend.id;
  }

  /** Delete every entry. */
  clear(): void {
    for (const [key] of this.#backend.scan()) this.#backend.remove(key);
  }

  /** Entries in it now; in the kernel counted, so it takes as long as reading them. */
  get size(): number {
    if (this.#backend.count) return this.#backend.count();
    let count = 0;
    for (const _ of this.#backend.scan()) count++;
    return count;
  }

  *entries(): Generator<[K, V], void> {
    for (const [key, value] of this.#backend.scan()) {
      yield [this.#decode(this.#key, key), this.#decode(this.#value, value)];
    }
  }

  *keys(): Generator<K, void> {
    for (const [key] of this.#backend.scan())
      yield this.#decode(this.#key, key);
  }

  *values(): Generator<V, void> {
    for (const [, value] of this.#backend.scan()) {
      yield this.#decode(this.#value, value);
    }
  }

  [Symbol.iterator](): Generator<[K, V], void> {
    return this.entries();
  }

  forEach(call: (value: V, key: K, map: this) => void): void {
    for (const [key, value] of this) call(value, key, this);
  }

  /** An operation that not every backend has. */
  #can<N extends 'take' | 'record' | 'send' | 'lost'>(
    name: N,
  ): NonNullable<MapBackend[N]> {
    const operation = this.#backend[name];
    if (!operation) {
      throw new TypeError(`map ${this.name}: '${name}' is not to be had here`);
    }
    return operation.bind(this.#backend) as NonNullable<MapBackend[N]>;
  }

  #encode<T>(codec: Codec<T>, value: T): Uint8Array {
    const bytes = new Uint8Array(codec.size);
    codec.format(
      new DataView(bytes.buffer),
      0,
      value,
      this.#backend.littleEndian,
    );
    return bytes;
  }

  #decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return codec.parse(view, 0, this.#backend.littleEndian);
  }
}

/** The key of maps that have none. */
const none = new Uint8Array(0);

function checkSize(map: string, what: string, is: number, want: number): void {
  if (is !== want) {
    throw new RangeError(
      `map ${map}: its ${what} has ${want} bytes, this codec ${is}`,
    );
  }
}
