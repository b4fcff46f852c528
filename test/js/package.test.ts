/**
 * The package as its users get it: both module systems, without the addon, without root, without
 * the file system in bpf/core.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as bpf from 'bpf';
import { node, root, run } from '../support';

/** What a script prints as JSON. */
function evaluate(script: string, env: Record<string, string> = {}): unknown {
  const { status, stdout, stderr } = node(script, env);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

function evaluateModule(script: string): unknown {
  const { stdout, stderr, status } = run(process.execPath, [
    '--input-type=module',
    '-e',
    script,
  ]);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

describe('module systems', () => {
  test.each(['bpf', 'bpf/core'])(
    '%s: import and require see the same objects',
    (name) => {
      const result = evaluateModule(`
        import * as esm from '${name}';
        import { createRequire } from 'node:module';
        const cjs = createRequire('${root}/')('${name}');
        const names = Object.keys(cjs);
        console.log(JSON.stringify({
          names: names.length,
          different: names.filter((name) => cjs[name] !== esm[name]),
        }));`);
      expect(result).toEqual({
        names: expect.any(Number),
        different: [],
      });
      expect((result as { names: number }).names).toBeGreaterThan(20);
    },
  );

  test('bpf and bpf/core share classes and engine', () => {
    expect(
      evaluate(`
        const all = require('bpf');
        const core = require('bpf/core');
        const same = Object.keys(core).every((name) => all[name] === core[name]);
        console.log(JSON.stringify([same, core.assemble('exit') instanceof all.BpfObject]));`),
    ).toEqual([true, true]);
  });

  test('bpf/core loads no module of Node, and asks for init()', () => {
    const script = `
      const Module = require('node:module');
      const load = Module._load;
      const seen = [];
      Module._load = function (name) {
        if (!name.startsWith('.')) seen.push(name);
        return load.apply(this, arguments);
      };
      const core = require('./dist/bindings/src/core.js');
      let message;
      try { core.assemble('exit'); } catch (error) { message = error.message; }
      console.log(JSON.stringify({ seen, message }));`;
    expect(evaluate(script)).toEqual({
      seen: [],
      message: expect.stringMatching(/await init/),
    });
  });

  test('type definitions exist for each entry', () => {
    const { exports, main, types } = JSON.parse(
      readFileSync(join(root, 'package.json'), 'utf8'),
    ) as { exports: Record<string, unknown>; main: string; types: string };
    const files = JSON.stringify([exports['.'], exports['./core'], main, types])
      .match(/dist\/[^"]+/g)
      ?.map((file) => readFileSync(join(root, file), 'utf8').length);
    expect(files?.length).toBe(10);
  });
});

describe('without the kernel', () => {
  const without = { BPF_ADDON: join(root, 'no/such/addon.node') };
  const attempts = `
    const bpf = require('bpf');
    const object = bpf.assemble('r0 = 7\\nexit\\n');
    const attempt = (run) => {
      try { return run(); } catch (error) {
        return [error.name, error instanceof bpf.BPFError, error.code, error.operation, error.message];
      }
    };
    const machine = new bpf.Machine(object);
    console.log(JSON.stringify({
      r0: Number(machine.run().r0),
      backend: bpf.backend(),
      load: attempt(() => bpf.load(object)),
    }));`;

  test('everything portable works, load() says that there is no addon', () => {
    const reason = /no access to the kernel: there is no file .*no\/such/;
    expect(evaluate(attempts, without)).toEqual({
      r0: 7,
      backend: { name: 'vm', reason: expect.stringMatching(reason) },
      load: [
        'KernelError',
        true,
        'ERR_UNAVAILABLE',
        'load addon',
        expect.stringMatching(reason),
      ],
    });
  });

  test('an addon that does not load is told with its cause', () => {
    const env = { BPF_ADDON: join(root, 'package.json') };
    expect(evaluate(attempts, env)).toMatchObject({
      backend: { name: 'vm' },
      load: expect.arrayContaining([
        expect.stringMatching(/the addon .*package\.json/),
      ]),
    });
  });

  test.each([
    ['darwin', 'arm64', /this is darwin, and only Linux has bpf\(2\)/],
    ['linux', 'riscv64', /no prebuilt addon for linux-riscv64.*npm run build/],
  ])('on %s %s', (platform, arch, reason) => {
    // A package without build/: what npm installs.
    const script = `
      Object.defineProperty(process, 'platform', { value: '${platform}' });
      Object.defineProperty(process, 'arch', { value: '${arch}' });
      const fs = require('node:fs');
      const existsSync = fs.existsSync;
      fs.existsSync = (file) => !file.includes('build/release') && existsSync(file);
      ${attempts}`;
    expect(evaluate(script)).toMatchObject({
      r0: 7,
      backend: { name: 'vm', reason: expect.stringMatching(reason) },
    });
  });
});

test('errors print their text once, the log not at all', () => {
  const { stderr, status } = node(
    `require('bpf').assemble('r11 = 0', { filename: 'x.s' });`,
  );
  expect(status).toBe(1);
  expect(stderr.match(/there is no register/g)?.length).toBe(1);
});

test('the classes of errors', () => {
  const kernel = new bpf.KernelError('refused', {
    operation: 'load program',
    errno: 13,
    code: 'EACCES',
    log: 'a long log',
  });
  expect(kernel).toBeInstanceOf(bpf.BPFError);
  expect(kernel).toMatchObject({ errno: 13, code: 'EACCES' });
  expect(kernel.log).toBe('a long log');
  expect(Object.keys(kernel)).not.toContain('log');
});
