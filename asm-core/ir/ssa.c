/* ssa.c - puts variables into SSA form: stack slots of which only the whole is read and written
 * (the pass mem2reg), and values that copying blocks gave several definitions (eb_ssa_repair).
 *
 * Phis stand where the definitions' dominance frontiers, iterated, meet blocks in which the
 * variable is live. Frontiers are not stored: Sreedhar and Gao, "A Linear Time Algorithm for
 * Placing phi-Nodes": from the deepest definition up, walk its subtree of dominators and look at
 * edges that leave it. No definition from above comes through a block where the variable is not
 * live, so the walk goes around it, and a short life costs little. Then one walk down the dominator
 * tree carries the current definition of each variable and takes it back on the way up. A variable
 * of one block needs neither.
 *
 * A slot that is narrower than a register: what is stored is cut to its size with the sign that all
 * loads want (or without), so a load is just the value. What is read before it was written is
 * UNDEF. */
#include "ssa.h"

#include "pass.h"

typedef struct variable {
    eb_ir_type type;
    uint8_t size; /* slots: bytes of each access, 0 until the first; or UINT8_MAX: not promoted */
    bool used, is_signed;
    int64_t offset;
    eb_value undef, current;
    uint32_t last_def; /* block; so that defs has each once in a run */
    EB_VEC(uint32_t) defs;
    EB_VEC(uint32_t) uses; /* blocks in which it is used before it is defined */
} variable;

typedef struct undo {
    uint32_t var;
    eb_value value;
} undo;

typedef struct ssa {
    eb_fn *fn;
    eb_arena *scratch;
    variable *vars;
    uint32_t count;
    const uint32_t *value_var; /* repair: of each value below first_phi */
    uint32_t first_phi;        /* values from here on: phi_var */
    EB_VEC(uint32_t) phi_var;  /* of value first_phi + n, or UINT32_MAX */
    EB_VEC(undo) undos;
    /* for each block, equal to the stamp of the variable at work: */
    uint32_t *defined, *live, *queued, *walked;
    uint32_t *bucket, *next; /* blocks in the queue by level */
    uint32_t waiting;        /* how many */
    uint32_t *stack;
    eb_edges edges;
} ssa;

static void init(ssa *s, eb_fn *fn, uint32_t vars) {
    uint32_t blocks = fn->blocks.len;
    *s = (ssa){.fn = fn, .scratch = eb_scratch(fn), .count = vars};
    s->edges = eb_edges_build(fn);
    s->vars = eb_alloc_array(s->scratch, (size_t)vars + 1, sizeof *s->vars);
    uint32_t **const arrays[] = {&s->defined, &s->live, &s->queued, &s->walked,
                                 &s->bucket,  &s->next, &s->stack};
    for (unsigned n = 0; n < sizeof arrays / sizeof arrays[0]; n++)
        *arrays[n] = eb_alloc_array(s->scratch, (size_t)blocks + 1, sizeof(uint32_t));
}

static void note_def(ssa *s, variable *var, uint32_t block) {
    if (var->last_def != block)
        *EB_PUSH(s->scratch, &var->defs) = block;
    var->last_def = block;
}

static void note_use(ssa *s, variable *var, uint32_t block) {
    if (var->last_def != block && (!var->uses.len || var->uses.at[var->uses.len - 1] != block))
        *EB_PUSH(s->scratch, &var->uses) = block;
}

/* ---- placing phis ---- */

static void mark_live(ssa *s, const variable *var, uint32_t stamp) {
    uint32_t depth = 0;
    for (uint32_t n = 0; n < var->uses.len; n++)
        if (s->live[var->uses.at[n]] != stamp) {
            s->live[var->uses.at[n]] = stamp;
            s->stack[depth++] = var->uses.at[n];
        }
    while (depth) {
        const eb_block *block = &s->fn->blocks.at[s->stack[--depth]];
        for (uint32_t p = 0; p < block->preds.len; p++) {
            uint32_t pred = block->preds.at[p];
            if (s->defined[pred] == stamp || s->live[pred] == stamp)
                continue;
            s->live[pred] = stamp;
            s->stack[depth++] = pred;
        }
    }
}

