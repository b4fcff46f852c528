// The disassembler against LLVM's: text that assembles again to the same object, the listing of
// llvm-objdump line by line, and its speed.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { noCorpus, selftestCorpus } from '../lib/corpus.mjs';
import { alternate, cpuTime } from '../lib/cpu.mjs';
import { readElf, relocLines, SHF } from '../lib/elf.mjs';
import { mixedText } from '../lib/mixed.mjs';
import { hasCommand } from '../lib/needs.mjs';
import { inRoot, root } from '../lib/steps.mjs';

const BPFC = inRoot('build/release/bpfc');
const OBJDUMP = 'llvm-objdump-19';
const INSNS = 100_000;
const big = { maxBuffer: 1 << 29 };

function bpfc(args, input) {
  const done = spawnSync(BPFC, args, { input, ...big });
  if (done.status !== 0) throw new Error(done.stderr.toString().slice(0, 500));
  return done.stdout;
}

/** A row about files: how many are as they should be, and what is wrong with the others. */
const judged = (what, total, wrong) => ({
  what,
  required: 'all',
  measured: `${total - wrong.length} of ${total}`,
  ok: wrong.length === 0 && total > 0,
  notes: wrong.slice(0, 10),
});

/** How many lines of a text are raw data in executable sections. */
function rawSlots(text) {
  let code = false;
  let count = 0;
  for (const line of text.split('\n')) {
    if (line.startsWith('\t.section'))
      code = /,"[a-zA-Z]*x[a-zA-Z]*"/.test(line);
    else if (code && /\t\.(quad|long|byte|zero|asci[iz])\t/.test(line)) count++;
  }
  return count;
}

/** What differs between an object and what its text was assembled to, by executable section. */
function differences(before, after) {
  const found = [];
  const code = ({ sections }) =>
    sections.filter(({ flags, size }) => flags & SHF.exec && size > 0);
  const theirs = code(after);
  for (const [i, section] of code(before).entries()) {
    const other = theirs[i];
    const same =
      other?.name === section.name && other.bytes.equals(section.bytes);
    if (!same) found.push(`${section.name}: bytes`);
    else if (
      relocLines(before, section).join('\n') !==
      relocLines(after, other).join('\n')
    )
      found.push(`${section.name}: relocations`);
  }
  return found;
}

/**
 * An object as lines: sections with contents and relocations, then symbols by name. Left out are
 * what a writer makes anew, the numbers of sections and symbols, and a .text that is empty.
 */
function wholeObject(elf) {
  const tables = new Set([0, 2, 3, 4, 9, 17, 18]);
  const sections = elf.sections.filter(
    ({ type, name, size }) =>
      !tables.has(type) && !(name === '.text' && size === 0),
  );
  const symbols = elf.symbols.map((symbol) =>
    JSON.stringify({
      ...symbol,
      section: elf.sections[symbol.section]?.name ?? symbol.section,
    }),
  );
  return [
    ...sections.flatMap((section) => [
      JSON.stringify([
        ...[section.name, section.type, section.flags, section.align],
        ...[section.entsize, section.size, section.bytes.toString('base64')],
      ]),
      ...relocLines(elf, section),
    ]),
    ...symbols.sort(),
  ];
}

/** Objects of other compilers, byte orders and linkers, as far as they are installed. */
function otherObjects(files, folder) {
  const source = inRoot('test/native/data/object.c');
  const made = [];
  const make = (name, command, ...args) => {
    const object = path.join(folder, `${name}.o`);
    if (!hasCommand(command)) return;
    execFileSync(command, [...args, object], { stdio: 'ignore' });
    made.push({ name, object });
  };
  for (const endian of ['bpfel', 'bpfeb'])
    for (const version of [14, 19])
      for (const cpu of ['v1', 'v3']) {
        const args = ['-target', endian, '-g', '-O2', `-mcpu=${cpu}`];
        const name = `clang-${version}`;
        make(`${name}-${endian}-${cpu}`, name, ...args, '-c', source, '-o');
      }
  for (const option of ['-gbtf', '-g', '-mbig-endian'])
    make(`bpf-gcc${option}`, 'bpf-gcc', '-O2', option, '-c', source, '-o');
  const pairs = [
    ['linked_funcs1', 'linked_funcs2'],
    ['linked_maps1', 'linked_maps2'],
    ['bpf_cubic', 'pyperf50'],
  ];
  for (const pair of pairs) {
    const parts = pair.map((name) => files.find((file) => file.name === name));
    const object = path.join(folder, `${pair.join('+')}.o`);
    if (!parts.every(Boolean) || !hasCommand('bpftool')) continue;
    const inputs = parts.map((part) => part.object);
    execFileSync('bpftool', ['gen', 'object', object, ...inputs]);
    made.push({ name: path.basename(object), object });
  }
  return made;
}

