/*
 * query.c: which programs are attached somewhere, whoever did it. In: a place, as attaching takes
 * it; out: programs by id, with their links where the kernel tells. BPF_PROG_QUERY knows what hangs
 * on cgroups, network namespaces, sock maps, infrared receivers, tcx and netkit; XDP and the
 * classic tc are told by netlink.
 */
#include "internal.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char operation[] = "query";

enum { F_QUERY_EFFECTIVE = 1 << 0, ROOM_FIRST = 64, ROOM_MOST = 1 << 16 };

/* Every attach type, and where those hang that the kernel lists by place: by the start of names. */
static const struct {
    uint32_t type;
    const char *name;
} types[] = {
#define ATTACH(id, number, name, kernel) {number, name},
#include "attach.def"
};

static const struct hook {
    const char *start;
    enum kb_target_kind kind;
    enum kb_direction direction; /* 0 = none */
} hooks[] = {
    {"cgroup_", KB_TARGET_CGROUP, 0},
    {"lsm_cgroup", KB_TARGET_CGROUP, 0},
    {"flow_dissector", KB_TARGET_NETNS, 0},
    {"sk_lookup", KB_TARGET_NETNS, 0},
    {"sk_skb_", KB_TARGET_SOCKMAP, 0},
    {"sk_msg_", KB_TARGET_SOCKMAP, 0},
    {"lirc_", KB_TARGET_LIRC, 0},
    {"tcx_ingress", KB_TARGET_TCX, KB_INGRESS},
    {"tcx_egress", KB_TARGET_TCX, KB_EGRESS},
    {"netkit_primary", KB_TARGET_NETKIT, KB_INGRESS},
    {"netkit_peer", KB_TARGET_NETKIT, KB_EGRESS},
};

/* One call of kb_query(). */
struct asking {
    const struct kb_query_opts *opts;
    struct kb_query_result *out;
    uint32_t target; /* a descriptor or an interface's number */
    char where[300];
    struct kb_error *err;
};

/* A new row, or NULL without memory. */
static struct kb_attached *add(struct kb_query_result *out) {
    struct kb_attached *grown = realloc(out->attached, (out->count + 1) * sizeof(*grown));

    if (!grown)
        return NULL;
    out->attached = grown;
    grown += out->count++;
    memset(grown, 0, sizeof(*grown));
    return grown;
}

/* BPF_PROG_QUERY -------------------------------------------------------------------------------*/

struct attr_query {
    uint32_t target, attach_type, query_flags, attach_flags;
    uint64_t program_ids;
    uint32_t count, reserved;
    /* Linux 6.0, 6.6 */
    uint64_t program_flags, link_ids, link_flags, revision;
};
enum { FIRST_QUERY = offsetof(struct attr_query, reserved) };

/* The answer of one hook. */
struct answer {
    uint32_t *ids, *flags, *links; /* one allocation, at ids */
    uint32_t count;
    uint64_t revision;
};

static int ask_once(const struct asking *asking, uint32_t attach_type, uint32_t room,
                    struct answer *answer) {
    enum kb_target_kind kind = asking->opts->kind;
    bool effective = kind == KB_TARGET_CGROUP && asking->opts->effective;
    bool ordered = kind == KB_TARGET_TCX || kind == KB_TARGET_NETKIT;
    struct attr_query attr = {.target = asking->target, .attach_type = attach_type, .count = room};

    answer->ids = calloc(3 * (size_t)room, sizeof(*answer->ids));
    if (!answer->ids)
        return -ENOMEM;
    answer->flags = answer->ids + room;
    answer->links = answer->flags + room;
    attr.query_flags = effective ? F_QUERY_EFFECTIVE : 0;
    attr.program_ids = (uint64_t)(uintptr_t)answer->ids;
    if (ordered || (kind == KB_TARGET_CGROUP && !effective))
        attr.program_flags = (uint64_t)(uintptr_t)answer->flags;
    if (ordered)
        attr.link_ids = (uint64_t)(uintptr_t)answer->links;
    int rc = kb_sys(KB_PROG_QUERY, &attr, sizeof(attr));
    if ((rc == -E2BIG || rc == -EINVAL) && attr.program_flags) { /* a kernel that only tells ids */
        attr.program_flags = attr.link_ids = 0;
        rc = kb_sys(KB_PROG_QUERY, &attr, FIRST_QUERY);
    }
    answer->count = attr.count;
    answer->revision = attr.revision;
    if (rc || attr.count > room) {
        free(answer->ids);
        return rc ? rc : -ENOSPC;
    }
    for (uint32_t i = 0; !attr.program_flags && i < attr.count; i++)
        answer->flags[i] = attr.attach_flags; /* one for all */
    return 0;
}

