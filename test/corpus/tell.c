/* tell.c - JSON lines for the corpus check: a line is put together in memory and written by one
 * call, so that what processes say to one pipe does not mix. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WHOLE_MOST = 256 };

static char *line;
static size_t used, room;

static void put(const char *text, size_t size) {
    if (used + size > room) {
        room = 2 * (used + size);
        line = realloc(line, room);
        if (!line)
            abort();
    }
    memcpy(line + used, text, size);
    used += size;
}

static void put_string(const char *text, size_t size) {
    put("\"", 1);
    for (size_t n = 0; n < size; n++) {
        unsigned char c = (unsigned char)text[n];
        char escaped[8];
        if (c == '"' || c == '\\' || c < 0x20 || c > 0x7e)
            put(escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
        else
            put(text + n, 1);
    }
    put("\"", 1);
}

static void put_key(const char *key) {
    if (used && line[used - 1] != '{' && line[used - 1] != '[')
        put(",", 1);
    if (key) {
        put_string(key, strlen(key));
        put(":", 1);
    }
}

void tell_begin(void) {
    used = 0;
    put("{", 1);
}

void tell_text(const char *key, const char *text, size_t size) {
    put_key(key);
    put_string(text, size);
}

void tell_number(const char *key, long long number) {
    char text[24];
    put_key(key);
    put(text, (size_t)snprintf(text, sizeof text, "%lld", number));
}

void tell_open(const char *key, char bracket) {
    put_key(key);
    put(&bracket, 1);
}

void tell_close(char bracket) {
    put(&bracket, 1);
}

uint64_t hash_bytes(const uint8_t *bytes, size_t size) {
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t n = 0; n < size; n++)
        hash = (hash ^ bytes[n]) * 0x100000001b3;
    return hash;
}

void tell_bytes(const char *key, const uint8_t *bytes, size_t size) {
    char text[2 * WHOLE_MOST + 1] = "";
    if (size > WHOLE_MOST)
        snprintf(text, sizeof text, "%zu:%016llx", size,
                 (unsigned long long)hash_bytes(bytes, size));
    for (size_t n = 0; size <= WHOLE_MOST && n < size; n++)
        snprintf(text + 2 * n, 3, "%02x", bytes[n]);
    tell_text(key, text, strlen(text));
}

void tell_end(void) {
    put("}\n", 2);
    for (size_t at = 0; at < used;) {
        ssize_t n = write(STDOUT_FILENO, line + at, used - at);
        if (n <= 0)
            _exit(3);
        at += (size_t)n;
    }
}
