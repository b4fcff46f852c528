/* helper_packet.c - helpers that read, change and move packets.
 * Results and their order are the kernel's (net/core/filter.c, skbuff.c); what BPF_PROG_TEST_RUN
 * makes of a packet is the model: one piece, on the loopback device, no checksum by hardware. */
#include "vm.h"

#include <string.h>

enum {
    ETH = 14,
    IPV4 = 20,
    IPV6 = 40,
    VLAN = 4,
    P_IP = 0x0800,
    P_IPV6 = 0x86dd,
    P_8021Q = 0x8100,
    P_8021AD = 0x88a8,
    OFFSET_MOST = 0xffff,
    LENGTH_MOST = 65536 + ETH, /* the loopback device's */
    EACCES_ = 13
};

static bool give(uint64_t *r, int error) {
    r[0] = error ? eb_vm_failure(error) : 0;
    return true;
}

/* The packet of the context that r1 is, which has this layout; NULL and the fault otherwise. */
static eb_packet *packet_of(ebpf_vm *vm, const uint64_t *r, eb_layout_id layout) {
    if (vm->packet.region && vm->context.layout == layout &&
        r[1] == eb_vm_address(EB_REGION_CONTEXT, 0))
        return &vm->packet;
    eb_vm_refuse(vm, EBPF_FAULT_HELPER, r[1],
                 "%s: its first argument, r1 = 0x%llx, is not the context of %s",
                 eb_vm_helper_name(vm, vm->helper), (unsigned long long)r[1],
                 layout == EB_LAYOUT_XDP ? "an xdp program" : "a socket buffer's program");
    return NULL;
}

static uint32_t length(const eb_packet *p) {
    return p->end - p->data;
}

/* The packet has been changed: pointers die, and the length is seen. */
static bool moved(ebpf_vm *vm, uint64_t *r, int error) {
    if (vm->context.layout == EB_LAYOUT_SKB)
        eb_skb_set(vm, EB_SKB_LEN, length(&vm->packet));
    eb_packet_moved(vm);
    return give(r, error);
}

/* ---- bytes ---- */

/* `size` bytes that the program reads or writes; at a size of 0 an address that nobody uses. */
static uint8_t *memory(ebpf_vm *vm, uint64_t address, uint32_t size, bool write) {
    return size ? eb_vm_reach(vm, address, size, write) : (uint8_t *)&vm->state;
}

static bool load(ebpf_vm *vm, uint64_t *r, const eb_packet *p, uint32_t start, int error) {
    uint32_t offset = (uint32_t)r[2], size = (uint32_t)r[4];
    uint8_t *to = memory(vm, r[3], size, true);
    if (!to)
        return false;
    if (!error && (uint64_t)start + offset + size > p->end)
        error = EBPF_EFAULT;
    if (!error && size)
        memmove(to, p->room + start + offset, size);
    else if (size)
        memset(to, 0, size);
    return give(r, error);
}

bool eb_help_skb_load_bytes(ebpf_vm *vm, uint64_t *r) {
    const eb_packet *p = packet_of(vm, r, EB_LAYOUT_SKB);
    return p && load(vm, r, p, p->data, (uint32_t)r[2] > INT32_MAX ? EBPF_EFAULT : 0);
}

bool eb_help_skb_load_bytes_relative(ebpf_vm *vm, uint64_t *r) {
    const eb_packet *p = packet_of(vm, r, EB_LAYOUT_SKB);
    bool bad = (uint32_t)r[2] > OFFSET_MOST || (uint32_t)r[5] > 1;
    return p && load(vm, r, p, (uint32_t)r[5] ? p->network : p->mac, bad ? EBPF_EFAULT : 0);
}

bool eb_help_skb_store_bytes(ebpf_vm *vm, uint64_t *r) {
    enum { RECOMPUTE_CSUM = 1, INVALIDATE_HASH = 2 };
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_SKB);
    uint32_t offset = (uint32_t)r[2], size = (uint32_t)r[4];
    const uint8_t *from = p ? memory(vm, r[3], size, false) : NULL;
    if (!from)
        return false;
    if (r[5] & ~(uint64_t)(RECOMPUTE_CSUM | INVALIDATE_HASH))
        return moved(vm, r, EBPF_EINVAL);
    if (offset > INT32_MAX || (uint64_t)offset + size > length(p))
        return moved(vm, r, EBPF_EFAULT);
    if (size)
        memmove(p->room + p->data + offset, from, size);
    if (r[5] & INVALIDATE_HASH)
        eb_skb_set(vm, EB_SKB_HASH, 0);
    return moved(vm, r, 0);
}

