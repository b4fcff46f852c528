/* foresee.c - see foresee.h. What comes in is the unit as the passes have left it, since that is
 * what the verifier sees: what is dead is gone, and functions are where they were inlined.
 *
 * A section's name tells what its programs are. From each kind of program the functions that it
 * reaches are walked, by calls and as callbacks, each with the parameter that holds the context;
 * what they call and access is looked up in access.h. Loops do not depend on who reaches them.
 *
 * Code behind a condition that is decided when the program is loaded (a constant of .rodata, the
 * kernel's configuration, CO-RE, a weak symbol) may never be looked at, so nothing is said of it.
 */
#include "foresee.h"
#include "access.h"
#include "address.h"
#include "cfg.h"
#include "endless.h"

enum { NO_CONTEXT = UINT32_MAX, SHOWN = 4 };

/* A function that programs reach, and which of its parameters is the context. */
typedef struct visit {
    uint32_t symbol, context;
} visit;

typedef struct foresight {
    eb_unit *u;
    eb_ir_unit *ir;
    eb_sec_kind kind; /* of the programs at hand */
    uint32_t program; /* one of them */
    eb_layout_id layout;
    uint32_t group;
    EB_VEC(visit) todo;
    uint8_t *seen; /* by symbol: a bit for each parameter that was the context, 1 for none */
    eb_fn *fn;
    bool *optional; /* by block of fn, NULL before somebody asked */
    uint32_t context;
    bool licence_told;
} foresight;

/* ---- telling ---- */

/* Options hold from tokens on: the number of the one that stands there. */
static uint32_t token_at(const eb_unit *u, eb_loc loc) {
    for (uint32_t n = 0; n < u->count; n++)
        if (u->toks[n].loc == loc)
            return n;
    return 0;
}

/* Whether a place is in the text of a function, not in what was inlined into it. */
static bool is_inside(const eb_unit *u, const eb_fn *fn, eb_loc loc) {
    eb_str name;
    eb_loc spelled;
    while (eb_expansion_of(u->ctx, loc, &name, &spelled, &loc))
        continue;
    return fn->loc <= loc && loc <= fn->end;
}

static void note_function(const eb_unit *u, eb_diag *diag, uint32_t symbol, const eb_ir_unit *ir) {
    const eb_ir_symbol *s = &ir->symbols.at[symbol];
    if (diag && !is_inside(u, s->fn, diag->lo))
        eb_diag_note(u->ctx, diag, s->loc, s->loc + (eb_loc)s->name.len,
                     "it is reached from '%.*s'", (int)s->name.len, s->name.at);
}

static void note_program(foresight *f, eb_diag *diag) {
    note_function(f->u, diag, f->program, f->ir);
}

/* ---- what may never run ---- */

/* A value that the loader or the kernel puts in: the verifier knows it, the compiler does not. */
static bool is_given(eb_fn *fn, eb_value value, unsigned depth) {
    eb_ir *ir = eb_ir_at(fn, value);
    if (ir->op == EB_IR_CORE || depth > 16)
        return true;
    if (ir->op == EB_IR_LOAD || ir->op == EB_IR_SYMBOL) {
        const eb_ir *at = ir->op == EB_IR_LOAD ? eb_ir_at(fn, eb_address_of(fn, ir->a).base) : ir;
        if (at->op != EB_IR_SYMBOL)
            return ir->op == EB_IR_LOAD && ir->extra;
        const eb_ir_symbol *symbol = &fn->unit->symbols.at[at->extra];
        return symbol->bind == EB_STB_WEAK || symbol->is_const || !symbol->is_defined ||
               eb_str_starts(symbol->section, ".rodata");
    }
    if (ir->op == EB_IR_PHI)
        return false;
    for (eb_uses u = eb_uses_of(fn, value); eb_uses_next(&u);)
        if (is_given(fn, *u.at, depth + 1))
            return true;
    return false;
}

/* Whether a block is entered by one side of a branch that is decided at load. */
static bool is_decided(eb_fn *fn, const eb_block *block) {
    uint32_t from = block->preds.len == 1 ? block->preds.at[0] : 0;
    const eb_ir *last = from ? eb_ir_at(fn, fn->blocks.at[from].last) : NULL;
    return last && last->op == EB_IR_BRANCH &&
           (is_given(fn, last->a, 0) || is_given(fn, last->b, 0));
}

