/*
 * machine.c: questions to the machine rather than to an object: may this process use bpf(2), which
 * versions are in play, which ids does the kernel know.
 */
#include "internal.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#if __has_include(<elfutils/version.h>) && !defined(KB_SYSTEM_LIBBPF)
#include <elfutils/version.h>
#endif

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

static int refused(struct kb_error *err, const char *what, int errnum, uint32_t program_type) {
    char why[512];

    if (errnum == EPERM)
        kb_explain_eperm(why, sizeof(why), kb_program_caps(program_type));
    else
        snprintf(why, sizeof(why), "%s",
                 errnum == ENOSYS ? "this kernel has no bpf(2), or an emulator is in between" KB_DO
                                    "use a kernel with CONFIG_BPF_SYSCALL"
                 : errnum == EINVAL ? "this kernel does not know this type" KB_DO
                                      "`bpf features` tells what it has"
                                    : kb_reason(errnum));
    return kb_fail(err, errnum, "probe bpf(2)", NULL, "cannot %s: %s", what, why);
}

int kb_probe(uint32_t program_type, struct kb_error *err) {
    int fd = kb_sys_minimal_map();
    if (fd < 0)
        return refused(err, "create a map", -fd, program_type);
    close(fd);
    fd = kb_sys_minimal_program(program_type);
    if (fd < 0)
        return refused(err, "load a program", -fd, program_type);
    close(fd);
    return 0;
}

bool kb_kernel_older(const char *version) {
    struct utsname name;
    unsigned major, minor, want_major, want_minor;

    return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
           sscanf(version, "%u.%u", &want_major, &want_minor) == 2 &&
           (major < want_major || (major == want_major && minor < want_minor));
}

void kb_get_versions(struct kb_versions *versions) {
    struct utsname name;

    memset(versions, 0, sizeof(*versions));
    versions->libbpf = libbpf_version_string() + 1; /* "v1.5" */
#ifdef _ELFUTILS_VERSION
    versions->libelf = "0." TEXT(_ELFUTILS_VERSION);
#else
    versions->libelf = "";
#endif
    if (uname(&name) == 0)
        snprintf(versions->kernel, sizeof(versions->kernel), "%s", name.release);
}

int kb_possible_cpus(void) {
    struct kb_capture capture;

    kb_capture_begin(&capture);
    int cpus = libbpf_num_possible_cpus();
    kb_capture_end(&capture);
    kb_capture_free(&capture);
    return cpus;
}

int kb_next_id(enum kb_id_kind kind, uint32_t after, uint32_t *next, struct kb_error *err) {
    char why[512];
    int rc = kind == KB_ID_PROGRAM ? bpf_prog_get_next_id(after, next)
             : kind == KB_ID_MAP   ? bpf_map_get_next_id(after, next)
             : kind == KB_ID_LINK  ? bpf_link_get_next_id(after, next)
                                   : bpf_btf_get_next_id(after, next);

    if (rc == 0)
        return 0;
    int errnum = errno;
    if (errnum == ENOENT)
        return -ENOENT;
    if (errnum == EPERM)
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_SYS_ADMIN));
    return kb_fail(err, errnum, "next id", NULL, "%s", errnum == EPERM ? why : kb_reason(errnum));
}
