/* object.h - the hub: what every producer makes and every consumer takes.
 *
 * Sections, symbols and relocations as ELF has them, with the views that BPF adds: programs (the
 * functions in executable sections) and maps (the variables of .maps). Numbers in it are host
 * numbers; section bytes are in the object's byte order. Everything lives in the context's arena.
 * Sources: the ELF specification, LLVM's BPF relocation types, libbpf's conventions. */
#ifndef EB_OBJECT_H
#define EB_OBJECT_H

#include "ctx.h"

enum {
    EB_EM_BPF = 247,
    EB_SHN_UNDEF = 0,
    EB_SHT_NULL = 0,
    EB_SHT_PROGBITS = 1,
    EB_SHT_SYMTAB = 2,
    EB_SHT_STRTAB = 3,
    EB_SHT_RELA = 4,
    EB_SHT_NOTE = 7,
    EB_SHT_NOBITS = 8,
    EB_SHT_REL = 9,
    EB_SHT_INIT_ARRAY = 14,
    EB_SHT_FINI_ARRAY = 15,
    EB_SHT_PREINIT_ARRAY = 16,
    EB_SHT_GROUP = 17,
    EB_SHT_SYMTAB_SHNDX = 18,
    EB_SHT_LLVM_ADDRSIG = 0x6fff4c03,
    EB_SHF_WRITE = 1,
    EB_SHF_ALLOC = 2,
    EB_SHF_EXECINSTR = 4,
    EB_SHF_MERGE = 0x10,
    EB_SHF_STRINGS = 0x20,
    EB_SHF_INFO_LINK = 0x40,
    EB_SHF_LINK_ORDER = 0x80,
    EB_SHF_GROUP = 0x200,
    EB_STB_LOCAL = 0,
    EB_STB_GLOBAL = 1,
    EB_STB_WEAK = 2,
    EB_STT_NOTYPE = 0,
    EB_STT_OBJECT = 1,
    EB_STT_FUNC = 2,
    EB_STT_SECTION = 3,
    EB_STT_FILE = 4,
    EB_STV_DEFAULT = 0,
    EB_STV_INTERNAL = 1,
    EB_STV_HIDDEN = 2,
    EB_STV_PROTECTED = 3,
    EB_R_BPF_64_64 = 1,
    EB_R_BPF_64_ABS64 = 2,
    EB_R_BPF_64_ABS32 = 3,
    EB_R_BPF_64_NODYLD32 = 4,
    EB_R_BPF_64_32 = 10
};

/* Sections of symbols that are in none. In a file they are 0xfff1 and 0xfff2, which are numbers of
 * sections here: there may be more than 16 bits count. */
#define EB_SHN_ABS    UINT32_C(0xfffffff1)
#define EB_SHN_COMMON UINT32_C(0xfffffff2)

typedef struct eb_reloc {
    uint64_t offset; /* in its section */
    uint32_t type;   /* EB_R_BPF_... */
    uint32_t symbol; /* index into the object's symbols */
    int64_t addend;  /* of RELA sections; REL keeps its addend in place */
} eb_reloc;

/* Records of .BTF.ext (btf_ext.h). Offsets are those of an instruction in its section, in bytes; a
 * section's records are sorted by them. Types are ids of the object's BTF. */
typedef struct eb_line { /* from here on, instructions come from this line */
    uint32_t offset;
    eb_str file, text;     /* text: the line itself, or "" */
    uint32_t line, column; /* from 1; 0 is unknown */
} eb_line;

typedef struct eb_func_type { /* the function that starts here has this type */
    uint32_t offset, type;
} eb_func_type;

typedef struct eb_core_relo { /* a value in this instruction depends on the target (core.h) */
    uint32_t offset, type, kind;
    eb_str access; /* "0:1:2": members and elements from the type on, or an enumerator */
} eb_core_relo;

/* eb_section.link: the symbol table, which is no section here. */
#define EB_LINK_SYMTAB UINT32_MAX

typedef struct eb_section {
    eb_str name;
    uint32_t type;  /* EB_SHT_... */
    uint64_t flags; /* EB_SHF_... */
    uint64_t align; /* 0 and 1 mean none */
    uint64_t entsize;
    uint64_t size; /* equals bytes.len, but for EB_SHT_NOBITS */
    eb_buf bytes;
    EB_VEC(eb_reloc) relocs;
    bool rela;           /* its relocations carry their addend */
    uint32_t link;       /* a section, EB_LINK_SYMTAB, or 0 */
    uint32_t info;       /* EB_SHT_GROUP: a symbol; EB_SHF_INFO_LINK: a section; else as in ELF */
    EB_VEC(eb_loc) locs; /* per 8-byte slot where it was written; empty when unknown */
    EB_VEC(eb_line) lines;
    EB_VEC(eb_func_type) func_types;
    EB_VEC(eb_core_relo) core;
    eb_loc loc;
} eb_section;

