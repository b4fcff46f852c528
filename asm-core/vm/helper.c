/* helper.c - the helpers that the VM has itself, as the kernel defines them.
 * Arguments are r1 to r5, the result r0; a pointer that leads nowhere faults, where the kernel's
 * verifier would have refused the program. Source: kernel/bpf/helpers.c, kernel/trace/bpf_trace.c.
 */
#include "vm.h"

#include <string.h>

enum { PRINTK_MOST = 1 << 20, FORMAT_MOST = 4096, READ_MOST = 1 << 29 };

static const char *const names[] = {
#define HELPER(id, name, major, minor) [id] = #name,
#include "helper.def"
};

const char *ebpf_helper_name(uint32_t id) {
    return id < sizeof names / sizeof *names ? names[id] : NULL;
}

/* ---- arguments ---- */

static eb_vmap *map_argument(ebpf_vm *vm, uint64_t handle) {
    if (handle >> 32 == EB_REGION_HANDLES && (uint32_t)handle < vm->map_count)
        return &vm->maps[(uint32_t)handle];
    eb_vm_refuse(vm, EBPF_FAULT_HELPER, handle,
                 "%s: its first argument, r1 = 0x%llx, is no map (load one with a 64-bit load of "
                 "the map's name)",
                 ebpf_helper_name(vm->helper), (unsigned long long)handle);
    return NULL;
}

static uint32_t cpu_of(const ebpf_vm *vm) {
    return vm->inputs.cpu < vm->cpus ? vm->inputs.cpu : 0;
}

static uint64_t failure(int error) {
    return (uint64_t)(int64_t)-error;
}

/* ---- maps ---- */

static uint64_t value_address(const eb_vmap *map, uint32_t entry, uint32_t cpu) {
    if (!entry)
        return 0;
    uint32_t offset = (entry - 1) * map->stride + (map->per_cpu ? cpu * map->one : 0);
    return eb_vm_address(map->region, offset);
}

static bool map_lookup(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = map_argument(vm, r[1]);
    const uint8_t *key = map ? eb_vm_reach(vm, r[2], map->key_size, false) : NULL;
    if (!key)
        return false;
    r[0] = value_address(map, eb_vmap_use(map, key), cpu_of(vm));
    return true;
}

static bool map_lookup_percpu(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = map_argument(vm, r[1]);
    const uint8_t *key = map ? eb_vm_reach(vm, r[2], map->key_size, false) : NULL;
    if (!key)
        return false;
    uint32_t cpu = (uint32_t)r[3];
    r[0] = map->per_cpu && cpu < map->cpus ? value_address(map, eb_vmap_use(map, key), cpu) : 0;
    return true;
}

static bool map_update(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = map_argument(vm, r[1]);
    const uint8_t *key = map ? eb_vm_reach(vm, r[2], map->key_size, false) : NULL;
    const uint8_t *value = key ? eb_vm_reach(vm, r[3], map->value_size, false) : NULL;
    if (!value)
        return false;
    r[0] = failure(-eb_vmap_update(vm, map, key, value, r[4], cpu_of(vm)));
    return true;
}

static bool map_delete(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = map_argument(vm, r[1]);
    const uint8_t *key = map ? eb_vm_reach(vm, r[2], map->key_size, false) : NULL;
    if (!key)
        return false;
    r[0] = failure(-eb_vmap_delete(vm, map, key));
    return true;
}

/* ---- reading memory ---- */

/* `size` bytes of `from`, or zeroes and -EFAULT when the program has no such memory. */
static bool probe_read(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[2];
    r[0] = 0;
    if (size == 0)
        return true;
    uint8_t *to = size <= READ_MOST ? eb_vm_reach(vm, r[1], size, true) : NULL;
    if (size > READ_MOST)
        return eb_vm_refuse(vm, EBPF_FAULT_HELPER, r[1], "%s: %u bytes are too many",
                            ebpf_helper_name(vm->helper), size);
    if (!to)
        return false;
    const uint8_t *from = eb_vm_reach(vm, r[3], size, false);
    if (from) {
        memmove(to, from, size);
        return true;
    }
    vm->fault = (ebpf_vm_fault){0};
    memset(to, 0, size);
    r[0] = failure(EBPF_EFAULT);
    return true;
}

