/* ebpf_vm.h - run the programs of an object, on any machine and without privileges.
 *
 * A VM is made from an object: its maps and data sections get memory, its code is relocated and
 * decoded once. The host starts a program on a piece of memory (the program's context), sets a
 * budget of instructions and runs; the VM comes back with a reason. There are no callbacks: a
 * helper that the host implements is a reason to stop, the host sets r0 and runs on. Clock, random
 * numbers, CPU and process are inputs, so the same inputs give the same run.
 *
 * Addresses that programs see are virtual: the upper 32 bits number a region (context, one per
 * stack frame, maps, data sections), the lower 32 are the offset in it. Region 0 does not exist, so
 * null and small numbers are no address. Every access is checked against its region; one that
 * leaves it stops the program with a fault and never touches memory of the host.
 *
 * For hosts that see this through wasm: every argument is a 32-bit number or a pointer; the structs
 * below have no pointers and no padding, and the comment in front of a field is its byte offset.
 *
 * Status: entry points return 0 or a negative enum ebpf_status, running ones also a positive enum
 * ebpf_stop. Map operations return 0 or a negative errno, as the bpf system call does. */
#ifndef EBPF_VM_H
#define EBPF_VM_H

#include "ebpf.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ebpf_vm ebpf_vm; /* owned by its context, as everything */

enum ebpf_stop {
    EBPF_STOP_EXIT = 1,   /* the program returned; its result is reg[0] */
    EBPF_STOP_FAULT = 2,  /* it did something that it must not: ebpf_vm_fault_of, diagnostics */
    EBPF_STOP_BUDGET = 3, /* the budget (or the single step) is used up; run goes on */
    EBPF_STOP_HELPER = 4, /* the host implements state.helper: read reg[1..5], set reg[0], run on */
    EBPF_STOP_BREAK = 5   /* before a breakpoint's instruction, or a function has returned */
};

enum { EBPF_VM_REGS = 11, EBPF_VM_FRAMES = 8, EBPF_VM_FRAME_SIZE = 512, EBPF_VM_MAX_CPUS = 256 };

/* Registers and position. The host may write reg, and sets budget before it runs. */
typedef struct ebpf_vm_state {
    /*   0 */ uint64_t reg[EBPF_VM_REGS];
    /*  88 */ uint64_t executed; /* instructions since the start */
    /*  96 */ uint64_t budget;   /* instructions that may still run; counts down */
    /* 104 */ uint32_t stop;     /* the last enum ebpf_stop, 0 before the first */
    /* 108 */ uint32_t helper;   /* the helper to call, after EBPF_STOP_HELPER */
    /* 112 */ uint32_t section;  /* of the next instruction: its section in the object */
    /* 116 */ uint32_t slot;     /* and its 8-byte slot there */
    /* 120 */ uint32_t depth;    /* frames in use below the first */
    /* 124 */ uint32_t reserved;
} ebpf_vm_state; /* 128 bytes */

/* What programs learn about the world. Zero but for tgid = pid = 1 and comm = "vm"; the host may
 * write it at any time. */
typedef struct ebpf_vm_inputs {
    /*  0 */ uint64_t clock_ns;      /* the next ktime_get_ns */
    /*  8 */ uint64_t clock_step_ns; /* added to clock_ns at every reading of any clock */
    /* 16 */ uint64_t boot_ns;       /* ktime_get_boot_ns is clock_ns + boot_ns (time asleep) */
    /* 24 */ uint64_t random;        /* state of the random numbers */
    /* 32 */ uint32_t cpu;           /* below the VM's number of CPUs, else 0 is used */
    /* 36 */ uint32_t pid;           /* the thread, as the kernel counts */
    /* 40 */ uint32_t tgid;          /* the process */
    /* 44 */ uint32_t uid;
    /* 48 */ uint32_t gid;
    /* 52 */ uint32_t task_low; /* what get_current_task returns, in two halves; 0 is none */
    /* 56 */ uint32_t task_high;
    /* 60 */ uint32_t reserved;
    /* 64 */ char comm[16];
    /* 80 */ uint64_t cgroup_id;
    /* 88 */ uint64_t func_ip; /* get_func_ip, and the one address of every stack trace; 0: none */
    /* 96 */ uint64_t cookie;  /* get_attach_cookie */
} ebpf_vm_inputs;              /* 104 bytes */

