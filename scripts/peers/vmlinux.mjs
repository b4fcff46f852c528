// BTF of the running kernel: its C dump compiled by clang and read back, type by type; its lines
// beside bpftool's; how soon a type is found in it. What clang made of the header is compared in three
// ways: the BTF of an object that mentions every record and enum, assertions on sizes and offsets
// that clang checks itself, and the value that each enumerator has in an array.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { noCorpus, selftestCorpus } from '../lib/corpus.mjs';
import { alternate, cpuTime } from '../lib/cpu.mjs';
import { readElf } from '../lib/elf.mjs';
import { hasCommand } from '../lib/needs.mjs';
import { inRoot, root } from '../lib/steps.mjs';

const BPFC = inRoot('build/release/bpfc');
const BENCH = inRoot('build/release/bench_btf');
const VMLINUX = '/sys/kernel/btf/vmlinux';
const CLANG = 'clang-19';
const NO_RELOCATIONS = '-DBPF_NO_PRESERVE_ACCESS_INDEX';

/** What the sample compares, with what they need: some hundred records with all that is awkward. */
const ROOTS = [
  'task_struct sk_buff bpf_prog net_device xdp_md sock tcp_sock inode file mm_struct super_block',
  'perf_event cgroup bpf_map bpf_verifier_env rq device pt_regs zone pglist_data desc_struct',
  'page folio fpu kvm_regs irq_desc request_queue bio trace_event_call warn_args va_format',
].flatMap((line) => line.split(' '));

const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
const options = { maxBuffer: 1 << 29, env };
const output = (command, args) =>
  execFileSync(command, args, { ...options, stdio: 'pipe' });

const dump = (file, format, more = []) =>
  output(BPFC, ['btf', 'dump', file, '--format', format, ...more]);
const typesOf = (file, more) =>
  JSON.parse(dump(file, 'json', more).toString()).types;

// ---- what a type is, in words that do not depend on ids ----

/** Namesakes got ___2, ___3 in C. */
const bare = (name) => name.replace(/___\d+$/, '');

const isRecord = ({ kind }) => kind === 'STRUCT' || kind === 'UNION';
const isEnum = ({ kind }) => kind === 'ENUM' || kind === 'ENUM64';
const isNamed = ({ name }) => name !== '(anon)';
const ALIASES = ['TYPEDEF', 'CONST', 'VOLATILE', 'RESTRICT', 'TYPE_TAG'];

class Description {
  constructor(types) {
    this.byId = new Map(types.map((type) => [type.id, type]));
    /** Records without a name that were spelled out, and members and bit-fields of all. */
    this.anonymous = new Set();
    this.members = 0;
    this.bitFields = 0;
  }

  resolve(id) {
    let type = this.byId.get(id);
    while (type && ALIASES.includes(type.kind))
      type = this.byId.get(type.type_id);
    return type;
  }

  /** `depth`: how far pointers are followed. */
  words(id, depth = 3) {
    const type = this.resolve(id);
    if (!type) return 'void';
    switch (type.kind) {
      case 'INT':
        // Whether char is signed is the compiler's business.
        return `int${type.size}${type.size > 1 || type.encoding === 'BOOL' ? type.encoding : ''}`;
      case 'FLOAT':
        return `float${type.size}`;
      case 'PTR':
        return depth > 0 ? `*${this.words(type.type_id, depth - 1)}` : '*';
      case 'ARRAY':
        return `[${type.nr_elems}]${this.words(type.type_id, depth)}`;
      case 'FWD':
        return `${type.fwd_kind} ${bare(type.name)}`;
      case 'FUNC_PROTO': {
        if (depth <= 0) return 'function';
        const params = type.params.map((p) => this.words(p.type_id, depth - 1));
        return `${this.words(type.ret_type_id, depth - 1)}(${params.join()})`;
      }
      default:
        if (isNamed(type)) return `${tag(type)} ${bare(type.name)}`;
        return isEnum(type) ? this.enumeration(type) : this.record(type);
    }
  }

  record(type) {
    if (!isNamed(type)) this.anonymous.add(type.id);
    const members = type.members.map((m) => {
      this.members += 1;
      this.bitFields += m.bitfield_size ? 1 : 0;
      return `${m.name}@${m.bits_offset}:${m.bitfield_size ?? 0} ${this.words(m.type_id)}`;
    });
    return `${tag(type)} ${type.size} { ${members.join('; ')} }`;
  }

