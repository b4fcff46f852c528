import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import test from 'node:test';
import { inRoot } from '../lib/steps.mjs';

const readme = fs.readFileSync(inRoot('README.md'), 'utf8');
const block = (language) =>
  new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(readme)[1];

test('the two commands are those of package.json', () => {
  const { scripts } = JSON.parse(fs.readFileSync(inRoot('package.json')));
  const commands = block('sh').split('\n').filter(Boolean);
  assert.equal(commands.length, 2);
  assert.match(commands[0], /^npm run demo /);
  assert.match(commands[1], /^npm test /);
  assert.ok(scripts.demo && scripts.test);
});

test('the files that it names exist', () => {
  for (const [, name] of readme.matchAll(/\]\(([\w./-]+)\)/g))
    assert.ok(fs.existsSync(inRoot(name)), name);
});

const built = fs.existsSync(inRoot('dist/bindings/src/index.js'));
const kernel = built
  ? createRequire(import.meta.url)('bpf').kernelAvailable()
  : { available: false, reason: 'the package is not built' };

test('its example runs', { skip: !kernel.available && kernel.reason }, (t) => {
  const file = inRoot('build/readme-example.js');
  fs.writeFileSync(file, block('js'));
  t.after(() => fs.rmSync(file));
  const { stdout, stderr } = spawnSync(process.execPath, [file], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  assert.match(stdout, /^1n\n[1-9]\d*n system calls\n$/);
});
