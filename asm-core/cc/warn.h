/* warn.h - which warnings are told: what -W… says, and #pragma GCC diagnostic from a token on. */
#ifndef EB_WARN_H
#define EB_WARN_H

#include "ctx.h"

/* The rows of diag.def that can be switched. */
typedef enum eb_warning {
#define DIAG(id, severity, message, help)
#define WARN(id, group, level, message, help) EB_WARN_##id,
#include "diag.def"
    EB_WARN_COUNT
} eb_warning;

typedef struct eb_warnings {
    uint8_t flags[EB_WARN_COUNT];
    bool all_errors;     /* -Werror */
    bool none;           /* -w */
    uint32_t frame_most; /* -Wframe-larger-than=: bytes */
} eb_warnings;

/* What is told when no option says otherwise, of the C of that year. */
void eb_warnings_start(eb_warnings *w, unsigned year);
/* What stands behind -W: GROUP, no-GROUP, error, error=GROUP, no-error=GROUP; "none" is -w. Groups
 * that nobody knows are none of our business. */
void eb_warnings_option(eb_warnings *w, eb_str option);
/* #pragma GCC diagnostic: "ignored", "warning", "error" or "fatal" of "-Wgroup". */
void eb_warnings_pragma(eb_warnings *w, eb_str verb, eb_str option);
/* Whether there is a group of this name. */
bool eb_warnings_know(eb_str group);
/* The group that an option of an unknown one was meant for, most likely; "" if there is none. */
eb_str eb_warnings_near(eb_str option);
/* What became of a warning: false if it is not told. */
bool eb_warnings_severity(const eb_warnings *w, eb_diag_code code, eb_severity *severity);

#endif
