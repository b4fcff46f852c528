/**
 * What refusals say. One table: who asks, on what kind of machine, for what; and the sentence that
 * must come, with cause and remedy. Each case is a process of its own: with capabilities taken away
 * (setpriv), in a mount namespace where files of /proc and /sys say what another machine's would, or
 * with faults.c preloaded, which feigns an older kernel, a seccomp filter or a refusal.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { describeUnless, root, testUnless } from '../support';
import { buildFaults, olderThan, temporary, unbuilt } from './hooks';
import { noKernel } from './support';

/** A program in C of one statement. */
const calling = (statement: string): string =>
  `bpf.load(bpf.compile('#include "vmlinux.h"\\n#include <bpf/bpf_helpers.h>\\nchar LICENSE[] SEC("license") = "GPL";\\nSEC("raw_tp/sys_enter") int prog(void *ctx) { long x = 0; ${statement}; return 0; }'))`;
/** A program of type raw_tracepoint as it is, without libbpf: helper(fp - 8, 8, 0). */
const readBare = (helper: number): string =>
  `const insn = (op, regs, offset, imm) => [op, regs, offset & 255, offset >> 8 & 255, ...new Uint8Array(new Int32Array([imm]).buffer)];
   bpf.KernelProgram.load({ type: bpf.ProgramType.RAW_TRACEPOINT, license: 'GPL', instructions: Uint8Array.from([...insn(0xbf, 0xa1, 0, 0), ...insn(0x07, 1, 0, -8), ...insn(0xb7, 2, 0, 8), ...insn(0xb7, 3, 0, 0), ...insn(0x85, 0, 0, ${helper}), ...insn(0xb7, 0, 0, 0), ...insn(0x95, 0, 0, 0)]) })`;

/** What is tried: bodies of functions, with bpf, object(section) and map() at hand. */
const tries = {
  map: `bpf.KernelMap.create({ type: 1, keySize: 4, valueSize: 4, maxEntries: 1 })`,
  socket: `object('socket')`,
  xdp: `object('xdp')`,
  raw_tp: `object('raw_tp/sys_enter')`,
  'cgroup program': `object('cgroup/connect4')`,
  'map by id': `bpf.KernelMap.fromId(1)`,
  statistics: `bpf.enableStats()`,
  'mount bpffs': `bpf.mountBpffs('/tmp')`,
  'attach tracepoint': `object('tracepoint/syscalls/sys_enter_getuid').programs.prog.attach()`,
  'attach perf_event': `object('perf_event').programs.prog.attach({ kind: 'perf_event', event: 'cpu-clock', frequency: 1 })`,
  'attach kprobe': `object('kprobe').programs.prog.attach({ kind: 'kprobe', name: 'vfs_open' })`,
  'attach kprobe_multi': `object('kprobe').programs.prog.attach({ kind: 'kprobe_multi', pattern: 'vfs_op*' })`,
  probe_write_user: calling('bpf_probe_write_user((void *)8, &x, 8)'),
  probe_read: calling('bpf_probe_read(&x, 8, ctx)'),
  probe_read_kernel: calling('bpf_probe_read_kernel(&x, 8, ctx)'),
  probe_read_kernel_str: calling('bpf_probe_read_kernel_str(&x, 8, ctx)'),
  probe_read_user: calling('bpf_probe_read_user(&x, 8, (void *)8)'),
  'probe_read_kernel without libbpf': readBare(113),
  'probe_read_user without libbpf': readBare(112),
} satisfies Record<string, string>;

interface Case {
  try: keyof typeof tries | (string & {});
  /** In the reason, and in the remedy. Null: it works. */
  says: [reason: string | RegExp, remedy: string | RegExp] | null;
  code?: string;
  /** Why it is not tried here. */
  unless?: string | undefined;
}

interface Machine {
  /** Before what is tried. */
  setup?: string;
  /** Words before node's. */
  under?: string[];
  /** Shell commands in a mount namespace of its own. */
  mounts?: string;
  env?: Record<string, string>;
  /** Only on a kernel that is locked down so. */
  locked?: 'integrity' | 'confidentiality';
  /** The addon's calls of this kind fail: struct control's `only` and errno. */
  fault?: [kind: number, errno: number];
}

