/* asm.c - the assembler's frame: statements, labels, output.
 *
 * One pass over the text turns each statement into tokens (source.c) and then into bytes; what
 * refers to a label waits as a fixup until the end (resolve.c). A bad statement is reported and
 * skipped, so that one run shows every error. */
#include "asm.h"

#include <string.h>

void eb_asm_expected(eb_asm *as, const char *what) {
    const eb_token *token = eb_asm_peek(as);
    eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi, what);
}

bool eb_asm_ended(eb_asm *as) {
    if (eb_asm_at_end(as))
        return true;
    eb_asm_expected(as, "the end of the line");
    return false;
}

const eb_token *eb_asm_name(eb_asm *as, const char *what) {
    const eb_token *token = eb_asm_peek(as);
    if (token->kind == EB_TOKEN_WORD || token->kind == EB_TOKEN_STRING ||
        token->kind == EB_TOKEN_REG64 || token->kind == EB_TOKEN_REG32) {
        as->at++;
        return token;
    }
    eb_asm_expected(as, what);
    return NULL;
}

unsigned eb_tolerance(eb_str name) {
    return name.len < 2 ? 0 : name.len < 4 ? 1 : 2;
}

eb_str eb_nearest(const eb_map *map, eb_str name) {
    unsigned best = eb_tolerance(name);
    eb_str nearest = {0};
    for (uint32_t i = 0; i < map->entries.len && i < 10000; i++) {
        unsigned distance = eb_str_distance(map->entries.at[i].key, name, best);
        if (distance <= best && distance > 0) {
            nearest = map->entries.at[i].key;
            best = distance - 1;
        }
        if (best == 0)
            break;
    }
    return nearest;
}

/* ---- sections and output ---- */

eb_section *eb_asm_section(eb_asm *as) {
    return &as->obj->sections.at[as->section];
}

void eb_asm_select(eb_asm *as, eb_str name, uint32_t type, uint64_t flags, bool implied) {
    bool is_new;
    uint32_t *found = eb_map_enter(&as->section_names, name, &is_new);
    if (is_new) {
        *found = eb_object_add_section(as->obj, name, type, flags);
        /* clang's text does not say what its objects have: .BTF and .BTF.ext at 4. */
        as->obj->sections.at[*found].align = flags & EB_SHF_EXECINSTR      ? EBPF_SLOT
                                             : eb_str_starts(name, ".BTF") ? 4
                                                                           : 1;
        while (as->implied.len <= *found)
            *EB_PUSH(&as->ctx->arena, &as->implied) = implied;
    }
    as->previous = as->section;
    as->section = *found;
}

/* Room for `size` bytes: much of it in a large section while much text is left, since what is
 * copied on growing is touched twice. */
static void grow(eb_asm *as, eb_section *section, uint64_t size) {
    enum { LARGE = 16 << 10, TIMES = 8 };
    size_t cap = section->bytes.cap, left = (as->scanner.text.len - as->scanner.at) / 2;
    size_t more = cap < LARGE ? 0 : left < cap * TIMES ? left : cap * TIMES;
    eb_buf_reserve(&section->bytes, more > size ? more : (size_t)size);
    if (!more || !(section->flags & EB_SHF_EXECINSTR))
        return;
    uint32_t slots = (uint32_t)(section->bytes.cap / EBPF_SLOT);
    eb_loc *locs = eb_alloc_array(&as->ctx->arena, slots, sizeof *locs);
    if (section->locs.len)
        memcpy(locs, section->locs.at, section->locs.len * sizeof *locs);
    section->locs.at = locs;
    section->locs.cap = slots;
}

uint8_t *eb_asm_emit(eb_asm *as, uint64_t size) {
    enum { MOST = 64 << 20 };
    eb_section *section = eb_asm_section(as);
    const eb_token *first = &as->tokens.at[0];
    if (size > MOST || section->bytes.len > UINT32_MAX - MOST) {
        eb_diag_add(as->ctx, EB_DIAG_SIZE_LIMIT, first->lo, first->hi, (unsigned)MOST);
        return NULL;
    }
    if (section->type == EB_SHT_NOBITS) {
        eb_diag_add(as->ctx, EB_DIAG_IN_NOBITS, first->lo, first->hi, (int)section->name.len,
                    section->name.at);
        return NULL;
    }
    if (size > section->bytes.cap - section->bytes.len)
        grow(as, section, size);
    uint8_t *at = eb_buf_room(&section->bytes, (size_t)size);
    section->size = section->bytes.len;
    if (section->flags & EB_SHF_EXECINSTR)
        while (section->locs.len < section->bytes.len / EBPF_SLOT)
            *EB_PUSH(&as->ctx->arena, &section->locs) = first->lo;
    return at;
}

