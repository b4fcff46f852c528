// Set-up: brings a fresh clone to the state that a profile needs, and does nothing where that is
// already so. `node scripts/setup.mjs PROFILE`:
//   build  compile everything (native, wasm, addon, TypeScript, dist); installs no system package
//   demo   what the demo needs: compilers, Emscripten, libbpf, npm packages, then build
//   test   demo, and what the quick test tier needs
//   peers  test, and what check:peers and check:corpus need (fuzzers, sources of BPF programs)
//   kernels  test, and what test:kernels needs (QEMU, native tests of the kernel backend)
//   full   peers, and what the other tiers need (Chromium)
// On Debian and Ubuntu missing packages are installed with apt-get (through sudo when not root);
// elsewhere the missing tools are named. BPF_SYSTEM_LIBBPF=1 links the system's shared libbpf.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { StepError, hashInputs, inRoot, runStep } from './lib/steps.mjs';
import * as system from './lib/needs.mjs';
import { fetchCorpora } from './corpus/sources.mjs';
import { fetchLinux } from './lib/corpus.mjs';
import { buildLibbpf, buildLibelf, fetchSources } from './lib/libbpf.mjs';
import { packHeaders } from './pack-headers.mjs';
import nativeTests from './guest/native.js';

const profile = process.argv[2];
const retries = {
  demo: 'npm run demo',
  test: 'npm test',
  peers: 'npm run check:peers',
  kernels: 'npm run test:kernels',
  full: 'npm run test:full',
};
const onLinux = process.platform === 'linux';
const addonName = `${process.platform}-${process.arch}.node`;

/** libbpf comes from Debian's sources; where apt has none, or on request, from the system. */
const systemLibbpf =
  onLinux &&
  (process.env.BPF_SYSTEM_LIBBPF === '1' ||
    (!fs.existsSync(inRoot('build/deps/lib/libbpf.a')) &&
      !system.debianMirror()));

const missing = () => system.missing(profile, systemLibbpf);
const describe = (needs) =>
  needs.map((need) => `${need.what} (${need.package})`).join(', ');

/** Comes only while something is missing, so it has no stamp. */
const packages = {
  name: 'packages',
  what: 'system packages',
  async run(log) {
    if (profile === 'build' || !onLinux || !system.hasApt())
      throw new StepError(
        `Missing: ${describe(missing())}.\nIn brackets is the package of Debian and Ubuntu; ` +
          'install its like here, then try again.',
      );
    const prefix = system.rootPrefix();
    if (!prefix) {
      const names = missing().map((need) => need.package);
      throw new StepError(
        `Missing: ${describe(missing())}.\nThere is no sudo; as root: apt-get install ${names.join(' ')}`,
      );
    }
    const names = await installWithApt(log, prefix);
    const still = missing();
    if (still.length > 0)
      throw new StepError(`Installed, but not found: ${describe(still)}`);
    return `installed ${names.join(' ')}`;
  },
};

/** Installs what is missing; gives the packages' names. */
async function installWithApt(log, prefix) {
  const apt = (...args) => {
    const environment = ['env', 'DEBIAN_FRONTEND=noninteractive'];
    const options = [
      '-o',
      'DPkg::Lock::Timeout=300',
      '-o',
      'Acquire::Retries=3',
    ];
    const line = [...prefix, ...environment, 'apt-get', ...options, ...args];
    return log.status(line[0], line.slice(1), { stdin: 'inherit' });
  };
  const names = () => missing().map((need) => need.package);
  const install = () =>
    apt('install', '-y', '--no-install-recommends', ...names());
  const update = async () => {
    if ((await apt('update')) !== 0)
      throw new StepError('apt-get update failed');
  };

  let updated = false;
  if (system.unknownToApt(names()).length > 0) {
    await update();
    updated = true;
    const unknown = system.unknownToApt(names());
    if (unknown.length > 0)
      throw new StepError(
        `This distribution has no package ${unknown.join(', ')}`,
      );
  }
  const wanted = names();
  if ((await install()) === 0) return wanted;
  // Stale lists name files that the mirror no longer has.
  if (!updated) {
    await update();
    if ((await install()) === 0) return wanted;
  }
  throw new StepError(`apt-get install ${wanted.join(' ')} failed`);
}

const npm = {
  name: 'npm',
  what: 'npm packages',
  inputs: () =>
    hashInputs(['package-lock.json'], [dependencies(), process.version]),
  outputs: ['node_modules/.package-lock.json'],
  async run(log) {
    // Not `npm ci`: it refuses a lock in which an optional package of another platform is missing,
    // as they are where a registry does not carry them. This installs the locked versions, too.
    const options = ['--ignore-scripts', '--no-audit', '--no-fund'];
    await log.run('npm', ['install', '--no-save', ...options]);
  },
};

function dependencies() {
  const manifest = JSON.parse(fs.readFileSync(inRoot('package.json'), 'utf8'));
  return [manifest.dependencies, manifest.devDependencies];
}

const headers = {
  name: 'headers',
  what: 'header set for the compiler',
  inputs: () =>
    hashInputs(
      [
        'scripts/pack-headers.mjs',
        'asm-core/headers',
        'build/deps/include/bpf',
      ],
      [systemLibbpf],
    ),
  outputs: ['build/headers.bin'],
  run: () =>
    packHeaders(
      systemLibbpf ? '/usr/include/bpf' : inRoot('build/deps/include/bpf'),
    ),
};

const cmakeFiles = ['CMakeLists.txt', 'CMakePresets.json', 'cmake'];

