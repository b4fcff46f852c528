/*
 * map_open.c: map handles: made anew, or of a descriptor, an id, a pin; what the kernel tells about
 * a map, and its memory. Sizes and flags of each type are the kernel's to judge; what it refuses is
 * explained by the type's own rules and by the version that has the type.
 */
#include "internal.h"
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

int kb_map_fd_info(int fd, struct bpf_map_info *info) {
    uint32_t size = sizeof(*info);

    memset(info, 0, sizeof(*info));
    return bpf_obj_get_info_by_fd(fd, info, &size) == 0 ? 0 : errno;
}

/* A handle with a descriptor of its own for the map behind fd. */
int kb_map_adopt(int fd, const char *name, struct kb_map **out, struct kb_error *err) {
    struct bpf_map_info info;
    int errnum = kb_map_fd_info(fd, &info);

    if (errnum)
        return kb_fail(err, errnum, "open map", name, "the kernel gives no information on it: %s",
                       kb_reason(errnum));
    if (kb_possible_cpus() < 0)
        return kb_fail(err, -kb_possible_cpus(), "open map", name,
                       "/sys/devices/system/cpu/possible is not readable" KB_DO
                       "mount sysfs on /sys");
    struct kb_map *map = calloc(1, sizeof(*map));
    char *copy = strdup(name);
    int own = map && copy ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (own < 0) {
        errnum = map && copy ? errno : ENOMEM;
        free(map);
        free(copy);
        return kb_fail(err, errnum, "open map", name, "%s", kb_reason(errnum));
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
    kb_object_unref((*map)->object);
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

/* What only /proc tells: "memlock:\t4096" and "frozen:\t1". 0 or errno; no /proc tells nothing. */
static int read_fdinfo(int fd, struct kb_map_info *out) {
    char path[64], line[128];

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT || errno == EACCES || errno == EPERM ? 0 : errno;
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "memlock:", 8) == 0)
            out->memlock = strtoull(line + 8, NULL, 10);
        else if (strncmp(line, "frozen:", 7) == 0)
            out->frozen = strtoul(line + 7, NULL, 10) != 0;
    }
    fclose(file);
    return 0;
}

int kb_map_get_info(const struct kb_map *map, struct kb_map_info *out, struct kb_error *err) {
    struct bpf_map_info info;
    int errnum = kb_map_fd_info(map->fd, &info);

    if (errnum)
        return kb_fail(err, errnum, "map info", map->name,
                       "the kernel gives no information on it: %s", kb_reason(errnum));
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
        .extra = info.map_extra,
        .ifindex = info.ifindex,
        .netns_dev = info.netns_dev,
        .netns_ino = info.netns_ino,
    };
    errnum = read_fdinfo(map->fd, out);
    return errnum ? kb_fail(err, errnum, "map info", map->name,
                            "/proc/self/fdinfo/%d cannot be read: %s", map->fd, kb_reason(errnum))
                  : 0;
}

/* Making and opening ---------------------------------------------------------------------------*/

static const char create_operation[] = "create map";

static const struct {
    uint32_t type;
    const char *name, *since;
} types[] = {
#define MAP(id, number, name, kernel) {number, name, kernel},
#include "map.def"
};

static bool is_local_storage(uint32_t type) {
    return type == 24 || type == 28 || type == 29 || type == 32; /* sk, inode, task, cgrp */
}

/* What the sizes of a type must be, for EINVAL. */
static const char *rule_of(uint32_t type) {
    switch (type) { /* one case per rule */
    case BPF_MAP_TYPE_RINGBUF:
    case 31: /* user ring buffer */
        return "ring buffers have no key and no value, and max_entries is a power of two times the "
               "page size";
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK:
        return "queues and stacks have keys of 0 bytes";
    case 30:
        return "Bloom filters have keys of 0 bytes and up to 15 hashes in extra";
    case BPF_MAP_TYPE_LPM_TRIE:
        return "tries need BPF_F_NO_PREALLOC and keys of 5 to 260 bytes, the prefix length first";
    case BPF_MAP_TYPE_ARRAY_OF_MAPS:
    case BPF_MAP_TYPE_HASH_OF_MAPS:
        return "maps of maps have values of 4 bytes and need a map as an example of what they hold";
    case KB_MAP_ARENA:
        return "arenas have no key and no value, need BPF_F_MMAPABLE, and max_entries is in pages";
    case BPF_MAP_TYPE_SK_STORAGE:
    case 28:
    case 29:
    case 32:
        return "local storages have keys of 4 bytes, max_entries 0, and need BPF_F_NO_PREALLOC";
    case BPF_MAP_TYPE_STRUCT_OPS:
        return "struct_ops maps are made by loading an object";
    case BPF_MAP_TYPE_CGROUP_STORAGE:
    case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
        return "cgroup storages have max_entries 0 and keys of 8 or 16 bytes";
    case BPF_MAP_TYPE_STACK_TRACE:
        return "stack traces have keys of 4 bytes and values of 8 bytes for each frame";
    default:
        return "array indexes have 4 bytes, nothing but storages has no entries, flags must be "
               "ones that the type has";
    }
}

