// CO-RE against libbpf: every relocation of the corpus on this kernel, and libbpf's own test objects
// against each other's BTF, must give the same instruction or the same refusal. libbpf judges inside
// of test/peers/core_libbpf.c. BPF_CORE_OBJECTS=DIR judges the objects in DIR as well.
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { noCorpus, selftestCorpus } from '../lib/corpus.mjs';
import { hasCommand } from '../lib/needs.mjs';
import { StepError, inRoot, root } from '../lib/steps.mjs';

const bpfc = inRoot('build/release/bpfc');
const libbpf = inRoot('build/deps/lib/libbpf.a');
const run = promisify(execFile);
const output = { maxBuffer: 1 << 28 };

/** Kinds as libbpf numbers them; bpfc names them. */
const KINDS = [
  ...['byte_off', 'byte_sz', 'field_exists', 'signed', 'lshift_u64'],
  ...['rshift_u64', 'local_type_id', 'target_type_id', 'type_exists'],
  ...['type_size', 'enumval_exists', 'enumval_value', 'type_matches'],
];

const WRAPPED = [
  ...['bpf_core_calc_relo_insn', 'bpf_core_patch_insn'],
  ...['bpf_map_create', 'bpf_prog_load'],
];

/** The harness, linked with the libbpf that the addon has. */
function buildHarness() {
  const to = inRoot('build/peers/core_libbpf');
  const lib = (name) => inRoot('build/deps/lib', name);
  const libraries = ['libbpf.a', 'libelf.a', 'libeu.a'].map(lib);
  fs.mkdirSync(path.dirname(to), { recursive: true });
  const args = [
    ...['-O1', '-o', to, inRoot('test/peers/core_libbpf.c')],
    `-I${inRoot('build/deps/include')}`,
    ...libraries.filter((file) => fs.existsSync(file)),
    '-lz',
    ...WRAPPED.map((name) => `-Wl,--wrap=${name}`),
  ];
  execFileSync('cc', args, { cwd: root, stdio: 'pipe' });
  return to;
}

/** What libbpf says: { object, relocations: [{ insn, typeId, kind, outcome, bytes }], end }. */
async function askLibbpf(harness, objects, btf) {
  const args = [...(btf ? ['--btf', btf] : []), ...objects];
  const { stdout } = await run(harness, args, output);
  const said = [];
  for (const line of stdout.split('\n')) {
    const [word, ...rest] = line.split(' ');
    if (word === 'object')
      said.push({ object: rest.join(' '), relocations: [], end: '' });
    else if (word === 'relo')
      said.at(-1).relocations.push({
        insn: Number(rest[0]) / 8,
        typeId: Number(rest[1]),
        kind: KINDS[rest[2]],
        outcome: rest[3],
        bytes: rest[4],
      });
    else if (word === 'end') said.at(-1).end = rest.join(' ');
  }
  return said;
}

async function askUs(object, btf) {
  const args = ['core', object, '--json', ...(btf ? ['--btf', btf] : [])];
  const { stdout, stderr } = await run(bpfc, args, output).catch((e) => e);
  try {
    return JSON.parse(stdout).relocations ?? [];
  } catch {
    throw new StepError(`bpfc core ${object}: ${stderr || stdout}`);
  }
}

const sameRecord = (a, b) =>
  a.insn === b.insn && a.typeId === b.typeId && a.kind === b.kind;

