/* fuzz.h - what the fuzz targets share.
 *
 * A target calls the library as a host does and lets the sanitizers watch. REQUIRE stops it where a
 * promise is broken without memory being touched: what was written must read back, for example. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "ebpf.h"

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum { FUZZ_MEMORY = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 1 where the status leaves the context usable: success, or a refusal with diagnostics. */
static inline int went_well(int status) {
    return status == EBPF_OK || status == EBPF_E_INPUT || status == EBPF_E_ARG;
}

static inline void require_same(ebpf_bytes a, ebpf_bytes b) {
    REQUIRE(a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0));
}

/* What was written reads back, as the same object, and is written in the same bytes again. */
static inline void require_round_trip(ebpf_ctx *ctx, const ebpf_object *obj) {
    ebpf_bytes elf, elf2, info, info2;
    ebpf_object *read, *again;
    if (ebpf_object_write(ctx, obj, &elf) != EBPF_OK)
        return;
    int status = ebpf_object_read(ctx, "again.o", 7, elf.data, elf.size, &read);
    REQUIRE(status == EBPF_OK || status == EBPF_E_NOMEM || status == EBPF_E_LIMIT);
    if (status != EBPF_OK || ebpf_object_write(ctx, read, &elf2) != EBPF_OK)
        return;
    require_same(elf, elf2);
    if (ebpf_object_read(ctx, "again.o", 7, elf2.data, elf2.size, &again) == EBPF_OK &&
        ebpf_object_info(ctx, read, &info) == EBPF_OK &&
        ebpf_object_info(ctx, again, &info2) == EBPF_OK)
        require_same(info, info2);
}

/* Everything that can be made from an object: diagnostics, description, listings, and ELF. */
static inline void use_object(ebpf_ctx *ctx, const ebpf_object *obj) {
    ebpf_bytes out;
    if (!went_well(ebpf_object_info(ctx, obj, &out)))
        return;
    for (int dialect = 0; dialect < EBPF_DIALECT_COUNT; dialect++)
        if (!went_well(ebpf_disassemble(ctx, obj, dialect, EBPF_DIS_RAW, &out)))
            return;
    require_round_trip(ctx, obj);
}

#endif
