/*
 * attach_trace.c: programs that run when code does: tracepoints, probes of kernel and user
 * functions, perf events, BTF-typed hooks and iterators. Probes are perf events of the PMUs kprobe
 * and uprobe (Linux 4.17), which take a program by a link (5.15, with a cookie) or by ioctl(2). The
 * multi-probes, hooks and iterators are links by bpf(2). libbpf is asked only where its own state
 * is needed: USDT's argument specifications and freplace's BTF.
 */
#include "attach.h"
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Tracepoints ----------------------------------------------------------------------------------*/

static int explain_raw_tracepoint(const struct request *req, int errnum) {
    const char *target = req->opts.name;
    char near[512];

    switch (errnum) {
    case ENOENT:
        return kb_attach_fail(req, errnum,
                              "the running kernel has no raw tracepoint '%s'" KB_DO "%s", target,
                              kb_near_raw_tracepoint(target, near, sizeof(near)));
    case E2BIG:
        return kb_attach_fail(req, errnum,
                              "this kernel has no cookies for raw tracepoints" KB_DO
                              "leave the cookie out, or use Linux 6.10 or later");
    case EINVAL:
        return kb_attach_fail(req, errnum,
                              "the kernel does not attach this program to '%s'" KB_DO
                              "check that it reads no more arguments than the tracepoint has, and "
                              "that its name is not too long",
                              target);
    default:
        return kb_attach_refused(req, errnum, target);
    }
}

/* A program of another type than the target takes: the kernel would only say EINVAL. */
static int wrong_type(const struct request *req, const char *right) {
    const char *name = libbpf_bpf_prog_type_str((enum bpf_prog_type)req->type);

    return kb_attach_fail(req, EINVAL,
                          "it is of type %s, and only %s programs go there" KB_DO
                          "choose the type by its section's name, SEC(\"…\")",
                          name ? name : "unknown", right);
}

int kb_attach_raw_tracepoint(struct request *req) {
    if (!req->opts.name)
        return kb_attach_fail(req, EINVAL, "the target has no name");
    if (req->type != KB_PROG_RAW_TRACEPOINT && req->type != KB_PROG_RAW_TRACEPOINT_WRITABLE)
        return wrong_type(req, "raw_tracepoint");
    int fd = kb_sys_raw_tracepoint_open(req->fd, req->opts.name, req->opts.cookie);
    int rc = fd < 0 ? fd : kb_attach_add(req, fd, -1);
    return rc ? explain_raw_tracepoint(req, -rc) : 0;
}

static int open_event(struct perf_event_attr *attr, pid_t pid, int cpu) {
    attr->size = sizeof(*attr);
    long fd = syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

    return fd < 0 ? -errno : (int)fd;
}

/* Lets the program run at the event, which is the link's from here on. 0 or -errno, not recorded.
 */
static int attach_event(struct request *req, int event) {
    struct kb_attr_link attr = {.prog_fd = (uint32_t)req->fd,
                                .target_fd = (uint32_t)event,
                                .attach_type = KB_ATTACH_PERF_EVENT,
                                .perf_cookie = req->opts.cookie};
    int fd = kb_sys(KB_LINK_CREATE, &attr, sizeof(attr));
    int rc = fd < 0 ? fd : 0;

    /* Before 5.15 perf events have no links, and no cookies. */
    if (fd == -EINVAL && !req->opts.cookie && kb_kernel_older("5.15"))
        rc = ioctl(event, PERF_EVENT_IOC_SET_BPF, req->fd) == 0 ? 0 : -errno;
    if (!rc && ioctl(event, PERF_EVENT_IOC_ENABLE, 0) != 0)
        rc = -errno;
    if (rc) {
        if (fd >= 0)
            close(fd);
        close(event);
        return rc;
    }
    return kb_attach_add(req, fd < 0 ? -1 : fd, event);
}

