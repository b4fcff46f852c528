/* ebpf_cc.h - C for BPF: the compiler.
 *
 * Nothing here reads files. Where the text says #include (or __has_include) and the unit does not
 * have the file, ebpf_cc_preprocess stops with EBPF_NEED_FILE; the host looks for what
 * ebpf_cc_request names, answers, and calls again:
 *
 *     while ((status = ebpf_cc_preprocess(unit, &text)) == EBPF_NEED_FILE) {
 *         ebpf_cc_file wanted;
 *         ebpf_cc_request(unit, &wanted);
 *         ... ebpf_cc_answer(unit, path, ...) or ebpf_cc_absent(unit) ...
 *     }
 *
 * A file is known by its path: the same path is the same file, for #pragma once and include guards.
 */
#ifndef EBPF_CC_H
#define EBPF_CC_H

#include "ebpf.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EBPF_NEED_FILE = 1 };

typedef struct ebpf_cc ebpf_cc; /* one translation unit; owned by its context */

typedef struct ebpf_cc_options {
    uint32_t cpu;        /* instruction set: 1 to 4, as clang's -mcpu=v1 to v4; 0 means 3 */
    uint32_t endian;     /* enum ebpf_endian */
    uint32_t plain;      /* not 0: __OPTIMIZE__ is not defined, as with -O0 */
    uint32_t small;      /* not 0: __OPTIMIZE_SIZE__ is defined, as with -Os */
    uint32_t bare;       /* not 0: no BTF and no line information, as with -g0 */
    uint32_t year;       /* of the standard: 1989, 1999, 2011, 2017 or 2023; 0 means 2017 */
    uint32_t strict;     /* not 0: without GNU's keywords, as with -std=c…, not gnu… */
    const char *defines; /* lines read first: what -D, -U and -include say */
    size_t defines_size;
    const char *warnings; /* lines: what stands behind each -W, as clang's: all, no-unused, error,
                             error=GROUP …; "none" is -w */
    size_t warnings_size;
    uint32_t text;        /* bits of enum ebpf_cc_text; 0 is the text alone, as with -E -P */
    uint32_t dialect;     /* bits of enum ebpf_cc_dialect */
    uint32_t error_limit; /* how many errors are told; 0 means 20, UINT32_MAX all */
} ebpf_cc_options;

enum ebpf_cc_dialect {
    EBPF_CC_UNSIGNED_CHAR = 1, /* as -funsigned-char */
    EBPF_CC_SHORT_ENUMS = 2,   /* as -fshort-enums */
    EBPF_CC_MS_EXTENSIONS =
        4,                    /* as -fms-extensions: struct tag; and struct tag {...}; as members */
    EBPF_CC_FREESTANDING = 8, /* as -ffreestanding: __STDC_HOSTED__ is 0 */
    EBPF_CC_WRAPPING = 16     /* as -fwrapv: signed sums that overflow wrap */
};

/* What ebpf_cc_preprocess gives. */
enum ebpf_cc_text {
    EBPF_CC_MARKERS = 1,     /* line markers, as -E without -P */
    EBPF_CC_DEFINITIONS = 2, /* #define and #undef, too, as -dD */
    EBPF_CC_MACROS = 4,      /* the macros that are defined at the end, and nothing else, as -dM */
    EBPF_CC_COMMENTS = 8     /* comments outside directives and macros, as -C */
};

enum ebpf_cc_include {
    EBPF_INCLUDE_QUOTE = 0, /* "name": beside the including file first */
    EBPF_INCLUDE_ANGLE = 1, /* <name> */
    /* the same by #include_next: behind the folder that the including file was found in */
    EBPF_INCLUDE_QUOTE_NEXT = 2,
    EBPF_INCLUDE_ANGLE_NEXT = 3,
    /* the bytes of a file by #embed: "name" beside the including file, too */
    EBPF_EMBED_QUOTE = 4,
    EBPF_EMBED_ANGLE = 5
};

typedef struct ebpf_cc_file {
    const char *spelling; /* between the quotes or the < > */
    size_t spelling_size;
    const char *from; /* the path of the including file */
    size_t from_size;
    uint32_t kind; /* enum ebpf_cc_include */
} ebpf_cc_file;

/* A unit whose main file is `text`, called `name`. The bytes are copied. `options` may be NULL. */
EBPF_API int ebpf_cc_new(ebpf_ctx *ctx, const char *name, size_t name_size, const void *text,
                         size_t size, const ebpf_cc_options *options, ebpf_cc **out);

/* The unit's tokens as text (enum ebpf_cc_text), or EBPF_NEED_FILE. EBPF_E_INPUT after errors; the
 * text is there then, too. */
EBPF_API int ebpf_cc_preprocess(ebpf_cc *unit, ebpf_bytes *text);

/* The headers that were entered so far, a line each, with a dot for each level, as -H. */
EBPF_API int ebpf_cc_includes(ebpf_cc *unit, ebpf_bytes *text);

/* Check the unit: EBPF_OK, EBPF_E_INPUT with diagnostics, or EBPF_NEED_FILE. */
EBPF_API int ebpf_cc_check(ebpf_cc *unit);

/* The unit as an object: EBPF_OK, EBPF_E_INPUT with diagnostics, or EBPF_NEED_FILE. */
EBPF_API int ebpf_cc_compile(ebpf_cc *unit, ebpf_object **out);

/* The intermediate representation as text behind a pass (pass.def), "" being none of them, for
 * those who work on the compiler. */
EBPF_API int ebpf_cc_ir(ebpf_cc *unit, const char *pass, ebpf_bytes *text);

/* What is wanted; EBPF_E_ARG when nothing is. */
EBPF_API int ebpf_cc_request(ebpf_cc *unit, ebpf_cc_file *wanted);
/* The file that was wanted, under the path that names it. The bytes are copied. `system`, not 0:
 * line markers tell that it is not the program's own. */
EBPF_API int ebpf_cc_answer(ebpf_cc *unit, const char *path, size_t path_size, const void *text,
                            size_t size, uint32_t system);
/* The same, from a packed header set (scripts/pack-headers.mjs makes it, the package has it as
 * headers.bin), whose files are known as EBPF_CC_HEADERS/path. EBPF_NEED_FILE when the set has no
 * `path` or that is no such path: the request stays open. EBPF_E_INPUT for what is no header set.
 */
#define EBPF_CC_HEADERS "<headers>"
EBPF_API int ebpf_cc_answer_packed(ebpf_cc *unit, const char *path, size_t path_size,
                                   const void *set, size_t set_size);
/* BTF stands for the file that was wanted, a kernel's header (vmlinux.h): types, enumerators and
 * kfuncs come from it when the unit first mentions them. The kernel's own BTF comes first, split
 * BTF (its modules') behind it; each as the kernel has it, or an ELF file with a section .BTF. The
 * bytes are not copied: they must stay as they are until the context is freed. Later such answers
 * of one unit give the same BTF. EBPF_E_INPUT with a diagnostic when it is damaged; what is wrong
 * with single types is told when they are used. */
EBPF_API int ebpf_cc_answer_btf(ebpf_cc *unit, const ebpf_core_target *btfs, uint32_t count);
/* There is no such file: #include is an error, __has_include is 0. */
EBPF_API int ebpf_cc_absent(ebpf_cc *unit);

#ifdef __cplusplus
}
#endif
#endif
