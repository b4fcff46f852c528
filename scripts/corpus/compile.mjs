// Both compilers over the files of a corpus. clang's objects are made once and kept beside the
// corpus; ours are made anew each time. Any command can stand in for ours: one that is not bpfc gets
// clang's flags, with those of the command behind them.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { CLANG, vmlinuxHeader } from '../lib/corpus.mjs';
import { SHF, readElf, relocLines } from '../lib/elf.mjs';
import { inRoot, root } from '../lib/steps.mjs';
import { hash, parallel } from './work.mjs';

const run = promisify(execFile);
const TIME_MOST = 120_000;
const BPFC = inRoot('build/release/bpfc');
const OUTPUT = { maxBuffer: 1 << 28 };

/** The same headers as clang's, which are named one by one: not those that bpfc brings along. */
export const ours = (flags) => ['-nostdinc', ...flags];

/** Runs a compiler beside the source; '' or all that it said, and why it stopped. */
async function compileOne(command, flags, source, object) {
  fs.mkdirSync(path.dirname(object), { recursive: true });
  const part = `${object}.${process.pid}`;
  const args = [...command.slice(1), ...flags];
  args.push(path.basename(source), '-o', part);
  const options = { maxBuffer: 1 << 28, timeout: TIME_MOST };
  try {
    await run(command[0], args, { ...options, cwd: path.dirname(source) });
    fs.renameSync(part, object);
    return '';
  } catch (error) {
    for (const gone of [part, object]) fs.rmSync(gone, { force: true });
    if (error.signal) return `${error.stderr}error: ended by ${error.signal}`;
    return error.stderr || String(error.message);
  }
}

/** The first error of what a compiler said. */
export const firstError = (said) =>
  /error: .*/.exec(said)?.[0] ?? said.trim().split('\n')[0];

/** What a file's object depends on: flags, and the C files of the folder that it is in. */
function stampOf(file, folders) {
  const dir = path.dirname(file.source);
  if (!folders.has(dir)) {
    const seen = fs
      .readdirSync(dir)
      .filter((name) => /\.[ch]$/.test(name))
      .map((name) => `${name} ${fs.statSync(path.join(dir, name)).mtimeMs}`);
    folders.set(dir, hash(...seen));
  }
  const flags = JSON.stringify(file.flags).replaceAll(root, '');
  return hash(flags, folders.get(dir));
}

/** clang's objects: sets file.clang = { object } or { error }. */
export async function compileByClang(corpus, log) {
  if (corpus.compiled) {
    const { files, refused } = await corpus.compiled(log);
    const objects = new Map(files.map(({ name, object }) => [name, object]));
    for (const file of corpus.files)
      file.clang = objects.has(file.name)
        ? { object: objects.get(file.name) }
        : { error: refused[file.name] };
    return;
  }
  const dir = inRoot('build/corpus', corpus.name);
  const stampsFile = path.join(dir, 'stamps.json');
  const stamps = fs.existsSync(stampsFile)
    ? JSON.parse(fs.readFileSync(stampsFile, 'utf8'))
    : {};
  const folders = new Map();
  const todo = [];
  for (const file of corpus.files) {
    const object = path.join(dir, `${file.name}.o`);
    const stamp = stampOf(file, folders);
    const known = stamps[file.name];
    if (known?.stamp === stamp && (known.error || fs.existsSync(object)))
      file.clang = known.error ? { error: known.error } : { object };
    else todo.push({ file, object, stamp });
  }
  if (todo.length > 0) log(`${CLANG}: ${todo.length} files`);
  await parallel(todo, async ({ file, object, stamp }) => {
    const flags = [...file.flags, '-c'];
    const said = await compileOne([CLANG], flags, file.source, object);
    const error = said && firstError(said);
    stamps[file.name] = { stamp, error };
    file.clang = error ? { error } : { object };
  });
  fs.mkdirSync(dir, { recursive: true });
  fs.writeFileSync(stampsFile, JSON.stringify(stamps, null, 1));
}

/** Where a command's objects are: what stands in for ours has a folder of its own. */
export const oursDir = (command) =>
  isOurs(command)
    ? inRoot('build/ours')
    : inRoot('build/ours', `instead-${hash(command.join(' '))}`);

