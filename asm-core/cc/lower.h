/* lower.h - the typed tree to the intermediate representation (ir/ir.h).
 *
 * Every variable is a stack slot here, every access a load or store: the passes make values of
 * them. An integer of C narrower than 32 bits is an i32 that is already extended by its sign, or
 * with zeroes; records are known by the place where they are.
 *
 * Files: lower.c the unit, functions and symbols, lower_data.c initial values of globals,
 * lower_place.c lvalues, bit-fields and CO-RE, lower_expr.c values and conditions, lower_wide.c
 * values of 128 bits, lower_builtin.c builtin functions, lower_stmt.c statements, lower_asm.c
 * inline assembly. */
#ifndef EB_LOWER_H
#define EB_LOWER_H

#include "ir.h"
#include "parse.h"

/* An access chain that CO-RE relocates: from a type by members and elements on. */
typedef struct eb_chain {
    eb_type *root;
    uint32_t indices[EB_PATH_MOST * 2];
    uint32_t count;
    int64_t offset; /* bytes, as the local types have it */
} eb_chain;

/* Where an lvalue is: base + what a CO-RE record says + offset. */
typedef struct eb_lvalue {
    eb_value base;
    eb_chain chain; /* count 0: nothing is relocated */
    int64_t offset;
    eb_type *type;
    uint32_t align; /* of the base */
    bool is_volatile;
    const eb_member *field; /* a bit-field, in the `unit` bytes there from bit `bit` on (counted as
                               memory is); unit 0: it fits in no word, `bit` counts from the byte */
    uint32_t unit, bit;
} eb_lvalue;

typedef struct eb_cleanup {
    eb_decl *decl;
    uint32_t depth; /* of the block that it belongs to */
} eb_cleanup;

typedef struct eb_lower {
    eb_unit *u;
    ebpf_ctx *ctx;
    eb_ir_unit *ir;
    eb_fn *fn;
    const eb_decl *function;
    uint32_t block;    /* where instructions go */
    unsigned preserve; /* inside __builtin_preserve_access_index */
    bool bare;         /* no BTF: the attribute preserve_access_index means nothing */
    uint32_t break_to, continue_to;
    uint32_t break_depth, continue_depth, depth; /* of blocks, for cleanups */
    uint32_t data_depth;                         /* of variables that point to variables */
    EB_VEC(eb_decl *) waiting;                   /* whose contents are still to be made */
    EB_VEC(eb_cleanup) cleanups;
    eb_map strings;     /* literals to their symbols */
    eb_value result_at; /* where a record is to be returned, or 0 */
} eb_lower;

/* The unit in the form that passes and gen take; errors are in the context. */
eb_ir_unit *eb_lower_unit(eb_unit *u, const eb_pp_options *options);

/* ---- lower.c ---- */

uint32_t eb_symbol_of(eb_lower *l, eb_decl *decl);           /* of a global, made when new */
uint32_t eb_symbol_of_string(eb_lower *l, const eb_expr *e); /* of a literal */
/* i32, i64 or ptr for a scalar, void for what is none. */
eb_ir_type eb_lower_type(eb_type *type);
/* What is no value of one register: floating point, 128 bits. A diagnostic, then. */
bool eb_refuse_type(eb_lower *l, eb_type *type, eb_loc lo, eb_loc hi);
const eb_member *eb_path_member(const eb_expr *e, uint32_t n);

/* Instructions at the end of the current block. */
eb_value eb_emit(eb_lower *l, eb_ir_op op, eb_ir_type type, eb_value a, eb_value b, eb_loc loc);
eb_value eb_emit_const(eb_lower *l, eb_ir_type type, int64_t imm, eb_loc loc);
eb_value eb_emit_slot(eb_lower *l, uint32_t slot, eb_loc loc);
eb_value eb_emit_symbol(eb_lower *l, uint32_t symbol, int64_t offset, eb_loc loc);
eb_value eb_emit_sum(eb_lower *l, eb_value base, int64_t offset, eb_loc loc);
eb_value eb_emit_cmp(eb_lower *l, eb_cond cond, eb_value a, eb_value b, eb_loc loc);
void eb_emit_jump(eb_lower *l, uint32_t to, eb_loc loc);
void eb_emit_branch(eb_lower *l, eb_cond cond, eb_value a, eb_value b, uint32_t yes, uint32_t no,
                    eb_loc loc);
