/*
 * sys.c: bpf(2) itself, for what libbpf's wrappers lack or do too much for. Attributes are ours,
 * because UAPI headers are older than kernels: the kernel accepts any size whose unknown tail is
 * zero, and says E2BIG when a field that it does not know is used. Each returns a file descriptor
 * or -errno.
 */
#include "internal.h"
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int kb_sys(enum kb_command command, void *attr, size_t size) {
    long fd = syscall(SYS_bpf, (int)command, attr, size);

    return fd < 0 ? -errno : (int)fd;
}

int kb_sys_raw_tracepoint_open(int program_fd, const char *name, uint64_t cookie) {
    struct {
        uint64_t name;
        uint32_t prog_fd;
        uint32_t reserved;
        uint64_t cookie; /* Linux 6.10 */
    } attr = {(uint64_t)(uintptr_t)name, (uint32_t)program_fd, 0, cookie};

    return kb_sys(KB_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr));
}

int kb_sys_minimal_program(uint32_t program_type) {
    static const struct bpf_insn insns[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K}, /* r0 = 0 */
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.prog_type = program_type;
    attr.insns = (uint64_t)(uintptr_t)insns;
    attr.insn_cnt = sizeof(insns) / sizeof(insns[0]);
    attr.license = (uint64_t)(uintptr_t) "GPL";
    return kb_sys(KB_PROG_LOAD, &attr, sizeof(attr));
}

int kb_sys_minimal_map(void) {
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = 4;
    attr.value_size = 8;
    attr.max_entries = 1;
    return kb_sys(KB_MAP_CREATE, &attr, sizeof(attr));
}
