// The command line beside clang 19. Of the corpora's files, with the same headers: -E with and without
// line markers, -dD, -dM, -M and -MM must give the same text. And every flag that BPF projects'
// Makefiles pass to clang must be taken by both, or refused by both.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { peerCorpora } from '../corpus/sources.mjs';
import { parallel } from '../corpus/work.mjs';
import { noCorpus } from '../lib/corpus.mjs';
import { hasCommand } from '../lib/needs.mjs';
import { inRoot } from '../lib/steps.mjs';

const BPFC = inRoot('build/release/bpfc');
const CLANG = 'clang-19';
const SAMPLE_STEP = 12;
const run = promisify(execFile);

const WAYS = ['-E', '-E -P', '-E -dD', '-E -dM', '-M', '-MM -MP'];

/** One word of a Makefile's command a line, by where it comes from; `no:` where clang refuses it. */
const FLAGS = {
  'libbpf-tools, libbpf-bootstrap':
    '-g|-O2|-target bpf|-D__TARGET_ARCH_x86|-c|-Wall|-mcpu=v3',
  selftests:
    '--target=bpf|--target=bpfel|--target=bpfeb|-mcpu=v2|-mcpu=v4|-mcpu=probe|-mcpu=help|' +
    '-Wno-compare-distinct-pointer-types|-Wuninitialized|-fno-strict-aliasing|-std=gnu11|' +
    '-mlittle-endian|-mbig-endian|-idirafter .|-dM -E|-fms-extensions|-Wno-microsoft-anon-tag|' +
    '-DENABLE_ATOMICS_TESTS|-nostdinc|-isystem .|-include empty.h|-O0|-Wno-unknown-attributes',
  "cilium/ebpf's bpf2go":
    '-Wno-everything|-fdebug-prefix-map=/a=/b|-fdebug-compilation-dir=.|-MD|-MP|-MF x.d|-MT x.o|' +
    '-target bpfel|-target bpfeb|-fno-ident|-v|-mrelax-all|-Wunused-command-line-argument',
  'xdp-tools':
    '-D__BPF_TRACING__|-Wno-visibility|-Werror|-fno-stack-protector|--version|-S|-dumpversion',
  systemd:
    '-std=gnu17|-Wno-address-of-packed-member|-fno-asynchronous-unwind-tables|-isystem/usr/include|' +
    '-D__x86_64__|-fdebug-default-version=5|--print-supported-cpus',
  kernel:
    '-Wp,-MMD,x.d|-fshort-wchar|-funsigned-char|-ffreestanding|-fno-common|-fno-PIE|-pipe|' +
    '-Wundef|-Wno-trigraphs|-fno-delete-null-pointer-checks|-Qunused-arguments|-fmacro-prefix-map=a=b|' +
    '-ftrivial-auto-var-init=zero|-fno-builtin|-fno-jump-tables|-Wframe-larger-than=512|-isysroot .|' +
    '-mllvm -bpf-stack-size=512|-Xclang -target-feature -Xclang +alu32|-fcolor-diagnostics|-gdwarf-4|' +
    '-gz=none|-ggdb|-fno-integrated-as|-H|-###|-print-search-dirs|-print-file-name=include|-ansi',
  'what clang refuses':
    '-fno-such-thing|-O2x|-mcpu=v9|-std=c++9|-march=bpf|--frob|-mno-sse4',
};

/** What we take and clang does not, or the other way round, and why. */
const MEANT = {
  '-fno-such-thing':
    'options -f are hundreds; those that are unknown are taken',
  '-fno-integrated-as': 'clang looks for an assembler',
  '-mrelax-all': 'of assemblers that we do not have',
};

