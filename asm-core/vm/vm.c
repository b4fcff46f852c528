/* vm.c - the public face of the VM: making one, running, and what the host may ask.
 * Source of the interface: include/ebpf_vm.h. */
#include "guard.h"
#include "vm.h"

#include <string.h>

_Static_assert(sizeof(ebpf_vm_state) == 128, "hosts read it by offset");
_Static_assert(offsetof(ebpf_vm_state, slot) == 116, "hosts read it by offset");
_Static_assert(sizeof(ebpf_vm_inputs) == 104, "hosts write it by offset");
_Static_assert(sizeof(ebpf_vm_effects) == 40, "hosts read it by offset");
_Static_assert(offsetof(ebpf_vm_inputs, comm) == 64, "hosts write it by offset");
_Static_assert(sizeof(ebpf_vm_fault) == 48, "hosts read it by offset");
_Static_assert(offsetof(ebpf_vm_fault, column) == 40, "hosts read it by offset");
_Static_assert(sizeof(ebpf_vm_map) == 32, "hosts read it by offset");

/* ---- making one ---- */

static int load(ebpf_ctx *ctx, void *vm) {
    (void)ctx;
    return eb_vm_load(vm);
}

int ebpf_vm_new(ebpf_ctx *ctx, const ebpf_object *obj, uint32_t cpus, ebpf_vm **out) {
    return ebpf_vm_new_with(ctx, obj, cpus, NULL, 0, out);
}

int ebpf_vm_new_with(ebpf_ctx *ctx, const ebpf_object *obj, uint32_t cpus, const char *externs,
                     size_t size, ebpf_vm **out) {
    *out = NULL;
    if (cpus > EBPF_VM_MAX_CPUS)
        return EBPF_E_ARG;
    ebpf_vm *vm = eb_try_alloc(&ctx->arena, sizeof *vm);
    if (!vm)
        return ctx->arena.failure;
    vm->ctx = ctx;
    vm->obj = obj;
    vm->big = obj->big;
    vm->cpus = cpus ? cpus : 1;
    vm->inputs = (ebpf_vm_inputs){.pid = 1, .tgid = 1, .comm = "vm"};
    vm->externs_given = (eb_str){externs, size};
    vm->printk.arena = &ctx->arena;
    int status = eb_guard(ctx, load, vm);
    if (status == EBPF_OK)
        *out = vm;
    return status;
}

/* ---- programs ---- */

uint32_t ebpf_vm_program_count(const ebpf_vm *vm) {
    return vm->programs.len;
}

int ebpf_vm_program_name(const ebpf_vm *vm, uint32_t program, ebpf_bytes *name) {
    if (program >= vm->programs.len)
        return EBPF_E_ARG;
    *name = (ebpf_bytes){vm->programs.at[program].name.at, vm->programs.at[program].name.len};
    return EBPF_OK;
}

static int first_entry(const ebpf_vm *vm) {
    for (uint32_t i = 0; i < vm->programs.len; i++)
        if (vm->programs.at[i].entry)
            return (int)i;
    for (uint32_t i = 0; i < vm->programs.len; i++)
        if (vm->programs.at[i].op == 0)
            return (int)i;
    return EBPF_E_ARG;
}

int ebpf_vm_program_find(const ebpf_vm *vm, const char *name, uint32_t size) {
    if (size == 0)
        return first_entry(vm);
    for (uint32_t i = 0; i < vm->programs.len; i++)
        if (eb_str_eq(vm->programs.at[i].name, (eb_str){name, size}))
            return (int)i;
    for (uint32_t i = 0; i < vm->programs.len; i++)
        if (eb_str_eq(vm->programs.at[i].section_name, (eb_str){name, size}))
            return (int)i;
    return EBPF_E_ARG;
}

int ebpf_vm_program_type(const ebpf_vm *vm, uint32_t program, uint32_t *type, uint32_t *attach) {
    if (program >= vm->programs.len)
        return EBPF_E_ARG;
    *type = vm->programs.at[program].type;
    *attach = vm->programs.at[program].attach;
    return EBPF_OK;
}

