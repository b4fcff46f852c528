/*
 * changes.c: an opened object before it is loaded: other types, targets, sizes, contents and paths
 * than its ELF says, and which of its programs and maps are wanted at all. Also the sections that
 * are newer than the libbpf that is linked in: def/prog.def knows what they mean.
 */
#include "internal.h"
#include <errno.h>
#include <string.h>

enum { SLEEPABLE = 1 << 0, FRAGS = 1 << 1, TARGET = 1 << 2, USDT = 1 << 3, OPTIONAL = 1 << 4 };
enum { F_SLEEPABLE = 1 << 4, F_XDP_HAS_FRAGS = 1 << 5 }; /* BPF_F_* of a load */
enum { NO_ATTACH = 0 };
#define KB_ATTACH_NONE NO_ATTACH

static const struct section {
    const char *name; /* '+' at the end: "/target" may follow */
    uint32_t type, attach_type;
    unsigned flags;
} sections[] = {
#define SEC(name, prog, attach, flags) {name, KB_PROG_##prog, KB_ATTACH_##attach, flags},
#include "prog.def"
};

static const struct section *find_section(const char *name, const char **target) {
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        size_t length = strlen(sections[i].name);
        bool open = sections[i].name[length - 1] == '+';
        length -= open;
        if (strncmp(name, sections[i].name, length) != 0)
            continue;
        *target = name[length] == '/' && name[length + 1] ? name + length + 1 : NULL;
        if (!name[length] || (open && name[length] == '/'))
            return &sections[i];
    }
    return NULL;
}

/* Gives a program the type that its section means. 0 or -errno of libbpf. */
static int know_section(struct kb_object *object, struct bpf_program *program) {
    const char *name = bpf_program__section_name(program), *target;
    const struct section *section = find_section(name + (name[0] == '?'), &target);

    if (!section)
        return 0;
    uint32_t flags = bpf_program__flags(program);
    if (section->flags & SLEEPABLE)
        flags |= F_SLEEPABLE;
    if (section->flags & FRAGS)
        flags |= F_XDP_HAS_FRAGS;
    int rc = bpf_program__set_type(program, (enum bpf_prog_type)section->type);
    rc = rc ? rc
            : bpf_program__set_expected_attach_type(program,
                                                    (enum bpf_attach_type)section->attach_type);
    rc = rc ? rc : bpf_program__set_flags(program, flags);
    if (!rc && (section->flags & TARGET) && target) {
        object->named_targets = true;
        rc = bpf_program__set_attach_target(program, 0, target);
    }
    return rc;
}

int kb_know_sections(struct kb_object *object) {
    int rc = 0;

    for (size_t i = 0; i < object->program_count && !rc; i++)
        if (bpf_program__type(object->programs[i]) == BPF_PROG_TYPE_UNSPEC)
            rc = know_section(object, object->programs[i]);
    return rc;
}

/* What libbpf said, or nothing: 0 or failed. */
static int done(struct kb_capture *capture, int rc, const char *operation, const char *name,
                struct kb_error *err) {
    kb_capture_end(capture);
    if (rc)
        rc = kb_fail(err, -rc, operation, name, "%s",
                     kb_capture_line(capture, "this cannot be changed so"));
    kb_capture_free(capture);
    return rc;
}

static void explain_target(const struct bpf_program *program, const char *target, char *why,
                           size_t size) {
    uint32_t attach_type = (uint32_t)bpf_program__expected_attach_type(program);
    char near[512];

    snprintf(why, size,
             "there is no '%s' for it to attach to: neither in the running kernel's BTF "
             "(/sys/kernel/btf) nor in the program that was named" KB_DO "%s",
             target, kb_near_btf_target(attach_type, target, near, sizeof(near)));
}

static int change_program(struct bpf_program *program, const struct kb_program_changes *changes) {
    int rc = 0;

    if (changes->has_type)
        rc = bpf_program__set_type(program, (enum bpf_prog_type)changes->type);
    if (!rc && changes->has_attach_type)
        rc = bpf_program__set_expected_attach_type(program,
                                                   (enum bpf_attach_type)changes->attach_type);
    if (!rc && changes->has_flags)
        rc = bpf_program__set_flags(program, changes->flags);
    if (!rc && (changes->target_name || changes->target_fd))
        rc = bpf_program__set_attach_target(program, changes->target_fd, changes->target_name);
    if (!rc && changes->has_log_level)
        rc = bpf_program__set_log_level(program, changes->log_level);
    if (!rc && changes->autoload != KB_AS_IS)
        rc = bpf_program__set_autoload(program, changes->autoload == KB_YES);
    if (!rc && changes->autoattach != KB_AS_IS)
        bpf_program__set_autoattach(program, changes->autoattach == KB_YES);
    return rc;
}

