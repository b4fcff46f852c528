/*
 * place.c: where something is attached, as one word: the kind of place, and behind colons what it
 * needs. In: "tcx:eth0:egress"; out: the options of attaching, of which a query takes its part.
 */
#include "cli.h"
#include <stdlib.h>
#include <string.h>

/* What follows a kind. */
enum form { NOTHING, PATH, INTERFACE, DIRECTED, NAME, FUNCTION, CATEGORY_NAME };

static const struct {
    const char *kind;
    enum form form;
    const char *example;
} kinds[] = {
    {"xdp", INTERFACE, "xdp:eth0"},
    {"tc", DIRECTED, "tc:eth0:ingress"},
    {"tcx", DIRECTED, "tcx:eth0:egress"},
    {"netkit", DIRECTED, "netkit:nk0:ingress"},
    {"cgroup", PATH, "cgroup:/sys/fs/cgroup/my.slice"},
    {"netns", PATH, "netns, netns:/run/netns/blue"},
    {"lirc", PATH, "lirc:/dev/lirc0"},
    {"raw_tracepoint", NAME, "raw_tracepoint:sys_enter"},
    {"tracepoint", CATEGORY_NAME, "tracepoint:sched:sched_switch"},
    {"kprobe", NAME, "kprobe:do_unlinkat"},
    {"uprobe", FUNCTION, "uprobe:libc.so.6:malloc"},
    {"section", NOTHING, "section"},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Cuts the text at the next colon; what follows it, or NULL. */
static char *cut(char *text) {
    char *colon = text ? strchr(text, ':') : NULL;

    if (!colon)
        return NULL;
    *colon = 0;
    return colon[1] ? colon + 1 : NULL;
}

static bool read_direction(const char *word, struct kb_attach_opts *opts) {
    if (!word)
        return true;
    if (strcmp(word, "ingress") == 0)
        opts->direction = KB_INGRESS;
    else if (strcmp(word, "egress") == 0)
        opts->direction = KB_EGRESS;
    return opts->direction != 0;
}

/* False when something is missing or wrong. */
static bool read_form(enum form form, char *rest, struct kb_attach_opts *opts) {
    char *more;

    switch (form) {
    case NOTHING:
        return !rest;
    case PATH:
        opts->path = rest;
        return rest || opts->kind == KB_TARGET_NETNS;
    case INTERFACE:
        opts->interface = rest;
        return rest;
    case NAME:
        opts->name = rest;
        return rest;
    case DIRECTED:
        more = cut(rest);
        opts->interface = rest;
        return rest && read_direction(more, opts);
    case FUNCTION:
        opts->name = cut(rest);
        opts->path = rest;
        return opts->name;
    case CATEGORY_NAME:
        opts->name = cut(rest);
        opts->category = rest;
        return opts->name;
    }
    return false;
}

bool read_place(const char *text, struct kb_attach_opts *opts, char **memory) {
    char *copy = strdup(text), *rest = cut(copy);

    *memory = copy;
    memset(opts, 0, sizeof(*opts));
    if (!copy) {
        failed("out of memory");
        return false;
    }
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(copy, kinds[i].kind) != 0)
            continue;
        opts->kind = kb_target_by_name(copy);
        if (read_form(kinds[i].form, rest, opts))
            return true;
        wrong("'%s' is no whole place; for example %s", text, kinds[i].example);
        return false;
    }
    fprintf(stderr, "kb: '%s' is no place; there are, for example:\n", text);
    for (size_t i = 0; i < KINDS; i++)
        fprintf(stderr, "  %s\n", kinds[i].example);
    return false;
}
