/* helper_memory.c - helpers that read and compare the program's memory.
 * What the kernel would find unreadable gives -EFAULT where it does, a fault where the verifier
 * would have refused the program. Source: kernel/trace/bpf_trace.c, mm/maccess.c. */
#include "vm.h"

#include <string.h>

enum { READ_MOST = 1 << 29 };

/* Why there is nothing to read at an address. Where the kernel's memory is read, x86-64's refuses
 * null and small numbers before it looks, as other addresses that cannot be the kernel's. */
static uint64_t unreadable(ebpf_vm *vm, uint64_t address) {
    bool kernel =
        vm->helper == EB_HELPER_probe_read_kernel || vm->helper == EB_HELPER_probe_read_kernel_str;
    vm->fault = (ebpf_vm_fault){0};
    return eb_vm_failure(kernel && address >> 32 == 0 ? EBPF_ERANGE : EBPF_EFAULT);
}

/* `size` bytes of `from`, or zeroes and -errno when the program has no such memory. */
bool eb_help_probe_read(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[2];
    r[0] = 0;
    if (size == 0)
        return true;
    uint8_t *to = size <= READ_MOST ? eb_vm_reach(vm, r[1], size, true) : NULL;
    if (size > READ_MOST)
        return eb_vm_refuse(vm, EBPF_FAULT_HELPER, r[1], "%s: %u bytes are too many",
                            eb_vm_helper_name(vm, vm->helper), size);
    if (!to)
        return false;
    const uint8_t *from = eb_vm_reach(vm, r[3], size, false);
    if (from) {
        memmove(to, from, size);
        return true;
    }
    memset(to, 0, size);
    r[0] = unreadable(vm, r[3]);
    return true;
}

/* A string until its NUL, cut to fit; the result counts the NUL. */
bool eb_help_probe_read_str(ebpf_vm *vm, uint64_t *r) {
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
            memset(to, 0, size);
            r[0] = unreadable(vm, r[3] + len);
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

/* Compare the program's string r1, of r2 bytes, with the string r3: -1, 0 or 1. */
bool eb_help_strncmp(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[2];
    for (uint32_t i = 0; i < size; i++) {
        const uint8_t *a = eb_vm_reach(vm, r[1] + i, 1, false);
        uint8_t left = a ? *a : 0;
        const uint8_t *b = a ? eb_vm_reach(vm, r[3] + i, 1, false) : NULL;
        if (!b)
            return false;
        if (left != *b || !left) {
            r[0] = (uint64_t)((left > *b) - (left < *b));
            return true;
        }
    }
    r[0] = 0;
    return true;
}

/* probe_read for a program that may sleep: r3 in another order of words, no flags. */
bool eb_help_copy_from_user_task(ebpf_vm *vm, uint64_t *r) {
    if (r[5]) {
        r[0] = eb_vm_failure(EBPF_EINVAL);
        return true;
    }
    return eb_help_probe_read(vm, r);
}

/* r3 bytes from r2 to user memory r1. */
bool eb_help_probe_write_user(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[3];
    r[0] = 0;
    const uint8_t *from = size ? eb_vm_reach(vm, r[2], size, false) : NULL;
    if (!from)
        return !size;
    uint8_t *to = eb_vm_reach(vm, r[1], size, true);
    if (to) {
        memmove(to, from, size);
        return true;
    }
    vm->fault = (ebpf_vm_fault){0};
    r[0] = eb_vm_failure(EBPF_EFAULT);
    return true;
}
