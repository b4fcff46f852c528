/*
 * internal.h: what the files of kernel-backend share: the structures behind the handles, the error
 * record's writer, the capture of libbpf's messages, and the words for a refused privilege.
 */
#ifndef KB_INTERNAL_H
#define KB_INTERNAL_H

#include "kb.h"
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdatomic.h>

/* The kernel-internal errno that bpf(2) leaks; no header has it. */
#define KB_ENOTSUPP 524

/* error.c --------------------------------------------------------------------------------------*/

/*
 * Fills the record with `errnum` (positive), operation, subject (may be NULL) and a text
 * "operation 'subject': <format…> (ENAME)"; returns -errnum. Keeps a log that is in the record of
 * this very failure only if the caller sets it afterwards (kb_error_set_log).
 */
int kb_fail(struct kb_error *err, int errnum, const char *operation, const char *subject,
            const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Gives the record a heap-allocated log to own. */
void kb_error_set_log(struct kb_error *err, char *log);

/* capture.c ------------------------------------------------------------------------------------*/

/* The verifier's log of one program. */
struct kb_log {
    struct kb_log *next;
    char *program;
    char *text;
};

/* What libbpf said in this thread between begin and end. Captures nest. */
struct kb_capture {
    struct kb_capture *outer;
    char *messages; /* warnings joined by "; ", NULL if none; the first 16 KiB */
    size_t size;
    struct kb_log *logs; /* newest first */
};

void kb_capture_begin(struct kb_capture *capture);
/* Stops capturing; the content stays until kb_capture_free(). */
void kb_capture_end(struct kb_capture *capture);
void kb_capture_free(struct kb_capture *capture);
/* The messages, or `otherwise` if there are none. Lives as long as the capture. */
const char *kb_capture_line(const struct kb_capture *capture, const char *otherwise);
/* The log of a program, or NULL. */
const char *kb_log_find(const struct kb_log *logs, const char *program);
void kb_logs_free(struct kb_log *logs);

/* privilege.c ----------------------------------------------------------------------------------*/

enum { KB_CAP_NET_ADMIN = 12, KB_CAP_SYS_ADMIN = 21, KB_CAP_PERFMON = 38, KB_CAP_BPF = 39 };
#define KB_CAP_BIT(cap) (1ULL << (cap))

/* Capabilities (bits) that loading a program of this type needs. */
uint64_t kb_program_caps(uint32_t program_type);
/* A sentence why the kernel said EPERM to something that needs these capabilities, and the remedy.
 */
void kb_explain_eperm(char *text, size_t size, uint64_t needed_caps);

/* The structures behind the handles ------------------------------------------------------------*/

/* Freed when the last of the opener, its program handles and its links lets go. */
struct kb_object {
    atomic_uint refs;
    struct bpf_object *bpf;
    void *bytes; /* libbpf's ELF reader points into them */
    struct bpf_program **programs;
    struct bpf_map **maps;
    size_t program_count;
    size_t map_count;
    bool loaded;
    struct kb_log *logs;
};

struct kb_program {
    struct kb_object *object; /* one reference */
    struct bpf_program *bpf;
};

/* Either libbpf's link or a plain file descriptor that bpf(2) gave. */
struct kb_link {
    struct bpf_link *bpf;
    int fd;                   /* if bpf is NULL */
    struct kb_object *object; /* one reference, if libbpf's link points into the object */
};

struct kb_map {
    int fd;
    uint32_t type;
    uint32_t key_size;
    uint32_t value_size;
    size_t value_size_user;
    char *name;
};

struct kb_object *kb_object_ref(struct kb_object *object);
void kb_object_unref(struct kb_object *object);

/* map_open.c */
int kb_map_adopt(int fd, const char *name, struct kb_map **out, struct kb_error *err);
size_t kb_value_size_user(uint32_t type, uint32_t value_size);
struct bpf_map_info;
int kb_map_fd_info(int fd, struct bpf_map_info *info); /* 0 or errno */

/* sys.c: bpf(2) itself; libbpf's wrappers hide fields that are newer than they are. */
int kb_sys_raw_tracepoint_open(int program_fd, const char *name, uint64_t cookie);
int kb_sys_minimal_program(uint32_t program_type);
int kb_sys_minimal_map(void);

/* machine.c: whether this kernel is older than "5.16"; false if its version is unreadable. */
bool kb_kernel_older(const char *version);

/* tracefs.c */
bool kb_tracefs_mounted(void);
bool kb_tracefs_has_event(const char *category, const char *name);

/* The kernel's id of an open program, 0 if it cannot be had. */
uint32_t kb_program_fd_id(int fd);

#endif
