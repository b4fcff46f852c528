/* lower_place.c - lvalues: where they are, loads and stores, bit-fields, and the accesses that
 * CO-RE relocates.
 *
 * An access is relocated where its record has preserve_access_index, or anywhere inside
 * __builtin_preserve_access_index. Steps follow each other in one record of .BTF.ext until a
 * step that is not relocated, as clang's do: `p->a.b[2]` is "0:1:0:2" from p's type on. What the
 * program's own types say is the value that libbpf finds again (its bpf_core_calc_field_relo). */
#include "lower.h"

#include "btf_gen.h"

enum { BYTE = 8, WORD = 8 };

typedef enum core_kind {
#define CORE(id, number, class, name) CORE_##id = number,
#include "core.def"
} core_kind;

eb_lvalue eb_place_at(eb_value base, eb_type *type) {
    bool is_volatile = (eb_type_quals(type) & EB_VOLATILE) != 0;
    bool sized = !eb_type_is(type, EB_TYPE_FUNCTION) && eb_type_is_complete(type);
    return (eb_lvalue){.base = base,
                       .type = type,
                       .align = sized ? eb_type_align(type) : 1,
                       .is_volatile = is_volatile};
}

/* ---- CO-RE ---- */

eb_str eb_chain_text(eb_lower *l, const eb_chain *chain) {
    eb_buf out = {.arena = &l->ctx->arena};
    for (uint32_t n = 0; n < chain->count; n++)
        eb_buf_fmt(&out, n ? ":%u" : "%u", chain->indices[n]);
    return (eb_str){(const char *)out.at, out.len};
}

static uint32_t record_core(eb_lower *l, unsigned kind, eb_type *of, eb_str access, int64_t value) {
    *EB_PUSH(&l->ctx->arena, &l->ir->cores) =
        (eb_ir_core){.kind = kind, .of = of, .access = access, .value = value};
    return l->ir->cores.len - 1;
}

eb_value eb_emit_core(eb_lower *l, unsigned kind, eb_ir_type type, eb_type *of, eb_str access,
                      int64_t value, eb_loc loc) {
    eb_value v = eb_emit(l, EB_IR_CORE, type, 0, 0, loc);
    uint32_t core = record_core(l, kind, of, access, value);
    eb_ir_at(l->fn, v)->extra = core;
    return v;
}

/* The record that a chain starts from: a typedef's name only where the record has none. */
static eb_type *root_of(eb_type *type) {
    eb_type *plain = eb_type_plain(type);
    if (!eb_type_is_record(plain) || plain->of.record->name)
        return plain;
    while (type->kind == EB_TYPE_QUALIFIED || type->kind == EB_TYPE_TAGGED)
        type = type->base;
    return type;
}

/* The chain is over: what it says is added. */
static void close_chain(eb_lower *l, eb_lvalue *p, eb_loc loc) {
    if (!p->chain.count)
        return;
    eb_value offset = eb_emit_core(l, CORE_FIELD_BYTE_OFFSET, EB_IR_I64, p->chain.root,
                                   eb_chain_text(l, &p->chain), p->chain.offset, loc);
    p->base = eb_emit(l, EB_IR_ADD, EB_IR_PTR, p->base, offset, loc);
    p->chain.count = 0;
}

/* A chain that goes on, or a new one from the type here, whose first index is `first`. */
static void open_chain(eb_lower *l, eb_lvalue *p, uint32_t first, eb_loc loc) {
    enum { ROOM = sizeof p->chain.indices / sizeof p->chain.indices[0] };
    if (p->chain.count && p->offset == 0 && p->chain.count < ROOM - 1)
        return;
    close_chain(l, p, loc);
    p->base = eb_emit_sum(l, p->base, p->offset, loc);
    p->offset = 0;
    p->chain = (eb_chain){.root = root_of(p->type), .indices = {first}, .count = 1};
}

static void push_index(eb_lvalue *p, uint32_t index, int64_t offset) {
    p->chain.indices[p->chain.count++] = index;
    p->chain.offset += offset;
}

/* ---- members ---- */

