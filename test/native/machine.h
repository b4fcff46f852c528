/* machine.h - a VM with a program in assembly, and the means to run it: for the tests of the VM. */
#ifndef MACHINE_H
#define MACHINE_H

#include "unit.h"

#include "ebpf_insn.h"
#include "ebpf_vm.h"
#include "object.h"

enum { BUDGET = 100000 };

typedef struct machine {
    ebpf_ctx *ctx;
    ebpf_vm *vm;
    ebpf_vm_state *state;
    ebpf_vm_inputs *inputs;
} machine;

static inline const char *diagnostics(ebpf_ctx *ctx) {
    ebpf_bytes text;
    if (ebpf_diagnostics(ctx, EBPF_DIAG_TEXT, &text) != EBPF_OK || !text.size)
        return "";
    char *copy = ebpf_ctx_alloc(ctx, text.size + 1);
    assert_non_null(copy);
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    return copy;
}

static inline ebpf_object *assemble(ebpf_ctx *ctx, const char *text, int endian) {
    ebpf_object *obj;
    if (ebpf_assemble(ctx, "test.s", 6, text, strlen(text), EBPF_DIALECT_LLVM, endian, &obj) !=
        EBPF_OK)
        fail_msg("%s", diagnostics(ctx));
    return obj;
}

static inline machine load_for(const char *text, int endian, uint32_t cpus) {
    machine m = {.ctx = ebpf_ctx_new(0)};
    assert_non_null(m.ctx);
    if (ebpf_vm_new(m.ctx, assemble(m.ctx, text, endian), cpus, &m.vm) != EBPF_OK)
        fail_msg("%s", diagnostics(m.ctx));
    m.state = ebpf_vm_state_of(m.vm);
    m.inputs = ebpf_vm_inputs_of(m.vm);
    return m;
}

static inline machine load(const char *text) {
    return load_for(text, EBPF_LITTLE, 0);
}

static inline void unload(machine *m) {
    ebpf_ctx_free(m->ctx);
}

static inline int run(machine *m, void *mem, uint32_t size, uint32_t flags) {
    int program = ebpf_vm_program_find(m->vm, "", 0);
    assert_true(program >= 0);
    assert_int_equal(ebpf_vm_start(m->vm, (uint32_t)program, mem, size, flags), EBPF_OK);
    m->state->budget = BUDGET;
    return ebpf_vm_run(m->vm);
}

static inline uint64_t result(machine *m, void *mem, uint32_t size) {
    if (run(m, mem, size, EBPF_VM_SIZE_IN_R2) != EBPF_STOP_EXIT)
        fail_msg("stop %u: %s", m->state->stop, diagnostics(m->ctx));
    return m->state->reg[0];
}

static inline uint64_t result_of(const char *text) {
    machine m = load(text);
    uint64_t r0 = result(&m, NULL, 0);
    unload(&m);
    return r0;
}

/* ---- one map ---- */

typedef struct map_shape {
    uint32_t type, key, value, entries, flags;
} map_shape;

/* An object with the given code and one map "m": made here, without the assembler's directive. */
static inline int load_with_map(machine *m, const char *text, map_shape shape, uint32_t cpus) {
    *m = (machine){.ctx = ebpf_ctx_new(0)};
    assert_non_null(m->ctx);
    ebpf_object *obj = assemble(m->ctx, text, EBPF_LITTLE);
    uint32_t symbol = 0;
    for (uint32_t i = 1; i < obj->symbols.len; i++)
        if (eb_str_is(obj->symbols.at[i].name, "m"))
            symbol = i;
    *EB_PUSH(&m->ctx->arena, &obj->maps) = (eb_map_def){.name = EB_STR("m"),
                                                        .symbol = symbol,
                                                        .type = shape.type,
                                                        .key_size = shape.key,
                                                        .value_size = shape.value,
                                                        .max_entries = shape.entries,
                                                        .flags = shape.flags};
    int status = ebpf_vm_new(m->ctx, obj, cpus, &m->vm);
    if (status == EBPF_OK) {
        m->state = ebpf_vm_state_of(m->vm);
        m->inputs = ebpf_vm_inputs_of(m->vm);
    }
    return status;
}

static inline machine with_map(const char *text, map_shape shape, uint32_t cpus) {
    machine m;
    if (load_with_map(&m, text, shape, cpus) != EBPF_OK)
        fail_msg("%s", diagnostics(m.ctx));
    return m;
}

#endif
