/* btf_types.c - types of the tree to nodes, and which of them a program needs.
 *
 * A type is reached from a function, a variable or a CO-RE record. What stops the walk are pointers
 * to records inside of records: those stay forward declarations until something else needs them.
 * The exact rule is clang's (LLVM, lib/Target/BPF/BTFDebug.cpp, visitTypeEntry), since tools
 * compare with it: a chain of pointers, typedefs and qualifiers that starts at a member and has
 * passed a pointer ends in front of a named record; arrays and prototypes start anew. A chain that
 * is met again goes on where the first walk ended, unless it ends right behind a pointer.
 *
 * Chains and records nest as deep as somebody likes: nothing here recurses but for parameters,
 * whose nesting the parser bounds. */
#include "btf_node.h"

enum { IN_MEMBER = 1, BEHIND_POINTER = 2, PRUNING = IN_MEMBER | BEHIND_POINTER };

/* ---- nodes ---- */

uint32_t eb_node_new(eb_btf_gen *g, eb_btf_kind kind) {
    EB_PUSH(g->arena, &g->nodes)->kind = (uint8_t)kind;
    return g->nodes.len - 1;
}

uint32_t *eb_node_slot(eb_btf_gen *g, const void *key, size_t size) {
    eb_str text = {key, size};
    uint32_t hash = eb_str_hash(text);
    uint32_t *found = eb_map_find_hashed(&g->known, text, hash);
    bool is_new;
    return found ? found
                 : eb_map_enter_hashed(&g->known, eb_str_copy(g->arena, text), hash, &is_new);
}

static uint32_t derived(eb_btf_gen *g, eb_btf_kind kind, uint32_t base) {
    const uint32_t key[2] = {kind, base};
    uint32_t *slot = eb_node_slot(g, key, sizeof key);
    if (!*slot) {
        *slot = eb_node_new(g, kind);
        g->nodes.at[*slot].base = base;
    }
    return *slot;
}

static uint32_t array_of(eb_btf_gen *g, uint32_t base, uint64_t length) {
    const uint64_t key[2] = {(uint64_t)base << 32 | EB_BTF_ARRAY, length};
    uint32_t *slot = eb_node_slot(g, key, sizeof key);
    if (!*slot) {
        *slot = eb_node_new(g, EB_BTF_ARRAY);
        g->nodes.at[*slot].base = base;
        g->nodes.at[*slot].of.length = length == EB_ARRAY_OPEN ? 0 : length;
    }
    return *slot;
}

static uint32_t tagged(eb_btf_gen *g, uint32_t base, eb_str tag) {
    if (eb_str_starts(tag, "address_space("))
        return base; /* no matter of BTF */
    const uint32_t head[2] = {EB_BTF_TYPE_TAG, base};
    eb_buf key = {.arena = g->arena};
    eb_buf_put(&key, head, sizeof head);
    eb_buf_str(&key, tag);
    uint32_t *slot = eb_node_slot(g, key.at, key.len);
    if (!*slot) {
        *slot = eb_node_new(g, EB_BTF_TYPE_TAG);
        g->nodes.at[*slot].base = base;
        g->nodes.at[*slot].of.tag = tag;
    }
    return *slot;
}

/* Records, enums and typedefs are what the tree has: one object each. */
static uint32_t named(eb_btf_gen *g, eb_btf_kind kind, eb_type *type) {
    uint32_t *slot = eb_node_slot(g, &type, sizeof type);
    if (!*slot) {
        *slot = eb_node_new(g, kind);
        g->nodes.at[*slot].of.type = type;
    }
    return *slot;
}

static uint32_t basic(eb_btf_gen *g, eb_type *type) {
    uint32_t *known = &g->basic[type->kind];
    if (type->kind <= EB_TYPE_VOID)
        return 0;
    if (!*known) {
        *known = eb_node_new(g, eb_type_is_floating(type) ? EB_BTF_FLOAT : EB_BTF_INT);
        g->nodes.at[*known].of.type = type;
    }
    return *known;
}

/* Of a declaration; that of a definition has names and is no pointer's. */
static uint32_t prototype(eb_btf_gen *g, uint32_t result, eb_type *type) {
    EB_VEC(uint32_t) key = {0};
    *EB_PUSH(g->arena, &key) = EB_BTF_FUNC_PROTO;
    *EB_PUSH(g->arena, &key) = result;
    for (uint64_t n = 0; n < type->count; n++)
        *EB_PUSH(g->arena, &key) = eb_node_of(g, type->of.params[n].type);
    if (type->variadic || type->no_prototype)
        *EB_PUSH(g->arena, &key) = 0;
    uint32_t *slot = eb_node_slot(g, key.at, key.len * sizeof *key.at);
    if (!*slot) {
        *slot = eb_node_new(g, EB_BTF_FUNC_PROTO);
        eb_node *node = &g->nodes.at[*slot];
        node->base = result;
        node->first = g->refs.len;
        node->count = key.len - 2;
        for (uint32_t n = 2; n < key.len; n++)
            *EB_PUSH(g->arena, &g->refs) = key.at[n];
    }
    return *slot;
}

