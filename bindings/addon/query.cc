// query.cc: what is attached where: a place from JavaScript, and the programs there.
#include "addon.h"
#include <stdint.h>

namespace addon {

// The place with what it points to.
struct Place {
    kb_query_opts opts = {};
    Text kind, path, interface;
};

static bool read_place(napi_env env, napi_value object, Place *place) {
    uint32_t fd = 0, direction = 0;
    kb_query_opts *opts = &place->opts;

    if (!read_text(env, object, "kind", true, &place->kind) ||
        !read_text(env, object, "path", false, &place->path) ||
        !read_text(env, object, "interface", false, &place->interface) ||
        !read_u32_of(env, object, "ifindex", &opts->ifindex, nullptr) ||
        !read_u32_of(env, object, "fd", &fd, nullptr) ||
        !read_u32_of(env, object, "direction", &direction, nullptr) ||
        !read_u32_of(env, object, "attachType", &opts->attach_type, &opts->has_attach_type) ||
        !read_bool_of(env, object, "effective", &opts->effective))
        return false;
    opts->kind = kb_target_by_name(place->kind.chars);
    opts->path = place->path.chars;
    opts->interface = place->interface.chars;
    opts->fd = static_cast<int>(fd);
    opts->direction = static_cast<kb_direction>(direction);
    return true;
}

static napi_value describe(napi_env env, const kb_attached &one) {
    Fields fields(env);

    fields.set("programId", one.program_id);
    fields.set("linkId", one.link_id);
    fields.set("attachType", one.attach_type);
    fields.set("flags", one.flags);
    fields.set("direction", static_cast<double>(one.direction));
    fields.set("priority", one.priority);
    fields.set("handle", one.handle);
    return fields.object;
}

napi_value query(Call &call) {
    napi_env env = call.env;
    napi_value options, list;
    Place place;
    kb_query_result found;
    Error err;

    if (!read_options(call, 0, &options))
        return nullptr;
    if (!options)
        return throw_type(env, "a place to look at must be an object");
    if (!read_place(env, options, &place))
        return nullptr;
    if (kb_query(&place.opts, &found, &err) != 0) {
        kb_query_clear(&found);
        return throw_kernel(call, err);
    }
    Fields fields(env);
    if (napi_create_array_with_length(env, found.count, &list) == napi_ok)
        for (uint32_t i = 0; i < found.count; i++)
            napi_set_element(env, list, i, describe(env, found.attached[i]));
    fields.set("attached", list);
    fields.set("revision", bigint(env, found.revision));
    kb_query_clear(&found);
    return fields.object;
}

} // namespace addon
