/*
 * attach.c: programs to links. In: a loaded program and a target, given or read from the section
 * name; out: a link. Each target kind is one function; whatever has none goes to libbpf's own
 * attach by section name. The kernel is asked first and failures are explained afterwards.
 */
#include "internal.h"
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    struct kb_program *program;
    const char *name; /* the program's */
    uint32_t type;
    const struct kb_attach_opts *opts;
    struct kb_link *link;
    struct kb_error *err;
};

/* The part of the section name after one of the prefixes, NULL if none fits. */
static const char *section_target(const char *section, const char *const *prefixes) {
    for (; *prefixes; prefixes++)
        if (strncmp(section, *prefixes, strlen(*prefixes)) == 0)
            return section + strlen(*prefixes);
    return NULL;
}

static const char *type_name(uint32_t type) {
    const char *name = libbpf_bpf_prog_type_str((enum bpf_prog_type)type);

    return name ? name : "unknown";
}

static int explain_raw_tracepoint(const struct request *req, const char *target, int errnum) {
    static const char operation[] = "attach raw_tracepoint";
    char why[512];

    switch (errnum) {
    case ENOENT:
        return kb_fail(req->err, errnum, operation, req->name,
                       "the running kernel has no raw tracepoint '%s'; names are those of "
                       "/sys/kernel/tracing/available_events after the colon",
                       target);
    case EPERM:
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_BPF) | KB_CAP_BIT(KB_CAP_PERFMON));
        return kb_fail(req->err, errnum, operation, req->name, "%s", why);
    case E2BIG:
        return kb_fail(req->err, errnum, operation, req->name,
                       "this kernel has no cookies for raw tracepoints (Linux 6.10 has)");
    case EINVAL:
        return kb_fail(req->err, errnum, operation, req->name,
                       "the kernel does not attach this program to '%s'; does it read more "
                       "arguments than the tracepoint has, or is its name too long?",
                       target);
    default:
        return kb_fail(req->err, errnum, operation, req->name,
                       "the kernel does not attach it to '%s'", target);
    }
}

static int attach_raw_tracepoint(struct request *req, const char *target) {
    if (req->type != BPF_PROG_TYPE_RAW_TRACEPOINT &&
        req->type != BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE)
        return kb_fail(req->err, EINVAL, "attach raw_tracepoint", req->name,
                       "it is of type %s; only raw_tracepoint programs go there",
                       type_name(req->type));
    int fd = kb_sys_raw_tracepoint_open(kb_program_fd(req->program), target,
                                        req->opts ? req->opts->cookie : 0);
    if (fd < 0)
        return explain_raw_tracepoint(req, target, -fd);
    req->link->fd = fd;
    return 0;
}

static int explain_tracepoint(const struct request *req, const char *category, const char *target,
                              int errnum, struct kb_capture *capture) {
    static const char operation[] = "attach tracepoint";
    char why[512];

    if (!kb_tracefs_mounted())
        return kb_fail(req->err, errnum, operation, req->name,
                       "tracefs is not mounted, without it tracepoints have no names; run "
                       "`mount -t tracefs tracefs /sys/kernel/tracing` or call kb_mount_tracefs()");
    if (errnum == ENOENT && !kb_tracefs_has_event(category, target))
        return kb_fail(req->err, errnum, operation, req->name,
                       "the running kernel has no tracepoint '%s/%s'; "
                       "/sys/kernel/tracing/available_events lists them",
                       category, target);
    if (errnum == EPERM || errnum == EACCES) {
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_BPF) | KB_CAP_BIT(KB_CAP_PERFMON));
        return kb_fail(req->err, errnum, operation, req->name, "%s", why);
    }
    if (errnum == EOPNOTSUPP && req->opts && req->opts->cookie)
        return kb_fail(req->err, errnum, operation, req->name,
                       "this kernel has no cookies for tracepoints (Linux 5.15 has)");
    return kb_fail(req->err, errnum, operation, req->name, "%s",
                   kb_capture_line(capture, "the kernel does not attach it"));
}

static int attach_tracepoint(struct request *req, const char *category, const char *target) {
    LIBBPF_OPTS(bpf_tracepoint_opts, opts, .bpf_cookie = req->opts ? req->opts->cookie : 0);
    struct kb_capture capture;

    if (req->type != BPF_PROG_TYPE_TRACEPOINT)
        return kb_fail(req->err, EINVAL, "attach tracepoint", req->name,
                       "it is of type %s; only tracepoint programs go there", type_name(req->type));
    kb_capture_begin(&capture);
    req->link->bpf =
        bpf_program__attach_tracepoint_opts(req->program->bpf, category, target, &opts);
    int errnum = req->link->bpf ? 0 : errno;
    kb_capture_end(&capture);
    int rc = errnum ? explain_tracepoint(req, category, target, errnum, &capture) : 0;
    kb_capture_free(&capture);
    return rc;
}

