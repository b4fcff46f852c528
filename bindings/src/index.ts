/**
 * index.ts - `bpf` in Node: the portable part, whose engine is found beside this file and compiled
 * at the first use, and the kernel, for which the addon is loaded at the first use.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setLocator } from './engine';
import { EngineError } from './errors';

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
