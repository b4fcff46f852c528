/* diff.h - random programs, run in the VM and in the kernel: what the files of test/diff share.
 *
 * A `program` is what the generator makes of a seed: functions of steps (instructions whose jumps,
 * calls and maps are still names), maps with their first contents, and the inputs of some runs. It
 * becomes instructions for bpf(2) in kernel.c and an object for the VM in object.c. Each side gives
 * an `outcome`: the result of each run, then every key and value of every map. Equal outcomes are
 * what this is all about; shrink.c cuts a program down while they stay different. */
#ifndef DIFF_H
#define DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "insn.h"

/* ---- random numbers: splitmix64, the same everywhere ---- */

typedef struct rng {
    uint64_t state;
} rng;

static inline uint64_t rng_next(rng *r) {
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint32_t rng_below(rng *r, uint32_t n) {
    return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

static inline bool rng_chance(rng *r, uint32_t percent) {
    return rng_below(r, 100) < percent;
}

/* ---- programs ---- */

enum {
    MOST_STEPS = 4096, /* in one function */
    MOST_FUNCS = 12,
    MOST_MAPS = 16,
    MOST_RUNS = 3,
    MOST_ENTRIES = 8, /* first contents of a map */
    MOST_INPUT = 512, /* bytes of a context or packet */
    MOST_VALUE = 512, /* bytes of a value */
    MOST_KEY = 32,
    DIFF_HELPERS = 256
};

/* What a step speaks of, besides its fields. */
typedef enum ref_kind {
    REF_NONE,
    REF_JUMP,  /* target: a step of the same function, by off or imm as the operation has it */
    REF_CALL,  /* target: a function */
    REF_FUNC,  /* target: a function, whose address is loaded */
    REF_MAP,   /* target: a map, whose address is loaded */
    REF_VALUE, /* target: a data map; imm: an offset in its value */
} ref_kind;

typedef struct step {
    uint16_t op; /* eb_op */
    uint8_t dst, src;
    uint8_t ref;
    bool dead; /* cut out by shrink.c */
    int16_t off;
    uint32_t target;
    int64_t imm;
} step;

typedef struct func {
    step *steps;
    uint32_t count;
    bool global; /* verified by itself, with any arguments */
    uint8_t args;
} func;

typedef enum map_use { USE_MAP, USE_DATA, USE_BSS, USE_RODATA } map_use;

typedef struct map_entry {
    uint8_t key[MOST_KEY], value[MOST_VALUE];
} map_entry;

typedef struct map {
    bool dead;   /* no step speaks of it: left out */
    map_use use; /* all but USE_MAP are data sections, arrays with one element for the kernel */
    uint32_t type, key_size, value_size, max_entries, flags;
    uint32_t inner; /* maps of maps: 1 + a map like those in it */
    /* First contents. Those of a map of maps are numbers of maps, of a program array functions. */
    uint32_t entry_count;
    map_entry entries[MOST_ENTRIES];
} map;

/* Program types that can be run by BPF_PROG_TEST_RUN; one row of `kinds` in generate.c each. */
typedef enum prog_kind {
    PROG_SOCKET,
    PROG_RAW_TP,
    PROG_SYSCALL,
    PROG_XDP,
    PROG_TC,
    PROG_KINDS
} prog_kind;

typedef struct prog_type {
    const char *name, *section;
    uint32_t type;  /* BPF_PROG_TYPE_... */
    bool packet;    /* its input is a packet, otherwise the context itself */
    bool sleepable; /* and loaded as such */
} prog_type;

extern const prog_type prog_types[PROG_KINDS];

typedef struct input {
    uint8_t bytes[MOST_INPUT];
    uint32_t size;
} input;

typedef struct program {
    uint64_t seed;
    prog_kind kind;
    uint32_t entry_count, func_count, map_count, run_count;
    func funcs[MOST_FUNCS]; /* [0] is the program, the other entries those of tail calls */
    map maps[MOST_MAPS];
    input runs[MOST_RUNS];
} program;

/* generate.c: the program of a seed. */
program *program_new(uint64_t seed);
void program_free(program *p);

/* program.c: the steps of all functions as one array of instructions, functions one after the
 * other, without dead steps and functions that nothing reaches from `entry`; with ALL_ENTRIES from
 * the first one, and what its tail calls reach. Fields that name something are filled for jumps
 * and calls only. */
typedef struct code {
    uint32_t count; /* instructions */
    struct {
        const step *from;
        ebpf_insn insn;
        uint32_t slot;
    } * at;
    uint32_t slots;
    uint32_t func_slot[MOST_FUNCS + 1]; /* where each function starts */
    bool reached[MOST_FUNCS];           /* the others are left out */
} code;

code code_of(const program *p, uint32_t entry);
#define ALL_ENTRIES UINT32_MAX
void code_free(code *c);
/* Leave out the maps that no step speaks of. */
void program_drop_maps(program *p);
/* Bytes of a value as hosts see it: per-CPU maps have one for each CPU. */
uint32_t map_host_size(const map *m, uint32_t cpus);
/* An entry's value so, the same on each CPU; to be freed. */
uint8_t *map_host_value(const map *m, uint32_t entry, uint32_t cpus);
bool map_is_per_cpu(const map *m);
bool map_is_array(const map *m);
bool map_is_queue(const map *m); /* or a stack */
bool map_holds_maps(const map *m);

/* ---- outcomes ---- */

typedef struct record {
    uint32_t map;
    uint8_t key[MOST_KEY];
    uint32_t value_size;
    uint8_t *value; /* owned by the outcome */
} record;

typedef struct outcome {
    bool ran;      /* accepted and run to its end; otherwise `why` says what happened */
    bool fault;    /* not run to its end because the VM stopped it */
    char why[512]; /* one line */
    uint32_t runs;
    uint32_t result[MOST_RUNS];
    input after[MOST_RUNS]; /* contexts or packets */
    record *records;        /* sorted by map and key */
    uint32_t record_count, record_room;
} outcome;

void outcome_free(outcome *o);
void outcome_add(outcome *o, uint32_t which, const uint8_t *key, uint32_t key_size,
                 const uint8_t *value, uint32_t value_size);
/* The same for what has no keys but its order. */
void outcome_add_numbered(outcome *o, uint32_t which, uint32_t number, const uint8_t *value,
                          uint32_t value_size);
void outcome_sort(outcome *o);
/* False when they differ; the first differences as lines in `text`. */
bool outcome_equal(const program *p, const outcome *vm, const outcome *kernel, char *text,
                   size_t size);

/* kernel.c: load, run and read back by bpf(2). Not accepted: `why` is the verifier's last line. */
bool kernel_open(char *why, size_t size); /* once; false with the reason when it cannot be */
void kernel_close(void);
uint32_t kernel_cpus(void);
outcome kernel_run(const program *p);
/* The same, but whatever the program does twice must come out the same, at other addresses of maps
 * and stack; otherwise it did not run. */
outcome kernel_run_sure(const program *p);

/* object.c: the program as an object, in the context. */
ebpf_object *object_of(ebpf_ctx *ctx, const program *p);
/* As text for people, which bpfc assembles. */
bool object_text(ebpf_ctx *ctx, const program *p, eb_buf *out);

/* machine.c: run in the VM. */
typedef struct coverage {
    uint64_t ops[EB_OP_COUNT];
    uint64_t helpers[DIFF_HELPERS];
} coverage;

typedef struct machine_options {
    uint8_t poison;   /* what every byte of the stack is at the start */
    coverage *counts; /* not NULL: run by single steps and count what ran */
} machine_options;

outcome machine_run(const program *p, machine_options how);

/* shrink.c: cut `p` down while both sides still differ in the same way; the number of programs
 * tried. False differences are shunned: what depends on addresses or on the stack's first contents.
 */
uint32_t shrink(program *p);
/* Do both sides differ, reliably? What differs goes to `text`, if not NULL. */
bool differs(const program *p, bool *fault, char *text, size_t size);

#endif
