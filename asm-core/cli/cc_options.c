/* cc_options.c - the command line of `bpfc cc`: the options that C compilers have, so that it
 * stands where a Makefile says clang. They are a table here and, in the same words, in
 * bindings/src/cli/cc_options.ts; a test compares what both print as help. */
#include "cc.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* How an option meets its argument. */
typedef enum form {
    WORD,   /* it has none */
    GLUED,  /* behind it in the same word; it may be empty */
    APART,  /* the next word */
    EITHER, /* in the same word, or the next one */
} form;

typedef enum action {
    OUT,
    MODE, /* these four in the order of enum cc_mode */
    DEFINE,
    UNDEFINE,
    INCLUDE,
    DIR_QUOTE, /* these four in the order of enum cc_dirs */
    DIR_ANGLE,
    DIR_SYSTEM,
    DIR_AFTER,
    NO_STANDARD,
    BTF,
    CPU,
    LEVEL,
    DEBUG,
    TARGET,
    LITTLE,
    BIG,
    STANDARD,
    WARN,
    QUIET,
    LANGUAGE,
    DEPENDENCIES,
    DEPENDENCY_FILE,
    TARGET_NAME,
    TARGET_QUOTED,
    PHONY,
    PREPROCESSOR,
    VERBOSE,
    JSON,
    HELP,
    VERSION,
    IGNORE,
    REFUSE,
    IR
} action;

static const struct option {
    const char *name, *argument;
    form form;
    action action;
    int value;
    const char *help;
} table[] = {
    {"-o", "OUT", EITHER, OUT, 0, "write to OUT (- is standard output)"},
    {"-c", NULL, WORD, MODE, CC_OBJECT, "make an object, FILE.o: so it is without -c, too"},
    {"-S", NULL, WORD, MODE, CC_ASSEMBLY, "make assembly, FILE.s, which `as` takes"},
    {"-E", NULL, WORD, MODE, CC_TEXT, "preprocess only, to standard output"},
    {"-fsyntax-only", NULL, WORD, MODE, CC_CHECK, "check only"},
    {"-D", "NAME[=VALUE]", EITHER, DEFINE, 0, "define a macro, as 1 when there is no value"},
    {"-U", "NAME", EITHER, UNDEFINE, 0, "take a macro's definition back"},
    {"-include", "FILE", EITHER, INCLUDE, 0, "read FILE first"},
    {"-iquote", "DIR", EITHER, DIR_QUOTE, 0, "look there for #include \"...\""},
    {"-I", "DIR", EITHER, DIR_ANGLE, 0, "look there for headers"},
    {"-isystem", "DIR", EITHER, DIR_SYSTEM, 0, "look there, too; not the program's own headers"},
    {"-idirafter", "DIR", EITHER, DIR_AFTER, 0, "look there last"},
    {"-nostdinc", NULL, WORD, NO_STANDARD, 0,
     "neither the headers that come with the compiler nor the system's"},
    {"--btf", "FILE", APART, BTF, 0,
     "types for #include \"vmlinux.h\", the running kernel's when not given; again: its modules"},
    {"-mcpu=", "CPU", GLUED, CPU, 0, "instruction set v1, v2, v3 or v4; v3 when not given"},
    {"-O", "LEVEL", GLUED, LEVEL, 0, "0, 1, 2, 3, s, z or g; 2 when not given"},
    {"-g", "LEVEL", GLUED, DEBUG, 0,
     "0: no BTF and no line information; else, as without -g, both"},
    {"-target", "T", APART, TARGET, 0, "bpf, bpfel or bpfeb"},
    {"--target=", "T", GLUED, TARGET, 0, "bpf, bpfel or bpfeb"},
    {"-mlittle-endian", NULL, WORD, LITTLE, 0, "for little-endian machines, when nothing is said"},
    {"-mbig-endian", NULL, WORD, BIG, 0, "for big-endian machines"},
    {"-std=", "STD", GLUED, STANDARD, 0, "c89 to c23, gnu89 to gnu23; gnu17 when not given"},
    {"-W", "WARNING", GLUED, WARN, 0, "switch warnings on, off (no-NAME), into errors (error)"},
    {"-w", NULL, WORD, QUIET, 0, "no warnings"},
    {"-x", "c", EITHER, LANGUAGE, 0, "accepted: all FILEs are C"},
    {"-M", NULL, WORD, DEPENDENCIES, 0, "print what the object depends on, for make, and stop"},
    {"-MM", NULL, WORD, DEPENDENCIES, 1, "the same without the system's headers"},
    {"-MD", NULL, WORD, DEPENDENCIES, 2, "compile, and write dependencies to OUT.d"},
    {"-MMD", NULL, WORD, DEPENDENCIES, 3, "the same without the system's headers"},
    {"-MF", "FILE", EITHER, DEPENDENCY_FILE, 0, "write dependencies to FILE"},
    {"-MT", "TARGET", EITHER, TARGET_NAME, 0, "what they call the object"},
    {"-MQ", "TARGET", EITHER, TARGET_QUOTED, 0, "the same, quoted for make"},
    {"-MP", NULL, WORD, PHONY, 0, "a target for each header, too"},
    {"-Wp,", "OPTION", GLUED, PREPROCESSOR, 0, "-MD,FILE or -MMD,FILE"},
    {"-v", NULL, WORD, VERBOSE, 0, "list the folders that are searched"},
    {"--json", NULL, WORD, JSON, 0, "diagnostics as JSON on standard output"},
    {"-fdump-ir", "[=PASS]", GLUED, IR, 0, "print the intermediate representation behind a pass"},
    {"-f", "OPTION", GLUED, IGNORE, 0, "accepted, and nothing changes"},
    {"-mllvm", "OPTION", APART, IGNORE, 0, "accepted, and nothing changes"},
    {"-Xclang", "OPTION", APART, IGNORE, 0, "accepted, and nothing changes"},
    {"-P", NULL, WORD, IGNORE, 0, "accepted: -E prints no line numbers"},
    {"-pipe", NULL, WORD, IGNORE, 0, "accepted, and nothing changes"},
    {"-Qunused-arguments", NULL, WORD, IGNORE, 0, "accepted, and nothing changes"},
    {"-nostdlib", NULL, WORD, IGNORE, 0, "accepted, and nothing changes"},
    {"-emit-llvm", NULL, WORD, REFUSE, 0, "refused: there is no LLVM in here; -S gives assembly"},
    {"--version", NULL, WORD, VERSION, 0, "print the version"},
    {"--help", NULL, WORD, HELP, 0, "print this"},
};
enum { OPTIONS = sizeof table / sizeof *table };

