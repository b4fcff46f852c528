/* select.c - IR to machine instructions, block by block.
 *
 * A value gets a register where it is defined. Constants, addresses and what CO-RE says are made
 * where they are used, so that nothing keeps a register for them longer than a block; a compare
 * tests the register that is used behind it. A value of 32 bits whose register may have bits above
 * them gets these cleared where it is defined, if anybody widens it: then widening is nothing, and
 * what bounds the value bounds what is used (COMPILER.md, rule 9).
 *
 * A phi reads a register of its own, which each edge writes; allocate.c finds out which of these
 * copies are needed. An edge between a block with many successors and one with many predecessors
 * becomes a block. */
#include "select.h"
#include "cfg.h"

/* ---- making instructions ---- */

uint32_t eb_sel_new(eb_sel *s) {
    return s->mfn->regs++;
}

eb_mi *eb_sel_emit(eb_sel *s, eb_m_kind kind) {
    eb_mi *mi = EB_PUSH(&s->ctx->scratch, &s->mfn->blocks.at[s->block].code);
    *mi = (eb_mi){.kind = (uint8_t)kind,
                  .dst = EB_REG_NO,
                  .src = EB_REG_NO,
                  .src2 = EB_REG_NO,
                  .loc = s->loc};
    return mi;
}

eb_mi *eb_sel_alu(eb_sel *s, unsigned code, uint32_t dst, uint32_t src) {
    eb_mi *mi = eb_sel_emit(s, EB_M_INSN);
    mi->code = (uint8_t)(code | EB_C_REG);
    mi->dst = dst;
    mi->src = src;
    return mi;
}

eb_mi *eb_sel_alui(eb_sel *s, unsigned code, uint32_t dst, int64_t imm) {
    eb_mi *mi = eb_sel_emit(s, EB_M_INSN);
    mi->code = (uint8_t)code;
    mi->dst = dst;
    mi->imm = imm;
    return mi;
}

void eb_sel_copy(eb_sel *s, uint32_t dst, uint32_t src) {
    eb_mi *mi = eb_sel_emit(s, EB_M_COPY);
    mi->dst = dst;
    mi->src = src;
}

void eb_sel_constant(eb_sel *s, uint32_t dst, int64_t imm) {
    eb_mi *mi = eb_sel_emit(s, EB_M_CONST);
    mi->dst = dst;
    mi->imm = imm;
    mi->narrow = s->cpu >= 3 && imm >= 0 && imm <= UINT32_MAX;
}

void eb_sel_frame(eb_sel *s, uint32_t dst, uint32_t slot, int32_t off) {
    eb_mi *mi = eb_sel_emit(s, EB_M_FRAME);
    mi->dst = dst;
    mi->slot = slot;
    mi->off = off;
}

void eb_sel_zero_upper(eb_sel *s, uint32_t dst, uint32_t src) {
    if (s->cpu >= 3) {
        eb_sel_alu(s, EB_C_ALU32 | EB_C_MOV, dst, src);
        return;
    }
    if (dst != src)
        eb_sel_copy(s, dst, src);
    eb_sel_alui(s, EB_C_ALU64 | EB_C_LSH, dst, 32);
    eb_sel_alui(s, EB_C_ALU64 | EB_C_RSH, dst, 32);
}

/* ---- values ---- */

bool eb_sel_is_const(const eb_sel *s, eb_value value, int64_t *imm) {
    const eb_ir *ir = eb_sel_ir(s, value);
    if (ir->op != EB_IR_CONST)
        return false;
    *imm = ir->imm;
    return true;
}

bool eb_sel_is_imm(const eb_sel *s, eb_value value, int64_t *imm) {
    return eb_sel_is_const(s, value, imm) && *imm >= INT32_MIN && *imm <= INT32_MAX;
}

/* Operations that need no operands: their values are made where somebody uses them. */
static bool is_free(unsigned op) {
    switch (op) {
    case EB_IR_CONST:
    case EB_IR_SYMBOL:
    case EB_IR_SLOT:
    case EB_IR_CORE:
    case EB_IR_UNDEF:
    case EB_IR_CONST_P:
        return true;
    default:
        return false;
    }
}

