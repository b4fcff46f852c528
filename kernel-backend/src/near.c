/*
 * near.c: "there is no such target" is half an answer; the other half is what it may have been
 * meant to be. In: a name that is not there, and all that are: of /proc/kallsyms, tracefs, the
 * kernel's BTF, interfaces, symbols of an executable; out: the nearest three, in a question.
 *
 * Nearness is the number of letters to change (Levenshtein), where a name that starts with the
 * wanted one and a compiler's suffix (.isra.0, .constprop.0), or a system call's prefix and it
 * (__x64_sys_openat), or that has another version (memcpy@@GLIBC_2.14), is the nearest of all.
 */
#include "feature.h"
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAR = 100 };

static unsigned least(unsigned a, unsigned b, unsigned c) {
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Letters to change, insert or delete; FAR when they are more than `most`. */
static unsigned letters(const char *a, const char *b, unsigned most) {
    size_t n = strlen(a), m = strlen(b);
    unsigned row[KB_NEAR_SIZE];

    if ((n > m ? n - m : m - n) > most || m >= KB_NEAR_SIZE)
        return FAR;
    for (size_t j = 0; j <= m; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned corner = row[0], best = row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
            corner = above;
            best = row[j] < best ? row[j] : best;
        }
        if (best > most)
            return FAR;
    }
    return row[m] > most ? FAR : row[m];
}

static unsigned distance(const char *wanted, const char *name) {
    size_t length = strlen(wanted), size = strlen(name), plain = strcspn(wanted, "@");

    if (strncmp(name, wanted, length) == 0 && name[length] == '.')
        return 0;
    if (strncmp(name, wanted, plain) == 0 &&
        (name[plain] == '@' || (plain < length && !name[plain])))
        return 0;
    if (size > length + 4 && strcmp(name + size - length, wanted) == 0 &&
        strncmp(name + size - length - 4, "sys_", 4) == 0)
        return 0;
    unsigned most = length < 4 ? 1 : length < 8 ? 2 : 3;
    unsigned change = letters(wanted, name, most);
    if (change != FAR)
        return 1 + change;
    /* What begins or ends alike comes last. */
    return length >= 5 && size < length + 24 && strstr(name, wanted) ? 5 + (unsigned)(size - length)
                                                                     : FAR;
}

void kb_near_offer(struct kb_near *near, const char *name) {
    size_t size = strlen(name);
    unsigned far = size && size < KB_NEAR_SIZE ? distance(near->wanted, name) : FAR;
    size_t at = near->count;

    if (far == FAR)
        return;
    for (size_t i = 0; i < near->count; i++)
        if (strcmp(near->names[i].name, name) == 0)
            return;
    while (at > 0 && near->names[at - 1].distance > far)
        at--;
    if (at == KB_NEAR_NAMES)
        return;
    if (near->count < KB_NEAR_NAMES)
        near->count++;
    for (size_t i = near->count - 1; i > at; i--)
        near->names[i] = near->names[i - 1];
    near->names[at].distance = far;
    memcpy(near->names[at].name, name, size + 1);
}

const char *kb_near_say(const struct kb_near *near, const char *otherwise, char *text,
                        size_t size) {
    size_t used = 0;

    if (!near->count)
        snprintf(text, size, "%s", otherwise);
    for (size_t i = 0; i < near->count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s'%s'%s",
                                 i == 0                 ? "did you mean "
                                 : i + 1 == near->count ? " or "
                                                        : ", ",
                                 near->names[i].name, i + 1 == near->count ? "?" : "");
    return text;
}

const char *kb_near_interface(const char *name, char *text, size_t size) {
    struct kb_near near = {.wanted = name};
    struct if_nameindex *list = if_nameindex();

    for (size_t i = 0; list && list[i].if_name; i++)
        kb_near_offer(&near, list[i].if_name);
    if (list)
        if_freenameindex(list);
    return kb_near_say(&near, "`ip link` lists those that there are", text, size);
}

/* Offers the word of each line that `word` finds; modules' names and addresses are other words. */
static void offer_lines(struct kb_near *near, const char *path,
                        const char *(*word)(char *line, const char *wanted)) {
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;

    while (file && getline(&line, &size, file) > 0) {
        const char *found = word(line, near->wanted);
        if (found)
            kb_near_offer(near, found);
    }
    free(line);
    if (file)
        fclose(file);
}

/* "ffffffff81000000 T name\t[module]", functions only */
static const char *kallsyms_word(char *line, const char *wanted) {
    char *type = strchr(line, ' ');

    (void)wanted;
    if (!type || !strchr("tTwW", type[1]) || type[2] != ' ')
        return NULL;
    type[3 + strcspn(type + 3, "\t \n")] = 0;
    return type + 3;
}

