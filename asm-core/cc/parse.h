/* parse.h - tokens to the typed tree, in one pass by recursive descent.
 *
 * Files: parse.c tokens, scopes and the top level, kernel.h what BTF adds to them, spec.c
 * declaration specifiers and enums, record.c structs and unions, declarator.c declarators and
 * attributes, decl.c declarations, init.c initialisers, expr.c expressions, convert.c conversions
 * and checks, const.c constant expressions, builtin.c builtin functions, stmt.c statements,
 * suggest.c what may have been meant. */
#ifndef EB_PARSE_H
#define EB_PARSE_H

#include "ast.h"
#include "literal.h"
#include "pp.h"

typedef enum eb_keyword {
#define KEYWORD(id, spelling) EB_KW_##id,
#include "token.def"
    EB_KW_COUNT
} eb_keyword;

/* What a name means where the parser stands. */
typedef struct eb_binding {
    eb_decl *decl; /* ordinary names */
    eb_type *tag;  /* struct, union, enum */
    uint32_t decl_depth, tag_depth;
} eb_binding;

typedef struct eb_shadowed {
    uint32_t name;
    eb_binding before;
} eb_shadowed;

/* Which warnings are told from a token on. */
typedef struct eb_told {
    uint32_t from;
    eb_warnings warnings;
} eb_told;

/* The record in which a member of some name was met last, and where. */
typedef struct eb_seen_member {
    const eb_record *record;
    eb_loc loc;
} eb_seen_member;

typedef struct eb_kernel eb_kernel;

/* #pragma weak name, or name = alias: then `of` is what that leads to, if nobody declares `name`.
 */
typedef struct eb_weak {
    uint32_t name, alias; /* alias: 1 + a name, or 0 */
    eb_loc lo, hi;
    eb_decl *of;
} eb_weak;

typedef struct eb_unit {
    ebpf_ctx *ctx;
    eb_pp *pp;
    eb_words *words;
    eb_types types;
    const eb_tok *toks; /* ends with END */
    uint32_t at, count;
    EB_VEC(eb_binding) bindings; /* by name */
    EB_VEC(eb_shadowed) shadowed;
    EB_VEC(eb_enumerator) enumerators; /* of the enums that are being read */
    EB_VEC(eb_seen_member) members;    /* by name */
    EB_VEC(eb_label *) labels;         /* by name: the newest */
    EB_VEC(uint32_t) scopes;           /* where each begins in `shadowed` */
    EB_VEC(eb_decl *) globals;         /* variables and functions, in order */
    EB_VEC(const eb_stmt *) texts;     /* asm() at file scope */
    EB_VEC(eb_weak) weak;              /* what #pragma weak names, anywhere */
    eb_decl *function;                 /* being read, or NULL */
    uint32_t loops, switches;          /* around the statement being read */
    eb_stmt *in_switch;
    uint32_t depth;            /* of nesting */
    uint32_t links;            /* of the highest chain that was read since eb_chain_open */
    EB_VEC(uint32_t) preserve; /* #pragma clang attribute push: 1 if preserve_access_index */
    EB_VEC(uint32_t) packs;    /* #pragma pack(push) */
    uint32_t pack;
    uint32_t unroll;      /* of a #pragma in front of the next loop */
    uint32_t param_lists; /* around what is being read */
    bool ended;           /* something was missing at the end of the text */
    bool unevaluated;     /* inside sizeof and typeof */
    bool extension;       /* behind __extension__ */
    bool lost;            /* at file scope: a function ended too early, as was said */
    uint32_t looks;       /* of suggest.c, through all names */
    EB_VEC(eb_told) told; /* the first row is from the start */
    eb_kernel *kernel;    /* kernel.h: where names are looked for that are not bound, or NULL */
} eb_unit;

/* The unit of what `pp` has preprocessed. Errors are in the context. */
eb_unit *eb_parse(eb_pp *pp);

/* ---- tokens (parse.c) ---- */

