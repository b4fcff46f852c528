/* place.c - the line of C that an instruction comes from.
 *
 * From the object when it is given: its .BTF.ext knows each instruction of its sections, and libbpf
 * puts the program in front and behind it each function of it at the first call, depth first. From
 * the log otherwise: the verifier writes a line of C in front of its first instruction, but not
 * again when the last one that it wrote was the same. At level 1 that last one may have been cut
 * out with a path that went well, so behind "from 5 to 9:" without a line nothing is known, unless
 * the same instruction was seen before. Source: verbose_linfo in kernel/bpf/log.c; libbpf.c,
 * bpf_object__reloc_code. */
#include "btf_ext.h"
#include "log.h"

enum { CALL_CODE = 0x85, LOAD64_CODE = 0x18, PSEUDO_CALL = 1 };

/* ---- from the log ---- */

static bool goes_on_elsewhere(const eb_log_line *line) {
    return line->kind == EBPF_LOG_FROM || (line->kind == EBPF_LOG_INSN && line->restart);
}

void eb_log_map_sources(ebpf_log *log) {
    uint32_t source = 0;
    log->sources = eb_alloc_array(&log->ctx->arena, log->insns, sizeof *log->sources);
    for (uint32_t i = 0; i < log->lines.len; i++) {
        const eb_log_line *line = &log->lines.at[i];
        if (line->kind == EBPF_LOG_SOURCE)
            source = i + 1;
        if (line->kind == EBPF_LOG_INSN && source)
            log->sources[line->insn] = source;
        if (goes_on_elsewhere(line) && !log->every_path)
            source = 0;
    }
}

static bool place_of_comment(const ebpf_log *log, uint32_t line, eb_log_place *out) {
    const eb_log_line *source = &log->lines.at[line];
    *out = (eb_log_place){.file = source->file, .text = source->text, .line = source->number};
    return true;
}

/* ---- from the object ---- */

static const eb_func *func_at(const ebpf_object *obj, uint32_t section, uint64_t offset) {
    for (uint32_t i = 0; i < obj->funcs.len; i++) {
        const eb_func *func = &obj->funcs.at[i];
        if (func->section == section && offset >= func->offset &&
            offset - func->offset < func->size)
            return func;
    }
    return NULL;
}

static const eb_reloc *reloc_at(const eb_section *section, uint64_t offset) {
    for (uint32_t i = 0; i < section->relocs.len; i++)
        if (section->relocs.at[i].offset == offset)
            return &section->relocs.at[i];
    return NULL;
}

/* The function that the instruction at `offset` calls or takes the address of, or NULL. */
static const eb_func *target_of(const ebpf_object *obj, uint32_t section, uint64_t offset) {
    const eb_section *from = &obj->sections.at[section];
    const uint8_t *insn = from->bytes.at + offset;
    int32_t imm = (int32_t)eb_get32(insn + 4, obj->big);
    unsigned src = obj->big ? insn[1] & 15u : insn[1] >> 4;
    const eb_reloc *reloc;
    if (insn[0] != LOAD64_CODE && (insn[0] != CALL_CODE || src != PSEUDO_CALL))
        return NULL;
    reloc = reloc_at(from, offset);
    if (reloc) {
        const eb_symbol *symbol = &obj->symbols.at[reloc->symbol];
        int64_t more = insn[0] == LOAD64_CODE ? imm : ((int64_t)imm + 1) * 8;
        if (symbol->section >= obj->sections.len)
            return NULL;
        return func_at(obj, symbol->section, symbol->value + (uint64_t)more);
    }
    return insn[0] == CALL_CODE ? func_at(obj, section, offset + 8 + (uint64_t)((int64_t)imm * 8))
                                : NULL;
}

static bool has_part(const ebpf_log *log, const eb_func *func) {
    for (uint32_t i = 0; i < log->parts.len; i++)
        if (log->parts.at[i].func == func)
            return true;
    return false;
}

