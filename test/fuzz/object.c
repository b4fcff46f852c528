/* Any bytes as an ELF file: what the reader accepts is described, written and read back the same;
 * what it refuses must have a diagnostic. */
#include "fuzz.h"
#include "lib/mutate.h"
#include "object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    ebpf_object *obj;
    ebpf_bytes info;
    int status = ebpf_object_read(ctx, "fuzz.o", 6, data, size, &obj);
    if (status == EBPF_OK) {
        plant(obj->license.len == 1, data, size);
        if (ebpf_object_info(ctx, obj, &info) == EBPF_OK)
            REQUIRE(is_json(info.data, info.size));
        (void)ebpf_object_text(ctx, obj, &info);
        require_round_trip(ctx, obj);
        /* In place, so last; the size chooses what goes. */
        if (ebpf_object_strip(ctx, obj, (uint32_t)size % 4) == EBPF_OK)
            require_round_trip(ctx, obj);
    }
    require_diagnostics(ctx, status);
    ebpf_ctx_free(ctx);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    return mutate_elf(data, size, most, &(chance){seed});
}
