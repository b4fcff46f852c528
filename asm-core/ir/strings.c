/* strings.c - strlen, strcmp, strncmp and memcmp, which BPF has nobody to call for.
 *
 * They stay one instruction until calls are inlined, so that texts which only then turn out to be
 * known are compared here (fold asks eb_fold_text), as clang does. What is left becomes loads: word
 * by word where the number of bytes is known, which it is too where one of two texts is; a loop
 * over the characters otherwise. */
#include "address.h"
#include "cfg.h"
#include "fold.h"
#include "pass.h"

enum { WORD = 8, COMPARE_MOST = 512 };

/* ---- what is known ---- */

/* The bytes from an address to the end of the symbol that it is in, if they never change. */
static eb_str bytes_at(const eb_fn *fn, eb_value address) {
    const eb_str none = {0};
    eb_address at = eb_address_of(fn, address);
    const eb_ir *base = eb_ir_at(fn, at.base);
    if (base->op != EB_IR_SYMBOL)
        return none;
    const eb_ir_symbol *symbol = &fn->unit->symbols.at[base->extra];
    bool known = symbol->kind == EB_IR_VARIABLE && symbol->is_defined && symbol->is_const &&
                 symbol->bind != 2 && !symbol->words.len;
    if (!known || at.offset < 0 || (uint64_t)at.offset >= symbol->data.len)
        return none;
    return (eb_str){(const char *)symbol->data.at + at.offset,
                    symbol->data.len - (size_t)at.offset};
}

/* The text at an address with its NUL; len 0 when it is not known. */
static eb_str text_at(const eb_fn *fn, eb_value address) {
    eb_str bytes = bytes_at(fn, address);
    const char *nul = bytes.len ? memchr(bytes.at, 0, bytes.len) : NULL;
    return (eb_str){bytes.at, nul ? (size_t)(nul - bytes.at) + 1 : 0};
}

/* How many bytes are compared at most; false: nobody knows yet. */
static bool limit_of(const eb_fn *fn, const eb_ir *ir, uint64_t *limit) {
    *limit = ir->op == EB_IR_MEMCMP ? (uint64_t)ir->imm : UINT64_MAX;
    if (ir->c && eb_ir_is_const(fn, ir->c))
        *limit = (uint64_t)eb_ir_at(fn, ir->c)->imm;
    return !ir->c || eb_ir_is_const(fn, ir->c);
}

static bool order(eb_str x, eb_str y, uint64_t limit, int64_t *result) {
    size_t size = x.len < y.len ? x.len : y.len;
    if (limit < size)
        size = (size_t)limit;
    int found = memcmp(x.at, y.at, size);
    *result = found < 0 ? -1 : found > 0;
    return true;
}

bool eb_fold_text(const eb_fn *fn, const eb_ir *ir, int64_t *result) {
    uint64_t limit;
    eb_str x = text_at(fn, ir->a);
    if (ir->op == EB_IR_STRLEN) {
        *result = (int64_t)x.len - 1;
        return x.len > 0;
    }
    *result = 0;
    if (!limit_of(fn, ir, &limit))
        return ir->a == ir->b;
    if (!limit || ir->a == ir->b)
        return true;
    if (ir->op == EB_IR_STRCMP) {
        eb_str y = text_at(fn, ir->b);
        return x.len && y.len && order(x, y, limit, result);
    }
    x = bytes_at(fn, ir->a);
    eb_str y = bytes_at(fn, ir->b);
    return limit <= x.len && limit <= y.len && order(x, y, limit, result);
}

/* ---- making blocks ---- */

typedef struct maker {
    eb_fn *fn;
    eb_loc loc;
    uint32_t block, rest; /* where instructions go now; what follows the whole */
    eb_value result;      /* the phi in `rest` */
} maker;

static eb_value put(maker *m, eb_ir_op op, eb_ir_type type, eb_value a, eb_value b) {
    eb_value v = eb_ir_new(m->fn, op, type, a, b, m->loc);
    eb_ir_append(m->fn, m->block, v);
    return v;
}