bool eb_sel_is_lazy(const eb_sel *s, eb_value value) {
    return is_free(eb_sel_ir(s, value)->op) && !s->home[value];
}

/* A record's value; libbpf patches 64 bits of wide loads, 32 of others. */
static void put_core(eb_sel *s, uint32_t dst, const eb_ir *ir) {
    const eb_ir_core *core = &s->fn->unit->cores.at[ir->extra];
    eb_sel_constant(s, dst, core->value);
    eb_mblock *block = &s->mfn->blocks.at[s->block];
    eb_mi *mi = &block->code.at[block->code.len - 1];
    mi->core = ir->extra;
    mi->narrow = mi->narrow && ir->type == EB_IR_I32;
}

/* A value that is made where it is used. */
static void make(eb_sel *s, uint32_t dst, const eb_ir *ir) {
    switch (ir->op) {
    case EB_IR_CONST:
        /* the lower half is what counts of 32 bits; v3 can clear the upper one at no cost */
        eb_sel_constant(
            s, dst, ir->type == EB_IR_I32 && s->cpu >= 3 ? (int64_t)(uint32_t)ir->imm : ir->imm);
        break;
    case EB_IR_SYMBOL: {
        eb_mi *mi = eb_sel_emit(s, EB_M_SYMBOL);
        mi->dst = dst;
        mi->extra = ir->extra;
        mi->imm = ir->imm;
        break;
    }
    case EB_IR_SLOT:
        eb_sel_frame(s, dst, s->slots[ir->extra] + 1, (int32_t)ir->imm);
        break;
    case EB_IR_CORE:
        put_core(s, dst, ir);
        break;
    default: /* any value will do, but the verifier wants one */
        eb_sel_constant(s, dst, 0);
    }
}

uint32_t eb_sel_reg(eb_sel *s, eb_value value) {
    if (!eb_sel_is_lazy(s, value)) {
        if (!s->reg[value])
            s->reg[value] = eb_sel_new(s);
        return s->reg[value];
    }
    if (s->lazy[value] != s->block) {
        s->lazy[value] = s->block;
        s->reg[value] = eb_sel_new(s);
        make(s, s->reg[value], eb_sel_ir(s, value));
    }
    return s->reg[value];
}

uint32_t eb_sel_def(eb_sel *s, eb_value value) {
    return s->reg[value] ? s->reg[value] : (s->reg[value] = eb_sel_new(s));
}

void eb_sel_put(eb_sel *s, uint32_t dst, eb_value value) {
    if (eb_sel_is_lazy(s, value))
        make(s, dst, eb_sel_ir(s, value));
    else
        eb_sel_copy(s, dst, eb_sel_reg(s, value));
}

void eb_sel_clean(eb_sel *s, eb_value value) {
    if (s->wanted[value] && s->dirty[value])
        eb_sel_zero_upper(s, s->reg[value], s->reg[value]);
}

/* ---- which registers have clear upper halves ---- */

static bool is_clean(const eb_sel *s, eb_value value) {
    return !s->dirty[value] || s->wanted[value];
}