/* A string until its NUL, cut to fit; the result counts the NUL. */
static bool probe_read_str(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[2], len = 0;
    r[0] = 0;
    if (size == 0)
        return true;
    uint8_t *to = eb_vm_reach(vm, r[1], size, true);
    if (!to)
        return false;
    for (; len < size; len++) {
        const uint8_t *from = eb_vm_reach(vm, r[3] + len, 1, false);
        if (!from) {
            vm->fault = (ebpf_vm_fault){0};
            memset(to, 0, size);
            r[0] = failure(EBPF_EFAULT);
            return true;
        }
        if (!(to[len] = *from))
            break;
    }
    if (len == size)
        to[--len] = 0;
    r[0] = len + 1;
    return true;
}

/* Compare the program's string r1, of r2 bytes, with the string r3. */
static bool compare(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[2];
    for (uint32_t i = 0; i < size; i++) {
        const uint8_t *a = eb_vm_reach(vm, r[1] + i, 1, false);
        uint8_t left = a ? *a : 0;
        const uint8_t *b = a ? eb_vm_reach(vm, r[3] + i, 1, false) : NULL;
        if (!b)
            return false;
        if (left != *b || !left) {
            r[0] = (uint64_t)((int64_t)left - *b);
            return true;
        }
    }
    r[0] = 0;
    return true;
}

/* ---- the world ---- */

static uint64_t read_clock(ebpf_vm *vm) {
    uint64_t now = vm->inputs.clock_ns;
    vm->inputs.clock_ns += vm->inputs.clock_step_ns;
    return now;
}

static bool clock_ns(ebpf_vm *vm, uint64_t *r) {
    r[0] = read_clock(vm);
    return true;
}

static bool clock_boot(ebpf_vm *vm, uint64_t *r) {
    r[0] = read_clock(vm) + vm->inputs.boot_ns;
    return true;
}

/* Sebastiano Vigna's splitmix64: one word of state, good enough for sampling. */
static bool random_u32(ebpf_vm *vm, uint64_t *r) {
    uint64_t z = vm->inputs.random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    r[0] = (z ^ z >> 31) >> 32;
    return true;
}

static bool cpu_id(ebpf_vm *vm, uint64_t *r) {
    r[0] = cpu_of(vm);
    return true;
}

static bool numa_node(ebpf_vm *vm, uint64_t *r) {
    (void)vm;
    r[0] = 0;
    return true;
}

static bool pid_tgid(ebpf_vm *vm, uint64_t *r) {
    r[0] = (uint64_t)vm->inputs.tgid << 32 | vm->inputs.pid;
    return true;
}

static bool uid_gid(ebpf_vm *vm, uint64_t *r) {
    r[0] = (uint64_t)vm->inputs.gid << 32 | vm->inputs.uid;
    return true;
}

static bool comm(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[2], len = 0;
    r[0] = failure(EBPF_EINVAL);
    if (size == 0)
        return true;
    uint8_t *to = eb_vm_reach(vm, r[1], size, true);
    if (!to)
        return false;
    memset(to, 0, size);
    for (; len + 1 < size && len < sizeof vm->inputs.comm && vm->inputs.comm[len]; len++)
        to[len] = (uint8_t)vm->inputs.comm[len];
    r[0] = 0;
    return true;
}

static bool task(ebpf_vm *vm, uint64_t *r) {
    r[0] = (uint64_t)vm->inputs.task_high << 32 | vm->inputs.task_low;
    return true;
}

/* ---- printk ---- */

