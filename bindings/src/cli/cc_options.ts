/**
 * cc_options.ts - the command line of `bpf cc`, in the words of asm-core/cli/cc_options.c; a test
 * compares what both print as help.
 */
import { release } from 'node:os';
import { standardOf, type CompileOptions, type Cpu } from '../compile';
import type { IncludeOptions } from '../include';
import type { Endian } from '../object';
import { EXIT_USAGE, Failure, readFile } from './files';
import { nearest, question } from '../near';

/** What is made of each file. */
export type Mode =
  'object' | 'assembly' | 'text' | 'check' | 'dependencies' | 'ir';

export type Dialect = Pick<
  CompileOptions,
  'unsignedChar' | 'shortEnums' | 'msExtensions' | 'freestanding' | 'wrapping'
>;

export interface CcOptions {
  /** The command line, without @FILE. */
  said: readonly string[];
  files: string[];
  out?: string;
  mode: Mode;
  /** Lines that are read first, and those of -include behind them. */
  defines: string;
  includes: string;
  macroIncludes: string;
  warnings: string[];
  quote: string[];
  angle: string[];
  system: string[];
  after: string[];
  embed: string[];
  standard: NonNullable<IncludeOptions['standardHeaders']>;
  prefix: string;
  sysroot?: string;
  isysroot?: string;
  btf: string[];
  cpu: Cpu;
  endian: Endian;
  level: 0 | 1 | 2 | 3 | 's' | 'z';
  std: string;
  dialect: Dialect;
  debug: boolean;
  dependencies: boolean;
  ownOnly: boolean;
  phony: boolean;
  generated: boolean;
  dependencyFile?: string;
  targets: string;
  /** The pass behind which it is shown. */
  ir: string;
  lineMarkers: boolean;
  definitions: boolean;
  comments: boolean;
  macros: boolean;
  showHeaders: boolean;
  errorLimit: number;
  verbose: boolean;
  commands: boolean;
  /** What was asked for in place of compiling. */
  answer?: string;
  json: boolean;
}

/**
 * How an option meets its argument: it has none; behind it in the same word, perhaps empty; in the
 * next word; in the same word or the next one.
 */
type Form = 'word' | 'glued' | 'apart' | 'either';

interface Row {
  name: string;
  argument?: string;
  form: Form;
  help: string;
  /** False: the argument is not of its kind. */
  store(options: CcOptions, argument: string): boolean;
}

const done = (): boolean => true;
const systemRoot = "the system's headers are in DIR";

/** Files after --btf, as in bpfc. */
const BTFS_MOST = 512;

const line = (text: string): string => text.replace(/\n[^]*$/, '');

/** NAME, NAME=VALUE or NAME(A,B)=VALUE; the value ends with its line. */
function define(to: CcOptions, text: string): boolean {
  const [, name = '', value = '=1'] = /^([^=]*)(=.*)?$/.exec(line(text)) ?? [];
  to.defines += `#define ${name} ${value.slice(1)}\n`;
  return true;
}

function setMode(to: CcOptions, mode: Mode): boolean {
  to.mode = mode;
  return true;
}

function setTarget(to: CcOptions, text: string): boolean {
  const target = /^[^-]*/.exec(text)?.[0] ?? ''; // bpf-unknown-none is bpf
  to.endian = target === 'bpfeb' || target === 'bpf_be' ? 'big' : 'little';
  return ['bpf', 'bpfel', 'bpf_le', 'bpfeb', 'bpf_be'].includes(target);
}

/** What the running kernel has: v4 came with Linux 6.6, v3 with 5.1, v2 with 4.14. */
function kernelCpu(): Cpu {
  const [, major, minor] =
    process.platform === 'linux' ? (/^(\d+)\.(\d+)/.exec(release()) ?? []) : [];
  if (major === undefined) return 'v3';
  const version = Number(major) * 1000 + Number(minor);
  if (version >= 6006) return 'v4';
  return version >= 5001 ? 'v3' : version >= 4014 ? 'v2' : 'v1';
}

function listCpus(to: CcOptions): boolean {
  const cpus = ['generic', 'probe', 'v1', 'v2', 'v3', 'v4'];
  const rows = cpus.map((cpu) => `\t${cpu}\n`).join('');
  return reply(to, `Available CPUs for this target:\n\n${rows}`);
}