/* What a program has asked to happen to the world, since its start; 0 where it has not. */
typedef struct ebpf_vm_effects {
    /*  0 */ uint64_t override_value; /* override_return: the function's result instead */
    /*  8 */ uint64_t redirect_key;   /* redirect_map: where in the map; others: the interface */
    /* 16 */ uint64_t redirect_flags;
    /* 24 */ uint32_t redirect_map; /* 1 + the map, or 0 */
    /* 28 */ uint32_t signal;       /* send_signal, send_signal_thread */
    /* 32 */ uint8_t overrides, redirects, signals, signals_thread; /* how often, up to 255 */
    /* 36 */ uint32_t reserved;
} ebpf_vm_effects; /* 40 bytes */

enum ebpf_fault {
    EBPF_FAULT_NONE = 0,
    EBPF_FAULT_NULL = 1,      /* an access through a null pointer */
    EBPF_FAULT_UNMAPPED = 2,  /* an address that belongs to no region */
    EBPF_FAULT_BOUNDS = 3,    /* an access that leaves its region, or one value of a map */
    EBPF_FAULT_READ_ONLY = 4, /* a write to memory that programs may only read */
    EBPF_FAULT_ALIGN = 5,  /* an atomic operation on an address that is no multiple of its size */
    EBPF_FAULT_FREED = 6,  /* an access to a deleted map value or the stack of an ended call */
    EBPF_FAULT_INSN = 7,   /* not an instruction, or one that this VM has not */
    EBPF_FAULT_JUMP = 8,   /* control leaves the section or enters an instruction's middle */
    EBPF_FAULT_HELPER = 9, /* a helper that does not exist, or whose arguments are none */
    EBPF_FAULT_DEPTH = 10, /* more calls inside each other than frames */
    EBPF_FAULT_REGISTER = 11, /* a register that does not exist, or a write to r10 */
    EBPF_FAULT_CONTEXT = 12   /* a field of the context that is not there or not accessed so */
};

enum ebpf_region {
    EBPF_REGION_NONE = 0,
    EBPF_REGION_CONTEXT = 1,
    EBPF_REGION_STACK = 2,
    EBPF_REGION_MAP = 3,    /* values of a map */
    EBPF_REGION_DATA = 4,   /* .data, .rodata, .bss and their like */
    EBPF_REGION_CODE = 5,   /* addresses of functions; neither readable nor writable */
    EBPF_REGION_HANDLE = 6, /* addresses of maps themselves; neither readable nor writable */
    EBPF_REGION_PACKET = 7, /* metadata and bytes of the packet */
    EBPF_REGION_BUFFER = 8  /* memory that the host has placed: ebpf_vm_buffer */
};

typedef struct ebpf_vm_fault {
    /*  0 */ uint64_t address; /* of the access, of the call; 0 where there is none */
    /*  8 */ uint32_t reason;  /* enum ebpf_fault */
    /* 12 */ uint32_t section; /* of the instruction: its section in the object */
    /* 16 */ uint32_t slot;    /* and its 8-byte slot there */
    /* 20 */ uint32_t size;    /* bytes of the access, or 0 */
    /* 24 */ uint32_t write;   /* 1 for a write */
    /* 28 */ uint32_t region;  /* enum ebpf_region of the region meant */
    /* 32 */ uint32_t helper;  /* the helper that made the access, or 0 */
    /* 36 */ uint32_t line;    /* in the source text, or 0 */
    /* 40 */ uint32_t column;
    /* 44 */ uint32_t reserved;
} ebpf_vm_fault; /* 48 bytes; names and the whole sentence: ebpf_vm_fault_text */

