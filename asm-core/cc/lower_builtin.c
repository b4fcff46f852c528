/* lower_builtin.c - builtin functions: memory and strings, bits, atomics, CO-RE, overflow. What is
 * no instruction of BPF is computed by several; nothing becomes a call of a library. */
#include "lower.h"

#include "builtin.h"

enum { BYTE = 8, WORD = 8 };

typedef enum core_kind {
#define CORE(id, number, class, name) CORE_##id = number,
#include "core.def"
} core_kind;

typedef struct call {
    eb_lower *l;
    const eb_expr *e;
    eb_expr **args;
    eb_loc loc;
} call;

static eb_value arg(const call *c, uint32_t n) {
    return eb_lower_value(c->l, c->args[n]);
}

static eb_value number(const call *c, eb_ir_type type, int64_t imm) {
    return eb_emit_const(c->l, type, imm, c->loc);
}

static eb_value op(const call *c, eb_ir_op what, eb_value a, eb_value b) {
    eb_ir_type type = (eb_ir_type)eb_ir_at(c->l->fn, a)->type;
    return eb_emit(c->l, what, type, a, b, c->loc);
}

static eb_value op_imm(const call *c, eb_ir_op what, eb_value a, int64_t imm) {
    eb_ir_type type = (eb_ir_type)eb_ir_at(c->l->fn, a)->type;
    return eb_emit(c->l, what, type, a, eb_emit_const(c->l, type, imm, c->loc), c->loc);
}

static unsigned width_of(const call *c, eb_value v) {
    return eb_ir_at(c->l->fn, v)->type == EB_IR_I32 ? 32 : 64;
}

/* The constant that an argument is, after a diagnostic if it is none. */
static int64_t constant(const call *c, uint32_t n) {
    eb_constant k = eb_lower_constant(c->args[n]);
    if (!k.kind)
        eb_diag_add(c->l->ctx, EB_DIAG_NOT_INTEGER_CONSTANT, c->args[n]->lo, c->args[n]->hi);
    return (int64_t)k.value;
}

/* ---- bits ---- */

static eb_value swapped(const call *c, unsigned size) {
    eb_value a = arg(c, 0), v = op(c, EB_IR_SWAP, a, 0);
    eb_ir_at(c->l->fn, v)->size = (uint8_t)size;
    return v;
}

/* Ones counted in pairs, nibbles, bytes, and the bytes summed by a multiplication. */
static eb_value ones(const call *c, eb_value v) {
    v = op(c, EB_IR_SUB, v, op_imm(c, EB_IR_AND, op_imm(c, EB_IR_SHR, v, 1), 0x5555555555555555));
    eb_value low = op_imm(c, EB_IR_AND, v, 0x3333333333333333);
    v = op(c, EB_IR_ADD, low, op_imm(c, EB_IR_AND, op_imm(c, EB_IR_SHR, v, 2), 0x3333333333333333));
    v = op_imm(c, EB_IR_AND, op(c, EB_IR_ADD, v, op_imm(c, EB_IR_SHR, v, 4)), 0x0f0f0f0f0f0f0f0f);
    v = op_imm(c, EB_IR_MUL, v, 0x0101010101010101);
    return op_imm(c, EB_IR_SHR, v, width_of(c, v) - BYTE);
}

static eb_value as_int(const call *c, eb_value v) {
    return width_of(c, v) == 64 ? eb_emit(c->l, EB_IR_TRUNC, EB_IR_I32, v, 0, c->loc) : v;
}

static eb_value trailing_zeroes(const call *c, eb_value v) {
    eb_value lowest = op(c, EB_IR_AND, v, op(c, EB_IR_NEG, v, 0));
    return ones(c, op_imm(c, EB_IR_SUB, lowest, 1));
}

static eb_value leading_zeroes(const call *c, eb_value v) {
    for (unsigned by = 1; by < width_of(c, v); by *= 2)
        v = op(c, EB_IR_OR, v, op_imm(c, EB_IR_SHR, v, by));
    return ones(c, op_imm(c, EB_IR_XOR, v, -1));
}

/* The number of the lowest one, from 1, or 0 when there is none. */
static eb_value first_set(const call *c, eb_value v) {
    eb_lower *l = c->l;
    uint32_t some = eb_block_new(l->fn), join = eb_block_new(l->fn);
    eb_value none = number(c, EB_IR_I32, 0);
    eb_ir_type type = (eb_ir_type)eb_ir_at(l->fn, v)->type;
    eb_emit_branch(l, EB_COND_EQ, v, number(c, type, 0), join, some, c->loc);
    eb_emit_in(l, some);
    eb_value at = op_imm(c, EB_IR_ADD, as_int(c, trailing_zeroes(c, v)), 1);
    eb_emit_jump(l, join, c->loc);
    eb_emit_in(l, join);
    return eb_emit_phi(l, EB_IR_I32, none, at, c->loc);
}

static eb_value absolute(const call *c) {
    eb_value v = arg(c, 0), sign = op_imm(c, EB_IR_SAR, v, width_of(c, v) - 1);
    return op(c, EB_IR_SUB, op(c, EB_IR_XOR, v, sign), sign);
}

/* Swap neighbours of 1, 2 and 4 bits, then the bytes. */
static eb_value reversed(const call *c, unsigned size) {
    static const int64_t masks[] = {0x5555555555555555, 0x3333333333333333, 0x0f0f0f0f0f0f0f0f};
    eb_value v = arg(c, 0);
    int64_t all = size == 1 ? 0xff : size == 2 ? 0xffff : -1;
    for (unsigned n = 0; n < 3; n++) {
        eb_value high = op_imm(c, EB_IR_AND, op_imm(c, EB_IR_SHR, v, 1 << n), masks[n] & all);
        eb_value low = op_imm(c, EB_IR_SHL, op_imm(c, EB_IR_AND, v, masks[n] & all), 1 << n);
        v = op(c, EB_IR_OR, high, low);
    }
    if (size == 1)
        return v;
    v = op(c, EB_IR_SWAP, v, 0);
    eb_ir_at(c->l->fn, v)->size = (uint8_t)size;
    return v;
}

static eb_value rotated(const call *c, unsigned bits, bool left) {
    eb_value v = arg(c, 0), by = op_imm(c, EB_IR_AND, arg(c, 1), bits - 1);
    eb_value back = op_imm(c, EB_IR_AND, op(c, EB_IR_NEG, by, 0), bits - 1);
    eb_value up = op(c, EB_IR_SHL, v, left ? by : back);
    eb_value down = op(c, EB_IR_SHR, v, left ? back : by);
    v = op(c, EB_IR_OR, up, down);
    return bits < 32 ? op_imm(c, EB_IR_AND, v, (1 << bits) - 1) : v;
}