  enumeration({ size, values }) {
    const list = values.map(({ name, val }) => `${bare(name)}=${val}`);
    return `enum ${size} { ${list.join()} }`;
  }
}

const tag = (type) => (isEnum(type) ? 'enum' : type.kind.toLowerCase());

/** 'struct task_struct' to the words of all types so called; typedefs of what has no name, too. */
function definitions(types) {
  const description = new Description(types);
  const found = new Map();
  const add = (key, words) => {
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(words);
  };
  for (const type of types) {
    if (isRecord(type) && isNamed(type))
      add(`${tag(type)} ${bare(type.name)}`, description.record(type));
    else if (isEnum(type) && isNamed(type) && type.values.length > 0)
      add(`enum ${bare(type.name)}`, description.enumeration(type));
    else if (type.kind === 'TYPEDEF') {
      const below = description.byId.get(type.type_id);
      if (below && !isNamed(below) && (isRecord(below) || isEnum(below)))
        add(`typedef ${bare(type.name)}`, description.words(below.id));
    }
  }
  return { found, description };
}

// ---- what clang makes of the header ----

const matches = (text, pattern) =>
  [...text.matchAll(pattern)].map((match) => match.slice(1));

/** A program that mentions all that the header defines, and the value of every enumerator. */
function mentioning(header) {
  const tags = matches(header, /^(struct|union|enum) (\w+) \{/gm);
  const typedefs = matches(header, /^\}[^;\n]*?(\w+);$/gm).flat();
  const names = matches(header, /^\t+(\w+) = -?\d+(?:U?LL)?,$/gm).flat();
  const pointers = [
    ...tags.map(([kind, name]) => `${kind} ${name}`),
    ...typedefs,
  ].map((type, i) => `${type} *mention_${i};`);
  const values = names.map((name) => `(unsigned long long)${name},`);
  const source = [
    '#include "vmlinux.h"',
    ...pointers,
    'const unsigned long long enumerators[] = {',
    ...values,
    '~0ull };',
  ].join('\n');
  return { source, names };
}

/** Sizes of records and offsets of their members, for clang to check; of those without namesakes. */
function assertions(types, defined) {
  const named = types.filter((type) => isRecord(type) && isNamed(type));
  const count = new Map();
  for (const type of named) {
    const key = bare(type.name);
    count.set(key, (count.get(key) ?? 0) + 1);
  }
  const lines = ['#include "vmlinux.h"'];
  const offset = (of, name, bits) =>
    `_Static_assert(__builtin_offsetof(${of}, ${name}) == ${bits / 8}, "${name}");`;
  for (const type of named) {
    const of = `${tag(type)} ${type.name}`;
    if (count.get(bare(type.name)) > 1 || !defined.has(of)) continue;
    lines.push(`_Static_assert(sizeof(${of}) == ${type.size}, "${of}");`);
    for (const m of type.members)
      if (isNamed(m) && !m.bitfield_size)
        lines.push(offset(of, m.name, m.bits_offset));
  }
  return lines;
}

function clang(folder, name, source, args) {
  const file = path.join(folder, `${name}.c`);
  fs.writeFileSync(file, source);
  const all = ['-target', 'bpf', '-Wall', '-Werror', `-I${folder}`, ...args];
  const done = spawnSync(CLANG, [...all, file], {
    ...options,
    encoding: 'utf8',
  });
  return done.status === 0
    ? []
    : [done.stderr.split('\n').slice(0, 6).join('\n')];
}

/** Values by the names of their enumerators. */
function valuesOf(pairs) {
  const found = new Map();
  for (const [name, value] of pairs) {
    const key = bare(name);
    if (!found.has(key)) found.set(key, new Set());
    found.get(key).add(BigInt.asUintN(64, BigInt(value)));
  }
  return found;
}

const same = (a, b) => a.size === b.size && [...a].every((x) => b.has(x));

