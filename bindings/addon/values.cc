// values.cc: JavaScript's values in, C's out, and back. Nothing is coerced: a wrong type throws
// TypeError, a wrong number RangeError, naming the argument.
#include "addon.h"
#include <stdio.h>

namespace addon {

static bool wrong_type(napi_env env, const char *name, const char *wanted) {
    char message[160];

    snprintf(message, sizeof(message), "%s must be %s", name, wanted);
    throw_type(env, message);
    return false;
}

static bool wrong_range(napi_env env, const char *name, const char *wanted) {
    char message[160];

    snprintf(message, sizeof(message), "%s must be %s", name, wanted);
    throw_range(env, message);
    return false;
}

static napi_valuetype type_of(napi_env env, napi_value value) {
    napi_valuetype type = napi_undefined;

    if (value)
        napi_typeof(env, value, &type);
    return type;
}

bool is_absent(napi_env env, napi_value value) {
    napi_valuetype type = type_of(env, value);

    return type == napi_undefined || type == napi_null;
}

static napi_value argument(const Call &call, size_t index) {
    return index < call.argc ? call.argv[index] : nullptr;
}

bool read_array(const Call &call, size_t index, const char *name, napi_typedarray_type type,
                const char *wanted, void **data, size_t *count) {
    napi_value value = argument(call, index);
    napi_typedarray_type is;

    if (!value ||
        napi_get_typedarray_info(call.env, value, &is, count, data, nullptr, nullptr) != napi_ok ||
        is != type)
        return wrong_type(call.env, name, wanted);
    return true;
}

bool read_bytes(const Call &call, size_t index, const char *name, Bytes *out) {
    void *data;

    if (!read_array(call, index, name, napi_uint8_array, "a Uint8Array", &data, &out->size))
        return false;
    out->data = static_cast<uint8_t *>(data);
    return true;
}

// An integer in [0, max], exactly.
static bool read_integer(napi_env env, napi_value value, const char *name, double max,
                         double *out) {
    if (type_of(env, value) != napi_number)
        return wrong_type(env, name, "a number");
    napi_get_value_double(env, value, out);
    // NaN fails both comparisons; the cast is defined because the range was checked.
    if (!(*out >= 0 && *out <= max) || *out != static_cast<double>(static_cast<uint64_t>(*out)))
        return wrong_range(env, name, "an integer of the right range, not negative");
    return true;
}

bool read_u32(const Call &call, size_t index, const char *name, uint32_t *out) {
    double value;

    if (!read_integer(call.env, argument(call, index), name, 4294967295.0, &value))
        return false;
    *out = static_cast<uint32_t>(value);
    return true;
}

bool read_index(const Call &call, size_t index, size_t *out) {
    uint32_t value;

    if (!read_u32(call, index, "index", &value))
        return false;
    *out = value;
    return true;
}

bool read_bool(const Call &call, size_t index, const char *name, bool *out) {
    napi_value value = argument(call, index);

    if (type_of(call.env, value) != napi_boolean)
        return wrong_type(call.env, name, "true or false");
    napi_get_value_bool(call.env, value, out);
    return true;
}

bool read_u64(napi_env env, napi_value value, const char *name, uint64_t *out) {
    double number;
    bool lossless;

    *out = 0;
    if (is_absent(env, value))
        return true;
    if (type_of(env, value) == napi_bigint) {
        napi_get_value_bigint_uint64(env, value, out, &lossless);
        return lossless || wrong_range(env, name, "between 0 and 2^64 - 1");
    }
    if (!read_integer(env, value, name, 9007199254740991.0, &number))
        return false;
    *out = static_cast<uint64_t>(number);
    return true;
}

bool read_flags(const Call &call, size_t index, uint64_t *out) {
    return read_u64(call.env, argument(call, index), "flags", out);
}

bool read_options(const Call &call, size_t index, napi_value *out) {
    napi_value value = argument(call, index);

    *out = nullptr;
    if (is_absent(call.env, value))
        return true;
    if (type_of(call.env, value) != napi_object)
        return wrong_type(call.env, "options", "an object");
    *out = value;
    return true;
}

bool read_u32_of(napi_env env, napi_value object, const char *key, uint32_t *out, bool *given) {
    napi_value value;
    double number;

    if (!read_property(env, object, key, &value))
        return false;
    bool absent = is_absent(env, value);
    if (given)
        *given = !absent;
    if (absent)
        return true;
    if (!read_integer(env, value, key, 4294967295.0, &number))
        return false;
    *out = static_cast<uint32_t>(number);
    return true;
}

bool read_bool_of(napi_env env, napi_value object, const char *key, bool *out) {
    napi_value value;

    if (!read_property(env, object, key, &value))
        return false;
    if (is_absent(env, value))
        return true;
    if (type_of(env, value) != napi_boolean)
        return wrong_type(env, key, "true or false");
    napi_get_value_bool(env, value, out);
    return true;
}

bool read_bytes_of(napi_env env, napi_value object, const char *key, Bytes *out) {
    napi_value value;
    napi_typedarray_type type;
    void *data;

    if (!read_property(env, object, key, &value))
        return false;
    if (is_absent(env, value))
        return true;
    if (napi_get_typedarray_info(env, value, &type, &out->size, &data, nullptr, nullptr) !=
            napi_ok ||
        type != napi_uint8_array)
        return wrong_type(env, key, "a Uint8Array");
    out->data = static_cast<uint8_t *>(data);
    return true;
}

bool read_property(napi_env env, napi_value object, const char *key, napi_value *out) {
    *out = nullptr;
    return !object || napi_get_named_property(env, object, key, out) == napi_ok;
}

bool read_u32_option(napi_env env, napi_value object, const char *key, uint32_t *out) {
    napi_value value;
    uint64_t number;

    if (!read_property(env, object, key, &value) || !read_u64(env, value, key, &number))
        return false;
    *out = static_cast<uint32_t>(number);
    return number <= UINT32_MAX || wrong_range(env, key, "a number of 32 bits");
}

// What C gets of a string: a copy that ends in a zero.
static bool copy_text(napi_env env, napi_value value, const char *name, Text *out) {
    size_t size;

    if (type_of(env, value) != napi_string)
        return wrong_type(env, name, "a string");
    if (napi_get_value_string_utf8(env, value, nullptr, 0, &size) != napi_ok)
        return false;
    out->chars = static_cast<char *>(malloc(size + 1));
    if (!out->chars) {
        napi_throw_error(env, "ENOMEM", "out of memory");
        return false;
    }
    napi_get_value_string_utf8(env, value, out->chars, size + 1, &size);
    // C would silently use the part before the zero.
    if (strlen(out->chars) != size)
        return wrong_range(env, name, "a string without NUL");
    return true;
}

bool read_text(napi_env env, napi_value object, const char *key, bool required, Text *out) {
    napi_value value;

    if (!read_property(env, object, key, &value))
        return false;
    if (is_absent(env, value) && !required)
        return true;
    return copy_text(env, value, key, out);
}

bool read_text_argument(const Call &call, size_t index, const char *name, bool required,
                        Text *out) {
    napi_value value = argument(call, index);

    if (is_absent(call.env, value) && !required)
        return true;
    return copy_text(call.env, value, name, out);
}

napi_value number(napi_env env, double value) {
    napi_value out = nullptr;

    napi_create_double(env, value, &out);
    return out;
}

napi_value boolean(napi_env env, bool value) {
    napi_value out = nullptr;

    napi_get_boolean(env, value, &out);
    return out;
}

napi_value bigint(napi_env env, uint64_t value) {
    napi_value out = nullptr;

    napi_create_bigint_uint64(env, value, &out);
    return out;
}

napi_value undefined(napi_env env) {
    napi_value out = nullptr;

    napi_get_undefined(env, &out);
    return out;
}

napi_value text(napi_env env, const char *chars, size_t size) {
    napi_value out = nullptr;

    napi_create_string_utf8(env, chars, size, &out);
    return out;
}

napi_value bytes(napi_env env, const void *data, size_t size) {
    napi_value buffer, out = nullptr;
    void *memory;

    if (napi_create_arraybuffer(env, size, &memory, &buffer) != napi_ok)
        return nullptr;
    if (size)
        memcpy(memory, data, size);
    napi_create_typedarray(env, napi_uint8_array, size, buffer, 0, &out);
    return out;
}

Fields::Fields(napi_env e) : env(e), object(nullptr) {
    napi_create_object(env, &object);
}

void Fields::set(const char *key, napi_value value) {
    if (object && value)
        napi_set_named_property(env, object, key, value);
}

void Fields::set(const char *key, double value) {
    set(key, number(env, value));
}

void Fields::set(const char *key, const char *chars) {
    if (chars)
        set(key, text(env, chars));
}

} // namespace addon
