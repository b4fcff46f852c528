/* ebpf.h - the public interface of asm-core.
 *
 * Bytes in; bytes and diagnostics out. A request makes everything it needs in one context; closing
 * the context is the only free. Nothing here reads files, clocks or the environment, prints, aborts
 * or keeps mutable globals, so the same calls serve the CLI, Node, browsers and workers, and the
 * same input gives the same bytes in all of them.
 *
 * Entry points return 0 or a negative enum ebpf_status. EBPF_E_INPUT means that the diagnostics of
 * the context say what is wrong and where; after EBPF_E_NOMEM and EBPF_E_LIMIT the context may only
 * be freed. Strings need not end in NUL; all sizes are bytes. */
#ifndef EBPF_H
#define EBPF_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EBPF_VERSION "2.0.0-dev"

/* Marks what the static library, the shared library and the wasm module export. */
#if defined(__wasm__)
#define EBPF_API __attribute__((visibility("default"), used))
#elif defined(__GNUC__)
#define EBPF_API __attribute__((visibility("default")))
#else
#define EBPF_API
#endif

typedef struct ebpf_ctx ebpf_ctx; /* one request, or many that share their memory */
typedef struct ebpf_object
    ebpf_object; /* sections, symbols, relocations, BTF; owned by its context */

/* A span of bytes that the context owns; valid until the context is freed. */
typedef struct ebpf_bytes {
    const void *data;
    size_t size;
} ebpf_bytes;

enum ebpf_status {
    EBPF_OK = 0,
    EBPF_E_INPUT = -1, /* the input is wrong: see the diagnostics */
    EBPF_E_NOMEM = -2, /* no memory left */
    EBPF_E_LIMIT = -3, /* a limit of the context was reached */
    EBPF_E_ARG = -4    /* the caller broke the contract (unknown dialect, index out of range) */
};

enum ebpf_dialect {
    EBPF_DIALECT_LLVM = 0, /* LLVM's and the kernel's pseudo-C: r0 = 1 */
    EBPF_DIALECT_UBPF = 1, /* mnemonics: mov %r0, 1 */
    EBPF_DIALECT_COUNT = 2
};

enum ebpf_endian { EBPF_LITTLE = 0, EBPF_BIG = 1 };

/* ---- contexts ---- */

/* A new context, or NULL when there is no memory. `memory_limit` bounds what its arena may take, in
 * bytes; 0 means 1 GiB (512 MiB in wasm). */
EBPF_API ebpf_ctx *ebpf_ctx_new(size_t memory_limit);
EBPF_API void ebpf_ctx_free(ebpf_ctx *ctx);

/* Room for `size` bytes in the context: how a wasm host hands its input over. NULL when the limit
 * is reached. */
EBPF_API void *ebpf_ctx_alloc(ebpf_ctx *ctx, size_t size);

/* ---- diagnostics ---- */

enum ebpf_diag_format {
    EBPF_DIAG_TEXT = 0, /* file:line:column: error: text, the source line, a caret, notes */
    EBPF_DIAG_ANSI = 1, /* the same with terminal colours */
    EBPF_DIAG_JSON = 2  /* an array of { severity, code, file, line, column, endLine, ... } */
};

EBPF_API int ebpf_diagnostics(ebpf_ctx *ctx, int format, ebpf_bytes *out);
EBPF_API uint32_t ebpf_error_count(const ebpf_ctx *ctx);

/* ---- assembler, disassembler ---- */

/* Assemble `text` (called `name` in diagnostics). Instructions before any .section go to ".text".
 * The text is not copied: it must stay as it is until the context is freed, since names and
 * diagnostics are parts of it. */
EBPF_API int ebpf_assemble(ebpf_ctx *ctx, const char *name, size_t name_size, const void *text,
                           size_t size, int dialect, int endian, ebpf_object **out);

enum ebpf_dis_flags {
    EBPF_DIS_RAW = 1,     /* each instruction's bytes in front of its text, as a comment */
    EBPF_DIS_NUMERIC = 2, /* jumps by distances (+3) and helpers by numbers, without names */
    EBPF_DIS_HEX = 4,     /* numbers as 0x10, as llvm-objdump has them since LLVM 16 */
    EBPF_DIS_SOURCE = 8,  /* source lines as comments, from .BTF.ext */
    /* Not a text to assemble but the one that llvm-objdump -d prints (LLVM 19), of the executable
     * sections. It has its own form: of the flags above it knows none. */
    EBPF_DIS_OBJDUMP = 16,
    EBPF_DIS_RELOCS = 32, /* with OBJDUMP: relocations below their instructions, as with -r */
    EBPF_DIS_ALU32 = 64   /* with OBJDUMP: 32-bit registers in loads, as with --mcpu=v3 and above */
};

/* The object as text that ebpf_assemble reads back to the same sections and relocations. */
EBPF_API int ebpf_disassemble(ebpf_ctx *ctx, const ebpf_object *obj, int dialect, uint32_t flags,
                              ebpf_bytes *text);

/* ---- objects ---- */

/* Read an ELF file of machine EM_BPF, either byte order. The bytes are copied. */
EBPF_API int ebpf_object_read(ebpf_ctx *ctx, const char *name, size_t name_size, const void *bytes,
                              size_t size, ebpf_object **out);

