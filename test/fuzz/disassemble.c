/* An object as text, with every option, and assembled again: the same sections with code and the
 * same relocations in them. An ELF file, whose header's unused bytes choose dialect and options; or
 * bare instructions, where the size does. */
#include "fuzz.h"
#include "lib/mutate.h"
#include "object.h"

enum { IDENT_DIALECT = 9, IDENT_FLAGS = 10, FLAGS = 128 };

static int is_code(const eb_section *section) {
    return section->type == EB_SHT_PROGBITS && (section->flags & EB_SHF_EXECINSTR) != 0;
}

/* The section with code that is called as number `index` of `obj` is, or NULL. */
static const eb_section *same_named(const ebpf_object *in, const eb_section *as) {
    for (uint32_t i = 1; i < in->sections.len; i++)
        if (eb_str_eq(in->sections.at[i].name, as->name))
            return &in->sections.at[i];
    return NULL;
}

/* Text names sections and symbols: an object where a name stands for two things has none. */
static int is_nameable(const ebpf_object *obj) {
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        if (obj->sections.at[i].name.len == 0)
            return 0;
        for (uint32_t j = 1; j < i; j++)
            if (eb_str_eq(obj->sections.at[i].name, obj->sections.at[j].name))
                return 0;
    }
    return 1;
}

static void require_same_code(const ebpf_object *a, const ebpf_object *b) {
    for (uint32_t i = 1; i < a->sections.len; i++) {
        const eb_section *section = &a->sections.at[i];
        if (!is_code(section) || section->size == 0)
            continue;
        const eb_section *other = same_named(b, section);
        REQUIRE(other != NULL);
        require_same((ebpf_bytes){section->bytes.at, section->bytes.len},
                     (ebpf_bytes){other->bytes.at, other->bytes.len});
    }
}

static void there_and_back(ebpf_ctx *ctx, const ebpf_object *obj, int dialect, uint32_t flags) {
    ebpf_bytes text;
    ebpf_object *again;
    if (ebpf_disassemble(ctx, obj, dialect, flags, &text) != EBPF_OK ||
        (flags & EBPF_DIS_OBJDUMP)) /* LLVM's listing is for people */
        return;
    int status = ebpf_assemble(ctx, "again.s", 7, text.data, text.size, dialect,
                               obj->big ? EBPF_BIG : EBPF_LITTLE, &again);
    if (!is_nameable(obj) || !went_well(status))
        return;
    REQUIRE(status == EBPF_OK);
    require_same_code(obj, again);
}

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
        plant(elf && dialect == EBPF_DIALECT_UBPF && (flags & EBPF_DIS_HEX), data, size);
        there_and_back(ctx, obj, dialect, flags);
    }
    ebpf_ctx_free(ctx);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    chance dice = {seed};
    return is_elf(data, size) ? mutate_elf(data, size, most, &dice)
                              : mutate_code(data, size, most, size / 8 % 2, &dice);
}
