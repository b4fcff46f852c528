// BTF of C against clang's: what clang's objects have BTF for is looked up in our tree of the same
// program, and the two graphs are compared, by test/peers/cc_btf.c. Sizes, members, tags, linkage,
// and which records are only declared must be the same, but for what is listed here. The corpora are
// those of check:corpus, and the folders in BPF_BTF_CORPUS (with ':' between).
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { compileByClang } from '../corpus/compile.mjs';
import {
  corporaOf,
  corpusNames,
  folderCorpus,
  sampleCorpus,
} from '../corpus/sources.mjs';
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
    line: /^differ name ctx: parameter/,
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

/** The lines that the harness says about one program. */
async function judge(harness, { name, source, flags, clang }, dir) {
  const unit = path.join(dir, `${name.replaceAll('/', '-')}.i`);
  const args = ['cc', '-E', ...forPreprocessor(flags), path.basename(source)];
  try {
    await run(bpfc, [...args, '-o', unit], { cwd: path.dirname(source) });
    const { stdout } = await run(harness, [unit, clang.object]);
    return stdout.replaceAll(`${dir}/`, '').trim().split('\n');
  } catch (error) {
    return [`failed ${error.stderr || error.message}`];
  } finally {
    fs.rmSync(unit, { force: true });
  }
}

const meaningOf = (line, name) =>
  MEANT.find((one) => one.line.test(line) && (one.unit ?? name) === name);

/** One corpus: the row. */
async function rowOf(corpus, harness, dir, log) {
  await compileByClang(corpus, log);
  const files = corpus.files.filter((file) => file.clang.object);
  const meant = new Map();
  const wrong = [];
  let [good, done] = [0, 0];
  let types = [0, 0, 0];
  await parallel(files, async (file) => {
    let ok = true;
    for (const line of await judge(harness, file, dir)) {
      const same = /^same (\d+) (\d+) (\d+)/.exec(line);
      const known = meaningOf(line, file.name);
      if (same) types = types.map((n, i) => n + Number(same[i + 1]));
      else if (known)
        meant.set(known, (meant.get(known) ?? new Set()).add(file.name));
      else wrong.push(`${file.name}: ${line}`);
      ok &&= Boolean(same ?? known);
    }
    good += ok ? 1 : 0;
    done += 1;
    if (done % 100 === 0) log(`${corpus.name}: ${done} programs`);
  });
  const [compared, ours, theirs] = types;
  const listed = [...meant].map(
    ([{ why }, names]) => `${why} (${[...names].sort().join(', ')})`,
  );
  return {
    what: `${corpus.title}: ${files.length} programs`,
    required: 'all',
    measured: String(good),
    ok: good === files.length && compared > 0,
    notes: [
      ...wrong.sort().slice(0, 20),
      ...listed.sort(),
      `${compared} types compared; ${ours} of ours, ${theirs} of clang's in these objects`,
    ],
  };
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
    const folders = process.env.BPF_BTF_CORPUS?.split(':') ?? [];
    const corpora = sample
      ? [sampleCorpus()]
      : [
          ...corporaOf(corpusNames),
          ...folders.map((folder) => folderCorpus(folder, [])),
        ];
    const rows = [];
    for (const corpus of corpora)
      rows.push(
        corpus.reason
          ? {
              what: corpus.title,
              required: 'all',
              measured: 'none',
              ok: false,
              notes: [corpus.reason],
            }
          : await rowOf(corpus, harness, dir, log),
      );
    fs.rmSync(dir, { recursive: true, force: true });
    return rows;
  },
};
