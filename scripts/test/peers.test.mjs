// The runner of check:peers, on its own: what it refuses, and how it ends.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { inRoot } from '../lib/steps.mjs';

const peers = (...args) =>
  spawnSync(process.execPath, [inRoot('scripts/peers.mjs'), ...args], {
    encoding: 'utf8',
  });

test('an unknown module is refused with the known ones', () => {
  const { status, stderr } = peers('nonsense');
  assert.equal(status, 2);
  assert.match(
    stderr,
    /no module or option nonsense; there are .*instructions/,
  );
});

test('what cannot run makes it exit non-zero, with the reason', () => {
  const { status, stdout } = spawnSync(
    process.execPath,
    [inRoot('scripts/peers.mjs'), 'instructions'],
    { encoding: 'utf8', env: { ...process.env, PATH: '/nowhere' } },
  );
  assert.equal(status, 1);
  assert.match(stdout, /not run: no llvm-mc-14 and -19\n/);
  assert.match(stdout, /\npeers: 0 of 0 met, 0 missed, 1 not run\n$/);
});
