/* gen.h - from the optimised unit to an object.
 *
 * First the data, which fixes where each variable is; then cc makes the BTF, whose ids the records
 * of the code need; then the code. */
#ifndef EB_GEN_H
#define EB_GEN_H

#include "ir.h"
#include "object.h"

/* An object with the sections, symbols, bytes and relocations of all live variables, and a symbol
 * for each live function and for each undefined one that is used; object_symbol is filled in. */
ebpf_object *eb_gen_data(eb_ir_unit *unit);

/* The code of all live functions, with relocations, lines, types of functions and CO-RE records
 * (symbol.btf and core.type are ids by now). Errors are in the context. */
void eb_gen_code(eb_ir_unit *unit, ebpf_object *obj);

/* Behind that, the symbols of other names. */
void eb_gen_aliases(eb_ir_unit *unit, ebpf_object *obj);

/* Behind that, the unit's assembly that is in no function. Errors are in the context. */
void eb_gen_assembly(eb_ir_unit *unit, ebpf_object *obj);

#endif
