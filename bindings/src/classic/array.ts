/**
 * array.ts - arrays as npm bpf 1.x has them. An index beyond the end is a RangeError.
 */
import { MapType } from '../constants';
import { orClose } from '../handle';
import { Conversion, RawBase, type Flags } from './raw';
import {
  createMap,
  type MapDefOptional,
  type MapRef,
  type TypeConversion,
} from './ref';

/** An array: all elements are there from the start, zeroed. */
export interface IArrayMap<V> {
  readonly length: number;
  get(key: number, flags?: Flags): V;
  set(key: number, value: V, flags?: Flags): this;
  /** All elements in order, up to `batchSize` in a system call. Since Linux 5.6. */
  getBatch(batchSize: number, flags?: Flags): IterableIterator<V[]>;
  /** Since Linux 5.6. */
  setBatch(entries: [number, V][], flags?: Flags): this;
  /** No more writes from user space. Since Linux 5.2. */
  freeze(): void;
  /** In one system call. Since Linux 5.6. */
  getAll(): V[];
  /** As many values as there are elements, in one system call. Since Linux 5.6. */
  setAll(values: V[]): this;
  values(): IterableIterator<V>;
  [Symbol.iterator](): IterableIterator<V>;
}

/** An array of Buffers. */
export class RawArrayMap extends RawBase implements IArrayMap<Buffer> {
  readonly length: number;

  constructor(ref: MapRef) {
    if (ref.type !== MapType.ARRAY) {
      throw new Error(`a map of type ${ref.type} is no array`);
    }
    super(ref);
    this.length = ref.maxEntries;
  }

  get(key: number, flags: Flags = 0, out?: Buffer): Buffer {
    const value = this.room(out);
    const index = this.#index(key);
    // The index was checked, so there is such an element.
    this.native.lookup(index, value, flags);
    return value;
  }

  set(key: number, value: Buffer, flags: Flags = 0): this {
    this.native.update(this.#index(key), this.value(value), flags);
    return this;
  }

  *getBatch(batchSize: number, flags: Flags = 0): Generator<Buffer[], void> {
    for (const { values } of this.batches(batchSize, flags)) yield values;
  }

  setBatch(entries: [number, Buffer][], flags: Flags = 0): this {
    const keys = Buffer.concat(entries.map(([key]) => this.#index(key)));
    const values = Buffer.concat(entries.map(([, value]) => this.value(value)));
    if (entries.length > 0) {
      this.native.updateBatch(keys, values, entries.length, flags);
    }
    return this;
  }

  getAll(): Buffer[] {
    return [...this.getBatch(this.length)].flat();
  }

  setAll(values: Buffer[]): this {
    if (values.length !== this.length) {
      throw new RangeError(
        `${values.length} values for an array of ${this.length}`,
      );
    }
    return this.setBatch(values.map((value, index) => [index, value]));
  }

  *values(): Generator<Buffer, void> {
    for (let index = 0; index < this.length; index++) yield this.get(index);
  }

  [Symbol.iterator](): Generator<Buffer, void> {
    return this.values();
  }

  #index(key: number): Uint8Array {
    if (!Number.isInteger(key) || key < 0 || key >= this.length) {
      throw new RangeError(
        `${String(key)} is no index of an array of ${this.length}`,
      );
    }
    return new Uint8Array(Uint32Array.of(key).buffer);
  }
}

/** An array with a conversion of its values. */
export class ConvArrayMap<V> implements IArrayMap<V> {
  readonly #map: RawArrayMap;
  readonly #value: Conversion<V>;

  constructor(ref: MapRef, valueConv: TypeConversion<V>) {
    this.#map = new RawArrayMap(ref);
    this.#value = new Conversion(valueConv, this.#map.userValueSize);
  }

  get ref(): MapRef {
    return this.#map.ref;
  }

  get length(): number {
    return this.#map.length;
  }

  get(key: number, flags?: Flags): V {
    return this.#value.parse(this.#map.get(key, flags));
  }

  set(key: number, value: V, flags?: Flags): this {
    this.#map.set(key, this.#value.format(value), flags);
    return this;
  }

  *getBatch(batchSize: number, flags?: Flags): Generator<V[], void> {
    for (const values of this.#map.getBatch(batchSize, flags)) {
      yield values.map((value) => this.#value.parse(value));
    }
  }

  setBatch(entries: [number, V][], flags?: Flags): this {
    const raw = entries.map(([key, value]): [number, Buffer] => [
      key,
      this.#value.format(value),
    ]);
    this.#map.setBatch(raw, flags);
    return this;
  }

  freeze(): void {
    this.#map.freeze();
  }

  getAll(): V[] {
    return this.#map.getAll().map((value) => this.#value.parse(value));
  }

  setAll(values: V[]): this {
    this.#map.setAll(values.map((value) => this.#value.format(value)));
    return this;
  }

  *values(): Generator<V, void> {
    for (const value of this.#map.values()) yield this.#value.parse(value);
  }

  [Symbol.iterator](): Generator<V, void> {
    return this.values();
  }
}

/** A new array. */
export function createArrayMap<V>(
  length: number,
  valueSize: number,
  valueConv: TypeConversion<V>,
  options: MapDefOptional = {},
): ConvArrayMap<V> {
  const ref = createMap({
    ...options,
    type: MapType.ARRAY,
    keySize: 4,
    valueSize,
    maxEntries: length,
  });
  return orClose(ref, () => new ConvArrayMap(ref, valueConv));
}
