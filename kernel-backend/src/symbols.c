/*
 * symbols.c: where functions of executables and libraries are, as uprobes want it: an offset in the
 * file. In: a path, or a name that is searched as the dynamic loader and the shell search; names of
 * functions, or a pattern with '*' and '?'; out: offsets. Both symbol tables are read, the static
 * one (.symtab) where the file has it.
 *
 * A library may have several functions of one name: "memcpy@@GLIBC_2.14", which programs are linked
 * with today, and "memcpy@GLIBC_2.2.5" for older ones. The static table has the versions in its
 * names, the dynamic one beside it (.gnu.version, .gnu.version_d). A name without a version means
 * the default.
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
    bool older; /* names without a version mean also what is there for older programs */
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

/* A symbol's name in parts; the version is "" where it has none. */
struct symbol {
    const char *name; /* `length` bytes of it */
    size_t length;
    const char *version;
    bool is_default;
};

static struct symbol split_name(const char *name) {
    size_t length = strcspn(name, "@"), ats = strspn(name + length, "@");

    return (struct symbol){name, length, name + length + ats, ats != 1};
}

static bool same_name(const struct symbol *symbol, const char *name, bool older) {
    struct symbol wanted = split_name(name);

    if (symbol->length != wanted.length || memcmp(symbol->name, wanted.name, wanted.length) != 0)
        return false;
    return *wanted.version ? strcmp(symbol->version, wanted.version) == 0
                           : symbol->is_default || older;
}

/* As it is written: the version only where it is asked for. False if it has no room. */
static bool full_name(const struct symbol *symbol, bool versioned, char *text, size_t size) {
    versioned = versioned && *symbol->version;
    int used = snprintf(text, size, "%.*s%s%s", (int)symbol->length, symbol->name,
                        !versioned           ? ""
                        : symbol->is_default ? "@@"
                                             : "@",
                        versioned ? symbol->version : "");
    return used >= 0 && (size_t)used < size;
}

/* What one symbol is for the search. */
static bool visit(struct search *s, const struct symbol *symbol, uint64_t offset) {
    const char *wanted = s->near ? s->near->wanted : s->pattern;
    char text[1024];

    if (wanted && !full_name(symbol, strchr(wanted, '@'), text, sizeof(text)))
        return true;
    if (s->near) {
        kb_near_offer(s->near, text);
        return true;
    }
    if (s->pattern)
        return fnmatch(s->pattern, text, 0) != 0 || add_offset(s, offset);
    for (size_t i = 0; i < s->count; i++)
        if (!s->found->offsets[i] && same_name(symbol, s->names[i], s->older))
            s->found->offsets[i] = offset;
    return true;
}

/* The data of the section of this type that belongs to the table at `link`; NULL if there is none.
 */
static Elf_Data *section_of_type(Elf *elf, uint32_t type, size_t link, GElf_Shdr *header) {
    Elf_Scn *section = NULL;

    while ((section = elf_nextscn(elf, section)))
        if (gelf_getshdr(section, header) && header->sh_type == type &&
            (!link || header->sh_link == link))
            return elf_getdata(section, NULL);
    return NULL;
}

/* The versions of the dynamic table's symbols: a number for each, and what the numbers mean. */
struct versions {
    Elf_Data *numbers;  /* NULL where there are none */
    const char **names; /* VERSIONS of them, to be freed */
};

enum { HIDDEN = 0x8000, VERSIONS = 0x8000 }; /* a bit of a number, and how many there are without */

static void read_versions(Elf *elf, Elf_Scn *table, struct versions *versions) {
    GElf_Shdr header;
    GElf_Verdef definition = {.vd_next = 1};
    GElf_Verdaux name;

    versions->numbers = section_of_type(elf, SHT_GNU_versym, elf_ndxscn(table), &header);
    Elf_Data *data = section_of_type(elf, SHT_GNU_verdef, 0, &header);
    versions->names = data ? calloc(VERSIONS, sizeof(*versions->names)) : NULL;
    for (size_t at = 0; versions->names && definition.vd_next && at < data->d_size &&
                        gelf_getverdef(data, (int)at, &definition);
         at += definition.vd_next)
        if (!(definition.vd_flags & VER_FLG_BASE) && /* the file's own name */
            gelf_getverdaux(data, (int)(at + definition.vd_aux), &name))
            versions->names[definition.vd_ndx % VERSIONS] =
                elf_strptr(elf, header.sh_link, name.vda_name);
}

static struct symbol name_of(const char *name, const struct versions *versions, size_t index) {
    struct symbol symbol = split_name(name);
    GElf_Versym number;

    if (versions->numbers && gelf_getversym(versions->numbers, (int)index, &number)) {
        const char *version = versions->names ? versions->names[number % VERSIONS] : NULL;
        symbol.is_default = !(number & HIDDEN);
        symbol.version = version ? version : "";
    }
    return symbol;
}

static bool read_table(struct search *s, Elf_Scn *section, const GElf_Shdr *header) {
    Elf_Data *data = elf_getdata(section, NULL);
    size_t count = data && header->sh_entsize ? data->d_size / header->sh_entsize : 0;
    struct versions versions = {0};
    GElf_Sym elf_symbol;
    bool more = true;

    if (header->sh_type == SHT_DYNSYM)
        read_versions(s->elf, section, &versions);
    for (size_t i = 0; more && i < count && gelf_getsym(data, (int)i, &elf_symbol); i++) {
        const char *name = elf_strptr(s->elf, header->sh_link, elf_symbol.st_name);
        uint64_t offset = name ? file_offset(s->elf, &elf_symbol) : 0;
        if (!offset)
            continue;
        struct symbol symbol = name_of(name, &versions, i);
        more = visit(s, &symbol, offset);
    }
    free(versions.names);
    return more;
}

static int read_all(struct search *s) {
    Elf_Scn *section = NULL;
    GElf_Shdr header;

    while ((section = elf_nextscn(s->elf, section)))
        if (gelf_getshdr(section, &header) &&
            (header.sh_type == SHT_DYNSYM || header.sh_type == SHT_SYMTAB) &&
            !read_table(s, section, &header))
            return -ENOMEM;
    return 0;
}

/* The first name that was not found, or NULL. */
static const char *not_found(const struct search *s) {
    for (size_t i = 0; i < s->count; i++)
        if (!s->found->offsets[i])
            return s->names[i];
    return NULL;
}

static int read_tables(struct search *s, const char **missing) {
    int rc = read_all(s);

    if (rc || s->near)
        return rc;
    if (s->pattern) {
        *missing = s->pattern;
        return s->found->count ? 0 : -ENOENT;
    }
    if (not_found(s)) {
        s->older = true;
        rc = read_all(s);
    }
    *missing = not_found(s);
    return rc ? rc : *missing ? -ENOENT : 0;
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
