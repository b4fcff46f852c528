/**
 * btf.ts - BPF Type Format in JavaScript's hands: look types up, describe them, print them.
 *
 * The bytes stay in wasm memory, in an instance that split BTF shares with its base; a kernel's
 * 120,000 types cost what is asked of them and nothing more. There is no close(): the memory goes
 * with the object. A type is described by a plain object that refers to other types by id, and
 * `resolve` goes through typedefs and qualifiers.
 */
import { Context, type Engine, type Span } from '../../wasm/loader';
import { expectOk, expectSpan, newEngine } from './engine';
import { KernelError, kernelError } from './errors';
import type { BpfObject } from './object';

/** enum btf_kind of the kernel; a kind's number is its place. */
export const btfKinds = [
  'void',
  'int',
  'ptr',
  'array',
  'struct',
  'union',
  'enum',
  'fwd',
  'typedef',
  'volatile',
  'const',
  'restrict',
  'func',
  'func_proto',
  'var',
  'datasec',
  'float',
  'decl_tag',
  'type_tag',
  'enum64',
] as const;

export type BtfKind = (typeof btfKinds)[number];

/** 'c': a header that compiles; 'raw': a line per type; 'json': { types: [...] }, bpftool's keys. */
export type BtfFormat = 'c' | 'raw' | 'json';

const formats: readonly BtfFormat[] = ['c', 'raw', 'json'];

interface Described<K extends BtfKind> {
  /** 0 is void. */
  id: number;
  kind: K;
  /** '' for what has none. */
  name: string;
}

export type BtfVoid = Described<'void'>;

export interface BtfInt extends Described<'int'> {
  /** In bytes. */
  size: number;
  /** How many of its bits count, and from which on. */
  bits: number;
  offset: number;
  encoding: 'none' | 'signed' | 'char' | 'bool';
}

export interface BtfFloat extends Described<'float'> {
  size: number;
}

/** What refers to one type. */
export interface BtfReference extends Described<
  'ptr' | 'typedef' | 'volatile' | 'const' | 'restrict'
> {
  type: number;
}

export interface BtfTypeTag extends Described<'type_tag'> {
  type: number;
  /** `name` is an attribute by itself, such as 'address_space(1)'. */
  attribute: boolean;
}

export interface BtfDeclTag extends Described<'decl_tag'> {
  type: number;
  /** The member or parameter that is meant; -1: the type itself. */
  component: number;
  attribute: boolean;
}

export interface BtfArray extends Described<'array'> {
  /** Of its elements. */
  type: number;
  indexType: number;
  length: number;
}

export interface BtfMember {
  /** '' for a struct or union in place, whose members count as the outer one's. */
  name: string;
  type: number;
  /** In bits from the start. */
  offset: number;
  /** Width of a bit-field; 0: it is none. */
  bits: number;
}

export interface BtfRecord extends Described<'struct' | 'union'> {
  size: number;
  members: BtfMember[];
}

export interface BtfEnum extends Described<'enum' | 'enum64'> {
  size: number;
  signed: boolean;
  values: { name: string; value: bigint }[];
}

export interface BtfForward extends Described<'fwd'> {
  of: 'struct' | 'union';
}

export type BtfLinkage = 'static' | 'global' | 'extern';

export interface BtfFunction extends Described<'func'> {
  /** Its prototype. */
  type: number;
  linkage: BtfLinkage;
}

export interface BtfPrototype extends Described<'func_proto'> {
  returns: number;
  /** A last one of type 0 stands for any number of further arguments. */
  params: { name: string; type: number }[];
}

export interface BtfVariable extends Described<'var'> {
  type: number;
  linkage: BtfLinkage;
}

export interface BtfDataSection extends Described<'datasec'> {
  size: number;
  /** Bytes; `type` is a variable or a function. */
  vars: { type: number; offset: number; size: number }[];
}

export type BtfType =
  | BtfVoid
  | BtfInt
  | BtfFloat
  | BtfReference
  | BtfTypeTag
  | BtfDeclTag
  | BtfArray
  | BtfRecord
  | BtfEnum
  | BtfForward
  | BtfFunction
  | BtfPrototype
  | BtfVariable
  | BtfDataSection;

type OfKind<T extends BtfType, K> = T extends BtfType
  ? Extract<T['kind'], K> extends never
    ? never
    : T
  : never;

/** The descriptions that a type of these kinds may have. */
export type BtfTypeOf<K extends BtfKind> = OfKind<BtfType, K>;

export interface BtfOptions {
  /** What split BTF, such as a kernel module's, stands on. */
  base?: Btf;
  /** What diagnostics call the input. */
  filename?: string;
  /** Bytes that its types and tables may take. */
  memoryLimit?: number;
}

