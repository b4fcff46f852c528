/* lower.c - see lower.h: the unit, its functions and symbols, and the instructions' maker. */
#include "lower.h"

#include "object.h"

enum { WORD = 8, DATA_DEPTH_MOST = 50 };

/* ---- types ---- */

eb_ir_type eb_lower_type(eb_type *type) {
    eb_type *plain = eb_type_plain(type);
    if (plain->kind == EB_TYPE_POINTER)
        return EB_IR_PTR;
    if (eb_type_is_integer(plain))
        return eb_type_size(plain) <= 4 ? EB_IR_I32 : EB_IR_I64;
    return EB_IR_VOID;
}

bool eb_refuse_type(eb_lower *l, eb_type *type, eb_loc lo, eb_loc hi) {
    eb_type *plain = eb_type_plain(type);
    if (!eb_type_is_wide(plain) && !eb_type_is_floating(plain))
        return false;
    eb_diag_add(l->ctx, eb_type_is_wide(plain) ? EB_DIAG_NO_WIDE : EB_DIAG_NO_ARITHMETIC, lo, hi,
                eb_type_string(l->u, type));
    return true;
}

const eb_member *eb_path_member(const eb_expr *e, uint32_t n) {
    const eb_type *type = eb_type_plain(e->a->type);
    for (uint32_t i = 0;; i++) {
        const eb_member *member = &type->of.record->members.at[e->of.path.at[i]];
        if (i == n)
            return member;
        type = eb_type_plain(member->type);
    }
}

/* ---- instructions ---- */

eb_value eb_emit(eb_lower *l, eb_ir_op op, eb_ir_type type, eb_value a, eb_value b, eb_loc loc) {
    eb_value v = eb_ir_new(l->fn, op, type, a, b, loc);
    eb_ir_append(l->fn, l->block, v);
    return v;
}

eb_value eb_emit_const(eb_lower *l, eb_ir_type type, int64_t imm, eb_loc loc) {
    eb_value v = eb_ir_const(l->fn, type, imm, loc);
    eb_ir_append(l->fn, l->block, v);
    return v;
}

eb_value eb_emit_slot(eb_lower *l, uint32_t slot, eb_loc loc) {
    eb_value v = eb_emit(l, EB_IR_SLOT, EB_IR_PTR, 0, 0, loc);
    eb_ir_at(l->fn, v)->extra = slot;
    return v;
}

eb_value eb_emit_symbol(eb_lower *l, uint32_t symbol, int64_t offset, eb_loc loc) {
    eb_value v = eb_emit(l, EB_IR_SYMBOL, EB_IR_PTR, 0, 0, loc);
    eb_ir_at(l->fn, v)->extra = symbol;
    eb_ir_at(l->fn, v)->imm = offset;
    return v;
}

eb_value eb_emit_sum(eb_lower *l, eb_value base, int64_t offset, eb_loc loc) {
    if (!offset)
        return base;
    eb_ir_type type = (eb_ir_type)eb_ir_at(l->fn, base)->type;
    return eb_emit(l, EB_IR_ADD, type, base, eb_emit_const(l, EB_IR_I64, offset, loc), loc);
}

eb_value eb_emit_cmp(eb_lower *l, eb_cond cond, eb_value a, eb_value b, eb_loc loc) {
    eb_value v = eb_emit(l, EB_IR_CMP, EB_IR_I32, a, b, loc);
    eb_ir_at(l->fn, v)->cond = (uint8_t)cond;
    return v;
}

void eb_emit_jump(eb_lower *l, uint32_t to, eb_loc loc) {
    eb_emit(l, EB_IR_JUMP, EB_IR_VOID, 0, 0, loc);
    eb_edge_add(l->fn, l->block, to);
}

void eb_emit_branch(eb_lower *l, eb_cond cond, eb_value a, eb_value b, uint32_t yes, uint32_t no,
                    eb_loc loc) {
    eb_value v = eb_emit(l, EB_IR_BRANCH, EB_IR_VOID, a, b, loc);
    eb_ir_at(l->fn, v)->cond = (uint8_t)cond;
    eb_edge_add(l->fn, l->block, yes);
    eb_edge_add(l->fn, l->block, no);
}

