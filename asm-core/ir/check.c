/* check.c - what must always hold of a function; the first thing that does not, as text.
 *
 *   - blocks: a doubly linked list from first to last, phis first, one END and that at the end, as
 *     many successors as it says; edges stand on both sides equally often; none leads to the entry
 *   - operands: instructions that are in a block, of the types that the operation wants; a phi has
 *     one for each predecessor
 *   - sizes are 1, 2, 4 or 8 where memory is accessed; symbols, slots, records and lists exist
 *   - what an operand names is computed on every way to its use (in blocks that are reached)
 *
 * Nothing of the function is trusted: a number is compared with its table before it is followed,
 * and links are walked at most as often as there are instructions. */
#include "cfg.h"
#include "pass.h"

typedef struct checker {
    const eb_fn *fn;
    eb_fn graph;     /* a copy whose blocks carry order and dominators */
    uint32_t *place; /* of an instruction in its block, from 1; 0: in none */
    uint32_t block;
    eb_value value; /* at work */
    eb_str problem;
} checker;

#define PROBLEM(c, ...)                                                                            \
    do {                                                                                           \
        if (!(c)->problem.len)                                                                     \
            (c)->problem = eb_str_fmt(&(c)->fn->unit->ctx->arena, __VA_ARGS__);                    \
    } while (0)

/* ---- lists of instructions ---- */

static void check_links(checker *c, uint32_t b) {
    const eb_fn *fn = c->fn;
    const eb_block *block = &fn->blocks.at[b];
    eb_value before = 0;
    uint32_t steps = 0;
    for (eb_value v = block->first; v; before = v, v = eb_ir_at(fn, v)->next) {
        if (v >= fn->values.len || ++steps > fn->values.len) {
            PROBLEM(c, "b%u: its instructions are no list", b);
            return;
        }
        const eb_ir *ir = eb_ir_at(fn, v);
        if (ir->block != b || ir->prev != before || c->place[v])
            PROBLEM(c, "b%u: v%u is linked wrongly", b, v);
        if (ir->op == EB_IR_NONE || ir->op >= EB_IR_OP_COUNT)
            PROBLEM(c, "b%u: v%u is no instruction", b, v);
        if (c->problem.len)
            return;
        c->place[v] = steps;
        bool after_other = before && eb_ir_at(fn, before)->op != EB_IR_PHI;
        if (ir->op == EB_IR_PHI && after_other)
            PROBLEM(c, "b%u: phi v%u does not stand first", b, v);
        if ((eb_ir_rows[ir->op].effect == EB_EFFECT_END) != (v == block->last))
            PROBLEM(c, "b%u: v%u %s", b, v, v == block->last ? "does not end it" : "ends it early");
    }
    if (before != block->last)
        PROBLEM(c, "b%u: its last instruction is not the end of its list", b);
    if (!block->first && (block->preds.len || block->succs.len || b == 1))
        PROBLEM(c, "b%u: it has no instructions", b);
}

/* ---- edges ---- */

static uint32_t wanted_succs(checker *c, const eb_ir *end) {
    switch (end->op) {
    case EB_IR_JUMP:
        return 1;
    case EB_IR_BRANCH:
        return 2;
    case EB_IR_GOTO:
        if (!end->extra || end->extra >= c->fn->unit->asms.len)
            return 0; /* said elsewhere */
        return 1 + c->fn->unit->asms.at[end->extra].labels.len;
    default:
        return 0;
    }
}

static void check_edges(checker *c, uint32_t b) {
    const eb_block *block = &c->fn->blocks.at[b];
    if (!block->first)
        return;
    uint32_t wanted = wanted_succs(c, eb_ir_at(c->fn, block->last));
    if (block->succs.len != wanted)
        PROBLEM(c, "b%u: %u successors instead of %u", b, block->succs.len, wanted);
    for (uint32_t n = 0; n < block->succs.len; n++) {
        uint32_t to = block->succs.at[n];
        if (!to || to >= c->fn->blocks.len || !c->fn->blocks.at[to].first)
            PROBLEM(c, "b%u: successor %u is no block", b, to);
        else if (to == 1)
            PROBLEM(c, "b%u: an edge leads to the entry", b);
    }
    for (uint32_t n = 0; n < block->preds.len; n++) {
        uint32_t from = block->preds.at[n];
        if (!from || from >= c->fn->blocks.len || !c->fn->blocks.at[from].first)
            PROBLEM(c, "b%u: predecessor %u is no block", b, from);
    }
}

/* The number of each edge: every edge out minus every edge in, under the same key, is nothing. Two
 * weighted sums instead of a table: an edge (from, to) is a pseudo-random word. */
