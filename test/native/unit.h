/* unit.h - what the unit tests share: cmocka, contexts, files, and the tools of this machine.
 *
 * A test that needs a tool which is not installed skips and says so; nothing is fetched. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctx.h"

static inline ebpf_ctx *unit_open(void) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    assert_non_null(ctx);
    return ctx;
}

static inline void unit_close(ebpf_ctx *ctx) {
    ebpf_ctx_free(ctx);
}

/* All diagnostics so far, rendered. */
static inline const char *unit_diagnostics(ebpf_ctx *ctx) {
    eb_buf out = {.arena = &ctx->arena};
    eb_diag_render(ctx, EBPF_DIAG_TEXT, &out);
    eb_buf_byte(&out, 0);
    return (const char *)out.at;
}

/* One error, with `text` in it. */
static inline void unit_expect_error(ebpf_ctx *ctx, const char *text) {
    const char *all = unit_diagnostics(ctx);
    if (ctx->errors != 1 || !strstr(all, text))
        fail_msg("wanted one error with \"%s\", got %u:\n%s", text, ctx->errors, all);
}

/* One warning, no error. */
static inline void unit_expect_warning(ebpf_ctx *ctx, const char *text) {
    const char *all = unit_diagnostics(ctx);
    if (ctx->errors || ctx->diags.len != 1 || !strstr(all, text))
        fail_msg("wanted one warning with \"%s\", got %u:\n%s", text, ctx->diags.len, all);
}

static inline void unit_expect_none(ebpf_ctx *ctx) {
    if (ctx->diags.len)
        fail_msg("unexpected: %s", unit_diagnostics(ctx));
}

#define UNIT_SKIP(...)                                                                             \
    do {                                                                                           \
        printf("SKIP %s: ", __func__);                                                             \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        skip();                                                                                    \
    } while (0)

/* ---- files, tools ---- */

typedef struct unit_file {
    uint8_t *at;
    size_t size;
} unit_file;

static inline unit_file unit_read(const char *path) {
    unit_file file = {0};
    FILE *stream = fopen(path, "rb");
    if (!stream)
        fail_msg("%s cannot be opened", path);
    size_t room = 0;
    for (size_t got = 1; got;) {
        if (file.size == room) {
            room = room ? room * 2 : 1 << 16;
            file.at = realloc(file.at, room);
            assert_non_null(file.at);
        }
        got = fread(file.at + file.size, 1, room - file.size, stream);
        file.size += got;
    }
    fclose(stream);
    return file;
}

static inline void unit_write(const char *path, const void *bytes, size_t size) {
    FILE *stream = fopen(path, "wb");
    if (!stream || fwrite(bytes, 1, size, stream) != size || fclose(stream))
        fail_msg("%s cannot be written", path);
}

static inline int unit_has_tool(const char *name) {
    char command[256];
    snprintf(command, sizeof command, "PATH=$PATH:/usr/sbin:/sbin command -v %s >/dev/null", name);
    return system(command) == 0;
}

/* Run a shell command; its output, errors included, into `out` (cut to its size, NUL-ended). */
static inline int unit_run(const char *command, char *out, size_t size) {
    char line[2048];
    snprintf(line, sizeof line, "export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C; { %s; } 2>&1",
             command);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    size_t len = 0;
    for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe))
        if (len + 1 < size)
            out[len++] = (char)c;
    out[len] = 0;
    return pclose(pipe);
}

/* ---- random numbers: the same on every machine ---- */

/* xorshift64*; the state must not be 0. */
static inline uint64_t unit_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717u;
}

#endif
