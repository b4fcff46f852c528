/*
 * attach.c: programs to links. In: a loaded program and a target, given or read from the section
 * name; out: a link. A kind of target is a row of the table and a function; all of them take the
 * program by its descriptor, so programs that were opened by id or pin attach too. The kernel is
 * asked first and failures are explained afterwards.
 */
#include "attach.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ROW(name, since)                                                                           \
    { #name, "attach " #name, since, kb_attach_##name }
static const struct target targets[KB_TARGET_COUNT] = {
    [KB_TARGET_SECTION] = {"section", "attach", "4.1", NULL},
    [KB_TARGET_RAW_TRACEPOINT] = ROW(raw_tracepoint, "4.17"),
    [KB_TARGET_TRACEPOINT] = ROW(tracepoint, "4.7"),
    [KB_TARGET_KPROBE] = ROW(kprobe, "4.17"),
    [KB_TARGET_KSYSCALL] = ROW(ksyscall, "4.17"),
    [KB_TARGET_KPROBE_MULTI] = ROW(kprobe_multi, "5.18"),
    [KB_TARGET_UPROBE] = ROW(uprobe, "4.17"),
    [KB_TARGET_UPROBE_MULTI] = ROW(uprobe_multi, "6.6"),
    [KB_TARGET_USDT] = ROW(usdt, "4.17"),
    [KB_TARGET_TRACING] = ROW(tracing, "5.5"),
    [KB_TARGET_FREPLACE] = ROW(freplace, "5.10"),
    [KB_TARGET_ITER] = ROW(iter, "5.8"),
    [KB_TARGET_PERF_EVENT] = ROW(perf_event, "4.9"),
    [KB_TARGET_XDP] = ROW(xdp, "4.8"),
    [KB_TARGET_TC] = ROW(tc, "4.5"),
    [KB_TARGET_TCX] = ROW(tcx, "6.6"),
    [KB_TARGET_NETKIT] = ROW(netkit, "6.7"),
    [KB_TARGET_CGROUP] = ROW(cgroup, "4.10"),
    [KB_TARGET_NETNS] = ROW(netns, "5.8"),
    [KB_TARGET_SOCKMAP] = ROW(sockmap, "4.14"),
    [KB_TARGET_SOCKET] = ROW(socket, "3.19"),
    [KB_TARGET_REUSEPORT] = ROW(reuseport, "4.5"),
    [KB_TARGET_NETFILTER] = ROW(netfilter, "6.4"),
    [KB_TARGET_LIRC] = ROW(lirc, "4.18"),
};

enum kb_target_kind kb_target_by_name(const char *name) {
    int kind = 0;

    while (kind < KB_TARGET_COUNT && strcmp(targets[kind].name, name) != 0)
        kind++;
    return (enum kb_target_kind)kind;
}

int kb_attach_fail(const struct request *req, int errnum, const char *format, ...) {
    char reason[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    return kb_fail(req->err, errnum, req->target->operation, kb_program_name(req->program), "%s",
                   reason);
}

/* What the numbers mean whatever the target is. */
static const char *common_reason(int errnum) {
    switch (errnum) {
    case EEXIST:
    case EBUSY:
        return "another program is there that does not share its place" KB_DO
               "detach it, or replace it";
    case ESTALE:
        return "the hook was changed in between: its revision is no longer the expected one" KB_DO
               "look at what is attached, and try again";
    case ENODEV:
    case ENOENT:
        return "there is no such target" KB_DO "check the name or number";
    case E2BIG:
        return "this kernel does not know one of the options that were given" KB_DO
               "leave it out, or use a newer kernel";
    case EOPNOTSUPP:
    case KB_ENOTSUPP:
        return "this target, or this kernel, does not support it" KB_DO
               "`bpf features attach_type` tells what this kernel attaches";
    case EINVAL:
        return "the kernel does not accept the program and the options for this target" KB_DO
               "check that the program is of the type that goes there, and the options";
    default:
        return kb_reason(errnum);
    }
}

/* Debian's kernels keep perf events from all but CAP_SYS_ADMIN at levels above 2. Whether that is
 * why. */
static bool is_paranoid(char *why, size_t size) {
    static const char path[] = "/proc/sys/kernel/perf_event_paranoid";
    char status[4096], level[16];
    const char *caps;

    if (!kb_read_file(path, level, sizeof(level)) || strtol(level, NULL, 10) <= 2 ||
        !kb_read_file("/proc/self/status", status, sizeof(status)) ||
        !(caps = strstr(status, "CapEff:")) ||
        (strtoull(caps + 7, NULL, 16) & KB_CAP_BIT(KB_CAP_SYS_ADMIN)))
        return false;
    snprintf(why, size,
             "kernel.perf_event_paranoid is %ld, which leaves perf events to CAP_SYS_ADMIN" KB_DO
             "run it as root, or set it to 2 (sysctl kernel.perf_event_paranoid=2)",
             strtol(level, NULL, 10));
    return true;
}

int kb_attach_refused(const struct request *req, int errnum, const char *where) {
    char why[512];
    struct utsname name;

    if (errnum == EPERM || errnum == EACCES) {
        if (errnum != EACCES || !is_paranoid(why, sizeof(why)))
            kb_explain_eperm(why, sizeof(why), kb_program_caps(req->type));
        return kb_attach_fail(req, errnum, "%s: %s", where, why);
    }
    if (kb_kernel_older(req->target->since) && uname(&name) == 0)
        return kb_attach_fail(req, errnum,
                              "%s: the running kernel, %s, is too old for it" KB_DO
                              "use Linux %s or later",
                              where, name.release, req->target->since);
    return kb_attach_fail(req, errnum, "%s: %s", where, common_reason(errnum));
}

int kb_attach_add(struct request *req, int fd, int event) {
    struct kb_link *link = req->link;
    struct kb_part *grown = realloc(link->parts, (link->part_count + 1) * sizeof(*grown));

    if (!grown) {
        if (fd >= 0)
            close(fd);
        if (event >= 0)
            close(event);
        return -ENOMEM;
    }
    link->parts = grown;
    grown[link->part_count++] = (struct kb_part){fd, event};
    return 0;
}

int kb_attach_create(struct request *req, struct kb_attr_link *attr) {
    attr->prog_fd = (uint32_t)req->fd;
    int fd = kb_sys(KB_LINK_CREATE, attr, sizeof(*attr));

    if (fd < 0)
        return fd;
    return kb_attach_add(req, fd, -1);
}

int kb_attach_open(const struct request *req, const char *path, int flags, const char *what) {
    int fd = open(path, flags | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    int errnum = errno;
    return kb_attach_fail(req, errnum, "%s '%s' cannot be opened: %s", what, path,
                          strerror(errnum));
}

/* Whoever made the target's kind decides; a section is turned into one. */
static int attach_target(struct request *req) {
    char *memory = NULL;
    int rc = 0;

    req->target = &targets[KB_TARGET_SECTION];
    if (req->opts.kind == KB_TARGET_SECTION)
        rc = kb_attach_section(req, &memory);
    if (!rc) {
        req->target = &targets[req->opts.kind];
        rc = req->target->attach(req);
    }
    free(memory);
    return rc;
}

int kb_program_attach(struct kb_program *program, const struct kb_attach_opts *opts,
                      struct kb_link **out, struct kb_error *err) {
    struct request req = {.program = program, .fd = kb_program_fd(program), .err = err};
    const char *name = kb_program_name(program);

    *out = NULL;
    if (req.fd < 0)
        return kb_fail(err, EBADF, "attach", name,
                       "it is not in the kernel" KB_DO "load the object first");
    if (opts)
        req.opts = *opts;
    if ((unsigned)req.opts.kind >= KB_TARGET_COUNT)
        return kb_fail(err, EINVAL, "attach", name, "there is no target kind %d",
                       (int)req.opts.kind);
    req.type = kb_program_type(program);
    req.attach_type =
        req.opts.has_attach_type ? req.opts.attach_type : kb_program_attach_type(program);
    req.link = kb_link_new();
    if (!req.link)
        return kb_fail(err, ENOMEM, "attach", name, "out of memory");
    int rc = attach_target(&req);
    if (rc)
        kb_link_close(&req.link);
    *out = req.link;
    return rc;
}

int kb_object_attach_map(struct kb_object *object, size_t index, struct kb_link **out,
                         struct kb_error *err) {
    static const char operation[] = "attach struct_ops";
    struct kb_capture capture;

    *out = NULL;
    if (index >= object->map_count)
        return kb_fail(err, ERANGE, operation, NULL, "the object has %zu maps, not a number %zu",
                       object->map_count, index);
    const struct bpf_map *map = object->maps[index];
    const char *name = bpf_map__name(map);
    if (kb_made_fd(map) < 0)
        return kb_fail(err, EBADF, operation, name,
                       "it is not in the kernel" KB_DO "load the object first");
    struct kb_link *link = kb_link_new();
    if (!link)
        return kb_fail(err, ENOMEM, operation, name, "out of memory");
    kb_capture_begin(&capture);
    link->bpf = bpf_map__attach_struct_ops(map);
    int errnum = link->bpf ? 0 : errno;
    kb_capture_end(&capture);
    int rc = 0;
    if (errnum == EINVAL && !capture.messages)
        rc = kb_fail(err, errnum, operation, name,
                     "it is no struct_ops map, or one that is attached already" KB_DO
                     "put it into the section .struct_ops or .struct_ops.link, and attach it once");
    else if (errnum)
        rc = kb_fail(err, errnum, operation, name, "%s",
                     kb_capture_line(&capture, common_reason(errnum)));
    kb_capture_free(&capture);
    if (rc)
        kb_link_close(&link);
    else
        link->object = kb_object_ref(object);
    *out = link;
    return rc;
}
