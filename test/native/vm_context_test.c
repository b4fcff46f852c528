/* vm_context_test.c - contexts and packet helpers with the kernel as the judge: each program runs
 * in the VM and by BPF_PROG_TEST_RUN on the same packet and context, and must give the same result,
 * packet and context. Skips where bpf(2) is refused. */
#include "unit.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>

#include "ebpf_vm.h"

enum { MOST = 4096, BUDGET = 100000 };

/* An Ethernet frame to the loopback device (address 0): IPv4, UDP 1000 -> 53, 20 bytes of data. */
static const uint8_t udp4[62] = {
    0,    0,    0,    0,    0,    0,    2,    2,    3,    4,    5,  6,  0x08, 0x00, 0x45, 0x00,
    0x00, 0x30, 0x12, 0x34, 0x40, 0x00, 0x40, 0x11, 0xaa, 0xbb, 10, 0,  0,    1,    192,  168,
    1,    2,    0x03, 0xe8, 0x00, 0x35, 0x00, 0x1c, 0xde, 0xad, 1,  2,  3,    4,    5,    6,
    7,    8,    9,    10,   11,   12,   13,   14,   15,   16,   17, 18, 19,   20};
/* To everybody: VLAN 5 with priority 3, IPv6. */
static const uint8_t vlan6[64] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,    2,    3,    4,
                                  5,    6,    0x81, 0x00, 0x60, 0x05, 0x86, 0xdd, 0x60, 0,
                                  0,    0,    0,    6,    17,   64,   0xfe, 0x80};
/* 802.3 with a length, to another host. */
static const uint8_t llc[60] = {2, 9, 9, 9, 9, 9, 2, 2, 3, 4, 5, 6, 0x00, 0x2e, 0x42, 0x42, 3};

typedef struct run_case {
    const char *section, *text;
    const uint8_t *packet;
    uint32_t packet_size;
    const uint8_t *ctx;
    uint32_t ctx_size;
} run_case;

#define WITH(frame) frame, sizeof frame, NULL, 0
#define CTX(bytes)  (const uint8_t *)&bytes, sizeof bytes

static const struct xdp_md metadata_ctx = {
    .data = 8, .data_end = sizeof udp4 + 8, .ingress_ifindex = 1};
static const uint8_t with_metadata[sizeof udp4 + 8] = {1, 2, 3, 4, 5, 6, 7, 8, [20] = 0x08, 0x00};
static const struct __sk_buff skb_ctx = {.mark = 77,
                                         .priority = 6,
                                         .cb = {1, 2, 3, 4, 0xfedcba98},
                                         .tstamp = UINT64_C(123456789012),
                                         .gso_segs = 3};
static const uint64_t raw_args[] = {11, UINT64_C(0xfedcba9876543210), 33, 44};
static const uint32_t memory_ctx[] = {1, 2, 3, 4};

/* r6 = the context, r7 = data, r8 = data_end; leaves unless `n` bytes are there. */
#define PACKET(data, end, n)                                                                       \
    "r6 = r1\nr7 = *(u32 *)(r1 + " #data ")\nr8 = *(u32 *)(r1 + " #end ")\nr0 = 0\n"               \
    "r1 = r7\nr1 += " #n "\nif r1 > r8 goto out\n"
#define XDP_PACKET(n) PACKET(0, 4, n)
#define SKB_PACKET(n) PACKET(76, 80, n)
#define OUT           "\nout: exit\n"

