/*
 * object.c: `kb load` and `kb attach`: an object into the kernel, to where its sections or --to
 * say, until a signal comes, a time is over, or, with --pin, for good.
 */
#include "cli.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* What was loaded; handles are closed whatever happens. */
struct loaded {
    struct kb_object *object;
    struct kb_program **programs;
    struct kb_map **maps;
    struct kb_link **links; /* one for each program, or NULL; then one for each map */
    size_t program_count, map_count;
};

/* A file whole; free() it. False after saying why. */
static bool read_file(const char *path, uint8_t **bytes, size_t *size) {
    char argument[4096];

    if ((size_t)snprintf(argument, sizeof(argument), "@%s", path) >= sizeof(argument)) {
        failed("%s: the path is too long", path);
        return false;
    }
    return read_bytes(argument, bytes, size);
}

/* --only: nothing else is loaded. */
static int choose(struct kb_object *object, const struct command *command) {
    const struct kb_program_changes yes = {.autoload = KB_YES}, no = {.autoload = KB_NO};
    struct kb_program_info info;
    size_t found = 0;

    for (size_t i = 0; command->only_count && kb_object_program_info(object, i, &info) == 0; i++) {
        bool wanted = false;
        for (size_t n = 0; n < command->only_count; n++)
            wanted |= strcmp(command->only[n], info.name) == 0;
        found += wanted;
        if (kb_object_change_program(object, i, wanted ? &yes : &no, &failure) != 0)
            return told();
    }
    return found < command->only_count ? failed("the object has no program of such a name") : 0;
}

static int take_handles(struct loaded *loaded) {
    struct kb_program_info program;
    struct kb_map_info map;

    loaded->program_count = kb_object_program_count(loaded->object);
    loaded->map_count = kb_object_map_count(loaded->object);
    loaded->programs = calloc(loaded->program_count + 1, sizeof(*loaded->programs));
    loaded->maps = calloc(loaded->map_count + 1, sizeof(*loaded->maps));
    loaded->links = calloc(loaded->program_count + loaded->map_count + 1, sizeof(*loaded->links));
    if (!loaded->programs || !loaded->maps || !loaded->links)
        return failed("out of memory");
    for (size_t i = 0; i < loaded->program_count; i++)
        if (kb_object_program_info(loaded->object, i, &program) == 0 && program.fd >= 0 &&
            kb_object_program(loaded->object, i, &loaded->programs[i], &failure) != 0)
            return told();
    for (size_t i = 0; i < loaded->map_count; i++)
        if (kb_object_map_info(loaded->object, i, &map) == 0 && map.fd >= 0 &&
            kb_object_map(loaded->object, i, &loaded->maps[i], &failure) != 0)
            return told();
    return 0;
}

static int load(struct loaded *loaded, const struct command *command) {
    const struct kb_load_opts opts = {.log_level = command->log_level};
    uint8_t *bytes;
    size_t size;

    if (command->count != 1)
        return wrong("which object? Name one file");
    if (!read_file(command->words[0], &bytes, &size))
        return EXIT_WRONG;
    int rc = kb_object_open(bytes, size, NULL, &loaded->object, &failure) ? told() : 0;
    free(bytes);
    if (!rc)
        rc = choose(loaded->object, command);
    if (!rc && kb_object_load(loaded->object, &opts, &failure) != 0)
        rc = told();
    return rc ? rc : take_handles(loaded);
}

static void close_all(struct loaded *loaded) {
    for (size_t i = 0; loaded->links && i < loaded->program_count + loaded->map_count; i++)
        kb_link_close(&loaded->links[i]);
    for (size_t i = 0; loaded->programs && i < loaded->program_count; i++)
        kb_program_close(&loaded->programs[i]);
    for (size_t i = 0; loaded->maps && i < loaded->map_count; i++)
        kb_map_close(&loaded->maps[i]);
    free(loaded->links);
    free(loaded->programs);
    free(loaded->maps);
    kb_object_close(&loaded->object);
}

/* Attaching -----------------------------------------------------------------------------------*/

/* A section like SEC("xdp") does not say where: then the program stays as it is. */
static int attach_program(struct kb_program *program, const struct kb_attach_opts *to,
                          struct kb_link **link) {
    int rc = kb_program_attach(program, to, link, &failure);

    if (rc == -EOPNOTSUPP && !to) {
        kb_error_clear(&failure);
        return 0;
    }
    return rc ? told() : 0;
}

static int attach_all(struct loaded *loaded, const struct kb_attach_opts *to) {
    enum { STRUCT_OPS = 26, F_LINK = 1 << 13 };
    struct kb_map_info info;
    size_t count = 0;
    int rc = 0;

    for (size_t i = 0; !rc && i < loaded->program_count; i++) {
        if (loaded->programs[i])
            rc = attach_program(loaded->programs[i], to, &loaded->links[i]);
        count += loaded->links[i] != NULL;
    }
    for (size_t i = 0; !rc && i < loaded->map_count; i++) {
        struct kb_link **link = &loaded->links[loaded->program_count + i];
        if (kb_object_map_info(loaded->object, i, &info) != 0 || info.type != STRUCT_OPS ||
            !(info.flags & F_LINK))
            continue;
        rc = kb_object_attach_map(loaded->object, i, link, &failure) ? told() : 0;
        count += *link != NULL;
    }
    if (!rc && !count)
        rc = failed("no section says where to attach; name a place: --to xdp:eth0");
    return rc;
}

