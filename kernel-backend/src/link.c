/*
 * link.c: what an attachment is to its owner: an id, a type, a program, and the file descriptor
 * whose last close detaches.
 */
#include "internal.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int kb_link_fd(const struct kb_link *link) {
    return link->bpf ? bpf_link__fd(link->bpf) : link->fd;
}

int kb_link_get_info(const struct kb_link *link, struct kb_link_info *out, struct kb_error *err) {
    struct bpf_link_info info;
    uint32_t size = sizeof(info);

    memset(&info, 0, sizeof(info));
    if (bpf_obj_get_info_by_fd(kb_link_fd(link), &info, &size) != 0) {
        /* A bare perf event's descriptor is no BPF object: EINVAL. */
        if (errno == EINVAL)
            return kb_fail(err, EOPNOTSUPP, "link info", NULL,
                           "this kernel attaches without a link object (tracepoints: Linux 5.15)");
        return kb_fail(err, errno, "link info", NULL, "the kernel gives no information");
    }
    *out = (struct kb_link_info){.id = info.id, .type = info.type, .program_id = info.prog_id};
    return 0;
}

int kb_link_detach(struct kb_link *link, struct kb_error *err) {
    if (bpf_link_detach(kb_link_fd(link)) == 0)
        return 0;
    if (errno == EOPNOTSUPP || errno == EINVAL)
        return kb_fail(err, EOPNOTSUPP, "link detach", NULL,
                       "links of this type are detached by closing them");
    return kb_fail(err, errno, "link detach", NULL, "the kernel does not detach it");
}

void kb_link_close(struct kb_link **handle) {
    struct kb_link *link = handle ? *handle : NULL;

    if (!link)
        return;
    *handle = NULL;
    if (link->bpf) {
        struct kb_capture capture;
        kb_capture_begin(&capture);
        bpf_link__destroy(link->bpf);
        kb_capture_end(&capture);
        kb_capture_free(&capture);
    } else if (link->fd >= 0) {
        close(link->fd);
    }
    kb_object_unref(link->object);
    free(link);
}
