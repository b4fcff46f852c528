/**
 * support.ts - what the kernel tests share: whether they can run, a process of known calls, leaks.
 */
import { spawn } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { kernelAvailable, KernelError, type KernelObject } from 'bpf';
import { addon } from '../../dist/bindings/src/addon';

const { available, reason } = kernelAvailable();

/** Why kernel tests cannot run here. */
export const noKernel = available ? undefined : (reason ?? 'bpf() is refused');

/** What the kernel's refusal says. */
export function errorOf(run: () => unknown): KernelError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(KernelError);
    return error as KernelError;
  }
  throw new Error('it did not fail');
}

/** Milliseconds to wait for what takes so long at most; more under emulation, which says so. */
export const within = (ms: number): number =>
  ms * Number(process.env['BPF_TEST_SLOWDOWN'] ?? 1);

/** Calls that callSystem() makes at least: a read and a write for each of dd's blocks. */
export const CALLS = 20_000;

/** A process called `comm` that makes so many system calls and ends; resolves to its pid. */
export async function callSystem(comm: string, calls = CALLS): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'bpf-calls-'));
  const command = join(folder, comm); // a process is named as the path that it was started by
  symlinkSync('/bin/dd', command);
  const blocks = `count=${calls / 2}`;
  const child = spawn(
    command,
    ['if=/dev/zero', 'of=/dev/null', 'bs=1', blocks],
    {
      stdio: 'ignore',
    },
  );
  const { pid } = child;
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`dd ended with ${code}`)),
    );
  });
  rmSync(folder, { recursive: true });
  if (pid === undefined) throw new Error('no pid');
  return pid;
}

function all(next: (after: number) => number | undefined): Set<number> {
  const ids = new Set<number>();
  for (let id = next(0); id !== undefined; id = next(id)) ids.add(id);
  return ids;
}

export interface Ids {
  programs: Set<number>;
  maps: Set<number>;
  links: Set<number>;
}

/** What the whole machine has; other processes may be busy at the same time. */
export function kernelIds(): Ids {
  const native = addon();
  return {
    programs: all((id) => native.nextProgId(id)),
    maps: all((id) => native.nextMapId(id)),
    links: all((id) => native.nextLinkId(id)),
  };
}

/** Our open descriptors of BPF kinds. */
export function bpfDescriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return /^anon_inode:.*(bpf|btf|perf_event)/.test(target)
        ? [`${fd} ${target}`]
        : [];
    } catch {
      return []; // the descriptor of the listing itself
    }
  });
}

/** The ids of an object's programs and maps. */
export function idsOf(object: KernelObject): Ids {
  return {
    programs: new Set(Object.values(object.programs).map((p) => p.info.id)),
    maps: new Set(Object.values(object.maps).map((m) => m.info.id)),
    links: new Set(),
  };
}

/** What of `ids` the kernel still has; it frees some things a little later. */
export async function remaining(ids: Ids): Promise<Record<string, number[]>> {
  for (let attempt = 0; ; attempt++) {
    const now = kernelIds();
    const left = {
      programs: [...ids.programs].filter((id) => now.programs.has(id)),
      maps: [...ids.maps].filter((id) => now.maps.has(id)),
      links: [...ids.links].filter((id) => now.links.has(id)),
    };
    if (attempt === 100 || Object.values(left).flat().length === 0) return left;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export const nothing = { programs: [], maps: [], links: [] };
