// map_open.cc: where maps come from (createMap, openMapFd, openMapId), and their
// memory as an ArrayBuffer.
#include "addon.h"

namespace addon {

static napi_value wrap_map(const Call &call, kb_map *map) {
    kb_map_info info;

    bool told = kb_map_get_info(map, &info, nullptr) == 0;
    return wrap(call, Kind::map, map, told ? info.name : nullptr);
}

napi_value create_map(Call &call) {
    napi_value options, extra;
    uint32_t inner;
    kb_map_def def = {};
    kb_map *map;
    Text name;
    Error err;

    if (!read_options(call, 0, &options))
        return nullptr;
    if (!options)
        return throw_type(call.env, "createMap() takes the map's definition");
    if (!read_text(call.env, options, "name", false, &name) ||
        !read_u32_option(call.env, options, "type", &def.type) ||
        !read_u32_option(call.env, options, "keySize", &def.key_size) ||
        !read_u32_option(call.env, options, "valueSize", &def.value_size) ||
        !read_u32_option(call.env, options, "maxEntries", &def.max_entries) ||
        !read_u32_option(call.env, options, "flags", &def.flags) ||
        !read_u32_option(call.env, options, "numaNode", &def.numa_node) ||
        !read_u32_option(call.env, options, "innerFd", &inner) ||
        !read_u32_option(call.env, options, "ifindex", &def.ifindex) ||
        !read_property(call.env, options, "extra", &extra) ||
        !read_u64(call.env, extra, "extra", &def.extra))
        return nullptr;
    def.name = name.chars;
    def.inner_fd = static_cast<int>(inner);
    if (kb_map_create(&def, &map, &err) != 0)
        return throw_kernel(call, err);
    return wrap_map(call, map);
}

napi_value open_map_fd(Call &call) {
    uint32_t fd;
    bool own = false;
    kb_map *map;
    Error err;

    if (!read_u32(call, 0, "fd", &fd))
        return nullptr;
    if (call.argc > 1 && !is_absent(call.env, call.argv[1]) && !read_bool(call, 1, "own", &own))
        return nullptr;
    if (kb_map_open_fd(static_cast<int>(fd), false, &map, &err) != 0)
        return throw_kernel(call, err);
    napi_value handle = wrap_map(call, map);
    if (handle && own) // not before nothing can fail any more
        kb_map_take_fd(map, static_cast<int>(fd));
    return handle;
}

napi_value open_map_id(Call &call) {
    uint32_t id;
    kb_map *map;
    Error err;

    if (!read_u32(call, 0, "id", &id))
        return nullptr;
    if (kb_map_open_id(id, &map, &err) != 0)
        return throw_kernel(call, err);
    return wrap_map(call, map);
}

// Memory ------------------------------------------------------------------------------------------

// The engine has let go of the last buffer over it, wherever that was moved to.
static void unmap(napi_env, void *, void *hint) {
    auto *memory = static_cast<kb_memory *>(hint);

    kb_map_unmap(memory);
    free(memory);
}

// undefined where there is no memory that JavaScript could write: it faults on pages that are for
// reading, and some engines have no buffers over other's memory.
napi_value map_memory(Call &call) {
    auto *map = open_native<kb_map>(call, "map memory");
    napi_value buffer;
    Error err;

    if (!map)
        return nullptr;
    auto *memory = static_cast<kb_memory *>(calloc(1, sizeof(kb_memory)));
    if (!memory) {
        napi_throw_error(call.env, "ENOMEM", "out of memory");
        return nullptr;
    }
    if (kb_map_mmap(map, memory, &err) != 0) {
        free(memory);
        return throw_kernel(call, err);
    }
    if (!memory->writable || napi_create_external_arraybuffer(call.env, memory->at, memory->size,
                                                              unmap, memory, &buffer) != napi_ok) {
        kb_map_unmap(memory);
        free(memory);
        return undefined(call.env);
    }
    return buffer;
}

} // namespace addon