/** Where the running kernel keeps its BTF; Node's entry point brings it. */
export interface KernelBtf {
  read(name: string): { bytes: Uint8Array; path: string };
  modules(): string[];
}

let kernelBtf: KernelBtf | undefined;

export function setKernelBtf(source: KernelBtf): void {
  kernelBtf = source;
}

function askKernel(): KernelBtf {
  if (kernelBtf) return kernelBtf;
  throw kernelError({
    operation: 'kernel BTF',
    errno: 0,
    code: 'ERR_NO_KERNEL',
    reason: 'there is no kernel to ask here: Btf.kernel() is for Node',
    remedy: 'give the bytes to Btf.from()',
  });
}

let running: { bytes: Uint8Array; path: string } | undefined;

/** @internal The running kernel's BTF, read once; undefined where there is none. */
export function runningBtf(): typeof running {
  if (running || !kernelBtf) return running;
  try {
    running = kernelBtf.read('vmlinux');
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
  }
  return running;
}

/** A type as ebpf_btf_dump writes it, with bpftool's keys. */
interface Row {
  id: number;
  kind: string;
  name: string;
  size: number;
  nr_bits: number;
  bits_offset: number;
  encoding: string;
  type_id: number;
  index_type_id: number;
  nr_elems: number;
  ret_type_id: number;
  fwd_kind: 'struct' | 'union';
  linkage: BtfLinkage;
  component_idx: number;
  attribute: boolean;
  members: {
    name: string;
    type_id: number;
    bits_offset: number;
    bitfield_size?: number;
  }[];
  values: { name: string; val: number | string }[];
  params: { name: string; type_id: number }[];
  vars: { type_id: number; offset: number; size: number }[];
}

const nameOf = ({ name }: { name: string }): string =>
  name === '(anon)' ? '' : name;

/** From bpftool's keys to ours. */
function describe(row: Row): BtfType {
  const { id, size, type_id: type, linkage } = row;
  const kind = row.kind.toLowerCase() as BtfKind;
  const name = nameOf(row);
  switch (kind) {
    case 'void':
      return { id, kind, name };
    case 'int': {
      const encodings: Record<string, BtfInt['encoding']> = {
        SIGNED: 'signed',
        CHAR: 'char',
        BOOL: 'bool',
      };
      const encoding = encodings[row.encoding] ?? 'none';
      const { nr_bits: bits, bits_offset: offset } = row;
      return { id, kind, name, size, bits, offset, encoding };
    }
    case 'float':
      return { id, kind, name, size };
    case 'array': {
      const { index_type_id: indexType, nr_elems: length } = row;
      return { id, kind, name, type, indexType, length };
    }
    case 'struct':
    case 'union': {
      const members = row.members.map((m) => ({
        name: nameOf(m),
        type: m.type_id,
        offset: m.bits_offset,
        bits: m.bitfield_size ?? 0,
      }));
      return { id, kind, name, size, members };
    }
    case 'enum':
    case 'enum64': {
      const signed = row.encoding === 'SIGNED';
      const values = row.values.map((v) => ({
        name: v.name,
        value: BigInt(v.val),
      }));
      return { id, kind, name, size, signed, values };
    }
    case 'fwd':
      return { id, kind, name, of: row.fwd_kind };
    case 'func':
    case 'var':
      return { id, kind, name, type, linkage };
    case 'func_proto': {
      const params = row.params.map((p) => ({
        name: nameOf(p),
        type: p.type_id,
      }));
      return { id, kind, name, returns: row.ret_type_id, params };
    }
    case 'datasec': {
      const vars = row.vars.map((v) => ({
        type: v.type_id,
        offset: v.offset,
        size: v.size,
      }));
      return { id, kind, name, size, vars };
    }
    case 'decl_tag': {
      const { component_idx: component, attribute } = row;
      return { id, kind, name, type, component, attribute };
    }
    case 'type_tag':
      return { id, kind, name, type, attribute: row.attribute };
    default:
      return { id, kind, name, type };
  }
}

/** How many types are described in one go when all are walked. */
const BATCH = 256;

const collected = new FinalizationRegistry<Context>((context) =>
  context.free(),
);

export class Btf implements Iterable<BtfType> {
  readonly #engine: Engine;
  readonly #at: number;
  readonly #input: Span;
  /** What diagnostics call it. */
  readonly filename: string;
  /** What it stands on. */
  readonly base: Btf | undefined;
  /** One past the largest type id; ids count from 1, 0 is void. */
  readonly count: number;
  /** Its first own type: 1, or where its base ends. */
  readonly first: number;

