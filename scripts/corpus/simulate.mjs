// Both objects in our VM: programs that the kernel accepts but cannot be made to run there (kprobes,
// tracepoints, iterators, struct_ops, …) get the same inputs in both, and must end alike, print the
// same, and leave the same in maps and globals. The VM's clock, process and random numbers are
// inputs, so nothing has to be left out; where a run faults, which it does on pointers that the
// inputs cannot have, only that it does is compared. The wasm build of the package is what runs.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { readElf } from '../lib/elf.mjs';
import { inRoot } from '../lib/steps.mjs';
import { differences } from './compare.mjs';
import { hash, keep, kept } from './work.mjs';

const DIST = inRoot('dist/bindings/src/index.js');
const WASM = inRoot('dist/bpf.wasm');
const BUDGET = 1_000_000;
const ARGUMENTS = 6;
const ARGUMENT_SIZE = 4096;
const ENTRIES_MOST = 256;

/** Why the VM cannot be asked, or null. */
export const noVm = () =>
  fs.existsSync(DIST) && fs.existsSync(WASM) ? null : 'no dist: npm run build';

const hex = (bytes) => Buffer.from(bytes).toString('hex');

/** Words of small numbers, others in each argument. */
function wordsOf(size, start) {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 8 <= size; at += 8)
    bytes.writeBigUInt64LE(BigInt((start + at / 8) % 251), at);
  return bytes;
}

/** One run, as the facts that are compared. */
function outcome(api, machine, program, options) {
  try {
    const { r0, printk, packet } = machine.run(program, {
      ...options,
      budget: BUDGET,
    });
    const said = { retval: Number(BigInt.asUintN(32, r0)), printk };
    return packet ? { ...said, packet: hex(packet) } : said;
  } catch (error) {
    if (error instanceof api.MachineError) return { fault: 'yes' };
    throw error;
  }
}

/** Whether a program returns nothing, so that r0 is what it happens to be. */
function returnsNothing(btf, program) {
  const func = btf?.find(program, 'func');
  const proto = func && btf.type(func.type);
  return proto?.kind === 'func_proto' && proto.returns === 0;
}

/** Runs without any input, then with arguments, or a context, of small numbers. */
function runsOf(api, machine, program) {
  const runs = [outcome(api, machine, program, {})];
  const args = Array.from({ length: ARGUMENTS }, (_, n) =>
    wordsOf(ARGUMENT_SIZE, n),
  );
  try {
    runs.push(outcome(api, machine, program, { args }));
  } catch {
    try {
      const { size } = machine.layout(program);
      runs.push(outcome(api, machine, program, { ctx: wordsOf(size, 1) }));
    } catch {
      // Programs of this type take neither.
    }
  }
  return runs;
}

const PROG_ARRAY = 3;
const MAPS_OF_MAPS = [12, 13];

/** The value as text: of what holds programs or maps, whose numbers go by their order, the name. */
function shown(machine, map, value) {
  const number = () => Buffer.from(value).readUInt32LE();
  if (map.type === PROG_ARRAY)
    return Object.keys(machine.programs)[number()] ?? hex(value);
  if (!MAPS_OF_MAPS.includes(map.type)) return hex(value);
  const named = Object.entries(machine.maps);
  return named.find(([, { id }]) => id === number())?.[0] ?? hex(value);
}

/** Entries that are not zero by key, or what a ring or perf buffer was sent, by its turn. */
function entriesOf(machine, map) {
  const pairs = [];
  try {
    for (const [key, value] of map)
      pairs.push([hex(key), shown(machine, map, value)]);
  } catch {
    try {
      let turn = 0;
      for (const { data } of map.events()) pairs.push([turn++, hex(data)]);
    } catch {
      // A map that has neither, of programs or maps.
    }
  }
  const told = pairs.filter(([, value]) => /[^0]/.test(value));
  return Object.fromEntries(told.slice(0, ENTRIES_MOST));
}

/** What maps hold, by key, and what globals do, by name. */
function mapsOf(machine, elf) {
  const maps = {};
  for (const [name, map] of Object.entries(machine.maps)) {
    if (/^\.|\.(bss|data|rodata|kconfig)/.test(name)) continue;
    maps[name] = entriesOf(machine, map);
  }
  for (const symbol of elf.symbols) {
    const { name } = elf.sections[symbol.section] ?? {};
    if (symbol.type !== 1 || !/^\.(bss|data)/.test(name ?? '')) continue;
    const bytes = machine.section(name);
    const { value, size, bind } = symbol;
    const shownAs = `${bind === 0 ? 'static ' : ''}${symbol.name}`;
    (maps[name] ??= {})[shownAs] = hex(
      bytes?.subarray(value, value + size) ?? '',
    );
  }
  return maps;
}

/** { program: { runs, maps } } of the named programs, each in a machine of its own. */
function simulate(api, btf, object, programs) {
  const bytes = fs.readFileSync(object);
  const key = hash(bytes, fs.readFileSync(WASM), programs.join(), 'vm 4');
  const known = kept(key);
  if (known) return known;
  const elf = readElf(bytes);
  const hasTypes = elf.sections.some(({ name }) => name === '.BTF');
  const types = hasTypes ? api.Btf.from(bytes) : undefined;
  const results = {};
  for (const program of programs) {
    let machine;
    try {
      machine = new api.Machine(bytes, { btf, onHelper: () => 0n });
      const runs = runsOf(api, machine, program);
      if (returnsNothing(types, program))
        for (const one of runs) delete one.retval;
      const whole = runs.every(({ fault }) => !fault);
      results[program] = { runs, maps: whole ? mapsOf(machine, elf) : {} };
    } catch (error) {
      results[program] = { refused: error.message };
    } finally {
      machine?.close();
    }
  }
  return keep(key, results);
}

/** Sets row.simulated = how ours differs, for the rows that the kernel did not run. */
export function simulateRows(files, rows, log) {
  const api = createRequire(import.meta.url)(DIST);
  const btf = fs.readFileSync('/sys/kernel/btf/vmlinux');
  const byFile = Map.groupBy
    ? Map.groupBy(rows, (row) => row.file)
    : rows.reduce(
        (map, row) => map.set(row.file, [...(map.get(row.file) ?? []), row]),
        new Map(),
      );
  let done = 0;
  for (const file of files) {
    const own = (byFile.get(file.name) ?? []).filter(
      (row) => row.clang.verdict === 'accepted' && !row.cause && !row.differs,
    );
    if (own.length === 0) continue;
    const names = own.map(({ program }) => program);
    const clang = simulate(api, btf, file.clang.object, names);
    const ours = simulate(api, btf, file.ours.object, names);
    for (const row of own) {
      const [theirs, mine] = [clang[row.program], ours[row.program]];
      if (theirs.refused) continue;
      row.simulated = mine.refused
        ? [`our VM does not take it: ${mine.refused}`]
        : differences([theirs], mine);
    }
    done += own.length;
    if (done % 200 < own.length) log(`VM: ${done} programs`);
  }
}
