/**
 * Our package beside the one whose API it keeps, npm bpf 1.3.0 (the development dependency bpf-1):
 * what was wrong there is shown in a process of its own, and the same program is right with ours,
 * also under AddressSanitizer; the examples of its README run on both and give what they say.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import * as ours from 'bpf';
import { absent, describeUnless, root, testUnless } from '../support';
import { noKernel } from './support';

const folder = join(root, 'node_modules/bpf-1');
const noAncestor = existsSync(folder)
  ? undefined
  : 'npm package bpf-1 is not installed';
const entries = { old: folder, new: join(root, 'dist/bindings/src/index.js') };
const sanitized = join(root, 'build/asan/bpf_kernel.node');
const libasan = spawnSync('gcc', ['-print-file-name=libasan.so'], {
  encoding: 'utf8',
}).stdout?.trim();

/**
 * Runs a program with \`bpf\` at hand; it prints what it finds as JSON. Bytes that it gives to the
 * package can be guarded: \`guarded(size)\` has 64 bytes behind it, of which \`spoilt()\` tells how many
 * changed; and the package's own buffers get such bytes, too.
 */
function run(
  which: keyof typeof entries,
  body: string,
  addon?: string,
): string {
  const script = `
    const bpf = require(${JSON.stringify(entries[which])});
    const { createMap, createMapRef, MapType } = bpf;
    const hash = (keySize = 4, valueSize = 4, maxEntries = 8) => createMap({ type: 1, keySize, valueSize, maxEntries });
    const GUARD = 64;
    const all = [];
    const guarded = (size) => {
      const whole = new Uint8Array(size + GUARD).fill(0xee, size);
      all.push({ whole, size });
      return Buffer.from(whole.buffer, 0, size);
    };
    const spoilt = () => all.reduce((sum, { whole, size }) => sum + whole.subarray(size).filter((x) => x !== 0xee).length, 0);
    Buffer.alloc = (size, fill) => fill === undefined ? guarded(size) : guarded(size).fill(fill);
    const tell = (found) => console.log(JSON.stringify(found));
    const attempt = (use) => { try { return [use(), null]; } catch (error) { return [undefined, error.code ?? error.name]; } };
    (async () => { ${body} })();`;
  const { stdout, stderr, status, signal } = spawnSync(
    process.execPath,
    ['--expose-gc', '-e', script],
    {
      encoding: 'utf8',
      env: {
        ...process.env,
        ...(addon !== undefined && {
          BPF_ADDON: addon,
          LD_PRELOAD: libasan,
          ASAN_OPTIONS: 'detect_leaks=0',
        }),
      },
    },
  );
  if (status !== 0)
    return `ended by ${signal ?? status}: ${stderr.slice(-2000)}`;
  return stdout.trim();
}

interface Defect {
  name: string;
  program: string;
  /** What the program prints with the ancestor, and with us. */
  old: unknown;
  new: unknown;
}

