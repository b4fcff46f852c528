/**
 * addon.ts - finds and loads the native addon, and says in a sentence why it cannot.
 *
 * Everything portable works without it, so nothing here runs before a kernel function is called.
 * BPF_ADDON in the environment names another file to load. Only who loads it successfully is
 * remembered: after a build the next call finds the addon.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Addon } from '../addon/addon';
import { KernelError, kernelError } from './errors';

/** The package's root; this file is dist/bindings/src/addon.js in it. */
const root = join(__dirname, '../../..');
const platform = `${process.platform}-${process.arch}`;

let loaded: Addon | undefined;

function candidates(): string[] {
  const named = process.env['BPF_ADDON'];
  if (named !== undefined) return [named];
  return [
    join(root, 'dist/prebuilds', `${platform}.node`),
    join(root, 'build/release/bpf_kernel.node'),
  ];
}

function unavailable(
  why: string,
  remedy: string,
  cause?: unknown,
): KernelError {
  return kernelError(
    {
      operation: 'load addon',
      errno: 0,
      code: 'ERR_UNAVAILABLE',
      reason: `no access to the kernel: ${why}`,
      remedy,
    },
    cause,
  );
}

/** The addon, or a KernelError that says why there is none. */
export function addon(): Addon {
  loaded ??= open();
  return loaded;
}

function open(): Addon {
  if (process.platform !== 'linux') {
    throw unavailable(
      `this is ${process.platform}, and only Linux has bpf(2)`,
      'run programs in the VM (Machine), which works here',
    );
  }
  const path = candidates().find((file) => existsSync(file));
  if (path === undefined) {
    const named = process.env['BPF_ADDON'];
    throw named === undefined
      ? unavailable(
          `this package holds no prebuilt addon for ${platform}`,
          'in a clone of the repository `npm run build` builds it',
        )
      : unavailable(
          `there is no file ${named}, which BPF_ADDON names`,
          'name one that is there, or none',
        );
  }
  let opened: Addon;
  try {
    opened = require(path) as Addon;
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw unavailable(
      `the addon ${path} does not load: ${said}`,
      'in a clone of the repository `npm run build` builds it anew',
      error,
    );
  }
  if (typeof opened.init !== 'function') {
    throw unavailable(
      `the addon ${path} is none of this package`,
      'let BPF_ADDON name one that is',
    );
  }
  opened.init({ KernelError });
  return opened;
}
