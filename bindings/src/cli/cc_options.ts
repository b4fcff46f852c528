/**
 * cc_options.ts - the command line of `bpf cc`, in the words of asm-core/cli/cc_options.c; a test
 * compares what both print as help.
 */
import { release } from 'node:os';
import { standardOf, type CompileOptions, type Cpu } from '../compile';
import type { IncludeOptions } from '../include';
import type { Endian } from '../object';
import { EXIT_USAGE, Failure, readFile } from './files';

/** What is made of each file. */
export type Mode =
  'object' | 'assembly' | 'text' | 'check' | 'dependencies' | 'ir';

export type Dialect = Pick<
  CompileOptions,
  'unsignedChar' | 'shortEnums' | 'msExtensions' | 'freestanding'
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

const dialect = (name: string, values: Dialect, help: string): Row => ({
  name,
  form: 'word',
  help,
  store: (to) => set(to, { dialect: { ...to.dialect, ...values } }),
});

const ignore = (
  name: string,
  argument: string,
  form: Form,
  help: string,
): Row => ({ name, argument, form, help, store: done });

const table: readonly Row[] = [
  {
    name: '-o',
    argument: 'OUT',
    form: 'either',
    help: 'write to OUT (- is standard output)',
    store: (to, word) => {
      to.out = word;
      return true;
    },
  },
  {
    name: '-c',
    form: 'word',
    help: 'make an object, FILE.o: so it is without -c, too',
    store: done,
  },
  {
    name: '-S',
    form: 'word',
    help: 'make assembly, FILE.s, which `as` takes',
    store: (to) => setMode(to, 'assembly'),
  },
  {
    name: '-E',
    form: 'word',
    help: 'preprocess only, to standard output',
    store: (to) => setMode(to, 'text'),
  },
  {
    name: '-P',
    form: 'word',
    help: 'with -E: without line markers',
    store: (to) => set(to, { lineMarkers: false }),
  },
  {
    name: '-dM',
    form: 'word',
    help: 'with -E: the macros, and nothing else',
    store: (to) => set(to, { macros: true }),
  },
  {
    name: '-dD',
    form: 'word',
    help: 'with -E: definitions of macros, too',
    store: (to) => set(to, { definitions: true }),
  },
  {
    name: '-fsyntax-only',
    form: 'word',
    help: 'check only',
    store: (to) => setMode(to, 'check'),
  },
  {
    name: '-D',
    argument: 'NAME[=VALUE]',
    form: 'either',
    help: 'define a macro, as 1 when there is no value',
    store: define,
  },
  {
    name: '-U',
    argument: 'NAME',
    form: 'either',
    help: "take a macro's definition back",
    store: (to, word) => {
      to.defines += `#undef ${line(word)}\n`;
      return true;
    },
  },
  {
    name: '-include',
    argument: 'FILE',
    form: 'either',
    help: 'read FILE first',
    store: (to, word) => {
      to.includes += `#include "${word}"\n`;
      return true;
    },
  },
  {
    name: '-imacros',
    argument: 'FILE',
    form: 'either',
    help: 'read FILE first, and keep its macros only',
    store: (to, word) => {
      to.macroIncludes += `#__include_macros "${word}"\n`;
      return true;
    },
  },
  {
    name: '-iquote',
    argument: 'DIR',
    form: 'either',
    help: 'look there for #include "..."',
    store: (to, word) => push(to.quote, word),
  },
  {
    name: '-I',
    argument: 'DIR',
    form: 'either',
    help: 'look there for headers; =DIR is behind --sysroot',
    store: (to, word) => push(to.angle, word),
  },
  {
    name: '-isystem',
    argument: 'DIR',
    form: 'either',
    help: "look there, too; not the program's own headers",
    store: (to, word) => push(to.system, word),
  },
  {
    name: '-idirafter',
    argument: 'DIR',
    form: 'either',
    help: 'look there last',
    store: (to, word) => push(to.after, word),
  },
  {
    name: '-iprefix',
    argument: 'PATH',
    form: 'either',
    help: 'what the next two put before their DIR',
    store: (to, word) => set(to, { prefix: word }),
  },
  {
    name: '-iwithprefix',
    argument: 'DIR',
    form: 'either',
    help: 'as -idirafter',
    store: (to, word) => push(to.after, to.prefix + word),
  },
  {
    name: '-iwithprefixbefore',
    argument: 'DIR',
    form: 'either',
    help: 'as -I',
    store: (to, word) => push(to.angle, to.prefix + word),
  },
  {
    name: '--sysroot=',
    argument: 'DIR',
    form: 'glued',
    help: systemRoot,
    store: (to, word) => set(to, { sysroot: word }),
  },
  {
    name: '--sysroot',
    argument: 'DIR',
    form: 'apart',
    help: systemRoot,
    store: (to, word) => set(to, { sysroot: word }),
  },
  {
    name: '-isysroot',
    argument: 'DIR',
    form: 'either',
    help: systemRoot,
    store: (to, word) => set(to, { isysroot: word }),
  },
  {
    name: '--embed-dir=',
    argument: 'DIR',
    form: 'glued',
    help: 'look there for what #embed names',
    store: (to, word) => push(to.embed, word),
  },
  {
    name: '-nostdinc',
    form: 'word',
    help: "neither the headers that come with the compiler nor the system's",
    store: (to) => set(to, { standard: false }),
  },
  {
    name: '-nostdlibinc',
    form: 'word',
    help: "not the system's headers",
    store: (to) => leaveOut(to, 'package'),
  },
  {
    name: '-nobuiltininc',
    form: 'word',
    help: 'not the headers that come with the compiler',
    store: (to) => leaveOut(to, 'system'),
  },
  {
    name: '--btf',
    argument: 'FILE',
    form: 'apart',
    help: 'types for #include "vmlinux.h", the running kernel\'s when not given; again: its modules',
    store: (to, word) => to.btf.push(word) <= BTFS_MOST,
  },
  {
    name: '-mcpu=',
    argument: 'CPU',
    form: 'glued',
    help: 'instruction set v1, v2, v3, v4 or probe, what this kernel has; v3 when not given',
    store: setCpu,
  },
  {
    name: '-O',
    argument: 'LEVEL',
    form: 'glued',
    help: '0, 1, 2, 3, s, z, g or fast; 2 when not given',
    store: setLevel,
  },
  {
    name: '-g',
    argument: 'LEVEL',
    form: 'glued',
    help: '0: no BTF and no line information; else, as without -g, both',
    store: (to, word) => {
      to.debug = word !== '0';
      return true;
    },
  },
  {
    name: '-target',
    argument: 'T',
    form: 'apart',
    help: 'bpf, bpfel or bpfeb',
    store: setTarget,
  },
  {
    name: '--target=',
    argument: 'T',
    form: 'glued',
    help: 'bpf, bpfel or bpfeb',
    store: setTarget,
  },
  {
    name: '-mlittle-endian',
    form: 'word',
    help: 'for little-endian machines, when nothing is said',
    store: (to) => setTarget(to, 'bpfel'),
  },
  {
    name: '-mbig-endian',
    form: 'word',
    help: 'for big-endian machines',
    store: (to) => setTarget(to, 'bpfeb'),
  },
  {
    name: '-std=',
    argument: 'STD',
    form: 'glued',
    help: 'c89 to c23, gnu89 to gnu23; gnu17 when not given',
    store: (to, word) => {
      to.std = word;
      return standardOf(word) !== undefined;
    },
  },
  {
    name: '-ansi',
    form: 'word',
    help: 'as -std=c89',
    store: (to) => set(to, { std: 'c89' }),
  },
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
  {
    name: '-W',
    argument: 'WARNING',
    form: 'glued',
    help: 'switch warnings on, off (no-NAME), into errors (error)',
    store: (to, word) => push(to.warnings, word),
  },
  {
    name: '-w',
    form: 'word',
    help: 'no warnings',
    store: (to) => push(to.warnings, 'none'),
  },
  {
    name: '-x',
    argument: 'LANGUAGE',
    form: 'either',
    help: 'c or cpp-output: all FILEs are C',
    store: (_, word) => ['c', 'cpp-output', 'none'].includes(word),
  },
  {
    name: '-M',
    form: 'word',
    help: 'print what the object depends on, for make, and stop',
    store: (to) => setDependencies(to, false, false),
  },
  {
    name: '-MM',
    form: 'word',
    help: "the same without the system's headers",
    store: (to) => setDependencies(to, true, false),
  },
  {
    name: '-MD',
    form: 'word',
    help: 'compile, and write dependencies to OUT.d',
    store: (to) => setDependencies(to, false, true),
  },
  {
    name: '-MMD',
    form: 'word',
    help: "the same without the system's headers",
    store: (to) => setDependencies(to, true, true),
  },
  {
    name: '-MF',
    argument: 'FILE',
    form: 'either',
    help: 'write dependencies to FILE',
    store: (to, word) => {
      to.dependencyFile = word;
      return true;
    },
  },
  {
    name: '-MT',
    argument: 'TARGET',
    form: 'either',
    help: 'what they call the object',
    store: addTarget,
  },
  {
    name: '-MQ',
    argument: 'TARGET',
    form: 'either',
    help: 'the same, quoted for make',
    store: (to, word) => addTarget(to, quoted(word)),
  },
  {
    name: '-MP',
    form: 'word',
    help: 'a target for each header, too',
    store: (to) => {
      to.phony = true;
      return true;
    },
  },
  {
    name: '-MG',
    form: 'word',
    help: 'with -M, -MM: a header that is missing will be made',
    store: (to) => set(to, { generated: true }),
  },
  {
    name: '-Wp,',
    argument: 'OPTION',
    form: 'glued',
    help: '-MD,FILE, -MMD,FILE or another option',
    store: preprocessor,
  },
  {
    name: '-H',
    form: 'word',
    help: 'print the headers that are read',
    store: (to) => set(to, { showHeaders: true }),
  },
  {
    name: '-v',
    form: 'word',
    help: 'list the folders that are searched',
    store: (to) => {
      to.verbose = true;
      return true;
    },
  },
  {
    name: '-###',
    form: 'word',
    help: 'print what would be done, and stop',
    store: (to) => set(to, { commands: true }),
  },
  {
    name: '-ferror-limit=',
    argument: 'N',
    form: 'glued',
    help: 'tell of N errors at most, of all with 0; 20 when not given',
    store: (to, text) => {
      to.errorLimit = Number(text);
      return /^\d+$/.test(text);
    },
  },
  {
    name: '--json',
    form: 'word',
    help: 'diagnostics as JSON on standard output',
    store: (to) => {
      to.json = true;
      return true;
    },
  },
  {
    name: '-fdump-ir',
    argument: '[=PASS]',
    form: 'glued',
    help: 'print the intermediate representation behind a pass',
    store: (to, word) => {
      to.ir = word.replace(/^=/, '');
      return setMode(to, 'ir');
    },
  },
  {
    name: '-dumpversion',
    form: 'word',
    help: 'print 19.1.7, the clang that it stands for',
    store: (to) => reply(to, '19.1.7\n'),
  },
  {
    name: '-dumpmachine',
    form: 'word',
    help: 'print bpf',
    store: (to) => reply(to, 'bpf\n'),
  },
  {
    name: '-print-file-name=',
    argument: 'NAME',
    form: 'glued',
    help: 'print NAME: there are no libraries',
    store: (to, word) => reply(to, `${word}\n`),
  },
  {
    name: '-print-search-dirs',
    form: 'word',
    help: 'print that there are no such folders',
    store: (to) => reply(to, 'programs: =\nlibraries: =\n'),
  },
  {
    name: '--print-supported-cpus',
    form: 'word',
    help: 'list what -mcpu= takes, as -mcpu=help',
    store: listCpus,
  },
  ignore('-f', 'OPTION', 'glued', 'accepted, and nothing changes'),
  ignore('-mllvm', 'OPTION', 'apart', 'accepted, and nothing changes'),
  ignore('-Xclang', 'OPTION', 'apart', 'accepted, and nothing changes'),
  ignore('-Xlinker', 'OPTION', 'apart', 'accepted: nothing is linked'),
  ignore('-l', 'LIBRARY', 'either', 'accepted: nothing is linked'),
  ignore('-L', 'DIR', 'either', 'accepted: nothing is linked'),
  ignore('-Wl,', 'OPTION', 'glued', 'accepted: nothing is linked'),
  ignore('-Wa,', 'OPTION', 'glued', 'accepted: no assembler is run'),
  {
    name: '-emit-llvm',
    form: 'word',
    help: 'refused: there is no LLVM in here; leave it and llc out, for -c makes what llc makes of it',
    store: () => false,
  },
  {
    name: '-march=',
    argument: 'CPU',
    form: 'glued',
    help: 'refused: --target=bpf says it, -mcpu= the instruction set',
    store: () => false,
  },
  {
    name: '-save-temps',
    form: 'glued',
    help: 'refused: -E makes the .i, -S the .s',
    store: () => false,
  },
  { name: '--version', form: 'word', help: 'print the version', store: done },
  { name: '--help', form: 'word', help: 'print this', store: done },
];

