/* context.c - the contexts that programs see: what each type's fields are and who may access them.
 *
 * The kernel's verifier rewrites accesses to a context into accesses to its own structures; here
 * the program-visible struct itself is kept. An access to it takes the slow way through
 * eb_vm_reach, is compared with context.def and lands in the kept bytes; only the 32-bit fields
 * that stand for pointers give something else. What goes in and comes out is what
 * BPF_PROG_TEST_RUN takes as ctx_in and data_in and gives as ctx_out and data_out, so that a test
 * may run in the VM or in the kernel. Sources: net/bpf/test_run.c, net/core/filter.c. */
#include "vm.h"

#include <string.h>

/* ---- results ---- */

static const struct {
    uint8_t prog;
    int16_t value;
    const char *name;
} returns[] = {
#define RETURN(prog, value, name) {EB_PROG_##prog, value, name},
#include "context.def"
};

const char *ebpf_return_name(uint32_t prog_type, uint32_t value) {
    uint32_t type = prog_type;
    if (type == EB_PROG_SCHED_ACT)
        type = EB_PROG_SCHED_CLS;
    if (type == EB_PROG_LWT_OUT || type == EB_PROG_LWT_XMIT)
        type = EB_PROG_LWT_IN;
    for (unsigned i = 0; i < sizeof returns / sizeof *returns; i++)
        if (returns[i].prog == type && returns[i].value == (int32_t)value)
            return returns[i].name;
    return NULL;
}

/* ---- accesses ---- */

static uint8_t *refuse(ebpf_vm *vm, uint64_t address, uint32_t size, bool write, const char *why,
                       const eb_ctx_field *field) {
    const char *of = eb_layout_name(vm->context.layout);
    uint32_t offset = (uint32_t)address;
    if (field)
        eb_vm_refuse(vm, EBPF_FAULT_CONTEXT, address, "%s of %u bytes at offset %u of %s: '%s' %s",
                     write ? "write" : "read", size, offset, of, field->name, why);
    else
        eb_vm_refuse(vm, EBPF_FAULT_CONTEXT, address, "%s of %u bytes at offset %u of %s: %s",
                     write ? "write" : "read", size, offset, of, why);
    vm->fault.size = size;
    vm->fault.write = write;
    vm->fault.region = EBPF_REGION_CONTEXT;
    return NULL;
}

static uint64_t packet_pointer(const ebpf_vm *vm, uint32_t at) {
    return eb_vm_address(vm->packet.region, at - vm->packet.meta);
}

uint8_t *eb_context_reach(ebpf_vm *vm, uint64_t address, uint32_t size, bool write) {
    eb_context *context = &vm->context;
    uint32_t offset = (uint32_t)address;
    bool memory = context->layout == EB_LAYOUT_MEMORY;
    if (vm->helper && (!write || memory)) /* a helper takes it as bytes */
        return context->bytes + offset;
    const eb_ctx_field *field;
    const char *why =
        eb_access_refused(context->layout, context->group, offset, size, write, &field);
    if (why)
        return refuse(vm, address, size, write, why, field);
    const eb_packet *packet = &vm->packet;
    if (packet->region && field->kind == EB_FIELD_DATA)
        vm->wide = packet_pointer(vm, packet->data);
    else if (packet->region && field->kind == EB_FIELD_META)
        vm->wide = packet_pointer(vm, packet->meta);
    else if (packet->region && field->kind == EB_FIELD_END)
        vm->wide = packet_pointer(vm, packet->end);
    return context->bytes + offset;
}

/* ---- packets ---- */

enum {
    ETH = 14,
    XDP_HEADROOM = 256,
    XDP_FRAME = 4096,
    XDP_TAILROOM = 320, /* struct skb_shared_info, aligned */
    SKB_HEADROOM = 256,
    PACKET_MOST = 1 << 24
};

void eb_packet_moved(ebpf_vm *vm) {
    eb_packet *packet = &vm->packet;
    uint32_t old = packet->region;
    uint32_t next = old == EB_REGION_PACKET ? EB_REGION_PACKET + 1 : EB_REGION_PACKET;
    uint32_t size = packet->end - packet->meta;
    vm->regions[old].read = vm->regions[old].write = 0;
    vm->infos[old].size = 0;
    vm->regions[next] = (eb_region){packet->room + packet->meta, size, packet->writable ? size : 0};
    vm->infos[next].size = size;
    packet->region = next;
    packet->moved_by = vm->helper;
}

