# xorshift64, 50,000,000 rounds of 9 instructions; the sum of all values is the result.
	.text
	.globl	xorshift
	.type	xorshift,@function
xorshift:
	r0 = 0
	r1 = 88172645463325252 ll
	r2 = 50000000
round:
	r3 = r1
	r3 <<= 13
	r1 ^= r3
	r3 = r1
	r3 >>= 7
	r1 ^= r3
	r3 = r1
	r3 <<= 17
	r1 ^= r3
	r0 += r1
	r2 += -1
	if r2 != 0 goto round
	exit
