import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { splitSkip } from '../lib/counts.mjs';
import { inRoot } from '../lib/steps.mjs';
import { toldIn } from '../guest/guest.mjs';
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

test('an unknown kernel or option is refused', () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [inRoot('scripts/kernels.mjs'), '4.4'],
    { encoding: 'utf8' },
  );
  assert.equal(status, 2);
  assert.match(stderr, /no kernel or option 4\.4; there are 5\.10, 6\.1/);
});
