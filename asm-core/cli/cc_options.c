/* cc_options.c - the command line of `bpfc cc`: the options that C compilers have, so that it
 * stands where a Makefile says clang. They are a table here and, in the same words, in
 * bindings/src/cli/cc_options.ts; a test compares what both print as help. */
#define _POSIX_C_SOURCE 200809L
#include "cc.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/utsname.h>
#endif

#define CLANG_VERSION "19.1.7" /* predef.def */

/* How an option meets its argument. */
typedef enum form {
    WORD,   /* it has none */
    GLUED,  /* behind it in the same word; it may be empty */
    APART,  /* the next word */
    EITHER, /* in the same word, or the next one */
} form;

typedef enum action {
    OUT,
    MODE,
    DEFINE,
    UNDEFINE,
    INCLUDE,
    DIR,        /* enum cc_dirs */
    DIR_BEHIND, /* the same, behind what -iprefix says */
    PREFIX,
    ROOT, /* 1: it goes before those of 0 */
    LEAVE_OUT,
    BTF,
    CPU,
    LEVEL,
    DEBUG,
    TARGET,
    LITTLE,
    BIG,
    STANDARD,
    STRICT_C89,
    DIALECT, /* bits of enum ebpf_cc_dialect */
    NO_DIALECT,
    WARN,
    PEDANTIC,
    QUIET,
    LANGUAGE,
    DEPENDENCIES,
    DEPENDENCY_FILE,
    TARGET_NAME,
    TARGET_QUOTED,
    PHONY,
    GENERATED,
    PREPROCESSOR,
    TEXT, /* bits of enum ebpf_cc_text */
    NO_MARKERS,
    SHOW_HEADERS,
    VERBOSE,
    COMMANDS,
    ERRORS,
    JSON,
    ANSWER,
    ANSWER_NAME,
    ANSWER_CPUS,
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
    {"-P", NULL, WORD, NO_MARKERS, 0, "with -E: without line markers"},
    {"-dM", NULL, WORD, TEXT, EBPF_CC_MACROS, "with -E: the macros, and nothing else"},
    {"-dD", NULL, WORD, TEXT, EBPF_CC_DEFINITIONS, "with -E: definitions of macros, too"},
    {"-C", NULL, WORD, TEXT, EBPF_CC_COMMENTS, "with -E: comments, too, but those of macros"},
    {"-CC", NULL, WORD, TEXT, EBPF_CC_COMMENTS, "as -C"},
    {"-fsyntax-only", NULL, WORD, MODE, CC_CHECK, "check only"},
    {"-D", "NAME[=VALUE]", EITHER, DEFINE, 0, "define a macro, as 1 when there is no value"},
    {"-U", "NAME", EITHER, UNDEFINE, 0, "take a macro's definition back"},
    {"-include", "FILE", EITHER, INCLUDE, 0, "read FILE first"},
    {"-imacros", "FILE", EITHER, INCLUDE, 1, "read FILE first, and keep its macros only"},
    {"-iquote", "DIR", EITHER, DIR, CC_QUOTE, "look there for #include \"...\""},
    {"-I", "DIR", EITHER, DIR, CC_ANGLE, "look there for headers; =DIR is behind --sysroot"},
    {"-isystem", "DIR", EITHER, DIR, CC_SYSTEM, "look there, too; not the program's own headers"},
    {"-idirafter", "DIR", EITHER, DIR, CC_AFTER, "look there last"},
    {"-iprefix", "PATH", EITHER, PREFIX, 0, "what the next two put before their DIR"},
    {"-iwithprefix", "DIR", EITHER, DIR_BEHIND, CC_AFTER, "as -idirafter"},
    {"-iwithprefixbefore", "DIR", EITHER, DIR_BEHIND, CC_ANGLE, "as -I"},
    {"--sysroot=", "DIR", GLUED, ROOT, 0, "the system's headers are in DIR"},
    {"--sysroot", "DIR", APART, ROOT, 0, "the system's headers are in DIR"},
    {"-isysroot", "DIR", EITHER, ROOT, 1, "the system's headers are in DIR"},
    {"--embed-dir=", "DIR", GLUED, DIR, CC_EMBED, "look there for what #embed names"},
    {"-nostdinc", NULL, WORD, LEAVE_OUT, CC_PACKED | CC_OF_SYSTEM,
     "neither the headers that come with the compiler nor the system's"},
    {"-nostdlibinc", NULL, WORD, LEAVE_OUT, CC_OF_SYSTEM, "not the system's headers"},
    {"-nobuiltininc", NULL, WORD, LEAVE_OUT, CC_PACKED,
     "not the headers that come with the compiler"},
    {"--btf", "FILE", APART, BTF, 0,
     "types for #include \"vmlinux.h\", the running kernel's when not given; again: its modules"},
    {"-mcpu=", "CPU", GLUED, CPU, 0,
     "instruction set v1, v2, v3, v4 or probe, what this kernel has; v3 when not given"},
    {"-O", "LEVEL", GLUED, LEVEL, 0, "0, 1, 2, 3, s, z, g or fast; 2 when not given"},
    {"-g", "LEVEL", GLUED, DEBUG, 0,
     "0: no BTF and no line information; else, as without -g, both"},
    {"-target", "T", APART, TARGET, 0, "bpf, bpfel or bpfeb"},
    {"--target=", "T", GLUED, TARGET, 0, "bpf, bpfel or bpfeb"},
    {"-mlittle-endian", NULL, WORD, LITTLE, 0, "for little-endian machines, when nothing is said"},
    {"-mbig-endian", NULL, WORD, BIG, 0, "for big-endian machines"},
    {"-std=", "STD", GLUED, STANDARD, 0, "c89 to c23, gnu89 to gnu23; gnu17 when not given"},
    {"-ansi", NULL, WORD, STRICT_C89, 0, "as -std=c89"},
    {"-funsigned-char", NULL, WORD, DIALECT, EBPF_CC_UNSIGNED_CHAR, "char is unsigned"},
    {"-fno-signed-char", NULL, WORD, DIALECT, EBPF_CC_UNSIGNED_CHAR, "char is unsigned"},
    {"-fsigned-char", NULL, WORD, NO_DIALECT, EBPF_CC_UNSIGNED_CHAR, "char is signed, as it is"},
    {"-fno-unsigned-char", NULL, WORD, NO_DIALECT, EBPF_CC_UNSIGNED_CHAR,
     "char is signed, as it is"},
    {"-fshort-enums", NULL, WORD, DIALECT, EBPF_CC_SHORT_ENUMS,
     "an enum is as small as its values"},
    {"-fno-short-enums", NULL, WORD, NO_DIALECT, EBPF_CC_SHORT_ENUMS,
     "an enum is an int at least, as it is"},
    {"-fms-extensions", NULL, WORD, DIALECT, EBPF_CC_MS_EXTENSIONS,
     "struct tag; as a member without a name"},
    {"-fno-ms-extensions", NULL, WORD, NO_DIALECT, EBPF_CC_MS_EXTENSIONS,
     "that is no member, as it is"},
    {"-ffreestanding", NULL, WORD, DIALECT, EBPF_CC_FREESTANDING, "__STDC_HOSTED__ is 0"},
    {"-fhosted", NULL, WORD, NO_DIALECT, EBPF_CC_FREESTANDING, "it is 1, as it is"},
    {"-fwrapv", NULL, WORD, DIALECT, EBPF_CC_WRAPPING, "signed sums that overflow wrap"},
    {"-fno-strict-overflow", NULL, WORD, DIALECT, EBPF_CC_WRAPPING, "as -fwrapv"},
    {"-fno-wrapv", NULL, WORD, NO_DIALECT, EBPF_CC_WRAPPING, "they are undefined, as it is"},
    {"-fstrict-overflow", NULL, WORD, NO_DIALECT, EBPF_CC_WRAPPING, "as -fno-wrapv"},
    {"-W", "WARNING", GLUED, WARN, 0, "switch warnings on, off (no-NAME), into errors (error)"},
    {"-pedantic", NULL, WORD, PEDANTIC, 0, "tell what is no ISO C, as -Wpedantic"},
    {"-pedantic-errors", NULL, WORD, PEDANTIC, 1, "as -Werror=pedantic"},
    {"-w", NULL, WORD, QUIET, 0, "no warnings"},
    {"-x", "LANGUAGE", EITHER, LANGUAGE, 0, "c or cpp-output: all FILEs are C"},
    {"-M", NULL, WORD, DEPENDENCIES, 0, "print what the object depends on, for make, and stop"},
    {"-MM", NULL, WORD, DEPENDENCIES, 1, "the same without the system's headers"},
    {"-MD", NULL, WORD, DEPENDENCIES, 2, "compile, and write dependencies to OUT.d"},
    {"-MMD", NULL, WORD, DEPENDENCIES, 3, "the same without the system's headers"},
    {"-MF", "FILE", EITHER, DEPENDENCY_FILE, 0, "write dependencies to FILE"},
    {"-MT", "TARGET", EITHER, TARGET_NAME, 0, "what they call the object"},
    {"-MQ", "TARGET", EITHER, TARGET_QUOTED, 0, "the same, quoted for make"},
    {"-MP", NULL, WORD, PHONY, 0, "a target for each header, too"},
    {"-MG", NULL, WORD, GENERATED, 0, "with -M, -MM: a header that is missing will be made"},
    {"-Wp,", "OPTION", GLUED, PREPROCESSOR, 0, "-MD,FILE, -MMD,FILE or another option"},
    {"-Xpreprocessor", "OPTION", APART, PREPROCESSOR, 0, "the same"},
    {"-H", NULL, WORD, SHOW_HEADERS, 0, "print the headers that are read"},
    {"-v", NULL, WORD, VERBOSE, 0, "list the folders that are searched"},
    {"-###", NULL, WORD, COMMANDS, 0, "print what would be done, and stop"},
    {"-ferror-limit=", "N", GLUED, ERRORS, 0,
     "tell of N errors at most, of all with 0; 20 when not given"},
    {"--json", NULL, WORD, JSON, 0, "diagnostics as JSON on standard output"},
    {"-fdump-ir", "[=PASS]", GLUED, IR, 0, "print the intermediate representation behind a pass"},
    {"-dumpversion", NULL, WORD, ANSWER, 0,
     "print " CLANG_VERSION ", the clang that it stands for"},
    {"-dumpmachine", NULL, WORD, ANSWER, 1, "print bpf"},
    {"-print-file-name=", "NAME", GLUED, ANSWER_NAME, 0, "print NAME: there are no libraries"},
    {"-print-search-dirs", NULL, WORD, ANSWER, 2, "print that there are no such folders"},
    {"--print-supported-cpus", NULL, WORD, ANSWER_CPUS, 0, "list what -mcpu= takes, as -mcpu=help"},
    {"-f", "OPTION", GLUED, IGNORE, 0, "accepted, and nothing changes"},
    {"-mllvm", "OPTION", APART, IGNORE, 0, "accepted, and nothing changes"},
    {"-mllvm=", "OPTION", GLUED, IGNORE, 0, "accepted, and nothing changes"},
    {"-mtune=", "CPU", GLUED, IGNORE, 0, "accepted, and nothing changes"},
    {"-Xclang", "OPTION", APART, IGNORE, 0, "accepted, and nothing changes"},
    {"--param", "NAME=N", APART, IGNORE, 0, "accepted, and nothing changes"},
    {"-resource-dir", "DIR", APART, IGNORE, 0, "accepted: there are no files of clang's"},
    {"-resource-dir=", "DIR", GLUED, IGNORE, 0, "accepted: there are no files of clang's"},
    {"--gcc-toolchain=", "DIR", GLUED, IGNORE, 0, "accepted: there are no files of gcc's"},
    {"-B", "DIR", EITHER, IGNORE, 0, "accepted: no other program is run"},
    {"-Xassembler", "OPTION", APART, IGNORE, 0, "accepted: no assembler is run"},
    {"-Xlinker", "OPTION", APART, IGNORE, 0, "accepted: nothing is linked"},
    {"-l", "LIBRARY", EITHER, IGNORE, 0, "accepted: nothing is linked"},
    {"-L", "DIR", EITHER, IGNORE, 0, "accepted: nothing is linked"},
    {"-Wl,", "OPTION", GLUED, IGNORE, 0, "accepted: nothing is linked"},
    {"-Wa,", "OPTION", GLUED, IGNORE, 0, "accepted: no assembler is run"},
    {"-emit-llvm", NULL, WORD, REFUSE, 0,
     "refused: there is no LLVM in here; leave it and llc out, for -c makes what llc makes of it"},
    {"-fsanitize=", "CHECKS", GLUED, REFUSE, 0,
     "refused: in BPF it is the kernel's verifier that checks accesses"},
    {"-march=", "CPU", GLUED, REFUSE, 0,
     "refused: --target=bpf says it, -mcpu= the instruction set"},
    {"-save-temps", NULL, GLUED, REFUSE, 0, "refused: -E makes the .i, -S the .s"},
    {"--version", NULL, WORD, VERSION, 0, "print the version"},
    {"--help", NULL, WORD, HELP, 0, "print this"},
};
enum { OPTIONS = sizeof table / sizeof *table };

