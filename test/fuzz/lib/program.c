/* program.c - an object for the VM, made from bytes.
 *
 * Bare instructions chosen blindly fault at the third or fourth of them. So the bytes are read as a
 * head, which tells the maps, and records of eight bytes, which each become a statement: an
 * instruction of any kind, an address of a map, data or function, a call of a helper with arguments
 * of the sort that it wants (mostly), a call between functions. Every run of bytes is an object,
 * and one that changes little with them. */
#include "program.h"

#include <string.h>

#include "draw.h"
#include "kinds.h"
#include "vm.h"

enum { MAPS = 4, MAP_SIZE = 32, DATA = 64, CODE_MOST = 4096, RELOCS_MOST = 512 };

typedef struct maker {
    ebpf_ctx *ctx;
    ebpf_object *obj;
    uint32_t code, data, readonly, maps; /* sections */
    uint32_t map_symbols, map_count;
    uint32_t data_symbols; /* of .data, .rodata, .bss: one behind the other */
    uint32_t first_function, functions;
} maker;

static const char *const sections[] = {
    "xdp",        "tc",       "socket",    "raw_tp/x", "tp/a/b",
    "kprobe/x",   "fentry/x", "fexit/x",   "syscall",  "cgroup_skb/egress",
    "perf_event", "iter/x",   "sk_lookup", "lsm/x",    ".text",
    "x"};

/* ---- sections and maps ---- */

/* A definition that is right for each type that a VM may have. */
static const struct {
    uint32_t type, key, value, entries;
} likely[] = {
    {EB_MAP_HASH, 8, 8, 100},       {EB_MAP_ARRAY, 4, 16, 5},
    {EB_MAP_PROG_ARRAY, 4, 4, 4},   {EB_MAP_PERF_EVENT_ARRAY, 4, 4, 2},
    {EB_MAP_PERCPU_HASH, 4, 8, 3},  {EB_MAP_PERCPU_ARRAY, 4, 12, 3},
    {EB_MAP_LRU_HASH, 4, 8, 2},     {EB_MAP_LRU_PERCPU_HASH, 8, 4, 2},
    {EB_MAP_LPM_TRIE, 8, 8, 5},     {EB_MAP_ARRAY_OF_MAPS, 4, 4, 3},
    {EB_MAP_HASH_OF_MAPS, 8, 4, 3}, {EB_MAP_QUEUE, 0, 8, 3},
    {EB_MAP_STACK, 0, 4, 2},        {EB_MAP_RINGBUF, 0, 0, 4096},
    {EB_MAP_DEVMAP, 4, 4, 4},       {EB_MAP_CPUMAP, 4, 4, 4},
};

static void define(eb_map_def *map, draw *in) {
    static const uint32_t sizes[] = {4, 8, 1, 16, 0, 24, 64, 4100};
    static const uint32_t entries[] = {1, 2, 5, 100, 4096, 0, 65536, 3};
    uint32_t which = draw_byte(in), odd = draw_byte(in), number = draw_byte(in);
    uint32_t row = which % (sizeof likely / sizeof *likely);
    map->type = likely[row].type;
    map->key_size = likely[row].key;
    map->value_size = likely[row].value;
    map->max_entries = likely[row].entries;
    if (odd & 1)
        map->key_size = sizes[number % 8];
    if (odd & 2)
        map->value_size = sizes[number / 8 % 8];
    if (odd & 4)
        map->max_entries = entries[number / 32];
    if (odd & 8)
        map->flags = 1u << number % 14;
    if (odd & 16)
        map->extra = number % 16;
    if (odd & 32)
        map->type = which % 40;
}

/* A map of maps names the definition of those in it, which stands behind all others. */
static void add_maps(maker *m, draw *in, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        eb_map_def *map = EB_PUSH(&m->ctx->arena, &m->obj->maps);
        map->name = m->obj->symbols.at[m->map_symbols + i].name;
        map->symbol = m->map_symbols + i;
        define(map, in);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t type = m->obj->maps.at[i].type;
        if (type != EB_MAP_ARRAY_OF_MAPS && type != EB_MAP_HASH_OF_MAPS)
            continue;
        eb_map_def *inner = EB_PUSH(&m->ctx->arena, &m->obj->maps);
        inner->name = EB_STR("inner");
        define(inner, in);
        m->obj->maps.at[i].inner = m->obj->maps.len;
    }
}

