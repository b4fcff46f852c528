/**
 * Options of attaching, beside those that attach-trace, attach-probe and attach-net show with their
 * hooks: where to stand, whom to let pass, in place of whom, on which CPU, in which namespace; and
 * every hook of control groups and of iterators that those have no test for.
 */
import { spawnSync, execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { features, load, query, type AttachTarget, type Link } from 'bpf';
import { describeUnless, testUnless } from '../support';
import {
  before,
  buildTarget,
  cgroupRoot,
  closeLoaded,
  compileC,
  counting,
  enterCgroup,
  getuid,
  lacks,
  leaveNothing,
  loadC,
  makeWire,
  noWire,
  olderThan,
  programOf,
  runs,
  sectionBefore,
  slot,
  temporary,
  unbuilt,
  type Wire,
} from './hooks';
import { errorOf, noKernel } from './support';

const TC_PASS = '-1';

describeUnless(noWire(), 'options, interfaces', () => {
  let wire: Wire;
  beforeAll(() => {
    wire = makeWire();
  });
  afterAll(() => wire.remove());
  leaveNothing();
  const receive = (): void => wire.sendHere(45_120);
  const two = (section: string, result: string) =>
    [1, 2].map(() => programOf(loadC(counting(section, { result }))));
  const ran = (program: ReturnType<typeof programOf>): bigint => {
    if (!program.object) throw new Error('no object');
    return slot(program.object);
  };

  test('XDP by netlink, in place of another', () => {
    const [first, second] = two('xdp', '2');
    if (!first || !second) throw new Error('no programs');
    const at = {
      kind: 'xdp',
      interface: wire.near,
      mode: 'generic',
      legacy: true,
    } as const;
    const link = first.attach(at);
    expect(errorOf(() => second.attach(at)).code).toBe('EBUSY');
    const other = second.attach({ ...at, replace: true });
    const replaced = ran(first); // what came by itself in between
    receive();
    expect([ran(first), ran(second) > 0n]).toEqual([replaced, true]);
    link.close(); // which is not there any more, so the other one stays
    const seen = ran(second);
    receive();
    expect(ran(second)).toBeGreaterThan(seen);
    other.close();
    expect(query({ kind: 'xdp', interface: wire.near }).programs).toEqual([]);
  });

  test('tc, in place of another, and only of who is held', () => {
    const [first, second] = two('tc', TC_PASS);
    if (!first || !second) throw new Error('no programs');
    const at = {
      kind: 'tc',
      interface: wire.near,
      direction: 'ingress',
      priority: 7,
      handle: 3,
    } as const;
    const link = first.attach(at);
    expect(errorOf(() => second.attach(at)).code).toBe('EEXIST');
    expect(errorOf(() => link.update(second, { old: second })).code).toBe(
      'EPERM',
    );
    link.update(second, { old: first });
    const other = first.attach({ ...at, replace: true });
    receive();
    expect([ran(first) > 0n, ran(second)]).toEqual([true, 0n]);
    link.close(); // another has its place, which stays
    expect(
      query({ kind: 'tc', interface: wire.near, direction: 'ingress' })
        .programs,
    ).toMatchObject([{ programId: first.info.id, priority: 7, handle: 3 }]);
    other.close();
    expect(query({ kind: 'tc', interface: wire.near }).programs).toEqual([]);
    // Where no numbers are given the kernel chooses, and the link knows.
    const free = first.attach({
      kind: 'tc',
      interface: wire.near,
      direction: 'egress',
    });
    expect(query({ kind: 'tc', interface: wire.near }).programs).toHaveLength(
      1,
    );
    free.close();
    expect(query({ kind: 'tc', interface: wire.near }).programs).toEqual([]);
  });

  const noTcx = lacks(features.attachType('tcx_ingress'));
  testUnless(noTcx, 'tcx: egress, beside programs and links, updates', () => {
    const at = {
      kind: 'tcx',
      interface: wire.near,
      direction: 'egress',
    } as const;
    const [first, second] = two('tcx/egress', TC_PASS);
    const third = programOf(loadC(counting('tcx/egress', { result: TC_PASS })));
    if (!first || !second) throw new Error('no programs');
    const link = first.attach(at);
    const links = [link, second.attach({ ...at, place: { before: first } })];
    const order = (): number[] =>
      query(at).programs.map(({ programId }) => programId);
    expect(order()).toEqual([second.info.id, first.info.id]);
    const { id } = link.info();
    links.push(third.attach({ ...at, place: { after: { linkId: id } } }));
    expect(order()).toEqual([second, first, third].map(({ info }) => info.id));
    const { revision } = query(at);
    const fourth = programOf(
      loadC(counting('tcx/egress', { result: TC_PASS })),
    );
    link.update(fourth, { old: first });
    expect(order()).toEqual([second, fourth, third].map(({ info }) => info.id));
    // What is held changed, and with it the revision that attaching compares.
    expect(query(at).revision).not.toBe(revision);
    link.detach();
    expect(order()).toEqual([second, third].map(({ info }) => info.id));
    for (const one of links) one.close();
    expect(order()).toEqual([]);
  });

  const noNetfilter =
    lacks(features.attachType('netfilter')) ?? unbuilt('NETFILTER_BPF_LINK');
  for (const [hook, number] of [
    ['prerouting', 0],
    ['input', 1],
    ['forward', 2],
    ['output', 3],
    ['postrouting', 4],
  ] as const)
    testUnless(noNetfilter, `netfilter: ${hook} of IPv6 and IPv4`, () => {
      const program = programOf(loadC(counting('netfilter', { result: '1' })));
      for (const [family, number6] of [
        ['ipv4', 2],
        ['ipv6', 10],
      ] as const) {
        const link = program.attach({
          kind: 'netfilter',
          family,
          hook,
          priority: -129,
        });
        expect(link.info()).toMatchObject({ family: number6, hook: number });
        link.close();
      }
    });

  const noDefrag =
    noNetfilter ??
    unbuilt('NF_DEFRAG_IPV4') ??
    before('6.6', 'fragments put together', () => {
      const object = load(compileC(counting('netfilter', { result: '1' })));
      try {
        return programOf(object).attach({
          kind: 'netfilter',
          family: 'ipv4',
          hook: 'input',
          priority: -127,
          defrag: true,
        });
      } finally {
        object.close();
      }
    });
  testUnless(
    noDefrag,
    'netfilter: fragments are put together first',
    async () => {
      const object = loadC(
        counting('netfilter', {
          result: '1',
          ctx: 'struct bpf_nf_ctx *ctx',
          body: 'if (ctx->skb->len > 4000) count(1);',
        }),
      );
      const target: AttachTarget = {
        kind: 'netfilter',
        family: 'ipv4',
        hook: 'input',
        priority: -127,
        defrag: true,
      };
      const script = `const s = require('dgram').createSocket('udp4');
      s.send(Buffer.alloc(5000), 45121, '${wire.nearAddress}', () => s.close());`;
      const send = (): unknown =>
        execFileSync('ip', [
          ...['netns', 'exec', wire.namespace],
          ...[process.execPath, '-e', script],
        ]);
      const look = (link: Link): void =>
        expect(link.info()).toMatchObject({ flags: 1 });
      expect(await runs(object, target, send, look)).toBeGreaterThan(0n);
      expect(slot(object, 1)).toBeGreaterThan(0n);
    },
  );

  test('another network namespace, by its path', () => {
    const object = loadC(counting('sk_lookup', { result: '1' }));
    const path = `/run/netns/${wire.namespace}`;
    const there = () => query({ kind: 'netns', path, attachType: 36 }).programs;
    const link = programOf(object).attach({ kind: 'netns', path });
    const here = programOf(object).attach({ kind: 'netns' });
    const inode = (one: Link): unknown =>
      (one.info() as { netnsInode: number }).netnsInode;
    expect(inode(link)).not.toBe(inode(here));
    expect(there()).toMatchObject([{ programId: programOf(object).info.id }]);
    here.close();
    link.detach();
    expect(there()).toEqual([]);
    link.close();
  });

  for (const section of ['lwt_in', 'lwt_out', 'lwt_xmit'] as const)
    test(`${section}, by a pin and ip route`, () => {
      const object = loadC(counting(section, { result: '0' }));
      const path = `/sys/fs/bpf/${section}_${process.pid}`;
      programOf(object).pin(path);
      try {
        const way = section.slice(4);
        const { stderr } = spawnSync(
          'ip',
          [
            ...['route', 'add', '10.198.8.0/24', 'encap', 'bpf', way, 'pinned'],
            ...[path, 'via', wire.farAddress, 'dev', wire.near],
          ],
          { encoding: 'utf8' },
        );
        expect(stderr).toBe('');
        const script = `const s = require('dgram').createSocket('udp4');
          s.send('x', 45122, '10.198.8.1', () => s.close());`;
        execFileSync(process.execPath, ['-e', script]);
        // What comes in by the route is not triggered by what goes out.
        expect(slot(object) > 0n).toBe(section !== 'lwt_in');
        execFileSync('ip', ['route', 'del', '10.198.8.0/24']);
      } finally {
        spawnSync('rm', [path]);
      }
    });
});

const noCgroup =
  noKernel ?? (cgroupRoot() ? undefined : 'cgroup2 is not mounted');

describeUnless(noCgroup, 'options, control groups', () => {
  let group: ReturnType<typeof enterCgroup>;
  let folder: ReturnType<typeof temporary>;
  leaveNothing();
  beforeAll(() => {
    folder = temporary();
    group = enterCgroup();
  });
  afterAll(() => {
    group.leave();
    folder.remove();
  });
  const pass = { result: '1' };

  const udp6 = async (connected = false): Promise<void> => {
    const receiver = createSocket('udp6');
    receiver.bind(0, '::1');
    await once(receiver, 'listening');
    const { port } = receiver.address();
    const sender = createSocket('udp6');
    if (connected) {
      sender.connect(port, '::1');
      await once(sender, 'connect');
      sender.remoteAddress();
      sender.address();
      sender.send('hello');
    } else sender.send('hello', port, '::1');
    await once(receiver, 'message');
    sender.close();
    receiver.close();
  };
  /** With what Node cannot do: datagrams of a path. */
  const unix = (): void => {
    const script = `import socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1] + '/datagrams')
client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
client.bind(sys.argv[1] + '/client')
client.sendto(b'hello', sys.argv[1] + '/datagrams')
server.recvfrom(10)
client.connect(sys.argv[1] + '/datagrams')
client.getpeername(); client.getsockname()
`;
    const { stderr } = spawnSync('python3', ['-c', script, folder.path], {
      encoding: 'utf8',
    });
    spawnSync('rm', [
      join(folder.path, 'datagrams'),
      join(folder.path, 'client'),
    ]);
    expect(stderr).toBe('');
  };
  const noUnix =
    lacks(features.attachType('cgroup_unix_connect')) ??
    (spawnSync('python3', ['-V']).error ? 'there is no python3' : undefined);
  const hooks: [string, number, () => unknown, string?][] = [
    ['cgroup/bind6', 9, () => udp6()],
    ['cgroup/connect6', 11, () => udp6(true)],
    ['cgroup/post_bind6', 13, () => udp6()],
    ['cgroup/sendmsg6', 15, () => udp6()],
    ['cgroup/recvmsg6', 20, () => udp6()],
    ['cgroup/getpeername6', 30, () => udp6(true)],
    ['cgroup/getsockname6', 32, () => udp6(true)],
    ['cgroup/sendmsg_unix', 50, unix, noUnix],
    ['cgroup/recvmsg_unix', 51, unix, noUnix],
    ['cgroup/getpeername_unix', 52, unix, noUnix],
    ['cgroup/getsockname_unix', 53, unix, noUnix],
  ];
  for (const [section, attachType, trigger, missing] of hooks)
    testUnless(missing, section, async () => {
      const object = loadC(counting(section, pass));
      const target: AttachTarget = { kind: 'cgroup', path: group.path };
      const look = (link: Link): void =>
        expect(link.info()).toMatchObject({ typeName: 'cgroup', attachType });
      expect(await runs(object, target, trigger, look)).toBeGreaterThan(0n);
    });

  const bind = async (): Promise<void> => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    socket.close();
  };
  const section = 'cgroup/bind4';
  const attach = (
    mode: 'link' | 'multi' | 'override' | 'exclusive',
    path: string,
  ) => {
    const object = loadC(counting(section, pass));
    const link = programOf(object).attach({ kind: 'cgroup', path, mode });
    return { object, link };
  };

  test('multi: all run, of parents, too', async () => {
    const below = join(group.path, 'below');
    mkdirSync(below);
    const parts = [
      attach('multi', group.path),
      attach('multi', group.path),
      attach('link', group.path),
    ];
    await bind();
    expect(parts.map(({ object }) => slot(object))).toEqual([1n, 1n, 1n]);
    expect(errorOf(() => attach('exclusive', group.path)).message).toContain(
      "attach with the mode 'link' or 'multi'",
    );
    for (const { link } of parts) link.close();
    rmdirSync(below);
  });

  test('override: who is below takes the place of who is above', async () => {
    const below = join(group.path, 'below');
    mkdirSync(below);
    try {
      const above = attach('override', group.path);
      expect(
        query({ kind: 'cgroup', path: below, attachType: 8, effective: true })
          .programs,
      ).toMatchObject([{ programId: programOf(above.object).info.id }]);
      const inner = attach('override', below);
      expect(
        query({ kind: 'cgroup', path: below, attachType: 8, effective: true })
          .programs,
      ).toMatchObject([{ programId: programOf(inner.object).info.id }]);
      inner.link.close();
      above.link.close();
      const alone = attach('exclusive', group.path);
      expect(errorOf(() => attach('override', below)).code).toBe('EPERM');
      alone.link.close();
    } finally {
      closeLoaded();
      rmdirSync(below);
    }
  });

  const placing = (more: object): string | undefined =>
    before('6.17', 'a place among the programs of a control group', () => {
      const object = load(compileC(counting(section, pass)));
      try {
        return programOf(object).attach({
          kind: 'cgroup',
          path: group?.path ?? cgroupRoot() ?? '',
          ...more,
        } as AttachTarget);
      } finally {
        object.close();
      }
    });
  testUnless(
    placing({ mode: 'multi', place: 'first' }),
    'places and revisions, of links and of the older mode',
    () => {
      const at = { kind: 'cgroup', path: group.path } as const;
      const asked = { ...at, attachType: 8 };
      const order = (): number[] =>
        query(asked).programs.map(({ programId }) => programId);
      for (const mode of ['link', 'multi'] as const) {
        const programs = [1, 2, 3].map(() =>
          programOf(loadC(counting(section, pass))),
        );
        const [first, second, third] = programs;
        if (!first || !second || !third) throw new Error('no programs');
        const links = [
          second.attach({ ...at, mode }),
          first.attach({ ...at, mode, place: 'first' }),
        ];
        const { revision = 0n } = query(asked);
        const late = { ...at, mode, revision: revision + 5n };
        expect(errorOf(() => third.attach(late)).code).toBe('ESTALE');
        links.push(third.attach({ ...at, mode, place: 'last', revision }));
        expect(order()).toEqual(programs.map(({ info }) => info.id));
        for (const link of links) link.close();
        expect(order()).toEqual([]);
      }
    },
  );

  const noPreorder = before('6.15', 'the pass from the root down', () => {
    const object = load(compileC(counting(section, pass)));
    try {
      return programOf(object).attach({
        kind: 'cgroup',
        path: cgroupRoot() ?? '',
        preorder: true,
      });
    } finally {
      object.close();
    }
  });
  testUnless(noPreorder, 'preorder: before those of its children', () => {
    const below = join(group.path, 'below');
    mkdirSync(below);
    try {
      const [above, inner, early] = [1, 2, 3].map(() =>
        programOf(loadC(counting(section, pass))),
      );
      if (!above || !inner || !early) throw new Error('no programs');
      const links = [
        above.attach({ kind: 'cgroup', path: group.path }),
        inner.attach({ kind: 'cgroup', path: below }),
        early.attach({ kind: 'cgroup', path: group.path, preorder: true }),
      ];
      const order = query({
        kind: 'cgroup',
        path: below,
        attachType: 8,
        effective: true,
      }).programs.map(({ programId }) => programId);
      expect(order).toEqual([early, inner, above].map(({ info }) => info.id));
      for (const link of links) link.close();
    } finally {
      closeLoaded();
      rmdirSync(below);
    }
  });
});

