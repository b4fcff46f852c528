/* btf.h - BPF Type Format: read, look up, build, write.
 *
 * A BTF is its bytes. Types and strings stay as the file has them, in its byte order; beside them
 * is one number per type, where it starts, and what a look-up needs is made at the first one. So
 * opening a kernel's BTF costs one pass over it and no memory per type, what was not changed is
 * written back byte for byte, and building appends to the same bytes.
 *
 * Type ids count from 1 in the order of the file; 0 is void. Split BTF stands on a base: its own
 * ids and strings go on where the base's end, and every function here takes either.
 *
 * Source: Documentation/bpf/btf.rst of the kernel, include/uapi/linux/btf.h. */
#ifndef EB_BTF_H
#define EB_BTF_H

#include "object.h"

typedef enum eb_btf_kind {
    EB_BTF_VOID = 0,
#define BTF(id, number, own, each) EB_BTF_##id = (number),
#include "btf.def"
    EB_BTF_KINDS
} eb_btf_kind;

/* Sets of kinds, as look-ups take them. C keeps two name spaces apart: tags and ordinary names. */
#define EB_BTF_IS(kind) (1u << (kind))
#define EB_BTF_TAGS                                                                                \
    (EB_BTF_IS(EB_BTF_STRUCT) | EB_BTF_IS(EB_BTF_UNION) | EB_BTF_IS(EB_BTF_ENUM) |                 \
     EB_BTF_IS(EB_BTF_ENUM64) | EB_BTF_IS(EB_BTF_FWD))
#define EB_BTF_ORDINARY                                                                            \
    (EB_BTF_IS(EB_BTF_TYPEDEF) | EB_BTF_IS(EB_BTF_INT) | EB_BTF_IS(EB_BTF_FLOAT) |                 \
     EB_BTF_IS(EB_BTF_FUNC) | EB_BTF_IS(EB_BTF_VAR))
#define EB_BTF_ANY UINT32_MAX

enum { EB_BTF_SIGNED = 1, EB_BTF_CHAR = 2, EB_BTF_BOOL = 4 };     /* int encodings */
enum { EB_BTF_STATIC = 0, EB_BTF_GLOBAL = 1, EB_BTF_EXTERN = 2 }; /* linkage of func and var */
enum { EB_BTF_DEEPEST = 64 }; /* typedefs, qualifiers and arrays on top of one another */

/* A type as somebody asked for it; what a field means depends on the kind, as in btf.rst. */
typedef struct eb_btf_type {
    eb_str name;
    uint8_t kind;
    bool kind_flag;        /* struct, union: has bit-fields; enum: signed; fwd: a union; tags: an
                              attribute by itself */
    uint32_t size_or_type; /* size in bytes, or the type it refers to (array: of its elements) */
    uint32_t extra;        /* int: encoding << 24 | offset << 16 | bits; array: elements;
                              func, var: linkage; decl_tag: component index */
    uint32_t index_type;   /* array */
    uint32_t count;        /* members, parameters, enumerators or variables */
    const uint8_t *body;   /* for eb_btf_member_at */
} eb_btf_type;

typedef struct eb_btf_member {
    eb_str name;
    uint32_t type;   /* member, parameter; datasec: the VAR or FUNC */
    uint32_t offset; /* struct, union: bits; datasec: bytes */
    uint32_t bits;   /* struct, union: width of a bit-field, or 0 */
    uint32_t size;   /* datasec: bytes */
    uint64_t value;  /* enum and enum64, extended to 64 bits by the enum's sign */
} eb_btf_member;

typedef struct eb_btf_index eb_btf_index;

