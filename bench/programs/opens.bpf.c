/* Files that processes open: what was asked for and what came of it, one event each. A program of
 * the size and style of the tools that people compile, for bench/cc.mjs. */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define COMM_LEN 16
#define PATH_LEN 255

struct asked {
    const char *path;
    int flags;
    u32 depth;
};

struct event {
    u64 time;
    u64 callers[2];
    u32 process;
    u32 parent;
    uid_t user;
    int result;
    int flags;
    char comm[COMM_LEN];
    char path[PATH_LEN];
};

const volatile pid_t only_process = 0;
const volatile uid_t only_user = (uid_t)-1;
const volatile bool only_failures = false;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, u32);
    __type(value, struct asked);
} pending SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(key_size, sizeof(u32));
    __uint(value_size, sizeof(u32));
} events SEC(".maps");

static __always_inline bool is_wanted(u32 process) {
    if (only_process && process != (u32)only_process)
        return false;
    if (only_user != (uid_t)-1 && (uid_t)bpf_get_current_uid_gid() != only_user)
        return false;
    return true;
}

static __always_inline int enter(const char *path, int flags) {
    u64 id = bpf_get_current_pid_tgid();
    u32 thread = id;
    struct asked asked = {};
    if (!is_wanted(id >> 32))
        return 0;
    asked.path = path;
    asked.flags = flags;
    bpf_map_update_elem(&pending, &thread, &asked, BPF_ANY);
    return 0;
}

SEC("tracepoint/syscalls/sys_enter_open")
int enter_open(struct trace_event_raw_sys_enter *ctx) {
    return enter((const char *)ctx->args[0], (int)ctx->args[1]);
}

SEC("tracepoint/syscalls/sys_enter_openat")
int enter_openat(struct trace_event_raw_sys_enter *ctx) {
    return enter((const char *)ctx->args[1], (int)ctx->args[2]);
}

static __always_inline int leave(struct trace_event_raw_sys_exit *ctx) {
    struct event event = {};
    struct task_struct *task;
    u64 stack[3] = {};
    u32 thread = bpf_get_current_pid_tgid();
    struct asked *asked = bpf_map_lookup_elem(&pending, &thread);
    if (!asked)
        return 0;
    int result = (int)ctx->ret;
    if (only_failures && result >= 0)
        goto done;

    task = (struct task_struct *)bpf_get_current_task();
    event.time = bpf_ktime_get_ns();
    event.process = bpf_get_current_pid_tgid() >> 32;
    event.parent = BPF_CORE_READ(task, real_parent, tgid);
    event.user = bpf_get_current_uid_gid();
    event.flags = asked->flags;
    event.result = result;
    bpf_get_current_comm(event.comm, sizeof event.comm);
    bpf_probe_read_user_str(event.path, sizeof event.path, asked->path);
    bpf_get_stack(ctx, stack, sizeof stack, BPF_F_USER_STACK);
    event.callers[0] = stack[1];
    event.callers[1] = stack[2];
    bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof event);
done:
    bpf_map_delete_elem(&pending, &thread);
    return 0;
}

SEC("tracepoint/syscalls/sys_exit_open")
int leave_open(struct trace_event_raw_sys_exit *ctx) {
    return leave(ctx);
}

SEC("tracepoint/syscalls/sys_exit_openat")
int leave_openat(struct trace_event_raw_sys_exit *ctx) {
    return leave(ctx);
}

char LICENSE[] SEC("license") = "GPL";
