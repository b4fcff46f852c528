/*
 * privilege.c: why the kernel said EPERM. In: the capabilities that the refused operation needs;
 * out: a sentence with cause and remedy, read from /proc/self/status, the uid map, the sysctl
 * kernel.unprivileged_bpf_disabled and securityfs. libbpf's advice (raise ulimit -l) is wrong on
 * every kernel since 5.11. Which type needs what: is_net_admin_prog_type() and
 * is_perfmon_prog_type() of the kernel's kernel/bpf/syscall.c.
 */
#include "internal.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t kb_program_caps(uint32_t program_type) {
    uint64_t bpf = KB_CAP_BIT(KB_CAP_BPF);

    switch (program_type) {
    case BPF_PROG_TYPE_KPROBE:
    case BPF_PROG_TYPE_TRACEPOINT:
    case BPF_PROG_TYPE_PERF_EVENT:
    case BPF_PROG_TYPE_RAW_TRACEPOINT:
    case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
    case BPF_PROG_TYPE_TRACING:
    case BPF_PROG_TYPE_LSM:
    case BPF_PROG_TYPE_STRUCT_OPS:
        return bpf | KB_CAP_BIT(KB_CAP_PERFMON);
    case BPF_PROG_TYPE_EXT:
        return bpf | KB_CAP_BIT(KB_CAP_PERFMON) | KB_CAP_BIT(KB_CAP_NET_ADMIN);
    case BPF_PROG_TYPE_SCHED_CLS:
    case BPF_PROG_TYPE_SCHED_ACT:
    case BPF_PROG_TYPE_XDP:
    case BPF_PROG_TYPE_LWT_IN:
    case BPF_PROG_TYPE_LWT_OUT:
    case BPF_PROG_TYPE_LWT_XMIT:
    case BPF_PROG_TYPE_LWT_SEG6LOCAL:
    case BPF_PROG_TYPE_SK_SKB:
    case BPF_PROG_TYPE_SK_MSG:
    case BPF_PROG_TYPE_FLOW_DISSECTOR:
    case BPF_PROG_TYPE_CGROUP_DEVICE:
    case BPF_PROG_TYPE_CGROUP_SOCK:
    case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
    case BPF_PROG_TYPE_CGROUP_SOCKOPT:
    case BPF_PROG_TYPE_CGROUP_SYSCTL:
    case BPF_PROG_TYPE_SOCK_OPS:
    case 32: /* BPF_PROG_TYPE_NETFILTER, Linux 6.4 */
        return bpf | KB_CAP_BIT(KB_CAP_NET_ADMIN);
    default:
        return bpf;
    }
}

bool kb_read_file(const char *path, char *buffer, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, buffer, size - 1);
    close(fd);
    if (length < 0)
        return false;
    buffer[length] = 0;
    return true;
}

/* A field of /proc/self/status, e.g. "CapEff:", in the given base. */
static bool status_field(const char *status, const char *field, int base, uint64_t *value) {
    const char *at = strstr(status, field);
    if (!at)
        return false;
    *value = strtoull(at + strlen(field), NULL, base);
    return true;
}

static bool in_initial_user_namespace(void) {
    char map[128];
    unsigned long inside, outside, count;

    if (!kb_read_file("/proc/self/uid_map", map, sizeof(map)))
        return true;
    if (sscanf(map, "%lu %lu %lu", &inside, &outside, &count) != 3)
        return false; /* a new namespace without a mapping yet */
    return inside == 0 && outside == 0 && count == 4294967295UL;
}

/* "CAP_BPF and CAP_PERFMON" */
static void name_caps(uint64_t caps, char *text, size_t size) {
    static const struct {
        int cap;
        const char *name;
    } names[] = {{KB_CAP_BPF, "CAP_BPF"},
                 {KB_CAP_PERFMON, "CAP_PERFMON"},
                 {KB_CAP_NET_ADMIN, "CAP_NET_ADMIN"},
                 {KB_CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}};
    size_t used = 0;

    text[0] = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!(caps & KB_CAP_BIT(names[i].cap)))
            continue;
        int n = snprintf(text + used, size - used, "%s%s", used ? " and " : "", names[i].name);
        if (n < 0 || (size_t)n >= size - used)
            return;
        used += (size_t)n;
    }
}

/* All capabilities are there, so something else refuses. */
static void explain_policy(const char *status, char *text, size_t size) {
    char lockdown[128];
    uint64_t seccomp;

    if (kb_read_file("/sys/kernel/security/lockdown", lockdown, sizeof(lockdown)) &&
        strstr(lockdown, "[confidentiality]"))
        snprintf(text, size,
                 "this process has the capabilities, but the kernel is locked down "
                 "(confidentiality), which forbids it; see /sys/kernel/security/lockdown");
    else if (status_field(status, "Seccomp:", 10, &seccomp) && seccomp != 0)
        snprintf(
            text, size,
            "this process has the capabilities, but runs under a seccomp filter (a container's "
            "profile?), which may forbid bpf(2) or perf_event_open(2); allow them there");
    else
        snprintf(text, size,
                 "this process has the capabilities, so a security module or this kernel's own "
                 "policy refuses it; the kernel's log (dmesg) may say which");
}

void kb_explain_eperm(char *text, size_t size, uint64_t needed_caps) {
    char status[4096], names[96], sysctl[16];
    uint64_t have = 0;

    if (!kb_read_file("/proc/self/status", status, sizeof(status)) ||
        !status_field(status, "CapEff:", 16, &have)) {
        name_caps(needed_caps, names, sizeof(names));
        snprintf(text, size, "not permitted; it needs %s (/proc is not readable to say more)",
                 names);
        return;
    }
    /* CAP_SYS_ADMIN stands for the newer, narrower ones. */
    bool admin = have & KB_CAP_BIT(KB_CAP_SYS_ADMIN);
    uint64_t narrow = KB_CAP_BIT(KB_CAP_BPF) | KB_CAP_BIT(KB_CAP_PERFMON);
    uint64_t missing = needed_caps & ~have & ~(admin ? narrow : 0);
    if (!in_initial_user_namespace()) {
        snprintf(text, size,
                 "capabilities count only in the initial user namespace and this process is in "
                 "another; run it outside, or give it a BPF token");
        return;
    }
    if (!missing) {
        explain_policy(status, text, size);
        return;
    }
    name_caps(missing, names, sizeof(names));
    int used = snprintf(text, size,
                        "this process lacks %s; run it as root or give it the capability", names);
    if (used > 0 && (size_t)used < size &&
        kb_read_file("/proc/sys/kernel/unprivileged_bpf_disabled", sysctl, sizeof(sysctl)) &&
        sysctl[0] != '0')
        snprintf(text + used, size - (size_t)used, " (kernel.unprivileged_bpf_disabled is %c)",
                 sysctl[0]);
}
