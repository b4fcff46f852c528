/**
 * map.ts - maps with keys and values as npm bpf 1.x has them: RawMap with Buffers, ConvMap with
 * conversions.
 */
import { Conversion, RawBase, type Flags } from './raw';
import type { MapRef, TypeConversion } from './ref';

/** Keys and values; what is said of one key is atomic. Arrays and queues have interfaces of their own. */
export interface IMap<K, V> {
  /** undefined when there is no such key. */
  get(key: K, flags?: Flags): V | undefined;
  /** The value, which is deleted. Hash maps since Linux 5.14. */
  getDelete(key: K): V | undefined;
  /** `flags`: see MapUpdateFlags. */
  set(key: K, value: V, flags?: Flags): this;
  /** False when there is no such key. */
  delete(key: K): boolean;
  /** All entries, up to `batchSize` in a system call. Since Linux 5.6. */
  getBatch(batchSize: number, flags?: Flags): IterableIterator<[K, V][]>;
  /** Throws with `count`: entries before the one that failed. Since Linux 5.6. */
  setBatch(entries: [K, V][], flags?: Flags): this;
  /** A key that is not there throws ENOENT, with `count`. Since Linux 5.6. */
  deleteBatch(keys: K[]): void;
  /** From the key after `start`. The key at hand may be deleted. */
  keys(start?: K): Generator<K, undefined>;
  /** No more writes from user space. Since Linux 5.2. */
  freeze(): void;
  has(key: K): boolean;
  entries(start?: K): IterableIterator<[K, V]>;
  values(start?: K): IterableIterator<V>;
  /** Each entry is deleted as it is given. */
  consumeEntries(start?: K): IterableIterator<[K, V]>;
  clear(start?: K): void;
  [Symbol.iterator](): IterableIterator<[K, V]>;
}

/** A map of Buffers. */
export class RawMap extends RawBase implements IMap<Buffer, Buffer> {
  constructor(ref: MapRef) {
    super(ref);
  }

  get(key: Buffer, flags: Flags = 0, out?: Buffer): Buffer | undefined {
    const value = this.room(out);
    return this.native.lookup(this.key(key), value, flags) ? value : undefined;
  }

  getDelete(key: Buffer, out?: Buffer): Buffer | undefined {
    const value = this.room(out);
    return this.native.take(this.key(key), value) ? value : undefined;
  }

  set(key: Buffer, value: Buffer, flags: Flags = 0): this {
    this.native.update(this.key(key), this.value(value), flags);
    return this;
  }

  delete(key: Buffer): boolean {
    return this.native.delete(this.key(key));
  }

  *getBatch(
    batchSize: number,
    flags: Flags = 0,
  ): Generator<[Buffer, Buffer][], void> {
    for (const { keys, values } of this.batches(batchSize, flags)) {
      yield keys.map((key, i) => [key, values[i] as Buffer]);
    }
  }

  setBatch(entries: [Buffer, Buffer][], flags: Flags = 0): this {
    const keys = Buffer.concat(entries.map(([key]) => this.key(key)));
    const values = Buffer.concat(entries.map(([, value]) => this.value(value)));
    if (entries.length > 0) {
      this.native.updateBatch(keys, values, entries.length, flags);
    }
    return this;
  }

  deleteBatch(keys: Buffer[]): void {
    const all = Buffer.concat(keys.map((key) => this.key(key)));
    if (keys.length > 0) this.native.deleteBatch(all, keys.length);
  }

  *keys(start?: Buffer): Generator<Buffer, undefined> {
    let key = this.getNextKey(start);
    while (key !== undefined) {
      // Before the key is given: the caller may delete it.
      const next = this.getNextKey(key);
      yield key;
      key = next;
    }
    return undefined;
  }

  /** The key after `key`, the first one without; a key that is not there starts again. */
  getNextKey(key?: Buffer, out?: Buffer): Buffer | undefined {
    const next = out ?? Buffer.alloc(this.ref.keySize);
    this.key(next);
    if (key !== undefined) this.key(key);
    return this.native.nextKey(key, next) ? next : undefined;
  }

