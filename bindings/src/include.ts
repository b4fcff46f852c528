/**
 * include.ts - where #include finds its files, as asm-core/cli/cc_files.c has it: "name" beside the
 * including file and in the folders for quotes; then, as <name>, in the folders of the program, of
 * systems, the standard ones, and those that come after. The first standard folder is the packed set
 * of headers that comes with the package, `<headers>`; behind it stand the system's, for what the
 * set does not have. Files that the caller gives go before those on disk, and are all there is where
 * there is no disk.
 */
import { Status, type Context, type Span } from '../../wasm/loader';
import { expectOk } from './engine';
import { EngineError } from './errors';

/** Text of headers by their names ('common.h', 'bpf/mine.h'), or who gives it. */
export type Headers =
  | Readonly<Record<string, string | Uint8Array>>
  | ((name: string) => string | Uint8Array | null | undefined);

export interface IncludeOptions {
  /** Headers that are in no file; they go before those on disk. */
  headers?: Headers;
  /** Folders that headers are looked for in, as -I. */
  includePaths?: readonly string[];
  /** Only for #include "...", as -iquote. */
  quoteIncludePaths?: readonly string[];
  /** Of what is not the program's own, as -isystem. */
  systemIncludePaths?: readonly string[];
  /** Behind all others, as -idirafter. */
  afterIncludePaths?: readonly string[];
  /** Of what #embed names, as --embed-dir. */
  embedPaths?: readonly string[];
  /**
   * False: neither the headers that come with the package (<bpf/...>, <linux/...>, <stddef.h> and
   * its like) nor the system's, as -nostdinc. 'package' and 'system' are the one without the other.
   */
  standardHeaders?: boolean | 'package' | 'system';
  /** Where the system's headers are, as --sysroot. */
  sysroot?: string;
}

/** Who reads files; Node's entry point sets it. */
export interface Disk {
  /** undefined when there is no such file, or it cannot be read. */
  read(path: string): Uint8Array | undefined;
  /** Where the system has headers. */
  standard: readonly string[];
  /** The packed header set. */
  headerSet(): Uint8Array | undefined;
}

const noDisk: Disk = {
  read: () => undefined,
  standard: [],
  headerSet: () => undefined,
};
let disk = noDisk;
let headerSet: Uint8Array | undefined;

export function setDisk(reader: Disk): void {
  disk = reader;
}

/** init() brings the packed header set where there is no disk. */
export function setHeaderSet(bytes: Uint8Array): void {
  headerSet = bytes;
}

/** EBPF_CC_HEADERS */
export const PACKED = '<headers>';

/** enum ebpf_cc_include */
const Kind = { quote: 0, angle: 1, embedQuote: 4 } as const;

/** What a unit asks for (ebpf_cc_file). */
interface Wanted {
  spelling: string;
  from: string;
  kind: number;
}

/** sizeof(ebpf_cc_file) in wasm32 */
const WANTED_SIZE = 20;

/** BTF in the context, as an array of ebpf_core_target. */
export type Btfs = (
  context: Context,
) => { at: number; count: number } | undefined;

export class Search {
  readonly #dirs: readonly string[];
  /** Where the folders for <name> begin, and those of what is not the program's own. */
  readonly #angle: number;
  readonly #system: number;
  readonly #embed: readonly string[];
  readonly #headers: Headers;
  /** Paths that were read, in their order, and whether they are the program's own. */
  readonly #found = new Map<string, boolean>();
  readonly #btf: Btfs;
  #set: Span | undefined;
  #targets: { at: number; count: number } | undefined;
  /** -MG: what is nowhere will be made. */
  readonly #generated: boolean;

