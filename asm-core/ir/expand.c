/* expand.c - memcpy, memmove and memset become loads and stores: there is nobody to call.
 *
 * Pieces are as wide as the alignment of both sides allows, in rising order, each loaded and stored
 * before the next, as clang does; memmove loads all before it stores any, and takes the way through
 * a slot where they would not fit into registers. Past MOST_PIECES there is a loop over the bulk,
 * its steps known to the verifier; clang refuses there. */
#include "address.h"
#include "cfg.h"
#include "pass.h"

/* clang's limit is 128 stores; a loop costs the verifier as much as what it replaces. */
enum { MOST_PIECES = 128, LOOP_PIECES = 8, MOVE_PIECES = 6, WORD = 8 };

typedef struct expander {
    eb_fn *fn;
    eb_value place; /* new instructions stand before it */
    eb_loc loc;
    uint8_t flags;
    unsigned width;
    eb_value to, from; /* addresses */
    eb_value pattern;  /* of memset */
} expander;

static eb_value put(expander *x, eb_ir_op op, eb_ir_type type, eb_value a, eb_value b) {
    eb_value v = eb_ir_new(x->fn, op, type, a, b, x->loc);
    eb_ir_before(x->fn, x->place, v);
    return v;
}

static eb_value put_const(expander *x, eb_ir_type type, int64_t imm) {
    eb_value v = put(x, EB_IR_CONST, type, 0, 0);
    eb_ir_at(x->fn, v)->imm = eb_ir_wrap(type, imm);
    return v;
}

static void access(expander *x, eb_value v, unsigned size, int64_t at) {
    eb_ir *ir = eb_ir_at(x->fn, v);
    ir->size = (uint8_t)size;
    ir->imm = at;
    ir->flags = x->flags;
}

static eb_value load(expander *x, unsigned size, int64_t at) {
    eb_value v = put(x, EB_IR_LOAD, size == WORD ? EB_IR_I64 : EB_IR_I32, x->from, 0);
    access(x, v, size, at);
    return v;
}

static void store(expander *x, eb_value value, unsigned size, int64_t at) {
    access(x, put(x, EB_IR_STORE, EB_IR_VOID, x->to, value), size, at);
}

static unsigned piece_at(const expander *x, int64_t at, int64_t size) {
    unsigned piece = x->width;
    while (piece > size - at || at % piece)
        piece /= 2;
    return piece;
}

static int64_t count_pieces(const expander *x, int64_t size) {
    int64_t count = size / x->width;
    for (int64_t left = size % x->width; left; left &= left - 1)
        count++;
    return count;
}

/* Bytes from `at` up to `size`. */
static void copy_pieces(expander *x, int64_t at, int64_t size) {
    while (at < size) {
        unsigned piece = piece_at(x, at, size);
        store(x, x->pattern ? x->pattern : load(x, piece, at), piece, at);
        at += piece;
    }
}

static void move_pieces(expander *x, int64_t size) {
    eb_value values[MOVE_PIECES + 3];
    unsigned count = 0;
    for (int64_t at = 0; at < size; at += piece_at(x, at, size))
        values[count++] = load(x, piece_at(x, at, size), at);
    count = 0;
    for (int64_t at = 0; at < size; at += piece_at(x, at, size))
        store(x, values[count++], piece_at(x, at, size), at);
}

/* ---- loops ---- */

static void end_block(expander *x, uint32_t block, eb_ir_op op, eb_value a, eb_value b) {
    eb_ir_append(x->fn, block, eb_ir_new(x->fn, op, EB_IR_VOID, a, b, x->loc));
}

/* The first `bulk` bytes, LOOP_PIECES pieces a round. What is left follows by itself. */
static void copy_loop(expander *x, int64_t bulk) {
    eb_fn *fn = x->fn;
    int64_t step = (int64_t)x->width * LOOP_PIECES;
    eb_value zero = put_const(x, EB_IR_I64, 0), by = put_const(x, EB_IR_I64, step);
    eb_value end = put_const(x, EB_IR_I64, bulk), to = x->to, from = x->from;
    uint32_t before = eb_ir_at(fn, x->place)->block, rest = eb_block_split(fn, x->place),
             loop = eb_block_new(fn);
    eb_value next = eb_ir_new(fn, EB_IR_ADD, EB_IR_I64, 0, by, x->loc);
    const eb_value both[] = {zero, next};
    uint32_t list = eb_list_new(fn, both, 2);
    eb_value at = eb_ir_new(fn, EB_IR_PHI, EB_IR_I64, 0, 0, x->loc), after = x->place;
    eb_ir_at(fn, at)->list = list;
    eb_ir_at(fn, next)->a = at;
    eb_ir_append(fn, loop, at);
    eb_ir_append(fn, loop, next);
    x->place = next;
    x->to = put(x, EB_IR_ADD, EB_IR_PTR, to, at);
    x->from = from ? put(x, EB_IR_ADD, EB_IR_PTR, from, at) : 0;
    copy_pieces(x, 0, step);
    end_block(x, before, EB_IR_JUMP, 0, 0);
    end_block(x, loop, EB_IR_BRANCH, next, end);
    eb_ir_at(fn, fn->blocks.at[loop].last)->cond = EB_COND_NE;
    fn->blocks.at[loop].unroll = 1; /* not */
    const uint32_t edges[][2] = {{before, loop}, {loop, loop}, {loop, rest}};
    for (unsigned n = 0; n < 3; n++) {
        *EB_PUSH(&fn->unit->ctx->arena, &fn->blocks.at[edges[n][0]].succs) = edges[n][1];
        *EB_PUSH(&fn->unit->ctx->arena, &fn->blocks.at[edges[n][1]].preds) = edges[n][0];
    }
    x->place = after;
    x->to = to;
    x->from = from;
}

