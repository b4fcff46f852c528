/*
 * feature.c: what the running kernel can do. In: a kind and a name of def/; out: yes, no or unsure
 * with the reason. Each question is put by doing the thing on a small scale, since versions lie:
 * distributions backport, configurations leave out. The probes are in feature_map.c and
 * feature_program.c; here are names, versions and what answers have in common.
 */
#include "feature.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct row {
    const char *name;
    uint32_t number;
    const char *since;
};

#define VERSION_OF(major, minor) #major "." #minor

static const struct row map_types[] = {
#define MAP(id, number, name, kernel) {name, number, kernel},
#include "map.def"
    {NULL, 0, NULL}};
static const struct row program_types[] = {
#define PROG(id, number, name, kernel) {name, number, kernel},
#include "prog.def"
    {NULL, 0, NULL}};
static const struct row attach_types[] = {
#define ATTACH(id, number, name, kernel) {name, number, kernel},
#include "attach.def"
    {NULL, 0, NULL}};
static const struct row helpers[] = {
#define HELPER(id, name, major, minor, vm, callers) {#name, id, VERSION_OF(major, minor)},
#include "helper.def"
    {NULL, 0, NULL}};
static const struct row kfuncs[] = {{NULL, 0, NULL}};

/* enum bpf_link_type */
static const struct row link_types[] = {
    {"raw_tracepoint", 1, "5.7"}, {"tracing", 2, "5.7"},       {"cgroup", 3, "5.7"},
    {"iter", 4, "5.8"},           {"netns", 5, "5.8"},         {"xdp", 6, "5.9"},
    {"perf_event", 7, "5.15"},    {"kprobe_multi", 8, "5.18"}, {"struct_ops", 9, "6.4"},
    {"netfilter", 10, "6.4"},     {"tcx", 11, "6.6"},          {"uprobe_multi", 12, "6.6"},
    {"netkit", 13, "6.7"},        {"sockmap", 14, "6.10"},     {NULL, 0, NULL}};

/* Flags of BPF_MAP_CREATE: the bit's value. */
static const struct row map_flags[] = {{"no_prealloc", 1 << 0, "4.6"},
                                       {"no_common_lru", 1 << 1, "4.10"},
                                       {"numa_node", 1 << 2, "4.14"},
                                       {"rdonly", 1 << 3, "4.15"},
                                       {"wronly", 1 << 4, "4.15"},
                                       {"stack_build_id", 1 << 5, "4.17"},
                                       {"zero_seed", 1 << 6, "5.0"},
                                       {"rdonly_prog", 1 << 7, "5.2"},
                                       {"wronly_prog", 1 << 8, "5.2"},
                                       {"clone", 1 << 9, "5.4"},
                                       {"mmapable", 1 << 10, "5.5"},
                                       {"preserve_elems", 1 << 11, "5.10"},
                                       {"inner_map", 1 << 12, "5.10"},
                                       {"link", 1 << 13, "6.4"},
                                       {"path_fd", 1 << 14, "6.6"},
                                       {"vtype_btf_obj_fd", 1 << 15, "6.9"},
                                       {"token_fd", 1 << 16, "6.9"},
                                       {"segv_on_fault", 1 << 17, "6.9"},
                                       {"no_user_conv", 1 << 18, "6.9"},
                                       {"rb_overwrite", 1 << 19, "6.19"},
                                       {NULL, 0, NULL}};

/* Flags of BPF_PROG_LOAD. */
static const struct row program_flags[] = {{"strict_alignment", 1 << 0, "4.12"},
                                           {"any_alignment", 1 << 1, "5.0"},
                                           {"test_rnd_hi32", 1 << 2, "5.3"},
                                           {"test_state_freq", 1 << 3, "5.4"},
                                           {"sleepable", 1 << 4, "5.10"},
                                           {"xdp_has_frags", 1 << 5, "5.18"},
                                           {"xdp_dev_bound_only", 1 << 6, "6.3"},
                                           {"test_reg_invariants", 1 << 7, "6.8"},
                                           {NULL, 0, NULL}};

