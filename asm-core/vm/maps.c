/* maps.c - maps: picking a type's operations, the pool of entries, and what the host may do.
 *
 * Entries are records in chunks that never move, made when first used. A freed entry keeps its
 * bytes until it is taken again, since programs may go on reading a value that they have looked up:
 * the kernel frees it behind their back (RCU) or hands it to the next insertion, and so does this.
 * Results are the kernel's: 0 or -errno. Source: kernel/bpf/syscall.c and the files of each type.
 */
#include "btf.h"
#include "guard.h"
#include "kinds.h"
#include "vm.h"

#include <string.h>

enum { CHUNK_TARGET = 64 << 10, REGION_MOST = INT32_MAX };

static uint64_t round8(uint64_t size) {
    return (size + 7) & ~UINT64_C(7);
}

/* ---- the pool ---- */

eb_entry *eb_entry_at(const eb_vmap *map, uint32_t entry) {
    uint32_t i = entry - 1, chunk = i >> map->chunk_bits, rest = i - (chunk << map->chunk_bits);
    return (eb_entry *)(void *)(map->chunks[chunk] + (size_t)rest * map->record);
}

uint8_t *eb_entry_key(eb_entry *at) {
    return (uint8_t *)at + sizeof *at;
}

uint8_t *eb_vmap_value(const eb_vmap *map, uint32_t entry) {
    if (map->bytes) /* an array: nothing but values */
        return map->bytes + (size_t)(entry - 1) * map->stride;
    return eb_entry_key(eb_entry_at(map, entry)) + round8(map->key_size);
}

bool eb_pool_make(ebpf_vm *vm, eb_vmap *map, uint64_t most) {
    uint64_t one = round8(map->value_size), record = sizeof(eb_entry) + round8(map->key_size);
    if (one * map->cpus > REGION_MOST / most)
        return false;
    map->one = (uint32_t)one;
    map->stride = map->one * map->cpus;
    map->record = (uint32_t)record + map->stride;
    map->most = (uint32_t)most;
    map->room = map->most * map->stride;
    while (map->chunk_bits < 16 && ((uint64_t)map->record << map->chunk_bits) < CHUNK_TARGET)
        map->chunk_bits++;
    map->chunks = eb_alloc_array(&vm->ctx->arena, ((map->most - 1) >> map->chunk_bits) + 1,
                                 sizeof *map->chunks);
    return true;
}

static bool chunk_for(ebpf_vm *vm, eb_vmap *map, uint32_t n) {
    uint32_t chunk = (n - 1) >> map->chunk_bits, first = chunk << map->chunk_bits;
    if (map->chunks[chunk])
        return true;
    uint32_t entries = UINT32_C(1) << map->chunk_bits;
    if (entries > map->most - first)
        entries = map->most - first;
    map->chunks[chunk] = eb_try_alloc(&vm->ctx->arena, (size_t)entries * map->record);
    return map->chunks[chunk] != NULL;
}

uint32_t eb_pool_take(ebpf_vm *vm, eb_vmap *map) {
    if (!map->free_list && (map->limbo_run != vm->runs || map->used == map->most)) {
        map->free_list = map->limbo;
        map->limbo = 0;
    }
    uint32_t n = map->free_list;
    if (n) {
        map->free_list = eb_entry_at(map, n)->chain;
    } else {
        n = map->used + 1;
        if (n > map->most || !chunk_for(vm, map, n))
            return 0;
        map->used = n;
    }
    eb_entry_at(map, n)->state = EB_ENTRY_USED;
    return n;
}

void eb_pool_give(ebpf_vm *vm, eb_vmap *map, uint32_t n, bool rest) {
    eb_entry *at = eb_entry_at(map, n);
    uint32_t *list = rest ? &map->limbo : &map->free_list;
    at->state = vm->runs;
    at->chain = *list;
    *list = n;
    if (rest)
        map->limbo_run = vm->runs;
}

/* ---- values ---- */

/* All of a value but what the kernel keeps out of copies. */
static void copy_value(const eb_vmap *map, uint8_t *to, const uint8_t *value) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < map->fields.len; i++) {
        const eb_field *field = &map->fields.at[i];
        memmove(to + at, value + at, field->at - at);
        at = field->at + field->size;
    }
    memmove(to + at, value + at, map->value_size - at);
}

