/* ir.c - making and changing functions: instructions in the order of their blocks as a doubly
 * linked list of numbers, edges with the operands of phis beside them. */
#include "ir.h"

const eb_ir_row eb_ir_rows[EB_IR_OP_COUNT] = {
#define PURE                           EB_EFFECT_PURE
#define READ                           EB_EFFECT_READ
#define WRITE                          EB_EFFECT_WRITE
#define END                            EB_EFFECT_END
#define IR(id, text, operands, effect) {text, operands, effect},
#include "ir.def"
#undef PURE
#undef READ
#undef WRITE
#undef END
};

static eb_arena *arena_of(const eb_fn *fn) {
    return &fn->unit->ctx->arena;
}

eb_ir_unit *eb_ir_unit_new(ebpf_ctx *ctx, bool big, unsigned cpu, bool optimize) {
    eb_ir_unit *unit = eb_alloc(&ctx->arena, sizeof *unit);
    unit->ctx = ctx;
    unit->big = big;
    unit->cpu = cpu;
    unit->optimize = optimize;
    unit->dump.arena = &ctx->arena;
    (void)EB_PUSH(&ctx->arena, &unit->symbols);
    (void)EB_PUSH(&ctx->arena, &unit->cores);
    (void)EB_PUSH(&ctx->arena, &unit->asms);
    return unit;
}

uint32_t eb_ir_symbol_add(eb_ir_unit *unit, eb_str name, eb_ir_kind kind) {
    eb_ir_symbol *symbol = EB_PUSH(&unit->ctx->arena, &unit->symbols);
    symbol->name = name;
    symbol->kind = (uint8_t)kind;
    symbol->align = 1;
    symbol->data.arena = &unit->ctx->arena;
    return unit->symbols.len - 1;
}

eb_fn *eb_fn_new(eb_ir_unit *unit, uint32_t symbol) {
    eb_arena *arena = &unit->ctx->arena;
    eb_fn *fn = eb_alloc(arena, sizeof *fn);
    fn->unit = unit;
    fn->symbol = symbol;
    (void)EB_PUSH(arena, &fn->values);
    (void)EB_PUSH(arena, &fn->blocks);
    (void)EB_PUSH(arena, &fn->blocks);
    (void)EB_PUSH(arena, &fn->lists);
    (void)EB_PUSH(arena, &fn->scopes);
    unit->symbols.at[symbol].fn = fn;
    return fn;
}

uint32_t eb_block_new(eb_fn *fn) {
    (void)EB_PUSH(arena_of(fn), &fn->blocks);
    return fn->blocks.len - 1;
}

uint32_t eb_slot_new(eb_fn *fn, uint64_t size, uint32_t align, eb_str name, eb_loc loc) {
    *EB_PUSH(arena_of(fn), &fn->slots) =
        (eb_slot){.size = size, .align = align, .name = name, .loc = loc};
    return fn->slots.len - 1;
}

uint32_t eb_list_new(eb_fn *fn, const eb_value *values, uint32_t count) {
    eb_list *list = EB_PUSH(arena_of(fn), &fn->lists);
    for (uint32_t n = 0; n < count; n++)
        *EB_PUSH(arena_of(fn), &list->values) = values[n];
    return fn->lists.len - 1;
}

/* ---- instructions ---- */

eb_value eb_ir_new(eb_fn *fn, eb_ir_op op, eb_ir_type type, eb_value a, eb_value b, eb_loc loc) {
    *EB_PUSH(arena_of(fn), &fn->values) =
        (eb_ir){.op = (uint8_t)op, .type = (uint8_t)type, .a = a, .b = b, .loc = loc};
    return fn->values.len - 1;
}

void eb_ir_append(eb_fn *fn, uint32_t block, eb_value value) {
    eb_block *at = &fn->blocks.at[block];
    eb_ir *ir = eb_ir_at(fn, value);
    ir->block = block;
    ir->prev = at->last;
    ir->next = 0;
    if (at->last)
        eb_ir_at(fn, at->last)->next = value;
    else
        at->first = value;
    at->last = value;
}

