// The fuzzers: what they run, reach and find, and that they find a bug that is there.
import {
  fuzzTargets,
  measureCoverage,
  noCoverage,
  noFuzzers,
  prepareFuzzers,
  runFuzzer,
  twoAtATime,
} from '../lib/fuzz.mjs';
import { Log, listFiles } from '../lib/steps.mjs';

const REACHED = 70; // percent of the lines of what a target answers for
const PLANTED_SECONDS = 180;
const PLANTED_RUNS = 1_000_000;
/** A sample is the same in every run, so that it fails only for what a change has done. */
const SAMPLE_RUNS = 3000;
const SAMPLE_SECONDS = 60;
const PLANTED_SAMPLE_RUNS = 20_000;

/** Which group answers for a source file: the first row that matches. */
const ANSWERS = [
  [/^asm-core\/asm\/(dis|objdump)\w*\.c$/, 'disassemble'],
  [/^asm-core\/(asm|isa|base)\//, 'assemble'],
  [/^asm-core\/obj\/(btf_ext|core)\w*\.c$/, 'core'],
  [/^asm-core\/obj\/btf\w*\.c$/, 'btf'],
  [/^asm-core\/obj\//, 'object'],
  [/^asm-core\/vm\//, 'vm'],
  [/^asm-core\/verify\//, 'explain'],
  [/^asm-core\/cc\/(lex|pp)\w*\.c$/, 'preprocess'],
  [/^asm-core\/cc\/(btf|lower)\w*\.c$/, 'compile'],
  [/^asm-core\/cc\//, 'cc'],
  [/^asm-core\/ir\//, 'ir'],
  [/^asm-core\/gen\//, 'compile'],
  [/^asm-core\/api\//, 'api'],
];
/** The targets of a group: fuzz_calls helps fuzz_vm, and fuzz_kernel has the BTF for fuzz_cc. */
const GROUPS = {
  assemble: ['assemble'],
  disassemble: ['disassemble'],
  object: ['object'],
  btf: ['btf'],
  core: ['core'],
  vm: ['vm', 'calls'],
  preprocess: ['preprocess'],
  cc: ['cc', 'kernel'],
  compile: ['compile'],
  ir: ['ir'],
  explain: ['explain'],
  api: fuzzTargets(), // all of them enter there
};
const FOLDERS = [
  ...['base', 'isa', 'obj', 'asm', 'vm', 'verify'],
  ...['cc', 'ir', 'gen', 'api'],
];

const answerer = (file) =>
  ANSWERS.find(([pattern]) => pattern.test(file))?.[1] ?? '';

const thousands = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ',');
const kilobytes = (bytes) => `${thousands(Math.ceil(bytes / 1024))} KB`;
const percent = ({ covered, lines }) => (100 * covered) / lines;

/** What a target ran and found. */
const runRow = (result, span) => ({
  what: `${result.target}: findings in ${span}`,
  required: '0',
  measured: result.found ? '1' : '0',
  ok: !result.found && result.executions > 0,
  notes: [
    `${thousands(result.executions)} executions (${thousands(result.perSecond)}/s), ` +
      `${thousands(result.edges)} edges, ${thousands(result.features)} features, ` +
      `corpus ${thousands(result.files)} files, ${kilobytes(result.bytes)}`,
    ...(result.found ? [result.found] : []),
  ],
});

/** The lines of all that a target answers for; files that fall short, with what is not called. */
function coverageRow(target, reached) {
  const files = [...reached].filter(
    ([file, { lines }]) => answerer(file) === target && lines > 0,
  );
  const sum = { lines: 0, covered: 0 };
  for (const [, { lines, covered }] of files) {
    sum.lines += lines;
    sum.covered += covered;
  }
  const share = sum.lines > 0 ? percent(sum) : 0;
  const short = files.filter(([, counts]) => percent(counts) < REACHED);
  const name = (file) => file.replace('asm-core/', '');
  return {
    what: `${target}: lines reached`,
    required: `≥ ${REACHED} %`,
    measured: `${share.toFixed(1)} % of ${thousands(sum.lines)}`,
    ok: share >= REACHED,
    notes: [
      files
        .map(([file, c]) => `${name(file)} ${percent(c).toFixed(0)} %`)
        .join(', '),
      ...short.map(
        ([file, { unreached }]) =>
          `not called in ${name(file)}: ${unreached.join(', ') || 'nothing'}`,
      ),
    ],
  };
}

/** Every source file has a target that answers for it and that has it. */
function answerRow(coverage) {
  const files = listFiles(FOLDERS.map((name) => `asm-core/${name}`)).filter(
    (file) => file.endsWith('.c'),
  );
  const without = files.filter((file) => !coverage[answerer(file)]?.has(file));
  return {
    what: 'source files that a target answers for',
    required: 'all',
    measured: `${files.length - without.length} of ${files.length}`,
    ok: without.length === 0,
    notes: without,
  };
}

/** The read past the end that is there on purpose, as one sanitizer or the other tells it. */
const PLANTED = /heap-buffer-overflow|in plant test/;

/** The bug on purpose in each of the targets is found, and reported as what it is. */
const plantedRow = ({ target, found, executions }, span) => ({
  what: `${target}: planted bug`,
  required: `found in ${span}`,
  measured: !found
    ? 'not found'
    : PLANTED.test(found)
      ? 'found'
      : 'something else found',
  ok: PLANTED.test(found),
  notes: [
    `after ${thousands(executions)} executions`,
    ...(found && !PLANTED.test(found) ? [found] : []),
  ],
});

const planted = (targets, limits) =>
  twoAtATime(
    targets.map(
      (target) => () => runFuzzer(`planted_${target}`, target, limits),
    ),
  );

export default {
  name: 'fuzz',
  title: 'Fuzzers: no findings, and what they reach',

  needs: () => noFuzzers() ?? noCoverage(),

  async run({ sample, log }) {
    const own = new Log('fuzz');
    const limits = sample
      ? { seconds: SAMPLE_SECONDS, runs: SAMPLE_RUNS }
      : { seconds: Number(process.env.BPF_FUZZ_SECONDS ?? 600) };
    const span = sample
      ? `${thousands(SAMPLE_RUNS)} executions`
      : `${limits.seconds} s`;
    await prepareFuzzers(own, { thorough: !sample });
    const targets = fuzzTargets();
    log(`${targets.join(', ')}: ${span} each, two at a time`);
    const results = await twoAtATime(
      targets.map((target) => async () => {
        const result = await runFuzzer(`fuzz_${target}`, target, limits);
        log(`${target}: ${thousands(result.executions)} executions`);
        return result;
      }),
    );
    const rows = results.map((result) => runRow(result, span));
    if (sample) {
      const most = { ...limits, runs: PLANTED_SAMPLE_RUNS };
      const found = await planted(['object'], most);
      rows.push(
        ...found.map((result) =>
          plantedRow(result, `${thousands(PLANTED_SAMPLE_RUNS)} executions`),
        ),
      );
      return rows;
    }
    const coverage = await measureCoverage(own, GROUPS);
    for (const [name, reached] of Object.entries(coverage))
      rows.push(coverageRow(name, reached));
    rows.push(answerRow(coverage));
    const most = { seconds: PLANTED_SECONDS, runs: PLANTED_RUNS };
    const found = await planted(targets, most);
    rows.push(
      ...found.map((result) => plantedRow(result, `${PLANTED_SECONDS} s`)),
    );
    own.close();
    return rows;
  },
};
