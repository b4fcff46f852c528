/*
 * map.c: maps as bytes. Every size is checked before the system call, since the kernel trusts them:
 * it writes value_size bytes (per-CPU maps: for every possible CPU) and a batch cursor of at least
 * four bytes wherever it is pointed.
 */
#include "internal.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t kb_value_size_user(uint32_t type, uint32_t value_size) {
    switch (type) {
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH:
    case BPF_MAP_TYPE_PERCPU_ARRAY:
    case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: {
        int cpus = kb_possible_cpus();
        return ((size_t)value_size + 7) / 8 * 8 * (cpus > 0 ? (size_t)cpus : 1);
    }
    default:
        return value_size;
    }
}

static int get_info(int fd, struct bpf_map_info *info) {
    uint32_t size = sizeof(*info);

    memset(info, 0, sizeof(*info));
    return bpf_obj_get_info_by_fd(fd, info, &size) == 0 ? 0 : errno;
}

/* A handle with a descriptor of its own for the map behind fd. */
int kb_map_adopt(int fd, const char *name, struct kb_map **out, struct kb_error *err) {
    struct bpf_map_info info;
    int errnum = get_info(fd, &info);

    if (errnum)
        return kb_fail(err, errnum, "open map", name, "the kernel gives no information on it");
    if (kb_possible_cpus() < 0)
        return kb_fail(err, -kb_possible_cpus(), "open map", name,
                       "/sys/devices/system/cpu/possible is not readable; mount sysfs");
    struct kb_map *map = calloc(1, sizeof(*map));
    char *copy = strdup(name);
    int own = map && copy ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (own < 0) {
        errnum = map && copy ? errno : ENOMEM;
        free(map);
        free(copy);
        return kb_fail(err, errnum, "open map", name,
                       errnum == EMFILE ? "too many open files; raise ulimit -n"
                                        : "no file descriptor to be had");
    }
    map->fd = own;
    map->name = copy;
    map->type = info.type;
    map->key_size = info.key_size;
    map->value_size = info.value_size;
    map->value_size_user = kb_value_size_user(info.type, info.value_size);
    *out = map;
    return 0;
}

void kb_map_close(struct kb_map **map) {
    if (!map || !*map)
        return;
    close((*map)->fd);
    free((*map)->name);
    free(*map);
    *map = NULL;
}

int kb_map_fd(const struct kb_map *map) {
    return map->fd;
}

size_t kb_map_value_size_user(const struct kb_map *map) {
    return map->value_size_user;
}

int kb_map_get_info(const struct kb_map *map, struct kb_map_info *out, struct kb_error *err) {
    struct bpf_map_info info;
    int errnum = get_info(map->fd, &info);

    if (errnum)
        return kb_fail(err, errnum, "map info", map->name, "the kernel gives no information on it");
    *out = (struct kb_map_info){
        .name = map->name,
        .type = info.type,
        .key_size = info.key_size,
        .value_size = info.value_size,
        .value_size_user = map->value_size_user,
        .max_entries = info.max_entries,
        .flags = info.map_flags,
        .id = info.id,
        .fd = map->fd,
        .btf_key_type_id = info.btf_key_type_id,
        .btf_value_type_id = info.btf_value_type_id,
        .btf_id = info.btf_id,
    };
    return 0;
}

/* Operations -----------------------------------------------------------------------------------*/

static int check_size(const struct kb_map *map, const char *operation, const char *what, size_t got,
                      size_t want, struct kb_error *err) {
    if (got == want)
        return 0;
    return kb_fail(err, ERANGE, operation, map->name, "the %s has %zu bytes, it must have %zu",
                   what, got, want);
}

/* What an errno of a map operation means; the operation's own meanings are the caller's. */
static const char *reason(const char *operation, int errnum) {
    bool update = strcmp(operation, "map update") == 0;

    switch (errnum) {
    case E2BIG:
        return update ? "the map is full, or the index is beyond max_entries"
                      : "the index is beyond max_entries";
    case EEXIST:
        return "the key is there already and the flag BPF_NOEXIST was given";
    case ENOENT:
        return "there is no such key or index, and this map or the flag BPF_EXIST needs one";
    case EINVAL:
        return "the kernel refuses flags or value; e.g. array elements cannot be deleted, "
               "BPF_F_LOCK needs a bpf_spin_lock in the value";
    case ENOMEM:
        return "the kernel has no memory for the entry";
    case EBUSY:
        return "the map is in use, try again (a frozen map: it is mapped writable)";
    case EOPNOTSUPP:
    case KB_ENOTSUPP:
        return "maps of this type do not have this operation";
    case ENOSPC:
        return "one hash bucket holds more entries than the batch has room for; give more room";
    default:
        return "the kernel refuses it";
    }
}

