/* ctx.h - one request: its arena, its source texts and its diagnostics.
 *
 * A location (eb_loc) is a 32-bit number: 0 is nowhere, otherwise 1 + an offset into all source
 * texts laid end to end, so that a token, an instruction and a symbol each carry one word and file,
 * line and column are found when somebody asks. */
#ifndef EB_CTX_H
#define EB_CTX_H

#include "ebpf.h"
#include "map.h"

typedef uint32_t eb_loc;

/* #line: what lines are called from here on. */
typedef struct eb_line_mark {
    eb_loc from;
    uint32_t shift; /* modulo 2^32 */
    eb_str name;
    bool quiet;
} eb_line_mark;

typedef struct eb_source {
    eb_str name;
    eb_str text;
    eb_loc first;           /* the location of its first byte; its end has one too */
    eb_loc from, from_end;  /* what asked for this text, in another one; 0 for none */
    EB_VEC(uint32_t) lines; /* offsets where lines start; filled on the first question */
    EB_VEC(eb_line_mark) marks;
    /* An expansion of C's macro `name`, which has no text of its own, only a length; `from_end` is
     * where the call's ')' stands, or `from` again: */
    const uint8_t *body; /* where the body's first eb_loc is; the others follow at `stride` bytes */
    size_t stride;
    bool quiet; /* warnings in it are not told: it is not what somebody is writing */
} eb_source;

typedef struct eb_place {
    const eb_source *source; /* NULL: nowhere */
    eb_str name;             /* the file's, or what #line calls it; so the line */
    uint32_t line, column;   /* from 1; columns count bytes */
    eb_str text;             /* the line without its end */
} eb_place;

typedef enum eb_severity { EB_ERROR, EB_WARNING, EB_NOTE } eb_severity;

/* What the levels of diag.def's WARN rows are before any option. */
#define EB_SEVERITY_USUAL    EB_WARNING
#define EB_SEVERITY_OWN      EB_WARNING
#define EB_SEVERITY_ALL      EB_WARNING
#define EB_SEVERITY_EXTRA    EB_WARNING
#define EB_SEVERITY_PEDANTIC EB_WARNING
#define EB_SEVERITY_ASKED    EB_WARNING
#define EB_SEVERITY_FATAL    EB_ERROR

/* One row of diag.def each. */
typedef enum eb_diag_code {
#define DIAG(id, severity, message, help) EB_DIAG_##id,
#include "diag.def"
    EB_DIAG_COUNT
} eb_diag_code;

typedef struct eb_note {
    eb_loc lo, hi;
    eb_str text;
} eb_note;

/* What would mend it: `text` in place of what is from lo to hi; nothing is there if they are equal.
 */
typedef struct eb_fixit {
    eb_loc lo, hi;
    eb_str text;
} eb_fixit;

typedef struct eb_diag {
    eb_severity severity;
    eb_diag_code code;
    eb_loc lo, hi; /* the span; hi is one past its last byte */
    int32_t insn;  /* the instruction it speaks of, or -1 */
    eb_str input;  /* the name of a binary input, where there is no source text */
    eb_str text;
    EB_VEC(eb_note) notes;
    EB_VEC(eb_fixit) fixits;
} eb_diag;

struct ebpf_ctx {
    eb_arena arena;
    eb_arena scratch; /* of a compiler's pass, emptied behind it */
    EB_VEC(eb_source) sources;
    EB_VEC(eb_diag) diags;
    uint32_t errors, warnings;
    struct eb_isa *isa;  /* what isa/ builds from its tables on first use */
    uint32_t error_most; /* how many errors are told; there are EB_DIAG_MOST warnings */
    uint32_t dropped;    /* diagnostics past these limits */
    bool is_fatal;       /* what comes behind such an error tells nothing, but more of its kind */
    eb_diag_code fatal;
};

enum { EB_DIAG_MOST = 100 };

/* In an argument of a message that stands in quotes: what follows is another name of the same
 * thing. 'a\x01b' is told as 'a' (aka 'b'). */
