/* How long requests to disks take, as histograms by disk and kind. A program of the size and style
 * of the tools that people compile, for bench/cc.mjs. */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define SLOTS     27
#define DISK_NAME 32

struct kind {
    u32 flags;
    u32 device;
};

struct histogram {
    u32 slots[SLOTS];
    char disk[DISK_NAME];
};

/* What older kernels have in place of request_queue.disk. */
struct request_queue___disk {
    struct gendisk *disk;
} __attribute__((preserve_access_index));

struct request___rq_disk {
    struct gendisk *rq_disk;
} __attribute__((preserve_access_index));

extern int LINUX_KERNEL_VERSION __kconfig;

const volatile bool by_disk = false;
const volatile bool by_flags = false;
const volatile bool in_milliseconds = false;
const volatile bool with_queue = false;
const volatile u32 only_device = 0;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 10240);
    __type(key, struct request *);
    __type(value, u64);
} starts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct kind);
    __type(value, struct histogram);
} histograms SEC(".maps");

static struct histogram empty;

static __always_inline u32 log2_of(u64 value) {
    u32 high = value >> 32, low = value, shift, result = 0;
    if (high) {
        result = 32;
        low = high;
    }
#pragma unroll
    for (int step = 4; step >= 0; step--) {
        shift = (low >> (1u << step) ? 1u : 0u) << step;
        low >>= shift;
        result |= shift;
    }
    return result;
}

static __always_inline struct gendisk *disk_of(struct request *rq) {
    struct request_queue___disk *queue = (void *)BPF_CORE_READ(rq, q);
    struct request___rq_disk *old = (void *)rq;
    if (bpf_core_field_exists(queue->disk))
        return BPF_CORE_READ(queue, disk);
    return BPF_CORE_READ(old, rq_disk);
}

static __always_inline u32 device_of(struct request *rq) {
    struct gendisk *disk = disk_of(rq);
    return disk ? (u32)BPF_CORE_READ(disk, major) << 20 | (u32)BPF_CORE_READ(disk, first_minor) : 0;
}

static __always_inline int start(struct request *rq) {
    u64 now = bpf_ktime_get_ns();
    if (only_device && device_of(rq) != only_device)
        return 0;
    bpf_map_update_elem(&starts, &rq, &now, BPF_ANY);
    return 0;
}

SEC("tp_btf/block_rq_insert")
int BPF_PROG(inserted, struct request *rq) {
    return with_queue ? start(rq) : 0;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(issued, struct request *rq) {
    if (with_queue && bpf_map_lookup_elem(&starts, &rq))
        return 0;
    return start(rq);
}

static __always_inline struct histogram *histogram_of(const struct kind *kind, struct request *rq) {
    struct histogram *found = bpf_map_lookup_elem(&histograms, kind);
    if (found)
        return found;
    bpf_map_update_elem(&histograms, kind, &empty, BPF_NOEXIST);
    found = bpf_map_lookup_elem(&histograms, kind);
    if (found && by_disk)
        BPF_CORE_READ_STR_INTO(&found->disk, rq, q, disk, disk_name);
    return found;
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(completed, struct request *rq, int error, unsigned int bytes) {
    u64 *at = bpf_map_lookup_elem(&starts, &rq), now = bpf_ktime_get_ns(), slot;
    struct kind kind = {};
    struct histogram *histogram;
    s64 delta;
    if (!at)
        return 0;
    delta = (s64)(now - *at);
    if (delta < 0)
        goto done;
    if (by_disk)
        kind.device = device_of(rq);
    if (by_flags)
        kind.flags = BPF_CORE_READ(rq, cmd_flags);
    histogram = histogram_of(&kind, rq);
    if (!histogram)
        goto done;
    if (in_milliseconds)
        delta /= 1000000U;
    else
        delta /= 1000U;
    slot = log2_of(delta);
    if (slot >= SLOTS)
        slot = SLOTS - 1;
    __sync_fetch_and_add(&histogram->slots[slot], 1);
done:
    bpf_map_delete_elem(&starts, &rq);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
