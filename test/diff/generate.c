/* generate.c - a program from a seed: functions from the last to the first, so that each calls what
 * is there already; arithmetic, branches, loops and calls. See generate.h. */
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include "generate.h"

/* ---- steps ---- */

uint32_t emit(gen *g, uint32_t op, uint32_t dst, uint32_t src, int off, int64_t imm) {
    const eb_insn_row *row = &eb_insn_rows[op];
    func *f = g->f;
    if (f->count == MOST_STEPS - 1) /* fuel runs out long before */
        abort();
    f->steps[f->count] = (step){.op = (uint16_t)op,
                                .dst = (uint8_t)dst,
                                .src = (uint8_t)(src ? src : row->src),
                                .off = (int16_t)(off ? off : row->off),
                                .imm = imm ? imm : row->imm};
    g->fuel--;
    g->weight++;
    return f->count++;
}

uint32_t emit_ref(gen *g, uint32_t op, uint32_t dst, ref_kind ref, uint32_t to, int64_t imm) {
    uint32_t at = emit(g, op, dst, 0, 0, imm);
    g->f->steps[at].ref = (uint8_t)ref;
    g->f->steps[at].target = to;
    return at;
}

uint32_t emit_jump(gen *g, uint32_t op, uint32_t dst, uint32_t src, int64_t imm) {
    uint32_t at = emit(g, op, dst, src, 0, imm);
    g->f->steps[at].ref = REF_JUMP;
    return at;
}

void land(gen *g, uint32_t jump) {
    g->f->steps[jump].target = g->f->count;
}

void move(gen *g, uint32_t dst, uint32_t src) {
    emit(g, EB_OP_ALU64_X_MOV, dst, src, 0, 0);
    if (dst < REGS && src < REGS)
        g->s.reg[dst] = g->s.reg[src];
}

void move_imm(gen *g, uint32_t dst, int32_t imm) {
    emit(g, EB_OP_ALU64_K_MOV, dst, 0, 0, imm);
    set_scalar(g, dst);
}

uint32_t random_op(gen *g, eb_form form) {
    uint32_t first = 0, count = 0;
    for (uint32_t op = 0; op < EB_OP_COUNT; op++) {
        if (eb_insn_rows[op].form != form)
            continue;
        if (!count++)
            first = op;
    }
    uint32_t pick = rng_below(&g->r, count);
    for (uint32_t op = first;; op++)
        if (eb_insn_rows[op].form == form && pick-- == 0)
            return op;
}

int64_t random_number(gen *g) {
    uint64_t bit = UINT64_C(1) << rng_below(&g->r, 64), any = rng_next(&g->r);
    switch (rng_below(&g->r, 8)) {
    case 0:
        return (int64_t)(any % 3) - 1;
    case 1:
        return (int64_t)(any % 256) - 128;
    case 2:
        return (int64_t)bit;
    case 3:
        return (int64_t)(bit - 1 + any % 3);
    case 4:
        return (int64_t)(0 - bit);
    case 5:
        return (int32_t)(uint32_t)any;
    default:
        return (int64_t)any;
    }
}

int32_t random_imm(gen *g) {
    return (int32_t)(uint32_t)(uint64_t)random_number(g);
}

/* ---- registers ---- */

static uint32_t bit(uint32_t reg) {
    return UINT32_C(1) << reg;
}

void hold(gen *g, uint32_t reg) {
    g->held |= bit(reg);
}

/* A random register that `fits` says may be taken, or -1. */
static int pick(gen *g, uint32_t mask) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < REGS; i++)
        count += mask >> i & 1;
    if (!count)
        return -1;
    uint32_t n = rng_below(&g->r, count);
    for (uint32_t i = 0;; i++)
        if ((mask >> i & 1) && n-- == 0) {
            hold(g, i);
            return (int)i;
        }
}

static uint32_t of_kind(const gen *g, uint32_t kinds) {
    uint32_t mask = 0;
    for (uint32_t i = 0; i < REGS; i++)
        mask |= (kinds >> g->s.reg[i].kind & 1) << i;
    return mask & ~g->held;
}

int fresh(gen *g) {
    uint32_t taken = g->locked | g->sticky;
    int reg = pick(g, of_kind(g, bit(NONE)) & ~taken);
    return reg >= 0 ? reg : pick(g, of_kind(g, bit(SCALAR)) & ~taken);
}

