/**
 * kernel.ts - objects, programs, maps and links of the running kernel.
 *
 * load() hands libbpf the ELF that asm-core's writer made of the object that asm-core's reader
 * read, never the caller's own bytes: libbpf is not made for ELF from strangers. A KernelObject
 * owns everything that was got through it, links too: closing it detaches. Links may be closed
 * before.
 */
import { readFileSync } from 'node:fs';
import type { NativeObject, NativeProgramChanges } from '../addon/addon';
import { addon } from './addon';
import { compile } from './compile';
import { KernelError } from './errors';
import { explained } from './explained';
import { closeAll, Handle, orClose } from './handle';
import { Link } from './kernel_link';
import { KernelMap, type MapContents } from './kernel_map';
import { KernelProgram } from './kernel_program';
import { BpfObject } from './object';
import { checkNames, insteadOf, namesOf } from './options';

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
  /** Load these programs and no others. Default: all but those of SEC("?..."). */
  only?: readonly string[];
  /** Changes of programs before they are loaded. */
  programs?: Readonly<Record<string, ProgramChanges>>;
  /** Changes of maps before they are made. */
  maps?: Readonly<Record<string, MapChanges>>;
  /** What variables of .data, .rodata and .bss start with, by their names. */
  globals?: Readonly<Record<string, Uint8Array>>;
  /** Folder of maps that pin themselves by name (LIBBPF_PIN_BY_NAME); default /sys/fs/bpf. */
  pinRoot?: string;
  /** Lines CONFIG_NAME=value for __kconfig variables, before those of the running kernel. */
  kconfig?: string;
  /** CO-RE relocates for this file's BTF instead of the running kernel's. */
  btfPath?: string;
  /** A BPF file system to make a BPF token of (6.9); '' for none. Default: /sys/fs/bpf if it can. */
  tokenPath?: string;
}

export interface ProgramChanges {
  /** enum bpf_prog_type */
  type?: number;
  /** enum bpf_attach_type */
  attachType?: number;
  /** BPF_F_SLEEPABLE and so on. */
  flags?: number;
  /**
   * What fentry, fexit, fmod_ret, tp_btf, lsm, freplace and iter programs are for: a name of the
   * kernel ("vmlinux" or "MODULE:NAME"), or a function of a loaded program.
   */
  target?: string | { program: KernelProgram; name?: string };
  /** Load it (or not). */
  load?: boolean;
  /** Whether KernelObject.attach() attaches it. */
  attach?: boolean;
  /** As of LoadOptions, for this program. */
  logLevel?: number;
}

export interface MapChanges {
  /** enum bpf_map_type */
  type?: number;
  keySize?: number;
  /** Of a data section: its last array grows or shrinks. */
  valueSize?: number;
  maxEntries?: number;
  flags?: number;
  numaNode?: number;
  ifindex?: number;
  extra?: bigint | number;
  /** A map as those inside of this map of maps. */
  inner?: KernelMap;
  /** This map instead of a new one; its type and sizes must be the same. */
  reuse?: KernelMap;
  /** A path in a BPF file system: pinned there, or reused if it is there. False: not. */
  pin?: string | false;
  /** What a .data, .rodata or .bss map starts with. */
  initial?: Uint8Array;
  /** What another map starts with: put there once it is loaded, before load() returns. */
  contents?: MapContents;
  /** Make it (or not). */
  create?: boolean;
  /** Whether KernelObject.attach() attaches this struct_ops. */
  attach?: boolean;
}

const loadNames = namesOf<LoadOptions>()(
  'name logLevel raw only programs maps globals pinRoot kconfig btfPath tokenPath',
);
const programNames = namesOf<ProgramChanges>()(
  'type attachType flags target load attach logLevel',
);
const mapNames = namesOf<MapChanges>()(
  'type keySize valueSize maxEntries flags numaNode ifindex extra inner reuse',
  'pin initial contents create attach',
);

/** Opened, and changed as the options say. */
function opened(
  source: BpfObject | Uint8Array | string,
  options: LoadOptions,
): { native: NativeObject; object: BpfObject | undefined } {
  checkNames('load()', options, loadNames);
  const { bytes, object } = elfOf(source, options.raw === true);
  const { name, pinRoot, kconfig, btfPath, tokenPath } = options;
  const native = addon().openObject(bytes, {
    name,
    pinRoot,
    kconfig,
    btfPath,
    tokenPath,
  });
  try {
    change(native, options, object);
    return { native, object };
  } catch (error) {
    native.close();
    throw error;
  }
}

const nativeOptions = ({ logLevel }: LoadOptions): { logLevel?: number } =>
  logLevel === undefined ? {} : { logLevel };

/**
 * Load an object into the kernel; or ELF bytes, the path of an ELF file, the path of C (FILE.c), or
 * C itself (text of several lines). Throws CompileError for wrong C, BpfSyntaxError for what is no
 * BPF object, KernelError for what the kernel refuses.
 */
