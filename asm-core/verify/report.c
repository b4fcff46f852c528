/* report.c - what Linux 7.3 writes below the verifier's message: category, reason, place, the
 * events that led there, a suggestion.
 *
 *   Verification failed: Memory Safety: Access outside bounds
 *
 *   Reason:
 *     text, wrapped at 100 columns
 *
 *   At:
 *     func @ prog.c:12:7                 or: insn 5
 *     Source context:
 *     >>> 12 |         return *value;
 *            |         ^-- error: what is wrong here, wrapped, too
 *     Instruction context:
 *     >>> 5 | (61) r0 = *(u32 *)(r0 +0)
 *
 *   Causal path:
 *     the same for each event, with its own label; an empty line between two
 *
 *   Suggestion:
 *     text
 *
 * Source: kernel/bpf/diagnostics.c of Linux 7.3. */
#include "log.h"

static eb_str behind(eb_str text, size_t count) {
    return (eb_str){text.at + count, text.len - count};
}

static void join(eb_arena *arena, eb_str *to, eb_str line) {
    *to = to->len ? eb_str_fmt(arena, "%.*s %.*s", (int)to->len, to->at, (int)line.len, line.at)
                  : line;
}

/* file:12:7 */
static bool read_file(eb_str text, eb_log_place *place) {
    int64_t line, column;
    eb_str name = text, digits[2];
    for (int i = 2; i-- > 0;) {
        size_t n = name.len;
        while (n > 0 && name.at[n - 1] != ':')
            n--;
        if (n < 2)
            return false;
        digits[i] = behind(name, n);
        name.len = n - 1;
    }
    if (!eb_log_number(&digits[0], &line) || digits[0].len || line > INT32_MAX ||
        !eb_log_number(&digits[1], &column) || digits[1].len || column > INT32_MAX)
        return false;
    place->file = name;
    place->line = (uint32_t)line;
    place->column = (uint32_t)column;
    return true;
}

/* "func @ file:12:7", "file:12:7" or "insn 5": the start of an event. */
static bool read_place(eb_str text, eb_log_event *event) {
    const char *at = eb_str_find(text, " @ ");
    int64_t insn;
    eb_str left = text;
    if (eb_str_starts(text, "insn ")) {
        left = behind(text, 5);
        if (!eb_log_number(&left, &insn) || left.len || insn > INT32_MAX)
            return false;
        event->insn = (int32_t)insn;
        return true;
    }
    if (at) {
        event->place.func = (eb_str){text.at, (size_t)(at - text.at)};
        left = behind(text, event->place.func.len + 3);
    }
    return read_file(left, &event->place);
}

typedef enum context_part { PLACE, SOURCE, INSNS } context_part;

/* A line below the place: source, its annotation, instructions. */
static void read_context(eb_arena *arena, eb_log_event *event, context_part part, bool *noted,
                         eb_str line) {
    const char *bar = eb_str_find(line, " | ");
    bool here = eb_str_starts(line, ">>> ");
    eb_str text = bar ? eb_str_trim(behind(line, (size_t)(bar - line.at) + 3)) : line;
    bool gap = bar && eb_str_trim((eb_str){line.at, (size_t)(bar - line.at)}).len == 0;
    int64_t number;
    if (part == INSNS) {
        eb_str digits = eb_str_trim(behind(line, here ? 4 : 0));
        if (here && eb_log_number(&digits, &number) && number <= INT32_MAX)
            event->insn = (int32_t)number;
    } else if (here && bar) {
        event->place.text = text;
    } else if (gap && eb_str_starts(text, "^-- ")) {
        const char *colon = eb_str_find(text, ": ");
        *noted = true;
        if (colon) {
            event->label = (eb_str){text.at + 4, (size_t)(colon - text.at) - 4};
            event->text = behind(text, (size_t)(colon - text.at) + 2);
        }
    } else if (gap && *noted && text.len) {
        join(arena, &event->text, text);
    }
}

typedef struct reader {
    ebpf_log *log;
    uint32_t at;
} reader;

/* The next line of the report without its two spaces; false where it ends. */
static bool next_line(reader *r, eb_str *out) {
    if (r->at >= r->log->lines.len || r->log->lines.at[r->at].kind == EBPF_LOG_STATS)
        return false;
    eb_log_line *line = &r->log->lines.at[r->at++];
    line->kind = EBPF_LOG_REPORT;
    *out = line->text;
    return true;
}

static eb_str title_of(eb_str line) {
    bool title = line.len > 1 && line.at[0] != ' ' && line.at[line.len - 1] == ':';
    return title ? (eb_str){line.at, line.len - 1} : (eb_str){"", 0};
}

static void read_text(reader *r, eb_str line, eb_str *to) {
    line = eb_str_trim(line);
    if (line.len)
        join(&r->log->ctx->arena, to, line);
}

typedef struct events {
    eb_log_event *event; /* the one that is being read */
    context_part part;
    bool noted;
} events;

/* A line of "At" (one event) or of "Causal path" (many). */
static void read_event(reader *r, eb_log_report *report, bool path, events *state, eb_str line) {
    eb_log_event fresh = {.insn = -1};
    eb_str text = line.len > 2 ? behind(line, 2) : (eb_str){line.at, 0};
    if (!text.len)
        return;
    if (eb_str_is(text, "Source context:")) {
        state->part = SOURCE;
    } else if (eb_str_is(text, "Instruction context:")) {
        state->part = INSNS;
    } else if (text.at[0] != ' ' && read_place(text, &fresh)) {
        state->event = path ? EB_PUSH(&r->log->ctx->arena, &report->path) : &report->at;
        *state->event = fresh;
        state->part = PLACE;
        state->noted = false;
    } else if (state->event) {
        read_context(&r->log->ctx->arena, state->event, state->part, &state->noted, text);
    }
}

/* "Memory Safety: Access outside bounds" */
static void read_header(eb_log_report *report, eb_str text) {
    const char *colon = eb_str_find(text, ": ");
    report->category = colon ? (eb_str){text.at, (size_t)(colon - text.at)} : text;
    report->problem = colon ? behind(text, report->category.len + 2) : (eb_str){"", 0};
}

void eb_log_read_report(ebpf_log *log, uint32_t first) {
    const size_t header = sizeof "Verification failed: " - 1;
    eb_log_report *report = eb_alloc(&log->ctx->arena, sizeof *report);
    reader r = {log, first};
    eb_str line, section = {"", 0};
    events state = {0};
    report->at.insn = -1;
    log->report = report;
    if (!next_line(&r, &line))
        return;
    read_header(report, behind(line, header));
    while (next_line(&r, &line)) {
        eb_str title = title_of(line);
        if (title.len) {
            section = title;
            state = (events){0};
        } else if (eb_str_is(section, "Reason")) {
            read_text(&r, line, &report->reason);
        } else if (eb_str_is(section, "Suggestion")) {
            read_text(&r, line, &report->suggestion);
        } else if (eb_str_is(section, "At")) {
            read_event(&r, report, false, &state, line);
        } else if (section.len) { /* Causal path, Active lock */
            read_event(&r, report, true, &state, line);
        }
    }
}
