/*
 * sender.c: writing a user ring buffer. It is a ring buffer the other way round: we write data and
 * the producer's page, the kernel the consumer's position. A record's header is complete before the
 * producer's position shows it, so programs never meet a busy one.
 * Source: kernel/bpf/ringbuf.c, __bpf_user_ringbuf_peek().
 */
#include "internal.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { TYPE_USER_RINGBUF = 31 /* Linux 6.1 */, HEADER = BPF_RINGBUF_HDR_SZ };

struct kb_sender {
    int fd;
    char *name;
    size_t page;
    size_t size;
    const uint64_t *consumer; /* a page */
    uint64_t *producer;       /* a page, and twice the data behind it */
    uint8_t *data;
};

static const char open_operation[] = "open user ring buffer";

static int map_memory(struct kb_sender *s, struct kb_error *err) {
    s->page = (size_t)sysconf(_SC_PAGESIZE);
    void *consumer = mmap(NULL, s->page, PROT_READ, MAP_SHARED, s->fd, 0);
    if (consumer == MAP_FAILED)
        return kb_fail(err, errno, open_operation, s->name, "its memory cannot be mapped: %s",
                       kb_reason(errno));
    s->consumer = consumer;
    void *rest = mmap(NULL, s->page + 2 * s->size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd,
                      (off_t)s->page);
    if (rest == MAP_FAILED)
        return kb_fail(err, errno, open_operation, s->name, "its memory cannot be mapped: %s",
                       kb_reason(errno));
    s->producer = rest;
    s->data = (uint8_t *)rest + s->page;
    return 0;
}

int kb_sender_open(const struct kb_map *map, struct kb_sender **out, struct kb_error *err) {
    struct kb_map_info info;

    if (map->type != TYPE_USER_RINGBUF)
        return kb_fail(err, EINVAL, open_operation, map->name,
                       "maps of type %u take no records from user space" KB_DO
                       "use BPF_MAP_TYPE_USER_RINGBUF",
                       map->type);
    int rc = kb_map_get_info(map, &info, err);
    if (rc)
        return rc;
    struct kb_sender *s = calloc(1, sizeof(*s));
    if (!s)
        return kb_fail(err, ENOMEM, open_operation, map->name, "out of memory");
    s->name = strdup(map->name);
    s->fd = fcntl(map->fd, F_DUPFD_CLOEXEC, 3);
    s->size = info.max_entries;
    if (!s->name || s->fd < 0)
        rc = kb_fail(err, s->name ? errno : ENOMEM, open_operation, map->name, "%s",
                     kb_reason(s->name ? errno : ENOMEM));
    else
        rc = map_memory(s, err);
    if (rc)
        kb_sender_close(&s);
    else
        *out = s;
    return rc;
}

void kb_sender_close(struct kb_sender **sender) {
    if (!sender || !*sender)
        return;
    struct kb_sender *s = *sender;
    if (s->consumer)
        munmap((void *)(uintptr_t)s->consumer, s->page);
    if (s->producer)
        munmap(s->producer, s->page + 2 * s->size);
    if (s->fd >= 0)
        close(s->fd);
    free(s->name);
    free(s);
    *sender = NULL;
}

int kb_sender_fd(const struct kb_sender *sender) {
    return sender->fd;
}

int kb_sender_send(struct kb_sender *s, const void *data, size_t size, struct kb_error *err) {
    uint64_t consumed = __atomic_load_n(s->consumer, __ATOMIC_ACQUIRE);
    uint64_t produced = __atomic_load_n(s->producer, __ATOMIC_RELAXED);
    uint64_t at = produced & (s->size - 1);
    size_t step = (size + HEADER + 7) & ~(size_t)7;

    if (size > s->size || step > s->size)
        return kb_fail(err, E2BIG, "send", s->name,
                       "%zu bytes never fit into a ring of %zu" KB_DO
                       "send less, or make it larger",
                       size, s->size);
    if (produced - consumed > s->size - step)
        return -ENOSPC;
    uint32_t header[2] = {(uint32_t)size, 0};
    memcpy(s->data + at, header, sizeof(header));
    if (size)
        memcpy(s->data + at + HEADER, data, size);
    __atomic_store_n(s->producer, produced + step, __ATOMIC_RELEASE);
    return 0;
}
