import assert from 'node:assert/strict';
import test from 'node:test';
import {
  countCtest,
  countJest,
  countOutput,
  countTap,
  groupSkips,
} from '../lib/counts.mjs';

const numbers = ({ passed, failed, skipped }) => [passed, failed, skipped];

test('our runners and cmocka are counted, other output is not', () => {
  assert.deepEqual(
    numbers(countOutput('a\n12 passed, 0 failed, 3 skipped\n')),
    [12, 0, 3],
  );
  const cmocka =
    '[==========] 3 test(s) run.\n[  PASSED  ] 2 test(s).\n[  FAILED  ] 1 test(s), listed below:\n';
  assert.deepEqual(numbers(countOutput(cmocka)), [2, 1, 0]);
  assert.equal(countOutput('all is well\n'), undefined);
});

test('reasons of skipped tests are kept', () => {
  const unit =
    'SKIP test_x: no bpftool\n[  SKIPPED ] 1 test(s), listed below:\n';
  assert.deepEqual(countOutput(unit).skips, ['no bpftool']);
  assert.deepEqual(
    countOutput('skip: no vectors\n0 passed, 0 failed, 1 skipped\n').skips,
    ['no vectors'],
  );
});

const ctest = (status, output) =>
  `<testsuite><testcase name="unit" status="${status}" time="1"><system-out>${output}</system-out></testcase></testsuite>`;

test('a ctest test without counts is one, and one that crashed failed', () => {
  assert.deepEqual(numbers(countCtest(ctest('run', 'fine'))), [1, 0, 0]);
  assert.deepEqual(
    numbers(countCtest(ctest('fail', 'Segmentation fault'))),
    [0, 1, 0],
  );
  const crashed = countCtest(
    ctest('fail', '7 passed, 0 failed, 0 skipped\n&lt;leak&gt;'),
  );
  assert.deepEqual(numbers(crashed), [7, 1, 0]);
  assert.match(crashed.details[0], /<leak>/);
});

test('a jest file that does not start is a failure', () => {
  const report = {
    testResults: [
      {
        name: 'a.test.ts',
        status: 'failed',
        message: 'boom',
        assertionResults: [],
      },
    ],
  };
  assert.deepEqual(numbers(countJest(report)), [0, 1, 0]);
});

test('jest tests are counted by status', () => {
  const assertionResults = ['passed', 'failed', 'pending'].map((status) => ({
    status,
    fullName: status,
    failureMessages: [],
  }));
  const counts = countJest({
    testResults: [{ status: 'failed', assertionResults }],
  });
  assert.deepEqual(numbers(counts), [1, 1, 1]);
  assert.deepEqual(counts.skips, ['pending']);
});

test('node:test summaries are counted', () => {
  assert.deepEqual(
    numbers(
      countTap(
        'TAP version 13\n# pass 4\n# fail 1\n# cancelled 0\n# skipped 2\n# todo 0\n',
      ),
    ),
    [4, 1, 2],
  );
  const failed = countTap(
    "TAP version 13\nok 1 - a\n  ---\n  ...\nnot ok 2 - b\n  ---\n  error: 'x'\n  ...\n# fail 1\n",
  );
  assert.deepEqual(failed.details, [
    "not ok 2 - b\n  ---\n  error: 'x'\n  ...",
  ]);
});

test('skipped tests are told by reason', () => {
  const names = ['a (skipped: no (EPERM)) x', 'b (skipped: no (EPERM)) y', 'z'];
  assert.deepEqual(groupSkips(names), [
    '2 skipped: no (EPERM)',
    '1 skipped: z',
  ]);
});