static uint64_t edge_word(uint32_t from, uint32_t to) {
    uint64_t word = ((uint64_t)from << 32 | to) * 0x9e3779b97f4a7c15u;
    return (word ^ word >> 29) * 0xbf58476d1ce4e5b9u;
}

static void check_symmetry(checker *c) {
    uint64_t *sum = eb_alloc_array(eb_scratch(c->fn), c->fn->blocks.len, sizeof *sum);
    for (uint32_t b = 1; b < c->fn->blocks.len; b++) {
        const eb_block *block = &c->fn->blocks.at[b];
        for (uint32_t n = 0; n < block->succs.len; n++)
            sum[block->succs.at[n]] += edge_word(b, block->succs.at[n]);
        for (uint32_t n = 0; n < block->preds.len; n++)
            sum[b] -= edge_word(block->preds.at[n], b);
    }
    for (uint32_t b = 1; b < c->fn->blocks.len; b++)
        if (sum[b])
            PROBLEM(c, "b%u: its predecessors are not the blocks that lead to it", b);
}

/* ---- operands ---- */

static eb_ir_type type_of(const checker *c, eb_value value) {
    return (eb_ir_type)eb_ir_at(c->fn, value)->type;
}

static bool is_wide(eb_ir_type type) {
    return type == EB_IR_I64 || type == EB_IR_PTR;
}

/* i64 and ptr are one register: an operation takes either. */
static bool same_width(eb_ir_type a, eb_ir_type b) {
    return a == b || (is_wide(a) && is_wide(b));
}

static void check_operand(checker *c, eb_value operand) {
    if (operand >= c->fn->values.len || !c->place[operand])
        PROBLEM(c, "b%u: v%u uses v%u, which is nowhere", c->block, c->value, operand);
    else if (type_of(c, operand) == EB_IR_VOID)
        PROBLEM(c, "b%u: v%u uses v%u, which has no value", c->block, c->value, operand);
}

static void want_type(checker *c, eb_value operand, eb_ir_type type, const char *what) {
    if (!operand)
        PROBLEM(c, "b%u: v%u has no %s", c->block, c->value, what);
    else if (!same_width(type_of(c, operand), type))
        PROBLEM(c, "b%u: v%u has %s v%u of another width", c->block, c->value, what, operand);
}

static bool size_fits(unsigned size, unsigned most) {
    return (size == 1 || size == 2 || size == 4 || size == 8) && size <= most;
}

static unsigned width(eb_ir_type type) {
    return type == EB_IR_I32 ? 4 : 8;
}

static void check_size(checker *c, unsigned size, unsigned most) {
    if (!size_fits(size, most))
        PROBLEM(c, "b%u: v%u has size %u", c->block, c->value, size);
}

static void check_number(checker *c, uint32_t number, uint32_t first, uint32_t count,
                         const char *what) {
    if (number < first || number >= count)
        PROBLEM(c, "b%u: v%u names %s %u, which is none", c->block, c->value, what, number);
}

static void check_extra(checker *c, const eb_ir *ir) {
    const eb_ir_unit *unit = c->fn->unit;
    for (const char *letter = eb_ir_rows[ir->op].operands; *letter; letter++)
        switch (*letter) {
        case 's':
            check_number(c, ir->extra, 1, unit->symbols.len, "symbol");
            break;
        case 'k':
            check_number(c, ir->extra, 0, c->fn->slots.len, "slot");
            break;
        case 'r':
            check_number(c, ir->extra, 1, unit->cores.len, "record");
            break;
        case 'm':
            check_number(c, ir->extra, 0, unit->cores.len, "record");
            break;
        case 'x':
            check_number(c, ir->extra, 1, unit->asms.len, "assembly");
            break;
        default:
            break;
        }
}

static void check_list(checker *c, const eb_ir *ir) {
    bool wanted = strchr(eb_ir_rows[ir->op].operands, 'l');
    if (!wanted && ir->list)
        PROBLEM(c, "b%u: v%u has a list", c->block, c->value);
    if (ir->list >= c->fn->lists.len) {
        PROBLEM(c, "b%u: v%u has a list that is none", c->block, c->value);
        return;
    }
    const eb_list *list = &c->fn->lists.at[ir->list];
    uint32_t count = ir->list ? list->values.len : 0;
    if (ir->op == EB_IR_PHI && count != c->fn->blocks.at[c->block].preds.len)
        PROBLEM(c, "b%u: phi v%u has %u operands for %u predecessors", c->block, c->value, count,
                c->fn->blocks.at[c->block].preds.len);
    for (uint32_t n = 0; n < count && !c->problem.len; n++) {
        if (!list->values.at[n])
            PROBLEM(c, "b%u: v%u lacks operand %u", c->block, c->value, n);
        check_operand(c, list->values.at[n]);
        if (ir->op == EB_IR_PHI && !c->problem.len)
            want_type(c, list->values.at[n], (eb_ir_type)ir->type, "operand");
    }
}

