/* Fills a ring buffer, for bench/maps.mjs: getuid(2) of the process control[0] writes control[1]
 * records of 64 bytes. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 3);
    __type(key, __u32);
    __type(value, __u64);
} control SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 24);
} ring SEC(".maps");

struct record {
    __u64 number;
    __u64 rest[7];
};

static long write_record(__u64 i, void *ctx) {
    struct record *r = bpf_ringbuf_reserve(&ring, sizeof *r, 0);

    if (!r)
        return 1;
    r->number = i;
    r->rest[0] = i + 1;
    r->rest[6] = i + 2;
    bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    return 0;
}

SEC("raw_tp/sys_enter")
int fill(struct bpf_raw_tracepoint_args *ctx) {
    __u32 pid_at = 0, count_at = 1, call_at = 2;
    __u64 *pid = bpf_map_lookup_elem(&control, &pid_at);
    __u64 *count = bpf_map_lookup_elem(&control, &count_at);
    __u64 *call = bpf_map_lookup_elem(&control, &call_at);

    if (pid && count && call && ctx->args[1] == *call && bpf_get_current_pid_tgid() >> 32 == *pid)
        bpf_loop(*count, write_record, (void *)0, 0);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
