/*
 * things.c: what is in the kernel, whoever put it there: programs, maps and links, named by the
 * kernel's id or by the path that they are pinned at.
 */
#include "cli.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Naming --------------------------------------------------------------------------------------*/

struct name {
    uint32_t id;
    int fd; /* of a pin, or -1 */
};

/* 0, or an exit status after saying why. */
static int find(const char *word, enum kb_pin_kind wanted, const char *what, struct name *name) {
    enum kb_pin_kind kind;
    uint64_t number;

    name->fd = -1;
    if (!word)
        return wrong("which %s? Name it by its id, or by the path that it is pinned at", what);
    if (!strchr(word, '/')) {
        if (!read_number(word, UINT32_MAX, &number))
            return wrong("'%s' is neither an id nor a path with a '/'", word);
        name->id = (uint32_t)number;
        return 0;
    }
    if (kb_open_pinned(word, 0, &kind, &name->fd, &failure) != 0)
        return told();
    if (kind == wanted)
        return 0;
    close(name->fd);
    return failed("%s is no %s", word, what);
}

/* The handle owns the descriptor unless it could not be made. */
static int settle(int rc, const struct name *name) {
    if (rc == 0)
        return 0;
    if (name->fd >= 0)
        close(name->fd);
    return told();
}

int open_program(const char *word, struct kb_program **program) {
    struct name name;
    int rc = find(word, KB_PIN_PROGRAM, "program", &name);

    *program = NULL;
    if (rc)
        return rc;
    return settle(name.fd < 0 ? kb_program_open(name.id, program, &failure)
                              : kb_program_adopt(name.fd, program, &failure),
                  &name);
}

int open_map(const char *word, struct kb_map **map) {
    struct name name;
    int rc = find(word, KB_PIN_MAP, "map", &name);

    *map = NULL;
    if (rc)
        return rc;
    return settle(name.fd < 0 ? kb_map_open_id(name.id, map, &failure)
                              : kb_map_open_fd(name.fd, true, map, &failure),
                  &name);
}

int open_link(const char *word, struct kb_link **link) {
    struct name name;
    int rc = find(word, KB_PIN_LINK, "link", &name);

    *link = NULL;
    if (rc)
        return rc;
    return settle(name.fd < 0 ? kb_link_open(name.id, link, &failure)
                              : kb_link_adopt(name.fd, link, &failure),
                  &name);
}

/* Telling -------------------------------------------------------------------------------------*/

void tell_program(const struct kb_program *program) {
    struct kb_program_details details;

    if (kb_program_get_details(program, &details, &failure) == 0) {
        const char *type = kb_number_name(KB_FEATURE_PROGRAM_TYPE, details.type);
        out_record(NULL);
        out_number("id", details.id);
        out_text("type", type ? type : "unknown");
        out_text("name", details.name);
        out_hex("tag", details.tag, sizeof(details.tag));
        out_number("uid", details.uid);
        out_bool("gpl", details.gpl_compatible);
        out_number("xlated", details.xlated_size);
        out_number("jited", details.jited_size);
        out_numbers32("maps", details.map_ids, details.map_count);
        if (details.btf_id)
            out_number("btf", details.btf_id);
        if (details.run_count) {
            out_number("runs", details.run_count);
            out_number("nanoseconds", details.run_time);
        }
        out_end_record();
    }
    kb_program_details_clear(&details);
}

void tell_map(const struct kb_map *map) {
    struct kb_map_info info;

    if (kb_map_get_info(map, &info, &failure) != 0)
        return;
    const char *type = kb_number_name(KB_FEATURE_MAP_TYPE, info.type);
    out_record(NULL);
    out_number("id", info.id);
    out_text("type", type ? type : "unknown");
    out_text("name", info.name);
    out_number("key", info.key_size);
    out_number("value", info.value_size);
    out_number("entries", info.max_entries);
    out_number("flags", info.flags);
    out_number("memory", info.memlock);
    out_bool("frozen", info.frozen);
    if (info.btf_id)
        out_number("btf", info.btf_id);
    out_end_record();
}

static void tell_field(const struct kb_link_field *field) {
    switch (field->kind) {
    case KB_FIELD_U32:
    case KB_FIELD_U64:
        out_number(field->name, field->number);
        break;
    case KB_FIELD_S32:
        out_signed(field->name, (int64_t)field->number);
        break;
    case KB_FIELD_TEXT:
        out_text(field->name, field->text);
        break;
    case KB_FIELD_LIST:
        out_numbers64(field->name, field->numbers, field->count);
        break;
    }
}

