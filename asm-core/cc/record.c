/* record.c - struct and union, from the keyword to the '}' (C11 6.7.2.1): tags, members, layout.
 *
 * A record's body is only skipped over when it is met, if nothing in it can be seen from outside
 * but its members: no enumerator and no tag. eb_complete reads it on first use. */
#include "kernel.h"

/* ---- members ---- */

static void duplicate_member(eb_unit *u, const eb_member *member, eb_loc old) {
    eb_str text = eb_name_text(u, member->name - 1);
    eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_DUPLICATE_MEMBER, member->loc,
                                member->loc + (eb_loc)text.len, (int)text.len, text.at);
    eb_diag_note(u->ctx, diag, old, old + 1, "it was declared here");
}

/* The names of `inner`'s members are names of `record`'s, too, where `inner` is anonymous. */
static void check_members(eb_unit *u, const eb_record *record, const eb_record *inner) {
    for (uint32_t n = 0; n < inner->members.len; n++) {
        const eb_member *member = &inner->members.at[n];
        if (!member->name && !member->is_field && eb_type_is_record(member->type)) {
            check_members(u, record, eb_type_plain(member->type)->of.record);
        } else if (member->name) {
            while (u->members.len < member->name)
                EB_PUSH(&u->ctx->arena, &u->members);
            eb_seen_member *seen = &u->members.at[member->name - 1];
            if (seen->record == record)
                duplicate_member(u, member, seen->loc);
            *seen = (eb_seen_member){record, member->loc};
        }
    }
}

static void add_member(eb_unit *u, eb_record *record, eb_member member) {
    *EB_PUSH(&u->ctx->arena, &record->members) = member;
}

static void bit_field(eb_unit *u, eb_member *member) {
    eb_expr *expr = eb_conditional(u);
    int64_t bits = 0;
    member->is_field = true;
    if (!eb_constant_integer(u, expr, &bits))
        return;
    uint64_t most = eb_type_size(member->type) * 8;
    if (eb_type_is(member->type, EB_TYPE_BOOL))
        most = 1;
    if (bits < 0 || (uint64_t)bits > most || !eb_type_is_integer(member->type) ||
        (bits == 0 && member->name))
        eb_diag_add(u->ctx, EB_DIAG_BIT_FIELD, expr->lo, expr->hi, (long long)bits,
                    eb_type_string(u, member->type));
    else
        member->bits = (uint16_t)bits;
}

/* One declarator of a member declaration. */
static void member_declarator(eb_unit *u, eb_record *record, const eb_spec *spec) {
    eb_member member = {.type = spec->type, .loc = eb_peek(u).loc};
    eb_attrs attrs = eb_attrs_copy(u, &spec->attrs);
    if (!eb_is(u, EB_TOK_COLON)) {
        eb_declarator d = eb_declarator_of(u, spec->type);
        eb_attrs_merge(u, &attrs, &d.attrs);
        member.type = d.type;
        member.name = d.name;
        member.loc = d.lo;
    }
    if (eb_skip(u, EB_TOK_COLON))
        bit_field(u, &member);
    eb_attributes(u, &attrs);
    member.type = eb_apply_type_attrs(u, member.type, &attrs, member.loc);
    member.align = attrs.align;
    member.packed = attrs.packed;
    member.tags = attrs.decl_tags;
    bool open = eb_type_is(member.type, EB_TYPE_ARRAY) &&
                eb_type_plain(member.type)->count == EB_ARRAY_OPEN;
    if (eb_type_is(member.type, EB_TYPE_FUNCTION)) {
        if (!record->has_function)
            eb_diag_add(u->ctx, EB_DIAG_FUNCTION_MEMBER, member.loc, eb_behind(u));
        record->has_function = true;
        member.type = eb_type_basic(&u->types, EB_TYPE_ERROR);
    }
    if (!open && !eb_require_complete(u, member.type, member.loc, eb_behind(u)))
        member.type = eb_type_basic(&u->types, EB_TYPE_ERROR);
    else if (open)
        eb_require_complete(u, eb_type_plain(member.type)->base, member.loc, eb_behind(u));
    add_member(u, record, member);
}

/* GNU: the last member may go without its ';'. A function's body is skipped: the function was told
 * of. */
static void end_member(eb_unit *u, const eb_spec *spec) {
    if (spec->ended)
        return;
    if (eb_is(u, EB_TOK_RBRACE)) {
        eb_loc at = eb_behind(u);
        eb_diag *diag = eb_warn(u, EB_DIAG_MEMBER_END, at, at);
        if (diag)
            eb_diag_fixit(u->ctx, diag, at, at, EB_STR(";"));
    } else if (eb_is(u, EB_TOK_LBRACE)) {
        eb_skip_group(u);
    } else if (!eb_expect(u, EB_TOK_SEMICOLON, "';' behind a member")) {
        eb_resync(u);
    }
}

