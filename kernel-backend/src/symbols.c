/*
 * symbols.c: where functions of executables and libraries are, as uprobes want it: an offset in the
 * file. In: a path, or a name that is searched as the dynamic loader and the shell search; names of
 * functions, or a pattern with '*' and '?'; out: offsets. Both symbol tables are read, the static
 * one (.symtab) where the file has it.
 */
#include "attach.h"
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MULTIARCH "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define MULTIARCH "aarch64-linux-gnu"
#elif defined(__arm__)
#define MULTIARCH "arm-linux-gnueabihf"
#elif defined(__i386__)
#define MULTIARCH "i386-linux-gnu"
#elif defined(__riscv)
#define MULTIARCH "riscv64-linux-gnu"
#elif defined(__s390x__)
#define MULTIARCH "s390x-linux-gnu"
#else
#define MULTIARCH "powerpc64le-linux-gnu"
#endif

/* The first folder of a colon-separated list that has the name. */
static bool search(const char *folders, const char *name, char *path, size_t size) {
    while (folders && *folders) {
        size_t length = strcspn(folders, ":");
        int used = snprintf(path, size, "%.*s/%s", (int)length, folders, name);
        if (length && used > 0 && (size_t)used < size && access(path, R_OK) == 0)
            return true;
        folders += length + (folders[length] == ':');
    }
    return false;
}

int kb_find_binary(const char *name, char *path, size_t size) {
    static const char libraries[] =
        "/lib/" MULTIARCH ":/usr/lib/" MULTIARCH ":/lib64:/usr/lib64:/lib:/usr/lib:/usr/local/lib";

    if (strchr(name, '/')) {
        int used = snprintf(path, size, "%s", name);
        return used >= 0 && (size_t)used < size ? 0 : -ENAMETOOLONG;
    }
    if (strstr(name, ".so"))
        return search(getenv("LD_LIBRARY_PATH"), name, path, size) ||
                       search(libraries, name, path, size)
                   ? 0
                   : -ENOENT;
    return search(getenv("PATH"), name, path, size) ? 0 : -ENOENT;
}

struct search {
    Elf *elf;
    struct kb_near *near; /* only names are offered */
    const char *const *names;
    size_t count;
    const char *pattern;
    struct kb_symbols *found;
    size_t room;
};

static bool add_offset(struct search *s, uint64_t offset) {
    struct kb_symbols *found = s->found;

    for (size_t i = 0; i < found->count; i++) /* aliases, and the same in both tables */
        if (found->offsets[i] == offset)
            return true;
    if (found->count == s->room) {
        size_t room = s->room ? 2 * s->room : 16;
        uint64_t *grown = realloc(found->offsets, room * sizeof(*grown));
        if (!grown)
            return false;
        found->offsets = grown;
        s->room = room;
    }
    found->offsets[found->count++] = offset;
    return true;
}

/* Where a defined function's first byte is in the file; 0 when it is no such thing. */
static uint64_t file_offset(Elf *elf, const GElf_Sym *symbol) {
    int type = GELF_ST_TYPE(symbol->st_info);
    GElf_Shdr header;
    Elf_Scn *section;

    if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol->st_shndx == SHN_UNDEF ||
        symbol->st_shndx >= SHN_LORESERVE)
        return 0;
    section = elf_getscn(elf, symbol->st_shndx);
    if (!section || !gelf_getshdr(section, &header) || symbol->st_value < header.sh_addr)
        return 0;
    return symbol->st_value - header.sh_addr + header.sh_offset;
}

/* "memcpy" of "memcpy" and of "memcpy@@GLIBC_2.14". */
static bool same_name(const char *symbol, const char *name) {
    size_t length = strlen(name);

    return strncmp(symbol, name, length) == 0 && (!symbol[length] || symbol[length] == '@');
}

/* What one symbol is for the search. */
static bool visit(struct search *s, const char *name, uint64_t offset) {
    if (s->near) {
        kb_near_offer(s->near, name);
        return true;
    }
    if (s->pattern)
        return fnmatch(s->pattern, name, 0) != 0 || add_offset(s, offset);
    for (size_t i = 0; i < s->count; i++)
        if (!s->found->offsets[i] && same_name(name, s->names[i]))
            s->found->offsets[i] = offset;
    return true;
}

static bool read_table(struct search *s, Elf_Scn *section, const GElf_Shdr *header) {
    Elf_Data *data = elf_getdata(section, NULL);
    size_t count = data && header->sh_entsize ? data->d_size / header->sh_entsize : 0;
    GElf_Sym symbol;

    for (size_t i = 0; i < count && gelf_getsym(data, (int)i, &symbol); i++) {
        const char *name = elf_strptr(s->elf, header->sh_link, symbol.st_name);
        uint64_t offset = name ? file_offset(s->elf, &symbol) : 0;
        if (offset && !visit(s, name, offset))
            return false;
    }
    return true;
}

static int read_tables(struct search *s, const char **missing) {
    Elf_Scn *section = NULL;
    GElf_Shdr header;

    while ((section = elf_nextscn(s->elf, section)))
        if (gelf_getshdr(section, &header) &&
            (header.sh_type == SHT_DYNSYM || header.sh_type == SHT_SYMTAB) &&
            !read_table(s, section, &header))
            return -ENOMEM;
    if (s->pattern) {
        *missing = s->pattern;
        return s->found->count ? 0 : -ENOENT;
    }
    for (size_t i = 0; i < s->count; i++)
        if (!s->found->offsets[i]) {
            *missing = s->names[i];
            return -ENOENT;
        }
    return 0;
}

const char *kb_near_symbol(const char *path, const char *name, char *text, size_t size) {
    struct kb_near near = {.wanted = name};
    struct search s = {.near = &near};
    const char *missing;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        elf_version(EV_CURRENT);
        s.elf = elf_begin(fd, ELF_C_READ, NULL);
        if (s.elf && elf_kind(s.elf) == ELF_K_ELF)
            read_tables(&s, &missing);
        elf_end(s.elf);
        close(fd);
    }
    return kb_near_say(
        &near, "it may be stripped, or the function inlined: an offset can be given instead", text,
        size);
}

int kb_symbol_offsets(const char *path, const char *const *names, size_t count, const char *pattern,
                      struct kb_symbols *symbols, const char **missing) {
    struct search s = {.names = names, .count = count, .pattern = pattern, .found = symbols};
    int rc = -ENOEXEC;

    symbols->count = pattern ? 0 : count;
    symbols->offsets = pattern ? NULL : calloc(count + 1, sizeof(uint64_t));
    if (!pattern && !symbols->offsets)
        return -ENOMEM;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        rc = -errno;
    } else {
        elf_version(EV_CURRENT);
        s.elf = elf_begin(fd, ELF_C_READ, NULL);
        if (s.elf && elf_kind(s.elf) == ELF_K_ELF)
            rc = read_tables(&s, missing);
        elf_end(s.elf);
        close(fd);
    }
    if (rc) {
        free(symbols->offsets);
        symbols->offsets = NULL;
    }
    return rc;
}
