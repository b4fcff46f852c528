/* run.c - what a loaded program does: BPF_PROG_TEST_RUN on the fixed inputs of its type, then what
 * its maps hold. Both are told so that two compilers' objects of one program can be compared:
 * globals by name, since their places may differ; only bytes that the types of values name, since
 * padding may be anything; entries in the order of their keys; no kernel addresses. What a run
 * takes from the clock or the process differs from one run of the same object to the next, and is
 * for the reader to leave out. */
#include "load.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PACKETS = 6, CONTEXTS = 4, PACKET_MOST = 512, OUT_MOST = 8192, ENTRIES_MOST = 4096 };
enum {
    ENTRIES_SHOWN = 32,
    RECORDS_MOST = 64,
    CONTEXT_SIZE = 256,
    DEPTH_MOST = 16,
    DESCRIPTORS = 99
};

/* ---- inputs ---- */

typedef struct packet {
    uint8_t bytes[PACKET_MOST];
    size_t size;
} packet;

static uint32_t random_state;

static uint8_t random_byte(void) {
    random_state = random_state * 1664525 + 1013904223;
    return (uint8_t)(random_state >> 24);
}

static void put_bytes(packet *p, const void *bytes, size_t size) {
    memcpy(p->bytes + p->size, bytes, size);
    p->size += size;
}

static void put_payload(packet *p, size_t size) {
    for (size_t n = 0; n < size; n++)
        p->bytes[p->size++] = random_byte();
}

/* 0: zeros, as the selftests' own loader has; then TCP in IPv4, UDP in IPv6, a tag of a VLAN with
 * ICMP, noise behind an Ethernet header of IPv4, and a long UDP packet to a well-known port. */
static packet packet_at(size_t index) {
    static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    static const uint8_t tcp4[] = {
        8, 0,  0x45, 0, 0,  60,   0x12, 0x34, 0x40, 0, 64, 6, 0, 0,    10, 0,    0,    1, 10, 0, 0,
        2, 48, 57,   0, 80, 0x11, 0x22, 0x33, 0x44, 0, 0,  0, 0, 0x80, 2,  0xfa, 0xf0, 0, 0,  0, 0};
    static const uint8_t udp6[] = {0x86, 0xdd, 0x60, 0, 0,  0,    0,    40, 17, 64, 0xfd, 0, 0,
                                   0,    0,    0,    0, 0,  0,    0,    0,  0,  0,  0,    0, 1,
                                   0xfd, 0,    0,    0, 0,  0,    0,    0,  0,  0,  0,    0, 0,
                                   0,    0,    2,    0, 53, 0x30, 0x39, 0,  40, 0,  0};
    static const uint8_t vlan[] = {0x81, 0, 0, 42, 8,  0, 0x45, 0, 0,  36, 0, 1, 0, 0,
                                   1,    1, 0, 0,  10, 1, 2,    3, 10, 1,  2, 4, 8, 0};
    static const uint8_t udp4[] = {8, 0, 0x45, 0,   1, 0x2c, 0, 7,    0,    0, 64, 17, 0,    0, 192,
                                   0, 2, 1,    192, 0, 2,    9, 0x9c, 0x40, 0, 53, 1,  0x18, 0, 0};
    static const struct {
        const uint8_t *header;
        size_t size, payload;
    } kinds[PACKETS] = {
        {NULL, 0, 0},  {tcp4, sizeof tcp4, 20}, {udp6, sizeof udp6, 32}, {vlan, sizeof vlan, 18},
        {tcp4, 2, 40}, {udp4, sizeof udp4, 272}};
    packet made = {.size = 0};
    random_state = (uint32_t)index;
    if (index == 0) {
        made.size = 64;
        return made;
    }
    put_bytes(&made, macs, sizeof macs);
    put_bytes(&made, kinds[index].header, kinds[index].size);
    put_payload(&made, kinds[index].payload);
    return made;
}

/* What user space may say of a packet. */
static struct __sk_buff skb_at(size_t index) {
    struct __sk_buff skb = {0};
    if (index > 1) {
        skb.mark = 0x12340000 + (uint32_t)index;
        skb.priority = (uint32_t)index;
        for (uint32_t n = 0; n < 5; n++)
            skb.cb[n] = n + 1000 * (uint32_t)index;
    }
    return skb;
}