void cc_print_help(void) {
    printf("usage: bpfc cc FILE... [OPTION...]\n\n"
           "compile C into objects; the options are those of C compilers\n\n");
    for (int i = 0; i < OPTIONS; i++) {
        char left[40];
        const struct option *o = &table[i];
        snprintf(left, sizeof left, "%s%s%s", o->name, o->argument && o->form != GLUED ? " " : "",
                 o->argument ? o->argument : "");
        printf("  %-18s %s\n", left, o->help);
    }
}

bool add_word(words *to, const char *word) {
    const char **more = realloc(to->at, (to->count + 1) * sizeof *more);
    if (!more) {
        fprintf(stderr, "bpfc: out of memory\n");
        return false;
    }
    to->at = more;
    to->at[to->count++] = word;
    return true;
}

bool add_text(text *to, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *more = size < 0 ? NULL : realloc(to->at, to->size + (size_t)size + 1);
    if (more) {
        to->at = more;
        vsnprintf(to->at + to->size, (size_t)size + 1, format, again);
        to->size += (size_t)size;
    } else {
        fprintf(stderr, "bpfc: out of memory\n");
    }
    va_end(again);
    return more != NULL;
}

/* NAME, NAME=VALUE or NAME(A,B)=VALUE; the value ends with its line. */
static bool define(cc_options *o, const char *argument) {
    size_t line = strcspn(argument, "\n"), name = strcspn(argument, "=\n");
    if (argument[name] != '=')
        return add_text(&o->defines, "#define %.*s 1\n", (int)name, argument);
    return add_text(&o->defines, "#define %.*s %.*s\n", (int)name, argument, (int)(line - name - 1),
                    argument + name + 1);
}

static bool set_target(cc_options *o, const char *argument) {
    static const char *const targets[] = {"bpf", "bpfel", "bpfeb"};
    size_t length = strcspn(argument, "-"); /* bpf-unknown-none is bpf */
    for (size_t n = 0; n < 3; n++)
        if (strlen(targets[n]) == length && memcmp(argument, targets[n], length) == 0) {
            o->endian = n == 2 ? EBPF_BIG : EBPF_LITTLE;
            return true;
        }
    return false;
}

