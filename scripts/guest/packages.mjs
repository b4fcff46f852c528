// Kernels of Debian, unpacked from their packages into a cache outside of the repository, and a QEMU
// that boots them. A kernel is the newest `linux-image-cloud-amd64` of some suites; what is in the
// cache is used until --update. Nothing is installed.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { withSuite } from '../lib/apt.mjs';
import { hasCommand, osRelease } from '../lib/needs.mjs';
import { StepError } from '../lib/steps.mjs';

export const cache =
  process.env.BPF_KERNELS ??
  path.join(
    process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'),
    'bpf-kernels',
  );

const META = 'linux-image-cloud-amd64';
/** By name: suites to look in, and how the versions of the package begin. */
export const kernels = {
  '5.10': { suites: ['bullseye'], begins: '5.10.' },
  6.1: { suites: ['bookworm'], begins: '6.1.' },
  6.12: { suites: ['trixie', 'bookworm-backports'], begins: '6.12.' },
  newest: { suites: ['sid', 'trixie-backports'], begins: '' },
};
export const kernelNames = ['5.10', '6.1', '6.12', 'newest'];

/** Compares versions as '7.10.2' and '7.9': by their numbers. */
export function isNewer(a, b) {
  const [x, y] = [a, b].map((text) => (text.match(/\d+/g) ?? []).map(Number));
  for (let i = 0; i < Math.max(x.length, y.length); i++)
    if ((x[i] ?? 0) !== (y[i] ?? 0)) return (x[i] ?? 0) > (y[i] ?? 0);
  return false;
}

/** The packages of Depends that are part of the same kernel. */
export const partsIn = (depends) =>
  [...depends.matchAll(/linux-(?:image|base|binary|modules)-\d[^\s,]*/g)].map(
    ([name]) => name,
  );

/** Packages that make up the kernel: the image, and in newer suites what it was split into. */
function partsOf(apt, meta) {
  const names = new Set(partsIn(meta.Depends ?? ''));
  for (const name of names)
    for (const part of partsIn(apt.show(name)?.Depends ?? '')) names.add(part);
  return [...names];
}

const stampOf = (name) => path.join(cache, name, 'kernel.json');

/** What is in the cache: { version, suite, release, folder }, or undefined. */
export function cached(name) {
  const stamp = stampOf(name);
  if (!fs.existsSync(stamp)) return undefined;
  const folder = path.join(cache, name);
  return { ...JSON.parse(fs.readFileSync(stamp, 'utf8')), folder };
}

/** Fetches and unpacks a kernel; StepError with what each suite said if none has it. */
export async function fetchKernel(log, name) {
  const { suites, begins } = kernels[name];
  const found = [];
  const refusals = [];
  for (const suite of suites) {
    try {
      const version = await withSuite(
        log,
        suite,
        (apt) => apt.show(META)?.Version,
      );
      if (version?.startsWith(begins)) found.push({ suite, version });
      else
        refusals.push(
          `${suite} has ${version ? `${META} ${version}` : `no ${META}`}`,
        );
    } catch (error) {
      if (!(error instanceof StepError)) throw error;
      refusals.push(`${suite} cannot be reached (${error.message})`);
    }
  }
  found.sort((a, b) => (isNewer(a.version, b.version) ? -1 : 1));
  const [best] = found;
  if (!best) throw new StepError(refusals.join('; '));
  await withSuite(log, best.suite, (apt) => unpack(log, apt, name, best));
  return { ...cached(name), refusals };
}

async function unpack(log, apt, name, { suite, version }) {
  const folder = path.join(cache, name);
  const debs = path.join(cache, `${name}.debs`);
  for (const dir of [folder, debs]) {
    fs.rmSync(dir, { recursive: true, force: true });
    fs.mkdirSync(dir, { recursive: true });
  }
  for (const part of partsOf(apt, apt.show(META)))
    if (!(await apt.fetch(part, debs)))
      throw new StepError(`apt-get could not fetch ${part} of ${suite}`);
  for (const deb of fs.readdirSync(debs))
    await log.run('dpkg-deb', ['-x', path.join(debs, deb), folder]);
  fs.rmSync(debs, { recursive: true, force: true });
  // Newer packages have it below usr.
  if (!fs.existsSync(path.join(folder, 'lib')))
    fs.symlinkSync('usr/lib', path.join(folder, 'lib'));
  const [release] = fs.readdirSync(path.join(folder, 'lib/modules'));
  await log.run('depmod', ['-b', folder, release]);
  fs.writeFileSync(stampOf(name), JSON.stringify({ version, suite, release }));
}

/** The file to boot. */
export function imageOf({ folder, release }) {
  const places = [
    path.join(folder, 'boot', `vmlinuz-${release}`),
    path.join(folder, 'lib/modules', release, 'vmlinuz'),
  ];
  const image = places.find((place) => fs.existsSync(place));
  if (!image) throw new StepError(`there is no vmlinuz in ${folder}`);
  return image;
}

const SYSTEM_QEMU = 'qemu-system-x86_64';
/** Before, emulated cmpxchg16b goes wrong now and then, which stops Linux 6.12 at its start. */
const GOOD_QEMU = 8;

/** How to call QEMU: { command, args, note }. An old one is replaced by the backports' in the cache. */
export async function findQemu(log) {
  const folder = path.join(cache, 'qemu');
  const own = path.join(folder, 'usr/bin', SYSTEM_QEMU);
  const ours = {
    command: own,
    args: [
      '-L',
      path.join(folder, 'usr/share/qemu'),
      '-L',
      '/usr/share/seabios',
      '-cpu',
      'max',
    ],
  };
  const said = execFileSync(SYSTEM_QEMU, ['--version'], { encoding: 'utf8' });
  const version = /version (\d+)\.(\d+)/.exec(said);
  if (Number(version?.[1]) >= GOOD_QEMU)
    return { command: SYSTEM_QEMU, args: ['-cpu', 'max'] };
  if (!fs.existsSync(own)) {
    const suite = `${osRelease().VERSION_CODENAME}-backports`;
    try {
      await withSuite(log, suite, (apt) => unpackQemu(log, apt, folder));
    } catch (error) {
      if (!(error instanceof StepError)) throw error;
      const note = `QEMU ${version?.[0]} cannot give guests cmpxchg16b, so arenas of Linux 7 fail there, and a newer one could not be fetched: ${error.message}`;
      return { command: SYSTEM_QEMU, args: ['-cpu', 'max,-cx16'], note };
    }
  }
  return ours;
}

async function unpackQemu(log, apt, folder) {
  const debs = `${folder}.debs`;
  fs.mkdirSync(debs, { recursive: true });
  for (const name of [
    'qemu-system-x86',
    'qemu-system-common',
    'qemu-system-data',
  ])
    if (!(await apt.fetch(name, debs)))
      throw new StepError(`apt-get could not fetch ${name}`);
  for (const deb of fs.readdirSync(debs))
    await log.run('dpkg-deb', ['-x', path.join(debs, deb), folder]);
  fs.rmSync(debs, { recursive: true, force: true });
}

/** Where Debian has virtiofsd: in older releases it is part of QEMU and has options of its own. */
export function findVirtiofsd() {
  const places = ['/usr/lib/qemu/virtiofsd', '/usr/libexec/virtiofsd'];
  const found = places.find((place) => fs.existsSync(place));
  if (found) return found;
  if (hasCommand('virtiofsd')) return 'virtiofsd';
  throw new StepError('there is no virtiofsd');
}
