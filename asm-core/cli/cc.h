/* cc.h - between the files of `bpfc cc`: its options, where it looks for headers, what it read. */
#ifndef BPFC_CC_H
#define BPFC_CC_H

#include "cli.h"

typedef struct words {
    const char **at; /* from malloc; the words are not ours */
    size_t count;
} words;

typedef struct text {
    char *at; /* from malloc; not ended by NUL */
    size_t size;
} text;

/* What is made of each file. */
enum cc_mode { CC_OBJECT, CC_ASSEMBLY, CC_TEXT, CC_CHECK, CC_DEPENDENCIES, CC_IR };

/* Folders, in the order in which they are searched; the standard ones stand before CC_AFTER;
 * those of #embed are others. */
enum cc_dirs { CC_QUOTE, CC_ANGLE, CC_SYSTEM, CC_AFTER, CC_EMBED, CC_DIRS };

/* Standard folders that are not searched. */
enum cc_left_out { CC_PACKED = 1, CC_OF_SYSTEM = 2 };

typedef struct cc_options {
    options common; /* file (of those, the one at hand), out, btf, json */
    enum cc_mode mode;
    words said; /* the command line, without @FILE */
    words made; /* what was made for it; from malloc */
    words files, dirs[CC_DIRS];
    text defines, includes[2], warnings; /* lines; [1] of those that only define macros */
    text answer;                         /* what was asked for in place of compiling */
    const char *prefix, *roots[2];
    unsigned left_out; /* bits of enum cc_left_out */
    uint32_t cpu, endian, level, year, error_limit;
    uint32_t dialect, text; /* bits of enum ebpf_cc_dialect and ebpf_cc_text */
    kernel_btf btf;
    const char *ir; /* the pass behind which it is shown */
    bool no_debug, verbose, commands, help, version;
    bool no_markers, show_headers;
    bool strict; /* -std=c…, not gnu… */
    bool small;  /* -Os, -Oz */
    /* -MD and the like: */
    bool dependencies, own_only, phony, generated;
    const char *dependency_file;
    text targets;
} cc_options;

/* Read the command line; 0 or an exit status, after a message. */
int cc_read_options(cc_options *o, int argc, char **argv);
void cc_free_options(cc_options *o);
void cc_print_help(void);

bool add_word(words *to, const char *word);
/* Two as one, which is from malloc and goes to `made`, too. */
bool add_joined(words *to, words *made, const char *first, const char *second);
/* Free the words, too. */
void cc_free_words(words *all);
bool add_text(text *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- files ---- */

typedef struct cc_search {
    words dirs;      /* all of them, those for "name" only first */
    words embed;     /* those of #embed; not ours */
    words made;      /* those among them that are from malloc */
    size_t angle;    /* the first for <name> */
    size_t system;   /* the first of those whose headers are not the user's own */
    words found;     /* paths that were read, in their order; from malloc */
    words found_own; /* those among them that are the user's own */
    bool generated;  /* what is nowhere will be made */
} cc_search;

bool cc_open_search(cc_search *s, const cc_options *o);
void cc_close_search(cc_search *s);
/* The folders, as compilers list them for -v. */
void cc_print_search(const cc_search *s);
/* Answer what the unit asks for. */
int cc_answer(ebpf_cc *unit, cc_search *s, kernel_btf *btf);
/* What `out` is made of, for make; false after a message. */
bool cc_write_dependencies(const cc_options *o, const cc_search *s, const char *out);
/* FILE with another ending, in the current folder; from malloc. "-" is standard output. */
char *cc_output_path(const char *file, const char *ending);

#endif