const native = {
  name: 'native',
  what: systemLibbpf
    ? "bpfc and the addon (on the system's libbpf)"
    : 'bpfc and the addon',
  inputs: () =>
    hashInputs(
      [
        ...cmakeFiles,
        'asm-core',
        'kernel-backend',
        'bindings/addon',
        'package-lock.json',
        'build/headers.bin',
      ],
      [inRoot(), systemLibbpf, modified('build/deps/lib/libbpf.a')],
    ),
  outputs: [
    'build/release/bpfc',
    ...(onLinux ? ['build/release/bpf_kernel.node'] : []),
  ],
  async run(log) {
    const libbpf = `-DBPF_SYSTEM_LIBBPF=${systemLibbpf ? 'ON' : 'OFF'}`;
    await log.run('cmake', ['--preset', 'release', libbpf]);
    await log.run('cmake', ['--build', '--preset', 'release']);
  },
};

const wasm = {
  name: 'wasm',
  what: 'bpf.wasm',
  inputs: () => hashInputs([...cmakeFiles, 'asm-core'], [inRoot()]),
  outputs: ['build/wasm/bpf.wasm'],
  async run(log) {
    await log.run('cmake', ['--preset', 'wasm']);
    await log.run('cmake', ['--build', '--preset', 'wasm']);
    const module = new WebAssembly.Module(
      fs.readFileSync(inRoot('build/wasm/bpf.wasm')),
    );
    const imports = WebAssembly.Module.imports(module).map(
      (row) => `${row.module}.${row.name}`,
    );
    const allowed = ['env.emscripten_notify_memory_growth'];
    const wrong = imports.filter((name) => !allowed.includes(name));
    if (wrong.length > 0)
      throw new StepError(
        `bpf.wasm imports ${wrong.join(', ')}, which no loader provides`,
      );
  },
};

const typescript = {
  name: 'typescript',
  what: 'TypeScript to dist',
  inputs: () =>
    hashInputs(['tsconfig.json', 'bindings/src', 'wasm', 'package-lock.json']),
  outputs: ['dist/bindings/src/index.js'],
  async run(log) {
    for (const old of ['dist/bindings', 'dist/wasm'])
      fs.rmSync(inRoot(old), { recursive: true, force: true });
    await log.run(process.execPath, [
      'node_modules/typescript/bin/tsc',
      '-p',
      'tsconfig.json',
    ]);
  },
};

const distFiles = [
  ['build/wasm/bpf.wasm', 'dist/bpf.wasm'],
  ...(onLinux
    ? [
        ['build/headers.bin', 'dist/headers.bin'],
        ['build/release/bpf_kernel.node', `dist/prebuilds/${addonName}`],
      ]
    : []),
];

const dist = {
  name: 'dist',
  what: 'files of the package',
  inputs: () => hashInputs(distFiles.map(([from]) => from)),
  outputs: distFiles.map(([, to]) => to),
  run() {
    for (const [from, to] of distFiles) {
      fs.mkdirSync(path.dirname(inRoot(to)), { recursive: true });
      // A new file, not new bytes in the old one: a running process may have the addon mapped.
      fs.rmSync(inRoot(to), { force: true });
      fs.copyFileSync(inRoot(from), inRoot(to));
    }
  },
};

const kernelTests = {
  name: 'kernel-tests',
  what: 'native tests of the kernel backend',
  inputs: () =>
    hashInputs(
      [
        ...cmakeFiles,
        'asm-core',
        'kernel-backend',
        ...nativeTests.map((name) => `test/native/${name}.c`),
      ],
      [inRoot()],
    ),
  outputs: nativeTests.map((name) => `build/release/${name}`),
  async run(log) {
    const build = ['--build', '--preset', 'release', '--target'];
    await log.run('cmake', ['--preset', 'release', '-DBPF_TESTS=ON']);
    await log.run('cmake', [...build, ...nativeTests]);
  },
};

function modified(name) {
  return fs.statSync(inRoot(name), { throwIfNoEntry: false })?.mtimeMs;
}

/** sudo asks for its password now, where no running clock writes over the question. */
function authorise() {
  const prefix = system.rootPrefix();
  if (process.stdin.isTTY && prefix?.[0] === 'sudo')
    spawnSync('sudo', ['-v'], { stdio: 'inherit' });
}

async function main() {
  const started = performance.now();
  if (!['build', ...Object.keys(retries)].includes(profile)) {
    console.error(
      'usage: node scripts/setup.mjs build|demo|test|peers|kernels|full',
    );
    return 2;
  }
  if (Number(process.versions.node.split('.')[0]) < 20) {
    console.error(`Node 20 or newer is needed, this is ${process.version}`);
    return 1;
  }
  const libbpf =
    onLinux && !systemLibbpf ? [fetchSources, buildLibelf, buildLibbpf] : [];
  const withPeers =
    ['test', 'peers', 'full'].includes(profile) &&
    onLinux &&
    system.debianMirror();
  const incomplete = missing().length > 0;
  if (incomplete && profile !== 'build' && system.hasApt()) authorise();
  const steps = [
    ...(incomplete ? [packages] : []),
    ...libbpf,
    npm,
    ...(onLinux ? [headers] : []),
    native,
    wasm,
    typescript,
    dist,
    ...(profile === 'kernels' ? [kernelTests] : []),
    ...(withPeers ? [fetchLinux] : []),
    ...(withPeers && profile !== 'test' ? [fetchCorpora] : []),
  ];
  let ran = 0;
  for (const step of steps)
    if (await runStep(step, retries[profile] ?? 'npm run build')) ran += 1;
  const time = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `set-up: ${ran === 0 ? 'nothing to do' : `${ran} steps done`} (${time} s)`,
  );
  return 0;
}

main().then(
  (status) => (process.exitCode = status),
  (error) => {
    if (!error.reported) console.error(error);
    process.exitCode = 1;
  },
);
