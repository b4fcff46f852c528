// The same files through the package: what is behind compile() of dist, which runs bpf.wasm, and bpfc
// must give the same bytes. compileInWasm() hands the files to processes of this script, each of which
// reads a list of { source, flags, object } from standard input and writes a list of how each differs,
// '' for not at all.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inRoot } from '../lib/steps.mjs';
import { ours } from './compile.mjs';
import { parallel } from './work.mjs';

const self = fileURLToPath(import.meta.url);
const DIST = inRoot('dist/bindings/src');
const AT_ONCE = 25; // files of one process

/** Why it cannot be judged here, or null. */
export const noWasm = () =>
  fs.existsSync(path.join(DIST, 'index.js')) ? null : 'no dist: npm run build';

/** Sets file.inWasm = '' or how its object differs, of all that we compiled. */
export async function compileInWasm(corpus) {
  const files = corpus.files.filter((file) => file.ours?.object);
  const lists = [];
  for (let n = 0; n < files.length; n += AT_ONCE)
    lists.push(files.slice(n, n + AT_ONCE));
  await parallel(lists, async (list) => {
    const asked = list.map(({ source, flags, ours: { object } }) => ({
      source,
      flags: ours(flags),
      object,
    }));
    const answers = await ask(asked);
    list.forEach((file, n) => (file.inWasm = answers[n]));
  });
}

/** Runs this script on a list. */
function ask(list) {
  const child = spawn(process.execPath, [self], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part) => (text += part));
  child.stdin.end(JSON.stringify(list));
  return new Promise((resolve, reject) =>
    child.on('close', (status) =>
      status === 0
        ? resolve(JSON.parse(text))
        : reject(new Error(`${self} ended with ${status}`)),
    ),
  );
}

// ---- in the other process ----

/** What the command's words mean for translate(), as in the command `bpf cc`. */
function optionsOf(parseCc, flags, filename) {
  const read = parseCc(['-c', ...flags, filename]);
  return {
    filename,
    quoteIncludePaths: read.quote,
    includePaths: read.angle,
    systemIncludePaths: read.system,
    afterIncludePaths: read.after,
    standardHeaders: read.standard,
    lines: read.defines + read.includes,
    std: read.std,
    cpu: read.cpu,
    endian: read.endian,
    optimize: read.level,
    debug: read.debug,
    warnings: read.warnings,
  };
}

function differs(
  { translate, CompileError, parseCc },
  { source, flags, object },
) {
  process.chdir(path.dirname(source));
  const options = optionsOf(parseCc, flags, path.basename(source));
  try {
    const made = translate('object', fs.readFileSync(source), options);
    if (!made.object) throw new CompileError('not compiled', made.report);
    const elf = made.object.toElf();
    const native = fs.readFileSync(object);
    if (Buffer.compare(elf, native) === 0) return '';
    const at = native.findIndex((byte, n) => byte !== elf[n]);
    return `${elf.length} bytes, natively ${native.length}; the first other one is ${at < 0 ? native.length : at}`;
  } catch (error) {
    return String(error.message).split('\n')[0];
  }
}

function answer() {
  const require = createRequire(self);
  const api = {
    ...require(path.join(DIST, 'index.js')),
    ...require(path.join(DIST, 'compile.js')),
    ...require(path.join(DIST, 'cli/cc_options.js')),
  };
  const list = JSON.parse(fs.readFileSync(0, 'utf8'));
  process.stdout.write(JSON.stringify(list.map((one) => differs(api, one))));
}

if (process.argv[1] === self) answer();
