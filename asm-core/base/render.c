/* render.c - diagnostics as text with a caret, as coloured text, and as JSON.
 * The one place that turns a diagnostic into something to read. */
#include "ctx.h"
#include "json.h"

static const struct {
    const char *name, *colour;
} severities[] = {
    [EB_ERROR] = {"error", "\x1b[1;31m"},
    [EB_WARNING] = {"warning", "\x1b[1;35m"},
    [EB_NOTE] = {"note", "\x1b[1;36m"},
};

static const struct {
    const char *id, *help, *group; /* group: of a warning that can be switched, or "" */
    eb_severity severity;
} rows[] = {
#define DIAG(id, severity, message, help)     {#id, help, "", severity},
#define WARN(id, group, level, message, help) {#id, help, group, EB_SEVERITY_##level},
#include "diag.def"
};

static eb_str code_name(eb_arena *arena, eb_diag_code code) {
    eb_str name = eb_str_copy(arena, eb_str_from(rows[code].id));
    char *at = eb_alloc(arena, name.len + 1);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        at[i] = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    return (eb_str){at, name.len};
}

/* One character of a line for a terminal: control bytes and what is not UTF-8 must not reach it.
 * Returns the bytes it has in the line. */
static unsigned put_char(eb_buf *out, const char *at, size_t left) {
    unsigned n = eb_utf8_length(at, left);
    uint8_t c = (uint8_t)*at;
    if (n > 1)
        eb_buf_put(out, at, n);
    else
        eb_buf_byte(out, c == '\t' ? ' ' : n == 0 || c < 0x20 || c == 0x7f ? '?' : c);
    return n ? n : 1;
}

static void put_line(eb_buf *out, eb_str line) {
    for (size_t i = 0; i < line.len;)
        i += put_char(out, line.at + i, line.len - i);
}

enum { LINE_MOST = 160 }; /* longer lines are shown around the caret */

/* The part of a source line that is shown. */
typedef struct shown {
    uint32_t number, from; /* the line's, and where the part begins in it */
    eb_str text;
} shown;

static shown part_of(eb_place place) {
    uint32_t from = 0, column = place.column - 1;
    if (place.text.len > LINE_MOST && column > LINE_MOST / 2)
        from = column - LINE_MOST / 2;
    while (from && ((uint8_t)place.text.at[from] & 0xc0) == 0x80)
        from--; /* not into the middle of a character */
    eb_str text = {place.text.at + from, place.text.len - from};
    if (text.len > LINE_MOST)
        text.len = LINE_MOST;
    return (shown){place.line, from, text};
}

/* How many columns of a terminal the bytes `from` to `to` of a shown part take. */
static uint32_t columns(eb_str text, size_t from, size_t to) {
    uint32_t width = 0;
    for (size_t at = from; at < to && at < text.len;) {
        unsigned n = eb_utf8_length(text.at + at, text.len - at);
        width += n ? eb_utf8_width(text.at + at, n) : 1;
        at += n ? n : 1;
    }
    return width;
}

static void put_many(eb_buf *out, char c, uint32_t count) {
    for (uint32_t n = 0; n < count; n++)
        eb_buf_byte(out, (uint8_t)c);
}

static void put_caret(eb_buf *out, const shown *s, uint32_t column, uint32_t span, bool colour) {
    uint32_t at = column - 1 - s->from, under = columns(s->text, at, at + span);
    eb_buf_fmt(out, "%5u | ", s->number);
    put_line(out, s->text);
    eb_buf_str(out, EB_STR("\n      | "));
    put_many(out, ' ', columns(s->text, 0, at));
    eb_buf_str(out, colour ? EB_STR("\x1b[1;32m^") : EB_STR("^"));
    put_many(out, '~', under ? under - 1 : 0);
    eb_buf_str(out, colour ? EB_STR("\x1b[0m\n") : EB_STR("\n"));
}

/* Below the caret what would be put there, as far as it is in the line that is shown. */
static void put_fixits(ebpf_ctx *ctx, eb_buf *out, const eb_diag *d, const shown *s,
                       const eb_source *source, bool colour) {
    uint32_t column = 0;
    for (uint32_t n = 0; n < d->fixits.len; n++) {
        const eb_fixit *fixit = &d->fixits.at[n];
        eb_place place = eb_place_of(ctx, fixit->lo);
        if (place.source != source || place.line != s->number || place.column <= s->from ||
            place.column - 1 - s->from > s->text.len || !fixit->text.len)
            continue;
        uint32_t to = columns(s->text, 0, place.column - 1 - s->from);
        if (!column)
            eb_buf_str(out, EB_STR("      | "));
        put_many(out, ' ', to > column ? to - column : column != 0);
        column = (to > column ? to : column + (column != 0)) + columns(fixit->text, 0, SIZE_MAX);
        eb_buf_str(out, colour ? EB_STR("\x1b[32m") : EB_STR(""));
        put_line(out, fixit->text);
        eb_buf_str(out, colour ? EB_STR("\x1b[0m") : EB_STR(""));
    }
    if (column)
        eb_buf_byte(out, '\n');
}