/* What .maps holds of them from the start: programs of program arrays, maps in maps. */
static void fill_maps(maker *m, draw *in) {
    eb_section *section = &m->obj->sections.at[m->maps];
    for (uint32_t i = draw_below(in, 4); i > 0; i--) {
        uint32_t number = draw_byte(in);
        uint32_t symbol = number & 1 ? m->first_function : m->map_symbols + number / 2 % MAPS;
        *EB_PUSH(&m->ctx->arena, &section->relocs) = (eb_reloc){
            .offset = 8 * (uint64_t)(number / 8 % 16), .type = EB_R_BPF_64_ABS64, .symbol = symbol};
    }
}

static uint32_t add_section(maker *m, const char *name, uint32_t type, uint64_t flags,
                            uint64_t size) {
    uint32_t index = eb_object_add_section(m->obj, eb_str_from(name), type, flags);
    eb_section *section = &m->obj->sections.at[index];
    section->align = 8;
    section->size = size;
    if (type != EB_SHT_NOBITS && size)
        memset(eb_buf_room(&section->bytes, (size_t)size), 'a', (size_t)size);
    return index;
}

static uint32_t add_symbol(maker *m, const char *name, uint32_t section, uint64_t value,
                           uint8_t type, uint8_t bind) {
    uint32_t index = eb_object_add_symbol(m->obj, eb_str_from(name), section, value);
    m->obj->symbols.at[index].type = type;
    m->obj->symbols.at[index].bind = bind;
    return index;
}

/* ---- code ---- */

static uint64_t here(const maker *m) {
    return m->obj->sections.at[m->code].size;
}

static void emit(maker *m, ebpf_insn insn) {
    eb_section *code = &m->obj->sections.at[m->code];
    insn.slots = eb_insn_is_lddw(insn.code) ? 2 : 1;
    size_t size = (size_t)insn.slots * EBPF_SLOT;
    ebpf_insn_encode(&insn, m->obj->big, eb_buf_room(&code->bytes, size));
    code->size += size;
}

static void emit_op(maker *m, eb_op op, uint8_t dst, uint8_t src, int16_t off, int64_t imm) {
    const eb_insn_row *row = &eb_insn_rows[op];
    emit(m, (ebpf_insn){.code = row->code,
                        .dst = dst,
                        .src = (uint8_t)(src | row->src),
                        .off = (int16_t)(off | row->off),
                        .imm = imm | row->imm});
}

static void relocate(maker *m, uint32_t type, uint32_t symbol) {
    eb_section *code = &m->obj->sections.at[m->code];
    if (code->relocs.len < RELOCS_MOST)
        *EB_PUSH(&m->ctx->arena, &code->relocs) =
            (eb_reloc){.offset = code->size, .type = type, .symbol = symbol};
}

static void load_address(maker *m, uint8_t to, uint32_t symbol, int64_t addend) {
    relocate(m, EB_R_BPF_64_64, symbol);
    emit_op(m, EB_OP_LDDW_ONLY, to, 0, 0, addend);
}

static uint32_t function(const maker *m, uint32_t number) {
    return m->first_function + number % m->functions;
}

/* A function starts here; the one before it ends. */
static void open_function(maker *m) {
    static const char *const names[] = {"f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"};
    if (m->functions >= sizeof names / sizeof *names)
        return;
    if (m->functions)
        emit_op(m, EB_OP_EXIT_ONLY, 0, 0, 0, 0);
    add_symbol(m, names[m->functions], m->code, here(m), EB_STT_FUNC, EB_STB_GLOBAL);
    m->functions++;
    emit_op(m, EB_OP_ALU64_X_MOV, 6, 1, 0, 0); /* r6 = context or argument, r7 = r8 = memory */
    emit_op(m, EB_OP_ALU64_X_MOV, 7, 10, 0, 0);
    emit_op(m, EB_OP_ALU64_K_ADD, 7, 0, 0, -64);
    emit_op(m, EB_OP_ALU64_X_MOV, 8, 7, 0, 0);
    emit_op(m, EB_OP_ALU64_K_MOV, 0, 0, 0, 0);
}

