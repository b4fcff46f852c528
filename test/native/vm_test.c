/* vm_test.c - what the VM does beside computing: regions and faults, calls, budgets, helpers, maps.
 * Programs are assembly in the llvm dialect; vm_ops_test.c has the operations one by one. */
#include "machine.h"

/* ---- faults ---- */

static const struct fault_case {
    const char *text; /* runs on 16 bytes of context, or read-only ones */
    uint32_t reason, line, region;
    const char *words;
    uint32_t flags;
} fault_cases[] = {
    {"r1 = 0\nr0 = *(u64 *)(r1 + 8)\nexit", EBPF_FAULT_NULL, 2, EBPF_REGION_NONE,
     "read of 8 bytes at address 0x8: the pointer is null", 0},
    {"r1 = 0\n*(u8 *)(r1 - 1) = 1\nexit", EBPF_FAULT_NULL, 2, EBPF_REGION_NONE, "null", 0},
    {"r1 = 0x123456789abc ll\nr0 = *(u8 *)(r1 + 0)\nexit", EBPF_FAULT_UNMAPPED, 2, EBPF_REGION_NONE,
     "no memory of the program", 0},
    {"r1 = -1000000\nr0 = *(u8 *)(r1 + 0)\nexit", EBPF_FAULT_UNMAPPED, 2, EBPF_REGION_NONE,
     "no memory of the program", 0},
    {"r0 = *(u64 *)(r1 + 9)\nexit", EBPF_FAULT_BOUNDS, 1, EBPF_REGION_CONTEXT,
     "it ends 1 bytes behind the context (16 bytes)", 0},
    {"r0 = *(u8 *)(r1 + 16)\nexit", EBPF_FAULT_BOUNDS, 1, EBPF_REGION_CONTEXT, "1 bytes behind", 0},
    {"r0 = *(u16 *)(r1 - 2)\nexit", EBPF_FAULT_BOUNDS, 1, EBPF_REGION_CONTEXT,
     "it starts 2 bytes before the context", 0},
    {"*(u32 *)(r10 + 0) = 1\nexit", EBPF_FAULT_BOUNDS, 1, EBPF_REGION_STACK,
     "write of 4 bytes at address 0x200000200: it ends 4 bytes behind the stack frame", 0},
    {"r1 = r10\nr1 += -513\n*(u8 *)(r1 + 0) = 1\nexit", EBPF_FAULT_BOUNDS, 3, EBPF_REGION_STACK,
     "it starts 1 bytes before the stack frame", 0},
    {"*(u8 *)(r1 + 3) = 1\nexit", EBPF_FAULT_READ_ONLY, 1, EBPF_REGION_CONTEXT, "may not write to",
     EBPF_VM_READ_ONLY},
    {"r2 = 1\nlock *(u32 *)(r1 + 2) += r2\nexit", EBPF_FAULT_ALIGN, 2, EBPF_REGION_CONTEXT,
     "not aligned", 0},
    {"r1 = xchg_64(r10 - 12, r1)\nexit", EBPF_FAULT_ALIGN, 1, EBPF_REGION_STACK, "not aligned", 0},
    {"r0 = load_acquire((u64 *)(r1 + 4))\nexit", EBPF_FAULT_ALIGN, 1, EBPF_REGION_CONTEXT,
     "not aligned", 0},
    {"lock *(u64 *)(r1 + 16) += r2\nexit", EBPF_FAULT_BOUNDS, 1, EBPF_REGION_CONTEXT, "behind", 0},
    {"r10 = 5\nexit", EBPF_FAULT_REGISTER, 1, EBPF_REGION_NONE, "r10", 0},
    {"r10 = atomic_fetch_add((u64 *)(r1 + 0), r10)\nexit", EBPF_FAULT_REGISTER, 1, EBPF_REGION_NONE,
     "r10", 0},
    {"r0 = 0\nr1 = 1", EBPF_FAULT_JUMP, 2, EBPF_REGION_NONE, "runs past the end of section '.text'",
     0},
    {"goto +5\nexit", EBPF_FAULT_JUMP, 1, EBPF_REGION_NONE, "slot 6 of a section with 2", 0},
    {"goto -2\nexit", EBPF_FAULT_JUMP, 1, EBPF_REGION_NONE, "slot -1", 0},
    {"if r1 != 0 goto +1\nr0 = 0 ll\nexit", EBPF_FAULT_JUMP, 1, EBPF_REGION_NONE, "second half", 0},
    {"call 212\nexit", EBPF_FAULT_HELPER, 1, EBPF_REGION_NONE, "there is no helper 212", 0},
    {"call 0\nexit", EBPF_FAULT_HELPER, 1, EBPF_REGION_NONE, "there is no helper 0", 0},
    {"r2 = 0\ncall 1\nexit", EBPF_FAULT_HELPER, 2, EBPF_REGION_NONE,
     "map_lookup_elem: its first argument, r1 = 0x100000000, is no map", 0},
    {"r2 = 100000\ncallx r2\nexit", EBPF_FAULT_HELPER, 2, EBPF_REGION_NONE, "no helper 100000", 0},
    {"callx r1\nexit", EBPF_FAULT_JUMP, 1, EBPF_REGION_NONE, "0x100000000 is no function's address",
     0},
    {"f:\ncall f\nexit", EBPF_FAULT_DEPTH, 2, EBPF_REGION_NONE, "8th inside each other", 0},
    {"call f\nr1 = *(u64 *)(r0 + 0)\nexit\nf:\nr0 = r10\nr0 += -8\nexit", EBPF_FAULT_FREED, 2,
     EBPF_REGION_STACK, "the stack of a call that has ended", 0},
    {"r1 = f ll\nr0 = *(u8 *)(r1 + 0)\nf:\nexit\n.type f,@function", EBPF_FAULT_BOUNDS, 2,
     EBPF_REGION_CODE, "code, which programs can only call", 0},
    {"r0 = *(u8 *)skb[5]\nexit", EBPF_FAULT_INSN, 1, EBPF_REGION_NONE, "socket buffer", 0},
    {"r1 = 5\nr2 = 5\ncall 16\nexit", EBPF_FAULT_NULL, 3, EBPF_REGION_NONE,
     "get_current_comm: write of 5 bytes at address 0x5", 0},
};

static void expect_fault(const struct fault_case *c, bool steps) {
    uint8_t mem[16] = {0};
    machine m = load(c->text);
    int stop;
    if (steps) {
        uint32_t program = (uint32_t)ebpf_vm_program_find(m.vm, "", 0);
        assert_int_equal(ebpf_vm_start(m.vm, program, mem, sizeof mem, c->flags), EBPF_OK);
        do
            stop = ebpf_vm_step(m.vm);
        while (stop == EBPF_STOP_BUDGET && m.state->executed < 1000);
    } else {
        stop = run(&m, mem, sizeof mem, c->flags);
    }
    const ebpf_vm_fault *fault = ebpf_vm_fault_of(m.vm);
    const char *all = diagnostics(m.ctx);
    char place[32];
    snprintf(place, sizeof place, "test.s:%u:", c->line);
    if (stop != EBPF_STOP_FAULT || fault->reason != c->reason || fault->line != c->line ||
        fault->region != c->region || !strstr(all, c->words) || !strstr(all, place))
        fail_msg("%s\nstop %d reason %u line %u region %u: %s", c->text, stop, fault->reason,
                 fault->line, fault->region, all);
    assert_int_equal(m.state->stop, EBPF_STOP_FAULT);
    assert_int_equal(ebpf_vm_run(m.vm), EBPF_E_ARG); /* it has ended */
    unload(&m);
}

