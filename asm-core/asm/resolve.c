/* resolve.c - the end of an assembly: labels become symbols, fixups become bytes and relocations.
 *
 * What can be known is filled in; the rest becomes a relocation with its addend in place, as LLVM's
 * BPF back end does it (SHT_REL): against the symbol when it is global or undefined, against the
 * section when it is local. */
#include "asm.h"

#include <string.h>

#include "kinds.h"

/* ---- symbols ---- */

static bool is_global(const eb_label *label) {
    return label->bind != EB_STB_LOCAL || !label->defined;
}

static uint32_t symbol_of(eb_asm *as, uint32_t number) {
    eb_label *label = &as->labels.at[number];
    if (label->symbol)
        return label->symbol;
    eb_str name = label->rename ? as->renames.at[label->rename - 1] : label->name;
    label->symbol = eb_object_add_symbol(as->obj, name, label->section, label->value);
    eb_symbol *symbol = &as->obj->symbols.at[label->symbol];
    symbol->bind = label->bind == EB_STB_LOCAL && !label->defined ? EB_STB_GLOBAL : label->bind;
    symbol->type = label->type;
    symbol->visibility = label->visibility;
    symbol->loc = label->loc;
    if (label->size) {
        eb_expr size = as->exprs.at[label->size - 1];
        if (!eb_asm_settle(as, &size))
            eb_diag_add(as->ctx, EB_DIAG_NOT_CONSTANT, size.lo, size.hi);
        symbol->size = (uint64_t)size.value;
    }
    return label->symbol;
}

static uint32_t section_symbol(eb_asm *as, uint32_t section) {
    for (uint32_t i = 1; i < as->obj->symbols.len; i++)
        if (as->obj->symbols.at[i].type == EB_STT_SECTION &&
            as->obj->symbols.at[i].section == section)
            return i;
    uint32_t symbol = eb_object_add_symbol(as->obj, (eb_str){0}, section, 0);
    as->obj->symbols.at[symbol].type = EB_STT_SECTION;
    return symbol;
}

/* Functions without .size reach to the next one, or to the end of their section: loaders take the
 * size of a program from its symbol. */
static void size_functions(eb_asm *as) {
    uint64_t *next = eb_alloc_array(&as->ctx->arena, as->obj->sections.len, sizeof *next);
    for (uint32_t i = 0; i < as->obj->sections.len; i++)
        next[i] = as->obj->sections.at[i].size;
    /* Labels of one section come in the order of their places, so backwards is enough. */
    for (uint32_t i = as->placed.len; i-- > 0;) {
        const eb_label *label = &as->labels.at[as->placed.at[i]];
        if (label->type != EB_STT_FUNC || !label->symbol)
            continue;
        if (!label->size)
            as->obj->symbols.at[label->symbol].size = next[label->section] - label->value;
        next[label->section] = label->value;
    }
}

/* What .set made another name of: the place or number that it comes to. */
static bool finish_alias(eb_asm *as, eb_label *label, unsigned depth) {
    enum { DEPTH_MOST = 64 };
    if (!label->alias || label->defined)
        return true;
    eb_expr e = as->exprs.at[label->alias - 1];
    uint32_t sides[] = {e.plus, e.minus};
    bool known = depth < DEPTH_MOST;
    for (unsigned i = 0; i < 2 && known; i++)
        known = !sides[i] || finish_alias(as, &as->labels.at[sides[i] - 1], depth + 1);
    eb_label *target = e.plus && !e.minus ? &as->labels.at[e.plus - 1] : NULL;
    if (known && eb_asm_settle(as, &e)) {
        label->section = EB_SHN_ABS;
        label->value = (uint64_t)e.value;
    } else if (known && target && target->defined && target->section != EB_SHN_COMMON) {
        label->section = target->section;
        label->value = target->value + (uint64_t)e.value;
        label->type = label->type ? label->type : target->type;
        label->size = label->size ? label->size : target->size;
    } else {
        return false;
    }
    return label->defined = true;
}

