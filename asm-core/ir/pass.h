/* pass.h - the optimiser: passes over a unit, in the order of pass.def. */
#ifndef EB_PASS_H
#define EB_PASS_H

#include "ir.h"

/* Each tells whether it has changed the function. */
#define PASS(id, name, level)      bool eb_pass_##id(eb_fn *fn);
#define UNIT_PASS(id, name, level) bool eb_pass_##id(eb_ir_unit *unit);
#include "pass.def"

/* All of them. In builds for development the checker (check.c) runs behind each. */
void eb_ir_optimize(eb_ir_unit *unit);

/* The pass called so, over all functions that are live or not looked at yet; false: there is no
 * such pass. */
bool eb_ir_run(eb_ir_unit *unit, eb_str name);

/* What is wrong with a function as text for developers, or "" (check.c). */
eb_str eb_ir_check(const eb_fn *fn);

#endif
