/* Any bytes as an ELF file: what the reader accepts is described, written and read back the same,
 * stripped, and then written and read back again; what it refuses must have a diagnostic. An unused
 * byte of the ELF header chooses what is stripped. */
#include "fuzz.h"
#include "lib/mutate.h"
#include "object.h"

enum { IDENT_FLAGS = 10 };

static void describe(ebpf_ctx *ctx, const ebpf_object *obj) {
    ebpf_bytes info;
    if (ebpf_object_info(ctx, obj, &info) == EBPF_OK)
        REQUIRE(is_json(info.data, info.size));
    (void)ebpf_object_text(ctx, obj, &info);
}

/* What is stripped stays so. */
static void strip(ebpf_ctx *ctx, ebpf_object *obj, uint32_t flags) {
    ebpf_bytes once, twice;
    if (ebpf_object_strip(ctx, obj, flags) != EBPF_OK)
        return;
    describe(ctx, obj);
    require_round_trip(ctx, obj);
    if (ebpf_object_write(ctx, obj, &once) == EBPF_OK &&
        ebpf_object_strip(ctx, obj, flags) == EBPF_OK &&
        ebpf_object_write(ctx, obj, &twice) == EBPF_OK)
        require_same(once, twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    ebpf_object *obj;
    int status = ebpf_object_read(ctx, "fuzz.o", 6, data, size, &obj);
    if (status == EBPF_OK) {
        plant(obj->license.len == 1, data, size);
        describe(ctx, obj);
        require_round_trip(ctx, obj);
        strip(ctx, obj, data[IDENT_FLAGS] % 4);
    }
    require_diagnostics(ctx, status);
    ebpf_ctx_free(ctx);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    return mutate_elf(data, size, most, &(chance){seed});
}
