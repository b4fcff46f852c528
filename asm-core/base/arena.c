/* arena.c - see arena.h. Chunks double up to 1 MiB, so a small request stays small and a large one
 * makes few calls. AddressSanitizer is told of what a vector leaves when it grows, also where the
 * room cannot be given back. */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

#include "ebpf.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(SANITIZED)
#include <sanitizer/asan_interface.h>
#define POISON(at, size)   ASAN_POISON_MEMORY_REGION(at, size)
#define UNPOISON(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#else
#define POISON(at, size)   ((void)(at), (void)(size))
#define UNPOISON(at, size) ((void)(at), (void)(size))
#endif

enum { ALIGN = 16, CHUNK_MIN = 16 << 10, CHUNK_MAX = 1 << 20, LARGE = 128 << 10 };

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

static uint8_t *data_of(eb_chunk *chunk) {
    return (uint8_t *)chunk + ALIGN;
}

static eb_chunk *new_chunk(eb_arena *arena, size_t size) {
    if (size > arena->limit || arena->total > arena->limit - size) {
        arena->failure = EBPF_E_LIMIT;
        return NULL;
    }
    eb_chunk *chunk = calloc(1, ALIGN + size); /* zeroed: fresh pages are so for nothing */
    if (!chunk) {
        arena->failure = EBPF_E_NOMEM;
        return NULL;
    }
    chunk->size = size;
    arena->total += size;
    return chunk;
}

static bool add_chunk(eb_arena *arena, size_t least) {
    size_t size = arena->chunk ? arena->chunk->size * 2 : CHUNK_MIN;
    if (size > CHUNK_MAX)
        size = CHUNK_MAX;
    eb_chunk *chunk = new_chunk(arena, size < least ? least : size);
    if (!chunk)
        return false;
    chunk->next = arena->chunk;
    arena->chunk = chunk;
    arena->used = 0;
    return true;
}

static void *alloc_large(eb_arena *arena, size_t size) {
    eb_chunk *chunk = new_chunk(arena, size);
    if (!chunk)
        return NULL;
    chunk->next = arena->large;
    arena->large = chunk;
    return data_of(chunk);
}

void *eb_try_alloc(eb_arena *arena, size_t size) {
    if (size > SIZE_MAX - ALIGN * 2) {
        arena->failure = EBPF_E_NOMEM;
        return NULL;
    }
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (size >= LARGE)
        return alloc_large(arena, size);
    if ((!arena->chunk || arena->chunk->size - arena->used < size) && !add_chunk(arena, size))
        return NULL;
    uint8_t *at = data_of(arena->chunk) + arena->used;
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

static void free_chunks(eb_chunk *chunk) {
    while (chunk) {
        eb_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void eb_arena_free(eb_arena *arena) {
    free_chunks(arena->large);
    free_chunks(arena->chunk);
    arena->large = arena->chunk = NULL;
}

void eb_arena_reset(eb_arena *arena) {
    eb_chunk *chunk = arena->chunk;
    free_chunks(arena->large);
    arena->large = NULL;
    arena->total = 0;
    if (!chunk)
        return;
    free_chunks(chunk->next);
    chunk->next = NULL;
    UNPOISON(data_of(chunk), arena->used);
    memset(data_of(chunk), 0, arena->used);
    arena->used = 0;
    arena->total = chunk->size;
}

/* Gives back what a vector has left, where that is a chunk. */
static void leave(eb_arena *arena, void *at, size_t size) {
    for (eb_chunk **link = &arena->large; size >= LARGE && *link; link = &(*link)->next) {
        eb_chunk *chunk = *link;
        if (data_of(chunk) != at)
            continue;
        *link = chunk->next;
        arena->total -= chunk->size;
        free(chunk);
        return;
    }
    POISON(at, size);
}

void *eb_vec_room(eb_arena *arena, void *at, size_t size, uint32_t *cap) {
    uint32_t len = *cap;
    if (len > UINT32_MAX / 2)
        eb_fail(arena, EBPF_E_LIMIT);
    uint32_t more = len ? len * 2 : 8;
    void *room = eb_alloc_array(arena, more, size);
    if (len) {
        memcpy(room, at, len * size);
        leave(arena, at, len * size);
    }
    *cap = more;
    return room;
}
