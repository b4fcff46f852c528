/*
 * section.c: what a section's name says about where to attach: "kprobe/do_unlinkat+0x10",
 * "usdt/libc.so.6:libc:setjmp", "tp/sched/sched_switch". In: a request; out: the options that an
 * explicit target would have. The grammar is that of libbpf's SEC() conventions.
 */
#include "attach.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How what stands behind the '/' is written. */
enum grammar {
    NAME,          /* one name */
    FUNCTION,      /* a function, and "+offset" */
    CATEGORY_NAME, /* "sched/sched_switch" */
    PATH_FUNCTION, /* "PATH:function+offset", or "PATH:offset" */
    PATH_PATTERN,  /* "PATH:pattern" */
    PATTERN,       /* functions with '*' and '?' */
    USDT,          /* "PATH:provider:name" */
    NOTHING        /* the target is given at load */
};

static const struct row {
    const char *prefix;
    enum kb_target_kind kind;
    enum grammar grammar;
    bool at_return;
    const char *example;
} rows[] = {
    {"raw_tp", KB_TARGET_RAW_TRACEPOINT, NAME, false, "raw_tp/sys_enter"},
    {"raw_tracepoint", KB_TARGET_RAW_TRACEPOINT, NAME, false, "raw_tp/sys_enter"},
    {"raw_tp.w", KB_TARGET_RAW_TRACEPOINT, NAME, false, "raw_tp.w/nbd_send_request"},
    {"raw_tracepoint.w", KB_TARGET_RAW_TRACEPOINT, NAME, false, "raw_tp.w/nbd_send_request"},
    {"raw_tp.s", KB_TARGET_RAW_TRACEPOINT, NAME, false, "raw_tp.s/sys_enter"},
    {"raw_tracepoint.s", KB_TARGET_RAW_TRACEPOINT, NAME, false, "raw_tp.s/sys_enter"},
    {"tp", KB_TARGET_TRACEPOINT, CATEGORY_NAME, false, "tp/syscalls/sys_enter_open"},
    {"tracepoint", KB_TARGET_TRACEPOINT, CATEGORY_NAME, false, "tp/syscalls/sys_enter_open"},
    {"tp.s", KB_TARGET_TRACEPOINT, CATEGORY_NAME, false, "tp.s/syscalls/sys_enter_open"},
    {"tracepoint.s", KB_TARGET_TRACEPOINT, CATEGORY_NAME, false, "tp.s/syscalls/sys_enter_open"},
    {"kprobe", KB_TARGET_KPROBE, FUNCTION, false, "kprobe/do_unlinkat"},
    {"kretprobe", KB_TARGET_KPROBE, FUNCTION, true, "kretprobe/do_unlinkat"},
    {"ksyscall", KB_TARGET_KSYSCALL, NAME, false, "ksyscall/openat"},
    {"kretsyscall", KB_TARGET_KSYSCALL, NAME, true, "kretsyscall/openat"},
    {"kprobe.multi", KB_TARGET_KPROBE_MULTI, PATTERN, false, "kprobe.multi/tcp_*"},
    {"kretprobe.multi", KB_TARGET_KPROBE_MULTI, PATTERN, true, "kretprobe.multi/tcp_*"},
    {"kprobe.session", KB_TARGET_KPROBE_MULTI, PATTERN, false, "kprobe.session/tcp_*"},
    {"uprobe", KB_TARGET_UPROBE, PATH_FUNCTION, false, "uprobe/libc.so.6:malloc"},
    {"uprobe.s", KB_TARGET_UPROBE, PATH_FUNCTION, false, "uprobe.s/libc.so.6:malloc"},
    {"uretprobe", KB_TARGET_UPROBE, PATH_FUNCTION, true, "uretprobe/libc.so.6:malloc"},
    {"uretprobe.s", KB_TARGET_UPROBE, PATH_FUNCTION, true, "uretprobe.s/libc.so.6:malloc"},
    {"uprobe.multi", KB_TARGET_UPROBE_MULTI, PATH_PATTERN, false, "uprobe.multi/libc.so.6:str*"},
    {"uprobe.multi.s", KB_TARGET_UPROBE_MULTI, PATH_PATTERN, false,
     "uprobe.multi.s/libc.so.6:str*"},
    {"uretprobe.multi", KB_TARGET_UPROBE_MULTI, PATH_PATTERN, true,
     "uretprobe.multi/libc.so.6:str*"},
    {"uretprobe.multi.s", KB_TARGET_UPROBE_MULTI, PATH_PATTERN, true,
     "uretprobe.multi.s/libc.so.6:str*"},
    {"uprobe.session", KB_TARGET_UPROBE_MULTI, PATH_PATTERN, false,
     "uprobe.session/libc.so.6:str*"},
    {"uprobe.session.s", KB_TARGET_UPROBE_MULTI, PATH_PATTERN, false,
     "uprobe.session.s/libc.so.6:str*"},
    {"usdt", KB_TARGET_USDT, USDT, false, "usdt/libc.so.6:libc:setjmp"},
    {"usdt.s", KB_TARGET_USDT, USDT, false, "usdt.s/libc.so.6:libc:setjmp"},
    {"iter", KB_TARGET_ITER, NOTHING, false, NULL},
    {"iter.s", KB_TARGET_ITER, NOTHING, false, NULL},
    {"netfilter", KB_TARGET_NETFILTER, NOTHING, false, NULL},
};

