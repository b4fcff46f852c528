// What each profile needs from the system: how to see that it is there, and which package of Debian
// and Ubuntu has it. A need is met by whatever provides it, so a compiler or cmake that did not come
// from a package is fine. Everything is looked up in the file system: that takes milliseconds.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const triplet = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
  ia32: 'i386-linux-gnu',
};
const multiarch = triplet[process.arch] ?? `${process.arch}-linux-gnu`;

const any = (dirs, name) =>
  dirs.some((dir) => fs.existsSync(path.join(dir, name)));
const commandDirs = [
  ...(process.env.PATH ?? '').split(path.delimiter),
  '/usr/sbin',
];
const command = (name) => () => any(commandDirs, name);
const header = (name) => () =>
  any(
    ['/usr/include', `/usr/include/${multiarch}`, '/usr/local/include'],
    name,
  );
const library = (name) => () =>
  any(
    [`/usr/lib/${multiarch}`, '/usr/lib64', '/usr/lib', '/usr/local/lib'],
    name,
  );

const row = (what, packageName, ...probes) => ({
  what,
  package: packageName,
  met: () => probes.every((probe) => probe()),
});
/** Needed on Linux only: everything else is needed wherever the package is built. */
const linux = (...args) => ({ ...row(...args), linuxOnly: true });
/** Something to compare with: where a distribution has it not, its tests are skipped. */
const peer = (...args) => ({ ...linux(...args), optional: true });

const demo = [
  row('C compiler', 'gcc', command('gcc')),
  row('cmake', 'cmake', command('cmake')),
  row('ninja', 'ninja-build', command('ninja')),
  row('Emscripten', 'emscripten', command('emcc')),
  linux('C++ compiler', 'g++', command('g++')),
  linux('C library headers', 'libc6-dev', header('stdio.h')),
  linux('Linux headers', 'linux-libc-dev', header('linux/bpf.h')),
  linux('make', 'make', command('make')),
  linux('m4', 'm4', command('m4')),
  linux('bzip2', 'bzip2', command('bzip2')),
  linux('zlib with libz.a', 'zlib1g-dev', header('zlib.h'), library('libz.a')),
  linux('libuv headers', 'libuv1-dev', header('uv.h')),
];

const systemLibbpf = [
  linux('libbpf', 'libbpf-dev', header('bpf/libbpf.h'), library('libbpf.so')),
];

const test = [
  row('clang', 'clang', command('clang')),
  row('clang-format 14', 'clang-format-14', command('clang-format-14')),
  row('cmocka', 'libcmocka-dev', header('cmocka.h')),
  linux('pkg-config', 'pkg-config', command('pkg-config')),
  peer('LLVM 14 tools', 'llvm-14', command('llvm-mc-14')),
  peer('LLVM 19 tools', 'llvm-19', command('llvm-mc-19')),
  peer('clang 19', 'clang-19', command('clang-19')),
  peer('xz', 'xz-utils', command('xz')),
  peer('bpftool', 'bpftool', command('bpftool')),
  peer('gcc for BPF', 'gcc-bpf', command('bpf-gcc')),
  peer('csmith', 'csmith', command('csmith')),
];

const fuzzerRuntime = () =>
  fs.existsSync('/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux');
const peers = [
  linux('fuzzer runtime of clang 14', 'libclang-rt-14-dev', fuzzerRuntime),
];
/** Older QEMU has virtiofsd, newer Debian a package of its own. */
const virtiofsd = () =>
  command('virtiofsd')() || any(['/usr/lib/qemu', '/usr/libexec'], 'virtiofsd');
const kernels = [
  linux('QEMU', 'qemu-system-x86', command('qemu-system-x86_64')),
  linux(
    'virtiofsd',
    (osRelease().VERSION_ID ?? '99') < 13 ? 'qemu-system-common' : 'virtiofsd',
    virtiofsd,
  ),
  linux('static busybox', 'busybox-static', command('busybox')),
  linux('cpio', 'cpio', command('cpio')),
  linux('xz', 'xz-utils', command('xz')),
  linux('depmod and modprobe', 'kmod', command('depmod')),
  linux('ip and tc', 'iproute2', command('ip'), command('tc')),
  linux('python3', 'python3', command('python3')),
];
const full = [linux('Chromium', 'chromium', command('chromium'))];

/** The needs of a profile; each profile has those of the smaller ones too. */
function needsOf(profile, useSystemLibbpf) {
  const needs = [...demo];
  if (useSystemLibbpf) needs.push(...systemLibbpf);
  if (['test', 'peers', 'kernels', 'full'].includes(profile))
    needs.push(...test);
  if (['peers', 'full'].includes(profile)) needs.push(...peers);
  if (profile === 'kernels') needs.push(...kernels);
  if (profile === 'full') needs.push(...full);
  return needs.filter(
    (need) => process.platform === 'linux' || !need.linuxOnly,
  );
}

/** What is needed and not there; optional things only if apt could install them. */
export function missing(profile, useSystemLibbpf) {
  const gone = needsOf(profile, useSystemLibbpf).filter((need) => !need.met());
  const optional = gone
    .filter((need) => need.optional)
    .map((need) => need.package);
  if (optional.length === 0) return gone;
  const unknown = hasApt() ? unknownToApt(optional) : optional;
  return gone.filter(
    (need) => !need.optional || !unknown.includes(need.package),
  );
}

/** os-release as an object, empty where there is none. */
export function osRelease() {
  let text = '';
  try {
    text = fs.readFileSync('/etc/os-release', 'utf8');
  } catch {
    return {};
  }
  const rows = [...text.matchAll(/^([A-Z_]+)="?([^"\n]*)"?$/gm)];
  return Object.fromEntries(rows.map(([, key, value]) => [key, value]));
}

/** Whether a command is there to be run. */
export function hasCommand(name) {
  return command(name)();
}

export function hasApt() {
  return hasCommand('apt-get') && hasCommand('apt-cache');
}

/** How to become root: [] for root, ['sudo'] where there is sudo, null otherwise. */
export function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  return command('sudo')() ? ['sudo'] : null;
}

/** Names among `packages` that apt's present lists cannot install. */
export function unknownToApt(packages) {
  const said = execFileSync('apt-cache', ['policy', ...packages], {
    encoding: 'utf8',
  });
  return packages.filter((name) => {
    const at = said.indexOf(`${name}:\n`);
    return (
      at < 0 ||
      !/Candidate: (?!\(none\))/.test(said.slice(at).split('\n')[2] ?? '')
    );
  });
}

/**
 * The URI of the Debian mirror that the system itself uses, from what apt would fetch for an update
 * (`apt-get indextargets` knows only what was fetched before); '' if it is not a Debian system or
 * has none.
 */
export function debianMirror() {
  const { ID, VERSION_CODENAME } = osRelease();
  if (ID !== 'debian' || !hasApt()) return '';
  const suites = [VERSION_CODENAME, 'stable', 'testing', 'unstable', 'sid'];
  const said = execFileSync('apt-get', ['--print-uris', 'update'], {
    encoding: 'utf8',
  });
  for (const [, uri, suite] of said.matchAll(/^'(\S+)\/dists\/([^/]+)\//gm))
    if (suites.includes(suite) && !uri.includes('security')) return uri;
  return '';
}