static void finish_aliases(eb_asm *as) {
    for (uint32_t i = 0; i < as->labels.len; i++) {
        eb_label *label = &as->labels.at[i];
        if (!finish_alias(as, label, 0))
            eb_diag_add(as->ctx, EB_DIAG_BAD_ALIAS, label->loc, label->end, (int)label->name.len,
                        label->name.at);
    }
}

/* A section's name, where nothing else is called so, is its start: clang writes .debug_abbrev. */
static void place_sections(eb_asm *as) {
    for (uint32_t i = 1; i < as->obj->sections.len; i++) {
        const uint32_t *number = eb_map_find(&as->names, as->obj->sections.at[i].name);
        eb_label *label = number ? &as->labels.at[*number] : NULL;
        if (!label || label->defined || label->alias || label->bound)
            continue;
        label->defined = label->temporary = true;
        label->section = i;
    }
}

/* A group names its signature, which the label has done so far. */
static void finish_groups(eb_asm *as) {
    for (uint32_t i = 1; i < as->obj->sections.len; i++)
        if (as->obj->sections.at[i].type == EB_SHT_GROUP)
            as->obj->sections.at[i].info = symbol_of(as, as->obj->sections.at[i].info);
}

static void make_symbols(eb_asm *as) {
    for (uint32_t i = 0; i < as->labels.len; i++) {
        eb_label *label = &as->labels.at[i];
        if (!label->defined || label->temporary)
            continue;
        bool code = label->section < as->obj->sections.len &&
                    (as->obj->sections.at[label->section].flags & EB_SHF_EXECINSTR);
        if (code && label->bind != EB_STB_LOCAL && label->type == EB_STT_NOTYPE)
            label->type = EB_STT_FUNC; /* a loader looks for functions only */
        symbol_of(as, i);
    }
}

/* ---- fixups ---- */

static void undefined(eb_asm *as, const eb_fixup *fixup, const eb_label *label) {
    const char *split = memchr(label->name.at, 1, label->name.len);
    eb_loc lo = fixup->expr.lo, hi = fixup->expr.hi;
    if (split) {
        const eb_source *source = eb_place_of(as->ctx, hi - 1).source;
        const char *where = source->text.at[hi - 1 - source->first] == 'f' ? "after" : "before";
        unsigned number = 0;
        for (const char *c = label->name.at; c < split; c++)
            number = number * 10 + (unsigned)(*c - '0');
        eb_diag_add(as->ctx, EB_DIAG_UNDEFINED_LOCAL, lo, hi, number, where);
        return;
    }
    eb_map defined = {.arena = &as->ctx->arena};
    for (uint32_t i = 0; i < as->labels.len; i++) {
        bool is_new;
        if (as->labels.at[i].defined && !as->labels.at[i].temporary)
            eb_map_enter(&defined, as->labels.at[i].name, &is_new);
    }
    eb_str near = eb_nearest(&defined, label->name);
    eb_diag *diag =
        eb_diag_add(as->ctx, EB_DIAG_UNDEFINED_LABEL, lo, hi, (int)label->name.len, label->name.at);
    if (label->defined)
        eb_diag_note(as->ctx, diag, label->loc, label->end,
                     "it is in another section; only calls lead there");
    else if (near.len)
        eb_diag_note(as->ctx, diag, 0, 0, "did you mean '%.*s'?", (int)near.len, near.at);
}

/* Slots from behind the instruction at `fixup` to its label; false after a diagnostic. */
static bool distance(eb_asm *as, const eb_fixup *fixup, const eb_label *label, int64_t *slots) {
    int64_t bytes =
        (int64_t)(label->value + (uint64_t)fixup->expr.value - fixup->offset) - EBPF_SLOT;
    if (bytes % EBPF_SLOT) {
        eb_diag_add(as->ctx, EB_DIAG_JUMP_MIDDLE, fixup->expr.lo, fixup->expr.hi,
                    (int)label->name.len, label->name.at);
        return false;
    }
    *slots = bytes / EBPF_SLOT;
    return true;
}