void eb_asm_fill(eb_asm *as, uint64_t size, int fill) {
    eb_section *section = eb_asm_section(as);
    if (section->type == EB_SHT_NOBITS && fill == 0 && size <= UINT32_MAX) {
        section->size += size;
        return;
    }
    uint8_t *at = eb_asm_emit(as, size);
    if (at && size)
        memset(at, fill, (size_t)size);
}

/* ---- labels ---- */

static uint32_t new_label(eb_asm *as, eb_str name, eb_loc lo, eb_loc hi, bool temporary) {
    *EB_PUSH(&as->ctx->arena, &as->labels) =
        (eb_label){.name = name, .loc = lo, .end = hi, .temporary = temporary};
    return as->labels.len - 1;
}

static uint32_t enter_label(eb_asm *as, eb_str name, uint32_t hash, eb_loc lo, eb_loc hi) {
    bool is_new;
    uint32_t *number = eb_map_enter_hashed(&as->names, name, hash, &is_new);
    if (is_new)
        *number = new_label(as, name, lo, hi, eb_str_starts(name, ".L"));
    return *number;
}

uint32_t eb_asm_label(eb_asm *as, eb_str name, eb_loc lo, eb_loc hi) {
    return enter_label(as, name, eb_str_hash(name), lo, hi);
}

uint32_t eb_asm_label_at(eb_asm *as, const eb_token *token) {
    bool known = token->kind == EB_TOKEN_WORD || token->kind == EB_TOKEN_STRING;
    uint32_t hash = known ? token->hash : eb_str_hash(token->text);
    return enter_label(as, token->text, hash, token->lo, token->hi);
}

uint32_t eb_asm_keep(eb_asm *as, const eb_expr *expr) {
    *EB_PUSH(&as->ctx->arena, &as->exprs) = *expr;
    return as->exprs.len;
}

void eb_asm_defined_twice(eb_asm *as, const eb_label *label, eb_loc lo, eb_loc hi) {
    eb_diag *diag = eb_diag_add(as->ctx, EB_DIAG_DUPLICATE_SYMBOL, lo, hi, (int)label->name.len,
                                label->name.at);
    eb_diag_note(as->ctx, diag, label->loc, label->end, "it is defined here first");
}

void eb_asm_place(eb_asm *as, uint32_t number, eb_loc lo, eb_loc hi) {
    eb_label *label = &as->labels.at[number];
    if (label->defined || label->alias) {
        eb_asm_defined_twice(as, label, lo, hi);
        return;
    }
    label->defined = true;
    label->loc = lo;
    label->end = hi;
    label->section = as->section;
    label->value = eb_asm_section(as)->size;
    *EB_PUSH(&as->ctx->arena, &as->placed) = number;
}

uint32_t eb_asm_here(eb_asm *as) {
    uint32_t number = new_label(as, EB_STR("."), 0, 0, true);
    eb_asm_place(as, number, as->tokens.at[0].lo, as->tokens.at[0].hi);
    return number;
}

/* "1:" again and again: each definition is a label of its own, named number, \1, count. */
static void place_numeric(eb_asm *as, const eb_token *token) {
    bool is_new;
    eb_str key = eb_str_fmt(&as->ctx->arena, "%llu", (unsigned long long)token->value);
    uint32_t *count = eb_map_enter(&as->locals, key, &is_new);
    eb_str name = eb_str_fmt(&as->ctx->arena, "%s\1%u", key.at, ++*count);
    uint32_t number = eb_asm_label(as, name, token->lo, token->hi);
    as->labels.at[number].temporary = true;
    eb_asm_place(as, number, token->lo, token->hi);
}

