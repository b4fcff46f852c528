/* ast.h - the typed tree of a translation unit: what the parser makes and lowering takes.
 *
 * Expressions are checked while they are read: each has its type, conversions are nodes of their
 * own (CAST), sizeof and the like are numbers already, arrays and functions have decayed where C
 * says so. Members and elements stay as they were written, since CO-RE relocates by them. */
#ifndef EB_AST_H
#define EB_AST_H

#include "type.h"

typedef struct eb_expr eb_expr;
typedef struct eb_stmt eb_stmt;
typedef struct eb_decl eb_decl;

typedef enum eb_expr_kind {
    EB_EXPR_ERROR,
    EB_EXPR_NUMBER,     /* value */
    EB_EXPR_FLOAT,      /* text; may stand where it is not evaluated, or becomes an integer */
    EB_EXPR_STRING,     /* text: its bytes with the NUL; an lvalue of array type */
    EB_EXPR_DECL,       /* decl: a variable, function or parameter */
    EB_EXPR_MEMBER,     /* a . path: an lvalue if a is one */
    EB_EXPR_INDEX,      /* a[b], a a pointer: an lvalue */
    EB_EXPR_DEREF,      /* *a: an lvalue */
    EB_EXPR_ADDRESS,    /* &a */
    EB_EXPR_DECAY,      /* an array or function a as the pointer to its first element or itself */
    EB_EXPR_LOAD,       /* the value of lvalue a */
    EB_EXPR_CAST,       /* a as another type */
    EB_EXPR_UNARY,      /* op a, op one of - ~ ! */
    EB_EXPR_BINARY,     /* a op b, of one type; && and || of scalars; + and - of a pointer a too */
    EB_EXPR_ASSIGN,     /* a = b */
    EB_EXPR_UPDATE,     /* a op= b, computed in type `common` */
    EB_EXPR_STEP,       /* ++a --a a++ a--: op PLUSPLUS or MINUSMINUS, postfix tells which */
    EB_EXPR_COMMA,      /* a, b */
    EB_EXPR_COND,       /* a ? b : c; b NULL is GNU's a ?: c */
    EB_EXPR_CALL,       /* a(args) */
    EB_EXPR_BUILTIN,    /* a builtin function, number `builtin`, with args or a type */
    EB_EXPR_STATEMENTS, /* ({ ... }): body; its value is that of the last expression */
    EB_EXPR_COMPOUND,   /* (type){...}: decl is the unnamed variable; an lvalue */
    EB_EXPR_LABEL,      /* &&label */
} eb_expr_kind;

struct eb_expr {
    uint8_t kind;
    uint8_t op; /* eb_tok_kind */
    bool postfix, is_lvalue;
    bool parens;  /* it stands in parentheses */
    bool written; /* CAST: by the program, not by a rule of C */
    uint16_t builtin;
    eb_loc lo, hi;
    eb_type *type;
    eb_expr *a, *b, *c;
    union {
        uint64_t value;
        eb_str text;
        eb_decl *decl;
        eb_stmt *body;
        eb_type *common;
        struct {
            const uint32_t *at;
            uint32_t length;
        } path; /* member numbers, outermost first */
        struct {
            eb_expr **at;
            uint32_t count;
            eb_type *type;
        } args;
    } of;
};

typedef enum eb_stmt_kind {
    EB_STMT_EMPTY,
    EB_STMT_EXPR,
    EB_STMT_DECL,
    EB_STMT_BLOCK, /* list */
    EB_STMT_IF,
    EB_STMT_WHILE,
    EB_STMT_DO,
    EB_STMT_FOR,
    EB_STMT_SWITCH,
    EB_STMT_CASE, /* value to last; body is the statement behind it */
    EB_STMT_DEFAULT,
    EB_STMT_LABEL,
    EB_STMT_GOTO,
    EB_STMT_BREAK,
    EB_STMT_CONTINUE,
    EB_STMT_RETURN,
    EB_STMT_ASM
} eb_stmt_kind;

typedef struct eb_label {
    uint32_t name;
    eb_loc defined, used;         /* 0: not (yet) */
    eb_decl *function;            /* whose it is */
    uint32_t defined_at, used_at; /* the numbers of the tokens; used: the last */
    struct ways *ways;            /* flow.c: what came here by goto */
    bool unused;                  /* attribute unused */
    eb_str tag;
    uint32_t block, depth; /* lowering: where it is, and in how many blocks */
} eb_label;

typedef struct eb_asm_operand {
    uint32_t name; /* 1 + its number: [name] */
    eb_str constraint;
    eb_expr *expr;
    int8_t fixed; /* 1 + the register that its variable has chosen, or 0 */
} eb_asm_operand;

