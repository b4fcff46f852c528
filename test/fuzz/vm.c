/* Programs in the VM: made from the bytes (lib/program.h), or an ELF file where they are one. They
 * run on a piece of memory or, as their section says, on a context and a packet. Whatever a program
 * does, it stops within its budget, for a reason; and it does the same in the fast loop, in single
 * steps, in runs of a few instructions, between breakpoints and while it is observed: registers,
 * memory, maps, records, printk. */
#include "ebpf_vm.h"

#include "fuzz.h"
#include "guard.h"
#include "lib/mutate.h"
#include "lib/program.h"

enum { BUDGET = 20000, STOPS = 400, MEM = 128, PROGRAMS = 4, CPUS = 2, KEYS = 70, RECORDS = 8 };

/* Byte 9 of the input. */
enum {
    SIZE_IN_R2 = 1,
    READ_ONLY = 2,
    ON_CPU_1 = 4,
    MAPS_FILLED = 8,
    HOST_HELPER = 16,
    TYPED = 32,
    PACE_SHIFT = 6
};

/* How the second VM runs. */
typedef enum pace { STEPS, SLICES, BREAKS, OBSERVED, FAST } pace;

typedef struct input {
    const uint8_t *data;
    size_t size;
    uint32_t what;
    ebpf_object *obj;
} input;

typedef struct outcome {
    int stop;
    uint64_t executed, reg[EBPF_VM_REGS];
    uint8_t mem[MEM];
} outcome;

/* ---- one run ---- */

static int run_steps(ebpf_vm *vm, uint64_t budget) {
    int stop = EBPF_STOP_BUDGET;
    while (stop == EBPF_STOP_BUDGET && ebpf_vm_state_of(vm)->executed < budget)
        stop = ebpf_vm_step(vm);
    return stop;
}

static int run_slices(ebpf_vm *vm, uint64_t budget) {
    ebpf_vm_state *state = ebpf_vm_state_of(vm);
    int stop = EBPF_STOP_BUDGET;
    for (uint64_t slice = 1; stop == EBPF_STOP_BUDGET && state->executed < budget; slice += 7) {
        uint64_t left = budget - state->executed;
        state->budget = slice < left ? slice : left;
        stop = ebpf_vm_run(vm);
    }
    return stop;
}

/* From one breakpoint to the next, for a while; out of functions in between. */
static int run_breaks(ebpf_vm *vm) {
    ebpf_vm_state *state = ebpf_vm_state_of(vm);
    int stop = EBPF_STOP_BREAK;
    for (int stops = 0; stop == EBPF_STOP_BREAK; stops++) {
        if (stops == STOPS)
            ebpf_vm_break(vm, state->section, state->slot, 0);
        stop = stops % 8 == 7 ? ebpf_vm_finish(vm, state->depth) : ebpf_vm_run(vm);
        if (stops > 2 * STOPS)
            break; /* a loop over several of them */
    }
    return stop == EBPF_STOP_BREAK ? run_steps(vm, BUDGET) : stop;
}

static int run_at(ebpf_vm *vm, pace how) {
    return how == STEPS    ? run_steps(vm, BUDGET)
           : how == SLICES ? run_slices(vm, BUDGET)
           : how == BREAKS ? run_breaks(vm)
                           : ebpf_vm_run(vm);
}

static void require_json(int status, ebpf_bytes text) {
    REQUIRE(status != EBPF_OK || is_json(text.data, text.size));
}

static void require_explained(ebpf_vm *vm, int stop) {
    ebpf_bytes text;
    ebpf_vm_state *state = ebpf_vm_state_of(vm);
    if (stop == EBPF_STOP_FAULT) {
        REQUIRE(ebpf_vm_fault_of(vm)->reason != EBPF_FAULT_NONE);
        REQUIRE(ebpf_vm_fault_text(vm, &text) == EBPF_OK && text.size != 0);
    }
    require_json(ebpf_vm_where(vm, state->section, state->slot, &text), text);
    require_json(ebpf_vm_frames(vm, &text), text);
}

