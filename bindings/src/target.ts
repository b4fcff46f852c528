/**
 * target.ts - where programs can be attached: one type with a variant per kind of hook, in words,
 * and what the addon makes of them, in numbers. Minimum kernels are in the comments; an older one
 * says so when it is asked.
 */
import type { NativeTarget } from '../addon/addon';
import { Link } from './kernel_link';
import { nearest, question } from './near';
import { checkNames, namesOf } from './options';

/** What bpf_get_attach_cookie() returns in the program. */
export interface Cookie {
  cookie?: bigint | number;
}

/** Where to stand among the programs of a hook; default: last. */
export interface Placement {
  /**
   * 'first', 'last', or beside a program or link that is there already; of things of another
   * process { programId } or { linkId }.
   */
  place?: 'first' | 'last' | { before: Neighbour } | { after: Neighbour };
  /** ESTALE unless the hook's revision is this. */
  revision?: bigint | number;
}

export type Neighbour =
  { readonly fd: number } | { programId: number } | { linkId: number };

/** An interface's name or number. */
export interface OnInterface {
  interface: string | number;
}

/** Names, addresses and cookies of a multi-probe go together: as many of each. */
interface Many {
  names?: readonly string[];
  /** With '*' and '?'. */
  pattern?: string;
  cookies?: readonly (bigint | number)[];
}

export interface KprobeTarget extends Cookie {
  /** At the entry (4.17), or at the return; cookie: 5.15. */
  kind: 'kprobe' | 'kretprobe';
  /** A kernel function ... */
  name?: string;
  /** ... and bytes behind its start. */
  offset?: bigint | number;
  /** Instead of a name. */
  address?: bigint | number;
}

export interface KprobeMultiTarget extends Many {
  /** Many functions by one link (5.18); a session (SEC("kprobe.session"), 6.10) is the first. */
  kind: 'kprobe_multi' | 'kretprobe_multi';
  addresses?: readonly (bigint | number)[];
}

export interface UprobeTarget extends Cookie {
  /** At the entry or the return of a user function (4.17); cookie: 5.15. */
  kind: 'uprobe' | 'uretprobe';
  /** An executable or library; a name without '/' is searched as libraries and commands are. */
  path: string;
  /** A function of its symbol table; `offset` counts from there. */
  name?: string;
  /** In the file, when there is no name. */
  offset?: bigint | number;
  /** Only this process; default all. */
  pid?: number;
  /** Of the semaphore that the program waits for (USDT by hand). */
  refCtrOffset?: bigint | number;
}

export interface UprobeMultiTarget extends Many {
  /** Many functions of one file by one link (6.6); sessions (6.13) are the first. */
  kind: 'uprobe_multi' | 'uretprobe_multi';
  path: string;
  offsets?: readonly (bigint | number)[];
  refCtrOffsets?: readonly (bigint | number)[];
  pid?: number;
}

export interface IterTarget {
  /** What read() and stream() of its link visit (5.8). */
  kind: 'iter';
  /** iter/bpf_map_elem, iter/bpf_sk_storage_map. */
  map?: { readonly fd: number };
  /** iter/cgroup (6.1): the path of one ... */
  cgroup?: string;
  /** ... and what beside it; default 'self'. */
  order?: keyof typeof orders;
  /** iter/task, task_file, task_vma (6.1): only of this process or thread. */
  pid?: number;
  tid?: number;
}

export interface PerfEventTarget extends Cookie {
  /** The event is opened here; on all CPUs unless `pid` or `cpu` says otherwise (4.9). */
  kind: 'perf_event';
  event: keyof typeof events | { type: number; config: bigint | number };
  /** A run after so many events ... */
  period?: bigint | number;
  /** ... or so many runs per second. */
  frequency?: number;
  pid?: number;
  cpu?: number;
  /** With pid: also the threads and processes that it starts. */
  inherit?: boolean;
}

