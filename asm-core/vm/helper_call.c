/* helper_call.c - helpers that call functions of the program, and tail calls.
 *
 * A helper cannot call into the interpreter, which is a loop. It leaves in vm->callback what is to
 * be called, and the loop asks eb_vm_transfer where to go on. The frame of the helper's caller then
 * holds the callback's state, and its return operation EB_NO_OP brings the callback's end back to
 * eb_vm_returned, which calls once more or gives the helper's result. So budget, steps, faults and
 * the limit of frames are those of any other call. Source: kernel/bpf/bpf_iter.c. */
#include "vm.h"

#include <string.h>

/* ---- control ---- */

/* Call again as the innermost frame's callback says, or go on behind its helper. */
static uint32_t advance(ebpf_vm *vm) {
    eb_vm_callback *call = &vm->frames[vm->depth].call;
    if (!call->next(vm, call, vm->state.reg))
        return call->ret;
    eb_vm_frame_open(vm, vm->depth + 1);
    return call->op;
}

uint32_t eb_vm_transfer(ebpf_vm *vm, uint32_t ret) {
    uint32_t go = vm->go;
    vm->go = EB_GO_ON;
    if (go == EB_GO_TAIL) {
        vm->may_goto[vm->depth] = EB_MAY_GOTO_MOST;
        return vm->go_op;
    }
    if (vm->depth + 1 >= EBPF_VM_FRAMES) {
        eb_vm_refuse(vm, EBPF_FAULT_DEPTH, 0,
                     "this callback would be the %uth call inside each other",
                     (unsigned)EBPF_VM_FRAMES);
        return EB_NO_OP;
    }
    eb_vm_frame *frame = &vm->frames[vm->depth];
    frame->ret = EB_NO_OP;
    frame->call = vm->callback;
    frame->call.ret = ret;
    memcpy(frame->saved, &vm->state.reg[6], sizeof frame->saved);
    return advance(vm);
}

uint32_t eb_vm_returned(ebpf_vm *vm) {
    return advance(vm);
}

bool eb_vm_call_back(ebpf_vm *vm, uint64_t address, eb_vm_callback call) {
    uint64_t op = address;
    if (!eb_vm_callee(vm, &op))
        return false;
    call.op = (uint32_t)op;
    vm->callback = call;
    vm->go = EB_GO_CALLBACK;
    return true;
}

/* ---- bpf_loop ---- */

enum { LOOPS_MOST = 8 << 20 };

/* done: calls made; most: calls to make; argument: the callback's context. */
static bool next_loop(ebpf_vm *vm, eb_vm_callback *call, uint64_t *r) {
    (void)vm;
    if (call->done == call->most || (call->done && r[0])) {
        r[0] = call->done;
        return false;
    }
    r[1] = call->done++;
    r[2] = call->argument;
    return true;
}

/* The kernel's verifier unfolds the call where there are no flags, and then its -E2BIG has 32 bits.
 */
bool eb_help_loop(ebpf_vm *vm, uint64_t *r) {
    uint32_t count = (uint32_t)r[1];
    if (r[4] || count > LOOPS_MOST) {
        r[0] = r[4] ? eb_vm_failure(EBPF_EINVAL) : (uint32_t)-EBPF_E2BIG;
        return true;
    }
    return eb_vm_call_back(vm, r[2],
                           (eb_vm_callback){.next = next_loop, .most = count, .argument = r[3]});
}

/* ---- tail calls ---- */

enum { TAIL_CALLS_MOST = 33 };

/* Go on in program r3 of map r2 with context r1, in the same frame; or behind the call, when there
 * is no such program or there were too many. */
bool eb_help_tail_call(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[2], EB_MAP_BIT(PROG_ARRAY));
    uint32_t index = (uint32_t)r[3];
    if (!map)
        return false;
    if (index >= map->max_entries || vm->tail_calls >= TAIL_CALLS_MOST || !map->present[index])
        return true;
    vm->tail_calls++;
    vm->go_op = vm->programs.at[eb_vmap_held(map, index + 1)].op;
    vm->go = EB_GO_TAIL;
    return true;
}

/* ---- what callbacks are shown ---- */

/* A copy of `size` bytes where the callback can read it: the piece of its caller's frame. */
static uint64_t show(ebpf_vm *vm, const void *bytes, uint32_t size) {
    uint32_t offset = vm->depth * vm->scratch_size;
    memcpy(vm->scratch + offset, bytes, size);
    return eb_vm_address(EB_REGION_SCRATCH, offset);
}

