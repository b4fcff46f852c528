/**
 * struct_ops: programs that the kernel calls through a structure of functions, as a congestion
 * control of TCP and as a scheduler.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from '@jest/globals';
import { features, type KernelObject } from 'bpf';
import { describeUnless, testUnless } from '../support';
import {
  closeLoaded,
  leaveNothing,
  lacks,
  loadC,
  slot,
  slots,
  unbuilt,
} from './hooks';
import { noKernel } from './support';

describeUnless(noKernel, 'struct_ops', () => {
  leaveNothing();

  const noPython = spawnSync('python3', ['-V']).error
    ? 'there is no python3 for setsockopt(TCP_CONGESTION)'
    : undefined;
  const congestion = (section: string): string => `${slots}SEC("struct_ops")
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
