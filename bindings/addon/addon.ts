/**
 * What `bpf_kernel.node` exports: the thin, raw face of kernel-backend (kb.h).
 *
 * The addon moves bytes and calls C; policy (defaults, names, codecs, warnings,
 * symbols to iterate) belongs to the TypeScript above it. One instance per
 * environment: worker threads may require it as often as they like, and every
 * handle of an environment is closed when that environment ends.
 *
 * Rules that hold for every function:
 * - `init()` first: the error class is JavaScript's, so `instanceof` and stack
 *   traces are right. Everything else throws a plain Error before that.
 * - An argument of the wrong type throws TypeError, a number or a buffer of the
 *   wrong size throws RangeError, both with a `code` as Node's own errors have;
 *   nothing has been done then.
 * - A failing operation throws KernelError. "No such key" and "no more keys"
 *   are answers (`false`), not errors.
 * - close() may be called any number of times; every other method of a closed
 *   handle throws KernelError with code 'ERR_CLOSED'.
 * - Handles may be closed in any order. A NativeMap is independent of its
 *   object (it has a file descriptor of its own); a NativeProgram keeps the
 *   object's kernel side alive until it is closed; a NativeLink keeps whatever
 *   it needs. A handle that is collected without close() is closed then, which
 *   detaches a link: the wrapper should warn.
 * - Buffers may be any Uint8Array (Buffer too); nothing is kept after the call.
 */

/** Fields that the addon hands to the error class. */
export interface KernelErrorFields {
  /** What was being done, e.g. 'load program', 'attach raw_tracepoint', 'map lookup'. */
  operation: string;
  /** Positive errno as the kernel gave it (524 is the kernel-internal ENOTSUPP); EBADF for ERR_CLOSED. */
  errno: number;
  /** 'EPERM', 'ENOENT', …, 'ENOTSUPP' for 524, or 'ERR_CLOSED'. */
  code: string;
  /** The program or map that it is about, where there is one. */
  subject?: string;
  /** The kernel verifier's log, complete, where there is one. */
  log?: string;
  /** Entries that a batch processed before it failed, where that is known. */
  count?: number;
}

export interface KernelErrorConstructor {
  new (message: string, fields: KernelErrorFields): Error;
}

export interface OpenOptions {
  /** Object name (map name prefix of .data, .rodata, .bss); default 'bpf'. */
  name?: string;
  /** Folder of maps that pin themselves by name; default /sys/fs/bpf. */
  pinRoot?: string;
  /** Lines CONFIG_NAME=value, before those of the running kernel. */
  kconfig?: string;
  /** CO-RE relocates for this file's BTF instead of the running kernel's. */
  btfPath?: string;
  /** A BPF file system to make a BPF token of (Linux 6.9); '' = none. */
  tokenPath?: string;
  /** Ignore what libbpf does not know in definitions of maps. */
  relaxedMaps?: boolean;
}

/** What is changed of a program before it is loaded. */
export interface NativeProgramChanges {
  type?: number;
  attachType?: number;
  /** BPF_F_SLEEPABLE, ... */
  flags?: number;
  logLevel?: number;
  targetName?: string;
  targetFd?: number;
  autoload?: boolean;
  autoattach?: boolean;
}

/** What is changed of a map before it is made. */
export interface NativeMapChanges {
  type?: number;
  keySize?: number;
  valueSize?: number;
  maxEntries?: number;
  flags?: number;
  numaNode?: number;
  ifindex?: number;
  extra?: bigint | number;
  innerFd?: number;
  reuseFd?: number;
  /** '' = not pinned. */
  pinPath?: string;
  autocreate?: boolean;
  autoattach?: boolean;
}

export interface LoadOptions {
  /**
   * Kernel verifier log level. 0 (default): no log at first, level 1 with a
   * growing buffer after a failure. Else that level at once (1 or 2, +4 for
   * statistics), and NativeProgram.log() has it after success too.
   */
  logLevel?: number;
}

export interface ProgramInfo {
  name: string;
  section: string;
  /** enum bpf_prog_type */
  type: number;
  /** enum bpf_attach_type that was given at load */
  expectedAttachType: number;
  /** eBPF instructions (8-byte slots), before the kernel rewrites them */
  instructionCount: number;
  /** Kernel id, or 0 before load. */
  id: number;
  /** File descriptor, or -1 before load. Owned by the object. */
  fd: number;
  /** SEC("?...") says no. */
  autoload: boolean;
  autoattach: boolean;
}

