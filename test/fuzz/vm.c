/* Any bytes as a program for the VM: an ELF file where they are one, bare instructions otherwise.
 * Whatever it does, it stops within its budget, for a reason. */
#include <string.h>

#include "ebpf_vm.h"
#include "fuzz.h"

enum { BUDGET = 20000, HELPER_CALLS = 50 };

static void run_program(ebpf_vm *vm, uint32_t program) {
    uint8_t mem[64];
    memset(mem, 0x5a, sizeof mem);
    if (ebpf_vm_start(vm, program, mem, sizeof mem, EBPF_VM_SIZE_IN_R2) != EBPF_OK)
        return;
    ebpf_vm_state *state = ebpf_vm_state_of(vm);
    state->budget = BUDGET;
    int stop = ebpf_vm_run(vm);
    for (int calls = 0; stop == EBPF_STOP_HELPER && calls < HELPER_CALLS; calls++) {
        state->reg[0] = state->helper;
        stop = ebpf_vm_run(vm);
    }
    REQUIRE(state->executed <= BUDGET);
    if (stop == EBPF_STOP_FAULT) {
        ebpf_bytes text;
        REQUIRE(ebpf_vm_fault_of(vm)->reason != EBPF_FAULT_NONE);
        ebpf_vm_fault_text(vm, &text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    ebpf_object *obj;
    int elf = size >= 4 && memcmp(data, "\177ELF", 4) == 0;
    int status =
        elf ? ebpf_object_read(ctx, "fuzz.o", 6, data, size, &obj)
            : ebpf_object_from_raw(ctx, "fuzz", 4, data, size & ~(size_t)7, EBPF_LITTLE, &obj);
    ebpf_vm *vm;
    if (status == EBPF_OK && ebpf_vm_new(ctx, obj, 2, &vm) == EBPF_OK) {
        uint32_t count = ebpf_vm_program_count(vm);
        for (uint32_t program = 0; program < count && program < 4; program++)
            run_program(vm, program);
    }
    ebpf_ctx_free(ctx);
    return 0;
}