bool eb_packet_grow(ebpf_vm *vm, uint32_t head, uint32_t tail) {
    eb_packet *p = &vm->packet;
    if (head > PACKET_MOST || tail > PACKET_MOST || p->end - p->meta > PACKET_MOST)
        return false;
    uint32_t before = p->mac < p->meta ? p->mac : p->meta; /* bytes in front that are kept */
    if (head <= before && tail <= p->size - p->end)
        return true;
    uint32_t keep = p->end - before, size = head + SKB_HEADROOM + keep + tail + SKB_HEADROOM;
    uint8_t *room = eb_alloc(&vm->ctx->arena, size);
    uint32_t to = head + SKB_HEADROOM;
    memcpy(room + to, p->room + before, keep);
    p->meta += to - before;
    p->data += to - before;
    p->end += to - before;
    p->mac += to - before;
    p->network += to - before;
    p->room = room;
    p->size = p->cap = size;
    return true;
}

int eb_packet_load(ebpf_vm *vm, int32_t offset, uint32_t size) {
    enum { LINK_LAYER = -0x200000, NETWORK_LAYER = -0x100000 };
    const eb_packet *p = &vm->packet;
    int64_t at = offset;
    if (!p->region || vm->context.layout != EB_LAYOUT_SKB) {
        eb_vm_refuse(vm, EBPF_FAULT_INSN, 0,
                     "this old load from a packet needs a socket buffer, which this run has not");
        return -1;
    }
    if (at >= 0)
        at += p->data;
    else if (at >= NETWORK_LAYER)
        at += (int64_t)p->network - NETWORK_LAYER;
    else if (at >= LINK_LAYER)
        at += (int64_t)p->mac - LINK_LAYER;
    int64_t first = offset < 0 ? p->mac : p->data;
    if (at < first || at + size > p->end)
        return 1;
    const uint8_t *from = p->room + at;
    vm->state.reg[0] = size == 4 ? eb_get32(from, true) : size == 2 ? eb_get16(from, true) : *from;
    return 0;
}

static void take_packet(ebpf_vm *vm, const uint8_t *bytes, uint32_t size, uint32_t head,
                        uint32_t tail) {
    eb_packet *p = &vm->packet;
    uint32_t all = head + size + tail;
    if (all > p->cap) {
        p->room = eb_alloc(&vm->ctx->arena, all);
        p->cap = all;
    }
    memset(p->room, 0, all);
    memcpy(p->room + head, bytes, size);
    p->size = all;
    p->meta = p->data = p->mac = head;
    p->network = head + ETH;
    p->end = head + size;
    p->writable = true;
}

/* ---- in ---- */

enum { /* of struct xdp_md */
       XDP_DATA = 0,
       XDP_DATA_END = 4,
       XDP_DATA_META = 8,
       XDP_IFINDEX = 12,
       XDP_METADATA_MOST = 252
};

static int complain(ebpf_vm *vm, const char *format, ...) {
    eb_buf text = {.arena = &vm->ctx->arena};
    va_list args;
    va_start(args, format);
    eb_buf_vfmt(&text, format, args);
    va_end(args);
    eb_diag_input(vm->ctx, EB_DIAG_BAD_CONTEXT, vm->obj->name, -1, (int)text.len, text.at);
    return EBPF_E_INPUT;
}

static uint32_t get(const ebpf_vm *vm, uint32_t offset) {
    return eb_get32(vm->context.bytes + offset, vm->big);
}

static void set(ebpf_vm *vm, uint32_t offset, uint32_t value) {
    eb_set32(vm->context.bytes + offset, vm->big, value);
}

uint32_t eb_skb_get(const ebpf_vm *vm, uint32_t offset) {
    return get(vm, offset);
}

void eb_skb_set(ebpf_vm *vm, uint32_t offset, uint32_t value) {
    set(vm, offset, value);
}

