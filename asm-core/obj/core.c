/* core.c - relocating an object against the BTF of a target; see core.h.
 *
 * For each record: its path through the object's own types (core_path.c); the target's types with
 * the same essential name (candidates); those in which the path is found (core_match.c); the value
 * before and after, which all of them must agree on; the instruction. The candidates of a type are
 * looked for once, and those that one record rules out are not asked again by the next, which is
 * why order matters and is that of .BTF.ext.
 * Source: libbpf's relo_core.c and bpf_object__relocate_core. */
#include "core.h"

#include "btf_ext.h"
#include "core_path.h"
#include "ebpf_insn.h"

/* Comparisons that a request may take, and more for each record. The most that one of the kernel's
 * selftests takes in all is less than 30,000; a million takes a tenth of a second. */
enum { EFFORT = 1000000, EFFORT_EACH = 2000 };

typedef struct candidate {
    uint32_t target, id;
} candidate;

typedef EB_VEC(candidate) candidates;

typedef struct core {
    ebpf_object *obj;
    const eb_core_target *targets;
    uint32_t count;
    eb_core_types local, *types; /* of each target */
    candidates **known;          /* by type of the object */
    eb_core_job job;
} core;

/* What is to be put into an instruction. */
typedef struct answer {
    uint64_t from, to;
    bool poison;
    bool check;    /* the instruction must have `from` */
    bool bad_size; /* the instruction must not be a load or store */
    uint32_t from_size, to_size, from_type, to_type;
} answer;

/* ---- candidates ---- */

/* A pointer has the size of a long, which BTF does have; 8 bytes when it does not. */
static uint32_t pointer_size(const eb_btf *btf) {
    static const char *const names[] = {"long", "long int", "unsigned long", "long unsigned int"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        eb_btf_type type = eb_btf_at(btf, eb_btf_find(btf, EB_BTF_INT, eb_str_from(names[i])));
        if (type.kind == EB_BTF_INT && (type.size_or_type == 4 || type.size_or_type == 8))
            return type.size_or_type;
    }
    return 8;
}

static void add_candidates(core *c, candidates *found, uint32_t kinds, eb_str essential,
                           uint32_t target) {
    const eb_btf *btf = c->targets[target].btf;
    for (uint32_t id = 0; (id = eb_btf_next_flavour(btf, kinds, essential, id)) != 0;)
        *EB_PUSH(c->job.arena, found) = (candidate){target, id};
}

/* Those of the first target, or else those of all the others. */
static candidates *candidates_of(core *c, uint32_t id) {
    if (c->known[id])
        return c->known[id];
    candidates *found = c->known[id] = eb_alloc(c->job.arena, sizeof *found);
    eb_btf_type type = eb_btf_at(c->local.btf, id);
    uint32_t kinds = eb_core_is_enum(type.kind) ? EB_BTF_IS(EB_BTF_ENUM) | EB_BTF_IS(EB_BTF_ENUM64)
                                                : EB_BTF_IS(type.kind);
    eb_str essential = eb_btf_essential(type.name);
    add_candidates(c, found, kinds, essential, 0);
    if (!found->len)
        for (uint32_t i = 1; i < c->count; i++)
            add_candidates(c, found, kinds, essential, i);
    return found;
}

/* ---- values ---- */

/* Where a bit-field is read from: the smallest unit, from that of its type up, that holds it. */
static eb_core_match bitfield_unit(eb_core_job *job, uint32_t at, uint32_t bits,
                                   const eb_btf_type *type, uint32_t *offset, uint32_t *size) {
    *size = type->size_or_type;
    if ((type->kind != EB_BTF_INT && !eb_core_is_enum(type->kind)) || !*size)
        return eb_core_because(job, EB_CORE_ERROR, "it is a bit-field of no integer");
    for (;; *size *= 2) {
        *offset = at / 8 / *size * *size;
        if (at + bits - *offset * 8 <= *size * 8)
            return EB_CORE_YES;
        if (*size >= 8)
            return eb_core_because(job, EB_CORE_ERROR,
                                   "it is a bit-field that no load of 8 bytes holds");
    }
}