/* ---- types to nodes ---- */

static uint32_t leaf(eb_btf_gen *g, eb_type *type) {
    switch (type->kind) {
    case EB_TYPE_STRUCT:
        return named(g, EB_BTF_STRUCT, type);
    case EB_TYPE_UNION:
        return named(g, EB_BTF_UNION, type);
    case EB_TYPE_ENUM:
        return named(g, EB_BTF_ENUM, type);
    case EB_TYPE_TYPEDEF:
        return named(g, EB_BTF_TYPEDEF, type); /* what it stands for is looked at when needed */
    default:
        return basic(g, type);
    }
}

static bool is_leaf(const eb_type *type) {
    return type->kind <= EB_TYPE_ENUM || type->kind == EB_TYPE_STRUCT ||
           type->kind == EB_TYPE_UNION || type->kind == EB_TYPE_TYPEDEF;
}

/* BTF has one qualifier a node, const outermost. */
static uint32_t qualified(eb_btf_gen *g, uint32_t node, unsigned quals) {
    if (quals & EB_RESTRICT)
        node = derived(g, EB_BTF_RESTRICT, node);
    if (quals & EB_VOLATILE)
        node = derived(g, EB_BTF_VOLATILE, node);
    if (quals & EB_CONST)
        node = derived(g, EB_BTF_CONST, node);
    return node;
}

/* From the inside out. Type tags are of pointers: those on what is pointed to stand between it with
 * its qualifiers and the pointer, in the order in which they are written; others are dropped. */
uint32_t eb_node_of(eb_btf_gen *g, eb_type *type) {
    uint32_t start = g->chain.len;
    for (; !is_leaf(type); type = type->base)
        *EB_PUSH(g->arena, &g->chain) = type;
    uint32_t node = leaf(g, type), top = g->chain.len;
    unsigned quals = 0;
    for (uint32_t at = top; at > start; at--) {
        eb_type *next = g->chain.at[at - 1];
        if (next->kind == EB_TYPE_QUALIFIED || next->kind == EB_TYPE_TAGGED) {
            quals |= next->kind == EB_TYPE_QUALIFIED ? next->quals : 0u;
            continue;
        }
        node = qualified(g, node, quals);
        quals = 0;
        if (next->kind == EB_TYPE_POINTER) {
            for (uint32_t n = top; n > at; n--)
                if (g->chain.at[n - 1]->kind == EB_TYPE_TAGGED)
                    node = tagged(g, node, g->chain.at[n - 1]->of.tag);
            node = derived(g, EB_BTF_PTR, node);
        } else if (next->kind == EB_TYPE_ARRAY) {
            node = array_of(g, node, next->count);
        } else {
            node = prototype(g, node, next);
        }
        top = at - 1;
    }
    g->chain.len = start;
    return qualified(g, node, quals);
}

/* ---- reaching ---- */

uint32_t eb_node_number(eb_btf_gen *g, uint32_t node) {
    if (!g->nodes.at[node].id) {
        *EB_PUSH(g->arena, &g->order) = node;
        g->nodes.at[node].id = g->order.len;
    }
    return g->nodes.at[node].id;
}

static void push(eb_btf_gen *g, uint32_t node, unsigned how) {
    if (node)
        *EB_PUSH(g->arena, &g->pending) = (eb_visit){node, how};
}

/* Refers to one type, and goes on there. */
static bool is_link(const eb_btf_gen *g, uint32_t node) {
    unsigned kind = g->nodes.at[node].kind;
    return kind == EB_BTF_PTR || kind == EB_BTF_CONST || kind == EB_BTF_VOLATILE ||
           kind == EB_BTF_RESTRICT || kind == EB_BTF_TYPEDEF || kind == EB_BTF_TYPE_TAG;
}

static bool is_named_record(const eb_btf_gen *g, uint32_t node) {
    const eb_node *n = &g->nodes.at[node];
    return (n->kind == EB_BTF_STRUCT || n->kind == EB_BTF_UNION) && n->of.type->of.record->name;
}

bool eb_btf_has_member(const eb_member *member) {
    return member->name || !member->is_field;
}

bool eb_node_writes(const eb_node *node, uint32_t n) {
    return !node->members || node->members[n];
}