/* Whether the instruction that makes an i32 leaves bits above: with 32-bit arithmetic (v3) few. */
static bool leaves_dirt(const eb_sel *s, const eb_ir *ir) {
    switch (ir->op) {
    case EB_IR_TRUNC:
    case EB_IR_CALL:
    case EB_IR_HELPER:
    case EB_IR_CALLX:
    case EB_IR_PARAM:
    case EB_IR_ASM:
    case EB_IR_OUTPUT:
        return true;
    case EB_IR_DIV: /* of 32 bits the verifier believes that they had more (COMPILER.md, 5.3) */
    case EB_IR_MOD:
    case EB_IR_SDIV:
    case EB_IR_SMOD:
        return s->cpu >= 3;
    case EB_IR_COPY:
        return !is_clean(s, ir->a);
    case EB_IR_LOAD:
        return (ir->flags & EB_IR_SIGNED) && ir->size < 4 && s->cpu != 3;
    case EB_IR_CMP:
    case EB_IR_UNDEF:
    case EB_IR_ATOMIC:
    case EB_IR_SHR:
    case EB_IR_CONST_P:
    case EB_IR_SWAP:
        return false;
    case EB_IR_CORE:
    case EB_IR_CONST:
        return s->cpu < 3 && ir->imm < 0;
    case EB_IR_AND:
        return s->cpu < 3 && !is_clean(s, ir->a) && !is_clean(s, ir->b);
    case EB_IR_OR:
    case EB_IR_XOR:
        return s->cpu < 3 && (!is_clean(s, ir->a) || !is_clean(s, ir->b));
    default:
        return s->cpu < 3;
    }
}

static bool phi_is_dirty(const eb_sel *s, const eb_ir *ir) {
    const eb_list *list = &s->fn->lists.at[ir->list];
    for (uint32_t n = 0; n < list->values.len; n++)
        if (list->values.at[n] && !is_clean(s, list->values.at[n]))
            return true;
    return false;
}

static void want(eb_sel *s, eb_value value) {
    if (value && eb_sel_ir(s, value)->type == EB_IR_I32 && !eb_sel_is_lazy(s, value))
        s->wanted[value] = true;
}

static void note_uses(eb_sel *s, eb_value v) {
    const eb_ir *ir = eb_sel_ir(s, v);
    for (eb_uses u = eb_uses_of(s->fn, v); eb_uses_next(&u);)
        s->uses[*u.at]++;
    if (ir->op == EB_IR_ZEXT)
        want(s, ir->a);
    if (s->cpu >= 3)
        return;
    if (eb_sel_needs_clean(s, ir)) {
        want(s, ir->a);
        want(s, ir->b);
    }
}

/* Phis are clean until an operand says otherwise: loops do not make them dirty. */
static void find_dirt(eb_sel *s, const eb_value *values, uint32_t count) {
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t n = 0; n < count; n++) {
            eb_value v = values[n];
            const eb_ir *ir = eb_sel_ir(s, v);
            if (ir->type != EB_IR_I32 || s->dirty[v])
                continue;
            s->dirty[v] = ir->op == EB_IR_PHI ? phi_is_dirty(s, ir) : leaves_dirt(s, ir);
            changed |= s->dirty[v];
        }
    }
}

/* ---- operations ---- */

static void arguments(eb_sel *s, const eb_ir *ir) {
    const eb_list *list = &s->fn->lists.at[ir->list];
    uint32_t count = ir->list ? list->values.len : 0;
    /* What is in a register first: the rest needs none. */
    for (unsigned lazy = 0; lazy < 2; lazy++)
        for (uint32_t n = 0; n < count && n < 5; n++)
            if (eb_sel_is_lazy(s, list->values.at[n]) == (lazy == 1))
                eb_sel_put(s, 1 + n, list->values.at[n]);
}

static void call(eb_sel *s, eb_value value) {
    const eb_ir *ir = eb_sel_ir(s, value);
    uint32_t count = ir->list ? s->fn->lists.at[ir->list].values.len : 0;
    if (count > 5)
        eb_diag_add(s->ctx, EB_DIAG_MANY_ARGUMENTS, ir->loc, ir->loc + (ir->loc != 0), "a call",
                    count);
    uint32_t target = ir->op == EB_IR_CALLX ? eb_sel_reg(s, ir->a) : EB_REG_NO;
    arguments(s, ir);
    eb_mi *mi = eb_sel_emit(s, ir->op == EB_IR_CALLX ? EB_M_CALLX : EB_M_CALL);
    mi->args = count < 5 ? count : 5;
    mi->src = target;
    mi->extra = ir->op == EB_IR_CALL ? ir->extra : 0;
    eb_str refusal = s->mfn->unit->symbols.at[mi->extra].refusal;
    if (mi->extra && refusal.len)
        eb_diag_add(s->ctx, EB_DIAG_REFUSED_CALL, ir->loc, ir->loc + 1, (int)refusal.len,
                    refusal.at);
    mi->imm = ir->op == EB_IR_HELPER ? ir->imm : 0;
    if (ir->type == EB_IR_VOID || !s->uses[value])
        return;
    eb_sel_copy(s, eb_sel_def(s, value), 0);
    eb_sel_clean(s, value);
}

