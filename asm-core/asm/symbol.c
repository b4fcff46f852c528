/* symbol.c - what directives say of symbols: binding, visibility, type, size, value; and where
 * lines of a source file start. */
#include "asm.h"
#include "kinds.h"

/* The label named here; NULL after a diagnostic. */
static eb_label *take_label(eb_asm *as) {
    const eb_token *name = eb_asm_name(as, "a symbol");
    if (!name)
        return NULL;
    /* In two steps: a new label may move the array. */
    uint32_t number = eb_asm_label_at(as, name);
    return &as->labels.at[number];
}

static bool take_comma(eb_asm *as, const char *what) {
    if (eb_asm_accept(as, ','))
        return true;
    eb_asm_expected(as, what);
    return false;
}

/* ---- attributes ---- */

void eb_run_bind(eb_asm *as, int bind) {
    do {
        eb_label *label = take_label(as);
        if (!label)
            return;
        label->bind = (uint8_t)bind;
        label->bound = true;
    } while (eb_asm_accept(as, ','));
    eb_asm_ended(as);
}

void eb_run_visibility(eb_asm *as, int visibility) {
    do {
        eb_label *label = take_label(as);
        if (!label)
            return;
        label->visibility = (uint8_t)visibility;
    } while (eb_asm_accept(as, ','));
    eb_asm_ended(as);
}

void eb_run_type(eb_asm *as, int unused) {
    static const struct {
        const char *name;
        uint8_t type;
    } types[] = {{"function", EB_STT_FUNC},     {"object", EB_STT_OBJECT},
                 {"notype", EB_STT_NOTYPE},     {"STT_FUNC", EB_STT_FUNC},
                 {"STT_OBJECT", EB_STT_OBJECT}, {"STT_NOTYPE", EB_STT_NOTYPE}};
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
            eb_asm_ended(as);
            return;
        }
    }
    eb_asm_expected(as, "@function, @object or @notype");
}

void eb_run_size(eb_asm *as, int unused) {
    eb_expr expr;
    eb_label *label = take_label(as);
    uint32_t number = label ? (uint32_t)(label - as->labels.at) : 0;
    (void)unused;
    if (!label || !take_comma(as, "','") || !eb_asm_expr_of(as, &expr, "a size") ||
        !eb_asm_ended(as))
        return;
    as->labels.at[number].size = eb_asm_keep(as, &expr); /* the expression may have made labels */
}

/* ---- values ---- */

/* .set name, value; name = value; .equiv and == for a value that stays. What is no constant yet is
 * another name for a place, known at the end. */
void eb_run_set(eb_asm *as, int final) {
    eb_expr expr;
    const eb_token *name = eb_asm_name(as, "a symbol");
    if (!name)
        return;
    eb_str text = name->text;
    eb_loc lo = name->lo, hi = name->hi;
    uint32_t number = eb_asm_label_at(as, name);
    if (eb_asm_peek(as)->kind == EB_TOKEN_PUNCT &&
        (eb_asm_peek(as)->punct == '=' || eb_asm_peek(as)->punct == EB_MARK_EQ))
        as->at++;
    else if (!take_comma(as, "','"))
        return;
    if (!eb_asm_expr_of(as, &expr, "a value") || !eb_asm_ended(as))
        return;
    eb_label *label = &as->labels.at[number];
    bool constant = eb_asm_settle(as, &expr);
    if ((label->defined && label->section != EB_SHN_ABS) || label->final ||
        (final && (label->defined || label->alias))) {
        eb_asm_defined_twice(as, label, lo, hi);
        return;
    }
    label->loc = lo;
    label->end = lo + (eb_loc)text.len;
    label->final = final != 0;
    label->defined = constant;
    label->section = constant ? EB_SHN_ABS : EB_SHN_UNDEF;
    label->value = constant ? (uint64_t)expr.value : 0;
    label->alias = constant ? 0 : eb_asm_keep(as, &expr);
}

/* .comm name, size[, align]: zeroed room. Of a symbol that .local named, and with .lcomm, it is in
 * .bss, otherwise the linker finds a place. */
void eb_run_comm(eb_asm *as, int local) {
    enum { ALIGN_MOST = 1 << 16 };
    int64_t size, align = 1;
    const eb_token *name = eb_asm_name(as, "a symbol");
    if (!name || !take_comma(as, "',' and a size"))
        return;
    const eb_token *token = eb_asm_peek(as);
    if (!eb_asm_constant(as, &size) || (eb_asm_accept(as, ',') && !eb_asm_constant(as, &align)) ||
        !eb_asm_ended(as))
        return;
    if (size < 0 || size > UINT32_MAX || align < 1 || align > ALIGN_MOST || (align & (align - 1))) {
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi,
                    "a size below 4 GiB and an alignment that is a power of two up to 65536");
        return;
    }
    uint32_t number = eb_asm_label_at(as, name);
    eb_label *label = &as->labels.at[number];
    if (label->defined || label->alias) {
        eb_asm_defined_twice(as, label, name->lo, name->hi);
        return;
    }
    if (!local && (!label->bound || label->bind != EB_STB_LOCAL)) {
        label->defined = true;
        label->section = EB_SHN_COMMON;
        label->value = (uint64_t)align;
        label->bind = label->bound ? label->bind : EB_STB_GLOBAL;
    } else {
        uint32_t before = as->section, previous = as->previous;
        eb_asm_select(as, EB_STR(".bss"), EB_SHT_NOBITS, EB_SHF_ALLOC | EB_SHF_WRITE, false);
        eb_section *bss = eb_asm_section(as);
        bss->align = bss->align < (uint64_t)align ? (uint64_t)align : bss->align;
        bss->size = (bss->size + (uint64_t)align - 1) & ~((uint64_t)align - 1);
        eb_asm_place(as, number, name->lo, name->hi);
        bss->size += (uint64_t)size;
        as->section = before;
        as->previous = previous;
    }
    label->type = EB_STT_OBJECT;
    if (!label->size)
        label->size = eb_asm_keep(as, &(eb_expr){.value = size});
}

