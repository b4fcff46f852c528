/* path.c - back along the path that failed: what was verified before, and where a register's value
 * comes from.
 *
 * Lines of a log follow each other as the verifier went, but for "from 5 to 9:", which goes on
 * behind instruction 5. Walking back, a call into a function of the program is crossed with r1 to
 * r5, its exit with r0; what a function did in between does not concern its caller's registers. */
#include "log.h"

enum { STEPS_MOST = 12 };

int32_t eb_log_last_insn(const ebpf_log *log, int32_t line) {
    while (line >= 0 && log->lines.at[line].kind != EBPF_LOG_INSN)
        line = log->lines.at[line].before;
    return line;
}

/* ---- instructions, as far as it takes to know what they write ---- */

typedef enum insn_kind {
    OTHER,
    MOVE,
    CHANGE,
    LOAD,
    CONSTANT,
    CALL,
    LOCAL_CALL,
    STORE,
    EXIT
} insn_kind;

typedef struct insn {
    insn_kind kind;
    int32_t dst;    /* written register, or -1 */
    int32_t src;    /* MOVE, STORE: the register it comes from; LOAD: the address; -1 */
    int32_t offset; /* LOAD, STORE: behind it */
    int32_t base;   /* STORE: the address */
} insn;

static eb_str behind(eb_str text, size_t count) {
    return count <= text.len ? (eb_str){text.at + count, text.len - count}
                             : (eb_str){text.at + text.len, 0};
}

/* r3 or w3, which *text moves behind; -1 without one. */
static int32_t take_register(eb_str *text) {
    int64_t value;
    eb_str digits;
    if (!text->len || (text->at[0] != 'r' && text->at[0] != 'w'))
        return -1;
    digits = behind(*text, 1);
    if (!eb_log_number(&digits, &value) || value > 11)
        return -1;
    *text = digits;
    return (int32_t)value;
}

