/* vm.h - what the files of vm/ share: regions, decoded code, maps.
 *
 * A program's address is (region number << 32) + offset. Numbers are fixed for context, frames,
 * code and handles; data sections and maps follow. The table of regions says how many bytes from
 * offset 0 may be read and written, so one compare decides the common access. Map values have 0
 * there (a value may have been deleted, and an access must stay within one) and go through
 * eb_vm_reach. Each stack frame is a region of its own: an access below r10 - 512 has the number
 * of another region and a huge offset, and frames of ended calls have no bytes. */
#ifndef EB_VM_H
#define EB_VM_H

#include "context.h"
#include "ebpf_vm.h"
#include "insn.h"
#include "object.h"
#include "vmap.h"

enum {
    EB_REGION_CONTEXT = 1,
    EB_REGION_STACK = 2,
    EB_REGION_CODE = EB_REGION_STACK + EBPF_VM_FRAMES,
    EB_REGION_HANDLES,
    EB_REGION_SCRATCH, /* keys and the like that callbacks get, a piece per frame */
    EB_REGION_PACKET,  /* two, of which one is alive */
    EB_REGION_PACKET_LAST = EB_REGION_PACKET + 1,
    EB_REGION_FIRST /* data sections, then maps, then what is added later */
};

/* Numbers of helpers, then of kernel functions that the VM has, then of those that the object calls
 * and the host must have. */
enum {
#define HELPER(id, name, major, minor, vm, callers) EB_HELPER_##name = id,
#include "helper.def"
    EB_HELPERS,
    EB_KFUNC_BEFORE = EB_HELPERS - 1,
#define KFUNC(name, vm) EB_KFUNC_##name,
#include "kfunc.def"
    EB_KFUNCS_END
};

typedef struct eb_region {
    uint8_t *base;
    uint32_t read, write; /* bytes that may be accessed without a closer look */
} eb_region;

typedef struct eb_region_info {
    eb_str name;
    uint32_t kind;  /* enum ebpf_region */
    uint32_t index; /* map, section or frame */
    uint32_t size;  /* of the whole region */
} eb_region_info;

/* A decoded instruction. Jumps hold the distance to the target in operations, counted from the
 * operation itself; an operation that only faults (op EB_OP_COUNT) its reason in off and the index
 * of its text in imm. */
typedef struct eb_vm_op {
    uint8_t op;
    uint8_t fast; /* what the fast loop does: op, or it and the next one (fused.def) */
    uint8_t dst, src;
    int32_t off;
    uint64_t imm;
} eb_vm_op;

enum {
    EB_VM_BAD = EB_OP_COUNT,
#define FUSED(form, id, then, then_id) EB_FUSED_##form##_##id##_##then##_##then_id,
#include "fused.def"
#undef FUSED
    EB_VM_OPS
};
_Static_assert(EB_VM_OPS <= 256, "an operation has one byte");

typedef struct eb_vm_code {
    uint32_t section; /* in the object */
    uint32_t first;   /* its first slot, counted over all sections with code */
    uint32_t slots;
} eb_vm_code;

typedef struct eb_vm_program {
    eb_str name;
    eb_str section_name;
    uint32_t op;
    uint32_t type, attach;
    bool entry;
} eb_vm_program;

/* A helper: arguments in r[1] to r[5], result to r[0]; false with the fault noted. */
typedef bool eb_helper(ebpf_vm *vm, uint64_t *r);

/* A function that a helper calls, perhaps many times: `next` puts its arguments into r[1] to r[5],
 * or the helper's result into r[0] and returns false. Between two calls r[0] is what it returned.
 */
typedef struct eb_vm_callback eb_vm_callback;
struct eb_vm_callback {
    bool (*next)(ebpf_vm *vm, eb_vm_callback *call, uint64_t *r);
    uint32_t op;  /* the function's first operation */
    uint32_t ret; /* the operation behind the helper call */
    uint32_t map; /* what the rest means is up to `next` */
    uint32_t entry;
    uint64_t done, most, argument;
};

/* A bpf_timer of a map's value; the value holds its number. */
typedef struct eb_timer {
    uint64_t address; /* 0: its value is gone */
    uint64_t deadline, callback;
    uint32_t map, entry;
    bool armed;
} eb_timer;

typedef struct eb_vm_extern {
    eb_str name;
    uint64_t address;
} eb_vm_extern;

typedef struct eb_vm_frame {
    uint32_t ret; /* the operation to return to; EB_NO_OP: to the helper that waits in `call` */
    uint64_t saved[4];
    eb_vm_callback call;
} eb_vm_frame;

/* Where control goes after a helper, unless to the next instruction. */
enum { EB_GO_ON, EB_GO_HOST, EB_GO_TAIL, EB_GO_CALLBACK };

struct ebpf_vm {
    ebpf_vm_state state;
    ebpf_ctx *ctx;
    const ebpf_object *obj;
    bool big;
    bool running;   /* started and not ended */
    uint32_t depth; /* calls inside the first function */
    uint32_t region_count, region_room;
    eb_region *regions;
    eb_region_info *infos;

