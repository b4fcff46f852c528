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

static void put_string(eb_buf *buf, eb_str value) {
    eb_buf_byte(buf, '"');
    for (size_t i = 0; i < value.len;) {
        const uint8_t *at = (const uint8_t *)value.at + i;
        unsigned n = eb_utf8_length(value.at + i, value.len - i);
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
