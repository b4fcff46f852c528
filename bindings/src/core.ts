/**
 * core.ts - `bpf/core`: the portable part. No file, no addon, no process is touched; in browsers
 * and workers `await init(url | bytes | module)` comes first.
 */
export {
  assemble,
  dialectNames,
  disassemble,
  type AssembleOptions,
  type Dialect,
  type DisassembleOptions,
} from './asm';
export {
  Btf,
  btfKinds,
  type BtfArray,
  type BtfDataSection,
  type BtfDeclTag,
  type BtfEnum,
  type BtfFloat,
  type BtfFormat,
  type BtfForward,
  type BtfFunction,
  type BtfInt,
  type BtfKind,
  type BtfLinkage,
  type BtfMember,
  type BtfOptions,
  type BtfPrototype,
  type BtfRecord,
  type BtfReference,
  type BtfType,
  type BtfTypeOf,
  type BtfTypeTag,
  type BtfVariable,
  type BtfVoid,
} from './btf';
export {
  array,
  bytes,
  chars,
  i16,
  i32,
  i64,
  i8,
  perCpu,
  struct,
  u16,
  u32,
  u64,
  u8,
  type Codec,
} from './codec';
export {
  check,
  compile,
  preprocess,
  type Checked,
  type CompileOptions,
  type Cpu,
  type Define,
  type Preprocessed,
} from './compile';
export { engineVersion, init, wasmModule, type InitOptions } from './engine';
export {
  AssembleError,
  BPFError,
  BpfSyntaxError,
  ClosedError,
  CompileError,
  EngineError,
  KernelError,
  MachineError,
  type BPFErrorFields,
  type Diagnostic,
  type DiagnosticNote,
  type DiagnosticPlace,
  type Fixit,
  type KernelErrorFields,
  type Report,
} from './errors';
export { Handle, type Closable } from './handle';
export type { Headers, IncludeOptions } from './include';
export {
  explain,
  VerifierLog,
  type ExplainOptions,
  type LogEvent,
  type LogExplanation,
  type LogLine,
  type LogOrigin,
  type LogReport,
  type LogSource,
  type LogStats,
  type LogValue,
} from './log';
export { BpfMap, type MapEvent, type MapShape, type UpdateMode } from './map';
export {
  BpfObject,
  type Endian,
  type ExternInfo,
  type FunctionInfo,
  type GlobalInfo,
  type MapSpec,
  type ObjectInfo,
  type ProgramSpec,
  type ReadOptions,
  type RelocationInfo,
  type SectionInfo,
  type StripOptions,
  type StructOpsInfo,
  type SymbolInfo,
} from './object';
export {
  relocate,
  type RelocateOptions,
  type Relocated,
  type Relocation,
  type RelocationKind,
  type RelocationTarget,
} from './relocate';
export {
  DEFAULT_BUDGET,
  Machine,
  type Argument,
  type HostHelper,
  type Inputs,
  type MachineMap,
  type MachineOptions,
  type MachineProgram,
  type RunOptions,
  type SourceText,
} from './vm';
export {
  Breakpoints,
  Run,
  type Coverage,
  type LineCoverage,
  type Place,
  type Redirect,
  type RunResult,
  type TraceEntry,
} from './vm_run';
export type { Arch, FieldInfo, Fields, FieldValue, Layout } from './context';
export type { WasmSource } from '../../wasm/loader';
