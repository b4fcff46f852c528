/* btf_index.c - types, enumerators and strings by name.
 *
 * One hash table for all types that have a name, made at the first look-up in one pass over them:
 * a word per bucket and a word per type, no entries. The types of a bucket form a ring in the order
 * of their ids, of which the bucket knows the last; so adding one and going on to the next namesake
 * are both single steps, and what is added later is entered then.
 *
 * CO-RE's names may have a flavour, task_struct___old. Names are entered by what stands before it,
 * so that one ring has all flavours. The enumerators, which are many and seldom asked for, have a
 * table of their own, and so have the strings, which only building asks for. */
#include "btf_index.h"

#include <string.h>

/* ---- names ---- */

/* The last x___y in it, as libbpf looks for it; three underscores cover one place of every third.
 */
eb_str eb_btf_essential(eb_str name) {
    for (size_t i = name.len; i > 3; i = i > 3 ? i - 3 : 0) {
        size_t first = i - 3, end = i - 2; /* the place that is looked at, and behind it */
        if (name.at[first] != '_')
            continue;
        while (first && name.at[first - 1] == '_')
            first--;
        while (end < name.len && name.at[end] == '_')
            end++;
        if (end - first == 3 && first && end < name.len)
            return (eb_str){name.at, first};
        i = first + 2 < i ? first + 2 : i; /* on before this run */
    }
    return name;
}

static uint64_t load(const char *at, size_t size) {
    uint64_t word = 0;
    memcpy(&word, at, size);
    return word;
}

/* Eight bytes at a time; the order of what is found does not depend on it. */
static uint32_t hash_of(eb_str name) {
    const uint64_t factor = 0x9e3779b97f4a7c15;
    uint64_t hash = name.len * factor, tail = 0;
    const char *at = name.at;
    size_t left = name.len;
    for (; left >= 8; at += 8, left -= 8) {
        hash = (hash ^ load(at, 8)) * factor;
        hash ^= hash >> 32;
    }
    if (left >= 4)
        tail = load(at, 4) << 32 | load(at + left - 4, 4);
    for (size_t i = 0; left < 4 && i < left; i++)
        tail = tail << 8 | (uint8_t)at[i];
    hash = (hash ^ tail) * factor;
    return (uint32_t)(hash ^ hash >> 32);
}

/* ---- the table of types ---- */

/* Number n (from 1) goes to the end of its ring. */
static void enter(eb_btf_index *index, uint32_t n, uint32_t hash) {
    uint32_t *tail = &index->tails[hash & index->mask], *next = index->next.at;
    next[n - 1] = *tail ? next[*tail - 1] : n;
    if (*tail)
        next[*tail - 1] = n;
    *tail = n;
}

static void make_room(const eb_btf *btf, uint32_t count) {
    eb_btf_index *index = btf->index;
    uint32_t buckets = 64;
    while (buckets < count && buckets < 1u << 31)
        buckets *= 2;
    index->tails = eb_alloc_array(btf->arena, buckets, sizeof *index->tails);
    index->mask = buckets - 1;
    index->next.at = eb_alloc_array(btf->arena, buckets, sizeof *index->next.at);
    index->next.cap = buckets;
    index->next.len = 0;
}

enum { BATCH = 32 };

/* Enter `count` types from number `n` (from 0) on. Names and buckets lie all over memory, so each
 * is asked for a while before it is looked at. */