/* The word that holds a bit-field which starts `first` bits behind `align`ed memory. */
static void choose_unit(eb_lvalue *p, uint64_t first, uint32_t align, int64_t *offset) {
    for (uint32_t unit = 1; unit <= WORD && unit <= align; unit *= 2) {
        uint64_t at = first / (BYTE * unit) * unit;
        if (first + p->field->bits <= (at + unit) * BYTE) {
            p->unit = unit;
            p->bit = (uint32_t)(first - at * BYTE);
            *offset += (int64_t)at;
            return;
        }
    }
    p->unit = 0;
    p->bit = (uint32_t)(first % BYTE);
    *offset += (int64_t)(first / BYTE);
}

/* The same as libbpf finds it: words of the field's type, or larger where it does not fit. */
static void choose_core_unit(eb_lvalue *p) {
    uint64_t first = (uint64_t)p->chain.offset * BYTE + p->bit;
    uint64_t unit = eb_type_size(p->type), at = first / BYTE / unit * unit;
    while (first + p->field->bits > (at + unit) * BYTE && unit < WORD) {
        unit *= 2;
        at = first / BYTE / unit * unit;
    }
    p->unit = (uint32_t)unit;
    p->chain.offset = (int64_t)at;
    p->bit = (uint32_t)(first - at * BYTE);
}

static void step_into(eb_lower *l, eb_lvalue *p, uint32_t index, eb_loc loc) {
    const eb_record *record = eb_type_plain(p->type)->of.record;
    const eb_member *member = &record->members.at[index];
    bool relocated = l->preserve || (record->preserve && !l->bare);
    if (relocated)
        open_chain(l, p, 0, loc);
    p->is_volatile |= (eb_type_quals(member->type) & EB_VOLATILE) != 0;
    p->type = member->type;
    p->field = member->is_field ? member : NULL;
    if (relocated) {
        push_index(p, eb_btf_gen_member(record, index), (int64_t)(member->offset / BYTE));
        p->bit = (uint32_t)(member->offset % BYTE);
        if (p->field)
            choose_core_unit(p);
    } else if (p->field) {
        choose_unit(p, member->offset, record->align, &p->offset);
    } else {
        p->offset += (int64_t)(member->offset / BYTE);
    }
}

/* ---- elements ---- */

/* Whether clang relocates the elements of what `array` names: a member of a record that has the
 * attribute, or a variable that points to such records. */
static bool is_preserved_array(const eb_lower *l, const eb_expr *array) {
    if (l->preserve || l->bare)
        return l->preserve != 0;
    while (array->kind == EB_EXPR_CAST || array->kind == EB_EXPR_LOAD ||
           array->kind == EB_EXPR_DECAY)
        array = array->a;
    if (array->kind == EB_EXPR_MEMBER) {
        const eb_type *in = eb_type_plain(array->a->type);
        for (uint32_t n = 0; n + 1 < array->of.path.length; n++)
            in = eb_type_plain(eb_path_member(array, n)->type);
        return in->of.record->preserve;
    }
    if (array->kind != EB_EXPR_DECL || !eb_type_is(array->type, EB_TYPE_POINTER))
        return false;
    const eb_type *to = eb_type_plain(eb_type_plain(array->type)->base);
    return (to->kind == EB_TYPE_STRUCT || to->kind == EB_TYPE_UNION) && to->of.record->preserve;
}

static eb_value scaled(eb_lower *l, eb_value index, uint64_t size, eb_loc loc) {
    if (size == 1)
        return index;
    return eb_emit(l, EB_IR_MUL, EB_IR_I64, index, eb_emit_const(l, EB_IR_I64, (int64_t)size, loc),
                   loc);
}

