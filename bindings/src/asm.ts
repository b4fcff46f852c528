/**
 * asm.ts - text to object and object to text, in the dialects of asm-core.
 */
import type { Context } from '../../wasm/loader';
import { expectOk, expectSpan, request } from './engine';
import { AssembleError } from './errors';
import { BpfObject, endianNumber, readElf, type Endian } from './object';
import { checkNames, namesOf } from './options';

/** enum ebpf_dialect */
const dialects = { llvm: 0, ubpf: 1 } as const;

/** `llvm`: r0 = 1, as LLVM and the kernel write; `ubpf`: mov %r0, 1. */
export type Dialect = keyof typeof dialects;

export const dialectNames = Object.keys(dialects) as Dialect[];

export interface AssembleOptions {
  /** What diagnostics call the text; default '<source>'. */
  filename?: string;
  /** Default 'llvm'. */
  dialect?: Dialect;
  /** Default 'little'. */
  endian?: Endian;
  /** Bytes that the request may take; EngineError when it needs more. */
  memoryLimit?: number;
}

const assembleNames = namesOf<AssembleOptions>()(
  'filename dialect endian memoryLimit',
);

export interface DisassembleOptions {
  /** Default 'llvm'. */
  dialect?: Dialect;
  /** Put the bytes of each instruction in front of it, as a comment. */
  bytes?: boolean;
  /** Write jumps as distances and helpers as numbers, without names. */
  numeric?: boolean;
  /** Write numbers in hexadecimal. */
  hex?: boolean;
  /** Put the source lines that .BTF.ext knows in front of instructions, as comments. */
  source?: boolean;
  /**
   * The text that `llvm-objdump -d` (LLVM 19) prints, line by line the same. It does not assemble
   * again, and none of the options above changes it.
   */
  objdump?: boolean;
  /** With objdump: relocations below their instructions, as with -r. */
  relocs?: boolean;
  /** With objdump: 32-bit registers in loads and stores, as with --mcpu=v3 and above. */
  alu32?: boolean;
  /** What diagnostics and the first line of objdump's text call the input. */
  filename?: string;
}

const disassembleNames = namesOf<DisassembleOptions>()(
  'dialect bytes numeric hex source objdump relocs alu32 filename',
);

function dialectNumber(name: string = 'llvm'): number {
  if (!Object.hasOwn(dialects, name)) {
    throw new RangeError(
      `unknown dialect '${name}': there are ${dialectNames.join(' and ')}`,
    );
  }
  return dialects[name as Dialect];
}

/** Assemble text (or its UTF-8 bytes). Throws AssembleError with all diagnostics. */
export function assemble(
  source: string | Uint8Array,
  options: AssembleOptions = {},
): BpfObject {
  checkNames('assemble()', options, assembleNames);
  return request(
    (context) =>
      BpfObject.take(context, assembleInto(context, source, options)),
    options,
  );
}

/** @internal Assemble into the context; returns the ebpf_object. */
export function assembleInto(
  context: Context,
  source: string | Uint8Array,
  options: AssembleOptions,
): number {
  const { engine } = context;
  const filename = options.filename ?? '<source>';
  const name = context.textIn(filename);
  const text =
    typeof source === 'string'
      ? context.textIn(source)
      : context.copyIn(source);
  const out = context.pointer();
  const status = engine.call(
    'ebpf_assemble',
    context.at,
    name.at,
    name.size,
    text.at,
    text.size,
    dialectNumber(options.dialect),
    endianNumber(options.endian),
    out,
  );
  expectOk(context, status, `cannot assemble ${filename}`, AssembleError);
  return engine.u32(out);
}

/** enum ebpf_dis_flags */
const disFlags = {
  bytes: 1,
  numeric: 2,
  hex: 4,
  source: 8,
  objdump: 16,
  relocs: 32,
  alu32: 64,
} as const;

/** The text of an object (or of ELF bytes), which assembles to the same again. */
export function disassemble(
  object: BpfObject | Uint8Array,
  options: DisassembleOptions = {},
): string {
  checkNames('disassemble()', options, disassembleNames);
  const dialect = dialectNumber(options.dialect);
  const bytes = object instanceof BpfObject ? object.toElf() : object;
  return request((context) => {
    const at = readElf(context, bytes, options.filename);
    let flags = 0;
    for (const [name, flag] of Object.entries(disFlags)) {
      if (options[name as keyof typeof disFlags]) flags |= flag;
    }
    const span = expectSpan(context, 'cannot disassemble', (out) =>
      context.engine.call(
        'ebpf_disassemble',
        context.at,
        at,
        dialect,
        flags,
        out,
      ),
    );
    return context.engine.textOut(span);
  });
}
