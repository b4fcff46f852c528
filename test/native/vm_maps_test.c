/* vm_maps_test.c - the VM's map types, callbacks, timers and kernel functions by themselves: what
 * the host may do, what faults, and that single steps and budgets cut callbacks as anything else.
 * vm_kernel_test.c has the kernel's word on the same. */
#include "machine.h"

#include "kinds.h"

#define PUT(key, value)                                                                            \
    "*(u32 *)(r10 - 4) = " #key "\n*(u64 *)(r10 - 16) = " #value                                   \
    "\nr1 = m ll\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -16\nr4 = 0\ncall 2\n"
#define LOOK(key) "*(u32 *)(r10 - 4) = " #key "\nr1 = m ll\nr2 = r10\nr2 += -4\ncall 1\n"

static int update(machine *m, uint32_t key, uint64_t value) {
    return ebpf_vm_map_update(m->vm, 0, &key, &value, 0);
}

static void expect_stop(machine *m, enum ebpf_fault reason, const char *words) {
    assert_int_equal(run(m, NULL, 0, 0), EBPF_STOP_FAULT);
    const char *all = diagnostics(m->ctx);
    if (ebpf_vm_fault_of(m->vm)->reason != reason || !strstr(all, words))
        fail_msg("reason %u, wanted %u and '%s': %s", ebpf_vm_fault_of(m->vm)->reason, reason,
                 words, all);
}

/* ---- definitions ---- */

static const struct {
    map_shape shape;
    const char *words;
} refused[] = {
    {{EB_MAP_STRUCT_OPS, 4, 4, 1, 0}, "(struct_ops) are not simulated"},
    {{EB_MAP_LPM_TRIE, 8, 8, 1, 0}, "must have BPF_F_NO_PREALLOC"},
    {{EB_MAP_LPM_TRIE, 4, 8, 1, 1}, "a 4-byte length and 1 to 256 bytes"},
    {{EB_MAP_LPM_TRIE, 261, 8, 1, 1}, "a 4-byte length and 1 to 256 bytes"},
    {{EB_MAP_LPM_TRIE, 8, 8, 1 << 30, 1}, "2 GiB"},
    {{EB_MAP_QUEUE, 4, 8, 1, 0}, "key_size must be 0"},
    {{EB_MAP_QUEUE, 0, 0, 1, 0}, "value_size must not be 0"},
    {{EB_MAP_STACK, 0, 8, UINT32_MAX, 0}, "2 GiB"},
    {{EB_MAP_BLOOM_FILTER, 0, 8, UINT32_MAX, 0}, "more than 2^31 bits"},
    {{EB_MAP_RINGBUF, 4, 0, 4096, 0}, "neither keys nor values"},
    {{EB_MAP_RINGBUF, 0, 0, 1u << 30, 0}, "larger than 512 MiB"},
    {{EB_MAP_PROG_ARRAY, 4, 8, 1, 0}, "its value has 4 bytes"},
    {{EB_MAP_DEVMAP, 4, 16, 1, 0}, "its value has 4 or 8 bytes"},
    {{EB_MAP_STACK_TRACE, 4, 12, 1, 0}, "has 8 bytes (with"},
    {{EB_MAP_TASK_STORAGE, 4, 8, 5, 1}, "max_entries must be 0"},
    {{EB_MAP_HASH, 4, 8, 1, 0x180}, "neither read nor write"},
    {{EB_MAP_ARRAY, 4, 8, 1, 1}, "map_flags 0x1 does not go with type array"},
    {{EB_MAP_LRU_HASH, 4, 8, 1, 1}, "cannot have BPF_F_NO_PREALLOC"},
};

static void test_refused_definitions(void **state) {
    (void)state;
    for (unsigned i = 0; i < sizeof refused / sizeof *refused; i++) {
        machine m;
        assert_int_equal(load_with_map(&m, "exit", refused[i].shape, 0), EBPF_E_INPUT);
        if (!strstr(diagnostics(m.ctx), refused[i].words))
            fail_msg("%u: %s", i, diagnostics(m.ctx));
        unload(&m);
    }
}

/* ---- values that were looked up ---- */

/* The value of a deleted entry can be read to the run's end, not in the next run. */
static void test_deleted_values(void **state) {
    (void)state;
    machine m = with_map("if r1 != 0 goto stale\n" PUT(1, 42)
                             LOOK(1) "r6 = r0\nr1 = m ll\nr2 = r10\nr2 += -4\ncall 3\n"
                                     "r0 = *(u64 *)(r6 + 0)\n*(u64 *)(r6 + 0) = 43\n"
                                     "r0 = *(u64 *)(r6 + 0)\nexit\n"
                                     "stale:\nr1 = *(u64 *)(r1 + 0)\nr0 = *(u64 *)(r1 + 0)\nexit",
                         (map_shape){EB_MAP_HASH, 4, 8, 4, 0}, 0);
    assert_int_equal(result(&m, NULL, 0), 43);
    uint64_t address = m.state->reg[6];
    assert_int_equal(run(&m, &address, 8, 0), EBPF_STOP_FAULT);
    assert_int_equal(ebpf_vm_fault_of(m.vm)->reason, EBPF_FAULT_FREED);
    assert_non_null(
        strstr(diagnostics(m.ctx), "a value of map 'm' (8 bytes) that has been deleted"));
    unload(&m);
}

