/*
 * internal.h: what the files of kernel-backend share: the structures behind the handles, the error
 * record's writer, the capture of libbpf's messages, and the words for a refused privilege.
 */
#ifndef KB_INTERNAL_H
#define KB_INTERNAL_H

#include "kb.h"
#include "uapi.h"
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdatomic.h>

/* The kernel-internal errno that bpf(2) leaks; no header has it. */
#define KB_ENOTSUPP 524

/* error.c --------------------------------------------------------------------------------------*/

/* Within the words of a failure: the reason is before it, the remedy behind. */
#define KB_DO "\x1f"
#define KB_NO_BTF                                                                                  \
    "it needs the kernel's BTF, and there is no /sys/kernel/btf/vmlinux" KB_DO                     \
    "use a kernel with CONFIG_DEBUG_INFO_BTF"

/*
 * Fills the record with `errnum` (positive), operation, subject (may be NULL) and a text
 * "operation 'subject': <format…> (ENAME); <remedy>"; returns -errnum. What the format has behind
 * KB_DO is the remedy; without one it is what usually helps against the errno. Keeps a log that is
 * in the record of this very failure only if the caller sets it afterwards (kb_error_set_log).
 */
int kb_fail(struct kb_error *err, int errnum, const char *operation, const char *subject,
            const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Words with a remedy, for where there is no record: KB_DO becomes "; ". */
void kb_join_remedy(char *text);
/* What an errno means where nothing more is known: a reason. */
const char *kb_reason(int errnum);
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
/* The start of a small file, zero-terminated; false if it cannot be read. */
bool kb_read_file(const char *path, char *buffer, size_t size);
/* Why the kernel said EPERM to something that needs these capabilities, and with KB_DO the remedy.
 */
void kb_explain_eperm(char *text, size_t size, uint64_t needed_caps);
/* Whether lockdown is "integrity" or "confidentiality", as said. */
bool kb_is_locked_down(const char *mode);
/* Words to go on with, and the remedy, if lockdown takes away what the verifier does not know; "".
 */
void kb_explain_lockdown(const char *what, char *text, size_t size);

/* near.c: names that were meant, perhaps -------------------------------------------------------*/

enum { KB_NEAR_NAMES = 3, KB_NEAR_SIZE = 128 };

/* The names most like one that is not there, out of all that are offered. */
struct kb_near {
    const char *wanted;
    size_t count;
    struct kb_near_name {
        char name[KB_NEAR_SIZE];
        unsigned distance;
    } names[KB_NEAR_NAMES]; /* nearest first */
};

void kb_near_offer(struct kb_near *near, const char *name);
/* "did you mean 'a', 'b' or 'c'?", or `otherwise` if nothing is near. Gives `text`. */
const char *kb_near_say(const struct kb_near *near, const char *otherwise, char *text, size_t size);
/* The same for interfaces, functions of the kernel, types of its BTF, tracepoints. */
const char *kb_near_interface(const char *name, char *text, size_t size);
const char *kb_near_function(const char *name, char *text, size_t size);
/* The first of these functions that the kernel has not, or NULL. */
const char *kb_missing_function(const char *const *names, size_t count);
/* Of what programs of this attach type are for: functions, tracepoints, hooks of LSM, iterators. */
const char *kb_near_btf_target(uint32_t attach_type, const char *name, char *text, size_t size);
/* Of the names of sections that tell a program's type. */
const char *kb_near_section(const char *name, char *text, size_t size);
const char *kb_near_tracepoint(const char *category, const char *name, char *text, size_t size);
const char *kb_near_raw_tracepoint(const char *name, char *text, size_t size);
/* Of an executable. */
const char *kb_near_symbol(const char *path, const char *name, char *text, size_t size);

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
    bool named_targets; /* in the kernel's BTF, before it is loaded */
    struct kb_log *logs;
};

/* A program of an object, or one by itself: opened by its id, pin or descriptor, or loaded. */
struct kb_program {
    struct kb_object *object; /* one reference; NULL for one that was opened */
    struct bpf_program *bpf;  /* NULL for one that was opened */
    int fd;                   /* own, of one that was opened */
    char *name;               /* own, of one that was opened */
    uint32_t type;            /* of one that was opened */
    uint32_t attach_type;     /* of one that was loaded by itself */
    char *log;                /* own, of one that was loaded by itself */
};

