/* sroa.c - scalar replacement of aggregates: a slot that is only accessed at constant offsets, and
 * whose address goes nowhere, is split into the pieces that are accessed, so that mem2reg can make
 * values of them.
 *
 * For each byte of such a slot is known whether a load or store touches it and whether one touches
 * it together with the byte before it: then they stay in one piece. Accesses that overlap (unions)
 * so keep a piece whole. A store of a constant is split as others need it (arrays are filled by
 * words). Copies and memset do not join bytes, they are split along the pieces; what
 * is known of one side of a copy between two such slots is true of the other, until nothing new is
 * learnt. Bytes that only copies and memset touch (padding) are pieces, too: they stay in memory,
 * and are carried on to where they may be seen.
 *
 * In the end slots that are never read lose what is written to them, which takes the unseen padding
 * away again. */
#include "address.h"
#include "cfg.h"
#include "pass.h"

enum { SLOT_MOST = 4096, ROUNDS_MOST = 16, NO_SLOT = UINT32_MAX };

/* Of a byte: joined to the one before it, or only set together with it, to a constant that can be
 * cut where a value begins or ends. */
enum { USED = 1, JOINED = 2, CUT = 4, SET = 8, EDGE = 16 };

typedef struct piece {
    uint32_t lo, hi, slot;
    uint32_t start; /* of byte lo in the new slot */
    bool used;
} piece;

typedef struct slot_info {
    bool stays, bulk; /* bulk: copied or set */
    bool read, written;
    uint8_t *bytes;
    uint32_t *piece_of;
    EB_VEC(piece) pieces;
} slot_info;

typedef struct splitter {
    eb_fn *fn;
    eb_arena *scratch;
    slot_info *slots;
    uint32_t count;
    EB_VEC(eb_value) bulks;
} splitter;

typedef struct side { /* of a copy */
    slot_info *slot;  /* NULL: not split */
    uint32_t at;
    eb_value address; /* as it is in the instruction */
} side;

/* ---- accesses ---- */

static uint32_t slot_at(const eb_fn *fn, eb_value address, int64_t *offset) {
    eb_address at = eb_address_of(fn, address);
    const eb_ir *base = eb_ir_at(fn, at.base);
    *offset = at.offset;
    return base->op == EB_IR_SLOT ? base->extra : NO_SLOT;
}

static bool is_bulk(const eb_ir *ir) {
    return ir->op == EB_IR_COPYMEM || ir->op == EB_IR_SETMEM;
}

static bool is_in(const splitter *s, uint32_t slot, int64_t at, int64_t size) {
    int64_t room = (int64_t)s->fn->slots.at[slot].size;
    return size >= 0 && at >= 0 && at <= room && size <= room - at;
}

static bool sets_constant(const eb_fn *fn, const eb_ir *ir) {
    return ir->op == EB_IR_STORE && eb_ir_is_const(fn, ir->b);
}

/* A load or store of the slot: bytes that belong together. */
static void note_scalar(splitter *s, const eb_ir *ir, uint32_t slot, int64_t at) {
    uint8_t *bytes = s->slots[slot].bytes;
    bool splits = sets_constant(s->fn, ir);
    for (unsigned n = 0; n < ir->size; n++)
        bytes[at + n] |= n ? USED | (splits ? SET : JOINED) : USED;
    if (splits)
        return;
    bytes[at] |= EDGE;
    bytes[at + ir->size] |= EDGE;
}

static void note_bulk(splitter *s, uint32_t slot, int64_t at, int64_t size) {
    uint8_t *bytes = s->slots[slot].bytes;
    bytes[at] |= CUT;
    bytes[at + size] |= CUT;
    s->slots[slot].bulk = true;
}

/* What `value` does with the address that is one of its operands; false: nothing that splitting
 * could follow. */
