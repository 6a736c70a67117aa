/*
 * Profiles of system call filters: refused with a place, or made into a
 * program that the kernel's checks would pass: every jump goes forward and
 * stays inside, and the last instruction is an answer.
 */
#include <linux/bpf_common.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "seccomp/linux/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(const struct sec_prog *p)
{
	if (p->n == 0 || p->n > SEC_INSNS_MAX || p->v[p->n - 1].code != (BPF_RET | BPF_K))
		abort();
	for (size_t i = 0; i < p->n; i++) {
		const struct sock_filter *f = &p->v[i];

		if (f->code == (BPF_JMP | BPF_JA)) {
			if (f->k >= p->n - i - 1)
				abort();
		} else if (BPF_CLASS(f->code) == BPF_JMP) {
			if (f->jt >= p->n - i - 1 || f->jf >= p->n - i - 1)
				abort();
		} else if (f->code == (BPF_LD | BPF_W | BPF_ABS) && (f->k % 4 != 0 || f->k > 60)) {
			abort();
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FINI(buf) struct buf notes = BUF_INIT(4096);
	AUTO_FREE struct sec_prog *prog = malloc(sizeof(*prog));
	/* Exactly so long, so that a read past its end is seen. */
	AUTO_FREE char *text = malloc(size > 0 ? size : 1);
	struct sec_filter f = { 0 };
	struct err e = ERR_INIT;
	enum sec_result r;

	if (prog == NULL || text == NULL)
		return 0;
	memcpy(text, data, size);
	if (profile_read(&f, text, size, "fuzz", size > 0 ? UINT64_C(1) << (data[0] % 41) : 0, &notes, &e) ==
	    0) {
		r = sec_program(&f, prog);
		if (r == SEC_OK)
			check(prog);
		else if (r != SEC_TOO_LONG || prog->n != 0)
			abort();
	} else if (strncmp(e.msg, "fuzz:", 5) != 0 || strpbrk(e.msg, "\n\r\x1b") != NULL) {
		abort();
	}
	sec_filter_fini(&f);
	return 0;
}
