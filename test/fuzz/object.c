/* Any bytes as an ELF file; what the reader accepts is listed, written and read back. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    ebpf_object *obj;
    int status = ebpf_object_read(ctx, "fuzz.o", 6, data, size, &obj);
    if (status == EBPF_OK)
        use_object(ctx, obj);
    if (status == EBPF_E_INPUT)
        REQUIRE(ebpf_error_count(ctx) > 0);
    ebpf_ctx_free(ctx);
    return 0;
}
