/* ctx.c - sources, locations and collecting diagnostics; see ctx.h. */
#include "ctx.h"

#include <string.h>

static const struct row {
    eb_severity severity;
    const char *message, *help;
} rows[] = {
#define DIAG(id, severity, message, help) {severity, message, help},
#include "diag.def"
};

/* ---- sources ---- */

static eb_source *add_source(ebpf_ctx *ctx, eb_str name, size_t length) {
    eb_loc first = 1;
    if (ctx->sources.len) {
        const eb_source *last = &ctx->sources.at[ctx->sources.len - 1];
        first = last->first + (eb_loc)last->text.len + 1;
    }
    if (length >= UINT32_MAX - 1 - first)
        eb_fail(&ctx->arena, EBPF_E_LIMIT);
    eb_source *source = EB_PUSH(&ctx->arena, &ctx->sources);
    *source = (eb_source){.name = name, .text = {NULL, length}, .first = first};
    return source;
}

eb_loc eb_source_add(ebpf_ctx *ctx, eb_str name, eb_str text) {
    eb_source *source = add_source(ctx, eb_str_copy(&ctx->arena, name), text.len);
    source->text = text;
    return source->first;
}

eb_loc eb_expansion_add(ebpf_ctx *ctx, eb_str name, eb_loc from, eb_loc to, const eb_loc *body,
                        size_t stride, uint32_t count) {
    eb_source *source = add_source(ctx, name, count);
    source->from = from;
    source->from_end = to;
    source->body = (const uint8_t *)body;
    source->stride = stride;
    return source->first;
}

/* The source that a location is in; NULL for none. */
static eb_source *source_of(const ebpf_ctx *ctx, eb_loc loc) {
    uint32_t lo = 0, hi = ctx->sources.len;
    if (loc == 0 || hi == 0)
        return NULL;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (ctx->sources.at[mid].first <= loc)
            lo = mid;
        else
            hi = mid;
    }
    return &ctx->sources.at[lo];
}

static bool is_expansion(const eb_source *source) {
    return source->from && !source->text.at;
}

bool eb_expansion_of(const ebpf_ctx *ctx, eb_loc loc, eb_str *name, eb_loc *spelled, eb_loc *from) {
    const eb_source *source = source_of(ctx, loc);
    if (!source || !is_expansion(source))
        return false;
    size_t token = loc - source->first;
    *name = source->name;
    *from = source->from;
    *spelled = 0;
    if (token < source->text.len)
        memcpy(spelled, source->body + token * source->stride, sizeof *spelled);
    return true;
}

void eb_source_from(ebpf_ctx *ctx, eb_loc lo, eb_loc hi) {
    eb_source *last = &ctx->sources.at[ctx->sources.len - 1];
    last->from = lo;
    last->from_end = hi;
}

/* Of a macro's expansion: the text where the macro is used. */
static eb_source *text_source_of(const ebpf_ctx *ctx, eb_loc loc) {
    eb_source *source = source_of(ctx, loc);
    while (source && is_expansion(source))
        source = source_of(ctx, source->from);
    return source;
}

void eb_source_silence(ebpf_ctx *ctx, eb_loc loc) {
    eb_source *source = text_source_of(ctx, loc);
    if (source)
        source->quiet = true;
}

/* The last #line in front of a location; NULL when there is none. */
static const eb_line_mark *mark_of(const eb_source *source, eb_loc loc) {
    for (uint32_t lo = 0, hi = source->marks.len; hi;) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (source->marks.at[mid].from > loc)
            hi = mid;
        else if (hi - mid == 1)
            return &source->marks.at[mid];
        else
            lo = mid;
    }
    return NULL;
}

bool eb_source_is_silent(const ebpf_ctx *ctx, eb_loc loc) {
    const eb_source *source = source_of(ctx, loc);
    for (; source && is_expansion(source); source = source_of(ctx, loc))
        loc = source->from;
    const eb_line_mark *mark = source ? mark_of(source, loc) : NULL;
    return source && (source->quiet || (mark && mark->quiet));
}

eb_str eb_source_text(const ebpf_ctx *ctx, eb_loc loc) {
    const eb_source *source = source_of(ctx, loc);
    if (!source || is_expansion(source))
        return (eb_str){"", 0};
    size_t offset = loc - source->first;
    return (eb_str){source->text.at + offset, source->text.len - offset};
}