int target(gen *g) {
    return pick(g, of_kind(g, bit(NONE) | bit(SCALAR)) & ~g->locked);
}

void set_scalar(gen *g, uint32_t reg) {
    g->s.reg[reg] = (content){.kind = SCALAR};
}

void forget(gen *g, uint32_t reg) {
    g->s.reg[reg] = (content){.kind = NONE};
}

int scalar(gen *g) {
    int reg = pick(g, of_kind(g, bit(SCALAR)));
    if (reg >= 0)
        return reg;
    if ((reg = fresh(g)) >= 0)
        move_imm(g, (uint32_t)reg, random_imm(g));
    return reg;
}

void after_call(gen *g) {
    for (uint32_t i = 1; i <= 5; i++)
        forget(g, i);
    set_scalar(g, 0);
}

static bool is_pointer(const content *v) {
    return v->kind != NONE && v->kind != SCALAR;
}

/* Put `reg` into a slot that has no pointer yet, if there is one. */
static void spill_pointer(gen *g, uint32_t reg) {
    for (uint32_t i = 0; i < SLOTS && !g->slots_locked; i++) {
        if (is_pointer(&g->s.slot[i]))
            continue;
        emit(g, EB_OP_STX64_DW, 10, reg, -(int)(g->data + 8 * (i + 1)), 0);
        g->s.slot[i] = g->s.reg[reg];
        return;
    }
}

void save_pointers(gen *g) {
    for (uint32_t i = 0; i <= 5; i++) {
        if (!is_pointer(&g->s.reg[i]))
            continue;
        uint32_t mask = of_kind(g, bit(NONE) | bit(SCALAR)) & ~(g->locked | g->sticky) & 0x3c0;
        int to = pick(g, mask);
        if (to >= 0)
            move(g, (uint32_t)to, i);
        else
            spill_pointer(g, i);
    }
}

state merge(const state *a, const state *b) {
    state out = {0};
    for (uint32_t i = 0; i < REGS; i++)
        if (memcmp(&a->reg[i], &b->reg[i], sizeof a->reg[i]) == 0)
            out.reg[i] = a->reg[i];
    for (uint32_t i = 0; i < SLOTS; i++)
        if (memcmp(&a->slot[i], &b->slot[i], sizeof a->slot[i]) == 0)
            out.slot[i] = a->slot[i];
    return out;
}

/* ---- arithmetic ---- */

static bool divides(uint32_t op) {
    uint8_t bits = eb_insn_rows[op].code & 0xf0;
    return bits == 0x30 || bits == 0x90;
}

static bool shifts(uint32_t op) {
    uint8_t bits = eb_insn_rows[op].code & 0xf0;
    return bits == 0x60 || bits == 0x70 || bits == 0xc0;
}

/* What the verifier takes as an operand: no division by 0, no shift by more than there are bits. */
static int32_t operand(gen *g, uint32_t op, uint32_t bits) {
    if (shifts(op))
        return (int32_t)rng_below(&g->r, bits);
    int32_t imm = random_imm(g);
    return imm == 0 && divides(op) ? -1 : imm;
}

static bool arithmetic(gen *g) {
    static const eb_form forms[] = {
        EB_FORM_ALU64_X, EB_FORM_ALU64_K, EB_FORM_ALU32_X, EB_FORM_ALU32_K, EB_FORM_ALU64_X,
        EB_FORM_ALU32_X, EB_FORM_MOVSX64, EB_FORM_MOVSX32, EB_FORM_NEG64,   EB_FORM_NEG32,
        EB_FORM_END,     EB_FORM_BSWAP,   EB_FORM_LDDW};
    eb_form form = forms[rng_below(&g->r, sizeof forms / sizeof *forms)];
    uint32_t op = random_op(g, form);
    int src = scalar(g), dst = target(g);
    if (src < 0)
        return false;
    if (dst < 0 || rng_chance(&g->r, 5)) /* x op x now and then */
        dst = g->locked >> src & 1 ? -1 : src;
    if (dst < 0)
        return false;
    uint32_t d = (uint32_t)dst, s = (uint32_t)src;
    if (form != EB_FORM_LDDW && g->s.reg[d].kind != SCALAR)
        move(g, d, s);
    switch (form) {
    case EB_FORM_ALU64_K:
    case EB_FORM_ALU32_K:
        emit(g, op, d, 0, 0, operand(g, op, form == EB_FORM_ALU64_K ? 64 : 32));
        break;
    case EB_FORM_LDDW:
        emit(g, op, d, 0, 0, random_number(g));
        break;
    case EB_FORM_NEG64:
    case EB_FORM_NEG32:
    case EB_FORM_END:
    case EB_FORM_BSWAP:
        emit(g, op, d, 0, 0, 0);
        break;
    default:
        emit(g, op, d, s, 0, 0);
    }
    set_scalar(g, d);
    return true;
}