struct eb_btf {
    eb_arena *arena;
    eb_str name;        /* for diagnostics */
    const eb_btf *base; /* NULL for BTF that stands by itself */
    bool big;           /* byte order */
    uint32_t first;     /* id of its first own type: 1, or the base's count */
    uint32_t count;     /* one past its last id */
    const uint8_t *types;
    const char *strings;
    size_t types_size, strings_size;
    uint32_t string_base;     /* the offset of its first own string */
    EB_VEC(uint32_t) offsets; /* of its own types in `types` */
    bool has_long_string;     /* longer than any name */
    const uint8_t *input;     /* what was read, as long as it is not changed */
    size_t input_size;
    eb_buf own_types, own_strings; /* what was changed: types and strings are these then */
    eb_str last_line;              /* of the program's text that was entered, and its string */
    uint32_t last_line_string;
    eb_btf_index *index; /* what look-ups have made so far */
};

/* ---- reading, writing ---- */

/* Read .BTF, whose magic number tells its byte order; `base` is what a split BTF stands on, or
 * NULL. Every id and string is checked, types that contain themselves by way of typedefs,
 * qualifiers and arrays are refused. `bytes` are not copied: they must stay as they are as long as
 * the BTF is used. Returns 0 or EBPF_E_INPUT with a diagnostic. */
int eb_btf_read(ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size, const eb_btf *base,
                eb_btf **out);
/* The same for a file: BTF, or ELF of any machine with a section .BTF. */
int eb_btf_open(ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size, const eb_btf *base,
                eb_btf **out);
/* The same two for those who look at few types of many: only where types start is found, so
 * look-ups by name, dumps and what else goes through all of it are not for these. What is asked of
 * a type by id reads nothing outside, but means nothing before eb_btf_check has found it sound: 0,
 * or EBPF_E_INPUT with a diagnostic. That of a type speaks of the ids that it refers to, too, but
 * not of the types that these are. */
int eb_btf_read_unchecked(ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size,
                          const eb_btf *base, eb_btf **out);
int eb_btf_open_unchecked(ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size,
                          const eb_btf *base, eb_btf **out);
int eb_btf_check(ebpf_ctx *ctx, const eb_btf *btf, uint32_t id);
/* Its own types and strings as .BTF; without those of the base. What was read and not changed comes
 * out as it went in. */
void eb_btf_write(const eb_btf *btf, eb_buf *out);

/* ---- types by id ---- */

/* The type; void when there is none with that id. */
eb_btf_type eb_btf_at(const eb_btf *btf, uint32_t id);
/* Its member, parameter, enumerator or variable number `i`, which is below type->count. */
eb_btf_member eb_btf_member_at(const eb_btf *btf, const eb_btf_type *type, uint32_t i);
/* One field only, without looking at the others. */
eb_btf_kind eb_btf_kind_of(const eb_btf *btf, uint32_t id);
eb_str eb_btf_name(const eb_btf *btf, uint32_t id);
/* The string at `offset` of the strings; false when there is none. */
bool eb_btf_string(const eb_btf *btf, uint32_t offset, eb_str *out);

/* `id` without typedefs and qualifiers. */
uint32_t eb_btf_strip(const eb_btf *btf, uint32_t id);
/* Its size in bytes, or 0 when it has none (void, functions, cycles, too large). */
uint32_t eb_btf_size(const eb_btf *btf, uint32_t id);
/* Append its name as C has it: u32, struct stat, char[16], const struct task_struct *. */
void eb_btf_spell(const eb_btf *btf, uint32_t id, eb_buf *out);

/* ---- types by name ---- */

/* The first type with that name and kind, or 0. */
uint32_t eb_btf_find(const eb_btf *btf, eb_btf_kind kind, eb_str name);
/* The next type behind `after` (0: the first) with that name and one of `kinds`, or 0: those of the
 * base come first, ids ascend. */
uint32_t eb_btf_next(const eb_btf *btf, uint32_t kinds, eb_str name, uint32_t after);
/* The same for types whose name without a flavour (see below) is `essential`. Functions, variables
 * and tags have no flavours and are found by their whole names. */