static uint64_t show_key(ebpf_vm *vm, const eb_vmap *map, uint32_t entry) {
    uint8_t index[4];
    if (!map->bytes)
        return show(vm, eb_entry_key(eb_entry_at(map, entry)), map->key_size);
    eb_set32(index, map->big, entry - 1);
    return show(vm, index, sizeof index);
}

static void map_arguments(ebpf_vm *vm, uint32_t map, uint32_t entry, uint64_t *r) {
    r[1] = eb_vm_address(EB_REGION_HANDLES, map);
    r[2] = show_key(vm, &vm->maps[map], entry);
    r[3] = eb_vm_value_address(vm, &vm->maps[map], entry);
}

/* ---- bpf_for_each_map_elem ---- */

/* entry: the next to visit; argument: the callback's context. */
static bool next_element(ebpf_vm *vm, eb_vm_callback *call, uint64_t *r) {
    const eb_vmap *map = &vm->maps[call->map];
    if (!call->entry || (call->done && r[0])) {
        r[0] = call->done;
        return false;
    }
    map_arguments(vm, call->map, call->entry, r);
    r[4] = call->argument;
    call->entry = map->kind->after(map, call->entry);
    call->done++;
    return true;
}

bool eb_help_for_each_map_elem(ebpf_vm *vm, uint64_t *r) {
    uint64_t types = EB_MAP_BIT(HASH) | EB_MAP_BIT(ARRAY) | EB_MAP_BIT(PERCPU_HASH) |
                     EB_MAP_BIT(PERCPU_ARRAY) | EB_MAP_BIT(LRU_HASH) | EB_MAP_BIT(LRU_PERCPU_HASH);
    eb_vmap *map = eb_vm_map_argument(vm, r[1], types);
    if (!map)
        return false;
    if (r[4]) {
        r[0] = eb_vm_failure(EBPF_EINVAL);
        return true;
    }
    return eb_vm_call_back(vm, r[2],
                           (eb_vm_callback){.next = next_element,
                                            .map = map->index,
                                            .entry = map->kind->after(map, 0),
                                            .argument = r[3]});
}

void eb_vmap_gone(ebpf_vm *vm, eb_vmap *map, uint32_t entry) {
    for (uint32_t i = 0; i < vm->depth; i++) {
        eb_vm_callback *call = &vm->frames[i].call;
        if (vm->frames[i].ret == EB_NO_OP && call->next == next_element &&
            call->map == map->index && call->entry == entry)
            call->entry = map->kind->after(map, entry);
    }
    for (uint32_t i = 0; i < vm->timers.len; i++)
        if (vm->timers.at[i].map == map->index && vm->timers.at[i].entry == entry)
            vm->timers.at[i] = (eb_timer){0};
}

/* ---- bpf_user_ringbuf_drain ---- */

enum { DRAIN_MOST = 128 * 1024 };

/* done: samples shown; entry: whether one is shown now; argument: the callback's context. */
static bool next_sample(ebpf_vm *vm, eb_vm_callback *call, uint64_t *r) {
    eb_vmap *map = &vm->maps[call->map];
    uint32_t offset, size;
    if (call->entry)
        eb_ring_release(vm, map);
    bool enough = call->entry && r[0];
    call->entry = 0;
    if (enough || call->done == DRAIN_MOST || !eb_ring_peek(vm, map, &offset, &size)) {
        r[0] = call->done;
        return false;
    }
    uint8_t ptr[EB_DYNPTR_SIZE] = {0};
    eb_set64(ptr, vm->big, eb_vm_address(map->region, offset));
    eb_set32(ptr + 8, vm->big, size | UINT32_C(1) << 28);
    r[1] = show(vm, ptr, sizeof ptr);
    r[2] = call->argument;
    call->entry = 1;
    call->done++;
    return true;
}

bool eb_help_user_ringbuf_drain(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1], EB_MAP_BIT(USER_RINGBUF));
    if (!map)
        return false;
    int error = r[4] > 3 ? EBPF_EINVAL : map->open.len ? EBPF_EBUSY : 0;
    if (error) {
        r[0] = eb_vm_failure(error);
        return true;
    }
    return eb_vm_call_back(
        vm, r[2], (eb_vm_callback){.next = next_sample, .map = map->index, .argument = r[3]});
}

/* ---- timers ---- */

enum { TIMER_SIZE = 16, TIMER_ABS = 1, TIMER_CPU_PIN = 2, CLOCK_REAL = 0, CLOCK_MONO = 1 };
enum { CLOCK_BOOT = 7 };

