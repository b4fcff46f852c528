/* dis.c - an Object as text that assembles to the same sections, symbols and relocations.
 *
 * Every section is written in its order: labels, instructions where they decode, data elsewhere.
 * Jump targets without a symbol get labels .L0, .L1, ... (temporary: no symbol comes back). What a
 * relocation names is written by name; section-relative ones go through a temporary label at the
 * start of their section, which the assembler turns into the same relocation again. */
#include "assemble.h"

#include <string.h>

#include "dialect.h"
#include "sort.h"

typedef struct section_view {
    uint32_t *symbols; /* by value: those to be written as labels */
    uint32_t symbol_count;
    uint32_t *relocs; /* by offset */
    uint32_t reloc_count;
    uint32_t *targets; /* per slot: 1 + the number of its temporary label, or 0; NULL for data */
    uint8_t *tail;     /* per slot: it is the second one of a 64-bit load */
    bool anchored;     /* a temporary label stands at its start */
} section_view;

typedef struct dis {
    const ebpf_object *obj;
    enum ebpf_dialect dialect;
    uint32_t flags;
    section_view *views;
    uint32_t labels; /* temporary ones given out */
    eb_buf *out;
    uint32_t next_symbol, next_reloc; /* in the section at hand */
} dis;

static bool is_code(const eb_section *section) {
    return (section->flags & EB_SHF_EXECINSTR) && section->type == EB_SHT_PROGBITS;
}

static bool is_written(const eb_section *section) {
    return section->type == EB_SHT_PROGBITS || section->type == EB_SHT_NOBITS;
}

/* ---- names ---- */

static bool is_plain(eb_str name) {
    ebpf_ctx scratch = {0};
    eb_scanner scanner = {.ctx = &scratch, .text = name};
    if (!name.len || (name.at[0] >= '0' && name.at[0] <= '9'))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '_' || c == '.' || c == '$';
        if (!word)
            return false;
    }
    return !eb_str_is(name, ".") && eb_scan(&scanner).kind == EB_TOKEN_WORD;
}

static void put_quoted(eb_buf *out, eb_str text) {
    eb_buf_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.at[i];
        if (c == '"' || c == '\\')
            eb_buf_fmt(out, "\\%c", c);
        else if (c == '\n')
            eb_buf_str(out, EB_STR("\\n"));
        else if (c == '\t')
            eb_buf_str(out, EB_STR("\\t"));
        else if (c < 0x20 || c >= 0x7f)
            eb_buf_fmt(out, "\\%u%u%u", c >> 6, c >> 3 & 7, c & 7);
        else
            eb_buf_byte(out, c);
    }
    eb_buf_byte(out, '"');
}

static void put_name(eb_buf *out, eb_str name) {
    if (is_plain(name))
        eb_buf_str(out, name);
    else
        put_quoted(out, name);
}

/* A local symbol with a name at `value` of a section, or NULL: naming it relocates as naming the
 * section does. */
static const eb_symbol *local_at(const dis *d, uint32_t section, uint64_t value) {
    const section_view *view = &d->views[section];
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
            return &symbols[view->symbols[lo]];
    return NULL;
}

/* `symbol` + `addend` as an expression. */
static eb_str symbol_text(dis *d, const eb_symbol *symbol, int64_t addend) {
    eb_buf text = {.arena = &d->obj->ctx->arena};
    if (symbol->type == EB_STT_SECTION && symbol->section < d->obj->sections.len) {
        const eb_symbol *local = local_at(d, symbol->section, (uint64_t)addend);
        symbol = local ? local : symbol;
        addend = local ? 0 : addend;
    }
    if (symbol->type == EB_STT_SECTION || !symbol->name.len)
        eb_buf_fmt(&text, ".Lsection%u", symbol->section);
    else
        put_name(&text, symbol->name);
    if (addend)
        eb_buf_fmt(&text, "%+lld", (long long)addend);
    return (eb_str){(const char *)text.at, text.len};
}

/* ---- what stands where ---- */

