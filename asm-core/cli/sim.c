/* sim.c - sim: one run of a program in the VM. Standard output has what the program printed, what
 * was asked for (registers at breakpoints, trace, coverage), the packet, and last r0. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

enum { TRACE_ENTRIES = 1000 };

typedef struct inputs {
    blob mem, ctx, packet, kconfig;
} inputs;

static void show(ebpf_vm *vm, uint32_t what) {
    ebpf_bytes text;
    if (ebpf_vm_show(vm, what, &text) == EBPF_OK && text.size)
        fwrite(text.data, 1, text.size, stdout);
}

static int finish(ebpf_ctx *ctx, const options *opt, ebpf_vm *vm, int stop) {
    const ebpf_vm_state *state = ebpf_vm_state_of(vm);
    ebpf_bytes text;
    if (ebpf_vm_printk(vm, &text) == EBPF_OK && text.size)
        fwrite(text.data, 1, text.size, stdout);
    if (opt->trace)
        show(vm, EBPF_SHOW_TRACE);
    if (opt->coverage)
        show(vm, EBPF_SHOW_COVERAGE);
    if (stop == EBPF_STOP_EXIT) {
        show(vm, EBPF_SHOW_RESULT);
        printf("0x%llx\n", (unsigned long long)state->reg[0]);
        return 0;
    }
    if (stop == EBPF_STOP_BUDGET)
        fprintf(stderr, "bpfc: %s: stopped after %llu instructions; --budget sets another limit\n",
                opt->file, (unsigned long long)state->executed);
    else if (stop == EBPF_STOP_HELPER)
        fprintf(stderr, "bpfc: %s: helper %u (%s) is not available in the VM\n", opt->file,
                state->helper, ebpf_vm_helper_name(vm, state->helper));
    else
        return report(ctx, opt, stop == EBPF_STOP_FAULT ? EBPF_E_INPUT : stop);
    return EXIT_INPUT;
}

static void no_program(const options *opt, const ebpf_vm *vm) {
    ebpf_bytes name;
    fprintf(stderr, "bpfc: %s: there is no program %s", opt->file, opt->prog ? opt->prog : "in it");
    for (uint32_t i = 0; ebpf_vm_program_name(vm, i, &name) == EBPF_OK; i++)
        fprintf(stderr, "%s%.*s", i ? ", " : "; it has ", (int)name.size, (const char *)name.data);
    fputc('\n', stderr);
}

static bool set_type(const options *opt, ebpf_vm *vm, uint32_t program) {
    uint32_t type, attach;
    if (!opt->type)
        return true;
    if (ebpf_program_type_find(opt->type, (uint32_t)strlen(opt->type), &type, &attach) == EBPF_OK)
        return ebpf_vm_set_program_type(vm, program, type, attach) == EBPF_OK;
    fprintf(stderr, "bpfc: no program type or section is called '%s'\n", opt->type);
    return false;
}

static bool set_break(const options *opt, ebpf_vm *vm) {
    if (!opt->stop || ebpf_vm_break_at(vm, opt->stop, (uint32_t)strlen(opt->stop), 1) >= 0)
        return true;
    fprintf(stderr,
            "bpfc: there is no code at '%s': a breakpoint is at a function, file:line or "
            "instruction\n",
            opt->stop);
    return false;
}

static int run(ebpf_ctx *ctx, const options *opt, ebpf_vm *vm, uint32_t program, const inputs *in) {
    uint32_t watch = (opt->trace ? EBPF_VM_TRACE : 0u) | (opt->coverage ? EBPF_VM_COVERAGE : 0u);
    int status = ebpf_vm_observe(vm, watch, opt->trace ? TRACE_ENTRIES : 0);
    if (status == EBPF_OK && opt->mem)
        status =
            ebpf_vm_start(vm, program, in->mem.data, (uint32_t)in->mem.size, EBPF_VM_SIZE_IN_R2);
    else if (status == EBPF_OK)
        status = ebpf_vm_start_typed(vm, program, in->ctx.data, (uint32_t)in->ctx.size,
                                     in->packet.data, (uint32_t)in->packet.size);
    if (status != EBPF_OK)
        return report(ctx, opt, status);
    ebpf_vm_state_of(vm)->budget = opt->budget;
    int stop = ebpf_vm_run(vm);
    for (; stop == EBPF_STOP_BREAK; stop = ebpf_vm_run(vm))
        show(vm, EBPF_SHOW_STATE);
    return finish(ctx, opt, vm, stop);
}

static int simulate(ebpf_ctx *ctx, const options *opt, const ebpf_object *obj, const inputs *in) {
    ebpf_vm *vm;
    const char *prog = opt->prog ? opt->prog : "";
    int status =
        ebpf_vm_new_with(ctx, obj, 0, (const char *)in->kconfig.data, in->kconfig.size, &vm);
    if (status != EBPF_OK)
        return report(ctx, opt, status);
    int program = ebpf_vm_program_find(vm, prog, (uint32_t)strlen(prog));
    if (program < 0) {
        no_program(opt, vm);
        return EXIT_INPUT;
    }
    if (!set_type(opt, vm, (uint32_t)program) || !set_break(opt, vm))
        return EXIT_USAGE;
    return run(ctx, opt, vm, (uint32_t)program, in);
}

/* Answer the CO-RE relocations for the kernel of --btf. */
static int relocate(ebpf_ctx *ctx, const options *opt, ebpf_object *obj) {
    blob btf[BTFS_MOST];
    ebpf_core_target targets[BTFS_MOST] = {{0}};
    ebpf_bytes list;
    int read = 0, code = EXIT_INPUT;
    while (read < opt->btfs && read_file(opt->btf[read], &btf[read])) {
        const char *path = opt->btf[read];
        targets[read] = (ebpf_core_target){path, strlen(path), btf[read].data, btf[read].size};
        read++;
    }
    if (read == opt->btfs) {
        int status = ebpf_object_relocate(ctx, obj, targets, (uint32_t)read, EBPF_CORE_TEXT, &list);
        code = status == EBPF_OK ? 0 : report(ctx, opt, status);
    }
    while (read > 0)
        free(btf[--read].data);
    return code;
}

static bool take(const char *argument, blob *out) {
    if (!argument)
        return true;
    if (!read_memory(argument, out))
        return false;
    if (out->size <= UINT32_MAX)
        return true;
    fprintf(stderr, "bpfc: the memory is too large\n");
    return false;
}

static int work_sim(ebpf_ctx *ctx, const options *opt, const blob *file) {
    ebpf_object *obj;
    inputs in = {0};
    int code = EXIT_USAGE, status = load_object(ctx, opt, file, &obj);
    if (status != EBPF_OK)
        return report(ctx, opt, status);
    if (opt->btfs && relocate(ctx, opt, obj) != 0)
        return EXIT_INPUT;
    if (opt->kconfig && !read_file(opt->kconfig, &in.kconfig))
        return EXIT_INPUT;
    if (take(opt->mem, &in.mem) && take(opt->ctx, &in.ctx) && take(opt->packet, &in.packet))
        code = simulate(ctx, opt, obj, &in);
    free(in.mem.data);
    free(in.ctx.data);
    free(in.packet.data);
    free(in.kconfig.data);
    return code;
}

int verb_sim(const options *opt) {
    if (opt->mem && (opt->ctx || opt->packet)) {
        fprintf(stderr, "bpfc: --mem and --%s exclude each other\n", opt->ctx ? "ctx" : "packet");
        return EXIT_USAGE;
    }
    return with_file(opt, work_sim);
}