/* ---- what only a disassembler needs to say ---- */

/* .rename label, "symbol": the label's symbol is called so in the object, where two may have one
 * name and a name may hold any bytes. */
void eb_run_rename(eb_asm *as, int unused) {
    eb_buf text = {.arena = &as->ctx->arena};
    eb_label *label = take_label(as);
    (void)unused;
    if (!label)
        return;
    if (!eb_asm_accept(as, ',') || eb_asm_peek(as)->kind != EB_TOKEN_STRING) {
        eb_asm_expected(as, "',' and the symbol's name in quotes");
        return;
    }
    const eb_token *token = eb_asm_peek(as);
    as->at++;
    if (!eb_asm_unescape_name(as, token, &text) || !eb_asm_ended(as))
        return;
    *EB_PUSH(&as->ctx->arena, &as->renames) = (eb_str){(const char *)text.at, text.len};
    label->rename = as->renames.len;
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
void eb_run_reloc(eb_asm *as, int unused) {
    int64_t offset, type;
    (void)unused;
    const eb_token *token = eb_asm_peek(as);
    eb_expr expr = {.lo = token->lo, .hi = token->hi};
    if (!eb_asm_constant(as, &offset))
        return;
    if (offset < 0 || offset > UINT32_MAX) {
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi,
                    "an offset from 0 to 2^32 - 1");
        return;
    }
    if (!eb_asm_accept(as, ',')) {
        eb_asm_expected(as, "',' and a relocation type");
        return;
    }
    if (!take_reloc_type(as, &type))
        return;
    if (eb_asm_accept(as, ',') && (!eb_asm_expr(as, &expr) || expr.value || !expr.plus)) {
        eb_asm_expected(as, "a symbol");
        return;
    }
    if (!eb_asm_ended(as))
        return;
    expr.value = type;
    *EB_PUSH(&as->ctx->arena, &as->fixups) = (eb_fixup){
        .kind = EB_FIXUP_RELOC, .section = as->section, .offset = (uint32_t)offset, .expr = expr};
}

/* ---- files and lines ---- */

/* .file "name" says what the object was made from; .file 1 "folder" "name" gives .loc a number.
 * What may follow (md5, source) is of no use here, so it is read as text. */
void eb_run_file(eb_asm *as, int unused) {
    enum { FILES_MOST = 1 << 16 };
    const eb_token *first = &as->tokens.at[0];
    size_t behind = (size_t)(as->raw.at - first->text.at);
    eb_scanner s = {.ctx = as->ctx, .text = as->raw, .first = first->lo + (eb_loc)behind};
    eb_token number = eb_scan(&s), name = number;
    (void)unused;
    if (number.kind == EB_TOKEN_NUMBER)
        name = eb_scan(&s);
    bool numbered = number.kind == EB_TOKEN_NUMBER;
    if (name.kind != EB_TOKEN_STRING || (numbered && number.value >= FILES_MOST)) {
        if (name.kind != EB_TOKEN_BAD)
            eb_diag_add(as->ctx, EB_DIAG_EXPECTED, name.lo, name.hi,
                        "a file's name in quotes, perhaps behind a number below 65536");
        return;
    }
    if (!numbered) {
        uint32_t symbol = eb_object_add_symbol(as->obj, name.text, EB_SHN_ABS, 0);
        as->obj->symbols.at[symbol].type = EB_STT_FILE;
        return;
    }
    eb_str path = name.text;
    eb_scan_skip_space(&s, false);
    if (s.at < s.text.len && s.text.at[s.at] == '"') {
        eb_str in_folder = eb_scan(&s).text;
        path = in_folder.len && in_folder.at[0] == '/'
                   ? in_folder
                   : eb_str_fmt(&as->ctx->arena, "%.*s/%.*s", (int)path.len, path.at,
                                (int)in_folder.len, in_folder.at);
    }
    while (as->files.len <= number.value)
        (void)EB_PUSH(&as->ctx->arena, &as->files);
    as->files.at[number.value] = path;
}

/* .loc file line [column] ...: from here on. */
void eb_run_loc(eb_asm *as, int unused) {
    int64_t file, line, column = 0;
    (void)unused;
    if (!eb_asm_constant(as, &file) || !eb_asm_constant(as, &line))
        return;
    if (eb_asm_peek(as)->kind == EB_TOKEN_NUMBER && !eb_asm_constant(as, &column))
        return;
    if (file < 0 || file >= as->files.len || line < 0 || line > UINT32_MAX || column < 0 ||
        column > UINT32_MAX) {
        const eb_token *first = &as->tokens.at[0];
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, first->lo, first->hi,
                    "the number of a .file, and a line");
        return;
    }
    *EB_PUSH(&as->ctx->arena, &as->lines) =
        (eb_asm_line){.section = as->section,
                      .offset = (uint32_t)eb_asm_section(as)->size,
                      .file = (uint32_t)file,
                      .line = (uint32_t)line,
                      .column = (uint32_t)column};
}