bool eb_help_xdp_get_buff_len(ebpf_vm *vm, uint64_t *r) {
    const eb_packet *p = packet_of(vm, r, EB_LAYOUT_XDP);
    if (p)
        r[0] = length(p);
    return p != NULL;
}

static int xdp_range(const eb_packet *p, const uint64_t *r) {
    uint32_t offset = (uint32_t)r[2], size = (uint32_t)r[4];
    if (offset > OFFSET_MOST || size > OFFSET_MOST)
        return EBPF_EFAULT;
    return offset + size > length(p) ? EBPF_EINVAL : 0;
}

bool eb_help_xdp_load_bytes(ebpf_vm *vm, uint64_t *r) {
    const eb_packet *p = packet_of(vm, r, EB_LAYOUT_XDP);
    uint8_t *to = p ? memory(vm, r[3], (uint32_t)r[4], true) : NULL;
    if (!to)
        return false;
    int error = xdp_range(p, r);
    if (!error && (uint32_t)r[4])
        memmove(to, p->room + p->data + (uint32_t)r[2], (uint32_t)r[4]);
    return give(r, error);
}

bool eb_help_xdp_store_bytes(ebpf_vm *vm, uint64_t *r) {
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_XDP);
    const uint8_t *from = p ? memory(vm, r[3], (uint32_t)r[4], false) : NULL;
    if (!from)
        return false;
    int error = xdp_range(p, r);
    if (!error && (uint32_t)r[4])
        memmove(p->room + p->data + (uint32_t)r[2], from, (uint32_t)r[4]);
    return give(r, error);
}

/* ---- checksums: ones' complement sums of words in the machine's byte order ---- */

static uint32_t add(uint32_t a, uint32_t b) {
    uint32_t sum = a + b;
    return sum + (sum < b);
}

static uint16_t fold(uint32_t sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static uint32_t sum_of(const ebpf_vm *vm, const uint8_t *at, uint32_t size, uint32_t sum) {
    for (uint32_t i = 0; i < size; i += 4) {
        uint8_t word[4] = {0};
        memcpy(word, at + i, size - i < 4 ? size - i : 4);
        sum = add(sum, eb_get32(word, vm->big));
    }
    return sum;
}

static void replace(const ebpf_vm *vm, uint8_t *at, uint32_t difference) {
    uint32_t sum = (uint16_t)~eb_get16(at, vm->big);
    eb_set16(at, vm->big, (uint16_t)~fold(add(difference, sum)));
}

/* What both csum_replace helpers do with from = r3, to = r4 and the size in flags. */
static int replace_field(const ebpf_vm *vm, uint8_t *at, const uint64_t *r) {
    uint32_t from = (uint32_t)r[3], to = (uint32_t)r[4];
    switch (r[5] & 0xf) {
    case 0:
        if (r[3])
            return EBPF_EINVAL;
        replace(vm, at, to);
        return 0;
    case 2:
        replace(vm, at, add((uint16_t)~from, (uint16_t)to));
        return 0;
    case 4:
        replace(vm, at, add(~from, to));
        return 0;
    default:
        return EBPF_EINVAL;
    }
}

/* The 16-bit checksum at r2, or NULL and the error. */
static uint8_t *checksum_at(const eb_packet *p, const uint64_t *r, uint64_t flags, int *error) {
    uint32_t offset = (uint32_t)r[2];
    *error = r[5] & ~flags                                                  ? EBPF_EINVAL
             : offset > OFFSET_MOST || offset % 2 || offset + 2 > length(p) ? EBPF_EFAULT
                                                                            : 0;
    return *error ? NULL : p->room + p->data + offset;
}

bool eb_help_l3_csum_replace(ebpf_vm *vm, uint64_t *r) {
    int error;
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_SKB);
    uint8_t *at = p ? checksum_at(p, r, 0xf, &error) : NULL;
    if (!p)
        return false;
    return moved(vm, r, at ? replace_field(vm, at, r) : error);
}

