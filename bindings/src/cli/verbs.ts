/**
 * verbs.ts - as, dis, sim, info, strip, explain, btf, core; what asm-core/cli does, through wasm.
 */
import { assemble, disassemble } from '../asm';
import { Btf } from '../btf';
import { BpfSyntaxError, MachineError, type Report } from '../errors';
import { explainAs, isLog, linesOf } from '../log';
import { BpfObject } from '../object';
import { relocateAs } from '../relocate';
import { Machine } from '../vm';
import {
  EXIT_INPUT,
  Failure,
  EXIT_USAGE,
  isTerminal,
  readFile,
  readMemory,
  wantsColour,
  writeAll,
  writeFile,
} from './files';
import type { Options, VerbName } from './options';

/** Each returns the exit status. */
export const verbs: Record<VerbName, (options: Options) => number> = {
  as,
  dis,
  sim,
  info,
  strip,
  explain,
  btf,
  core,
};

/** What diagnostics call the input. */
const nameOf = ({ file }: Options): string => (file === '-' ? '<stdin>' : file);

const isElf = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes.subarray(0, 4)).toString('latin1') === '\x7fELF';

/** Diagnostics for people on stderr, or as JSON on stdout. */
function print(report: Report, { json }: Options): void {
  if (json) writeAll(1, `${JSON.stringify(report.diagnostics)}\n`);
  else writeAll(2, wantsColour() ? report.ansi : report.text);
}

/** Prints the diagnostics of a wrong input; the exit status for it. */
function reported(options: Options, work: () => number): number {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof BpfSyntaxError)) throw error;
    print(error, options);
    return EXIT_INPUT;
  }
}

/** The input as an object: ELF, bare instructions with --raw, assembly otherwise. */
function loadObject(options: Options, bytes: Uint8Array): BpfObject {
  const { raw, dialect, endian } = options;
  const filename = nameOf(options);
  if (raw) return BpfObject.fromRaw(bytes, { filename, endian });
  if (isElf(bytes)) return BpfObject.fromElf(bytes, { filename });
  return assemble(bytes, { filename, dialect, endian });
}

function objectPath(file: string): string {
  return file === '-' ? '-' : `${file.replace(/(?<=[^/])\.[^./]*$/, '')}.o`;
}

function as(options: Options): number {
  const { dialect, endian, out, file } = options;
  const filename = nameOf(options);
  const bytes = readFile(file);
  return reported(options, () => {
    const object = assemble(bytes, { filename, dialect, endian });
    print(object, options);
    writeFile(out ?? objectPath(file), object.toElf());
    return 0;
  });
}

function dis(options: Options): number {
  const { raw } = options;
  const filename = nameOf(options);
  const input = readFile(options.file);
  return reported(options, () => {
    const object = raw
      ? loadObject(options, input)
      : BpfObject.fromElf(input, { filename });
    const { dialect, bytes, numeric, hex, source } = options;
    const { objdump, relocs, alu32 } = options;
    const text = disassemble(object, {
      ...{ filename, dialect, bytes, numeric, hex, source },
      ...{ objdump, relocs, alu32 },
    });
    print(object, options);
    writeFile(options.out ?? '-', text);
    return 0;
  });
}

function info(options: Options): number {
  const { out = '-', text, json } = options;
  const bytes = readFile(options.file);
  // Diagnostics as text always: --json is about the description.
  const said = { ...options, json: false };
  return reported(said, () => {
    const object = loadObject(options, bytes);
    print(object, said);
    const forPeople = text || (!json && out === '-' && isTerminal());
    writeFile(
      out,
      forPeople
        ? object.describe(nameOf(options))
        : `${object.infoText}${out === '-' ? '\n' : ''}`,
    );
    return 0;
  });
}

function strip(options: Options): number {
  const { file, out = file, labels, noBtf } = options;
  const filename = nameOf(options);
  const bytes = readFile(file);
  return reported(options, () => {
    const object = BpfObject.fromElf(bytes, { filename });
    print(object, options);
    writeFile(out, object.strip({ labels, btf: noBtf }).toElf());
    return 0;
  });
}

function explain(options: Options): number {
  const { file, out = '-', object: from, prog: program, json } = options;
  const log = readFile(file);
  return reported(options, () => {
    const object =
      from === undefined
        ? undefined
        : BpfObject.fromElf(readFile(from), { filename: from });
    const coloured = out === '-' && isTerminal() && !process.env['NO_COLOR'];
    const format = json ? 'json' : coloured ? 'ansi' : 'text';
    const end = out === '-' && (json || options.lines) ? '\n' : '';
    try {
      const text = explainAs(format, log, {
        ...(object && { object, program }),
      });
      const known = isLog(log);
      if (!known && !json && !options.lines) {
        throw new Failure(`${nameOf(options)}: ${text.trimEnd()}`, EXIT_INPUT);
      }
      writeFile(out, `${options.lines ? linesOf(log) : text}${end}`);
      return known ? 0 : EXIT_INPUT;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const has = program ? 'no such program' : 'not one program only';
      throw new Failure(
        `${from} has ${has}; name one by --prog (bpf info lists them)`,
        EXIT_INPUT,
      );
    }
  });
}