static void test_faults(void **state) {
    (void)state;
    for (unsigned i = 0; i < sizeof fault_cases / sizeof *fault_cases; i++) {
        expect_fault(&fault_cases[i], false);
        expect_fault(&fault_cases[i], true);
    }
}

static void test_fault_record(void **state) {
    (void)state;
    machine m = load("call f\nexit\nf:\nr1 = 1\ncall g\nexit\ng:\n*(u32 *)(r10 + 4) = 1\nexit\n");
    assert_int_equal(run(&m, NULL, 0, 0), EBPF_STOP_FAULT);
    const ebpf_vm_fault *fault = ebpf_vm_fault_of(m.vm);
    assert_int_equal(fault->address, 0x400000204);
    assert_int_equal(fault->slot, 5);
    assert_int_equal(fault->size, 4);
    assert_int_equal(fault->write, 1);
    assert_int_equal(m.state->slot, 5);
    assert_int_equal(m.state->depth, 2);
    assert_int_equal(m.state->executed, 4);
    const char *all = diagnostics(m.ctx);
    assert_non_null(strstr(all, "called from instruction 3 of section '.text'"));
    assert_non_null(strstr(all, "called from instruction 0 of section '.text'"));
    ebpf_bytes text;
    assert_int_equal(ebpf_vm_fault_text(m.vm, &text), EBPF_OK);
    assert_true(text.size > 20);
    unload(&m);
}

/* A fault leaves nothing behind: the same VM runs again. */
static void test_run_again(void **state) {
    (void)state;
    machine m = load("if r1 == 0 goto bad\nr0 = 5\nexit\nbad:\nr0 = *(u8 *)(r1 + 0)\nexit");
    uint8_t mem[4];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(&m, NULL, 0, 0), EBPF_STOP_FAULT);
        assert_int_equal(result(&m, mem, sizeof mem), 5);
        assert_int_equal(ebpf_vm_fault_of(m.vm)->reason, EBPF_FAULT_NONE);
    }
    unload(&m);
}

static void test_bytes_that_are_no_program(void **state) {
    (void)state;
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    static const uint8_t cut[8] = {0x18}, odd[8] = {0xff, 1, 2, 3};
    ebpf_object *obj;
    ebpf_vm *vm;
    const uint8_t *const all[] = {cut, odd};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ebpf_object_from_raw(ctx, "raw", 3, all[i], 8, EBPF_LITTLE, &obj),
                         EBPF_OK);
        assert_int_equal(ebpf_vm_new(ctx, obj, 0, &vm), EBPF_OK);
        assert_int_equal(ebpf_vm_start(vm, 0, NULL, 0, 0), EBPF_OK);
        ebpf_vm_state_of(vm)->budget = 9;
        assert_int_equal(ebpf_vm_run(vm), EBPF_STOP_FAULT);
        assert_int_equal(ebpf_vm_fault_of(vm)->reason, EBPF_FAULT_INSN);
    }
    assert_int_equal(ebpf_vm_start(vm, 1, NULL, 0, 0), EBPF_E_ARG);
    assert_int_equal(ebpf_vm_start(vm, 0, NULL, 5, 0), EBPF_E_ARG);
    ebpf_ctx_free(ctx);
}

/* ---- memory ---- */

