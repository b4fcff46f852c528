/* program.h - an object for the VM, made from bytes. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "object.h"

/* 0, or EBPF_E_INPUT when the bytes describe what the index refuses. Called under a guard. */
int make_program(ebpf_ctx *ctx, const uint8_t *data, size_t size, ebpf_object **out);

enum { PROGRAM_HEAD = 40, PROGRAM_RECORD = 8 };

#endif
