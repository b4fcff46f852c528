// addon.h: what the files of the addon share. Plain Node-API (node_api.h) with the little C++ that
// makes it short: no exceptions, no RTTI and nothing of libstdc++, for node-addon-api's classes
// pull std::string and the unwinder in and with them glibc 2.35. The addon links as C.
//
// Conventions. A function that reads an argument returns false after throwing; its caller returns
// nullptr at once. Options objects are read first (their getters may run any JavaScript), then
// buffers (whose memory such JavaScript could detach), and last the handle is asked whether it is
// still open (which it could have closed).
#pragma once

#define NAPI_VERSION 8
#include "kb.h"
#include <node_api.h>
#include <stdlib.h>
#include <string.h>

namespace addon {

enum class Kind { object, program, link, map, stream, sender, poller };
constexpr size_t kind_count = 7;

struct Handle;

// All state of one environment. Lives until the environment and its last handle are gone.
struct Data {
    napi_ref kernel_error = nullptr;
    napi_ref classes[kind_count] = {};
    Handle *handles = nullptr; // live wrapped handles, any kind
    Handle *pending = nullptr; // the handle that the constructor being called is for
    size_t references = 1;
    napi_async_cleanup_hook_handle ending = nullptr; // the hook; waits once `ended`
    size_t closing = 0; // libuv's handles that are not closed yet, and loads that go on
    bool ended = false;
};

// What a JavaScript object of ours holds: one of kb's handles, null once closed.
struct Handle {
    Data *data;
    Handle *previous;
    Handle *next;
    Kind kind;
    void *native;
    char *name; // for errors after close; may be null
};

// One call from JavaScript: who, with what.
struct Call {
    napi_env env;
    Data *data;
    Handle *handle; // null in plain functions
    napi_value self;
    size_t argc;
    napi_value argv[7];
};

// kb's error record with an owner.
struct Error : kb_error {
    Error() : kb_error{} {}
    ~Error() {
        kb_error_clear(this);
    }
    Error(const Error &) = delete;
    Error &operator=(const Error &) = delete;
};

// A copied string with an owner; null if there was none.
struct Text {
    char *chars = nullptr;
    Text() = default;
    ~Text() {
        free(chars);
    }
    Text(const Text &) = delete;
    Text &operator=(const Text &) = delete;
};

struct Bytes {
    uint8_t *data = nullptr;
    size_t size = 0;
};

// errors.cc ---------------------------------------------------------------------------------------

// Throws KernelError from the record; null. `count`: entries of a batch, or -1.
napi_value throw_kernel(const Call &call, const kb_error &err, int64_t count = -1);
napi_value throw_type(napi_env env, const char *text);
napi_value throw_range(napi_env env, const char *text);
napi_value throw_closed(const Call &call, const char *operation);

// values.cc ---------------------------------------------------------------------------------------

bool is_absent(napi_env env, napi_value value); // undefined or null
bool read_bytes(const Call &call, size_t index, const char *name, Bytes *out);
// Elements of a typed array of that type, which `wanted` names.
bool read_array(const Call &call, size_t index, const char *name, napi_typedarray_type type,
                const char *wanted, void **data, size_t *count);
bool read_u32(const Call &call, size_t index, const char *name, uint32_t *out);
bool read_index(const Call &call, size_t index, size_t *out);
// Small values of an object's property; false in *out's stead stays when it is absent.
bool read_u32_of(napi_env env, napi_value object, const char *key, uint32_t *out, bool *given);
bool read_bool_of(napi_env env, napi_value object, const char *key, bool *out);
// The string that an argument is.
bool read_text_argument(const Call &call, size_t index, const char *name, bool required, Text *out);
// Bytes of a Uint8Array property; absent leaves *out empty with no data.
bool read_bytes_of(napi_env env, napi_value object, const char *key, Bytes *out);
bool read_bool(const Call &call, size_t index, const char *name, bool *out);
// A 64-bit number or bigint; 0 if absent.
bool read_u64(napi_env env, napi_value value, const char *name, uint64_t *out);
bool read_flags(const Call &call, size_t index, uint64_t *out);
// Options: an object or absent (then *out is null).
bool read_options(const Call &call, size_t index, napi_value *out);
bool read_property(napi_env env, napi_value object, const char *key, napi_value *out);
// A number that fits 32 bits; 0 if absent.
bool read_u32_option(napi_env env, napi_value object, const char *key, uint32_t *out);
bool read_text(napi_env env, napi_value object, const char *key, bool required, Text *out);

napi_value number(napi_env env, double value);
napi_value boolean(napi_env env, bool value);
napi_value bigint(napi_env env, uint64_t value);
napi_value undefined(napi_env env);
// Builds a plain object; null-safe after a failed step.
struct Fields {
    napi_env env;
    napi_value object;
    explicit Fields(napi_env e);
    void set(const char *key, napi_value value);
    void set(const char *key, double value);
    void set(const char *key, const char *text); // nothing for null
};
napi_value text(napi_env env, const char *chars, size_t size = NAPI_AUTO_LENGTH);
napi_value bytes(napi_env env, const void *data, size_t size); // a Uint8Array with a copy

// handles.cc --------------------------------------------------------------------------------------

// Wraps one of kb's handles, which it owns from now on (also when it fails: null, exception).
napi_value wrap(const Call &call, Kind kind, void *native, const char *name);
// The open handle of a kind that an argument is; false after throwing.
bool read_handle(const Call &call, size_t index, const char *name, Kind kind, Handle **out);
void close_handle(Handle *handle);
void close_all(Data *data);
void release(Data *data);
// Lets a waiting environment end once libuv has closed our handles (init.cc).
void finish_ending(Data *data);
bool define_class(napi_env env, Data *data, Kind kind, const char *name,
                  const napi_property_descriptor *methods, size_t count);
// Fills `call`; false after throwing. With a kind, `this` must be a handle of it.
bool begin(napi_env env, napi_callback_info info, Call *call);
bool begin_method(napi_env env, napi_callback_info info, Kind kind, Call *call);

// The handle's native side, or null after throwing ERR_CLOSED.
template <typename T> T *open_native(const Call &call, const char *operation) {
    if (!call.handle->native)
        throw_closed(call, operation);
    return static_cast<T *>(call.handle->native);
}

// Trampolines: method<Kind::map, lookup> is a napi_callback that checks `this` and calls lookup.
template <Kind kind, napi_value (*body)(Call &)>
napi_value method(napi_env env, napi_callback_info info) {
    Call call;
    return begin_method(env, info, kind, &call) ? body(call) : nullptr;
}

template <napi_value (*body)(Call &)> napi_value function(napi_env env, napi_callback_info info) {
    Call call;
    return begin(env, info, &call) ? body(call) : nullptr;
}

template <Kind kind> napi_value close_method(Call &call) {
    close_handle(call.handle);
    return undefined(call.env);
}

template <Kind kind> napi_value closed_getter(Call &call) {
    return boolean(call.env, !call.handle->native);
}

template <Kind kind, size_t count>
bool define_rows(napi_env env, Data *data, const char *name,
                 const napi_property_descriptor (&rows)[count]) {
    return define_class(env, data, kind, name, rows, count);
}

template <Kind kind, napi_value (*body)(Call &)>
constexpr napi_property_descriptor method_row(const char *name) {
    return {name,    nullptr, method<kind, body>,  nullptr,
            nullptr, nullptr, napi_default_method, nullptr};
}

template <Kind kind, napi_value (*body)(Call &)>
constexpr napi_property_descriptor getter_row(const char *name) {
    return {name, nullptr, nullptr, method<kind, body>, nullptr, nullptr, napi_enumerable, nullptr};
}

template <napi_value (*body)(Call &)>
constexpr napi_property_descriptor function_row(const char *name) {
    return {name, nullptr, function<body>, nullptr, nullptr, nullptr, napi_default_method, nullptr};
}

// A class each, and the functions that make its handles -------------------------------------------

bool define_object_class(napi_env env, Data *data); // object.cc
napi_value open_object(Call &call);
napi_value describe_program(napi_env env, const kb_program_info &info);
bool read_load_opts(const Call &call, kb_load_opts *opts);
napi_value load_async(Call &call); // of NativeObject: load_async.cc

bool define_program_class(napi_env env, Data *data); // program.cc
napi_value open_program(Call &call);
napi_value program_from_fd(Call &call);
napi_value enable_stats(Call &call);
napi_value btf_bytes(Call &call);
napi_value attach(Call &call);       // target.cc
napi_value load_program(Call &call); // raw.cc
napi_value read_output(Call &call);  // of NativeProgram: raw.cc
napi_value query(Call &call);        // query.cc

bool define_link_class(napi_env env, Data *data); // link.cc, with pins
napi_value open_link(Call &call);
napi_value link_from_fd(Call &call);
napi_value open_pinned(Call &call);
napi_value pin(Call &call);
napi_value unpin(Call &call);
napi_value mount_bpffs(Call &call);
napi_value bpffs_mounted(Call &call);

bool define_map_class(napi_env env, Data *data);      // map.cc
bool define_stream_classes(napi_env env, Data *data); // stream.cc: NativeStream, NativeSender
bool define_poller_class(napi_env env, Data *data);   // poll.cc
napi_value open_stream(Call &call);                   // methods of NativeMap
napi_value open_sender(Call &call);
napi_value bind(Call &call);       // of NativeMap: bind.cc
napi_value map_memory(Call &call); // of NativeMap: map_open.cc
napi_value create_map(Call &call);
napi_value open_map_fd(Call &call);
napi_value open_map_id(Call &call);
napi_value probe_feature(Call &call);
napi_value feature_names(Call &call);
napi_value number_name(Call &call);
napi_value open_poller(Call &call);
void close_poller(void *native);
napi_value describe_map(napi_env env, const kb_map_info &info);

} // namespace addon