static void test_context_is_written_in_place(void **state) {
    (void)state;
    uint8_t mem[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    machine m = load("r0 = r2\nr3 = *(u32 *)(r1 + 0)\n*(u32 *)(r1 + 4) = r3\nexit");
    assert_int_equal(result(&m, mem, sizeof mem), 8);
    assert_memory_equal(mem, ((uint8_t[]){1, 2, 3, 4, 1, 2, 3, 4}), 8);
    assert_int_equal(run(&m, mem, sizeof mem, 0), EBPF_STOP_EXIT);
    assert_int_equal(m.state->reg[0], 0); /* r2 is 0 without the flag */
    unload(&m);
}

static void test_pointers_survive_spills(void **state) {
    (void)state;
    uint8_t mem[8] = {42};
    machine m = load("*(u64 *)(r10 - 8) = r1\nr2 = r10\n*(u64 *)(r10 - 16) = r2\n"
                     "r3 = *(u64 *)(r10 - 16)\nr4 = *(u64 *)(r3 - 8)\nr0 = *(u8 *)(r4 + 0)\nexit");
    assert_int_equal(result(&m, mem, sizeof mem), 42);
    unload(&m);
}

static void test_stack_starts_clear(void **state) {
    (void)state;
    machine m = load("r0 = *(u64 *)(r10 - 512)\n*(u64 *)(r10 - 512) = 77\nexit");
    assert_int_equal(result(&m, NULL, 0), 0);
    assert_int_equal(result(&m, NULL, 0), 0);
    unload(&m);
}

static const char data_text[] = ".section .rodata,\"a\",@progbits\n"
                                "table: .quad 11\n.quad 22\n"
                                ".section .data,\"aw\",@progbits\n"
                                "pointer: .quad table+8\n"
                                "function: .quad f\n"
                                ".section .bss,\"aw\",@nobits\n"
                                "counter: .zero 8\n"
                                ".section xdp,\"ax\",@progbits\n"
                                ".globl main\n.type main,@function\nmain:\n"
                                "r1 = pointer ll\nr1 = *(u64 *)(r1 + 0)\nr0 = *(u64 *)(r1 + 0)\n"
                                "r1 = counter ll\nr2 = *(u64 *)(r1 + 0)\nr2 += 1\n"
                                "*(u64 *)(r1 + 0) = r2\nr0 += r2\n"
                                "r1 = function ll\nr1 = *(u64 *)(r1 + 0)\nr6 = r0\ncallx r1\n"
                                "r0 += r6\nexit\n"
                                ".text\n.type f,@function\nf:\nr0 = 1000\nexit\n";

static void check_data(int endian) {
    machine m = load_for(data_text, endian, 0);
    assert_int_equal(result(&m, NULL, 0), 1023);
    assert_int_equal(result(&m, NULL, 0), 1024);
    ebpf_bytes bss;
    assert_int_equal(ebpf_vm_section(m.vm, ".bss", 4, &bss), EBPF_OK);
    assert_int_equal(bss.size, 8);
    assert_int_equal(eb_get64(bss.data, endian == EBPF_BIG), 2);
    assert_int_equal(ebpf_vm_section(m.vm, ".none", 5, &bss), EBPF_E_ARG);
    unload(&m);
}

static void test_data_sections(void **state) {
    (void)state;
    check_data(EBPF_LITTLE);
    check_data(EBPF_BIG);
}

static void test_rodata_is_read_only(void **state) {
    (void)state;
    machine m = load(".section .rodata,\"a\",@progbits\nx: .quad 1\n.text\n"
                     "r1 = x ll\n*(u64 *)(r1 + 0) = 5\nexit");
    assert_int_equal(run(&m, NULL, 0, 0), EBPF_STOP_FAULT);
    assert_int_equal(ebpf_vm_fault_of(m.vm)->reason, EBPF_FAULT_READ_ONLY);
    assert_non_null(strstr(diagnostics(m.ctx), "section '.rodata'"));
    unload(&m);
}

static void test_undefined_symbols_fault_when_reached(void **state) {
    (void)state;
    machine m = load("if r1 == 0 goto out\nr1 = nowhere ll\nexit\nout:\nr0 = 3\nexit");
    uint8_t mem[1];
    assert_int_equal(result(&m, NULL, 0), 3);
    assert_int_equal(run(&m, mem, 1, 0), EBPF_STOP_FAULT);
    assert_non_null(strstr(diagnostics(m.ctx), "'nowhere' is not defined in this object"));
    unload(&m);
}

static void test_host_reads_memory(void **state) {
    (void)state;
    uint8_t mem[4] = {1, 2, 3, 4};
    ebpf_bytes bytes;
    machine m = load("*(u32 *)(r10 - 4) = 99\nr0 = r10\nexit");
    uint64_t stack = result(&m, mem, sizeof mem);
    uint32_t region = (uint32_t)(stack >> 32), offset = (uint32_t)stack - 4;
    assert_int_equal(ebpf_vm_memory(m.vm, region, offset, 4, 0, &bytes), EBPF_OK);
    assert_int_equal(eb_get32(bytes.data, false), 99);
    assert_int_equal(ebpf_vm_memory(m.vm, region, offset, 5, 0, &bytes), EBPF_E_ARG);
    assert_int_equal(ebpf_vm_memory(m.vm, 1, 1, 3, 1, &bytes), EBPF_OK);
    assert_ptr_equal(bytes.data, mem + 1);
    assert_int_equal(ebpf_vm_memory(m.vm, 1, 0, 0, 0, &bytes), EBPF_E_ARG);
    assert_int_equal(ebpf_vm_memory(m.vm, 999, 0, 1, 0, &bytes), EBPF_E_ARG);
    unload(&m);
}

/* ---- calls ---- */

static void test_calls_keep_r6_to_r9(void **state) {
    (void)state;
    assert_int_equal(result_of("r6 = 1\nr7 = 2\nr8 = 3\nr9 = 4\nr1 = 5\ncall f\n"
                               "r0 += r6\nr0 += r7\nr0 += r8\nr0 += r9\nexit\n"
                               "f:\nr6 = 100\nr7 = 100\nr8 = 100\nr9 = 100\nr0 = r1\nexit"),
                     15);
}

static void test_frames_are_apart(void **state) {
    (void)state;
    /* The callee writes through the caller's pointer and to its own stack. */
    assert_int_equal(result_of("*(u64 *)(r10 - 8) = 1\nr1 = r10\ncall f\n"
                               "r0 = *(u64 *)(r10 - 8)\nexit\n"
                               "f:\n*(u64 *)(r1 - 8) = 7\n*(u64 *)(r10 - 8) = 9\nexit"),
                     7);
}

static void test_eight_frames_fit(void **state) {
    (void)state;
    assert_int_equal(result_of("r1 = 7\ncall f\nexit\n"
                               "f:\nif r1 == 1 goto out\nr1 += -1\ncall f\nr0 += 1\nexit\n"
                               "out:\nr0 = 1\nexit"),
                     7);
}

static void test_function_addresses(void **state) {
    (void)state;
    assert_int_equal(result_of("r1 = f ll\ncallx r1\nexit\n"
                               ".type f,@function\nf:\nr0 = 33\nexit\n"),
                     33);
    assert_int_equal(result_of("r1 = 8\ncallx r1\nr0 += 2\nexit\n"), 2);
}

static void test_programs_by_name(void **state) {
    (void)state;
    machine m =
        load(".text\n.globl sub\n.type sub,@function\nsub:\nr0 = 1\nexit\n"
             ".section xdp,\"ax\",@progbits\n.globl a\n.type a,@function\na:\nr0 = 2\nexit\n"
             ".globl b\n.type b,@function\nb:\nr0 = 3\nexit\n");
    static const struct {
        const char *name;
        uint64_t r0;
    } wanted[] = {{"sub", 1}, {"a", 2}, {"b", 3}, {"xdp", 2}, {".text", 1}, {"", 2}};
    for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        int program = ebpf_vm_program_find(m.vm, wanted[i].name, (uint32_t)strlen(wanted[i].name));
        assert_true(program >= 0);
        assert_int_equal(ebpf_vm_start(m.vm, (uint32_t)program, NULL, 0, 0), EBPF_OK);
        m.state->budget = 10;
        assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_EXIT);
        assert_int_equal(m.state->reg[0], wanted[i].r0);
    }
    assert_int_equal(ebpf_vm_program_find(m.vm, "c", 1), EBPF_E_ARG);
    assert_int_equal(ebpf_vm_program_count(m.vm), 3);
    ebpf_bytes name;
    assert_int_equal(ebpf_vm_program_name(m.vm, 3, &name), EBPF_E_ARG);
    assert_int_equal(ebpf_vm_program_name(m.vm, 0, &name), EBPF_OK);
    assert_int_equal(name.size, 3);
    unload(&m);
}

/* ---- budgets and steps ---- */

static const char work[] =
    "r0 = 0\nr1 = 10\nagain:\ncall f\nr1 += -1\nif r1 != 0 goto again\nexit\n"
    "f:\nr0 += r1\nr2 = r0\nr2 *= 3\nif r2 > 50 goto big\nexit\n"
    "big:\nr0 += 1\nexit\n";

/* However the budget is cut, it is kept to the instruction and the result is the same. */
static void test_budgets(void **state) {
    (void)state;
    machine m = load(work);
    uint64_t want = result(&m, NULL, 0), total = m.state->executed;
    assert_true(total > 50);
    assert_int_equal(m.state->budget, BUDGET - total);
    for (uint64_t cut = 1; cut <= total; cut++) {
        assert_int_equal(ebpf_vm_start(m.vm, 0, NULL, 0, 0), EBPF_OK);
        uint64_t done = 0;
        int stop = EBPF_STOP_BUDGET;
        while (stop == EBPF_STOP_BUDGET) {
            m.state->budget = cut;
            stop = ebpf_vm_run(m.vm);
            done += cut;
            assert_true(done < total + cut);
            if (stop == EBPF_STOP_BUDGET)
                assert_int_equal(m.state->executed, done);
        }
        assert_int_equal(stop, EBPF_STOP_EXIT);
        assert_int_equal(m.state->executed, total);
        assert_int_equal(m.state->reg[0], want);
    }
    assert_int_equal(ebpf_vm_start(m.vm, 0, NULL, 0, 0), EBPF_OK);
    m.state->budget = 0;
    assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_BUDGET);
    assert_int_equal(m.state->executed, 0);
    m.state->budget = UINT64_MAX;
    assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_EXIT);
    unload(&m);
}