static eb_value put_const(maker *m, eb_ir_type type, int64_t imm) {
    eb_value v = put(m, EB_IR_CONST, type, 0, 0);
    eb_ir_at(m->fn, v)->imm = imm;
    return v;
}

static eb_value load(maker *m, eb_value from, int64_t offset, unsigned size) {
    eb_value v = put(m, EB_IR_LOAD, size == WORD ? EB_IR_I64 : EB_IR_I32, from, 0);
    eb_ir_at(m->fn, v)->imm = offset;
    eb_ir_at(m->fn, v)->size = (uint8_t)size;
    return v;
}

/* From the current block to `to`; the phi there gets `value`. */
static void edge(maker *m, uint32_t to, eb_value value) {
    eb_edge_add(m->fn, m->block, to);
    eb_value phi = m->fn->blocks.at[to].first;
    if (phi && eb_ir_at(m->fn, phi)->op == EB_IR_PHI)
        *eb_phi_at(m->fn, phi, m->fn->blocks.at[to].preds.len - 1) = value;
}

static void jump(maker *m, uint32_t to, eb_value value) {
    put(m, EB_IR_JUMP, EB_IR_VOID, 0, 0);
    edge(m, to, value);
}

/* To `to` with `value` if a cond b, else on in a new block. */
static void leave_if(maker *m, eb_cond cond, eb_value a, eb_value b, uint32_t to, eb_value value) {
    uint32_t next = eb_block_new(m->fn);
    eb_value branch = put(m, EB_IR_BRANCH, EB_IR_VOID, a, b);
    eb_ir_at(m->fn, branch)->cond = (uint8_t)cond;
    edge(m, to, value);
    edge(m, next, 0);
    m->block = next;
}

static eb_value phi_in(maker *m, uint32_t block, eb_ir_type type) {
    eb_value phi = eb_ir_new(m->fn, EB_IR_PHI, type, 0, 0, m->loc);
    uint32_t list = eb_list_new(m->fn, NULL, 0);
    eb_ir_at(m->fn, phi)->list = list;
    if (m->fn->blocks.at[block].first)
        eb_ir_before(m->fn, m->fn->blocks.at[block].first, phi);
    else
        eb_ir_append(m->fn, block, phi);
    return phi;
}

/* ---- comparing a known number of bytes ---- */

/* -1 or 1 of two words that differ, by their first byte that does. */
static void put_order(maker *m, eb_value x, eb_value y, unsigned size) {
    eb_ir_type type = size == WORD ? EB_IR_I64 : EB_IR_I32;
    if (size > 1 && !m->fn->unit->big) {
        x = put(m, EB_IR_SWAP, type, x, 0);
        eb_ir_at(m->fn, x)->size = (uint8_t)size;
        y = put(m, EB_IR_SWAP, type, y, 0);
        eb_ir_at(m->fn, y)->size = (uint8_t)size;
    }
    leave_if(m, EB_COND_LT, x, y, m->rest, put_const(m, EB_IR_I32, -1));
    jump(m, m->rest, put_const(m, EB_IR_I32, 1));
}

static void compare_bytes(maker *m, eb_value a, eb_value b, uint64_t size, unsigned align) {
    uint64_t at = 0;
    eb_value zero = put_const(m, EB_IR_I32, 0);
    while (at < size) {
        unsigned piece = align;
        while (piece > size - at)
            piece /= 2;
        eb_value x = load(m, a, (int64_t)at, piece), y = load(m, b, (int64_t)at, piece);
        uint32_t differ = eb_block_new(m->fn);
        leave_if(m, EB_COND_NE, x, y, differ, 0);
        uint32_t next = m->block;
        m->block = differ;
        put_order(m, x, y, piece);
        m->block = next;
        at += piece;
    }
    jump(m, m->rest, zero);
}

/* ---- loops over characters ---- */

typedef struct scan {
    uint32_t top;
    eb_value i, next;
} scan;

