/* lower_atomic.c - __sync and __atomic builtin functions, and C11's. */
#include "lower_builtin.h"

enum { WORD = 8 };

static eb_type *pointed(const eb_call *c) {
    return eb_type_plain(c->args[0]->type)->base;
}

static bool is_scalar_place(const eb_call *c) {
    if (eb_type_is_scalar(pointed(c)))
        return true;
    eb_diag_add(c->l->ctx, EB_DIAG_ATOMIC_SIZE, c->e->lo, c->e->hi,
                eb_type_string(c->l->u, pointed(c)));
    return false;
}

/* The value where argument `n` points, of the type that the operation is on. */
static eb_value value_at(const eb_call *c, uint32_t n) {
    eb_lvalue p = eb_place_at(eb_arg(c, n), pointed(c));
    return eb_place_load(c->l, &p, c->loc);
}

static void put_value_at(const eb_call *c, uint32_t n, eb_value v) {
    eb_lvalue p = eb_place_at(eb_arg(c, n), pointed(c));
    eb_place_store(c->l, &p, v, c->loc);
}

static eb_value atomic(const eb_call *c, eb_atomic what, eb_value at, eb_value b,
                       eb_value expected) {
    eb_lower *l = c->l;
    uint64_t size = eb_type_size(pointed(c));
    eb_ir_type type = eb_lower_type(pointed(c));
    if (size != 4 && size != 8)
        eb_diag_add(l->ctx, EB_DIAG_ATOMIC_SIZE, c->e->lo, c->e->hi,
                    eb_type_string(l->u, pointed(c)));
    eb_value v = eb_emit(l, EB_IR_ATOMIC, type, at, b, c->loc);
    eb_ir *ir = eb_ir_at(l->fn, v);
    ir->cond = (uint8_t)what;
    ir->c = expected;
    ir->size = (uint8_t)size;
    return v;
}

static eb_value pointer(const eb_call *c) {
    return eb_emit_space(c->l, eb_arg(c, 0), pointed(c), NULL, c->loc);
}

/* Fetch and add and the like; `after` wants the new value. */
static eb_value modify(const eb_call *c, eb_atomic what, bool subtract, bool after) {
    static const eb_ir_op ops[] = {EB_IR_ADD, EB_IR_OR, EB_IR_AND, EB_IR_XOR};
    if (!is_scalar_place(c))
        return 0;
    eb_value at = pointer(c), b = eb_arg(c, 1);
    if (subtract)
        b = eb_op(c, EB_IR_NEG, b, 0);
    eb_value old = atomic(c, what, at, b, 0);
    return after ? eb_op(c, ops[what], old, b) : old;
}

static eb_value compare_swap(const eb_call *c, bool truth) {
    eb_value at = pointer(c), expected = eb_arg(c, 1), desired = eb_arg(c, 2);
    eb_value old = atomic(c, EB_ATOMIC_CAS, at, desired, expected);
    return truth ? eb_emit_cmp(c->l, EB_COND_EQ, old, expected, c->loc) : old;
}

/* __atomic_compare_exchange_n(at, &expected, desired, ...): on failure, expected becomes what is
 * there. */
static eb_value compare_exchange(const eb_call *c) {
    eb_lower *l = c->l;
    if (!is_scalar_place(c))
        return eb_number_of(c, EB_IR_I32, 0);
    eb_value at = pointer(c), place = eb_arg(c, 1);
    eb_value desired = c->e->builtin == EB_BUILTIN_ATOMIC_CAS_OF ? value_at(c, 2) : eb_arg(c, 2);
    eb_lvalue p = eb_place_at(place, pointed(c));
    eb_value expected = eb_place_load(l, &p, c->loc);
    eb_value old = atomic(c, EB_ATOMIC_CAS, at, desired, expected);
    uint32_t failed = eb_block_new(l->fn), join = eb_block_new(l->fn);
    eb_value yes = eb_number_of(c, EB_IR_I32, 1);
    eb_emit_branch(l, EB_COND_EQ, old, expected, join, failed, c->loc);
    eb_emit_in(l, failed);
    eb_place_store(l, &p, old, c->loc);
    eb_value no = eb_number_of(c, EB_IR_I32, 0);
    eb_emit_jump(l, join, c->loc);
    eb_emit_in(l, join);
    return eb_emit_phi(l, EB_IR_I32, yes, no, c->loc);
}

static eb_value atomic_load(const eb_call *c) {
    eb_lvalue p = eb_place_at(eb_arg(c, 0), pointed(c));
    p.is_volatile = true;
    return eb_place_load(c->l, &p, c->loc);
}

static eb_value atomic_store(const eb_call *c) {
    eb_value at = eb_arg(c, 0), v = eb_arg(c, 1);
    eb_lvalue p = eb_place_at(at, pointed(c));
    p.is_volatile = true;
    eb_place_store(c->l, &p, v, c->loc);
    return 0;
}

/* __atomic_load(at, &to, order), __atomic_store(at, &from, order), __atomic_exchange(at, &from,
 * &to, order) */
static eb_value by_places(const eb_call *c) {
    if (!is_scalar_place(c))
        return 0;
    if (c->e->builtin == EB_BUILTIN_ATOMIC_LOAD_TO) {
        put_value_at(c, 1, atomic_load(c));
    } else if (c->e->builtin == EB_BUILTIN_ATOMIC_STORE_OF) {
        eb_lvalue p = eb_place_at(eb_arg(c, 0), pointed(c));
        eb_value v = value_at(c, 1);
        p.is_volatile = true;
        eb_place_store(c->l, &p, v, c->loc);
    } else {
        eb_value at = pointer(c);
        put_value_at(c, 2, atomic(c, EB_ATOMIC_SWAP, at, value_at(c, 1), 0));
    }
    return 0;
}