/* The bits below the highest that are the same as it. */
static eb_value sign_bits(const call *c) {
    eb_value v = arg(c, 0), sign = op_imm(c, EB_IR_SAR, v, width_of(c, v) - 1);
    return op_imm(c, EB_IR_SUB, as_int(c, leading_zeroes(c, op(c, EB_IR_XOR, v, sign))), 1);
}

/* clzg, ctzg, popcountg: of the argument's own size; a second argument is what they are of 0. */
static eb_value generic_count(const call *c) {
    eb_lower *l = c->l;
    eb_value v = arg(c, 0);
    unsigned bits = (unsigned)eb_type_size(c->args[0]->type) * BYTE, held = width_of(c, v);
    if (c->e->builtin == EB_BUILTIN_POPCOUNTG)
        return as_int(c, ones(c, v));
    uint32_t some = eb_block_new(l->fn), join = eb_block_new(l->fn);
    eb_value none = 0;
    if (c->e->of.args.count > 1) {
        none = arg(c, 1);
        eb_value zero = number(c, (eb_ir_type)eb_ir_at(l->fn, v)->type, 0);
        eb_emit_branch(l, EB_COND_EQ, v, zero, join, some, c->loc);
        eb_emit_in(l, some);
    }
    eb_value at = c->e->builtin == EB_BUILTIN_CTZG
                      ? as_int(c, trailing_zeroes(c, v))
                      : op_imm(c, EB_IR_SUB, as_int(c, leading_zeroes(c, v)), held - bits);
    if (!none)
        return at;
    eb_emit_jump(l, join, c->loc);
    eb_emit_in(l, join);
    return eb_emit_phi(l, EB_IR_I32, none, at, c->loc);
}

/* (x + (to - 1)) & ~(to - 1) and its like. */
static eb_value align_to(const call *c) {
    eb_value v = arg(c, 0), to = arg(c, 1);
    eb_ir_type type = (eb_ir_type)eb_ir_at(c->l->fn, v)->type;
    if (type == EB_IR_I32)
        to = eb_emit(c->l, EB_IR_TRUNC, EB_IR_I32, to, 0, c->loc);
    eb_value mask = op_imm(c, EB_IR_SUB, to, 1);
    if (c->e->builtin == EB_BUILTIN_IS_ALIGNED) {
        eb_value rest =
            eb_emit(c->l, EB_IR_AND, type == EB_IR_I32 ? EB_IR_I32 : EB_IR_I64, v, mask, c->loc);
        return eb_emit_cmp(c->l, EB_COND_EQ, rest,
                           number(c, type == EB_IR_I32 ? EB_IR_I32 : EB_IR_I64, 0), c->loc);
    }
    if (c->e->builtin == EB_BUILTIN_ALIGN_UP)
        v = eb_emit(c->l, EB_IR_ADD, type, v, mask, c->loc);
    return eb_emit(c->l, EB_IR_AND, type, v, op_imm(c, EB_IR_XOR, mask, -1), c->loc);
}

/* ---- memory ---- */

static uint32_t pointer_align(const eb_lower *l, const eb_expr *e) {
    while (e->kind == EB_EXPR_CAST && eb_type_is(e->a->type, EB_TYPE_POINTER))
        e = e->a;
    if ((e->kind == EB_EXPR_ADDRESS || e->kind == EB_EXPR_DECAY) && e->a->kind == EB_EXPR_DECL &&
        !e->a->of.decl->is_global && e->a->of.decl->number)
        return l->fn->slots.at[e->a->of.decl->number - 1].align;
    eb_type *to = e->kind == EB_EXPR_ADDRESS || e->kind == EB_EXPR_DECAY
                      ? e->a->type
                      : eb_type_plain(e->type)->base;
    if (!to || eb_type_is(to, EB_TYPE_VOID) || eb_type_is(to, EB_TYPE_FUNCTION) ||
        !eb_type_is_complete(to))
        return 1;
    return eb_type_align(to);
}

/* memcpy, memmove, memset: an instruction of the IR; the size is a value until it is known. */
static eb_value memory(const call *c, eb_ir_op what) {
    eb_lower *l = c->l;
    uint32_t align = pointer_align(l, c->args[0]);
    if (what != EB_IR_SETMEM && pointer_align(l, c->args[1]) < align)
        align = pointer_align(l, c->args[1]);
    eb_value to = arg(c, 0), from = arg(c, 1);
    eb_constant size = eb_lower_constant(c->args[2]);
    eb_value dynamic = size.kind ? 0 : arg(c, 2);
    eb_value v = eb_emit(l, what, EB_IR_VOID, to, from, c->loc);
    eb_ir *ir = eb_ir_at(l->fn, v);
    ir->imm = (int64_t)size.value;
    ir->c = dynamic;
    ir->size = (uint8_t)(align > WORD ? WORD : align);
    return to;
}

static void move_bytes(const call *c, eb_ir_op what, eb_value to, eb_value from, int64_t size) {
    eb_value v = eb_emit(c->l, what, EB_IR_VOID, to, from, c->loc);
    eb_ir_at(c->l->fn, v)->imm = size;
    eb_ir_at(c->l->fn, v)->size = 1;
}

static eb_value load(const call *c, eb_value at, int64_t offset, uint32_t size) {
    eb_lower *l = c->l;
    eb_value v = eb_emit(l, EB_IR_LOAD, size == WORD ? EB_IR_I64 : EB_IR_I32, at, 0, c->loc);
    eb_ir_at(l->fn, v)->size = (uint8_t)size;
    eb_ir_at(l->fn, v)->imm = offset;
    return v;
}

/* The lower alignment of what both arguments point to. */
static uint8_t shared_align(const call *c) {
    uint32_t align = pointer_align(c->l, c->args[0]), other = pointer_align(c->l, c->args[1]);
    align = align < other ? align : other;
    return (uint8_t)(align > WORD ? WORD : align);
}

static eb_value compare_memory(const call *c) {
    eb_constant size = eb_lower_constant(c->args[2]);
    eb_value a = arg(c, 0), b = arg(c, 1), dynamic = size.kind ? 0 : arg(c, 2);
    eb_value v = eb_emit(c->l, EB_IR_MEMCMP, EB_IR_I32, a, b, c->loc);
    eb_ir *ir = eb_ir_at(c->l->fn, v);
    ir->imm = (int64_t)size.value;
    ir->c = dynamic;
    ir->size = shared_align(c);
    return v;
}

/* for (i = 0;; i++), i being kept in a slot. */
typedef struct scan {
    uint32_t slot, top, body, done;
    eb_value i;
} scan;