/* for (i = 0;; i++): the current block is the start of the body. */
static scan begin_scan(maker *m) {
    scan s = {.top = eb_block_new(m->fn)};
    eb_value zero = put_const(m, EB_IR_I64, 0), one = put_const(m, EB_IR_I64, 1);
    s.i = phi_in(m, s.top, EB_IR_I64);
    jump(m, s.top, zero);
    m->block = s.top;
    s.next = put(m, EB_IR_ADD, EB_IR_I64, s.i, one);
    return s;
}

static eb_value character(maker *m, eb_value text, const scan *s) {
    return load(m, put(m, EB_IR_ADD, EB_IR_PTR, text, s->i), 0, 1);
}

static void measure(maker *m, eb_value text) {
    eb_value zero = put_const(m, EB_IR_I32, 0);
    scan s = begin_scan(m);
    leave_if(m, EB_COND_EQ, character(m, text, &s), zero, m->rest, s.i);
    jump(m, s.top, s.next);
}

/* The difference of the first characters that differ, or 0 at the end or the limit. */
static void compare_texts(maker *m, eb_value a, eb_value b, eb_value limit) {
    eb_value zero = put_const(m, EB_IR_I32, 0);
    scan s = begin_scan(m);
    if (limit)
        leave_if(m, EB_COND_GE, s.i, limit, m->rest, zero);
    eb_value x = character(m, a, &s), y = character(m, b, &s);
    uint32_t differ = eb_block_new(m->fn);
    leave_if(m, EB_COND_NE, x, y, differ, 0);
    leave_if(m, EB_COND_EQ, x, zero, m->rest, zero);
    jump(m, s.top, s.next);
    m->block = differ;
    jump(m, m->rest, put(m, EB_IR_SUB, EB_IR_I32, x, y));
}

/* ---- one instruction ---- */

/* Whether so many bytes decide, and in which pieces they may be read. */
static bool is_counted(const eb_fn *fn, const eb_ir *ir, uint64_t *size, unsigned *align) {
    *align = ir->op == EB_IR_MEMCMP && ir->size ? ir->size : 1;
    if (!limit_of(fn, ir, size))
        return false;
    if (ir->op == EB_IR_MEMCMP)
        return true;
    eb_str x = text_at(fn, ir->a), y = text_at(fn, ir->b);
    uint64_t length = x.len ? x.len : y.len;
    *size = length && length < *size ? length : *size;
    return *size <= COMPARE_MOST;
}

static void expand(eb_fn *fn, eb_value value) {
    eb_ir ir = *eb_ir_at(fn, value);
    uint64_t size = 0;
    unsigned align;
    maker m = {.fn = fn, .loc = ir.loc, .block = ir.block};
    bool counted = ir.op != EB_IR_STRLEN && is_counted(fn, &ir, &size, &align);
    if (ir.op == EB_IR_MEMCMP && (!counted || size > COMPARE_MOST)) {
        eb_loc hi = ir.loc + (ir.loc != 0);
        if (counted)
            eb_diag_add(fn->unit->ctx, EB_DIAG_COMPARE_SIZE, ir.loc, hi, COMPARE_MOST);
        else
            eb_diag_add(fn->unit->ctx, EB_DIAG_MEMORY_SIZE, ir.loc, hi);
        size = 0;
    }
    m.rest = eb_block_split(fn, value);
    m.result = phi_in(&m, m.rest, (eb_ir_type)ir.type);
    if (ir.op == EB_IR_STRLEN)
        measure(&m, ir.a);
    else if (counted || ir.op == EB_IR_MEMCMP)
        compare_bytes(&m, ir.a, ir.b, size, align);
    else
        compare_texts(&m, ir.a, ir.b, ir.c);
    eb_ir_become(fn, value, m.result);
}

bool eb_pass_strings(eb_fn *fn) {
    bool changed = false;
    const uint32_t *uses = eb_uses_count(fn);
    for (eb_value v = 1, count = fn->values.len; v < count; v++) {
        const eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block || ir->op < EB_IR_STRLEN || ir->op > EB_IR_MEMCMP)
            continue;
        if (uses[v])
            expand(fn, v);
        else
            eb_ir_remove(fn, v);
        changed = true;
    }
    return eb_ir_settle(fn) || changed;
}
