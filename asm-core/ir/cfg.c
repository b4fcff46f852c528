/* cfg.c - blocks in order, dominators, loops; edges; who uses which value.
 *
 * Reverse postorder comes from a walk with a stack of its own (a function may be ten thousand
 * blocks deep). Dominators: Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm": meet
 * the predecessors in reverse postorder until nothing changes, which graphs that C makes do on the
 * second round. A loop is a header that dominates the source of an edge to it; headers are taken
 * from the innermost, and a walk backwards from such an edge steps over loops found before as a
 * whole, so each block is looked at about once. */
#include "cfg.h"

/* ---- order ---- */

static void order_blocks(eb_fn *fn) {
    eb_arena *scratch = eb_scratch(fn);
    uint32_t count = fn->blocks.len, depth = 0, left;
    uint32_t *stack = eb_alloc_array(scratch, count, sizeof *stack);
    uint32_t *next = eb_alloc_array(scratch, count, sizeof *next);
    uint32_t *post = eb_alloc_array(scratch, count, sizeof *post), done = 0;
    for (uint32_t b = 0; b < count; b++)
        fn->blocks.at[b].order = 0;
    stack[depth++] = 1;
    fn->blocks.at[1].order = 1; /* seen */
    while (depth) {
        uint32_t b = stack[depth - 1];
        eb_block *block = &fn->blocks.at[b];
        if (next[b] == block->succs.len) {
            post[done++] = b;
            depth--;
            continue;
        }
        uint32_t succ = block->succs.at[next[b]++];
        if (!fn->blocks.at[succ].order) {
            fn->blocks.at[succ].order = 1;
            stack[depth++] = succ;
        }
    }
    fn->rpo.len = 0;
    for (left = done; left--;) {
        *EB_PUSH(&fn->unit->ctx->arena, &fn->rpo) = post[left];
        fn->blocks.at[post[left]].order = fn->rpo.len;
    }
}

/* ---- dominators ---- */

uint32_t eb_block_meet(const eb_fn *fn, uint32_t a, uint32_t b) {
    while (a != b)
        if (fn->blocks.at[a].order > fn->blocks.at[b].order)
            a = fn->blocks.at[a].idom;
        else
            b = fn->blocks.at[b].idom;
    return a;
}

static uint32_t meet_preds(const eb_fn *fn, uint32_t b) {
    const eb_block *block = &fn->blocks.at[b];
    uint32_t idom = 0;
    for (uint32_t p = 0; p < block->preds.len; p++) {
        uint32_t pred = block->preds.at[p];
        if (!fn->blocks.at[pred].order || (pred != 1 && !fn->blocks.at[pred].idom))
            continue; /* not reached, or not yet */
        idom = idom ? eb_block_meet(fn, idom, pred) : pred;
    }
    return idom;
}

static void link_tree(eb_fn *fn) {
    for (uint32_t n = fn->rpo.len; n-- > 1;) { /* backwards: children in forward order */
        uint32_t b = fn->rpo.at[n];
        eb_block *block = &fn->blocks.at[b], *above = &fn->blocks.at[block->idom];
        block->sibling = above->child;
        above->child = b;
    }
    for (uint32_t n = 1; n < fn->rpo.len; n++) {
        eb_block *block = &fn->blocks.at[fn->rpo.at[n]];
        block->level = fn->blocks.at[block->idom].level + 1;
    }
}

static void number_tree(eb_fn *fn) {
    uint32_t clock = 0, b = 1;
    fn->blocks.at[1].enter = ++clock;
    for (;;) {
        eb_block *block = &fn->blocks.at[b];
        if (block->child) {
            b = block->child;
        } else {
            while (b && !fn->blocks.at[b].sibling) {
                fn->blocks.at[b].leave = ++clock;
                b = fn->blocks.at[b].idom;
            }
            if (!b)
                return;
            fn->blocks.at[b].leave = ++clock;
            b = fn->blocks.at[b].sibling;
        }
        fn->blocks.at[b].enter = ++clock;
    }
}

