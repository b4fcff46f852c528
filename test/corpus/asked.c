/* asked.c - everything that libbpf asks of the kernel for an object, and what the kernel answers:
 * each bpf(2) command of the load with its attributes and all that they point to, and of each
 * program the verdict, the verifier's figures, the tag and the instructions as the kernel rewrote
 * them. Two files of the same text were loaded alike. The linker wraps syscall(2) for it
 * (-Wl,--wrap=syscall), so nothing that libbpf says to the kernel can be missed. Addresses and
 * descriptors are the same from process to process where the order of calls is, but for pointers,
 * which are followed instead. */
#include "load.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum { ATTR_MOST = 512, SHOWN = 64 };

bool telling_calls;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

static uint64_t sum;
static char line[512];

static void add_bytes(const void *bytes, size_t size) {
    sum = 31 * sum + hash_bytes(bytes, bytes ? size : 0);
    sum = 31 * sum + size;
}

/* Takes a pointer out of the attributes and what it points to in. */
static void follow(union bpf_attr *attr, size_t size, size_t field, size_t count) {
    uint64_t pointer;
    if (field + sizeof pointer > size)
        return;
    memcpy(&pointer, (char *)attr + field, sizeof pointer);
    memset((char *)attr + field, 0, sizeof pointer);
    if (pointer && count)
        add_bytes((const void *)(uintptr_t)pointer, count);
}

#define FOLLOW(field, count) follow(attr, size, offsetof(union bpf_attr, field), count)

static size_t text_size(uint64_t pointer) {
    return pointer ? strlen((const char *)(uintptr_t)pointer) : 0;
}

static void follow_program(union bpf_attr *attr, size_t size) {
    FOLLOW(license, text_size(attr->license));
    FOLLOW(insns, attr->insn_cnt * sizeof(struct bpf_insn));
    FOLLOW(func_info, (size_t)attr->func_info_cnt * attr->func_info_rec_size);
    FOLLOW(line_info, (size_t)attr->line_info_cnt * attr->line_info_rec_size);
    FOLLOW(core_relos, (size_t)attr->core_relo_cnt * attr->core_relo_rec_size);
    FOLLOW(fd_array, 0);
    FOLLOW(log_buf, 0);
    attr->log_size = 0;
}

static void follow_element(union bpf_attr *attr, size_t size) {
    struct bpf_map_info info = {0};
    __u32 info_size = sizeof info;
    if (bpf_map_get_info_by_fd((int)attr->map_fd, &info, &info_size))
        return;
    bool each = info.type == BPF_MAP_TYPE_PERCPU_ARRAY || info.type == BPF_MAP_TYPE_PERCPU_HASH ||
                info.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
    size_t value = each ? (info.value_size + 7u) / 8 * 8 * (size_t)libbpf_num_possible_cpus()
                        : info.value_size;
    FOLLOW(key, info.key_size);
    FOLLOW(value, value);
}

static const char *follow_command(long command, union bpf_attr *attr, size_t size) {
    switch (command) {
    case BPF_PROG_LOAD:
        snprintf(line, sizeof line, "program %.16s, type %u, %u slots, attach type %u",
                 attr->prog_name, attr->prog_type, attr->insn_cnt, attr->expected_attach_type);
        follow_program(attr, size);
        return line;
    case BPF_MAP_CREATE:
        snprintf(line, sizeof line, "map %.16s, type %u, key %u, value %u, entries %u, flags %#x",
                 attr->map_name, attr->map_type, attr->key_size, attr->value_size,
                 attr->max_entries, attr->map_flags);
        return line;
    case BPF_BTF_LOAD:
        snprintf(line, sizeof line, "BTF, %u bytes", attr->btf_size);
        FOLLOW(btf, attr->btf_size);
        FOLLOW(btf_log_buf, 0);
        attr->btf_log_size = 0;
        return line;
    case BPF_MAP_UPDATE_ELEM:
        snprintf(line, sizeof line, "element of map %u", attr->map_fd);
        follow_element(attr, size);
        return line;
    case BPF_MAP_FREEZE:
    case BPF_PROG_BIND_MAP:
        snprintf(line, sizeof line, "command %ld", command);
        return line;
    default: /* questions: ids, descriptors, what the kernel can do */
        return NULL;
    }
}

/* Answers to questions of libbpf to itself are not told, what changes the kernel is. */
static void tell_call(long command, const void *given, size_t size) {
    union bpf_attr attr;
    char text[sizeof line + SHOWN];
    size_t known = size < sizeof attr ? size : sizeof attr;
    const char *what;
    int was = errno;
    sum = 0;
    add_bytes((const char *)given + known, size - known);
    memset(&attr, 0, sizeof attr);
    memcpy(&attr, given, known);
    telling_calls = false;
    what = follow_command(command, &attr, size);
    telling_calls = true;
    errno = was;
    if (!what)
        return;
    add_bytes(&attr, sizeof attr);
    int used = snprintf(text, sizeof text, "%s: %016llx", what, (unsigned long long)sum);
    tell_text(NULL, text, (size_t)used);
}

long __wrap_syscall(long number, ...) {
    long args[6];
    va_list list;
    va_start(list, number);
    for (int n = 0; n < 6; n++)
        args[n] = va_arg(list, long);
    va_end(list);
    if (telling_calls && number == SYS_bpf)
        tell_call(args[0], (const void *)args[1], (size_t)args[2]);
    return __real_syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

/* Ids of maps and addresses of the kernel differ from load to load; constants were told above. */
static void forget_constants(struct bpf_insn *insns, size_t count) {
    for (size_t n = 0; n + 1 < count; n++) {
        if (insns[n].code != (BPF_LD | BPF_IMM | BPF_DW))
            continue;
        insns[n].imm = 0;
        insns[++n].imm = 0;
    }
}

void tell_loaded(int fd) {
    static struct bpf_insn insns[1 << 17];
    struct bpf_prog_info info = {0};
    __u32 size = sizeof info;
    info.xlated_prog_insns = (uint64_t)(uintptr_t)insns;
    info.xlated_prog_len = sizeof insns;
    if (bpf_prog_get_info_by_fd(fd, &info, &size)) {
        tell_number("info", -errno);
        return;
    }
    size_t count = info.xlated_prog_len / sizeof *insns;
    tell_bytes("tag", info.tag, sizeof info.tag);
    tell_number("functions", info.nr_func_info);
    tell_number("lines", info.nr_line_info);
    tell_number("maps", info.nr_map_ids);
    tell_number("rewritten", (long long)count);
    if (info.xlated_prog_len <= sizeof insns) {
        forget_constants(insns, count);
        tell_bytes("instructions", (const uint8_t *)insns, info.xlated_prog_len);
    }
}
