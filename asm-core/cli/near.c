/* near.c - the word that was meant by one that is none. */
#include "cli.h"

#include <string.h>

/* How many letters make one word of the other. */
static size_t distance(const char *a, size_t long_a, const char *b, size_t long_b) {
    enum { MOST = 40 };
    size_t row[MOST + 1];
    if (long_a > MOST || long_b > MOST)
        return MOST;
    for (size_t m = 0; m <= long_b; m++)
        row[m] = m;
    for (size_t n = 1; n <= long_a; n++) {
        size_t corner = row[0];
        row[0] = n;
        for (size_t m = 1; m <= long_b; m++) {
            size_t least = row[m] < row[m - 1] ? row[m] + 1 : row[m - 1] + 1;
            size_t changed = corner + (a[n - 1] != b[m - 1]);
            corner = row[m];
            row[m] = changed < least ? changed : least;
        }
    }
    return row[long_b];
}

void try_near(struct near *near, const char *name) {
    enum { NEAR = 2 };
    size_t d = distance(near->word, near->length, name, strlen(name));
    if (d <= NEAR && near->length > 2 * d && (!near->best || d < near->distance)) {
        near->best = name;
        near->distance = d;
    }
}
