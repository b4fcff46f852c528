/* log.h - the kernel verifier's log, read; what is shared by the files of verify/.
 *
 * log.c cuts the text into lines and says what each is; state.c reads registers and stack slots;
 * reason.c finds the lines that say why and looks them up in reason.def; path.c walks back along
 * the path that failed; place.c knows lines of C; report.c reads what Linux 7.3 adds; explain.c
 * puts the answer together. */
#ifndef EB_LOG_H
#define EB_LOG_H

#include "ebpf_verify.h"
#include "object.h"

typedef struct eb_log_line {
    uint8_t kind; /* enum ebpf_log_kind */
    bool restart; /* what follows is not what this instruction leads to: another path */
    int32_t insn, from;
    int32_t before;     /* the line before on the same path, or -1 */
    uint32_t number;    /* SOURCE: of the line in its file */
    eb_str text, state; /* as in ebpf_log_line */
    eb_str file;
} eb_log_line;

/* A line of C. */
typedef struct eb_log_place {
    eb_str file, text, func;
    uint32_t line, column; /* 0: unknown */
} eb_log_place;

/* What the report of Linux 7.3 says; empty texts where it is not there. */
typedef struct eb_log_event {
    eb_str label, text;
    eb_log_place place;
    int32_t insn;
} eb_log_event;

typedef struct eb_log_report {
    eb_str category, problem, reason, suggestion;
    eb_log_event at;
    EB_VEC(eb_log_event) path;
} eb_log_report;

/* A function of the object, as libbpf puts them one behind the other. */
typedef struct eb_log_part {
    const eb_func *func;
    uint32_t first; /* its first instruction in the program */
} eb_log_part;

/* The figures of the last lines; -1 where the log has none. */
typedef struct eb_log_stats {
    int64_t processed, limit, max_states_per_insn, total_states, peak_states, mark_read, usec;
    eb_str stack_depth;
} eb_log_stats;

/* Numbers of instructions above this are none: a program has a million at most. */
enum { EB_INSNS_MOST = 1 << 21, EB_CAPTURES_MOST = 8, EB_MESSAGE_MOST = 1024 };

typedef struct eb_capture {
    char kind; /* the letter of the pattern */
    eb_str text;
} eb_capture;

typedef struct eb_match {
    int cause; /* enum eb_cause, or -1 */
    bool weak;
    unsigned literal; /* characters that the pattern has itself: how specific it is */
    uint32_t count;
    eb_capture captures[EB_CAPTURES_MOST];
} eb_match;

/* One row of reason.def each. */
typedef enum eb_cause {
#define CAUSE(id, explanation, remedy) EB_CAUSE_##id,
#include "reason.def"
    EB_CAUSE_COUNT
} eb_cause;

/* The lines of a log that say why. */
typedef struct eb_log_reason {
    bool refused;
    int cause;     /* enum eb_cause, or -1 */
    uint32_t line; /* the one that `match` is of */
    eb_match match;
    EB_VEC(uint32_t) lines; /* all of them */
} eb_log_reason;

struct ebpf_log {
    ebpf_ctx *ctx;
    EB_VEC(eb_log_line) lines;
    eb_log_stats stats;
    eb_log_report *report; /* NULL: of a kernel before 7.3 */
    eb_log_reason reason;
    eb_str program;  /* that libbpf's marks name, or "" */
    bool recognized; /* some line is one that the kernel writes; else it is another text */
    bool every_path; /* level 2: no path was taken out again */
    /* the object's side, place.c */
    const ebpf_object *obj;
    EB_VEC(eb_log_part) parts;
    uint32_t insns;    /* one past the largest number of an instruction */
    uint32_t *last;    /* by instruction: 1 + the last line of the log that is it, or 0 */
    uint32_t *sources; /* by instruction: 1 + the line of the log that has its C, or 0 */
};

/* ---- log.c ---- */
ebpf_log *eb_log_read(ebpf_ctx *ctx, eb_str text);
/* A decimal number at the start of *text, which moves behind it; false without one. */
bool eb_log_number(eb_str *text, int64_t *value);
eb_str eb_str_trim(eb_str text);
/* The first `what` in `text`, or NULL. */
const char *eb_str_find(eb_str text, const char *what);