/* ---- control ---- */

/* A random condition over numbers, not taken into the body behind it. Its index or -1. */
static int condition(gen *g) {
    static const eb_form forms[] = {EB_FORM_JMP64_X, EB_FORM_JMP64_K, EB_FORM_JMP32_X,
                                    EB_FORM_JMP32_K};
    eb_form form = forms[rng_below(&g->r, 4)];
    uint32_t op = random_op(g, form);
    int a = scalar(g), b = scalar(g);
    if (a < 0 || b < 0)
        return -1;
    if (form == EB_FORM_JMP64_K || form == EB_FORM_JMP32_K)
        return (int)emit_jump(g, op, (uint32_t)a, 0, random_imm(g));
    return (int)emit_jump(g, op, (uint32_t)a, (uint32_t)b, 0);
}

/* An unconditional jump, its distance in either field. */
static uint32_t jump_away(gen *g) {
    return emit_jump(g, rng_chance(&g->r, 30) ? EB_OP_JA32_ONLY : EB_OP_JA_ONLY, 0, 0, 0);
}

static bool branch(gen *g) {
    if (g->depth > 4)
        return false;
    int over = condition(g);
    if (over < 0)
        return false;
    state before = g->s;
    block(g, 6);
    if (rng_chance(&g->r, 50)) {
        uint32_t end = jump_away(g);
        land(g, (uint32_t)over);
        state first = g->s;
        g->s = before;
        block(g, 6);
        land(g, end);
        g->s = merge(&first, &g->s);
        return true;
    }
    land(g, (uint32_t)over);
    g->s = merge(&before, &g->s);
    return true;
}

/* A loop begins: what it may change is forgotten, what must stay is protected. */
static void enter_loop(gen *g, uint32_t counter) {
    for (uint32_t i = 0; i < REGS; i++) {
        bool up = i >= 6;
        if (!up && !(g->locked & bit(i)))
            forget(g, i);
        else if (is_pointer(&g->s.reg[i]))
            g->locked |= bit(i);
        else if (g->s.reg[i].kind == SCALAR)
            g->sticky |= bit(i);
    }
    g->locked |= bit(counter);
    g->slots_locked = true;
    g->loops++;
}

static bool loop(gen *g) {
    if (g->depth > 2 || g->loops > 1)
        return false;
    int counter = -1;
    for (uint32_t i = 6; i < REGS && counter < 0; i++)
        if (!is_pointer(&g->s.reg[i]) && !((g->locked | g->sticky) & bit(i)))
            counter = (int)i;
    if (counter < 0)
        return false;
    uint32_t c = (uint32_t)counter, locked = g->locked, sticky = g->sticky;
    bool slots_locked = g->slots_locked,
         may_goto = rng_chance(&g->r, g->sig->role >= ROLE_LOOP ? 0 : 40);
    int32_t turns = 1 + (int32_t)rng_below(&g->r, g->loops ? 3 : 6);
    move_imm(g, c, 0);
    enter_loop(g, c);
    uint32_t head = g->f->count, leave[2] = {0};
    if (may_goto) {
        leave[0] = emit_jump(g, EB_OP_MAY_GOTO_ONLY, 0, 0, 0);
        leave[1] = emit_jump(g, EB_OP_JMP64_K_JSGE, c, 0, turns);
    }
    block(g, 5);
    emit(g, EB_OP_ALU64_K_ADD, c, 0, 0, 1);
    uint32_t back = may_goto ? jump_away(g) : emit_jump(g, EB_OP_JMP64_K_JLT, c, 0, turns);
    g->f->steps[back].target = head;
    if (may_goto) {
        land(g, leave[0]);
        land(g, leave[1]);
        for (uint32_t i = 0; i <= 5; i++) /* the body may not have run at all */
            if (!(g->locked & bit(i)))
                forget(g, i);
        for (uint32_t i = 6; i < REGS; i++)
            if (!((g->locked | g->sticky) & bit(i)))
                forget(g, i);
    }
    g->locked = locked;
    g->sticky = sticky;
    g->slots_locked = slots_locked;
    g->loops--;
    return true;
}

