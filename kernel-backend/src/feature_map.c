/*
 * feature_map.c: probes of map types, map flags, BTF kinds, links and kfuncs. A map is made as
 * small as its type allows.
 */
#include "feature.h"
#include "uapi.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <unistd.h>

enum { ARENA = KB_MAP_ARENA, INSN_ARRAY = 34, BLOOM = 30, USER_RINGBUF = 31 };

static int done(int fd) {
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -errno : 0;
}

/* The smallest map of a type. */
static struct kb_map_def smallest(uint32_t type) {
    struct kb_map_def def = {.type = type, .key_size = 4, .value_size = 8, .max_entries = 1};
    uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);

    switch (type) { /* one case per shape */
    case BPF_MAP_TYPE_RINGBUF:
    case USER_RINGBUF:
        def.key_size = def.value_size = 0;
        def.max_entries = page;
        break;
    case ARENA:
        def.key_size = def.value_size = 0;
        def.flags = BPF_F_MMAPABLE;
        break;
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK:
    case BLOOM:
        def.key_size = 0;
        break;
    case BPF_MAP_TYPE_LPM_TRIE:
        def.key_size = 8;
        def.flags = BPF_F_NO_PREALLOC;
        break;
    case BPF_MAP_TYPE_CGROUP_STORAGE:
    case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
        def.key_size = 16;
        def.max_entries = 0;
        break;
    case BPF_MAP_TYPE_SK_STORAGE:
    case 28: /* inode */
    case 29: /* task */
    case 32: /* cgroup */
        def.max_entries = 0;
        def.flags = BPF_F_NO_PREALLOC;
        break;
    case BPF_MAP_TYPE_STACK_TRACE:
        break;
    case BPF_MAP_TYPE_ARRAY_OF_MAPS:
    case BPF_MAP_TYPE_HASH_OF_MAPS:
    case BPF_MAP_TYPE_PROG_ARRAY:
    case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
    case BPF_MAP_TYPE_CGROUP_ARRAY:
    case BPF_MAP_TYPE_DEVMAP:
    case BPF_MAP_TYPE_DEVMAP_HASH:
    case BPF_MAP_TYPE_CPUMAP:
    case BPF_MAP_TYPE_XSKMAP:
        def.value_size = 4;
        break;
    case INSN_ARRAY:
        def.value_size = 16;
        break;
    default:
        break;
    }
    return def;
}

/* 0 or -errno. */
static int try_create(struct kb_map_def def) {
    struct kb_map *map;
    int inner = -1;

    if (def.type == BPF_MAP_TYPE_ARRAY_OF_MAPS || def.type == BPF_MAP_TYPE_HASH_OF_MAPS) {
        inner = kb_sys_minimal_map();
        if (inner < 0)
            return inner;
        def.inner_fd = inner;
    }
    int rc = kb_map_create(&def, &map, NULL);
    if (rc == 0)
        kb_map_close(&map);
    if (inner >= 0)
        close(inner);
    return rc;
}

void kb_probe_map_type(uint32_t type, struct kb_feature *feature) {
    uint64_t caps = KB_CAP_BIT(KB_CAP_BPF);

    if (type ==
        BPF_MAP_TYPE_STRUCT_OPS) { /* needs a kernel structure: a program type goes with it */
        kb_probe_program_type(KB_PROG_STRUCT_OPS, feature);
        return;
    }
    kb_answer(feature, try_create(smallest(type)), caps, "maps of this type");
}

/* A type that has the flag, and what else it needs. */
static struct kb_map_def flagged(uint32_t flag) {
    struct kb_map_def def = {0};

