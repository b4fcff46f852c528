// The corpus that the peers are compared on: the BPF programs of the kernel's selftests, from
// Debian's linux-source-6.12, compiled by clang 19 as the selftests' Makefile does, with the running
// kernel's vmlinux.h. For each PROGRAM.c that clang compiles there are build/corpus/selftests/
// PROGRAM.o (`clang -c`) and PROGRAM.s (`clang -S`); of those that it does not, refused.json has the
// first error. Nothing of it is committed.
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { fetchFromDebian } from './apt.mjs';
import { hasCommand } from './needs.mjs';
import { StepError, inRoot, root } from './steps.mjs';

const PINS = { 'linux-source-6.12': '6.12.107-1' };
export const CLANG = 'clang-19';
const FLAGS = ['-g', '-O2', '-target', 'bpf', '-mcpu=v3', '-w'];

export const linux = () => inRoot('build/sources/linux');
export const selftests = () =>
  path.join(linux(), 'tools/testing/selftests/bpf');
const out = () => inRoot('build/corpus/selftests');

/** What is unpacked: the selftests, the headers that they include, and other BPF C files. */
const PARTS = [
  'tools/testing/selftests/bpf',
  'tools/include',
  'tools/sched_ext',
  'samples/bpf',
  'tools/bpf',
  'drivers/hid/bpf',
  'tools/perf/util/bpf_skel',
];

/** Programs of the fixed sample of `npm test`: every kind of map, section and relocation, small. */
const SAMPLE = [
  'arena_list atomics bpf_cubic bpf_iter_tasks cgrp_kfunc_success core_kern',
  'dynptr_success fexit_bpf2bpf_simple for_each_array_map_elem iters',
  'kprobe_multi linked_list lsm map_in_map_btf pyperf50',
  'rbtree strobemeta_subprogs tailcall_bpf2bpf4 test_core_reloc_bitfields_direct',
  'test_core_reloc_enum64val test_core_reloc_existence test_core_reloc_kernel',
  'test_core_reloc_nesting test_core_reloc_type_based test_global_data',
  'test_global_map_resize test_ksyms_btf test_ringbuf test_static_linked1',
  'test_subprogs test_tc_tunnel test_urandom_usdt test_verif_scale1',
  'test_xdp_noinline timer user_ringbuf_success verifier_and',
  'verifier_bswap verifier_gotol verifier_ldsx verifier_map_ptr',
  'verifier_movsx verifier_sdiv verifier_spill_fill xdp_synproxy_kern',
  // BTF to relocate against: values that differ, and what must be refused.
  'btf__core_reloc_bitfields btf__core_reloc_bitfields___bit_sz_change',
  'btf__core_reloc_bitfields___err_too_big_bitfield',
  'btf__core_reloc_enum64val___val3_missing btf__core_reloc_existence',
  'btf__core_reloc_existence___minimal btf__core_reloc_nesting',
  'btf__core_reloc_nesting___anon_embed btf__core_reloc_nesting___err_too_deep',
  'btf__core_reloc_nesting___err_dup_incompat_types',
  'btf__core_reloc_type_based___diff btf__core_reloc_type_based___fn_wrong_args',
].flatMap((line) => line.split(' '));

/** Step: the sources in build/sources/linux. */
export const fetchLinux = {
  name: 'linux',
  what: `selftests of ${Object.keys(PINS)[0]}`,
  inputs: () => JSON.stringify([PINS, PARTS]),
  outputs: ['build/sources/linux'],
  async run(log) {
    const dir = inRoot('build/sources/linux-package');
    await fetchFromDebian(log, 'deb', PINS, dir);
    const [deb] = fs.readdirSync(dir).filter((name) => name.endsWith('.deb'));
    const inner = './usr/src/linux-source-6.12.tar.xz';
    fs.rmSync(linux(), { recursive: true, force: true });
    fs.mkdirSync(linux(), { recursive: true });
    await log.run('sh', [
      ...[
        '-ec',
        'dpkg-deb --fsys-tarfile "$1" | tar -xO "$2" | tar -xJ -C "$3" --strip-components=1 $4',
      ],
      ...['sh', path.join(dir, deb), inner, linux()],
      PARTS.map((part) => `linux-source-6.12/${part}`).join(' '),
    ]);
    fs.rmSync(dir, { recursive: true, force: true });
  },
};

/** clang's own folders of system headers: with -target bpf they are not searched by themselves. */
let systemDirs;
function systemIncludes() {
  return (systemDirs ??= findSystemIncludes());
}

function findSystemIncludes() {
  const { stderr } = runSync(CLANG, ['-v', '-E', '-', '-o', '/dev/null']);
  const [, list] =
    /search starts here:\n([^]*?)End of search/m.exec(
      stderr.slice(stderr.indexOf('#include <')),
    ) ?? [];
  return (list ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('/'))
    .flatMap((dir) => ['-idirafter', dir]);
}

function runSync(command, args) {
  try {
    const options = { input: '', encoding: 'utf8', stdio: 'pipe' };
    return {
      stderr: execFileSync(
        'sh',
        ['-c', '"$@" 2>&1', 'sh', command, ...args],
        options,
      ),
    };
  } catch (error) {
    return { stderr: `${error.stdout ?? ''}${error.message}` };
  }
}

