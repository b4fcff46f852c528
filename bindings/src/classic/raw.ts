/**
 * raw.ts - what the raw maps of npm bpf 1.x share: a reference, and buffers of checked sizes. A wrong
 * one never reaches the kernel, which would read or write beyond it.
 */
import type { NativeMap } from '../../addon/addon';
import { nativeOf, type MapRef, type TypeConversion } from './ref';

export type Flags = number | bigint;

export class RawBase {
  readonly ref: MapRef;
  readonly #native: NativeMap;
  readonly #size: number;

  protected constructor(ref: MapRef) {
    this.ref = ref;
    this.#native = nativeOf(ref);
    this.#size = this.#native.info().userValueSize;
  }

  /** Bytes of a value: of per-CPU maps, of all CPUs, each rounded up to 8. */
  get userValueSize(): number {
    return this.#size;
  }

  /** Throws after close() of the reference. */
  protected get native(): NativeMap {
    void this.ref.fd;
    return this.#native;
  }

  protected key(given: Uint8Array): Uint8Array {
    return checked(given, this.ref.keySize);
  }

  protected value(given: Uint8Array): Uint8Array {
    return checked(given, this.#size);
  }

  /** Where a value goes: the caller's buffer, or a new one. */
  protected room(out: Buffer | undefined): Buffer {
    if (out === undefined) return Buffer.alloc(this.#size);
    checked(out, this.#size);
    return out;
  }

  /** Batches until the end; each entry in memory of its own. */
  protected *batches(
    size: number,
    flags: Flags,
  ): Generator<{ keys: Buffer[]; values: Buffer[] }, void> {
    if (!Number.isInteger(size) || size <= 0 || size > 0xffffffff) {
      throw new RangeError(`${String(size)} is no size of a batch`);
    }
    const { keySize } = this.ref;
    // The kernel writes four bytes at least where a batch of a hash stops.
    const cursor = new Uint8Array(Math.max(keySize, 4));
    const room = Math.min(size, Math.max(this.ref.maxEntries, 1));
    const keys = Buffer.alloc(room * keySize);
    const values = Buffer.alloc(room * this.#size);
    for (let first = true, done = false; !done; first = false) {
      const batch = this.native.lookupBatch(
        cursor,
        first,
        keys,
        values,
        room,
        flags,
      );
      done = batch.done;
      if (batch.count === 0) continue;
      yield {
        keys: cut(keys, batch.count, keySize),
        values: cut(values, batch.count, this.#size),
      };
    }
  }

  /** No more writes from user space. Since Linux 5.2. */
  freeze(): void {
    this.native.freeze();
  }
}

function checked(given: unknown, size: number): Uint8Array {
  if (!(given instanceof Uint8Array)) {
    throw new TypeError(
      `a Buffer of ${size} bytes is needed, not ${typeof given}`,
    );
  }
  if (given.byteLength === size) return given;
  throw new RangeError(
    `Passed ${given.byteLength} byte buffer, expected ${size}`,
  );
}

/** Copies, so that they are aligned and outlive the batch. */
function cut(all: Buffer, count: number, size: number): Buffer[] {
  return Array.from({ length: count }, (_, i) =>
    Buffer.from(all.subarray(i * size, (i + 1) * size)),
  );
}

/** A conversion with the size of what it converts. */
export class Conversion<X> {
  readonly #type: TypeConversion<X>;
  readonly #size: number;

  constructor(type: TypeConversion<X>, size: number) {
    this.#type = type;
    this.#size = size;
  }

  parse(bytes: Buffer): X {
    return this.#type.parse(bytes);
  }

  parseMaybe(bytes: Buffer | undefined): X | undefined {
    return bytes === undefined ? undefined : this.parse(bytes);
  }

  format(x: X): Buffer {
    const bytes = Buffer.alloc(this.#size);
    this.#type.format(bytes, x);
    return bytes;
  }

  formatMaybe(x: X | undefined): Buffer | undefined {
    return x === undefined ? undefined : this.format(x);
  }
}
