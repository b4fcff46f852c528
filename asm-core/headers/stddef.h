/* SPDX-License-Identifier: MIT */
/* Whole, or only what __need_... asks for, as libc's headers do: the kernel's types, which may come
 * before it, have another wchar_t. */
#if !defined __need_size_t && !defined __need_ptrdiff_t && !defined __need_wchar_t &&              \
    !defined __need_wint_t && !defined __need_NULL && !defined __need_offsetof &&                  \
    !defined __need_max_align_t
#ifndef EBPF_STDDEF_H
#define EBPF_STDDEF_H
#define __need_size_t
#define __need_ptrdiff_t
#define __need_wchar_t
#define __need_NULL
#define __need_offsetof
#define __need_max_align_t
#if __STDC_VERSION__ >= 202311L
typedef typeof(nullptr) nullptr_t;
#define unreachable() __builtin_unreachable()
#endif
#endif
#endif

#ifdef __need_size_t
#undef __need_size_t
typedef __SIZE_TYPE__ size_t;
#endif
#ifdef __need_ptrdiff_t
#undef __need_ptrdiff_t
typedef __PTRDIFF_TYPE__ ptrdiff_t;
#endif
#ifdef __need_wchar_t
#undef __need_wchar_t
typedef __WCHAR_TYPE__ wchar_t;
#endif
#ifdef __need_wint_t
#undef __need_wint_t
typedef __WINT_TYPE__ wint_t;
#endif
#ifdef __need_max_align_t
#undef __need_max_align_t
#ifndef EBPF_MAX_ALIGN_T
#define EBPF_MAX_ALIGN_T
typedef struct {
    long long longest;
} max_align_t;
#endif
#endif

#ifdef __need_NULL
#undef __need_NULL
#undef NULL
#define NULL ((void *)0)
#endif
#ifdef __need_offsetof
#undef __need_offsetof
#undef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif
