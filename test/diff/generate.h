/* generate.h - what the files that generate programs share.
 *
 * The generator keeps what the verifier knows: which registers and spill slots hold a number, which
 * a pointer and to how many bytes. A statement takes what it needs from there and leaves it in
 * order; where branches meet, only what both agree on survives. So nearly every program is
 * accepted, and whatever it computes ends up in maps, the stack (copied to a map at the end) and
 * r0.
 *
 * Each frame: `data` bytes of numbers just below r10, always initialised, that anything may read
 * and write, then a few 8-byte slots for spilled registers. */
#ifndef GENERATE_H
#define GENERATE_H

#include "diff.h"

enum { REGS = 10, SLOTS = 3, DATA_MOST = 96, CONTEXT_SIZE = 96, TEXT_AT = 32 };

typedef enum reg_kind {
    NONE, /* unreadable */
    SCALAR,
    CONTEXT,
    MEMORY, /* `size` bytes from its address on, at offsets that are multiples of the access */
    VALUE,  /* the same, of map `map`; any alignment */
    PACKET, /* the same, of a packet; nothing atomic */
} reg_kind;

typedef struct content {
    uint8_t kind, map;
    bool write; /* memory that may be written to */
    uint16_t size;
} content;

typedef struct state {
    content reg[REGS], slot[SLOTS];
} state;

/* What a function is for. Programs are entries, other functions are called or called back. */
typedef enum role { ROLE_ENTRY, ROLE_CALL, ROLE_LOOP, ROLE_EACH } role;

/* How a function that was generated can be called. */
typedef struct signature {
    role role;
    uint8_t map; /* ROLE_EACH: over this map */
    bool tails;  /* it, or what it calls, has tail calls */
    bool moves;  /* or may move the packet */
    uint8_t args;
    content arg[5];
    uint32_t changes; /* maps that it may delete from or replace values of, as bits */
    uint32_t weight;  /* steps with those of its callees */
    uint32_t stack;   /* bytes of its frame and its callees' */
} signature;

typedef struct gen {
    rng r;
    program *p;
    func *f; /* being generated */
    uint32_t self;
    signature *sig; /* its own */
    signature sigs[MOST_FUNCS];
    state s;
    uint32_t data;   /* bytes of the frame's numbers */
    uint32_t held;   /* registers that the statement being made uses, as bits */
    uint32_t locked; /* registers that an enclosing statement needs as they are */
    uint32_t sticky; /* registers that must stay numbers (or `locked`) until a loop ends */
    bool slots_locked;
    uint8_t busy[MOST_MAPS]; /* maps of which pointers to values are alive */
    uint32_t changes, weight, stack;
    /* Functions have tail calls, too. The VM has 8 frames altogether, so then only the first
     * program calls such functions, and no tail call leads back to it. */
    bool deep_tails;
    int fuel;     /* steps that may still be made */
    int packets;  /* blocks around in which a packet is open */
    int depth;    /* blocks inside each other */
    int loops;    /* loops around */
    uint32_t out; /* the map that takes what is left at the end */
} gen;

/* ---- steps ---- */

/* Add a step; fields that the operation fixes are filled in. Its index. */
uint32_t emit(gen *g, uint32_t op, uint32_t dst, uint32_t src, int off, int64_t imm);
uint32_t emit_ref(gen *g, uint32_t op, uint32_t dst, ref_kind ref, uint32_t to, int64_t imm);
uint32_t emit_jump(gen *g, uint32_t op, uint32_t dst, uint32_t src, int64_t imm);
/* A jump arrives before the next step. */
void land(gen *g, uint32_t jump);
void move(gen *g, uint32_t dst, uint32_t src);
void move_imm(gen *g, uint32_t dst, int32_t imm);
/* An operation of that form (a random one), which writes numbers of any kind. */
uint32_t random_op(gen *g, eb_form form);
int64_t random_number(gen *g); /* 64 bits, the interesting ones more often */
int32_t random_imm(gen *g);

/* ---- registers ---- */

void hold(gen *g, uint32_t reg);
/* A register for something new, held, or -1: preferably an unused one, never one that is held,
 * locked or sticky. */
int fresh(gen *g);
/* One for a number, of any but locked and held registers with pointers; held. */
int target(gen *g);
/* A register with a number, held; makes one when there is none. -1 when there is no room. */
int scalar(gen *g);
/* One with a number that the verifier does not know (memory.c); held. -1 when there is no room. */
int unknown_number(gen *g);
void set_scalar(gen *g, uint32_t reg);
void forget(gen *g, uint32_t reg);
/* r1 to r5 are used up, r0 is a number. */
void after_call(gen *g);
/* Try to keep pointers of r0 to r5 by moving them up or spilling them. */
void save_pointers(gen *g);

/* ---- memory ---- */

typedef struct place {
    uint32_t reg;
    int off;
    uint32_t size;
    bool any_align; /* no stack; else offsets from `off` are multiples of the access */
} place;

/* Memory of at least `size` bytes, its register held. */
bool find_place(gen *g, uint32_t size, bool write, place *out);
/* The numbers of the frame, if they are `size` bytes. */
bool frame_place(gen *g, uint32_t size, place *out);
/* dst = the address of a place; dst may be its register. */
void put_address(gen *g, uint32_t dst, const place *at);
/* dst = the address of map `which`. */
void put_map(gen *g, uint32_t dst, uint32_t which);

/* ---- statements: false when nothing was made ---- */

typedef bool statement(gen *g);
/* memory.c */
statement access_memory, access_variable, access_context, spill, fill, fetch_number;
/* maps.c */
statement map_lookup, map_update, map_delete, use_queue, use_ring, call_each, call_tail;
/* helpers.c */
statement some_helper, call_loop;
/* packets.c */
statement access_field, open_packet, call_for_packet, load_classic;

/* A body of statements; the state behind it is the caller's to merge. */
void block(gen *g, int most);
state merge(const state *a, const state *b);
/* The same with memory of map `which`, whose address is in r0: it is busy meanwhile and forgotten
 * behind. The register of the address, still held and locked until `leave_memory`. */
typedef struct scope {
    uint32_t reg, which, locked;
    bool passes;
} scope;
scope enter_memory(gen *g, content what, bool passes);
void leave_memory(gen *g, const scope *at);

/* ---- calling helpers ---- */

/* May r0 to r5 be used up now? */
bool can_call(const gen *g);
/* Get ready: pointers are saved, nothing is held. */
bool begin_call(gen *g);
void call_helper(gen *g, uint32_t helper);
void put_imm(gen *g, uint32_t dst, int64_t imm);
/* Code that calls function `to` back may run: what it changes, its weight, its stack. */
bool can_run(const gen *g, uint32_t to);
void note_run(gen *g, uint32_t to);
/* A function of that role (over that map), or -1. */
int pick_function(gen *g, role wanted, uint32_t which);
/* dst = what a callback gets as its own argument, as its signature wants it. */
bool put_callback(gen *g, uint32_t dst, uint32_t context, uint32_t to);

/* maps.c: the maps of a program. */
void make_maps(gen *g);

#endif