  has(key: Buffer): boolean {
    return this.get(key) !== undefined;
  }

  *entries(start?: Buffer): Generator<[Buffer, Buffer], void> {
    for (const key of this.keys(start)) {
      const value = this.get(key);
      if (value !== undefined) yield [key, value];
    }
  }

  *values(start?: Buffer): Generator<Buffer, void> {
    for (const [, value] of this.entries(start)) yield value;
  }

  *consumeEntries(start?: Buffer): Generator<[Buffer, Buffer], void> {
    for (const key of this.keys(start)) {
      const value = this.getDelete(key);
      if (value !== undefined) yield [key, value];
    }
  }

  clear(start?: Buffer): void {
    for (const key of this.keys(start)) this.delete(key);
  }

  [Symbol.iterator](): Generator<[Buffer, Buffer], void> {
    return this.entries();
  }
}

/** A map with conversions of keys and values. */
export class ConvMap<K, V> implements IMap<K, V> {
  readonly #map: RawMap;
  readonly #key: Conversion<K>;
  readonly #value: Conversion<V>;

  constructor(
    ref: MapRef,
    keyConv: TypeConversion<K>,
    valueConv: TypeConversion<V>,
  ) {
    this.#map = new RawMap(ref);
    this.#key = new Conversion(keyConv, ref.keySize);
    this.#value = new Conversion(valueConv, this.#map.userValueSize);
  }

  get ref(): MapRef {
    return this.#map.ref;
  }

  get(key: K, flags?: Flags): V | undefined {
    return this.#value.parseMaybe(this.#map.get(this.#key.format(key), flags));
  }

  getDelete(key: K): V | undefined {
    return this.#value.parseMaybe(this.#map.getDelete(this.#key.format(key)));
  }

  set(key: K, value: V, flags?: Flags): this {
    this.#map.set(this.#key.format(key), this.#value.format(value), flags);
    return this;
  }

  delete(key: K): boolean {
    return this.#map.delete(this.#key.format(key));
  }

  *getBatch(batchSize: number, flags?: Flags): Generator<[K, V][], void> {
    for (const entries of this.#map.getBatch(batchSize, flags)) {
      yield entries.map((entry) => this.#parse(entry));
    }
  }

  setBatch(entries: [K, V][], flags?: Flags): this {
    const raw = entries.map(([key, value]): [Buffer, Buffer] => [
      this.#key.format(key),
      this.#value.format(value),
    ]);
    this.#map.setBatch(raw, flags);
    return this;
  }

  deleteBatch(keys: K[]): void {
    this.#map.deleteBatch(keys.map((key) => this.#key.format(key)));
  }

  *keys(start?: K): Generator<K, undefined> {
    for (const key of this.#map.keys(this.#key.formatMaybe(start))) {
      yield this.#key.parse(key);
    }
    return undefined;
  }

  freeze(): void {
    this.#map.freeze();
  }

  has(key: K): boolean {
    return this.#map.has(this.#key.format(key));
  }

  *entries(start?: K): Generator<[K, V], void> {
    for (const entry of this.#map.entries(this.#key.formatMaybe(start))) {
      yield this.#parse(entry);
    }
  }

  *values(start?: K): Generator<V, void> {
    for (const [, value] of this.entries(start)) yield value;
  }

  *consumeEntries(start?: K): Generator<[K, V], void> {
    const raw = this.#map.consumeEntries(this.#key.formatMaybe(start));
    for (const entry of raw) yield this.#parse(entry);
  }

  clear(start?: K): void {
    this.#map.clear(this.#key.formatMaybe(start));
  }

  [Symbol.iterator](): Generator<[K, V], void> {
    return this.entries();
  }

  #parse([key, value]: [Buffer, Buffer]): [K, V] {
    return [this.#key.parse(key), this.#value.parse(value)];
  }
}
