/* Any text, in a dialect and byte order that its first byte chooses, through the assembler; what it
 * accepts is written and read back; what it refuses must have a diagnostic. */
#include "fuzz.h"
#include "lib/mutate.h"
#include "object.h"

/* What the reader leaves out of an object comes back only as far as what it kept. */
static int is_left_out(const eb_section *section) {
    return eb_str_starts(section->name, ".debug_") || section->type == EB_SHT_LLVM_ADDRSIG;
}

static void there_and_back(ebpf_ctx *ctx, const ebpf_object *obj) {
    ebpf_bytes elf;
    ebpf_object *read;
    int whole = 1;
    for (uint32_t i = 1; i < obj->sections.len; i++)
        whole &= !is_left_out(&obj->sections.at[i]);
    if (whole)
        require_round_trip(ctx, obj);
    else if (ebpf_object_write(ctx, obj, &elf) == EBPF_OK &&
             ebpf_object_read(ctx, "again.o", 7, elf.data, elf.size, &read) == EBPF_OK)
        require_round_trip(ctx, read);
}

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
    if (status == EBPF_OK) {
        plant(dialect == EBPF_DIALECT_UBPF && obj->big, data, size);
        there_and_back(ctx, obj);
    }
    require_diagnostics(ctx, status);
    ebpf_ctx_free(ctx);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    return mutate_text(data, size, most, &(chance){seed});
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t most, unsigned seed) {
    return mix_texts(a, a_size, b, b_size, out, most, &(chance){seed});
}
