/* ir_eval.h - runs functions of the compiler's IR: the referee of its passes.
 *
 * Addresses are plain numbers: 256 bytes of context for parameter 0 of an entry, variables, then
 * the slots of each call in their order, so slots that a pass adds change no address. Calls to
 * what has no body give a number mixed from their operands, and read and change the memory that
 * their pointers lead to. */
#ifndef IR_EVAL_H
#define IR_EVAL_H

#include "ir.h"

enum ir_stop { IR_RETURNED, IR_TIMEOUT, IR_FAULT, IR_UNREACHED, IR_UNKNOWN };

typedef struct ir_result {
    enum ir_stop stop;
    uint64_t value; /* of the function, if it returned */
    uint64_t world; /* mixed from calls, volatile accesses, the variables' and context's bytes */
    uint64_t steps;
} ir_result;

/* The function of that symbol, with up to five parameters, for at most `budget` steps. */
ir_result ir_eval(const eb_ir_unit *unit, uint32_t symbol, const uint64_t *params, uint64_t budget);

#endif
