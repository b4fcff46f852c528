/*
 * run.c: one program by itself: a run on data and context of the caller's (BPF_PROG_TEST_RUN),
 * everything that the kernel tells about it (its instructions as they run, its lines, its maps, how
 * often it ran), and the switch that makes the kernel count.
 */
#include "internal.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIES = 32 }; /* a run that a signal interrupts starts again */

/* BPF_PROG_TEST_RUN */
struct attr_run {
    uint32_t prog_fd, retval, data_size_in, data_size_out;
    uint64_t data_in, data_out;
    uint32_t repeat, duration, ctx_size_in, ctx_size_out;
    uint64_t ctx_in, ctx_out;
    uint32_t flags, cpu, batch_size, unused;
};

static int run_refused(const struct kb_program *program, const struct kb_run *run, int errnum,
                       struct kb_error *err) {
    static const char operation[] = "run program";
    const char *name = kb_program_name(program);
    char why[512];

    switch (errnum) {
    case ENOSPC:
        return kb_fail(err, errnum, operation, name,
                       "it did run, but what it left is longer than the room for it (%zu bytes of "
                       "data, %zu of context)" KB_DO "give more room",
                       run->data_out_size, run->ctx_out_size);
    case EPERM:
        kb_explain_eperm(why, sizeof(why), kb_program_caps(kb_program_type(program)));
        return kb_fail(err, errnum, operation, name, "%s", why);
    case KB_ENOTSUPP:
    case EOPNOTSUPP:
        return kb_fail(err, errnum, operation, name,
                       "the kernel cannot run programs of this type by themselves" KB_DO
                       "attach it, or run it in the VM (Machine)");
    case EINTR:
        return kb_fail(err, errnum, operation, name,
                       "signals came in each of %d tries before the run was through" KB_DO
                       "repeat it less often at a time, or send this process fewer signals",
                       TRIES);
    case EINVAL:
        return kb_fail(err, errnum, operation, name,
                       "the kernel refuses these inputs" KB_DO
                       "check them: packets have at least 14 bytes, types differ in which of data, "
                       "context, repeat, cpu and flags they take, and fields of the context that a "
                       "program may not set must be zero");
    default:
        return kb_fail(err, errnum, operation, name, "%s", kb_reason(errnum));
    }
}

int kb_program_run(const struct kb_program *program, struct kb_run *run, struct kb_error *err) {
    int fd = kb_program_fd(program);
    struct attr_run attr = {
        .prog_fd = (uint32_t)fd,
        .data_in = (uint64_t)(uintptr_t)run->data,
        .data_size_in = (uint32_t)run->data_size,
        .data_out = (uint64_t)(uintptr_t)run->data_out,
        .data_size_out = (uint32_t)run->data_out_size,
        .ctx_in = (uint64_t)(uintptr_t)run->ctx,
        .ctx_size_in = (uint32_t)run->ctx_size,
        .ctx_out = (uint64_t)(uintptr_t)run->ctx_out,
        .ctx_size_out = (uint32_t)run->ctx_out_size,
        .repeat = run->repeat,
        .cpu = run->cpu,
        .flags = run->flags,
        .batch_size = run->batch_size,
    };

    if (fd < 0)
        return kb_fail(err, EBADF, "run program", kb_program_name(program),
                       "it is not in the kernel" KB_DO "load the object first");
    int rc = -EINTR;
    for (int i = 0; rc == -EINTR && i < TRIES; i++)
        rc = kb_sys(KB_PROG_TEST_RUN, &attr, sizeof(attr));
    if (rc)
        return run_refused(program, run, -rc, err);
    run->return_value = attr.retval;
    run->duration = attr.duration;
    /* Without room the kernel still says how much there is. */
    run->data_out_size = run->data_out ? attr.data_size_out : 0;
    run->ctx_out_size = run->ctx_out ? attr.ctx_size_out : 0;
    return 0;
}

/* What the kernel knows -------------------------------------------------------------------------*/

/* An array for the second question; the pointer in the kernel's field, or 0. */
static uint64_t room(size_t count, size_t size, bool *failed) {
    if (!count)
        return 0;
    void *memory = calloc(count, size);
    *failed = *failed || !memory;
    return (uint64_t)(uintptr_t)memory;
}