/* An update puts a new value in the old one's place: a pointer to the old one does not see it. */
static void test_replaced_values(void **state) {
    (void)state;
    machine m = with_map(PUT(1, 10) LOOK(1) "r6 = r0\n" PUT(1, 20)
                             LOOK(1) "r7 = *(u64 *)(r6 + 0)\n"
                                     "r0 = *(u64 *)(r0 + 0)\nr7 *= 100\nr0 += r7\nexit",
                         (map_shape){EB_MAP_HASH, 4, 8, 4, 0}, 0);
    assert_int_equal(result(&m, NULL, 0), 1020);
    unload(&m);
}

/* A spare entry given as value and key of an update is copied before it is overwritten. */
static void test_update_from_own_memory(void **state) {
    (void)state;
    machine m = with_map(
        PUT(1, 7)
            LOOK(1) "r6 = r0\n" PUT(1, 8) "r1 = m ll\nr2 = r6\nr3 = r6\nr4 = 0\ncall 2\n" LOOK(
                7) "if r0 == 0 goto no\nr0 = *(u64 *)(r0 + 0)\nno:\nexit",
        (map_shape){EB_MAP_HASH, 4, 8, 4, 0}, 0);
    assert_int_equal(result(&m, NULL, 0), 7);
    unload(&m);
}

/* Without a flag the host sees entries as they were inserted, whatever was updated since. */
static void test_order_of_insertion(void **state) {
    (void)state;
    machine m = with_map("exit", (map_shape){EB_MAP_HASH, 4, 8, 200, 0}, 0);
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(update(&m, i * 77 % 200, i), 0);
    for (uint32_t i = 0; i < 200; i += 3)
        assert_int_equal(update(&m, i * 77 % 200, i), 0);
    uint32_t key = 0, seen = 0;
    for (int status = ebpf_vm_map_next(m.vm, 0, NULL, &key); status == 0;
         status = ebpf_vm_map_next(m.vm, 0, &key, &key))
        assert_int_equal(key, seen++ * 77 % 200);
    assert_int_equal(seen, 200);
    unload(&m);
}

/* ---- rings ---- */

#define RESERVE(size) "r1 = m ll\nr2 = " #size "\nr3 = 0\ncall 131\nr6 = r0\n"

static const struct {
    const char *text;
    uint32_t reason;
    const char *words;
} ring_faults[] = {
    {RESERVE(16) "*(u64 *)(r6 + 12) = 1\nexit", EBPF_FAULT_BOUNDS,
     "it ends 4 bytes behind a record of ring buffer 'm'"},
    {RESERVE(16) "*(u64 *)(r6 + 16) = 1\nexit", EBPF_FAULT_FREED, "does not hold a record"},
    {RESERVE(16) "r0 = *(u32 *)(r6 - 8)\nexit", EBPF_FAULT_FREED, "does not hold a record"},
    {RESERVE(16) "r1 = r6\nr2 = 0\ncall 132\n*(u8 *)(r6 + 0) = 1\nexit", EBPF_FAULT_FREED,
     "the program does not hold a record of ring buffer 'm' there"},
    {RESERVE(16) "*(u8 *)(r6 + 0) = 1\nr1 = r6\nr2 = 0\ncall 133\n*(u8 *)(r6 + 0) = 1\nexit",
     EBPF_FAULT_FREED, "does not hold"},
    {RESERVE(16) "r1 = r6\nr2 = 0\ncall 132\nr1 = r6\nr2 = 0\ncall 132\nexit", EBPF_FAULT_HELPER,
     "ringbuf_submit: 0x"},
    {RESERVE(16) "r1 = r6\nr1 += 8\nr2 = 0\ncall 132\nexit", EBPF_FAULT_HELPER, "is no record"},
    {"r1 = r10\nr2 = 0\ncall 133\nexit", EBPF_FAULT_HELPER, "ringbuf_discard: 0x"},
    {"r1 = m ll\nr2 = r10\nr2 += -8\ncall 1\nexit", EBPF_FAULT_HELPER,
     "map_lookup_elem: programs cannot do that to map 'm' of type ringbuf"},
};

