/* lower_memory.c - builtin functions of memory and strings, expanded where they are called. */
#include "lower_builtin.h"

enum { BYTE = 8, WORD = 8, COMPARE_MOST = 512 };

static uint32_t align_behind(uint32_t align, uint64_t offset) {
    while (align > 1 && offset % align)
        align /= 2;
    return align;
}

static uint32_t pointee_align(eb_type *to) {
    bool known = to && !eb_type_is(to, EB_TYPE_VOID) && !eb_type_is(to, EB_TYPE_FUNCTION) &&
                 eb_type_is_complete(to);
    return known ? eb_type_align(to) : 1;
}

/* Of what an lvalue names: an array of chars has more where it stands in a record than by itself,
 * an int in a packed one less. */
static uint32_t place_align(const eb_lower *l, const eb_expr *e) {
    eb_constant index;
    uint32_t align;
    switch (e->kind) { /* the others are as their types say */
    case EB_EXPR_DECL:
        if (!e->of.decl->is_global && e->of.decl->number)
            return l->fn->slots.at[e->of.decl->number - 1].align;
        break;
    case EB_EXPR_MEMBER:
        align = e->a->is_lvalue ? place_align(l, e->a) : pointee_align(e->a->type);
        for (uint32_t n = 0; n < e->of.path.length; n++)
            align = align_behind(align, eb_path_member(e, n)->offset / BYTE);
        return align;
    case EB_EXPR_INDEX:
        align = e->a->kind == EB_EXPR_DECAY ? place_align(l, e->a->a) : pointee_align(e->type);
        index = eb_lower_constant(e->b);
        return align_behind(align, eb_type_size(e->type) * (index.kind ? index.value : 1));
    default:
        break;
    }
    return pointee_align(e->type);
}

static uint32_t pointer_align(const eb_lower *l, const eb_expr *e) {
    while (e->kind == EB_EXPR_CAST && eb_type_is(e->a->type, EB_TYPE_POINTER))
        e = e->a;
    if (e->kind == EB_EXPR_ADDRESS || e->kind == EB_EXPR_DECAY)
        return place_align(l, e->a);
    return pointee_align(eb_type_plain(e->type)->base);
}

/* memcpy, memmove, memset: an instruction of the IR; the size is a value until it is known. */
static eb_value memory(const eb_call *c, eb_ir_op what) {
    eb_lower *l = c->l;
    uint32_t align = pointer_align(l, c->args[0]);
    if (what != EB_IR_SETMEM && pointer_align(l, c->args[1]) < align)
        align = pointer_align(l, c->args[1]);
    eb_value to = eb_arg(c, 0), from = eb_arg(c, 1);
    eb_constant size = eb_lower_constant(c->args[2]);
    eb_value dynamic = size.kind ? 0 : eb_arg(c, 2);
    eb_value v = eb_emit(l, what, EB_IR_VOID, to, from, c->loc);
    eb_ir *ir = eb_ir_at(l->fn, v);
    ir->imm = (int64_t)size.value;
    ir->c = dynamic;
    ir->size = (uint8_t)(align > WORD ? WORD : align);
    return to;
}

static void move_bytes(const eb_call *c, eb_ir_op what, eb_value to, eb_value from, int64_t size) {
    eb_value v = eb_emit(c->l, what, EB_IR_VOID, to, from, c->loc);
    eb_ir_at(c->l->fn, v)->imm = size;
    eb_ir_at(c->l->fn, v)->size = 1;
}

static eb_value load(const eb_call *c, eb_value at, int64_t offset, uint32_t size) {
    eb_lower *l = c->l;
    eb_value v = eb_emit(l, EB_IR_LOAD, size == WORD ? EB_IR_I64 : EB_IR_I32, at, 0, c->loc);
    eb_ir_at(l->fn, v)->size = (uint8_t)size;
    eb_ir_at(l->fn, v)->imm = offset;
    return v;
}

/* The lower alignment of what both arguments point to. */
static uint8_t shared_align(const eb_call *c) {
    uint32_t align = pointer_align(c->l, c->args[0]), other = pointer_align(c->l, c->args[1]);
    align = align < other ? align : other;
    return (uint8_t)(align > WORD ? WORD : align);
}

