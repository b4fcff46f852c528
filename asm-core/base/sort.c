/* sort.c - see sort.h. Bottom-up merging between the array and one of the same size: n log n
 * comparisons whatever the input, so hostile input cannot make it quadratic. */
#include "sort.h"

#include <string.h>

/* Merge from[lo, mid) and from[mid, hi) into to[lo, hi). */
static void merge(uint32_t *to, const uint32_t *from, size_t lo, size_t mid, size_t hi,
                  eb_compare *compare, const void *data) {
    size_t a = lo, b = mid;
    for (size_t i = lo; i < hi; i++)
        if (a < mid && (b >= hi || compare(data, from[a], from[b]) <= 0))
            to[i] = from[a++];
        else
            to[i] = from[b++];
}

void eb_sort(eb_arena *arena, uint32_t *at, uint32_t count, eb_compare *compare, const void *data) {
    if (count < 2)
        return;
    size_t n = count;
    uint32_t *from = at, *to = eb_alloc_array(arena, n, sizeof *at);
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = lo + width < n ? lo + width : n;
            size_t hi = lo + 2 * width < n ? lo + 2 * width : n;
            merge(to, from, lo, mid, hi, compare, data);
        }
        uint32_t *done = to;
        to = from;
        from = done;
    }
    if (from != at)
        memcpy(at, from, n * sizeof *at);
}
