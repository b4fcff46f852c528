/* unroll.c - loops whose number of rounds is known become straight code: those that a pragma names,
 * and small ones by the measure of clang -O2, whose threshold decides what programs look like to
 * the verifier.
 *
 * The number of rounds comes from running the loop's test: header phis that start as constants are
 * followed round by round through pure operations, until the branch that leaves is taken. Then the
 * blocks are copied once per round, the branch decided in each copy; the header's phis are what the
 * round before left. Where that would be too much for a pragma, or it asks for less, the copies are
 * a part of the rounds and go round themselves: the branch stays in the one copy where it can
 * leave. A value that is used behind the loop goes through a stack slot of its own, which mem2reg
 * turns into phis again. Inner loops come first. */
#include "blocks.h"
#include "cfg.h"
#include "fold.h"
#include "pass.h"
#include "ssa.h"

enum {
    THRESHOLD = 150,      /* instructions: LLVM's at -O2 */
    BRANCH_SIZE = 2,      /* a comparison and a jump; of the test, one is left */
    BOOST_MOST = 4,       /* times that, when most of them become constants */
    ROUNDS_ANALYSED = 10, /* for that */
    PRAGMA_MOST = 16384,  /* instructions in all copies of a loop with a pragma: LLVM's */
    ROUNDS_MOST = 100000, /* to find out how many there are */
    DEPTH_MOST = 40,      /* of the test's operands */
    PHIS_MOST = 64,
    LOOP_DEPTH_MOST = 16
};

typedef struct pair {
    eb_value value;
    uint32_t var;
} pair;

typedef struct unroller {
    eb_fn *fn;
    uint32_t header;
    uint32_t *last;          /* by header: the place in fn->rpo of the last block of the loop */
    uint32_t *blocks, count; /* of the loop, in reverse postorder */
    /* running the test: */
    uint32_t *stamp; /* of each value: the round for which `value` holds, 0: none */
    int64_t *value;
    uint32_t round, first_round; /* they count on from loop to loop */
    /* the branch that leaves: */
    uint32_t test;
    unsigned leaves; /* the successor outside */
    uint32_t rounds; /* in which it does not */
    uint32_t copies; /* to be made */
    bool whole;      /* of all rounds: nothing is left to go round */
    /* copying: */
    eb_value *map;         /* values of the loop in this copy */
    uint32_t *copy, above; /* blocks of the loop in this copy; the header of the next */
    /* what is used behind the loop: */
    uint32_t originals, *var_of, vars;
    EB_VEC(pair) leaving;
} unroller;

static eb_ir *at(const unroller *u, eb_value value) {
    return eb_ir_at(u->fn, value);
}

static bool is_in(const unroller *u, uint32_t block) {
    uint32_t loop = u->fn->blocks.at[block].loop;
    while (loop && loop != u->header)
        loop = u->fn->blocks.at[loop].outer;
    return loop == u->header;
}

static void collect_blocks(unroller *u) {
    u->count = 0;
    for (uint32_t n = u->fn->blocks.at[u->header].order - 1; n <= u->last[u->header]; n++)
        if (is_in(u, u->fn->rpo.at[n]))
            u->blocks[u->count++] = u->fn->rpo.at[n];
}

/* ---- how many rounds ---- */

static void know(unroller *u, eb_value v, int64_t value) {
    u->stamp[v] = u->round;
    u->value[v] = value;
}

/* Whether `v` is known in this round; u->value has it then. */
static bool evaluate(unroller *u, eb_value v, unsigned depth) {
    const eb_ir *ir = at(u, v);
    if (u->stamp[v] == u->round)
        return true;
    if (ir->op == EB_IR_CONST) {
        know(u, v, ir->imm);
        return true;
    }
    bool binary = eb_ir_is_binary(ir->op) || ir->op == EB_IR_CMP;
    bool unary = ir->op >= EB_IR_NEG && ir->op <= EB_IR_TRUNC;
    if ((!binary && !unary) || depth == DEPTH_MOST || !evaluate(u, ir->a, depth + 1) ||
        (binary && !evaluate(u, ir->b, depth + 1)))
        return false;
    int64_t x = u->value[ir->a], y = binary ? u->value[ir->b] : 0;
    know(u, v,
         ir->op == EB_IR_CMP ? eb_eval_cond((eb_cond)ir->cond, (eb_ir_type)at(u, ir->a)->type, x, y)
         : unary             ? eb_eval_unary(ir, x)
                             : eb_eval_binary((eb_ir_op)ir->op, (eb_ir_type)ir->type, x, y));
    return true;
}

