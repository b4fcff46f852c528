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

/** The operations of a backend. Buffers have exactly keySize and valueSize bytes. */
export interface MapBackend extends MapShape {
  readonly littleEndian: boolean;
  lookup(key: Uint8Array): Uint8Array | undefined;
  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode): void;
  remove(key: Uint8Array): boolean;
  /** Entries in it now, where that is known without reading them. */
  count?(): number;
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
    this.#backend.update(
      this.#encode(this.#key, key),
      this.#encode(this.#value, value),
      mode,
    );
    return this;
  }

  /** False when there is no such key. */
  delete(key: K): boolean {
    return this.#backend.remove(this.#encode(this.#key, key));
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

function checkSize(map: string, what: string, is: number, want: number): void {
  if (is !== want) {
    throw new RangeError(
      `map ${map}: its ${what} has ${want} bytes, this codec ${is}`,
    );
  }
}
