#include "mach.h"
void eb_gen_peephole(eb_mfn *mfn) {
    (void)mfn;
}
