/* SPDX-License-Identifier: MIT */
#ifndef EBPF_ERRNO_H
#define EBPF_ERRNO_H

#include <linux/errno.h>

#endif