int kb_object_change_program(struct kb_object *object, size_t index,
                             const struct kb_program_changes *changes, struct kb_error *err) {
    static const char operation[] = "change program";
    struct kb_capture capture;

    if (index >= object->program_count)
        return kb_fail(err, ERANGE, operation, NULL,
                       "the object has %zu programs, not a number %zu", object->program_count,
                       index);
    struct bpf_program *program = object->programs[index];
    if (object->loaded)
        return kb_fail(err, EBUSY, operation, bpf_program__name(program),
                       "the object is loaded" KB_DO "open it again to change it");
    object->named_targets |= changes->target_name && changes->target_fd <= 0;
    kb_capture_begin(&capture);
    int rc = change_program(program, changes);
    rc = done(&capture, rc, operation, bpf_program__name(program), err);
    if (rc == -ESRCH && changes->target_name) {
        char why[1024];
        explain_target(program, changes->target_name, why, sizeof(why));
        rc = kb_fail(err, ESRCH, operation, bpf_program__name(program), "%s", why);
    }
    return rc;
}

static int change_sizes(struct bpf_map *map, const struct kb_map_changes *changes) {
    uint32_t set = changes->set;
    int rc = 0;

    if (set & KB_SET_TYPE)
        rc = bpf_map__set_type(map, (enum bpf_map_type)changes->type);
    if (!rc && (set & KB_SET_KEY_SIZE))
        rc = bpf_map__set_key_size(map, changes->key_size);
    if (!rc && (set & KB_SET_VALUE_SIZE))
        rc = bpf_map__set_value_size(map, changes->value_size);
    if (!rc && (set & KB_SET_MAX_ENTRIES))
        rc = bpf_map__set_max_entries(map, changes->max_entries);
    if (!rc && (set & KB_SET_FLAGS))
        rc = bpf_map__set_map_flags(map, changes->flags);
    if (!rc && (set & KB_SET_NUMA_NODE))
        rc = bpf_map__set_numa_node(map, changes->numa_node);
    if (!rc && (set & KB_SET_IFINDEX))
        rc = bpf_map__set_ifindex(map, changes->ifindex);
    if (!rc && (set & KB_SET_EXTRA))
        rc = bpf_map__set_map_extra(map, changes->extra);
    return rc;
}

static int change_map(struct bpf_map *map, const struct kb_map_changes *changes) {
    int rc = change_sizes(map, changes);

    if (!rc && changes->inner_fd)
        rc = bpf_map__set_inner_map_fd(map, changes->inner_fd);
    if (!rc && changes->pin_path)
        rc = bpf_map__set_pin_path(map, changes->pin_path[0] ? changes->pin_path : NULL);
    if (!rc && changes->reuse_fd)
        rc = bpf_map__reuse_fd(map, changes->reuse_fd);
    if (!rc && changes->autocreate != KB_AS_IS)
        rc = bpf_map__set_autocreate(map, changes->autocreate == KB_YES);
    if (!rc && changes->autoattach != KB_AS_IS)
        rc = bpf_map__set_autoattach(map, changes->autoattach == KB_YES);
    return rc;
}

int kb_object_change_map(struct kb_object *object, size_t index,
                         const struct kb_map_changes *changes, struct kb_error *err) {
    static const char operation[] = "change map";
    struct kb_capture capture;

    if (index >= object->map_count)
        return kb_fail(err, ERANGE, operation, NULL, "the object has %zu maps, not a number %zu",
                       object->map_count, index);
    struct bpf_map *map = object->maps[index];
    if (object->loaded)
        return kb_fail(err, EBUSY, operation, bpf_map__name(map),
                       "the object is loaded" KB_DO "open it again to change it");
    kb_capture_begin(&capture);
    int rc = change_map(map, changes);
    return done(&capture, rc, operation, bpf_map__name(map), err);
}

int kb_object_set_initial(struct kb_object *object, size_t index, size_t offset, const void *bytes,
                          size_t size, struct kb_error *err) {
    static const char operation[] = "set initial value";
    size_t room = 0;

    if (index >= object->map_count)
        return kb_fail(err, ERANGE, operation, NULL, "the object has %zu maps, not a number %zu",
                       object->map_count, index);
    struct bpf_map *map = object->maps[index];
    char *initial = bpf_map__initial_value(map, &room);
    if (object->loaded)
        return kb_fail(err, EBUSY, operation, bpf_map__name(map),
                       "the object is loaded" KB_DO "write to the map instead");
    if (!initial)
        return kb_fail(err, EINVAL, operation, bpf_map__name(map),
                       "only maps of global variables (.data, .rodata, .bss) and struct_ops have "
                       "one");
    if (offset > room || size > room - offset)
        return kb_fail(err, ERANGE, operation, bpf_map__name(map),
                       "%zu bytes at %zu do not fit into its %zu", size, offset, room);
    if (size)
        memcpy(initial + offset, bytes, size);
    return 0;
}