static eb_lvalue index_place(eb_lower *l, const eb_expr *e) {
    bool array = e->a->kind == EB_EXPR_DECAY;
    eb_constant index = eb_lower_constant(e->b);
    uint64_t size = eb_type_size(e->type);
    eb_lvalue p =
        array ? eb_lower_place(l, e->a->a) : eb_place_at(eb_lower_value(l, e->a), e->type);
    bool relocated = index.kind == EB_CONSTANT_NUMBER && is_preserved_array(l, e->a);
    int64_t offset = (int64_t)(index.value * size);
    if (relocated && array && p.chain.count && p.offset == 0) {
        push_index(&p, (uint32_t)index.value, offset);
    } else if (relocated && !array && eb_type_is_record(e->type)) {
        open_chain(l, &p, (uint32_t)index.value, e->lo);
        p.chain.offset = offset;
    } else if (index.kind == EB_CONSTANT_NUMBER) {
        p.offset += offset;
    } else {
        /* The constant part stays an offset of the access. */
        eb_value by = scaled(l, eb_lower_value(l, e->b), size, e->lo);
        close_chain(l, &p, e->lo);
        p.base = eb_emit(l, EB_IR_ADD, EB_IR_PTR, p.base, by, e->lo);
        while (p.align > 1 && size % p.align)
            p.align /= 2;
    }
    p.type = e->type;
    p.field = NULL;
    p.is_volatile |= (eb_type_quals(e->type) & EB_VOLATILE) != 0;
    return p;
}

/* ---- lvalues ---- */

static eb_lvalue variable(eb_lower *l, const eb_expr *e) {
    eb_decl *decl = e->of.decl;
    eb_lvalue p;
    if (decl->is_global || decl->kind == EB_DECL_FUNCTION) {
        p = eb_place_at(eb_emit_symbol(l, eb_symbol_of(l, decl), 0, e->lo), decl->type);
        if (decl->attrs.align > p.align)
            p.align = decl->attrs.align;
        return p;
    }
    if (!decl->number) { /* jumped over, or used in its own initialiser */
        uint32_t slot = eb_new_slot(l, decl->type, eb_name_text(l->u, decl->name), decl->lo);
        if (decl->attrs.align > l->fn->slots.at[slot].align)
            l->fn->slots.at[slot].align = decl->attrs.align;
        decl->number = slot + 1;
    }
    p = eb_place_at(eb_emit_slot(l, decl->number - 1, e->lo), decl->type);
    p.align = l->fn->slots.at[decl->number - 1].align;
    return p;
}

static eb_lvalue compound(eb_lower *l, const eb_expr *e) {
    eb_decl *decl = e->of.decl;
    if (decl->is_global)
        return eb_place_at(eb_emit_symbol(l, eb_symbol_of(l, decl), 0, e->lo), e->type);
    if (!decl->number)
        decl->number = eb_new_slot(l, decl->type, EB_STR(""), e->lo) + 1;
    eb_lvalue p = eb_place_at(eb_emit_slot(l, decl->number - 1, e->lo), e->type);
    p.align = l->fn->slots.at[decl->number - 1].align;
    eb_lower_init(l, decl, &p);
    return p;
}

/* Pointers into another address space than the general one (arenas) are cast before they are
 * followed. */
eb_value eb_emit_space(eb_lower *l, eb_value v, eb_type *from, eb_type *to, eb_loc loc) {
    unsigned a = eb_type_space(from), b = to ? eb_type_space(to) : 0;
    if (a == b)
        return v;
    v = eb_emit(l, EB_IR_SPACE, EB_IR_PTR, v, 0, loc);
    eb_ir_at(l->fn, v)->imm = (int64_t)b << 16 | a;
    return v;
}

eb_lvalue eb_lower_place(eb_lower *l, const eb_expr *e) {
    eb_lvalue p;
    switch (e->kind) { /* one case per kind of lvalue */
    case EB_EXPR_DECL:
        return variable(l, e);
    case EB_EXPR_STRING:
        return eb_place_at(eb_emit_symbol(l, eb_symbol_of_string(l, e), 0, e->lo), e->type);
    case EB_EXPR_COMPOUND:
        return compound(l, e);
    case EB_EXPR_DEREF:
        if (e->a->kind == EB_EXPR_ADDRESS && e->a->a->is_lvalue) {
            p = eb_lower_place(l, e->a->a);
            p.type = e->type;
            return p;
        }
        return eb_place_at(eb_lower_value(l, e->a), e->type);
    case EB_EXPR_MEMBER:
        p = e->a->is_lvalue ? eb_lower_place(l, e->a) : eb_lower_record(l, e->a);
        for (uint32_t n = 0; n < e->of.path.length; n++)
            step_into(l, &p, e->of.path.at[n], e->lo);
        p.type = e->type;
        p.is_volatile |= (eb_type_quals(e->type) & EB_VOLATILE) != 0;
        return p;
    case EB_EXPR_INDEX:
        return index_place(l, e);
    default: /* a record that is no lvalue */
        return eb_lower_record(l, e);
    }
}

