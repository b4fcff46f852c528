/* verbs.c - as, dis, info, strip: each one request in one context. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

enum { STDOUT = 1, STDERR = 2 };

#if defined(_WIN32)
static bool is_terminal(int file) {
    (void)file;
    return false;
}
#else
#include <unistd.h>
static bool is_terminal(int file) {
    return isatty(file);
}
#endif

int explain_format(const options *opt) {
    bool standard = !opt->out || strcmp(opt->out, "-") == 0;
    return opt->json                                                ? EBPF_DIAG_JSON
           : standard && is_terminal(STDOUT) && !getenv("NO_COLOR") ? EBPF_DIAG_ANSI
                                                                    : EBPF_DIAG_TEXT;
}

int report(ebpf_ctx *ctx, const options *opt, int status) {
    ebpf_bytes text = {0};
    int format = opt->json                                    ? EBPF_DIAG_JSON
                 : is_terminal(STDERR) && !getenv("NO_COLOR") ? EBPF_DIAG_ANSI
                                                              : EBPF_DIAG_TEXT;
    if (status == EBPF_E_NOMEM)
        fprintf(stderr, "bpfc: %s: out of memory\n", opt->file);
    else if (status == EBPF_E_LIMIT)
        fprintf(stderr, "bpfc: %s: the input is too large: its limit of memory is reached\n",
                opt->file);
    else if (ebpf_diagnostics(ctx, format, &text) == EBPF_OK && text.size) {
        FILE *out = opt->json ? stdout : stderr;
        fwrite(text.data, 1, text.size, out);
        if (opt->json)
            fputc('\n', out);
    }
    return status == EBPF_OK ? 0 : EXIT_INPUT;
}

int load_object(ebpf_ctx *ctx, const options *opt, const blob *file, ebpf_object **out) {
    const char *name = input_name(opt->file);
    if (opt->raw)
        return ebpf_object_from_raw(ctx, name, strlen(name), file->data, file->size, opt->endian,
                                    out);
    if (file->size >= 4 && memcmp(file->data, "\177ELF", 4) == 0)
        return ebpf_object_read(ctx, name, strlen(name), file->data, file->size, out);
    return ebpf_assemble(ctx, name, strlen(name), file->data, file->size, opt->dialect, opt->endian,
                         out);
}

const char *input_name(const char *path) {
    return strcmp(path, "-") == 0 ? "<stdin>" : path;
}

int with_file(const options *opt, worker *work) {
    blob file;
    if (!read_file(opt->file, &file))
        return EXIT_INPUT;
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    int status = EXIT_INPUT;
    if (ctx)
        status = work(ctx, opt, &file);
    else
        fprintf(stderr, "bpfc: out of memory\n");
    ebpf_ctx_free(ctx);
    free(file.data);
    return status;
}

/* ---- as ---- */

static char *object_path(const options *opt) {
    const char *dot = strrchr(opt->file, '.'), *slash = strrchr(opt->file, '/');
    size_t stem = dot && dot > (slash ? slash + 1 : opt->file) ? (size_t)(dot - opt->file)
                                                               : strlen(opt->file);
    char *path = malloc(stem + 3);
    if (path) {
        memcpy(path, opt->file, stem);
        memcpy(path + stem, ".o", 3);
    }
    return path;
}

static int work_as(ebpf_ctx *ctx, const options *opt, const blob *file) {
    ebpf_object *obj;
    ebpf_bytes elf;
    const char *name = input_name(opt->file);
    int status = ebpf_assemble(ctx, name, strlen(name), file->data, file->size, opt->dialect,
                               opt->endian, &obj);
    if (status == EBPF_OK)
        status = ebpf_object_write(ctx, obj, &elf);
    int code = report(ctx, opt, status);
    if (status != EBPF_OK)
        return code;
    char *path = opt->out ? NULL : object_path(opt);
    if (!opt->out && !path)
        return EXIT_INPUT;
    if (!write_file(opt->out ? opt->out : path, elf.data, elf.size))
        code = EXIT_INPUT;
    free(path);
    return code;
}