eb_tok eb_peek(const eb_unit *u);
eb_tok eb_ahead(const eb_unit *u, uint32_t by);
eb_tok eb_take(eb_unit *u);
bool eb_is(const eb_unit *u, eb_tok_kind kind);
bool eb_is_word(const eb_unit *u, eb_keyword word);
/* Whether the next token is an identifier, not a keyword. */
bool eb_is_name(const eb_unit *u);
/* Take the token if it is next. */
bool eb_skip(eb_unit *u, eb_tok_kind kind);
bool eb_skip_word(eb_unit *u, eb_keyword word);
/* The same, with a diagnostic when it is not; `what` is how it is called there. */
bool eb_expect(eb_unit *u, eb_tok_kind kind, const char *what);
/* Take a ';' that ends nothing. */
bool eb_extra_semicolon(eb_unit *u);
/* Between the things in braces, where a pragma may stand: whether they end. The '}' is taken, or
 * told to be missing. */
bool eb_braces_end(eb_unit *u);
/* A diagnostic that it is missing behind the last token, where `what` is expected. */
void eb_missing(eb_unit *u, const char *text, const char *what);
/* Where the last token taken ends. */
eb_loc eb_behind(const eb_unit *u);
eb_loc eb_tok_end(const eb_unit *u, eb_tok tok);
/* Behind the bracket that closes the one just taken, or in front of what shows that it is missing.
 */
void eb_skip_to_close(eb_unit *u);
/* Behind what is in the bracket that is next. */
void eb_skip_group(eb_unit *u);
/* After an error: behind the next ';' or body, or in front of '}' or of what begins a statement. */
void eb_resync(eb_unit *u);
/* The ';' that ends a statement or declaration, before which there were so many errors: when there
 * are more, nothing is told. Where it is missing and what follows begins another one, that goes on
 * there. */
void eb_end_statement(eb_unit *u, uint32_t errors, const char *what);
void eb_pragmas(eb_unit *u);
bool eb_is_c23(const eb_unit *u);
/* Nesting is bounded: recursion must not outgrow the stack. */
void eb_nest(eb_unit *u);
void eb_unnest(eb_unit *u);
/* Chains, a + b + c ..., are parsed in a loop but are as high a tree as they are long, and what
 * they are made of may be chains again: between open and close, the highest part and the links that
 * are put upon it make the height. An error where it is too high. */
uint32_t eb_chain_open(eb_unit *u);
void eb_link(eb_unit *u, uint32_t by);
void eb_chain_close(eb_unit *u, uint32_t beside);

/* ---- scopes (parse.c) ---- */

void eb_scope_open(eb_unit *u);
void eb_scope_close(eb_unit *u);
bool eb_scope_is_global(const eb_unit *u);
/* To file scope and back, to read what was skipped there. */
typedef struct eb_suspended {
    const eb_shadowed *inner; /* what the inner scopes had bound */
    uint32_t count, scopes;
} eb_suspended;
eb_suspended eb_scope_suspend(eb_unit *u);
void eb_scope_resume(eb_unit *u, eb_suspended suspended);
eb_decl *eb_lookup(eb_unit *u, uint32_t name);
eb_type *eb_lookup_tag(eb_unit *u, uint32_t name);
/* Only of the innermost scope. */
eb_decl *eb_lookup_here(eb_unit *u, uint32_t name);
eb_type *eb_lookup_tag_here(eb_unit *u, uint32_t name);
/* Only what the unit itself binds: of all scopes, and a tag of file scope. */
eb_decl *eb_bound(const eb_unit *u, uint32_t name);
eb_type *eb_file_tag(const eb_unit *u, uint32_t name);
/* The declaration at file scope that inner ones hide. */
eb_decl *eb_file_decl(const eb_unit *u, uint32_t name);
eb_label **eb_label_slot(eb_unit *u, uint32_t name);
void eb_bind(eb_unit *u, uint32_t name, eb_decl *decl);
void eb_bind_tag(eb_unit *u, uint32_t name, eb_type *type);
eb_str eb_name_text(const eb_unit *u, uint32_t name);