static void test_ring_faults(void **state) {
    (void)state;
    for (unsigned i = 0; i < sizeof ring_faults / sizeof *ring_faults; i++) {
        machine m = with_map(ring_faults[i].text, (map_shape){EB_MAP_RINGBUF, 0, 0, 4096, 0}, 0);
        expect_stop(&m, ring_faults[i].reason, ring_faults[i].words);
        unload(&m);
    }
}

/* Records wrap around the ring's end in one piece; a full ring counts what it loses. */
static void test_ring_wraps(void **state) {
    (void)state;
    machine m = with_map("r7 = *(u32 *)(r1 + 0)\n" RESERVE(1000) "if r6 == 0 goto full\n"
                                                                 "*(u64 *)(r6 + 992) = r7\n"
                                                                 "r1 = r6\nr2 = 0\ncall 132\n"
                                                                 "full:\nr0 = r6\nexit",
                         (map_shape){EB_MAP_RINGBUF, 0, 0, 3000, 0}, 0);
    ebpf_vm_map info;
    ebpf_vm_map_info(m.vm, 0, &info);
    assert_int_equal(info.max_entries, 4096); /* as libbpf rounds it */
    uint32_t cpu, read = 0;
    ebpf_bytes record;
    for (uint32_t i = 0; i < 50; i++) {
        result(&m, &i, sizeof i);
        if (i % 4 < 2)
            continue;
        assert_int_equal(ebpf_vm_map_record(m.vm, 0, &cpu, &record), 0);
        assert_int_equal(record.size, 1000);
        assert_true(eb_get64((const uint8_t *)record.data + 992, false) <= i);
        read++;
    }
    ebpf_vm_map_info(m.vm, 0, &info);
    assert_int_equal(info.count + info.lost + read, 50);
    assert_true(info.lost > 0);
    while (ebpf_vm_map_record(m.vm, 0, &cpu, &record) == 0)
        read++;
    assert_int_equal(read + info.lost, 50);
    assert_int_equal(ebpf_vm_map_send(m.vm, 0, &cpu, 4), -EBPF_EINVAL);
    unload(&m);
}

/* Perf records wait until they are read; a buffer that is full or closed says so. */
static void test_perf_buffer(void **state) {
    (void)state;
    machine m =
        with_map("r6 = r1\nr2 = m ll\nr3 = 0xffffffff ll\nr4 = r6\nr5 = 60000\ncall 25\nexit",
                 (map_shape){EB_MAP_PERF_EVENT_ARRAY, 4, 4, 0, 0}, 2);
    static uint8_t mem[60000];
    uint32_t cpu, key = 0, value = 1, rounds;
    ebpf_bytes record;
    for (rounds = 0; (int64_t)result(&m, mem, sizeof mem) == 0; rounds++)
        mem[5] = (uint8_t)(rounds + 1);
    assert_int_equal(rounds, 17); /* 1 MiB */
    assert_int_equal(m.state->reg[0], (uint64_t)-EBPF_ENOSPC);
    m.inputs->cpu = 1;
    for (uint32_t i = 0; i < 100; i++) { /* reading makes room */
        assert_int_equal(ebpf_vm_map_record(m.vm, 0, &cpu, &record), 0);
        assert_int_equal(record.size, sizeof mem);
        assert_int_equal(((const uint8_t *)record.data)[5], (uint8_t)i);
        assert_int_equal(cpu, i >= rounds);
        mem[5] = (uint8_t)(rounds + i);
        assert_int_equal(result(&m, mem, sizeof mem), 0);
    }
    ebpf_vm_map info;
    ebpf_vm_map_info(m.vm, 0, &info);
    assert_int_equal(info.lost, 1);
    assert_int_equal(info.max_entries, 2);
    key = 1;
    assert_int_equal(ebpf_vm_map_delete(m.vm, 0, &key), 0);
    assert_int_equal(result(&m, mem, sizeof mem), (uint64_t)-EBPF_ENOENT);
    assert_int_equal(ebpf_vm_map_update(m.vm, 0, &key, &value, 0), 0);
    assert_int_equal(ebpf_vm_map_record(m.vm, 0, &cpu, &record), 0);
    assert_int_equal(result(&m, mem, sizeof mem), 0);
    unload(&m);
}

/* ---- callbacks ---- */

