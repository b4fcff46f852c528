/* btf_gen.h - the typed tree to BTF, as libbpf and the kernel expect it and clang makes it.
 *
 * Who makes the code says what is left: the functions that are defined or called, the variables
 * that have a place, the types that CO-RE records name. Only what these reach becomes BTF, so
 * vmlinux.h costs what a program uses of it. Ids are given out at once, BTF is written at the end:
 *
 *     eb_btf_gen *g = eb_btf_gen_new(unit, obj);
 *     ... eb_btf_gen_var, eb_btf_gen_func, eb_btf_gen_type, or all of them: eb_btf_gen_unit;
 *     push records to the sections ...
 *     status = eb_btf_gen_finish(g);
 */
#ifndef EB_BTF_GEN_H
#define EB_BTF_GEN_H

#include "btf.h"
#include "ir.h"
#include "parse.h"

typedef struct eb_btf_gen eb_btf_gen;

/* For `obj`, in its byte order. The bodies of records that were skipped are read from `u`. */
eb_btf_gen *eb_btf_gen_new(eb_unit *u, ebpf_object *obj);

/* The id of a type, complete where it is a record. Equal types have one id; void is 0. */
uint32_t eb_btf_gen_type(eb_btf_gen *g, eb_type *type);
/* The id of a function: of one that is defined, or of one outside that is called or whose address
 * is taken, which enters the data section that its attribute names (.ksyms). Every time the same.
 */
uint32_t eb_btf_gen_func(eb_btf_gen *g, const eb_decl *decl);
/* The id of a variable called `name` (that of its symbol), with `size` bytes at `offset` of
 * `section`; "" is none, for what is outside and said to be nowhere. For the smallest BTF and
 * clang's, those of .maps come before everything else. */
uint32_t eb_btf_gen_var(eb_btf_gen *g, const eb_decl *decl, eb_str name, eb_str section,
                        uint32_t offset, uint32_t size);

/* All that is live in `ir`, whose data has been laid out in the object (eb_gen_data). The ids that
 * code needs are filled in: symbol.btf of functions, core.type, and core.value of type ids. */
void eb_btf_gen_unit(eb_btf_gen *g, eb_ir_unit *ir);
/* Instead, where no BTF is wanted: an error for each instruction that CO-RE was to relocate. */
void eb_btf_gen_none(const eb_ir_unit *ir);

/* The object gets .BTF and, when its sections have records, .BTF.ext; obj->btf is what the reader
 * makes of it. Sections have their sizes by now. 0, or EBPF_E_INPUT after diagnostics. */
int eb_btf_gen_finish(eb_btf_gen *g);

/* The number of member `n` in BTF, where bit-fields without a name are not members; CO-RE's
 * accesses count so. */
uint32_t eb_btf_gen_member(const eb_record *record, uint32_t n);

#endif
