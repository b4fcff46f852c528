/**
 * compile.ts - C to objects: one unit of asm-core's C compiler, its options, and the conversation
 * about #include.
 */
import { Status, type Context } from '../../wasm/loader';
import { expectOk, report, request } from './engine';
import { CompileError, type Report } from './errors';
import { runningBtf } from './btf';
import { Search, type Btfs, type IncludeOptions } from './include';
import { BpfObject, endianNumber, type Endian } from './object';
import { checkNames, namesOf } from './options';
import { targetsIn, type RelocationTarget } from './relocate';

/** An instruction set, as clang's -mcpu. */
export type Cpu = 'v1' | 'v2' | 'v3' | 'v4';

/** What a macro is defined as: true is 1; false and null take a definition back, as -U. */
export type Define = string | number | bigint | boolean | null;

export interface CompileOptions extends IncludeOptions {
  /** What diagnostics call the text; #include "..." looks beside it. Default '<source>'. */
  filename?: string;
  /** { DEBUG: true, SIZE: 64, 'MAX(a, b)': '((a) > (b) ? (a) : (b))' } */
  defines?: Readonly<Record<string, Define>>;
  /** Headers that are read first, as -include. */
  include?: readonly string[];
  /**
   * Types for #include "vmlinux.h" where no such file is found: a kernel's BTF, and its modules'.
   * In Node the running kernel's when not given; false for none.
   */
  btf?: RelocationTarget | readonly RelocationTarget[] | false;
  /** Default 'v3'. */
  cpu?: Cpu;
  /** Default 'little'. */
  endian?: Endian;
  /** Default 2. */
  optimize?: 0 | 1 | 2 | 3 | 's' | 'z';
  /** BTF and line information; default true. */
  debug?: boolean;
  /** 'gnu17' (the default), 'c23', …, as -std. */
  std?: string;
  /** char is unsigned, as -funsigned-char. */
  unsignedChar?: boolean;
  /** An enum is as small as its values, as -fshort-enums. */
  shortEnums?: boolean;
  /** `struct tag;` is a member without a name, as -fms-extensions; newer kernels' types have it. */
  msExtensions?: boolean;
  /** __STDC_HOSTED__ is 0, as -ffreestanding. */
  freestanding?: boolean;
  /** Signed sums that overflow wrap, as -fwrapv. */
  wrapping?: boolean;
  /** What stands behind -W: ['all', 'no-unused', 'error']; 'none' for no warnings. */
  warnings?: readonly string[];
  /** How many errors are told; 0: all. Default 20. */
  errorLimit?: number;
  /** Bytes that the request may take; EngineError when it needs more. */
  memoryLimit?: number;
}

/** What preprocess() gives; the text alone when nothing is said. */
export interface PreprocessOptions extends CompileOptions {
  /** Line markers (# 1 "file.c"), as -E without -P. */
  lineMarkers?: boolean;
  /** Definitions of macros, too, as -dD. */
  definitions?: boolean;
  /** The macros that are defined at the end and nothing else, as -dM. */
  macros?: boolean;
  /** Comments outside directives and macros, as -C. */
  comments?: boolean;
}

const includeNames =
  'headers includePaths quoteIncludePaths systemIncludePaths afterIncludePaths embedPaths standardHeaders sysroot';
const unitNames =
  'filename defines include btf cpu endian optimize debug std unsignedChar shortEnums msExtensions freestanding wrapping warnings errorLimit memoryLimit';
const compileNames = namesOf<CompileOptions>()(includeNames, unitNames);
const preprocessNames = namesOf<PreprocessOptions>()(
  ...([
    includeNames,
    unitNames,
    'lineMarkers definitions macros comments',
  ] as const),
);

/** What the preprocessor made of a text. */
export interface Preprocessed extends Report {
  /** The text without directives, comments and macros. */
  readonly code: string;
  /** Headers that were read, without those of the package. */
  readonly files: readonly string[];
}

/** What is to be said about a text. */
export interface Checked extends Report {
  /** No error is among the diagnostics. */
  readonly ok: boolean;
  /** Headers that were read, without those of the package. */
  readonly files: readonly string[];
}

const cpus: readonly Cpu[] = ['v1', 'v2', 'v3', 'v4'];
const levels: readonly unknown[] = [0, 1, 2, 3, 's', 'z'];

/** Texts that are longer are not C that anybody wrote; memory would end long before they do. */
const SOURCE_MOST = 64 * 1024 * 1024;

/** As an error_limit. */
const ALL_ERRORS = 0xffffffff;

