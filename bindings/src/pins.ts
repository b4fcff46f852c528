/**
 * pins.ts - BPF file systems: paths that keep programs, maps and links in the kernel when the
 * processes that made them have gone.
 */
import { closeSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { addon } from './addon';
import { KernelError } from './errors';
import { Link } from './kernel_link';
import { KernelMap } from './kernel_map';
import { KernelProgram } from './kernel_program';

const ROOT = '/sys/fs/bpf';

/** Whether there is a BPF file system at a path. */
export function bpffsMounted(path = ROOT): boolean {
  return addon().bpffsMounted(path);
}

/**
 * Mount a BPF file system unless one is there; needs root. Nothing else in this package does so.
 */
export function mountBpffs(path = ROOT): void {
  addon().mountBpffs(path);
}

/** Take a pin away; what it named goes when its last holder has gone. */
export function unpin(path: string): void {
  addon().unpin(path);
}

/** What is pinned at a path, as what it is. */
export function openPinned(path: string): KernelProgram | KernelMap | Link {
  const kind = kindOf(path);
  switch (kind) {
    case 'program':
      return KernelProgram.fromPin(path);
    case 'map':
      return KernelMap.fromPin(path);
    case 'link':
      return Link.fromPin(path);
    default:
      throw new TypeError(`${path} is no program, map or link of BPF`);
  }
}

export interface Pin {
  path: string;
  kind: 'program' | 'map' | 'link' | 'other';
}

/** Everything that is pinned in a folder and below, as far as it exists when it is come to. */
export function* pins(folder = ROOT): Generator<Pin, void> {
  const entries = readdirSync(folder, { withFileTypes: true });
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      yield* pins(path);
    } else if (entry.isFile()) {
      const kind = kindIfThere(path);
      if (kind !== undefined) yield { path, kind };
    }
  }
}

function kindOf(path: string): Pin['kind'] {
  const { kind, fd } = addon().openPinned(path);
  closeSync(fd);
  return kind;
}

/** Undefined when it was taken away in between. */
function kindIfThere(path: string): Pin['kind'] | undefined {
  try {
    return kindOf(path);
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}
