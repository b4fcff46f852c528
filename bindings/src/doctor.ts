/**
 * doctor.ts - whether this machine and this process can use BPF, what stands in the way, and what to do
 * about it. Every check says what it found; nothing is changed.
 */
import { existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { arch, release } from 'node:os';
import { addon } from './addon';
import { KernelError } from './errors';
import { features, kernelConfig, type Feature } from './features';
import { kernelAvailable } from './kernel';
import { lockdownMode } from './lockdown';

/** ok; limit: something does not work, the rest does; problem: nothing works; unknown. */
export type CheckState = 'ok' | 'limit' | 'problem' | 'unknown';

export interface Check {
  /** Stable: 'capabilities', 'lockdown', 'attach fentry'. */
  name: string;
  state: CheckState;
  /** What was found. */
  found: string;
  /** What to do about it, if anything. */
  remedy?: string;
}

export interface Health {
  /** BPF works: no check is a problem. */
  usable: boolean;
  kernel: string;
  arch: string;
  libbpf: string;
  checks: Check[];
}

/** The start of a small file, trimmed; undefined where it cannot be read. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function check(
  name: string,
  state: CheckState,
  found: string,
  remedy?: string,
): Check {
  return { name, state, found, ...(remedy !== undefined && { remedy }) };
}

const unreadable = (name: string, path: string): Check =>
  check(name, 'unknown', `${path} cannot be read`);

/** Linux has been supported from here on. */
const OLDEST = [5, 10] as const;

function checkKernel(): Check {
  const [major = 0, minor = 0] = release()
    .split('.')
    .map((n) => parseInt(n));
  const old = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  return old
    ? check(
        'kernel',
        'limit',
        `Linux ${release()} is older than what this package is tested with`,
        `a kernel of ${OLDEST.join('.')} or later`,
      )
    : check('kernel', 'ok', `Linux ${release()}`);
}

function checkBpf(): Check {
  const { available, reason = '' } = kernelAvailable();
  return available
    ? check('bpf(2)', 'ok', 'maps can be made and programs loaded')
    : check('bpf(2)', 'problem', reason);
}

/** Bits of capabilities(7), and what they are for. */
const capabilities: [string, number, string][] = [
  ['CAP_BPF', 39, 'making maps and loading programs'],
  ['CAP_PERFMON', 38, 'tracing: kprobes, tracepoints, perf events'],
  ['CAP_NET_ADMIN', 12, 'networking: XDP, tc, cgroup sockets'],
  [
    'CAP_SYS_ADMIN',
    21,
    'opening by id, and all of these on kernels before 5.8',
  ],
];

function status(field: string): string | undefined {
  return new RegExp(`^${field}:\\s*(\\S+)`, 'm').exec(
    read('/proc/self/status') ?? '',
  )?.[1];
}

function checkCapabilities(): Check {
  const effective = status('CapEff');
  if (effective === undefined) {
    return unreadable('capabilities', '/proc/self/status');
  }
  const bits = BigInt(`0x${effective}`);
  const has = (bit: number): boolean => ((bits >> BigInt(bit)) & 1n) === 1n;
  const admin = has(21);
  const missing = capabilities.filter(
    ([name, bit]) => !has(bit) && !(admin && name !== 'CAP_NET_ADMIN'),
  );
  if (missing.length === 0) {
    const names = capabilities.map(([name]) => name);
    return check('capabilities', 'ok', names.join(', '));
  }
  const lost = missing.map(([name, , use]) => `${name} (${use})`);
  return check(
    'capabilities',
    missing.some(([name]) => name === 'CAP_BPF') ? 'problem' : 'limit',
    `this process lacks ${lost.join(', ')}`,
    'run it as root, or give it the capabilities (setcap, systemd’s AmbientCapabilities, docker --cap-add)',
  );
}

function checkNamespace(): Check {
  const map = read('/proc/self/uid_map');
  if (map === undefined) return unreadable('namespace', '/proc/self/uid_map');
  return /^0\s+0\s+4294967295$/.test(map)
    ? check('namespace', 'ok', 'the initial user namespace')
    : check(
        'namespace',
        'problem',
        'a user namespace of its own, in which capabilities do not count for BPF',
        'run it outside, or give it a BPF token (Linux 6.9)',
      );
}

function checkSeccomp(): Check {
  const mode = status('Seccomp');
  if (mode === undefined) return unreadable('seccomp', '/proc/self/status');
  return mode === '0'
    ? check('seccomp', 'ok', 'no filter')
    : check(
        'seccomp',
        'limit',
        'a filter is on this process (a container’s profile?), which may forbid bpf(2) or perf_event_open(2)',
        'allow both in the profile',
      );
}

function checkUnprivileged(): Check {
  const path = '/proc/sys/kernel/unprivileged_bpf_disabled';
  const value = read(path);
  if (value === undefined) return unreadable('unprivileged', path);
  const found = `kernel.unprivileged_bpf_disabled is ${value}: `;
  return value === '0'
    ? check(
        'unprivileged',
        'limit',
        `${found}any user may load socket filters, which has been a way to attack kernels`,
        'sysctl kernel.unprivileged_bpf_disabled=2',
      )
    : check('unprivileged', 'ok', `${found}only privileged processes use BPF`);
}

function checkLockdown(): Check {
  const mode = lockdownMode();
  if (mode === undefined) {
    return existsSync('/sys/kernel/security/lsm')
      ? check('lockdown', 'ok', 'this kernel has no lockdown')
      : check(
          'lockdown',
          'unknown',
          'securityfs is not mounted',
          'mount -t securityfs securityfs /sys/kernel/security',
        );
  }
  const forbidden: Record<string, string> = {
    integrity: 'writing the memory of processes (bpf_probe_write_user)',
    confidentiality:
      'reading the memory of the kernel, and with it most tracing',
  };
  const lost = forbidden[mode];
  return lost === undefined
    ? check('lockdown', 'ok', mode)
    : check('lockdown', 'limit', `${mode}: it forbids ${lost}`);
}

function checkLsm(): Check {
  const path = '/sys/kernel/security/lsm';
  const list = read(path);
  if (list === undefined) return unreadable('security modules', path);
  return list.split(',').includes('bpf')
    ? check('security modules', 'ok', list)
    : check(
        'security modules',
        'limit',
        `${list}: without 'bpf', LSM programs are attached and never run`,
        `boot with lsm=${list},bpf`,
      );
}

function checkJit(): Check {
  const value = read('/proc/sys/net/core/bpf_jit_enable');
  const harden = read('/proc/sys/net/core/bpf_jit_harden');
  if (value === undefined) {
    return check('jit', 'unknown', 'net.core.bpf_jit_enable cannot be read');
  }
  if (value === '0') {
    return check(
      'jit',
      'limit',
      'off: programs are interpreted, slowly, and cannot be attached by fentry',
      'sysctl net.core.bpf_jit_enable=1',
    );
  }
  return check('jit', 'ok', `on, hardening ${harden ?? 'unknown'}`);
}

function checkBtf(): Check {
  const path = '/sys/kernel/btf/vmlinux';
  try {
    const { size } = statSync(path);
    return check('btf', 'ok', `${path}, ${(size / 2 ** 20).toFixed(1)} MiB`);
  } catch {
    return check(
      'btf',
      'limit',
      `there is no ${path}: no CO-RE, fentry, LSM, iterators or kfuncs`,
      'a kernel with CONFIG_DEBUG_INFO_BTF=y, or BTF for this kernel from BTFHub',
    );
  }
}

function checkMemlock(): Check {
  const limits = read('/proc/self/limits') ?? '';
  const soft = /^Max locked memory\s+(\S+)/m.exec(limits)?.[1] ?? 'unknown';
  const [major = 0, minor = 0] = release()
    .split('.')
    .map((n) => parseInt(n));
  if (major > 5 || (major === 5 && minor >= 11)) {
    return check(
      'memlock',
      'ok',
      `${soft} bytes; it does not matter since Linux 5.11`,
    );
  }
  return soft === 'unlimited'
    ? check('memlock', 'ok', soft)
    : check(
        'memlock',
        'limit',
        `${soft} bytes, and this kernel counts BPF’s memory against it`,
        'ulimit -l unlimited, or LimitMEMLOCK=infinity for a service',
      );
}

/** f_type of statfs(2) */
const mounts: [string, string[], number, string][] = [
  [
    'tracefs',
    ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'],
    0x74726163,
    'tracepoints, kprobes by name and bpf_printk need it; mountTracefs() or mount -t tracefs tracefs /sys/kernel/tracing',
  ],
  [
    'bpffs',
    ['/sys/fs/bpf'],
    0xcafe4a11,
    'pins need it; mountBpffs() or mount -t bpf bpf /sys/fs/bpf',
  ],
  [
    'cgroup2',
    ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'],
    0x63677270,
    'programs of cgroups need it; mount -t cgroup2 cgroup2 /sys/fs/cgroup',
  ],
];

function isMounted(path: string, type: number): boolean {
  try {
    return statfsSync(path).type === type;
  } catch {
    return false;
  }
}

function checkMounts(): Check[] {
  return mounts.map(([name, paths, type, remedy]) => {
    const path = paths.find((each) => isMounted(each, type));
    return path !== undefined
      ? check(name, 'ok', path)
      : check(name, 'limit', 'not mounted', remedy);
  });
}

function checkSymbols(): Check {
  const level = read('/proc/sys/kernel/kptr_restrict');
  const paranoid = read('/proc/sys/kernel/perf_event_paranoid');
  const found = `kernel.kptr_restrict ${level ?? '?'}, kernel.perf_event_paranoid ${paranoid ?? '?'}`;
  return level === '2'
    ? check(
        'symbols',
        'limit',
        `${found}: addresses in /proc/kallsyms read as 0`,
        'sysctl kernel.kptr_restrict=1',
      )
    : check('symbols', 'ok', found);
}

/** Options that other things hang on. */
const wanted: [string, string][] = [
  ['BPF_SYSCALL', 'BPF at all'],
  ['BPF_JIT', 'fast programs, fentry'],
  ['DEBUG_INFO_BTF', 'CO-RE, fentry, iterators'],
  ['CGROUP_BPF', 'programs of cgroups'],
  ['BPF_EVENTS', 'tracing'],
  ['KPROBES', 'kprobes'],
  ['UPROBES', 'uprobes and USDT'],
  ['FPROBE', 'kprobe.multi'],
  ['BPF_LSM', 'LSM programs'],
  ['NET_CLS_BPF', 'tc programs'],
  ['XDP_SOCKETS', 'AF_XDP'],
];

function checkConfig(): Check {
  if (!kernelConfig()) {
    const { reason = '' } = features.config('BPF');
    return check('config', 'unknown', reason);
  }
  const off = wanted.filter(([name]) => features.config(name).answer !== 'yes');
  const [first] = off;
  if (!first) return check('config', 'ok', 'all that BPF is known to need');
  const list = off.map(([name, use]) => `CONFIG_${name} (${use})`).join(', ');
  return check('config', 'limit', `not built in: ${list}`);
}

/** What people attach, tried one by one. */
const attachments: [string, () => Feature][] = [
  ['fentry', () => features.attachType('trace_fentry')],
  ['tp_btf', () => features.attachType('trace_raw_tp')],
  ['kprobe.multi', () => features.attachType('trace_kprobe_multi')],
  ['uprobe.multi', () => features.attachType('trace_uprobe_multi')],
  ['iterators', () => features.attachType('trace_iter')],
  ['lsm', () => features.attachType('lsm_mac')],
  ['xdp', () => features.attachType('xdp')],
  ['tcx', () => features.attachType('tcx_ingress')],
  ['netkit', () => features.attachType('netkit_primary')],
  ['netfilter', () => features.attachType('netfilter')],
  ['cgroup', () => features.attachType('cgroup_inet_ingress')],
  ['sk_lookup', () => features.attachType('sk_lookup')],
  ['struct_ops', () => features.programType('struct_ops')],
  ['ring buffer', () => features.mapType('ringbuf')],
  ['user ring buffer', () => features.mapType('user_ringbuf')],
  ['arena', () => features.mapType('arena')],
];

const states: Record<Feature['answer'], CheckState> = {
  yes: 'ok',
  no: 'limit',
  inconclusive: 'unknown',
};

/** What this process may not ask is the capabilities' check to tell, once. */
function checkAttachments(allowed: boolean): Check[] {
  return attachments.map(([name, probe]) => {
    const { answer, reason, since, code } = probe();
    if (!allowed && answer === 'inconclusive' && code === 'EPERM') {
      return check(name, 'unknown', 'not tried, for want of capabilities');
    }
    const remedy =
      answer === 'no' && since !== undefined ? `Linux ${since}` : undefined;
    return check(name, states[answer], reason ?? 'works', remedy);
  });
}

/** Looks at everything. Without the addon (or off Linux) it says only that. */
export function doctor(): Health {
  let libbpf = '';
  let checks: Check[];
  try {
    libbpf = addon().version().libbpf;
    const capable = checkCapabilities();
    checks = [checkKernel(), checkBpf(), capable];
    checks.push(checkNamespace(), checkSeccomp(), checkUnprivileged());
    checks.push(checkLockdown(), checkLsm(), checkJit(), checkBtf());
    checks.push(checkMemlock(), ...checkMounts(), checkSymbols());
    checks.push(checkConfig(), ...checkAttachments(capable.state === 'ok'));
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    checks = [check('addon', 'problem', error.message)];
  }
  const usable = checks.every(({ state }) => state !== 'problem');
  return { usable, kernel: release(), arch: arch(), libbpf, checks };
}