void tell_link(const struct kb_link *link) {
    struct kb_link_details details;

    if (kb_link_get_details(link, &details, &failure) == 0) {
        out_record(NULL);
        out_number("id", details.info.id);
        out_text("type", details.type_name);
        out_number("program", details.info.program_id);
        for (size_t i = 0; i < details.count; i++)
            tell_field(&details.fields[i]);
        out_end_record();
    }
    kb_link_details_clear(&details);
}

static void tell_btf(uint32_t id) {
    void *bytes;
    size_t size;

    if (kb_btf_bytes(id, &bytes, &size, NULL) != 0)
        return;
    out_record(NULL);
    out_number("id", id);
    out_number("bytes", size);
    out_end_record();
    free(bytes);
}

/* One that goes away while it is come to is no failure. */
static void tell_id(enum kb_id_kind kind, uint32_t id) {
    struct kb_program *program;
    struct kb_map *map;
    struct kb_link *link;

    switch (kind) {
    case KB_ID_PROGRAM:
        if (kb_program_open(id, &program, NULL) == 0)
            tell_program(program);
        kb_program_close(&program);
        break;
    case KB_ID_MAP:
        if (kb_map_open_id(id, &map, NULL) == 0)
            tell_map(map);
        kb_map_close(&map);
        break;
    case KB_ID_LINK:
        if (kb_link_open(id, &link, NULL) == 0)
            tell_link(link);
        kb_link_close(&link);
        break;
    case KB_ID_BTF:
        tell_btf(id);
        break;
    }
}

static int list(const struct command *command, enum kb_id_kind kind) {
    uint32_t id = 0;
    int rc;

    out_begin(command->json, stdout);
    out_list(NULL);
    while ((rc = kb_next_id(kind, id, &id, &failure)) == 0)
        tell_id(kind, id);
    out_end_list();
    if (rc != -ENOENT)
        return told();
    return out_end() ? 0 : failed("the output cannot be written");
}

/* Bytes that a terminal would not like --------------------------------------------------------*/

static int write_bytes(const struct command *command, const void *bytes, size_t size) {
    FILE *file = command->out ? fopen(command->out, "we") : stdout;

    if (!file)
        return failed("%s: %s", command->out, strerror(errno));
    if (!command->out && (command->json || isatty(STDOUT_FILENO))) {
        out_begin(command->json, stdout);
        out_record(NULL);
        out_hex("bytes", bytes, size);
        out_end_record();
        return out_end() ? 0 : EXIT_WRONG;
    }
    bool good = fwrite(bytes, 1, size, file) == size && fflush(file) == 0;
    if (command->out)
        good = fclose(file) == 0 && good;
    return good ? 0 : failed("the bytes cannot be written");
}

/* Programs ------------------------------------------------------------------------------------*/

static int show_program(const struct command *command, const struct kb_program *program) {
    out_begin(command->json, stdout);
    tell_program(program);
    return failure.errnum ? told() : out_end() ? 0 : EXIT_WRONG;
}

static int dump_program(const struct command *command, const struct kb_program *program) {
    const char *which = command->count > 2 ? command->words[2] : "xlated";
    struct kb_program_details details;
    int rc;

    if (strcmp(which, "xlated") != 0 && strcmp(which, "jited") != 0)
        return wrong("a program's code is 'xlated' or 'jited', not '%s'", which);
    if (kb_program_get_details(program, &details, &failure) != 0)
        rc = told();
    else if (which[0] == 'x')
        rc = write_bytes(command, details.xlated, details.xlated_size);
    else
        rc = write_bytes(command, details.jited, details.jited_size);
    kb_program_details_clear(&details);
    return rc;
}

