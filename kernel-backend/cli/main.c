/*
 * main.c: kb, the command of kernel-backend: loads objects into the running kernel, attaches them,
 * and looks at what is there. It is written over kb.h alone, as any other C program would be. Verbs
 * and options are tables, and the help is made of them.
 */
#include "cli.h"
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { LOAD = 1, ATTACH = 2, PROG = 4, BTF = 8, ANY = 255 };

static const struct verb {
    const char *name;
    int (*run)(const struct command *command);
    const char *arguments;
    const char *help;
    int bit;
} verbs[] = {
    {"load", run_load, "FILE", "load an object, say what it became, and let it go; --pin keeps it",
     LOAD},
    {"attach", run_attach, "FILE",
     "load an object and attach it where its sections say, or --to a place, until a signal comes",
     ATTACH},
    {"prog", run_prog, "[list | show P | dump P [xlated|jited] | run P | output P [stdout|stderr]]",
     "programs: P is an id or a pinned path; dump writes the code's bytes", PROG},
    {"map", run_map, "[list | show M | dump M | get M KEY | set M KEY VALUE | delete M KEY]",
     "maps and their entries; keys and values are bytes, as hexadecimal or @FILE", 0},
    {"link", run_link, "[list | show L | detach L]", "attachments", 0},
    {"btf", run_btf, "[list | dump ID]",
     "types that programs and the kernel have; `bpfc btf dump FILE` reads what is dumped", BTF},
    {"query", run_query, "PLACE", "what is attached at a place: tcx:eth0, cgroup:/sys/fs/cgroup, …",
     0},
    {"features", run_features, "[KIND [NAME...] | helper TYPE NAME...]",
     "what this kernel can do, by trying it", 0},
    {"pin", run_pin, "prog|map|link ID PATH", "give it a name in a BPF file system", 0},
    {"unpin", run_unpin, "PATH...", "take names away", 0},
};
enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

enum kind { FLAG, TEXT, NUMBER, SECONDS, NAMES };

static const struct option {
    const char *name, *argument;
    int verbs; /* that have it */
    enum kind kind;
    size_t offset;
    const char *help;
} options[] = {
    {"--json", NULL, ANY, FLAG, offsetof(struct command, json), "output, and errors, as JSON"},
    {"--pin", "FOLDER", LOAD | ATTACH, TEXT, offsetof(struct command, pin),
     "pin programs, maps and links in FOLDER of a BPF file system, and end"},
    {"--only", "NAME", LOAD | ATTACH, NAMES, offsetof(struct command, only),
     "load this program; again for more"},
    {"--log", "LEVEL", LOAD | ATTACH, NUMBER, offsetof(struct command, log_level),
     "the verifier's log also of what it accepts: 1, 2, +4 for its figures"},
    {"--to", "PLACE", ATTACH, TEXT, offsetof(struct command, to),
     "attach all programs there: xdp:eth0, tcx:eth0:egress, …"},
    {"--for", "SECONDS", ATTACH, SECONDS, offsetof(struct command, seconds),
     "detach after this time"},
    {"--out", "FILE", PROG | BTF, TEXT, offsetof(struct command, out),
     "dump: where to; standard output when not given"},
    {"--data", "HEX|@FILE", PROG, TEXT, offsetof(struct command, data), "run: the packet"},
    {"--repeat", "N", PROG, NUMBER, offsetof(struct command, repeat), "run: how often"},
};
enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

struct kb_error failure;
static bool json;

/* Saying what is wrong ------------------------------------------------------------------------*/