void kb_explain_map(char *why, size_t size, const struct kb_map_def *def, int errnum) {
    const char *type = NULL, *since = "";

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].type == def->type) {
            type = types[i].name;
            since = types[i].since;
        }
    if (errnum == EPERM)
        kb_explain_eperm(why, size, KB_CAP_BIT(KB_CAP_BPF));
    else if (errnum == E2BIG)
        snprintf(why, size,
                 "the map is larger than its type may be, or this kernel does not "
                 "know one of the options" KB_DO "make it smaller, or leave the option out");
    else if (errnum == ENOMEM)
        snprintf(why, size,
                 "no memory for it (the limit of the cgroup, or of the machine)" KB_DO
                 "make it smaller, or raise the limit");
    else if (!type)
        snprintf(why, size, "%u is no map type that is known here" KB_DO "MapType lists them",
                 def->type);
    else if (kb_kernel_older(since))
        snprintf(why, size,
                 "this kernel is too old for maps of type %s" KB_DO "use Linux %s or later", type,
                 since);
    else if (errnum == EINVAL || errnum == KB_ENOTSUPP)
        snprintf(
            why, size,
            "the kernel refuses type %s, key %u, value %u, max_entries %u, flags 0x%x" KB_DO "%s",
            type, def->key_size, def->value_size, def->max_entries, def->flags, rule_of(def->type));
    else
        snprintf(why, size, "%s", kb_reason(errnum));
}

static int fail_create(const struct kb_map_def *def, int errnum, struct kb_error *err) {
    char why[512];

    kb_explain_map(why, sizeof(why), def, errnum);
    return kb_fail(err, errnum, create_operation, def->name, "%s", why);
}

/* BTF with an int (type 1) and `size` bytes (type 3): what local storages ask for. */
static int load_bytes_btf(uint32_t size) {
    struct btf *btf = btf__new_empty();
    int fd = -ENOMEM;

    if (!btf)
        return fd;
    if (btf__add_int(btf, "int", 4, BTF_INT_SIGNED) == 1 &&
        btf__add_int(btf, "unsigned char", 1, 0) == 2 && btf__add_array(btf, 1, 2, size) == 3) {
        uint32_t length;
        const void *raw = btf__raw_data(btf, &length);
        fd = raw ? bpf_btf_load(raw, length, NULL) : -ENOMEM;
        if (fd < 0 && raw)
            fd = -errno;
    }
    btf__free(btf);
    return fd;
}

int kb_map_create(const struct kb_map_def *def, struct kb_map **map, struct kb_error *err) {
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = def->flags, .numa_node = def->numa_node,
                .inner_map_fd = (uint32_t)def->inner_fd, .map_ifindex = def->ifindex,
                .map_extra = def->extra);
    char name[BPF_OBJ_NAME_LEN] = "";
    int btf = -1;

    if (def->name)
        strncpy(name, def->name, sizeof(name) - 1);
    if (is_local_storage(def->type)) {
        btf = load_bytes_btf(def->value_size);
        if (btf < 0)
            return fail_create(def, -btf, err);
        opts.btf_fd = (uint32_t)btf;
        opts.btf_key_type_id = 1;
        opts.btf_value_type_id = 3;
    }
    int fd = bpf_map_create(def->type, name[0] ? name : NULL, def->key_size, def->value_size,
                            def->max_entries, &opts);
    int errnum = errno;
    if (btf >= 0)
        close(btf);
    if (fd < 0)
        return fail_create(def, errnum, err);
    int rc = kb_map_adopt(fd, def->name ? def->name : "", map, err);
    close(fd);
    return rc;
}

