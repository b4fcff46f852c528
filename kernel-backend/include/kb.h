/*
 * kb.h: kernel-backend's whole interface: load eBPF objects into the running Linux kernel, attach
 * programs, read and write maps. C11 over libbpf; it knows nothing of asm-core (only bytes of ELF
 * pass between them).
 *
 * Results. A function that can fail returns 0 or a negative errno and fills an error record if the
 * caller gave one. Values of -4000 and below are libbpf's own (kb_errno_name() knows them).
 * -ENOENT of lookup, delete, next_key and lookup_batch is an answer ("no such key", "no more"), not
 * an error: it leaves the record alone. Nothing is ever printed: libbpf's messages are captured,
 * per thread, into the record. For that kb takes over libbpf's process-wide print callback, which
 * matters only to a program that calls the same shared libbpf by itself.
 *
 * Ownership. Handles are opaque and belong to the caller until their close function, which takes
 * the address of the pointer and sets it to NULL: closing twice, or closing NULL, does nothing.
 * Handles may be closed in any order. A map handle has a file descriptor of its own. A program
 * handle keeps its object loaded; so does a link if it needs to. File descriptors that a handle
 * shows stay its own: never close them, dup() them to keep them. All are close-on-exec.
 *
 * Threads. Different handles may be used in different threads at once. One object with its program
 * handles is used by one thread at a time; map operations may run concurrently on one handle.
 *
 * Units and versions. Sizes are bytes, times nanoseconds, counts of instructions 8-byte slots; ids
 * are the kernel's own, never 0. Bytes of keys, values, contexts and records are in the machine's
 * byte order. A number like 5.8 is the first release of mainline Linux that has something
 * (include/uapi/linux/bpf.h and its history); distributions may have it earlier. On an older kernel
 * the call fails, mostly with -EINVAL; the text says which release has it where that is the cause.
 *
 * Errors that any call may give: -ENOMEM; -EBADF, what it is about is not in the kernel yet (load
 * it) or no more; -ERANGE, there is no such index, or a buffer is not of the size that it must be;
 * -EPERM, a capability is missing, or a policy forbids it: the text says which. Others stand where
 * they mean something of their own.
 *
 * TRUST. The ELF that is given to kb_object_open() must be trusted: libbpf and libelf are not made
 * for hostile input and can be crashed by it. asm-core reads untrusted objects safely and its
 * writer emits them anew; hand those bytes to kb, never a stranger's.
 */
#ifndef KB_H
#define KB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Errors ---------------------------------------------------------------------------------------*/

/*
 * What went wrong. Zero-initialise it, pass its address, and clear it when done; a record may be
 * reused, the next failure replaces what it held. A successful call does not touch it.
 */
struct kb_error {
    int errnum;            /* positive errno, 0 = no error recorded */
    const char *operation; /* what was being done, e.g. "load program"; static text */
    char *subject;         /* name of the program or map that it is about, or NULL */
    char *text;            /* one line for people: all of what is here but the log */
    char *reason;          /* why it failed, e.g. "this process lacks CAP_BPF" */
    char *remedy;          /* what to do about it, e.g. "run it as root or …" */
    char *log;             /* the kernel verifier's log, complete, or NULL */
    size_t log_size;       /* its length without the final zero */
};

/* Frees what the record holds and makes it empty. */
void kb_error_clear(struct kb_error *err);

/* "EPERM"; "ENOTSUPP" for the kernel's own 524; "LIBBPF_ERRNO__FORMAT"; "E?" when unknown. */
const char *kb_errno_name(int errnum);

/* Objects --------------------------------------------------------------------------------------*/

struct kb_object;
struct kb_program;
struct kb_map;
struct kb_link;

/* All options structures may be zero, and NULL stands for zero. */
struct kb_open_opts {
    const char *name;     /* object name, starts the names of its .data/.rodata/.bss maps; "bpf" */
    const char *pin_root; /* folder of maps that pin themselves by name; "/sys/fs/bpf" */
    const char *kconfig;  /* lines CONFIG_NAME=value, before those of the running kernel */
    const char *btf_path; /* CO-RE relocates for this BTF instead of the running kernel's */
    const char *token_path; /* a bpffs to make a BPF token of (6.9); "" = none */
    bool relaxed_maps;      /* ignore what libbpf does not know in definitions of maps */
};

/* Parses trusted ELF (see TRUST above). The bytes are copied. The kernel is not asked. */
int kb_object_open(const void *bytes, size_t size, const struct kb_open_opts *opts,
                   struct kb_object **object, struct kb_error *err);

/* Changes of an opened object, before it is loaded (EBUSY afterwards). Zero changes nothing. */
enum kb_choice { KB_AS_IS, KB_YES, KB_NO };

struct kb_program_changes {
    bool has_type;
    uint32_t type; /* enum bpf_prog_type */
    bool has_attach_type;
    uint32_t attach_type; /* enum bpf_attach_type */
    bool has_flags;
    uint32_t flags; /* BPF_F_SLEEPABLE, … */
    bool has_log_level;
    uint32_t log_level;
    /* What fentry, fexit, fmod_ret, tp_btf, lsm, freplace and iter programs are for: a name of the
     * kernel, or a function of the program target_fd. */
    const char *target_name;
    int target_fd;
    enum kb_choice autoload;   /* SEC("?...") says no */
    enum kb_choice autoattach; /* kb_program_info tells; this library attaches nothing by itself */
};
/* -ESRCH: there is no such target; -EINVAL: libbpf does not take the change, and says why. */
int kb_object_change_program(struct kb_object *object, size_t index,
                             const struct kb_program_changes *changes, struct kb_error *err);