/* ---- declarations ---- */

typedef struct eb_spec {
    eb_type *type;
    uint8_t storage;
    bool is_inline, is_auto_type;
    bool is_constexpr; /* C23 */
    bool is_thread_local;
    bool is_noreturn; /* by its keyword */
    bool ended;       /* the ';' behind them is missing, as was said */
    eb_attrs attrs;
    eb_loc lo;
} eb_spec;

typedef struct eb_declarator {
    eb_type *type;
    uint32_t name; /* 1 + its number, or 0 */
    eb_loc lo, hi;
    eb_attrs attrs;         /* behind a '*': of what is declared */
    const eb_param *params; /* of the innermost function declarator */
    uint64_t param_count;
    bool is_function; /* declared as one, not through a typedef */
    bool is_old;      /* with names for parameters, whose types come behind it */
} eb_declarator;

bool eb_starts_type(eb_unit *u, eb_tok tok); /* specifiers or qualifiers of a type name */
bool eb_starts_declaration(eb_unit *u);      /* the same, with storage classes and attributes */
/* '(' and a type's name, or one that nobody knows but that cannot be a value. */
bool eb_starts_cast(eb_unit *u);
eb_spec eb_specifiers(eb_unit *u); /* spec.c */
/* Behind the keyword (record.c). */
eb_type *eb_record_specifier(eb_unit *u, bool is_union);
/* A tag of another kind, or one that has its body. */
void eb_tag_redefined(eb_unit *u, eb_tok tok, const eb_type *type);
/* Arrays and functions as parameters are pointers (C11 6.7.6.3). */
eb_type *eb_adjusted(eb_unit *u, eb_type *type);
eb_declarator eb_declarator_of(eb_unit *u, eb_type *base);
eb_type *eb_type_name(eb_unit *u);
void eb_attributes(eb_unit *u, eb_attrs *attrs);
/* Whether they begin here, as __attribute__ or [[; and the number of tokens that they take. */
bool eb_is_attribute(const eb_unit *u);
uint32_t eb_attributes_length(const eb_unit *u);
/* Strings that are a name or tag, which ends where a NUL would stand: an error, as in clang. */
eb_str eb_name_string(eb_unit *u);
/* A copy to which a declarator can add its own: what is added to one is not in the other. */
eb_attrs eb_attrs_copy(eb_unit *u, const eb_attrs *attrs);
/* What `from` says is said by `to`, too (decl.c). */
void eb_attrs_merge(eb_unit *u, eb_attrs *to, const eb_attrs *from);
/* Attributes that change a type, on it. */
eb_type *eb_apply_type_attrs(eb_unit *u, eb_type *type, const eb_attrs *attrs, eb_loc loc);
/* The type that words such as "unsigned long int" name, or NULL. */
eb_type *eb_type_of_words(eb_unit *u, eb_str text);
/* The integer type of an enum whose values are all there. */
void eb_enum_finish(eb_unit *u, eb_enum *e);
/* Whether a pragma makes records preserve_access_index. */
bool eb_preserving(const eb_unit *u);
/* Reads the body of a record that was skipped. True if the type is complete then. */
bool eb_complete(eb_unit *u, eb_type *type);
/* Complete, or a diagnostic that says for what it must be. */
bool eb_require_complete(eb_unit *u, eb_type *type, eb_loc lo, eb_loc hi);
/* The same, of a variable, which has to fit into memory as well. */
bool eb_require_object(eb_unit *u, eb_type *type, eb_loc lo, eb_loc hi);
/* A declaration at file or block scope; its variables chained by `next`. */
eb_decl *eb_declaration(eb_unit *u);
void eb_static_assert(eb_unit *u);
/* init.c: the initialiser of `decl`, which completes the type of an open array. */
void eb_initialiser(eb_unit *u, eb_decl *decl);
/* What offsetof names in an lvalue of a record: member.member[index]... */
eb_expr *eb_designated(eb_unit *u, eb_expr *at);