void eb_emit_in(eb_lower *l, uint32_t block) {
    l->block = block;
}

void eb_emit_dead(eb_lower *l) {
    l->block = eb_block_new(l->fn);
}

eb_value eb_emit_phi(eb_lower *l, eb_ir_type type, eb_value first, eb_value second, eb_loc loc) {
    eb_value v = eb_emit(l, EB_IR_PHI, type, 0, 0, loc);
    uint32_t list = eb_list_new(l->fn, (eb_value[]){first, second}, 2);
    eb_ir_at(l->fn, v)->list = list;
    return v;
}

uint32_t eb_new_slot(eb_lower *l, eb_type *type, eb_str name, eb_loc loc) {
    uint64_t size = eb_type_size(type);
    uint32_t align = eb_type_align(type);
    /* What is as large as a word can be written by words then. */
    while (align < WORD && align * 2 <= size && !eb_type_is_scalar(type))
        align *= 2;
    return eb_slot_new(l->fn, size ? size : 1, align, name, loc);
}

/* ---- symbols ---- */

static eb_str decl_name(const eb_lower *l, const eb_decl *decl) {
    if (decl->assembly.len)
        return decl->assembly;
    return decl->name == UINT32_MAX ? EB_STR("") : eb_name_text(l->u, decl->name);
}

static bool is_static(const eb_decl *decl) {
    return decl->storage == EB_STORAGE_STATIC ||
           (decl->kind == EB_DECL_FUNCTION && decl->is_inline &&
            (decl->storage != EB_STORAGE_EXTERN || decl->attrs.gnu_inline));
}

/* What a variable holds, which may be the addresses of others, which hold ...: where that gets too
 * deep, the outermost comes back to it. */
static void lower_contents(eb_lower *l, eb_decl *decl, uint32_t symbol) {
    if (l->data_depth == DATA_DEPTH_MOST) {
        *EB_PUSH(&l->ctx->arena, &l->waiting) = decl;
        return;
    }
    l->data_depth++;
    eb_lower_data(l, decl, symbol);
    while (l->data_depth == 1 && l->waiting.len) {
        eb_decl *next = l->waiting.at[--l->waiting.len];
        eb_lower_data(l, next, next->number);
    }
    l->data_depth--;
}

uint32_t eb_symbol_of(eb_lower *l, eb_decl *decl) {
    if (decl->alias)
        decl = decl->alias;
    if (decl->number)
        return decl->number;
    bool function = decl->kind == EB_DECL_FUNCTION;
    eb_str name = decl_name(l, decl);
    bool local = l->function && decl->storage == EB_STORAGE_STATIC && !function &&
                 decl->name != UINT32_MAX && decl->is_local;
    if (local) {
        eb_str outer = decl_name(l, l->function);
        name = eb_str_fmt(&l->ctx->arena, "%.*s.%.*s", (int)outer.len, outer.at, (int)name.len,
                          name.at);
    } else if (decl->name == UINT32_MAX) {
        name = EB_STR(".compoundliteral");
    }
    uint32_t number = eb_ir_symbol_add(l->ir, name, function ? EB_IR_FUNCTION : EB_IR_VARIABLE);
    decl->number = number;
    eb_ir_symbol *symbol = &l->ir->symbols.at[number];
    symbol->section = decl->attrs.section;
    symbol->decl = decl;
    symbol->loc = decl->lo;
    symbol->bind = decl->attrs.weak ? EB_STB_WEAK : is_static(decl) ? EB_STB_LOCAL : EB_STB_GLOBAL;
    symbol->hidden = decl->attrs.hidden;
    symbol->refusal = decl->attrs.error;
    symbol->retained = decl->attrs.used;
    symbol->is_defined =
        function ? decl->body != NULL : decl->storage != EB_STORAGE_EXTERN || decl->has_init;
    symbol->is_const = !function && (eb_type_quals(decl->type) & EB_CONST) != 0;
    if (function)
        return number;
    unsigned space = eb_type_space(decl->type);
    if (space && !symbol->section.len)
        symbol->section = eb_str_fmt(&l->ctx->arena, ".addr_space.%u", space);
    symbol->size = eb_type_is_complete(decl->type) ? eb_type_size(decl->type) : 0;
    symbol->align = eb_type_align(decl->type);
    if (decl->attrs.align > symbol->align)
        symbol->align = decl->attrs.align;
    if (symbol->is_defined)
        lower_contents(l, decl, number);
    return number;
}