export interface XdpTarget extends OnInterface {
  /** A link (5.9), or by netlink where there are none. */
  kind: 'xdp';
  /** Default: native where the driver has it, generic elsewhere. */
  mode?: 'generic' | 'native' | 'offload';
  /** By netlink, which every kernel has. */
  legacy?: boolean;
  /** With legacy: in place of what is there. */
  replace?: boolean;
}

export interface TcTarget extends OnInterface {
  /** The classic way: a filter of the clsact qdisc, which is made and stays (4.5). */
  kind: 'tc';
  direction: 'ingress' | 'egress';
  /** Lower ones run first; the kernel chooses where these are not given. */
  priority?: number;
  handle?: number;
  /** In place of what has the same priority and handle. */
  replace?: boolean;
}

export interface TcxTarget extends OnInterface, Placement {
  /** 6.6 */
  kind: 'tcx';
  /** Default: what the section says, SEC("tcx/ingress"). */
  direction?: 'ingress' | 'egress';
}

export interface NetkitTarget extends OnInterface, Placement {
  /** 6.7; the interface is the primary one. */
  kind: 'netkit';
  /** Default: what the section says, SEC("netkit/primary"). */
  device?: 'primary' | 'peer';
}

export interface CgroupTarget extends Placement {
  /** Every hook of SEC("cgroup/..."), sockops and lsm_cgroup (4.10; as a link 5.7). */
  kind: 'cgroup';
  /** A folder of a cgroup2 file system. */
  path: string;
  /**
   * Default 'link'. The others are older and outlive this process unless the link is closed:
   * 'multi' beside others, 'override' (children may replace it), 'exclusive'.
   */
  mode?: keyof typeof modes;
  /** Run in the pass from the root down (6.15), not in that up. */
  preorder?: boolean;
}

export interface NetfilterTarget {
  /** 6.4 */
  kind: 'netfilter';
  family: keyof typeof families;
  hook: keyof typeof hooks;
  /** Lower ones run first; each is taken by one program. */
  priority: number;
  /** Let the kernel put fragments together first (6.6). */
  defrag?: boolean;
}

/** Where to attach. Without a target the section's name decides. */
export type AttachTarget = (
  | ({ kind: 'section' } & Cookie)
  /** 4.17, cookie: 6.10 */
  | ({ kind: 'raw_tracepoint'; name: string } & Cookie)
  /** 4.7, cookie: 5.15; needs tracefs */
  | ({ kind: 'tracepoint'; category: string; name: string } & Cookie)
  | KprobeTarget
  /** A system call by its plain name, 'openat'. */
  | ({ kind: 'ksyscall' | 'kretsyscall'; name: string } & Cookie)
  | KprobeMultiTarget
  | UprobeTarget
  | UprobeMultiTarget
  /** A static probe of a program or library; needs usdt.bpf.h in the program. */
  | ({
      kind: 'usdt';
      path: string;
      provider: string;
      name: string;
      pid?: number;
    } & Cookie)
  /** fentry, fexit, fmod_ret, tp_btf (5.5), lsm (5.7): where load() was told; cookie: 5.19 */
  | ({ kind: 'tracing' } & Cookie)
  /** A function of another program than load() was told (5.10). */
  | { kind: 'freplace'; program?: { readonly fd: number }; name?: string }
  | IterTarget
  | PerfEventTarget
  | XdpTarget
  | TcTarget
  | TcxTarget
  | NetkitTarget
  | CgroupTarget
  /** sk_lookup (5.9), flow_dissector (5.8); default: this process's namespace */
  | { kind: 'netns'; path?: string }
  /** sk_msg (4.17), sk_skb (4.14); as a link 6.10, else BPF_PROG_ATTACH */
  | { kind: 'sockmap'; map: { readonly fd: number }; legacy?: boolean }
  /** SO_ATTACH_BPF (3.19), SO_ATTACH_REUSEPORT_EBPF (4.5) */
  | { kind: 'socket' | 'reuseport'; fd: number }
  | NetfilterTarget
  /** /dev/lirc0 (4.18) */
  | { kind: 'lirc'; path: string }
) & {
  /** enum bpf_attach_type, for programs that were opened by id or pin: the kernel hides theirs. */
  attachType?: number;
};

