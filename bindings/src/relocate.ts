/**
 * relocate.ts - CO-RE: an object made to fit the types of another system than its compiler saw, and
 * what became of each value on the way.
 */
import { Status, type Context } from '../../wasm/loader';
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

/** BTF as the kernel has it, an ELF file with a .BTF section, or an object. */
export type RelocationTarget = Uint8Array | BpfObject;

export interface RelocateOptions {
  /** What messages call the object and the targets, in their order. */
  filename?: string;
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

/** @internal The targets in wasm memory, as an array of ebpf_core_target. */
export function targetsIn(
  context: Context,
  targets: readonly RelocationTarget[],
  names: readonly string[],
): number {
  const at = context.alloc(TARGET_SIZE * targets.length);
  targets.forEach((target, i) => {
    const name = context.textIn(names[i] ?? `<target ${i + 1}>`);
    const bytes = context.copyIn(
      target instanceof BpfObject ? target.toElf() : target,
    );
    const { view } = context.engine;
    [name.at, name.size, bytes.at, bytes.size].forEach((word, n) =>
      view.setUint32(at + TARGET_SIZE * i + 4 * n, word, true),
    );
  });
  return at;
}

/** @internal One request, for relocate() and the command. */
export function relocateAs(
  format: keyof typeof formats,
  object: BpfObject | Uint8Array,
  targets: readonly RelocationTarget[],
  options: RelocateOptions = {},
): Outcome {
  if (targets.length === 0) {
    throw new RangeError('there is no BTF to relocate against');
  }
  const elf = object instanceof BpfObject ? object.toElf() : object;
  return request((context) => {
    const at = readElf(context, elf, options.filename);
    const list = targetsIn(context, targets, options.names ?? []);
    const { status, span } = context.span((out) =>
      context.engine.call(
        'ebpf_object_relocate',
        context.at,
        at,
        list,
        targets.length,
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
  const all = Array.isArray(targets)
    ? (targets as readonly RelocationTarget[])
    : [targets as RelocationTarget];
  const made = relocateAs('json', object, all, options);
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
