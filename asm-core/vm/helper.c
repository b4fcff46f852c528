/* helper.c - the table of helpers, their arguments, and the helpers for maps.
 * Helpers do what the kernel's do: arguments are r1 to r5, the result r0. A pointer that leads
 * nowhere faults, where the kernel's verifier would have refused the program. Which function serves
 * which helper is in helper.def; helper_*.c have the others. Source: kernel/bpf/helpers.c. */
#include "vm.h"

#include <string.h>

#include "kinds.h"

eb_helper *const eb_helpers[EB_HELPERS] = {
#define HELPER(id, name, major, minor, vm) [id] = eb_help_##vm,
#include "helper.def"
};

const char *ebpf_helper_name(uint32_t id) {
    return eb_helper_name(id);
}

/* A helper that the VM leaves to the host. */
bool eb_help_host(ebpf_vm *vm, uint64_t *r) {
    (void)r;
    vm->state.helper = vm->helper;
    vm->go = EB_GO_HOST;
    return true;
}

bool eb_help_zero(ebpf_vm *vm, uint64_t *r) {
    (void)vm;
    r[0] = 0;
    return true;
}

/* ---- arguments ---- */

eb_vmap *eb_vm_map_argument(ebpf_vm *vm, uint64_t handle) {
    if (handle >> 32 == EB_REGION_HANDLES && (uint32_t)handle < vm->map_count)
        return &vm->maps[(uint32_t)handle];
    eb_vm_refuse(vm, EBPF_FAULT_HELPER, handle,
                 "%s: its first argument, r1 = 0x%llx, is no map (load one with a 64-bit load of "
                 "the map's name)",
                 ebpf_helper_name(vm->helper), (unsigned long long)handle);
    return NULL;
}

uint32_t eb_vm_cpu(const ebpf_vm *vm) {
    return vm->inputs.cpu < vm->cpus ? vm->inputs.cpu : 0;
}

/* ---- maps ---- */

static uint64_t value_address(const eb_vmap *map, uint32_t entry, uint32_t cpu) {
    if (!entry)
        return 0;
    uint32_t offset = (entry - 1) * map->stride + (map->per_cpu ? cpu * map->one : 0);
    return eb_vm_address(map->region, offset);
}

bool eb_help_map_lookup(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1]);
    const uint8_t *key = map ? eb_vm_reach(vm, r[2], map->key_size, false) : NULL;
    if (!key)
        return false;
    r[0] = value_address(map, eb_vmap_use(map, key), eb_vm_cpu(vm));
    return true;
}

bool eb_help_map_lookup_percpu(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1]);
    const uint8_t *key = map ? eb_vm_reach(vm, r[2], map->key_size, false) : NULL;
    if (!key)
        return false;
    uint32_t cpu = (uint32_t)r[3];
    r[0] = map->per_cpu && cpu < map->cpus ? value_address(map, eb_vmap_use(map, key), cpu) : 0;
    return true;
}

bool eb_help_map_update(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1]);
    const uint8_t *key = map ? eb_vm_reach(vm, r[2], map->key_size, false) : NULL;
    const uint8_t *value = key ? eb_vm_reach(vm, r[3], map->value_size, false) : NULL;
    if (!value)
        return false;
    r[0] = eb_vm_failure(-eb_vmap_update(vm, map, key, value, r[4], eb_vm_cpu(vm)));
    return true;
}

bool eb_help_map_delete(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1]);
    const uint8_t *key = map ? eb_vm_reach(vm, r[2], map->key_size, false) : NULL;
    if (!key)
        return false;
    r[0] = eb_vm_failure(-eb_vmap_delete(vm, map, key));
    return true;
}
