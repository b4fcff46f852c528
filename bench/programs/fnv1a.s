# FNV-1a over 4096 bytes of context, 5000 times, each hash continuing the one before.
	.text
	.globl	fnv1a
	.type	fnv1a,@function
fnv1a:
	r0 = -3750763034362895579 ll
	r5 = 1099511628211 ll
	r6 = 5000
again:
	r2 = 0
byte:
	r3 = r1
	r3 += r2
	r4 = *(u8 *)(r3 + 0)
	r0 ^= r4
	r0 *= r5
	r2 += 1
	if r2 != 4096 goto byte
	r6 += -1
	if r6 != 0 goto again
	exit
