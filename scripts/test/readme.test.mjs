// What README.md promises about the repository; test/js/readme.test.ts runs what it shows.
import assert from 'node:assert/strict';
import fs from 'node:fs';
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