static int attach_tracepoint_section(struct request *req, const char *target) {
    const char *slash = strchr(target, '/');
    char category[128];

    if (!slash || slash == target || !slash[1] || (size_t)(slash - target) >= sizeof(category))
        return kb_fail(
            req->err, EINVAL, "attach tracepoint", req->name,
            "the section name must be tp/CATEGORY/NAME, e.g. tp/syscalls/sys_enter_open");
    memcpy(category, target, (size_t)(slash - target));
    category[slash - target] = 0;
    return attach_tracepoint(req, category, slash + 1);
}

/* Everything that libbpf attaches by section name alone. */
static int attach_by_libbpf(struct request *req, const char *section) {
    struct kb_capture capture;
    char why[512];
    int rc = 0;

    if (req->opts && req->opts->cookie)
        return kb_fail(req->err, EINVAL, "attach", req->name,
                       "a cookie is possible only for raw_tracepoint and tracepoint targets");
    kb_capture_begin(&capture);
    req->link->bpf = bpf_program__attach(req->program->bpf);
    int errnum = req->link->bpf ? 0 : errno;
    kb_capture_end(&capture);
    if (errnum == EOPNOTSUPP && !capture.messages)
        rc = kb_fail(req->err, errnum, "attach", req->name,
                     "section '%s' does not say where to attach; such programs need an explicit "
                     "target",
                     section);
    else if (errnum == EPERM) {
        kb_explain_eperm(why, sizeof(why), kb_program_caps(req->type));
        rc = kb_fail(req->err, errnum, "attach", req->name, "%s", why);
    } else if (errnum)
        rc = kb_fail(req->err, errnum, "attach", req->name, "%s",
                     kb_capture_line(&capture, "the kernel does not attach it"));
    else /* libbpf's link may point into the object (USDT, struct_ops) */
        req->link->object = kb_object_ref(req->program->object);
    kb_capture_free(&capture);
    return rc;
}

static int attach_by_section(struct request *req) {
    static const char *const raw[] = {"raw_tp/", "raw_tracepoint/", "raw_tp.w/",
                                      "raw_tracepoint.w/", NULL};
    static const char *const tp[] = {"tp/", "tracepoint/", NULL};
    const char *section = bpf_program__section_name(req->program->bpf);
    const char *target;

    if ((target = section_target(section, raw)))
        return attach_raw_tracepoint(req, target);
    if ((target = section_target(section, tp)))
        return attach_tracepoint_section(req, target);
    return attach_by_libbpf(req, section);
}

static int attach_target(struct request *req) {
    const struct kb_attach_opts *opts = req->opts;

    switch (opts ? opts->kind : KB_TARGET_SECTION) {
    case KB_TARGET_SECTION:
        return attach_by_section(req);
    case KB_TARGET_RAW_TRACEPOINT:
        if (!opts->target.raw_tracepoint.name)
            return kb_fail(req->err, EINVAL, "attach raw_tracepoint", req->name,
                           "the target has no name");
        return attach_raw_tracepoint(req, opts->target.raw_tracepoint.name);
    case KB_TARGET_TRACEPOINT:
        if (!opts->target.tracepoint.category || !opts->target.tracepoint.name)
            return kb_fail(req->err, EINVAL, "attach tracepoint", req->name,
                           "the target has no category or no name");
        return attach_tracepoint(req, opts->target.tracepoint.category,
                                 opts->target.tracepoint.name);
    }
    return kb_fail(req->err, EINVAL, "attach", req->name, "there is no target kind %d",
                   (int)opts->kind);
}

int kb_program_attach(struct kb_program *program, const struct kb_attach_opts *opts,
                      struct kb_link **out, struct kb_error *err) {
    const char *name = bpf_program__name(program->bpf);
    struct request req = {program, name, (uint32_t)bpf_program__type(program->bpf),
                          opts,    NULL, err};

    *out = NULL;
    if (kb_program_fd(program) < 0)
        return kb_fail(err, EBADF, "attach", name,
                       "it is not in the kernel; load the object first");
    req.link = calloc(1, sizeof(*req.link));
    if (!req.link)
        return kb_fail(err, ENOMEM, "attach", name, "out of memory");
    req.link->fd = -1;
    int rc = attach_target(&req);
    if (rc)
        free(req.link);
    else
        *out = req.link;
    return rc;
}
