/* ir_test.c - the compiler's middle and its end: random programs mean the same behind each pass as
 * before it, their code does the same in the VM, and the reader of IR takes any text.
 *
 * The programs look like what cc makes of C: variables are slots, read and written in every block;
 * some slots are structures that are copied and cleared, some have their address given away; blocks
 * branch on what was read. IR_SEED=n runs the one program of that seed and prints it before and
 * behind each pass; IR_COUNT=n says how many there are. */
#include "unit.h"

#include "ebpf_vm.h"
#include "gen.h"
#include "ir_eval.h"
#include "pass.h"

enum { SLOTS_MOST = 10, BLOCKS_MOST = 12, BUDGET = 20000 };

typedef struct maker {
    uint64_t random;
    eb_fn *fn;
    uint32_t block;
    eb_value pool[64]; /* values that may be used: of this block and of the entry */
    unsigned count, kept;
    unsigned blocks;
} maker;

static unsigned below(maker *m, unsigned most) {
    return (unsigned)(unit_random(&m->random) >> 33) % most;
}

static eb_value put(maker *m, eb_ir_op op, eb_ir_type type, eb_value a, eb_value b) {
    eb_value v = eb_ir_new(m->fn, op, type, a, b, 0);
    eb_ir_append(m->fn, m->block, v);
    return v;
}

static eb_value number(maker *m, eb_ir_type type) {
    static const int64_t favourites[] = {0, 1, -1, 2, 7, 8, 255, 256, 65535, INT32_MAX, INT32_MIN};
    int64_t imm = favourites[below(m, sizeof favourites / sizeof favourites[0])];
    eb_value v = put(m, EB_IR_CONST, type, 0, 0);
    if (below(m, 4) == 0)
        imm = (int64_t)unit_random(&m->random);
    eb_ir_at(m->fn, v)->imm = eb_ir_wrap(type, imm);
    return v;
}

/* Some value of the type. */
static eb_value value(maker *m, eb_ir_type type) {
    eb_value v = m->count && below(m, 5) ? m->pool[below(m, m->count)] : number(m, type);
    eb_ir_type has = (eb_ir_type)eb_ir_at(m->fn, v)->type;
    if (has == type)
        return v;
    if (type == EB_IR_I32)
        return put(m, EB_IR_TRUNC, type, v, 0);
    v = put(m, below(m, 2) ? EB_IR_ZEXT : EB_IR_SEXT, type, v, 0);
    if (eb_ir_at(m->fn, v)->op == EB_IR_SEXT)
        eb_ir_at(m->fn, v)->size = 4;
    return v;
}

static void keep(maker *m, eb_value v) {
    unsigned most = sizeof m->pool / sizeof m->pool[0];
    if (m->count < most)
        m->pool[m->count++] = v;
    else
        m->pool[m->kept + below(m, most - m->kept)] = v;
}

static eb_value address(maker *m, uint32_t slot, unsigned at) {
    eb_value v = put(m, EB_IR_SLOT, EB_IR_PTR, 0, 0);
    eb_ir_at(m->fn, v)->extra = slot;
    if (at && below(m, 3) == 0) {
        eb_value by = put(m, EB_IR_CONST, EB_IR_I64, 0, 0);
        eb_ir_at(m->fn, by)->imm = at;
        return put(m, EB_IR_ADD, EB_IR_PTR, v, by);
    }
    eb_ir_at(m->fn, v)->imm = at;
    return v;
}

/* Variables have 1, 2, 4 or 8 bytes; larger slots have a layout: of words by their number. */
static unsigned access_size(maker *m, uint32_t slot, unsigned *at) {
    unsigned size = (unsigned)m->fn->slots.at[slot].size;
    *at = 0;
    if (size <= 8)
        return size;
    unsigned part = below(m, 12) ? (slot & 1 ? 8 : 4) : 1u << below(m, 4);
    *at = below(m, size / part) * part;
    return part;
}

