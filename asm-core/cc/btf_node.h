/* btf_node.h - the graph that becomes BTF; only btf_*.c look inside.
 *
 * A node is a type as BTF has it: sugar taken apart, equal types once. It gets its id when somebody
 * reaches it; records are looked into only then. */
#ifndef EB_BTF_NODE_H
#define EB_BTF_NODE_H

#include "btf_gen.h"
#include "map.h"

typedef struct eb_node {
    uint8_t kind;           /* eb_btf_kind */
    uint8_t linkage;        /* func, var */
    bool settled;           /* a link that leads to nothing that has not been reached */
    uint32_t id;            /* 0: not reached yet */
    uint32_t base;          /* the node that it refers to; 0 is void */
    uint32_t first;         /* record: its members' types, prototype: its parameters', in `refs` */
    uint32_t count;         /* of these */
    const uint8_t *members; /* record: 1 for those that are written; NULL is all */
    union {
        eb_type *type;       /* int, float, record, enum, typedef, prototype */
        const eb_decl *decl; /* func, var; prototype of a function that is defined */
        uint64_t length;     /* array */
        eb_str tag;          /* type tag */
    } of;
    eb_str name; /* func, var */
} eb_node;

typedef struct eb_placed {
    uint32_t node, offset, size;
} eb_placed;

typedef struct eb_datasec {
    eb_str name;
    bool is_extern; /* nothing of it is here: offsets are the loader's business */
    EB_VEC(eb_placed) vars;
} eb_datasec;

typedef struct eb_visit {
    uint32_t node;
    unsigned how;
} eb_visit;

struct eb_btf_gen {
    eb_unit *u;
    ebpf_object *obj;
    eb_arena *arena;
    EB_VEC(eb_node) nodes;  /* [0] is void */
    EB_VEC(uint32_t) order; /* nodes by id, from id 1 on */
    EB_VEC(uint32_t) refs;
    uint32_t basic[EB_TYPE_BASIC_COUNT]; /* their nodes, or 0 */
    uint32_t index_type;                 /* the node that arrays are indexed by, or 0 */
    eb_map known;                        /* what a node is made of, to its number */
    EB_VEC(eb_visit) pending;
    EB_VEC(eb_type *) chain; /* of eb_node_of */
    EB_VEC(eb_datasec) datasecs;
    eb_map datasec_names;
    bool lean; /* clang's BTF has more: what a map's value points to */
};

/* ---- btf_types.c ---- */

/* BTF does not have bit-fields without a name. */
bool eb_btf_has_member(const eb_member *member);

uint32_t eb_node_new(eb_btf_gen *g, eb_btf_kind kind);
/* What stands for `key`; a new 0 that the caller is to set when nothing does. */
uint32_t *eb_node_slot(eb_btf_gen *g, const void *key, size_t size);
/* The node of a type; it is not reached by that. */
uint32_t eb_node_of(eb_btf_gen *g, eb_type *type);
/* Give it the next id, unless it has one. */
uint32_t eb_node_number(eb_btf_gen *g, uint32_t node);
/* Reach it and what it needs. */
void eb_node_reach(eb_btf_gen *g, uint32_t node);
/* The same for the type of a member, where a pointer to a record leads no further. */
void eb_node_reach_member(eb_btf_gen *g, uint32_t node);
/* The same for the type of a variable of .maps. */
void eb_node_reach_map(eb_btf_gen *g, eb_type *type);
/* Whether member `n` of a record's node, as BTF counts them, is written. */
bool eb_node_writes(const eb_node *node, uint32_t n);

/* ---- btf_access.c ---- */

/* Whether a record is about a field, and not about a type as a whole. */
bool eb_core_is_field(const eb_ir_core *core);
/* Reaches what the accesses of these records need, when all else has been reached, and fills in
 * their types and accesses. */
void eb_btf_gen_accesses(eb_btf_gen *g, eb_ir_core *const *cores, uint32_t count);

#endif
