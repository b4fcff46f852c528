/* ir_eval.c - see ir_eval.h. What single operations mean is ir/eval.c's (which other tests compare
 * with the VM); here is what they do together. */
#include "ir_eval.h"

#include <stdlib.h>

#include "blocks.h"
#include "fold.h"

enum { MEMORY = 1 << 18, BASE = 1 << 20, CONTEXT = 256, DEPTH_MOST = 16, GUARD = 64 };

typedef struct machine {
    const eb_ir_unit *unit;
    uint8_t *memory;
    uint64_t *symbols; /* addresses of variables */
    uint64_t globals;  /* end of the variables */
    uint64_t world, steps, budget;
    enum ir_stop stop;
    unsigned depth;
} machine;

typedef struct frame {
    machine *m;
    eb_fn *fn;
    uint64_t *values, *next; /* next: phis, before they all change */
    uint64_t *slots;         /* their addresses */
    const uint64_t *params;
    uint32_t block;
} frame;

static uint64_t mix(uint64_t a, uint64_t b) {
    a = (a ^ b) * 0x9e3779b97f4a7c15u;
    return a ^ a >> 29;
}

/* ---- memory ---- */

static uint8_t *at(machine *m, uint64_t address, uint64_t size) {
    if (address < BASE || size > MEMORY || address - BASE > MEMORY - size) {
        if (m->stop == IR_RETURNED)
            m->stop = IR_FAULT;
        return NULL;
    }
    return m->memory + (address - BASE);
}

static uint64_t load(machine *m, uint64_t address, unsigned size) {
    const uint8_t *from = at(m, address, size);
    bool big = m->unit->big;
    if (!from)
        return 0;
    return size == 1   ? *from
           : size == 2 ? eb_get16(from, big)
           : size == 4 ? eb_get32(from, big)
                       : eb_get64(from, big);
}

static void store(machine *m, uint64_t address, unsigned size, uint64_t value) {
    uint8_t *to = at(m, address, size);
    bool big = m->unit->big;
    if (!to)
        return;
    if (size == 1)
        *to = (uint8_t)value;
    else if (size == 2)
        eb_set16(to, big, (uint16_t)value);
    else if (size == 4)
        eb_set32(to, big, (uint32_t)value);
    else
        eb_set64(to, big, value);
}

static uint64_t extend(const eb_ir *ir, uint64_t value) {
    if (ir->flags & EB_IR_SIGNED) {
        unsigned shift = 64 - 8u * ir->size;
        value = (uint64_t)((int64_t)(value << shift) >> shift);
    }
    return (uint64_t)eb_ir_wrap(ir->type, (int64_t)value);
}

/* ---- calls ---- */

/* What the kernel does with operands, all of it in the open: reads and changes what they point to.
 */
static uint64_t outside(machine *m, uint64_t number, const uint64_t *args, uint32_t count) {
    uint64_t result = mix(number, count);
    for (uint32_t n = 0; n < count; n++) {
        bool points = args[n] >= BASE && args[n] - BASE <= MEMORY - 8;
        result = mix(result, args[n]);
        if (!points)
            continue;
        result = mix(result, load(m, args[n], 8));
        store(m, args[n] + 1, 2, result);
    }
    m->world = mix(m->world, result);
    return result;
}

static uint64_t call(machine *m, uint32_t symbol, const uint64_t *args, uint64_t stack);

static uint64_t eval_call(frame *f, const eb_ir *ir, uint64_t stack) {
    uint64_t args[8] = {0};
    const eb_list *list = &f->fn->lists.at[ir->list];
    uint32_t count = ir->list ? list->values.len : 0;
    for (uint32_t n = 0; n < count && n < 8; n++) {
        const eb_ir *arg = eb_ir_at(f->fn, list->values.at[n]);
        args[n] = f->values[list->values.at[n]];
        if (arg->type == EB_IR_I32)
            args[n] = (uint32_t)args[n];
    }
    uint64_t result;
    if (ir->op == EB_IR_CALL && f->m->unit->symbols.at[ir->extra].fn)
        result = call(f->m, ir->extra, args, stack);
    else
        result = outside(f->m, ir->op == EB_IR_HELPER ? (uint64_t)ir->imm : 1000 + ir->extra, args,
                         count);
    return (uint64_t)eb_ir_wrap(ir->type, (int64_t)result);
}

