/* SPDX-License-Identifier: MIT */
#ifndef EBPF_STDNORETURN_H
#define EBPF_STDNORETURN_H

#define noreturn _Noreturn

#endif
