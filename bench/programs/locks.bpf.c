/* Who waits for locks, and who holds them how long, by the stack that took them: one program per
 * kind of lock. The larger kind of tool that people compile, for bench/cc.mjs. */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define COMM_LEN    16
#define STACK_DEPTH 127

#define READ_ONCE(x)     (*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

struct holder {
    u64 thread;
    u64 lock;
};

struct taken {
    u64 tried;
    u64 acquired;
    u64 released;
    s32 stack;
    s32 nested;
};

struct summary {
    u64 waits;
    u64 wait_total;
    u64 wait_most;
    u64 wait_most_thread;
    u64 wait_most_lock;
    char wait_most_comm[COMM_LEN];
    u64 holds;
    u64 hold_total;
    u64 hold_most;
    u64 hold_most_thread;
    u64 hold_most_lock;
    char hold_most_comm[COMM_LEN];
};

const volatile pid_t only_process = 0;
const volatile pid_t only_thread = 0;
const volatile void *only_lock = NULL;
const volatile bool per_thread = false;

struct {
    __uint(type, BPF_MAP_TYPE_STACK_TRACE);
    __uint(max_entries, 16384);
    __uint(key_size, sizeof(u32));
    __uint(value_size, STACK_DEPTH * sizeof(u64));
} stacks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, struct holder);
    __type(value, struct taken);
} held SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, s32);
    __type(value, struct summary);
} summaries SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, u64);
    __type(value, void *);
} waiting SEC(".maps");

static __always_inline bool is_wanted(u64 id, const void *lock) {
    if (only_process && (u32)only_process != id >> 32)
        return false;
    if (only_thread && (u32)only_thread != (u32)id)
        return false;
    return !only_lock || lock == (void *)only_lock;
}

static __always_inline void contend(void *ctx, void *lock) {
    u64 id = bpf_get_current_pid_tgid();
    struct holder key = {.thread = id, .lock = (u64)lock};
    struct taken fresh = {}, *taken;
    if (!is_wanted(id, lock))
        return;
    taken = bpf_map_lookup_elem(&held, &key);
    if (!taken) {
        bpf_map_update_elem(&held, &key, &fresh, BPF_ANY);
        taken = bpf_map_lookup_elem(&held, &key);
        if (!taken)
            return;
    }
    taken->tried = bpf_ktime_get_ns();
    taken->stack = per_thread ? (s32)id : bpf_get_stackid(ctx, &stacks, 0);
    taken->nested++;
}

static __always_inline void abandon(void *lock) {
    u64 id = bpf_get_current_pid_tgid();
    struct holder key = {.thread = id, .lock = (u64)lock};
    if (is_wanted(id, lock))
        bpf_map_delete_elem(&held, &key);
}

static __always_inline void acquire(void *lock) {
    u64 id = bpf_get_current_pid_tgid();
    struct holder key = {.thread = id, .lock = (u64)lock};
    struct taken *taken;
    if (!is_wanted(id, lock))
        return;
    taken = bpf_map_lookup_elem(&held, &key);
    if (taken)
        taken->acquired = bpf_ktime_get_ns();
}

static __always_inline void add_wait(struct summary *s, const struct taken *t,
                                     const struct holder *key) {
    u64 delta = t->acquired - t->tried;
    if ((s64)delta < 0)
        return;
    __sync_fetch_and_add(&s->waits, 1);
    __sync_fetch_and_add(&s->wait_total, delta);
    if (delta <= READ_ONCE(s->wait_most))
        return;
    WRITE_ONCE(s->wait_most, delta);
    WRITE_ONCE(s->wait_most_thread, key->thread);
    WRITE_ONCE(s->wait_most_lock, key->lock);
    bpf_get_current_comm(s->wait_most_comm, sizeof s->wait_most_comm);
}

static __always_inline void add_hold(struct summary *s, const struct taken *t,
                                     const struct holder *key) {
    u64 delta = t->released - t->acquired;
    if ((s64)delta < 0)
        return;
    __sync_fetch_and_add(&s->holds, 1);
    __sync_fetch_and_add(&s->hold_total, delta);
    if (delta <= READ_ONCE(s->hold_most))
        return;
    WRITE_ONCE(s->hold_most, delta);
    WRITE_ONCE(s->hold_most_thread, key->thread);
    WRITE_ONCE(s->hold_most_lock, key->lock);
    bpf_get_current_comm(s->hold_most_comm, sizeof s->hold_most_comm);
}