export const isOurs = (command) => path.basename(command[0]).startsWith('bpfc');

/** Our objects of the files that clang compiled: sets file.ours, as above. */
export async function compileByUs(corpus, command, log) {
  const dir = path.join(oursDir(command), corpus.name);
  let done = 0;
  await parallel(
    corpus.files.filter((file) => file.clang.object),
    async (file) => {
      const object = path.join(dir, `${file.name}.o`);
      const flags = isOurs(command) ? ours(file.flags) : [...file.flags, '-c'];
      // What the command itself says comes last, so that it wins.
      const [program, ...own] = command;
      const words = isOurs(command)
        ? await compileOne(command, flags, file.source, object)
        : await compileOne([program], [...flags, ...own], file.source, object);
      file.ours = words
        ? { error: firstError(words), said: words }
        : { object, size: sizeOf(object) };
      done += 1;
      if (done % 100 === 0) log(`ours: ${done} files`);
    },
  );
}

/** Bytes of an object without DWARF. */
function sizeOf(object) {
  const bytes = fs.readFileSync(object);
  let size = bytes.length;
  try {
    for (const section of readElf(bytes).sections)
      if (/^\.(rela?\.)?debug_/.test(section.name)) size -= section.size;
  } catch {
    // Not ELF: libbpf will say so.
  }
  return size;
}

async function coreRelocations(object) {
  const core = await run(BPFC, ['core', object, '--json'], OUTPUT).catch(
    (error) => error,
  );
  return JSON.parse(core.stdout || '{}').relocations ?? [];
}

/** Whether programs handle ids of the object's own types, which compilers number as they like. */
export const usesTypeIds = async (object) =>
  (await coreRelocations(object)).some(({ kind }) => kind === 'local_type_id');

/** Instructions and what is relocated in them, as lines; types by name, since their ids may differ. */
async function codeOf(object) {
  const elf = readElf(fs.readFileSync(object));
  const relocations = await coreRelocations(object);
  const lines = relocations.map((one) => JSON.stringify(one, sameFor));
  const code = elf.sections.filter(
    ({ flags, size }) => (flags & SHF.exec) !== 0 && size > 0,
  );
  for (const section of code) {
    const bytes = Buffer.from(section.bytes);
    for (const one of relocations)
      if (one.kind.endsWith('_type_id') && one.section === section.name)
        bytes.writeUInt32LE(0, 8 * one.insn + 4);
    lines.push(`${section.name} ${bytes.toString('hex')}`);
    lines.push(...relocLines(elf, section));
  }
  return lines;
}

const ofTypeIds = ['typeId', 'from', 'to', 'bytes'];
const sameFor = (key, value) => (ofTypeIds.includes(key) ? undefined : value);

/**
 * Compiles what we compiled with vmlinux.h again, with the kernel's BTF in its place: sets
 * file.withBtf = '' or how the code differs.
 */
export async function compileWithBtf(corpus, command) {
  const dir = path.join(oursDir(command), `${corpus.name}-btf`);
  const header = `-I${vmlinuxHeader()}`;
  const usesHeader = (file) =>
    /"vmlinux\.h"|<vmlinux\.h>/.test(fs.readFileSync(file.source, 'utf8'));
  const files = corpus.files.filter((file) => file.ours?.object);
  await parallel(files.filter(usesHeader), async (file) => {
    const object = path.join(dir, `${file.name}.o`);
    const flags = ours(file.flags).filter((flag) => flag !== header);
    flags.push('--btf', '/sys/kernel/btf/vmlinux');
    const said = await compileOne(command, flags, file.source, object);
    if (said) {
      file.withBtf = firstError(said);
      return;
    }
    const [one, two] = [await codeOf(file.ours.object), await codeOf(object)];
    const at = one.findIndex((line, n) => line !== two[n]);
    const differs = at >= 0 || one.length !== two.length;
    file.withBtf = differs
      ? `differs in ${(one[at] ?? two[one.length]).slice(0, 80)}`
      : '';
  });
}
