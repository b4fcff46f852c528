/**
 * index.ts - `bpf` in Node: the portable part, whose engine is found beside this file and compiled
 * at the first use, and the kernel, for which the addon is loaded at the first use.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setKernelBtf } from './btf';
import { versions } from './classic';
import { setLocator } from './engine';
import { EngineError, kernelError } from './errors';
import { setDisk } from './include';

/** A file of dist, or what was built last in a clone that has not filled dist. */
function packaged(name: string, built: string): string | undefined {
  return [join(dist, name), join(dist, '../build', built)].find((file) =>
    existsSync(file),
  );
}

const dist = join(__dirname, '../..');

setLocator(() => {
  const path = packaged('bpf.wasm', 'wasm/bpf.wasm');
  if (path === undefined) {
    throw new EngineError(
      `the toolchain is missing: there is no ${join(dist, 'bpf.wasm')}; in a clone of the repository \`npm run build\` makes it`,
    );
  }
  return new WebAssembly.Module(readFileSync(path));
});

/** Debian's names of this machine's architecture, for its folder of headers. */
const triplets: Partial<Record<NodeJS.Architecture, string>> = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
  arm: 'arm-linux-gnueabihf',
  ia32: 'i386-linux-gnu',
  ppc64: 'powerpc64le-linux-gnu',
  s390x: 's390x-linux-gnu',
  riscv64: 'riscv64-linux-gnu',
};

function standardFolders(): string[] {
  if (process.platform !== 'linux') return [];
  const triplet = triplets[process.arch];
  return [
    '/usr/local/include',
    ...(triplet === undefined ? [] : [`/usr/include/${triplet}`]),
    '/usr/include',
  ];
}

setDisk({
  read(path) {
    try {
      return readFileSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== undefined) return undefined;
      throw error;
    }
  },
  standard: standardFolders(),
  headerSet() {
    const path = packaged('headers.bin', 'headers.bin');
    return path === undefined ? undefined : readFileSync(path);
  },
});

const kernelBtf = '/sys/kernel/btf';

setKernelBtf({
  read(name) {
    const path = `${kernelBtf}/${name}`;
    if (!/^[\w-]+$/.test(name)) {
      throw new RangeError(`'${name}' is no name of a kernel module`);
    }
    try {
      return { bytes: readFileSync(path), path };
    } catch (error) {
      const { errno = 0, code = '' } = error as NodeJS.ErrnoException;
      const [reason, remedy] =
        code !== 'ENOENT'
          ? [`${path}: ${String(error)}`, 'let this process read it']
          : name === 'vmlinux'
            ? [
                `the kernel has no BTF: there is no ${path}`,
                'use a kernel with CONFIG_DEBUG_INFO_BTF (Linux 5.4), or BTF of this kernel from BTFHub (btfPath)',
              ]
            : [
                `module ${name} is not loaded or has no BTF: there is no ${path}`,
                `load it (modprobe ${name})`,
              ];
      throw kernelError(
        {
          operation: 'kernel BTF',
          errno: Math.abs(errno),
          code,
          reason,
          remedy,
        },
        error,
      );
    }
  },
  modules: () =>
    existsSync(kernelBtf)
      ? readdirSync(kernelBtf).filter((name) => name !== 'vmlinux')
      : [],
});

export * from './core';
export {
  backend,
  kernelAvailable,
  KernelObject,
  load,
  loadAsync,
  mountTracefs,
  type Availability,
  type Backend,
  type LoadOptions,
  type MapChanges,
  type ProgramChanges,
} from './kernel';
export { Link, linkIds, type LinkInfo } from './kernel_link';
export {
  btfIds,
  enableStats,
  KernelProgram,
  programIds,
  StatsSwitch,
  type ProgramDetails,
  type ProgramInfo,
  type ProgramLine,
  type ProgramStats,
  type RawProgram,
  type RunOptions,
  type RunResult,
} from './kernel_program';
export type { PinOptions } from './pin';
export {
  bpffsMounted,
  mountBpffs,
  openPinned,
  pins,
  unpin,
  type Pin,
} from './pins';
export {
  query,
  type Attached,
  type QueryResult,
  type QueryTarget,
} from './query';
export type { AttachTarget, Neighbour, Placement } from './target';
export {
  KernelMap,
  mapIds,
  possibleCpus,
  type BoundMap,
  type KernelMapDef,
  type KernelMapInfo,
  type MapContents,
  type Snapshot,
} from './kernel_map';
export {
  Batch,
  RecordSender,
  RecordStream,
  type StreamOptions,
} from './stream';
export {
  parseTraceLine,
  tracePipe,
  TracePipe,
  type TraceLine,
} from './trace_pipe';
export { doctor, type Check, type CheckState, type Health } from './doctor';
export {
  features,
  kernelConfig,
  type Answer,
  type Feature,
  type FeatureKind,
} from './features';
export * from './classic';
export {
  AttachType,
  LibbpfErrno,
  libbpfErrnoMessages,
  MapFlags,
  MapLookupFlags,
  MapType,
  MapUpdateFlags,
  OBJ_NAME_LEN,
  ProgramType,
} from './constants';

/** The libbpf inside: versions.libbpf. */
export let version: string;
// Asked for when it is read: the addon is not loaded before. As one call with names in variables,
// since Node's reader of CommonJS leaves out properties whose getters it sees.
const late = { version: () => versions.libbpf };
for (const [name, get] of Object.entries(late)) {
  Object.defineProperty(exports, name, { enumerable: true, get });
}