enum { /* which numbers of kb_map_changes count */
       KB_SET_TYPE = 1 << 0,
       KB_SET_KEY_SIZE = 1 << 1,
       KB_SET_VALUE_SIZE = 1 << 2, /* of a data section: its last array grows or shrinks */
       KB_SET_MAX_ENTRIES = 1 << 3,
       KB_SET_FLAGS = 1 << 4,
       KB_SET_NUMA_NODE = 1 << 5,
       KB_SET_IFINDEX = 1 << 6,
       KB_SET_EXTRA = 1 << 7,
};
struct kb_map_changes {
    uint32_t set;
    uint32_t type, key_size, value_size, max_entries, flags, numa_node, ifindex;
    uint64_t extra;
    int inner_fd;         /* a map as the inner ones of this are */
    int reuse_fd;         /* this map instead of a new one */
    const char *pin_path; /* pinned there at load, or reused if it is there; "" = not */
    enum kb_choice autocreate;
    enum kb_choice autoattach; /* struct_ops */
};
/* -EINVAL: libbpf does not take the change, and says why. */
int kb_object_change_map(struct kb_object *object, size_t index,
                         const struct kb_map_changes *changes, struct kb_error *err);
/* What global variables start with: bytes at an offset of a .data, .rodata or .bss map. */
int kb_object_set_initial(struct kb_object *object, size_t index, size_t offset, const void *bytes,
                          size_t size, struct kb_error *err);

struct kb_load_opts {
    /*
     * The verifier's log. 0: none at first; when a program is refused it is loaded again with
     * level 1 and a buffer that grows until the log fits. Otherwise the kernel's level (1, 2, +4
     * for statistics) at once, and kb_program_log() has the log after success too.
     */
    uint32_t log_level;
};

/*
 * Creates the maps and loads the programs. An object can be loaded once; after a failure nothing of
 * it is left in the kernel and it can only be closed.
 */
int kb_object_load(struct kb_object *object, const struct kb_load_opts *opts, struct kb_error *err);

/* What it loaded stays as long as a handle, link or pin of it does. */
void kb_object_close(struct kb_object **object);

struct kb_program_info {
    const char *name;    /* C name; this and section live as long as the object or handle */
    const char *section; /* ELF section, e.g. "raw_tp/sys_enter" */
    uint32_t type;       /* enum bpf_prog_type */
    uint32_t expected_attach_type;
    size_t insn_count; /* 8-byte instructions, before the kernel rewrites them */
    uint32_t id;       /* kernel id, 0 before load, and where the kernel does not tell */
    int fd;            /* -1 before load */
    bool autoload;     /* false: SEC("?...") or changed */
    bool autoattach;
};

struct kb_map_info {
    const char *name; /* lives as long as the object or handle */
    uint32_t type;    /* enum bpf_map_type */
    uint32_t key_size;
    uint32_t value_size;
    size_t value_size_user; /* see kb_map_value_size_user() */
    uint32_t max_entries;
    uint32_t flags;
    uint32_t id; /* kernel id, 0 before load */
    int fd;      /* -1 before load */
    /* BTF type ids of key and value, 0 = none: in the object's .BTF (kb_object_map_info) or in the
     * kernel's BTF object btf_id (kb_map_get_info). */
    uint32_t btf_key_type_id;
    uint32_t btf_value_type_id;
    uint32_t btf_id; /* 0 from kb_object_map_info, as all below */
    /* Only from kb_map_get_info: */
    uint64_t extra;   /* type-specific, e.g. the hashes of a Bloom filter; Linux 5.16 */
    uint32_t ifindex; /* of the device that it was offloaded to, with its namespace */
    uint64_t netns_dev;
    uint64_t netns_ino;
    uint64_t memlock; /* bytes of kernel memory, as far as the kernel says (Linux 6.4: all of it) */
    bool frozen;      /* Linux 5.2 */
};

/* Programs and maps are numbered from 0 in the order of the object. */
size_t kb_object_program_count(const struct kb_object *object);
size_t kb_object_map_count(const struct kb_object *object);
/* -ERANGE if there is no such index. */
int kb_object_program_info(const struct kb_object *object, size_t index,
                           struct kb_program_info *info);
int kb_object_map_info(const struct kb_object *object, size_t index, struct kb_map_info *info);

/* Handles; the index is that of the info functions. Maps exist after load. */
int kb_object_program(struct kb_object *object, size_t index, struct kb_program **program,
                      struct kb_error *err);
int kb_object_map(struct kb_object *object, size_t index, struct kb_map **map,
                  struct kb_error *err);

/* Programs -------------------------------------------------------------------------------------*/

/* Links and pins of the program stay. */
void kb_program_close(struct kb_program **program);
int kb_program_fd(const struct kb_program *program); /* -1 before load */
/* Of one that is in the kernel it asks for the id, which can fail; the rest is there all the same.
 */
int kb_program_get_info(const struct kb_program *program, struct kb_program_info *info,
                        struct kb_error *err);
/* A program that exists, by the kernel's id (4.13; needs CAP_SYS_ADMIN). Its section is not known.
 */
int kb_program_open(uint32_t id, struct kb_program **program, struct kb_error *err);
/* Makes a handle of a descriptor, which it owns from then on if it succeeds. */
int kb_program_adopt(int fd, struct kb_program **program, struct kb_error *err);
/* The same with a duplicate; the descriptor stays the caller's. */
int kb_program_open_fd(int fd, struct kb_program **program, struct kb_error *err);
/* The verifier's log that log_level asked for, or NULL. Lives as long as the handle. */
const char *kb_program_log(const struct kb_program *program);

