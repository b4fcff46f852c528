/* verify.c - the entry points of ebpf_verify.h: arguments checked, a guard around the work. */
#include "guard.h"
#include "log.h"

typedef struct read_args {
    eb_str text;
    ebpf_log **out;
} read_args;

static int run_read(ebpf_ctx *ctx, void *args) {
    read_args *a = args;
    *a->out = eb_log_read(ctx, a->text);
    return EBPF_OK;
}

int ebpf_log_read(ebpf_ctx *ctx, const void *bytes, size_t size, ebpf_log **out) {
    *out = NULL;
    return eb_guard(ctx, run_read, &(read_args){{size ? bytes : "", size}, out});
}

typedef struct object_args {
    ebpf_log *log;
    const ebpf_object *obj;
    eb_str program;
} object_args;

static int run_object(ebpf_ctx *ctx, void *args) {
    object_args *a = args;
    (void)ctx;
    return eb_log_set_object(a->log, a->obj, a->program);
}

int ebpf_log_object(ebpf_ctx *ctx, ebpf_log *log, const ebpf_object *obj, const char *program,
                    size_t program_size) {
    object_args args = {log, obj, {program_size ? program : "", program_size}};
    return eb_guard(ctx, run_object, &args);
}

int ebpf_log_recognized(const ebpf_log *log) {
    return log->recognized;
}

uint32_t ebpf_log_count(const ebpf_log *log) {
    return log->lines.len;
}

static ebpf_bytes bytes_of(eb_str text) {
    return (ebpf_bytes){text.at, text.len};
}

int ebpf_log_line_at(const ebpf_log *log, uint32_t index, ebpf_log_line *out) {
    if (index >= log->lines.len)
        return EBPF_E_ARG;
    const eb_log_line *line = &log->lines.at[index];
    *out = (ebpf_log_line){.kind = line->kind,
                           .insn = line->insn,
                           .from = line->from,
                           .source = line->number,
                           .text = bytes_of(line->text),
                           .state = bytes_of(line->state),
                           .file = bytes_of(line->file)};
    return EBPF_OK;
}

typedef struct values_args {
    eb_str state;
    const ebpf_log_value **values;
    uint32_t *count;
} values_args;

static int run_values(ebpf_ctx *ctx, void *args) {
    values_args *a = args;
    eb_log_cursor cursor = {a->state, 0};
    EB_VEC(ebpf_log_value) values = {0};
    ebpf_log_value value;
    while (eb_log_next_value(&cursor, &value))
        *EB_PUSH(&ctx->arena, &values) = value;
    *a->values = values.at;
    *a->count = values.len;
    return EBPF_OK;
}

int ebpf_log_values(ebpf_ctx *ctx, const ebpf_log *log, uint32_t index,
                    const ebpf_log_value **values, uint32_t *count) {
    if (index >= log->lines.len)
        return EBPF_E_ARG;
    values_args args = {log->lines.at[index].state, values, count};
    return eb_guard(ctx, run_values, &args);
}

typedef struct put_args {
    const ebpf_log *log;
    int format;
    uint32_t first, count;
    ebpf_bytes *out;
} put_args;

static int run_explain(ebpf_ctx *ctx, void *args) {
    put_args *a = args;
    eb_buf text = {.arena = &ctx->arena};
    if (a->format == EBPF_DIAG_JSON)
        eb_log_explain_json(a->log, &text);
    else
        eb_log_explain_text(a->log, a->format == EBPF_DIAG_ANSI, &text);
    *a->out = (ebpf_bytes){text.at, text.len};
    return EBPF_OK;
}

int ebpf_log_explain(ebpf_ctx *ctx, const ebpf_log *log, int format, ebpf_bytes *out) {
    if (format < EBPF_DIAG_TEXT || format > EBPF_DIAG_JSON)
        return EBPF_E_ARG;
    return eb_guard(ctx, run_explain, &(put_args){log, format, 0, 0, out});
}

static int run_json(ebpf_ctx *ctx, void *args) {
    put_args *a = args;
    eb_buf text = {.arena = &ctx->arena};
    eb_log_lines_json(a->log, a->first, a->count, &text);
    *a->out = (ebpf_bytes){text.at, text.len};
    return EBPF_OK;
}

int ebpf_log_json(ebpf_ctx *ctx, const ebpf_log *log, uint32_t first, uint32_t count,
                  ebpf_bytes *json) {
    return eb_guard(ctx, run_json, &(put_args){log, 0, first, count, json});
}