eb_value eb_place_address(eb_lower *l, const eb_lvalue *place, eb_loc loc) {
    eb_lvalue p = *place;
    close_chain(l, &p, loc);
    return eb_emit_sum(l, p.base, p.offset, loc);
}

/* ---- accesses ---- */

/* Base and offset for an access: a chain becomes its record where it stands alone. */
static eb_ir access(eb_lower *l, eb_lvalue *p, eb_loc loc) {
    eb_ir ir = {0};
    if (p->chain.count && p->offset == 0) {
        ir.extra = record_core(l, CORE_FIELD_BYTE_OFFSET, p->chain.root,
                               eb_chain_text(l, &p->chain), p->chain.offset);
    } else {
        close_chain(l, p, loc);
        ir.imm = p->offset;
    }
    if (p->is_volatile)
        ir.flags |= EB_IR_VOLATILE;
    return ir;
}

static uint32_t known_align(const eb_lvalue *p) {
    uint32_t align = p->align ? p->align : 1;
    while (align > 1 && p->offset % align)
        align /= 2;
    return p->chain.count ? WORD : align;
}

static eb_value load(eb_lower *l, const eb_lvalue *place, const eb_ir *at, uint32_t size,
                     int64_t offset, eb_ir_type type, bool is_signed, eb_loc loc) {
    eb_value v = eb_emit(l, EB_IR_LOAD, type, place->base, 0, loc);
    eb_ir *ir = eb_ir_at(l->fn, v);
    ir->extra = at->extra;
    ir->imm = at->imm + offset;
    ir->flags = (uint8_t)(at->flags | (is_signed ? EB_IR_SIGNED : 0));
    ir->size = (uint8_t)size;
    return v;
}

static void store(eb_lower *l, const eb_lvalue *place, const eb_ir *at, uint32_t size,
                  int64_t offset, eb_value value, eb_loc loc) {
    eb_value v = eb_emit(l, EB_IR_STORE, EB_IR_VOID, place->base, value, loc);
    eb_ir *ir = eb_ir_at(l->fn, v);
    ir->extra = at->extra;
    ir->imm = at->imm + offset;
    ir->flags = at->flags;
    ir->size = (uint8_t)size;
}

static eb_value shifted(eb_lower *l, eb_ir_op op, eb_ir_type type, eb_value v, uint32_t by,
                        eb_loc loc) {
    return by ? eb_emit(l, op, type, v, eb_emit_const(l, type, by, loc), loc) : v;
}

/* A scalar of `size` bytes of which pieces of `align` bytes can be read at once. */
static eb_value load_pieces(eb_lower *l, const eb_lvalue *p, const eb_ir *at, uint32_t size,
                            uint32_t align, eb_ir_type type, eb_loc loc) {
    eb_value all = 0;
    for (uint32_t n = 0; n < size; n += align) {
        eb_value piece = load(l, p, at, align, n, type, false, loc);
        uint32_t by = (l->ir->big ? size - align - n : n) * BYTE;
        piece = shifted(l, EB_IR_SHL, type, piece, by, loc);
        all = all ? eb_emit(l, EB_IR_OR, type, all, piece, loc) : piece;
    }
    return all;
}