/* Whether a block is only reached by one side of such a branch. */
static bool is_optional(foresight *f, uint32_t block) {
    const eb_fn *fn = f->fn;
    if (!f->optional) {
        f->optional = eb_alloc_array(&f->u->ctx->arena, fn->blocks.len, sizeof *f->optional);
        for (uint32_t n = 1; n < fn->rpo.len; n++) { /* dominators come first */
            const eb_block *b = &fn->blocks.at[fn->rpo.at[n]];
            f->optional[fn->rpo.at[n]] = f->optional[b->idom] || is_decided(f->fn, b);
        }
    }
    return f->optional[block];
}

static void look_into(foresight *f, eb_fn *fn) {
    f->fn = fn;
    f->optional = NULL;
}

/* ---- helpers ---- */

/* The types that may call it, where there are few. */
static eb_str callers_of(foresight *f, uint32_t helper) {
    eb_buf text = {.arena = &f->u->ctx->arena};
    unsigned count = 0;
    for (uint32_t type = 1; type < EB_PROG_COUNT; type++)
        if (type != EB_PROG_EXT && eb_types_call(type, helper) && count++ < SHOWN)
            eb_buf_fmt(&text, "%s%s", text.len ? ", " : "", eb_prog_type_name(type));
    if (count > SHOWN)
        eb_buf_fmt(&text, " and %u more", count - SHOWN);
    return (eb_str){(const char *)text.at, text.len};
}

static void check_helper(foresight *f, const eb_ir *ir) {
    uint32_t helper = ir->imm > 0 && ir->imm < UINT32_MAX ? (uint32_t)ir->imm : 0;
    const char *name = eb_helper_name(helper);
    if (!name || eb_may_call(f->kind.prog, f->kind.attach, helper) || is_optional(f, ir->block))
        return;
    const char *type = eb_prog_type_name(f->kind.prog);
    bool attach = eb_types_call(f->kind.prog, helper);
    eb_diag *diag =
        eb_warn_at(f->u, token_at(f->u, ir->loc), EB_DIAG_HELPER_TYPE, ir->loc, ir->loc + 1, name,
                   type, attach ? "/" : "", attach ? eb_attach_type_name(f->kind.attach) : "");
    if (!diag)
        return;
    note_program(f, diag);
    eb_str callers = callers_of(f, helper);
    if (!attach)
        eb_diag_note(f->u->ctx, diag, 0, 0, "it is there for %.*s", (int)callers.len, callers.at);
}

/* The text in section "license"; at NULL if there is none. */
static eb_str licence_of(const eb_ir_unit *ir) {
    for (uint32_t n = 1; n < ir->symbols.len; n++) {
        const eb_ir_symbol *s = &ir->symbols.at[n];
        if (s->kind != EB_IR_VARIABLE || !eb_str_is(s->section, "license"))
            continue;
        eb_str text = {(const char *)s->data.at, s->data.len};
        while (text.len && !text.at[text.len - 1])
            text.len--;
        return text.len ? text : (eb_str){"", 0};
    }
    return (eb_str){NULL, 0};
}

static void check_licence(foresight *f, const eb_ir *ir, eb_str licence) {
    uint32_t helper = ir->imm > 0 && ir->imm < UINT32_MAX ? (uint32_t)ir->imm : 0;
    if (f->licence_told || !eb_helper_needs_gpl(helper) || is_optional(f, ir->block))
        return;
    f->licence_told = true;
    eb_diag *diag = eb_warn_at(f->u, token_at(f->u, ir->loc), EB_DIAG_HELPER_LICENCE, ir->loc,
                               ir->loc + 1, eb_helper_name(helper), licence.at ? "'" : "",
                               (int)(licence.at ? licence.len : 7),
                               licence.at ? licence.at : "missing", licence.at ? "'" : "");
    note_program(f, diag);
}

/* ---- the context ---- */

/* The offset in the context that an address is, or false. */
static bool in_context(const foresight *f, eb_value address, int64_t *offset) {
    if (!address || f->context == NO_CONTEXT)
        return false;
    eb_address at = eb_address_of(f->fn, address);
    const eb_ir *base = eb_ir_at(f->fn, at.base);
    *offset = at.offset;
    return base->op == EB_IR_PARAM && base->imm == (int64_t)f->context;
}

/* Registers are laid out as the machine's, which may be another one. */
static bool is_machine(const foresight *f) {
    return f->layout == EB_LAYOUT_REGS || f->layout == EB_LAYOUT_PERF;
}