void eb_ir_before(eb_fn *fn, eb_value place, eb_value value) {
    eb_ir *ir = eb_ir_at(fn, value), *next = eb_ir_at(fn, place);
    ir->block = next->block;
    ir->prev = next->prev;
    ir->next = place;
    if (next->prev)
        eb_ir_at(fn, next->prev)->next = value;
    else
        fn->blocks.at[next->block].first = value;
    next->prev = value;
}

eb_value eb_ir_put(eb_fn *fn, eb_value place, eb_ir_op op, eb_ir_type type, eb_value a,
                   eb_value b) {
    eb_value v = eb_ir_new(fn, op, type, a, b, eb_ir_at(fn, place)->loc);
    eb_ir_before(fn, place, v);
    return v;
}

void eb_ir_behind(eb_fn *fn, eb_value place, eb_value value) {
    eb_value next = eb_ir_at(fn, place)->next;
    if (next)
        eb_ir_before(fn, next, value);
    else
        eb_ir_append(fn, eb_ir_at(fn, place)->block, value);
}

void eb_ir_unlink(eb_fn *fn, eb_value value) {
    eb_ir *ir = eb_ir_at(fn, value);
    eb_block *block = &fn->blocks.at[ir->block];
    if (ir->prev)
        eb_ir_at(fn, ir->prev)->next = ir->next;
    else
        block->first = ir->next;
    if (ir->next)
        eb_ir_at(fn, ir->next)->prev = ir->prev;
    else
        block->last = ir->prev;
    ir->prev = ir->next = ir->block = 0;
}

void eb_ir_remove(eb_fn *fn, eb_value value) {
    eb_ir_unlink(fn, value);
    *eb_ir_at(fn, value) = (eb_ir){.op = EB_IR_NONE};
}

void eb_ir_become(eb_fn *fn, eb_value value, eb_value with) {
    eb_ir *ir = eb_ir_at(fn, value);
    bool same = eb_ir_at(fn, with)->type == ir->type;
    if (same) /* others stay, as casts between pointers and integers do */
        eb_ir_unlink(fn, value);
    *ir = (eb_ir){.op = EB_IR_COPY,
                  .type = ir->type,
                  .block = ir->block,
                  .prev = ir->prev,
                  .next = ir->next,
                  .a = with,
                  .loc = ir->loc};
}

eb_value eb_ir_origin(const eb_fn *fn, eb_value value) {
    const eb_ir *ir = eb_ir_at(fn, value);
    while (ir->op == EB_IR_COPY && eb_ir_at(fn, ir->a)->type == ir->type)
        ir = eb_ir_at(fn, value = ir->a);
    return value;
}

/* What a copy stands for; the chain to there becomes short. */
static eb_value shorten(eb_fn *fn, eb_value value) {
    eb_value origin = eb_ir_origin(fn, value);
    while (value != origin) {
        eb_value next = eb_ir_at(fn, value)->a;
        eb_ir_at(fn, value)->a = origin;
        value = next;
    }
    return origin;
}

bool eb_ir_settle(eb_fn *fn) {
    bool changed = false;
    for (eb_value v = 1; v < fn->values.len; v++) {
        eb_uses uses = eb_uses_of(fn, v);
        if (uses.ir->op == EB_IR_NONE || uses.ir->op == EB_IR_COPY)
            continue;
        while (eb_uses_next(&uses))
            *uses.at = shorten(fn, *uses.at);
    }
    for (eb_value v = 1; v < fn->values.len; v++) {
        eb_ir *ir = eb_ir_at(fn, v);
        if (ir->op != EB_IR_COPY)
            continue;
        ir->a = shorten(fn, ir->a);
        if (eb_ir_at(fn, ir->a)->type != ir->type)
            continue;
        changed = true;
        if (ir->block)
            eb_ir_unlink(fn, v);
    }
    for (eb_value v = 1; v < fn->values.len; v++)
        if (eb_ir_at(fn, v)->op == EB_IR_COPY && !eb_ir_at(fn, v)->block)
            *eb_ir_at(fn, v) = (eb_ir){.op = EB_IR_NONE};
    return changed;
}

