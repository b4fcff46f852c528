// Explanations of the verifier's log: of every program of the kernel's selftests that the running
// kernel refuses when clang's objects are loaded, which cause is found and whether the line of C is
// right. A log has lines of C of its own, and the object's .BTF.ext knows them, too: told apart, both
// must say the same. The same logs are then given the report that Linux 7.3 puts below them, which
// must be read back. The programs of test/cases/verify are loaded here, too: their stored logs must
// have the cause that this kernel's log has; BLESS=1 stores the logs anew.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { noLoader, refusals } from '../corpus/load.mjs';
import { noCorpus, selftestCorpus } from '../lib/corpus.mjs';
import { withReport } from '../lib/report73.mjs';
import { inRoot } from '../lib/steps.mjs';

const BPFC = inRoot('build/release/bpfc');
const CASES = inRoot('test/cases/verify');

/** Objects of the sample: many kinds of refusals in little time. */
const SAMPLE = [
  ...['verifier_ref_tracking', 'verifier_bounds', 'verifier_ctx'],
  ...['dynptr_fail', 'iters_state_safety', 'verifier_sock'],
  ...['verifier_direct_packet_access', 'verifier_spin_lock', 'rbtree_fail'],
];
const REQUIRED = 0.95;

function bpfc(args, input) {
  const done = spawnSync(BPFC, args, { input, maxBuffer: 1 << 29 });
  if (done.status !== 0)
    throw new Error(`bpfc ${args.join(' ')}: ${done.stderr}`);
  return done.stdout;
}

const explain = (log, ...args) =>
  JSON.parse(bpfc(['explain', '-', '--json', ...args], log));

const share = (part, all) =>
  `${part} of ${all}${all ? ` (${((100 * part) / all).toFixed(1)} %)` : ''}`;

/** A row about many: how many are as they should be, and which are not. */
const judged = (what, total, wrong, least = 1) => ({
  what,
  required: least === 1 ? 'all' : `≥ ${100 * least} %`,
  measured: share(total - wrong.length, total),
  ok: total > 0 && total - wrong.length >= least * total,
  notes: wrong.slice(0, 40),
});

const samePlace = (a, b) =>
  a.line === b.line &&
  a.text === b.text &&
  path.basename(a.file) === path.basename(b.file);

/** What is explained of one program, from the log alone and with the object. */
function explained(object, { program, log }) {
  const where = `${path.basename(object, '.o')}: ${program}`;
  return {
    where,
    log,
    alone: explain(log),
    full: explain(log, '--object', object, '--prog', program),
  };
}

const place = ({ source }) =>
  source ? `${source.file}:${source.line}: ${source.text}` : 'none';

function judgeSelftests(found) {
  const unknown = found.filter(({ full }) => !full.cause);
  const both = found.filter(({ alone, full }) => alone.source && full.source);
  const differ = both.filter(
    ({ alone, full }) => !samePlace(alone.source, full.source),
  );
  const instructed = found.filter(({ full }) => full.instruction !== undefined);
  const unplaced = instructed.filter(({ full }) => !full.source);
  return [
    judged(
      'refused selftests whose cause is explained',
      found.length,
      unknown.map(
        ({ where, full }) =>
          `${where}: ${full.message ?? 'no reason in the log'}`,
      ),
      REQUIRED,
    ),
    judged(
      'lines of C that log and object both have: the same',
      both.length,
      differ.map(
        ({ where, alone, full }) =>
          `${where}: ${place(alone)}, in the object ${place(full)}`,
      ),
    ),
    judged(
      'instructions whose line of C is known',
      instructed.length,
      unplaced.map(({ where, full }) => `${where}: ${full.message}`),
      REQUIRED,
    ),
  ];
}

/* ---- the format of Linux 7.3 ---- */

const CATEGORIES = [
  ['Register Type Safety', 'invalid dereference'],
  ['Memory Safety', 'access outside bounds'],
  ['Resource Lifetime Safety', 'unreleased resource'],
  ['Call Type Safety', 'invalid call argument'],
  ['Execution Context Safety', 'operation is not allowed in this context'],
];

/** A report that says what an explanation says, in the kernel's form. */
function reportOf({ full }, index) {
  const [category, problem] = CATEGORIES[index % CATEGORIES.length];
  const { source, instruction = 0 } = full;
  const placed = source?.line &&
    source.text && {
      func: source.function,
      column: 3,
      ...source,
      text: `${index % 2 ? ' '.repeat(8) : ''}${source.text}`,
    };
  const at = (insn, label, text) => ({
    ...{ insn, label, text, place: placed || undefined },
    insns: [
      ...(insn > 0 ? [[insn - 1, '(b7) r0 = 0']] : []),
      [insn, full.instructionText ?? '(95) exit'],
    ],
  });
  return {
    ...{ category, problem },
    // Words that are longer than a line are cut, and nothing says so.
    reason: `${full.explanation.replace(/\s+/g, ' ').replace(/\/\S+\//g, '')}.`,
    suggestion: `${full.remedy.replace(/\s+/g, ' ') || 'None'}.`,
    at: at(instruction, 'error', full.message),
    path: (full.origin ?? []).map((step) =>
      at(step.instruction ?? 0, 'update', step.words),
    ),
  };
}

