/* core_path.h - the pieces of core.c: paths through types, and whether they are in a target.
 * Internal to obj/. */
#ifndef EB_CORE_PATH_H
#define EB_CORE_PATH_H

#include "core.h"

enum { EB_CORE_DEEPEST = 64 }; /* steps of a path, as in libbpf */

typedef enum eb_core_class {
    EB_CORE_FIELD,
    EB_CORE_TYPE,
    EB_CORE_ENUMVAL,
    EB_CORE_NONE
} eb_core_class;
eb_core_class eb_core_class_of(uint32_t kind);

/* BTF with what it does not say: how large a pointer is. */
typedef struct eb_core_types {
    const eb_btf *btf;
    uint32_t pointer_size;
} eb_core_types;

/* One step that matters: into a member that has a name, to an element, or to an enumerator. Those
 * into nameless structs and unions are in the raw path only. */
typedef struct eb_core_step {
    eb_str name; /* "" for elements */
    bool named;
    uint32_t type;  /* the record that has the member; the element's type; the enum */
    uint32_t index; /* of the member, element, enumerator */
} eb_core_step;

typedef struct eb_core_path {
    const eb_core_types *types;
    uint32_t root, kind;
    eb_core_step steps[EB_CORE_DEEPEST];
    int32_t raw[EB_CORE_DEEPEST];
    uint32_t count, raw_count;
    uint32_t bit_offset; /* from the start of the root */
} eb_core_path;

/* What a comparison says. */
typedef enum eb_core_match { EB_CORE_ERROR = -1, EB_CORE_NO = 0, EB_CORE_YES = 1 } eb_core_match;

/* Shared by the comparisons of one request. */
typedef struct eb_core_job {
    eb_arena *arena;
    uint64_t effort; /* comparisons left: hostile types can ask for more than there is time */
    eb_str why;      /* of the last NO or ERROR */
} eb_core_job;

/* Note why, and return `match`. */
eb_core_match eb_core_because(eb_core_job *job, eb_core_match match, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The size of a type in bytes, or -1 (void, functions, forward declarations, above 4 GiB). */
int64_t eb_core_size(const eb_core_types *types, uint32_t id);
/* The path of a record through the object's own types; EB_CORE_YES or EB_CORE_ERROR. */
eb_core_match eb_core_parse(eb_core_job *job, const eb_core_types *types, const eb_core_relo *relo,
                            eb_core_path *path);
void eb_core_spell_path(const eb_core_path *path, eb_buf *out);
/* Is `local` in type `id` of a target? Then `path` is the path there. (core_match.c) */
eb_core_match eb_core_find(eb_core_job *job, const eb_core_path *local, const eb_core_types *types,
                           uint32_t id, eb_core_path *path);
/* Is `array`, of no elements, the last member of the record that `step` has come through? */
bool eb_core_is_flexible(const eb_btf *btf, const eb_core_step *step, const eb_btf_type *array);
/* Kinds that may stand for one another: the same, or both some enum. */
bool eb_core_same_kind(eb_btf_kind a, eb_btf_kind b);
bool eb_core_is_enum(eb_btf_kind kind);

#endif