static int fail(const struct kb_map *map, const char *operation, int errnum, struct kb_error *err) {
    char why[512];

    if (errnum == EPERM) {
        struct bpf_map_info info;
        bool limited =
            get_info(map->fd, &info) == 0 && (info.map_flags & (BPF_F_RDONLY | BPF_F_WRONLY));
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_BPF));
        return kb_fail(err, errnum, operation, map->name, "%s",
                       limited ? "the map was created read-only or write-only for user space"
                       : strcmp(operation, "map lookup") != 0
                           ? "the map is frozen or its descriptor is read-only"
                           : why);
    }
    return kb_fail(err, errnum, operation, map->name, "%s", reason(operation, errnum));
}

int kb_map_lookup(const struct kb_map *map, const void *key, size_t key_size, void *value,
                  size_t value_size, uint64_t flags, struct kb_error *err) {
    static const char operation[] = "map lookup";
    int rc = check_size(map, operation, "key", key_size, map->key_size, err);

    if (!rc)
        rc = check_size(map, operation, "value", value_size, map->value_size_user, err);
    if (rc)
        return rc;
    if (bpf_map_lookup_elem_flags(map->fd, key, value, flags) == 0)
        return 0;
    return errno == ENOENT ? -ENOENT : fail(map, operation, errno, err);
}

int kb_map_update(const struct kb_map *map, const void *key, size_t key_size, const void *value,
                  size_t value_size, uint64_t flags, struct kb_error *err) {
    static const char operation[] = "map update";
    int rc = check_size(map, operation, "key", key_size, map->key_size, err);

    if (!rc)
        rc = check_size(map, operation, "value", value_size, map->value_size_user, err);
    if (rc)
        return rc;
    if (bpf_map_update_elem(map->fd, key, value, flags) == 0)
        return 0;
    return fail(map, operation, errno, err);
}

int kb_map_delete(const struct kb_map *map, const void *key, size_t key_size,
                  struct kb_error *err) {
    static const char operation[] = "map delete";
    int rc = check_size(map, operation, "key", key_size, map->key_size, err);

    if (rc || bpf_map_delete_elem(map->fd, key) == 0)
        return rc;
    return errno == ENOENT ? -ENOENT : fail(map, operation, errno, err);
}

int kb_map_next_key(const struct kb_map *map, const void *key, size_t key_size, void *next,
                    size_t next_size, struct kb_error *err) {
    static const char operation[] = "map next key";
    int rc = key ? check_size(map, operation, "key", key_size, map->key_size, err) : 0;

    if (!rc)
        rc = check_size(map, operation, "next key", next_size, map->key_size, err);
    if (rc || bpf_map_get_next_key(map->fd, key, next) == 0)
        return rc;
    return errno == ENOENT ? -ENOENT : fail(map, operation, errno, err);
}

/* Whether a buffer has room for count entries of that size, without overflow. */
static bool has_room(size_t size, uint32_t count, size_t entry) {
    return entry == 0 || size / entry >= count;
}

int kb_map_lookup_batch(const struct kb_map *map, struct kb_batch *batch, struct kb_error *err) {
    static const char operation[] = "map lookup batch";
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = batch->flags);
    size_t cursor_size = map->key_size < 4 ? 4 : map->key_size;
    uint32_t room = batch->count;

    batch->count = 0;
    int rc = check_size(map, operation, "cursor", batch->cursor_size, cursor_size, err);
    if (rc)
        return rc;
    if (room == 0 || !has_room(batch->keys_size, room, map->key_size) ||
        !has_room(batch->values_size, room, map->value_size_user))
        return kb_fail(err, ERANGE, operation, map->name,
                       "%zu bytes for keys and %zu for values have no room for %u entries "
                       "of %u and %zu bytes",
                       batch->keys_size, batch->values_size, room, map->key_size,
                       map->value_size_user);
    uint32_t count = room;
    rc = bpf_map_lookup_batch(map->fd, batch->first ? NULL : batch->cursor, batch->cursor,
                              batch->keys, batch->values, &count, &opts);
    int errnum = rc ? errno : 0;
    /* Only success, the end and a full buffer say how many; EFAULT may leave the old number. */
    if (errnum == 0 || errnum == ENOENT)
        batch->count = count <= room ? count : 0;
    if (errnum == EFAULT || errnum == EINVAL)
        batch->count = 0;
    if (errnum == 0)
        return 0;
    return errnum == ENOENT ? -ENOENT : fail(map, operation, errnum, err);
}

int kb_map_freeze(const struct kb_map *map, struct kb_error *err) {
    if (bpf_map_freeze(map->fd) == 0)
        return 0;
    return fail(map, "map freeze", errno, err);
}
