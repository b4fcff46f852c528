/* info.h - what an object holds beyond its sections and symbols, gathered for its description as
 * JSON (info.c) and as text (info_text.c); internal to obj/. */
#ifndef EB_INFO_H
#define EB_INFO_H

#include "btf.h"

/* A variable of a data section. */
typedef struct eb_info_var {
    eb_str name;
    uint32_t section, type; /* BTF type, or 0 */
    uint64_t offset, size;
    bool local;
} eb_info_var;

/* A name that something else defines. */
typedef struct eb_info_extern {
    eb_str name;
    const char *kind; /* "kconfig", "ksym" (a variable), "function", or "unknown" without BTF */
    uint32_t type;    /* BTF type, or 0 */
    bool weak;
} eb_info_extern;

/* A slot of something that is filled with a symbol's address when the object is loaded. */
typedef struct eb_info_slot {
    uint32_t owner; /* index into maps, or into struct_ops */
    uint64_t slot;  /* number of the value, or of the struct's member */
    eb_str name;    /* of the symbol, */
    eb_str member;  /* and of the member */
} eb_info_slot;

typedef EB_VEC(eb_info_var) eb_info_vars;

typedef struct eb_info {
    const ebpf_object *obj;
    uint32_t maps; /* without the inner definitions, which stand behind them */
    bool has_version;
    uint32_t version;        /* of section version: the kernel that a kprobe was made for */
    eb_info_vars globals;    /* by section and offset */
    eb_info_vars struct_ops; /* variables of .struct_ops and .struct_ops.link */
    EB_VEC(eb_info_extern) externs;
    EB_VEC(eb_info_slot) map_values, struct_members;
    EB_VEC(eb_str) legacy_maps; /* symbols of section maps */
} eb_info;

eb_info eb_info_of(const ebpf_object *obj);
/* A BTF type as C spells it. */
eb_str eb_info_spell(const ebpf_object *obj, uint32_t type);
/* The CO-RE relocations within a function. */
uint32_t eb_info_core_count(const ebpf_object *obj, const eb_func *func);
/* The name of a symbol; a section's own has that of the section. */
eb_str eb_info_symbol_name(const ebpf_object *obj, uint32_t symbol);
/* Sections whose relocations a loader applies: code, data and maps, not BTF. */
bool eb_info_is_loaded(const eb_section *section);

#endif