/* ---- calls ---- */

/* Argument `i` of a call, into its register; those before it are held. */
static bool pass(gen *g, uint32_t i, const content *want) {
    uint32_t reg = i + 1;
    if (want->kind == SCALAR) {
        int from = g->s.reg[reg].kind == SCALAR ? (int)reg : scalar(g);
        if (from < 0)
            return false;
        if ((uint32_t)from != reg)
            move(g, reg, (uint32_t)from);
    } else if (want->kind == CONTEXT) {
        uint32_t mask = of_kind(g, bit(CONTEXT));
        int from = pick(g, mask);
        if (from < 0)
            return false;
        if ((uint32_t)from != reg)
            move(g, reg, (uint32_t)from);
    } else {
        place at;
        if (!find_place(g, want->size, want->write, &at))
            return false;
        at.off += (int)(rng_below(&g->r, (at.size - want->size) / 8 + 1) * 8);
        put_address(g, reg, &at);
    }
    g->s.reg[reg] = *want;
    hold(g, reg);
    return true;
}

int pick_function(gen *g, role wanted, uint32_t which) {
    uint32_t first = g->self < g->p->entry_count ? g->p->entry_count : g->self + 1;
    uint32_t others = g->p->func_count - first, start = others ? rng_below(&g->r, others) : 0;
    for (uint32_t n = 0; n < others; n++) {
        uint32_t to = first + (start + n) % others;
        if (g->sigs[to].role == wanted && (wanted != ROLE_EACH || g->sigs[to].map == which))
            return (int)to;
    }
    return -1;
}

bool can_run(const gen *g, uint32_t to) {
    const signature *sig = &g->sigs[to];
    bool back = sig->role >= ROLE_LOOP, in_back = g->sig->role >= ROLE_LOOP;
    if (g->loops > (back ? 0 : 1) || (back && in_back && sig->weight > 150) ||
        g->weight + sig->weight > 900)
        return false; /* it takes the verifier too long */
    if (sig->moves && g->packets)
        return false;
    if (sig->tails && g->self != 0 && g->sig->role != ROLE_CALL)
        return false;
    for (uint32_t i = 0; i < g->p->map_count; i++)
        if (g->busy[i] && (sig->changes >> i & 1))
            return false;
    return can_call(g);
}

void note_run(gen *g, uint32_t to) {
    const signature *sig = &g->sigs[to];
    g->changes |= sig->changes;
    g->weight += sig->weight;
    g->sig->tails |= sig->tails;
    g->sig->moves |= sig->moves;
    g->stack = sig->stack > g->stack ? sig->stack : g->stack;
}

static bool call_function(gen *g) {
    int found = pick_function(g, ROLE_CALL, 0);
    if (found < 0 || !can_run(g, (uint32_t)found) || !begin_call(g))
        return false;
    uint32_t to = (uint32_t)found;
    const signature *sig = &g->sigs[to];
    for (uint32_t i = 0; i < sig->args; i++)
        if (!pass(g, i, &sig->arg[i])) {
            for (uint32_t k = 1; k <= i; k++)
                forget(g, k);
            return true;
        }
    emit_ref(g, EB_OP_CALL_LOCAL_ONLY, 0, REF_CALL, to, 0);
    after_call(g);
    note_run(g, to);
    return true;
}

/* ---- blocks ---- */

static const struct {
    statement *make;
    uint32_t weight;
} statements[] = {
    {arithmetic, 40},  {access_memory, 25}, {access_variable, 8}, {fetch_number, 12},
    {branch, 12},      {loop, 4},           {call_function, 6},   {spill, 4},
    {fill, 4},         {map_lookup, 6},     {map_update, 5},      {map_delete, 2},
    {some_helper, 5},  {access_context, 5}, {use_queue, 3},       {use_ring, 4},
    {access_field, 6}, {open_packet, 6},    {call_for_packet, 6}, {load_classic, 3},
    {call_each, 4},    {call_loop, 4},      {call_tail, 2},
};

