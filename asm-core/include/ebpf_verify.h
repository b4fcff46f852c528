/* ebpf_verify.h - the kernel verifier's log: what it says, and what that means.
 *
 * A log goes in as bytes, as the kernel or libbpf gave it: of level 1 or 2, whole or cut off, of
 * any kernel since 4.15, with or without the report that Linux 7.3 puts below it. Its lines come
 * out one by one; the reason of the refusal comes out as an explanation in plain words with the
 * register's origin, the line of C and a remedy:
 *
 *     if (ebpf_log_read(ctx, log, size, &read) == EBPF_OK) {
 *         ebpf_log_object(ctx, read, object, "handle", 6);   // optional: its lines of C
 *         ebpf_log_explain(ctx, read, EBPF_DIAG_TEXT, &text);
 *     }
 */
#ifndef EBPF_VERIFY_H
#define EBPF_VERIFY_H

#include "ebpf.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ebpf_log ebpf_log; /* a log that was read; owned by its context */

enum ebpf_log_kind {
    EBPF_LOG_INSN = 0,   /* 12: (79) r0 = *(u64 *)(r1 +0) ; R0=scalar() */
    EBPF_LOG_STATE = 1,  /* registers by themselves: 0: R1=ctx() R10=fp0 */
    EBPF_LOG_FROM = 2,   /* from 5 to 9: R0=0: another path goes on here */
    EBPF_LOG_SOURCE = 3, /* ; line of C @ file.c:12: what the next instructions come from */
    EBPF_LOG_STATS = 4,  /* processed 12 insns ..., verification time, stack depth */
    EBPF_LOG_REPORT = 5, /* a line of the report of Linux 7.3 */
    EBPF_LOG_REASON = 6, /* why the program is refused */
    EBPF_LOG_OTHER = 7,  /* what else the verifier tells of its work */
    EBPF_LOG_KINDS = 8
};

/* One line of a log. Texts are parts of the log; an absent one has size 0. */
typedef struct ebpf_log_line {
    uint32_t kind;    /* enum ebpf_log_kind */
    int32_t insn;     /* the instruction that it is about, or -1 */
    int32_t from;     /* EBPF_LOG_FROM: the jump that led here, or -1 */
    uint32_t source;  /* EBPF_LOG_SOURCE: the line's number in its file, or 0 */
    ebpf_bytes text;  /* the instruction, the line of C, or the whole line */
    ebpf_bytes state; /* registers and stack, as the log has them */
    ebpf_bytes file;  /* EBPF_LOG_SOURCE: the file, or nothing */
} ebpf_log_line;

enum ebpf_log_value_flags {
    EBPF_VALUE_STACK = 1,   /* a slot of the stack: index is its offset, -8 for fp-8 */
    EBPF_VALUE_WRITTEN = 2, /* _w */
    EBPF_VALUE_READ = 4,    /* _r */
    EBPF_VALUE_PRECISE = 8, /* the P in front of a scalar */
    EBPF_VALUE_CONST = 16   /* `constant` is its value */
};

/* One register or slot of a state. Bounds that the log does not name are those that nothing is
 * known of; 32-bit bounds stay in `text`. */
typedef struct ebpf_log_value {
    uint32_t frame;   /* of calls; 0 is the program itself */
    int32_t index;    /* R3: 3; fp-16: -16 */
    uint32_t flags;   /* enum ebpf_log_value_flags */
    int32_t offset;   /* off: a fixed distance from where the pointer points to */
    uint32_t range;   /* r: how many bytes of a packet were checked */
    uint32_t id, ref; /* which values move together; the reference that must be released */
    uint32_t key_size, value_size; /* ks, vs: of the map */
    int64_t constant;
    int64_t smin, smax;
    uint64_t umin, umax;
    uint64_t bits, mask; /* var_off: known bits; bits that are not known */
    ebpf_bytes type; /* "map_value_or_null", "scalar", "ptr_task_struct"; "mmmmmmmm" of a slot */
    ebpf_bytes map;  /* the map's name */
    ebpf_bytes text; /* all that stands behind the = */
} ebpf_log_value;

/* Read a log. Any bytes are a log; the status is about memory only. They are not copied: they must
 * stay until the context is freed. */
EBPF_API int ebpf_log_read(ebpf_ctx *ctx, const void *bytes, size_t size, ebpf_log **out);

/* The object that was loaded, of the same context, and which of its programs: lines of C come from
 * its .BTF.ext then, also where the log has none. EBPF_E_ARG when it has no program or function so
 * called; without a name it must have one program only. */
EBPF_API int ebpf_log_object(ebpf_ctx *ctx, ebpf_log *log, const ebpf_object *obj,
                             const char *program, size_t program_size);

/* 1 if it is a log of the verifier: some line is one that the kernel writes; 0 of other texts. */
EBPF_API int ebpf_log_recognized(const ebpf_log *log);
EBPF_API uint32_t ebpf_log_count(const ebpf_log *log);
EBPF_API int ebpf_log_line_at(const ebpf_log *log, uint32_t index, ebpf_log_line *out);
/* *values: the registers and slots of that line's state; *count of them. */
EBPF_API int ebpf_log_values(ebpf_ctx *ctx, const ebpf_log *log, uint32_t index,
                             const ebpf_log_value **values, uint32_t *count);

/* Why the program was refused: as text for people, or as JSON { recognized, refused, cause,
 * message, explanation, remedy, instruction, source, register, origin[], also[], report, stats };
 * bindings/src/log.ts has the types. EBPF_DIAG_TEXT, _ANSI or _JSON. */
EBPF_API int ebpf_log_explain(ebpf_ctx *ctx, const ebpf_log *log, int format, ebpf_bytes *out);
/* `count` lines from `first` on as a JSON array of { kind, text, ... }, states parsed. */
EBPF_API int ebpf_log_json(ebpf_ctx *ctx, const ebpf_log *log, uint32_t first, uint32_t count,
                           ebpf_bytes *json);

#ifdef __cplusplus
}
#endif
#endif
