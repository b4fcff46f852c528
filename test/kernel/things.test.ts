/**
 * `bpf check`, `bpf prog`, `bpf map` and `bpf link` by command lines, with what a test put into the
 * kernel.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  assemble,
  unpin,
  type KernelMap,
  type KernelObject,
  type KernelProgram,
  type Link,
} from 'bpf';
import { describeUnless, root } from '../support';
import { counting, loadC, closeLoaded, programOf, temporary } from './hooks';
import { noKernel } from './support';

const MAIN = join(root, 'dist/bindings/src/cli/main.js');

function bpf(...words: string[]): {
  status: number | null;
  stdout: string;
  stderr: string;
} {
  return spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8' });
}

function told(...words: string[]): unknown {
  const { status, stdout, stderr } = bpf(...words, '--json');
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as unknown;
}

describe('bpf prog, map, link: wrong words', () => {
  const wrong: [string[], string][] = [
    [['prog', 'fly'], 'not fly'],
    [['prog', 'show'], 'which one?'],
    [['map', 'show', 'twelve'], "'twelve' is neither an id nor a path"],
    [['link', 'list', '--all'], 'no option --all'],
    [['check'], 'Name one file'],
  ];
  for (const [words, text] of wrong) {
    test(words.join(' '), () => {
      const { status, stderr } = bpf(...words);
      expect(stderr).toContain(text);
      expect(status).toBe(2);
    });
  }

  test('help', () => {
    expect(bpf('prog', '--help').stdout).toContain('dump P');
    expect(bpf('--help').stdout).toMatch(/ {2}check {2,}load FILE/);
  });
});

describeUnless(noKernel, 'bpf prog, map, link', () => {
  const pin = `/sys/fs/bpf/things_${process.pid}`;
  let object: KernelObject;
  let program: KernelProgram;
  let map: KernelMap;
  let link: Link;
  beforeAll(() => {
    object = loadC(counting('raw_tp/sys_enter'));
    program = programOf(object);
    const { slots } = object.maps;
    if (slots === undefined) throw new Error('no slots');
    map = slots;
    link = program.attach();
    map.pin(pin);
  });
  afterAll(() => {
    unpin(pin);
    closeLoaded();
  });

  test('programs', () => {
    const { id } = program.info;
    const row = {
      id,
      type: 'raw_tracepoint',
      name: 'prog',
      tag: program.details().tag,
      maps: program.details().mapIds,
    };
    expect(told('prog')).toContainEqual(expect.objectContaining(row));
    expect(told('prog', 'show', String(id))).toMatchObject(row);
    expect(bpf('prog', 'show', String(id)).stdout).toContain(
      `id ${id}  type raw_tracepoint  name prog  tag ${row.tag}`,
    );
    expect(bpf('prog', 'dump', String(id)).stdout).toMatch(/\n\texit\n/);
    expect(told('prog', 'dump', String(id))).toMatchObject({
      xlated: Buffer.from(program.details().xlated).toString('hex'),
    });
    expect(bpf('prog', 'dump', String(id), 'source').status).toBe(2);
    const { status, stderr } = bpf('prog', 'show', pin);
    expect(stderr).toBe(`bpf: ${pin} is a map, not a program\n`);
    expect(status).toBe(1);
  });

  test('maps, by id and by pin', () => {
    const { id } = map.info;
    const row = { id, type: 'array', name: 'slots', maxEntries: 8 };
    expect(told('map', 'list')).toContainEqual(expect.objectContaining(row));
    expect(told('map', 'show', pin)).toMatchObject(row);
    map.update(
      new Uint8Array(Uint32Array.of(7).buffer),
      new Uint8Array(BigUint64Array.of(42n).buffer),
    );
    const entries = told('map', 'dump', pin) as unknown[];
    expect(entries).toHaveLength(8);
    expect(entries).toContainEqual({
      key: '07000000',
      value: '2a00000000000000',
    });
    expect(bpf('map', 'dump', String(id)).stdout).toContain(
      'key 07000000  value 2a00000000000000\n',
    );
  });

  test('links', () => {
    const { id } = link.info();
    const row = { id, type: 'raw_tracepoint', programId: program.info.id };
    expect(told('link')).toContainEqual(expect.objectContaining(row));
    expect(told('link', 'show', String(id))).toMatchObject(row);
    expect(bpf('link', 'dump', String(id)).status).toBe(2);
    const { status, stderr } = bpf('link', 'show', '4294967295');
    expect(status).toBe(1);
    expect(stderr).toContain('no link of this id');
  });

  test('check', () => {
    const folder = temporary();
    try {
      const path = join(folder.path, 'two.o');
      const text = `
.section xdp,"ax",@progbits
.globl good
good:
r0 = 2
exit
.size good, .-good
.globl bad
bad:
r1 = 4660
r0 = *(u32 *)(r1 + 0)
exit
.size bad, .-bad
.section license
.asciz "GPL"
`;
      writeFileSync(path, assemble(text).toElf());
      const { status, stdout } = bpf('check', path);
      expect(stdout).toContain('good: accepted\n');
      expect(stdout).toMatch(
        /^bad: refused \(EACCES\)\n<source>:11: error: r1 is used/m,
      );
      expect(stdout).toContain('r1 is used as a pointer');
      expect(status).toBe(1);
      const source = join(folder.path, 'one.c');
      writeFileSync(
        source,
        '__attribute__((section("xdp"), used)) int pass(void *ctx) { return 2; }\n',
      );
      expect(told('check', source)).toEqual([
        { program: 'pass', section: 'xdp', accepted: true },
      ]);
      writeFileSync(source, 'int pass(void *ctx) { return nothing; }\n');
      const wrong = bpf('check', source);
      expect(wrong.status).toBe(1);
      expect(wrong.stderr).toContain('nothing');
    } finally {
      folder.remove();
    }
  });
});