static int cookie_refused(const struct request *req, int errnum, const char *where) {
    if (req->opts.cookie && kb_kernel_older("5.15"))
        return kb_attach_fail(req, EOPNOTSUPP,
                              "%s: this kernel has no cookies for perf events" KB_DO
                              "leave the cookie out, or use Linux 5.15 or later",
                              where);
    return kb_attach_refused(req, errnum, where);
}

/* Under lockdown tracefs is empty, or its files, if they were there before, cannot be opened. */
static int tracefs_errno(int errnum) {
    return kb_is_locked_down("confidentiality") ? EPERM : errnum;
}

static int no_tracepoint(const struct request *req, int errnum) {
    const char *category = req->opts.category, *name = req->opts.name;
    char near[512];

    errnum = tracefs_errno(errnum);
    if (errnum == EPERM)
        return kb_attach_refused(req, EPERM, name);

    if (!kb_tracefs_mounted())
        return kb_attach_fail(
            req, errnum,
            "tracefs is not mounted, without it tracepoints have no names" KB_DO
            "run `mount -t tracefs tracefs /sys/kernel/tracing`, or call mountTracefs()");
    if (errnum == ENOENT)
        return kb_attach_fail(req, errnum,
                              "the running kernel has no tracepoint '%s/%s'" KB_DO "%s", category,
                              name, kb_near_tracepoint(category, name, near, sizeof(near)));
    return kb_attach_refused(req, errnum, req->opts.name);
}

int kb_attach_tracepoint(struct request *req) {
    struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT};

    if (!req->opts.name || !req->opts.category)
        return kb_attach_fail(req, EINVAL, "the target has no category or no name");
    if (req->type != KB_PROG_TRACEPOINT)
        return wrong_type(req, "tracepoint");
    int id = kb_tracefs_event_id(req->opts.category, req->opts.name);
    if (id < 0)
        return no_tracepoint(req, -id);
    attr.config = (unsigned)id;
    int event = open_event(&attr, -1, 0);
    int rc = event < 0 ? event : attach_event(req, event);
    return rc ? cookie_refused(req, -rc, req->opts.name) : 0;
}

/* Probes ---------------------------------------------------------------------------------------*/

#define PMU "/sys/bus/event_source/devices/"

/* The number of a PMU's perf events, or -errno: -ENOENT if there is no such PMU. */
static int pmu_type(const char *pmu) {
    char path[128], text[16];

    snprintf(path, sizeof(path), PMU "%s/type", pmu);
    errno = ENOENT;
    return kb_read_file(path, text, sizeof(text)) ? (int)strtol(text, NULL, 10) : -errno;
}

/* The bit of `config` that asks for the return: "config:0". */
static uint64_t return_bit(const char *pmu) {
    char path[128], text[32];
    unsigned bit = 0;

    snprintf(path, sizeof(path), PMU "%s/format/retprobe", pmu);
    if (kb_read_file(path, text, sizeof(text)))
        sscanf(text, "config:%u", &bit);
    return 1ULL << (bit & 63);
}

static int probe(struct request *req, const char *pmu, struct perf_event_attr *attr) {
    int type = pmu_type(pmu);

    if (type < 0)
        return type;
    attr->type = (uint32_t)type;
    if (req->opts.at_return)
        attr->config |= return_bit(pmu);
    bool one = req->opts.pid != 0;
    int event = open_event(attr, one ? (pid_t)req->opts.pid : -1, one ? -1 : 0);
    return event < 0 ? event : attach_event(req, event);
}

static int no_kprobes(const struct request *req) {
    return kb_attach_fail(req, ENOENT,
                          "this kernel has no kprobes: there is no " PMU "kprobe" KB_DO
                          "use a kernel with CONFIG_KPROBES and CONFIG_KPROBE_EVENTS, or another "
                          "kind of hook (fentry, tracepoint)");
}

