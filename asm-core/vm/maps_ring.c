/* maps_ring.c - buffers of records: ring buffers from the program to the host, user ring buffers
 * the other way, and the records of perf event arrays.
 *
 * A ring is laid out as the kernel's: `head` and `tail` are the positions of consumer and producer,
 * which only grow; a record is a header of 8 bytes (its size, a bit while the program holds it, one
 * when it was discarded) and its bytes, rounded up to 8. The memory is twice the ring, so a record
 * that reaches past the ring's end stays in one piece. Programs reach a record only while they hold
 * it. Records wait until the host takes them. Source: kernel/bpf/ringbuf.c, kernel/events. */
#include "kinds.h"
#include "vm.h"

#include <string.h>

#define BUSY    (UINT32_C(1) << 31)
#define DISCARD (UINT32_C(1) << 30)

enum { HEADER = 8, PAGE = 4096, RING_MOST = 1 << 29, RECORD_MOST = (1 << 30) - 1 };
enum { PERF_MOST = 1 << 20, PERF_HEADER = 8 };

static uint64_t whole(uint64_t size) {
    return (size + HEADER + 7) & ~UINT64_C(7);
}

static uint8_t *header_at(const eb_vmap *map, uint64_t position) {
    return map->bytes + (position & (map->max_entries - 1));
}

static uint32_t length_at(const eb_vmap *map, uint64_t position) {
    return eb_get32(header_at(map, position), false);
}

/* ---- the producer ---- */

static bool reserve(ebpf_vm *vm, eb_vmap *map, uint64_t size) {
    if (size > RECORD_MOST || whole(size) > map->max_entries)
        return false;
    /* The oldest record that is held, or where the next one goes. */
    while (map->pending < map->tail && !(length_at(map, map->pending) & BUSY))
        map->pending += whole(length_at(map, map->pending) & ~DISCARD);
    uint64_t end = map->tail + whole(size), most = map->max_entries - 1;
    if (end - map->head > most || end - map->pending > most)
        return false;
    eb_set32(header_at(map, map->tail), false, (uint32_t)size | BUSY);
    *EB_PUSH(&vm->ctx->arena, &map->open) =
        (eb_field){.at = (uint32_t)(map->tail & most) + HEADER, .size = (uint32_t)size};
    map->tail = end;
    map->count++;
    return true;
}

int64_t eb_ring_reserve(ebpf_vm *vm, eb_vmap *map, uint64_t size) {
    if (!reserve(vm, map, size)) {
        map->lost++;
        return -1;
    }
    return map->open.at[map->open.len - 1].at;
}

bool eb_ring_commit(ebpf_vm *vm, eb_vmap *map, uint32_t offset, bool discard) {
    for (uint32_t i = 0; i < map->open.len; i++) {
        if (map->open.at[i].at != offset)
            continue;
        uint32_t length = map->open.at[i].size | (discard ? DISCARD : 0);
        eb_set32(map->bytes + offset - HEADER, false, length);
        map->open.at[i] = map->open.at[--map->open.len];
        map->count -= discard;
        vm->window.read = vm->window.write = 0;
        return true;
    }
    return false;
}

/* ---- the consumer ---- */

/* Step over discarded records; whether one is there that can be read. */
static bool ready(eb_vmap *map) {
    while (map->head < map->tail) {
        uint32_t length = length_at(map, map->head);
        if (length & BUSY)
            return false;
        if (!(length & DISCARD))
            return true;
        map->head += whole(length & ~DISCARD);
    }
    return false;
}

bool eb_ring_read(ebpf_vm *vm, eb_vmap *map, ebpf_bytes *out) {
    (void)vm;
    if (!ready(map))
        return false;
    uint32_t length = length_at(map, map->head);
    *out = (ebpf_bytes){header_at(map, map->head) + HEADER, length};
    map->head += whole(length);
    map->count--;
    return true;
}

/* ---- user ring buffers: the host produces ---- */

