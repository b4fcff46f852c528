/* sort.h - a stable sort of index arrays: the same order on every host, no recursion. */
#ifndef EB_SORT_H
#define EB_SORT_H

#include "arena.h"

/* Below 0, 0 or above 0 as element `a` goes before, with or after element `b`; `data` is what the
 * indices point into. */
typedef int eb_compare(const void *data, uint32_t a, uint32_t b);

/* Order the `count` indices at `at`; equal ones keep their order. */
void eb_sort(eb_arena *arena, uint32_t *at, uint32_t count, eb_compare *compare, const void *data);

#endif
