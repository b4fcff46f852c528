/*
 * attach_net.c: programs that run on packets, on sockets, for control groups and devices. Where the
 * kernel has links, BPF_LINK_CREATE; else what older interfaces there are (netlink,
 * BPF_PROG_ATTACH, setsockopt), whose attachments outlive the process, so the link remembers how to
 * undo them.
 */
#include "attach.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif
#ifndef SO_ATTACH_REUSEPORT_EBPF
#define SO_ATTACH_REUSEPORT_EBPF 52
#endif
#ifndef SO_DETACH_BPF
#define SO_DETACH_BPF 27
#endif
#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF 68
#endif

/* The interface's number in the request; `where` becomes its words. */
static int find_interface(struct request *req, char *where, size_t size) {
    struct kb_attach_opts *opts = &req->opts;

    if (opts->interface) {
        char near[256];
        opts->ifindex = if_nametoindex(opts->interface);
        if (!opts->ifindex)
            return kb_attach_fail(
                req, ENODEV, "this network namespace has no interface '%s'" KB_DO "%s",
                opts->interface, kb_near_interface(opts->interface, near, sizeof(near)));
        snprintf(where, size, "interface '%s'", opts->interface);
    } else {
        snprintf(where, size, "interface %u", opts->ifindex);
    }
    if (!opts->ifindex)
        return kb_attach_fail(req, EINVAL, "the target has no interface");
    return 0;
}

/* 0 or -errno, not recorded. */
static int keep_program(struct request *req) {
    req->link->program = fcntl(req->fd, F_DUPFD_CLOEXEC, 3);
    return req->link->program < 0 ? -errno : 0;
}

static void place_anchor(struct kb_attr_link *attr, const struct kb_anchor *anchor) {
    attr->flags = anchor->flags;
    attr->anchor.relative = anchor->relative;
    attr->anchor.revision = anchor->revision;
}

/* XDP ------------------------------------------------------------------------------------------*/

enum { XDP_NOEXIST = 1 << 0, XDP_MODES = 7 << 1, XDP_REPLACE = 1 << 4 };

static int undo_xdp(struct kb_link *link) {
    LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = link->program);
    int rc = bpf_xdp_detach((int)link->ifindex, (link->flags & XDP_MODES) | XDP_REPLACE, &opts);

    /* Another program is there, or none, or the interface is gone: ours is not there any more. */
    return rc == -EEXIST || rc == -ENODEV ? 0 : rc;
}

static int replace_xdp(struct kb_link *link, int program_fd) {
    LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = link->program);
    uint32_t modes = link->flags & XDP_MODES, there = 0;
    int rc = bpf_xdp_attach((int)link->ifindex, program_fd, modes | XDP_REPLACE, &opts);

    /* The kernel may have done it and only its answer been lost. */
    if (rc && bpf_xdp_query_id((int)link->ifindex, (int)modes, &there) == 0 && there &&
        there == kb_program_fd_id(program_fd))
        return 0;
    return rc;
}

/* By netlink, which every kernel has, and which XDP of links displaces. */
static int xdp_by_netlink(struct request *req) {
    struct kb_capture capture;
    uint32_t ifindex = req->opts.ifindex;
    uint32_t flags = (req->opts.flags & XDP_MODES) | (req->opts.replace ? 0 : XDP_NOEXIST);
    int rc = keep_program(req);

    if (rc)
        return rc;
    req->link->ifindex = ifindex;
    req->link->flags = req->opts.flags;
    kb_capture_begin(&capture);
    rc = bpf_xdp_attach((int)ifindex, req->fd, flags, NULL);
    /* As above. That another program is there (EBUSY) is an answer. */
    if (rc && (rc != -EBUSY || req->opts.replace))
        undo_xdp(req->link);
    kb_capture_end(&capture);
    kb_capture_free(&capture);
    if (!rc) {
        req->link->undo = undo_xdp;
        req->link->replace = replace_xdp;
    }
    return rc;
}

int kb_attach_xdp(struct request *req) {
    struct kb_attr_link attr = {.attach_type = KB_ATTACH_XDP, .flags = req->opts.flags};
    char where[64];
    int rc = find_interface(req, where, sizeof(where));

    if (rc)
        return rc;
    attr.target_fd = req->opts.ifindex;
    rc = req->opts.legacy ? -EINVAL : kb_attach_create(req, &attr);
    if (req->opts.legacy || (rc == -EINVAL && kb_kernel_older("5.9")))
        rc = xdp_by_netlink(req);
    if (rc == -EOPNOTSUPP || (rc == -EINVAL && (req->opts.flags & XDP_MODES)))
        return kb_attach_fail(req, -rc,
                              "%s: its driver does not support XDP in this mode, or not with its "
                              "present settings (MTU, offloads)" KB_DO
                              "use the mode 'generic', which works everywhere",
                              where);
    return rc ? kb_attach_refused(req, -rc, where) : 0;
}

