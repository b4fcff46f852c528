/*
 * cli.h: what the files of the command kb share: the words of its command line, and its output,
 * which is lines of text for people or one JSON document. kb knows nothing but kb.h.
 */
#ifndef KB_CLI_H
#define KB_CLI_H

#include "kb.h"
#include <stdio.h>

enum { EXIT_WRONG = 1, EXIT_WORDS = 2 }; /* it failed; the command line is wrong */

enum { ONLY_MOST = 64, WORDS_MOST = 8 };

/* The command line, read. */
struct command {
    const char *words[WORDS_MOST]; /* what is no option, behind the verb */
    size_t count;
    bool json;
    const char *pin;  /* --pin FOLDER */
    const char *to;   /* --to PLACE */
    const char *out;  /* --out FILE */
    const char *data; /* --data HEX|@FILE */
    const char *only[ONLY_MOST];
    size_t only_count;
    uint32_t log_level;
    uint32_t repeat;
    double seconds; /* --for; 0 = until a signal */
};

/* Verbs: 0 or an exit status. What failed is said when they return. */
int run_load(const struct command *command);
int run_attach(const struct command *command);
int run_prog(const struct command *command);
int run_map(const struct command *command);
int run_link(const struct command *command);
int run_btf(const struct command *command);
int run_query(const struct command *command);
int run_features(const struct command *command);
int run_pin(const struct command *command);
int run_unpin(const struct command *command);

/* main.c --------------------------------------------------------------------------------------*/

/* The error record of the command. */
extern struct kb_error failure;

/* Says what is wrong with the command line; EXIT_WORDS. */
int wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Something that is not kb's failed; EXIT_WRONG. */
int failed(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A call of kb's failed: its record is told; EXIT_WRONG. */
int told(void);
/* Decimal or 0x…; false for anything else. */
bool read_number(const char *text, uint64_t most, uint64_t *number);
/* "HEX", spaces and 0x allowed, or "@FILE"; free() the bytes. False after saying why. */
bool read_bytes(const char *text, uint8_t **bytes, size_t *size);

/* place.c: "xdp:eth0", "tcx:eth0:egress", "cgroup:/sys/fs/cgroup/x", "netns" --------------------*/

/* Takes the text apart; `memory` is what the options point into. False after saying why. */
bool read_place(const char *text, struct kb_attach_opts *opts, char **memory);

/* things.c: programs, maps and links by id or by pin
 * ---------------------------------------------*/

/* A handle, or an exit status after telling. */
int open_program(const char *word, struct kb_program **program);
int open_map(const char *word, struct kb_map **map);
int open_link(const char *word, struct kb_link **link);
/* One record each. */
void tell_program(const struct kb_program *program);
void tell_map(const struct kb_map *map);
void tell_link(const struct kb_link *link);

/* out.c ---------------------------------------------------------------------------------------*/

/* Lists and records may be in each other. In text a list of a record has its key on a line above
 * it, a record is a line of "key value" pairs. Keys of what is in a list are NULL. */
void out_begin(bool json, FILE *file);
void out_list(const char *key);
void out_end_list(void);
void out_record(const char *key);
void out_end_record(void);
void out_number(const char *key, uint64_t number);
void out_signed(const char *key, int64_t number);
void out_bool(const char *key, bool value);
void out_text(const char *key, const char *text); /* NULL: nothing */
void out_hex(const char *key, const void *bytes, size_t size);
void out_numbers32(const char *key, const uint32_t *numbers, size_t count);
void out_numbers64(const char *key, const uint64_t *numbers, size_t count);
/* Ends the document; false if it could not be written. */
bool out_end(void);

#endif