/* Go on until it is over; the host answers helpers with their number. */
static int run_to_end(ebpf_vm *vm, pace how) {
    ebpf_vm_state *state = ebpf_vm_state_of(vm);
    state->budget = BUDGET;
    int stop = EBPF_STOP_HELPER;
    for (int calls = 0; stop == EBPF_STOP_HELPER && calls < STOPS; calls++) {
        stop = run_at(vm, how);
        if (stop == EBPF_STOP_HELPER)
            state->reg[0] = state->helper;
    }
    REQUIRE(state->executed <= BUDGET);
    REQUIRE(stop != EBPF_STOP_BUDGET || state->executed == BUDGET);
    if (stop > 0)
        require_explained(vm, stop);
    return stop;
}

/* Before the first instruction: on memory; or on a context, of the type's size, and a packet. */
static int start(ebpf_vm *vm, uint32_t program, const input *in, uint8_t *mem) {
    if (!(in->what & TYPED)) {
        uint32_t flags = in->what & SIZE_IN_R2  ? EBPF_VM_SIZE_IN_R2
                         : in->what & READ_ONLY ? EBPF_VM_READ_ONLY
                                                : 0;
        return ebpf_vm_start(vm, program, mem, MEM, flags);
    }
    uint32_t context = in->size > 16 ? in->data[16] * 8u % (MEM + 8) : 0;
    uint32_t packet = in->what & READ_ONLY ? 0 : 14 + in->data[10] % 100u;
    memset(mem, 0, context);
    int status = ebpf_vm_start_typed(vm, program, mem, context, mem + MEM - packet, packet);
    return status == EBPF_E_INPUT ? ebpf_vm_start_typed(vm, program, NULL, 0, mem, MEM) : status;
}

static outcome run_program(ebpf_vm *vm, uint32_t program, pace how, const input *in) {
    outcome out = {.stop = EBPF_E_ARG};
    for (size_t i = 0; i < MEM; i++)
        out.mem[i] = (uint8_t)(i * 7);
    int status = start(vm, program, in, out.mem);
    if (status != EBPF_OK) {
        out.stop = status == EBPF_E_INPUT ? 0 : status;
        return out;
    }
    out.stop = run_to_end(vm, how);
    out.executed = ebpf_vm_state_of(vm)->executed;
    memcpy(out.reg, ebpf_vm_state_of(vm)->reg, sizeof out.reg);
    return out;
}

/* ---- what a run leaves behind ---- */

/* Walk a map as a host does; its contents come out. */
static void read_map(ebpf_ctx *ctx, ebpf_vm *vm, uint32_t map, eb_buf *out) {
    ebpf_vm_map info;
    ebpf_bytes record;
    REQUIRE(ebpf_vm_map_info(vm, map, &info) == EBPF_OK);
    eb_buf_put(out, &info, sizeof info);
    uint32_t cpu = 0;
    for (int i = 0; i < RECORDS && ebpf_vm_map_record(vm, map, &cpu, &record) == 0; i++)
        eb_buf_put(out, record.data, record.size);
    if (info.key_size > 64 || info.host_value_size > 1 << 16)
        return;
    uint8_t key[64] = {0}, next[64];
    uint8_t *value = eb_alloc(&ctx->arena, info.host_value_size + 1);
    if (info.key_size == 0 && ebpf_vm_map_lookup(vm, map, NULL, value) == 0)
        eb_buf_put(out, value, info.host_value_size);
    for (int i = 0; info.key_size && i < KEYS; i++) {
        if (ebpf_vm_map_next(vm, map, i ? key : NULL, next) != 0)
            break;
        memcpy(key, next, info.key_size);
        int found = ebpf_vm_map_lookup(vm, map, key, value);
        eb_buf_put(out, key, info.key_size);
        if (found == 0)
            eb_buf_put(out, value, info.host_value_size);
    }
}

static void read_all(ebpf_ctx *ctx, ebpf_vm *vm, eb_buf *out) {
    static const char *const names[] = {".data", ".bss", ".rodata"};
    ebpf_bytes bytes;
    for (uint32_t map = 0; map < ebpf_vm_map_count(vm); map++)
        read_map(ctx, vm, map, out);
    ebpf_vm_printk(vm, &bytes);
    eb_buf_put(out, bytes.data, bytes.size);
    eb_buf_put(out, ebpf_vm_effects_of(vm), sizeof(ebpf_vm_effects));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ebpf_vm_section(vm, names[i], (uint32_t)strlen(names[i]), &bytes) == EBPF_OK)
            eb_buf_put(out, bytes.data, bytes.size);
    if (ebpf_vm_context(vm, &bytes) == EBPF_OK)
        eb_buf_put(out, bytes.data, bytes.size);
    if (ebpf_vm_packet(vm, &bytes) == EBPF_OK)
        eb_buf_put(out, bytes.data, bytes.size);
}