static int ask_hook(const struct asking *asking, uint32_t attach_type, struct answer *answer) {
    int rc = -ENOSPC;

    for (uint32_t room = ROOM_FIRST; rc == -ENOSPC && room <= ROOM_MOST; room *= 4)
        rc = ask_once(asking, attach_type, room, answer);
    return rc;
}

static int take_answer(struct asking *asking, uint32_t attach_type, const struct answer *answer) {
    for (uint32_t i = 0; i < answer->count; i++) {
        struct kb_attached *row = add(asking->out);
        if (!row)
            return -ENOMEM;
        row->program_id = answer->ids[i];
        row->link_id = answer->links[i];
        row->flags = answer->flags[i];
        row->attach_type = attach_type;
    }
    asking->out->revision = answer->revision;
    return 0;
}

static bool is_wanted(const struct kb_query_opts *opts, uint32_t type, const char *name) {
    const struct hook *hook = NULL;

    for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
        if (strncmp(name, hooks[i].start, strlen(hooks[i].start)) == 0)
            hook = &hooks[i];
    if (!hook || hook->kind != opts->kind)
        return false;
    if (opts->has_attach_type)
        return type == opts->attach_type;
    return !opts->direction || !hook->direction || hook->direction == opts->direction;
}

/* All hooks of the kind, or the one that is asked for. */
static int ask_hooks(struct asking *asking) {
    const struct kb_query_opts *opts = asking->opts;
    struct answer answer;
    int asked = 0, answered = 0, refused = -EINVAL;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        uint32_t type = types[i].type;
        if (!is_wanted(opts, type, types[i].name))
            continue;
        asked++;
        int rc = ask_hook(asking, type, &answer);
        if (rc == -EINVAL || rc == -EOPNOTSUPP) { /* a kernel without this hook */
            refused = rc;
            continue;
        }
        if (!rc) {
            rc = take_answer(asking, type, &answer);
            free(answer.ids);
        }
        if (rc)
            return rc;
        answered++;
    }
    if (asked != 1)
        asking->out->revision = 0;
    return answered ? 0 : refused;
}

/* Netlink --------------------------------------------------------------------------------------*/

static int ask_xdp(struct asking *asking) {
    LIBBPF_OPTS(bpf_xdp_query_opts, xdp);
    int rc = bpf_xdp_query((int)asking->target, 0, &xdp);
    const struct {
        uint32_t id, mode;
    } found[] = {{xdp.skb_prog_id, XDP_FLAGS_SKB_MODE},
                 {xdp.drv_prog_id, XDP_FLAGS_DRV_MODE},
                 {xdp.hw_prog_id, XDP_FLAGS_HW_MODE}};

    for (size_t i = 0; !rc && i < sizeof(found) / sizeof(found[0]); i++) {
        struct kb_attached *row = found[i].id ? add(asking->out) : NULL;
        if (found[i].id && !row)
            return -ENOMEM;
        if (!row)
            continue;
        row->program_id = found[i].id;
        row->attach_type = KB_ATTACH_XDP;
        row->flags = found[i].mode;
    }
    return rc;
}

/* The attribute of a type among some, or NULL. */
static const struct rtattr *find_attribute(const struct rtattr *at, size_t size, unsigned type) {
    while (size >= sizeof(*at) && at->rta_len >= sizeof(*at) && at->rta_len <= size) {
        if ((at->rta_type & NLA_TYPE_MASK) == type)
            return at;
        size_t step = RTA_ALIGN(at->rta_len);
        if (step >= size)
            break;
        size -= step;
        at = (const struct rtattr *)((const char *)at + step);
    }
    return NULL;
}