/* ---- statements ---- */

/* What helpers want, from r1 on: m map, s stack, n number, z zero, c context, d data, f function,
 * p what the last call returned. */
static const struct {
    uint32_t id;
    const char *arguments;
} wishes[] = {
    {EB_HELPER_map_lookup_elem, "ms"},
    {EB_HELPER_map_update_elem, "mssz"},
    {EB_HELPER_map_delete_elem, "ms"},
    {EB_HELPER_map_lookup_percpu_elem, "msn"},
    {EB_HELPER_map_push_elem, "msz"},
    {EB_HELPER_map_pop_elem, "ms"},
    {EB_HELPER_map_peek_elem, "ms"},
    {EB_HELPER_probe_read, "sns"},
    {EB_HELPER_probe_read_str, "snd"},
    {EB_HELPER_probe_read_kernel, "snd"},
    {EB_HELPER_trace_printk, "dnsdn"},
    {EB_HELPER_trace_vprintk, "dnsn"},
    {EB_HELPER_snprintf, "sndsn"},
    {EB_HELPER_strncmp, "snd"},
    {EB_HELPER_get_current_comm, "sn"},
    {EB_HELPER_tail_call, "cmn"},
    {EB_HELPER_loop, "nfsz"},
    {EB_HELPER_for_each_map_elem, "mfsz"},
    {EB_HELPER_perf_event_output, "cmzsn"},
    {EB_HELPER_perf_event_read_value, "mzsn"},
    {EB_HELPER_ringbuf_output, "msnz"},
    {EB_HELPER_ringbuf_reserve, "mnz"},
    {EB_HELPER_ringbuf_submit, "pz"},
    {EB_HELPER_ringbuf_discard, "pz"},
    {EB_HELPER_ringbuf_query, "mn"},
    {EB_HELPER_ringbuf_reserve_dynptr, "mnzs"},
    {EB_HELPER_dynptr_from_mem, "dnzs"},
    {EB_HELPER_dynptr_read, "snsnz"},
    {EB_HELPER_dynptr_write, "snsnz"},
    {EB_HELPER_dynptr_data, "snn"},
    {EB_HELPER_skb_load_bytes, "cnsn"},
    {EB_HELPER_skb_store_bytes, "cnsnz"},
    {EB_HELPER_xdp_adjust_head, "cn"},
    {EB_HELPER_xdp_adjust_tail, "cn"},
    {EB_HELPER_xdp_adjust_meta, "cn"},
    {EB_HELPER_xdp_load_bytes, "cnsn"},
    {EB_HELPER_xdp_store_bytes, "cnsn"},
    {EB_HELPER_redirect_map, "mnz"},
    {EB_HELPER_csum_diff, "snsnz"},
    {EB_HELPER_get_func_arg, "cns"},
    {EB_HELPER_get_func_ret, "cs"},
    {EB_HELPER_strtol, "dnzs"},
    {EB_HELPER_strtoul, "dnzs"},
    {EB_HELPER_timer_init, "pmz"},
    {EB_HELPER_timer_set_callback, "pf"},
    {EB_HELPER_timer_start, "pnz"},
    {EB_HELPER_skb_pull_data, "cn"},
    {EB_HELPER_skb_change_tail, "cnz"},
    {EB_HELPER_skb_change_head, "cnz"},
    {EB_HELPER_skb_adjust_room, "cnzz"},
    {EB_HELPER_skb_load_bytes_relative, "cnsnz"},
};

