/*
 * object.c: objects: bytes of trusted ELF are opened (nothing asks the kernel), described, loaded
 * once and closed. A failed load names the map or program that failed, the errno, the reason and
 * the verifier's log.
 */
#include "internal.h"
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct kb_object *kb_object_ref(struct kb_object *object) {
    atomic_fetch_add(&object->refs, 1);
    return object;
}

/* Looking for a target, libbpf opens the BTF of every module, and closes it at the end of a load
 * only. An object that was never loaded is loaded with nothing in it. */
static void close_module_btf(struct kb_object *object) {
    if (object->loaded || !object->named_targets)
        return;
    for (size_t i = 0; i < object->program_count; i++)
        bpf_program__set_autoload(object->programs[i], false);
    for (size_t i = 0; i < object->map_count; i++)
        bpf_map__set_autocreate(object->maps[i], false);
    bpf_object__load(object->bpf);
}

void kb_object_unref(struct kb_object *object) {
    if (!object || atomic_fetch_sub(&object->refs, 1) != 1)
        return;
    struct kb_capture capture;
    kb_capture_begin(&capture);
    close_module_btf(object);
    bpf_object__close(object->bpf);
    kb_capture_end(&capture);
    kb_capture_free(&capture);
    kb_logs_free(object->logs);
    free(object->programs);
    free(object->maps);
    free(object->bytes);
    free(object);
}

void kb_object_close(struct kb_object **object) {
    if (!object)
        return;
    kb_object_unref(*object);
    *object = NULL;
}

/* Indices instead of libbpf's iterators. */
static bool list_contents(struct kb_object *object) {
    struct bpf_program *program = NULL;
    struct bpf_map *map = NULL;

    while ((program = bpf_object__next_program(object->bpf, program)))
        object->program_count++;
    while ((map = bpf_object__next_map(object->bpf, map)))
        object->map_count++;
    object->programs = calloc(object->program_count + 1, sizeof(struct bpf_program *));
    object->maps = calloc(object->map_count + 1, sizeof(struct bpf_map *));
    if (!object->programs || !object->maps)
        return false;
    for (size_t i = 0; (program = bpf_object__next_program(object->bpf, program)); i++)
        object->programs[i] = program;
    for (size_t i = 0; (map = bpf_object__next_map(object->bpf, map)); i++)
        object->maps[i] = map;
    return true;
}

static int open_bytes(struct kb_object *object, size_t size, const struct kb_open_opts *opts,
                      struct kb_error *err) {
    static const struct kb_open_opts none;
    const char *name = opts && opts->name ? opts->name : "bpf";
    struct kb_capture capture;

    opts = opts ? opts : &none;
    LIBBPF_OPTS(bpf_object_open_opts, open_opts, .object_name = name,
                .pin_root_path = opts->pin_root, .kconfig = opts->kconfig,
                .btf_custom_path = opts->btf_path, .relaxed_maps = opts->relaxed_maps,
                .bpf_token_path = opts->token_path);

    kb_capture_begin(&capture);
    object->bpf = bpf_object__open_mem(object->bytes, size, &open_opts);
    int errnum = object->bpf ? 0 : errno;
    if (!errnum && !list_contents(object))
        errnum = ENOMEM;
    if (!errnum)
        errnum = -kb_know_sections(object);
    kb_capture_end(&capture);
    int rc = 0;
    if (errnum)
        rc = kb_fail(err, errnum, "open object", name, "%s",
                     kb_capture_line(&capture, errnum == ENOMEM
                                                   ? "out of memory"
                                                   : "libbpf does not accept this ELF file"));
    kb_capture_free(&capture);
    return rc;
}

int kb_object_open(const void *bytes, size_t size, const struct kb_open_opts *opts,
                   struct kb_object **out, struct kb_error *err) {
    static const unsigned char magic[] = {0x7f, 'E', 'L', 'F'};
    enum { ELF64_HEADER = 64 };

    *out = NULL;
    if (!bytes || size < ELF64_HEADER || memcmp(bytes, magic, sizeof(magic)) != 0)
        return kb_fail(err, EINVAL, "open object", NULL,
                       "these %zu bytes are no 64-bit ELF file" KB_DO
                       "give what the assembler, compiler or linker wrote",
                       size);
    struct kb_object *object = calloc(1, sizeof(*object));
    void *copy = malloc(size);
    if (!object || !copy) {
        free(object);
        free(copy);
        return kb_fail(err, ENOMEM, "open object", NULL, "out of memory");
    }
    atomic_init(&object->refs, 1);
    object->bytes = memcpy(copy, bytes, size);
    int rc = open_bytes(object, size, opts, err);
    if (rc)
        kb_object_unref(object);
    else
        *out = object;
    return rc;
}

