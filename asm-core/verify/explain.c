/* explain.c - what is known of a refusal, put together: cause, instruction, line of C, the register
 * and where its value comes from, as text for people. */
#include "log.h"

typedef struct texts {
    const char *explanation, *remedy;
} texts;

static const texts causes[] = {
#define CAUSE(id, explanation, remedy) {explanation, remedy},
#include "reason.def"
};

typedef struct type_words {
    const char *name, *words;
} type_words;

static const type_words types[] = {
#define TYPE(name, words) {name, words},
#include "reason.def"
};

static void put(eb_buf *out, const char *text) {
    eb_buf_str(out, eb_str_from(text));
}

static eb_str behind(eb_str text, size_t count) {
    return (eb_str){text.at + count, text.len - count};
}

static eb_str text_of(const eb_buf *buf) {
    return (eb_str){(const char *)buf->at, buf->len};
}

/* ---- words ---- */

/* What stands in front of a type's name, and what it means. */
static const char *take_prefix(eb_str *type) {
    static const type_words prefixes[] = {
        {"rdonly_", "read-only"}, {"ringbuf_", "of a ring buffer"},  {"user_", "of user space"},
        {"percpu_", "per CPU"},   {"untrusted_", "not trusted"},     {"trusted_", "trusted"},
        {"rcu_", "under RCU"},    {"alloc_", "made by the program"}, {"rdwr_", ""},
        {"non_own_", "not owned"}};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (eb_str_starts(*type, prefixes[i].name)) {
            *type = behind(*type, strlen(prefixes[i].name));
            return prefixes[i].words;
        }
    return NULL;
}

static void put_base_type(eb_str type, eb_buf *out) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (eb_str_is(type, types[i].name)) {
            put(out, types[i].words);
            return;
        }
    if (eb_str_starts(type, "ptr_") && type.len > 4)
        eb_buf_fmt(out, "a pointer to struct %.*s", (int)type.len - 4, type.at + 4);
    else if (eb_str_starts(type, "ptr"))
        put(out, "a pointer to a kernel object");
    else if (eb_str_starts(type, "dynptr"))
        put(out, "a dynptr");
    else
        eb_buf_fmt(out, "'%.*s'", (int)type.len, type.at);
}

/* A type in words, of the map `map` if that has a name. */
static void put_type(eb_str type, eb_str map, eb_buf *out) {
    eb_buf marks = {.arena = out->arena};
    const char *mark, *null = eb_str_find(type, "or_null_");
    bool nullable = null != NULL;
    while ((mark = take_prefix(&type)))
        if (*mark)
            eb_buf_fmt(&marks, "%s%s", marks.len ? ", " : "", mark);
    if (null && null >= type.at) { /* ptr_or_null_task_struct */
        eb_str before = {type.at, (size_t)(null - type.at)};
        eb_str name = behind(type, before.len + 8);
        type =
            eb_str_fmt(out->arena, "%.*s%.*s", (int)before.len, before.at, (int)name.len, name.at);
    } else if (type.len > 8 && memcmp(type.at + type.len - 8, "_or_null", 8) == 0) {
        type.len -= 8;
        nullable = true;
    }
    put_base_type(type, out);
    if (map.len)
        eb_buf_fmt(out, " (map %.*s)", (int)map.len, map.at);
    if (marks.len)
        eb_buf_fmt(out, " (%.*s)", (int)marks.len, (const char *)marks.at);
    if (nullable)
        put(out, ", or NULL");
}

/* "fp, pkt, map_value": what a function takes. Most take memory, whatever kind it is. */
static void put_types(eb_str list, eb_buf *out) {
    bool first = true;
    if (eb_str_find(list, "map_value") && eb_str_find(list, "fp")) {
        put(out, "a pointer to memory: of the stack, a map's value, the packet and the like");
        return;
    }
    while (list.len) {
        const char *comma = memchr(list.at, ',', list.len);
        eb_str type = {list.at, comma ? (size_t)(comma - list.at) : list.len};
        list = behind(list, type.len + (comma != NULL));
        put(out, first ? "" : list.len ? ", " : " or ");
        put_type(eb_str_trim(type), (eb_str){"", 0}, out);
        first = false;
    }
}