void eb_vmap_set(const eb_vmap *map, uint32_t entry, const uint8_t *value, uint32_t cpu,
                 bool fresh) {
    uint8_t *to = eb_vmap_value(map, entry);
    for (uint32_t i = 0; fresh && i < map->fields.len; i++)
        memset(to + map->fields.at[i].at, 0, map->fields.at[i].size);
    for (uint32_t i = 0; fresh && map->per_cpu && i < map->cpus; i++)
        if (i != cpu)
            memset(to + (size_t)i * map->one, 0, map->one);
    if (!map->per_cpu)
        copy_value(map, to, value);
    else if (cpu == EB_ALL_CPUS)
        memmove(to, value, map->stride);
    else
        memmove(to + (size_t)cpu * map->one, value, map->value_size);
}

uint32_t eb_vmap_held(const eb_vmap *map, uint32_t entry) {
    return eb_get32(eb_vmap_value(map, entry), map->big);
}

/* ---- making one ---- */

static const eb_vmap_kind *const kinds[] = {
    [EB_MAP_HASH] = &eb_kind_hash,
    [EB_MAP_ARRAY] = &eb_kind_array,
    [EB_MAP_PROG_ARRAY] = &eb_kind_slots,
    [EB_MAP_PERF_EVENT_ARRAY] = &eb_kind_slots,
    [EB_MAP_PERCPU_HASH] = &eb_kind_hash,
    [EB_MAP_PERCPU_ARRAY] = &eb_kind_array,
    [EB_MAP_STACK_TRACE] = &eb_kind_slots,
    [EB_MAP_CGROUP_ARRAY] = &eb_kind_slots,
    [EB_MAP_LRU_HASH] = &eb_kind_hash,
    [EB_MAP_LRU_PERCPU_HASH] = &eb_kind_hash,
    [EB_MAP_LPM_TRIE] = &eb_kind_trie,
    [EB_MAP_ARRAY_OF_MAPS] = &eb_kind_slots,
    [EB_MAP_HASH_OF_MAPS] = &eb_kind_hash,
    [EB_MAP_DEVMAP] = &eb_kind_slots,
    [EB_MAP_SOCKMAP] = &eb_kind_slots,
    [EB_MAP_CPUMAP] = &eb_kind_slots,
    [EB_MAP_XSKMAP] = &eb_kind_slots,
    [EB_MAP_SOCKHASH] = &eb_kind_hash,
    [EB_MAP_CGROUP_STORAGE] = &eb_kind_hash,
    [EB_MAP_REUSEPORT_SOCKARRAY] = &eb_kind_slots,
    [EB_MAP_PERCPU_CGROUP_STORAGE] = &eb_kind_hash,
    [EB_MAP_QUEUE] = &eb_kind_queue,
    [EB_MAP_STACK] = &eb_kind_queue,
    [EB_MAP_SK_STORAGE] = &eb_kind_hash,
    [EB_MAP_DEVMAP_HASH] = &eb_kind_hash,
    [EB_MAP_RINGBUF] = &eb_kind_ring,
    [EB_MAP_INODE_STORAGE] = &eb_kind_hash,
    [EB_MAP_TASK_STORAGE] = &eb_kind_hash,
    [EB_MAP_BLOOM_FILTER] = &eb_kind_bloom,
    [EB_MAP_USER_RINGBUF] = &eb_kind_user_ring,
    [EB_MAP_CGRP_STORAGE] = &eb_kind_hash,
    [EB_MAP_ARENA] = &eb_kind_arena,
};

/* A map whose size is still to be set, as loaders do it. */
static const char *make_nothing(ebpf_vm *vm, eb_vmap *map) {
    (void)vm;
    map->one = 1;
    return NULL;
}

const eb_vmap_kind eb_kind_unset = {
    .flags = UINT32_MAX, .missing = EBPF_EINVAL, .make = make_nothing};

#define SELF_SIZED                                                                                 \
    (EB_MAP_BIT(PERF_EVENT_ARRAY) | EB_MAP_BIT(CGROUP_STORAGE) |                                   \
     EB_MAP_BIT(PERCPU_CGROUP_STORAGE) | EB_MAP_BIT(SK_STORAGE) | EB_MAP_BIT(INODE_STORAGE) |      \
     EB_MAP_BIT(TASK_STORAGE) | EB_MAP_BIT(CGRP_STORAGE))