static void phi(eb_sel *s, eb_value value) {
    s->entry[value] = eb_sel_new(s);
    eb_sel_copy(s, eb_sel_def(s, value), s->entry[value]);
}

static void leave(eb_sel *s, const eb_ir *ir) {
    if (ir->a)
        eb_sel_put(s, 0, ir->a);
    eb_sel_emit(s, EB_M_EXIT)->imm = ir->a != 0;
}

static void parameter(eb_sel *s, eb_value value) {
    eb_loc loc = s->fn->loc;
    if (eb_sel_ir(s, value)->imm == 5)
        eb_diag_add(s->ctx, EB_DIAG_MANY_ARGUMENTS, loc, loc + (loc != 0), "a function",
                    s->fn->params);
    if (s->uses[value])
        eb_sel_copy(s, eb_sel_def(s, value), 1 + (uint32_t)eb_sel_ir(s, value)->imm);
}

static void operation(eb_sel *s, eb_value value) { /* one case per operation */
    const eb_ir *ir = eb_sel_ir(s, value);
    s->loc = ir->loc;
    if (eb_ir_is_binary(ir->op)) {
        eb_sel_binary(s, value);
        return;
    }
    switch (ir->op) {
    case EB_IR_NEG:
    case EB_IR_SWAP:
    case EB_IR_SEXT:
    case EB_IR_ZEXT:
    case EB_IR_TRUNC:
    case EB_IR_SPACE:
        eb_sel_unary(s, value);
        break;
    case EB_IR_COPY:
        s->reg[value] = eb_sel_reg(s, ir->a);
        break;
    case EB_IR_CMP:
        eb_sel_compare(s, value);
        break;
    case EB_IR_CALL:
    case EB_IR_HELPER:
    case EB_IR_CALLX:
        call(s, value);
        break;
    case EB_IR_ASM:
    case EB_IR_GOTO:
        eb_sel_asm(s, value);
        break;
    case EB_IR_JUMP:
        eb_sel_emit(s, EB_M_JUMP);
        break;
    case EB_IR_BRANCH:
        eb_sel_branch(s, value);
        break;
    case EB_IR_RETURN:
        leave(s, ir);
        break;
    case EB_IR_UNREACHABLE:
        if (ir->imm)
            eb_diag_add(s->ctx, EB_DIAG_TRAP, ir->loc, ir->loc + (ir->loc != 0));
        eb_sel_emit(s, EB_M_END);
        break;
    case EB_IR_NONE:
    case EB_IR_PARAM: /* first of all */
    case EB_IR_PHI:
        break;
    case EB_IR_OUTPUT:
        eb_sel_output(s, value);
        break;
    default:
        if (!is_free(ir->op))
            eb_sel_memory(s, value);
    }
}

/* ---- blocks and edges ---- */

uint32_t eb_sel_block(eb_sel *s) {
    uint32_t depth = s->mfn->blocks.at[s->block].depth;
    bool cold = s->mfn->blocks.at[s->block].cold;
    eb_mblock *block = EB_PUSH(&s->ctx->scratch, &s->mfn->blocks);
    block->depth = depth;
    block->cold = cold;
    return s->mfn->blocks.len - 1;
}

void eb_sel_edge(eb_sel *s, uint32_t from, uint32_t to) {
    *EB_PUSH(&s->ctx->scratch, &s->mfn->blocks.at[from].succs) = to;
    *EB_PUSH(&s->ctx->scratch, &s->mfn->blocks.at[to].preds) = from;
}