function roundTrip(files) {
  const wrong = [];
  const changed = [];
  const total = { sections: 0, slots: 0, raw: 0 };
  for (const { name, object } of files) {
    const before = readElf(fs.readFileSync(object));
    for (const { flags, size } of before.sections)
      if (flags & SHF.exec && size > 0) {
        total.sections++;
        total.slots += size / 8;
      }
    try {
      const text = bpfc(['dis', object]);
      total.raw += rawSlots(text.toString('latin1'));
      const endian = before.big ? ['--endian', 'big'] : [];
      const after = readElf(bpfc(['as', '-', '-o', '-', ...endian], text));
      for (const what of differences(before, after))
        wrong.push(`${name} ${what}`);
      const stripped = readElf(bpfc(['strip', object, '-o', '-']));
      const [ours, back] = [stripped, after].map(wholeObject);
      const at = ours.findIndex((line, i) => line !== back[i]);
      if (at >= 0 || ours.length !== back.length)
        changed.push(`${name}: ${ours[at]?.slice(0, 100)}`);
    } catch (error) {
      wrong.push(`${name}: ${error.message}`);
    }
  }
  const share = (100 * total.raw) / total.slots;
  return [
    judged(
      'executable sections, relocations after dis | as',
      total.sections,
      wrong,
    ),
    judged(
      'whole objects: sections, symbols, relocations',
      files.length,
      changed,
    ),
    {
      what: 'slots written as raw data',
      required: '≤ 0.1 %',
      measured: `${share.toFixed(4)} % of ${total.slots}`,
      ok: share <= 0.1,
    },
  ];
}

/** The first line that two texts do not share. */
function firstDifference(ours, theirs) {
  const [a, b] = [ours, theirs].map((text) => text.toString().split('\n'));
  const at = a.findIndex((line, i) => line !== b[i]);
  return `line ${at + 1}: '${a[at]}', llvm '${b[at]}'`;
}

function listing(files, what, theirArgs, ourArgs) {
  const wrong = [];
  for (const { name, object } of files) {
    const theirs = execFileSync(OBJDUMP, [...theirArgs, object], big);
    const ours = bpfc(['dis', '--objdump', ...ourArgs, object]);
    if (!ours.equals(theirs))
      wrong.push(`${name} ${firstDifference(ours, theirs)}`);
  }
  return judged(`text equal to llvm-objdump ${what}`, files.length, wrong);
}

const faster = (what, least, theirs, ours) => ({
  what,
  required: `≥ ${least} ×`,
  measured: `${(theirs / ours).toFixed(1)} × (${ours.toFixed(1)} ms, ${theirs.toFixed(1)} ms)`,
  ok: theirs / ours >= least,
});

/** User and system time of the disassembler in this process, once it is warm. */
function warm(disassemble, bytes, options) {
  for (let i = 0; i < 5; i++) disassemble(bytes, options);
  return () => {
    const start = process.cpuUsage();
    for (let i = 0; i < 5; i++) disassemble(bytes, options);
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000 / 5;
  };
}

/** What `work` makes of a folder that is there for it only. */
function inFolder(work) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-dis-'));
  try {
    return work(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

function speed(log) {
  return inFolder((folder) => {
    const [source, object] = ['mixed.s', 'mixed.o'].map((name) =>
      path.join(folder, name),
    );
    fs.writeFileSync(source, mixedText(INSNS));
    const args = ['-triple=bpfel', '-mcpu=v4', '-filetype=obj', source];
    execFileSync('llvm-mc-19', [...args, '-o', object]);
    log(`speed: ${INSNS} instructions, ${OBJDUMP} and bpfc in turn`);
    const { disassemble } = createRequire(import.meta.url)(root);
    const bytes = fs.readFileSync(object);
    const [theirs, text, list, wasmText, wasmList] = alternate([
      () => cpuTime(OBJDUMP, ['-d', object]),
      () => cpuTime(BPFC, ['dis', object]),
      () => cpuTime(BPFC, ['dis', '--objdump', object]),
      warm(disassemble, bytes, {}),
      warm(disassemble, bytes, { objdump: true }),
    ]);
    return [
      faster('speed of bpfc dis', 6, theirs, text),
      faster('speed of bpfc dis --objdump', 6, theirs, list),
      faster('speed of disassemble(), warm wasm', 3, theirs, wasmText),
      faster('the same with { objdump: true }', 3, theirs, wasmList),
    ];
  });
}

export default {
  name: 'disassembler',
  title:
    'Disassembler: text that assembles again, llvm-objdump’s listing, speed',

  needs() {
    if (!fs.existsSync(BPFC)) return 'no build/release/bpfc';
    if (!hasCommand(OBJDUMP)) return `no ${OBJDUMP}`;
    return noCorpus();
  },

  async run({ sample, log }) {
    const { files } = await selftestCorpus({ sample, log });
    log(`${files.length} objects: dis | as`);
    const rows = roundTrip(files);
    if (!sample)
      inFolder((folder) => {
        const others = otherObjects(files, folder);
        const [sections] = roundTrip(others);
        sections.what = 'the same of clang-14, gcc, big-endian, linked';
        rows.push(sections, {
          ...listing(others, '-dr', ['-dr'], ['--relocs']),
          what: 'and their text equal to llvm-objdump -dr',
        });
      });
    log(`${files.length} objects: ${OBJDUMP}`);
    rows.push(listing(files, '-dr', ['-dr'], ['--relocs']));
    if (sample) return rows;
    rows.push(
      listing(files, '-d', ['-d'], []),
      listing(files, '-d --mcpu=v4', ['-d', '--mcpu=v4'], ['--alu32']),
    );
    return [...rows, ...speed(log)];
  },
};