static bool is_signed(const eb_btf_type *type) {
    return eb_core_is_enum(type->kind)
               ? type->kind_flag
               : type->kind == EB_BTF_INT && (type->extra >> 24 & EB_BTF_SIGNED);
}

/* What one load or store of a field takes: of arrays an element, however many there are. */
static uint32_t load_size(const eb_core_types *types, uint32_t id) {
    eb_btf_type type = eb_btf_at(types->btf, id);
    while (type.kind == EB_BTF_ARRAY) {
        id = eb_btf_strip(types->btf, type.size_or_type);
        type = eb_btf_at(types->btf, id);
    }
    return (uint32_t)eb_core_size(types, id);
}

typedef struct value {
    uint64_t number;
    bool poison, check;
    uint32_t size, type; /* of the field, where a load or store of it may change its size */
} value;

static eb_core_match element_value(eb_core_job *job, const eb_core_path *path, value *v) {
    const eb_core_step *step = &path->steps[path->count - 1];
    int64_t size = eb_core_size(path->types, step->type);
    if (size < 0)
        return eb_core_because(job, EB_CORE_ERROR, "it has no size");
    if (path->kind == EB_CORE_FIELD_BYTE_OFFSET) {
        v->number = path->bit_offset / 8;
        v->size = load_size(path->types, step->type);
        v->type = step->type;
    } else if (path->kind == EB_CORE_FIELD_BYTE_SIZE) {
        v->number = (uint64_t)size;
    } else {
        return eb_core_because(job, EB_CORE_ERROR, "it asks for %s of an element of an array",
                               eb_core_kind_name(path->kind));
    }
    return EB_CORE_YES;
}

static eb_core_match member_value(core *c, const eb_core_path *path, value *v) {
    const eb_btf *btf = path->types->btf;
    const eb_core_step *step = &path->steps[path->count - 1];
    eb_btf_type record = eb_btf_at(btf, step->type);
    eb_btf_member m = eb_btf_member_at(btf, &record, step->index);
    uint32_t id = eb_btf_strip(btf, m.type), bits = m.bits, at = path->bit_offset;
    uint32_t offset = 0, size = 0;
    eb_btf_type type = eb_btf_at(btf, id);
    if (bits) {
        if (bitfield_unit(&c->job, at, bits, &type, &offset, &size) != EB_CORE_YES)
            return EB_CORE_ERROR;
    } else {
        int64_t whole = eb_core_size(path->types, id);
        if (whole < 0)
            return eb_core_because(&c->job, EB_CORE_ERROR, "it has no size");
        size = (uint32_t)whole;
        offset = at / 8;
        bits = size * 8;
    }
    v->check = !m.bits; /* compilers place bit-fields differently */
    switch (path->kind) {
    case EB_CORE_FIELD_BYTE_OFFSET:
        v->number = offset;
        v->size = m.bits ? 0 : load_size(path->types, id);
        v->type = m.bits ? 0 : id;
        break;
    case EB_CORE_FIELD_BYTE_SIZE:
        v->number = size;
        break;
    case EB_CORE_FIELD_SIGNED:
        v->number = is_signed(&type);
        v->check = true;
        break;
    case EB_CORE_FIELD_LSHIFT_U64:
        v->number = c->obj->big ? (uint64_t)(uint32_t)((8 - size) * 8 + (at - offset * 8))
                                : (uint64_t)(uint32_t)(64 - (at + bits - offset * 8));
        break;
    default: /* EB_CORE_FIELD_RSHIFT_U64 */
        v->number = (uint32_t)(64 - bits);
        v->check = true;
    }
    return EB_CORE_YES;
}

static eb_core_match type_value(eb_core_job *job, const eb_core_path *path, value *v) {
    int64_t size = 1;
    if (path->kind == EB_CORE_TYPE_ID_TARGET) {
        size = path->root;
        v->check = false; /* linkers renumber types */
    } else if (path->kind == EB_CORE_TYPE_SIZE) {
        size = eb_core_size(path->types, path->root);
    }
    v->number = (uint64_t)size;
    return size < 0 ? eb_core_because(job, EB_CORE_ERROR, "it has no size") : EB_CORE_YES;
}

