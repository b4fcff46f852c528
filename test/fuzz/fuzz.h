/* fuzz.h - what the fuzz targets share.
 *
 * A target calls the library as a host does and lets the sanitizers watch. REQUIRE stops it where a
 * promise is broken without memory being touched: what was written must read back, for example. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdlib.h>

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

/* Everything that can be made from an object: diagnostics, description, listings, and ELF that
 * reads back. */
static inline void use_object(ebpf_ctx *ctx, const ebpf_object *obj) {
    ebpf_bytes out;
    if (!went_well(ebpf_object_info(ctx, obj, &out)))
        return;
    for (int dialect = 0; dialect < EBPF_DIALECT_COUNT; dialect++)
        if (!went_well(ebpf_disassemble(ctx, obj, dialect, EBPF_DIS_RAW, &out)))
            return;
    int status = ebpf_object_write(ctx, obj, &out);
    if (status != EBPF_OK)
        return;
    ebpf_object *again;
    status = ebpf_object_read(ctx, "again.o", 7, out.data, out.size, &again);
    REQUIRE(status == EBPF_OK || status == EBPF_E_NOMEM || status == EBPF_E_LIMIT);
}

#endif
