/* btf.c - btf dump: the types of a file as C, lines or JSON. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

typedef struct roots {
    uint32_t *at, count;
} roots;

static bool add(roots *to, uint32_t id) {
    uint32_t *more = realloc(to->at, (to->count + 1) * sizeof *more);
    if (!more)
        return false;
    to->at = more;
    to->at[to->count++] = id;
    return true;
}

/* One word of --root: a number, or a name and with it all its namesakes. */
static bool find(const ebpf_btf *btf, const char *word, size_t length, roots *to) {
    uint32_t before = to->count, found = 0;
    char *end;
    unsigned long id = strtoul(word, &end, 10);
    if (*word >= '0' && *word <= '9' && end == word + length)
        return id && id < ebpf_btf_count(btf) && add(to, (uint32_t)id);
    while (ebpf_btf_find(btf, ~0u, word, length, found, &found) == EBPF_OK && found)
        if (!add(to, found))
            return false;
    return to->count > before;
}

static bool find_all(const ebpf_btf *btf, const options *opt, roots *to) {
    for (const char *word = opt->root; word;) {
        size_t length = strcspn(word, ",");
        if (!find(btf, word, length, to)) {
            fprintf(stderr, "bpfc: %s: there is no type '%.*s'\n", opt->file, (int)length, word);
            return false;
        }
        word = word[length] ? word + length + 1 : NULL;
    }
    return true;
}

static int dump(ebpf_ctx *ctx, const options *opt, const ebpf_btf *btf) {
    roots wanted = {0};
    ebpf_bytes text = {0};
    int code = EXIT_INPUT;
    if (find_all(btf, opt, &wanted)) {
        int status = ebpf_btf_dump(ctx, btf, opt->format, wanted.at, wanted.count, &text);
        code = report(ctx, opt, status);
        if (status == EBPF_OK)
            code = put_out(opt, &text);
    }
    free(wanted.at);
    return code;
}

static int work_btf(ebpf_ctx *ctx, const options *opt, const blob *file) {
    const char *name = input_name(opt->file);
    blob below = {0};
    ebpf_btf *base = NULL, *btf;
    int status = EBPF_OK;
    if (opt->base && !read_file(opt->base, &below))
        return EXIT_INPUT;
    if (opt->base)
        status =
            ebpf_btf_read(ctx, opt->base, strlen(opt->base), below.data, below.size, NULL, &base);
    if (status == EBPF_OK)
        status = ebpf_btf_read(ctx, name, strlen(name), file->data, file->size, base, &btf);
    int code = status == EBPF_OK ? dump(ctx, opt, btf) : report(ctx, opt, status);
    free(below.data);
    return code;
}

int verb_btf(const options *opt) {
    return with_file(opt, work_btf);
}