static const char walking[] =
    ".text\nf:\n"
    "*(u64 *)(r10 - 24) = 0\nr6 = 6\nr7 = 7\n"
    "r1 = 5\nr2 = each ll\nr3 = r10\nr3 += -24\nr4 = 0\ncall 181\nr8 = r0\n"
    "r1 = m ll\nr2 = entry ll\nr3 = r10\nr3 += -24\nr4 = 0\ncall 164\n"
    "r8 += r0\nr8 += r6\nr8 += r7\nr0 = *(u64 *)(r10 - 24)\nr0 *= 1000\nr0 += r8\nexit\n"
    ".type each,@function\neach:\nr6 = 1\nr3 = *(u64 *)(r2 + 0)\nr3 += r1\n"
    "*(u64 *)(r2 + 0) = r3\nr0 = 0\nexit\n"
    ".type entry,@function\nentry:\nr6 = r4\nr7 = 0\nr1 = *(u64 *)(r3 + 0)\n"
    "r5 = *(u64 *)(r6 + 0)\nr5 += r1\nr2 = *(u32 *)(r2 + 0)\nr5 += r2\n*(u64 *)(r6 + 0) = r5\n"
    "r1 = 2\nr2 = each ll\nr3 = r6\nr4 = 0\ncall 181\nr0 = 0\nexit\n";

/* However the budget is cut, and by single steps, callbacks do the same. */
static void test_callbacks_in_pieces(void **state) {
    (void)state;
    machine m = with_map(walking, (map_shape){EB_MAP_ARRAY, 4, 8, 4, 0}, 0);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(update(&m, i, i * 10), 0);
    /* 0+1+2+3+4, 60 of values, 6 of keys, 1 for each entry; 5 + 4 visits, r6, r7 */
    uint64_t want = (10 + 60 + 6 + 4) * 1000 + 9 + 13;
    assert_int_equal(result(&m, NULL, 0), want);
    uint64_t total = m.state->executed;
    uint32_t program = (uint32_t)ebpf_vm_program_find(m.vm, "", 0);
    for (uint64_t cut = 1; cut < 40; cut++) {
        assert_int_equal(ebpf_vm_start(m.vm, program, NULL, 0, 0), EBPF_OK);
        int stop = EBPF_STOP_BUDGET;
        while (stop == EBPF_STOP_BUDGET) {
            m.state->budget = cut;
            stop = cut == 39 ? ebpf_vm_step(m.vm) : ebpf_vm_run(m.vm);
        }
        if (stop != EBPF_STOP_EXIT)
            fail_msg("cut %u: %s", (unsigned)cut, diagnostics(m.ctx));
        assert_int_equal(m.state->reg[0], want);
        assert_int_equal(m.state->executed, total);
    }
    unload(&m);
}

static void test_callback_limits(void **state) {
    (void)state;
    machine m = load(".text\nf:\nr1 = 1\nr2 = again ll\nr3 = 0\nr4 = 0\ncall 181\nexit\n"
                     ".type again,@function\nagain:\nr1 = 1\nr2 = again ll\nr3 = 0\nr4 = 0\n"
                     "call 181\nr0 = 0\nexit\n");
    expect_stop(&m, EBPF_FAULT_DEPTH, "this callback would be the 8th call inside each other");
    assert_non_null(strstr(diagnostics(m.ctx), "called from instruction 5 of section '.text'"));
    unload(&m);
    m = load(".text\nf:\nr1 = 5\nr2 = r10\nr3 = 0\nr4 = 0\ncall 181\nexit\n");
    expect_stop(&m, EBPF_FAULT_JUMP, "is no function's address");
    unload(&m);
    m = load(".text\nf:\nr1 = 100000\nr2 = g ll\nr3 = 0\nr4 = 0\ncall 181\nexit\n"
             ".type g,@function\ng:\nr0 = 0\nexit\n");
    assert_int_equal(run(&m, NULL, 0, 0), EBPF_STOP_BUDGET);
    assert_int_equal(m.state->executed, BUDGET);
    m.state->budget = 2 * BUDGET;
    assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_EXIT);
    assert_int_equal(m.state->reg[0], 100000);
    unload(&m);
}

/* What a walk has not reached may go, come and change; it ends. */
static void test_walks_while_changing(void **state) {
    (void)state;
    machine m = with_map(
        ".text\nf:\n*(u64 *)(r10 - 8) = 0\nr1 = m ll\nr2 = g ll\nr3 = r10\nr3 += -8\nr4 = 0\n"
        "call 164\nr6 = *(u64 *)(r10 - 8)\nr6 *= 100\nr0 += r6\nexit\n"
        ".type g,@function\n"
        /* Delete the next two keys, and note this one. */
        "g:\nr5 = *(u64 *)(r4 + 0)\nr6 = *(u32 *)(r2 + 0)\nr5 += r6\n*(u64 *)(r4 + 0) = r5\n"
        "r6 += 1\n*(u32 *)(r10 - 4) = r6\nr1 = m ll\nr2 = r10\nr2 += -4\ncall 3\n"
        "r6 += 1\n*(u32 *)(r10 - 4) = r6\nr1 = m ll\nr2 = r10\nr2 += -4\ncall 3\nr0 = 0\nexit\n",
        (map_shape){EB_MAP_HASH, 4, 8, 10, 0}, 0);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(update(&m, i, i), 0);
    assert_int_equal(result(&m, NULL, 0), (0 + 3 + 6 + 9) * 100 + 4);
    ebpf_vm_map info;
    ebpf_vm_map_info(m.vm, 0, &info);
    assert_int_equal(info.count, 4);
    unload(&m);
}

