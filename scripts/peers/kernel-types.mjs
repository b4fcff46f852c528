// Types from BTF in place of vmlinux.h (asm-core/cc/kernel.h) against bpftool's vmlinux.h of the same
// kernel. Programs of the corpora are read both ways: what is said of them and the intermediate
// representation must be the same. And every named type of the kernel's BTF: sizes, alignments,
// offsets and enumerators as clang has them of a header are asserted through our front end both
// ways, and each bit-field is read and written. That header is our own C dump, which is libbpf 1.5's
// line by line (vmlinux.mjs): bpftool 7.1 leaves out the padding behind some records' members. The
// corpora are those of check:corpus, and the folders in BPF_BTF_CORPUS (with ':' between).
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import {
  corporaOf,
  corpusNames,
  folderCorpus,
  sampleCorpus,
} from '../corpus/sources.mjs';
import { parallel } from '../corpus/work.mjs';
import { CLANG, noCorpus, vmlinuxHeader } from '../lib/corpus.mjs';
import { alternate, cpuTime } from '../lib/cpu.mjs';
import { readElf } from '../lib/elf.mjs';
import { inRoot } from '../lib/steps.mjs';

const BPFC = inRoot('build/release/bpfc');
const VMLINUX = '/sys/kernel/btf/vmlinux';
const run = promisify(execFile);
const options = { maxBuffer: 1 << 29 };

/** Of the sample: every so many-th type. */
const SAMPLE_STEP = 40;
/** Milliseconds of processor time that BTF may take of a run that starts with it: three, and what a
 * loaded machine adds. */
const COLD_MOST = 4;

// ---- programs, both ways ----

/** The flags of the preprocessor and the dialect; without the folder of the kernel's header if it
 * is to come from BTF. */
const flagsFor = (flags, header) =>
  flags.filter(
    (flag, n) =>
      (/^-(D|I|mcpu|idirafter|include)/.test(flag) ||
        /^-(idirafter|include)$/.test(flags[n - 1])) &&
      (header || flag !== `-I${vmlinuxHeader()}`),
  );

/** What our compiler says of a program, and its IR. bpftool's header (7.1) declares no kfuncs: those
 * of BTF are weak, the program's own are not. */
async function read({ source, flags }, header) {
  const args = ['cc', '-fdump-ir', '-nostdinc', ...flagsFor(flags, header)];
  const how = { ...options, cwd: path.dirname(source) };
  const done = await run(BPFC, [...args, path.basename(source)], how).catch(
    (error) => error,
  );
  const ir = done.stdout.replace(
    /(function "\w+") (?:weak|global) section "\.ksyms"/g,
    '$1 section ".ksyms"',
  );
  return { status: done.code ?? 0, ir, said: done.stderr };
}

const firstDifference = (a, b) => {
  const [x, y] = [a.split('\n'), b.split('\n')];
  const at = x.findIndex((line, n) => line !== y[n]);
  return `header: ${x[at] ?? 'its end'}\n  BTF:    ${y[at] ?? 'its end'}`;
};

/** The functions that BTF declares, and bpftool's header does not. */
const kfuncsOf = (types) => {
  const byId = new Map(types.map((type) => [type.id, type]));
  const tags = types.filter(
    ({ kind, name }) => kind === 'DECL_TAG' && name === 'bpf_kfunc',
  );
  return new Set(tags.map(({ type_id: id }) => byId.get(id)?.name));
};

/** Whether all that is wrong with the header is that it does not declare these. */
const lacks = ({ status, said }, kfuncs) => {
  const errors = said.split('\n').filter((line) => / error: /.test(line));
  const missing = /error: '(\w+)' is not declared/;
  return (
    status !== 0 &&
    errors.every((line) => kfuncs.has(missing.exec(line)?.[1] ?? ''))
  );
};

async function comparePrograms(corpus, kfuncs, log) {
  const files = corpus.files.filter(({ source }) =>
    /[<"](.*\/)?vmlinux\.h[">]/.test(fs.readFileSync(source, 'utf8')),
  );
  const wrong = [];
  const better = [];
  let [done, pass] = [0, 0];
  await parallel(files, async (file) => {
    const [header, btf] = [await read(file, true), await read(file, false)];
    pass += btf.status === 0 ? 1 : 0;
    const alone = btf.status === 0 && lacks(header, kfuncs);
    if (alone) better.push(file.name);
    for (const key of alone ? [] : ['status', 'said', 'ir'])
      if (header[key] !== btf[key]) {
        const [a, b] = [String(header[key]), String(btf[key])];
        wrong.push(`${file.name}: ${key}\n  ${firstDifference(a, b)}`);
        break;
      }
    done += 1;
    if (done % 100 === 0) log(`${corpus.name}: ${done} programs`);
  });
  return {
    what: `${corpus.title}: read with BTF as with vmlinux.h`,
    required: `all ${files.length}`,
    measured: `${files.length - wrong.length}, ${pass} without errors`,
    ok: wrong.length === 0 && files.length > 0,
    notes: [
      ...wrong.sort().slice(0, 20),
      ...better.map(
        (name) =>
          `${name}: uses a kfunc that bpftool's header does not declare`,
      ),
    ],
  };
}