static void require_same_state(ebpf_ctx *ctx, ebpf_vm *a, ebpf_vm *b) {
    eb_buf x = {.arena = &ctx->arena}, y = {.arena = &ctx->arena};
    read_all(ctx, a, &x);
    read_all(ctx, b, &y);
    require_same((ebpf_bytes){x.at, x.len}, (ebpf_bytes){y.at, y.len});
}

static void require_same_outcome(const outcome *a, const outcome *b) {
    REQUIRE(a->stop == b->stop);
    REQUIRE(a->executed == b->executed);
    REQUIRE(memcmp(a->reg, b->reg, sizeof a->reg) == 0);
    REQUIRE(memcmp(a->mem, b->mem, MEM) == 0);
}

/* ---- the host's part ---- */

/* Writes and deletes by keys that the input has. */
static void write_maps(ebpf_ctx *ctx, ebpf_vm *vm, const input *in) {
    for (uint32_t map = 0; map < ebpf_vm_map_count(vm); map++) {
        ebpf_vm_map info;
        REQUIRE(ebpf_vm_map_info(vm, map, &info) == EBPF_OK);
        if (info.key_size > in->size || info.host_value_size > 1 << 16)
            continue;
        uint8_t *value = eb_alloc(&ctx->arena, info.host_value_size + 1);
        for (uint32_t i = 0; i < 3; i++) {
            uint8_t *key = eb_alloc(&ctx->arena, info.key_size + 1);
            memcpy(key, in->data, info.key_size);
            key[0] = (uint8_t)(key[0] % 4 + i);
            (void)ebpf_vm_map_update(vm, map, info.key_size ? key : NULL, value, in->data[0] >> 6);
            if (i == 2 && (in->data[0] & 8))
                (void)ebpf_vm_map_delete(vm, map, key);
            if (i == 2 && (in->data[0] & 16))
                (void)ebpf_vm_map_take(vm, map, info.key_size ? key : NULL, value);
        }
        (void)ebpf_vm_map_send(vm, map, in->data, in->size < 40 ? (uint32_t)in->size : 40);
    }
}

/* A breakpoint at every fifth instruction of the first two sections with code. */
static void set_breaks(ebpf_vm *vm, const ebpf_object *obj) {
    uint32_t sections = obj->sections.len < 8 ? obj->sections.len : 8;
    for (uint32_t section = 0; section < sections; section++)
        for (uint32_t slot = 2; slot < 60; slot += 5)
            (void)ebpf_vm_break(vm, section, slot, 1);
    (void)ebpf_vm_break_at(vm, "f1", 2, 1);
}

static int make_vm(ebpf_ctx *ctx, const input *in, ebpf_vm **vm) {
    static const char externs[] = "CONFIG_HZ=250\nCONFIG_BPF=y\nCONFIG_X=\"text\"\nprintk=0x1000\n";
    int status = ebpf_vm_new_with(ctx, in->obj, CPUS, externs, sizeof externs - 1, vm);
    if (status != EBPF_OK)
        return status;
    ebpf_vm_inputs_of(*vm)->clock_step_ns = 1000;
    ebpf_vm_inputs_of(*vm)->cpu = in->what & ON_CPU_1 ? 1 : 0;
    if (in->what & MAPS_FILLED)
        write_maps(ctx, *vm, in);
    if (in->what & HOST_HELPER)
        ebpf_vm_host_helper(*vm, in->data[in->size / 2], 1);
    return EBPF_OK;
}

/* Timers that the program has started. */
static void fire_timers(ebpf_vm *vm) {
    uint64_t deadline;
    for (int i = 0; i < 3 && ebpf_vm_timer_next(vm, &deadline) == 0; i++)
        if (ebpf_vm_timer_start(vm) != EBPF_OK || run_to_end(vm, FAST) < 0)
            return;
}

/* ---- all of it ---- */

