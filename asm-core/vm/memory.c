/* memory.c - from a program's address to host memory, with every check.
 * The interpreter decides the common access by the table of regions; what that does not allow comes
 * here: map values, which are checked one by one, and everything that is wrong. */
#include "vm.h"

#include <string.h>

static uint8_t *refuse(ebpf_vm *vm, enum ebpf_fault reason, uint32_t region, uint64_t address,
                       uint32_t size, bool write) {
    vm->fault = (ebpf_vm_fault){.address = address,
                                .reason = reason,
                                .size = size,
                                .write = write,
                                .region = region < vm->region_count ? vm->infos[region].kind
                                                                    : EBPF_REGION_NONE};
    vm->fault_text = (eb_str){0};
    return NULL;
}

/* Within one value of one entry that is in use, or was when this run began. */
static uint8_t *reach_value(const ebpf_vm *vm, const eb_vmap *map, uint32_t offset, uint32_t size,
                            uint32_t *first, uint32_t *limit) {
    uint32_t value = offset / map->one, inner = offset % map->one, entry = value / map->cpus + 1;
    *limit = EBPF_FAULT_BOUNDS;
    if ((uint64_t)inner + size > map->value_size)
        return NULL;
    if (!map->bytes) {
        *limit = EBPF_FAULT_FREED;
        if (entry > map->used)
            return NULL;
        uint32_t state = eb_entry_at(map, entry)->state;
        if (state != EB_ENTRY_USED && state != vm->runs)
            return NULL;
    }
    *first = offset - inner;
    *limit = map->value_size;
    return eb_vmap_value(map, entry) + (size_t)(value % map->cpus) * map->one;
}

/* What a program reaches of a map: one value, or one record that it holds. */
static uint8_t *reach_map(ebpf_vm *vm, uint32_t region, uint64_t address, uint32_t size,
                          bool write) {
    const eb_vmap *map = &vm->maps[vm->infos[region].index];
    uint32_t offset = (uint32_t)address, first, limit;
    uint8_t *host = map->kind->reach ? map->kind->reach(map, offset, size, &first, &limit)
                                     : reach_value(vm, map, offset, size, &first, &limit);
    if (!host && limit == EBPF_FAULT_NONE && size <= sizeof vm->hole)
        return memset(vm->hole, 0, sizeof vm->hole);
    if (!host)
        return refuse(vm, limit ? (enum ebpf_fault)limit : EBPF_FAULT_FREED, region, address, size,
                      write);
    if (map->flags & (write ? EB_MAP_RDONLY_PROG : EB_MAP_WRONLY_PROG))
        return refuse(vm, EBPF_FAULT_READ_ONLY, region, address, size, write);
    vm->window.first = eb_vm_address(region, first);
    vm->window.host = host;
    vm->window.read = map->flags & EB_MAP_WRONLY_PROG ? 0 : limit;
    vm->window.write = map->flags & EB_MAP_RDONLY_PROG ? 0 : limit;
    return host + (offset - first);
}

/* The region meant by an address just before region `id`'s first byte or in it. */
static uint32_t meant(const ebpf_vm *vm, uint64_t address) {
    uint32_t id = (uint32_t)(address >> 32);
    bool before = (uint32_t)address >= UINT32_C(0x80000000);
    if (before && id + 1 < vm->region_count && id + 1 >= EB_REGION_CONTEXT &&
        (id >= vm->region_count || vm->infos[id].size <= (uint32_t)address))
        return id + 1;
    return id;
}

