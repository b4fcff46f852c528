// What each profile needs from the system: how to see that it is there, and which package of Debian
// and Ubuntu has it. A need is met by whatever provides it, so a compiler or cmake that did not come
// from a package is fine; what is not needed everywhere is needed on Linux. Everything is looked up
// in the file system: that takes milliseconds.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const triplet = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
  ia32: 'i386-linux-gnu',
};
const multiarch = triplet[process.arch] ?? `${process.arch}-linux-gnu`;

const command = (name) =>
  (process.env.PATH ?? '')
    .split(path.delimiter)
    .some((dir) => fs.existsSync(path.join(dir, name)));
const header = (name) =>
  ['/usr/include', `/usr/include/${multiarch}`, '/usr/local/include'].some(
    (dir) => fs.existsSync(path.join(dir, name)),
  );
const library = (name) =>
  [`/usr/lib/${multiarch}`, '/usr/lib64', '/usr/lib', '/usr/local/lib'].some(
    (dir) => fs.existsSync(path.join(dir, name)),
  );

const demo = [
  {
    what: 'C compiler',
    everywhere: true,
    package: 'gcc',
    met: () => command('gcc'),
  },
  { what: 'C++ compiler', package: 'g++', met: () => command('g++') },
  {
    what: 'C library headers',
    package: 'libc6-dev',
    met: () => header('stdio.h'),
  },
  {
    what: 'Linux headers',
    package: 'linux-libc-dev',
    met: () => header('linux/bpf.h'),
  },
  {
    what: 'cmake',
    everywhere: true,
    package: 'cmake',
    met: () => command('cmake'),
  },
  {
    what: 'ninja',
    everywhere: true,
    package: 'ninja-build',
    met: () => command('ninja'),
  },
  { what: 'make', package: 'make', met: () => command('make') },
  { what: 'm4', package: 'm4', met: () => command('m4') },
  { what: 'bzip2', package: 'bzip2', met: () => command('bzip2') },
  {
    what: 'zlib (headers and libz.a)',
    package: 'zlib1g-dev',
    met: () => header('zlib.h') && library('libz.a'),
  },
  { what: 'libuv headers', package: 'libuv1-dev', met: () => header('uv.h') },
  {
    what: 'Emscripten',
    everywhere: true,
    package: 'emscripten',
    met: () => command('emcc'),
  },
];

const systemLibbpf = [
  {
    what: 'libbpf',
    package: 'libbpf-dev',
    met: () => header('bpf/libbpf.h') && library('libbpf.so'),
  },
];

const test = [
  { what: 'cmocka', package: 'libcmocka-dev', met: () => header('cmocka.h') },
  {
    what: 'clang',
    everywhere: true,
    package: 'clang',
    met: () => command('clang'),
  },
  {
    what: 'clang-format 14',
    everywhere: true,
    package: 'clang-format-14',
    met: () => command('clang-format-14'),
  },
  {
    what: 'LLVM 14 tools',
    package: 'llvm-14',
    met: () => command('llvm-mc-14'),
  },
  {
    what: 'LLVM 19 tools',
    package: 'llvm-19',
    met: () => command('llvm-mc-19'),
  },
];

const full = [
  { what: 'clang 19', package: 'clang-19', met: () => command('clang-19') },
  { what: 'Chromium', package: 'chromium', met: () => command('chromium') },
  {
    what: 'sanitizer and fuzzer runtimes',
    package: 'libclang-rt-14-dev',
    met: () => fs.existsSync('/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux'),
  },
];

/** The needs of a profile; each profile has those of the smaller ones too. */
export function needsOf(profile, useSystemLibbpf) {
  const needs = [...demo];
  if (useSystemLibbpf) needs.push(...systemLibbpf);
  if (profile === 'test' || profile === 'full') needs.push(...test);
  if (profile === 'full') needs.push(...full);
  return process.platform === 'linux'
    ? needs
    : needs.filter((need) => need.everywhere);
}

export function missing(needs) {
  return needs.filter((need) => !need.met());
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

export function hasApt() {
  return command('apt-get') && command('dpkg');
}

/** How to become root: [] for root, ['sudo'] where there is sudo, null otherwise. */
export function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  return command('sudo') ? ['sudo'] : null;
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
