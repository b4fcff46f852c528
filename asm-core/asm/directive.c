/* directive.c - the directives that GNU as and LLVM share, and ours; one row each. */
#include "asm.h"

/* .nobtf: functions are not to be described, as in an object that was compiled without -g. */
static void run_no_btf(eb_asm *as, int unused) {
    (void)unused;
    as->no_btf = eb_asm_ended(as);
}

static void run_ignored(eb_asm *as, int unused) {
    (void)as; /* .ident and the like say nothing about the bytes */
    (void)unused;
}

/* What follows is no assembly. */
static void run_end(eb_asm *as, int unused) {
    (void)unused;
    as->scanner.at = as->scanner.text.len;
}

static const eb_directive_row directives[] = {
    {".section", eb_run_section, 0, false},
    {".text", eb_run_known_section, 0, false},
    {".data", eb_run_known_section, 1, false},
    {".bss", eb_run_known_section, 2, false},
    {".rodata", eb_run_known_section, 3, false},
    {".pushsection", eb_run_push_section, 0, false},
    {".popsection", eb_run_pop_section, 0, false},
    {".previous", eb_run_previous, 0, false},
    {".subsection", eb_run_subsection, 0, false},
    {".globl", eb_run_bind, EB_STB_GLOBAL, false},
    {".global", eb_run_bind, EB_STB_GLOBAL, false},
    {".weak", eb_run_bind, EB_STB_WEAK, false},
    {".local", eb_run_bind, EB_STB_LOCAL, false},
    {".hidden", eb_run_visibility, EB_STV_HIDDEN, false},
    {".protected", eb_run_visibility, EB_STV_PROTECTED, false},
    {".internal", eb_run_visibility, EB_STV_INTERNAL, false},
    {".type", eb_run_type, 0, false},
    {".size", eb_run_size, 0, false},
    {".set", eb_run_set, 0, false},
    {".equ", eb_run_set, 0, false},
    {".equiv", eb_run_set, 1, false},
    {".rename", eb_run_rename, 0, false},
    {".reloc", eb_run_reloc, 0, false},
    {".comm", eb_run_comm, 0, false},
    {".lcomm", eb_run_comm, 1, false},
    {".p2align", eb_run_align, 1, false},
    {".balign", eb_run_align, 0, false},
    {".align", eb_run_align, 0, false},
    {".byte", eb_run_data, 1, false},
    {".short", eb_run_data, 2, false},
    {".hword", eb_run_data, 2, false},
    {".2byte", eb_run_data, 2, false},
    {".half", eb_run_data, 2, false},
    {".value", eb_run_data, 2, false},
    {".dc.b", eb_run_data, 1, false},
    {".dc.w", eb_run_data, 2, false},
    {".dc.l", eb_run_data, 4, false},
    {".long", eb_run_data, 4, false},
    {".int", eb_run_data, 4, false},
    {".word", eb_run_data, 4, false},
    {".4byte", eb_run_data, 4, false},
    {".quad", eb_run_data, 8, false},
    {".dword", eb_run_data, 8, false},
    {".xword", eb_run_data, 8, false},
    {".8byte", eb_run_data, 8, false},
    {".uleb128", eb_run_leb, 0, false},
    {".sleb128", eb_run_leb, 1, false},
    {".ascii", eb_run_ascii, 0, false},
    {".asciz", eb_run_ascii, 1, false},
    {".string", eb_run_ascii, 1, false},
    {".zero", eb_run_zero, 0, false},
    {".skip", eb_run_zero, 0, false},
    {".space", eb_run_zero, 0, false},
    {".fill", eb_run_fill, 0, false},
    {".org", eb_run_org, 0, false},
    {".if", eb_run_if, EB_IF_NE, false},
    {".ifne", eb_run_if, EB_IF_NE, false},
    {".ifeq", eb_run_if, EB_IF_EQ, false},
    {".ifge", eb_run_if, EB_IF_GE, false},
    {".ifgt", eb_run_if, EB_IF_GT, false},
    {".ifle", eb_run_if, EB_IF_LE, false},
    {".iflt", eb_run_if, EB_IF_LT, false},
    {".ifdef", eb_run_if, EB_IF_DEF, false},
    {".ifndef", eb_run_if, EB_IF_NDEF, false},
    {".ifnotdef", eb_run_if, EB_IF_NDEF, false},
    {".ifb", eb_run_if_text, EB_IF_BLANK, true},
    {".ifnb", eb_run_if_text, EB_IF_NBLANK, true},
    {".ifc", eb_run_if_text, EB_IF_SAME, true},
    {".ifnc", eb_run_if_text, EB_IF_NSAME, true},
    {".ifeqs", eb_run_if_text, EB_IF_SAME, true},
    {".ifnes", eb_run_if_text, EB_IF_NSAME, true},
    {".elseif", eb_run_elseif, 0, false},
    {".else", eb_run_else, 0, false},
    {".endif", eb_run_endif, 0, false},
    {".error", eb_run_error, EB_DIAG_USER_ERROR, false},
    {".err", eb_run_error, EB_DIAG_USER_ERROR, false},
    {".warning", eb_run_error, EB_DIAG_USER_WARNING, false},
    {".macro", eb_run_macro, 0, true},
    {".endm", eb_run_stray_end, 1, true},
    {".endmacro", eb_run_stray_end, 1, true},
    {".exitm", eb_run_exit, 0, true},
    {".purgem", eb_run_purge, 0, false},
    {".rept", eb_run_rept, 0, false},
    {".rep", eb_run_rept, 0, false},
    {".irp", eb_run_irp, 0, true},
    {".irpc", eb_run_irp, 1, true},
    {".endr", eb_run_stray_end, 0, true},
    {".file", eb_run_file, 0, true},
    {".loc", eb_run_loc, 0, false},
    {".map", eb_run_map, 0, false},
    {".struct", eb_run_struct, 0, false},
    {".field", eb_run_field, 0, false},
    {".ends", eb_run_ends, 0, false},
    {".nobtf", run_no_btf, 0, false},
    {".ident", run_ignored, 0, true},
    {".addrsig", run_ignored, 0, true},
    {".addrsig_sym", run_ignored, 0, true},
    {".end", run_end, 0, true},
    {".extern", run_ignored, 0, true},
    {".symver", run_ignored, 0, true},
    {".print", run_ignored, 0, true},
    {".att_syntax", run_ignored, 0, true},
};

