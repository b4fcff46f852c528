/* maps_arena.c - arenas: memory in pages that program and host share.
 *
 * Programs hold an arena's addresses in two forms. The one that host and program share, and that is
 * stored, counts from the arena's user address (map_extra, or the region's first address); a cast
 * to address space 0 turns it into an address of the map's region, which loads and stores take, and
 * one to space 1 back. As in the kernel only the lower 32 bits of either form matter, an object has
 * one arena, and its variables in .addr_space.1 are the arena's first bytes. Where nobody has
 * allocated a page, reads give zeroes and writes are lost.
 * Source: kernel/bpf/arena.c. */
#include "vm.h"

#include <string.h>

enum { PAGE = 4096, PAGES_MOST = 1 << 16 };

static size_t bytes_of(const eb_vmap *map) {
    return (size_t)map->max_entries * PAGE;
}

static bool pages_are(const eb_vmap *map, uint32_t first, uint32_t count, uint8_t present) {
    for (uint32_t i = 0; i < count; i++)
        if (map->present[first + i] != present)
            return false;
    return true;
}

static void set_pages(ebpf_vm *vm, eb_vmap *map, uint32_t first, uint32_t count, uint8_t present) {
    for (uint32_t i = first; i < first + count; i++) {
        map->count += (uint32_t)present - map->present[i];
        map->present[i] = present;
    }
    memset(map->bytes + (size_t)first * PAGE, 0, (size_t)count * PAGE);
    vm->window.read = vm->window.write = 0;
}

static uint8_t *reach(const eb_vmap *map, uint32_t offset, uint32_t size, uint32_t *first,
                      uint32_t *limit) {
    uint64_t from = offset / PAGE, count = (offset % PAGE + (uint64_t)size - 1) / PAGE + 1;
    *limit = EBPF_FAULT_NONE;
    if (from + count > map->max_entries || !pages_are(map, (uint32_t)from, (uint32_t)count, 1))
        return NULL;
    *first = (uint32_t)from * PAGE;
    *limit = (uint32_t)count * PAGE;
    return map->bytes + *first;
}

static const char *make(ebpf_vm *vm, eb_vmap *map) {
    if (map->key_size || map->value_size)
        return "it has neither keys nor values: key_size and value_size must be 0";
    if (map->max_entries > PAGES_MOST)
        return "max_entries, the number of pages, is at most 65536 here (256 MiB)";
    if (map->extra % PAGE)
        return "map_extra, where it starts for the host, must be a multiple of 4096";
    if (!map->extra)
        map->extra = eb_vm_address(map->region, 0);
    map->one = map->room = UINT32_MAX; /* all that 32 bits can say is the arena */
    map->bytes = eb_alloc(&vm->ctx->arena, bytes_of(map));
    map->present = eb_alloc(&vm->ctx->arena, map->max_entries);
    if (!vm->arena)
        vm->arena = map->index + 1;
    return NULL;
}

const eb_vmap_kind eb_kind_arena = {
    .flags = 0x400 | 0x20000 | 0x40000, .missing = EBPF_EOPNOTSUPP, .make = make, .reach = reach};

bool eb_arena_fill(ebpf_vm *vm, eb_vmap *map, const uint8_t *data, size_t size) {
    if (size > bytes_of(map))
        return false;
    set_pages(vm, map, 0, (uint32_t)((size + PAGE - 1) / PAGE), 1);
    memcpy(map->bytes, data, size);
    return true;
}

uint64_t eb_arena_cast(const ebpf_vm *vm, uint64_t address, bool to_user) {
    if (!vm->arena || !address)
        return (uint32_t)address;
    const eb_vmap *map = &vm->maps[vm->arena - 1];
    uint32_t base = (uint32_t)map->extra;
    if (!to_user)
        return eb_vm_address(map->region, (uint32_t)address - base);
    return (map->extra & ~(uint64_t)UINT32_MAX) | (uint32_t)((uint32_t)address + base);
}

/* ---- kernel functions ---- */

/* The first page of the smallest hole that takes `count`, or UINT32_MAX. */
static uint32_t find_hole(const eb_vmap *map, uint32_t count) {
    uint32_t best = UINT32_MAX, best_size = UINT32_MAX;
    for (uint32_t at = 0; at < map->max_entries;) {
        uint32_t end = at;
        while (end < map->max_entries && !map->present[end])
            end++;
        if (end - at >= count && end - at < best_size) {
            best = at;
            best_size = end - at;
        }
        at = end + 1;
    }
    return best;
}

/* The page that an address of either form begins, or UINT32_MAX. */
static uint32_t page_of(const eb_vmap *map, uint64_t address) {
    uint32_t offset = (uint32_t)address;
    if (address >> 32 != map->region)
        offset -= (uint32_t)map->extra;
    return offset % PAGE || offset >= bytes_of(map) ? UINT32_MAX : offset / PAGE;
}

/* r3 pages of map r1, at address r2 unless that is 0; their address, or 0. */
bool eb_help_arena_alloc_pages(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1], EB_MAP_BIT(ARENA));
    uint32_t count = (uint32_t)r[3];
    if (!map)
        return false;
    uint32_t page = r[2] ? page_of(map, r[2]) : 0;
    bool fits = !r[5] && count && page < map->max_entries && count <= map->max_entries - page;
    if (fits && !r[2])
        page = find_hole(map, count);
    else if (fits && !pages_are(map, page, count, 0))
        page = UINT32_MAX;
    r[0] = 0;
    if (!fits || page == UINT32_MAX)
        return true;
    set_pages(vm, map, page, count, 1);
    r[0] = map->extra + (uint64_t)page * PAGE;
    return true;
}

/* Give r3 pages at address r2 of map r1 back. */
bool eb_help_arena_free_pages(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1], EB_MAP_BIT(ARENA));
    if (!map)
        return false;
    uint32_t page = r[2] ? page_of(map, r[2]) : UINT32_MAX, count = (uint32_t)r[3];
    if (page == UINT32_MAX || !count)
        return true;
    if (count > map->max_entries - page)
        count = map->max_entries - page;
    set_pages(vm, map, page, count, 0);
    return true;
}

/* ---- the host ---- */

int ebpf_vm_arena(ebpf_vm *vm, uint32_t map, ebpf_bytes *out) {
    *out = (ebpf_bytes){NULL, 0};
    if (map >= vm->map_count || vm->maps[map].kind != &eb_kind_arena)
        return EBPF_E_ARG;
    *out = (ebpf_bytes){vm->maps[map].bytes, bytes_of(&vm->maps[map])};
    return EBPF_OK;
}