static int take_xdp(ebpf_vm *vm, bool given, const uint8_t *packet, uint32_t size) {
    uint32_t metadata = given ? get(vm, XDP_DATA) : 0;
    if (given && (get(vm, XDP_DATA_META) || get(vm, XDP_DATA_END) != size))
        return complain(vm,
                        "in struct xdp_md, data_meta is 0 and data_end the packet's %u bytes, "
                        "not %u and %u",
                        size, get(vm, XDP_DATA_META), get(vm, XDP_DATA_END));
    if (metadata > size || metadata % 4 || metadata > XDP_METADATA_MOST)
        return complain(vm,
                        "data of struct xdp_md is the size of the metadata in front: a multiple "
                        "of 4, at most 252, not %u",
                        metadata);
    if (size - metadata < ETH)
        return complain(vm, "a packet has an Ethernet header at least, which is 14 bytes, not %u",
                        size - metadata);
    uint32_t head = XDP_HEADROOM - metadata;
    uint32_t tail =
        head + size + XDP_TAILROOM <= XDP_FRAME ? XDP_FRAME - XDP_TAILROOM - head - size : 0;
    take_packet(vm, packet, size, head, tail);
    vm->packet.data += metadata;
    vm->packet.mac = vm->packet.data;
    if (!get(vm, XDP_IFINDEX))
        set(vm, XDP_IFINDEX, 1);
    return EBPF_OK;
}

enum { /* numbers of linux/if_packet.h and if_ether.h */
       PACKET_MULTICAST = 2,
       PACKET_OTHERHOST = 3,
       ETH_P_802_3_MIN = 0x600,
       ETH_P_802_3 = 1,
       ETH_P_802_2 = 4
};

/* As eth_type_trans, for the loopback device, whose address and broadcast address are zero. */
static uint32_t packet_type(const uint8_t *mac) {
    static const uint8_t zero[6];
    if (memcmp(mac, zero, 6) == 0)
        return 0;
    return mac[0] & 1 ? PACKET_MULTICAST : PACKET_OTHERHOST;
}

static uint16_t ethernet_protocol(const uint8_t *packet, uint32_t size) {
    uint16_t type = eb_get16(packet + 12, true);
    if (type >= ETH_P_802_3_MIN)
        return type;
    return size >= ETH + 2 && eb_get16(packet + ETH, true) == 0xffff ? ETH_P_802_3 : ETH_P_802_2;
}

void eb_skb_set_protocol(ebpf_vm *vm, uint16_t protocol) {
    uint8_t wire[2];
    eb_set16(wire, true, protocol);
    set(vm, EB_SKB_PROTOCOL, eb_get16(wire, vm->big));
}

uint16_t eb_skb_protocol(const ebpf_vm *vm) {
    uint8_t wire[2];
    eb_set16(wire, vm->big, (uint16_t)get(vm, EB_SKB_PROTOCOL));
    return eb_get16(wire, true);
}

static int take_skb(ebpf_vm *vm, bool given, const uint8_t *packet, uint32_t size) {
    eb_packet *p = &vm->packet;
    uint32_t group = vm->context.group, wire = get(vm, EB_SKB_WIRE_LEN);
    if (size < ETH)
        return complain(vm, "a packet has an Ethernet header at least, which is 14 bytes, not %u",
                        size);
    take_packet(vm, packet, size, SKB_HEADROOM, SKB_HEADROOM);
    if (group != EB_GROUP_TC && group != EB_GROUP_FLOW)
        p->data = p->meta = p->network; /* only tc sees the Ethernet header */
    p->writable = group & (EB_GROUP_TC | EB_GROUP_STREAM | EB_GROUP_LWT);
    set(vm, EB_SKB_LEN, p->end - p->data);
    if (!get(vm, EB_SKB_PKT_TYPE))
        set(vm, EB_SKB_PKT_TYPE, packet_type(packet));
    eb_skb_set_protocol(vm, ethernet_protocol(packet, size));
    if (!get(vm, EB_SKB_IFINDEX))
        set(vm, EB_SKB_IFINDEX, 1);
    if (given && !wire)
        set(vm, EB_SKB_WIRE_LEN, p->end - p->data);
    else if (given && wire < p->end - p->data)
        return complain(vm, "wire_len is at least the length of the packet, %u, not %u",
                        p->end - p->data, wire);
    return EBPF_OK;
}

