/* guard.h - the frame around every public entry point that can run out of memory. */
#ifndef EB_GUARD_H
#define EB_GUARD_H

#include "ctx.h"

typedef int eb_guarded(ebpf_ctx *ctx, void *args);

/* Run `run` with `args` and return its status; or, when eb_fail left it, the failure. */
int eb_guard(ebpf_ctx *ctx, eb_guarded *run, void *args);

#endif