static bool note_use(splitter *s, eb_value value, const eb_value *operand, bool scan) {
    const eb_ir *ir = eb_ir_at(s->fn, value);
    int64_t at, size = ir->imm;
    uint32_t slot = slot_at(s->fn, *operand, &at);
    bool first = operand == &ir->a, plain = !(ir->flags & EB_IR_VOLATILE);
    switch (ir->op) {
    case EB_IR_ADD:
    case EB_IR_SUB:
    case EB_IR_COPY:
        return eb_address_of(s->fn, value).base != value;
    case EB_IR_LOAD:
    case EB_IR_STORE:
        if (!first || !plain || ir->extra || __builtin_add_overflow(at, ir->imm, &at) ||
            !is_in(s, slot, at, ir->size))
            return false;
        if (!scan)
            note_scalar(s, ir, slot, at);
        break;
    case EB_IR_COPYMEM:
    case EB_IR_SETMEM:
        if (!plain || ir->c || operand == &ir->c || !is_in(s, slot, at, size) ||
            (ir->op == EB_IR_SETMEM && !first))
            return false;
        if (!scan)
            note_bulk(s, slot, at, size);
        break;
    default:
        return false;
    }
    bool reads = ir->op == EB_IR_LOAD || (ir->op == EB_IR_COPYMEM && !first);
    s->slots[slot].read |= reads;
    s->slots[slot].written |= !reads;
    return true;
}

/* Once to see which slots stay, once more to learn about the others. */
static void note_uses(splitter *s, bool scan) {
    for (eb_value v = 1; v < s->fn->values.len; v++) {
        const eb_ir *ir = eb_ir_at(s->fn, v);
        if (!ir->block)
            continue;
        for (eb_uses uses = eb_uses_of(s->fn, v); eb_uses_next(&uses);) {
            int64_t at;
            uint32_t slot = slot_at(s->fn, *uses.at, &at);
            if (slot != NO_SLOT && !s->slots[slot].stays)
                s->slots[slot].stays = !note_use(s, v, uses.at, scan);
        }
        if (!scan && is_bulk(ir))
            *EB_PUSH(s->scratch, &s->bulks) = v;
    }
}

static void init(splitter *s, eb_fn *fn) {
    *s = (splitter){.fn = fn, .scratch = eb_scratch(fn), .count = fn->slots.len};
    s->slots = eb_alloc_array(s->scratch, (size_t)s->count + 1, sizeof *s->slots);
    for (uint32_t n = 0; n < s->count; n++)
        s->slots[n].stays = fn->slots.at[n].size > SLOT_MOST;
    note_uses(s, true);
    for (uint32_t n = 0; n < s->count; n++)
        if (!s->slots[n].stays)
            s->slots[n].bytes = eb_alloc(s->scratch, (size_t)fn->slots.at[n].size + 1);
    note_uses(s, false);
}

/* ---- pieces ---- */

static side side_of(const splitter *s, eb_value address) {
    int64_t at;
    uint32_t slot = slot_at(s->fn, address, &at);
    bool split = slot != NO_SLOT && slot < s->count && !s->slots[slot].stays;
    return (side){split ? &s->slots[slot] : NULL, split ? (uint32_t)at : 0, address};
}

/* Both sides of a copy learn from each other. */
static bool exchange(splitter *s, eb_value value) {
    const eb_ir *ir = eb_ir_at(s->fn, value);
    if (ir->op != EB_IR_COPYMEM)
        return false;
    side a = side_of(s, ir->a), b = side_of(s, ir->b);
    bool changed = false;
    for (uint32_t n = 0; a.slot && b.slot && n < (uint64_t)ir->imm; n++) {
        uint8_t *x = &a.slot->bytes[a.at + n], *y = &b.slot->bytes[b.at + n];
        uint8_t keep = n ? 0 : JOINED | SET; /* the first is joined to what is not copied, or not */
        uint8_t both = (uint8_t)((*x | *y) & ~keep);
        changed |= (*x | both) != *x || (*y | both) != *y;
        *x |= both;
        *y |= both;
    }
    return changed;
}

