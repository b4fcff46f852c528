/*
 * map.c: operations on maps as bytes. Every size is checked before the system call, since the
 * kernel trusts them: it writes value_size bytes (per-CPU maps: for every possible CPU) and a batch
 * cursor of at least four bytes wherever it is pointed.
 */
#include "internal.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* BPF_F_CPU and BPF_F_ALL_CPUS (Linux 6.20) make a per-CPU value one CPU's. */
enum { ONE_CPU = 8, ALL_CPUS = 16 };

static size_t value_size_for(const struct kb_map *map, uint64_t flags) {
    bool single = map->value_size_user != map->value_size && (flags & (ONE_CPU | ALL_CPUS));

    return single ? map->value_size : map->value_size_user;
}

static int check_size(const struct kb_map *map, const char *operation, const char *what, size_t got,
                      size_t want, struct kb_error *err) {
    if (got == want)
        return 0;
    return kb_fail(err, ERANGE, operation, map->name,
                   "the %s has %zu bytes, it must have %zu" KB_DO
                   "give it the size that the map was made with",
                   what, got, want);
}

/* What an errno of a map operation means; the operation's own meanings are the caller's. */
static const char *reason(const char *operation, int errnum) {
    bool update = strncmp(operation, "map update", 10) == 0;

    switch (errnum) {
    case E2BIG:
        return update ? "the map is full, or the index is beyond max_entries" KB_DO
                        "delete entries, or make the map with more max_entries"
                      : "the index is beyond max_entries" KB_DO
                        "ask for less, or make the map with more max_entries";
    case EEXIST:
        return "the key is there already and the flag BPF_NOEXIST was given" KB_DO
               "leave the flag out to replace the value";
    case ENOENT:
        return "there is no such key or index, and this map or the flag BPF_EXIST needs one" KB_DO
               "insert it without BPF_EXIST";
    case EINVAL:
        return "the kernel refuses the flags, the value, or this operation on maps of this "
               "type" KB_DO
               "check them: elements of arrays cannot be deleted, BPF_F_LOCK needs a bpf_spin_lock "
               "in the value";
    case EBUSY:
        return "the map is in use" KB_DO "try again; to freeze it, unmap its writable memory first";
    case EOPNOTSUPP:
    case KB_ENOTSUPP:
        if (strstr(operation, "and delete") && kb_kernel_older("5.14"))
            return "maps of this type do not have this operation" KB_DO
                   "look up, then delete; hash maps have it from Linux 5.14 on";
        return "maps of this type do not have this operation" KB_DO
               "use another operation, or another type of map";
    case ENOSPC:
        return "one hash bucket holds more entries than the batch has room for" KB_DO
               "give more room";
    default:
        return kb_reason(errnum);
    }
}

static int fail(const struct kb_map *map, const char *operation, int errnum, struct kb_error *err) {
    char why[512];

    if (errnum == EPERM) {
        struct bpf_map_info info;
        bool limited =
            kb_map_fd_info(map->fd, &info) == 0 && (info.map_flags & (BPF_F_RDONLY | BPF_F_WRONLY));
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_BPF));
        return kb_fail(err, errnum, operation, map->name, "%s",
                       limited ? "the map was created read-only or write-only for user space" KB_DO
                                 "make it without BPF_F_RDONLY and BPF_F_WRONLY"
                       : strstr(operation, "update") || strstr(operation, "delete") ||
                               strstr(operation, "freeze")
                           ? "the map is frozen or its descriptor is read-only" KB_DO
                             "write before freeze(), through a descriptor that may"
                           : why);
    }
    return kb_fail(err, errnum, operation, map->name, "%s", reason(operation, errnum));
}

static const struct {
    uint32_t command;
    const char *name;
    bool has_value; /* else the other buffer is a key, or there is none */
} operations[] = {
    [KB_MAP_LOOKUP] = {BPF_MAP_LOOKUP_ELEM, "map lookup", true},
    [KB_MAP_UPDATE] = {BPF_MAP_UPDATE_ELEM, "map update", true},
    [KB_MAP_DELETE] = {BPF_MAP_DELETE_ELEM, "map delete", false},
    [KB_MAP_NEXT_KEY] = {BPF_MAP_GET_NEXT_KEY, "map next key", false},
    [KB_MAP_TAKE] = {BPF_MAP_LOOKUP_AND_DELETE_ELEM, "map lookup and delete", true},
};