/* What a header's phi gets from inside the loop (or from outside), if all those are one constant.
 */
static bool incoming(unroller *u, eb_value phi, bool inside, int64_t *result) {
    const eb_block *header = &u->fn->blocks.at[u->header];
    bool found = false;
    for (uint32_t n = 0; n < header->preds.len; n++) {
        eb_value each = *eb_phi_at(u->fn, phi, n);
        if (is_in(u, header->preds.at[n]) != inside)
            continue;
        if (!evaluate(u, each, 0) || (found && *result != u->value[each]))
            return false;
        found = true;
        *result = u->value[each];
    }
    return found;
}

/* The header's phis of the next round. */
static uint32_t step(unroller *u, const eb_value *phis, uint32_t count, eb_value *left) {
    int64_t next[PHIS_MOST];
    uint32_t known = 0;
    for (uint32_t n = 0; n < count; n++)
        if (incoming(u, phis[n], u->round != u->first_round, &next[known]))
            left[known++] = phis[n];
    u->round++;
    for (uint32_t n = 0; n < known; n++)
        know(u, left[n], next[n]);
    return known;
}

static bool run_test(unroller *u, uint32_t most) {
    const eb_ir *end = eb_block_end(u->fn, u->test);
    eb_value phis[PHIS_MOST];
    uint32_t count = 0;
    for (eb_value v = u->fn->blocks.at[u->header].first;
         at(u, v)->op == EB_IR_PHI && count < PHIS_MOST; v = at(u, v)->next)
        phis[count++] = v;
    if (u->round > UINT32_MAX / 2) {
        memset(u->stamp, 0, u->fn->values.len * sizeof *u->stamp);
        u->round = 0;
    }
    u->first_round = ++u->round;
    for (u->rounds = 0; u->rounds <= most; u->rounds++) {
        count = step(u, phis, count, phis);
        if (!evaluate(u, end->a, 0) || !evaluate(u, end->b, 0))
            return false;
        bool taken = eb_eval_cond((eb_cond)end->cond, (eb_ir_type)at(u, end->a)->type,
                                  u->value[end->a], u->value[end->b]);
        if (taken == (u->leaves == 0))
            return true;
    }
    return false;
}

static bool dominates_latches(const unroller *u, uint32_t block) {
    const eb_block *header = &u->fn->blocks.at[u->header];
    for (uint32_t n = 0; n < header->preds.len; n++)
        if (is_in(u, header->preds.at[n]) && !eb_dominates(u->fn, block, header->preds.at[n]))
            return false;
    return true;
}

/* Finds a test that every round runs through and that can be followed. */
static bool find_test(unroller *u, uint32_t most) {
    for (uint32_t n = 0; n < u->count; n++) {
        uint32_t block = u->blocks[n];
        const eb_block *b = &u->fn->blocks.at[block];
        if (eb_block_end(u->fn, block)->op != EB_IR_BRANCH || b->loop != u->header ||
            !dominates_latches(u, block))
            continue;
        bool first = is_in(u, b->succs.at[0]), second = is_in(u, b->succs.at[1]);
        if (first == second)
            continue;
        u->test = block;
        u->leaves = first ? 1 : 0;
        if (run_test(u, most))
            return true;
    }
    return false;
}

/* ---- whether ---- */

static bool is_free(unsigned op) {
    return op == EB_IR_PHI || op == EB_IR_CONST || op == EB_IR_SLOT || op == EB_IR_SYMBOL ||
           op == EB_IR_TRUNC || op == EB_IR_ZEXT || op == EB_IR_COPY || op == EB_IR_UNDEF ||
           op == EB_IR_OUTPUT;
}

static bool is_call(unsigned op) {
    return op == EB_IR_CALL || op == EB_IR_HELPER || op == EB_IR_CALLX || op == EB_IR_ASM ||
           op == EB_IR_GOTO;
}

/* The jump at a round's end; LLVM has the test there. */
static bool goes_round(const unroller *u, const eb_ir *ir) {
    return ir->op == EB_IR_JUMP && u->fn->blocks.at[ir->block].succs.at[0] == u->header;
}

/* Instructions of one round, and of them those that are constants in every round. Like LLVM, it
 * expects nothing of the constants where something is called. */