uint32_t eb_btf_next_flavour(const eb_btf *btf, uint32_t kinds, eb_str essential, uint32_t after);
/* A name without its flavour: task_struct of task_struct___old. */
eb_str eb_btf_essential(eb_str name);
/* The enumerator called `name`: its enum, and its number in there; 0 when there is none. */
uint32_t eb_btf_enumerator(const eb_btf *btf, eb_str name, uint32_t *number);

/* ---- building ----
 * The id of what was added is returned. A struct, union, enum, prototype or data section is opened
 * by its add call and takes the members added right after it; more than 65535 of them leave through
 * the guard with EBPF_E_LIMIT. What was read can be added to as well. */

eb_btf *eb_btf_new(eb_arena *arena, bool big);
/* BTF whose ids and strings go on where those of `base` end; in its byte order. */
eb_btf *eb_btf_new_split(eb_arena *arena, const eb_btf *base);
uint32_t eb_btf_add_int(eb_btf *btf, eb_str name, uint32_t size, uint32_t encoding);
uint32_t eb_btf_add_float(eb_btf *btf, eb_str name, uint32_t size);
/* PTR, TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG: a kind that refers to one type. FWD: `type` 0
 * declares a struct, anything else a union. */
uint32_t eb_btf_add_ref(eb_btf *btf, eb_btf_kind kind, eb_str name, uint32_t type);
uint32_t eb_btf_add_array(eb_btf *btf, uint32_t type, uint32_t index_type, uint32_t count);
uint32_t eb_btf_add_record(eb_btf *btf, eb_btf_kind kind, eb_str name, uint32_t size);
void eb_btf_add_member(eb_btf *btf, eb_str name, uint32_t type, uint32_t bit_offset);
/* A bit-field of `bits` bits; `bit_offset` is below 2^24, as are the others' of its record. */
void eb_btf_add_bitfield(eb_btf *btf, eb_str name, uint32_t type, uint32_t bit_offset,
                         uint32_t bits);
/* ENUM (values of up to 32 bits) or ENUM64. */
uint32_t eb_btf_add_enum(eb_btf *btf, eb_btf_kind kind, eb_str name, uint32_t size, bool is_signed);
void eb_btf_add_enumerator(eb_btf *btf, eb_str name, uint64_t value);
uint32_t eb_btf_add_proto(eb_btf *btf, uint32_t result);
void eb_btf_add_param(eb_btf *btf, eb_str name, uint32_t type);
uint32_t eb_btf_add_func(eb_btf *btf, eb_str name, uint32_t proto, uint32_t linkage);
uint32_t eb_btf_add_var(eb_btf *btf, eb_str name, uint32_t type, uint32_t linkage);
uint32_t eb_btf_add_datasec(eb_btf *btf, eb_str name, uint32_t size);
void eb_btf_add_datasec_var(eb_btf *btf, uint32_t var, uint32_t offset, uint32_t size);
/* A tag of `type`, or of its member, parameter or the like number `component` when that is not -1.
 */
uint32_t eb_btf_add_decl_tag(eb_btf *btf, eb_str tag, uint32_t type, int32_t component);
/* The offset of `text` among the strings, where each stands once. */
uint32_t eb_btf_add_string(eb_btf *btf, eb_str text);

/* Change what a loader completes: the size of a type, or what a FWD, PTR and the like refers to;
 * the place of a data section's variable number `i`. Own types only, not the base's. */
void eb_btf_set_size_or_type(eb_btf *btf, uint32_t id, uint32_t value);
void eb_btf_set_place(eb_btf *btf, uint32_t datasec, uint32_t i, uint32_t offset);

/* ---- how types lie in the bytes; for those that walk them ---- */

enum { EB_BTF_HEAD = 12 };
/* Behind the head of each kind: its own bytes, and those of each member. */
typedef struct eb_btf_layout {
    uint8_t own, each;
} eb_btf_layout;
extern const eb_btf_layout eb_btf_layouts[EB_BTF_KINDS];

/* Where its head is; NULL for void and ids that are not there. */
const uint8_t *eb_btf_head(const eb_btf *btf, uint32_t id);

#endif
