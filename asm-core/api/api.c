/* api.c - the entry points of ebpf.h: arguments checked, a guard around the work, nothing else. */
#include <stdlib.h>
#include <string.h>

#include "assemble.h"
#include "btf_dump.h"
#include "core.h"
#include "guard.h"

const char *ebpf_version(void) {
    return EBPF_VERSION;
}

/* ---- contexts ---- */

ebpf_ctx *ebpf_ctx_new(size_t memory_limit) {
    const size_t usual = sizeof(size_t) == 4 ? (size_t)512 << 20 : (size_t)1 << 30;
    ebpf_ctx *ctx = calloc(1, sizeof *ctx);
    if (!ctx)
        return NULL;
    ctx->arena.limit = ctx->scratch.limit = memory_limit ? memory_limit : usual;
    ctx->error_most = EB_DIAG_MOST;
    return ctx;
}

void ebpf_ctx_free(ebpf_ctx *ctx) {
    if (!ctx)
        return;
    eb_arena_free(&ctx->arena);
    eb_arena_free(&ctx->scratch);
    free(ctx);
}

void *ebpf_ctx_alloc(ebpf_ctx *ctx, size_t size) {
    return eb_try_alloc(&ctx->arena, size);
}

static ebpf_bytes bytes_of(const eb_buf *buf) {
    return (ebpf_bytes){buf->at, buf->len};
}

/* ---- diagnostics ---- */

typedef struct diag_args {
    int format;
    ebpf_bytes *out;
} diag_args;

static int run_diagnostics(ebpf_ctx *ctx, void *args) {
    diag_args *a = args;
    eb_buf text = {.arena = &ctx->arena};
    eb_diag_render(ctx, (enum ebpf_diag_format)a->format, &text);
    *a->out = bytes_of(&text);
    return EBPF_OK;
}

int ebpf_diagnostics(ebpf_ctx *ctx, int format, ebpf_bytes *out) {
    if (format < EBPF_DIAG_TEXT || format > EBPF_DIAG_JSON)
        return EBPF_E_ARG;
    return eb_guard(ctx, run_diagnostics, &(diag_args){format, out});
}

uint32_t ebpf_error_count(const ebpf_ctx *ctx) {
    return ctx->errors;
}

/* ---- assembler, disassembler ---- */

typedef struct text_args {
    eb_str name, text;
    int dialect, endian;
    ebpf_object **out;
} text_args;

static int run_assemble(ebpf_ctx *ctx, void *args) {
    text_args *a = args;
    return eb_assemble(ctx, a->name, a->text, (enum ebpf_dialect)a->dialect, a->endian == EBPF_BIG,
                       a->out);
}

int ebpf_assemble(ebpf_ctx *ctx, const char *name, size_t name_size, const void *text, size_t size,
                  int dialect, int endian, ebpf_object **out) {
    *out = NULL;
    if (dialect < 0 || dialect >= EBPF_DIALECT_COUNT || endian < 0 || endian > EBPF_BIG)
        return EBPF_E_ARG;
    /* No text may come without an address. */
    text_args args = {{name, name_size}, {size ? text : "", size}, dialect, endian, out};
    return eb_guard(ctx, run_assemble, &args);
}

typedef struct dis_args {
    const ebpf_object *obj;
    int dialect;
    uint32_t flags;
    ebpf_bytes *out;
} dis_args;

static int run_disassemble(ebpf_ctx *ctx, void *args) {
    dis_args *a = args;
    eb_buf text = {.arena = &ctx->arena};
    eb_disassemble(a->obj, (enum ebpf_dialect)a->dialect, a->flags, &text);
    *a->out = bytes_of(&text);
    return EBPF_OK;
}

int ebpf_disassemble(ebpf_ctx *ctx, const ebpf_object *obj, int dialect, uint32_t flags,
                     ebpf_bytes *text) {
    if (dialect < 0 || dialect >= EBPF_DIALECT_COUNT ||
        (flags & ~(uint32_t)(2 * EBPF_DIS_ALU32 - 1)))
        return EBPF_E_ARG;
    return eb_guard(ctx, run_disassemble, &(dis_args){obj, dialect, flags, text});
}

/* ---- objects ---- */

typedef struct read_args {
    eb_str name;
    const void *bytes;
    size_t size;
    int endian;
    ebpf_object **out;
} read_args;

static int run_read(ebpf_ctx *ctx, void *args) {
    read_args *a = args;
    return eb_elf_read(ctx, eb_str_copy(&ctx->arena, a->name), a->bytes, a->size, a->out);
}

int ebpf_object_read(ebpf_ctx *ctx, const char *name, size_t name_size, const void *bytes,
                     size_t size, ebpf_object **out) {
    *out = NULL;
    return eb_guard(ctx, run_read, &(read_args){{name, name_size}, bytes, size, 0, out});
}

static int run_from_raw(ebpf_ctx *ctx, void *args) {
    read_args *a = args;
    return eb_object_from_raw(ctx, eb_str_copy(&ctx->arena, a->name), a->bytes, a->size,
                              a->endian == EBPF_BIG, a->out);
}