static bool takes_packet(eb_layout_id layout) {
    return layout == EB_LAYOUT_XDP || layout == EB_LAYOUT_SKB;
}

static int copy_context(ebpf_vm *vm, const uint8_t *ctx, uint32_t size) {
    eb_context *context = &vm->context;
    uint32_t fixed = eb_layout_size(context->layout), want = fixed ? fixed : size;
    if (fixed && size > fixed)
        return complain(vm, "%s has %u bytes, not %u", eb_layout_name(context->layout), fixed,
                        size);
    if (want > context->room) {
        context->bytes = eb_alloc(&vm->ctx->arena, want);
        context->room = want;
    }
    if (want)
        memset(context->bytes, 0, want);
    if (size)
        memcpy(context->bytes, ctx, size);
    context->size = want;
    return EBPF_OK;
}

void eb_context_clear(ebpf_vm *vm) {
    for (uint32_t i = 0; i < 2; i++) {
        vm->regions[EB_REGION_PACKET + i].read = vm->regions[EB_REGION_PACKET + i].write = 0;
        vm->infos[EB_REGION_PACKET + i].size = 0;
    }
    vm->context.layout = EB_LAYOUT_NONE;
    vm->context.size = 0;
    vm->packet.region = 0;
    vm->wide = 0;
}

int eb_context_take(ebpf_vm *vm, uint32_t prog_type, uint32_t attach_type, const uint8_t *ctx,
                    uint32_t ctx_size, const uint8_t *packet, uint32_t packet_size) {
    eb_context *context = &vm->context;
    bool arm64 = ctx_size == eb_layout_size(EB_LAYOUT_ARM64_REGS) ||
                 ctx_size == eb_layout_size(EB_LAYOUT_ARM64_PERF);
    context->layout = eb_layout_of(prog_type, arm64);
    context->group = eb_group_of(prog_type, attach_type);
    if (packet_size && !takes_packet(context->layout))
        return complain(vm, "programs of type %s take no packet", eb_prog_type_name(prog_type));
    int status = copy_context(vm, ctx, ctx_size);
    if (status == EBPF_OK && context->layout == EB_LAYOUT_XDP)
        status = take_xdp(vm, ctx_size != 0, packet, packet_size);
    else if (status == EBPF_OK && context->layout == EB_LAYOUT_SKB)
        status = take_skb(vm, ctx_size != 0, packet, packet_size);
    if (status != EBPF_OK)
        return status;
    bool plain = context->layout == EB_LAYOUT_NONE || context->layout == EB_LAYOUT_MEMORY;
    uint32_t open = plain ? context->size : 0;
    vm->regions[EB_REGION_CONTEXT] = (eb_region){context->bytes, open, open};
    vm->infos[EB_REGION_CONTEXT].size = context->size;
    vm->state.reg[1] = context->size ? eb_vm_address(EB_REGION_CONTEXT, 0) : 0;
    if (takes_packet(context->layout)) {
        vm->packet.region = EB_REGION_PACKET + 1;
        eb_packet_moved(vm);
    }
    return EBPF_OK;
}

/* ---- out ---- */

ebpf_bytes eb_packet_out(ebpf_vm *vm) {
    eb_packet *p = &vm->packet;
    uint32_t first = p->meta;
    if (vm->context.layout == EB_LAYOUT_SKB && vm->context.group != EB_GROUP_TC) {
        eb_packet_grow(vm, ETH, 0); /* which always has room for that much */
        first = p->data - ETH;
        memset(p->room + first, 0, ETH);
    }
    return (ebpf_bytes){p->room + first, p->end - first};
}

void eb_context_finish(ebpf_vm *vm) {
    const eb_packet *p = &vm->packet;
    if (!p->region)
        return;
    if (vm->context.layout == EB_LAYOUT_XDP) {
        set(vm, XDP_DATA, p->data - p->meta);
        set(vm, XDP_DATA_END, p->end - p->meta);
    }
}
