/**
 * struct_ops: programs that the kernel calls through a structure of functions, as a congestion
 * control of TCP and as a scheduler.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { features, KernelMap, Link, type KernelObject } from 'bpf';
import { describeUnless, testUnless } from '../support';
import {
  closeLoaded,
  counting,
  lacks,
  leaveNothing,
  loadC,
  programOf,
  slot,
  slots,
  unbuilt,
} from './hooks';
import { errorOf, noKernel } from './support';

describeUnless(noKernel, 'struct_ops', () => {
  leaveNothing();

  const noPython = spawnSync('python3', ['-V']).error
    ? 'there is no python3 for setsockopt(TCP_CONGESTION)'
    : undefined;
  const congestion = (
    section: string,
    name = 'bpf_steady',
  ): string => `${slots}SEC("struct_ops")
void BPF_PROG(start, struct sock *sk) {
    count(0);
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
    .name = "${name}",
};
char LICENSE[] SEC("license") = "GPL";
`;
  const known = (): string =>
    readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8');
  const useIt = (object: KernelObject): void => {
    const link = object.attachStructOps('steady');
    expect(known()).toContain('bpf_steady');
    connect();
    expect(slot(object)).toBeGreaterThan(0n);
    link.close();
    object.close();
    expect(known()).not.toContain('bpf_steady');
  };
  /** A connection of who asks for our congestion control. */
  function connect(): void {
    const script = `import socket
server = socket.socket()
server.bind(('127.0.0.1', 0))
server.listen()
client = socket.socket()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b'bpf_steady')
client.connect(server.getsockname())
`;
    expect(spawnSync('python3', ['-c', script]).status).toBe(0);
  }
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

  describeUnless(noPython ?? noLink, 'another one in its place', () => {
    const load = (section = '.struct_ops.link', name = 'bpf_steady') => {
      const object = loadC(congestion(section, name));
      const map = object.maps['steady'];
      if (!map) throw new Error('no map');
      return { object, map };
    };
    const attached = (object: KernelObject): Link => {
      const [link] = object.attach();
      if (!link) throw new Error('no link');
      return link;
    };
    const held = (link: Link): unknown =>
      (link.info() as { mapId: number }).mapId;

    test('of this process, and of who opens the link', () => {
      const [first, second, third] = [load(), load(), load()];
      const objects = [first, second, third].map(({ object }) => object);
      const counts = (): boolean[] => {
        const before = objects.map((object) => slot(object));
        connect();
        return objects.map((object, i) => slot(object) > (before[i] ?? 0n));
      };
      const link = attached(first.object);
      expect([held(link), counts()]).toEqual([
        first.map.info.id,
        [true, false, false],
      ]);
      link.update(second.map);
      expect([held(link), counts()]).toEqual([
        second.map.info.id,
        [false, true, false],
      ]);
      // What was in it before.
      link.update(first.map);
      expect(counts()).toEqual([true, false, false]);
      // Who has only the link; the map's object need not stay.
      const opened = Link.fromId(link.info().id);
      link.close();
      opened.update(third.map);
      expect([held(opened), counts()]).toEqual([
        third.map.info.id,
        [false, false, true],
      ]);
      // A map by its id, which the kernel knows since it was attached.
      using again = KernelMap.fromId(second.map.info.id);
      opened.update(again);
      expect(counts()).toEqual([false, true, false]);
      opened.close();
      expect(known()).not.toContain('bpf_steady');
    });

    test('what does not go there says why', () => {
      const link = attached(load().object);
      const refusal = (map: KernelMap, of = link): unknown =>
        errorOf(() => of.update(map));
      const refused = (text: string): unknown =>
        expect.objectContaining({
          operation: 'link update',
          code: 'EINVAL',
          message: expect.stringContaining(text),
        });
      using hash = KernelMap.create({
        type: 1,
        keySize: 4,
        valueSize: 4,
        maxEntries: 1,
      });
      expect(refusal(hash)).toEqual(refused('it is no struct_ops map'));
      expect(refusal(load('.struct_ops').map)).toEqual(
        refused('put it into SEC(".struct_ops.link")'),
      );
      expect(refusal(load('.struct_ops.link', 'bpf_other').map)).toEqual(
        refused('a congestion control of the same name'),
      );
      using unknown = KernelMap.fromId(load().map.info.id);
      expect(refusal(unknown)).toEqual(refused('or was never attached'));
      const tracing = loadC(counting('raw_tp/sys_enter'));
      const other = programOf(tracing).attach();
      expect(refusal(load().map, other)).toEqual(
        refused('the link holds a program'),
      );
      expect(errorOf(() => link.update(programOf(tracing))).message).toContain(
        'links of this type take no other program',
      );
      other.close();
      link.close();
    });
  });

  const noScheduler = unbuilt('SCHED_CLASS_EXT');
  testUnless(noScheduler, 'struct_ops: a scheduler (sched_ext)', async () => {
    // It keeps to the default queues and counts the tasks that it puts there.
    const object = loadC(`${slots}SEC("struct_ops")
void BPF_PROG(woken, struct task_struct *task, u64 flags) {
    count(0);
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
});