static bool decode(const dis *d, const eb_section *section, uint64_t offset, ebpf_insn *insn,
                   eb_op *op) {
    const uint8_t *at = section->bytes.at + offset;
    if (!ebpf_insn_decode(at, section->bytes.len - (size_t)offset,
                          d->obj->big ? EBPF_BIG : EBPF_LITTLE, insn))
        return false;
    /* The second slot of a 64-bit load has nothing but its immediate. */
    if (insn->slots == 2 && (at[8] | at[9] | at[10] | at[11]))
        return false;
    *op = eb_insn_op(d->obj->ctx, insn);
    return *op != EB_OP_COUNT;
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

static const eb_reloc *reloc_at(const dis *d, const eb_section *section, uint64_t offset) {
    const section_view *view = &d->views[section - d->obj->sections.at];
    uint32_t lo = 0, hi = view->reloc_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (section->relocs.at[view->relocs[mid]].offset < offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == view->reloc_count)
        return NULL;
    const eb_reloc *reloc = &section->relocs.at[view->relocs[lo]];
    return reloc->offset == offset ? reloc : NULL;
}

static void view_targets(dis *d, uint32_t number) {
    const eb_section *section = &d->obj->sections.at[number];
    section_view *view = &d->views[number];
    eb_arena *arena = &d->obj->ctx->arena;
    uint64_t slots = section->bytes.len / EBPF_SLOT;
    view->targets = eb_alloc_array(arena, (size_t)slots + 1, sizeof *view->targets);
    view->tail = eb_alloc_array(arena, (size_t)slots + 1, 1);
    for (uint64_t slot = 0; slot < slots; slot++) {
        ebpf_insn insn;
        eb_op op;
        if (!decode(d, section, slot * EBPF_SLOT, &insn, &op))
            continue;
        int64_t target = target_slot(section, &insn, op, slot);
        if (target >= 0 && !reloc_at(d, section, slot * EBPF_SLOT))
            view->targets[target] = 1;
        if (insn.slots == 2)
            view->tail[++slot] = 1;
    }
    if (d->flags & EBPF_DIS_NUMERIC)
        memset(view->targets, 0, (size_t)(slots + 1) * sizeof *view->targets);
    for (uint64_t slot = 0; slot < slots; slot++)
        if (view->targets[slot]) {
            bool named = local_at(d, number, slot * EBPF_SLOT) != NULL;
            view->targets[slot] = named || view->tail[slot] ? 0 : ++d->labels;
        }
}

static int compare_values(const void *data, uint32_t a, uint32_t b) {
    const eb_symbol *symbols = data;
    return (symbols[a].value > symbols[b].value) - (symbols[a].value < symbols[b].value);
}

static int compare_offsets(const void *data, uint32_t a, uint32_t b) {
    const eb_reloc *relocs = data;
    return (relocs[a].offset > relocs[b].offset) - (relocs[a].offset < relocs[b].offset);
}

static void view_symbols(dis *d) {
    const ebpf_object *obj = d->obj;
    eb_arena *arena = &obj->ctx->arena;
    for (uint32_t i = 1; i < obj->symbols.len; i++)
        if (obj->symbols.at[i].section < obj->sections.len)
            d->views[obj->symbols.at[i].section].symbol_count++;
    for (uint32_t s = 0; s < obj->sections.len; s++) {
        d->views[s].symbols = eb_alloc_array(arena, d->views[s].symbol_count, sizeof(uint32_t));
        d->views[s].symbol_count = 0;
    }
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        const eb_symbol *symbol = &obj->symbols.at[i];
        bool label = symbol->section && symbol->section < obj->sections.len && symbol->name.len &&
                     symbol->type != EB_STT_SECTION && symbol->type != EB_STT_FILE;
        section_view *view = &d->views[label ? symbol->section : 0];
        if (label)
            view->symbols[view->symbol_count++] = i;
    }
    for (uint32_t s = 0; s < obj->sections.len; s++)
        eb_sort(arena, d->views[s].symbols, d->views[s].symbol_count, compare_values,
                obj->symbols.at);
}