static scan begin_scan(const call *c) {
    eb_lower *l = c->l;
    scan s = {.slot = eb_slot_new(l->fn, WORD, WORD, EB_STR(""), c->loc),
              .top = eb_block_new(l->fn),
              .body = eb_block_new(l->fn),
              .done = eb_block_new(l->fn)};
    eb_value store = eb_emit(l, EB_IR_STORE, EB_IR_VOID, eb_emit_slot(l, s.slot, c->loc),
                             number(c, EB_IR_I64, 0), c->loc);
    eb_ir_at(l->fn, store)->size = WORD;
    eb_emit_jump(l, s.top, c->loc);
    eb_emit_in(l, s.top);
    s.i = load(c, eb_emit_slot(l, s.slot, c->loc), 0, WORD);
    return s;
}

static void end_scan(const call *c, const scan *s) {
    eb_lower *l = c->l;
    eb_value store = eb_emit(l, EB_IR_STORE, EB_IR_VOID, eb_emit_slot(l, s->slot, c->loc),
                             op_imm(c, EB_IR_ADD, s->i, 1), c->loc);
    eb_ir_at(l->fn, store)->size = WORD;
    eb_emit_jump(l, s->top, c->loc);
}

static eb_value character(const call *c, eb_value text, eb_value i) {
    return load(c, eb_emit(c->l, EB_IR_ADD, EB_IR_PTR, text, i, c->loc), 0, 1);
}

static const eb_expr *literal(const eb_expr *e) {
    while (e->kind == EB_EXPR_CAST && eb_type_is(e->a->type, EB_TYPE_POINTER))
        e = e->a;
    return e->kind == EB_EXPR_DECAY && e->a->kind == EB_EXPR_STRING ? e->a : NULL;
}

static eb_value string_length(const call *c) {
    const eb_expr *known = literal(c->args[0]);
    if (known) {
        const char *nul = memchr(known->of.text.at, 0, known->of.text.len);
        size_t length = nul ? (size_t)(nul - known->of.text.at) : known->of.text.len;
        return number(c, EB_IR_I64, (int64_t)length);
    }
    return eb_emit(c->l, EB_IR_STRLEN, EB_IR_I64, arg(c, 0), 0, c->loc);
}

static eb_value compare_strings(const call *c, bool counted) {
    eb_value v = eb_emit(c->l, EB_IR_STRCMP, EB_IR_I32, arg(c, 0), arg(c, 1), c->loc);
    eb_value most = counted ? arg(c, 2) : 0;
    eb_ir_at(c->l->fn, v)->c = most;
    return v;
}

/* strchr, strrchr, memchr: the place of a character, the terminating one included, or NULL. What is
 * found so far is kept in a slot. */
static eb_value find_character(const call *c, bool counted, bool last) {
    eb_lower *l = c->l;
    uint32_t slot = eb_slot_new(l->fn, WORD, WORD, EB_STR(""), c->loc);
    eb_value text = arg(c, 0), wanted = op_imm(c, EB_IR_AND, arg(c, 1), 0xff);
    eb_value most = counted ? arg(c, 2) : 0;
    eb_value none = eb_emit(l, EB_IR_STORE, EB_IR_VOID, eb_emit_slot(l, slot, c->loc),
                            number(c, EB_IR_I64, 0), c->loc);
    eb_ir_at(l->fn, none)->size = WORD;
    scan s = begin_scan(c);
    if (counted) {
        uint32_t go = eb_block_new(l->fn);
        eb_emit_branch(l, EB_COND_GE, s.i, most, s.done, go, c->loc);
        eb_emit_in(l, go);
    }
    eb_value at = eb_emit(l, EB_IR_ADD, EB_IR_PTR, text, s.i, c->loc), byte = load(c, at, 0, 1);
    uint32_t found = eb_block_new(l->fn), other = eb_block_new(l->fn);
    eb_emit_branch(l, EB_COND_EQ, byte, wanted, found, other, c->loc);
    eb_emit_in(l, found);
    eb_value store = eb_emit(l, EB_IR_STORE, EB_IR_VOID, eb_emit_slot(l, slot, c->loc), at, c->loc);
    eb_ir_at(l->fn, store)->size = WORD;
    eb_emit_jump(l, last ? other : s.done, c->loc);
    eb_emit_in(l, other);
    if (counted)
        eb_emit_jump(l, s.body, c->loc);
    else
        eb_emit_branch(l, EB_COND_EQ, byte, number(c, EB_IR_I32, 0), s.done, s.body, c->loc);
    eb_emit_in(l, s.body);
    end_scan(c, &s);
    eb_emit_in(l, s.done);
    eb_value result = eb_emit(l, EB_IR_LOAD, EB_IR_PTR, eb_emit_slot(l, slot, c->loc), 0, c->loc);
    eb_ir_at(l->fn, result)->size = WORD;
    return result;
}

static eb_value bounded_length(const call *c) {
    eb_lower *l = c->l;
    eb_value text = arg(c, 0), most = arg(c, 1);
    scan s = begin_scan(c);
    uint32_t go = eb_block_new(l->fn);
    eb_emit_branch(l, EB_COND_GE, s.i, most, s.done, go, c->loc);
    eb_emit_in(l, go);
    eb_value byte = character(c, text, s.i);
    eb_emit_branch(l, EB_COND_EQ, byte, number(c, EB_IR_I32, 0), s.done, s.body, c->loc);
    eb_emit_in(l, s.body);
    end_scan(c, &s);
    eb_emit_in(l, s.done);
    return s.i;
}

static eb_value not_expanded(const call *c, const char *name) {
    eb_str text = eb_str_from(name);
    eb_diag_add(c->l->ctx, EB_DIAG_NOT_EXPANDED, c->e->lo, c->e->hi, (int)text.len, text.at);
    return number(c, eb_lower_type(c->e->type), 0);
}

static size_t literal_length(const eb_expr *e) {
    const char *nul = memchr(e->of.text.at, 0, e->of.text.len);
    return nul ? (size_t)(nul - e->of.text.at) : e->of.text.len;
}

/* strcpy, stpcpy and strcat of a literal: its bytes with the NUL. */
static eb_value copy_string(const call *c) {
    const eb_expr *known = literal(c->args[1]);
    if (!known)
        return not_expanded(c, "strcpy");
    int64_t length = (int64_t)literal_length(known);
    eb_value to = arg(c, 0), end = to;
    if (c->e->builtin == EB_BUILTIN_STRCAT) {
        call behind = {c->l, c->e, c->args, c->loc};
        end = eb_emit(c->l, EB_IR_ADD, EB_IR_PTR, to, string_length(&behind), c->loc);
    }
    move_bytes(c, EB_IR_COPYMEM, end, arg(c, 1), length + 1);
    return c->e->builtin == EB_BUILTIN_STPCPY ? eb_emit_sum(c->l, to, length, c->loc) : to;
}