/* Reads a body that was skipped. The members' nodes stand in `refs`. */
static void open_record(eb_btf_gen *g, uint32_t node) {
    eb_type *type = g->nodes.at[node].of.type;
    if (!eb_complete(g->u, type)) {
        g->nodes.at[node].kind = EB_BTF_FWD;
        return;
    }
    const eb_record *record = type->of.record;
    uint32_t first = g->refs.len, count = 0;
    for (uint32_t n = 0; n < record->members.len; n++)
        if (eb_btf_has_member(&record->members.at[n]))
            EB_PUSH(g->arena, &g->refs); /* before prototypes among them push theirs */
    for (uint32_t n = 0; n < record->members.len; n++) {
        if (!eb_btf_has_member(&record->members.at[n]))
            continue;
        if (eb_node_writes(&g->nodes.at[node], count)) {
            uint32_t of = eb_node_of(g, record->members.at[n].type);
            g->refs.at[first + count] = of;
        }
        count++;
    }
    g->nodes.at[node].first = first;
    g->nodes.at[node].count = count;
}

static void push_refs(eb_btf_gen *g, uint32_t node, unsigned how) {
    uint32_t first = g->nodes.at[node].first;
    for (uint32_t n = g->nodes.at[node].count; n; n--)
        push(g, g->refs.at[first + n - 1], how);
}

static void reach_first(eb_btf_gen *g, uint32_t node, unsigned how) {
    eb_node_number(g, node);
    switch (g->nodes.at[node].kind) {
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        open_record(g, node);
        push_refs(g, node, IN_MEMBER);
        return;
    case EB_BTF_FUNC_PROTO:
        push_refs(g, node, 0);
        push(g, g->nodes.at[node].base, 0);
        return;
    case EB_BTF_ARRAY:
        push(g, g->nodes.at[node].base, 0);
        return;
    case EB_BTF_TYPEDEF: {
        uint32_t base = eb_node_of(g, g->nodes.at[node].of.type->base);
        g->nodes.at[node].base = base;
        break;
    }
    case EB_BTF_PTR:
        how |= how & IN_MEMBER ? BEHIND_POINTER : 0u;
        break;
    default:
        break;
    }
    uint32_t base = g->nodes.at[node].base;
    if (base && !(how == PRUNING && is_named_record(g, base)))
        push(g, base, how);
}

/* Where the first walk along the chain ended, this one may go on. */
static void reach_again(eb_btf_gen *g, uint32_t node, unsigned how) {
    bool pointer = false;
    uint32_t start = node, left = g->nodes.len; /* links that go round exist in BTF only */
    if (how == PRUNING)
        return;
    for (; left && is_link(g, node) && !g->nodes.at[node].settled; left--) {
        pointer = g->nodes.at[node].kind == EB_BTF_PTR ||
                  (pointer && g->nodes.at[node].kind == EB_BTF_TYPE_TAG);
        node = g->nodes.at[node].base;
        if (!node)
            break;
        if (g->nodes.at[node].id)
            continue;
        how |= how & IN_MEMBER && pointer ? BEHIND_POINTER : 0u;
        if (!(how == PRUNING && is_named_record(g, node)))
            push(g, node, how);
        return;
    }
    for (; start != node; start = g->nodes.at[start].base)
        g->nodes.at[start].settled = true;
}

static void reach(eb_btf_gen *g, uint32_t node, unsigned how) {
    push(g, node, how);
    while (g->pending.len) {
        eb_visit next = g->pending.at[--g->pending.len];
        if (g->nodes.at[next.node].id)
            reach_again(g, next.node, next.how);
        else
            reach_first(g, next.node, next.how);
    }
}

void eb_node_reach(eb_btf_gen *g, uint32_t node) {
    reach(g, node, 0);
}

void eb_node_reach_member(eb_btf_gen *g, uint32_t node) {
    reach(g, node, IN_MEMBER);
}

/* What a member of a map's definition points to; clang goes on from there as from a variable. */
static void reach_pointed(eb_btf_gen *g, uint32_t node) {
    if (!g->lean || g->nodes.at[node].kind != EB_BTF_PTR) {
        reach(g, node, 0);
        return;
    }
    reach(g, g->nodes.at[node].base, IN_MEMBER);
    reach(g, node, IN_MEMBER);
}

/* The members of a map's definition, as if each were a variable: libbpf needs to know what the
 * pointers point to. Gives what `values` holds, the definition of inner maps, or NULL. */
static eb_type *reach_members(eb_btf_gen *g, eb_type *type) {
    eb_type *inner = NULL;
    if (!eb_type_is_record(type) || !eb_complete(g->u, type))
        return NULL;
    const eb_record *record = eb_type_plain(type)->of.record;
    for (uint32_t n = 0; n < record->members.len; n++) {
        eb_type *member = record->members.at[n].type, *plain = eb_type_plain(member);
        reach_pointed(g, eb_node_of(g, member));
        if (plain->kind == EB_TYPE_ARRAY && eb_type_is(plain->base, EB_TYPE_POINTER))
            inner = eb_type_plain(plain->base)->base;
    }
    return inner;
}

void eb_node_reach_map(eb_btf_gen *g, eb_type *type) {
    eb_type *inner = reach_members(g, type);
    if (inner)
        reach_members(g, inner);
    reach(g, eb_node_of(g, type), 0);
}
