/* cpp.c - `bpfc cpp`: preprocess a C file, looking for #include files as compilers do: "name"
 * beside the including file, then in the -I folders, then in the -idirafter ones. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

enum { DIRS_MOST = 256 };

typedef struct unit_options {
    options common;
    const char *dirs[DIRS_MOST], *after[DIRS_MOST];
    size_t dir_count, after_count;
    char *defines; /* from malloc */
    size_t defines_size;
    uint32_t cpu, plain;
    bool preprocess, check;
    const char *ir;
    kernel_btf btf;
} unit_options;

/* ---- the command line ---- */

static bool add_define(unit_options *o, const char *format, const char *text, size_t size) {
    size_t more = strlen(format) + size + 1;
    char *at = realloc(o->defines, o->defines_size + more);
    if (!at)
        return false;
    o->defines = at;
    int n = snprintf(at + o->defines_size, more, format, (int)size, text);
    o->defines_size += (size_t)n;
    return true;
}

/* NAME, NAME=VALUE or NAME(A,B)=VALUE. */
static bool define(unit_options *o, const char *text) {
    const char *equals = strchr(text, '=');
    size_t name = equals ? (size_t)(equals - text) : strlen(text);
    if (!add_define(o, "#define %.*s ", text, name))
        return false;
    const char *value = equals ? equals + 1 : "1";
    return add_define(o, "%.*s\n", value, strlen(value));
}

static bool add_dir(const char **dirs, size_t *count, const char *dir) {
    if (*count == DIRS_MOST)
        return false;
    dirs[(*count)++] = dir;
    return true;
}

/* One option with its argument, which may be glued to it; the words used, or 0 if it is unknown. */
static int take(unit_options *o, int argc, char **argv) {
    static const char *const taking[] = {"-idirafter", "-include", "-isystem", "-I",
                                         "-D",         "-U",       "-o",       "--btf"};
    enum { TAKING = sizeof taking / sizeof taking[0] };
    const char *word = argv[0], *argument = NULL;
    size_t kind = 0;
    while (kind < TAKING && strncmp(word, taking[kind], strlen(taking[kind])) != 0)
        kind++;
    if (kind == TAKING) {
        if (strncmp(word, "-mcpu=v", 7) == 0 && word[7] >= '1' && word[7] <= '4' && !word[8])
            o->cpu = (uint32_t)(word[7] - '0');
        else if (strcmp(word, "-mbig-endian") == 0)
            o->common.endian = EBPF_BIG;
        else if (strcmp(word, "-O0") == 0)
            o->plain = 1;
        else if (strcmp(word, "-O2") == 0 || strcmp(word, "-g") == 0 || strcmp(word, "-c") == 0 ||
                 strcmp(word, "-w") == 0)
            ; /* as it is */
        else if (strcmp(word, "-E") == 0)
            o->preprocess = true;
        else if (strcmp(word, "-fsyntax-only") == 0)
            o->check = true;
        else if (strncmp(word, "-fdump-ir", 9) == 0 && (!word[9] || word[9] == '='))
            o->ir = word + 9 + (word[9] == '=');
        else if (strcmp(word, "--json") == 0)
            o->common.json = true;
        else
            return 0;
        return 1;
    }
    int used = 1;
    argument = word + strlen(taking[kind]);
    if (!*argument) {
        if (argc < 2)
            return 0;
        argument = argv[1];
        used = 2;
    }
    bool ok = true;
    switch (kind) {
    case 0:
        ok = add_dir(o->after, &o->after_count, argument);
        break;
    case 1:
        ok = add_define(o, "#include \"%.*s\"\n", argument, strlen(argument));
        break;
    case 2:
    case 3:
        ok = add_dir(o->dirs, &o->dir_count, argument);
        break;
    case 4:
        ok = define(o, argument);
        break;
    case 5:
        ok = add_define(o, "#undef %.*s\n", argument, strlen(argument));
        break;
    case 6:
        o->common.out = argument;
        break;
    default:
        ok = o->btf.count < BTFS_MOST;
        if (ok)
            o->btf.paths[o->btf.count++] = argument + (*argument == '=');
    }
    return ok ? used : 0;
}

/* ---- files ---- */

static char *joined(const char *dir, size_t dir_size, const ebpf_cc_file *wanted) {
    char *path = malloc(dir_size + 1 + wanted->spelling_size + 1);
    if (!path)
        return NULL;
    size_t n = dir_size;
    memcpy(path, dir, n);
    if (n)
        path[n++] = '/';
    memcpy(path + n, wanted->spelling, wanted->spelling_size);
    path[n + wanted->spelling_size] = 0;
    return path;
}

