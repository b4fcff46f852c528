/**
 * support.ts - what the jest tests share: where things are, what is there, how to run a command.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';

export const root = join(__dirname, '..');
export const shared = process.env['BPF_SHARED'] ?? join(root, '../shared');
export const cliPath = join(root, 'dist/bindings/src/cli/main.js');
export const nativeCli = join(root, 'build/release/bpfc');
export const wasmPath = join(root, 'dist/bpf.wasm');

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Run a program to its end. */
export function run(
  command: string,
  args: string[],
  options: {
    input?: string | Uint8Array;
    env?: Record<string, string>;
    cwd?: string;
  } = {},
): Outcome {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: options.cwd ?? root,
    encoding: 'utf8',
    input: options.input,
    env: { ...process.env, ...options.env },
    maxBuffer: 1 << 28,
  });
  if (error) throw error;
  return { status, stdout, stderr };
}

/** The npm CLI. */
export const bpf = (...args: string[]): Outcome =>
  run(process.execPath, [cliPath, ...args]);

/** The native one. */
export const bpfc = (...args: string[]): Outcome => run(nativeCli, args);

/** Run JavaScript in a process of its own. */
export const node = (
  script: string,
  env: Record<string, string> = {},
  input?: Uint8Array,
): Outcome =>
  run(process.execPath, ['-e', script], input ? { env, input } : { env });

/** Why something cannot be tested here; the reason is in the name of what is skipped. */
export function describeUnless(
  reason: string | undefined,
  name: string,
  tests: () => void,
): void {
  if (reason === undefined) describe(name, tests);
  else describe.skip(`${name} (skipped: ${reason})`, tests);
}

export function testUnless(
  reason: string | undefined,
  name: string,
  body: () => void | Promise<void>,
  timeout?: number,
): void {
  if (reason === undefined) test(name, body, timeout);
  else test.skip(`${name} (skipped: ${reason})`, body);
}

/** A reason when `path` is not there. */
export const absent = (path: string): string | undefined =>
  existsSync(path) ? undefined : `there is no ${path}`;

/** All files below `folder` with this ending, sorted. */
export function filesBelow(folder: string, ending: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(folder, name));
}
