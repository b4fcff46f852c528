/* flow.c - the ways through a function: variables that are read before they have a value, ends that
 * are reached without a return. Every expression is checked on the way (check.c).
 *
 * The tree is walked once, in the order of execution, with what is known of each scalar local that
 * was declared without a value: set on all ways that lead here, or on some. Where ways meet, `all`
 * is what both have and `some` what either has. A loop's body may have set already what it sets
 * later (last_set); so may what stands behind a label that a goto further down leads to.
 *
 * A variable without a value on all ways is told as such. On some of them, it is told where one
 * branch is enough to come here without a value, and nothing between that branch and the use could
 * have led elsewhere, as clang does: each stretch of code that is run as a whole is a `region`, and
 * a use counts in the region in which the ways met. */
#include "builtin.h"
#include "check.h"

#include <string.h>

typedef struct ways {
    struct ways *next; /* of those that are free */
    bool live;
    uint64_t bits[]; /* `all`, then `some` */
} ways;

/* What break and continue lead to, around a statement. */
typedef struct target {
    struct target *outer;
    bool is_loop;
    ways *breaks, *continues, *head; /* head: of a switch, for its cases */
    bool otherwise;                  /* default was seen */
} target;

typedef struct flow {
    eb_unit *u;
    eb_decl *function;
    eb_decl **tracked;
    uint32_t count, words;
    uint32_t *met; /* by variable: the region in which it became doubtful, or 0 */
    uint32_t region, regions;
    uint32_t exits; /* jumps so far: a branch with one may lead elsewhere */
    uint32_t at;    /* the number of a token of the statement at hand */
    bool at_case;   /* nothing stands between a case and the statement at hand */
    bool falls;     /* the one before says that it falls through */
    ways *now, *free;
    target *target;
} flow;

/* ---- ways ---- */

static ways *take(flow *f, const ways *like) {
    size_t size = 2 * f->words * sizeof(uint64_t);
    ways *w = f->free;
    if (w)
        f->free = w->next;
    else
        w = eb_alloc(&f->u->ctx->arena, sizeof *w + size);
    w->live = like && like->live;
    if (like)
        memcpy(w->bits, like->bits, size);
    return w;
}

static void give(flow *f, ways *w) {
    w->next = f->free;
    f->free = w;
}

static bool has(const flow *f, const ways *w, bool some, uint32_t n) {
    return w->bits[(some ? f->words : 0) + n / 64] >> n % 64 & 1;
}

static void set(flow *f, uint32_t n, bool value) {
    uint64_t bit = 1ull << n % 64;
    for (uint32_t part = 0; part < 2; part++) {
        uint64_t *word = &f->now->bits[part * f->words + n / 64];
        *word = value ? *word | bit : *word & ~bit;
    }
}

/* `to` becomes what is known where both end; `from` is not needed any more. */
static void join(flow *f, ways *to, ways *from) {
    if (from->live && !to->live) {
        memcpy(to->bits, from->bits, 2 * f->words * sizeof(uint64_t));
        to->live = true;
    } else if (from->live) {
        for (uint32_t n = 0; n < f->words; n++) {
            to->bits[n] &= from->bits[n];
            to->bits[f->words + n] |= from->bits[f->words + n];
        }
    }
    give(f, from);
}

static void join_at(flow *f, ways **to) {
    if (*to)
        join(f, *to, take(f, f->now));
    else
        *to = take(f, f->now);
}

static void die(flow *f) {
    f->now->live = false;
}

static void new_region(flow *f) {
    f->region = ++f->regions;
}

/* ---- branches ---- */

/* What is known before a branch, and where the two ways of it end. */
typedef struct branch {
    ways *before;
    uint32_t region, exits;
    ways *other; /* the way that is not being walked */
    uint32_t other_region;
} branch;

/* Both ways begin as things are now, and the first is walked. */
static branch fork(flow *f) {
    branch b = {.before = take(f, f->now), .region = f->region, .exits = f->exits};
    b.other = take(f, f->now);
    new_region(f);
    return b;
}