const script = (setup: string, bodies: string[]): string => `
const bpf = require(${JSON.stringify(join(root, 'dist/bindings/src/index.js'))});
const asm = (section) => bpf.assemble('.section "' + section + '","ax",@progbits\\n.globl prog\\nprog:\\n r0 = 1\\n exit\\n.section license,"aw",@progbits\\n.asciz "GPL"\\n');
const objects = {};
for (const section of ['socket', 'xdp', 'raw_tp/sys_enter', 'cgroup/connect4', 'tracepoint/syscalls/sys_enter_getuid', 'perf_event', 'tcx/ingress', 'raw_tp', 'tp', 'uprobe', 'usdt', 'kprobe', 'iter/task'])
  objects[section] = asm(section);
const object = (section, options) => bpf.load(objects[section] ?? asm(section), options);
bpf.possibleCpus();
${setup};
const answers = [${bodies.map((body) => `() => { ${body}; }`).join(', ')}].map((attempt) => {
  try {
    attempt();
    return { works: true };
  } catch (error) {
    const { name, message, code, reason, remedy, operation } = error;
    return { name, message, code, reason, remedy, operation, stack: error.stack };
  }
});
console.log(JSON.stringify(answers));`;

/** Only these capabilities, of root. What reads the package stays. */
const only = (...caps: string[]): string[] => {
  const kept = ['dac_override', 'dac_read_search', ...caps];
  return [
    'setpriv',
    '--inh-caps',
    '-all',
    '--bounding-set',
    ['-all', ...kept.map((cap) => `+${cap}`)].join(','),
  ];
};
const without = (...caps: string[]): string[] => [
  'setpriv',
  '--inh-caps',
  '-all',
  '--bounding-set',
  caps.map((cap) => `-${cap}`).join(','),
];

const paranoidLevel = '/proc/sys/kernel/perf_event_paranoid';
const isParanoid =
  existsSync(paranoidLevel) && Number(readFileSync(paranoidLevel, 'utf8')) > 2;
const asRoot = /run it as root, or give it the capabilit/;
const lacks = (
  caps: string,
  sysctl = / \(kernel\.unprivileged_bpf_disabled is \d\)/,
) =>
  new RegExp(
    `^this process lacks ${caps}${caps.includes('CAP_BPF') ? sysctl.source : ''}$`,
  );
const disabled = (value: string): string =>
  `echo ${value} > $D/value; mount --bind $D/value /proc/sys/kernel/unprivileged_bpf_disabled`;
/** Before Linux 5.11: why nothing can be made in so little. */
const ofLockedMemory = (kib: number): [string, string] => [
  `counts BPF's memory as locked memory, of which it may have ${kib} KiB`,
  'ulimit -l unlimited',
];
/** securityfs as it would be. */
const security = (lockdown: string, lsm: string): string =>
  `mount -t tmpfs none /sys/kernel/security; echo '${lockdown}' > /sys/kernel/security/lockdown; echo -n '${lsm}' > /sys/kernel/security/lsm`;

/** Of faults.c: BPF | command. */
const PROG_LOAD = 0x105;
const MAP_CREATE = 0x100;
const LINK_CREATE = 0x11c;
const [EPERM, EINVAL] = [1, 22];

const lockedDown = existsSync('/sys/kernel/security/lockdown')
  ? /\[(\w+)\]/.exec(readFileSync('/sys/kernel/security/lockdown', 'utf8'))?.[1]
  : undefined;
const tracepointNumber =
  '/sys/kernel/tracing/events/syscalls/sys_enter_getuid/id';
function canRead(path: string): boolean {
  try {
    return readFileSync(path).length > 0;
  } catch {
    return false;
  }
}
const locked = (mode: string, before: string): [RegExp, RegExp] => [
  new RegExp(`^.*${before}the kernel is locked down \\(${mode}\\), which`),
  new RegExp(`boot without lockdown=${mode}`),
];

