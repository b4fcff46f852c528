/* packed.c - one file of the packed header set; see packed.h. The set may be damaged: each number
 * of it is checked where it is used. */
#include "packed.h"

#include "inflate.h"

enum { HEAD = 12, ROW = 20 };

/* The span that the two numbers at `row` name; false when it is not inside the set. */
static bool span(eb_str set, const char *row, eb_str *out) {
    uint32_t offset = eb_get32(row, false), size = eb_get32(row + 4, false);
    if (offset > set.len || size > set.len - offset)
        return false;
    *out = (eb_str){set.at + offset, size};
    return true;
}

static int compare(eb_str a, eb_str b) {
    int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int unpack(eb_arena *arena, eb_str set, const char *row, eb_str *text) {
    eb_str stream;
    if (!span(set, row + 8, &stream))
        return -1;
    size_t size = eb_get32(row + 16, false);
    uint8_t *plain = eb_alloc(arena, size + 1);
    *text = (eb_str){(const char *)plain, size};
    return eb_inflate((const uint8_t *)stream.at, stream.len, plain, size) ? 1 : -1;
}

/* Whether `path` is `name` in some folder. */
static bool is_in_folder(eb_str path, eb_str name) {
    return path.len > name.len && path.at[path.len - name.len - 1] == '/' &&
           memcmp(path.at + path.len - name.len, name.at, name.len) == 0;
}

eb_str eb_packed_near(eb_str set, eb_str path) {
    eb_near near = eb_near_to(path);
    uint32_t count = set.len < HEAD ? 0 : eb_get32(set.at + 8, false);
    for (uint32_t n = 0; n < count && n < (set.len - HEAD) / ROW; n++) {
        eb_str name;
        if (!span(set, set.at + HEAD + (size_t)n * ROW, &name))
            break;
        if (is_in_folder(name, path))
            return name;
        eb_near_try(&near, name, 0);
    }
    eb_near_try(&near, EB_STR("vmlinux.h"), 0);
    return eb_near_found(&near) ? near.best : (eb_str){0};
}

int eb_packed_find(eb_arena *arena, eb_str set, eb_str path, eb_str *text) {
    if (set.len < HEAD || memcmp(set.at, "BPFHDR2\n", 8) != 0)
        return -1;
    uint32_t lo = 0, hi = eb_get32(set.at + 8, false);
    if (hi > (set.len - HEAD) / ROW)
        return -1;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const char *row = set.at + HEAD + (size_t)mid * ROW;
        eb_str name;
        if (!span(set, row, &name))
            return -1;
        int order = compare(path, name);
        if (order == 0)
            return unpack(arena, set, row, text);
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return 0;
}