static int run_program(const struct command *command, const struct kb_program *program) {
    enum { ROOM = 256 };
    uint8_t *data = NULL, *out = NULL;
    struct kb_run run = {.repeat = command->repeat};
    size_t size = 0;

    if (command->data && !read_bytes(command->data, &data, &size))
        return EXIT_WORDS;
    out = malloc(size + ROOM);
    run.data = data;
    run.data_size = size;
    run.data_out = data ? out : NULL;
    run.data_out_size = data ? size + ROOM : 0;
    int rc = !out ? failed("out of memory") : kb_program_run(program, &run, &failure) ? told() : 0;
    if (!rc) {
        out_begin(command->json, stdout);
        out_record(NULL);
        out_number("result", run.return_value);
        out_number("nanoseconds", run.duration);
        if (data)
            out_hex("data", out, run.data_out_size);
        out_end_record();
        rc = out_end() ? 0 : EXIT_WRONG;
    }
    free(data);
    free(out);
    return rc;
}

/* All that is there now. */
static int tell_output(const struct command *command, const struct kb_program *program) {
    const char *which = command->count > 2 ? command->words[2] : "stdout";
    char bytes[4096];
    ptrdiff_t size;

    if (strcmp(which, "stdout") != 0 && strcmp(which, "stderr") != 0)
        return wrong("a program prints to 'stdout' or 'stderr', not to '%s'", which);
    do {
        size = kb_program_read_output(program, which[3] == 'o' ? 1 : 2, bytes, sizeof(bytes),
                                      &failure);
        if (size < 0)
            return told();
    } while (size && fwrite(bytes, 1, (size_t)size, stdout) == (size_t)size);
    return fflush(stdout) == 0 ? 0 : failed("the output cannot be written");
}

int run_prog(const struct command *command) {
    const char *action = command->count ? command->words[0] : "list";
    struct kb_program *program = NULL;
    int (*act)(const struct command *, const struct kb_program *) = NULL;

    if (strcmp(action, "list") == 0)
        return list(command, KB_ID_PROGRAM);
    if (strcmp(action, "show") == 0)
        act = show_program;
    else if (strcmp(action, "dump") == 0)
        act = dump_program;
    else if (strcmp(action, "run") == 0)
        act = run_program;
    else if (strcmp(action, "output") == 0)
        act = tell_output;
    else
        return wrong("prog has list, show, dump, run and output, not '%s'", action);
    int rc = open_program(command->words[1], &program);
    if (!rc)
        rc = act(command, program);
    kb_program_close(&program);
    return rc;
}

/* Maps ----------------------------------------------------------------------------------------*/

static void tell_entry(const uint8_t *key, size_t key_size, const uint8_t *value,
                       size_t value_size) {
    out_record(NULL);
    out_hex("key", key, key_size);
    out_hex("value", value, value_size);
    out_end_record();
}

/* All entries, as far as they are there when they are come to; a map that others change while it is
 * read is read to an end all the same. */
static int dump_entries(const struct kb_map *map, const struct kb_map_info *info, uint8_t *key,
                        uint8_t *next, uint8_t *value) {
    size_t key_size = info->key_size, value_size = info->value_size_user;
    uint64_t most = 2 * (uint64_t)info->max_entries + 16;
    int rc = kb_map_next_key(map, NULL, key_size, next, key_size, &failure);

    for (uint64_t i = 0; rc == 0 && i < most; i++) {
        memcpy(key, next, key_size);
        rc = kb_map_lookup(map, key, key_size, value, value_size, 0, &failure);
        if (rc == 0)
            tell_entry(key, key_size, value, value_size);
        else if (rc != -ENOENT)
            break;
        rc = kb_map_next_key(map, key, key_size, next, key_size, &failure);
    }
    return rc == 0 || rc == -ENOENT ? 0 : rc;
}

static int dump_map(const struct command *command, const struct kb_map *map) {
    struct kb_map_info info;

    if (kb_map_get_info(map, &info, &failure) != 0)
        return told();
    if (!info.key_size)
        return failed("map %u: entries of its type have no keys, and reading would take them out",
                      info.id);
    uint8_t *keys = calloc(2, info.key_size), *value = malloc(info.value_size_user + 1);
    int rc = keys && value ? 0 : -ENOMEM;
    if (rc)
        rc = failed("out of memory");
    else {
        out_begin(command->json, stdout);
        out_list(NULL);
        rc = dump_entries(map, &info, keys, keys + info.key_size, value);
        out_end_list();
        bool good = out_end();
        rc = rc ? told() : good ? 0 : EXIT_WRONG;
    }
    free(keys);
    free(value);
    return rc;
}

static int show_map(const struct command *command, const struct kb_map *map) {
    out_begin(command->json, stdout);
    tell_map(map);
    return failure.errnum ? told() : out_end() ? 0 : EXIT_WRONG;
}

