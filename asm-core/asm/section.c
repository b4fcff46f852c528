/* section.c - .section and the ways from one section to another. */
#include "asm.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t type;
    uint64_t flags;
} known_sections[] = {
    {".text", EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_EXECINSTR},
    {".data", EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_WRITE},
    {".bss", EB_SHT_NOBITS, EB_SHF_ALLOC | EB_SHF_WRITE},
    {".rodata", EB_SHT_PROGBITS, EB_SHF_ALLOC},
    {".maps", EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_WRITE},
    {"license", EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_WRITE},
    {"version", EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_WRITE},
};

/* What a section is when its flags are not written: a known name, or one below it (.rodata.x). */
static void implied_kind(eb_str name, uint32_t *type, uint64_t *flags) {
    *type = EB_SHT_PROGBITS;
    *flags = 0;
    for (unsigned i = 0; i < sizeof known_sections / sizeof *known_sections; i++) {
        size_t n = strlen(known_sections[i].name);
        if (eb_str_starts(name, known_sections[i].name) && (name.len == n || name.at[n] == '.')) {
            *type = known_sections[i].type;
            *flags = known_sections[i].flags;
        }
    }
}

/* ---- what stands behind the name ---- */

typedef struct kind {
    uint32_t type;
    uint64_t flags;
    int64_t entsize;
    bool implied, grouped, linked;
    eb_str group;
    int64_t unique; /* -1: there is one of that name only */
} kind;

static bool parse_flags(eb_asm *as, const eb_token *token, kind *k) {
    static const char letters[] = "wax"; /* bits 0, 1, 2 of sh_flags */
    k->flags = 0;
    for (size_t i = 0; i < token->text.len; i++) {
        char c = token->text.at[i];
        const char *found = strchr(letters, c);
        eb_loc lo = token->lo + 1 + (eb_loc)i;
        if (found)
            k->flags |= (uint64_t)1 << (found - letters);
        else if (c == 'M')
            k->flags |= EB_SHF_MERGE;
        else if (c == 'S')
            k->flags |= EB_SHF_STRINGS;
        else if (c == 'G')
            k->grouped = true;
        else if (c == 'o')
            k->linked = true;
        else if (c != 'e' && c != 'R') { /* to leave out or retain is for linkers that drop */
            eb_diag_add(as->ctx, EB_DIAG_EXPECTED, lo, lo + 1, "section flags from \"awxMSGo\"");
            return false;
        }
    }
    return true;
}

static bool parse_type(eb_asm *as, uint32_t *type) {
    static const struct {
        const char *name;
        uint32_t type;
    } types[] = {{"progbits", EB_SHT_PROGBITS},
                 {"nobits", EB_SHT_NOBITS},
                 {"note", EB_SHT_NOTE},
                 {"init_array", EB_SHT_INIT_ARRAY},
                 {"fini_array", EB_SHT_FINI_ARRAY},
                 {"preinit_array", EB_SHT_PREINIT_ARRAY},
                 {"llvm_addrsig", EB_SHT_LLVM_ADDRSIG}};
    int64_t number;
    if (!eb_asm_accept(as, '@'))
        eb_asm_accept(as, '%');
    const eb_token *token = eb_asm_peek(as);
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++)
        if (eb_str_is(token->text, types[i].name)) {
            *type = types[i].type;
            as->at++;
            return true;
        }
    if (token->kind == EB_TOKEN_NUMBER) {
        if (!eb_asm_constant(as, &number))
            return false;
        *type = (uint32_t)number;
        return true;
    }
    eb_asm_expected(as, "@progbits or @nobits");
    return false;
}

