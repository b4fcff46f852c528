// Work in parallel, and what the corpus check keeps from run to run in build/corpus/cache: a value by
// the hash of all that it depends on, so that only what changed is done again.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inRoot } from '../lib/steps.mjs';

/** Calls `work` for each item, as many at a time as there are processors. */
export async function parallel(items, work) {
  const left = [...items].reverse();
  const worker = async () => {
    while (left.length > 0) await work(left.pop());
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
}

export function hash(...parts) {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(part).update('\0');
  return sum.digest('hex').slice(0, 32);
}

const place = (key) =>
  inRoot('build/corpus/cache', key.slice(0, 2), `${key}.json`);

export function kept(key) {
  try {
    return JSON.parse(fs.readFileSync(place(key), 'utf8'));
  } catch {
    return undefined;
  }
}

/** Whole or not at all, whoever else is writing it. */
export function keep(key, value) {
  const file = place(key);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(`${file}.${process.pid}`, JSON.stringify(value));
  fs.renameSync(`${file}.${process.pid}`, file);
  return value;
}
