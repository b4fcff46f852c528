/* foresee.h - what the kernel's verifier will refuse, told before it is asked. */
#ifndef EB_FORESEE_H
#define EB_FORESEE_H

#include "ir.h"
#include "parse.h"

/* Warns of it in the programs of a unit that is optimised. */
void eb_foresee(eb_unit *u, eb_ir_unit *ir);
/* The same of its stack, when code was made. */
void eb_foresee_stack(eb_unit *u, const eb_ir_unit *ir);

#endif