static void test_endless_programs_stop(void **state) {
    (void)state;
    machine m = load("again:\nr1 += 1\ngoto again\n");
    assert_int_equal(run(&m, NULL, 0, 0), EBPF_STOP_BUDGET);
    assert_int_equal(m.state->executed, BUDGET);
    assert_int_equal(m.state->budget, 0);
    assert_int_equal(m.state->reg[1], BUDGET / 2);
    unload(&m);
}

static void test_steps(void **state) {
    (void)state;
    machine m = load("r0 = 1 ll\nr0 += 1\nexit");
    assert_int_equal(ebpf_vm_step(m.vm), EBPF_E_ARG);
    assert_int_equal(ebpf_vm_start(m.vm, 0, NULL, 0, 0), EBPF_OK);
    assert_int_equal(m.state->slot, 0);
    assert_int_equal(ebpf_vm_step(m.vm), EBPF_STOP_BUDGET);
    assert_int_equal(m.state->slot, 2);
    assert_int_equal(m.state->reg[0], 1);
    m.state->reg[0] = 10; /* the host may change registers */
    assert_int_equal(ebpf_vm_step(m.vm), EBPF_STOP_BUDGET);
    assert_int_equal(m.state->slot, 3);
    assert_int_equal(ebpf_vm_step(m.vm), EBPF_STOP_EXIT);
    assert_int_equal(m.state->reg[0], 11);
    assert_int_equal(m.state->executed, 3);
    unload(&m);
}

static void test_may_goto_ends(void **state) {
    (void)state;
    machine m = load("again:\nmay_goto out\nr0 += 1\ngoto again\nout:\nexit");
    assert_int_equal(ebpf_vm_start(m.vm, 0, NULL, 0, 0), EBPF_OK);
    m.state->budget = 100000000;
    assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_EXIT);
    assert_int_equal(m.state->reg[0], 8 << 20);
    unload(&m);
}

/* ---- helpers ---- */

static void test_host_helpers(void **state) {
    (void)state;
    machine m = load("r1 = 3\nr6 = 1\ncall 149\nr0 += r6\nexit"); /* snprintf_btf: the host's */
    assert_int_equal(run(&m, NULL, 0, 0), EBPF_STOP_HELPER);
    assert_int_equal(m.state->helper, 149);
    assert_string_equal(ebpf_helper_name(149), "snprintf_btf");
    assert_int_equal(m.state->reg[1], 3);
    assert_int_equal(m.state->slot, 3);
    m.state->reg[0] = 41;
    assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_EXIT);
    assert_int_equal(m.state->reg[0], 42);
    assert_int_equal(m.state->helper, 0);
    unload(&m);
}

static void test_host_takes_a_helper(void **state) {
    (void)state;
    machine m = load("call 8\nexit");
    assert_int_equal(ebpf_vm_host_helper(m.vm, 8, 1), EBPF_OK);
    assert_int_equal(run(&m, NULL, 0, 0), EBPF_STOP_HELPER);
    m.state->reg[0] = 17;
    assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_EXIT);
    assert_int_equal(m.state->reg[0], 17);
    assert_int_equal(ebpf_vm_host_helper(m.vm, 8, 0), EBPF_OK);
    assert_int_equal(result(&m, NULL, 0), 0);
    assert_int_equal(ebpf_vm_host_helper(m.vm, 5000, 1), EBPF_E_ARG);
    assert_int_equal(ebpf_vm_host_helper(m.vm, 0, 1), EBPF_E_ARG);
    assert_null(ebpf_helper_name(0));
    assert_null(ebpf_helper_name(212));
    assert_string_equal(ebpf_helper_name(211), "cgrp_storage_delete");
    unload(&m);
}

static void test_inputs(void **state) {
    (void)state;
    uint8_t mem[64] = {0};
    machine m = load_for("r6 = r1\n"
                         "call 5\n*(u64 *)(r6 + 0) = r0\ncall 125\n*(u64 *)(r6 + 8) = r0\n"
                         "call 8\n*(u64 *)(r6 + 16) = r0\ncall 14\n*(u64 *)(r6 + 24) = r0\n"
                         "call 15\n*(u64 *)(r6 + 32) = r0\n"
                         "r1 = r6\nr1 += 40\nr2 = 8\ncall 16\n"
                         "call 35\n*(u64 *)(r6 + 48) = r0\ncall 42\n*(u64 *)(r6 + 56) = r0\nexit",
                         EBPF_LITTLE, 8);
    *m.inputs = (ebpf_vm_inputs){.clock_ns = 1000,
                                 .clock_step_ns = 10,
                                 .boot_ns = 5,
                                 .cpu = 3,
                                 .pid = 12,
                                 .tgid = 11,
                                 .uid = 7,
                                 .gid = 8,
                                 .task_low = 1,
                                 .task_high = 2,
                                 .comm = "a long name"};
    result(&m, mem, sizeof mem);
    assert_int_equal(eb_get64(mem, false), 1000);
    assert_int_equal(eb_get64(mem + 8, false), 1015);
    assert_int_equal(m.inputs->clock_ns, 1020);
    assert_int_equal(eb_get64(mem + 16, false), 3);
    assert_int_equal(eb_get64(mem + 24, false), UINT64_C(11) << 32 | 12);
    assert_int_equal(eb_get64(mem + 32, false), UINT64_C(8) << 32 | 7);
    assert_memory_equal(mem + 40, "a long \0", 8);
    assert_int_equal(eb_get64(mem + 48, false), UINT64_C(2) << 32 | 1);
    assert_int_equal(eb_get64(mem + 56, false), 0);
    m.inputs->cpu = 8; /* there is no such CPU */
    result(&m, mem, sizeof mem);
    assert_int_equal(eb_get64(mem + 16, false), 0);
    unload(&m);
}

static void test_random_is_an_input(void **state) {
    (void)state;
    machine m = load("call 7\nr6 = r0\ncall 7\nr0 <<= 32\nr0 |= r6\nexit");
    uint64_t first = result(&m, NULL, 0), second = result(&m, NULL, 0);
    assert_true(first != second);
    assert_true(first >> 32 != (first & UINT32_MAX));
    m.inputs->random = 0;
    assert_int_equal(result(&m, NULL, 0), first);
    unload(&m);
}

