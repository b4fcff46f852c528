/*
 * stream.h: what a stream is made of. stream.c holds what both kinds share, ring.c and perf.c how
 * each is mapped and drained.
 */
#ifndef KB_STREAM_H
#define KB_STREAM_H

#include "internal.h"

struct kb_ring {
    uint64_t *consumer;       /* a page */
    const uint64_t *producer; /* a page, and twice the data behind it */
    const uint8_t *data;
    size_t page;
};

/* One CPU's buffer. */
struct kb_perf_cpu {
    int fd;        /* -1: the CPU is offline */
    uint8_t *base; /* a page of positions, then the data */
    uint64_t lost; /* told by PERF_RECORD_LOST */
};

struct kb_perf {
    int epoll;
    struct kb_perf_cpu *cpus; /* NULL: this is no perf buffer */
    uint32_t cpu_count;
    uint32_t next; /* whose turn it is */
    size_t page;
    size_t size;                          /* bytes of data of one CPU */
    bool reads_lost;                      /* read(2) tells losses, Linux 6.0 */
    uint32_t wakeup_events, wakeup_bytes; /* what wakes: so many records, or bytes if not 0 */
};

struct kb_stream {
    int map_fd; /* of its own */
    char *name;
    uint32_t max_entries; /* the map's */
    size_t size;
    struct kb_ring ring;
    struct kb_perf perf;
};

/* A stream on a map of this type, with nothing mapped yet. */
int kb_stream_new(const struct kb_map *map, uint32_t type, const char *operation,
                  struct kb_stream **stream, struct kb_error *err);

int kb_ring_drain(struct kb_stream *stream, struct kb_drain *drain, struct kb_error *err);
void kb_ring_unmap(struct kb_stream *stream);

int kb_perf_drain(struct kb_stream *stream, struct kb_drain *drain, struct kb_error *err);
bool kb_perf_due(const struct kb_stream *stream);
uint64_t kb_perf_lost(const struct kb_stream *stream);
void kb_perf_unmap(struct kb_stream *stream);

#endif