int kb_attach_kprobe(struct request *req) {
    struct kb_attach_opts *opts = &req->opts;
    struct perf_event_attr attr = {.config1 = (uint64_t)(uintptr_t)opts->name,
                                   .config2 = opts->name ? opts->offset : opts->address};
    char near[512];

    if (!opts->name && !opts->address)
        return kb_attach_fail(req, EINVAL, "the target has neither a name nor an address");
    if (req->type != KB_PROG_KPROBE)
        return wrong_type(req, "kprobe");
    if (pmu_type("kprobe") == -ENOENT)
        return no_kprobes(req);
    opts->pid = 0;
    int rc = probe(req, "kprobe", &attr);
    if (opts->name && (rc == -ENOENT || (rc == -EINVAL && !opts->offset)))
        return kb_attach_fail(req, -rc,
                              "the kernel has no function '%s' that can be probed" KB_DO "%s",
                              opts->name, kb_near_function(opts->name, near, sizeof(near)));
    if (rc == -ENOENT)
        return kb_attach_fail(req, -rc,
                              "no function of the kernel is at address 0x%llx" KB_DO
                              "give one of /proc/kallsyms",
                              (unsigned long long)opts->address);
    if (rc == -EILSEQ || rc == -EINVAL)
        return kb_attach_fail(req, -rc,
                              "'%s': no instruction starts at this offset" KB_DO
                              "give the offset of one, or none",
                              opts->name ? opts->name : "address");
    return rc ? cookie_refused(req, -rc, opts->name ? opts->name : "address") : 0;
}

#if defined(__x86_64__)
#define SYSCALL_PREFIX "__x64_sys_"
#elif defined(__aarch64__)
#define SYSCALL_PREFIX "__arm64_sys_"
#elif defined(__s390x__)
#define SYSCALL_PREFIX "__s390x_sys_"
#elif defined(__riscv)
#define SYSCALL_PREFIX "__riscv_sys_"
#else
#define SYSCALL_PREFIX "__se_sys_"
#endif

int kb_attach_ksyscall(struct request *req) {
    char wrapper[128], plain[128];
    const char *syscall_name = req->opts.name;

    if (!syscall_name || strlen(syscall_name) > 64)
        return kb_attach_fail(req, EINVAL, "the target has no name of a system call");
    snprintf(wrapper, sizeof(wrapper), SYSCALL_PREFIX "%s", syscall_name);
    snprintf(plain, sizeof(plain), "__se_sys_%s", syscall_name);
    req->opts.name = wrapper;
    req->opts.offset = 0;
    int rc = kb_attach_kprobe(req);
    if (rc == -ENOENT && pmu_type("kprobe") >= 0) {
        req->opts.name = plain;
        rc = kb_attach_kprobe(req);
    }
    req->opts.name = syscall_name;
    return rc;
}

/* The executable's path in `path`; 0 or failed. */
static int binary_path(const struct request *req, char *path, size_t size) {
    if (!req->opts.path)
        return kb_attach_fail(req, EINVAL, "the target has no path of an executable or library");
    int rc = kb_find_binary(req->opts.path, path, size);
    if (rc)
        return kb_attach_fail(req, -rc, "there is no '%s' in the library folders or in $PATH",
                              req->opts.path);
    if (access(path, R_OK) != 0)
        return kb_attach_fail(req, errno, "'%s' cannot be read: %s", path, strerror(errno));
    return 0;
}

/* File offsets of what the request names, to be freed. */
static int find_functions(const struct request *req, const char *path, const char *const *names,
                          size_t count, struct kb_symbols *symbols) {
    const char *missing = NULL;
    char near[512];
    int rc = kb_symbol_offsets(path, names, count, req->opts.pattern, symbols, &missing);

    if (rc == -ENOENT && missing)
        return kb_attach_fail(req, ENOENT,
                              "'%s' has no function '%s' in its symbol tables" KB_DO "%s", path,
                              missing, kb_near_symbol(path, missing, near, sizeof(near)));
    if (rc)
        return kb_attach_fail(req, -rc, "the symbols of '%s' cannot be read: %s", path,
                              strerror(-rc));
    return 0;
}

