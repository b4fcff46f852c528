/**
 * options.ts - verbs and options are tables, the same as in asm-core/cli/main.c and in the same
 * words; a test compares what both commands print as help.
 */
import { dialectNames, type Dialect } from '../asm';
import type { BtfFormat } from '../btf';
import type { Endian } from '../object';
import { DEFAULT_BUDGET } from '../vm';
import { EXIT_USAGE, Failure } from './files';
import { nearest, question } from '../near';

export type VerbName =
  'as' | 'dis' | 'sim' | 'info' | 'strip' | 'core' | 'explain' | 'btf';

export const verbHelp: Record<VerbName, string> = {
  as: 'assemble FILE into an object (FILE.o, or -o OUT)',
  dis: 'disassemble an object; the text assembles again',
  sim: 'run a program in the VM; the last word printed is r0',
  info: 'describe an object as JSON, or as text on a terminal',
  strip: 'take debug information out of an object, in place or to -o OUT',
  core: 'list CO-RE relocations against BTF; -o writes the relocated object',
  explain: "say in plain words why the kernel's verifier log FILE refuses",
  btf: 'show the types of BTF, or of an ELF file that has some',
};

/** It reads its own options: cc_options.ts. */
const ccHelp = 'compile C into objects, with the options of C compilers';

/** The word between verb and FILE, where there is one. */
const actions: Partial<Record<VerbName, string>> = { btf: 'dump' };

export interface Options {
  file: string;
  out?: string;
  dialect: Dialect;
  endian: Endian;
  raw: boolean;
  bytes: boolean;
  numeric: boolean;
  hex: boolean;
  source: boolean;
  objdump: boolean;
  relocs: boolean;
  alu32: boolean;
  labels: boolean;
  noBtf: boolean;
  text: boolean;
  prog: string;
  mem?: string;
  ctx?: string;
  packet?: string;
  type?: string;
  kconfig?: string;
  break?: string;
  trace?: boolean;
  coverage?: boolean;
  budget: bigint;
  format: BtfFormat;
  base?: string;
  root?: string;
  object?: string;
  lines: boolean;
  btf: string[];
  json: boolean;
}

interface Option {
  name: string;
  argument?: string;
  verbs: readonly VerbName[];
  help: string;
  /** False: the argument is not of its kind. */
  store(options: Options, argument: string): boolean;
}

/** Files after --btf, as in bpfc. */
const BTFS_MOST = 512;

const endians: readonly Endian[] = ['little', 'big'];
const formats: readonly BtfFormat[] = ['c', 'raw', 'json'];