static void swap(flow *f, branch *b) {
    ways *done = f->now;
    uint32_t region = f->region;
    f->now = b->other;
    b->other = done;
    if (b->other_region)
        f->region = b->other_region;
    else
        new_region(f);
    b->other_region = region;
}

/* The ways meet. A variable that one branch has set is in doubt from here on. */
static void meet(flow *f, branch *b) {
    uint32_t inner = f->region;
    f->region = b->region;
    if (f->exits != b->exits)
        new_region(f);
    bool both = f->now->live && b->other->live;
    join(f, f->now, b->other);
    for (uint32_t n = 0; n < f->count && both; n++) {
        if (has(f, f->now, false, n) || !has(f, f->now, true, n))
            continue;
        bool began = !has(f, b->before, true, n);
        bool went_on = f->met[n] && (f->met[n] == inner || f->met[n] == b->other_region);
        if (began || went_on)
            f->met[n] = f->region;
    }
    give(f, b->before);
}

/* 1 or 0 where a condition is always so, else -1. */
static int always(const eb_expr *e) {
    eb_constant c = eb_constant_of(e);
    return c.kind == EB_CONSTANT_NUMBER ? c.value != 0 : -1;
}

/* ---- expressions ---- */

static void expression(flow *f, const eb_expr *e);
static void statement(flow *f, const eb_stmt *s);

/* The variable that an lvalue is, if it is watched: its number + 1. */
static uint32_t watched(const eb_expr *e) {
    return e->kind == EB_EXPR_DECL && e->of.decl->kind == EB_DECL_VARIABLE ? e->of.decl->number : 0;
}

static void read_variable(flow *f, const eb_expr *e) {
    uint32_t number = watched(e);
    if (!number || !f->now->live || has(f, f->now, false, number - 1))
        return;
    const eb_decl *decl = e->of.decl;
    bool some = has(f, f->now, true, number - 1);
    if (some && f->met[number - 1] != f->region)
        return;
    eb_str text = eb_name_text(f->u, decl->name);
    eb_diag *diag = eb_warn_at(f->u, f->at, some ? EB_DIAG_SOMETIMES : EB_DIAG_UNINITIALIZED, e->lo,
                               e->hi, (int)text.len, text.at);
    if (diag)
        eb_diag_note(f->u->ctx, diag, decl->lo, decl->hi, "it is declared here");
    e->of.decl->number = 0; /* once */
}

static void assigned(flow *f, const eb_expr *e) {
    uint32_t number = watched(e);
    if (number)
        set(f, number - 1, true);
    else
        expression(f, e);
}

/* A branch inside an expression: `b` if it is taken, `c` if not (NULL: nothing). */
static void either(flow *f, const eb_expr *a, const eb_expr *b, const eb_expr *c, bool swapped) {
    expression(f, a);
    int known = always(a);
    branch way = fork(f);
    if (known == (swapped ? 1 : 0))
        die(f);
    if (b)
        expression(f, b);
    swap(f, &way);
    if (known == (swapped ? 0 : 1))
        die(f);
    if (c)
        expression(f, c);
    meet(f, &way);
}

static bool never_returns(const eb_expr *call) {
    const eb_expr *f = call->a;
    while (f->kind == EB_EXPR_DECAY || f->kind == EB_EXPR_DEREF || f->kind == EB_EXPR_LOAD)
        f = f->a;
    return f->kind == EB_EXPR_DECL && f->of.decl->attrs.noreturn;
}

static void arguments(flow *f, const eb_expr *e) {
    for (uint32_t n = 0; n < e->of.args.count; n++)
        expression(f, e->of.args.at[n]);
}

static void initialisers(flow *f, const eb_decl *decl) {
    for (uint32_t n = 0; n < decl->inits.len; n++) {
        expression(f, decl->inits.at[n].expr);
        eb_check_field(f->u, f->at, &decl->inits.at[n]);
        if (f->now->live)
            eb_check_conversion(f->u, f->at, decl->inits.at[n].expr);
    }
}