static const void *data_of(const struct rtattr *at) {
    return (const char *)at + RTA_LENGTH(0);
}

static size_t size_of(const struct rtattr *at) {
    return at->rta_len - (size_t)RTA_LENGTH(0);
}

/* A filter of the classic tc: one of BPF becomes a row. */
static int take_filter(struct asking *asking, const struct nlmsghdr *message,
                       enum kb_direction direction) {
    const struct tcmsg *filter = (const struct tcmsg *)((const char *)message + NLMSG_HDRLEN);
    const char *first = (const char *)filter + NLMSG_ALIGN(sizeof(*filter));
    const char *end = (const char *)message + message->nlmsg_len;
    uint32_t id;

    if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*filter)) || first > end ||
        filter->tcm_ifindex != (int)asking->target)
        return 0;
    const struct rtattr *all = (const struct rtattr *)first;
    const struct rtattr *kind = find_attribute(all, (size_t)(end - first), TCA_KIND);
    const struct rtattr *options = find_attribute(all, (size_t)(end - first), TCA_OPTIONS);
    if (!kind || !options || size_of(kind) < 4 || memcmp(data_of(kind), "bpf", 4) != 0)
        return 0;
    const struct rtattr *program = find_attribute(data_of(options), size_of(options), TCA_BPF_ID);
    if (!program || size_of(program) < sizeof(id))
        return 0;
    memcpy(&id, data_of(program), sizeof(id));
    struct kb_attached *row = add(asking->out);
    if (!row)
        return -ENOMEM;
    row->program_id = id;
    row->direction = direction;
    row->handle = filter->tcm_handle;
    row->priority = TC_H_MAJ(filter->tcm_info) >> 16;
    return 0;
}

/* Messages of one answer; 1: the last was among them. */
static int take_messages(struct asking *asking, const char *buffer, size_t size,
                         enum kb_direction direction) {
    while (size >= sizeof(struct nlmsghdr)) {
        const struct nlmsghdr *message = (const struct nlmsghdr *)buffer;
        size_t step = NLMSG_ALIGN(message->nlmsg_len);
        if (message->nlmsg_len < sizeof(*message) || message->nlmsg_len > size)
            return -EBADMSG;
        if (message->nlmsg_type == NLMSG_DONE)
            return 1;
        if (message->nlmsg_type == NLMSG_ERROR) {
            int errnum = -EBADMSG;
            if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(errnum)))
                memcpy(&errnum, buffer + NLMSG_HDRLEN, sizeof(errnum));
            return errnum ? errnum : 1;
        }
        int rc = take_filter(asking, message, direction);
        if (rc)
            return rc;
        if (step >= size)
            break;
        buffer += step;
        size -= step;
    }
    return 0;
}