typedef struct ebpf_vm_map {
    /*  0 */ uint32_t type; /* BPF_MAP_TYPE_... */
    /*  4 */ uint32_t
        key_size; /* 0: a queue, filter or ring; storages: 8, their object's address */
    /*  8 */ uint32_t value_size;
    /* 12 */ uint32_t host_value_size; /* bytes that the host passes: per-CPU maps have one value
                                          per CPU, each rounded up to 8, as in the kernel */
    /* 16 */ uint32_t max_entries;
    /* 20 */ uint32_t count; /* entries now in it, records not yet read */
    /* 24 */ uint32_t flags;
    /* 28 */ uint32_t lost; /* records that found no room in a ring or perf buffer */
} ebpf_vm_map;              /* 32 bytes */

/* Why a map operation failed: returned negated, numbers as Linux has them. */
enum ebpf_errno {
    EBPF_EPERM = 1,
    EBPF_ENOENT = 2,
    EBPF_E2BIG = 7,
    EBPF_EBADF = 9,
    EBPF_EAGAIN = 11,
    EBPF_ENOMEM = 12,
    EBPF_EFAULT = 14,
    EBPF_EBUSY = 16,
    EBPF_EEXIST = 17,
    EBPF_EINVAL = 22,
    EBPF_ENOSPC = 28,
    EBPF_ERANGE = 34,
    EBPF_EDEADLK = 35,
    EBPF_EOPNOTSUPP = 95,
    EBPF_ENOTSUPP = 524 /* the kernel's own */
};

enum ebpf_update { EBPF_ANY = 0, EBPF_NOEXIST = 1, EBPF_EXIST = 2 };

/* ---- making one, and its programs ---- */

/* A VM for `obj`, which stays as it is and must live as long. `cpus` (0 means 1) is the number of
 * CPUs that per-CPU maps have values for. EBPF_E_INPUT: a relocation or map that cannot be. */
EBPF_API int ebpf_vm_new(ebpf_ctx *ctx, const ebpf_object *obj, uint32_t cpus, ebpf_vm **out);

/* The same, with what programs ask of the kernel: lines NAME=VALUE, as a kernel's .config has them,
 * for variables of .kconfig (y, m, n, numbers, quoted strings), and NAME=ADDRESS for those of
 * .ksyms. LINUX_KERNEL_VERSION is that of 6.12 otherwise. `externs` must live as long as the VM.
 * Before, CO-RE relocations are answered by ebpf_object_relocate against the kernel that the VM is
 * to be; without, programs run on the types that their compiler saw. */
EBPF_API int ebpf_vm_new_with(ebpf_ctx *ctx, const ebpf_object *obj, uint32_t cpus,
                              const char *externs, size_t size, ebpf_vm **out);

/* Programs are the object's functions, in its order; behind them the starts of code sections that
 * do not begin with a function, called as the section. */
EBPF_API uint32_t ebpf_vm_program_count(const ebpf_vm *vm);
EBPF_API int ebpf_vm_program_name(const ebpf_vm *vm, uint32_t program, ebpf_bytes *name);
/* The index of the function so called, or else of the first one in the section so called;
 * EBPF_E_ARG without. An empty name means the one to run when none is named: the first entry point,
 * or else the start of the first section with code. */
EBPF_API int ebpf_vm_program_find(const ebpf_vm *vm, const char *name, uint32_t size);

/* Its type and attach type, enum bpf_prog_type and bpf_attach_type, 0 for none: what the section's
 * name says, or what was set. */
EBPF_API int ebpf_vm_program_type(const ebpf_vm *vm, uint32_t program, uint32_t *type,
                                  uint32_t *attach);
EBPF_API int ebpf_vm_set_program_type(ebpf_vm *vm, uint32_t program, uint32_t type,
                                      uint32_t attach);
/* A program type by its name in libbpf ("xdp", "sched_cls"), or else by what its section could be
 * called ("tc", "fentry/name"), whose attach type it gives, too; EBPF_E_ARG without. */
EBPF_API int ebpf_program_type_find(const char *name, uint32_t size, uint32_t *type,
                                    uint32_t *attach);
/* The context of that type of program as JSON: { name, size, fields: [{ name, offset, size, count,
 * read, write }] }, where an array has several elements and size 0 is as much as the host passes.
 * `arm64` chooses its registers instead of x86-64's. */
EBPF_API int ebpf_vm_layout(ebpf_ctx *ctx, uint32_t type, uint32_t attach, uint32_t arm64,
                            ebpf_bytes *json);