static const eb_vmap_kind *kind_of(uint32_t type, uint32_t most) {
    const eb_vmap_kind *kind = type < sizeof kinds / sizeof *kinds ? kinds[type] : NULL;
    return kind && !most && !(SELF_SIZED >> type & 1) ? &eb_kind_unset : kind;
}

static bool is_per_cpu(uint32_t type) {
    return type == EB_MAP_PERCPU_HASH || type == EB_MAP_PERCPU_ARRAY ||
           type == EB_MAP_LRU_PERCPU_HASH || type == EB_MAP_PERCPU_CGROUP_STORAGE;
}

/* What is wrong with the definition, or NULL. */
static const char *make(ebpf_vm *vm, eb_vmap *map) {
    eb_arena *arena = &vm->ctx->arena;
    if (!map->kind)
        return eb_str_fmt(arena, "maps of type %u (%s) are not simulated in this VM", map->type,
                          eb_map_type_name(map->type))
            .at;
    enum { NUMA_NODE = 1 << 2, BOTH_PROG = EB_MAP_RDONLY_PROG | EB_MAP_WRONLY_PROG };
    uint32_t odd = map->flags & ~(map->kind->flags | NUMA_NODE);
    if (odd)
        return eb_str_fmt(arena, "map_flags 0x%x does not go with type %s", odd,
                          eb_map_type_name(map->type))
            .at;
    if ((map->flags & BOTH_PROG) == BOTH_PROG)
        return "programs may neither read nor write it";
    return map->kind->make(vm, map);
}

/* What the kernel keeps to itself in values: members of these types, and kptrs. */
static const struct {
    const char *name;
    uint32_t size;
} special[] = {{"bpf_spin_lock", 4}, {"bpf_res_spin_lock", 4}, {"bpf_timer", 16},
               {"bpf_wq", 16},       {"bpf_list_head", 16},    {"bpf_list_node", 24},
               {"bpf_rb_root", 16},  {"bpf_rb_node", 32},      {"bpf_refcount", 4},
               {"bpf_task_work", 16}};

/* Bytes at the start of a value's member that are special, or 0. */
static uint32_t special_size(const eb_btf *btf, uint32_t id, bool *lock) {
    eb_btf_type type = eb_btf_at(btf, eb_btf_strip(btf, id));
    if (type.kind == EB_BTF_PTR && eb_btf_kind_of(btf, type.size_or_type) == EB_BTF_TYPE_TAG) {
        eb_str tag = eb_btf_name(btf, type.size_or_type);
        return eb_str_is(tag, "kptr") || eb_str_is(tag, "kptr_untrusted") ||
                       eb_str_is(tag, "percpu_kptr")
                   ? 8
                   : 0;
    }
    for (uint32_t i = 0; type.kind == EB_BTF_STRUCT && i < sizeof special / sizeof *special; i++)
        if (eb_str_is(type.name, special[i].name)) {
            *lock |= i < 2;
            return special[i].size;
        }
    return 0;
}

/* The special members of the values, in ascending order as BTF has them; those on the first level,
 * and a value that is one as a whole. */
static void find_fields(ebpf_vm *vm, eb_vmap *map, uint32_t type_id) {
    const eb_btf *btf = vm->obj->btf;
    if (!btf || !type_id)
        return;
    eb_btf_type type = eb_btf_at(btf, eb_btf_strip(btf, type_id));
    uint32_t whole = special_size(btf, type_id, &map->locked), end = 0;
    if (whole && whole <= map->value_size)
        *EB_PUSH(&vm->ctx->arena, &map->fields) = (eb_field){0, whole};
    for (uint32_t i = 0; !whole && type.kind == EB_BTF_STRUCT && i < type.count; i++) {
        eb_btf_member member = eb_btf_member_at(btf, &type, i);
        uint32_t at = member.offset / 8, size = special_size(btf, member.type, &map->locked);
        if (!size || at < end || at > map->value_size || size > map->value_size - at)
            continue;
        *EB_PUSH(&vm->ctx->arena, &map->fields) = (eb_field){at, size};
        end = at + size;
    }
}

static int refuse(ebpf_vm *vm, const eb_map_def *def, const char *why) {
    eb_loc loc = def->symbol < vm->obj->symbols.len ? vm->obj->symbols.at[def->symbol].loc : 0;
    eb_diag *diag = eb_diag_input(vm->ctx, EB_DIAG_BAD_MAP, vm->obj->name, -1, (int)def->name.len,
                                  def->name.at, why);
    diag->lo = diag->hi = loc;
    return EBPF_E_INPUT;
}

