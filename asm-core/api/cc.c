/* cc.c - the entry points of ebpf_cc.h: arguments checked, a guard around the work, nothing else.
 */
#include "ebpf_cc.h"
#include "compile.h"
#include "guard.h"
#include "lower.h"
#include "packed.h"
#include "pass.h"

struct ebpf_cc {
    ebpf_ctx *ctx;
    eb_pp *pp;
    eb_pp_options options;
};

typedef struct unit_args {
    eb_str name, text;
    eb_pp_options options;
    uint32_t error_limit;
    ebpf_cc **out;
} unit_args;

enum { ERRORS_USUAL = 20 }; /* as clang's -ferror-limit */

static int run_new(ebpf_ctx *ctx, void *args) {
    unit_args *a = args;
    ebpf_cc *unit = eb_alloc(&ctx->arena, sizeof *unit);
    unit->ctx = ctx;
    unit->pp = eb_pp_new(ctx, a->name, a->text, &a->options);
    unit->options = a->options;
    ctx->error_most = a->error_limit ? a->error_limit : ERRORS_USUAL;
    *a->out = unit;
    return EBPF_OK;
}

int ebpf_cc_new(ebpf_ctx *ctx, const char *name, size_t name_size, const void *text, size_t size,
                const ebpf_cc_options *options, ebpf_cc **out) {
    *out = NULL;
    unit_args args = {{name, name_size}, {text, size}, {.cpu = 3, .optimize = true}, 0, out};
    if (options) {
        if (options->cpu > 4 || options->endian > EBPF_BIG)
            return EBPF_E_ARG;
        args.options.cpu = options->cpu ? options->cpu : 3;
        args.options.bare = options->bare != 0;
        args.error_limit = options->error_limit;
        args.options.big = options->endian == EBPF_BIG;
        args.options.optimize = !options->plain;
        args.options.small = options->small != 0;
        args.options.standard.year = options->year;
        args.options.standard.strict = options->strict != 0;
        args.options.defines = (eb_str){options->defines, options->defines_size};
        args.options.warnings = (eb_str){options->warnings, options->warnings_size};
        args.options.text = options->text;
        args.options.dialect = options->dialect;
    }
    return eb_guard(ctx, run_new, &args);
}

typedef struct text_args {
    eb_pp *pp;
    ebpf_bytes *out;
} text_args;

static int run_preprocess(ebpf_ctx *ctx, void *args) {
    text_args *a = args;
    a->pp->printing = true;
    if (!eb_pp_run(a->pp))
        return EBPF_NEED_FILE;
    eb_buf text = {.arena = &ctx->arena};
    eb_pp_print(a->pp, &text);
    *a->out = (ebpf_bytes){text.at, text.len};
    return ctx->errors ? EBPF_E_INPUT : EBPF_OK;
}

int ebpf_cc_preprocess(ebpf_cc *unit, ebpf_bytes *text) {
    *text = (ebpf_bytes){0};
    return eb_guard(unit->ctx, run_preprocess, &(text_args){unit->pp, text});
}

static int run_includes(ebpf_ctx *ctx, void *args) {
    text_args *a = args;
    eb_buf text = {.arena = &ctx->arena};
    eb_pp_print_includes(a->pp, &text);
    *a->out = (ebpf_bytes){text.at, text.len};
    return EBPF_OK;
}

int ebpf_cc_includes(ebpf_cc *unit, ebpf_bytes *text) {
    *text = (ebpf_bytes){0};
    return eb_guard(unit->ctx, run_includes, &(text_args){unit->pp, text});
}

static int run_check(ebpf_ctx *ctx, void *args) {
    eb_pp *pp = args;
    if (!eb_pp_run(pp))
        return EBPF_NEED_FILE;
    eb_parse(pp);
    return ctx->errors ? EBPF_E_INPUT : EBPF_OK;
}

int ebpf_cc_check(ebpf_cc *unit) {
    return eb_guard(unit->ctx, run_check, unit->pp);
}

typedef struct object_args {
    ebpf_cc *unit;
    ebpf_object **out;
} object_args;

static int run_compile(ebpf_ctx *ctx, void *args) {
    object_args *a = args;
    (void)ctx;
    if (!eb_pp_run(a->unit->pp))
        return EBPF_NEED_FILE;
    *a->out = eb_compile(a->unit->pp, &a->unit->options);
    return *a->out ? EBPF_OK : EBPF_E_INPUT;
}

int ebpf_cc_compile(ebpf_cc *unit, ebpf_object **out) {
    *out = NULL;
    return eb_guard(unit->ctx, run_compile, &(object_args){unit, out});
}

typedef struct ir_args {
    ebpf_cc *unit;
    eb_str behind;
    ebpf_bytes *out;
} ir_args;

