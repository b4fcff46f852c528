/* file.c - files in and out; the only place of asm-core's command that touches them. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool complain(const char *path) {
    fprintf(stderr, "bpfc: %s: %s\n", path, strerror(errno));
    return false;
}

bool read_file(const char *path, blob *out) {
    bool standard = strcmp(path, "-") == 0;
    FILE *in = standard ? stdin : fopen(path, "rb");
    size_t cap = 1 << 16, n;
    *out = (blob){0};
    if (!in)
        return complain(path);
    do {
        uint8_t *more = out->size + 1 < cap && out->data ? out->data : realloc(out->data, cap *= 2);
        if (!more)
            break;
        out->data = more;
        n = fread(out->data + out->size, 1, cap - out->size, in);
        out->size += n;
    } while (n);
    bool ok = out->data && !ferror(in);
    if (!ok)
        complain(path);
    if (!standard)
        fclose(in);
    if (!ok) {
        free(out->data);
        *out = (blob){0};
    }
    return ok;
}

bool write_file(const char *path, const void *data, size_t size) {
    bool standard = strcmp(path, "-") == 0;
    FILE *out = standard ? stdout : fopen(path, "wb");
    if (!out)
        return complain(path);
    bool ok = size == 0 || fwrite(data, 1, size, out) == size;
    ok = (standard ? fflush(out) : fclose(out)) == 0 && ok;
    return ok || complain(path);
}

static int hex_digit(char c) {
    const char *digits = "0123456789abcdef", *at;
    at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

bool read_memory(const char *argument, blob *out) {
    size_t n = 0, size = strlen(argument);
    if (argument[0] == '@')
        return read_file(argument + 1, out);
    *out = (blob){.data = malloc(size / 2 + 1)};
    for (size_t i = 0; out->data && i < size; i++) {
        int digit = hex_digit(argument[i]);
        if (argument[i] == ' ' || argument[i] == '\n')
            continue;
        if (digit < 0) {
            fprintf(stderr, "bpfc: '%c' in the memory is no hexadecimal digit\n", argument[i]);
            free(out->data);
            return false;
        }
        out->data[n / 2] = (uint8_t)(n % 2 ? out->data[n / 2] << 4 | digit : digit);
        n++;
    }
    if (!out->data || n % 2) {
        fprintf(stderr, "bpfc: the memory has an odd number of hexadecimal digits\n");
        free(out->data);
        return false;
    }
    out->size = n / 2;
    return true;
}
