/* json.h - is a text JSON (RFC 8259)? */
#ifndef JSON_CHECK_H
#define JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

bool is_json(const char *text, size_t size);

#endif