/* A flag that is cleared: a byte, or what __sync_lock_release points to. */
static eb_value release(const eb_call *c) {
    bool byte = c->e->builtin == EB_BUILTIN_ATOMIC_CLEAR;
    eb_type *type = byte ? eb_type_basic(&c->l->u->types, EB_TYPE_CHAR) : pointed(c);
    eb_lvalue p = eb_place_at(eb_arg(c, 0), type);
    p.is_volatile = true;
    eb_place_store(c->l, &p, eb_number_of(c, eb_lower_type(type), 0), c->loc);
    return 0;
}

/* What the instructions are for: 4 and 8 bytes. */
static eb_value lock_free(const eb_call *c) {
    eb_constant size = eb_lower_constant(c->args[0]);
    return eb_number_of(c, EB_IR_I32,
                        size.kind && size.value <= WORD && (size.value & (size.value - 1)) == 0);
}

static eb_value fence(const eb_call *c) {
    eb_lower *l = c->l;
    *EB_PUSH(&l->ctx->arena, &l->ir->asms) =
        (eb_ir_asm){.text = EB_STR(""), .memory = true, .lo = c->e->lo, .hi = c->e->hi};
    eb_value v = eb_emit(l, EB_IR_ASM, EB_IR_VOID, 0, 0, c->loc);
    eb_ir_at(l->fn, v)->extra = l->ir->asms.len - 1;
    eb_ir_at(l->fn, v)->flags = EB_IR_VOLATILE;
    return 0;
}

eb_value eb_lower_atomic_builtin(const eb_call *c) {
    switch (c->e->builtin) { /* one case per row */
    case EB_BUILTIN_SYNC_FETCH_ADD:
    case EB_BUILTIN_ATOMIC_FETCH_ADD:
    case EB_BUILTIN_C11_FETCH_ADD:
        return modify(c, EB_ATOMIC_ADD, false, false);
    case EB_BUILTIN_SYNC_FETCH_SUB:
    case EB_BUILTIN_ATOMIC_FETCH_SUB:
    case EB_BUILTIN_C11_FETCH_SUB:
        return modify(c, EB_ATOMIC_ADD, true, false);
    case EB_BUILTIN_SYNC_FETCH_AND:
    case EB_BUILTIN_ATOMIC_FETCH_AND:
    case EB_BUILTIN_C11_FETCH_AND:
        return modify(c, EB_ATOMIC_AND, false, false);
    case EB_BUILTIN_SYNC_FETCH_OR:
    case EB_BUILTIN_ATOMIC_FETCH_OR:
    case EB_BUILTIN_C11_FETCH_OR:
        return modify(c, EB_ATOMIC_OR, false, false);
    case EB_BUILTIN_SYNC_FETCH_XOR:
    case EB_BUILTIN_ATOMIC_FETCH_XOR:
    case EB_BUILTIN_C11_FETCH_XOR:
        return modify(c, EB_ATOMIC_XOR, false, false);
    case EB_BUILTIN_SYNC_ADD_FETCH:
    case EB_BUILTIN_ATOMIC_ADD_FETCH:
        return modify(c, EB_ATOMIC_ADD, false, true);
    case EB_BUILTIN_SYNC_SUB_FETCH:
    case EB_BUILTIN_ATOMIC_SUB_FETCH:
        return modify(c, EB_ATOMIC_ADD, true, true);
    case EB_BUILTIN_SYNC_AND_FETCH:
    case EB_BUILTIN_ATOMIC_AND_FETCH:
        return modify(c, EB_ATOMIC_AND, false, true);
    case EB_BUILTIN_SYNC_OR_FETCH:
    case EB_BUILTIN_ATOMIC_OR_FETCH:
        return modify(c, EB_ATOMIC_OR, false, true);
    case EB_BUILTIN_SYNC_XOR_FETCH:
    case EB_BUILTIN_ATOMIC_XOR_FETCH:
        return modify(c, EB_ATOMIC_XOR, false, true);
    case EB_BUILTIN_SYNC_SWAP:
    case EB_BUILTIN_ATOMIC_EXCHANGE:
    case EB_BUILTIN_C11_EXCHANGE:
        return modify(c, EB_ATOMIC_SWAP, false, false);
    case EB_BUILTIN_SYNC_CAS:
    case EB_BUILTIN_SYNC_BOOL_CAS:
        return compare_swap(c, c->e->builtin == EB_BUILTIN_SYNC_BOOL_CAS);
    case EB_BUILTIN_ATOMIC_CAS:
    case EB_BUILTIN_ATOMIC_CAS_OF:
    case EB_BUILTIN_C11_CAS:
        return compare_exchange(c);
    case EB_BUILTIN_ATOMIC_LOAD_TO:
    case EB_BUILTIN_ATOMIC_STORE_OF:
    case EB_BUILTIN_ATOMIC_EXCHANGE_OF:
        return by_places(c);
    case EB_BUILTIN_ATOMIC_CLEAR:
    case EB_BUILTIN_SYNC_RELEASE:
        return release(c);
    case EB_BUILTIN_ATOMIC_ALWAYS:
    case EB_BUILTIN_ATOMIC_IS:
    case EB_BUILTIN_C11_IS:
        return lock_free(c);
    case EB_BUILTIN_ATOMIC_LOAD:
    case EB_BUILTIN_C11_LOAD:
        return atomic_load(c);
    case EB_BUILTIN_ATOMIC_STORE:
    case EB_BUILTIN_C11_STORE:
        return atomic_store(c);
    default:
        return fence(c);
    }
}