/*
 * A program without an object: instructions as the kernel takes them, little or big endian as the
 * machine is. Maps are named by descriptor (source register BPF_PSEUDO_MAP_FD) or by their place
 * in `fds` (BPF_PSEUDO_MAP_IDX, Linux 5.14); kernel functions of modules by the place of the
 * module's BTF there (Linux 5.16, from place 1 on). Zero is nothing.
 */
struct kb_program_def {
    const char *name;    /* 15 characters of it at most are given to the kernel; NULL: none */
    uint32_t type;       /* enum bpf_prog_type */
    const char *license; /* "GPL" opens the helpers that want it; NULL: none */
    const void *insns;
    size_t insn_count;       /* 8-byte slots: BPF_LD | BPF_IMM | BPF_DW takes two */
    uint32_t attach_type;    /* enum bpf_attach_type, where the type has several (4.17) */
    uint32_t flags;          /* BPF_F_SLEEPABLE, … */
    uint32_t ifindex;        /* a device to offload to (4.16) */
    uint32_t log_level;      /* as kb_load_opts has it, for kb_program_log() */
    uint32_t kernel_version; /* KERNEL_VERSION(…): kprobes before Linux 5.0 */
    const int *fds;          /* descriptors that instructions name by their place */
    /* fentry, fexit, fmod_ret, tp_btf, lsm, iter: what they are for, by the kernel's name or by a
     * BTF id, in vmlinux or in target_btf_fd (a module's); freplace and tracing of programs: a
     * function of the program target_fd (5.5). */
    const char *target_name;
    uint32_t target_btf_id;
    int target_btf_fd;
    int target_fd;
    /* BTF of the program, and bpf_func_info and bpf_line_info records on it (5.0). */
    const void *btf;
    size_t btf_size;
    const void *functions;
    uint32_t function_count, function_size; /* how many, and bytes of each */
    const void *lines;
    uint32_t line_count, line_size;
};
/*
 * Loads it; the handle owns it. When the verifier refuses it, the record has its reason and its
 * log, as with objects. Its section is "", attaching it needs options.
 */
int kb_program_load(const struct kb_program_def *def, struct kb_program **program,
                    struct kb_error *err);

/* One run of a program by itself, on the caller's data (BPF_PROG_TEST_RUN). */
struct kb_run {
    const void *data; /* a packet, or NULL */
    size_t data_size;
    void *data_out;       /* room for what the program left of it, or NULL … */
    size_t data_out_size; /* … in: its size; out: bytes written */
    const void *ctx;      /* the type's context: struct __sk_buff, xdp_md, arguments, … or NULL */
    size_t ctx_size;
    void *ctx_out;
    size_t ctx_out_size;
    uint32_t repeat; /* runs; 0 as 1 */
    uint32_t flags;  /* BPF_F_TEST_RUN_ON_CPU = 1, BPF_F_TEST_XDP_LIVE_FRAMES = 2, … */
    uint32_t cpu;
    uint32_t batch_size;   /* live frames: packets at a time */
    uint32_t return_value; /* out */
    uint32_t duration;     /* out: nanoseconds per run, on average */
};
/* 4.12; context 5.2, raw_tp and cpu 5.10, syscall 5.14, live frames 5.18. */
int kb_program_run(const struct kb_program *program, struct kb_run *run, struct kb_error *err);

/* What the kernel tells about a program (4.13 and later; what it does not know is 0). */
struct kb_program_details {
    char name[16 + 1];
    uint8_t tag[8];
    uint32_t id, type, uid, ifindex;
    bool gpl_compatible;
    uint64_t load_time; /* nanoseconds since boot */
    uint32_t btf_id;
    uint32_t attach_btf_object_id, attach_btf_id;
    uint64_t run_time, run_count; /* nanoseconds; both while kb_enable_stats() */
    uint64_t recursion_misses;
    uint32_t verified_insns; /* instructions that the verifier walked through */
    uint8_t *xlated;         /* instructions as the kernel rewrote them */
    size_t xlated_size;
    uint8_t *jited; /* machine code */
    size_t jited_size;
    uint32_t *map_ids;
    size_t map_count;
    struct kb_line {
        uint32_t insn, file, text, line_column; /* BTF strings; line << 10 | column */
    } * lines;
    size_t line_count;
    struct kb_function {
        uint32_t insn, type_id;
    } * functions;
    size_t function_count;
    uint64_t *jited_addresses; /* of each function's machine code … */
    uint32_t *jited_lengths;   /* … and its bytes */
    size_t jited_function_count;
    uint64_t *jited_lines; /* addresses, one per line */
    size_t jited_line_count;
};
/* Clear the details afterwards, also after a failure. */
int kb_program_get_details(const struct kb_program *program, struct kb_program_details *details,
                           struct kb_error *err);
void kb_program_details_clear(struct kb_program_details *details);

/*
 * What a program printed with bpf_stream_printk(), and what the kernel says there of its arena
 * faults and the like (6.17): moves up to `size` bytes out of stream 1 (output) or 2 (errors).
 * Bytes that were read, 0 if there are none now, or -errno.
 */
ptrdiff_t kb_program_read_output(const struct kb_program *program, uint32_t stream, void *bytes,
                                 size_t size, struct kb_error *err);