    eb_vm_op *ops;
    uint32_t op_count;
    uint32_t pc;       /* the next operation */
    uint32_t *op_slot; /* slot of each operation, over all sections with code */
    uint32_t *slot_op; /* its operation, or EB_NO_OP within a 64-bit load */
    uint32_t slot_count;
    EB_VEC(eb_vm_code) code;
    EB_VEC(eb_vm_program) programs;
    EB_VEC(eb_str) texts; /* of operations that only fault */
    eb_vm_frame frames[EBPF_VM_FRAMES];
    uint8_t *stack;
    int64_t credit; /* of the fast loop: what is left, counted from the first operation */
    uint8_t *scratch;
    uint32_t scratch_size; /* of each frame's piece */
    EB_VEC(eb_timer) timers;
    uint64_t lock;                     /* the bpf_spin_lock that the program holds, or 0 */
    uint64_t firing;                   /* the timer whose callback this run is, or 0 */
    uint64_t left;                     /* of the last loop's instructions */
    uint32_t may_goto[EBPF_VM_FRAMES]; /* how many more times it falls through in each frame */

    eb_vmap *maps;
    uint32_t map_count, cpus;
    uint32_t runs;    /* how many have started */
    uint8_t hole[64]; /* what is read and written where an arena has no page */
    uint32_t arena;   /* 1 + the map that is the object's arena, or 0 */
    uint32_t adding;  /* the map of maps that gets a new map to hold */
    struct {
        uint64_t first; /* address of the map value that was used last */
        uint32_t read, write;
        uint8_t *host;
    } window;
    eb_context context;
    eb_packet packet;
    uint32_t prog_type, attach_type; /* of the program that runs */
    uint64_t wide; /* the pointer that a 32-bit field of the context stands for; 0 without */

    eb_str externs_given; /* the host's lines NAME=VALUE */
    EB_VEC(eb_vm_extern) externs;

    /* debug.c */
    bool *breaks; /* per operation, or NULL */
    uint32_t break_count;
    uint32_t passed;  /* the operation whose breakpoint does not count, or EB_NO_OP */
    uint32_t until;   /* stop below this depth */
    uint32_t watch;   /* enum ebpf_vm_watch */
    uint64_t *counts; /* per operation */
    ebpf_vm_trace_entry *trace, *open; /* a ring; the entry of the last instruction */
    uint32_t trace_room, trace_had;
    uint64_t traced, before[EBPF_VM_REGS];

    eb_helper **helpers; /* by number; eb_help_host: the host's */
    uint32_t helper_count;
    EB_VEC(eb_str) foreign; /* names of kernel functions from EB_KFUNCS_END on */
    uint32_t helper;        /* the one that runs now, or 0 */
    uint32_t go;            /* EB_GO_..., set by a helper */
    uint32_t go_op;         /* EB_GO_TAIL: the program's first operation */
    uint32_t tail_calls;
    eb_vm_callback callback; /* EB_GO_CALLBACK: what to call */
    ebpf_vm_inputs inputs;
    ebpf_vm_effects effects;
    ebpf_vm_fault fault;
    eb_str fault_text;
    eb_buf printk;
};

enum { EB_MAY_GOTO_MOST = 8 << 20 }; /* the kernel's BPF_MAX_LOOPS */

#define EB_NO_OP UINT32_MAX

/* The helper's result that says -errno. */
static inline uint64_t eb_vm_failure(int error) {
    return (uint64_t)(int64_t)-error;
}

static inline uint64_t eb_vm_address(uint32_t region, uint32_t offset) {
    return (uint64_t)region << 32 | offset;
}

/* load.c: code, data and maps of the object; EBPF_E_INPUT with diagnostics. */
int eb_vm_load(ebpf_vm *vm);
/* Name region `id`; nothing of it can be accessed without a closer look. */
void eb_vm_set_region(ebpf_vm *vm, uint32_t id, uint32_t kind, uint32_t index, eb_str name,
                      uint64_t size);

/* vm.c: stand before operation `op`; see ebpf_vm_start. */
void eb_vm_begin(ebpf_vm *vm, uint32_t op, void *mem, uint32_t size, uint32_t flags);

/* run_fast.c, run_exact.c (both unfold loop.h): run until a stop, and keep count in the state. The
 * fast one is little-endian and counts at jumps only; it returns 0 when the budget left might end
 * before the next jump, and the exact one takes it from there. */
int eb_vm_run_fast(ebpf_vm *vm, uint64_t most);
int eb_vm_run_exact(ebpf_vm *vm, uint64_t most);

/* extern.c: give .kconfig its region; the address of an undefined symbol, false without. */
void eb_vm_make_externs(ebpf_vm *vm);
bool eb_vm_extern_address(ebpf_vm *vm, eb_str name, uint64_t *address);