bool eb_help_l4_csum_replace(ebpf_vm *vm, uint64_t *r) {
    enum { PSEUDO = 0x10, MANGLED_0 = 0x20, ENFORCE = 0x40, IPV6_HEADER = 0x80 };
    int error;
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_SKB);
    uint8_t *at =
        p ? checksum_at(p, r, 0xf | PSEUDO | MANGLED_0 | ENFORCE | IPV6_HEADER, &error) : NULL;
    if (!p)
        return false;
    if (!at)
        return moved(vm, r, error);
    bool keep = (r[5] & MANGLED_0) != 0;
    if (keep && !(r[5] & ENFORCE) && !at[0] && !at[1])
        return moved(vm, r, 0);
    error = replace_field(vm, at, r);
    if (!error && keep && !at[0] && !at[1])
        at[0] = at[1] = 0xff;
    return moved(vm, r, error);
}

/* As Linux 6.13 has it: any sizes, and a sum of 16 bits. */
bool eb_help_csum_diff(ebpf_vm *vm, uint64_t *r) {
    uint32_t from_size = (uint32_t)r[2], to_size = (uint32_t)r[4], sum = (uint32_t)r[5];
    const uint8_t *from = memory(vm, r[1], from_size, false);
    const uint8_t *to = from ? memory(vm, r[3], to_size, false) : NULL;
    if (!to)
        return false;
    /* Zero has two forms, and which of them comes out is seen. */
    if (to_size)
        sum = sum_of(vm, to, to_size, sum);
    if (from_size && to_size)
        sum = add(sum, ~sum_of(vm, from, from_size, 0));
    else if (from_size)
        sum = ~sum_of(vm, from, from_size, ~sum);
    r[0] = fold(sum);
    return true;
}

bool eb_help_csum_update(ebpf_vm *vm, uint64_t *r) {
    return packet_of(vm, r, EB_LAYOUT_SKB) && give(r, EBPF_ENOTSUPP);
}

bool eb_help_csum_level(ebpf_vm *vm, uint64_t *r) {
    enum { LEVELS = 4 };
    return packet_of(vm, r, EB_LAYOUT_SKB) && give(r, r[2] >= LEVELS ? EBPF_EINVAL : EACCES_);
}

/* ---- size and place ---- */

bool eb_help_xdp_adjust_head(ebpf_vm *vm, uint64_t *r) {
    enum { FRAME = 40 /* struct xdp_frame lies in front */ };
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_XDP);
    if (!p)
        return false;
    int64_t by = (int32_t)(uint32_t)r[2], data = p->data + by;
    uint32_t metadata = p->data - p->meta;
    if (data < (int64_t)FRAME + metadata || data > (int64_t)p->end - ETH)
        return moved(vm, r, EBPF_EINVAL);
    if (metadata)
        memmove(p->room + p->meta + by, p->room + p->meta, metadata);
    p->data = p->mac = (uint32_t)data;
    p->meta = p->data - metadata;
    return moved(vm, r, 0);
}

bool eb_help_xdp_adjust_meta(ebpf_vm *vm, uint64_t *r) {
    enum { FRAME = 40, METADATA_MOST = 252 };
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_XDP);
    if (!p)
        return false;
    int64_t meta = p->meta + (int64_t)(int32_t)(uint32_t)r[2];
    if (meta < FRAME || meta > p->data)
        return moved(vm, r, EBPF_EINVAL);
    uint32_t metadata = p->data - (uint32_t)meta;
    if (metadata % 4 || metadata > METADATA_MOST)
        return moved(vm, r, EACCES_);
    p->meta = (uint32_t)meta;
    return moved(vm, r, 0);
}

bool eb_help_xdp_adjust_tail(ebpf_vm *vm, uint64_t *r) {
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_XDP);
    if (!p)
        return false;
    int64_t by = (int32_t)(uint32_t)r[2], end = p->end + by;
    if (end > p->size || end < (int64_t)p->data + ETH)
        return moved(vm, r, EBPF_EINVAL);
    if (by > 0)
        memset(p->room + p->end, 0, (size_t)by);
    p->end = (uint32_t)end;
    return moved(vm, r, 0);
}

bool eb_help_skb_pull_data(ebpf_vm *vm, uint64_t *r) {
    enum { ENOMEM_ = 12 };
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_SKB);
    return p && moved(vm, r, (uint32_t)r[2] > length(p) ? ENOMEM_ : 0);
}

/* `size` zero bytes at `offset` of the packet; what is before moves to the front. */
static bool push(ebpf_vm *vm, uint32_t offset, uint32_t size) {
    eb_packet *p = &vm->packet;
    if (!eb_packet_grow(vm, size, 0))
        return false;
    p->data -= size;
    memmove(p->room + p->data, p->room + p->data + size, offset);
    memset(p->room + p->data + offset, 0, size);
    p->meta = p->data;
    p->mac -= size;
    p->network -= size;
    return true;
}

