/* helper_world.c - helpers that ask about the world: clock, random numbers, CPU, process. All of it
 * is what the host has put into the VM's inputs; what programs do to the world is noted for it.
 * Source: kernel/bpf/helpers.c. */
#include "vm.h"

#include <string.h>

static uint64_t read_clock(ebpf_vm *vm) {
    uint64_t now = vm->inputs.clock_ns;
    vm->inputs.clock_ns += vm->inputs.clock_step_ns;
    return now;
}

bool eb_help_clock(ebpf_vm *vm, uint64_t *r) {
    r[0] = read_clock(vm);
    return true;
}

bool eb_help_clock_boot(ebpf_vm *vm, uint64_t *r) {
    r[0] = read_clock(vm) + vm->inputs.boot_ns;
    return true;
}

/* Sebastiano Vigna's splitmix64: one word of state, good enough for sampling. */
bool eb_help_random(ebpf_vm *vm, uint64_t *r) {
    uint64_t z = vm->inputs.random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    r[0] = (z ^ z >> 31) >> 32;
    return true;
}

bool eb_help_cpu(ebpf_vm *vm, uint64_t *r) {
    r[0] = eb_vm_cpu(vm);
    return true;
}

bool eb_help_pid_tgid(ebpf_vm *vm, uint64_t *r) {
    r[0] = (uint64_t)vm->inputs.tgid << 32 | vm->inputs.pid;
    return true;
}

bool eb_help_uid_gid(ebpf_vm *vm, uint64_t *r) {
    r[0] = (uint64_t)vm->inputs.gid << 32 | vm->inputs.uid;
    return true;
}

bool eb_help_comm(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[2], len = 0;
    r[0] = eb_vm_failure(EBPF_EINVAL);
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

bool eb_help_task(ebpf_vm *vm, uint64_t *r) {
    r[0] = (uint64_t)vm->inputs.task_high << 32 | vm->inputs.task_low;
    return true;
}

/* Jiffies of 4 ms, as kernels with HZ=250 count them. */
bool eb_help_jiffies(ebpf_vm *vm, uint64_t *r) {
    r[0] = read_clock(vm) / 4000000;
    return true;
}

bool eb_help_cgroup_id(ebpf_vm *vm, uint64_t *r) {
    r[0] = vm->inputs.cgroup_id;
    return true;
}

bool eb_help_func_ip(ebpf_vm *vm, uint64_t *r) {
    r[0] = vm->inputs.func_ip;
    return true;
}

bool eb_help_cookie(ebpf_vm *vm, uint64_t *r) {
    r[0] = vm->inputs.cookie;
    return true;
}

/* struct bpf_pidns_info { pid, tgid } in r4 bytes at r3; there is one namespace. */
bool eb_help_ns_pid_tgid(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[4];
    uint8_t *to = size ? eb_vm_reach(vm, r[3], size, true) : NULL;
    if (size && !to)
        return false;
    r[0] = size == 8 ? 0 : eb_vm_failure(EBPF_EINVAL);
    if (size == 8) {
        eb_set32(to, vm->big, vm->inputs.pid);
        eb_set32(to + 4, vm->big, vm->inputs.tgid);
    } else if (size) {
        memset(to, 0, size);
    }
    return true;
}

/* ---- stack traces: the one address that is known ---- */

enum { SKIP_MASK = 0xff, USER_STACK = 1 << 8, FAST_COMPARE = 1 << 9, REUSE = 1 << 10 };
enum { BUILD_ID = 1 << 11 };

static uint32_t stack_of(const ebpf_vm *vm, uint64_t flags) {
    return vm->inputs.func_ip && !(flags & SKIP_MASK);
}

/* The number of the trace in map r2, of flags r3. */
bool eb_help_get_stackid(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[2], EB_MAP_BIT(STACK_TRACE));
    if (!map)
        return false;
    uint64_t known = SKIP_MASK | USER_STACK | FAST_COMPARE | REUSE;
    uint32_t depth = stack_of(vm, r[3]);
    if (r[3] & ~known || !depth) {
        r[0] = eb_vm_failure(r[3] & ~known ? EBPF_EINVAL : EBPF_EFAULT);
        return true;
    }
    uint8_t trace[EB_BUILD_ID_SIZE] = {0};
    uint32_t size = 8;
    if (map->flags & EB_MAP_BUILD_ID) {
        size = EB_BUILD_ID_SIZE;
        eb_set32(trace, map->big, EB_BUILD_ID_IP);
        eb_set64(trace + EB_BUILD_ID_AT, map->big, vm->inputs.func_ip);
    } else {
        eb_set64(trace, map->big, vm->inputs.func_ip);
    }
    uint32_t id = eb_jhash(trace, size, 0) & (map->max_entries - 1);
    uint8_t *at = eb_vmap_value(map, id + 1);
    bool same = map->present[id] && memcmp(at, trace, size) == 0;
    r[0] = id;
    if (map->present[id] && !same && !(r[3] & REUSE)) {
        r[0] = eb_vm_failure(EBPF_EEXIST);
    } else if (!same) {
        map->count += !map->present[id];
        map->present[id] = 1;
        memset(at, 0, map->value_size);
        memcpy(at, trace, size);
    }
    return true;
}

