/*
 * program.c: programs in the kernel, whether an object of ours loaded them or they were opened by
 * id, pin or descriptor: their names, and what the kernel tells about them.
 */
#include "internal.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint32_t kb_program_fd_id(int fd) {
    struct bpf_prog_info info;
    uint32_t size = sizeof(info);

    memset(&info, 0, sizeof(info));
    errno = EBADF;
    return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
}

int kb_program_fd(const struct kb_program *program) {
    int fd = program->bpf ? bpf_program__fd(program->bpf) : program->fd;

    return fd < 0 ? -1 : fd;
}

const char *kb_program_name(const struct kb_program *program) {
    return program->bpf ? bpf_program__name(program->bpf) : program->name;
}

uint32_t kb_program_type(const struct kb_program *program) {
    return program->bpf ? (uint32_t)bpf_program__type(program->bpf) : program->type;
}

uint32_t kb_program_attach_type(const struct kb_program *program) {
    return program->bpf ? (uint32_t)bpf_program__expected_attach_type(program->bpf)
                        : program->attach_type;
}

/* All but what only the kernel knows. */
static void describe(const struct bpf_program *program, struct kb_program_info *info) {
    int fd = bpf_program__fd(program);

    info->name = bpf_program__name(program);
    info->section = bpf_program__section_name(program);
    info->type = (uint32_t)bpf_program__type(program);
    info->expected_attach_type = (uint32_t)bpf_program__expected_attach_type(program);
    info->insn_count = bpf_program__insn_cnt(program);
    info->fd = fd < 0 ? -1 : fd;
    info->id = 0;
    info->autoload = bpf_program__autoload(program);
    info->autoattach = bpf_program__autoattach(program);
}

void kb_describe_program(const struct bpf_program *program, struct kb_program_info *info) {
    describe(program, info);
    info->id = kb_program_fd_id(info->fd);
}

int kb_program_get_info(const struct kb_program *program, struct kb_program_info *info,
                        struct kb_error *err) {
    struct bpf_prog_info kernel;
    uint32_t size = sizeof(kernel);
    int fd = kb_program_fd(program), errnum = 0;

    memset(&kernel, 0, sizeof(kernel));
    if (program->bpf)
        describe(program->bpf, info);
    if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &kernel, &size) != 0)
        errnum = errno;
    if (program->bpf)
        info->id = kernel.id;
    else
        *info = (struct kb_program_info){.name = program->name,
                                         .section = "",
                                         .type = program->type,
                                         .expected_attach_type = program->attach_type,
                                         .insn_count = kernel.xlated_prog_len / 8,
                                         .id = kernel.id,
                                         .fd = fd};
    return errnum ? kb_fail(err, errnum, "program info", kb_program_name(program),
                            "the kernel gives no information: %s", kb_reason(errnum))
                  : 0;
}

const char *kb_program_log(const struct kb_program *program) {
    return program->object ? kb_log_find(program->object->logs, kb_program_name(program))
                           : program->log;
}

void kb_program_close(struct kb_program **handle) {
    struct kb_program *program = handle ? *handle : NULL;

    if (!program)
        return;
    *handle = NULL;
    if (!program->bpf && program->fd >= 0)
        close(program->fd);
    kb_object_unref(program->object);
    free(program->name);
    free(program->log);
    free(program);
}

int kb_program_adopt(int fd, struct kb_program **out, struct kb_error *err) {
    static const char operation[] = "open program";
    struct bpf_prog_info info;
    uint32_t size = sizeof(info);

    *out = NULL;
    memset(&info, 0, sizeof(info));
    if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0)
        return kb_fail(err, errno, operation, NULL, "%s",
                       errno == EINVAL ? "the descriptor is none of a BPF program"
                                       : kb_reason(errno));
    struct kb_program *program = calloc(1, sizeof(*program));
    char *name = strndup(info.name, sizeof(info.name));
    if (!program || !name) {
        free(program);
        free(name);
        return kb_fail(err, ENOMEM, operation, NULL, "out of memory");
    }
    program->fd = fd;
    program->name = name;
    program->type = info.type;
    *out = program;
    return 0;
}

int kb_program_open_fd(int fd, struct kb_program **out, struct kb_error *err) {
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    *out = NULL;
    if (own < 0)
        return kb_fail(err, errno, "open program", NULL, "%s", kb_reason(errno));
    int rc = kb_program_adopt(own, out, err);
    if (rc)
        close(own);
    return rc;
}

int kb_program_open(uint32_t id, struct kb_program **out, struct kb_error *err) {
    uint32_t attr[3] = {id, 0, 0};
    char why[512];
    int fd = kb_sys(KB_PROG_GET_FD_BY_ID, attr, sizeof(attr));

    *out = NULL;
    if (fd == -EPERM)
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_SYS_ADMIN));
    if (fd < 0)
        return kb_fail(err, -fd, "open program", NULL, "id %u: %s", id,
                       fd == -EPERM    ? why
                       : fd == -ENOENT ? "the kernel has no program of this id (any more)" KB_DO
                                         "programIds(), or `bpf prog`, lists those that there are"
                                       : kb_reason(-fd));
    int rc = kb_program_adopt(fd, out, err);
    if (rc)
        close(fd);
    return rc;
}