/* Labels in front of the statement. */
static void take_labels(eb_asm *as) {
    while (!eb_asm_at_end(as)) {
        const eb_token *token = eb_asm_peek(as);
        if (token[1].kind != EB_TOKEN_PUNCT || token[1].punct != ':')
            return;
        if (token->kind == EB_TOKEN_NUMBER)
            place_numeric(as, token);
        else if (token->kind == EB_TOKEN_WORD || token->kind == EB_TOKEN_STRING)
            eb_asm_place(as, eb_asm_label_at(as, token), token->lo, token->hi);
        else
            return;
        as->at += 2;
    }
}

/* ---- the whole text ---- */

static bool is_assignment(const eb_asm *as) {
    const eb_token *token = eb_asm_peek(as);
    return (token->kind == EB_TOKEN_WORD || token->kind == EB_TOKEN_STRING) &&
           token[1].kind == EB_TOKEN_PUNCT &&
           (token[1].punct == '=' || token[1].punct == EB_MARK_EQ);
}

static void statement(eb_asm *as) {
    take_labels(as);
    if (eb_asm_at_end(as))
        return;
    char first = eb_asm_peek(as)->text.at[0];
    if (first >= 'A' && first <= 'Z' && eb_asm_peek(as)->kind == EB_TOKEN_WORD)
        eb_asm_lower(as);
    if (as->directive)
        eb_asm_directive(as);
    else if (as->macro)
        eb_asm_use_macro(as);
    else if (is_assignment(as))
        eb_run_set(as, eb_asm_peek(as)[1].punct == EB_MARK_EQ);
    else if (eb_asm_peek(as)->kind == EB_TOKEN_WORD && eb_asm_peek(as)->text.at[0] == '.')
        eb_asm_unknown_directive(as);
    else
        eb_asm_insn(as);
}

eb_asm *eb_asm_new(ebpf_ctx *ctx, eb_str name, enum ebpf_dialect dialect, bool big) {
    eb_asm *as = eb_alloc(&ctx->arena, sizeof *as);
    as->ctx = ctx;
    as->dialect = dialect;
    as->obj = eb_object_new(ctx, big);
    as->obj->name = eb_str_copy(&ctx->arena, name);
    as->trie = eb_trie_of(ctx, dialect);
    as->errors = ctx->errors;
    as->names.arena = as->locals.arena = as->type_names.arena = as->map_names.arena =
        as->section_names.arena = as->macro_names.arena = as->directives.arena = &ctx->arena;
    eb_asm_directives(as);
    eb_asm_select(as, EB_STR(".text"), EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_EXECINSTR, true);
    return as;
}

void eb_asm_text(eb_asm *as, eb_str name, eb_str text) {
    bool clean;
    as->frames.len = as->conditions.len = as->repeats = as->open_conditions = 0;
    as->in_macro = false;
    as->scanner = (eb_scanner){.ctx = as->ctx,
                               .dialect = as->dialect,
                               .text = text,
                               .first = eb_source_add(as->ctx, name, text)};
    while (eb_asm_read(as, &clean)) {
        if (clean)
            statement(as);
        if (as->ctx->dropped || as->scanner.binary)
            break; /* no text, or more errors than anybody reads */
    }
    if (as->open_struct) {
        const eb_type *type = &as->types.at[as->open_struct - 1];
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, type->loc, type->loc + 1, ".ends for this .struct");
        as->open_struct = 0;
    }
}

int eb_asm_finish(eb_asm *as, ebpf_object **out) {
    ebpf_ctx *ctx = as->ctx;
    if (ctx->errors == as->errors)
        eb_asm_resolve(as);
    if (ctx->errors == as->errors && eb_object_index(as->obj) == 0)
        *out = as->obj;
    return ctx->errors == as->errors ? EBPF_OK : EBPF_E_INPUT;
}

int eb_assemble(ebpf_ctx *ctx, eb_str name, eb_str text, enum ebpf_dialect dialect, bool big,
                ebpf_object **out) {
    eb_asm *as = eb_asm_new(ctx, name, dialect, big);
    eb_asm_text(as, name, text);
    return eb_asm_finish(as, out);
}