/* .cfi_startproc and its like: unwinding is not for eBPF. */
static const eb_directive_row unwinding = {".cfi_...", run_ignored, 0, true};

void eb_asm_directives(eb_asm *as) {
    bool is_new;
    for (uint32_t i = 0; i < sizeof directives / sizeof *directives; i++)
        *eb_map_enter(&as->directives, eb_str_from(directives[i].name), &is_new) = i;
}

const eb_directive_row *eb_asm_directive_of(const eb_asm *as, const eb_token *token) {
    const uint32_t *number = eb_map_find_hashed(&as->directives, token->text, token->hash);
    if (number)
        return &directives[*number];
    return eb_str_starts(token->text, ".cfi_") ? &unwinding : NULL;
}

void eb_asm_directive(eb_asm *as) {
    const eb_directive_row *row = as->directive;
    as->at++;
    row->run(as, row->arg);
}

void eb_asm_unknown_directive(eb_asm *as) {
    const eb_token *token = eb_asm_peek(as);
    eb_str near = eb_nearest(&as->directives, token->text);
    eb_diag *diag = eb_diag_add(as->ctx, EB_DIAG_BAD_DIRECTIVE, token->lo, token->hi,
                                (int)token->text.len, token->text.at);
    if (near.len)
        eb_diag_note(as->ctx, diag, 0, 0, "did you mean '%.*s'?", (int)near.len, near.at);
}
