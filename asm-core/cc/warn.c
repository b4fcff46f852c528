/* warn.c - see warn.h. The semantics are clang's: a later option wins, an option of a group reaches
 * its members, -Werror raises what is told, and -w silences what would be a warning. */
#include "warn.h"

#include <string.h>

typedef enum level { USUAL, OWN, ALL, EXTRA, PEDANTIC, ASKED, FATAL } level;
enum { TOLD = 1, RAISED = 2, NEVER_RAISED = 4 };

/* A text with its length: these tables are gone through for each #pragma. */
#define TEXT(literal)                                                                              \
    { literal, sizeof literal - 1 }

static const struct {
    eb_str group;
    level level;
    eb_diag_code code;
} rows[] = {
#define DIAG(id, severity, message, help)
#define WARN(id, group, level, message, help) {TEXT(group), level, EB_DIAG_##id},
#include "diag.def"
};

static const struct {
    eb_str name, member;
} groups[] = {
#define GROUP(name, member) {TEXT(name), TEXT(member)},
#include "diag.def"
};
enum { GROUPS = sizeof groups / sizeof groups[0] };

typedef struct members {
    bool is[EB_WARN_COUNT];
    unsigned count;
} members;

/* The rows of a group, and of the groups in it; groups nest three deep at most. */
static void gather(eb_str name, unsigned depth, members *m) {
    bool everything = eb_str_is(name, "everything");
    level set = eb_str_is(name, "all") || eb_str_is(name, "most") ? ALL
                : eb_str_is(name, "extra")                        ? EXTRA
                : eb_str_is(name, "pedantic")                     ? PEDANTIC
                                                                  : USUAL;
    for (unsigned n = 0; n < EB_WARN_COUNT; n++)
        if (everything || (set && rows[n].level == set) || eb_str_eq(name, rows[n].group)) {
            m->is[n] = true;
            m->count++;
        }
    for (unsigned n = 0; n < GROUPS && depth < 3; n++)
        if (eb_str_eq(name, groups[n].name))
            gather(groups[n].member, depth + 1, m);
}

static void change(eb_warnings *w, eb_str group, unsigned set, unsigned clear) {
    members m = {0};
    gather(group, 0, &m);
    for (unsigned n = 0; n < EB_WARN_COUNT; n++)
        if (m.is[n])
            w->flags[n] = (uint8_t)((w->flags[n] & ~clear) | set);
}

void eb_warnings_start(eb_warnings *w, unsigned year) {
    *w = (eb_warnings){.frame_most = UINT32_MAX};
    for (unsigned n = 0; n < EB_WARN_COUNT; n++)
        w->flags[n] = rows[n].level == FATAL ? TOLD | RAISED : rows[n].level <= OWN ? TOLD : 0;
    if (year < 1999) /* int was what nothing said otherwise of */
        change(w, EB_STR("implicit"), 0, RAISED);
}

static bool skip(eb_str *text, const char *prefix) {
    eb_str p = eb_str_from(prefix);
    if (!eb_str_starts(*text, prefix))
        return false;
    *text = (eb_str){text->at + p.len, text->len - p.len};
    return true;
}

/* The number behind '=', as many as fit. */
static uint32_t bytes_of(eb_str text) {
    uint32_t bytes = 0;
    for (size_t n = 0; n < text.len && text.at[n] >= '0' && text.at[n] <= '9'; n++)
        bytes = bytes > 99999999 ? bytes : bytes * 10 + (uint32_t)(text.at[n] - '0');
    return bytes;
}

void eb_warnings_option(eb_warnings *w, eb_str option) {
    bool no = skip(&option, "no-");
    eb_str frame = option;
    if (!no && skip(&frame, "frame-larger-than=")) {
        w->frame_most = bytes_of(frame);
        option.len -= frame.len + 1;
    }
    if (eb_str_is(option, "none"))
        w->none = true;
    else if (eb_str_is(option, "error"))
        w->all_errors = !no;
    else if (skip(&option, "error="))
        change(w, option, no ? NEVER_RAISED : TOLD | RAISED, no ? RAISED : NEVER_RAISED);
    else
        change(w, option, no ? 0 : TOLD, no ? TOLD : 0);
}

void eb_warnings_pragma(eb_warnings *w, eb_str verb, eb_str option) {
    if (!skip(&option, "-W"))
        return;
    if (eb_str_is(verb, "ignored"))
        change(w, option, 0, TOLD);
    else if (eb_str_is(verb, "warning"))
        change(w, option, TOLD, RAISED);
    else if (eb_str_is(verb, "error") || eb_str_is(verb, "fatal"))
        change(w, option, TOLD | RAISED, 0);
}

bool eb_warnings_know(eb_str group) {
    members m = {0};
    gather(group, 0, &m);
    return m.count > 0;
}

eb_str eb_warnings_near(eb_str option) {
    enum { SHORTEST = 6 };
    eb_str best = {"", 0};
    unsigned least = 3;
    skip(&option, "no-");
    skip(&option, "error=");
    if (option.len < SHORTEST || memchr(option.at, '=', option.len) || eb_warnings_know(option))
        return best;
    for (unsigned n = 0; n < EB_WARN_COUNT + GROUPS; n++) {
        eb_str name = n < EB_WARN_COUNT ? rows[n].group : groups[n - EB_WARN_COUNT].name;
        unsigned distance = eb_str_distance(option, name, least);
        if (distance < least) {
            least = distance;
            best = name;
        }
    }
    return best;
}

static unsigned row_of(eb_diag_code code) {
    unsigned lo = 0, hi = EB_WARN_COUNT; /* the rows stand in the order of the codes */
    while (hi - lo > 1) {
        unsigned mid = lo + (hi - lo) / 2;
        if (rows[mid].code <= code)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

bool eb_warnings_severity(const eb_warnings *w, eb_diag_code code, eb_severity *severity) {
    unsigned row = row_of(code), flags = w->flags[row];
    bool all = w->all_errors && rows[row].level != OWN;
    bool raised = (flags & RAISED) || (all && !(flags & NEVER_RAISED));
    *severity = raised ? EB_ERROR : EB_WARNING;
    return (flags & TOLD) && (!w->none || (raised && rows[row].level == FATAL));
}
