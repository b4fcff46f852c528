/* arena.h - the memory of one context.
 *
 * Chunks from malloc, handed out upwards, freed together; what is large has a chunk to itself, so
 * that a large vector which grows can give back what it leaves. Asking for more than the limit, or
 * more than there is, does not return: it leaves through the guard that the entry point set (api/),
 * the only non-local exit of asm-core. In wasm it is a trap, and the host throws the instance
 * away. */
#ifndef EB_ARENA_H
#define EB_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__wasm__)
#include <setjmp.h>
#endif

typedef struct eb_chunk eb_chunk;

typedef struct eb_arena {
    eb_chunk *chunk; /* newest first */
    eb_chunk *large; /* chunks of one allocation each, newest first */
    size_t used;     /* bytes in the newest of `chunk` */
    size_t total;    /* bytes of all chunks */
    size_t limit;
    int failure; /* the status that the guard reports */
#if !defined(__wasm__)
    jmp_buf *guard;
#endif
} eb_arena;

/* `size` zeroed bytes, aligned for any type; never NULL. */
void *eb_alloc(eb_arena *arena, size_t size);
/* An array of `count` zeroed elements; a product that overflows fails as no memory does. */
void *eb_alloc_array(eb_arena *arena, size_t count, size_t size);
/* As eb_alloc, but NULL on failure. */
void *eb_try_alloc(eb_arena *arena, size_t size);
void eb_arena_free(eb_arena *arena);
/* Empty, but the newest chunk is kept for what comes next. */
void eb_arena_reset(eb_arena *arena);
/* Leave the request with `status`. */
_Noreturn void eb_fail(eb_arena *arena, int status);

/* ---- vectors: any struct with at, len, cap ---- */

#define EB_VEC(T)                                                                                  \
    struct {                                                                                       \
        T *at;                                                                                     \
        uint32_t len, cap;                                                                         \
    }

/* The address of a new, zeroed last element. */
#define EB_PUSH(arena, vec)                                                                        \
    ((vec)->len < (vec)->cap                                                                       \
         ? (void)0                                                                                 \
         : (void)((vec)->at = eb_vec_room((arena), (vec)->at, sizeof *(vec)->at, &(vec)->cap)),    \
     &(vec)->at[(vec)->len++])

/* A full vector in more room; where it was is not to be looked at any more. */
void *eb_vec_room(eb_arena *arena, void *at, size_t size, uint32_t *cap);

#endif