/** The folder of vmlinux.h of the running kernel, made once per kernel. */
export function vmlinuxHeader() {
  const dir = inRoot('build/corpus/include');
  const header = path.join(dir, 'vmlinux.h');
  const stamp = path.join(dir, 'kernel');
  const kernel = os.version() + os.release();
  if (!fs.existsSync(header) || fs.readFileSync(stamp, 'utf8') !== kernel) {
    fs.mkdirSync(dir, { recursive: true });
    const args = ['btf', 'dump', 'file', '/sys/kernel/btf/vmlinux'];
    const text = execFileSync('bpftool', [...args, 'format', 'c'], {
      maxBuffer: 1 << 28,
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
    });
    fs.writeFileSync(header, text);
    fs.writeFileSync(stamp, kernel);
  }
  return dir;
}

/** Flags for any BPF C: those of `first` stand before the folders of vmlinux.h and <bpf/*.h>. */
export function clangFlags(first = [], last = []) {
  const arch = { x64: 'x86', arm64: 'arm64', s390x: 's390', ppc64: 'powerpc' };
  return [
    ...FLAGS,
    `-D__TARGET_ARCH_${arch[process.arch] ?? process.arch}`,
    ...first,
    `-I${vmlinuxHeader()}`,
    `-I${inRoot('build/deps/include')}`,
    ...last,
    ...systemIncludes(),
  ];
}

/** What clang is told, to compile the program of the selftests, as in their Makefile. */
export function compileFlags(name = '') {
  const own = /^test_(l4lb|xdp)_noinline$/.test(name) ? ['-fno-inline'] : [];
  const uapi = path.join(linux(), 'tools/include/uapi');
  const flags = clangFlags(
    ['-DENABLE_ATOMICS_TESTS'],
    [`-I${selftests()}`, `-I${uapi}`],
  );
  return [...flags, ...own];
}

/** Compiles one program to PROGRAM.o and PROGRAM.s; gives clang's first error, or ''. */
async function compile(name) {
  const run = promisify(execFile);
  const source = path.join(selftests(), 'progs', `${name}.c`);
  const target = path.join(out(), name);
  try {
    // In the folder of the sources: what clang notes of paths shall not depend on this machine.
    const options = { cwd: path.dirname(source), maxBuffer: 1 << 26 };
    const args = [...compileFlags(name), path.basename(source)];
    await run(CLANG, [...args, '-S', '-o', `${target}.s`], options);
    await run(CLANG, [...args, '-c', '-o', `${target}.part`], options);
    fs.renameSync(`${target}.part`, `${target}.o`);
    return '';
  } catch (error) {
    fs.rmSync(`${target}.s`, { force: true });
    return /error: .*/.exec(error.stderr ?? '')?.[0] ?? String(error.message);
  }
}

/** Why there is no corpus here, or null. */
export function noCorpus() {
  if (process.platform !== 'linux') return 'the corpus is made on Linux';
  if (!fs.existsSync(selftests()))
    return 'no sources of the selftests (build/sources/linux); set-up fetches them where apt knows a Debian mirror';
  if (!hasCommand(CLANG)) return `no ${CLANG}`;
  if (!hasCommand('bpftool')) return 'no bpftool';
  if (!fs.existsSync('/sys/kernel/btf/vmlinux'))
    return 'this kernel has no BTF (/sys/kernel/btf/vmlinux)';
  return null;
}

export const selftestSample = () => SAMPLE;

/** The selftests by name: programs/NAME.c. */
export const selftestNames = () =>
  fs
    .readdirSync(path.join(selftests(), 'progs'))
    .filter((name) => name.endsWith('.c'))
    .map((name) => name.slice(0, -2));

/**
 * The corpus, compiled where it is not yet: { files: [{ name, object, assembly }], refused: {
 * program: error } }, of all selftests, of the sample, or only of those named.
 */
export async function selftestCorpus({ sample, only, log }) {
  const all = selftestNames();
  const gone = SAMPLE.filter((name) => !all.includes(name));
  if (gone.length > 0)
    throw new StepError(`the selftests have no ${gone.join(', ')}`);
  const wanted = only || (sample ? SAMPLE : all);
  fs.mkdirSync(out(), { recursive: true });
  const flags = compileFlags();
  const stamp = JSON.stringify([flags, os.release()]).replaceAll(root, '');
  const stampFile = path.join(out(), 'stamp');
  const refusedFile = path.join(out(), 'refused.json');
  const read = (file) =>
    fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  if (read(stampFile) !== stamp) {
    for (const name of fs.readdirSync(out())) fs.rmSync(path.join(out(), name));
    fs.writeFileSync(stampFile, stamp);
  }
  const refused = JSON.parse(read(refusedFile) || '{}');
  const missing = wanted.filter(
    (name) =>
      !(name in refused) && !fs.existsSync(path.join(out(), `${name}.o`)),
  );
  let done = 0;
  const worker = async () => {
    for (let name = missing.pop(); name; name = missing.pop()) {
      const error = await compile(name);
      if (error) refused[name] = error;
      done += 1;
      if (done % 50 === 0) log(`clang: ${missing.length} programs to go`);
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
  fs.writeFileSync(refusedFile, JSON.stringify(refused, null, 1));
  const files = wanted
    .filter((name) => !(name in refused))
    .map((name) => ({
      name,
      object: path.join(out(), `${name}.o`),
      assembly: path.join(out(), `${name}.s`),
    }));
  return { files, refused };
}
