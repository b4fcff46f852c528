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

/* What is wrong with a function as text for developers, or "" (check.c). */
eb_str eb_ir_check(const eb_fn *fn);

#endif
