/* log_json.c - a log and its explanation as JSON; bindings/src/log.ts has the types. */
#include "json.h"
#include "log.h"

static const char *const kind_names[EBPF_LOG_KINDS] = {"instruction", "state",  "from",   "source",
                                                       "stats",       "report", "reason", "other"};
static const char *const step_names[EB_STEP_KINDS] = {"move", "change",  "load",     "fill",
                                                      "call", "clobber", "constant", "argument"};

/* The names of rows in lower case with dashes. */
static void put_cause(eb_json *json, int cause) {
    char name[64];
    const char *upper = eb_cause_name((eb_cause)cause);
    size_t n = 0;
    for (; upper[n] && n < sizeof name; n++)
        name[n] = (char)(upper[n] == '_'                      ? '-'
                         : upper[n] >= 'A' && upper[n] <= 'Z' ? upper[n] - 'A' + 'a'
                                                              : upper[n]);
    eb_json_key_str(json, "cause", (eb_str){name, n});
}

static void put_text(eb_json *json, const char *key, eb_str text) {
    if (text.len)
        eb_json_key_str(json, key, text);
}

static void put_bytes(eb_json *json, const char *key, ebpf_bytes text) {
    put_text(json, key, (eb_str){text.data, text.size});
}

static void put_number(eb_json *json, const char *key, uint64_t value) {
    if (value)
        eb_json_key_uint(json, key, value);
}

static void put_place(eb_json *json, const eb_log_place *place) {
    eb_json_key(json, "source");
    eb_json_open(json, '{');
    put_text(json, "file", place->file);
    put_number(json, "line", place->line);
    put_number(json, "column", place->column);
    put_text(json, "text", place->text);
    put_text(json, "function", place->func);
    eb_json_close(json, '}');
}

/* 64-bit bounds are strings, since JavaScript's numbers do not hold them. */
static void put_signed(eb_json *json, const char *key, int64_t value) {
    char text[24];
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    size_t n = sizeof text;
    do
        text[--n] = (char)('0' + left % 10);
    while ((left /= 10));
    if (value < 0)
        text[--n] = '-';
    eb_json_key_str(json, key, (eb_str){text + n, sizeof text - n});
}

static void put_unsigned(eb_json *json, const char *key, uint64_t value) {
    char text[24];
    size_t n = sizeof text;
    do
        text[--n] = (char)('0' + value % 10);
    while ((value /= 10));
    eb_json_key_str(json, key, (eb_str){text + n, sizeof text - n});
}

static void put_value(eb_json *json, const ebpf_log_value *value) {
    eb_json_open(json, '{');
    eb_json_key_int(json, value->flags & EBPF_VALUE_STACK ? "stack" : "register", value->index);
    put_number(json, "frame", value->frame);
    put_bytes(json, "type", value->type);
    put_bytes(json, "text", value->text);
    if (value->flags & EBPF_VALUE_CONST)
        put_signed(json, "value", value->constant);
    if (value->flags & EBPF_VALUE_PRECISE)
        eb_json_key_bool(json, "precise", true);
    if (value->offset)
        eb_json_key_int(json, "offset", value->offset);
    put_number(json, "range", value->range);
    put_number(json, "id", value->id);
    put_number(json, "reference", value->ref);
    put_bytes(json, "map", value->map);
    put_number(json, "keySize", value->key_size);
    put_number(json, "valueSize", value->value_size);
    if (!(value->flags & EBPF_VALUE_CONST)) {
        if (value->smin != INT64_MIN)
            put_signed(json, "signedMin", value->smin);
        if (value->smax != INT64_MAX)
            put_signed(json, "signedMax", value->smax);
        if (value->umin)
            put_unsigned(json, "unsignedMin", value->umin);
        if (value->umax != UINT64_MAX)
            put_unsigned(json, "unsignedMax", value->umax);
        if (value->bits || value->mask != UINT64_MAX) {
            put_unsigned(json, "knownBits", value->bits);
            put_unsigned(json, "unknownBits", value->mask);
        }
    }
    eb_json_close(json, '}');
}

/* ---- lines ---- */

static void put_values(eb_json *json, eb_str state) {
    eb_log_cursor cursor = {state, 0};
    ebpf_log_value value;
    eb_json_key(json, "state");
    eb_json_open(json, '[');
    while (eb_log_next_value(&cursor, &value))
        put_value(json, &value);
    eb_json_close(json, ']');
}

void eb_log_lines_json(const ebpf_log *log, uint32_t first, uint32_t count, eb_buf *out) {
    eb_json json = {.buf = *out};
    eb_json_open(&json, '[');
    for (uint32_t i = first; i < log->lines.len && i - first < count; i++) {
        const eb_log_line *line = &log->lines.at[i];
        eb_json_open(&json, '{');
        eb_json_key_str(&json, "kind", eb_str_from(kind_names[line->kind]));
        eb_json_key_str(&json, "text", line->text);
        if (line->insn >= 0)
            eb_json_key_int(&json, "instruction", line->insn);
        if (line->kind == EBPF_LOG_FROM)
            eb_json_key_int(&json, "from", line->from);
        put_text(&json, "file", line->file);
        put_number(&json, "line", line->number);
        if (line->state.len)
            put_values(&json, line->state);
        eb_json_close(&json, '}');
    }
    eb_json_close(&json, ']');
    *out = json.buf;
}

