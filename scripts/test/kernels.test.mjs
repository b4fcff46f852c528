import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import test from 'node:test';
import { splitSkip } from '../lib/counts.mjs';
import { inRoot } from '../lib/steps.mjs';
import { runGuest, toldIn } from '../guest/guest.mjs';
import { Result } from '../guest/result.mjs';
import { isNewer, kernels, kernelNames, partsIn } from '../guest/packages.mjs';

test('a reason is taken out of the name of a skipped test', () => {
  assert.deepEqual(splitSkip('attach (skipped: no (real) kernel) XDP'), {
    name: 'attach XDP',
    reason: 'no (real) kernel',
  });
  assert.deepEqual(splitSkip('attach XDP'), {
    name: 'attach XDP',
    reason: undefined,
  });
});

test('versions compare by their numbers', () => {
  assert.equal(isNewer('7.10.1-1', '7.9.4-1'), true);
  assert.equal(isNewer('7.2.13-1', '7.3.4-1~bpo13+1'), false);
  assert.equal(isNewer('6.12.117-1', '6.12.117-1'), false);
});

test('parts of a kernel among what its package depends on', () => {
  const depends =
    'dracut | linux-initramfs-tool, linux-base-7.3.4-cloud-amd64 (= 7.3.4-1), ' +
    'linux-binary-7.3.4-cloud-amd64 (= 7.3.4-1), linux-base (>= 4.3)';
  assert.deepEqual(partsIn(depends), [
    'linux-base-7.3.4-cloud-amd64',
    'linux-binary-7.3.4-cloud-amd64',
  ]);
});

test('every kernel has suites', () => {
  assert.deepEqual([...kernelNames].sort(), Object.keys(kernels).sort());
  for (const { suites } of Object.values(kernels)) assert.ok(suites.length > 0);
});

test('lines of a guest that are no JSON are text', () => {
  assert.deepEqual(toldIn('{"ended":0}'), { ended: 0 });
  assert.deepEqual(toldIn('{ broken'), { text: '{ broken' });
  assert.deepEqual(toldIn('12'), { text: '12' });
});

/** runGuest() with guests that tell these things and end so, one after the other. */
async function runScript(...guests) {
  const heard = [];
  const skipped = [];
  const boot = (name, kernel, qemu, { skip }, hear) => {
    skipped.push(skip);
    const [told, reason] = guests.shift();
    told.forEach(hear);
    return reason;
  };
  const hear = (told) => heard.push(told);
  const reason = await runGuest('test', {}, {}, {}, hear, boot);
  assert.deepEqual(guests, []);
  const failed = heard.flatMap(({ test, status }) =>
    status === 'failed' ? [test] : [],
  );
  return { reason, skipped, failed };
}
const through = (file) => [{ file }, { through: file }];

test('a guest that ends early is booted again for what is left', async () => {
  const told = await runScript(
    [[...through('a'), { file: 'b' }], 'it panicked'],
    [[...through('b'), ...through('c')], undefined],
  );
  assert.deepEqual(told, {
    reason: undefined,
    skipped: [[], ['a']],
    failed: [],
  });
});

test('a file in which guests die fails, and the others still run', async () => {
  const told = await runScript(
    [[...through('a'), { file: 'b' }], 'it panicked'],
    [[{ file: 'b' }], 'it panicked'],
    [through('c'), undefined],
  );
  assert.deepEqual(told, {
    reason: undefined,
    skipped: [[], ['a'], ['a', 'b']],
    failed: ['b'],
  });
});

test('a guest that never starts ends the run', async () => {
  const dead = [[{ kernel: '6.1' }], 'it panicked'];
  const told = await runScript(dead, dead, dead);
  assert.equal(told.reason, 'it panicked');
});

test('a run of everything is kept, and resumed where it was not good', () => {
  const store = inRoot('build/logs/kernel-of-a-test.json');
  const first = new Result('of-a-test', true);
  const tell = (result, file, status) =>
    [{ file }, { test: `${file}: x`, status }, { through: file }].forEach(
      (told) => result.hear(told),
    );
  try {
    tell(first, 'good', 'passed');
    tell(first, 'bad', 'failed');
    [{ file: 'cut' }, { test: 'cut: x', status: 'passed' }].forEach((told) =>
      first.hear(told),
    );
    first.end('it was cut off');
    const second = Result.resume('of-a-test');
    assert.deepEqual([...second.through.keys()], ['good']);
    assert.deepEqual([...second.tests.keys()], ['good: x']);
    assert.ok(!second.complete);
    tell(second, 'bad', 'passed');
    tell(second, 'cut', 'passed');
    tell(second, 'cut', 'skipped'); // after all it ran
    second.end();
    assert.ok(second.good);
    const third = Result.resume('of-a-test');
    assert.ok(third.complete);
    assert.equal(third.count('passed'), 3);
  } finally {
    fs.rmSync(store, { force: true });
  }
});

test('an unknown kernel or option is refused', () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [inRoot('scripts/kernels.mjs'), '4.4'],
    { encoding: 'utf8' },
  );
  assert.equal(status, 2);
  assert.match(stderr, /no kernel or option 4\.4; there are 5\.10, 6\.1/);
});
