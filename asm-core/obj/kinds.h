/* kinds.h - program, attach and map types by number, and what a section's name says of them.
 * Everything comes from prog.def, attach.def, map.def, helper.def and reloc.def. */
#ifndef EB_KINDS_H
#define EB_KINDS_H

#include "str.h"

typedef enum eb_prog_type {
    EB_PROG_UNSPEC = 0,
#define PROG(id, number, name, kernel) EB_PROG_##id = number,
#include "prog.def"
    EB_PROG_COUNT
} eb_prog_type;

/* Number 0 is a type as well as what programs have that need none. */
enum { EB_ATTACH_NONE = 0 };

typedef enum eb_attach_type {
#define ATTACH(id, number, name, kernel) EB_ATTACH_##id = number,
#include "attach.def"
} eb_attach_type;

typedef enum eb_map_type {
    EB_MAP_UNSPEC = 0,
#define MAP(id, number, name, kernel) EB_MAP_##id = number,
#include "map.def"
} eb_map_type;

enum {
    EB_SEC_SLEEPABLE = 1,
    EB_SEC_FRAGS = 2,
    EB_SEC_TARGET = 4,
    EB_SEC_USDT = 8,
    EB_SEC_OPTIONAL = 16
};

/* What the name of an executable section says of the programs in it. */
typedef struct eb_sec_kind {
    eb_prog_type prog; /* EB_PROG_UNSPEC: no row matches */
    eb_attach_type attach;
    unsigned flags; /* EB_SEC_... */
    eb_str target;  /* behind the '/', "" without */
    bool manual;    /* SEC("?..."): not to be loaded unless asked for */
} eb_sec_kind;

eb_sec_kind eb_sec_kind_of(eb_str section);

/* Names by number, "unspec" or "unknown"; numbers by name, or 0. */
const char *eb_prog_type_name(uint32_t type);
const char *eb_attach_type_name(uint32_t type);
const char *eb_map_type_name(uint32_t type);
uint32_t eb_map_type_find(eb_str name);
/* A helper function's name without bpf_, or NULL; its number by its name with bpf_, or 0. */
const char *eb_helper_name(uint32_t id);
uint32_t eb_helper_find(eb_str name);
/* A relocation type's name, R_BPF_..., or NULL; the type by its name. */
const char *eb_reloc_name(uint32_t type);
/* The bytes of the data field that it fills, or 0. */
unsigned eb_reloc_size(uint32_t type);
bool eb_reloc_find(eb_str name, uint32_t *type);
/* The nearest map type's name, for "did you mean", or NULL. */
const char *eb_map_type_near(eb_str name);

#endif