int kb_map_prepare(const struct kb_map *map, enum kb_map_operation operation, const void *key,
                   size_t key_size, const void *value, size_t value_size, uint64_t flags,
                   struct kb_map_call *call, struct kb_error *err) {
    const char *name = operations[operation].name;
    bool from_start = operation == KB_MAP_NEXT_KEY && !key;
    size_t want = operation == KB_MAP_DELETE     ? value_size
                  : operation == KB_MAP_NEXT_KEY ? map->key_size
                                                 : value_size_for(map, flags);
    int rc = from_start ? 0 : check_size(map, name, "key", key_size, map->key_size, err);

    if (!rc)
        rc = check_size(map, name, operations[operation].has_value ? "value" : "next key",
                        value_size, want, err);
    if (rc)
        return rc;
    memset(call, 0, sizeof(*call));
    call->command = operations[operation].command;
    call->attr.fd = (uint32_t)map->fd;
    /* Queues and the like have no key, and the kernel insists that none is given. */
    call->attr.key = map->key_size ? (uint64_t)(uintptr_t)key : 0;
    call->attr.value = operation == KB_MAP_DELETE ? 0 : (uint64_t)(uintptr_t)value;
    call->attr.flags = flags;
    return 0;
}

int kb_map_run(const struct kb_map_call *call) {
    return syscall(SYS_bpf, call->command, &call->attr, sizeof(call->attr)) == 0 ? 0 : -errno;
}

int kb_map_run_error(const struct kb_map *map, const struct kb_map_call *call, int rc,
                     struct kb_error *err) {
    const char *name = "map operation";

    if (rc == 0 || (rc == -ENOENT && call->command != BPF_MAP_UPDATE_ELEM))
        return rc;
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        if (operations[i].command == call->command)
            name = operations[i].name;
    return fail(map, name, -rc, err);
}

static int operate(const struct kb_map *map, enum kb_map_operation operation, const void *key,
                   size_t key_size, const void *value, size_t value_size, uint64_t flags,
                   struct kb_error *err) {
    struct kb_map_call call;
    int rc = kb_map_prepare(map, operation, key, key_size, value, value_size, flags, &call, err);

    return rc ? rc : kb_map_run_error(map, &call, kb_map_run(&call), err);
}

int kb_map_lookup(const struct kb_map *map, const void *key, size_t key_size, void *value,
                  size_t value_size, uint64_t flags, struct kb_error *err) {
    return operate(map, KB_MAP_LOOKUP, key, key_size, value, value_size, flags, err);
}

int kb_map_update(const struct kb_map *map, const void *key, size_t key_size, const void *value,
                  size_t value_size, uint64_t flags, struct kb_error *err) {
    return operate(map, KB_MAP_UPDATE, key, key_size, value, value_size, flags, err);
}

int kb_map_take(const struct kb_map *map, const void *key, size_t key_size, void *value,
                size_t value_size, uint64_t flags, struct kb_error *err) {
    return operate(map, KB_MAP_TAKE, key, key_size, value, value_size, flags, err);
}

int kb_map_delete(const struct kb_map *map, const void *key, size_t key_size,
                  struct kb_error *err) {
    return operate(map, KB_MAP_DELETE, key, key_size, NULL, 0, 0, err);
}

int kb_map_next_key(const struct kb_map *map, const void *key, size_t key_size, void *next,
                    size_t next_size, struct kb_error *err) {
    return operate(map, KB_MAP_NEXT_KEY, key, key_size, next, next_size, 0, err);
}

/* Whether a buffer has room for count entries of that size, without overflow. */
static bool has_room(size_t size, uint32_t count, size_t entry) {
    return entry == 0 || size / entry >= count;
}

