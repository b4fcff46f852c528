/*
 * ring.c: reading a ring buffer. The kernel maps three things: a page with the consumer's position,
 * which is ours to write; a page with the producer's, and the data twice in a row, so that no
 * record is ever cut in two. A record is an 8-byte header (length, with a bit while it is being
 * written and one if it was discarded) and its data, rounded up to 8. Positions only grow.
 *
 * A drain moves the consumer's position once, at its end: a producer that is told after every
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

enum { HEADER = BPF_RINGBUF_HDR_SZ, SMALL = 64, AHEAD = 4096 };

static int map_ring(struct kb_stream *s, struct kb_error *err) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct kb_ring *ring = &s->ring;

    ring->page = page;
    ring->consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, s->map_fd, 0);
    if (ring->consumer == MAP_FAILED) {
        ring->consumer = NULL;
        return kb_fail(err, errno, "open ring buffer", s->name, "its memory cannot be mapped: %s",
                       kb_reason(errno));
    }
    void *rest = mmap(NULL, page + 2 * s->size, PROT_READ, MAP_SHARED, s->map_fd, (off_t)page);
    if (rest == MAP_FAILED)
        return kb_fail(err, errno, "open ring buffer", s->name, "its memory cannot be mapped: %s",
                       kb_reason(errno));
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

/* Most records are small, and a copy of a fixed size is a few instructions. It reads beyond the
 * record, but not beyond the mapping, which goes on for a whole ring. */
static void copy_record(uint8_t *to, const uint8_t *from, size_t size, size_t room) {
    if (size <= SMALL && room >= SMALL)
        memcpy(to, from, SMALL);
    else
        memcpy(to, from, size);
}

int kb_ring_drain(struct kb_stream *s, struct kb_drain *drain, struct kb_error *err) {
    const uint64_t mask = s->size - 1;
    const uint64_t start = __atomic_load_n(s->ring.consumer, __ATOMIC_RELAXED);
    const uint64_t end = __atomic_load_n(s->ring.producer, __ATOMIC_ACQUIRE);
    const uint8_t *const ring = s->ring.data;
    uint8_t *const data = drain->data;
    uint32_t *const offsets = drain->offsets;
    const size_t room = drain->data_size;
    const uint32_t most = drain->count;
    uint64_t at = start;
    size_t used = 0;
    uint32_t count = 0;
    int rc = 0;

    while (at < end && count < most) {
        const uint8_t *record = ring + (at & mask);
        /* Hardware prefetchers stop at the end of a page; this takes a sixth off a drain. Beyond
         * the mapping it does nothing. */
        __builtin_prefetch(record + AHEAD);
        uint32_t word = __atomic_load_n((const uint32_t *)(const void *)record, __ATOMIC_ACQUIRE);
        if (word & BPF_RINGBUF_BUSY_BIT)
            break;
        size_t length = word & ~(uint32_t)BPF_RINGBUF_DISCARD_BIT;
        size_t padded = (length + 7) & ~(size_t)7;
        if (padded + HEADER > end - at) {
            rc = kb_fail(err, EIO, "drain", s->name, "a record is longer than what was written");
            break;
        }
        if (!(word & BPF_RINGBUF_DISCARD_BIT)) {
            if (padded > room - used) {
                drain->needed = padded;
                rc = count ? 0 : -ENOSPC;
                break;
            }
            copy_record(data + used, record + HEADER, padded, room - used);
            offsets[2 * count] = (uint32_t)used;
            offsets[2 * count + 1] = (uint32_t)(used + length);
            count++;
            used += padded;
        }
        at += padded + HEADER;
    }
    drain->count = count;
    /* Sequentially consistent: the kernel's poll, which we enter next, must not look at the
     * producer's position before the producer can see ours. */
    if (at != start)
        __atomic_store_n(s->ring.consumer, at, __ATOMIC_SEQ_CST);
    return rc;
}
