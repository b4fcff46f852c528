/**
 * object.ts - a BPF object in JavaScript's hands: the ELF bytes that asm-core's writer made, and
 * their description. It holds no wasm memory, so it needs no close(); whoever works on it (the
 * disassembler, a Machine, the kernel) reads the bytes again.
 */
import { Status, type Context, type Span } from '../../wasm/loader';
import { expectOk, expectSpan, report, request } from './engine';
import type { Diagnostic, Report } from './errors';

export type Endian = 'little' | 'big';

export interface SectionInfo {
  name: string;
  /** 'progbits', 'nobits', 'strtab', 'group', 'note', 'other' */
  type: string;
  /** readelf's letters */
  flags: string;
  size: number;
  align: number;
  /** How many. */
  relocs: number;
}

export interface FunctionInfo {
  name: string;
  section: string;
  /** In bytes from the section's start. */
  offset: number;
  /** 8-byte slots. */
  insns: number;
  /** CO-RE relocations in it. */
  coreRelocs: number;
}

export interface ProgramSpec extends FunctionInfo {
  /** enum bpf_prog_type, by the section's name */
  type: number;
  typeName: string;
  /** enum bpf_attach_type */
  attachType: number;
  attachTypeName: string | null;
  /** What the section's name says behind the type: 'sys_enter' of 'raw_tp/sys_enter'. */
  attachTarget: string;
  sleepable: boolean;
  /** Takes packets in several pieces. */
  frags: boolean;
  /** False for SEC("?..."): not loaded unless asked for. */
  autoload: boolean;
}

export interface MapSpec {
  name: string;
  /** enum bpf_map_type */
  type: number;
  typeName: string;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  numaNode: number;
  extra: number;
  pinning: number;
  /** As C spells the type, or null where BTF does not tell. */
  key: string | null;
  value: string | null;
  /** What its slots are filled with: maps, or programs. */
  values: { slot: number; name: string }[];
  inner: MapSpec | null;
}

/** A variable of .data, .rodata, .bss or another data section. */
export interface GlobalInfo {
  name: string;
  section: string;
  /** As C spells it, or null where BTF does not tell. */
  type: string | null;
  /** In bytes from the section's start. */
  offset: number;
  /** Bytes. */
  size: number;
  readOnly: boolean;
  static: boolean;
}

/** A variable of .struct_ops or .struct_ops.link, and the programs in its members. */
export interface StructOpsInfo {
  name: string;
  section: string;
  type: string | null;
  members: { name: string; program: string }[];
}

/** A name that the kernel or another object defines. */
export interface ExternInfo {
  name: string;
  /** 'kconfig', 'ksym' (a variable), 'function', or 'unknown' without BTF */
  kind: 'kconfig' | 'ksym' | 'function' | 'unknown';
  type: string | null;
  /** May be absent. */
  weak: boolean;
}

/** A relocation of code, data or maps; those of BTF are left out. */
export interface RelocationInfo {
  /** What is relocated, and where in it, in bytes. */
  section: string;
  offset: number;
  type: number;
  /** R_BPF_..., or 'unknown' */
  typeName: string;
  /** A symbol's name, or a section's. */
  symbol: string;
  /** Bytes behind the symbol. */
  addend: number;
}

export interface SymbolInfo {
  name: string;
  /** null: not defined here */
  section: string | null;
  value: number;
  size: number;
  bind: string;
  type: string;
  visibility: string;
}

/** What ebpf_object_info says. */
export interface ObjectInfo {
  endian: Endian;
  license: string;
  /** Of section version (KERNEL_VERSION's number), or null. */
  version: number | null;
  sections: SectionInfo[];
  programs: ProgramSpec[];
  /** Functions that are no entry points. */
  functions: (FunctionInfo & { global: boolean })[];
  maps: MapSpec[];
  /** Symbols of section maps, whose definitions libbpf no longer takes. */
  legacyMaps: string[];
  globals: GlobalInfo[];
  structOps: StructOpsInfo[];
  externs: ExternInfo[];
  symbols: SymbolInfo[];
  relocations: RelocationInfo[];
  /** CO-RE relocations: all, and by kind; null without BTF. */
  core: { total: number; kinds: Record<string, number> } | null;
  /** How many types, and functions and lines that .BTF.ext knows; null without BTF. */
  btf: { types: number; functions: number; lines: number } | null;
}

export interface StripOptions {
  /** Also local labels without a type that nothing refers to, as LLVM leaves them. */
  labels?: boolean;
  /** Also .BTF and .BTF.ext, without which libbpf loads no maps. */
  btf?: boolean;
}

export interface ReadOptions {
  /** What diagnostics call the input. */
  filename?: string;
  /** Bytes that the request may take. */
  memoryLimit?: number;
}

/** enum ebpf_strip_flags */
const STRIP_LABELS = 1;
const STRIP_BTF = 2;

export class BpfObject implements Report {
  readonly #elf: Uint8Array;
  readonly info: ObjectInfo;
  /** `info` as the engine wrote it. */
  readonly infoText: string;
  /** Warnings of whoever made it. */
  readonly diagnostics: readonly Diagnostic[];
  readonly text: string;
  readonly ansi: string;