static void put_range(const ebpf_log_value *value, eb_buf *out) {
    bool signed_low = value->smin != INT64_MIN, signed_high = value->smax != INT64_MAX;
    if (value->flags & EBPF_VALUE_CONST)
        eb_buf_fmt(out, "the number %lld", (long long)value->constant);
    else if (signed_low && signed_high)
        eb_buf_fmt(out, "a number from %lld to %lld", (long long)value->smin,
                   (long long)value->smax);
    else if (value->umax <= INT64_MAX)
        eb_buf_fmt(out, "a number from %llu to %llu", (unsigned long long)value->umin,
                   (unsigned long long)value->umax);
    else if (signed_low)
        eb_buf_fmt(out, "a number of at least %lld, without an upper bound",
                   (long long)value->smin);
    else if (signed_high)
        eb_buf_fmt(out, "a number of at most %lld, without a lower bound", (long long)value->smax);
    else
        put(out, "a number of which no bounds are known");
}

void eb_log_put_value(const ebpf_log_value *value, eb_buf *out) {
    eb_str type = {value->type.data, value->type.size};
    if (eb_str_is(type, "scalar")) {
        put_range(value, out);
        return;
    }
    put_type(type, (eb_str){value->map.data, value->map.size}, out);
    if (eb_str_is(type, "fp"))
        eb_buf_fmt(out, ", fp%+d", (int)value->offset);
    else if (value->offset)
        eb_buf_fmt(out, ", %lld bytes behind its start", (long long)value->offset);
    if (eb_str_starts(type, "pkt") && !eb_str_is(type, "pkt_end"))
        eb_buf_fmt(out, value->range ? ", %u bytes of it checked" : ", none of it checked",
                   value->range);
    if (value->smin != INT64_MIN || value->smax != INT64_MAX || value->umax != UINT64_MAX) {
        put(out, ", plus ");
        put_range(value, out);
    }
}

eb_str eb_log_insn_text(const eb_log_line *line) {
    eb_str text = line->text;
    return text.len > 5 && text.at[0] == '(' ? behind(text, 5) : text;
}

/* "bpf_map_lookup_elem()" of "call bpf_map_lookup_elem#1" */
static void put_call(eb_str text, eb_buf *out) {
    const char *hash = memchr(text.at, '#', text.len);
    eb_str name = eb_str_starts(text, "call ") ? behind(text, 5) : text;
    if (hash)
        name.len = (size_t)(hash - name.at);
    eb_buf_str(out, name);
    put(out, eb_str_starts(name, "pc") ? "" : "()");
}

void eb_log_put_step(const ebpf_log *log, const eb_step *step, eb_buf *out) {
    const eb_log_line *line = &log->lines.at[step->line];
    eb_str insn = eb_log_insn_text(line);
    switch (step->kind) {
    case EB_STEP_CALL:
        put(out, "the result of ");
        put_call(insn, out);
        break;
    case EB_STEP_CLOBBER:
        eb_buf_fmt(out, "r%d has no value since the call of ", (int)step->reg);
        put_call(insn, out);
        break;
    case EB_STEP_ARGUMENT:
        if (step->reg == 10)
            put(out, "the frame pointer");
        else if (line->insn == 0)
            put(out, "the program's argument, its context");
        else
            eb_buf_fmt(out, "argument %d of this function", (int)step->reg);
        return;
    case EB_STEP_MOVE:
    case EB_STEP_FILL:
        eb_buf_fmt(out, "copied by '%.*s'", (int)insn.len, insn.at);
        break;
    case EB_STEP_LOAD:
        eb_buf_fmt(out, "loaded by '%.*s'", (int)insn.len, insn.at);
        break;
    case EB_STEP_CONST:
        eb_buf_fmt(out, "set by '%.*s'", (int)insn.len, insn.at);
        break;
    case EB_STEP_CHANGE:
    case EB_STEP_KINDS:
        eb_buf_fmt(out, "computed by '%.*s'", (int)insn.len, insn.at);
        break;
    }
    eb_buf_fmt(out, ", instruction %d", (int)line->insn);
}

/* ---- templates ---- */

static void put_place(const eb_log_place *place, eb_buf *out) {
    eb_buf_fmt(out, "%.*s:%u", (int)place->file.len, place->file.at, place->line);
}

typedef struct filler {
    const ebpf_log *log;
    const eb_explanation *of;
    eb_buf *out;
} filler;

/* An instruction by its number, with its line of C where that is known. */
static void fill_insn(const filler *f, eb_str number) {
    eb_log_place place;
    int64_t insn;
    eb_buf_fmt(f->out, "instruction %.*s", (int)number.len, number.at);
    if (!eb_log_number(&number, &insn) || insn >= EB_INSNS_MOST ||
        !eb_log_place_of_insn(f->log, (int32_t)insn, &place) || !place.line)
        return;
    put(f->out, " (");
    put_place(&place, f->out);
    put(f->out, ")");
}

