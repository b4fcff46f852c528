/* endless.h - loops of which the kernel's verifier cannot see that they end. */
#ifndef EB_ENDLESS_H
#define EB_ENDLESS_H

#include "ir.h"

/* Calls for each: `for (eb_endless l = eb_endless_of(fn); eb_endless_next(&l);) ... l.header`. The
 * function's graph must be analysed (cfg.h). */
typedef struct eb_endless {
    eb_fn *fn;
    uint32_t at;     /* in the order of blocks */
    uint32_t header; /* of the loop that was found */
    uint32_t *marks; /* by value: the question in which it was looked at last */
    uint8_t *known;  /* by value: of a loop's phi, whether it changes from round to round */
    uint32_t mark;
} eb_endless;

eb_endless eb_endless_of(eb_fn *fn);
bool eb_endless_next(eb_endless *loops);

#endif