/* strncpy of a literal: the rest is 0. */
static eb_value copy_counted(const call *c) {
    const eb_expr *known = literal(c->args[1]);
    eb_constant size = eb_lower_constant(c->args[2]);
    if (!known || !size.kind)
        return not_expanded(c, "strncpy");
    int64_t length = (int64_t)literal_length(known), most = (int64_t)size.value;
    int64_t bytes = length < most ? length : most;
    eb_value to = arg(c, 0);
    move_bytes(c, EB_IR_COPYMEM, to, arg(c, 1), bytes);
    if (bytes < most)
        move_bytes(c, EB_IR_SETMEM, eb_emit_sum(c->l, to, bytes, c->loc), number(c, EB_IR_I32, 0),
                   most - bytes);
    return to;
}

static eb_value find_string(const call *c) {
    const eb_expr *in = literal(c->args[0]), *wanted = literal(c->args[1]);
    if (!in || !wanted)
        return not_expanded(c, "strstr");
    size_t length = literal_length(in), size = literal_length(wanted);
    for (size_t at = 0; at + size <= length; at++)
        if (memcmp(in->of.text.at + at, wanted->of.text.at, size) == 0)
            return eb_emit_sum(c->l, arg(c, 0), (int64_t)at, c->loc);
    return number(c, EB_IR_PTR, 0);
}

static eb_value zero_memory(const call *c) {
    eb_constant size = eb_lower_constant(c->args[1]);
    eb_value to = arg(c, 0), dynamic = size.kind ? 0 : arg(c, 1);
    move_bytes(c, EB_IR_SETMEM, to, number(c, EB_IR_I32, 0), (int64_t)size.value);
    eb_ir_at(c->l->fn, c->l->fn->blocks.at[c->l->block].last)->c = dynamic;
    return 0;
}

/* The address behind what was copied. */
static eb_value copy_and_pass(const call *c) {
    eb_constant size = eb_lower_constant(c->args[2]);
    eb_value to = memory(c, EB_IR_COPYMEM);
    if (size.kind)
        return eb_emit_sum(c->l, to, (int64_t)size.value, c->loc);
    return eb_emit(c->l, EB_IR_ADD, EB_IR_PTR, to, arg(c, 2), c->loc);
}

/* The whole variable that a pointer goes into, and how far; NULL when that is not known. */
static const eb_expr *object_of(const eb_expr *e, int64_t *offset) {
    if (e->kind == EB_EXPR_CAST && eb_type_is(e->a->type, EB_TYPE_POINTER))
        return object_of(e->a, offset);
    if (e->kind == EB_EXPR_BINARY && eb_type_is(e->a->type, EB_TYPE_POINTER)) {
        eb_constant k = eb_lower_constant(e->b);
        int64_t step = (int64_t)eb_type_size(eb_type_plain(e->a->type)->base);
        if (k.kind != EB_CONSTANT_NUMBER || (int64_t)k.value > INT32_MAX ||
            (int64_t)k.value < INT32_MIN)
            return NULL;
        *offset += (e->op == EB_TOK_MINUS ? -1 : 1) * (int64_t)k.value * step;
        return object_of(e->a, offset);
    }
    bool direct = (e->kind == EB_EXPR_DECAY || e->kind == EB_EXPR_ADDRESS) &&
                  (e->a->kind == EB_EXPR_DECL || e->a->kind == EB_EXPR_STRING);
    bool sized =
        direct && eb_type_is_complete(e->a->type) && !eb_type_is(e->a->type, EB_TYPE_FUNCTION);
    return sized ? e->a : NULL;
}

/* Bytes from a pointer to the end of the variable that it is known to point into. */
static eb_value object_size(const call *c) {
    int64_t kind = constant(c, 1), offset = 0;
    const eb_expr *of = object_of(c->args[0], &offset);
    if (!of)
        return number(c, EB_IR_I64, kind & 2 ? 0 : -1);
    int64_t size = (int64_t)eb_type_size(of->type);
    return number(c, EB_IR_I64, offset >= 0 && offset <= size ? size - offset : 0);
}

/* ---- atomics ---- */

static eb_type *pointed(const call *c) {
    return eb_type_plain(c->args[0]->type)->base;
}

static bool is_scalar_place(const call *c) {
    if (eb_type_is_scalar(pointed(c)))
        return true;
    eb_diag_add(c->l->ctx, EB_DIAG_ATOMIC_SIZE, c->e->lo, c->e->hi,
                eb_type_string(c->l->u, pointed(c)));
    return false;
}

/* The value where argument `n` points, of the type that the operation is on. */
static eb_value value_at(const call *c, uint32_t n) {
    eb_lvalue p = eb_place_at(arg(c, n), pointed(c));
    return eb_place_load(c->l, &p, c->loc);
}

static void put_value_at(const call *c, uint32_t n, eb_value v) {
    eb_lvalue p = eb_place_at(arg(c, n), pointed(c));
    eb_place_store(c->l, &p, v, c->loc);
}

static eb_value atomic(const call *c, eb_atomic what, eb_value at, eb_value b, eb_value expected) {
    eb_lower *l = c->l;
    uint64_t size = eb_type_size(pointed(c));
    eb_ir_type type = eb_lower_type(pointed(c));
    if (size != 4 && size != 8)
        eb_diag_add(l->ctx, EB_DIAG_ATOMIC_SIZE, c->e->lo, c->e->hi,
                    eb_type_string(l->u, pointed(c)));
    eb_value v = eb_emit(l, EB_IR_ATOMIC, type, at, b, c->loc);
    eb_ir *ir = eb_ir_at(l->fn, v);
    ir->cond = (uint8_t)what;
    ir->c = expected;
    ir->size = (uint8_t)size;
    return v;
}

static eb_value pointer(const call *c) {
    return eb_emit_space(c->l, arg(c, 0), pointed(c), NULL, c->loc);
}

/* Fetch and add and the like; `after` wants the new value. */
static eb_value modify(const call *c, eb_atomic what, bool subtract, bool after) {
    static const eb_ir_op ops[] = {EB_IR_ADD, EB_IR_OR, EB_IR_AND, EB_IR_XOR};
    if (!is_scalar_place(c))
        return 0;
    eb_value at = pointer(c), b = arg(c, 1);
    if (subtract)
        b = op(c, EB_IR_NEG, b, 0);
    eb_value old = atomic(c, what, at, b, 0);
    return after ? op(c, ops[what], old, b) : old;
}

static eb_value compare_swap(const call *c, bool truth) {
    eb_value at = pointer(c), expected = arg(c, 1), desired = arg(c, 2);
    eb_value old = atomic(c, EB_ATOMIC_CAS, at, desired, expected);
    return truth ? eb_emit_cmp(c->l, EB_COND_EQ, old, expected, c->loc) : old;
}