static uint32_t size_of(unroller *u, uint32_t *constant) {
    uint32_t size = 0;
    bool calls = false;
    *constant = 0;
    for (uint32_t n = 0; n < u->count; n++)
        for (eb_value v = u->fn->blocks.at[u->blocks[n]].first; v; v = at(u, v)->next) {
            const eb_ir *ir = at(u, v);
            if (is_free(ir->op) || goes_round(u, ir))
                continue;
            size += ir->op == EB_IR_BRANCH ? BRANCH_SIZE : 1;
            if (is_call(ir->op)) {
                size += u->fn->lists.at[ir->list].values.len;
                calls = true;
            }
            if (ir->op == EB_IR_BRANCH)
                *constant += evaluate(u, ir->a, 0) && evaluate(u, ir->b, 0) ? BRANCH_SIZE : 0;
            else
                *constant +=
                    evaluate(u, v, 0) || (ir->op == EB_IR_ADD && ir->type == EB_IR_PTR &&
                                          evaluate(u, ir->b, 0)); /* goes into the access */
        }
    if (calls)
        *constant = 0;
    return size;
}

/* With a pragma: all rounds, or as many as it says, or a divisor of all that keeps to the limit. */
static bool count_copies(unroller *u, uint32_t asked, uint32_t size) {
    uint32_t fit = size ? PRAGMA_MOST / size : PRAGMA_MOST;
    if (u->rounds <= fit && u->rounds <= asked)
        return true;
    u->whole = false;
    u->copies = asked < fit ? asked : fit;
    while (asked == UINT32_MAX && u->copies > 1 && u->rounds % u->copies)
        u->copies--;
    return u->copies > 1;
}

static bool is_wanted(unroller *u) {
    uint32_t asked = u->fn->blocks.at[u->header].unroll;
    uint32_t most = asked > 1 ? ROUNDS_MOST : THRESHOLD * BOOST_MOST;
    if (asked == 1 || !find_test(u, most))
        return false;
    uint32_t constant, size = size_of(u, &constant);
    uint64_t rounds = u->rounds ? u->rounds : 1;
    uint64_t all = rounds * (size - BRANCH_SIZE) + BRANCH_SIZE;
    u->whole = true;
    u->copies = u->rounds + 1;
    if (asked > 1)
        return count_copies(u, asked, size);
    uint64_t straight = rounds * (size - constant) + 1;
    uint64_t boost = rounds > ROUNDS_ANALYSED ? 100 : all * 100 / straight;
    if (boost > BOOST_MOST * 100)
        boost = BOOST_MOST * 100;
    return all < THRESHOLD || (boost > 100 && straight * 100 < THRESHOLD * boost);
}

/* ---- values that leave the loop ---- */

static uint32_t block_of_use(const unroller *u, eb_value user, const eb_value *operand) {
    const eb_ir *ir = at(u, user);
    if (ir->op != EB_IR_PHI)
        return ir->block;
    const eb_list *list = &u->fn->lists.at[ir->list];
    return u->fn->blocks.at[ir->block].preds.at[operand - list->values.at];
}

/* Numbers, as variables, the loop's values that are used behind it. */
static void find_leaving(unroller *u) {
    u->var_of = eb_value_map(u->fn);
    for (eb_value v = 1; v < u->fn->values.len; v++) {
        eb_uses uses = eb_uses_of(u->fn, v);
        while (at(u, v)->block && eb_uses_next(&uses))
            if (!u->var_of[*uses.at] && is_in(u, at(u, *uses.at)->block) &&
                !is_in(u, block_of_use(u, v, uses.at)))
                u->var_of[*uses.at] = ++u->vars;
    }
}

/* The original of a value and its copies are one variable. */
static void note_copy(unroller *u, eb_value v, eb_value made) {
    u->map[v] = made;
    if (u->var_of[v])
        *EB_PUSH(eb_scratch(u->fn), &u->leaving) = (pair){made, u->var_of[v]};
}

static void repair(unroller *u) {
    if (!u->vars)
        return;
    uint32_t *var = eb_value_map(u->fn);
    memcpy(var, u->var_of, u->originals * sizeof *var);
    for (uint32_t n = 0; n < u->leaving.len; n++)
        var[u->leaving.at[n].value] = u->leaving.at[n].var;
    eb_ssa_repair(u->fn, var, u->vars);
}

/* ---- copying ---- */

