/* elf.c - mutations of ELF objects.
 *
 * The file is taken apart into headers and contents, one of these is changed, and all is laid out
 * anew; so contents may grow, and what is not changed stays right. A file that does not come apart
 * gets byte mutations. The last change is to the headers of the finished file, since laying out
 * would repair them. */
#include "mutate.h"

#include <stdlib.h>
#include <string.h>

#include "object.h"

enum { EHDR = 64, SHDR = 64, SYM = 24, REL = 16, RELA = 24, PARTS_MOST = 200, GROWTH = 256 };

typedef struct piece {
    uint8_t header[SHDR];
    uint8_t *bytes; /* with room for GROWTH more; NULL without contents */
    size_t size;
} piece;

typedef struct file {
    uint8_t header[EHDR];
    bool big;
    uint32_t count;
    piece parts[PARTS_MOST];
} file;

/* ---- apart and together ---- */

static bool take_contents(file *f, piece *part, const uint8_t *data, size_t size) {
    uint64_t at = eb_get64(part->header + 24, f->big), length = eb_get64(part->header + 32, f->big);
    uint32_t type = eb_get32(part->header + 4, f->big);
    if (type == EB_SHT_NULL || type == EB_SHT_NOBITS)
        return true;
    if (at > size || length > size - at)
        return false;
    part->size = (size_t)length;
    part->bytes = malloc(part->size + GROWTH);
    if (part->bytes && length)
        memcpy(part->bytes, data + at, part->size);
    return part->bytes != NULL;
}

static void drop(file *f) {
    for (uint32_t i = 0; i < f->count; i++)
        free(f->parts[i].bytes);
    free(f);
}

static file *take_apart(const uint8_t *data, size_t size) {
    if (size < EHDR || memcmp(data, "\177ELF", 4) != 0 || data[4] != 2)
        return NULL;
    file *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    memcpy(f->header, data, EHDR);
    f->big = data[5] == 2;
    uint64_t at = eb_get64(data + 40, f->big);
    uint32_t count = eb_get16(data + 60, f->big);
    bool sound = count > 0 && count <= PARTS_MOST && at <= size && count * SHDR <= size - at;
    for (; sound && f->count < count; f->count++) {
        piece *part = &f->parts[f->count];
        memcpy(part->header, data + at + (size_t)f->count * SHDR, SHDR);
        sound = take_contents(f, part, data, size);
    }
    if (sound)
        return f;
    drop(f);
    return NULL;
}

static size_t aligned(size_t at) {
    return (at + 7) & ~(size_t)7;
}

/* The file in `out`; its size, or 0 when it does not fit. */
static size_t put_together(file *f, uint8_t *out, size_t most) {
    size_t at = EHDR, total = EHDR;
    for (uint32_t i = 0; i < f->count; i++)
        total = aligned(total) + f->parts[i].size;
    total = aligned(total) + (size_t)f->count * SHDR;
    if (total > most)
        return 0;
    memset(out, 0, total);
    for (uint32_t i = 0; i < f->count; i++) {
        piece *part = &f->parts[i];
        if (!part->bytes)
            continue;
        at = aligned(at);
        memcpy(out + at, part->bytes, part->size);
        eb_set64(part->header + 24, f->big, at);
        eb_set64(part->header + 32, f->big, part->size);
        at += part->size;
    }
    at = aligned(at);
    eb_set64(f->header + 40, f->big, at);
    eb_set16(f->header + 60, f->big, (uint16_t)f->count);
    memcpy(out, f->header, EHDR);
    for (uint32_t i = 0; i < f->count; i++)
        memcpy(out + at + (size_t)i * SHDR, f->parts[i].header, SHDR);
    return at + (size_t)f->count * SHDR;
}

/* ---- contents ---- */

static bool is_named(const file *f, const piece *part, const char *name) {
    uint32_t strings = eb_get16(f->header + 62, f->big), at = eb_get32(part->header, f->big);
    if (strings >= f->count || !f->parts[strings].bytes)
        return false;
    size_t size = f->parts[strings].size, length = strlen(name) + 1;
    return at < size && length <= size - at &&
           memcmp(f->parts[strings].bytes + at, name, length) == 0;
}

static size_t any_content_size(const file *f, chance *dice) {
    return f->parts[roll(dice, f->count)].size;
}