static void queue(ssa *s, uint32_t block) {
    uint32_t level = s->fn->blocks.at[block].level;
    s->next[block] = s->bucket[level];
    s->bucket[level] = block;
    s->waiting++;
}

static void place_phi(ssa *s, uint32_t var, uint32_t block) {
    eb_fn *fn = s->fn;
    eb_value first = fn->blocks.at[block].first;
    eb_value phi = eb_ir_new(fn, EB_IR_PHI, s->vars[var].type, 0, 0, eb_ir_at(fn, first)->loc);
    uint32_t list = eb_list_new(fn, NULL, 0);
    for (uint32_t n = 0; n < fn->blocks.at[block].preds.len; n++)
        *EB_PUSH(&fn->unit->ctx->arena, &fn->lists.at[list].values) = 0;
    eb_ir_at(fn, phi)->list = list;
    eb_ir_before(fn, first, phi);
    while (s->phi_var.len <= phi - s->first_phi)
        *EB_PUSH(s->scratch, &s->phi_var) = UINT32_MAX;
    s->phi_var.at[phi - s->first_phi] = var;
}

/* The edge from inside of a subtree whose root is at `level` to `to`. */
static void meet_edge(ssa *s, uint32_t var, uint32_t stamp, uint32_t to, uint32_t level) {
    if (s->fn->blocks.at[to].level > level || s->queued[to] == stamp)
        return;
    s->queued[to] = stamp;
    if (s->live[to] != stamp)
        return;
    place_phi(s, var, to);
    if (s->defined[to] != stamp)
        queue(s, to);
}

static void walk_subtree(ssa *s, uint32_t var, uint32_t stamp, uint32_t root) {
    uint32_t depth = 0, level = s->fn->blocks.at[root].level;
    if (s->walked[root] == stamp)
        return;
    s->walked[root] = stamp;
    s->stack[depth++] = root;
    while (depth) {
        uint32_t b = s->stack[--depth];
        const eb_block *block = &s->fn->blocks.at[b];
        for (uint32_t n = 0; n < block->succs.len; n++)
            if (s->fn->blocks.at[block->succs.at[n]].idom != b)
                meet_edge(s, var, stamp, block->succs.at[n], level);
        for (uint32_t child = block->child; child; child = s->fn->blocks.at[child].sibling)
            if (s->live[child] == stamp && s->walked[child] != stamp) {
                s->walked[child] = stamp;
                s->stack[depth++] = child;
            }
    }
}

static void place_phis(ssa *s, uint32_t var) {
    variable *v = &s->vars[var];
    uint32_t stamp = var + 1, deepest = 0;
    if (!v->uses.len)
        return;
    for (uint32_t n = 0; n < v->defs.len; n++) {
        if (s->defined[v->defs.at[n]] == stamp)
            continue;
        s->defined[v->defs.at[n]] = stamp;
        queue(s, v->defs.at[n]);
        if (s->fn->blocks.at[v->defs.at[n]].level > deepest)
            deepest = s->fn->blocks.at[v->defs.at[n]].level;
    }
    mark_live(s, v, stamp);
    for (uint32_t level = deepest + 1; s->waiting && level--;)
        while (s->bucket[level]) {
            uint32_t root = s->bucket[level];
            s->bucket[level] = s->next[root];
            s->waiting--;
            walk_subtree(s, var, stamp, root);
        }
}

/* ---- carrying definitions ---- */

static void define(ssa *s, uint32_t var, eb_value value) {
    *EB_PUSH(s->scratch, &s->undos) = (undo){var, s->vars[var].current};
    s->vars[var].current = value;
}

static eb_value current(ssa *s, uint32_t var) {
    variable *v = &s->vars[var];
    if (v->current)
        return v->current;
    if (!v->undef) {
        eb_value first = s->fn->blocks.at[1].first;
        v->undef = eb_ir_new(s->fn, EB_IR_UNDEF, v->type, 0, 0, eb_ir_at(s->fn, first)->loc);
        eb_ir_before(s->fn, first, v->undef);
    }
    return v->undef;
}