/* What a result means to the kernel ("XDP_PASS"), or NULL. */
EBPF_API const char *ebpf_return_name(uint32_t type, uint32_t value);

/* ---- running ---- */

enum ebpf_vm_start_flags {
    EBPF_VM_SIZE_IN_R2 = 1, /* r2 is the size of the memory (otherwise 0) */
    EBPF_VM_READ_ONLY = 2   /* the program may not write to the memory */
};

/* Stand before the first instruction of `program`: r1 is the address of `mem` (0 when size is 0),
 * which the program reads and writes in place and which must live until the program has ended.
 * Maps, data sections, printk and inputs keep their contents; state.executed is 0 again, and
 * state.budget stays what the host made it (0 in a new VM: set it before running). */
EBPF_API int ebpf_vm_start(ebpf_vm *vm, uint32_t program, void *mem, uint32_t size, uint32_t flags);
/* The same for what programs of this type run on, which their section's name (or
 * ebpf_vm_set_program_type) tells: r1 points to the context, r2 is 0. Context and packet are what
 * BPF_PROG_TEST_RUN takes as ctx_in and data_in, and follow its rules:
 *  - `ctx` is the struct that programs see (ebpf_vm_layout describes it) in the object's byte
 * order, or nothing: struct xdp_md, struct __sk_buff, struct pt_regs of x86-64 or arm64 (its size
 * tells), the record of a tracepoint, 64-bit words for raw tracepoints and traced functions, any
 * memory for syscall programs and those without a type. Fields of struct __sk_buff that follow from
 * the packet are computed; hash, VLAN tag and the like may be given, which the kernel refuses.
 *  - `packet` is an Ethernet frame for xdp and socket buffers; programs other than tc see it from
 *    its network header on. Metadata of xdp's stands in front of it, data of struct xdp_md is its
 *    size and data_end the size of both.
 * Both are copied; programs access them as the kernel allows (EBPF_FAULT_CONTEXT). EBPF_E_INPUT
 * with a diagnostic for what BPF_PROG_TEST_RUN refuses. */
EBPF_API int ebpf_vm_start_typed(ebpf_vm *vm, uint32_t program, const void *ctx, uint32_t ctx_size,
                                 const void *packet, uint32_t packet_size);
/* Run until there is a reason to stop, which is returned (and kept in the state). Never more than
 * state.budget instructions. EBPF_E_ARG when nothing was started or the program has ended. */
EBPF_API int ebpf_vm_run(ebpf_vm *vm);
/* One instruction: EBPF_STOP_BUDGET when there are more, whatever state.budget is. */
EBPF_API int ebpf_vm_step(ebpf_vm *vm);

/* After a typed run: the context as it is now, with data and data_end of struct xdp_md as
 * BPF_PROG_TEST_RUN counts them, and the packet (metadata in front of it). Programs that do not see
 * the Ethernet header lose it: there are zeroes in its place, as in the kernel. */
EBPF_API int ebpf_vm_context(ebpf_vm *vm, ebpf_bytes *out);
EBPF_API int ebpf_vm_packet(ebpf_vm *vm, ebpf_bytes *out);

/* Place `size` zeroed bytes in the program's address space, from (region << 32) on, where the host
 * fills them through ebpf_vm_memory: what pointers in contexts lead to. `*region` is 0 for a new
 * buffer, or that of one to be made anew, whose bytes are lost. Programs only read it, unless
 * `writable`. Not between start and end of a run, but when it has stopped. */
EBPF_API int ebpf_vm_buffer(ebpf_vm *vm, uint32_t *region, uint32_t size, uint32_t writable);

/* These stay where they are as long as the VM. */
EBPF_API ebpf_vm_state *ebpf_vm_state_of(ebpf_vm *vm);
EBPF_API ebpf_vm_inputs *ebpf_vm_inputs_of(ebpf_vm *vm);
EBPF_API const ebpf_vm_effects *ebpf_vm_effects_of(const ebpf_vm *vm);
EBPF_API const ebpf_vm_fault *ebpf_vm_fault_of(const ebpf_vm *vm);
/* The fault as a sentence; it is among the context's diagnostics too. "" without a fault. */
EBPF_API int ebpf_vm_fault_text(const ebpf_vm *vm, ebpf_bytes *text);

