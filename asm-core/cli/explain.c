/* explain.c - explain: what the kernel's verifier said, in plain words. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* The lines of C of the object that was loaded; false after a message. */
static bool use_object(ebpf_ctx *ctx, const options *opt, ebpf_log *log, blob *bytes) {
    const char *program = opt->prog ? opt->prog : "";
    ebpf_object *obj;
    int status;
    if (!read_file(opt->object, bytes))
        return false;
    status =
        ebpf_object_read(ctx, opt->object, strlen(opt->object), bytes->data, bytes->size, &obj);
    if (status == EBPF_OK)
        status = ebpf_log_object(ctx, log, obj, program, strlen(program));
    if (status == EBPF_OK)
        return true;
    if (status == EBPF_E_ARG)
        fprintf(stderr, "bpfc: %s has %s; name one by --prog (bpfc info lists them)\n", opt->object,
                opt->prog ? "no such program" : "not one program only");
    else
        report(ctx, opt, status);
    return false;
}

static int work_explain(ebpf_ctx *ctx, const options *opt, const blob *file) {
    ebpf_log *log;
    ebpf_bytes out;
    blob object = {0};
    int code = EXIT_INPUT;
    int status = ebpf_log_read(ctx, file->data, file->size, &log);
    if (status == EBPF_OK && opt->object && !use_object(ctx, opt, log, &object)) {
        free(object.data);
        return EXIT_INPUT;
    }
    if (status == EBPF_OK)
        status = opt->lines ? ebpf_log_json(ctx, log, 0, UINT32_MAX, &out)
                            : ebpf_log_explain(ctx, log, explain_format(opt), &out);
    bool data = opt->json || opt->lines;
    if (status != EBPF_OK) {
        code = report(ctx, opt, status);
    } else if (ebpf_log_recognized(log) || data) {
        code = put_out(opt, &out);
        if (data && !opt->out)
            putchar('\n');
    } else {
        fprintf(stderr, "bpfc: %s: %.*s", input_name(opt->file), (int)out.size,
                (const char *)out.data);
    }
    if (status == EBPF_OK && !ebpf_log_recognized(log))
        code = EXIT_INPUT;
    free(object.data);
    return code;
}

int verb_explain(const options *opt) {
    return with_file(opt, work_explain);
}
