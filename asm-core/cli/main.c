/* main.c - bpfc: the command line of asm-core. Verbs and options are tables; `bpf`, the npm
 * command, has the same verbs with the same words. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { AS = 1, DIS = 2, SIM = 4, INFO = 8, CORE = 16, TYPES = 32, STRIP = 64, EXPLAIN = 128 };

static const struct verb {
    const char *name;
    int bit;
    int (*run)(const options *opt);
    const char *help;
    const char *action; /* the word between verb and FILE, where there is one */
} verbs[] = {
    {"as", AS, verb_as, "assemble FILE into an object (FILE.o, or -o OUT)", NULL},
    {"dis", DIS, verb_dis, "disassemble an object; the text assembles again", NULL},
    {"sim", SIM, verb_sim, "run a program in the VM; the last word printed is r0", NULL},
    {"info", INFO, verb_info, "describe an object as JSON, or as text on a terminal", NULL},
    {"strip", STRIP, verb_strip, "take debug information out of an object, in place or to -o OUT",
     NULL},
    {"core", CORE, verb_core, "list CO-RE relocations against BTF; -o writes the relocated object",
     NULL},
    {"explain", EXPLAIN, verb_explain,
     "say in plain words why the kernel's verifier log FILE refuses", NULL},
    {"btf", TYPES, verb_btf, "show the types of BTF, or of an ELF file that has some", "dump"},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

typedef enum kind { FLAG, TEXT, DIALECT, ENDIAN, FORMAT, NUMBER, BTF } kind;

static const struct option {
    const char *name, *argument;
    int verbs;
    kind kind;
    size_t offset;
    const char *help;
} option_table[] = {
    {"-o", "OUT", AS | DIS | INFO | CORE | TYPES | STRIP | EXPLAIN, TEXT, offsetof(options, out),
     "write to OUT (- is standard output)"},
    {"--dialect", "D", AS | DIS | SIM | INFO, DIALECT, offsetof(options, dialect),
     "llvm (r0 = 1) or ubpf (mov %r0, 1); llvm when not given"},
    {"--endian", "E", AS | DIS | SIM | INFO, ENDIAN, offsetof(options, endian),
     "little or big, for text and bare instructions; little when not given"},
    {"--raw", NULL, DIS | SIM | INFO, FLAG, offsetof(options, raw),
     "FILE is bare instructions, not ELF or text"},
    {"--bytes", NULL, DIS, FLAG, offsetof(options, bytes), "show each instruction's bytes"},
    {"--numeric", NULL, DIS, FLAG, offsetof(options, numeric), "jump distances instead of labels"},
    {"--hex", NULL, DIS, FLAG, offsetof(options, hex), "numbers in hexadecimal"},
    {"--source", NULL, DIS, FLAG, offsetof(options, source), "source lines as comments"},
    {"--objdump", NULL, DIS, FLAG, offsetof(options, objdump),
     "the text of llvm-objdump -d, which does not assemble"},
    {"--relocs", NULL, DIS, FLAG, offsetof(options, relocs),
     "with --objdump: relocations, as llvm-objdump -r"},
    {"--alu32", NULL, DIS, FLAG, offsetof(options, alu32),
     "with --objdump: as llvm-objdump --mcpu=v3"},
    {"--prog", "NAME", SIM, TEXT, offsetof(options, prog),
     "the program to run; the first when not given"},
    {"--mem", "HEX|@FILE", SIM, TEXT, offsetof(options, mem),
     "memory that r1 points to; r2 is its size"},
    {"--ctx", "HEX|@FILE", SIM, TEXT, offsetof(options, ctx),
     "the program's context: r1 points to it"},
    {"--packet", "HEX|@FILE", SIM, TEXT, offsetof(options, packet),
     "the packet of xdp and socket buffer programs, from the Ethernet header on"},
    {"--type", "T", SIM, TEXT, offsetof(options, type),
     "the program's type: a name (xdp) or a section (tc); its section's when not given"},
    {"--btf", "FILE", SIM, BTF, offsetof(options, btf),
     "BTF that CO-RE relocations are answered for; again: its modules"},
    {"--kconfig", "FILE", SIM, TEXT, offsetof(options, kconfig),
     "values of kconfig and ksym variables, as lines NAME=VALUE"},
    {"--break", "PLACE", SIM, TEXT, offsetof(options, stop),
     "show registers whenever it comes to a function, file:line or instruction"},
    {"--trace", NULL, SIM, FLAG, offsetof(options, trace),
     "show the last 1000 instructions and what they changed"},
    {"--coverage", NULL, SIM, FLAG, offsetof(options, coverage),
     "show how often each source line was run"},
    {"--budget", "N", SIM, NUMBER, offsetof(options, budget),
     "stop after N instructions; 100000000 when not given"},
    {"--btf", "FILE", CORE, BTF, offsetof(options, btf),
     "BTF to relocate against, /sys/kernel/btf/vmlinux when not given; again: its modules"},
    {"--format", "F", TYPES, FORMAT, offsetof(options, format),
     "c (a header), raw (a line per type) or json; c when not given"},
    {"--base", "FILE", TYPES, TEXT, offsetof(options, base),
     "the BTF that split BTF, a module's, stands on"},
    {"--root", "NAME|ID,...", TYPES, TEXT, offsetof(options, root),
     "these types only; in C with what they need"},
    {"--object", "FILE", EXPLAIN, TEXT, offsetof(options, object),
     "the object that was loaded: its lines of C, also where the log has none"},
    {"--prog", "NAME", EXPLAIN, TEXT, offsetof(options, prog),
     "with --object: which of its programs, where there are several"},
    {"--lines", NULL, EXPLAIN, FLAG, offsetof(options, lines),
     "the log itself as JSON: its lines, registers and stack slots read"},
    {"--json", NULL, EXPLAIN, FLAG, offsetof(options, json), "the explanation as JSON"},
    {"--labels", NULL, STRIP, FLAG, offsetof(options, labels),
     "also local labels that nothing refers to"},
    {"--no-btf", NULL, STRIP, FLAG, offsetof(options, no_btf),
     "also .BTF and .BTF.ext, without which libbpf loads no maps"},
    {"--text", NULL, INFO, FLAG, offsetof(options, text), "text for people, wherever it goes"},
    {"--json", NULL, AS | DIS | SIM | TYPES | STRIP, FLAG, offsetof(options, json),
     "diagnostics as JSON on standard output"},
    {"--json", NULL, INFO, FLAG, offsetof(options, json), "JSON, also on a terminal"},
    {"--json", NULL, CORE, FLAG, offsetof(options, json), "the list as JSON"},
};
enum { OPTIONS = sizeof option_table / sizeof *option_table };

static void print_usage(FILE *out) {
    fprintf(out,
            "bpfc %s - the BPF toolchain without LLVM\n\nusage: bpfc VERB FILE [OPTION...]\n\n",
            ebpf_version());
    fprintf(out, "  %-7s %s\n", "cc", "compile C into objects, with the options of C compilers");
    for (int i = 0; i < VERBS; i++)
        fprintf(out, "  %-7s %s\n", verbs[i].name, verbs[i].help);
    fprintf(out,
            "\nFILE may be - for standard input. `bpfc VERB --help` lists a verb's options.\n");
}

static void print_verb(const struct verb *verb) {
    printf("usage: bpfc %s%s%s FILE [OPTION...]\n\n%s\n\n", verb->name, verb->action ? " " : "",
           verb->action ? verb->action : "", verb->help);
    for (int i = 0; i < OPTIONS; i++) {
        char left[40];
        if (!(option_table[i].verbs & verb->bit))
            continue;
        snprintf(left, sizeof left, "%s %s", option_table[i].name,
                 option_table[i].argument ? option_table[i].argument : "");
        printf("  %-18s %s\n", left, option_table[i].help);
    }
}

static int usage_error(const char *what, const char *word) {
    fprintf(stderr, "bpfc: %s%s%s%s\nTry `bpfc --help`.\n", what, word ? " '" : "",
            word ? word : "", word ? "'" : "");
    return EXIT_USAGE;
}

static int unknown(const char *what, const struct near *near) {
    fprintf(stderr, "bpfc: unknown %s '%s'%s%s%s\nTry `bpfc --help`.\n", what, near->word,
            near->best ? "; did you mean '" : "", near->best ? near->best : "",
            near->best ? "'?" : "");
    return EXIT_USAGE;
}

static int unknown_option(const struct verb *verb, const char *word) {
    struct near near = {.word = word, .length = strlen(word)};
    for (int i = 0; i < OPTIONS; i++)
        if (option_table[i].verbs & verb->bit)
            try_near(&near, option_table[i].name);
    return unknown("option", &near);
}

static int unknown_verb(const char *word) {
    struct near near = {.word = word, .length = strlen(word)};
    try_near(&near, "cc");
    for (int i = 0; i < VERBS; i++)
        try_near(&near, verbs[i].name);
    return unknown("verb", &near);
}

static int no_action(const struct verb *verb, const char *word) {
    fprintf(stderr, "bpfc: behind %s stands %s%s%s%s\nTry `bpfc --help`.\n", verb->name,
            verb->action, word ? ", not '" : "; it is missing", word ? word : "", word ? "'" : "");
    return EXIT_USAGE;
}

static int word_index(const char *word, const char *const *words, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

/* Store `argument` where option `o` wants it; false when it is not of its kind. */
static bool store(const struct option *o, const char *argument, options *opt) {
    static const char *const dialects[] = {"llvm", "ubpf"}, *const endians[] = {"little", "big"};
    static const char *const formats[] = {"c", "raw", "json"};
    void *at = (char *)opt + o->offset;
    char *end;
    switch (o->kind) {
    case FLAG:
        *(bool *)at = true;
        return true;
    case TEXT:
        *(const char **)at = argument;
        return true;
    case DIALECT:
        *(int *)at = word_index(argument, dialects, EBPF_DIALECT_COUNT);
        return *(int *)at >= 0;
    case ENDIAN:
        *(int *)at = word_index(argument, endians, 2);
        return *(int *)at >= 0;
    case BTF:
        if (opt->btfs == BTFS_MOST)
            return false;
        opt->btf[opt->btfs++] = argument;
        return true;
    case FORMAT:
        *(int *)at = word_index(argument, formats, 3);
        return *(int *)at >= 0;
    default:
        errno = 0;
        *(uint64_t *)at = strtoull(argument, &end, 0);
        return argument[0] >= '0' && argument[0] <= '9' && !*end && !errno;
    }
}

static const struct option *find_option(const struct verb *verb, const char *word) {
    for (int i = 0; i < OPTIONS; i++)
        if ((option_table[i].verbs & verb->bit) && strcmp(word, option_table[i].name) == 0)
            return &option_table[i];
    return NULL;
}

static int run_verb(const struct verb *verb, int argc, char **argv) {
    options opt = {.budget = 100000000};
    bool acts = !verb->action;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--help") == 0) {
            print_verb(verb);
            return 0;
        }
        if (word[0] != '-' || !word[1]) {
            if (!acts && strcmp(word, verb->action) != 0)
                return no_action(verb, word);
            if (!acts) {
                acts = true;
                continue;
            }
            if (opt.file)
                return usage_error("one FILE at a time, not also", word);
            opt.file = word;
            continue;
        }
        const struct option *o = find_option(verb, word);
        if (!o)
            return unknown_option(verb, word);
        if (o->kind != FLAG && ++i == argc)
            return usage_error("an argument is missing behind", word);
        if (!store(o, argv[i], &opt)) {
            fprintf(stderr, "bpfc: %s does not take '%s': %s\n", o->name, argv[i], o->help);
            return EXIT_USAGE;
        }
    }
    if (!acts)
        return no_action(verb, NULL);
    if (!opt.file)
        return usage_error("a FILE is missing", NULL);
    return verb->run(&opt);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts(ebpf_version());
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "cc") == 0)
        return verb_cc(argc - 2, argv + 2);
    for (int i = 0; i < VERBS; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return run_verb(&verbs[i], argc - 2, argv + 2);
    return unknown_verb(argv[1]);
}
