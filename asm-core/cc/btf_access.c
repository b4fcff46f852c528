/* btf_access.c - records of which only CO-RE accesses need something: the members that these go
 * through.
 *
 * libbpf finds an access "0:5:2" in the program's own BTF by the numbers of members, takes names,
 * offsets and types from there, and looks for the same in the kernel's. So a record that nothing
 * else is about (no variable, function, value of a map, relocation of the type itself) is written
 * with its size and the members that are accessed, at their offsets, and accesses count these. It
 * is what bpftool's min_core_btf does to a kernel's BTF: of a task_struct with all that is embedded
 * in it, a hundred bytes stay of ten thousand. */
#include "btf_node.h"
#include "core.h"

/* Member `member` of the record `node`, as BTF numbers them. */
typedef struct step {
    uint32_t node, member;
} step;

/* A record that accesses go through. */
typedef struct use {
    uint32_t node;
    uint8_t *members; /* 1: needed */
} use;

typedef struct accesses {
    eb_btf_gen *g;
    EB_VEC(step) steps; /* of one access */
    EB_VEC(use) uses;
    eb_map by_node; /* to 1 + its number in `uses` */
} accesses;

bool eb_core_is_field(const eb_ir_core *core) {
    return core->kind <= EB_CORE_FIELD_RSHIFT_U64;
}

/* The member that BTF counts as number `n`, or NULL. */
static const eb_member *member_at(const eb_record *record, uint32_t n) {
    for (uint32_t i = 0; i < record->members.len; i++)
        if (eb_btf_has_member(&record->members.at[i]) && n-- == 0)
            return &record->members.at[i];
    return NULL;
}

/* The next number of "0:5:2", from *at on. */
static uint32_t next_index(eb_str text, uint32_t *at) {
    uint32_t value = 0;
    for (; *at < text.len && text.at[*at] != ':'; (*at)++)
        value = value * 10 + (uint32_t)(text.at[*at] - '0');
    *at += *at < text.len;
    return value;
}

/* Fills `steps`; the type that the access ends at, or NULL if it cannot be followed. */
static eb_type *follow(accesses *a, const eb_ir_core *core) {
    eb_type *type = core->of;
    uint32_t at = 0;
    a->steps.len = 0;
    for (next_index(core->access, &at); at < core->access.len;) {
        uint32_t index = next_index(core->access, &at);
        eb_type *plain = eb_type_plain(type);
        if (plain->kind == EB_TYPE_ARRAY) {
            type = plain->base;
            continue;
        }
        if (!eb_type_is_record(plain) || !eb_complete(a->g->u, plain))
            return NULL;
        const eb_member *member = member_at(plain->of.record, index);
        if (!member)
            return NULL;
        uint32_t node = eb_node_of(a->g, plain);
        *EB_PUSH(a->g->arena, &a->steps) = (step){node, index};
        type = member->type;
    }
    return type;
}

static void note(accesses *a, step s) {
    eb_str key = {(const char *)&s.node, sizeof s.node};
    bool is_new;
    uint32_t *number = eb_map_enter(&a->by_node, eb_str_copy(a->g->arena, key), &is_new);
    if (is_new) {
        const eb_record *record = a->g->nodes.at[s.node].of.type->of.record;
        uint8_t *members = eb_alloc(a->g->arena, record->members.len);
        *EB_PUSH(a->g->arena, &a->uses) = (use){s.node, members};
        *number = a->uses.len;
    }
    a->uses.at[*number - 1].members[s.member] = 1;
}

/* The access in the numbers of the members that are written. */
static eb_str renumbered(accesses *a, const eb_ir_core *core) {
    eb_buf out = {.arena = a->g->arena};
    uint32_t at = 0, n = 0;
    eb_type *type = core->of;
    eb_buf_fmt(&out, "%u", next_index(core->access, &at));
    while (at < core->access.len) {
        uint32_t index = next_index(core->access, &at);
        eb_type *plain = eb_type_plain(type);
        if (plain->kind == EB_TYPE_ARRAY) {
            type = plain->base;
        } else {
            const uint8_t *kept = a->g->nodes.at[a->steps.at[n++].node].members;
            type = member_at(plain->of.record, index)->type;
            for (uint32_t i = index; kept && i; i--)
                index -= !kept[i - 1];
        }
        eb_buf_fmt(&out, ":%u", index);
    }
    return (eb_str){(const char *)out.at, out.len};
}

/* First what is needed whole, so that everything else may be left in part. */
void eb_btf_gen_accesses(eb_btf_gen *g, eb_ir_core *const *cores, uint32_t count) {
    accesses a = {.g = g, .by_node.arena = g->arena};
    for (uint32_t n = 0; n < count; n++) {
        eb_type *end = follow(&a, cores[n]);
        if (!end || !a.steps.len) {
            eb_btf_gen_type(g, cores[n]->of);
            continue;
        }
        eb_node_reach_member(g, eb_node_of(g, end));
        for (uint32_t i = 0; i < a.steps.len; i++)
            note(&a, a.steps.at[i]);
    }
    for (uint32_t n = 0; n < a.uses.len; n++)
        if (!g->nodes.at[a.uses.at[n].node].id)
            g->nodes.at[a.uses.at[n].node].members = a.uses.at[n].members;
    for (uint32_t n = 0; n < count; n++) {
        cores[n]->type = eb_btf_gen_type(g, cores[n]->of);
        if (follow(&a, cores[n]) && a.steps.len)
            cores[n]->access = renumbered(&a, cores[n]);
    }
}