static void find_dominators(eb_fn *fn) {
    for (uint32_t b = 0; b < fn->blocks.len; b++) {
        eb_block *block = &fn->blocks.at[b];
        block->idom = block->level = block->child = block->sibling = 0;
        block->enter = block->leave = 0;
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t n = 1; n < fn->rpo.len; n++) {
            uint32_t b = fn->rpo.at[n], idom = meet_preds(fn, b);
            changed |= idom != fn->blocks.at[b].idom;
            fn->blocks.at[b].idom = idom;
        }
    }
    link_tree(fn);
    number_tree(fn);
}

/* ---- loops ---- */

/* The outermost loop found so far that has `b`, or b itself. */
static uint32_t outermost(const eb_fn *fn, uint32_t b) {
    uint32_t loop = fn->blocks.at[b].loop;
    while (loop && fn->blocks.at[loop].outer)
        loop = fn->blocks.at[loop].outer;
    return loop ? loop : b;
}

static uint32_t push_preds(const eb_fn *fn, uint32_t b, uint32_t *stack, uint32_t depth) {
    const eb_block *block = &fn->blocks.at[b];
    for (uint32_t p = 0; p < block->preds.len; p++)
        if (fn->blocks.at[block->preds.at[p]].order)
            stack[depth++] = block->preds.at[p];
    return depth;
}

static void fill_loop(eb_fn *fn, uint32_t header, uint32_t *stack, uint32_t depth) {
    fn->blocks.at[header].loop = header;
    while (depth) {
        uint32_t b = outermost(fn, stack[--depth]);
        eb_block *block = &fn->blocks.at[b];
        if (b == header)
            continue;
        if (block->loop)
            block->outer = header;
        else
            block->loop = header;
        depth = push_preds(fn, b, stack, depth);
    }
}

static void find_loops(eb_fn *fn) {
    uint32_t edges = 1;
    for (uint32_t b = 0; b < fn->blocks.len; b++) {
        eb_block *block = &fn->blocks.at[b];
        block->loop = block->depth = block->outer = 0;
        edges += block->preds.len;
    }
    /* A block's predecessors are pushed once in each loop whose body it is a part of by itself. */
    uint32_t *stack = eb_alloc_array(eb_scratch(fn), (size_t)edges * 2, sizeof *stack);
    for (uint32_t n = fn->rpo.len; n--;) {
        uint32_t b = fn->rpo.at[n], depth = 0;
        eb_block *block = &fn->blocks.at[b];
        for (uint32_t p = 0; p < block->preds.len; p++)
            if (fn->blocks.at[block->preds.at[p]].order && eb_dominates(fn, b, block->preds.at[p]))
                stack[depth++] = block->preds.at[p];
        if (depth)
            fill_loop(fn, b, stack, depth);
    }
    for (uint32_t n = 0; n < fn->rpo.len; n++) {
        uint32_t b = fn->rpo.at[n];
        eb_block *block = &fn->blocks.at[b];
        if (block->loop == b)
            block->depth = fn->blocks.at[block->outer].depth + 1;
        else if (block->loop)
            block->depth = fn->blocks.at[block->loop].depth;
    }
}

void eb_cfg_analyse(eb_fn *fn) {
    order_blocks(fn);
    find_dominators(fn);
    find_loops(fn);
}

/* ---- changing blocks and edges ---- */

uint32_t eb_edge_split(eb_fn *fn, uint32_t from, uint32_t nth) {
    uint32_t to = fn->blocks.at[from].succs.at[nth], index = eb_edge_of(fn, from, nth);
    uint32_t middle = eb_block_new(fn);
    eb_arena *arena = &fn->unit->ctx->arena;
    eb_loc loc = eb_ir_at(fn, fn->blocks.at[from].last)->loc;
    eb_value jump = eb_ir_new(fn, EB_IR_JUMP, EB_IR_VOID, 0, 0, loc);
    eb_ir_append(fn, middle, jump);
    *EB_PUSH(arena, &fn->blocks.at[middle].preds) = from;
    *EB_PUSH(arena, &fn->blocks.at[middle].succs) = to;
    fn->blocks.at[from].succs.at[nth] = middle;
    fn->blocks.at[to].preds.at[index] = middle;
    return middle;
}

