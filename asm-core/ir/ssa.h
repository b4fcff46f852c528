/* ssa.h - variables with several definitions become values with one. */
#ifndef EB_SSA_H
#define EB_SSA_H

#include "cfg.h"

/* Values that are one variable: var[v] is its number, from 1 to `vars`, or 0. Wherever one of them
 * is used, the definition that reaches the place is used instead, through new phis where several
 * do. For copied blocks: the original and its copies are one variable. `var` has an entry for each
 * value that there is; the graph is analysed anew. */
void eb_ssa_repair(eb_fn *fn, const uint32_t *var, uint32_t vars);

#endif
