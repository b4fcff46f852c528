// The table that checks end with. A result is what one module found: { title, reason: why it did not
// run, or null, rows: [{ what, required, measured, ok, notes }] }.

/** Prints results with columns as wide as their texts, and notes below their row. */
export function printTable(results) {
  const rows = results.flatMap((result) => result.rows);
  const width = (key) =>
    Math.max(...rows.map((row) => row[key].length), key.length);
  const columns = ['what', 'required', 'measured'].map((key) => [
    key,
    width(key),
  ]);
  const cells = (row) =>
    columns.map(([key, size]) => row[key].padEnd(size)).join('  ');
  console.log(
    `\n  ${cells({ what: 'what', required: 'required', measured: 'measured' })}`,
  );
  for (const { title, reason, rows: own } of results) {
    console.log(`\n${title}`);
    if (reason) console.log(`- not run: ${reason}`);
    for (const row of own) {
      console.log(`${row.ok ? '✓' : '✗'} ${cells(row).trimEnd()}`);
      for (const note of row.notes ?? [])
        console.log(`    ${note.replaceAll('\n', '\n    ')}`);
    }
  }
}

/** The last line of a check, and its exit status: 0 if all that there was to judge is met. */
export function summary(name, results) {
  const rows = results.flatMap((result) => result.rows);
  const met = rows.filter((row) => row.ok).length;
  const notRun = results.filter((result) => result.reason).length;
  return {
    line: `${name}: ${met} of ${rows.length} met, ${rows.length - met} missed, ${notRun} not run`,
    status: met === rows.length && notRun === 0 && rows.length > 0 ? 0 : 1,
  };
}