function btf(options: Options): number {
  const { file, format, base, root } = options;
  const bytes = readFile(file);
  return reported(options, () => {
    const below = base === undefined ? undefined : readBtf(base);
    const types = Btf.from(bytes, { filename: nameOf(options), base: below });
    const roots = root?.split(',').map((word) => {
      const id = /^[0-9]+$/.test(word) ? Number(word) : word;
      const known =
        typeof id === 'string' ? types.find(id) : id > 0 && id < types.count;
      if (known) return id;
      throw new Failure(`${file}: there is no type '${word}'`, EXIT_INPUT);
    });
    writeFile(options.out ?? '-', types.dump(format, { roots }));
    return 0;
  });
}

const readBtf = (path: string): Btf =>
  Btf.from(readFile(path), { filename: path });

function core(options: Options): number {
  const { json, out, file } = options;
  const bytes = readFile(file);
  const names =
    options.btf.length > 0 ? options.btf : ['/sys/kernel/btf/vmlinux'];
  return reported(options, () => {
    const filename = nameOf(options);
    BpfObject.fromElf(bytes, { filename }); // what is wrong with it comes first
    const targets = names.map((name) => readFile(name));
    const format = json ? 'json' : 'text';
    const made = relocateAs(format, bytes, targets, { filename, names });
    if (made.list && out !== '-') {
      writeAll(1, `${made.list}${json ? '\n' : ''}`);
    }
    if (!json || !made.list) print(made.report, options);
    if (made.object && out !== undefined) writeFile(out, made.object.toElf());
    return made.object ? 0 : EXIT_INPUT;
  });
}

/** Entries that --trace keeps. */
const TRACE_ENTRIES = 1000;

function sim(options: Options): number {
  const { mem, ctx, packet, dialect, endian } = options;
  if (mem !== undefined && (ctx !== undefined || packet !== undefined)) {
    const other = ctx !== undefined ? 'ctx' : 'packet';
    throw new Failure(`--mem and --${other} exclude each other`, EXIT_USAGE);
  }
  const bytes = readFile(options.file);
  return reported(options, () => {
    // Text is assembled in the machine itself, so that faults name its lines.
    const isText = !options.raw && !isElf(bytes);
    const filename = nameOf(options);
    const object = isText
      ? { source: bytes, filename, dialect, endian }
      : loadObject(options, bytes);
    const { btf, kconfig, trace, coverage } = options;
    const machine = new Machine(object, {
      ...(btf.length > 0 && { btf: btf.map(readFile) }),
      ...(kconfig !== undefined && {
        externs: new TextDecoder().decode(readFile(kconfig)),
      }),
      coverage: coverage === true,
      trace: trace ? TRACE_ENTRIES : 0,
    });
    return simulate(machine, options);
  });
}

/** What the machine refuses about the command line. */
function refused(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Failure(error.message, EXIT_USAGE);
  }
}

function simulate(machine: Machine, options: Options): number {
  const { prog, mem, ctx, packet, budget, type } = options;
  const program = machine.find(prog);
  if (program === undefined) {
    const names = Object.keys(machine.programs).join(', ');
    throw new Failure(
      `${options.file}: there is no program ${prog || 'in it'}${names && `; it has ${names}`}`,
      EXIT_INPUT,
    );
  }
  refused(() => {
    if (type !== undefined) machine.setType(program, type);
    if (options.break !== undefined) machine.breakpoints.add(options.break);
  });
  const run = machine.start(program, {
    budget,
    ...(mem !== undefined && { mem: readMemory(mem) }),
    ...(ctx !== undefined && { ctx: readMemory(ctx) }),
    ...(packet !== undefined && { packet: readMemory(packet) }),
  });
  try {
    while (!run.continue().done) writeAll(1, machine.show('state'));
    const { r0 } = run.result;
    const result = machine.show('result');
    writeAll(1, `${asked(machine, options)}${result}0x${r0.toString(16)}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof MachineError)) throw error;
    writeAll(1, asked(machine, options));
    if (error.code === 'fault') print(machine.report(), options);
    else throw new Failure(`${options.file}: ${stopText(error)}`, EXIT_INPUT);
    return EXIT_INPUT;
  }
}

/** What the program printed, and what was asked for. */
function asked(machine: Machine, { trace, coverage }: Options): string {
  const traced = trace ? machine.show('trace') : '';
  return machine.printk() + traced + (coverage ? machine.show('coverage') : '');
}

function stopText(error: MachineError): string {
  return error.code === 'budget'
    ? `stopped after ${error.executed} instructions; --budget sets another limit`
    : error.message;
}