type Kind = AttachTarget['kind'];
/** @internal The members of a union that are of this kind. */
export type Of<K, T = AttachTarget> = T extends { kind: infer Kinds }
  ? K extends Kinds
    ? T
    : never
  : never;

const kprobe = namesOf<Of<'kprobe'>>()(
  'kind attachType name offset address cookie',
);
const ksyscall = namesOf<Of<'ksyscall'>>()('kind attachType name cookie');
const kprobeMulti = namesOf<Of<'kprobe_multi'>>()(
  'kind attachType names pattern addresses cookies',
);
const uprobe = namesOf<Of<'uprobe'>>()(
  'kind attachType path name offset pid refCtrOffset cookie',
);
const uprobeMulti = namesOf<Of<'uprobe_multi'>>()(
  'kind attachType path names pattern offsets refCtrOffsets cookies pid',
);
const socket = namesOf<Of<'socket'>>()('kind attachType fd');

/** What each kind of target has. */
const targetNames: Readonly<Record<Kind, readonly string[]>> = {
  section: namesOf<Of<'section'>>()('kind attachType cookie'),
  raw_tracepoint: namesOf<Of<'raw_tracepoint'>>()(
    'kind attachType name cookie',
  ),
  tracepoint: namesOf<Of<'tracepoint'>>()(
    'kind attachType category name cookie',
  ),
  kprobe,
  kretprobe: kprobe,
  ksyscall,
  kretsyscall: ksyscall,
  kprobe_multi: kprobeMulti,
  kretprobe_multi: kprobeMulti,
  uprobe,
  uretprobe: uprobe,
  uprobe_multi: uprobeMulti,
  uretprobe_multi: uprobeMulti,
  usdt: namesOf<Of<'usdt'>>()('kind attachType path provider name pid cookie'),
  tracing: namesOf<Of<'tracing'>>()('kind attachType cookie'),
  freplace: namesOf<Of<'freplace'>>()('kind attachType program name'),
  iter: namesOf<Of<'iter'>>()('kind attachType map cgroup order pid tid'),
  perf_event: namesOf<Of<'perf_event'>>()(
    'kind attachType event period frequency pid cpu inherit cookie',
  ),
  xdp: namesOf<Of<'xdp'>>()('kind attachType interface mode legacy replace'),
  tc: namesOf<Of<'tc'>>()(
    'kind attachType interface direction priority handle replace',
  ),
  tcx: namesOf<Of<'tcx'>>()(
    'kind attachType interface direction place revision',
  ),
  netkit: namesOf<Of<'netkit'>>()(
    'kind attachType interface device place revision',
  ),
  cgroup: namesOf<Of<'cgroup'>>()(
    'kind attachType path mode place revision preorder',
  ),
  netns: namesOf<Of<'netns'>>()('kind attachType path'),
  sockmap: namesOf<Of<'sockmap'>>()('kind attachType map legacy'),
  socket,
  reuseport: socket,
  netfilter: namesOf<Of<'netfilter'>>()(
    'kind attachType family hook priority defrag',
  ),
  lirc: namesOf<Of<'lirc'>>()('kind attachType path'),
};

/** enum bpf_cgroup_iter_order */
const orders = {
  self: 1,
  'descendants-pre': 2,
  'descendants-post': 3,
  'ancestors-up': 4,
} as const;

const modes = { link: 0, multi: 1, override: 2, exclusive: 3 } as const;
const families = { ipv4: 2, ipv6: 10 } as const;
/** enum nf_inet_hooks */
const hooks = {
  prerouting: 0,
  input: 1,
  forward: 2,
  output: 3,
  postrouting: 4,
} as const;
/** XDP_FLAGS_* */
const xdpModes = { generic: 2, native: 4, offload: 8 } as const;
const directions = { ingress: 1, egress: 2 } as const;
const devices = { primary: 1, peer: 2 } as const;

