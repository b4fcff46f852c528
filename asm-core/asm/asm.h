/* asm.h - the assembler's state while it reads one text; internal to asm/. */
#ifndef EB_ASM_H
#define EB_ASM_H

#include "assemble.h"
#include "btf.h"
#include "dialect.h"

/* plus - minus + value; symbols are label numbers + 1, 0 for none. */
typedef struct eb_expr {
    uint32_t plus, minus;
    int64_t value;
    eb_loc lo, hi;
} eb_expr;

typedef struct eb_label {
    eb_str name;
    eb_loc loc; /* where it is defined, or first named */
    eb_loc end;
    uint64_t value;
    uint32_t section; /* EB_SHN_UNDEF until defined; EB_SHN_ABS for a constant */
    uint32_t size;    /* 1 + its .size in exprs, or 0 */
    uint32_t alias;   /* 1 + what .set gave it in exprs when that is no constant, or 0 */
    uint32_t rename;  /* 1 + what .rename calls the symbol in renames, or 0 */
    uint32_t symbol;  /* in the object, once made */
    uint8_t bind, type, visibility;
    bool defined : 1;
    bool bound : 1;     /* .globl, .local or .weak said so */
    bool temporary : 1; /* not for the symbol table: .L names, numeric labels, "." */
    bool final : 1;     /* .equiv: it may not change */
} eb_label;

typedef enum eb_fixup_kind {
    EB_FIXUP_JUMP,   /* 16-bit offset of a jump */
    EB_FIXUP_JUMP32, /* 32-bit immediate of gotol */
    EB_FIXUP_CALL,   /* call by name */
    EB_FIXUP_IMM64,  /* 64-bit immediate load */
    EB_FIXUP_DATA,   /* data of `size` bytes */
    EB_FIXUP_RELOC   /* .reloc of the type expr.value */
} eb_fixup_kind;

typedef struct eb_fixup {
    eb_expr expr;
    uint32_t section, offset;
    uint8_t kind; /* eb_fixup_kind */
    uint8_t size; /* of data, in bytes */
} eb_fixup;

/* Where a .loc line starts; `file` is its number in files. It holds up to the next one. */
typedef struct eb_asm_line {
    uint32_t section, offset, file, line, column;
} eb_asm_line;

typedef struct eb_type_field {
    eb_str name;
    uint32_t type; /* index into types */
    uint32_t count, offset, btf;
    bool array;
} eb_type_field;

typedef struct eb_type {
    eb_str name;
    uint32_t size, align;
    uint32_t btf;
    eb_loc loc;
    EB_VEC(eb_type_field) fields;
} eb_type;

/* An open .if: text is read while `on`; `taken` tells that a branch has been read. */
typedef struct eb_condition {
    eb_loc lo, hi;
    bool taken, last; /* last: .else has been met */
} eb_condition;

typedef struct eb_parameter {
    eb_str name, value;
    bool required, rest;
} eb_parameter;

typedef struct eb_macro {
    eb_str name, body;
    eb_loc lo, hi;
    EB_VEC(eb_parameter) parameters;
} eb_macro;

/* A text that waits while another one, which it asked for, is read. */
typedef struct eb_frame {
    eb_scanner scanner;
    uint32_t conditions; /* how many of them are its own and its callers' */
    uint32_t repeats;    /* how often the text is read again */
    bool macro;          /* .exitm leads to its end */
} eb_frame;

typedef struct eb_directive_row eb_directive_row;

struct eb_asm {
    ebpf_ctx *ctx;
    ebpf_object *obj;
    enum ebpf_dialect dialect;
    uint32_t errors; /* of the context when it started */
    const eb_trie *trie;

    /* the text (source.c, macro.c) */
    eb_scanner scanner;
    uint32_t repeats, open_conditions; /* of the text at hand, as in eb_frame */
    bool in_macro;
    EB_VEC(eb_frame) frames; /* the texts that wait, the outermost first */
    EB_VEC(eb_condition) conditions;
    EB_VEC(eb_macro) macros;
    eb_map macro_names;
    uint32_t expansions; /* so far: \@ */
    uint64_t expanded;   /* bytes that macros and repetitions came to */

    /* the statement at hand */
    EB_VEC(eb_token) tokens;           /* the last is its end */
    uint32_t at;                       /* the next of them */
    const eb_directive_row *directive; /* or NULL */
    const eb_macro *macro;             /* or NULL */
    eb_str raw;                        /* its text behind the name of a macro or of a directive
                                          that takes text */
    eb_map directives;                 /* names to rows of the table */