uint8_t *eb_vm_reach(ebpf_vm *vm, uint64_t address, uint32_t size, bool write) {
    uint64_t in_window = address - vm->window.first;
    uint32_t limit = write ? vm->window.write : vm->window.read;
    if (in_window < limit && size <= limit - in_window)
        return vm->window.host + in_window;

    uint64_t id = address >> 32, end = (address & UINT32_MAX) + size;
    if (id < vm->region_count) {
        const eb_region *region = &vm->regions[id];
        if (end <= (write ? region->write : region->read))
            return region->base + (uint32_t)address;
        if (id == EB_REGION_CONTEXT && vm->context.layout && end <= vm->infos[id].size)
            return eb_context_reach(vm, address, size, write);
        if (vm->infos[id].kind == EBPF_REGION_MAP && vm->infos[id].size > (uint32_t)address)
            return reach_map(vm, (uint32_t)id, address, size, write);
    }
    uint32_t region = meant(vm, address);
    if (region == 0 || address >= UINT64_C(0xffffffff80000000))
        return refuse(vm,
                      (address + UINT64_C(0x10000)) < UINT64_C(0x20000) ? EBPF_FAULT_NULL
                                                                        : EBPF_FAULT_UNMAPPED,
                      0, address, size, write);
    if (region >= vm->region_count)
        return refuse(vm, EBPF_FAULT_UNMAPPED, 0, address, size, write);
    const eb_region_info *info = &vm->infos[region];
    if (info->kind == EBPF_REGION_PACKET && vm->packet.region && region != vm->packet.region)
        return refuse(vm, EBPF_FAULT_FREED, region, address, size, write);
    if (info->kind == EBPF_REGION_STACK && info->index > vm->depth)
        return refuse(vm, region == id ? EBPF_FAULT_FREED : EBPF_FAULT_BOUNDS, region, address,
                      size, write);
    if (info->kind == EBPF_REGION_MAP && vm->maps[info->index].type == EB_MAP_ARENA &&
        size <= sizeof vm->hole) /* just before it: guard pages */
        return memset(vm->hole, 0, sizeof vm->hole);
    if (region == id && end <= info->size && write && end <= vm->regions[id].read)
        return refuse(vm, EBPF_FAULT_READ_ONLY, region, address, size, write);
    return refuse(vm, EBPF_FAULT_BOUNDS, region, address, size, write);
}

uint8_t *eb_vm_reach_atomic(ebpf_vm *vm, uint64_t address, uint32_t size) {
    uint8_t *at = eb_vm_reach(vm, address, size, true);
    if (at && address % size)
        return refuse(vm, EBPF_FAULT_ALIGN, (uint32_t)(address >> 32), address, size, true);
    return at;
}

uint32_t eb_vm_add_region(ebpf_vm *vm, eb_region_info info) {
    uint32_t count = vm->region_count;
    if (count == vm->region_room) {
        uint32_t room = count + count / 2 + 8;
        eb_region *regions = eb_alloc_array(&vm->ctx->arena, room, sizeof *regions);
        eb_region_info *infos = eb_alloc_array(&vm->ctx->arena, room, sizeof *infos);
        memcpy(regions, vm->regions, count * sizeof *regions);
        memcpy(infos, vm->infos, count * sizeof *infos);
        vm->regions = regions;
        vm->infos = infos;
        vm->region_room = room;
    }
    vm->regions[count] = (eb_region){0};
    vm->infos[count] = info;
    return vm->region_count++;
}

static void set_frame(ebpf_vm *vm, uint32_t depth, uint32_t size) {
    eb_region *region = &vm->regions[EB_REGION_STACK + depth];
    region->read = region->write = size;
}

void eb_vm_frame_open(ebpf_vm *vm, uint32_t depth) {
    vm->depth = depth;
    vm->may_goto[depth] = EB_MAY_GOTO_MOST;
    set_frame(vm, depth, EBPF_VM_FRAME_SIZE);
    vm->state.reg[10] = eb_vm_address(EB_REGION_STACK + depth, EBPF_VM_FRAME_SIZE);
}

void eb_vm_frame_close(ebpf_vm *vm) {
    set_frame(vm, vm->depth, 0);
    vm->depth--;
    vm->state.reg[10] = eb_vm_address(EB_REGION_STACK + vm->depth, EBPF_VM_FRAME_SIZE);
}
