/* type.h - C's types.
 *
 * A type is a pointer into the unit's arena. Sugar stays: typedefs, qualifiers and type tags are
 * nodes of their own, as BTF has them, and eb_type_plain looks through them. Sizes are those of the
 * BPF target (LP64). A record may stand for its tokens: vmlinux.h has ten thousand of them, of
 * which a program uses ten, so a body is only skipped over when it is met, and read when somebody
 * needs it (eb_complete). Or it stands for a type of a kernel's BTF, whose members come as late. */
#ifndef EB_TYPE_H
#define EB_TYPE_H

#include "lex.h"

typedef enum eb_type_kind {
    EB_TYPE_ERROR, /* a diagnostic has been given: silences what follows */
    EB_TYPE_VOID,
    EB_TYPE_BOOL,
    EB_TYPE_CHAR, /* a type of its own: signed, unless an option says otherwise */
    EB_TYPE_SCHAR,
    EB_TYPE_UCHAR,
    EB_TYPE_SHORT,
    EB_TYPE_USHORT,
    EB_TYPE_INT,
    EB_TYPE_UINT,
    EB_TYPE_LONG,
    EB_TYPE_ULONG,
    EB_TYPE_LLONG,
    EB_TYPE_ULLONG,
    EB_TYPE_INT128,
    EB_TYPE_UINT128,
    EB_TYPE_FLOAT, /* may be declared, not used */
    EB_TYPE_DOUBLE,
    EB_TYPE_LDOUBLE,
    EB_TYPE_BASIC_COUNT,
    EB_TYPE_ENUM = EB_TYPE_BASIC_COUNT,
    EB_TYPE_POINTER,
    EB_TYPE_ARRAY,
    EB_TYPE_FUNCTION,
    EB_TYPE_STRUCT,
    EB_TYPE_UNION,
    /* sugar */
    EB_TYPE_TYPEDEF,
    EB_TYPE_QUALIFIED,
    EB_TYPE_TAGGED /* btf_type_tag, address_space */
} eb_type_kind;

enum { EB_CONST = 1, EB_VOLATILE = 2, EB_RESTRICT = 4, EB_ATOMIC = 8 };

#define EB_ARRAY_OPEN UINT64_MAX /* the length of int x[] */
#define EB_TYPE_MOST                                                                               \
    (1ull << 61) /* bytes of an array to which there are pointers, as clang has it */
#define EB_OBJECT_MOST (1ull << 30) /* bytes of a variable or record */

typedef struct eb_type eb_type;
typedef struct eb_record eb_record;
typedef struct eb_enum eb_enum;

typedef EB_VEC(eb_str) eb_tags; /* of attribute btf_decl_tag or btf_type_tag */

typedef struct eb_param {
    eb_type *type;
    uint32_t name; /* 1 + its number, or 0 */
    eb_loc loc;
    eb_tags tags;
    bool unused; /* attribute unused */
} eb_param;

struct eb_type {
    uint8_t kind;
    uint8_t quals; /* qualified: EB_CONST | ... */
    union {
        bool variadic;    /* function */
        bool is_unsigned; /* basic */
    };
    bool no_prototype; /* function: int f() */
    uint32_t align;    /* typedef: of attribute aligned, or 0 */
    eb_type *base;     /* pointed to, element, result, or what the sugar is on */
    uint64_t count;    /* array: elements, or EB_ARRAY_OPEN */
    union {
        const eb_param *params; /* function: `count` of them */
        eb_record *record;
        eb_enum *enumeration;
        struct {
            uint32_t name; /* typedef: the name's number */
            const eb_tags *tags;
        };
        eb_str tag; /* tagged */
    } of;
    eb_type *pointer; /* the type of a pointer to this, once somebody asked */
};

typedef struct eb_member {
    uint32_t name; /* 1 + its number; 0: anonymous record, or an unnamed bit-field */
    eb_type *type;
    uint64_t offset; /* bits */
    uint16_t bits;   /* of a bit-field */
    bool is_field;   /* a bit-field, maybe of width 0 */
    uint32_t align;  /* of attribute aligned, or 0 */
    bool packed;
    eb_loc loc;
    eb_tags tags;
} eb_member;

/* Which member has a name, or is the anonymous record with it. */
typedef struct eb_named {
    uint32_t name; /* as in eb_member; 0: nothing here */
    uint32_t member;
} eb_named;

struct eb_record {
    uint32_t name; /* 1 + the tag's number, or 0 */
    eb_loc loc;
    bool is_union, complete, packed;
    bool preserve;     /* preserve_access_index: accesses are relocated (CO-RE) */
    bool has_function; /* a member that was one, as was told */
    bool transparent;
    uint32_t least_align; /* of attribute aligned, or 0 */
    uint32_t pack;        /* of #pragma pack, or 0 */
    EB_VEC(eb_member) members;
    uint64_t size; /* bytes */
    uint32_t align;
    bool laid_out;
    uint32_t body, body_end; /* its tokens, when it has not been read yet: behind { and at } */
    bool reading;
    eb_named *index; /* of a large one, once somebody asked: by name; a slot is mask & hash, ... */
    uint32_t index_mask;
    uint32_t btf, btf_id; /* 1 + the number of the unit's BTF whose type it is, while its members
                             have not been read yet, and the id in there */
    eb_tags tags;
    eb_type *type;
};

