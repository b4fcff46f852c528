/* dis.c - an Object as text that assembles to the same sections, symbols and relocations.
 *
 * Every section is written in its order: labels, instructions where they decode, data elsewhere.
 * Jump targets without a symbol get labels .L0, .L1, ... (temporary: no symbol comes back), calls
 * of helpers their names. What a relocation names is written by name; section-relative ones go
 * through a temporary label at the start of their section, which the assembler turns into the same
 * relocation again. What no instruction or datum can say of a relocation, .reloc says:
 *   .reloc OFFSET, TYPE, SYMBOL
 * What .BTF.ext knows of an instruction stands in comments. */
#include "assemble.h"

#include <string.h>

#include "btf_ext.h"
#include "core.h"
#include "dis.h"
#include "kinds.h"

/* What stands at a slot that something jumps to: 0; the second slot of a 64-bit load; a symbol; or
 * 1 + the number of a temporary label. */
enum { IN_LOAD = -1, IS_SYMBOL = 1 << 30 };

typedef struct dis {
    const ebpf_object *obj;
    enum ebpf_dialect dialect;
    uint32_t flags;
    eb_view *views;
    eb_dis_names names;
    uint32_t *groups; /* by section: the group that it is a member of, or 0 */
    eb_buf *out;
    uint32_t labels;      /* temporary ones given out */
    bool names_helper;    /* the object has a symbol that is called as a helper is */
    eb_map section_names; /* how often each was written */

    /* The section at hand. */
    uint32_t number;
    const eb_section *section;
    const eb_view *view;
    int32_t *targets; /* by slot */
    uint32_t next_symbol, next_reloc, next_line, next_core;
    eb_str file; /* of the source lines shown last */
} dis;

/* Sections with contents of their own; the others are tables that the assembler makes. */
static bool is_written(const eb_section *section) {
    switch (section->type) {
    case EB_SHT_NULL:
    case EB_SHT_STRTAB:
    case EB_SHT_GROUP:
        return false;
    default:
        return true;
    }
}

/* A local symbol at `value` of a section, or 0: naming it relocates as naming the section does. */
static uint32_t local_at(const dis *d, uint32_t section, uint64_t value) {
    const eb_view *view = &d->views[section];
    const eb_symbol *symbols = d->obj->symbols.at;
    uint32_t lo = 0, hi = view->symbol_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (symbols[view->symbols[mid]].value < value)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < view->symbol_count && symbols[view->symbols[lo]].value == value; lo++)
        if (symbols[view->symbols[lo]].bind == EB_STB_LOCAL)
            return view->symbols[lo];
    return 0;
}

/* A place in a mergeable section: with an addend the assembler would relocate against the label, so
 * that linkers may move what it stands at. A label of the place's own has none. */
static eb_str merged_text(dis *d, uint32_t section, int64_t addend) {
    eb_str name =
        eb_str_fmt(&d->obj->ctx->arena, ".Lsection%u.%llx", section, (unsigned long long)addend);
    eb_buf_fmt(d->out, "\t.set\t%s, .Lsection%u%+lld\n", name.at, section, (long long)addend);
    return name;
}

/* `symbol` + `addend` as an expression; called between lines. */
static eb_str symbol_text(dis *d, uint32_t number, int64_t addend) {
    eb_buf text = {.arena = &d->obj->ctx->arena};
    const eb_symbol *symbol = &d->obj->symbols.at[number];
    if (symbol->type == EB_STT_SECTION && symbol->section < d->obj->sections.len) {
        uint32_t local = local_at(d, symbol->section, (uint64_t)addend);
        if (local)
            return d->names.at[local];
        if (addend && (d->obj->sections.at[symbol->section].flags & EB_SHF_MERGE))
            return merged_text(d, symbol->section, addend);
        eb_buf_fmt(&text, ".Lsection%u", symbol->section);
    } else {
        eb_buf_str(&text, d->names.at[number]);
    }
    if (addend)
        eb_buf_fmt(&text, "%+lld", (long long)addend);
    return (eb_str){(const char *)text.at, text.len};
}

