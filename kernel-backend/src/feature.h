/*
 * feature.h: what the probes of features share: answers, and the kernel's BTF as the last resort.
 */
#ifndef KB_FEATURE_H
#define KB_FEATURE_H

#include "internal.h"
#include <bpf/btf.h>

void kb_say(struct kb_feature *feature, enum kb_answer answer, int errnum, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The answer to what a bpf(2) command returned for something that it knows or not. EPERM: unsure.
 */
void kb_answer(struct kb_feature *feature, int rc, uint64_t caps, const char *what);

/* The BTF of the running kernel, NULL if it has none; freed by the caller. */
struct btf *kb_vmlinux_btf(void);
/* By an enumerator of the kernel's own interface, such as BPF_F_LINK: for what has no other test.
 */
void kb_answer_by_enumerator(struct kb_feature *feature, const char *enumerator);

void kb_probe_program_type(uint32_t type, struct kb_feature *feature);
void kb_probe_attach_type(uint32_t attach, struct kb_feature *feature);
void kb_probe_helper(uint32_t type, uint32_t helper, struct kb_feature *feature);
void kb_probe_program_flag(uint32_t flag, struct kb_feature *feature);
void kb_probe_map_type(uint32_t type, struct kb_feature *feature);
void kb_probe_map_flag(uint32_t flag, struct kb_feature *feature);
void kb_probe_btf_kind(uint32_t kind, struct kb_feature *feature);
void kb_probe_link_type(uint32_t type, struct kb_feature *feature);
void kb_probe_kfunc(const char *name, struct kb_feature *feature);

#endif