/* From now on helper `id` is the host's (on = 1) or the VM's again (0). Helpers that exist but that
 * the VM does not implement are the host's always. */
EBPF_API int ebpf_vm_host_helper(ebpf_vm *vm, uint32_t id, uint32_t on);
/* The name of helper `id`, without prefix; NULL when there is none. */
EBPF_API const char *ebpf_helper_name(uint32_t id);
/* The same, and the kernel functions (whole names) that this VM has or its object calls: they have
 * the numbers that follow. */
EBPF_API const char *ebpf_vm_helper_name(const ebpf_vm *vm, uint32_t id);

/* The memory at a program's address (upper half: region, lower half: offset), which must be
 * readable (or writable with write = 1) for `size` bytes; EBPF_E_ARG otherwise. */
EBPF_API int ebpf_vm_memory(ebpf_vm *vm, uint32_t region, uint32_t offset, uint32_t size,
                            uint32_t write, ebpf_bytes *out);

/* Timers that programs have started fire when the host wants it. The next one's time into
 * `deadline`, or -EBPF_ENOENT. */
EBPF_API int ebpf_vm_timer_next(ebpf_vm *vm, uint64_t *deadline);
/* As ebpf_vm_start, before the callback of that timer; the clock goes on to its time. */
EBPF_API int ebpf_vm_timer_start(ebpf_vm *vm);

/* What trace_printk has written since the last clear. */
EBPF_API int ebpf_vm_printk(const ebpf_vm *vm, ebpf_bytes *text);
EBPF_API void ebpf_vm_printk_clear(ebpf_vm *vm);

/* The live bytes of the data section so called (".bss"); EBPF_E_ARG without. */
EBPF_API int ebpf_vm_section(ebpf_vm *vm, const char *name, uint32_t size, ebpf_bytes *out);

/* ---- debugging ----
 * Places are JSON: { section, insn (its 8-byte slot there), function, offset (in it), file, line,
 * column, text }, where what is not known is left out. */

EBPF_API int ebpf_vm_where(ebpf_vm *vm, uint32_t section, uint32_t slot, ebpf_bytes *json);
/* The places of all calls inside each other as an array, the innermost first. */
EBPF_API int ebpf_vm_frames(ebpf_vm *vm, ebpf_bytes *json);
/* Set (on = 1) or clear a breakpoint at an instruction; EBPF_E_ARG where none begins. */
EBPF_API int ebpf_vm_break(ebpf_vm *vm, uint32_t section, uint32_t slot, uint32_t on);
/* The same at a function's start ("parse"), a source line ("prog.c:17", the path may be cut in
 * front) or the slot of the first section with code ("12"): how many there are now, or EBPF_E_ARG
 * when there is no such place. */
EBPF_API int ebpf_vm_break_at(ebpf_vm *vm, const char *place, uint32_t size, uint32_t on);
/* Run until fewer than `depth` calls are inside each other (with state.depth: until the function at
 * hand has returned): EBPF_STOP_BREAK, or as ebpf_vm_run. */
EBPF_API int ebpf_vm_finish(ebpf_vm *vm, uint32_t depth);

enum ebpf_vm_watch { EBPF_VM_COVERAGE = 1, EBPF_VM_TRACE = 2 };
/* From now on count how often each instruction runs, and keep the last `trace_room` of them (at
 * most 2^20); counts and trace begin anew. Slower by far than to run without. */
EBPF_API int ebpf_vm_observe(ebpf_vm *vm, uint32_t what, uint32_t trace_room);
/* { functions: [{ name, insns, run, calls }], instructions: [{ section, insn, count, file, line }]
 * } of all code; EBPF_E_ARG when it was not counted. */
EBPF_API int ebpf_vm_coverage(ebpf_vm *vm, ebpf_bytes *json);