describeUnless(noKernel, 'options, tracing', () => {
  const folder = temporary();
  const target = buildTarget(folder.path);
  const noTarget = target ? undefined : 'there is no C compiler for its target';
  leaveNothing();
  afterAll(() => folder.remove());

  test('uprobe behind the start of a function', async () => {
    const object = loadC(counting('uprobe'));
    const at: AttachTarget = {
      kind: 'uprobe',
      path: 'libc.so.6',
      name: 'getuid',
      offset: 0,
      pid: process.pid,
    };
    expect(await runs(object, at, getuid)).toBe(10n);
  });

  const noMulti = noTarget ?? lacks(features.attachType('trace_uprobe_multi'));
  testUnless(noMulti, 'uprobe_multi by offsets, of one process', async () => {
    const object = loadC(counting('uprobe.multi'));
    const symbols = spawnSync('nm', [target ?? ''], {
      encoding: 'utf8',
    }).stdout;
    const offsets = ['probed_one', 'probed_two'].map((name) =>
      BigInt(
        `0x${new RegExp(`^([0-9a-f]+) T ${name}$`, 'm').exec(symbols)?.[1] ?? '0'}`,
      ),
    );
    const trigger = (): unknown => spawnSync(target ?? '', []);
    const at = { kind: 'uprobe_multi', path: target ?? '', offsets } as const;
    expect(await runs(object, at, trigger)).toBe(3n);
    // Of this process, which never calls them.
    const ours = programOf(object).attach({ ...at, pid: process.pid });
    trigger();
    expect(slot(object)).toBe(3n);
    ours.close();
  });

  test('a perf event of a CPU, by numbers', async () => {
    const object = loadC(
      counting('perf_event', {
        body: 'put(1, bpf_get_smp_processor_id() + 1);',
      }),
    );
    const busy = (): void => {
      for (const end = Date.now() + 200; Date.now() < end;);
    };
    const at: AttachTarget = {
      kind: 'perf_event',
      event: { type: 1, config: 0 },
      period: 1_000_000,
      cpu: 0,
    };
    const link = programOf(object).attach(at);
    // It counts the time of this CPU, whoever runs on it.
    for (let i = 0; i < 20 && slot(object) === 0n; i++) busy();
    expect(slot(object, 1)).toBe(1n);
    link.close();
  });

  test('a perf event that children inherit', async () => {
    const object = loadC(
      counting('perf_event', {
        body: `if (bpf_get_current_pid_tgid() >> 32 != ${process.pid}) count(1);`,
      }),
    );
    const at: AttachTarget = {
      kind: 'perf_event',
      event: 'task-clock',
      period: 100_000,
      pid: process.pid,
      inherit: true,
    };
    const child = (): unknown =>
      spawnSync(process.execPath, ['-e', 'for (let i = 0; i < 1e7; i++);']);
    await runs(object, at, child);
    expect(slot(object, 1)).toBeGreaterThan(0n);
  });

  describe('iterators', () => {
    const of = (name: string, field: string, bytes = 4): string =>
      counting(`iter/${name}`, {
        ctx: `struct bpf_iter__${name} *ctx`,
        body: `void *here = ctx->${field};
    if (!here) return 0;
    u64 mark = (u64)here;
    bpf_seq_write(ctx->meta->seq, &mark, ${bytes});`,
      });
    const kinds: [string, string, string?][] = [
      ['tcp', 'sk_common'],
      ['udp', 'udp_sk'],
      ['unix', 'unix_sk', '5.15'],
      ['netlink', 'sk'],
      ['task_file', 'file'],
      ['task_vma', 'vma', '5.12'],
      ['bpf_map', 'map'],
      ['bpf_prog', 'prog', '5.9'],
      ['bpf_link', 'link', '5.19'],
      ['ksym', 'ksym', '6.0'],
    ];
    for (const [name, field, version] of kinds)
      testUnless(
        version && sectionBefore(version, `iter/${name}`),
        `iter/${name}`,
        async () => {
          const server = createServer().listen(0, '127.0.0.1');
          await once(server, 'listening');
          const client = connect((server.address() as AddressInfo).port);
          const udp = createSocket('udp4').bind(0);
          await Promise.all([once(client, 'connect'), once(udp, 'listening')]);
          const link = programOf(loadC(of(name, field))).attach();
          expect(link.read().length).toBeGreaterThanOrEqual(4);
          expect(link.info()).toMatchObject({ typeName: 'iter', name });
          link.close();
          udp.close();
          client.destroy();
          server.close();
          await once(server, 'close');
        },
      );

    const byThread = olderThan('6.1')
      ? '6.1 has threads of iterators'
      : undefined;
    testUnless(byThread, 'only one thread', () => {
      const text = counting('iter/task', {
        ctx: 'struct bpf_iter__task *ctx',
        body: `struct task_struct *task = ctx->task;
if (task) { int pid = task->pid; bpf_seq_write(ctx->meta->seq, &pid, 4); }`,
      });
      const link = programOf(loadC(text)).attach({
        kind: 'iter',
        tid: process.pid,
      });
      expect([...new Int32Array(link.read().slice().buffer)]).toEqual([
        process.pid,
      ]);
      expect(link.info()).toMatchObject({ tid: process.pid });
      link.close();
    });

    testUnless(
      noCgroup ?? sectionBefore('6.1', 'iter/cgroup'),
      'control groups up and down',
      () => {
        const text = counting('iter/cgroup', {
          ctx: 'struct bpf_iter__cgroup *ctx',
          body: `struct cgroup *group = ctx->cgroup;
if (group) { int level = group->level; bpf_seq_write(ctx->meta->seq, &level, 4); }`,
        });
        const group = enterCgroup();
        mkdirSync(join(group.path, 'below'));
        try {
          const program = programOf(loadC(text));
          const levels = (
            order: 'descendants-pre' | 'descendants-post' | 'ancestors-up',
          ): number[] => {
            const link = program.attach({
              kind: 'iter',
              cgroup: group.path,
              order,
            });
            const read = [...new Int32Array(link.read().slice().buffer)];
            link.close();
            return read;
          };
          expect(levels('descendants-pre')).toEqual([1, 2]);
          expect(levels('descendants-post')).toEqual([2, 1]);
          expect(levels('ancestors-up')).toEqual([1, 0]);
        } finally {
          closeLoaded();
          rmdirSync(join(group.path, 'below'));
          group.leave();
        }
      },
    );
  });
});