typedef struct visit {
    const eb_func *func;
    uint64_t at;
} visit;

/* The program's functions in the order in which libbpf appends them. */
static void collect_parts(ebpf_log *log, const eb_func *main) {
    const ebpf_object *obj = log->obj;
    EB_VEC(visit) stack = {0};
    uint32_t next = 0;
    *EB_PUSH(&log->ctx->arena, &stack) = (visit){main, 0};
    *EB_PUSH(&log->ctx->arena, &log->parts) = (eb_log_part){main, 0};
    next = (uint32_t)(main->size / 8);
    while (stack.len) {
        visit *v = &stack.at[stack.len - 1];
        const eb_section *section = &obj->sections.at[v->func->section];
        const eb_func *target;
        if (v->at + 8 > v->func->size || v->func->offset + v->at + 8 > section->bytes.len) {
            stack.len--;
            continue;
        }
        target = target_of(obj, v->func->section, v->func->offset + v->at);
        v->at += section->bytes.at[v->func->offset + v->at] == LOAD64_CODE ? 16 : 8;
        if (!target || has_part(log, target))
            continue;
        *EB_PUSH(&log->ctx->arena, &log->parts) = (eb_log_part){target, next};
        next += (uint32_t)(target->size / 8);
        *EB_PUSH(&log->ctx->arena, &stack) = (visit){target, 0};
    }
}

/* The function of that name, or without a name the only program. */
static const eb_func *find_program(const ebpf_object *obj, eb_str name) {
    const eb_func *found = NULL;
    for (uint32_t i = 0; i < obj->funcs.len; i++) {
        const eb_func *func = &obj->funcs.at[i];
        if (name.len ? !eb_str_eq(func->name, name) : !func->program)
            continue;
        if (found)
            return name.len ? found : NULL;
        found = func;
    }
    return found;
}

int eb_log_set_object(ebpf_log *log, const ebpf_object *obj, eb_str program) {
    const eb_func *func = find_program(obj, program.len ? program : log->program);
    if (!func)
        return EBPF_E_ARG;
    log->obj = obj;
    log->parts.len = 0;
    collect_parts(log, func);
    return EBPF_OK;
}

static bool place_in_object(const ebpf_log *log, int32_t insn, eb_log_place *out) {
    for (uint32_t i = 0; i < log->parts.len; i++) {
        const eb_log_part *part = &log->parts.at[i];
        uint64_t offset = ((uint64_t)(uint32_t)insn - part->first) * 8;
        if ((uint32_t)insn < part->first || offset >= part->func->size)
            continue;
        const eb_line *line =
            eb_line_of(&log->obj->sections.at[part->func->section], part->func->offset + offset);
        if (!line || (!line->line && !line->text.len))
            return false;
        *out = (eb_log_place){line->file, eb_line_text(line), part->func->name, line->line,
                              line->column};
        return true;
    }
    return false;
}

/* ---- both ---- */

bool eb_log_place_of_insn(const ebpf_log *log, int32_t insn, eb_log_place *out) {
    if (insn < 0)
        return false;
    if (place_in_object(log, insn, out))
        return true;
    return (uint32_t)insn < log->insns && log->sources[insn] &&
           place_of_comment(log, log->sources[insn] - 1, out);
}

bool eb_log_place_of(const ebpf_log *log, int32_t line, eb_log_place *out) {
    if (line < 0)
        return false;
    if (place_in_object(log, log->lines.at[line].insn, out))
        return true;
    for (int32_t i = line; i >= 0; i--) {
        const eb_log_line *l = &log->lines.at[i];
        if (l->kind == EBPF_LOG_SOURCE)
            return place_of_comment(log, (uint32_t)i, out);
        if (i < line && goes_on_elsewhere(l) && !log->every_path)
            return eb_log_place_of_insn(log, log->lines.at[line].insn, out);
    }
    return false;
}
