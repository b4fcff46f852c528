/**
 * pin.ts - opening what a path of a BPF file system names, as a descriptor of the kind that is
 * wanted.
 */
import { closeSync } from 'node:fs';
import { addon } from './addon';
import { checkNames, namesOf } from './options';

export interface PinOptions {
  /** Open it only for reading (BPF_F_RDONLY, 4.15). */
  readOnly?: boolean;
  /** Open it only for writing (BPF_F_WRONLY, 4.15). */
  writeOnly?: boolean;
}

const pinNames = namesOf<PinOptions>()('readOnly writeOnly');

const F_RDONLY = 1 << 3;
const F_WRONLY = 1 << 4;

function flagsOf(options: PinOptions): number {
  checkNames('fromPin()', options, pinNames);
  const { readOnly, writeOnly } = options;
  if (readOnly && writeOnly) {
    throw new RangeError('a pin is opened for reading, writing or both');
  }
  return readOnly ? F_RDONLY : writeOnly ? F_WRONLY : 0;
}

/** What `open` makes of the descriptor of the pin, for itself; TypeError if it is of another kind. */
export function take<T>(
  path: string,
  wanted: 'program' | 'map' | 'link',
  open: (fd: number) => T,
  options: PinOptions = {},
): T {
  const { kind, fd } = addon().openPinned(path, flagsOf(options));
  try {
    if (kind !== wanted) {
      throw new TypeError(`${path} is a ${kind}, not a ${wanted}`);
    }
    return open(fd);
  } finally {
    closeSync(fd);
  }
}
