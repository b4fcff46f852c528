/* shrink.c - the smallest program that still shows a difference: runs, steps, first contents and
 * immediates are taken away as long as the kernel still accepts it and the VM still disagrees.
 *
 * A program with holes may do what the generator never does: read its stack before it is written,
 * or take an address for a number. Such differences mean nothing, so a candidate counts only when
 * the kernel repeats its outcome at other addresses and the VM with another stack. */
#include <string.h>

#include "diff.h"

bool differs(const program *p, bool *fault, char *text, size_t size) {
    char unused[64];
    outcome kernel = kernel_run_sure(p);
    bool found = false;
    if (kernel.ran) {
        outcome vm = machine_run(p, (machine_options){0});
        outcome other = machine_run(p, (machine_options){.poison = 0xff});
        found = !outcome_equal(p, &vm, &kernel, text ? text : unused, text ? size : sizeof unused);
        found = found && vm.ran == other.ran &&
                (!vm.ran || outcome_equal(p, &vm, &other, unused, sizeof unused));
        *fault = !vm.ran;
        outcome_free(&vm);
        outcome_free(&other);
    }
    outcome_free(&kernel);
    return found;
}

enum { TEXT = 4096 };

typedef struct shrinker {
    program *p;
    bool fault;       /* the kind of difference */
    char first[TEXT]; /* and its first line: another one may be another difference */
    uint32_t tried;
} shrinker;

static bool still(shrinker *s) {
    bool fault;
    char text[TEXT];
    s->tried++;
    return differs(s->p, &fault, text, sizeof text) && fault == s->fault &&
           (fault || strncmp(text, s->first, strcspn(s->first, "\n")) == 0);
}

/* ---- steps ---- */

/* Cut out up to `size` live steps of a function from `first` on; the step behind the last one. */
static uint32_t cut(func *f, uint32_t first, uint32_t size, bool *old) {
    uint32_t i = first;
    for (; i < f->count && size > 0; i++) {
        old[i] = f->steps[i].dead;
        size -= !old[i];
        f->steps[i].dead = true;
    }
    return i;
}

static bool cut_steps(shrinker *s, func *f, uint32_t size) {
    static bool old[MOST_STEPS];
    bool any = false;
    for (uint32_t first = 0; first < f->count;) {
        while (first < f->count && f->steps[first].dead)
            first++;
        uint32_t end = cut(f, first, size, old);
        if (first < end && still(s)) {
            any = true;
        } else {
            for (uint32_t i = first; i < end; i++)
                f->steps[i].dead = old[i];
        }
        first = end;
    }
    return any;
}

static bool cut_all(shrinker *s, uint32_t size) {
    bool any = false;
    for (uint32_t f = s->p->func_count; f-- > 0;)
        any |= cut_steps(s, &s->p->funcs[f], size);
    return any;
}

/* Numbers that need not be what they are. */
static void plain_numbers(shrinker *s, func *f) {
    for (uint32_t i = 0; i < f->count; i++) {
        step *at = &f->steps[i];
        if (at->dead || at->ref != REF_NONE || at->op == EB_OP_CALL_ONLY ||
            at->imm == eb_insn_rows[at->op].imm || at->imm == 1)
            continue;
        static const int64_t simpler[] = {0, 1, -1};
        int64_t old = at->imm;
        for (uint32_t k = 0; k < 3; k++) {
            at->imm = simpler[k];
            if (at->imm == old || still(s))
                break;
            at->imm = old;
        }
    }
}

/* ---- everything else ---- */

static void cut_runs(shrinker *s) {
    uint32_t runs = s->p->run_count;
    for (s->p->run_count = 1; s->p->run_count < runs && !still(s);)
        s->p->run_count++;
}

static void cut_contents(shrinker *s, map *m) {
    map old = *m;
    if (m->use == USE_MAP)
        m->entry_count = 0;
    else
        memset(m->entries[0].value, 0, MOST_VALUE);
    if (memcmp(&old, m, sizeof old) && !still(s))
        *m = old;
}

uint32_t shrink(program *p) {
    shrinker s = {.p = p};
    if (!differs(p, &s.fault, s.first, sizeof s.first))
        return 0;
    cut_runs(&s);
    for (uint32_t size = 256; size; size /= 2)
        cut_all(&s, size);
    for (int rounds = 0; rounds < 8 && cut_all(&s, 1); rounds++)
        program_drop_maps(p);
    program_drop_maps(p);
    for (uint32_t i = 0; i < p->map_count; i++)
        if (!p->maps[i].dead)
            cut_contents(&s, &p->maps[i]);
    for (uint32_t f = 0; f < p->func_count; f++)
        plain_numbers(&s, &p->funcs[f]);
    cut_all(&s, 2);
    cut_all(&s, 1);
    program_drop_maps(p);
    return s.tried;
}