export function load(
  source: BpfObject | Uint8Array | string,
  options: LoadOptions = {},
): KernelObject {
  const { native, object } = opened(source, options);
  try {
    native.load(nativeOptions(options));
    return filled(new KernelObject(native), options);
  } catch (error) {
    native.close();
    throw explained(error, object);
  }
}

/** The same off the event loop: the verifier may think about a program for seconds. */
export async function loadAsync(
  source: BpfObject | Uint8Array | string,
  options: LoadOptions = {},
): Promise<KernelObject> {
  const { native, object } = opened(source, options);
  try {
    await native.loadAsync(nativeOptions(options));
    return filled(new KernelObject(native), options);
  } catch (error) {
    native.close();
    throw explained(error, object);
  }
}

/** Puts into maps what the options say that they hold. */
function filled(
  object: KernelObject,
  { maps = {} }: LoadOptions,
): KernelObject {
  try {
    for (const [name, { contents }] of Object.entries(maps)) {
      const map = object.maps[name];
      if (contents === undefined) continue;
      if (map === undefined) throw new TypeError(`map ${name} is not created`);
      map.fill(contents);
    }
    return object;
  } catch (error) {
    object.close();
    throw error;
  }
}

/** An object of the bytes or the file of one, of a file of C, or of C itself. */
function readObject(source: Uint8Array | string): BpfObject {
  if (typeof source !== 'string') {
    return BpfObject.fromElf(source, { filename: '<bytes>' });
  }
  return source.includes('\n')
    ? compile(source)
    : objectOf(readFileSync(source), source);
}

/** An object of a file's bytes, which are C when its name says so. */
export const objectOf = (bytes: Uint8Array, filename: string): BpfObject =>
  filename.endsWith('.c')
    ? compile(bytes, { filename })
    : BpfObject.fromElf(bytes, { filename });

/** What libbpf gets; of `raw` bytes there is no description. */
function elfOf(
  source: BpfObject | Uint8Array | string,
  raw: boolean,
): { bytes: Uint8Array; object?: BpfObject } {
  if (source instanceof BpfObject) {
    return { bytes: source.toElf(), object: source };
  }
  if (typeof source !== 'string' && !ArrayBuffer.isView(source)) {
    throw new TypeError(
      'load() takes a BpfObject, the bytes or the path of one, the path of C (FILE.c), or C itself',
    );
  }
  if (raw && typeof source !== 'string') return { bytes: source };
  if (raw) return { bytes: readFileSync(source as string) };
  const object = readObject(source);
  return { bytes: object.toElf(), object };
}

/** The index of a name; TypeError says which names there are. */
function indexOf(
  list: readonly { name: string }[],
  name: string,
  what: string,
): number {
  const names = list.map((item) => item.name);
  const index = names.indexOf(name);
  if (index >= 0) return index;
  throw new TypeError(
    `the object has no ${what} '${name}'${insteadOf(name, names)}`,
  );
}

/** Everything of the options that is set before the load. */
function change(
  native: NativeObject,
  options: LoadOptions,
  object: BpfObject | undefined,
): void {
  const programs = native.programs();
  const { only } = options;
  if (only !== undefined) {
    for (const name of only) indexOf(programs, name, 'program');
    programs.forEach(({ name }, index) =>
      native.changeProgram(index, { autoload: only.includes(name) }),
    );
  }
  for (const [name, changes] of Object.entries(options.programs ?? {})) {
    const index = indexOf(programs, name, 'program');
    checkNames(`load(): program ${name}`, changes, programNames);
    native.changeProgram(index, programChanges(changes));
  }
  const maps = native.maps();
  for (const [name, changes] of Object.entries(options.maps ?? {})) {
    const index = mapIndex(maps, name);
    checkNames(`load(): map ${name}`, changes, mapNames);
    changeMap(native, index, changes);
  }
  for (const [name, value] of Object.entries(options.globals ?? {})) {
    setGlobal(native, object, name, value);
  }
}

function programChanges(changes: ProgramChanges): NativeProgramChanges {
  const { type, attachType, flags, logLevel, load, attach, target } = changes;
  return {
    type,
    attachType,
    flags,
    logLevel,
    autoload: load,
    autoattach: attach,
    ...(typeof target === 'string' && { targetName: target }),
    ...(typeof target === 'object' && {
      targetFd: target.program.fd,
      targetName: target.name,
    }),
  };
}

/** Data sections are named '.bss', and in full 'NAME.bss'. */
function mapIndex(maps: readonly { name: string }[], name: string): number {
  if (name.startsWith('.')) {
    const index = maps.findIndex((map) => dataSection(map.name) === name);
    if (index >= 0) return index;
  }
  return indexOf(maps, name, 'map');
}

/** '.rodata.str1' of 'bpf.rodata.str1'. */
function dataSection(name: string): string {
  const dot = name.indexOf('.');
  return dot < 0 ? '' : name.slice(dot);
}

