/**
 * kernel.ts - objects, programs, maps and links of the running kernel.
 *
 * load() hands libbpf the ELF that asm-core's writer made of the object that asm-core's reader
 * read, never the caller's own bytes: libbpf is not made for ELF from strangers. A KernelObject
 * owns everything that was got through it, links too: closing it detaches. Links may be closed
 * before.
 */
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import type {
  AttachTarget,
  NativeLink,
  NativeMap,
  NativeObject,
  NativeProgram,
} from '../addon/addon';
import { addon } from './addon';
import { bytes } from './codec';
import { KernelError } from './errors';
import { closeAll, Handle, unwatch, watch } from './handle';
import { BpfMap, updateFlags, type MapBackend, type UpdateMode } from './map';
import { BpfObject } from './object';

const littleEndian = endianness() === 'LE';

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

export interface KernelMapInfo {
  name: string;
  /** enum bpf_map_type */
  type: number;
  keySize: number;
  /** As the kernel counts it: of one CPU. */
  valueSize: number;
  maxEntries: number;
  flags: number;
  /** The kernel's id. */
  id: number;
}

/** A map of the kernel, by bytes; `as()` gives it types. */
export class KernelMap extends BpfMap<Uint8Array, Uint8Array> {
  readonly #backend: NativeMapBackend;

  /** @internal */
  constructor(name: string, native: NativeMap) {
    const access = new NativeMapBackend(name, native);
    super(access, bytes(access.keySize), bytes(access.valueSize));
    this.#backend = access;
  }

  get closed(): boolean {
    return this.#backend.closed;
  }

  get fd(): number {
    return this.#backend.native.fd;
  }

  get info(): KernelMapInfo {
    const { name, type, keySize, valueSize, maxEntries, flags, id } =
      this.#backend.native.info();
    return { name, type, keySize, valueSize, maxEntries, flags, id };
  }

  /** No more writes from user space. */
  freeze(): void {
    this.#backend.native.freeze();
  }

  close(): void {
    this.#backend.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Entries asked for at once; a map with less room takes less. */
const BATCH = 256;
/** Kernels and map types without batches. */
const noBatch = new Set(['EINVAL', 'ENOTSUPP', 'EOPNOTSUPP']);
/** The kernel writes a u32 at least into the place where a batch stopped. */
const LEAST_CURSOR = 4;

class NativeMapBackend extends Handle implements MapBackend {
  readonly #native: NativeMap;
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly littleEndian = littleEndian;

  constructor(name: string, native: NativeMap) {
    super(`map ${name}`);
    const info = native.info();
    this.#native = native;
    this.name = name;
    this.type = info.type;
    this.keySize = info.keySize;
    this.valueSize = info.userValueSize;
    this.maxEntries = info.maxEntries;
  }

  /** The open handle; throws ClosedError after close(). */
  get native(): NativeMap {
    this.ensureOpen();
    return this.#native;
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    const value = new Uint8Array(this.valueSize);
    return this.native.lookup(key, value) ? value : undefined;
  }

  update(key: Uint8Array, value: Uint8Array, mode: UpdateMode): void {
    this.native.update(key, value, updateFlags[mode]);
  }

  remove(key: Uint8Array): boolean {
    return this.native.delete(key);
  }

  *scan(): Generator<[Uint8Array, Uint8Array], void> {
    const cursor = new Uint8Array(Math.max(this.keySize, LEAST_CURSOR));
    let room = Math.min(BATCH, Math.max(this.maxEntries, 1));
    let first = true;
    for (;;) {
      const batch = this.#batch(cursor, first, room);
      if (batch === 'none') return yield* this.#scanSingly();
      if (batch === 'grow') {
        room *= 2;
        continue;
      }
      first = false;
      for (let i = 0; i < batch.count; i++) {
        yield [
          slot(batch.keys, i, this.keySize),
          slot(batch.values, i, this.valueSize),
        ];
      }
      if (batch.done) return;
    }
  }

  /** 'grow': one bucket of a hash holds more than `room`; 'none': no batches here. */
  #batch(
    cursor: Uint8Array,
    first: boolean,
    room: number,
  ):
    | 'grow'
    | 'none'
    | { keys: Uint8Array; values: Uint8Array; count: number; done: boolean } {
    const keys = new Uint8Array(room * this.keySize);
    const values = new Uint8Array(room * this.valueSize);
    try {
      const { count, done } = this.native.lookupBatch(
        cursor,
        first,
        keys,
        values,
        room,
      );
      return { keys, values, count, done };
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.code === 'ENOSPC' && room < this.maxEntries) return 'grow';
      if (first && noBatch.has(error.code)) return 'none';
      throw error;
    }
  }

  /** Key by key; bounded, since deleted keys can make the kernel start over. */
  *#scanSingly(): Generator<[Uint8Array, Uint8Array], void> {
    const { native } = this;
    let key = this.#next(native, undefined);
    for (let left = this.maxEntries; key && left > 0; left--) {
      const next = this.#next(this.native, key);
      const value = this.lookup(key);
      if (value) yield [key, value];
      key = next;
    }
  }

  #next(
    native: NativeMap,
    key: Uint8Array | undefined,
  ): Uint8Array | undefined {
    const next = new Uint8Array(this.keySize);
    return native.nextKey(key, next) ? next : undefined;
  }

  protected override release(): void {
    this.#native.close();
  }
}

function slot(all: Uint8Array, index: number, size: number): Uint8Array {
  return all.slice(index * size, (index + 1) * size);
}

function dictionary<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>;
}