/** The header in `folder`, compared with the types that it was made from. */
function compareHeader(folder, types, bytes, { sample, log }) {
  const header = bytes.toString();
  fs.writeFileSync(path.join(folder, 'vmlinux.h'), header);
  const object = path.join(folder, 'mention.o');
  const whole = clang(folder, 'whole', '#include "vmlinux.h"', [
    '-fsyntax-only',
  ]);
  log('clang: every definition mentioned');
  const { source, names } = mentioning(header);
  const args = ['-g', '-O0', NO_RELOCATIONS, '-c', '-o', object];
  const errors = clang(folder, 'mention', source, args);
  const compiles = {
    what: 'the C dump compiles (-Wall -Werror)',
    required: 'yes',
    measured: whole.length + errors.length === 0 ? 'yes' : 'no',
    ok: whole.length + errors.length === 0,
    notes: [...whole, ...errors],
  };
  if (!compiles.ok) return [compiles];
  const defined = new Set(
    matches(header, /^((?:struct|union) \w+) \{/gm).flat(),
  );
  const lines = assertions(types, defined);
  log(`clang: ${lines.length} assertions`);
  const refused = clang(folder, 'assert', lines.join('\n'), [
    '-fsyntax-only',
    NO_RELOCATIONS,
  ]);
  return [
    compiles,
    {
      what: 'sizes and offsets, asserted by clang',
      required: 'all equal',
      measured: refused.length > 0 ? 'not all' : `${lines.length - 1} equal`,
      ok: refused.length === 0,
      notes: refused,
    },
    ...compareDefinitions(types, typesOf(object), sample),
    compareValues(types, names, object, sample),
  ];
}

/**
 * Every definition of the kernel must be one of clang's, member by member and bit by bit; of a part
 * of them, every one of clang's must be the kernel's.
 */
function compareDefinitions(types, compiled, part) {
  const [wanted, got] = part
    ? [definitions(compiled), definitions(types)]
    : [definitions(types), definitions(compiled)];
  const [side, other] = part ? ['clang', 'kernel'] : ['kernel', 'clang'];
  const wrong = [];
  const count = { struct: 0, union: 0, enum: 0, typedef: 0 };
  for (const [key, list] of wanted.found) {
    const left = [...(got.found.get(key) ?? [])];
    for (const words of list) {
      const at = left.indexOf(words);
      if (at >= 0) left.splice(at, 1);
      else
        wrong.push(
          `${key}\n  ${side}: ${words}\n  ${other}: ${left[0] ?? 'not there'}`,
        );
      count[key.split(' ')[0]] += 1;
    }
  }
  const { anonymous, members, bitFields } = wanted.description;
  const row = (what, measured) => ({
    what,
    required: 'all equal',
    measured: `${measured}${wrong.length > 0 ? `, ${wrong.length} definitions differ` : ' equal'}`,
    ok: wrong.length === 0,
    notes: [],
  });
  const records = `${count.struct} structs, ${count.union} unions, ${anonymous.size} without a name`;
  return [
    {
      ...row('records, by the BTF that clang makes', records),
      notes: wrong.slice(0, 5),
    },
    row('their members', `${members}, of which ${bitFields} bit-fields,`),
    row('enums by name', `${count.enum}, and ${count.typedef} typedefs`),
  ];
}

function compareValues(types, names, object, part) {
  const elf = readElf(fs.readFileSync(object));
  const symbol = elf.symbols.find(({ name }) => name === 'enumerators');
  const { bytes } = elf.sections[symbol.section];
  const pairs = names.map((name, i) => [
    name,
    bytes.readBigUInt64LE(symbol.value + 8 * i),
  ]);
  const enums = types.filter(isEnum);
  const wanted = valuesOf(
    enums.flatMap(({ values }) => values.map(({ name, val }) => [name, val])),
  );
  const got = valuesOf(pairs);
  const sameAll = ([name, values]) =>
    got.has(name) && same(values, got.get(name));
  const known = ([name, values]) =>
    [...values].every((value) => wanted.get(name)?.has(value));
  const wrong = part
    ? [...got].filter((entry) => !known(entry))
    : [...wanted].filter((entry) => !sameAll(entry));
  const total = part
    ? names.length
    : enums.reduce((sum, { values }) => sum + values.length, 0);
  return {
    what: 'values of enumerators, as clang sees them',
    required: 'all equal',
    measured:
      wrong.length > 0 ? `${wrong.length} names differ` : `${total} equal`,
    ok: wrong.length === 0,
    notes: wrong
      .slice(0, 5)
      .map(
        ([name]) =>
          `${name}: kernel ${[...(wanted.get(name) ?? [])]}, clang ${[...(got.get(name) ?? [])]}`,
      ),
  };
}

/** The same for objects whose types are made to be awkward: those of libbpf's own tests. */
function awkwardObjects(folder, files) {
  const objects = files.filter(({ name }) =>
    name.startsWith('btf_dump_test_case_'),
  );
  const notes = [];
  for (const { name, object } of objects) {
    const types = typesOf(object);
    const header = dump(object, 'c');
    const rows = compareHeader(folder, types, header, { log() {} });
    const missed = rows.filter(({ ok }) => !ok);
    notes.push(...missed.map((row) => `${name}: ${row.what}: ${row.notes}`));
  }
  return {
    what: "the same of libbpf's btf_dump tests",
    required: 'all equal',
    measured:
      notes.length > 0
        ? `${notes.length} differ`
        : `${objects.length} objects equal`,
    ok: notes.length === 0 && objects.length > 0,
    notes,
  };
}

// ---- lines ----

function sameLines(files) {
  const wrong = [];
  let lines = 0;
  for (const file of files) {
    const ours = dump(file, 'raw');
    const theirs = output('bpftool', ['btf', 'dump', 'file', file]);
    lines += ours.toString('latin1').split('\n').length - 1;
    if (!ours.equals(theirs)) wrong.push(path.basename(file));
  }
  return {
    what: `raw dump: as bpftool's, ${files.length} files`,
    required: 'every line',
    measured:
      wrong.length > 0 ? `${wrong.length} files differ` : `${lines} lines`,
    ok: wrong.length === 0 && lines > 0,
    notes: wrong.slice(0, 5),
  };
}

// ---- time ----

function firstLookup() {
  const build = ['--build', 'build/release', '--target', 'bench_btf'];
  execFileSync('cmake', build, { cwd: root, stdio: 'ignore' });
  const { ms, types } = JSON.parse(
    output(BENCH, [VMLINUX, 'task_struct']).toString(),
  );
  return {
    what: 'open to first look-up, natively',
    required: '≤ 10 ms',
    measured: `${ms.toFixed(1)} ms`,
    ok: ms <= 10,
    notes: [`${types} types, tables of all names included; median of 31`],
  };
}

function firstLookupWasm() {
  const { Btf } = createRequire(import.meta.url)(root);
  const bytes = fs.readFileSync(VMLINUX);
  const [ms] = alternate([
    () => {
      const start = process.cpuUsage();
      Btf.from(bytes).find('task_struct', 'struct');
      const { user, system } = process.cpuUsage(start);
      return (user + system) / 1000;
    },
  ]);
  return {
    what: 'the same in wasm, instance and copy included',
    required: '-',
    measured: `${ms.toFixed(1)} ms`,
    ok: true,
  };
}

function speed() {
  const [theirs, ours] = alternate([
    () => cpuTime('bpftool', ['btf', 'dump', 'file', VMLINUX, 'format', 'c']),
    () => cpuTime(BPFC, ['btf', 'dump', VMLINUX]),
  ]);
  return {
    what: 'C dump against bpftool, user+sys',
    required: 'faster',
    measured: `${(theirs / ours).toFixed(1)} times`,
    ok: ours < theirs,
    notes: [`bpftool ${theirs.toFixed(0)} ms, bpfc ${ours.toFixed(0)} ms`],
  };
}

export default {
  name: 'vmlinux',
  title: 'BTF of the kernel: C that clang lays out the same, bpftool’s lines',

  needs() {
    if (!fs.existsSync(VMLINUX)) return `no ${VMLINUX}`;
    if (!fs.existsSync(BPFC)) return 'no build/release/bpfc';
    if (!hasCommand(CLANG)) return `no ${CLANG}`;
    return hasCommand('bpftool') ? null : 'no bpftool';
  },

  async run({ sample, log }) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-vmlinux-'));
    try {
      const types = typesOf(VMLINUX);
      const known = new Set(types.map(({ name }) => name));
      const roots = ROOTS.filter((name) => known.has(name)).join();
      const header = dump(VMLINUX, 'c', sample ? ['--root', roots] : []);
      const rows = compareHeader(folder, types, header, { sample, log });
      const corpus = noCorpus()
        ? { files: [] }
        : await selftestCorpus({ sample, log });
      const objects = corpus.files.map(({ object }) => object);
      log(`bpftool: ${objects.length + 1} files`);
      rows.push(sameLines([VMLINUX, ...objects]));
      if (sample) return rows;
      if (objects.length > 0) rows.push(awkwardObjects(folder, corpus.files));
      log('time');
      return [...rows, firstLookup(), firstLookupWasm(), speed()];
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  },
};
