/* mem.c - see mem.h. An address is followed through sums to the slot or symbol that it starts
 * from; two elements of an array are told apart where one index is the other plus a constant. */
#include "mem.h"

#include "address.h"
#include "cfg.h"

enum { CHAIN_MOST = 8, SCALE_MOST = 4096 };

/* ---- addresses ---- */

const eb_ir *eb_mem_root_of(const eb_fn *fn, eb_value address) {
    const eb_ir *ir = eb_ir_at(fn, address);
    for (unsigned n = 0; n < CHAIN_MOST; n++) {
        ir = eb_ir_at(fn, eb_address_of(fn, address).base);
        if (ir->op != EB_IR_ADD || ir->type != EB_IR_PTR)
            return ir;
        bool first = eb_ir_at(fn, ir->a)->type == EB_IR_PTR;
        if (first == (eb_ir_at(fn, ir->b)->type == EB_IR_PTR))
            return ir;
        address = first ? ir->a : ir->b;
    }
    return ir;
}

static eb_mem_root kind_of(const eb_fn *fn, const eb_ir *root) {
    switch (root->op) {
    case EB_IR_SLOT:
        return EB_MEM_SLOT;
    case EB_IR_SYMBOL:
        return EB_MEM_SYMBOL;
    case EB_IR_HELPER: /* none gives the stack or a variable back */
        return EB_MEM_OUTSIDE;
    case EB_IR_PARAM:
        return fn->entry ? EB_MEM_OUTSIDE : EB_MEM_POINTER;
    default:
        return EB_MEM_POINTER;
    }
}

eb_mem eb_mem_at(const eb_fn *fn, eb_value address, int64_t imm, int64_t size) {
    const eb_ir *root = eb_mem_root_of(fn, address);
    eb_address at = eb_address_of(fn, address);
    eb_mem p = {.root = (uint8_t)kind_of(fn, root), .size = size};
    p.number = eb_mem_is_named(&p) ? root->extra : 0;
    if (eb_ir_at(fn, at.base) != root || !eb_mem_is_named(&p))
        p.base = at.base;
    bool wraps = __builtin_add_overflow(at.offset, imm, &p.at);
    if (wraps || p.at < INT32_MIN || size < 0 || p.at > INT32_MAX || size > INT32_MAX) {
        p.base = address;
        p.at = 0;
    }
    return p;
}

/* ---- instructions ---- */

static bool is_memory(const eb_ir *ir) {
    return ir->op == EB_IR_COPYMEM || ir->op == EB_IR_MOVEMEM || ir->op == EB_IR_SETMEM;
}

/* What an instruction may reach that names no memory. */
static eb_mem world_of(const eb_ir *ir) {
    bool helper = ir->op == EB_IR_HELPER;
    return (eb_mem){.root = EB_MEM_WORLD, .helper = helper, .number = helper ? ir->list : 0};
}

bool eb_mem_written(const eb_fn *fn, const eb_ir *ir, eb_mem *p) {
    *p = world_of(ir);
    if (ir->op == EB_IR_STORE || ir->op == EB_IR_ATOMIC)
        *p = eb_mem_at(fn, ir->a, ir->imm, ir->size);
    else if (is_memory(ir) && !ir->c)
        *p = eb_mem_at(fn, ir->a, 0, ir->imm);
    return eb_ir_rows[ir->op].effect == EB_EFFECT_WRITE || ir->op == EB_IR_GOTO;
}

bool eb_mem_read(const eb_fn *fn, const eb_ir *ir, eb_mem *p) {
    *p = world_of(ir);
    if (ir->op == EB_IR_STORE || ir->op == EB_IR_SETMEM)
        return false;
    if (ir->op == EB_IR_LOAD || ir->op == EB_IR_ATOMIC)
        *p = eb_mem_at(fn, ir->a, ir->imm, ir->size);
    else if (is_memory(ir) && !ir->c)
        *p = eb_mem_at(fn, ir->b, 0, ir->imm);
    return eb_ir_rows[ir->op].effect != EB_EFFECT_PURE && ir->op != EB_IR_JUMP &&
           ir->op != EB_IR_BRANCH && ir->op != EB_IR_RETURN && ir->op != EB_IR_UNREACHABLE;
}

