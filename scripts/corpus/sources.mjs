// The corpora: C files for BPF that people wrote, and how clang is told to compile them. They come
// from Debian's source packages at set-up (the kernel's by lib/corpus.mjs), or are any folder.
// A corpus is { name, title, least: share of the files that must compile, files: [{ name, source,
// flags }], compiled(log): clang's objects, where lib/corpus.mjs keeps them }; a file's name is its path in
// its corpus without its ending.
import fs from 'node:fs';
import path from 'node:path';
import { fetchFromDebian } from '../lib/apt.mjs';
import {
  clangFlags,
  compileFlags,
  linux,
  selftestCorpus,
  selftestNames,
  selftestSample,
  selftests,
} from '../lib/corpus.mjs';
import { inRoot } from '../lib/steps.mjs';

/** What is unpacked of each source package; xdp-tools of the suite whose version has all its tools. */
const PACKAGES = [
  { name: 'xdp-tools', version: '1.6.3-1', suite: 'sid', parts: '*.[ch]' },
  { name: 'systemd', version: '257.13-1~deb13u1', parts: '*bpf*' },
];

const unpacked = (name) => inRoot('build/sources', name);

/** Step: the source packages in build/sources. */
export const fetchCorpora = {
  name: 'corpora',
  what: `sources of ${PACKAGES.map(({ name }) => name).join(' and ')}`,
  inputs: () => JSON.stringify(PACKAGES),
  outputs: PACKAGES.map(({ name }) => `build/sources/${name}`),
  async run(log) {
    for (const { name, version, suite, parts } of PACKAGES) {
      const dir = inRoot('build/sources', `${name}-package`);
      await fetchFromDebian(log, 'deb-src', { [name]: version }, dir, suite);
      const tar = fs.readdirSync(dir).find((file) => file.includes('.orig.'));
      const to = unpacked(name);
      fs.rmSync(to, { recursive: true, force: true });
      fs.mkdirSync(to, { recursive: true });
      await log.run('tar', [
        ...['-xf', path.join(dir, tar), '-C', to, '--strip-components=1'],
        ...['--wildcards', parts],
      ]);
      fs.rmSync(dir, { recursive: true, force: true });
    }
  },
};

/** All files of a folder by their paths in it, sorted. */
const filesIn = (dir) =>
  fs
    .readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      path.relative(dir, path.join(entry.parentPath ?? entry.path, entry.name)),
    )
    .sort();

