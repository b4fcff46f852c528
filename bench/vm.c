/* vm.c - how fast the VM is: assembles each program named on the command line, runs it on 8192
 * bytes of context and prints its instructions per second of CPU time, the best of three runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ebpf_vm.h"

enum { MEM = 8192, TEXT_MOST = 1 << 20, RUNS = 3 };

static double cpu_seconds(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

static void explain(ebpf_ctx *ctx) {
    ebpf_bytes text;
    if (ebpf_diagnostics(ctx, EBPF_DIAG_TEXT, &text) == EBPF_OK)
        fwrite(text.data, 1, text.size, stderr);
}

static ebpf_vm *load(ebpf_ctx *ctx, const char *path) {
    ebpf_object *obj;
    ebpf_vm *vm;
    char *text = ebpf_ctx_alloc(ctx, TEXT_MOST);
    FILE *file = fopen(path, "rb");
    if (!file || !text) {
        fprintf(stderr, "%s cannot be read\n", path);
        return NULL;
    }
    size_t size = fread(text, 1, TEXT_MOST, file);
    fclose(file);
    if (ebpf_assemble(ctx, path, strlen(path), text, size, EBPF_DIALECT_LLVM, EBPF_LITTLE, &obj) ||
        ebpf_vm_new(ctx, obj, 0, &vm)) {
        explain(ctx);
        return NULL;
    }
    return vm;
}

/* Instructions per second of one run, or a negative number. */
static double rate(ebpf_vm *vm, void *mem) {
    int program = ebpf_vm_program_find(vm, "", 0);
    memset(mem, 0, MEM);
    if (program < 0 || ebpf_vm_start(vm, (uint32_t)program, mem, MEM, EBPF_VM_SIZE_IN_R2))
        return -1;
    ebpf_vm_state_of(vm)->budget = UINT64_MAX;
    double start = cpu_seconds();
    if (ebpf_vm_run(vm) != EBPF_STOP_EXIT)
        return -1;
    return (double)ebpf_vm_state_of(vm)->executed / (cpu_seconds() - start);
}

static int measure(const char *path) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    ebpf_vm *vm = load(ctx, path);
    void *mem = ebpf_ctx_alloc(ctx, MEM);
    double best = -1;
    for (int i = 0; vm && mem && i < RUNS; i++) {
        double now = rate(vm, mem);
        best = now > best ? now : best;
    }
    if (best > 0)
        printf("%-32s %12llu instructions  %7.1f M/s  r0 0x%llx\n", path,
               (unsigned long long)ebpf_vm_state_of(vm)->executed, best / 1e6,
               (unsigned long long)ebpf_vm_state_of(vm)->reg[0]);
    else
        explain(ctx);
    ebpf_ctx_free(ctx);
    return best > 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    int failed = argc < 2;
    if (failed)
        fprintf(stderr, "usage: bench_vm PROGRAM.s...\n");
    for (int i = 1; i < argc; i++)
        failed |= measure(argv[i]);
    return failed;
}
