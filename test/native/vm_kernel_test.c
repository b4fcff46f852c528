/* vm_kernel_test.c - maps, calls and helpers of the VM against the running kernel, which is the
 * judge.
 *
 * Two kinds of tests. Operations of the host: the same random sequence of updates, lookups,
 * deletions and steps through the keys is done with the VM's maps and, by bpf(2), with the
 * kernel's, and every result and value must be equal. Programs: the same assembly runs in both
 * (BPF_PROG_TEST_RUN) and leaves what it saw in `results`, which must be equal, as must the result.
 * Where the process may not use bpf(2) everything skips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ebpf.h"
#include "ebpf_vm.h"
#include "kb.h"

enum { RESULTS = 512, BUDGET = 50000000 };

#define LICENSE        ".section license\n.asciz \"GPL\"\n"
#define RESULT_SECTION ".section .bss,\"aw\",@nobits\n.globl results\nresults: .zero 512\n"

static int bpf(int command, union bpf_attr *attr) {
    long result = syscall(SYS_bpf, command, attr, sizeof *attr);
    return result < 0 ? -errno : (int)result;
}

/* ---- one object in both ---- */

typedef struct both {
    ebpf_ctx *ctx;
    ebpf_object *obj;
    ebpf_vm *vm;
    struct kb_object *object;
    struct kb_error err;
} both;

static const char *diagnostics(ebpf_ctx *ctx) {
    ebpf_bytes text;
    static char copy[4096];
    copy[0] = 0;
    if (ebpf_diagnostics(ctx, EBPF_DIAG_TEXT, &text) == EBPF_OK)
        snprintf(copy, sizeof copy, "%.*s", (int)text.size, (const char *)text.data);
    return copy;
}

static bool may_use_bpf(void) {
    union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY};
    attr.key_size = attr.value_size = 4;
    attr.max_entries = 1;
    int fd = bpf(BPF_MAP_CREATE, &attr);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