/* ---- tail calls ---- */

static void test_tail_call_faults(void **state) {
    (void)state;
    machine m = with_map("r2 = m ll\nr3 = 0\ncall 12\nr0 = 5\nexit",
                         (map_shape){EB_MAP_ARRAY, 4, 4, 1, 0}, 0);
    expect_stop(&m, EBPF_FAULT_HELPER, "tail_call: programs cannot do that to map 'm'");
    unload(&m);
    m = with_map("r0 = 1\nr2 = m ll\nr3 = 0\ncall 12\nr0 = 5\nexit",
                 (map_shape){EB_MAP_PROG_ARRAY, 4, 4, 1, 0}, 0);
    assert_int_equal(result(&m, NULL, 0), 5);
    uint32_t key = 0, program = 1;
    assert_int_equal(ebpf_vm_map_update(m.vm, 0, &key, &program, 0), -EBPF_EBADF);
    program = 0;
    assert_int_equal(ebpf_vm_map_lookup(m.vm, 0, &key, &program), -EBPF_ENOENT);
    assert_int_equal(ebpf_vm_map_update(m.vm, 0, &key, &program, 0), 0);
    assert_int_equal(result(&m, NULL, 0), 5); /* after 33 calls of itself */
    assert_int_equal(m.state->executed, 34 * 4 + 2);
    assert_int_equal(ebpf_vm_map_delete(m.vm, 0, &key), 0);
    assert_int_equal(ebpf_vm_map_delete(m.vm, 0, &key), -EBPF_ENOENT);
    unload(&m);
}

/* ---- maps of maps ---- */

static void test_inner_maps(void **state) {
    (void)state;
    machine m = {.ctx = ebpf_ctx_new(0)};
    ebpf_object *obj = assemble(
        m.ctx,
        "*(u32 *)(r10 - 4) = 1\nr1 = m ll\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto out\n"
        "r1 = r0\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 + 0)\n"
        "out:\nexit",
        EBPF_LITTLE);
    uint32_t symbol = 1;
    while (!eb_str_is(obj->symbols.at[symbol].name, "m"))
        symbol++;
    eb_map_def outer = {.name = EB_STR("m"),
                        .symbol = symbol,
                        .type = EB_MAP_ARRAY_OF_MAPS,
                        .key_size = 4,
                        .value_size = 4,
                        .max_entries = 2,
                        .inner = 3};
    eb_map_def other = {.name = EB_STR("other"),
                        .type = EB_MAP_ARRAY,
                        .key_size = 4,
                        .value_size = 4,
                        .max_entries = 3};
    eb_map_def inner = {.name = EB_STR("m.inner"),
                        .type = EB_MAP_HASH,
                        .key_size = 4,
                        .value_size = 8,
                        .max_entries = 3};
    *EB_PUSH(&m.ctx->arena, &obj->maps) = outer;
    *EB_PUSH(&m.ctx->arena, &obj->maps) = other;
    *EB_PUSH(&m.ctx->arena, &obj->maps) = inner;
    assert_int_equal(ebpf_vm_new(m.ctx, obj, 0, &m.vm), EBPF_OK);
    m.state = ebpf_vm_state_of(m.vm);
    assert_int_equal(ebpf_vm_map_count(m.vm), 2); /* the shape is no map */
    assert_int_equal(result(&m, NULL, 0), 0);
    uint32_t key = 1, value = 1;
    assert_int_equal(ebpf_vm_map_update(m.vm, 0, &key, &value, 0),
                     -EBPF_EINVAL); /* another shape */
    value = 2;
    assert_int_equal(ebpf_vm_map_update(m.vm, 0, &key, &value, 0), -EBPF_EBADF);
    assert_int_equal(ebpf_vm_map_new_inner(m.vm, 1), EBPF_E_ARG);
    for (uint32_t i = 2; i < 20; i++) {
        assert_int_equal(ebpf_vm_map_new_inner(m.vm, 0), (int)i);
        uint64_t content = 100 + i;
        assert_int_equal(ebpf_vm_map_update(m.vm, i, &key, &content, 0), 0);
        assert_int_equal(ebpf_vm_map_update(m.vm, 0, &key, &i, 0), 0);
        assert_int_equal(result(&m, NULL, 0), content);
        assert_int_equal(ebpf_vm_map_lookup(m.vm, 0, &key, &value), 0);
        assert_int_equal(value, i);
    }
    unload(&m);
}

/* ---- kernel functions ---- */