/* A BTF object of the kernel, by its id; free() the bytes (4.18; needs CAP_SYS_ADMIN). */
int kb_btf_bytes(uint32_t id, void **bytes, size_t *size, struct kb_error *err);

/* The kernel counts runs and time of all programs until the descriptor is closed (5.8). */
int kb_enable_stats(int *fd, struct kb_error *err);

/*
 * Where a program can be attached. Behind each: the fields of kb_attach_opts that it reads beside
 * `cookie`, and the first kernel that has it. Where the kernel has no link object for an
 * attachment, kb detaches when the link is closed all the same.
 */
enum kb_target_kind {
    KB_TARGET_SECTION,        /* what the section name says, e.g. SEC("raw_tp/sys_enter") */
    KB_TARGET_RAW_TRACEPOINT, /* name; 4.17, cookie 6.10 */
    KB_TARGET_TRACEPOINT,     /* category, name; needs tracefs; 4.7, cookie 5.15 */
    KB_TARGET_KPROBE,         /* name with offset, or address; at_return; 4.17, cookie 5.15 */
    KB_TARGET_KSYSCALL,       /* name without prefix: "openat"; at_return */
    KB_TARGET_KPROBE_MULTI,   /* names, addresses or pattern; cookies, at_return; 5.18 */
    KB_TARGET_UPROBE,         /* path, name and/or offset; pid, at_return, ref_ctr_offset; 4.17 */
    KB_TARGET_UPROBE_MULTI,   /* path; names, offsets or pattern; cookies, pid, at_return; 6.6 */
    KB_TARGET_USDT,           /* path, category (the provider), name; pid */
    KB_TARGET_TRACING,        /* fentry, fexit, fmod_ret, tp_btf, lsm: given at load; 5.5 */
    KB_TARGET_FREPLACE,       /* fd (a program) and name of another target than at load; 5.10 */
    KB_TARGET_ITER,           /* fd (a map), or path (a cgroup) and order, or pid, or tid; 5.8 */
    KB_TARGET_PERF_EVENT,     /* event; pid, cpu; 4.9, cookie 5.15 */
    KB_TARGET_XDP,            /* interface, flags (XDP_FLAGS_*), legacy; link 5.9 */
    KB_TARGET_TC,             /* interface, direction, priority, handle, replace (clsact); 4.5 */
    KB_TARGET_TCX,            /* interface, direction, anchor; 6.6 */
    KB_TARGET_NETKIT,         /* interface, direction, anchor; 6.7 */
    KB_TARGET_CGROUP,         /* path, cgroup_mode, anchor (6.17); link 5.7 */
    KB_TARGET_NETNS,          /* path (this process's if NULL); sk_lookup 5.9, flow_dissector 5.8 */
    KB_TARGET_SOCKMAP,        /* fd (a sockmap or sockhash), legacy; link 6.10 */
    KB_TARGET_SOCKET,         /* fd (a socket): SO_ATTACH_BPF; 3.19 */
    KB_TARGET_REUSEPORT,      /* fd (a socket): SO_ATTACH_REUSEPORT_EBPF; 4.5 */
    KB_TARGET_NETFILTER,      /* family, hook, priority, flags; 6.4 */
    KB_TARGET_LIRC,           /* path, e.g. "/dev/lirc0"; 4.18 */
    KB_TARGET_COUNT
};

/* The kind called e.g. "raw_tracepoint" or "kprobe_multi"; KB_TARGET_COUNT if there is none. */
enum kb_target_kind kb_target_by_name(const char *name);

enum kb_direction { KB_INGRESS = 1, KB_EGRESS }; /* netkit: the primary device and its peer */

enum kb_cgroup_mode {
    KB_CGROUP_LINK,      /* a link; before 5.7 as KB_CGROUP_MULTI */
    KB_CGROUP_MULTI,     /* BPF_F_ALLOW_MULTI: beside others, and beside those of children */
    KB_CGROUP_OVERRIDE,  /* BPF_F_ALLOW_OVERRIDE: children may replace it */
    KB_CGROUP_EXCLUSIVE, /* the only one here and below */
};

/* Where among others: flags are the kernel's BPF_F_BEFORE … and both numbers may be 0. */
enum {
    KB_ANCHOR_BEFORE = 1 << 3, /* before `relative`, or before all */
    KB_ANCHOR_AFTER = 1 << 4,
    KB_ANCHOR_ID = 1 << 5,       /* relative is an id and not a descriptor … */
    KB_ANCHOR_PREORDER = 1 << 6, /* cgroup: in the pass from the root down */
    KB_ANCHOR_LINK = 1 << 13,    /* … of a link and not a program */
};
struct kb_anchor {
    uint32_t flags;
    uint32_t relative;
    uint64_t revision; /* fail with ESTALE unless the hook's is this; 0 = whatever it is */
};

struct kb_event {
    uint32_t type;      /* PERF_TYPE_SOFTWARE = 1, … */
    uint64_t config;    /* PERF_COUNT_SW_CPU_CLOCK = 0, … */
    uint64_t period;    /* events per sample … */
    uint64_t frequency; /* … or samples per second */
    bool inherit;       /* with pid: what it starts later, too */
};

