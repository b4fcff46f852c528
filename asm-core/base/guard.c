/* guard.c - the only setjmp. In wasm eb_fail traps instead, and the host drops the instance. */
#include "guard.h"

#if defined(__wasm__)

int eb_guard(ebpf_ctx *ctx, eb_guarded *run, void *args) {
    return run(ctx, args);
}

#else

int eb_guard(ebpf_ctx *ctx, eb_guarded *run, void *args) {
    jmp_buf here, *before = ctx->arena.guard;
    int status;
    ctx->arena.guard = ctx->scratch.guard = &here;
    ctx->scratch.failure = 0;
    if (setjmp(here) == 0)
        status = run(ctx, args);
    else
        status = ctx->scratch.failure ? ctx->scratch.failure : ctx->arena.failure;
    ctx->arena.guard = ctx->scratch.guard = before;
    return status;
}

#endif