/* ---- the explanation ---- */

static void put_origin(eb_json *json, const ebpf_log *log, const eb_explanation *e) {
    eb_log_place place;
    eb_json_key(json, "origin");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < e->steps.len; i++) {
        const eb_step *step = &e->steps.at[i];
        eb_buf words = {.arena = &log->ctx->arena};
        eb_log_put_step(log, step, &words);
        eb_json_open(json, '{');
        eb_json_key_str(json, "kind", eb_str_from(step_names[step->kind]));
        if (step->reg >= 0)
            eb_json_key_int(json, "register", step->reg);
        eb_json_key_str(json, "words", (eb_str){(const char *)words.at, words.len});
        if (step->kind != EB_STEP_ARGUMENT) {
            eb_json_key_int(json, "instruction", log->lines.at[step->line].insn);
            eb_json_key_str(json, "text", eb_log_insn_text(&log->lines.at[step->line]));
            if (eb_log_place_of(log, (int32_t)step->line, &place))
                put_place(json, &place);
        }
        eb_json_close(json, '}');
    }
    eb_json_close(json, ']');
}

static void put_register(eb_json *json, const ebpf_log *log, const eb_explanation *e) {
    eb_buf words = {.arena = &log->ctx->arena};
    eb_json_key_int(json, "register", e->reg);
    if (!e->known)
        return;
    eb_log_put_value(&e->value, &words);
    eb_json_key_str(json, "registerWords", (eb_str){(const char *)words.at, words.len});
    eb_json_key(json, "registerState");
    put_value(json, &e->value);
}

static void put_event(eb_json *json, const eb_log_event *event) {
    eb_json_open(json, '{');
    put_text(json, "label", event->label);
    put_text(json, "text", event->text);
    if (event->insn >= 0)
        eb_json_key_int(json, "instruction", event->insn);
    if (event->place.line)
        put_place(json, &event->place);
    eb_json_close(json, '}');
}

static void put_report(eb_json *json, const eb_log_report *report) {
    eb_json_key(json, "report");
    eb_json_open(json, '{');
    eb_json_key_str(json, "category", report->category);
    eb_json_key_str(json, "problem", report->problem);
    eb_json_key_str(json, "reason", report->reason);
    eb_json_key_str(json, "suggestion", report->suggestion);
    eb_json_key(json, "at");
    put_event(json, &report->at);
    eb_json_key(json, "path");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < report->path.len; i++)
        put_event(json, &report->path.at[i]);
    eb_json_close(json, ']');
    eb_json_close(json, '}');
}

static void put_figure(eb_json *json, const char *key, int64_t value) {
    if (value >= 0)
        eb_json_key_int(json, key, value);
}

static void put_stats(eb_json *json, const eb_log_stats *stats) {
    eb_json_key(json, "stats");
    eb_json_open(json, '{');
    put_figure(json, "processed", stats->processed);
    put_figure(json, "limit", stats->limit);
    put_figure(json, "maxStatesPerInstruction", stats->max_states_per_insn);
    put_figure(json, "totalStates", stats->total_states);
    put_figure(json, "peakStates", stats->peak_states);
    put_figure(json, "markRead", stats->mark_read);
    put_figure(json, "microseconds", stats->usec);
    put_text(json, "stackDepth", stats->stack_depth);
    eb_json_close(json, '}');
}

static void put_messages(eb_json *json, const ebpf_log *log, const eb_log_reason *reason) {
    eb_json_key(json, "messages");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < reason->lines.len; i++)
        eb_json_str(json, log->lines.at[reason->lines.at[i]].text);
    eb_json_close(json, ']');
}

void eb_log_explain_json(const ebpf_log *log, eb_buf *out) {
    eb_json json = {.buf = *out};
    eb_explanation e;
    eb_log_explain(log, &e);
    eb_json_open(&json, '{');
    eb_json_key_bool(&json, "recognized", log->recognized);
    eb_json_key_bool(&json, "refused", e.reason.refused);
    if (e.reason.refused) {
        if (e.reason.cause >= 0)
            put_cause(&json, e.reason.cause);
        eb_json_key_str(&json, "message", e.message);
        put_messages(&json, log, &e.reason);
        eb_json_key_str(&json, "explanation", e.explanation);
        eb_json_key_str(&json, "remedy", e.remedy);
    }
    if (e.insn >= 0)
        eb_json_key_int(&json, "instruction", e.insn);
    if (e.line >= 0)
        eb_json_key_str(&json, "instructionText", eb_log_insn_text(&log->lines.at[e.line]));
    if (e.placed)
        put_place(&json, &e.place);
    if (e.reg >= 0)
        put_register(&json, log, &e);
    put_origin(&json, log, &e);
    if (log->report)
        put_report(&json, log->report);
    put_stats(&json, &log->stats);
    eb_json_key_int(&json, "lines", log->lines.len);
    eb_json_close(&json, '}');
    *out = json.buf;
}
