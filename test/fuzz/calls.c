/* Calls of helpers and kernel functions on maps of any type: the bytes choose up to four maps, then
 * the calls one by one, with arguments that have a chance to be right: small numbers, places on the
 * stack, maps, functions, what earlier calls returned. The host works on the maps between the runs.
 * Whatever happens, single steps lead to the same end as the fast loop. */
#include <string.h>

#include "fuzz.h"
#include "vm.h"

enum { BUDGET = 20000, MAPS = 4, CALLS = 60, MEM = 64, RUNS = 3, HOST_STOPS = 20 };

typedef struct input {
    const uint8_t *at;
    size_t left;
} input;

static uint8_t take(input *in) {
    if (!in->left)
        return 0;
    in->left--;
    return *in->at++;
}

/* ---- the program ---- */

static void put(eb_buf *code, uint8_t op, unsigned dst, unsigned src, int off, uint32_t imm) {
    uint8_t *at = eb_buf_room(code, EBPF_SLOT);
    at[0] = op;
    at[1] = (uint8_t)(dst | src << 4);
    eb_set16(at + 2, false, (uint16_t)off);
    eb_set32(at + 4, false, imm);
}

static void put_wide(eb_buf *code, unsigned dst, uint64_t value) {
    put(code, 0x18, dst, 0, 0, (uint32_t)value);
    put(code, 0, 0, 0, 0, (uint32_t)(value >> 32));
}

/* Functions that callbacks can be. The first reads and writes what r2 and r3 point to, the second
 * takes key 1 out of the first map and puts it in again. The program starts behind them. */
enum { FIRST = 0, SECOND = 5, START = 24 };

static void put_functions(eb_buf *code) {
    put(code, 0x61, 0, 2, 0, 0); /* r0 = *(u32 *)(r2 + 0) */
    put(code, 0x61, 4, 3, 0, 0); /* r4 = *(u32 *)(r3 + 0) */
    put(code, 0x0f, 0, 4, 0, 0);
    put(code, 0x57, 0, 0, 0, 1);
    put(code, 0x95, 0, 0, 0, 0);
    for (int call = 3; call >= 2; call--) {
        put(code, 0x7a, 10, 0, -8, 1); /* *(u64 *)(r10 - 8) = 1 */
        put_wide(code, 1, eb_vm_address(EB_REGION_HANDLES, 0));
        put(code, 0xbf, 2, 10, 0, 0);
        put(code, 0x07, 2, 0, 0, (uint32_t)-8);
        put(code, 0xbf, 3, 2, 0, 0);
        put(code, 0xb7, 4, 0, 0, 0);
        put(code, 0x85, 0, 0, 0, (uint32_t)call);
    }
    put(code, 0xb7, 0, 0, 0, 0);
    put(code, 0x95, 0, 0, 0, 0);
    while (code->len < START * EBPF_SLOT)
        put(code, 0xb7, 0, 0, 0, 0);
}

static const uint64_t numbers[16] = {
    0, 1, 2, 3, 4, 8, 16, 24, 32, 64, 4096, UINT32_MAX, UINT64_MAX, 1ull << 31, 99, 1ull << 33};

static void put_argument(eb_buf *code, unsigned reg, uint8_t choice) {
    unsigned low = choice & 15;
    switch (choice >> 4 & 7) {
    case 0:
    case 1:
        put_wide(code, reg, numbers[low]);
        break;
    case 2:
    case 3:
        put(code, 0xbf, reg, 10, 0, 0);
        put(code, 0x07, reg, 0, 0, (uint32_t)(-16 * (int)(low + 1)));
        break;
    case 4:
    case 5:
        put_wide(code, reg, eb_vm_address(EB_REGION_HANDLES, low % MAPS));
        break;
    case 6:
        put(code, 0xbf, reg, 6 + low % 4, 0, 0);
        break;
    default:
        put_wide(code, reg, eb_vm_address(EB_REGION_CODE, (low & 1 ? SECOND : FIRST) * EBPF_SLOT));
    }
}

static const char *const kernel_functions[] = {
#define KFUNC(name, vm) #name,
#include "kfunc.def"
    "bpf_that_nobody_has"};
enum { KERNEL_FUNCTIONS = sizeof kernel_functions / sizeof *kernel_functions };

