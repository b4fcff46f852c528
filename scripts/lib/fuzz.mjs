// The fuzzing step: builds the libFuzzer targets of test/fuzz and runs each for a while, with two
// processes where there are the processors, starting from the case corpus. What a target finds is
// kept in build/fuzz/found and belongs into test/cases once it is repaired.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inRoot, listFiles } from './steps.mjs';
import { noCounts } from './counts.mjs';

const seconds = Number(process.env.BPF_FUZZ_SECONDS ?? 60);

/** Every text of the corpus as a seed; the assembler's target takes its options from a first byte. */
function writeSeeds(dir, target) {
  fs.mkdirSync(dir, { recursive: true });
  const files = listFiles(['test/cases', 'examples']).filter((name) =>
    target === 'assemble' ? /\.(case|s)$/.test(name) : /\.(case|o)$/.test(name),
  );
  for (const [index, name] of files.entries()) {
    const bytes = fs.readFileSync(inRoot(name));
    const prefixes = target === 'assemble' ? ['\0', '\x01'] : [''];
    for (const [variant, prefix] of prefixes.entries())
      fs.writeFileSync(
        path.join(dir, `${index}-${variant}`),
        Buffer.concat([Buffer.from(prefix), bytes]),
      );
  }
  if (target === 'assemble') return;
  for (const name of listFiles(['build/objects']))
    fs.copyFileSync(inRoot(name), path.join(dir, path.basename(name)));
}

async function fuzz(log, target) {
  const dir = inRoot('build/fuzz');
  const seeds = path.join(dir, 'seeds', target);
  const grown = path.join(dir, 'grown', target);
  const found = path.join(dir, 'found', `${target}-`);
  for (const made of [grown, path.dirname(found)])
    fs.mkdirSync(made, { recursive: true });
  writeSeeds(seeds, target);
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
    .filter((name) => name.endsWith('.c'))
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
