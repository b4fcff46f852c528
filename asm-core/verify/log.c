/* log.c - the verifier's log cut into lines, each with what it is.
 *
 * The verifier writes an instruction as it comes to it ("12: (79) r0 = ..."), behind it what is
 * known afterwards ("; R0=scalar()"), and above the first one of a line of C that line ("; return
 * 0; @ prog.c:7"). At level 1 a path that went well is cut out of the log again, sometimes in the
 * middle of a line: an instruction is then followed by the number and state of where another path
 * goes on
 * ("5: (25) if r7 > 0x1 goto pc+4 10: R0=..."). Kernels before 5.16 give states lines of their own.
 * Around that stand libbpf's marks when the log comes from its messages.
 * Source: kernel/bpf/log.c, verifier.c (do_check) and diagnostics.c of Linux 4.15 to 7.3. */
#include "log.h"

/* ---- small readers ---- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool eb_log_number(eb_str *text, int64_t *value) {
    size_t n = 0;
    uint64_t sum = 0;
    for (; n < text->len && n < 18 && is_digit(text->at[n]); n++)
        sum = sum * 10 + (uint64_t)(text->at[n] - '0');
    if (n == 0 || (n < text->len && is_digit(text->at[n])))
        return false;
    *value = (int64_t)sum;
    *text = (eb_str){text->at + n, text->len - n};
    return true;
}

eb_str eb_str_trim(eb_str text) {
    while (text.len && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = (eb_str){text.at + 1, text.len - 1};
    while (text.len && strchr(" \t\r\n", text.at[text.len - 1]) && text.at[text.len - 1])
        text.len--;
    return text;
}

const char *eb_str_find(eb_str text, const char *what) {
    size_t len = strlen(what);
    if (text.len < len)
        return NULL;
    const char *at = text.at, *end = text.at + text.len;
    while (len && (size_t)(end - at) >= len &&
           (at = memchr(at, *what, (size_t)(end - at) - len + 1))) {
        if (memcmp(at, what, len) == 0)
            return at;
        at++;
    }
    return NULL;
}

/* `word` at the start of *text, which moves behind it. */
static bool take(eb_str *text, const char *word) {
    size_t len = strlen(word);
    if (!eb_str_starts(*text, word))
        return false;
    *text = (eb_str){text->at + len, text->len - len};
    return true;
}

/* A number of an instruction. */
static bool take_insn(eb_str *text, int32_t *insn) {
    int64_t value;
    if (!eb_log_number(text, &value) || value >= EB_INSNS_MOST)
        return false;
    *insn = (int32_t)value;
    return true;
}

/* ---- lines ---- */

static bool is_state(eb_str text) {
    text = eb_str_trim(text);
    if (eb_str_starts(text, "frame") && text.len > 6 && is_digit(text.at[5]) && text.at[6] == ':')
        return true; /* there are 8 */
    if (eb_str_starts(text, "fp-") || eb_str_starts(text, "refs="))
        return true;
    if (text.len < 3 || text.at[0] != 'R' || !is_digit(text.at[1]))
        return false;
    size_t n = is_digit(text.at[2]) ? 3 : 2;
    return n < text.len && (text.at[n] == '=' || text.at[n] == '_');
}

/* "(79) " */
static bool is_insn(eb_str text) {
    return text.len > 4 && text.at[0] == '(' && text.at[3] == ')';
}

/* Where another path's " 10: R0=..." starts in the text of an instruction, or NULL. */
static const char *find_restart(eb_str text) {
    const char *at = text.at;
    eb_str left = text;
    while ((at = eb_str_find(left, ": "))) {
        const char *digits = at;
        left = (eb_str){at + 2, (size_t)(text.at + text.len - at) - 2};
        while (digits > text.at && is_digit(digits[-1]))
            digits--;
        if (digits < at && digits > text.at && digits[-1] == ' ' && is_state(left))
            return digits - 1;
    }
    return NULL;
}