/* Go on in another block; in a new one that nothing leads to, behind a jump. */
void eb_emit_in(eb_lower *l, uint32_t block);
void eb_emit_dead(eb_lower *l);
/* A value that is one of two, at the start of the block whose two predecessors give them. */
eb_value eb_emit_phi(eb_lower *l, eb_ir_type type, eb_value first, eb_value second, eb_loc loc);
uint32_t eb_new_slot(eb_lower *l, eb_type *type, eb_str name, eb_loc loc);

/* ---- lower_data.c ---- */

/* The initial value of a global variable into its symbol. */
void eb_lower_data(eb_lower *l, eb_decl *decl, uint32_t symbol);

bool eb_lower_bits(eb_lower *l, const eb_expr *e, int64_t *value);

/* ---- lower_place.c ---- */

eb_lvalue eb_lower_place(eb_lower *l, const eb_expr *e);
eb_lvalue eb_place_at(eb_value base, eb_type *type); /* what a pointer points to */
eb_value eb_place_address(eb_lower *l, const eb_lvalue *p, eb_loc loc);
eb_value eb_place_load(eb_lower *l, const eb_lvalue *p, eb_loc loc);
/* Stores a scalar of the place's type. */
void eb_place_store(eb_lower *l, const eb_lvalue *p, eb_value value, eb_loc loc);
void eb_place_copy(eb_lower *l, const eb_lvalue *to, const eb_lvalue *from, eb_loc loc);
/* A pointer of one address space as one of another (NULL: the general one). */
eb_value eb_emit_space(eb_lower *l, eb_value v, eb_type *from, eb_type *to, eb_loc loc);
/* The record of CO-RE `kind` about the chain of a place. */
eb_value eb_emit_core(eb_lower *l, unsigned kind, eb_ir_type type, eb_type *of, eb_str access,
                      int64_t value, eb_loc loc);
eb_str eb_chain_text(eb_lower *l, const eb_chain *chain);

/* ---- lower_expr.c ---- */

/* The value of a scalar expression; 0 for void. */
eb_value eb_lower_value(eb_lower *l, const eb_expr *e);
void eb_lower_effects(eb_lower *l, const eb_expr *e); /* evaluated, its value dropped */
/* Where a record value is. */
eb_lvalue eb_lower_record(eb_lower *l, const eb_expr *e);
void eb_lower_condition(eb_lower *l, const eb_expr *e, uint32_t yes, uint32_t no);
eb_value eb_lower_cast(eb_lower *l, eb_value value, eb_type *from, eb_type *to, eb_loc loc);
/* A number, also of const variables' initial values. */
eb_constant eb_lower_constant(const eb_expr *e);
/* A call of `decl` with one argument, for cleanups. */
void eb_lower_cleanup(eb_lower *l, eb_decl *variable);

/* ---- lower_wide.c ---- */

/* A value of 128 bits: two i64. */
typedef struct eb_wide {
    eb_value low, high;
} eb_wide;

/* The value of an expression of such a type. */
eb_wide eb_lower_wide(eb_lower *l, const eb_expr *e);
eb_wide eb_wide_load(eb_lower *l, const eb_lvalue *place, eb_loc loc);
void eb_wide_store(eb_lower *l, const eb_lvalue *place, eb_wide value, eb_loc loc);
/* As a scalar of up to 64 bits. */
eb_value eb_wide_narrowed(eb_lower *l, eb_wide value, eb_type *to, eb_loc loc);
/* Goes on where a comparison of two such values leads. */
void eb_wide_compare(eb_lower *l, const eb_expr *e, uint32_t yes, uint32_t no);

/* ---- lower_builtin.c ---- */

eb_value eb_lower_builtin(eb_lower *l, const eb_expr *e);

/* ---- lower_stmt.c, lower_asm.c ---- */

void eb_lower_stmt(eb_lower *l, const eb_stmt *s);
void eb_lower_block(eb_lower *l, const eb_stmt *s);
/* Initial values of a local variable or compound literal in its slot. */
void eb_lower_init(eb_lower *l, const eb_decl *decl, const eb_lvalue *at);
void eb_lower_asm(eb_lower *l, const eb_stmt *s);
/* A call of llvm.bpf.load.byte, .half or .word, by which clang reads packets the classic way; 0 if
 * the function is none of these. */
eb_value eb_lower_packet_load(eb_lower *l, const eb_decl *decl, const eb_value *args,
                              uint32_t count, const eb_expr *e);
uint32_t eb_label_block(eb_lower *l, eb_label *label);

#endif
