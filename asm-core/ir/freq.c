/* freq.c - how often blocks run, guessed from what branches ask: LLVM's measure (its branch
 * probabilities), since clang inlines by it. Comparing with 0, -1 or a null pointer for equality is
 * expected to fail, loops to go round, a case of a switch to be one of many.
 *
 * One walk in reverse postorder; back edges count as a loop's factor. The graph must have been
 * analysed. */
#include "freq.h"

enum { ALL = 128, LIKELY = 127, SOME = 80, BACK = 124, ROUNDS = 31, CHAIN_MOST = 256 };

static const uint64_t most = (uint64_t)EB_FREQ_ENTRY << 24;

static bool is_zero_like(const eb_fn *fn, const eb_ir *end, eb_cond *cond) {
    int64_t c = eb_ir_at(fn, end->b)->imm;
    *cond = (eb_cond)end->cond;
    if (end->cond == EB_COND_SET || end->cond == EB_COND_CLEAR) {
        *cond = end->cond == EB_COND_SET ? EB_COND_NE : EB_COND_EQ;
        return c & (c - 1); /* one bit is not foreseen */
    }
    if (c == 1 && end->cond == EB_COND_SLT) {
        return true;
    }
    if (c == -1)
        return end->cond == EB_COND_EQ || end->cond == EB_COND_NE || end->cond == EB_COND_SGT;
    return c == 0;
}

/* Of 128, how often the first successor is taken, by the compare alone. */
static unsigned by_compare(const eb_fn *fn, const eb_ir *end) {
    if (end->flags & EB_IR_LIKELY)
        return LIKELY;
    if (end->flags & EB_IR_UNLIKELY)
        return ALL - LIKELY;
    eb_cond cond = (eb_cond)end->cond;
    bool pointer = eb_ir_at(fn, end->a)->type == EB_IR_PTR;
    if (!pointer && (!eb_ir_is_const(fn, end->b) || !is_zero_like(fn, end, &cond)))
        return ALL / 2;
    if (cond == EB_COND_EQ || (!pointer && cond == EB_COND_SLT))
        return ALL - SOME;
    if (cond == EB_COND_NE || (!pointer && cond == EB_COND_SGT))
        return SOME;
    return ALL / 2;
}

/* How many compares of one value with constants follow each other from here: a switch. */
static unsigned chain_length(const eb_fn *fn, uint32_t block) {
    eb_value asked = eb_block_end(fn, block)->a;
    unsigned length = 0;
    for (; length < CHAIN_MOST; length++) {
        const eb_ir *end = eb_block_end(fn, block);
        bool alone = !length || fn->blocks.at[block].first == fn->blocks.at[block].last;
        if (!alone || end->op != EB_IR_BRANCH || end->cond != EB_COND_EQ || end->a != asked ||
            !eb_ir_is_const(fn, end->b))
            break;
        block = fn->blocks.at[block].succs.at[1];
    }
    return length;
}

static bool is_in_loop(const eb_fn *fn, uint32_t block, uint32_t loop) {
    uint32_t at = fn->blocks.at[block].loop;
    while (at && at != loop)
        at = fn->blocks.at[at].outer;
    return at == loop;
}

static bool is_never(const eb_fn *fn, uint32_t block) {
    return eb_block_end(fn, block)->op == EB_IR_UNREACHABLE;
}

static unsigned first_share(const eb_fn *fn, uint32_t block) {
    const eb_block *b = &fn->blocks.at[block];
    const eb_ir *end = eb_ir_at(fn, b->last);
    if (is_never(fn, b->succs.at[0]) != is_never(fn, b->succs.at[1]))
        return is_never(fn, b->succs.at[0]) ? 0 : ALL;
    if (b->loop && !(end->flags & (EB_IR_LIKELY | EB_IR_UNLIKELY))) {
        bool first = is_in_loop(fn, b->succs.at[0], b->loop);
        if (first != is_in_loop(fn, b->succs.at[1], b->loop))
            return first ? BACK : ALL - BACK;
    }
    unsigned chain = chain_length(fn, block);
    return chain > 1 ? ALL / (chain + 1) : by_compare(fn, end);
}

static void give(eb_fn *fn, uint64_t *freq, uint32_t from, uint32_t to, uint64_t share) {
    if (fn->blocks.at[to].order > fn->blocks.at[from].order && freq[to] < most)
        freq[to] += share;
}

uint64_t *eb_freq_of_blocks(eb_fn *fn) {
    uint64_t *freq = eb_alloc_array(eb_scratch(fn), fn->blocks.len, sizeof *freq);
    freq[1] = EB_FREQ_ENTRY;
    for (uint32_t n = 0; n < fn->rpo.len; n++) {
        uint32_t block = fn->rpo.at[n];
        const eb_block *b = &fn->blocks.at[block];
        if (b->loop == block && freq[block] < most)
            freq[block] *= ROUNDS;
        uint64_t own = freq[block];
        if (eb_ir_at(fn, b->last)->op == EB_IR_BRANCH) {
            uint64_t first = own * first_share(fn, block) / ALL;
            give(fn, freq, block, b->succs.at[0], first);
            give(fn, freq, block, b->succs.at[1], own - first);
            continue;
        }
        for (uint32_t s = 0; s < b->succs.len; s++)
            give(fn, freq, block, b->succs.at[s], own / b->succs.len);
    }
    return freq;
}