typedef struct eb_enumerator {
    uint32_t name;
    int64_t value;
    eb_loc loc;
} eb_enumerator;

struct eb_enum {
    uint32_t name; /* 1 + the tag's number, or 0 */
    eb_loc loc;
    bool complete, packed, is_unsigned;
    bool fixed;       /* `integer` was said: enum e : type */
    eb_type *integer; /* what it is compatible with */
    EB_VEC(eb_enumerator) list;
    eb_type *type;
};

/* Where types come from. */
typedef struct eb_types {
    ebpf_ctx *ctx;
    eb_words *words;
    eb_type basic[EB_TYPE_BASIC_COUNT];
} eb_types;

void eb_types_init(eb_types *types, ebpf_ctx *ctx, eb_words *words, bool unsigned_char);
eb_type *eb_type_basic(eb_types *types, eb_type_kind kind);
eb_type *eb_type_pointer(eb_types *types, eb_type *to);
eb_type *eb_type_array(eb_types *types, eb_type *of, uint64_t count);
eb_type *eb_type_function(eb_types *types, eb_type *result, const eb_param *params, uint64_t count,
                          bool variadic);
eb_type *eb_type_typedef(eb_types *types, uint32_t name, eb_type *of);
eb_type *eb_type_qualified(eb_types *types, eb_type *type, unsigned quals);
/* `type` under each of the tags, the first innermost. */
eb_type *eb_type_with_tags(eb_types *types, eb_type *type, const eb_tags *tags);
eb_record *eb_record_new(eb_types *types, bool is_union, uint32_t name, eb_loc loc);
/* Whether its members are there, or known where to find. */
bool eb_record_is_defined(const eb_record *record);
eb_enum *eb_enum_new(eb_types *types, uint32_t name, eb_loc loc);

/* ---- questions ---- */

/* Without typedefs, qualifiers and tags. */
eb_type *eb_type_plain(eb_type *type);
/* The qualifiers on it; those of an array are its elements'. */
unsigned eb_type_quals(const eb_type *type);
/* The address space that it is in, 0 for the general one. */
unsigned eb_type_space(const eb_type *type);
/* A member's type as part of `whole`: with the qualifiers and the address space of that. */
eb_type *eb_type_part(eb_types *types, eb_type *type, const eb_type *whole);
/* The type of a value read from an lvalue of this type: no qualifiers on top. */
eb_type *eb_type_unqualified(eb_types *types, eb_type *type);

bool eb_type_is(eb_type *type, eb_type_kind kind); /* through sugar */
bool eb_type_is_integer(eb_type *type);            /* with _Bool and enums */
bool eb_type_is_floating(eb_type *type);
bool eb_type_is_wide(eb_type *type); /* of 128 bits */
bool eb_type_is_arithmetic(eb_type *type);
bool eb_type_is_scalar(eb_type *type); /* arithmetic or a pointer */
bool eb_type_is_record(eb_type *type);
bool eb_type_is_unsigned(eb_type *type);
/* Complete means that its size is known. Records must have been completed before. */
bool eb_type_is_complete(eb_type *type);
uint64_t eb_type_size(eb_type *type); /* bytes; 1 for void and functions, as GNU C has it */
uint32_t eb_type_align(eb_type *type);
/* C11 6.2.7, with qualifiers unless `loose`. */
bool eb_type_compatible(eb_type *a, eb_type *b, bool loose);

/* C11 6.3.1.1 and 6.3.1.8. */
eb_type *eb_type_promoted(eb_types *types, eb_type *type);
eb_type *eb_type_common(eb_types *types, eb_type *a, eb_type *b);

/* Offsets, sizes and alignment of a record whose members are all there; as the ABI of clang's BPF
 * target lays bit-fields out. False when it is too large. */
bool eb_record_lay_out(eb_record *record);
/* The member called `name` (its number), also in anonymous records: the path of member numbers to
 * it, outermost first, and its length; 0 if there is none. */
enum { EB_PATH_MOST = 16 };
uint32_t eb_record_find(eb_types *types, eb_record *record, uint32_t name,
                        uint32_t path[EB_PATH_MOST]);

/* As people write it: "const char *". */
void eb_type_text(const eb_types *types, eb_type *type, eb_buf *out);
/* The same type without typedefs, to be shown; records and enums without a tag keep theirs. */
eb_type *eb_type_written_out(eb_types *types, eb_type *type);

#endif