/* Eight-byte words: zeros, small numbers, mixed, large. */
static void fill_context(uint8_t *context, size_t index) {
    random_state = (uint32_t)index;
    for (size_t n = 0; n < CONTEXT_SIZE; n++) {
        bool low = n % 8 == 0;
        context[n] = index == 0 ? 0 : index == 1 ? (low ? (uint8_t)(n / 8 + 1) : 0) : random_byte();
        if (index == 2 && n % 8 > 2)
            context[n] = 0;
    }
}

/* ---- running ---- */

enum { BY_NOTHING, BY_PACKET, BY_SKB, BY_WORDS, BY_ARGS };

static int input_kind(enum bpf_prog_type type) {
    switch (type) {
    case BPF_PROG_TYPE_SOCKET_FILTER:
    case BPF_PROG_TYPE_SCHED_CLS:
    case BPF_PROG_TYPE_SCHED_ACT:
    case BPF_PROG_TYPE_CGROUP_SKB:
    case BPF_PROG_TYPE_LWT_IN:
    case BPF_PROG_TYPE_LWT_OUT:
    case BPF_PROG_TYPE_LWT_XMIT:
    case BPF_PROG_TYPE_LWT_SEG6LOCAL:
        return BY_SKB;
    case BPF_PROG_TYPE_XDP:
    case BPF_PROG_TYPE_FLOW_DISSECTOR:
        return BY_PACKET;
    case BPF_PROG_TYPE_SYSCALL:
        return BY_WORDS;
    case BPF_PROG_TYPE_RAW_TRACEPOINT:
    case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
        return BY_ARGS;
    default:
        return BY_NOTHING;
    }
}

static void run_once(int fd, int kind, size_t index) {
    static uint8_t out[OUT_MOST], context[CONTEXT_SIZE], context_out[CONTEXT_SIZE];
    LIBBPF_OPTS(bpf_test_run_opts, opts);
    packet input = packet_at(kind == BY_PACKET || kind == BY_SKB ? index : 0);
    struct __sk_buff skb = skb_at(index);
    fill_context(context, index);
    if (kind == BY_PACKET || kind == BY_SKB) {
        opts.data_in = input.bytes;
        opts.data_size_in = (__u32)input.size;
        opts.data_out = out;
        opts.data_size_out = sizeof out;
        opts.repeat = 1;
    }
    if (kind == BY_SKB && index) {
        opts.ctx_in = &skb;
        opts.ctx_size_in = sizeof skb;
        opts.ctx_out = context_out;
        opts.ctx_size_out = sizeof skb;
    }
    if (kind == BY_WORDS || kind == BY_ARGS) {
        opts.ctx_in = context;
        opts.ctx_size_in = kind == BY_ARGS ? 12 * 8 : sizeof context;
    }
    int err = bpf_prog_test_run_opts(fd, &opts);
    tell_open(NULL, '{');
    tell_number("errno", err ? errno : 0);
    tell_number("retval", err ? 0 : (long long)opts.retval);
    if (!err && opts.data_out)
        tell_bytes("data", out, opts.data_size_out);
    if (!err && opts.ctx_out && opts.ctx_size_out <= sizeof context_out)
        tell_bytes("context", context_out, opts.ctx_size_out);
    if (!err && kind == BY_WORDS)
        tell_bytes("context", context, sizeof context);
    tell_close('}');
}

/* ---- which bytes of a value mean something ---- */

static void mark_range(uint8_t *mask, size_t room, size_t bit, size_t bits) {
    for (size_t n = bit; n < bit + bits && n / 8 < room; n++)
        mask[n / 8] |= (uint8_t)(1 << n % 8);
}