/* "*(u64 *)(r10 -8)" : the register and the offset; *text moves behind. */
static bool take_memory(eb_str *text, int32_t *base, int32_t *offset) {
    const char *open = eb_str_starts(*text, "*(") ? eb_str_find(*text, ")(") : NULL;
    eb_str left;
    int64_t value;
    bool minus;
    if (!open)
        return false;
    left = behind(*text, (size_t)(open - text->at) + 2);
    *base = take_register(&left);
    left = eb_str_trim(left);
    minus = eb_str_starts(left, "-");
    left = eb_str_trim(behind(left, minus || eb_str_starts(left, "+")));
    if (*base < 0 || !eb_log_number(&left, &value) || value > INT32_MAX)
        return false;
    *offset = (int32_t)(minus ? -value : value);
    *text = behind(left, 1);
    return true;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static insn read_assignment(eb_str text, int32_t dst) {
    insn got = {.kind = CHANGE, .dst = dst, .src = -1, .base = -1};
    bool plain = eb_str_starts(text, " = ");
    if (!plain) /* r1 += 8 */
        return got;
    text = behind(text, 3);
    eb_str left = text;
    if (take_memory(&left, &got.src, &got.offset)) {
        got.kind = LOAD;
    } else if (text.len && (text.at[0] == '*' || eb_str_starts(text, "load_acquire") ||
                            eb_str_starts(text, "atomic"))) {
        got.kind = LOAD;
    } else if (text.len && (is_digit(text.at[0]) ||
                            (text.at[0] == '-' && text.len > 1 && is_digit(text.at[1])) ||
                            eb_str_starts(text, "map["))) {
        got.kind = CONSTANT;
    } else {
        const char *close = eb_str_starts(text, "(s") ? eb_str_find(text, ")") : NULL;
        left = close ? behind(text, (size_t)(close - text.at) + 1) : text;
        got.src = take_register(&left);
        got.kind = got.src >= 0 ? MOVE : CHANGE;
    }
    return got;
}

static insn read_insn(eb_str text) {
    insn got = {.kind = OTHER, .dst = -1, .src = -1, .base = -1};
    text = behind(text, 5); /* "(79) " */
    eb_str left = text;
    int32_t dst = take_register(&left);
    if (dst >= 0)
        return read_assignment(left, dst);
    if (eb_str_starts(text, "call pc") || eb_str_starts(text, "call cb"))
        got.kind = LOCAL_CALL;
    else if (eb_str_starts(text, "call "))
        got.kind = CALL;
    else if (eb_str_is(text, "exit"))
        got.kind = EXIT;
    else if (take_memory(&text, &got.base, &got.offset)) {
        got.kind = STORE;
        text = eb_str_trim(text);
        text = eb_str_starts(text, "= ") ? behind(text, 2) : text;
        got.src = take_register(&text);
    }
    return got;
}

/* ---- walking ---- */

typedef struct walk {
    const ebpf_log *log;
    int32_t line;
    uint32_t inside; /* functions that were left on the way back and are not entered */
} walk;

/* The instruction before, of the same function; `follow` goes into functions that were called, for
 * what they returned. LOCAL_CALL and EXIT come out where the function changes. */
static bool step_back(walk *w, insn *got, bool follow) {
    while (w->line >= 0 && (w->line = w->log->lines.at[w->line].before) >= 0) {
        const eb_log_line *line = &w->log->lines.at[w->line];
        if (line->kind != EBPF_LOG_INSN)
            continue;
        *got = read_insn(line->text);
        if (got->kind == EXIT && !follow) {
            w->inside++;
            continue;
        }
        if (w->inside) {
            w->inside -= got->kind == LOCAL_CALL;
            continue;
        }
        return true;
    }
    return false;
}

static void push_step(const ebpf_log *log, eb_steps *steps, eb_step_kind kind, int32_t line,
                      int32_t reg) {
    *EB_PUSH(&log->ctx->arena, steps) = (eb_step){kind, (uint32_t)line, reg};
}

/* The store to this slot of the stack that a load reads, or nothing. */
static bool find_store(walk *w, int32_t offset, insn *got) {
    while (step_back(w, got, false))
        if (got->kind == STORE && got->base == 10 && got->offset == offset)
            return true;
        else if (got->kind == LOCAL_CALL)
            return false;
    return false;
}

static int32_t first_insn(const ebpf_log *log) {
    for (uint32_t i = 0; i < log->lines.len; i++)
        if (log->lines.at[i].kind == EBPF_LOG_INSN)
            return (int32_t)i;
    return -1;
}

/* One step; false where the value starts. */
static bool trace_step(walk *w, int32_t *reg, eb_steps *out) {
    insn got;
    while (step_back(w, &got, *reg == 0)) {
        bool clobbers = got.kind == CALL || got.kind == LOCAL_CALL;
        if (got.kind == LOCAL_CALL && *reg >= 1 && *reg <= 5)
            return true; /* into the caller: the same register, with the argument */
        if (got.kind == CALL && *reg == 0) {
            push_step(w->log, out, EB_STEP_CALL, w->line, 0);
            return false;
        }
        if (clobbers && *reg >= 1 && *reg <= 5) {
            push_step(w->log, out, EB_STEP_CLOBBER, w->line, *reg);
            return false;
        }
        if (got.kind == LOCAL_CALL && *reg != 10)
            return false; /* a function's start: nothing else is passed */
        if (got.dst != *reg || *reg < 0)
            continue;
        if (got.kind == LOAD && got.src == 10) {
            walk before = *w;
            insn store;
            if (find_store(&before, got.offset, &store)) {
                push_step(w->log, out, EB_STEP_FILL, w->line, *reg);
                *w = before;
                *reg = store.src;
                if (*reg < 0)
                    push_step(w->log, out, EB_STEP_CONST, w->line, -1);
                return *reg >= 0;
            }
        }
        push_step(w->log, out,
                  got.kind == MOVE       ? EB_STEP_MOVE
                  : got.kind == LOAD     ? EB_STEP_LOAD
                  : got.kind == CONSTANT ? EB_STEP_CONST
                                         : EB_STEP_CHANGE,
                  w->line, *reg);
        if (got.kind == MOVE)
            *reg = got.src;
        return got.kind == MOVE || got.kind == CHANGE;
    }
    int32_t first = first_insn(w->log);
    if (first >= 0 && (*reg == 10 || (*reg >= 1 && *reg <= (w->log->lines.at[first].insn ? 5 : 1))))
        push_step(w->log, out, EB_STEP_ARGUMENT, first, *reg);
    return false;
}

void eb_log_trace(const ebpf_log *log, int32_t line, int32_t reg, eb_steps *out) {
    walk w = {log, line, 0};
    while (line >= 0 && reg >= 0 && reg <= 10 && out->len < STEPS_MOST &&
           trace_step(&w, &reg, out)) {
    }
}

bool eb_log_value_at(const ebpf_log *log, int32_t line, int32_t reg, ebpf_log_value *out) {
    uint32_t inside = 0;
    while (line >= 0 && (line = log->lines.at[line].before) >= 0) {
        const eb_log_line *l = &log->lines.at[line];
        insn got = {.kind = OTHER, .dst = -1};
        if (l->kind == EBPF_LOG_INSN)
            got = read_insn(l->text);
        if (got.kind == EXIT)
            inside++;
        if (inside) {
            inside -= got.kind == LOCAL_CALL;
            continue;
        }
        if (l->kind != EBPF_LOG_SOURCE && eb_log_find_value(l->state, -1, reg, out))
            return true;
        if (got.dst == reg || (got.kind == CALL && reg <= 5) || got.kind == LOCAL_CALL)
            return false; /* written, and nothing is said of it; or a function's start */
    }
    return false;
}

bool eb_log_operands(const eb_log_line *line, int32_t *dst, int32_t *src) {
    eb_str text = behind(line->text, 5);
    *dst = take_register(&text);
    *src = -1;
    while (text.len && text.at[0] != '=')
        text = behind(text, 1);
    text = eb_str_trim(behind(text, 1));
    *src = take_register(&text);
    return *dst >= 0 && *src >= 0;
}