    /* output */
    uint32_t section, previous; /* where it goes, and went before */
    EB_VEC(uint32_t) pushed;    /* .pushsection: section and previous, again and again */
    eb_map section_names;
    EB_VEC(bool) implied; /* by section: its flags were not written out */
    EB_VEC(eb_label) labels;
    EB_VEC(eb_expr) exprs; /* sizes and aliases of symbols */
    EB_VEC(eb_str) renames;
    EB_VEC(uint32_t) placed; /* labels in the order of their definitions */
    eb_map names;            /* of labels, to their numbers */
    eb_map locals;           /* numeric labels: how often each was defined */
    EB_VEC(eb_fixup) fixups;
    EB_VEC(eb_asm_line) lines;
    EB_VEC(eb_str) files;  /* of .file, by number */
    uint32_t exit_section; /* where the first exit instruction stands; 0 before it */
    uint64_t exit_value;

    /* what the assembler adds (types.c) */
    bool no_btf; /* .nobtf */
    eb_btf *btf; /* of maps and functions; NULL when the text brings .BTF of its own */
    EB_VEC(eb_type) types;
    eb_map type_names;
    EB_VEC(uint32_t) maps; /* VARs of .maps */
    eb_map map_names;
    uint32_t open_struct; /* 1 + the type that .field adds to, or 0 */
};

/* ---- tokens ---- */

static inline const eb_token *eb_asm_peek(const eb_asm *as) {
    return &as->tokens.at[as->at];
}

static inline bool eb_asm_is(const eb_asm *as, char punct) {
    const eb_token *token = eb_asm_peek(as);
    return token->kind == EB_TOKEN_PUNCT && token->punct == (uint8_t)punct;
}

static inline bool eb_asm_at_end(const eb_asm *as) {
    return as->at + 1 >= as->tokens.len;
}

static inline bool eb_asm_accept(eb_asm *as, char punct) {
    bool there = eb_asm_is(as, punct);
    as->at += there;
    return there;
}

/* A diagnostic at the next token: expected `what`. */
void eb_asm_expected(eb_asm *as, const char *what);
/* The statement ends here, or a diagnostic says that it should. */
bool eb_asm_ended(eb_asm *as);
/* A name: a word, a string, or a register's name, which is a good symbol too. NULL after a
 * diagnostic: expected `what`. */
const eb_token *eb_asm_name(eb_asm *as, const char *what);

/* ---- the text (source.c) ---- */

/* Read the next statement into as->tokens; false at the end of all text. Where a line has something
 * that is no token, one diagnostic was given: the rest of it is skipped and `clean` is false. */
bool eb_asm_read(eb_asm *as, bool *clean);
/* Read `scanner`'s text, `repeats` times more than once, before going on behind this statement.
 * False after a diagnostic when that is too much. */
bool eb_asm_push(eb_asm *as, const eb_scanner *scanner, uint32_t repeats, bool macro);
/* What macros and repetitions may come to, in bytes of text: a share of the context's memory, and
 * no more than the same everywhere. */
uint64_t eb_asm_expansion_most(const eb_asm *as);
/* Leave the text at hand, with the .ifs that were opened in it. */
void eb_asm_pop(eb_asm *as);
/* The lines up to the statement that `ends` names, which is read, too; statements in `opens` nest.
 * Both are lists of words that end in NULL. False after a diagnostic when it is not there. */
bool eb_asm_capture(eb_asm *as, const char *const *opens, const char *const *ends, eb_scanner *out);

/* ---- expressions (expr.c) ---- */

/* Parse at as->at. False without a diagnostic when there is none: the caller knows what else could
 * stand there. */
bool eb_asm_expr(eb_asm *as, eb_expr *expr);
/* The same, but it must be there; else a diagnostic: expected `what`. */
bool eb_asm_expr_of(eb_asm *as, eb_expr *expr, const char *what);
/* The same, but it must be there and be a constant. */
bool eb_asm_constant(eb_asm *as, int64_t *value);
/* Reduce differences of labels of one section; true when a constant is left. */
bool eb_asm_settle(const eb_asm *as, eb_expr *expr);

/* ---- labels and output (asm.c) ---- */