/** sizeof(ebpf_cc_options) in wasm32 */
const OPTIONS_SIZE = 56;

/** Years of C's standards by their names behind c or gnu, and ISO's. */
const years: Readonly<Record<string, number>> = {
  ...{ 89: 1989, 90: 1989, 99: 1999, '9x': 1999, 11: 2011, '1x': 2011 },
  ...{ 17: 2017, 18: 2017, 23: 2023, '2x': 2023, '2y': 2023 },
  ...{ '9899:1990': 1989, '9899:199409': 1989, '9899:1999': 1999 },
  ...{ '9899:199x': 1999, '9899:2011': 2011, '9899:201x': 2011 },
  ...{ '9899:2017': 2017, '9899:2018': 2017, '9899:2024': 2023 },
};

/** @internal */
export function standardOf(
  name: string,
): { year: number; strict: boolean } | undefined {
  const [, family, key = ''] = /^(c|gnu|iso)(.+)$/.exec(name) ?? [];
  const year = years[key];
  const fits = (family === 'iso') === key.startsWith('9899:');
  return year !== undefined && fits
    ? { year, strict: family !== 'gnu' }
    : undefined;
}

type Mode = 'object' | 'text' | 'check' | 'ir';

/** What only the command says. */
export interface CommandOptions {
  /** The lines that are read first. */
  lines?: string;
  /** The names of `btf`. */
  btfNames?: readonly string[];
  /** The pass behind which the intermediate representation is shown. */
  ir?: string;
  /** Headers that are nowhere will be made, as -MG. */
  generated?: boolean;
  /** List the headers that are entered, as -H. */
  showHeaders?: boolean;
}

/** @internal What came of one unit. */
export interface Outcome {
  status: number;
  code: string;
  object: BpfObject | undefined;
  /** With `showHeaders`. */
  includes: string;
  search: Search;
  report: Report;
}

/**
 * Compile C (text, or its UTF-8 bytes) to an object. Its `diagnostics` are warnings. Throws
 * CompileError with all diagnostics.
 */
export function compile(
  source: string | Uint8Array,
  options: CompileOptions = {},
): BpfObject {
  checkNames('compile()', options, compileNames);
  const { object, ...made } = translate('object', source, options);
  if (!object) throw new CompileError(failed(options), made.report);
  return object;
}

/** The text after preprocessing. Throws CompileError with all diagnostics. */
export function preprocess(
  source: string | Uint8Array,
  options: PreprocessOptions = {},
): Preprocessed {
  checkNames('preprocess()', options, preprocessNames);
  const made = translate('text', source, options);
  if (made.status !== Status.OK) {
    throw new CompileError(failed(options), made.report);
  }
  return { ...made.report, code: made.code, files: made.search.files };
}

/** All errors and warnings that `compile` would tell; wrong C does not throw. */
export function check(
  source: string | Uint8Array,
  options: CompileOptions = {},
): Checked {
  checkNames('check()', options, compileNames);
  const made = translate('object', source, options);
  const ok = made.status === Status.OK;
  return { ...made.report, ok, files: made.search.files };
}

const failed = ({ filename = '<source>' }: CompileOptions): string =>
  `cannot compile ${filename}`;

/** @internal One unit, for the functions above and the command. */
export function translate(
  mode: Mode,
  source: string | Uint8Array,
  options: PreprocessOptions & CommandOptions,
): Outcome {
  const search = new Search(options, (context) => btfs(context, options));
  return request((context) => {
    const unit = open(context, source, options);
    const made = run(context, unit, mode, search, options.ir);
    if (made.status !== Status.INPUT) {
      expectOk(context, made.status, failed(options));
    }
    const includes = options.showHeaders
      ? context.engine.textOut(
          context.span((at) =>
            context.engine.call('ebpf_cc_includes', unit, at),
          ).span,
        )
      : '';
    return { ...made, includes, search, report: report(context) };
  }, options);
}

const btfs = (
  context: Context,
  { btf, btfNames }: CompileOptions & CommandOptions,
): ReturnType<Btfs> => {
  if (btf === false) return undefined;
  if (btf !== undefined) return targetsIn(context, btf, btfNames);
  const kernel = runningBtf();
  return kernel && targetsIn(context, kernel.bytes, [kernel.path]);
};