/* Whether the assembler relocates against just this symbol when it is named. */
static bool says_itself(const dis *d, uint32_t number) {
    const eb_symbol *symbol = &d->obj->symbols.at[number];
    if (symbol->type == EB_STT_SECTION)
        return symbol->section && symbol->section < d->obj->sections.len &&
               is_written(&d->obj->sections.at[symbol->section]);
    return number && symbol->bind != EB_STB_LOCAL && d->names.at[number].len &&
           (!symbol->section || symbol->section < d->obj->sections.len);
}

/* ---- headers ---- */

static void put_name(dis *d, eb_str name) {
    if (eb_dis_is_plain(name))
        eb_buf_str(d->out, name);
    else
        eb_dis_put_quoted(d->out, name);
}

static void put_flags(dis *d) {
    static const struct {
        uint32_t flag;
        char letter;
    } letters[] = {{EB_SHF_ALLOC, 'a'}, {EB_SHF_WRITE, 'w'},   {EB_SHF_EXECINSTR, 'x'},
                   {EB_SHF_MERGE, 'M'}, {EB_SHF_STRINGS, 'S'}, {EB_SHF_GROUP, 'G'}};
    eb_buf_str(d->out, EB_STR(",\""));
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if ((d->section->flags & letters[i].flag) &&
            (letters[i].flag != EB_SHF_GROUP || d->groups[d->number]))
            eb_buf_byte(d->out, (uint8_t)letters[i].letter);
    eb_buf_str(d->out, EB_STR("\","));
}

static void put_type(dis *d) {
    switch (d->section->type) {
    case EB_SHT_PROGBITS:
        eb_buf_str(d->out, EB_STR("@progbits"));
        break;
    case EB_SHT_NOBITS:
        eb_buf_str(d->out, EB_STR("@nobits"));
        break;
    case EB_SHT_NOTE:
        eb_buf_str(d->out, EB_STR("@note"));
        break;
    default:
        eb_buf_fmt(d->out, "@0x%x", d->section->type);
        break;
    }
}

/* What a group is called: the symbol in its header; "" when that has no name. */
static eb_str group_name(const dis *d, const eb_section *group) {
    return group->info < d->obj->symbols.len ? d->names.at[group->info] : EB_STR("");
}

static void put_group(dis *d) {
    const eb_section *group = &d->obj->sections.at[d->groups[d->number]];
    eb_str name = group_name(d, group);
    bool comdat = group->bytes.len >= 4 && (eb_get32(group->bytes.at, d->obj->big) & 1);
    eb_buf_fmt(d->out, ",%.*s%s", (int)name.len, name.at, comdat ? ",comdat" : "");
}

static void put_section(dis *d) {
    const eb_section *section = d->section;
    bool is_new;
    eb_buf_str(d->out, EB_STR("\t.section\t"));
    put_name(d, section->name);
    put_flags(d);
    put_type(d);
    if (section->flags & EB_SHF_MERGE)
        eb_buf_fmt(d->out, ",%llu", (unsigned long long)section->entsize);
    if (d->groups[d->number])
        put_group(d);
    uint32_t *namesakes = eb_map_enter(&d->section_names, section->name, &is_new);
    if ((*namesakes)++)
        eb_buf_fmt(d->out, ",unique,%u", *namesakes - 1);
    eb_buf_byte(d->out, '\n');
    unsigned power = 0;
    while (power < 16 && (uint64_t)1 << power < section->align)
        power++;
    if (power && !(eb_section_is_code(section) && section->align <= EBPF_SLOT))
        eb_buf_fmt(d->out, "\t.p2align\t%u\n", power);
    if (d->view->anchored)
        eb_buf_fmt(d->out, ".Lsection%u:\n", d->number);
}

/* ---- symbols ---- */

static void put_attribute(dis *d, const char *directive, uint32_t symbol, const char *end) {
    eb_str name = d->names.at[symbol];
    eb_buf_fmt(d->out, "\t%s\t%.*s%s\n", directive, (int)name.len, name.at, end);
}

