/**
 * context.ts - contexts of programs as JavaScript values: names of fields to bytes and back.
 *
 * Layouts come from the engine (ebpf_vm_layout, context.def): struct xdp_md, struct __sk_buff,
 * struct pt_regs and the like. Fields that are not named are 0.
 */

/** A field's value: a number or bigint, for arrays several. */
export type FieldValue = number | bigint | readonly (number | bigint)[];

/** Fields by name, as `{ mark: 7, cb: [1, 2] }`. */
export type Fields = Readonly<Record<string, FieldValue>>;

export interface FieldInfo {
  name: string;
  /** In bytes from the context's start. */
  offset: number;
  /** Of one element, in bytes. */
  size: number;
  /** Elements; 1 is no array. */
  count: number;
  /** Programs of this type may read it, or write it. */
  read: boolean;
  write: boolean;
}

/** What r1 points to, for one type of program. */
export interface Layout {
  name: string;
  /** In bytes; 0 is as many as the host passes. */
  size: number;
  fields: FieldInfo[];
}

function put(
  view: DataView,
  at: number,
  size: number,
  value: number | bigint,
  little: boolean,
): void {
  const exact = BigInt.asUintN(size * 8, BigInt(value));
  if (size === 8) view.setBigUint64(at, exact, little);
  else if (size === 4) view.setUint32(at, Number(exact), little);
  else if (size === 2) view.setUint16(at, Number(exact), little);
  else view.setUint8(at, Number(exact));
}

function get(
  view: DataView,
  at: number,
  size: number,
  little: boolean,
): number | bigint {
  if (size === 8) return view.getBigUint64(at, little);
  if (size === 4) return view.getUint32(at, little);
  return size === 2 ? view.getUint16(at, little) : view.getUint8(at);
}

/** The context's bytes; throws RangeError for a field that is not there. */
export function encodeContext(
  layout: Layout,
  fields: Fields,
  little: boolean,
): Uint8Array {
  const entries = Object.entries(fields);
  const end = entries.map(([name, value]) => {
    const { offset, size, count } = fieldOf(layout, name);
    const many = Array.isArray(value) ? value.length : 1;
    if (many > count) {
      throw new RangeError(`${name} of ${layout.name} has ${count} elements`);
    }
    return offset + size * many;
  });
  const bytes = new Uint8Array(layout.size || Math.max(0, ...end));
  const view = new DataView(bytes.buffer);
  for (const [name, value] of entries) {
    const { offset, size } = fieldOf(layout, name);
    const values = Array.isArray(value) ? value : [value];
    values.forEach((element: number | bigint, i) =>
      put(view, offset + i * size, size, element, little),
    );
  }
  return bytes;
}

function fieldOf(layout: Layout, name: string): FieldInfo {
  const field = layout.fields.find((f) => f.name === name);
  if (field) return field;
  const names = layout.fields.map((f) => f.name).join(', ');
  throw new RangeError(`${layout.name} has no '${name}'; it has ${names}`);
}

/** The fields that programs of this type can read; arrays as arrays. */
export function decodeContext(
  layout: Layout,
  bytes: Uint8Array,
  little: boolean,
): Record<string, number | bigint | (number | bigint)[]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const fields: Record<string, number | bigint | (number | bigint)[]> = {};
  for (const { name, offset, size, count, read } of layout.fields) {
    const there = Math.min(count, Math.floor((bytes.length - offset) / size));
    if (!read || there < 1) continue;
    const values = Array.from({ length: there }, (_, i) =>
      get(view, offset + i * size, size, little),
    );
    fields[name] = count === 1 ? values[0]! : values;
  }
  return fields;
}

/** Registers that hold a call's arguments, in order, and its result. */
export const registers = {
  x86_64: { parms: ['di', 'si', 'dx', 'cx', 'r8', 'r9'], result: 'ax' },
  arm64: { parms: 8, result: 'regs' },
} as const;

export type Arch = keyof typeof registers;

/** struct pt_regs of a call with these arguments, or at its end with this result. */
export function registersOf(
  arch: Arch,
  args: readonly bigint[],
  result: bigint | undefined,
): Fields {
  if (arch === 'arm64') {
    const regs = [...args];
    if (result !== undefined) regs[0] = result;
    return { regs };
  }
  const { parms } = registers.x86_64;
  if (args.length > parms.length) {
    throw new RangeError(`registers hold ${parms.length} arguments on x86-64`);
  }
  const fields = Object.fromEntries(
    args.map((value, i) => [parms[i], value] as const),
  ) as Record<string, bigint>;
  if (result !== undefined) fields['ax'] = result;
  return fields;
}