/* What an operation wants of its operands and itself. */
static void check_types(checker *c, const eb_ir *ir) {
    eb_ir_type type = (eb_ir_type)ir->type;
    if (eb_ir_is_binary(ir->op)) {
        want_type(c, ir->a, type, "operand");
        want_type(c, ir->b, type, "operand");
        return;
    }
    switch (ir->op) { /* one case per operation */
    case EB_IR_CONST:
        if (ir->imm != eb_ir_wrap(type, ir->imm))
            PROBLEM(c, "b%u: v%u has more bits than its type", c->block, c->value);
        break;
    case EB_IR_SYMBOL:
    case EB_IR_SLOT:
        if (type != EB_IR_PTR)
            PROBLEM(c, "b%u: address v%u is no pointer", c->block, c->value);
        break;
    case EB_IR_PARAM:
        if (c->block != 1 || ir->imm < 0 || ir->imm >= c->fn->params)
            PROBLEM(c, "b%u: v%u is a parameter that is none", c->block, c->value);
        break;
    case EB_IR_NEG:
    case EB_IR_COPY:
        want_type(c, ir->a, type, "operand");
        break;
    case EB_IR_SWAP:
        want_type(c, ir->a, type, "operand");
        check_size(c, ir->size, width(type));
        break;
    case EB_IR_SEXT:
        if (!ir->a)
            PROBLEM(c, "b%u: v%u has no operand", c->block, c->value);
        else
            check_size(c, ir->size, width(type_of(c, ir->a)));
        break;
    case EB_IR_ZEXT:
        want_type(c, ir->a, EB_IR_I32, "operand");
        want_type(c, c->value, EB_IR_I64, "result");
        break;
    case EB_IR_TRUNC:
        want_type(c, ir->a, EB_IR_I64, "operand");
        want_type(c, c->value, EB_IR_I32, "result");
        break;
    case EB_IR_CMP:
        want_type(c, c->value, EB_IR_I32, "result");
        if (ir->a)
            want_type(c, ir->b, type_of(c, ir->a), "operand");
        break;
    case EB_IR_BRANCH:
        if (ir->a)
            want_type(c, ir->b, type_of(c, ir->a), "operand");
        break;
    case EB_IR_LOAD:
        want_type(c, ir->a, EB_IR_PTR, "address");
        check_size(c, ir->size, width(type));
        break;
    case EB_IR_STORE:
        want_type(c, ir->a, EB_IR_PTR, "address");
        if (ir->b)
            check_size(c, ir->size, width(type_of(c, ir->b)));
        break;
    case EB_IR_ATOMIC:
        want_type(c, ir->a, EB_IR_PTR, "address");
        check_size(c, ir->size, 8);
        if (ir->cond >= EB_ATOMIC_COUNT || (ir->cond == EB_ATOMIC_CAS && !ir->c))
            PROBLEM(c, "b%u: v%u is no atomic operation", c->block, c->value);
        break;
    case EB_IR_COPYMEM:
    case EB_IR_MOVEMEM:
    case EB_IR_SETMEM:
        if (ir->op != EB_IR_SETMEM)
            want_type(c, ir->b, EB_IR_PTR, "address");
        want_type(c, ir->a, EB_IR_PTR, "address");
        check_size(c, ir->size, 8);
        if (ir->imm < 0)
            PROBLEM(c, "b%u: v%u changes %lld bytes", c->block, c->value, (long long)ir->imm);
        break;
    case EB_IR_STRLEN:
    case EB_IR_STRCMP:
    case EB_IR_MEMCMP:
        if (ir->op != EB_IR_STRLEN)
            want_type(c, ir->b, EB_IR_PTR, "address");
        want_type(c, ir->a, EB_IR_PTR, "address");
        want_type(c, c->value, ir->op == EB_IR_STRLEN ? EB_IR_I64 : EB_IR_I32, "result");
        break;
    case EB_IR_OUTPUT:
        if (!ir->a ||
            (eb_ir_at(c->fn, ir->a)->op != EB_IR_ASM && eb_ir_at(c->fn, ir->a)->op != EB_IR_GOTO))
            PROBLEM(c, "b%u: v%u is an output of no assembly", c->block, c->value);
        break;
    case EB_IR_RETURN:
        if (ir->a && c->fn->result != EB_IR_VOID)
            want_type(c, ir->a, (eb_ir_type)c->fn->result, "result");
        break;
    default:
        break;
    }
    if ((ir->op == EB_IR_CMP || ir->op == EB_IR_BRANCH) && ir->cond >= EB_COND_COUNT)
        PROBLEM(c, "b%u: v%u has no condition", c->block, c->value);
}