  private constructor(
    engine: Engine,
    at: number,
    input: Span,
    filename: string,
    base: Btf | undefined,
  ) {
    this.#engine = engine;
    this.#at = at;
    this.#input = input;
    this.filename = filename;
    this.base = base;
    this.count = engine.call('ebpf_btf_count', at) >>> 0;
    this.first = engine.call('ebpf_btf_first', at) >>> 0;
  }

  /**
   * Read BTF: its bytes, or an ELF file of any machine that has a section .BTF. Throws
   * BpfSyntaxError for anything else and for what is damaged.
   */
  static from(bytes: Uint8Array, options: BtfOptions = {}): Btf {
    const { base, filename = '<bytes>', memoryLimit = 0 } = options;
    const engine = base ? base.#engine : newEngine();
    const context = new Context(engine, memoryLimit);
    try {
      const name = context.textIn(filename);
      const input = context.copyIn(bytes);
      const out = context.pointer();
      const status = engine.call(
        'ebpf_btf_read',
        context.at,
        name.at,
        name.size,
        input.at,
        input.size,
        base ? base.#at : 0,
        out,
      );
      expectOk(context, status, `cannot read the BTF of ${filename}`);
      const btf = new Btf(engine, engine.u32(out), input, filename, base);
      collected.register(btf, context);
      return btf;
    } catch (error) {
      context.free();
      throw error;
    }
  }

  /** The BTF of an object; throws BpfSyntaxError when it has none. */
  static ofObject(object: BpfObject, options: BtfOptions = {}): Btf {
    return Btf.from(object.toElf(), options);
  }

  /**
   * The running kernel's BTF, or that of one of its modules, which stands on the kernel's. In Node
   * on Linux only; a KernelError says what is missing elsewhere.
   */
  static kernel(module?: string, options: { base?: Btf } = {}): Btf {
    const { bytes, path } = askKernel().read(module ?? 'vmlinux');
    if (module === undefined) return Btf.from(bytes, { filename: path });
    const base = options.base ?? Btf.kernel();
    return Btf.from(bytes, { filename: path, base });
  }

  /** Names of the loaded modules that have BTF. */
  static kernelModules(): string[] {
    return askKernel().modules();
  }

  /** The bytes that it was read from; a copy. */
  toBytes(): Uint8Array {
    return this.#engine.copyOut(this.#input);
  }

  /** The type with that id; throws RangeError when there is none. 0 is void. */
  type(id: number): BtfType {
    this.#check(id);
    if (id === 0) return { id, kind: 'void', name: '' };
    const [type] = this.#describe([id]);
    return type as BtfType;
  }

  /**
   * The first type of that name and, when given, of that kind or one of those kinds; undefined when
   * there is none.
   */
  find<K extends BtfKind = BtfKind>(
    name: string,
    kind?: K | readonly K[],
  ): BtfTypeOf<K> | undefined {
    const id = this.#next(name, kindBits(kind), 0);
    return id === 0 ? undefined : (this.type(id) as BtfTypeOf<K>);
  }