static void *pointer(uint64_t field) {
    return (void *)(uintptr_t)field;
}

/* Asks for the lengths, makes room, asks again. */
static int ask(int fd, struct bpf_prog_info *info, struct kb_program_details *out) {
    uint32_t size = sizeof(*info);
    struct bpf_prog_info first;
    bool failed = false;

    memset(info, 0, sizeof(*info));
    memset(&first, 0, sizeof(first));
    if (bpf_obj_get_info_by_fd(fd, &first, &size) != 0)
        return errno;
    info->xlated_prog_len = first.xlated_prog_len;
    info->jited_prog_len = first.jited_prog_len;
    info->nr_map_ids = first.nr_map_ids;
    info->nr_line_info = first.nr_line_info;
    info->nr_func_info = first.nr_func_info;
    info->nr_jited_ksyms = first.nr_jited_ksyms;
    info->nr_jited_func_lens = first.nr_jited_func_lens;
    info->nr_jited_line_info = first.nr_jited_line_info;
    info->line_info_rec_size = sizeof(struct bpf_line_info);
    info->func_info_rec_size = sizeof(struct bpf_func_info);
    info->jited_line_info_rec_size = sizeof(uint64_t);
    info->xlated_prog_insns = room(first.xlated_prog_len, 1, &failed);
    info->jited_prog_insns = room(first.jited_prog_len, 1, &failed);
    info->map_ids = room(first.nr_map_ids, sizeof(uint32_t), &failed);
    info->line_info = room(first.nr_line_info, sizeof(struct bpf_line_info), &failed);
    info->func_info = room(first.nr_func_info, sizeof(struct bpf_func_info), &failed);
    info->jited_ksyms = room(first.nr_jited_ksyms, sizeof(uint64_t), &failed);
    info->jited_func_lens = room(first.nr_jited_func_lens, sizeof(uint32_t), &failed);
    info->jited_line_info = room(first.nr_jited_line_info, sizeof(uint64_t), &failed);
    out->xlated = pointer(info->xlated_prog_insns);
    out->jited = pointer(info->jited_prog_insns);
    out->map_ids = pointer(info->map_ids);
    out->lines = pointer(info->line_info);
    out->functions = pointer(info->func_info);
    out->jited_addresses = pointer(info->jited_ksyms);
    out->jited_lengths = pointer(info->jited_func_lens);
    out->jited_lines = pointer(info->jited_line_info);
    size = sizeof(*info);
    if (failed)
        return ENOMEM;
    return bpf_obj_get_info_by_fd(fd, info, &size) == 0 ? 0 : errno;
}

/* The kernel hides what a process may not see (addresses of the JIT) by a zero pointer. */
static size_t shown(uint64_t field, size_t count) {
    return field ? count : 0;
}

int kb_program_get_details(const struct kb_program *program, struct kb_program_details *out,
                           struct kb_error *err) {
    struct bpf_prog_info info;

    memset(out, 0, sizeof(*out));
    if (kb_program_fd(program) < 0)
        return kb_fail(err, EBADF, "program info", kb_program_name(program),
                       "it is not in the kernel" KB_DO "load the object first");
    int errnum = ask(kb_program_fd(program), &info, out);
    if (errnum)
        return kb_fail(err, errnum, "program info", kb_program_name(program),
                       "the kernel gives no information: %s", kb_reason(errnum));
    memcpy(out->name, info.name, sizeof(info.name));
    memcpy(out->tag, info.tag, sizeof(out->tag));
    out->id = info.id;
    out->type = info.type;
    out->load_time = info.load_time;
    out->uid = info.created_by_uid;
    out->ifindex = info.ifindex;
    out->gpl_compatible = info.gpl_compatible;
    out->btf_id = info.btf_id;
    out->attach_btf_object_id = info.attach_btf_obj_id;
    out->attach_btf_id = info.attach_btf_id;
    out->run_time = info.run_time_ns;
    out->run_count = info.run_cnt;
    out->recursion_misses = info.recursion_misses;
    out->verified_insns = info.verified_insns;
    out->xlated_size = shown(info.xlated_prog_insns, info.xlated_prog_len);
    out->jited_size = shown(info.jited_prog_insns, info.jited_prog_len);
    out->map_count = shown(info.map_ids, info.nr_map_ids);
    out->line_count = shown(info.line_info, info.nr_line_info);
    out->function_count = shown(info.func_info, info.nr_func_info);
    out->jited_function_count = shown(info.jited_ksyms, info.nr_jited_ksyms);
    if (shown(info.jited_func_lens, info.nr_jited_func_lens) < out->jited_function_count)
        out->jited_function_count = 0;
    out->jited_line_count = shown(info.jited_line_info, info.nr_jited_line_info);
    return 0;
}

