/* arena.c - see arena.h. Chunks double up to 1 MiB, so a small request stays small and a large one
 * makes few calls; something larger than a chunk gets one of its own. */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

#include "ebpf.h"

enum { ALIGN = 16, CHUNK_MIN = 16 << 10, CHUNK_MAX = 1 << 20 };

struct eb_chunk {
    eb_chunk *next;
    size_t size; /* of the data behind the header */
};

_Static_assert(sizeof(eb_chunk) <= ALIGN, "chunk data must stay aligned");

_Noreturn void eb_fail(eb_arena *arena, int status) {
    arena->failure = status;
#if defined(__wasm__)
    __builtin_trap();
#else
    if (arena->guard)
        longjmp(*arena->guard, 1);
    abort(); /* a public entry point without its guard: a bug of ours, found by the first test */
#endif
}

static bool add_chunk(eb_arena *arena, size_t least) {
    size_t size = arena->chunk ? arena->chunk->size * 2 : CHUNK_MIN;
    if (size > CHUNK_MAX)
        size = CHUNK_MAX;
    if (size < least)
        size = least;
    if (size > arena->limit || arena->total > arena->limit - size) {
        arena->failure = EBPF_E_LIMIT;
        return false;
    }
    eb_chunk *chunk = calloc(1, ALIGN + size); /* zeroed: fresh pages are so for nothing */
    if (!chunk) {
        arena->failure = EBPF_E_NOMEM;
        return false;
    }
    chunk->next = arena->chunk;
    chunk->size = size;
    arena->chunk = chunk;
    arena->used = 0;
    arena->total += size;
    return true;
}

void *eb_try_alloc(eb_arena *arena, size_t size) {
    if (size > SIZE_MAX - ALIGN) {
        arena->failure = EBPF_E_NOMEM;
        return NULL;
    }
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if ((!arena->chunk || arena->chunk->size - arena->used < size) && !add_chunk(arena, size))
        return NULL;
    uint8_t *at = (uint8_t *)arena->chunk + ALIGN + arena->used;
    arena->used += size;
    return at;
}

void *eb_alloc(eb_arena *arena, size_t size) {
    void *at = eb_try_alloc(arena, size);
    if (!at)
        eb_fail(arena, arena->failure);
    return at;
}

void *eb_alloc_array(eb_arena *arena, size_t count, size_t size) {
    if (size && count > SIZE_MAX / size)
        eb_fail(arena, EBPF_E_NOMEM);
    return eb_alloc(arena, count * size);
}

void eb_arena_free(eb_arena *arena) {
    while (arena->chunk) {
        eb_chunk *next = arena->chunk->next;
        free(arena->chunk);
        arena->chunk = next;
    }
}

void eb_arena_reset(eb_arena *arena) {
    eb_chunk *chunk = arena->chunk;
    if (!chunk)
        return;
    eb_arena older = {.chunk = chunk->next};
    eb_arena_free(&older);
    chunk->next = NULL;
    memset((uint8_t *)chunk + ALIGN, 0, arena->used);
    arena->used = 0;
    arena->total = chunk->size;
}

void *eb_vec_room(eb_arena *arena, void *at, size_t size, uint32_t *cap) {
    uint32_t len = *cap;
    if (len > UINT32_MAX / 2)
        eb_fail(arena, EBPF_E_LIMIT);
    uint32_t more = len ? len * 2 : 8;
    void *room = eb_alloc_array(arena, more, size);
    if (len)
        memcpy(room, at, len * size);
    *cap = more;
    return room;
}