static uint64_t enumerator_value(const eb_core_path *path) {
    const eb_core_step *step = &path->steps[0];
    eb_btf_type type = eb_btf_at(path->types->btf, step->type);
    uint64_t number = eb_btf_member_at(path->types->btf, &type, step->index).value;
    /* As libbpf has it: an enum's values are signed, whatever the enum is. */
    return type.kind == EB_BTF_ENUM ? (uint64_t)(int64_t)(int32_t)number : number;
}

/* What `path` says for its kind; `path` NULL means that the target does not have it. */
static eb_core_match value_of(core *c, uint32_t kind, const eb_core_path *path, value *v) {
    *v = (value){.check = true};
    switch (kind) {
    case EB_CORE_FIELD_EXISTS:
    case EB_CORE_ENUMVAL_EXISTS:
    case EB_CORE_TYPE_EXISTS:
    case EB_CORE_TYPE_MATCHES:
        v->number = path != NULL;
        return EB_CORE_YES;
    case EB_CORE_TYPE_ID_TARGET:
    case EB_CORE_TYPE_SIZE:
        return path ? type_value(&c->job, path, v) : EB_CORE_YES; /* 0: no such type */
    default:
        break;
    }
    v->poison = !path;
    if (!path)
        return EB_CORE_YES;
    if (kind == EB_CORE_ENUMVAL_VALUE) {
        v->number = enumerator_value(path);
        return EB_CORE_YES;
    }
    return path->steps[path->count - 1].named ? member_value(c, path, v)
                                              : element_value(&c->job, path, v);
}

/* May a load or store become one of another size? Only where the upper bits are zeroes anyway. */
static bool may_resize(const eb_btf_type *a, const eb_btf_type *b) {
    if (a->kind == EB_BTF_PTR && b->kind == EB_BTF_PTR)
        return true;
    return a->kind == EB_BTF_INT && b->kind == EB_BTF_INT && a->extra >> 24 != EB_BTF_SIGNED &&
           b->extra >> 24 != EB_BTF_SIGNED;
}

static eb_core_match answer_of(core *c, const eb_core_path *local, const eb_core_path *target,
                               answer *out) {
    value from, to;
    if (value_of(c, local->kind, local, &from) != EB_CORE_YES ||
        value_of(c, local->kind, target, &to) != EB_CORE_YES)
        return EB_CORE_ERROR;
    *out = (answer){.from = from.number,
                    .to = to.number,
                    .poison = to.poison,
                    .check = from.check,
                    .from_size = from.size,
                    .to_size = to.size};
    if (!to.poison && from.size != to.size) {
        eb_btf_type a = eb_btf_at(local->types->btf, from.type);
        eb_btf_type b = eb_btf_at(target->types->btf, to.type);
        out->bad_size = !may_resize(&a, &b);
    }
    return EB_CORE_YES;
}

/* ---- instructions ---- */

enum {
    CLASS = 7,
    LD = 0,
    LDX = 1,
    ST = 2,
    STX = 3,
    ALU32 = 4,
    ALU64 = 7,
    SOURCE_X = 8,
    SIZE = 0x18
};

static uint32_t bytes_of_size(uint8_t code) {
    static const uint8_t bytes[] = {4, 2, 1, 8};
    return bytes[(code & SIZE) >> 3];
}

static int size_of_bytes(uint32_t bytes) {
    return bytes == 8 ? 0x18 : bytes == 4 ? 0 : bytes == 2 ? 0x08 : bytes == 1 ? 0x10 : -1;
}

static eb_core_match unexpected(eb_core_job *job, int64_t is, uint64_t from) {
    return eb_core_because(
        job, EB_CORE_ERROR,
        "the instruction has the value %lld where the program's own BTF says %lld", (long long)is,
        (long long)from);
}

