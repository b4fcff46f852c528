/* SPDX-License-Identifier: MIT */
/* What the compiler expands where it stands, since BPF has no library to call. */
#ifndef EBPF_STRING_H
#define EBPF_STRING_H

#define __need_size_t
#define __need_NULL
#include <stddef.h>

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *at, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);

#endif
