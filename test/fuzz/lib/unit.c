/* unit.c - see unit.h. */
#include "unit.h"

#include <string.h>

static const char mark[] = "\n-- file ";
enum { MARK = sizeof mark - 1 };

/* Where the part at `from` ends: in front of the next mark, or at the end. */
static size_t part_end(const uint8_t *data, size_t size, size_t from) {
    for (size_t at = from; at + MARK <= size; at++)
        if (data[at] == '\n' && memcmp(data + at, mark, MARK) == 0)
            return at;
    return size;
}

ebpf_cc *unit_of(ebpf_ctx *ctx, const uint8_t *data, size_t size) {
    if (size == 0)
        return NULL;
    ebpf_cc_options options = {.cpu = 1 + (data[0] & 3),
                               .endian = data[0] >> 2 & 1,
                               .plain = data[0] >> 3 & 1,
                               .bare = data[0] >> 4 & 1};
    ebpf_cc *unit = NULL;
    size_t end = part_end(data, size, 1);
    ebpf_cc_new(ctx, "fuzz.c", 6, data + 1, end - 1, &options, &unit);
    return unit;
}

int unit_answer(ebpf_cc *unit, const uint8_t *data, size_t size) {
    ebpf_cc_file wanted;
    int status = ebpf_cc_request(unit, &wanted);
    if (status != EBPF_OK)
        return status;
    for (size_t at = part_end(data, size, 1); at < size; at = part_end(data, size, at + 1)) {
        const uint8_t *name = data + at + MARK;
        size_t left = size - at - MARK;
        const uint8_t *line = memchr(name, '\n', left);
        if (!line || (size_t)(line - name) != wanted.spelling_size ||
            memcmp(name, wanted.spelling, wanted.spelling_size) != 0)
            continue;
        size_t from = (size_t)(line - data);
        size_t end = part_end(data, size, from);
        return ebpf_cc_answer(unit, wanted.spelling, wanted.spelling_size, line + 1,
                              end > from ? end - from - 1 : 0, 0);
    }
    return ebpf_cc_absent(unit);
}