/* NO: the instruction would load or store garbage, and is to be poisoned. */
static eb_core_match patch_memory(eb_core_job *job, ebpf_insn *insn, const answer *a) {
    int size = size_of_bytes(a->to_size);
    if (a->check && (uint64_t)(int64_t)insn->off != a->from)
        return unexpected(job, insn->off, a->from);
    if (a->to > INT16_MAX)
        return eb_core_because(job, EB_CORE_ERROR, "offset %llu does not fit into its 16 bits",
                               (unsigned long long)a->to);
    if (a->bad_size)
        return eb_core_because(job, EB_CORE_NO,
                               "the field has %u bytes there, not %u, and is not of the unsigned "
                               "integers and pointers that can be loaded and stored by either size",
                               a->to_size, a->from_size);
    insn->off = (int16_t)a->to;
    if (a->from_size == a->to_size)
        return EB_CORE_YES;
    if (bytes_of_size(insn->code) != a->from_size)
        return eb_core_because(job, EB_CORE_ERROR,
                               "the instruction takes %u bytes of a field of %u bytes",
                               bytes_of_size(insn->code), a->from_size);
    if (size < 0)
        return eb_core_because(job, EB_CORE_ERROR, "no load or store takes the field's %u bytes",
                               a->to_size);
    insn->code = (uint8_t)((insn->code & ~SIZE) | size);
    return EB_CORE_YES;
}

static eb_core_match patch(eb_core_job *job, ebpf_insn *insn, const answer *a) {
    bool wide = insn->slots == 2;
    switch (insn->code & CLASS) {
    case LDX:
    case ST:
    case STX:
        return patch_memory(job, insn, a);
    case LD:
        if (!wide || insn->src || insn->off)
            break;
        if (a->check && (uint64_t)insn->imm != a->from)
            return unexpected(job, insn->imm, a->from);
        insn->imm = (int64_t)a->to;
        return EB_CORE_YES;
    case ALU32:
    case ALU64:
        if (insn->code & SOURCE_X)
            break;
        if (a->check && (uint64_t)insn->imm != a->from)
            return unexpected(job, insn->imm, a->from);
        insn->imm = (int32_t)a->to;
        return EB_CORE_YES;
    default:
        break;
    }
    return eb_core_because(job, EB_CORE_ERROR,
                           "the instruction (code 0x%02x) has no value that can be relocated",
                           insn->code);
}

/* Put the answer into the instruction; EB_CORE_NO has poisoned it. */
static eb_core_match apply(core *c, eb_core_result *result, const answer *a) {
    eb_section *section = &c->obj->sections.at[result->section];
    int endian = c->obj->big ? EBPF_BIG : EBPF_LITTLE;
    ebpf_insn insn, poison = {.code = 0x85, .slots = 1, .imm = EB_CORE_POISON};
    eb_core_match match = EB_CORE_NO;
    if (!result->slots)
        return eb_core_because(&c->job, EB_CORE_ERROR, "there is no whole instruction");
    uint8_t *at = section->bytes.at + result->relo.offset;
    ebpf_insn_decode(at, section->bytes.len - result->relo.offset, endian, &insn);
    if (!a->poison && insn.slots == 2 && (at[8] | at[9] | at[10] | at[11]))
        return eb_core_because(&c->job, EB_CORE_ERROR, "the instruction's second slot is damaged");
    if (!a->poison)
        match = patch(&c->job, &insn, a);
    if (match == EB_CORE_YES)
        ebpf_insn_encode(&insn, endian, at);
    for (uint32_t i = 0; match == EB_CORE_NO && i < insn.slots; i++)
        ebpf_insn_encode(&poison, endian, at + (size_t)i * EBPF_SLOT);
    return match;
}

/* ---- one record ---- */

static eb_str spell(core *c, const eb_core_path *path) {
    eb_buf text = {.arena = c->job.arena};
    eb_core_spell_path(path, &text);
    return (eb_str){(const char *)text.at, text.len};
}

/* Where it was looked for in vain. */
static void nothing_found(core *c, const eb_core_path *local, const candidates *among) {
    eb_core_job *job = &c->job;
    eb_buf text = {.arena = job->arena};
    eb_str why = job->why;
    if (!among->len) {
        eb_buf_str(&text, EB_STR("there is no "));
        eb_btf_spell(c->local.btf, local->root, &text);
        eb_buf_str(&text, EB_STR(" in"));
        for (uint32_t i = 0; i < c->count; i++)
            eb_buf_fmt(&text, "%s%.*s", i ? ", " : " ", (int)c->targets[i].name.len,
                       c->targets[i].name.at);
    } else {
        const candidate *last = &among->at[among->len - 1];
        eb_str in = c->targets[last->target].name;
        eb_btf_spell(c->targets[last->target].btf, last->id, &text);
        eb_buf_fmt(&text, " of %.*s: %.*s", (int)in.len, in.at, (int)why.len, why.at);
        if (among->len > 1)
            eb_buf_fmt(&text, " (nor have %u others of that name)", among->len - 1);
    }
    job->why = (eb_str){(const char *)text.at, text.len};
}

