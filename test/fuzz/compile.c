/* C through the whole compiler, with and without its optimiser, for every instruction set. What is
 * refused has a diagnostic; what is made reads back as it was written, and its text assembles to
 * the same code. Another run makes the same bytes, or prints the same IR, which reads back. */
#include "fuzz.h"
#include "guard.h"
#include "lib/again.h"
#include "lib/mutate.h"
#include "lib/unit.h"

#include "ir.h"

enum { AGAIN = 32, BARE = 16 };

static int compile(ebpf_ctx *ctx, const uint8_t *data, size_t size, ebpf_object **obj) {
    ebpf_cc *unit = unit_of(ctx, data, size);
    int status = unit ? EBPF_OK : EBPF_E_NOMEM;
    while (unit && (status = ebpf_cc_compile(unit, obj)) == EBPF_NEED_FILE)
        if ((status = unit_answer(unit, data, size)) != EBPF_OK)
            break;
    return status;
}

/* A second compiler, which knows nothing of the first, comes to the same. */
static void require_same_again(ebpf_ctx *ctx, const ebpf_object *obj, const uint8_t *data,
                               size_t size) {
    ebpf_ctx *other = ebpf_ctx_new(FUZZ_MEMORY);
    ebpf_object *again;
    ebpf_bytes a, b;
    if (other && compile(other, data, size, &again) == EBPF_OK &&
        ebpf_object_write(ctx, obj, &a) == EBPF_OK &&
        ebpf_object_write(other, again, &b) == EBPF_OK)
        require_same(a, b);
    ebpf_ctx_free(other);
}

/* What cc makes is IR that can be read. */
static int read_ir(ebpf_ctx *ctx, void *args) {
    const ebpf_bytes *text = args;
    eb_str error;
    eb_ir_unit *unit = eb_ir_read(ctx, (eb_str){text->data, text->size}, &error);
    REQUIRE(unit != NULL);
    eb_buf out = {.arena = &ctx->arena};
    eb_ir_print(unit, &out);
    require_same(*text, (ebpf_bytes){out.at, out.len});
    return EBPF_OK;
}

static void require_readable_ir(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    ebpf_cc *unit = ctx ? unit_of(ctx, data, size) : NULL;
    ebpf_bytes text;
    int status = EBPF_E_NOMEM;
    while (unit && (status = ebpf_cc_ir(unit, "", &text)) == EBPF_NEED_FILE)
        if ((status = unit_answer(unit, data, size)) != EBPF_OK)
            break;
    if (status == EBPF_OK)
        (void)eb_guard(ctx, read_ir, &text);
    ebpf_ctx_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL || size == 0) {
        ebpf_ctx_free(ctx);
        return 0;
    }
    ebpf_object *obj = NULL;
    int status = compile(ctx, data, size, &obj);
    require_diagnostics(ctx, status);
    if (status == EBPF_OK) {
        plant((data[0] & BARE) && obj->symbols.len > 2, data, size);
        require_round_trip(ctx, obj);
        require_text_round_trip(ctx, obj, EBPF_DIALECT_LLVM, 0);
        if (data[0] & AGAIN)
            require_same_again(ctx, obj, data, size);
        else
            require_readable_ir(data, size);
    }
    ebpf_ctx_free(ctx);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    return mutate_c(data, size, most, &(chance){seed});
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t most, unsigned seed) {
    return mix_texts(a, a_size, b, b_size, out, most, &(chance){seed});
}