static const run_case cases[] = {
    /* xdp */
    {"xdp", "r2 = *(u32 *)(r1 + 0)\nr0 = *(u32 *)(r1 + 4)\nr0 -= r2\nexit", WITH(udp4)},
    {"xdp", XDP_PACKET(14) "r0 = *(u8 *)(r7 + 12)" OUT, WITH(udp4)},
    {"xdp", XDP_PACKET(100) "r0 = 7" OUT, WITH(udp4)},
    {"xdp", XDP_PACKET(34) "*(u32 *)(r7 + 0) = 0x12345678\nr0 = 3" OUT, WITH(udp4)},
    {"xdp", "r0 = *(u32 *)(r1 + 12)\nr2 = *(u32 *)(r1 + 16)\nr0 += r2\nexit", WITH(udp4)},
    {"xdp", "r2 = *(u32 *)(r1 + 8)\nr0 = *(u32 *)(r1 + 0)\nr0 -= r2\nexit", with_metadata,
     sizeof with_metadata, CTX(metadata_ctx)},
    {"xdp",
     "r2 = *(u32 *)(r1 + 8)\nr3 = *(u32 *)(r1 + 0)\nr4 = r2\nr4 += 8\nr0 = 0\n"
     "if r4 > r3 goto out\nr0 = *(u32 *)(r2 + 4)" OUT,
     with_metadata, sizeof with_metadata, CTX(metadata_ctx)},
    {"xdp", "r2 = 4\ncall xdp_adjust_head\nexit", with_metadata, sizeof with_metadata,
     CTX(metadata_ctx)},
    {"xdp", "r2 = 14\ncall xdp_adjust_head\nexit", WITH(udp4)},
    {"xdp", "r2 = -20\ncall xdp_adjust_head\nexit", WITH(udp4)},
    {"xdp", "r2 = -216\ncall xdp_adjust_head\nexit", WITH(udp4)},
    {"xdp", "r2 = -217\ncall xdp_adjust_head\nexit", WITH(udp4)},
    {"xdp", "r2 = 48\ncall xdp_adjust_head\nexit", WITH(udp4)},
    {"xdp", "r2 = 49\ncall xdp_adjust_head\nexit", WITH(udp4)},
    {"xdp",
     "r6 = r1\nr2 = -8\ncall xdp_adjust_meta\nr2 = *(u32 *)(r6 + 8)\n"
     "r3 = *(u32 *)(r6 + 0)\nr4 = r2\nr4 += 8\nif r4 > r3 goto out\n"
     "*(u64 *)(r2 + 0) = 0x11223344" OUT,
     WITH(udp4)},
    {"xdp", "r2 = -6\ncall xdp_adjust_meta\nexit", WITH(udp4)},
    {"xdp", "r2 = -256\ncall xdp_adjust_meta\nexit", WITH(udp4)},
    {"xdp", "r2 = -252\ncall xdp_adjust_meta\nexit", WITH(udp4)},
    {"xdp", "r2 = -216\ncall xdp_adjust_meta\nexit", WITH(udp4)},
    {"xdp", "r2 = 4\ncall xdp_adjust_meta\nexit", WITH(udp4)},
    {"xdp", "r2 = -20\ncall xdp_adjust_tail\nexit", WITH(udp4)},
    {"xdp", "r2 = 30\ncall xdp_adjust_tail\nexit", WITH(udp4)},
    {"xdp", "r2 = -49\ncall xdp_adjust_tail\nexit", WITH(udp4)},
    {"xdp", "r2 = 3458\ncall xdp_adjust_tail\nexit", WITH(udp4)},
    {"xdp", "r2 = 3459\ncall xdp_adjust_tail\nexit", WITH(udp4)},
    {"xdp", "call xdp_get_buff_len\nexit", WITH(udp4)},
    {"xdp",
     "*(u64 *)(r10 - 8) = -1\nr2 = 26\nr3 = r10\nr3 += -8\nr4 = 8\ncall xdp_load_bytes\n"
     "r1 = *(u64 *)(r10 - 8)\nr0 ^= r1\nexit",
     WITH(udp4)},
    {"xdp",
     "*(u64 *)(r10 - 8) = -1\nr2 = 55\nr3 = r10\nr3 += -8\nr4 = 8\ncall xdp_load_bytes\n"
     "exit",
     WITH(udp4)},
    {"xdp",
     "*(u64 *)(r10 - 8) = 0x5566\nr2 = 3\nr3 = r10\nr3 += -8\nr4 = 8\n"
     "call xdp_store_bytes\nexit",
     WITH(udp4)},
    {"xdp",
     "*(u64 *)(r10 - 8) = 0x5566\nr2 = 65536\nr3 = r10\nr3 += -8\nr4 = 8\n"
     "call xdp_store_bytes\nexit",
     WITH(udp4)},
    {"xdp", "r1 = 1\nr2 = 0\ncall redirect\nexit", WITH(udp4)},
    {"xdp", "r1 = 1\nr2 = 1\ncall redirect\nexit", WITH(udp4)},

/* tc: reading */
#define FIELD_CASE(section, offset)                                                                \
    { section, "r0 = *(u32 *)(r1 + " #offset ")\nexit", udp4, sizeof udp4, CTX(skb_ctx) }
#define BIT_CASE(offset)                                                                           \
    {                                                                                              \
        "cgroup_skb/egress",                                                                       \
            "r0 = *(u32 *)(r1 + " #offset ")\nr2 = r0\nr2 >>= 3\nr0 ^= r2\nr0 &= 1\nexit", udp4,   \
            sizeof udp4, CTX(skb_ctx)                                                              \
    }
    FIELD_CASE("tc", 0),
    FIELD_CASE("tc", 4),
    FIELD_CASE("tc", 8),
    FIELD_CASE("tc", 12),
    FIELD_CASE("tc", 16),
    FIELD_CASE("tc", 20),
    FIELD_CASE("tc", 24),
    FIELD_CASE("tc", 28),
    FIELD_CASE("tc", 32),
    FIELD_CASE("tc", 36),
    FIELD_CASE("tc", 40),
    FIELD_CASE("tc", 44),
    FIELD_CASE("tc", 48),
    FIELD_CASE("tc", 64),
    FIELD_CASE("tc", 72),
    FIELD_CASE("tc", 84),
    FIELD_CASE("tc", 160),
    FIELD_CASE("tc", 164),
    FIELD_CASE("tc", 176),
    FIELD_CASE("socket", 0),
    FIELD_CASE("socket", 4),
    FIELD_CASE("socket", 8),
    FIELD_CASE("socket", 16),
    FIELD_CASE("socket", 48),
    BIT_CASE(0),
    BIT_CASE(16),
    BIT_CASE(40),
    {"tc", "r0 = *(u64 *)(r1 + 152)\nexit", udp4, sizeof udp4, CTX(skb_ctx)},
    {"tc",
     "r0 = *(u8 *)(r1 + 9)\nr2 = *(u16 *)(r1 + 34)\nr0 += r2\nr2 = *(u8 *)(r1 + 8)\n"
     "r0 += r2\nexit",
     udp4, sizeof udp4, CTX(skb_ctx)},
    {"tc", "r0 = *(u64 *)(r1 + 56)\nexit", udp4, sizeof udp4, CTX(skb_ctx)},
    {"tc", "r0 = *(u32 *)(r1 + 0)\nr2 = *(u32 *)(r1 + 160)\nr0 <<= 16\nr0 += r2\nexit", WITH(udp4)},
    {"tc", "r0 = *(u32 *)(r1 + 4)\nr2 = *(u32 *)(r1 + 16)\nr0 <<= 16\nr0 |= r2\nexit", WITH(vlan6)},
    {"tc", "r0 = *(u32 *)(r1 + 4)\nr2 = *(u32 *)(r1 + 16)\nr0 <<= 16\nr0 |= r2\nexit", WITH(llc)},
    /* tc: writing */
    {"tc",
     "*(u32 *)(r1 + 8) = 5\n*(u32 *)(r1 + 32) = 6\n*(u32 *)(r1 + 48) = 7\n"
     "*(u8 *)(r1 + 53) = 8\n*(u64 *)(r1 + 56) = 9\nr2 = 10\n*(u64 *)(r1 + 152) = r2\n"
     "r0 = *(u32 *)(r1 + 52)\nexit",
     udp4, sizeof udp4, CTX(skb_ctx)},
    {"tc", SKB_PACKET(34) "*(u16 *)(r7 + 16) = 0x1122\nr0 = 2" OUT, WITH(udp4)},
    {"tc", SKB_PACKET(63) "r0 = 2" OUT, WITH(udp4)},
    {"tc", "r2 = *(u32 *)(r1 + 140)\nr0 = *(u32 *)(r1 + 76)\nr0 -= r2\nexit", WITH(udp4)},
#define LOAD_CASE(section, name, offset, size, more)                                               \
    {                                                                                              \
        section,                                                                                   \
            "*(u64 *)(r10 - 8) = -1\nr2 = " #offset "\nr3 = r10\nr3 += -8\nr4 = " #size "\n" more  \
            "call " name "\nr1 = *(u64 *)(r10 - 8)\nr0 ^= r1\nexit",                               \
            WITH(udp4)                                                                             \
    }
    LOAD_CASE("tc", "skb_load_bytes", 12, 8, ""),
    LOAD_CASE("tc", "skb_load_bytes", 54, 8, ""),
    LOAD_CASE("tc", "skb_load_bytes", 55, 8, ""),
    LOAD_CASE("tc", "skb_load_bytes", 12, 3, ""),
    LOAD_CASE("tc", "skb_load_bytes", -1, 8, ""),
    LOAD_CASE("socket", "skb_load_bytes", 0, 8, ""),
    LOAD_CASE("socket", "skb_load_bytes", 41, 8, ""),
    LOAD_CASE("tc", "skb_load_bytes_relative", 0, 8, "r5 = 0\n"),
    LOAD_CASE("tc", "skb_load_bytes_relative", 0, 8, "r5 = 1\n"),
    LOAD_CASE("tc", "skb_load_bytes_relative", 41, 8, "r5 = 1\n"),
    LOAD_CASE("tc", "skb_load_bytes_relative", 65536, 8, "r5 = 1\n"),
    LOAD_CASE("socket", "skb_load_bytes_relative", 0, 8, "r5 = 1\n"),
    LOAD_CASE("socket", "skb_load_bytes_relative", 0, 8, "r5 = 0\n"),
#define STORE_CASE(offset, size, flags)                                                            \
    {                                                                                              \
        "tc",                                                                                      \
            "r2 = 0x8877665544332211 ll\n*(u64 *)(r10 - 8) = r2\nr2 = " #offset                    \
            "\nr3 = r10\nr3 += -8\nr4 = " #size "\nr5 = " #flags "\ncall skb_store_bytes\nexit",   \
            WITH(udp4)                                                                             \
    }
    STORE_CASE(14, 8, 0),
    STORE_CASE(54, 8, 2),
    STORE_CASE(55, 8, 0),
    STORE_CASE(0, 5, 1),
    STORE_CASE(0, 5, 4),
#define SUM_CASE(name, offset, from, to, flags)                                                    \
    {                                                                                              \
        "tc",                                                                                      \
            "r2 = " #offset "\nr3 = " #from "\nr4 = " #to "\nr5 = " #flags "\ncall " name          \
            "\nexit",                                                                              \
            WITH(udp4)                                                                             \
    }
    SUM_CASE("l3_csum_replace", 24, 0x0100000a, 0x04030201, 4),
    SUM_CASE("l3_csum_replace", 24, 0x1234, 0x5678, 2),
    SUM_CASE("l3_csum_replace", 24, 0, 0x9876fedc, 0),
    SUM_CASE("l3_csum_replace", 24, 1, 0x5678, 0),
    SUM_CASE("l3_csum_replace", 24, 1, 2, 3),
    SUM_CASE("l3_csum_replace", 25, 1, 2, 2),
    SUM_CASE("l3_csum_replace", 62, 1, 2, 2),
    SUM_CASE("l3_csum_replace", 24, 1, 2, 0x12),
    SUM_CASE("l4_csum_replace", 40, 0x0100000a, 0x04030201, 0x14),
    SUM_CASE("l4_csum_replace", 40, 0x35, 0x36, 0x22),
    SUM_CASE("l4_csum_replace", 40, 0, 0xadde, 0x20),
    SUM_CASE("l4_csum_replace", 14, 0, 0xffff, 0x40),
    SUM_CASE("l4_csum_replace", 42, 1, 0, 0x102),
#define DIFF_CASE(from_size, to_size, seed)                                                        \
    {                                                                                              \
        "tc",                                                                                      \
            "r2 = 0x0102030405060708 ll\n*(u64 *)(r10 - 16) = r2\nr2 = 0xfedcba9876543210 ll\n"    \
            "*(u64 *)(r10 - 8) = r2\nr1 = r10\nr1 += -16\nr2 = " #from_size                        \
            "\nr3 = r10\nr3 += -8\nr4 = " #to_size "\nr5 = " #seed "\ncall csum_diff\nexit",       \
            WITH(udp4)                                                                             \
    }
    DIFF_CASE(8, 8, 0),
    DIFF_CASE(8, 8, 0x1234),
    DIFF_CASE(4, 8, 0xffff),
    DIFF_CASE(8, 4, -1),
    DIFF_CASE(8, 3, 0),
    {"tc",
     "r1 = 0\nr2 = 0\nr3 = r10\nr3 += -8\n*(u64 *)(r10 - 8) = 77\nr4 = 8\nr5 = 9\n"
     "call csum_diff\nexit",
     WITH(udp4)},
    {"tc",
     "r3 = 0\nr4 = 0\nr1 = r10\nr1 += -8\n*(u64 *)(r10 - 8) = 77\nr2 = 8\nr5 = 9\n"
     "call csum_diff\nexit",
     WITH(udp4)},
    {"tc", "r2 = 5\ncall csum_update\nexit", WITH(udp4)},
    {"tc", "r2 = 0\ncall csum_level\nexit", WITH(udp4)},
/* tc: size and place */
#define CALL_CASE(name, r2, r3)                                                                    \
    {                                                                                              \
        "tc",                                                                                      \
            "r6 = r1\nr2 = " #r2 "\nr3 = " #r3 "\ncall " name                                      \
            "\nr1 = *(u32 *)(r6 + 0)\nr1 <<= 16\nr2 = *(u32 *)(r6 + 16)\nr1 ^= r2\nr0 ^= "         \
            "r1\nexit",                                                                            \
            WITH(udp4)                                                                             \
    }
    CALL_CASE("skb_pull_data", 0, 0),
    CALL_CASE("skb_pull_data", 62, 0),
    CALL_CASE("skb_pull_data", 63, 0),
    CALL_CASE("skb_change_head", 10, 0),
    CALL_CASE("skb_change_head", 300, 0),
    CALL_CASE("skb_change_head", 70000, 0),
    CALL_CASE("skb_change_head", 10, 1),
    CALL_CASE("skb_change_tail", 30, 0),
    CALL_CASE("skb_change_tail", 14, 0),
    CALL_CASE("skb_change_tail", 13, 0),
    CALL_CASE("skb_change_tail", 300, 0),
    CALL_CASE("skb_change_tail", 70000, 0),
    CALL_CASE("skb_change_tail", 30, 1),
    {"tc", "r6 = r1\nr2 = 1\ncall skb_change_type\nr1 = *(u32 *)(r6 + 4)\nr0 += r1\nexit",
     WITH(udp4)},
    {"tc", "r6 = r1\nr2 = 4\ncall skb_change_type\nr1 = *(u32 *)(r6 + 4)\nr0 += r1\nexit",
     WITH(udp4)},
    CALL_CASE("skb_change_proto", 0xdd86, 0),
    CALL_CASE("skb_change_proto", 0x0008, 0),
    CALL_CASE("skb_change_proto", 0xdd86, 1),
#define ROOM_CASE(by, mode, flags)                                                                 \
    {                                                                                              \
        "tc",                                                                                      \
            "r6 = r1\nr2 = " #by "\nr3 = " #mode "\nr4 = " #flags "\ncall skb_adjust_room\n"       \
            "r1 = *(u32 *)(r6 + 0)\nr1 <<= 16\nr2 = *(u32 *)(r6 + 16)\nr1 ^= r2\nr0 ^= r1\nexit",  \
            WITH(udp4)                                                                             \
    }
    ROOM_CASE(8, 0, 0),
    ROOM_CASE(8, 1, 0),
    ROOM_CASE(-8, 0, 0),
    ROOM_CASE(-8, 1, 0),
    ROOM_CASE(-28, 0, 0),
    ROOM_CASE(-29, 0, 0),
    ROOM_CASE(4096, 0, 0),
    ROOM_CASE(8, 2, 0),
    ROOM_CASE(20, 1, 2),
    ROOM_CASE(8, 1, 0x20),
    ROOM_CASE(8, 1, 0x80),
    ROOM_CASE(8, 1, 0x10000),
    ROOM_CASE(400, 1, 0),
    ROOM_CASE(40, 1, 4),
/* tc: VLAN tags */
#define TAGS                                                                                       \
    "r1 = *(u32 *)(r6 + 20)\nr0 <<= 4\nr0 |= r1\nr1 = *(u32 *)(r6 + 24)\nr0 <<= 16\nr0 |= r1\n"    \
    "r1 = *(u32 *)(r6 + 16)\nr0 ^= r1\nr1 = *(u32 *)(r6 + 0)\nr1 <<= 20\nr0 += r1\nexit"
    {"tc", "r6 = r1\nr2 = 0x81\nr3 = 0x123\ncall skb_vlan_push\n" TAGS, WITH(udp4)},
    {"tc",
     "r6 = r1\nr2 = 0xa888\nr3 = 0x123\ncall skb_vlan_push\nr1 = r6\nr2 = 0x81\nr3 = 7\n"
     "call skb_vlan_push\n" TAGS,
     WITH(udp4)},
    {"tc",
     "r6 = r1\nr2 = 0xa888\nr3 = 0x123\ncall skb_vlan_push\nr1 = r6\ncall skb_vlan_pop\n" TAGS,
     WITH(udp4)},
    {"tc", "r6 = r1\ncall skb_vlan_pop\n" TAGS, WITH(udp4)},
    {"tc", "r6 = r1\ncall skb_vlan_pop\n" TAGS, WITH(vlan6)},
    {"tc", "r6 = r1\nr2 = 0x81\nr3 = 0x123\ncall skb_vlan_push\n" TAGS, WITH(vlan6)},
    {"tc", "r6 = r1\nr2 = 0x1234\ncall set_hash\nr1 = r6\ncall get_hash_recalc\nexit", WITH(udp4)},
    {"tc",
     "r6 = r1\nr2 = 5\ncall set_hash\nr1 = r6\ncall set_hash_invalid\nr0 = *(u32 *)(r6 + 68)\n"
     "exit",
     WITH(udp4)},
    {"tc", "r1 = 1\nr2 = 0\ncall redirect\nexit", WITH(udp4)},
    {"tc", "r1 = 1\nr2 = 1\ncall redirect\nexit", WITH(udp4)},
    {"tc", "r1 = 1\nr2 = 8\ncall redirect\nexit", WITH(udp4)},
/* socket filters and their old loads */
#define OLD_CASE(text)                                                                             \
    { "socket", "r6 = r1\nr7 = 3\n" text "\nr0 += r7\nexit", WITH(udp4) }
    OLD_CASE("r0 = *(u32 *)skb[12]"),
    OLD_CASE("r0 = *(u16 *)skb[46]"),
    OLD_CASE("r0 = *(u16 *)skb[47]"),
    OLD_CASE("r0 = *(u8 *)skb[47]"),
    OLD_CASE("r0 = *(u8 *)skb[48]"),
    OLD_CASE("r0 = *(u32 *)skb[r7]"),
    OLD_CASE("r0 = *(u16 *)skb[r7 + 2]"),
    OLD_CASE("r0 = *(u16 *)skb[-0x100000]"),
    OLD_CASE("r0 = *(u16 *)skb[-0x1ffff4]"),
    OLD_CASE("r0 = *(u8 *)skb[-0x100001]"),
    {"socket", "*(u32 *)(r1 + 60) = 5\nr0 = *(u32 *)(r1 + 60)\nexit", udp4, sizeof udp4,
     CTX(skb_ctx)},
    {"cgroup_skb/ingress", SKB_PACKET(20) "r0 = *(u8 *)(r7 + 9)\nr0 &= 1" OUT, WITH(udp4)},
    {"cgroup_skb/egress", "*(u32 *)(r1 + 8) = 99\nr0 = 1\nexit", udp4, sizeof udp4, CTX(skb_ctx)},
    {"lwt_xmit", SKB_PACKET(20) "*(u8 *)(r7 + 8) = 1\nr0 = 0" OUT, WITH(udp4)},
    {"lwt_in", SKB_PACKET(20) "r0 = *(u8 *)(r7 + 8)" OUT, WITH(udp4)},
    {"lwt_xmit",
     "r6 = r1\nr2 = 14\nr3 = 0\ncall skb_change_head\nr1 = *(u32 *)(r6 + 0)\nr0 += r1\n"
     "exit",
     WITH(udp4)},
    /* without packets */
    {"raw_tp/x", "r0 = *(u64 *)(r1 + 8)\nexit", NULL, 0, CTX(raw_args)},
    {"raw_tp/x", "r0 = *(u32 *)(r1 + 12)\nr2 = *(u8 *)(r1 + 9)\nr0 += r2\nexit", NULL, 0,
     CTX(raw_args)},
    {"syscall",
     "r2 = *(u32 *)(r1 + 4)\nr2 += 5\n*(u32 *)(r1 + 8) = r2\nr0 = *(u64 *)(r1 + 8)\nexit", NULL, 0,
     CTX(memory_ctx)},
};

typedef struct outcome {
    uint32_t result, packet_size, ctx_size;
    uint8_t packet[MOST], ctx[256];
} outcome;

static long bpf(int command, union bpf_attr *attr) {
    return syscall(SYS_bpf, command, attr, sizeof *attr);
}

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* Helpers by number: a name would be that of a kernel function. */
static void put_numbers(char *out, size_t room, const char *text) {
    size_t len = 0;
    while (*text) {
        char name[40];
        int size;
        if (sscanf(text, "call %39[a-z0-9_]%n", name, &size) == 1 && name[0] > '9') {
            uint32_t id = 1;
            while (!ebpf_helper_name(id) || strcmp(ebpf_helper_name(id), name) != 0)
                id++;
            len += (size_t)snprintf(out + len, room - len, "call %u", id);
            text += size;
        } else {
            out[len++] = *text++;
        }
        assert_true(len + 64 < room);
    }
    out[len] = 0;
}

static ebpf_object *assemble(ebpf_ctx *ctx, const run_case *c) {
    enum { TEXT_MOST = 2048 };
    char *text = ebpf_ctx_alloc(ctx, TEXT_MOST),
         body[1536]; /* the object keeps parts of its text */
    ebpf_object *obj;
    put_numbers(body, sizeof body, c->text);
    int size =
        snprintf(text, TEXT_MOST, ".section \"%s\",\"ax\",@progbits\n.globl prog\nprog:\n%s\n",
                 c->section, body);
    assert_in_range(size, 1, TEXT_MOST - 1);
    if (ebpf_assemble(ctx, "case", 4, text, (size_t)size, EBPF_DIALECT_LLVM, EBPF_LITTLE, &obj))
        fail_msg("%s\n%s", c->text, unit_diagnostics(ctx));
    return obj;
}

static int kernel_load(ebpf_ctx *ctx, ebpf_object *obj, const run_case *c) {
    static char log[65536];
    ebpf_bytes code;
    uint32_t type, attach;
    assert_int_equal(ebpf_object_section(ctx, obj, c->section, strlen(c->section), &code), EBPF_OK);
    assert_int_equal(
        ebpf_program_type_find(c->section, (uint32_t)strlen(c->section), &type, &attach), EBPF_OK);
    union bpf_attr attr = {.prog_type = type,
                           .expected_attach_type = attach,
                           .insns = (uint64_t)(uintptr_t)code.data,
                           .insn_cnt = (uint32_t)(code.size / 8),
                           .license = (uint64_t)(uintptr_t) "GPL",
                           .prog_flags = starts(c->section, "syscall") ? BPF_F_SLEEPABLE : 0};
    int fd = (int)bpf(BPF_PROG_LOAD, &attr);
    if (fd >= 0)
        return fd;
    attr.log_buf = (uint64_t)(uintptr_t)log;
    attr.log_size = sizeof log;
    attr.log_level = 1;
    bpf(BPF_PROG_LOAD, &attr);
    fail_msg("%s\n%s: %s", c->text, strerror(errno), log);
    return -1;
}

static void run_kernel(ebpf_ctx *ctx, ebpf_object *obj, const run_case *c, outcome *out) {
    int fd = kernel_load(ctx, obj, c);
    bool packet = c->packet_size != 0, raw = starts(c->section, "raw_tp");
    union bpf_attr attr = {0};
    attr.test.prog_fd = (uint32_t)fd;
    attr.test.ctx_in = (uint64_t)(uintptr_t)c->ctx;
    attr.test.ctx_size_in = c->ctx_size;
    if (packet) {
        attr.test.data_in = (uint64_t)(uintptr_t)c->packet;
        attr.test.data_size_in = c->packet_size;
        attr.test.data_out = (uint64_t)(uintptr_t)out->packet;
        attr.test.data_size_out = sizeof out->packet;
        attr.test.repeat = 1;
    }
    if (packet && c->ctx_size) {
        attr.test.ctx_out = (uint64_t)(uintptr_t)out->ctx;
        attr.test.ctx_size_out = c->ctx_size;
    }
    if (bpf(BPF_PROG_TEST_RUN, &attr) < 0)
        fail_msg("%s\nBPF_PROG_TEST_RUN: %s", c->text, strerror(errno));
    out->result = attr.test.retval;
    out->packet_size = packet ? attr.test.data_size_out : 0;
    out->ctx_size = packet && c->ctx_size ? attr.test.ctx_size_out : 0;
    if (!packet && !raw) { /* syscall programs write to ctx_in itself */
        out->ctx_size = c->ctx_size;
        memcpy(out->ctx, c->ctx, c->ctx_size);
    }
    close(fd);
}

static void run_vm(ebpf_ctx *ctx, ebpf_object *obj, const run_case *c, outcome *out) {
    ebpf_vm *vm;
    ebpf_bytes bytes;
    assert_int_equal(ebpf_vm_new(ctx, obj, 0, &vm), EBPF_OK);
    if (ebpf_vm_start_typed(vm, 0, c->ctx, c->ctx_size, c->packet, c->packet_size))
        fail_msg("%s\n%s", c->text, unit_diagnostics(ctx));
    ebpf_vm_state_of(vm)->budget = BUDGET;
    if (ebpf_vm_run(vm) != EBPF_STOP_EXIT)
        fail_msg("%s\n%s", c->text, unit_diagnostics(ctx));
    out->result = (uint32_t)ebpf_vm_state_of(vm)->reg[0];
    assert_int_equal(ebpf_vm_packet(vm, &bytes), EBPF_OK);
    assert_true(bytes.size <= sizeof out->packet || starts(c->section, "tc"));
    out->packet_size = (uint32_t)bytes.size;
    if (bytes.size)
        memcpy(out->packet, bytes.data, bytes.size < MOST ? bytes.size : MOST);
    assert_int_equal(ebpf_vm_context(vm, &bytes), EBPF_OK);
    out->ctx_size = (uint32_t)bytes.size;
    if (bytes.size)
        memcpy(out->ctx, bytes.data, bytes.size);
}

/* Of struct __sk_buff the kernel gives back these only; the rest is what went in. */
static void compare_contexts(const run_case *c, const outcome *vm, const outcome *kernel) {
    if (!kernel->ctx_size)
        return;
    if (c->ctx != (const uint8_t *)&skb_ctx) {
        assert_int_equal(vm->ctx_size, kernel->ctx_size);
        assert_memory_equal(vm->ctx, kernel->ctx, kernel->ctx_size);
        return;
    }
    struct __sk_buff a, b;
    memcpy(&a, vm->ctx, sizeof a);
    memcpy(&b, kernel->ctx, sizeof b);
    assert_int_equal(a.mark, b.mark);
    assert_int_equal(a.priority, b.priority);
    assert_int_equal(a.ingress_ifindex, b.ingress_ifindex);
    assert_int_equal(a.ifindex, b.ifindex);
    assert_memory_equal(a.cb, b.cb, sizeof a.cb);
    assert_int_equal(a.tstamp, b.tstamp);
    assert_int_equal(a.wire_len, b.wire_len);
    assert_int_equal(a.gso_segs, b.gso_segs);
}

static bool compare(const run_case *c) {
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = assemble(ctx, c);
    outcome vm = {0}, kernel = {0};
    static uint8_t copy[256]; /* the kernel writes to the context of syscall programs */
    run_case own = *c;
    run_vm(ctx, obj, c, &vm);
    if (starts(c->section, "syscall")) {
        memcpy(copy, c->ctx, c->ctx_size);
        own.ctx = copy;
    }
    run_kernel(ctx, obj, &own, &kernel);
    bool same = vm.result == kernel.result && vm.packet_size == kernel.packet_size &&
                memcmp(vm.packet, kernel.packet, vm.packet_size) == 0;
    if (!same) {
        print_error("%s: %s\n", c->section, c->text);
        print_error("  VM 0x%x, %u bytes; kernel 0x%x, %u bytes\n", vm.result, vm.packet_size,
                    kernel.result, kernel.packet_size);
        for (uint32_t i = 0; i < vm.packet_size && i < kernel.packet_size; i++)
            if (vm.packet[i] != kernel.packet[i])
                print_error("  byte %u: 0x%02x, 0x%02x\n", i, vm.packet[i], kernel.packet[i]);
    } else {
        compare_contexts(c, &vm, &kernel);
    }
    unit_close(ctx);
    return same;
}

static bool kernel_refuses(void) {
    union bpf_attr attr = {
        .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    int fd = (int)bpf(BPF_MAP_CREATE, &attr);
    if (fd < 0) {
        print_message("skipped: the kernel refuses bpf(2) here: %s\n", strerror(errno));
        return true;
    }
    close(fd);
    return false;
}

static void test_same_as_the_kernel(void **state) {
    (void)state;
    unsigned wrong = 0;
    if (kernel_refuses())
        skip();
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        wrong += !compare(&cases[i]);
    assert_int_equal(wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_as_the_kernel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