int verb_as(const options *opt) {
    if (!opt->out && strcmp(opt->file, "-") == 0) {
        options to_stdout = *opt;
        to_stdout.out = "-";
        return with_file(&to_stdout, work_as);
    }
    return with_file(opt, work_as);
}

/* ---- dis, info ---- */

int put_out(const options *opt, const ebpf_bytes *text) {
    return write_file(opt->out ? opt->out : "-", text->data, text->size) ? 0 : EXIT_INPUT;
}

static int work_dis(ebpf_ctx *ctx, const options *opt, const blob *file) {
    ebpf_object *obj;
    ebpf_bytes text;
    const char *name = input_name(opt->file);
    uint32_t flags = (opt->bytes ? EBPF_DIS_RAW : 0u) | (opt->numeric ? EBPF_DIS_NUMERIC : 0u) |
                     (opt->hex ? EBPF_DIS_HEX : 0u) | (opt->source ? EBPF_DIS_SOURCE : 0u) |
                     (opt->objdump ? EBPF_DIS_OBJDUMP : 0u) | (opt->relocs ? EBPF_DIS_RELOCS : 0u) |
                     (opt->alu32 ? EBPF_DIS_ALU32 : 0u);
    int status = opt->raw ? load_object(ctx, opt, file, &obj)
                          : ebpf_object_read(ctx, name, strlen(name), file->data, file->size, &obj);
    if (status == EBPF_OK)
        status = ebpf_disassemble(ctx, obj, opt->dialect, flags, &text);
    int code = report(ctx, opt, status);
    return status == EBPF_OK ? put_out(opt, &text) : code;
}

int verb_dis(const options *opt) {
    return with_file(opt, work_dis);
}

/* Diagnostics as text always: --json is about the description. */
static int report_text(ebpf_ctx *ctx, const options *opt, int status) {
    options text = *opt;
    text.json = false;
    return report(ctx, &text, status);
}

static int work_info(ebpf_ctx *ctx, const options *opt, const blob *file) {
    ebpf_object *obj;
    ebpf_bytes out;
    bool standard = !opt->out || strcmp(opt->out, "-") == 0;
    bool text = opt->text || (!opt->json && standard && is_terminal(STDOUT));
    int status = load_object(ctx, opt, file, &obj);
    if (status == EBPF_OK)
        status = text ? ebpf_object_text(ctx, obj, &out) : ebpf_object_info(ctx, obj, &out);
    int code = report_text(ctx, opt, status);
    if (status != EBPF_OK)
        return code;
    code = put_out(opt, &out);
    if (standard && !text)
        putchar('\n');
    return code;
}

int verb_info(const options *opt) {
    return with_file(opt, work_info);
}

/* ---- strip ---- */

static int work_strip(ebpf_ctx *ctx, const options *opt, const blob *file) {
    ebpf_object *obj;
    ebpf_bytes elf;
    const char *name = strcmp(opt->file, "-") == 0 ? "<stdin>" : opt->file;
    uint32_t flags = (opt->labels ? EBPF_STRIP_LABELS : 0u) | (opt->no_btf ? EBPF_STRIP_BTF : 0u);
    int status = ebpf_object_read(ctx, name, strlen(name), file->data, file->size, &obj);
    if (status == EBPF_OK)
        status = ebpf_object_strip(ctx, obj, flags);
    if (status == EBPF_OK)
        status = ebpf_object_write(ctx, obj, &elf);
    int code = report(ctx, opt, status);
    if (status != EBPF_OK)
        return code;
    return write_file(opt->out ? opt->out : opt->file, elf.data, elf.size) ? code : EXIT_INPUT;
}

int verb_strip(const options *opt) {
    return with_file(opt, work_strip);
}
