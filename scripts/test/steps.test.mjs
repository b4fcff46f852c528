import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { inRoot } from '../lib/steps.mjs';

/** A copy of the step runner in a folder of its own, so that its root is there. */
function sandbox(t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-steps-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  fs.mkdirSync(path.join(dir, 'scripts/lib'), { recursive: true });
  fs.copyFileSync(
    inRoot('scripts/lib/steps.mjs'),
    path.join(dir, 'scripts/lib/steps.mjs'),
  );
  fs.writeFileSync(path.join(dir, 'input'), '1');
  fs.writeFileSync(
    path.join(dir, 'run.mjs'),
    `import { hashInputs, runStep } from './scripts/lib/steps.mjs';
    const step = {
      name: 'copy',
      what: 'input to output',
      inputs: () => hashInputs(['input']),
      outputs: ['output'],
      run: (log) => log.run('sh', ['-c', 'echo compiling; cp input output; test ! -e broken']),
    };
    process.exitCode = await runStep(step, 'make it').then((ran) => (ran ? 10 : 0), () => 1);`,
  );
  return dir;
}

const run = (dir) =>
  spawnSync(process.execPath, ['run.mjs'], { cwd: dir, encoding: 'utf8' });

test('a step runs once, and again when an input changes or its output is gone', (t) => {
  const dir = sandbox(t);
  const first = run(dir);
  assert.equal(first.status, 10);
  assert.match(first.stdout, /^✓ copy +input to output \(\d+\.\d s\)\n$/);
  const second = run(dir);
  assert.deepEqual([second.status, second.stdout], [0, '']);
  fs.writeFileSync(path.join(dir, 'input'), '2');
  assert.equal(run(dir).status, 10);
  fs.rmSync(path.join(dir, 'output'));
  assert.equal(run(dir).status, 10);
  assert.equal(fs.readFileSync(path.join(dir, 'output'), 'utf8'), '2');
});

test('a failed step says what failed, keeps its log and is repeated', (t) => {
  const dir = sandbox(t);
  fs.writeFileSync(path.join(dir, 'broken'), '');
  for (let time = 0; time < 2; time++) {
    const { status, stdout, stderr } = run(dir);
    assert.equal(status, 1);
    assert.match(stdout, /^✗ copy +input to output: failed after/);
    assert.match(stderr, /sh -c ended with 1/);
    assert.match(stderr, /build\/logs\/copy\.log:\n(.*\n)*? +compiling/);
    assert.match(stderr, /To try again: make it/);
  }
  assert.match(
    fs.readFileSync(path.join(dir, 'build/logs/copy.log'), 'utf8'),
    /compiling/,
  );
  fs.rmSync(path.join(dir, 'broken'));
  assert.equal(run(dir).status, 10);
});
