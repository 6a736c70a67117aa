/* The kernel's packet filter machine, as far as filters of system calls use it. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "machine.h"

static uint32_t
load(const struct seccomp_data *d, uint32_t offset)
{
	uint32_t word;

	assert_true(offset % 4 == 0 && offset < sizeof(*d));
	memcpy(&word, (const char *)d + offset, sizeof(word));
	return word;
}

uint32_t
machine_run(const struct sock_filter *v, size_t n, const struct seccomp_data *d)
{
	uint32_t a = 0;

	assert_true(n > 0 && n <= BPF_MAXINSNS);
	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &v[pc];
		bool yes = false;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = load(d, i->k);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > i->k;
			break;
		default:
			fail_msg("instruction %zu has code %#x", pc, i->code);
		}
		pc += yes ? i->jt : i->jf;
	}
	fail_msg("the program runs over its end");
	return 0;
}