static void argument(maker *m, uint8_t to, char sort, uint32_t number) {
    switch (sort) {
    case 'm':
        load_address(m, to, m->map_symbols + number % MAPS, 0);
        break;
    case 's':
        emit_op(m, EB_OP_ALU64_X_MOV, to, 10, 0, 0);
        emit_op(m, EB_OP_ALU64_K_ADD, to, 0, 0, -8 * (int64_t)(1 + number % 16));
        break;
    case 'c':
        emit_op(m, EB_OP_ALU64_X_MOV, to, 6, 0, 0);
        break;
    case 'd':
        load_address(m, to, m->data_symbols + number % 3, number / 3 % DATA);
        break;
    case 'f':
        load_address(m, to, function(m, number), 0);
        break;
    case 'p':
        emit_op(m, EB_OP_ALU64_X_MOV, to, number % 2 ? 7 : 8, 0, 0);
        break;
    case 'n':
        emit_op(m, EB_OP_ALU64_K_MOV, to, 0, 0, number % 8 == 7 ? number * 41 : number % 64);
        break;
    default:
        emit_op(m, EB_OP_ALU64_K_MOV, to, 0, 0, number & 7);
    }
}

/* Arguments and the call; what comes back is tested and kept in r7. */
static void call_helper(maker *m, draw *in) {
    uint32_t number = draw_byte(in), how = draw_byte(in);
    uint32_t id = 1 + number % (EB_HELPERS - 1);
    const char *arguments = "cnsnz"; /* as most have it that work on packets */
    if (how % 16 > 3) {
        arguments = wishes[number % (sizeof wishes / sizeof *wishes)].arguments;
        id = wishes[number % (sizeof wishes / sizeof *wishes)].id;
    }
    for (uint8_t i = 0; i < 5; i++) {
        static const char sorts[] = "mscdfpnz";
        uint32_t with = draw_byte(in);
        char sort = *arguments ? *arguments++ : sorts[with % 8];
        if (how / 16 == 15 || (how % 16 == 0 && i > 0))
            sort = sorts[with % 8];
        argument(m, (uint8_t)(i + 1), sort, with);
    }
    emit_op(m, EB_OP_CALL_ONLY, 0, 0, 0, id);
    if (how & 64) { /* if r0 == 0 goto +1; r7 = r0 */
        emit_op(m, EB_OP_JMP64_K_JEQ, 0, 0, 1, 0);
        emit_op(m, EB_OP_ALU64_X_MOV, 7, 0, 0, 0);
    }
}

static void plain_insn(maker *m, draw *in) {
    eb_op op = (eb_op)draw_below(in, EB_OP_COUNT);
    const eb_insn_row *row = &eb_insn_rows[op];
    uint32_t free = eb_form_free(m->ctx, (eb_form)row->form), registers = draw_byte(in);
    int8_t small = (int8_t)draw_byte(in);
    int32_t number = (int16_t)(draw_byte(in) | draw_byte(in) << 8);
    ebpf_insn insn = {.code = row->code, .src = row->src, .off = row->off, .imm = row->imm};
    if (free & EB_FREE_DST)
        insn.dst = registers % 16 % 11;
    if (free & EB_FREE_SRC)
        insn.src = (uint8_t)(registers / 16 % 11);
    if (free & EB_FREE_OFF)
        insn.off = small;
    if (free & EB_FREE_IMM)
        insn.imm = number % 4 ? number / 4 : number * INT64_C(65537);
    emit(m, insn);
}