static int run_ir(ebpf_ctx *ctx, void *args) {
    ir_args *a = args;
    if (!eb_pp_run(a->unit->pp))
        return EBPF_NEED_FILE;
    eb_unit *u = eb_parse(a->unit->pp);
    if (ctx->errors)
        return EBPF_E_INPUT;
    eb_ir_unit *ir = eb_lower_unit(u, &a->unit->options);
    ir->dump_after = a->behind;
    ir->dump.arena = &ctx->arena;
    if (!a->behind.len)
        eb_ir_print(ir, &ir->dump);
    else if (!ctx->errors)
        eb_ir_optimize(ir);
    if (ir->broken.len)
        eb_diag_add(ctx, EB_DIAG_INTERNAL, 0, 0, (int)ir->broken.len, ir->broken.at);
    *a->out = (ebpf_bytes){ir->dump.at, ir->dump.len};
    return ctx->errors ? EBPF_E_INPUT : EBPF_OK;
}

int ebpf_cc_ir(ebpf_cc *unit, const char *pass, ebpf_bytes *text) {
    *text = (ebpf_bytes){0};
    return eb_guard(unit->ctx, run_ir, &(ir_args){unit, eb_str_from(pass), text});
}

int ebpf_cc_request(ebpf_cc *unit, ebpf_cc_file *wanted) {
    eb_pp *pp = unit->pp;
    if (!pp->wanted)
        return EBPF_E_ARG;
    const eb_pp_request *request = &pp->requests.at[pp->wanted - 1];
    eb_str from = pp->files.at[request->from].path;
    *wanted = (ebpf_cc_file){request->spelling.at, request->spelling.len, from.at, from.len,
                             request->kind};
    return EBPF_OK;
}

typedef struct answer_args {
    eb_pp *pp;
    eb_str path, text;
    bool system;
} answer_args;

static int run_answer(ebpf_ctx *ctx, void *args) {
    answer_args *a = args;
    (void)ctx;
    eb_pp_found(a->pp, a->pp->wanted - 1, a->path, a->text, a->system);
    return EBPF_OK;
}

int ebpf_cc_answer(ebpf_cc *unit, const char *path, size_t path_size, const void *text, size_t size,
                   uint32_t system) {
    if (!unit->pp->wanted)
        return EBPF_E_ARG;
    answer_args args = {unit->pp, {path, path_size}, {text, size}, system != 0};
    return eb_guard(unit->ctx, run_answer, &args);
}

typedef struct packed_args {
    eb_pp *pp;
    eb_str path, set;
} packed_args;

static int run_packed(ebpf_ctx *ctx, void *args) {
    packed_args *a = args;
    size_t folder = sizeof EBPF_CC_HEADERS; /* and its slash */
    eb_str text;
    if (!eb_str_starts(a->path, EBPF_CC_HEADERS "/"))
        return EBPF_NEED_FILE;
    eb_str path = {a->path.at + folder, a->path.len - folder};
    int found = eb_packed_find(&ctx->arena, a->set, path, &text);
    if (found < 0)
        return EBPF_E_INPUT;
    if (!found) {
        eb_pp_request *request = &a->pp->requests.at[a->pp->wanted - 1];
        if (eb_str_eq(path, request->spelling))
            request->near = eb_str_copy(&ctx->arena, eb_packed_near(a->set, path));
        return EBPF_NEED_FILE;
    }
    eb_pp_found(a->pp, a->pp->wanted - 1, a->path, text, true);
    return EBPF_OK;
}

int ebpf_cc_answer_packed(ebpf_cc *unit, const char *path, size_t path_size, const void *set,
                          size_t set_size) {
    if (!unit->pp->wanted)
        return EBPF_E_ARG;
    packed_args args = {unit->pp, {path, path_size}, {set, set_size}};
    return eb_guard(unit->ctx, run_packed, &args);
}

typedef struct btf_args {
    eb_pp *pp;
    const ebpf_core_target *btfs;
    uint32_t count;
} btf_args;

/* The first may bring a base of its own; the others stand where it stands. */
static int open_btfs(ebpf_ctx *ctx, const btf_args *a) {
    eb_pp *pp = a->pp;
    for (uint32_t i = 0; i < a->count; i++) {
        const ebpf_core_target *from = &a->btfs[i];
        const eb_btf *base = i ? pp->btfs.at[0] : NULL;
        eb_btf *btf;
        if (eb_btf_open_unchecked(ctx, (eb_str){from->name, from->name_size}, from->bytes,
                                  from->size, base, &btf))
            return EBPF_E_INPUT;
        if (!i && btf->base)
            *EB_PUSH(&ctx->arena, &pp->btfs) = btf->base;
        *EB_PUSH(&ctx->arena, &pp->btfs) = btf;
    }
    return EBPF_OK;
}

static int run_answer_btf(ebpf_ctx *ctx, void *args) {
    btf_args *a = args;
    int status = a->pp->btfs.len ? EBPF_OK : open_btfs(ctx, a);
    if (status == EBPF_OK)
        eb_pp_found_btf(a->pp, a->pp->wanted - 1);
    return status;
}

int ebpf_cc_answer_btf(ebpf_cc *unit, const ebpf_core_target *btfs, uint32_t count) {
    if (!unit->pp->wanted || !count)
        return EBPF_E_ARG;
    return eb_guard(unit->ctx, run_answer_btf, &(btf_args){unit->pp, btfs, count});
}

int ebpf_cc_absent(ebpf_cc *unit) {
    if (!unit->pp->wanted)
        return EBPF_E_ARG;
    eb_pp_absent(unit->pp, unit->pp->wanted - 1);
    return EBPF_OK;
}