static void pop(ebpf_vm *vm, uint32_t offset, uint32_t size) {
    eb_packet *p = &vm->packet;
    memmove(p->room + p->data + size, p->room + p->data, offset);
    p->data += size;
    p->meta = p->data;
    p->mac += size;
    p->network += size;
}

bool eb_help_skb_change_head(ebpf_vm *vm, uint64_t *r) {
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_SKB);
    uint32_t by = (uint32_t)r[2];
    if (!p)
        return false;
    if (r[3] || by > LENGTH_MOST || length(p) + by > LENGTH_MOST || !eb_packet_grow(vm, by, 0))
        return moved(vm, r, EBPF_EINVAL);
    p->data -= by;
    memset(p->room + p->data, 0, by);
    p->meta = p->mac = p->data;
    return moved(vm, r, 0);
}

bool eb_help_skb_change_tail(ebpf_vm *vm, uint64_t *r) {
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_SKB);
    uint32_t size = (uint32_t)r[2];
    if (!p)
        return false;
    uint32_t least = p->network > p->data ? p->network - p->data : 0;
    if (r[3] || size > LENGTH_MOST || size < least)
        return moved(vm, r, EBPF_EINVAL);
    uint32_t old = length(p);
    if (size > old) {
        if (!eb_packet_grow(vm, 0, size - old))
            return moved(vm, r, EBPF_EINVAL);
        memset(p->room + p->end, 0, size - old);
    }
    p->end = p->data + size;
    return moved(vm, r, 0);
}

static uint32_t header_of(uint16_t protocol) {
    return protocol == P_IP ? IPV4 : protocol == P_IPV6 ? IPV6 : 0;
}

bool eb_help_skb_change_proto(ebpf_vm *vm, uint64_t *r) {
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_SKB);
    if (!p)
        return false;
    uint8_t wire[2];
    eb_set16(wire, vm->big, (uint16_t)r[2]);
    uint16_t from = eb_skb_protocol(vm), to = eb_get16(wire, true);
    uint32_t offset = p->network - p->mac;
    if (r[3])
        return moved(vm, r, EBPF_EINVAL);
    if (from == to || !header_of(from) || !header_of(to))
        return moved(vm, r, EBPF_ENOTSUPP);
    if (from == P_IP ? !push(vm, offset, IPV6 - IPV4) : length(p) < offset + IPV6)
        return moved(vm, r, 12);
    if (from == P_IPV6)
        pop(vm, offset, IPV6 - IPV4);
    eb_skb_set_protocol(vm, to);
    eb_skb_set(vm, EB_SKB_HASH, 0);
    return moved(vm, r, 0);
}

bool eb_help_skb_change_type(ebpf_vm *vm, uint64_t *r) {
    enum { OTHERHOST = 3 };
    if (!packet_of(vm, r, EB_LAYOUT_SKB))
        return false;
    if ((uint32_t)r[2] > OTHERHOST || eb_skb_get(vm, EB_SKB_PKT_TYPE) > OTHERHOST)
        return give(r, EBPF_EINVAL);
    eb_skb_set(vm, EB_SKB_PKT_TYPE, (uint32_t)r[2]);
    return give(r, 0);
}

enum {
    ROOM_FIXED_GSO = 1,
    ROOM_ENCAP_IPV4 = 2,
    ROOM_ENCAP_IPV6 = 4,
    ROOM_NO_CSUM_RESET = 1 << 5,
    ROOM_DECAP_IPV4 = 1 << 7,
    ROOM_DECAP_IPV6 = 1 << 8,
    ROOM_FLAGS = 0x1ff
};

/* Why room cannot be adjusted, or 0. */
static int room_error(const eb_packet *p, uint16_t protocol, int32_t by, uint64_t mode,
                      uint64_t flags) {
    uint32_t size = by < 0 ? 0 - (uint32_t)by : (uint32_t)by, now = p->end - p->network;
    uint32_t least = header_of(protocol);
    if (flags & ~((uint64_t)0xff << 56 | ROOM_FLAGS))
        return EBPF_EINVAL;
    if (size > 0xfff)
        return EBPF_EFAULT;
    if (!least || mode > 1)
        return EBPF_ENOTSUPP;
    if (flags & (ROOM_DECAP_IPV4 | ROOM_DECAP_IPV6)) {
        if (by >= 0)
            return EBPF_EINVAL;
        least = flags & ROOM_DECAP_IPV4 ? IPV4 : IPV6;
    }
    if (by < 0 ? size >= now || now - size < least : p->end - p->data + size > LENGTH_MOST)
        return EBPF_ENOTSUPP;
    return 0;
}

