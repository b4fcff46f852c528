/*
 * perf.c: reading perf buffers: a software perf event per CPU, stored in the map under the CPU's
 * number, with a page of positions and a power of two of data pages, mapped. Records are multiples
 * of 8 and may wrap around the end; a sample is a header, a 32-bit size and the data, which the
 * kernel pads so that its end is lost: the size that is read is up to 7 bytes larger than what the
 * program wrote. Losses come as records of their own, once there is room again.
 * Source: perf_event_open(2).
 */
#include "stream.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char operation[] = "open perf buffer";

enum { FORMAT_LOST = 1 << 4 /* PERF_FORMAT_LOST, Linux 6.0 */ };

static int open_event(struct kb_stream *s, int cpu, const struct kb_perf_opts *opts) {
    struct perf_event_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.size = sizeof(attr);
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_BPF_OUTPUT;
    attr.sample_type = PERF_SAMPLE_RAW;
    attr.sample_period = 1;
    attr.read_format = s->perf.reads_lost ? FORMAT_LOST : 0;
    attr.watermark = opts->wakeup_bytes != 0;
    if (opts->wakeup_bytes)
        attr.wakeup_watermark = opts->wakeup_bytes;
    else
        attr.wakeup_events = s->perf.wakeup_events;
    long fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0 && errno == EINVAL && s->perf.reads_lost) {
        s->perf.reads_lost = false;
        return open_event(s, cpu, opts);
    }
    return (int)fd;
}

static int fail_open(struct kb_stream *s, const char *what, uint32_t cpu, struct kb_error *err) {
    int errnum = errno;
    char why[512];

    if (errnum == EPERM || errnum == EACCES)
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_PERFMON));
    else if (errnum == ENOMEM)
        snprintf(why, sizeof(why), "no memory for its pages" KB_DO "ask for fewer");
    else
        snprintf(why, sizeof(why), "%s", kb_reason(errnum));
    return kb_fail(err, errnum, operation, s->name, "CPU %u: %s: %s", cpu, what, why);
}