/* Formats with up to three arguments, and the line that must come of it. */
static const struct {
    const char *format;
    uint64_t args[3];
    const char *line;
} prints[] = {
    {"plain", {0}, "plain\n"},
    {"ends\n", {0}, "ends\n"},
    {"%d %u %x", {UINT64_MAX, UINT64_MAX, 255}, "-1 4294967295 ff\n"},
    {"%ld %lu %lx",
     {UINT64_MAX, UINT64_MAX, UINT64_MAX},
     "-1 18446744073709551615 ffffffffffffffff\n"},
    {"%lld %llu %llx", {UINT64_C(1) << 63, 5, 0xabc}, "-9223372036854775808 5 abc\n"},
    {"%5d|%-5d|%05d", {42, 42, UINT64_MAX}, "   42|42   |-0001\n"},
    {"%x %X %c", {255, 255, 'q'}, "ff FF q\n"},
    {"%p", {0xdeadbeef}, "00000000deadbeef\n"},
    {"100%% %i", {7}, "100% 7\n"},
};

static const char print_text[] = "r6 = r1\nr1 += 24\nr3 = *(u64 *)(r6 + 0)\nr4 = *(u64 *)(r6 + 8)\n"
                                 "r5 = *(u64 *)(r6 + 16)\nr2 += -24\ncall 6\nexit";

static int64_t print(machine *m, const char *format, const uint64_t *args) {
    uint8_t mem[128] = {0};
    for (unsigned i = 0; i < 3; i++)
        eb_set64(mem + i * 8, false, args[i]);
    size_t size = strlen(format) + 1;
    assert_true(size + 24 <= sizeof mem);
    memcpy(mem + 24, format, size);
    return (int64_t)result(m, mem, (uint32_t)(size + 24));
}

static void test_printk(void **state) {
    (void)state;
    machine m = load(print_text);
    ebpf_bytes out;
    for (unsigned i = 0; i < sizeof prints / sizeof *prints; i++) {
        assert_true(print(&m, prints[i].format, prints[i].args) > 0);
        ebpf_vm_printk(m.vm, &out);
        if (out.size != strlen(prints[i].line) || memcmp(out.data, prints[i].line, out.size) != 0)
            fail_msg("%s gave %.*s", prints[i].format, (int)out.size, (const char *)out.data);
        ebpf_vm_printk_clear(m.vm);
    }
    static const char *const bad[] = {"%q", "%", "%5", "%s%s%s%s", "\x01", "\xc3\xa4", "%999d"};
    static const uint64_t none[3];
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        if (print(&m, bad[i], none) != -EBPF_EINVAL)
            fail_msg("%s is no format", bad[i]);
    ebpf_vm_printk(m.vm, &out);
    assert_int_equal(out.size, 0);
    unload(&m);
}

static void test_printk_strings(void **state) {
    (void)state;
    machine m = load(print_text);
    /* The context is region 1; its bytes 8 to 15 hold a string. */
    uint64_t args[3] = {(UINT64_C(1) << 32) + 8, 0, 7};
    memcpy(&args[1], "hello", 6);
    assert_true(print(&m, "<%s> %p %d", args) > 0);
    ebpf_bytes out;
    ebpf_vm_printk(m.vm, &out);
    assert_memory_equal(out.data, "<hello>", 7);
    ebpf_vm_printk_clear(m.vm);
    args[0] = 5;
    assert_int_equal(print(&m, "%s", args), strlen("(fault)"));
    assert_int_equal(ebpf_vm_fault_of(m.vm)->reason, EBPF_FAULT_NONE);
    unload(&m);
}

static void test_printk_is_bounded(void **state) {
    (void)state;
    machine m = load("r6 = r1\nr7 = 20000\nagain:\nr1 = r6\nr2 = 100\ncall 6\nr7 += -1\n"
                     "if r7 != 0 goto again\nexit");
    char mem[100];
    memset(mem, 'x', sizeof mem);
    mem[98] = 'y';
    mem[99] = 0;
    assert_int_equal(ebpf_vm_start(m.vm, 0, mem, sizeof mem, 0), EBPF_OK);
    m.state->budget = 1000000;
    assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_EXIT);
    ebpf_bytes out;
    ebpf_vm_printk(m.vm, &out);
    assert_in_range(out.size, 400 << 10, 1 << 20);
    assert_int_equal(out.size % 100, 0); /* whole lines */
    assert_memory_equal((const char *)out.data + out.size - 2, "y\n", 2);
    unload(&m);
}

static void test_vprintk(void **state) {
    (void)state;
    machine m = load("*(u64 *)(r10 - 32) = 1\n*(u64 *)(r10 - 24) = 2\n*(u64 *)(r10 - 16) = 3\n"
                     "*(u64 *)(r10 - 8) = 4\nr3 = r10\nr3 += -32\nr4 = 32\ncall 177\nexit");
    char format[] = "%d-%d-%d-%d";
    assert_int_equal(result(&m, format, sizeof format), 7);
    ebpf_bytes out;
    ebpf_vm_printk(m.vm, &out);
    assert_memory_equal(out.data, "1-2-3-4\n", 8);
    unload(&m);
}

static void test_probe_read(void **state) {
    (void)state;
    uint8_t mem[32] = "............abc";
    machine m = load("r6 = r1\nr2 = 4\nr3 = r1\nr3 += 12\ncall 113\nr7 = r0\n" /* 4 bytes */
                     "r1 = r6\nr1 += 4\nr2 = 4\nr3 = 77\ncall 112\n*(u64 *)(r6 + 24) = r0\n"
                     "r1 = r6\nr1 += 8\nr2 = 3\nr3 = r6\nr3 += 12\ncall 115\n"
                     "r0 <<= 8\nr0 |= r7\nexit");
    assert_int_equal(result(&m, mem, sizeof mem), 3 << 8);
    assert_memory_equal(mem, "abc\0\0\0\0\0ab\0.", 12);
    assert_int_equal(eb_get64(mem + 24, false), -(int64_t)EBPF_EFAULT);
    assert_int_equal(ebpf_vm_fault_of(m.vm)->reason, EBPF_FAULT_NONE);
    unload(&m);
    /* The destination, though, must be the program's. */
    m = load("r3 = r1\nr1 = 0\nr2 = 4\ncall 4\nexit");
    assert_int_equal(run(&m, mem, sizeof mem, 0), EBPF_STOP_FAULT);
    assert_int_equal(ebpf_vm_fault_of(m.vm)->helper, 4);
    unload(&m);
}

static void test_strncmp(void **state) {
    (void)state;
    char mem[16] = "abc\0...\0abx";
    machine m = load("r3 = r1\nr3 += 8\ncall 182\nexit");
    static const struct {
        uint32_t size;
        int64_t want;
    } cases[] = {{2, 0}, {3, -1}, {16, -1}, {0, 0}};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ebpf_vm_start(m.vm, 0, mem, sizeof mem, 0), EBPF_OK);
        m.state->reg[2] = cases[i].size;
        m.state->budget = 10;
        assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_EXIT);
        assert_int_equal((int64_t)m.state->reg[0], cases[i].want);
    }
    unload(&m);
}

