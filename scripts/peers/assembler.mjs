// The assembler against LLVM's: what clang -S writes, assembled by bpfc, beside what clang -c makes
// of the same program, and a long text's bytes and time beside llvm-mc's.
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
const LLVM_MC = 'llvm-mc-19';
const INSNS = 100_000;
const SHT_NOBITS = 8;

function assemble(file) {
  const done = spawnSync(BPFC, ['as', file, '-o', '-'], { maxBuffer: 1 << 29 });
  if (done.status === 0) return done.stdout;
  throw new Error(done.stderr.toString().split('\n')[0]);
}

/** llvm-mc's object; it cannot read clang's "r1 = w1", a 32-bit move. */
function llvmMc(file) {
  const text = fs.readFileSync(file, 'utf8');
  const input = text.replace(/^(\s)r(\d+ = w\d+)$/gm, '$1w$2');
  const args = ['-triple=bpfel', '-mcpu=v4', '-filetype=obj', '-o', '-'];
  return execFileSync(LLVM_MC, args, { input, maxBuffer: 1 << 29 });
}

/** What a loader sees: allocated sections, and what describes them. */
const compared = ({ name, flags, size }) =>
  size > 0 && (flags & SHF.alloc || name === '.BTF' || name === '.BTF.ext');

const sectionsOf = (elf) => elf.sections.filter(compared);

/** What differs between clang's object and ours, by section; then the symbols. */
function differences(theirs, ours) {
  const found = [];
  const left = sectionsOf(ours);
  const wanted = sectionsOf(theirs);
  const names = (list) => list.map(({ name }) => name).join(' ');
  if (names(left) !== names(wanted))
    return [`sections: ${names(left)}; clang: ${names(wanted)}`];
  for (const [i, section] of wanted.entries()) {
    const other = left[i];
    const facts = ({ type, flags, align, entsize, size }) =>
      `type ${type} flags ${flags} align ${align} entsize ${entsize} size ${size}`;
    if (facts(section) !== facts(other))
      found.push(`${section.name}: ${facts(other)}; clang: ${facts(section)}`);
    else if (section.type !== SHT_NOBITS && !section.bytes.equals(other.bytes))
      found.push(`${section.name}: bytes`);
    const [a, b] = [relocLines(theirs, section), relocLines(ours, other)];
    const at = a.findIndex((line, r) => line !== b[r]);
    if (a.length !== b.length || at >= 0)
      found.push(`${section.name}: relocations, '${b[at]}'; clang: '${a[at]}'`);
  }
  return [...found, ...symbolDifferences(theirs, ours)];
}

/**
 * Named symbols of the compared sections and from elsewhere, as lines. The labels of clang's blocks
 * are symbols to whoever reads its text, llvm-mc too, but none in what clang -c writes.
 */
function symbolLines(elf) {
  const kept = new Set(sectionsOf(elf).map(({ index }) => index));
  return elf.symbols
    .filter(({ name, section, bind }) => name && (kept.has(section) || bind))
    .filter(({ name }) => !/^LBB\d+_\d+$/.test(name))
    .map(
      ({ name, section, value, size, bind, type, other }) =>
        `${name} in ${elf.sections[section]?.name ?? section} at ${value}, size ${size}, ` +
        `bind ${bind} type ${type} other ${other}`,
    )
    .sort();
}

function symbolDifferences(theirs, ours) {
  const [a, b] = [symbolLines(theirs), symbolLines(ours)];
  const [inA, inB] = [new Set(a), new Set(b)];
  return [
    ...a.filter((line) => !inB.has(line)).map((line) => `clang has ${line}`),
    ...b.filter((line) => !inA.has(line)).map((line) => `we have ${line}`),
  ].slice(0, 3);
}

const sectionCalled = (elf, wanted) =>
  elf.sections.find(({ name }) => name === wanted);

/**
 * The files' texts against their objects. clang numbers the forward declarations of .BTF by where
 * they lie in its memory, so that its text and its object differ by themselves: there llvm-mc, given
 * the same text, is to agree with us.
 */