/* ---- expressions ---- */

eb_expr *eb_expression(eb_unit *u); /* with commas */
eb_expr *eb_assignment(eb_unit *u); /* without */
eb_expr *eb_conditional(eb_unit *u);
/* Arrays and functions to pointers, lvalues to their values (C11 6.3.2). */
eb_expr *eb_rvalue(eb_unit *u, eb_expr *expr);
/* A value that can be tested, or a diagnostic. */
eb_expr *eb_condition(eb_unit *u, eb_expr *expr);
/* As if by assignment to `type`; `what` says into what, for the diagnostic. */
eb_expr *eb_convert(eb_unit *u, eb_expr *expr, eb_type *type, const char *what);
eb_expr *eb_cast(eb_unit *u, eb_expr *expr, eb_type *type);
eb_expr *eb_expr_new(eb_unit *u, eb_expr_kind kind, eb_type *type, eb_loc lo, eb_loc hi);
eb_expr *eb_expr_number(eb_unit *u, eb_type *type, uint64_t value, eb_loc lo, eb_loc hi);
eb_expr *eb_expr_error(eb_unit *u, eb_loc lo, eb_loc hi);
bool eb_expr_is_error(const eb_expr *expr);
eb_expr *eb_binary(eb_unit *u, eb_tok_kind op, eb_expr *a, eb_expr *b);
/* The member that a MEMBER expression names. */
const eb_member *eb_member_of(const eb_expr *e);
/* The same of an lvalue if that is a bit-field. */
const eb_member *eb_bit_field_of(const eb_expr *e);
/* A diagnostic if it is one, which `what` does not take. */
bool eb_refuse_bit_field(eb_unit *u, const eb_expr *e, const char *what);
eb_expr *eb_member_access(eb_unit *u, eb_expr *a, const uint32_t *path, uint32_t length);
/* Adjacent string literals as one; the bytes without the NUL. `unit` is the size of a character. */
eb_str eb_strings(eb_unit *u, eb_type **element);
/* A builtin function's call, its name taken, '(' next; NULL if the name is none. `declared`: the
 * program declares a function of this name. */
eb_expr *eb_builtin_call(eb_unit *u, eb_tok name, bool declared);
/* An object without a name, an lvalue; what its value is may be added to its declaration. */
eb_expr *eb_unnamed_variable(eb_unit *u, eb_type *type, eb_loc lo);

/* ---- other names (alias.c) ---- */

/* Behind the last declaration: sets decl->alias and weak.of. */
void eb_find_aliases(eb_unit *u);

/* ---- constants (const.c) ---- */

typedef struct eb_constant {
    enum { EB_CONSTANT_NONE, EB_CONSTANT_NUMBER, EB_CONSTANT_ADDRESS } kind;
    uint64_t value; /* a number, truncated to its type and extended by its sign; or an offset */
    const eb_expr *base; /* DECL, STRING or COMPOUND whose address it is */
} eb_constant;

eb_constant eb_constant_of(const eb_expr *expr);
/* An integer constant expression, or a diagnostic. */
bool eb_constant_integer(eb_unit *u, eb_expr *expr, int64_t *value);
/* Where C demands a constant, __builtin_constant_p has no later chance to say yes. */
void eb_settle(eb_expr *e);
/* `value` as it is in an integer type. */
uint64_t eb_wrap(uint64_t value, eb_type *type);

/* ---- statements ---- */

eb_stmt *eb_compound(eb_unit *u); /* at '{' */
eb_stmt *eb_assembly(eb_unit *u); /* at asm */
/* Whether it is a variable that chose its register; the number in such a name, or -1. */
bool eb_in_register(const eb_decl *decl);
int eb_register_number(eb_str name);
void eb_function_body(eb_unit *u, eb_decl *function);