int eb_vmap_new(ebpf_vm *vm, eb_vmap *map, const eb_map_def *def, uint32_t most) {
    uint32_t type = def->type;
    *map = (eb_vmap){.name = def->name,
                     .kind = kind_of(type, most),
                     .type = type,
                     .key_size = def->key_size,
                     .value_size = def->value_size,
                     .max_entries = most,
                     .flags = def->flags,
                     .extra = def->extra,
                     .def = def,
                     .inner = def->inner ? &vm->obj->maps.at[def->inner - 1] : NULL,
                     .index = map->index,
                     .region = map->region,
                     .per_cpu = is_per_cpu(type),
                     .cpus = is_per_cpu(type) ? vm->cpus : 1,
                     .lru = type == EB_MAP_LRU_HASH || type == EB_MAP_LRU_PERCPU_HASH,
                     .big = vm->big};
    map->records.arena = &vm->ctx->arena;
    const char *why = make(vm, map);
    if (why)
        return refuse(vm, def, why);
    find_fields(vm, map, def->btf_value);
    eb_vm_set_region(vm, map->region, EBPF_REGION_MAP, map->index, map->name, map->room);
    return 0;
}

int eb_vmap_add(ebpf_vm *vm, const eb_map_def *def) {
    eb_arena *arena = &vm->ctx->arena;
    uint32_t map = vm->map_count, region = eb_vm_add_region(vm, (eb_region_info){0});
    eb_vmap *maps = eb_alloc_array(arena, map + 1, sizeof *maps);
    memcpy(maps, vm->maps, map * sizeof *maps);
    vm->maps = maps;
    vm->maps[map].index = map;
    vm->maps[map].region = region;
    if (eb_vmap_new(vm, &vm->maps[map], def, def->max_entries) < 0) {
        vm->region_count--;
        return EBPF_E_INPUT;
    }
    vm->map_count++;
    vm->infos[EB_REGION_HANDLES].size = vm->map_count;
    return (int)map;
}

/* ---- the host ---- */

uint32_t ebpf_vm_map_count(const ebpf_vm *vm) {
    return vm->map_count;
}

int ebpf_vm_map_find(const ebpf_vm *vm, const char *name, uint32_t size) {
    for (uint32_t i = 0; i < vm->map_count; i++)
        if (eb_str_eq(vm->maps[i].name, (eb_str){name, size}))
            return (int)i;
    return EBPF_E_ARG;
}

int ebpf_vm_map_name(const ebpf_vm *vm, uint32_t map, ebpf_bytes *name) {
    if (map >= vm->map_count)
        return EBPF_E_ARG;
    *name = (ebpf_bytes){vm->maps[map].name.at, vm->maps[map].name.len};
    return EBPF_OK;
}

static uint32_t host_value_size(const eb_vmap *map) {
    return map->per_cpu ? map->stride : map->value_size;
}

int ebpf_vm_map_info(const ebpf_vm *vm, uint32_t map, ebpf_vm_map *out) {
    if (map >= vm->map_count)
        return EBPF_E_ARG;
    const eb_vmap *from = &vm->maps[map];
    *out = (ebpf_vm_map){.type = from->type,
                         .key_size = from->key_size,
                         .value_size = from->value_size,
                         .host_value_size = host_value_size(from),
                         .max_entries = from->max_entries,
                         .count = from->count,
                         .flags = from->flags,
                         .lost = from->lost};
    return EBPF_OK;
}

/* The map, unless the host may not do that to it. */
static int open_map(ebpf_vm *vm, uint32_t index, uint32_t forbidden, eb_vmap **map) {
    if (index >= vm->map_count)
        return -EBPF_EINVAL;
    *map = &vm->maps[index];
    return (*map)->flags & forbidden ? -EBPF_EPERM : 0;
}

int ebpf_vm_map_lookup(ebpf_vm *vm, uint32_t map, const void *key, void *value) {
    eb_vmap *from;
    int status = open_map(vm, map, EB_MAP_WRONLY, &from);
    if (status)
        return status;
    if (!from->kind->find)
        return from->kind->pop ? from->kind->pop(from, value, false) : -from->kind->missing;
    if (!key)
        return -EBPF_EFAULT;
    uint32_t entry = from->kind->find(from, key);
    if (!entry)
        return -EBPF_ENOENT;
    memcpy(value, eb_vmap_value(from, entry), host_value_size(from));
    if (!from->per_cpu)
        for (uint32_t i = 0; i < from->fields.len; i++)
            memset((uint8_t *)value + from->fields.at[i].at, 0, from->fields.at[i].size);
    return 0;
}

