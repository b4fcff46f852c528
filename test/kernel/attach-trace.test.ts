/**
 * Programs that run when code does: every kind of target is loaded, attached, triggered and read
 * back, with cookies and options, by section name and explicitly.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterAll, describe, expect, test } from '@jest/globals';
import {
  features,
  KernelError,
  KernelProgram,
  load,
  type AttachTarget,
  type KernelObject,
  type Link,
} from 'bpf';
import { describeUnless, testUnless } from '../support';
import {
  before,
  buildTarget,
  closeLoaded,
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
  refused,
  runs,
  sectionBefore,
  slot,
  temporary,
  unbuilt,
  enterCgroup,
  cgroupRoot,
} from './hooks';
import { noKernel } from './support';

const LIBC = 'libc.so.6';
const getuid = (): void => {
  for (let i = 0; i < 10; i++) process.getuid?.();
};

const openFile = (): unknown => readFileSync('/proc/self/comm');

function errorOf(run: () => unknown): KernelError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(KernelError);
    return error as KernelError;
  }
  throw new Error('it did not fail');
}

/** What a link of a perf event says of itself: links are from 5.15, what they are of from 6.6 on. */
function seePerfLink(link: Link, expected: object): void {
  if (link.fd < 0)
    expect([olderThan('5.15'), errorOf(() => link.info()).code]).toEqual([
      true,
      'EOPNOTSUPP',
    ]);
  else
    expect(link.info()).toMatchObject({
      typeName: 'perf_event',
      ...(!olderThan('6.6') && expected),
    });
}