/* ---- diagnostics ---- */

/* A type as text for a message, in quotes: valid as long as the context. */
const char *eb_type_string(eb_unit *u, eb_type *type);
/* A warning, unless it is switched off where the parser stands; NULL then. */
eb_diag *eb_warn(eb_unit *u, eb_diag_code code, eb_loc lo, eb_loc hi, ...);
/* The same, told late: as at token number `at`. */
eb_diag *eb_warn_at(eb_unit *u, uint32_t at, eb_diag_code code, eb_loc lo, eb_loc hi, ...);
/* Whether it would be told. */
bool eb_warns(const eb_unit *u, uint32_t at, eb_diag_code code, eb_loc loc);
/* EXPECTED: `what` is missing in front of the next token. */
void eb_expected(eb_unit *u, const char *what);

/* ---- what may have been meant (suggest.c) ---- */

/* What a name can mean where it stands. */
typedef enum eb_meaning {
    EB_MEANT_VALUE,
    EB_MEANT_CALL,
    EB_MEANT_TYPE,
    EB_MEANT_TAG
} eb_meaning; /* of records */
/* Of names that are as near: those that the unit declares, other ones, those of BTF. */
enum { EB_RANK_OWN, EB_RANK_OTHER, EB_RANK_KERNEL };

/* The nearest name to `name`, which the diagnostic points at; nothing where there is none. `diag`
 * may be NULL. */
void eb_suggest(eb_unit *u, eb_diag *diag, eb_str name, eb_meaning meaning);
void eb_suggest_member(eb_unit *u, eb_diag *diag, eb_str name, eb_type *record);
/* What the tag of an incomplete record may be instead. */
void eb_suggest_tag(eb_unit *u, eb_diag *diag, eb_type *record);
void eb_suggest_label(eb_unit *u, eb_diag *diag, eb_str name);
/* The builtin functions (builtin.c). */
void eb_builtin_near(eb_near *near);

/* ---- what may not be meant (check.c, flow.c) ---- */

/* One node of an expression, its operands checked before: how it is written, and if it is `live`,
 * what its values show to be wrong. `at` is the number of a token that is near. */
void eb_check_node(eb_unit *u, uint32_t at, const eb_expr *e, bool live);
void eb_check_condition(eb_unit *u, uint32_t at, const eb_expr *e);
void eb_check_unused(eb_unit *u, uint32_t at, const eb_expr *e);
/* The address of a packed member that becomes a pointer to what wants to be aligned. */
void eb_check_packed(eb_unit *u, const eb_expr *e, eb_type *to);
void eb_check_switch(eb_unit *u, const eb_stmt *s);
/* Whether each value of the enum that it switches over has a case. */
bool eb_switch_is_full(const eb_stmt *s);
void eb_check_return(eb_unit *u, uint32_t at, const eb_expr *e);
/* A variable or parameter, before it is bound, that hides another one. */
void eb_check_shadow(eb_unit *u, const eb_decl *decl);
/* A function whose definition at `lo` begins, and that nothing declared before. */
void eb_check_prototype(eb_unit *u, const eb_decl *decl, eb_loc lo);
void eb_check_empty_declaration(eb_unit *u, const eb_spec *spec);
void eb_warn_deprecated(eb_unit *u, const eb_decl *decl, eb_loc lo, eb_loc hi);
/* What stands in the main file, not in what it includes. */
bool eb_in_main_file(const eb_unit *u, eb_loc loc);
/* What a function, and what the unit has declared and does not use. */
void eb_check_locals(eb_unit *u, const eb_decl *function);
void eb_check_unit(eb_unit *u);
/* The ways through a function whose body has been read, and all checks of what stands on them. */
void eb_check_flow(eb_unit *u, eb_decl *function);
/* An initialiser at file scope. */
void eb_check_static(eb_unit *u, const eb_decl *decl);

#endif
