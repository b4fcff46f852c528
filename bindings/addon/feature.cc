// feature.cc: probeFeature() and featureNames().
#include "addon.h"

namespace addon {

static const char *const kinds[] = {"mapType",  "programType", "attachType",  "helper", "kfunc",
                                    "linkType", "mapFlag",     "programFlag", "btfKind"};
static_assert(sizeof(kinds) / sizeof(kinds[0]) == KB_FEATURE_KINDS, "a name for each kind");

static bool read_kind(const Call &call, napi_value options, kb_feature_kind *out) {
    Text kind;

    if (!read_text(call.env, options, "kind", true, &kind))
        return false;
    for (int i = 0; i < KB_FEATURE_KINDS; i++)
        if (strcmp(kind.chars, kinds[i]) == 0) {
            *out = static_cast<kb_feature_kind>(i);
            return true;
        }
    throw_range(call.env, "there is no such kind of feature");
    return false;
}

// { kind, name, of }
napi_value probe_feature(Call &call) {
    static const char *const answers[] = {"no", "yes", "inconclusive"};
    napi_value options;
    kb_feature_kind kind;
    kb_feature feature;
    Text name, of;
    Error err;

    if (!read_options(call, 0, &options))
        return nullptr;
    if (!options)
        return throw_type(call.env, "probeFeature() takes { kind, name, of }");
    if (!read_kind(call, options, &kind) || !read_text(call.env, options, "name", true, &name) ||
        !read_text(call.env, options, "of", kind == KB_FEATURE_HELPER, &of))
        return nullptr;
    if (kb_probe_feature(kind, name.chars, of.chars, &feature, &err) != 0)
        return throw_range(call.env, err.text ? err.text : "there is no such feature");
    Fields fields(call.env);
    fields.set("answer", answers[feature.answer]);
    if (feature.reason[0])
        fields.set("reason", feature.reason);
    if (feature.errnum)
        fields.set("code", kb_errno_name(feature.errnum));
    fields.set("since", feature.since);
    return fields.object;
}

napi_value feature_names(Call &call) {
    napi_value options, list;
    kb_feature_kind kind;

    if (!read_options(call, 0, &options) || !read_kind(call, options, &kind) ||
        napi_create_array(call.env, &list) != napi_ok)
        return nullptr;
    for (uint32_t i = 0; kb_feature_name(kind, i); i++)
        napi_set_element(call.env, list, i, text(call.env, kb_feature_name(kind, i)));
    return list;
}

napi_value number_name(Call &call) {
    napi_value options;
    kb_feature_kind kind;
    uint32_t value = 0;

    if (!read_options(call, 0, &options) || !read_kind(call, options, &kind) ||
        !read_u32_of(call.env, options, "number", &value, nullptr))
        return nullptr;
    const char *name = kb_number_name(kind, value);
    return name ? text(call.env, name) : undefined(call.env);
}

} // namespace addon
