/*
 * The state file: whatever it holds, what is read has an end, what is written
 * next is read back.  The first byte says for which slots the sum is made
 * right (bit 7: for the exit's), as no fuzzer finds one.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
mend_sums(char *file, unsigned which)
{
	struct state_rec rec;
	struct shim_exit x;

	for (unsigned i = 0; i < STATE_RING_SLOTS; i++) {
		char *slot = file + STATE_RING_OFF + i * STATE_SLOT_SIZE;

		memcpy(&rec, slot, sizeof(rec));
		rec.crc = shim_crc32(&rec, offsetof(struct state_rec, crc));
		if ((which & (1u << i)) != 0)
			memcpy(slot, &rec, sizeof(rec));
	}
	memcpy(&x, file + STATE_EXIT_OFF, sizeof(x));
	x.crc = shim_crc32(&x, offsetof(struct shim_exit, crc));
	if ((which & 0x80) != 0)
		memcpy(file + STATE_EXIT_OFF, &x, sizeof(x));
}

static void
expect_ends(const struct state_rec *r)
{
	if (memchr(r->base, 0, sizeof(r->base)) == NULL ||
	    memchr(r->network, 0, sizeof(r->network)) == NULL ||
	    memchr(r->cgroup, 0, sizeof(r->cgroup)) == NULL ||
	    memchr(r->reason, 0, sizeof(r->reason)) == NULL || memchr(r->arg, 0, sizeof(r->arg)) == NULL)
		abort();
}

/* Damaged or not: the next write is the state. */
static void
expect_written(struct state *s)
{
	struct state_rec was;
	struct shim_exit x;

	s->rec.runs = 0x600d;
	if (state_write(s, false, NULL) < 0)
		abort();
	was = s->rec;
	/* Only a number that cannot be passed by a higher one hides it; 580 years of writing are no such. */
	if (was.seq == 0)
		return;
	if (state_reload(s, NULL) < 0 || memcmp(&was, &s->rec, sizeof(was)) != 0)
		abort();
	if (state_exit(s, &x, NULL) == 1 && x.run_id != s->rec.run_id)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char file[STATE_FILE_SIZE];
	struct err e = ERR_INIT;
	struct state s = STATE_INIT;
	size_t len = size > sizeof(file) ? sizeof(file) : size > 0 ? size - 1 : 0;
	int rc;

	memset(file, 0, sizeof(file));
	if (len > 0)
		memcpy(file, data + 1, len < size - 1 ? len : size - 1);
	if (size > 0 && len > STATE_RING_OFF)
		mend_sums(file, data[0]);
	s.fd = memfd_create("state", MFD_CLOEXEC);
	if (s.fd < 0 || write(s.fd, file, len) != (ssize_t)len)
		abort();
	rc = state_reload(&s, &e);
	if (rc < 0 && (rc != -e.code || e.msg[0] == '\0'))
		abort();
	if (rc == -E_CORRUPT && s.rec.magic != 0)
		abort();
	expect_ends(&s.rec);
	(void)state_is_active(&s.rec);
	(void)state_alive(&s);
	if (rc == 0)
		expect_written(&s);
	state_fini(&s);
	return 0;
}