static bool has_phis(const eb_sel *s, uint32_t block) {
    return eb_sel_ir(s, s->fn->blocks.at[block].first)->op == EB_IR_PHI;
}

/* The copies for the phis of `to` when it is entered by predecessor `index`. */
static void copies(eb_sel *s, uint32_t to, uint32_t index) {
    for (eb_value v = s->fn->blocks.at[to].first; v && eb_sel_ir(s, v)->op == EB_IR_PHI;
         v = eb_sel_ir(s, v)->next) {
        eb_value operand = s->fn->lists.at[eb_sel_ir(s, v)->list].values.at[index];
        if (operand)
            eb_sel_put(s, s->entry[v], operand);
    }
}

/* The edges of a block whose instructions, but for the last, are selected. */
static void edges(eb_sel *s, uint32_t from) {
    const eb_block *block = &s->fn->blocks.at[from];
    uint32_t tail = s->tail[from];
    for (uint32_t n = 0; n < block->succs.len; n++) {
        uint32_t to = block->succs.at[n], nth = 0;
        for (uint32_t k = 0; k < n; k++)
            nth += block->succs.at[k] == to;
        if (!has_phis(s, to)) {
            eb_sel_edge(s, tail, to);
            continue;
        }
        s->block = tail;
        s->loc = eb_sel_ir(s, block->last)->loc;
        uint32_t edge = eb_sel_ir(s, block->last)->op != EB_IR_JUMP ? eb_sel_block(s) : 0;
        if (edge) {
            s->block = edge;
            eb_sel_edge(s, tail, edge);
        }
        uint32_t index = eb_edge_index(s->fn, from, to, nth);
        if (index != UINT32_MAX)
            copies(s, to, index);
        if (edge)
            eb_sel_emit(s, EB_M_JUMP);
        eb_sel_edge(s, edge ? edge : tail, to);
    }
}

/* An edge's copies stand before the jump that ends its block. */
static void finish_block(eb_sel *s, uint32_t number) {
    const eb_block *block = &s->fn->blocks.at[number];
    eb_value last = block->last;
    if (eb_sel_ir(s, last)->op == EB_IR_JUMP) {
        s->tail[number] = s->block;
        edges(s, number);
        s->block = s->tail[number];
        operation(s, last);
        return;
    }
    operation(s, last);
    s->tail[number] = s->block;
    edges(s, number);
}

/* Makes a value whose home is the block at hand, once. */
static void make_home(eb_sel *s, eb_value value, uint32_t block) {
    if (s->home[value] == block && !s->reg[value])
        make(s, eb_sel_def(s, value), eb_sel_ir(s, value));
}

/* Makes what the instruction needs and what nobody has made here before the block ends. */
static void make_homes(eb_sel *s, eb_value v, uint32_t block) {
    if (!s->homed.len)
        return;
    s->loc = eb_sel_ir(s, v)->loc;
    for (eb_uses u = eb_uses_of(s->fn, v); eb_uses_next(&u);)
        make_home(s, *u.at, block);
    for (uint32_t n = 0; v == s->fn->blocks.at[block].last && n < s->homed.len; n++)
        make_home(s, s->homed.at[n], block);
}

static void select_block(eb_sel *s, uint32_t number) {
    const eb_block *block = &s->fn->blocks.at[number];
    s->block = number;
    if (number == 1)
        for (eb_value v = block->first; v; v = eb_sel_ir(s, v)->next)
            if (eb_sel_ir(s, v)->op == EB_IR_PARAM) {
                s->loc = eb_sel_ir(s, v)->loc;
                parameter(s, v);
            }
    for (eb_value v = block->first; v; v = eb_sel_ir(s, v)->next) {
        uint8_t op = eb_sel_ir(s, v)->op;
        if (op == EB_IR_PHI || op == EB_IR_PARAM) {
            eb_sel_clean(s, v);
            continue;
        }
        make_homes(s, v, number);
        if (v != block->last)
            operation(s, v);
    }
    finish_block(s, number);
}

