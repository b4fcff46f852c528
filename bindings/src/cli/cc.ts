/**
 * cc.ts - cc: each C file to an object, or to what the options say; what asm-core/cli/cc.c does,
 * through wasm.
 */
import { existsSync } from 'node:fs';
import { disassemble } from '../asm';
import { translate, type Outcome } from '../compile';
import { engineVersion } from '../engine';
import { PACKED, Search, type IncludeOptions } from '../include';
import { Status } from '../../../wasm/loader';
import { ccUsage, parseCc, quoted, type CcOptions } from './cc_options';
import {
  codeOf,
  EXIT_INPUT,
  Failure,
  readFile,
  wantsColour,
  writeAll,
  writeFile,
} from './files';

/** Runs the words behind `cc`; returns the exit status. */
export function cc(words: readonly string[]): number {
  const options = parseCc(words);
  if (options === 'help') writeAll(1, ccUsage());
  else if (options === 'version') {
    writeAll(
      1,
      `bpf cc ${engineVersion()}, for clang version 19.1.7\nTarget: bpf\n`,
    );
  } else if (options.answer !== undefined) writeAll(1, options.answer);
  else if (options.commands) writeAll(2, command(options.said));
  else return compileAll(options);
  return 0;
}

/** -###, as clang prints a command. */
function command(words: readonly string[]): string {
  const all = words.map((word) => ` "${word.replace(/["\\$]/g, '\\$&')}"`);
  return `bpf ${engineVersion()}\nTarget: bpf\n "bpf" "cc"${all.join('')}\n`;
}

function compileAll(options: CcOptions): number {
  if (options.verbose) printSearch(new Search(searchOptions(options)).dirs);
  let code = 0;
  for (const file of options.files) {
    try {
      code = compileOne(options, file) || code;
    } catch (error) {
      if (!(error instanceof Failure) || codeOf(error) === 'EPIPE') throw error;
      writeAll(2, `bpf: ${error.message}\n`);
      code = error.status;
    }
  }
  return code;
}

function searchOptions(options: CcOptions): IncludeOptions {
  return {
    quoteIncludePaths: options.quote,
    includePaths: options.angle,
    systemIncludePaths: options.system,
    afterIncludePaths: options.after,
    embedPaths: options.embed,
    standardHeaders: options.standard,
    ...(options.sysroot !== undefined && { sysroot: options.sysroot }),
  };
}

/** Makefiles cut the folders out of this text, which is gcc's and clang's. */
function printSearch({ quote, angle }: Search['dirs']): void {
  const rows = (dirs: readonly string[]): string =>
    dirs
      .filter((dir) => dir === PACKED || existsSync(dir))
      .map((dir) => ` ${dir}\n`)
      .join('');
  writeAll(
    2,
    `bpf ${engineVersion()}\nTarget: bpf\n#include "..." search starts here:\n${rows(quote)}` +
      `#include <...> search starts here:\n${rows(angle)}End of search list.\n`,
  );
}

function compileOne(options: CcOptions, file: string): number {
  const { mode, level, std, cpu, endian, debug, warnings } = options;
  const { errorLimit } = options;
  const kind =
    mode === 'object' || mode === 'assembly'
      ? 'object'
      : mode === 'check' || mode === 'ir'
        ? mode
        : 'text';
  const made = translate(kind, readFile(file), {
    ...searchOptions(options),
    filename: file === '-' ? '<stdin>' : file,
    // clang's order: all of -D and -U, then -imacros, then -include
    lines: options.defines + options.macroIncludes + options.includes,
    ...options.dialect,
    lineMarkers: options.lineMarkers,
    definitions: options.definitions,
    macros: options.macros,
    comments: options.comments,
    generated: options.generated,
    showHeaders: options.showHeaders,
    optimize: level,
    std,
    cpu,
    endian,
    debug,
    warnings,
    errorLimit,
    ir: options.ir,
    ...(options.btf.length > 0 && {
      btf: options.btf.map(readFile),
      btfNames: options.btf,
    }),
  });
  const { diagnostics, text, ansi } = made.report;
  writeAll(2, made.includes);
  if (options.json) writeAll(1, `${JSON.stringify(diagnostics)}\n`);
  else writeAll(2, wantsColour() ? ansi : text);
  return deliver(options, file, made);
}

/** What was made, and for make how. The preprocessor's text is written after errors, too. */
function deliver(options: CcOptions, file: string, made: Outcome): number {
  const { mode } = options;
  const ending = { object: '.o', assembly: '.s' }[mode as string];
  const out =
    options.out ?? (ending === undefined ? '-' : besides(file, ending));
  const ok = made.status === Status.OK;
  if (made.object) {
    const { object } = made;
    writeFile(out, mode === 'object' ? object.toElf() : disassemble(object));
  } else if ((mode === 'text' || mode === 'ir') && (ok || made.code !== '')) {
    writeFile(out, made.code);
  }
  if (ok && options.dependencies) {
    const [to, target] = dependencyNames(options, file, out);
    writeFile(to, rule(options, file, target, made.search));
  }
  return ok ? 0 : EXIT_INPUT;
}

/** FILE with another ending, in the current folder; standard output stays what it is. */
function besides(file: string, ending: string): string {
  if (file === '-') return '-';
  const name = file.slice(file.lastIndexOf('/') + 1);
  return `${name.replace(/(?<=.)\.[^.]*$/, '')}${ending}`;
}

/** Where dependencies go, and what they call the object. */
function dependencyNames(
  { mode, dependencyFile }: CcOptions,
  file: string,
  out: string,
): [string, string] {
  const only = mode === 'dependencies';
  const target = only || out === '-' ? besides(file, '.o') : out;
  const to = only
    ? out
    : out === '-'
      ? besides(file, '.d')
      : `${out.replace(/\.[^./]*$/, '')}.d`;
  return [dependencyFile ?? to, target];
}

/** target: FILE headers, in lines of 75 letters; with -MP a target for each header. */
function rule(
  { ownOnly, phony, targets }: CcOptions,
  file: string,
  target: string,
  search: Search,
): string {
  const paths = ownOnly ? search.ownFiles : search.files;
  let all = `${targets || quoted(target)}:`;
  let column = bytes(all);
  for (const path of file === '-' ? paths : [file, ...paths]) {
    const wide = column + bytes(path) + 3 > 75;
    all += `${wide ? ' \\\n  ' : ' '}${quoted(path)}`;
    column = wide ? 3 + bytes(path) : column + 1 + bytes(quoted(path));
  }
  const more = phony ? paths.map((path) => `${quoted(path)}:\n`).join('') : '';
  return `${all}\n${more}`;
}

const bytes = (text: string): number => Buffer.byteLength(text);