/* tc: clsact, tcx, netkit ----------------------------------------------------------------------*/

static void tc_of_link(const struct kb_link *link, struct bpf_tc_hook *hook,
                       struct bpf_tc_opts *opts) {
    hook->ifindex = (int)link->ifindex;
    hook->attach_point = (enum bpf_tc_attach_point)link->flags;
    opts->handle = link->handle;
    opts->priority = link->priority;
}

static int undo_tc(struct kb_link *link) {
    LIBBPF_OPTS(bpf_tc_hook, hook);
    LIBBPF_OPTS(bpf_tc_opts, opts);
    LIBBPF_OPTS(bpf_tc_opts, there);
    uint32_t ours = kb_program_fd_id(link->program);

    if (!ours)
        return -errno;
    tc_of_link(link, &hook, &opts);
    tc_of_link(link, &hook, &there);
    int rc = bpf_tc_query(&hook, &there);
    if (rc == -EINVAL) /* no filter at all, which detaching tells more clearly */
        there.prog_id = ours;
    if (rc == 0 || rc == -EINVAL)
        rc = there.prog_id == ours ? bpf_tc_detach(&hook, &opts) : -ENOENT;
    return rc == -ENOENT || rc == -ENODEV ? 0 : rc; /* it is gone, or another took its place */
}

/* After an error, whether it was the answer that was lost: the program is there. */
static bool holds_tc(const struct bpf_tc_hook *hook, uint32_t handle, uint32_t priority,
                     int program_fd) {
    LIBBPF_OPTS(bpf_tc_opts, there, .handle = handle, .priority = priority);

    return handle && priority && bpf_tc_query(hook, &there) == 0 && there.prog_id &&
           there.prog_id == kb_program_fd_id(program_fd);
}

static int replace_tc(struct kb_link *link, int program_fd) {
    LIBBPF_OPTS(bpf_tc_hook, hook);
    LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program_fd, .flags = BPF_TC_F_REPLACE);

    tc_of_link(link, &hook, &opts);
    int rc = bpf_tc_attach(&hook, &opts);
    return rc && holds_tc(&hook, link->handle, link->priority, program_fd) ? 0 : rc;
}

int kb_attach_tc(struct request *req) {
    const struct kb_attach_opts *opts = &req->opts;
    LIBBPF_OPTS(bpf_tc_hook, hook);
    LIBBPF_OPTS(bpf_tc_opts, tc, .prog_fd = req->fd, .handle = opts->handle,
                .priority = (uint32_t)opts->priority,
                .flags = opts->replace ? BPF_TC_F_REPLACE : 0);
    struct kb_capture capture;
    char where[64];
    int rc = find_interface(req, where, sizeof(where));

    if (rc)
        return rc;
    if (opts->direction != KB_INGRESS && opts->direction != KB_EGRESS)
        return kb_attach_fail(req, EINVAL, "the target has no direction");
    rc = keep_program(req);
    if (rc)
        return kb_attach_refused(req, -rc, where);
    hook.ifindex = (int)opts->ifindex;
    hook.attach_point = opts->direction == KB_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS;
    kb_capture_begin(&capture);
    rc = bpf_tc_hook_create(&hook); /* the clsact qdisc, which stays: others may use it */
    if (rc == 0 || rc == -EEXIST) {
        rc = bpf_tc_attach(&hook, &tc);
        /* That another filter is there (EEXIST) is an answer. Without numbers the place is unknown.
         */
        LIBBPF_OPTS(bpf_tc_opts, same, .handle = opts->handle,
                    .priority = (uint32_t)opts->priority);
        if (rc && rc != -EEXIST && holds_tc(&hook, same.handle, same.priority, req->fd))
            bpf_tc_detach(&hook, &same);
    }
    kb_capture_end(&capture);
    kb_capture_free(&capture);
    if (rc == -ENOENT || rc == -EOPNOTSUPP)
        return kb_attach_fail(req, -rc,
                              "%s: this kernel has no clsact qdisc or no classifier 'bpf'" KB_DO
                              "load the modules sch_ingress and cls_bpf (modprobe)",
                              where);
    if (rc)
        return kb_attach_refused(req, -rc, where);
    req->link->undo = undo_tc;
    req->link->replace = replace_tc;
    req->link->ifindex = opts->ifindex;
    req->link->flags = (uint32_t)hook.attach_point;
    req->link->handle = tc.handle;
    req->link->priority = tc.priority;
    return 0;
}