/* __atomic_compare_exchange_n(at, &expected, desired, ...): on failure, expected becomes what is
 * there. */
static eb_value compare_exchange(const call *c) {
    eb_lower *l = c->l;
    if (!is_scalar_place(c))
        return number(c, EB_IR_I32, 0);
    eb_value at = pointer(c), place = arg(c, 1);
    eb_value desired = c->e->builtin == EB_BUILTIN_ATOMIC_CAS_OF ? value_at(c, 2) : arg(c, 2);
    eb_lvalue p = eb_place_at(place, pointed(c));
    eb_value expected = eb_place_load(l, &p, c->loc);
    eb_value old = atomic(c, EB_ATOMIC_CAS, at, desired, expected);
    uint32_t failed = eb_block_new(l->fn), join = eb_block_new(l->fn);
    eb_value yes = number(c, EB_IR_I32, 1);
    eb_emit_branch(l, EB_COND_EQ, old, expected, join, failed, c->loc);
    eb_emit_in(l, failed);
    eb_place_store(l, &p, old, c->loc);
    eb_value no = number(c, EB_IR_I32, 0);
    eb_emit_jump(l, join, c->loc);
    eb_emit_in(l, join);
    return eb_emit_phi(l, EB_IR_I32, yes, no, c->loc);
}

static eb_value atomic_load(const call *c) {
    eb_lvalue p = eb_place_at(arg(c, 0), pointed(c));
    p.is_volatile = true;
    return eb_place_load(c->l, &p, c->loc);
}

static eb_value atomic_store(const call *c) {
    eb_value at = arg(c, 0), v = arg(c, 1);
    eb_lvalue p = eb_place_at(at, pointed(c));
    p.is_volatile = true;
    eb_place_store(c->l, &p, v, c->loc);
    return 0;
}

/* __atomic_load(at, &to, order), __atomic_store(at, &from, order), __atomic_exchange(at, &from,
 * &to, order) */
static eb_value by_places(const call *c) {
    if (!is_scalar_place(c))
        return 0;
    if (c->e->builtin == EB_BUILTIN_ATOMIC_LOAD_TO) {
        put_value_at(c, 1, atomic_load(c));
    } else if (c->e->builtin == EB_BUILTIN_ATOMIC_STORE_OF) {
        eb_lvalue p = eb_place_at(arg(c, 0), pointed(c));
        eb_value v = value_at(c, 1);
        p.is_volatile = true;
        eb_place_store(c->l, &p, v, c->loc);
    } else {
        eb_value at = pointer(c);
        put_value_at(c, 2, atomic(c, EB_ATOMIC_SWAP, at, value_at(c, 1), 0));
    }
    return 0;
}

/* A flag that is cleared: a byte, or what __sync_lock_release points to. */
static eb_value release(const call *c) {
    bool byte = c->e->builtin == EB_BUILTIN_ATOMIC_CLEAR;
    eb_type *type = byte ? eb_type_basic(&c->l->u->types, EB_TYPE_CHAR) : pointed(c);
    eb_lvalue p = eb_place_at(arg(c, 0), type);
    p.is_volatile = true;
    eb_place_store(c->l, &p, number(c, eb_lower_type(type), 0), c->loc);
    return 0;
}

/* What the instructions are for: 4 and 8 bytes. */
static eb_value lock_free(const call *c) {
    eb_constant size = eb_lower_constant(c->args[0]);
    return number(c, EB_IR_I32,
                  size.kind && size.value <= WORD && (size.value & (size.value - 1)) == 0);
}

static eb_value fence(const call *c) {
    eb_lower *l = c->l;
    *EB_PUSH(&l->ctx->arena, &l->ir->asms) =
        (eb_ir_asm){.text = EB_STR(""), .memory = true, .lo = c->e->lo, .hi = c->e->hi};
    eb_value v = eb_emit(l, EB_IR_ASM, EB_IR_VOID, 0, 0, c->loc);
    eb_ir_at(l->fn, v)->extra = l->ir->asms.len - 1;
    eb_ir_at(l->fn, v)->flags = EB_IR_VOLATILE;
    return 0;
}

/* ---- CO-RE ---- */

/* libbpf's words of a bit-field, as the place has chosen them. */
static int64_t field_value(const call *c, const eb_lvalue *p, int64_t kind) {
    uint32_t bits = p->field ? p->field->bits : 0;
    uint64_t size = p->field ? p->unit : eb_type_size(p->type);
    bool plain = !p->field;
    switch (kind) {
    case CORE_FIELD_BYTE_OFFSET:
        return p->chain.offset;
    case CORE_FIELD_BYTE_SIZE:
        return (int64_t)size;
    case CORE_FIELD_EXISTS:
        return 1;
    case CORE_FIELD_SIGNED:
        return eb_type_is_integer(p->type) && !eb_type_is_unsigned(p->type);
    case CORE_FIELD_LSHIFT_U64:
        if (c->l->ir->big)
            return (int64_t)((WORD - size) * BYTE + (plain ? 0 : p->bit));
        return (int64_t)(64 - (plain ? size * BYTE : p->bit + bits));
    default:
        return (int64_t)(64 - (plain ? size * BYTE : bits));
    }
}

static eb_value field_info(const call *c) {
    eb_lower *l = c->l;
    int64_t kind = constant(c, 1);
    const eb_expr *e = c->args[0];
    while (e->kind == EB_EXPR_LOAD || e->kind == EB_EXPR_DECAY || e->kind == EB_EXPR_CAST)
        e = e->a;
    l->preserve++;
    eb_lvalue p = eb_lower_place(l, e);
    l->preserve--;
    if (!p.chain.count || p.offset || kind < 0 || kind > CORE_FIELD_RSHIFT_U64) {
        eb_diag_add(l->ctx, EB_DIAG_NO_FIELD_ACCESS, e->lo, e->hi);
        return number(c, EB_IR_I32, 0);
    }
    return eb_emit_core(l, (unsigned)kind, EB_IR_I32, p.chain.root, eb_chain_text(l, &p.chain),
                        field_value(c, &p, kind), c->loc);
}

/* The type that *(T *)0 names: clang takes what the declaration says, typedefs included. */
static eb_type *named_type(const call *c) {
    eb_type *type = c->e->of.args.type;
    while (type->kind == EB_TYPE_QUALIFIED || type->kind == EB_TYPE_TAGGED)
        type = type->base;
    return type;
}

