/* compile.c - see compile.h. BTF is made between data and code, of what the passes have left: the
 * ids of functions and of the types that CO-RE records name stand in the code's records. */
#include "compile.h"

#include "btf_gen.h"
#include "foresee.h"
#include "gen.h"
#include "lower.h"
#include "pass.h"

ebpf_object *eb_compile(eb_pp *pp, const eb_pp_options *options) {
    ebpf_ctx *ctx = pp->ctx;
    eb_unit *unit = eb_parse(pp);
    if (ctx->errors)
        return NULL;
    eb_ir_unit *ir = eb_lower_unit(unit, options);
    if (!ctx->errors)
        eb_ir_optimize(ir);
    if (ir->broken.len)
        eb_diag_add(ctx, EB_DIAG_INTERNAL, 0, 0, (int)ir->broken.len, ir->broken.at);
    if (ctx->errors)
        return NULL;
    eb_foresee(unit, ir);
    if (ctx->errors)
        return NULL;
    ebpf_object *obj = eb_gen_data(ir);
    eb_btf_gen *g = options->bare ? NULL : eb_btf_gen_new(unit, obj);
    if (g)
        eb_btf_gen_unit(g, ir);
    else
        eb_btf_gen_none(ir);
    if (!ctx->errors)
        eb_gen_code(ir, obj);
    eb_gen_aliases(ir, obj);
    if (!ctx->errors)
        eb_gen_assembly(ir, obj);
    if (!ctx->errors)
        eb_foresee_stack(unit, ir);
    bool failed = ctx->errors || (g && eb_btf_gen_finish(g) != 0);
    return failed || eb_object_index(obj) != 0 ? NULL : obj;
}