export interface MapInfo {
  name: string;
  /** enum bpf_map_type */
  type: number;
  keySize: number;
  /** Size of one value as the kernel counts it. */
  valueSize: number;
  /**
   * Bytes that a lookup writes and an update reads: valueSize, or for per-CPU
   * types roundup(valueSize, 8) * possibleCpus().
   */
  userValueSize: number;
  maxEntries: number;
  /** BPF_F_* map flags */
  flags: number;
  /** Kernel id, or 0 before load. */
  id: number;
  /** File descriptor, or -1 before load. In NativeObject.maps() owned by the object. */
  fd: number;
  /** BTF type ids of key and value: in the object's .BTF (NativeObject.maps()) or in the kernel's btfId (NativeMap.info()); 0 = none. */
  btfKeyTypeId: number;
  btfValueTypeId: number;
  /** Kernel id of the BTF object, 0 = none; only in NativeMap.info(), as all below. */
  btfId: number;
  /** Type-specific, such as the number of hashes of a Bloom filter. */
  extra: number;
  /** Bytes of kernel memory. */
  memlock: number;
  frozen: boolean;
  /** Of the device that it was offloaded to, with the device's network namespace. */
  ifindex?: number;
  netnsDev?: bigint;
  netnsIno?: bigint;
}

/** What createMap() makes; absent numbers are 0. */
export interface NativeMapDef {
  name?: string;
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags?: number;
  numaNode?: number;
  /** Maps of maps: descriptor of a map like those that it will hold. */
  innerFd?: number;
  ifindex?: number;
  extra?: number;
}

/** enum kb_map_operation: lookup, update, delete, next key, take */
export type MapOperation = 0 | 1 | 2 | 3 | 4;

/**
 * Where to attach: kb_attach_opts, flat; kb.h says which kind reads which fields.
 * Without a target the section's name decides.
 */
export interface NativeTarget {
  kind: string;
  cookie?: bigint | number;
  name?: string;
  category?: string;
  path?: string;
  pattern?: string;
  interface?: string;
  ifindex?: number;
  fd?: number;
  pid?: number;
  tid?: number;
  cpu?: number;
  flags?: number;
  order?: number;
  family?: number;
  hook?: number;
  priority?: number;
  handle?: number;
  direction?: number;
  cgroupMode?: number;
  attachType?: number;
  offset?: bigint | number;
  address?: bigint | number;
  refCtrOffset?: bigint | number;
  atReturn?: boolean;
  replace?: boolean;
  legacy?: boolean;
  inherit?: boolean;
  names?: readonly string[];
  offsets?: BigUint64Array;
  refCtrOffsets?: BigUint64Array;
  cookies?: BigUint64Array;
  anchorFlags?: number;
  anchorRelative?: number;
  anchorRevision?: bigint | number;
  eventType?: number;
  eventConfig?: bigint | number;
  period?: bigint | number;
  frequency?: bigint | number;
}

/** What every link has; more fields by its kind (link_info.def), 64-bit ones as bigint. */
export interface NativeLinkInfo {
  id: number;
  /** enum bpf_link_type */
  type: number;
  /** 'xdp', ..., 'unknown' */
  typeName: string;
  programId: number;
  [field: string]: number | bigint | string | bigint[];
}

export interface NativeRun {
  data?: Uint8Array;
  /** Room for what the program leaves of `data`. */
  dataOut?: Uint8Array;
  ctx?: Uint8Array;
  ctxOut?: Uint8Array;
  repeat?: number;
  flags?: number;
  cpu?: number;
  batchSize?: number;
}

export interface NativeRunResult {
  returnValue: number;
  /** Nanoseconds per run. */
  duration: number;
  /** Bytes written to dataOut and ctxOut. */
  dataSize: number;
  ctxSize: number;
}

