/**
 * files.ts - files in and out, the memory argument, terminals.
 */
import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** Ends the command with this exit status, after this message on stderr. */
export class Failure extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

export const EXIT_INPUT = 1;
export const EXIT_USAGE = 2;

/** Takes --json out of a verb's words, where that is its only option. */
export function takeJson(words: readonly string[]): {
  asJson: boolean;
  rest: string[];
} {
  const rest = words.filter((word) => word !== '--json');
  const wrong = rest.find((word) => word.startsWith('-'));
  if (wrong !== undefined) {
    throw new Failure(`there is no option ${wrong}, only --json`, EXIT_USAGE);
  }
  return { asJson: rest.length < words.length, rest };
}

/** The bytes of a file, or of standard input for '-'. */
export function readFile(path: string): Uint8Array {
  try {
    return readFileSync(path === '-' ? 0 : path);
  } catch (error) {
    throw new Failure(`${path}: ${reason(error)}`, EXIT_INPUT);
  }
}

/** Write to a file, or to standard output for '-'. */
export function writeFile(path: string, data: Uint8Array | string): void {
  try {
    if (path === '-') writeAll(1, data);
    else writeFileSync(path, data);
  } catch (error) {
    if (codeOf(error) === 'EPIPE') throw error;
    throw new Failure(`${path}: ${reason(error)}`, EXIT_INPUT);
  }
}

/** HEX or @FILE. */
export function readMemory(argument: string): Uint8Array {
  if (argument.startsWith('@')) return readFile(argument.slice(1));
  const digits = argument.replace(/[ \n]/g, '');
  const wrong = /[^0-9a-fA-F]/.exec(digits)?.[0];
  if (wrong !== undefined) {
    throw new Failure(
      `'${wrong}' in the memory is no hexadecimal digit`,
      EXIT_USAGE,
    );
  }
  if (digits.length % 2 !== 0) {
    throw new Failure(
      'the memory has an odd number of hexadecimal digits',
      EXIT_USAGE,
    );
  }
  return Buffer.from(digits, 'hex');
}

/** All of it, also where a pipe takes it in pieces. */
export function writeAll(fd: number, data: Uint8Array | string): void {
  let left = typeof data === 'string' ? Buffer.from(data) : data;
  while (left.length > 0) {
    try {
      left = left.subarray(writeSync(fd, left));
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error;
      // The reader is slow: wait a millisecond.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** Whether people read standard output. */
export function isTerminal(): boolean {
  return isatty(1);
}

/** Whether stderr is a terminal that wants colours. */
export function wantsColour(): boolean {
  const { NO_COLOR, TERM } = process.env;
  return isatty(2) && !NO_COLOR && TERM !== 'dumb';
}

export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** Node says "ENOENT: no such file or directory, open 'x'": the middle, as strerror has it. */
function reason(error: unknown): string {
  if (codeOf(error) === 'EISDIR') return 'Is a directory';
  const text = error instanceof Error ? error.message : String(error);
  const middle = /^[A-Z]+: (.*?), /.exec(text)?.[1] ?? text;
  return middle.charAt(0).toUpperCase() + middle.slice(1);
}