/* Null and small numbers are out of range where the kernel's memory is read, as on x86-64. */
static void test_probe_read_errors(void **state) {
    (void)state;
    static const struct {
        uint32_t helper;
        int64_t want;
    } cases[] = {{4, -EBPF_EFAULT},
                 {112, -EBPF_EFAULT},
                 {113, -EBPF_ERANGE},
                 {114, -EBPF_EFAULT},
                 {115, -EBPF_ERANGE}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char mem[8] = "1234567", text[64];
        snprintf(text, sizeof text, "r2 = 4\nr3 = 16\ncall %u\nexit", cases[i].helper);
        machine m = load(text);
        assert_int_equal(run(&m, mem, sizeof mem, 0), EBPF_STOP_EXIT);
        assert_int_equal((int64_t)m.state->reg[0], cases[i].want);
        assert_memory_equal(mem,
                            "\0\0\0\0"
                            "567",
                            8);
        unload(&m);
    }
}

/* Of the two zeroes of a checksum the one that the kernel has. */
static void test_csum_diff_zero(void **state) {
    (void)state;
    static const struct {
        uint32_t from, to, seed;
        uint64_t want;
    } cases[] = {{4, 0, 0, 0}, {0, 4, 0, 0}, {4, 4, 0, 0xffff}, {4, 0, UINT32_MAX, 0xffff}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char mem[8] = {0};
        machine m = load("r3 = r1\nr3 += 4\ncall 28\nexit");
        assert_int_equal(ebpf_vm_start(m.vm, 0, mem, sizeof mem, 0), EBPF_OK);
        m.state->reg[2] = cases[i].from;
        m.state->reg[4] = cases[i].to;
        m.state->reg[5] = cases[i].seed;
        m.state->budget = 10;
        assert_int_equal(ebpf_vm_run(m.vm), EBPF_STOP_EXIT);
        assert_int_equal(m.state->reg[0], cases[i].want);
        unload(&m);
    }
}

/* Where there is no number the result is 0, whatever was there. */
static void test_strtol_without_number(void **state) {
    (void)state;
    static const uint32_t helpers[] = {105, 106};
    for (unsigned i = 0; i < 2; i++) {
        char mem[16] = "x", text[128];
        memset(mem + 8, 0x55, 8);
        snprintf(text, sizeof text, "r4 = r1\nr4 += 8\nr2 = 1\nr3 = 0\ncall %u\nexit", helpers[i]);
        machine m = load(text);
        assert_int_equal(run(&m, mem, sizeof mem, 0), EBPF_STOP_EXIT);
        assert_int_equal((int64_t)m.state->reg[0], -EBPF_EINVAL);
        assert_memory_equal(mem + 8, "\0\0\0\0\0\0\0", 8);
        unload(&m);
    }
}

/* As the verifier unfolds it, the refusal of too many turns has 32 bits; that of flags has 64. */
static void test_loop_refusals(void **state) {
    (void)state;
    machine m = load("r1 = 0x1000000\nr4 = 0\ncall 181\nexit");
    assert_int_equal(run(&m, NULL, 0, 0), EBPF_STOP_EXIT);
    assert_int_equal(m.state->reg[0], (uint32_t)-EBPF_E2BIG);
    unload(&m);
    m = load("r1 = 1\nr4 = 1\ncall 181\nexit");
    assert_int_equal(run(&m, NULL, 0, 0), EBPF_STOP_EXIT);
    assert_int_equal((int64_t)m.state->reg[0], -EBPF_EINVAL);
    unload(&m);
}

/* ---- maps ---- */

enum { HASH = 1, ARRAY = 2, PERCPU_HASH = 5, PERCPU_ARRAY = 6, LRU_HASH = 9 };

static int put(machine *m, uint32_t key, uint64_t value, uint32_t flags) {
    return ebpf_vm_map_update(m->vm, 0, &key, &value, flags);
}

static int64_t get(machine *m, uint32_t key) {
    uint64_t value = 0;
    int status = ebpf_vm_map_lookup(m->vm, 0, &key, &value);
    return status < 0 ? status : (int64_t)value;
}

static int del(machine *m, uint32_t key) {
    return ebpf_vm_map_delete(m->vm, 0, &key);
}

static uint32_t count(machine *m) {
    ebpf_vm_map info;
    assert_int_equal(ebpf_vm_map_info(m->vm, 0, &info), EBPF_OK);
    return info.count;
}

static void test_hash(void **state) {
    (void)state;
    machine m = with_map("exit", (map_shape){HASH, 4, 8, 3, 0}, 0);
    assert_int_equal(get(&m, 1), -EBPF_ENOENT);
    assert_int_equal(put(&m, 1, 10, EBPF_EXIST), -EBPF_ENOENT);
    assert_int_equal(put(&m, 1, 10, EBPF_NOEXIST), 0);
    assert_int_equal(put(&m, 1, 11, EBPF_NOEXIST), -EBPF_EEXIST);
    assert_int_equal(put(&m, 1, 11, EBPF_EXIST), 0);
    assert_int_equal(put(&m, 1, 11, 3), -EBPF_EINVAL);
    assert_int_equal(put(&m, 2, 20, EBPF_ANY), 0);
    assert_int_equal(put(&m, 3, 30, EBPF_ANY), 0);
    assert_int_equal(put(&m, 4, 40, EBPF_ANY), -EBPF_E2BIG);
    assert_int_equal(put(&m, 3, 31, EBPF_ANY), 0);
    assert_int_equal(count(&m), 3);
    assert_int_equal(get(&m, 1), 11);
    assert_int_equal(get(&m, 3), 31);
    assert_int_equal(del(&m, 2), 0);
    assert_int_equal(del(&m, 2), -EBPF_ENOENT);
    assert_int_equal(put(&m, 4, 40, EBPF_ANY), 0);
    assert_int_equal(get(&m, 4), 40);
    uint32_t key, next;
    assert_int_equal(ebpf_vm_map_next(m.vm, 0, NULL, &key), 0);
    assert_int_equal(key, 1);
    assert_int_equal(ebpf_vm_map_next(m.vm, 0, &key, &next), 0);
    assert_int_equal(next, 3);
    assert_int_equal(ebpf_vm_map_next(m.vm, 0, &next, &key), 0);
    assert_int_equal(key, 4);
    assert_int_equal(ebpf_vm_map_next(m.vm, 0, &key, &next), -EBPF_ENOENT);
    key = 99; /* not in the map: from the start */
    assert_int_equal(ebpf_vm_map_next(m.vm, 0, &key, &next), 0);
    assert_int_equal(next, 1);
    assert_int_equal(ebpf_vm_map_find(m.vm, "m", 1), 0);
    assert_int_equal(ebpf_vm_map_find(m.vm, "n", 1), EBPF_E_ARG);
    assert_int_equal(ebpf_vm_map_lookup(m.vm, 1, &key, &next), -EBPF_EINVAL);
    unload(&m);
}

