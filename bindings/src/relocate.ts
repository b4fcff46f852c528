/**
 * relocate.ts - CO-RE: an object made to fit the types of another system than its compiler saw, and
 * what became of each value on the way.
 */
import { Status, type Context } from '../../wasm/loader';
import { Btf } from './btf';
import { expectOk, report, request } from './engine';
import { BpfSyntaxError, type Report } from './errors';
import { BpfObject, readElf } from './object';

/** What a relocation asks of the target; names as libbpf and LLVM have them. */
export type RelocationKind =
  | 'byte_off'
  | 'byte_sz'
  | 'field_exists'
  | 'signed'
  | 'lshift_u64'
  | 'rshift_u64'
  | 'local_type_id'
  | 'target_type_id'
  | 'type_exists'
  | 'type_size'
  | 'type_matches'
  | 'enumval_exists'
  | 'enumval_value';

export interface Relocation {
  section: string;
  /** The 8-byte slot in the section. */
  insn: number;
  /** The source line, where .BTF.ext tells; numbers are 0 where it does not. */
  file: string | null;
  line: number;
  column: number;
  source: string | null;
  kind: RelocationKind;
  /** The type in the object's own BTF, and the way from there: '0:1:2'. */
  typeId: number;
  access: string;
  /** The same for people: 'struct task_struct.thread_info.flags (0:0:1)'. */
  path: string;
  /**
   * 'resolved': the instruction has the target's value. 'poisoned': the target has no such thing,
   * the instruction is an invalid call; programs guard it by asking first whether it exists.
   * 'failed': the instruction is as it was.
   */
  outcome: 'resolved' | 'poisoned' | 'failed';
  /** The value before and after; null unless resolved. */
  from: bigint | null;
  to: bigint | null;
  /** What was found, and in which target. */
  target: { name: string; typeId: number; path: string } | null;
  /** Why there is no value, or what there is not. */
  reason: string | null;
  /** The instruction as it is now, in hexadecimal. */
  bytes: string;
}

/** BTF, its bytes as the kernel has them, an ELF file with a .BTF section, or an object. */
export type RelocationTarget = Btf | BpfObject | Uint8Array;

export interface RelocateOptions {
  /** What messages call the object. */
  filename?: string;
  /** And the targets, in their order; a Btf knows its name. */
  names?: readonly string[];
  /** Bytes that the request may take. */
  memoryLimit?: number;
}

export interface Relocated {
  /** The relocated object; its relocations are answered and gone. */
  object: BpfObject;
  relocations: Relocation[];
  resolved: number;
  poisoned: number;
}

/** enum ebpf_core_format */
const formats = { text: 0, json: 1 } as const;

/** What the command prints: a list, there even when some failed, and the object when none did. */
export interface Outcome {
  list: string;
  object: BpfObject | undefined;
  report: Report;
}

/** sizeof(ebpf_core_target) in wasm32: name, its size, bytes, their size. */
const TARGET_SIZE = 16;

const bytesOf = (target: RelocationTarget): Uint8Array =>
  target instanceof Uint8Array
    ? target
    : target instanceof BpfObject
      ? target.toElf()
      : target.toBytes();

/** @internal The targets as an array of ebpf_core_target; split BTF brings its base by itself. */
export function targetsIn(
  context: Context,
  targets: RelocationTarget | readonly RelocationTarget[],
  names: readonly string[] = [],
): { at: number; count: number } {
  const all = [targets].flat() as RelocationTarget[];
  const [first] = all;
  if (first === undefined) {
    throw new RangeError('there is no BTF to relocate against');
  }
  if (first instanceof Btf && first.base) all.unshift(first.base);
  const at = context.alloc(TARGET_SIZE * all.length);
  all.forEach((target, i) => {
    const own = target instanceof Btf ? target.filename : undefined;
    const name = context.textIn(names[i] ?? own ?? `<target ${i + 1}>`);
    const bytes = context.copyIn(bytesOf(target));
    const { view } = context.engine;
    [name.at, name.size, bytes.at, bytes.size].forEach((word, n) =>
      view.setUint32(at + TARGET_SIZE * i + 4 * n, word, true),
    );
  });
  return { at, count: all.length };
}

/** @internal One request, for relocate() and the command. */
export function relocateAs(
  format: keyof typeof formats,
  object: BpfObject | Uint8Array,
  targets: RelocationTarget | readonly RelocationTarget[],
  options: RelocateOptions = {},
): Outcome {
  const elf = object instanceof BpfObject ? object.toElf() : object;
  return request((context) => {
    const at = readElf(context, elf, options.filename);
    const list = targetsIn(context, targets, options.names);
    const { status, span } = context.span((out) =>
      context.engine.call(
        'ebpf_object_relocate',
        context.at,
        at,
        list.at,
        list.count,
        formats[format],
        out,
      ),
    );
    if (status !== Status.INPUT) {
      expectOk(context, status, 'cannot relocate');
    }
    const text = context.engine.textOut(span);
    return {
      list: text,
      object: status === Status.OK ? BpfObject.take(context, at) : undefined,
      report: report(context),
    };
  }, options);
}

type Row = Omit<Relocation, 'from' | 'to'> & {
  from: number | string | null;
  to: number | string | null;
};

const bigintOf = (value: number | string | null): bigint | null =>
  value === null ? null : BigInt(value);

/**
 * Relocate an object (or ELF bytes) for the types of a target: a kernel's BTF, or whatever stands
 * for it; then, for types that it does not have at all, its modules' BTF, split on the first.
 * Decides as libbpf does. Throws BpfSyntaxError, with a diagnostic for each, when relocations
 * failed.
 */
export function relocate(
  object: BpfObject | Uint8Array,
  targets: RelocationTarget | readonly RelocationTarget[],
  options: RelocateOptions = {},
): Relocated {
  const made = relocateAs('json', object, targets, options);
  if (!made.object) {
    const what = `cannot relocate ${options.filename ?? 'the object'}`;
    throw new BpfSyntaxError(what, made.report);
  }
  const { relocations, resolved, poisoned } = JSON.parse(made.list) as {
    relocations: Row[];
    resolved: number;
    poisoned: number;
  };
  return {
    object: made.object,
    relocations: relocations.map((row) => ({
      ...row,
      from: bigintOf(row.from),
      to: bigintOf(row.to),
    })),
    resolved,
    poisoned,
  };
}