/* What it is called, and who sees it. */
static void put_binding(dis *d, uint32_t number) {
    const eb_symbol *symbol = &d->obj->symbols.at[number];
    eb_str name = d->names.at[number];
    if (d->names.renamed[number]) {
        eb_buf_fmt(d->out, "\t.rename\t%.*s, ", (int)name.len, name.at);
        eb_dis_put_quoted(d->out, symbol->name);
        eb_buf_byte(d->out, '\n');
    }
    if (symbol->bind == EB_STB_GLOBAL && symbol->section)
        put_attribute(d, ".globl", number, "");
    if (symbol->bind == EB_STB_WEAK)
        put_attribute(d, ".weak", number, "");
    if (symbol->visibility)
        put_attribute(d,
                      symbol->visibility == EB_STV_HIDDEN ? ".hidden"
                      : symbol->visibility == 1           ? ".internal"
                                                          : ".protected",
                      number, "");
}

static void put_attributes(dis *d, uint32_t number) {
    const eb_symbol *symbol = &d->obj->symbols.at[number];
    eb_str name = d->names.at[number];
    put_binding(d, number);
    if (symbol->type == EB_STT_FUNC || symbol->type == EB_STT_OBJECT)
        put_attribute(d, ".type", number, symbol->type == EB_STT_FUNC ? ",@function" : ",@object");
    if (symbol->size || symbol->type == EB_STT_FUNC)
        eb_buf_fmt(d->out, "\t.size\t%.*s, %llu\n", (int)name.len, name.at,
                   (unsigned long long)symbol->size);
}

/* The label of every symbol up to `offset`; one that is past, in the middle of something, is set.
 * Returns where the next symbol is. */
static uint64_t put_labels(dis *d, uint64_t offset) {
    const eb_symbol *symbols = d->obj->symbols.at;
    while (d->next_symbol < d->view->symbol_count &&
           symbols[d->view->symbols[d->next_symbol]].value <= offset) {
        uint32_t symbol = d->view->symbols[d->next_symbol++];
        put_attributes(d, symbol);
        if (symbols[symbol].value != offset) {
            eb_buf_fmt(d->out, "\t.set\t%.*s, .-%llu\n", (int)d->names.at[symbol].len,
                       d->names.at[symbol].at,
                       (unsigned long long)(offset - symbols[symbol].value));
            continue;
        }
        eb_buf_str(d->out, d->names.at[symbol]);
        eb_buf_str(d->out, EB_STR(":\n"));
    }
    return d->next_symbol < d->view->symbol_count ? symbols[d->view->symbols[d->next_symbol]].value
                                                  : UINT64_MAX;
}

/* Those behind the end of the section. */
static void put_rest(dis *d) {
    const eb_symbol *symbols = d->obj->symbols.at;
    put_labels(d, d->section->size);
    for (; d->next_symbol < d->view->symbol_count; d->next_symbol++) {
        uint32_t symbol = d->view->symbols[d->next_symbol];
        put_attributes(d, symbol);
        eb_buf_fmt(d->out, "\t.set\t%.*s, .+%llu\n", (int)d->names.at[symbol].len,
                   d->names.at[symbol].at,
                   (unsigned long long)(symbols[symbol].value - d->section->size));
    }
}

/* A symbol that is in no section here: a constant, common room, or something from elsewhere. */
static void put_sectionless(dis *d, uint32_t number) {
    const eb_symbol *symbol = &d->obj->symbols.at[number];
    eb_str name = d->names.at[number];
    if (symbol->section == EB_SHN_ABS) {
        put_attributes(d, number);
        eb_buf_fmt(d->out, "\t.set\t%.*s, %lld\n", (int)name.len, name.at,
                   (long long)symbol->value);
        return;
    }
    if (symbol->section == EB_SHN_COMMON) {
        put_binding(d, number);
        eb_buf_fmt(d->out, "\t.comm\t%.*s, %llu, %llu\n", (int)name.len, name.at,
                   (unsigned long long)symbol->size, (unsigned long long)symbol->value);
        return;
    }
    if (symbol->section != EB_SHN_UNDEF)
        return;
    if (symbol->bind == EB_STB_GLOBAL && d->dialect == EBPF_DIALECT_UBPF)
        put_attribute(d, ".globl", number, "");
    put_attributes(d, number);
}

/* ---- relocations ---- */