/* One that the VM has not is the host's, by name. */
static void test_foreign_functions(void **state) {
    (void)state;
    machine m = load(".section xdp,\"ax\",@progbits\n.globl f\n.type f,@function\nf:\n"
                     "r1 = 6\ncall bpf_unheard_of\nr6 = r0\ncall bpf_other\nr0 += r6\n"
                     "call bpf_unheard_of\nexit\n.globl bpf_unheard_of\n.globl bpf_other\n");
    assert_int_equal(run(&m, NULL, 0, 0), EBPF_STOP_HELPER);
    assert_string_equal(ebpf_vm_helper_name(m.vm, m.state->helper), "bpf_unheard_of");
    uint32_t first = m.state->helper;
    assert_int_equal(m.state->reg[1], 6);
    m.state->reg[0] = 30;
    assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_HELPER);
    assert_string_equal(ebpf_vm_helper_name(m.vm, m.state->helper), "bpf_other");
    m.state->reg[0] = 12;
    assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_HELPER);
    assert_int_equal(m.state->helper, first);
    m.state->reg[0]++;
    assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_EXIT);
    assert_int_equal(m.state->reg[0], 43);
    assert_string_equal(ebpf_vm_helper_name(m.vm, 1), "map_lookup_elem");
    assert_null(ebpf_vm_helper_name(m.vm, first + 2));
    unload(&m);
}

static const struct {
    const char *text; /* strings a = "hello", b = "world hello", both in .rodata */
    int64_t want;
} strings[] = {
    {"r1 = a ll\nr2 = a ll\ncall bpf_strcmp\nexit", 0},
    {"r1 = a ll\nr2 = b ll\ncall bpf_strcmp\nexit", -1},
    {"r1 = b ll\nr2 = a ll\ncall bpf_strcmp\nexit", 1},
    {"r1 = b ll\ncall bpf_strlen\nexit", 11},
    {"r1 = b ll\nr2 = 4\ncall bpf_strnlen\nexit", 4},
    {"r1 = a ll\nr2 = 40\ncall bpf_strnlen\nexit", 5},
    {"r1 = b ll\nr2 = 108\ncall bpf_strchr\nexit", 3},
    {"r1 = b ll\nr2 = 108\ncall bpf_strrchr\nexit", 9},
    {"r1 = b ll\nr2 = 0\ncall bpf_strchr\nexit", 11},
    {"r1 = b ll\nr2 = 122\ncall bpf_strchr\nexit", -EBPF_ENOENT},
    {"r1 = b ll\nr2 = a ll\ncall bpf_strstr\nexit", 6},
    {"r1 = a ll\nr2 = b ll\ncall bpf_strstr\nexit", -EBPF_ENOENT},
    {"r1 = 0\nr2 = b ll\ncall bpf_strcmp\nexit", -EBPF_EFAULT},
    {"r1 = 0\ncall bpf_strlen\nexit", -EBPF_EFAULT},
};

static void test_string_functions(void **state) {
    (void)state;
    for (unsigned i = 0; i < sizeof strings / sizeof *strings; i++) {
        char text[1024];
        snprintf(
            text, sizeof text,
            ".section .rodata,\"a\",@progbits\na: .asciz \"hello\"\nb: .asciz \"world hello\"\n"
            ".text\n%s\n.globl bpf_strcmp\n.globl bpf_strlen\n",
            strings[i].text);
        assert_int_equal((int64_t)result_of(text), strings[i].want);
    }
}

/* ---- the rest ---- */

static void test_lock_twice(void **state) {
    (void)state;
    machine m = load("r1 = r10\nr1 += -8\ncall 93\nr1 = r10\nr1 += -8\ncall 93\nexit");
    expect_stop(&m, EBPF_FAULT_HELPER, "this lock is held already");
    unload(&m);
}

/* A forged dynptr leads nowhere else than a pointer of the program does. */
static void test_forged_dynptr(void **state) {
    (void)state;
    machine m = load("r1 = 0x1234567800000000 ll\n*(u64 *)(r10 - 16) = r1\nr1 = 0x00ffffff ll\n"
                     "*(u64 *)(r10 - 8) = r1\nr1 = r10\nr1 += -32\nr2 = 8\nr3 = r10\nr3 += -16\n"
                     "r4 = 0\nr5 = 0\ncall 201\nexit");
    expect_stop(&m, EBPF_FAULT_UNMAPPED, "dynptr_read: read of 8 bytes");
    unload(&m);
}