typedef struct eb_symbol {
    eb_str name;
    uint32_t section; /* index, or EB_SHN_UNDEF, EB_SHN_ABS, EB_SHN_COMMON */
    uint64_t value, size;
    uint8_t bind, type, visibility;
    eb_loc loc;
} eb_symbol;

/* A function of an executable section. */
typedef struct eb_func {
    eb_str name;
    uint32_t symbol, section;
    uint64_t offset,
        size;     /* bytes in the section; size reaches to the next function when ELF has 0 */
    bool program; /* an entry point: not in .text, and its section is named by SEC() */
} eb_func;

typedef struct eb_map_def {
    eb_str name;
    uint32_t symbol;
    uint32_t type, key_size, value_size, max_entries, flags, numa_node, pinning;
    uint64_t extra;
    uint32_t btf_key, btf_value; /* BTF type ids, or 0 */
    uint32_t values_at;          /* offset of its initial values in the variable, or 0 */
    uint32_t inner;              /* 1 + index of the inner map's definition in maps, or 0; inner
                                    definitions have symbol 0 and stand behind all others */
} eb_map_def;

typedef struct eb_btf eb_btf;

struct ebpf_object {
    ebpf_ctx *ctx;
    bool big;                    /* byte order */
    uint32_t eflags;             /* e_flags */
    eb_str name;                 /* for diagnostics */
    EB_VEC(eb_section) sections; /* [0] is the null section */
    EB_VEC(eb_symbol) symbols;   /* [0] is the null symbol; the writer puts locals first */
    EB_VEC(eb_func) funcs;       /* by section and offset; eb_object_index fills it */
    EB_VEC(eb_map_def) maps;     /* in .maps order; eb_object_index fills it */
    eb_str license;              /* contents of the license section, "" without */
    eb_btf *btf;                 /* parsed .BTF, or NULL */
    EB_VEC(uint32_t) ext_order;  /* the sections that have records, in the order of .BTF.ext */
};

/* A new object with the null section and the null symbol. */
ebpf_object *eb_object_new(ebpf_ctx *ctx, bool big);
/* Append; the index is returned. Pointers into the vectors are valid until the next append. */
uint32_t eb_object_add_section(ebpf_object *obj, eb_str name, uint32_t type, uint64_t flags);
uint32_t eb_object_add_symbol(ebpf_object *obj, eb_str name, uint32_t section, uint64_t value);
/* The first section called `name`, or 0. */
uint32_t eb_object_find_section(const ebpf_object *obj, eb_str name);
/* An object whose ".text" is `bytes`, which start with an instruction; EBPF_E_INPUT with a
 * diagnostic when they are no whole number of slots. */
int eb_object_from_raw(ebpf_ctx *ctx, eb_str name, const uint8_t *bytes, size_t size, bool big,
                       ebpf_object **out);

/* Fill funcs, maps, license and btf from sections and symbols. Producers call it once when the
 * object is complete. Functions and maps that libbpf would refuse are left out with a warning,
 * since everything else can still be shown; returns EBPF_E_INPUT when .BTF is damaged, otherwise 0.
 */
int eb_object_index(ebpf_object *obj);

/* ELF bytes to object (elf_read.c), indexed; what it keeps is copied. DWARF (.debug_* and their
 * relocations), .llvm_addrsig, string and symbol tables are not sections of the object. */
int eb_elf_read(ebpf_ctx *ctx, eb_str name, const uint8_t *bytes, size_t size, ebpf_object **out);
/* Object to ELF bytes (elf_write.c): what is given, nothing added. */
void eb_elf_write(const ebpf_object *obj, eb_buf *out);

/* Take out what is there for debuggers (strip.c); flags of enum ebpf_strip_flags. With its BTF an
 * object loses what is known of its maps' types and its instructions' lines. */
void eb_object_strip(ebpf_object *obj, uint32_t flags);

/* The object described as JSON (info.c); see ebpf_object_info. */
void eb_object_info_json(const ebpf_object *obj, eb_buf *out);
/* The same for people (info_text.c). */
void eb_object_info_text(const ebpf_object *obj, eb_buf *out);

#endif