static void fill_argument(const filler *f, eb_str number) {
    int64_t value;
    eb_str left = number;
    if (eb_log_number(&left, &value))
        eb_buf_fmt(f->out, "%lld", (long long)value + 1);
    else
        eb_buf_str(f->out, number);
}

/* One placeholder behind a $; what stands behind it is returned. */
static const char *fill_one(const filler *f, const char *at) {
    const eb_match *m = &f->of->reason.match;
    char kind = *at;
    if (kind == '$') {
        put(f->out, "$");
        return at + 1;
    }
    if (kind == 's') {
        eb_buf_fmt(f->out, "'%.*s'", (int)f->of->message.len, f->of->message.at);
        return at + 1;
    }
    if (kind == 'r') {
        if (f->of->reg >= 0)
            eb_buf_fmt(f->out, "r%d", (int)f->of->reg);
        else
            put(f->out, "a register");
        return at + 1;
    }
    if (kind == 'v') {
        if (f->of->known)
            eb_log_put_value(&f->of->value, f->out);
        else
            put(f->out, "something else");
        return at + 1;
    }
    at += kind == 't' || kind == 'a' || kind == 'i' || kind == 'l';
    if (*at < '1' || *at > '9')
        return at;
    uint32_t index = (uint32_t)(*at - '1');
    eb_str text = index < m->count ? eb_str_trim(m->captures[index].text) : (eb_str){"", 0};
    if (kind == 't')
        put_type(text, (eb_str){"", 0}, f->out);
    else if (kind == 'l')
        put_types(text, f->out);
    else if (kind == 'a')
        fill_argument(f, text);
    else if (kind == 'i')
        fill_insn(f, text);
    else
        eb_buf_str(f->out, text);
    return at + 1;
}

static eb_str fill(const ebpf_log *log, const eb_explanation *of, const char *template) {
    eb_buf out = {.arena = &log->ctx->arena};
    filler f = {log, of, &out};
    while (*template) {
        if (*template == '$')
            template = fill_one(&f, template + 1);
        else
            eb_buf_byte(&out, (uint8_t) * template ++);
    }
    return text_of(&out);
}

/* ---- the answer ---- */

static const eb_capture *capture_of(const eb_match *m, char kind) {
    for (uint32_t i = 0; i < m->count; i++)
        if (m->captures[i].kind == kind)
            return &m->captures[i];
    return NULL;
}

static int32_t small_number(eb_str text, int32_t most) {
    int64_t value;
    return eb_log_number(&text, &value) && value <= most ? (int32_t)value : -1;
}

/* The register that one of the messages names. */
static int32_t register_of(const ebpf_log *log, const eb_log_reason *reason) {
    const eb_capture *found = capture_of(&reason->match, 'r');
    for (uint32_t i = 0; !found && i < reason->lines.len; i++) {
        eb_match other = eb_reason_match(log->lines.at[reason->lines.at[i]].text);
        found = capture_of(&other, 'r');
        if (found)
            return small_number(found->text, 10);
    }
    if (found)
        return small_number(found->text, 10);
    found = capture_of(&reason->match, 'a'); /* arg#0 is in r1 */
    int32_t argument = found ? small_number(found->text, 4) : -1;
    if (argument >= 0)
        return argument + 1;
    bool returned = reason->cause == EB_CAUSE_RETURN_POINTER;
    return returned ? 0 : -1;
}

/* Of a pointer and a number that are added, the number's register; the message names neither. */
static int32_t added_number(const ebpf_log *log, int32_t line) {
    int32_t operands[2];
    ebpf_log_value value;
    if (line < 0 || !eb_log_operands(&log->lines.at[line], &operands[0], &operands[1]))
        return -1;
    for (int i = 0; i < 2; i++)
        if (eb_log_value_at(log, line, operands[i], &value) &&
            eb_str_is((eb_str){value.type.data, value.type.size}, "scalar"))
            return operands[i];
    return -1;
}

/* What is found when all paths are through: the last instruction has no part in it. */
static bool comes_last(int cause) {
    return cause == EB_CAUSE_STACK_SIZE || cause == EB_CAUSE_EXCEPTION ||
           cause == EB_CAUSE_CORE_FAILED;
}