static int open_cpu(struct kb_stream *s, uint32_t cpu, const struct kb_perf_opts *opts,
                    struct kb_error *err) {
    struct kb_perf_cpu *c = &s->perf.cpus[cpu];
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = cpu};

    c->fd = open_event(s, (int)cpu, opts);
    if (c->fd < 0) /* ENODEV: the CPU is off */
        return errno == ENODEV ? 0 : fail_open(s, "perf_event_open(2)", cpu, err);
    void *base =
        mmap(NULL, s->perf.page + s->perf.size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
    if (base == MAP_FAILED)
        return fail_open(s, "mmap(2)", cpu, err);
    c->base = base;
    if (bpf_map_update_elem(s->map_fd, &cpu, &c->fd, BPF_ANY) != 0)
        return fail_open(s, "storing it in the map", cpu, err);
    if (ioctl(c->fd, PERF_EVENT_IOC_ENABLE, 0) != 0)
        return fail_open(s, "enabling it", cpu, err);
    if (epoll_ctl(s->perf.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        return fail_open(s, "epoll_ctl(2)", cpu, err);
    return 0;
}

static int open_cpus(struct kb_stream *s, const struct kb_perf_opts *opts, struct kb_error *err) {
    int possible = kb_possible_cpus();
    uint32_t pages = opts->pages ? opts->pages : 64, on = 0;

    if (possible < 0)
        return kb_fail(err, -possible, operation, s->name, "the CPUs of this machine are unknown");
    if (pages & (pages - 1))
        return kb_fail(err, EINVAL, operation, s->name,
                       "%u pages are no power of two" KB_DO "give one", pages);
    uint32_t count = (uint32_t)possible < s->max_entries ? (uint32_t)possible : s->max_entries;
    s->perf.page = (size_t)sysconf(_SC_PAGESIZE);
    s->perf.size = s->perf.page * pages;
    s->perf.reads_lost = true;
    s->perf.wakeup_events = opts->wakeup_events ? opts->wakeup_events : 1;
    s->perf.wakeup_bytes = opts->wakeup_bytes;
    s->size = s->perf.size * count;
    s->perf.cpus = calloc(count ? count : 1, sizeof(*s->perf.cpus));
    s->perf.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!s->perf.cpus || s->perf.epoll < 0)
        return kb_fail(err, s->perf.cpus ? errno : ENOMEM, operation, s->name, "%s",
                       kb_reason(s->perf.cpus ? errno : ENOMEM));
    s->perf.cpu_count = count;
    for (uint32_t cpu = 0; cpu < count; cpu++)
        s->perf.cpus[cpu].fd = -1;
    for (uint32_t cpu = 0; cpu < count; cpu++) {
        int rc = open_cpu(s, cpu, opts, err);
        if (rc)
            return rc;
        on += s->perf.cpus[cpu].fd >= 0;
    }
    return on ? 0
              : kb_fail(err, ENODEV, operation, s->name,
                        "none of the %u CPUs that the map has places for has perf events" KB_DO
                        "give the map as many entries as there are CPUs",
                        count);
}

int kb_stream_open_perf(const struct kb_map *map, const struct kb_perf_opts *opts,
                        struct kb_stream **out, struct kb_error *err) {
    static const struct kb_perf_opts none;
    struct kb_stream *s;
    int rc = kb_stream_new(map, BPF_MAP_TYPE_PERF_EVENT_ARRAY, operation, &s, err);

    if (rc)
        return rc;
    rc = open_cpus(s, opts ? opts : &none, err);
    if (rc) {
        kb_stream_close(&s);
        return rc;
    }
    *out = s;
    return 0;
}

void kb_perf_unmap(struct kb_stream *s) {
    for (uint32_t cpu = 0; cpu < s->perf.cpu_count; cpu++) {
        struct kb_perf_cpu *c = &s->perf.cpus[cpu];
        /* The map keeps its events for as long as anyone holds our open file of it. */
        if (c->base) {
            bpf_map_delete_elem(s->map_fd, &cpu);
            munmap(c->base, s->perf.page + s->perf.size);
        }
        if (c->fd >= 0)
            close(c->fd);
    }
    free(s->perf.cpus);
    if (s->perf.epoll >= 0)
        close(s->perf.epoll);
}

/* `size` bytes from position `at` on, which may wrap. */
static void copy_wrapped(uint8_t *to, const uint8_t *data, size_t buffer, uint64_t at,
                         size_t size) {
    size_t from = (size_t)(at & (buffer - 1));
    size_t first = size < buffer - from ? size : buffer - from;

    memcpy(to, data + from, first);
    memcpy(to + first, data, size - first);
}

static int drain_cpu(struct kb_stream *s, struct kb_perf_cpu *c, struct kb_drain *drain,
                     uint32_t room, struct kb_error *err) {
    struct perf_event_mmap_page *page = (struct perf_event_mmap_page *)(void *)c->base;
    const uint8_t *data = c->base + s->perf.page;
    uint64_t at = page->data_tail, start = at;
    uint64_t end = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
    size_t used = 0;
    int rc = 0;

    while (at < end && drain->count < room) {
        struct {
            struct perf_event_header header;
            uint64_t body[2]; /* of a loss: id, count; of a sample the size comes first */
        } record = {.header.size = 0};
        copy_wrapped((uint8_t *)&record, data, s->perf.size, at,
                     end - at < sizeof(record) ? (size_t)(end - at) : sizeof(record));
        size_t size = record.header.size;
        uint32_t length = (uint32_t)record.body[0];
        if (size < sizeof(record.header) || size > end - at)
            rc = kb_fail(err, EIO, "drain", s->name, "a record of %zu bytes makes no sense", size);
        else if (record.header.type == PERF_RECORD_LOST)
            drain->lost += record.body[1];
        else if (record.header.type == PERF_RECORD_SAMPLE) {
            memcpy(&length, record.body, sizeof(length));
            size_t step = ((size_t)length + 7) & ~(size_t)7;
            if (length > size - sizeof(record.header) - sizeof(length))
                rc = kb_fail(err, EIO, "drain", s->name, "a sample is longer than its record");
            else if (step > drain->data_size - used) {
                drain->needed = step;
                rc = drain->count || drain->lost ? 0 : -ENOSPC;
                break;
            } else {
                copy_wrapped(drain->data + used, data, s->perf.size,
                             at + sizeof(record.header) + sizeof(length), length);
                drain->offsets[2 * drain->count] = (uint32_t)used;
                drain->offsets[2 * drain->count + 1] = (uint32_t)(used + length);
                drain->count++;
                used += step;
            }
        }
        if (rc)
            break;
        at += size;
    }
    c->lost += drain->lost;
    if (at != start)
        __atomic_store_n(&page->data_tail, at, __ATOMIC_RELEASE);
    return rc;
}

int kb_perf_drain(struct kb_stream *s, struct kb_drain *drain, struct kb_error *err) {
    uint32_t room = drain->count;

    drain->count = 0;
    for (uint32_t turn = 0; turn < s->perf.cpu_count; turn++) {
        uint32_t cpu = s->perf.next;
        s->perf.next = (cpu + 1) % s->perf.cpu_count;
        if (!s->perf.cpus[cpu].base)
            continue;
        drain->cpu = cpu;
        int rc = drain_cpu(s, &s->perf.cpus[cpu], drain, room, err);
        if (rc == -ENOSPC)
            s->perf.next = cpu; /* asked again with more room, it is this one's turn */
        if (rc || drain->count || drain->lost)
            return rc;
    }
    return 0;
}

static bool cpu_due(const struct kb_stream *s, const struct kb_perf_cpu *c) {
    struct perf_event_mmap_page *page = (struct perf_event_mmap_page *)(void *)c->base;
    uint64_t at = page->data_tail;
    uint64_t end = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
    uint32_t count = 0;

    if (s->perf.wakeup_bytes)
        return end - at >= s->perf.wakeup_bytes;
    while (at < end && count < s->perf.wakeup_events) {
        struct perf_event_header header;
        copy_wrapped((uint8_t *)&header, c->base + s->perf.page, s->perf.size, at, sizeof(header));
        if (header.size < sizeof(header) || header.size > end - at)
            return true; /* draining tells */
        at += header.size;
        count++;
    }
    return count == s->perf.wakeup_events;
}

bool kb_perf_due(const struct kb_stream *s) {
    for (uint32_t cpu = 0; cpu < s->perf.cpu_count; cpu++)
        if (s->perf.cpus[cpu].base && cpu_due(s, &s->perf.cpus[cpu]))
            return true;
    return false;
}

uint64_t kb_perf_lost(const struct kb_stream *s) {
    uint64_t lost = 0;

    for (uint32_t cpu = 0; cpu < s->perf.cpu_count; cpu++) {
        const struct kb_perf_cpu *c = &s->perf.cpus[cpu];
        uint64_t told[2]; /* value, lost */
        bool read_it = c->fd >= 0 && s->perf.reads_lost &&
                       read(c->fd, told, sizeof(told)) == (ssize_t)sizeof(told);
        lost += read_it ? told[1] : c->lost;
    }
    return lost;
}
