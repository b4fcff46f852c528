/**
 * Probes of user programs, as far as the program or library takes part: counters in its memory that
 * the kernel keeps while somebody listens (semaphores of USDT), and functions of one name in several
 * versions.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { features, type AttachTarget, type Link } from 'bpf';
import { describeUnless, testUnless } from '../support';
import {
  counting,
  lacks,
  leaveNothing,
  loadC,
  noCookies,
  olderThan,
  programOf,
  runs,
  slot,
  staticProbe,
  temporary,
} from './hooks';
import { errorOf, noKernel } from './support';

const noCompiler = spawnSync('gcc', ['-v']).error
  ? 'there is no gcc for its target'
  : undefined;

/** Calls one() and two() once each, and test:rare where its semaphore says so. */
const countersSource = `
unsigned short first __attribute__((section(".probes"))) = 0;
unsigned short second __attribute__((section(".probes"))) = 0;
__attribute__((noinline)) int one(int x) { __asm__ volatile(""); return x + 1; }
__attribute__((noinline)) int two(int x) { __asm__ volatile(""); return x + 2; }
${staticProbe('rare', 'second')}
int main(void) {
    volatile unsigned short *counters[] = {&first, &second};
    if (one(1) + two(1) != 5)
        return 200;
    if (*counters[1])
        rare(77);
    return *counters[0] + 16 * *counters[1];
}
`;

/** work() in two versions, and only_work() in one. */
const versionsSource = `
__attribute__((noinline)) int work_1(int x) { __asm__ volatile(""); return x + 1; }
__attribute__((noinline)) int work_2(int x) { __asm__ volatile(""); return x + 2; }
__attribute__((noinline)) int only_work(int x) { __asm__ volatile(""); return x + 3; }
__asm__(".symver work_1, work@V_1");
__asm__(".symver work_2, work@@V_2");
/* Not called: the other way round, so that one of both is first in the table. */
__attribute__((noinline)) int turn_2(int x) { __asm__ volatile(""); return x + 2; }
__attribute__((noinline)) int turn_1(int x) { __asm__ volatile(""); return x + 1; }
__asm__(".symver turn_2, turn@@V_2");
__asm__(".symver turn_1, turn@V_1");
`;

/** The first of them once, the second twice, only_work() three times. */
const callsSource = `
int older(int x);
__asm__(".symver older, work@V_1");
int work(int x), only_work(int x);
int main(void) {
    return older(0) + work(0) + work(0) + only_work(0) + only_work(0) + only_work(0) != 14;
}
`;

function gcc(...args: string[]): void {
  const { status, stderr } = spawnSync('gcc', args, { encoding: 'utf8' });
  expect(`${status} ${stderr}`).toBe('0 ');
}

/** The address of a symbol, as the file says. */
function addressOf(path: string, name: string): number {
  const { stdout } = spawnSync('nm', [path], { encoding: 'utf8' });
  const line = new RegExp(`^([0-9a-f]+) . ${name}$`, 'm').exec(stdout);
  return Number(`0x${line?.[1] ?? ''}`);
}

/** Where a symbol's memory is in the file: by the segment that it is loaded with. */
function offsetOf(path: string, name: string): bigint {
  const address = BigInt(addressOf(path, name));
  const bytes = readFileSync(path);
  const header = Number(bytes.readBigUInt64LE(0x20));
  for (let i = 0; i < bytes.readUInt16LE(0x38); i++) {
    const at = header + i * bytes.readUInt16LE(0x36);
    const from = bytes.readBigUInt64LE(at + 16);
    if (
      bytes.readUInt32LE(at) === 1 && // PT_LOAD
      address >= from &&
      address < from + bytes.readBigUInt64LE(at + 32)
    )
      return address - from + bytes.readBigUInt64LE(at + 8);
  }
  throw new Error(`${name} is in no segment`);
}

