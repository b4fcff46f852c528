/* Any bytes as a program for the VM: an ELF file where they are one, bare instructions otherwise,
 * big-endian ones when the size is odd. Whatever it does, it stops within its budget, for a reason;
 * and single steps lead to the same end as the fast loop. */
#include <string.h>

#include "ebpf_vm.h"
#include "fuzz.h"

enum { BUDGET = 20000, HELPER_CALLS = 50, MEM = 64 };

typedef struct outcome {
    int stop;
    uint64_t executed, r0;
    uint8_t mem[MEM];
} outcome;

static int run_steps(ebpf_vm *vm, uint64_t budget) {
    int stop = EBPF_STOP_BUDGET;
    while (stop == EBPF_STOP_BUDGET && ebpf_vm_state_of(vm)->executed < budget)
        stop = ebpf_vm_step(vm);
    return stop;
}

static outcome run_program(ebpf_vm *vm, uint32_t program, int steps) {
    outcome out = {.stop = EBPF_E_ARG};
    memset(out.mem, 0x5a, sizeof out.mem);
    if (ebpf_vm_start(vm, program, out.mem, sizeof out.mem, EBPF_VM_SIZE_IN_R2) != EBPF_OK)
        return out;
    ebpf_vm_state *state = ebpf_vm_state_of(vm);
    state->budget = BUDGET;
    out.stop = EBPF_STOP_HELPER;
    for (int calls = 0; out.stop == EBPF_STOP_HELPER && calls < HELPER_CALLS; calls++) {
        out.stop = steps ? run_steps(vm, BUDGET) : ebpf_vm_run(vm);
        if (out.stop == EBPF_STOP_HELPER)
            state->reg[0] = state->helper;
    }
    REQUIRE(state->executed <= BUDGET);
    REQUIRE(out.stop != EBPF_STOP_BUDGET || state->executed == BUDGET);
    if (out.stop == EBPF_STOP_FAULT) {
        ebpf_bytes text;
        REQUIRE(ebpf_vm_fault_of(vm)->reason != EBPF_FAULT_NONE);
        REQUIRE(ebpf_vm_fault_text(vm, &text) == EBPF_OK && text.size != 0);
    }
    out.executed = state->executed;
    out.r0 = state->reg[0];
    return out;
}

/* Two VMs of one object: what the first run leaves in maps and data must not matter. */
static void run_both(ebpf_ctx *ctx, const ebpf_object *obj) {
    ebpf_vm *vm, *stepped;
    if (ebpf_vm_new(ctx, obj, 2, &vm) != EBPF_OK || ebpf_vm_new(ctx, obj, 2, &stepped) != EBPF_OK)
        return;
    uint32_t count = ebpf_vm_program_count(vm);
    for (uint32_t program = 0; program < count && program < 4; program++) {
        outcome fast = run_program(vm, program, 0), slow = run_program(stepped, program, 1);
        if (fast.stop < 0 || slow.stop < 0) /* out of memory: the context is used up */
            return;
        REQUIRE(fast.stop == slow.stop);
        REQUIRE(fast.executed == slow.executed);
        REQUIRE(fast.r0 == slow.r0);
        REQUIRE(memcmp(fast.mem, slow.mem, MEM) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    ebpf_object *obj;
    int elf = size >= 4 && memcmp(data, "\177ELF", 4) == 0;
    int endian = size % 2 ? EBPF_BIG : EBPF_LITTLE;
    int status = elf ? ebpf_object_read(ctx, "fuzz.o", 6, data, size, &obj)
                     : ebpf_object_from_raw(ctx, "fuzz", 4, data, size & ~(size_t)7, endian, &obj);
    if (status == EBPF_OK)
        run_both(ctx, obj);
    ebpf_ctx_free(ctx);
    return 0;
}