static eb_value load_field(eb_lower *l, eb_lvalue *p, eb_loc loc) {
    bool is_signed = !eb_type_is_unsigned(p->type);
    eb_ir_type result = eb_lower_type(p->type);
    uint32_t bits = p->field->bits, size = p->unit;
    eb_ir at = access(l, p, loc);
    if (!size) {
        size = (p->bit + bits + BYTE - 1) / BYTE;
        size = size > 4 ? 8 : 4;
    }
    eb_ir_type type = size > 4 || result == EB_IR_I64 ? EB_IR_I64 : EB_IR_I32;
    uint32_t width = type == EB_IR_I64 ? 64 : 32, low;
    eb_value v;
    if (p->unit) {
        v = load(l, p, &at, size, 0, type, false, loc);
        low = l->ir->big ? size * BYTE - p->bit - bits : p->bit;
    } else { /* byte by byte: those that hold a part of it */
        uint32_t bytes = (p->bit + bits + BYTE - 1) / BYTE;
        v = 0;
        for (uint32_t n = 0; n < bytes; n++) {
            eb_value piece = load(l, p, &at, 1, n, type, false, loc);
            piece =
                shifted(l, EB_IR_SHL, type, piece, (l->ir->big ? bytes - 1 - n : n) * BYTE, loc);
            v = v ? eb_emit(l, EB_IR_OR, type, v, piece, loc) : piece;
        }
        low = l->ir->big ? bytes * BYTE - p->bit - bits : p->bit;
    }
    if (is_signed) {
        v = shifted(l, EB_IR_SHL, type, v, width - low - bits, loc);
        v = shifted(l, EB_IR_SAR, type, v, width - bits, loc);
    } else {
        v = shifted(l, EB_IR_SHR, type, v, low, loc);
        if (bits < width && (!p->unit || low + bits < size * BYTE))
            v = eb_emit(l, EB_IR_AND, type, v,
                        eb_emit_const(l, type, (int64_t)((UINT64_C(1) << bits) - 1), loc), loc);
    }
    if (type == EB_IR_I64 && result == EB_IR_I32)
        v = eb_emit(l, EB_IR_TRUNC, EB_IR_I32, v, 0, loc);
    return v;
}

static void store_bytes_of_field(eb_lower *l, const eb_lvalue *p, const eb_ir *at, eb_value value,
                                 eb_loc loc) {
    uint32_t bits = p->field->bits, bytes = (p->bit + bits + BYTE - 1) / BYTE;
    for (uint32_t n = 0; n < bytes; n++) {
        /* Bits of this byte in memory's order, and where they are in the value. */
        uint32_t first = n ? 0 : p->bit, before = n * BYTE + first - p->bit;
        uint32_t count = BYTE - first < bits - before ? BYTE - first : bits - before;
        uint32_t low = l->ir->big ? BYTE - first - count : first;
        uint32_t from = l->ir->big ? bits - before - count : before;
        int64_t mask = ((1 << count) - 1) << low;
        eb_value part = shifted(l, EB_IR_SHR, EB_IR_I64, value, from, loc);
        part = shifted(l, EB_IR_SHL, EB_IR_I64, part, low, loc);
        part = eb_emit(l, EB_IR_AND, EB_IR_I64, part, eb_emit_const(l, EB_IR_I64, mask, loc), loc);
        eb_value old = load(l, p, at, 1, n, EB_IR_I64, false, loc);
        old = eb_emit(l, EB_IR_AND, EB_IR_I64, old, eb_emit_const(l, EB_IR_I64, ~mask & 0xff, loc),
                      loc);
        store(l, p, at, 1, n, eb_emit(l, EB_IR_OR, EB_IR_I64, old, part, loc), loc);
    }
}

