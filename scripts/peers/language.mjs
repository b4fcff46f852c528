// The language beside clang 19: each snippet of scripts/peers/language is compiled by both for BPF;
// both must take it or refuse it, with the first error in the same line, and what `run` returns in
// the VM must be the same. A snippet begins with `//- NAME: FLAGS`; a line `// differs: WHY` behind
// that says that the verdicts are meant to differ, and then they must.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { parallel } from '../corpus/work.mjs';
import { hasCommand } from '../lib/needs.mjs';
import { inRoot } from '../lib/steps.mjs';

const BPFC = inRoot('build/release/bpfc');
const CLANG = 'clang-19';
const FOLDER = inRoot('scripts/peers/language');
/** `RUN(void *c) { … }` is the program whose result is compared. */
const RUN = '-DRUN=__attribute__((section("socket"), used)) long run';
const SAMPLE_STEP = 8;

const run = promisify(execFile);

/** What a command did: its status, and what it wrote to both streams. */
async function attempt(command, args) {
  try {
    const { stdout, stderr } = await run(command, args, { timeout: 20_000 });
    return { status: 0, stdout, stderr };
  } catch (error) {
    const { code, signal, stdout, stderr } = error;
    return { status: code ?? signal, stdout, stderr };
  }
}

/** The snippets of one file: `{ name, flags, differs, text }`. */
export function snippetsOf(text) {
  return text
    .split(/^\/\/- /m)
    .slice(1)
    .map((part) => {
      const [, name, flags] = part.match(/^([\w-]+)(?:: (.*))?\n/);
      const differs = part.match(/^.*\n\/\/ differs: (.*)\n/)?.[1];
      return {
        name,
        flags: flags?.split(' ') ?? [],
        differs,
        text: `//- ${part}`,
      };
    });
}

/** `accepted`, or `refused` with the line of the first error (0 where clang's back end names none). */
const verdictOf = ({ status, stderr }, file) => {
  if (status === 0) return { accepted: true };
  const line = new RegExp(
    `${path.basename(file)}:(\\d+):\\d+: (?:fatal )?error:`,
  );
  return {
    accepted: false,
    status,
    line: Number(stderr.match(line)?.[1] ?? 0),
  };
};

async function resultOf(object) {
  const args = ['sim', object, '--prog', 'run', '--mem', '00'.repeat(64)];
  const { status, stdout, stderr } = await attempt(BPFC, args);
  return status === 0
    ? stdout.trim().split(/\s+/).pop()
    : `stopped: ${stderr.split('\n')[0]}`;
}

async function judge(snippet, dir) {
  const file = path.join(dir, `${snippet.name}.c`);
  const [ours, theirs] = [`${file}.ours.o`, `${file}.clang.o`];
  fs.writeFileSync(file, snippet.text);
  const common = ['-O2', '-g', '-w', '-c', RUN, ...snippet.flags, file, '-o'];
  const target = ['-target', 'bpf'];
  const cpu = snippet.flags.some((flag) => flag.startsWith('-mcpu'))
    ? []
    : ['-mcpu=v3'];
  const [a, b] = await Promise.all([
    attempt(BPFC, ['cc', ...cpu, ...common, ours]),
    attempt(CLANG, [...target, ...cpu, ...common, theirs]),
  ]);
  const [us, clang] = [verdictOf(a, file), verdictOf(b, file)];
  const out = { ...snippet, us, clang, said: `${a.stderr}${b.stderr}` };
  if (!us.accepted && us.status !== 1 && us.status !== 2)
    return { ...out, miss: `ended with ${us.status}` };
  if (us.accepted !== clang.accepted)
    return {
      ...out,
      miss: us.accepted ? 'taken by us only' : 'refused by us only',
    };
  if (!us.accepted)
    return clang.line && us.line !== clang.line
      ? { ...out, miss: `error in line ${us.line}, clang's in ${clang.line}` }
      : out;
  if (!/\bRUN\(/.test(snippet.text)) return out;
  const [x, y] = await Promise.all([resultOf(ours), resultOf(theirs)]);
  return x === y
    ? { ...out, ran: true }
    : { ...out, miss: `gives ${x}, clang's ${y}` };
}

export default {
  name: 'language',
  title: 'The language: snippets, taken or refused, and what they return',

  needs() {
    if (!hasCommand(CLANG)) return `${CLANG} is not installed`;
    return fs.existsSync(BPFC) ? null : 'build/release/bpfc is not built';
  },

  async run({ sample, log }) {
    const files = fs
      .readdirSync(FOLDER)
      .filter((name) => name.endsWith('.txt'));
    let snippets = files
      .sort()
      .flatMap((name) =>
        snippetsOf(fs.readFileSync(path.join(FOLDER, name), 'utf8')),
      );
    if (sample) snippets = snippets.filter((_, n) => n % SAMPLE_STEP === 0);
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-language-'));
    const results = [];
    try {
      await parallel(snippets, async (snippet) => {
        results.push(await judge(snippet, dir));
      });
    } finally {
      fs.rmSync(dir, { recursive: true });
    }
    const misses = results.filter(
      ({ miss, differs }) => Boolean(miss) !== Boolean(differs),
    );
    for (const { name, miss, said } of misses)
      log(`${name}: ${miss ?? 'no longer differs'}\n${said}`);
    const meant = results.filter(({ differs }) => differs).length;
    const ran = results.filter(({ ran: is }) => is).length;
    return [
      {
        what: `${results.length} snippets: verdict, line and result`,
        required: 'all',
        measured: `${results.length - misses.length} (${ran} run, ${meant} meant to differ)`,
        ok: misses.length === 0,
        notes: misses.map(
          ({ name, miss }) => `${name}: ${miss ?? 'no longer differs'}`,
        ),
      },
    ];
  },
};