static void find_insn(const ebpf_log *log, eb_explanation *e) {
    const eb_capture *named = capture_of(&e->reason.match, 'i');
    e->line = e->insn = -1;
    if (named) {
        e->insn = small_number(named->text, EB_INSNS_MOST - 1);
        if (e->insn >= 0 && (uint32_t)e->insn < log->insns)
            e->line = (int32_t)log->last[e->insn] - 1;
    } else if (e->reason.lines.len && !(comes_last(e->reason.cause) && log->every_path)) {
        e->line = eb_log_last_insn(log, (int32_t)e->reason.line);
        e->insn = e->line >= 0 ? log->lines.at[e->line].insn : -1;
    }
    if (e->insn < 0 && log->report)
        e->insn = log->report->at.insn;
}

static void find_place(const ebpf_log *log, eb_explanation *e) {
    e->placed = e->line >= 0 ? eb_log_place_of(log, e->line, &e->place)
                             : eb_log_place_of_insn(log, e->insn, &e->place);
    const eb_log_place *said = log->report ? &log->report->at.place : NULL;
    if (!said || !said->line)
        return;
    if (e->placed && e->place.line == said->line && e->place.text.len) {
        e->place.file = said->file; /* the text stays: the report cuts long lines */
        e->place.column = said->column;
        e->place.func = said->func;
        return;
    }
    e->place = *said;
    e->placed = true;
}

/* Where the instruction and what is known of the register say more than the message. */
static int refined(const ebpf_log *log, const eb_explanation *e) {
    int cause = e->reason.cause;
    bool scalar = eb_str_is((eb_str){e->value.type.data, e->value.type.size}, "scalar");
    if (cause == EB_CAUSE_CONTEXT_FIELD && e->line >= 0 &&
        eb_str_starts(eb_log_insn_text(&log->lines.at[e->line]), "*("))
        return EB_CAUSE_CONTEXT_WRITE;
    if (cause != EB_CAUSE_SCALAR_POINTER && cause != EB_CAUSE_UNINIT_REGISTER)
        return cause;
    if (e->known && !scalar) /* it was a pointer when it was last told of */
        return EB_CAUSE_INVALIDATED_POINTER;
    if (cause == EB_CAUSE_SCALAR_POINTER && e->known && e->value.flags & EBPF_VALUE_CONST &&
        e->value.constant == 0)
        return EB_CAUSE_NULL_HERE;
    return cause;
}

void eb_log_explain(const ebpf_log *log, eb_explanation *out) {
    *out = (eb_explanation){.line = -1, .insn = -1, .reg = -1};
    out->reason = log->reason;
    if (!out->reason.refused)
        return;
    if (out->reason.lines.len)
        out->message = log->lines.at[out->reason.line].text;
    else if (log->report)
        out->message = log->report->problem;
    find_insn(log, out);
    find_place(log, out);
    out->reg = register_of(log, &out->reason);
    if (out->reason.cause == EB_CAUSE_POINTER_UNBOUNDED_ADD ||
        out->reason.cause == EB_CAUSE_POINTER_OUT || out->reason.cause == EB_CAUSE_POINTER_OFFSET)
        out->reg = added_number(log, out->line);
    if (out->line >= 0 && out->reg >= 0) {
        out->known = eb_log_value_at(log, out->line, out->reg, &out->value);
        eb_log_trace(log, out->line, out->reg, &out->steps);
    }
    out->reason.cause = refined(log, out);
    if (out->reason.cause >= 0) {
        out->explanation = fill(log, out, causes[out->reason.cause].explanation);
        out->remedy = fill(log, out, causes[out->reason.cause].remedy);
    } else if (log->report) {
        out->explanation = log->report->reason;
        out->remedy = log->report->suggestion;
    } else {
        out->explanation = eb_str_fmt(&log->ctx->arena, "the verifier says: %.*s",
                                      (int)out->message.len, out->message.at);
    }
}

/* ---- text ---- */

static const char *const plain[] = {"", "", "", ""}, *const coloured[] = {"\033[1m", "\033[1;31m",
                                                                          "\033[1;36m", "\033[0m"};
enum { BOLD, RED, CYAN, NORMAL };

static void put_source(const eb_log_place *place, eb_buf *out) {
    if (!place->text.len)
        return;
    if (place->line)
        eb_buf_fmt(out, "%5u | ", place->line);
    else
        put(out, "      | ");
    eb_buf_str(out, place->text);
    put(out, "\n");
}