/* ---- state.c ---- */
typedef struct eb_log_cursor {
    eb_str left;
    uint32_t frame;
} eb_log_cursor;
/* The next register or slot of a state; false at its end. */
bool eb_log_next_value(eb_log_cursor *cursor, ebpf_log_value *value);
/* The register `index` of `frame`, or any frame's when that is negative, in a state. */
bool eb_log_find_value(eb_str state, int frame, int32_t index, ebpf_log_value *value);

/* ---- report.c ---- */
/* Reads the report that starts at `first`, whose lines become EBPF_LOG_REPORT. */
void eb_log_read_report(ebpf_log *log, uint32_t first);

/* ---- reason.c ---- */
/* What reason.def has for one message. */
eb_match eb_reason_match(eb_str message);
/* Fill log->reason: why the program was refused; those lines become EBPF_LOG_REASON. */
void eb_log_find_reason(ebpf_log *log);
const char *eb_cause_name(eb_cause cause); /* "null-pointer" */

/* ---- path.c ---- */
/* The last instruction that was looked at at or before `line`, or -1: a line of the log. */
int32_t eb_log_last_insn(const ebpf_log *log, int32_t line);

typedef enum eb_step_kind {
    EB_STEP_MOVE,     /* copied from another register */
    EB_STEP_CHANGE,   /* computed from what it was */
    EB_STEP_LOAD,     /* loaded from memory */
    EB_STEP_FILL,     /* loaded from the stack, where it had been stored */
    EB_STEP_CALL,     /* what a function returned */
    EB_STEP_CLOBBER,  /* gone: a call leaves nothing in r1 to r5 */
    EB_STEP_CONST,    /* a constant */
    EB_STEP_ARGUMENT, /* a function's argument; of the program: its context */
    EB_STEP_KINDS
} eb_step_kind;

typedef struct eb_step {
    eb_step_kind kind;
    uint32_t line; /* of the log */
    int32_t reg;   /* that was written */
} eb_step;

typedef EB_VEC(eb_step) eb_steps;

/* Where the value of `reg` at `line` (an instruction) comes from, the latest step first. */
void eb_log_trace(const ebpf_log *log, int32_t line, int32_t reg, eb_steps *out);
/* The registers of "r1 += r2"; false where there are not two. */
bool eb_log_operands(const eb_log_line *line, int32_t *dst, int32_t *src);
/* What is known of `reg` there. */
bool eb_log_value_at(const ebpf_log *log, int32_t line, int32_t reg, ebpf_log_value *out);

/* ---- place.c ---- */
int eb_log_set_object(ebpf_log *log, const ebpf_object *obj, eb_str program);
/* Where the instruction of that line of the log comes from; false when nothing says so. */
bool eb_log_place_of(const ebpf_log *log, int32_t line, eb_log_place *out);
/* The same for any instruction, whether the log has it or not. */
bool eb_log_place_of_insn(const ebpf_log *log, int32_t insn, eb_log_place *out);
/* Fill log->sources from its comments. */
void eb_log_map_sources(ebpf_log *log);

/* ---- explain.c, log_json.c ---- */
typedef struct eb_explanation {
    eb_log_reason reason;
    eb_str message; /* the line that says it best, as the kernel wrote it */
    eb_str explanation, remedy;
    int32_t line, insn; /* the instruction; a line of the log, or -1 */
    bool placed;
    eb_log_place place;
    int32_t reg; /* the register it is about, or -1 */
    bool known;
    ebpf_log_value value; /* what is known of it */
    eb_steps steps;
} eb_explanation;

void eb_log_explain(const ebpf_log *log, eb_explanation *out);
void eb_log_explain_text(const ebpf_log *log, bool colours, eb_buf *out);
void eb_log_explain_json(const ebpf_log *log, eb_buf *out);
void eb_log_lines_json(const ebpf_log *log, uint32_t first, uint32_t count, eb_buf *out);
/* "the result of bpf_map_lookup_elem": what a step is, in words. */
void eb_log_put_step(const ebpf_log *log, const eb_step *step, eb_buf *out);
/* "a number from 0 to 255": a value in words. */
void eb_log_put_value(const ebpf_log_value *value, eb_buf *out);
eb_str eb_log_insn_text(const eb_log_line *line);

#endif
