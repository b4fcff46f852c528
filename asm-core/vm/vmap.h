/* vmap.h - the VM's maps: what they are made of, and what each type can do.
 *
 * A map keeps its values in entries, numbered from 1 (0 is none): the records of a pool that never
 * move, so that a value's address, entry and offset in it, is good for as long as the entry is.
 * Queues, filters and rings have one piece of memory instead. What differs by type stands in a
 * table of operations (eb_vmap_kind); maps.c picks it by type and has what all of them share. */
#ifndef EB_VMAP_H
#define EB_VMAP_H

#include "ebpf_vm.h"
#include "kinds.h"
#include "object.h"

/* Map flags, BPF_F_... of include/uapi/linux/bpf.h. */
enum {
    EB_MAP_NO_PREALLOC = 1 << 0,
    EB_MAP_RDONLY = 1 << 3,
    EB_MAP_WRONLY = 1 << 4,
    EB_MAP_BUILD_ID = 1 << 5,
    EB_MAP_ZERO_SEED = 1 << 6,
    EB_MAP_RDONLY_PROG = 1 << 7,
    EB_MAP_WRONLY_PROG = 1 << 8,
    EB_MAP_INNER_MAP = 1 << 12
};

/* struct bpf_stack_build_id: a status, 20 bytes, and the address where there is no build id. */
enum { EB_BUILD_ID_SIZE = 32, EB_BUILD_ID_IP = 2, EB_BUILD_ID_AT = 24 };

/* A set of types is 64 bits. */
#define EB_MAP_BIT(id) (UINT64_C(1) << EB_MAP_##id)

/* In front of an entry's key and values. A hash chains entries of one bucket and lists all by age;
 * a trie has two children. */
typedef struct eb_entry {
    uint32_t chain, hash;
    uint32_t older, newer;
    uint32_t state; /* EB_ENTRY_USED, or the run in which it was freed */
    uint32_t inner; /* a trie's node that holds no value */
} eb_entry;

#define EB_ENTRY_USED UINT32_MAX

/* What the kernel keeps out of copies: locks and timers in values. */
typedef struct eb_field {
    uint32_t at, size;
} eb_field;

typedef struct eb_vmap eb_vmap;

/* Operations return 0 or -errno, as the system call does; what a type has not is NULL. */
typedef struct eb_vmap_kind {
    uint32_t flags; /* that its definition may have */
    int missing;    /* errno of an operation that is NULL */
    /* Check the definition and make the map's first memory; what is wrong, or NULL. */
    const char *(*make)(ebpf_vm *vm, eb_vmap *map);
    uint32_t (*find)(const eb_vmap *map, const uint8_t *key); /* entry number, or 0 */
    /* `cpu` is the one whose value is set, or EB_ALL_CPUS: `value` has all of them. */
    int (*update)(ebpf_vm *vm, eb_vmap *map, const uint8_t *key, const uint8_t *value,
                  uint64_t flags, uint32_t cpu);
    int (*remove)(ebpf_vm *vm, eb_vmap *map, const uint8_t *key);
    int (*next)(const eb_vmap *map, const uint8_t *key, uint8_t *next);
    uint32_t (*after)(const eb_vmap *map, uint32_t entry); /* the entry after it, or 0; 0: first */
    int (*push)(ebpf_vm *vm, eb_vmap *map, const uint8_t *value, uint64_t flags);
    int (*pop)(eb_vmap *map, uint8_t *value, bool take);
    /* The span that holds `size` bytes at `offset` of the map's region: its memory, where it begins
     * in the region and how long it is; or NULL and the enum ebpf_fault in *limit, where none means
     * that it reads as zeroes and writes are lost. */
    uint8_t *(*reach)(const eb_vmap *map, uint32_t offset, uint32_t size, uint32_t *first,
                      uint32_t *limit);
} eb_vmap_kind;

struct eb_vmap {
    eb_str name;
    const eb_vmap_kind *kind;
    uint32_t type, key_size, value_size, max_entries, flags;
    uint64_t extra;
    const eb_map_def *def;
    const eb_map_def *inner; /* maps of maps: what those inside look like */
    uint32_t index, region;
    uint32_t room;   /* bytes of its region */
    uint32_t count;  /* entries with a value, elements, or unread records */
    uint32_t lost;   /* records that found no room */
    uint32_t cpus;   /* values per entry */
    uint32_t one;    /* value_size rounded up to 8 */
    uint32_t stride; /* the values of one entry */
    uint32_t record; /* entry header, key and values in memory */
    bool per_cpu, lru, big;
    bool locked; /* its values have a bpf_spin_lock */
    EB_VEC(eb_field) fields;