static void test_array(void **state) {
    (void)state;
    machine m = with_map("exit", (map_shape){ARRAY, 4, 8, 3, 0}, 0);
    assert_int_equal(get(&m, 2), 0);
    assert_int_equal(get(&m, 3), -EBPF_ENOENT);
    assert_int_equal(put(&m, 3, 1, EBPF_ANY), -EBPF_E2BIG);
    assert_int_equal(put(&m, 2, 1, EBPF_NOEXIST), -EBPF_EEXIST);
    assert_int_equal(put(&m, 2, 5, EBPF_EXIST), 0);
    assert_int_equal(get(&m, 2), 5);
    assert_int_equal(get(&m, 1), 0);
    assert_int_equal(del(&m, 2), -EBPF_EINVAL);
    uint32_t key = 0, seen = 0;
    for (int status = ebpf_vm_map_next(m.vm, 0, NULL, &key); status == 0;
         status = ebpf_vm_map_next(m.vm, 0, &key, &key))
        assert_int_equal(key, seen++);
    assert_int_equal(seen, 3);
    unload(&m);
}

static void test_lru(void **state) {
    (void)state;
    machine m = with_map("*(u32 *)(r10 - 4) = 1\nr1 = m ll\nr2 = r10\nr2 += -4\ncall 1\nexit",
                         (map_shape){LRU_HASH, 4, 8, 3, 0}, 0);
    for (uint32_t key = 1; key <= 3; key++)
        assert_int_equal(put(&m, key, key, EBPF_ANY), 0);
    assert_true(result(&m, NULL, 0) != 0);        /* the program uses key 1 */
    assert_int_equal(get(&m, 2), 2);              /* looking from outside is no use */
    assert_int_equal(put(&m, 4, 4, EBPF_ANY), 0); /* puts 2 out */
    assert_int_equal(count(&m), 3);
    assert_int_equal(get(&m, 1), 1);
    assert_int_equal(get(&m, 2), -EBPF_ENOENT);
    assert_int_equal(get(&m, 3), 3);
    assert_int_equal(get(&m, 4), 4);
    unload(&m);
}

/* Two CPUs count in values of 12 bytes; the host sees both, 16 bytes apart. */
static void check_percpu(uint32_t type) {
    machine m = with_map("*(u32 *)(r10 - 4) = 1\n*(u64 *)(r10 - 16) = 5\n*(u32 *)(r10 - 8) = 0\n"
                         "r1 = m ll\nr2 = r10\nr2 += -4\ncall 1\nif r0 != 0 goto have\n"
                         "r1 = m ll\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -16\nr4 = 0\ncall 2\n"
                         "exit\nhave:\nr1 = *(u64 *)(r0 + 0)\nr1 += 1\n*(u64 *)(r0 + 0) = r1\n"
                         "r0 = 9\nexit",
                         (map_shape){type, 4, 12, 4, 0}, 2);
    ebpf_vm_map info;
    ebpf_vm_map_info(m.vm, 0, &info);
    assert_int_equal(info.host_value_size, 32);
    uint64_t values[4];
    uint32_t key = 1;
    m.inputs->cpu = 1;
    result(&m, NULL, 0);
    result(&m, NULL, 0);
    m.inputs->cpu = 0;
    result(&m, NULL, 0);
    assert_int_equal(ebpf_vm_map_lookup(m.vm, 0, &key, values), 0);
    bool hash = type == PERCPU_HASH; /* its first run inserts 5, and 0 for the other CPU */
    assert_int_equal(values[0], 1);
    assert_int_equal(values[2], hash ? 6 : 2);
    values[0] = 100;
    values[2] = 200;
    assert_int_equal(ebpf_vm_map_update(m.vm, 0, &key, values, EBPF_ANY), 0);
    result(&m, NULL, 0);
    assert_int_equal(ebpf_vm_map_lookup(m.vm, 0, &key, values), 0);
    assert_int_equal(values[0], 101);
    assert_int_equal(values[2], 200);
    unload(&m);
}

static void test_percpu(void **state) {
    (void)state;
    check_percpu(PERCPU_HASH);
    check_percpu(PERCPU_ARRAY);
}

static void test_many_entries(void **state) {
    (void)state;
    enum { MANY = 100000 };
    machine m = with_map("exit", (map_shape){HASH, 4, 8, MANY, 0}, 0);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(put(&m, i * 7919, i, EBPF_ANY), 0);
    assert_int_equal(put(&m, 1, 1, EBPF_ANY), -EBPF_E2BIG);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(get(&m, i * 7919), i);
    for (uint32_t i = 0; i < MANY; i += 2)
        assert_int_equal(del(&m, i * 7919), 0);
    assert_int_equal(count(&m), MANY / 2);
    for (uint32_t i = 0; i < MANY; i += 2)
        assert_int_equal(put(&m, i * 7919 + 3, 1, EBPF_ANY), 0);
    uint32_t key, seen = 0;
    for (int status = ebpf_vm_map_next(m.vm, 0, NULL, &key); status == 0;
         status = ebpf_vm_map_next(m.vm, 0, &key, &key))
        seen++;
    assert_int_equal(seen, MANY);
    unload(&m);
}

/* A program counts in the map, as the demo does. */
static void test_program_and_map(void **state) {
    (void)state;
    machine m = with_map("r1 = *(u32 *)(r1 + 0)\n*(u32 *)(r10 - 4) = r1\n"
                         "r1 = m ll\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto fresh\n"
                         "r1 = 1\nlock *(u64 *)(r0 + 0) += r1\nr0 = 0\nexit\n"
                         "fresh:\n*(u64 *)(r10 - 16) = 1\nr1 = m ll\nr2 = r10\nr2 += -4\n"
                         "r3 = r10\nr3 += -16\nr4 = 0\ncall 2\nexit",
                         (map_shape){HASH, 4, 8, 2, 0}, 0);
    static const uint32_t keys[] = {5, 6, 5, 5, 6};
    for (unsigned i = 0; i < 5; i++) {
        uint32_t key = keys[i];
        assert_int_equal(result(&m, &key, sizeof key), 0);
    }
    uint32_t third = 7;
    assert_int_equal((int64_t)result(&m, &third, sizeof third), -EBPF_E2BIG);
    assert_int_equal(get(&m, 5), 3);
    assert_int_equal(get(&m, 6), 2);
    unload(&m);
}

/* What is wrong with an update of an array, in the order in which the kernel looks at it. */
static void test_array_update_flags(void **state) {
    (void)state;
    machine m = with_map("r4 = *(u32 *)(r1 + 4)\nr2 = r1\nr3 = r10\nr3 += -8\nr1 = m ll\n"
                         "call 2\nexit",
                         (map_shape){ARRAY, 4, 8, 3, 0}, 0);
    enum { LOCK = 4 }; /* there is none in the values */
    static const struct {
        uint32_t key, flags;
        int program, host;
    } cases[] = {{3, LOCK, -EBPF_E2BIG, -EBPF_EINVAL},
                 {2, LOCK | EBPF_NOEXIST, -EBPF_EEXIST, -EBPF_EINVAL},
                 {2, LOCK, -EBPF_EINVAL, -EBPF_EINVAL},
                 {3, LOCK | 3, -EBPF_EINVAL, -EBPF_EINVAL},
                 {2, EBPF_EXIST, 0, 0}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t mem[] = {cases[i].key, cases[i].flags};
        assert_int_equal((int64_t)result(&m, mem, sizeof mem), cases[i].program);
        assert_int_equal(put(&m, cases[i].key, 1, cases[i].flags), cases[i].host);
    }
    unload(&m);
}