export interface NativeProgramDetails {
  name: string;
  tag: Uint8Array;
  id: number;
  type: number;
  uid: number;
  ifindex: number;
  gplCompatible: boolean;
  loadTime: bigint;
  btfId: number;
  attachBtfObjectId: number;
  attachBtfId: number;
  runTime: bigint;
  runCount: bigint;
  recursionMisses: bigint;
  verifiedInstructions: number;
  xlated: Uint8Array;
  jited: Uint8Array;
  jitedFunctions: { address: bigint; size: number }[];
  jitedLines: bigint[];
  mapIds: number[];
  /** file and text are offsets in the strings of BTF `btfId`. */
  lines: {
    insn: number;
    file: number;
    text: number;
    line: number;
    column: number;
  }[];
  functions: { insn: number; typeId: number }[];
}

/** 64-bit flags; BPF_F_LOCK is 4, the upper half may hold a CPU number. */
export type Flags = number | bigint;

export interface NativeObject {
  readonly closed: boolean;
  /** Before load(); EBUSY afterwards. */
  changeProgram(index: number, changes: NativeProgramChanges): void;
  changeMap(index: number, changes: NativeMapChanges): void;
  /** What global variables start with: bytes of a .data, .rodata or .bss map. */
  setInitial(index: number, offset: number, bytes: Uint8Array): void;
  /** Loads all maps and programs, once. Throws with `subject` and `log` if the verifier refuses. */
  load(options?: LoadOptions): void;
  /** The same in another thread. Until it is settled, this handle is as a closed one is. */
  loadAsync(options?: LoadOptions): Promise<void>;
  programs(): ProgramInfo[];
  maps(): MapInfo[];
  /** Handle of program number `index` in programs(). */
  program(index: number): NativeProgram;
  /** Handle of map number `index` in maps(), after load(). */
  map(index: number): NativeMap;
  /** Attaches struct_ops map number `index`. */
  attachMap(index: number): NativeLink;
  close(): void;
}

export interface NativeProgram {
  readonly closed: boolean;
  readonly fd: number;
  info(): ProgramInfo;
  /** The verifier's log of the load, if `logLevel` asked for one. */
  log(): string | undefined;
  /** Runs it by itself. */
  run(options: NativeRun): NativeRunResult;
  /** What the kernel tells about it. */
  details(): NativeProgramDetails;
  attach(target?: NativeTarget): NativeLink;
  /** What it printed into stream 1 (output) or 2 (errors), 64 KiB at most; empty: nothing now. */
  readOutput(stream: number): Uint8Array;
  close(): void;
}

/** A program of bare instructions. */
export interface NativeRawProgram {
  type: number;
  /** 8 bytes each, in the machine's order. */
  instructions: Uint8Array;
  name?: string;
  license?: string;
  attachType?: number;
  flags?: number;
  ifindex?: number;
  logLevel?: number;
  kernelVersion?: number;
  /** Descriptors that instructions name by their places. */
  fds?: Int32Array;
  targetName?: string;
  targetBtfId?: number;
  targetBtfFd?: number;
  targetFd?: number;
  btf?: Uint8Array;
  /** bpf_func_info and bpf_line_info: 8 and 16 bytes each. */
  functions?: Uint8Array;
  lines?: Uint8Array;
}

/** A place whose programs the kernel lists; fields as of NativeTarget. */
export interface NativePlace {
  kind: string;
  path?: string;
  interface?: string;
  ifindex?: number;
  fd?: number;
  direction?: number;
  attachType?: number;
  effective?: boolean;
}

export interface NativeAttached {
  programId: number;
  /** 0: not told. */
  linkId: number;
  attachType: number;
  flags: number;
  /** Of the classic tc, else 0. */
  direction: number;
  priority: number;
  handle: number;
}

export interface NativeLink {
  readonly closed: boolean;
  readonly fd: number;
  /** Throws EOPNOTSUPP on kernels where this attachment has no link object (tracepoints before 5.15). */
  info(): NativeLinkInfo;
  /** Puts another program in its place; with `old`, only in that one's. */
  update(program: NativeProgram, old?: NativeProgram): void;
  /** The same for struct_ops maps. */
  updateMap(map: NativeMap): void;
  detach(): void;
  /** A descriptor that reads what an iterator visits; the caller's. */
  iterate(): number;
  /** Detaches and frees; the kernel's link is gone unless it is pinned. */
  close(): void;
}

