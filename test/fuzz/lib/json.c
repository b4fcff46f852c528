/* json.c - see json.h. One function per rule of the grammar; each takes a cursor and moves it. */
#include "json.h"

#include <string.h>

#include "str.h"

typedef struct cursor {
    const char *at, *end;
    int depth;
} cursor;

enum { DEEPEST = 100 };

static bool value(cursor *c);

static bool is_next(const cursor *c, char wanted) {
    return c->at < c->end && *c->at == wanted;
}

static bool take(cursor *c, char wanted) {
    bool there = is_next(c, wanted);
    c->at += there;
    return there;
}

static void spaces(cursor *c) {
    while (c->at < c->end && strchr(" \t\r\n", *c->at) && *c->at)
        c->at++;
}

static bool is_digit(const cursor *c) {
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

static bool digits(cursor *c) {
    bool any = is_digit(c);
    while (is_digit(c))
        c->at++;
    return any;
}

static bool number(cursor *c) {
    take(c, '-');
    if (!take(c, '0') && !digits(c))
        return false;
    if (take(c, '.') && !digits(c))
        return false;
    if (!take(c, 'e') && !take(c, 'E'))
        return true;
    if (!take(c, '+'))
        take(c, '-');
    return digits(c);
}

static bool escape(cursor *c) {
    if (!take(c, 'u')) {
        bool known = c->at < c->end && *c->at && strchr("\"\\/bfnrt", *c->at);
        c->at += known;
        return known;
    }
    for (int i = 0; i < 4; i++, c->at++)
        if (c->at == c->end || !*c->at || !strchr("0123456789abcdefABCDEF", *c->at))
            return false;
    return true;
}

static bool string(cursor *c) {
    if (!take(c, '"'))
        return false;
    while (c->at < c->end && *c->at != '"') {
        if (take(c, '\\')) {
            if (!escape(c))
                return false;
            continue;
        }
        unsigned length = eb_utf8_length(c->at, (size_t)(c->end - c->at));
        if (length == 0 || (unsigned char)*c->at < 0x20)
            return false;
        c->at += length;
    }
    return take(c, '"');
}

static bool member(cursor *c) {
    spaces(c);
    if (!string(c))
        return false;
    spaces(c);
    return take(c, ':') && value(c);
}

static bool list(cursor *c, char last, bool (*item)(cursor *)) {
    spaces(c);
    if (take(c, last))
        return true;
    do
        if (!item(c))
            return false;
    while (take(c, ','));
    return take(c, last);
}

static bool word(cursor *c, const char *text) {
    size_t length = strlen(text);
    bool there = (size_t)(c->end - c->at) >= length && memcmp(c->at, text, length) == 0;
    c->at += there ? length : 0;
    return there;
}

static bool value(cursor *c) {
    bool good;
    if (++c->depth > DEEPEST)
        return false;
    spaces(c);
    if (take(c, '{'))
        good = list(c, '}', member);
    else if (take(c, '['))
        good = list(c, ']', value);
    else if (is_next(c, '"'))
        good = string(c);
    else
        good = word(c, "true") || word(c, "false") || word(c, "null") || number(c);
    spaces(c);
    c->depth--;
    return good;
}

bool is_json(const char *text, size_t size) {
    cursor c = {text, text + size, 0};
    return value(&c) && c.at == c.end;
}
