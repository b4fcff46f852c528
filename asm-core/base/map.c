/* map.c - see map.h. */
#include "map.h"

static uint32_t *slot_of(const eb_map *map, eb_str key, uint32_t hash) {
    uint32_t i = hash & map->mask;
    while (map->slots[i]) {
        const eb_map_entry *entry = &map->entries.at[map->slots[i] - 1];
        if (entry->hash == hash && eb_str_eq(entry->key, key))
            break;
        i = (i + 1) & map->mask;
    }
    return &map->slots[i];
}

static void grow(eb_map *map) {
    uint32_t count = map->mask ? (map->mask + 1) * 2 : 64;
    map->slots = eb_alloc_array(map->arena, count, sizeof *map->slots);
    map->mask = count - 1;
    for (uint32_t i = 0; i < map->entries.len; i++)
        *slot_of(map, map->entries.at[i].key, map->entries.at[i].hash) = i + 1;
}

uint32_t *eb_map_find(const eb_map *map, eb_str key) {
    return eb_map_find_hashed(map, key, eb_str_hash(key));
}

uint32_t *eb_map_find_hashed(const eb_map *map, eb_str key, uint32_t hash) {
    if (!map->mask)
        return NULL;
    uint32_t slot = *slot_of(map, key, hash);
    return slot ? &map->entries.at[slot - 1].value : NULL;
}

uint32_t *eb_map_enter(eb_map *map, eb_str key, bool *is_new) {
    return eb_map_enter_hashed(map, key, eb_str_hash(key), is_new);
}

uint32_t *eb_map_enter_hashed(eb_map *map, eb_str key, uint32_t hash, bool *is_new) {
    if (!map->mask || map->entries.len >= map->mask / 2)
        grow(map);
    uint32_t *slot = slot_of(map, key, hash);
    *is_new = *slot == 0;
    if (*is_new) {
        eb_map_entry *entry = EB_PUSH(map->arena, &map->entries);
        *entry = (eb_map_entry){.key = key, .hash = hash};
        *slot = map->entries.len;
    }
    return &map->entries.at[*slot - 1].value;
}