/* The value of ({ ... }) is that of its last statement. */
static void valued(flow *f, const eb_stmt *block) {
    for (const eb_stmt *s = block->body; s; s = s->next) {
        const eb_stmt *last = s;
        while (!s->next && last && last->kind == EB_STMT_LABEL)
            last = last->body;
        if (!s->next && last == s && s->kind == EB_STMT_EXPR) {
            f->at = s->at;
            expression(f, s->expr);
        } else {
            statement(f, s);
        }
    }
}

/* Some builtins only ask for the type of their arguments. */
static bool is_evaluated(unsigned builtin) {
    return builtin != EB_BUILTIN_CONSTANT_P && builtin != EB_BUILTIN_FIELD_INFO &&
           builtin != EB_BUILTIN_TYPE_INFO && builtin != EB_BUILTIN_BTF_TYPE_ID &&
           builtin != EB_BUILTIN_ENUM_VALUE && builtin != EB_BUILTIN_OBJECT_SIZE;
}

static void operands(flow *f, const eb_expr *e) {
    switch (e->kind) { /* one case per row */
    case EB_EXPR_LOAD:
        if (watched(e->a))
            read_variable(f, e->a);
        else
            expression(f, e->a);
        return;
    case EB_EXPR_ADDRESS:
        if (e->a->kind == EB_EXPR_INDEX)
            operands(f, e->a); /* the place behind the last has an address, too */
        else
            assigned(f, e->a);
        return;
    case EB_EXPR_ASSIGN:
        if (!watched(e->a))
            expression(f, e->a);
        expression(f, e->b);
        if (watched(e->a))
            assigned(f, e->a);
        return;
    case EB_EXPR_UPDATE:
        expression(f, e->b);
        if (watched(e->a))
            read_variable(f, e->a);
        assigned(f, e->a);
        return;
    case EB_EXPR_STEP:
        if (watched(e->a))
            read_variable(f, e->a);
        assigned(f, e->a);
        return;
    case EB_EXPR_CAST:
        /* (void)x says that x is not used. */
        if (eb_type_is(e->type, EB_TYPE_VOID) && e->a->kind == EB_EXPR_LOAD && watched(e->a->a))
            return;
        expression(f, e->a);
        return;
    case EB_EXPR_BINARY:
        if (e->op == EB_TOK_ANDAND)
            either(f, e->a, e->b, NULL, false);
        else if (e->op == EB_TOK_OROR)
            either(f, e->a, e->b, NULL, true);
        else {
            expression(f, e->a);
            expression(f, e->b);
        }
        return;
    case EB_EXPR_COND:
        either(f, e->a, e->b, e->c, false);
        return;
    case EB_EXPR_COMMA:
        expression(f, e->a);
        eb_check_unused(f->u, f->at, e->a);
        expression(f, e->b);
        return;
    case EB_EXPR_CALL:
        expression(f, e->a);
        arguments(f, e);
        if (never_returns(e))
            die(f);
        return;
    case EB_EXPR_BUILTIN:
        if (is_evaluated(e->builtin))
            arguments(f, e);
        if (e->builtin == EB_BUILTIN_TRAP || e->builtin == EB_BUILTIN_UNREACHABLE)
            die(f);
        return;
    case EB_EXPR_STATEMENTS:
        valued(f, e->of.body);
        return;
    case EB_EXPR_COMPOUND:
        initialisers(f, e->of.decl);
        return;
    default:
        if (e->a)
            expression(f, e->a);
        if (e->b)
            expression(f, e->b);
    }
}

static void expression(flow *f, const eb_expr *e) {
    operands(f, e);
    eb_check_node(f->u, f->at, e, f->now->live);
}

/* ---- statements ---- */

/* `x = 1;` and `x++;` alone are no use of x. */
static void only_set(const eb_expr *e) {
    if (e->kind != EB_EXPR_ASSIGN && e->kind != EB_EXPR_UPDATE && e->kind != EB_EXPR_STEP)
        return;
    if (e->kind != EB_EXPR_ASSIGN && (eb_type_quals(e->a->type) & EB_VOLATILE))
        return;
    if (e->a->kind == EB_EXPR_DECL && e->a->of.decl->reads)
        e->a->of.decl->reads--;
}

static void discarded(flow *f, const eb_expr *e) {
    expression(f, e);
    only_set(e);
    eb_check_unused(f->u, f->at, e);
}

static void body_of(flow *f, const eb_stmt *s, target *t) {
    t->outer = f->target;
    f->target = t;
    statement(f, s);
    f->target = t->outer;
}

static void jump(flow *f, ways **to) {
    if (f->now->live)
        join_at(f, to);
    f->exits++;
    die(f);
}

static target *loop_around(const flow *f) {
    target *t = f->target;
    while (t && !t->is_loop)
        t = t->outer;
    return t;
}

/* int x = x; */
static void own_value(flow *f, const eb_decl *decl) {
    const eb_expr *e = decl->inits.len == 1 ? decl->inits.at[0].expr : NULL;
    if (!e || e->kind != EB_EXPR_LOAD || e->a->kind != EB_EXPR_DECL || e->a->of.decl != decl)
        return;
    eb_str text = eb_name_text(f->u, decl->name);
    eb_warn_at(f->u, f->at, EB_DIAG_UNINITIALIZED, e->lo, e->hi, (int)text.len, text.at);
}

static void declaration(flow *f, eb_decl *decl) {
    for (; decl; decl = decl->next) {
        if (decl->kind != EB_DECL_VARIABLE || decl->is_global)
            continue;
        own_value(f, decl);
        initialisers(f, decl);
        if (decl->number)
            set(f, decl->number - 1, false);
    }
}

/* With the chain of else if behind it, which may be long. */
static void if_statement(flow *f, const eb_stmt *s) {
    EB_VEC(branch) open = {0};
    for (bool more = true; more;) {
        f->at = s->at;
        expression(f, s->expr);
        eb_check_condition(f->u, f->at, s->expr);
        int known = always(s->expr);
        branch *b = EB_PUSH(&f->u->ctx->arena, &open);
        *b = fork(f);
        if (known == 0)
            die(f);
        statement(f, s->body);
        swap(f, b);
        if (known == 1)
            die(f);
        more = s->other && s->other->kind == EB_STMT_IF;
        if (s->other && !more)
            statement(f, s->other);
        s = s->other;
    }
    while (open.len)
        meet(f, &open.at[--open.len]);
}

/* What the body sets later may have been set in an earlier round. */
static void enter_loop(flow *f, const eb_stmt *s) {
    for (uint32_t n = 0; n < f->count; n++)
        if (f->tracked[n]->last_set >= s->at && !has(f, f->now, true, n)) {
            f->now->bits[f->words + n / 64] |= 1ull << n % 64;
            f->met[n] = 0;
        }
    f->exits++; /* a loop may not end */
}

static void take_over(flow *f, ways *w) {
    if (w)
        join(f, f->now, w);
}

static void loop(flow *f, const eb_stmt *s) {
    target t = {.is_loop = true};
    if (s->kind == EB_STMT_FOR && s->init) {
        if (s->init->kind == EB_STMT_DECL)
            declaration(f, s->init->decl);
        else
            discarded(f, s->init->expr);
    }
    enter_loop(f, s);
    if (f->now->live)
        eb_check_for(f->u, s);
    ways *end = NULL;
    int known = s->expr ? always(s->expr) : 1;
    if (s->kind != EB_STMT_DO) {
        if (s->expr) {
            expression(f, s->expr);
            eb_check_condition(f->u, f->at, s->expr);
        }
        end = take(f, f->now);
        if (known == 1)
            end->live = false;
        if (known == 0)
            die(f);
    }
    new_region(f);
    body_of(f, s->body, &t);
    f->at = s->at;
    take_over(f, t.continues);
    if (s->kind == EB_STMT_DO && s->expr) {
        expression(f, s->expr);
        eb_check_condition(f->u, f->at, s->expr);
        if (known == 1)
            die(f);
    } else if (s->kind == EB_STMT_FOR && s->step) {
        discarded(f, s->step);
    }
    if (end) {
        give(f, f->now);
        f->now = end;
    }
    take_over(f, t.breaks);
    new_region(f);
}