static void one_statement(gen *g) {
    uint32_t sum = 0, count = sizeof statements / sizeof *statements;
    for (uint32_t i = 0; i < count; i++)
        sum += statements[i].weight;
    uint32_t n = rng_below(&g->r, sum), i = 0;
    while (n >= statements[i].weight)
        n -= statements[i++].weight;
    uint32_t held = g->held;
    g->held = 0;
    statements[i].make(g);
    g->held = held;
}

void block(gen *g, int most) {
    g->depth++;
    for (uint32_t i = 1 + rng_below(&g->r, (uint32_t)most); i > 0 && g->fuel > 0; i--)
        one_statement(g);
    g->depth--;
}

/* ---- functions ---- */

/* Every byte of the frame's numbers gets one, and no register is lost. */
static void fill_frame(gen *g) {
    for (uint32_t at = 0; at < g->data; at += 8)
        emit(g, EB_OP_ST_DW, 10, 0, -(int)(g->data - at), random_imm(g));
}

/* Numbers that are left go to the map `out`: registers first, then the frame. */
static void pour_out(gen *g) {
    int spare = -1;
    for (uint32_t i = 1; i < REGS && spare < 0; i++)
        if (g->s.reg[i].kind != SCALAR)
            spare = (int)i;
    if (spare < 0) {
        spare = 9;
        emit(g, EB_OP_ALU64_X_XOR, 8, 9, 0, 0);
    }
    uint32_t to = (uint32_t)spare, at = 0;
    emit_ref(g, EB_OP_LDDW_ONLY, to, REF_VALUE, g->out, 0);
    for (uint32_t i = 0; i < REGS; i++, at += 8)
        if (i != to && g->s.reg[i].kind == SCALAR)
            emit(g, EB_OP_STX64_DW, to, i, (int)at, 0);
    uint32_t with = to == 1 ? 2 : 1; /* r0 is the result */
    for (uint32_t i = 0; i < g->data; i += 8, at += 8) {
        emit(g, EB_OP_LDX64_DW, with, 10, (int)i - (int)g->data, 0);
        emit(g, EB_OP_STX64_DW, to, with, (int)at, 0);
    }
}

static content random_argument(gen *g) {
    uint32_t n = rng_below(&g->r, 10);
    if (n < 6)
        return (content){.kind = SCALAR};
    if (n < 7)
        return (content){.kind = CONTEXT};
    return (content){
        .kind = MEMORY, .write = true, .size = (uint16_t)(8 + 8 * rng_below(&g->r, 3))};
}

/* A map that can be walked in an order that the VM has, too: 1 + its number, or 0. */
static uint32_t map_to_walk(gen *g) {
    uint32_t first = rng_below(&g->r, g->p->map_count);
    for (uint32_t n = 0; n < g->p->map_count; n++) {
        uint32_t i = (first + n) % g->p->map_count;
        const map *m = &g->p->maps[i];
        bool ordered = m->type == BPF_MAP_TYPE_HASH && m->flags & BPF_F_ZERO_SEED;
        if (m->use == USE_MAP && (map_is_array(m) || ordered))
            return i + 1;
    }
    return 0;
}

static void choose_signature(gen *g, signature *sig) {
    uint32_t n = rng_below(&g->r, 10), walked = n >= 8 ? map_to_walk(g) : 0;
    content own = {.kind = MEMORY, .write = true, .size = 16};
    if (g->self < g->p->entry_count) {
        *sig = (signature){.role = ROLE_ENTRY, .args = 1, .arg = {{.kind = CONTEXT}}};
    } else if (walked) {
        const map *m = &g->p->maps[walked - 1];
        *sig = (signature){.role = ROLE_EACH, .map = (uint8_t)(walked - 1), .args = 4};
        sig->arg[1] = (content){.kind = MEMORY, .size = (uint16_t)m->key_size};
        sig->arg[2] = (content){
            .kind = VALUE, .map = sig->map, .write = true, .size = (uint16_t)m->value_size};
        sig->arg[3] = own;
    } else if (n >= 6) {
        *sig = (signature){.role = ROLE_LOOP, .args = 2, .arg = {{.kind = SCALAR}, own}};
    } else {
        *sig = (signature){.role = ROLE_CALL, .args = (uint8_t)rng_below(&g->r, 6)};
        for (uint32_t i = 0; i < sig->args; i++)
            sig->arg[i] = random_argument(g);
    }
}