uint32_t eb_symbol_of_string(eb_lower *l, const eb_expr *e) {
    bool is_new;
    eb_str key = eb_str_fmt(&l->ctx->arena, "%u:", eb_type_align(e->type));
    eb_buf text = {.arena = &l->ctx->arena};
    eb_buf_str(&text, key);
    eb_buf_str(&text, e->of.text);
    uint32_t *known = eb_map_enter(&l->strings, (eb_str){(const char *)text.at, text.len}, &is_new);
    if (!is_new)
        return *known;
    uint32_t number = eb_ir_symbol_add(l->ir, EB_STR(".str"), EB_IR_VARIABLE);
    eb_ir_symbol *symbol = &l->ir->symbols.at[number];
    symbol->is_string = symbol->is_const = symbol->is_defined = true;
    symbol->size = e->of.text.len;
    symbol->align = (uint32_t)eb_type_size(eb_type_plain(e->type)->base);
    symbol->loc = e->lo;
    eb_buf_put(&symbol->data, e->of.text.at, e->of.text.len);
    *known = number;
    return number;
}

/* ---- functions ---- */

static bool is_direct(eb_type *type) {
    return !(eb_type_is_record(type) || eb_type_is_wide(type)) || eb_type_size(type) == 0;
}

/* A parameter in its slot: a record or number of up to 16 bytes comes in words, a larger one by its
 * address, as in LLVM's calling convention. */
static uint32_t take_param(eb_lower *l, eb_decl *param, uint32_t number) {
    eb_loc loc = param->lo;
    eb_type *type = param->type;
    uint64_t size = eb_type_size(type);
    if (size == 0 || (is_direct(type) && eb_refuse_type(l, type, param->lo, param->hi)))
        return number;
    eb_str name = decl_name(l, param);
    if (!is_direct(type) && size > 2 * WORD) {
        eb_value at = eb_emit(l, EB_IR_PARAM, EB_IR_PTR, 0, 0, loc);
        eb_ir_at(l->fn, at)->imm = number;
        uint32_t slot = eb_new_slot(l, type, name, loc);
        param->number = slot + 1;
        eb_lvalue from = eb_place_at(at, type), to = eb_place_at(eb_emit_slot(l, slot, loc), type);
        eb_place_copy(l, &to, &from, loc);
        return number + 1;
    }
    if (!is_direct(type)) {
        uint64_t words = (size + WORD - 1) / WORD;
        uint32_t slot = eb_slot_new(l->fn, words * WORD, WORD, name, loc);
        param->number = slot + 1;
        for (uint64_t n = 0; n < words; n++) {
            eb_value v = eb_emit(l, EB_IR_PARAM, EB_IR_I64, 0, 0, loc);
            eb_ir_at(l->fn, v)->imm = number++;
            eb_value store =
                eb_emit(l, EB_IR_STORE, EB_IR_VOID, eb_emit_slot(l, slot, loc), v, loc);
            eb_ir_at(l->fn, store)->size = WORD;
            eb_ir_at(l->fn, store)->imm = (int64_t)(n * WORD);
        }
        return number;
    }
    eb_value v = eb_emit(l, EB_IR_PARAM, eb_lower_type(type), 0, 0, loc);
    eb_ir_at(l->fn, v)->imm = number;
    uint32_t slot = eb_new_slot(l, type, name, loc);
    param->number = slot + 1;
    eb_lvalue place = eb_place_at(eb_emit_slot(l, slot, loc), type);
    eb_place_store(l, &place, v, loc);
    return number + 1;
}

static bool is_naked(const eb_decl *decl) {
    return decl->attrs.naked;
}