static void switch_statement(flow *f, const eb_stmt *s) {
    expression(f, s->expr);
    eb_check_switch(f->u, s);
    target t = {.head = take(f, f->now), .otherwise = eb_switch_is_full(s)};
    die(f);
    body_of(f, s->body, &t);
    take_over(f, t.breaks);
    if (!t.otherwise)
        take_over(f, t.head);
    else
        give(f, t.head);
    new_region(f);
    for (uint32_t n = 0; n < f->count; n++)
        f->met[n] = 0; /* which case it was cannot be told */
}

/* A case, or a label, in front of the statement behind it. */
static void labelled(flow *f, const eb_stmt *s) {
    if (s->kind == EB_STMT_LABEL) {
        ways *came = s->label->ways;
        bool again = s->label->used_at > s->label->defined_at;
        new_region(f);
        for (uint32_t n = 0; n < f->count; n++) {
            bool without = (f->now->live && !has(f, f->now, true, n)) ||
                           (came && came->live && !has(f, came, true, n));
            f->met[n] = without ? f->region : 0;
        }
        take_over(f, came);
        s->label->ways = NULL;
        if (again) { /* from further down, where anything may have been set */
            memset(f->now->bits, 0xff, 2 * f->words * sizeof(uint64_t));
            f->now->live = true;
        }
        return;
    }
    target *t = f->target;
    while (t && t->is_loop)
        t = t->outer;
    if (!t)
        return;
    t->otherwise = t->otherwise || s->kind == EB_STMT_DEFAULT;
    join(f, f->now, take(f, t->head));
    new_region(f);
}

/* An output is given a value, "+r" too: macros write what they do not read. */
static void assembly(flow *f, const eb_asm *a) {
    for (uint32_t n = 0; n < a->inputs.len; n++)
        expression(f, a->inputs.at[n].expr);
    for (uint32_t n = 0; n < a->outputs.len; n++)
        assigned(f, a->outputs.at[n].expr);
    for (uint32_t n = 0; n < a->labels.len; n++) {
        join_at(f, &a->labels.at[n]->ways);
        f->exits++;
    }
}

static bool is_label(const eb_stmt *s) {
    return s->kind == EB_STMT_CASE || s->kind == EB_STMT_DEFAULT || s->kind == EB_STMT_LABEL;
}

static void block_statement(flow *f, const eb_stmt *s) {
    bool was_live = f->now->live;
    for (const eb_stmt *inner = s->body; inner; inner = inner->next) {
        bool trivial = is_label(inner) || inner->kind == EB_STMT_EMPTY ||
                       inner->kind == EB_STMT_BREAK || inner->kind == EB_STMT_RETURN ||
                       inner->kind == EB_STMT_DECL;
        if (was_live && !f->now->live && !trivial)
            eb_warn_at(f->u, inner->at, EB_DIAG_UNREACHABLE_CODE, inner->lo, inner->lo + 1);
        was_live = f->now->live || is_label(inner);
        statement(f, inner);
        eb_check_empty_loop(f->u, inner);
    }
}

/* A case that the one above it runs into. */
static void check_fall(flow *f, const eb_stmt *s) {
    if (f->now->live && !f->at_case && !f->falls && s->kind != EB_STMT_LABEL)
        eb_warn_at(f->u, s->at, EB_DIAG_FALLTHROUGH, s->lo, s->lo + 1);
}

