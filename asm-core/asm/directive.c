/* directive.c - sections, symbols, data: the directives that GNU as and LLVM share. One row each.
 */
#include "asm.h"

#include <string.h>

#include "kinds.h"

typedef struct directive {
    const char *name;
    void (*run)(eb_asm *as, int arg);
    int arg;
} directive;

/* ---- helpers ---- */

static bool accept_end(eb_asm *as) {
    if (eb_asm_at_end(as))
        return true;
    eb_asm_expected(as, "the end of the line");
    return false;
}

/* A name: a word, a string, or a register's name, which is a good symbol too. */
static bool take_name(eb_asm *as, eb_token *name, const char *what) {
    const eb_token *token = eb_asm_peek(as);
    switch (token->kind) {
    case EB_TOKEN_WORD:
    case EB_TOKEN_STRING:
    case EB_TOKEN_REG64:
    case EB_TOKEN_REG32:
        *name = *token;
        as->at++;
        return true;
    default:
        eb_asm_expected(as, what);
        return false;
    }
}

static eb_label *take_label(eb_asm *as) {
    eb_token name;
    if (!take_name(as, &name, "a symbol"))
        return NULL;
    /* In two steps: a new label may move the array. */
    uint32_t number = eb_asm_label(as, name.text, name.lo, name.hi);
    return &as->labels.at[number];
}

/* ---- strings ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte behind the backslash at text[*i]; *i moves to its last character. -1: unknown. */
static int escape(eb_str text, size_t *i) {
    static const char names[] = "b\bf\fn\nr\rt\t\\\\\"\"'\'";
    char c = text.at[++*i];
    if (c >= '0' && c <= '7') {
        int value = c - '0';
        for (int n = 1;
             n < 3 && *i + 1 < text.len && text.at[*i + 1] >= '0' && text.at[*i + 1] <= '7'; n++)
            value = value * 8 + (text.at[++*i] - '0');
        return value & 0xff;
    }
    if (c == 'x' && *i + 1 < text.len && hex_digit(text.at[*i + 1]) >= 0) {
        int value = 0;
        while (*i + 1 < text.len && hex_digit(text.at[*i + 1]) >= 0)
            value = (value * 16 + hex_digit(text.at[++*i])) & 0xff;
        return value;
    }
    for (const char *n = names; *n; n += 2)
        if (c == n[0])
            return (uint8_t)n[1];
    return -1;
}

static bool unescape(eb_asm *as, const eb_token *token, eb_buf *out) {
    for (size_t i = 0; i < token->text.len; i++) {
        int byte = (uint8_t)token->text.at[i];
        if (byte == '\\') {
            eb_loc lo = token->lo + 1 + (eb_loc)i;
            byte = i + 1 < token->text.len ? escape(token->text, &i) : -1;
            if (byte < 0) {
                eb_diag_add(as->ctx, EB_DIAG_BAD_ESCAPE, lo, lo + 2, token->text.at[i]);
                return false;
            }
        }
        eb_buf_byte(out, (uint8_t)byte);
    }
    return true;
}

static void run_ascii(eb_asm *as, int nul) {
    do {
        const eb_token *token = eb_asm_peek(as);
        eb_buf text = {.arena = &as->ctx->arena};
        if (token->kind != EB_TOKEN_STRING) {
            eb_asm_expected(as, "a string");
            return;
        }
        as->at++;
        if (!unescape(as, token, &text))
            return;
        uint8_t *at = eb_asm_emit(as, text.len + (unsigned)nul);
        if (at && text.len)
            memcpy(at, text.at, text.len);
    } while (eb_asm_accept(as, ','));
    accept_end(as);
}

/* ---- data ---- */

static void put_value(eb_asm *as, const eb_expr *expr, unsigned size) {
    unsigned bits = size * 8;
    int64_t v = expr->value;
    if (!expr->plus && !expr->minus && bits < 64 &&
        (v >= (int64_t)1 << bits || v < -((int64_t)1 << (bits - 1)))) {
        eb_str text = eb_str_fmt(&as->ctx->arena, "%lld", (long long)v);
        eb_diag_add(as->ctx, EB_DIAG_NUMBER_RANGE, expr->lo, expr->hi, (int)text.len, text.at,
                    bits);
        return;
    }
    uint64_t offset = eb_asm_section(as)->size;
    if (eb_asm_emit(as, size))
        *EB_PUSH(&as->ctx->arena, &as->fixups) = (eb_fixup){.kind = EB_FIXUP_DATA,
                                                            .section = as->section,
                                                            .size = size,
                                                            .offset = offset,
                                                            .expr = *expr};
}

