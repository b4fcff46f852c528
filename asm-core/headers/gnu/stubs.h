/* SPDX-License-Identifier: MIT */
/* glibc's <features.h> asks for this by the machine's word size, and for a target that it does not
 * know, for a file that is rarely installed. Nothing of it concerns BPF. */