enum { EB_DIAG_AKA = 1 };

/* Enter a source text, which must outlive the context's use of it; returns the location of its
 * first byte. Fails with EBPF_E_LIMIT when all texts together pass 2^32 - 2 bytes. */
eb_loc eb_source_add(ebpf_ctx *ctx, eb_str name, eb_str text);
/* The text that was entered last comes from there: diagnostics in it lead back by notes. */
void eb_source_from(ebpf_ctx *ctx, eb_loc lo, eb_loc hi);
/* The line behind the one of `loc` is `line` of the file `name`; `quiet`: no warnings from there.
 */
void eb_source_mark(ebpf_ctx *ctx, eb_loc loc, uint32_t line, eb_str name, bool quiet);
/* No warnings in the text that `loc` is in. */
void eb_source_silence(ebpf_ctx *ctx, eb_loc loc);
bool eb_source_is_silent(const ebpf_ctx *ctx, eb_loc loc);
/* Locations for the `count` tokens of a macro's body in one of its expansions. The body's own
 * locations stand at `body`, `stride` bytes apart, and must stay there. */
eb_loc eb_expansion_add(ebpf_ctx *ctx, eb_str name, eb_loc from, eb_loc to, const eb_loc *body,
                        size_t stride, uint32_t count);
/* The text from a location to the end of its source; empty for what is in an expansion. */
eb_str eb_source_text(const ebpf_ctx *ctx, eb_loc loc);
/* Where a location is in a text: for a macro's tokens, where the macro is used. */
eb_place eb_place_of(ebpf_ctx *ctx, eb_loc loc);
/* The same, but where the macro's call ends. */
eb_place eb_place_end(ebpf_ctx *ctx, eb_loc loc);
/* If `loc` is in a macro's expansion: the macro's name, where the token stands in its body, and
 * where the macro is used (which may be in an expansion again). */
bool eb_expansion_of(const ebpf_ctx *ctx, eb_loc loc, eb_str *name, eb_loc *spelled, eb_loc *from);

/* The span in a text that lo to hi stands for: what is in a macro's expansion is where the macro is
 * used, its arguments included. */
void eb_span_in_text(const ebpf_ctx *ctx, eb_loc *lo, eb_loc *hi);
/* Whether both are of the expansion of one macro, used once in a text. */
bool eb_same_expansion(const ebpf_ctx *ctx, eb_loc a, eb_loc b);

/* Collect a diagnostic; the arguments fill the message of its row. Returned so that notes can be
 * added to it; never NULL. */
eb_diag *eb_diag_add(ebpf_ctx *ctx, eb_diag_code code, eb_loc lo, eb_loc hi, ...);
/* The same with a severity of its own. */
eb_diag *eb_diag_vadd(ebpf_ctx *ctx, eb_diag_code code, eb_severity severity, eb_loc lo, eb_loc hi,
                      va_list args);
/* The same about a binary input, at instruction `insn` or -1. */
eb_diag *eb_diag_input(ebpf_ctx *ctx, eb_diag_code code, eb_str input, int32_t insn, ...);
void eb_diag_note(ebpf_ctx *ctx, eb_diag *diag, eb_loc lo, eb_loc hi, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* What would mend it, unless that is not in a text but in a macro's expansion. */
void eb_diag_fixit(ebpf_ctx *ctx, eb_diag *diag, eb_loc lo, eb_loc hi, eb_str text);
/* "MESSAGE; HINT" */
void eb_diag_hint(ebpf_ctx *ctx, eb_diag *diag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with "did you mean 'NAME'?", and the name in place of what the diagnostic points at. */
void eb_diag_meant(ebpf_ctx *ctx, eb_diag *diag, eb_str name);
/* An error behind which nothing more is told. */
void eb_diag_fatal(ebpf_ctx *ctx, const eb_diag *diag);

/* Render everything collected so far. */
void eb_diag_render(ebpf_ctx *ctx, enum ebpf_diag_format format, eb_buf *out);

#endif
