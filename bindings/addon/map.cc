// map.cc: NativeMap: keys and values as bytes in the caller's buffers. kb checks their sizes; a
// wrong one is the caller's mistake and so a RangeError.
#include "addon.h"
#include <errno.h>

namespace addon {

napi_value describe_map(napi_env env, const kb_map_info &info) {
    Fields fields(env);

    fields.set("name", info.name);
    fields.set("type", info.type);
    fields.set("keySize", info.key_size);
    fields.set("valueSize", info.value_size);
    fields.set("userValueSize", static_cast<double>(info.value_size_user));
    fields.set("maxEntries", info.max_entries);
    fields.set("flags", info.flags);
    fields.set("id", info.id);
    fields.set("fd", info.fd);
    fields.set("btfKeyTypeId", info.btf_key_type_id);
    fields.set("btfValueTypeId", info.btf_value_type_id);
    fields.set("btfId", info.btf_id);
    fields.set("extra", static_cast<double>(info.extra));
    fields.set("memlock", static_cast<double>(info.memlock));
    fields.set("frozen", boolean(env, info.frozen));
    if (info.ifindex) {
        fields.set("ifindex", info.ifindex);
        fields.set("netnsDev", bigint(env, info.netns_dev));
        fields.set("netnsIno", bigint(env, info.netns_ino));
    }
    return fields.object;
}

// kb refuses wrong buffer sizes with ERANGE, which no map operation of the kernel uses.
static napi_value failed(const Call &call, const kb_error &err, int64_t count = -1) {
    if (err.errnum != ERANGE)
        return throw_kernel(call, err, count);
    return throw_range(call.env, err.text ? err.text : "wrong buffer size");
}

static napi_value map_fd(Call &call) {
    auto *map = open_native<kb_map>(call, "map fd");

    return map ? number(call.env, kb_map_fd(map)) : nullptr;
}

static napi_value map_info(Call &call) {
    auto *map = open_native<kb_map>(call, "map info");
    kb_map_info info;
    Error err;

    if (!map)
        return nullptr;
    if (kb_map_get_info(map, &info, &err) != 0)
        return throw_kernel(call, err);
    return describe_map(call.env, info);
}

// What lookup and update take: key, value, flags.
struct Entry {
    Bytes key, value;
    uint64_t flags;
};

static bool read_entry(const Call &call, Entry *entry) {
    return read_bytes(call, 0, "key", &entry->key) && read_bytes(call, 1, "value", &entry->value) &&
           read_flags(call, 2, &entry->flags);
}

static napi_value lookup(Call &call) {
    Entry e;
    Error err;

    if (!read_entry(call, &e))
        return nullptr;
    auto *map = open_native<kb_map>(call, "map lookup");
    if (!map)
        return nullptr;
    int rc = kb_map_lookup(map, e.key.data, e.key.size, e.value.data, e.value.size, e.flags, &err);
    if (rc == 0 || rc == -ENOENT)
        return boolean(call.env, rc == 0);
    return failed(call, err);
}

static napi_value update(Call &call) {
    Entry e;
    Error err;

    if (!read_entry(call, &e))
        return nullptr;
    auto *map = open_native<kb_map>(call, "map update");
    if (!map)
        return nullptr;
    if (kb_map_update(map, e.key.data, e.key.size, e.value.data, e.value.size, e.flags, &err) != 0)
        return failed(call, err);
    return undefined(call.env);
}

static napi_value remove(Call &call) {
    Bytes key;
    Error err;

    if (!read_bytes(call, 0, "key", &key))
        return nullptr;
    auto *map = open_native<kb_map>(call, "map delete");
    if (!map)
        return nullptr;
    int rc = kb_map_delete(map, key.data, key.size, &err);
    if (rc == 0 || rc == -ENOENT)
        return boolean(call.env, rc == 0);
    return failed(call, err);
}

static napi_value next_key(Call &call) {
    Bytes key, next;
    Error err;
    bool from_start = call.argc < 1 || is_absent(call.env, call.argv[0]);

    if ((!from_start && !read_bytes(call, 0, "key", &key)) || !read_bytes(call, 1, "next", &next))
        return nullptr;
    auto *map = open_native<kb_map>(call, "map next key");
    if (!map)
        return nullptr;
    int rc =
        kb_map_next_key(map, from_start ? nullptr : key.data, key.size, next.data, next.size, &err);
    if (rc == 0 || rc == -ENOENT)
        return boolean(call.env, rc == 0);
    return failed(call, err);
}

static napi_value take(Call &call) {
    Entry e;
    Error err;

    if (!read_entry(call, &e))
        return nullptr;
    auto *map = open_native<kb_map>(call, "map lookup and delete");
    if (!map)
        return nullptr;
    int rc = kb_map_take(map, e.key.data, e.key.size, e.value.data, e.value.size, e.flags, &err);
    if (rc == 0 || rc == -ENOENT)
        return boolean(call.env, rc == 0);
    return failed(call, err);
}

template <int (*body)(const kb_map *, kb_batch *, kb_error *)>
static napi_value read_batch(Call &call) {
    Bytes cursor, keys, values;
    kb_batch batch = {};
    Error err;

    if (!read_bytes(call, 0, "cursor", &cursor) || !read_bool(call, 1, "first", &batch.first) ||
        !read_bytes(call, 2, "keys", &keys) || !read_bytes(call, 3, "values", &values) ||
        !read_u32(call, 4, "count", &batch.count) || !read_flags(call, 5, &batch.flags))
        return nullptr;
    auto *map = open_native<kb_map>(call, "map lookup batch");
    if (!map)
        return nullptr;
    batch.cursor = cursor.data;
    batch.cursor_size = cursor.size;
    batch.keys = keys.data;
    batch.keys_size = keys.size;
    batch.values = values.data;
    batch.values_size = values.size;
    int rc = body(map, &batch, &err);
    if (rc != 0 && rc != -ENOENT)
        return failed(call, err, batch.count);
    Fields fields(call.env);
    fields.set("count", batch.count);
    fields.set("done", boolean(call.env, rc == -ENOENT));
    return fields.object;
}

// (keys, values, count, flags): the values of a deletion are not there.
static napi_value update_batch(Call &call) {
    Bytes keys, values;
    kb_batch batch = {};
    Error err;

    if (!read_bytes(call, 0, "keys", &keys) || !read_bytes(call, 1, "values", &values) ||
        !read_u32(call, 2, "count", &batch.count) || !read_flags(call, 3, &batch.flags))
        return nullptr;
    auto *map = open_native<kb_map>(call, "map update batch");
    if (!map)
        return nullptr;
    batch.keys = keys.data;
    batch.keys_size = keys.size;
    batch.values = values.data;
    batch.values_size = values.size;
    if (kb_map_update_batch(map, &batch, &err) != 0)
        return failed(call, err, batch.count);
    return undefined(call.env);
}

static napi_value delete_batch(Call &call) {
    Bytes keys;
    kb_batch batch = {};
    Error err;

    if (!read_bytes(call, 0, "keys", &keys) || !read_u32(call, 1, "count", &batch.count) ||
        !read_flags(call, 2, &batch.flags))
        return nullptr;
    auto *map = open_native<kb_map>(call, "map delete batch");
    if (!map)
        return nullptr;
    batch.keys = keys.data;
    batch.keys_size = keys.size;
    if (kb_map_delete_batch(map, &batch, &err) != 0)
        return failed(call, err, batch.count);
    return undefined(call.env);
}

static napi_value freeze(Call &call) {
    auto *map = open_native<kb_map>(call, "map freeze");
    Error err;

    if (!map)
        return nullptr;
    if (kb_map_freeze(map, &err) != 0)
        return throw_kernel(call, err);
    return undefined(call.env);
}

bool define_map_class(napi_env env, Data *data) {
    const napi_property_descriptor rows[] = {
        getter_row<Kind::map, closed_getter<Kind::map>>("closed"),
        getter_row<Kind::map, map_fd>("fd"),
        method_row<Kind::map, map_info>("info"),
        method_row<Kind::map, lookup>("lookup"),
        method_row<Kind::map, update>("update"),
        method_row<Kind::map, remove>("delete"),
        method_row<Kind::map, next_key>("nextKey"),
        method_row<Kind::map, take>("take"),
        method_row<Kind::map, read_batch<kb_map_lookup_batch>>("lookupBatch"),
        method_row<Kind::map, read_batch<kb_map_take_batch>>("takeBatch"),
        method_row<Kind::map, update_batch>("updateBatch"),
        method_row<Kind::map, delete_batch>("deleteBatch"),
        method_row<Kind::map, bind>("bind"),
        method_row<Kind::map, map_memory>("memory"),
        method_row<Kind::map, freeze>("freeze"),
        method_row<Kind::map, open_stream>("openStream"),
        method_row<Kind::map, open_sender>("openSender"),
        method_row<Kind::map, close_method<Kind::map>>("close"),
    };

    return define_class(env, data, Kind::map, "NativeMap", rows, sizeof(rows) / sizeof(rows[0]));
}

} // namespace addon
