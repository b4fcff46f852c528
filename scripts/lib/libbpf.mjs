// libbpf and libelf for the addon: fetched as Debian's source packages and built with -fPIC into
// build/deps (the packaged static libraries are not position independent).
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inRoot, StepError } from './steps.mjs';
import { fetchFromDebian } from './apt.mjs';
import { debianMirror } from './needs.mjs';

const PINS = { libbpf: '1.5.0-3', elfutils: '0.192-4' };
const CFLAGS =
  '-O2 -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections';

const sources = () => inRoot('build/sources/libbpf');
const jobs = () => `-j${os.availableParallelism()}`;

function origTarball(name) {
  const files = fs.existsSync(sources()) ? fs.readdirSync(sources()) : [];
  return files.find(
    (file) => file.startsWith(`${name}_`) && /\.orig\.tar\.\w+$/.test(file),
  );
}

/** Step: both source packages in build/sources. */
export const fetchSources = {
  name: 'sources',
  what: `sources of libbpf ${PINS.libbpf} and elfutils ${PINS.elfutils}`,
  inputs: () => JSON.stringify([PINS]),
  outputs: ['build/sources/libbpf'],
  async run(log) {
    if (!debianMirror())
      throw new StepError(
        'apt knows no Debian mirror on this system to fetch the sources of libbpf and libelf from. ' +
          "Set BPF_SYSTEM_LIBBPF=1 to link the system's own libbpf instead.",
      );
    await fetchFromDebian(log, 'deb-src', PINS, sources());
  },
};

async function unpack(log, name) {
  const tarball = origTarball(name);
  const dir = path.join(sources(), name);
  fs.rmSync(dir, { recursive: true, force: true });
  fs.mkdirSync(dir, { recursive: true });
  await log.run('tar', [
    '-xf',
    path.join(sources(), tarball),
    '-C',
    dir,
    '--strip-components=1',
  ]);
  return dir;
}

function install(from, to) {
  fs.mkdirSync(path.dirname(inRoot('build/deps', to)), { recursive: true });
  fs.copyFileSync(from, inRoot('build/deps', to));
}

/** Step: libelf.a and its libeu.a in build/deps. */
export const buildLibelf = {
  name: 'libelf',
  what: 'libelf, position independent',
  inputs: () => JSON.stringify([origTarball('elfutils')]),
  outputs: [
    'build/deps/lib/libelf.a',
    'build/deps/lib/libeu.a',
    'build/deps/include/gelf.h',
  ],
  async run(log) {
    const dir = await unpack(log, 'elfutils');
    const without = [
      '--disable-debuginfod',
      '--disable-libdebuginfod',
      '--disable-nls',
    ];
    const compressors = ['--without-bzlib', '--without-lzma', '--without-zstd'];
    const options = [...without, ...compressors, 'CFLAGS=-O2 -fPIC'];
    await log.run('./configure', options, { cwd: dir });
    await log.run('make', [jobs(), '-C', 'lib'], { cwd: dir });
    await log.run('make', [jobs(), '-C', 'libelf', 'libelf_pic.a'], {
      cwd: dir,
    });
    install(path.join(dir, 'libelf/libelf_pic.a'), 'lib/libelf.a');
    install(path.join(dir, 'lib/libeu.a'), 'lib/libeu.a');
    for (const name of ['libelf.h', 'gelf.h', 'nlist.h'])
      install(path.join(dir, 'libelf', name), `include/${name}`);
    install(path.join(dir, 'version.h'), 'include/elfutils/version.h');
    fs.rmSync(dir, { recursive: true, force: true });
  },
};

/** Step: libbpf.a and <bpf/*.h> in build/deps. */
export const buildLibbpf = {
  name: 'libbpf',
  what: 'libbpf, position independent',
  inputs: () =>
    JSON.stringify([origTarball('libbpf'), origTarball('elfutils'), CFLAGS]),
  outputs: ['build/deps/lib/libbpf.a', 'build/deps/include/bpf/libbpf.h'],
  async run(log) {
    const dir = await unpack(log, 'libbpf');
    const deps = inRoot('build/deps');
    await log.run('make', [
      ...[
        jobs(),
        '-C',
        path.join(dir, 'src'),
        'BUILD_STATIC_ONLY=1',
        'NO_PKG_CONFIG=1',
      ],
      `OBJDIR=${dir}/objects`,
      `CFLAGS=${CFLAGS} -I${deps}/include`,
      ...[
        'PREFIX=',
        'LIBSUBDIR=lib',
        `DESTDIR=${deps}`,
        'install',
        'install_headers',
      ],
    ]);
    fs.rmSync(dir, { recursive: true, force: true });
  },
};