/* The variable for which place_phi made the value, or UINT32_MAX. */
static uint32_t var_of_phi(const ssa *s, eb_value value) {
    bool ours = value >= s->first_phi && value - s->first_phi < s->phi_var.len;
    return ours ? s->phi_var.at[value - s->first_phi] : UINT32_MAX;
}

static void visit_load_store(ssa *s, eb_value value);
static void visit_uses(ssa *s, eb_value value);

static void fill_phis(ssa *s, uint32_t block, uint32_t succ) {
    eb_fn *fn = s->fn;
    uint32_t to = fn->blocks.at[block].succs.at[succ];
    if (!eb_block_has_phis(fn, to))
        return;
    uint32_t index = eb_edges_at(&s->edges, block, succ);
    for (eb_value v = fn->blocks.at[to].first; eb_ir_at(fn, v)->op == EB_IR_PHI;
         v = eb_ir_at(fn, v)->next) {
        uint32_t var = var_of_phi(s, v);
        eb_value operand = *eb_phi_at(fn, v, index);
        if (var == UINT32_MAX && s->value_var && operand < s->first_phi && s->value_var[operand])
            var = s->value_var[operand] - 1;
        if (var != UINT32_MAX) {
            eb_value now = current(s, var); /* which may make an instruction */
            *eb_phi_at(fn, v, index) = now;
        }
    }
}

static void enter_block(ssa *s, uint32_t block) {
    eb_fn *fn = s->fn;
    for (eb_value v = fn->blocks.at[block].first, next; v; v = next) {
        next = eb_ir_at(fn, v)->next;
        if (var_of_phi(s, v) != UINT32_MAX)
            define(s, var_of_phi(s, v), v);
        else if (s->value_var)
            visit_uses(s, v);
        else
            visit_load_store(s, v);
    }
    for (uint32_t n = 0; n < fn->blocks.at[block].succs.len; n++)
        fill_phis(s, block, n);
}

static void leave_block(ssa *s, uint32_t undos) {
    while (s->undos.len > undos) {
        undo *last = &s->undos.at[--s->undos.len];
        s->vars[last->var].current = last->value;
    }
}

/* Down the dominator tree; `defined` holds, for the blocks on the way, how many undos there were.
 */
static void rename_all(ssa *s) {
    const eb_fn *fn = s->fn;
    uint32_t *before = s->defined, b = 1;
    for (;;) {
        before[b] = s->undos.len;
        enter_block(s, b);
        if (fn->blocks.at[b].child) {
            b = fn->blocks.at[b].child;
            continue;
        }
        leave_block(s, before[b]);
        while (b && !fn->blocks.at[b].sibling) {
            b = fn->blocks.at[b].idom;
            if (b)
                leave_block(s, before[b]);
        }
        if (!b)
            return;
        b = fn->blocks.at[b].sibling;
    }
}

/* ---- slots ---- */

/* The variable of the slot that `address` + imm is, if only the whole is accessed. */
static variable *slot_of(ssa *s, eb_value address) {
    const eb_ir *ir = eb_ir_at(s->fn, address);
    return ir->op == EB_IR_SLOT ? &s->vars[ir->extra] : NULL;
}

static bool is_access(const eb_ir *ir) {
    return ir->op == EB_IR_LOAD || ir->op == EB_IR_STORE;
}

