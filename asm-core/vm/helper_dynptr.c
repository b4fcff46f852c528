/* helper_dynptr.c - dynamic pointers: 16 bytes that say where memory is and how much of it.
 *
 * As in the kernel these are the address, the size (24 bits, with the type and a bit for read-only
 * above) and an offset. The address is one of the program's own, and what it leads to is checked at
 * every use, so a forged one reaches nothing else. Source: kernel/bpf/helpers.c. */
#include "vm.h"

#include <string.h>

enum { TYPE_SHIFT = 28, READ_ONLY_BIT = 31 };

bool eb_vm_dynptr(ebpf_vm *vm, uint64_t address, eb_dynptr *out) {
    const uint8_t *at = eb_vm_reach(vm, address, EB_DYNPTR_SIZE, false);
    if (!at)
        return false;
    uint32_t size = eb_get32(at + 8, vm->big);
    *out = (eb_dynptr){.data = eb_get64(at, vm->big),
                       .size = size & EB_DYNPTR_MOST,
                       .offset = eb_get32(at + 12, vm->big),
                       .type = size >> TYPE_SHIFT & 7,
                       .read_only = size >> READ_ONLY_BIT};
    return true;
}

static bool store(ebpf_vm *vm, uint64_t address, const eb_dynptr *ptr) {
    uint8_t *at = eb_vm_reach(vm, address, EB_DYNPTR_SIZE, true);
    if (!at)
        return false;
    uint32_t size = ptr->size | ptr->type << TYPE_SHIFT;
    eb_set64(at, vm->big, ptr->data);
    eb_set32(at + 8, vm->big, size | (uint32_t)ptr->read_only << READ_ONLY_BIT);
    eb_set32(at + 12, vm->big, ptr->offset);
    return true;
}

bool eb_vm_dynptr_set(ebpf_vm *vm, uint64_t address, uint64_t data, uint32_t size, uint32_t type) {
    return store(vm, address, &(eb_dynptr){.data = data, .size = size, .type = type});
}

static bool lies_within(const eb_dynptr *ptr, uint32_t offset, uint32_t size) {
    return size <= ptr->size && offset <= ptr->size - size;
}

static bool is_packet(const eb_dynptr *ptr) {
    return ptr->type == EB_DYNPTR_SKB || ptr->type == EB_DYNPTR_XDP;
}

/* One of a packet follows it when it moves. */
static uint64_t address_of(const ebpf_vm *vm, const eb_dynptr *ptr, uint32_t offset) {
    const eb_packet *packet = &vm->packet;
    uint64_t data =
        is_packet(ptr) ? eb_vm_address(packet->region, packet->data - packet->meta) : ptr->data;
    return data + ptr->offset + offset;
}

bool eb_help_dynptr_from_mem(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[2];
    int error = size > EB_DYNPTR_MOST ? EBPF_E2BIG : r[3] ? EBPF_EINVAL : 0;
    if (!error && size && !eb_vm_reach(vm, r[1], size, true))
        return false;
    r[0] = eb_vm_failure(error);
    return eb_vm_dynptr_set(vm, r[4], error ? 0 : r[1], error ? 0 : size, EB_DYNPTR_LOCAL);
}

/* Copy r2 bytes from offset r4 of dynptr r3 to r1. */
bool eb_help_dynptr_read(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[2], offset = (uint32_t)r[4];
    eb_dynptr ptr;
    if (!eb_vm_dynptr(vm, r[3], &ptr))
        return false;
    int error = !ptr.data || r[5] ? EBPF_EINVAL : lies_within(&ptr, offset, size) ? 0 : EBPF_E2BIG;
    r[0] = eb_vm_failure(error);
    if (error || !size)
        return true;
    uint8_t *to = eb_vm_reach(vm, r[1], size, true);
    const uint8_t *from = to ? eb_vm_reach(vm, address_of(vm, &ptr, offset), size, false) : NULL;
    if (from)
        memmove(to, from, size);
    return from;
}

/* Copy r4 bytes at r3 to offset r2 of dynptr r1. */
bool eb_help_dynptr_write(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[4], offset = (uint32_t)r[2];
    eb_dynptr ptr;
    if (!eb_vm_dynptr(vm, r[1], &ptr))
        return false;
    int error = !ptr.data || ptr.read_only         ? EBPF_EINVAL
                : !lies_within(&ptr, offset, size) ? EBPF_E2BIG
                : r[5] && !is_packet(&ptr)         ? EBPF_EINVAL
                                                   : 0;
    r[0] = eb_vm_failure(error);
    if (error || !size)
        return true;
    const uint8_t *from = eb_vm_reach(vm, r[3], size, false);
    uint8_t *to = from ? eb_vm_reach(vm, address_of(vm, &ptr, offset), size, true) : NULL;
    if (to)
        memmove(to, from, size);
    return to;
}