static void start(eb_sel *s) {
    eb_arena *arena = &s->ctx->scratch;
    uint32_t count = s->fn->values.len;
    s->uses = eb_alloc_array(arena, count, sizeof *s->uses);
    s->reg = eb_alloc_array(arena, count, sizeof *s->reg);
    s->entry = eb_alloc_array(arena, count, sizeof *s->entry);
    s->lazy = eb_alloc_array(arena, count, sizeof *s->lazy);
    s->dirty = eb_alloc_array(arena, count, sizeof *s->dirty);
    s->wanted = eb_alloc_array(arena, count, sizeof *s->wanted);
    s->tail = eb_alloc_array(arena, s->fn->blocks.len, sizeof *s->tail);
    for (uint32_t n = 0; n < s->fn->blocks.len; n++) {
        eb_mblock *block = EB_PUSH(arena, &s->mfn->blocks);
        block->depth = s->fn->blocks.at[n].depth;
    }
    s->home = s->fn->unit->optimize ? eb_sel_homes(s->fn) : eb_value_map(s->fn);
    for (eb_value v = 1; v < count; v++)
        if (s->home[v])
            *EB_PUSH(arena, &s->homed) = v;
    s->slots = eb_alloc_array(arena, s->fn->slots.len + 1, sizeof *s->slots);
    eb_sel_share_slots(s->fn, s->slots);
    for (uint32_t n = 0; n < s->fn->slots.len; n++) {
        const eb_slot *slot = &s->fn->slots.at[n];
        *EB_PUSH(arena, &s->mfn->slots) = (eb_mslot){
            .size = slot->size, .align = slot->align, .name = slot->name, .loc = slot->loc};
    }
    for (uint32_t n = 0; n < s->fn->slots.len; n++) {
        eb_mslot *into = &s->mfn->slots.at[s->slots[n]];
        if (into->align < s->fn->slots.at[n].align)
            into->align = s->fn->slots.at[n].align;
    }
}

static void analyse(eb_sel *s, const uint32_t *order, uint32_t blocks) {
    EB_VEC(eb_value) values = {0};
    for (uint32_t n = 0; n < blocks; n++)
        for (eb_value v = s->fn->blocks.at[order[n]].first; v; v = eb_sel_ir(s, v)->next) {
            note_uses(s, v);
            *EB_PUSH(&s->ctx->scratch, &values) = v;
        }
    find_dirt(s, values.at, values.len);
}

/* Registers of the phis are known before any edge writes them. */
static void enter_phis(eb_sel *s, const uint32_t *order, uint32_t blocks) {
    for (uint32_t n = 0; n < blocks; n++) {
        s->block = order[n];
        for (eb_value v = s->fn->blocks.at[order[n]].first; v && eb_sel_ir(s, v)->op == EB_IR_PHI;
             v = eb_sel_ir(s, v)->next) {
            s->loc = eb_sel_ir(s, v)->loc;
            phi(s, v);
        }
    }
}

eb_mfn *eb_gen_select(eb_fn *fn) {
    ebpf_ctx *ctx = fn->unit->ctx;
    uint32_t errors = ctx->errors;
    eb_mfn *mfn = eb_alloc(&ctx->scratch, sizeof *mfn);
    *mfn = (eb_mfn){.ctx = ctx, .unit = fn->unit, .ir = fn, .regs = EB_VREG};
    eb_sel s = {.ctx = ctx, .fn = fn, .mfn = mfn, .cpu = fn->unit->cpu};
    eb_cfg_analyse(fn); /* depth of loops, dominators */
    start(&s);
    const uint32_t *order = fn->rpo.at, blocks = fn->rpo.len;
    analyse(&s, order, blocks);
    enter_phis(&s, order, blocks);
    for (uint32_t n = 0; n < blocks; n++)
        select_block(&s, order[n]);
    return ctx->errors == errors ? mfn : NULL;
}