int ebpf_vm_map_update(ebpf_vm *vm, uint32_t map, const void *key, const void *value,
                       uint32_t flags) {
    eb_vmap *to;
    int status = open_map(vm, map, EB_MAP_RDONLY, &to);
    if (status)
        return status;
    if (!to->kind->update)
        return to->kind->push ? to->kind->push(vm, to, value, flags) : -to->kind->missing;
    return key ? to->kind->update(vm, to, key, value, flags, EB_ALL_CPUS) : -EBPF_EFAULT;
}

int ebpf_vm_map_delete(ebpf_vm *vm, uint32_t map, const void *key) {
    eb_vmap *from;
    int status = open_map(vm, map, EB_MAP_RDONLY, &from);
    if (status)
        return status;
    if (!from->kind->remove)
        return -from->kind->missing;
    return key ? from->kind->remove(vm, from, key) : -EBPF_EFAULT;
}

int ebpf_vm_map_take(ebpf_vm *vm, uint32_t map, const void *key, void *value) {
    eb_vmap *from;
    int status = open_map(vm, map, EB_MAP_RDONLY | EB_MAP_WRONLY, &from);
    if (status)
        return status;
    if (from->kind == &eb_kind_queue)
        return from->kind->pop(from, value, true);
    if (from->kind != &eb_kind_hash)
        return -EBPF_ENOTSUPP;
    status = ebpf_vm_map_lookup(vm, map, key, value);
    return status ? status : from->kind->remove(vm, from, key);
}

int ebpf_vm_map_next(ebpf_vm *vm, uint32_t map, const void *key, void *next) {
    eb_vmap *in;
    int status = open_map(vm, map, EB_MAP_WRONLY, &in);
    if (status)
        return status;
    if (!in->kind->next)
        return -in->kind->missing;
    return in->kind->next(in, key, next);
}

int ebpf_vm_map_record(ebpf_vm *vm, uint32_t map, uint32_t *cpu, ebpf_bytes *record) {
    *record = (ebpf_bytes){NULL, 0};
    *cpu = 0;
    if (map >= vm->map_count)
        return -EBPF_EINVAL;
    eb_vmap *from = &vm->maps[map];
    if (from->type == EB_MAP_PERF_EVENT_ARRAY)
        return eb_perf_read(from, cpu, record) ? 0 : -EBPF_ENOENT;
    if (from->type == EB_MAP_RINGBUF)
        return eb_ring_read(vm, from, record) ? 0 : -EBPF_ENOENT;
    return -EBPF_EINVAL;
}

int ebpf_vm_map_send(ebpf_vm *vm, uint32_t map, const void *data, uint32_t size) {
    if (map >= vm->map_count || vm->maps[map].type != EB_MAP_USER_RINGBUF)
        return -EBPF_EINVAL;
    return eb_ring_write(vm, &vm->maps[map], data, size);
}

static int add_inner(ebpf_ctx *ctx, void *args) {
    ebpf_vm *vm = args;
    (void)ctx;
    return eb_vmap_add(vm, vm->maps[vm->adding].inner);
}

int ebpf_vm_map_new_inner(ebpf_vm *vm, uint32_t map) {
    if (map >= vm->map_count || !vm->maps[map].inner)
        return EBPF_E_ARG;
    vm->adding = map;
    return eb_guard(vm->ctx, add_inner, vm);
}

typedef struct resizing {
    ebpf_vm *vm;
    uint32_t map, most;
} resizing;

static int resize(ebpf_ctx *ctx, void *args) {
    resizing *r = args;
    eb_vmap *map = &r->vm->maps[r->map];
    eb_vmap was = *map;
    (void)ctx;
    int status = eb_vmap_new(r->vm, map, was.def, r->most);
    if (status)
        *map = was;
    return status;
}

int ebpf_vm_map_resize(ebpf_vm *vm, uint32_t map, uint32_t max_entries) {
    if (map >= vm->map_count || vm->running || !max_entries)
        return EBPF_E_ARG;
    return eb_guard(vm->ctx, resize, &(resizing){vm, map, max_entries});
}