static bool starts_piece(const uint8_t *bytes, uint32_t at) {
    if (!at)
        return true;
    if (bytes[at] & (JOINED | SET))
        return !(bytes[at] & JOINED) && (bytes[at] & EDGE);
    return ((bytes[at] | bytes[at - 1]) & USED) || (bytes[at] & CUT);
}

static uint32_t align_of(uint32_t size) {
    return size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
}

static bool is_scalar(uint32_t size) {
    return size <= 8 && !(size & (size - 1));
}

static uint32_t place_in(const piece *p, uint32_t at) {
    return at - p->lo + p->start;
}

/* What is not one value is as aligned in its slot as it was before. */
static void make_slot(splitter *s, piece *p, const eb_slot *whole) {
    uint32_t size = p->hi - p->lo, align = align_of(size);
    p->start = is_scalar(size) ? 0 : p->lo % align;
    p->slot = eb_slot_new(s->fn, p->start + size, align, whole->name, whole->loc);
}

static void make_pieces(splitter *s, uint32_t number) {
    slot_info *slot = &s->slots[number];
    uint32_t size = (uint32_t)s->fn->slots.at[number].size;
    slot->piece_of = eb_alloc_array(s->scratch, (size_t)size + 1, sizeof *slot->piece_of);
    for (uint32_t at = 0; at < size; at++) {
        if (starts_piece(slot->bytes, at))
            *EB_PUSH(s->scratch, &slot->pieces) = (piece){.lo = at, .used = slot->bytes[at] & USED};
        slot->pieces.at[slot->pieces.len - 1].hi = at + 1;
        slot->piece_of[at] = slot->pieces.len - 1;
    }
    if (slot->pieces.len < 2 && !slot->bulk) {
        slot->stays = true;
        return;
    }
    for (uint32_t n = 0; n < slot->pieces.len; n++) {
        piece *p = &slot->pieces.at[n];
        eb_slot whole = s->fn->slots.at[number];
        if (slot->pieces.len == 1)
            p->slot = number;
        else
            make_slot(s, p, &whole);
    }
}

/* ---- rewriting ---- */

static eb_value put_slot(splitter *s, eb_value place, uint32_t slot, uint32_t at) {
    eb_value v = eb_ir_put(s->fn, place, EB_IR_SLOT, EB_IR_PTR, 0, 0);
    eb_ir_at(s->fn, v)->extra = slot;
    eb_ir_at(s->fn, v)->imm = at;
    return v;
}

static eb_value put_const(splitter *s, eb_value place, unsigned size, uint64_t bits) {
    eb_ir_type type = size == 8 ? EB_IR_I64 : EB_IR_I32;
    eb_value v = eb_ir_put(s->fn, place, EB_IR_CONST, type, 0, 0);
    if (size < 4)
        bits &= (1u << 8 * size) - 1;
    eb_ir_at(s->fn, v)->imm = eb_ir_wrap(type, (int64_t)bits);
    return v;
}

static void put_access(splitter *s, eb_value v, unsigned size, int64_t imm) {
    eb_ir_at(s->fn, v)->size = (uint8_t)size;
    eb_ir_at(s->fn, v)->imm = imm;
}

/* The store of a constant over several pieces. */
static void split_store(splitter *s, eb_value value, const slot_info *info, uint32_t at) {
    eb_ir ir = *eb_ir_at(s->fn, value);
    uint64_t bits = (uint64_t)eb_ir_at(s->fn, ir.b)->imm;
    for (uint32_t n = 0, size; n < ir.size; n += size) {
        const piece *p = &info->pieces.at[info->piece_of[at + n]];
        uint32_t to = place_in(p, at + n), left = p->hi - (at + n);
        left = left < ir.size - n ? left : ir.size - n;
        for (size = align_of(left); to % size; size /= 2)
            continue;
        unsigned above = 8 * (s->fn->unit->big ? ir.size - n - size : n);
        eb_value part = put_const(s, value, size, bits >> above);
        eb_value address = put_slot(s, value, p->slot, 0);
        put_access(s, eb_ir_put(s->fn, value, EB_IR_STORE, EB_IR_VOID, address, part), size, to);
    }
    eb_ir_remove(s->fn, value);
}

