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
#include <sys/resource.h>
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

/* "[integrity]" of "none [integrity] confidentiality", or "" */
static void read_lockdown(char *mode, size_t size) {
    char text[128];
    const char *start = NULL;

    if (kb_read_file("/sys/kernel/security/lockdown", text, sizeof(text)))
        start = strchr(text, '[');
    size_t length = start ? strcspn(start + 1, "]\n") : 0;
    snprintf(mode, size, "%.*s", (int)length, start ? start + 1 : "");
}

bool kb_is_locked_down(const char *mode) {
    char found[32];

    read_lockdown(found, sizeof(found));
    return strcmp(found, mode) == 0;
}

/* Of the security modules, those that may have a policy on BPF: "selinux, bpf"; "" if none has. */
static void name_modules(char *text, size_t size) {
    static const char *const silent[] = {"lockdown",  "capability", "landlock", "yama", "loadpin",
                                         "safesetid", "integrity",  "ima",      "evm"};
    char list[256];
    size_t used = 0;

    text[0] = 0;
    if (!kb_read_file("/sys/kernel/security/lsm", list, sizeof(list)))
        return;
    for (char *at = list; *at;) {
        size_t length = strcspn(at, ",\n"), i = 0;
        bool more = at[length] != 0;
        at[length] = 0;
        while (i < sizeof(silent) / sizeof(silent[0]) && strcmp(silent[i], at) != 0)
            i++;
        if (*at && i == sizeof(silent) / sizeof(silent[0]) && used < size)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", at);
        at += length + more;
    }
}

/* Kernels before 5.11 count BPF's memory as locked. */
static bool memlock_is_short(unsigned long long *kib) {
    struct rlimit limit;

    if (!kb_kernel_older("5.11") || getrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
        limit.rlim_cur == RLIM_INFINITY)
        return false;
    *kib = (unsigned long long)limit.rlim_cur / 1024;
    return true;
}

/* All capabilities are there, so something else refuses. */
static void explain_policy(const char *status, char *text, size_t size) {
    static const char has_all[] = "this process has the capabilities, but ";
    char modules[256];
    unsigned long long kib;
    uint64_t seccomp;

    name_modules(modules, sizeof(modules));
    if (memlock_is_short(&kib))
        snprintf(text, size,
                 "%sthis kernel counts BPF's memory as locked memory, of which it may have %llu "
                 "KiB" KB_DO
                 "raise it: `ulimit -l unlimited`, or LimitMEMLOCK=infinity for a service; it "
                 "takes CAP_SYS_RESOURCE",
                 has_all, kib);
    else if (kb_is_locked_down("confidentiality"))
        snprintf(text, size,
                 "%sthe kernel is locked down (confidentiality), which forbids it" KB_DO
                 "boot without lockdown=confidentiality (/sys/kernel/security/lockdown shows it)",
                 has_all);
    else if (status_field(status, "Seccomp:", 10, &seccomp) && seccomp != 0)
        snprintf(text, size,
                 "%sruns under a seccomp filter (a container's profile?), which may forbid bpf(2) "
                 "or perf_event_open(2)" KB_DO "allow them there",
                 has_all);
    else if (modules[0])
        snprintf(text, size,
                 "this process has the capabilities, so a security module (of %s) or this kernel's "
                 "own policy refuses it" KB_DO
                 "look into the kernel's log (dmesg, audit) and the policies of these modules",
                 modules);
    else
        snprintf(text, size,
                 "this process has the capabilities, so this kernel's own policy or a security "
                 "module refuses it" KB_DO
                 "look into the kernel's log (dmesg), and whoever set this machine up");
}

void kb_explain_lockdown(const char *what, char *text, size_t size) {
    const char *mode = kb_is_locked_down("confidentiality") ? "confidentiality" : "integrity";
    bool writes = strstr(what, "probe_write_user") != NULL;
    /* Where libbpf finds that bpf_probe_read_kernel() cannot be loaded, it puts these in its place,
     * and in that of bpf_probe_read_user(), which could. */
    bool replaced = strstr(what, "probe_read#4") || strstr(what, "probe_read_str#45");
    bool reads = replaced || strstr(what, "probe_read_kernel");

    text[0] = 0;
    if (writes ? kb_is_locked_down(mode) : reads && strcmp(mode, "confidentiality") == 0)
        snprintf(text, size,
                 ": the kernel is locked down (%s), which takes this helper away%s" KB_DO
                 "do without it, or boot without lockdown=%s",
                 mode,
                 replaced ? " (libbpf calls it in the place of bpf_probe_read_kernel() and "
                            "bpf_probe_read_user(), and of their _str())"
                          : "",
                 mode);
}

void kb_explain_eperm(char *text, size_t size, uint64_t needed_caps) {
    static const char do_as_root[] = KB_DO "run it as root, or give it the capabilit";
    char status[4096], names[96], sysctl[16];
    uint64_t have = 0;

    if (!kb_read_file("/proc/self/status", status, sizeof(status)) ||
        !status_field(status, "CapEff:", 16, &have)) {
        name_caps(needed_caps, names, sizeof(names));
        snprintf(text, size,
                 "it is not permitted without %s (/proc is not readable to say more)%sy", names,
                 do_as_root);
        return;
    }
    /* CAP_SYS_ADMIN stands for the newer, narrower ones. */
    bool admin = have & KB_CAP_BIT(KB_CAP_SYS_ADMIN);
    uint64_t narrow = KB_CAP_BIT(KB_CAP_BPF) | KB_CAP_BIT(KB_CAP_PERFMON);
    uint64_t missing = needed_caps & ~have & ~(admin ? narrow : 0);
    if (!in_initial_user_namespace()) {
        snprintf(text, size,
                 "capabilities count only in the initial user namespace and this process is in "
                 "another" KB_DO "run it outside, or give it a BPF token (Linux 6.9)");
        return;
    }
    if (!missing) {
        explain_policy(status, text, size);
        return;
    }
    name_caps(missing, names, sizeof(names));
    bool off = kb_read_file("/proc/sys/kernel/unprivileged_bpf_disabled", sysctl, sizeof(sysctl)) &&
               sysctl[0] != '0' && (missing & KB_CAP_BIT(KB_CAP_BPF));
    snprintf(text, size, "this process lacks %s%s%.1s%s%s%s", names,
             off ? " (kernel.unprivileged_bpf_disabled is " : "", off ? sysctl : "", off ? ")" : "",
             do_as_root, strstr(names, " and ") ? "ies" : "y");
}