static void check_access(foresight *f, const eb_ir *ir) {
    bool write = ir->op != EB_IR_LOAD;
    int64_t offset;
    const eb_ctx_field *field;
    if (f->layout == EB_LAYOUT_NONE || (is_machine(f) && !write) || ir->extra ||
        !in_context(f, ir->a, &offset) || __builtin_add_overflow(offset, ir->imm, &offset))
        return;
    uint32_t at = offset < 0 || offset > UINT32_MAX ? UINT32_MAX : (uint32_t)offset;
    const char *why = eb_access_refused(f->layout, f->group, at, ir->size, write, &field);
    if (!why || is_optional(f, ir->block))
        return;
    eb_diag *diag =
        eb_warn_at(f->u, token_at(f->u, ir->loc), EB_DIAG_CONTEXT_ACCESS, ir->loc, ir->loc + 1,
                   field ? "'" : "", field ? field->name : "", field ? "' " : "", why,
                   write ? "write" : "read", ir->size, ir->size > 1 ? "s" : "", (long long)offset,
                   eb_layout_name(f->layout), eb_prog_type_name(f->kind.prog));
    note_program(f, diag);
}

/* ---- walking ---- */

static void enqueue(foresight *f, uint32_t symbol, uint32_t context) {
    uint8_t bit = (uint8_t)(context < 7 ? 2u << context : 1u);
    if (!f->ir->symbols.at[symbol].fn || f->seen[symbol] & bit)
        return;
    f->seen[symbol] |= bit;
    *EB_PUSH(&f->u->ctx->arena, &f->todo) = (visit){symbol, context};
}

static void follow_call(foresight *f, const eb_ir *ir) {
    const eb_list *args = &f->fn->lists.at[ir->list];
    uint32_t context = NO_CONTEXT;
    int64_t offset;
    for (uint32_t n = 0; ir->list && n < args->values.len; n++)
        if (in_context(f, args->values.at[n], &offset) && !offset)
            context = n;
    enqueue(f, ir->extra, context);
}

static void look_at(foresight *f, eb_value value, bool licensed, eb_str licence) {
    const eb_ir *ir = eb_ir_at(f->fn, value);
    switch (ir->op) {
    case EB_IR_HELPER:
        check_helper(f, ir);
        if (!licensed)
            check_licence(f, ir, licence);
        return;
    case EB_IR_LOAD:
    case EB_IR_STORE:
    case EB_IR_ATOMIC:
        check_access(f, ir);
        return;
    case EB_IR_CALL:
        follow_call(f, ir);
        return;
    case EB_IR_SYMBOL: /* a callback */
        enqueue(f, ir->extra, NO_CONTEXT);
        return;
    default:
        return;
    }
}

static void visit_all(foresight *f, eb_str licence) {
    bool licensed = licence.at && eb_licence_is_gpl(licence);
    while (f->todo.len) {
        visit next = f->todo.at[--f->todo.len];
        look_into(f, f->ir->symbols.at[next.symbol].fn);
        f->context = next.context;
        for (uint32_t n = 0; n < f->fn->rpo.len; n++)
            for (eb_value v = f->fn->blocks.at[f->fn->rpo.at[n]].first; v;
                 v = eb_ir_at(f->fn, v)->next)
                look_at(f, v, licensed, licence);
    }
}

static bool same_kind(eb_sec_kind a, eb_sec_kind b) {
    return a.prog == b.prog && a.attach == b.attach;
}

static eb_sec_kind kind_of(const eb_ir_unit *ir, uint32_t symbol) {
    const eb_ir_symbol *s = &ir->symbols.at[symbol];
    return s->live && s->fn && s->fn->entry ? eb_sec_kind_of(s->section) : (eb_sec_kind){0};
}

/* Programs of a kind share what they reach: each is begun where no earlier one was of its kind. */
static void check_kind(foresight *f, uint32_t first, eb_str licence) {
    f->kind = kind_of(f->ir, first);
    if (f->kind.prog == EB_PROG_UNSPEC || f->kind.prog == EB_PROG_EXT)
        return;
    for (uint32_t n = 1; n < first; n++)
        if (same_kind(kind_of(f->ir, n), f->kind))
            return;
    f->layout = eb_layout_of(f->kind.prog, false);
    f->group = eb_group_of(f->kind.prog, f->kind.attach);
    f->seen = eb_alloc_array(&f->u->ctx->arena, f->ir->symbols.len, 1);
    for (uint32_t n = first; n < f->ir->symbols.len; n++)
        if (same_kind(kind_of(f->ir, n), f->kind)) {
            f->program = n;
            enqueue(f, n, 0);
            visit_all(f, licence);
        }
}