static uint64_t eval_atomic(frame *f, const eb_ir *ir) {
    uint64_t address = f->values[ir->a] + (uint64_t)ir->imm, b = f->values[ir->b];
    uint64_t old = load(f->m, address, ir->size), cut = ir->size == 8 ? ~0ull : UINT32_MAX;
    uint64_t now[EB_ATOMIC_COUNT] = {
        [EB_ATOMIC_ADD] = old + b, [EB_ATOMIC_OR] = old | b, [EB_ATOMIC_AND] = old & b,
        [EB_ATOMIC_XOR] = old ^ b, [EB_ATOMIC_SWAP] = b,     [EB_ATOMIC_CAS] = old,
        [EB_ATOMIC_LOAD] = old,    [EB_ATOMIC_STORE] = b,
    };
    if (ir->cond == EB_ATOMIC_CAS && ((old ^ f->values[ir->c]) & cut) == 0)
        now[EB_ATOMIC_CAS] = b;
    store(f->m, address, ir->size, now[ir->cond]);
    return (uint64_t)eb_ir_wrap(ir->type, (int64_t)old);
}

static void eval_memory(frame *f, const eb_ir *ir) {
    uint64_t size = ir->c ? f->values[ir->c] : (uint64_t)ir->imm;
    uint8_t *to = at(f->m, f->values[ir->a], size);
    const uint8_t *from = ir->op == EB_IR_SETMEM ? to : at(f->m, f->values[ir->b], size);
    if (!to || !from || !size)
        return;
    if (ir->op == EB_IR_SETMEM)
        memset(to, (int)(uint8_t)f->values[ir->b], (size_t)size);
    else
        memmove(to, from, (size_t)size);
}

static uint64_t eval_compare(frame *f, const eb_ir *ir) {
    uint64_t size = ir->c ? f->values[ir->c] : (uint64_t)ir->imm;
    const uint8_t *x = at(f->m, f->values[ir->a], size), *y = at(f->m, f->values[ir->b], size);
    int order = x && y ? memcmp(x, y, (size_t)size) : 0;
    return (uint64_t)(int64_t)(order < 0 ? -1 : order > 0);
}

/* ---- instructions ---- */

static uint64_t eval(frame *f, const eb_ir *ir, uint64_t stack) {
    machine *m = f->m;
    uint64_t a = f->values[ir->a], b = f->values[ir->b];
    if (eb_ir_is_binary(ir->op))
        return (uint64_t)eb_eval_binary(ir->op, ir->type, (int64_t)a, (int64_t)b);
    switch (ir->op) { /* one case per operation */
    case EB_IR_CONST:
        return (uint64_t)ir->imm;
    case EB_IR_SYMBOL:
        return m->symbols[ir->extra] + (uint64_t)ir->imm;
    case EB_IR_SLOT:
        return f->slots[ir->extra] + (uint64_t)ir->imm;
    case EB_IR_PARAM:
        return (uint64_t)eb_ir_wrap(ir->type, (int64_t)f->params[ir->imm]);
    case EB_IR_UNDEF:
    case EB_IR_CONST_P:
        return 0;
    case EB_IR_CORE:
        return (uint64_t)m->unit->cores.at[ir->extra].value;
    case EB_IR_CMP:
        return eb_eval_cond(ir->cond, eb_ir_at(f->fn, ir->a)->type, (int64_t)a, (int64_t)b);
    case EB_IR_COPY:
        return a;
    case EB_IR_LOAD:
        if (ir->flags & EB_IR_VOLATILE)
            m->world = mix(m->world, a + (uint64_t)ir->imm);
        return extend(ir, load(m, a + (uint64_t)ir->imm, ir->size));
    case EB_IR_STORE:
        if (ir->flags & EB_IR_VOLATILE)
            m->world = mix(m->world, a + (uint64_t)ir->imm + b);
        store(m, a + (uint64_t)ir->imm, ir->size, b);
        return 0;
    case EB_IR_COPYMEM:
    case EB_IR_MOVEMEM:
    case EB_IR_SETMEM:
        eval_memory(f, ir);
        return 0;
    case EB_IR_MEMCMP:
        return eval_compare(f, ir);
    case EB_IR_ATOMIC:
        return eval_atomic(f, ir);
    case EB_IR_CALL:
    case EB_IR_HELPER:
        return eval_call(f, ir, stack);
    case EB_IR_NEG:
    case EB_IR_SWAP:
    case EB_IR_SEXT:
    case EB_IR_ZEXT:
    case EB_IR_TRUNC:
        return (uint64_t)eb_eval_unary(ir, (int64_t)a);
    default:
        m->stop = IR_UNKNOWN;
        return 0;
    }
}

static void enter(frame *f, uint32_t succ) {
    uint32_t from = f->block, to = f->fn->blocks.at[from].succs.at[succ];
    eb_value v = f->fn->blocks.at[to].first;
    if (eb_ir_at(f->fn, v)->op == EB_IR_PHI) {
        uint32_t index = eb_edge_of(f->fn, from, succ);
        for (; eb_ir_at(f->fn, v)->op == EB_IR_PHI; v = eb_ir_at(f->fn, v)->next)
            f->next[v] = f->values[*eb_phi_at(f->fn, v, index)];
        for (v = f->fn->blocks.at[to].first; eb_ir_at(f->fn, v)->op == EB_IR_PHI;
             v = eb_ir_at(f->fn, v)->next)
            f->values[v] = f->next[v];
    }
    f->block = to;
}

