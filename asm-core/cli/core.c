/* core.c - core: an object's CO-RE relocations against BTF, listed, and the object so relocated. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static int write_object(ebpf_ctx *ctx, const options *opt, const ebpf_object *obj) {
    ebpf_bytes elf;
    int status = ebpf_object_write(ctx, obj, &elf);
    if (status != EBPF_OK)
        return report(ctx, opt, status);
    return write_file(opt->out, elf.data, elf.size) ? 0 : EXIT_INPUT;
}

/* The list goes to standard output, unless the object does. */
static int relocate(ebpf_ctx *ctx, const options *opt, ebpf_object *obj,
                    const ebpf_core_target *targets) {
    ebpf_bytes list = {0};
    int format = opt->json ? EBPF_CORE_JSON : EBPF_CORE_TEXT;
    bool to_stdout = opt->out && strcmp(opt->out, "-") == 0;
    int status = ebpf_object_relocate(ctx, obj, targets, (uint32_t)opt->btfs, format, &list);
    if (list.size && !to_stdout) {
        fwrite(list.data, 1, list.size, stdout);
        if (opt->json)
            putchar('\n');
    }
    options text = *opt;
    text.json = opt->json && !list.size; /* the list has what the diagnostics say */
    int code =
        opt->json && list.size ? (status == EBPF_OK ? 0 : EXIT_INPUT) : report(ctx, &text, status);
    return status == EBPF_OK && opt->out ? write_object(ctx, opt, obj) : code;
}

static int work_core(ebpf_ctx *ctx, const options *opt, const blob *file) {
    ebpf_object *obj;
    blob btf[BTFS_MOST];
    ebpf_core_target targets[BTFS_MOST];
    int read = 0, code = EXIT_INPUT;
    const char *name = strcmp(opt->file, "-") == 0 ? "<stdin>" : opt->file;
    int status = ebpf_object_read(ctx, name, strlen(name), file->data, file->size, &obj);
    if (status != EBPF_OK)
        return report(ctx, opt, status);
    while (read < opt->btfs && read_file(opt->btf[read], &btf[read])) {
        const char *path = opt->btf[read];
        targets[read] = (ebpf_core_target){path, strlen(path), btf[read].data, btf[read].size};
        read++;
    }
    if (read == opt->btfs)
        code = relocate(ctx, opt, obj, targets);
    while (read > 0)
        free(btf[--read].data);
    return code;
}

int verb_core(const options *opt) {
    options running = *opt;
    if (!opt->btfs)
        running.btf[running.btfs++] = "/sys/kernel/btf/vmlinux";
    return with_file(&running, work_core);
}
