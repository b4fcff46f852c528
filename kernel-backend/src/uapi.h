/*
 * uapi.h: what this library passes to bpf(2) itself. Numbers of the kernel's interface never
 * change, while the headers of a build machine lag behind the kernel it builds for; so they are
 * named here. Attributes may be longer or shorter than the kernel's: it accepts any whose unknown
 * tail is zero, and says E2BIG when a field that it does not know is used.
 * Source: include/uapi/linux/bpf.h, if_link.h, netfilter.h.
 */
#ifndef KB_UAPI_H
#define KB_UAPI_H

#include <stdint.h>

enum kb_command {
    KB_MAP_CREATE = 0,
    KB_PROG_LOAD = 5,
    KB_OBJ_PIN = 6,
    KB_OBJ_GET = 7,
    KB_PROG_ATTACH = 8,
    KB_PROG_DETACH = 9,
    KB_PROG_TEST_RUN = 10,
    KB_PROG_GET_FD_BY_ID = 13,
    KB_MAP_GET_FD_BY_ID = 14,
    KB_OBJ_GET_INFO_BY_FD = 15,
    KB_PROG_QUERY = 16,
    KB_RAW_TRACEPOINT_OPEN = 17,
    KB_LINK_CREATE = 28,
    KB_LINK_UPDATE = 29,
    KB_LINK_GET_FD_BY_ID = 30,
    KB_ENABLE_STATS = 32,
    KB_ITER_CREATE = 33,
    KB_LINK_DETACH = 34,
    KB_PROG_STREAM_READ = 37,
};

/* enum bpf_attach_type, as def/attach.def has it. */
enum {
#define ATTACH(id, number, name, kernel) KB_ATTACH_##id = number,
#include "attach.def"
};

/* enum bpf_prog_type, as def/prog.def has it. */
enum {
#define PROG(id, number, name, kernel) KB_PROG_##id = number,
#include "prog.def"
};

enum {
    KB_F_REPLACE = 1 << 2,
    KB_F_ALLOW_OVERRIDE = 1 << 0,
    KB_F_ALLOW_MULTI = 1 << 1,
    KB_F_MULTI_RETURN = 1 << 0, /* kprobe_multi and uprobe_multi: at the return */
};

/* BPF_LINK_CREATE */
struct kb_attr_link {
    uint32_t prog_fd;   /* or map_fd */
    uint32_t target_fd; /* or ifindex */
    uint32_t attach_type;
    uint32_t flags;
    union {
        uint64_t words[6];
        struct {
            uint64_t info; /* pointer to a kb_iter_info */
            uint32_t size;
        } iter;
        uint64_t perf_cookie;
        struct {
            uint32_t flags, count;
            uint64_t symbols, addresses, cookies; /* pointers */
        } kprobe_multi;
        struct {
            uint32_t btf_id, unused;
            uint64_t cookie;
        } tracing;
        struct {
            uint32_t family, hook;
            int32_t priority;
            uint32_t flags;
        } netfilter;
        struct {
            uint32_t relative, unused;
            uint64_t revision;
        } anchor; /* tcx, netkit, cgroup */
        struct {
            uint64_t path, offsets, ref_ctr_offsets, cookies; /* pointers */
            uint32_t count, flags, pid, unused;
        } uprobe_multi;
    };
};

/* union bpf_iter_link_info */
union kb_iter_info {
    uint32_t map_fd;
    struct {
        uint32_t order, fd;
        uint64_t id;
    } cgroup;
    struct {
        uint32_t tid, pid, pid_fd;
    } task;
};

/* enum bpf_map_type (5.6, 6.9), a flag of maps (6.4), enum bpf_link_type (6.4) */
enum { KB_MAP_STRUCT_OPS = 26, KB_MAP_ARENA = 33 };
enum { KB_F_LINK = 1 << 13 };
enum { KB_LINK_STRUCT_OPS = 9 };

/* BPF_PROG_ATTACH, BPF_PROG_DETACH */
struct kb_attr_attach {
    uint32_t target_fd;
    uint32_t program_fd;
    uint32_t attach_type;
    uint32_t flags;
    uint32_t replace_fd;
    uint32_t relative;
    uint64_t revision;
};

#endif
