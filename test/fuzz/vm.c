/* Programs in the VM: made from the bytes (lib/program.h), or an ELF file where they are one.
 * Whatever a program does, it stops within its budget, for a reason; and it does the same in the
 * fast loop, in single steps and in runs of a few instructions: registers, memory, maps, printk. */
#include "ebpf_vm.h"

#include "fuzz.h"
#include "guard.h"
#include "lib/mutate.h"
#include "lib/program.h"

enum { BUDGET = 20000, HELPER_CALLS = 50, MEM = 128, PROGRAMS = 4, CPUS = 2, KEYS = 70 };

typedef enum pace { FAST, STEPS, SLICES } pace;

typedef struct outcome {
    int stop;
    uint64_t executed, reg[EBPF_VM_REGS];
    uint8_t mem[MEM];
} outcome;

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

static int run_at(ebpf_vm *vm, pace how) {
    return how == FAST    ? ebpf_vm_run(vm)
           : how == STEPS ? run_steps(vm, BUDGET)
                          : run_slices(vm, BUDGET);
}

static void require_fault_text(ebpf_vm *vm) {
    ebpf_bytes text;
    REQUIRE(ebpf_vm_fault_of(vm)->reason != EBPF_FAULT_NONE);
    REQUIRE(ebpf_vm_fault_text(vm, &text) == EBPF_OK && text.size != 0);
}

static outcome run_program(ebpf_vm *vm, uint32_t program, pace how, uint32_t flags) {
    outcome out = {.stop = EBPF_E_ARG};
    for (size_t i = 0; i < MEM; i++)
        out.mem[i] = (uint8_t)(i * 7);
    if (ebpf_vm_start(vm, program, out.mem, MEM, flags) != EBPF_OK)
        return out;
    ebpf_vm_state *state = ebpf_vm_state_of(vm);
    state->budget = BUDGET;
    out.stop = EBPF_STOP_HELPER;
    for (int calls = 0; out.stop == EBPF_STOP_HELPER && calls < HELPER_CALLS; calls++) {
        out.stop = run_at(vm, how);
        if (out.stop == EBPF_STOP_HELPER)
            state->reg[0] = state->helper;
    }
    REQUIRE(state->executed <= BUDGET);
    REQUIRE(out.stop != EBPF_STOP_BUDGET || state->executed == BUDGET);
    if (out.stop == EBPF_STOP_FAULT)
        require_fault_text(vm);
    out.executed = state->executed;
    memcpy(out.reg, state->reg, sizeof out.reg);
    return out;
}

/* ---- what a run leaves behind ---- */

/* Walk a map as a host does; everything that it names is there. The map's contents come out. */
static void read_map(ebpf_ctx *ctx, ebpf_vm *vm, uint32_t map, eb_buf *out) {
    ebpf_vm_map info;
    REQUIRE(ebpf_vm_map_info(vm, map, &info) == EBPF_OK);
    if (info.key_size > 64 || info.host_value_size > 1 << 16)
        return;
    uint8_t key[64], next[64];
    uint8_t *value = eb_alloc(&ctx->arena, info.host_value_size + 1);
    eb_buf_put(out, &info, sizeof info);
    for (int i = 0; i < KEYS && ebpf_vm_map_next(vm, map, i ? key : NULL, next) == 0; i++) {
        memcpy(key, next, info.key_size);
        int found = ebpf_vm_map_lookup(vm, map, key, value);
        eb_buf_put(out, key, info.key_size);
        if (found == 0)
            eb_buf_put(out, value, info.host_value_size);
    }
}

/* Writes and deletes as a host does, by keys that the input has. */
static void write_maps(ebpf_ctx *ctx, ebpf_vm *vm, const uint8_t *data, size_t size) {
    for (uint32_t map = 0; map < ebpf_vm_map_count(vm); map++) {
        ebpf_vm_map info;
        REQUIRE(ebpf_vm_map_info(vm, map, &info) == EBPF_OK);
        if (info.key_size > size || info.host_value_size > 1 << 16)
            continue;
        uint8_t *value = eb_alloc(&ctx->arena, info.host_value_size + 1);
        for (uint32_t i = 0; i < 3; i++) {
            uint8_t *key = eb_alloc(&ctx->arena, info.key_size + 1);
            memcpy(key, data, info.key_size);
            key[0] = (uint8_t)(key[0] % 4 + i);
            (void)ebpf_vm_map_update(vm, map, key, value, data[0] >> 6);
            if (i == 2 && (data[0] & 8))
                (void)ebpf_vm_map_delete(vm, map, key);
        }
    }
}

static void read_all(ebpf_ctx *ctx, ebpf_vm *vm, eb_buf *out) {
    ebpf_bytes bytes;
    for (uint32_t map = 0; map < ebpf_vm_map_count(vm); map++)
        read_map(ctx, vm, map, out);
    ebpf_vm_printk(vm, &bytes);
    eb_buf_put(out, bytes.data, bytes.size);
    static const char *const names[] = {".data", ".bss", ".rodata"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ebpf_vm_section(vm, names[i], (uint32_t)strlen(names[i]), &bytes) == EBPF_OK)
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

/* ---- all of it ---- */

typedef struct input {
    const uint8_t *data;
    size_t size;
    ebpf_object *obj;
} input;

static int make(ebpf_ctx *ctx, void *args) {
    input *in = args;
    return make_program(ctx, in->data, in->size, &in->obj);
}

/* Two VMs of one object: the first run is fast, the other in steps or slices. */
static int run_both(ebpf_ctx *ctx, void *args) {
    const input *in = args;
    ebpf_vm *vms[2];
    uint32_t what = in->size > 9 ? in->data[9] : 0;
    uint32_t flags = what & 1 ? EBPF_VM_SIZE_IN_R2 : what & 2 ? EBPF_VM_READ_ONLY : 0;
    for (int i = 0; i < 2; i++) {
        if (ebpf_vm_new(ctx, in->obj, CPUS, &vms[i]) != EBPF_OK)
            return EBPF_E_INPUT;
        ebpf_vm_inputs_of(vms[i])->clock_step_ns = 1000;
        ebpf_vm_inputs_of(vms[i])->cpu = what >> 2 & 1;
        if (what & 8)
            write_maps(ctx, vms[i], in->data, in->size);
        if (what & 16)
            ebpf_vm_host_helper(vms[i], what >> 5, 1);
    }
    uint32_t count = ebpf_vm_program_count(vms[0]);
    for (uint32_t program = 0; program < count && program < PROGRAMS; program++) {
        outcome fast = run_program(vms[0], program, FAST, flags);
        outcome slow = run_program(vms[1], program, what & 32 ? SLICES : STEPS, flags);
        if (fast.stop < 0 || slow.stop < 0) /* out of memory: the context is used up */
            return EBPF_E_LIMIT;
        plant(fast.stop == EBPF_STOP_EXIT && in->obj->big && in->obj->maps.len == 3, in->data,
              in->size);
        require_same_outcome(&fast, &slow);
        require_same_state(ctx, vms[0], vms[1]);
    }
    return EBPF_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    input in = {data, size, NULL};
    int status = is_elf(data, size) ? ebpf_object_read(ctx, "fuzz.o", 6, data, size, &in.obj)
                                    : eb_guard(ctx, make, &in);
    if (status == EBPF_OK)
        status = eb_guard(ctx, run_both, &in);
    if (status == EBPF_OK || status == EBPF_E_INPUT) {
        ebpf_bytes text;
        (void)ebpf_diagnostics(ctx, EBPF_DIAG_TEXT, &text);
    }
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