static eb_value compare_memory(const eb_call *c) {
    eb_constant size = eb_lower_constant(c->args[2]);
    eb_value a = eb_arg(c, 0), b = eb_arg(c, 1), dynamic = size.kind ? 0 : eb_arg(c, 2);
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

static scan begin_scan(const eb_call *c) {
    eb_lower *l = c->l;
    scan s = {.slot = eb_slot_new(l->fn, WORD, WORD, EB_STR(""), c->loc),
              .top = eb_block_new(l->fn),
              .body = eb_block_new(l->fn),
              .done = eb_block_new(l->fn)};
    eb_value store = eb_emit(l, EB_IR_STORE, EB_IR_VOID, eb_emit_slot(l, s.slot, c->loc),
                             eb_number_of(c, EB_IR_I64, 0), c->loc);
    eb_ir_at(l->fn, store)->size = WORD;
    eb_emit_jump(l, s.top, c->loc);
    eb_emit_in(l, s.top);
    s.i = load(c, eb_emit_slot(l, s.slot, c->loc), 0, WORD);
    return s;
}

static void end_scan(const eb_call *c, const scan *s) {
    eb_lower *l = c->l;
    eb_value store = eb_emit(l, EB_IR_STORE, EB_IR_VOID, eb_emit_slot(l, s->slot, c->loc),
                             eb_op_imm(c, EB_IR_ADD, s->i, 1), c->loc);
    eb_ir_at(l->fn, store)->size = WORD;
    eb_emit_jump(l, s->top, c->loc);
}

static eb_value character(const eb_call *c, eb_value text, eb_value i) {
    return load(c, eb_emit(c->l, EB_IR_ADD, EB_IR_PTR, text, i, c->loc), 0, 1);
}

static const eb_expr *literal(const eb_expr *e) {
    while (e->kind == EB_EXPR_CAST && eb_type_is(e->a->type, EB_TYPE_POINTER))
        e = e->a;
    return e->kind == EB_EXPR_DECAY && e->a->kind == EB_EXPR_STRING ? e->a : NULL;
}

static eb_value string_length(const eb_call *c) {
    const eb_expr *known = literal(c->args[0]);
    if (known) {
        const char *nul = memchr(known->of.text.at, 0, known->of.text.len);
        size_t length = nul ? (size_t)(nul - known->of.text.at) : known->of.text.len;
        return eb_number_of(c, EB_IR_I64, (int64_t)length);
    }
    return eb_emit(c->l, EB_IR_STRLEN, EB_IR_I64, eb_arg(c, 0), 0, c->loc);
}

static eb_value compare_strings(const eb_call *c, bool counted) {
    eb_value a = eb_arg(c, 0), b = eb_arg(c, 1), most = counted ? eb_arg(c, 2) : 0;
    eb_value v = eb_emit(c->l, EB_IR_STRCMP, EB_IR_I32, a, b, c->loc);
    eb_ir_at(c->l->fn, v)->c = most;
    return v;
}

/* strchr, strrchr, memchr: the place of a character, the terminating one included, or NULL. What is
 * found so far is kept in a slot. */
static eb_value find_character(const eb_call *c, bool counted, bool last) {
    eb_lower *l = c->l;
    uint32_t slot = eb_slot_new(l->fn, WORD, WORD, EB_STR(""), c->loc);
    eb_value text = eb_arg(c, 0), wanted = eb_op_imm(c, EB_IR_AND, eb_arg(c, 1), 0xff);
    eb_value most = counted ? eb_arg(c, 2) : 0;
    eb_value none = eb_emit(l, EB_IR_STORE, EB_IR_VOID, eb_emit_slot(l, slot, c->loc),
                            eb_number_of(c, EB_IR_I64, 0), c->loc);
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
        eb_emit_branch(l, EB_COND_EQ, byte, eb_number_of(c, EB_IR_I32, 0), s.done, s.body, c->loc);
    eb_emit_in(l, s.body);
    end_scan(c, &s);
    eb_emit_in(l, s.done);
    eb_value result = eb_emit(l, EB_IR_LOAD, EB_IR_PTR, eb_emit_slot(l, slot, c->loc), 0, c->loc);
    eb_ir_at(l->fn, result)->size = WORD;
    return result;
}

static eb_value bounded_length(const eb_call *c) {
    eb_lower *l = c->l;
    eb_value text = eb_arg(c, 0), most = eb_arg(c, 1);
    scan s = begin_scan(c);
    uint32_t go = eb_block_new(l->fn);
    eb_emit_branch(l, EB_COND_GE, s.i, most, s.done, go, c->loc);
    eb_emit_in(l, go);
    eb_value byte = character(c, text, s.i);
    eb_emit_branch(l, EB_COND_EQ, byte, eb_number_of(c, EB_IR_I32, 0), s.done, s.body, c->loc);
    eb_emit_in(l, s.body);
    end_scan(c, &s);
    eb_emit_in(l, s.done);
    return s.i;
}

static eb_value not_expanded(const eb_call *c, const char *name) {
    eb_str text = eb_str_from(name);
    eb_diag_add(c->l->ctx, EB_DIAG_NOT_EXPANDED, c->e->lo, c->e->hi, (int)text.len, text.at);
    return eb_number_of(c, eb_lower_type(c->e->type), 0);
}

static size_t literal_length(const eb_expr *e) {
    const char *nul = memchr(e->of.text.at, 0, e->of.text.len);
    return nul ? (size_t)(nul - e->of.text.at) : e->of.text.len;
}

/* strcpy, stpcpy and strcat of a literal: its bytes with the NUL. */
static eb_value copy_string(const eb_call *c) {
    const eb_expr *known = literal(c->args[1]);
    if (!known)
        return not_expanded(c, "strcpy");
    int64_t length = (int64_t)literal_length(known);
    eb_value to = eb_arg(c, 0), end = to;
    if (c->e->builtin == EB_BUILTIN_STRCAT) {
        eb_call behind = {c->l, c->e, c->args, c->loc};
        end = eb_emit(c->l, EB_IR_ADD, EB_IR_PTR, to, string_length(&behind), c->loc);
    }
    move_bytes(c, EB_IR_COPYMEM, end, eb_arg(c, 1), length + 1);
    return c->e->builtin == EB_BUILTIN_STPCPY ? eb_emit_sum(c->l, to, length, c->loc) : to;
}

/* strncpy of a literal: the rest is 0. */
static eb_value copy_counted(const eb_call *c) {
    const eb_expr *known = literal(c->args[1]);
    eb_constant size = eb_lower_constant(c->args[2]);
    if (!known || !size.kind)
        return not_expanded(c, "strncpy");
    int64_t length = (int64_t)literal_length(known), most = (int64_t)size.value;
    int64_t bytes = length < most ? length : most;
    eb_value to = eb_arg(c, 0);
    move_bytes(c, EB_IR_COPYMEM, to, eb_arg(c, 1), bytes);
    if (bytes < most)
        move_bytes(c, EB_IR_SETMEM, eb_emit_sum(c->l, to, bytes, c->loc),
                   eb_number_of(c, EB_IR_I32, 0), most - bytes);
    return to;
}

static eb_value find_string(const eb_call *c) {
    const eb_expr *in = literal(c->args[0]), *wanted = literal(c->args[1]);
    if (!in || !wanted)
        return not_expanded(c, "strstr");
    size_t length = literal_length(in), size = literal_length(wanted);
    for (size_t at = 0; at + size <= length; at++)
        if (memcmp(in->of.text.at + at, wanted->of.text.at, size) == 0)
            return eb_emit_sum(c->l, eb_arg(c, 0), (int64_t)at, c->loc);
    return eb_number_of(c, EB_IR_PTR, 0);
}

static eb_value zero_memory(const eb_call *c) {
    eb_constant size = eb_lower_constant(c->args[1]);
    eb_value to = eb_arg(c, 0), dynamic = size.kind ? 0 : eb_arg(c, 1);
    move_bytes(c, EB_IR_SETMEM, to, eb_number_of(c, EB_IR_I32, 0), (int64_t)size.value);
    eb_ir_at(c->l->fn, c->l->fn->blocks.at[c->l->block].last)->c = dynamic;
    return 0;
}

/* The address behind what was copied. */
static eb_value copy_and_pass(const eb_call *c) {
    eb_constant size = eb_lower_constant(c->args[2]);
    eb_value to = memory(c, EB_IR_COPYMEM);
    if (size.kind)
        return eb_emit_sum(c->l, to, (int64_t)size.value, c->loc);
    return eb_emit(c->l, EB_IR_ADD, EB_IR_PTR, to, eb_arg(c, 2), c->loc);
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
static eb_value object_size(const eb_call *c) {
    int64_t kind = eb_constant_arg(c, 1), offset = 0;
    const eb_expr *of = object_of(c->args[0], &offset);
    if (!of)
        return eb_number_of(c, EB_IR_I64, kind & 2 ? 0 : -1);
    int64_t size = (int64_t)eb_type_size(of->type);
    return eb_number_of(c, EB_IR_I64, offset >= 0 && offset <= size ? size - offset : 0);
}

eb_value eb_lower_memory_builtin(const eb_call *c) {
    switch (c->e->builtin) { /* one case per row */
    case EB_BUILTIN_MEMCPY:
        return memory(c, EB_IR_COPYMEM);
    case EB_BUILTIN_MEMMOVE:
        return memory(c, EB_IR_MOVEMEM);
    case EB_BUILTIN_MEMSET:
        return memory(c, EB_IR_SETMEM);
    case EB_BUILTIN_MEMCMP:
    case EB_BUILTIN_BCMP:
        return compare_memory(c);
    case EB_BUILTIN_STRLEN:
        return string_length(c);
    case EB_BUILTIN_STRCMP:
    case EB_BUILTIN_STRNCMP:
        return compare_strings(c, c->e->builtin == EB_BUILTIN_STRNCMP);
    case EB_BUILTIN_MEMPCPY:
        return copy_and_pass(c);
    case EB_BUILTIN_BZERO:
        return zero_memory(c);
    case EB_BUILTIN_MEMCHR:
        return find_character(c, true, false);
    case EB_BUILTIN_STRCHR:
    case EB_BUILTIN_STRRCHR:
        return find_character(c, false, c->e->builtin == EB_BUILTIN_STRRCHR);
    case EB_BUILTIN_STRNLEN:
        return bounded_length(c);
    case EB_BUILTIN_STRSTR:
        return find_string(c);
    case EB_BUILTIN_STRCPY:
    case EB_BUILTIN_STPCPY:
    case EB_BUILTIN_STRCAT:
        return copy_string(c);
    case EB_BUILTIN_STRNCPY:
        return copy_counted(c);
    case EB_BUILTIN_OBJECT_SIZE:
        return object_size(c);
    default:
        return eb_lower_atomic_builtin(c);
    }
}