/* The address of r3 bytes at offset r2, or 0. */
bool eb_help_dynptr_data(ebpf_vm *vm, uint64_t *r) {
    uint32_t offset = (uint32_t)r[2], size = (uint32_t)r[3];
    eb_dynptr ptr;
    if (!eb_vm_dynptr(vm, r[1], &ptr))
        return false;
    bool there = ptr.data && !ptr.read_only && !is_packet(&ptr) && lies_within(&ptr, offset, size);
    r[0] = there ? address_of(vm, &ptr, offset) : 0;
    return true;
}

/* ---- kernel functions ---- */

/* The packet of context r1. */
bool eb_help_dynptr_from_packet(ebpf_vm *vm, uint64_t *r) {
    const eb_packet *packet = &vm->packet;
    if (!packet->region || r[1] != eb_vm_address(EB_REGION_CONTEXT, 0))
        return eb_vm_refuse(vm, EBPF_FAULT_HELPER, r[1],
                            "%s: its first argument, r1 = 0x%llx, is not the context of a packet",
                            eb_vm_helper_name(vm, vm->helper), (unsigned long long)r[1]);
    bool xdp = vm->context.layout == EB_LAYOUT_XDP;
    eb_dynptr ptr = {.data = r[1],
                     .size = packet->end - packet->data,
                     .type = xdp ? EB_DYNPTR_XDP : EB_DYNPTR_SKB,
                     .read_only = !packet->writable};
    if (r[2])
        ptr = (eb_dynptr){0};
    uint64_t to = r[3];
    r[0] = eb_vm_failure(r[2] ? EBPF_EINVAL : 0);
    return store(vm, to, &ptr);
}

bool eb_help_dynptr_slice(ebpf_vm *vm, uint64_t *r) {
    uint32_t offset = (uint32_t)r[2], size = (uint32_t)r[4];
    eb_dynptr ptr;
    if (!eb_vm_dynptr(vm, r[1], &ptr))
        return false;
    r[0] = ptr.data && lies_within(&ptr, offset, size) ? address_of(vm, &ptr, offset) : 0;
    return true;
}

bool eb_help_dynptr_slice_rdwr(ebpf_vm *vm, uint64_t *r) {
    eb_dynptr ptr;
    if (!eb_vm_dynptr(vm, r[1], &ptr))
        return false;
    r[0] = 0;
    return ptr.read_only || eb_help_dynptr_slice(vm, r);
}

/* Leave only bytes r2 to r3. */
bool eb_help_dynptr_adjust(ebpf_vm *vm, uint64_t *r) {
    uint32_t start = (uint32_t)r[2], end = (uint32_t)r[3];
    eb_dynptr ptr;
    if (!eb_vm_dynptr(vm, r[1], &ptr))
        return false;
    int error = !ptr.data || start > end ? EBPF_EINVAL : end > ptr.size ? EBPF_ERANGE : 0;
    r[0] = eb_vm_failure(error);
    if (error)
        return true;
    ptr.offset += start;
    ptr.size = end - start;
    return store(vm, r[1], &ptr);
}

bool eb_help_dynptr_is_null(ebpf_vm *vm, uint64_t *r) {
    eb_dynptr ptr;
    bool ok = eb_vm_dynptr(vm, r[1], &ptr);
    r[0] = ok && !ptr.data;
    return ok;
}

bool eb_help_dynptr_is_rdonly(ebpf_vm *vm, uint64_t *r) {
    eb_dynptr ptr;
    bool ok = eb_vm_dynptr(vm, r[1], &ptr);
    r[0] = ok && ptr.data && ptr.read_only;
    return ok;
}

bool eb_help_dynptr_size(ebpf_vm *vm, uint64_t *r) {
    eb_dynptr ptr;
    if (!eb_vm_dynptr(vm, r[1], &ptr))
        return false;
    r[0] = ptr.data ? ptr.size : (uint32_t)-EBPF_EINVAL;
    return true;
}

bool eb_help_dynptr_clone(ebpf_vm *vm, uint64_t *r) {
    eb_dynptr ptr;
    if (!eb_vm_dynptr(vm, r[1], &ptr))
        return false;
    r[0] = eb_vm_failure(ptr.data ? 0 : EBPF_EINVAL);
    return ptr.data ? store(vm, r[2], &ptr) : eb_vm_dynptr_set(vm, r[2], 0, 0, 0);
}