static void put_reloc(dis *d, const eb_reloc *reloc) {
    const char *type = eb_reloc_name(reloc->type);
    eb_buf_fmt(d->out, "\t.reloc\t%llu, ", (unsigned long long)reloc->offset);
    if (type)
        eb_buf_str(d->out, eb_str_from(type));
    else
        eb_buf_fmt(d->out, "%u", reloc->type);
    /* The null symbol, those of files, of constants and of tables have none that text can say. */
    const eb_symbol *symbol = &d->obj->symbols.at[reloc->symbol];
    eb_str name = {0};
    if (symbol->type != EB_STT_SECTION && symbol->section != EB_SHN_ABS)
        name = d->names.at[reloc->symbol];
    else if (symbol->type == EB_STT_SECTION && says_itself(d, reloc->symbol))
        name = symbol_text(d, reloc->symbol, 0);
    if (name.len)
        eb_buf_fmt(d->out, ", %.*s", (int)name.len, name.at);
    eb_buf_byte(d->out, '\n');
}

/* The next relocation before `end`, or NULL. */
static const eb_reloc *next_reloc(const dis *d, uint64_t end) {
    if (d->next_reloc == d->view->reloc_count)
        return NULL;
    const eb_reloc *reloc = &d->section->relocs.at[d->view->relocs[d->next_reloc]];
    return reloc->offset < end ? reloc : NULL;
}

static void put_relocs(dis *d, uint64_t end) {
    for (const eb_reloc *reloc; (reloc = next_reloc(d, end)); d->next_reloc++)
        put_reloc(d, reloc);
}

/* A function from outside that is called as a helper is: in text, its call would be the helper's.
 */
static bool is_taken_for_helper(const dis *d, uint32_t number) {
    const eb_symbol *symbol = &d->obj->symbols.at[number];
    return d->names_helper && symbol->section == EB_SHN_UNDEF && eb_helper_find(symbol->name);
}

/* A call of what only this section has needs no relocation: the assembler would make none. */
static bool is_near(const dis *d, uint32_t number) {
    const eb_symbol *symbol = &d->obj->symbols.at[number];
    return symbol->section == d->number && symbol->bind == EB_STB_LOCAL;
}

/* What a relocated instruction names; false when its text cannot say it. */
static bool reloc_names(dis *d, const eb_reloc *reloc, const ebpf_insn *insn, eb_op op,
                        eb_style *style) {
    if (!says_itself(d, reloc->symbol))
        return false;
    bool narrow = (uint64_t)insn->imm >> 32 == 0; /* the addends that text makes */
    if (reloc->type == EB_R_BPF_64_64 && op == EB_OP_LDDW_ONLY && narrow) {
        style->imm = symbol_text(d, reloc->symbol, reloc->addend ? reloc->addend : insn->imm);
        return true;
    }
    if (reloc->type == EB_R_BPF_64_32 && op == EB_OP_CALL_LOCAL_ONLY &&
        !is_near(d, reloc->symbol) && !is_taken_for_helper(d, reloc->symbol)) {
        style->target = symbol_text(d, reloc->symbol, (insn->imm + 1) * EBPF_SLOT);
        return true;
    }
    return false;
}

/* ---- code ---- */

static bool may_jump(uint8_t code) {
    return (code & 7) == 5 || (code & 7) == 6;
}

/* The slot that a jump or call in slot `slot` goes to, or -1. */
static int64_t target_slot(const eb_section *section, const ebpf_insn *insn, eb_op op,
                           uint64_t slot) {
    eb_target kind = eb_op_target(op);
    if (kind == EB_TARGET_NONE)
        return -1;
    int64_t target = (int64_t)slot + 1 + (kind == EB_TARGET_OFF ? insn->off : insn->imm);
    bool inside = target >= 0 && (uint64_t)target < section->bytes.len / EBPF_SLOT;
    return inside ? target : -1;
}