/* Both directions of tcx and netkit; types are those of ingress (primary) and egress (peer). */
static int attach_mprog(struct request *req, uint32_t first, uint32_t second) {
    const struct kb_attach_opts *opts = &req->opts;
    struct kb_attr_link attr = {.attach_type = req->attach_type};
    char where[64];
    int rc = find_interface(req, where, sizeof(where));

    if (rc)
        return rc;
    if (opts->direction)
        attr.attach_type = opts->direction == KB_INGRESS ? first : second;
    if (attr.attach_type != first && attr.attach_type != second)
        return kb_attach_fail(req, EINVAL, "neither the target nor the program has a direction");
    attr.target_fd = opts->ifindex;
    place_anchor(&attr, &opts->anchor);
    rc = kb_attach_create(req, &attr);
    if (rc == -ENOENT)
        return kb_attach_fail(req, ENOENT,
                              "%s: what the anchor names is not attached there" KB_DO
                              "look at what is attached (`bpftool net`, linkIds())",
                              where);
    return rc ? kb_attach_refused(req, -rc, where) : 0;
}

int kb_attach_tcx(struct request *req) {
    return attach_mprog(req, KB_ATTACH_TCX_INGRESS, KB_ATTACH_TCX_EGRESS);
}

int kb_attach_netkit(struct request *req) {
    return attach_mprog(req, KB_ATTACH_NETKIT_PRIMARY, KB_ATTACH_NETKIT_PEER);
}

/* What BPF_PROG_ATTACH attaches ----------------------------------------------------------------*/

static int undo_attach(struct kb_link *link) {
    struct kb_attr_attach attr = {.target_fd = (uint32_t)link->target,
                                  .program_fd = (uint32_t)link->program,
                                  .attach_type = link->attach_type};
    int rc = kb_sys(KB_PROG_DETACH, &attr, sizeof(attr));

    return rc == -ENOENT ? 0 : rc; /* somebody else has detached it */
}

static int replace_attached(struct kb_link *link, int program_fd) {
    struct kb_attr_attach attr = {.target_fd = (uint32_t)link->target,
                                  .program_fd = (uint32_t)program_fd,
                                  .attach_type = link->attach_type,
                                  .flags = link->flags};

    if (link->flags & KB_F_ALLOW_MULTI) {
        attr.flags |= KB_F_REPLACE;
        attr.replace_fd = (uint32_t)link->program;
    }
    return kb_sys(KB_PROG_ATTACH, &attr, sizeof(attr));
}

/* Takes the target's descriptor. 0 or -errno, not recorded. */
static int prog_attach(struct request *req, int target, uint32_t type, uint32_t flags) {
    struct kb_attr_attach attr = {.target_fd = (uint32_t)target,
                                  .program_fd = (uint32_t)req->fd,
                                  .attach_type = type,
                                  .flags = flags | req->opts.anchor.flags,
                                  .relative = req->opts.anchor.relative,
                                  .revision = req->opts.anchor.revision};

    req->link->target = target;
    int rc = keep_program(req);
    if (rc)
        return rc;
    rc = kb_sys(KB_PROG_ATTACH, &attr, sizeof(attr));
    if (rc)
        return rc;
    req->link->undo = undo_attach;
    req->link->replace = replace_attached;
    req->link->attach_type = type;
    req->link->flags = flags;
    return 0;
}

/* By a link where the kernel has them; the rest as prog_attach(). */
static int link_or_attach(struct request *req, int target, const char *since, bool legacy,
                          uint32_t flags) {
    struct kb_attr_link attr = {.target_fd = (uint32_t)target, .attach_type = req->attach_type};

    if (legacy || kb_kernel_older(since))
        return prog_attach(req, target, req->attach_type, flags);
    place_anchor(&attr, &req->opts.anchor);
    int rc = kb_attach_create(req, &attr);
    close(target);
    return rc;
}

int kb_attach_cgroup(struct request *req) {
    static const uint32_t flags[] = {[KB_CGROUP_LINK] = KB_F_ALLOW_MULTI,
                                     [KB_CGROUP_MULTI] = KB_F_ALLOW_MULTI,
                                     [KB_CGROUP_OVERRIDE] = KB_F_ALLOW_OVERRIDE,
                                     [KB_CGROUP_EXCLUSIVE] = 0};
    const struct kb_attach_opts *opts = &req->opts;

    if (!opts->path)
        return kb_attach_fail(req, EINVAL, "the target has no path of a cgroup");
    if ((unsigned)opts->cgroup_mode >= sizeof(flags) / sizeof(flags[0]))
        return kb_attach_fail(req, EINVAL, "there is no such mode");
    int cgroup = kb_attach_open(req, opts->path, O_RDONLY | O_DIRECTORY, "the cgroup");
    if (cgroup < 0)
        return cgroup;
    int rc = link_or_attach(req, cgroup, "5.7", opts->cgroup_mode != KB_CGROUP_LINK,
                            flags[opts->cgroup_mode]);
    if (rc == -EBADF)
        return kb_attach_fail(req, EBADF,
                              "'%s' is no folder of a cgroup2 file system" KB_DO
                              "give one; `mount -t cgroup2` lists where there are such",
                              opts->path);
    if (rc == -EPERM && opts->cgroup_mode != KB_CGROUP_LINK)
        return kb_attach_fail(req, EPERM,
                              "'%s': a program there or in a parent allows no other of this mode, "
                              "or this process lacks CAP_NET_ADMIN" KB_DO
                              "detach that one, or attach with the mode 'link' or 'multi'",
                              opts->path);
    return rc ? kb_attach_refused(req, -rc, opts->path) : 0;
}