static void enter_batch(const eb_btf *btf, uint32_t n, uint32_t count) {
    eb_btf_index *index = btf->index;
    const char *names[BATCH];
    uint32_t hashes[BATCH];
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *head = btf->types + btf->offsets.at[n + i];
        names[i] = eb_btf_text(btf, eb_get32(head, btf->big));
        __builtin_prefetch(names[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = hash_of(eb_btf_essential(eb_str_from(names[i])));
        __builtin_prefetch(&index->tails[hashes[i] & index->mask]);
    }
    for (uint32_t i = 0; i < count; i++)
        if (*names[i])
            enter(index, n + i + 1, hashes[i]);
}

/* Enter what has come since the last time. */
static eb_btf_index *update(const eb_btf *btf) {
    eb_btf_index *index = btf->index;
    uint32_t count = btf->count - btf->first;
    if (count > index->next.cap)
        make_room(btf, count);
    while (index->next.len < count) {
        uint32_t left = count - index->next.len, batch = left < BATCH ? left : BATCH;
        enter_batch(btf, index->next.len, batch);
        index->next.len += batch;
    }
    return index;
}

/* What is asked for. */
typedef struct query {
    eb_str name;
    uint32_t kinds, hash;
    bool flavours; /* the name is without its flavour */
} query;

static bool fits(const eb_btf *btf, uint32_t id, const query *q) {
    if (!(q->kinds >> eb_btf_kind_of(btf, id) & 1))
        return false;
    eb_str name = eb_btf_name(btf, id);
    return eb_str_eq(q->flavours ? eb_btf_essential(name) : name, q->name);
}

/* `after` 0: from the first on. */
static uint32_t next_own(const eb_btf *btf, const query *q, uint32_t after) {
    const eb_btf_index *index = update(btf);
    uint32_t tail = index->next.len ? index->tails[q->hash & index->mask] : 0;
    uint32_t n = after ? after - btf->first + 1 : tail;
    if (!tail || (after && n == tail))
        return 0;
    do {
        n = index->next.at[n - 1];
        if (fits(btf, btf->first + n - 1, q))
            return btf->first + n - 1;
    } while (n != tail);
    return 0;
}

static uint32_t next(const eb_btf *btf, const query *q, uint32_t after) {
    if (!q->name.len || after >= btf->count)
        return 0;
    const eb_btf *level = btf;
    while (level->base && after < level->first)
        level = level->base; /* where `after` is, or the lowest */
    for (uint32_t id;; after = 0) {
        if ((id = next_own(level, q, after)) != 0 || level == btf)
            return id;
        const eb_btf *above = btf;
        while (above->base != level)
            above = above->base;
        level = above;
    }
}

uint32_t eb_btf_next(const eb_btf *btf, uint32_t kinds, eb_str name, uint32_t after) {
    query q = {name, kinds, hash_of(eb_btf_essential(name)), false};
    return next(btf, &q, after);
}

uint32_t eb_btf_next_flavour(const eb_btf *btf, uint32_t kinds, eb_str essential, uint32_t after) {
    query q = {essential, kinds, hash_of(essential), true};
    return next(btf, &q, after);
}

uint32_t eb_btf_find(const eb_btf *btf, eb_btf_kind kind, eb_str name) {
    return eb_btf_next(btf, EB_BTF_IS(kind), name, 0);
}

/* ---- enumerators ---- */

static void enter_enumerators(const eb_btf *btf, uint32_t id) {
    eb_btf_index *index = btf->index;
    eb_btf_type type = eb_btf_at(btf, id);
    for (uint32_t i = 0; i < type.count; i++) {
        bool is_new;
        uint32_t *place =
            eb_map_enter(&index->enumerators, eb_btf_member_at(btf, &type, i).name, &is_new);
        if (!is_new)
            continue;
        *place = index->places.len;
        *EB_PUSH(btf->arena, &index->places) = (eb_btf_place){id, i};
    }
}

uint32_t eb_btf_enumerator(const eb_btf *btf, eb_str name, uint32_t *number) {
    uint32_t id = btf->base ? eb_btf_enumerator(btf->base, name, number) : 0;
    eb_btf_index *index = btf->index;
    if (id)
        return id;
    index->enumerators.arena = btf->arena;
    for (; index->enumerated < btf->count - btf->first; index->enumerated++) {
        id = btf->first + index->enumerated;
        eb_btf_kind kind = eb_btf_kind_of(btf, id);
        if (kind == EB_BTF_ENUM || kind == EB_BTF_ENUM64)
            enter_enumerators(btf, id);
    }
    const uint32_t *place = eb_map_find(&index->enumerators, name);
    if (!place)
        return 0;
    *number = index->places.at[*place].number;
    return index->places.at[*place].id;
}

/* ---- strings ---- */

/* The offset of `text`, or 0 when it is not among the strings. */
uint32_t eb_btf_find_string(const eb_btf *btf, eb_str text) {
    uint32_t offset = btf->base ? eb_btf_find_string(btf->base, text) : 0;
    eb_btf_index *index = btf->index;
    if (offset)
        return offset;
    index->strings.arena = btf->arena;
    while (index->entered < btf->strings_size) {
        eb_str own = eb_str_from(btf->strings + index->entered);
        bool is_new;
        uint32_t *at = eb_map_enter(&index->strings, own, &is_new);
        if (is_new)
            *at = btf->string_base + (uint32_t)index->entered;
        index->entered += own.len + 1;
    }
    const uint32_t *at = eb_map_find(&index->strings, text);
    return at ? *at : 0;
}
