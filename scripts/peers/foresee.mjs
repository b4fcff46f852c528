// The compiler's warnings of what the verifier will refuse (-Wbpf) against the running kernel: over the
// corpora, each program of ours is loaded. A warning of a program that the kernel takes is false; a
// refusal for one of these reasons that nothing was said of is missed. What a function is called from
// is in the warning's notes, or found by the text in front of it.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { compileByClang, ours } from '../corpus/compile.mjs';
import { judge, noLoader, refusals } from '../corpus/load.mjs';
import { absentRow, peerCorpora } from '../corpus/sources.mjs';
import { parallel } from '../corpus/work.mjs';
import { noCorpus } from '../lib/corpus.mjs';
import { inRoot } from '../lib/steps.mjs';

const bpfc = inRoot('build/release/bpfc');
const run = promisify(execFile);

/** Groups of warnings, what the verifier says of the same, and how often that is foreseen at least:
 * most such programs of the selftests are written in assembly, which is not looked at. */
const REASONS = {
  'bpf-helper': {
    said: /unknown func |invalid func |program of this type cannot use/,
    least: 10,
  },
  'bpf-license': { said: /cannot call GPL-restricted function/, least: 0 },
  'bpf-context': { said: /invalid bpf_context access/, least: 2 },
  'bpf-loop': { said: /infinite loop detected/, least: 1 },
};

/** The object, and its warnings of these groups. */
async function compile(file, dir) {
  const object = path.join(dir, `${file.name}.o`);
  fs.mkdirSync(path.dirname(object), { recursive: true });
  const args = [
    ...[
      'cc',
      '--json',
      ...ours(file.flags).filter((flag) => flag !== '-w'),
      '-Wno-everything',
      '-Wbpf',
    ],
    ...[path.basename(file.source), '-o', object],
  ];
  const options = { cwd: path.dirname(file.source), maxBuffer: 1 << 28 };
  const said = await run(bpfc, args, options).catch((error) => error);
  if (said.code) return null;
  return { object, warnings: JSON.parse(said.stdout || '[]') };
}

/** The programs that a warning is about: those named in its notes, or the one around its line. */
function programOf(warning, source, names) {
  for (const { message } of warning.notes ?? []) {
    const named = /^it is reached from '(.*)'/.exec(message)?.[1];
    if (named) return named;
  }
  const places = [warning, ...(warning.notes ?? [])];
  const own = places.filter(({ file }) => file === path.basename(source));
  const lines = fs.readFileSync(source, 'utf8').split('\n');
  for (let n = own.at(-1)?.line ?? 0; n > 0; n -= 1) {
    for (const [name] of lines[n - 1].matchAll(/\w+/g))
      if (names.has(name)) return name;
    if (/^(?!SEC|__)\w[^;]*\(/.test(lines[n - 1])) return null; // another function
  }
  return null;
}

export async function judgeFile(file, dir) {
  const made = await compile(file, dir);
  if (!made) return { told: [], refused: [] };
  const records = (await judge([made.object])).get(made.object);
  const names = new Map(records.map((record) => [record.program, record]));
  const told = made.warnings.map((warning) => {
    const program = programOf(warning, file.source, names);
    const verdict = names.get(program)?.verdict;
    return { ...warning, where: file.name, program, verdict };
  });
  const bad = records.some(({ verdict }) => verdict === 'rejected');
  const logs = bad ? (await refusals([made.object])).get(made.object) : [];
  return { told, refused: logs.map((log) => ({ ...log, where: file.name })) };
}

function rowsOf(group, least, told, refused) {
  const own = told.filter((warning) => warning.option === `-W${group}`);
  const wrong = own.filter(({ verdict }) => verdict === 'accepted');
  const reason = REASONS[group].said;
  const same = refused.filter(({ log }) => reason.test(log));
  const found = same.filter(({ where, program }) =>
    own.some((w) => w.where === where && w.program === program),
  );
  const missed = same.filter((record) => !found.includes(record));
  return [
    {
      what: `-W${group}: told of programs that the kernel takes`,
      required: '0',
      measured: `${wrong.length} of ${own.length}`,
      ok: wrong.length === 0,
      notes: wrong.map(
        (w) => `${w.where}/${w.program}:${w.line}: ${w.message}`,
      ),
    },
    {
      what: `-W${group}: refusals for this that were foreseen`,
      required: `≥ ${least}`,
      measured: `${found.length} of ${same.length}`,
      ok: found.length >= least,
      notes: missed.slice(0, 40).map((r) => `${r.where}/${r.program}`),
    },
  ];
}

export default {
  name: 'foresee',
  title: 'warnings of what the verifier will refuse, against the verifier',
  needs: () => noLoader() ?? noCorpus(),
  async run({ sample, log }) {
    const corpora = peerCorpora(sample);
    const told = [];
    const refused = [];
    for (const corpus of corpora.filter(({ reason }) => !reason)) {
      await compileByClang(corpus, log);
      const files = corpus.files.filter((file) => file.clang.object);
      const dir = inRoot('build/peers/foresee', corpus.name);
      let done = 0;
      await parallel(files, async (file) => {
        const said = await judgeFile(file, dir);
        told.push(...said.told);
        refused.push(...said.refused);
        done += 1;
        if (done % 100 === 0) log(`${corpus.name}: ${done} files`);
      });
    }
    const rows = Object.entries(REASONS).flatMap(([group, { least }]) =>
      rowsOf(group, sample ? 0 : least, told, refused),
    );
    const absent = corpora.filter(({ reason }) => reason).map(absentRow);
    return [...rows, ...absent];
  },
};
