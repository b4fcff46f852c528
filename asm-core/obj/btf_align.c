/* btf_align.c - see btf_align.h.
 *
 * BTF has offsets and sizes. A member that stands where its alignment does not put it makes its
 * record packed, and so does a size that is no multiple of the largest alignment. Bit-fields say
 * nothing. Source: libbpf's src/btf_dump.c (1.5). */
#include "btf_align.h"

enum { DEEPEST = 1000, POINTER = 8, STEPS = 1 << 20, STEPS_PER_TYPE = 256 };

eb_btf_aligns *eb_btf_aligns_new(eb_arena *arena, const eb_btf *btf, eb_btf_aligns *base) {
    eb_btf_aligns *aligns = eb_alloc(arena, sizeof *aligns);
    aligns->btf = btf;
    aligns->base = base || !btf->base ? base : eb_btf_aligns_new(arena, btf->base, NULL);
    aligns->known = eb_alloc_array(arena, btf->count - btf->first, sizeof *aligns->known);
    aligns->steps = STEPS + (uint64_t)STEPS_PER_TYPE * (btf->count - btf->first);
    return aligns;
}

static uint32_t fail(eb_btf_aligns *aligns, uint32_t id, const char *why) {
    aligns->fault = why;
    aligns->fault_id = id;
    return 0;
}

/* That of its members, or 1 when one of them, or its size, is not where that alignment puts it. */
static uint32_t align_of_record(eb_btf_aligns *aligns, const eb_btf_type *type) {
    uint32_t most = 1;
    for (uint32_t i = 0; i < type->count && !aligns->fault; i++) {
        eb_btf_member m = eb_btf_member_at(aligns->btf, type, i);
        uint32_t align = eb_btf_align(aligns, m.type);
        if (!align)
            return 0;
        most = align > most ? align : most;
        if (!m.bits && m.offset % (8 * align))
            return 1;
    }
    return type->size_or_type % most ? 1 : most;
}

static uint32_t compute(eb_btf_aligns *aligns, const eb_btf_type *type) {
    switch (type->kind) {
    case EB_BTF_INT:
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
    case EB_BTF_FLOAT:
        return type->size_or_type < POINTER ? type->size_or_type : POINTER;
    case EB_BTF_PTR:
        return POINTER;
    case EB_BTF_TYPEDEF:
    case EB_BTF_VOLATILE:
    case EB_BTF_CONST:
    case EB_BTF_RESTRICT:
    case EB_BTF_TYPE_TAG:
    case EB_BTF_ARRAY:
        return eb_btf_align(aligns, type->size_or_type);
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        return align_of_record(aligns, type);
    default:
        return 0;
    }
}

/* Of a type of its base: what went wrong there went wrong here. */
static uint32_t align_below(eb_btf_aligns *aligns, uint32_t id) {
    uint32_t align = eb_btf_align(aligns->base, id);
    if (aligns->base->fault)
        fail(aligns, aligns->base->fault_id, aligns->base->fault);
    return align;
}

uint32_t eb_btf_align(eb_btf_aligns *aligns, uint32_t id) {
    const eb_btf *btf = aligns->btf;
    if (id < btf->first && aligns->base)
        return align_below(aligns, id);
    if (id < btf->first || id >= btf->count)
        return 0;
    uint8_t *known = &aligns->known[id - btf->first];
    if (*known || aligns->fault)
        return *known;
    if (aligns->depth >= DEEPEST)
        return fail(aligns, id, "is nested too deeply");
    if (!aligns->steps--)
        return fail(aligns, id, "takes too long: its types are built to repeat one another");
    eb_btf_type type = eb_btf_at(btf, id);
    aligns->depth++;
    *known = (uint8_t)compute(aligns, &type);
    aligns->depth--;
    return *known;
}

uint32_t eb_btf_align_of_members(eb_btf_aligns *aligns, const eb_btf_type *record) {
    uint32_t most = 1;
    for (uint32_t i = 0; i < record->count; i++) {
        uint32_t align = eb_btf_align(aligns, eb_btf_member_at(aligns->btf, record, i).type);
        most = align > most ? align : most;
    }
    return most;
}

bool eb_btf_is_packed(eb_btf_aligns *aligns, const eb_btf_type *record) {
    for (uint32_t i = 0; i < record->count; i++) {
        eb_btf_member m = eb_btf_member_at(aligns->btf, record, i);
        uint32_t align = eb_btf_align(aligns, m.type);
        if (align && !m.bits && m.offset % (8 * align))
            return true;
    }
    return record->size_or_type % eb_btf_align_of_members(aligns, record) != 0;
}
