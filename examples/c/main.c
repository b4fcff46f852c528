/*
 * main.c - the toolchain from C: a program is compiled from text, loaded into the running kernel,
 * attached, and its variable read after a second. It needs Linux and root, but no compiler of BPF,
 * no headers, and no other library than the two.
 *
 *   cc main.c $(pkg-config --cflags --libs kb ebpf) -o calls && sudo ./calls
 */
#include <ebpf.h>
#include <ebpf_cc.h>
#include <inttypes.h>
#include <kb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char program_text[] = "#define SEC(name) __attribute__((section(name), used))\n"
                                   "unsigned long long calls;\n"
                                   "SEC(\"raw_tp/sys_enter\") int count(void *ctx) {\n"
                                   "    __sync_fetch_and_add(&calls, 1);\n"
                                   "    return 0;\n"
                                   "}\n"
                                   "char LICENSE[] SEC(\"license\") = \"GPL\";\n";

/* Compiles the text; the bytes of ELF belong to the context. False after saying what is wrong. */
static int compile(ebpf_ctx *ctx, ebpf_bytes *elf) {
    static const char name[] = "calls.bpf.c";
    ebpf_bytes diagnostics;
    ebpf_object *object;
    ebpf_cc *unit;

    if (ebpf_cc_new(ctx, name, strlen(name), program_text, strlen(program_text), NULL, &unit) ==
            EBPF_OK &&
        ebpf_cc_compile(unit, &object) == EBPF_OK && ebpf_object_write(ctx, object, elf) == EBPF_OK)
        return 1;
    if (ebpf_diagnostics(ctx, EBPF_DIAG_TEXT, &diagnostics) == EBPF_OK)
        fprintf(stderr, "%.*s", (int)diagnostics.size, (const char *)diagnostics.data);
    return 0;
}

int main(void) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    struct kb_object *object = NULL;
    struct kb_program *program = NULL;
    struct kb_map *variables = NULL;
    struct kb_link *link = NULL;
    struct kb_error err = {0};
    uint64_t calls = 0;
    uint32_t zero = 0;
    ebpf_bytes elf;

    if (!ctx || !compile(ctx, &elf))
        return 1;
    int rc = kb_object_open(elf.data, elf.size, NULL, &object, &err);
    ebpf_ctx_free(ctx); /* kb has copied the bytes */
    rc = rc ? rc : kb_object_load(object, NULL, &err);
    rc = rc ? rc : kb_object_program(object, 0, &program, &err);
    rc = rc ? rc : kb_object_map(object, 0, &variables, &err); /* section .bss */
    rc = rc ? rc : kb_program_attach(program, NULL, &link, &err);
    if (!rc)
        sleep(1);
    rc = rc ? rc : kb_map_lookup(variables, &zero, sizeof(zero), &calls, sizeof(calls), 0, &err);
    if (rc)
        fprintf(stderr, "%s\n", err.text);
    else
        printf("%" PRIu64 " system calls in a second\n", calls);
    kb_link_close(&link);
    kb_program_close(&program);
    kb_map_close(&variables);
    kb_object_close(&object);
    kb_error_clear(&err);
    return rc ? 1 : 0;
}