static void member_declaration(eb_unit *u, eb_record *record) {
    if (eb_is_word(u, EB_KW_STATIC_ASSERT)) {
        eb_static_assert(u);
        return;
    }
    eb_spec spec = eb_specifiers(u);
    if (spec.storage || spec.is_thread_local || spec.is_inline || spec.is_constexpr)
        eb_diag_add(u->ctx, EB_DIAG_MEMBER_STORAGE, spec.lo, spec.lo + 1);
    if (eb_is(u, EB_TOK_SEMICOLON) || spec.ended) { /* an anonymous record, or nothing */
        if (eb_type_is_record(spec.type) && eb_complete(u, spec.type)) {
            eb_record *inner = eb_type_plain(spec.type)->of.record;
            bool plain = !inner->name && spec.type->kind != EB_TYPE_TYPEDEF;
            if (plain || (u->pp->dialect & EBPF_CC_MS_EXTENSIONS))
                add_member(u, record, (eb_member){.type = inner->type, .loc = spec.lo});
        }
    } else {
        do
            member_declarator(u, record, &spec);
        while (eb_skip(u, EB_TOK_COMMA));
    }
    end_member(u, &spec);
}

/* An array without a length is the last member. */
static void check_flexible(eb_unit *u, const eb_record *record) {
    for (uint32_t n = 0; n + 1 < record->members.len && !record->is_union; n++) {
        const eb_member *member = &record->members.at[n];
        const eb_type *type = eb_type_plain(member->type);
        if (type->kind == EB_TYPE_ARRAY && type->count == EB_ARRAY_OPEN)
            eb_diag_add(u->ctx, EB_DIAG_FLEXIBLE, member->loc, member->loc + 1);
    }
}

/* The members, at the token behind '{'; the '}' is taken. */
static void record_body(eb_unit *u, eb_record *record) {
    eb_nest(u);
    record->reading = true;
    while (!eb_braces_end(u)) {
        uint32_t before = u->at;
        if (!eb_extra_semicolon(u))
            member_declaration(u, record);
        if (u->at == before)
            eb_take(u);
    }
    check_members(u, record, record);
    check_flexible(u, record);
    record->reading = false;
    eb_unnest(u);
}

/* ---- bodies, at once or on first use ---- */

static void lay_out(eb_unit *u, eb_record *record) {
    if (!eb_record_lay_out(record))
        eb_diag_add(u->ctx, EB_DIAG_TYPE_SIZE, record->loc, record->loc + 1,
                    eb_type_string(u, record->type));
}

static void spread_preserve(eb_record *record);

bool eb_complete(eb_unit *u, eb_type *type) {
    type = eb_type_plain(type);
    while (type->kind == EB_TYPE_ARRAY)
        type = eb_type_plain(type->base);
    if (type->kind != EB_TYPE_STRUCT && type->kind != EB_TYPE_UNION)
        return eb_type_is_complete(type);
    eb_record *record = type->of.record;
    if (u->kernel && !record->complete) {
        if (!eb_record_is_defined(record))
            eb_kernel_adopt(u, type);
        if (record->btf)
            eb_kernel_complete(u, record);
    }
    if (record->complete || !record->body)
        return record->complete;
    /* Read as it would have been where it stands: at file scope, under the pragmas of that place.
     */
    uint32_t at = u->at, pack = u->pack, unroll = u->unroll;
    eb_suspended scopes = eb_scope_suspend(u);
    *EB_PUSH(&u->ctx->arena, &u->preserve) = record->preserve;
    u->pack = record->pack;
    u->at = record->body;
    record->body = 0;
    record_body(u, record);
    u->preserve.len--;
    u->pack = pack;
    u->unroll = unroll;
    u->at = at;
    eb_scope_resume(u, scopes);
    lay_out(u, record);
    if (record->preserve)
        spread_preserve(record);
    return true;
}

static bool defines_tag(const eb_unit *u, uint32_t at) {
    return at + 1 < u->count &&
           (u->toks[at].kind == EB_TOK_LBRACE ||
            (u->toks[at].kind == EB_TOK_NAME && u->toks[at + 1].kind == EB_TOK_LBRACE));
}

static eb_type *declare_tag(eb_unit *u, eb_tok tok, bool is_union) {
    eb_record *record = eb_record_new(&u->types, is_union, tok.value + 1, tok.loc);
    eb_bind_tag(u, tok.value, record->type);
    return record->type;
}

/* The tags that a body mentions are declared by that, also when it is skipped. */
static void declare_mentioned(eb_unit *u, uint32_t from, uint32_t to) {
    for (uint32_t at = from; at + 1 < to; at++) {
        eb_tok tok = u->toks[at], next = u->toks[at + 1];
        bool is_union = tok.value == EB_KW_UNION;
        if (tok.kind == EB_TOK_NAME && (tok.value == EB_KW_STRUCT || is_union) &&
            next.kind == EB_TOK_NAME && next.value >= EB_KW_COUNT && !eb_lookup_tag(u, next.value))
            declare_tag(u, next, is_union);
    }
}