/* Timer numbers in values are the program's to forge; an address that is no timer's is none. */
static void test_forged_timer(void **state) {
    (void)state;
    machine m =
        with_map(LOOK(0) "r6 = r0\n*(u64 *)(r6 + 0) = 1\nr1 = r6\nr2 = 5\nr3 = 0\ncall 171\n"
                         "r7 = r0\nr1 = r10\nr1 += -16\nr2 = m ll\nr3 = 1\ncall 169\nexit",
                 (map_shape){EB_MAP_ARRAY, 4, 16, 1, 0}, 0);
    expect_stop(&m, EBPF_FAULT_HELPER, "the timer is in no value of map 'm'");
    assert_int_equal((int64_t)m.state->reg[7], -EBPF_EINVAL);
    uint64_t deadline;
    assert_int_equal(ebpf_vm_timer_next(m.vm, &deadline), -EBPF_ENOENT);
    unload(&m);
}

static void test_effects(void **state) {
    (void)state;
    machine m = load(
        "r1 = 9\ncall 109\nr1 = 10\ncall 117\nr1 = 0\nr2 = -12\ncall 58\ncall 58\nr0 = 0\nexit");
    result(&m, NULL, 0);
    const ebpf_vm_effects *effects = ebpf_vm_effects_of(m.vm);
    assert_int_equal(effects->signal, 10);
    assert_int_equal(effects->signals, 1);
    assert_int_equal(effects->signals_thread, 1);
    assert_int_equal((int64_t)effects->override_value, -12);
    assert_int_equal(effects->overrides, 2);
    assert_int_equal(ebpf_vm_start(m.vm, 0, NULL, 0, 0), EBPF_OK);
    assert_int_equal(effects->overrides, 0);
    unload(&m);
}

/* One address is all that is known of the stack. */
static void test_stack_traces(void **state) {
    (void)state;
    machine m = with_map("r2 = m ll\nr3 = 0\ncall 27\nexit",
                         (map_shape){EB_MAP_STACK_TRACE, 4, 80, 100, 0}, 0);
    assert_int_equal(result(&m, NULL, 0), (uint64_t)-EBPF_EFAULT);
    m.inputs->func_ip = 0xffffffff81234567;
    uint32_t id = (uint32_t)result(&m, NULL, 0), next;
    uint64_t trace[10];
    assert_int_equal(ebpf_vm_map_lookup(m.vm, 0, &id, trace), 0);
    assert_true(trace[0] == m.inputs->func_ip && trace[1] == 0);
    assert_int_equal(ebpf_vm_map_next(m.vm, 0, NULL, &next), 0);
    assert_int_equal(next, id);
    assert_int_equal(ebpf_vm_map_next(m.vm, 0, &id, &next), -EBPF_ENOENT);
    assert_int_equal(ebpf_vm_map_update(m.vm, 0, &id, trace, 0), -EBPF_EINVAL);
    assert_int_equal(ebpf_vm_map_delete(m.vm, 0, &id), 0);
    unload(&m);
}

/* A list in an arena, whose nodes are found by the host in the form that is stored. */
static void arena_case(const char *extra, uint64_t start) {
    char text[2048];
    snprintf(text, sizeof text,
             ".map m, type=arena, max_entries=10, map_flags=1024%s\n"
             ".section .addr_space.1,\"aw\",@progbits\n.globl head\nhead: .quad 0\n"
             ".section syscall,\"ax\",@progbits\n.globl f\n.type f,@function\nf:\nr6 = 3\n"
             "again:\nr1 = m ll\nr2 = 0\nr3 = 2\nr4 = -1\nr5 = 0\ncall bpf_arena_alloc_pages\n"
             "if r0 == 0 goto full\nr1 = addr_space_cast(r0, 0, 1)\n"
             "r2 = head ll\nr2 = addr_space_cast(r2, 0, 1)\nr3 = *(u64 *)(r2 + 0)\n"
             "*(u64 *)(r1 + 4092) = r3\n" /* across two pages of one allocation */
             "r1 = addr_space_cast(r1, 1, 0)\n*(u64 *)(r2 + 0) = r1\n"
             "r6 += -1\nif r6 != 0 goto again\nr0 = 0\nexit\n"
             "full:\nr1 = m ll\nr2 = head ll\nr3 = 1\ncall bpf_arena_free_pages\n"
             "r1 = head ll\nr1 = addr_space_cast(r1, 0, 1)\nr0 = *(u64 *)(r1 + 0)\nexit\n",
             extra);
    machine m = load(text);
    assert_int_equal(result(&m, NULL, 0), 0);
    ebpf_bytes memory;
    ebpf_vm_map info;
    assert_int_equal(ebpf_vm_arena(m.vm, 0, &memory), EBPF_OK);
    assert_int_equal(memory.size, 10 * 4096);
    ebpf_vm_map_info(m.vm, 0, &info);
    assert_int_equal(info.count, 7);
    const uint8_t *bytes = memory.data;
    uint64_t at = eb_get64(bytes, false);
    if (!start) /* the region's first address */
        start = at & ~(uint64_t)UINT32_MAX;
    assert_true(start != 0);
    for (uint32_t page = 5; page >= 1; page -= 2) {
        assert_true(at == start + page * 4096ull);
        at = eb_get64(bytes + page * 4096 + 4092, false);
        if (page == 1)
            break;
    }
    assert_int_equal(at, 0);
    assert_int_equal(result(&m, NULL, 0), 0); /* one fits; then page 0 is gone, and reads as 0 */
    ebpf_vm_map_info(m.vm, 0, &info);
    assert_int_equal(info.count, 8);
    unload(&m);
}