/* Those that lead to one block are brought together, in the order of where they come from; its
 * predecessors wait in chains by block, so that each edge takes the next of its own. */
eb_edges eb_edges_build(const eb_fn *fn) {
    eb_arena *scratch = eb_scratch(fn);
    uint32_t count = fn->blocks.len, total = 0, n = 0;
    uint32_t *first = eb_alloc_array(scratch, (size_t)count + 1, sizeof *first);
    uint32_t *behind = eb_alloc_array(scratch, (size_t)count + 1, sizeof *behind);
    for (uint32_t b = 0; b < count; b++) {
        first[b] = total;
        total += fn->blocks.at[b].succs.len;
        for (uint32_t k = 0; k < fn->blocks.at[b].succs.len; k++)
            behind[fn->blocks.at[b].succs.at[k] + 1]++;
    }
    for (uint32_t b = 0; b < count; b++)
        behind[b + 1] += behind[b]; /* runs from the first edge into b + 1 to behind the last */
    uint32_t *from = eb_alloc_array(scratch, (size_t)total + 1, sizeof *from);
    uint32_t *into = eb_alloc_array(scratch, (size_t)total + 1, sizeof *into);
    uint32_t *index = eb_alloc_array(scratch, (size_t)total + 1, sizeof *index);
    for (uint32_t b = 0; b < count; b++)
        for (uint32_t k = 0; k < fn->blocks.at[b].succs.len; k++) {
            uint32_t at = behind[fn->blocks.at[b].succs.at[k]]++;
            from[at] = b;
            into[at] = first[b] + k;
        }
    uint32_t *head = eb_alloc_array(scratch, count, sizeof *head); /* 1 + a predecessor's number */
    uint32_t *next = eb_alloc_array(scratch, (size_t)total + 1, sizeof *next);
    for (uint32_t b = 0; b < count; b++) {
        const eb_block *block = &fn->blocks.at[b];
        for (uint32_t p = block->preds.len; p--; head[block->preds.at[p]] = p + 1)
            next[p] = head[block->preds.at[p]];
        for (; n < behind[b]; n++) {
            index[into[n]] = head[from[n]] - 1;
            head[from[n]] = head[from[n]] ? next[head[from[n]] - 1] : 0;
        }
    }
    return (eb_edges){first, index};
}

void eb_cfg_build(eb_fn *fn) {
    (void)eb_blocks_prune(fn);
    eb_cfg_analyse(fn);
}

/* ---- values ---- */

eb_value *eb_value_map(const eb_fn *fn) {
    return eb_alloc_array(eb_scratch(fn), fn->values.len, sizeof(eb_value));
}

uint32_t *eb_uses_count(eb_fn *fn) {
    uint32_t *count = eb_value_map(fn);
    for (eb_value v = 1; v < fn->values.len; v++)
        for (eb_uses u = eb_uses_of(fn, v); eb_uses_next(&u);)
            count[*u.at]++;
    return count;
}

eb_users eb_uses_build(eb_fn *fn) {
    eb_arena *scratch = eb_scratch(fn);
    uint32_t *start = eb_alloc_array(scratch, (size_t)fn->values.len + 2, sizeof *start), total = 0;
    for (eb_value v = 1; v < fn->values.len; v++)
        for (eb_uses u = eb_uses_of(fn, v); eb_uses_next(&u); total++)
            start[*u.at + 2]++;
    for (eb_value v = 1; v < fn->values.len; v++)
        start[v + 1] += start[v];
    /* start[v + 1] runs from the first user of v to behind its last one. */
    eb_value *users = eb_alloc_array(scratch, (size_t)total + 1, sizeof *users);
    for (eb_value v = 1; v < fn->values.len; v++)
        for (eb_uses u = eb_uses_of(fn, v); eb_uses_next(&u);)
            users[start[*u.at + 1]++] = v;
    return (eb_users){start, users};
}
