/* freq.h - how often blocks run, guessed (freq.c). */
#ifndef EB_FREQ_H
#define EB_FREQ_H

#include "cfg.h"

enum { EB_FREQ_ENTRY = 1 << 16 };

/* By block, EB_FREQ_ENTRY for as often as the function is called; in scratch. */
uint64_t *eb_freq_of_blocks(eb_fn *fn);

#endif
