/**
 * Programs that run at events of the kernel and at its BTF's functions, and those that iterate: each
 * kind of target is loaded, attached, triggered and read back, with cookies and options, by section
 * name and explicitly.
 */
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { KernelProgram, load, type AttachTarget } from 'bpf';
import { describeUnless, testUnless } from '../support';
import {
  before,
  closeLoaded,
  compileC,
  leaveNothing,
  COOKIE,
  cookie,
  counting,
  loadC,
  noCookies,
  olderThan,
  programOf,
  refused,
  runs,
  sectionBefore,
  slot,
  enterCgroup,
  cgroupRoot,
  getuid,
  openFile,
  seePerfLink,
} from './hooks';
import { errorOf, noKernel } from './support';

describeUnless(noKernel, 'attach, tracing', () => {
  leaveNothing();

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

  test('a program that was opened by its id attaches as any', async () => {
    const object = loadC(counting('raw_tp'));
    using program = KernelProgram.fromId(programOf(object).info.id);
    const link = program.attach({ kind: 'raw_tracepoint', name: 'sys_enter' });
    getuid();
    expect(slot(object)).toBeGreaterThanOrEqual(10n);
    link.close();
  });
});