static void read_insn(eb_log_line *line, eb_str text) {
    const char *semicolon = eb_str_find(text, "; "), *restart;
    line->kind = EBPF_LOG_INSN;
    line->text = text;
    if (semicolon) {
        line->text.len = (size_t)(semicolon - text.at);
        line->state = (eb_str){semicolon + 2, text.len - line->text.len - 2};
    }
    restart = find_restart(line->text);
    if (restart) {
        eb_str rest = {restart + 1, (size_t)(line->text.at + line->text.len - restart) - 1};
        line->restart = true;
        line->text.len = (size_t)(restart - line->text.at);
        if (!semicolon)
            line->state = rest;
    }
    line->text = eb_str_trim(line->text);
    line->state = eb_str_trim(line->state);
}

/* The last " @ file:12" is the place; the line of C may have such a thing, too. */
static void read_source(eb_log_line *line, eb_str text) {
    line->kind = EBPF_LOG_SOURCE;
    line->text = eb_str_trim(text);
    for (size_t n = text.len; n-- > 3;) {
        eb_str file = {text.at + n, text.len - n}, digits;
        int64_t number;
        if (memcmp(text.at + n - 3, " @ ", 3) != 0)
            continue;
        size_t colon = file.len;
        while (colon > 0 && file.at[colon - 1] != ':')
            colon--;
        digits = eb_str_trim((eb_str){file.at + colon, file.len - colon});
        if (colon < 2 || !eb_log_number(&digits, &number) || digits.len || number > UINT32_MAX)
            return;
        line->file = (eb_str){file.at, colon - 1};
        line->number = (uint32_t)number;
        line->text = eb_str_trim((eb_str){text.at, n - 3});
        return;
    }
}

static bool read_numbered(ebpf_log *log, eb_log_line *line, eb_str text) {
    int32_t insn;
    if (!take_insn(&text, &insn) || !take(&text, ": "))
        return false;
    if (is_insn(text) || eb_str_starts(text, "<invalid ")) { /* libbpf's, in place of it */
        read_insn(line, text);
    } else if (is_state(text)) {
        line->kind = EBPF_LOG_STATE;
        line->state = eb_str_trim(text);
    } else {
        log->every_path |= eb_str_is(text, "safe");
        return true;
    }
    line->insn = insn;
    return true;
}

/* from 5 to 9: R0=... (or "safe", which goes nowhere) */
static bool read_from(ebpf_log *log, eb_log_line *line, eb_str text) {
    int32_t from, to;
    if (!take(&text, "from ") || !take_insn(&text, &from) || !take(&text, " to ") ||
        !take_insn(&text, &to))
        return false;
    (void)take(&text, " (speculative execution)");
    if (!take(&text, ":"))
        return false;
    line->state = eb_str_trim(text);
    if (eb_str_is(line->state, "safe")) {
        log->every_path = true;
        line->state.len = 0;
        return true;
    }
    line->kind = EBPF_LOG_FROM;
    line->from = from;
    line->insn = to;
    return true;
}

/* processed 13 insns (limit 1000000) max_states_per_insn 0 total_states 0 ... */
static bool read_stats(ebpf_log *log, eb_log_line *line, eb_str text) {
    struct {
        const char *name;
        int64_t *value;
    } figures[] = {{"processed ", &log->stats.processed},
                   {"(limit ", &log->stats.limit},
                   {"max_states_per_insn ", &log->stats.max_states_per_insn},
                   {"total_states ", &log->stats.total_states},
                   {"peak_states ", &log->stats.peak_states},
                   {"mark_read ", &log->stats.mark_read},
                   {"verification time ", &log->stats.usec}};
    if (take(&text, "stack depth ")) {
        log->stats.stack_depth = eb_str_trim(text);
        line->kind = EBPF_LOG_STATS;
        return true;
    }
    if (!eb_str_starts(text, "processed ") && !eb_str_starts(text, "verification time "))
        return false;
    line->kind = EBPF_LOG_STATS;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        const char *at = eb_str_find(text, figures[i].name);
        if (!at)
            continue;
        at += strlen(figures[i].name);
        (void)eb_log_number(&(eb_str){at, (size_t)(text.at + text.len - at)}, figures[i].value);
    }
    return true;
}