static const struct row btf_kinds[] = {
    {"int", 1, "4.18"},        {"ptr", 2, "4.18"},       {"array", 3, "4.18"},
    {"struct", 4, "4.18"},     {"union", 5, "4.18"},     {"enum", 6, "4.18"},
    {"fwd", 7, "4.18"},        {"typedef", 8, "4.18"},   {"volatile", 9, "4.18"},
    {"const", 10, "4.18"},     {"restrict", 11, "4.18"}, {"func", 12, "5.0"},
    {"func_proto", 13, "5.0"}, {"var", 14, "5.2"},       {"datasec", 15, "5.2"},
    {"float", 16, "5.13"},     {"decl_tag", 17, "5.16"}, {"type_tag", 18, "5.17"},
    {"enum64", 19, "6.0"},     {NULL, 0, NULL}};

static const struct row *const tables[] = {
    [KB_FEATURE_MAP_TYPE] = map_types,
    [KB_FEATURE_PROGRAM_TYPE] = program_types,
    [KB_FEATURE_ATTACH_TYPE] = attach_types,
    [KB_FEATURE_HELPER] = helpers,
    [KB_FEATURE_KFUNC] = kfuncs,
    [KB_FEATURE_LINK_TYPE] = link_types,
    [KB_FEATURE_MAP_FLAG] = map_flags,
    [KB_FEATURE_PROGRAM_FLAG] = program_flags,
    [KB_FEATURE_BTF_KIND] = btf_kinds,
};