bool eb_help_skb_adjust_room(ebpf_vm *vm, uint64_t *r) {
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_SKB);
    if (!p)
        return false;
    int32_t by = (int32_t)(uint32_t)r[2];
    uint16_t protocol = eb_skb_protocol(vm);
    int error = room_error(p, protocol, by, (uint32_t)r[3], r[4]);
    if (error)
        return moved(vm, r, error);
    uint32_t offset = p->network - p->data + ((uint32_t)r[3] ? 0 : header_of(protocol));
    if (by < 0)
        pop(vm, offset, 0 - (uint32_t)by);
    else if (!push(vm, offset, (uint32_t)by))
        return moved(vm, r, EBPF_ENOTSUPP);
    if (protocol == P_IP && r[4] & (ROOM_ENCAP_IPV6 | ROOM_DECAP_IPV6))
        eb_skb_set_protocol(vm, P_IPV6);
    else if (protocol == P_IPV6 && r[4] & (ROOM_ENCAP_IPV4 | ROOM_DECAP_IPV4))
        eb_skb_set_protocol(vm, P_IP);
    return moved(vm, r, 0);
}

/* ---- VLAN tags: the outermost one is kept beside the packet ---- */

static void set_tag(ebpf_vm *vm, uint16_t protocol, uint16_t tci) {
    uint8_t wire[2];
    eb_set16(wire, true, protocol);
    eb_skb_set(vm, EB_SKB_VLAN_PRESENT, protocol != 0);
    eb_skb_set(vm, EB_SKB_VLAN_TCI, tci);
    eb_skb_set(vm, EB_SKB_VLAN_PROTO, eb_get16(wire, vm->big));
}

static bool is_vlan(uint16_t protocol) {
    return protocol == P_8021Q || protocol == P_8021AD;
}

bool eb_help_skb_vlan_push(ebpf_vm *vm, uint64_t *r) {
    enum { ADDRESSES = 12 };
    eb_packet *p = packet_of(vm, r, EB_LAYOUT_SKB);
    if (!p)
        return false;
    uint8_t wire[2];
    eb_set16(wire, vm->big, (uint16_t)r[2]);
    uint16_t protocol = eb_get16(wire, true);
    if (eb_skb_get(vm, EB_SKB_VLAN_PRESENT)) {
        eb_set16(wire, vm->big, (uint16_t)eb_skb_get(vm, EB_SKB_VLAN_PROTO));
        if (!push(vm, ADDRESSES, VLAN))
            return moved(vm, r, 12);
        memcpy(p->room + p->data + ADDRESSES, wire, 2);
        eb_set16(p->room + p->data + ADDRESSES + 2, true,
                 (uint16_t)eb_skb_get(vm, EB_SKB_VLAN_TCI));
        eb_skb_set_protocol(vm, eb_get16(wire, true));
        p->network = p->mac + ETH;
    }
    set_tag(vm, is_vlan(protocol) ? protocol : P_8021Q, (uint16_t)r[3]);
    return moved(vm, r, 0);
}

/* Take the tag out of the packet; its TCI, or -1 when the packet ends within it. */
static int32_t untag(ebpf_vm *vm) {
    enum { ADDRESSES = 12 };
    eb_packet *p = &vm->packet;
    if (length(p) < ETH + VLAN)
        return -1;
    const uint8_t *tag = p->room + p->data + ETH;
    uint16_t tci = eb_get16(tag, true), inner = eb_get16(tag + 2, true);
    pop(vm, ADDRESSES, VLAN);
    p->network = p->data + ETH;
    eb_skb_set_protocol(vm, inner >= 0x600 ? inner : 4);
    return tci;
}

bool eb_help_skb_vlan_pop(ebpf_vm *vm, uint64_t *r) {
    if (!packet_of(vm, r, EB_LAYOUT_SKB))
        return false;
    if (eb_skb_get(vm, EB_SKB_VLAN_PRESENT))
        set_tag(vm, 0, 0);
    else if (!is_vlan(eb_skb_protocol(vm)))
        return moved(vm, r, 0);
    else if (untag(vm) < 0)
        return moved(vm, r, 12);
    uint16_t next = eb_skb_protocol(vm);
    if (is_vlan(next)) {
        int32_t tci = untag(vm);
        if (tci < 0)
            return moved(vm, r, 12);
        set_tag(vm, next, (uint16_t)tci);
    }
    return moved(vm, r, 0);
}