/** Text without what the two cannot agree on: paths to the current folder, the compilers' names. */
const plain = (text, way) => {
  let lines = text
    .replaceAll('"./', '"')
    .replaceAll(/^# \d+ "<built-in>" 3\n/gm, '')
    .replaceAll(/^#define __(clang_version|VERSION)__ .*\n/gm, '');
  // The order in which macros are defined from the start is each one's own.
  if (way === '-E -dD')
    lines = lines.replace(
      /^[^]*?\n(?=# 1 "<command line>" 1\n)/,
      (built) => `${built.split('\n').filter(Boolean).sort().join('\n')}\n`,
    );
  return lines;
};

async function attempt(command, args, cwd) {
  try {
    const { stdout } = await run(command, args, {
      cwd,
      maxBuffer: 256 * 1024 * 1024,
    });
    return stdout;
  } catch {
    return undefined;
  }
}

/** Both texts; undefined where clang makes none. */
async function textsOf(file, way) {
  const flags = file.flags.filter((flag) => !/^-(g|c|Werror)/.test(flag));
  const args = [...flags, '-nostdinc', ...way.split(' '), file.source];
  const [theirs, ours] = await Promise.all([
    attempt(CLANG, args),
    attempt(BPFC, ['cc', ...args]),
  ]);
  return theirs === undefined
    ? undefined
    : [plain(theirs, way), ours === undefined ? '' : plain(ours, way)];
}

async function textRow(files, way, log) {
  const misses = [];
  let same = 0;
  await parallel(files, async (file) => {
    const texts = await textsOf(file, way);
    if (!texts) return;
    if (texts[0] === texts[1]) same += 1;
    else {
      const [a, b] = texts.map((text) => text.split('\n'));
      const n = a.findIndex((line, at) => line !== b[at]);
      misses.push(`${file.name}: ${b[n]} in place of ${a[n]}`);
    }
  });
  for (const miss of misses) log(`${way}: ${miss}`);
  return {
    what: `${way}: the same text`,
    required: 'all',
    measured: `${same} of ${same + misses.length} files`,
    ok: misses.length === 0 && same > 0,
    notes: misses.slice(0, 10),
  };
}

async function flagRow(log) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-driver-'));
  fs.writeFileSync(path.join(dir, 'x.c'), 'int x;\n');
  fs.writeFileSync(path.join(dir, 'empty.h'), '');
  const words = Object.entries(FLAGS).flatMap(([from, text]) =>
    text.split('|').map((flag) => ({ from, flag })),
  );
  const misses = [];
  try {
    await parallel(words, async ({ from, flag }) => {
      const target = /target/.test(flag) ? [] : ['-target', 'bpf'];
      const args = [...target, ...flag.split(' '), 'x.c', '-o', '-'];
      const taken = async (command, before) =>
        (await attempt(command, [...before, ...args], dir)) !== undefined;
      const ours = await taken(BPFC, ['cc']);
      const theirs = await taken(CLANG, ['-c']);
      if ((ours !== theirs) !== flag in MEANT)
        misses.push(`${from}: ${flag}: ${ours ? 'taken' : 'refused'} by us`);
    });
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
  misses.forEach((miss) => log(miss));
  return {
    what: `${words.length} flags of Makefiles: taken, or refused by both`,
    required: 'all',
    measured: `${words.length - misses.length}`,
    ok: misses.length === 0,
    notes: misses,
  };
}

export default {
  name: 'driver',
  title: 'The command line: -E, -dM, -M and the flags of Makefiles',

  needs() {
    if (!hasCommand(CLANG)) return `${CLANG} is not installed`;
    if (!fs.existsSync(BPFC)) return 'build/release/bpfc is not built';
    return noCorpus();
  },

  async run({ sample, log }) {
    const corpora = peerCorpora(sample);
    let files = corpora.flatMap((corpus) => corpus.files ?? []);
    if (sample) files = files.filter((_, n) => n % SAMPLE_STEP === 0);
    const rows = [await flagRow(log)];
    for (const way of WAYS) rows.push(await textRow(files, way, log));
    return rows;
  },
};