static __always_inline void release(void *lock) {
    u64 id = bpf_get_current_pid_tgid();
    struct holder key = {.thread = id, .lock = (u64)lock};
    struct summary fresh = {}, *summary;
    struct taken *taken;
    s32 stack;
    if (!is_wanted(id, lock))
        return;
    taken = bpf_map_lookup_elem(&held, &key);
    if (!taken || !taken->acquired)
        return;
    taken->released = bpf_ktime_get_ns();
    stack = taken->stack;
    summary = bpf_map_lookup_elem(&summaries, &stack);
    if (!summary) {
        bpf_map_update_elem(&summaries, &stack, &fresh, BPF_NOEXIST);
        summary = bpf_map_lookup_elem(&summaries, &stack);
    }
    if (summary) {
        add_hold(summary, taken, &key);
        add_wait(summary, taken, &key);
    }
    bpf_map_delete_elem(&held, &key);
}

static __always_inline void remember(void *lock) {
    u64 id = bpf_get_current_pid_tgid();
    bpf_map_update_elem(&waiting, &id, &lock, BPF_ANY);
}

static __always_inline void *recall(void) {
    u64 id = bpf_get_current_pid_tgid();
    void **lock = bpf_map_lookup_elem(&waiting, &id);
    void *found = lock ? *lock : NULL;
    if (lock)
        bpf_map_delete_elem(&waiting, &id);
    return found;
}

/* A function that takes a lock and cannot fail, in both ways to trace it. */
#define TAKES(NAME, TYPE)                                                                          \
    SEC("fentry/" #NAME) int BPF_PROG(NAME##_begins, TYPE *lock) {                                 \
        contend(ctx, lock);                                                                        \
        return 0;                                                                                  \
    }                                                                                              \
    SEC("fexit/" #NAME) int BPF_PROG(NAME##_ends, TYPE *lock) {                                    \
        acquire(lock);                                                                             \
        return 0;                                                                                  \
    }                                                                                              \
    SEC("kprobe/" #NAME) int BPF_KPROBE(NAME##_entered, TYPE *lock) {                              \
        remember(lock);                                                                            \
        contend(ctx, lock);                                                                        \
        return 0;                                                                                  \
    }                                                                                              \
    SEC("kretprobe/" #NAME) int BPF_KRETPROBE(NAME##_left, long result) {                          \
        acquire(recall());                                                                         \
        return 0;                                                                                  \
    }

/* One that may fail: what it returns says so. */
#define TRIES(NAME, TYPE, FAILED)                                                                  \
    SEC("fexit/" #NAME) int BPF_PROG(NAME##_tried, TYPE *lock, int result) {                       \
        if (FAILED) {                                                                              \
            abandon(lock);                                                                         \
        } else {                                                                                   \
            contend(ctx, lock);                                                                    \
            acquire(lock);                                                                         \
        }                                                                                          \
        return 0;                                                                                  \
    }

#define GIVES(NAME, TYPE)                                                                          \
    SEC("fentry/" #NAME) int BPF_PROG(NAME##_gives, TYPE *lock) {                                  \
        release(lock);                                                                             \
        return 0;                                                                                  \
    }                                                                                              \
    SEC("kprobe/" #NAME) int BPF_KPROBE(NAME##_given, TYPE *lock) {                                \
        release(lock);                                                                             \
        return 0;                                                                                  \
    }

TAKES(mutex_lock, struct mutex)
TRIES(mutex_trylock, struct mutex, !result)
TRIES(mutex_lock_killable, struct mutex, result)
GIVES(mutex_unlock, struct mutex)
TAKES(down_read, struct rw_semaphore)
TRIES(down_read_trylock, struct rw_semaphore, !result)
GIVES(up_read, struct rw_semaphore)
TAKES(down_write, struct rw_semaphore)
TRIES(down_write_killable, struct rw_semaphore, result)
GIVES(up_write, struct rw_semaphore)

char LICENSE[] SEC("license") = "GPL";
