/*
 * out.c: one way to say it for people and for programs. In: lists, records and their fields in
 * order; out: lines of "key value" pairs, or JSON on one line.
 */
#include "cli.h"
#include <inttypes.h>
#include <string.h>

static FILE *file;
static bool json;
static bool first;     /* nothing stands in the open list or record yet */
static unsigned depth; /* text: of lists */

void out_begin(bool as_json, FILE *to) {
    json = as_json;
    file = to;
    first = true;
    depth = 0;
}

static void quote(const char *text) {
    fputc('"', file);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(file, "\\%c", *c);
        else if (*c < 0x20 || *c == 0x7f)
            fprintf(file, "\\u%04x", *c);
        else
            fputc(*c, file);
    }
    fputc('"', file);
}

/* What stands before a value. */
static void begin(const char *key) {
    if (json) {
        if (!first)
            fputc(',', file);
        if (key) {
            quote(key);
            fputc(':', file);
        }
    } else if (key) {
        fprintf(file, "%s%s ", first ? "" : "  ", key);
    }
    first = false;
}

void out_list(const char *key) {
    if (json) {
        begin(key);
        fputc('[', file);
    } else if (key) {
        fprintf(file, "%s%s:\n", first ? "" : "\n", key);
        depth++;
    }
    first = true;
}

void out_end_list(void) {
    if (json)
        fputc(']', file);
    else if (depth)
        depth--;
    first = !json;
}

void out_record(const char *key) {
    if (json) {
        begin(key);
        fputc('{', file);
    } else {
        fprintf(file, "%*s", (int)(2 * depth), "");
    }
    first = true;
}

void out_end_record(void) {
    if (json)
        fputc('}', file);
    else if (!first)
        fputc('\n', file);
    first = !json;
}

void out_number(const char *key, uint64_t number) {
    begin(key);
    fprintf(file, "%" PRIu64, number);
}

void out_signed(const char *key, int64_t number) {
    begin(key);
    fprintf(file, "%" PRId64, number);
}

void out_bool(const char *key, bool value) {
    begin(key);
    fputs(json ? (value ? "true" : "false") : (value ? "yes" : "no"), file);
}

void out_text(const char *key, const char *text) {
    if (!text)
        return;
    begin(key);
    if (json)
        quote(text);
    else
        fputs(*text ? text : "-", file);
}

void out_hex(const char *key, const void *bytes, size_t size) {
    const unsigned char *byte = bytes;

    begin(key);
    if (json)
        fputc('"', file);
    for (size_t i = 0; i < size; i++)
        fprintf(file, "%02x", byte[i]);
    if (json)
        fputc('"', file);
}

static void out_numbers(const char *key, const uint32_t *small, const uint64_t *large,
                        size_t count) {
    begin(key);
    if (json)
        fputc('[', file);
    for (size_t i = 0; i < count; i++)
        fprintf(file, "%s%" PRIu64, i ? "," : "", small ? small[i] : large[i]);
    if (json)
        fputc(']', file);
    else if (!count)
        fputc('-', file);
}

void out_numbers32(const char *key, const uint32_t *numbers, size_t count) {
    out_numbers(key, numbers, NULL, count);
}

void out_numbers64(const char *key, const uint64_t *numbers, size_t count) {
    out_numbers(key, NULL, numbers, count);
}

bool out_end(void) {
    if (json)
        fputc('\n', file);
    return fflush(file) == 0 && !ferror(file);
}
