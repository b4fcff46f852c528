/**
 * The demo where the kernel is out of reach: the same program in the VM on recorded events.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { assemble, chars, compile, Machine, struct, u32, u64 } from 'bpf';
import { absent, root, run, testUnless } from '../support';

const demo = join(root, 'examples/syscalls/main.js');
const noKernel = { BPF_ADDON: '/no/such/addon.node' };

interface Event {
  pid: number;
  tgid: number;
  comm: string;
}
const events = JSON.parse(
  readFileSync(join(root, 'examples/syscalls/events.json'), 'utf8'),
) as Event[];

interface Report {
  backend: string;
  reason: string;
  rows: { pid: number; comm: string; count: number }[];
}

/** What the program must count: all calls by process, with the main thread's last name. */
function expectedRows(): Report['rows'] {
  const rows = new Map<number, { pid: number; comm: string; count: number }>();
  for (const { pid, tgid, comm } of events) {
    const row = rows.get(tgid) ?? { pid: tgid, comm: '?', count: 0 };
    row.count++;
    if (pid === tgid) row.comm = comm;
    rows.set(tgid, row);
  }
  return [...rows.values()].sort((a, b) => b.count - a.count || a.pid - b.pid);
}

const source = (name: string): Uint8Array =>
  readFileSync(join(root, 'examples/syscalls', name));

describe.each([
  ['C', () => compile(source('syscalls.bpf.c'))],
  ['assembly', () => assemble(source('syscalls.s'))],
])('the program in %s', (_, make) => {
  const program = make();
  const stat = struct({ count: u64, comm: chars(16) });
  const open = (options = {}) => {
    const machine = new Machine(program, options);
    const counts = machine.maps['counts']?.as(u32, stat);
    if (!counts) throw new Error('there is no map counts');
    const call = (pid: number, tgid: number, comm: string): void => {
      machine.set({ pid, tgid, comm }).run('count_syscall', {
        ctx: new Uint8Array(16),
      });
    };
    return { counts, call };
  };

  test('names a process by its main thread, whoever calls first', () => {
    const { counts, call } = open();
    call(11, 10, 'worker');
    expect(counts.get(10)).toEqual({ count: 1n, comm: '' });
    call(10, 10, 'before-exec');
    call(11, 10, 'worker');
    expect(counts.get(10)).toEqual({ count: 3n, comm: 'before-exec' });
    call(10, 10, 'after');
    expect(counts.get(10)).toEqual({ count: 4n, comm: 'after' });
  });

  test('loses nothing when another thread inserts first', () => {
    const { counts, call } = open({
      helpers: {
        map_update_elem: () => {
          counts.set(10, { count: 1n, comm: 'faster' });
          return -17;
        },
      },
    });
    call(11, 10, 'slower');
    expect(counts.get(10)).toEqual({ count: 2n, comm: 'faster' });
  });
});

describe('the demo in the VM', () => {
  test('counts every recorded call, as JSON', () => {
    const { status, stdout, stderr } = run(
      process.execPath,
      [demo, '--seconds', '0.2', '--json'],
      { env: noKernel },
    );
    expect(status).toBe(0);
    expect(stderr).toMatch(/^backend: vm \(.*no\/such\/addon.*\)\n$/);
    const report = JSON.parse(stdout) as Report;
    expect(report).toMatchObject({ backend: 'vm', seconds: 0.2 });
    expect(report.rows).toEqual(expectedRows());
  });

  test('prints plain lines in a pipe', () => {
    const { status, stdout } = run(
      process.execPath,
      [demo, '--seconds', '0.2', '--top', '2'],
      { env: noKernel },
    );
    expect(status).toBe(0);
    const [first, second] = expectedRows();
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^backend: vm \(/);
    expect(lines[1]?.trim().split(/\s+/)).toEqual(['PID', 'COMMAND', 'CALLS']);
    const cells = (row = first) =>
      [row?.pid, row?.comm, row?.count].map(String);
    expect(lines[2]?.trim().split(/\s+/)).toEqual(cells(first));
    expect(lines[3]?.trim().split(/\s+/)).toEqual(cells(second));
    expect(lines[4]).toMatch(/and \d+ more processes/);
    expect(stdout).not.toContain('\x1b');
  });

  test.each([
    ['--seconds', 'soon'],
    ['--seconds', '-1'],
    ['--top', '0'],
    ['--frob', '1'],
  ])('complains about %s %s', (...args) => {
    const { status, stderr } = run(process.execPath, [demo, ...args]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/usage: npm run demo/);
  });

  const notRoot =
    process.getuid?.() === 0
      ? absent('/usr/bin/setpriv')
      : 'only root can become somebody else';
  testUnless(notRoot, 'is what somebody without privileges gets', () => {
    const home = mkdtempSync(join(tmpdir(), 'bpf-home-'));
    const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    const caps = ['--inh-caps=-all', '--bounding-set=-all'];
    // A clone below /root is root's alone: then it is root without capabilities.
    const reach = run('/usr/bin/setpriv', [...user, 'test', '-r', demo]);
    const who = reach.status === 0 ? [...user, ...caps] : caps;
    const outcome = run(
      '/usr/bin/setpriv',
      [...who, process.execPath, demo, '--seconds', '0.2', '--json'],
      { env: { HOME: home } },
    );
    rmSync(home, { recursive: true });
    expect(outcome.stderr).toMatch(/^backend: vm \(.*\)\n$/);
    const report = JSON.parse(outcome.stdout) as Report;
    expect(report.backend).toBe('vm');
    expect(report.reason).toMatch(/EPERM|CAP_BPF|addon/);
    expect(report.rows).toEqual(expectedRows());
  });
});