const char *kb_near_function(const char *name, char *text, size_t size) {
    struct kb_near near = {.wanted = name};

    offer_lines(&near, "/proc/kallsyms", kallsyms_word);
    return kb_near_say(&near,
                       "/proc/kallsyms lists all: inlined ones are not there, and compilers add "
                       "suffixes such as .isra.0",
                       text, size);
}

const char *kb_missing_function(const char *const *names, size_t count) {
    FILE *file = fopen("/proc/kallsyms", "re");
    bool *seen = calloc(count + 1, sizeof(*seen));
    char *line = NULL;
    const char *missing = NULL;
    size_t size = 0;

    while (file && seen && getline(&line, &size, file) > 0) {
        const char *name = kallsyms_word(line, NULL);
        for (size_t i = 0; name && i < count; i++)
            seen[i] = seen[i] || strcmp(names[i], name) == 0;
    }
    for (size_t i = count; file && seen && i-- > 0;)
        missing = seen[i] ? missing : names[i];
    free(line);
    free(seen);
    if (file)
        fclose(file);
    return missing;
}

static void offer_btf(struct kb_near *near, bool (*is)(const struct btf_type *t),
                      const char *prefix) {
    struct btf *btf = kb_vmlinux_btf();

    for (uint32_t id = 1; btf && id < btf__type_cnt(btf); id++) {
        const struct btf_type *t = btf__type_by_id(btf, id);
        const char *name = is(t) ? btf__name_by_offset(btf, t->name_off) : NULL;
        if (name && strncmp(name, prefix, strlen(prefix)) == 0)
            kb_near_offer(near, name + strlen(prefix));
    }
    btf__free(btf);
}

const char *kb_near_btf_target(uint32_t attach_type, const char *name, char *text, size_t size) {
    const struct {
        uint32_t attach_type;
        bool (*is)(const struct btf_type *type);
        const char *prefix;
    } kinds[] = {
        {BPF_TRACE_RAW_TP, btf_is_typedef, "btf_trace_"},
        {BPF_TRACE_ITER, btf_is_func, "bpf_iter_"},
        {BPF_LSM_MAC, btf_is_func, "bpf_lsm_"},
        {BPF_LSM_CGROUP, btf_is_func, "bpf_lsm_"},
        {attach_type, btf_is_func, ""},
    };
    struct kb_near near = {.wanted = name};
    size_t kind = 0;

    while (kinds[kind].attach_type != attach_type)
        kind++;
    offer_btf(&near, kinds[kind].is, kinds[kind].prefix);
    return kb_near_say(&near,
                       "`bpf btf dump /sys/kernel/btf/vmlinux` lists what the kernel's BTF has",
                       text, size);
}

const char *kb_near_section(const char *name, char *text, size_t size) {
    static const char *const rows[] = {
#define SEC(name, prog, attach, flags) name,
#include "prog.def"
    };
    struct kb_near near = {.wanted = name};
    const char *target = strchr(name, '/');

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t length = strcspn(rows[i], "+");
        bool takes = rows[i][length] == '+' && target;
        char whole[KB_NEAR_SIZE];
        snprintf(whole, sizeof(whole), "%.*s%s", (int)length, rows[i], takes ? target : "");
        kb_near_offer(&near, whole);
    }
    return kb_near_say(&near, "give it a type (programs, type), or leave it out (only)", text,
                       size);
}

/* "category:name" */
static const char *event_word(char *line, const char *wanted) {
    line[strcspn(line, "\n")] = 0;
    char *colon = strchr(line, ':');
    if (!colon)
        return NULL;
    *colon = strchr(wanted, '/') ? '/' : ':';
    return strchr(wanted, '/') ? line : colon + 1;
}

const char *kb_near_tracepoint(const char *category, const char *name, char *text, size_t size) {
    char wanted[256];
    struct kb_near near = {.wanted = wanted};

    snprintf(wanted, sizeof(wanted), "%s/%s", category, name);
    offer_lines(&near, "/sys/kernel/tracing/available_events", event_word);
    if (!near.count) { /* of another category */
        size_t skip = strlen(category) + 1;
        near.wanted = wanted + (skip < strlen(wanted) ? skip : 0);
        offer_lines(&near, "/sys/kernel/tracing/available_events", event_word);
    }
    return kb_near_say(&near, "/sys/kernel/tracing/available_events lists them", text, size);
}

const char *kb_near_raw_tracepoint(const char *name, char *text, size_t size) {
    struct kb_near near = {.wanted = name};

    offer_btf(&near, btf_is_typedef, "btf_trace_");
    if (!near.count)
        offer_lines(&near, "/sys/kernel/tracing/available_events", event_word);
    return kb_near_say(&near,
                       "they are named as in /sys/kernel/tracing/available_events after the colon",
                       text, size);
}