  /** `btf` is asked for when there is no vmlinux.h. */
  constructor(
    options: IncludeOptions & { generated?: boolean },
    btf: Btfs = () => undefined,
  ) {
    this.#btf = btf;
    this.#generated = options.generated ?? false;
    const {
      headers = {},
      includePaths = [],
      quoteIncludePaths = [],
      systemIncludePaths = [],
      afterIncludePaths = [],
      standardHeaders = true,
      sysroot,
    } = options;
    const rooted = (dir: string): string =>
      sysroot !== undefined && dir.startsWith('=')
        ? sysroot + dir.slice(1)
        : dir;
    const packed = standardHeaders === true || standardHeaders === 'package';
    const standard = standardHeaders === true || standardHeaders === 'system';
    this.#headers = headers;
    this.#embed = options.embedPaths ?? [];
    this.#angle = quoteIncludePaths.length;
    this.#system = this.#angle + includePaths.length;
    this.#dirs = [
      ...[quoteIncludePaths, includePaths, systemIncludePaths]
        .flat()
        .map(rooted),
      ...(packed ? [PACKED] : []),
      ...(standard ? disk.standard : []).map((dir) => (sysroot ?? '') + dir),
      ...afterIncludePaths.map(rooted),
    ];
  }

  /** The folders for "name" only, and all others. */
  get dirs(): { quote: readonly string[]; angle: readonly string[] } {
    return {
      quote: this.#dirs.slice(0, this.#angle),
      angle: this.#dirs.slice(this.#angle),
    };
  }

  /** The files that were read, without those of the packed set. */
  get files(): string[] {
    return [...this.#found.keys()];
  }

  /** Those among them that are the program's own. */
  get ownFiles(): string[] {
    return this.files.filter((path) => this.#found.get(path));
  }

  /** Answer what the unit asks for. */
  answer(context: Context, unit: number): void {
    const wanted = request(context, unit);
    for (const { path, own } of this.#places(wanted)) {
      if (this.#give(context, unit, path, own)) return;
    }
    const embeds = wanted.kind >= Kind.embedQuote;
    if (!embeds && /(^|\/)vmlinux\.h$/.test(wanted.spelling)) {
      const targets = (this.#targets ??= this.#btf(context));
      if (targets) {
        const { at, count } = targets;
        const { engine } = context;
        expectOk(
          context,
          engine.call('ebpf_cc_answer_btf', unit, at, count),
          'cannot read the BTF that stands for vmlinux.h',
        );
        return;
      }
    }
    if (this.#generated && !embeds) {
      this.#answer(context, unit, wanted.spelling, '', true);
    } else {
      checkOk(context.engine.call('ebpf_cc_absent', unit));
    }
  }

  /** Where the wanted file may be, in order. */
  *#places({
    spelling,
    from,
    kind,
  }: Wanted): Generator<{ path: string; own: boolean }> {
    let first = 0;
    // What the system includes is its own.
    const own = this.#found.get(from) ?? !from.startsWith(`${PACKED}/`);
    const embeds = kind >= Kind.embedQuote;
    if (kind === Kind.quote || kind === Kind.embedQuote) {
      const dir = from.slice(0, from.lastIndexOf('/') + 1);
      yield { path: join(dir, spelling), own };
    } else if (kind === Kind.angle) {
      first = this.#angle;
    } else if (!embeds) {
      first = this.#behind(from);
    }
    if ((kind <= Kind.angle || embeds) && this.#given(spelling) !== undefined) {
      yield { path: spelling, own };
    }
    const dirs = embeds ? this.#embed : this.#dirs;
    for (let n = first; n < dirs.length; n++) {
      const path = join(dirs[n] ?? '', spelling);
      yield { path, own: own && (embeds || n < this.#system) };
    }
  }

  /** The folder behind the one that `from` was found in, for #include_next. */
  #behind(from: string): number {
    let best = 0;
    let length = 0;
    this.#dirs.forEach((dir, n) => {
      if (dir.length >= length && from.startsWith(`${dir}/`)) {
        length = dir.length + 1;
        best = n + 1;
      }
    });
    return best;
  }

  #given(path: string): Uint8Array | string | undefined {
    const name = normal(path);
    if (typeof this.#headers === 'function') {
      return this.#headers(name) ?? undefined;
    }
    return Object.hasOwn(this.#headers, name) ? this.#headers[name] : undefined;
  }

  /** Give the unit the file at `path`, if there is one. */
  #give(context: Context, unit: number, path: string, own: boolean): boolean {
    if (path.startsWith(`${PACKED}/`)) {
      return this.#givePacked(context, unit, path);
    }
    const given = this.#given(path);
    const bytes = given ?? disk.read(path);
    if (bytes === undefined) return false;
    this.#answer(
      context,
      unit,
      given === undefined ? path : normal(path),
      bytes,
      own,
    );
    return true;
  }

  #answer(
    context: Context,
    unit: number,
    file: string,
    bytes: Uint8Array | string,
    own: boolean,
  ): void {
    if (!this.#found.has(file)) this.#found.set(file, own);
    const text =
      typeof bytes === 'string' ? context.textIn(bytes) : context.copyIn(bytes);
    const name = context.textIn(file);
    checkOk(
      context.engine.call(
        'ebpf_cc_answer',
        unit,
        name.at,
        name.size,
        text.at,
        text.size,
        own ? 0 : 1,
      ),
    );
  }

  #givePacked(context: Context, unit: number, path: string): boolean {
    const bytes = (headerSet ??= disk.headerSet());
    if (!bytes) return false;
    const set = (this.#set ??= context.copyIn(bytes));
    const name = context.textIn(path);
    const status = context.engine.call(
      'ebpf_cc_answer_packed',
      unit,
      name.at,
      name.size,
      set.at,
      set.size,
    );
    if (status === Status.NEED_FILE) return false;
    if (status === Status.INPUT) {
      throw new EngineError(
        'the header set is damaged, or of another version than bpf.wasm',
      );
    }
    checkOk(status);
    return true;
  }
}

function request(context: Context, unit: number): Wanted {
  const { engine } = context;
  const at = context.alloc(WANTED_SIZE);
  checkOk(engine.call('ebpf_cc_request', unit, at));
  const word = (n: number): number => engine.u32(at + 4 * n);
  return {
    spelling: engine.textOut({ at: word(0), size: word(1) }),
    from: engine.textOut({ at: word(2), size: word(3) }),
    kind: word(4),
  };
}

function checkOk(status: number): void {
  if (status !== Status.OK) {
    throw new EngineError(`the engine refused a file (status ${status})`);
  }
}

/** As C joins them: nothing is made shorter, since messages show it. */
function join(dir: string, name: string): string {
  if (name.startsWith('/') || dir === '') return name;
  return dir.endsWith('/') ? dir + name : `${dir}/${name}`;
}

/** Without '.' and, where something stands before it, '..'. */
function normal(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}