/* Cuts the text at its last mark; the part behind it, or NULL. */
static char *cut_last(char *text, char mark) {
    char *at = strrchr(text, mark);

    if (!at || at == text || !at[1])
        return NULL;
    *at = 0;
    return at + 1;
}

/* "name+0x10", "name", or with `bare` also "0x10". */
static bool read_function(struct kb_attach_opts *opts, char *text, bool bare) {
    char *end, *plus;

    if (bare && text[0] >= '0' && text[0] <= '9') {
        opts->offset = strtoull(text, &end, 0);
        return *end == 0;
    }
    plus = cut_last(text, '+');
    if (plus) {
        opts->offset = strtoull(plus, &end, 0);
        if (*end)
            return false;
    }
    opts->name = text;
    return true;
}

static bool read_target(struct kb_attach_opts *opts, enum grammar grammar, char *text) {
    char *behind;

    switch (grammar) {
    case NAME:
        opts->name = text;
        return true;
    case FUNCTION:
        return read_function(opts, text, false);
    case PATTERN:
        opts->pattern = text;
        return true;
    case CATEGORY_NAME:
        opts->category = text;
        opts->name = behind = strchr(text, '/');
        if (!behind || behind == text || !behind[1])
            return false;
        *behind = 0;
        opts->name = behind + 1;
        return true;
    case PATH_FUNCTION:
        opts->path = text;
        behind = cut_last(text, ':');
        return behind && read_function(opts, behind, true);
    case PATH_PATTERN:
        opts->path = text;
        opts->pattern = cut_last(text, ':');
        return opts->pattern != NULL;
    case USDT:
        opts->path = text;
        opts->name = cut_last(text, ':');
        opts->category = opts->name ? cut_last(text, ':') : NULL;
        return opts->category != NULL;
    case NOTHING:
        return true;
    }
    return false;
}

/* Programs whose target is theirs since they were loaded. */
static bool loaded_with_target(const struct request *req) {
    return (req->type == KB_PROG_TRACING && req->attach_type != KB_ATTACH_TRACE_ITER) ||
           (req->type == KB_PROG_LSM && req->attach_type == KB_ATTACH_LSM_MAC) ||
           req->type == KB_PROG_EXT;
}

static const struct row *find_row(const char *section, const char **target) {
    size_t length = strcspn(section, "/");

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strlen(rows[i].prefix) == length && strncmp(rows[i].prefix, section, length) == 0) {
            *target = section[length] && section[length + 1] ? section + length + 1 : NULL;
            return &rows[i];
        }
    return NULL;
}

int kb_attach_section(struct request *req, char **memory) {
    const char *target = NULL;
    const char *section = req->program->bpf ? bpf_program__section_name(req->program->bpf) : "";
    /* SEC("?...") is not loaded by itself, and otherwise as any. */
    const struct row *row = find_row(section + (section[0] == '?'), &target);

    if (loaded_with_target(req)) {
        req->opts.kind = req->type == KB_PROG_EXT ? KB_TARGET_FREPLACE : KB_TARGET_TRACING;
        return 0;
    }
    if (!row || (!target && row->grammar != NOTHING) || row->kind == KB_TARGET_NETFILTER)
        return kb_attach_fail(req, EOPNOTSUPP,
                              "section '%s' does not say where to attach" KB_DO
                              "give attach() an explicit target",
                              section);
    req->opts.kind = row->kind;
    req->opts.at_return = row->at_return;
    if (row->grammar == NOTHING)
        return 0;
    *memory = strdup(target);
    if (!*memory)
        return kb_attach_fail(req, ENOMEM, "out of memory");
    if (!read_target(&req->opts, row->grammar, *memory))
        return kb_attach_fail(req, EINVAL, "section '%s' must be written as SEC(\"%s\") is",
                              section, row->example);
    return 0;
}