/* Load -----------------------------------------------------------------------------------------*/

/* The quoted name in the last captured line "WHAT 'NAME': SUFFIX…", copied; NULL if none. */
static char *failed_name(const char *messages, const char *what, const char *suffix) {
    const char *start = NULL, *stop = NULL;

    for (const char *at = messages; at && (at = strstr(at, what)); at++) {
        const char *name = at + strlen(what);
        const char *quote = strchr(name, '\'');
        if (quote && strncmp(quote, suffix, strlen(suffix)) == 0) {
            start = name;
            stop = quote;
        }
    }
    return start ? strndup(start, (size_t)(stop - start)) : NULL;
}

/* Lines that end every log and give no reason. */
static bool is_statistics(const char *line, size_t length) {
    static const char *const starts[] = {"processed ", "verification time", "stack depth",
                                         "insns processed", "max_states"};

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        if (length >= strlen(starts[i]) && strncmp(line, starts[i], strlen(starts[i])) == 0)
            return true;
    return length == 0;
}

/* Where the lines about instructions end: Linux 7.3 puts a report for people below them. */
static const char *end_of_lines(const char *log) {
    static const char report[] = "\nVerification failed: ";
    const char *found = NULL;

    for (const char *at = log; (at = strstr(at, report)); at++)
        found = at;
    return found ? found : log + strlen(log);
}

/* The last line of the log that says something: the verifier stops at its first complaint. */
static char *log_reason(const char *log) {
    const char *end = end_of_lines(log);

    while (end > log) {
        const char *line = end;
        while (line > log && line[-1] != '\n')
            line--;
        if (!is_statistics(line, (size_t)(end - line)))
            return strndup(line, (size_t)(end - line));
        end = line > log ? line - 1 : log;
    }
    return NULL;
}

/* What all programs together need, for failures before the first of them (libbpf's own trial). */
static uint64_t all_caps(const struct kb_object *object) {
    uint64_t caps = KB_CAP_BIT(KB_CAP_BPF);

    for (size_t i = 0; i < object->program_count; i++)
        caps |= kb_program_caps((uint32_t)bpf_program__type(object->programs[i]));
    return caps;
}

/* What libbpf said before its last word, which names only the errno; `otherwise` if nothing. */
static const char *words_before(const struct kb_capture *capture, const char *last,
                                const char *otherwise, char *text, size_t size) {
    const char *words = kb_capture_line(capture, "");
    const char *end = strstr(words, last);

    while (end && end > words && strncmp(end, "; ", 2) != 0)
        end--;
    size_t length = end ? (size_t)(end - words) : strlen(words);
    if (!length) {
        words = otherwise;
        length = strlen(words);
    } else if (strncmp(words, "map '", 5) == 0 || strncmp(words, "prog '", 6) == 0) {
        const char *colon = strstr(words, "': "); /* the record names it */
        size_t skip = colon ? (size_t)(colon - words) + 3 : 0;
        skip = skip < length ? skip : 0;
        words += skip;
        length -= skip;
    }
    length = length < size ? length : size - 1;
    memcpy(text, words, length);
    text[length] = 0;
    return text;
}

int kb_program_refused(struct kb_error *err, int errnum, const char *name, uint32_t type,
                       const char *log, const char *otherwise) {
    char *reason = log ? log_reason(log) : NULL;
    char why[512];
    int rc;

    kb_explain_lockdown(reason ? reason : "", why, sizeof(why));
    if (reason)
        rc = kb_fail(err, errnum, "load program", name, "the kernel's verifier refuses it: %s%s%s",
                     reason, why, why[0] ? "" : KB_DO "change the program where the log points to");
    else if (errnum == EPERM) {
        kb_explain_eperm(why, sizeof(why), kb_program_caps(type));
        rc = kb_fail(err, errnum, "load program", name, "%s", why);
    } else
        rc = kb_fail(err, errnum, "load program", name, "%s", otherwise);
    if (err && log)
        kb_error_set_log(err, strdup(log));
    free(reason);
    return rc;
}