function changeMap(
  native: NativeObject,
  index: number,
  changes: MapChanges,
): void {
  const { inner, reuse, pin, initial, contents, create, attach, ...numbers } =
    changes;
  native.changeMap(index, {
    ...numbers,
    innerFd: inner?.fd,
    reuseFd: reuse?.fd,
    pinPath: pin === false ? '' : pin,
    autocreate: create,
    autoattach: attach,
  });
  if (initial !== undefined) native.setInitial(index, 0, initial);
}

function setGlobal(
  native: NativeObject,
  object: BpfObject | undefined,
  name: string,
  value: Uint8Array,
): void {
  const globals = object?.globals ?? [];
  const global = globals[indexOf(globals, name, 'variable')];
  if (global === undefined) return;
  if (value.length !== global.size) {
    throw new RangeError(
      `variable ${name} has ${global.size} bytes, not ${value.length}`,
    );
  }
  const index = native
    .maps()
    .findIndex((map) => dataSection(map.name) === global.section);
  if (index < 0) throw new TypeError(`variable ${name} is in no map`);
  native.setInitial(index, global.offset, value);
}

/** BPF_MAP_TYPE_STRUCT_OPS, BPF_F_LINK */
const STRUCT_OPS = 26;
const F_LINK = 1 << 13;

/** Nothing for a section like SEC("xdp"), which does not say where. */
function attachIfSaid(program: KernelProgram): Link | undefined {
  try {
    return program.attach();
  } catch (error) {
    const silent =
      error instanceof KernelError &&
      error.code === 'EOPNOTSUPP' &&
      error.operation === 'attach';
    if (silent) return undefined;
    throw error;
  }
}

/** A loaded object. */
export class KernelObject extends Handle {
  readonly #native: NativeObject;
  readonly #parts = new Set<{ close(): void }>();
  /** What attach() attaches. */
  readonly #attached: KernelProgram[] = [];
  /** Those that were loaded, by name, null-prototype. */
  readonly programs: Readonly<Record<string, KernelProgram>>;
  readonly maps: Readonly<Record<string, KernelMap>>;

  /** @internal */
  constructor(native: NativeObject) {
    super('object');
    this.#native = native;
    try {
      this.programs = this.#openPrograms();
      this.maps = this.#openMaps();
    } catch (error) {
      closeAll(this.#parts);
      throw error;
    }
  }

  #openPrograms(): Record<string, KernelProgram> {
    const programs = dictionary<KernelProgram>();
    this.#native.programs().forEach(({ name, fd, autoattach }, index) => {
      if (fd < 0) return;
      const program = orClose(
        this.#native.program(index),
        (native) => new KernelProgram(native, this),
      );
      this.#parts.add(program);
      programs[name] = program;
      if (autoattach) this.#attached.push(program);
    });
    return programs;
  }

  #openMaps(): Record<string, KernelMap> {
    const maps = dictionary<KernelMap>();
    this.#native.maps().forEach(({ name, fd }, index) => {
      if (fd < 0) return;
      const map = orClose(
        this.#native.map(index),
        (native) => new KernelMap(name, native),
      );
      this.#parts.add(map);
      maps[name] = map;
    });
    return maps;
  }

  /** programs[name], which must be there: TypeError says what may have been meant. */
  program(name: string): KernelProgram {
    this.ensureOpen();
    const found = this.programs[name];
    if (found !== undefined) return found;
    indexOf(this.#native.programs(), name, 'program');
    throw new TypeError(`program '${name}' was not loaded`);
  }

  /** maps[name], which must be there. A data section is '.bss', in full 'NAME.bss'. */
  map(name: string): KernelMap {
    this.ensureOpen();
    const found = this.maps[name];
    if (found !== undefined) return found;
    const all = this.#native.maps();
    const whole = this.maps[all[mapIndex(all, name)]?.name ?? ''];
    if (whole !== undefined) return whole;
    throw new TypeError(`map '${name}' was not made`);
  }

  /**
   * Attach all programs whose sections say where, and struct_ops maps of SEC(".struct_ops.link").
   * If one of them fails none stays.
   */
  attach(): Link[] {
    this.ensureOpen();
    const links: Link[] = [];
    try {
      for (const program of this.#attached) {
        const link = attachIfSaid(program);
        if (link) links.push(link);
      }
      for (const { name, type, flags } of this.#native.maps()) {
        if (type === STRUCT_OPS && (flags & F_LINK) !== 0) {
          links.push(this.attachStructOps(name));
        }
      }
    } catch (error) {
      closeAll(links);
      throw error;
    }
    return links;
  }

  /** Put a struct_ops map to use (SEC(".struct_ops") 5.6, SEC(".struct_ops.link") 6.4). */
  attachStructOps(name: string): Link {
    this.ensureOpen();
    const index = indexOf(this.#native.maps(), name, 'map');
    const link = new Link(this.#native.attachMap(index), undefined, (closed) =>
      this.#parts.delete(closed),
    );
    this.#parts.add(link);
    return link;
  }

  /** Detaches and closes everything got through this object. */
  protected override release(): void {
    closeAll([this.#native, ...this.#parts]);
  }
}

function dictionary<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>;
}
