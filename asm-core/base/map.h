/* map.h - names to numbers: an open-addressing table that keeps insertion order.
 * Zeroed but for the arena, it is empty. Keys are not copied. Where a key's eb_str_hash is known,
 * the _hashed functions take it. */
#ifndef EB_MAP_H
#define EB_MAP_H

#include "str.h"

typedef struct eb_map_entry {
    eb_str key;
    uint32_t hash;
    uint32_t value;
} eb_map_entry;

typedef struct eb_map {
    eb_arena *arena;
    EB_VEC(eb_map_entry) entries; /* in the order of insertion */
    uint32_t *slots;              /* entry number + 1, or 0 */
    uint32_t mask;                /* slots - 1, or 0 before the first insertion */
} eb_map;

/* The value stored for `key`, or NULL. Valid until the next insertion. */
uint32_t *eb_map_find(const eb_map *map, eb_str key);
uint32_t *eb_map_find_hashed(const eb_map *map, eb_str key, uint32_t hash);
/* The value stored for `key`, which is entered with 0 when it is new. */
uint32_t *eb_map_enter(eb_map *map, eb_str key, bool *is_new);
uint32_t *eb_map_enter_hashed(eb_map *map, eb_str key, uint32_t hash, bool *is_new);

#endif