/* Whole words that change nothing. */
static const char ignored[] =
    "-pipe -Qunused-arguments -Qn -Qy -nostdlib -nodefaultlibs -nostartfiles -nolibc -static "
    "-static-libgcc -shared -no-pie -pthread -rdynamic -s -m64 -mkernel -mno-red-zone -msoft-float "
    "-no-canonical-prefixes -no-integrated-cpp -integrated-as -no-integrated-as -trigraphs "
    "--driver-mode=gcc";

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
    printf("\n@FILE stands for the words in FILE. Accepted, and nothing changes:\n%s\n", ignored);
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

bool add_joined(words *to, words *made, const char *first, const char *second) {
    size_t size = strlen(first);
    char *both = malloc(size + strlen(second) + 1);
    if (!both) {
        fprintf(stderr, "bpfc: out of memory\n");
        return false;
    }
    memcpy(both, first, size);
    strcpy(both + size, second);
    if (add_word(made, both))
        return add_word(to, both);
    free(both);
    return false;
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
    static const char *const targets[] = {"bpf", "bpfel", "bpf_le", "bpfeb", "bpf_be"};
    size_t length = strcspn(argument, "-"); /* bpf-unknown-none is bpf */
    for (size_t n = 0; n < sizeof targets / sizeof *targets; n++)
        if (strlen(targets[n]) == length && memcmp(argument, targets[n], length) == 0) {
            o->endian = n > 2 ? EBPF_BIG : EBPF_LITTLE;
            return true;
        }
    return false;
}