void kb_program_details_clear(struct kb_program_details *details) {
    free(details->xlated);
    free(details->jited);
    free(details->map_ids);
    free(details->lines);
    free(details->functions);
    free(details->jited_addresses);
    free(details->jited_lengths);
    free(details->jited_lines);
    memset(details, 0, sizeof(*details));
}

int kb_btf_bytes(uint32_t id, void **bytes, size_t *size, struct kb_error *err) {
    struct bpf_btf_info info;
    uint32_t info_size = sizeof(info);
    int fd = bpf_btf_get_fd_by_id(id), errnum = fd < 0 ? errno : 0;

    *bytes = NULL;
    *size = 0;
    memset(&info, 0, sizeof(info));
    if (!errnum && bpf_obj_get_info_by_fd(fd, &info, &info_size) != 0)
        errnum = errno;
    if (!errnum) {
        uint32_t length = info.btf_size;
        void *memory = malloc(length ? length : 1);
        memset(&info, 0, sizeof(info));
        info.btf = (uint64_t)(uintptr_t)memory;
        info.btf_size = length;
        info_size = sizeof(info);
        errnum = !memory ? ENOMEM : bpf_obj_get_info_by_fd(fd, &info, &info_size) != 0 ? errno : 0;
        *bytes = errnum ? (free(memory), NULL) : memory;
        *size = errnum ? 0 : length;
    }
    if (fd >= 0)
        close(fd);
    return errnum ? kb_fail(err, errnum, "read BTF", NULL, "the kernel does not give BTF %u: %s",
                            id, kb_reason(errnum))
                  : 0;
}

int kb_enable_stats(int *fd, struct kb_error *err) {
    uint32_t run_time = 0; /* BPF_STATS_RUN_TIME */
    char why[512];

    *fd = kb_sys(KB_ENABLE_STATS, &run_time, sizeof(run_time));
    if (*fd >= 0)
        return 0;
    int errnum = -*fd;
    *fd = -1;
    if (errnum == EPERM)
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_SYS_ADMIN));
    return kb_fail(err, errnum, "enable statistics", NULL, "%s",
                   errnum == EPERM ? why
                   : errnum == EINVAL
                       ? "this kernel has no such command (Linux 5.8 has)" KB_DO
                         "set the sysctl kernel.bpf_stats_enabled, which does the same for all"
                       : kb_reason(errnum));
}

ptrdiff_t kb_program_read_output(const struct kb_program *program, uint32_t stream, void *bytes,
                                 size_t size, struct kb_error *err) {
    static const char operation[] = "read program output";
    struct {
        uint64_t bytes;
        uint32_t size, stream, fd, reserved;
    } attr = {.bytes = (uint64_t)(uintptr_t)bytes,
              .size = size < INT32_MAX ? (uint32_t)size : INT32_MAX,
              .stream = stream,
              .fd = (uint32_t)kb_program_fd(program)};
    const char *name = kb_program_name(program);

    if (kb_program_fd(program) < 0)
        return kb_fail(err, EBADF, operation, name,
                       "it is not in the kernel; load the object first");
    int rc = kb_sys(KB_PROG_STREAM_READ, &attr, offsetof(__typeof__(attr), reserved));
    if (rc >= 0)
        return rc;
    if (rc == -EINVAL && kb_kernel_older("6.17"))
        return kb_fail(err, EINVAL, operation, name, "Linux 6.17 has this");
    return kb_fail(err, -rc, operation, name,
                   rc == -ENOENT ? "it has the streams 1 (output) and 2 (errors)"
                                 : "the kernel does not give it");
}
