/* cc_files.c - where `bpfc cc` looks for headers, and what it found, for make.
 *
 * As compilers do: "name" beside the including file and in the -iquote folders; then, as <name>, in
 * those of -I, of -isystem, the standard ones, those of -idirafter. The first standard folder is
 * the packed set of headers that comes with the compiler; behind it stand the system's, for what
 * the set does not have. The files of the set are in no folder, so make does not hear of them. */
#include "cc.h"

#include <stdlib.h>
#include <string.h>

/* ---- the folders ---- */

static const char *const standard_dirs[] = {EBPF_CC_HEADERS,
#if defined(__linux__)
                                            "/usr/local/include",
#if defined(__x86_64__)
                                            "/usr/include/x86_64-linux-gnu",
#elif defined(__aarch64__)
                                            "/usr/include/aarch64-linux-gnu",
#elif defined(__arm__)
                                            "/usr/include/arm-linux-gnueabihf",
#elif defined(__i386__)
                                            "/usr/include/i386-linux-gnu",
#elif defined(__powerpc64__)
                                            "/usr/include/powerpc64le-linux-gnu",
#elif defined(__s390x__)
                                            "/usr/include/s390x-linux-gnu",
#elif defined(__riscv)
                                            "/usr/include/riscv64-linux-gnu",
#endif
                                            "/usr/include"
#endif
};

/* What stands before the system's folders. */
static const char *root_of(const cc_options *o) {
    return o->roots[1] ? o->roots[1] : o->roots[0];
}

static bool add_dirs(cc_search *s, const cc_options *o, enum cc_dirs kind) {
    const words *dirs = &o->dirs[kind];
    const char *root = root_of(o);
    for (size_t n = 0; n < dirs->count; n++)
        if (root && dirs->at[n][0] == '=' ? !add_joined(&s->dirs, &s->made, root, dirs->at[n] + 1)
                                          : !add_word(&s->dirs, dirs->at[n]))
            return false;
    return true;
}

static bool add_standard(cc_search *s, const cc_options *o) {
    const char *root = root_of(o);
    for (size_t n = 0; n < sizeof standard_dirs / sizeof *standard_dirs; n++) {
        bool packed = n == 0;
        if (o->left_out & (packed ? CC_PACKED : CC_OF_SYSTEM))
            continue;
        if (root && !packed ? !add_joined(&s->dirs, &s->made, root, standard_dirs[n])
                            : !add_word(&s->dirs, standard_dirs[n]))
            return false;
    }
    return true;
}

bool cc_open_search(cc_search *s, const cc_options *o) {
    *s = (cc_search){.generated = o->generated, .embed = o->dirs[CC_EMBED]};
    if (!add_dirs(s, o, CC_QUOTE))
        return false;
    s->angle = s->dirs.count;
    if (!add_dirs(s, o, CC_ANGLE))
        return false;
    s->system = s->dirs.count;
    return add_dirs(s, o, CC_SYSTEM) && add_standard(s, o) && add_dirs(s, o, CC_AFTER);
}

void cc_close_search(cc_search *s) {
    cc_free_words(&s->found);
    free(s->found_own.at); /* the same paths */
    cc_free_words(&s->made);
    free(s->dirs.at);
}

/* Makefiles cut the folders out of this text, which is gcc's and clang's. */
void cc_print_search(const cc_search *s) {
    fprintf(stderr, "bpfc %s\nTarget: bpf\n#include \"...\" search starts here:\n", ebpf_version());
    for (size_t n = 0; n < s->dirs.count; n++) {
        if (n == s->angle)
            fprintf(stderr, "#include <...> search starts here:\n");
        FILE *dir = fopen(s->dirs.at[n], "rb");
        if (dir || strcmp(s->dirs.at[n], EBPF_CC_HEADERS) == 0)
            fprintf(stderr, " %s\n", s->dirs.at[n]);
        if (dir)
            fclose(dir);
    }
    if (s->angle == s->dirs.count)
        fprintf(stderr, "#include <...> search starts here:\n");
    fprintf(stderr, "End of search list.\n");
}

/* ---- answers ---- */

/* Remember a file for make. */
static bool note(cc_search *s, const char *path, bool own) {
    for (size_t n = 0; n < s->found.count; n++)
        if (strcmp(s->found.at[n], path) == 0)
            return true;
    char *copy = malloc(strlen(path) + 1);
    if (!copy || !add_word(&s->found, strcpy(copy, path))) {
        free(copy);
        return false;
    }
    return !own || add_word(&s->found_own, copy);
}