/* Zero is nothing: fields of other kinds are not read. Strings and arrays are only borrowed. */
struct kb_attach_opts {
    enum kb_target_kind kind;
    uint64_t cookie; /* what bpf_get_attach_cookie() returns in the program; 0 = none */
    const char *name;
    const char *category;
    const char *path;      /* uprobes: a name without '/' is searched in library paths or $PATH */
    const char *pattern;   /* of names, with '*' and '?' */
    const char *interface; /* a name; or else … */
    uint32_t ifindex;
    int fd;       /* of what the kind says; 0 = none */
    uint32_t pid; /* 0 = all processes */
    uint32_t tid;
    bool one_cpu; /* only on `cpu` */
    uint32_t cpu;
    bool at_return;
    bool replace; /* tc: what has the same priority and handle */
    bool legacy;  /* without a link object: XDP over netlink, sockmap by BPF_PROG_ATTACH */
    uint64_t offset;
    uint64_t address;
    uint64_t ref_ctr_offset;
    size_t count; /* of each array that is given */
    const char *const *names;
    const uint64_t *offsets; /* uprobe_multi; kprobe_multi: addresses */
    const uint64_t *ref_ctr_offsets;
    const uint64_t *cookies;
    bool has_attach_type; /* else the program's own, which those opened by id or pin have not */
    uint32_t attach_type;
    uint32_t flags;
    enum kb_direction direction;
    enum kb_cgroup_mode cgroup_mode;
    struct kb_anchor anchor;
    struct kb_event event;
    uint32_t order;  /* cgroup iterator: enum bpf_cgroup_iter_order; 0 = the cgroup alone */
    uint32_t family; /* netfilter: NFPROTO_IPV4 = 2, NFPROTO_IPV6 = 10 */
    uint32_t hook;   /* NF_INET_PRE_ROUTING = 0, LOCAL_IN, FORWARD, LOCAL_OUT, POST_ROUTING */
    int32_t priority;
    uint32_t handle;
};

/*
 * Attaches a loaded program. The link must be kept: closing it detaches, unless it is pinned.
 * Without options the section's name says where.
 */
int kb_program_attach(struct kb_program *program, const struct kb_attach_opts *opts,
                      struct kb_link **link, struct kb_error *err);

/*
 * Attaches a struct_ops map of a loaded object (SEC(".struct_ops"): 5.6, SEC(".struct_ops.link"):
 * 6.4).
 */
int kb_object_attach_map(struct kb_object *object, size_t index, struct kb_link **link,
                         struct kb_error *err);

/* What is attached somewhere, whoever attached it. Zero is nothing, as in kb_attach_opts. */
struct kb_query_opts {
    enum kb_target_kind kind; /* cgroup, netns, sockmap, lirc, tcx, netkit, xdp, tc */
    const char *path;         /* cgroup, lirc; netns: this process's if NULL */
    const char *interface;    /* tcx, netkit, xdp, tc: a name, or else … */
    uint32_t ifindex;
    int fd;                      /* sockmap: the map */
    enum kb_direction direction; /* tcx, netkit, tc; both if 0 */
    bool has_attach_type;        /* else all hooks of the kind */
    uint32_t attach_type;
    bool effective; /* cgroup: also what is inherited, in the order in which it runs */
};
struct kb_attached {
    uint32_t program_id;
    uint32_t link_id; /* tcx, netkit: 0 if it is there without a link; else 0: not told */
    uint32_t attach_type;
    uint32_t flags;              /* BPF_F_ALLOW_MULTI, …; xdp: XDP_FLAGS_SKB_MODE, … */
    enum kb_direction direction; /* tc */
    uint32_t priority, handle;   /* tc */
};
struct kb_query_result {
    struct kb_attached *attached; /* in the order in which they run, hook by hook */
    size_t count;
    uint64_t revision; /* of the hook, where one was asked: tcx, netkit (6.6), cgroup (6.17) */
};
/*
 * Cgroups from Linux 4.15, lirc 4.18, flow_dissector 5.8, sk_lookup 5.9, sock maps 5.17; interfaces
 * are those of this network namespace. Needs CAP_NET_ADMIN but for XDP and tc. Clear the answer
 * afterwards, also after a failure.
 */
int kb_query(const struct kb_query_opts *opts, struct kb_query_result *query, struct kb_error *err);
void kb_query_clear(struct kb_query_result *query);

/* Links ----------------------------------------------------------------------------------------*/

struct kb_link_info {
    uint32_t id;
    uint32_t type; /* enum bpf_link_type */
    uint32_t program_id;
};

/* -1 where the kernel has no link object for the attachment. */
int kb_link_fd(const struct kb_link *link);
/* -EOPNOTSUPP where the kernel has no link object for this attachment (tracepoint before 5.15). */
int kb_link_get_info(const struct kb_link *link, struct kb_link_info *info, struct kb_error *err);

/* More about a link, by name: "ifindex", "attachType", "name", "addresses", … */
enum kb_field_kind { KB_FIELD_U32, KB_FIELD_S32, KB_FIELD_U64, KB_FIELD_TEXT, KB_FIELD_LIST };
struct kb_link_field {
    const char *name;
    enum kb_field_kind kind;
    uint64_t number;         /* U32, U64, and S32 as two's complement */
    const char *text;        /* TEXT */
    const uint64_t *numbers; /* LIST … */
    size_t count;            /* … and how many */
};
enum { KB_LINK_FIELDS = 12 };
struct kb_link_details {
    struct kb_link_info info;
    const char *type_name; /* "xdp"; "unknown" for a type newer than this library */
    size_t count;
    struct kb_link_field fields[KB_LINK_FIELDS];
    void *memory; /* what the fields point into */
};
/* Clear the details afterwards, also after a failure. */
int kb_link_get_details(const struct kb_link *link, struct kb_link_details *details,
                        struct kb_error *err);
void kb_link_details_clear(struct kb_link_details *details);