    switch (flag) {
    case BPF_F_NO_COMMON_LRU:
        def = smallest(BPF_MAP_TYPE_LRU_HASH);
        break;
    case BPF_F_STACK_BUILD_ID:
        def = smallest(BPF_MAP_TYPE_STACK_TRACE);
        def.value_size = 32;
        break;
    case BPF_F_CLONE:
        def = smallest(BPF_MAP_TYPE_SK_STORAGE);
        break;
    case BPF_F_PRESERVE_ELEMS:
        def = smallest(BPF_MAP_TYPE_PERF_EVENT_ARRAY);
        break;
    case BPF_F_RDONLY:
    case BPF_F_WRONLY:
    case BPF_F_RDONLY_PROG:
    case BPF_F_WRONLY_PROG:
    case BPF_F_MMAPABLE:
    case BPF_F_INNER_MAP:
        def = smallest(BPF_MAP_TYPE_ARRAY);
        break;
    case 1 << 17: /* BPF_F_SEGV_ON_FAULT */
    case 1 << 18: /* BPF_F_NO_USER_CONV */
        def = smallest(ARENA);
        break;
    case 1 << 19: /* BPF_F_RB_OVERWRITE */
        def = smallest(BPF_MAP_TYPE_RINGBUF);
        break;
    default:
        def = smallest(BPF_MAP_TYPE_HASH);
        break;
    }
    def.flags |= flag;
    return def;
}

void kb_probe_map_flag(uint32_t flag, struct kb_feature *feature) {
    switch (flag) { /* these need something that a probe has not */
    case 1 << 13:
        kb_answer_by_enumerator(feature, "BPF_F_LINK");
        return;
    case 1 << 14:
        kb_answer_by_enumerator(feature, "BPF_F_PATH_FD");
        return;
    case 1 << 15:
        kb_answer_by_enumerator(feature, "BPF_F_VTYPE_BTF_OBJ_FD");
        return;
    case 1 << 16:
        kb_answer_by_enumerator(feature, "BPF_F_TOKEN_FD");
        return;
    default:
        kb_answer(feature, try_create(flagged(flag)), KB_CAP_BIT(KB_CAP_BPF), "this flag of maps");
    }
}

/* BTF ------------------------------------------------------------------------------------------*/

/* Adds a type of the kind, with what it refers to; a negative number when libbpf cannot. Type 1 is
 * an int. */
static int add_kind(struct btf *btf, uint32_t kind) {
    switch (kind) { /* one case per kind */
    case BTF_KIND_INT:
        return 1;
    case BTF_KIND_PTR:
        return btf__add_ptr(btf, 1);
    case BTF_KIND_ARRAY:
        return btf__add_array(btf, 1, 1, 2);
    case BTF_KIND_STRUCT:
        return btf__add_struct(btf, "s", 0);
    case BTF_KIND_UNION:
        return btf__add_union(btf, "u", 0);
    case BTF_KIND_ENUM:
        return btf__add_enum(btf, "e", 4) < 0 ? -1 : btf__add_enum_value(btf, "one", 1);
    case BTF_KIND_FWD:
        return btf__add_fwd(btf, "f", BTF_FWD_STRUCT);
    case BTF_KIND_TYPEDEF:
        return btf__add_typedef(btf, "t", 1);
    case BTF_KIND_VOLATILE:
        return btf__add_volatile(btf, 1);
    case BTF_KIND_CONST:
        return btf__add_const(btf, 1);
    case BTF_KIND_RESTRICT: /* of a pointer */
        return btf__add_restrict(btf, btf__add_ptr(btf, 1));
    case BTF_KIND_FUNC:
        return btf__add_func(btf, "f", BTF_FUNC_STATIC, btf__add_func_proto(btf, 1));
    case BTF_KIND_FUNC_PROTO:
        return btf__add_func_proto(btf, 1);
    case BTF_KIND_VAR:
        return btf__add_var(btf, "v", BTF_VAR_GLOBAL_ALLOCATED, 1);
    case BTF_KIND_DATASEC: {
        int var = btf__add_var(btf, "v", BTF_VAR_GLOBAL_ALLOCATED, 1);
        int section = btf__add_datasec(btf, ".data", 4);
        return section < 0 ? section : btf__add_datasec_var_info(btf, var, 0, 4);
    }
    case BTF_KIND_FLOAT:
        return btf__add_float(btf, "float", 4);
    case BTF_KIND_DECL_TAG:
        return btf__add_decl_tag(btf, "tag", btf__add_struct(btf, "s", 0), -1);
    case BTF_KIND_TYPE_TAG: /* pointed to */
        return btf__add_ptr(btf, btf__add_type_tag(btf, "tag", 1));
    default:
        return btf__add_enum64(btf, "e", 8, false) < 0 ? -1 : btf__add_enum64_value(btf, "one", 1);
    }
}