/* What the kernel holds for one attachment: a link or a perf event, or both. */
struct kb_part {
    int fd;    /* the link; -1 on kernels whose perf events take a program without one */
    int event; /* the perf event; -1 where there is none */
};

/*
 * An attachment is libbpf's link, or links of the kernel by descriptor (perf events on several CPUs
 * are several), or something that is no link and is undone by a call.
 */
struct kb_link {
    struct bpf_link *bpf;
    struct kb_object *object; /* one reference, if libbpf's link points into the object */
    struct kb_part *parts;
    size_t part_count;
    int (*undo)(struct kb_link *link);                      /* 0 or -errno */
    int (*replace)(struct kb_link *link, int program_fd);   /* where undo is; NULL = it cannot */
    int target;                                             /* undo: own descriptor or -1 */
    int program;                                            /* undo: own descriptor or -1 */
    uint32_t ifindex, attach_type, flags, priority, handle; /* undo: as its call needs them */
    uint64_t device, inode;                                 /* undo: of a socket */
    int socket;                                             /* undo: not own */
};

struct kb_map {
    int fd;
    uint32_t type;
    uint32_t key_size;
    uint32_t value_size;
    size_t value_size_user;
    char *name;
    struct kb_object *object;  /* one reference, of what libbpf has more of: */
    void *arena;               /* an arena that it has mapped here, */
    const struct bpf_map *ops; /* a struct_ops map */
};

struct kb_object *kb_object_ref(struct kb_object *object);
void kb_object_unref(struct kb_object *object);

/* object.c: fails with the verifier's reason out of its log (which may be NULL), or with why a
 * privilege is missing, or with what else is known; -errnum. */
int kb_program_refused(struct kb_error *err, int errnum, const char *name, uint32_t type,
                       const char *log, const char *otherwise);

/* object.c: the descriptor of an object's map, or -1: libbpf has one for those that are not made,
 * too. */
int kb_made_fd(const struct bpf_map *map);

/* changes.c: gives programs of sections that libbpf does not know their types; 0 or -errno. */
int kb_know_sections(struct kb_object *object);

/* link.c: an attachment of nothing yet; NULL without memory. */
struct kb_link *kb_link_new(void);

/* map_open.c */
int kb_map_adopt(int fd, const char *name, struct kb_map **out, struct kb_error *err);
size_t kb_value_size_user(uint32_t type, uint32_t value_size);
struct bpf_map_info;
int kb_map_fd_info(int fd, struct bpf_map_info *info); /* 0 or errno */

/* program.c: what both kinds of programs have. */
const char *kb_program_name(const struct kb_program *program);
uint32_t kb_program_type(const struct kb_program *program);
uint32_t kb_program_attach_type(const struct kb_program *program); /* 0 when not known */
void kb_describe_program(const struct bpf_program *program, struct kb_program_info *info);

/* sys.c: bpf(2) itself; libbpf's wrappers hide fields that are newer than they are. */
int kb_sys(enum kb_command command, void *attr, size_t size); /* a descriptor, 0 or -errno */
int kb_sys_raw_tracepoint_open(int program_fd, const char *name, uint64_t cookie);
int kb_sys_minimal_program(uint32_t program_type);
int kb_sys_minimal_map(void);
/* machine.c: whether this kernel is older than "5.16"; false if its version is unreadable. */
bool kb_kernel_older(const char *version);
/* Whether a program's type or attach type came after the running kernel; `why` says so. */
bool kb_is_too_old(uint32_t type, uint32_t attach, char *why, size_t size);
/* Why a map could not be made that was to be as `def` says. */
void kb_explain_map(char *why, size_t size, const struct kb_map_def *def, int errnum);

/* tracefs.c */
bool kb_tracefs_mounted(void);
bool kb_tracefs_has_event(const char *category, const char *name);
/* The number of a tracepoint for perf_event_open(2), or -errno. */
int kb_tracefs_event_id(const char *category, const char *name);

/* The kernel's id of an open program, 0 with errno if it cannot be had. */
uint32_t kb_program_fd_id(int fd);

#endif
