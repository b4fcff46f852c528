/**
 * index.ts - `bpf` in Node: the portable part, whose engine is found beside this file and compiled
 * at the first use, and the kernel, for which the addon is loaded at the first use.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setKernelBtf } from './btf';
import { setLocator } from './engine';
import { EngineError, KernelError } from './errors';

/** dist/bpf.wasm, or what was built last in a clone that has not filled dist. */
const places = [
  join(__dirname, '../../bpf.wasm'),
  join(__dirname, '../../../build/wasm/bpf.wasm'),
];

setLocator(() => {
  const path = places.find((file) => existsSync(file));
  if (path === undefined) {
    throw new EngineError(
      `the toolchain is missing: there is no ${places[0]}; in a clone of the repository \`npm run build\` makes it`,
    );
  }
  return new WebAssembly.Module(readFileSync(path));
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
      const why =
        code !== 'ENOENT'
          ? `${path}: ${String(error)}`
          : name === 'vmlinux'
            ? `the kernel has no BTF: there is no ${path} (CONFIG_DEBUG_INFO_BTF makes it, on Linux 5.4 and later)`
            : `module ${name} is not loaded or has no BTF: there is no ${path}`;
      throw new KernelError(why, {
        operation: 'kernel BTF',
        errno: Math.abs(errno),
        code,
      });
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
  KernelMap,
  KernelObject,
  KernelProgram,
  Link,
  load,
  mountTracefs,
  type AttachTarget,
  type Availability,
  type Backend,
  type KernelMapInfo,
  type LinkInfo,
  type LoadOptions,
  type ProgramInfo,
} from './kernel';