uint32_t eb_asm_label(eb_asm *as, eb_str name, eb_loc lo, eb_loc hi);
uint32_t eb_asm_label_at(eb_asm *as, const eb_token *token); /* the label that a token names */
/* Define a label at the current place, or say that it is defined already. */
void eb_asm_place(eb_asm *as, uint32_t number, eb_loc lo, eb_loc hi);
void eb_asm_defined_twice(eb_asm *as, const eb_label *label, eb_loc lo, eb_loc hi);
uint32_t eb_asm_here(eb_asm *as); /* a temporary label at the current place */
/* Keep an expression: 1 + its number. */
uint32_t eb_asm_keep(eb_asm *as, const eb_expr *expr);
eb_section *eb_asm_section(eb_asm *as);
/* Go to the section called `name`, which is made when it is new. */
void eb_asm_select(eb_asm *as, eb_str name, uint32_t type, uint64_t flags, bool implied);
/* `size` new bytes in the current section, or NULL after a diagnostic when it takes none. */
uint8_t *eb_asm_emit(eb_asm *as, uint64_t size);
/* A string's bytes behind `out`, its escapes replaced; false after a diagnostic. */
bool eb_asm_unescape(eb_asm *as, const eb_token *token, eb_buf *out);
/* The same of a name, which must not hold a NUL: ELF ends names with one. */
bool eb_asm_unescape_name(eb_asm *as, const eb_token *token, eb_buf *out);
/* Advance by `size` bytes of `fill`; in a section without bytes only its size grows. */
void eb_asm_fill(eb_asm *as, uint64_t size, int fill);

/* ---- parts ---- */

void eb_asm_insn(eb_asm *as);      /* match.c: the statement is an instruction */
void eb_asm_lower(eb_asm *as);     /* and starts with a capital letter */
void eb_asm_use_macro(eb_asm *as); /* macro.c: the statement is the use of a macro */
void eb_asm_write_btf(eb_asm *as); /* types.c, at the end: .BTF and .BTF.ext */
void eb_asm_resolve(eb_asm *as);   /* resolve.c: fixups to bytes and relocations */

/* ---- directives: rows of the table in directive.c ---- */

typedef void eb_directive(eb_asm *as, int arg);

struct eb_directive_row {
    const char *name;
    eb_directive *run;
    int arg;
    bool raw; /* takes text, in as->raw, instead of tokens */
};

/* The rows' names to their numbers. */
void eb_asm_directives(eb_asm *as);
const eb_directive_row *eb_asm_directive_of(const eb_asm *as, const eb_token *token);
void eb_asm_directive(eb_asm *as);
void eb_asm_unknown_directive(eb_asm *as); /* a diagnostic about the word at hand */

/* The conditions (condition.c) with their tests as arguments. */
enum {
    EB_IF_NE, /* .if */
    EB_IF_EQ,
    EB_IF_GE,
    EB_IF_GT,
    EB_IF_LE,
    EB_IF_LT,
    EB_IF_DEF,
    EB_IF_NDEF,
    EB_IF_BLANK,
    EB_IF_NBLANK,
    EB_IF_SAME,
    EB_IF_NSAME
};

eb_directive eb_run_section, eb_run_known_section, eb_run_push_section, eb_run_pop_section,
    eb_run_previous, eb_run_subsection; /* section.c */
eb_directive eb_run_bind, eb_run_visibility, eb_run_type, eb_run_size, eb_run_set, eb_run_comm,
    eb_run_rename, eb_run_reloc, eb_run_file, eb_run_loc; /* symbol.c */
eb_directive eb_run_data, eb_run_ascii, eb_run_leb, eb_run_zero, eb_run_fill, eb_run_align,
    eb_run_org; /* data.c */
eb_directive eb_run_if, eb_run_if_text, eb_run_elseif, eb_run_else, eb_run_endif, eb_run_error;
eb_directive eb_run_macro, eb_run_purge, eb_run_exit, eb_run_rept, eb_run_irp,
    eb_run_stray_end;                                              /* macro.c */
eb_directive eb_run_map, eb_run_struct, eb_run_field, eb_run_ends; /* types.c */

/* The name nearest to `name` in `map`, or an empty one when none is near. */
eb_str eb_nearest(const eb_map *map, eb_str name);
/* How many edits away a name may be to be suggested for `name`. */
unsigned eb_tolerance(eb_str name);

#endif
