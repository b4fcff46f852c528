// BTF of C against clang's: what clang's objects of the selftests have BTF for is looked up in our
// tree of the same program, and the two graphs are compared, by test/peers/cc_btf.c. Sizes, members,
// tags, linkage, and which records are only declared must be the same, but for what is listed here.
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { compileFlags, noCorpus, selftestCorpus } from '../lib/corpus.mjs';
import { hasCommand } from '../lib/needs.mjs';
import { inRoot, root } from '../lib/steps.mjs';

const bpfc = inRoot('build/release/bpfc');
const library = inRoot('build/release/asm-core/libebpf.a');
const progs = inRoot('build/sources/linux/tools/testing/selftests/bpf/progs');
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
  const stages = ['base', 'isa', 'obj', 'cc', 'api', 'def', 'include'];
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
function preprocessorFlags() {
  const flags = compileFlags();
  return flags.filter(
    (flag, i) =>
      /^-(D|I|mcpu|idirafter)/.test(flag) || flags[i - 1] === '-idirafter',
  );
}

/** The lines that the harness says about one program. */
async function judge(harness, flags, { name, object }, dir) {
  const unit = path.join(dir, `${name}.i`);
  try {
    await run(bpfc, ['cc', '-E', ...flags, `${name}.c`, '-o', unit], {
      cwd: progs,
    });
    const { stdout } = await run(harness, [unit, object]);
    return stdout.replaceAll(`${dir}/`, '').trim().split('\n');
  } catch (error) {
    return [`failed ${name}: ${error.stderr || error.message}`];
  } finally {
    fs.rmSync(unit, { force: true });
  }
}

const meaningOf = (line, name) =>
  MEANT.find((one) => one.line.test(line) && (one.unit ?? name) === name);

export default {
  name: 'cc-btf',
  title: 'BTF of C programs: the same as clang’s',

  needs() {
    const missing = noCorpus();
    if (missing) return missing;
    if (!hasCommand('cc')) return 'no cc to build the comparison';
    for (const file of [bpfc, library])
      if (!fs.existsSync(file)) return `no ${path.relative(root, file)}`;
    return null;
  },

  async run({ sample, log }) {
    const { files } = await selftestCorpus({ sample, log });
    const harness = buildHarness();
    const flags = preprocessorFlags();
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-btf-'));
    const tally = { same: 0, meant: new Map(), wrong: [], types: [0, 0, 0] };
    const left = [...files];
    const worker = async () => {
      for (let file = left.pop(); file; file = left.pop()) {
        const lines = await judge(harness, flags, file, dir);
        let wrong = false;
        for (const line of lines) {
          const meant = meaningOf(line, file.name);
          const same = /^same (\d+) (\d+) (\d+)/.exec(line);
          if (same) tally.types = tally.types.map((n, i) => n + +same[i + 1]);
          else if (meant)
            tally.meant.set(meant, [
              ...(tally.meant.get(meant) ?? []),
              file.name,
            ]);
          else tally.wrong.push(`${file.name}: ${line}`);
          wrong ||= !same && !meant;
        }
        if (!wrong) tally.same += 1;
        if (left.length % 100 === 0) log(`${left.length} programs to go`);
      }
    };
    await Promise.all(
      Array.from({ length: os.availableParallelism() }, worker),
    );
    fs.rmSync(dir, { recursive: true, force: true });
    const [compared, ours, theirs] = tally.types;
    const meant = [...tally.meant].map(
      ([{ why }, names]) => `${why} (${[...new Set(names)].sort().join(', ')})`,
    );
    return [
      {
        what: `BTF for what clang's objects of ${files.length} selftests have BTF for`,
        required: 'all',
        measured: `${tally.same} of ${files.length}`,
        ok: tally.same === files.length && compared > 0,
        notes: [
          ...tally.wrong.sort().slice(0, 20),
          ...meant.sort(),
          `${compared} types compared; ${ours} of ours, ${theirs} of clang's in these files`,
        ],
      },
    ];
  },
};