static void make_access(maker *m) {
    uint32_t slot = below(m, m->fn->slots.len);
    unsigned at, size = access_size(m, slot, &at), back = below(m, 4) ? 0 : at;
    eb_ir_type type = size == 8 || below(m, 8) == 0 ? EB_IR_I64 : EB_IR_I32;
    bool stores = below(m, 2);
    eb_value b = stores ? value(m, type) : 0, where = address(m, slot, at - back);
    eb_value v = put(m, stores ? EB_IR_STORE : EB_IR_LOAD, stores ? EB_IR_VOID : type, where, b);
    eb_ir *ir = eb_ir_at(m->fn, v);
    ir->size = (uint8_t)size;
    ir->imm = back;
    if (!stores && below(m, 3) == 0 && size < 8)
        ir->flags |= EB_IR_SIGNED;
    if (below(m, 60) == 0)
        ir->flags |= EB_IR_VOLATILE;
    if (!stores)
        keep(m, v);
}

/* An element at an index that is not known. */
static void make_indexed(maker *m) {
    uint32_t slot = below(m, m->fn->slots.len);
    if (m->fn->slots.at[slot].size < 16)
        return;
    eb_value index = value(m, EB_IR_I64), mask = put(m, EB_IR_CONST, EB_IR_I64, 0, 0);
    eb_ir_at(m->fn, mask)->imm = 8;
    index = put(m, EB_IR_AND, EB_IR_I64, index, mask);
    eb_value where = put(m, EB_IR_ADD, EB_IR_PTR, address(m, slot, 0), index);
    for (unsigned n = 1 + below(m, 4); n; n--) {
        bool stores = below(m, 2);
        eb_value b = stores ? value(m, EB_IR_I64) : 0;
        eb_value v =
            put(m, stores ? EB_IR_STORE : EB_IR_LOAD, stores ? EB_IR_VOID : EB_IR_I64, where, b);
        eb_ir_at(m->fn, v)->size = below(m, 2) ? 8 : 4;
        eb_ir_at(m->fn, v)->imm = below(m, 3) ? 0 : 4;
        if (eb_ir_at(m->fn, v)->imm)
            eb_ir_at(m->fn, v)->size = 4;
        if (!stores)
            keep(m, v);
        if (below(m, 2))
            make_access(m);
    }
}

static void make_copy(maker *m) {
    uint32_t to = below(m, m->fn->slots.len), from = below(m, m->fn->slots.len);
    uint64_t most = m->fn->slots.at[to].size;
    if (m->fn->slots.at[from].size < most)
        most = m->fn->slots.at[from].size;
    bool set = to == from || below(m, 3) == 0;
    uint64_t size = set ? m->fn->slots.at[to].size : most;
    eb_value a = address(m, to, 0);
    eb_value b = set ? (below(m, 3) ? eb_ir_const(m->fn, EB_IR_I32, below(m, 2) ? 0 : -1, 0)
                                    : value(m, EB_IR_I32))
                     : address(m, from, 0);
    if (!eb_ir_at(m->fn, b)->block)
        eb_ir_append(m->fn, m->block, b);
    eb_value v = put(m, set ? EB_IR_SETMEM : EB_IR_COPYMEM, EB_IR_VOID, a, b);
    eb_ir_at(m->fn, v)->imm = (int64_t)size;
    eb_ir_at(m->fn, v)->size = size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : 1;
}

/* Parts of two slots, or of one: as many bytes as fit, a number that sometimes is a value. */
static void make_comparison(maker *m) {
    uint32_t x = below(m, m->fn->slots.len), y = below(m, m->fn->slots.len);
    uint64_t most = m->fn->slots.at[x].size;
    if (m->fn->slots.at[y].size < most)
        most = m->fn->slots.at[y].size;
    int64_t size = below(m, (uint32_t)(most < 24 ? most : 24) + 1);
    eb_value a = address(m, x, 0), b = address(m, y, 0), count = 0;
    if (below(m, 4) == 0) {
        count = put(m, EB_IR_CONST, EB_IR_I64, 0, 0);
        eb_ir_at(m->fn, count)->imm = size;
    }
    eb_value v = put(m, EB_IR_MEMCMP, EB_IR_I32, a, b);
    eb_ir_at(m->fn, v)->imm = count ? 0 : size;
    eb_ir_at(m->fn, v)->c = count;
    eb_ir_at(m->fn, v)->size = below(m, 2) ? 1 : 4;
    keep(m, v);
}