int64_t eb_ir_wrap(eb_ir_type type, int64_t imm) {
    return type == EB_IR_I32 ? (int32_t)(uint32_t)(uint64_t)imm : imm;
}

eb_value eb_ir_const(eb_fn *fn, eb_ir_type type, int64_t imm, eb_loc loc) {
    eb_value value = eb_ir_new(fn, EB_IR_CONST, type, 0, 0, loc);
    eb_ir_at(fn, value)->imm = eb_ir_wrap(type, imm);
    return value;
}

bool eb_ir_is_removable(const eb_ir *ir) {
    eb_effect effect = eb_ir_rows[ir->op].effect;
    return effect == EB_EFFECT_PURE ||
           (effect == EB_EFFECT_READ && !(ir->flags & EB_IR_VOLATILE)) ||
           (ir->op == EB_IR_ASM && !(ir->flags & EB_IR_VOLATILE));
}

/* ---- edges ---- */

static eb_list *phi_operands(eb_fn *fn, eb_value phi) {
    return &fn->lists.at[eb_ir_at(fn, phi)->list];
}

void eb_edge_add(eb_fn *fn, uint32_t from, uint32_t to) {
    eb_block *target = &fn->blocks.at[to];
    *EB_PUSH(arena_of(fn), &fn->blocks.at[from].succs) = to;
    *EB_PUSH(arena_of(fn), &target->preds) = from;
    for (eb_value v = target->first; v && eb_ir_at(fn, v)->op == EB_IR_PHI;
         v = eb_ir_at(fn, v)->next)
        *EB_PUSH(arena_of(fn), &phi_operands(fn, v)->values) = 0;
}

void eb_edge_drop(eb_fn *fn, uint32_t to, uint32_t index) {
    eb_block *target = &fn->blocks.at[to];
    uint32_t last = --target->preds.len;
    for (uint32_t n = index; n < last; n++)
        target->preds.at[n] = target->preds.at[n + 1];
    for (eb_value v = target->first; v && eb_ir_at(fn, v)->op == EB_IR_PHI;
         v = eb_ir_at(fn, v)->next) {
        eb_list *list = phi_operands(fn, v);
        list->values.len--;
        for (uint32_t n = index; n < last; n++)
            list->values.at[n] = list->values.at[n + 1];
    }
}

/* Whether no two edges from the block lead to the same. */
static bool leads_apart(const eb_block *block) {
    return block->succs.len == 1 ||
           (block->succs.len == 2 && block->succs.at[0] != block->succs.at[1]);
}

/* Blocks are mostly asked about in their order, so a single edge is looked for beside the one that
 * was found last: a switch comes together in a block with as many predecessors as it has cases. */
uint32_t eb_edge_index(const eb_fn *fn, uint32_t from, uint32_t to, uint32_t nth) {
    eb_block *target = &fn->blocks.at[to];
    if (leads_apart(&fn->blocks.at[from]))
        for (uint32_t n = target->found ? target->found - 1 : 0;
             n < target->preds.len && n <= target->found + 1; n++)
            if (target->preds.at[n] == from)
                return target->found = n;
    for (uint32_t n = 0; n < target->preds.len; n++)
        if (target->preds.at[n] == from && nth-- == 0)
            return target->found = n;
    return UINT32_MAX;
}

/* ---- operands ---- */

eb_uses eb_uses_of(eb_fn *fn, eb_value value) {
    eb_ir *ir = eb_ir_at(fn, value);
    return (eb_uses){.ir = ir, .list = ir->list ? &fn->lists.at[ir->list] : NULL};
}

bool eb_uses_next(eb_uses *uses) {
    eb_value *own[] = {&uses->ir->a, &uses->ir->b, &uses->ir->c};
    enum { OWN = sizeof own / sizeof own[0] };
    for (;;) {
        uint32_t n = uses->step++;
        if (n < OWN)
            uses->at = own[n];
        else if (uses->list && n - OWN < uses->list->values.len)
            uses->at = &uses->list->values.at[n - OWN];
        else
            return false;
        if (*uses->at)
            return true;
    }
}
