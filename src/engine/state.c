/*
 * Reading and writing the state file. What the states mean and who may change
 * them stands elsewhere (pot.c, start.c, stop.c); here is only the format.
 */
#include "engine/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"

#define STATE_MAGIC 0x54535450u /* "PTST" */
#define STATE_VERSION 2
#define STATE_FILE "state"

_Static_assert(sizeof(struct state_rec) <= STATE_SLOT_SIZE, "a record fits its slot");
_Static_assert(sizeof(struct shim_exit) <= STATE_RING_OFF - STATE_EXIT_OFF, "the exit fits its slot");

static const char *const state_names[] = {
	[POT_CREATED] = "created",
	[POT_STARTING] = "starting",
	[POT_RUNNING] = "running",
	[POT_PAUSED] = "paused",
	[POT_STOPPING] = "stopping",
	[POT_STOPPED] = "stopped",
	[POT_FAILED] = "failed",
};

const char *
pot_state_name(enum pot_state s)
{
	return (size_t)s < ARRAY_LEN(state_names) ? state_names[s] : "unknown";
}

/*
 * The sum of shim_crc32, which takes bit after bit, 32 bits at once: a start and
 * its end write a dozen records. then[k][n] is what bits n do to the sum when 4k more follow
 * in the same word.
 */
static uint32_t
rec_crc(const struct state_rec *r)
{
	const unsigned char *p = (const void *)r;
	uint32_t then[8][16], crc = 0xffffffffu;

	_Static_assert(offsetof(struct state_rec, crc) % 4 == 0, "a record is whole words");
	for (unsigned n = 0; n < 16; n++) {
		then[0][n] = shim_crc32_nibble(n);
		for (unsigned k = 1; k < 8; k++)
			then[k][n] = then[k - 1][n] >> 4 ^ shim_crc32_nibble(then[k - 1][n]);
	}
	for (size_t i = 0; i < offsetof(struct state_rec, crc); i += 4) {
		uint32_t x = crc ^ (p[i] | p[i + 1] << 8 | p[i + 2] << 16 | (uint32_t)p[i + 3] << 24);

		crc = 0;
		for (unsigned k = 0; k < 8; k++)
			crc ^= then[7 - k][x >> 4 * k & 15];
	}
	return ~crc;
}

/* Strings of a record come from the disk: make sure that they end. */
static void
rec_terminate(struct state_rec *r)
{
	r->base[sizeof(r->base) - 1] = '\0';
	r->network[sizeof(r->network) - 1] = '\0';
	r->cgroup[sizeof(r->cgroup) - 1] = '\0';
	r->reason[sizeof(r->reason) - 1] = '\0';
	r->arg[sizeof(r->arg) - 1] = '\0';
	r->id[sizeof(r->id) - 1] = '\0';
	r->ip[sizeof(r->ip) - 1] = '\0';
	r->ports[sizeof(r->ports) - 1] = '\0';
}

int
state_reload(struct state *s, struct err *e)
{
	char ring[STATE_RING_SLOTS * STATE_SLOT_SIZE] __attribute__((aligned(8)));
	ssize_t n = pread(s->fd, ring, sizeof(ring), STATE_RING_OFF);
	unsigned torn = 0; /* bit i: slot i was looked at and is none */

	if (n < 0)
		return err_sys(e, "cannot read the state file");
	memset(ring + n, 0, sizeof(ring) - (size_t)n);
	/* Newest first; a torn one has a wrong sum and the next older is the state. */
	for (;;) {
		const struct state_rec *best = NULL;

		for (unsigned i = 0; i < STATE_RING_SLOTS; i++) {
			const struct state_rec *r = (const void *)(ring + i * STATE_SLOT_SIZE);

			/* A torn number may be the same as a good one's. */
			if (r->magic == STATE_MAGIC && (torn & (1u << i)) == 0 &&
			    (best == NULL || r->seq > best->seq)) {
				best = r;
				s->slot = i;
			}
		}
		if (best == NULL)
			break;
		if (best->crc == rec_crc(best)) {
			if (best->version != STATE_VERSION)
				return err_set(e, E_NOTSUP, "the state file has format %u, this pot knows %u",
				    best->version, STATE_VERSION);
			s->rec = *best;
			rec_terminate(&s->rec);
			return 0;
		}
		torn |= 1u << s->slot;
	}
	memset(&s->rec, 0, sizeof(s->rec));
	s->slot = 0;
	return err_set(e, E_CORRUPT, "the state file holds no valid record");
}

int
state_open(struct state *s, int dirfd, struct err *e)
{
	s->fd = openat(dirfd, STATE_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (s->fd < 0 && errno == EACCES)
		s->fd = openat(dirfd, STATE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (s->fd < 0)
		return err_sys(e, "cannot open the state file");
	return state_reload(s, e);
}

int
state_write(struct state *s, bool durable, struct err *e)
{
	unsigned slot = (s->slot + 1) % STATE_RING_SLOTS;
	struct state_rec rec;
	ssize_t n;

	s->rec.magic = STATE_MAGIC;
	s->rec.version = STATE_VERSION;
	s->rec.seq++;
	s->rec.crc = rec_crc(&s->rec);
	rec = s->rec;
	n = pwrite(s->fd, &rec, sizeof(rec), STATE_RING_OFF + slot * STATE_SLOT_SIZE);
	if (n != (ssize_t)sizeof(rec)) {
		if (n >= 0)
			errno = ENOSPC;
		return err_sys(e, "cannot write the state file");
	}
	s->slot = slot;
	if (durable && fdatasync(s->fd) != 0)
		return err_sys(e, "cannot write the state file to the disk");
	return 0;
}

int
state_create(struct state *s, int dirfd, const struct state_rec *rec, struct err *e)
{
	static const char zeros[STATE_FILE_SIZE];

	s->fd = openat(dirfd, STATE_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (s->fd < 0)
		return err_sys(e, "cannot make the state file");
	/* Real blocks, not a hole: a later write cannot fail for want of space. */
	if (fd_write_all(s->fd, zeros, sizeof(zeros), "the state file", e) < 0)
		return err_wrap(e, "state");
	s->rec = *rec;
	s->slot = 0;
	return state_write(s, true, e);
}

int
state_exit(const struct state *s, struct shim_exit *x, struct err *e)
{
	ssize_t n = pread(s->fd, x, sizeof(*x), STATE_EXIT_OFF);

	if (n < 0)
		return err_sys(e, "cannot read the exit record");
	return n == (ssize_t)sizeof(*x) && x->magic == SHIM_EXIT_MAGIC && x->run_id == s->rec.run_id &&
	    x->crc == shim_crc32(x, offsetof(struct shim_exit, crc));
}

bool
state_alive(const struct state *s)
{
	return lock_held(s->fd, NULL) == 1;
}

bool
state_is_active(const struct state_rec *r)
{
	return r->state == POT_STARTING || r->state == POT_RUNNING || r->state == POT_PAUSED ||
	    r->state == POT_STOPPING;
}

void
state_fini(struct state *s)
{
	fd_close(s->fd);
	s->fd = -1;
}