/*
 * Puts another program into the link, atomically (cgroup, netns, xdp, tcx, netkit, iter, sockmap
 * links: 5.7 and later). With `old`, only if that is the one in it (else EPERM).
 */
int kb_link_update(struct kb_link *link, struct kb_program *program, const struct kb_program *old,
                   struct kb_error *err);
/*
 * Puts another struct_ops map (SEC(".struct_ops.link")) into the place of the one in the link
 * (6.4), of the same type; a congestion control, also of the same name. A map that was never
 * attached comes from its object, kb_object_map(): only there is what the kernel is told of it.
 */
int kb_link_update_map(struct kb_link *link, const struct kb_map *map, struct kb_error *err);
/*
 * Detaches at once even if others hold the link too, where the link's type can (cgroup, xdp,
 * …: 5.8; tracing links cannot: -EOPNOTSUPP, close them). The handle stays and is closed as ever.
 */
int kb_link_detach(struct kb_link *link, struct kb_error *err);
/* The last holder's close detaches. */
void kb_link_close(struct kb_link **link);
/*
 * Detaches what the kernel has no link object for (tc, sockets, older interfaces), of which closing
 * cannot say that it failed: 0, also where there is nothing to do so, or -errno, and it stays.
 */
int kb_link_undo(struct kb_link *link, struct kb_error *err);

/* A link that exists, by the kernel's id (5.8; needs CAP_SYS_ADMIN). */
int kb_link_open(uint32_t id, struct kb_link **link, struct kb_error *err);
/* Makes a handle of a descriptor, which it owns from then on if it succeeds. */
int kb_link_adopt(int fd, struct kb_link **link, struct kb_error *err);
/* The same with a duplicate; the descriptor stays the caller's. */
int kb_link_open_fd(int fd, struct kb_link **link, struct kb_error *err);
/* A new descriptor that reads what an iterator's link visits; the caller's to close (5.8). */
int kb_link_iterate(const struct kb_link *link, int *fd, struct kb_error *err);

/* Pins -----------------------------------------------------------------------------------------*/

/* Whether there is a BPF file system at a path (NULL: /sys/fs/bpf). */
bool kb_bpffs_mounted(const char *path);
/* Mounts one there unless it is; the folder is made. kb never does so unasked. */
int kb_mount_bpffs(const char *path, struct kb_error *err);
/* Gives a program, map or link (any descriptor of one) a name that keeps it in the kernel (4.4). */
int kb_pin(int fd, const char *path, struct kb_error *err);
/* Takes the name away; what it named goes when its last holder has gone. */
int kb_unpin(const char *path, struct kb_error *err);
enum kb_pin_kind { KB_PIN_OTHER, KB_PIN_PROGRAM, KB_PIN_MAP, KB_PIN_LINK };
/* A descriptor of what is pinned, the caller's to close or to adopt; flags: BPF_F_RDONLY, … */
int kb_open_pinned(const char *path, uint32_t flags, enum kb_pin_kind *kind, int *fd,
                   struct kb_error *err);
/* What a descriptor is of. */
enum kb_pin_kind kb_fd_kind(int fd);

/* Maps -----------------------------------------------------------------------------------------*/

struct kb_map_def {
    const char *name; /* 15 characters of it at most are given to the kernel; NULL: none */
    uint32_t type;    /* enum bpf_map_type */
    uint32_t key_size;
    uint32_t value_size;
    uint32_t max_entries;
    uint32_t flags;     /* BPF_F_* */
    uint32_t numa_node; /* with BPF_F_NUMA_NODE */
    int inner_fd;       /* maps of maps: a map like those that it will hold; else 0 */
    uint32_t ifindex;   /* device to offload to, else 0 */
    uint64_t extra;     /* e.g. the number of hashes of a Bloom filter */
};

/*
 * Creates a map. Local storages (of tasks, sockets, inodes, cgroups) need BTF: they get one that
 * says "bytes". The kernel wants some sizes to be 0 or rounded, see docs/kernel.md.
 */
int kb_map_create(const struct kb_map_def *def, struct kb_map **map, struct kb_error *err);
/* A handle with a duplicate of the descriptor, or with itself if `own` and this succeeds. -EINVAL
 * if it is no map's. */
int kb_map_open_fd(int fd, bool own, struct kb_map **map, struct kb_error *err);
/* Gives the handle this descriptor of the same map for its own, which it closes. Cannot fail. */
void kb_map_take_fd(struct kb_map *map, int fd);
/* By the kernel's id; needs CAP_SYS_ADMIN. Linux 4.13. */
int kb_map_open_id(uint32_t id, struct kb_map **map, struct kb_error *err);

/* The map stays as long as a program, another map, a descriptor or a pin has it. */
void kb_map_close(struct kb_map **map);
int kb_map_fd(const struct kb_map *map); /* the handle's own */
/* Everything; the name lives as long as the handle (names 4.15, ids 4.13). */
int kb_map_get_info(const struct kb_map *map, struct kb_map_info *info, struct kb_error *err);

/*
 * Bytes that a lookup writes and an update reads: the value size, or for per-CPU maps the value
 * size rounded up to 8 times the possible CPUs.
 */
size_t kb_map_value_size_user(const struct kb_map *map);

/*
 * Single operations. Sizes are those of the caller's buffers and must be exactly the key size and
 * kb_map_value_size_user(), else -ERANGE without a system call. Flags are BPF_ANY, BPF_NOEXIST,
 * BPF_EXIST, BPF_F_LOCK, … and may use all 64 bits.
 */
