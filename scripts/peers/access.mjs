// context.def and helper.def against the running kernel: for each kind of program that sections can name,
// test/peers/access.c loads a program per helper, and one per offset, size and direction in its
// context. The tables must never refuse what the kernel takes; what the kernel refuses and they know
// nothing of is counted.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { noLoader } from '../corpus/load.mjs';
import { inRoot, root } from '../lib/steps.mjs';

const library = inRoot('build/release/asm-core/libebpf.a');
const STEP = '7';

/** Refusals that no table can tell: what this kernel is built or set up without, and the like. */
const MEANT = [
  {
    line: /bpf_(probe_write_user|override_return)$/,
    why: 'not in every kernel: its options and its lockdown decide',
  },
  {
    line: /licence bpf_(get_stackid|get_func_ip)$/,
    why: 'the licence matters for some types of programs only',
  },
  { line: /bpf_d_path$/, why: 'the function that is traced decides' },
  {
    line: /raw_tracepoint\.w\+ read of \d at 0$/,
    why: 'the first argument of writable tracepoints is a buffer, or not',
  },
  {
    line: /sk_reuseport(\/migrate)? read of 1 at (20|21|22|23)$/,
    why: 'eth_protocol has parts of two bytes at least',
  },
];

function buildProbe() {
  const to = inRoot('build/peers/access');
  const stages = ['base', 'isa', 'obj', 'def', 'include'];
  const lib = (name) => inRoot('build/deps/lib', name);
  fs.mkdirSync(path.dirname(to), { recursive: true });
  const args = [
    ...['-std=c11', '-D_GNU_SOURCE', '-O1', '-o', to],
    inRoot('test/peers/access.c'),
    `-I${inRoot('build/deps/include')}`,
    ...stages.map((stage) => `-I${inRoot('asm-core', stage)}`),
    library,
    ...['libbpf.a', 'libelf.a', 'libeu.a']
      .map(lib)
      .filter((file) => fs.existsSync(file)),
    '-lz',
  ];
  execFileSync('cc', args, { cwd: root, stdio: 'pipe' });
  return to;
}

function rowsOf(what, said) {
  const sums = said.filter(([kind]) => kind === what);
  const sum = (n) => sums.reduce((all, words) => all + Number(words[n]), 0);
  return { agreed: sum(2), loose: sum(3), types: sums.length };
}

export default {
  name: 'access',
  title: 'what programs may call and access, against the running kernel',
  needs: () => noLoader() ?? (fs.existsSync(library) ? null : `no ${library}`),
  async run({ sample, log }) {
    const output = execFileSync(buildProbe(), sample ? [STEP] : [], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    const lines = output.trim().split('\n');
    const said = lines.map((line) => line.split(' '));
    log(lines.at(-1));
    const wrong = lines.filter((line) => line.startsWith('wrong '));
    const loose = lines
      .filter((line) => line.startsWith('loose '))
      .map((line) => ({
        line,
        meant: MEANT.find((one) => one.line.test(line)),
      }));
    const rows = ['helper', 'licence', 'context'].map((what) => {
      const { agreed, loose: more, types } = rowsOf(what, said);
      const share = agreed / Math.max(agreed + more, 1);
      return {
        what: `${what}: answers that agree, ${types} kinds of programs`,
        required: 'counted',
        measured: `${agreed} of ${agreed + more} (${(100 * share).toFixed(2)} %)`,
        ok: agreed > 0,
      };
    });
    const others = loose.filter(({ meant }) => !meant);
    return [
      {
        what: 'refused by the tables, taken by the kernel',
        required: '0',
        measured: String(wrong.length),
        ok: wrong.length === 0,
        notes: wrong.slice(0, 20),
      },
      ...rows,
      {
        what: 'refused by the kernel, unknown to the tables and not explained',
        required: '0',
        measured: String(others.length),
        ok: others.length === 0,
        notes: [
          ...others.slice(0, 20).map(({ line }) => line),
          ...MEANT.map(
            (one) =>
              `${loose.filter(({ meant }) => meant === one).length} × ${one.why}`,
          ),
        ],
      },
    ];
  },
};
