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

static int kernel_map(both *b, const char *name) {
    for (size_t i = 0; i < kb_object_map_count(b->object); i++) {
        struct kb_map_info info;
        if (kb_object_map_info(b->object, i, &info) == 0 &&
            strcmp(info.name + (strlen(info.name) - strlen(name)) * (*name == '.'), name) == 0)
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

static uint8_t packet[64];

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

static sight see_vm(both *b, const char *program) {
    sight s = {0};
    ebpf_vm_state *state = ebpf_vm_state_of(b->vm);
    int index = ebpf_vm_program_find(b->vm, program, (uint32_t)strlen(program));
    assert_true(index >= 0);
    uint8_t context[192] = {0};
    assert_int_equal(ebpf_vm_start(b->vm, (uint32_t)index, context, sizeof context, 0), EBPF_OK);
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
        sight want = see_kernel(b, program, with_packet), got = see_vm(b, program);
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
        sight got = see_vm(&b, "f");
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_host_operations),
                                       cmocka_unit_test(test_values_after_changes),
                                       cmocka_unit_test(test_queues),
                                       cmocka_unit_test(test_ring_buffer),
                                       cmocka_unit_test(test_dynptrs),
                                       cmocka_unit_test(test_tail_calls),
                                       cmocka_unit_test(test_tail_calls_from_functions),
                                       cmocka_unit_test(test_loops),
                                       cmocka_unit_test(test_for_each),
                                       cmocka_unit_test(test_numbers_from_text),
                                       cmocka_unit_test(test_text_from_numbers),
                                       cmocka_unit_test(test_checksums),
                                       cmocka_unit_test(test_perf_events_without_reader),
                                       cmocka_unit_test(test_redirect_map)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