/* The result is a number; of a callback whether to stop. */
static void finish(gen *g) {
    if (g->s.reg[0].kind != SCALAR)
        move_imm(g, 0, random_imm(g));
    if (g->sig->role == ROLE_ENTRY)
        pour_out(g);
    if (g->sig->role >= ROLE_LOOP)
        emit(g, EB_OP_ALU64_K_AND, 0, 0, 0, rng_chance(&g->r, 30) ? 1 : 0);
    emit(g, EB_OP_EXIT_ONLY, 0, 0, 0, 0);
}

static void make_function(gen *g, uint32_t self) {
    signature *sig = g->sig = &g->sigs[self];
    g->self = self;
    g->f = &g->p->funcs[self];
    g->f->steps = calloc(MOST_STEPS, sizeof *g->f->steps);
    g->s = (state){0};
    g->held = g->locked = g->sticky = 0;
    g->changes = g->weight = g->stack = 0;
    g->depth = 0;
    choose_signature(g, sig);
    for (uint32_t i = 0; i < sig->args; i++)
        g->s.reg[i + 1] = sig->arg[i];
    bool entry = sig->role == ROLE_ENTRY, walks = sig->role == ROLE_EACH;
    g->f->args = sig->args;
    g->data = 8 * (2 + rng_below(&g->r, entry ? 11 : 4));
    g->fuel = entry ? 60 + (int)rng_below(&g->r, 160) : 20 + (int)rng_below(&g->r, 40);
    g->busy[sig->map] += walks;
    fill_frame(g);
    save_pointers(g);
    while (g->fuel > 0)
        block(g, 10);
    finish(g);
    g->busy[sig->map] -= walks;
    sig->changes = g->changes;
    sig->weight = g->weight * (sig->role >= ROLE_LOOP ? 3 : 1);
    sig->stack = g->stack + (g->data + 8 * SLOTS + 31) / 32 * 32;
}

/* ---- programs ---- */

static void make_inputs(gen *g) {
    g->p->run_count = 1 + rng_below(&g->r, MOST_RUNS);
    for (uint32_t i = 0; i < g->p->run_count; i++) {
        input *in = &g->p->runs[i];
        in->size = prog_types[g->p->kind].packet ? 15 + rng_below(&g->r, 100) : CONTEXT_SIZE;
        for (uint32_t k = 0; k < in->size; k++)
            in->bytes[k] = (uint8_t)rng_next(&g->r);
        if (in->size > 60 && prog_types[g->p->kind].packet && rng_chance(&g->r, 70)) {
            bool six = rng_chance(&g->r, 40); /* IPv6, or IPv4 */
            in->bytes[12] = six ? 0x86 : 0x08;
            in->bytes[13] = six ? 0xdd : 0x00;
        }
    }
}

program *program_new(uint64_t seed) {
    gen g = {.r = {seed * UINT64_C(0xd1342543de82ef95) + 1}, .p = calloc(1, sizeof(program))};
    static const prog_kind kinds[] = {PROG_SOCKET, PROG_RAW_TP, PROG_SYSCALL, PROG_XDP, PROG_TC};
    program *p = g.p;
    p->seed = seed;
    p->kind = kinds[rng_below(&g.r, sizeof kinds / sizeof *kinds)];
    p->entry_count =
        rng_chance(&g.r, 25) && !prog_types[p->kind].sleepable ? 2 + rng_below(&g.r, 2) : 1;
    p->func_count = p->entry_count + rng_below(&g.r, p->entry_count > 1 ? 4 : 5);
    g.deep_tails = rng_chance(&g.r, 50);
    make_maps(&g);
    make_inputs(&g);
    for (uint32_t f = p->func_count; f-- > 0;)
        make_function(&g, f);
    program_drop_maps(p);
    return p;
}