/* Skip the body, whose '{' was taken, if it shows nothing but its members to the outside. */
static bool skip_body(eb_unit *u, eb_record *record) {
    uint32_t at = u->at, depth = 1;
    for (; depth; at++) {
        if (at >= u->count)
            return false;
        eb_tok tok = u->toks[at];
        depth += tok.kind == EB_TOK_LBRACE;
        depth -= tok.kind == EB_TOK_RBRACE;
        if (tok.kind == EB_TOK_PRAGMA)
            return false;
        if (tok.kind != EB_TOK_NAME)
            continue;
        bool tagged = tok.value == EB_KW_STRUCT || tok.value == EB_KW_UNION;
        if (tok.value == EB_KW_STATIC_ASSERT || tok.value == EB_KW_ATTRIBUTE ||
            (tok.value == EB_KW_ENUM && defines_tag(u, at + 1)) ||
            (tagged && at + 1 < u->count && u->toks[at + 1].kind == EB_TOK_NAME &&
             defines_tag(u, at + 1)))
            return false;
    }
    declare_mentioned(u, u->at, at);
    record->body = u->at;
    u->at = at;
    return true;
}

bool eb_preserving(const eb_unit *u) {
    for (uint32_t n = 0; n < u->preserve.len; n++)
        if (u->preserve.at[n])
            return true;
    return false;
}

static void apply_record_attrs(eb_unit *u, eb_record *record, const eb_attrs *attrs) {
    record->packed = record->packed || attrs->packed;
    record->preserve = record->preserve || attrs->preserve || eb_preserving(u);
    record->transparent = record->transparent || attrs->transparent;
    if (attrs->align > record->least_align)
        record->least_align = attrs->align;
    for (uint32_t n = 0; n < attrs->decl_tags.len; n++)
        *EB_PUSH(&u->ctx->arena, &record->tags) = attrs->decl_tags.at[n];
}

/* preserve_access_index is also that of the anonymous records inside. */
static void spread_preserve(eb_record *record) {
    for (uint32_t n = 0; n < record->members.len; n++) {
        eb_type *type = eb_type_plain(record->members.at[n].type);
        if (!eb_type_is_record(type) || type->of.record->name)
            continue;
        type->of.record->preserve = true;
        spread_preserve(type->of.record);
    }
}

/* A record whose '{' was taken. */
static void define_record(eb_unit *u, eb_record *record, eb_attrs *attrs) {
    record->pack = u->pack;
    record->loc = eb_ahead(u, 0).loc;
    /* What stands in the main file is always read: it is what somebody is writing. */
    bool skipped =
        eb_scope_is_global(u) && !eb_in_main_file(u, record->loc) && skip_body(u, record);
    if (!skipped)
        record_body(u, record);
    eb_attributes(u, attrs);
    apply_record_attrs(u, record, attrs);
    if (!skipped) {
        lay_out(u, record);
        if (record->preserve)
            spread_preserve(record);
    }
}

/* ---- the whole ---- */

static void not_visible(eb_unit *u, eb_tok tok, bool is_union) {
    eb_str name = eb_name_text(u, tok.value);
    eb_warn(u, EB_DIAG_NOT_VISIBLE, tok.loc, eb_tok_end(u, tok), is_union ? "union" : "struct",
            (int)name.len, name.at);
}

eb_type *eb_record_specifier(eb_unit *u, bool is_union) {
    eb_attrs attrs = {0};
    eb_attributes(u, &attrs);
    eb_tok tok = eb_peek(u);
    bool named = eb_is_name(u);
    u->at += named;
    bool defined = eb_skip(u, EB_TOK_LBRACE);
    if (!named && !defined) {
        eb_missing(u, "", is_union ? "a name or '{' behind union" : "a name or '{' behind struct");
        return eb_type_basic(&u->types, EB_TYPE_ERROR);
    }
    eb_type *type = NULL;
    if (named) /* `struct x;` in a block is a new type */
        type = defined || (eb_is(u, EB_TOK_SEMICOLON) && !eb_scope_is_global(u))
                   ? eb_lookup_tag_here(u, tok.value)
                   : eb_lookup_tag(u, tok.value);
    eb_type_kind kind = is_union ? EB_TYPE_UNION : EB_TYPE_STRUCT;
    bool again = type && defined && type->kind == kind && eb_record_is_defined(type->of.record);
    if (type && (type->kind != kind || again)) {
        eb_tag_redefined(u, tok, type);
        type = NULL;
    }
    if (!type && named && u->param_lists)
        not_visible(u, tok, is_union);
    if (!type)
        type = named ? declare_tag(u, tok, is_union)
                     : eb_record_new(&u->types, is_union, 0, tok.loc)->type;
    if (defined)
        define_record(u, type->of.record, &attrs);
    else
        apply_record_attrs(u, type->of.record, &attrs);
    return type;
}