int kb_attach_netns(struct request *req) {
    struct kb_attr_link attr = {.attach_type = req->attach_type};
    const char *path = req->opts.path ? req->opts.path : "/proc/self/ns/net";
    int netns = kb_attach_open(req, path, O_RDONLY, "the network namespace");

    if (netns < 0)
        return netns;
    attr.target_fd = (uint32_t)netns;
    int rc = kb_attach_create(req, &attr);
    close(netns);
    return rc ? kb_attach_refused(req, -rc, path) : 0;
}

int kb_attach_sockmap(struct request *req) {
    if (!req->opts.fd)
        return kb_attach_fail(req, EINVAL, "the target has no map");
    int map = fcntl(req->opts.fd, F_DUPFD_CLOEXEC, 3);
    if (map < 0)
        return kb_attach_fail(req, errno, "the map's descriptor cannot be copied");
    int rc = link_or_attach(req, map, "6.10", req->opts.legacy, 0);
    return rc ? kb_attach_refused(req, -rc, "the map") : 0;
}

int kb_attach_lirc(struct request *req) {
    if (!req->opts.path)
        return kb_attach_fail(req, EINVAL, "the target has no path of a device");
    int device = kb_attach_open(req, req->opts.path, O_RDONLY, "the device");
    if (device < 0)
        return device;
    int rc = prog_attach(req, device, KB_ATTACH_LIRC_MODE2, 0);
    return rc ? kb_attach_refused(req, -rc, req->opts.path) : 0;
}

/* Sockets --------------------------------------------------------------------------------------*/

/*
 * Detaches if the descriptor is still that of the same socket. The link keeps no copy of it, which
 * would keep the socket open; a socket that is closed has lost its program anyway.
 */
static int undo_socket(struct kb_link *link) {
    struct stat now;
    int none = 0;

    if (fstat(link->socket, &now) != 0 || now.st_ino != link->inode || now.st_dev != link->device)
        return 0;
    return setsockopt(link->socket, SOL_SOCKET, (int)link->flags, &none, sizeof(none)) == 0
               ? 0
               : -errno;
}

static int attach_socket(struct request *req, int attach, int detach) {
    struct stat id;
    int fd = req->opts.fd;

    if (!fd || fstat(fd, &id) != 0 || !S_ISSOCK(id.st_mode))
        return kb_attach_fail(req, ENOTSOCK,
                              "descriptor %d is no socket" KB_DO "give that of a socket", fd);
    if (setsockopt(fd, SOL_SOCKET, attach, &req->fd, sizeof(req->fd)) != 0)
        return kb_attach_refused(req, errno, "the socket");
    req->link->undo = undo_socket;
    req->link->socket = fd;
    req->link->flags = (uint32_t)detach;
    req->link->inode = id.st_ino;
    req->link->device = id.st_dev;
    return 0;
}

int kb_attach_socket(struct request *req) {
    return attach_socket(req, SO_ATTACH_BPF, SO_DETACH_BPF);
}

int kb_attach_reuseport(struct request *req) {
    return attach_socket(req, SO_ATTACH_REUSEPORT_EBPF, SO_DETACH_REUSEPORT_BPF);
}

int kb_attach_netfilter(struct request *req) {
    const struct kb_attach_opts *opts = &req->opts;
    struct kb_attr_link attr = {.attach_type = KB_ATTACH_NETFILTER};

    attr.netfilter.family = opts->family;
    attr.netfilter.hook = opts->hook;
    attr.netfilter.priority = opts->priority;
    attr.netfilter.flags = opts->flags;
    int rc = kb_attach_create(req, &attr);
    if (rc == -EAFNOSUPPORT)
        return kb_attach_fail(req, EAFNOSUPPORT,
                              "family %u is neither NFPROTO_IPV4 (2) nor NFPROTO_IPV6 (10), or "
                              "this kernel has it not" KB_DO "give one of these",
                              opts->family);
    if (rc == -ERANGE || rc == -EBUSY)
        return kb_attach_fail(req, -rc,
                              "priority %d: the lowest and the highest number are the kernel's "
                              "own, and each priority takes one program" KB_DO
                              "give another priority",
                              opts->priority);
    return rc ? kb_attach_refused(req, -rc, "hook") : 0;
}