static void test_arenas(void **state) {
    (void)state;
    arena_case("", 0);
    arena_case(", map_extra=0x3000", 0x3000);
}

/* A map of no size is the loader's to size. */
static void test_sizes_set_later(void **state) {
    (void)state;
    machine m = with_map(PUT(1, 5) LOOK(1) "if r0 == 0 goto out\nr0 = *(u64 *)(r0 + 0)\nout:\nexit",
                         (map_shape){EB_MAP_HASH, 4, 8, 0, 0}, 0);
    expect_stop(&m, EBPF_FAULT_HELPER, "map 'm' has max_entries 0, which loaders replace");
    assert_int_equal(update(&m, 1, 1), -EBPF_EINVAL);
    assert_int_equal(ebpf_vm_map_resize(m.vm, 0, UINT32_MAX), EBPF_E_INPUT);
    assert_int_equal(ebpf_vm_map_resize(m.vm, 1, 5), EBPF_E_ARG);
    assert_int_equal(ebpf_vm_map_resize(m.vm, 0, 0), EBPF_E_ARG);
    assert_int_equal(ebpf_vm_map_resize(m.vm, 0, 2), EBPF_OK);
    assert_int_equal(result(&m, NULL, 0), 5);
    assert_int_equal(update(&m, 2, 1), 0);
    assert_int_equal(update(&m, 3, 1), -EBPF_E2BIG);
    unload(&m);
    m = with_map("r1 = m ll\nr2 = 8\nr3 = 0\ncall 131\nexit",
                 (map_shape){EB_MAP_RINGBUF, 0, 0, 0, 0}, 0);
    uint32_t cpu;
    ebpf_bytes record;
    assert_int_equal(ebpf_vm_map_record(m.vm, 0, &cpu, &record), -EBPF_ENOENT);
    expect_stop(&m, EBPF_FAULT_HELPER, "ringbuf_reserve: map 'm' has max_entries 0");
    assert_int_equal(ebpf_vm_map_resize(m.vm, 0, 4096), EBPF_OK);
    assert_true(result(&m, NULL, 0) != 0);
    unload(&m);
}

static void test_host_access_flags(void **state) {
    (void)state;
    uint32_t key = 0, value;
    machine m = with_map("exit", (map_shape){EB_MAP_ARRAY, 4, 4, 1, 8}, 0);
    assert_int_equal(ebpf_vm_map_update(m.vm, 0, &key, &key, 0), -EBPF_EPERM);
    assert_int_equal(ebpf_vm_map_lookup(m.vm, 0, &key, &value), 0);
    unload(&m);
    m = with_map("exit", (map_shape){EB_MAP_ARRAY, 4, 4, 1, 16}, 0);
    assert_int_equal(ebpf_vm_map_update(m.vm, 0, &key, &key, 0), 0);
    assert_int_equal(ebpf_vm_map_lookup(m.vm, 0, &key, &value), -EBPF_EPERM);
    assert_int_equal(ebpf_vm_map_lookup(m.vm, 0, NULL, &value), -EBPF_EPERM);
    unload(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refused_definitions),
                                       cmocka_unit_test(test_deleted_values),
                                       cmocka_unit_test(test_replaced_values),
                                       cmocka_unit_test(test_update_from_own_memory),
                                       cmocka_unit_test(test_order_of_insertion),
                                       cmocka_unit_test(test_ring_faults),
                                       cmocka_unit_test(test_ring_wraps),
                                       cmocka_unit_test(test_perf_buffer),
                                       cmocka_unit_test(test_callbacks_in_pieces),
                                       cmocka_unit_test(test_callback_limits),
                                       cmocka_unit_test(test_walks_while_changing),
                                       cmocka_unit_test(test_tail_call_faults),
                                       cmocka_unit_test(test_inner_maps),
                                       cmocka_unit_test(test_foreign_functions),
                                       cmocka_unit_test(test_string_functions),
                                       cmocka_unit_test(test_lock_twice),
                                       cmocka_unit_test(test_forged_dynptr),
                                       cmocka_unit_test(test_forged_timer),
                                       cmocka_unit_test(test_effects),
                                       cmocka_unit_test(test_stack_traces),
                                       cmocka_unit_test(test_arenas),
                                       cmocka_unit_test(test_sizes_set_later),
                                       cmocka_unit_test(test_host_access_flags)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
