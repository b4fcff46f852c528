// The fuzzing step: builds the libFuzzer targets of test/fuzz and runs each for a while, with two
// processes where there are the processors, starting from the case corpus. What a target finds is
// kept in build/fuzz/found and belongs into test/cases once it is repaired.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inRoot, listFiles } from './steps.mjs';
import { noCounts } from './counts.mjs';

const seconds = Number(process.env.BPF_FUZZ_SECONDS ?? 60);

/** Assembly of the corpus, twice: a first byte tells fuzz_assemble the dialect. */
function textSeeds(dir) {
  const names = listFiles(['test/cases', 'examples']);
  for (const name of names.filter((name) => /\.(case|s)$/.test(name))) {
    const bytes = fs.readFileSync(inRoot(name));
    const flat = name.replaceAll('/', '-');
    for (const dialect of [0, 1])
      fs.writeFileSync(
        path.join(dir, `${flat}-${dialect}`),
        Buffer.concat([Buffer.from([dialect]), bytes]),
      );
  }
}

/** Objects: our examples assembled, and what clang makes of test/fuzz/seeds. */
async function objectSeeds(log, dir) {
  const names = listFiles(['examples', 'test/fuzz/seeds']);
  for (const name of names) {
    const to = path.join(dir, `${name.replaceAll('/', '-')}.o`);
    if (name.endsWith('.s'))
      await log.run(inRoot('build/release/bpfc'), ['as', name, '-o', to]);
    if (name.endsWith('.c'))
      for (const target of ['bpfel', 'bpfeb'])
        await log.run('clang', [
          ...['-target', target, '-O2', '-g', '-c', name],
          ...['-o', `${to}.${target}`],
        ]);
  }
}

/** The BTF of those objects, by itself. */
async function btfSeeds(log, dir) {
  await objectSeeds(log, dir);
  for (const name of fs.readdirSync(dir).filter((n) => /\.bpfe[lb]$/.test(n))) {
    const object = path.join(dir, name);
    await log.run('llvm-objcopy', [
      ...['--dump-section', `.BTF=${object}.btf`],
      ...[object, '/dev/null'],
    ]);
  }
}

async function fuzz(log, target) {
  const dir = inRoot('build/fuzz');
  const seeds = path.join(dir, 'seeds', target);
  const grown = path.join(dir, 'grown', target);
  const found = path.join(dir, 'found', `${target}-`);
  for (const made of [seeds, grown, path.dirname(found)])
    fs.mkdirSync(made, { recursive: true });
  if (target === 'assemble') textSeeds(seeds);
  else if (target === 'btf') await btfSeeds(log, seeds);
  else await objectSeeds(log, seeds);
  const options = [
    `-max_total_time=${seconds}`,
    `-artifact_prefix=${found}`,
    '-timeout=20',
    '-rss_limit_mb=2048',
    '-max_len=65536',
    `-fork=${Math.min(2, os.availableParallelism())}`,
    '-print_final_stats=1',
  ];
  return log.status(path.join(dir, `fuzz_${target}`), [
    ...options,
    grown,
    seeds,
  ]);
}

/** Step for scripts/test.mjs: one test per target. */
export async function runFuzzers(log) {
  await log.run('cmake', ['--preset', 'fuzz']);
  await log.run('cmake', ['--build', '--preset', 'fuzz']);
  const targets = listFiles(['test/fuzz'])
    .filter((name) => /^test\/fuzz\/\w+\.c$/.test(name))
    .map((name) => path.basename(name, '.c'));
  const counts = noCounts();
  for (const target of targets) {
    if ((await fuzz(log, target)) === 0) counts.passed += 1;
    else {
      counts.failed += 1;
      counts.details.push(`fuzz_${target}:\n${log.tail(60).join('\n')}`);
    }
  }
  return counts;
}