/* Tries one folder; true when the unit has its answer. */
static bool try_dir(ebpf_cc *unit, const ebpf_cc_file *wanted, const char *dir, size_t size,
                    int *status) {
    bool absolute = wanted->spelling_size && wanted->spelling[0] == '/';
    char *path = joined(dir, absolute ? 0 : size, wanted);
    FILE *probe = path ? fopen(path, "rb") : NULL;
    blob file;
    bool found = false;
    if (probe) {
        int byte = fgetc(probe); /* a folder opens, but cannot be read */
        found = byte != EOF || !ferror(probe);
        fclose(probe);
    }
    if (found && (found = read_file(path, &file))) {
        *status = ebpf_cc_answer(unit, path, strlen(path), file.data, file.size);
        free(file.data);
    }
    free(path);
    return found;
}

static const char *dir_at(const unit_options *o, size_t n) {
    return n < o->dir_count ? o->dirs[n] : o->after[n - o->dir_count];
}

/* The folder behind the one that `from` was found in, for #include_next. */
static size_t next_dir(const unit_options *o, const ebpf_cc_file *wanted) {
    size_t count = o->dir_count + o->after_count, best = 0, length = 0;
    for (size_t n = 0; n < count; n++) {
        size_t size = strlen(dir_at(o, n));
        if (size < wanted->from_size && wanted->from[size] == '/' && size >= length &&
            memcmp(wanted->from, dir_at(o, n), size) == 0) {
            length = size + 1;
            best = n + 1;
        }
    }
    return best;
}

static int answer(ebpf_cc *unit, unit_options *o) {
    ebpf_cc_file wanted;
    int status = ebpf_cc_request(unit, &wanted);
    size_t from = 0, slash = wanted.from_size;
    if (wanted.kind == EBPF_INCLUDE_QUOTE) {
        while (slash && wanted.from[slash - 1] != '/')
            slash--;
        if (try_dir(unit, &wanted, wanted.from, slash ? slash - 1 : 0, &status))
            return status;
    } else if (wanted.kind != EBPF_INCLUDE_ANGLE) {
        from = next_dir(o, &wanted);
    }
    for (size_t n = from; n < o->dir_count + o->after_count; n++)
        if (try_dir(unit, &wanted, dir_at(o, n), strlen(dir_at(o, n)), &status))
            return status;
    if (is_vmlinux(&wanted) && has_btf(&o->btf))
        return answer_vmlinux(unit, &o->btf);
    return ebpf_cc_absent(unit);
}

/* ---- the request ---- */

static int preprocess(ebpf_ctx *ctx, unit_options *o, const blob *file) {
    ebpf_cc_options said = {.cpu = o->cpu,
                            .endian = (uint32_t)o->common.endian,
                            .plain = o->plain,
                            .defines = o->defines,
                            .defines_size = o->defines_size};
    ebpf_cc *unit;
    ebpf_bytes text = {0};
    ebpf_object *object = NULL;
    int status = ebpf_cc_new(ctx, o->common.file, strlen(o->common.file), file->data, file->size,
                             &said, &unit);
    while (status == EBPF_OK &&
           (status = o->check        ? ebpf_cc_check(unit)
                     : o->ir         ? ebpf_cc_ir(unit, o->ir, &text)
                     : o->preprocess ? ebpf_cc_preprocess(unit, &text)
                                     : ebpf_cc_compile(unit, &object)) == EBPF_NEED_FILE)
        status = answer(unit, o);
    if (object)
        status = ebpf_object_write(ctx, object, &text);
    int exit_status = report(ctx, &o->common, status);
    if (text.size && !write_file(o->common.out ? o->common.out : "-", text.data, text.size))
        return EXIT_INPUT;
    return exit_status;
}

static int complain(const char *what, const char *word) {
    fprintf(stderr, "bpfc: cc: %s '%s'\n", what, word);
    return EXIT_USAGE;
}

static int read_options(unit_options *o, int argc, char **argv) {
    for (int n = 0, used; n < argc; n += used) {
        used = 1;
        if (argv[n][0] != '-' || !argv[n][1]) {
            if (o->common.file)
                return complain("one FILE at a time, not also", argv[n]);
            o->common.file = argv[n];
        } else if (!(used = take(o, argc - n, argv + n))) {
            return complain("unknown option, or one without its argument:", argv[n]);
        }
    }
    return o->common.file ? 0 : complain("a FILE is missing:", "cc FILE [OPTION...]");
}

int verb_cc(int argc, char **argv) {
    unit_options o = {0};
    blob file;
    int status = read_options(&o, argc, argv);
    if (!status && !read_file(o.common.file, &file))
        status = EXIT_INPUT;
    else if (!status) {
        ebpf_ctx *ctx = ebpf_ctx_new(0);
        status = ctx ? preprocess(ctx, &o, &file) : EXIT_INPUT;
        ebpf_ctx_free(ctx);
        free(file.data);
        close_btf(&o.btf);
    }
    free(o.defines);
    return status;
}