static void make_call(maker *m) {
    eb_value args[3];
    unsigned count = below(m, 4);
    for (unsigned n = 0; n < count; n++)
        args[n] =
            below(m, 3) ? value(m, EB_IR_I64) : address(m, below(m, m->fn->slots.len / 3 + 1), 0);
    uint32_t list = eb_list_new(m->fn, args, count);
    eb_value v = put(m, EB_IR_HELPER, EB_IR_I64, 0, 0);
    eb_ir_at(m->fn, v)->list = list;
    eb_ir_at(m->fn, v)->imm = 1 + below(m, 5);
    keep(m, v);
}

static void make_operation(maker *m) {
    eb_ir_type type = below(m, 2) ? EB_IR_I32 : EB_IR_I64;
    eb_ir_op op = (eb_ir_op)(EB_IR_ADD + below(m, EB_IR_SAR - EB_IR_ADD + 1));
    eb_value a = value(m, type), b = value(m, type);
    if (op >= EB_IR_SHL && op <= EB_IR_SAR) {
        b = put(m, EB_IR_CONST, type, 0, 0);
        eb_ir_at(m->fn, b)->imm = below(m, type == EB_IR_I32 ? 32 : 64);
    }
    eb_value v;
    if (below(m, 6) == 0) {
        v = put(m, EB_IR_CMP, EB_IR_I32, a, b);
        eb_ir_at(m->fn, v)->cond = (uint8_t)below(m, EB_COND_COUNT);
    } else if (below(m, 12) == 0) {
        v = put(m, EB_IR_SEXT, type, a, 0);
        eb_ir_at(m->fn, v)->size = (uint8_t)(1u << below(m, 2));
    } else {
        v = put(m, op, type, a, b);
    }
    keep(m, v);
}

static void make_end(maker *m) {
    unsigned way = below(m, 10);
    if (m->block != 1 && way == 0) {
        put(m, EB_IR_RETURN, EB_IR_VOID, value(m, EB_IR_I64), 0);
        return;
    }
    /* Mostly forwards. */
    uint32_t to[2];
    for (unsigned n = 0; n < 2; n++) {
        unsigned left = m->blocks - m->block;
        bool back = left == 0 || below(m, 5) == 0;
        to[n] = back ? 2 + below(m, m->blocks - 1) : m->block + 1 + below(m, left < 3 ? left : 3);
    }
    if (way < 4) {
        put(m, EB_IR_JUMP, EB_IR_VOID, 0, 0);
    } else {
        eb_ir_type type = below(m, 2) ? EB_IR_I32 : EB_IR_I64;
        eb_value a = value(m, type), b = value(m, type);
        eb_value v = put(m, EB_IR_BRANCH, EB_IR_VOID, a, b);
        eb_ir_at(m->fn, v)->cond = (uint8_t)below(m, EB_COND_COUNT);
    }
    for (unsigned n = 0; n < (way < 4 ? 1u : 2u); n++)
        eb_edge_add(m->fn, m->block, to[n]);
}

static void make_block(maker *m) {
    m->count = m->kept;
    for (unsigned left = 2 + below(m, 12); left; left--)
        switch (below(m, 10)) {
        case 0:
            make_call(m);
            break;
        case 1:
            if (below(m, 3))
                make_copy(m);
            else if (below(m, 3))
                make_indexed(m);
            else
                make_comparison(m);
            break;
        case 2:
        case 3:
        case 4:
            make_operation(m);
            break;
        default:
            make_access(m);
        }
    if (m->block == m->blocks)
        put(m, EB_IR_RETURN, EB_IR_VOID, value(m, EB_IR_I64), 0);
    else
        make_end(m);
}

/* All slots are set in the entry: nothing depends on what was never written. */
static void make_entry(maker *m) {
    for (unsigned n = 0; n < 3; n++) {
        eb_value v = put(m, EB_IR_PARAM, EB_IR_I64, 0, 0);
        eb_ir_at(m->fn, v)->imm = n;
        keep(m, v);
    }
    for (unsigned left = 1 + below(m, SLOTS_MOST); left; left--) {
        static const uint8_t sizes[] = {1, 2, 4, 4, 8, 8, 16, 24, 32, 40};
        uint64_t size = sizes[below(m, sizeof sizes)];
        (void)eb_slot_new(m->fn, size, size > 8 ? 8 : (uint32_t)size, EB_STR(""), 0);
    }
    for (uint32_t n = 0; n < m->fn->slots.len; n++) {
        eb_value where = address(m, n, 0), byte = eb_ir_const(m->fn, EB_IR_I32, (int64_t)n, 0);
        eb_ir_append(m->fn, 1, byte);
        eb_value v = put(m, EB_IR_SETMEM, EB_IR_VOID, where, byte);
        eb_ir_at(m->fn, v)->imm = (int64_t)m->fn->slots.at[n].size;
        eb_ir_at(m->fn, v)->size = 1;
        if (m->fn->slots.at[n].size > 8)
            continue;
        v = put(m, EB_IR_STORE, EB_IR_VOID, where, value(m, EB_IR_I64));
        eb_ir_at(m->fn, v)->size = (uint8_t)m->fn->slots.at[n].size;
    }
    m->kept = m->count;
}