int eb_ring_write(ebpf_vm *vm, eb_vmap *map, const void *data, uint32_t size) {
    if (size > RECORD_MOST || whole(size) > map->max_entries)
        return -EBPF_E2BIG;
    if (!reserve(vm, map, size))
        return -EBPF_ENOSPC;
    uint32_t at = map->open.at[map->open.len - 1].at;
    memcpy(map->bytes + at, data, size);
    eb_ring_commit(vm, map, at, false);
    return 0;
}

bool eb_ring_peek(ebpf_vm *vm, eb_vmap *map, uint32_t *offset, uint32_t *size) {
    if (!ready(map))
        return false;
    *size = length_at(map, map->head);
    *offset = (uint32_t)(map->head & (map->max_entries - 1)) + HEADER;
    *EB_PUSH(&vm->ctx->arena, &map->open) = (eb_field){.at = *offset, .size = *size};
    return true;
}

void eb_ring_release(ebpf_vm *vm, eb_vmap *map) {
    map->open.len = 0;
    map->head += whole(length_at(map, map->head));
    map->count--;
    vm->window.read = vm->window.write = 0;
}

/* ---- what programs reach ---- */

static uint8_t *reach(const eb_vmap *map, uint32_t offset, uint32_t size, uint32_t *first,
                      uint32_t *limit) {
    *limit = EBPF_FAULT_FREED;
    for (uint32_t i = 0; i < map->open.len; i++) {
        const eb_field *record = &map->open.at[i];
        if (offset < record->at || offset - record->at >= record->size)
            continue;
        *limit = EBPF_FAULT_BOUNDS;
        if (size > record->size - (offset - record->at))
            return NULL;
        *first = record->at;
        *limit = record->size;
        return map->bytes + record->at;
    }
    return NULL;
}

/* As libbpf does: a page or more, a power of two. */
static const char *make(ebpf_vm *vm, eb_vmap *map) {
    if (map->key_size || map->value_size)
        return "it has neither keys nor values: key_size and value_size must be 0";
    if (map->max_entries > RING_MOST)
        return "it is larger than 512 MiB";
    uint32_t size = PAGE;
    while (size < map->max_entries)
        size *= 2;
    map->max_entries = size;
    map->one = map->room = 2 * size;
    map->bytes = eb_alloc(&vm->ctx->arena, map->room);
    return NULL;
}

const eb_vmap_kind eb_kind_ring = {
    .flags = 0, .missing = EBPF_ENOTSUPP, .make = make, .reach = reach};
const eb_vmap_kind eb_kind_user_ring = {
    .flags = 0, .missing = EBPF_ENOTSUPP, .make = make, .reach = reach};

/* ---- perf event arrays: CPU, size, bytes ---- */

int eb_perf_write(eb_vmap *map, uint32_t cpu, const uint8_t *data, uint32_t size,
                  const uint8_t *more, uint32_t more_size) {
    uint64_t room = PERF_HEADER + (uint64_t)size + more_size;
    if (room > PERF_MOST || map->records.len - map->read > PERF_MOST - room) {
        map->lost++;
        return -EBPF_ENOSPC;
    }
    if (map->records.len > 2 * PERF_MOST) { /* what was read makes room */
        map->records.len -= map->read;
        memmove(map->records.at, map->records.at + map->read, map->records.len);
        map->read = 0;
    }
    uint8_t *to = eb_buf_room(&map->records, (size_t)room);
    eb_set32(to, false, cpu);
    eb_set32(to + 4, false, size + more_size);
    memcpy(to + PERF_HEADER, data, size);
    if (more_size)
        memcpy(to + PERF_HEADER + size, more, more_size);
    return 0;
}

bool eb_perf_read(eb_vmap *map, uint32_t *cpu, ebpf_bytes *out) {
    if (map->read == map->records.len) {
        map->read = map->records.len = 0;
        return false;
    }
    const uint8_t *at = map->records.at + map->read;
    *cpu = eb_get32(at, false);
    *out = (ebpf_bytes){at + PERF_HEADER, eb_get32(at + 4, false)};
    map->read += PERF_HEADER + out->size;
    return true;
}