static void put_origin(const ebpf_log *log, const eb_explanation *e, const char *const *style,
                       eb_buf *out) {
    eb_log_place last = e->place, place;
    if (e->known) {
        eb_buf_fmt(out, "  %snote:%s r%d is ", style[BOLD], style[NORMAL], (int)e->reg);
        eb_log_put_value(&e->value, out);
        put(out, "\n");
    }
    for (uint32_t i = 0; i < e->steps.len; i++) {
        const eb_step *step = &e->steps.at[i];
        eb_buf_fmt(out, "  %snote:%s ", style[BOLD], style[NORMAL]);
        if (step->kind != EB_STEP_CLOBBER)
            eb_buf_fmt(out, "r%d: ", (int)(step->reg < 0 ? e->reg : step->reg));
        eb_log_put_step(log, step, out);
        if (step->kind != EB_STEP_ARGUMENT && eb_log_place_of(log, (int32_t)step->line, &place) &&
            place.line && (place.line != last.line || !eb_str_eq(place.file, last.file))) {
            put(out, " (");
            put_place(&place, out);
            put(out, ")\n");
            put_source(&place, out);
            last = place;
        } else {
            put(out, "\n");
        }
    }
}

/* Of the events that the kernel tells, those that the walk above cannot see. */
static void put_events(const eb_log_report *report, const char *const *style, eb_buf *out) {
    static const char *const labels[] = {"invalidated", "acquired", "released", "context"};
    for (uint32_t i = 0; i < report->path.len; i++) {
        const eb_log_event *event = &report->path.at[i];
        bool told = false;
        for (size_t n = 0; n < sizeof labels / sizeof *labels; n++)
            told |= eb_str_is(event->label, labels[n]);
        if (!told)
            continue;
        eb_buf_fmt(out, "  %snote:%s %.*s: %.*s", style[BOLD], style[NORMAL], (int)event->label.len,
                   event->label.at, (int)event->text.len, event->text.at);
        if (event->insn >= 0)
            eb_buf_fmt(out, ", instruction %d", (int)event->insn);
        if (event->place.line) {
            put(out, " (");
            put_place(&event->place, out);
            put(out, ")");
        }
        put(out, "\n");
        put_source(&event->place, out);
    }
}

void eb_log_explain_text(const ebpf_log *log, bool colours, eb_buf *out) {
    const char *const *style = colours ? coloured : plain;
    eb_explanation e;
    eb_log_explain(log, &e);
    if (!e.reason.refused) {
        put(out, !log->lines.len ? "this is no log of the kernel's verifier: it is empty\n"
                 : !log->recognized
                     ? "this is no log of the kernel's verifier: no line is one that it writes\n"
                 : log->stats.processed >= 0
                     ? "the log has no reason for a refusal: the program was accepted\n"
                     : "the log has no reason for a refusal: it is cut off\n");
        return;
    }
    if (e.placed && e.place.line) {
        put(out, style[BOLD]);
        put_place(&e.place, out);
        put(out, ": ");
    }
    eb_buf_fmt(out, "%serror:%s %s%.*s%s", style[RED], style[NORMAL], style[BOLD],
               (int)e.explanation.len, e.explanation.at, style[NORMAL]);
    put(out, "\n");
    if (e.placed)
        put_source(&e.place, out);
    if (e.line >= 0) {
        eb_str insn = eb_log_insn_text(&log->lines.at[e.line]);
        eb_buf_fmt(out, "  instruction %d: %.*s\n", (int)e.insn, (int)insn.len, insn.at);
    } else if (e.insn >= 0) {
        eb_buf_fmt(out, "  instruction %d\n", (int)e.insn);
    }
    put_origin(log, &e, style, out);
    if (e.remedy.len)
        eb_buf_fmt(out, "  %shelp:%s %.*s\n", style[CYAN], style[NORMAL], (int)e.remedy.len,
                   e.remedy.at);
    if (log->report)
        put_events(log->report, style, out);
    if (log->report && e.reason.cause >= 0 && log->report->reason.len)
        eb_buf_fmt(out, "  the kernel explains: %.*s\n", (int)log->report->reason.len,
                   log->report->reason.at);
    for (uint32_t i = 0; i < e.reason.lines.len; i++) {
        eb_str text = log->lines.at[e.reason.lines.at[i]].text;
        eb_buf_fmt(out, "  the kernel says: %.*s\n", (int)text.len, text.at);
    }
}
