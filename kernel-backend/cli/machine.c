/*
 * machine.c: what this kernel can do, what is attached where, and names in BPF file systems.
 */
#include "cli.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum kb_feature_kind kind;
} kinds[] = {
    {"map_type", KB_FEATURE_MAP_TYPE},       {"program_type", KB_FEATURE_PROGRAM_TYPE},
    {"attach_type", KB_FEATURE_ATTACH_TYPE}, {"link_type", KB_FEATURE_LINK_TYPE},
    {"map_flag", KB_FEATURE_MAP_FLAG},       {"program_flag", KB_FEATURE_PROGRAM_FLAG},
    {"btf_kind", KB_FEATURE_BTF_KIND},       {"kfunc", KB_FEATURE_KFUNC},
    {"helper", KB_FEATURE_HELPER},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* 0 or an exit status. `of` is the program type of a helper. */
static int tell_feature(size_t kind, const char *name, const char *of) {
    static const char *const answers[] = {
        [KB_HAS_NOT] = "no", [KB_HAS] = "yes", [KB_UNSURE] = "unsure"};
    struct kb_feature feature;

    if (kb_probe_feature(kinds[kind].kind, name, of, &feature, &failure) != 0)
        return told();
    out_record(NULL);
    out_text("kind", kinds[kind].name);
    out_text("name", name);
    out_text("answer", answers[feature.answer]);
    out_text("since", feature.since);
    if (feature.answer != KB_HAS)
        out_text("reason", feature.reason);
    out_end_record();
    return 0;
}

static int tell_kind(size_t kind) {
    const char *name;
    int rc = 0;

    for (size_t i = 0; !rc && (name = kb_feature_name(kinds[kind].kind, i)); i++)
        rc = tell_feature(kind, name, NULL);
    return rc;
}

static int tell_features(const struct command *command) {
    const char *wanted = command->words[0], *of = NULL;
    bool helper = wanted && strcmp(wanted, "helper") == 0;
    size_t kind = 0, name = 1;
    int rc = 0;

    if (!wanted) {
        for (; !rc && kinds[kind].kind != KB_FEATURE_KFUNC; kind++)
            rc = tell_kind(kind);
        return rc;
    }
    while (kind < KINDS && strcmp(kinds[kind].name, wanted) != 0)
        kind++;
    if (kind == KINDS)
        return wrong("there is no kind '%s' of features; there are map_type, program_type, "
                     "attach_type, link_type, map_flag, program_flag, btf_kind, kfunc and helper",
                     wanted);
    if (helper)
        of = command->words[name++];
    if (command->count <= name && (helper || kinds[kind].kind == KB_FEATURE_KFUNC))
        return wrong(helper ? "for example: features helper xdp redirect"
                            : "for example: features kfunc bpf_task_acquire");
    if (command->count <= name)
        return tell_kind(kind);
    for (; !rc && name < command->count; name++)
        rc = tell_feature(kind, command->words[name], of);
    return rc;
}

int run_features(const struct command *command) {
    out_begin(command->json, stdout);
    out_list(NULL);
    int rc = tell_features(command);
    out_end_list();
    bool good = out_end();
    return rc ? rc : good ? 0 : EXIT_WRONG;
}

static void tell_attached(const struct kb_attached *one, enum kb_target_kind kind) {
    out_record(NULL);
    out_number("program", one->program_id);
    if (one->link_id)
        out_number("link", one->link_id);
    if (kind == KB_TARGET_TC) {
        out_text("direction", one->direction == KB_INGRESS ? "ingress" : "egress");
        out_number("priority", one->priority);
        out_number("handle", one->handle);
    } else {
        const char *hook = kb_number_name(KB_FEATURE_ATTACH_TYPE, one->attach_type);
        out_text("hook", hook ? hook : "unknown");
        out_number("flags", one->flags);
    }
    out_end_record();
}

int run_query(const struct command *command) {
    struct kb_query_result found;
    struct kb_attach_opts place;
    char *memory = NULL;

    if (command->count != 1)
        return wrong("what is attached where? For example: query tcx:eth0");
    if (!read_place(command->words[0], &place, &memory)) {
        free(memory);
        return EXIT_WORDS;
    }
    const struct kb_query_opts opts = {.kind = place.kind,
                                       .path = place.path,
                                       .interface = place.interface,
                                       .direction = place.direction};
    int rc = kb_query(&opts, &found, &failure) ? told() : 0;
    if (!rc) {
        out_begin(command->json, stdout);
        out_list(NULL);
        for (size_t i = 0; i < found.count; i++)
            tell_attached(&found.attached[i], place.kind);
        out_end_list();
        rc = out_end() ? 0 : EXIT_WRONG;
    }
    kb_query_clear(&found);
    free(memory);
    return rc;
}

int run_pin(const struct command *command) {
    struct kb_program *program = NULL;
    struct kb_map *map = NULL;
    struct kb_link *link = NULL;
    int fd = -1, rc;

    if (command->count != 3)
        return wrong("for example: pin prog 12 /sys/fs/bpf/mine");
    const char *what = command->words[0];
    if (strcmp(what, "prog") == 0) {
        rc = open_program(command->words[1], &program);
        fd = rc ? -1 : kb_program_fd(program);
    } else if (strcmp(what, "map") == 0) {
        rc = open_map(command->words[1], &map);
        fd = rc ? -1 : kb_map_fd(map);
    } else if (strcmp(what, "link") == 0) {
        rc = open_link(command->words[1], &link);
        fd = rc ? -1 : kb_link_fd(link);
    } else
        return wrong("what is pinned is a prog, a map or a link, not '%s'", what);
    if (!rc && kb_pin(fd, command->words[2], &failure) != 0)
        rc = told();
    kb_program_close(&program);
    kb_map_close(&map);
    kb_link_close(&link);
    return rc;
}

int run_unpin(const struct command *command) {
    int rc = command->count ? 0 : wrong("which path?");

    for (size_t i = 0; !rc && i < command->count; i++)
        rc = kb_unpin(command->words[i], &failure) ? told() : 0;
    return rc;
}
