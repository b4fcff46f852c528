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

export interface OpenPinnedOptions {
  /** Open maps and programs only for reading (BPF_F_RDONLY). */
  readOnly?: boolean;
}

/** BPF_F_RDONLY */
const READ_ONLY = 1 << 3;

/** The program that is pinned at a path (4.4); TypeError if something else is. */
export function openPinnedProgram(
  path: string,
  options: OpenPinnedOptions = {},
): KernelProgram {
  return adopt(path, 'program', options, (fd) => {
    return new KernelProgram(addon().programFromFd(fd));
  });
}

/** The map that is pinned at a path (4.4); TypeError if something else is. */
export function openPinnedMap(
  path: string,
  options: OpenPinnedOptions = {},
): KernelMap {
  return adopt(path, 'map', options, (fd) => KernelMap.fromFd(fd, true));
}

/** The link that is pinned at a path (5.7); TypeError if something else is. */
export function openPinnedLink(path: string): Link {
  return adopt(path, 'link', {}, (fd) => new Link(addon().linkFromFd(fd)));
}

function adopt<T>(
  path: string,
  wanted: string,
  { readOnly }: OpenPinnedOptions,
  take: (fd: number) => T,
): T {
  const { kind, fd } = addon().openPinned(path, readOnly ? READ_ONLY : 0);
  try {
    if (kind !== wanted) {
      throw new TypeError(`${path} is a ${kind}, not a ${wanted}`);
    }
    return take(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
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
      const kind = kindOf(path);
      if (kind !== undefined) yield { path, kind };
    }
  }
}

/** Undefined when it was taken away in between. */
function kindOf(path: string): Pin['kind'] | undefined {
  try {
    const { kind, fd } = addon().openPinned(path);
    closeSync(fd);
    return kind;
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}