const HARDWARE = 0;
const SOFTWARE = 1;
/** PERF_COUNT_SW_* and PERF_COUNT_HW_* */
const events = {
  'cpu-clock': [SOFTWARE, 0],
  'task-clock': [SOFTWARE, 1],
  'page-faults': [SOFTWARE, 2],
  'context-switches': [SOFTWARE, 3],
  'cpu-migrations': [SOFTWARE, 4],
  'minor-faults': [SOFTWARE, 5],
  'major-faults': [SOFTWARE, 6],
  cycles: [HARDWARE, 0],
  instructions: [HARDWARE, 1],
  'cache-references': [HARDWARE, 2],
  'cache-misses': [HARDWARE, 3],
  'branch-instructions': [HARDWARE, 4],
  'branch-misses': [HARDWARE, 5],
  'bus-cycles': [HARDWARE, 6],
  'ref-cycles': [HARDWARE, 9],
} as const;

/** BPF_F_BEFORE and so on */
const BEFORE = 1 << 3;
const AFTER = 1 << 4;
const ID = 1 << 5;
const PREORDER = 1 << 6;
const LINK = 1 << 13;
const IP_DEFRAG = 1;

/** The number behind a word; RangeError names the words there are. */
function word<V>(
  words: Readonly<Record<string, V>>,
  given: string,
  what: string,
): V {
  const value = Object.hasOwn(words, given) ? words[given] : undefined;
  if (value !== undefined) return value;
  const known = Object.keys(words).join(', ');
  throw new RangeError(`${what} is one of ${known}, not ${String(given)}`);
}

function numbers(
  list: readonly (bigint | number)[] | undefined,
): BigUint64Array | undefined {
  return list && BigUint64Array.from(list, (value) => BigInt(value));
}

/** @internal */
export function onInterface(
  given: string | number,
): Pick<NativeTarget, 'interface' | 'ifindex'> {
  return typeof given === 'string' ? { interface: given } : { ifindex: given };
}

/** @internal The number of `direction` or `device`, where there is one. */
export function directionOf(target: {
  direction?: string;
  device?: string;
}): Pick<NativeTarget, 'direction'> {
  const { direction, device } = target;
  if (direction) return { direction: word(directions, direction, 'direction') };
  return device ? { direction: word(devices, device, 'device') } : {};
}

function neighbour(
  given: Neighbour,
): Pick<NativeTarget, 'anchorFlags' | 'anchorRelative'> {
  if ('programId' in given) {
    return { anchorFlags: ID, anchorRelative: given.programId };
  }
  if ('linkId' in given) {
    return { anchorFlags: ID | LINK, anchorRelative: given.linkId };
  }
  return {
    anchorFlags: given instanceof Link ? LINK : 0,
    anchorRelative: given.fd,
  };
}

function placement({ place, revision }: Placement): Partial<NativeTarget> {
  const rest = revision === undefined ? {} : { anchorRevision: revision };
  if (place === undefined) return rest;
  if (place === 'first') return { ...rest, anchorFlags: BEFORE };
  if (place === 'last') return { ...rest, anchorFlags: AFTER };
  const [flag, beside] =
    'before' in place ? [BEFORE, place.before] : [AFTER, place.after];
  const { anchorFlags = 0, anchorRelative } = neighbour(beside);
  return { ...rest, anchorFlags: anchorFlags | flag, anchorRelative };
}

/** What the addon takes. */
export function nativeTarget(target: AttachTarget): NativeTarget {
  const { kind, attachType } = target;
  checkKind(kind);
  checkNames(`attach(): ${kind}`, target, targetNames[kind]);
  const native = translate(target);
  return attachType === undefined ? native : { ...native, attachType };
}