/* The tail of .section: flags, type, entry size, group, linked section, number. */
static bool parse_kind(eb_asm *as, kind *k) {
    const eb_token *token = eb_asm_peek(as);
    if (token->kind != EB_TOKEN_STRING) {
        eb_asm_expected(as, "section flags in quotes, as \"ax\"");
        return false;
    }
    as->at++;
    k->implied = false;
    if (!parse_flags(as, token, k) || (eb_asm_accept(as, ',') && !parse_type(as, &k->type)))
        return false;
    if ((k->flags & EB_SHF_MERGE) && eb_asm_accept(as, ',') && !eb_asm_constant(as, &k->entsize))
        return false;
    if (k->grouped) {
        if (!eb_asm_accept(as, ',') || !(token = eb_asm_name(as, "the name of a group")))
            return false;
        k->group = token->text;
        if (eb_asm_is(as, ',') && eb_str_is(token[2].text, "comdat"))
            as->at += 2;
    }
    if (k->linked) {
        if (!eb_asm_accept(as, ',') || !eb_asm_name(as, "the linked section's symbol"))
            return false;
    }
    if (eb_asm_is(as, ',') && eb_str_is(eb_asm_peek(as)[1].text, "unique")) {
        as->at += 2;
        return eb_asm_accept(as, ',') && eb_asm_constant(as, &k->unique);
    }
    return true;
}

/* A section's name may be any run of characters up to a comma or white space: raw_tp/sys_enter. */
static eb_str take_section_name(eb_asm *as) {
    const eb_token *first = eb_asm_peek(as);
    if (first->kind == EB_TOKEN_STRING) {
        eb_buf text = {.arena = &as->ctx->arena};
        as->at++;
        if (!first->text.len || !memchr(first->text.at, '\\', first->text.len))
            return first->text;
        return eb_asm_unescape_name(as, first, &text) ? (eb_str){(const char *)text.at, text.len}
                                                      : (eb_str){0};
    }
    const char *from = first->text.at, *to = from;
    while (!eb_asm_at_end(as) && !eb_asm_is(as, ',')) {
        const eb_token *token = eb_asm_peek(as);
        if (token != first && token->spaced)
            break;
        to = token->text.at + token->text.len;
        as->at++;
    }
    return (eb_str){from, (size_t)(to - from)};
}

/* ---- groups ---- */

/* The group section of `signature`, whose symbol the linker keeps one of. */
static uint32_t group_of(eb_asm *as, eb_str signature) {
    enum { COMDAT = 1 };
    bool is_new;
    eb_str key = eb_str_fmt(&as->ctx->arena, "\1group\1%.*s", (int)signature.len, signature.at);
    uint32_t *known = eb_map_enter(&as->section_names, key, &is_new);
    if (!is_new)
        return *known;
    uint32_t group = *known = eb_object_add_section(as->obj, EB_STR(".group"), EB_SHT_GROUP, 0);
    eb_section *section = &as->obj->sections.at[group];
    section->align = section->entsize = 4;
    section->link = EB_LINK_SYMTAB;
    /* Until the symbols are made it is a label's number; resolve.c replaces it. */
    section->info = eb_asm_label(as, signature, as->tokens.at[0].lo, as->tokens.at[0].hi);
    eb_set32(eb_buf_room(&section->bytes, 4), as->obj->big, COMDAT);
    section->size = section->bytes.len;
    while (as->implied.len <= group)
        *EB_PUSH(&as->ctx->arena, &as->implied) = false;
    return group;
}

static void join_group(eb_asm *as, uint32_t group, uint32_t member) {
    eb_section *section = &as->obj->sections.at[group];
    eb_set32(eb_buf_room(&section->bytes, 4), as->obj->big, member);
    section->size = section->bytes.len;
    as->obj->sections.at[member].flags |= EB_SHF_GROUP;
}

/* ---- the directives ---- */

/* Sections of one name are told apart by group and number. */
static eb_str key_of(eb_asm *as, eb_str name, const kind *k) {
    if (!k->grouped && k->unique < 0)
        return name;
    return eb_str_fmt(&as->ctx->arena, "%.*s\1%.*s\1%lld", (int)name.len, name.at,
                      (int)k->group.len, k->group.at, (long long)k->unique);
}

