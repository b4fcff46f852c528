/*
 * link.c: what an attachment is to its owner: an id, a type, a program, a place that another
 * program can take, and a close that detaches. Attachments that are no link of the kernel (tc,
 * sockets, older interfaces) have the same operations as far as they can.
 */
#include "internal.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct kb_link *kb_link_new(void) {
    struct kb_link *link = calloc(1, sizeof(*link));

    if (link)
        link->target = link->program = -1;
    return link;
}

int kb_link_fd(const struct kb_link *link) {
    if (link->bpf)
        return bpf_link__fd(link->bpf);
    return link->part_count ? link->parts[0].fd : -1;
}

static int no_link(const char *operation, struct kb_error *err) {
    return kb_fail(
        err, EOPNOTSUPP, operation, NULL,
        "this attachment has no link object in the kernel" KB_DO
        "use another kind where there is one: tc and sockets never have links, tracepoints "
        "and probes have since Linux 5.15");
}

int kb_link_get_info(const struct kb_link *link, struct kb_link_info *out, struct kb_error *err) {
    static const char operation[] = "link info";
    struct bpf_link_info info;
    uint32_t size = sizeof(info);

    if (kb_link_fd(link) < 0)
        return no_link(operation, err);
    memset(&info, 0, sizeof(info));
    if (bpf_obj_get_info_by_fd(kb_link_fd(link), &info, &size) != 0) {
        int errnum = errno;
        /* The descriptor may be a struct_ops map's that is attached without a link. */
        return errnum == EINVAL && kb_fd_kind(kb_link_fd(link)) == KB_PIN_MAP
                   ? no_link(operation, err)
                   : kb_fail(err, errnum, operation, NULL, "the kernel gives no information: %s",
                             kb_reason(errnum));
    }
    *out = (struct kb_link_info){.id = info.id, .type = info.type, .program_id = info.prog_id};
    return 0;
}

/* Detach and close -----------------------------------------------------------------------------*/

/* What netlink says through libbpf is nobody's. */
static int quietly(int (*undo)(struct kb_link *link), struct kb_link *link) {
    struct kb_capture capture;

    kb_capture_begin(&capture);
    int rc = undo(link);
    kb_capture_end(&capture);
    kb_capture_free(&capture);
    return rc;
}

int kb_link_detach(struct kb_link *link, struct kb_error *err) {
    static const char operation[] = "link detach";
    int rc;

    if (link->undo) {
        rc = quietly(link->undo, link);
        if (rc)
            return kb_fail(err, -rc, operation, NULL, "%s", kb_reason(-rc));
        link->undo = NULL;
        return 0;
    }
    if (kb_link_fd(link) < 0)
        return no_link(operation, err);
    uint32_t attr = (uint32_t)kb_link_fd(link);
    rc = kb_sys(KB_LINK_DETACH, &attr, sizeof(attr));
    if (rc == -EOPNOTSUPP || (rc == -EINVAL && kb_kernel_older("5.8")))
        return kb_fail(err, EOPNOTSUPP, operation, NULL,
                       "links of this type cannot be detached" KB_DO "close it instead");
    return rc ? kb_fail(err, -rc, operation, NULL, "%s", kb_reason(-rc)) : 0;
}

int kb_link_undo(struct kb_link *link, struct kb_error *err) {
    return link->undo ? kb_link_detach(link, err) : 0;
}

static void close_fd(int fd) {
    if (fd >= 0)
        close(fd);
}

static int destroy(struct kb_link *link) {
    return bpf_link__destroy(link->bpf);
}

void kb_link_close(struct kb_link **handle) {
    struct kb_link *link = handle ? *handle : NULL;

    if (!link)
        return;
    *handle = NULL;
    if (link->undo)
        quietly(link->undo, link); /* who wants to know asks kb_link_undo() first */
    if (link->bpf)
        quietly(destroy, link);
    for (size_t i = 0; i < link->part_count; i++) {
        close_fd(link->parts[i].fd);
        close_fd(link->parts[i].event);
    }
    close_fd(link->target);
    close_fd(link->program);
    kb_object_unref(link->object);
    free(link->parts);
    free(link);
}

/* Update ---------------------------------------------------------------------------------------*/

