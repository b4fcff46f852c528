import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { inRoot } from '../lib/steps.mjs';

const setup = (args, env) =>
  spawnSync(process.execPath, [inRoot('scripts/setup.mjs'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });

test('an unknown profile is refused', () => {
  const { status, stderr } = setup(['everything']);
  assert.equal(status, 2);
  assert.match(
    stderr,
    /usage: node scripts\/setup\.mjs build\|demo\|test\|peers\|kernels\|full/,
  );
});

test('where there is no apt, missing tools are named with their packages', (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-path-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  const { status, stderr } = setup(['demo'], { PATH: dir });
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^Missing: .*C compiler \(gcc\).*Emscripten \(emscripten\)/m,
  );
  assert.match(stderr, /To try again: npm run demo/);
});
