/* Any text, in a dialect and byte order that its first byte chooses, through the assembler; what it
 * accepts is listed, written and read back; what it refuses must have a diagnostic. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    int dialect = data[0] & 1;
    int endian = data[0] >> 1 & 1;
    ebpf_object *obj;
    int status = ebpf_assemble(ctx, "fuzz.s", 6, data + 1, size - 1, dialect, endian, &obj);
    if (status == EBPF_OK)
        use_object(ctx, obj);
    if (status == EBPF_E_INPUT)
        REQUIRE(ebpf_error_count(ctx) > 0);
    if (went_well(status)) {
        ebpf_bytes text;
        for (int format = EBPF_DIAG_TEXT; format <= EBPF_DIAG_JSON; format++)
            ebpf_diagnostics(ctx, format, &text);
    }
    ebpf_ctx_free(ctx);
    return 0;
}