/* The bytes of a word, of exactly this size; NULL after saying why. */
static uint8_t *bytes_of(const struct command *command, size_t index, size_t wanted,
                         const char *what) {
    uint8_t *bytes;
    size_t size;

    if (index >= command->count) {
        wrong("%s is missing: %zu bytes as hexadecimal", what, wanted);
        return NULL;
    }
    if (!read_bytes(command->words[index], &bytes, &size))
        return NULL;
    if (size == wanted)
        return bytes;
    wrong("%s has %zu bytes, not %zu", what, wanted, size);
    free(bytes);
    return NULL;
}

/* get, set and delete: one entry. */
static int use_entry(const struct command *command, const struct kb_map *map) {
    char action = command->words[0][0];
    struct kb_map_info info;
    uint8_t *key, *value = NULL;
    int rc;

    if (kb_map_get_info(map, &info, &failure) != 0)
        return told();
    key = bytes_of(command, 2, info.key_size, "the key");
    if (!key)
        return EXIT_WORDS;
    if (action == 's')
        value = bytes_of(command, 3, info.value_size_user, "the value");
    else
        value = malloc(info.value_size_user + 1);
    if (!value) {
        free(key);
        return EXIT_WORDS;
    }
    if (action == 's')
        rc = kb_map_update(map, key, info.key_size, value, info.value_size_user, 0, &failure);
    else if (action == 'd')
        rc = kb_map_delete(map, key, info.key_size, &failure);
    else
        rc = kb_map_lookup(map, key, info.key_size, value, info.value_size_user, 0, &failure);
    if (rc == -ENOENT)
        rc = failed("map %u has no such key", info.id);
    else if (rc)
        rc = told();
    else if (action == 'g') {
        out_begin(command->json, stdout);
        tell_entry(key, info.key_size, value, info.value_size_user);
        rc = out_end() ? 0 : EXIT_WRONG;
    }
    free(key);
    free(value);
    return rc;
}

int run_map(const struct command *command) {
    const char *action = command->count ? command->words[0] : "list";
    struct kb_map *map = NULL;
    int (*act)(const struct command *, const struct kb_map *) = NULL;

    if (strcmp(action, "list") == 0)
        return list(command, KB_ID_MAP);
    if (strcmp(action, "show") == 0)
        act = show_map;
    else if (strcmp(action, "dump") == 0)
        act = dump_map;
    else if (strcmp(action, "get") == 0 || strcmp(action, "set") == 0 ||
             strcmp(action, "delete") == 0)
        act = use_entry;
    else
        return wrong("map has list, show, dump, get, set and delete, not '%s'", action);
    int rc = open_map(command->words[1], &map);
    if (!rc)
        rc = act(command, map);
    kb_map_close(&map);
    return rc;
}

/* Links ---------------------------------------------------------------------------------------*/

int run_link(const struct command *command) {
    const char *action = command->count ? command->words[0] : "list";
    struct kb_link *link = NULL;
    bool detach = strcmp(action, "detach") == 0;

    if (strcmp(action, "list") == 0)
        return list(command, KB_ID_LINK);
    if (!detach && strcmp(action, "show") != 0)
        return wrong("link has list, show and detach, not '%s'", action);
    int rc = open_link(command->words[1], &link);
    if (!rc && detach)
        rc = kb_link_detach(link, &failure) ? told() : 0;
    else if (!rc) {
        out_begin(command->json, stdout);
        tell_link(link);
        rc = failure.errnum ? told() : out_end() ? 0 : EXIT_WRONG;
    }
    kb_link_close(&link);
    return rc;
}

/* BTF -----------------------------------------------------------------------------------------*/

int run_btf(const struct command *command) {
    const char *action = command->count ? command->words[0] : "list";
    uint64_t id;
    void *bytes;
    size_t size;

    if (strcmp(action, "list") == 0)
        return list(command, KB_ID_BTF);
    if (strcmp(action, "dump") != 0)
        return wrong("btf has list and dump, not '%s'", action);
    if (command->count < 2 || !read_number(command->words[1], UINT32_MAX, &id))
        return wrong("which BTF? Name it by its id");
    if (kb_btf_bytes((uint32_t)id, &bytes, &size, &failure) != 0)
        return told();
    int rc = write_bytes(command, bytes, size);
    free(bytes);
    return rc;
}