/** What was not read back, or null. */
function misread(found, index) {
  const wanted = reportOf(found, index);
  const got = explain(withReport(found.log, wanted));
  const { report } = got;
  const title = `${wanted.problem[0].toUpperCase()}${wanted.problem.slice(1)}`;
  const pairs = [
    ['cause', got.cause, found.full.cause],
    ['message', got.message, found.full.message],
    ['category', report?.category, wanted.category],
    ['problem', report?.problem, title],
    ['reason', report?.reason, wanted.reason],
    ['suggestion', report?.suggestion, wanted.suggestion],
    ['error', report?.at.text, wanted.at.text],
    ['instruction', report?.at.instruction, wanted.at.insn],
    ['line', got.source?.line, wanted.at.place?.line ?? got.source?.line],
    ['file', got.source?.file, wanted.at.place?.file ?? got.source?.file],
    ['events', report?.path.length, wanted.path.length],
    ...wanted.path.map((of, i) => [
      `event ${i}`,
      `${report?.path[i]?.label}: ${report?.path[i]?.text}`,
      `${of.label}: ${of.text}`,
    ]),
  ];
  const wrong = pairs.find(([, is, should]) => is !== should);
  return (
    wrong && `${found.where}: ${wrong[0]} is '${wrong[1]}', not '${wrong[2]}'`
  );
}

function judgeReports(found) {
  const usable = found.filter(({ full }) => full.refused);
  const wrong = usable.map(misread).filter(Boolean);
  return judged(
    'the same logs with the report of Linux 7.3',
    usable.length,
    wrong,
  );
}

/* ---- test/cases/verify ---- */

/** The parts of a case by their names. */
function partsOf(file) {
  const [, ...parts] = fs.readFileSync(file, 'utf8').split(/^-- /m);
  return new Map(
    parts.map((part) => {
      const end = part.indexOf('\n');
      return [part.slice(0, end), part.slice(end + 1)];
    }),
  );
}

/** What differs from one load to the next. */
const settled = (log) =>
  log
    .replace(/^verification time .*\n/m, '')
    .replace(/(\(18\) r\d+ = )0xffff[0-9a-f]{12}\b/g, '$10xffff888000000000');

async function loadCase(file, folder) {
  const parts = partsOf(file);
  const name = path.basename(file, '.case');
  const language = parts.has('program.c') ? 'c' : 's';
  const source = parts.get(`program.${language}`);
  if (source === undefined) return undefined; // a log that no kernel here writes
  const object = path.join(folder, `${name}.o`);
  fs.writeFileSync(path.join(folder, `${name}.${language}`), source);
  const done = spawnSync(
    BPFC,
    [language === 'c' ? 'cc' : 'as', `${name}.${language}`, '-o', object],
    { cwd: folder, encoding: 'utf8' },
  );
  if (done.status !== 0) throw new Error(done.stderr);
  const [record] = (await refusals([object])).get(object);
  return { file, parts, name, log: settled(record?.log ?? '') };
}

function bless({ file, log }) {
  const text = fs.readFileSync(file, 'utf8');
  const at = text.indexOf('-- input.log\n') + '-- input.log\n'.length;
  const end = text.indexOf('\n-- ', at - 1) + 1;
  fs.writeFileSync(file, text.slice(0, at) + log + text.slice(end));
}

export async function judgeCases() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'explain-'));
  const wrong = [];
  let total = 0;
  try {
    for (const entry of fs.readdirSync(CASES).sort()) {
      const loaded = await loadCase(path.join(CASES, entry), folder);
      if (!loaded) continue;
      total += 1;
      if (process.env.BLESS === '1') bless(loaded);
      const stored = explain(loaded.parts.get('input.log'));
      const here = explain(loaded.log);
      if (!here.cause || here.cause !== stored.cause)
        wrong.push(
          `${loaded.name}: ${here.cause ?? `'${here.message}'`} here, stored ${stored.cause}`,
        );
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
  return judged(
    'cases that this kernel refuses for the stored cause',
    total,
    wrong,
  );
}

export default {
  name: 'explain',
  title: "explanations of the verifier's log",
  needs() {
    if (!fs.existsSync(BPFC)) return 'no build/release/bpfc';
    return noLoader() ?? noCorpus();
  },
  async run({ sample, log }) {
    const { files } = await selftestCorpus({ only: sample && SAMPLE, log });
    const objects = files.map(({ object }) => object);
    const records = await refusals(objects, { log });
    const found = objects.flatMap((object) =>
      records.get(object).map((record) => explained(object, record)),
    );
    return [...judgeSelftests(found), judgeReports(found), await judgeCases()];
  },
};
