/*
 * pin.c: names that outlive processes: BPF file systems hold programs, maps and links by path. In:
 * descriptors and paths; out: pins, or descriptors again with what they are. bpf(2) says EINVAL or
 * EPERM for a path that is nowhere near such a file system; here that is said in words.
 */
#include "internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define BPFFS "/sys/fs/bpf"
enum { BPFFS_MAGIC = (int)0xcafe4a11 };

bool kb_bpffs_mounted(const char *path) {
    struct statfs fs;

    return statfs(path ? path : BPFFS, &fs) == 0 && (int)fs.f_type == BPFFS_MAGIC;
}

int kb_mount_bpffs(const char *path, struct kb_error *err) {
    static const char operation[] = "mount bpffs";
    char why[512];

    if (!path)
        path = BPFFS;
    if (kb_bpffs_mounted(path))
        return 0;
    if (mkdir(path, 0700) != 0 && errno != EEXIST && strcmp(path, BPFFS) != 0)
        return kb_fail(err, errno, operation, NULL, "the folder %s cannot be made: %s", path,
                       strerror(errno));
    if (mount("bpf", path, "bpf", 0, "mode=0700") == 0)
        return 0;
    int errnum = errno;
    if (errnum == EPERM)
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_SYS_ADMIN));
    else
        snprintf(why, sizeof(why), "%s",
                 errnum == ENODEV   ? "this kernel has no BPF file system (CONFIG_BPF_SYSCALL)"
                 : errnum == ENOENT ? "there is no such folder (sysfs on /sys makes /sys/fs/bpf)"
                                    : strerror(errnum));
    return kb_fail(err, errnum, operation, NULL, "%s: %s", path, why);
}

/* The folder that holds `path`, to be freed. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
}

/* Whether a pin can be at `path`; 0 or failed. */
static int check_folder(const char *operation, const char *path, struct kb_error *err) {
    char *folder = folder_of(path);
    int rc = 0;

    if (!folder)
        return kb_fail(err, ENOMEM, operation, NULL, "out of memory");
    if (access(folder, F_OK) != 0)
        rc = kb_fail(err, errno, operation, NULL, "%s: there is no folder %s" KB_DO "make it", path,
                     folder);
    else if (!kb_bpffs_mounted(folder))
        rc = kb_fail(err, EINVAL, operation, NULL,
                     "%s: %s is not in a BPF file system, which alone holds pins" KB_DO
                     "run `mount -t bpf bpf " BPFFS "`, or call mountBpffs()",
                     path, folder);
    free(folder);
    return rc;
}

/* Without stat(2), which would raise the C library that the addon needs. */
static bool is_folder(const char *path) {
    int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int refused(const char *operation, const char *path, int errnum, struct kb_error *err) {
    char why[512];

    switch (errnum) {
    case EPERM:
    case EACCES:
        /* A name with a dot is not allowed there, and that is EPERM, too. */
        if (errnum == EPERM && strchr(strrchr(path, '/') ? strrchr(path, '/') : path, '.'))
            snprintf(why, sizeof(why), "names of pins have no dots" KB_DO "choose another name");
        else
            kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_BPF));
        return kb_fail(err, errnum, operation, NULL, "%s: %s", path, why);
    case EEXIST:
        return kb_fail(
            err, errnum, operation, NULL,
            "%s: something is pinned there already" KB_DO "unpin it, or choose another name", path);
    case ENOENT:
        return kb_fail(err, errnum, operation, NULL,
                       "%s: nothing is pinned there" KB_DO "pins() lists what is", path);
    default:
        return kb_fail(err, errnum, operation, NULL, "%s: %s", path,
                       is_folder(path) ? "it is a folder" : strerror(errnum));
    }
}

int kb_pin(int fd, const char *path, struct kb_error *err) {
    static const char operation[] = "pin";
    struct {
        uint64_t path;
        uint32_t fd, flags;
    } attr = {(uint64_t)(uintptr_t)path, (uint32_t)fd, 0};
    int rc = fd < 0
                 ? kb_fail(err, EOPNOTSUPP, operation, NULL,
                           "%s: there is nothing of it in the kernel that a path could name", path)
                 : check_folder(operation, path, err);

    if (rc)
        return rc;
    rc = kb_sys(KB_OBJ_PIN, &attr, sizeof(attr));
    return rc ? refused(operation, path, -rc, err) : 0;
}

int kb_unpin(const char *path, struct kb_error *err) {
    static const char operation[] = "unpin";
    int rc = check_folder(operation, path, err);

    if (rc)
        return rc;
    if (is_folder(path))
        return kb_fail(err, EISDIR, operation, NULL,
                       "%s: it is a folder" KB_DO "give the path of a pin", path);
    return unlink(path) == 0 ? 0 : refused(operation, path, errno, err);
}

enum kb_pin_kind kb_fd_kind(int fd) {
    char link[64], target[64];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, target, sizeof(target) - 1);
    target[length < 0 ? 0 : length] = 0;
    return strstr(target, "bpf-prog")                                 ? KB_PIN_PROGRAM
           : strstr(target, "bpf-map")                                ? KB_PIN_MAP
           : strstr(target, "bpf_link") || strstr(target, "bpf-link") ? KB_PIN_LINK
                                                                      : KB_PIN_OTHER;
}

int kb_open_pinned(const char *path, uint32_t flags, enum kb_pin_kind *kind, int *fd,
                   struct kb_error *err) {
    static const char operation[] = "open pin";
    struct {
        uint64_t path;
        uint32_t fd, flags;
    } attr = {(uint64_t)(uintptr_t)path, 0, flags};

    *fd = kb_sys(KB_OBJ_GET, &attr, sizeof(attr));
    if (*fd < 0) {
        int errnum = -*fd;
        *fd = -1;
        int rc = access(path, F_OK) == 0 ? check_folder(operation, path, err) : 0;
        return rc ? rc : refused(operation, path, errnum, err);
    }
    *kind = kb_fd_kind(*fd);
    return 0;
}