static bool set_cpu(cc_options *o, const char *argument) {
    if (strcmp(argument, "generic") == 0)
        o->cpu = 0;
    else if (argument[0] == 'v' && argument[1] >= '1' && argument[1] <= '4' && !argument[2])
        o->cpu = (uint32_t)(argument[1] - '0');
    else
        return false;
    return true;
}

static bool set_level(cc_options *o, const char *argument) {
    static const char levels[] = "0123szg";
    const char *level = *argument ? strchr(levels, *argument) : levels + 1;
    if (!level || (*argument && argument[1]))
        return false;
    o->level = level - levels > 3 ? 2 : (uint32_t)(level - levels);
    o->small = *level == 's' || *level == 'z';
    return true;
}

static bool one_of(const char *word, const char *list) {
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return length != 0;
    return false;
}

static bool set_standard(cc_options *o, const char *argument) {
    static const struct {
        uint32_t year;
        const char *names; /* behind c or gnu, and those of ISO */
    } standards[] = {
        {1989, "c89 c90 gnu89 gnu90 iso9899:1990 iso9899:199409"},
        {1999, "c99 c9x gnu99 gnu9x iso9899:1999 iso9899:199x"},
        {2011, "c11 c1x gnu11 gnu1x iso9899:2011 iso9899:201x"},
        {2017, "c17 c18 gnu17 gnu18 iso9899:2017 iso9899:2018"},
        {2023, "c23 c2x c2y gnu23 gnu2x gnu2y iso9899:2024"},
    };
    for (size_t n = 0; n < sizeof standards / sizeof standards[0]; n++)
        if (one_of(argument, standards[n].names)) {
            o->year = standards[n].year;
            o->strict = argument[0] != 'g';
            return true;
        }
    return false;
}

/* -M, -MM, -MD, -MMD: bit 0 leaves the system's headers out, bit 1 compiles as well. */
static bool set_dependencies(cc_options *o, int value) {
    o->dependencies = true;
    o->own_only = value & 1;
    if (!(value & 2))
        o->mode = CC_DEPENDENCIES;
    return true;
}

static bool preprocessor(cc_options *o, const char *argument) {
    int value = strncmp(argument, "-MD,", 4) == 0 ? 2 : strncmp(argument, "-MMD,", 5) == 0 ? 3 : 0;
    if (!value || strchr(argument + value + 2, ','))
        return false;
    o->dependency_file = argument + value + 2;
    return set_dependencies(o, value);
}

/* A target as make reads it. */
static bool add_target(cc_options *o, const char *name, bool quoted) {
    bool ok = !o->targets.size || add_text(&o->targets, " ");
    for (; ok && *name; name++) {
        const char *before = !quoted ? "" : *name == '$' ? "$" : strchr(" \t#", *name) ? "\\" : "";
        ok = add_text(&o->targets, "%s%c", before, *name);
    }
    return ok;
}

static bool add_btf(cc_options *o, const char *argument) {
    if (o->btf.count == BTFS_MOST)
        return false;
    o->btf.paths[o->btf.count++] = argument;
    return true;
}