static bool is_used(const char *operands, char letter) {
    return strchr(operands, letter) || (letter == 'a' && strchr(operands, 'm'));
}

/* Operands that the operation does not have must be 0, so that walks over uses see none. */
static void check_instruction(checker *c) {
    const eb_ir *ir = eb_ir_at(c->fn, c->value);
    const char *operands = eb_ir_rows[ir->op].operands;
    const eb_value own[] = {ir->a, ir->b, ir->c};
    bool optional = ir->op == EB_IR_RETURN;
    /* asm goto's outputs are OUTPUTs: it has none of its own. */
    for (unsigned n = 0; n < 3; n++) {
        bool wanted = is_used(operands, "abc"[n]);
        if (own[n] && !wanted)
            PROBLEM(c, "b%u: v%u has an operand too many", c->block, c->value);
        else if (own[n])
            check_operand(c, own[n]);
        else if (wanted && !optional && n < 2)
            PROBLEM(c, "b%u: v%u has an operand too few", c->block, c->value);
    }
    if (!c->problem.len)
        check_extra(c, ir);
    if (!c->problem.len)
        check_list(c, ir);
    if (!c->problem.len && eb_ir_rows[ir->op].effect == EB_EFFECT_PURE && ir->type == EB_IR_VOID)
        PROBLEM(c, "b%u: v%u has no type", c->block, c->value);
    if (!c->problem.len)
        check_types(c, ir);
}

/* ---- dominance ---- */

static void check_reach(checker *c, eb_value operand, uint32_t block, uint32_t place) {
    const eb_ir *ir = eb_ir_at(c->fn, operand);
    if (!c->graph.blocks.at[block].order)
        return;
    bool good = ir->block == block ? c->place[operand] < place
                                   : c->graph.blocks.at[ir->block].order &&
                                         eb_dominates(&c->graph, ir->block, block);
    if (!good)
        PROBLEM(c, "b%u: v%u uses v%u, which is not computed before", c->block, c->value, operand);
}

static void check_dominance(checker *c) {
    eb_uses uses = eb_uses_of(&c->graph, c->value);
    const eb_ir *ir = eb_ir_at(c->fn, c->value);
    const eb_block *block = &c->fn->blocks.at[c->block];
    for (uint32_t n = 0; eb_uses_next(&uses); n++)
        if (ir->op == EB_IR_PHI)
            check_reach(c, *uses.at, block->preds.at[n], UINT32_MAX);
        else
            check_reach(c, *uses.at, c->block, c->place[c->value]);
}

/* ---- a function ---- */

static void each_instruction(checker *c, void (*check)(checker *)) {
    for (uint32_t b = 1; b < c->fn->blocks.len; b++)
        for (eb_value v = c->fn->blocks.at[b].first; v; v = eb_ir_at(c->fn, v)->next) {
            c->block = b;
            c->value = v;
            check(c);
            if (c->problem.len)
                return;
        }
}

static void check_graph(checker *c) {
    size_t size = c->fn->blocks.len * sizeof(eb_block);
    c->graph = *c->fn;
    c->graph.blocks.at = eb_alloc(eb_scratch(c->fn), size);
    memcpy(c->graph.blocks.at, c->fn->blocks.at, size);
    c->graph.rpo.at = NULL;
    c->graph.rpo.len = c->graph.rpo.cap = 0;
    eb_cfg_analyse(&c->graph);
    each_instruction(c, check_dominance);
}

/* A scope lies in an earlier one, which is how all who follow them know that it ends. */
static void check_scopes(checker *c) {
    const eb_fn *fn = c->fn;
    for (uint32_t n = 1; n < fn->scopes.len && !c->problem.len; n++)
        if (fn->scopes.at[n] >= n)
            PROBLEM(c, "scope %u lies in scope %u", n, fn->scopes.at[n]);
    for (uint32_t n = 0; n < fn->slots.len && !c->problem.len; n++)
        if (fn->slots.at[n].scope >= fn->scopes.len)
            PROBLEM(c, "slot %u is in no scope", n);
}

eb_str eb_ir_check(const eb_fn *fn) {
    checker c = {.fn = fn, .place = eb_value_map(fn)};
    if (fn->blocks.len < 2)
        PROBLEM(&c, "there is no entry");
    check_scopes(&c);
    for (uint32_t b = 1; b < fn->blocks.len && !c.problem.len; b++)
        check_links(&c, b);
    for (uint32_t b = 1; b < fn->blocks.len && !c.problem.len; b++)
        check_edges(&c, b);
    if (!c.problem.len)
        check_symmetry(&c);
    if (!c.problem.len)
        each_instruction(&c, check_instruction);
    if (!c.problem.len)
        check_graph(&c);
    return c.problem;
}