/* Mark the slots that something in the section jumps to without a relocation. */
static void mark_targets(dis *d) {
    const eb_section *section = d->section;
    uint64_t slots = section->bytes.len / EBPF_SLOT;
    for (uint64_t slot = 0; slot < slots; slot++) {
        const uint8_t *at = section->bytes.at + slot * EBPF_SLOT;
        ebpf_insn insn;
        eb_op op;
        if (!eb_insn_is_lddw(*at) && !may_jump(*at))
            continue;
        if (!eb_dis_decode(d->obj, section, slot * EBPF_SLOT, &insn, &op))
            continue;
        if (insn.slots == 2) {
            d->targets[++slot] = IN_LOAD;
            continue;
        }
        while (next_reloc(d, slot * EBPF_SLOT))
            d->next_reloc++;
        int64_t target = target_slot(section, &insn, op, slot);
        if (target >= 0 && d->targets[target] != IN_LOAD && !next_reloc(d, (slot + 1) * EBPF_SLOT))
            d->targets[target] = 1;
    }
    d->next_reloc = 0;
}

static void find_targets(dis *d) {
    uint64_t slots = d->section->bytes.len / EBPF_SLOT;
    const eb_symbol *symbols = d->obj->symbols.at;
    uint32_t next = 0;
    d->targets = eb_alloc_array(&d->obj->ctx->arena, (size_t)slots + 1, sizeof *d->targets);
    if (d->flags & EBPF_DIS_NUMERIC)
        return;
    mark_targets(d);
    for (uint64_t slot = 0; slot < slots; slot++) {
        if (d->targets[slot] <= 0)
            continue;
        while (next < d->view->symbol_count &&
               symbols[d->view->symbols[next]].value < slot * EBPF_SLOT)
            next++;
        bool near = next < d->view->symbol_count &&
                    symbols[d->view->symbols[next]].value == slot * EBPF_SLOT;
        uint32_t local = near ? local_at(d, d->number, slot * EBPF_SLOT) : 0;
        d->targets[slot] = local ? (int32_t)(local | IS_SYMBOL) : (int32_t)++d->labels;
    }
}

/* ".L12" into `room`. */
static eb_str label_text(char room[16], uint32_t number) {
    char *at = room + 16;
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    *--at = 'L';
    *--at = '.';
    return (eb_str){at, (size_t)(room + 16 - at)};
}

/* What a jump to `slot` names; empty in the middle of a 64-bit load. */
static eb_str target_text(const dis *d, uint64_t slot, char room[16]) {
    int32_t target = d->targets[slot];
    if (target <= 0)
        return (eb_str){0};
    if (target & IS_SYMBOL)
        return d->names.at[target & ~IS_SYMBOL];
    return label_text(room, (uint32_t)target - 1);
}

static void put_raw(dis *d, const uint8_t *bytes, unsigned slots) {
    static const char digits[] = "0123456789abcdef";
    uint8_t *at = eb_buf_reserve(d->out, 64), *from = at;
    *at++ = '/';
    *at++ = '*';
    for (unsigned i = 0; i < slots * EBPF_SLOT; i++) {
        *at++ = ' ';
        *at++ = (uint8_t)digits[bytes[i] >> 4];
        *at++ = (uint8_t)digits[bytes[i] & 15];
    }
    d->out->len += (size_t)(at - from);
    eb_buf_str(d->out, slots == 1 ? EB_STR("                         */") : EB_STR(" */"));
}

static void put_helper_name(dis *d, const ebpf_insn *insn, eb_op op, eb_style *style,
                            char room[64]) {
    const char *name = op == EB_OP_CALL_ONLY && insn->imm > 0 && d->dialect == EBPF_DIALECT_LLVM
                           ? eb_helper_name((uint32_t)insn->imm)
                           : NULL;
    if (!name || d->names_helper || (d->flags & EBPF_DIS_NUMERIC))
        return;
    size_t len = strlen(name);
    memcpy(room, "bpf_", 4);
    memcpy(room + 4, name, len);
    style->imm = (eb_str){room, len + 4};
}

/* ---- what .BTF.ext says ---- */