const cpus = noKernel === undefined ? ours.possibleCpus() : 1;
const defects: Defect[] = [
  {
    name: '1: a value of a per-CPU map overruns its buffer',
    program: `
      const map = new bpf.RawMap(createMap({ type: MapType.PERCPU_ARRAY, keySize: 4, valueSize: 4, maxEntries: 1 }));
      const [value, error] = attempt(() => map.get(Buffer.from([0, 0, 0, 0]), 0, guarded(4)));
      tell([value !== undefined, error, spoilt()]);`,
    old: [true, null, 8 * cpus - 4],
    new: [false, 'RangeError', 0],
  },
  {
    name: '2: the cursor of a batch overruns small keys',
    program: `
      const map = new bpf.RawMap(hash(1, 1, 200));
      for (let i = 0; i < 200; i++) map.set(Buffer.of(i), Buffer.of(i));
      let count = 0;
      const [, error] = attempt(() => { for (const batch of map.getBatch(50)) count += batch.length; });
      tell([error, count, spoilt() > 0]);`,
    old: [null, 200, true],
    new: [null, 200, false],
  },
  {
    name: '3: a short value of a batch lets the kernel read what is behind it',
    program: `
      const map = new bpf.RawArrayMap(createMap({ type: MapType.ARRAY, keySize: 4, valueSize: 16, maxEntries: 1 }));
      Buffer.concat = (list) => { const to = guarded(list.reduce((n, x) => n + x.length, 0)); let at = 0; for (const x of list) { to.set(x, at); at += x.length; } return to; };
      const [, error] = attempt(() => map.setBatch([[0, Buffer.from([1])]]));
      tell([error, map.get(0).includes(0xee)]);`,
    old: [null, true],
    new: ['RangeError', false],
  },
  {
    name: '4: a descriptor that was not taken over is closed all the same',
    program: `
      const fs = require('fs');
      const fd = fs.openSync('/dev/null');
      const [, error] = attempt(() => createMapRef(fd, { transfer: true }));
      for (let i = 0; i < 10; i++) { gc(); await new Promise((done) => setImmediate(done)); }
      const [open] = attempt(() => fs.fstatSync(fd) !== undefined);
      tell([error, open === true]);`,
    old: ['EINVAL', false],
    new: ['EINVAL', true],
  },
  {
    name: '5: child processes inherit the maps',
    program: `
      const ref = hash();
      const copies = [createMapRef(ref.fd), bpf.openMap(ref.id)];
      const list = require('child_process').execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });
      tell([/bpf-map/.test(list), copies.length]);`,
    old: [true, 2],
    new: [false, 2],
  },
  {
    name: '6: what is no bytes is a buffer, if its length is right',
    program: `
      const map = new bpf.RawMap(hash());
      const wide = new Uint32Array(4);
      const [, error] = attempt(() => map.set(wide, wide));
      tell(error);`,
    old: null,
    new: 'TypeError',
  },
  {
    name: '7: flags lose their upper half',
    program: `
      const map = new bpf.RawMap(hash());
      const [, error] = attempt(() => map.set(Buffer.of(1, 2, 3, 4), Buffer.of(1, 2, 3, 4), 2 ** 40));
      tell(error);`,
    old: null,
    new: 'EINVAL',
  },
  {
    name: '8: getAll() gives values that conversions of typed arrays cannot read',
    program: `
      const map = bpf.createArrayMap(3, 5, { parse: (bytes) => bpf.u32type.parse(bytes.subarray(0, 4)), format: (bytes, x) => bytes.fill(x) });
      const [values, error] = attempt(() => map.getAll());
      tell([values?.length, error]);`,
    old: [null, 'RangeError'],
    new: [3, null],
  },
  // 9, releases of other distributions, is in its tests only; privilege.test.ts asks us with one.
  {
    name: '10: errors say only a code',
    program: `
      const errors = [{ type: MapType.QUEUE, keySize: 4, valueSize: 4, maxEntries: 1 }, { type: MapType.HASH, keySize: 4, valueSize: 1 << 30, maxEntries: 1 }].map((def) => {
        try { createMap(def); } catch (error) { return error; }
      });
      tell(errors.map(({ message, code, operation }) => [message === code, message.includes(operation), message.length > 60]));`,
    old: [
      [true, false, false],
      [true, false, false],
    ],
    new: [
      [false, true, true],
      [false, true, true],
    ],
  },
];

describeUnless(noKernel ?? noAncestor, 'what was wrong in npm bpf 1.3', () => {
  for (const { name, program, ...expected } of defects) {
    test(`${name}: there`, () => {
      expect(JSON.parse(run('old', program))).toEqual(expected.old);
    });
    test(`${name}: not here`, () => {
      expect(JSON.parse(run('new', program))).toEqual(expected.new);
    });
    testUnless(absent(sanitized), `${name}: nor under AddressSanitizer`, () => {
      expect(JSON.parse(run('new', program, sanitized))).toEqual(expected.new);
    });
  }
});

/** Its README's examples; "EXPRESSION // -> VALUE" is a check. */
function examples(): { title: string; code: string }[] {
  const text = readFileSync(join(folder, 'README.md'), 'utf8');
  const found = [
    ...text.matchAll(/^### (.*)\n+~~~ javascript\n([^]*?)^~~~$/gm),
  ];
  return found.map(([, title = '', code = '']) => ({
    title,
    code: code
      .replace("const bpf = require('bpf')", '')
      .replace(
        /^(?!\s*\/\/)(.*?)\s*\/\/ -> (.*)$/gm,
        (_, expression: string, value: string) =>
          `;check(${JSON.stringify(expression)}, (${expression}), ${JSON.stringify(value)});`,
      ),
  }));
}

const readme = `
  const { inspect } = require('util');
  const { RawMap } = bpf;
  const own = hash();
  const getMapFDFromSomewhereElse = () => own.fd;
  let checks = 0;
  /** Hashes have no order. */
  const sorted = (x) => Array.isArray(x) && Array.isArray(x[0]) ? [...x].sort() : x;
  const check = (text, got, value) => {
    checks++;
    const same = value.startsWith('<') ? inspect(got) === value : JSON.stringify(sorted(got)) === JSON.stringify(sorted(eval(value)));
    if (!same) throw new Error(text + ' is ' + inspect(got) + ', not ' + value);
  };`;

describeUnless(
  noKernel ?? noAncestor,
  "the examples of npm bpf 1.3's README",
  () => {
    const all = noAncestor === undefined ? examples() : [];
    for (const which of ['old', 'new'] as const) {
      test(`run with ${which === 'old' ? 'it' : 'us'}`, () => {
        expect(all.map(({ title }) => title)).toEqual([
          'Raw map operations',
          'Using conversions',
          'Array maps',
          'Using your own FD',
          'Map-in-map',
        ]);
        for (const { title, code } of all) {
          // The descriptor of our own map is given away in one of them.
          const body = `${readme}\n{ const console = { log() {} };\n${code}\n}\ntell(['ran', checks > 0]); process.reallyExit(0);`;
          expect(`${title}: ${run(which, body)}`).toBe(
            `${title}: ["ran",true]`,
          );
        }
      });
    }
  },
);
