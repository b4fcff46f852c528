/* C through the preprocessor. What comes out of a text without errors is preprocessed to the same
 * again, as there are no macros in it. */
#include "fuzz.h"
#include "lib/mutate.h"
#include "lib/unit.h"

static int preprocess(ebpf_cc *unit, const uint8_t *data, size_t size, ebpf_bytes *text) {
    int status;
    while ((status = ebpf_cc_preprocess(unit, text)) == EBPF_NEED_FILE)
        if ((status = unit_answer(unit, data, size)) != EBPF_OK)
            break;
    return status;
}

/* Tokens stand at the same distance or at none: compare what is not white space. */
static void require_same_tokens(ebpf_bytes a, ebpf_bytes b) {
    const uint8_t *x = a.data, *y = b.data;
    for (size_t n = 0, m = 0;; n++, m++) {
        while (n < a.size && (x[n] == ' ' || x[n] == '\n'))
            n++;
        while (m < b.size && (y[m] == ' ' || y[m] == '\n'))
            m++;
        REQUIRE((n == a.size) == (m == b.size));
        if (n == a.size)
            return;
        REQUIRE(x[n] == y[m]);
    }
}

/* Nothing in it means something to the preprocessor: no '#', which would begin a directive, no
 * name that is a macro from the start (an input may have undefined it), and no stray backslash,
 * which would join the next line. */
static int is_settled(ebpf_bytes text) {
    const uint8_t *at = text.data;
    for (size_t n = 0; n < text.size; n++) {
        uint8_t next = n + 1 < text.size ? at[n + 1] : 0;
        if (at[n] == '#' || (at[n] == '_' && (next == '_' || next == 'P')) ||
            (at[n] == '\\' && (next == '\n' || next == ' ')))
            return 0;
    }
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    ebpf_cc *unit = unit_of(ctx, data, size), *again = NULL;
    ebpf_bytes text = {0}, twice = {0};
    if (unit) {
        int status = preprocess(unit, data, size, &text);
        plant(status == EBPF_OK && (data[0] & 8) && text.size > 3, data, size);
        require_diagnostics(ctx, status);
        if (status == EBPF_OK && is_settled(text) &&
            ebpf_cc_new(ctx, "again.c", 7, text.data, text.size, NULL, &again) == EBPF_OK &&
            preprocess(again, data, 0, &twice) == EBPF_OK)
            require_same_tokens(text, twice);
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
