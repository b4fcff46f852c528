/**
 * kernel.ts - objects, programs, maps and links of the running kernel.
 *
 * load() hands libbpf the ELF that asm-core's writer made of the object that asm-core's reader
 * read, never the caller's own bytes: libbpf is not made for ELF from strangers. A KernelObject
 * owns everything that was got through it, links too: closing it detaches. Links may be closed
 * before.
 */
import { readFileSync } from 'node:fs';
import type {
  AttachTarget,
  NativeLink,
  NativeObject,
  NativeProgram,
} from '../addon/addon';
import { addon } from './addon';
import { KernelError } from './errors';
import { closeAll, Handle, unwatch, watch } from './handle';
import { KernelMap } from './kernel_map';
import { BpfObject } from './object';

export interface Availability {
  /** This process can make maps and load programs. */
  available: boolean;
  /** Why not, with the remedy. */
  reason?: string;
  /** 'EPERM' and the like, 'ERR_UNAVAILABLE' without an addon. */
  code?: string;
}

/** Whether this process may use the kernel's BPF; asks it anew each time. */
export function kernelAvailable(): Availability {
  try {
    const probe = addon().probe();
    if (probe.bpf) return { available: true };
    const { reason = 'bpf(2) is refused', code } = probe;
    return { available: false, reason, ...(code !== undefined && { code }) };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { available: false, reason: error.message, code: error.code };
  }
}

export interface Backend {
  name: 'kernel' | 'vm';
  /** Why it is not the kernel. */
  reason?: string;
}

/** Where programs can run here: in the kernel, or only in the VM. */
export function backend(): Backend {
  const { available, reason } = kernelAvailable();
  if (available) return { name: 'kernel' };
  return { name: 'vm', ...(reason !== undefined && { reason }) };
}

/**
 * Mount tracefs where attaching to tracepoints looks for it, unless it is there; needs root. Nothing
 * else in this package mounts anything.
 */
export function mountTracefs(): void {
  addon().mountTracefs();
}

export interface LoadOptions {
  /** Object name, which prefixes its data maps. */
  name?: string;
  /**
   * 0 (default): the verifier's log only after a failure. 1 or 2 (+ 4 for statistics):
   * KernelProgram.log() has it after success too.
   */
  logLevel?: number;
  /** Hand bytes over as they are, for ELF that is trusted. */
  raw?: boolean;
}

export type { AttachTarget };

/**
 * Load an object (or ELF bytes, or the path of an ELF file) into the kernel. Throws
 * BpfSyntaxError for what is no BPF object, KernelError for what the kernel refuses.
 */
export function load(
  source: BpfObject | Uint8Array | string,
  options: LoadOptions = {},
): KernelObject {
  const elf = elfOf(source, options.raw === true);
  const { name, logLevel } = options;
  const native = addon().openObject(elf, name === undefined ? {} : { name });
  try {
    native.load(logLevel === undefined ? {} : { logLevel });
    return new KernelObject(native);
  } catch (error) {
    native.close();
    throw error;
  }
}

function elfOf(
  source: BpfObject | Uint8Array | string,
  raw: boolean,
): Uint8Array {
  if (source instanceof BpfObject) return source.toElf();
  const given = typeof source === 'string' ? readFileSync(source) : source;
  if (raw) return given;
  const filename = typeof source === 'string' ? source : '<bytes>';
  return BpfObject.fromElf(given, { filename }).toElf();
}

/** A loaded object. */
export class KernelObject extends Handle {
  readonly #native: NativeObject;
  readonly #parts: { close(): void }[] = [];
  /** By name, null-prototype. */
  readonly programs: Readonly<Record<string, KernelProgram>>;
  readonly maps: Readonly<Record<string, KernelMap>>;

  /** @internal */
  constructor(native: NativeObject) {
    super('object');
    this.#native = native;
    const programs = dictionary<KernelProgram>();
    native.programs().forEach(({ name }, index) => {
      const program = new KernelProgram(this, native.program(index));
      this.#parts.push(program);
      programs[name] = program;
    });
    const maps = dictionary<KernelMap>();
    native.maps().forEach(({ name }, index) => {
      const map = new KernelMap(name, native.map(index));
      this.#parts.push(map);
      maps[name] = map;
    });
    this.programs = programs;
    this.maps = maps;
  }

  /** Detaches and closes everything got through this object. */
  protected override release(): void {
    closeAll([this.#native, ...this.#parts]);
  }
}

export interface ProgramInfo {
  name: string;
  section: string;
  /** enum bpf_prog_type */
  type: number;
  /** 8-byte slots, before the kernel rewrites them */
  instructionCount: number;
  /** The kernel's id. */
  id: number;
  fd: number;
}

/** A loaded program. */
export class KernelProgram extends Handle {
  /** Keeps the object from being collected (and closed) while this is in use. */
  readonly #object: KernelObject;
  readonly #native: NativeProgram;
  readonly #links = new Set<Link>();
  readonly name: string;

  /** @internal */
  constructor(object: KernelObject, native: NativeProgram) {
    const { name } = native.info();
    super(`program ${name}`);
    this.#object = object;
    this.#native = native;
    this.name = name;
  }

  get object(): KernelObject {
    return this.#object;
  }

  get info(): ProgramInfo {
    this.ensureOpen();
    const { name, section, type, instructionCount, id, fd } =
      this.#native.info();
    return { name, section, type, instructionCount, id, fd };
  }

  /** The verifier's log, if load() was asked for one. */
  log(): string | undefined {
    this.ensureOpen();
    return this.#native.log();
  }

  /** Attach where the section name says, or to `target`. */
  attach(target?: AttachTarget): Link {
    this.ensureOpen();
    const link = new Link(this, this.#native.attach(target), (closed) =>
      this.#links.delete(closed),
    );
    this.#links.add(link);
    return link;
  }

  protected override release(): void {
    closeAll([this.#native, ...this.#links]);
  }
}

export interface LinkInfo {
  id: number;
  /** enum bpf_link_type */
  type: number;
  programId: number;
}

/** An attachment; close() detaches. */
export class Link extends Handle {
  readonly program: KernelProgram;
  readonly #native: NativeLink;
  readonly #closed: (link: Link) => void;

  /** @internal */
  constructor(
    program: KernelProgram,
    native: NativeLink,
    closed: (link: Link) => void,
  ) {
    super(`link of ${program.name}`);
    this.program = program;
    this.#native = native;
    this.#closed = closed;
    watch(this, `the link of program ${program.name}`);
  }

  get fd(): number {
    this.ensureOpen();
    return this.#native.fd;
  }

  /** Throws EOPNOTSUPP where the kernel has no link object for this attachment. */
  info(): LinkInfo {
    this.ensureOpen();
    const { id, type, programId } = this.#native.info();
    return { id, type, programId };
  }

  protected override release(): void {
    unwatch(this);
    this.#closed(this);
    this.#native.close();
  }
}

function dictionary<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>;
}
