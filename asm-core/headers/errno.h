/* SPDX-License-Identifier: MIT */
#ifndef EBPF_ERRNO_H
#define EBPF_ERRNO_H

#include <linux/errno.h>

/* What libc adds to the kernel's. */
#ifndef ENOTSUP
#define ENOTSUP EOPNOTSUPP
#endif

#endif