static eb_ir_unit *make_unit(ebpf_ctx *ctx, uint64_t seed) {
    maker m = {.random = seed * 0x9e3779b97f4a7c15u + 1};
    eb_ir_unit *unit = eb_ir_unit_new(ctx, seed % 5 == 0, 3, true);
    uint32_t symbol = eb_ir_symbol_add(unit, EB_STR("f"), EB_IR_FUNCTION);
    unit->symbols.at[symbol].bind = 1;
    unit->symbols.at[symbol].is_defined = unit->symbols.at[symbol].live = true;
    m.fn = eb_fn_new(unit, symbol);
    m.fn->params = 3;
    m.fn->result = EB_IR_I64;
    m.blocks = 2 + below(&m, BLOCKS_MOST);
    while (m.fn->blocks.len <= m.blocks)
        (void)eb_block_new(m.fn);
    m.block = 1;
    make_entry(&m);
    for (m.block = 1; m.block <= m.blocks; m.block++)
        make_block(&m);
    return unit;
}

/* ---- passes ---- */

static const char *const passes[] = {
#define PASS(id, name, level)      name,
#define UNIT_PASS(id, name, level) name,
#include "pass.def"
};

static void show(const eb_ir_unit *unit, const char *when) {
    eb_buf out = {.arena = &unit->ctx->arena};
    eb_ir_print(unit, &out);
    printf("---- %s\n%.*s", when, (int)out.len, (const char *)out.at);
}

static const uint64_t params[3][5] = {{0, 0, 0}, {1, 2, 3}, {UINT64_MAX, 0x123456789abcdefu, 77}};

static void compare(const eb_ir_unit *unit, const ir_result *before, uint64_t seed,
                    const char *pass) {
    for (unsigned n = 0; n < 3; n++) {
        if (before[n].stop != IR_RETURNED)
            continue;
        ir_result now = ir_eval(unit, 1, params[n], BUDGET * 4);
        if (now.stop != IR_RETURNED || now.value != before[n].value || now.world != before[n].world)
            fail_msg("behind %s, seed %llu, parameters %u: stop %d, %llx instead of %llx%s", pass,
                     (unsigned long long)seed, n, (int)now.stop, (unsigned long long)now.value,
                     (unsigned long long)before[n].value,
                     now.world != before[n].world ? ", another world" : "");
    }
}

/* Runs the pipeline twice; returns how many runs of the original came to their end. */
static unsigned try_seed(uint64_t seed, bool loud) {
    ebpf_ctx *ctx = unit_open();
    eb_ir_unit *unit = make_unit(ctx, seed);
    ir_result before[3];
    unsigned returned = 0;
    eb_str problem = eb_ir_check(unit->symbols.at[1].fn);
    if (problem.len)
        fail_msg("seed %llu: %.*s", (unsigned long long)seed, (int)problem.len, problem.at);
    for (unsigned n = 0; n < 3; n++) {
        before[n] = ir_eval(unit, 1, params[n], BUDGET);
        returned += before[n].stop == IR_RETURNED;
    }
    if (loud)
        show(unit, "made");
    for (unsigned n = 0; n < 2 * sizeof passes / sizeof passes[0]; n++) {
        const char *pass = passes[n % (sizeof passes / sizeof passes[0])];
        assert_true(eb_ir_run(unit, eb_str_from(pass)));
        if (loud)
            show(unit, pass);
        if (unit->broken.len)
            fail_msg("seed %llu: %.*s", (unsigned long long)seed, (int)unit->broken.len,
                     unit->broken.at);
        compare(unit, before, seed, pass);
    }
    unit_close(ctx);
    return returned;
}

