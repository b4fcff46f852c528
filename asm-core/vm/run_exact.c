/* run_exact.c - the interpreter that counts every instruction, in either byte order: single steps,
 * the end of a budget, big-endian programs. */
#define LOOP     eb_vm_run_exact
#define THREADED 0
#define FAST     0
#define BIG      big
#include "loop.h"
