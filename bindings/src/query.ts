/**
 * query.ts - what is attached somewhere, whoever attached it.
 */
import { addon } from './addon';
import { checkNames, namesOf } from './options';
import { onInterface, directionOf, type Of } from './target';

/** A place whose programs the kernel lists. */
export type QueryTarget =
  /** A folder of a cgroup2 file system (4.15). */
  | {
      kind: 'cgroup';
      path: string;
      /** Also what is inherited, in the order in which it runs. */
      effective?: boolean;
      /** enum bpf_attach_type; default: all. */
      attachType?: number;
    }
  /** sk_lookup (5.9) and flow_dissector (5.8); default: this process's namespace */
  | { kind: 'netns'; path?: string; attachType?: number }
  /** A sockmap or sockhash (5.17). */
  | { kind: 'sockmap'; map: { readonly fd: number }; attachType?: number }
  /** /dev/lirc0 (4.18) */
  | { kind: 'lirc'; path: string }
  /** tcx: 6.6. By the name or number of an interface of this namespace, as all below. */
  | {
      kind: 'tcx' | 'tc';
      interface: string | number;
      direction?: 'ingress' | 'egress';
    }
  /** 6.7 */
  | {
      kind: 'netkit';
      interface: string | number;
      device?: 'primary' | 'peer';
    }
  | { kind: 'xdp'; interface: string | number };

const onDirection = namesOf<Of<'tc', QueryTarget>>()(
  'kind interface direction',
);
const targetNames: Readonly<Record<QueryTarget['kind'], readonly string[]>> = {
  cgroup: namesOf<Of<'cgroup', QueryTarget>>()(
    'kind path effective attachType',
  ),
  netns: namesOf<Of<'netns', QueryTarget>>()('kind path attachType'),
  sockmap: namesOf<Of<'sockmap', QueryTarget>>()('kind map attachType'),
  lirc: namesOf<Of<'lirc', QueryTarget>>()('kind path'),
  tcx: onDirection,
  tc: onDirection,
  netkit: namesOf<Of<'netkit', QueryTarget>>()('kind interface device'),
  xdp: namesOf<Of<'xdp', QueryTarget>>()('kind interface'),
};

export interface Attached {
  /** KernelProgram.fromId() opens it. */
  programId: number;
  /** Link.fromId() opens it. Told of tcx and netkit, where it is a link. */
  linkId?: number;
  /** enum bpf_attach_type; none of the classic tc */
  attachType?: number;
  /** BPF_F_ALLOW_MULTI and so on; of XDP the mode. */
  flags: number;
  /** xdp */
  mode?: 'generic' | 'native' | 'offload';
  /** tc */
  direction?: 'ingress' | 'egress';
  priority?: number;
  handle?: number;
}

export interface QueryResult {
  /** In the order in which they run, hook by hook. */
  programs: Attached[];
  /** Of the hook, where one was asked for: what Placement.revision compares (tcx, netkit 6.6). */
  revision?: bigint;
}

/** XDP_FLAGS_SKB_MODE and so on. */
const MODES = { 2: 'generic', 4: 'native', 8: 'offload' } as const;

/** What is attached there. Needs CAP_NET_ADMIN, but for xdp and tc. */
export function query(target: QueryTarget): QueryResult {
  const { kind } = target;
  if (Object.hasOwn(targetNames, kind)) {
    checkNames(`query(): ${kind}`, target, targetNames[kind]);
  } // else it is told below
  const { attached, revision } = addon().query({
    kind,
    ...('path' in target && { path: target.path }),
    ...('map' in target && { fd: target.map.fd }),
    ...('attachType' in target && { attachType: target.attachType }),
    ...('effective' in target && { effective: target.effective }),
    ...('interface' in target && onInterface(target.interface)),
    ...('direction' in target && directionOf(target)),
    ...('device' in target && directionOf(target)),
  });
  return {
    programs: attached.map((one) => ({
      programId: one.programId,
      flags: one.flags,
      ...(one.linkId !== 0 && { linkId: one.linkId }),
      ...(target.kind !== 'tc' && { attachType: one.attachType }),
      ...(target.kind === 'xdp' && {
        mode: MODES[one.flags as keyof typeof MODES],
      }),
      ...(target.kind === 'tc' && {
        direction: one.direction === 1 ? 'ingress' : 'egress',
        priority: one.priority,
        handle: one.handle,
      }),
    })),
    ...(revision !== 0n && { revision }),
  };
}