static int program_refused(struct kb_object *object, struct kb_capture *capture, int errnum,
                           const char *name, struct kb_error *err) {
    const struct bpf_program *program = bpf_object__find_program_by_name(object->bpf, name);
    uint32_t type = program ? (uint32_t)bpf_program__type(program) : 0;
    uint32_t attach = program ? (uint32_t)bpf_program__expected_attach_type(program) : 0;
    char words[512];

    if (!kb_is_too_old(type, attach, words, sizeof(words)))
        words_before(capture, "BPF program load failed", kb_reason(errnum), words, sizeof(words));
    return kb_program_refused(err, errnum, name, type, kb_log_find(capture->logs, name), words);
}

static int map_refused(const struct kb_object *object, struct kb_capture *capture, int errnum,
                       const char *name, struct kb_error *err) {
    const struct bpf_map *map = bpf_object__find_map_by_name(object->bpf, name);
    char why[512];

    /* It was created, and then something with it failed. */
    if (*words_before(capture, "failed to create", "", why, sizeof(why)))
        return kb_fail(err, errnum, "create map", name, "%s", why);
    if (errnum == EPERM)
        kb_explain_eperm(why, sizeof(why), all_caps(object));
    else if (map) {
        struct kb_map_def def = {.name = name,
                                 .type = (uint32_t)bpf_map__type(map),
                                 .key_size = bpf_map__key_size(map),
                                 .value_size = bpf_map__value_size(map),
                                 .max_entries = bpf_map__max_entries(map),
                                 .flags = bpf_map__map_flags(map)};
        kb_explain_map(why, sizeof(why), &def, errnum);
    } else
        snprintf(why, sizeof(why), "%s", kb_reason(errnum));
    return kb_fail(err, errnum, "create map", name, "%s", why);
}

/* What is wrong with a program before it is loaded: a section's name that tells no type, or a name
 * to attach to that the kernel's BTF has not. */
static bool is_unknown(const struct bpf_program *program, const char *said, char *why,
                       size_t size) {
    char name[128], near[512];

    if (!program)
        return false;
    if (strstr(said, "missing BPF prog type")) {
        snprintf(why, size, "its section '%s' tells no type of program" KB_DO "%s",
                 bpf_program__section_name(program),
                 kb_near_section(bpf_program__section_name(program), near, sizeof(near)));
        return true;
    }
    static const char missing[] = "failed to find kernel BTF type ID of '";
    const char *at = strstr(said, missing);
    if (!at || sscanf(at + sizeof(missing) - 1, "%127[^']", name) != 1)
        return false;
    uint32_t attach_type = (uint32_t)bpf_program__expected_attach_type(program);
    snprintf(why, size, "the kernel's BTF has no '%s' to attach to" KB_DO "%s", name,
             kb_near_btf_target(attach_type, name, near, sizeof(near)));
    return true;
}

static int load_failed(struct kb_object *object, struct kb_capture *capture, int errnum,
                       struct kb_error *err) {
    char why[1024];
    int rc;
    char *program = failed_name(capture->messages, "prog '", "': BPF program load failed");
    char *map = failed_name(capture->messages, "map '", "': failed to create");
    char *unknown = failed_name(capture->messages, "prog '", "': failed to ");
    const char *said = kb_capture_line(capture, "");

    if (program)
        rc = program_refused(object, capture, errnum, program, err);
    else if (map)
        rc = map_refused(object, capture, errnum, map, err);
    else if (errnum == EPERM) {
        kb_explain_eperm(why, sizeof(why), all_caps(object));
        rc = kb_fail(err, errnum, "load object", bpf_object__name(object->bpf), "%s", why);
    } else if (strstr(said, "kernel BTF is missing"))
        rc = kb_fail(err, errnum, "load object", bpf_object__name(object->bpf),
                     "it needs the kernel's BTF, and there is no /sys/kernel/btf/vmlinux" KB_DO
                     "use a kernel with CONFIG_DEBUG_INFO_BTF, or BTF of this kernel from BTFHub "
                     "(btfPath)");
    else if (unknown && is_unknown(bpf_object__find_program_by_name(object->bpf, unknown), said,
                                   why, sizeof(why)))
        rc = kb_fail(err, errnum, "load program", unknown, "%s", why);
    else
        rc = kb_fail(err, errnum, "load object", bpf_object__name(object->bpf), "%s",
                     kb_capture_line(capture, "libbpf gives no reason"));
    free(program);
    free(map);
    free(unknown);
    return rc;
}