static void run_data(eb_asm *as, int size) {
    do {
        eb_expr expr;
        uint32_t start = as->at, errors = as->ctx->errors;
        if (!eb_asm_expr(as, &expr)) {
            as->at = start;
            if (as->ctx->errors == errors)
                eb_asm_expected(as, "a number or name");
            return;
        }
        put_value(as, &expr, (unsigned)size);
    } while (eb_asm_accept(as, ','));
    accept_end(as);
}

/* Advance by `size` bytes of `fill`; in a section without bytes only its size grows. */
static void put_fill(eb_asm *as, uint64_t size, int fill) {
    eb_section *section = eb_asm_section(as);
    if (section->type == EB_SHT_NOBITS && fill == 0 && size <= UINT32_MAX) {
        section->size += size;
        return;
    }
    uint8_t *at = eb_asm_emit(as, size);
    if (at && size)
        memset(at, fill, (size_t)size);
}

static void run_zero(eb_asm *as, int unused) {
    int64_t size, fill = 0;
    (void)unused;
    const eb_token *token = eb_asm_peek(as);
    if (!eb_asm_constant(as, &size) || (eb_asm_accept(as, ',') && !eb_asm_constant(as, &fill)) ||
        !accept_end(as))
        return;
    if (size < 0)
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi, "a size of 0 or more");
    else
        put_fill(as, (uint64_t)size, (int)(fill & 0xff));
}

static void run_align(eb_asm *as, int power) {
    enum { POWER_MOST = 16 };
    int64_t align, fill = 0, most = INT64_MAX;
    const eb_token *token = eb_asm_peek(as);
    if (!eb_asm_constant(as, &align))
        return;
    if (eb_asm_accept(as, ',') && !eb_asm_is(as, ',') && !eb_asm_constant(as, &fill))
        return;
    if (eb_asm_accept(as, ',') && !eb_asm_constant(as, &most))
        return;
    if (!accept_end(as))
        return;
    if (power ? align < 0 || align > POWER_MOST
              : align < 1 || align > 1 << POWER_MOST || (align & (align - 1))) {
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi,
                    power ? "a power from 0 to 16" : "a power of two up to 65536");
        return;
    }
    uint64_t bytes = power ? (uint64_t)1 << align : (uint64_t)align;
    eb_section *section = eb_asm_section(as);
    if (section->align < bytes)
        section->align = bytes;
    uint64_t pad = (bytes - section->size % bytes) % bytes;
    if ((int64_t)pad <= most)
        put_fill(as, pad, (int)(fill & 0xff));
}

/* ---- symbols ---- */

static void run_bind(eb_asm *as, int bind) {
    do {
        eb_label *label = take_label(as);
        if (!label)
            return;
        label->bind = (uint8_t)bind;
        label->bound = true;
    } while (eb_asm_accept(as, ','));
    accept_end(as);
}

static void run_visibility(eb_asm *as, int visibility) {
    do {
        eb_label *label = take_label(as);
        if (!label)
            return;
        label->visibility = (uint8_t)visibility;
    } while (eb_asm_accept(as, ','));
    accept_end(as);
}

static void run_type(eb_asm *as, int unused) {
    static const struct {
        const char *name;
        uint8_t type;
    } types[] = {{"function", EB_STT_FUNC}, {"object", EB_STT_OBJECT}, {"notype", EB_STT_NOTYPE}};
    (void)unused;
    eb_label *label = take_label(as);
    if (!label)
        return;
    eb_asm_accept(as, ',');
    if (!eb_asm_accept(as, '@'))
        eb_asm_accept(as, '%');
    const eb_token *token = eb_asm_peek(as);
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
        if (eb_str_is(token->text, types[i].name)) {
            label->type = types[i].type;
            as->at++;
            accept_end(as);
            return;
        }
    }
    eb_asm_expected(as, "@function, @object or @notype");
}

static void run_size(eb_asm *as, int unused) {
    eb_expr expr;
    eb_label *label = take_label(as);
    uint32_t number = label ? (uint32_t)(label - as->labels.at) : 0, errors = as->ctx->errors;
    (void)unused;
    if (!label)
        return;
    if (!eb_asm_accept(as, ',')) {
        eb_asm_expected(as, "','");
    } else if (!eb_asm_expr(as, &expr)) {
        if (as->ctx->errors == errors)
            eb_asm_expected(as, "a size");
    } else if (accept_end(as)) {
        label = &as->labels.at[number]; /* the expression may have made labels */
        label->has_size = true;
        label->size = expr;
    }
}

