// The packed tarball, installed in an empty project without running any install script.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { inRoot } from '../lib/steps.mjs';

let project;
const npm = (...args) =>
  execFileSync('npm', [...args, '--ignore-scripts', '--offline'], {
    cwd: project,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
const node = (...args) =>
  execFileSync(process.execPath, args, { cwd: project, encoding: 'utf8' });

before(() => {
  project = fs.mkdtempSync(path.join(os.tmpdir(), 'bpf-package-'));
  fs.writeFileSync(path.join(project, 'package.json'), '{"private":true}');
  npm('pack', inRoot(), '--silent');
  const tarball = fs.readdirSync(project).find((name) => /\.tgz$/.test(name));
  npm('install', `./${tarball}`, '--silent', '--no-audit', '--no-fund');
});
after(() => fs.rmSync(project, { recursive: true, force: true }));

const program = JSON.stringify('r0 = 40\nr0 += 2\nexit\n');
const use = (bpf) =>
  `console.log(new ${bpf}.Machine(${bpf}.assemble(${program})).run().r0, ${bpf}.kernelAvailable().code)`;

test('require and import give the same, working package', () => {
  const required = node('-e', `const bpf = require('bpf'); ${use('bpf')}`);
  assert.match(required, /^42n /);
  const script = `import * as bpf from 'bpf'; import { createRequire } from 'node:module';
    ${use('bpf')}; console.log(createRequire(import.meta.url)('bpf').Machine === bpf.Machine)`;
  const imported = node('--input-type=module', '-e', script);
  assert.equal(imported, `${required}true\n`);
});

test('the command works', () => {
  fs.writeFileSync(path.join(project, 'p.s'), 'r0 = 7\nexit\n');
  const said = execFileSync(path.join(project, 'node_modules/.bin/bpf'), [
    'sim',
    path.join(project, 'p.s'),
  ]);
  assert.equal(said.toString().trim().split(/\s/).at(-1), '0x7');
});

test('everything portable works without the addon, and the kernel says why not', () => {
  const prebuilds = path.join(project, 'node_modules/bpf/dist/prebuilds');
  fs.rmSync(prebuilds, { recursive: true, force: true });
  const said = node('-e', `const bpf = require('bpf'); ${use('bpf')}`);
  assert.equal(said, '42n ERR_UNAVAILABLE\n');
});
