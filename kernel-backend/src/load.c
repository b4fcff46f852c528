/*
 * load.c: programs without an object: instructions, and what goes with them, straight to
 * BPF_PROG_LOAD. In: a kb_program_def; out: a program like one that was opened. The verifier's log
 * is asked for only after a refusal, in a buffer that grows until the log fits.
 */
#include "internal.h"
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char operation[] = "load program";

enum { LOG_FIRST = 64 * 1024, LOG_MOST = 1 << 28, NAME_ROOM = 16 };

/* Everything that one load holds; btf is its own descriptor, or -1. */
struct load {
    const struct kb_program_def *def;
    const char *name;
    struct kb_error *err;
    struct bpf_prog_load_opts opts;
    int btf;
    char *log;
};

static int fail(const struct load *load, int errnum, const char *text) {
    return kb_fail(load->err, errnum, operation, load->name, "%s", text);
}

/* The program's own BTF, which names its functions and lines. */
static int load_btf(struct load *load) {
    const struct kb_program_def *def = load->def;

    if (!def->btf)
        return def->function_count || def->line_count
                   ? fail(load, EINVAL,
                          "functions and lines are told by BTF, and there is none" KB_DO "give BTF")
                   : 0;
    if (def->btf_size > UINT32_MAX)
        return fail(load, E2BIG, "its BTF has more than 4 GiB");
    load->btf = bpf_btf_load(def->btf, def->btf_size, NULL);
    if (load->btf < 0)
        return kb_fail(load->err, errno, operation, load->name,
                       "the kernel does not accept its BTF: %s", kb_reason(errno));
    load->opts.prog_btf_fd = (uint32_t)load->btf;
    return 0;
}

/* A function of a program that is loaded, by name: its BTF and the id in there. */
static int find_in_program(struct load *load) {
    const struct kb_program_def *def = load->def;
    struct bpf_prog_info info;
    uint32_t size = sizeof(info);

    memset(&info, 0, sizeof(info));
    if (bpf_obj_get_info_by_fd(def->target_fd, &info, &size) != 0)
        return errno == EINVAL || errno == EBADFD
                   ? fail(load, EBADF, "the target's descriptor is none of a program")
                   : kb_fail(load->err, errno, operation, load->name,
                             "the kernel does not tell of the target program: %s",
                             kb_reason(errno));
    if (!info.btf_id)
        return fail(load, ESRCH, "the target program has no BTF");
    struct btf *btf = btf__load_from_kernel_by_id(info.btf_id);
    if (!btf)
        return kb_fail(load->err, errno, operation, load->name,
                       "the target program's BTF cannot be read: %s", kb_reason(errno));
    int id = btf__find_by_name_kind(btf, def->target_name, BTF_KIND_FUNC);
    btf__free(btf);
    if (id <= 0)
        return kb_fail(load->err, ESRCH, operation, load->name,
                       "the target program has no function '%s'", def->target_name);
    load->opts.attach_btf_id = (uint32_t)id;
    return 0;
}

static int find_in_kernel(struct load *load) {
    const struct kb_program_def *def = load->def;
    int id = libbpf_find_vmlinux_btf_id(def->target_name, (enum bpf_attach_type)def->attach_type);
    char near[512];

    if (id == -ESRCH)
        return fail(load, ESRCH, KB_NO_BTF);
    if (id == -ENOENT)
        return kb_fail(load->err, ESRCH, operation, load->name,
                       "the running kernel's BTF has no '%s' to attach to" KB_DO "%s",
                       def->target_name,
                       kb_near_btf_target(def->attach_type, def->target_name, near, sizeof(near)));
    if (id <= 0)
        return kb_fail(load->err, id ? -id : EINVAL, operation, load->name,
                       "the running kernel's BTF cannot be read: %s", kb_reason(id ? -id : EINVAL));
    load->opts.attach_btf_id = (uint32_t)id;
    return 0;
}