  private constructor(elf: Uint8Array, infoText: string, warnings: Report) {
    this.#elf = elf;
    this.info = JSON.parse(infoText) as ObjectInfo;
    this.infoText = infoText;
    this.diagnostics = warnings.diagnostics;
    this.text = warnings.text;
    this.ansi = warnings.ansi;
  }

  /** Read an ELF file of machine BPF. Throws BpfSyntaxError for anything else. */
  static fromElf(bytes: Uint8Array, options: ReadOptions = {}): BpfObject {
    return request((context) => {
      const object = readElf(context, bytes, options.filename);
      return BpfObject.take(context, object);
    }, options);
  }

  /** Bare instructions, without a container, as section .text. */
  static fromRaw(
    bytes: Uint8Array,
    options: ReadOptions & { endian?: Endian } = {},
  ): BpfObject {
    const endian = endianNumber(options.endian);
    return request((context) => {
      const out = context.pointer();
      const name = context.textIn(options.filename ?? '<bytes>');
      const input = context.copyIn(bytes);
      expectOk(
        context,
        context.engine.call(
          'ebpf_object_from_raw',
          context.at,
          name.at,
          name.size,
          input.at,
          input.size,
          endian,
          out,
        ),
        'cannot read instructions',
      );
      return BpfObject.take(context, context.engine.u32(out));
    }, options);
  }

  /** @internal Write out the object at `at`, which belongs to the context. */
  static take(context: Context, at: number): BpfObject {
    const { engine } = context;
    const what = 'cannot write the object';
    const elf = expectSpan(context, what, (out) =>
      engine.call('ebpf_object_write', context.at, at, out),
    );
    const info = expectSpan(context, what, (out) =>
      engine.call('ebpf_object_info', context.at, at, out),
    );
    return new BpfObject(
      engine.copyOut(elf),
      engine.textOut(info),
      report(context),
    );
  }

  /** The object as a relocatable ELF file; a copy. */
  toElf(): Uint8Array {
    return this.#elf.slice();
  }

  get endian(): Endian {
    return this.info.endian;
  }

  get license(): string {
    return this.info.license;
  }

  get programs(): readonly ProgramSpec[] {
    return this.info.programs;
  }

  get maps(): readonly MapSpec[] {
    return this.info.maps;
  }

  get globals(): readonly GlobalInfo[] {
    return this.info.globals;
  }

  get externs(): readonly ExternInfo[] {
    return this.info.externs;
  }

  get sections(): readonly SectionInfo[] {
    return this.info.sections;
  }

  get symbols(): readonly SymbolInfo[] {
    return this.info.symbols;
  }

  get relocations(): readonly RelocationInfo[] {
    return this.info.relocations;
  }

  /** Lines for people: programs, functions, maps, globals, externs, sections. */
  describe(filename = 'object'): string {
    return request((context) => {
      const object = readElf(context, this.#elf, filename);
      const text = expectSpan(context, 'cannot describe the object', (out) =>
        context.engine.call('ebpf_object_text', context.at, object, out),
      );
      return context.engine.textOut(text);
    });
  }

  /**
   * The object without what only debuggers use. DWARF is never kept; this takes the symbols that
   * were there for it, and what the options name.
   */
  strip(options: StripOptions = {}): BpfObject {
    return request((context) => {
      const object = readElf(context, this.#elf);
      const flags =
        (options.labels ? STRIP_LABELS : 0) | (options.btf ? STRIP_BTF : 0);
      expectOk(
        context,
        context.engine.call('ebpf_object_strip', context.at, object, flags),
        'cannot strip the object',
      );
      return BpfObject.take(context, object);
    });
  }

  /** The bytes of a section before relocation, or undefined when there is none so called. */
  section(name: string): Uint8Array | undefined {
    return request((context) => {
      const { engine } = context;
      const object = readElf(context, this.#elf);
      const asked = context.textIn(name);
      const { status, span } = context.span((out) =>
        engine.call(
          'ebpf_object_section',
          context.at,
          object,
          asked.at,
          asked.size,
          out,
        ),
      );
      if (status === Status.ARG) return undefined;
      expectOk(context, status, `cannot read section ${name}`);
      return engine.copyOut(span);
    });
  }
}

export function endianNumber(endian: Endian = 'little'): number {
  if (endian === 'little') return 0;
  if (endian === 'big') return 1;
  throw new RangeError(`endian is 'little' or 'big', not ${String(endian)}`);
}

/** Read ELF into the context; returns the ebpf_object. */
export function readElf(
  context: Context,
  bytes: Uint8Array,
  filename = '<bytes>',
): number {
  const name = context.textIn(filename);
  const input: Span = context.copyIn(bytes);
  const out = context.pointer();
  const status = context.engine.call(
    'ebpf_object_read',
    context.at,
    name.at,
    name.size,
    input.at,
    input.size,
    out,
  );
  expectOk(context, status, `cannot read ${filename}`);
  return context.engine.u32(out);
}