static eb_str type_text(core *c, const eb_core_path *path) {
    eb_buf text = {.arena = c->job.arena};
    eb_str in = c->targets[path->types - c->types].name;
    eb_btf_spell(path->types->btf, path->root, &text);
    eb_buf_fmt(&text, " [%u] of %.*s", path->root, (int)in.len, in.at);
    return (eb_str){(const char *)text.at, text.len};
}

static eb_core_match disagree(core *c, const eb_core_path *a, const eb_core_path *b,
                              const answer *x, const answer *y) {
    eb_str one = type_text(c, a), other = type_text(c, b);
    bool places = a->bit_offset != b->bit_offset;
    return eb_core_because(
        &c->job, EB_CORE_ERROR, "%.*s and %.*s both have it, %s %lld and %lld", (int)one.len,
        one.at, (int)other.len, other.at, places ? "at bits" : "with the values",
        (long long)(places ? a->bit_offset : x->to), (long long)(places ? b->bit_offset : y->to));
}

/* Ask every candidate; those that have it must agree, and are the candidates from now on. */
static eb_core_match ask(core *c, const eb_core_path *local, candidates *among, answer *out,
                         eb_core_result *result) {
    eb_core_path paths[2], *path = &paths[0];
    uint32_t kept = 0;
    answer a;
    for (uint32_t i = 0; i < among->len; i++) {
        candidate one = among->at[i];
        eb_core_path *here = &paths[kept != 0];
        eb_core_match match = eb_core_find(&c->job, local, &c->types[one.target], one.id, here);
        if (match == EB_CORE_NO)
            continue;
        if (match == EB_CORE_ERROR || answer_of(c, local, here, &a) != EB_CORE_YES)
            return EB_CORE_ERROR;
        if (kept &&
            (here->bit_offset != path->bit_offset || a.poison != out->poison || a.to != out->to))
            return disagree(c, path, here, out, &a);
        if (!kept)
            *out = a;
        among->at[kept++] = one;
    }
    if (kept) {
        among->len = kept;
        result->target = among->at[0].target;
        result->found = path->root;
        result->path = spell(c, path);
        return EB_CORE_YES;
    }
    nothing_found(c, local, among);
    result->reason = c->job.why;
    return answer_of(c, local, NULL, out);
}

static eb_core_match resolve(core *c, eb_core_result *result, answer *out) {
    eb_core_path local;
    const eb_core_relo *relo = &result->relo;
    if (eb_core_parse(&c->job, &c->local, relo, &local) != EB_CORE_YES)
        return EB_CORE_ERROR;
    if (relo->kind == EB_CORE_TYPE_ID_LOCAL) {
        *out = (answer){.from = relo->type, .to = relo->type};
        return EB_CORE_YES;
    }
    if (!eb_btf_name(c->local.btf, relo->type).len)
        return eb_core_because(&c->job, EB_CORE_ERROR,
                               "its type has no name to look for in the target");
    return ask(c, &local, candidates_of(c, relo->type), out, result);
}

static void report(core *c, const eb_core_result *result) {
    ebpf_object *obj = c->obj;
    const eb_section *section = &obj->sections.at[result->section];
    const eb_line *line = eb_line_of(section, result->relo.offset);
    eb_buf what = {.arena = &obj->ctx->arena};
    eb_core_spell(obj->btf, &result->relo, &what);
    eb_diag *diag = eb_diag_input(
        obj->ctx, EB_DIAG_CORE_RELO, obj->name, (int32_t)(result->relo.offset / EBPF_SLOT),
        eb_core_kind_name(result->relo.kind), (int)what.len, (const char *)what.at,
        (int)result->reason.len, result->reason.at);
    if (!line) {
        eb_diag_note(obj->ctx, diag, 0, 0, "it is in section '%.*s'", (int)section->name.len,
                     section->name.at);
        return;
    }
    eb_str text = eb_line_text(line);
    eb_diag_note(obj->ctx, diag, 0, 0, "it is in section '%.*s', from %.*s:%u:%u: %.*s",
                 (int)section->name.len, section->name.at, (int)line->file.len, line->file.at,
                 line->line, line->column, (int)text.len, text.at);
}

