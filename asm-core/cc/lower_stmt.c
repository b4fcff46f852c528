/* lower_stmt.c - statements, local variables and what leaving a block does. */
#include "lower.h"

enum { WORD = 8 };

/* ---- cleanups ---- */

/* What attribute cleanup asks for on the way out of all blocks deeper than `depth`; the variables
 * stay, since other ways lead on. */
static void leave(eb_lower *l, uint32_t depth) {
    for (uint32_t n = l->cleanups.len; n && l->cleanups.at[n - 1].depth > depth; n--)
        eb_lower_cleanup(l, l->cleanups.at[n - 1].decl);
}

void eb_lower_block(eb_lower *l, const eb_stmt *s) {
    uint32_t cleanups = l->cleanups.len;
    l->depth++;
    for (const eb_stmt *at = s->body; at; at = at->next)
        eb_lower_stmt(l, at);
    l->depth--;
    leave(l, l->depth);
    l->cleanups.len = cleanups;
}

/* ---- labels ---- */

uint32_t eb_label_block(eb_lower *l, eb_label *label) {
    if (!label->block)
        label->block = eb_block_new(l->fn);
    return label->block;
}

/* How deep in blocks each label is, for jumps to it from deeper ones. */
static void find_labels(const eb_stmt *s, uint32_t depth) {
    for (; s; s = s->next) {
        if (s->kind == EB_STMT_LABEL)
            s->label->depth = depth;
        if (s->kind == EB_STMT_BLOCK) {
            find_labels(s->body, depth + 1);
            continue;
        }
        find_labels(s->body, depth);
        find_labels(s->other, depth);
    }
}

static void go_to(eb_lower *l, const eb_stmt *s) {
    if (l->cleanups.len) {
        find_labels(l->function->body, 0);
        leave(l, s->label->depth);
    }
    eb_emit_jump(l, eb_label_block(l, s->label), s->lo);
    eb_emit_dead(l);
}

/* ---- variables ---- */

/* The constants of an initialiser as bytes, and which bytes they are. */
typedef struct image {
    uint8_t *bytes, *known;
    uint64_t size;
} image;

static bool put_constant(const eb_lower *l, image *to, const eb_init *init) {
    if (init->bits || init->offset >= to->size)
        return false;
    if (init->expr->kind == EB_EXPR_STRING && eb_type_is(init->type, EB_TYPE_ARRAY)) {
        uint64_t size = init->expr->of.text.len;
        if (size > to->size - init->offset)
            size = to->size - init->offset;
        memcpy(to->bytes + init->offset, init->expr->of.text.at, size);
        memset(to->known + init->offset, 1, size);
        return true;
    }
    eb_constant c = eb_constant_of(init->expr);
    if (c.kind != EB_CONSTANT_NUMBER || !eb_type_is_scalar(init->type))
        return false;
    uint64_t size = eb_type_size(init->type), value = eb_wrap(c.value, init->type);
    if (size > WORD || size > to->size - init->offset)
        return false;
    for (uint64_t n = 0; n < size; n++)
        to->bytes[init->offset + n] = (uint8_t)(value >> (l->ir->big ? size - 1 - n : n) * 8);
    memset(to->known + init->offset, 1, size);
    return true;
}

static void set_memory(eb_lower *l, const eb_lvalue *at, uint64_t size, eb_loc loc) {
    eb_value to = eb_place_address(l, at, loc);
    eb_value v = eb_emit(l, EB_IR_SETMEM, EB_IR_VOID, to, eb_emit_const(l, EB_IR_I32, 0, loc), loc);
    eb_ir_at(l->fn, v)->imm = (int64_t)size;
    eb_ir_at(l->fn, v)->size = (uint8_t)(at->align < WORD ? at->align : WORD);
    eb_ir_at(l->fn, v)->flags = at->is_volatile ? EB_IR_VOLATILE : 0;
}

/* Stores of words, as large as the alignment allows, that are not 0 already. */
static void put_image(eb_lower *l, const image *from, const eb_lvalue *at, bool zeroed,
                      eb_loc loc) {
    for (uint64_t n = 0; n < from->size;) {
        uint64_t size = at->align < WORD ? at->align : WORD, value = 0;
        while (n % size || size > from->size - n)
            size /= 2;
        bool known = false, whole = true;
        for (uint64_t i = 0; i < size; i++) {
            known = known || from->known[n + i];
            whole = whole && (zeroed || from->known[n + i]);
            value |= (uint64_t)from->bytes[n + i] << (l->ir->big ? size - 1 - i : i) * 8;
        }
        if (known && !whole) { /* beside it, something is written by an expression */
            for (size = 1; size < WORD && !from->known[n]; size++)
                n++;
            size = 1;
            value = from->bytes[n];
        }
        if (known && (value || !zeroed)) {
            eb_value v =
                eb_emit_const(l, size == WORD ? EB_IR_I64 : EB_IR_I32, (int64_t)value, loc);
            eb_value store = eb_emit(l, EB_IR_STORE, EB_IR_VOID, at->base, v, loc);
            eb_ir_at(l->fn, store)->size = (uint8_t)size;
            eb_ir_at(l->fn, store)->imm = at->offset + (int64_t)n;
            eb_ir_at(l->fn, store)->flags = at->is_volatile ? EB_IR_VOLATILE : 0;
        }
        n += size;
    }
}

