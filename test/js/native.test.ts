/**
 * The same input gives the same bytes from bpfc and from wasm: the whole corpus, the examples and
 * the conformance suite, in both byte orders, text and object and listing.
 */
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  assemble,
  BpfObject,
  BpfSyntaxError,
  check,
  compile,
  disassemble,
  Machine,
  MachineError,
  preprocess,
  type Dialect,
  type Endian,
} from 'bpf';
import {
  absent,
  describeUnless,
  filesBelow,
  nativeCli,
  root,
  run,
  shared,
  type Outcome,
} from '../support';

interface Input {
  name: string;
  text: string;
  dialect: Dialect;
  endian?: Endian;
}

/** The parts of a case: lines `-- name`, each with its text. */
function readCase(file: string): Map<string, string> {
  const text = readFileSync(file, 'utf8');
  const parts = `\n${text}`.split(/\n-- (?=\S)/).slice(1);
  return new Map(
    parts.map((part) => {
      const end = part.indexOf('\n');
      if (end < 0) return [part, '']; // an empty one
      return [part.slice(0, end), part.slice(end + 1)];
    }),
  );
}

interface Case extends Input {
  runs: string;
}

const cases = filesBelow(join(root, 'test/cases'), '.case').flatMap(
  (file): Case[] => {
    const parts = readCase(file);
    const text = parts.get('input.s');
    if (text === undefined) return [];
    return [
      {
        name: relative(root, file),
        text,
        dialect: /ubpf/.test(parts.get('args') ?? '') ? 'ubpf' : 'llvm',
        endian: /big/.test(parts.get('args') ?? '') ? 'big' : 'little',
        runs: parts.get('run') ?? '',
      },
    ];
  },
);
const examples = filesBelow(join(root, 'examples'), '.s').map(
  (file): Input => ({
    name: relative(root, file),
    text: readFileSync(file, 'utf8'),
    dialect: 'llvm',
  }),
);
const vectors = filesBelow(join(shared, 'vectors/conformance'), '.data').map(
  (file): Input => ({
    name: relative(shared, file),
    text:
      /^-- asm\n([^]*?)(?=^-- |(?![^]))/m.exec(
        readFileSync(file, 'utf8'),
      )?.[1] ?? '',
    dialect: 'ubpf',
  }),
);

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpf-same-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Made {
  elf?: Uint8Array;
  text?: string;
  errors?: string;
}

function inWasm({ name, text, dialect }: Input, endian: Endian): Made {
  try {
    const object = assemble(text, { filename: name, dialect, endian });
    const elf = object.toElf();
    return { elf, text: disassemble(elf, { dialect }) };
  } catch (error) {
    if (!(error instanceof BpfSyntaxError)) throw error;
    return { errors: error.text };
  }
}

/** The file has the same name for both, since line information holds it. */
function inNative({ name, text, dialect }: Input, endian: Endian): Made {
  mkdirSync(join(folder, dirname(name)), { recursive: true });
  writeFileSync(join(folder, name), text);
  const bpfc = (...args: string[]): Outcome =>
    run(nativeCli, [...args, '--dialect', dialect], { cwd: folder });
  const made = bpfc('as', name, '-o', 'out.o', '--endian', endian);
  if (made.status !== 0) return { errors: made.stderr };
  const elf = new Uint8Array(readFileSync(join(folder, 'out.o')));
  return { elf, text: bpfc('dis', 'out.o').stdout };
}

describeUnless(absent(nativeCli), 'wasm and bpfc give the same', () => {
  test('there is something to compare', () => {
    expect(cases.length).toBeGreaterThan(20);
    expect(cases.every(({ text }) => text.length > 0)).toBe(true);
    expect(examples.length).toBeGreaterThan(1);
  });

  test.each<Input>([...cases, ...examples])('$name', (input) => {
    for (const endian of ['little', 'big'] as const) {
      expect(inWasm(input, endian)).toEqual(inNative(input, endian));
    }
  });
});

describeUnless(
  absent(nativeCli) ?? absent(join(shared, 'vectors/conformance')),
  'wasm and bpfc give the same for the conformance suite',
  () => {
    test(`${vectors.length} programs`, () => {
      expect(vectors.length).toBe(219);
      for (const vector of vectors) {
        expect(inWasm(vector, 'little')).toEqual(inNative(vector, 'little'));
      }
    });
  },
);

interface CCase {
  name: string;
  text: string;
  /** What its #includes find. */
  headers: Record<string, string>;
}