/* Keep the newest lines when there are too many. */
static void trim(eb_buf *out) {
    if (out->len <= PRINTK_MOST)
        return;
    size_t drop = out->len - PRINTK_MOST / 2;
    const uint8_t *line = memchr(out->at + drop, '\n', out->len - drop);
    if (line)
        drop = (size_t)(line - out->at) + 1;
    memmove(out->at, out->at + drop, out->len - drop);
    out->len -= drop;
}

static bool print(ebpf_vm *vm, uint64_t *r, const uint64_t *args, uint32_t count) {
    uint32_t size = (uint32_t)r[2];
    r[0] = failure(EBPF_EINVAL);
    if (size == 0 || size > FORMAT_MOST)
        return true;
    const uint8_t *format = eb_vm_reach(vm, r[1], size, false);
    if (!format)
        return false;
    const uint8_t *end = memchr(format, 0, size);
    if (!end)
        return true;
    size_t before = vm->printk.len;
    int64_t written = eb_vm_format(vm, (eb_str){(const char *)format, (size_t)(end - format)}, args,
                                   count, &vm->printk);
    r[0] = (uint64_t)written;
    if (written < 0)
        vm->printk.len = before;
    else if (written == 0 || vm->printk.at[vm->printk.len - 1] != '\n')
        eb_buf_byte(&vm->printk, '\n');
    trim(&vm->printk);
    return true;
}

static bool trace_printk(ebpf_vm *vm, uint64_t *r) {
    uint64_t args[] = {r[3], r[4], r[5]};
    return print(vm, r, args, 3);
}

/* The arguments are 64-bit words in memory: r4 bytes at r3. */
static bool trace_vprintk(ebpf_vm *vm, uint64_t *r) {
    enum { MOST = 12 };
    uint64_t args[MOST] = {0};
    uint32_t size = (uint32_t)r[4];
    if (size % 8 || size > MOST * 8) {
        r[0] = failure(EBPF_EINVAL);
        return true;
    }
    const uint8_t *at = size ? eb_vm_reach(vm, r[3], size, false) : NULL;
    if (size && !at)
        return false;
    for (uint32_t i = 0; i < size / 8; i++)
        args[i] = eb_get64(at + i * 8, vm->big);
    return print(vm, r, args, size / 8);
}

eb_helper *const eb_helpers[EB_HELPERS] = {
    [EB_HELPER_map_lookup_elem] = map_lookup,
    [EB_HELPER_map_update_elem] = map_update,
    [EB_HELPER_map_delete_elem] = map_delete,
    [EB_HELPER_probe_read] = probe_read,
    [EB_HELPER_ktime_get_ns] = clock_ns,
    [EB_HELPER_trace_printk] = trace_printk,
    [EB_HELPER_get_prandom_u32] = random_u32,
    [EB_HELPER_get_smp_processor_id] = cpu_id,
    [EB_HELPER_get_current_pid_tgid] = pid_tgid,
    [EB_HELPER_get_current_uid_gid] = uid_gid,
    [EB_HELPER_get_current_comm] = comm,
    [EB_HELPER_get_current_task] = task,
    [EB_HELPER_get_numa_node_id] = numa_node,
    [EB_HELPER_probe_read_str] = probe_read_str,
    [EB_HELPER_probe_read_user] = probe_read,
    [EB_HELPER_probe_read_kernel] = probe_read,
    [EB_HELPER_probe_read_user_str] = probe_read_str,
    [EB_HELPER_probe_read_kernel_str] = probe_read_str,
    [EB_HELPER_ktime_get_boot_ns] = clock_boot,
    [EB_HELPER_get_current_task_btf] = task,
    [EB_HELPER_ktime_get_coarse_ns] = clock_ns,
    [EB_HELPER_trace_vprintk] = trace_vprintk,
    [EB_HELPER_strncmp] = compare,
    [EB_HELPER_map_lookup_percpu_elem] = map_lookup_percpu,
    [EB_HELPER_ktime_get_tai_ns] = clock_ns,
};