/* Sets the bits of `mask` that a value of the type at `bit` uses. */
static void mark(const struct btf *btf, __u32 id, uint8_t *mask, size_t room, size_t bit,
                 int depth) {
    int resolved = btf__resolve_type(btf, id);
    const struct btf_type *type = resolved > 0 ? btf__type_by_id(btf, (__u32)resolved) : NULL;
    if (!type || depth > DEPTH_MOST)
        return;
    if (btf_is_array(type)) {
        const struct btf_array *array = btf_array(type);
        __s64 size = btf__resolve_size(btf, array->type);
        for (__u32 n = 0; size > 0 && n < array->nelems; n++) {
            size_t at = bit + 8 * (size_t)size * n;
            if (at / 8 >= room)
                break;
            mark(btf, array->type, mask, room, at, depth + 1);
        }
    } else if (btf_is_composite(type)) {
        for (__u32 n = 0; n < btf_vlen(type); n++) {
            __u32 field = btf_member_bitfield_size(type, n), id_of = btf_members(type)[n].type;
            size_t at = bit + btf_member_bit_offset(type, n);
            if (field)
                mark_range(mask, room, at, field);
            else
                mark(btf, id_of, mask, room, at, depth + 1);
        }
    } else {
        __s64 size = btf__resolve_size(btf, (__u32)resolved);
        mark_range(mask, room, bit, size > 0 ? 8 * (size_t)size : 0);
    }
}

/* Clears padding and what looks like an address of the kernel. */
static void clean(const struct btf *btf, __u32 type, uint8_t *value, size_t size) {
    uint8_t *mask = type ? calloc(1, size + 1) : NULL;
    if (mask) {
        mark(btf, type, mask, size, 0, 0);
        for (size_t n = 0; n < size; n++)
            value[n] &= mask[n];
    }
    free(mask);
    for (size_t n = 0; n + 8 <= size; n += 8) {
        uint64_t word;
        memcpy(&word, value + n, 8);
        if (word >= 0xffff000000000000 && word < 0xfffffffff0000000)
            memset(value + n, 0, 8);
    }
}

/* ---- maps ---- */

static bool is_zero(const uint8_t *bytes, size_t size) {
    for (size_t n = 0; n < size; n++)
        if (bytes[n])
            return false;
    return true;
}

/* Each global by its name; static ones are told as such, since a compiler may leave them out. */
static void tell_globals(const struct btf *btf, struct bpf_map *map, uint8_t *bytes) {
    size_t size = bpf_map__value_size(map);
    __u32 id = bpf_map__btf_value_type_id(map), zero = 0;
    const struct btf_type *section = id ? btf__type_by_id(btf, id) : NULL;
    if (!section || !btf_is_datasec(section) || bpf_map_lookup_elem(bpf_map__fd(map), &zero, bytes))
        return;
    for (__u32 n = 0; n < btf_vlen(section); n++) {
        const struct btf_var_secinfo *var = btf_var_secinfos(section) + n;
        const struct btf_type *declared = btf__type_by_id(btf, var->type);
        bool is_static = btf_var(declared)->linkage == BTF_VAR_STATIC;
        __u32 type = declared->type;
        char name[256];
        snprintf(name, sizeof name, "%s%s", is_static ? "static " : "",
                 btf__name_by_offset(btf, declared->name_off));
        if ((size_t)var->offset + var->size > size)
            continue;
        clean(btf, type, bytes + var->offset, var->size);
        tell_bytes(name, bytes + var->offset, var->size);
    }
}

typedef struct entry {
    uint8_t *key, *value;
} entry;

static size_t key_size; /* of the entries that are being sorted */

static int compare_entries(const void *a, const void *b) {
    return memcmp(((const entry *)a)->key, ((const entry *)b)->key, key_size);
}

static void tell_entries(const entry *entries, size_t count, size_t value_size) {
    uint64_t sum = 0;
    char key[2 * 64 + 1];
    qsort(entries ? (void *)(uintptr_t)entries : NULL, count, sizeof *entries, compare_entries);
    for (size_t n = 0; n < count; n++) {
        if (n >= ENTRIES_SHOWN) {
            sum = 31 * sum + hash_bytes(entries[n].key, key_size);
            sum = 31 * sum + hash_bytes(entries[n].value, value_size);
            continue;
        }
        for (size_t i = 0; i < key_size && i < 64; i++)
            snprintf(key + 2 * i, 3, "%02x", entries[n].key[i]);
        tell_bytes(key_size ? key : "", entries[n].value, value_size);
    }
    if (count > ENTRIES_SHOWN) {
        tell_number("count", (long long)count);
        tell_bytes("others", (const uint8_t *)&sum, sizeof sum);
    }
}