export interface BatchResult {
  /** Entries in `keys` and `values`. */
  count: number;
  /** No more entries after these. */
  done: boolean;
}

export interface NativeMap {
  readonly closed: boolean;
  readonly fd: number;
  info(): MapInfo;
  /** key.byteLength === keySize and value.byteLength === userValueSize. False: no such key. */
  lookup(key: Uint8Array, value: Uint8Array, flags?: Flags): boolean;
  update(key: Uint8Array, value: Uint8Array, flags?: Flags): void;
  /** False: no such key. */
  delete(key: Uint8Array): boolean;
  /** Writes the key after `key` (the first one for undefined) to `next`. False: there is none. */
  nextKey(key: Uint8Array | undefined, next: Uint8Array): boolean;
  /**
   * Fills the caller's buffers with up to `count` entries that follow `cursor`.
   * `cursor` (max(keySize, 4) bytes) is where the last call stopped and is
   * overwritten; `first` says that there was no last call. Needs
   * keys.byteLength >= count * keySize and values.byteLength >= count * userValueSize.
   * ENOSPC: one hash bucket has more entries than `count`; ask again with more.
   */
  lookupBatch(
    cursor: Uint8Array,
    first: boolean,
    keys: Uint8Array,
    values: Uint8Array,
    count: number,
    flags?: Flags,
  ): BatchResult;
  /** Looks up and deletes: hash maps (Linux 5.14), queues, stacks. False: no such key. */
  take(key: Uint8Array, value: Uint8Array, flags?: Flags): boolean;
  /** lookupBatch, and deletes what it gives. */
  takeBatch: NativeMap['lookupBatch'];
  /** Throws with `count`: entries before the one that failed. */
  updateBatch(
    keys: Uint8Array,
    values: Uint8Array,
    count: number,
    flags?: Flags,
  ): void;
  deleteBatch(keys: Uint8Array, count: number, flags?: Flags): void;
  /**
   * The operation on these places, which must be in SharedArrayBuffers: a
   * function without arguments that costs little more than its system call.
   * True: done; false: no such key. `value` is the next key for nextKey, and
   * empty for delete.
   */
  bind(
    operation: MapOperation,
    key: Uint8Array,
    value: Uint8Array,
    flags?: Flags,
  ): () => boolean;
  /**
   * The memory of an array or arena with BPF_F_MMAPABLE; undefined where
   * JavaScript cannot have it (frozen maps, engines without external buffers).
   */
  memory(): ArrayBuffer | undefined;
  /** No more writes from user space (Linux 5.2). */
  freeze(): void;
  /** Of a ring buffer or a perf event array. */
  openStream(options?: PerfOptions): NativeStream;
  /** Of a user ring buffer. */
  openSender(): NativeSender;
  close(): void;
}

/** For perf event arrays; a ring buffer needs none. */
export interface PerfOptions {
  /** Of each CPU's buffer, a power of two; 64. */
  pages?: number;
  /** Wake once in so many records; 1. */
  wakeupEvents?: number;
  /** Instead: wake once so many bytes are there. */
  wakeupBytes?: number;
}

export interface NativeStream {
  readonly closed: boolean;
  /** There is as much as wakes, which a perf buffer's descriptor tells once only. */
  readonly due: boolean;
  /** Readable while there are records. */
  readonly fd: number;
  /** Bytes that can wait to be read. */
  readonly size: number;
  /** Records of perf buffers that found no room since it was opened. */
  readonly lost: number;
  /**
   * Moves records into `data`, from offsets[2 * i] to offsets[2 * i + 1]; their
   * number, or -1 when the next one needs more of `data`. Writes `told`:
   * CPU, records lost, bytes needed.
   */
  drain(data: Uint8Array, offsets: Uint32Array, told: Float64Array): number;
  close(): void;
}

export interface NativeSender {
  readonly closed: boolean;
  readonly fd: number;
  /** False: no room now. */
  send(data: Uint8Array): boolean;
  close(): void;
}

export interface NativePoller {
  readonly closed: boolean;
  /** Calls back once, when the descriptor is readable or writable. */
  arm(writable: boolean): void;
  disarm(): void;
  /** Whether it keeps the process running while it is armed. */
  keepAlive(alive: boolean): void;
  close(): void;
}