/* What the running kernel has: v4 came with Linux 6.6, v3 with 5.1, v2 with 4.14. */
static uint32_t kernel_cpu(void) {
#if defined(__linux__)
    struct utsname info;
    unsigned major = 0, minor = 0;
    if (uname(&info) == 0 && sscanf(info.release, "%u.%u", &major, &minor) == 2) {
        unsigned version = major * 1000 + minor;
        return version >= 6006 ? 4 : version >= 5001 ? 3 : version >= 4014 ? 2 : 1;
    }
#endif
    return 0;
}

static bool list_cpus(cc_options *o) {
    return add_text(&o->answer, "Available CPUs for this target:\n\n"
                                "\tgeneric\n\tprobe\n\tv1\n\tv2\n\tv3\n\tv4\n");
}

static bool set_cpu(cc_options *o, const char *argument) {
    if (strcmp(argument, "help") == 0)
        return list_cpus(o);
    if (strcmp(argument, "generic") == 0)
        o->cpu = 0;
    else if (strcmp(argument, "probe") == 0)
        o->cpu = kernel_cpu();
    else if (argument[0] == 'v' && argument[1] >= '1' && argument[1] <= '4' && !argument[2])
        o->cpu = (uint32_t)(argument[1] - '0');
    else
        return false;
    return true;
}