/* An object whose ".text" is `bytes`: bare instructions without a container. */
EBPF_API int ebpf_object_from_raw(ebpf_ctx *ctx, const char *name, size_t name_size,
                                  const void *bytes, size_t size, int endian, ebpf_object **out);

enum ebpf_strip_flags {
    EBPF_STRIP_LABELS = 1, /* local labels without a type that nothing refers to */
    EBPF_STRIP_BTF = 2     /* .BTF and .BTF.ext; libbpf does not load maps without them */
};

/* Take out of the object, in place, what only debuggers use. Reading leaves DWARF out already; this
 * takes the symbols that were there for it, and what the flags name. */
EBPF_API int ebpf_object_strip(ebpf_ctx *ctx, ebpf_object *obj, uint32_t flags);

/* The object as a relocatable ELF file; deterministic. */
EBPF_API int ebpf_object_write(ebpf_ctx *ctx, const ebpf_object *obj, ebpf_bytes *elf);

/* The bytes of one section, as they stand before relocation; EBPF_E_ARG when there is none so
 * called. */
EBPF_API int ebpf_object_section(ebpf_ctx *ctx, const ebpf_object *obj, const char *name,
                                 size_t name_size, ebpf_bytes *bytes);

/* JSON: { endian, license, version, sections[], programs[], functions[], maps[], legacyMaps[],
 * globals[], structOps[], externs[], symbols[], relocations[], core, btf }; bindings/src/object.ts
 * has the types. */
EBPF_API int ebpf_object_info(ebpf_ctx *ctx, const ebpf_object *obj, ebpf_bytes *json);
/* Lines for people: programs, functions, maps, globals, externs, sections. */
EBPF_API int ebpf_object_text(ebpf_ctx *ctx, const ebpf_object *obj, ebpf_bytes *text);

/* ---- CO-RE ---- */

/* BTF to relocate against: as the kernel has it, or an ELF file with a .BTF section. Not copied: it
 * must stay until the call returns. */
typedef struct ebpf_core_target {
    const char *name; /* for messages */
    size_t name_size;
    const void *bytes;
    size_t size;
} ebpf_core_target;

enum ebpf_core_format { EBPF_CORE_TEXT = 0, EBPF_CORE_JSON = 1 };

/* Relocate all instructions of `obj` in place for the types of targets[0], a kernel's for example;
 * types that it does not have at all are looked for in the others, split BTF on the first
 * (modules'). What no target has makes its instruction an invalid call, as libbpf does. The report
 * lists every relocation with its outcome; JSON: { relocations[], resolved, poisoned, failed }.
 * EBPF_E_INPUT when some failed, the report is there then, or when a target is damaged, and it is
 * empty. */
EBPF_API int ebpf_object_relocate(ebpf_ctx *ctx, ebpf_object *obj, const ebpf_core_target *targets,
                                  uint32_t count, int format, ebpf_bytes *report);
/* ---- BTF ---- */

typedef struct eb_btf ebpf_btf; /* types, by themselves or on a base; owned by its context */

/* Read BTF from its bytes or from an ELF file of any machine that has a section .BTF. `base` is
 * what split BTF (a kernel module's) stands on, or NULL; it belongs to the same context. The bytes
 * are not copied: they must stay until the context is freed. */
EBPF_API int ebpf_btf_read(ebpf_ctx *ctx, const char *name, size_t name_size, const void *bytes,
                           size_t size, const ebpf_btf *base, ebpf_btf **out);

/* One past the largest type id, the base's included; ids count from 1. */
EBPF_API uint32_t ebpf_btf_count(const ebpf_btf *btf);
/* The id of its first own type: 1, or one past the base's last. */
EBPF_API uint32_t ebpf_btf_first(const ebpf_btf *btf);

/* *id: the first type behind `after` (0: of all) that has this name and one of the kinds whose bits
 * (1 << number, enum btf_kind of the kernel) are set; 0 when there is none. */
EBPF_API int ebpf_btf_find(const ebpf_btf *btf, uint32_t kinds, const char *name, size_t name_size,
                           uint32_t after, uint32_t *id);
/* *id: the enum that has an enumerator of this name; 0 when there is none. */
EBPF_API int ebpf_btf_find_enumerator(const ebpf_btf *btf, const char *name, size_t name_size,
                                      uint32_t *id);

enum ebpf_btf_format {
    EBPF_BTF_C = 0,   /* a header that compiles to the same layout; what the roots need, too */
    EBPF_BTF_RAW = 1, /* a line per type, as bpftool has them */
    EBPF_BTF_JSON = 2 /* { types: [{ id, kind, name, ... }] }, bpftool's keys */
};

/* The types `roots`, or all when there are none (but C: without those of the base), as text that
 * belongs to `ctx`, which need not be the BTF's. */
EBPF_API int ebpf_btf_dump(ebpf_ctx *ctx, const ebpf_btf *btf, int format, const uint32_t *roots,
                           uint32_t root_count, ebpf_bytes *text);

/* A type's name as C spells it: "const struct task_struct *". It belongs to `ctx`. EBPF_E_ARG for
 * an id that is not there. */
EBPF_API int ebpf_btf_spell(ebpf_ctx *ctx, const ebpf_btf *btf, uint32_t id, ebpf_bytes *text);
/* Its size in bytes; 0 for what has none. */
EBPF_API uint32_t ebpf_btf_size(const ebpf_btf *btf, uint32_t id);

EBPF_API const char *ebpf_version(void);

#ifdef __cplusplus
}
#endif
#endif
