/* fuzz.h - what the fuzz targets share.
 *
 * A target calls the library as a host does and lets the sanitizers watch. REQUIRE stops it where a
 * promise is broken without memory being touched: what was written must read back, for example. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "ebpf.h"
#include "lib/json.h"

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum { FUZZ_MEMORY = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bug on purpose that shows that a target finds bugs: where `reached`, which no seed does, one
 * byte behind a copy of `bytes` is read. Only programs built as planted_NAME have it. */
static inline void plant(int reached, const void *bytes, size_t size) {
#ifdef BPF_FUZZ_PLANT
    volatile uint8_t sink;
    if (!reached || size == 0)
        return;
    uint8_t *copy = malloc(size);
    if (copy == NULL)
        return;
    memcpy(copy, bytes, size);
    sink = copy[size];
    (void)sink;
    free(copy);
#else
    (void)reached;
    (void)bytes;
    (void)size;
#endif
}

/* 1 where the status leaves the context usable: success, or a refusal with diagnostics. */
static inline int went_well(int status) {
    return status == EBPF_OK || status == EBPF_E_INPUT || status == EBPF_E_ARG;
}

static inline int is_elf(const uint8_t *data, size_t size) {
    return size >= 4 && memcmp(data, "\177ELF", 4) == 0;
}

static inline void require_same(ebpf_bytes a, ebpf_bytes b) {
    REQUIRE(a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0));
}

/* Diagnostics in every format; what was refused has one. */
static inline void require_diagnostics(ebpf_ctx *ctx, int status) {
    ebpf_bytes text;
    REQUIRE(status != EBPF_E_INPUT || ebpf_error_count(ctx) > 0);
    if (!went_well(status))
        return;
    for (int format = EBPF_DIAG_TEXT; format <= EBPF_DIAG_JSON; format++)
        if (ebpf_diagnostics(ctx, format, &text) == EBPF_OK && format == EBPF_DIAG_JSON)
            REQUIRE(is_json(text.data, text.size));
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

#endif
