/*
 * attach.h: what the files of attach_*.c share: one request, its table row, and the words for what
 * the kernel refuses.
 */
#ifndef KB_ATTACH_H
#define KB_ATTACH_H

#include "internal.h"

struct request;

/* A row of the table of target kinds. */
struct target {
    const char *name;      /* "raw_tracepoint" */
    const char *operation; /* "attach raw_tracepoint" */
    const char *since;     /* first kernel */
    int (*attach)(struct request *req);
};

/* One call of kb_program_attach(). */
struct request {
    struct kb_program *program;
    int fd;
    uint32_t type;
    uint32_t attach_type;
    struct kb_attach_opts opts; /* a copy: sections are turned into it */
    const struct target *target;
    struct kb_link *link;
    struct kb_error *err;
};

/* Fails with the row's operation and the program's name; -errnum. */
int kb_attach_fail(const struct request *req, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The kernel refused: the reason that the number, the program and the kernel's age suggest. `where`
 * names the target, e.g. "interface 'eth0'". */
int kb_attach_refused(const struct request *req, int errnum, const char *where);
/* Adds a part to the link; closes both descriptors when there is no memory. 0 or -ENOMEM, without
 * an error record. */
int kb_attach_add(struct request *req, int fd, int event);
/* BPF_LINK_CREATE; the link's descriptor becomes a part of the request's link. 0 or -errno, without
 * an error record. */
int kb_attach_create(struct request *req, struct kb_attr_link *attr);
/* A descriptor of a path that must be there, or -errno after failing. */
int kb_attach_open(const struct request *req, const char *path, int flags, const char *what);

/* attach_trace.c: what runs when code does. */
int kb_attach_raw_tracepoint(struct request *req);
int kb_attach_tracepoint(struct request *req);
int kb_attach_kprobe(struct request *req);
int kb_attach_ksyscall(struct request *req);
int kb_attach_kprobe_multi(struct request *req);
int kb_attach_uprobe(struct request *req);
int kb_attach_uprobe_multi(struct request *req);
int kb_attach_usdt(struct request *req);
int kb_attach_tracing(struct request *req);
int kb_attach_freplace(struct request *req);
int kb_attach_iter(struct request *req);
int kb_attach_perf_event(struct request *req);

/* attach_net.c: what runs on packets, sockets and for control groups. */
int kb_attach_xdp(struct request *req);
int kb_attach_tc(struct request *req);
int kb_attach_tcx(struct request *req);
int kb_attach_netkit(struct request *req);
int kb_attach_cgroup(struct request *req);
int kb_attach_netns(struct request *req);
int kb_attach_sockmap(struct request *req);
int kb_attach_socket(struct request *req);
int kb_attach_reuseport(struct request *req);
int kb_attach_netfilter(struct request *req);
int kb_attach_lirc(struct request *req);

/* section.c: turns the program's section into options; 0, or -errno after failing. */
int kb_attach_section(struct request *req, char **memory);

/* symbols.c: where functions of executables and libraries are. */

/* Symbols of an executable: names and file offsets. */
struct kb_symbols {
    uint64_t *offsets;
    size_t count;
};
/* The file for a name without '/', searched as the loader or the shell would; 0 or -ENOENT. */
int kb_find_binary(const char *name, char *path, size_t size);
/* File offsets of the functions `names` (count of them), or of all that match `pattern`. 0, -ENOENT
 * with *missing, or another -errno. Free offsets. */
int kb_symbol_offsets(const char *path, const char *const *names, size_t count, const char *pattern,
                      struct kb_symbols *symbols, const char **missing);

#endif