const table: [string, Machine, Case[]][] = [
  [
    'an unprivileged user',
    {
      setup: `process.setgroups([]); process.setgid(65534); process.setuid(65534)`,
    },
    (
      [
        ['map', 'CAP_BPF'],
        ['socket', 'CAP_BPF'],
        ['xdp', 'CAP_BPF and CAP_NET_ADMIN'],
        ['raw_tp', 'CAP_BPF and CAP_PERFMON'],
        ['cgroup program', 'CAP_BPF and CAP_NET_ADMIN'],
        ['map by id', 'CAP_SYS_ADMIN'],
        ['statistics', 'CAP_SYS_ADMIN'],
      ] as const
    ).map(([attempt, caps]) => ({
      try: attempt,
      says: [lacks(caps), asRoot],
      code: 'EPERM',
    })),
  ],
  [
    'CAP_BPF alone',
    { under: only('bpf') },
    [
      { try: 'map', says: null },
      { try: 'socket', says: null },
      { try: 'raw_tp', says: [lacks('CAP_PERFMON'), asRoot] },
      { try: 'xdp', says: [lacks('CAP_NET_ADMIN'), asRoot] },
      { try: 'map by id', says: [lacks('CAP_SYS_ADMIN'), asRoot] },
    ],
  ],
  [
    'CAP_BPF and CAP_PERFMON',
    { under: only('bpf', 'perfmon') },
    [
      { try: 'raw_tp', says: null },
      { try: 'xdp', says: [lacks('CAP_NET_ADMIN'), asRoot] },
      { try: 'statistics', says: [lacks('CAP_SYS_ADMIN'), asRoot] },
    ],
  ],
  [
    'CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN',
    { under: only('bpf', 'perfmon', 'net_admin') },
    [
      { try: 'xdp', says: null },
      {
        try: 'attach perf_event',
        // Debian's kernels have a level of their own.
        says: isParanoid
          ? ['kernel.perf_event_paranoid is 3', 'run it as root']
          : null,
      },
      {
        try: 'mount bpffs',
        says: ['/tmp: this process lacks CAP_SYS_ADMIN', asRoot],
      },
    ],
  ],
  [
    'root without CAP_BPF',
    { under: without('bpf') },
    [{ try: 'raw_tp', says: null }], // CAP_SYS_ADMIN stands for it
  ],
  [
    'root without CAP_BPF and CAP_SYS_ADMIN',
    { under: without('bpf', 'sys_admin') },
    [
      { try: 'map', says: [lacks('CAP_BPF'), asRoot] },
      { try: 'raw_tp', says: [lacks('CAP_BPF'), asRoot] },
    ],
  ],
  [
    'root without CAP_PERFMON and CAP_SYS_ADMIN',
    { under: without('perfmon', 'sys_admin') },
    [
      { try: 'socket', says: null },
      { try: 'raw_tp', says: [lacks('CAP_PERFMON'), asRoot] },
    ],
  ],
  [
    'root without CAP_NET_ADMIN',
    { under: without('net_admin') },
    [
      { try: 'xdp', says: null }, // CAP_SYS_ADMIN stands for it, too …
      {
        // … but not for netlink
        try: `object('xdp').programs.prog.attach({ kind: 'xdp', interface: 'lo', mode: 'generic', legacy: true })`,
        says: ["interface 'lo': this process lacks CAP_NET_ADMIN", asRoot],
      },
    ],
  ],
  [
    'root without CAP_SYS_RESOURCE and without locked memory',
    { under: ['prlimit', '--memlock=0:0', ...without('sys_resource')] },
    [
      { try: 'map', says: olderThan('5.11') ? ofLockedMemory(0) : null },
      { try: 'raw_tp', says: olderThan('5.11') ? ofLockedMemory(0) : null },
    ],
  ],
  [
    'root of a user namespace',
    { under: ['unshare', '--user', '--map-root-user'] },
    [
      {
        try: 'raw_tp',
        says: [
          /only in the initial user namespace/,
          /outside, or give it a BPF token/,
        ],
        code: 'EPERM',
      },
    ],
  ],
  ...(['0', '1', '2'] as const).map((value): [string, Machine, Case[]] => [
    `unprivileged_bpf_disabled is ${value}`,
    { mounts: disabled(value), under: without('bpf', 'sys_admin') },
    [
      {
        try: 'map',
        says: [
          value === '0'
            ? /^this process lacks CAP_BPF$/
            : `this process lacks CAP_BPF (kernel.unprivileged_bpf_disabled is ${value})`,
          asRoot,
        ],
      },
    ],
  ]),
  [
    'lockdown: confidentiality',
    {
      mounts: security(
        'none integrity [confidentiality]',
        'lockdown,capability',
      ),
      fault: [PROG_LOAD, EPERM],
    },
    [
      {
        try: 'raw_tp',
        says: [
          'has the capabilities, but the kernel is locked down (confidentiality)',
          'boot without lockdown=confidentiality',
        ],
      },
    ],
  ],
  [
    'lockdown: integrity, and a helper that it takes away',
    {
      mounts: security(
        'none [integrity] confidentiality',
        'lockdown,capability',
      ),
    },
    [
      {
        // bpf_probe_write_user(): with or without lockdown here, xdp programs have it not.
        try: `bpf.load(bpf.assemble('.section "xdp","ax",@progbits\\n.globl prog\\nprog:\\n r1 = r10\\n r2 = r10\\n r3 = 0\\n call 36\\n r0 = 1\\n exit\\n.section license,"aw",@progbits\\n.asciz "GPL"\\n'))`,
        says: [
          /verifier refuses it: .*probe_write_user.*: the kernel is locked down \(integrity\), which takes this helper away/,
          /./,
        ],
      },
    ],
  ],
  [
    'lockdown, by the kernel itself: integrity',
    { locked: 'integrity' },
    [
      {
        try: 'probe_write_user',
        says: locked('integrity', 'verifier refuses it: .*probe_write_user.*'),
      },
      // Reading stays.
      { try: 'probe_read_kernel', says: null },
      { try: 'attach tracepoint', says: null },
      { try: 'attach kprobe', says: null, unless: unbuilt('KPROBES') },
      { try: 'attach perf_event', says: null },
    ],
  ],
  [
    'lockdown, by the kernel itself: confidentiality',
    { locked: 'confidentiality' },
    [
      ...[
        ['probe_write_user', 'probe_write_user'],
        ['probe_read', 'probe_read'],
        // What libbpf puts in the place of the kernel's …
        ['probe_read_kernel', 'probe_read#4'],
        ['probe_read_kernel_str', 'probe_read_str'],
        // … and also of the user's, which the kernel lets pass as it is (below).
        ['probe_read_user', 'probe_read#4'],
        ['probe_read_kernel without libbpf', 'probe_read_kernel'],
      ].map(([attempt = '', helper = '']) => ({
        try: attempt,
        says: locked('confidentiality', `verifier refuses it: .*${helper}.*`),
      })),
      {
        try: 'attach kprobe',
        says: locked('confidentiality', '.*'),
        code: 'EPERM',
        unless: unbuilt('KPROBES'),
      },
      {
        try: 'attach kprobe_multi',
        says: locked('confidentiality', '.*'),
        code: 'EPERM',
        unless: unbuilt('FPROBE'),
      },
      {
        // Its number is in tracefs, which is empty if lockdown came first.
        try: 'attach tracepoint',
        ...(canRead(tracepointNumber)
          ? { says: null }
          : { says: locked('confidentiality', '.*'), code: 'EPERM' }),
      },
      {
        try: 'bpf.tracePipe()',
        says: locked('confidentiality', '.*'),
        code: 'EPERM',
      },
      // What reads nothing of the kernel's stays.
      { try: 'map', says: null },
      { try: 'raw_tp', says: null },
      { try: 'xdp', says: null },
      { try: 'attach perf_event', says: null },
      { try: 'probe_read_user without libbpf', says: null },
    ],
  ],
  [
    'security modules',
    {
      mounts: security(
        '[none] integrity confidentiality',
        'lockdown,capability,yama,selinux,bpf',
      ),
      fault: [MAP_CREATE, EPERM],
    },
    [
      {
        try: 'map',
        says: [
          'a security module (of selinux, bpf)',
          'policies of these modules',
        ],
      },
    ],
  ],
  [
    'seccomp',
    { env: { FAULTS_SECCOMP: '1' } },
    [
      {
        try: 'raw_tp',
        says: ['runs under a seccomp filter', 'allow them there'],
        code: 'EPERM',
      },
    ],
  ],
  [
    'locked memory before Linux 5.11',
    {
      under: ['prlimit', '--memlock=65536:65536', ...without('sys_resource')],
      env: { FAULTS_RELEASE: '5.10.0-32-amd64' },
      fault: [MAP_CREATE, EPERM],
    },
    [
      {
        try: 'map',
        says: ofLockedMemory(64),
      },
    ],
  ],
  [
    'no bpffs',
    {
      mounts: 'umount -l /sys/fs/bpf || true; mount -t tmpfs none /sys/fs/bpf',
    },
    [
      {
        try: `bpf.KernelMap.create({ type: 1, keySize: 4, valueSize: 4, maxEntries: 1 }).pin('/sys/fs/bpf/x')`,
        says: [
          '/sys/fs/bpf is not in a BPF file system',
          /mount -t bpf bpf \/sys\/fs\/bpf.*mountBpffs/,
        ],
      },
    ],
  ],
  [
    'no tracefs',
    {
      mounts:
        'mount -t tmpfs none /sys/kernel/tracing; mount -t tmpfs none /sys/kernel/debug || true',
    },
    [
      {
        try: 'attach tracepoint',
        says: ['tracefs is not mounted', /mount -t tracefs .*mountTracefs/],
      },
      {
        try: 'bpf.tracePipe()',
        says: ['tracefs is not mounted', 'mountTracefs'],
      },
    ],
  ],
  [
    'no BTF of the kernel',
    { mounts: 'mount -t tmpfs none /sys/kernel/btf' },
    [
      {
        try: 'bpf.Btf.kernel()',
        says: [
          'the kernel has no BTF: there is no /sys/kernel/btf/vmlinux',
          /CONFIG_DEBUG_INFO_BTF.*BTFHub/,
        ],
      },
      {
        try: `object('tp_btf/sys_enter')`,
        says: [
          "needs the kernel's BTF, and there is no /sys/kernel/btf/vmlinux",
          /CONFIG_DEBUG_INFO_BTF/,
        ],
      },
    ],
  ],
  [
    'a kernel that is too old',
    {
      env: { FAULTS_RELEASE: '5.4.0-1.el8.x86_64' },
      fault: [LINK_CREATE, EINVAL],
    },
    [
      {
        try: `object('tcx/ingress').programs.prog.attach({ kind: 'tcx', interface: 'lo' })`,
        says: [
          'the running kernel, 5.4.0-1.el8.x86_64, is too old for it',
          'use Linux 6.6 or later',
        ],
        code: 'EINVAL',
      },
    ],
  ],
  [
    'a type of map that the kernel is too old for',
    { env: { FAULTS_RELEASE: '5.4.0' }, fault: [MAP_CREATE, EINVAL] },
    [
      {
        try: `bpf.KernelMap.create({ type: 33, keySize: 0, valueSize: 0, maxEntries: 1, flags: 1024 })`,
        says: [
          'this kernel is too old for maps of type arena',
          'use Linux 6.9 or later',
        ],
      },
    ],
  ],
  [
    'too few descriptors',
    { under: ['prlimit', '--nofile=40:40'] },
    [
      {
        try: `for (const all = [];;) all.push(bpf.KernelMap.create({ type: 1, keySize: 4, valueSize: 4, maxEntries: 1 }))`,
        says: ['too many open files', 'ulimit -n'],
        code: 'EMFILE',
      },
    ],
  ],
  [
    'a target that is not there',
    {},
    [
      {
        try: `object('raw_tp').programs.prog.attach({ kind: 'raw_tracepoint', name: 'sys_entr' })`,
        says: ["no raw tracepoint 'sys_entr'", /^did you mean 'sys_enter'/],
        code: 'ENOENT',
      },
      {
        try: `object('tp').programs.prog.attach({ kind: 'tracepoint', category: 'sched', name: 'sched_swich' })`,
        says: [
          "no tracepoint 'sched/sched_swich'",
          /^did you mean 'sched\/sched_switch'/,
        ],
        code: 'ENOENT',
      },
      {
        try: `object('tp').programs.prog.attach({ kind: 'tracepoint', category: 'schedule', name: 'sched_switch' })`,
        says: ["no tracepoint 'schedule/sched_switch'", /sched_switch/],
      },
      {
        try: `object('uprobe').programs.prog.attach({ kind: 'uprobe', path: 'libc.so.6', name: 'getuidd' })`,
        says: ["has no function 'getuidd'", /^did you mean 'getuid'/],
        code: 'ENOENT',
      },
      {
        try: `object('uprobe').programs.prog.attach({ kind: 'uprobe', path: 'libnothere.so', name: 'x' })`,
        says: ["there is no 'libnothere.so'", /./],
        code: 'ENOENT',
      },
      {
        try: `object('uprobe').programs.prog.attach({ kind: 'uprobe', path: 'libc.so.6', name: 'getuid', pid: 4194000 })`,
        says: ['there is no process 4194000', 'check the pid'],
        code: 'ESRCH',
      },
      {
        try: `object('usdt').programs.prog.attach({ kind: 'usdt', path: 'libc.so.6', provider: 'libc', name: 'nothing' })`,
        says: [
          'no maps for the arguments of probes',
          'include <bpf/usdt.bpf.h>',
        ],
      },
      {
        try: `object('iter/task', { programs: { prog: { target: 'taskk' } } })`,
        says: [/there is no 'taskk'|no 'bpf_iter_taskk'|no 'taskk'/, /./],
        code: 'ESRCH',
      },
      {
        try: `object('fentry/vfs_opn')`,
        says: ["no 'vfs_opn' to attach to", /^did you mean 'vfs_open'/],
      },
      {
        try: `object('tp_btf/sys_entr')`,
        says: ["no 'sys_entr' to attach to", /^did you mean 'sys_enter'/],
      },
      {
        try: `object('iter/tasks')`,
        says: ["no 'tasks' to attach to", /^did you mean 'task'/],
      },
      {
        try: `object('rawtp/sys_enter')`,
        says: [
          "its section 'rawtp/sys_enter' tells no type of program",
          /^did you mean 'raw_tp\/sys_enter'/,
        ],
        code: 'EINVAL',
      },
      {
        try: `object('nothing_like_it')`,
        says: [
          "its section 'nothing_like_it' tells no type of program",
          'give it a type (programs, type)',
        ],
        code: 'EINVAL',
      },
      {
        try: `object('xdp').programs.prog.attach({ kind: 'xdp', interface: 'lol' })`,
        says: ["no interface 'lol'", /^did you mean .*'lo'/],
        code: 'ENODEV',
      },
      {
        try: `object('cgroup/connect4').programs.prog.attach({ kind: 'cgroup', path: '/proc' })`,
        says: [
          "'/proc' is no folder of a cgroup2 file system",
          'mount -t cgroup2',
        ],
        code: 'EBADF',
      },
      {
        try: `object('perf_event').programs.prog.attach({ kind: 'perf_event', event: { type: 4, config: 99999 }, period: 1 })`,
        says: ['no perf event of type 4', 'software clock'],
      },
      {
        try: `bpf.KernelMap.fromPin('/sys/fs/bpf/nothing-here')`,
        says: ['nothing is pinned there', 'pins() lists what is'],
        code: 'ENOENT',
      },
      {
        try: `bpf.KernelMap.fromId(0xfffffff0)`,
        says: ['the kernel has no map of this id', 'mapIds()'],
        code: 'ENOENT',
      },
      {
        try: `bpf.Btf.kernel('no_such_module')`,
        says: [
          'module no_such_module is not loaded or has no BTF',
          'modprobe no_such_module',
        ],
      },
    ],
  ],
];