int ebpf_vm_set_program_type(ebpf_vm *vm, uint32_t program, uint32_t type, uint32_t attach) {
    if (program >= vm->programs.len)
        return EBPF_E_ARG;
    vm->programs.at[program].type = type;
    vm->programs.at[program].attach = attach;
    return EBPF_OK;
}

int ebpf_program_type_find(const char *name, uint32_t size, uint32_t *type, uint32_t *attach) {
    static const struct {
        const char *name;
        uint32_t type;
    } types[] = {
#define PROG(id, number, name, kernel) {name, number},
#include "prog.def"
    };
    *attach = 0;
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
        *type = types[i].type;
        if (eb_str_is((eb_str){name, size}, types[i].name))
            return EBPF_OK;
    }
    eb_sec_kind kind = eb_sec_kind_of((eb_str){name, size});
    *type = kind.prog;
    *attach = kind.attach;
    return kind.prog ? EBPF_OK : EBPF_E_ARG;
}

typedef struct layout_args {
    uint32_t type, attach, arm64;
    ebpf_bytes *json;
} layout_args;

static int describe(ebpf_ctx *ctx, void *args) {
    const layout_args *in = args;
    eb_json json = {.buf.arena = &ctx->arena};
    eb_layout_json(eb_layout_of(in->type, in->arm64 != 0), eb_group_of(in->type, in->attach),
                   &json);
    *in->json = (ebpf_bytes){json.buf.at, json.buf.len};
    return EBPF_OK;
}

int ebpf_vm_layout(ebpf_ctx *ctx, uint32_t type, uint32_t attach, uint32_t arm64,
                   ebpf_bytes *json) {
    return eb_guard(ctx, describe, &(layout_args){type, attach, arm64, json});
}

/* ---- running ---- */

static void show(ebpf_vm *vm) {
    vm->state.depth = vm->depth;
    eb_vm_place(vm, &vm->state.section, &vm->state.slot);
}

void eb_vm_begin(ebpf_vm *vm, uint32_t op, void *mem, uint32_t size, uint32_t flags) {
    while (vm->depth)
        eb_vm_frame_close(vm);
    memset(vm->stack, 0, EBPF_VM_FRAMES * EBPF_VM_FRAME_SIZE);
    memset(vm->state.reg, 0, sizeof vm->state.reg);
    eb_vm_frame_open(vm, 0);
    eb_context_clear(vm);
    vm->regions[EB_REGION_CONTEXT] = (eb_region){mem, size, flags & EBPF_VM_READ_ONLY ? 0 : size};
    vm->infos[EB_REGION_CONTEXT].size = size;
    vm->state.reg[1] = size ? eb_vm_address(EB_REGION_CONTEXT, 0) : 0;
    vm->state.reg[2] = flags & EBPF_VM_SIZE_IN_R2 ? size : 0;
    vm->state.executed = 0;
    vm->state.stop = 0;
    vm->state.helper = 0;
    vm->effects = (ebpf_vm_effects){0};
    vm->prog_type = vm->attach_type = 0;
    vm->pc = op;
    vm->passed = EB_NO_OP;
    vm->open = NULL;
    vm->helper = 0;
    vm->go = EB_GO_ON;
    vm->runs = vm->runs + 1 < EB_ENTRY_USED ? vm->runs + 1 : 1;
    vm->window.read = vm->window.write = 0;
    vm->tail_calls = 0;
    vm->firing = vm->lock = 0;
    vm->fault = (ebpf_vm_fault){0};
    vm->fault_text = (eb_str){0};
    vm->running = true;
    show(vm);
}

int ebpf_vm_start(ebpf_vm *vm, uint32_t program, void *mem, uint32_t size, uint32_t flags) {
    if (program >= vm->programs.len || (size && !mem))
        return EBPF_E_ARG;
    eb_vm_begin(vm, vm->programs.at[program].op, mem, size, flags);
    return EBPF_OK;
}