/* What a section is that was entered without saying so, as .text is at the start. */
static void settle(eb_asm *as, uint32_t number, const kind *k) {
    eb_section *section = &as->obj->sections.at[number];
    bool was_code = (section->flags & EB_SHF_EXECINSTR) != 0;
    bool is_code = (k->flags & EB_SHF_EXECINSTR) != 0;
    section->type = k->type;
    section->flags = k->flags;
    if (was_code != is_code)
        section->align = is_code ? EBPF_SLOT : 1;
    as->implied.at[number] = false;
}

static bool enter(eb_asm *as, eb_str name, const kind *k) {
    eb_str key = key_of(as, name, k);
    const uint32_t *known = eb_map_find(&as->section_names, key);
    if (known && !k->implied && as->implied.at[*known] && !as->obj->sections.at[*known].size)
        settle(as, *known, k);
    if (known && !k->implied &&
        (as->obj->sections.at[*known].flags & ~(uint64_t)EB_SHF_GROUP) != k->flags) {
        const eb_token *token = &as->tokens.at[0];
        eb_diag_add(as->ctx, EB_DIAG_BAD_SECTION, token->lo, token->hi, (int)name.len, name.at,
                    "its flags differ from those it has had before");
        return false;
    }
    uint32_t group = k->grouped ? group_of(as, k->group) : 0;
    eb_asm_select(as, key, k->type, k->flags, k->implied);
    eb_section *section = eb_asm_section(as);
    section->name = name;
    if (k->entsize > 0)
        section->entsize = (uint64_t)k->entsize;
    if (group && !known)
        join_group(as, group, as->section);
    return true;
}

static bool run_section(eb_asm *as) {
    kind k = {.implied = true, .unique = -1};
    uint32_t errors = as->ctx->errors;
    eb_str name = take_section_name(as);
    if (!name.len) {
        if (as->ctx->errors == errors)
            eb_asm_expected(as, "a section name");
        return false;
    }
    implied_kind(name, &k.type, &k.flags);
    if (eb_asm_accept(as, ',') && !parse_kind(as, &k)) {
        if (as->ctx->errors == errors)
            eb_asm_expected(as, "',' and more");
        return false;
    }
    return eb_asm_ended(as) && enter(as, name, &k);
}

void eb_run_section(eb_asm *as, int unused) {
    (void)unused;
    run_section(as);
}

void eb_run_subsection(eb_asm *as, int unused) {
    int64_t number = 0;
    (void)unused;
    const eb_token *token = eb_asm_peek(as);
    if (!eb_asm_at_end(as) && (!eb_asm_constant(as, &number) || !eb_asm_ended(as)))
        return;
    if (number)
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi,
                    "0: write other subsections where they belong");
}

void eb_run_known_section(eb_asm *as, int which) {
    uint32_t errors = as->ctx->errors;
    eb_run_subsection(as, 0);
    if (as->ctx->errors == errors)
        eb_asm_select(as, eb_str_from(known_sections[which].name), known_sections[which].type,
                      known_sections[which].flags, false);
}

void eb_run_push_section(eb_asm *as, int unused) {
    uint32_t section = as->section, previous = as->previous;
    (void)unused;
    if (!run_section(as))
        return;
    *EB_PUSH(&as->ctx->arena, &as->pushed) = section;
    *EB_PUSH(&as->ctx->arena, &as->pushed) = previous;
}

void eb_run_pop_section(eb_asm *as, int unused) {
    const eb_token *first = &as->tokens.at[0];
    (void)unused;
    if (!as->pushed.len) {
        eb_diag_add(as->ctx, EB_DIAG_STRAY, first->lo, first->hi, (int)first->text.len,
                    first->text.at, ".pushsection");
        return;
    }
    as->previous = as->pushed.at[--as->pushed.len];
    as->section = as->pushed.at[--as->pushed.len];
}

void eb_run_previous(eb_asm *as, int unused) {
    uint32_t section = as->section;
    (void)unused;
    if (!eb_asm_ended(as) || !as->previous)
        return;
    as->section = as->previous;
    as->previous = section;
}