/* Numbers above the helpers' stand for kernel functions, which relocations name. */
static void name_functions(ebpf_object *obj) {
    eb_section *text = &obj->sections.at[1];
    for (uint32_t i = 0; i < KERNEL_FUNCTIONS; i++)
        eb_object_add_symbol(obj, eb_str_from(kernel_functions[i]), EB_SHN_UNDEF, 0);
    for (uint32_t at = 0; at < text->bytes.len; at += EBPF_SLOT) {
        uint32_t number = eb_get32(text->bytes.at + at + 4, false) - EB_HELPERS;
        if (text->bytes.at[at] == 0x85 && number < KERNEL_FUNCTIONS)
            *EB_PUSH(&obj->ctx->arena, &text->relocs) =
                (eb_reloc){.offset = at,
                           .type = EB_R_BPF_64_32,
                           .symbol = obj->symbols.len - KERNEL_FUNCTIONS + number};
    }
}

static void put_call(eb_buf *code, input *in) {
    unsigned helper = take(in);
    if (helper == 255)
        helper = EB_HELPERS + take(in) % KERNEL_FUNCTIONS;
    uint8_t keep = take(in);
    for (unsigned reg = 1; reg <= 5; reg++)
        put_argument(code, reg, take(in));
    put(code, 0x85, 0, 0, 0, helper);
    put(code, 0xbf, 6 + keep % 4, 0, 0, 0);
    if (keep & 0x10) { /* look where the result leads, unless it is none */
        put(code, 0x15, 0, 0, 1, 0);
        put(code, 0x61, 1, 0, keep >> 5, 0);
    }
    if (keep & 8)
        put(code, 0x7b, 10, 0, -16 * (int)(1 + (keep >> 5)), 0);
}

/* ---- maps ---- */

static void add_map(ebpf_object *obj, input *in, uint32_t index) {
    static const uint32_t flags[] = {0, 1, 64, 65, 0, 1, 128, 256};
    uint32_t type = take(in) % 34, sizes = take(in), count = take(in);
    uint32_t key = sizes & 15, value = sizes >> 4;
    if (type == EB_MAP_RINGBUF || type == EB_MAP_USER_RINGBUF || type == EB_MAP_ARENA)
        key = value = 0;
    eb_map_def def = {.name = EB_STR("m"),
                      .symbol = UINT32_MAX,
                      .type = type,
                      .key_size = key,
                      .value_size = value * (count & 1 ? 4 : 1),
                      .max_entries = 1 + count % 32,
                      .flags = flags[count >> 5]};
    if (type == EB_MAP_TASK_STORAGE || type == EB_MAP_SK_STORAGE)
        def.max_entries = 0;
    if (type == EB_MAP_ARRAY_OF_MAPS || type == EB_MAP_HASH_OF_MAPS)
        def.inner = MAPS + 1;
    def.name = eb_str_fmt(&obj->ctx->arena, "m%u", index);
    *EB_PUSH(&obj->ctx->arena, &obj->maps) = def;
}

/* The host does something to each map. */
static void work(ebpf_vm *vm, uint8_t choice) {
    uint8_t key[64] = {choice & 3}, value[2 * 64 * 4] = {choice, 0, 0, 0, 5};
    uint32_t cpu;
    uint64_t deadline;
    ebpf_bytes record;
    for (uint32_t map = 0; map < ebpf_vm_map_count(vm) && map < 2 * MAPS; map++) {
        ebpf_vm_map info;
        REQUIRE(ebpf_vm_map_info(vm, map, &info) == EBPF_OK);
        REQUIRE(info.host_value_size <= sizeof value && info.key_size <= sizeof key);
        ebpf_vm_map_update(vm, map, info.key_size ? key : NULL, value, choice >> 6);
        ebpf_vm_map_lookup(vm, map, info.key_size ? key : NULL, value);
        if (info.key_size)
            ebpf_vm_map_next(vm, map, key, key);
        if (choice & 8)
            ebpf_vm_map_take(vm, map, info.key_size ? key : NULL, value);
        if (choice & 16)
            ebpf_vm_map_delete(vm, map, key);
        if (choice & 4 && map < MAPS)
            ebpf_vm_map_new_inner(vm, map);
        ebpf_vm_map_send(vm, map, value, choice);
        for (int i = 0; i < (choice & 7); i++)
            ebpf_vm_map_record(vm, map, &cpu, &record);
    }
    ebpf_vm_timer_next(vm, &deadline);
}

