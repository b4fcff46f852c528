/**
 * queue.ts - queues and stacks as npm bpf 1.x has them (Linux 4.20). Iterating takes the values out.
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

/** A queue (first in, first out) or a stack (last in, first out). */
export interface IQueueMap<V> {
  /** The value that pop() would take; undefined when there is none. */
  peek(flags?: Flags): V | undefined;
  pop(): V | undefined;
  /** MapUpdateFlags.EXIST: a full one loses its oldest value for it; otherwise E2BIG. */
  push(value: V, flags?: Flags): this;
  /** No more writes from user space. Since Linux 5.2. */
  freeze(): void;
  empty(): boolean;
  /** Pops up to `limit` values. */
  consumeValues(limit?: number): IterableIterator<V>;
  [Symbol.iterator](): IterableIterator<V>;
}

const noKey = new Uint8Array(0);

/** A queue or stack of Buffers. */
export class RawQueueMap extends RawBase implements IQueueMap<Buffer> {
  constructor(ref: MapRef) {
    if (ref.type !== MapType.QUEUE && ref.type !== MapType.STACK) {
      throw new Error(`a map of type ${ref.type} is no queue or stack`);
    }
    if (ref.keySize !== 0) {
      throw new Error(`queues have no keys, not such of ${ref.keySize} bytes`);
    }
    super(ref);
  }

  peek(flags: Flags = 0, out?: Buffer): Buffer | undefined {
    const value = this.room(out);
    return this.native.lookup(noKey, value, flags) ? value : undefined;
  }

  pop(out?: Buffer): Buffer | undefined {
    const value = this.room(out);
    return this.native.take(noKey, value) ? value : undefined;
  }

  push(value: Buffer, flags: Flags = 0): this {
    this.native.update(noKey, this.value(value), flags);
    return this;
  }

  empty(): boolean {
    return this.peek() === undefined;
  }

  *consumeValues(limit = Infinity): Generator<Buffer, void> {
    for (let left = limit; left > 0; left--) {
      const value = this.pop();
      if (value === undefined) return;
      yield value;
    }
  }

  [Symbol.iterator](): Generator<Buffer, void> {
    return this.consumeValues();
  }
}

/** A queue or stack with a conversion of its values. */
export class ConvQueueMap<V> implements IQueueMap<V> {
  readonly #map: RawQueueMap;
  readonly #value: Conversion<V>;

  constructor(ref: MapRef, valueConv: TypeConversion<V>) {
    this.#map = new RawQueueMap(ref);
    this.#value = new Conversion(valueConv, this.#map.userValueSize);
  }

  get ref(): MapRef {
    return this.#map.ref;
  }

  peek(flags?: Flags): V | undefined {
    return this.#value.parseMaybe(this.#map.peek(flags));
  }

  pop(): V | undefined {
    return this.#value.parseMaybe(this.#map.pop());
  }

  push(value: V, flags?: Flags): this {
    this.#map.push(this.#value.format(value), flags);
    return this;
  }

  freeze(): void {
    this.#map.freeze();
  }

  empty(): boolean {
    return this.#map.empty();
  }

  *consumeValues(limit?: number): Generator<V, void> {
    for (const value of this.#map.consumeValues(limit)) {
      yield this.#value.parse(value);
    }
  }

  [Symbol.iterator](): Generator<V, void> {
    return this.consumeValues();
  }
}

function create<V>(
  type: MapType,
  maxEntries: number,
  valueSize: number,
  valueConv: TypeConversion<V>,
  options: MapDefOptional,
): ConvQueueMap<V> {
  const ref = createMap({
    ...options,
    type,
    keySize: 0,
    valueSize,
    maxEntries,
  });
  return orClose(ref, () => new ConvQueueMap(ref, valueConv));
}

/** A new queue. Since Linux 4.20. */
export function createQueueMap<V>(
  maxEntries: number,
  valueSize: number,
  valueConv: TypeConversion<V>,
  options: MapDefOptional = {},
): ConvQueueMap<V> {
  return create(MapType.QUEUE, maxEntries, valueSize, valueConv, options);
}

/** A new stack. Since Linux 4.20. */
export function createStackMap<V>(
  maxEntries: number,
  valueSize: number,
  valueConv: TypeConversion<V>,
  options: MapDefOptional = {},
): ConvQueueMap<V> {
  return create(MapType.STACK, maxEntries, valueSize, valueConv, options);
}