static void store_init(eb_lower *l, const eb_init *init, const eb_lvalue *at) {
    eb_lvalue p = *at;
    eb_loc loc = init->expr->lo;
    p.offset += (int64_t)init->offset;
    p.type = init->type;
    if (eb_type_is_record(init->type) || eb_type_is(init->type, EB_TYPE_ARRAY)) {
        eb_lvalue from = init->expr->kind == EB_EXPR_STRING || init->expr->is_lvalue
                             ? eb_lower_place(l, init->expr)
                             : eb_lower_record(l, init->expr);
        eb_place_copy(l, &p, &from, loc);
        return;
    }
    if (eb_type_is_wide(init->type) && !init->bits) {
        eb_wide_store(l, &p, eb_lower_wide(l, init->expr), loc);
        return;
    }
    if (eb_refuse_type(l, init->type, init->expr->lo, init->expr->hi))
        return;
    eb_member field = {.bits = init->bits, .is_field = true};
    if (init->bits) {
        uint64_t size = eb_type_size(init->type);
        p.field = &field;
        /* In memory that is aligned as the variable is. */
        uint64_t first = init->offset * 8 + init->bit;
        p.unit = 0;
        p.bit = init->bit;
        for (uint32_t unit = 1; unit <= size && unit <= at->align; unit *= 2)
            if (first % (unit * 8) + init->bits <= unit * 8) {
                p.unit = unit;
                p.bit = (uint32_t)(first % (unit * 8));
                p.offset = at->offset + (int64_t)(first / (unit * 8) * unit);
                break;
            }
    }
    eb_value v = eb_lower_value(l, init->expr);
    if (v)
        eb_place_store(l, &p, v, loc);
}

static bool is_whole(const eb_decl *decl) {
    return decl->inits.len == 1 && decl->inits.at[0].offset == 0 && !decl->inits.at[0].bits &&
           eb_type_size(decl->inits.at[0].type) == eb_type_size(decl->type);
}

void eb_lower_init(eb_lower *l, const eb_decl *decl, const eb_lvalue *at) {
    uint64_t size = eb_type_size(decl->type);
    eb_loc loc = decl->lo;
    bool string = decl->inits.len == 1 && decl->inits.at[0].expr->kind == EB_EXPR_STRING;
    if (is_whole(decl) && !string) {
        store_init(l, &decl->inits.at[0], at);
        return;
    }
    eb_arena *arena = &l->ctx->arena;
    image all = {.bytes = eb_alloc(arena, size), .known = eb_alloc(arena, size), .size = size};
    EB_VEC(const eb_init *) others = {0};
    for (uint32_t n = 0; n < decl->inits.len; n++)
        if (!put_constant(l, &all, &decl->inits.at[n]))
            *EB_PUSH(arena, &others) = &decl->inits.at[n];
    uint64_t known = 0;
    for (uint64_t n = 0; n < size; n++)
        known += all.known[n];
    bool zeroed = known < size;
    if (zeroed)
        set_memory(l, at, size, loc);
    put_image(l, &all, at, zeroed, loc);
    for (uint32_t n = 0; n < others.len; n++)
        store_init(l, others.at[n], at);
}

static void declare(eb_lower *l, eb_decl *decl) {
    if (decl->kind != EB_DECL_VARIABLE || decl->storage == EB_STORAGE_EXTERN)
        return;
    if (decl->is_global) { /* static */
        eb_symbol_of(l, decl);
        return;
    }
    if (eb_type_is_floating(decl->type) && eb_refuse_type(l, decl->type, decl->lo, decl->hi))
        return;
    if (!decl->number) {
        uint32_t slot = eb_new_slot(l, decl->type, eb_name_text(l->u, decl->name), decl->lo);
        if (decl->attrs.align > l->fn->slots.at[slot].align)
            l->fn->slots.at[slot].align = decl->attrs.align;
        decl->number = slot + 1;
    }
    eb_lvalue p = eb_place_at(eb_emit_slot(l, decl->number - 1, decl->lo), decl->type);
    p.align = l->fn->slots.at[decl->number - 1].align;
    if (decl->has_init)
        eb_lower_init(l, decl, &p);
    if (decl->attrs.cleanup)
        *EB_PUSH(&l->ctx->arena, &l->cleanups) = (eb_cleanup){decl, l->depth};
}