int kb_attach_uprobe(struct request *req) {
    struct kb_attach_opts *opts = &req->opts;
    struct perf_event_attr attr = {.config = opts->ref_ctr_offset << 32};
    char path[4096];

    if (!opts->name && !opts->offset)
        return kb_attach_fail(req, EINVAL, "the target has neither a name nor an offset");
    if (req->type != KB_PROG_KPROBE)
        return wrong_type(req, "kprobe");
    if (opts->ref_ctr_offset >> 32)
        return kb_attach_fail(req, EINVAL, "ref_ctr_offset has more than 32 bits");
    int rc = binary_path(req, path, sizeof(path));
    if (rc)
        return rc;
    attr.config2 = opts->offset;
    if (opts->name) {
        struct kb_symbols symbols;
        const char *pattern = opts->pattern;
        opts->pattern = NULL;
        rc = find_functions(req, path, &opts->name, 1, &symbols);
        opts->pattern = pattern;
        if (rc)
            return rc;
        attr.config2 += symbols.offsets[0];
        free(symbols.offsets);
    }
    attr.config1 = (uint64_t)(uintptr_t)path;
    rc = probe(req, "uprobe", &attr);
    if (rc == -ENOENT && pmu_type("uprobe") == -ENOENT)
        return kb_attach_fail(req, ENOENT,
                              "this kernel has no uprobes" KB_DO
                              "use a kernel with CONFIG_UPROBE_EVENTS");
    if (rc == -ESRCH)
        return kb_attach_fail(req, ESRCH, "there is no process %u" KB_DO "check the pid",
                              opts->pid);
    return rc ? cookie_refused(req, -rc, path) : 0;
}

static uint64_t address_of(const void *pointer) {
    return (uint64_t)(uintptr_t)pointer;
}

int kb_attach_uprobe_multi(struct request *req) {
    struct kb_attach_opts *opts = &req->opts;
    struct kb_symbols symbols = {(uint64_t *)(uintptr_t)opts->offsets, opts->count};
    bool found = !opts->offsets;
    char path[4096];
    int rc = binary_path(req, path, sizeof(path));

    if (rc)
        return rc;
    if (found && !opts->names && !opts->pattern)
        return kb_attach_fail(req, EINVAL, "the target has neither names, offsets nor a pattern");
    if (found && !opts->names && (opts->cookies || opts->ref_ctr_offsets))
        return kb_attach_fail(req, EINVAL, "cookies go with names or offsets, not with a pattern");
    if (found)
        rc = find_functions(req, path, opts->names, opts->count, &symbols);
    if (rc)
        return rc;
    struct kb_attr_link attr = {.attach_type = req->attach_type};
    attr.uprobe_multi.path = address_of(path);
    attr.uprobe_multi.offsets = address_of(symbols.offsets);
    attr.uprobe_multi.ref_ctr_offsets = address_of(opts->ref_ctr_offsets);
    attr.uprobe_multi.cookies = address_of(opts->cookies);
    attr.uprobe_multi.count = (uint32_t)symbols.count;
    attr.uprobe_multi.flags = opts->at_return ? KB_F_MULTI_RETURN : 0;
    attr.uprobe_multi.pid = opts->pid;
    rc = kb_attach_create(req, &attr);
    if (found)
        free(symbols.offsets);
    if (rc == -EINVAL && req->attach_type == KB_ATTACH_TRACE_UPROBE_SESSION &&
        kb_kernel_older("6.13"))
        return kb_attach_fail(
            req, EINVAL, "this kernel has no sessions of uprobes" KB_DO "use Linux 6.13 or later");
    return rc ? kb_attach_refused(req, -rc, path) : 0;
}