int ebpf_object_from_raw(ebpf_ctx *ctx, const char *name, size_t name_size, const void *bytes,
                         size_t size, int endian, ebpf_object **out) {
    *out = NULL;
    if (endian < 0 || endian > EBPF_BIG)
        return EBPF_E_ARG;
    return eb_guard(ctx, run_from_raw, &(read_args){{name, name_size}, bytes, size, endian, out});
}

typedef struct strip_args {
    ebpf_object *obj;
    uint32_t flags;
} strip_args;

static int run_strip(ebpf_ctx *ctx, void *args) {
    strip_args *a = args;
    (void)ctx;
    eb_object_strip(a->obj, a->flags);
    return EBPF_OK;
}

int ebpf_object_strip(ebpf_ctx *ctx, ebpf_object *obj, uint32_t flags) {
    if (flags & ~(uint32_t)(EBPF_STRIP_LABELS | EBPF_STRIP_BTF))
        return EBPF_E_ARG;
    return eb_guard(ctx, run_strip, &(strip_args){obj, flags});
}

typedef struct write_args {
    const ebpf_object *obj;
    ebpf_bytes *out;
} write_args;

static int run_write(ebpf_ctx *ctx, void *args) {
    write_args *a = args;
    eb_buf elf = {.arena = &ctx->arena};
    eb_elf_write(a->obj, &elf);
    *a->out = bytes_of(&elf);
    return EBPF_OK;
}

int ebpf_object_write(ebpf_ctx *ctx, const ebpf_object *obj, ebpf_bytes *elf) {
    return eb_guard(ctx, run_write, &(write_args){obj, elf});
}

int ebpf_object_section(ebpf_ctx *ctx, const ebpf_object *obj, const char *name, size_t name_size,
                        ebpf_bytes *bytes) {
    (void)ctx;
    uint32_t section = eb_object_find_section(obj, (eb_str){name, name_size});
    if (!section)
        return EBPF_E_ARG;
    *bytes = bytes_of(&obj->sections.at[section].bytes);
    return EBPF_OK;
}

static int run_info(ebpf_ctx *ctx, void *args) {
    write_args *a = args;
    eb_buf json = {.arena = &ctx->arena};
    eb_object_info_json(a->obj, &json);
    *a->out = bytes_of(&json);
    return EBPF_OK;
}

static int run_text(ebpf_ctx *ctx, void *args) {
    write_args *a = args;
    eb_buf text = {.arena = &ctx->arena};
    eb_object_info_text(a->obj, &text);
    *a->out = bytes_of(&text);
    return EBPF_OK;
}

int ebpf_object_text(ebpf_ctx *ctx, const ebpf_object *obj, ebpf_bytes *text) {
    return eb_guard(ctx, run_text, &(write_args){obj, text});
}

int ebpf_object_info(ebpf_ctx *ctx, const ebpf_object *obj, ebpf_bytes *json) {
    return eb_guard(ctx, run_info, &(write_args){obj, json});
}

/* ---- CO-RE ---- */

typedef struct relocate_args {
    ebpf_object *obj;
    const ebpf_core_target *targets;
    uint32_t count;
    int format;
    ebpf_bytes *out;
} relocate_args;

static int read_target(ebpf_ctx *ctx, const ebpf_core_target *target, const eb_btf *base,
                       eb_core_target *out) {
    eb_btf *btf = NULL;
    out->name = eb_str_copy(&ctx->arena, (eb_str){target->name, target->name_size});
    int status = eb_btf_open(ctx, out->name, target->bytes, target->size, base, &btf);
    out->btf = btf;
    return status;
}

static int run_relocate(ebpf_ctx *ctx, void *args) {
    relocate_args *a = args;
    eb_core_target *targets = eb_alloc_array(&ctx->arena, a->count, sizeof *targets);
    eb_core_results results = {0};
    eb_buf report = {.arena = &ctx->arena};
    for (uint32_t i = 0; i < a->count; i++)
        if (read_target(ctx, &a->targets[i], i ? targets[0].btf : NULL, &targets[i]))
            return EBPF_E_INPUT;
    int status = eb_core_relocate(a->obj, targets, a->count, &results);
    if (a->format == EBPF_CORE_JSON)
        eb_core_report_json(a->obj, &results, targets, &report);
    else
        eb_core_report_text(a->obj, &results, targets, &report);
    *a->out = bytes_of(&report);
    return status;
}

int ebpf_object_relocate(ebpf_ctx *ctx, ebpf_object *obj, const ebpf_core_target *targets,
                         uint32_t count, int format, ebpf_bytes *report) {
    *report = (ebpf_bytes){NULL, 0};
    if (!count || format < EBPF_CORE_TEXT || format > EBPF_CORE_JSON)
        return EBPF_E_ARG;
    return eb_guard(ctx, run_relocate, &(relocate_args){obj, targets, count, format, report});
}

/* ---- BTF ---- */