static void resolve_jump(eb_asm *as, const eb_fixup *fixup, const eb_label *label, uint8_t *at) {
    int64_t slots;
    if (!label->defined || label->section != fixup->section) {
        undefined(as, fixup, label);
        return;
    }
    if (!distance(as, fixup, label, &slots))
        return;
    if (fixup->kind == EB_FIXUP_JUMP32) {
        eb_set32(at + 4, as->obj->big, (uint32_t)slots);
    } else if (slots < INT16_MIN || slots > INT16_MAX) {
        eb_diag_add(as->ctx, EB_DIAG_JUMP_RANGE, fixup->expr.lo, fixup->expr.hi,
                    (int)label->name.len, label->name.at, (long long)slots);
    } else {
        eb_set16(at + 2, as->obj->big, (uint16_t)slots);
    }
}

static void relocate(eb_asm *as, const eb_fixup *fixup, uint32_t type, uint32_t symbol) {
    eb_section *section = &as->obj->sections.at[fixup->section];
    *EB_PUSH(&as->ctx->arena, &section->relocs) =
        (eb_reloc){.offset = fixup->offset, .type = type, .symbol = symbol};
}

/* The symbol to relocate against; what a section symbol leaves out is added to `addend`. */
static uint32_t target_symbol(eb_asm *as, uint32_t number, int64_t *addend) {
    const eb_label *label = &as->labels.at[number];
    /* Linkers move what mergeable sections hold, so only its start may be named by the section. */
    bool merged = *addend && label->section < as->obj->sections.len &&
                  (as->obj->sections.at[label->section].flags & EB_SHF_MERGE);
    if (is_global(label) || merged)
        return symbol_of(as, number);
    *addend = (int64_t)((uint64_t)*addend + label->value);
    return section_symbol(as, label->section);
}

/* In the llvm dialect what is not here is elsewhere; in ubpf's .globl must say so. */
static bool may_be_external(const eb_asm *as, const eb_label *label) {
    return !label->temporary && (as->dialect == EBPF_DIALECT_LLVM || label->bound);
}

static bool is_helper(const eb_label *label, int32_t *id) {
    *id = label->defined ? 0 : (int32_t)eb_helper_find(label->name);
    return *id != 0;
}

static void resolve_call(eb_asm *as, const eb_fixup *fixup, uint32_t number, uint8_t *at) {
    const eb_label *label = &as->labels.at[number];
    bool big = as->obj->big;
    int64_t addend = fixup->expr.value, slots;
    int32_t helper;
    if (is_helper(label, &helper)) {
        ebpf_insn insn = {.code = at[0], .imm = helper};
        ebpf_insn_encode(&insn, big ? EBPF_BIG : EBPF_LITTLE, at);
    } else if (!label->defined && !may_be_external(as, label)) {
        undefined(as, fixup, label);
    } else if (label->defined && label->section == fixup->section && !is_global(label)) {
        if (distance(as, fixup, label, &slots))
            eb_set32(at + 4, big, (uint32_t)slots);
    } else {
        uint32_t symbol = target_symbol(as, number, &addend);
        eb_set32(at + 4, big, (uint32_t)(uint64_t)(addend / EBPF_SLOT - 1));
        relocate(as, fixup, EB_R_BPF_64_32, symbol);
    }
}

static void resolve_imm64(eb_asm *as, const eb_fixup *fixup, uint32_t number, uint8_t *at) {
    int64_t addend = fixup->expr.value;
    const eb_label *label = &as->labels.at[number];
    if (!label->defined && !may_be_external(as, label)) {
        undefined(as, fixup, label);
        return;
    }
    uint32_t symbol = target_symbol(as, number, &addend);
    eb_set32(at + 4, as->obj->big, (uint32_t)(uint64_t)addend); /* LLVM's has 32 bits, too */
    relocate(as, fixup, EB_R_BPF_64_64, symbol);
}

/* Of 4 bytes of data: what names code by a temporary label, or data by name, describes them to the
 * linker only, as .BTF and .BTF.ext do (LLVM's BPFELFObjectWriter). */
static uint32_t data32_type(const eb_asm *as, const eb_label *label) {
    if (!label->defined || label->section >= as->obj->sections.len)
        return EB_R_BPF_64_ABS32;
    uint64_t flags = as->obj->sections.at[label->section].flags;
    uint64_t wanted = EB_SHF_ALLOC | (label->temporary ? EB_SHF_EXECINSTR : EB_SHF_WRITE);
    return (flags & wanted) == wanted ? EB_R_BPF_64_NODYLD32 : EB_R_BPF_64_ABS32;
}