/** Whole words that change nothing. */
const ignored =
  '-pipe -pedantic -pedantic-errors -Qunused-arguments -Qn -Qy -nostdlib -nodefaultlibs ' +
  '-nostartfiles -nolibc -static -shared -pthread -rdynamic -s -m64 -no-canonical-prefixes ' +
  '-no-integrated-cpp -integrated-as -no-integrated-as -trigraphs --driver-mode=gcc';

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

/** How many letters make one word of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (const letter of a) {
    const next = [(row[0] ?? 0) + 1];
    for (let n = 1; n <= b.length; n++) {
      const changed = (row[n - 1] ?? 0) + (letter === b[n - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[n] ?? 0) + 1, (next[n - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The option that `word` was meant to be; `ours`: of those that do something. */
function nearest(word: string, ours: boolean): string | undefined {
  const cut = word.replace(/=.*/s, '=');
  let best = 3;
  let found: string | undefined;
  for (const { name, help } of table) {
    const d = Math.max(cut.length, name.length) > 40 ? 40 : distance(cut, name);
    const fits = !(ours && help.startsWith('accepted'));
    if (d < best && cut.length > 2 * d && fits) {
      best = d;
      found = name;
    }
  }
  return found;
}

/** Takes the option at words[0]; returns how many words it is. */
function takeOption(options: CcOptions, words: readonly string[]): number {
  const [word = '', next] = words;
  if (ignored.split(' ').includes(word)) return 1;
  const row = find(word);
  // clang has hundreds of -f; one that is nearly one of ours is meant to be that.
  const meant =
    !row || row.name === '-f' ? nearest(word, row !== undefined) : undefined;
  if (!row || meant !== undefined) {
    const hint = meant === undefined ? '' : `; did you mean '${meant}'?`;
    throw wrong(`unknown option '${word}'${hint}`);
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