/* ---- jumps ---- */

static void return_from(eb_lower *l, const eb_stmt *s) {
    eb_value v = 0;
    if (l->result_at && s->expr) {
        eb_lvalue to = eb_place_at(l->result_at, s->expr->type), from = eb_lower_record(l, s->expr);
        eb_place_copy(l, &to, &from, s->lo);
    } else if (s->expr && l->fn->result != EB_IR_VOID) {
        v = eb_lower_value(l, s->expr);
    } else if (s->expr) {
        eb_lower_effects(l, s->expr);
    }
    leave(l, 0);
    if (!v && l->fn->result != EB_IR_VOID)
        v = eb_emit(l, EB_IR_UNDEF, (eb_ir_type)l->fn->result, 0, 0, s->lo);
    eb_emit(l, EB_IR_RETURN, EB_IR_VOID, v, 0, s->lo);
    eb_emit_dead(l);
}

static void if_statement(eb_lower *l, const eb_stmt *s) {
    uint32_t yes = eb_block_new(l->fn), join = eb_block_new(l->fn);
    uint32_t no = s->other ? eb_block_new(l->fn) : join;
    eb_lower_condition(l, s->expr, yes, no);
    eb_emit_in(l, yes);
    eb_lower_stmt(l, s->body);
    eb_emit_jump(l, join, s->hi);
    if (s->other) {
        eb_emit_in(l, no);
        eb_lower_stmt(l, s->other);
        eb_emit_jump(l, join, s->hi);
    }
    eb_emit_in(l, join);
}

/* for (init; condition; step) body, and the other two as far as they have that. */
static void loop(eb_lower *l, const eb_stmt *s) {
    uint32_t old_break = l->break_to, old_continue = l->continue_to;
    uint32_t break_depth = l->break_depth, continue_depth = l->continue_depth;
    uint32_t top = eb_block_new(l->fn), body = eb_block_new(l->fn), next = eb_block_new(l->fn);
    l->depth++;
    uint32_t cleanups = l->cleanups.len;
    if (s->init)
        eb_lower_stmt(l, s->init);
    l->break_to = eb_block_new(l->fn);
    l->continue_to = next;
    l->break_depth = l->continue_depth = l->depth;
    uint32_t header = s->kind == EB_STMT_DO ? body : top;
    l->fn->blocks.at[header].unroll = s->unroll;
    eb_emit_jump(l, header, s->lo);
    if (s->kind != EB_STMT_DO) {
        eb_emit_in(l, top);
        if (s->expr)
            eb_lower_condition(l, s->expr, body, l->break_to);
        else
            eb_emit_jump(l, body, s->lo);
    }
    eb_emit_in(l, body);
    eb_lower_stmt(l, s->body);
    eb_emit_jump(l, next, s->lo);
    eb_emit_in(l, next);
    if (s->step)
        eb_lower_effects(l, s->step);
    if (s->kind == EB_STMT_DO)
        eb_lower_condition(l, s->expr, body, l->break_to);
    else
        eb_emit_jump(l, top, s->lo);
    eb_emit_in(l, l->break_to);
    l->depth--;
    leave(l, l->depth);
    l->cleanups.len = cleanups;
    l->break_to = old_break;
    l->continue_to = old_continue;
    l->break_depth = break_depth;
    l->continue_depth = continue_depth;
}

/* ---- switch ---- */

typedef struct range {
    int64_t first, last;
    uint32_t to;
} range;

typedef struct decision {
    eb_lower *l;
    eb_value on;
    eb_ir_type type;
    bool without_sign;
    const range *at; /* sorted */
    uint32_t otherwise;
    eb_loc loc;
} decision;

static void test(const decision *d, eb_cond cond, int64_t with, uint32_t yes, uint32_t no) {
    eb_lower *l = d->l;
    eb_emit_branch(l, cond, d->on, eb_emit_const(l, d->type, with, d->loc), yes, no, d->loc);
}

/* One range, or on to `no`. */
static void test_range(const decision *d, const range *r, uint32_t no) {
    if (r->first == r->last) {
        test(d, EB_COND_EQ, r->first, r->to, no);
        return;
    }
    uint32_t above = eb_block_new(d->l->fn);
    test(d, d->without_sign ? EB_COND_LT : EB_COND_SLT, r->first, no, above);
    eb_emit_in(d->l, above);
    test(d, d->without_sign ? EB_COND_LE : EB_COND_SLE, r->last, r->to, no);
}