static void copy_instructions(unroller *u, uint32_t block) {
    for (eb_value v = u->fn->blocks.at[block].first; v; v = at(u, v)->next) {
        const eb_ir *ir = at(u, v);
        if (ir->op == EB_IR_PHI && block == u->header)
            continue; /* is known already, or made below */
        eb_value made = eb_ir_new(u->fn, (eb_ir_op)ir->op, (eb_ir_type)ir->type, 0, 0, ir->loc);
        *at(u, made) = *at(u, v);
        eb_ir_append(u->fn, u->copy[block], made);
        note_copy(u, v, made);
    }
}

static eb_value mapped(const unroller *u, eb_value value) {
    return u->map[value] ? u->map[value] : value;
}

static void connect(unroller *u, eb_value v) {
    eb_ir *ir = at(u, u->map[v]);
    if (ir->list) {
        const eb_list *list = &u->fn->lists.at[ir->list];
        bool phi = ir->op == EB_IR_PHI; /* gets its operands with the edges */
        uint32_t made = eb_list_new(u->fn, list->values.at, phi ? 0 : list->values.len);
        ir = at(u, u->map[v]);
        ir->list = made;
    }
    eb_uses uses = eb_uses_of(u->fn, u->map[v]);
    while (eb_uses_next(&uses))
        *uses.at = mapped(u, *uses.at);
}

/* The edge of a copied block; phis get what the original's edge has, in this copy's values. */
static void copy_edge(unroller *u, uint32_t block, uint32_t succ) {
    eb_fn *fn = u->fn;
    uint32_t to = fn->blocks.at[block].succs.at[succ], index = eb_edge_of(fn, block, succ);
    uint32_t target = to == u->header ? u->above : is_in(u, to) ? u->copy[to] : to;
    eb_edge_add(fn, u->copy[block], target);
    eb_value old = fn->blocks.at[to].first, new = fn->blocks.at[target].first;
    for (; new &&at(u, new)->op == EB_IR_PHI; old = at(u, old)->next, new = at(u, new)->next) {
        eb_list *list = &fn->lists.at[at(u, new)->list];
        list->values.at[list->values.len - 1] = mapped(u, *eb_phi_at(fn, old, index));
    }
}

/* The test of a copy is decided: it leaves in the one of the last round, only. */
static void copy_edges(unroller *u, uint32_t block, uint32_t round) {
    uint32_t count = u->fn->blocks.at[block].succs.len;
    bool leaves = round == u->rounds % u->copies, decided = block == u->test;
    if (leaves && !u->whole)
        decided = false;
    for (uint32_t n = 0; n < count; n++)
        if (!decided || (n == u->leaves) == leaves)
            copy_edge(u, block, n);
    if (!decided)
        return;
    eb_ir *end = eb_block_end(u->fn, u->copy[block]);
    end->op = EB_IR_JUMP;
    end->a = end->b = 0;
    end->cond = end->flags = 0;
}

/* Phis for a header, to be filled by the edges that lead there. */
static void make_phis(unroller *u, uint32_t block, eb_value *phis) {
    uint32_t n = 0;
    for (eb_value v = u->fn->blocks.at[u->header].first; at(u, v)->op == EB_IR_PHI;
         v = at(u, v)->next) {
        eb_value phi = eb_ir_new(u->fn, EB_IR_PHI, (eb_ir_type)at(u, v)->type, 0, 0, at(u, v)->loc);
        uint32_t list = eb_list_new(u->fn, NULL, 0);
        at(u, phi)->list = list;
        eb_ir_append(u->fn, block, phi);
        phis[n++] = phi;
    }
}

static void copy_round(unroller *u, uint32_t round, const eb_value *phis) {
    uint32_t n = 0;
    for (eb_value v = u->fn->blocks.at[u->header].first; at(u, v)->op == EB_IR_PHI;
         v = at(u, v)->next)
        note_copy(u, v, phis[n++]);
    for (uint32_t b = 0; b < u->count; b++)
        copy_instructions(u, u->blocks[b]);
    for (uint32_t b = 0; b < u->count; b++)
        for (eb_value v = u->fn->blocks.at[u->blocks[b]].first; v; v = at(u, v)->next)
            if (at(u, v)->op != EB_IR_PHI || u->blocks[b] != u->header)
                connect(u, v);
    for (uint32_t b = 0; b < u->count; b++)
        copy_edges(u, u->blocks[b], round);
}

