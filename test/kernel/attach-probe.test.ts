/**
 * Programs that run where a function does, of the kernel or of a process: each kind of probe is
 * loaded, attached, triggered and read back, with cookies and options, by section name and
 * explicitly.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from '@jest/globals';
import {
  features,
  type KernelError,
  load,
  type AttachTarget,
  type Link,
} from 'bpf';
import { describeUnless, testUnless } from '../support';
import {
  before,
  buildTarget,
  compileC,
  leaveNothing,
  COOKIE,
  cookie,
  counting,
  lacks,
  loadC,
  noCookies,
  olderThan,
  programOf,
  runs,
  slot,
  temporary,
  unbuilt,
  LIBC,
  getuid,
  openFile,
  seePerfLink,
} from './hooks';
import { errorOf, noKernel } from './support';

/** Where a function of the kernel is. */
function addressOf(name: string): bigint {
  const symbols = readFileSync('/proc/kallsyms', 'utf8');
  const [, address] = new RegExp(`^(\\w+) T ${name}$`, 'm').exec(symbols) ?? [];
  return BigInt(`0x${address}`);
}

describeUnless(noKernel, 'attach, probes', () => {
  const folder = temporary();
  const target = buildTarget(folder.path);
  const noTarget = target ? undefined : 'there is no C compiler for its target';
  const runTarget = (): void => {
    expect(spawnSync(target ?? '', []).status).toBe(0);
  };
  leaveNothing();
  afterAll(() => folder.remove());

  describe('kernel probes', () => {
    const noKprobes = unbuilt('KPROBE_EVENTS');
    for (const kind of ['kprobe', 'kretprobe'] as const) {
      testUnless(noKprobes, kind, async () => {
        const object = loadC(counting(`${kind}/__x64_sys_getuid`));
        const count = await runs(object, undefined, getuid, (link) =>
          seePerfLink(link, { eventType: kind === 'kprobe' ? 3 : 4 }),
        );
        expect(count).toBeGreaterThanOrEqual(10n);
      });
      testUnless(noKprobes ?? noCookies, `${kind} with cookie`, async () => {
        const object = loadC(counting(kind, cookie));
        const target: AttachTarget = {
          kind,
          name: '__x64_sys_getuid',
          cookie: COOKIE,
        };
        expect(await runs(object, target, getuid)).toBeGreaterThanOrEqual(10n);
        expect(slot(object, 1)).toBe(COOKIE);
      });
    }
    testUnless(noKprobes, 'kprobe inside of a function', async () => {
      // Behind the first instruction, whose length is not known: one of these is a boundary.
      const object = loadC(counting('kprobe'));
      const attach = (offset: number): Link =>
        programOf(object).attach({ kind: 'kprobe', name: 'vfs_open', offset });
      let link: Link | undefined;
      for (let offset = 5; !link && offset < 12; offset++) {
        try {
          link = attach(offset);
        } catch (error) {
          expect(error).toMatchObject({ operation: 'attach kprobe' });
        }
      }
      openFile();
      expect(slot(object)).toBeGreaterThan(0n);
      link?.close();
    });
    testUnless(noKprobes, 'kprobe by an address', async () => {
      const address = addressOf('__x64_sys_getuid');
      const [here, beside] = [{ address }, { address: address + 1n }];
      const object = loadC(counting('kprobe'));
      const target = { kind: 'kprobe', ...here } as const;
      expect(await runs(object, target, getuid)).toBeGreaterThanOrEqual(10n);
      const inside = (): unknown =>
        programOf(object).attach({ kind: 'kprobe', ...beside });
      expect(errorOf(inside)).toMatchObject({ operation: 'attach kprobe' });
    });
    testUnless(noKprobes, 'kprobe: an argument', async () => {
      const object = loadC(
        counting('kprobe/__x64_sys_kill', {
          ctx: 'struct pt_regs *ctx',
          body: `struct pt_regs *call = (struct pt_regs *)PT_REGS_PARM1(ctx);
    u64 pid = 0;
    bpf_probe_read_kernel(&pid, sizeof(pid), &PT_REGS_PARM1(call));
    put(1, pid);`,
        }),
      );
      const ask = (): unknown => process.kill(process.pid, 0);
      expect(await runs(object, undefined, ask)).toBeGreaterThan(0n);
      expect(slot(object, 1)).toBe(BigInt(process.pid));
    });
    for (const kind of ['ksyscall', 'kretsyscall'] as const) {
      testUnless(noKprobes, kind, async () => {
        const object = loadC(counting(`${kind}/getuid`));
        expect(await runs(object, undefined, getuid)).toBeGreaterThanOrEqual(
          10n,
        );
      });
    }
    const noMulti =
      lacks(features.attachType('trace_kprobe_multi')) ?? unbuilt('FPROBE');
    for (const kind of ['kprobe_multi', 'kretprobe_multi'] as const) {
      testUnless(noMulti, kind, async () => {
        const section = kind.replace('_', '.');
        const object = loadC(counting(`${section}/vfs_ope*`, cookie));
        expect(await runs(object, undefined, openFile)).toBeGreaterThan(0n);
        const target: AttachTarget = {
          kind,
          names: ['__x64_sys_getuid', '__x64_sys_getgid'],
          cookies: [COOKIE, 1],
        };
        expect(await runs(object, target, getuid)).toBeGreaterThanOrEqual(10n);
        expect(slot(object, 1)).toBe(COOKIE);
      });
    }
    testUnless(noMulti, 'kprobe_multi by addresses', async () => {
      const object = loadC(counting('kprobe.multi', cookie));
      const target: AttachTarget = {
        kind: 'kprobe_multi',
        addresses: ['__x64_sys_getuid', '__x64_sys_getgid'].map(addressOf),
        cookies: [COOKIE, 1],
      };
      expect(await runs(object, target, getuid)).toBeGreaterThanOrEqual(10n);
      expect(slot(object, 1)).toBe(COOKIE);
    });
    const noSession =
      lacks(features.attachType('trace_kprobe_session')) ?? unbuilt('FPROBE');
    testUnless(noSession, 'kprobe.session: entry and return', async () => {
      const object = loadC(
        counting('kprobe.session/vfs_open', {
          body: `if (bpf_get_current_pid_tgid() >> 32 == ${process.pid}) count(1);`,
        }),
      );
      expect(await runs(object, undefined, openFile)).toBeGreaterThan(1n);
      expect(slot(object, 1)).toBe(2n);
    });

    testUnless(
      noKprobes ? undefined : 'this kernel has kprobes',
      'a kernel without them is told',
      () => {
        const program = programOf(loadC(counting('kprobe/__x64_sys_getuid')));
        expect(errorOf(() => program.attach())).toMatchObject({
          code: 'ENOENT',
          operation: 'attach kprobe',
          message: expect.stringContaining('this kernel has no kprobes'),
        });
      },
    );
  });

  describe('user probes', () => {
    test('uprobe of a library, found by its name', async () => {
      const object = loadC(counting(`uprobe/${LIBC}:getuid`));
      const count = await runs(object, undefined, getuid, (link) =>
        seePerfLink(link, {
          eventType: 1,
          name: expect.stringContaining(LIBC),
        }),
      );
      expect(count).toBeGreaterThanOrEqual(10n);
    });

    test('uprobe of this process', async () => {
      const object = loadC(counting('uprobe'));
      const target: AttachTarget = {
        kind: 'uprobe',
        path: LIBC,
        name: 'getuid',
        pid: process.pid,
      };
      expect(await runs(object, target, getuid)).toBe(10n);
    });

    testUnless(noCookies, 'uprobe with cookie', async () => {
      const object = loadC(counting('uprobe', cookie));
      const target: AttachTarget = {
        kind: 'uprobe',
        path: LIBC,
        name: 'getuid',
        pid: process.pid,
        cookie: COOKIE,
      };
      expect(await runs(object, target, getuid)).toBe(10n);
      expect(slot(object, 1)).toBe(COOKIE);
    });

    testUnless(noTarget, 'uretprobe, with what was returned', async () => {
      const object = loadC(
        counting(`uretprobe/${target}:probed_two`, {
          ctx: 'struct pt_regs *ctx',
          body: 'put(2, PT_REGS_RC(ctx));',
        }),
      );
      expect(await runs(object, undefined, runTarget)).toBe(2n);
      expect(slot(object, 2)).toBe(5n);
    });

    const sleepable = before('6.0', 'uprobe.s', () => {
      const object = load(compileC(counting('uprobe.s')));
      const at: AttachTarget = { kind: 'uprobe', path: LIBC, name: 'getuid' };
      try {
        programOf(object).attach(at).close();
      } finally {
        object.close();
      }
      return object;
    });
    testUnless(noTarget ?? sleepable, 'uprobe.s, by an offset', async () => {
      const object = loadC(counting('uprobe.s'));
      const symbols = spawnSync('nm', [target ?? ''], {
        encoding: 'utf8',
      }).stdout;
      const address = /^([0-9a-f]+) T probed_one$/m.exec(symbols)?.[1] ?? '';
      // A position-independent executable's text is at its offset.
      const offset = BigInt(`0x${address}`);
      const at: AttachTarget = { kind: 'uprobe', path: target ?? '', offset };
      expect(await runs(object, at, runTarget)).toBe(1n);
    });

    const noMulti =
      noTarget ?? lacks(features.attachType('trace_uprobe_multi'));
    testUnless(noMulti, 'uprobe.multi, by pattern', async () => {
      const object = loadC(counting(`uprobe.multi/${target}:probed_*`));
      const count = await runs(object, undefined, runTarget, (link) =>
        expect(link.info()).toMatchObject({
          typeName: 'uprobe_multi',
          // Kernels tell this from 6.8 on.
          ...(!olderThan('6.8') && {
            path: target,
            offsets: [expect.any(BigInt), expect.any(BigInt)],
            cookies: [0n, 0n],
            flags: 0,
          }),
        }),
      );
      expect(count).toBe(3n);
    });

    testUnless(noMulti, 'uretprobe_multi, by names with cookies', async () => {
      const object = loadC(
        counting('uretprobe.multi', {
          body: 'put(1 + (bpf_get_attach_cookie(ctx) & 1), bpf_get_attach_cookie(ctx));',
        }),
      );
      const at: AttachTarget = {
        kind: 'uretprobe_multi',
        path: target ?? '',
        names: ['probed_one', 'probed_two'],
        cookies: [1000, COOKIE | 1n],
      };
      expect(await runs(object, at, runTarget)).toBe(3n);
      expect(slot(object, 1)).toBe(1000n);
      expect(slot(object, 2)).toBe(COOKIE | 1n);
    });

    const noSession =
      noTarget ?? lacks(features.attachType('trace_uprobe_session'));
    testUnless(noSession, 'uprobe.session: entry and return', async () => {
      const object = loadC(counting(`uprobe.session/${target}:probed_one`));
      expect(await runs(object, undefined, runTarget)).toBe(2n);
    });

    testUnless(noTarget, 'USDT, with its argument', async () => {
      // Without cookies, code that moves has probes of single processes only.
      const target = buildTarget(
        folder.path,
        ...(noCookies ? ['-no-pie'] : []),
      );
      const runTarget = (): void => {
        expect(spawnSync(target ?? '', []).status).toBe(0);
      };
      const object = loadC(
        counting(`usdt/${target}:test:fire`, {
          head: '#include <bpf/usdt.bpf.h>',
          ctx: 'struct pt_regs *ctx',
          body: 'long value = 0; bpf_usdt_arg(ctx, 0, &value); put(1, value); put(2, bpf_usdt_cookie(ctx));',
        }),
      );
      expect(await runs(object, undefined, runTarget)).toBe(3n);
      expect(slot(object, 1)).toBe(42n);
      // Its cookie is libbpf's own, which older kernels have, too.
      const at: AttachTarget = {
        kind: 'usdt',
        path: target ?? '',
        provider: 'test',
        name: 'fire',
        cookie: COOKIE,
      };
      expect(await runs(object, at, runTarget)).toBe(6n);
      expect(slot(object, 2)).toBe(COOKIE);
    });

    test('what is wrong is said', () => {
      const program = programOf(loadC(counting('uprobe')));
      const attach = (path: string, name: string, pid?: number): KernelError =>
        errorOf(() =>
          program.attach({ kind: 'uprobe', path, name, ...(pid && { pid }) }),
        );
      expect(attach('libnothing.so.7', 'f').message).toContain(
        "there is no 'libnothing.so.7' in the library folders",
      );
      expect(attach(LIBC, 'no_such_function').message).toContain(
        "has no function 'no_such_function' in its symbol tables",
      );
      expect(attach('/etc/passwd', 'f')).toMatchObject({ code: 'ENOEXEC' });
      expect(attach(LIBC, 'getuid', 2 ** 22 + 1)).toMatchObject({
        code: 'ESRCH',
        message: expect.stringContaining('there is no process'),
      });
      const multi = programOf(loadC(counting('uprobe.multi')));
      expect(() =>
        multi.attach({
          kind: 'uprobe_multi',
          path: LIBC,
          names: ['getuid'],
          cookies: [1, 2],
        }),
      ).toThrow('must have one length');
    });
  });
});