/* Few ranges one after the other, more of them by halves. */
static void decide(const decision *d, uint32_t from, uint32_t to) {
    enum { FEW = 4 };
    eb_lower *l = d->l;
    if (to - from <= FEW) {
        for (uint32_t n = from; n < to; n++) {
            uint32_t next = n + 1 < to ? eb_block_new(l->fn) : d->otherwise;
            test_range(d, &d->at[n], next);
            if (next != d->otherwise)
                eb_emit_in(l, next);
        }
        if (from == to)
            eb_emit_jump(l, d->otherwise, d->loc);
        return;
    }
    uint32_t middle = from + (to - from) / 2;
    uint32_t below = eb_block_new(l->fn), above = eb_block_new(l->fn);
    test(d, d->without_sign ? EB_COND_LT : EB_COND_SLT, d->at[middle].first, below, above);
    eb_emit_in(l, below);
    decide(d, from, middle);
    eb_emit_in(l, above);
    decide(d, middle, to);
}

static bool is_before(const decision *d, int64_t a, int64_t b) {
    return d->without_sign ? (uint64_t)a < (uint64_t)b : a < b;
}

/* Merge sort: cases come in any order and any number. */
static void sort_ranges(const decision *d, range *at, range *room, uint32_t count) {
    if (count < 2)
        return;
    uint32_t half = count / 2, i = 0, j = half;
    sort_ranges(d, at, room, half);
    sort_ranges(d, at + half, room, count - half);
    for (uint32_t n = 0; n < count; n++)
        room[n] =
            j == count || (i < half && !is_before(d, at[j].first, at[i].first)) ? at[i++] : at[j++];
    memcpy(at, room, count * sizeof *at);
}

static void switch_statement(eb_lower *l, const eb_stmt *s) {
    eb_arena *arena = &l->ctx->arena;
    EB_VEC(range) ranges = {0};
    uint32_t old_break = l->break_to, old_depth = l->break_depth;
    if (eb_refuse_type(l, s->expr->type, s->expr->lo, s->expr->hi))
        return;
    decision d = {.l = l,
                  .on = eb_lower_value(l, s->expr),
                  .type = eb_lower_type(s->expr->type),
                  .without_sign = eb_type_is_unsigned(s->expr->type),
                  .loc = s->lo};
    l->break_to = d.otherwise = eb_block_new(l->fn);
    l->break_depth = l->depth;
    for (eb_stmt *c = s->cases; c; c = c->cases) {
        c->block = eb_block_new(l->fn);
        if (c->kind == EB_STMT_DEFAULT)
            d.otherwise = c->block;
        else if (!is_before(&d, c->last, c->value))
            *EB_PUSH(arena, &ranges) = (range){c->value, c->last, c->block};
    }
    range *room = eb_alloc_array(arena, ranges.len, sizeof *room);
    sort_ranges(&d, ranges.at, room, ranges.len);
    d.at = ranges.at;
    decide(&d, 0, ranges.len);
    eb_emit_dead(l);
    eb_lower_stmt(l, s->body);
    eb_emit_jump(l, l->break_to, s->hi);
    eb_emit_in(l, l->break_to);
    l->break_to = old_break;
    l->break_depth = old_depth;
}

/* ---- all of them ---- */

static void enter(eb_lower *l, uint32_t block, eb_loc loc) {
    eb_emit_jump(l, block, loc);
    eb_emit_in(l, block);
}

void eb_lower_stmt(eb_lower *l, const eb_stmt *s) {
    switch (s->kind) { /* one case per kind */
    case EB_STMT_EXPR:
        if (s->expr)
            eb_lower_effects(l, s->expr);
        break;
    case EB_STMT_DECL:
        for (eb_decl *decl = s->decl; decl; decl = decl->next)
            declare(l, decl);
        break;
    case EB_STMT_BLOCK:
        eb_lower_block(l, s);
        break;
    case EB_STMT_IF:
        if_statement(l, s);
        break;
    case EB_STMT_WHILE:
    case EB_STMT_DO:
    case EB_STMT_FOR:
        loop(l, s);
        break;
    case EB_STMT_SWITCH:
        switch_statement(l, s);
        break;
    case EB_STMT_CASE:
    case EB_STMT_DEFAULT:
        if (s->block)
            enter(l, s->block, s->lo);
        eb_lower_stmt(l, s->body);
        break;
    case EB_STMT_LABEL:
        enter(l, eb_label_block(l, s->label), s->lo);
        eb_lower_stmt(l, s->body);
        break;
    case EB_STMT_GOTO:
        go_to(l, s);
        break;
    case EB_STMT_BREAK:
        leave(l, l->break_depth);
        eb_emit_jump(l, l->break_to, s->lo);
        eb_emit_dead(l);
        break;
    case EB_STMT_CONTINUE:
        leave(l, l->continue_depth);
        eb_emit_jump(l, l->continue_to, s->lo);
        eb_emit_dead(l);
        break;
    case EB_STMT_RETURN:
        return_from(l, s);
        break;
    case EB_STMT_ASM:
        eb_lower_asm(l, s);
        break;
    default:
        break;
    }
}