export interface Probe {
  /** True: this process can create a map and load a program of that type. */
  bpf: boolean;
  /** Why not, in a sentence with the remedy. */
  reason?: string;
  errno?: number;
  code?: string;
}

export interface Versions {
  /** libbpf that is linked in, e.g. '1.5'. */
  libbpf: string;
  /** elfutils that is linked in, e.g. '0.192', or '' when not known. */
  libelf: string;
  /** uname -r */
  kernel: string;
}

export type FeatureKind =
  | 'mapType'
  | 'programType'
  | 'attachType'
  | 'helper'
  | 'kfunc'
  | 'linkType'
  | 'mapFlag'
  | 'programFlag'
  | 'btfKind';

export interface NativeFeature {
  answer: 'yes' | 'no' | 'inconclusive';
  /** Of an answer that is not yes. */
  reason?: string;
  /** What the kernel said: 'EINVAL'. */
  code?: string;
  /** The first release of Linux that has it, where that is known. */
  since?: string;
}

export interface Addon {
  init(classes: { KernelError: KernelErrorConstructor }): void;
  /** `bytes` is trusted ELF: asm-core's writer made it. It is copied. */
  openObject(bytes: Uint8Array, options?: OpenOptions): NativeObject;
  /**
   * May this process use bpf(2)? Creates a map and loads a two-instruction
   * program of the given enum bpf_prog_type (default RAW_TRACEPOINT), closes both.
   */
  probe(programType?: number): Probe;
  version(): Versions;
  possibleCpus(): number;
  /** The kernel's next id after the given one (0 to start), undefined at the end. Needs CAP_SYS_ADMIN. */
  nextProgId(after: number): number | undefined;
  nextMapId(after: number): number | undefined;
  nextLinkId(after: number): number | undefined;
  nextBtfId(after: number): number | undefined;
  /** Asks the kernel anew; RangeError for a name that is not in featureNames(). */
  probeFeature(what: {
    kind: FeatureKind;
    name: string;
    of?: string;
  }): NativeFeature;
  featureNames(of: { kind: FeatureKind }): string[];
  /** The name behind a number of enum bpf_map_type, bpf_prog_type, ..., or a flag's bit. */
  numberName(of: { kind: FeatureKind; number: number }): string | undefined;
  createMap(def: NativeMapDef): NativeMap;
  /** The descriptor is duplicated, or with `own` taken over if this does not throw. */
  openMapFd(fd: number, own?: boolean): NativeMap;
  openMapId(id: number): NativeMap;
  /** Takes the memory away from all views of a buffer of NativeMap.memory(). */
  detach(buffer: ArrayBuffer): void;
  /** Throws ENOSYS where the process has no libuv. The descriptor is duplicated. */
  openPoller(fd: number, callback: () => void): NativePoller;
  /** Mounts tracefs on /sys/kernel/tracing unless it is there already. Never done unasked. */
  mountTracefs(): void;
  /** By the kernel's id. */
  openProgram(id: number): NativeProgram;
  openLink(id: number): NativeLink;
  loadProgram(program: NativeRawProgram): NativeProgram;
  /** In the order in which they run; the revision is that of one hook, else 0. */
  query(place: NativePlace): { attached: NativeAttached[]; revision: bigint };
  /** Handles on a duplicate of the descriptor. */
  programFromFd(fd: number): NativeProgram;
  linkFromFd(fd: number): NativeLink;
  /** What is pinned at a path, as a descriptor of the caller's. Flags: BPF_F_RDONLY, ... */
  openPinned(
    path: string,
    flags?: Flags,
  ): { kind: 'program' | 'map' | 'link' | 'other'; fd: number };
  /** Gives any descriptor of a program, map or link a path in a BPF file system. */
  pin(fd: number, path: string): void;
  unpin(path: string): void;
  /** Mounts a BPF file system unless there is one. Never done unasked. Default: /sys/fs/bpf. */
  mountBpffs(path?: string): void;
  bpffsMounted(path?: string): boolean;
  /** Runs are counted while the descriptor, which is the caller's, is open. */
  enableStats(): number;
  /** BTF of the kernel, by its id. */
  btfBytes(id: number): Uint8Array;
}