/* Whether a slot is read and written as a whole; its type. */
static void judge_access(ssa *s, const eb_ir *ir) {
    variable *var = slot_of(s, ir->a);
    if (ir->op == EB_IR_STORE && slot_of(s, ir->b))
        slot_of(s, ir->b)->size = UINT8_MAX; /* its address is stored */
    if (!var || var->size == UINT8_MAX)
        return;
    int64_t offset = (int64_t)((uint64_t)eb_ir_at(s->fn, ir->a)->imm + (uint64_t)ir->imm);
    bool first = !var->size;
    unsigned wide = ir->op == EB_IR_LOAD ? ir->type : eb_ir_at(s->fn, ir->b)->type;
    if (first) {
        var->size = ir->size;
        var->offset = offset;
        var->type = ir->size < 8 ? EB_IR_I32 : (eb_ir_type)wide;
        var->is_signed = true;
    }
    if ((ir->flags & EB_IR_VOLATILE) || ir->extra || ir->size != var->size ||
        offset != var->offset || offset < 0 ||
        (uint64_t)offset + ir->size > s->fn->slots.at[eb_ir_at(s->fn, ir->a)->extra].size) {
        var->size = UINT8_MAX;
        return;
    }
    if (var->size == 8 && wide != var->type)
        var->type = EB_IR_I64;
    if (ir->op == EB_IR_LOAD)
        var->is_signed &= (ir->flags & EB_IR_SIGNED) != 0;
}

static void judge_slots(ssa *s) {
    for (eb_value v = 1; v < s->fn->values.len; v++) {
        const eb_ir *ir = eb_ir_at(s->fn, v);
        if (ir->op == EB_IR_NONE || !ir->block)
            continue;
        if (is_access(ir)) {
            judge_access(s, ir);
            continue;
        }
        for (eb_uses uses = eb_uses_of(s->fn, v); eb_uses_next(&uses);)
            if (slot_of(s, *uses.at))
                slot_of(s, *uses.at)->size = UINT8_MAX;
    }
}

static bool note_accesses(ssa *s) {
    bool any = false;
    for (uint32_t n = 0; n < s->fn->rpo.len; n++) {
        uint32_t b = s->fn->rpo.at[n];
        for (eb_value v = s->fn->blocks.at[b].first; v; v = eb_ir_at(s->fn, v)->next) {
            const eb_ir *ir = eb_ir_at(s->fn, v);
            variable *var = is_access(ir) ? slot_of(s, ir->a) : NULL;
            if (!var || var->size == UINT8_MAX)
                continue;
            any = true;
            if (ir->op == EB_IR_LOAD)
                note_use(s, var, b);
            else
                note_def(s, var, b);
        }
    }
    return any;
}

/* What a store leaves in the variable. */
static eb_value stored(ssa *s, const variable *var, eb_value store) {
    eb_value value = eb_ir_at(s->fn, store)->b;
    if (var->size == 8)
        return value;
    if (eb_ir_at(s->fn, value)->type != EB_IR_I32)
        value = eb_ir_put(s->fn, store, EB_IR_TRUNC, EB_IR_I32, value, 0);
    if (var->size == 4)
        return value;
    if (var->is_signed) {
        value = eb_ir_put(s->fn, store, EB_IR_SEXT, EB_IR_I32, value, 0);
        eb_ir_at(s->fn, value)->size = var->size;
        return value;
    }
    eb_value mask = eb_ir_put(s->fn, store, EB_IR_CONST, EB_IR_I32, 0, 0);
    eb_ir_at(s->fn, mask)->imm = var->size == 1 ? 0xff : 0xffff;
    return eb_ir_put(s->fn, store, EB_IR_AND, EB_IR_I32, value, mask);
}

/* The load becomes the value, extended to its type. */
static void load_value(ssa *s, const variable *var, eb_value load, eb_value value) {
    eb_ir *ir = eb_ir_at(s->fn, load);
    bool extend = (ir->flags & EB_IR_SIGNED) && var->size < 4 && !var->is_signed;
    if (ir->type == EB_IR_I32 && !extend) {
        eb_ir_become(s->fn, load, value);
        return;
    }
    ir->op = (uint8_t)(var->size == 8             ? EB_IR_COPY
                       : ir->flags & EB_IR_SIGNED ? EB_IR_SEXT
                                                  : EB_IR_ZEXT);
    ir->size = ir->op == EB_IR_SEXT ? var->size : 0;
    ir->flags = 0;
    ir->a = value;
    ir->imm = 0;
}