static void statement(flow *f, const eb_stmt *s) {
    f->at = s->at;
    if (is_label(s))
        check_fall(f, s);
    f->at_case = is_label(s) && (f->at_case || s->kind != EB_STMT_LABEL);
    f->falls = s->kind == EB_STMT_EMPTY && s->falls_through;
    switch (s->kind) { /* one case per row */
    case EB_STMT_EXPR:
        discarded(f, s->expr);
        return;
    case EB_STMT_DECL:
        declaration(f, s->decl);
        return;
    case EB_STMT_BLOCK:
        block_statement(f, s);
        return;
    case EB_STMT_IF:
        if_statement(f, s);
        return;
    case EB_STMT_WHILE:
    case EB_STMT_DO:
    case EB_STMT_FOR:
        loop(f, s);
        return;
    case EB_STMT_SWITCH:
        switch_statement(f, s);
        return;
    case EB_STMT_CASE:
    case EB_STMT_DEFAULT:
    case EB_STMT_LABEL:
        labelled(f, s);
        statement(f, s->body);
        return;
    case EB_STMT_GOTO:
        jump(f, &s->label->ways);
        return;
    case EB_STMT_BREAK:
        if (f->target)
            jump(f, &f->target->breaks);
        return;
    case EB_STMT_CONTINUE: {
        target *t = loop_around(f);
        if (t)
            jump(f, &t->continues);
        return;
    }
    case EB_STMT_RETURN:
        if (s->expr) {
            expression(f, s->expr);
            eb_check_conversion(f->u, f->at, s->expr);
            eb_check_return(f->u, f->at, s->expr);
        }
        f->exits++;
        die(f);
        return;
    case EB_STMT_ASM:
        assembly(f, s->assembly);
        return;
    default:
        return;
    }
}

/* ---- the function ---- */

static bool is_trackable(const eb_decl *decl) {
    return decl->kind == EB_DECL_VARIABLE && !decl->is_global && !decl->has_init &&
           eb_type_is_scalar(decl->type);
}

static void track(flow *f) {
    const eb_decl *function = f->function;
    for (uint32_t n = 0; n < function->locals.len; n++)
        f->count += is_trackable(function->locals.at[n]);
    f->tracked = eb_alloc_array(&f->u->ctx->arena, f->count, sizeof *f->tracked);
    f->met = eb_alloc_array(&f->u->ctx->arena, f->count, sizeof *f->met);
    f->words = (f->count + 63) / 64;
    f->count = 0;
    for (uint32_t n = 0; n < function->locals.len; n++) {
        eb_decl *decl = function->locals.at[n];
        if (!is_trackable(decl))
            continue;
        f->tracked[f->count] = decl;
        decl->number = ++f->count;
    }
}

void eb_check_flow(eb_unit *u, eb_decl *function) {
    flow f = {.u = u, .function = function, .region = 1, .regions = 1};
    eb_type *result = eb_type_plain(function->type)->base;
    track(&f);
    f.now = take(&f, NULL);
    f.now->live = true;
    statement(&f, function->body);
    for (uint32_t n = 0; n < f.count; n++)
        f.tracked[n]->number = 0;
    for (uint32_t n = 0; n < function->labels.len; n++)
        function->labels.at[n]->ways = NULL;
    if (f.now->live && !eb_type_is(result, EB_TYPE_VOID) && !eb_type_is(result, EB_TYPE_ERROR) &&
        !function->attrs.naked)
        eb_warn(u, EB_DIAG_NO_RETURN, function->body->hi - 1, function->body->hi,
                eb_type_string(u, result));
}

void eb_check_static(eb_unit *u, const eb_decl *decl) {
    flow f = {.u = u, .at = decl->at, .region = 1, .regions = 1};
    f.now = take(&f, NULL);
    f.now->live = true;
    initialisers(&f, decl);
}