static void passes_keep_meaning(void **state) {
    const char *seed = getenv("IR_SEED"), *count = getenv("IR_COUNT");
    unsigned long most = count ? strtoul(count, NULL, 10) : 1000, returned = 0;
    (void)state;
    if (seed) {
        (void)try_seed(strtoull(seed, NULL, 10), true);
        return;
    }
    for (unsigned long n = 1; n <= most; n++)
        returned += try_seed(n, false);
    assert_true(returned > most); /* of three runs each: most programs end */
}

/* ---- code ---- */

enum { CODE_BUDGET = 100000 };

/* A helper's number says how many arguments it has; a unit with signed division is for v4. */
static void prepare(eb_ir_unit *unit, uint64_t seed, bool *calls) {
    eb_fn *fn = unit->symbols.at[1].fn;
    unit->symbols.at[1].section = EB_STR("xdp");
    unit->cpu = 1 + (unsigned)(seed / 2 % 4);
    for (eb_value v = 1; v < fn->values.len; v++) {
        eb_ir *ir = eb_ir_at(fn, v);
        if (ir->op == EB_IR_SDIV || ir->op == EB_IR_SMOD)
            unit->cpu = 4;
        if (ir->op != EB_IR_HELPER)
            continue;
        ir->imm = 1 + (ir->list ? fn->lists.at[ir->list].values.len : 0);
        *calls = true;
    }
}

