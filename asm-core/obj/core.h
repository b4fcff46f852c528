/* core.h - CO-RE ("compile once, run everywhere"): what a program knows of types that its compiler
 * saw, said again for the types of the system that it will run on.
 *
 * A record (eb_core_relo) names a value in an instruction by a type of the object's BTF, a path
 * through it and a kind (core.def). Relocating finds the type of the same name in the target's BTF,
 * follows the path by names there, and puts the value found into the instruction. A name may have a
 * flavour, task_struct___old, which does not count. What is not found makes the instruction
 * invalid ("poisoned") and not the program: compilers guard such accesses by asking first whether
 * the field exists, and then it is never reached.
 * Sources: libbpf's relo_core.c, whose decisions are matched one for one; btf.rst. */
#ifndef EB_CORE_H
#define EB_CORE_H

#include "btf.h"

typedef enum eb_core_kind {
#define CORE(id, number, class, name) EB_CORE_##id = number,
#include "core.def"
    EB_CORE_KINDS
} eb_core_kind;

/* "byte_off" and the like; "unknown". */
const char *eb_core_kind_name(uint32_t kind);

/* Append a record for people: struct task_struct.thread_info.flags (0:0:1). */
void eb_core_spell(const eb_btf *btf, const eb_core_relo *relo, eb_buf *out);

/* What to relocate against: a kernel's BTF first; when it does not have a type at all, the others
 * (its modules', split BTF on the first) are asked. */
typedef struct eb_core_target {
    const eb_btf *btf;
    eb_str name; /* for messages */
} eb_core_target;

typedef enum eb_core_outcome {
    EB_CORE_RESOLVED, /* the instruction has the target's value */
    EB_CORE_POISONED, /* the target does not have it: the instruction is an invalid call */
    EB_CORE_FAILED /* it can be no good: the instruction is as it was, and an error is reported */
} eb_core_outcome;

/* imm of the call that stands for what the target does not have ("bad relo"). */
enum { EB_CORE_POISON = 0xbad2310 };

typedef struct eb_core_result {
    uint32_t section; /* of the instruction */
    uint32_t slots;   /* that it takes; 0 when there is none */
    eb_core_relo relo;
    eb_core_outcome outcome;
    uint64_t from, to;      /* the value before and after; meaningless when not resolved */
    uint32_t target, found; /* the type in targets[target], or found = 0 */
    eb_str path;            /* as eb_core_spell, in the target */
    eb_str reason; /* why there is no value, or why there is no such type, field, ...; or "" */
} eb_core_result;

typedef EB_VEC(eb_core_result) eb_core_results;

/* Relocate all instructions of `obj` in place, in the order of .BTF.ext, and take the records of
 * those that were answered out of it, since they must not be answered twice. Returns 0, or
 * EBPF_E_INPUT with a diagnostic for each that failed. */
int eb_core_relocate(ebpf_object *obj, const eb_core_target *targets, uint32_t count,
                     eb_core_results *out);

/* The results for programs and for people (core_report.c). */
void eb_core_report_json(const ebpf_object *obj, const eb_core_results *results,
                         const eb_core_target *targets, eb_buf *out);
void eb_core_report_text(const ebpf_object *obj, const eb_core_results *results,
                         const eb_core_target *targets, eb_buf *out);

#endif