int kb_object_load(struct kb_object *object, const struct kb_load_opts *opts,
                   struct kb_error *err) {
    struct kb_capture capture;
    uint32_t log_level = opts ? opts->log_level : 0;

    if (object->loaded)
        return kb_fail(err, EALREADY, "load object", bpf_object__name(object->bpf),
                       "a load was tried before" KB_DO "open the bytes again to load them again");
    object->loaded = true;
    for (size_t i = 0; log_level && i < object->program_count; i++)
        bpf_program__set_log_level(object->programs[i], log_level);
    kb_capture_begin(&capture);
    int rc = bpf_object__load(object->bpf);
    kb_capture_end(&capture);
    if (rc)
        rc = load_failed(object, &capture, -rc, err);
    if (log_level) {
        object->logs = capture.logs;
        capture.logs = NULL;
    }
    kb_capture_free(&capture);
    return rc;
}

/* Contents -------------------------------------------------------------------------------------*/

size_t kb_object_program_count(const struct kb_object *object) {
    return object->program_count;
}

size_t kb_object_map_count(const struct kb_object *object) {
    return object->map_count;
}

static uint32_t map_fd_id(int fd) {
    struct bpf_map_info info;
    uint32_t size = sizeof(info);

    memset(&info, 0, sizeof(info));
    return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
}

static int fd_or_none(int fd) {
    return fd < 0 ? -1 : fd;
}

int kb_made_fd(const struct bpf_map *map) {
    return bpf_map__autocreate(map) ? bpf_map__fd(map) : -1;
}

int kb_object_program_info(const struct kb_object *object, size_t index,
                           struct kb_program_info *info) {
    if (index >= object->program_count)
        return -ERANGE;
    kb_describe_program(object->programs[index], info);
    return 0;
}

int kb_object_map_info(const struct kb_object *object, size_t index, struct kb_map_info *info) {
    if (index >= object->map_count)
        return -ERANGE;
    const struct bpf_map *map = object->maps[index];
    memset(info, 0, sizeof(*info)); /* what only kb_map_get_info() tells */
    info->name = bpf_map__name(map);
    info->type = (uint32_t)bpf_map__type(map);
    info->key_size = bpf_map__key_size(map);
    info->value_size = bpf_map__value_size(map);
    info->value_size_user = kb_value_size_user(info->type, info->value_size);
    info->max_entries = bpf_map__max_entries(map);
    info->flags = bpf_map__map_flags(map);
    info->fd = fd_or_none(kb_made_fd(map));
    info->id = map_fd_id(info->fd);
    info->btf_key_type_id = bpf_map__btf_key_type_id(map);
    info->btf_value_type_id = bpf_map__btf_value_type_id(map);
    return 0;
}

int kb_object_map(struct kb_object *object, size_t index, struct kb_map **out,
                  struct kb_error *err) {
    *out = NULL;
    if (index >= object->map_count)
        return kb_fail(err, ERANGE, "open map", NULL, "the object has %zu maps, not a number %zu",
                       object->map_count, index);
    const struct bpf_map *map = object->maps[index];
    int fd = kb_made_fd(map);
    if (fd < 0)
        return kb_fail(err, EBADF, "open map", bpf_map__name(map),
                       "it is not in the kernel" KB_DO "load the object first");
    int rc = kb_map_adopt(fd, bpf_map__name(map), out, err);
    if (rc)
        return rc;
    if ((*out)->type == KB_MAP_ARENA || (*out)->type == KB_MAP_STRUCT_OPS)
        (*out)->object = kb_object_ref(object);
    if ((*out)->type == KB_MAP_ARENA) {
        size_t size;
        (*out)->arena = bpf_map__initial_value(map, &size);
    }
    if ((*out)->type == KB_MAP_STRUCT_OPS)
        (*out)->ops = map;
    return 0;
}

/* Programs -------------------------------------------------------------------------------------*/

int kb_object_program(struct kb_object *object, size_t index, struct kb_program **out,
                      struct kb_error *err) {
    *out = NULL;
    if (index >= object->program_count)
        return kb_fail(err, ERANGE, "open program", NULL,
                       "the object has %zu programs, not a number %zu", object->program_count,
                       index);
    struct kb_program *program = calloc(1, sizeof(*program));
    if (!program)
        return kb_fail(err, ENOMEM, "open program", NULL, "out of memory");
    program->fd = -1;
    program->object = kb_object_ref(object);
    program->bpf = object->programs[index];
    *out = program;
    return 0;
}