static eb_value type_info(const call *c) {
    static const uint8_t kinds[] = {CORE_TYPE_EXISTS, CORE_TYPE_SIZE, CORE_TYPE_MATCHES};
    int64_t flag = constant(c, 1);
    eb_type *type = named_type(c);
    if (flag < 0 || flag > 2)
        return number(c, EB_IR_I32, 0);
    bool sized = eb_type_is_complete(type) && !eb_type_is(type, EB_TYPE_FUNCTION);
    int64_t value = flag == 1 ? (int64_t)(sized ? eb_type_size(type) : 0) : 1;
    return eb_emit_core(c->l, kinds[flag], EB_IR_I32, type, EB_STR("0"), value, c->loc);
}

/* Its local id is known when the BTF is (core.value is filled in with it then). */
static eb_value type_id(const call *c) {
    int64_t flag = constant(c, 1);
    eb_type *type = flag ? named_type(c) : c->e->of.args.type;
    return eb_emit_core(c->l, flag ? CORE_TYPE_ID_TARGET : CORE_TYPE_ID_LOCAL, EB_IR_I64, type,
                        EB_STR("0"), 0, c->loc);
}

/* *(typeof(enum e) *)VALUE */
static eb_value enum_value(const call *c) {
    eb_lower *l = c->l;
    eb_type *type = named_type(c), *plain = eb_type_plain(type);
    const eb_expr *e = c->args[0];
    while (e->kind == EB_EXPR_DEREF || e->kind == EB_EXPR_LOAD)
        e = e->a;
    eb_constant k = eb_constant_of(e);
    uint32_t index = UINT32_MAX;
    if (plain->kind == EB_TYPE_ENUM && k.kind == EB_CONSTANT_NUMBER)
        for (uint32_t n = plain->of.enumeration->list.len; n; n--)
            if (eb_wrap((uint64_t)plain->of.enumeration->list.at[n - 1].value,
                        plain->of.enumeration->integer) ==
                eb_wrap(k.value, plain->of.enumeration->integer))
                index = n - 1;
    if (index == UINT32_MAX) {
        eb_diag_add(l->ctx, EB_DIAG_NO_ENUMERATOR, c->e->lo, c->e->hi);
        return number(c, EB_IR_I64, 0);
    }
    bool value = constant(c, 1) != 0;
    eb_str access = eb_str_fmt(&l->ctx->arena, "%u", index);
    return eb_emit_core(l, value ? CORE_ENUMVAL_VALUE : CORE_ENUMVAL_EXISTS, EB_IR_I64, type,
                        access, value ? (int64_t)plain->of.enumeration->list.at[index].value : 1,
                        c->loc);
}

/* ---- overflow ---- */

static eb_value widened(const call *c, uint32_t n) {
    eb_type *type = c->args[n]->type;
    eb_value v = arg(c, n);
    if (eb_ir_at(c->l->fn, v)->type != EB_IR_I32)
        return v;
    v = eb_emit(c->l, eb_type_is_unsigned(type) ? EB_IR_ZEXT : EB_IR_SEXT, EB_IR_I64, v, 0, c->loc);
    if (!eb_type_is_unsigned(type))
        eb_ir_at(c->l->fn, v)->size = 4;
    return v;
}

static eb_value is_negative(const call *c, eb_value v) {
    return eb_emit_cmp(c->l, EB_COND_SLT, v, number(c, EB_IR_I64, 0), c->loc);
}

/* Of the mathematical result, the 64 bits and what stands above them: 0 and -1 are all zeroes and
 * all ones, anything else does not fit in any type. */
typedef struct exact {
    eb_value low, high;
} exact;

static eb_value sign_of(const call *c, eb_value v) {
    return op_imm(c, EB_IR_SAR, v, 63);
}

/* Above the 64 bits of an operand. */
static eb_value above(const call *c, uint32_t n, eb_value v) {
    return eb_type_is_unsigned(c->args[n]->type) ? number(c, EB_IR_I64, 0) : sign_of(c, v);
}

static eb_value truth(const call *c, eb_cond cond, eb_value a, eb_value b) {
    eb_value v = eb_emit_cmp(c->l, cond, a, b, c->loc);
    return eb_emit(c->l, EB_IR_ZEXT, EB_IR_I64, v, 0, c->loc);
}

static exact exact_sum(const call *c, eb_ir_op what, eb_value a, eb_value b) {
    eb_value low = op(c, what, a, b), high = op(c, what, above(c, 0, a), above(c, 1, b));
    eb_value carry = what == EB_IR_ADD ? truth(c, EB_COND_LT, low, a) : truth(c, EB_COND_LT, a, b);
    return (exact){low, op(c, what, high, carry)};
}

/* By magnitudes, so that no signed division is needed; `high` is 1 when they have too many bits. */
static exact exact_product(const call *c, eb_value a, eb_value b) {
    eb_lower *l = c->l;
    eb_value sa = above(c, 0, a), sb = above(c, 1, b), sign = op(c, EB_IR_XOR, sa, sb);
    a = op(c, EB_IR_SUB, op(c, EB_IR_XOR, a, sa), sa);
    b = op(c, EB_IR_SUB, op(c, EB_IR_XOR, b, sb), sb);
    eb_value product = op(c, EB_IR_MUL, a, b), zero = number(c, EB_IR_I64, 0);
    uint32_t some = eb_block_new(l->fn), join = eb_block_new(l->fn);
    eb_emit_branch(l, EB_COND_EQ, b, zero, join, some, c->loc);
    eb_emit_in(l, some); /* product / b is a again, if all bits are there */
    eb_value lost = truth(c, EB_COND_NE, op(c, EB_IR_DIV, product, b), a);
    eb_emit_jump(l, join, c->loc);
    eb_emit_in(l, join);
    lost = eb_emit_phi(l, EB_IR_I64, zero, lost, c->loc);
    eb_value low = op(c, EB_IR_SUB, op(c, EB_IR_XOR, product, sign), sign);
    eb_value some_bits = op(c, EB_IR_NEG, truth(c, EB_COND_NE, product, zero), 0);
    /* Bit 1 is in no sign's extension by itself. */
    lost = op_imm(c, EB_IR_SHL, lost, 1);
    return (exact){low, op(c, EB_IR_XOR, op(c, EB_IR_AND, sign, some_bits), lost)};
}

static bool fits_in_word(const call *c, eb_type *to) {
    return eb_type_size(to) < WORD && eb_type_size(c->args[0]->type) < WORD &&
           eb_type_size(c->args[1]->type) < WORD;
}

/* `low` as the result's type, stored, and whether it is another number than that. */
static eb_value stored(const call *c, eb_type *to, eb_value low) {
    eb_lower *l = c->l;
    eb_type *word = eb_type_basic(&l->u->types, EB_TYPE_LONG);
    eb_lvalue p = eb_place_at(arg(c, 2), to);
    if (eb_type_size(to) == WORD) {
        eb_place_store(l, &p, low, c->loc);
        return 0;
    }
    eb_value narrow = eb_lower_cast(l, low, word, to, c->loc);
    eb_value back = eb_lower_cast(l, narrow, to, word, c->loc);
    eb_value differs = eb_emit_cmp(l, EB_COND_NE, low, back, c->loc);
    eb_place_store(l, &p, narrow, c->loc);
    return differs;
}

