/* btf_unit.c - what passes have left of a unit to BTF: its maps, functions with the types that
 * their CO-RE records start from, and variables.
 *
 * Symbols without a declaration (string literals, what the passes made) and compound literals have
 * no names that anybody could look for: they are not in BTF. */
#include "btf_node.h"
#include "core.h"

static const eb_decl *decl_of(const eb_ir_symbol *symbol, eb_ir_kind kind) {
    const eb_decl *decl = symbol->live && symbol->kind == kind ? symbol->decl : NULL;
    return decl && decl->name != UINT32_MAX ? decl : NULL;
}

static void gen_variable(eb_btf_gen *g, const eb_ir_symbol *symbol, const eb_decl *decl) {
    const eb_symbol *placed = &g->obj->symbols.at[symbol->object_symbol];
    if (symbol->is_defined)
        eb_btf_gen_var(g, decl, symbol->name, g->obj->sections.at[placed->section].name,
                       (uint32_t)placed->value, (uint32_t)symbol->size);
    else
        eb_btf_gen_var(g, decl, symbol->name, symbol->section, 0, (uint32_t)symbol->size);
}

static void gen_variables(eb_btf_gen *g, const eb_ir_unit *ir, bool maps) {
    for (uint32_t n = 1; n < ir->symbols.len; n++) {
        const eb_ir_symbol *symbol = &ir->symbols.at[n];
        const eb_decl *decl = decl_of(symbol, EB_IR_VARIABLE);
        if (decl && eb_str_starts(symbol->section, ".maps") == maps)
            gen_variable(g, symbol, decl);
    }
}

typedef struct cores {
    EB_VEC(eb_ir_core *) fields;
    bool *seen; /* two instructions may come from one */
} cores;

/* What is about a type needs it whole, now. */
static void gen_core(eb_btf_gen *g, cores *all, eb_ir_core *core) {
    if (eb_core_is_field(core)) {
        *EB_PUSH(g->arena, &all->fields) = core;
        return;
    }
    core->type = eb_btf_gen_type(g, core->of);
    if (core->kind == EB_CORE_TYPE_ID_LOCAL || core->kind == EB_CORE_TYPE_ID_TARGET)
        core->value = core->type;
}

/* The number of an instruction's record, or 0; ir.def says which may have one. */
static uint32_t core_of(const eb_ir *value) {
    const char *operands = eb_ir_rows[value->op].operands;
    return strchr(operands, 'r') || strchr(operands, 'm') ? value->extra : 0;
}

/* The records of the instructions that are left. */
static void gen_cores(eb_btf_gen *g, eb_ir_unit *ir, const eb_fn *fn, cores *all) {
    for (uint32_t n = 1; n < fn->values.len; n++) {
        uint32_t core = core_of(&fn->values.at[n]);
        if (!core || all->seen[core])
            continue;
        all->seen[core] = true;
        gen_core(g, all, &ir->cores.at[core]);
    }
}

void eb_btf_gen_none(const eb_ir_unit *ir) {
    for (uint32_t s = 1; s < ir->symbols.len; s++) {
        const eb_fn *fn = ir->symbols.at[s].live ? ir->symbols.at[s].fn : NULL;
        for (uint32_t n = 1; fn && n < fn->values.len; n++) {
            eb_loc loc = fn->values.at[n].loc;
            if (core_of(&fn->values.at[n]))
                eb_diag_add(ir->ctx, EB_DIAG_CORE_BARE, loc, loc + (loc != 0));
        }
    }
}

void eb_btf_gen_unit(eb_btf_gen *g, eb_ir_unit *ir) {
    cores all = {.seen = eb_alloc(g->arena, ir->cores.len)};
    g->lean = true;
    gen_variables(g, ir, true);
    for (uint32_t n = 1; n < ir->symbols.len; n++) {
        eb_ir_symbol *symbol = &ir->symbols.at[n];
        const eb_decl *decl = decl_of(symbol, EB_IR_FUNCTION);
        if (decl)
            symbol->btf = eb_btf_gen_func(g, decl);
        if (symbol->live && symbol->fn)
            gen_cores(g, ir, symbol->fn, &all);
    }
    gen_variables(g, ir, false);
    eb_btf_gen_accesses(g, all.fields.at, all.fields.len);
}
