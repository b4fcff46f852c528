/**
 * Programs that run when code does: every kind of target is loaded, attached, triggered and read
 * back, with cookies and options, by section name and explicitly.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterAll, describe, expect, test } from '@jest/globals';
import {
  KernelError,
  KernelProgram,
  type AttachTarget,
  type LinkInfo,
} from 'bpf';
import { describeUnless, testUnless } from '../support';
import {
  buildTarget,
  closeLoaded,
  leaveNothing,
  COOKIE,
  cookie,
  counting,
  loadC,
  programOf,
  refused,
  runs,
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
      const look = (info: LinkInfo): void =>
        expect(info).toMatchObject({ typeName: 'perf_event', eventType: 5 });
      expect(
        await runs(object, undefined, getuid, (link) => look(link.info())),
      ).toBeGreaterThanOrEqual(10n);
    });

    test('tracepoint with cookie, by an explicit target', async () => {
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

    test('raw_tp with cookie', async () => {
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
          cookie: COOKIE,
        }),
      );
      expect(count).toBeGreaterThanOrEqual(10n);
      expect(slot(object, 1)).toBe(COOKIE);
    });

    test('raw_tp.w', async () => {
      const object = loadC(counting('raw_tp.w/sys_enter'));
      expect(await runs(object, undefined, getuid)).toBeGreaterThanOrEqual(10n);
    });

    test('tp_btf, with cookie', async () => {
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
    for (const section of [
      'fentry/vfs_open',
      'fexit/vfs_open',
      'fmod_ret/security_file_open',
      'fentry.s/security_file_open',
      'lsm/file_open',
      'lsm.s/file_open',
    ]) {
      testUnless(refused(section), section, async () => {
        const object = loadC(counting(section));
        expect(await runs(object, undefined, openFile)).toBeGreaterThan(0n);
      });
    }

    testUnless(
      refused('lsm_cgroup/socket_bind', { result: '1' }),
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
        const object = loadC(counting(`${kind}/__x64_sys_getuid`, cookie));
        expect(await runs(object, undefined, getuid)).toBeGreaterThanOrEqual(
          10n,
        );
        const target: AttachTarget = {
          kind,
          name: '__x64_sys_getuid',
          cookie: COOKIE,
        };
        expect(await runs(object, target, getuid)).toBeGreaterThanOrEqual(20n);
        expect(slot(object, 1)).toBe(COOKIE);
      });
    }
    for (const kind of ['ksyscall', 'kretsyscall'] as const) {
      testUnless(noKprobes, kind, async () => {
        const object = loadC(counting(`${kind}/getuid`));
        expect(await runs(object, undefined, getuid)).toBeGreaterThanOrEqual(
          10n,
        );
      });
    }
    const noMulti = unbuilt('FPROBE');
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
    testUnless(noMulti, 'kprobe.session', async () => {
      const object = loadC(counting('kprobe.session/vfs_open'));
      expect(await runs(object, undefined, openFile)).toBeGreaterThan(1n);
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
        expect(link.info()).toMatchObject({
          typeName: 'perf_event',
          eventType: 1,
          name: expect.stringContaining(LIBC),
        }),
      );
      expect(count).toBeGreaterThanOrEqual(10n);
    });

    test('uprobe of this process, with cookie', async () => {
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

    testUnless(noTarget, 'uprobe.s, by an offset', async () => {
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

    testUnless(noTarget, 'uprobe.multi, by pattern', async () => {
      const object = loadC(counting(`uprobe.multi/${target}:probed_*`));
      const count = await runs(object, undefined, runTarget, (link) =>
        expect(link.info()).toMatchObject({
          typeName: 'uprobe_multi',
          path: target,
          offsets: [expect.any(BigInt), expect.any(BigInt)],
          cookies: [0n, 0n],
          flags: 0,
        }),
      );
      expect(count).toBe(3n);
    });

    testUnless(noTarget, 'uretprobe_multi, by names with cookies', async () => {
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

    testUnless(noTarget, 'uprobe.session: entry and return', async () => {
      const object = loadC(counting(`uprobe.session/${target}:probed_one`));
      expect(await runs(object, undefined, runTarget)).toBe(2n);
    });

    testUnless(noTarget, 'USDT, with its argument and cookie', async () => {
      const object = loadC(
        counting(`usdt/${target}:test:fire`, {
          head: '#include <bpf/usdt.bpf.h>',
          ctx: 'struct pt_regs *ctx',
          body: 'long value = 0; bpf_usdt_arg(ctx, 0, &value); put(1, value); put(2, bpf_usdt_cookie(ctx));',
        }),
      );
      expect(await runs(object, undefined, runTarget)).toBe(3n);
      expect(slot(object, 1)).toBe(42n);
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
      const object = loadC(counting('perf_event', cookie));
      const target: AttachTarget = {
        kind: 'perf_event',
        event: 'cpu-clock',
        frequency: 1000,
        cookie: COOKIE,
      };
      const count = await runs(object, target, busy, (link) =>
        expect(link.info()).toMatchObject({
          typeName: 'perf_event',
          eventType: 6,
          // The clocks have PMUs of their own since 6.6.
          perfType: expect.any(Number),
          config: 0n,
        }),
      );
      expect(count).toBeGreaterThan(3n);
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
    if (task)
        bpf_seq_write(ctx->meta->seq, &task->tgid, sizeof(task->tgid));`,
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

    test('only the tasks of one process', () => {
      const link = programOf(loadC(tasks)).attach({
        kind: 'iter',
        pid: process.pid,
      });
      expect(link.info()).toMatchObject({ pid: process.pid, tid: 0 });
      expect(new Set(pids(link.read()))).toEqual(new Set([process.pid]));
    });

    test('iter.s/task', () => {
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
      cgroupRoot() ? undefined : 'there is no cgroup2',
      'iter/cgroup',
      () => {
        const object = loadC(
          counting('iter/cgroup', {
            ctx: 'struct bpf_iter__cgroup *ctx',
            body: `struct cgroup *group = ctx->cgroup;
    if (group)
        bpf_seq_write(ctx->meta->seq, &group->level, 4);`,
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
  testUnless(noPython, 'struct_ops: a congestion control of TCP', () => {
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
SEC(".struct_ops.link")
struct tcp_congestion_ops steady = {
    .init = (void *)start,
    .ssthresh = (void *)ssthresh,
    .cong_avoid = (void *)avoid,
    .undo_cwnd = (void *)undo,
    .name = "bpf_steady",
};
char LICENSE[] SEC("license") = "GPL";
`);
    const [link] = object.attach();
    expect(link?.info()).toMatchObject({ typeName: 'struct_ops' });
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
    link?.close();
    expect(known()).not.toContain('bpf_steady');
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
