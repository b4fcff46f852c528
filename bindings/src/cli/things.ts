/**
 * things.ts - `bpf prog`, `bpf map`, `bpf link`: what is in the running kernel, whoever put it there, by
 * the kernel's id or the path that it is pinned at; and `bpf check`, which loads an object, tells what the
 * verifier says to each of its programs, and lets it go.
 */
import type { FeatureKind } from '../../addon/addon';
import { addon } from '../addon';
import { disassemble } from '../asm';
import { BpfSyntaxError, CompileError, KernelError } from '../errors';
import { load, objectOf } from '../kernel';
import { Link, linkIds } from '../kernel_link';
import { KernelMap, mapIds } from '../kernel_map';
import { KernelProgram, programIds } from '../kernel_program';
import { BpfObject } from '../object';
import {
  EXIT_INPUT,
  EXIT_USAGE,
  Failure,
  isTerminal,
  readFile,
  takeJson,
  writeAll,
} from './files';

/** What bpf has beyond bpfc, for its help. */
export const thingsHelp: Record<string, string> = {
  check:
    'load FILE.o or FILE.c, say what the verifier says to each program, and let it go',
  prog: 'programs of the kernel: [list | show P | dump P [xlated|jited]]',
  map: 'maps of the kernel: [list | show M | dump M]',
  link: 'attachments: [list | show L]',
};

type Row = Record<string, unknown>;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const nameOf = (kind: FeatureKind, number: number): string =>
  addon().numberName({ kind, number }) ?? `type ${number}`;

const programRow = (program: KernelProgram): Row => {
  const { id, type, name, tag, mapIds: maps, ...more } = program.details();
  return {
    ...{ id, type: nameOf('programType', type), name, tag, maps },
    ...{ uid: more.uid, gplCompatible: more.gplCompatible },
    ...{ xlated: more.xlated.length, jited: more.jited.length },
    btfId: more.btfId,
  };
};

const mapRow = (map: KernelMap): Row => {
  const { id, type, name, ...rest } = map.info;
  return { id, type: nameOf('mapType', type), name, ...rest };
};

const linkRow = (link: Link): Row => {
  const { id, typeName, ...rest } = link.info();
  return { id, ...rest, type: typeName };
};

/** JSON has no bigint; numbers as they are. */
function json(value: unknown): string {
  const text = JSON.stringify(
    value,
    (_, one: unknown) => (typeof one === 'bigint' ? Number(one) : one),
    2,
  );
  return `${text}\n`;
}

const worth = (value: unknown): boolean =>
  value !== undefined && value !== '' && value !== 0 && value !== 0n;

function line(row: Row): string {
  const pairs = Object.entries(row).filter(([, value]) => worth(value));
  return pairs.map(([key, value]) => `${key} ${String(value)}`).join('  ');
}

function print(rows: readonly Row[] | Row, asJson: boolean): void {
  if (asJson) writeAll(1, json(rows));
  else for (const row of [rows].flat()) writeAll(1, `${line(row as Row)}\n`);
}

interface Kind<T extends { close(): void }> {
  ids(): Iterable<number>;
  fromId(id: number): T;
  fromPin(path: string): T;
  row(one: T): Row;
}

const programs: Kind<KernelProgram> = {
  ids: programIds,
  fromId: (id) => KernelProgram.fromId(id),
  fromPin: (path) => KernelProgram.fromPin(path),
  row: programRow,
};
const maps: Kind<KernelMap> = {
  ids: mapIds,
  fromId: (id) => KernelMap.fromId(id),
  fromPin: (path) => KernelMap.fromPin(path),
  row: mapRow,
};
const links: Kind<Link> = {
  ids: linkIds,
  fromId: (id) => Link.fromId(id),
  fromPin: (path) => Link.fromPin(path),
  row: linkRow,
};

/** Those that are there when they are come to. */
function rowsOf<T extends { close(): void }>(kind: Kind<T>): Row[] {
  const rows: Row[] = [];
  for (const id of kind.ids()) {
    let one: T | undefined;
    try {
      one = kind.fromId(id);
      rows.push(kind.row(one));
    } catch (error) {
      if (!(error instanceof KernelError && error.code === 'ENOENT'))
        throw error;
    } finally {
      one?.close();
    }
  }
  return rows;
}

function pinned<T extends { close(): void }>(kind: Kind<T>, path: string): T {
  try {
    return kind.fromPin(path);
  } catch (error) {
    // Something else is pinned there.
    if (error instanceof TypeError)
      throw new Failure(error.message, EXIT_INPUT);
    throw error;
  }
}

function open<T extends { close(): void }>(kind: Kind<T>, word?: string): T {
  if (word === undefined) {
    throw new Failure(
      'which one? Name it by its id, or by its pin',
      EXIT_USAGE,
    );
  }
  if (word.includes('/')) return pinned(kind, word);
  if (/^\d+$/.test(word)) return kind.fromId(Number(word));
  throw new Failure(`'${word}' is neither an id nor a path`, EXIT_USAGE);
}