static void view_relocs(dis *d) {
    const ebpf_object *obj = d->obj;
    for (uint32_t s = 1; s < obj->sections.len; s++) {
        const eb_section *section = &obj->sections.at[s];
        section_view *view = &d->views[s];
        view->relocs = eb_alloc_array(&obj->ctx->arena, section->relocs.len, sizeof(uint32_t));
        for (uint32_t i = 0; i < section->relocs.len; i++) {
            const eb_symbol *symbol = &obj->symbols.at[section->relocs.at[i].symbol];
            view->relocs[view->reloc_count++] = i;
            if (symbol->type == EB_STT_SECTION && symbol->section < obj->sections.len)
                d->views[symbol->section].anchored = true;
        }
        eb_sort(&obj->ctx->arena, view->relocs, view->reloc_count, compare_offsets,
                section->relocs.at);
    }
}

/* ---- lines ---- */

static void put_section(dis *d, uint32_t number) {
    const eb_section *section = &d->obj->sections.at[number];
    eb_buf *out = d->out;
    eb_buf_str(out, EB_STR("\t.section\t"));
    put_quoted(out, section->name);
    eb_buf_fmt(out, ",\"%s%s%s%s%s\",%s", section->flags & EB_SHF_ALLOC ? "a" : "",
               section->flags & EB_SHF_WRITE ? "w" : "",
               section->flags & EB_SHF_EXECINSTR ? "x" : "",
               section->flags & EB_SHF_MERGE ? "M" : "", section->flags & EB_SHF_STRINGS ? "S" : "",
               section->type == EB_SHT_NOBITS ? "@nobits" : "@progbits");
    if (section->flags & EB_SHF_MERGE)
        eb_buf_fmt(out, ",%llu", (unsigned long long)section->entsize);
    eb_buf_byte(out, '\n');
    unsigned power = 0;
    while (power < 16 && (uint64_t)1 << power < section->align)
        power++;
    if (power && !(is_code(section) && section->align <= EBPF_SLOT))
        eb_buf_fmt(out, "\t.p2align\t%u\n", power);
    if (d->views[number].anchored)
        eb_buf_fmt(out, ".Lsection%u:\n", number);
}

static void put_attribute(dis *d, const char *directive, const eb_symbol *symbol) {
    eb_buf_fmt(d->out, "\t%s\t", directive);
    put_name(d->out, symbol->name);
    eb_buf_byte(d->out, '\n');
}

static void put_attributes(dis *d, const eb_symbol *symbol) {
    if (symbol->bind == EB_STB_GLOBAL && symbol->section)
        put_attribute(d, ".globl", symbol);
    if (symbol->bind == EB_STB_WEAK)
        put_attribute(d, ".weak", symbol);
    if (symbol->visibility == EB_STV_HIDDEN)
        put_attribute(d, ".hidden", symbol);
    if (symbol->type == EB_STT_FUNC || symbol->type == EB_STT_OBJECT) {
        eb_buf_str(d->out, EB_STR("\t.type\t"));
        put_name(d->out, symbol->name);
        eb_buf_str(d->out,
                   symbol->type == EB_STT_FUNC ? EB_STR(",@function\n") : EB_STR(",@object\n"));
    }
    if (symbol->size) {
        eb_buf_str(d->out, EB_STR("\t.size\t"));
        put_name(d->out, symbol->name);
        eb_buf_fmt(d->out, ", %llu\n", (unsigned long long)symbol->size);
    }
}

/* Labels of all symbols up to `offset`, and where the next one is. */
static uint64_t put_labels(dis *d, uint32_t number, uint64_t offset) {
    const section_view *view = &d->views[number];
    const eb_symbol *symbols = d->obj->symbols.at;
    while (d->next_symbol < view->symbol_count &&
           symbols[view->symbols[d->next_symbol]].value <= offset) {
        const eb_symbol *symbol = &symbols[view->symbols[d->next_symbol++]];
        put_attributes(d, symbol);
        put_name(d->out, symbol->name);
        eb_buf_str(d->out, EB_STR(":\n"));
    }
    return d->next_symbol < view->symbol_count ? symbols[view->symbols[d->next_symbol]].value
                                               : UINT64_MAX;
}

/* What a relocated instruction names; false when its text cannot say it. */
static bool reloc_names(dis *d, const eb_reloc *reloc, const ebpf_insn *insn, eb_op op,
                        eb_style *style) {
    const eb_symbol *symbol = &d->obj->symbols.at[reloc->symbol];
    if (reloc->type == EB_R_BPF_64_64 && op == EB_OP_LDDW_ONLY) {
        style->imm = symbol_text(d, symbol, reloc->addend ? reloc->addend : insn->imm);
        return true;
    }
    if (reloc->type == EB_R_BPF_64_32 && op == EB_OP_CALL_LOCAL_ONLY) {
        style->target = symbol_text(d, symbol, (insn->imm + 1) * EBPF_SLOT);
        return true;
    }
    return false;
}

