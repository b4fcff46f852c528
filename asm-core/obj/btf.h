/* btf.h - BPF Type Format: build, write, read, look up.
 * Source: Documentation/bpf/btf.rst of the kernel, include/uapi/linux/btf.h.
 *
 * Type ids count from 1 in the order of addition; 0 is void. A struct, union or function prototype
 * is opened by its add call and takes the members added right after it. */
#ifndef EB_BTF_H
#define EB_BTF_H

#include "object.h"

typedef enum eb_btf_kind {
    EB_BTF_VOID = 0,
    EB_BTF_INT = 1,
    EB_BTF_PTR = 2,
    EB_BTF_ARRAY = 3,
    EB_BTF_STRUCT = 4,
    EB_BTF_UNION = 5,
    EB_BTF_ENUM = 6,
    EB_BTF_FWD = 7,
    EB_BTF_TYPEDEF = 8,
    EB_BTF_VOLATILE = 9,
    EB_BTF_CONST = 10,
    EB_BTF_RESTRICT = 11,
    EB_BTF_FUNC = 12,
    EB_BTF_FUNC_PROTO = 13,
    EB_BTF_VAR = 14,
    EB_BTF_DATASEC = 15,
    EB_BTF_FLOAT = 16,
    EB_BTF_DECL_TAG = 17,
    EB_BTF_TYPE_TAG = 18,
    EB_BTF_ENUM64 = 19
} eb_btf_kind;

enum { EB_BTF_SIGNED = 1, EB_BTF_CHAR = 2, EB_BTF_BOOL = 4 };     /* int encodings */
enum { EB_BTF_STATIC = 0, EB_BTF_GLOBAL = 1, EB_BTF_EXTERN = 2 }; /* linkage of func and var */

/* A type as the model holds it; what a field means depends on the kind, as in btf.rst. */
typedef struct eb_btf_type {
    eb_str name;
    uint8_t kind;
    bool kind_flag;
    uint32_t size_or_type; /* size in bytes, or the type it refers to */
    uint32_t extra;        /* int: encoding << 24 | offset << 16 | bits; array: elements;
                              func, var: linkage; decl_tag: component index */
    uint32_t index_type;   /* array */
    uint32_t first, count; /* members (params, enumerators, variables) in eb_btf.members */
} eb_btf_type;

typedef struct eb_btf_member {
    eb_str name;
    uint32_t type;   /* datasec: the VAR or FUNC */
    uint32_t offset; /* struct: bits, as BTF has it; datasec: bytes */
    uint32_t size;   /* datasec: bytes */
    uint64_t value;  /* enum and enum64 */
} eb_btf_member;

struct eb_btf {
    eb_arena *arena;
    EB_VEC(eb_btf_type) types; /* [0] is void */
    EB_VEC(eb_btf_member) members;
};

/* One record of .BTF.ext's func_info: the function at `offset` bytes in section `section`. */
typedef struct eb_func_info {
    uint32_t section, offset, type;
} eb_func_info;

eb_btf *eb_btf_new(eb_arena *arena);
uint32_t eb_btf_add_int(eb_btf *btf, eb_str name, uint32_t size, uint32_t encoding);
uint32_t eb_btf_add_float(eb_btf *btf, eb_str name, uint32_t size);
/* PTR, TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG: a kind that refers to one type. FWD: `type` 0
 * declares a struct, anything else a union. */
uint32_t eb_btf_add_ref(eb_btf *btf, eb_btf_kind kind, eb_str name, uint32_t type);
uint32_t eb_btf_add_array(eb_btf *btf, uint32_t type, uint32_t index_type, uint32_t count);
uint32_t eb_btf_add_record(eb_btf *btf, eb_btf_kind kind, eb_str name, uint32_t size);
void eb_btf_add_member(eb_btf *btf, eb_str name, uint32_t type, uint32_t bit_offset);
/* ENUM (values of up to 32 bits) or ENUM64; it takes the enumerators added right after it. */
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

/* The type with that name and kind, or 0. */
uint32_t eb_btf_find(const eb_btf *btf, eb_btf_kind kind, eb_str name);
/* `id` without typedefs and qualifiers. */
uint32_t eb_btf_strip(const eb_btf *btf, uint32_t id);
/* Its size in bytes, or 0 when it has none (void, functions, cycles, too large). */
uint32_t eb_btf_size(const eb_btf *btf, uint32_t id);
/* Append its name as C has it: u32, struct stat, char[16], const struct task_struct *. */
void eb_btf_spell(const eb_btf *btf, uint32_t id, eb_buf *out);

/* Write .BTF and .BTF.ext in the object's byte order (they share strings, so both in one go).
 * `infos` is sorted by section, then offset; `ext` stays empty when there are none. A type with
 * more than 65535 members leaves through the guard with EBPF_E_LIMIT. */
void eb_btf_write(const eb_btf *btf, const ebpf_object *obj, const eb_func_info *infos,
                  uint32_t info_count, eb_buf *out, eb_buf *ext);
/* Read .BTF, whose magic number tells its byte order; every id and string is checked. Returns 0 or
 * EBPF_E_INPUT with a diagnostic. */
int eb_btf_read(ebpf_ctx *ctx, eb_str input, const uint8_t *bytes, size_t size, eb_btf **out);

#endif
