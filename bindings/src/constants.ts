/**
 * constants.ts - the numbers of the kernel's UAPI by name, as npm bpf 1.x exports them (without the
 * zeros that mean "unspecified"). asm-core/def has the rows; a test compares.
 */

/** Bytes of an object's name, with the NUL at its end. */
export const OBJ_NAME_LEN = 16;

/** enum bpf_prog_type */
export enum ProgramType {
  /** Since Linux 3.19. */
  SOCKET_FILTER = 1,
  /** Since Linux 4.1. */
  KPROBE = 2,
  /** Since Linux 4.1. */
  SCHED_CLS = 3,
  /** Since Linux 4.1. */
  SCHED_ACT = 4,
  /** Since Linux 4.7. */
  TRACEPOINT = 5,
  /** Since Linux 4.8. */
  XDP = 6,
  /** Since Linux 4.9. */
  PERF_EVENT = 7,
  /** Since Linux 4.10. */
  CGROUP_SKB = 8,
  /** Since Linux 4.10. */
  CGROUP_SOCK = 9,
  /** Since Linux 4.10. */
  LWT_IN = 10,
  /** Since Linux 4.10. */
  LWT_OUT = 11,
  /** Since Linux 4.10. */
  LWT_XMIT = 12,
  /** Since Linux 4.13. */
  SOCK_OPS = 13,
  /** Since Linux 4.14. */
  SK_SKB = 14,
  /** Since Linux 4.15. */
  CGROUP_DEVICE = 15,
  /** Since Linux 4.17. */
  SK_MSG = 16,
  /** Since Linux 4.17. */
  RAW_TRACEPOINT = 17,
  /** Since Linux 4.17. */
  CGROUP_SOCK_ADDR = 18,
  /** Since Linux 4.18. */
  LWT_SEG6LOCAL = 19,
  /** Since Linux 4.18. */
  LIRC_MODE2 = 20,
  /** Since Linux 4.19. */
  SK_REUSEPORT = 21,
  /** Since Linux 4.20. */
  FLOW_DISSECTOR = 22,
  /** Since Linux 5.2. */
  CGROUP_SYSCTL = 23,
  /** Since Linux 5.2. */
  RAW_TRACEPOINT_WRITABLE = 24,
  /** Since Linux 5.3. */
  CGROUP_SOCKOPT = 25,
  /** Since Linux 5.5. */
  TRACING = 26,
  /** Since Linux 5.6. */
  STRUCT_OPS = 27,
  /** Since Linux 5.6. */
  EXT = 28,
  /** Since Linux 5.7. */
  LSM = 29,
  /** Since Linux 5.9. */
  SK_LOOKUP = 30,
  /** Since Linux 5.14. */
  SYSCALL = 31,
  /** Since Linux 6.4. */
  NETFILTER = 32,
}

