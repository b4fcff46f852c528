/* An object as text, with every option, and assembled again: the same bytes in its sections, and
 * the same relocations of code. An ELF file, whose header's unused bytes choose dialect and
 * options; or bare instructions, where the size does. */
#include "fuzz.h"
#include "lib/again.h"
#include "lib/mutate.h"

enum { IDENT_DIALECT = 9, IDENT_FLAGS = 10, FLAGS = 256, UNUSED_FLAG = 128 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    ebpf_object *obj;
    int elf = is_elf(data, size) && size > IDENT_FLAGS, big = size / 8 % 2;
    int status = elf ? ebpf_object_read(ctx, "fuzz.o", 6, data, size, &obj)
                     : ebpf_object_from_raw(ctx, "fuzz", 4, data, size & ~(size_t)7,
                                            big ? EBPF_BIG : EBPF_LITTLE, &obj);
    int dialect = elf ? data[IDENT_DIALECT] % EBPF_DIALECT_COUNT : (int)(size / 16 % 2);
    uint32_t flags = elf ? data[IDENT_FLAGS] % FLAGS : (uint32_t)size % FLAGS;
    if (status == EBPF_OK) {
        plant(elf && (flags & UNUSED_FLAG), data, size);
        require_text_round_trip(ctx, obj, dialect, flags);
    }
    ebpf_ctx_free(ctx);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    chance dice = {seed};
    return is_elf(data, size) ? mutate_elf(data, size, most, &dice)
                              : mutate_code(data, size, most, size / 8 % 2, &dice);
}
