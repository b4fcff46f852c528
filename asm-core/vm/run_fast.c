/* run_fast.c - the interpreter for speed: little-endian, and instructions are counted at jumps. */
#if defined(__wasm__)
#define THREADED 0 /* wasm has no computed jumps */
#else
#define THREADED 1
#endif
#define LOOP eb_vm_run_fast
#define FAST 1
#define BIG  false
#include "loop.h"