static void resolve_data(eb_asm *as, const eb_fixup *fixup, uint32_t number, uint8_t *at) {
    int64_t addend = fixup->expr.value;
    if (fixup->size < 4) {
        eb_diag_add(as->ctx, EB_DIAG_NOT_CONSTANT, fixup->expr.lo, fixup->expr.hi);
        return;
    }
    uint32_t symbol = target_symbol(as, number, &addend);
    bool wide = fixup->size == 8;
    if (wide)
        eb_set64(at, as->obj->big, (uint64_t)addend);
    else
        eb_set32(at, as->obj->big, (uint32_t)(uint64_t)addend);
    relocate(as, fixup,
             wide ? (uint32_t)EB_R_BPF_64_ABS64 : data32_type(as, &as->labels.at[number]), symbol);
}

/* .reloc names its symbol itself, also a local one; what is temporary stands for its section. */
static void resolve_reloc(eb_asm *as, const eb_fixup *fixup) {
    uint32_t symbol = 0;
    unsigned long long size = as->obj->sections.at[fixup->section].size;
    if (fixup->offset >= size) {
        eb_str within = eb_str_fmt(
            &as->ctx->arena, "a relocation at an offset within the section's %llu bytes", size);
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, fixup->expr.lo, fixup->expr.hi, within.at);
        return;
    }
    if (fixup->expr.plus) {
        const eb_label *label = &as->labels.at[fixup->expr.plus - 1];
        if (label->temporary && !label->defined) {
            undefined(as, fixup, label);
            return;
        }
        symbol = label->temporary ? section_symbol(as, label->section)
                                  : symbol_of(as, fixup->expr.plus - 1);
    }
    relocate(as, fixup, (uint32_t)fixup->expr.value, symbol);
}

static void put_constant(const eb_asm *as, const eb_fixup *fixup, uint8_t *at) {
    uint8_t bytes[8];
    eb_set64(bytes, as->obj->big, (uint64_t)fixup->expr.value);
    memcpy(at, bytes + (as->obj->big ? 8 - fixup->size : 0), fixup->size);
}

static void resolve(eb_asm *as, eb_fixup *fixup) {
    if (fixup->kind == EB_FIXUP_RELOC) {
        resolve_reloc(as, fixup);
        return;
    }
    uint8_t *at = as->obj->sections.at[fixup->section].bytes.at + fixup->offset;
    if (eb_asm_settle(as, &fixup->expr) && fixup->kind == EB_FIXUP_DATA) {
        put_constant(as, fixup, at);
        return;
    }
    if (!fixup->expr.plus || fixup->expr.minus) {
        eb_diag_add(as->ctx, EB_DIAG_NOT_CONSTANT, fixup->expr.lo, fixup->expr.hi);
        return;
    }
    uint32_t number = fixup->expr.plus - 1;
    switch (fixup->kind) {
    case EB_FIXUP_JUMP:
    case EB_FIXUP_JUMP32:
        resolve_jump(as, fixup, &as->labels.at[number], at);
        break;
    case EB_FIXUP_CALL:
        resolve_call(as, fixup, number, at);
        break;
    case EB_FIXUP_IMM64:
        resolve_imm64(as, fixup, number, at);
        break;
    default:
        resolve_data(as, fixup, number, at);
        break;
    }
}

/* In ubpf's dialect "exit", when it is no label, is where the first exit instruction stands. */
static void place_exit(eb_asm *as) {
    uint32_t *number = eb_map_find(&as->names, EB_STR("exit"));
    if (as->dialect != EBPF_DIALECT_UBPF || !number || !as->exit_section)
        return;
    eb_label *label = &as->labels.at[*number];
    if (label->defined)
        return;
    label->defined = label->temporary = true;
    label->section = as->exit_section;
    label->value = as->exit_value;
}

void eb_asm_resolve(eb_asm *as) {
    place_exit(as);
    place_sections(as);
    finish_aliases(as);
    make_symbols(as);
    finish_groups(as);
    size_functions(as);
    for (uint32_t i = 0; i < as->fixups.len; i++)
        resolve(as, &as->fixups.at[i]);
    eb_asm_write_btf(as);
}