function reply(to: CcOptions, text: string): boolean {
  to.answer = text;
  return true;
}

function setCpu(to: CcOptions, text: string): boolean {
  if (text === 'help') return listCpus(to);
  const cpu = text === 'generic' ? 'v3' : text === 'probe' ? kernelCpu() : text;
  if (!/^v[1-4]$/.test(cpu)) return false;
  to.cpu = cpu as Cpu;
  return true;
}

function setLevel(to: CcOptions, text: string): boolean {
  if (text === 'fast' || (/^\d+$/.test(text) && Number(text) > 3)) {
    to.level = 3;
    return true;
  }
  if (!/^[0123szg]?$/.test(text)) return false;
  const level = { '': 1, g: 2, s: 's', z: 'z' }[text] ?? Number(text);
  to.level = level as CcOptions['level'];
  return true;
}

function setDependencies(
  to: CcOptions,
  ownOnly: boolean,
  compile: boolean,
): boolean {
  to.dependencies = true;
  to.ownOnly = ownOnly;
  if (!compile) to.mode = 'dependencies';
  return true;
}

function preprocessor(to: CcOptions, text: string): boolean {
  const [, option, file] = /^(-MM?D),([^,]*)$/.exec(text) ?? [];
  if (file === undefined && /^-[^,]*$/.test(text) && !text.startsWith('-Wp,')) {
    return takeOption(to, [text]) > 0;
  }
  if (file === undefined) return false;
  to.dependencyFile = file;
  return setDependencies(to, option === '-MMD', true);
}

