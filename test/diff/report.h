/* report.h - what a series of programs showed; see report.c. */
#ifndef REPORT_H
#define REPORT_H

#include <stdio.h>

#include "diff.h"
#include "ebpf_vm.h"

enum { REASON_SIZE = 160, MOST_REASONS = 64, MAP_TYPES = 64 };

typedef struct reason {
    char text[REASON_SIZE];
    uint32_t count;
} reason;

typedef struct report {
    uint64_t seed; /* of the first program */
    uint32_t accepted, rejected, different;
    uint32_t accepted_of[PROG_KINDS], rejected_of[PROG_KINDS];
    uint64_t executed; /* instructions */
    double cpu_seconds, slowest_seconds;
    uint64_t slowest; /* the seed of the program that took most of it */
    /* in how many programs each was */
    uint32_t ops[EB_OP_COUNT], helpers[DIFF_HELPERS], maps[MAP_TYPES];
    reason reasons[MOST_REASONS];
    uint32_t reason_count;
} report;

void report_rejection(report *r, const program *p, const char *why);
void report_program(report *r, const program *p, const coverage *ran);
/* Operations that should have run and did not. */
uint32_t report_missing(const report *r);
void report_print(report *r);
void report_json(report *r);

const char *op_name(uint32_t op);

/* emit.c: one line of JSON. */
void emit_program(FILE *to, const program *p, const outcome *o);

#endif
