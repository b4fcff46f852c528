/**
 * cc_options.ts - the command line of `bpf cc`, in the words of asm-core/cli/cc_options.c; a test
 * compares what both print as help.
 */
import { standardOf, type Cpu } from '../compile';
import type { Endian } from '../object';
import { EXIT_USAGE, Failure } from './files';

/** What is made of each file. */
export type Mode =
  'object' | 'assembly' | 'text' | 'check' | 'dependencies' | 'ir';

export interface CcOptions {
  files: string[];
  out?: string;
  mode: Mode;
  /** Lines that are read first, and those of -include behind them. */
  defines: string;
  includes: string;
  warnings: string[];
  quote: string[];
  angle: string[];
  system: string[];
  after: string[];
  standard: boolean;
  btf: string[];
  cpu: Cpu;
  endian: Endian;
  level: 0 | 1 | 2 | 3 | 's' | 'z';
  std: string;
  debug: boolean;
  dependencies: boolean;
  ownOnly: boolean;
  phony: boolean;
  dependencyFile?: string;
  targets: string;
  /** The pass behind which it is shown. */
  ir: string;
  verbose: boolean;
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
const ignored = 'accepted, and nothing changes';

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
  to.endian = target === 'bpfeb' ? 'big' : 'little';
  return ['bpf', 'bpfel', 'bpfeb'].includes(target);
}

function setCpu(to: CcOptions, text: string): boolean {
  const cpu = text === 'generic' ? 'v3' : text;
  if (!/^v[1-4]$/.test(cpu)) return false;
  to.cpu = cpu as Cpu;
  return true;
}

function setLevel(to: CcOptions, text: string): boolean {
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
    help: 'look there for headers',
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
    name: '-nostdinc',
    form: 'word',
    help: "neither the headers that come with the compiler nor the system's",
    store: (to) => {
      to.standard = false;
      return true;
    },
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
    help: 'instruction set v1, v2, v3 or v4; v3 when not given',
    store: setCpu,
  },
  {
    name: '-O',
    argument: 'LEVEL',
    form: 'glued',
    help: '0, 1, 2, 3, s, z or g; 2 when not given',
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
    argument: 'c',
    form: 'either',
    help: 'accepted: all FILEs are C',
    store: (_, word) => word === 'c' || word === 'none',
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
    name: '-Wp,',
    argument: 'OPTION',
    form: 'glued',
    help: '-MD,FILE or -MMD,FILE',
    store: preprocessor,
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
  { name: '-f', argument: 'OPTION', form: 'glued', help: ignored, store: done },
  {
    name: '-mllvm',
    argument: 'OPTION',
    form: 'apart',
    help: ignored,
    store: done,
  },
  {
    name: '-Xclang',
    argument: 'OPTION',
    form: 'apart',
    help: ignored,
    store: done,
  },
  {
    name: '-P',
    form: 'word',
    help: 'accepted: -E prints no line numbers',
    store: done,
  },
  { name: '-pipe', form: 'word', help: ignored, store: done },
  { name: '-Qunused-arguments', form: 'word', help: ignored, store: done },
  { name: '-nostdlib', form: 'word', help: ignored, store: done },
  {
    name: '-emit-llvm',
    form: 'word',
    help: 'refused: there is no LLVM in here; -S gives assembly',
    store: () => false,
  },
  { name: '--version', form: 'word', help: 'print the version', store: done },
  { name: '--help', form: 'word', help: 'print this', store: done },
];

export function ccUsage(): string {
  const rows = table.map(({ name, argument = '', form, help }) => {
    const left = `${name}${argument && form !== 'glued' ? ' ' : ''}${argument}`;
    return `  ${left.padEnd(18)} ${help}\n`;
  });
  return (
    'usage: bpf cc FILE... [OPTION...]\n\n' +
    `compile C into objects; the options are those of C compilers\n\n${rows.join('')}`
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

/** What stands behind `cc`; 'help' or 'version' when that is asked for. */
export function parseCc(
  words: readonly string[],
): CcOptions | 'help' | 'version' {
  const options: CcOptions = {
    files: [],
    mode: 'object',
    defines: '',
    includes: '',
    warnings: [],
    quote: [],
    angle: [],
    system: [],
    after: [],
    standard: true,
    btf: [],
    cpu: 'v3',
    endian: 'little',
    level: 2,
    std: 'gnu17',
    debug: true,
    dependencies: false,
    ownOnly: false,
    phony: false,
    targets: '',
    ir: '',
    verbose: false,
    json: false,
  };
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    if (!word.startsWith('-') || word === '-') {
      if (/\.(o|a|s|S|ll|bc)$/.test(word)) {
        throw wrong(
          `cc takes C; objects, assembly (see \`as\`) and bitcode it does not: '${word}'`,
        );
      }
      options.files.push(word);
      continue;
    }
    const row = find(word);
    if (!row) throw wrong(`unknown option '${word}'`);
    let argument: string | undefined = word.slice(row.name.length);
    if (row.form === 'apart' || (row.form === 'either' && argument === '')) {
      argument = words[++i];
      if (argument === undefined) {
        throw wrong(`an argument is missing behind '${word}'`);
      }
    }
    if (!row.store(options, argument)) throw refused(row, argument);
    if (row.name === '--help') return 'help';
    if (row.name === '--version') return 'version';
  }
  if (options.files.length === 0 && !options.verbose) {
    throw wrong('a FILE is missing');
  }
  if (options.files.length > 1 && options.out !== undefined) {
    throw wrong(`one OUT cannot be made of several FILEs: '${options.out}'`);
  }
  return options;
}

function refused({ name, help }: Row, argument: string): Failure {
  return help.startsWith('refused')
    ? new Failure(`${name} is ${help}`, EXIT_USAGE)
    : new Failure(`${name} does not take '${argument}': ${help}`, EXIT_USAGE);
}