/* ---- escapes ---- */

/* Whether the operand is an address in a slot that is only accessed, at a known place. */
static bool is_access(const eb_fn *fn, const eb_ir *ir, eb_value value, const eb_value *operand) {
    int64_t imm = is_memory(ir) ? 0 : ir->imm, size = is_memory(ir) ? ir->imm : ir->size;
    switch (ir->op) {
    case EB_IR_ADD:
    case EB_IR_SUB:
    case EB_IR_COPY:
        return eb_mem_root_of(fn, value)->op == EB_IR_SLOT;
    case EB_IR_STORE:
    case EB_IR_ATOMIC:
        if (operand != &ir->a)
            return false;
        break;
    case EB_IR_LOAD:
        break;
    case EB_IR_COPYMEM:
    case EB_IR_MOVEMEM:
        if (ir->c)
            return false;
        break;
    case EB_IR_SETMEM:
        if (ir->c || operand != &ir->a)
            return false;
        break;
    default:
        return false;
    }
    eb_mem p = eb_mem_at(fn, *operand, imm, size);
    return p.root == EB_MEM_SLOT &&
           (p.base || (p.at >= 0 && (uint64_t)(p.at + p.size) <= fn->slots.at[p.number].size));
}

uint8_t *eb_mem_escapes(eb_fn *fn) {
    uint8_t *escapes = eb_alloc_array(eb_scratch(fn), fn->slots.len + 1, sizeof *escapes);
    for (eb_value v = 1; v < fn->values.len; v++) {
        const eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block)
            continue;
        for (eb_uses uses = eb_uses_of(fn, v); eb_uses_next(&uses);) {
            const eb_ir *root = eb_mem_root_of(fn, *uses.at);
            if (root->op != EB_IR_SLOT || is_access(fn, ir, v, uses.at))
                continue;
            uint8_t how = ir->op == EB_IR_HELPER ? EB_MEM_GIVEN : EB_MEM_ESCAPES;
            if (escapes[root->extra] < how)
                escapes[root->extra] = how;
        }
    }
    return escapes;
}

/* ---- elements ---- */

/* Start + constant + scale * (index + number), the index of 32 bits and extended. */
typedef struct element {
    eb_value index;
    uint32_t number;
    int64_t offset, scale; /* scale 0: it is not so */
} element;

static element element_of(const eb_fn *fn, eb_value base) {
    const eb_ir *sum = eb_ir_at(fn, base);
    element none = {0}, e = {0};
    if (sum->op != EB_IR_ADD || sum->type != EB_IR_PTR)
        return none;
    bool first = eb_ir_at(fn, sum->a)->type == EB_IR_PTR;
    eb_address start = eb_address_of(fn, first ? sum->a : sum->b);
    const eb_ir *scaled = eb_ir_at(fn, first ? sum->b : sum->a);
    unsigned from = eb_ir_at(fn, start.base)->op;
    if ((from != EB_IR_SLOT && from != EB_IR_SYMBOL) || !eb_ir_is_const(fn, scaled->b))
        return none;
    int64_t by = eb_ir_at(fn, scaled->b)->imm;
    if (scaled->op == EB_IR_SHL && by >= 0 && by < 12)
        e.scale = (int64_t)1 << by;
    else if (scaled->op == EB_IR_MUL && by > 0 && by < SCALE_MOST)
        e.scale = by;
    const eb_ir *wide = eb_ir_at(fn, scaled->a);
    bool extends = wide->op == EB_IR_ZEXT || (wide->op == EB_IR_SEXT && wide->size == 4);
    if (!e.scale || !extends || eb_ir_at(fn, wide->a)->type != EB_IR_I32)
        return none;
    const eb_ir *narrow = eb_ir_at(fn, wide->a);
    bool moved = narrow->op == EB_IR_ADD && eb_ir_is_const(fn, narrow->b);
    e.offset = start.offset;
    e.index = moved ? narrow->a : wide->a;
    e.number = moved ? (uint32_t)eb_ir_at(fn, narrow->b)->imm : 0;
    return e;
}