/** enum bpf_attach_type */
export enum AttachType {
  CGROUP_INET_INGRESS = 0,
  CGROUP_INET_EGRESS = 1,
  CGROUP_INET_SOCK_CREATE = 2,
  CGROUP_SOCK_OPS = 3,
  SK_SKB_STREAM_PARSER = 4,
  SK_SKB_STREAM_VERDICT = 5,
  CGROUP_DEVICE = 6,
  SK_MSG_VERDICT = 7,
  CGROUP_INET4_BIND = 8,
  CGROUP_INET6_BIND = 9,
  CGROUP_INET4_CONNECT = 10,
  CGROUP_INET6_CONNECT = 11,
  CGROUP_INET4_POST_BIND = 12,
  CGROUP_INET6_POST_BIND = 13,
  CGROUP_UDP4_SENDMSG = 14,
  CGROUP_UDP6_SENDMSG = 15,
  LIRC_MODE2 = 16,
  FLOW_DISSECTOR = 17,
  CGROUP_SYSCTL = 18,
  CGROUP_UDP4_RECVMSG = 19,
  CGROUP_UDP6_RECVMSG = 20,
  CGROUP_GETSOCKOPT = 21,
  CGROUP_SETSOCKOPT = 22,
  TRACE_RAW_TP = 23,
  TRACE_FENTRY = 24,
  TRACE_FEXIT = 25,
  MODIFY_RETURN = 26,
  LSM_MAC = 27,
  TRACE_ITER = 28,
  CGROUP_INET4_GETPEERNAME = 29,
  CGROUP_INET6_GETPEERNAME = 30,
  CGROUP_INET4_GETSOCKNAME = 31,
  CGROUP_INET6_GETSOCKNAME = 32,
  XDP_DEVMAP = 33,
  CGROUP_INET_SOCK_RELEASE = 34,
  XDP_CPUMAP = 35,
  SK_LOOKUP = 36,
  XDP = 37,
  SK_SKB_VERDICT = 38,
  SK_REUSEPORT_SELECT = 39,
  SK_REUSEPORT_SELECT_OR_MIGRATE = 40,
  PERF_EVENT = 41,
  TRACE_KPROBE_MULTI = 42,
  LSM_CGROUP = 43,
  STRUCT_OPS = 44,
  NETFILTER = 45,
  TCX_INGRESS = 46,
  TCX_EGRESS = 47,
  TRACE_UPROBE_MULTI = 48,
  CGROUP_UNIX_CONNECT = 49,
  CGROUP_UNIX_SENDMSG = 50,
  CGROUP_UNIX_RECVMSG = 51,
  CGROUP_UNIX_GETPEERNAME = 52,
  CGROUP_UNIX_GETSOCKNAME = 53,
  NETKIT_PRIMARY = 54,
  NETKIT_PEER = 55,
  TRACE_KPROBE_SESSION = 56,
  TRACE_UPROBE_SESSION = 57,
  TRACE_FSESSION = 58,
  TRACE_FENTRY_MULTI = 59,
  TRACE_FEXIT_MULTI = 60,
  TRACE_FSESSION_MULTI = 61,
}

/** enum bpf_map_type */
export enum MapType {
  /** Since Linux 3.19. */
  HASH = 1,
  /** Since Linux 3.19. */
  ARRAY = 2,
  /** Since Linux 4.2. */
  PROG_ARRAY = 3,
  /** Since Linux 4.3. */
  PERF_EVENT_ARRAY = 4,
  /** Since Linux 4.6. */
  PERCPU_HASH = 5,
  /** Since Linux 4.6. */
  PERCPU_ARRAY = 6,
  /** Since Linux 4.6. */
  STACK_TRACE = 7,
  /** Since Linux 4.8. */
  CGROUP_ARRAY = 8,
  /** Since Linux 4.10. */
  LRU_HASH = 9,
  /** Since Linux 4.10. */
  LRU_PERCPU_HASH = 10,
  /** Since Linux 4.11. */
  LPM_TRIE = 11,
  /** Since Linux 4.12. */
  ARRAY_OF_MAPS = 12,
  /** Since Linux 4.12. */
  HASH_OF_MAPS = 13,
  /** Since Linux 4.14. */
  DEVMAP = 14,
  /** Since Linux 4.14. */
  SOCKMAP = 15,
  /** Since Linux 4.15. */
  CPUMAP = 16,
  /** Since Linux 4.18. */
  XSKMAP = 17,
  /** Since Linux 4.18. */
  SOCKHASH = 18,
  /** Since Linux 4.19. */
  CGROUP_STORAGE = 19,
  /** Since Linux 4.19. */
  REUSEPORT_SOCKARRAY = 20,
  /** Since Linux 4.20. */
  PERCPU_CGROUP_STORAGE = 21,
  /** Since Linux 4.20. */
  QUEUE = 22,
  /** Since Linux 4.20. */
  STACK = 23,
  /** Since Linux 5.2. */
  SK_STORAGE = 24,
  /** Since Linux 5.4. */
  DEVMAP_HASH = 25,
  /** Since Linux 5.6. */
  STRUCT_OPS = 26,
  /** Since Linux 5.8. */
  RINGBUF = 27,
  /** Since Linux 5.10. */
  INODE_STORAGE = 28,
  /** Since Linux 5.11. */
  TASK_STORAGE = 29,
  /** Since Linux 5.16. */
  BLOOM_FILTER = 30,
  /** Since Linux 6.1. */
  USER_RINGBUF = 31,
  /** Since Linux 6.2. */
  CGRP_STORAGE = 32,
  /** Since Linux 6.9. */
  ARENA = 33,
  /** Since Linux 6.19. */
  INSN_ARRAY = 34,
}

