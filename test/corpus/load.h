/* load.h - what load.c, asked.c, run.c and tell.c share. */
#pragma once
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* tell.c: one JSON object on a line, written at once when it is whole. */
void tell_begin(void);
void tell_text(const char *key, const char *text, size_t size);
void tell_number(const char *key, long long number);
/* A name and an opening bracket, [ or {; key may be NULL inside of an array. */
void tell_open(const char *key, char bracket);
void tell_close(char bracket);
/* Bytes as hex, or as "size:hash" where there are many. */
void tell_bytes(const char *key, const uint8_t *bytes, size_t size);
void tell_end(void);
uint64_t hash_bytes(const uint8_t *bytes, size_t size);

/* run.c: runs a loaded program on the fixed inputs of its type and tells what came out and what
 * its maps have then; nothing where the kernel cannot run such programs. */
void run_program(struct bpf_object *object, struct bpf_program *program, enum bpf_prog_type type);

/* asked.c: while set, each bpf(2) command that changes something is told, as a text. */
extern bool telling_calls;
/* What the kernel made of a program that it accepted. */
void tell_loaded(int fd);