/* A field of a symbol or relocation, or a record more or less. */
static void change_record(file *f, piece *part, size_t record, chance *dice) {
    static const uint8_t symbol[][2] = {{0, 4}, {4, 1}, {5, 1}, {6, 2}, {8, 8}, {16, 8}};
    static const uint8_t reloc[][2] = {{0, 8}, {8, 4}, {12, 4}, {16, 8}};
    uint32_t count = (uint32_t)(part->size / record);
    if (count == 0)
        return;
    size_t at = record * roll(dice, count), from = record * roll(dice, count);
    uint8_t copy[RELA > SYM ? RELA : SYM];
    switch (roll(dice, 8)) {
    case 0:
        memcpy(copy, part->bytes + from, record);
        if (open_gap(part->bytes, &part->size, part->size + GROWTH, at, record))
            memcpy(part->bytes + at, copy, record);
        break;
    case 1:
        close_gap(part->bytes, &part->size, at, record);
        break;
    default:
        if (record == SYM) {
            const uint8_t *field = symbol[roll(dice, 6)];
            odd_field(dice, part->bytes + at + field[0], field[1], f->big,
                      field[0] < 8 ? f->count : any_content_size(f, dice));
        } else {
            const uint8_t *field = reloc[roll(dice, record == REL ? 3 : 4)];
            odd_field(dice, part->bytes + at + field[0], field[1], f->big,
                      roll(dice, 2) ? 10 : 8 * (uint64_t)roll(dice, 16));
        }
    }
}

static void change_contents(file *f, piece *part, chance *dice) {
    size_t most = part->size + GROWTH;
    switch (eb_get32(part->header + 4, f->big)) {
    case EB_SHT_SYMTAB:
        change_record(f, part, SYM, dice);
        return;
    case EB_SHT_REL:
        change_record(f, part, REL, dice);
        return;
    case EB_SHT_RELA:
        change_record(f, part, RELA, dice);
        return;
    default:
        break;
    }
    if (eb_get64(part->header + 8, f->big) & EB_SHF_EXECINSTR)
        part->size = mutate_code(part->bytes, part->size, most, f->big, dice);
    else if (is_named(f, part, ".BTF"))
        part->size = mutate_btf(part->bytes, part->size, most, dice);
    else if (is_named(f, part, ".BTF.ext"))
        part->size = mutate_words(part->bytes, part->size, most, f->big, dice);
    else
        part->size = LLVMFuzzerMutate(part->bytes, part->size, most);
}

/* ---- headers ---- */

/* A section more, one less, or two in the other order. */
static void change_list(file *f, chance *dice) {
    uint32_t a = roll(dice, f->count), b = roll(dice, f->count);
    piece one = f->parts[a];
    switch (roll(dice, 3)) {
    case 0:
        if (f->count == PARTS_MOST || !one.bytes)
            return;
        one.bytes = malloc(one.size + GROWTH);
        if (!one.bytes)
            return;
        memcpy(one.bytes, f->parts[a].bytes, one.size);
        f->parts[f->count++] = one;
        return;
    case 1:
        if (f->count < 2)
            return;
        free(one.bytes);
        f->parts[a] = f->parts[--f->count];
        return;
    default:
        f->parts[a] = f->parts[b];
        f->parts[b] = one;
    }
}

static void change_header(file *f, uint8_t *out, size_t size, chance *dice) {
    static const uint8_t fields[][2] = {{0, 4},  {4, 4},  {8, 8},  {16, 8}, {24, 8},
                                        {32, 8}, {40, 4}, {44, 4}, {48, 8}, {56, 8}};
    uint8_t *at = out + eb_get64(out + 40, f->big) + (size_t)SHDR * roll(dice, f->count);
    const uint8_t *field = fields[roll(dice, sizeof fields / sizeof *fields)];
    static const uint64_t flags[] = {1, 2, 4, 0x10, 0x20, 0x40, 0x80, 0x200};
    if (field[0] == 8)
        eb_set64(at + 8, f->big, eb_get64(at + 8, f->big) ^ flags[roll(dice, 8)]);
    else
        odd_field(dice, at + field[0], field[1], f->big, field[1] == 4 ? f->count : size);
}

size_t mutate_elf(uint8_t *data, size_t size, size_t most, chance *dice) {
    file *f = take_apart(data, size);
    if (!f)
        return LLVMFuzzerMutate(data, size, most);
    uint32_t what = roll(dice, 16);
    if (what < 11) {
        piece *part = &f->parts[roll(dice, f->count)];
        for (int tries = 0; !part->size && tries < 8; tries++)
            part = &f->parts[roll(dice, f->count)];
        if (part->size)
            change_contents(f, part, dice);
    } else if (what == 11) {
        change_list(f, dice);
    }
    size_t made = put_together(f, data, most);
    if (made && (what == 12 || what == 13))
        change_header(f, data, made, dice);
    else if (made && what == 14) /* the header: what is ignored in it serves as options */
        data[roll(dice, 2) ? 9 + roll(dice, 7) : roll(dice, EHDR)] ^= (uint8_t)(1 << roll(dice, 8));
    else if (!made || what == 15)
        made = LLVMFuzzerMutate(data, made ? made : size, most);
    drop(f);
    return made;
}
