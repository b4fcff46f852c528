// A tour through the addon in a process or worker of its own, for addon.test.ts: once as it is, once
// under AddressSanitizer, once with the garbage collector at every turn.
//   node [--expose-gc] addon-exercise.js ADDON OBJECT-FILE REFUSED-FILE
// Prints one line of JSON: the kernel ids that it made, and what it counted.
'use strict';
const fs = require('node:fs');

class KernelError extends Error {
  constructor(message, fields) {
    super(message);
    Object.assign(this, fields);
  }
}

function attempt(body) {
  try {
    body();
    return undefined;
  } catch (error) {
    return error;
  }
}

const collect = globalThis.gc ?? (() => {});

/** Every method with right arguments; returns ids and counts. */
function exercise(addon, bytes) {
  const ids = { programs: [], maps: [], links: [] };
  const object = addon.openObject(bytes, { name: 'exercise' });
  object.load({ logLevel: 1 });
  ids.programs = object.programs().map((program) => program.id);
  ids.maps = object.maps().map((map) => map.id);
  const program = object.program(0);
  const map = object.map(0);
  const link = program.attach();
  collect();
  ids.links.push(link.info().id);
  object.close();
  const key = new Uint8Array(4);
  const value = new Uint8Array(8);
  new DataView(key.buffer).setUint32(0, process.pid, true);
  for (let i = 0; i < 100; i++) {
    process.getuid(); // the system call that is counted
    if (i % 10 === 0) collect();
  }
  link.close();
  const found = map.lookup(key, value);
  const count = Number(new DataView(value.buffer).getBigUint64(0, true));
  map.update(key, value, 2n);
  const cursor = new Uint8Array(4);
  const keys = new Uint8Array(4 * 64);
  const values = new Uint8Array(8 * 64);
  const batch = map.lookupBatch(cursor, true, keys, values, 64);
  const next = new Uint8Array(4);
  const first = map.nextKey(undefined, next);
  const deleted = map.delete(key);
  map.freeze();
  const log = program.log();
  program.close();
  map.close();
  return { ids, found, count, first, deleted, entries: batch.count, log };
}

/** Loads and attaches, and keeps nothing; returns the link's id. */
function forget(addon, bytes) {
  const object = addon.openObject(bytes);
  object.load();
  return object.program(0).attach().info().id;
}

/** Every mistake that must be answered and not crash; returns the codes. */
function mistakes(addon, bytes, refused) {
  const object = addon.openObject(bytes);
  object.load();
  const map = object.map(0);
  const program = object.program(0);
  const small = new Uint8Array(3);
  const codes = [
    () => addon.openObject(bytes.subarray(0, 1000)),
    () => addon.openObject(new Uint8Array(5)),
    () => addon.openObject('text'),
    () => map.lookup(small, small),
    () => map.lookup(new Uint8Array(4), small),
    () => map.lookupBatch(small, true, small, small, 4294967295),
    () => map.update(small),
    () => map.lookup.call(program, small, small),
    () => program.attach({ kind: 'raw_tracepoint', name: 'x'.repeat(300) }),
    () => program.attach({ kind: 'nowhere' }),
    () => object.program(99),
    () =>
      program.attach({
        get kind() {
          program.close();
          return 'section';
        },
      }),
    () => addon.openObject(refused).load(),
  ].map((body) => {
    const error = attempt(body);
    return error?.code ?? error?.name;
  });
  // Memory that is gone when it would be used.
  const detached = new Uint8Array(4);
  structuredClone(detached, { transfer: [detached.buffer] });
  codes.push(attempt(() => map.lookup(detached, new Uint8Array(8)))?.code);
  map.close();
  object.close();
  return codes;
}

function main() {
  const [addonPath, file, refused] = process.argv.slice(2);
  const addon = require(addonPath);
  addon.init({ KernelError });
  const bytes = fs.readFileSync(file);
  const files = () => fs.readdirSync('/proc/self/fd').length;
  exercise(addon, bytes);
  const before = files();
  const result = exercise(addon, bytes);
  const codes = mistakes(addon, bytes, fs.readFileSync(refused));
  const forgotten = Array.from({ length: 5 }, () => forget(addon, bytes));
  const left = () => forgotten.filter((id) => addon.nextLinkId(id - 1) === id);
  let turns = 0;
  const report = () => {
    collect();
    if (
      globalThis.gc &&
      (left().length > 0 || files() > before) &&
      ++turns < 100
    )
      return setTimeout(report, 10);
    console.log(
      JSON.stringify({
        ...result,
        codes,
        files: files() - before,
        left: left().length,
      }),
    );
  };
  report();
}

module.exports = { KernelError };
if (require.main === module) main();
