/**
 * pin.ts - opening what a path of a BPF file system names, as a descriptor of the kind that is
 * wanted.
 */
import { closeSync } from 'node:fs';
import { addon } from './addon';

export interface PinOptions {
  /** Open it only for reading (BPF_F_RDONLY, 4.15). */
  readOnly?: boolean;
}

const F_RDONLY = 1 << 3;

/** What `open` makes of the descriptor of the pin, for itself; TypeError if it is of another kind. */
export function take<T>(
  path: string,
  wanted: 'program' | 'map' | 'link',
  open: (fd: number) => T,
  { readOnly }: PinOptions = {},
): T {
  const { kind, fd } = addon().openPinned(path, readOnly ? F_RDONLY : 0);
  try {
    if (kind !== wanted) {
      throw new TypeError(`${path} is a ${kind}, not a ${wanted}`);
    }
    return open(fd);
  } finally {
    closeSync(fd);
  }
}