/* What leads into the loop leads to the first copy. */
static void enter(unroller *u, uint32_t first) {
    eb_fn *fn = u->fn;
    for (uint32_t n = fn->blocks.at[u->header].preds.len; n--;) {
        uint32_t from = fn->blocks.at[u->header].preds.at[n], succ = 0;
        if (is_in(u, from))
            continue;
        while (fn->blocks.at[from].succs.at[succ] != u->header || eb_edge_of(fn, from, succ) != n)
            succ++;
        *EB_PUSH(&fn->unit->ctx->arena, &fn->blocks.at[first].preds) = from;
        eb_value new = fn->blocks.at[first].first;
        for (eb_value v = fn->blocks.at[u->header].first; at(u, v)->op == EB_IR_PHI;
             v = at(u, v)->next, new = at(u, new)->next)
            *EB_PUSH(&fn->unit->ctx->arena, &fn->lists.at[at(u, new)->list].values) =
                *eb_phi_at(fn, v, n);
        eb_edge_drop(fn, u->header, n);
        fn->blocks.at[from].succs.at[succ] = first;
    }
}

static void copy_rounds(unroller *u, uint32_t header) {
    eb_fn *fn = u->fn;
    uint32_t phis = 0;
    for (eb_value v = fn->blocks.at[u->header].first; at(u, v)->op == EB_IR_PHI; v = at(u, v)->next)
        phis++;
    eb_value *now = eb_alloc_array(eb_scratch(fn), phis + 1, sizeof *now);
    eb_value *next = eb_alloc_array(eb_scratch(fn), phis + 1, sizeof *next);
    uint32_t first = header;
    make_phis(u, header, now);
    for (uint32_t round = 0; round < u->copies; round++) {
        bool around = !u->whole && round == u->copies - 1;
        u->above = around ? first : eb_block_new(fn);
        if (!around)
            make_phis(u, u->above, next);
        for (uint32_t n = 0; n < u->count; n++)
            u->copy[u->blocks[n]] = u->blocks[n] == u->header ? header : eb_block_new(fn);
        copy_round(u, round, now);
        header = u->above;
        memcpy(now, next, phis * sizeof *now);
    }
    if (u->whole) {
        eb_value never = eb_ir_new(fn, EB_IR_UNREACHABLE, EB_IR_VOID, 0, 0, fn->loc);
        eb_ir_append(fn, header, never);
    } else {
        fn->blocks.at[first].unroll = 1;
    }
}

static void unroll(unroller *u) {
    eb_fn *fn = u->fn;
    uint32_t first = eb_block_new(fn);
    u->vars = u->leaving.len = 0;
    u->originals = fn->values.len;
    u->map = eb_value_map(fn);
    u->copy = eb_alloc_array(eb_scratch(fn), fn->blocks.len, sizeof *u->copy);
    find_leaving(u);
    copy_rounds(u, first);
    enter(u, first);
    eb_cfg_build(fn);
    repair(u);
}

/* ---- the walk ---- */

/* Room for what is known about values and blocks. */
static void prepare(unroller *u) {
    eb_arena *scratch = eb_scratch(u->fn);
    u->blocks = eb_alloc_array(scratch, u->fn->blocks.len, sizeof *u->blocks);
    u->stamp = eb_value_map(u->fn);
    u->value = eb_alloc_array(scratch, u->fn->values.len, sizeof *u->value);
    u->last = eb_alloc_array(scratch, u->fn->blocks.len, sizeof *u->last);
    for (uint32_t n = 0; n < u->fn->rpo.len; n++)
        for (uint32_t loop = u->fn->blocks.at[u->fn->rpo.at[n]].loop; loop;
             loop = u->fn->blocks.at[loop].outer)
            u->last[loop] = n;
}

bool eb_pass_unroll(eb_fn *fn) {
    unroller u = {.fn = fn};
    bool changed = false;
    eb_cfg_build(fn);
    uint32_t blocks = fn->blocks.len; /* headers; those of copies have had their turn */
    prepare(&u);
    for (uint32_t n = fn->rpo.len; n--;) {
        uint32_t block = n < fn->rpo.len ? fn->rpo.at[n] : 0;
        if (!block || block >= blocks || fn->blocks.at[block].loop != block ||
            fn->blocks.at[block].depth > LOOP_DEPTH_MOST)
            continue;
        u.header = block;
        collect_blocks(&u);
        if (!is_wanted(&u))
            continue;
        unroll(&u);
        eb_cfg_build(fn);
        prepare(&u);
        changed = true;
        n = fn->rpo.len; /* others first that are inside of the same loop */
    }
    return changed;
}