/** list and show; anything else is `other`. */
function run<T extends { close(): void }>(
  kind: Kind<T>,
  words: readonly string[],
  other: (one: T, action: string, rest: string[], asJson: boolean) => void,
): number {
  const { asJson, rest } = takeJson(words);
  const [action = 'list', word, ...more] = rest;
  if (action === 'list') {
    print(rowsOf(kind), asJson);
    return 0;
  }
  if (action !== 'show' && action !== 'dump') {
    throw new Failure(
      `there is list, show and dump, not ${action}`,
      EXIT_USAGE,
    );
  }
  const one = open(kind, word);
  try {
    if (action === 'show') print(kind.row(one), asJson);
    else other(one, action, more, asJson);
  } finally {
    one.close();
  }
  return 0;
}

function dumpProgram(
  program: KernelProgram,
  [which = 'xlated']: string[],
  asJson: boolean,
): void {
  const { xlated, jited, lines } = program.details();
  if (which === 'jited') {
    writeAll(1, asJson ? json({ jited: hex(jited) }) : `${hex(jited)}\n`);
    return;
  }
  if (which !== 'xlated') {
    throw new Failure(`code is xlated or jited, not ${which}`, EXIT_USAGE);
  }
  if (asJson) {
    const told = lines.map(({ insn, file, text, line: at }) => {
      return { insn, file, line: at, text };
    });
    writeAll(1, json({ xlated: hex(xlated), lines: told }));
    return;
  }
  writeAll(1, disassemble(BpfObject.fromRaw(xlated), { numeric: true }));
}

function dumpMap(map: KernelMap, asJson: boolean): void {
  const rows: Row[] = [];
  const most = 2 * map.info.maxEntries + 16; // others may change it meanwhile
  let key = map.nextKey();
  for (let i = 0; key !== undefined && i < most; i++) {
    const value = map.lookup(key);
    if (value) rows.push({ key: hex(key), value: hex(value) });
    key = map.nextKey(key);
  }
  print(rows, asJson);
}

const runProg = (words: readonly string[]): number =>
  run(programs, words, (one, _, rest, asJson) =>
    dumpProgram(one, rest, asJson),
  );

const runMap = (words: readonly string[]): number =>
  run(maps, words, (one, _action, _rest, asJson) => dumpMap(one, asJson));

const runLink = (words: readonly string[]): number =>
  run(links, words, () => {
    throw new Failure('links have nothing to dump; show tells', EXIT_USAGE);
  });

/** What the kernel says to one program: undefined when it takes it. */
function verdict(object: BpfObject, name: string): KernelError | undefined {
  try {
    load(object, { only: [name] }).close();
    return undefined;
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
}

/** The verdict for people, behind the program's name. */
function told(error: KernelError | undefined): string {
  if (error === undefined) return 'accepted';
  const { explanation, code, message, reason, remedy } = error;
  if (explanation === undefined) {
    // The message begins with the operation and the program's name.
    return reason && remedy ? `${reason} (${code}); ${remedy}` : message;
  }
  const text =
    isTerminal() && !process.env['NO_COLOR']
      ? explanation.ansi
      : explanation.text;
  return `refused (${code})\n${text.trimEnd()}`;
}

/** Status 1 when a program is refused. */
function runCheck(words: readonly string[]): number {
  const { asJson, rest } = takeJson(words);
  const [file, ...more] = rest;
  if (file === undefined || more.length > 0) {
    throw new Failure('which object? Name one file', EXIT_USAGE);
  }
  let object: BpfObject;
  try {
    object = objectOf(readFile(file), file);
  } catch (error) {
    const known =
      error instanceof BpfSyntaxError || error instanceof CompileError;
    if (!known) throw error;
    writeAll(2, error.text);
    return EXIT_INPUT;
  }
  const verdicts = object.programs.map(({ name, section }) => {
    const error = verdict(object, name);
    if (!asJson) writeAll(1, `${name}: ${told(error)}\n`);
    return {
      ...{ program: name, section, accepted: error === undefined },
      ...(error && { code: error.code, text: error.message, log: error.log }),
    };
  });
  if (asJson) writeAll(1, json(verdicts));
  return verdicts.every(({ accepted }) => accepted) ? 0 : EXIT_INPUT;
}

const verbs: Record<string, (words: readonly string[]) => number> = {
  check: runCheck,
  prog: runProg,
  map: runMap,
  link: runLink,
};

/** The exit status of one of these verbs, or undefined of another word. */
export function runThing(
  verb: string,
  words: readonly string[],
): number | undefined {
  if (!Object.hasOwn(verbs, verb)) return undefined;
  if (words.includes('--help')) {
    writeAll(1, `bpf ${verb} - ${thingsHelp[verb]}; --json for programs\n`);
    return 0;
  }
  return verbs[verb]?.(words);
}