describeUnless(noKernel, 'attach, tracing', () => {
  const folder = temporary();
  const target = buildTarget(folder.path);
  const noTarget = target ? undefined : 'there is no C compiler for its target';
  const runTarget = (): void => {
    expect(spawnSync(target ?? '', []).status).toBe(0);
  };
  leaveNothing();
  afterAll(() => folder.remove());

  describe('tracepoints', () => {
    test('tracepoint', async () => {
      const object = loadC(counting('tp/syscalls/sys_enter_getuid'));
      const count = await runs(object, undefined, getuid, (link) =>
        seePerfLink(link, { eventType: 5 }),
      );
      expect(count).toBeGreaterThanOrEqual(10n);
    });

    testUnless(noCookies, 'tracepoint with cookie', async () => {
      const object = loadC(counting('tracepoint', cookie));
      const target: AttachTarget = {
        kind: 'tracepoint',
        category: 'sched',
        name: 'sched_process_fork',
        cookie: COOKIE,
      };
      const trigger = (): unknown => spawnSync('true');
      expect(await runs(object, target, trigger)).toBeGreaterThan(0n);
      expect(slot(object, 1)).toBe(COOKIE);
    });

    test('raw_tp', async () => {
      const object = loadC(counting('raw_tp/sys_enter'));
      const count = await runs(object, undefined, getuid, (link) =>
        expect(link.info()).toMatchObject({
          typeName: 'raw_tracepoint',
          name: 'sys_enter',
        }),
      );
      expect(count).toBeGreaterThanOrEqual(10n);
    });

    const noRawCookies = sectionBefore(
      '6.10',
      'raw_tp',
      cookie,
      'a cookie of raw_tp',
    );
    testUnless(noRawCookies, 'raw_tp with cookie', async () => {
      const object = loadC(counting('raw_tp', cookie));
      const target: AttachTarget = {
        kind: 'raw_tracepoint',
        name: 'sys_enter',
        cookie: COOKIE,
      };
      const count = await runs(object, target, getuid, (link) =>
        expect(link.info()).toMatchObject({
          typeName: 'raw_tracepoint',
          name: 'sys_enter',
          // It is told from 6.17 on, and 6.12 has the place for it.
          cookie: olderThan('6.17') ? 0n : COOKIE,
        }),
      );
      expect(count).toBeGreaterThanOrEqual(10n);
      expect(slot(object, 1)).toBe(COOKIE);
    });

    test('raw_tp.w', async () => {
      const object = loadC(counting('raw_tp.w/sys_enter'));
      expect(await runs(object, undefined, getuid)).toBeGreaterThanOrEqual(10n);
    });

    test('tp_btf', async () => {
      const object = loadC(counting('tp_btf/sys_enter'));
      const count = await runs(object, undefined, getuid, (link) =>
        expect(link.info()).toMatchObject({
          typeName: 'raw_tracepoint',
        }),
      );
      expect(count).toBeGreaterThanOrEqual(10n);
    });

    const noBtfCookies = sectionBefore(
      '6.10',
      'tp_btf/sys_enter',
      cookie,
      'a cookie of tp_btf',
    );
    testUnless(noBtfCookies, 'tp_btf with cookie', async () => {
      const object = loadC(counting('tp_btf/sys_enter', cookie));
      const target: AttachTarget = { kind: 'tracing', cookie: COOKIE };
      expect(await runs(object, target, getuid)).toBeGreaterThanOrEqual(10n);
      expect(slot(object, 1)).toBe(COOKIE);
      expect(await runs(object, undefined, getuid)).toBeGreaterThan(10n);
    });

    test('what is wrong is said', () => {
      const object = loadC(counting('tp/syscalls/sys_enter_nothing'));
      expect(errorOf(() => programOf(object).attach())).toMatchObject({
        code: 'ENOENT',
        message: expect.stringContaining(
          "no tracepoint 'syscalls/sys_enter_nothing'",
        ),
      });
      const bare = programOf(loadC(counting('tp')));
      expect(errorOf(() => bare.attach())).toMatchObject({
        code: 'EOPNOTSUPP',
        message: expect.stringContaining("section 'tp' does not say where"),
      });
      expect(() => bare.attach({ kind: 'moon' } as never)).toThrow(
        /not 'moon'/,
      );
      expect(() => bare.attach({} as never)).toThrow('kind must be a string');
    });
  });

  describe('hooks of BTF', () => {
    for (const [section, version] of [
      ['fentry/vfs_open', '5.5'],
      ['fexit/vfs_open', '5.5'],
      ['fmod_ret/security_file_open', '5.7'],
      ['lsm/file_open', '5.7'],
      ['lsm.s/file_open', '5.11'],
    ] as const) {
      const reason = refused(section) ?? sectionBefore(version, section);
      testUnless(reason, section, async () => {
        const object = loadC(counting(section));
        const count = await runs(object, undefined, openFile, (link) =>
          expect(link.info()).toMatchObject({
            typeName: 'tracing',
          }),
        );
        expect(count).toBeGreaterThan(0n);
      });
    }

    const tracingCookies =
      refused('fentry/vfs_open') ??
      sectionBefore(
        '5.19',
        'fentry/vfs_open',
        cookie,
        'a cookie of fentry and fexit',
      );
    for (const section of ['fentry/vfs_open', 'fexit/vfs_open'])
      testUnless(tracingCookies, `${section} with cookie`, async () => {
        const object = loadC(counting(section, cookie));
        const target: AttachTarget = { kind: 'tracing', cookie: COOKIE };
        expect(await runs(object, target, openFile)).toBeGreaterThan(0n);
        expect(slot(object, 1)).toBe(COOKIE);
      });

    /** A function of the kernel's own that a program's test run calls. */
    const tested: [string, string, string][] = [
      ['fentry.s/bpf_fentry_test1', 'fentry.s/bpf_fentry_test1', '6.3'],
      ['fexit.s/bpf_fentry_test1', 'fentry.s/bpf_fentry_test1', '6.3'],
      ['fmod_ret.s/bpf_fentry_test1', 'fentry.s/bpf_fentry_test1', '6.3'],
    ];
    for (const [section, trigger, version] of tested) {
      const reason = refused(section) ?? sectionBefore(version, section);
      testUnless(reason, section, async () => {
        const caller = programOf(loadC(counting(trigger)));
        const object = loadC(counting(section));
        const call = (): unknown => caller.run({});
        expect(await runs(object, undefined, call)).toBe(1n);
      });
    }

    const noTracing = refused('fexit/bpf_fentry_test2');
    testUnless(noTracing, 'fexit: arguments and what was returned', () => {
      // int bpf_fentry_test2(int a, u64 b), which a test run calls with 2 and 3.
      const object = loadC(
        counting('fexit/bpf_fentry_test2', {
          ctx: 'u64 *ctx',
          body: 'put(1, (int)ctx[0]); put(2, ctx[1]); put(3, (int)ctx[2]);',
        }),
      );
      const link = programOf(object).attach();
      programOf(object).run({});
      expect([1, 2, 3].map((i) => slot(object, i))).toEqual([2n, 3n, 5n]);
      link.close();
    });

    testUnless(
      refused('fmod_ret/security_file_open'),
      'fmod_ret and lsm decide',
      () => {
        for (const section of [
          'fmod_ret/security_file_open',
          'lsm/file_open',
        ]) {
          const object = loadC(
            counting(section, {
              body: `if (bpf_get_current_pid_tgid() >> 32 == ${process.pid}) return -13;`,
            }),
          );
          expect(openFile()).toBeDefined();
          const link = programOf(object).attach();
          let code;
          try {
            openFile();
          } catch (error) {
            ({ code } = error as NodeJS.ErrnoException);
          }
          link.close();
          expect([section, code]).toEqual([section, 'EACCES']);
          expect(openFile()).toBeDefined();
        }
      },
    );

    testUnless(
      refused('lsm_cgroup/socket_bind', { result: '1' }) ??
        sectionBefore('6.0', 'lsm_cgroup/socket_bind', { result: '1' }),
      'lsm_cgroup',
      async () => {
        const object = loadC(
          counting('lsm_cgroup/socket_bind', { result: '1' }),
        );
        const group = enterCgroup();
        try {
          const bind = (): Promise<void> =>
            new Promise((resolve) => {
              const server = createServer().listen(0, () =>
                server.close(() => resolve()),
              );
            });
          const target: AttachTarget = { kind: 'cgroup', path: group.path };
          expect(await runs(object, target, bind)).toBeGreaterThan(0n);
        } finally {
          group.leave();
        }
      },
    );

    const replaced = `
__noinline int replaceable(int x) { asm volatile("" : "+r"(x)); return x + 1; }
`;
    const host = counting('xdp', {
      head: replaced,
      body: 'put(2, replaceable(1));',
    });
    const freplace = (): string | undefined => {
      if (noKernel !== undefined) return noKernel;
      const object = loadC(host);
      const reason = refused(
        'freplace/replaceable',
        { ctx: 'int x', result: '41' },
        {
          programs: {
            prog: {
              target: { program: programOf(object), name: 'replaceable' },
            },
          },
        },
      );
      closeLoaded();
      return reason;
    };
    testUnless(freplace(), 'freplace', () => {
      const object = loadC(host);
      const target = { program: programOf(object), name: 'replaceable' };
      const other = loadC(
        counting('freplace/replaceable', { ctx: 'int x', result: '41' }),
        { programs: { prog: { target } } },
      );
      const run = (): bigint => {
        programOf(object).run({ data: new Uint8Array(64) });
        return slot(object, 2);
      };
      const link = programOf(other).attach();
      expect(run()).toBe(41n);
      link.close();
      expect(run()).toBe(2n);
    });
  });

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

  describe('perf events', () => {
    const busy = async (): Promise<void> => {
      for (const end = Date.now() + 100; Date.now() < end;);
    };

    test('a software clock on all CPUs', async () => {
      const object = loadC(counting('perf_event'));
      const target: AttachTarget = {
        kind: 'perf_event',
        event: 'cpu-clock',
        frequency: 1000,
      };
      const count = await runs(object, target, busy, (link) =>
        seePerfLink(link, {
          eventType: 6,
          // The clocks have PMUs of their own since 6.6.
          perfType: expect.any(Number),
          config: 0n,
        }),
      );
      expect(count).toBeGreaterThan(3n);
    });

    testUnless(noCookies, 'a software clock with cookie', async () => {
      const object = loadC(counting('perf_event', cookie));
      const target: AttachTarget = {
        kind: 'perf_event',
        event: 'cpu-clock',
        frequency: 1000,
        cookie: COOKIE,
      };
      expect(await runs(object, target, busy)).toBeGreaterThan(3n);
      expect(slot(object, 1)).toBe(COOKIE);
    });

    test('of one process, by a period', async () => {
      const object = loadC(counting('perf_event'));
      const target: AttachTarget = {
        kind: 'perf_event',
        event: 'task-clock',
        period: 1_000_000,
        pid: process.pid,
      };
      expect(await runs(object, target, busy)).toBeGreaterThan(3n);
    });

    test('hardware counters, or that there are none', async () => {
      const object = loadC(counting('perf_event'));
      const target: AttachTarget = {
        kind: 'perf_event',
        event: 'cycles',
        period: 1_000_000,
      };
      const outcome = await runs(object, target, busy).catch(
        (error: unknown) => error,
      );
      if (typeof outcome === 'bigint') expect(outcome).toBeGreaterThan(0n);
      else
        expect(outcome).toMatchObject({
          code: 'ENOENT',
          message: expect.stringContaining(
            'no perf event of type 0 and config 0',
          ),
        });
    });

    test('an event without a rhythm is refused', () => {
      const program = programOf(loadC(counting('perf_event')));
      expect(() =>
        program.attach({ kind: 'perf_event', event: 'sunshine' as never }),
      ).toThrow(/event is one of cpu-clock, task-clock/);
    });
  });

  describe('iterators', () => {
    const tasks = counting('iter/task', {
      ctx: 'struct bpf_iter__task *ctx',
      body: `struct task_struct *task = ctx->task;
    if (!task)
        return 0;
    int pid = task->tgid;
    bpf_seq_write(ctx->meta->seq, &pid, sizeof(pid));`,
    });
    const pids = (bytes: Uint8Array): number[] => [
      ...new Int32Array(bytes.slice().buffer),
    ];

    test('iter/task, read at once and as a stream', async () => {
      const link = programOf(loadC(tasks)).attach();
      expect(link.info()).toMatchObject({ typeName: 'iter', name: 'task' });
      const all = pids(link.read());
      expect(all.length).toBeGreaterThan(5);
      expect(all.filter((pid) => pid === process.pid).length).toBeGreaterThan(
        1,
      );
      const chunks: Buffer[] = [];
      for await (const chunk of link.stream()) chunks.push(chunk as Buffer);
      expect(pids(Buffer.concat(chunks))).toContain(process.pid);
      link.close();
      expect(() => link.read()).toThrow(/closed/);
    });

    const byPid = before('6.1', 'an iterator over one process', () => {
      const object = load(compileC(tasks));
      try {
        programOf(object).attach({ kind: 'iter', pid: process.pid }).close();
      } finally {
        object.close();
      }
      return object;
    });
    testUnless(byPid, 'only the tasks of one process', () => {
      const link = programOf(loadC(tasks)).attach({
        kind: 'iter',
        pid: process.pid,
      });
      expect(link.info()).toMatchObject({ pid: process.pid, tid: 0 });
      expect(new Set(pids(link.read()))).toEqual(new Set([process.pid]));
    });

    const noSleeping = sectionBefore('5.18', 'iter.s/task');
    testUnless(noSleeping, 'iter.s/task', () => {
      const object = loadC(tasks.replace('iter/task', 'iter.s/task'));
      expect(pids(programOf(object).attach().read())).toContain(process.pid);
    });

    test('iter/bpf_map_elem', () => {
      const object = loadC(
        counting('iter/bpf_map_elem', {
          ctx: 'struct bpf_iter__bpf_map_elem *ctx',
          body: `u32 *key = ctx->key;
    if (key)
        bpf_seq_write(ctx->meta->seq, key, 4);`,
        }),
      );
      const map = object.maps['slots'];
      if (!map) throw new Error('no map');
      const link = programOf(object).attach({ kind: 'iter', map });
      expect(link.info()).toMatchObject({
        name: 'bpf_map_elem',
        mapId: map.info.id,
      });
      expect(pids(link.read())).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(errorOf(() => programOf(object).attach()).code).toBe('EBADF');
    });

    testUnless(
      cgroupRoot()
        ? sectionBefore('6.1', 'iter/cgroup')
        : 'there is no cgroup2',
      'iter/cgroup',
      () => {
        const object = loadC(
          counting('iter/cgroup', {
            ctx: 'struct bpf_iter__cgroup *ctx',
            body: `struct cgroup *group = ctx->cgroup;
    if (!group)
        return 0;
    int level = group->level;
    bpf_seq_write(ctx->meta->seq, &level, sizeof(level));`,
          }),
        );
        const link = programOf(object).attach({
          kind: 'iter',
          cgroup: cgroupRoot() ?? '',
        });
        expect(link.info()).toMatchObject({ name: 'cgroup', order: 1 });
        expect(pids(link.read())).toEqual([0]);
      },
    );

    test('another link iterates nothing', () => {
      const link = programOf(loadC(counting('tp_btf/sys_enter'))).attach();
      expect(errorOf(() => link.read()).message).toContain(
        'it is no link of an iterator',
      );
    });
  });

  const noPython = spawnSync('python3', ['-V']).error
    ? 'there is no python3 for setsockopt(TCP_CONGESTION)'
    : undefined;
  const congestion = (section: string): string => `
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 8);
    __type(key, u32);
    __type(value, u64);
} slots SEC(".maps");
SEC("struct_ops")
void BPF_PROG(start, struct sock *sk) {
    u32 key = 0;
    u64 *value = bpf_map_lookup_elem(&slots, &key);
    if (value)
        __sync_fetch_and_add(value, 1);
}
SEC("struct_ops")
u32 BPF_PROG(ssthresh, struct sock *sk) { return 10; }
SEC("struct_ops")
void BPF_PROG(avoid, struct sock *sk, u32 ack, u32 acked) {}
SEC("struct_ops")
u32 BPF_PROG(undo, struct sock *sk) { return 10; }
SEC("${section}")
struct tcp_congestion_ops steady = {
    .init = (void *)start,
    .ssthresh = (void *)ssthresh,
    .cong_avoid = (void *)avoid,
    .undo_cwnd = (void *)undo,
    .name = "bpf_steady",
};
char LICENSE[] SEC("license") = "GPL";
`;
  const useIt = (object: KernelObject): void => {
    const link = object.attachStructOps('steady');
    const known = (): string =>
      readFileSync(
        '/proc/sys/net/ipv4/tcp_available_congestion_control',
        'utf8',
      );
    expect(known()).toContain('bpf_steady');
    const script = `import socket
server = socket.socket()
server.bind(('127.0.0.1', 0))
server.listen()
client = socket.socket()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b'bpf_steady')
client.connect(server.getsockname())
`;
    expect(spawnSync('python3', ['-c', script]).status).toBe(0);
    expect(slot(object)).toBeGreaterThan(0n);
    link.close();
    object.close();
    expect(known()).not.toContain('bpf_steady');
  };
  testUnless(noPython, 'struct_ops: a congestion control of TCP', () => {
    useIt(loadC(congestion('.struct_ops')));
  });
  const noLink = noKernel ?? lacks(features.attachType('struct_ops'));
  testUnless(noPython ?? noLink, 'struct_ops, by a link', () => {
    const object = loadC(congestion('.struct_ops.link'));
    const [link] = object.attach();
    expect(link?.info()).toMatchObject({ typeName: 'struct_ops' });
    link?.close();
    closeLoaded();
    useIt(loadC(congestion('.struct_ops.link')));
  });

  const noScheduler = unbuilt('SCHED_CLASS_EXT');
  testUnless(noScheduler, 'struct_ops: a scheduler (sched_ext)', async () => {
    // It keeps to the default queues and counts the tasks that it puts there.
    const object = loadC(`
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 8);
    __type(key, u32);
    __type(value, u64);
} slots SEC(".maps");
SEC("struct_ops")
void BPF_PROG(woken, struct task_struct *task, u64 flags) {
    u32 key = 0;
    u64 *value = bpf_map_lookup_elem(&slots, &key);
    if (value)
        __sync_fetch_and_add(value, 1);
}
SEC(".struct_ops.link")
struct sched_ext_ops quiet = {.runnable = (void *)woken, .name = "bpf_quiet"};
char LICENSE[] SEC("license") = "GPL";
`);
    const state = (): string =>
      readFileSync('/sys/kernel/sched_ext/state', 'utf8').trim();
    const [link] = object.attach();
    expect(link?.info()).toMatchObject({ typeName: 'struct_ops' });
    expect(state()).toBe('enabled');
    spawnSync('true');
    expect(slot(object)).toBeGreaterThan(0n);
    link?.close();
    object.close();
    for (let i = 0; i < 100 && state() !== 'disabled'; i++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(state()).toBe('disabled');
  });

  test('a program that was opened by its id attaches as any', async () => {
    const object = loadC(counting('raw_tp'));
    using program = KernelProgram.fromId(programOf(object).info.id);
    const link = program.attach({ kind: 'raw_tracepoint', name: 'sys_enter' });
    getuid();
    expect(slot(object)).toBeGreaterThanOrEqual(10n);
    link.close();
  });
});
