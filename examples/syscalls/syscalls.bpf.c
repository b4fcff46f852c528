/* Counts the system calls of every process: runs at each entry into the kernel and adds one to the
 * entry of the process in `counts`.
 *
 * A process is named by its main thread (thread id = process id), which writes its name anew at
 * each call: after fork the name is still the parent's, exec changes it. Other threads never write
 * the name: what they call themselves is not the name of the process. An entry that another thread
 * made has no name until the main thread makes a call. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct stat {
    __u64 count;
    char comm[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 10240);
    __type(key, __u32);
    __type(value, struct stat);
} counts SEC(".maps");

/* The entry of a process, made when there is none; NULL when the map is full. */
static struct stat *entry_of(__u32 process) {
    struct stat none = {};
    struct stat *stat = bpf_map_lookup_elem(&counts, &process);
    if (stat)
        return stat;
    bpf_map_update_elem(&counts, &process, &none, BPF_NOEXIST); /* or another thread was faster */
    return bpf_map_lookup_elem(&counts, &process);
}

SEC("raw_tp/sys_enter")
int count_syscall(void *ctx) {
    __u64 id = bpf_get_current_pid_tgid();
    __u32 process = id >> 32, thread = id;
    struct stat *stat = entry_of(process);
    if (!stat)
        return 0;
    __sync_fetch_and_add(&stat->count, 1); /* calls of other threads count at the same time */
    if (thread == process)
        bpf_get_current_comm(stat->comm, sizeof stat->comm);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
