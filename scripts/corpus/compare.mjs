// Two compilers' objects of the same files, side by side: verdicts, sizes, behaviour. The reference
// is what clang got accepted by the kernel in the same run.

/** What two runs of one object agree on, of the records' runs and maps, as [path, text] pairs. */
function facts(record) {
  const found = new Map();
  record.runs?.forEach((one, n) => {
    for (const [key, value] of Object.entries(one))
      found.set(`input ${n}: ${key}`, String(value));
  });
  for (const [map, entries] of Object.entries(record.maps ?? {}))
    for (const [key, value] of Object.entries(entries))
      found.set(`${map}[${key}]`, String(value));
  return found;
}

/** Where bytes as hex differ first; other texts whole. */
function howOther(mine, value) {
  if (mine === undefined) return ' is not there';
  const isHex = /^[0-9a-f]{34,}$/.test(value) && mine.length === value.length;
  if (!isHex) return ` is ${mine}, not ${value}`;
  for (let at = 0; at < value.length; at += 2) {
    const [own, other] = [mine, value].map((text) => text.slice(at, at + 2));
    if (own !== other) return `: byte ${at / 2} is ${own}, not ${other}`;
  }
  return '';
}

/** A compiler may leave static variables out, or take them for constants. */
const mayBeGone = (key) => key.includes('[static ');

/**
 * How `ours` differs from clang's object, which was run several times: what differs from one of its
 * runs to the next (time, processes, random numbers) is not compared.
 */
export function differences(clangRuns, ours) {
  const runs = clangRuns.map(facts);
  const [first, ...others] = runs;
  const mine = facts(ours);
  const wrong = [];
  for (const [key, value] of first) {
    if (!others.every((run) => run.get(key) === value)) continue;
    const own = mine.get(key);
    if (own !== value && !(own === undefined && mayBeGone(key)))
      wrong.push(`${key}${howOther(own, value)}`);
  }
  const steady = others.every(
    (run) =>
      run.size === first.size && [...first.keys()].every((k) => run.has(k)),
  );
  for (const [key, value] of mine)
    if (steady && !first.has(key) && !mayBeGone(key))
      wrong.push(`${key} is ${value}, not absent`);
  return wrong;
}

/** Why a program that clang got accepted is not accepted from us. */
function causeOf(file, ours) {
  if (file.ours.error) return `does not compile: ${file.ours.error}`;
  if (file.unopened) return `libbpf does not open it: ${file.unopened}`;
  if (!ours) return 'the program is missing';
  return `${ours.verdict}: ${ours.reason || `errno ${ours.errno}`}`;
}

/**
 * A row per program of clang's objects: { file, program, clang, ours, cause, differs: [texts] or
 * null where it was not run }. `verdicts` are { clang: [maps of records by object], ours }.
 */
export function programRows(files, verdicts) {
  const rows = [];
  for (const file of files) {
    if (!file.clang.object) continue;
    const runs = verdicts.clang.map((map) => map.get(file.clang.object));
    const mine = file.ours.object ? verdicts.ours.get(file.ours.object) : [];
    file.unopened = mine.find((record) => record.open !== undefined)?.reason;
    for (const clang of runs[0]) {
      if (clang.open !== undefined) continue;
      const named = (records) =>
        records.find((record) => record.program === clang.program);
      const ours = named(mine);
      const accepted = ours?.verdict === 'accepted';
      const both = clang.verdict === 'accepted' && accepted && clang.runs;
      rows.push({
        file: file.name,
        program: clang.program,
        clang,
        ours,
        cause:
          clang.verdict === 'accepted' && !accepted ? causeOf(file, ours) : '',
        differs: both
          ? differences(runs.map(named).filter(Boolean), ours)
          : null,
      });
    }
  }
  return rows;
}

/** Whether a verdict is what the program's annotation says. */
export const asAnnotated = (expect, record) =>
  (expect === 'success') === (record?.verdict === 'accepted');

/** Ratios of a figure over the programs that clang got accepted; what is missing counts double. */
export function ratios(rows, figure) {
  return rows
    .filter((row) => row.clang.verdict === 'accepted' && row.clang[figure] > 0)
    .map((row) => {
      const there = row.ours?.verdict === 'accepted';
      const [theirs, own] = [row.clang[figure], there ? row.ours[figure] : 0];
      return { row, theirs, own, ratio: there ? own / theirs : 2, there };
    });
}

export function geomean(numbers) {
  if (numbers.length === 0) return NaN;
  const sum = numbers.reduce((total, number) => total + Math.log(number), 0);
  return Math.exp(sum / numbers.length);
}

const cell = (value) => {
  const text = String(value ?? '');
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const said = (wrong) => wrong && (wrong.length > 0 ? 'differs' : 'same');

/** The rows as CSV, with a line of names. */
export function toCsv(rows) {
  const lines = rows.map((row) => [
    ...[row.file, row.program, row.clang.section],
    ...[row.clang.verdict, row.ours?.verdict ?? 'missing'],
    ...[row.clang.expect, row.clang.slots, row.ours?.slots],
    ...[row.clang.insns, row.ours?.insns, row.clang.states, row.ours?.states],
    said(row.differs ?? row.simulated),
    row.cause || (row.differs ?? row.simulated)?.[0],
  ]);
  const names = [
    ...['file', 'program', 'section', 'clang', 'ours', 'expect', 'clang_slots'],
    ...['our_slots', 'clang_insns', 'our_insns', 'clang_states', 'our_states'],
    ...['behaviour', 'note'],
  ];
  return (
    [names, ...lines].map((line) => line.map(cell).join(',')).join('\n') + '\n'
  );
}
