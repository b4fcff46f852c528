/* gen.c - the code of a unit: each function through its stages, then what goes between them. What
 * a function needs on the way is in the scratch arena, which is emptied behind it. */
#include "emit.h"

static void generate(eb_fn *fn, ebpf_object *obj, eb_links *links, uint32_t *frame) {
    uint32_t errors = fn->unit->ctx->errors;
    eb_mfn *mfn = eb_gen_select(fn);
    if (!mfn)
        return;
    eb_gen_order(mfn);
    eb_gen_allocate(mfn);
    if (fn->unit->ctx->errors != errors)
        return;
    eb_gen_flow(mfn);
    eb_gen_peephole(mfn);
    eb_gen_flow(mfn);
    if (!eb_gen_frame(mfn))
        return;
    if (mfn->unit->optimize)
        eb_gen_tails(mfn);
    *frame = mfn->frame;
    eb_gen_emit(mfn, obj, links);
}

void eb_gen_code(eb_ir_unit *unit, ebpf_object *obj) {
    eb_links links = {0};
    uint32_t *frames = eb_alloc_array(&unit->ctx->arena, unit->symbols.len, sizeof *frames);
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        eb_ir_symbol *symbol = &unit->symbols.at[n];
        if (!symbol->live || !symbol->fn)
            continue;
        uint32_t first = links.links.len;
        generate(symbol->fn, obj, &links, &frames[n]);
        eb_arena_reset(&unit->ctx->scratch);
        for (uint32_t k = first; k < links.links.len; k++)
            links.links.at[k].from = n;
    }
    if (!unit->ctx->errors)
        eb_gen_chains(unit, &links, frames);
    if (!unit->ctx->errors)
        eb_link_all(unit, obj, &links);
}