static void visit_load_store(ssa *s, eb_value value) {
    const eb_ir *ir = eb_ir_at(s->fn, value);
    variable *var = is_access(ir) ? slot_of(s, ir->a) : NULL;
    if (!var || var->size == UINT8_MAX)
        return;
    uint32_t number = (uint32_t)(var - s->vars);
    if (ir->op == EB_IR_STORE) {
        define(s, number, stored(s, var, value));
        eb_ir_remove(s->fn, value);
    } else {
        load_value(s, var, value, current(s, number));
    }
}

bool eb_pass_mem2reg(eb_fn *fn) {
    ssa s;
    eb_cfg_build(fn);
    init(&s, fn, fn->slots.len);
    judge_slots(&s);
    if (!note_accesses(&s))
        return false;
    s.first_phi = fn->values.len;
    for (uint32_t var = 0; var < s.count; var++)
        if (s.vars[var].size != UINT8_MAX)
            place_phis(&s, var);
    rename_all(&s);
    (void)eb_ir_settle(fn);
    return true;
}

/* ---- repair ---- */

static void visit_uses(ssa *s, eb_value value) {
    if (eb_ir_at(s->fn, value)->op != EB_IR_PHI)
        for (eb_uses uses = eb_uses_of(s->fn, value); eb_uses_next(&uses);) {
            uint32_t var = *uses.at < s->first_phi ? s->value_var[*uses.at] : 0;
            if (!var)
                continue;
            eb_value now = s->vars[var - 1].current;
            if (!now) {
                uint32_t step = uses.step;
                now = current(s, var - 1); /* makes an instruction: where the operand is changes */
                uses = eb_uses_of(s->fn, value);
                while (uses.step < step)
                    (void)eb_uses_next(&uses);
            }
            *uses.at = now;
        }
    if (value < s->first_phi && s->value_var[value])
        define(s, s->value_var[value] - 1, value);
}

static void note_values(ssa *s, uint32_t block) {
    eb_fn *fn = s->fn;
    for (eb_value v = fn->blocks.at[block].first; v; v = eb_ir_at(fn, v)->next) {
        if (eb_ir_at(fn, v)->op != EB_IR_PHI)
            for (eb_uses uses = eb_uses_of(fn, v); eb_uses_next(&uses);)
                if (s->value_var[*uses.at])
                    note_use(s, &s->vars[s->value_var[*uses.at] - 1], block);
        if (s->value_var[v])
            note_def(s, &s->vars[s->value_var[v] - 1], block);
    }
    /* What phis use, they use at the end of the predecessor. */
    const eb_block *from = &fn->blocks.at[block];
    for (uint32_t n = 0; n < from->succs.len; n++) {
        uint32_t to = from->succs.at[n], index = UINT32_MAX;
        for (eb_value v = fn->blocks.at[to].first; eb_ir_at(fn, v)->op == EB_IR_PHI;
             v = eb_ir_at(fn, v)->next) {
            index = index == UINT32_MAX ? eb_edge_of(fn, block, n) : index;
            eb_value operand = *eb_phi_at(fn, v, index);
            if (s->value_var[operand])
                note_use(s, &s->vars[s->value_var[operand] - 1], block);
        }
    }
}

void eb_ssa_repair(eb_fn *fn, const uint32_t *var, uint32_t vars) {
    ssa s;
    eb_cfg_build(fn);
    init(&s, fn, vars);
    s.value_var = var;
    s.first_phi = fn->values.len;
    for (eb_value v = 1; v < fn->values.len; v++)
        if (var[v] && eb_ir_at(fn, v)->op != EB_IR_NONE)
            s.vars[var[v] - 1].type = (eb_ir_type)eb_ir_at(fn, v)->type;
    for (uint32_t n = 0; n < fn->rpo.len; n++)
        note_values(&s, fn->rpo.at[n]);
    for (uint32_t n = 0; n < vars; n++)
        place_phis(&s, n);
    rename_all(&s);
}
