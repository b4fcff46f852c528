/* assembly.c - asm("...") outside of functions: all of it is assembled as one text, in its order,
 * and put behind what the object has: a section to the one of the same name, a name to the symbol
 * that C has of it, whoever of the two defines it. */
#include "emit.h"

/* How an object's numbers are called in the other. */
typedef struct merge {
    ebpf_object *to;
    const ebpf_object *from;
    uint32_t *sections, *symbols;
    uint64_t *bases; /* where its sections begin in ours */
    eb_loc lo, hi;
} merge;

static void add_section(merge *m, uint32_t number) {
    const eb_section *s = &m->from->sections.at[number];
    if (!s->size && !s->relocs.len && number == 1)
        return; /* .text, where the assembler begins */
    if (eb_str_starts(s->name, ".BTF"))
        return; /* the assembler's, of data symbols; there are C's types */
    uint32_t at = eb_object_find_section(m->to, s->name);
    if (!at)
        at = eb_object_add_section(m->to, s->name, s->type, s->flags);
    eb_section *to = &m->to->sections.at[at];
    if ((to->type == EB_SHT_NOBITS) != (s->type == EB_SHT_NOBITS)) {
        eb_diag_add(m->to->ctx, EB_DIAG_BAD_SECTION, m->lo, m->hi, (int)s->name.len, s->name.at,
                    "it has bytes in C and none in assembly, or the other way round");
        return;
    }
    uint64_t align = s->align ? s->align : 1;
    uint64_t base = (to->size + align - 1) / align * align;
    m->sections[number] = at;
    m->bases[number] = base;
    to->align = to->align > align ? to->align : align;
    to->size = base + s->size;
    if (to->type == EB_SHT_NOBITS)
        return;
    while (to->bytes.len < base)
        eb_buf_byte(&to->bytes, 0);
    eb_buf_put(&to->bytes, s->bytes.at, s->bytes.len);
    if (!(to->flags & EB_SHF_EXECINSTR))
        return;
    while (to->locs.len < base / EBPF_SLOT)
        *EB_PUSH(&m->to->ctx->arena, &to->locs) = 0;
    for (uint32_t n = 0; n < s->locs.len; n++)
        *EB_PUSH(&m->to->ctx->arena, &to->locs) = s->locs.at[n];
}

static uint32_t named(const ebpf_object *obj, eb_str name) {
    for (uint32_t n = 1; n < obj->symbols.len; n++)
        if (obj->symbols.at[n].type != EB_STT_SECTION && eb_str_eq(obj->symbols.at[n].name, name))
            return n;
    return 0;
}

static void add_symbol(merge *m, uint32_t number) {
    eb_symbol s = m->from->symbols.at[number];
    bool defined = s.section != EB_SHN_UNDEF;
    if (defined && s.section < m->from->sections.len) {
        if (!m->sections[s.section])
            return;
        s.value += m->bases[s.section];
        s.section = m->sections[s.section];
    }
    if (s.type == EB_STT_SECTION) {
        m->symbols[number] = eb_gen_section_symbol(m->to, s.section);
        return;
    }
    uint32_t old = named(m->to, s.name);
    if (old && defined && m->to->symbols.at[old].section != EB_SHN_UNDEF) {
        eb_diag_add(m->to->ctx, EB_DIAG_DUPLICATE_SYMBOL, s.loc ? s.loc : m->lo,
                    s.loc ? s.loc + 1 : m->hi, (int)s.name.len, s.name.at);
        return;
    }
    m->symbols[number] = old ? old : eb_object_add_symbol(m->to, s.name, s.section, s.value);
    if (!old || defined)
        m->to->symbols.at[m->symbols[number]] = s;
}

/* What stands in place of an addend counts from the section's begin. */
static void move_addend(merge *m, eb_section *to, const eb_reloc *r, uint64_t by) {
    uint8_t *at = to->bytes.at + r->offset;
    if (r->type == EB_R_BPF_64_ABS64)
        eb_set64(at, m->to->big, eb_get64(at, m->to->big) + by);
    else if (r->type == EB_R_BPF_64_ABS32 || r->type == EB_R_BPF_64_NODYLD32)
        eb_set32(at, m->to->big, eb_get32(at, m->to->big) + (uint32_t)by);
    else
        eb_set32(at + 4, m->to->big,
                 eb_get32(at + 4, m->to->big) +
                     (uint32_t)(r->type == EB_R_BPF_64_32 ? by / EBPF_SLOT : by));
}

static void add_relocs(merge *m, uint32_t number) {
    const eb_section *from = &m->from->sections.at[number];
    for (uint32_t n = 0; n < from->relocs.len; n++) {
        eb_reloc r = from->relocs.at[n];
        const eb_symbol *symbol = &m->from->symbols.at[r.symbol];
        eb_section *to = &m->to->sections.at[m->sections[number]];
        r.offset += m->bases[number];
        r.symbol = m->symbols[r.symbol];
        if (symbol->type == EB_STT_SECTION && m->bases[symbol->section])
            move_addend(m, to, &r, m->bases[symbol->section]);
        *EB_PUSH(&m->to->ctx->arena, &to->relocs) = r;
    }
}

static void merge_into(merge *m) {
    eb_arena *arena = &m->to->ctx->arena;
    uint32_t sections = m->from->sections.len, symbols = m->from->symbols.len;
    m->sections = eb_alloc_array(arena, sections, sizeof *m->sections);
    m->bases = eb_alloc_array(arena, sections, sizeof *m->bases);
    m->symbols = eb_alloc_array(arena, symbols, sizeof *m->symbols);
    for (uint32_t n = 1; n < sections; n++)
        add_section(m, n);
    for (uint32_t n = 1; n < symbols; n++)
        add_symbol(m, n);
    for (uint32_t n = 1; n < sections; n++)
        if (m->sections[n])
            add_relocs(m, n);
}

void eb_gen_assembly(eb_ir_unit *unit, ebpf_object *obj) {
    ebpf_ctx *ctx = unit->ctx;
    ebpf_object *made;
    if (!unit->texts.len)
        return;
    eb_str name = EB_STR("<inline asm>");
    eb_asm *as = eb_asm_new(ctx, name, EBPF_DIALECT_LLVM, unit->big);
    for (uint32_t n = 0; n < unit->texts.len; n++) {
        const eb_ir_text *text = &unit->texts.at[n];
        uint32_t source = ctx->sources.len;
        eb_asm_text(as, name, text->text);
        ctx->sources.at[source].from = text->lo;
        ctx->sources.at[source].from_end = text->hi;
    }
    const eb_ir_text *first = &unit->texts.at[0];
    if (eb_asm_finish(as, &made) == EBPF_OK)
        merge_into(&(merge){.to = obj, .from = made, .lo = first->lo, .hi = first->hi});
}
