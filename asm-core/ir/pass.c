/* pass.c - the pipeline: each row of pass.def, in order, over every function of the unit.
 *
 * A pass takes the whole unit before the next one starts, so what an inliner or the table of
 * symbols sees is at the same stage everywhere. The scratch arena is emptied behind each function.
 * Without NDEBUG the checker looks at what each pass leaves; unit->broken says what it found. */
#include "pass.h"

#include "cfg.h"

#if defined(NDEBUG)
enum { CHECKING = 0 };
#else
enum { CHECKING = 1 };
#endif

typedef struct row {
    const char *name;
    bool (*fn)(eb_fn *fn);
    bool (*unit)(eb_ir_unit *unit);
    int level;
    unsigned turns;
} row;

static const row rows[] = {
#define PASS(id, name, level)      {name, eb_pass_##id, NULL, level, 0},
#define UNIT_PASS(id, name, level) {name, NULL, eb_pass_##id, level, 0},
#define REPEAT(turns)              {"", NULL, NULL, 1, turns},
#include "pass.def"
    {NULL, NULL, NULL, 0, 0},
};

/* The first wrong function stops the pipeline: nothing broken is handed on. */
static void check(eb_ir_unit *unit, const eb_fn *fn, const char *pass) {
    eb_str name = unit->symbols.at[fn->symbol].name, problem = eb_ir_check(fn);
    if (problem.len && !unit->broken.len)
        unit->broken = eb_str_fmt(&unit->ctx->arena, "%.*s behind %s: %.*s", (int)name.len, name.at,
                                  pass, (int)problem.len, problem.at);
}

/* What a pass over the unit has to say. */
static bool run(eb_ir_unit *unit, const row *r) {
    bool news = false;
    eb_arena *scratch = &unit->ctx->scratch;
    if (r->unit) {
        news = r->unit(unit);
        eb_arena_reset(scratch);
    }
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        eb_fn *fn = unit->symbols.at[n].fn;
        if (!fn)
            continue;
        if (r->fn && !fn->is_naked)
            (void)r->fn(fn);
        if (CHECKING)
            check(unit, fn, r->name);
        eb_arena_reset(scratch);
    }
    if (eb_str_is(unit->dump_after, r->name))
        eb_ir_print(unit, &unit->dump);
    return news;
}

bool eb_ir_run(eb_ir_unit *unit, eb_str name) {
    for (const row *r = rows; r->name; r++)
        if (eb_str_is(name, r->name)) {
            (void)run(unit, r);
            return true;
        }
    return false;
}

void eb_ir_optimize(eb_ir_unit *unit) {
    const row *start = rows; /* of what is repeated */
    unsigned turn = 1;
    for (const row *r = rows; r->name && !unit->broken.len; r++) {
        if (r->level > 0 && !unit->optimize)
            continue;
        if (r->unit) {
            start = r;
            turn = 1;
        }
        if (!r->turns)
            (void)run(unit, r);
        else if (run(unit, start) && turn++ < r->turns)
            r = start;
    }
}