static int check_room(const struct kb_map *map, const char *operation, const struct kb_batch *batch,
                      bool has_values, struct kb_error *err) {
    uint32_t room = batch->count;
    size_t value_size = has_values ? value_size_for(map, batch->flags) : 0;

    if (room > 0 && has_room(batch->keys_size, room, map->key_size) &&
        has_room(batch->values_size, room, value_size))
        return 0;
    return kb_fail(err, ERANGE, operation, map->name,
                   "%zu bytes for keys and %zu for values have no room for %u entries of %u and "
                   "%zu bytes",
                   batch->keys_size, batch->values_size, room, map->key_size, value_size);
}

static int read_batch(const struct kb_map *map, const char *operation, bool take,
                      struct kb_batch *batch, struct kb_error *err) {
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = batch->flags);
    size_t cursor_size = map->key_size < 4 ? 4 : map->key_size;
    uint32_t count = batch->count;
    void *from = batch->first ? NULL : batch->cursor;
    int rc = check_size(map, operation, "cursor", batch->cursor_size, cursor_size, err);

    if (!rc)
        rc = check_room(map, operation, batch, true, err);
    uint32_t room = batch->count;
    batch->count = 0;
    if (rc)
        return rc;
    rc = take ? bpf_map_lookup_and_delete_batch(map->fd, from, batch->cursor, batch->keys,
                                                batch->values, &count, &opts)
              : bpf_map_lookup_batch(map->fd, from, batch->cursor, batch->keys, batch->values,
                                     &count, &opts);
    int errnum = rc ? errno : 0;
    /* Only success, the end and a full buffer say how many; EFAULT may leave the old number. */
    if (errnum == 0 || errnum == ENOENT)
        batch->count = count <= room ? count : 0;
    if (errnum == 0)
        return 0;
    return errnum == ENOENT ? -ENOENT : fail(map, operation, errnum, err);
}

int kb_map_lookup_batch(const struct kb_map *map, struct kb_batch *batch, struct kb_error *err) {
    return read_batch(map, "map lookup batch", false, batch, err);
}

int kb_map_take_batch(const struct kb_map *map, struct kb_batch *batch, struct kb_error *err) {
    return read_batch(map, "map lookup and delete batch", true, batch, err);
}

/* The kernel writes its count before it starts on the entries; what it refuses earlier leaves ours,
 * which is as many as there are and so cannot have failed. */
static int written(const struct kb_map *map, const char *operation, int rc, uint32_t given,
                   struct kb_batch *batch, struct kb_error *err) {
    int errnum = rc ? errno : 0;

    if (errnum && batch->count >= given)
        batch->count = 0;
    return errnum ? fail(map, operation, errnum, err) : 0;
}

int kb_map_update_batch(const struct kb_map *map, struct kb_batch *batch, struct kb_error *err) {
    static const char operation[] = "map update batch";
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = batch->flags);
    uint32_t given = batch->count;
    int rc = check_room(map, operation, batch, true, err);

    if (rc) {
        batch->count = 0;
        return rc;
    }
    rc = bpf_map_update_batch(map->fd, batch->keys, batch->values, &batch->count, &opts);
    return written(map, operation, rc, given, batch, err);
}

int kb_map_delete_batch(const struct kb_map *map, struct kb_batch *batch, struct kb_error *err) {
    static const char operation[] = "map delete batch";
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = batch->flags);
    uint32_t given = batch->count;
    int rc = check_room(map, operation, batch, false, err);

    if (rc) {
        batch->count = 0;
        return rc;
    }
    rc = bpf_map_delete_batch(map->fd, batch->keys, &batch->count, &opts);
    return written(map, operation, rc, given, batch, err);
}

int kb_map_freeze(const struct kb_map *map, struct kb_error *err) {
    struct kb_map_info info;

    if (bpf_map_freeze(map->fd) == 0)
        return 0;
    int errnum = errno;
    /* To older kernels a map that is frozen already is busy. */
    if (errnum == EBUSY && kb_map_get_info(map, &info, NULL) == 0 && info.frozen)
        errnum = EPERM;
    return fail(map, "map freeze", errnum, err);
}