static void read_line(ebpf_log *log, eb_str text) {
    eb_log_line *line = EB_PUSH(&log->ctx->arena, &log->lines);
    line->kind = EBPF_LOG_OTHER;
    line->insn = line->from = -1;
    line->text = text;
    line->state = line->file = (eb_str){"", 0};
    if (eb_str_starts(text, "; ") || eb_str_is(text, ";"))
        read_source(line, (eb_str){text.at + 1, text.len - 1});
    else if (read_numbered(log, line, text) || read_from(log, line, text) ||
             read_stats(log, line, text))
        return;
    else if (is_state(text)) {
        line->kind = EBPF_LOG_STATE;
        line->state = eb_str_trim(text);
    } else if (eb_str_starts(text, "func#") || eb_str_starts(text, "mark_precise:") ||
               eb_str_starts(text, "last_idx "))
        log->every_path = true; /* only level 2 tells these */
}

/* libbpf: prog 'NAME': -- BEGIN PROG LOAD LOG -- */
static eb_str marked_program(eb_str text, const char *mark) {
    const char *at = mark;
    while (at > text.at && at[-1] != '\n')
        at--;
    eb_str line = {at, (size_t)(mark - at)};
    const char *name = eb_str_find(line, "prog '"), *end;
    if (!name)
        return (eb_str){"", 0};
    name += 6;
    end = memchr(name, '\'', (size_t)(mark - name));
    return end ? (eb_str){name, (size_t)(end - name)} : (eb_str){"", 0};
}

/* What stands between libbpf's marks, where it has them. */
static eb_str without_marks(eb_str text, eb_str *program) {
    const char *begin = eb_str_find(text, "-- BEGIN PROG LOAD LOG --"), *end;
    *program = begin ? marked_program(text, begin) : (eb_str){"", 0};
    if (!begin)
        return text;
    eb_str rest = {begin, (size_t)(text.at + text.len - begin)};
    const char *next = memchr(rest.at, '\n', rest.len);
    if (!next)
        return text;
    rest = (eb_str){next + 1, (size_t)(rest.at + rest.len - next) - 1};
    end = eb_str_find(rest, "-- END PROG LOAD LOG --");
    if (end) {
        rest.len = (size_t)(end - rest.at);
        while (rest.len && rest.at[rest.len - 1] != '\n')
            rest.len--;
    }
    return rest;
}

/* Which line of each instruction is the last, and which line is before which. */
static void link_lines(ebpf_log *log) {
    for (uint32_t i = 0; i < log->lines.len; i++)
        if (log->lines.at[i].insn >= (int32_t)log->insns)
            log->insns = (uint32_t)log->lines.at[i].insn + 1;
    log->last = eb_alloc_array(&log->ctx->arena, log->insns, sizeof *log->last);
    for (uint32_t i = 0; i < log->lines.len; i++) {
        eb_log_line *line = &log->lines.at[i];
        line->before = (int32_t)i - 1;
        if (line->kind == EBPF_LOG_FROM)
            line->before =
                (uint32_t)line->from < log->insns ? (int32_t)log->last[line->from] - 1 : -1;
        if (line->kind == EBPF_LOG_INSN)
            log->last[line->insn] = i + 1;
    }
}

ebpf_log *eb_log_read(ebpf_ctx *ctx, eb_str text) {
    ebpf_log *log = eb_alloc(&ctx->arena, sizeof *log);
    log->ctx = ctx;
    log->stats = (eb_log_stats){-1, -1, -1, -1, -1, -1, -1, {"", 0}};
    if (text.len && memchr(text.at, 0, text.len)) /* a buffer, not only what is written in it */
        text.len = (size_t)((const char *)memchr(text.at, 0, text.len) - text.at);
    text = without_marks(text, &log->program);
    while (text.len) {
        const char *end = memchr(text.at, '\n', text.len);
        size_t size = end ? (size_t)(end - text.at) : text.len;
        eb_str line = {text.at, size};
        if (line.len && line.at[line.len - 1] == '\r')
            line.len--;
        read_line(log, line);
        size += end != NULL;
        text = (eb_str){text.at + size, text.len - size};
    }
    for (uint32_t i = 0; i < log->lines.len && !log->report; i++)
        if (eb_str_starts(log->lines.at[i].text, "Verification failed: "))
            eb_log_read_report(log, i);
    link_lines(log);
    eb_log_map_sources(log);
    eb_log_find_reason(log);
    return log;
}
