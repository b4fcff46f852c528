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

static void put_caret(eb_buf *out, eb_place place, uint32_t span, const char *on, const char *off) {
    uint32_t from = 0, column = place.column - 1;
    if (place.text.len > LINE_MOST && column > LINE_MOST / 2)
        from = column - LINE_MOST / 2;
    while (from && ((uint8_t)place.text.at[from] & 0xc0) == 0x80)
        from--; /* not into the middle of a character */
    eb_str line = {place.text.at + from, place.text.len - from};
    if (line.len > LINE_MOST)
        line.len = LINE_MOST;
    eb_buf_fmt(out, "%5u | ", place.line);
    put_line(out, line);
    eb_buf_str(out, EB_STR("\n      | "));
    uint32_t at = 0;
    for (column -= from; at < column && at < line.len; eb_buf_byte(out, ' ')) {
        unsigned n = eb_utf8_length(line.at + at, line.len - at);
        at += n ? n : 1;
    }
    eb_buf_fmt(out, "%s^", on);
    for (uint32_t i = 1; i < span && at + i < line.len; i++)
        if (((uint8_t)line.at[at + i] & 0xc0) != 0x80)
            eb_buf_byte(out, '~');
    eb_buf_fmt(out, "%s\n", off);
}

static void put_text(ebpf_ctx *ctx, eb_buf *out, eb_severity severity, eb_loc lo, eb_loc hi,
                     eb_str input, int32_t insn, eb_str text, bool colour) {
    eb_place place = eb_place_of(ctx, lo);
    const char *on = colour ? severities[severity].colour : "", *off = colour ? "\x1b[0m" : "";
    const char *bold = colour ? "\x1b[1m" : "";
    eb_buf_str(out, eb_str_from(bold));
    if (place.source) {
        put_line(out, place.name);
        eb_buf_fmt(out, ":%u:%u: ", place.line, place.column);
    } else if (input.len) {
        put_line(out, input);
        eb_buf_str(out, EB_STR(": "));
    }
    if (insn >= 0)
        eb_buf_fmt(out, "instruction %d: ", insn);
    eb_buf_fmt(out, "%s%s:%s %s", on, severities[severity].name, off, bold);
    put_line(out, text);
    eb_buf_fmt(out, "%s\n", off);
    if (place.source)
        put_caret(out, place, hi > lo ? hi - lo : 1, on, off);
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
        put_text(ctx, out, d->severity, d->lo, d->hi, d->input, d->insn, message_of(ctx, d),
                 colour);
        if (rows[d->code].help[0])
            eb_buf_fmt(out, "      = %s\n", rows[d->code].help);
        for (uint32_t n = 0; n < d->notes.len; n++) {
            const eb_note *note = &d->notes.at[n];
            put_text(ctx, out, EB_NOTE, note->lo, note->hi, (eb_str){0}, -1, note->text, colour);
        }
    }
    if (ctx->dropped)
        eb_buf_fmt(out, "%u more diagnostics are not shown\n", ctx->dropped);
}

static void json_place(ebpf_ctx *ctx, eb_json *json, eb_loc lo, eb_loc hi, eb_str input) {
    eb_place place = eb_place_of(ctx, lo);
    if (!place.source) {
        if (input.len)
            eb_json_key_str(json, "file", input);
        return;
    }
    eb_place end = eb_place_of(ctx, hi > lo ? hi : lo + 1);
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