static uint64_t mixed(uint64_t hash, uint64_t with) {
    hash = (hash ^ with) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* What a call does: a number from its arguments; of an address, the first byte counts, and gets
 * another value. */
static void call_host(ebpf_vm *vm, uint64_t *world) {
    ebpf_vm_state *state = ebpf_vm_state_of(vm);
    for (unsigned n = 0; n + 1 < state->helper; n++) {
        uint64_t argument = state->reg[1 + n];
        ebpf_bytes byte = {0};
        bool is_place = argument >> 32 && argument >> 32 < 64 &&
                        ebpf_vm_memory(vm, (uint32_t)(argument >> 32), (uint32_t)argument, 1, true,
                                       &byte) == EBPF_OK;
        *world = mixed(*world, is_place ? *(const uint8_t *)byte.data : argument);
        if (is_place)
            *(uint8_t *)(uintptr_t)byte.data = (uint8_t)*world;
    }
    *world = mixed(*world, state->helper);
    state->reg[0] = *world;
    for (unsigned n = 1; n <= 5; n++)
        state->reg[n] = 0xdead0000 + n; /* nobody may rely on them */
}

typedef struct outcome {
    int stop;
    uint64_t value, world;
} outcome;

static outcome run_code(ebpf_ctx *ctx, const ebpf_object *obj, const uint64_t *with) {
    ebpf_vm *vm;
    outcome out = {0};
    assert_int_equal(ebpf_vm_new(ctx, obj, 0, &vm), EBPF_OK);
    for (uint32_t id = 1; id <= 4; id++)
        assert_int_equal(ebpf_vm_host_helper(vm, id, 1), EBPF_OK);
    assert_int_equal(ebpf_vm_start(vm, 0, NULL, 0, 0), EBPF_OK);
    ebpf_vm_state *state = ebpf_vm_state_of(vm);
    for (unsigned n = 0; n < 3; n++)
        state->reg[1 + n] = with[n];
    state->budget = CODE_BUDGET;
    while ((out.stop = ebpf_vm_run(vm)) == EBPF_STOP_HELPER)
        call_host(vm, &out.world);
    out.value = state->reg[0];
    return out;
}

/* The code of the unit, or NULL where it has no room in a frame. */
static const ebpf_object *make_code(eb_ir_unit *unit) {
    ebpf_object *obj = eb_gen_data(unit);
    eb_gen_code(unit, obj);
    for (uint32_t n = 0; n < unit->ctx->diags.len; n++)
        if (unit->ctx->diags.at[n].code == EB_DIAG_FRAME_SIZE)
            return NULL;
    if (unit->ctx->errors)
        fail_msg("%.*s", (int)unit->ctx->diags.at[0].text.len, unit->ctx->diags.at[0].text.at);
    assert_int_equal(eb_object_index(obj), 0);
    return obj;
}

/* The code of a program, of the same behind all passes, and the program itself come to the same. */
static unsigned try_code(uint64_t seed, bool loud) {
    ebpf_ctx *ctx = unit_open();
    bool calls = false;
    eb_ir_unit *plain = make_unit(ctx, seed), *better = make_unit(ctx, seed);
    prepare(plain, seed, &calls);
    prepare(better, seed, &calls);
    eb_ir_optimize(better);
    assert_true(eb_ir_run(plain, EB_STR("strings"))); /* which code generation needs */
    if (loud)
        show(better, "optimized");
    const ebpf_object *a = make_code(plain), *b = a ? make_code(better) : NULL;
    unsigned compared = 0;
    for (unsigned n = 0; n < 3 && a && b; n++) {
        outcome x = run_code(ctx, a, params[n]), y = run_code(ctx, b, params[n]);
        if (x.stop != EBPF_STOP_EXIT && y.stop != EBPF_STOP_FAULT)
            continue;
        if (y.stop != EBPF_STOP_EXIT || x.value != y.value || x.world != y.world)
            fail_msg("seed %llu, parameters %u: stop %d, %llx instead of %llx",
                     (unsigned long long)seed, n, y.stop, (unsigned long long)y.value,
                     (unsigned long long)x.value);
        ir_result said = {0};
        if (!calls)
            said = ir_eval(plain, 1, params[n], BUDGET);
        if (!calls && said.stop == IR_RETURNED && said.value != x.value)
            fail_msg("seed %llu, parameters %u: %llx, and the IR means %llx",
                     (unsigned long long)seed, n, (unsigned long long)x.value,
                     (unsigned long long)said.value);
        compared++;
    }
    unit_close(ctx);
    return compared;
}

static void code_keeps_meaning(void **state) {
    const char *seed = getenv("IR_SEED"), *count = getenv("IR_COUNT");
    unsigned long most = count ? strtoul(count, NULL, 10) : 500, compared = 0;
    (void)state;
    if (seed) {
        (void)try_code(strtoull(seed, NULL, 10), true);
        return;
    }
    for (unsigned long n = 1; n <= most; n++)
        compared += try_code(n, false);
    assert_true(compared > most);
}

/* ---- the reader ---- */

static void reader_takes_any_text(void **state) {
    uint64_t random = 99;
    (void)state;
    for (unsigned seed = 1; seed < 400; seed++) {
        ebpf_ctx *ctx = unit_open();
        eb_ir_unit *unit = make_unit(ctx, seed % 20 + 1);
        eb_buf out = {.arena = &ctx->arena};
        eb_ir_print(unit, &out);
        for (unsigned n = (unsigned)(unit_random(&random) % 8); n; n--) {
            size_t at = unit_random(&random) % out.len, from = unit_random(&random) % out.len;
            size_t len = unit_random(&random) % 8;
            if (at + len < out.len && from + len < out.len)
                memmove(out.at + at, out.at + from, len);
        }
        eb_str error;
        uint8_t *exact = malloc(out.len);
        assert_non_null(exact);
        memcpy(exact, out.at, out.len);
        unit = eb_ir_read(ctx, (eb_str){(const char *)exact, out.len}, &error);
        assert_true(unit || error.len);
        for (uint32_t n = 1; unit && n < unit->symbols.len; n++)
            if (unit->symbols.at[n].fn)
                (void)eb_ir_check(unit->symbols.at[n].fn);
        free(exact);
        unit_close(ctx);
    }
}

static void reader_refuses_what_no_object_has(void **state) {
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"unit little v3\n@1 variable \"a\" defined size 4 align 6\n",
         "an alignment is a power of two"},
        {"unit little v3\n@1 function \"f\"\nfunction @1 params 0 void\n"
         "slot 0: 4 align 3 \"x\"\n",
         "an alignment is a power of two"},
        {"unit little v5\n", "v1 to v4 is missing"},
    };
    (void)state;
    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        ebpf_ctx *ctx = unit_open();
        eb_str error;
        assert_null(eb_ir_read(ctx, eb_str_from(rows[n].text), &error));
        const char *said = eb_str_copy(&ctx->arena, error).at;
        if (!strstr(said, rows[n].error))
            fail_msg("%s: not of '%s'", said, rows[n].error);
        unit_close(ctx);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_keep_meaning),
        cmocka_unit_test(code_keeps_meaning),
        cmocka_unit_test(reader_takes_any_text),
        cmocka_unit_test(reader_refuses_what_no_object_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