// ---- every type ----

const isRecord = ({ kind }) => kind === 'STRUCT' || kind === 'UNION';
const isEnum = ({ kind }) => kind === 'ENUM' || kind === 'ENUM64';
const isNamed = ({ name }) => name !== '(anon)';
const tag = (type) => (isEnum(type) ? 'enum' : type.kind.toLowerCase());

/** A counter of namesakes: the names as bpftool's header has them. */
function namer() {
  const seen = new Map();
  return (name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count > 1 ? `${name}___${count}` : name;
  };
}

/**
 * Constant expressions of all that has a name, and functions that use each bit-field. What a
 * typedef stands for has a size unless it is a function or void.
 */
function questions(types, step) {
  const byId = new Map(types.map((type) => [type.id, type]));
  const [tagName, ordinaryName] = [namer(), namer()];
  const expressions = [];
  const functions = [];
  const plain = (id) => {
    let type = byId.get(id);
    while (
      ['TYPEDEF', 'CONST', 'VOLATILE', 'RESTRICT', 'TYPE_TAG'].includes(
        type?.kind,
      )
    )
      type = byId.get(type.type_id);
    return type;
  };
  const hasSize = (id) => {
    const type = plain(id);
    return type && type.kind !== 'FUNC_PROTO' && type.kind !== 'FWD';
  };
  const record = (type, name) => {
    expressions.push(`sizeof(${name})`, `_Alignof(${name})`);
    for (const m of type.members.filter(isNamed))
      if (m.bitfield_size)
        functions.push(
          `unsigned long long get${functions.length}(${name} *p) { return p->${m.name}; }`,
          `void set${functions.length}(${name} *p) { p->${m.name} = 1; }`,
        );
      else expressions.push(`__builtin_offsetof(${name}, ${m.name})`);
  };
  types.forEach((type, n) => {
    const asked = n % step === 0;
    if (isRecord(type) && isNamed(type)) {
      const name = `${tag(type)} ${tagName(type.name)}`;
      if (asked) record(type, name);
    } else if (isEnum(type)) {
      if (isNamed(type) && type.values.length > 0) {
        const name = `enum ${tagName(type.name)}`;
        if (asked) expressions.push(`sizeof(${name})`, `((${name})-1 < 0)`);
      }
      for (const value of type.values) {
        const name = ordinaryName(value.name);
        if (asked) expressions.push(name);
      }
    } else if (type.kind === 'TYPEDEF' && type.name !== '__builtin_va_list') {
      const name = ordinaryName(type.name);
      if (asked && hasSize(type.type_id))
        expressions.push(`sizeof(${name})`, `_Alignof(${name})`);
    }
  });
  return { expressions, functions };
}

/** The values of constant expressions, as clang has them with the header. */
function valuesByClang(folder, expressions) {
  const source = path.join(folder, 'values.c');
  const object = path.join(folder, 'values.o');
  const lines = ['#include "vmlinux.h"', 'const unsigned long long values[] ='];
  const rows = expressions.map((text) => `(unsigned long long)(${text}),`);
  fs.writeFileSync(source, [...lines, '{', ...rows, '};'].join('\n'));
  const args = ['-target', 'bpf', '-w', `-I${folder}`, '-c', source];
  execFileSync(CLANG, [...args, '-o', object], options);
  const elf = readElf(fs.readFileSync(object));
  const symbol = elf.symbols.find(({ name }) => name === 'values');
  const { bytes } = elf.sections[symbol.section];
  return rows.map((_, n) => bytes.readBigUInt64LE(symbol.value + 8 * n));
}