/* A file that can be read; nothing is printed when it is not there. */
static bool is_readable(const char *path) {
    FILE *file = fopen(path, "rb");
    bool readable = false;
    if (file) {
        readable = fgetc(file) != EOF || !ferror(file); /* a folder opens, but cannot be read */
        fclose(file);
    }
    return readable;
}

/* The wanted file, if it is `path`. */
static bool try_path(ebpf_cc *unit, cc_search *s, const char *path, bool own, int *status) {
    blob file;
    ebpf_bytes set = header_set();
    if (strncmp(path, EBPF_CC_HEADERS "/", sizeof EBPF_CC_HEADERS) == 0) {
        *status = set.size ? ebpf_cc_answer_packed(unit, path, strlen(path), set.data, set.size)
                           : EBPF_NEED_FILE;
        if (*status != EBPF_E_INPUT)
            return *status != EBPF_NEED_FILE;
        fprintf(stderr, "bpfc: the header set inside is of another version: `npm run build`\n");
        return false;
    }
    if (!is_readable(path) || !read_file(path, &file))
        return false;
    *status = note(s, path, own)
                  ? ebpf_cc_answer(unit, path, strlen(path), file.data, file.size, !own)
                  : EBPF_E_NOMEM;
    free(file.data);
    return true;
}

/* The wanted file, if it is in this folder. */
static bool try_dir(ebpf_cc *unit, cc_search *s, const ebpf_cc_file *wanted, const char *dir,
                    size_t size, bool own, int *status) {
    bool absolute = wanted->spelling_size && wanted->spelling[0] == '/';
    size_t n = absolute ? 0 : size;
    char *path = malloc(n + 1 + wanted->spelling_size + 1);
    if (!path) {
        *status = EBPF_E_NOMEM;
        return true;
    }
    memcpy(path, dir, n);
    if (n && path[n - 1] != '/')
        path[n++] = '/';
    memcpy(path + n, wanted->spelling, wanted->spelling_size);
    path[n + wanted->spelling_size] = 0;
    bool found = try_path(unit, s, path, own, status);
    free(path);
    return found;
}

/* The folder behind the one that `from` was found in, for #include_next. */
static size_t next_dir(const cc_search *s, const ebpf_cc_file *wanted) {
    size_t best = 0, length = 0;
    for (size_t n = 0; n < s->dirs.count; n++) {
        size_t size = strlen(s->dirs.at[n]);
        if (size < wanted->from_size && wanted->from[size] == '/' && size >= length &&
            memcmp(wanted->from, s->dirs.at[n], size) == 0) {
            length = size + 1;
            best = n + 1;
        }
    }
    return best;
}

static bool is_own(const cc_search *s, const char *path, size_t size) {
    if (size >= sizeof EBPF_CC_HEADERS &&
        memcmp(path, EBPF_CC_HEADERS, sizeof EBPF_CC_HEADERS - 1) == 0)
        return false;
    for (size_t n = s->found.count; n; n--)
        if (strlen(s->found.at[n - 1]) == size && memcmp(s->found.at[n - 1], path, size) == 0) {
            for (size_t own = s->found_own.count; own; own--)
                if (s->found_own.at[own - 1] == s->found.at[n - 1])
                    return true;
            return false;
        }
    return true;
}

/* -MG: an empty file of the name that was asked for. */
static int answer_generated(ebpf_cc *unit, cc_search *s, const ebpf_cc_file *wanted) {
    char *path = malloc(wanted->spelling_size + 1);
    if (!path)
        return EBPF_E_NOMEM;
    memcpy(path, wanted->spelling, wanted->spelling_size);
    path[wanted->spelling_size] = 0;
    int status =
        note(s, path, true) ? ebpf_cc_answer(unit, path, strlen(path), "", 0, 0) : EBPF_E_NOMEM;
    free(path);
    return status;
}

