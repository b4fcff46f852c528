/* asm.h - the assembler's state while it reads one text; internal to asm/. */
#ifndef EB_ASM_H
#define EB_ASM_H

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
    uint32_t section; /* EB_SHN_UNDEF until defined; EB_SHN_ABS for .set */
    uint64_t value;
    uint8_t bind, type, visibility;
    bool defined, bound; /* bound: .globl, .local or .weak said so */
    bool temporary;      /* not for the symbol table: .L names, numeric labels, "." */
    bool has_size;
    eb_expr size;
    bool renamed;    /* .rename: the symbol is called */
    eb_str rename;   /* this */
    uint32_t symbol; /* in the object, once made */
} eb_label;

typedef enum eb_fixup_kind {
    EB_FIXUP_JUMP,   /* 16-bit offset of a jump */
    EB_FIXUP_JUMP32, /* 32-bit immediate of gotol */
    EB_FIXUP_CALL,   /* call by name */
    EB_FIXUP_IMM64,  /* 64-bit immediate load */
    EB_FIXUP_DATA,   /* data of `size` bytes */
    EB_FIXUP_RELOC   /* .reloc of type `size` */
} eb_fixup_kind;

typedef struct eb_fixup {
    eb_fixup_kind kind;
    uint32_t section;
    uint32_t size; /* of data, in bytes; of .reloc, the type */
    uint64_t offset;
    eb_expr expr;
} eb_fixup;

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

typedef struct eb_asm {
    ebpf_ctx *ctx;
    ebpf_object *obj;
    enum ebpf_dialect dialect;
    const eb_trie *trie;
    eb_scanner scanner;

    EB_VEC(eb_token) tokens; /* of the statement at hand; the last is its end */
    uint32_t at;             /* the next of them */

    uint32_t section;     /* where output goes */
    EB_VEC(bool) implied; /* by section: its flags were not written out */
    EB_VEC(eb_label) labels;
    EB_VEC(uint32_t) placed; /* labels in the order of their definitions */
    eb_map names;            /* of labels, to their numbers */
    eb_map locals;           /* numeric labels: how often each was defined */
    EB_VEC(eb_fixup) fixups;
    uint32_t exit_section; /* where the first exit instruction stands; 0 before it */
    uint64_t exit_value;

    eb_btf *btf; /* of maps and functions; NULL when the text brings .BTF of its own */
    EB_VEC(eb_type) types;
    eb_map type_names;
    EB_VEC(uint32_t) maps; /* VARs of .maps */
    eb_map map_names;
    uint32_t open_struct; /* 1 + the type that .field adds to, or 0 */
} eb_asm;

/* ---- tokens (asm.c) ---- */

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

bool eb_asm_accept(eb_asm *as, char punct);
/* A diagnostic at the next token: expected `what`. */
void eb_asm_expected(eb_asm *as, const char *what);

/* ---- expressions (expr.c) ---- */

/* Parse at as->at. False without a diagnostic when there is none: the caller knows what else could
 * stand there. */
bool eb_asm_expr(eb_asm *as, eb_expr *expr);
/* The same, but it must be there and be a constant. */
bool eb_asm_constant(eb_asm *as, int64_t *value);
/* Reduce differences of labels of one section; true when a constant is left. */
bool eb_asm_settle(const eb_asm *as, eb_expr *expr);

/* ---- labels and output (asm.c) ---- */

uint32_t eb_asm_label(eb_asm *as, eb_str name, eb_loc lo, eb_loc hi);
uint32_t eb_asm_label_at(eb_asm *as, const eb_token *token); /* the label that a token names */
/* Define a label at the current place, or say that it is defined already. */
void eb_asm_place(eb_asm *as, uint32_t number, eb_loc lo, eb_loc hi);
uint32_t eb_asm_here(eb_asm *as); /* a temporary label at the current place */
eb_section *eb_asm_section(eb_asm *as);
/* `size` new bytes in the current section, or NULL after a diagnostic when it takes none. */
uint8_t *eb_asm_emit(eb_asm *as, uint64_t size);

/* ---- parts ---- */

void eb_asm_insn(eb_asm *as);      /* match.c: the statement is an instruction */
void eb_asm_directive(eb_asm *as); /* directive.c */
void eb_asm_select(eb_asm *as, eb_str name, uint32_t type, uint64_t flags, bool implied);
void eb_asm_map(eb_asm *as);    /* types.c: .map */
void eb_asm_struct(eb_asm *as); /* .struct, .field, .ends */
void eb_asm_field(eb_asm *as);
void eb_asm_ends(eb_asm *as);
void eb_asm_write_btf(eb_asm *as); /* at the end: .BTF and .BTF.ext */
void eb_asm_resolve(eb_asm *as);   /* resolve.c: fixups to bytes and relocations */

/* How many edits away a name may be to be suggested for `name`. */
unsigned eb_tolerance(eb_str name);
/* The name in `map` nearest to `name`, or an empty one when none is near. */
eb_str eb_nearest(const eb_map *map, eb_str name);

#endif