/* Pinning -------------------------------------------------------------------------------------*/

/* FOLDER/WHAT/NAME; a BPF file system takes no dots in names. */
static int pin_one(const char *folder, const char *what, const char *name, int fd) {
    char path[4096];
    size_t used = (size_t)snprintf(path, sizeof(path), "%s/%s", folder, what);

    if (used + strlen(name) + 2 > sizeof(path))
        return failed("%s: the path is too long", folder);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return failed("%s: %s", folder, strerror(errno));
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return failed("%s: %s", path, strerror(errno));
    snprintf(path + used, sizeof(path) - used, "/%s", name);
    for (char *c = path + used; *c; c++)
        if (*c == '.')
            *c = '_';
    return kb_pin(fd, path, &failure) ? told() : 0;
}

static int pin_all(const struct loaded *loaded, const char *folder) {
    struct kb_program_info program;
    struct kb_map_info map;
    int rc = 0;

    for (size_t i = 0; !rc && i < loaded->program_count; i++) {
        if (!loaded->programs[i] || kb_object_program_info(loaded->object, i, &program) != 0)
            continue;
        rc = pin_one(folder, "programs", program.name, program.fd);
        if (!rc && loaded->links[i] && kb_link_fd(loaded->links[i]) >= 0)
            rc = pin_one(folder, "links", program.name, kb_link_fd(loaded->links[i]));
        else if (!rc && loaded->links[i])
            rc = failed("program %s: the kernel has no link for this attachment that could stay",
                        program.name);
    }
    for (size_t i = 0; !rc && i < loaded->map_count; i++) {
        const struct kb_link *link = loaded->links[loaded->program_count + i];
        if (!loaded->maps[i] || kb_object_map_info(loaded->object, i, &map) != 0)
            continue;
        rc = pin_one(folder, "maps", map.name, map.fd);
        if (!rc && link)
            rc = pin_one(folder, "links", map.name, kb_link_fd(link));
    }
    return rc;
}

/* Telling -------------------------------------------------------------------------------------*/

static bool tell(const struct loaded *loaded, const struct command *command) {
    struct kb_link_info info;

    out_begin(command->json, stdout);
    out_record(NULL);
    out_list("programs");
    for (size_t i = 0; i < loaded->program_count; i++)
        if (loaded->programs[i])
            tell_program(loaded->programs[i]);
    out_end_list();
    out_list("maps");
    for (size_t i = 0; i < loaded->map_count; i++)
        if (loaded->maps[i])
            tell_map(loaded->maps[i]);
    out_end_list();
    out_list("links");
    for (size_t i = 0; i < loaded->program_count + loaded->map_count; i++)
        if (loaded->links[i] && kb_link_get_info(loaded->links[i], &info, NULL) == 0)
            tell_link(loaded->links[i]);
    out_end_list();
    for (size_t i = 0; command->json && i < loaded->program_count; i++)
        if (loaded->programs[i] && kb_program_log(loaded->programs[i]))
            out_text("log", kb_program_log(loaded->programs[i]));
    out_end_record();
    for (size_t i = 0; !command->json && i < loaded->program_count; i++)
        if (loaded->programs[i] && kb_program_log(loaded->programs[i]))
            printf("%s\n", kb_program_log(loaded->programs[i]));
    return out_end();
}

int run_load(const struct command *command) {
    struct loaded loaded = {0};
    int rc = load(&loaded, command);

    if (!rc && command->pin)
        rc = pin_all(&loaded, command->pin);
    if (!rc && !tell(&loaded, command))
        rc = failed("the output cannot be written");
    close_all(&loaded);
    return rc;
}

/* Blocks what ends the wait, so that links are closed by us. */
static void hold_signals(sigset_t *signals) {
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGHUP);
    sigprocmask(SIG_BLOCK, signals, NULL);
}

static void wait_for(const sigset_t *signals, double seconds) {
    struct timespec time = {.tv_sec = (time_t)seconds};
    int number;

    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    if (seconds > 0)
        while (sigtimedwait(signals, NULL, &time) < 0 && errno == EINTR)
            ;
    else
        sigwait(signals, &number);
}

int run_attach(const struct command *command) {
    struct loaded loaded = {0};
    struct kb_attach_opts to;
    char *memory = NULL;
    sigset_t signals;

    if (command->to && !read_place(command->to, &to, &memory)) {
        free(memory);
        return EXIT_WORDS;
    }
    hold_signals(&signals);
    int rc = load(&loaded, command);
    if (!rc)
        rc = attach_all(&loaded, command->to ? &to : NULL);
    if (!rc && command->pin)
        rc = pin_all(&loaded, command->pin);
    if (!rc && !tell(&loaded, command))
        rc = failed("the output cannot be written");
    if (!rc && !command->pin)
        wait_for(&signals, command->seconds);
    close_all(&loaded);
    free(memory);
    return rc;
}