/* Whether libbpf has to do it, which needs its object. */
static int need_object(const struct request *req, const char *what) {
    if (req->program->bpf)
        return 0;
    return kb_attach_fail(req, EOPNOTSUPP,
                          "%s needs the object that the program was loaded from" KB_DO
                          "attach it where it is loaded, not where it is opened by id or pin",
                          what);
}

/* What libbpf made or said. */
static int by_libbpf(struct request *req, struct bpf_link *link, int errnum,
                     struct kb_capture *capture, const char *where) {
    int rc = 0;

    req->link->bpf = link;
    if (link) /* it may point into the object */
        req->link->object = kb_object_ref(req->program->object);
    else if (errnum == EPERM || errnum == EACCES || !capture->messages)
        rc = kb_attach_refused(req, errnum, where);
    else
        rc = kb_attach_fail(req, errnum, "%s: %s", where, capture->messages);
    kb_capture_free(capture);
    return rc;
}

int kb_attach_usdt(struct request *req) {
    LIBBPF_OPTS(bpf_usdt_opts, opts, .usdt_cookie = req->opts.cookie);
    struct kb_capture capture;
    char path[4096];

    if (!req->opts.category || !req->opts.name)
        return kb_attach_fail(req, EINVAL, "the target has no provider or no name");
    int rc = need_object(req, "USDT");
    rc = rc ? rc : binary_path(req, path, sizeof(path));
    if (rc)
        return rc;
    kb_capture_begin(&capture);
    struct bpf_link *link =
        bpf_program__attach_usdt(req->program->bpf, req->opts.pid ? (pid_t)req->opts.pid : -1, path,
                                 req->opts.category, req->opts.name, &opts);
    int errnum = link ? 0 : errno;
    kb_capture_end(&capture);
    const char *said = kb_capture_line(&capture, "");
    bool no_probe = errnum == ENOENT && (!*said || strstr(said, "no USDT notes"));
    bool no_maps = errnum == ESRCH && (!*said || strstr(said, "USDT support BPF maps"));
    if (no_probe || no_maps)
        kb_capture_free(&capture);
    if (no_probe)
        return kb_attach_fail(req, errnum,
                              "'%s' has no static probe '%s:%s'" KB_DO
                              "`readelf -n` lists those that it has",
                              path, req->opts.category, req->opts.name);
    if (no_maps)
        return kb_attach_fail(req, errnum,
                              "its object has no maps for the arguments of probes" KB_DO
                              "include <bpf/usdt.bpf.h>");
    return by_libbpf(req, link, errnum, &capture, path);
}

/* Names of functions, each once. */
struct names {
    char **list;
    size_t count, room;
};

static void free_names(struct names *names) {
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
}