const table: readonly Option[] = [
  {
    name: '-o',
    argument: 'OUT',
    verbs: ['as', 'dis', 'info', 'strip', 'btf', 'core', 'explain'],
    help: 'write to OUT (- is standard output)',
    store: (to, word) => set(to, 'out', word),
  },
  {
    name: '--dialect',
    argument: 'D',
    verbs: ['as', 'dis', 'sim', 'info'],
    help: 'llvm (r0 = 1) or ubpf (mov %r0, 1); llvm when not given',
    store: (to, word) => set(to, 'dialect', oneOf(word, dialectNames)),
  },
  {
    name: '--endian',
    argument: 'E',
    verbs: ['as', 'dis', 'sim', 'info'],
    help: 'little or big, for text and bare instructions; little when not given',
    store: (to, word) => set(to, 'endian', oneOf(word, endians)),
  },
  {
    name: '--raw',
    verbs: ['dis', 'sim', 'info'],
    help: 'FILE is bare instructions, not ELF or text',
    store: (to) => set(to, 'raw', true),
  },
  {
    name: '--bytes',
    verbs: ['dis'],
    help: "show each instruction's bytes",
    store: (to) => set(to, 'bytes', true),
  },
  {
    name: '--numeric',
    verbs: ['dis'],
    help: 'jump distances instead of labels',
    store: (to) => set(to, 'numeric', true),
  },
  {
    name: '--hex',
    verbs: ['dis'],
    help: 'numbers in hexadecimal',
    store: (to) => set(to, 'hex', true),
  },
  {
    name: '--source',
    verbs: ['dis'],
    help: 'source lines as comments',
    store: (to) => set(to, 'source', true),
  },
  {
    name: '--objdump',
    verbs: ['dis'],
    help: 'the text of llvm-objdump -d, which does not assemble',
    store: (to) => set(to, 'objdump', true),
  },
  {
    name: '--relocs',
    verbs: ['dis'],
    help: 'with --objdump: relocations, as llvm-objdump -r',
    store: (to) => set(to, 'relocs', true),
  },
  {
    name: '--alu32',
    verbs: ['dis'],
    help: 'with --objdump: as llvm-objdump --mcpu=v3',
    store: (to) => set(to, 'alu32', true),
  },
  {
    name: '--prog',
    argument: 'NAME',
    verbs: ['sim'],
    help: 'the program to run; the first when not given',
    store: (to, word) => set(to, 'prog', word),
  },
  {
    name: '--mem',
    argument: 'HEX|@FILE',
    verbs: ['sim'],
    help: 'memory that r1 points to; r2 is its size',
    store: (to, word) => set(to, 'mem', word),
  },
  {
    name: '--ctx',
    argument: 'HEX|@FILE',
    verbs: ['sim'],
    help: "the program's context: r1 points to it",
    store: (to, word) => set(to, 'ctx', word),
  },
  {
    name: '--packet',
    argument: 'HEX|@FILE',
    verbs: ['sim'],
    help: 'the packet of xdp and socket buffer programs, from the Ethernet header on',
    store: (to, word) => set(to, 'packet', word),
  },
  {
    name: '--type',
    argument: 'T',
    verbs: ['sim'],
    help: "the program's type: a name (xdp) or a section (tc); its section's when not given",
    store: (to, word) => set(to, 'type', word),
  },
  {
    name: '--btf',
    argument: 'FILE',
    verbs: ['sim'],
    help: 'BTF that CO-RE relocations are answered for; again: its modules',
    store: (to, word) => to.btf.push(word) <= BTFS_MOST,
  },
  {
    name: '--kconfig',
    argument: 'FILE',
    verbs: ['sim'],
    help: 'values of kconfig and ksym variables, as lines NAME=VALUE',
    store: (to, word) => set(to, 'kconfig', word),
  },
  {
    name: '--break',
    argument: 'PLACE',
    verbs: ['sim'],
    help: 'show registers whenever it comes to a function, file:line or instruction',
    store: (to, word) => set(to, 'break', word),
  },
  {
    name: '--trace',
    verbs: ['sim'],
    help: 'show the last 1000 instructions and what they changed',
    store: (to) => set(to, 'trace', true),
  },
  {
    name: '--coverage',
    verbs: ['sim'],
    help: 'show how often each source line was run',
    store: (to) => set(to, 'coverage', true),
  },
  {
    name: '--budget',
    argument: 'N',
    verbs: ['sim'],
    help: `stop after N instructions; ${DEFAULT_BUDGET} when not given`,
    store: (to, word) => set(to, 'budget', u64(word)),
  },
  {
    name: '--btf',
    argument: 'FILE',
    verbs: ['core'],
    help: 'BTF to relocate against, /sys/kernel/btf/vmlinux when not given; again: its modules',
    store: (to, word) => to.btf.push(word) <= BTFS_MOST,
  },
  {
    name: '--format',
    argument: 'F',
    verbs: ['btf'],
    help: 'c (a header), raw (a line per type) or json; c when not given',
    store: (to, word) => set(to, 'format', oneOf(word, formats)),
  },
  {
    name: '--base',
    argument: 'FILE',
    verbs: ['btf'],
    help: "the BTF that split BTF, a module's, stands on",
    store: (to, word) => set(to, 'base', word),
  },
  {
    name: '--root',
    argument: 'NAME|ID,...',
    verbs: ['btf'],
    help: 'these types only; in C with what they need',
    store: (to, word) => set(to, 'root', word),
  },
  {
    name: '--object',
    argument: 'FILE',
    verbs: ['explain'],
    help: 'the object that was loaded: its lines of C, also where the log has none',
    store: (to, word) => set(to, 'object', word),
  },
  {
    name: '--prog',
    argument: 'NAME',
    verbs: ['explain'],
    help: 'with --object: which of its programs, where there are several',
    store: (to, word) => set(to, 'prog', word),
  },
  {
    name: '--lines',
    verbs: ['explain'],
    help: 'the log itself as JSON: its lines, registers and stack slots read',
    store: (to) => set(to, 'lines', true),
  },
  {
    name: '--json',
    verbs: ['explain'],
    help: 'the explanation as JSON',
    store: (to) => set(to, 'json', true),
  },
  {
    name: '--labels',
    verbs: ['strip'],
    help: 'also local labels that nothing refers to',
    store: (to) => set(to, 'labels', true),
  },
  {
    name: '--no-btf',
    verbs: ['strip'],
    help: 'also .BTF and .BTF.ext, without which libbpf loads no maps',
    store: (to) => set(to, 'noBtf', true),
  },
  {
    name: '--text',
    verbs: ['info'],
    help: 'text for people, wherever it goes',
    store: (to) => set(to, 'text', true),
  },
  {
    name: '--json',
    verbs: ['as', 'dis', 'sim', 'strip', 'btf'],
    help: 'diagnostics as JSON on standard output',
    store: (to) => set(to, 'json', true),
  },
  {
    name: '--json',
    verbs: ['info'],
    help: 'JSON, also on a terminal',
    store: (to) => set(to, 'json', true),
  },
  {
    name: '--json',
    verbs: ['core'],
    help: 'the list as JSON',
    store: (to) => set(to, 'json', true),
  },
];

