// `npm run check:peers`: the project against its peers (LLVM, clang, bpftool, libbpf, the running
// kernel), measured in the same run. Each module of scripts/peers judges one thing:
//   export default {
//     name, title,
//     needs(): why it cannot run here, or null,
//     async run({ sample, log }): rows { what, required, measured, ok, notes }
//   }
// `sample` asks for the fixed, quick part that `npm test` runs, without timings. Prints a table of
// the rows and a last line with their count; exits non-zero if a row misses what is required, or if
// a module could not run (in the sample that is a skipped test, with its reason).
//   node scripts/peers.mjs [MODULE…] [--sample] [--json]
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { inRoot } from './lib/steps.mjs';
import { noCounts } from './lib/counts.mjs';
import { printTable, summary } from './lib/table.mjs';

async function modules() {
  const dir = inRoot('scripts/peers');
  const names = fs.readdirSync(dir).filter((name) => name.endsWith('.mjs'));
  const loaded = names.sort().map(async (name) => {
    const url = pathToFileURL(path.join(dir, name)).href;
    return (await import(url)).default;
  });
  return Promise.all(loaded);
}

/** Runs one module: its rows, or why it could not run. Whatever it throws is a row that misses. */
async function judge(module, options) {
  const reason = module.needs?.() ?? null;
  if (reason) return { ...module, reason, rows: [] };
  try {
    return { ...module, reason, rows: await module.run(options) };
  } catch (error) {
    const row = {
      what: 'ran to its end',
      required: 'yes',
      measured: 'no',
      ok: false,
      notes: [error.reported ? error.message : String(error.stack)],
    };
    return { ...module, reason, rows: [row] };
  }
}

/** For scripts/test.mjs: the samples of all modules as the counts of a test step. */
export async function runSamples(log) {
  const counts = noCounts();
  const options = { sample: true, log: (text) => log.write(`${text}\n`) };
  for (const module of await modules()) {
    const { reason, rows } = await judge(module, options);
    if (reason) {
      counts.skipped += 1;
      counts.skips.push(reason);
    }
    for (const row of rows) {
      log.write(`${JSON.stringify(row)}\n`);
      counts[row.ok ? 'passed' : 'failed'] += 1;
      if (!row.ok)
        counts.details.push(
          [line(module, row), ...(row.notes ?? [])].join('\n'),
        );
    }
  }
  return counts;
}

const line = (module, row) =>
  `${module.name}: ${row.what}: ${row.measured}, required ${row.required}`;

async function main() {
  const args = process.argv.slice(2);
  const options = ['--sample', '--json'];
  const wanted = args.filter((arg) => !options.includes(arg));
  const sample = args.includes('--sample');
  const json = args.includes('--json');
  const all = await modules();
  const unknown = wanted.filter(
    (name) => !all.some((module) => module.name === name),
  );
  if (unknown.length > 0) {
    const names = all.map((module) => module.name).join(', ');
    console.error(
      `no module or option ${unknown.join(', ')}; there are ${names}, ${options.join(', ')}`,
    );
    return 2;
  }
  const results = [];
  for (const module of all) {
    if (wanted.length > 0 && !wanted.includes(module.name)) continue;
    const start = performance.now();
    const log = (text) => process.stderr.write(`  ${module.name}: ${text}\n`);
    process.stderr.write(`… ${module.title}\n`);
    results.push(await judge(module, { sample, log }));
    process.stderr.write(
      `  ${((performance.now() - start) / 1000).toFixed(1)} s\n`,
    );
  }
  if (json)
    console.log(
      JSON.stringify(
        results.map(({ name, title, reason, rows: own }) => ({
          name,
          title,
          reason,
          rows: own,
        })),
        null,
        2,
      ),
    );
  else printTable(results);
  const { line: last, status } = summary('peers', results);
  console.log(`\n${last}`);
  return status;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  process.exitCode = await main();
