/* helper_record.c - helpers that write records for the host: ring buffers and perf events.
 * Source: kernel/bpf/ringbuf.c, kernel/trace/bpf_trace.c. */
#include "kinds.h"
#include "vm.h"

#include <string.h>

enum { NO_WAKEUP = 1, FORCE_WAKEUP = 2 };

/* ---- ring buffers ---- */

static eb_vmap *ring_argument(ebpf_vm *vm, uint64_t handle) {
    return eb_vm_map_argument(vm, handle, EB_MAP_BIT(RINGBUF));
}

static bool reserve(ebpf_vm *vm, uint64_t handle, uint64_t size, uint64_t flags,
                    uint64_t *address) {
    eb_vmap *map = ring_argument(vm, handle);
    if (!map)
        return false;
    int64_t offset = flags ? -1 : eb_ring_reserve(vm, map, size);
    *address = offset < 0 ? 0 : eb_vm_address(map->region, (uint32_t)offset);
    return true;
}

bool eb_help_ringbuf_reserve(ebpf_vm *vm, uint64_t *r) {
    return reserve(vm, r[1], r[2], r[3], &r[0]);
}

static bool commit(ebpf_vm *vm, uint64_t address, bool discard) {
    uint32_t region = (uint32_t)(address >> 32);
    if (region < vm->region_count && vm->infos[region].kind == EBPF_REGION_MAP) {
        eb_vmap *map = &vm->maps[vm->infos[region].index];
        if (map->type == EB_MAP_RINGBUF && eb_ring_commit(vm, map, (uint32_t)address, discard))
            return true;
    }
    return eb_vm_refuse(vm, EBPF_FAULT_HELPER, address,
                        "%s: 0x%llx is no record that ringbuf_reserve gave and that is still held",
                        eb_vm_helper_name(vm, vm->helper), (unsigned long long)address);
}

bool eb_help_ringbuf_submit(ebpf_vm *vm, uint64_t *r) {
    r[0] = 0;
    return commit(vm, r[1], false);
}

bool eb_help_ringbuf_discard(ebpf_vm *vm, uint64_t *r) {
    r[0] = 0;
    return commit(vm, r[1], true);
}

bool eb_help_ringbuf_output(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = ring_argument(vm, r[1]);
    if (!map)
        return false;
    if (r[4] & ~(uint64_t)(NO_WAKEUP | FORCE_WAKEUP)) {
        r[0] = eb_vm_failure(EBPF_EINVAL);
        return true;
    }
    uint32_t size = (uint32_t)r[3];
    const uint8_t *data = size ? eb_vm_reach(vm, r[2], size, false) : NULL;
    if (size && !data)
        return false;
    int64_t offset = r[3] == size ? eb_ring_reserve(vm, map, size) : -1;
    r[0] = offset < 0 ? eb_vm_failure(EBPF_EAGAIN) : 0;
    if (offset < 0)
        return true;
    if (size)
        memcpy(map->bytes + offset, data, size);
    return eb_ring_commit(vm, map, (uint32_t)offset, false);
}

bool eb_help_ringbuf_query(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = ring_argument(vm, r[1]);
    if (!map)
        return false;
    uint64_t answers[] = {map->tail - map->head, map->max_entries, map->head, map->tail};
    r[0] = r[2] < sizeof answers / sizeof *answers ? answers[r[2]] : 0;
    return true;
}

bool eb_help_ringbuf_reserve_dynptr(ebpf_vm *vm, uint64_t *r) {
    uint32_t size = (uint32_t)r[2];
    uint64_t address = 0;
    int error = r[3] ? EBPF_EINVAL : size > EB_DYNPTR_MOST ? EBPF_E2BIG : 0;
    if (!error && !reserve(vm, r[1], size, 0, &address))
        return false;
    if (!error && !address)
        error = EBPF_EINVAL;
    r[0] = eb_vm_failure(error);
    return eb_vm_dynptr_set(vm, r[4], address, error ? 0 : size, EB_DYNPTR_RINGBUF);
}

static bool commit_dynptr(ebpf_vm *vm, uint64_t *r, bool discard) {
    eb_dynptr ptr;
    r[0] = 0;
    if (!eb_vm_dynptr(vm, r[1], &ptr))
        return false;
    if (!ptr.data) /* its reservation failed */
        return true;
    return commit(vm, ptr.data, discard) && eb_vm_dynptr_set(vm, r[1], 0, 0, 0);
}

bool eb_help_ringbuf_submit_dynptr(ebpf_vm *vm, uint64_t *r) {
    return commit_dynptr(vm, r, false);
}

bool eb_help_ringbuf_discard_dynptr(ebpf_vm *vm, uint64_t *r) {
    return commit_dynptr(vm, r, true);
}

/* ---- perf events ---- */

enum { PACKET_SHIFT = 32, PACKET_MOST = 0xfffff };

/* Why the CPU's buffer `index` cannot have a record with `more` bytes of the packet, or 0. */
static int cannot_write(const ebpf_vm *vm, const eb_vmap *map, uint32_t index, uint64_t more) {
    const eb_packet *packet = &vm->packet;
    if (more > (packet->region ? PACKET_MOST : 0))
        return EBPF_EINVAL;
    if (more > packet->end - packet->data)
        return EBPF_EFAULT;
    if (index >= map->max_entries)
        return EBPF_E2BIG;
    if (!map->present[index])
        return EBPF_ENOENT;
    return index == eb_vm_cpu(vm) ? 0 : EBPF_EOPNOTSUPP; /* a buffer belongs to one CPU */
}

/* Bytes r4, r5 of them, to the CPU's buffer that r3 names in map r2; r1 is the context. Programs on
 * packets say above 32 bits of r3 how many bytes of the packet come behind them. */
bool eb_help_perf_event_output(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[2], EB_MAP_BIT(PERF_EVENT_ARRAY));
    uint32_t size = (uint32_t)r[5], index = (uint32_t)r[3];
    const uint8_t *data = map && size ? eb_vm_reach(vm, r[4], size, false) : NULL;
    if (!map || (size && !data))
        return false;
    uint64_t more = r[3] >> PACKET_SHIFT;
    int error = cannot_write(vm, map, index == UINT32_MAX ? eb_vm_cpu(vm) : index, more);
    if (!error)
        error = -eb_perf_write(map, eb_vm_cpu(vm), data, size,
                               more ? vm->packet.room + vm->packet.data : NULL, (uint32_t)more);
    r[0] = eb_vm_failure(error);
    return true;
}