/* The entries that are not zero, by their keys. */
static void tell_map(const struct btf *btf, struct bpf_map *map, uint8_t *bytes, size_t size) {
    static entry entries[ENTRIES_MOST];
    int fd = bpf_map__fd(map);
    uint8_t *previous = NULL;
    size_t count = 0;
    __u32 key_type = bpf_map__btf_key_type_id(map), value_type = bpf_map__btf_value_type_id(map);
    bool single = size == bpf_map__value_size(map);
    key_size = bpf_map__key_size(map);
    if (!key_size)
        return;
    for (size_t steps = 0; count < ENTRIES_MOST && steps < 16 * ENTRIES_MOST; steps++) {
        uint8_t *key = calloc(1, key_size);
        if (!key || bpf_map_get_next_key(fd, previous, key))
            break;
        previous = key;
        memset(bytes, 0, size);
        if (bpf_map_lookup_elem(fd, key, bytes))
            continue;
        if (single)
            clean(btf, value_type, bytes, size);
        if (is_zero(bytes, size) && bpf_map__type(map) == BPF_MAP_TYPE_ARRAY)
            continue;
        entries[count].key = key;
        entries[count].value = malloc(size);
        if (!entries[count].value)
            break;
        memcpy(entries[count++].value, bytes, size);
    }
    /* Looked up by the whole key, told without its padding. */
    for (size_t n = 0; n < count; n++)
        clean(btf, key_type, entries[n].key, key_size);
    tell_entries(entries, count, size);
}

static int tell_record(void *context, void *data, size_t size) {
    int *count = context;
    char name[16];
    snprintf(name, sizeof name, "%d", *count);
    tell_bytes(name, data, size);
    return ++*count < RECORDS_MOST ? 0 : -ENOSPC;
}

static void tell_ring(struct bpf_map *map) {
    int count = 0;
    struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(map), tell_record, &count, NULL);
    if (ring)
        ring_buffer__consume(ring);
    ring_buffer__free(ring);
}

static size_t size_of_values(const struct bpf_map *map) {
    size_t size = bpf_map__value_size(map);
    switch (bpf_map__type(map)) {
    case BPF_MAP_TYPE_PERCPU_ARRAY:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH:
        return (size + 7) / 8 * 8 * (size_t)libbpf_num_possible_cpus();
    case BPF_MAP_TYPE_ARRAY:
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_LPM_TRIE:
        return size;
    default:
        return 0;
    }
}

static void tell_any_map(const struct btf *btf, struct bpf_map *map) {
    size_t size = size_of_values(map);
    const char *name = bpf_map__name(map);
    bool constant = strstr(name, ".rodata") || strstr(name, ".kconfig");
    uint8_t *bytes = size ? calloc(1, size + 8) : NULL;
    if (bpf_map__fd(map) < 0 || constant || (size && !bytes))
        return;
    if (bpf_map__is_internal(map) || *name == '.')
        name = strchr(name, '.') ? strchr(name, '.') : name;
    tell_open(name, '{');
    if (bpf_map__is_internal(map) && bytes)
        tell_globals(btf, map, bytes);
    else if (bytes)
        tell_map(btf, map, bytes, size);
    else if (bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF)
        tell_ring(map);
    tell_close('}');
    free(bytes);
}

/* What a program opens has the same numbers whatever else is open: libbpf opens a map per section.
 */
static void reserve_descriptors(int fd) {
    int got = 0;
    while (got >= 0 && got < DESCRIPTORS)
        got = dup(fd);
}

void run_program(struct bpf_object *object, struct bpf_program *program, enum bpf_prog_type type) {
    int kind = input_kind(type), fd = bpf_program__fd(program);
    size_t count = kind == BY_PACKET || kind == BY_SKB ? PACKETS : CONTEXTS;
    cpu_set_t first;
    struct bpf_map *map;
    if (kind == BY_NOTHING || fd < 0)
        return;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof first, &first);
    reserve_descriptors(fd);
    tell_open("runs", '[');
    for (size_t n = 0; n < count; n++)
        run_once(fd, kind, n);
    tell_close(']');
    tell_open("maps", '{');
    bpf_object__for_each_map(map, object) tell_any_map(bpf_object__btf(object), map);
    tell_close('}');
}
