/* json.c - see json.h; RFC 8259. */
#include "json.h"

static void separate(eb_json *json) {
    if (json->comma)
        eb_buf_byte(&json->buf, ',');
    json->comma = true;
}

void eb_json_open(eb_json *json, char bracket) {
    separate(json);
    eb_buf_byte(&json->buf, (uint8_t)bracket);
    json->comma = false;
}

void eb_json_close(eb_json *json, char bracket) {
    eb_buf_byte(&json->buf, (uint8_t)bracket);
    json->comma = true;
}

/* The length of the well-formed UTF-8 sequence at `at`, or 0. Overlong forms, surrogates and what
 * is above U+10FFFF are not well-formed. */
static unsigned utf8_length(const uint8_t *at, size_t left) {
    uint8_t c = at[0];
    unsigned n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : 0;
    if (c >= 0xf0 && c < 0xf5)
        n = 4;
    if (n == 0 || n > left)
        return 0;
    for (unsigned i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) || (c == 0xf0 && at[1] < 0x90) ||
        (c == 0xf4 && at[1] > 0x8f))
        return 0;
    return n;
}

static void put_string(eb_buf *buf, eb_str value) {
    eb_buf_byte(buf, '"');
    for (size_t i = 0; i < value.len;) {
        const uint8_t *at = (const uint8_t *)value.at + i;
        unsigned n = utf8_length(at, value.len - i);
        if (n == 0)
            eb_buf_str(buf, EB_STR("\xef\xbf\xbd"));
        else if (*at == '"' || *at == '\\')
            eb_buf_fmt(buf, "\\%c", *at);
        else if (*at == '\n')
            eb_buf_str(buf, EB_STR("\\n"));
        else if (*at < 0x20 || *at == 0x7f)
            eb_buf_fmt(buf, "\\u%04x", *at);
        else
            eb_buf_put(buf, at, n);
        i += n ? n : 1;
    }
    eb_buf_byte(buf, '"');
}

void eb_json_key(eb_json *json, const char *key) {
    separate(json);
    put_string(&json->buf, eb_str_from(key));
    eb_buf_byte(&json->buf, ':');
    json->comma = false;
}

void eb_json_str(eb_json *json, eb_str value) {
    separate(json);
    put_string(&json->buf, value);
}

void eb_json_int(eb_json *json, int64_t value) {
    separate(json);
    eb_buf_fmt(&json->buf, "%lld", (long long)value);
}

void eb_json_uint(eb_json *json, uint64_t value) {
    separate(json);
    const char *quote = value >> 53 ? "\"" : "";
    eb_buf_fmt(&json->buf, "%s%llu%s", quote, (unsigned long long)value, quote);
}

void eb_json_bool(eb_json *json, bool value) {
    separate(json);
    eb_buf_str(&json->buf, value ? EB_STR("true") : EB_STR("false"));
}

void eb_json_null(eb_json *json) {
    separate(json);
    eb_buf_str(&json->buf, EB_STR("null"));
}

void eb_json_key_str(eb_json *json, const char *key, eb_str value) {
    eb_json_key(json, key);
    eb_json_str(json, value);
}

void eb_json_key_int(eb_json *json, const char *key, int64_t value) {
    eb_json_key(json, key);
    eb_json_int(json, value);
}

void eb_json_key_uint(eb_json *json, const char *key, uint64_t value) {
    eb_json_key(json, key);
    eb_json_uint(json, value);
}

void eb_json_key_bool(eb_json *json, const char *key, bool value) {
    eb_json_key(json, key);
    eb_json_bool(json, value);
}
