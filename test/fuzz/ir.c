/* Any text as the compiler's intermediate representation. What the reader takes is printed and read
 * again; what the checker says is a program goes through all passes, after each of which the
 * checker looks at it, and through code generation; what comes out of that reads back as it was
 * written, or there is a diagnostic. */
#include "fuzz.h"
#include "gen.h"
#include "guard.h"
#include "lib/again.h"
#include "lib/mutate.h"
#include "pass.h"

static eb_str print(ebpf_ctx *ctx, const eb_ir_unit *unit) {
    eb_buf out = {.arena = &ctx->arena};
    eb_ir_print(unit, &out);
    return (eb_str){(const char *)out.at, out.len};
}

/* A printed text reads back as what it was printed of. */
static void require_readable(ebpf_ctx *ctx, const eb_ir_unit *unit) {
    eb_str error, text = print(ctx, unit);
    const eb_ir_unit *again = eb_ir_read(ctx, text, &error);
    REQUIRE(again != NULL && error.len == 0);
    REQUIRE(eb_str_eq(text, print(ctx, again)));
}

static bool is_program(const eb_ir_unit *unit) {
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        if (unit->symbols.at[n].fn && eb_ir_check(unit->symbols.at[n].fn).len)
            return false;
    return true;
}

typedef struct input {
    const uint8_t *data;
    size_t size;
    const ebpf_object *obj;
} input;

static int run(ebpf_ctx *ctx, void *args) {
    input *in = args;
    eb_str error;
    eb_ir_unit *unit = eb_ir_read(ctx, (eb_str){(const char *)in->data, in->size}, &error);
    REQUIRE(unit != NULL || error.len != 0);
    if (!unit || !is_program(unit))
        return EBPF_E_ARG;
    require_readable(ctx, unit);
    eb_ir_optimize(unit);
    REQUIRE(unit->broken.len == 0);
    require_readable(ctx, unit);
    ebpf_object *obj = eb_gen_data(unit);
    if (!ctx->errors)
        eb_gen_code(unit, obj);
    if (ctx->errors || eb_object_index(obj) != 0)
        return EBPF_E_INPUT;
    if (unit->cores.len > 1)
        return EBPF_E_ARG; /* the types that the records are about are not in the text */
    plant(unit->cpu == 1 && obj->symbols.len > 2, in->data, in->size);
    in->obj = obj;
    return EBPF_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    input in = {data, size, NULL};
    int status = eb_guard(ctx, run, &in);
    require_diagnostics(ctx, status);
    if (status == EBPF_OK) {
        require_round_trip(ctx, in.obj);
        require_text_round_trip(ctx, in.obj, EBPF_DIALECT_LLVM, 0);
    }
    ebpf_ctx_free(ctx);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    return mutate_ir(data, size, most, &(chance){seed});
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t most, unsigned seed) {
    return mix_texts(a, a_size, b, b_size, out, most, &(chance){seed});
}
