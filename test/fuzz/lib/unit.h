/* unit.h - C as a fuzzer's input: a byte of options, then the main file; a line "-- file NAME"
 * begins a file that #include finds, as in the cases. What is included and not there is absent. */
#ifndef UNIT_H
#define UNIT_H

#include "ebpf_cc.h"

/* Enter the unit; NULL where there was no memory for it. */
ebpf_cc *unit_of(ebpf_ctx *ctx, const uint8_t *data, size_t size);
/* Answer what the unit has asked for. */
int unit_answer(ebpf_cc *unit, const uint8_t *data, size_t size);

#endif