int kb_map_open_fd(int fd, bool own, struct kb_map **map, struct kb_error *err) {
    struct bpf_map_info info;
    int errnum = kb_map_fd_info(fd, &info);

    if (errnum == EBADFD) /* bpf(2)'s word for it */
        errnum = EBADF;
    if (errnum)
        return kb_fail(err, errnum, "open map", NULL, "descriptor %d is %s", fd,
                       errnum == EBADF ? "not open" : "no map's");
    int rc = kb_map_adopt(fd, info.name, map, err);
    if (!rc && own)
        kb_map_take_fd(*map, fd);
    return rc;
}

void kb_map_take_fd(struct kb_map *map, int fd) {
    close(map->fd);
    map->fd = fd;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Gives the descriptor to a handle, or closes it. */
static int adopt_own(int fd, struct kb_map **map, struct kb_error *err) {
    int rc = kb_map_open_fd(fd, true, map, err);

    if (rc)
        close(fd);
    return rc;
}

int kb_map_open_id(uint32_t id, struct kb_map **map, struct kb_error *err) {
    char why[512];
    int fd = bpf_map_get_fd_by_id(id);

    if (fd >= 0)
        return adopt_own(fd, map, err);
    int errnum = errno;
    if (errnum == EPERM)
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_SYS_ADMIN));
    else
        snprintf(why, sizeof(why), "id %u: %s", id,
                 errnum == ENOENT ? "the kernel has no map of this id (any more)" KB_DO
                                    "mapIds(), or `bpf map`, lists those that there are"
                                  : kb_reason(errnum));
    return kb_fail(err, errnum, "open map", NULL, "%s", why);
}

/* Memory ---------------------------------------------------------------------------------------*/

static const char mmap_operation[] = "map memory";

static size_t memory_size(const struct kb_map_info *info) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (info->type != BPF_MAP_TYPE_ARRAY)
        return info->max_entries * page; /* of an arena */
    size_t size = (((size_t)info->value_size + 7) & ~(size_t)7) * info->max_entries;
    return (size + page - 1) & ~(page - 1);
}

/* Why there can be no mapping. */
static int mmap_refused(const struct kb_map *map, const struct kb_memory *memory, int errnum,
                        struct kb_error *err) {
    if (map->type == KB_MAP_ARENA && (errnum == EINVAL || errnum == EEXIST || errnum == EBUSY))
        return kb_fail(
            err, errnum, mmap_operation, map->name,
            "an arena has one address wherever it is mapped, and it is mapped already" KB_DO
            "use the memory of the handle that mapped it, or make the arena with an "
            "address (extra) that is free in each process");
    return kb_fail(err, errnum, mmap_operation, map->name, "%zu bytes cannot be mapped: %s",
                   memory->size, kb_reason(errnum));
}

int kb_map_mmap(const struct kb_map *map, struct kb_memory *memory, struct kb_error *err) {
    struct kb_map_info info;
    int rc = kb_map_get_info(map, &info, err);
    int flags = MAP_SHARED;
    void *where = NULL;

    if (rc)
        return rc;
    if ((info.type != BPF_MAP_TYPE_ARRAY && info.type != KB_MAP_ARENA) ||
        !(info.flags & BPF_F_MMAPABLE))
        return kb_fail(err, EINVAL, mmap_operation, map->name,
                       "only arrays and arenas with BPF_F_MMAPABLE have memory to map" KB_DO
                       "make it with this flag");
    *memory = (struct kb_memory){.size = memory_size(&info)};
    memory->writable = !info.frozen && !(info.flags & BPF_F_RDONLY);
    if (map->arena) {
        memory->at = map->arena;
        memory->owner = kb_object_ref(map->object);
        return 0;
    }
    if (info.type == KB_MAP_ARENA && info.extra) {
        where = (void *)(uintptr_t)info.extra;
        flags |= MAP_FIXED_NOREPLACE;
    }
    int access = PROT_READ | (memory->writable ? PROT_WRITE : 0);
    memory->at = mmap(where, memory->size, access, flags, map->fd, 0);
    return memory->at == MAP_FAILED ? mmap_refused(map, memory, errno, err) : 0;
}

void kb_map_unmap(struct kb_memory *memory) {
    if (memory->owner)
        kb_object_unref(memory->owner); /* libbpf unmaps it with the object */
    else
        munmap(memory->at, memory->size);
}