static const struct {
    const char *tail; /* r0 is the value of key 0 of a map with 12-byte values */
    uint32_t reason;
    const char *words;
    uint32_t flags;
} value_faults[] = {
    {"r1 = *(u64 *)(r0 + 8)", EBPF_FAULT_BOUNDS,
     "it ends 4 bytes behind a value of map 'm' (12 bytes)", 0},
    {"r1 = *(u8 *)(r0 + 12)", EBPF_FAULT_BOUNDS, "1 bytes behind", 0},
    {"r1 = *(u8 *)(r0 - 1)", EBPF_FAULT_BOUNDS, "1 bytes before a value of map 'm'", 0},
    {"r0 += 64000\nr1 = *(u8 *)(r0 + 0)", EBPF_FAULT_BOUNDS, "behind", 0},
    {"r0 += 16\nr1 = *(u8 *)(r0 + 0)", EBPF_FAULT_FREED,
     "a value of map 'm' (12 bytes) that has been deleted", 0},
    {"*(u8 *)(r0 + 0) = 1", EBPF_FAULT_READ_ONLY, "may not write to a value of map 'm'", 1 << 7},
    {"r1 = *(u8 *)(r0 + 0)", EBPF_FAULT_READ_ONLY, "may not read a value of map 'm'", 1 << 8},
    {"r0 = m ll\nr1 = *(u64 *)(r0 + 0)", EBPF_FAULT_BOUNDS, "a map itself", 0},
    {"r1 = m ll\nr2 = r10\nr2 += 510\ncall 1", EBPF_FAULT_BOUNDS, "map_lookup_elem: read of 4", 0},
};

static void test_value_faults(void **state) {
    (void)state;
    for (unsigned i = 0; i < sizeof value_faults / sizeof *value_faults; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "*(u32 *)(r10 - 4) = 0\nr1 = m ll\nr2 = r10\nr2 += -4\ncall 1\n%s\nexit\n",
                 value_faults[i].tail);
        machine m = with_map(text, (map_shape){HASH, 4, 12, 5, value_faults[i].flags}, 0);
        uint8_t value[12] = {0};
        uint32_t key = 0;
        assert_int_equal(ebpf_vm_map_update(m.vm, 0, &key, value, EBPF_ANY), 0);
        assert_int_equal(run(&m, NULL, 0, 0), EBPF_STOP_FAULT);
        if (ebpf_vm_fault_of(m.vm)->reason != value_faults[i].reason ||
            !strstr(diagnostics(m.ctx), value_faults[i].words))
            fail_msg("%s\nreason %u: %s", text, ebpf_vm_fault_of(m.vm)->reason, diagnostics(m.ctx));
        unload(&m);
    }
}

static const struct {
    map_shape shape;
    const char *words;
} bad_maps[] = {
    {{26, 4, 4, 4, 0}, "maps of type 26 (struct_ops) are not simulated in this VM"},
    {{99, 4, 4, 4, 0}, "maps of type 99"},
    {{HASH, 0, 4, 4, 0}, "a key has 1 to 65536 bytes"},
    {{HASH, 4, 0, 4, 0}, "value_size must not be 0"},
    {{ARRAY, 8, 4, 4, 0}, "the key of an array has 4 bytes"},
    {{ARRAY, 4, 1 << 20, 1 << 20, 0}, "2 GiB"},
    {{HASH, 4, UINT32_MAX, 1, 0}, "2 GiB"},
};

static void test_bad_maps(void **state) {
    (void)state;
    for (unsigned i = 0; i < sizeof bad_maps / sizeof *bad_maps; i++) {
        machine m;
        assert_int_equal(load_with_map(&m, "exit", bad_maps[i].shape, 0), EBPF_E_INPUT);
        if (!strstr(diagnostics(m.ctx), bad_maps[i].words))
            fail_msg("%s", diagnostics(m.ctx));
        unload(&m);
    }
}

static void test_limits(void **state) {
    (void)state;
    ebpf_ctx *ctx = ebpf_ctx_new(256 << 10);
    ebpf_object *obj = assemble(ctx, "exit", EBPF_LITTLE);
    *EB_PUSH(&ctx->arena, &obj->maps) = (eb_map_def){
        .name = EB_STR("m"), .type = ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1 << 20};
    ebpf_vm *vm;
    assert_int_equal(ebpf_vm_new(ctx, obj, 0, &vm), EBPF_E_LIMIT);
    assert_null(vm);
    assert_int_equal(ebpf_vm_new(ctx, obj, EBPF_VM_MAX_CPUS + 1, &vm), EBPF_E_ARG);
    ebpf_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults),
                                       cmocka_unit_test(test_fault_record),
                                       cmocka_unit_test(test_run_again),
                                       cmocka_unit_test(test_bytes_that_are_no_program),
                                       cmocka_unit_test(test_context_is_written_in_place),
                                       cmocka_unit_test(test_pointers_survive_spills),
                                       cmocka_unit_test(test_stack_starts_clear),
                                       cmocka_unit_test(test_data_sections),
                                       cmocka_unit_test(test_rodata_is_read_only),
                                       cmocka_unit_test(test_undefined_symbols_fault_when_reached),
                                       cmocka_unit_test(test_host_reads_memory),
                                       cmocka_unit_test(test_calls_keep_r6_to_r9),
                                       cmocka_unit_test(test_frames_are_apart),
                                       cmocka_unit_test(test_eight_frames_fit),
                                       cmocka_unit_test(test_function_addresses),
                                       cmocka_unit_test(test_programs_by_name),
                                       cmocka_unit_test(test_budgets),
                                       cmocka_unit_test(test_endless_programs_stop),
                                       cmocka_unit_test(test_steps),
                                       cmocka_unit_test(test_may_goto_ends),
                                       cmocka_unit_test(test_host_helpers),
                                       cmocka_unit_test(test_host_takes_a_helper),
                                       cmocka_unit_test(test_inputs),
                                       cmocka_unit_test(test_random_is_an_input),
                                       cmocka_unit_test(test_printk),
                                       cmocka_unit_test(test_printk_strings),
                                       cmocka_unit_test(test_printk_is_bounded),
                                       cmocka_unit_test(test_vprintk),
                                       cmocka_unit_test(test_probe_read),
                                       cmocka_unit_test(test_strncmp),
                                       cmocka_unit_test(test_strtol_without_number),
                                       cmocka_unit_test(test_loop_refusals),
                                       cmocka_unit_test(test_probe_read_errors),
                                       cmocka_unit_test(test_csum_diff_zero),
                                       cmocka_unit_test(test_hash),
                                       cmocka_unit_test(test_array),
                                       cmocka_unit_test(test_lru),
                                       cmocka_unit_test(test_percpu),
                                       cmocka_unit_test(test_many_entries),
                                       cmocka_unit_test(test_program_and_map),
                                       cmocka_unit_test(test_array_update_flags),
                                       cmocka_unit_test(test_value_faults),
                                       cmocka_unit_test(test_bad_maps),
                                       cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