/* debug.c: what is known of an instruction's place; line 0 without. */
typedef struct eb_vm_where {
    uint32_t section, slot;
    const eb_func *func; /* or NULL */
    eb_str file, text;
    uint32_t line, column;
} eb_vm_where;
eb_vm_where eb_vm_where_of(ebpf_vm *vm, uint32_t section, uint32_t slot);
/* The next instruction of the innermost function (depth = vm->depth), or a caller's call. */
void eb_vm_frame_place(const ebpf_vm *vm, uint32_t depth, uint32_t *section, uint32_t *slot);
/* Whether instructions are looked at; and before each, whether to stop there. */
bool eb_vm_observed(const ebpf_vm *vm);
bool eb_vm_observe(ebpf_vm *vm, uint32_t op);

/* memory.c: `size` (not 0) bytes at a program's address, or NULL with vm->fault filled but for the
 * place. */
uint8_t *eb_vm_reach(ebpf_vm *vm, uint64_t address, uint32_t size, bool write);
/* The same for an atomic operation, whose address is a multiple of its size. */
uint8_t *eb_vm_reach_atomic(ebpf_vm *vm, uint64_t address, uint32_t size);
/* A new region behind all others, with nothing to access in it; for a VM that does not run. */
uint32_t eb_vm_add_region(ebpf_vm *vm, eb_region_info info);
/* Enter or leave a function: vm->depth, the frame's memory and r10. */
void eb_vm_frame_open(ebpf_vm *vm, uint32_t depth);
void eb_vm_frame_close(ebpf_vm *vm);

/* load.c: the operation to call at a function's address, in place of it; false and the fault when
 * there is none. */
bool eb_vm_callee(ebpf_vm *vm, uint64_t *callee);
/* The fault of an operation that the loader made to fault. */
void eb_vm_bad_op(ebpf_vm *vm, const eb_vm_op *op);

/* fault.c: note a fault that is no access, with a sentence in the arena; returns false. */
bool eb_vm_refuse(ebpf_vm *vm, enum ebpf_fault reason, uint64_t address, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Section and slot of an operation, and where it was written. */
eb_loc eb_vm_place_of(const ebpf_vm *vm, uint32_t op, uint32_t *section, uint32_t *slot);
/* Section and slot of the next operation. */
void eb_vm_place(const ebpf_vm *vm, uint32_t *section, uint32_t *slot);
/* Complete vm->fault with the place of vm->pc and add the diagnostic. */
void eb_vm_fault_report(ebpf_vm *vm);

/* helper*.c: one function per helper that the VM has, named in helper.def. */
#define HELPER(id, name, major, minor, vm, callers) eb_helper eb_help_##vm;
#include "helper.def"
#define KFUNC(name, vm) eb_helper eb_help_##vm;
#include "kfunc.def"
extern eb_helper *const eb_helpers[EB_KFUNCS_END];
/* The number of the kernel function so called, or 0. */
uint32_t eb_kfunc_find(eb_str name);

/* The map that a helper's argument names, of one of `types`, or NULL and the fault. */
eb_vmap *eb_vm_map_argument(ebpf_vm *vm, uint64_t handle, uint64_t types);
/* The address of an entry's value (this CPU's; the map itself that it holds), or 0 for entry 0. */
uint64_t eb_vm_value_address(const ebpf_vm *vm, const eb_vmap *map, uint32_t entry);
/* For messages; never NULL. */
const char *eb_vm_helper_name(const ebpf_vm *vm, uint32_t id);
/* The CPU that the program runs on. */
uint32_t eb_vm_cpu(const ebpf_vm *vm);

/* helper_dynptr.c: a dynptr in the program's memory, read and written. */
typedef struct eb_dynptr {
    uint64_t data; /* 0: null */
    uint32_t size, offset, type;
    bool read_only;
} eb_dynptr;

enum { EB_DYNPTR_LOCAL = 1, EB_DYNPTR_RINGBUF = 2, EB_DYNPTR_SKB = 3, EB_DYNPTR_XDP = 4 };
enum { EB_DYNPTR_SIZE = 16, EB_DYNPTR_MOST = (1 << 24) - 1 };

bool eb_vm_dynptr(ebpf_vm *vm, uint64_t address, eb_dynptr *out);
bool eb_vm_dynptr_set(ebpf_vm *vm, uint64_t address, uint64_t data, uint32_t size, uint32_t type);

/* helper_call.c: the operation to run after a helper that set vm->go (which is cleared), or
 * EB_NO_OP and the fault; `ret` is the one behind the call. */
uint32_t eb_vm_transfer(ebpf_vm *vm, uint32_t ret);
/* The same after a callback, whose frame is closed, has returned. */
uint32_t eb_vm_returned(ebpf_vm *vm);
/* For helpers: after this one, call the function at `address` as vm->callback says. */
bool eb_vm_call_back(ebpf_vm *vm, uint64_t address, eb_vm_callback call);

/* printk.c: a message as trace_printk writes it; the bytes written or -errno. Arguments are taken
 * from `args`, of which there are `count`. */
int64_t eb_vm_format(ebpf_vm *vm, eb_str format, const uint64_t *args, uint32_t count, eb_buf *out);

#endif
