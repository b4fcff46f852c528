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
    if (go == EB_GO_TAIL)
        return vm->go_op;
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

bool eb_help_loop(ebpf_vm *vm, uint64_t *r) {
    uint32_t count = (uint32_t)r[1];
    if (r[4] || count > LOOPS_MOST) {
        r[0] = eb_vm_failure(r[4] ? EBPF_EINVAL : EBPF_E2BIG);
        return true;
    }
    return eb_vm_call_back(vm, r[2],
                           (eb_vm_callback){.next = next_loop, .most = count, .argument = r[3]});
}