static void put_raw(dis *d, const uint8_t *bytes, unsigned slots) {
    if (!(d->flags & EBPF_DIS_RAW))
        return;
    eb_buf_str(d->out, EB_STR("/*"));
    for (unsigned i = 0; i < slots * EBPF_SLOT; i++)
        eb_buf_fmt(d->out, " %02x", bytes[i]);
    eb_buf_str(d->out, slots == 1 ? EB_STR("                         */") : EB_STR(" */"));
}

/* What a jump inside its section names; empty in the middle of a 64-bit load. */
static eb_str target_text(dis *d, uint32_t number, uint64_t slot) {
    const section_view *view = &d->views[number];
    const eb_symbol *local = local_at(d, number, slot * EBPF_SLOT);
    if (local)
        return symbol_text(d, local, 0);
    if (!view->targets[slot])
        return (eb_str){0};
    return eb_str_fmt(&d->obj->ctx->arena, ".L%u", view->targets[slot] - 1);
}

/* One instruction, or a slot that is none as data; returns its slots. */
static unsigned put_insn(dis *d, uint32_t number, uint64_t slot) {
    const eb_section *section = &d->obj->sections.at[number];
    uint64_t offset = slot * EBPF_SLOT;
    const uint8_t *bytes = section->bytes.at + offset;
    const eb_reloc *reloc = reloc_at(d, section, offset);
    eb_style style = {.hex = (d->flags & EBPF_DIS_HEX) != 0};
    ebpf_insn insn;
    eb_op op;
    bool ok = decode(d, section, offset, &insn, &op) &&
              (!reloc || reloc_names(d, reloc, &insn, op, &style));
    put_raw(d, bytes, ok ? insn.slots : 1);
    eb_buf_byte(d->out, '\t');
    if (!ok) {
        eb_buf_fmt(d->out, ".quad\t0x%016llx\n", (unsigned long long)eb_get64(bytes, d->obj->big));
        return 1;
    }
    int64_t target = reloc ? -1 : target_slot(section, &insn, op, slot);
    if (target >= 0 && !(d->flags & EBPF_DIS_NUMERIC))
        style.target = target_text(d, number, (uint64_t)target);
    eb_insn_print(d->out, d->dialect, op, &insn, &style);
    eb_buf_byte(d->out, '\n');
    return insn.slots;
}