static void put_text(ebpf_ctx *ctx, eb_buf *out, const eb_diag *d, bool colour) {
    eb_loc lo = d->lo, hi = d->hi;
    eb_span_in_text(ctx, &lo, &hi);
    eb_place place = eb_place_of(ctx, lo);
    eb_severity severity = d->severity;
    const char *on = colour ? severities[severity].colour : "", *off = colour ? "\x1b[0m" : "";
    const char *bold = colour ? "\x1b[1m" : "";
    eb_buf_str(out, eb_str_from(bold));
    if (place.source) {
        put_line(out, place.name);
        eb_buf_fmt(out, ":%u:%u: ", place.line, place.column);
    } else if (d->input.len) {
        put_line(out, d->input);
        eb_buf_str(out, EB_STR(": "));
    }
    if (d->insn >= 0)
        eb_buf_fmt(out, "instruction %d: ", d->insn);
    eb_buf_fmt(out, "%s%s:%s %s", on, severities[severity].name, off,
               severity == EB_NOTE ? "" : bold);
    put_line(out, d->text);
    eb_buf_fmt(out, "%s\n", off);
    if (!place.source)
        return;
    shown line = part_of(place);
    put_caret(out, &line, place.column, hi > lo ? hi - lo : 1, colour);
    put_fixits(ctx, out, d, &line, place.source, colour);
}

/* The message of a warning, with the option that switches it. */
static eb_str message_of(ebpf_ctx *ctx, const eb_diag *d) {
    if (!rows[d->code].group[0])
        return d->text;
    bool raised = d->severity == EB_ERROR && rows[d->code].severity != EB_ERROR;
    return eb_str_fmt(&ctx->arena, "%.*s [%s-W%s]", (int)d->text.len, d->text.at,
                      raised ? "-Werror," : "", rows[d->code].group);
}

static void render_text(ebpf_ctx *ctx, eb_buf *out, bool colour) {
    for (uint32_t i = 0; i < ctx->diags.len; i++) {
        const eb_diag *d = &ctx->diags.at[i];
        eb_diag told = *d;
        told.text = message_of(ctx, d);
        put_text(ctx, out, &told, colour);
        if (rows[d->code].help[0])
            eb_buf_fmt(out, "      = %s\n", rows[d->code].help);
        for (uint32_t n = 0; n < d->notes.len; n++) {
            const eb_note *note = &d->notes.at[n];
            eb_diag as = {.severity = EB_NOTE,
                          .lo = note->lo,
                          .hi = note->hi,
                          .insn = -1,
                          .text = note->text};
            put_text(ctx, out, &as, colour);
        }
    }
    if (ctx->dropped && ctx->errors > ctx->error_most)
        eb_buf_fmt(out, "too many errors emitted: %u more diagnostics are not shown\n",
                   ctx->dropped);
    else if (ctx->dropped)
        eb_buf_fmt(out, "%u more diagnostics are not shown\n", ctx->dropped);
}

static void json_place(ebpf_ctx *ctx, eb_json *json, eb_loc lo, eb_loc hi, eb_str input) {
    bool empty = hi == lo; /* a place, not a span */
    eb_span_in_text(ctx, &lo, &hi);
    eb_place place = eb_place_of(ctx, lo);
    if (!place.source) {
        if (input.len)
            eb_json_key_str(json, "file", input);
        return;
    }
    eb_place end = eb_place_of(ctx, hi > lo || empty ? hi : lo + 1);
    eb_json_key_str(json, "file", place.name);
    eb_json_key_uint(json, "line", place.line);
    eb_json_key_uint(json, "column", place.column);
    eb_json_key_uint(json, "endLine", end.line);
    eb_json_key_uint(json, "endColumn", end.column);
    eb_json_key_uint(json, "offset", lo - place.source->first);
}

static void json_diag(ebpf_ctx *ctx, eb_json *json, const eb_diag *d) {
    eb_json_open(json, '{');
    eb_json_key_str(json, "severity", eb_str_from(severities[d->severity].name));
    eb_json_key_str(json, "code", code_name(&ctx->arena, d->code));
    eb_json_key_str(json, "message", d->text);
    if (rows[d->code].group[0])
        eb_json_key_str(json, "option", eb_str_fmt(&ctx->arena, "-W%s", rows[d->code].group));
    if (rows[d->code].help[0])
        eb_json_key_str(json, "help", eb_str_from(rows[d->code].help));
    json_place(ctx, json, d->lo, d->hi, d->input);
    if (d->insn >= 0)
        eb_json_key_int(json, "insn", d->insn);
    eb_json_key(json, "notes");
    eb_json_open(json, '[');
    for (uint32_t n = 0; n < d->notes.len; n++) {
        eb_json_open(json, '{');
        eb_json_key_str(json, "message", d->notes.at[n].text);
        json_place(ctx, json, d->notes.at[n].lo, d->notes.at[n].hi, (eb_str){0});
        eb_json_close(json, '}');
    }
    eb_json_close(json, ']');
    if (d->fixits.len) {
        eb_json_key(json, "fixits");
        eb_json_open(json, '[');
        for (uint32_t n = 0; n < d->fixits.len; n++) {
            eb_json_open(json, '{');
            json_place(ctx, json, d->fixits.at[n].lo, d->fixits.at[n].hi, (eb_str){0});
            eb_json_key_str(json, "text", d->fixits.at[n].text);
            eb_json_close(json, '}');
        }
        eb_json_close(json, ']');
    }
    eb_json_close(json, '}');
}

void eb_diag_render(ebpf_ctx *ctx, enum ebpf_diag_format format, eb_buf *out) {
    if (format != EBPF_DIAG_JSON) {
        render_text(ctx, out, format == EBPF_DIAG_ANSI);
        return;
    }
    eb_json json = {.buf = *out};
    eb_json_open(&json, '[');
    for (uint32_t i = 0; i < ctx->diags.len; i++)
        json_diag(ctx, &json, &ctx->diags.at[i]);
    eb_json_close(&json, ']');
    *out = json.buf;
}
