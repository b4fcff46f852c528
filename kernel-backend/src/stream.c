/*
 * stream.c: what ring buffers and perf buffers share: opening on a map of the right type, closing,
 * and choosing between the two.
 */
#include "stream.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int kb_stream_new(const struct kb_map *map, uint32_t type, const char *operation,
                  struct kb_stream **out, struct kb_error *err) {
    struct kb_map_info info;

    if (map->type != type)
        return kb_fail(err, EINVAL, operation, map->name,
                       "maps of type %u have no records to read" KB_DO
                       "use a ring buffer or a perf event array",
                       map->type);
    int rc = kb_map_get_info(map, &info, err);
    if (rc)
        return rc;
    struct kb_stream *s = calloc(1, sizeof(*s));
    char *name = strdup(map->name);
    int fd = s && name ? fcntl(map->fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (fd < 0) {
        int errnum = s && name ? errno : ENOMEM;
        free(s);
        free(name);
        return kb_fail(err, errnum, operation, map->name, "%s", kb_reason(errnum));
    }
    s->map_fd = fd;
    s->name = name;
    s->max_entries = info.max_entries;
    s->perf.epoll = -1;
    *out = s;
    return 0;
}

void kb_stream_close(struct kb_stream **stream) {
    if (!stream || !*stream)
        return;
    struct kb_stream *s = *stream;
    kb_ring_unmap(s);
    kb_perf_unmap(s);
    close(s->map_fd);
    free(s->name);
    free(s);
    *stream = NULL;
}

int kb_stream_fd(const struct kb_stream *stream) {
    return stream->perf.cpus ? stream->perf.epoll : stream->map_fd;
}

bool kb_stream_due(const struct kb_stream *stream) {
    return stream->perf.cpus && kb_perf_due(stream); /* a ring buffer's poll(2) forgets nothing */
}

size_t kb_stream_size(const struct kb_stream *stream) {
    return stream->size;
}

uint64_t kb_stream_lost(const struct kb_stream *stream) {
    return stream->perf.cpus ? kb_perf_lost(stream) : 0;
}

int kb_stream_drain(struct kb_stream *stream, struct kb_drain *drain, struct kb_error *err) {
    drain->cpu = 0;
    drain->lost = 0;
    drain->needed = 0;
    /* Offsets have 32 bits. */
    if (drain->data_size > UINT32_MAX)
        drain->data_size = UINT32_MAX;
    return stream->perf.cpus ? kb_perf_drain(stream, drain, err)
                             : kb_ring_drain(stream, drain, err);
}