/* The source lines that start at `offset`; one that goes on is not said again. */
static void put_lines(dis *d, uint64_t offset) {
    for (; d->next_line < d->section->lines.len; d->next_line++) {
        const eb_line *line = &d->section->lines.at[d->next_line];
        if (line->offset > offset)
            return;
        bool other_file = !eb_str_eq(line->file, d->file);
        if (line->offset < offset || (!other_file && d->next_line && line[-1].line == line->line))
            continue;
        if (other_file) {
            eb_buf_str(d->out, EB_STR("\t# "));
            eb_dis_put_comment(d->out, line->file);
            eb_buf_byte(d->out, '\n');
            d->file = line->file;
        }
        eb_buf_fmt(d->out, "\t# %u: ", line->line);
        eb_dis_put_comment(d->out, eb_line_text(line));
        eb_buf_byte(d->out, '\n');
    }
}

/* The CO-RE relocation of the instruction at `offset`, at the end of its line. */
static void put_core(dis *d, uint64_t offset) {
    const eb_section *section = d->section;
    while (d->next_core < section->core.len && section->core.at[d->next_core].offset < offset)
        d->next_core++;
    if (d->next_core == section->core.len || section->core.at[d->next_core].offset != offset)
        return;
    const eb_core_relo *relo = &section->core.at[d->next_core];
    eb_buf text = {.arena = &d->obj->ctx->arena};
    eb_core_spell(d->obj->btf, relo, &text);
    eb_buf_fmt(d->out, "\t# CO-RE %s ", eb_core_kind_name(relo->kind));
    eb_dis_put_comment(d->out, (eb_str){(const char *)text.at, text.len});
}

/* One instruction, or a slot that is none as data; returns its slots. */
static unsigned put_insn(dis *d, uint64_t slot) {
    uint64_t offset = slot * EBPF_SLOT;
    const uint8_t *bytes = d->section->bytes.at + offset;
    eb_style style = {.hex = (d->flags & EBPF_DIS_HEX) != 0};
    char room[64];
    ebpf_insn insn;
    eb_op op;
    bool ok = eb_dis_decode(d->obj, d->section, offset, &insn, &op);
    if (d->flags & EBPF_DIS_SOURCE)
        put_lines(d, offset);
    unsigned slots = ok ? insn.slots : 1;
    const eb_reloc *reloc = next_reloc(d, offset + slots * EBPF_SLOT);
    bool relocated = reloc != NULL;
    if (reloc) {
        d->next_reloc += ok && reloc->offset == offset && reloc_names(d, reloc, &insn, op, &style);
        put_relocs(d, offset + slots * EBPF_SLOT);
    }
    if (d->flags & EBPF_DIS_RAW)
        put_raw(d, bytes, slots);
    eb_buf_byte(d->out, '\t');
    if (!ok) {
        eb_buf_fmt(d->out, ".quad\t0x%016llx", (unsigned long long)eb_get64(bytes, d->obj->big));
        const char *why = eb_insn_is_lddw(insn.code)
                              ? "the second slot of a 64-bit load is missing or holds more"
                              : eb_insn_why_invalid(d->obj->ctx, &insn);
        eb_buf_fmt(d->out, "\t# no instruction%s%s\n", why ? ": " : "", why ? why : "");
        return 1;
    }
    int64_t target = relocated ? -1 : target_slot(d->section, &insn, op, slot);
    if (target >= 0)
        style.target = target_text(d, (uint64_t)target, room);
    else if (!relocated)
        put_helper_name(d, &insn, op, &style, room);
    eb_insn_print(d->out, d->dialect, op, &insn, &style);
    if (d->section->core.len)
        put_core(d, offset);
    eb_buf_byte(d->out, '\n');
    return slots;
}

static void put_code(dis *d) {
    uint64_t slots = d->section->bytes.len / EBPF_SLOT, label = 0;
    find_targets(d);
    for (uint64_t slot = 0; slot < slots;) {
        if (label <= slot * EBPF_SLOT)
            label = put_labels(d, slot * EBPF_SLOT);
        int32_t target = d->targets[slot];
        if (target > 0 && !(target & IS_SYMBOL)) {
            char room[16];
            eb_buf_str(d->out, label_text(room, (uint32_t)target - 1));
            eb_buf_str(d->out, EB_STR(":\n"));
        }
        slot += put_insn(d, slot);
    }
}

/* ---- data ---- */