int kb_map_lookup(const struct kb_map *map, const void *key, size_t key_size, void *value,
                  size_t value_size, uint64_t flags, struct kb_error *err);
int kb_map_update(const struct kb_map *map, const void *key, size_t key_size, const void *value,
                  size_t value_size, uint64_t flags, struct kb_error *err);
int kb_map_delete(const struct kb_map *map, const void *key, size_t key_size, struct kb_error *err);
/* Look up and delete in one step: hash maps from Linux 5.14, queues and stacks from 4.20. */
int kb_map_take(const struct kb_map *map, const void *key, size_t key_size, void *value,
                size_t value_size, uint64_t flags, struct kb_error *err);
/* The key after `key` (NULL: the first) in the map's own order. A key that is no longer there makes
 * hash maps start again: bound the loop. */
int kb_map_next_key(const struct kb_map *map, const void *key, size_t key_size, void *next,
                    size_t next_size, struct kb_error *err);

struct kb_batch {
    void *cursor;       /* max(key size, 4) bytes: where the last call stopped; overwritten */
    size_t cursor_size; /* exactly that */
    bool first;         /* there was no last call: do not read the cursor */
    void *keys;         /* room for count keys … */
    size_t keys_size;
    void *values; /* … and count values of kb_map_value_size_user() */
    size_t values_size;
    uint32_t count; /* in: room, out: entries written */
    uint64_t flags; /* BPF_F_LOCK, … */
};

/*
 * Many entries in one system call (Linux 5.6; hash, array and LPM maps). 0: count entries, ask
 * again with first = false; -ENOENT: count entries, and they were the last; -ENOSPC: one hash
 * bucket holds more than count entries, nothing was written, ask again with more room.
 */
int kb_map_lookup_batch(const struct kb_map *map, struct kb_batch *batch, struct kb_error *err);

/* The same, and deletes them: hash maps. */
int kb_map_take_batch(const struct kb_map *map, struct kb_batch *batch, struct kb_error *err);
/* Without a cursor; on failure batch->count tells how many entries came before the one that failed.
 */
int kb_map_update_batch(const struct kb_map *map, struct kb_batch *batch, struct kb_error *err);
/* -ENOENT, an error here: there is no such key. Values are not used. */
int kb_map_delete_batch(const struct kb_map *map, struct kb_batch *batch, struct kb_error *err);

/*
 * A single operation that is prepared once and then done again and again, on the same memory: what
 * remains is the system call. The map must stay open as long. Sizes are checked here.
 */
enum kb_map_operation { KB_MAP_LOOKUP, KB_MAP_UPDATE, KB_MAP_DELETE, KB_MAP_NEXT_KEY, KB_MAP_TAKE };

struct kb_map_call {
    uint32_t command;
    struct {
        uint32_t fd;
        uint32_t reserved;
        uint64_t key;
        uint64_t value; /* or the next key */
        uint64_t flags;
    } attr;
};

/* `value` is written by lookup and take, read by update, the key that follows of next_key, and not
 * used by delete. next_key without a key asks for the first. */
int kb_map_prepare(const struct kb_map *map, enum kb_map_operation operation, const void *key,
                   size_t key_size, const void *value, size_t value_size, uint64_t flags,
                   struct kb_map_call *call, struct kb_error *err);
/* 0, or -errno as of the operation itself; no record, see kb_map_run_error(). */
int kb_map_run(const struct kb_map_call *call);
/* Fills the record for what kb_map_run() returned; -ENOENT of a lookup is no error there, either.
 */
int kb_map_run_error(const struct kb_map *map, const struct kb_map_call *call, int rc,
                     struct kb_error *err);

/* Memory of a map; `owner` is kb's own. */
struct kb_memory {
    void *at;
    size_t size;
    bool writable;
    struct kb_object *owner;
};

/*
 * Maps the memory of an array with BPF_F_MMAPABLE (Linux 5.5; globals are such arrays) or of an
 * arena (6.9). Elements are a multiple of 8 bytes apart. Frozen maps are mapped for reading only:
 * writing to them is a fault. An arena has one address wherever it is mapped: that of a loaded
 * object is mapped once, and others can be mapped again only if they were made with an address
 * (extra). Unmap with kb_map_unmap(); the map and its object may be closed before.
 */
int kb_map_mmap(const struct kb_map *map, struct kb_memory *memory, struct kb_error *err);
void kb_map_unmap(struct kb_memory *memory);

/* No more changes from user space (Linux 5.2). Programs still write. */
int kb_map_freeze(const struct kb_map *map, struct kb_error *err);

/* Streams --------------------------------------------------------------------------------------*/

/*
 * Records that programs write for user space: a ring buffer (BPF_MAP_TYPE_RINGBUF, Linux 5.8) or
 * one perf buffer per CPU behind a perf event array (Linux 4.4). The map's handle may be closed
 * before the stream. One thread at a time uses a stream.
 */
struct kb_stream;

/* -EINVAL: the map is no ring buffer. */
int kb_stream_open_ring(const struct kb_map *map, struct kb_stream **stream, struct kb_error *err);

struct kb_perf_opts {
    uint32_t pages;         /* of each CPU's buffer, a power of two; 0: 64 */
    uint32_t wakeup_events; /* wake the reader once in so many records; 0: each, which is slow */
    uint32_t wakeup_bytes;  /* instead: once so many bytes are there (fewer wake nobody) */
};

/* Opens a perf event per online CPU and stores it in the map; needs CAP_PERFMON. */
int kb_stream_open_perf(const struct kb_map *map, const struct kb_perf_opts *opts,
                        struct kb_stream **stream, struct kb_error *err);