/* Unsigned or signed 64-bit numbers throughout: the usual tests. 0 when they are others. */
static eb_value plain_overflow(const call *c, eb_ir_op what, eb_type *to, eb_value a, eb_value b,
                               eb_value v) {
    bool x = eb_type_is_unsigned(c->args[0]->type), y = eb_type_is_unsigned(c->args[1]->type);
    bool z = eb_type_is_unsigned(to);
    if (eb_type_size(to) != WORD || x != y || y != z || (what == EB_IR_MUL))
        return 0;
    if (x)
        return what == EB_IR_ADD ? eb_emit_cmp(c->l, EB_COND_LT, v, a, c->loc)
                                 : eb_emit_cmp(c->l, EB_COND_LT, a, b, c->loc);
    eb_value other = what == EB_IR_ADD ? op(c, EB_IR_XOR, b, v) : op(c, EB_IR_XOR, a, b);
    return is_negative(c, op(c, EB_IR_AND, op(c, EB_IR_XOR, a, v), other));
}

static eb_value overflow(const call *c, eb_ir_op what) {
    eb_lower *l = c->l;
    eb_type *to = eb_type_plain(c->args[2]->type)->base;
    eb_value a = widened(c, 0), b = widened(c, 1);
    if (fits_in_word(c, to)) /* 64 bits hold what 32-bit operands give */
        return stored(c, to, op(c, what, a, b));
    eb_value v = op(c, what, a, b), over = plain_overflow(c, what, to, a, b, v);
    if (over) {
        stored(c, to, v);
        return over;
    }
    exact e = what == EB_IR_MUL ? exact_product(c, a, b) : exact_sum(c, what, a, b);
    eb_value zero = number(c, EB_IR_I64, 0);
    eb_value fitting = eb_type_is_unsigned(to) ? zero : sign_of(c, e.low);
    over = eb_emit_cmp(l, EB_COND_NE, e.high, fitting, c->loc);
    eb_value differs = stored(c, to, e.low);
    return differs ? op(c, EB_IR_OR, over, differs) : over;
}

/* ---- all of them ---- */

static eb_value preserved(const call *c) {
    c->l->preserve++;
    eb_value v = arg(c, 0);
    c->l->preserve--;
    return v;
}

static eb_value no_return(const call *c, bool trap) {
    eb_value v = eb_emit(c->l, EB_IR_UNREACHABLE, EB_IR_VOID, 0, 0, c->loc);
    eb_ir_at(c->l->fn, v)->imm = trap;
    eb_emit_dead(c->l);
    return 0;
}

static eb_value constant_p(const call *c) {
    eb_type *type = c->args[0]->type;
    if (eb_type_is_record(type) || eb_type_is_wide(type) || !c->l->ir->optimize)
        return number(c, EB_IR_I32, 0);
    return eb_emit(c->l, EB_IR_CONST_P, EB_IR_I32, arg(c, 0), 0, c->loc);
}

static eb_value atomic_call(const call *c) {
    switch (c->e->builtin) { /* one case per row */
    case EB_BUILTIN_SYNC_FETCH_ADD:
    case EB_BUILTIN_ATOMIC_FETCH_ADD:
    case EB_BUILTIN_C11_FETCH_ADD:
        return modify(c, EB_ATOMIC_ADD, false, false);
    case EB_BUILTIN_SYNC_FETCH_SUB:
    case EB_BUILTIN_ATOMIC_FETCH_SUB:
    case EB_BUILTIN_C11_FETCH_SUB:
        return modify(c, EB_ATOMIC_ADD, true, false);
    case EB_BUILTIN_SYNC_FETCH_AND:
    case EB_BUILTIN_ATOMIC_FETCH_AND:
    case EB_BUILTIN_C11_FETCH_AND:
        return modify(c, EB_ATOMIC_AND, false, false);
    case EB_BUILTIN_SYNC_FETCH_OR:
    case EB_BUILTIN_ATOMIC_FETCH_OR:
    case EB_BUILTIN_C11_FETCH_OR:
        return modify(c, EB_ATOMIC_OR, false, false);
    case EB_BUILTIN_SYNC_FETCH_XOR:
    case EB_BUILTIN_ATOMIC_FETCH_XOR:
    case EB_BUILTIN_C11_FETCH_XOR:
        return modify(c, EB_ATOMIC_XOR, false, false);
    case EB_BUILTIN_SYNC_ADD_FETCH:
    case EB_BUILTIN_ATOMIC_ADD_FETCH:
        return modify(c, EB_ATOMIC_ADD, false, true);
    case EB_BUILTIN_SYNC_SUB_FETCH:
    case EB_BUILTIN_ATOMIC_SUB_FETCH:
        return modify(c, EB_ATOMIC_ADD, true, true);
    case EB_BUILTIN_SYNC_AND_FETCH:
    case EB_BUILTIN_ATOMIC_AND_FETCH:
        return modify(c, EB_ATOMIC_AND, false, true);
    case EB_BUILTIN_SYNC_OR_FETCH:
    case EB_BUILTIN_ATOMIC_OR_FETCH:
        return modify(c, EB_ATOMIC_OR, false, true);
    case EB_BUILTIN_SYNC_XOR_FETCH:
    case EB_BUILTIN_ATOMIC_XOR_FETCH:
        return modify(c, EB_ATOMIC_XOR, false, true);
    case EB_BUILTIN_SYNC_SWAP:
    case EB_BUILTIN_ATOMIC_EXCHANGE:
    case EB_BUILTIN_C11_EXCHANGE:
        return modify(c, EB_ATOMIC_SWAP, false, false);
    case EB_BUILTIN_SYNC_CAS:
    case EB_BUILTIN_SYNC_BOOL_CAS:
        return compare_swap(c, c->e->builtin == EB_BUILTIN_SYNC_BOOL_CAS);
    case EB_BUILTIN_ATOMIC_CAS:
    case EB_BUILTIN_ATOMIC_CAS_OF:
    case EB_BUILTIN_C11_CAS:
        return compare_exchange(c);
    case EB_BUILTIN_ATOMIC_LOAD_TO:
    case EB_BUILTIN_ATOMIC_STORE_OF:
    case EB_BUILTIN_ATOMIC_EXCHANGE_OF:
        return by_places(c);
    case EB_BUILTIN_ATOMIC_CLEAR:
    case EB_BUILTIN_SYNC_RELEASE:
        return release(c);
    case EB_BUILTIN_ATOMIC_ALWAYS:
    case EB_BUILTIN_ATOMIC_IS:
    case EB_BUILTIN_C11_IS:
        return lock_free(c);
    case EB_BUILTIN_ATOMIC_LOAD:
    case EB_BUILTIN_C11_LOAD:
        return atomic_load(c);
    case EB_BUILTIN_ATOMIC_STORE:
    case EB_BUILTIN_C11_STORE:
        return atomic_store(c);
    default:
        return fence(c);
    }
}

