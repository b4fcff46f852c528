/* signs.c - narrow values whose sign nobody asks for are not sign-extended, which costs two
 * instructions before v4: characters that are only compared for being the same, above all.
 *
 * A value that was extended from k bytes is enough without its sign when all that use it compare it
 * for equality, with a constant or with another such value of k bytes, or store k bytes of it or
 * fewer. Values that are compared with one another go together or stay. */
#include "cfg.h"
#include "pass.h"

typedef struct signs {
    eb_fn *fn;
    eb_users users;
    uint8_t *width; /* by value: the bytes it was extended from, 0: it stays as it is */
} signs;

static unsigned width_of(const eb_fn *fn, const eb_ir *ir) {
    bool load = ir->op == EB_IR_LOAD && (ir->flags & EB_IR_SIGNED);
    if (!ir->block || (!load && ir->op != EB_IR_SEXT))
        return 0;
    if (ir->op == EB_IR_SEXT && ir->size < 4 && eb_ir_at(fn, ir->a)->type != ir->type)
        return 0;
    return ir->size < 4 || (ir->size == 4 && ir->type == EB_IR_I64) ? ir->size : 0;
}

static bool is_equality(const eb_ir *ir) {
    bool compares = ir->op == EB_IR_CMP || ir->op == EB_IR_BRANCH;
    return compares && (ir->cond == EB_COND_EQ || ir->cond == EB_COND_NE);
}

static bool is_enough(const signs *s, eb_value v, const eb_ir *user) {
    unsigned bits = 8u * s->width[v];
    if (user->op == EB_IR_STORE)
        return user->a != v && user->size <= s->width[v];
    if (!is_equality(user))
        return false;
    eb_value other = user->a == v ? user->b : user->a;
    int64_t half = (int64_t)1 << (bits - 1), imm = eb_ir_at(s->fn, other)->imm;
    if (eb_ir_is_const(s->fn, other))
        return imm >= -half && imm < half;
    return s->width[other] == s->width[v];
}

static bool stays(const signs *s, eb_value v) {
    for (uint32_t u = s->users.start[v]; u < s->users.start[v + 1]; u++)
        if (!is_enough(s, v, eb_ir_at(s->fn, s->users.users[u])))
            return true;
    return false;
}

/* A constant that the value is compared with, without its sign. */
static void cut_constants(signs *s, eb_value user, unsigned width) {
    eb_fn *fn = s->fn;
    for (unsigned n = 0; n < 2; n++) {
        eb_ir ir = *eb_ir_at(fn, user);
        eb_value was = n ? ir.b : ir.a;
        if (!eb_ir_is_const(fn, was) || eb_ir_at(fn, was)->imm >= 0)
            continue;
        eb_ir_type type = (eb_ir_type)eb_ir_at(fn, was)->type;
        int64_t imm =
            (int64_t)((uint64_t)eb_ir_at(fn, was)->imm & (UINT64_MAX >> (64 - 8 * width)));
        eb_value now = eb_ir_const(fn, type, imm, ir.loc);
        eb_ir_before(fn, user, now);
        *(n ? &eb_ir_at(fn, user)->b : &eb_ir_at(fn, user)->a) = now;
    }
}

static void drop_sign(signs *s, eb_value v) {
    eb_fn *fn = s->fn;
    eb_ir *ir = eb_ir_at(fn, v);
    if (ir->op == EB_IR_LOAD) {
        ir->flags &= (uint8_t)~EB_IR_SIGNED;
    } else if (ir->size == 4) {
        ir->op = EB_IR_ZEXT;
        ir->size = 0;
    } else {
        eb_value mask =
            eb_ir_const(fn, (eb_ir_type)ir->type, ir->size == 1 ? 0xff : 0xffff, ir->loc);
        eb_ir_before(fn, v, mask);
        ir = eb_ir_at(fn, v);
        ir->op = EB_IR_AND;
        ir->size = 0;
        ir->b = mask;
    }
    for (uint32_t u = s->users.start[v]; u < s->users.start[v + 1]; u++)
        if (is_equality(eb_ir_at(fn, s->users.users[u])))
            cut_constants(s, s->users.users[u], s->width[v]);
}

bool eb_pass_signs(eb_fn *fn) {
    signs s = {.fn = fn};
    uint32_t values = fn->values.len;
    bool any = false;
    s.width = eb_alloc_array(eb_scratch(fn), values, sizeof *s.width);
    for (eb_value v = 1; v < values; v++)
        any |= (s.width[v] = (uint8_t)width_of(fn, eb_ir_at(fn, v))) != 0;
    if (!any)
        return false;
    s.users = eb_uses_build(fn);
    for (bool changed = true; changed;) {
        changed = false;
        for (eb_value v = 1; v < values; v++)
            if (s.width[v] && stays(&s, v)) {
                s.width[v] = 0;
                changed = true;
            }
    }
    any = false;
    for (eb_value v = 1; v < values; v++)
        if (s.width[v] && s.users.start[v] < s.users.start[v + 1]) {
            drop_sign(&s, v);
            any = true;
        }
    return any;
}