typedef struct eb_start {
    ebpf_vm *vm;
    uint32_t program, ctx_size, packet_size;
    const uint8_t *ctx, *packet;
} eb_start;

static int take(ebpf_ctx *ctx, void *args) {
    const eb_start *in = args;
    const eb_vm_program *program = &in->vm->programs.at[in->program];
    (void)ctx;
    return eb_context_take(in->vm, program->type, program->attach, in->ctx, in->ctx_size,
                           in->packet, in->packet_size);
}

int ebpf_vm_start_typed(ebpf_vm *vm, uint32_t program, const void *ctx, uint32_t ctx_size,
                        const void *packet, uint32_t packet_size) {
    if (program >= vm->programs.len || (ctx_size && !ctx) || (packet_size && !packet))
        return EBPF_E_ARG;
    eb_vm_begin(vm, vm->programs.at[program].op, NULL, 0, 0);
    vm->prog_type = vm->programs.at[program].type;
    vm->attach_type = vm->programs.at[program].attach;
    int status =
        eb_guard(vm->ctx, take, &(eb_start){vm, program, ctx_size, packet_size, ctx, packet});
    vm->running = status == EBPF_OK;
    return status;
}

int ebpf_vm_context(ebpf_vm *vm, ebpf_bytes *out) {
    eb_context_finish(vm);
    *out = (ebpf_bytes){vm->context.bytes, vm->context.size};
    return EBPF_OK;
}

int ebpf_vm_packet(ebpf_vm *vm, ebpf_bytes *out) {
    *out = (ebpf_bytes){NULL, 0};
    if (vm->packet.region)
        *out = eb_packet_out(vm);
    return EBPF_OK;
}

typedef struct eb_place_buffer {
    ebpf_vm *vm;
    uint32_t region, size, writable;
} eb_place_buffer;

static int place(ebpf_ctx *ctx, void *args) {
    eb_place_buffer *in = args;
    ebpf_vm *vm = in->vm;
    if (!in->region)
        in->region = eb_vm_add_region(
            vm, (eb_region_info){.name = EB_STR("buffer"), .kind = EBPF_REGION_BUFFER});
    eb_region *region = &vm->regions[in->region];
    eb_region_info *info = &vm->infos[in->region];
    if (in->size > info->index) {
        region->base = eb_alloc(&ctx->arena, in->size);
        info->index = in->size; /* the bytes that it has room for */
    } else if (in->size) {
        memset(region->base, 0, in->size);
    }
    info->size = region->read = in->size;
    region->write = in->writable ? in->size : 0;
    return EBPF_OK;
}

int ebpf_vm_buffer(ebpf_vm *vm, uint32_t *region, uint32_t size, uint32_t writable) {
    uint32_t id = *region;
    if (size > INT32_MAX ||
        (id && (id >= vm->region_count || vm->infos[id].kind != EBPF_REGION_BUFFER)))
        return EBPF_E_ARG;
    eb_place_buffer in = {vm, id, size, writable};
    int status = eb_guard(vm->ctx, place, &in);
    *region = in.region;
    return status;
}

static int go(ebpf_ctx *ctx, void *args) {
    ebpf_vm *vm = args;
    (void)ctx;
    vm->state.helper = 0;
    bool exact = vm->big || eb_vm_observed(vm);
    int stop = exact ? 0 : eb_vm_run_fast(vm, vm->state.budget);
    if (!exact)
        vm->state.budget = vm->left;
    if (!stop) {
        stop = eb_vm_run_exact(vm, vm->state.budget);
        vm->state.budget = vm->left;
    }
    return stop;
}

static int go_one(ebpf_ctx *ctx, void *args) {
    ebpf_vm *vm = args;
    (void)ctx;
    vm->state.helper = 0;
    vm->passed = vm->pc;
    int stop = eb_vm_run_exact(vm, 1);
    vm->passed = vm->pc;
    return stop;
}