const cCases = filesBelow(join(root, 'test/cases'), '.case').flatMap(
  (file): CCase[] => {
    const parts = readCase(file);
    const text = parts.get('input.c');
    if (text === undefined) return [];
    const headers = [...parts]
      .filter(([name]) => name.startsWith('file '))
      .map(([name, header]) => [name.slice('file '.length), header]);
    return [
      {
        name: relative(root, file),
        text,
        headers: Object.fromEntries(headers) as Record<string, string>,
      },
    ];
  },
);

interface CMade {
  code?: string;
  said?: string;
  elf?: Uint8Array;
}

/**
 * Without empty lines: what is read again under another path, as <x.h> is with -I., leaves one though
 * nothing comes out of it.
 */
const squeezed = (text: string): string => text.replace(/\n+/g, '\n');

/** The preprocessor's text, what is said about the C, and the object. */
function cInWasm({ text, headers }: CCase): CMade {
  const options = { filename: 'input.c', headers, standardHeaders: false };
  const made: CMade = { said: check(text, options).text };
  const attempt = (work: () => CMade): CMade => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof BpfSyntaxError)) throw error;
      return {};
    }
  };
  return {
    ...made,
    ...attempt(() => ({ code: squeezed(preprocess(text, options).code) })),
    ...attempt(() => ({ elf: compile(text, options).toElf() })),
  };
}

function cInNative({ name, text, headers }: CCase): CMade {
  const cwd = join(folder, `${name}.dir`);
  for (const [path, bytes] of Object.entries({ ...headers, 'input.c': text })) {
    mkdirSync(join(cwd, dirname(path)), { recursive: true });
    writeFileSync(join(cwd, path), bytes);
  }
  const bpfc = (...mode: string[]): Outcome =>
    run(
      nativeCli,
      ['cc', ...mode, '-nostdinc', '-I.', '--embed-dir=.', 'input.c'],
      { cwd },
    );
  const code = bpfc('-E', '-P');
  const { status, stderr } = bpfc('-c');
  const object = join(cwd, 'input.o');
  return {
    said: stderr,
    ...(code.status === 0 && { code: squeezed(code.stdout) }),
    ...(status === 0 && { elf: new Uint8Array(readFileSync(object)) }),
  };
}

describeUnless(absent(nativeCli), 'wasm and bpfc say the same of C', () => {
  test('there is something to compare', () => {
    expect(cCases.length).toBeGreaterThan(10);
    expect(cCases.some(({ headers }) => Object.keys(headers).length > 0)).toBe(
      true,
    );
  });

  test.each<CCase>(cCases)('$name', (input) => {
    expect(cInWasm(input)).toEqual(cInNative(input));
  });
});

const budget = 1_000_000;

/** "prog=NAME mem=HEX": r0 and the memory, as the corpus writes them. */
function runLine(machine: Machine, line: string): string {
  const word = (name: string): string | undefined =>
    new RegExp(`${name}=(\\S+)`).exec(line)?.[1];
  const mem = word('mem');
  try {
    const result = machine.run(word('prog') ?? '', {
      mem: Buffer.from(mem ?? '', 'hex'),
      budget,
    });
    const after = Buffer.from(result.mem).toString('hex');
    const r0 = `=> 0x${result.r0.toString(16)}`;
    return mem === undefined ? r0 : `${r0} ${after}`;
  } catch (error) {
    if (!(error instanceof MachineError)) throw error;
    return error.code === 'budget' ? '=> stopped' : '=> fault';
  }
}

test.each<Case>(cases.filter(({ runs }) => runs))(
  'the Machine runs $name as expected',
  ({ name, text, dialect, endian, runs }) => {
    const source = { source: text, filename: name, dialect };
    const machine = new Machine(endian ? { ...source, endian } : source);
    // The memory after a fault is not to be had here.
    const lines = runs
      .replace(/\n$/, '')
      .replace(/^=> fault .*/gm, '=> fault')
      .split('\n');
    const came = lines.map((line, i) =>
      line.startsWith('=>') ? runLine(machine, lines[i - 1] ?? '') : line,
    );
    expect(came).toEqual(lines);
  },
);

test('reading and writing an object again changes nothing', () => {
  for (const { text, dialect } of [...examples, ...vectors.slice(0, 20)]) {
    const elf = assemble(text, { dialect }).toElf();
    expect(BpfObject.fromElf(elf).toElf()).toEqual(elf);
  }
});