static uint32_t slots_at(const ebpf_object *obj, uint32_t section, uint32_t offset) {
    const eb_buf *code = &obj->sections.at[section].bytes;
    ebpf_insn insn;
    if (offset >= code->len) /* of a section without contents */
        return 0;
    return ebpf_insn_decode(code->at + offset, code->len - offset,
                            obj->big ? EBPF_BIG : EBPF_LITTLE, &insn);
}

static void relocate(core *c, uint32_t section, const eb_core_relo *relo, eb_core_result *result) {
    answer a = {0};
    *result = (eb_core_result){
        .section = section, .relo = *relo, .slots = slots_at(c->obj, section, relo->offset)};
    c->job.why = (eb_str){0};
    eb_core_match match = resolve(c, result, &a);
    if (match == EB_CORE_YES)
        match = apply(c, result, &a);
    result->from = a.from;
    result->to = a.to;
    result->outcome = match == EB_CORE_YES  ? EB_CORE_RESOLVED
                      : match == EB_CORE_NO ? EB_CORE_POISONED
                                            : EB_CORE_FAILED;
    if (match == EB_CORE_ERROR || (match == EB_CORE_NO && a.bad_size))
        result->reason = c->job.why;
}

/* ---- all of them ---- */

/* Keep the records that failed, and write .BTF.ext without the others; it takes no relocations of
 * its own then, as its offsets are final. */
static void drop_answered(ebpf_object *obj, const eb_core_results *results) {
    eb_buf ext = {.arena = &obj->ctx->arena};
    for (uint32_t i = 0; i < obj->ext_order.len; i++)
        obj->sections.at[obj->ext_order.at[i]].core.len = 0;
    for (uint32_t i = 0; i < results->len; i++)
        if (results->at[i].outcome == EB_CORE_FAILED)
            *EB_PUSH(&obj->ctx->arena, &obj->sections.at[results->at[i].section].core) =
                results->at[i].relo;
    eb_btf_ext_write(obj, obj->btf, &ext);
    eb_section *section = &obj->sections.at[eb_object_find_section(obj, EB_STR(".BTF.ext"))];
    section->bytes = ext;
    section->size = ext.len;
    section->relocs.len = 0;
}

int eb_core_relocate(ebpf_object *obj, const eb_core_target *targets, uint32_t count,
                     eb_core_results *out) {
    eb_arena *arena = &obj->ctx->arena;
    core c = {.obj = obj,
              .targets = targets,
              .count = count,
              .local = {obj->btf, 8},
              .job = {.arena = arena, .effort = EFFORT}};
    for (uint32_t i = 0; i < obj->ext_order.len; i++)
        c.job.effort += (uint64_t)EFFORT_EACH * obj->sections.at[obj->ext_order.at[i]].core.len;
    int status = EBPF_OK;
    if (!obj->btf || !obj->ext_order.len)
        return EBPF_OK;
    c.known = eb_alloc_array(arena, obj->btf->count, sizeof *c.known);
    c.types = eb_alloc_array(arena, count, sizeof *c.types);
    for (uint32_t i = 0; i < count; i++)
        c.types[i] = (eb_core_types){targets[i].btf, pointer_size(targets[i].btf)};
    for (uint32_t i = 0; i < obj->ext_order.len; i++) {
        uint32_t number = obj->ext_order.at[i];
        const eb_section *section = &obj->sections.at[number];
        for (uint32_t r = 0; r < section->core.len; r++) {
            eb_core_result *result = EB_PUSH(arena, out);
            relocate(&c, number, &section->core.at[r], result);
            if (result->outcome == EB_CORE_FAILED) {
                report(&c, result);
                status = EBPF_E_INPUT;
            }
        }
    }
    if (out->len)
        drop_answered(obj, out);
    return status;
}
