/*
 * tracefs.c: tracepoints are found by name only through tracefs, which a fresh machine or a
 * container has not mounted. Whether it is, whether it has an event, and, on request, mounting it.
 */
#include "internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TRACEFS     "/sys/kernel/tracing"
#define TRACEFS_OLD "/sys/kernel/debug/tracing" /* inside debugfs; libbpf prefers it */
enum { TRACEFS_MAGIC_NUMBER = 0x74726163 };

static bool is_tracefs(const char *path) {
    struct statfs fs;

    return statfs(path, &fs) == 0 && fs.f_type == TRACEFS_MAGIC_NUMBER;
}

bool kb_tracefs_mounted(void) {
    return is_tracefs(TRACEFS) || is_tracefs(TRACEFS_OLD);
}

/* The file with a tracepoint's number. */
static bool id_file(const char *category, const char *name, char *path, size_t size) {
    const char *root = is_tracefs(TRACEFS_OLD) ? TRACEFS_OLD : TRACEFS;

    int length = snprintf(path, size, "%s/events/%s/%s/id", root, category, name);
    return length > 0 && (size_t)length < size;
}

bool kb_tracefs_has_event(const char *category, const char *name) {
    char path[512];

    return id_file(category, name, path, sizeof(path)) && access(path, F_OK) == 0;
}

int kb_tracefs_event_id(const char *category, const char *name) {
    char path[512], text[16];

    errno = ENOENT;
    if (!id_file(category, name, path, sizeof(path)) || !kb_read_file(path, text, sizeof(text)))
        return -errno;
    return (int)strtol(text, NULL, 10);
}

int kb_mount_tracefs(struct kb_error *err) {
    char why[512];

    if (is_tracefs(TRACEFS) || mount("tracefs", TRACEFS, "tracefs", 0, NULL) == 0)
        return 0;
    int errnum = errno;
    if (errnum == EPERM)
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_SYS_ADMIN));
    else if (errnum == ENOENT || errnum == ENODEV)
        snprintf(why, sizeof(why),
                 "there is no " TRACEFS " or no tracefs in this kernel" KB_DO
                 "mount sysfs on /sys, or use a kernel with CONFIG_TRACING");
    else
        snprintf(why, sizeof(why), "mount(2) on " TRACEFS " failed: %s", kb_reason(errnum));
    return kb_fail(err, errnum, "mount tracefs", NULL, "%s", why);
}
