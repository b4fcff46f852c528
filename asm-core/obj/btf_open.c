/* btf_open.c - BTF from a file: its bytes as they are (/sys/kernel/btf/vmlinux), or section .BTF of
 * an ELF file, which may be of any machine, class and byte order: a BPF object, a kernel module, a
 * kernel. Only the section headers are looked at, all of them bounds-checked.
 *
 * A module built outside of its kernel brings what it needs of the kernel's types in .BTF.base; its
 * own types stand on those when no other base is given. */
#include "btf.h"

#include <string.h>

typedef struct elf {
    const uint8_t *bytes;
    size_t size;
    bool big, wide; /* wide: ELF64 */
    uint64_t headers;
    uint32_t header_size, count, names; /* names: the section that has them */
} elf;

typedef struct span {
    uint64_t offset, size;
} span;

static uint64_t word(const elf *e, const uint8_t *at) {
    return e->wide ? eb_get64(at, e->big) : eb_get32(at, e->big);
}

static bool is_elf(const uint8_t *bytes, size_t size) {
    static const uint8_t magic[] = {0x7f, 'E', 'L', 'F'};
    return size >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

/* The header of section `i`, or NULL when it is not in the file. */
static const uint8_t *header_at(const elf *e, uint32_t i) {
    uint64_t offset = e->headers + (uint64_t)i * e->header_size;
    uint32_t least = e->wide ? 64 : 40;
    bool inside = e->header_size >= least && e->headers <= e->size && offset <= e->size &&
                  least <= e->size - offset;
    return inside ? e->bytes + offset : NULL;
}

static bool read_header(elf *e) {
    if (e->size < 16 || e->bytes[4] < 1 || e->bytes[4] > 2 || e->bytes[5] < 1 || e->bytes[5] > 2)
        return false;
    e->wide = e->bytes[4] == 2;
    e->big = e->bytes[5] == 2;
    uint32_t tail = e->wide ? 58 : 46; /* e_shentsize, e_shnum, e_shstrndx */
    if (e->size < tail + 6u)
        return false;
    e->headers = word(e, e->bytes + (e->wide ? 40 : 32));
    e->header_size = eb_get16(e->bytes + tail, e->big);
    e->count = eb_get16(e->bytes + tail + 2, e->big);
    e->names = eb_get16(e->bytes + tail + 4, e->big);
    const uint8_t *first = e->headers ? header_at(e, 0) : NULL;
    if (!first)
        return false;
    if (!e->count) /* more than 16 bits hold */
        e->count = (uint32_t)word(e, first + (e->wide ? 32 : 20));
    if (e->names == 0xffff)
        e->names = eb_get32(first + (e->wide ? 40 : 24), e->big);
    return true;
}

static bool span_of(const elf *e, uint32_t section, span *out) {
    const uint8_t *at = section < e->count ? header_at(e, section) : NULL;
    if (!at)
        return false;
    out->offset = word(e, at + (e->wide ? 24 : 16));
    out->size = word(e, at + (e->wide ? 32 : 20));
    return out->offset <= e->size && out->size <= e->size - out->offset;
}

/* The first section called `name` that has bytes. */
static bool find(const elf *e, const char *name, span *out) {
    enum { NOBITS = 8 };
    size_t length = strlen(name) + 1;
    span names;
    if (!span_of(e, e->names, &names))
        return false;
    for (uint32_t i = 1; i < e->count; i++) {
        const uint8_t *at = header_at(e, i);
        if (!at)
            return false;
        uint32_t offset = eb_get32(at, e->big);
        if (offset < names.size && length <= names.size - offset &&
            memcmp(e->bytes + names.offset + offset, name, length) == 0 &&
            eb_get32(at + 4, e->big) != NOBITS)
            return span_of(e, i, out);
    }
    return false;
}

typedef int reads(ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size,
                  const eb_btf *base, eb_btf **out);

static int open_by(reads *read, ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size,
                   const eb_btf *base, eb_btf **out) {
    elf e = {.bytes = bytes, .size = size};
    span types, own_base;
    if (!is_elf(bytes, size))
        return read(ctx, input, bytes, size, base, out);
    if (!read_header(&e)) {
        eb_diag_input(ctx, EB_DIAG_BAD_ELF, input, -1, "its header or section headers are cut off");
        return EBPF_E_INPUT;
    }
    if (!find(&e, ".BTF", &types)) {
        eb_diag_input(ctx, EB_DIAG_NO_BTF, input, -1);
        return EBPF_E_INPUT;
    }
    if (!base && find(&e, ".BTF.base", &own_base)) {
        eb_btf *below;
        if (read(ctx, input, bytes + own_base.offset, (size_t)own_base.size, NULL, &below))
            return EBPF_E_INPUT;
        base = below;
    }
    return read(ctx, input, bytes + types.offset, (size_t)types.size, base, out);
}

int eb_btf_open(ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size, const eb_btf *base,
                eb_btf **out) {
    return open_by(eb_btf_read, ctx, input, bytes, size, base, out);
}

int eb_btf_open_unchecked(ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size,
                          const eb_btf *base, eb_btf **out) {
    return open_by(eb_btf_read_unchecked, ctx, input, bytes, size, base, out);
}