int cc_answer(ebpf_cc *unit, cc_search *s, kernel_btf *btf) {
    ebpf_cc_file wanted;
    int status = ebpf_cc_request(unit, &wanted);
    size_t from = 0, slash = wanted.from_size;
    bool own = is_own(s, wanted.from, wanted.from_size); /* what the system includes is its own */
    bool embeds = wanted.kind >= EBPF_EMBED_QUOTE;
    const words *dirs = embeds ? &s->embed : &s->dirs;
    if (wanted.kind == EBPF_INCLUDE_QUOTE || wanted.kind == EBPF_EMBED_QUOTE) {
        while (slash && wanted.from[slash - 1] != '/')
            slash--;
        if (try_dir(unit, s, &wanted, wanted.from, slash, own, &status))
            return status;
    } else if (wanted.kind == EBPF_INCLUDE_ANGLE) {
        from = s->angle;
    } else if (!embeds) {
        from = next_dir(s, &wanted);
    }
    for (size_t n = from; n < dirs->count; n++)
        if (try_dir(unit, s, &wanted, dirs->at[n], strlen(dirs->at[n]),
                    own && (embeds || n < s->system), &status))
            return status;
    if (embeds)
        return ebpf_cc_absent(unit);
    if (is_vmlinux(&wanted) && has_btf(btf))
        return answer_vmlinux(unit, btf);
    return s->generated ? answer_generated(unit, s, &wanted) : ebpf_cc_absent(unit);
}

/* ---- for make ---- */

char *cc_output_path(const char *file, const char *ending) {
    if (strcmp(file, "-") == 0)
        file = ending = "-";
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    const char *dot = strrchr(name, '.');
    size_t stem = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    stem = ending == file ? 0 : stem;
    char *path = malloc(stem + strlen(ending) + 1);
    if (path) {
        memcpy(path, name, stem);
        strcpy(path + stem, ending);
    }
    return path;
}

static bool add_path(text *to, const char *before, const char *path) {
    bool ok = add_text(to, "%s", before);
    for (; ok && *path; path++)
        ok = add_text(to, "%s%c", *path == '$' ? "$" : strchr(" \t#", *path) ? "\\" : "", *path);
    return ok;
}

/* A path behind others, in lines of 75 letters as clang counts them. */
static bool add_dependency(text *to, size_t *column, const char *path) {
    enum { WIDTH = 75 };
    size_t more = strlen(path) + 1, before = to->size;
    bool wide = *column + more + 2 > WIDTH;
    bool ok = add_path(to, wide ? " \\\n  " : " ", path);
    *column = wide ? 2 + more : *column + to->size - before;
    return ok;
}

/* target: FILE headers; with -MP a target for each header. */
static bool list(text *to, const cc_options *o, const words *headers, const char *target) {
    const char *file = o->common.file;
    bool ok = o->targets.size ? add_text(to, "%.*s", (int)o->targets.size, o->targets.at)
                              : add_path(to, "", target);
    ok = ok && add_text(to, ":");
    size_t column = to->size;
    ok = ok && (strcmp(file, "-") == 0 || add_dependency(to, &column, file));
    for (size_t n = 0; ok && n < headers->count; n++)
        ok = add_dependency(to, &column, headers->at[n]);
    ok = ok && add_text(to, "\n");
    for (size_t n = 0; ok && o->phony && n < headers->count; n++)
        ok = add_path(to, "", headers->at[n]) && add_text(to, ":\n");
    return ok;
}

/* OUT with .d in place of its ending; from malloc. */
static char *beside(const char *out) {
    const char *slash = strrchr(out, '/'), *dot = strrchr(slash ? slash : out, '.');
    size_t stem = dot ? (size_t)(dot - out) : strlen(out);
    char *path = malloc(stem + 3);
    if (path) {
        memcpy(path, out, stem);
        strcpy(path + stem, ".d");
    }
    return path;
}

bool cc_write_dependencies(const cc_options *o, const cc_search *s, const char *out) {
    text rule = {0};
    bool only = o->mode == CC_DEPENDENCIES, named = strcmp(out, "-") != 0;
    char *target = only || !named ? cc_output_path(o->common.file, ".o") : NULL;
    char *path = only ? NULL : named ? beside(out) : cc_output_path(o->common.file, ".d");
    const char *to = o->dependency_file ? o->dependency_file : path ? path : out;
    bool ok = list(&rule, o, o->own_only ? &s->found_own : &s->found, target ? target : out) &&
              write_file(to, rule.at, rule.size);
    free(rule.at);
    free(target);
    free(path);
    return ok;
}