    /* the pool */
    uint32_t most; /* entries that can be */
    uint32_t chunk_bits, used, free_list, limbo, limbo_run;
    uint8_t **chunks;
    /* hashes */
    uint32_t oldest, newest, mask;
    uint32_t *heads, *spare; /* by bucket; by CPU */
    /* tries */
    uint32_t root;
    /* arrays with holes: which entries there are */
    uint8_t *present;
    /* queues, filters, rings: one piece of memory */
    uint8_t *bytes;
    uint64_t head, tail, pending; /* positions of producer and consumer */
    EB_VEC(eb_field) open;        /* records that the program holds */
    eb_buf records;               /* of a perf event array */
    size_t read;
};

#define EB_ALL_CPUS UINT32_MAX

extern const eb_vmap_kind eb_kind_hash, eb_kind_array, eb_kind_slots, eb_kind_trie, eb_kind_queue,
    eb_kind_bloom, eb_kind_ring, eb_kind_user_ring, eb_kind_arena, eb_kind_unset;

/* ---- maps.c: making, and the pool ---- */

/* A map of `most` entries (def->max_entries, or another number of the host's); EBPF_E_INPUT with a
 * diagnostic when the VM cannot have it. One that must have entries and has not is eb_kind_unset
 * until the host says how many. */
int eb_vmap_new(ebpf_vm *vm, eb_vmap *map, const eb_map_def *def, uint32_t most);
/* One more map, made while the VM exists; its index, or a negative status. */
int eb_vmap_add(ebpf_vm *vm, const eb_map_def *def);
/* Sizes of one entry and the pool for `most` of them; false when they pass 2 GiB. */
bool eb_pool_make(ebpf_vm *vm, eb_vmap *map, uint64_t most);
uint32_t eb_pool_take(ebpf_vm *vm, eb_vmap *map); /* 0: no room or no memory */
/* Free an entry; programs of this run may still read it. The next taker has it, or, when it may
 * `rest`, only one in a later run. */
void eb_pool_give(ebpf_vm *vm, eb_vmap *map, uint32_t entry, bool rest);
eb_entry *eb_entry_at(const eb_vmap *map, uint32_t entry);
uint8_t *eb_entry_key(eb_entry *at);
/* The values of an entry (all CPUs'). */
uint8_t *eb_vmap_value(const eb_vmap *map, uint32_t entry);
/* Put a value into an entry, but for locks and timers; those of a `fresh` one are cleared. */
void eb_vmap_set(const eb_vmap *map, uint32_t entry, const uint8_t *value, uint32_t cpu,
                 bool fresh);
/* An entry goes: timers in it stop, walks step past it. helper_call.c */
void eb_vmap_gone(ebpf_vm *vm, eb_vmap *map, uint32_t entry);

/* Bob Jenkins' lookup3 as the kernel has it (jhash, and jhash2 on little-endian words). */
uint32_t eb_jhash(const uint8_t *key, uint32_t size, uint32_t seed);

/* ---- what programs do: as the operations above, lookups keep LRU entries longest ---- */

uint32_t eb_vmap_use(eb_vmap *map, const uint8_t *key);
/* 0, or why a map of maps cannot hold that one. */
int eb_vmap_check_held(const ebpf_vm *vm, const eb_vmap *map, const uint8_t *value);
/* The map that an entry of a map of maps holds. */
uint32_t eb_vmap_held(const eb_vmap *map, uint32_t entry);

/* ---- maps_ring.c ---- */

/* Room for a record: the offset of its first byte in the region, or -1. */
int64_t eb_ring_reserve(ebpf_vm *vm, eb_vmap *map, uint64_t size);
/* Commit the record that starts at `offset`; false when the program holds none there. */
bool eb_ring_commit(ebpf_vm *vm, eb_vmap *map, uint32_t offset, bool discard);
/* The oldest record that can be read, and the ring goes on behind it; false without. */
bool eb_ring_read(ebpf_vm *vm, eb_vmap *map, ebpf_bytes *out);
/* A user ring buffer: the host's sample, 0 or -errno; the oldest one, which the program may then
 * reach until it is released. */
int eb_ring_write(ebpf_vm *vm, eb_vmap *map, const void *data, uint32_t size);
bool eb_ring_peek(ebpf_vm *vm, eb_vmap *map, uint32_t *offset, uint32_t *size);
void eb_ring_release(ebpf_vm *vm, eb_vmap *map);
/* A perf event array: one record of the CPU's. */
int eb_perf_write(eb_vmap *map, uint32_t cpu, const uint8_t *data, uint32_t size,
                  const uint8_t *more, uint32_t more_size);
bool eb_perf_read(eb_vmap *map, uint32_t *cpu, ebpf_bytes *out);

/* ---- maps_arena.c ---- */

/* How addr_space_cast says from 0 to 1, and from 1 to 0. */
enum { EB_CAST_TO_USER = 1 << 16, EB_CAST_FROM_USER = 1 };

/* The arena's first bytes; false when it is smaller. */
bool eb_arena_fill(ebpf_vm *vm, eb_vmap *map, const uint8_t *data, size_t size);
/* An address of the object's arena in its other form. */
uint64_t eb_arena_cast(const ebpf_vm *vm, uint64_t address, bool to_user);

#endif