void kb_probe_btf_kind(uint32_t kind, struct kb_feature *feature) {
    struct btf *btf = btf__new_empty();
    uint32_t size;

    if (!btf || btf__add_int(btf, "int", 4, BTF_INT_SIGNED) != 1 || add_kind(btf, kind) < 0) {
        kb_say(feature, KB_UNSURE, ENOMEM, "BTF to ask with could not be made");
    } else {
        const void *raw = btf__raw_data(btf, &size);
        int fd = raw ? bpf_btf_load(raw, size, NULL) : -1;
        kb_answer(feature, done(fd), KB_CAP_BIT(KB_CAP_BPF), "BTF of this kind");
    }
    btf__free(btf);
}

/* Links and kfuncs -----------------------------------------------------------------------------*/

void kb_probe_link_type(uint32_t type, struct kb_feature *feature) {
    static const struct {
        const char *enumerator;
        int attach; /* an attach type whose probe makes such a link; -1: none */
    } links[] = {
        [1] = {"BPF_LINK_TYPE_RAW_TRACEPOINT", -1},
        [2] = {"BPF_LINK_TYPE_TRACING", -1},
        [3] = {"BPF_LINK_TYPE_CGROUP", KB_ATTACH_CGROUP_DEVICE},
        [4] = {"BPF_LINK_TYPE_ITER", -1},
        [5] = {"BPF_LINK_TYPE_NETNS", KB_ATTACH_FLOW_DISSECTOR},
        [6] = {"BPF_LINK_TYPE_XDP", -1},
        [7] = {"BPF_LINK_TYPE_PERF_EVENT", KB_ATTACH_PERF_EVENT},
        [8] = {"BPF_LINK_TYPE_KPROBE_MULTI", KB_ATTACH_TRACE_KPROBE_MULTI},
        [9] = {"BPF_LINK_TYPE_STRUCT_OPS", -1},
        [10] = {"BPF_LINK_TYPE_NETFILTER", KB_ATTACH_NETFILTER},
        [11] = {"BPF_LINK_TYPE_TCX", KB_ATTACH_TCX_INGRESS},
        [12] = {"BPF_LINK_TYPE_UPROBE_MULTI", KB_ATTACH_TRACE_UPROBE_MULTI},
        [13] = {"BPF_LINK_TYPE_NETKIT", KB_ATTACH_NETKIT_PRIMARY},
        [14] = {"BPF_LINK_TYPE_SOCKMAP", -1},
    };

    if (links[type].attach >= 0)
        kb_probe_attach_type((uint32_t)links[type].attach, feature);
    else
        kb_answer_by_enumerator(feature, links[type].enumerator);
}

/* Kernels mark kfuncs by the declaration tag "bpf_kfunc" (pahole 1.26). */
static bool is_tagged(const struct btf *btf, uint32_t func) {
    for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
        const struct btf_type *t = btf__type_by_id(btf, id);
        if (btf_is_decl_tag(t) && t->type == func &&
            strcmp(btf__name_by_offset(btf, t->name_off), "bpf_kfunc") == 0)
            return true;
    }
    return false;
}

void kb_probe_kfunc(const char *name, struct kb_feature *feature) {
    struct btf *btf = kb_vmlinux_btf();
    int id = btf ? btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) : 0;

    if (!btf)
        kb_say(feature, KB_UNSURE, 0,
               "this kernel has no BTF (CONFIG_DEBUG_INFO_BTF), which kfuncs need");
    else if (id < 0)
        kb_say(feature, KB_HAS_NOT, 0, "this kernel's BTF has no function '%s'; a module's may",
               name);
    else if (is_tagged(btf, (uint32_t)id))
        kb_say(feature, KB_HAS, 0, "%s", "");
    else if (btf__find_by_name_kind(btf, "bpf_kfunc", BTF_KIND_DECL_TAG) >= 0)
        kb_say(feature, KB_HAS_NOT, 0, "'%s' is a function of this kernel, but no kfunc", name);
    else
        kb_say(feature, KB_UNSURE, 0,
               "'%s' is a function of this kernel, whose BTF does not say which are kfuncs", name);
    btf__free(btf);
}