static int report(ebpf_ctx *ctx, void *vm) {
    (void)ctx;
    eb_vm_fault_report(vm);
    return EBPF_STOP_FAULT;
}

static int run(ebpf_vm *vm, int (*how)(ebpf_ctx *ctx, void *vm)) {
    if (!vm->running)
        return EBPF_E_ARG;
    int stop = eb_guard(vm->ctx, how, vm);
    if (stop == EBPF_STOP_FAULT)
        stop = eb_guard(vm->ctx, report, vm);
    if (stop < 0 || stop == EBPF_STOP_EXIT || stop == EBPF_STOP_FAULT)
        vm->running = false;
    if (stop == EBPF_STOP_BREAK)
        vm->passed = vm->pc;
    if (stop >= 0) {
        vm->state.stop = (uint32_t)stop;
        show(vm);
    }
    return stop;
}

int ebpf_vm_run(ebpf_vm *vm) {
    return run(vm, go);
}

int ebpf_vm_finish(ebpf_vm *vm, uint32_t depth) {
    vm->until = depth;
    int stop = run(vm, go);
    vm->until = 0;
    return stop;
}

int ebpf_vm_step(ebpf_vm *vm) {
    return run(vm, go_one);
}

ebpf_vm_state *ebpf_vm_state_of(ebpf_vm *vm) {
    return &vm->state;
}

ebpf_vm_inputs *ebpf_vm_inputs_of(ebpf_vm *vm) {
    return &vm->inputs;
}

const ebpf_vm_effects *ebpf_vm_effects_of(const ebpf_vm *vm) {
    return &vm->effects;
}

const ebpf_vm_fault *ebpf_vm_fault_of(const ebpf_vm *vm) {
    return &vm->fault;
}

int ebpf_vm_fault_text(const ebpf_vm *vm, ebpf_bytes *text) {
    *text = (ebpf_bytes){vm->fault_text.at, vm->fault_text.len};
    return EBPF_OK;
}

int ebpf_vm_host_helper(ebpf_vm *vm, uint32_t id, uint32_t on) {
    if (!ebpf_vm_helper_name(vm, id))
        return EBPF_E_ARG;
    vm->helpers[id] = on || id >= EB_KFUNCS_END ? eb_help_host : eb_helpers[id];
    return EBPF_OK;
}

int ebpf_vm_memory(ebpf_vm *vm, uint32_t region, uint32_t offset, uint32_t size, uint32_t write,
                   ebpf_bytes *out) {
    ebpf_vm_fault kept = vm->fault;
    eb_str text = vm->fault_text;
    *out = (ebpf_bytes){NULL, 0};
    if (size == 0)
        return EBPF_E_ARG;
    uint8_t *at = eb_vm_reach(vm, eb_vm_address(region, offset), size, write != 0);
    vm->fault = kept;
    vm->fault_text = text;
    if (!at)
        return EBPF_E_ARG;
    *out = (ebpf_bytes){at, size};
    return EBPF_OK;
}

int ebpf_vm_printk(const ebpf_vm *vm, ebpf_bytes *text) {
    *text = (ebpf_bytes){vm->printk.at, vm->printk.len};
    return EBPF_OK;
}

void ebpf_vm_printk_clear(ebpf_vm *vm) {
    vm->printk.len = 0;
}

int ebpf_vm_section(ebpf_vm *vm, const char *name, uint32_t size, ebpf_bytes *out) {
    for (uint32_t i = EB_REGION_FIRST; i < vm->region_count; i++) {
        const eb_region_info *info = &vm->infos[i];
        if (info->kind != EBPF_REGION_DATA || !eb_str_eq(info->name, (eb_str){name, size}))
            continue;
        *out = (ebpf_bytes){vm->regions[i].base, info->size};
        return EBPF_OK;
    }
    return EBPF_E_ARG;
}