/* The timer at r1's address, or NULL when it has not been initialised; false with the fault. */
static bool timer_at(ebpf_vm *vm, uint64_t address, eb_timer **timer, uint8_t **memory) {
    *memory = eb_vm_reach(vm, address, TIMER_SIZE, true);
    *timer = NULL;
    if (!*memory)
        return false;
    uint64_t number = eb_get64(*memory, vm->big) - 1;
    if (number < vm->timers.len && vm->timers.at[number].address == address)
        *timer = &vm->timers.at[number];
    return true;
}

bool eb_help_timer_init(ebpf_vm *vm, uint64_t *r) {
    uint64_t plain = EB_MAP_BIT(HASH) | EB_MAP_BIT(ARRAY) | EB_MAP_BIT(LRU_HASH);
    eb_vmap *map = eb_vm_map_argument(vm, r[2], plain);
    eb_timer *timer;
    uint8_t *memory;
    if (!map || !timer_at(vm, r[1], &timer, &memory))
        return false;
    bool clock = r[3] == CLOCK_REAL || r[3] == CLOCK_MONO || r[3] == CLOCK_BOOT;
    if (!clock || timer) {
        r[0] = eb_vm_failure(clock ? EBPF_EBUSY : EBPF_EINVAL);
        return true;
    }
    if (r[1] >> 32 != map->region)
        return eb_vm_refuse(vm, EBPF_FAULT_HELPER, r[1],
                            "timer_init: the timer is in no value of "
                            "map '%.*s'",
                            (int)map->name.len, map->name.at);
    uint32_t number = 0;
    while (number < vm->timers.len && vm->timers.at[number].address)
        number++;
    if (number == vm->timers.len)
        EB_PUSH(&vm->ctx->arena, &vm->timers);
    vm->timers.at[number] =
        (eb_timer){.address = r[1], .map = map->index, .entry = (uint32_t)r[1] / map->stride + 1};
    eb_set64(memory, vm->big, number + 1);
    r[0] = 0;
    return true;
}

bool eb_help_timer_set_callback(ebpf_vm *vm, uint64_t *r) {
    eb_timer *timer;
    uint8_t *memory;
    uint64_t op = r[2];
    if (!timer_at(vm, r[1], &timer, &memory) || !eb_vm_callee(vm, &op))
        return false;
    if (timer)
        timer->callback = op + 1;
    r[0] = timer ? 0 : eb_vm_failure(EBPF_EINVAL);
    return true;
}

bool eb_help_timer_start(ebpf_vm *vm, uint64_t *r) {
    eb_timer *timer;
    uint8_t *memory;
    if (!timer_at(vm, r[1], &timer, &memory))
        return false;
    r[0] = eb_vm_failure(EBPF_EINVAL);
    if (r[3] & ~(uint64_t)(TIMER_ABS | TIMER_CPU_PIN) || !timer || !timer->callback)
        return true;
    timer->deadline = r[3] & TIMER_ABS ? r[2] : vm->inputs.clock_ns + r[2];
    timer->armed = true;
    r[0] = 0;
    return true;
}

bool eb_help_timer_cancel(ebpf_vm *vm, uint64_t *r) {
    eb_timer *timer;
    uint8_t *memory;
    if (!timer_at(vm, r[1], &timer, &memory))
        return false;
    if (!timer || timer->address == vm->firing) { /* a callback cannot wait for its own end */
        r[0] = eb_vm_failure(timer ? EBPF_EDEADLK : EBPF_EINVAL);
        return true;
    }
    r[0] = timer->armed;
    timer->armed = false;
    timer->callback = 0;
    return true;
}

/* The timer that fires first, or NULL. */
static eb_timer *first_timer(ebpf_vm *vm) {
    eb_timer *first = NULL;
    for (uint32_t i = 0; i < vm->timers.len; i++) {
        eb_timer *timer = &vm->timers.at[i];
        if (timer->armed && (!first || timer->deadline < first->deadline))
            first = timer;
    }
    return first;
}

int ebpf_vm_timer_next(ebpf_vm *vm, uint64_t *deadline) {
    const eb_timer *timer = first_timer(vm);
    *deadline = timer ? timer->deadline : 0;
    return timer ? 0 : -EBPF_ENOENT;
}

int ebpf_vm_timer_start(ebpf_vm *vm) {
    eb_timer *timer = first_timer(vm);
    if (!timer)
        return -EBPF_ENOENT;
    timer->armed = false;
    if (vm->inputs.clock_ns < timer->deadline)
        vm->inputs.clock_ns = timer->deadline;
    eb_vm_begin(vm, (uint32_t)(timer->callback - 1), NULL, 0, 0);
    vm->firing = timer->address;
    map_arguments(vm, timer->map, timer->entry, vm->state.reg);
    return 0;
}