function translate(target: AttachTarget): NativeTarget {
  switch (target.kind) {
    case 'section':
    case 'raw_tracepoint':
    case 'tracepoint':
    case 'tracing':
    case 'lirc':
    case 'netns':
    case 'ksyscall':
    case 'kprobe':
    case 'uprobe':
    case 'socket':
    case 'reuseport':
      return target;
    case 'kretprobe':
      return { ...target, kind: 'kprobe', atReturn: true };
    case 'kretsyscall':
      return { ...target, kind: 'ksyscall', atReturn: true };
    case 'uretprobe':
      return { ...target, kind: 'uprobe', atReturn: true };
    case 'kprobe_multi':
    case 'kretprobe_multi': {
      const { names, pattern, addresses, cookies } = target;
      return {
        kind: 'kprobe_multi',
        atReturn: target.kind === 'kretprobe_multi',
        names,
        pattern,
        offsets: numbers(addresses),
        cookies: numbers(cookies),
      };
    }
    case 'uprobe_multi':
    case 'uretprobe_multi': {
      const { path, names, pattern, pid } = target;
      return {
        kind: 'uprobe_multi',
        atReturn: target.kind === 'uretprobe_multi',
        path,
        names,
        pattern,
        pid,
        offsets: numbers(target.offsets),
        refCtrOffsets: numbers(target.refCtrOffsets),
        cookies: numbers(target.cookies),
      };
    }
    case 'usdt': {
      const { provider, ...rest } = target;
      return { ...rest, category: provider };
    }
    case 'freplace':
      return { kind: 'freplace', fd: target.program?.fd, name: target.name };
    case 'iter': {
      const { map, cgroup, order = 'self', pid, tid } = target;
      return {
        kind: 'iter',
        fd: map?.fd,
        path: cgroup,
        order: word(orders, order, 'order'),
        pid,
        tid,
      };
    }
    case 'perf_event':
      return perfEvent(target);
    case 'xdp': {
      const { mode, legacy, replace } = target;
      return {
        kind: 'xdp',
        ...onInterface(target.interface),
        flags: mode === undefined ? 0 : word(xdpModes, mode, 'mode'),
        legacy,
        replace,
      };
    }
    case 'tc':
      return {
        ...target,
        interface: undefined,
        ...onInterface(target.interface),
        direction: word(directions, target.direction, 'direction'),
      };
    case 'tcx':
    case 'netkit':
      return {
        kind: target.kind,
        ...onInterface(target.interface),
        ...placement(target),
        ...directionOf(target),
      };
    case 'cgroup': {
      const { path, mode = 'link', preorder } = target;
      const place = placement(target);
      return {
        kind: 'cgroup',
        path,
        cgroupMode: word(modes, mode, 'mode'),
        ...place,
        ...(preorder && { anchorFlags: (place.anchorFlags ?? 0) | PREORDER }),
      };
    }
    case 'sockmap':
      return { kind: 'sockmap', fd: target.map.fd, legacy: target.legacy };
    case 'netfilter':
      return {
        kind: 'netfilter',
        family: word(families, target.family, 'family'),
        hook: word(hooks, target.hook, 'hook'),
        priority: target.priority,
        flags: target.defrag ? IP_DEFRAG : 0,
      };
  }
}

function checkKind(kind: unknown): void {
  if (typeof kind !== 'string') {
    throw new TypeError(
      "kind must be a string, as in { kind: 'raw_tracepoint', name: 'sys_enter' }",
    );
  }
  if (Object.hasOwn(targetNames, kind)) return;
  const meant = nearest(kind, Object.keys(targetNames));
  throw new RangeError(
    `kind must be a kind of target, such as 'raw_tracepoint' or 'xdp', not '${kind}'${question(meant)}`,
  );
}

function perfEvent(target: PerfEventTarget): NativeTarget {
  const { event, period, frequency, pid, cpu, inherit, cookie } = target;
  const [eventType, eventConfig] =
    typeof event === 'string'
      ? word(events, event, 'event')
      : [event.type, event.config];
  return {
    kind: 'perf_event',
    eventType,
    eventConfig,
    period,
    frequency,
    pid,
    cpu,
    inherit,
    cookie,
  };
}