static int say(int status, const char *format, va_list args) {
    fputs("kb: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    return status;
}

int wrong(const char *format, ...) {
    va_list args;

    va_start(args, format);
    int status = say(EXIT_WORDS, format, args);
    va_end(args);
    return status;
}

int failed(const char *format, ...) {
    va_list args;

    va_start(args, format);
    int status = say(EXIT_WRONG, format, args);
    va_end(args);
    return status;
}

/* With --json the whole record, on standard error, too. */
int told(void) {
    if (json) {
        out_begin(true, stderr);
        out_record(NULL);
        out_record("error");
        out_text("code", kb_errno_name(failure.errnum));
        out_number("errno", (uint64_t)failure.errnum);
        out_text("operation", failure.operation);
        out_text("subject", failure.subject);
        out_text("text", failure.text);
        out_text("reason", failure.reason);
        out_text("remedy", failure.remedy);
        out_text("log", failure.log);
        out_end_record();
        out_end_record();
        out_end();
        return EXIT_WRONG;
    }
    if (failure.log)
        fprintf(stderr, "%s\n", failure.log);
    fprintf(stderr, "kb: %s\n", failure.text ? failure.text : kb_errno_name(failure.errnum));
    return EXIT_WRONG;
}

/* Words ---------------------------------------------------------------------------------------*/

bool read_number(const char *text, uint64_t most, uint64_t *number) {
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    *number = value;
    return !*end && !errno && value <= most;
}

static bool read_whole(FILE *file, uint8_t **bytes, size_t *size) {
    size_t room = 0;

    *bytes = NULL;
    *size = 0;
    for (size_t got = 1; got; *size += got) {
        if (*size == room) {
            room = room ? 2 * room : 65536;
            uint8_t *grown = realloc(*bytes, room);
            if (!grown)
                return false;
            *bytes = grown;
        }
        got = fread(*bytes + *size, 1, room - *size, file);
    }
    return !ferror(file);
}

static int digit(char c) {
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

    return at ? (int)(at - digits) : -1;
}

static bool read_hex(const char *text, uint8_t **bytes, size_t *size) {
    uint8_t *out = malloc(strlen(text) / 2 + 1);

    *bytes = out;
    *size = 0;
    if (text[0] == '0' && (text[1] | 0x20) == 'x')
        text += 2;
    while (out && *text) {
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);
        if (high < 0 && isspace((unsigned char)*text)) {
            text++;
            continue;
        }
        if (low < 0)
            return false;
        out[(*size)++] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return out;
}

bool read_bytes(const char *text, uint8_t **bytes, size_t *size) {
    if (text[0] != '@') {
        if (read_hex(text, bytes, size))
            return true;
        free(*bytes);
        wrong("'%s' is not hexadecimal, two digits to a byte", text);
        return false;
    }
    FILE *file = fopen(text + 1, "re");
    if (file && read_whole(file, bytes, size)) {
        fclose(file);
        return true;
    }
    failed("%s: %s", text + 1, strerror(errno));
    if (file) {
        fclose(file);
        free(*bytes);
    }
    return false;
}

/* Help ----------------------------------------------------------------------------------------*/

static void help_options(int bit) {
    for (int i = 0; i < OPTIONS; i++) {
        if (!(options[i].verbs == ANY || options[i].verbs & bit))
            continue;
        int used = printf("  %s%s%s", options[i].name, options[i].argument ? " " : "",
                          options[i].argument ? options[i].argument : "");
        printf("%*s%s\n", used < 20 ? 20 - used : 1, "", options[i].help);
    }
}

static int help(const struct verb *verb) {
    if (verb) {
        printf("usage: kb %s %s [OPTION...]\n\n%s\n\n", verb->name, verb->arguments, verb->help);
        help_options(verb->bit);
        return 0;
    }
    puts("kb - eBPF objects in the running kernel\n\n"
         "usage: kb VERB [ARGUMENT...] [OPTION...]\n");
    for (int i = 0; i < VERBS; i++)
        printf("  %-9s %s\n", verbs[i].name, verbs[i].help);
    puts("\n`kb VERB --help` tells a verb's arguments and options; --json is for all of them.\n"
         "FILE must be trusted: it goes to libbpf as it is. Exit status: 0, 1 where something\n"
         "failed (standard error says what, why and what to do), 2 for a wrong command line.");
    return 0;
}

/* Reading the command line --------------------------------------------------------------------*/

static bool set_option(const struct option *option, const char *value, struct command *command) {
    char *field = (char *)command + option->offset, *end;
    uint64_t number;

    switch (option->kind) {
    case FLAG:
        *(bool *)(void *)field = true;
        return true;
    case TEXT:
        memcpy(field, &value, sizeof(value));
        return true;
    case NUMBER:
        if (!read_number(value, UINT32_MAX, &number))
            return false;
        *(uint32_t *)(void *)field = (uint32_t)number;
        return true;
    case SECONDS:
        command->seconds = strtod(value, &end);
        return end != value && !*end && command->seconds > 0 && command->seconds < 1e9;
    case NAMES:
        if (command->only_count == ONLY_MOST)
            return false;
        command->only[command->only_count++] = value;
        return true;
    }
    return false;
}

/* 0 or an exit status; takes the option's argument from the words behind it. */
static int read_option(const struct verb *verb, char **words[], struct command *command) {
    const char *word = *(*words)++;

    for (int i = 0; i < OPTIONS; i++) {
        const struct option *option = &options[i];
        if (strcmp(option->name, word) != 0)
            continue;
        if (option->verbs != ANY && !(option->verbs & verb->bit))
            return wrong("%s has no option %s; `kb %s --help` lists them", verb->name, word,
                         verb->name);
        const char *value = option->argument ? *(*words) : "";
        if (!value)
            return wrong("%s needs an argument: %s", word, option->argument);
        *words += option->argument != NULL;
        return set_option(option, value, command)
                   ? 0
                   : wrong("'%s' is wrong for %s %s", value, word, option->argument);
    }
    return wrong("there is no option %s; `kb %s --help` lists them", word, verb->name);
}

static const struct verb *find_verb(const char *name) {
    for (int i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static bool asks_for_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

int main(int argc, char **argv) {
    struct command command = {0};
    char **words = argv + 1;
    int rc = 0;

    if (argc < 2 || asks_for_help(argv[1]))
        return help(argc > 2 ? find_verb(argv[2]) : NULL), argc < 2 ? EXIT_WORDS : 0;
    if (strcmp(argv[1], "--version") == 0) {
        struct kb_versions versions;
        kb_get_versions(&versions);
        printf("kb, libbpf %s\n", versions.libbpf);
        return 0;
    }
    const struct verb *verb = find_verb(*words++);
    if (!verb)
        return wrong("there is no verb %s; `kb --help` lists them", argv[1]);
    while (!rc && *words) {
        if (asks_for_help(*words))
            return help(verb);
        if (strncmp(*words, "--", 2) == 0)
            rc = read_option(verb, &words, &command);
        else if (command.count == WORDS_MOST)
            rc = wrong("too many words: %s", *words);
        else
            command.words[command.count++] = *words++;
    }
    json = command.json;
    if (!rc)
        rc = verb->run(&command);
    kb_error_clear(&failure);
    return rc;
}