/** Compares in the order of .BTF.ext; what libbpf skips is not judged. */
function compare(tally, { object, relocations, end }, ours, btf) {
  const where = (one) =>
    `${path.basename(object)}${btf ? ` against ${path.basename(btf)}` : ''}: ` +
    `${one.section ?? ''} instruction ${one.insn}, ${one.kind} ${one.path ?? ''}`;
  let at = 0;
  let skipped = 0;
  for (const one of ours) {
    const theirs = relocations[at];
    if (!theirs || !sameRecord(one, theirs)) {
      skipped += 1;
      continue;
    }
    at += 1;
    if (one.outcome === theirs.outcome && one.bytes === theirs.bytes) {
      const kind = (tally.kinds[one.kind] ??= {});
      kind[one.outcome] = (kind[one.outcome] ?? 0) + 1;
      tally.same += 1;
    } else {
      tally.different.push(
        `${where(one)}: ${one.outcome} ${one.bytes} (${one.reason ?? one.to}), ` +
          `libbpf: ${theirs.outcome} ${theirs.bytes}`,
      );
    }
  }
  for (const one of relocations.slice(at))
    tally.different.push(`${where(one)}: only libbpf knows it`);
  if (skipped > 0)
    tally.unjudged.push(
      `${path.basename(object)}: ${skipped} not judged, libbpf does not load it: ${end}`,
    );
}

/** Judges `objects` against `btf` (the kernel's when there is none) into `tally`. */
async function judge(tally, harness, objects, btf) {
  const said = await askLibbpf(harness, objects, btf);
  tally.objects += said.length;
  const worker = async () => {
    for (let one = said.pop(); one; one = said.pop())
      compare(tally, one, await askUs(one.object, btf), btf);
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
}

const newTally = () => ({
  objects: 0,
  same: 0,
  different: [],
  unjudged: [],
  kinds: {},
});

function rowOf(what, tally) {
  const shown = tally.different.slice(0, 20);
  const kinds = KINDS.filter((kind) => tally.kinds[kind]).map((kind) => {
    const counts = Object.entries(tally.kinds[kind]).sort();
    return `${kind} ${counts.map(([name, n]) => `${n} ${name}`).join(', ')}`;
  });
  const all = tally.same + tally.different.length;
  return {
    what,
    required: 'all',
    measured: `${tally.same} of ${all}`,
    ok: tally.different.length === 0 && tally.same > 0,
    notes: [
      ...shown,
      ...tally.unjudged.sort(),
      ...(kinds.length > 0 ? [kinds.join('; ')] : []),
    ],
  };
}

const objectsIn = (dir) =>
  fs
    .readdirSync(dir)
    .filter((name) => name.endsWith('.o'))
    .sort()
    .map((name) => path.join(dir, name));

/** The programs of core in their name against each btf__core_reloc_*.o. */
async function judgePairs(harness, files, log) {
  const tally = newTally();
  const isBtf = ({ name }) => name.startsWith('btf__core_reloc_');
  const programs = files.filter(
    (file) => file.name.includes('core') && !isBtf(file),
  );
  const targets = files.filter(isBtf);
  for (const [i, target] of targets.entries()) {
    const objects = programs.map((file) => file.object);
    await judge(tally, harness, objects, target.object);
    if (i % 20 === 19) log(`${i + 1} of ${targets.length} targets`);
  }
  const what = `${programs.length} test objects against ${targets.length} BTFs of theirs`;
  return rowOf(what, tally);
}

export default {
  name: 'core',
  title: 'CO-RE: the same instructions as libbpf',

  needs() {
    const missing = noCorpus();
    if (missing) return missing;
    if (!fs.existsSync(libbpf)) return 'no build/deps/lib/libbpf.a';
    if (!hasCommand('cc')) return 'no cc to build what links libbpf';
    if (!fs.existsSync(bpfc)) return 'no build/release/bpfc';
    if (process.getuid() !== 0) return 'libbpf loads objects as root only';
    return null;
  },

  async run({ sample, log }) {
    const { files } = await selftestCorpus({ sample, log });
    const harness = buildHarness();
    const tally = newTally();
    const objects = files.map((file) => file.object);
    await judge(tally, harness, objects);
    log(`${tally.objects} objects on this kernel`);
    const rows = [
      rowOf(`relocations of ${tally.objects} objects on this kernel`, tally),
      await judgePairs(harness, files, log),
    ];
    const dir = process.env.BPF_CORE_OBJECTS;
    if (dir && !sample) {
      const own = newTally();
      await judge(own, harness, objectsIn(dir));
      rows.push(rowOf(`relocations of ${own.objects} objects in ${dir}`, own));
    }
    return rows;
  },
};