static bool set_level(cc_options *o, const char *argument) {
    static const char levels[] = "0123szg";
    bool most = strcmp(argument, "fast") == 0 ||
                (strspn(argument, "0123456789") == strlen(argument) && atoi(argument) > 3);
    const char *level = most ? levels + 3 : *argument ? strchr(levels, *argument) : levels + 1;
    if (!level || (!most && *argument && argument[1]))
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

static int take_option(cc_options *o, size_t count, const char *const *at, size_t *used);

static bool preprocessor(cc_options *o, const char *argument) {
    int value = strncmp(argument, "-MD,", 4) == 0 ? 2 : strncmp(argument, "-MMD,", 5) == 0 ? 3 : 0;
    size_t used = 1;
    if (!value && argument[0] == '-' && !strchr(argument, ','))
        return strncmp(argument, "-Wp,", 4) != 0 && take_option(o, 1, &argument, &used) == 0;
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

static const char *const answers[] = {CLANG_VERSION, "bpf", "programs: =\nlibraries: ="};

static bool set_limit(cc_options *o, const char *argument) {
    size_t digits = strspn(argument, "0123456789");
    if (!digits || argument[digits])
        return false;
    unsigned long limit = digits < 10 ? strtoul(argument, NULL, 10) : 0;
    o->error_limit = limit ? (uint32_t)limit : UINT32_MAX;
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
        return add_text(&o->includes[option->value], "#%s \"%s\"\n",
                        option->value ? "__include_macros" : "include", argument);
    case DIR:
        return add_word(&o->dirs[option->value], argument);
    case DIR_BEHIND:
        return add_joined(&o->dirs[option->value], &o->made, o->prefix ? o->prefix : "", argument);
    case PREFIX:
        o->prefix = argument;
        return true;
    case ROOT:
        o->roots[option->value] = argument;
        return true;
    case LEAVE_OUT:
        o->left_out |= (unsigned)option->value;
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
    case STRICT_C89:
        return set_standard(o, "c89");
    case DIALECT:
        o->dialect |= (uint32_t)option->value;
        return true;
    case NO_DIALECT:
        o->dialect &= ~(uint32_t)option->value;
        return true;
    case WARN:
        return add_text(&o->warnings, "%s\n", argument);
    case PEDANTIC:
        return add_text(&o->warnings, option->value ? "error=pedantic\n" : "pedantic\n");
    case QUIET:
        return add_text(&o->warnings, "none\n");
    case LANGUAGE:
        return one_of(argument, "c cpp-output none");
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
    case GENERATED:
        o->generated = true;
        return true;
    case PREPROCESSOR:
        return preprocessor(o, argument);
    case TEXT:
        o->text |= (uint32_t)option->value;
        return true;
    case NO_MARKERS:
        o->no_markers = true;
        return true;
    case SHOW_HEADERS:
        o->show_headers = true;
        return true;
    case VERBOSE:
        o->verbose = true;
        return true;
    case COMMANDS:
        o->commands = true;
        return true;
    case ANSWER:
        return add_text(&o->answer, "%s\n", answers[option->value]);
    case ANSWER_NAME:
        return add_text(&o->answer, "%s\n", argument);
    case ANSWER_CPUS:
        return list_cpus(o);
    case ERRORS:
        return set_limit(o, argument);
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

/* ---- words ---- */

/* The option that `word` was meant to be, NULL when none is near; `ours`: of those that do
 * something. */
static const char *meant_by(const char *word, bool ours) {
    size_t length = strcspn(word, "=");
    struct near near = {.word = word, .length = length + (word[length] == '=')};
    for (int i = 0; i < OPTIONS; i++)
        if (!(ours && table[i].action == IGNORE))
            try_near(&near, table[i].name);
    return near.best;
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

static int unknown(const char *word, const char *meant) {
    fprintf(stderr, "bpfc: unknown option '%s'%s%s%s\nTry `bpfc cc --help`.\n", word,
            meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
    return EXIT_USAGE;
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

/* The option at at[0]; *used is how many words it is. */
static int take_option(cc_options *o, size_t count, const char *const *at, size_t *used) {
    if (one_of(at[0], ignored))
        return 0;
    const struct option *option = find(at[0]);
    /* clang has hundreds of -f; one that is nearly one of ours is meant to be that. */
    const char *meant = !option || strcmp(option->name, "-f") == 0 ? meant_by(at[0], option) : NULL;
    if (!option || meant)
        return unknown(at[0], meant);
    const char *argument = at[0] + strlen(option->name);
    if (option->form == APART || (option->form == EITHER && !*argument)) {
        if (count < 2)
            return complain("an argument is missing behind", at[0]);
        argument = at[1];
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

/* The next word of a response file, without its quotes, in its own place; NULL at the end. A
 * backslash stands before what is meant as it is. */
static char *next_word(char **rest) {
    char *from = *rest + strspn(*rest, " \t\r\n\f\v"), *start = from, *to = from, quote = 0;
    for (; *from && (quote || !strchr(" \t\r\n\f\v", *from)); from++) {
        if (*from == '\\' && from[1] && quote != '\'')
            *to++ = *++from;
        else if (*from == quote)
            quote = 0;
        else if (!quote && (*from == '"' || *from == '\''))
            quote = *from;
        else
            *to++ = *from;
    }
    bool none = from == start;
    *rest = from + (*from != 0);
    *to = 0;
    return none ? NULL : start;
}

/* A word of the command line; @FILE is the words in FILE. */
static int add_words(cc_options *o, const char *word, unsigned depth) {
    enum { DEPTH_MOST = 20 };
    blob file;
    if (word[0] != '@' || !word[1])
        return add_word(&o->said, word) ? 0 : EXIT_INPUT;
    if (depth == DEPTH_MOST)
        return complain("files of options name each other:", word);
    if (!read_file(word + 1, &file))
        return EXIT_INPUT;
    char *rest = realloc(file.data, file.size + 1);
    if (!rest || !add_word(&o->made, rest)) {
        free(rest ? (void *)rest : file.data);
        return EXIT_INPUT;
    }
    rest[file.size] = 0;
    int status = 0;
    for (char *next; status == 0 && (next = next_word(&rest));)
        status = add_words(o, next, depth + 1);
    return status;
}

int cc_read_options(cc_options *o, int argc, char **argv) {
    *o = (cc_options){.level = 2};
    for (int n = 0, status; n < argc; n++)
        if ((status = add_words(o, argv[n], 0)))
            return status;
    for (size_t n = 0, used; n < o->said.count; n += used) {
        const char *word = o->said.at[n];
        used = 1;
        int status = word[0] == '-' && word[1]
                         ? take_option(o, o->said.count - n, o->said.at + n, &used)
                         : take_file(o, word);
        if (status)
            return status;
        if (o->help || o->version || o->answer.size)
            return 0;
    }
    if (!o->files.count && !o->verbose && !o->commands)
        return complain("a FILE is missing", NULL);
    if (o->files.count > 1 && o->common.out)
        return complain("one OUT cannot be made of several FILEs:", o->common.out);
    if (o->generated && o->mode != CC_DEPENDENCIES)
        return complain("-MG stands beside -M or -MM", NULL);
    return 0;
}

void cc_free_words(words *all) {
    for (size_t n = 0; n < all->count; n++)
        free((void *)(uintptr_t)all->at[n]);
    free(all->at);
}

void cc_free_options(cc_options *o) {
    free(o->said.at);
    free(o->files.at);
    for (int n = 0; n < CC_DIRS; n++)
        free(o->dirs[n].at);
    cc_free_words(&o->made);
    free(o->defines.at);
    free(o->includes[0].at);
    free(o->includes[1].at);
    free(o->warnings.at);
    free(o->targets.at);
    free(o->answer.at);
}