static int find_target(struct load *load) {
    const struct kb_program_def *def = load->def;

    load->opts.attach_prog_fd = (uint32_t)def->target_fd;
    if (!def->target_name) {
        load->opts.attach_btf_id = def->target_btf_id;
        load->opts.attach_btf_obj_fd = (uint32_t)def->target_btf_fd;
        return 0;
    }
    return def->target_fd ? find_in_program(load) : find_in_kernel(load);
}

static void fill(struct load *load) {
    const struct kb_program_def *def = load->def;
    struct bpf_prog_load_opts *opts = &load->opts;

    opts->sz = sizeof(*opts);
    opts->expected_attach_type = (enum bpf_attach_type)def->attach_type;
    opts->prog_flags = def->flags;
    opts->prog_ifindex = def->ifindex;
    opts->kern_version = def->kernel_version;
    opts->fd_array = def->fds;
    opts->func_info = def->functions;
    opts->func_info_cnt = def->function_count;
    opts->func_info_rec_size = def->function_count ? def->function_size : 0;
    opts->line_info = def->lines;
    opts->line_info_cnt = def->line_count;
    opts->line_info_rec_size = def->line_count ? def->line_size : 0;
}

/* A descriptor or -errno. */
static int try_load(struct load *load, uint32_t level, size_t log_size) {
    const struct kb_program_def *def = load->def;

    load->opts.log_level = level;
    load->opts.log_buf = level ? load->log : NULL;
    load->opts.log_size = level ? (uint32_t)log_size : 0;
    if (level)
        load->log[0] = 0;
    int fd =
        bpf_prog_load((enum bpf_prog_type)def->type, def->name, def->license ? def->license : "",
                      def->insns, def->insn_count, &load->opts);
    return fd < 0 ? -errno : fd;
}

/* With the log, whatever its size; a descriptor or -errno. Out of memory leaves the log cut. */
static int load_logged(struct load *load, uint32_t level) {
    int fd = -ENOMEM;

    for (size_t size = LOG_FIRST; size <= LOG_MOST; size *= 4) {
        char *grown = realloc(load->log, size);
        if (!grown)
            break;
        load->log = grown;
        fd = try_load(load, level, size);
        if (fd != -ENOSPC)
            break;
    }
    return fd;
}

static int load_it(struct load *load, struct kb_program **out) {
    uint32_t level = load->def->log_level;
    int fd = level ? load_logged(load, level) : try_load(load, 0, 0);

    if (fd >= 0) {
        int rc = kb_program_adopt(fd, out, load->err);
        if (rc)
            close(fd);
        return rc;
    }
    int errnum = -fd;
    if (!level) { /* once more, for the reason; what comes of it is no program */
        fd = load_logged(load, 1);
        if (fd >= 0)
            close(fd);
    }
    return kb_program_refused(
        load->err, errnum, load->name, load->def->type, load->log,
        errnum != EINVAL ? kb_reason(errnum)
                         : "the kernel refuses it without a reason" KB_DO
                           "check that it knows this type, these flags and all instructions");
}

static int check(const struct load *load) {
    const struct kb_program_def *def = load->def;

    if (!def->insns || !def->insn_count)
        return fail(load, EINVAL, "there are no instructions");
    if (def->insn_count > UINT32_MAX / 8)
        return fail(load, E2BIG, "more instructions than any kernel takes");
    return 0;
}

int kb_program_load(const struct kb_program_def *def, struct kb_program **out,
                    struct kb_error *err) {
    struct load load = {.def = def, .err = err, .name = def->name, .btf = -1};
    struct kb_capture capture;

    *out = NULL;
    int rc = check(&load);
    if (rc)
        return rc;
    kb_capture_begin(&capture);
    fill(&load);
    rc = load_btf(&load);
    if (!rc)
        rc = find_target(&load);
    if (!rc)
        rc = load_it(&load, out);
    kb_capture_end(&capture);
    kb_capture_free(&capture);
    if (!rc) {
        (*out)->attach_type = def->attach_type;
        if (def->log_level) {
            (*out)->log = load.log;
            load.log = NULL;
        }
    }
    if (load.btf >= 0)
        close(load.btf);
    free(load.log);
    return rc;
}