typedef struct btf_args {
    eb_str name;
    const uint8_t *bytes;
    size_t size;
    const ebpf_btf *btf; /* or the base */
    uint32_t kinds, id, after;
    const uint32_t *roots;
    uint32_t root_count;
    int format;
    ebpf_btf **out;
    ebpf_bytes *text;
} btf_args;

static int run_btf_read(ebpf_ctx *ctx, void *args) {
    btf_args *a = args;
    return eb_btf_open(ctx, eb_str_copy(&ctx->arena, a->name), a->bytes, a->size, a->btf, a->out);
}

int ebpf_btf_read(ebpf_ctx *ctx, const char *name, size_t name_size, const void *bytes, size_t size,
                  const ebpf_btf *base, ebpf_btf **out) {
    btf_args args = {
        .name = {name, name_size}, .bytes = bytes, .size = size, .btf = base, .out = out};
    *out = NULL;
    return eb_guard(ctx, run_btf_read, &args);
}

uint32_t ebpf_btf_count(const ebpf_btf *btf) {
    return btf->count;
}

uint32_t ebpf_btf_first(const ebpf_btf *btf) {
    return btf->first;
}

/* The context that a BTF lives in: where its look-ups make their tables. */
static ebpf_ctx *home_of(const ebpf_btf *btf) {
    _Static_assert(offsetof(ebpf_ctx, arena) == 0, "an arena is the start of its context");
    return (ebpf_ctx *)btf->arena;
}

/* Look at the base first, so that each makes its tables with its own home guarded. */
static int look_up(const ebpf_btf *btf, eb_guarded *look, btf_args *args) {
    int status = btf->base ? look_up(btf->base, look, args) : EBPF_OK;
    args->btf = btf;
    return status ? status : eb_guard(home_of(btf), look, args);
}

static int run_btf_find(ebpf_ctx *ctx, void *args) {
    btf_args *a = args;
    (void)ctx;
    a->id = eb_btf_next(a->btf, a->kinds, a->name, a->after);
    return EBPF_OK;
}

int ebpf_btf_find(const ebpf_btf *btf, uint32_t kinds, const char *name, size_t name_size,
                  uint32_t after, uint32_t *id) {
    btf_args args = {.name = {name, name_size}, .kinds = kinds, .after = after};
    int status = look_up(btf, run_btf_find, &args);
    *id = status ? 0 : args.id;
    return status;
}

static int run_btf_enumerator(ebpf_ctx *ctx, void *args) {
    btf_args *a = args;
    uint32_t number;
    (void)ctx;
    a->id = eb_btf_enumerator(a->btf, a->name, &number);
    return EBPF_OK;
}

int ebpf_btf_find_enumerator(const ebpf_btf *btf, const char *name, size_t name_size,
                             uint32_t *id) {
    btf_args args = {.name = {name, name_size}};
    int status = look_up(btf, run_btf_enumerator, &args);
    *id = status ? 0 : args.id;
    return status;
}

static int run_btf_dump(ebpf_ctx *ctx, void *args) {
    btf_args *a = args;
    eb_buf text = {.arena = &ctx->arena};
    int status = EBPF_OK;
    if (a->format == EBPF_BTF_C)
        status = eb_btf_dump_c(ctx, a->btf, a->roots, a->root_count, &text);
    else if (a->format == EBPF_BTF_RAW)
        eb_btf_dump_raw(a->btf, a->roots, a->root_count, &text);
    else
        eb_btf_dump_json(a->btf, a->roots, a->root_count, &text);
    *a->text = bytes_of(&text);
    return status;
}

int ebpf_btf_dump(ebpf_ctx *ctx, const ebpf_btf *btf, int format, const uint32_t *roots,
                  uint32_t root_count, ebpf_bytes *text) {
    if (format < EBPF_BTF_C || format > EBPF_BTF_JSON)
        return EBPF_E_ARG;
    for (uint32_t i = 0; i < root_count; i++)
        if (!roots[i] || roots[i] >= btf->count)
            return EBPF_E_ARG;
    uint32_t id; /* a look-up for nothing makes the tables while their home is guarded */
    int status = format == EBPF_BTF_C ? ebpf_btf_find(btf, 0, " ", 1, 0, &id) : EBPF_OK;
    btf_args args = {
        .btf = btf, .format = format, .roots = roots, .root_count = root_count, .text = text};
    return status ? status : eb_guard(ctx, run_btf_dump, &args);
}

static int run_btf_spell(ebpf_ctx *ctx, void *args) {
    btf_args *a = args;
    eb_buf text = {.arena = &ctx->arena};
    eb_btf_spell(a->btf, a->id, &text);
    *a->text = bytes_of(&text);
    return EBPF_OK;
}

int ebpf_btf_spell(ebpf_ctx *ctx, const ebpf_btf *btf, uint32_t id, ebpf_bytes *text) {
    if (id >= btf->count)
        return EBPF_E_ARG;
    return eb_guard(ctx, run_btf_spell, &(btf_args){.btf = btf, .id = id, .text = text});
}

uint32_t ebpf_btf_size(const ebpf_btf *btf, uint32_t id) {
    return eb_btf_size(btf, id);
}
