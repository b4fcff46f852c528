/* helper_world.c - helpers that ask about the world: clock, random numbers, CPU, process. All of it
 * is what the host has put into the VM's inputs. Source: kernel/bpf/helpers.c. */
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