/* ---- pieces ---- */

enum { PIECE = 1 }; /* the section that a text starts in */

static void resolve_in_piece(eb_asm *as, eb_fixup *fixup, eb_piece *out) {
    static const uint8_t kinds[] = {[EB_FIXUP_JUMP] = EB_REF_JUMP,
                                    [EB_FIXUP_JUMP32] = EB_REF_JUMP32,
                                    [EB_FIXUP_CALL] = EB_REF_CALL,
                                    [EB_FIXUP_IMM64] = EB_REF_IMM64,
                                    [EB_FIXUP_DATA] = EB_REF_DATA};
    uint8_t *at = as->obj->sections.at[PIECE].bytes.at + fixup->offset;
    if (eb_asm_settle(as, &fixup->expr) && fixup->kind == EB_FIXUP_DATA) {
        put_constant(as, fixup, at);
        return;
    }
    if (!fixup->expr.plus || fixup->expr.minus || fixup->kind == EB_FIXUP_RELOC) {
        eb_diag_add(as->ctx, EB_DIAG_NOT_CONSTANT, fixup->expr.lo, fixup->expr.hi);
        return;
    }
    const eb_label *label = &as->labels.at[fixup->expr.plus - 1];
    int64_t slots;
    bool here = label->defined && label->section == PIECE;
    if (here && (fixup->kind == EB_FIXUP_JUMP || fixup->kind == EB_FIXUP_JUMP32)) {
        resolve_jump(as, fixup, label, at);
    } else if (here && fixup->kind == EB_FIXUP_CALL) {
        if (distance(as, fixup, label, &slots))
            eb_set32(at + 4, as->obj->big, (uint32_t)slots);
    } else if (memchr(label->name.at, 1, label->name.len)) {
        undefined(as, fixup, label); /* a numeric label is nobody else's */
    } else {
        *EB_PUSH(&as->ctx->arena, &out->refs) = (eb_piece_ref){.kind = kinds[fixup->kind],
                                                               .size = fixup->size,
                                                               .offset = fixup->offset,
                                                               .name = label->name,
                                                               .addend = fixup->expr.value,
                                                               .lo = fixup->expr.lo,
                                                               .hi = fixup->expr.hi};
    }
}

static void finish_piece(eb_asm *as, eb_piece *out, eb_loc lo, eb_loc hi) {
    finish_aliases(as);
    const eb_section *section = &as->obj->sections.at[PIECE];
    if (as->obj->sections.len > PIECE + 1) {
        eb_str name = as->obj->sections.at[PIECE + 1].name;
        eb_diag_add(as->ctx, EB_DIAG_BAD_SECTION, lo, hi, (int)name.len, name.at,
                    "inline assembly stays in its function's section");
        return;
    }
    if (section->bytes.len % EBPF_SLOT)
        eb_diag_add(as->ctx, EB_DIAG_RAW_SIZE, lo, hi, section->bytes.len);
    for (uint32_t n = 0; n < as->fixups.len; n++)
        resolve_in_piece(as, &as->fixups.at[n], out);
    for (uint32_t n = 0; n < as->placed.len; n++) {
        const eb_label *label = &as->labels.at[as->placed.at[n]];
        *EB_PUSH(&as->ctx->arena, &out->labels) =
            (eb_piece_label){.name = label->name, .offset = (uint32_t)label->value};
    }
    out->bytes = section->bytes;
}

bool eb_asm_piece(ebpf_ctx *ctx, eb_str name, eb_str text, bool big, eb_loc lo, eb_loc hi,
                  eb_piece *out) {
    eb_asm *as = eb_asm_new(ctx, name, EBPF_DIALECT_LLVM, big);
    uint32_t source = ctx->sources.len;
    *out = (eb_piece){.bytes = {.arena = &ctx->arena}};
    eb_asm_text(as, name, text);
    ctx->sources.at[source].from = lo;
    ctx->sources.at[source].from_end = hi;
    if (ctx->errors == as->errors)
        finish_piece(as, out, lo, hi);
    return ctx->errors == as->errors;
}