/** As make reads it. */
export function quoted(path: string): string {
  return path.replace(/\$/g, '$$$$').replace(/[ \t#]/g, '\\$&');
}

function addTarget(to: CcOptions, target: string): boolean {
  to.targets += (to.targets && ' ') + target;
  return true;
}

const push = (to: string[], word: string): boolean => to.push(word) > 0;

function set(to: CcOptions, values: Partial<CcOptions>): boolean {
  Object.assign(to, values);
  return true;
}

/** `rest` are the standard headers that stay when others go. */
function leaveOut(to: CcOptions, rest: 'package' | 'system'): boolean {
  to.standard = to.standard === true || to.standard === rest ? rest : false;
  return true;
}

type Store = Row['store'];

// A row by its form: what it is called, what it does, how it is kept.
const bare = (name: string, help: string, store: Store): Row => ({
  name,
  form: 'word',
  help,
  store,
});
const withArgument =
  (form: Form) =>
  (name: string, argument: string, help: string, store: Store): Row => ({
    name,
    argument,
    form,
    help,
    store,
  });
const glued = withArgument('glued');
const apart = withArgument('apart');
const either = withArgument('either');

const dialect = (name: string, values: Dialect, help: string): Row =>
  bare(name, help, (to) => set(to, { dialect: { ...to.dialect, ...values } }));

const nothing = 'accepted, and nothing changes';
const unlinked = 'accepted: nothing is linked';
const unassembled = 'accepted: no assembler is run';
const noClang = "accepted: there are no files of clang's";
const refuse = (): boolean => false;

const table: readonly Row[] = [
  either('-o', 'OUT', 'write to OUT (- is standard output)', (to, word) =>
    set(to, { out: word }),
  ),
  bare('-c', 'make an object, FILE.o: so it is without -c, too', done),
  bare('-S', 'make assembly, FILE.s, which `as` takes', (to) =>
    setMode(to, 'assembly'),
  ),
  bare('-E', 'preprocess only, to standard output', (to) =>
    setMode(to, 'text'),
  ),
  bare('-P', 'with -E: without line markers', (to) =>
    set(to, { lineMarkers: false }),
  ),
  bare('-dM', 'with -E: the macros, and nothing else', (to) =>
    set(to, { macros: true }),
  ),
  bare('-dD', 'with -E: definitions of macros, too', (to) =>
    set(to, { definitions: true }),
  ),
  bare('-C', 'with -E: comments, too, but those of macros', (to) =>
    set(to, { comments: true }),
  ),
  bare('-CC', 'as -C', (to) => set(to, { comments: true })),
  bare('-fsyntax-only', 'check only', (to) => setMode(to, 'check')),
  either(
    '-D',
    'NAME[=VALUE]',
    'define a macro, as 1 when there is no value',
    define,
  ),
  either('-U', 'NAME', "take a macro's definition back", (to, word) => {
    to.defines += `#undef ${line(word)}\n`;
    return true;
  }),
  either('-include', 'FILE', 'read FILE first', (to, word) => {
    to.includes += `#include "${word}"\n`;
    return true;
  }),
  either(
    '-imacros',
    'FILE',
    'read FILE first, and keep its macros only',
    (to, word) => {
      to.macroIncludes += `#__include_macros "${word}"\n`;
      return true;
    },
  ),
  either('-iquote', 'DIR', 'look there for #include "..."', (to, word) =>
    push(to.quote, word),
  ),
  either(
    '-I',
    'DIR',
    'look there for headers; =DIR is behind --sysroot',
    (to, word) => push(to.angle, word),
  ),
  either(
    '-isystem',
    'DIR',
    "look there, too; not the program's own headers",
    (to, word) => push(to.system, word),
  ),
  either('-idirafter', 'DIR', 'look there last', (to, word) =>
    push(to.after, word),
  ),
  either(
    '-iprefix',
    'PATH',
    'what the next two put before their DIR',
    (to, word) => set(to, { prefix: word }),
  ),
  either('-iwithprefix', 'DIR', 'as -idirafter', (to, word) =>
    push(to.after, to.prefix + word),
  ),
  either('-iwithprefixbefore', 'DIR', 'as -I', (to, word) =>
    push(to.angle, to.prefix + word),
  ),
  glued('--sysroot=', 'DIR', systemRoot, (to, word) =>
    set(to, { sysroot: word }),
  ),
  apart('--sysroot', 'DIR', systemRoot, (to, word) =>
    set(to, { sysroot: word }),
  ),
  either('-isysroot', 'DIR', systemRoot, (to, word) =>
    set(to, { isysroot: word }),
  ),
  glued('--embed-dir=', 'DIR', 'look there for what #embed names', (to, word) =>
    push(to.embed, word),
  ),
  bare(
    '-nostdinc',
    "neither the headers that come with the compiler nor the system's",
    (to) => set(to, { standard: false }),
  ),
  bare('-nostdlibinc', "not the system's headers", (to) =>
    leaveOut(to, 'package'),
  ),
  bare('-nobuiltininc', 'not the headers that come with the compiler', (to) =>
    leaveOut(to, 'system'),
  ),
  apart(
    '--btf',
    'FILE',
    'types for #include "vmlinux.h", the running kernel\'s when not given; again: its modules',
    (to, word) => to.btf.push(word) <= BTFS_MOST,
  ),
  glued(
    '-mcpu=',
    'CPU',
    'instruction set v1, v2, v3, v4 or probe, what this kernel has; v3 when not given',
    setCpu,
  ),
  glued(
    '-O',
    'LEVEL',
    '0, 1, 2, 3, s, z, g or fast; 2 when not given',
    setLevel,
  ),
  glued(
    '-g',
    'LEVEL',
    '0: no BTF and no line information; else, as without -g, both',
    (to, word) => set(to, { debug: word !== '0' }),
  ),
  apart('-target', 'T', 'bpf, bpfel or bpfeb', setTarget),
  glued('--target=', 'T', 'bpf, bpfel or bpfeb', setTarget),
  bare(
    '-mlittle-endian',
    'for little-endian machines, when nothing is said',
    (to) => setTarget(to, 'bpfel'),
  ),
  bare('-mbig-endian', 'for big-endian machines', (to) =>
    setTarget(to, 'bpfeb'),
  ),
  glued(
    '-std=',
    'STD',
    'c89 to c23, gnu89 to gnu23; gnu17 when not given',
    (to, word) => {
      to.std = word;
      return standardOf(word) !== undefined;
    },
  ),
  bare('-ansi', 'as -std=c89', (to) => set(to, { std: 'c89' })),
  dialect('-funsigned-char', { unsignedChar: true }, 'char is unsigned'),
  dialect('-fno-signed-char', { unsignedChar: true }, 'char is unsigned'),
  dialect('-fsigned-char', { unsignedChar: false }, 'char is signed, as it is'),
  dialect(
    '-fno-unsigned-char',
    { unsignedChar: false },
    'char is signed, as it is',
  ),
  dialect(
    '-fshort-enums',
    { shortEnums: true },
    'an enum is as small as its values',
  ),
  dialect(
    '-fno-short-enums',
    { shortEnums: false },
    'an enum is an int at least, as it is',
  ),
  dialect(
    '-fms-extensions',
    { msExtensions: true },
    'struct tag; as a member without a name',
  ),
  dialect(
    '-fno-ms-extensions',
    { msExtensions: false },
    'that is no member, as it is',
  ),
  dialect('-ffreestanding', { freestanding: true }, '__STDC_HOSTED__ is 0'),
  dialect('-fhosted', { freestanding: false }, 'it is 1, as it is'),
  dialect('-fwrapv', { wrapping: true }, 'signed sums that overflow wrap'),
  dialect('-fno-strict-overflow', { wrapping: true }, 'as -fwrapv'),
  dialect('-fno-wrapv', { wrapping: false }, 'they are undefined, as it is'),
  dialect('-fstrict-overflow', { wrapping: false }, 'as -fno-wrapv'),
  glued(
    '-W',
    'WARNING',
    'switch warnings on, off (no-NAME), into errors (error)',
    (to, word) => push(to.warnings, word),
  ),
  bare('-pedantic', 'tell what is no ISO C, as -Wpedantic', (to) =>
    push(to.warnings, 'pedantic'),
  ),
  bare('-pedantic-errors', 'as -Werror=pedantic', (to) =>
    push(to.warnings, 'error=pedantic'),
  ),
  bare('-w', 'no warnings', (to) => push(to.warnings, 'none')),
  either('-x', 'LANGUAGE', 'c or cpp-output: all FILEs are C', (_, word) =>
    ['c', 'cpp-output', 'none'].includes(word),
  ),
  bare('-M', 'print what the object depends on, for make, and stop', (to) =>
    setDependencies(to, false, false),
  ),
  bare('-MM', "the same without the system's headers", (to) =>
    setDependencies(to, true, false),
  ),
  bare('-MD', 'compile, and write dependencies to OUT.d', (to) =>
    setDependencies(to, false, true),
  ),
  bare('-MMD', "the same without the system's headers", (to) =>
    setDependencies(to, true, true),
  ),
  either('-MF', 'FILE', 'write dependencies to FILE', (to, word) =>
    set(to, { dependencyFile: word }),
  ),
  either('-MT', 'TARGET', 'what they call the object', addTarget),
  either('-MQ', 'TARGET', 'the same, quoted for make', (to, word) =>
    addTarget(to, quoted(word)),
  ),
  bare('-MP', 'a target for each header, too', (to) =>
    set(to, { phony: true }),
  ),
  bare('-MG', 'with -M, -MM: a header that is missing will be made', (to) =>
    set(to, { generated: true }),
  ),
  glued(
    '-Wp,',
    'OPTION',
    '-MD,FILE, -MMD,FILE or another option',
    preprocessor,
  ),
  apart('-Xpreprocessor', 'OPTION', 'the same', preprocessor),
  bare('-H', 'print the headers that are read', (to) =>
    set(to, { showHeaders: true }),
  ),
  bare('-v', 'list the folders that are searched', (to) =>
    set(to, { verbose: true }),
  ),
  bare('-###', 'print what would be done, and stop', (to) =>
    set(to, { commands: true }),
  ),
  glued(
    '-ferror-limit=',
    'N',
    'tell of N errors at most, of all with 0; 20 when not given',
    (to, text) => {
      to.errorLimit = Number(text);
      return /^\d+$/.test(text);
    },
  ),
  bare('--json', 'diagnostics as JSON on standard output', (to) =>
    set(to, { json: true }),
  ),
  glued(
    '-fdump-ir',
    '[=PASS]',
    'print the intermediate representation behind a pass',
    (to, word) => {
      to.ir = word.replace(/^=/, '');
      return setMode(to, 'ir');
    },
  ),
  bare('-dumpversion', 'print 19.1.7, the clang that it stands for', (to) =>
    reply(to, '19.1.7\n'),
  ),
  bare('-dumpmachine', 'print bpf', (to) => reply(to, 'bpf\n')),
  glued(
    '-print-file-name=',
    'NAME',
    'print NAME: there are no libraries',
    (to, word) => reply(to, `${word}\n`),
  ),
  bare('-print-search-dirs', 'print that there are no such folders', (to) =>
    reply(to, 'programs: =\nlibraries: =\n'),
  ),
  bare(
    '--print-supported-cpus',
    'list what -mcpu= takes, as -mcpu=help',
    listCpus,
  ),
  glued('-f', 'OPTION', nothing, done),
  apart('-mllvm', 'OPTION', nothing, done),
  glued('-mllvm=', 'OPTION', nothing, done),
  glued('-mtune=', 'CPU', nothing, done),
  apart('-Xclang', 'OPTION', nothing, done),
  apart('--param', 'NAME=N', nothing, done),
  apart('-resource-dir', 'DIR', noClang, done),
  glued('-resource-dir=', 'DIR', noClang, done),
  glued(
    '--gcc-toolchain=',
    'DIR',
    "accepted: there are no files of gcc's",
    done,
  ),
  either('-B', 'DIR', 'accepted: no other program is run', done),
  apart('-Xassembler', 'OPTION', unassembled, done),
  apart('-Xlinker', 'OPTION', unlinked, done),
  either('-l', 'LIBRARY', unlinked, done),
  either('-L', 'DIR', unlinked, done),
  glued('-Wl,', 'OPTION', unlinked, done),
  glued('-Wa,', 'OPTION', unassembled, done),
  bare(
    '-emit-llvm',
    'refused: there is no LLVM in here; leave it and llc out, for -c makes what llc makes of it',
    refuse,
  ),
  glued(
    '-fsanitize=',
    'CHECKS',
    "refused: in BPF it is the kernel's verifier that checks accesses",
    refuse,
  ),
  glued(
    '-march=',
    'CPU',
    'refused: --target=bpf says it, -mcpu= the instruction set',
    refuse,
  ),
  glued('-save-temps', '', 'refused: -E makes the .i, -S the .s', refuse),
  bare('--version', 'print the version', done),
  bare('--help', 'print this', done),
];

/** Whole words that change nothing. */
const ignored =
  '-pipe -Qunused-arguments -Qn -Qy -nostdlib -nodefaultlibs -nostartfiles -nolibc -static ' +
  '-static-libgcc -shared -no-pie -pthread -rdynamic -s -m64 -mkernel -mno-red-zone -msoft-float ' +
  '-no-canonical-prefixes -no-integrated-cpp -integrated-as -no-integrated-as -trigraphs ' +
  '--driver-mode=gcc';

export function ccUsage(): string {
  const rows = table.map(({ name, argument = '', form, help }) => {
    const left = `${name}${argument && form !== 'glued' ? ' ' : ''}${argument}`;
    return `  ${left.padEnd(18)} ${help}\n`;
  });
  return (
    'usage: bpf cc FILE... [OPTION...]\n\n' +
    `compile C into objects; the options are those of C compilers\n\n${rows.join('')}\n` +
    `@FILE stands for the words in FILE. Accepted, and nothing changes:\n${ignored}\n`
  );
}

function wrong(what: string): Failure {
  return new Failure(`${what}\nTry \`bpf cc --help\`.`, EXIT_USAGE);
}

/** The row with the longest name that `word` begins with, or is. */
function find(word: string): Row | undefined {
  const fits = ({ name, form }: Row): boolean =>
    form === 'word' || form === 'apart' ? word === name : word.startsWith(name);
  return table
    .filter(fits)
    .sort((a, b) => b.name.length - a.name.length)
    .at(0);
}

/** The option that `word` was meant to be; `ours`: of those that do something. */
const meantBy = (word: string, ours: boolean): string | undefined =>
  nearest(
    word.replace(/=.*/s, '='),
    table
      .filter(({ help }) => !(ours && help.startsWith('accepted')))
      .map(({ name }) => name),
  );

/** Takes the option at words[0]; returns how many words it is. */
function takeOption(options: CcOptions, words: readonly string[]): number {
  const [word = '', next] = words;
  if (ignored.split(' ').includes(word)) return 1;
  const row = find(word);
  // clang has hundreds of -f; one that is nearly one of ours is meant to be that.
  const meant =
    !row || row.name === '-f' ? meantBy(word, row !== undefined) : undefined;
  if (!row || meant !== undefined) {
    throw wrong(`unknown option '${word}'${question(meant)}`);
  }
  const glued = word.slice(row.name.length);
  const apart = row.form === 'apart' || (row.form === 'either' && glued === '');
  if (apart && next === undefined) {
    throw wrong(`an argument is missing behind '${word}'`);
  }
  const argument = apart ? (next ?? '') : glued;
  if (!row.store(options, argument)) throw refused(row, argument);
  return apart ? 2 : 1;
}

const FILES_DEEP = 20;

/** The words of a response file: quotes hold them together, a backslash stands before what is meant as it is. */
function wordsIn(text: string): string[] {
  const words =
    text.match(
      /(?:\\[^]|'[^']*(?:'|$)|"(?:\\[^]|[^"\\])*(?:"|$)|[^\s\\'"]|\\$)+/g,
    ) ?? [];
  return words.map((word) =>
    word.replace(
      /\\([^])|'([^']*)(?:'|$)|"((?:\\[^]|[^"\\])*)(?:"|$)/g,
      (_, escaped?: string, single?: string, double?: string) =>
        escaped ?? single ?? (double ?? '').replace(/\\([^])/g, '$1'),
    ),
  );
}

/** The words of the command line, with those in @FILE. */
function spread(words: readonly string[], depth = 0): string[] {
  return words.flatMap((word) => {
    if (!/^@./s.test(word)) return [word];
    if (depth === FILES_DEEP) {
      throw wrong(`files of options name each other: '${word}'`);
    }
    const text = new TextDecoder().decode(readFile(word.slice(1)));
    return spread(wordsIn(text), depth + 1);
  });
}

/** What stands behind `cc`; 'help', 'version' or another answer when that is asked for. */
export function parseCc(
  words: readonly string[],
): CcOptions | 'help' | 'version' {
  const said = spread(words);
  const options: CcOptions = {
    said,
    files: [],
    mode: 'object',
    defines: '',
    includes: '',
    macroIncludes: '',
    warnings: [],
    quote: [],
    angle: [],
    system: [],
    after: [],
    embed: [],
    standard: true,
    prefix: '',
    btf: [],
    cpu: 'v3',
    endian: 'little',
    level: 2,
    std: 'gnu17',
    dialect: {},
    debug: true,
    dependencies: false,
    ownOnly: false,
    phony: false,
    generated: false,
    targets: '',
    ir: '',
    lineMarkers: true,
    definitions: false,
    comments: false,
    macros: false,
    showHeaders: false,
    verbose: false,
    commands: false,
    errorLimit: 20,
    json: false,
  };
  for (let i = 0; i < said.length;) {
    const word = said[i] ?? '';
    if (!word.startsWith('-') || word === '-') {
      if (/\.(o|a|s|S|ll|bc)$/.test(word)) {
        throw wrong(
          `cc takes C; objects, assembly (see \`as\`) and bitcode it does not: '${word}'`,
        );
      }
      options.files.push(word);
      i++;
      continue;
    }
    i += takeOption(options, said.slice(i, i + 2));
    if (word === '--help') return 'help';
    if (word === '--version') return 'version';
    if (options.answer !== undefined) return options;
  }
  options.sysroot = options.isysroot ?? options.sysroot;
  if (options.files.length === 0 && !options.verbose && !options.commands) {
    throw wrong('a FILE is missing');
  }
  if (options.files.length > 1 && options.out !== undefined) {
    throw wrong(`one OUT cannot be made of several FILEs: '${options.out}'`);
  }
  if (options.generated && options.mode !== 'dependencies') {
    throw wrong('-MG stands beside -M or -MM');
  }
  return options;
}

function refused({ name, help }: Row, argument: string): Failure {
  return help.startsWith('refused')
    ? new Failure(`${name} is ${help}`, EXIT_USAGE)
    : new Failure(`${name} does not take '${argument}': ${help}`, EXIT_USAGE);
}
