/* cc.c - cc: each C file to an object, or to what the options say; one context per file. */
#include "cc.h"

#include <stdlib.h>
#include <string.h>

/* What is made of one file: its bytes and where they go. */
typedef struct product {
    ebpf_bytes bytes;
    ebpf_object *object;
} product;

static int run(const cc_options *o, ebpf_cc *unit, product *made) {
    if (o->mode == CC_CHECK)
        return ebpf_cc_check(unit);
    if (o->mode == CC_TEXT || o->mode == CC_DEPENDENCIES)
        return ebpf_cc_preprocess(unit, &made->bytes);
    if (o->ir)
        return ebpf_cc_ir(unit, o->ir, &made->bytes);
    return ebpf_cc_compile(unit, &made->object);
}

static int make(ebpf_ctx *ctx, cc_options *o, cc_search *s, const blob *file, product *made) {
    const char *name = input_name(o->common.file);
    ebpf_cc_options said = {.cpu = o->cpu,
                            .endian = o->endian,
                            .plain = o->level == 0,
                            .small = o->small,
                            .bare = o->no_debug,
                            .year = o->year,
                            .strict = o->strict,
                            .defines = o->defines.at,
                            .defines_size = o->defines.size,
                            .warnings = o->warnings.at,
                            .warnings_size = o->warnings.size,
                            .text = o->text | (o->no_markers ? 0 : EBPF_CC_MARKERS),
                            .dialect = o->dialect,
                            .error_limit = o->error_limit};
    ebpf_cc *unit;
    int status = ebpf_cc_new(ctx, name, strlen(name), file->data, file->size, &said, &unit);
    while (status == EBPF_OK && (status = run(o, unit, made)) == EBPF_NEED_FILE)
        status = cc_answer(unit, s, &o->btf);
    ebpf_bytes headers;
    if (o->show_headers && ebpf_cc_includes(unit, &headers) == EBPF_OK)
        fprintf(stderr, "%.*s", (int)headers.size, (const char *)headers.data);
    if (status != EBPF_OK || !made->object)
        return status;
    return o->mode == CC_ASSEMBLY
               ? ebpf_disassemble(ctx, made->object, EBPF_DIALECT_LLVM, 0, &made->bytes)
               : ebpf_object_write(ctx, made->object, &made->bytes);
}

static const char *ending(enum cc_mode mode) {
    return mode == CC_OBJECT ? ".o" : mode == CC_ASSEMBLY ? ".s" : NULL;
}

/* What was made, and for make how. The preprocessor's text is written after errors, too. */
static int deliver(const cc_options *o, const cc_search *s, const product *made, int code) {
    const char *end = ending(o->mode);
    char *path = o->common.out || !end ? NULL : cc_output_path(o->common.file, end);
    const char *out = o->common.out ? o->common.out : path ? path : "-";
    bool ok = true;
    if (o->mode != CC_CHECK && o->mode != CC_DEPENDENCIES && (code == 0 || made->bytes.size))
        ok = write_file(out, made->bytes.data, made->bytes.size);
    if (ok && code == 0 && o->dependencies)
        ok = cc_write_dependencies(o, s, out);
    free(path);
    return ok ? code : EXIT_INPUT;
}

static int compile(ebpf_ctx *ctx, cc_options *o, const blob *file) {
    cc_search search;
    product made = {0};
    int code = EXIT_INPUT;
    if (cc_open_search(&search, o))
        code =
            deliver(o, &search, &made, report(ctx, &o->common, make(ctx, o, &search, file, &made)));
    cc_close_search(&search);
    return code;
}

static int compile_all(cc_options *o) {
    int code = 0;
    for (size_t n = 0; n < o->files.count; n++) {
        o->common.file = o->files.at[n];
        blob file;
        if (!read_file(o->common.file, &file)) {
            code = EXIT_INPUT;
            continue;
        }
        ebpf_ctx *ctx = ebpf_ctx_new(0);
        int status = ctx ? compile(ctx, o, &file) : EXIT_INPUT;
        ebpf_ctx_free(ctx);
        free(file.data);
        code = status ? status : code;
    }
    return code;
}

static void show_search(const cc_options *o) {
    cc_search search;
    if (cc_open_search(&search, o))
        cc_print_search(&search);
    cc_close_search(&search);
}

/* -###, as clang prints a command. */
static void show_command(const cc_options *o) {
    fprintf(stderr, "bpfc %s\nTarget: bpf\n \"bpfc\" \"cc\"", ebpf_version());
    for (size_t n = 0; n < o->said.count; n++) {
        fprintf(stderr, " \"");
        for (const char *at = o->said.at[n]; *at; at++)
            fprintf(stderr, "%s%c", strchr("\"\\$", *at) ? "\\" : "", *at);
        fprintf(stderr, "\"");
    }
    fprintf(stderr, "\n");
}

int verb_cc(int argc, char **argv) {
    cc_options o;
    int status = cc_read_options(&o, argc, argv);
    if (status == 0 && o.help)
        cc_print_help();
    else if (status == 0 && o.version)
        printf("bpfc cc %s, for clang version 19.1.7\nTarget: bpf\n", ebpf_version());
    else if (status == 0 && o.answer.size)
        fwrite(o.answer.at, 1, o.answer.size, stdout);
    else if (status == 0 && o.commands)
        show_command(&o);
    else if (status == 0) {
        if (o.verbose)
            show_search(&o);
        /* clang's order: all of -D and -U, then -imacros, then -include */
        for (int n = 1; n >= 0 && status == 0; n--)
            if (o.includes[n].size &&
                !add_text(&o.defines, "%.*s", (int)o.includes[n].size, o.includes[n].at))
                status = EXIT_INPUT;
        status = status ? status : compile_all(&o);
    }
    close_btf(&o.btf);
    cc_free_options(&o);
    return status;
}
