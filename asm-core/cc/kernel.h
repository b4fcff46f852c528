/* kernel.h - types from BTF: what #include "vmlinux.h" brings where no file is so called.
 *
 * The host answers the request for the file with BTF (ebpf_cc_answer_btf). The unit then reads a
 * header of a few lines that has two pragmas: from `ebpf_types` on names that the unit has not
 * declared are looked for in BTF, from `ebpf_kfuncs` on the kernel's functions as well. A type is
 * made when somebody asks for it, by name or because another one refers to its id, and each id
 * once; a record's members when the record must be complete.
 *
 * Files: kernel_names.c which of the unit's names BTF has, kernel_types.c ids to types,
 * kernel_scope.c what a name means, kernel_near.c what a misspelt one may mean. */
#ifndef EB_KERNEL_H
#define EB_KERNEL_H

#include "btf_align.h"
#include "parse.h"

/* A place where BTF has a name that the unit mentions. */
typedef struct eb_kernel_place {
    uint32_t btf, id;
    uint32_t number; /* the enumerator's in its enum, or EB_KERNEL_TYPE */
    uint32_t next;   /* 1 + the next place of that name and name space, or 0: ids ascend */
} eb_kernel_place;

enum { EB_KERNEL_TYPE = UINT32_MAX };

/* A name as BTF may have it. */
typedef struct eb_kernel_word {
    eb_str text;
    uint32_t tags, ordinary;          /* 1 + the first place, or 0 */
    uint32_t last_tag, last_ordinary; /* 1 + the last one */
    uint32_t kfunc;                   /* 1 + the place of the function, or 0 */
} eb_kernel_word;

/* A name of the unit: a word, or with the suffix of a namesake, x___2, the second x. */
typedef struct eb_kernel_name {
    uint32_t word;         /* 1 + the word that it is, or 0: not a name of the unit's text */
    uint32_t stem, number; /* 1 + the word without the suffix, or 0, and the suffix' number */
    eb_decl *decl;         /* what it was found to mean */
    eb_type *tag;
    bool no_decl, no_tag; /* BTF has none */
} eb_kernel_name;

/* One BTF: what is made of its types. */
typedef struct eb_kernel_btf {
    const eb_btf *btf;
    eb_type **types; /* per own type; NULL: not yet */
    eb_btf_aligns *aligns;
    bool told;          /* why they found no answer */
    eb_map definitions; /* names of declared records to their definitions' ids; made at the first */
} eb_kernel_btf;

struct eb_kernel {
    eb_unit *u;
    eb_kernel_btf *btfs; /* the kernel's first; the others, modules', stand on it */
    uint32_t count;
    bool preserve, kfuncs;
    bool narrow;   /* the kernel's longs have 4 bytes */
    eb_loc lo, hi; /* where the header is asked for */
    eb_map index;  /* the text of a word to its number */
    EB_VEC(eb_kernel_word) words;
    EB_VEC(eb_kernel_place) places;
    EB_VEC(eb_kernel_name) names; /* by number; longer ones came later and are not in BTF */
    EB_VEC(eb_decl *) functions;  /* that were asked for, in that order */
    uint32_t depth;
    eb_type making; /* stands for a type while it is made */
};

/* ---- kernel_names.c ---- */

/* Find the names of the unit's tokens in all BTF: one pass over its strings and one over its types.
 */
void eb_kernel_find_names(eb_kernel *k);

/* ---- kernel_near.c ---- */

/* The names of BTF that mean such a thing. */
void eb_kernel_near(const eb_unit *u, eb_meaning meaning, eb_near *near);

/* ---- kernel_types.c ---- */

/* The type with that id, made on first use; the error type after a diagnostic. */
eb_type *eb_kernel_type(eb_kernel *k, uint32_t btf, uint32_t id);
/* Whether it is a definition, not only a declaration. */
bool eb_kernel_defines(const eb_kernel *k, const eb_kernel_place *place);
/* The members of a record made here: record->btf says where they are. */
void eb_kernel_complete(eb_unit *u, eb_record *record);

/* ---- kernel_scope.c: all of it for names that the unit itself does not bind ---- */

/* #pragma ebpf_types and ebpf_kfuncs; at file scope, where the header is read. */
void eb_kernel_open(eb_unit *u);
void eb_kernel_open_functions(eb_unit *u);
/* What BTF says of an ordinary name or a tag, or NULL. `used`: only what was asked for before. */
eb_decl *eb_kernel_decl(eb_unit *u, uint32_t name, bool used);
eb_type *eb_kernel_tag(eb_unit *u, uint32_t name, bool used);
/* A record or enum of the unit's own that it has only declared is BTF's type of that name, if there
 * is one; true when it has become so. */
bool eb_kernel_adopt(eb_unit *u, eb_type *declared);
/* The kernel's function that the unit's own declaration of it agrees with, or NULL. */
eb_decl *eb_kernel_function_like(eb_unit *u, const eb_decl *decl);
/* The functions that were asked for join the unit's. */
void eb_kernel_close(eb_unit *u);

#endif
