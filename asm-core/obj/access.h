/* access.h - what the kernel lets a program do that depends on its type: which fields of its
 * context it reads and writes, and which helper functions it calls. Everything comes from
 * context.def and helper.def; the VM refuses by it, and the compiler warns. */
#ifndef EB_ACCESS_H
#define EB_ACCESS_H

#include "json.h"
#include "kinds.h"

/* Who programs are in the columns of context.def. A layout has few groups, and its own. */
enum {
    EB_GROUP_ALL = 1,
    /* struct xdp_md */
    EB_GROUP_DEVMAP = 2, /* programs of a device map */
    /* struct __sk_buff */
    EB_GROUP_FILTER = 4,
    EB_GROUP_CGROUP = 8,
    EB_GROUP_TC = 16,
    EB_GROUP_LWT = 32,
    EB_GROUP_STREAM = 64,
    EB_GROUP_FLOW = 128,
    EB_GROUP_SKBS =
        EB_GROUP_FILTER | EB_GROUP_CGROUP | EB_GROUP_TC | EB_GROUP_LWT | EB_GROUP_STREAM,
    /* struct bpf_sock */
    EB_GROUP_CREATE = 1,
    EB_GROUP_BOUND4 = 2,
    EB_GROUP_BOUND6 = 4,
    EB_GROUP_SOCKS = EB_GROUP_CREATE | EB_GROUP_BOUND4 | EB_GROUP_BOUND6,
    /* struct bpf_sock_addr */
    EB_GROUP_IP4 = 1,
    EB_GROUP_IP6 = 2,
    EB_GROUP_LOCAL = 4, /* Unix sockets */
    EB_GROUP_SEND4 = 8,
    EB_GROUP_SEND6 = 16,
    EB_GROUP_ADDRS = EB_GROUP_IP4 | EB_GROUP_IP6 | EB_GROUP_LOCAL,
    /* struct bpf_sockopt */
    EB_GROUP_GETTING = 1,
    EB_GROUP_SETTING = 2
};

typedef enum eb_layout_id {
    EB_LAYOUT_NONE,
#define LAYOUT(id, name, size) EB_LAYOUT_##id,
#include "context.def"
    EB_LAYOUTS
} eb_layout_id;

typedef enum eb_field_kind {
    EB_FIELD_NARROW,
    EB_FIELD_FIRST,
    EB_FIELD_PAIRS,
    EB_FIELD_PORT,
    EB_FIELD_PARTS,
    EB_FIELD_WHOLE,
    EB_FIELD_DATA,
    EB_FIELD_META,
    EB_FIELD_END,
    EB_FIELD_POINTER
} eb_field_kind;

typedef struct eb_ctx_field {
    const char *name;
    uint8_t layout, kind, size, readers, writers;
    uint16_t offset, count;
} eb_ctx_field;

/* What a program's context is; NONE where its type has no fixed one. `arm64` chooses registers. */
eb_layout_id eb_layout_of(uint32_t prog_type, bool arm64);
const char *eb_layout_name(eb_layout_id layout);
uint32_t eb_layout_size(eb_layout_id layout);
uint32_t eb_group_of(uint32_t prog_type, uint32_t attach_type);
/* Its name, size, and fields with who may do what. */
void eb_layout_json(eb_layout_id layout, uint32_t group, eb_json *json);
/* Why programs of the group may not access `size` bytes (1, 2, 4 or 8) at `offset`, or NULL; said
 * of `field`, which is NULL where there is none. */
const char *eb_access_refused(eb_layout_id layout, uint32_t group, uint32_t offset, uint32_t size,
                              bool write, const eb_ctx_field **field);

/* Whether programs of the type, and of the attach type, may call a helper. True for helpers that
 * nobody knows here. */
bool eb_may_call(uint32_t prog_type, uint32_t attach_type, uint32_t helper);
/* Whether some of that type may. */
bool eb_types_call(uint32_t prog_type, uint32_t helper);
/* Whether only programs under a licence that is compatible with the GPL may. */
bool eb_helper_needs_gpl(uint32_t helper);
/* Whether the kernel takes this licence as compatible. */
bool eb_licence_is_gpl(eb_str licence);

#endif