static void store_field(eb_lower *l, eb_lvalue *p, eb_value value, eb_loc loc) {
    uint32_t bits = p->field->bits, size = p->unit;
    eb_ir at = access(l, p, loc);
    bool is_wide = eb_ir_at(l->fn, value)->type != EB_IR_I32;
    if (!size) {
        if (!is_wide)
            value = eb_emit(l, EB_IR_ZEXT, EB_IR_I64, value, 0, loc);
        store_bytes_of_field(l, p, &at, value, loc);
        return;
    }
    if (bits == size * BYTE) {
        store(l, p, &at, size, 0, value, loc);
        return;
    }
    eb_ir_type type = size > 4 ? EB_IR_I64 : EB_IR_I32;
    if (type == EB_IR_I64 && !is_wide)
        value = eb_emit(l, EB_IR_ZEXT, EB_IR_I64, value, 0, loc);
    else if (type == EB_IR_I32 && is_wide)
        value = eb_emit(l, EB_IR_TRUNC, EB_IR_I32, value, 0, loc);
    uint32_t low = l->ir->big ? size * BYTE - p->bit - bits : p->bit;
    uint64_t mask = (UINT64_C(1) << bits) - 1;
    value = eb_emit(l, EB_IR_AND, type, value, eb_emit_const(l, type, (int64_t)mask, loc), loc);
    value = shifted(l, EB_IR_SHL, type, value, low, loc);
    eb_value old = load(l, p, &at, size, 0, type, false, loc);
    old = eb_emit(l, EB_IR_AND, type, old, eb_emit_const(l, type, (int64_t) ~(mask << low), loc),
                  loc);
    store(l, p, &at, size, 0, eb_emit(l, EB_IR_OR, type, old, value, loc), loc);
}

/* The general address space's pointer, where the place is in another one. */
static void follow_space(eb_lower *l, eb_lvalue *p, eb_loc loc) {
    if (eb_type_space(p->type))
        p->base = eb_emit_space(l, p->base, p->type, NULL, loc);
}

eb_value eb_place_load(eb_lower *l, const eb_lvalue *place, eb_loc loc) {
    eb_lvalue p = *place;
    follow_space(l, &p, loc);
    if (p.field)
        return load_field(l, &p, loc);
    uint32_t size = (uint32_t)eb_type_size(p.type), align = known_align(&p);
    eb_ir_type type = eb_lower_type(p.type);
    bool is_signed = size < 4 && !eb_type_is_unsigned(p.type);
    eb_ir at = access(l, &p, loc);
    if (align >= size)
        return load(l, &p, &at, size, 0, type, is_signed, loc);
    eb_value v = load_pieces(l, &p, &at, size, align, type, loc);
    if (is_signed) {
        v = eb_emit(l, EB_IR_SEXT, type, v, 0, loc);
        eb_ir_at(l->fn, v)->size = (uint8_t)size;
    }
    return v;
}

void eb_place_store(eb_lower *l, const eb_lvalue *place, eb_value value, eb_loc loc) {
    eb_lvalue p = *place;
    follow_space(l, &p, loc);
    if (p.field) {
        store_field(l, &p, value, loc);
        return;
    }
    uint32_t size = (uint32_t)eb_type_size(p.type), align = known_align(&p);
    eb_ir_type type = (eb_ir_type)eb_ir_at(l->fn, value)->type;
    eb_ir at = access(l, &p, loc);
    if (align >= size) {
        store(l, &p, &at, size, 0, value, loc);
        return;
    }
    for (uint32_t n = 0; n < size; n += align) {
        uint32_t by = (l->ir->big ? size - align - n : n) * BYTE;
        store(l, &p, &at, align, n, shifted(l, EB_IR_SHR, type, value, by, loc), loc);
    }
}

void eb_place_copy(eb_lower *l, const eb_lvalue *to, const eb_lvalue *from, eb_loc loc) {
    eb_lvalue a = *to, b = *from;
    uint64_t size = eb_type_size(a.type);
    if (!size)
        return;
    uint32_t align = known_align(&a) < known_align(&b) ? known_align(&a) : known_align(&b);
    if (a.chain.count || b.chain.count)
        align = eb_type_align(a.type);
    follow_space(l, &a, loc);
    follow_space(l, &b, loc);
    eb_value target = eb_place_address(l, &a, loc), source = eb_place_address(l, &b, loc);
    eb_value v = eb_emit(l, EB_IR_COPYMEM, EB_IR_VOID, target, source, loc);
    eb_ir *ir = eb_ir_at(l->fn, v);
    ir->imm = (int64_t)size;
    ir->size = (uint8_t)(align > WORD ? WORD : align);
    ir->flags = a.is_volatile || b.is_volatile ? EB_IR_VOLATILE : 0;
}