/** Flags of maps, at their creation. */
export enum MapFlags {
  /** No memory before it is needed. Since Linux 4.6. */
  NO_PREALLOC = 1,
  /** LRU maps: a list for each CPU. Since Linux 4.10. */
  NO_COMMON_LRU = 2,
  /** On the NUMA node that the definition names. Since Linux 4.14. */
  NUMA_NODE = 4,
  /** User space only reads. Since Linux 4.15. */
  RDONLY = 8,
  /** User space only writes. Since Linux 4.15. */
  WRONLY = 16,
  /** Stack traces: build id and offset instead of addresses. Since Linux 4.17. */
  STACK_BUILD_ID = 32,
  /** A hash seed of zero, for tests. Since Linux 5.0. */
  ZERO_SEED = 64,
  /** Programs only read. Since Linux 5.2. */
  RDONLY_PROG = 128,
  /** Programs only write. Since Linux 5.2. */
  WRONLY_PROG = 256,
  /** Accepted sockets inherit what the listener stores. Since Linux 5.4. */
  CLONE = 512,
  /** Its memory can be mapped. Since Linux 5.5. */
  MMAPABLE = 1024,
  /** Share perf events among processes. Since Linux 5.10. */
  PRESERVE_ELEMS = 2048,
  /** Arrays that maps of maps hold: they may differ in size. Since Linux 5.10. */
  INNER_MAP = 4096,
  /** struct_ops maps that links attach. Since Linux 6.4. */
  LINK = 8192,
  /** Sockets are given by path. Since Linux 6.6. */
  PATH_FD = 16384,
  /** The BTF of struct_ops is a module's. Since Linux 6.9. */
  VTYPE_BTF_OBJ_FD = 32768,
  /** A token gives the right. Since Linux 6.9. */
  TOKEN_FD = 65536,
  /** Arenas: touching a page that is not there faults. Since Linux 6.9. */
  SEGV_ON_FAULT = 131072,
  /** Arenas: no translation for user space. Since Linux 6.9. */
  NO_USER_CONV = 262144,
  /** Ring buffers: new records overwrite the oldest. Since Linux 6.19. */
  RB_OVERWRITE = 524288,
}

/** Flags of an update. */
export enum MapUpdateFlags {
  /** Make or change. */
  ANY = 0,
  /** Only make. */
  NOEXIST = 1,
  /** Only change. */
  EXIST = 2,
  /** Under the value's spin lock. Since Linux 5.1. */
  F_LOCK = 4,
}

/** Flags of a lookup. */
export enum MapLookupFlags {
  /** Under the value's spin lock. Since Linux 5.1. */
  F_LOCK = 4,
}

/** Errors that libbpf has beyond errno. */
export enum LibbpfErrno {
  LIBELF = 4000,
  FORMAT = 4001,
  KVERSION = 4002,
  ENDIAN = 4003,
  INTERNAL = 4004,
  RELOC = 4005,
  LOAD = 4006,
  VERIFY = 4007,
  PROG2BIG = 4008,
  KVER = 4009,
  PROGTYPE = 4010,
  WRNGPID = 4011,
  INVSEQ = 4012,
  NLPARSE = 4013,
}

/** What they mean. */
export const libbpfErrnoMessages: { [errno: number]: string } = {
  [LibbpfErrno.LIBELF]: 'Something wrong in libelf',
  [LibbpfErrno.FORMAT]: 'BPF object format invalid',
  [LibbpfErrno.KVERSION]: "Incorrect or no 'version' section",
  [LibbpfErrno.ENDIAN]: 'Endian mismatch',
  [LibbpfErrno.INTERNAL]: 'Internal error in libbpf',
  [LibbpfErrno.RELOC]: 'Relocation failed',
  [LibbpfErrno.LOAD]: 'Load program failure for unknown reason',
  [LibbpfErrno.VERIFY]: 'Kernel verifier blocks program loading',
  [LibbpfErrno.PROG2BIG]: 'Program too big',
  [LibbpfErrno.KVER]: 'Incorrect kernel version',
  [LibbpfErrno.PROGTYPE]: "Kernel doesn't support this program type",
  [LibbpfErrno.WRNGPID]: 'Wrong pid in netlink message',
  [LibbpfErrno.INVSEQ]: 'Invalid netlink sequence',
  [LibbpfErrno.NLPARSE]: 'Incorrect netlink message parsing',
};
