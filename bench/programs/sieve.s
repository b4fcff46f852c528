# The sieve of Eratosthenes over 4096 bytes of context, 2000 times; the result is the primes found.
	.text
	.globl	sieve
	.type	sieve,@function
sieve:
	r9 = r1
	r8 = 2000
again:
	r1 = 0
fill:
	r2 = r9
	r2 += r1
	*(u8 *)(r2 + 0) = 1
	r1 += 1
	if r1 != 4096 goto fill
	r1 = 2
next:
	r2 = r9
	r2 += r1
	r3 = *(u8 *)(r2 + 0)
	if r3 == 0 goto composite
	r3 = r1
	r3 *= r1
	if r3 > 4095 goto composite
strike:
	r4 = r9
	r4 += r3
	*(u8 *)(r4 + 0) = 0
	r3 += r1
	if r3 < 4096 goto strike
composite:
	r1 += 1
	if r1 != 4096 goto next
	r8 += -1
	if r8 != 0 goto again
	r0 = 0
	r1 = 2
count:
	r2 = r9
	r2 += r1
	r3 = *(u8 *)(r2 + 0)
	r0 += r3
	r1 += 1
	if r1 != 4096 goto count
	exit