describeUnless(noKernel ?? noCompiler, 'attach, user programs', () => {
  const folder = temporary();
  leaveNothing();
  afterAll(() => folder.remove());

  describe('counters of who listens', () => {
    const target = join(folder.path, 'counters');
    /** What the target saw in its counters: the first and, sixteen times, the second. */
    const seen = (): number | null => spawnSync(target, []).status;
    if (!noKernel && !noCompiler) {
      writeFileSync(`${target}.c`, countersSource);
      gcc('-O1', '-g', '-no-pie', '-o', target, `${target}.c`);
    }

    test('uprobe', async () => {
      const object = loadC(counting('uprobe'));
      const at: AttachTarget = {
        kind: 'uprobe',
        path: target,
        name: 'one',
        refCtrOffset: offsetOf(target, 'first'),
      };
      expect(seen()).toBe(0);
      const look = (link: Link): void => {
        expect(seen()).toBe(1);
        if (!olderThan('6.14') && link.fd >= 0)
          expect(link.info()).toMatchObject({
            refCtrOffset: offsetOf(target, 'first'),
          });
      };
      expect(await runs(object, at, seen, look)).toBe(2n);
      expect(seen()).toBe(0);
    });

    const noMulti = lacks(features.attachType('trace_uprobe_multi'));
    testUnless(noMulti, 'uprobe_multi, one for each function', async () => {
      const object = loadC(counting('uprobe.multi'));
      const refCtrOffsets = [
        offsetOf(target, 'second'),
        offsetOf(target, 'first'),
      ];
      const at: AttachTarget = {
        kind: 'uprobe_multi',
        path: target,
        names: ['one', 'two'],
        refCtrOffsets,
      };
      const look = (link: Link): void => {
        expect(seen()).toBe(17);
        if (!olderThan('6.8'))
          expect(link.info()).toMatchObject({ refCtrOffsets });
      };
      expect(await runs(object, at, seen, look)).toBe(4n);
      expect(seen()).toBe(0);
    });

    test('USDT: the probe is passed only then', async () => {
      const object = loadC(
        counting(`usdt/${target}:test:rare`, {
          head: '#include <bpf/usdt.bpf.h>',
          ctx: 'struct pt_regs *ctx',
          body: 'long value = 0; bpf_usdt_arg(ctx, 0, &value); put(1, value);',
        }),
      );
      // The second counter is the probe's semaphore.
      const look = (): void => expect(seen()).toBe(16);
      expect(await runs(object, undefined, seen, look)).toBe(2n);
      expect(slot(object, 1)).toBe(77n);
      expect(seen()).toBe(0);
    });

    test('what is no counter is refused', () => {
      const program = programOf(loadC(counting('uprobe')));
      const attach = (refCtrOffset: bigint): unknown =>
        errorOf(() =>
          program.attach({
            kind: 'uprobe',
            path: target,
            name: 'one',
            refCtrOffset,
          }),
        );
      expect(attach(1n << 32n)).toMatchObject({
        code: 'EINVAL',
        message: expect.stringContaining('more than 32 bits'),
      });
    });
  });

  describe('functions in several versions', () => {
    const library = join(folder.path, 'libversions.so.1');
    const program = join(folder.path, 'versions');
    const stripped = join(folder.path, 'libstripped.so.1');
    if (!noKernel && !noCompiler) {
      writeFileSync(`${library}.c`, versionsSource);
      writeFileSync(
        `${library}.map`,
        'V_1 { global: work; turn; only_work; local: *; };\nV_2 { global: work; turn; } V_1;\n',
      );
      gcc(
        ...['-O1', '-shared', '-fPIC', `-Wl,--version-script=${library}.map`],
        ...['-o', library, `${library}.c`],
      );
      spawnSync('strip', ['-o', stripped, library]);
      writeFileSync(`${program}.c`, callsSource);
      gcc('-O1', '-o', program, `${program}.c`, library);
    }
    const call = (): void =>
      expect(
        spawnSync(program, [], {
          env: { ...process.env, LD_LIBRARY_PATH: folder.path },
        }).status,
      ).toBe(0);

    const wanted: [string, bigint][] = [
      ['work', 2n],
      ['work@@V_2', 2n],
      ['work@V_2', 2n],
      ['work@V_1', 1n],
      ['only_work@V_1', 3n],
    ];
    for (const [name, times] of wanted)
      test(`${name}`, async () => {
        const object = loadC(counting('uprobe'));
        const at: AttachTarget = { kind: 'uprobe', path: library, name };
        expect(await runs(object, at, call)).toBe(times);
      });

    test('by a section', async () => {
      const object = loadC(counting(`uprobe/${library}:work@V_1`));
      expect(await runs(object, undefined, call)).toBe(1n);
    });

    test('without a static symbol table', () => {
      const offsets = (path: string, name: string): unknown => {
        const object = loadC(counting('uprobe'));
        const link = programOf(object).attach({ kind: 'uprobe', path, name });
        const { offset } = (link.fd >= 0 ? link.info() : {}) as {
          offset?: number;
        };
        link.close();
        return offset;
      };
      for (const name of ['work', 'turn']) {
        expect([
          offsets(stripped, name),
          offsets(stripped, `${name}@V_1`),
        ]).toEqual([
          offsets(library, `${name}@@V_2`),
          offsets(library, `${name}@V_1`),
        ]);
        if (!olderThan('6.6'))
          expect(offsets(stripped, name)).not.toBe(
            offsets(stripped, `${name}@V_1`),
          );
      }
    });

    const noMulti = lacks(features.attachType('trace_uprobe_multi'));
    testUnless(noMulti ?? noCookies, 'many at once, and patterns', async () => {
      const object = loadC(
        counting('uprobe.multi', {
          body: 'u64 mine = bpf_get_attach_cookie(ctx); if (mine) count(mine & 7);',
        }),
      );
      const at = { kind: 'uprobe_multi', path: library } as const;
      const names = ['work@V_1', 'work'];
      await runs(object, { ...at, names, cookies: [1, 2] }, call);
      expect([slot(object, 1), slot(object, 2)]).toEqual([1n, 2n]);
      const count = async (pattern: string): Promise<bigint> => {
        const before = slot(object);
        return (await runs(object, { ...at, pattern }, call)) - before;
      };
      expect(await count('wo?k')).toBe(3n);
      expect(await count('work@V_?')).toBe(1n);
      expect(await count('*@V_1')).toBe(4n);
      expect(await count('*work')).toBe(6n);
    });

    test('a version that is not there is answered by those that are', () => {
      const uprobe = programOf(loadC(counting('uprobe')));
      for (const path of [library, stripped]) {
        const missing = (name: string): string =>
          errorOf(() => uprobe.attach({ kind: 'uprobe', path, name })).message;
        const said = missing('work@V_3');
        expect(said).toContain("has no function 'work@V_3'");
        expect(said).toMatch(/did you mean .*'work@@V_2'/);
        expect(said).toMatch(/did you mean .*'work@V_1'/);
        expect(missing('werk')).toMatch(/did you mean 'work'\?/);
        expect(missing('only_work@V_2')).toMatch(
          /did you mean 'only_work(@@V_1)?'/,
        );
      }
    });
  });
});