static void find_lines(ebpf_ctx *ctx, eb_source *source) {
    *EB_PUSH(&ctx->arena, &source->lines) = 0;
    for (uint32_t i = 0; i < source->text.len; i++)
        if (source->text.at[i] == '\n')
            *EB_PUSH(&ctx->arena, &source->lines) = i + 1;
}

/* The number of the line that an offset is in, from 0. */
static uint32_t line_of(ebpf_ctx *ctx, eb_source *source, uint32_t offset) {
    if (!source->lines.len)
        find_lines(ctx, source);
    uint32_t lo = 0, hi = source->lines.len;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (source->lines.at[mid] <= offset)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

void eb_source_mark(ebpf_ctx *ctx, eb_loc loc, uint32_t line, eb_str name, bool quiet) {
    eb_source *source = text_source_of(ctx, loc);
    uint32_t here = line_of(ctx, source, loc - source->first);
    *EB_PUSH(&ctx->arena, &source->marks) =
        (eb_line_mark){loc, line - (here + 2), eb_str_copy(&ctx->arena, name), quiet};
}

static eb_place place(ebpf_ctx *ctx, eb_loc loc, bool last) {
    eb_source *source = source_of(ctx, loc);
    for (; source && is_expansion(source); source = source_of(ctx, loc))
        loc = last ? source->from_end : source->from;
    if (!source)
        return (eb_place){0};
    uint32_t offset = loc - source->first, n = line_of(ctx, source, offset);
    uint32_t start = source->lines.at[n];
    uint32_t end =
        n + 1 < source->lines.len ? source->lines.at[n + 1] - 1 : (uint32_t)source->text.len;
    end -= end > start && source->text.at[end - 1] == '\r';
    const eb_line_mark *mark = mark_of(source, loc);
    return (eb_place){.source = source,
                      .name = mark ? mark->name : source->name,
                      .line = n + 1 + (mark ? mark->shift : 0),
                      .column = offset - start + 1,
                      .text = {source->text.at + start, end - start}};
}

eb_place eb_place_of(ebpf_ctx *ctx, eb_loc loc) {
    return place(ctx, loc, false);
}

eb_place eb_place_end(ebpf_ctx *ctx, eb_loc loc) {
    return place(ctx, loc, true);
}

void eb_span_in_text(const ebpf_ctx *ctx, eb_loc *lo, eb_loc *hi) {
    const eb_source *source;
    eb_loc end = *hi > *lo ? *hi : *lo + 1, last = end - 1;
    bool behind = *hi > *lo;
    for (; (source = source_of(ctx, last)) && is_expansion(source); behind = true) {
        bool call = source->from_end != source->from;
        last = source->from_end;
        end = last + (call ? 1 : (eb_loc)source->name.len);
    }
    while ((source = source_of(ctx, *lo)) && is_expansion(source))
        *lo = source->from;
    *hi = !behind || !source || end < *lo || end > source->first + source->text.len ? *lo : end;
}

bool eb_same_expansion(const ebpf_ctx *ctx, eb_loc a, eb_loc b) {
    eb_loc a_hi = a + 1, b_hi = b + 1;
    const eb_source *source = source_of(ctx, a);
    if (!source || !is_expansion(source))
        return false;
    eb_span_in_text(ctx, &a, &a_hi);
    eb_span_in_text(ctx, &b, &b_hi);
    return a == b && a_hi == b_hi;
}

/* ---- diagnostics ---- */

static eb_str with_other_names(ebpf_ctx *ctx, const eb_buf *message) {
    eb_buf text = {.arena = &ctx->arena};
    bool other = false;
    for (size_t n = 0; n < message->len; n++) {
        uint8_t c = message->at[n];
        if (c == EB_DIAG_AKA)
            eb_buf_str(&text, EB_STR("' (aka '"));
        else
            eb_buf_byte(&text, c);
        if (other && c == '\'')
            eb_buf_byte(&text, ')');
        other = c == EB_DIAG_AKA || (other && c != '\'');
    }
    return (eb_str){(const char *)text.at, text.len};
}

static eb_diag *add(ebpf_ctx *ctx, eb_diag_code code, eb_severity severity, va_list args) {
    eb_buf made = {.arena = &ctx->arena};
    eb_buf_vfmt(&made, rows[code].message, args);
    eb_str text = {(const char *)made.at, made.len};
    if (made.len && memchr(made.at, EB_DIAG_AKA, made.len))
        text = with_other_names(ctx, &made);
    uint32_t *count = severity == EB_ERROR ? &ctx->errors : &ctx->warnings;
    uint32_t most = severity == EB_ERROR ? ctx->error_most : EB_DIAG_MOST;
    bool silent = ctx->is_fatal && code != ctx->fatal;
    if (++*count > most || silent) {
        ctx->dropped += !silent;
        return eb_alloc(&ctx->arena, sizeof(eb_diag)); /* room for notes that nobody reads */
    }
    eb_diag *diag = EB_PUSH(&ctx->arena, &ctx->diags);
    *diag = (eb_diag){.severity = severity, .code = code, .insn = -1, .text = text};
    return diag;
}

/* Where the text of the diagnostic comes from, and where that does, up to the one given. */
static void note_origins(ebpf_ctx *ctx, eb_diag *diag) {
    enum { MOST = 8 };
    const eb_source *source = source_of(ctx, diag->lo);
    eb_loc loc = diag->lo;
    for (unsigned i = 0; i < MOST && source && source->from; i++) {
        eb_str name;
        eb_loc spelled, from;
        if (!eb_expansion_of(ctx, loc, &name, &spelled, &from))
            eb_diag_note(ctx, diag, source->from, source->from_end, "in %.*s, used here",
                         (int)source->name.len, source->name.at);
        else if (spelled)
            eb_diag_note(ctx, diag, spelled, spelled + 1, "in the expansion of macro '%.*s'",
                         (int)name.len, name.at);
        loc = source->from;
        source = source_of(ctx, loc);
    }
}

eb_diag *eb_diag_vadd(ebpf_ctx *ctx, eb_diag_code code, eb_severity severity, eb_loc lo, eb_loc hi,
                      va_list args) {
    eb_diag *diag = add(ctx, code, severity, args);
    diag->lo = lo;
    diag->hi = hi;
    note_origins(ctx, diag);
    return diag;
}

eb_diag *eb_diag_add(ebpf_ctx *ctx, eb_diag_code code, eb_loc lo, eb_loc hi, ...) {
    va_list args;
    va_start(args, hi);
    eb_diag *diag = eb_diag_vadd(ctx, code, rows[code].severity, lo, hi, args);
    va_end(args);
    return diag;
}

eb_diag *eb_diag_input(ebpf_ctx *ctx, eb_diag_code code, eb_str input, int32_t insn, ...) {
    va_list args;
    va_start(args, insn);
    eb_diag *diag = add(ctx, code, rows[code].severity, args);
    va_end(args);
    diag->input = input;
    diag->insn = insn;
    return diag;
}

void eb_diag_note(ebpf_ctx *ctx, eb_diag *diag, eb_loc lo, eb_loc hi, const char *format, ...) {
    eb_buf text = {.arena = &ctx->arena};
    va_list args;
    va_start(args, format);
    eb_buf_vfmt(&text, format, args);
    va_end(args);
    *EB_PUSH(&ctx->arena, &diag->notes) = (eb_note){lo, hi, {(const char *)text.at, text.len}};
}

void eb_diag_fixit(ebpf_ctx *ctx, eb_diag *diag, eb_loc lo, eb_loc hi, eb_str text) {
    const eb_source *source = source_of(ctx, lo);
    if (source && !is_expansion(source) && hi >= lo && hi <= source->first + source->text.len)
        *EB_PUSH(&ctx->arena, &diag->fixits) = (eb_fixit){lo, hi, text};
}

void eb_diag_hint(ebpf_ctx *ctx, eb_diag *diag, const char *format, ...) {
    eb_buf text = {.arena = &ctx->arena};
    va_list args;
    va_start(args, format);
    eb_buf_str(&text, diag->text);
    eb_buf_str(&text, EB_STR("; "));
    eb_buf_vfmt(&text, format, args);
    va_end(args);
    diag->text = (eb_str){(const char *)text.at, text.len};
}

void eb_diag_meant(ebpf_ctx *ctx, eb_diag *diag, eb_str name) {
    eb_diag_hint(ctx, diag, "did you mean '%.*s'?", (int)name.len, name.at);
    eb_diag_fixit(ctx, diag, diag->lo, diag->hi, name);
}

void eb_diag_fatal(ebpf_ctx *ctx, const eb_diag *diag) {
    ctx->is_fatal = true;
    ctx->fatal = diag->code;
}