const noTools = ['setpriv', 'unshare', 'prlimit', 'gcc'].find(
  (tool) => spawnSync(tool, ['--version']).error,
);
const notRoot =
  process.getuid?.() === 0 ? undefined : 'only root can take privileges away';

describeUnless(
  noKernel ??
    notRoot ??
    (noTools === undefined ? undefined : `there is no ${noTools}`),
  'what refusals say',
  () => {
    let folder: ReturnType<typeof temporary>;
    let library: string;
    beforeAll(() => {
      folder = temporary();
      library = buildFaults(folder.path);
    });
    afterAll(() => folder.remove());

    /** What the process says, of that machine. */
    function ask(
      machine: Machine,
      text: string,
    ): (Record<string, string> & { works?: boolean })[] {
      const env: Record<string, string> = { ...machine.env };
      const control = join(folder.path, 'control');
      if (machine.fault) {
        // struct control of faults.c: on, first, times, errno, only
        const [kind, errno] = machine.fault;
        const words = new Uint32Array(1 << 16);
        words.set([1, 1, 0xffffffff, errno, kind]);
        const fd = openSync(control, 'w');
        writeSync(fd, words);
        closeSync(fd);
        env['FAULTS'] = control;
        env['FAULTS_MODULE'] = `${process.platform}-${process.arch}.node`;
      }
      const preload =
        machine.env || machine.fault ? ['env', `LD_PRELOAD=${library}`] : [];
      const node = [
        ...(machine.under ?? []),
        ...preload,
        process.execPath,
        '-e',
        text,
      ];
      const shell = `set -e; D=$(mktemp -d); mount -t tmpfs none $D; ${machine.mounts}; exec "$@"`;
      const [command = '', ...args] = machine.mounts
        ? ['unshare', '--mount', 'sh', '-c', shell, 'sh', ...node]
        : node;
      const { stdout, stderr, status } = spawnSync(command, args, {
        cwd: '/',
        encoding: 'utf8',
        env: { ...process.env, ...env },
      });
      rmSync(control, { force: true });
      if (status !== 0) throw new Error(`ended with ${status}: ${stderr}`);
      return JSON.parse(stdout) as Record<string, string>[];
    }

    for (const [who, machine, cases] of table) {
      const elsewhere =
        machine.locked && machine.locked !== lockedDown
          ? `this kernel is not locked down to ${machine.locked}`
          : undefined;
      describeUnless(elsewhere, who, () => {
        const bodies = cases.map(
          ({ try: attempt }) =>
            (tries as Record<string, string>)[attempt] ?? attempt,
        );
        let answers: ReturnType<typeof ask>;
        beforeAll(() => {
          answers = ask(machine, script(machine.setup ?? '', bodies));
        });
        cases.forEach(({ try: attempt, says, code, unless }, index) => {
          testUnless(unless, attempt.slice(0, 100), () => {
            const said = answers[index] ?? {};
            if (says === null) {
              expect(said).toEqual({ works: true });
              return;
            }
            const [reason, remedy] = says;
            expect(said).toMatchObject({
              name: 'KernelError',
              reason:
                typeof reason === 'string'
                  ? expect.stringContaining(reason)
                  : expect.stringMatching(reason),
              remedy:
                typeof remedy === 'string'
                  ? expect.stringContaining(remedy)
                  : expect.stringMatching(remedy),
              ...(code !== undefined && { code }),
            });
            // The message has it all: what, where, why, what to do.
            const { operation = '', message = '' } = said;
            expect(message.startsWith(operation)).toBe(true);
            expect(message).toContain(
              `${said['reason']} (${said['code']}); ${said['remedy']}`,
            );
          });
        });
      });
    }

    testUnless(
      unbuilt('KPROBES'),
      'a function of the kernel that is not there',
      () => {
        const text = script('', [
          `object('kprobe').programs.prog.attach({ kind: 'kprobe', name: 'vfs_opn' })`,
        ]);
        const [{ reason, remedy } = {}] = ask({}, text);
        expect(reason).toContain("no function 'vfs_opn'");
        expect(remedy).toMatch(/^did you mean 'vfs_open'/);
      },
    );
  },
);
