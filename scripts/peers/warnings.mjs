// Warnings against clang's: over snippets of every kind (test/peers/warnings.txt) and over the corpora,
// both compilers are run with the same -W options, and what they warn of is compared by line and
// option. Differences that are meant are listed with why.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ours } from '../corpus/compile.mjs';
import { corporaOf, corpusNames, folderCorpus } from '../corpus/sources.mjs';
import { parallel } from '../corpus/work.mjs';
import { CLANG, noCorpus } from '../lib/corpus.mjs';
import { inRoot } from '../lib/steps.mjs';

const bpfc = inRoot('build/release/bpfc');
const run = promisify(execFile);
const LIMITS = { found: 0.98, extra: 0.02 };
const MOST = 90; // more warnings than that in a file are cut off

/** Differences that are meant, by what is said of them, and why. */
const MEANT = [
  {
    line: /-W(format|format-\w+-args|nonnull): .*(format|argument|conversions)/,
    why: 'attributes format and nonnull: there is no printf in BPF; bpf_printk is checked instead',
  },
  {
    line: /-Wformat(-\w+-args)?: '%/,
    why: 'formats of bpf_printk, which clang does not know',
  },
  {
    line: /-W(sizeof-\S+|unevaluated-expression|memset-transposed-args|pointer-arith): /,
    why: 'how a sizeof was written is not kept',
  },
  {
    line: /-W(unused-macros|pragma-once-outside-header|extra-tokens|literal-conversion): /,
    why: 'unused macros, #pragma once in a program, text behind a skipped #else, floating point',
  },
  {
    line: /\.h:\d+ -W/,
    why: "headers that are included as <...> are somebody else's",
  },
];

const snippets = () =>
  fs
    .readFileSync(inRoot('test/peers/warnings.txt'), 'utf8')
    .split(/^-- /m)
    .slice(1)
    .map((text, n) => {
      const end = text.indexOf('\n');
      return {
        name: `${n + 1}.c`,
        flags: text.slice(0, end).split(' '),
        code: text.slice(end + 1),
      };
    });

/** What clang says: `FILE:LINE -Woption` by message; null if the C is wrong. */
async function byClang(flags, source, dir) {
  const args = [
    ...['-target', 'bpf', ...flags, '-fsyntax-only', '-ferror-limit=0'],
    ...['-fno-caret-diagnostics', '-fno-color-diagnostics', source],
  ];
  const options = { cwd: dir, maxBuffer: 1 << 28 };
  const said = await run(CLANG, args, options).catch((error) => error);
  if (said.stderr === undefined) throw said;
  const found = new Map();
  const line =
    /^(.*?):(\d+):\d+: (?:warning|error): (.*) \[(?:-Werror,)?(-W[^\]]*)\]$/gm;
  for (const [, file, at, message, options_] of said.stderr.matchAll(line))
    found.set(
      `${path.resolve(dir, file)}:${at} ${options_.split(',').at(-1)}`,
      message,
    );
  return { ok: !said.code, found };
}

async function byUs(flags, source, dir) {
  const args = ['cc', '--json', ...flags, '-fsyntax-only', source];
  const options = { cwd: dir, maxBuffer: 1 << 28 };
  const said = await run(bpfc, args, options).catch((error) => error);
  const found = new Map();
  for (const one of JSON.parse(said.stdout || '[]'))
    if (one.option)
      found.set(
        `${path.resolve(dir, one.file)}:${one.line} ${one.option}`,
        one.message,
      );
  return { ok: !said.code, found };
}

/** Adds what two say of one file to the tally. */
function compare(tally, clang, own, name) {
  const short = (key) => `${name}: ${key.slice(key.lastIndexOf('/') + 1)}`;
  for (const [key, message] of clang)
    if (own.has(key)) tally.both += 1;
    else tally.missed.push(`${short(key)}: ${message}`);
  for (const [key, message] of own)
    if (!clang.has(key)) tally.extra.push(`${short(key)}: ${message}`);
}

const isMeant = (line) => MEANT.some((one) => one.line.test(line));

function rowsOf(what, tally) {
  const missed = tally.missed.filter((line) => !isMeant(line));
  const extra = tally.extra.filter((line) => !isMeant(line));
  const all = tally.both + missed.length;
  const meant =
    tally.missed.length + tally.extra.length - missed.length - extra.length;
  const percent = (part, whole) =>
    `${part} of ${whole} (${((100 * part) / Math.max(whole, 1)).toFixed(1)} %)`;
  return [
    {
      what: `${what}: clang's warnings found`,
      required: `≥ ${LIMITS.found * 100} %`,
      measured: percent(tally.both, all),
      ok: tally.both > 0 && tally.both >= LIMITS.found * all,
      notes: missed.sort().slice(0, 600),
    },
    {
      what: `${what}: warnings that clang has not`,
      required: `≤ ${LIMITS.extra * 100} %`,
      measured: percent(extra.length, tally.both + extra.length),
      ok: extra.length <= LIMITS.extra * (tally.both + extra.length),
      notes: [
        ...extra.sort().slice(0, 600),
        ...(meant ? [`${meant} differences are meant`] : []),
      ],
    },
  ];
}

async function judgeSnippets() {
  const tally = { both: 0, missed: [], extra: [] };
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-warnings-'));
  await parallel(snippets(), async ({ name, flags, code }) => {
    fs.writeFileSync(path.join(dir, name), code);
    const [clang, own] = await Promise.all([
      byClang(flags, name, dir),
      byUs(flags, name, dir),
    ]);
    compare(tally, clang.found, own.found, 'snippet');
  });
  fs.rmSync(dir, { recursive: true, force: true });
  return rowsOf('snippets', tally);
}

async function judgeCorpora(log) {
  const folders = process.env.BPF_BTF_CORPUS?.split(':') ?? [];
  const corpora = [
    ...corporaOf(corpusNames),
    ...folders.map((folder) => folderCorpus(folder, [])),
  ];
  const tally = { both: 0, missed: [], extra: [] };
  for (const corpus of corpora) {
    await parallel(corpus.files, async (file) => {
      const dir = path.dirname(file.source);
      const source = path.basename(file.source);
      const flags = file.flags.filter((flag) => !/^-w$|^-W(?!p,)/.test(flag));
      const said = await byClang([...flags, '-Wall', '-Wextra'], source, dir);
      if (!said.ok || said.found.size > MOST) return;
      const options = [...ours(flags), '-Wall', '-Wextra', '-Wno-bpf'];
      const own = await byUs(options, source, dir);
      compare(tally, said.found, own.found, file.name);
    });
    log(corpus.name);
  }
  return rowsOf('corpora, -Wall -Wextra', tally);
}

export default {
  name: 'warnings',
  title: 'warnings, against clang',
  needs: () => noCorpus(),
  async run({ sample, log }) {
    const rows = await judgeSnippets();
    return sample ? rows : [...rows, ...(await judgeCorpora(log))];
  },
};