static void put_bytes(dis *d, const uint8_t *at, uint64_t size) {
    enum { ROW = 16 };
    while (size) {
        uint64_t zeroes = 0, row = size < ROW ? size : ROW;
        while (zeroes < size && !at[zeroes])
            zeroes++;
        if (zeroes >= ROW || zeroes == size) {
            eb_buf_fmt(d->out, "\t.zero\t%llu\n", (unsigned long long)zeroes);
            row = zeroes;
        } else {
            for (uint64_t i = 0; i < row; i++)
                eb_buf_fmt(d->out, "%s0x%02x", i ? ", " : "\t.byte\t", at[i]);
            eb_buf_byte(d->out, '\n');
        }
        at += row;
        size -= row;
    }
}

/* Text that ends in its only NUL and is all printable. */
static bool is_text(const uint8_t *at, uint64_t size) {
    if (size < 2 || at[size - 1])
        return false;
    for (uint64_t i = 0; i + 1 < size; i++)
        if ((at[i] < 0x20 && at[i] != '\n' && at[i] != '\t') || at[i] >= 0x7f)
            return false;
    return true;
}

static void put_span(dis *d, uint64_t from, uint64_t to) {
    if (to <= from)
        return;
    if (d->section->type == EB_SHT_NOBITS) {
        eb_buf_fmt(d->out, "\t.zero\t%llu\n", (unsigned long long)(to - from));
        return;
    }
    const uint8_t *at = d->section->bytes.at + from;
    if (is_text(at, to - from)) {
        eb_buf_str(d->out, EB_STR("\t.asciz\t"));
        eb_dis_put_quoted(d->out, (eb_str){(const char *)at, (size_t)(to - from - 1)});
        eb_buf_byte(d->out, '\n');
    } else {
        put_bytes(d, at, to - from);
    }
}

/* The relocation that the assembler makes of a 4-byte field which names a symbol of `section`. */
static uint32_t long_reloc(const dis *d, uint32_t section, bool temporary) {
    if (!section || section >= d->obj->sections.len)
        return EB_R_BPF_64_ABS32;
    uint64_t flags = d->obj->sections.at[section].flags;
    uint64_t kind = temporary ? EB_SHF_EXECINSTR : EB_SHF_WRITE;
    return (flags & EB_SHF_ALLOC) && (flags & kind) ? EB_R_BPF_64_NODYLD32 : EB_R_BPF_64_ABS32;
}

/* The relocated field of `size` bytes as what it names: a symbol, or something in a section by a
 * label of its own or from the section's start, whichever makes a relocation of this type. False
 * when none does. */
static bool field_text(dis *d, const eb_reloc *reloc, unsigned size, eb_str *text) {
    const eb_symbol *symbol = &d->obj->symbols.at[reloc->symbol];
    const uint8_t *at = d->section->bytes.at + reloc->offset;
    int64_t addend = reloc->addend;
    if (!addend)
        addend =
            size == 8 ? (int64_t)eb_get64(at, d->obj->big) : (int64_t)eb_get32(at, d->obj->big);
    bool anchored = symbol->type == EB_STT_SECTION;
    uint32_t local = anchored ? local_at(d, symbol->section, (uint64_t)addend) : 0;
    if (size == 8 || (long_reloc(d, symbol->section, anchored && !local) == reloc->type)) {
        *text = symbol_text(d, reloc->symbol, addend);
        return true;
    }
    if (local && long_reloc(d, symbol->section, true) == reloc->type) {
        *text =
            eb_str_fmt(&d->obj->ctx->arena, ".Lsection%u%+lld", symbol->section, (long long)addend);
        return true;
    }
    return false;
}

/* The field that `reloc` fills; returns its size, 0 when no name in .quad or .long makes the same
 * relocation. */
static unsigned put_field(dis *d, const eb_reloc *reloc) {
    unsigned size = eb_reloc_size(reloc->type);
    uint64_t room = d->section->bytes.len;
    room = reloc->offset < room ? room - reloc->offset : 0;
    eb_str text;
    if (!size || room < size || !says_itself(d, reloc->symbol) ||
        !field_text(d, reloc, size, &text))
        return 0;
    eb_buf_fmt(d->out, "\t.%s\t%.*s\n", size == 8 ? "quad" : "long", (int)text.len, text.at);
    return size;
}