/* The trace into r3 bytes at r2; its bytes are the result. */
bool eb_help_get_stack(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[3], depth = stack_of(vm, r[4]);
    uint8_t *to = size ? eb_vm_reach(vm, r[2], size, true) : NULL;
    if (size && !to)
        return false;
    if (size)
        memset(to, 0, size);
    uint64_t known = SKIP_MASK | USER_STACK | BUILD_ID;
    bool wrong = r[4] & ~known || size % 8;
    r[0] = wrong ? eb_vm_failure(EBPF_EINVAL) : depth ? 0 : eb_vm_failure(EBPF_EFAULT);
    if (!wrong && depth && size) {
        eb_set64(to, vm->big, vm->inputs.func_ip);
        r[0] = 8;
    }
    return true;
}

/* ---- effects ---- */

static void count(uint8_t *times) {
    *times = (uint8_t)(*times + (*times < UINT8_MAX));
}

bool eb_help_send_signal(ebpf_vm *vm, uint64_t *r) {
    vm->effects.signal = (uint32_t)r[1];
    count(vm->helper == EB_HELPER_send_signal ? &vm->effects.signals : &vm->effects.signals_thread);
    r[0] = 0;
    return true;
}

bool eb_help_override_return(ebpf_vm *vm, uint64_t *r) {
    vm->effects.override_value = r[2];
    count(&vm->effects.overrides);
    r[0] = 0;
    return true;
}

enum { XDP_ABORTED = 0, XDP_REDIRECT = 4, ACTION_MASK = 3, BROADCAST = 8, EXCLUDE = 16 };

/* Send the packet where key r2 of map r1 leads; without such an entry the result is the action in
 * the flags. */
bool eb_help_redirect_map(ebpf_vm *vm, uint64_t *r) {
    uint64_t devices = EB_MAP_BIT(DEVMAP) | EB_MAP_BIT(DEVMAP_HASH);
    eb_vmap *map = eb_vm_map_argument(vm, r[1], devices | EB_MAP_BIT(CPUMAP) | EB_MAP_BIT(XSKMAP));
    if (!map)
        return false;
    bool device = devices >> map->type & 1, all = device && r[3] & BROADCAST;
    uint64_t known = ACTION_MASK | (device ? BROADCAST | EXCLUDE : 0);
    uint8_t key[4];
    eb_set32(key, map->big, (uint32_t)r[2]);
    r[0] = XDP_ABORTED;
    if (r[3] & ~known)
        return true;
    r[0] = r[3] & ACTION_MASK;
    if (!all && (map->key_size != 4 || !map->kind->find(map, key)))
        return true;
    vm->effects.redirect_map = map->index + 1;
    vm->effects.redirect_key = (uint32_t)r[2];
    vm->effects.redirect_flags = r[3];
    count(&vm->effects.redirects);
    r[0] = XDP_REDIRECT;
    return true;
}