static void run_set(eb_asm *as, int unused) {
    (void)unused;
    int64_t value;
    eb_token name;
    if (!take_name(as, &name, "a symbol"))
        return;
    if (!eb_asm_accept(as, ',')) {
        eb_asm_expected(as, "','");
        return;
    }
    if (!eb_asm_constant(as, &value) || !accept_end(as))
        return;
    uint32_t number = eb_asm_label(as, name.text, name.lo, name.hi);
    eb_label *label = &as->labels.at[number];
    if (label->defined && label->section != EB_SHN_ABS) {
        eb_diag *diag = eb_diag_add(as->ctx, EB_DIAG_DUPLICATE_SYMBOL, name.lo, name.hi,
                                    (int)name.text.len, name.text.at);
        eb_diag_note(as->ctx, diag, label->loc, label->end, "it is defined here first");
        return;
    }
    label->defined = true;
    label->section = EB_SHN_ABS;
    label->value = (uint64_t)value;
}

/* .rename label, "symbol": the label's symbol is called so in the object, where two may have one
 * name and a name may hold any bytes. */
static void run_rename(eb_asm *as, int unused) {
    eb_buf text = {.arena = &as->ctx->arena};
    eb_label *label = take_label(as);
    (void)unused;
    if (!label)
        return;
    if (!eb_asm_accept(as, ",") || eb_asm_peek(as)->kind != EB_TOKEN_STRING) {
        eb_asm_expected(as, "',' and the symbol's name in quotes");
        return;
    }
    const eb_token *token = eb_asm_peek(as);
    as->at++;
    if (!unescape(as, token, &text) || !accept_end(as))
        return;
    label->renamed = true;
    label->rename = (eb_str){(const char *)text.at, text.len};
}

static bool take_reloc_type(eb_asm *as, int64_t *type) {
    const eb_token *token = eb_asm_peek(as);
    uint32_t number = 0;
    if (token->kind != EB_TOKEN_WORD)
        return eb_asm_constant(as, type);
    if (!eb_reloc_find(token->text, &number)) {
        eb_asm_expected(as, "a relocation type: a number or R_BPF_64_64, R_BPF_64_ABS64, "
                            "R_BPF_64_ABS32, R_BPF_64_NODYLD32, R_BPF_64_32");
        return false;
    }
    *type = number;
    as->at++;
    return true;
}

/* .reloc offset, type[, symbol]: a relocation that no instruction or datum makes. */
static void run_reloc(eb_asm *as, int unused) {
    int64_t offset, type;
    eb_expr expr = {0};
    (void)unused;
    const eb_token *token = eb_asm_peek(as);
    if (!eb_asm_constant(as, &offset))
        return;
    if (offset < 0) {
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi, "an offset of 0 or more");
        return;
    }
    if (!eb_asm_accept(as, ",")) {
        eb_asm_expected(as, "',' and a relocation type");
        return;
    }
    if (!take_reloc_type(as, &type))
        return;
    if (eb_asm_accept(as, ",") && (!eb_asm_expr(as, &expr) || expr.value || !expr.plus)) {
        eb_asm_expected(as, "a symbol");
        return;
    }
    if (accept_end(as))
        *EB_PUSH(&as->ctx->arena, &as->fixups) = (eb_fixup){.kind = EB_FIXUP_RELOC,
                                                            .section = as->section,
                                                            .size = (uint32_t)type,
                                                            .offset = (uint64_t)offset,
                                                            .expr = expr};
}

/* ---- sections ---- */

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

static bool parse_flags(eb_asm *as, const eb_token *token, uint64_t *flags) {
    static const char letters[] = "wax"; /* bits 0, 1, 2 of sh_flags */
    *flags = 0;
    for (size_t i = 0; i < token->text.len; i++) {
        char c = token->text.at[i];
        const char *found = strchr(letters, c);
        if (found)
            *flags |= (uint64_t)1 << (found - letters);
        else if (c == 'M')
            *flags |= EB_SHF_MERGE;
        else if (c == 'S')
            *flags |= EB_SHF_STRINGS;
        else if (c == 'o' || c == 'G' || c == 'e')
            continue; /* link order, groups and exclusion matter to linkers of other targets */
        else {
            eb_loc lo = token->lo + 1 + (eb_loc)i;
            eb_diag_add(as->ctx, EB_DIAG_EXPECTED, lo, lo + 1, "section flags from \"awxMS\"");
            return false;
        }
    }
    return true;
}

