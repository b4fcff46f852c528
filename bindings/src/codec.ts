/**
 * codec.ts - bytes of keys and values to JavaScript values and back.
 *
 * A codec has a fixed size and C's natural alignment; `struct` lays its fields out as C does.
 * 64-bit integers are bigint. format() writes every byte, padding too, so that equal values have
 * equal bytes: hash maps compare keys by all of them.
 */

export interface Codec<T> {
  readonly size: number;
  readonly align: number;
  parse(view: DataView, at: number, littleEndian: boolean): T;
  format(view: DataView, at: number, value: T, littleEndian: boolean): void;
}

type NumberAccess = 'Uint8' | 'Uint16' | 'Uint32' | 'Int8' | 'Int16' | 'Int32';

function integer(
  name: string,
  kind: NumberAccess,
  size: number,
  least: number,
  most: number,
): Codec<number> {
  return {
    size,
    align: size,
    parse: (view, at, little) => view[`get${kind}`](at, little),
    format(view, at, value, little) {
      if (!Number.isInteger(value) || value < least || value > most) {
        throw new RangeError(`${String(value)} is no ${name}`);
      }
      view[`set${kind}`](at, value, little);
    },
  };
}

function wide(
  name: string,
  kind: 'BigUint64' | 'BigInt64',
  clamp: (value: bigint) => bigint,
): Codec<bigint> {
  return {
    size: 8,
    align: 8,
    parse: (view, at, little) => view[`get${kind}`](at, little),
    format(view, at, value: bigint | number, little) {
      const exact = BigInt(value);
      if (clamp(exact) !== exact) {
        throw new RangeError(`${String(value)} is no ${name}`);
      }
      view[`set${kind}`](at, exact, little);
    },
  };
}

export const u8 = integer('u8', 'Uint8', 1, 0, 0xff);
export const u16 = integer('u16', 'Uint16', 2, 0, 0xffff);
export const u32 = integer('u32', 'Uint32', 4, 0, 0xffffffff);
export const i8 = integer('i8', 'Int8', 1, -0x80, 0x7f);
export const i16 = integer('i16', 'Int16', 2, -0x8000, 0x7fff);
export const i32 = integer('i32', 'Int32', 4, -0x80000000, 0x7fffffff);
export const u64 = wide('u64', 'BigUint64', (v) => BigInt.asUintN(64, v));
export const i64 = wide('i64', 'BigInt64', (v) => BigInt.asIntN(64, v));

/** `size` bytes as they are. */
export function bytes(size: number): Codec<Uint8Array> {
  return {
    size,
    align: 1,
    parse: (view, at) =>
      new Uint8Array(view.buffer, view.byteOffset + at, size).slice(),
    format(view, at, value) {
      if (!(value instanceof Uint8Array) || value.length !== size) {
        const is =
          value instanceof Uint8Array ? `${value.length} bytes` : typeof value;
        throw new RangeError(
          `a Uint8Array of ${size} bytes is needed, not ${is}`,
        );
      }
      new Uint8Array(view.buffer, view.byteOffset + at, size).set(value);
    },
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** char[size] with a string that ends in NUL; longer strings are an error. */
export function chars(size: number): Codec<string> {
  return {
    size,
    align: 1,
    parse(view, at) {
      const all = new Uint8Array(view.buffer, view.byteOffset + at, size);
      const end = all.indexOf(0);
      return decoder.decode(all.subarray(0, end < 0 ? size : end));
    },
    format(view, at, value) {
      const text = encoder.encode(value);
      if (text.length >= size) {
        throw new RangeError(`'${value}' does not fit in char[${size}]`);
      }
      const all = new Uint8Array(view.buffer, view.byteOffset + at, size);
      all.fill(0);
      all.set(text);
    },
  };
}

type Fields = Record<string, Codec<unknown>>;
type StructOf<F> = {
  [N in keyof F]: F[N] extends Codec<infer T> ? T : never;
};

// A codec both takes and gives its T, so no single Codec type includes them all.
type AnyFields<F> = {
  [N in keyof F]: F[N] extends Codec<infer T> ? Codec<T> : never;
};

/** A C struct of these fields, in this order. */
export function struct<F>(fields: F & AnyFields<F>): Codec<StructOf<F>> {
  let size = 0;
  let align = 1;
  const layout: { name: string; codec: Codec<unknown>; at: number }[] = [];
  for (const [name, codec] of Object.entries(fields as Fields)) {
    const at = roundUp(size, codec.align);
    layout.push({ name, codec, at });
    size = at + codec.size;
    align = Math.max(align, codec.align);
  }
  size = roundUp(size, align);
  return {
    size,
    align,
    parse(view, at, little) {
      const value: Record<string, unknown> = {};
      for (const field of layout) {
        define(
          value,
          field.name,
          field.codec.parse(view, at + field.at, little),
        );
      }
      return value as StructOf<F>;
    },
    format(view, at, value, little) {
      new Uint8Array(view.buffer, view.byteOffset + at, size).fill(0);
      for (const field of layout) {
        const given = (value as Record<string, unknown>)[field.name];
        field.codec.format(view, at + field.at, given, little);
      }
    },
  };
}

/** `count` elements of one codec. */
export function array<T>(element: Codec<T>, count: number): Codec<T[]> {
  return {
    size: element.size * count,
    align: element.align,
    parse: (view, at, little) =>
      Array.from({ length: count }, (_, i) =>
        element.parse(view, at + i * element.size, little),
      ),
    format(view, at, value, little) {
      if (value.length !== count) {
        throw new RangeError(
          `${count} elements are needed, not ${value.length}`,
        );
      }
      value.forEach((v, i) =>
        element.format(view, at + i * element.size, v, little),
      );
    },
  };
}

/** The values of a per-CPU map: one for each of `cpus` CPUs (possibleCpus()), 8 bytes apart at least. */
export function perCpu<T>(element: Codec<T>, cpus: number): Codec<T[]> {
  const stride = roundUp(element.size, 8);
  return {
    size: stride * cpus,
    align: 8,
    parse: (view, at, little) =>
      Array.from({ length: cpus }, (_, cpu) =>
        element.parse(view, at + cpu * stride, little),
      ),
    format(view, at, value, little) {
      if (value.length !== cpus) {
        throw new RangeError(
          `values of ${cpus} CPUs are needed, not ${value.length}`,
        );
      }
      new Uint8Array(view.buffer, view.byteOffset + at, stride * cpus).fill(0);
      value.forEach((v, cpu) =>
        element.format(view, at + cpu * stride, v, little),
      );
    },
  };
}

function roundUp(size: number, to: number): number {
  return Math.ceil(size / to) * to;
}

/** An own property whatever its name, `__proto__` too. */
function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}
