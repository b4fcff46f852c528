// stream.cc: NativeStream (ring buffers, perf buffers) and NativeSender (user ring buffers). One
// drain moves many records into the caller's memory; waiting for them is poll.cc's.
#include "addon.h"
#include <errno.h>

namespace addon {

napi_value open_stream(Call &call) {
    napi_value options;
    kb_perf_opts opts = {};
    kb_map_info info;
    kb_stream *stream;
    Error err;

    if (!read_options(call, 0, &options) ||
        !read_u32_option(call.env, options, "pages", &opts.pages) ||
        !read_u32_option(call.env, options, "wakeupEvents", &opts.wakeup_events) ||
        !read_u32_option(call.env, options, "wakeupBytes", &opts.wakeup_bytes))
        return nullptr;
    auto *map = open_native<kb_map>(call, "open stream");
    if (!map)
        return nullptr;
    if (kb_map_get_info(map, &info, &err) != 0)
        return throw_kernel(call, err);
    constexpr uint32_t perf_event_array = 4;
    int rc = info.type == perf_event_array ? kb_stream_open_perf(map, &opts, &stream, &err)
                                           : kb_stream_open_ring(map, &stream, &err);
    return rc == 0 ? wrap(call, Kind::stream, stream, call.handle->name) : throw_kernel(call, err);
}

static napi_value stream_fd(Call &call) {
    auto *stream = open_native<kb_stream>(call, "stream fd");

    return stream ? number(call.env, kb_stream_fd(stream)) : nullptr;
}

static napi_value stream_due(Call &call) {
    auto *stream = open_native<kb_stream>(call, "stream due");

    return stream ? boolean(call.env, kb_stream_due(stream)) : nullptr;
}

static napi_value stream_size(Call &call) {
    auto *stream = open_native<kb_stream>(call, "stream size");

    return stream ? number(call.env, static_cast<double>(kb_stream_size(stream))) : nullptr;
}

static napi_value stream_lost(Call &call) {
    auto *stream = open_native<kb_stream>(call, "stream lost");

    return stream ? number(call.env, static_cast<double>(kb_stream_lost(stream))) : nullptr;
}

// drain(data, offsets, told): told is [cpu, lost, needed].
static napi_value drain(Call &call) {
    Bytes data;
    void *offsets, *told;
    size_t offset_count, told_count;
    kb_drain drain = {};
    Error err;

    if (!read_bytes(call, 0, "data", &data) ||
        !read_array(call, 1, "offsets", napi_uint32_array, "a Uint32Array", &offsets,
                    &offset_count) ||
        !read_array(call, 2, "told", napi_float64_array, "a Float64Array", &told, &told_count))
        return nullptr;
    if (offset_count < 2 || told_count < 3)
        return throw_range(call.env, "offsets must have 2 elements at least, told 3");
    auto *stream = open_native<kb_stream>(call, "drain");
    if (!stream)
        return nullptr;
    drain.data = data.data;
    drain.data_size = data.size;
    drain.offsets = static_cast<uint32_t *>(offsets);
    drain.count =
        static_cast<uint32_t>(offset_count / 2 < UINT32_MAX ? offset_count / 2 : UINT32_MAX);
    int rc = kb_stream_drain(stream, &drain, &err);
    auto *out = static_cast<double *>(told);
    out[0] = drain.cpu;
    out[1] = static_cast<double>(drain.lost);
    out[2] = static_cast<double>(drain.needed);
    if (rc == -ENOSPC)
        return number(call.env, -1);
    return rc == 0 ? number(call.env, drain.count) : throw_kernel(call, err);
}

// NativeSender ------------------------------------------------------------------------------------

napi_value open_sender(Call &call) {
    kb_sender *sender;
    Error err;

    auto *map = open_native<kb_map>(call, "open user ring buffer");
    if (!map)
        return nullptr;
    if (kb_sender_open(map, &sender, &err) != 0)
        return throw_kernel(call, err);
    return wrap(call, Kind::sender, sender, call.handle->name);
}

static napi_value sender_fd(Call &call) {
    auto *sender = open_native<kb_sender>(call, "user ring buffer fd");

    return sender ? number(call.env, kb_sender_fd(sender)) : nullptr;
}

static napi_value send(Call &call) {
    Bytes data;
    Error err;

    if (!read_bytes(call, 0, "data", &data))
        return nullptr;
    auto *sender = open_native<kb_sender>(call, "send");
    if (!sender)
        return nullptr;
    int rc = kb_sender_send(sender, data.data, data.size, &err);
    if (rc == 0 || rc == -ENOSPC)
        return boolean(call.env, rc == 0);
    return throw_kernel(call, err);
}

bool define_stream_classes(napi_env env, Data *data) {
    const napi_property_descriptor stream_rows[] = {
        getter_row<Kind::stream, closed_getter<Kind::stream>>("closed"),
        getter_row<Kind::stream, stream_fd>("fd"),
        getter_row<Kind::stream, stream_due>("due"),
        getter_row<Kind::stream, stream_size>("size"),
        getter_row<Kind::stream, stream_lost>("lost"),
        method_row<Kind::stream, drain>("drain"),
        method_row<Kind::stream, close_method<Kind::stream>>("close"),
    };
    const napi_property_descriptor sender_rows[] = {
        getter_row<Kind::sender, closed_getter<Kind::sender>>("closed"),
        getter_row<Kind::sender, sender_fd>("fd"),
        method_row<Kind::sender, send>("send"),
        method_row<Kind::sender, close_method<Kind::sender>>("close"),
    };

    return define_class(env, data, Kind::stream, "NativeStream", stream_rows,
                        sizeof(stream_rows) / sizeof(stream_rows[0])) &&
           define_class(env, data, Kind::sender, "NativeSender", sender_rows,
                        sizeof(sender_rows) / sizeof(sender_rows[0]));
}

} // namespace addon