function sameAsClang(files) {
  const [wrong, numbered] = [[], []];
  for (const { name, object, assembly } of files) {
    try {
      const theirs = readElf(fs.readFileSync(object));
      const ours = readElf(assemble(assembly));
      const found = differences(theirs, ours);
      const btf = sectionCalled(ours, '.BTF')?.bytes;
      const only = found.length === 1 && found[0] === '.BTF: bytes';
      if (
        only &&
        sectionCalled(readElf(llvmMc(assembly)), '.BTF').bytes.equals(btf)
      )
        numbered.push(name);
      else if (found.length > 0) wrong.push(`${name} ${found.join('; ')}`);
    } catch (error) {
      wrong.push(`${name}: ${error.message}`);
    }
  }
  const total = files.length;
  const good = total - wrong.length;
  return [
    {
      what: 'clang -S | as: as clang -c',
      required: '≥ 99 % of the files',
      measured: `${good} of ${total}`,
      ok: total > 0 && good >= 0.99 * total,
      notes: wrong,
    },
    {
      what: 'of these, .BTF too',
      required: 'or as llvm-mc on the text',
      measured: `${good - numbered.length}, and ${numbered.length}`,
      ok: good > numbered.length,
      notes:
        numbered.length > 0
          ? [
              `clang -S and -c number forward declarations differently: ${numbered.join(', ')}`,
            ]
          : [],
    },
  ];
}

const faster = (what, least, theirs, ours) => ({
  what,
  required: `≥ ${least} ×`,
  measured: `${(theirs / ours).toFixed(1)} × (${ours.toFixed(1)} ms, ${theirs.toFixed(1)} ms)`,
  ok: theirs / ours >= least,
});

/** User and system time of assembling in this process, once it is warm. */
function warm(assembleText, text) {
  const runs = 5;
  for (let i = 0; i < runs; i++) assembleText(text);
  return () => {
    const start = process.cpuUsage();
    for (let i = 0; i < runs; i++) assembleText(text);
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000 / runs;
  };
}

/** The long text: the same code, and how fast. */
function mixed(sample, log) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-as-'));
  try {
    const [source, object] = ['mixed.s', 'mixed.o'].map((name) =>
      path.join(folder, name),
    );
    const text = mixedText(INSNS);
    fs.writeFileSync(source, text);
    const args = ['-triple=bpfel', '-mcpu=v4', '-filetype=obj', source];
    const llvm = [...args, '-o', object];
    execFileSync(LLVM_MC, llvm);
    const [theirs, ours] = [fs.readFileSync(object), assemble(source)].map(
      (bytes) => sectionCalled(readElf(bytes), '.text'),
    );
    const same = {
      what: `${INSNS} instructions: bytes`,
      required: 'as llvm-mc',
      measured: theirs.bytes.equals(ours.bytes) ? 'equal' : 'different',
      ok: theirs.bytes.equals(ours.bytes),
    };
    if (sample) return [same];
    log(`speed: ${INSNS} instructions, ${LLVM_MC} and bpfc in turn`);
    const { assemble: inWasm } = createRequire(import.meta.url)(root);
    const [llvmTime, native, wasm] = alternate([
      () => cpuTime(LLVM_MC, llvm),
      () => cpuTime(BPFC, ['as', source, '-o', object]),
      warm(inWasm, text),
    ]);
    return [
      same,
      faster('speed of bpfc as', 6, llvmTime, native),
      faster('speed of assemble(), warm wasm', 3, llvmTime, wasm),
    ];
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

export default {
  name: 'assembler',
  title: 'Assembler: what clang -S writes, llvm-mc’s bytes, speed',

  needs() {
    if (!fs.existsSync(BPFC)) return 'no build/release/bpfc';
    if (!hasCommand(LLVM_MC)) return `no ${LLVM_MC}`;
    return noCorpus();
  },

  async run({ sample, log }) {
    const { files } = await selftestCorpus({ sample, log });
    log(`${files.length} texts of clang -S`);
    return [...sameAsClang(files), ...mixed(sample, log)];
  },
};
