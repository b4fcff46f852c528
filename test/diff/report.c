/* report.c - what a series of programs showed: how many were accepted and the same, why others were
 * not, and what ran in them, as text or as one line of JSON. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include "kinds.h"
#include "report.h"

const char *op_name(uint32_t op) {
    static const char *const names[] = {
#define ROW(form, id, code, src, off, imm, cpu, llvm, ubpf) #form "_" #id,
#include "rows.h"
    };
    return names[op];
}

/* Why no accepted program of ours can run an operation, or NULL when one should. */
static const char *why_never(uint32_t op) {
    switch (eb_insn_rows[op].form) {
    case EB_FORM_CAST_SPACE:
        return "belongs to arenas, which the VM has not";
    case EB_FORM_CALL_KFUNC:
        return "calls kernel functions, which the VM has not";
    case EB_FORM_CALLX:
        return "the verifier refuses it";
    case EB_FORM_LDDW_PSEUDO:
        return "is what a relocated load becomes for the kernel; counted as LDDW_ONLY";
    default:
        return NULL;
    }
}

/* ---- collecting ---- */

/* Reasons that differ only in numbers are one. */
void report_rejection(report *r, const program *p, const char *why) {
    char text[REASON_SIZE];
    uint32_t at = 0;
    r->rejected++;
    r->rejected_of[p->kind]++;
    for (; *why && at + 1 < sizeof text; why++) {
        if (!isdigit((unsigned char)*why))
            text[at++] = *why;
        else if (at == 0 || text[at - 1] != 'N')
            text[at++] = 'N';
    }
    text[at] = 0;
    uint32_t i = 0;
    while (i < r->reason_count && strcmp(r->reasons[i].text, text))
        i++;
    if (i == MOST_REASONS)
        return;
    if (i == r->reason_count)
        memcpy(r->reasons[r->reason_count++].text, text, sizeof text);
    r->reasons[i].count++;
}

void report_program(report *r, const program *p, const coverage *ran) {
    bool seen[MAP_TYPES] = {false};
    r->accepted++;
    r->accepted_of[p->kind]++;
    for (uint32_t i = 0; i < EB_OP_COUNT; i++) {
        r->ops[i] += ran->ops[i] != 0;
        r->executed += ran->ops[i];
    }
    for (uint32_t i = 0; i < DIFF_HELPERS; i++)
        r->helpers[i] += ran->helpers[i] != 0;
    for (uint32_t i = 0; i < p->map_count; i++)
        if (p->maps[i].use == USE_MAP && !p->maps[i].dead && p->maps[i].type < MAP_TYPES)
            seen[p->maps[i].type] = true;
    for (uint32_t i = 0; i < MAP_TYPES; i++)
        r->maps[i] += seen[i];
}

static int by_count(const void *a, const void *b) {
    const reason *x = a, *y = b;
    return x->count < y->count ? 1 : x->count > y->count ? -1 : strcmp(x->text, y->text);
}

static bool is_missing(const report *r, uint32_t op) {
    return !r->ops[op] && !why_never(op);
}

uint32_t report_missing(const report *r) {
    uint32_t missing = 0;
    for (uint32_t op = 0; op < EB_OP_COUNT; op++)
        missing += is_missing(r, op);
    return missing;
}

/* ---- text ---- */

static void print_ops(const report *r) {
    uint32_t ran = 0;
    printf("\noperations, and how many programs ran them:\n");
    for (uint32_t op = 0, column = 0; op < EB_OP_COUNT; op++) {
        if (!r->ops[op])
            continue;
        ran++;
        printf("  %-18s %6u%s", op_name(op), r->ops[op], ++column % 4 ? "" : "\n");
    }
    printf("\n%u of %u operations ran\n", ran, (unsigned)EB_OP_COUNT);
    for (uint32_t op = 0; op < EB_OP_COUNT; op++)
        if (!r->ops[op])
            printf("  not run: %-18s %s\n", op_name(op),
                   why_never(op) ? why_never(op) : "MISSED: the generator should have made it");
}

void report_print(report *r) {
    qsort(r->reasons, r->reason_count, sizeof *r->reasons, by_count);
    printf("accepted by type:\n");
    for (uint32_t i = 0; i < PROG_KINDS; i++)
        if (r->accepted_of[i] + r->rejected_of[i])
            printf("  %-18s %6u of %u\n", prog_types[i].name, r->accepted_of[i],
                   r->accepted_of[i] + r->rejected_of[i]);
    if (r->reason_count)
        printf("\nrejected, and why (N is any number):\n");
    for (uint32_t i = 0; i < r->reason_count && i < 10; i++)
        printf("  %6u  %s\n", r->reasons[i].count, r->reasons[i].text);
    printf("\nmaps, and how many programs had one:\n");
    for (uint32_t i = 0; i < MAP_TYPES; i++)
        if (r->maps[i])
            printf("  %-24s %6u\n", eb_map_type_name(i), r->maps[i]);
    printf("\nhelpers, and how many programs called them:\n");
    for (uint32_t i = 0; i < DIFF_HELPERS; i++)
        if (r->helpers[i])
            printf("  %-24s %6u\n", ebpf_helper_name(i), r->helpers[i]);
    print_ops(r);
}

/* ---- JSON ---- */

/* Texts here are names and the verifier's sentences: quotes and backslashes are all to escape. */
static void json_string(const char *text) {
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < 32 ? ' ' : *text);
    }
    putchar('"');
}

static void json_count(bool *first, const char *name, uint32_t count) {
    printf("%s", *first ? "" : ",");
    json_string(name);
    printf(":%u", count);
    *first = false;
}

void report_json(report *r) {
    qsort(r->reasons, r->reason_count, sizeof *r->reasons, by_count);
    printf("{\"seed\":\"%llu\",\"programs\":%u,\"accepted\":%u,\"rejected\":%u,\"different\":%u,"
           "\"executed\":%llu,\"cpuSeconds\":%.3f",
           (unsigned long long)r->seed, r->accepted + r->rejected, r->accepted, r->rejected,
           r->different, (unsigned long long)r->executed, r->cpu_seconds);
    bool first = true;
    printf(",\"reasons\":{");
    for (uint32_t i = 0; i < r->reason_count && i < 10; i++)
        json_count(&first, r->reasons[i].text, r->reasons[i].count);
    printf("},\"types\":{");
    first = true;
    for (uint32_t i = 0; i < PROG_KINDS; i++)
        if (r->accepted_of[i])
            json_count(&first, prog_types[i].name, r->accepted_of[i]);
    printf("},\"maps\":{");
    first = true;
    for (uint32_t i = 0; i < MAP_TYPES; i++)
        if (r->maps[i])
            json_count(&first, eb_map_type_name(i), r->maps[i]);
    printf("},\"helpers\":{");
    first = true;
    for (uint32_t i = 0; i < DIFF_HELPERS; i++)
        if (r->helpers[i])
            json_count(&first, ebpf_helper_name(i), r->helpers[i]);
    printf("},\"ops\":{");
    first = true;
    for (uint32_t op = 0; op < EB_OP_COUNT; op++)
        if (r->ops[op])
            json_count(&first, op_name(op), r->ops[op]);
    printf("},\"missed\":[");
    first = true;
    for (uint32_t op = 0; op < EB_OP_COUNT; op++)
        if (is_missing(r, op)) {
            printf("%s", first ? "" : ",");
            json_string(op_name(op));
            first = false;
        }
    printf("]}\n");
}