eb_value eb_lower_builtin(eb_lower *l, const eb_expr *e) {
    call c = {l, e, e->of.args.at, e->lo};
    switch (e->builtin) { /* one case per row */
    case EB_BUILTIN_BSWAP16:
        return swapped(&c, 2);
    case EB_BUILTIN_BSWAP32:
        return swapped(&c, 4);
    case EB_BUILTIN_BSWAP64:
        return swapped(&c, 8);
    case EB_BUILTIN_CLZ:
    case EB_BUILTIN_CLZL:
    case EB_BUILTIN_CLZLL:
        return as_int(&c, leading_zeroes(&c, arg(&c, 0)));
    case EB_BUILTIN_CTZ:
    case EB_BUILTIN_CTZL:
    case EB_BUILTIN_CTZLL:
        return as_int(&c, trailing_zeroes(&c, arg(&c, 0)));
    case EB_BUILTIN_FFS:
    case EB_BUILTIN_FFSL:
    case EB_BUILTIN_FFSLL:
        return first_set(&c, arg(&c, 0));
    case EB_BUILTIN_POPCOUNT:
    case EB_BUILTIN_POPCOUNTL:
    case EB_BUILTIN_POPCOUNTLL:
        return as_int(&c, ones(&c, arg(&c, 0)));
    case EB_BUILTIN_CLZS:
        return op_imm(&c, EB_IR_SUB, leading_zeroes(&c, arg(&c, 0)), 16);
    case EB_BUILTIN_CTZS:
        return trailing_zeroes(&c, arg(&c, 0));
    case EB_BUILTIN_CLZG:
    case EB_BUILTIN_CTZG:
    case EB_BUILTIN_POPCOUNTG:
        return generic_count(&c);
    case EB_BUILTIN_PARITY:
    case EB_BUILTIN_PARITYL:
    case EB_BUILTIN_PARITYLL:
        return op_imm(&c, EB_IR_AND, as_int(&c, ones(&c, arg(&c, 0))), 1);
    case EB_BUILTIN_CLRSB:
    case EB_BUILTIN_CLRSBL:
    case EB_BUILTIN_CLRSBLL:
        return sign_bits(&c);
    case EB_BUILTIN_REVERSE8:
    case EB_BUILTIN_REVERSE16:
    case EB_BUILTIN_REVERSE32:
    case EB_BUILTIN_REVERSE64:
        return reversed(&c, 1u << (e->builtin - EB_BUILTIN_REVERSE8));
    case EB_BUILTIN_LEFT8:
    case EB_BUILTIN_LEFT16:
    case EB_BUILTIN_LEFT32:
    case EB_BUILTIN_LEFT64:
        return rotated(&c, 8u << (e->builtin - EB_BUILTIN_LEFT8), true);
    case EB_BUILTIN_RIGHT8:
    case EB_BUILTIN_RIGHT16:
    case EB_BUILTIN_RIGHT32:
    case EB_BUILTIN_RIGHT64:
        return rotated(&c, 8u << (e->builtin - EB_BUILTIN_RIGHT8), false);
    case EB_BUILTIN_ALIGN_UP:
    case EB_BUILTIN_ALIGN_DOWN:
    case EB_BUILTIN_IS_ALIGNED:
        return align_to(&c);
    case EB_BUILTIN_ABS:
    case EB_BUILTIN_LABS:
        return absolute(&c);
    case EB_BUILTIN_EXPECT:
        return arg(&c, 0);
    case EB_BUILTIN_MEMCPY:
        return memory(&c, EB_IR_COPYMEM);
    case EB_BUILTIN_MEMMOVE:
        return memory(&c, EB_IR_MOVEMEM);
    case EB_BUILTIN_MEMSET:
        return memory(&c, EB_IR_SETMEM);
    case EB_BUILTIN_MEMCMP:
    case EB_BUILTIN_BCMP:
        return compare_memory(&c);
    case EB_BUILTIN_STRLEN:
        return string_length(&c);
    case EB_BUILTIN_STRCMP:
    case EB_BUILTIN_STRNCMP:
        return compare_strings(&c, e->builtin == EB_BUILTIN_STRNCMP);
    case EB_BUILTIN_MEMPCPY:
        return copy_and_pass(&c);
    case EB_BUILTIN_BZERO:
        return zero_memory(&c);
    case EB_BUILTIN_MEMCHR:
        return find_character(&c, true, false);
    case EB_BUILTIN_STRCHR:
    case EB_BUILTIN_STRRCHR:
        return find_character(&c, false, e->builtin == EB_BUILTIN_STRRCHR);
    case EB_BUILTIN_STRNLEN:
        return bounded_length(&c);
    case EB_BUILTIN_STRSTR:
        return find_string(&c);
    case EB_BUILTIN_STRCPY:
    case EB_BUILTIN_STPCPY:
    case EB_BUILTIN_STRCAT:
        return copy_string(&c);
    case EB_BUILTIN_STRNCPY:
        return copy_counted(&c);
    case EB_BUILTIN_TRAP:
    case EB_BUILTIN_UNREACHABLE:
        return no_return(&c, e->builtin == EB_BUILTIN_TRAP);
    case EB_BUILTIN_RETURN_ADDRESS:
    case EB_BUILTIN_FRAME_ADDRESS:
        return number(&c, EB_IR_PTR, 0);
    case EB_BUILTIN_OBJECT_SIZE:
        return object_size(&c);
    case EB_BUILTIN_ASSUME:
        return 0;
    case EB_BUILTIN_CONSTANT_P:
        return constant_p(&c);
    case EB_BUILTIN_PRESERVE_ACCESS:
        return preserved(&c);
    case EB_BUILTIN_FIELD_INFO:
        return field_info(&c);
    case EB_BUILTIN_TYPE_INFO:
        return type_info(&c);
    case EB_BUILTIN_ENUM_VALUE:
        return enum_value(&c);
    case EB_BUILTIN_BTF_TYPE_ID:
        return type_id(&c);
    case EB_BUILTIN_ADD_OVERFLOW:
        return overflow(&c, EB_IR_ADD);
    case EB_BUILTIN_SUB_OVERFLOW:
        return overflow(&c, EB_IR_SUB);
    case EB_BUILTIN_MUL_OVERFLOW:
        return overflow(&c, EB_IR_MUL);
    default:
        return atomic_call(&c);
    }
}