static int update(struct kb_link *link, int new_fd, uint32_t old_fd, struct kb_error *err) {
    static const char operation[] = "link update";
    uint32_t attr[4] = {(uint32_t)kb_link_fd(link), (uint32_t)new_fd, old_fd ? KB_F_REPLACE : 0,
                        old_fd};

    if (kb_link_fd(link) < 0 || link->part_count > 1)
        return no_link(operation, err);
    int rc = kb_sys(KB_LINK_UPDATE, attr, sizeof(attr));
    switch (-rc) {
    case 0:
        return 0;
    case EPERM:
        return kb_fail(err, EPERM, operation, NULL, "%s",
                       old_fd ? "the link holds another program than the one to replace" KB_DO
                                "look at what it holds (info()), or give no old program"
                              : kb_reason(EPERM));
    case EINVAL:
        return kb_fail(err, EINVAL, operation, NULL,
                       "links of this type take no other program, or this program is of another "
                       "type than the one in it" KB_DO "attach it anew instead");
    case ENOLINK:
        return kb_fail(err, ENOLINK, operation, NULL, "the link was detached" KB_DO "attach anew");
    default:
        return kb_fail(err, -rc, operation, NULL, "%s", kb_reason(-rc));
    }
}

int kb_link_update(struct kb_link *link, struct kb_program *program, const struct kb_program *old,
                   struct kb_error *err) {
    static const char operation[] = "link update";
    int fd = kb_program_fd(program);

    if (fd < 0 || (old && kb_program_fd(old) < 0))
        return kb_fail(err, EBADF, operation, kb_program_name(program),
                       "it is not in the kernel" KB_DO "load the object first");
    if (!link->undo)
        return update(link, fd, old ? (uint32_t)kb_program_fd(old) : 0, err);
    if (!link->replace)
        return no_link(operation, err);
    uint32_t held = old ? kb_program_fd_id(link->program) : 1;
    uint32_t wanted = old && held ? kb_program_fd_id(kb_program_fd(old)) : held;
    if (!held || !wanted)
        return kb_fail(err, errno, operation, kb_program_name(program),
                       "the kernel does not tell which program the link holds: %s",
                       kb_reason(errno));
    if (held != wanted)
        return kb_fail(err, EPERM, operation, kb_program_name(program),
                       "the link holds another program than the one to replace" KB_DO
                       "give the one that it holds, or none");
    int kept = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (kept < 0)
        return kb_fail(err, errno, operation, kb_program_name(program), "%s", kb_reason(errno));
    struct kb_capture capture;
    kb_capture_begin(&capture);
    int rc = link->replace(link, fd);
    kb_capture_end(&capture);
    kb_capture_free(&capture);
    close_fd(rc ? kept : link->program);
    if (rc)
        return kb_fail(err, -rc, operation, kb_program_name(program), "%s", kb_reason(-rc));
    link->program = kept;
    return 0;
}

/* The kernel takes a map that has its value, which libbpf alone can write: as it attaches the map,
 * or puts it into a link of its own. So where the link is not libbpf's, the map is attached for a
 * moment; where its place is taken, as it is by what it is to replace, that fails, and its value is
 * there. */
static int update_struct_ops(struct kb_link *link, const struct kb_map *map) {
    uint32_t attr[4] = {(uint32_t)kb_link_fd(link), (uint32_t)map->fd, 0, 0};

    if (map->ops && link->bpf)
        return bpf_link__update_map(link->bpf, map->ops);
    if (map->ops)
        bpf_link__destroy(bpf_map__attach_struct_ops(map->ops));
    return kb_sys(KB_LINK_UPDATE, attr, sizeof(attr));
}

