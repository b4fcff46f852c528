// Test counts from what the runners print: { passed, failed, skipped, details[], skips[] }, where
// details are the texts of failures and skips the reasons of skipped tests.

export function noCounts() {
  return { passed: 0, failed: 0, skipped: 0, details: [], skips: [] };
}

export function addCounts(sum, counts) {
  for (const key of ['passed', 'failed', 'skipped']) sum[key] += counts[key];
  for (const key of ['details', 'skips']) sum[key].push(...counts[key]);
  return sum;
}

const entities = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
const unescapeXml = (text) =>
  text
    .replace(/&#x([0-9a-fA-F]+);/g, (_, hex) =>
      String.fromCodePoint(parseInt(hex, 16)),
    )
    .replace(/&#(\d+);/g, (_, number) => String.fromCodePoint(Number(number)))
    .replace(/&(lt|gt|quot|apos|amp);/g, (_, name) => entities[name]);

/**
 * Counts in one program's output: our runners end with "N passed, N failed, N skipped", cmocka has
 * a line each for passed, failed and skipped per group. undefined where there are neither.
 */
export function countOutput(text) {
  const counts = noCounts();
  const skips = [...text.matchAll(/^\s*skip(?:ped)?(?: \w+)?: (.+)$/gim)];
  counts.skips = skips.map((match) => match[1].trim());
  const ours = [
    ...text.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm),
  ];
  for (const [, passed, failed, skipped] of ours) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
    counts.skipped += Number(skipped ?? 0);
  }
  const cmocka = [
    ...text.matchAll(/^\[ +(PASSED|FAILED|SKIPPED) +\] (\d+) test\(s\)/gm),
  ];
  for (const [, kind, number] of cmocka)
    counts[kind.toLowerCase()] += Number(number);
  return ours.length + cmocka.length > 0 ? counts : undefined;
}

/** ctest's JUnit file: each of its tests counts by its own output, or as one. */
export function countCtest(xml) {
  const sum = noCounts();
  for (const [, attributes, body] of xml.matchAll(
    /<testcase ([^>]*)>([\s\S]*?)<\/testcase>/g,
  )) {
    const name = unescapeXml(/name="([^"]*)"/.exec(attributes)?.[1] ?? '?');
    const status = /status="([^"]*)"/.exec(attributes)?.[1];
    const output = unescapeXml(
      /<system-out>([\s\S]*?)<\/system-out>/.exec(body)?.[1] ?? '',
    );
    const counts = countOutput(output) ?? noCounts();
    const good = status === 'run';
    if (!good && counts.failed === 0) counts.failed = 1;
    if (good && counts.failed > 0)
      counts.details.push(`${name} counts failures but ended with 0`);
    if (good && counts.passed + counts.failed + counts.skipped === 0)
      counts.passed = 1;
    if (counts.failed > 0) counts.details.push(`${name}:\n${output.trimEnd()}`);
    addCounts(sum, counts);
  }
  return sum;
}

/** jest's --json report. */
export function countJest(report) {
  const sum = noCounts();
  for (const file of report.testResults) {
    for (const test of file.assertionResults) {
      if (test.status === 'passed') sum.passed += 1;
      else if (test.status === 'failed') {
        sum.failed += 1;
        sum.details.push(
          `${test.fullName}\n${test.failureMessages.join('\n')}`,
        );
      } else {
        sum.skipped += 1;
        sum.skips.push(test.fullName);
      }
    }
    // A file that does not even start has no tests to fail.
    if (
      file.status === 'failed' &&
      !file.assertionResults.some((test) => test.status === 'failed')
    ) {
      sum.failed += 1;
      sum.details.push(`${file.name}\n${file.message}`);
    }
  }
  return sum;
}

/** The summary of node's test runner in TAP. */
export function countTap(text) {
  const sum = noCounts();
  const number = (word) =>
    Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  sum.passed = number('pass');
  sum.failed = number('fail') + number('cancelled');
  sum.skipped = number('skipped') + number('todo');
  sum.skips = [...text.matchAll(/^\s*ok \d+ - (.*# SKIP.*)$/gm)].map(
    (match) => match[1],
  );
  sum.details = text.match(/^\s*not ok [^]*?^\s*\.\.\.$/gm) ?? [];
  if (sum.failed > 0 && sum.details.length === 0)
    sum.details.push(text.trimEnd());
  return sum;
}

/** A skipped test's name "name (skipped: reason) rest" apart: { name: "name rest", reason }. */
export function splitSkip(text) {
  const start = text.indexOf(' (skipped: ');
  if (start < 0) return { name: text, reason: undefined };
  const inside = start + ' (skipped: '.length;
  let depth = 1;
  for (let at = inside; at < text.length; at++) {
    if (text[at] === '(') depth += 1;
    if (text[at] === ')') depth -= 1;
    if (depth === 0)
      return {
        name: text.slice(0, start) + text.slice(at + 1),
        reason: text.slice(inside, at),
      };
  }
  return { name: text, reason: undefined };
}

/** Each reason once, with the number of tests that it stopped. */
export function groupSkips(skips) {
  const groups = new Map();
  for (const reason of skips.map((text) => splitSkip(text).reason ?? text))
    groups.set(reason, (groups.get(reason) ?? 0) + 1);
  return [...groups].map(([reason, number]) => `${number} skipped: ${reason}`);
}