/* ---- where it goes: recorded for the host ---- */

enum { XDP_ABORTED = 0, XDP_REDIRECT = 4, TC_SHOT = 2, TC_REDIRECT = 7, F_INGRESS = 1 };

static void record(ebpf_vm *vm, uint32_t ifindex, uint64_t flags) {
    ebpf_vm_effects *effects = &vm->effects;
    effects->redirect_map = 0;
    effects->redirect_key = ifindex;
    effects->redirect_flags = flags;
    effects->redirects = (uint8_t)(effects->redirects + (effects->redirects < UINT8_MAX));
}

bool eb_help_redirect(ebpf_vm *vm, uint64_t *r) {
    bool xdp = vm->context.layout == EB_LAYOUT_XDP;
    if (r[2] & ~(uint64_t)(xdp ? 0 : F_INGRESS)) {
        r[0] = xdp ? XDP_ABORTED : TC_SHOT;
        return true;
    }
    record(vm, (uint32_t)r[1], r[2]);
    r[0] = xdp ? XDP_REDIRECT : TC_REDIRECT;
    return true;
}

bool eb_help_redirect_peer(ebpf_vm *vm, uint64_t *r) {
    if (!r[2])
        record(vm, (uint32_t)r[1], 0);
    r[0] = r[2] ? TC_SHOT : TC_REDIRECT;
    return true;
}

bool eb_help_redirect_neigh(ebpf_vm *vm, uint64_t *r) {
    bool wrong = r[4] || (r[3] && r[3] < 20);
    if (!wrong)
        record(vm, (uint32_t)r[1], 0);
    r[0] = wrong ? TC_SHOT : TC_REDIRECT;
    return true;
}

bool eb_help_clone_redirect(ebpf_vm *vm, uint64_t *r) {
    if (!packet_of(vm, r, EB_LAYOUT_SKB))
        return false;
    if (r[3] & ~(uint64_t)F_INGRESS)
        return moved(vm, r, EBPF_EINVAL);
    record(vm, (uint32_t)r[2], r[3]);
    return moved(vm, r, 0);
}

/* ---- the flow's hash ---- */

bool eb_help_get_hash(ebpf_vm *vm, uint64_t *r) {
    if (!packet_of(vm, r, EB_LAYOUT_SKB))
        return false;
    r[0] = eb_skb_get(vm, EB_SKB_HASH);
    return true;
}

bool eb_help_set_hash(ebpf_vm *vm, uint64_t *r) {
    if (!packet_of(vm, r, EB_LAYOUT_SKB))
        return false;
    bool clear = vm->helper == EB_HELPER_set_hash_invalid;
    eb_skb_set(vm, EB_SKB_HASH, clear ? 0 : (uint32_t)r[2]);
    return give(r, 0);
}

/* ---- arguments of traced functions ---- */

/* How many arguments the context has, of which the result of an exit program is none. */
static uint32_t arguments(const ebpf_vm *vm, bool *result) {
    uint32_t words = vm->context.size / 8, attach = vm->attach_type;
    *result = words && (attach == EB_ATTACH_TRACE_FEXIT || attach == EB_ATTACH_MODIFY_RETURN);
    return words - *result;
}

static bool give_word(ebpf_vm *vm, uint64_t *r, uint64_t to, uint32_t word) {
    uint8_t *at = eb_vm_reach(vm, to, 8, true);
    if (!at)
        return false;
    memcpy(at, vm->context.bytes + (size_t)word * 8, 8);
    return give(r, 0);
}

bool eb_help_get_func_arg(ebpf_vm *vm, uint64_t *r) {
    bool result;
    if ((uint32_t)r[2] >= arguments(vm, &result))
        return give(r, EBPF_EINVAL);
    return give_word(vm, r, r[3], (uint32_t)r[2]);
}

bool eb_help_get_func_ret(ebpf_vm *vm, uint64_t *r) {
    bool result;
    uint32_t count = arguments(vm, &result);
    return result ? give_word(vm, r, r[2], count) : give(r, EBPF_EOPNOTSUPP);
}

bool eb_help_get_func_arg_cnt(ebpf_vm *vm, uint64_t *r) {
    bool result;
    r[0] = arguments(vm, &result);
    return true;
}