/* ---- running ---- */

typedef struct outcome {
    int stop;
    uint64_t executed, r[EBPF_VM_REGS];
} outcome;

static outcome run(ebpf_vm *vm, bool timer, bool steps) {
    uint8_t mem[MEM] = {1};
    outcome out = {.stop = EBPF_E_ARG};
    ebpf_vm_state *state = ebpf_vm_state_of(vm);
    int program = ebpf_vm_program_find(vm, "main", 4);
    int status =
        timer ? ebpf_vm_timer_start(vm) : ebpf_vm_start(vm, (uint32_t)program, mem, sizeof mem, 0);
    if (status < 0)
        return out;
    state->budget = BUDGET;
    out.stop = EBPF_STOP_HELPER;
    for (int stops = 0; out.stop == EBPF_STOP_HELPER && stops < HOST_STOPS; stops++) {
        if (!steps) {
            out.stop = ebpf_vm_run(vm);
        } else {
            do
                out.stop = ebpf_vm_step(vm);
            while (out.stop == EBPF_STOP_BUDGET && state->executed < BUDGET);
        }
        if (out.stop == EBPF_STOP_HELPER)
            state->reg[0] = (uint64_t)stops;
    }
    out.executed = state->executed;
    memcpy(out.r, state->reg, sizeof out.r);
    return out;
}

static void run_both(ebpf_vm *fast, ebpf_vm *slow, input *in) {
    for (int i = 0; i < RUNS; i++) {
        uint8_t choice = take(in);
        outcome a = run(fast, false, false), b = run(slow, false, true);
        if (a.stop < 0 || b.stop < 0) /* out of memory: the context is used up */
            return;
        plant(a.stop == EBPF_STOP_FAULT && ebpf_vm_fault_of(fast)->helper == EB_HELPER_snprintf, in,
              sizeof *in);
        REQUIRE(a.stop == b.stop && a.executed == b.executed);
        REQUIRE(a.stop == EBPF_STOP_FAULT || memcmp(a.r, b.r, sizeof a.r) == 0);
        work(fast, choice);
        work(slow, choice);
        a = run(fast, true, false), b = run(slow, true, true);
        REQUIRE(a.stop == b.stop && a.executed == b.executed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    input in = {data, size};
    eb_buf code = {.arena = &ctx->arena};
    ebpf_object *obj;
    ebpf_vm *fast, *slow;
    put_functions(&code);
    const uint8_t *maps = in.at;
    in.at += in.left < 3 * MAPS ? in.left : 3 * MAPS;
    in.left -= (size_t)(in.at - maps);
    input tail = {in.at + in.left, 0};
    if (in.left > RUNS) { /* the last bytes are the host's */
        in.left -= RUNS;
        tail = (input){in.at + in.left, RUNS};
    }
    for (unsigned reg = 6; reg <= 9; reg++)
        put(&code, 0xbf, reg, 1, 0, 0);
    for (int i = 0; i < CALLS && in.left; i++)
        put_call(&code, &in);
    put(&code, 0x95, 0, 0, 0, 0);
    if (ebpf_object_from_raw(ctx, "fuzz", 4, code.at, code.len, EBPF_LITTLE, &obj) == EBPF_OK) {
        *EB_PUSH(&ctx->arena, &obj->funcs) = (eb_func){
            .name = EB_STR("main"), .section = 1, .offset = START * EBPF_SLOT, .program = true};
        name_functions(obj);
        input shapes = {maps, size < 3 * MAPS ? size : 3 * MAPS};
        for (uint32_t i = 0; i < MAPS; i++)
            add_map(obj, &shapes, i);
        *EB_PUSH(&ctx->arena, &obj->maps) = (eb_map_def){.name = EB_STR("inner"),
                                                         .symbol = UINT32_MAX,
                                                         .type = EB_MAP_HASH,
                                                         .key_size = 4,
                                                         .value_size = 8,
                                                         .max_entries = 3};
        if (ebpf_vm_new(ctx, obj, 2, &fast) == EBPF_OK &&
            ebpf_vm_new(ctx, obj, 2, &slow) == EBPF_OK)
            run_both(fast, slow, &tail);
    }
    ebpf_ctx_free(ctx);
    return 0;
}
