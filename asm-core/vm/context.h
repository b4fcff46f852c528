/* context.h - what a program of some type runs on: its context and its packet. */
#ifndef EB_CONTEXT_H
#define EB_CONTEXT_H

#include "access.h"
#include "ebpf_vm.h"
#include "kinds.h"

/* The program-visible context, in the object's byte order. With a layout, accesses are checked
 * field by field; without, it is memory like any other. */
typedef struct eb_context {
    eb_layout_id layout;
    uint32_t group;
    uint8_t *bytes;
    uint32_t size, room;
} eb_context;

/* A packet lies somewhere in its room, with free bytes before and behind it; the members are
 * offsets in it. Helpers that move the packet (or might) end the life of pointers into it: the next
 * ones have the other one of two regions. */
typedef struct eb_packet {
    uint8_t *room;
    uint32_t size, cap;       /* bytes of room in use, and had */
    uint32_t meta, data, end; /* metadata, packet, behind it */
    uint32_t mac, network;    /* headers; mac is data or 14 bytes before it */
    uint32_t region;          /* the region of living pointers, 0 without a packet */
    uint32_t moved_by;        /* the helper that ended the life of the others */
    bool writable;
} eb_packet;

/* Forget context and packet. */
void eb_context_clear(ebpf_vm *vm);
/* Take them for a program of this type; EBPF_E_INPUT with a diagnostic for what BPF_PROG_TEST_RUN
 * refuses. r1 is set. */
int eb_context_take(ebpf_vm *vm, uint32_t prog_type, uint32_t attach_type, const uint8_t *ctx,
                    uint32_t ctx_size, const uint8_t *packet, uint32_t packet_size);
/* The context as the program left it; pointers to the packet become offsets in it. */
void eb_context_finish(ebpf_vm *vm);

/* The packet, with zeroes in front where the program does not see the Ethernet header. */
ebpf_bytes eb_packet_out(ebpf_vm *vm);

/* An access of an instruction or helper within the context: host memory, or NULL and the fault.
 * A field that stands for a pointer leaves it in vm->wide. */
uint8_t *eb_context_reach(ebpf_vm *vm, uint64_t address, uint32_t size, bool write);

enum { /* offsets in struct __sk_buff */
       EB_SKB_LEN = 0,
       EB_SKB_PKT_TYPE = 4,
       EB_SKB_PROTOCOL = 16,
       EB_SKB_VLAN_PRESENT = 20,
       EB_SKB_VLAN_TCI = 24,
       EB_SKB_VLAN_PROTO = 28,
       EB_SKB_IFINDEX = 40,
       EB_SKB_HASH = 68,
       EB_SKB_WIRE_LEN = 160
};
uint32_t eb_skb_get(const ebpf_vm *vm, uint32_t offset);
void eb_skb_set(ebpf_vm *vm, uint32_t offset, uint32_t value);
/* A protocol is kept in network byte order. */
uint16_t eb_skb_protocol(const ebpf_vm *vm);
void eb_skb_set_protocol(ebpf_vm *vm, uint16_t protocol);

/* An old load from the packet (LD_ABS, LD_IND): 0 with the value in r0, 1 when the packet ends
 * before, which ends the function with 0, -1 and the fault where there is no socket buffer. */
int eb_packet_load(ebpf_vm *vm, int32_t offset, uint32_t size);

/* After a helper that may move the packet: pointers from before die. */
void eb_packet_moved(ebpf_vm *vm);
/* Make room for `head` bytes more before the packet and `tail` behind it; false when the packet
 * would become larger than any is. */
bool eb_packet_grow(ebpf_vm *vm, uint32_t head, uint32_t tail);

#endif