static void statement(maker *m, draw in) {
    uint32_t kind = draw_below(&in, 16);
    uint32_t number = kind > 3 && (kind < 6 || kind > 9) ? draw_byte(&in) : 0;
    switch (kind) {
    case 4:
        argument(m, (uint8_t)(number % 10), "mdfs"[number / 16 % 4], draw_byte(&in));
        break;
    case 5:
        emit_op(m, EB_OP_ST_DW, number & 1 ? 7 : 10, 0,
                (int16_t)(number & 1 ? (int)(number / 2 % 64) : -8 * (int)(1 + number / 2 % 32)),
                (int32_t)draw_word(&in));
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        call_helper(m, &in);
        break;
    case 10:
        relocate(m, EB_R_BPF_64_32, function(m, number));
        emit_op(m, EB_OP_CALL_LOCAL_ONLY, 0, 0, 0, -1);
        break;
    case 11:
        open_function(m);
        break;
    case 12: /* forward, over what follows */
        emit_op(m, number & 1 ? EB_OP_JMP64_K_JEQ : EB_OP_JMP32_K_JNE, (uint8_t)(number / 2 % 10),
                0, (int16_t)(number / 32), draw_byte(&in));
        break;
    case 13: /* some rounds back */
        emit_op(m, EB_OP_MAY_GOTO_ONLY, 0, 0, (int16_t) - (1 + (int)number % 8), 0);
        break;
    case 14: /* from and to memory */
        emit_op(m, number & 1 ? EB_OP_LDX64_DW : EB_OP_LDX32_W, (uint8_t)(number / 2 % 8),
                (uint8_t)(6 + number / 16 % 3), (int16_t)draw_byte(&in), 0);
        break;
    default:
        plain_insn(m, &in);
    }
}

/* ---- all of it ---- */

static void add_symbols(maker *m) {
    static const char *const names[MAPS] = {"a", "b", "c", "d"};
    for (uint32_t i = 0; i < MAPS; i++) {
        uint32_t symbol =
            add_symbol(m, names[i], m->maps, (uint64_t)MAP_SIZE * i, EB_STT_OBJECT, EB_STB_GLOBAL);
        m->map_symbols = i ? m->map_symbols : symbol;
    }
    m->data_symbols = add_symbol(m, "", m->data, 0, EB_STT_SECTION, EB_STB_LOCAL);
    add_symbol(m, "", m->readonly, 0, EB_STT_SECTION, EB_STB_LOCAL);
    add_symbol(m, "zeroes", m->readonly + 1, 0, EB_STT_OBJECT, EB_STB_GLOBAL);
    m->first_function = m->obj->symbols.len;
}

static void add_data(maker *m, draw *in) {
    static const char formats[] = "%d %s %lx %c%%\n\0%p %5.3u %llu -0x1f 77 %pI4 %pK\0";
    m->data = add_section(m, ".data", EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_WRITE, DATA);
    m->readonly = add_section(m, ".rodata", EB_SHT_PROGBITS, EB_SHF_ALLOC, DATA);
    add_section(m, ".bss", EB_SHT_NOBITS, EB_SHF_ALLOC | EB_SHF_WRITE, DATA);
    m->maps = add_section(m, ".maps", EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_WRITE,
                          (uint64_t)MAP_SIZE * MAPS);
    memcpy(m->obj->sections.at[m->readonly].bytes.at, formats, sizeof formats);
    for (uint32_t i = 0; i < 8; i++)
        m->obj->sections.at[m->data].bytes.at[i] = draw_byte(in);
}

int make_program(ebpf_ctx *ctx, const uint8_t *data, size_t size, ebpf_object **out) {
    draw head = {data, size < PROGRAM_HEAD ? size : PROGRAM_HEAD};
    draw records = {data + head.left, size - head.left};
    uint32_t what = draw_byte(&head), name = draw_byte(&head), map_count = draw_below(&head, 5);
    maker m = {.ctx = ctx, .obj = eb_object_new(ctx, (what & 15) == 15)};
    m.obj->name = EB_STR("fuzz");
    m.code =
        add_section(&m, sections[name % 16], EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_EXECINSTR, 0);
    add_data(&m, &head);
    add_symbols(&m);
    open_function(&m);
    for (; records.left > 0 && here(&m) < CODE_MOST;) {
        size_t record = records.left < PROGRAM_RECORD ? records.left : PROGRAM_RECORD;
        statement(&m, (draw){records.at, record});
        records.at += record;
        records.left -= record;
    }
    emit_op(&m, EB_OP_EXIT_ONLY, 0, 0, 0, 0);
    *out = m.obj;
    int status = eb_object_index(m.obj);
    add_maps(&m, &head, map_count);
    fill_maps(&m, &head);
    return status;
}