static void put_data(dis *d) {
    uint64_t at = 0, size = d->section->size;
    while (at < size) {
        uint64_t end = size, label = put_labels(d, at);
        const eb_reloc *reloc = next_reloc(d, size);
        unsigned field = reloc && reloc->offset == at ? put_field(d, reloc) : 0;
        if (field) {
            d->next_reloc++;
            at += field;
            continue;
        }
        put_relocs(d, at + 1);
        reloc = next_reloc(d, size);
        end = label < end ? label : end;
        end = reloc && reloc->offset < end ? reloc->offset : end;
        put_span(d, at, end);
        at = end;
    }
}

/* ---- the object ---- */

static void open_section(dis *d, uint32_t number) {
    d->number = number;
    d->section = &d->obj->sections.at[number];
    d->view = &d->views[number];
    d->next_symbol = d->next_reloc = d->next_line = d->next_core = 0;
    d->file = (eb_str){0};
}

static bool has_helper_name(const ebpf_object *obj) {
    for (uint32_t i = 1; i < obj->symbols.len; i++)
        if (eb_str_starts(obj->symbols.at[i].name, "bpf_") &&
            eb_helper_find(obj->symbols.at[i].name))
            return true;
    return false;
}

/* By section: its group, if both say so and it has a name. */
static uint32_t *groups_of(const dis *d) {
    const ebpf_object *obj = d->obj;
    uint32_t *groups = eb_alloc_array(&obj->ctx->arena, obj->sections.len, sizeof *groups);
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        const eb_section *group = &obj->sections.at[i];
        if (group->type != EB_SHT_GROUP || !group_name(d, group).len)
            continue;
        for (size_t at = 4; at + 4 <= group->bytes.len; at += 4) {
            uint32_t member = eb_get32(group->bytes.at + at, obj->big);
            if (member < obj->sections.len && (obj->sections.at[member].flags & EB_SHF_GROUP))
                groups[member] = i;
        }
    }
    return groups;
}

/* The source files that the symbol table names. */
static void put_files(dis *d) {
    for (uint32_t i = 1; i < d->obj->symbols.len; i++) {
        const eb_symbol *symbol = &d->obj->symbols.at[i];
        if (symbol->type != EB_STT_FILE || !eb_dis_is_quotable(symbol->name))
            continue;
        eb_buf_str(d->out, EB_STR("\t.file\t"));
        eb_dis_put_quoted(d->out, symbol->name);
        eb_buf_byte(d->out, '\n');
    }
}

/* The assembler describes functions; where the object does not, it must not either. */
static void put_no_btf(dis *d) {
    const ebpf_object *obj = d->obj;
    if (d->names.has_functions && !eb_object_find_section(obj, EB_STR(".BTF")))
        eb_buf_str(d->out, EB_STR("\t.nobtf\n"));
}

void eb_disassemble(const ebpf_object *obj, enum ebpf_dialect dialect, uint32_t flags,
                    eb_buf *out) {
    if (flags & EBPF_DIS_OBJDUMP) {
        eb_objdump(obj, flags, out);
        return;
    }
    dis d = {.obj = obj, .dialect = dialect, .flags = flags, .out = out};
    d.views = eb_views_of(obj);
    d.names = eb_dis_name_symbols(obj);
    d.groups = groups_of(&d);
    d.names_helper = has_helper_name(obj);
    d.section_names.arena = &obj->ctx->arena;
    if (obj->big)
        eb_buf_str(out, EB_STR("\t# big-endian: to be assembled with --endian big\n"));
    put_files(&d);
    put_no_btf(&d);
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        open_section(&d, i);
        /* An empty .text is there anyway. */
        bool implied = !d.section->size && !d.view->symbol_count && !d.view->anchored &&
                       eb_str_is(d.section->name, ".text");
        if (!is_written(d.section) || implied)
            continue;
        put_section(&d);
        if (eb_section_is_code(d.section) && d.section->bytes.len % EBPF_SLOT == 0)
            put_code(&d);
        else
            put_data(&d);
        put_rest(&d);
    }
    for (uint32_t i = 1; i < obj->symbols.len; i++)
        if (d.names.at[i].len)
            put_sectionless(&d, i);
}