static void copy(expander *x, int64_t size) {
    int64_t step = (int64_t)x->width * LOOP_PIECES, at = 0;
    if (count_pieces(x, size) > MOST_PIECES) {
        at = size / step * step;
        copy_loop(x, at);
    }
    copy_pieces(x, at, size);
}

/* ---- one instruction ---- */

static bool is_apart(const eb_fn *fn, eb_value a, eb_value b, int64_t size) {
    eb_address x = eb_address_of(fn, a), y = eb_address_of(fn, b);
    unsigned p = eb_ir_at(fn, x.base)->op, q = eb_ir_at(fn, y.base)->op;
    bool named = (p == EB_IR_SLOT || p == EB_IR_SYMBOL) && (q == EB_IR_SLOT || q == EB_IR_SYMBOL);
    if (size > INT32_MAX)
        return false;
    if (eb_address_shared(fn, x, y) && x.offset == (int32_t)x.offset &&
        y.offset == (int32_t)y.offset)
        return x.offset >= y.offset + size || y.offset >= x.offset + size;
    return named && !eb_address_shared(fn, x, y);
}

static void move(expander *x, int64_t size) {
    if (is_apart(x->fn, x->to, x->from, size)) {
        copy(x, size);
    } else if (count_pieces(x, size) <= MOVE_PIECES) {
        move_pieces(x, size);
    } else {
        eb_value to = x->to;
        uint32_t slot = eb_slot_new(x->fn, (uint64_t)size, WORD, EB_STR("memmove"), x->loc);
        eb_value middle = put(x, EB_IR_SLOT, EB_IR_PTR, 0, 0);
        eb_ir_at(x->fn, middle)->extra = slot;
        x->to = middle;
        copy(x, size);
        x->from = middle;
        x->to = to;
        copy(x, size);
    }
}

/* The byte in all bytes of a register. */
static eb_value pattern(expander *x, eb_value byte) {
    const eb_ir *ir = eb_ir_at(x->fn, byte);
    const int64_t ones = 0x0101010101010101;
    if (ir->op == EB_IR_CONST)
        return put_const(x, x->width == WORD ? EB_IR_I64 : EB_IR_I32,
                         (int64_t)((uint64_t)ones * (uint8_t)ir->imm));
    if (ir->type == EB_IR_I32)
        byte = put(x, EB_IR_ZEXT, EB_IR_I64, byte, 0);
    if (x->width == 1)
        return byte;
    byte = put(x, EB_IR_AND, EB_IR_I64, byte, put_const(x, EB_IR_I64, 0xff));
    return put(x, EB_IR_MUL, EB_IR_I64, byte, put_const(x, EB_IR_I64, ones));
}

/* The alignment that both sides have. */
static unsigned width_of(eb_fn *fn, const eb_ir *ir) {
    unsigned known = ir->size, to, from;
    while (known & (known - 1))
        known &= known - 1;
    known = known ? known : 1;
    to = eb_address_align(fn, ir->a, known);
    from = ir->op == EB_IR_SETMEM ? to : eb_address_align(fn, ir->b, known);
    return to < from ? to : from;
}

static bool find_size(const eb_fn *fn, const eb_ir *ir, int64_t *size) {
    *size = ir->imm;
    if (!ir->c)
        return true;
    eb_value c = eb_ir_at(fn, ir->c)->op == EB_IR_ZEXT ? eb_ir_at(fn, ir->c)->a : ir->c;
    bool wide = eb_ir_at(fn, c)->type != EB_IR_I32;
    *size = eb_ir_at(fn, c)->imm;
    if (!wide)
        *size = (uint32_t)*size;
    return eb_ir_is_const(fn, c) && *size >= 0;
}

static void expand(eb_fn *fn, eb_value value) {
    eb_ir ir = *eb_ir_at(fn, value);
    expander x = {.fn = fn, .place = value, .loc = ir.loc, .flags = ir.flags, .to = ir.a};
    int64_t size;
    if (!find_size(fn, &ir, &size)) {
        eb_diag_add(fn->unit->ctx, EB_DIAG_MEMORY_SIZE, ir.loc, ir.loc + (ir.loc != 0));
        size = 0;
    }
    x.width = size ? width_of(fn, &ir) : 1;
    x.from = ir.op == EB_IR_SETMEM ? 0 : ir.b;
    if (ir.op == EB_IR_SETMEM && size)
        x.pattern = pattern(&x, ir.b);
    if (ir.op == EB_IR_MOVEMEM)
        move(&x, size);
    else
        copy(&x, size);
    eb_ir_remove(fn, value);
}

bool eb_pass_expand(eb_fn *fn) {
    bool changed = false;
    for (eb_value v = 1, count = fn->values.len; v < count; v++) {
        const eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block || ir->op < EB_IR_COPYMEM || ir->op > EB_IR_SETMEM)
            continue;
        expand(fn, v);
        changed = true;
    }
    return changed;
}