/** Until no file is missing. */
function run(
  context: Context,
  unit: number,
  mode: Mode,
  search: Search,
  pass = '',
): Pick<Outcome, 'status' | 'code' | 'object'> {
  const { engine } = context;
  const out = context.pointer();
  const behind = context.textIn(`${pass}\0`).at;
  const text = (at: number): number =>
    mode === 'ir'
      ? engine.call('ebpf_cc_ir', unit, behind, at)
      : engine.call('ebpf_cc_preprocess', unit, at);
  for (;;) {
    let status: number;
    let code = '';
    if (mode === 'check') status = engine.call('ebpf_cc_check', unit);
    else if (mode === 'object') {
      status = engine.call('ebpf_cc_compile', unit, out);
    } else {
      const made = context.span(text);
      status = made.status;
      if (status !== Status.NEED_FILE) code = engine.textOut(made.span);
    }
    if (status !== Status.NEED_FILE) {
      const object =
        mode === 'object' && status === Status.OK
          ? BpfObject.take(context, engine.u32(out))
          : undefined;
      return { status, code, object };
    }
    search.answer(context, unit);
  }
}

function open(
  context: Context,
  source: string | Uint8Array,
  options: PreprocessOptions & CommandOptions,
): number {
  const { engine } = context;
  const {
    filename = '<source>',
    endian,
    optimize = 2,
    cpu = 'v3',
    debug = true,
    std = 'gnu17',
    warnings = [],
    errorLimit = 20,
  } = options;
  if (!Number.isSafeInteger(errorLimit) || errorLimit < 0) {
    throw new RangeError(`errorLimit is no count: ${errorLimit}`);
  }
  if (!cpus.includes(cpu)) {
    throw new RangeError(`cpu is one of ${cpus.join(', ')}, not '${cpu}'`);
  }
  if (!levels.includes(optimize)) {
    throw new RangeError(
      `optimize is one of ${levels.join(', ')}, not '${optimize}'`,
    );
  }
  const standard = standardOf(std);
  if (!standard) throw new RangeError(`std is no standard of C: '${std}'`);
  if (source.length > SOURCE_MOST) {
    const size = Math.ceil(source.length / 1e6);
    throw new RangeError(
      `${failed(options)}: its ${size} MB are more than the ${SOURCE_MOST / (1024 * 1024)} MiB that a text may have`,
    );
  }
  const name = context.textIn(filename);
  const text =
    typeof source === 'string'
      ? context.textIn(source)
      : context.copyIn(source);
  const defines = context.textIn(options.lines ?? defineLines(options));
  const said = context.textIn(
    warnings.map((word) => `${oneLine(word, 'warnings')}\n`).join(''),
  );
  const at = context.alloc(OPTIONS_SIZE);
  const { view } = engine;
  [
    cpus.indexOf(cpu) + 1,
    endianNumber(endian),
    optimize === 0 ? 1 : 0,
    optimize === 's' || optimize === 'z' ? 1 : 0,
    debug ? 0 : 1,
    standard.year,
    standard.strict ? 1 : 0,
    defines.at,
    defines.size,
    said.at,
    said.size,
    bits(
      options.lineMarkers,
      options.definitions,
      options.macros,
      options.comments,
    ),
    bits(
      options.unsignedChar,
      options.shortEnums,
      options.msExtensions,
      options.freestanding,
      options.wrapping,
    ),
    errorLimit > 0 && errorLimit < ALL_ERRORS ? errorLimit : ALL_ERRORS,
  ].forEach((word, n) => view.setUint32(at + 4 * n, word, true));
  const out = context.pointer();
  expectOk(
    context,
    engine.call(
      'ebpf_cc_new',
      context.at,
      name.at,
      name.size,
      text.at,
      text.size,
      at,
      out,
    ),
    failed(options),
    CompileError,
  );
  return engine.u32(out);
}

/** Bit n for the n-th one that is true. */
const bits = (...flags: readonly (boolean | undefined)[]): number =>
  flags.reduce((all, flag, n) => all | (flag ? 1 << n : 0), 0);

/** The lines that are read first. */
function defineLines({ defines = {}, include = [] }: CompileOptions): string {
  const lines = Object.entries(defines).map(([name, value]) => {
    if (!/^[A-Za-z_$][\w$]*(\([^()\n]*\))?$/.test(name)) {
      throw new RangeError(`'${name}' is no name of a macro`);
    }
    if (value === false || value === null) return `#undef ${name}\n`;
    const text = value === true ? '1' : String(value);
    return `#define ${name} ${oneLine(text, name)}\n`;
  });
  const files = include.map(
    (file) => `#include "${oneLine(file, 'include')}"\n`,
  );
  return [...lines, ...files].join('');
}

function oneLine(text: string, what: string): string {
  if (/[\n\r]/.test(text)) {
    throw new RangeError(`${what}: the text must stand in one line`);
  }
  return text;
}
