/* C through the compiler: as far as it is checked. What is refused has a diagnostic. */
#include "fuzz.h"
#include "lib/mutate.h"
#include "lib/unit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    ebpf_cc *unit = unit_of(ctx, data, size);
    if (unit) {
        int status;
        while ((status = ebpf_cc_check(unit)) == EBPF_NEED_FILE)
            if ((status = unit_answer(unit, data, size)) != EBPF_OK)
                break;
        plant(status == EBPF_OK && size > 8 && data[size - 2] == '}' && (data[0] & 8), data, size);
        require_diagnostics(ctx, status);
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
