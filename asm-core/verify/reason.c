/* reason.c - the lines of a log that say why, and what reason.def knows of them.
 *
 * A message stands behind everything that was verified: it is the last lines that are neither an
 * instruction nor a state nor figures. Often there are several ("invalid access to map value ..."
 * and "R1 max value is outside ..."); the first one that is known says most, what follows adds to
 * it. */
#include "log.h"

typedef struct row {
    int cause; /* -1: noise */
    bool weak;
    const char *pattern;
} row;

static const row rows[] = {
#define SAYS(id, pattern)  {EB_CAUSE_##id, false, pattern},
#define MAYBE(id, pattern) {EB_CAUSE_##id, true, pattern},
#define NOISE(pattern)     {-1, true, pattern},
#include "reason.def"
};

static const char *const names[] = {
#define CAUSE(id, explanation, remedy) #id,
#include "reason.def"
};

const char *eb_cause_name(eb_cause cause) {
    return names[cause];
}

/* How long the number at the start of `text` is: -5, 0x1f or +8. */
static size_t number_of(eb_str text) {
    size_t sign = text.len && (text.at[0] == '-' || text.at[0] == '+'), n = sign;
    bool hex = text.len - n > 2 && text.at[n] == '0' && text.at[n + 1] == 'x';
    const char *digits = hex ? "0123456789abcdef" : "0123456789";
    n += hex ? 2 : 0;
    while (n < text.len && text.at[n] && strchr(digits, text.at[n]))
        n++;
    return n > sign ? n : 0;
}

static eb_str behind(eb_str text, size_t count) {
    return (eb_str){text.at + count, text.len - count};
}

/* The text of the pattern itself up to its next placeholder. */
static size_t literal_of(const char *pattern) {
    size_t n = 0;
    while (pattern[n] && pattern[n] != '%')
        n++;
    return n;
}

/* How many bytes of `text` the placeholder `kind` takes when `next` follows, or SIZE_MAX. */
static size_t span_of(char kind, eb_str text, eb_str next) {
    size_t n = 0;
    if (kind == 'd' || kind == 'i' || kind == 'r' || kind == 'a') {
        n = number_of(text);
        return n ? n : SIZE_MAX;
    }
    if (next.len == 0)
        n = text.len;
    while (n < text.len && (text.len - n < next.len || memcmp(text.at + n, next.at, next.len) != 0))
        n++;
    if (n == text.len && next.len)
        return SIZE_MAX;
    if (kind == 'w' && (n == 0 || memchr(text.at, ' ', n)))
        return SIZE_MAX;
    return n;
}

/* Match the whole of `text`; placeholders take as little as they can, so this is linear. */
static bool match_row(const char *pattern, eb_str text, eb_match *m) {
    m->count = m->literal = 0;
    for (;;) {
        size_t size = literal_of(pattern);
        if (text.len < size || memcmp(text.at, pattern, size) != 0)
            return false;
        m->literal += (unsigned)size;
        pattern += size;
        text = behind(text, size);
        if (!*pattern)
            return text.len == 0;
        char kind = pattern[1];
        pattern += 2;
        size_t taken = span_of(kind, text, (eb_str){pattern, literal_of(pattern)});
        if (taken == SIZE_MAX || m->count == EB_CAPTURES_MOST)
            return false;
        m->captures[m->count++] = (eb_capture){kind, {text.at, taken}};
        text = behind(text, taken);
    }
}

eb_match eb_reason_match(eb_str message) {
    eb_match best = {.cause = -1}, m;
    bool found = false;
    message = eb_str_trim(message);
    if (message.len > EB_MESSAGE_MOST)
        message.len = EB_MESSAGE_MOST;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!match_row(rows[i].pattern, message, &m) || (found && m.literal <= best.literal))
            continue;
        best = m;
        best.cause = rows[i].cause;
        best.weak = rows[i].weak;
        found = true;
    }
    if (!found)
        best = (eb_match){.cause = -1};
    return best;
}

/* ---- the lines ---- */

/* A message without an end of line of its own has the figures behind it. */
static eb_str message_of(eb_str text) {
    const char *figures = eb_str_find(text, "verification time ");
    if (figures && figures != text.at)
        text.len = (size_t)(figures - text.at);
    return eb_str_trim(text);
}

static bool is_message(const eb_log_line *line) {
    return line->kind == EBPF_LOG_OTHER || line->kind == EBPF_LOG_REASON;
}

/* States that are printed below "cur state:" and the like, in front of `at`. */
static bool is_listed_state(const ebpf_log *log, uint32_t at) {
    const eb_log_line *line = &log->lines.at[at];
    return line->kind == EBPF_LOG_STATE && line->insn < 0 && at > 0 &&
           is_message(&log->lines.at[at - 1]) && log->lines.at[at - 1].text.len;
}

static uint32_t first_of_last_run(const ebpf_log *log) {
    uint32_t first = log->lines.len;
    while (first > 0) {
        const eb_log_line *line = &log->lines.at[first - 1];
        if (!is_message(line) && line->kind != EBPF_LOG_STATS && line->kind != EBPF_LOG_REPORT &&
            !is_listed_state(log, first - 1))
            break;
        first--;
    }
    return first;
}

/* Lines that have a shape of their own. Comments, of which lines of C look like, are no proof. */
static bool has_shape(const ebpf_log *log) {
    for (uint32_t i = 0; i < log->lines.len; i++) {
        uint8_t kind = log->lines.at[i].kind;
        if (kind != EBPF_LOG_OTHER && kind != EBPF_LOG_SOURCE)
            return true;
    }
    return log->program.len > 0;
}

/* What is no log has no reason. */
static void forget_reason(ebpf_log *log) {
    for (uint32_t i = 0; i < log->reason.lines.len; i++)
        log->lines.at[log->reason.lines.at[i]].kind = EBPF_LOG_OTHER;
    log->reason = (eb_log_reason){.cause = -1};
}

void eb_log_find_reason(ebpf_log *log) {
    eb_log_reason *out = &log->reason;
    bool strong = false, chosen = false;
    *out = (eb_log_reason){.cause = -1};
    log->recognized = has_shape(log);
    for (uint32_t i = first_of_last_run(log); i < log->lines.len; i++) {
        eb_log_line *line = &log->lines.at[i];
        eb_str message = message_of(line->text);
        if (!is_message(line) || !message.len)
            continue;
        eb_match m = eb_reason_match(message);
        log->recognized |= m.cause >= 0 || m.weak;
        if (m.cause < 0 && m.weak)
            continue; /* noise */
        bool better =
            !chosen || (!strong && !m.weak && m.cause >= 0) || (out->cause < 0 && m.cause >= 0);
        *EB_PUSH(&log->ctx->arena, &out->lines) = i;
        out->refused = true;
        line->kind = EBPF_LOG_REASON;
        line->text = message;
        if (!better)
            continue;
        chosen = true;
        strong = m.cause >= 0 && !m.weak;
        out->cause = m.cause;
        out->match = m;
        out->line = i;
    }
    out->refused |= log->report != NULL;
    if (!log->recognized)
        forget_reason(log);
}
