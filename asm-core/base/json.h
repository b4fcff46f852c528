/* json.h - writes one JSON document into a buffer; commas take care of themselves. */
#ifndef EB_JSON_H
#define EB_JSON_H

#include "str.h"

typedef struct eb_json {
    eb_buf buf;
    bool comma; /* something stands before the next value on its level */
} eb_json;

void eb_json_open(eb_json *json, char bracket);  /* { or [ */
void eb_json_close(eb_json *json, char bracket); /* } or ] */
void eb_json_key(eb_json *json, const char *key);
void eb_json_str(eb_json *json, eb_str value); /* bytes that are not UTF-8 become U+FFFD */
void eb_json_int(eb_json *json, int64_t value);
void eb_json_uint(eb_json *json, uint64_t value); /* above 2^53 it is written as a string */
void eb_json_bool(eb_json *json, bool value);
void eb_json_null(eb_json *json);

/* A key and its value in one call. */
void eb_json_key_str(eb_json *json, const char *key, eb_str value);
void eb_json_key_int(eb_json *json, const char *key, int64_t value);
void eb_json_key_uint(eb_json *json, const char *key, uint64_t value);
void eb_json_key_bool(eb_json *json, const char *key, bool value);

#endif
