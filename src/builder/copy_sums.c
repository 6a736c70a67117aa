/*
 * The table of digests. On the disk it is one file, replaced whole: a header
 * and slots with open addressing, at most half of them used. Those that came
 * since it was mapped stand in a second table of the same form; closing puts
 * both into a new file, without what nobody asked for in a long time.
 */
#include <sys/mman.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "builder/copy_sums.h"

#define NAME "sums"
#define LOCK ".lock-sums"
#define MAGIC UINT64_C(0x3173676d75732e62) /* changes with the form: another byte order is another form */
#define SLOTS_MIN 1024u
#define SLOTS_MAX (1u << 20)
#define RACY_NS INT64_C(2000000000) /* the coarsest clock of a file system in use (FAT) */
#define DAY_NS (INT64_C(86400) * 1000000000)
#define DAYS_KEPT 30u
#define DAYS_STALE 3u /* a use is noted anew so long after the last */

struct key {
	uint64_t dev, ino, size;
	int64_t mtime_s, ctime_s;
	uint32_t mtime_ns, ctime_ns;
};

struct slot {
	struct key key;
	struct sum sum;
	uint32_t day;   /* when it was last of use, in days since 1970; 0: the slot is free */
	uint32_t check; /* over all of the above */
};
_Static_assert(sizeof(struct slot) == 120, "no padding: slots are hashed and written whole");

struct header {
	uint64_t magic;
	uint64_t slots; /* a power of two */
};

struct table {
	struct slot *v;
	size_t n, cap;
};

/* A file of them, and what is to go into it. */
struct store {
	int dir;
	void *map;
	size_t map_len;
	struct table old; /* mapped, read-only */
	struct table fresh;
	bool changed;
};

struct sums {
	uint32_t today;
	struct store kept;
	struct store recent; /* of this build only: files that changed just now */
};