static void rewrite_access(splitter *s, eb_value value) {
    int64_t at;
    uint32_t slot = slot_at(s->fn, eb_ir_at(s->fn, value)->a, &at);
    if (slot == NO_SLOT || slot >= s->count || s->slots[slot].stays)
        return;
    at += eb_ir_at(s->fn, value)->imm;
    const slot_info *info = &s->slots[slot];
    const piece *p = &info->pieces.at[info->piece_of[at]];
    if (p->hi < at + eb_ir_at(s->fn, value)->size) {
        split_store(s, value, info, (uint32_t)at);
        return;
    }
    eb_value address = put_slot(s, value, p->slot, 0);
    eb_ir *ir = eb_ir_at(s->fn, value);
    ir->a = address;
    ir->imm = place_in(p, (uint32_t)at);
}

/* The piece that byte `n` of the copy falls into, or NULL. */
static const piece *piece_at(side x, uint32_t n) {
    return x.slot ? &x.slot->pieces.at[x.slot->piece_of[x.at + n]] : NULL;
}

static uint32_t segment_end(side x, uint32_t n, uint32_t end) {
    const piece *p = piece_at(x, n);
    return p && p->hi - x.at < end ? p->hi - x.at : end;
}

/* Whether bytes n to end are a value on this side: a whole piece that is accessed, or memory that
 * is aligned. */
static bool is_value(side x, uint32_t n, uint32_t end, unsigned align) {
    const piece *p = piece_at(x, n);
    uint32_t size = end - n;
    if (!is_scalar(size))
        return false;
    return p ? p->used && p->hi - p->lo == size : n % size == 0 && align >= size;
}

/* The address of byte n of one side, less *imm, which a load or store adds. */
static eb_value address_at(splitter *s, eb_value place, side x, uint32_t n, int64_t *imm) {
    const piece *p = piece_at(x, n);
    *imm = p ? 0 : n;
    return p ? put_slot(s, place, p->slot, place_in(p, x.at + n)) : x.address;
}

static eb_value whole_address(splitter *s, eb_value place, side x, uint32_t n) {
    int64_t imm;
    eb_value address = address_at(s, place, x, n, &imm);
    if (!imm)
        return address;
    eb_value by = eb_ir_put(s->fn, place, EB_IR_CONST, EB_IR_I64, 0, 0);
    eb_ir_at(s->fn, by)->imm = imm;
    return eb_ir_put(s->fn, place, EB_IR_ADD, EB_IR_PTR, address, by);
}

static unsigned align_at(side x, uint32_t n, unsigned align) {
    const piece *p = piece_at(x, n);
    uint32_t at = p ? place_in(p, x.at + n) | align_of(p->hi - p->lo) : n | align;
    return at & (0 - at);
}

static void copy_value(splitter *s, eb_value place, const eb_ir *ir, side to, side from, uint32_t n,
                       unsigned size) {
    int64_t imm;
    eb_value value, address;
    if (ir->op == EB_IR_SETMEM) {
        value =
            put_const(s, place, size, 0x0101010101010101u * (uint8_t)eb_ir_at(s->fn, ir->b)->imm);
    } else {
        address = address_at(s, place, from, n, &imm);
        value = eb_ir_put(s->fn, place, EB_IR_LOAD, size == 8 ? EB_IR_I64 : EB_IR_I32, address, 0);
        put_access(s, value, size, imm);
    }
    address = address_at(s, place, to, n, &imm);
    put_access(s, eb_ir_put(s->fn, place, EB_IR_STORE, EB_IR_VOID, address, value), size, imm);
}