function set<K extends keyof Options>(
  options: Options,
  key: K,
  value: Options[K] | undefined,
): boolean {
  if (value === undefined) return false;
  options[key] = value;
  return true;
}

function oneOf<T extends string>(
  word: string,
  words: readonly T[],
): T | undefined {
  return words.find((known) => known === word);
}

/** A number as C writes it: decimal, 0x and octal. */
function u64(word: string): bigint | undefined {
  if (!/^(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.test(word)) return undefined;
  const value = BigInt(/^0[0-7]+$/.test(word) ? `0o${word.slice(1)}` : word);
  return value === BigInt.asUintN(64, value) ? value : undefined;
}

export function usage(version: string): string {
  const verbs = Object.entries({ cc: ccHelp, ...verbHelp })
    .map(([name, help]) => `  ${name.padEnd(7)} ${help}\n`)
    .join('');
  return (
    `bpf ${version} - the BPF toolchain without LLVM\n\n` +
    `usage: bpf VERB FILE [OPTION...]\n\n${verbs}\n` +
    "FILE may be - for standard input. `bpf VERB --help` lists a verb's options.\n"
  );
}

export function verbUsage(verb: VerbName): string {
  const options = table
    .filter((option) => option.verbs.includes(verb))
    .map(({ name, argument = '', help }) => {
      const left = `${name} ${argument}`;
      return `  ${left.padEnd(18)} ${help}\n`;
    })
    .join('');
  const action = actions[verb];
  const words = action === undefined ? verb : `${verb} ${action}`;
  return `usage: bpf ${words} FILE [OPTION...]\n\n${verbHelp[verb]}\n\n${options}`;
}

function wrong(what: string): Failure {
  return new Failure(`${what}\nTry \`bpf --help\`.`, EXIT_USAGE);
}

/** `others`: verbs that are not of this file. */
export function verbOf(word: string, others: readonly string[]): VerbName {
  if (Object.hasOwn(verbHelp, word)) return word as VerbName;
  const verbs = ['cc', ...Object.keys(verbHelp), ...others];
  throw wrong(`unknown verb '${word}'${question(nearest(word, verbs))}`);
}

/** What stands behind the verb; 'help' when that is asked for. */
export function parse(
  verb: VerbName,
  words: readonly string[],
): Options | 'help' {
  const options: Options = {
    file: '',
    dialect: 'llvm',
    endian: 'little',
    raw: false,
    bytes: false,
    numeric: false,
    hex: false,
    source: false,
    objdump: false,
    relocs: false,
    alu32: false,
    labels: false,
    lines: false,
    noBtf: false,
    text: false,
    prog: '',
    budget: BigInt(DEFAULT_BUDGET),
    format: 'c',
    btf: [],
    json: false,
  };
  let action = actions[verb];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    if (word === '--help') return 'help';
    if (!word.startsWith('-') || word === '-') {
      if (action !== undefined) {
        if (word !== action)
          throw wrong(`behind ${verb} stands ${action}, not '${word}'`);
        action = undefined;
        continue;
      }
      if (options.file) throw wrong(`one FILE at a time, not also '${word}'`);
      options.file = word;
      continue;
    }
    const option = table.find((o) => o.name === word && o.verbs.includes(verb));
    if (!option) {
      const own = table.filter(({ verbs }) => verbs.includes(verb));
      const meant = nearest(
        word,
        own.map(({ name }) => name),
      );
      throw wrong(`unknown option '${word}'${question(meant)}`);
    }
    const argument = option.argument === undefined ? '' : words[++i];
    if (argument === undefined) {
      throw wrong(`an argument is missing behind '${word}'`);
    }
    if (!option.store(options, argument)) {
      throw new Failure(
        `${word} does not take '${argument}': ${option.help}`,
        EXIT_USAGE,
      );
    }
  }
  if (action !== undefined) {
    throw wrong(`behind ${verb} stands ${action}; it is missing`);
  }
  if (!options.file) throw wrong('a FILE is missing');
  return options;
}