/** Our front end on a text; what it said. */
function check(folder, name, lines, header, args) {
  const file = path.join(folder, header ? '.' : 'btf', `${name}.c`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, ['#include "vmlinux.h"', ...lines].join('\n'));
  const include = header ? [] : ['--btf', VMLINUX];
  try {
    const text = execFileSync(BPFC, ['cc', ...args, ...include, file], {
      ...options,
      stdio: 'pipe',
      encoding: 'utf8',
    });
    return { text, said: '' };
  } catch (error) {
    return { text: '', said: error.stderr.split('\n').slice(0, 12).join('\n') };
  }
}

const dumped = (format) =>
  execFileSync(BPFC, ['btf', 'dump', VMLINUX, '--format', format], options);

function compareTypes(folder, types, sample, log) {
  const { expressions, functions } = questions(types, sample ? SAMPLE_STEP : 1);
  fs.writeFileSync(path.join(folder, 'vmlinux.h'), dumped('c'));
  log(`clang: ${expressions.length} sizes, offsets and values`);
  const values = valuesByClang(folder, expressions);
  const asserts = expressions.map(
    (text, n) =>
      `_Static_assert((unsigned long long)(${text}) == ${values[n]}ull, "");`,
  );
  const rows = ['vmlinux.h', 'BTF'].map((from, n) => {
    log(`assertions with ${from}`);
    const { said } = check(folder, 'asserts', asserts, n === 0, [
      '-fsyntax-only',
    ]);
    return {
      what: `sizes, alignments, offsets, enumerators from ${from} as clang's`,
      required: 'all equal',
      measured: said ? 'not all' : `${asserts.length} equal`,
      ok: !said && asserts.length > 0,
      notes: said ? [said] : [],
    };
  });
  const ir = [true, false].map((header) =>
    check(folder, 'fields', functions, header, ['-fdump-ir']),
  );
  const same = ir[0].text === ir[1].text && ir[0].text !== '';
  return [
    ...rows,
    {
      what: 'bit-fields read and written as with vmlinux.h',
      required: 'all equal',
      measured: same ? `${functions.length / 2} equal` : 'not all',
      ok: same,
      notes: same
        ? []
        : [
            ...ir.map(({ said }) => said),
            firstDifference(ir[0].text, ir[1].text),
          ],
    },
  ];
}

// ---- time ----

function speed(folder) {
  const program = (name, text) => {
    fs.writeFileSync(path.join(folder, 'btf', name), text);
    return ['cc', '-fsyntax-only', path.join(folder, 'btf', name)];
  };
  const first = 'struct task_struct *t; u32 x; int y = BPF_MAP_TYPE_HASH;\n';
  const used = `${first}int f(void) { return t->pid + t->mm->exe_file->f_inode->i_ino; }\n`;
  const header = `-I${vmlinuxHeader()}`;
  const empty = program('empty.c', 'int x;\n');
  const btf = program('btf.c', `#include "vmlinux.h"\n${first}`);
  const more = program('more.c', `#include "vmlinux.h"\n${used}`);
  const [none, cold, big, file] = alternate(
    [empty, btf, more, [...more, header]].map(
      (args) => () => cpuTime(BPFC, args, 20),
    ),
  );
  const ms = (time) => `${(time - none).toFixed(1)} ms`;
  return [
    {
      what: 'the kernel’s BTF, cold: open, find names, make their types; user+sys',
      required: `at most ${COLD_MOST} ms`,
      measured: ms(cold),
      ok: cold - none <= COLD_MOST,
      notes: [
        `with the members of task_struct, mm_struct, file and inode ${ms(big)}; with vmlinux.h ${ms(file)}`,
      ],
    },
  ];
}

export default {
  name: 'kernel-types',
  title: 'Types from BTF in place of vmlinux.h: as from bpftool’s header',

  needs() {
    const missing = noCorpus();
    if (missing) return missing;
    return fs.existsSync(BPFC) ? null : 'no build/release/bpfc';
  },

  async run({ sample, log }) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-types-'));
    const extra = process.env.BPF_BTF_CORPUS?.split(':') ?? [];
    const corpora = sample
      ? [sampleCorpus()]
      : [
          ...corporaOf(corpusNames),
          ...extra.map((dir) => folderCorpus(dir, [])),
        ];
    try {
      const rows = [];
      const { types } = JSON.parse(dumped('json').toString());
      for (const corpus of corpora)
        rows.push(
          corpus.reason
            ? {
                what: corpus.title,
                required: 'all',
                measured: 'none',
                ok: false,
                notes: [corpus.reason],
              }
            : await comparePrograms(corpus, kfuncsOf(types), log),
        );
      rows.push(...compareTypes(folder, types, sample, log));
      return sample ? rows : [...rows, ...speed(folder)];
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  },
};
