/* asm.c - the assembler's frame: statements, labels, sections, output.
 *
 * One pass over the text turns each statement into tokens and then into bytes; what refers to a
 * label waits as a fixup until the end (resolve.c). A bad statement is reported and skipped, so
 * that one run shows every error. */
#include "asm.h"

#include <string.h>

#include "assemble.h"

/* ---- tokens ---- */

/* Read the next statement into as->tokens; false at the end of the text. Where a line has something
 * that is no token, one diagnostic was given: the rest of it is skipped and `clean` is false. */
static bool read_statement(eb_asm *as, bool *clean) {
    as->tokens.len = as->at = 0;
    *clean = true;
    for (;;) {
        eb_token *token = EB_PUSH(&as->ctx->arena, &as->tokens);
        eb_scan_into(&as->scanner, token);
        if (token->kind == EB_TOKEN_BAD) {
            eb_scan_skip_line(&as->scanner);
            *clean = false;
            return true;
        }
        if (token->kind <= EB_TOKEN_NEWLINE) {
            if (as->tokens.len > 1)
                return true;
            if (token->kind == EB_TOKEN_END)
                return false;
            as->tokens.len = 0;
        }
    }
}

bool eb_asm_accept(eb_asm *as, char punct) {
    if (!eb_asm_is(as, punct))
        return false;
    as->at++;
    return true;
}

void eb_asm_expected(eb_asm *as, const char *what) {
    const eb_token *token = eb_asm_peek(as);
    eb_diag_add(as->ctx, EB_DIAG_EXPECTED, token->lo, token->hi, what);
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
    uint32_t found = eb_object_find_section(as->obj, name);
    if (!found) {
        found = eb_object_add_section(as->obj, name, type, flags);
        as->obj->sections.at[found].align = flags & EB_SHF_EXECINSTR ? EBPF_SLOT : 1;
        while (as->implied.len <= found)
            *EB_PUSH(&as->ctx->arena, &as->implied) = implied;
    }
    as->section = found;
}

uint8_t *eb_asm_emit(eb_asm *as, uint64_t size) {
    enum { MOST = 64 << 20 };
    eb_section *section = eb_asm_section(as);
    const eb_token *first = &as->tokens.at[0];
    if (size > MOST) {
        eb_diag_add(as->ctx, EB_DIAG_SIZE_LIMIT, first->lo, first->hi, (unsigned)MOST);
        return NULL;
    }
    if (section->type == EB_SHT_NOBITS) {
        eb_diag_add(as->ctx, EB_DIAG_IN_NOBITS, first->lo, first->hi, (int)section->name.len,
                    section->name.at);
        return NULL;
    }
    uint8_t *at = eb_buf_room(&section->bytes, (size_t)size);
    section->size = section->bytes.len;
    if (section->flags & EB_SHF_EXECINSTR)
        while (section->locs.len < section->bytes.len / EBPF_SLOT)
            *EB_PUSH(&as->ctx->arena, &section->locs) = first->lo;
    return at;
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

void eb_asm_place(eb_asm *as, uint32_t number, eb_loc lo, eb_loc hi) {
    eb_label *label = &as->labels.at[number];
    if (label->defined) {
        eb_diag *diag = eb_diag_add(as->ctx, EB_DIAG_DUPLICATE_SYMBOL, lo, hi, (int)label->name.len,
                                    label->name.at);
        eb_diag_note(as->ctx, diag, label->loc, label->end, "it is defined here first");
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

static void statement(eb_asm *as) {
    take_labels(as);
    if (eb_asm_at_end(as))
        return;
    const eb_token *token = eb_asm_peek(as);
    if (token->kind == EB_TOKEN_WORD && token->text.at[0] == '.' && token->text.len > 1)
        eb_asm_directive(as);
    else
        eb_asm_insn(as);
}

int eb_assemble(ebpf_ctx *ctx, eb_str name, eb_str text, enum ebpf_dialect dialect, bool big,
                ebpf_object **out) {
    eb_asm as = {.ctx = ctx, .dialect = dialect, .obj = eb_object_new(ctx, big)};
    uint32_t errors = ctx->errors;
    bool clean;
    as.obj->name = eb_str_copy(&ctx->arena, name);
    as.scanner = (eb_scanner){
        .ctx = ctx, .dialect = dialect, .text = text, .first = eb_source_add(ctx, name, text)};
    as.trie = eb_trie_of(ctx, dialect);
    as.names.arena = as.locals.arena = as.type_names.arena = as.map_names.arena = &ctx->arena;
    eb_asm_select(&as, EB_STR(".text"), EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_EXECINSTR, false);
    while (read_statement(&as, &clean)) {
        if (clean)
            statement(&as);
        if (ctx->dropped || as.scanner.binary)
            break; /* no text, or more errors than anybody reads */
    }
    if (as.open_struct) {
        const eb_type *type = &as.types.at[as.open_struct - 1];
        eb_diag_add(ctx, EB_DIAG_EXPECTED, type->loc, type->loc + 1, ".ends for this .struct");
    }
    if (ctx->errors == errors)
        eb_asm_resolve(&as);
    if (ctx->errors == errors && eb_object_index(as.obj) == 0)
        *out = as.obj;
    return ctx->errors == errors ? EBPF_OK : EBPF_E_INPUT;
}
