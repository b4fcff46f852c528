/* btf_index.h - what is made beside a BTF when somebody first asks: names to types, names to
 * enumerators, strings to their offsets. Only btf*.c look inside. */
#ifndef EB_BTF_INDEX_H
#define EB_BTF_INDEX_H

#include "btf.h"
#include "map.h"

typedef struct eb_btf_place {
    uint32_t id, number;
} eb_btf_place;

struct eb_btf_index {
    uint32_t *tails;       /* per bucket: 1 + number of the last type of its ring, or 0 */
    uint32_t mask;         /* buckets - 1 */
    EB_VEC(uint32_t) next; /* per own type: the same for the next of its ring */
    eb_map enumerators;    /* name to place */
    EB_VEC(eb_btf_place) places;
    uint32_t enumerated; /* own types whose enumerators are entered */
    eb_map strings;      /* text to offset */
    size_t entered;      /* bytes of the own strings that are in there */
};

/* The string at an offset that was checked. */
const char *eb_btf_text(const eb_btf *btf, uint32_t offset);
/* The offset of `text` among the strings, those of the base included, or 0. */
uint32_t eb_btf_find_string(const eb_btf *btf, eb_str text);

#endif
