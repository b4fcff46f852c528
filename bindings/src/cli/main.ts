#!/usr/bin/env node
/**
 * main.ts - the `bpf` command: bpfc's verbs through wasm, with the same options and output, and what
 * needs the kernel.
 *
 * Exit statuses: 0; 1 the input is wrong or a file cannot be read; 2 the command line is wrong.
 */
import { engineVersion, EngineError, KernelError } from '../index';
import { cc } from './cc';
import { machineHelp, runDoctor, runFeatures } from './doctor';
import { codeOf, EXIT_INPUT, EXIT_USAGE, Failure, writeAll } from './files';
import { parse, usage, verbOf, verbUsage } from './options';
import { runThing, thingsHelp } from './things';
import { verbs } from './verbs';

const kernelHelp = { ...machineHelp, ...thingsHelp };

/** Runs one command line; returns the exit status. */
export function main(words: readonly string[]): number {
  try {
    return dispatch(words);
  } catch (error) {
    if (codeOf(error) === 'EPIPE') return EXIT_INPUT; // nobody reads on
    if (error instanceof Failure) {
      writeAll(2, `bpf: ${error.message}\n`);
      return error.status;
    }
    const known =
      error instanceof EngineError ||
      error instanceof KernelError ||
      error instanceof RangeError;
    if (known) {
      writeAll(2, `bpf: ${error.message}\n`);
      return EXIT_INPUT;
    }
    throw error;
  }
}

function dispatch([word, ...rest]: readonly string[]): number {
  if (word === undefined) {
    writeAll(2, usage(engineVersion()));
    return EXIT_USAGE;
  }
  if (word === '--version') {
    writeAll(1, `${engineVersion()}\n`);
    return 0;
  }
  if (word === '--help' || word === 'help') {
    const more = Object.entries(kernelHelp).map(
      ([name, help]) => `  ${name.padEnd(8)} ${help}\n`,
    );
    writeAll(
      1,
      `${usage(engineVersion())}\nOf this machine, with --json for programs:\n${more.join('')}`,
    );
    return 0;
  }
  if (word === 'cc') return cc(rest);
  if (word === 'doctor') return runDoctor(rest);
  if (word === 'features') return runFeatures(rest);
  const status = runThing(word, rest);
  if (status !== undefined) return status;
  const verb = verbOf(word, Object.keys(kernelHelp));
  const options = parse(verb, rest);
  if (options === 'help') {
    writeAll(1, verbUsage(verb));
    return 0;
  }
  return verbs[verb](options);
}

if (require.main === module) process.exitCode = main(process.argv.slice(2));