static int ask_filters(struct asking *asking, int fd, enum kb_direction direction) {
    struct {
        struct nlmsghdr header;
        struct tcmsg filter;
    } request = {.header = {.nlmsg_len = sizeof(request),
                            .nlmsg_type = RTM_GETTFILTER,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                 .filter = {.tcm_family = AF_UNSPEC}};
    union { /* aligned as messages are */
        struct nlmsghdr header;
        char bytes[32768];
    } buffer;

    request.filter.tcm_ifindex = (int)asking->target;
    request.filter.tcm_parent =
        TC_H_MAKE(TC_H_CLSACT, direction == KB_INGRESS ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
    if (send(fd, &request, sizeof(request), 0) < 0)
        return -errno;
    for (int rc = 0; rc <= 0;) {
        ssize_t size = recv(fd, &buffer, sizeof(buffer), 0);
        rc = size < 0 ? -errno : take_messages(asking, buffer.bytes, (size_t)size, direction);
        if (rc < 0 && rc != -EINTR)
            return rc;
    }
    return 0;
}

static int ask_tc(struct asking *asking) {
    enum kb_direction direction = asking->opts->direction;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    int rc = fd < 0 ? -errno : 0;

    if (!rc && direction != KB_EGRESS)
        rc = ask_filters(asking, fd, KB_INGRESS);
    if (!rc && direction != KB_INGRESS)
        rc = ask_filters(asking, fd, KB_EGRESS);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* The place ------------------------------------------------------------------------------------*/

static int find_interface(struct asking *asking) {
    const struct kb_query_opts *opts = asking->opts;
    char near[512];

    asking->target = opts->interface ? if_nametoindex(opts->interface) : opts->ifindex;
    if (opts->interface && !asking->target)
        return kb_fail(asking->err, ENODEV, operation, NULL,
                       "this network namespace has no interface '%s'" KB_DO "%s", opts->interface,
                       kb_near_interface(opts->interface, near, sizeof(near)));
    if (!asking->target)
        return kb_fail(asking->err, EINVAL, operation, NULL, "the target has no interface");
    snprintf(asking->where, sizeof(asking->where), "interface %u", asking->target);
    return 0;
}

static int open_path(struct asking *asking, const char *path, const char *what) {
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (!path)
        return kb_fail(asking->err, EINVAL, operation, NULL, "the target has no path");
    if (fd < 0)
        return kb_fail(asking->err, errno, operation, NULL, "%s '%s' cannot be opened: %s", what,
                       path, strerror(errno));
    asking->target = (uint32_t)fd;
    snprintf(asking->where, sizeof(asking->where), "%s '%.250s'", what, path);
    return 0;
}

/* Finds the place; *own is its descriptor to close, or -1. */
static int find_place(struct asking *asking, int *own) {
    const struct kb_query_opts *opts = asking->opts;
    int rc;

    *own = -1;
    switch (opts->kind) {
    case KB_TARGET_XDP:
    case KB_TARGET_TC:
    case KB_TARGET_TCX:
    case KB_TARGET_NETKIT:
        return find_interface(asking);
    case KB_TARGET_SOCKMAP:
        asking->target = (uint32_t)opts->fd;
        snprintf(asking->where, sizeof(asking->where), "map");
        return 0;
    case KB_TARGET_CGROUP:
        rc = open_path(asking, opts->path, "control group");
        break;
    case KB_TARGET_NETNS:
        rc = open_path(asking, opts->path ? opts->path : "/proc/thread-self/ns/net",
                       "network namespace");
        break;
    case KB_TARGET_LIRC:
        rc = open_path(asking, opts->path, "device");
        break;
    default:
        return kb_fail(asking->err, EINVAL, operation, NULL,
                       "what is attached there is not listed by place" KB_DO
                       "look through all links (linkIds(), kb_next_id())");
    }
    *own = rc ? -1 : (int)asking->target;
    return rc;
}

static int refused(const struct asking *asking, int errnum) {
    char why[512];

    if (errnum == EPERM)
        kb_explain_eperm(why, sizeof(why), KB_CAP_BIT(KB_CAP_NET_ADMIN));
    return kb_fail(asking->err, errnum, operation, NULL, "%s: %s", asking->where,
                   errnum == EPERM    ? why
                   : errnum == ENOMEM ? "out of memory"
                   : errnum == EINVAL ? "this kernel does not list what is attached there, or it "
                                        "is no such place"
                   : errnum == EBADF  ? "the descriptor is not what this kind is about"
                   : errnum == ENODEV ? "there is no such target"
                                      : "the kernel does not tell");
}

int kb_query(const struct kb_query_opts *opts, struct kb_query_result *out, struct kb_error *err) {
    struct asking asking = {.opts = opts, .out = out, .err = err};
    struct kb_capture capture;
    int own;

    memset(out, 0, sizeof(*out));
    int rc = find_place(&asking, &own);
    if (rc)
        return rc;
    kb_capture_begin(&capture);
    rc = opts->kind == KB_TARGET_XDP  ? ask_xdp(&asking)
         : opts->kind == KB_TARGET_TC ? ask_tc(&asking)
                                      : ask_hooks(&asking);
    kb_capture_end(&capture);
    kb_capture_free(&capture);
    if (own >= 0)
        close(own);
    return rc ? refused(&asking, -rc) : 0;
}

void kb_query_clear(struct kb_query_result *query) {
    free(query->attached);
    memset(query, 0, sizeof(*query));
}