/* ---- loops ---- */

static eb_loc place_of(const eb_fn *fn, uint32_t block) {
    const eb_ir *last = eb_ir_at(fn, fn->blocks.at[block].last);
    eb_loc loc = last->loc;
    for (eb_value v = fn->blocks.at[block].first; v && !loc; v = eb_ir_at(fn, v)->next)
        loc = eb_ir_at(fn, v)->loc;
    return loc;
}

static void check_loops(foresight *f) {
    eb_unit *u = f->u;
    eb_fn *fn = f->fn;
    for (eb_endless loops = eb_endless_of(fn); eb_endless_next(&loops);) {
        eb_loc loc = place_of(fn, loops.header);
        if (!is_optional(f, loops.header))
            note_function(u,
                          eb_warn_at(u, token_at(u, loc), EB_DIAG_ENDLESS, loc, loc + (loc != 0)),
                          fn->symbol, fn->unit);
    }
}

void eb_foresee(eb_unit *u, eb_ir_unit *ir) {
    foresight f = {.u = u, .ir = ir};
    eb_str licence = licence_of(ir);
    for (uint32_t n = 1; n < ir->symbols.len; n++) {
        eb_fn *fn = ir->symbols.at[n].live ? ir->symbols.at[n].fn : NULL;
        if (!fn)
            continue;
        eb_cfg_analyse(fn);
        look_into(&f, fn);
        check_loops(&f);
        eb_arena_reset(&u->ctx->scratch);
    }
    for (uint32_t n = 1; n < ir->symbols.len; n++)
        check_kind(&f, n, licence);
}

/* ---- the stack ---- */

enum { STACK_MOST = 512, CHAIN_MOST = 8 };

/* A warning of a function as a whole. */
static uint32_t token_of(const eb_unit *u, const eb_ir_symbol *s) {
    return s->fn->loc ? token_at(u, s->fn->loc) : 0;
}

static eb_loc name_end(const eb_ir_symbol *s) {
    return s->fn->loc ? s->fn->loc + (eb_loc)s->name.len : 0;
}

static void note_chain(eb_unit *u, const eb_ir_unit *ir, eb_diag *diag, uint32_t symbol) {
    for (unsigned n = 0; diag && symbol && n < CHAIN_MOST; n++) {
        const eb_ir_symbol *s = &ir->symbols.at[symbol];
        eb_diag_note(u->ctx, diag, s->fn->loc, name_end(s), "'%.*s' takes %u bytes",
                     (int)s->name.len, s->name.at, s->frame);
        symbol = s->deepest;
    }
}

static void tell_circle(eb_unit *u, const eb_ir_unit *ir, uint32_t at) {
    const eb_ir_symbol *s = &ir->symbols.at[ir->circles.at[at]];
    eb_diag *diag = eb_warn_at(u, token_of(u, s), EB_DIAG_RECURSION, s->fn->loc, name_end(s),
                               (int)s->name.len, s->name.at);
    while (diag && ir->circles.at[++at]) {
        const eb_ir_symbol *by = &ir->symbols.at[ir->circles.at[at]];
        eb_diag_note(u->ctx, diag, by->fn->loc, name_end(by), "by way of '%.*s'", (int)by->name.len,
                     by->name.at);
    }
}

void eb_foresee_stack(eb_unit *u, const eb_ir_unit *ir) {
    for (uint32_t n = 0; n < ir->circles.len; n++)
        if (!n || !ir->circles.at[n - 1])
            tell_circle(u, ir, n);
    for (uint32_t n = 1; n < ir->symbols.len; n++) {
        const eb_ir_symbol *s = &ir->symbols.at[n];
        if (!s->live || !s->fn)
            continue;
        if (!s->called && s->chain > STACK_MOST)
            note_chain(u, ir,
                       eb_warn_at(u, token_of(u, s), EB_DIAG_FRAME_CHAIN, s->fn->loc, name_end(s),
                                  (int)s->name.len, s->name.at, (unsigned long long)s->chain),
                       n);
        if (s->frame > u->pp->options.frame_most)
            eb_warn_at(u, token_of(u, s), EB_DIAG_FRAME_LARGER, s->fn->loc, name_end(s),
                       (int)s->name.len, s->name.at, s->frame, (unsigned long long)s->chain);
    }
}
