/* blocks.h - changing the graph of a function's blocks: edges that go or lead elsewhere, blocks
 * that are copied, joined or taken out (blocks.c). Edges are named by the block that they leave and
 * the number of the successor there; all keep predecessors, successors and phis in step. */
#ifndef EB_BLOCKS_H
#define EB_BLOCKS_H

#include "ir.h"

static inline eb_ir *eb_block_end(const eb_fn *fn, uint32_t block) {
    return eb_ir_at(fn, fn->blocks.at[block].last);
}
static inline bool eb_block_has_phis(const eb_fn *fn, uint32_t block) {
    return eb_ir_at(fn, fn->blocks.at[block].first)->op == EB_IR_PHI;
}
/* The first instruction that is no phi. */
eb_value eb_block_body(const eb_fn *fn, uint32_t block);
/* The operand of a phi for predecessor number `index`. */
static inline eb_value *eb_phi_at(const eb_fn *fn, eb_value phi, uint32_t index) {
    return &fn->lists.at[eb_ir_at(fn, phi)->list].values.at[index];
}

/* The number of the edge among the predecessors of where it leads. */
uint32_t eb_edge_of(const eb_fn *fn, uint32_t from, uint32_t succ);
/* Takes the edge out on both sides. */
void eb_edge_cut(eb_fn *fn, uint32_t from, uint32_t succ);
/* `from` ends with a jump to its successor number `succ`, or if that is UINT32_MAX, with
 * UNREACHABLE. */
void eb_block_jump(eb_fn *fn, uint32_t from, uint32_t succ);
/* The edge leads to `to`, where phis get what predecessor number `like` has; whether that can be:
 * two edges between the same blocks must not bring different values. */
bool eb_edge_move(eb_fn *fn, uint32_t from, uint32_t succ, uint32_t to, uint32_t like);
/* Takes out what cannot be reached. */
bool eb_blocks_prune(eb_fn *fn);
/* What comes from `first` on stands in a new block, which this gives. The old one is left without
 * an end and without successors. */
uint32_t eb_block_split(eb_fn *fn, eb_value first);
/* Appends `next`, to which nothing else leads, to `block`, which leads nowhere else. */
void eb_blocks_join(eb_fn *fn, uint32_t block, uint32_t next);

#endif
