// Errors beside clang 19: C files with one mistake each (lib/mutate.mjs) are checked by both. Both
// must refuse the same ones, name the same line first, and ours must not make a stream of errors of
// one mistake: not more than half as many again as clang makes, of all and of each that comes to more
// than the 20 behind which clang stops.
//   BPF_RECOVERY=N: N mutants instead; BPF_RECOVERY_SEED=S: others; the same are the same mutants.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { hash, keep, kept, parallel } from '../corpus/work.mjs';
import {
  CLANG,
  clangFlags,
  compileFlags,
  noCorpus,
  selftestNames,
  selftestSample,
  selftests,
} from '../lib/corpus.mjs';
import { kinds, mutantOf, randomOf } from '../lib/mutate.mjs';
import { inRoot } from '../lib/steps.mjs';

const BPFC = inRoot('build/release/bpfc');
const MUTANTS = Number(process.env.BPF_RECOVERY ?? 1200);
const SEED = Number(process.env.BPF_RECOVERY_SEED ?? 1);
const SAMPLE = 46;
const STREAM = 20; // clang's -ferror-limit
const MORE = 1.5;

/** What the compilers say of a file of that name and folder with that text, from first to last. */
function errorsOf([command, ...verb], flags, file, text) {
  const where = path.join(file.dir, path.basename(file.source));
  fs.writeFileSync(where, text);
  const args = [
    ...verb,
    ...['-fsyntax-only', '-w', '-ferror-limit=0'],
    ...['-iquote', path.dirname(file.source)],
    ...flags,
    where,
  ];
  return new Promise((resolve, reject) => {
    const options = { timeout: 60_000, maxBuffer: 1 << 28 };
    execFile(command, args, options, (error, stdout, stderr) => {
      const errors = [];
      const line = /^(.*?):(\d+):\d+: (?:fatal )?error: (.*)$/gm;
      for (const [, name, at, message] of stderr.matchAll(line))
        errors.push({ at: `${path.basename(name)}:${at}`, message });
      if (error && error.code !== 1)
        reject(
          new Error(
            `${command} ended with ${error.code ?? error.signal}: ${stderr}`,
          ),
        );
      else resolve({ errors, said: stderr });
    });
  });
}

async function errorsOfClang(file, text) {
  const key = hash(
    'recovery 1',
    CLANG,
    JSON.stringify(file.flags),
    file.source,
    text,
  );
  const known = kept(key);
  if (known) return known;
  const { errors } = await errorsOf([CLANG], file.flags, file, text);
  return keep(key, { errors });
}

const errorsOfUs = (file, text) =>
  errorsOf([BPFC, 'cc'], ['-nostdinc', ...file.flags], file, text);

/** C files: the selftests, ours, and the cases of test/cases/cc that are one file. */
function filesOf(sample) {
  const names = sample
    ? selftestSample().filter((name) => !name.startsWith('btf__'))
    : selftestNames();
  const own = ['bench/programs', 'examples/syscalls'].flatMap((dir) =>
    fs
      .readdirSync(inRoot(dir))
      .filter((name) => name.endsWith('.c'))
      .map((name) => inRoot(dir, name)),
  );
  return [
    ...names.map((name) => ({
      source: path.join(selftests(), 'progs', `${name}.c`),
      flags: compileFlags(name),
    })),
    ...own.map((source) => ({ source, flags: clangFlags() })),
  ];
}

/** One mutant, judged: { kind, file, ours, clang } with the errors of both. */
async function judge({ file, kind, seed }) {
  const text = fs.readFileSync(file.source, 'utf8');
  const mutant = mutantOf(text, kind, seed);
  if (mutant === null || mutant === text) return null;
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-recovery-'));
  try {
    const at = { ...file, dir };
    const clang = await errorsOfClang(at, mutant);
    const ours = await errorsOfUs(at, mutant);
    return { kind, seed, file, mutant, clang: clang.errors, ours: ours.errors };
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
}

const whereIs = ({ file, kind, seed }) =>
  `${path.basename(file.source)}, ${kind}, seed ${seed}`;

const first = (errors) =>
  errors.length > 0 ? `${errors[0].at} ${errors[0].message}` : 'nothing';

const percent = (part, all) => `${((100 * part) / all).toFixed(1)} %`;

export default {
  name: 'recovery',
  title: 'Errors: C with one mistake, and what clang says of it',

  needs() {
    if (!fs.existsSync(BPFC)) return 'build/release/bpfc is not built';
    return noCorpus();
  },

  async run({ sample, log }) {
    const files = filesOf(sample);
    const next = randomOf(SEED);
    const wanted = Array.from(
      { length: sample ? SAMPLE : MUTANTS },
      (_, n) => ({
        file: files[next(files.length)],
        kind: kinds[n % kinds.length],
        seed: next(2 ** 31),
      }),
    );
    const all = [];
    await parallel(wanted, async (one) => {
      const result = await judge(one);
      if (result) all.push(result);
      if (result && all.length % 200 === 0) log(`${all.length} mutants`);
    });
    const wrong = all.filter(({ clang }) => clang.length > 0);
    const verdicts = all.filter(
      ({ ours, clang }) => ours.length > 0 === clang.length > 0,
    );
    const lines = wrong.filter(
      ({ ours, clang }) => ours[0]?.at === clang[0].at,
    );
    // No more of one than are told: a missing header is thousands to clang.
    const sum = (who) =>
      all.reduce((n, one) => n + Math.min(one[who].length, STREAM), 0);
    const streams = all.filter(
      ({ ours, clang }) =>
        ours.length > STREAM && ours.length > MORE * clang.length,
    );
    const miss = (list, of) =>
      of
        .filter((one) => !list.includes(one))
        .map(
          (one) =>
            `${whereIs(one)}: ours ${one.ours.length}, ${first(one.ours)}; clang's ${one.clang.length}, ${first(one.clang)}`,
        );
    if (process.env.BPF_RECOVERY_OUT)
      fs.writeFileSync(
        process.env.BPF_RECOVERY_OUT,
        JSON.stringify(all, null, 1),
      );
    return [
      {
        what: `${all.length} mutants: refused by both or by none`,
        required: '>= 99 %',
        measured: percent(verdicts.length, all.length),
        ok: verdicts.length >= 0.99 * all.length,
        notes: miss(verdicts, all).slice(0, 20),
      },
      {
        what: `${wrong.length} refused: the first error in the same line`,
        required: '>= 95 %',
        measured: percent(lines.length, wrong.length),
        ok: lines.length >= 0.95 * wrong.length,
        notes: miss(lines, wrong).slice(0, 20),
      },
      {
        what: 'errors in all, to those of clang',
        required: `<= ${MORE}`,
        measured: (sum('ours') / sum('clang')).toFixed(2),
        ok: sum('ours') <= MORE * sum('clang'),
      },
      {
        what: `mutants with more than ${STREAM} errors, and ${MORE} times as many as of clang`,
        required: '0',
        measured: String(streams.length),
        ok: streams.length === 0,
        notes: streams
          .map(
            (one) =>
              `${whereIs(one)}: ${one.ours.length}, clang ${one.clang.length}`,
          )
          .slice(0, 20),
      },
    ];
  },
};
