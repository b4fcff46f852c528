/*
 * ring.c: reading a ring buffer. The kernel maps three things: a page with the consumer's position,
 * which is ours to write; a page with the producer's, and the data twice in a row, so that no
 * record is ever cut in two. A record is an 8-byte header (length, with a bit while it is being
 * written and one if it was discarded) and its data, rounded up to 8. Positions only grow.
 *
 * A drain walks the headers, copies what it walked over in pieces that still are in the first-level
 * cache, and moves the consumer's position once at its end: a producer that is told after every
 * record wakes its reader after every record. Source: Documentation/bpf/ringbuf.rst, and
 * kernel/bpf/ringbuf.c for the order of the stores.
 */
#include "stream.h"
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HEADER = BPF_RINGBUF_HDR_SZ, PIECE = 16 * 1024 };

static int map_ring(struct kb_stream *s, struct kb_error *err) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct kb_ring *ring = &s->ring;

    ring->page = page;
    ring->consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, s->map_fd, 0);
    if (ring->consumer == MAP_FAILED) {
        ring->consumer = NULL;
        return kb_fail(err, errno, "open ring buffer", s->name, "its memory cannot be mapped");
    }
    void *rest = mmap(NULL, page + 2 * s->size, PROT_READ, MAP_SHARED, s->map_fd, (off_t)page);
    if (rest == MAP_FAILED)
        return kb_fail(err, errno, "open ring buffer", s->name, "its memory cannot be mapped");
    ring->producer = rest;
    ring->data = (const uint8_t *)rest + page;
    return 0;
}

int kb_stream_open_ring(const struct kb_map *map, struct kb_stream **out, struct kb_error *err) {
    struct kb_stream *s;
    int rc = kb_stream_new(map, BPF_MAP_TYPE_RINGBUF, "open ring buffer", &s, err);

    if (rc)
        return rc;
    s->size = s->max_entries;
    rc = map_ring(s, err);
    if (rc) {
        kb_stream_close(&s);
        return rc;
    }
    *out = s;
    return 0;
}

void kb_ring_unmap(struct kb_stream *s) {
    if (s->ring.consumer)
        munmap(s->ring.consumer, s->ring.page);
    if (s->ring.producer) {
        /* Only the mapping's owner may drop its const. */
        void *start = (void *)(uintptr_t)s->ring.producer;
        munmap(start, s->ring.page + 2 * s->size);
    }
}

/* What a drain has done so far. */
struct walk {
    uint64_t at;   /* the next header */
    uint64_t from; /* copied up to here */
    size_t used;   /* of the caller's memory, headers included, `from` to `at` too */
};

static void copy_piece(const struct kb_ring *ring, struct kb_drain *drain, struct walk *w,
                       uint64_t mask) {
    size_t size = (size_t)(w->at - w->from);

    memcpy(drain->data + w->used - size, ring->data + (w->from & mask), size);
    w->from = w->at;
}

int kb_ring_drain(struct kb_stream *s, struct kb_drain *drain, struct kb_error *err) {
    struct kb_ring *ring = &s->ring;
    uint64_t mask = s->size - 1;
    uint64_t start = __atomic_load_n(ring->consumer, __ATOMIC_RELAXED);
    uint64_t end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
    struct walk w = {.at = start, .from = start};
    uint32_t count = 0;
    int rc = 0;

    while (w.at < end && count < drain->count) {
        const uint32_t *header = (const uint32_t *)(const void *)(ring->data + (w.at & mask));
        uint32_t word = __atomic_load_n(header, __ATOMIC_ACQUIRE);
        if (word & BPF_RINGBUF_BUSY_BIT)
            break;
        size_t length = word & ~(uint32_t)BPF_RINGBUF_DISCARD_BIT;
        size_t step = (length + HEADER + 7) & ~(size_t)7;
        if (step > end - w.at) {
            rc = kb_fail(err, EIO, "drain", s->name, "a record is longer than what was written");
            break;
        }
        if (word & BPF_RINGBUF_DISCARD_BIT) {
            copy_piece(ring, drain, &w, mask);
            w.at += step;
            w.from = w.at;
            continue;
        }
        if (step > drain->data_size - w.used) {
            drain->needed = step;
            rc = count ? 0 : -ENOSPC;
            break;
        }
        drain->offsets[2 * count] = (uint32_t)(w.used + HEADER);
        drain->offsets[2 * count + 1] = (uint32_t)(w.used + HEADER + length);
        count++;
        w.used += step;
        w.at += step;
        if (w.at - w.from >= PIECE)
            copy_piece(ring, drain, &w, mask);
    }
    copy_piece(ring, drain, &w, mask);
    drain->count = count;
    /* Sequentially consistent: the kernel's poll, which we enter next, must not look at the
     * producer's position before the producer can see ours. */
    if (w.at != start)
        __atomic_store_n(ring->consumer, w.at, __ATOMIC_SEQ_CST);
    return rc;
}
