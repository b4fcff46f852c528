/* Produces records of every kind, for test/kernel/stream.test.ts. Each getuid(2) of the process
 * `control.pid` writes `control.burst` records to what `control.mode` names, numbered in order, and
 * counts in `done` what was written and what found no room. Older kernels have no bpf_loop()
 * (WITHOUT_LOOP; a burst has BURST_MOST records then) and no user ring buffers (WITHOUT_SAMPLES).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum mode { IDLE, RING, PERF, PRINTK, DRAIN_USER };

struct control {
    __u32 pid;
    __u32 syscall; /* the number of getuid(2) */
    __u32 mode;
    __u32 burst;
    __u64 flags; /* of bpf_ringbuf_submit() */
};

struct done {
    __u64 next; /* the number of the next record, written or not */
    __u64 lost;
    __u64 sum;     /* of `check` of what was written */
    __u64 samples; /* from user space */
    __u64 sample_sum;
};

struct record {
    __u64 number;
    __u32 check;
    __u32 cpu;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct control);
} control SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct done);
} done SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 22);
} ring SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(key_size, 4);
    __uint(value_size, 4);
} perf SEC(".maps");

#ifndef WITHOUT_SAMPLES
struct {
    __uint(type, BPF_MAP_TYPE_USER_RINGBUF);
    __uint(max_entries, 1 << 16);
} samples SEC(".maps");
#endif

#ifdef WITHOUT_LOOP
#define REPEAT(times, what, with)                                                                  \
    for (__u32 i = 0; i < BURST_MOST && i < (times); i++)                                          \
    what(i, with)
#else
#define REPEAT(times, what, with) bpf_loop(times, what, with, 0)
#endif

struct state {
    void *ctx;
    struct control *control;
    struct done *done;
};

static __u32 check_of(__u64 number) {
    return (__u32)(number * 2654435761u) ^ (__u32)(number >> 7);
}

static long to_ring(__u64 i, struct state *s) {
    struct done *d = s->done;
    __u64 number = d->next++;
    struct record *r;

    if (number % 1000 == 999) { /* readers skip what is discarded */
        r = bpf_ringbuf_reserve(&ring, sizeof *r + 5, 0);
        if (r)
            bpf_ringbuf_discard(r, 0);
    }
    r = bpf_ringbuf_reserve(&ring, sizeof *r, 0);
    if (!r) {
        d->lost++;
        return 0;
    }
    r->number = number;
    r->check = check_of(number);
    r->cpu = bpf_get_smp_processor_id();
    d->sum += r->check;
    bpf_ringbuf_submit(r, s->control->flags);
    return 0;
}

static long to_perf(__u64 i, struct state *s) {
    struct done *d = s->done;
    struct record r = {};

    r.number = d->next++;
    r.check = check_of(r.number);
    r.cpu = bpf_get_smp_processor_id();
    if (bpf_perf_event_output(s->ctx, &perf, BPF_F_CURRENT_CPU, &r, sizeof r))
        d->lost++;
    else
        d->sum += r.check;
    return 0;
}

#ifndef WITHOUT_SAMPLES
static long take_sample(struct bpf_dynptr *sample, struct state *s) {
    struct done *d = s->done;
    __u64 value;

    if (bpf_dynptr_read(&value, sizeof value, sample, 0, 0) == 0)
        d->sample_sum += value;
    d->samples++;
    return 0;
}
#endif

SEC("raw_tp/sys_enter")
int produce(struct bpf_raw_tracepoint_args *ctx) {
    __u32 zero = 0;
    struct control *c = bpf_map_lookup_elem(&control, &zero);
    struct done *d = bpf_map_lookup_elem(&done, &zero);

    if (!c || !d || ctx->args[1] != c->syscall || bpf_get_current_pid_tgid() >> 32 != c->pid)
        return 0;
    struct state s = {.ctx = ctx, .control = c, .done = d};
    if (c->mode == RING)
        REPEAT(c->burst, to_ring, &s);
    else if (c->mode == PERF)
        REPEAT(c->burst, to_perf, &s);
    else if (c->mode == PRINTK)
        bpf_printk("number %llu of stream.test", d->next++);
#ifndef WITHOUT_SAMPLES
    else if (c->mode == DRAIN_USER)
        bpf_user_ringbuf_drain(&samples, take_sample, &s, 0);
#endif
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
