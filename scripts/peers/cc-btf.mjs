// BTF of C against clang's: what clang's objects have BTF for is looked up in our tree of the same
// program, and the two graphs are compared, by test/peers/cc_btf.c. Sizes, members, tags, linkage,
// and which records are only declared must be the same, but for what is listed here; then our objects
// of the programs, which have BTF for what our passes left. The corpora are those of check:corpus,
// and the folders in BPF_BTF_CORPUS (with ':' between).
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { compileByClang, compileByUs } from '../corpus/compile.mjs';
import { absentRow, peerCorpora } from '../corpus/sources.mjs';
import { parallel } from '../corpus/work.mjs';
import { noCorpus } from '../lib/corpus.mjs';
import { hasCommand } from '../lib/needs.mjs';
import { inRoot, root } from '../lib/steps.mjs';

const bpfc = inRoot('build/release/bpfc');
const library = inRoot('build/release/asm-core/libebpf.a');
const run = promisify(execFile);

/** Differences that are meant: what the line says, where, and why. */
const MEANT = [
  {
    line: /^differ name \w+: parameter/,
    why: 'naked functions: clang leaves out the names of parameters, which the kernel wants',
  },
  {
    line: /^differ type Z: size 4, clang 0/,
    unit: 'btf_dump_test_case_namespacing',
    why: 'an enum that is only declared: the kernel refuses a size of 0',
  },
  {
    line: /^differ type __u32: kind 8, clang 1/,
    unit: 'core_kern',
    why: 'u32 is declared twice, over __u32 and over unsigned int: here the first one holds',
  },
  {
    line: /^skip type\d+/,
    why: 'CO-RE records of types without a name: the comparison cannot look them up',
  },
];

/** The harness, linked with asm-core as it was built last. */
function buildHarness() {
  const to = inRoot('build/peers/cc_btf');
  const stages = ['base', 'isa', 'obj', 'ir', 'cc', 'api', 'def', 'include'];
  fs.mkdirSync(path.dirname(to), { recursive: true });
  const args = [
    ...['-std=c11', '-D_GNU_SOURCE', '-O1', '-o', to],
    inRoot('test/peers/cc_btf.c'),
    ...stages.map((stage) => `-I${inRoot('asm-core', stage)}`),
    library,
  ];
  execFileSync('cc', args, { cwd: root, stdio: 'pipe' });
  return to;
}

/** Those of clang's flags that the preprocessor takes. */
const forPreprocessor = (flags) =>
  flags.filter(
    (flag, i) =>
      /^-(D|I|mcpu|idirafter|include)/.test(flag) ||
      /^-(idirafter|include)$/.test(flags[i - 1]),
  );

/** What the harness says about the tree of one program. */
async function judgeTree(harness, { name, source, flags, clang }, dir) {
  const unit = path.join(dir, `${name.replaceAll('/', '-')}.i`);
  const args = [
    'cc',
    '-E',
    '-nostdinc',
    ...forPreprocessor(flags),
    path.basename(source),
  ];
  try {
    await run(bpfc, [...args, '-o', unit], { cwd: path.dirname(source) });
    return (await run(harness, [unit, clang.object])).stdout;
  } finally {
    fs.rmSync(unit, { force: true });
  }
}

/** The same about our object of it. */
const judgeObject = async (harness, { ours, clang }) =>
  (await run(harness, ['--objects', ours.object, clang.object])).stdout;

const meaningOf = (line, name) =>
  MEANT.find((one) => one.line.test(line) && (one.unit ?? name) === name);

/** The row of what `judge` finds in the files of a corpus. */
async function rowOf(what, files, judge) {
  const meant = new Map();
  const wrong = [];
  let good = 0;
  let types = [0, 0, 0];
  await parallel(files, async (file) => {
    const said = await judge(file).catch(
      (e) => `failed ${e.stderr || e.message}`,
    );
    let ok = true;
    for (const line of said.trim().split('\n')) {
      const same = /^same (\d+) (\d+) (\d+)/.exec(line);
      const known = meaningOf(line, file.name);
      if (same) types = types.map((n, i) => n + Number(same[i + 1]));
      else if (known)
        meant.set(known, (meant.get(known) ?? new Set()).add(file.name));
      else wrong.push(`${file.name}: ${line}`);
      ok &&= Boolean(same ?? known);
    }
    good += ok ? 1 : 0;
  });
  const [compared, ours, theirs] = types;
  const listed = [...meant].map(
    ([{ why }, names]) => `${why} (${[...names].sort().join(', ')})`,
  );
  return {
    what,
    required: `all of ${files.length}`,
    measured: String(good),
    ok: good === files.length && compared > 0,
    notes: [
      ...wrong.sort().slice(0, 20),
      ...listed.sort(),
      `${compared} types compared; ${ours} of ours, ${theirs} of clang's in these objects`,
    ],
  };
}

async function rowsOf(corpus, harness, dir, log) {
  await compileByClang(corpus, log);
  await compileByUs(corpus, [bpfc, 'cc'], log);
  const files = corpus.files.filter((file) => file.clang.object);
  const made = files.filter((file) => file.ours.object);
  return [
    await rowOf(corpus.title, files, (file) => judgeTree(harness, file, dir)),
    await rowOf(`${corpus.title}, our objects`, made, (file) =>
      judgeObject(harness, file),
    ),
  ];
}

export default {
  name: 'cc-btf',
  title: 'BTF of C: the same as clang’s for all that its objects have BTF for',

  needs() {
    const missing = noCorpus();
    if (missing) return missing;
    if (!hasCommand('cc')) return 'no cc to build the comparison';
    for (const file of [bpfc, library])
      if (!fs.existsSync(file)) return `no ${path.relative(root, file)}`;
    return null;
  },

  async run({ sample, log }) {
    const harness = buildHarness();
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-btf-'));
    const rows = [];
    for (const corpus of peerCorpora(sample)) {
      if (corpus.reason) rows.push(absentRow(corpus));
      else rows.push(...(await rowsOf(corpus, harness, dir, log)));
      log(corpus.name);
    }
    fs.rmSync(dir, { recursive: true, force: true });
    return rows;
  },
};