static const struct row *find(const struct row *table, const char *name) {
    for (; table->name; table++)
        if (name && strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

static const struct row *numbered(const struct row *table, uint32_t number) {
    while (table->name && table->number != number)
        table++;
    return table->name ? table : NULL;
}

bool kb_is_too_old(uint32_t type, uint32_t attach, char *why, size_t size) {
    const struct row *program = numbered(program_types, type);
    const struct row *hook = numbered(attach_types, attach);

    if (program && kb_kernel_older(program->since))
        snprintf(why, size,
                 "this kernel is too old for programs of type %s" KB_DO "use Linux %s or later",
                 program->name, program->since);
    else if (hook && kb_kernel_older(hook->since))
        snprintf(why, size,
                 "this kernel is too old for programs of attach type %s" KB_DO
                 "use Linux %s or later",
                 hook->name, hook->since);
    else
        return false;
    return true;
}

const char *kb_feature_name(enum kb_feature_kind kind, size_t index) {
    const struct row *row = tables[kind];

    for (size_t i = 0; i < index && row->name; i++)
        row++;
    return row->name;
}

const char *kb_number_name(enum kb_feature_kind kind, uint32_t number) {
    for (const struct row *row = tables[kind]; row->name; row++)
        if (row->number == number)
            return row->name;
    return NULL;
}

void kb_say(struct kb_feature *feature, enum kb_answer answer, int errnum, const char *format,
            ...) {
    va_list args;

    feature->answer = answer;
    feature->errnum = errnum;
    va_start(args, format);
    vsnprintf(feature->reason, sizeof(feature->reason), format, args);
    va_end(args);
}

/* What says nothing about the kernel's abilities, only about the moment. */
static bool is_passing(int errnum) {
    static const int passing[] = {ENOMEM, EMFILE, ENFILE, EAGAIN,  EINTR,  EBUSY,
                                  ENOSPC, EIO,    EFAULT, ENOBUFS, EDQUOT, EEXIST};

    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        if (passing[i] == errnum)
            return true;
    return false;
}

void kb_answer(struct kb_feature *feature, int rc, uint64_t caps, const char *what) {
    char why[400];

    if (rc >= 0) {
        kb_say(feature, KB_HAS, 0, "%s", "");
    } else if (rc == -EPERM || rc == -EACCES) {
        kb_explain_eperm(why, sizeof(why), caps);
        kb_join_remedy(why);
        kb_say(feature, KB_UNSURE, -rc, "%s", why);
    } else if (is_passing(-rc)) {
        kb_say(feature, KB_UNSURE, -rc, "it cannot be asked for now: %s (%s)", kb_reason(-rc),
               kb_errno_name(-rc));
    } else {
        kb_say(feature, KB_HAS_NOT, -rc, "%s %s (%s)",
               rc == -EOPNOTSUPP ? "this kernel is built without" : "this kernel does not know",
               what, kb_errno_name(-rc));
    }
}

static bool has_enumerator(const struct btf *btf, const char *name) {
    for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
        const struct btf_type *t = btf__type_by_id(btf, id);
        if (!btf_is_enum(t))
            continue;
        const struct btf_enum *e = btf_enum(t);
        for (uint32_t i = 0; i < btf_vlen(t); i++)
            if (strcmp(btf__name_by_offset(btf, e[i].name_off), name) == 0)
                return true;
    }
    return false;
}

struct btf *kb_vmlinux_btf(void) {
    struct kb_capture capture;

    kb_capture_begin(&capture);
    struct btf *btf = btf__load_vmlinux_btf();
    kb_capture_end(&capture);
    kb_capture_free(&capture);
    return btf;
}

void kb_answer_by_enumerator(struct kb_feature *feature, const char *enumerator) {
    struct btf *btf = kb_vmlinux_btf();

    if (!btf)
        kb_say(feature, KB_UNSURE, 0,
               "it cannot be tried by itself, and this kernel has no BTF that tells of %s",
               enumerator);
    else if (has_enumerator(btf, enumerator))
        kb_say(feature, KB_HAS, 0, "%s", "");
    else
        kb_say(feature, KB_HAS_NOT, 0, "this kernel's BTF has no %s", enumerator);
    btf__free(btf);
}

static void probe(enum kb_feature_kind kind, const struct row *row, uint32_t of,
                  struct kb_feature *feature) {
    switch (kind) { /* one case per row */
    case KB_FEATURE_MAP_TYPE:
        kb_probe_map_type(row->number, feature);
        break;
    case KB_FEATURE_PROGRAM_TYPE:
        kb_probe_program_type(row->number, feature);
        break;
    case KB_FEATURE_ATTACH_TYPE:
        kb_probe_attach_type(row->number, feature);
        break;
    case KB_FEATURE_HELPER:
        kb_probe_helper(of, row->number, feature);
        break;
    case KB_FEATURE_LINK_TYPE:
        kb_probe_link_type(row->number, feature);
        break;
    case KB_FEATURE_MAP_FLAG:
        kb_probe_map_flag(row->number, feature);
        break;
    case KB_FEATURE_PROGRAM_FLAG:
        kb_probe_program_flag(row->number, feature);
        break;
    case KB_FEATURE_BTF_KIND:
        kb_probe_btf_kind(row->number, feature);
        break;
    case KB_FEATURE_KFUNC:
    case KB_FEATURE_KINDS:
        break;
    }
}

int kb_probe_feature(enum kb_feature_kind kind, const char *name, const char *of,
                     struct kb_feature *feature, struct kb_error *err) {
    memset(feature, 0, sizeof(*feature));
    if (kind == KB_FEATURE_KFUNC) {
        kb_probe_kfunc(name, feature);
        return 0;
    }
    const struct row *row = find(tables[kind], name);
    const struct row *type = kind == KB_FEATURE_HELPER ? find(program_types, of) : NULL;
    if (!row || (kind == KB_FEATURE_HELPER && !type))
        return kb_fail(err, ENOENT, "probe feature", row ? of : name, "no such name is known here");
    feature->since = row->since;
    probe(kind, row, type ? type->number : 0, feature);
    if (feature->answer == KB_HAS_NOT && row->since && kb_kernel_older(row->since)) {
        size_t used = strlen(feature->reason);
        snprintf(feature->reason + used, sizeof(feature->reason) - used, "; Linux %s has it",
                 row->since);
    }
    return 0;
}