const isBpf = (file) =>
  /\.c$/.test(file) &&
  (/(\.bpf|_kern)\.c$/.test(file) ||
    /\bSEC\("|__section\("/.test(fs.readFileSync(file, 'utf8')));

/** The files of `dir` that match, with the flags that `flagsOf(path in dir)` gives. */
const filesOf = (dir, names, flagsOf) =>
  names.map((name) => ({
    name: name.replace(/\.c$/, ''),
    source: path.join(dir, name),
    flags: flagsOf(name),
  }));

/** What the sample of the peers has not: more of helpers, loops, tail calls and packets. */
const SAMPLE_TOO = [
  'bpf_loop dynptr_fail exceptions for_each_hash_map_elem syscall tailcall1',
  'test_check_mtu test_queue_map test_sk_lookup test_snprintf test_xdp',
  'test_xdp_vlan verifier_array_access verifier_loops1',
  'verifier_value_ptr_arith',
].flatMap((line) => line.split(' '));

/** The peers' sample without its files of types only, and more: 60 files. */
const sampleNames = () => [
  ...selftestSample().filter((name) => !name.startsWith('btf__')),
  ...SAMPLE_TOO,
];

function selftestCorpusOf(sample) {
  const progs = path.join(selftests(), 'progs');
  const names = sample ? sampleNames() : selftestNames();
  return {
    name: 'selftests',
    title: "The kernel's selftests",
    least: sample ? 1 : 0.97,
    compiled: (log) => selftestCorpus({ only: sample && names, log }),
    files: names.map((name) => ({
      name,
      source: path.join(progs, `${name}.c`),
      flags: compileFlags(name),
    })),
  };
}

/** <uapi/linux/*.h>, as in the kernel's own tree: a link to where the user's <linux/*.h> are. */
function uapiLink() {
  const dir = inRoot('build/corpus/uapi');
  fs.mkdirSync(dir, { recursive: true });
  fs.rmSync(path.join(dir, 'uapi'), { force: true });
  fs.symlinkSync('/usr/include', path.join(dir, 'uapi'));
  return `-I${dir}`;
}

/** What the kernel's own headers, which are not here, would give the samples. */
const KERNEL_NAMES = `#include <linux/types.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
#define AF_INET 2
#define AF_INET6 10
#define SOL_SOCKET 1
#define SOL_TCP 6
#define SOL_IP 0
#define SO_SNDBUF 7
#define SO_RCVBUF 8
#define __force
#define unlikely(x) (x)
#define TASK_COMM_LEN 16
`;

function kernelNames() {
  const file = inRoot('build/corpus/include/kernel_names.h');
  fs.writeFileSync(file, KERNEL_NAMES);
  return ['-D__x86_64__', '-include', file];
}

function linuxCorpus() {
  const folders = ['samples/bpf', 'tools/bpf', 'tools/perf/util/bpf_skel'];
  folders.push('tools/sched_ext', 'drivers/hid/bpf');
  const names = folders
    .flatMap((dir) =>
      filesIn(path.join(linux(), dir)).map((name) => path.join(dir, name)),
    )
    .filter((name) => /(\.bpf|_kern)\.c$/.test(name));
  const uapi = uapiLink();
  const samples = kernelNames();
  const include = (dir) => `-I${path.join(linux(), dir)}`;
  return {
    name: 'linux',
    title: "The kernel's samples, perf, bpftool, sched_ext and HID",
    least: 1,
    files: filesOf(linux(), names, (name) =>
      clangFlags(name.endsWith('_kern.c') ? samples : ['-D__x86_64__'], [
        `-I${selftests()}`,
        include('tools/sched_ext/include'),
        include('tools/perf'),
        uapi,
      ]),
    ),
  };
}

function xdpToolsCorpus() {
  const dir = unpacked('xdp-tools');
  const names = filesIn(dir).filter(
    (name) =>
      isBpf(path.join(dir, name)) && !/headers|\/lib\/libbpf/.test(name),
  );
  // What its configure finds out about libbpf.
  const have = ['TYPE', 'FLAGS'].map(
    (what) => `-DHAVE_LIBBPF_BPF_PROGRAM__${what}`,
  );
  const include = (sub) => `-I${path.join(dir, sub)}`;
  return {
    name: 'xdp-tools',
    title: 'xdp-tools',
    least: 1,
    files: filesOf(dir, names, () =>
      clangFlags([...have, include('headers'), include('lib/util')]),
    ),
  };
}

function systemdCorpus() {
  const dir = unpacked('systemd');
  const names = filesIn(dir).filter((name) => name.endsWith('.bpf.c'));
  return {
    name: 'systemd',
    title: 'systemd',
    least: 1,
    files: filesOf(dir, names, () => clangFlags(['-D__x86_64__'])),
  };
}

/**
 * Any folder: its BPF C files, with the folder, `headers` and `include` folders in it or beside it
 * to include from. Its own vmlinux.h is taken where it lies in one of these, otherwise the running
 * kernel's.
 */
export function folderCorpus(dir, extra) {
  const root = path.resolve(dir);
  const all = filesIn(root);
  const names = all.filter((name) => isBpf(path.join(root, name)));
  const folders = new Set(
    all
      .filter((name) => name.endsWith('.h'))
      .map((name) => path.dirname(name))
      .filter((sub) => /(^|\/)(headers|include)$/.test(sub)),
  );
  const beside = ['../headers', '../include'].filter((sub) =>
    fs.existsSync(path.join(root, sub)),
  );
  const include = ['.', ...folders, ...beside].map(
    (sub) => `-I${path.join(root, sub)}`,
  );
  return {
    name: path.basename(root),
    title: `Folder ${path.basename(root)}`,
    least: 1,
    strict: true,
    files: filesOf(root, names, () => clangFlags([...extra, ...include])),
  };
}

const CORPORA = {
  selftests: { dir: selftests, make: () => selftestCorpusOf(false) },
  linux: { dir: linux, make: linuxCorpus },
  'xdp-tools': { dir: () => unpacked('xdp-tools'), make: xdpToolsCorpus },
  systemd: { dir: () => unpacked('systemd'), make: systemdCorpus },
};
export const corpusNames = Object.keys(CORPORA);

/** The corpora by name, or { name, title, reason } of those whose sources are not here. */
export function corporaOf(names) {
  return names.map((name) => {
    const { dir, make } = CORPORA[name];
    if (fs.existsSync(dir())) return make();
    const reason = `no sources in ${path.relative(inRoot(), dir())}; set-up fetches them where apt knows a Debian mirror`;
    return { name, title: name, reason };
  });
}

/** The fixed sample of `npm test`. */
export const sampleCorpus = () => selftestCorpusOf(true);

/**
 * What check:peers compares on: the sample, or all corpora and the folders in BPF_BTF_CORPUS, with ':'
 * between.
 */
export function peerCorpora(sample) {
  if (sample) return [sampleCorpus()];
  const folders = process.env.BPF_BTF_CORPUS?.split(':') ?? [];
  return [
    ...corporaOf(corpusNames),
    ...folders.map((folder) => folderCorpus(folder, [])),
  ];
}

/** The row of a comparison for a corpus whose sources are not here. */
export const absentRow = ({ title, reason }) => ({
  what: title,
  required: 'all',
  measured: 'none',
  ok: false,
  notes: [reason],
});