/* FNV-1a, and a last stir for the low bits. */
static uint64_t
mix(const void *data, size_t n)
{
	const uint8_t *s = data;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ s[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 29;
}

static uint32_t
check_of(const struct slot *s)
{
	return (uint32_t)mix(s, offsetof(struct slot, check));
}

/* The slot of the key, or the free one where it would be; NULL: none, in a table that is damaged. */
static struct slot *
find(const struct table *t, const struct key *k)
{
	size_t i = (size_t)mix(k, sizeof(*k));

	for (size_t tries = 0; tries < t->cap; tries++, i++) {
		struct slot *s = &t->v[i & (t->cap - 1)];

		if (s->day == 0 || memcmp(&s->key, k, sizeof(*k)) == 0)
			return s;
	}
	return NULL;
}

static bool
grow(struct table *t)
{
	struct table bigger = { NULL, t->n, t->cap == 0 ? SLOTS_MIN : t->cap * 2 };

	if (bigger.cap > SLOTS_MAX || (bigger.v = calloc(bigger.cap, sizeof(*bigger.v))) == NULL)
		return false;
	for (size_t i = 0; i < t->cap; i++) {
		if (t->v[i].day != 0)
			*find(&bigger, &t->v[i].key) = t->v[i];
	}
	free(t->v);
	*t = bigger;
	return true;
}

/* A table that is full forgets what is new. */
static void
put(struct table *t, const struct slot *from)
{
	struct slot *s;

	if (t->n >= t->cap / 2 && !grow(t))
		return;
	s = find(t, &from->key);
	t->n += s->day == 0;
	*s = *from;
	s->check = check_of(s);
}

static void
unmap(struct store *s)
{
	if (s->map != NULL)
		munmap(s->map, s->map_len);
	s->map = NULL;
	s->old = (struct table){ NULL, 0, 0 };
}

/* Maps what is on the disk; without it, or with one that is not ours, there is nothing. */
static void
map(struct store *s)
{
	AUTO(fd) int fd = s->dir < 0 ? -1 : openat(s->dir, NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	const struct header *h;
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(*h) ||
	    st.st_size > (off_t)(sizeof(*h) + SLOTS_MAX * sizeof(struct slot)))
		return;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return;
	s->map = p;
	s->map_len = (size_t)st.st_size;
	h = p;
	if (h->magic != MAGIC || h->slots == 0 || (h->slots & (h->slots - 1)) != 0 || h->slots > SLOTS_MAX ||
	    s->map_len != sizeof(*h) + h->slots * sizeof(struct slot)) {
		unmap(s);
		return;
	}
	s->old = (struct table){ (struct slot *)((char *)p + sizeof(*h)), 0, (size_t)h->slots };
}

int
sums_open(struct sums **out, int dir, int tmp, struct err *e)
{
	struct sums *s = calloc(1, sizeof(*s));

	*out = s;
	if (s == NULL)
		return err_nomem(e);
	s->kept.dir = dir;
	s->recent.dir = tmp;
	s->today = (uint32_t)(text_now_ns() / DAY_NS);
	if (s->today == 0)
		s->today = 1; /* a clock that was never set */
	map(&s->kept);
	map(&s->recent);
	return 0;
}

static const struct slot *
slot_in(const struct table *t, const struct key *k)
{
	const struct slot *slot = t->cap > 0 ? find(t, k) : NULL;

	return slot != NULL && slot->day != 0 && slot->check == check_of(slot) ? slot : NULL;
}

static void
add(struct store *s, const struct slot *slot)
{
	put(&s->fresh, slot);
	s->changed = true;
}

static bool
look_up(struct sums *s, const struct key *k, struct sum *out)
{
	const struct slot *slot = slot_in(&s->kept.fresh, k);

	if (slot == NULL && (slot = slot_in(&s->kept.old, k)) != NULL && s->today - slot->day >= DAYS_STALE) {
		struct slot again = *slot;

		again.day = s->today;
		add(&s->kept, &again);
	}
	if (slot == NULL && (slot = slot_in(&s->recent.fresh, k)) == NULL)
		slot = slot_in(&s->recent.old, k);
	if (slot != NULL)
		*out = slot->sum;
	return slot != NULL;
}

static struct key
key_of(const struct stat *st)
{
	return (struct key){ st->st_dev, st->st_ino, (uint64_t)st->st_size, st->st_mtim.tv_sec,
		st->st_ctim.tv_sec, (uint32_t)st->st_mtim.tv_nsec, (uint32_t)st->st_ctim.tv_nsec };
}

bool
sums_get(struct sums *s, const struct stat *st, struct sum *out)
{
	const struct key k = key_of(st);

	return look_up(s, &k, out);
}

static int64_t
ns_of(const struct timespec *ts)
{
	/* What does not fit is far from now, which is all that is asked. */
	if (ts->tv_sec > INT64_MAX / 1000000000 - 1 || ts->tv_sec < INT64_MIN / 1000000000 + 1)
		return 0;
	return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

void
sums_put(struct sums *s, const struct stat *st, const struct sum *sum, int64_t now)
{
	const struct slot slot = { .key = key_of(st), .sum = *sum, .day = s->today };
	bool racy;

	/* A change time in the future is of a clock that was set back: who knows what it says next. */
	racy = ns_of(&st->st_ctim) > now - RACY_NS ||
	    (ns_of(&st->st_mtim) > now - RACY_NS && ns_of(&st->st_mtim) < now + RACY_NS);
	add(racy ? &s->recent : &s->kept, &slot);
}

/* The name of what is fixed fills the key; a size of all ones is no file's. */
static struct key
fixed_key(const struct digest *name)
{
	struct key k = { .size = UINT64_MAX };

	memcpy(&k.dev, name->bytes, 8);
	memcpy(&k.ino, name->bytes + 8, 8);
	memcpy(&k.mtime_s, name->bytes + 16, 8);
	memcpy(&k.ctime_s, name->bytes + 24, 8);
	return k;
}

bool
sums_get_fixed(struct sums *s, const struct digest *name, struct digest *out)
{
	const struct key k = fixed_key(name);
	struct sum sum;

	if (!look_up(s, &k, &sum))
		return false;
	*out = (struct digest){ .alg = DIGEST_SHA256 };
	memcpy(out->bytes, sum.content, SUM_LEN);
	return true;
}

void
sums_put_fixed(struct sums *s, const struct digest *name, const struct digest *d)
{
	struct slot slot = { .key = fixed_key(name), .day = s->today };

	memcpy(slot.sum.content, d->bytes, SUM_LEN);
	add(&s->kept, &slot);
}

/* ---- saving ------------------------------------------------------------------ */

static void
merge(struct table *all, const struct table *from, uint32_t today)
{
	for (size_t i = 0; i < from->cap; i++) {
		const struct slot *s = &from->v[i];

		if (s->day != 0 && s->day <= today && today - s->day < DAYS_KEPT && s->check == check_of(s))
			put(all, s);
	}
}

static int
write_table(const struct store *s, const struct table *t)
{
	const struct header h = { MAGIC, t->cap };
	size_t len = sizeof(h) + t->cap * sizeof(struct slot);
	AUTO_FREE char *file = malloc(len);

	if (file == NULL)
		return -E_NOMEM;
	memcpy(file, &h, sizeof(h));
	memcpy(file + sizeof(h), t->v, len - sizeof(h));
	return file_write_atomic(s->dir, NAME, 0600, file, len, NULL);
}

/* What is new first: a table that is full has then forgotten what is old. A failure costs time, later. */
static void
save(struct store *s, uint32_t today)
{
	struct table all = { NULL, 0, 0 };
	AUTO(fd) int lock = s->dir >= 0 ? lock_file(s->dir, LOCK, true, -1, NULL) : -1;

	if (lock < 0)
		return;
	/* Somebody else may have written meanwhile. */
	unmap(s);
	map(s);
	merge(&all, &s->fresh, today);
	for (size_t i = 0; i < s->old.cap && all.n < SLOTS_MAX / 2; i++) {
		const struct table one = { &s->old.v[i], 0, 1 };

		if (all.cap == 0 || find(&all, &one.v->key)->day == 0)
			merge(&all, &one, today);
	}
	fault_point("build.sums.write");
	if (all.cap > 0 && write_table(s, &all) < 0)
		unmap(s);
	free(all.v);
}

static void
store_close(struct store *s, uint32_t today)
{
	if (s->changed)
		save(s, today);
	unmap(s);
	free(s->fresh.v);
}

void
sums_close(struct sums *s)
{
	if (s == NULL)
		return;
	store_close(&s->kept, s->today);
	store_close(&s->recent, s->today);
	free(s);
}