/* What was not drained is left in the map. */
void kb_stream_close(struct kb_stream **stream);
/* Readable (poll, epoll) while there are records; of a perf buffer see kb_stream_due(). */
int kb_stream_fd(const struct kb_stream *stream);
/*
 * Whether there is as much as wakes. Of perf buffers poll(2) tells a wake once, and not to who
 * comes late: who begins to watch the descriptor asks this when it is watched.
 */
bool kb_stream_due(const struct kb_stream *stream);
/* Bytes of its buffers, the most that can wait to be read. */
size_t kb_stream_size(const struct kb_stream *stream);
/* Records that found no room since the stream was opened: perf buffers. Exact from Linux 6.0;
 * before that, losses are known once a later record found room. Of a ring buffer only the program
 * knows (bpf_ringbuf_output() and bpf_ringbuf_reserve() fail): 0. */
uint64_t kb_stream_lost(const struct kb_stream *stream);

struct kb_drain {
    uint8_t *data; /* records go here, each at a multiple of 8 */
    size_t data_size;
    uint32_t *offsets; /* room for 2 * count: where record i starts, and where it ends */
    uint32_t count;    /* in: the most records, out: records */
    uint32_t cpu;      /* out: perf buffers, whose records these are; ring buffers, 0 */
    uint64_t lost;     /* out: losses that were reported among these records */
    size_t needed;     /* out, with -ENOSPC: the data_size that the next record takes */
};

/*
 * Moves records into the caller's memory, oldest first, and gives their room back to the program in
 * one step. Returns 0 (count may be 0: there is none) or -ENOSPC when not even one record has room.
 * Never blocks. Of perf buffers, one call drains one CPU's, in turn.
 */
int kb_stream_drain(struct kb_stream *stream, struct kb_drain *drain, struct kb_error *err);

/* User ring buffers: from user space to programs that call bpf_user_ringbuf_drain(); Linux 6.1. */
struct kb_sender;

/* One sender per map at a time. */
int kb_sender_open(const struct kb_map *map, struct kb_sender **sender, struct kb_error *err);
void kb_sender_close(struct kb_sender **sender);
/* Writable (poll, epoll) while there is room. */
int kb_sender_fd(const struct kb_sender *sender);
/* -ENOSPC, leaving the record alone: it has no room now. -E2BIG: it never has. */
int kb_sender_send(struct kb_sender *sender, const void *data, size_t size, struct kb_error *err);

/* Features -------------------------------------------------------------------------------------*/

enum kb_feature_kind {
    KB_FEATURE_MAP_TYPE,
    KB_FEATURE_PROGRAM_TYPE,
    KB_FEATURE_ATTACH_TYPE,
    KB_FEATURE_HELPER, /* of a program type */
    KB_FEATURE_KFUNC,  /* any name; kb_feature_name() lists none */
    KB_FEATURE_LINK_TYPE,
    KB_FEATURE_MAP_FLAG,
    KB_FEATURE_PROGRAM_FLAG,
    KB_FEATURE_BTF_KIND,
    KB_FEATURE_KINDS
};

enum kb_answer { KB_HAS_NOT, KB_HAS, KB_UNSURE };

struct kb_feature {
    enum kb_answer answer;
    int errnum;        /* what the kernel said, 0 if nothing */
    const char *since; /* the first release that has it, NULL if unknown; static */
    char reason[512];  /* of an answer that is not yes, with the remedy if there is one */
};

/* Names as def/ and libbpf have them: "ringbuf", "xdp", "cgroup_inet4_connect", "map_lookup_elem",
 * "mmapable", "enum64". NULL at the end. */
const char *kb_feature_name(enum kb_feature_kind kind, size_t index);
/* The name behind a number of enum bpf_map_type, bpf_prog_type, …, or a flag's bit; NULL if none.
 */
const char *kb_number_name(enum kb_feature_kind kind, uint32_t number);

/*
 * Asks the running kernel by doing it on a small scale: nothing stays. `of` is the program type of
 * a helper. Unsure when this process may not ask, or the kernel does not tell two causes apart.
 * -ENOENT if there is no such name.
 */
int kb_probe_feature(enum kb_feature_kind kind, const char *name, const char *of,
                     struct kb_feature *feature, struct kb_error *err);

/* The machine ----------------------------------------------------------------------------------*/

/*
 * May this process use bpf(2)? Creates a small map and loads a two-instruction program of the given
 * enum bpf_prog_type, and closes both. The record says why not and what to do.
 */
int kb_probe(uint32_t program_type, struct kb_error *err);

struct kb_versions {
    const char *libbpf; /* "1.5" */
    const char *libelf; /* elfutils' "0.192", "" when it is the system's shared one */
    char kernel[65];    /* uname -r */
};
/* The texts are static. */
void kb_get_versions(struct kb_versions *versions);

/* CPUs that per-CPU values have a slot for. */
int kb_possible_cpus(void);

enum kb_id_kind { KB_ID_PROGRAM, KB_ID_MAP, KB_ID_LINK, KB_ID_BTF };
/* The kernel's next id above `after` (start with 0); -ENOENT at the end. Needs CAP_SYS_ADMIN. */
int kb_next_id(enum kb_id_kind kind, uint32_t after, uint32_t *next, struct kb_error *err);

/* Mounts tracefs on /sys/kernel/tracing unless it is there. kb never does so unasked. */
int kb_mount_tracefs(struct kb_error *err);

#ifdef __cplusplus
}
#endif

#endif