  /** All types of that name, in the order of their ids, the base's first. */
  findAll<K extends BtfKind = BtfKind>(
    name: string,
    kind?: K | readonly K[],
  ): BtfTypeOf<K>[] {
    const bits = kindBits(kind);
    const ids: number[] = [];
    for (let id = 0; (id = this.#next(name, bits, id)) !== 0;) ids.push(id);
    return this.#describe(ids) as BtfTypeOf<K>[];
  }

  /** The enum that has an enumerator of this name, and its value. */
  enumerator(name: string): { type: BtfEnum; value: bigint } | undefined {
    const id = this.#scratch((context) => {
      const asked = context.textIn(name);
      const out = context.pointer();
      const status = this.#engine.call(
        'ebpf_btf_find_enumerator',
        this.#at,
        asked.at,
        asked.size,
        out,
      );
      expectOk(context, status, 'cannot look the enumerator up');
      return this.#engine.u32(out);
    });
    if (id === 0) return undefined;
    const type = this.type(id) as BtfEnum;
    const found = type.values.find((v) => v.name === name);
    return found && { type, value: found.value };
  }

  /** What stands below typedefs, qualifiers and type tags. */
  resolve(type: number | BtfType): BtfType {
    let at = typeof type === 'number' ? this.type(type) : type;
    while (
      at.kind === 'typedef' ||
      at.kind === 'const' ||
      at.kind === 'volatile' ||
      at.kind === 'restrict' ||
      at.kind === 'type_tag'
    ) {
      at = this.type(at.type);
    }
    return at;
  }

  /** In bytes; 0 for what has no size: void, functions, forward declarations. */
  sizeOf(type: number | BtfType): number {
    const id = idOf(type);
    this.#check(id);
    return this.#engine.call('ebpf_btf_size', this.#at, id) >>> 0;
  }

  /** Its name as C spells it: 'const struct task_struct *'. */
  spell(type: number | BtfType): string {
    const id = idOf(type);
    this.#check(id);
    return this.#scratch((context) => {
      const span = expectSpan(context, 'cannot spell the type', (out) =>
        this.#engine.call('ebpf_btf_spell', context.at, this.#at, id, out),
      );
      return this.#engine.textOut(span);
    });
  }

  /** Its own types (not those of the base), all or of one kind, in the order of their ids. */
  *types<K extends BtfKind = BtfKind>(kind?: K): Generator<BtfTypeOf<K>> {
    for (let id = this.first; id < this.count; id += BATCH) {
      const length = Math.min(BATCH, this.count - id);
      const ids = Array.from({ length }, (_, i) => id + i);
      for (const type of this.#describe(ids)) {
        if (kind === undefined || type.kind === kind) {
          yield type as BtfTypeOf<K>;
        }
      }
    }
  }

  [Symbol.iterator](): Iterator<BtfType> {
    return this.types();
  }

  /**
   * As text. `roots` are ids or names: those types only, in C with what they need. Without roots C
   * has the base's types, too; lines and JSON have not.
   */
  dump(
    format: BtfFormat = 'c',
    options: { roots?: readonly (number | string)[] } = {},
  ): string {
    const number = formats.indexOf(format);
    if (number < 0) {
      throw new RangeError(
        `format is 'c', 'raw' or 'json', not ${String(format)}`,
      );
    }
    if (options.roots?.length === 0) {
      throw new RangeError('roots is empty: leave it out to have all types');
    }
    return this.#dump(
      number,
      options.roots?.flatMap((root) => this.#idsOf(root)) ?? [],
    );
  }

  #idsOf(root: number | string): number[] {
    if (typeof root === 'number') {
      if (root === 0) throw new RangeError('void has nothing to be printed');
      this.#check(root);
      return [root];
    }
    const ids = this.findAll(root).map(({ id }) => id);
    if (ids.length === 0) throw new RangeError(`there is no type '${root}'`);
    return ids;
  }

  #dump(format: number, roots: readonly number[]): string {
    return this.#scratch((context) => {
      const at = roots.length > 0 ? context.alloc(roots.length * 4) : 0;
      roots.forEach((id, i) =>
        this.#engine.view.setUint32(at + i * 4, id, true),
      );
      const span = expectSpan(context, 'cannot print the types', (out) =>
        this.#engine.call(
          'ebpf_btf_dump',
          context.at,
          this.#at,
          format,
          at,
          roots.length,
          out,
        ),
      );
      return this.#engine.textOut(span);
    });
  }

  #describe(ids: readonly number[]): BtfType[] {
    if (ids.length === 0) return [];
    const json = this.#dump(formats.indexOf('json'), ids);
    return (JSON.parse(json) as { types: Row[] }).types.map(describe);
  }

  #next(name: string, kinds: number, after: number): number {
    return this.#scratch((context) => {
      const asked = context.textIn(name);
      const out = context.pointer();
      const status = this.#engine.call(
        'ebpf_btf_find',
        this.#at,
        kinds,
        asked.at,
        asked.size,
        after,
        out,
      );
      expectOk(context, status, 'cannot look the type up');
      return this.#engine.u32(out);
    });
  }

  #check(id: number): void {
    if (!Number.isInteger(id) || id < 0 || id >= this.count) {
      throw new RangeError(
        `there is no type ${id}: ids are 0 to ${this.count - 1}`,
      );
    }
  }

  /** A context of its own for what a call needs and gives: the BTF's only ever grows. */
  #scratch<T>(run: (context: Context) => T): T {
    const context = new Context(this.#engine);
    try {
      return run(context);
    } finally {
      context.free();
    }
  }
}

const idOf = (type: number | BtfType): number =>
  typeof type === 'number' ? type : type.id;

function kindBits(kind?: BtfKind | readonly BtfKind[]): number {
  if (kind === undefined) return 0xffffffff;
  const kinds = typeof kind === 'string' ? [kind] : kind;
  return kinds.reduce((bits, word) => {
    const number = btfKinds.indexOf(word);
    if (number < 0) throw new RangeError(`there is no kind '${word}' of type`);
    return bits | (1 << number);
  }, 0);
}
