/* lower_data.c - initial values of global variables: bytes in the target's order, and words that
 * are addresses of other symbols. */
#include "lower.h"

enum { BYTE = 8, WORD = 8 };

typedef struct data {
    eb_lower *l;
    uint32_t symbol;
    uint8_t *bytes;
    uint64_t size;
} data;

static void put_number(const data *d, uint64_t offset, uint64_t size, uint64_t value) {
    for (uint64_t n = 0; n < size; n++)
        d->bytes[offset + n] = (uint8_t)(value >> (d->l->ir->big ? size - 1 - n : n) * BYTE);
}

static void put_wide(const data *d, const eb_init *init, uint64_t value) {
    bool negative = !eb_type_is_unsigned(init->type) && (int64_t)value < 0;
    uint64_t low = d->l->ir->big ? WORD : 0;
    put_number(d, init->offset + low, WORD, value);
    put_number(d, init->offset + WORD - low, WORD, negative ? UINT64_MAX : 0);
}

static void put_field(const data *d, const eb_init *init, uint64_t value) {
    for (uint32_t n = 0; n < init->bits; n++) {
        uint32_t bit = init->bit + n;
        uint32_t from = d->l->ir->big ? init->bits - 1 - n : n;
        bool negative = !eb_type_is_unsigned(init->type) && (int64_t)value < 0;
        bool set = from < BYTE * WORD ? value >> from & 1 : negative; /* of __int128 */
        uint8_t mask = (uint8_t)(1 << (d->l->ir->big ? BYTE - 1 - bit % BYTE : bit % BYTE));
        uint8_t *at = &d->bytes[init->offset + bit / BYTE];
        *at = (uint8_t)(set ? *at | mask : *at & ~mask);
    }
}

static void put_address(const data *d, const eb_init *init, eb_constant c) {
    eb_lower *l = d->l;
    uint32_t to = c.base->kind == EB_EXPR_STRING ? eb_symbol_of_string(l, c.base)
                                                 : eb_symbol_of(l, c.base->of.decl);
    eb_ir_symbol *symbol = &l->ir->symbols.at[d->symbol];
    *EB_PUSH(&l->ctx->arena, &symbol->words) = (eb_ir_word){
        .offset = init->offset, .symbol = to, .addend = (int64_t)c.value, .size = WORD};
}

static void put_inits(const data *d, const eb_decl *decl, uint64_t base);

static void put(const data *d, const eb_init *init) {
    eb_lower *l = d->l;
    const eb_expr *e = init->expr;
    uint64_t size = eb_type_size(init->type);
    if (init->offset > d->size || (!init->bits && size > d->size - init->offset))
        return;
    if (e->kind == EB_EXPR_STRING && eb_type_is(init->type, EB_TYPE_ARRAY)) {
        memcpy(d->bytes + init->offset, e->of.text.at,
               size < e->of.text.len ? size : e->of.text.len);
        return;
    }
    const eb_expr *inner = e->kind == EB_EXPR_LOAD ? e->a : e;
    if (inner->kind == EB_EXPR_COMPOUND && !eb_type_is_scalar(init->type)) {
        put_inits(d, inner->of.decl, init->offset);
        return;
    }
    if (eb_type_is_floating(init->type)) {
        eb_refuse_type(l, init->type, e->lo, e->hi);
        return;
    }
    eb_constant c = eb_constant_of(e);
    if (c.kind == EB_CONSTANT_NUMBER && init->bits)
        put_field(d, init, c.value);
    else if (c.kind == EB_CONSTANT_NUMBER && size <= WORD)
        put_number(d, init->offset, size, c.value);
    else if (c.kind == EB_CONSTANT_NUMBER && eb_type_is_wide(init->type))
        put_wide(d, init, c.value);
    else if (c.kind == EB_CONSTANT_ADDRESS && size == WORD)
        put_address(d, init, c);
    else
        eb_diag_add(l->ctx, EB_DIAG_INIT_CONSTANT, e->lo, e->hi);
}

static void put_inits(const data *d, const eb_decl *decl, uint64_t base) {
    for (uint32_t n = 0; n < decl->inits.len; n++) {
        eb_init init = decl->inits.at[n];
        init.offset += base;
        put(d, &init);
    }
}

/* Flexible array members make a variable larger than its type. */
static uint64_t whole_size(const eb_decl *decl, uint64_t size) {
    for (uint32_t n = 0; n < decl->inits.len; n++) {
        const eb_init *init = &decl->inits.at[n];
        uint64_t end = init->offset + (init->bits ? 0 : eb_type_size(init->type));
        size = end > size ? end : size;
    }
    return size;
}

void eb_lower_data(eb_lower *l, eb_decl *decl, uint32_t symbol) {
    uint64_t size = whole_size(decl, l->ir->symbols.at[symbol].size);
    enum { MOST = 1 << 28 };
    l->ir->symbols.at[symbol].size = size;
    if (!decl->inits.len)
        return;
    if (size > MOST) {
        eb_diag_add(l->ctx, EB_DIAG_SIZE_LIMIT, decl->lo, decl->hi, (unsigned)MOST);
        return;
    }
    data d = {l, symbol, eb_alloc(&l->ctx->arena, size), size};
    put_inits(&d, decl, 0);
    bool any = l->ir->symbols.at[symbol].words.len != 0;
    for (uint64_t n = 0; n < size; n++)
        any = any || d.bytes[n];
    if (any)
        eb_buf_put(&l->ir->symbols.at[symbol].data, d.bytes, size);
}

/* A place whose bytes are known: *(long *)&(struct insn){...}, as the kernel's tests write
 * instructions. */
bool eb_lower_bits(eb_lower *l, const eb_expr *e, int64_t *value) {
    if (e->kind != EB_EXPR_LOAD || e->a->kind != EB_EXPR_DEREF || !eb_type_is_scalar(e->type))
        return false;
    const eb_expr *at = e->a->a;
    while (at->kind == EB_EXPR_CAST && eb_type_is(at->a->type, EB_TYPE_POINTER))
        at = at->a;
    uint64_t size = eb_type_size(e->type);
    if (at->kind != EB_EXPR_ADDRESS || at->a->kind != EB_EXPR_COMPOUND || size > WORD ||
        eb_type_size(at->a->type) < size)
        return false;
    const eb_decl *decl = at->a->of.decl;
    for (uint32_t n = 0; n < decl->inits.len; n++)
        if (eb_constant_of(decl->inits.at[n].expr).kind != EB_CONSTANT_NUMBER)
            return false;
    uint64_t whole = eb_type_size(decl->type), bits = 0;
    data d = {l, 0, eb_alloc(&l->ctx->arena, whole), whole};
    put_inits(&d, decl, 0);
    for (uint64_t n = 0; n < size; n++)
        bits |= (uint64_t)d.bytes[n] << (l->ir->big ? size - 1 - n : n) * BYTE;
    *value = (int64_t)eb_wrap(bits, e->type);
    return true;
}