#define NEEDS_BPF()                                                                                \
    do {                                                                                           \
        if (!may_use_bpf()) {                                                                      \
            printf("SKIP %s: this process may not use bpf(2)\n", __func__);                        \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static both open_vm(const char *text) {
    both b = {.ctx = ebpf_ctx_new(0)};
    if (ebpf_assemble(b.ctx, "test.s", 6, text, strlen(text), EBPF_DIALECT_LLVM, EBPF_LITTLE,
                      &b.obj) ||
        ebpf_vm_new(b.ctx, b.obj, (uint32_t)kb_possible_cpus(), &b.vm))
        fail_msg("%s", diagnostics(b.ctx));
    return b;
}

static both open_both(const char *text) {
    both b = open_vm(text);
    ebpf_bytes elf;
    assert_int_equal(ebpf_object_write(b.ctx, b.obj, &elf), EBPF_OK);
    if (kb_object_open(elf.data, elf.size, NULL, &b.object, &b.err) ||
        kb_object_load(b.object, NULL, &b.err))
        fail_msg("%s\n%s", b.err.text, b.err.log ? b.err.log : "");
    return b;
}

static void close_both(both *b) {
    kb_object_close(&b->object);
    kb_error_clear(&b->err);
    ebpf_ctx_free(b->ctx);
}

/* The map so called; libbpf puts the object's name in front of ".bss" and the like. */
static int kernel_map(both *b, const char *name) {
    for (size_t i = 0; i < kb_object_map_count(b->object); i++) {
        struct kb_map_info info;
        if (kb_object_map_info(b->object, i, &info))
            continue;
        const char *tail = *name == '.' ? strchr(info.name, '.') : info.name;
        if (tail && strcmp(tail, name) == 0)
            return info.fd;
    }
    fail_msg("the kernel has no map '%s'", name);
    return -1;
}

/* ---- operations of the host ---- */

static uint64_t address(const void *at) {
    return (uint64_t)(uintptr_t)at;
}

enum { LOOKUP, UPDATE, DELETE, NEXT, TAKE, OPS };

static int in_kernel(int fd, int op, void *key, void *value, uint64_t flags) {
    static const int commands[OPS] = {BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM,
                                      BPF_MAP_GET_NEXT_KEY, BPF_MAP_LOOKUP_AND_DELETE_ELEM};
    union bpf_attr attr = {.map_fd = (uint32_t)fd};
    attr.key = address(key);
    attr.value = op == DELETE ? 0 : address(value);
    attr.flags = op == UPDATE ? flags : 0;
    return bpf(commands[op], &attr);
}

static int in_vm(ebpf_vm *vm, uint32_t map, int op, void *key, void *value, uint64_t flags) {
    switch (op) {
    case LOOKUP:
        return ebpf_vm_map_lookup(vm, map, key, value);
    case UPDATE:
        return ebpf_vm_map_update(vm, map, key, value, (uint32_t)flags);
    case DELETE:
        return ebpf_vm_map_delete(vm, map, key);
    case NEXT:
        return ebpf_vm_map_next(vm, map, key, value);
    default:
        return ebpf_vm_map_take(vm, map, key, value);
    }
}

static uint64_t seed;

static uint32_t below(uint32_t limit) {
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (uint32_t)((seed * 2685821657736338717u) >> 33) % limit;
}

typedef struct shape {
    const char *type;
    uint32_t key, value, entries, flags, extra;
    uint32_t keys; /* how many different ones are tried */
    bool unordered;
} shape;

static void random_key(const shape *s, uint8_t *key) {
    memset(key, 0, s->key);
    if (strcmp(s->type, "lpm_trie") == 0) {
        uint32_t bits = (s->key - 4) * 8, length = below(10) ? below(bits + 1) : below(bits + 8);
        memcpy(key, &length, 4);
        for (uint32_t i = 4; i < s->key; i++)
            key[i] = (uint8_t)(below(3) ? below(4) << 6 : below(256));
        return;
    }
    uint32_t number = s->keys ? below(s->keys) : 0;
    memcpy(key, &number, s->key < 4 ? s->key : 4);
    if (s->key > 8)
        key[s->key - 1] = (uint8_t)(number * 7);
}

static void compare_op(both *b, const shape *s, int fd, int i, uint32_t value_size) {
    uint8_t key[300], mine[4096] = {0}, theirs[4096] = {0};
    bool keyless = s->key == 0;
    int op = (int)below(OPS);
    uint64_t flags = below(4) ? 0 : below(5);
    uint32_t out = op == NEXT ? s->key : value_size;
    random_key(s, key);
    void *at = keyless || (op == NEXT && !below(8)) ? NULL : key;
    for (uint32_t k = 0; k < value_size; k++)
        mine[k] = theirs[k] = (uint8_t)(strcmp(s->type, "bloom_filter") ? below(256) : below(2));
    if (keyless && op == NEXT)
        return; /* the kernel wants to copy a key of no bytes */
    int want = in_kernel(fd, op, at, theirs, flags);
    int got = in_vm(b->vm, 0, op, at, mine, flags);
    if (s->unordered && op == NEXT)
        return;
    bool same = got == want && (want || op == UPDATE || op == DELETE || !memcmp(mine, theirs, out));
    if (!same)
        fail_msg("%s, operation %d (kind %d, flags %d, key %02x%02x%02x%02x): kernel %d, VM %d, "
                 "value %02x %02x",
                 s->type, i, op, (int)flags, key[0], key[1], key[2], key[3], want, got, theirs[0],
                 mine[0]);
}

static const shape shapes[] = {
    {"array", 4, 12, 7, 0, 0, 9, false},
    {"array", 4, 8, 1, 0, 0, 3, false},
    {"hash", 4, 8, 8, 0, 0, 12, true},
    {"hash", 4, 8, 8, 64, 0, 12, false},
    {"hash", 4, 5, 100, 65, 0, 120, false},
    {"hash", 13, 5, 33, 65, 0, 50, false},
    {"hash", 3, 24, 16, 64, 0, 24, false},
    {"hash", 16, 8, 5, 64, 0, 9, false},
    {"percpu_array", 4, 12, 5, 0, 0, 7, false},
    {"percpu_hash", 8, 12, 5, 64, 0, 8, false},
    {"percpu_hash", 8, 4, 5, 65, 0, 8, false},
    {"lru_hash", 4, 8, 4096, 64, 0, 64, false},
    {"lru_percpu_hash", 4, 8, 4096, 64, 0, 64, false},
    {"lpm_trie", 8, 8, 12, 1, 0, 0, false},
    {"lpm_trie", 5, 1, 6, 1, 0, 0, false},
    {"lpm_trie", 20, 16, 60, 1, 0, 0, false},
    {"lpm_trie", 7, 4, 9, 1, 0, 0, false},
    {"lpm_trie", 9, 4, 9, 1, 0, 0, false},
    {"queue", 0, 8, 5, 0, 0, 0, false},
    {"queue", 0, 3, 1, 0, 0, 0, false},
    {"stack", 0, 8, 5, 0, 0, 0, false},
    {"bloom_filter", 0, 4, 20, 64, 3, 0, false},
    {"bloom_filter", 0, 7, 3, 64, 0, 0, false},
};

/* The same operations, the same answers. */
static void test_host_operations(void **state) {
    (void)state;
    NEEDS_BPF();
    enum { EACH = 4000 };
    for (unsigned n = 0; n < sizeof shapes / sizeof *shapes; n++) {
        const shape *s = &shapes[n];
        char text[512], sizes[64] = "";
        if (s->key)
            snprintf(sizes, sizeof sizes, ", key_size=%u", s->key);
        snprintf(text, sizeof text,
                 ".map m, type=%s%s, value_size=%u, max_entries=%u, map_flags=%u, map_extra=%u\n"
                 ".section socket,\"ax\",@progbits\n.globl f\n.type f,@function\nf:\nr0 = 0\nexit\n"
                 ".size f, .-f\n" LICENSE,
                 s->type, sizes, s->value, s->entries, s->flags, s->extra);
        both b = open_both(text);
        ebpf_vm_map info;
        assert_int_equal(ebpf_vm_map_info(b.vm, 0, &info), EBPF_OK);
        int fd = kernel_map(&b, "m");
        seed = 88172645463325253u + n;
        for (int i = 0; i < EACH; i++)
            compare_op(&b, s, fd, i, info.host_value_size);
        close_both(&b);
    }
}

/* ---- programs ---- */

typedef struct sight {
    uint32_t r0;
    uint64_t results[RESULTS / 8];
} sight;

static int kernel_program(both *b, const char *name) {
    struct kb_program_info info;
    for (size_t i = 0; i < kb_object_program_count(b->object); i++)
        if (kb_object_program_info(b->object, i, &info) == 0 && strcmp(info.name, name) == 0)
            return info.fd;
    fail_msg("the kernel has no program '%s'", name);
    return -1;
}

static uint8_t packet[64] = {2, 1, 1, 1, 1, 1, 4, 2, 2, 2, 2, 2, 8, 0, 0x45, 7, 8, 9};

static sight see_kernel(both *b, const char *program, bool with_packet) {
    sight s = {0};
    uint8_t back[256];
    union bpf_attr attr = {.test = {.prog_fd = (uint32_t)kernel_program(b, program)}};
    if (with_packet) {
        attr.test.data_in = address(packet);
        attr.test.data_size_in = sizeof packet;
        attr.test.data_out = address(back);
        attr.test.data_size_out = sizeof back;
    }
    int status = bpf(BPF_PROG_TEST_RUN, &attr);
    if (status)
        fail_msg("%s: BPF_PROG_TEST_RUN fails with %d", program, status);
    s.r0 = attr.test.retval;
    uint32_t zero = 0;
    assert_int_equal(in_kernel(kernel_map(b, ".bss"), LOOKUP, &zero, s.results, 0), 0);
    return s;
}

static sight see_vm(both *b, const char *program, bool with_packet) {
    sight s = {0};
    ebpf_vm_state *state = ebpf_vm_state_of(b->vm);
    int index = ebpf_vm_program_find(b->vm, program, (uint32_t)strlen(program));
    assert_true(index >= 0);
    uint8_t context[192] = {0};
    int status = with_packet
                     ? ebpf_vm_start_typed(b->vm, (uint32_t)index, NULL, 0, packet, sizeof packet)
                     : ebpf_vm_start(b->vm, (uint32_t)index, context, sizeof context, 0);
    assert_int_equal(status, EBPF_OK);
    state->budget = BUDGET;
    int stop = ebpf_vm_run(b->vm);
    if (stop != EBPF_STOP_EXIT)
        fail_msg("%s: stop %d (helper %u): %s", program, stop, state->helper, diagnostics(b->ctx));
    s.r0 = (uint32_t)state->reg[0];
    ebpf_bytes bss;
    assert_int_equal(ebpf_vm_section(b->vm, ".bss", 4, &bss), EBPF_OK);
    memcpy(s.results, bss.data, RESULTS);
    return s;
}

/* Run it in both a few times, and see the same each time. */
static void run_both(both *b, const char *program, bool with_packet, int times) {
    for (int i = 0; i < times; i++) {
        sight want = see_kernel(b, program, with_packet), got = see_vm(b, program, with_packet);
        for (unsigned k = 0; k < RESULTS / 8; k++)
            if (want.results[k] != got.results[k])
                fail_msg("%s, run %d, result %u: kernel 0x%llx, VM 0x%llx", program, i, k,
                         (unsigned long long)want.results[k], (unsigned long long)got.results[k]);
        if (want.r0 != got.r0)
            fail_msg("%s, run %d: kernel returns %u, VM %u", program, i, want.r0, got.r0);
    }
}

#define PROGRAM(section, name)                                                                     \
    ".section " section ",\"ax\",@progbits\n.globl " name "\n.type " name ",@function\n" name ":"  \
    "\n"
#define END(name)      "r0 = 0\nexit\n.size " name ", .-" name "\n"
#define FUNCTION(name) ".text\n.type " name ",@function\n" name ":\n"
/* Keep a register among the results. */
#define KEEP(reg, at) "r1 = results ll\nr1 += " #at "\n*(u64 *)(r1 + 0) = " reg "\n"
/* And one behind it. */
#define KEEP_NEXT(reg, at) "r1 = results ll\nr1 += " #at "\n*(u64 *)(r1 + 8) = " reg "\n"
#define KEY(value)         "*(u32 *)(r10 - 4) = " #value "\nr2 = r10\nr2 += -4\n"
#define LOOK(map, key)     KEY(key) "r1 = " map " ll\ncall 1\n"
#define PUT(map, key, value, flags)                                                                \
    "r1 = " #value "\n*(u64 *)(r10 - 16) = r1\n" KEY(key) "r3 = r10\nr3 += -16\nr4 = " #flags "\n" \
                                                          "r1 = " map " ll\ncall 2\n"
#define REMOVE(map, key) KEY(key) "r1 = " map " ll\ncall 3\n"
/* Keep what r6 points to. */
#define SEE(at) "r0 = *(u64 *)(r6 + 0)\n" KEEP("r0", at)

static void check_program(const char *text, const char *program, bool with_packet, int times) {
    both b = open_both(text);
    run_both(&b, program, with_packet, times);
    close_both(&b);
}

/* What a pointer that was looked up sees when its entry is updated, deleted, used again. */
static void test_values_after_changes(void **state) {
    (void)state;
    NEEDS_BPF();
    static const struct {
        const char *type;
        int flags;
    } maps[] = {{"hash", 0}, {"hash", 1}, {"percpu_hash", 0}, {"lru_hash", 0}};
    for (unsigned i = 0; i < sizeof maps / sizeof *maps; i++) {
        char text[4096];
        snprintf(
            text, sizeof text,
            ".map m, type=%s, key=u32, value=u64, max_entries=4, map_flags=%d\n" RESULT_SECTION
                PROGRAM("raw_tp/x", "f") REMOVE("m", 1) REMOVE("m", 2) PUT("m", 1, 11, 1) KEEP("r0",
                                                                                               0)
                    LOOK("m", 1) "if r0 == 0 goto out\nr6 = r0\n" SEE(8) PUT("m", 1, 12, 2) SEE(16)
                        LOOK("m", 1) "if r0 == 0 goto out\nr7 = r0\nr0 = *(u64 *)(r7 + 0)\n" KEEP(
                            "r0", 24) REMOVE("m", 1)
                            KEEP("r0", 32) "r0 = *(u64 *)(r7 + 0)\n" KEEP("r0", 40) REMOVE("m", 1)
                                KEEP("r0", 48) PUT("m", 1, 13, 2) KEEP("r0", 56) "out:\n" END("f")
                                    LICENSE,
            maps[i].type, maps[i].flags);
        check_program(text, "f", false, 2);
    }
}

static void test_queues(void **state) {
    (void)state;
    NEEDS_BPF();
#define PUSH(map, value, flags, at)                                                                \
    "r1 = " #value "\n*(u64 *)(r10 - 16) = r1\nr2 = r10\nr2 += -16\nr3 = " #flags "\nr1 = " map    \
    " ll\ncall 87\n" KEEP("r0", at)
#define POP(map, helper, at)                                                                       \
    "r2 = r10\nr2 += -16\nr1 = " map " ll\ncall " #helper                                          \
    "\n" KEEP("r0", at) "r0 = *(u64 *)(r10 - 16)\n" KEEP_NEXT("r0", at)
    static const char *const types[] = {"queue", "stack"};
    for (unsigned i = 0; i < 2; i++) {
        char text[8192];
        snprintf(text, sizeof text,
                 ".map m, type=%s, value_size=8, max_entries=2\n" RESULT_SECTION PROGRAM(
                     "raw_tp/x", "f") PUSH("m", 1, 0, 0) PUSH("m", 2, 0, 8) PUSH("m", 3, 0, 16)
                     PUSH("m", 3, 1, 24) PUSH("m", 4, 2, 32) PUSH("m", 4, 3, 40) POP("m", 89, 48)
                         POP("m", 88, 64) POP("m", 89, 80) POP("m", 88, 96) POP("m", 88, 112)
                             POP("m", 89, 128) END("f") LICENSE,
                 types[i]);
        check_program(text, "f", false, 3);
    }
}

static void test_ring_buffer(void **state) {
    (void)state;
    NEEDS_BPF();
#define QUERY(what, at) "r1 = m ll\nr2 = " #what "\ncall 134\n" KEEP("r0", at)
    static const char text[] = ".map m, type=ringbuf, max_entries=4096\n" RESULT_SECTION PROGRAM(
        "raw_tp/x",
        "f") "r7 = 0\n"
             "again:\nr1 = m ll\nr2 = 100\nr3 = 0\ncall 131\nif r0 == 0 goto full\n"
             "*(u64 *)(r0 + 0) = r7\nr1 = r0\nr2 = 0\nr7 += 1\nr3 = r7\nr3 &= 1\n"
             "if r3 == 0 goto drop\ncall 132\ngoto on\ndrop:\ncall 133\non:\nif r7 < 60 goto "
             "again\n"
             "full:\n" KEEP("r7", 0) QUERY(0, 8) QUERY(1, 16) QUERY(2, 24) QUERY(3, 32) QUERY(
                 4, 40) "r1 = m ll\nr2 = r10\nr2 += -200\n*(u64 *)(r10 - 200) = 5\nr3 = "
                        "8\nr4 = 0\ncall 130\n" KEEP(
                            "r0", 48) "r1 = m ll\nr2 = r10\nr2 += -200\nr3 = 8\nr4 = 4\ncall "
                                      "130\n" KEEP("r0",
                                                   56) "r1 = m ll\nr2 = 8\nr3 = 1\ncall 131\nif r0 "
                                                       "== 0 goto none\nr1 = r0\nr2 = 0\ncall 133\n"
                                                       "r0 = 99\nnone:\n" KEEP("r0", 64) END("f")
                                                           LICENSE;
    check_program(text, "f", false, 2);
}

/* The largest records that fit into an empty ring, and those one step larger. */
static void test_ring_limits(void **state) {
    (void)state;
    NEEDS_BPF();
    static const int sizes[] = {4096, 4089, 4088, 4081, 4080, 4073, 0};
    char text[8192];
    int at = snprintf(
        text, sizeof text,
        ".map m, type=ringbuf, max_entries=4096\n" RESULT_SECTION PROGRAM("raw_tp/x", "f"));
    for (int i = 0; i < 7; i++)
        at += snprintf(text + at, sizeof text - (size_t)at,
                       "r1 = m ll\nr2 = results ll\nr3 = %d\nr4 = 0\ncall 130\n"
                       "r1 = results ll\n*(u64 *)(r1 + %d) = r0\n",
                       sizes[i] > 512 ? 512 : sizes[i], 64 + i * 8);
    for (int i = 0; i < 7; i++)
        at += snprintf(
            text + at, sizeof text - (size_t)at,
            "r1 = n ll\nr2 = %d\nr3 = 0\ncall 131\nif r0 == 0 goto none%d\nr1 = r0\nr2 = 0\n"
            "call 133\nr0 = 7\nnone%d:\nr1 = results ll\n*(u64 *)(r1 + %d) = r0\n",
            sizes[i], i, i, i * 8);
    snprintf(text + at, sizeof text - (size_t)at,
             END("f") ".map n, type=ringbuf, max_entries=4096\n" LICENSE);
    check_program(text, "f", false, 1);
}

static void test_dynptrs(void **state) {
    (void)state;
    NEEDS_BPF();
    /* The kernel wants initialised memory and each dynptr in a place of its own. */
#define READ(len, offset, at)                                                                      \
    "*(u64 *)(r10 - 64) = 0\nr1 = r10\nr1 += -64\nr2 = " #len                                      \
    "\nr3 = r10\nr3 += -16\nr4 = " #offset                                                         \
    "\nr5 = 0\ncall 201\n" KEEP("r0", at) "r0 = *(u64 *)(r10 - 64)\n" KEEP_NEXT("r0", at)
#define WRITE(len, offset, at)                                                                     \
    "r1 = 0x1122334455667788 ll\n*(u64 *)(r10 - 64) = r1\nr1 = r10\nr1 += -16\nr2 = " #offset      \
    "\nr3 = r10\nr3 += -64\nr4 = " #len "\nr5 = 0\ncall 202\n" KEEP("r0", at)
    static const char text[] = ".map m, type=ringbuf, max_entries=4096\n" RESULT_SECTION PROGRAM(
        "raw_tp/x", "f") "r1 = m ll\nr2 = 16\nr3 = 0\nr4 = r10\nr4 += -16\ncall 198\n" KEEP("r0", 0)
        WRITE(8, 0, 8) WRITE(8, 8, 16) WRITE(8, 9, 24) WRITE(4, 12, 32) WRITE(8, 16, 40)
            READ(8, 0, 48) READ(8, 8, 64) READ(8, 9, 80) READ(4, 3, 96)
                READ(4, 12,
                     112) "r1 = r10\nr1 += -16\nr2 = 8\nr3 = 8\ncall 203\nif r0 == 0 goto gone\n"
                          "r0 = *(u64 *)(r0 + 0)\ngone:\n" KEEP(
                              "r0",
                              128) "r1 = r10\nr1 += -16\nr2 = 9\nr3 = 8\ncall 203\nif r0 == 0 goto "
                                   "gone2\nr0 = 1\ngone2:\n" KEEP(
                                       "r0", 136) "r1 = r10\nr1 += -16\nr2 = "
                                                  "0\ncall 199\n"
                                                  "r1 = m ll\nr2 = 5000\nr3 = "
                                                  "0\nr4 = r10\nr4 += -16\ncall "
                                                  "198\n" KEEP("r0", 144) READ(
                                                      8, 0, 152) "r1 = r10\nr1 += "
                                                                 "-16\nr2 = 0\ncall 200\n"
                                                                 "r1 = m ll\nr2 = 8\nr3 "
                                                                 "= 1\nr4 = r10\nr4 += "
                                                                 "-16\ncall 198\n" KEEP(
                                                                     "r0", 168) "r1 = r10\nr1 "
                                                                                "+= -16\nr2 = "
                                                                                "0\ncall "
                                                                                "200\n" END("f")
                                                                                    LICENSE;
    check_program(text, "f", false, 2);
}

/* Each program calls the next; the 34th call falls through. */
static void test_tail_calls(void **state) {
    (void)state;
    NEEDS_BPF();
    static const char text[] =
        ".map m, type=prog_array, key_size=4, value_size=4, max_entries=3\n" RESULT_SECTION PROGRAM(
            "raw_tp/x",
            "f") "r6 = r1\nr1 = results ll\nr2 = *(u64 *)(r1 + 0)\nr2 += 1\n*(u64 *)(r1 + 0) = r2\n"
                 "r1 = r6\nr2 = m ll\nr3 = 0\ncall 12\n"
                 "r1 = results ll\nr2 = *(u64 *)(r1 + 8)\nr2 += 1\n*(u64 *)(r1 + 8) = r2\nr0 = "
                 "7\nexit\n"
                 ".size f, .-f\n" PROGRAM("raw_tp/y",
                                          "g") "r6 = r1\nr2 = m ll\nr3 = 2\ncall 12\nr1 = r6\nr2 = "
                                               "m ll\nr3 = 3\ncall 12\n"
                                               "r1 = r6\nr2 = m ll\nr3 = 1\ncall 12\nr0 = "
                                               "5\nexit\n.size g, .-g\n" PROGRAM(
                                                   "raw_tp/z",
                                                   "h") "r1 = results ll\n*(u64 *)(r1 + 16) = "
                                                        "3\nr0 = 11\nexit\n.size h, .-h\n" LICENSE;
    both b = open_both(text);
    static const char *const into[] = {"f", "h"};
    for (uint32_t key = 0; key < 2; key++) {
        int fd = kernel_program(&b, into[key]);
        uint32_t program = (uint32_t)ebpf_vm_program_find(b.vm, into[key], 1), bad = 999;
        assert_int_equal(in_kernel(kernel_map(&b, "m"), UPDATE, &key, &fd, 0), 0);
        assert_int_equal(ebpf_vm_map_update(b.vm, 0, &key, &program, 0), 0);
        assert_int_equal(ebpf_vm_map_update(b.vm, 0, &key, &bad, 0), -EBADF);
    }
    run_both(&b, "f", false, 2);
    run_both(&b, "g", false, 1);
    close_both(&b);
}

/* A subprogram's tail call ends the subprogram only. */
static void test_tail_calls_from_functions(void **state) {
    (void)state;
    NEEDS_BPF();
    static const char text[] =
        ".map m, type=prog_array, key_size=4, value_size=4, max_entries=1\n" RESULT_SECTION
            PROGRAM("tc", "f") "call sub\n" KEEP("r0", 0) "r0 = 21\nexit\n.size f, .-f\n" PROGRAM(
                "tc",
                "h") "r0 = 1234\nexit\n.size h, .-h\n" FUNCTION("sub") "r2 = m ll\nr3 = 0\ncall "
                                                                       "12\nr0 = 4\nexit\n.size "
                                                                       "sub, .-sub\n" LICENSE;
    both b = open_both(text);
    uint32_t key = 0, program = (uint32_t)ebpf_vm_program_find(b.vm, "h", 1);
    run_both(&b, "f", true, 1);
    int fd = kernel_program(&b, "h");
    assert_int_equal(in_kernel(kernel_map(&b, "m"), UPDATE, &key, &fd, 0), 0);
    assert_int_equal(ebpf_vm_map_update(b.vm, 0, &key, &program, 0), 0);
    run_both(&b, "f", true, 2);
    close_both(&b);
}

#define CALLBACK_LOOP(count, function, flags, at)                                                  \
    "r1 = " #count "\nr2 = " function " ll\nr3 = r10\nr3 += -8\nr4 = " #flags                      \
    "\ncall 181\n" KEEP("r0", at)

/* One more than may be; inlined by the kernel, so the result has 32 bits there. */
#define LIMIT(at)                                                                                  \
    "r1 = 8388609\nr2 = add ll\nr3 = r10\nr3 += -8\nr4 = 0\ncall 181\nr0 <<= 32\n" KEEP("r0", at)

static void test_loops(void **state) {
    (void)state;
    NEEDS_BPF();
    static const char text[] = RESULT_SECTION PROGRAM(
        "raw_tp/x", "f") "*(u64 *)(r10 - 8) = 0\nr7 = 70\nr8 = 80\n" CALLBACK_LOOP(10, "add", 0, 0)
        CALLBACK_LOOP(0, "add", 0, 8) CALLBACK_LOOP(20, "stop", 0, 16) LIMIT(24) CALLBACK_LOOP(
            3, "add", 1, 32) CALLBACK_LOOP(4, "nest", 0, 40) "r0 = *(u64 *)(r10 - 8)\n" KEEP("r0",
                                                                                             48)
            KEEP("r7", 56) KEEP("r8", 64) END("f") FUNCTION(
                "add") "r7 = 5\nr3 = *(u64 *)(r2 + 0)\nr3 += r1\n*(u64 *)(r2 + 0) = r3\nr0 = "
                       "0\nexit\n"
                       ".size add, .-add\n" FUNCTION(
                           "stop") "r0 = 0\nif r1 != 6 goto on\nr0 = 1\non:\nexit\n.size stop, "
                                   ".-stop\n" FUNCTION("nest") "r8 = r2\nr9 = r1\nr1 = 3\nr2 = add "
                                                               "ll\nr3 = r8\nr4 = 0\ncall 181\n"
                                                               "r3 = *(u64 *)(r8 + 0)\nr3 += "
                                                               "r0\nr3 += r9\n*(u64 *)(r8 + 0) = "
                                                               "r3\nr0 = 0\nexit\n"
                                                               ".size nest, .-nest\n" LICENSE;
    check_program(text, "f", false, 2);
}

/* The order in which for_each_map_elem visits, with deletions on the way. */
static void test_for_each(void **state) {
    (void)state;
    NEEDS_BPF();
    static const struct {
        const char *map;
        const char *function;
    } walks[] = {{"type=array, key=u32, value=u64, max_entries=6", "note"},
                 {"type=array, key=u32, value=u64, max_entries=6", "halt"},
                 {"type=hash, key=u32, value=u64, max_entries=40, map_flags=64", "note"},
                 {"type=hash, key=u32, value=u64, max_entries=40, map_flags=65", "halt"},
                 {"type=hash, key=u32, value=u64, max_entries=64, map_flags=64", "drop"},
                 {"type=percpu_array, key=u32, value=u64, max_entries=4", "note"}};
    for (unsigned i = 0; i < sizeof walks / sizeof *walks; i++) {
        char text[8192];
        snprintf(
            text, sizeof text,
            ".map m, %s\n" RESULT_SECTION PROGRAM("raw_tp/x", "f") PUT("m", 3, 30, 0)
                PUT("m", 1, 10, 0) PUT("m", 17, 170, 0) PUT("m", 2, 20, 0) PUT("m", 39, 390,
                                                                               0) PUT("m", 0, 5, 0)
                    PUT("m", 3, 31,
                        0) "*(u64 *)(r10 - 24) = 0\nr1 = m ll\nr2 = %s ll\nr3 = r10\nr3 += "
                           "-24\nr4 = 0\ncall 164\n" KEEP("r0", 0) "r0 = *(u64 *)(r10 - 24)\n" KEEP(
                               "r0", 8) "r1 = m ll\nr2 = %s "
                                        "ll\nr3 = r10\nr3 += "
                                        "-24\nr4 = 1\ncall "
                                        "164\n" KEEP("r0", 16) END("f")
        /* result = result * 31 + key * 7 + value */
#define NOTE                                                                                       \
    "r2 = *(u32 *)(r2 + 0)\nr2 *= 7\nr3 = *(u64 *)(r3 + 0)\nr5 = *(u64 *)(r4 + 0)\nr5 *= 31\n"     \
    "r5 += r2\nr5 += r3\n*(u64 *)(r4 + 0) = r5\n"
                                            FUNCTION("note") NOTE
            "r0 = 0\nexit\n.size note, .-note\n" FUNCTION(
                "halt") "r0 = *(u32 *)(r2 + 0)\nr0 &= 1\n" NOTE
                        "exit\n.size halt, .-halt\n" FUNCTION(
                            "drop") "r6 = r2\nr7 = r4\n" NOTE
                                    "r2 = r6\nr1 = m ll\ncall 3\nr5 = *(u64 *)(r7 + 0)\nr5 += r0\n"
                                    "*(u64 *)(r7 + 0) = r5\nr0 = 0\nexit\n.size drop, "
                                    ".-drop\n" LICENSE,
            walks[i].map, walks[i].function, walks[i].function);
        check_program(text, "f", false, 2);
    }
}

static const char *const numbers[] = {
    "0",
    "42",
    "-42",
    "  17 ",
    "0x1f",
    "0X",
    "-0x10",
    "017",
    "089",
    "abc",
    "",
    "-",
    "1e5",
    "\t9",
    "ff",
    "7-",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "+5",
    "0x",
    "00000000000000000000000000000000000000000000000000000000000000012"};

static void test_numbers_from_text(void **state) {
    (void)state;
    NEEDS_BPF();
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[8192];
        size_t size = strlen(numbers[i]);
        int at =
            snprintf(text, sizeof text,
                     RESULT_SECTION ".section .rodata,\"a\",@progbits\n.globl word\nword: .ascii "
                                    "\"%s\\000\"\n" PROGRAM("tc", "f"),
                     numbers[i][0] == '\t' ? "\\t9" : numbers[i]);
        static const int flags[] = {0, 8, 10, 16, 2, 32};
        for (int k = 0; k < 12; k++)
            at += snprintf(text + at, sizeof text - (size_t)at,
                           "*(u64 *)(r10 - 8) = 77\nr1 = word ll\nr2 = %zu\nr3 = %d\nr4 = r10\n"
                           "r4 += -8\ncall %d\nr1 = results ll\n*(u64 *)(r1 + %d) = r0\n"
                           "if r0 s< 0 goto no%d\nr0 = *(u64 *)(r10 - 8)\n*(u64 *)(r1 + %d) = r0\n"
                           "no%d:\n",
                           size ? size : 1, flags[k % 6], 105 + k / 6, k * 16, k, k * 16 + 8, k);
        snprintf(text + at, sizeof text - (size_t)at, END("f") LICENSE);
        check_program(text, "f", true, 1);
    }
}

static const struct {
    const char *format;
    uint64_t args[3];
    int count;
} formats[] = {{"plain", {0}, 0},
               {"%d|%5d|%-5d|", {42, (uint64_t)-7, 3}, 3},
               {"%u %x %X", {(uint64_t)-1, 0xdeadbeef, 0xbeef}, 3},
               {"%lld %llu %llx", {(uint64_t)-1, (uint64_t)-1, 0x123456789abcdef}, 3},
               {"%ld %lu %lx", {(uint64_t)-5, 5, 255}, 3},
               {"%05d %+d % d", {42, 42, 42}, 3},
               {"%#x %08x %-8x|", {255, 255, 255}, 3},
               {"%c%c%c", {'a', 'b', 'c'}, 3},
               {"%i %% %d", {1, 2}, 2},
               {"%d", {0}, 0},
               {"%d", {1, 2}, 2},
               {"%q", {1}, 1},
               {"%", {0}, 0},
               {"%hd %hhd", {70000, 300}, 2},
               {"%px", {0x1234}, 1},
               {"%5c|", {'x'}, 1},
               {"%128d|", {5}, 1},
               {"a long text that does not fit into the buffer of forty bytes", {0}, 0}};

/* The verifier refuses a bad format, the VM says -EINVAL when it runs. */
static void check_refused_or_same(const char *text, const char *format) {
    both b = open_vm(text);
    ebpf_bytes elf;
    assert_int_equal(ebpf_object_write(b.ctx, b.obj, &elf), EBPF_OK);
    if (kb_object_open(elf.data, elf.size, NULL, &b.object, &b.err))
        fail_msg("%s", b.err.text);
    if (kb_object_load(b.object, NULL, &b.err) == 0) {
        run_both(&b, "f", true, 1);
    } else {
        sight got = see_vm(&b, "f", true);
        if ((int64_t)got.results[0] != -EINVAL || !b.err.log ||
            !strstr(b.err.log, "Invalid format"))
            fail_msg("'%s': the VM says %lld, the kernel %s", format, (long long)got.results[0],
                     b.err.log);
    }
    close_both(&b);
}

static void test_text_from_numbers(void **state) {
    (void)state;
    NEEDS_BPF();
    for (unsigned i = 0; i < sizeof formats / sizeof *formats; i++) {
        char text[8192];
        int at =
            snprintf(text, sizeof text,
                     RESULT_SECTION
                     ".section .rodata,\"a\",@progbits\n.globl format\n"
                     "format: .asciz \"%s\"\n.section .data,\"aw\",@progbits\n"
                     ".globl args\nargs:\n.quad %lld\n.quad %lld\n.quad %lld\n" PROGRAM("tc", "f"),
                     formats[i].format, (long long)formats[i].args[0],
                     (long long)formats[i].args[1], (long long)formats[i].args[2]);
        static const int sizes[] = {40, 5, 1};
        for (int k = 0; k < 3; k++)
            at += snprintf(text + at, sizeof text - (size_t)at,
                           "r1 = results ll\nr1 += %d\nr2 = %d\nr3 = format ll\nr4 = args ll\n"
                           "r5 = %d\ncall 165\nr1 = results ll\n*(u64 *)(r1 + %d) = r0\n",
                           64 + k * 48, sizes[k], formats[i].count * 8, k * 8);
        snprintf(text + at, sizeof text - (size_t)at, END("f") LICENSE);
        check_refused_or_same(text, formats[i].format);
    }
}

static void test_checksums(void **state) {
    (void)state;
    NEEDS_BPF();
#define DIFF(from, to, at)                                                                         \
    "r1 = r10\nr1 += -32\nr2 = " #from "\nr3 = r10\nr3 += -64\nr4 = " #to                          \
    "\nr5 = 0x12345\ncall 28\n" KEEP("r0", at)
    static const char text[] = RESULT_SECTION PROGRAM(
        "tc",
        "f") "r1 = 0x1122334455667788 ll\n*(u64 *)(r10 - 32) = r1\n*(u64 *)(r10 - 24) = r1\n"
             "r1 = 0xfedcba9876543210 ll\n*(u64 *)(r10 - 64) = r1\n*(u64 *)(r10 - 56) = -1\n" DIFF(
                 8, 8, 0) DIFF(0, 8, 8) DIFF(8, 0, 16) DIFF(16, 4, 24) DIFF(4, 16, 32)
                 DIFF(0, 0, 40) DIFF(16, 16, 48) END("f") LICENSE;
    check_program(text, "f", true, 1);
}

static void test_perf_events_without_reader(void **state) {
    (void)state;
    NEEDS_BPF();
#define OUTPUT(flags, at)                                                                          \
    "r1 = r6\nr2 = m ll\nr3 = " flags " ll\nr4 = r10\nr4 += -8\nr5 = 8\ncall 25\n" KEEP("r0", at)
    static const char text[] =
        ".map m, type=perf_event_array, key_size=4, value_size=4, max_entries=64\n" RESULT_SECTION
            PROGRAM("raw_tp/x", "f") "r6 = r1\n*(u64 *)(r10 - 8) = 1\n" OUTPUT("0xffffffff", 0)
                OUTPUT("3", 8) OUTPUT("64", 16) OUTPUT("0x100000000", 24)
                    OUTPUT("0xfffffffffffff", 32) END("f") LICENSE;
    both b = open_both(text);
    for (uint32_t key = 0; key < 64; key++)
        ebpf_vm_map_delete(b.vm, 0, &key); /* the kernel's has no reader yet */
    run_both(&b, "f", false, 1);
    close_both(&b);
}

static void test_redirect_map(void **state) {
    (void)state;
    NEEDS_BPF();
#define REDIRECT(key, flags, at)                                                                   \
    "r1 = m ll\nr2 = " #key "\nr3 = " #flags "\ncall 51\n" KEEP("r0", at)
    static const char text[] =
        ".map m, type=devmap, key_size=4, value_size=4, max_entries=4\n" RESULT_SECTION PROGRAM(
            "xdp", "f") REDIRECT(0, 0, 0) REDIRECT(1, 2, 8) REDIRECT(9, 1, 16) REDIRECT(0, 4, 24)
            REDIRECT(0, 3, 32) "r0 = 2\nexit\n.size f, .-f\n" LICENSE;
    both b = open_both(text);
    uint32_t key = 0, loopback = 1;
    run_both(&b, "f", true, 1);
    assert_int_equal(in_kernel(kernel_map(&b, "m"), UPDATE, &key, &loopback, 0), 0);
    assert_int_equal(ebpf_vm_map_update(b.vm, 0, &key, &loopback, 0), 0);
    run_both(&b, "f", true, 1);
    close_both(&b);
}

/* ---- programs in C: what the assembler's maps cannot say ---- */

#define C_START                                                                                    \
    "typedef unsigned int u32; typedef unsigned long long u64;\n"                                  \
    "#define SEC(name) __attribute__((section(name), used))\n"                                     \
    "#define __uint(name, val) int (*name)[val]\n#define __type(name, val) typeof(val) *name\n"    \
    "#define __array(name, val) typeof(val) *name[]\n"                                             \
    "#define __ksym __attribute__((section(\".ksyms\")))\n#define NULL ((void *)0)\n"              \
    "static void *(*lookup)(void *, const void *) = (void *)1;\n"                                  \
    "static long (*update)(void *, const void *, const void *, u64) = (void *)2;\n"                \
    "static long (*drop)(void *, const void *) = (void *)3;\n"                                     \
    "static long (*tail_call)(void *, void *, u32) = (void *)12;\n"                                \
    "static long (*perf_output)(void *, void *, u64, void *, u64) = (void *)25;\n"                 \
    "static long (*ring_output)(void *, void *, u64, u64) = (void *)130;\n"                        \
    "static void *(*ring_reserve)(void *, u64, u64) = (void *)131;\n"                              \
    "static void (*ring_submit)(void *, u64) = (void *)132;\n"                                     \
    "static void (*ring_discard)(void *, u64) = (void *)133;\n"                                    \
    "char licence[] SEC(\"license\") = \"GPL\";\nu64 results[64];\n"

static bool compile(const char *source, char *path, size_t size) {
    snprintf(path, size, "/tmp/vm_kernel_test.%d.o", (int)getpid());
    char command[256];
    snprintf(command, sizeof command,
             "clang-19 -target bpf -mcpu=v3 -O2 -g -Wno-unused -Wno-pointer-bool-conversion -x c "
             "-c - -o %s",
             path);
    FILE *pipe = popen(command, "w");
    assert_non_null(pipe);
    fputs(source, pipe);
    return pclose(pipe) == 0;
}

#define NEEDS_CLANG()                                                                              \
    do {                                                                                           \
        NEEDS_BPF();                                                                               \
        if (system("command -v clang-19 >/dev/null")) {                                            \
            printf("SKIP %s: clang-19 is not installed\n", __func__);                              \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static both open_c(const char *source) {
    both b = {.ctx = ebpf_ctx_new(0)};
    char path[128];
    static uint8_t bytes[1 << 20];
    if (!compile(source, path, sizeof path))
        fail_msg("clang-19 does not take the program");
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    unlink(path);
    if (ebpf_object_read(b.ctx, "test.o", 6, bytes, size, &b.obj) ||
        ebpf_vm_new(b.ctx, b.obj, (uint32_t)kb_possible_cpus(), &b.vm))
        fail_msg("%s", diagnostics(b.ctx));
    ebpf_bytes elf;
    assert_int_equal(ebpf_object_write(b.ctx, b.obj, &elf), EBPF_OK);
    if (kb_object_open(elf.data, elf.size, NULL, &b.object, &b.err) ||
        kb_object_load(b.object, NULL, &b.err))
        fail_msg("%s\n%s", b.err.text, b.err.log ? b.err.log : "");
    return b;
}

static void check_c(const char *source, const char *program, bool with_packet, int times) {
    both b = open_c(source);
    run_both(&b, program, with_packet, times);
    close_both(&b);
}

static void test_maps_of_maps(void **state) {
    (void)state;
    NEEDS_CLANG();
    check_c(C_START "struct inner { __uint(type, 2); __uint(max_entries, 4); __type(key, u32);\n"
                    "  __type(value, u64); } a SEC(\".maps\"), b SEC(\".maps\");\n"
                    "struct { __uint(type, 12); __uint(max_entries, 5); __type(key, u32);\n"
                    "  __array(values, struct inner); } outer SEC(\".maps\") =\n"
                    "  { .values = { [0] = &a, [3] = &b, [4] = &a } };\n"
                    "struct { __uint(type, 13); __uint(max_entries, 5); __type(key, u32);\n"
                    "  __array(values, struct inner); } hashed SEC(\".maps\") =\n"
                    "  { .values = { [1] = &b, [2] = &a } };\n"
                    "static void add(void *in, u32 which, int at) {\n"
                    "  u32 key = 2; void *map = lookup(in, &which);\n"
                    "  u64 *value = map ? lookup(map, &key) : NULL;\n"
                    "  if (value) { *value += at; results[at] = *value; } else results[at] = 99;\n"
                    "  u64 five = 5; key = 1;\n"
                    "  if (map) results[at + 1] = update(map, &key, &five, 0) + drop(map, &key);\n"
                    "}\n"
                    "SEC(\"raw_tp/x\") int f(void *ctx) {\n"
                    "  for (int i = 0; i < 6; i++) { add(&outer, i, 1 + i * 4); }\n"
                    "  for (int i = 0; i < 4; i++) { add(&hashed, i, 31 + i * 4); }\n"
                    "  u32 two = 2; u64 *direct = lookup(&a, &two);\n"
                    "  if (direct) results[60] = *direct;\n"
                    "  return 0;\n}\n",
            "f", false, 2);
}

static void test_program_arrays_from_the_object(void **state) {
    (void)state;
    NEEDS_CLANG();
    check_c(C_START "int g(void *ctx); int h(void *ctx);\n"
                    "struct { __uint(type, 3); __uint(max_entries, 4); __uint(key_size, 4);\n"
                    "  __array(values, int(void *)); } jumps SEC(\".maps\") =\n"
                    "  { .values = { [1] = (void *)&g, [3] = (void *)&h } };\n"
                    "SEC(\"raw_tp/x\") int f(void *ctx) {\n"
                    "  results[0]++; tail_call(ctx, &jumps, 0);\n"
                    "  results[1]++; tail_call(ctx, &jumps, 1); results[2]++; return 1;\n}\n"
                    "SEC(\"raw_tp/y\") int g(void *ctx) {\n"
                    "  results[3]++; tail_call(ctx, &jumps, 3); return 2;\n}\n"
                    "SEC(\"raw_tp/z\") int h(void *ctx) { results[4]++; return 3; }\n",
            "f", false, 2);
}

static void test_numeric_iterators(void **state) {
    (void)state;
    NEEDS_CLANG();
    check_c(C_START
            "struct bpf_iter_num { u64 opaque[1]; } __attribute__((aligned(8)));\n"
            "extern int bpf_iter_num_new(struct bpf_iter_num *, int, int) __ksym;\n"
            "extern int *bpf_iter_num_next(struct bpf_iter_num *) __ksym;\n"
            "extern void bpf_iter_num_destroy(struct bpf_iter_num *) __ksym;\n"
            "extern void no_such_function(void) __attribute__((weak)) __ksym;\n"
            "static u64 sum(int from, int to, u64 *made) {\n"
            "  struct bpf_iter_num it; int *n; u64 all = 0;\n"
            "  *made = bpf_iter_num_new(&it, from, to);\n"
            "  while ((n = bpf_iter_num_next(&it))) all = all * 3 + *n;\n"
            "  bpf_iter_num_destroy(&it); return all;\n}\n"
            "SEC(\"raw_tp/x\") int f(void *ctx) {\n"
            "  results[0] = sum(-3, 9, &results[1]); results[2] = sum(5, 5, &results[3]);\n"
            "  results[4] = sum(6, 5, &results[5]); results[6] = sum(0, 9000000, &results[7]);\n"
            "  results[8] = sum(0x7ffffffd, 0x7fffffff, &results[9]);\n"
            "  if (no_such_function) no_such_function(); else results[10] = 7;\n"
            "  if (bpf_iter_num_new) results[11] = 8;\n"
            "  return 0;\n}\n",
            "f", false, 1);
}

#define C_DYNPTR                                                                                   \
    "struct bpf_dynptr { u64 opaque[2]; } __attribute__((aligned(8)));\n"                          \
    "static long (*from_mem)(void *, u32, u64, struct bpf_dynptr *) = (void *)197;\n"              \
    "static long (*dynptr_read)(void *, u32, struct bpf_dynptr *, u32, u64) = (void *)201;\n"      \
    "static long (*dynptr_write)(struct bpf_dynptr *, u32, void *, u32, u64) = (void *)202;\n"     \
    "extern int bpf_dynptr_adjust(const struct bpf_dynptr *, u32, u32) __ksym;\n"                  \
    "extern _Bool bpf_dynptr_is_null(const struct bpf_dynptr *) __ksym;\n"                         \
    "extern _Bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *) __ksym;\n"                       \
    "extern u32 bpf_dynptr_size(const struct bpf_dynptr *) __ksym;\n"                              \
    "extern int bpf_dynptr_clone(const struct bpf_dynptr *, struct bpf_dynptr *) __ksym;\n"        \
    "extern void *bpf_dynptr_slice(const struct bpf_dynptr *, u32, void *, u32) __ksym;\n"

static void test_dynptr_functions(void **state) {
    (void)state;
    NEEDS_CLANG();
    check_c(
        C_START C_DYNPTR
        "u64 memory[8] = {1, 2, 3, 4, 5, 6, 7, 8};\n"
        "SEC(\"raw_tp/x\") int f(void *ctx) {\n"
        "  struct bpf_dynptr p, q; u64 at = 0;\n"
        "  results[0] = from_mem(memory, 64, 0, &p); results[1] = bpf_dynptr_size(&p);\n"
        "  results[2] = bpf_dynptr_adjust(&p, 8, 40); results[3] = bpf_dynptr_size(&p);\n"
        "  results[4] = bpf_dynptr_clone(&p, &q); results[5] = bpf_dynptr_adjust(&q, 33, 40);\n"
        "  results[6] = bpf_dynptr_adjust(&q, 9, 8); results[7] = bpf_dynptr_adjust(&q, 8, 33);\n"
        "  results[8] = bpf_dynptr_adjust(&q, 16, 32); results[9] = bpf_dynptr_size(&q);\n"
        "  results[10] = dynptr_read(&at, 8, &q, 8, 0); results[11] = at;\n"
        "  results[12] = dynptr_read(&at, 8, &q, 9, 0); results[13] = bpf_dynptr_is_null(&q);\n"
        "  u64 *s = bpf_dynptr_slice(&p, 16, NULL, 8); results[14] = s ? *s : 77;\n"
        "  s = bpf_dynptr_slice(&p, 32, NULL, 8); results[15] = s ? *s : 78;\n"
        "  results[16] = bpf_dynptr_is_rdonly(&p); at = 55;\n"
        "  results[17] = dynptr_write(&q, 0, &at, 8, 0); results[18] = memory[3];\n"
        "  return 0;\n}\n",
        "f", false, 2);
}

static void test_bit_iterators(void **state) {
    (void)state;
    NEEDS_CLANG();
    check_c(
        C_START
        "struct bpf_iter_bits { u64 opaque[2]; } __attribute__((aligned(8)));\n"
        "extern int bpf_iter_bits_new(struct bpf_iter_bits *, const u64 *, u32) __ksym;\n"
        "extern int *bpf_iter_bits_next(struct bpf_iter_bits *) __ksym;\n"
        "extern void bpf_iter_bits_destroy(struct bpf_iter_bits *) __ksym;\n"
        "u64 words[4] = {0x8000000000000001ull, 0, 0x10, 0xff00000000000000ull};\n"
        "static u64 sum(const u64 *at, int words, u64 *made) {\n"
        "  struct bpf_iter_bits it; int *n; u64 all = 0;\n"
        "  *made = bpf_iter_bits_new(&it, at, words);\n"
        "  while ((n = bpf_iter_bits_next(&it))) all = all * 3 + *n;\n"
        "  bpf_iter_bits_destroy(&it); return all;\n}\n"
        "SEC(\"tc\") int f(void *ctx) {\n"
        "  results[0] = sum(words, 4, &results[1]); results[2] = sum(words, 1, &results[3]);\n"
        "  results[4] = sum(words, 0, &results[5]); results[6] = sum(words + 1, 1, &results[7]);\n"
        "  results[8] = sum(words, 512, &results[9]); results[10] = sum(0, 1, &results[11]);\n"
        "  results[12] = sum(words + 1, 2, &results[13]);\n"
        "  return 0;\n}\n",
        "f", true, 2);
}

static void test_packet_dynptrs(void **state) {
    (void)state;
    NEEDS_CLANG();
    static const char *const kinds[][3] = {{"tc", "skb", "struct __sk_buff"},
                                           {"xdp", "xdp", "struct xdp_md"}};
    for (unsigned i = 0; i < 2; i++) {
        char text[8192];
        snprintf(
            text, sizeof text,
            C_START C_DYNPTR
            "struct __sk_buff { u32 len; }; struct xdp_md { u32 data; };\n"
            "extern int bpf_dynptr_from_%s(%s *, u64, struct bpf_dynptr *) __ksym;\n"
            "SEC(\"%s\") int f(void *ctx) {\n"
            "  struct bpf_dynptr p; u64 at = 0; char room[16];\n"
            "  results[0] = bpf_dynptr_from_%s(ctx, 0, &p); results[1] = bpf_dynptr_size(&p);\n"
            "  results[2] = dynptr_read(&at, 8, &p, 12, 0); results[3] = at;\n"
            "  results[4] = dynptr_read(&at, 8, &p, 57, 0); at = 0x1234;\n"
            "  results[5] = dynptr_write(&p, 20, &at, 2, 0);\n"
            "  u64 *s = bpf_dynptr_slice(&p, 16, room, 8); results[6] = s ? *s : 77;\n"
            "  s = bpf_dynptr_slice(&p, 60, room, 8); results[7] = s ? *s : 78;\n"
            "  results[8] = bpf_dynptr_is_rdonly(&p); results[9] = bpf_dynptr_adjust(&p, 14, 30);\n"
            "  results[10] = bpf_dynptr_size(&p);\n"
            "  results[11] = dynptr_read(&at, 2, &p, 6, 0); results[12] = at;\n"
            "  return 2;\n}\n",
            kinds[i][1], kinds[i][2], kinds[i][0], kinds[i][1]);
        check_c(text, "f", true, 1);
    }
}

/* ---- what the host reads and writes while programs run ---- */

static uint64_t digest;

static void add_bytes(const void *data, size_t size) {
    const uint8_t *at = data;
    digest = digest * 31 + size + 1;
    for (size_t i = 0; i < size; i++)
        digest = digest * 31 + at[i];
}

static int ring_record(void *context, void *data, size_t size) {
    (void)context;
    add_bytes(data, size);
    return 0;
}

static void perf_record(void *context, int cpu, void *data, uint32_t size) {
    (void)context, (void)cpu;
    /* Raw samples are padded so that they and their u32 size end at a multiple of 8. */
    add_bytes(data, size);
}

static uint64_t vm_digest(both *b, const char *name, uint32_t padding) {
    uint32_t cpu;
    ebpf_bytes record;
    int map = ebpf_vm_map_find(b->vm, name, (uint32_t)strlen(name));
    digest = 0;
    while (ebpf_vm_map_record(b->vm, (uint32_t)map, &cpu, &record) == 0) {
        uint8_t padded[512] = {0};
        memcpy(padded, record.data, record.size);
        size_t size = padding ? (record.size + 4 + 7) / 8 * 8 - 4 : record.size;
        add_bytes(padded, size);
    }
    return digest;
}

/* Records reach the reader in order, dropped ones do not; reading makes room. */
static void test_ring_records(void **state) {
    (void)state;
    NEEDS_CLANG();
    both b = open_c(C_START
                    "struct { __uint(type, 27); __uint(max_entries, 4096); } ring SEC(\".maps\");\n"
                    "u64 turn;\n"
                    "SEC(\"raw_tp/x\") int f(void *ctx) {\n"
                    "  for (int i = 0; i < 12; i++) {\n"
                    "    u64 *r = ring_reserve(&ring, 200, 0); turn++;\n"
                    "    if (!r) { results[0]++; continue; }\n"
                    "    for (int k = 0; k < 25; k++) r[k] = turn * k;\n"
                    "    if (turn % 3) ring_submit(r, 0); else ring_discard(r, 0);\n"
                    "  }\n"
                    "  results[1] = ring_output(&ring, results, 11, 0);\n"
                    "  results[2] = ring_output(&ring, results, 0, 0);\n"
                    "  return 0;\n}\n");
    struct ring_buffer *ring = ring_buffer__new(kernel_map(&b, "ring"), ring_record, NULL, NULL);
    assert_non_null(ring);
    for (int i = 0; i < 9; i++) {
        run_both(&b, "f", false, i % 3 + 1);
        digest = 0;
        assert_true(ring_buffer__consume(ring) >= 0);
        uint64_t want = digest;
        assert_true(want == vm_digest(&b, "ring", 0));
    }
    ring_buffer__free(ring);
    close_both(&b);
}

static void test_perf_records(void **state) {
    (void)state;
    NEEDS_CLANG();
    both b =
        open_c(C_START "struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); }\n"
                       "  events SEC(\".maps\");\nu64 data[8] = {3, 1, 4, 1, 5, 9, 2, 6};\n"
                       "SEC(\"raw_tp/x\") int f(void *ctx) {\n"
                       "  results[0] = perf_output(ctx, &events, 0xffffffff, data, 8);\n"
                       "  results[1] = perf_output(ctx, &events, 0xffffffff, data, 13);\n"
                       "  results[2] = perf_output(ctx, &events, 0xffffffff, data, 64);\n"
                       "  results[3] = perf_output(ctx, &events, 4000, data, 64);\n"
                       "  data[0]++; return 0;\n}\n");
    struct perf_buffer *events =
        perf_buffer__new(kernel_map(&b, "events"), 8, perf_record, NULL, NULL, NULL);
    assert_non_null(events);
    for (int i = 0; i < 3; i++) {
        run_both(&b, "f", false, 1);
        digest = 0;
        assert_true(perf_buffer__consume(events) >= 0);
        uint64_t want = digest;
        assert_true(want != 0);
        assert_true(want == vm_digest(&b, "events", 8));
    }
    perf_buffer__free(events);
    close_both(&b);
}

/* Programs on packets add bytes of the packet. */
static void test_perf_records_of_packets(void **state) {
    (void)state;
    NEEDS_CLANG();
    static const char *const sections[] = {"tc", "xdp"};
    for (unsigned i = 0; i < 2; i++) {
        char text[4096];
        snprintf(text, sizeof text,
                 C_START
                 "struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); }\n"
                 "  events SEC(\".maps\");\nu64 data[2] = {3, 1};\n"
                 "SEC(\"%s\") int f(void *ctx) {\n"
                 "  results[0] = perf_output(ctx, &events, 0x10ffffffffull, data, 11);\n"
                 "  results[1] = perf_output(ctx, &events, 0x40ffffffffull, data, 16);\n"
                 "  results[2] = perf_output(ctx, &events, 0x41ffffffffull, data, 16);\n"
                 "  results[3] = perf_output(ctx, &events, 0x10000010ffffffffull, data, 16);\n"
                 "  results[4] = perf_output(ctx, &events, 0xffffffffull, data, 3);\n"
                 "  return 2;\n}\n",
                 sections[i]);
        both b = open_c(text);
        struct perf_buffer *events =
            perf_buffer__new(kernel_map(&b, "events"), 8, perf_record, NULL, NULL, NULL);
        assert_non_null(events);
        run_both(&b, "f", true, 1);
        digest = 0;
        assert_true(perf_buffer__consume(events) >= 0);
        uint64_t want = digest;
        assert_true(want == vm_digest(&b, "events", 8));
        perf_buffer__free(events);
        close_both(&b);
    }
}

static void test_user_ring_buffers(void **state) {
    (void)state;
    NEEDS_CLANG();
    both b = open_c(C_START C_DYNPTR
                    "struct { __uint(type, 31); __uint(max_entries, 4096); } ring SEC(\".maps\");\n"
                    "static long (*drain)(void *, void *, void *, u64) = (void *)209;\n"
                    "static long take(struct bpf_dynptr *p, u64 *sum) {\n"
                    "  u64 value = 0; long got = dynptr_read(&value, 8, p, 4, 0);\n"
                    "  results[4] = bpf_dynptr_size(p); results[5]++;\n"
                    "  *sum = *sum * 31 + value + got; return value == 13;\n}\n"
                    "SEC(\"raw_tp/x\") int f(void *ctx) {\n"
                    "  u64 sum = 0; results[0] = drain(&ring, take, &sum, 0); results[1] = sum;\n"
                    "  results[2] = drain(&ring, take, &sum, 8); return 0;\n}\n");
    int map = ebpf_vm_map_find(b.vm, "ring", 4);
    struct user_ring_buffer *ring = user_ring_buffer__new(kernel_map(&b, "ring"), NULL);
    assert_non_null(ring);
    seed = 4711;
    for (int i = 0; i < 400; i++) {
        uint8_t sample[64];
        uint32_t size = below(2) ? 12 : below(40);
        for (uint32_t k = 0; k < sizeof sample; k++)
            sample[k] = (uint8_t)(k == 4 ? below(20) : 0);
        void *room = user_ring_buffer__reserve(ring, size);
        if (room) {
            memcpy(room, sample, size);
            user_ring_buffer__submit(ring, room);
        }
        int got = ebpf_vm_map_send(b.vm, (uint32_t)map, sample, size);
        assert_int_equal(got, room ? 0 : -ENOSPC);
        if (i > 300 || below(4) == 0)
            run_both(&b, "f", false, 1);
    }
    assert_int_equal(ebpf_vm_map_send(b.vm, (uint32_t)map, packet, 5000), -E2BIG);
    user_ring_buffer__free(ring);
    close_both(&b);
}

/* Timers fire in the kernel by themselves, in the VM when the host says so. */
static void test_timers(void **state) {
    (void)state;
    NEEDS_CLANG();
    both b = open_c(
        C_START
        "struct bpf_timer { u64 opaque[2]; } __attribute__((aligned(8)));\n"
        "struct value { u64 fired; struct bpf_timer timer; u64 after; };\n"
        "struct { __uint(type, 1); __uint(max_entries, 4); __type(key, u32);\n"
        "  __type(value, struct value); } timers SEC(\".maps\");\n"
        "static long (*init)(void *, void *, u64) = (void *)169;\n"
        "static long (*set_callback)(void *, void *) = (void *)170;\n"
        "static long (*start)(void *, u64, u64) = (void *)171;\n"
        "static long (*cancel)(void *) = (void *)172;\n"
        "static int fire(void *map, u32 *key, struct value *v) {\n"
        "  results[20 + *key % 4] += ++v->fired;\n"
        "  if (v->fired < 3) start(&v->timer, 1000, 0); else results[30] = cancel(&v->timer);\n"
        "  return 0;\n}\n"
        "SEC(\"tc\") int f(void *ctx) {\n"
        "  u32 key = 3; struct value fresh = {.after = 9}; struct value *v;\n"
        "  results[0] = update(&timers, &key, &fresh, 0);\n"
        "  if (!(v = lookup(&timers, &key))) return 1;\n"
        "  results[1] = start(&v->timer, 0, 0); results[2] = cancel(&v->timer);\n"
        "  results[3] = init(&v->timer, &timers, 5); results[4] = init(&v->timer, &timers, 1);\n"
        "  results[5] = init(&v->timer, &timers, 1); results[6] = start(&v->timer, 0, 0);\n"
        "  results[7] = set_callback(&v->timer, fire);\n"
        "  results[8] = start(&v->timer, 1000000000000ull, 0);\n"
        "  results[9] = start(&v->timer, 5, 8); results[10] = cancel(&v->timer);\n"
        "  results[11] = cancel(&v->timer); results[12] = start(&v->timer, 1000, 0); "
        "set_callback(&v->timer, fire); start(&v->timer, 50000000, 0);\n"
        "  key = 2; update(&timers, &key, &fresh, 0);\n"
        "  if (!(v = lookup(&timers, &key))) return 2;\n"
        "  results[13] = init(&v->timer, &timers, 0); set_callback(&v->timer, fire);\n"
        "  results[14] = start(&v->timer, 1000000000ull, 0);\n"
        "  results[15] = drop(&timers, &key);\n"
        "  return 0;\n}\n"
        "SEC(\"tc\") int nothing(void *ctx) { return 0; }\n");
    run_both(&b, "f", true, 1);
    usleep(300000);
    uint64_t deadline;
    int fired = 0;
    while (ebpf_vm_timer_next(b.vm, &deadline) == 0) {
        assert_int_equal(ebpf_vm_timer_start(b.vm), 0);
        assert_true(ebpf_vm_inputs_of(b.vm)->clock_ns >= deadline);
        ebpf_vm_state_of(b.vm)->budget = BUDGET;
        assert_int_equal(ebpf_vm_run(b.vm), EBPF_STOP_EXIT);
        fired++;
    }
    assert_int_equal(fired, 3);
    assert_int_equal(ebpf_vm_timer_start(b.vm), -ENOENT);
    run_both(&b, "nothing", true, 1);
    close_both(&b);
}

/* A value's lock and timer are not overwritten by an update, nor shown to the host. */
static void test_special_fields(void **state) {
    (void)state;
    NEEDS_CLANG();
    both b = open_c(
        C_START
        "struct bpf_spin_lock { u32 val; };\n"
        "struct value { u32 before; struct bpf_spin_lock lock; u64 after; };\n"
        "struct { __uint(type, 2); __uint(max_entries, 2); __type(key, u32);\n"
        "  __type(value, struct value); } m SEC(\".maps\");\n"
        "struct { __uint(type, 1); __uint(max_entries, 2); __type(key, u32);\n"
        "  __type(value, struct value); } h SEC(\".maps\");\n"
        "static long (*lock)(void *) = (void *)93; static long (*unlock)(void *) = (void *)94;\n"
        "static void work(void *map) {\n"
        "  u32 key = 1; struct value mine = {1, {7}, 2}; struct value *v;\n"
        "  results[0] += update(map, &key, &mine, 0); results[1] += update(map, &key, &mine, 4);\n"
        "  if (!(v = lookup(map, &key))) return;\n"
        "  lock(&v->lock); v->before += 5; v->after *= 3; unlock(&v->lock);\n"
        "  results[2] += v->before + v->after;\n}\n"
        "SEC(\"tc\") int f(void *ctx) { work(&m); work(&h); return 0; }\n");
    run_both(&b, "f", true, 2);
    const char *const names[] = {"m", "h"};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t key = 1, mine[4] = {9, 9, 9, 9}, theirs[4] = {8, 8, 8, 8};
        int map = ebpf_vm_map_find(b.vm, names[i], 1);
        for (int flags = 0; flags < 8; flags += 4) {
            assert_int_equal(
                in_kernel(kernel_map(&b, names[i]), UPDATE, &key, mine, (uint64_t)flags),
                in_vm(b.vm, (uint32_t)map, UPDATE, &key, mine, (uint64_t)flags));
            in_kernel(kernel_map(&b, names[i]), LOOKUP, &key, theirs, 0);
            in_vm(b.vm, (uint32_t)map, LOOKUP, &key, mine, 0);
            assert_memory_equal(mine, theirs, sizeof mine);
        }
        run_both(&b, "f", true, 1);
    }
    close_both(&b);
}

static void test_task_storage(void **state) {
    (void)state;
    NEEDS_CLANG();
    both b = open_c(C_START
                    "struct task_struct;\n"
                    "struct { __uint(type, 29); __uint(map_flags, 1); __type(key, int);\n"
                    "  __type(value, u64); } storage SEC(\".maps\");\n"
                    "static struct task_struct *(*current)(void) = (void *)158;\n"
                    "static u64 *(*get)(void *, struct task_struct *, u64 *, u64) = (void *)156;\n"
                    "static long (*forget)(void *, struct task_struct *) = (void *)157;\n"
                    "SEC(\"raw_tp/x\") int f(void *ctx) {\n"
                    "  struct task_struct *t = current(); u64 five = 5;\n"
                    "  u64 *v = get(&storage, t, 0, 0); results[0] = v ? *v : 99;\n"
                    "  v = get(&storage, t, &five, 1); if (v) results[1] = ++*v;\n"
                    "  v = get(&storage, t, 0, 1); if (v) results[2] = ++*v;\n"
                    "  v = get(&storage, t, 0, 2); results[3] = v != 0;\n"
                    "  if (results[2] > 10) { results[4] = forget(&storage, t); results[5] = "
                    "forget(&storage, t); }\n"
                    "  return 0;\n}\n");
    ebpf_vm_inputs_of(b.vm)->task_low = 0x1000;
    ebpf_vm_inputs_of(b.vm)->task_high = 0x77;
    run_both(&b, "f", false, 6);
    close_both(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_host_operations),
                                       cmocka_unit_test(test_values_after_changes),
                                       cmocka_unit_test(test_queues),
                                       cmocka_unit_test(test_ring_buffer),
                                       cmocka_unit_test(test_ring_limits),
                                       cmocka_unit_test(test_dynptrs),
                                       cmocka_unit_test(test_tail_calls),
                                       cmocka_unit_test(test_tail_calls_from_functions),
                                       cmocka_unit_test(test_loops),
                                       cmocka_unit_test(test_for_each),
                                       cmocka_unit_test(test_numbers_from_text),
                                       cmocka_unit_test(test_text_from_numbers),
                                       cmocka_unit_test(test_checksums),
                                       cmocka_unit_test(test_perf_events_without_reader),
                                       cmocka_unit_test(test_redirect_map),
                                       cmocka_unit_test(test_maps_of_maps),
                                       cmocka_unit_test(test_program_arrays_from_the_object),
                                       cmocka_unit_test(test_numeric_iterators),
                                       cmocka_unit_test(test_dynptr_functions),
                                       cmocka_unit_test(test_bit_iterators),
                                       cmocka_unit_test(test_packet_dynptrs),
                                       cmocka_unit_test(test_ring_records),
                                       cmocka_unit_test(test_perf_records),
                                       cmocka_unit_test(test_perf_records_of_packets),
                                       cmocka_unit_test(test_user_ring_buffers),
                                       cmocka_unit_test(test_timers),
                                       cmocka_unit_test(test_special_fields),
                                       cmocka_unit_test(test_task_storage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