static void lower_function(eb_lower *l, eb_decl *decl) {
    uint32_t symbol = eb_symbol_of(l, decl);
    eb_type *result = eb_type_plain(decl->type)->base;
    l->function = decl;
    l->fn = eb_fn_new(l->ir, symbol);
    l->block = 1;
    l->fn->loc = decl->lo;
    l->fn->end = decl->body->hi;
    l->fn->always_inline = decl->attrs.always_inline;
    l->fn->noinline = decl->attrs.noinline;
    l->fn->hinted = decl->is_inline;
    l->fn->is_naked = is_naked(decl);
    l->fn->entry = decl->attrs.section.len != 0 && !eb_str_is(decl->attrs.section, ".text");
    l->result_at = 0;
    uint32_t number = 0;
    if (!is_direct(result)) {
        l->result_at = eb_emit(l, EB_IR_PARAM, EB_IR_PTR, 0, 0, decl->lo);
        number = 1;
    } else {
        eb_refuse_type(l, result, decl->lo, decl->hi);
        l->fn->result = (uint8_t)eb_lower_type(result);
    }
    for (uint32_t n = 0; n < decl->param_count && !is_naked(decl); n++)
        number = take_param(l, decl->params[n], number);
    l->fn->params = is_naked(decl) ? decl->param_count : number;
    eb_lower_block(l, decl->body);
    /* Behind the last statement: nothing to return, or nobody comes here. */
    eb_loc end = decl->body->hi ? decl->body->hi - 1 : 0;
    if (is_naked(decl)) {
        eb_emit(l, EB_IR_UNREACHABLE, EB_IR_VOID, 0, 0, end);
    } else if (l->fn->result == EB_IR_VOID) {
        eb_emit(l, EB_IR_RETURN, EB_IR_VOID, 0, 0, end);
    } else {
        eb_value any = eb_emit(l, EB_IR_UNDEF, (eb_ir_type)l->fn->result, 0, 0, end);
        eb_emit(l, EB_IR_RETURN, EB_IR_VOID, any, 0, end);
    }
    l->function = NULL;
}

/* Another name of what is defined, for others: it stays as it is, since they may do anything to it.
 */
static void add_alias(eb_lower *l, eb_str name, eb_decl *of, const eb_attrs *attrs, eb_loc loc) {
    uint32_t symbol = eb_symbol_of(l, of);
    l->ir->symbols.at[symbol].retained = true;
    *EB_PUSH(&l->ctx->arena, &l->ir->aliases) =
        (eb_ir_alias){.name = name,
                      .symbol = symbol,
                      .bind = attrs->weak ? EB_STB_WEAK : EB_STB_GLOBAL,
                      .hidden = attrs->hidden,
                      .loc = loc};
}

eb_ir_unit *eb_lower_unit(eb_unit *u, const eb_pp_options *options) {
    eb_lower l = {
        .u = u, .ctx = u->ctx, .bare = options->bare, .strings = {.arena = &u->ctx->arena}};
    l.ir = eb_ir_unit_new(u->ctx, options->big, options->cpu, options->optimize);
    for (uint32_t n = 0; n < u->texts.len; n++)
        *EB_PUSH(&u->ctx->arena, &l.ir->texts) =
            (eb_ir_text){u->texts.at[n]->assembly->text, u->texts.at[n]->lo, u->texts.at[n]->hi};
    for (uint32_t n = 0; n < u->globals.len; n++) {
        eb_decl *decl = u->globals.at[n];
        if (decl->kind == EB_DECL_VARIABLE &&
            (decl->storage != EB_STORAGE_EXTERN || decl->has_init))
            eb_symbol_of(&l, decl);
        else if (decl->kind == EB_DECL_FUNCTION && decl->body)
            lower_function(&l, decl);
        if (decl->alias)
            add_alias(&l, decl_name(&l, decl), decl->alias, &decl->attrs, decl->lo);
    }
    const eb_attrs weak = {.weak = true};
    for (uint32_t n = 0; n < u->weak.len; n++)
        if (u->weak.at[n].of)
            add_alias(&l, eb_name_text(u, u->weak.at[n].name), u->weak.at[n].of, &weak,
                      u->weak.at[n].lo);
    return l.ir;
}