typedef struct eb_asm {
    eb_str text;
    bool is_volatile, is_goto;
    EB_VEC(eb_asm_operand) outputs;
    EB_VEC(eb_asm_operand) inputs;
    EB_VEC(eb_str) clobbers;
    EB_VEC(eb_label *) labels;
} eb_asm;

struct eb_stmt {
    uint8_t kind;
    bool falls_through; /* empty, with the attribute that says so */
    eb_loc lo, hi;
    uint32_t at;           /* the number of its first token */
    eb_stmt *next;         /* in its block */
    eb_expr *expr;         /* condition, value, expression; return: may be NULL */
    eb_stmt *body, *other; /* other: else, which stands at `otherwise` */
    eb_loc otherwise;
    eb_stmt *init;         /* for */
    uint32_t condition_at; /* for: the number of the condition's first token */
    eb_expr *step;         /* for */
    eb_decl *decl;
    eb_label *label;
    eb_asm *assembly;
    int64_t value, last; /* case */
    uint32_t unroll;     /* loop: of #pragma unroll: a count, or UINT32_MAX for all; 1 for not */
    eb_stmt *cases;      /* switch: its first case; case: the next one */
    uint32_t block;      /* lowering: where a case is */
};

/* ---- declarations ---- */

typedef enum eb_decl_kind {
    EB_DECL_VARIABLE,
    EB_DECL_FUNCTION,
    EB_DECL_PARAM,
    EB_DECL_TYPEDEF,
    EB_DECL_ENUMERATOR
} eb_decl_kind;

typedef enum eb_storage {
    EB_STORAGE_NONE,
    EB_STORAGE_EXTERN,
    EB_STORAGE_STATIC,
    EB_STORAGE_AUTO,
    EB_STORAGE_REGISTER,
    EB_STORAGE_TYPEDEF
} eb_storage;

/* What __attribute__ says of a declaration. */
typedef struct eb_attrs {
    bool used, weak, hidden, always_inline, gnu_inline, noinline, naked, packed, preserve, unused,
        noreturn;
    bool transparent, overloadable, no_unroll, must_use, deprecated, fallthrough;
    uint32_t align; /* bytes, or 0 */
    bool has_alignas;
    eb_loc alignas_lo;
    eb_str section;
    uint32_t alias;     /* 1 + the name of what this is another name of, or 0 */
    uint32_t cleanup;   /* 1 + the name of a function, or 0 */
    uint32_t mode;      /* bytes of attribute mode, or 0 */
    eb_str deprecation; /* what attribute deprecated says, or empty */
    eb_str error;       /* attribute error or warning: what to say when it is called */
    eb_tags decl_tags, type_tags;
} eb_attrs;

/* One value of an initialiser: `expr` at `offset` bytes of the object, for bit-fields the bits. */
typedef struct eb_init {
    uint64_t offset;
    eb_type *type;
    eb_expr *expr;
    uint16_t bit, bits; /* of a bit-field: its first bit from `offset`, and its width, or 0 */
} eb_init;

struct eb_decl {
    uint8_t kind, storage;
    bool is_global, is_inline, is_defined, has_init;
    bool is_used;         /* where it is evaluated */
    bool is_referenced;   /* anywhere */
    bool is_folding;      /* its value is being asked for */
    bool is_local;        /* declared in a block, also if it is static */
    bool nests;           /* a function: with another one in it, as was told */
    uint32_t name;        /* its number; UINT32_MAX: unnamed */
    uint32_t at;          /* the number of the token that its name is */
    uint32_t reads;       /* uses but for those that only set it */
    uint32_t last_change; /* the same, with ++, += and their like */
    uint32_t last_set;    /* the number of a token behind the last assignment to it or & of it */
    eb_loc lo, hi;        /* of its name */
    eb_type *type;
    eb_attrs attrs;
    int64_t value;         /* enumerator: it has nothing of what follows, since there are so many */
    EB_VEC(eb_init) inits; /* what is not named is 0 */
    eb_decl **params;      /* function definition */
    uint32_t param_count;
    eb_stmt *body;
    EB_VEC(eb_decl *) locals;
    EB_VEC(eb_decl *) typedefs; /* local ones */
    EB_VEC(eb_label *) labels;
    eb_str assembly; /* asm("name") */
    eb_decl *alias;  /* attribute alias: the definition that this is another name of, or NULL */
    eb_decl *next;   /* in its declaration */
    uint32_t number; /* lowering: a global's symbol, 1 + a local variable's slot; 0: none yet */
};

#endif