static void copy_rest(splitter *s, eb_value place, const eb_ir *ir, side to, side from, uint32_t n,
                      uint32_t end) {
    unsigned align = align_at(to, n, ir->size);
    eb_value a = whole_address(s, place, to, n), b = ir->b;
    if (ir->op == EB_IR_COPYMEM) {
        align = align_at(from, n, ir->size) < align ? align_at(from, n, ir->size) : align;
        b = whole_address(s, place, from, n);
    }
    put_access(s, eb_ir_put(s->fn, place, (eb_ir_op)ir->op, EB_IR_VOID, a, b),
               align > 8 ? 8 : align, end - n);
}

static void rewrite_bulk(splitter *s, eb_value value) {
    eb_ir ir = *eb_ir_at(s->fn, value);
    side to = side_of(s, ir.a), from = {0};
    bool copies = ir.op == EB_IR_COPYMEM;
    if (copies)
        from = side_of(s, ir.b);
    if (!to.slot && !from.slot)
        return;
    if (!ir.size || (ir.size & (ir.size - 1)))
        ir.size = 1;
    for (uint32_t n = 0, end; n < (uint64_t)ir.imm; n = end) {
        end = segment_end(from, n, segment_end(to, n, (uint32_t)ir.imm));
        bool known = copies ? is_value(from, n, end, ir.size) : eb_ir_is_const(s->fn, ir.b);
        if (known && is_value(to, n, end, ir.size))
            copy_value(s, value, &ir, to, from, n, end - n);
        else
            copy_rest(s, value, &ir, to, from, n, end);
    }
    eb_ir_remove(s->fn, value);
}

/* ---- what is never read ---- */

/* What is written to a slot that nobody reads, and what is copied from one that nobody writes. */
static bool is_idle(const splitter *s, const eb_ir *ir) {
    int64_t at;
    uint32_t to = slot_at(s->fn, ir->a, &at), from = NO_SLOT;
    if (ir->op == EB_IR_COPYMEM)
        from = slot_at(s->fn, ir->b, &at);
    return (to != NO_SLOT && !s->slots[to].stays && !s->slots[to].read) ||
           (from != NO_SLOT && !s->slots[from].stays && !s->slots[from].written);
}

static bool drop_unread(eb_fn *fn) {
    bool changed = false, more = true;
    for (unsigned round = 0; more && round < ROUNDS_MOST; round++) {
        splitter s = {.fn = fn, .scratch = eb_scratch(fn), .count = fn->slots.len};
        s.slots = eb_alloc_array(s.scratch, (size_t)s.count + 1, sizeof *s.slots);
        note_uses(&s, true);
        more = false;
        for (eb_value v = 1; v < fn->values.len; v++) {
            const eb_ir *ir = eb_ir_at(fn, v);
            if (!ir->block || (ir->op != EB_IR_STORE && !is_bulk(ir)) || !is_idle(&s, ir))
                continue;
            eb_ir_remove(fn, v);
            changed = more = true;
        }
    }
    return changed;
}

bool eb_pass_sroa(eb_fn *fn) {
    splitter s;
    bool changed = fn->slots.len && drop_unread(fn), more = changed;
    if (!fn->slots.len)
        return false;
    init(&s, fn);
    more = true;
    for (unsigned round = 0; more && round < ROUNDS_MOST; round++) {
        more = false;
        for (uint32_t n = 0; n < s.bulks.len; n++)
            more |= exchange(&s, s.bulks.at[n]);
    }
    bool any = false;
    for (uint32_t n = 0; n < s.count; n++)
        if (!s.slots[n].stays) {
            make_pieces(&s, n);
            any |= !s.slots[n].stays;
        }
    if (!any)
        return changed;
    for (eb_value v = 1, count = fn->values.len; v < count; v++)
        if (eb_ir_at(fn, v)->block &&
            (eb_ir_at(fn, v)->op == EB_IR_LOAD || eb_ir_at(fn, v)->op == EB_IR_STORE))
            rewrite_access(&s, v);
    for (uint32_t n = 0; n < s.bulks.len; n++)
        rewrite_bulk(&s, s.bulks.at[n]);
    (void)drop_unread(fn);
    return true;
}