static void put_code(dis *d, uint32_t number) {
    const eb_section *section = &d->obj->sections.at[number];
    uint64_t slots = section->bytes.len / EBPF_SLOT;
    for (uint64_t slot = 0; slot < slots;) {
        put_labels(d, number, slot * EBPF_SLOT);
        uint32_t label = d->views[number].targets[slot];
        if (label)
            eb_buf_fmt(d->out, ".L%u:\n", label - 1);
        slot += put_insn(d, number, slot);
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

static void put_span(dis *d, const eb_section *section, uint64_t from, uint64_t to) {
    if (to <= from)
        return;
    if (section->type == EB_SHT_NOBITS) {
        eb_buf_fmt(d->out, "\t.zero\t%llu\n", (unsigned long long)(to - from));
        return;
    }
    const uint8_t *at = section->bytes.at + from;
    if (is_text(at, to - from)) {
        eb_buf_str(d->out, EB_STR("\t.asciz\t"));
        put_quoted(d->out, (eb_str){(const char *)at, (size_t)(to - from - 1)});
        eb_buf_byte(d->out, '\n');
    } else {
        put_bytes(d, at, to - from);
    }
}

/* The relocated field at `offset`; returns its size, 0 when it cannot be written as one. */
static unsigned put_field(dis *d, const eb_section *section, const eb_reloc *reloc) {
    unsigned size = reloc->type == EB_R_BPF_64_ABS64 ? 8 : 4;
    if (reloc->type == EB_R_BPF_64_64 || reloc->type == EB_R_BPF_64_32 ||
        section->type == EB_SHT_NOBITS || reloc->offset > section->bytes.len ||
        section->bytes.len - reloc->offset < size)
        return 0;
    const uint8_t *at = section->bytes.at + reloc->offset;
    int64_t addend =
        size == 8 ? (int64_t)eb_get64(at, d->obj->big) : (int64_t)eb_get32(at, d->obj->big);
    eb_str text =
        symbol_text(d, &d->obj->symbols.at[reloc->symbol], reloc->addend ? reloc->addend : addend);
    eb_buf_fmt(d->out, "\t.%s\t%.*s\n", size == 8 ? "quad" : "long", (int)text.len, text.at);
    return size;
}

/* The first relocation at or behind `at` that has not been written. */
static const eb_reloc *next_reloc(dis *d, uint32_t number, uint64_t at) {
    const section_view *view = &d->views[number];
    const eb_reloc *relocs = d->obj->sections.at[number].relocs.at;
    while (d->next_reloc < view->reloc_count && relocs[view->relocs[d->next_reloc]].offset < at)
        d->next_reloc++;
    return d->next_reloc < view->reloc_count ? &relocs[view->relocs[d->next_reloc]] : NULL;
}

static void put_data(dis *d, uint32_t number) {
    const eb_section *section = &d->obj->sections.at[number];
    uint64_t at = 0;
    while (at < section->size) {
        uint64_t label = put_labels(d, number, at), end = section->size;
        const eb_reloc *reloc = next_reloc(d, number, at);
        uint64_t field = reloc ? reloc->offset : UINT64_MAX;
        unsigned size = field == at ? put_field(d, section, reloc) : 0;
        if (field == at)
            d->next_reloc++;
        if (!size) {
            end = label < end ? label : end;
            end = field < end && field > at ? field : end;
            put_span(d, section, at, end);
            at = end;
        }
        at += size;
    }
}

/* A symbol that is in no section here: a constant, common room, or something from elsewhere. */
static void put_sectionless(dis *d, const eb_symbol *symbol) {
    if (symbol->section == EB_SHN_ABS && symbol->type != EB_STT_FILE) {
        eb_buf_str(d->out, EB_STR("\t.set\t"));
        put_name(d->out, symbol->name);
        eb_buf_fmt(d->out, ", %lld\n", (long long)symbol->value);
        return;
    }
    if (symbol->section == EB_SHN_COMMON) {
        eb_buf_str(d->out, EB_STR("\t.comm\t"));
        put_name(d->out, symbol->name);
        eb_buf_fmt(d->out, ", %llu, %llu\n", (unsigned long long)symbol->size,
                   (unsigned long long)symbol->value);
        return;
    }
    if (symbol->section != EB_SHN_UNDEF)
        return;
    if (symbol->bind == EB_STB_WEAK)
        put_attribute(d, ".weak", symbol);
    else if (d->dialect == EBPF_DIALECT_UBPF)
        put_attribute(d, ".globl", symbol);
    if (symbol->visibility == EB_STV_HIDDEN)
        put_attribute(d, ".hidden", symbol);
}

void eb_disassemble(const ebpf_object *obj, enum ebpf_dialect dialect, uint32_t flags,
                    eb_buf *out) {
    dis d = {.obj = obj, .dialect = dialect, .flags = flags, .out = out};
    d.views = eb_alloc_array(&obj->ctx->arena, obj->sections.len, sizeof *d.views);
    view_symbols(&d);
    view_relocs(&d);
    for (uint32_t i = 1; i < obj->sections.len; i++)
        if (is_code(&obj->sections.at[i]))
            view_targets(&d, i);
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        const eb_section *section = &obj->sections.at[i];
        if (!is_written(section) || (!section->size && !d.views[i].symbol_count))
            continue;
        d.next_symbol = d.next_reloc = 0;
        put_section(&d, i);
        if (is_code(section) && section->bytes.len % EBPF_SLOT == 0)
            put_code(&d, i);
        else
            put_data(&d, i);
        put_labels(&d, i, UINT64_MAX - 1);
    }
    for (uint32_t i = 1; i < obj->symbols.len; i++)
        if (obj->symbols.at[i].name.len)
            put_sectionless(&d, &obj->symbols.at[i]);
}