static bool parse_section_type(eb_asm *as, uint32_t *type) {
    if (!eb_asm_accept(as, '@'))
        eb_asm_accept(as, '%');
    const eb_token *token = eb_asm_peek(as);
    if (eb_str_is(token->text, "progbits") || eb_str_is(token->text, "note"))
        *type = EB_SHT_PROGBITS;
    else if (eb_str_is(token->text, "nobits"))
        *type = EB_SHT_NOBITS;
    else if (eb_str_is(token->text, "llvm_addrsig"))
        *type = EB_SHT_LLVM_ADDRSIG;
    else {
        eb_asm_expected(as, "@progbits or @nobits");
        return false;
    }
    as->at++;
    return true;
}

/* A section's name may be any run of characters up to a comma or white space: raw_tp/sys_enter. */
static eb_str take_section_name(eb_asm *as) {
    const eb_token *first = eb_asm_peek(as);
    if (first->kind == EB_TOKEN_STRING) {
        as->at++;
        return first->text;
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

static void run_section(eb_asm *as, int unused) {
    uint32_t type;
    uint64_t flags;
    int64_t entsize = 0;
    bool implied = true;
    (void)unused;
    eb_str name = take_section_name(as);
    if (!name.len) {
        eb_asm_expected(as, "a section name");
        return;
    }
    implied_kind(name, &type, &flags);
    if (eb_asm_accept(as, ',')) {
        const eb_token *token = eb_asm_peek(as);
        if (token->kind != EB_TOKEN_STRING) {
            eb_asm_expected(as, "section flags in quotes, as \"ax\"");
            return;
        }
        as->at++;
        implied = false;
        if (!parse_flags(as, token, &flags))
            return;
        if (eb_asm_accept(as, ',') && !parse_section_type(as, &type))
            return;
        if ((flags & EB_SHF_MERGE) && eb_asm_accept(as, ',') && !eb_asm_constant(as, &entsize))
            return;
        while (!eb_asm_at_end(as)) /* link order and group names */
            as->at++;
    }
    if (!accept_end(as))
        return;
    uint32_t known = eb_object_find_section(as->obj, name);
    if (known && !implied && as->obj->sections.at[known].flags != flags && !as->implied.at[known]) {
        const eb_token *token = &as->tokens.at[0];
        eb_diag_add(as->ctx, EB_DIAG_BAD_SECTION, token->lo, token->hi, (int)name.len, name.at,
                    "its flags differ from those it has had before");
        return;
    }
    eb_asm_select(as, name, type, flags, implied);
    if (entsize > 0)
        eb_asm_section(as)->entsize = (uint64_t)entsize;
}

static void run_known_section(eb_asm *as, int which) {
    if (accept_end(as))
        eb_asm_select(as, eb_str_from(known_sections[which].name), known_sections[which].type,
                      known_sections[which].flags, false);
}

/* .comm name, size[, align]: zeroed room. Of a symbol that .local named it is in .bss, otherwise
 * the linker finds a place. */
static void run_comm(eb_asm *as, int unused) {
    enum { ALIGN_MOST = 1 << 16 };
    int64_t size, align = 1;
    eb_token name;
    (void)unused;
    if (!take_name(as, &name, "a symbol"))
        return;
    if (!eb_asm_accept(as, ',')) {
        eb_asm_expected(as, "',' and a size");
        return;
    }
    const eb_token *token = eb_asm_peek(as);
    if (!eb_asm_constant(as, &size) || (eb_asm_accept(as, ',') && !eb_asm_constant(as, &align)) ||
        !accept_end(as))
        return;
    if (size < 0 || size > UINT32_MAX || align < 1 || align > ALIGN_MOST || (align & (align - 1))) {
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi,
                    "a size below 4 GiB and an alignment that is a power of two up to 65536");
        return;
    }
    uint32_t number = eb_asm_label(as, name.text, name.lo, name.hi);
    if (as->labels.at[number].defined) {
        eb_asm_place(as, number, name.lo, name.hi); /* says that it is there already */
        return;
    }
    if (!as->labels.at[number].bound || as->labels.at[number].bind != EB_STB_LOCAL) {
        eb_label *label = &as->labels.at[number];
        label->defined = true;
        label->section = EB_SHN_COMMON;
        label->value = (uint64_t)align;
        label->bind = EB_STB_GLOBAL;
    } else {
        uint32_t before = as->section;
        eb_asm_select(as, EB_STR(".bss"), EB_SHT_NOBITS, EB_SHF_ALLOC | EB_SHF_WRITE, false);
        eb_section *bss = eb_asm_section(as);
        bss->align = bss->align < (uint64_t)align ? (uint64_t)align : bss->align;
        bss->size = (bss->size + (uint64_t)align - 1) & ~((uint64_t)align - 1);
        eb_asm_place(as, number, name.lo, name.hi);
        bss->size += (uint64_t)size;
        as->section = before;
    }
    eb_label *label = &as->labels.at[number];
    label->type = EB_STT_OBJECT;
    if (!label->has_size) {
        label->has_size = true;
        label->size = (eb_expr){.value = size};
    }
}

/* ---- the table ---- */

static void run_ignored(eb_asm *as, int unused) {
    (void)as; /* .file, .ident and the like say nothing about the bytes */
    (void)unused;
}

static void run_map(eb_asm *as, int unused) {
    (void)unused;
    eb_asm_map(as);
}

static void run_struct(eb_asm *as, int unused) {
    (void)unused;
    eb_asm_struct(as);
}

static void run_field(eb_asm *as, int unused) {
    (void)unused;
    eb_asm_field(as);
}

static void run_ends(eb_asm *as, int unused) {
    (void)unused;
    eb_asm_ends(as);
}

static const directive directives[] = {
    {".section", run_section, 0},
    {".text", run_known_section, 0},
    {".data", run_known_section, 1},
    {".bss", run_known_section, 2},
    {".globl", run_bind, EB_STB_GLOBAL},
    {".global", run_bind, EB_STB_GLOBAL},
    {".weak", run_bind, EB_STB_WEAK},
    {".local", run_bind, EB_STB_LOCAL},
    {".hidden", run_visibility, EB_STV_HIDDEN},
    {".protected", run_visibility, 3},
    {".internal", run_visibility, 1},
    {".type", run_type, 0},
    {".size", run_size, 0},
    {".set", run_set, 0},
    {".equ", run_set, 0},
    {".p2align", run_align, 1},
    {".balign", run_align, 0},
    {".align", run_align, 0},
    {".byte", run_data, 1},
    {".short", run_data, 2},
    {".hword", run_data, 2},
    {".2byte", run_data, 2},
    {".long", run_data, 4},
    {".int", run_data, 4},
    {".word", run_data, 4},
    {".4byte", run_data, 4},
    {".quad", run_data, 8},
    {".8byte", run_data, 8},
    {".ascii", run_ascii, 0},
    {".asciz", run_ascii, 1},
    {".string", run_ascii, 1},
    {".comm", run_comm, 0},
    {".zero", run_zero, 0},
    {".skip", run_zero, 0},
    {".space", run_zero, 0},
    {".map", run_map, 0},
    {".struct", run_struct, 0},
    {".field", run_field, 0},
    {".ends", run_ends, 0},
    {".rename", run_rename, 0},
    {".reloc", run_reloc, 0},
    {".file", run_ignored, 0},
    {".ident", run_ignored, 0},
    {".addrsig", run_ignored, 0},
    {".addrsig_sym", run_ignored, 0},
    {".loc", run_ignored, 0},
};

void eb_asm_directive(eb_asm *as) {
    const eb_token *token = eb_asm_peek(as);
    for (unsigned i = 0; i < sizeof directives / sizeof *directives; i++) {
        if (eb_str_is(token->text, directives[i].name)) {
            as->at++;
            directives[i].run(as, directives[i].arg);
            return;
        }
    }
    eb_map known = {.arena = &as->ctx->arena};
    bool is_new;
    for (unsigned i = 0; i < sizeof directives / sizeof *directives; i++)
        eb_map_enter(&known, eb_str_from(directives[i].name), &is_new);
    eb_str near = eb_nearest(&known, token->text);
    eb_diag *diag = eb_diag_add(as->ctx, EB_DIAG_BAD_DIRECTIVE, token->lo, token->hi,
                                (int)token->text.len, token->text.at);
    if (near.len)
        eb_diag_note(as->ctx, diag, 0, 0, "did you mean '%.*s'?", (int)near.len, near.at);
}
