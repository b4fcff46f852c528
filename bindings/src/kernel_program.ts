/**
 * kernel_program.ts - programs of the running kernel: attach them, run them by themselves, and ask
 * what the kernel knows about them.
 */
import { closeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { NativeProgram, NativeRawProgram } from '../addon/addon';
import { addon } from './addon';
import { explained } from './explained';
import { closeAll, Handle, orClose } from './handle';
import type { KernelObject } from './kernel';
import { Link, pinnable } from './kernel_link';
import { checkNames, namesOf } from './options';
import { take } from './pin';
import { nativeTarget, type AttachTarget } from './target';

export interface ProgramInfo {
  name: string;
  /** '' of programs that were opened by id or pin. */
  section: string;
  /** enum bpf_prog_type */
  type: number;
  /** 8-byte slots, before the kernel rewrites them; after that of programs that were opened */
  instructionCount: number;
  /** The kernel's id. */
  id: number;
  fd: number;
}

/** What the kernel knows about a program (4.13 and later); what it does not tell is 0 or empty. */
export interface ProgramDetails {
  name: string;
  /** Hexadecimal; equal programs have equal ones. */
  tag: string;
  id: number;
  /** enum bpf_prog_type */
  type: number;
  /** Of the user who loaded it. */
  uid: number;
  /** The interface of an offloaded one. */
  ifindex: number;
  gplCompatible: boolean;
  /** Nanoseconds since boot. */
  loadTime: bigint;
  btfId: number;
  /** What a tracing program is attached to: a BTF object and a type in it. */
  attachBtfObjectId: number;
  attachBtfId: number;
  /** Instructions that the verifier walked through (5.16). */
  verifiedInstructions: number;
  /** Instructions as the kernel rewrote them. */
  xlated: Uint8Array;
  /** Machine code. */
  jited: Uint8Array;
  jitedFunctions: { address: bigint; size: number }[];
  mapIds: number[];
  /** Source lines; `insn` counts slots of `xlated`, `address` is in the machine code. */
  lines: ProgramLine[];
  functions: { insn: number; typeId: number }[];
}

export interface ProgramLine {
  insn: number;
  file: string;
  line: number;
  column: number;
  text: string;
  address?: bigint;
}

/** Runs of a program while enableStats() was on (5.1). */
export interface ProgramStats {
  runs: bigint;
  /** Nanoseconds, of all runs together. */
  time: bigint;
  /** Runs that were left out because the program was running on that CPU already (5.12). */
  misses: bigint;
}

export interface RunOptions {
  /** A packet; at least 14 bytes for most types. */
  data?: Uint8Array;
  /** The type's context: struct __sk_buff, xdp_md, bpf_sk_lookup, arguments of a tracepoint, ... */
  ctx?: Uint8Array;
  /** Bytes that the program may add to `data`; default 256. */
  room?: number;
  /** How often; default once. */
  repeat?: number;
  /** Run on this CPU (raw_tp, 5.10). */
  cpu?: number;
  /** XDP: send the packets on as the program says, `batchSize` at a time (5.18). */
  liveFrames?: boolean;
  /** 64 by default, 256 at most. */
  batchSize?: number;
  /** skb: let the kernel check sums as if hardware had (6.15). */
  checksumComplete?: boolean;
}

export interface RunResult {
  /** The program's r0. */
  returnValue: number;
  /** Nanoseconds per run, on average. */
  duration: number;
  /** What the program left of the packet. */
  data: Uint8Array;
  /** What it left of the context, if one was given and the type gives it back. */
  ctx?: Uint8Array;
}

/** A program of bare instructions, and what goes with them. */
export interface RawProgram {
  /** enum bpf_prog_type */
  type: number;
  /** 8 bytes each, in the machine's byte order; maps as `fds` says. */
  instructions: Uint8Array;
  /** 15 characters of it at most are given to the kernel. */
  name?: string;
  /** 'GPL' opens the helpers that want it. Default: ''. */
  license?: string;
  /** enum bpf_attach_type, where the type has several. */
  attachType?: number;
  /** BPF_F_SLEEPABLE and so on. */
  flags?: number;
  /** A device to offload to. */
  ifindex?: number;
  /**
   * Maps that instructions name by their places here (source register 5 or 6, BPF_PSEUDO_MAP_IDX;
   * 5.14), and BTF of modules whose functions they call, from place 1 on (5.16). Instructions may as
   * well have a map's `fd` in them (source register 1 or 2).
   */
  fds?: readonly (number | { readonly fd: number })[];
  /**
   * What tracing, lsm and iter programs are for: a name of the kernel, a BTF id in vmlinux, or a
   * function of a loaded program (5.5).
   */
  target?: string | number | { program: KernelProgram; name: string };
  /** Types that `functions` and `lines` are told by (5.0). */
  btf?: Uint8Array;
  /** Which types functions have, by the instruction that they begin with. */
  functions?: readonly { insn: number; typeId: number }[];
  /** Source lines; file and text are offsets of BTF's strings. */
  lines?: readonly {
    insn: number;
    file: number;
    text: number;
    line: number;
    column: number;
  }[];
  /** As of LoadOptions. */
  logLevel?: number;
}

const runNames = namesOf<RunOptions>()(
  'data ctx room repeat cpu liveFrames batchSize checksumComplete',
);
const rawNames = namesOf<RawProgram>()(
  'type instructions name license attachType flags ifindex fds target btf',
  'functions lines logLevel',
);

/** BPF_F_TEST_RUN_ON_CPU, BPF_F_TEST_XDP_LIVE_FRAMES, BPF_F_TEST_SKB_CHECKSUM_COMPLETE */
const ON_CPU = 1;
const LIVE_FRAMES = 2;
const CHECKSUM_COMPLETE = 4;
const ROOM = 256;

/** enum bpf_prog_type: those whose context comes back by itself, and the one that writes to its own. */
const contextOut = new Set([1, 3, 4, 6, 8, 10, 11, 12, 19, 30]);
const SYSCALL = 31;

/** A loaded program. */
export class KernelProgram extends Handle {
  /** Keeps the object from being collected (and closed) while this is in use. */
  readonly #object: KernelObject | undefined;
  readonly #links = new Set<Link>();
  /** @internal */
  readonly native: NativeProgram;
  readonly name: string;

  /** @internal */
  constructor(native: NativeProgram, object?: KernelObject) {
    const { name } = native.info();
    super(`program ${name}`);
    this.#object = object;
    this.native = native;
    this.name = name;
  }

  /**
   * Load bare instructions. What the verifier refuses throws KernelError with its log and what the log
   * means, as load() does. Its section is '': attaching it needs a target.
   */
  static load(program: RawProgram): KernelProgram {
    checkNames('KernelProgram.load()', program, rawNames);
    try {
      return orClose(
        addon().loadProgram(nativeRaw(program)),
        (native) => new KernelProgram(native),
      );
    } catch (error) {
      throw explained(error);
    }
  }

  /** The program with this kernel id (4.13; needs CAP_SYS_ADMIN). Its section is not known. */
  static fromId(id: number): KernelProgram {
    return orClose(
      addon().openProgram(id),
      (native) => new KernelProgram(native),
    );
  }

  /** The program that is pinned at a path (4.4); TypeError if something else is. */
  static fromPin(path: string): KernelProgram {
    const native = take(path, 'program', (fd) => addon().programFromFd(fd));
    return orClose(native, () => new KernelProgram(native));
  }

  /** Undefined of programs that were opened by id or pin. */
  get object(): KernelObject | undefined {
    return this.#object;
  }

  get fd(): number {
    this.ensureOpen();
    return this.native.fd;
  }

  get info(): ProgramInfo {
    this.ensureOpen();
    const { name, section, type, instructionCount, id, fd } =
      this.native.info();
    return { name, section, type, instructionCount, id, fd };
  }

  /** All that the kernel tells; needs CAP_SYS_ADMIN for other people's machine code. */
  details(): ProgramDetails {
    this.ensureOpen();
    const {
      lines,
      jitedLines,
      tag,
      runTime,
      runCount,
      recursionMisses,
      ...rest
    } = this.native.details();
    const text = lines.length > 0 ? strings(rest.btfId) : () => '';
    return {
      ...rest,
      tag: Buffer.from(tag).toString('hex'),
      lines: lines.map((line, index) => {
        const address = jitedLines[index];
        return {
          ...line,
          file: text(line.file),
          text: text(line.text),
          ...(address !== undefined && { address }),
        };
      }),
    };
  }

  /** How often it ran while enableStats() was on. */
  get stats(): ProgramStats {
    this.ensureOpen();
    const { runTime, runCount, recursionMisses } = this.native.details();
    return { runs: runCount, time: runTime, misses: recursionMisses };
  }

  /** The verifier's log, if load() was asked for one. */
  log(): string | undefined {
    this.ensureOpen();
    return this.native.log();
  }

  /** Attach where the section name says, or to `target`. */
  attach(target?: AttachTarget): Link {
    this.ensureOpen();
    const link = new Link(
      this.native.attach(target && nativeTarget(target)),
      this,
      (closed) => this.#links.delete(closed),
    );
    this.#links.add(link);
    return link;
  }

  /**
   * Run it by itself (BPF_PROG_TEST_RUN): packets and sockets 4.12, with a context 5.2, raw_tp 5.10,
   * sk_lookup and syscall 5.14, netfilter 6.4. ENOTSUPP for types that the kernel cannot run so.
   */
  run(options: RunOptions = {}): RunResult {
    this.ensureOpen();
    checkNames('run()', options, runNames);
    const {
      data,
      ctx,
      room = ROOM,
      cpu,
      liveFrames,
      checksumComplete,
    } = options;
    const { type } = this.native.info();
    const dataOut =
      data && !liveFrames ? new Uint8Array(data.length + room) : undefined;
    // A syscall program's context is written to where it was read from.
    const input = ctx && type === SYSCALL ? ctx.slice() : ctx;
    const ctxOut =
      ctx && contextOut.has(type) && !liveFrames
        ? new Uint8Array(ctx.length)
        : undefined;
    const { returnValue, duration, dataSize, ctxSize } = this.native.run({
      data,
      dataOut,
      ctx: input,
      ctxOut,
      cpu,
      repeat: options.repeat,
      batchSize: options.batchSize,
      flags:
        (cpu === undefined ? 0 : ON_CPU) |
        (liveFrames ? LIVE_FRAMES : 0) |
        (checksumComplete ? CHECKSUM_COMPLETE : 0),
    });
    const left =
      ctxOut?.subarray(0, ctxSize) ?? (type === SYSCALL ? input : undefined);
    return {
      returnValue,
      duration,
      data: dataOut?.subarray(0, dataSize) ?? new Uint8Array(0),
      ...(left && { ctx: left }),
    };
  }

  /**
   * What it printed with bpf_stream_printk() since it was asked last (6.17); in 'stderr' are faults
   * that the kernel tells of, too.
   */
  output(stream: 'stdout' | 'stderr' = 'stdout'): string {
    this.ensureOpen();
    const chunks: Uint8Array[] = [];
    for (;;) {
      const chunk = this.native.readOutput(stream === 'stderr' ? 2 : 1);
      if (chunk.length === 0) return Buffer.concat(chunks).toString();
      chunks.push(chunk);
    }
  }

  /**
   * output() as it comes. The kernel wakes nobody for it, so it is looked for each `interval`
   * milliseconds (100). Ends when the program is closed or `signal` says so.
   */
  async *outputs(
    options: {
      stream?: 'stdout' | 'stderr';
      interval?: number;
      signal?: AbortSignal;
    } = {},
  ): AsyncGenerator<string, void> {
    const { stream, interval = 100, signal } = options;
    this.ensureOpen();
    while (!this.closed && !signal?.aborted) {
      const text = this.output(stream);
      if (text !== '') yield text;
      else await sleep(interval, signal);
    }
  }

  /** Give it a path in a BPF file system, which keeps it when it is closed (4.4). */
  pin(path: string): void {
    this.ensureOpen();
    addon().pin(pinnable(this.native.fd, 'program'), path);
  }

  protected override release(): void {
    closeAll([this.native, ...this.#links]);
  }
}

/** What the addon takes. */
function nativeRaw(program: RawProgram): NativeRawProgram {
  const { target, fds, functions, lines, ...rest } = program;
  return {
    ...rest,
    ...(typeof target === 'string' && { targetName: target }),
    ...(typeof target === 'number' && { targetBtfId: target }),
    ...(typeof target === 'object' && {
      targetFd: target.program.fd,
      targetName: target.name,
    }),
    ...(fds?.length && {
      fds: Int32Array.from(fds, (one) =>
        typeof one === 'number' ? one : one.fd,
      ),
    }),
    ...(functions && {
      functions: words(functions.flatMap(({ insn, typeId }) => [insn, typeId])),
    }),
    ...(lines && {
      lines: words(
        lines.flatMap(({ insn, file, text, line, column }) => [
          ...[insn, file, text],
          line * 1024 + column, // 22 bits and 10
        ]),
      ),
    }),
  };
}

/** Also until the signal comes. */
const sleep = async (time: number, signal?: AbortSignal): Promise<void> => {
  try {
    await setTimeout(time, undefined, signal && { signal });
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
};

/** 32-bit numbers in the machine's order. */
const words = (numbers: readonly number[]): Uint8Array =>
  new Uint8Array(Uint32Array.from(numbers).buffer);

/** Strings of the kernel's BTF by their offsets. */
function strings(btfId: number): (offset: number) => string {
  const btf = addon().btfBytes(btfId);
  const view = new DataView(btf.buffer, btf.byteOffset, btf.byteLength);
  // struct btf_header: magic, version, flags, hdr_len, type_off, type_len, str_off, str_len
  const little = view.getUint16(0, true) === 0xeb9f;
  const start = view.getUint32(4, little) + view.getUint32(16, little);
  const decoder = new TextDecoder();
  return (offset) => {
    const end = btf.indexOf(0, start + offset);
    return decoder.decode(btf.subarray(start + offset, end));
  };
}

/** Ids of all programs of the machine, as far as they exist when they are come to. */
export function* programIds(): Generator<number, void> {
  const native = addon();
  for (let id = native.nextProgId(0); id !== undefined;) {
    yield id;
    id = native.nextProgId(id);
  }
}

/** Ids of the kernel's BTF objects: its own, its modules', and those of programs. */
export function* btfIds(): Generator<number, void> {
  const native = addon();
  for (let id = native.nextBtfId(0); id !== undefined;) {
    yield id;
    id = native.nextBtfId(id);
  }
}

/** The kernel counts runs and time of all programs until this is closed. */
export class StatsSwitch extends Handle {
  readonly #fd: number;

  /** @internal */
  constructor(fd: number) {
    super('statistics');
    this.#fd = fd;
  }

  protected override release(): void {
    closeSync(this.#fd);
  }
}

/** Count runs and time of all programs (5.8; needs CAP_SYS_ADMIN): KernelProgram.stats has them. */
export function enableStats(): StatsSwitch {
  return new StatsSwitch(addon().enableStats());
}