/* False when the argument is not of its kind. */
static bool apply(cc_options *o, const struct option *option, const char *argument) {
    switch (option->action) { /* one case per row */
    case OUT:
        o->common.out = argument;
        return true;
    case MODE:
        if (option->value != CC_OBJECT) /* -c beside -E or -S says nothing new */
            o->mode = (enum cc_mode)option->value;
        return true;
    case DEFINE:
        return define(o, argument);
    case UNDEFINE:
        return add_text(&o->defines, "#undef %.*s\n", (int)strcspn(argument, "\n"), argument);
    case INCLUDE:
        return add_text(&o->includes, "#include \"%s\"\n", argument);
    case DIR_QUOTE:
    case DIR_ANGLE:
    case DIR_SYSTEM:
    case DIR_AFTER:
        return add_word(&o->dirs[option->action - DIR_QUOTE], argument);
    case NO_STANDARD:
        o->no_standard = true;
        return true;
    case BTF:
        return add_btf(o, argument);
    case CPU:
        return set_cpu(o, argument);
    case LEVEL:
        return set_level(o, argument);
    case DEBUG:
        o->no_debug = strcmp(argument, "0") == 0;
        return true;
    case TARGET:
        return set_target(o, argument);
    case LITTLE:
    case BIG:
        o->endian = option->action == BIG ? EBPF_BIG : EBPF_LITTLE;
        return true;
    case STANDARD:
        return set_standard(o, argument);
    case WARN:
        return add_text(&o->warnings, "%s\n", argument);
    case QUIET:
        return add_text(&o->warnings, "none\n");
    case LANGUAGE:
        return strcmp(argument, "c") == 0 || strcmp(argument, "none") == 0;
    case DEPENDENCIES:
        return set_dependencies(o, option->value);
    case DEPENDENCY_FILE:
        o->dependency_file = argument;
        return true;
    case TARGET_NAME:
    case TARGET_QUOTED:
        return add_target(o, argument, option->action == TARGET_QUOTED);
    case PHONY:
        o->phony = true;
        return true;
    case PREPROCESSOR:
        return preprocessor(o, argument);
    case VERBOSE:
        o->verbose = true;
        return true;
    case JSON:
        o->common.json = true;
        return true;
    case HELP:
        o->help = true;
        return true;
    case VERSION:
        o->version = true;
        return true;
    case REFUSE:
        return false;
    case IR:
        o->mode = CC_IR;
        o->ir = argument + (*argument == '=');
        return true;
    case IGNORE:
        break;
    }
    return true;
}

/* The row with the longest name that `word` begins with, or is. */
static const struct option *find(const char *word) {
    const struct option *best = NULL;
    size_t longest = 0;
    for (int i = 0; i < OPTIONS; i++) {
        size_t length = strlen(table[i].name);
        bool whole = table[i].form == WORD || table[i].form == APART;
        if (length > longest && strncmp(word, table[i].name, length) == 0 &&
            (!whole || !word[length])) {
            best = &table[i];
            longest = length;
        }
    }
    return best;
}

static int complain(const char *what, const char *word) {
    fprintf(stderr, "bpfc: %s%s%s%s\nTry `bpfc cc --help`.\n", what, word ? " '" : "",
            word ? word : "", word ? "'" : "");
    return EXIT_USAGE;
}

static int take_file(cc_options *o, const char *word) {
    const char *dot = strrchr(word, '.');
    if (dot && one_of(dot, ".o .a .s .S .ll .bc"))
        return complain("cc takes C; objects, assembly (see `as`) and bitcode it does not:", word);
    return add_word(&o->files, word) ? 0 : EXIT_INPUT;
}

/* The option at argv[0]; *used is how many words it is. */
static int take_option(cc_options *o, int argc, char **argv, int *used) {
    const struct option *option = find(argv[0]);
    if (!option)
        return complain("unknown option", argv[0]);
    const char *argument = argv[0] + strlen(option->name);
    if (option->form == APART || (option->form == EITHER && !*argument)) {
        if (argc < 2)
            return complain("an argument is missing behind", argv[0]);
        argument = argv[1];
        *used = 2;
    }
    if (apply(o, option, argument))
        return 0;
    if (option->action == REFUSE)
        fprintf(stderr, "bpfc: %s is %s\n", option->name, option->help);
    else
        fprintf(stderr, "bpfc: %s does not take '%s': %s\n", option->name, argument, option->help);
    return EXIT_USAGE;
}

int cc_read_options(cc_options *o, int argc, char **argv) {
    *o = (cc_options){.level = 2};
    for (int n = 0, used, status; n < argc; n += used) {
        used = 1;
        status = argv[n][0] == '-' && argv[n][1] ? take_option(o, argc - n, argv + n, &used)
                                                 : take_file(o, argv[n]);
        if (status)
            return status;
        if (o->help || o->version)
            return 0;
    }
    if (!o->files.count && !o->verbose)
        return complain("a FILE is missing", NULL);
    if (o->files.count > 1 && o->common.out)
        return complain("one OUT cannot be made of several FILEs:", o->common.out);
    return 0;
}

void cc_free_options(cc_options *o) {
    free(o->files.at);
    for (int n = 0; n < CC_DIRS; n++)
        free(o->dirs[n].at);
    free(o->defines.at);
    free(o->includes.at);
    free(o->warnings.at);
    free(o->targets.at);
}