static uint64_t run(frame *f, uint64_t stack) {
    machine *m = f->m;
    for (f->block = 1; m->stop == IR_RETURNED;) {
        eb_value v = eb_block_body(f->fn, f->block);
        const eb_ir *ir;
        for (ir = eb_ir_at(f->fn, v); eb_ir_rows[ir->op].effect != EB_EFFECT_END;
             v = ir->next, ir = eb_ir_at(f->fn, v)) {
            if (++m->steps > m->budget || m->stop != IR_RETURNED)
                break;
            f->values[v] = eval(f, ir, stack);
        }
        if (++m->steps > m->budget)
            m->stop = m->stop == IR_RETURNED ? IR_TIMEOUT : m->stop;
        if (m->stop != IR_RETURNED)
            break;
        uint64_t a = f->values[ir->a], b = f->values[ir->b];
        if (ir->op == EB_IR_RETURN)
            return (uint64_t)eb_ir_wrap(f->fn->result, (int64_t)a);
        if (ir->op == EB_IR_JUMP)
            enter(f, 0);
        else if (ir->op == EB_IR_BRANCH)
            enter(f, !eb_eval_cond(ir->cond, eb_ir_at(f->fn, ir->a)->type, (int64_t)a, (int64_t)b));
        else
            m->stop = ir->op == EB_IR_UNREACHABLE ? IR_UNREACHED : IR_UNKNOWN;
    }
    return 0;
}

static uint64_t call(machine *m, uint32_t symbol, const uint64_t *args, uint64_t stack) {
    eb_fn *fn = m->unit->symbols.at[symbol].fn;
    frame f = {.m = m, .fn = fn, .params = args};
    if (++m->depth > DEPTH_MOST) {
        m->stop = IR_FAULT;
        return 0;
    }
    f.values = calloc(fn->values.len, sizeof *f.values);
    f.next = calloc(fn->values.len, sizeof *f.next);
    f.slots = calloc(fn->slots.len + 1, sizeof *f.slots);
    if (!f.values || !f.next || !f.slots)
        abort();
    for (uint32_t n = 0; n < fn->slots.len; n++) {
        f.slots[n] = stack;
        stack = (stack + fn->slots.at[n].size + GUARD + 7) & ~7ull;
    }
    uint64_t result = run(&f, stack);
    free(f.values);
    free(f.next);
    free(f.slots);
    m->depth--;
    return result;
}

/* ---- a run ---- */

static uint64_t place_variables(machine *m) {
    uint64_t end = BASE + CONTEXT;
    for (uint32_t n = 1; n < m->unit->symbols.len; n++) {
        const eb_ir_symbol *symbol = &m->unit->symbols.at[n];
        m->symbols[n] = end;
        uint8_t *to = symbol->kind == EB_IR_VARIABLE ? at(m, end, symbol->size) : NULL;
        if (to && symbol->data.len)
            memcpy(to, symbol->data.at, symbol->data.len);
        end = (end + symbol->size + GUARD + 7) & ~7ull;
    }
    for (uint32_t n = 1; n < m->unit->symbols.len; n++)
        for (uint32_t w = 0; w < m->unit->symbols.at[n].words.len; w++) {
            const eb_ir_word *word = &m->unit->symbols.at[n].words.at[w];
            store(m, m->symbols[n] + word->offset, word->size,
                  m->symbols[word->symbol] + (uint64_t)word->addend);
        }
    return end;
}

ir_result ir_eval(const eb_ir_unit *unit, uint32_t symbol, const uint64_t *params,
                  uint64_t budget) {
    machine m = {.unit = unit, .budget = budget};
    uint64_t args[5];
    m.memory = calloc(1, MEMORY);
    m.symbols = calloc(unit->symbols.len, sizeof *m.symbols);
    if (!m.memory || !m.symbols)
        abort();
    for (unsigned n = 0; n < CONTEXT; n++)
        m.memory[n] = (uint8_t)mix(params[1], n);
    memcpy(args, params, sizeof args);
    if (unit->symbols.at[symbol].fn->entry)
        args[0] = BASE;
    m.globals = place_variables(&m);
    uint64_t value = call(&m, symbol, args, m.globals);
    for (uint64_t n = 0; n < m.globals - BASE && n < MEMORY; n++)
        m.world = mix(m.world, m.memory[n]);
    free(m.memory);
    free(m.symbols);
    return (ir_result){m.stop, value, m.world, m.steps};
}