static bool is_inside(const eb_mem *p, int64_t scale) {
    return p->at >= 0 && p->at + p->size <= scale;
}

/* Other elements of one array: indices that differ in 32 bits differ when they are extended, too,
 * even if one is known to be positive and the other is not. */
static bool is_other_element(const eb_fn *fn, const eb_mem *p, const eb_mem *q) {
    if (!p->base || !q->base)
        return false;
    element x = element_of(fn, p->base), y = element_of(fn, q->base);
    return x.scale && x.scale == y.scale && x.index == y.index && x.offset == y.offset &&
           x.number != y.number && is_inside(p, x.scale) && is_inside(q, x.scale);
}

/* Whether an argument of the helper points into the slot. */
static bool is_given(const eb_fn *fn, const eb_mem *helper, uint32_t slot) {
    const eb_list *list = &fn->lists.at[helper->number];
    for (uint32_t n = 0; helper->number && n < list->values.len; n++) {
        const eb_ir *root = eb_mem_root_of(fn, list->values.at[n]);
        if (root->op == EB_IR_SLOT && root->extra == slot)
            return true;
    }
    return false;
}

/* Whether what names no memory may reach a slot: nobody has kept the address of one that is only
 * given to helpers. */
static bool reaches(const eb_fn *fn, const uint8_t *escapes, const eb_mem *p, uint32_t slot) {
    if (escapes[slot] != EB_MEM_GIVEN)
        return escapes[slot] != EB_MEM_STAYS;
    return p->root == EB_MEM_WORLD && (!p->helper || is_given(fn, p, slot));
}

bool eb_mem_touches(const eb_fn *fn, const uint8_t *escapes, const eb_mem *p, const eb_mem *q) {
    if (p->root == EB_MEM_OUTSIDE)
        return false;
    if (!eb_mem_is_named(p)) {
        if (q->root == EB_MEM_SLOT)
            return reaches(fn, escapes, p, q->number);
        return p->root == EB_MEM_WORLD || !fn->unit->symbols.at[q->number].is_private;
    }
    if (p->root != q->root || p->number != q->number)
        return false;
    if (p->base != q->base)
        return !is_other_element(fn, p, q);
    return p->at < q->at + q->size && q->at < p->at + p->size;
}

/* ---- values ---- */

void eb_load_become(eb_fn *fn, eb_value load, eb_value value) {
    eb_ir ir = *eb_ir_at(fn, load);
    eb_ir_type has = (eb_ir_type)eb_ir_at(fn, value)->type;
    eb_ir_type wants = (eb_ir_type)ir.type;
    if (ir.size < 8 && has != EB_IR_I32)
        value = eb_ir_put(fn, load, EB_IR_TRUNC, EB_IR_I32, value, 0);
    if (ir.size < 8 && (ir.flags & EB_IR_SIGNED) && (ir.size < 4 || wants != EB_IR_I32)) {
        value = eb_ir_put(fn, load, EB_IR_SEXT, wants, value, 0);
        eb_ir_at(fn, value)->size = ir.size;
    } else if (ir.size < 8) {
        if (ir.size < 4) {
            eb_value mask = eb_ir_put(fn, load, EB_IR_CONST, EB_IR_I32, 0, 0);
            eb_ir_at(fn, mask)->imm = ir.size == 1 ? 0xff : 0xffff;
            value = eb_ir_put(fn, load, EB_IR_AND, EB_IR_I32, value, mask);
        }
        if (wants != EB_IR_I32)
            value = eb_ir_put(fn, load, EB_IR_ZEXT, EB_IR_I64, value, 0);
    } else if (has != wants) {
        value = eb_ir_put(fn, load, EB_IR_COPY, wants, value, 0);
    }
    eb_ir_become(fn, load, value);
}