static bool add_name(struct names *names, const char *name) {
    if (names->count == names->room) {
        size_t room = names->room ? 2 * names->room : 64;
        char **grown = realloc(names->list, room * sizeof(*grown));
        if (!grown)
            return false;
        names->list = grown;
        names->room = room;
    }
    names->list[names->count] = strdup(name);
    return names->list[names->count] && ++names->count;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The kernel looks each name up once: static functions of one name count as one. */
static void drop_repeated(struct names *names) {
    size_t kept = 0;

    if (!names->count)
        return;
    qsort(names->list, names->count, sizeof(*names->list), compare_names);
    for (size_t i = 0; i < names->count; i++) {
        if (kept && strcmp(names->list[kept - 1], names->list[i]) == 0)
            free(names->list[i]);
        else
            names->list[kept++] = names->list[i];
    }
    names->count = kept;
}

/* Functions that can be traced and match; 0 or -errno. */
static int matching_functions(const char *pattern, struct names *names) {
    FILE *file = fopen("/sys/kernel/tracing/available_filter_functions", "re");
    char *line = NULL;
    size_t size = 0;
    int rc = 0;

    if (!file)
        return -tracefs_errno(errno);
    while (!rc && getline(&line, &size, file) > 0) {
        line[strcspn(line, " \t\n")] = 0; /* a module's name may follow */
        if (fnmatch(pattern, line, 0) == 0 && !add_name(names, line))
            rc = -ENOMEM;
    }
    free(line);
    fclose(file);
    drop_repeated(names);
    return rc ? rc : names->count ? 0 : -ESRCH;
}

static int kprobe_pattern(struct request *req) {
    struct names names = {NULL, 0, 0};
    const char *pattern = req->opts.pattern;
    int rc = matching_functions(pattern, &names);

    if (rc == -ESRCH)
        rc = kb_attach_fail(req, ESRCH,
                            "no function that can be traced matches '%s'" KB_DO
                            "/sys/kernel/tracing/available_filter_functions lists them",
                            pattern);
    else if (rc == -EPERM)
        rc = kb_attach_refused(req, EPERM, "the list of functions, for a pattern");
    else if (rc)
        rc = kb_attach_fail(req, -rc,
                            "/sys/kernel/tracing/available_filter_functions, where patterns are "
                            "looked up, cannot be read: %s" KB_DO
                            "mount tracefs (mountTracefs()), or give names instead of a pattern",
                            strerror(-rc));
    else {
        req->opts.pattern = NULL;
        req->opts.names = (const char *const *)names.list;
        req->opts.offsets = NULL;
        req->opts.cookies = NULL;
        req->opts.count = names.count;
        rc = kb_attach_kprobe_multi(req);
    }
    free_names(&names);
    return rc;
}

/* The first of the names that the kernel has not, if there is one. */
static int no_function(const struct request *req, int errnum) {
    const struct kb_attach_opts *opts = &req->opts;
    const char *missing = opts->names ? kb_missing_function(opts->names, opts->count) : NULL;
    char near[512];

    if (missing)
        return kb_attach_fail(req, errnum, "the kernel has no function '%s'" KB_DO "%s", missing,
                              kb_near_function(missing, near, sizeof(near)));
    return kb_attach_fail(req, errnum,
                          "one of the %zu functions cannot be traced" KB_DO
                          "/sys/kernel/tracing/available_filter_functions lists those that can",
                          opts->count);
}

int kb_attach_kprobe_multi(struct request *req) {
    const struct kb_attach_opts *opts = &req->opts;
    struct kb_attr_link attr = {.attach_type = req->attach_type};

    if (opts->pattern)
        return kprobe_pattern(req);
    if (!opts->count || (!opts->names == !opts->offsets))
        return kb_attach_fail(req, EINVAL, "the target needs names, or addresses, or a pattern");
    attr.kprobe_multi.flags = opts->at_return ? KB_F_MULTI_RETURN : 0;
    attr.kprobe_multi.count = (uint32_t)opts->count;
    attr.kprobe_multi.symbols = address_of(opts->names);
    attr.kprobe_multi.addresses = address_of(opts->offsets);
    attr.kprobe_multi.cookies = address_of(opts->cookies);
    int rc = kb_attach_create(req, &attr);
    if (rc == -ESRCH || rc == -ENOENT)
        return no_function(req, -rc);
    if (rc == -EOPNOTSUPP)
        return kb_attach_fail(req, EOPNOTSUPP,
                              "this kernel has no kprobe_multi links" KB_DO
                              "use a kernel with CONFIG_FPROBE");
    return rc ? kb_attach_refused(req, -rc, "functions") : 0;
}

/* Hooks that were chosen at load, iterators ----------------------------------------------------*/

int kb_attach_tracing(struct request *req) {
    struct kb_attr_link attr = {.attach_type = req->attach_type};
    int rc;

    attr.tracing.cookie = req->opts.cookie;
    if (req->opts.cookie) /* by a link: 5.19 */
        rc = kb_attach_create(req, &attr);
    else {
        rc = kb_sys_raw_tracepoint_open(req->fd, NULL, 0);
        rc = rc < 0 ? rc : kb_attach_add(req, rc, -1);
    }
    return rc ? kb_attach_refused(req, -rc, "the target given at load") : 0;
}

int kb_attach_freplace(struct request *req) {
    struct kb_capture capture;

    if (!req->opts.fd)
        return kb_attach_tracing(req);
    int rc = need_object(req, "another target than that given at load");
    if (rc)
        return rc;
    if (!req->opts.name)
        return kb_attach_fail(req, EINVAL, "the target has no name of a function");
    kb_capture_begin(&capture);
    struct bpf_link *link =
        bpf_program__attach_freplace(req->program->bpf, req->opts.fd, req->opts.name);
    int errnum = link ? 0 : errno;
    kb_capture_end(&capture);
    return by_libbpf(req, link, errnum, &capture, req->opts.name);
}

int kb_attach_iter(struct request *req) {
    struct kb_attach_opts *opts = &req->opts;
    union kb_iter_info info = {.cgroup = {0, 0, 0}};
    struct kb_attr_link attr = {.attach_type = KB_ATTACH_TRACE_ITER};
    int cgroup = -1;

    if (opts->path) {
        cgroup = kb_attach_open(req, opts->path, O_RDONLY | O_DIRECTORY, "the cgroup");
        if (cgroup < 0)
            return cgroup;
        info.cgroup.order = opts->order ? opts->order : 1; /* BPF_CGROUP_ITER_SELF_ONLY */
        info.cgroup.fd = (uint32_t)cgroup;
    } else if (opts->fd) {
        info.map_fd = (uint32_t)opts->fd;
    } else {
        info.task.tid = opts->tid;
        info.task.pid = opts->pid;
    }
    if (opts->path || opts->fd || opts->tid || opts->pid) {
        attr.iter.info = address_of(&info);
        attr.iter.size = sizeof(info);
    }
    int rc = kb_attach_create(req, &attr);
    if (cgroup >= 0)
        close(cgroup);
    return rc ? kb_attach_refused(req, -rc, "iterator") : 0;
}

/* Perf events ----------------------------------------------------------------------------------*/

static int event_refused(const struct request *req, int errnum) {
    if (errnum == ENOENT || errnum == EOPNOTSUPP)
        return kb_attach_fail(req, errnum,
                              "this machine has no perf event of type %u and config %llu" KB_DO
                              "use a software clock ('cpu-clock'); virtual machines often have no "
                              "hardware counters",
                              req->opts.event.type, (unsigned long long)req->opts.event.config);
    if (errnum == ESRCH)
        return kb_attach_fail(req, errnum, "there is no process %u" KB_DO "check the pid",
                              req->opts.pid);
    if (errnum == EINVAL && !req->opts.event.period && !req->opts.event.frequency)
        return kb_attach_fail(
            req, errnum, "the event has neither a period nor a frequency" KB_DO "give one of them");
    return cookie_refused(req, errnum, "perf event");
}

int kb_attach_perf_event(struct request *req) {
    const struct kb_attach_opts *opts = &req->opts;
    const struct kb_event *event = &opts->event;
    struct perf_event_attr attr = {
        .type = event->type,
        .config = event->config,
        .freq = event->frequency != 0,
        .sample_period = event->frequency ? event->frequency : event->period,
        .inherit = event->inherit,
        .disabled = 1,
    };
    bool all = !opts->pid && !opts->one_cpu;
    int cpus = all ? kb_possible_cpus() : 1, missing = 0;

    if (req->type != KB_PROG_PERF_EVENT)
        return wrong_type(req, "perf_event");
    for (int i = 0; i < cpus; i++) {
        int cpu = all ? i : opts->one_cpu ? (int)opts->cpu : -1;
        int fd = open_event(&attr, opts->pid ? (pid_t)opts->pid : -1, cpu);
        if (fd == -ENODEV && all && ++missing < cpus) /* a CPU that is offline */
            continue;
        int rc = fd < 0 ? fd : attach_event(req, fd);
        if (rc)
            return event_refused(req, -rc);
    }
    return 0;
}
