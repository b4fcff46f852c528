/* dis_names.c - what stands where, and how it is called: the symbols and relocations of each
 * section in order, and a name for each symbol under which the assembler finds it again.
 *
 * In ELF two local symbols may have one name, and a name may hold any bytes. In a text each label
 * is one, so the second gets a name of its own, and .rename says which symbol it is:
 *   .rename LBB0_2.1, "LBB0_2" */
#include <string.h>

#include "dis.h"
#include "map.h"
#include "sort.h"

/* ---- views ---- */

static int compare_values(const void *data, uint32_t a, uint32_t b) {
    const eb_symbol *symbols = data;
    return (symbols[a].value > symbols[b].value) - (symbols[a].value < symbols[b].value);
}

static int compare_offsets(const void *data, uint32_t a, uint32_t b) {
    const eb_reloc *relocs = data;
    return (relocs[a].offset > relocs[b].offset) - (relocs[a].offset < relocs[b].offset);
}

static bool is_named(const eb_symbol *symbol) {
    return symbol->type != EB_STT_FILE && symbol->type != EB_STT_SECTION;
}

static bool is_label(const ebpf_object *obj, const eb_symbol *symbol) {
    return symbol->section && symbol->section < obj->sections.len && is_named(symbol);
}

static void view_symbols(const ebpf_object *obj, eb_view *views) {
    eb_arena *arena = &obj->ctx->arena;
    for (uint32_t i = 1; i < obj->symbols.len; i++)
        if (is_label(obj, &obj->symbols.at[i]))
            views[obj->symbols.at[i].section].symbol_count++;
    for (uint32_t s = 0; s < obj->sections.len; s++) {
        views[s].symbols = eb_alloc_array(arena, views[s].symbol_count, sizeof(uint32_t));
        views[s].symbol_count = 0;
    }
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        eb_view *view = &views[obj->symbols.at[i].section % obj->sections.len];
        if (is_label(obj, &obj->symbols.at[i]))
            view->symbols[view->symbol_count++] = i;
    }
    for (uint32_t s = 0; s < obj->sections.len; s++)
        eb_sort(arena, views[s].symbols, views[s].symbol_count, compare_values, obj->symbols.at);
}

static void view_relocs(const ebpf_object *obj, eb_view *views) {
    for (uint32_t s = 1; s < obj->sections.len; s++) {
        const eb_section *section = &obj->sections.at[s];
        eb_view *view = &views[s];
        view->reloc_count = section->relocs.len;
        view->relocs = eb_alloc_array(&obj->ctx->arena, section->relocs.len, sizeof(uint32_t));
        for (uint32_t i = 0; i < section->relocs.len; i++) {
            const eb_symbol *symbol = &obj->symbols.at[section->relocs.at[i].symbol];
            view->relocs[i] = i;
            if (symbol->type == EB_STT_SECTION && symbol->section < obj->sections.len)
                views[symbol->section].anchored = true;
        }
        eb_sort(&obj->ctx->arena, view->relocs, view->reloc_count, compare_offsets,
                section->relocs.at);
    }
}

eb_view *eb_views_of(const ebpf_object *obj) {
    eb_view *views = eb_alloc_array(&obj->ctx->arena, obj->sections.len, sizeof *views);
    view_symbols(obj, views);
    view_relocs(obj, views);
    return views;
}

bool eb_dis_decode(const ebpf_object *obj, const eb_section *section, uint64_t offset,
                   ebpf_insn *insn, eb_op *op) {
    const uint8_t *at = section->bytes.at + offset;
    if (!ebpf_insn_decode(at, section->bytes.len - (size_t)offset,
                          obj->big ? EBPF_BIG : EBPF_LITTLE, insn))
        return false;
    /* The second slot of a 64-bit load has nothing but its immediate. */
    if (insn->slots == 2 && (at[8] | at[9] | at[10] | at[11]))
        return false;
    *op = eb_insn_op(obj->ctx, insn);
    return *op != EB_OP_COUNT;
}

/* ---- names ---- */

bool eb_dis_is_plain(eb_str name) {
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

bool eb_dis_is_quotable(eb_str name) {
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] < 0x20 || name.at[i] >= 0x7f || name.at[i] == '"' || name.at[i] == '\\')
            return false;
    return name.len > 0;
}

void eb_dis_put_quoted(eb_buf *out, eb_str text) {
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

void eb_dis_put_comment(eb_buf *out, eb_str text) {
    uint8_t *at = eb_buf_reserve(out, text.len);
    for (size_t i = 0; i < text.len; i++)
        at[i] = (uint8_t)text.at[i] < 0x20 ? ' ' : (uint8_t)text.at[i];
    out->len += text.len;
}

static eb_str quoted(eb_arena *arena, eb_str name) {
    eb_buf text = {.arena = arena};
    if (eb_dis_is_plain(name))
        return name;
    eb_dis_put_quoted(&text, name);
    return (eb_str){(const char *)text.at, text.len};
}

/* A name that nothing in the object has: the symbol's own with a number behind it. */
static eb_str other_name(eb_arena *arena, eb_map *taken, eb_str name, uint32_t symbol) {
    bool is_new = false;
    eb_str text = name;
    if (!eb_dis_is_plain(name) || eb_str_starts(name, ".L"))
        name = EB_STR("symbol");
    for (uint32_t n = 1; !is_new; n++) {
        text = eb_str_fmt(arena, "%.*s.%u", (int)name.len, name.at, n == 1 ? symbol : n * symbol);
        eb_map_enter(taken, text, &is_new);
    }
    return text;
}

/* The name of a symbol that is in no section stands for the section that is called so. */
static bool is_a_section(const ebpf_object *obj, const eb_symbol *symbol) {
    bool outside = symbol->section == EB_SHN_UNDEF || symbol->section >= obj->sections.len;
    return outside && eb_object_find_section(obj, symbol->name);
}

eb_dis_names eb_dis_name_symbols(const ebpf_object *obj) {
    eb_arena *arena = &obj->ctx->arena;
    eb_map taken = {.arena = arena};
    eb_dis_names names = {.at = eb_alloc_array(arena, obj->symbols.len, sizeof *names.at),
                          .renamed = eb_alloc_array(arena, obj->symbols.len, 1)};
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        const eb_symbol *symbol = &obj->symbols.at[i];
        bool is_new = true;
        if (!is_named(symbol))
            continue;
        names.has_functions |= symbol->section && symbol->section < obj->sections.len &&
                               eb_section_is_code(&obj->sections.at[symbol->section]) &&
                               (symbol->type == EB_STT_FUNC || symbol->bind != EB_STB_LOCAL);
        uint32_t *first = eb_map_enter(&taken, symbol->name, &is_new);
        bool other = eb_str_is(symbol->name, ".") || eb_str_starts(symbol->name, ".L") ||
                     is_a_section(obj, symbol);
        names.renamed[i] = !is_new || other || !eb_dis_is_quotable(symbol->name);
        if (is_new)
            *first = i;
    }
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        eb_str name = obj->symbols.at[i].name;
        if (names.renamed[i])
            names.at[i] = other_name(arena, &taken, name, i);
        else if (is_named(&obj->symbols.at[i]))
            names.at[i] = quoted(arena, name);
    }
    return names;
}