int kb_link_update_map(struct kb_link *link, const struct kb_map *map, struct kb_error *err) {
    static const char operation[] = "link update";
    struct kb_link_info info;
    struct bpf_map_info held;
    struct kb_capture capture;
    int rc;

    if (map->type != KB_MAP_STRUCT_OPS)
        return kb_fail(err, EINVAL, operation, map->name,
                       "it is no struct_ops map, the only kind that links hold" KB_DO
                       "give a map of SEC(\".struct_ops.link\"), or a program");
    rc = kb_link_get_info(link, &info, err);
    if (rc)
        return rc;
    if (info.type != KB_LINK_STRUCT_OPS)
        return kb_fail(err, EINVAL, operation, map->name,
                       "the link holds a program, not a struct_ops map" KB_DO
                       "give another program");
    rc = kb_map_fd_info(map->fd, &held);
    if (rc)
        return kb_fail(err, rc, operation, map->name, "%s", kb_reason(rc));
    if (!(held.map_flags & KB_F_LINK))
        return kb_fail(err, EINVAL, operation, map->name,
                       "it was not made for links" KB_DO "put it into SEC(\".struct_ops.link\")");
    kb_capture_begin(&capture);
    rc = update_struct_ops(link, map);
    kb_capture_end(&capture);
    kb_capture_free(&capture);
    switch (-rc) {
    case 0:
        return 0;
    case EINVAL:
        return kb_fail(
            err, EINVAL, operation, map->name, "%s",
            map->ops ? "it does not go where the other one is" KB_DO "give a structure of the "
                       "same type, and a congestion control of the same name"
                     : "it does not go where the other one is, or was never attached" KB_DO
                       "give a structure of the same type and name, as its object has it");
    case EOPNOTSUPP:
        return kb_fail(err, EOPNOTSUPP, operation, map->name,
                       "structures of this type take the place of none" KB_DO
                       "close the link, and attach the other one");
    case ENOLINK:
        return kb_fail(err, ENOLINK, operation, map->name,
                       "the link was detached" KB_DO "attach anew");
    default:
        return kb_fail(err, -rc, operation, map->name, "%s", kb_reason(-rc));
    }
}

/* Opening --------------------------------------------------------------------------------------*/

int kb_link_adopt(int fd, struct kb_link **out, struct kb_error *err) {
    struct kb_link_info info;
    struct kb_link *link = kb_link_new();
    struct kb_part *part = malloc(sizeof(*part));

    *out = NULL;
    if (!link || !part) {
        free(link);
        free(part);
        return kb_fail(err, ENOMEM, "open link", NULL, "out of memory");
    }
    *part = (struct kb_part){fd, -1};
    link->parts = part;
    link->part_count = 1;
    int rc = kb_link_get_info(link, &info, err);
    if (rc) {
        link->part_count = 0; /* the descriptor stays the caller's */
        kb_link_close(&link);
    }
    *out = link;
    return rc;
}

int kb_link_open_fd(int fd, struct kb_link **out, struct kb_error *err) {
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    *out = NULL;
    if (own < 0)
        return kb_fail(err, errno, "open link", NULL, "%s", kb_reason(errno));
    int rc = kb_link_adopt(own, out, err);
    if (rc)
        close(own);
    return rc;
}

int kb_link_open(uint32_t id, struct kb_link **out, struct kb_error *err) {
    uint32_t attr[3] = {id, 0, 0};
    char why[512];
    int fd = kb_sys(KB_LINK_GET_FD_BY_ID, attr, sizeof(attr));

    *out = NULL;
    if (fd == -EPERM)
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_SYS_ADMIN));
    if (fd < 0)
        return kb_fail(err, -fd, "open link", NULL, "id %u: %s", id,
                       fd == -EPERM    ? why
                       : fd == -ENOENT ? "the kernel has no link of this id (any more)" KB_DO
                                         "linkIds(), or `bpf link`, lists those that there are"
                                       : kb_reason(-fd));
    int rc = kb_link_adopt(fd, out, err);
    if (rc)
        close(fd);
    return rc;
}

int kb_link_iterate(const struct kb_link *link, int *fd, struct kb_error *err) {
    uint32_t attr[2] = {(uint32_t)kb_link_fd(link), 0};

    if (kb_link_fd(link) < 0)
        return no_link("iterate", err);
    *fd = kb_sys(KB_ITER_CREATE, attr, sizeof(attr));
    if (*fd >= 0)
        return 0;
    return kb_fail(err, -*fd, "iterate", NULL, "%s",
                   *fd == -EINVAL ? "it is no link of an iterator" KB_DO
                                    "attach a program of SEC(\"iter/…\")"
                                  : kb_reason(-*fd));
}