enum { EBPF_VM_NO_REG = 255 };
typedef struct ebpf_vm_trace_entry {
    /*  0 */ uint64_t number; /* counts from 1 */
    /*  8 */ uint64_t value;  /* what the register then held */
    /* 16 */ uint32_t section;
    /* 20 */ uint32_t slot;
    /* 24 */ uint32_t reg; /* the register that changed (r0 first), or EBPF_VM_NO_REG */
    /* 28 */ uint32_t depth;
    /* 32 */ uint64_t reserved;
} ebpf_vm_trace_entry; /* 40 bytes */
/* The entries, the oldest first. */
EBPF_API int ebpf_vm_trace(ebpf_vm *vm, ebpf_bytes *entries);

/* For people: where it stands, with registers; the trace; coverage by source line; what a typed run
 * gave (packet, redirect, and the name of its result without a newline), as far as there is
 * something to show. */
enum ebpf_vm_show {
    EBPF_SHOW_STATE = 1,
    EBPF_SHOW_TRACE = 2,
    EBPF_SHOW_COVERAGE = 3,
    EBPF_SHOW_RESULT = 4
};
EBPF_API int ebpf_vm_show(ebpf_vm *vm, uint32_t what, ebpf_bytes *text);

/* ---- maps ---- */

EBPF_API uint32_t ebpf_vm_map_count(const ebpf_vm *vm);
/* The index of the map so called, or EBPF_E_ARG. */
EBPF_API int ebpf_vm_map_find(const ebpf_vm *vm, const char *name, uint32_t size);
EBPF_API int ebpf_vm_map_name(const ebpf_vm *vm, uint32_t map, ebpf_bytes *name);
EBPF_API int ebpf_vm_map_info(const ebpf_vm *vm, uint32_t map, ebpf_vm_map *out);
/* Make the map anew with so many entries, before programs use it; a map that the object gives none
 * must have them set, as loaders do it. EBPF_E_INPUT with a diagnostic for too many, EBPF_E_ARG
 * during a run. */
EBPF_API int ebpf_vm_map_resize(ebpf_vm *vm, uint32_t map, uint32_t max_entries);
/* `key` has key_size bytes, `value` host_value_size. Values of a program array are the numbers of
 * programs, those of a map of maps the numbers of maps, as u32 in the object's byte order. Maps
 * without keys take NULL: update pushes, lookup peeks (a Bloom filter is asked for `value`). */
EBPF_API int ebpf_vm_map_lookup(ebpf_vm *vm, uint32_t map, const void *key, void *value);
EBPF_API int ebpf_vm_map_update(ebpf_vm *vm, uint32_t map, const void *key, const void *value,
                                uint32_t flags);
EBPF_API int ebpf_vm_map_delete(ebpf_vm *vm, uint32_t map, const void *key);
/* Look up and delete (hashes), or pop (queues and stacks). */
EBPF_API int ebpf_vm_map_take(ebpf_vm *vm, uint32_t map, const void *key, void *value);
/* The key after `key`; the first when key is NULL or not in the map. -EBPF_ENOENT after the last.
 */
EBPF_API int ebpf_vm_map_next(ebpf_vm *vm, uint32_t map, const void *key, void *next);

/* The oldest record that a program has written to a ring buffer or perf event array and nobody has
 * read: 0, or -EBPF_ENOENT. Its bytes stay until the VM runs again; `cpu` is 0 for rings. */
EBPF_API int ebpf_vm_map_record(ebpf_vm *vm, uint32_t map, uint32_t *cpu, ebpf_bytes *record);
/* A sample for the program that drains a user ring buffer: 0, -EBPF_ENOSPC, -EBPF_E2BIG. */
EBPF_API int ebpf_vm_map_send(ebpf_vm *vm, uint32_t map, const void *data, uint32_t size);
/* The memory of an arena, all pages, allocated or not; pointers in it count from map_extra, or from
 * the address of the map's region. */
EBPF_API int ebpf_vm_arena(ebpf_vm *vm, uint32_t map, ebpf_bytes *out);
/* A new map as map of maps `map` holds them: its number, which can then be put into it. */
EBPF_API int ebpf_vm_map_new_inner(ebpf_vm *vm, uint32_t map);

#ifdef __cplusplus
}
#endif
#endif