static int make(ebpf_ctx *ctx, void *args) {
    input *in = args;
    return make_program(ctx, in->data, in->size, &in->obj);
}

/* Two VMs of one object: the first runs fast, the other as the input says. */
static int run_both(ebpf_ctx *ctx, void *args) {
    const input *in = args;
    ebpf_vm *fast, *other;
    pace how = (pace)(in->what >> PACE_SHIFT);
    if (make_vm(ctx, in, &fast) != EBPF_OK || make_vm(ctx, in, &other) != EBPF_OK)
        return EBPF_E_INPUT;
    if (how == BREAKS)
        set_breaks(other, in->obj);
    if (how == OBSERVED && ebpf_vm_observe(other, EBPF_VM_COVERAGE | EBPF_VM_TRACE, 40) < 0)
        return EBPF_E_LIMIT;
    uint32_t count = ebpf_vm_program_count(fast);
    for (uint32_t program = 0; program < count && program < PROGRAMS; program++) {
        outcome a = run_program(fast, program, FAST, in), b = run_program(other, program, how, in);
        if (a.stop < 0 || b.stop < 0) /* out of memory: the context is used up */
            return EBPF_E_LIMIT;
        plant(a.stop == EBPF_STOP_EXIT && in->obj->big && in->obj->maps.len == 3, in->data,
              in->size);
        require_same_outcome(&a, &b);
        require_same_state(ctx, fast, other);
    }
    fire_timers(fast);
    ebpf_bytes text;
    for (uint32_t what = EBPF_SHOW_STATE; what <= EBPF_SHOW_RESULT; what++)
        (void)ebpf_vm_show(other, what, &text);
    if (how == OBSERVED) {
        require_json(ebpf_vm_coverage(other, &text), text);
        REQUIRE(ebpf_vm_trace(other, &text) != EBPF_OK ||
                text.size % sizeof(ebpf_vm_trace_entry) == 0);
    }
    return EBPF_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < PROGRAM_HEAD)
        return 0;
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    input in = {data, size, data[9], NULL};
    int status = is_elf(data, size) ? ebpf_object_read(ctx, "fuzz.o", 6, data, size, &in.obj)
                                    : eb_guard(ctx, make, &in);
    if (status == EBPF_OK)
        status = eb_guard(ctx, run_both, &in);
    if (status == EBPF_OK)
        require_diagnostics(ctx, status);
    ebpf_ctx_free(ctx);
    return 0;
}

/* Records of a program: one more, one less, one of them copied, or a byte of one. */
static size_t mutate_program(uint8_t *data, size_t size, size_t most, chance *dice) {
    if (size < PROGRAM_HEAD + PROGRAM_RECORD)
        return LLVMFuzzerMutate(data, size, most);
    uint32_t count = (uint32_t)((size - PROGRAM_HEAD) / PROGRAM_RECORD);
    size_t at = PROGRAM_HEAD + (size_t)PROGRAM_RECORD * roll(dice, count);
    size_t from = PROGRAM_HEAD + (size_t)PROGRAM_RECORD * roll(dice, count);
    uint8_t copy[PROGRAM_RECORD];
    memcpy(copy, data + from, PROGRAM_RECORD);
    switch (roll(dice, 8)) {
    case 0:
        for (size_t i = 0; i < PROGRAM_RECORD; i++)
            copy[i] = (uint8_t)roll(dice, 256);
        if (open_gap(data, &size, most, at, PROGRAM_RECORD))
            memcpy(data + at, copy, PROGRAM_RECORD);
        return size;
    case 1:
        if (open_gap(data, &size, most, at, PROGRAM_RECORD))
            memcpy(data + at, copy, PROGRAM_RECORD);
        return size;
    case 2:
        close_gap(data, &size, at, PROGRAM_RECORD);
        return size;
    case 3:
    case 4:
        data[at + roll(dice, PROGRAM_RECORD)] = (uint8_t)roll(dice, 256);
        return size;
    case 5:
        data[roll(dice, PROGRAM_HEAD)] = (uint8_t)roll(dice, 256);
        return size;
    default:
        return LLVMFuzzerMutate(data, size, most);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    chance dice = {seed};
    return is_elf(data, size) ? mutate_elf(data, size, most, &dice)
                              : mutate_program(data, size, most, &dice);
}
