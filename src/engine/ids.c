/*
 * Ranges of the host's user ids for pots: one for each pot, kept from its
 * first start to its end, so that what it writes to a directory of the host
 * keeps its owner. ROOT/userns has one link for each: its name is the pot's
 * id, its text the number of the range. Written under a short lock.
 */
#include "engine/walls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"

#define IDS_DIR "userns"
#define IDS_LOCK ".lock"

static int
read_lease(int dir, const char *pot_id, uint32_t *index)
{
	char text[16];
	ssize_t n = readlinkat(dir, pot_id, text, sizeof(text) - 1);
	unsigned long v;
	char *end;

	if (n <= 0)
		return -1;
	text[n] = '\0';
	v = strtoul(text, &end, 10);
	if (*end != '\0' || v > UINT32_MAX)
		return -1;
	*index = (uint32_t)v;
	return 0;
}

struct table {
	unsigned char *used; /* a byte for each range */
	uint32_t count;
};

static int
read_table(int dirfd, struct table *t, struct err *e)
{
	AUTO(dir) DIR *d = NULL;
	int own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *de;
	uint32_t i;

	d = own < 0 ? NULL : fdopendir(own);
	if (d == NULL) {
		fd_close(own);
		return err_sys(e, "cannot list " IDS_DIR);
	}
	memset(t->used, 0, t->count);
	while ((de = readdir(d)) != NULL)
		if (de->d_name[0] != '.' && read_lease(dirfd, de->d_name, &i) == 0 && i < t->count)
			t->used[i] = 1;
	return 0;
}

/* Where this installation begins to look: another one on the same host most likely begins elsewhere. */
static uint32_t
first_choice(const struct eng *g, uint32_t count)
{
	const char *id = kv_get(&g->node, "id");
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; id != NULL && *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * UINT64_C(0x100000001b3);
	return (uint32_t)(h % count);
}

static int
take_free(struct eng *g, int dir, const char *pot_id, struct table *t, uint32_t *index, struct err *e)
{
	uint32_t from = first_choice(g, t->count);
	char text[16];

	for (uint32_t n = 0; n < t->count; n++) {
		*index = (from + n) % t->count;
		if (t->used[*index])
			continue;
		snprintf(text, sizeof(text), "%" PRIu32, *index);
		if (unlinkat(dir, pot_id, 0) != 0 && errno != ENOENT)
			return err_sys(e, "cannot change the range of user ids");
		if (symlinkat(text, dir, pot_id) != 0)
			return err_sys(e, "cannot record the range of user ids");
		return 0;
	}
	return -E_LIMIT;
}

struct living {
	struct eng *g;
	struct strv ids;
};

static int
note_living(void *arg, const char *name, struct err *e)
{
	struct living *l = arg;
	AUTO(fd) int dir = openat(l->g->pots_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_FINI(state) struct state s = STATE_INIT;

	(void)e;
	if (dir >= 0 && state_open(&s, dir, NULL) == 0 && s.rec.id[0] != '\0')
		strv_add(&l->ids, s.rec.id);
	return 0;
}

static bool
is_living(const struct living *l, const char *id)
{
	for (size_t i = 0; i < l->ids.n; i++)
		if (strcmp(l->ids.v[i], id) == 0)
			return true;
	return false;
}

/* Under the lock. A pot is made before it has a lease, and keeps its directory until it has given it back. */
static int
reclaim(struct eng *g, int dirfd, struct err *e)
{
	struct living l = { g, STRV_INIT(1000000) };
	AUTO(dir) DIR *d = NULL;
	struct dirent *de;
	int own, rc = epot_each(g, note_living, &l, e);

	if (rc == 0)
		rc = strv_check(&l.ids, "the list of pots", e);
	own = rc < 0 ? -1 : openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = own < 0 ? NULL : fdopendir(own);
	if (rc == 0 && d == NULL) {
		fd_close(own);
		rc = err_sys(e, "cannot list " IDS_DIR);
	}
	while (rc == 0 && (de = readdir(d)) != NULL)
		if (de->d_name[0] != '.' && !is_living(&l, de->d_name))
			(void)!unlinkat(dirfd, de->d_name, 0);
	strv_fini(&l.ids);
	return rc;
}

static int
allocate(struct eng *g, const char *pot_id, uint32_t count, uint32_t *index, struct err *e)
{
	AUTO(fd) int dir = dir_make(g->root_fd, IDS_DIR, 0700, e), lock = -1;
	AUTO_FREE unsigned char *used = malloc(count);
	struct table t = { used, count };
	int rc;

	if (dir < 0)
		return dir;
	if (used == NULL)
		return err_nomem(e);
	lock = lock_file(dir, IDS_LOCK, true, LOCK_WAIT_MS, e);
	if (lock < 0)
		return lock;
	rc = read_table(dir, &t, e);
	if (rc == 0)
		rc = take_free(g, dir, pot_id, &t, index, e);
	if (rc != -E_LIMIT)
		return rc;
	rc = reclaim(g, dir, e);
	if (rc == 0)
		rc = read_table(dir, &t, e);
	if (rc == 0)
		rc = take_free(g, dir, pot_id, &t, index, e);
	if (rc != -E_LIMIT)
		return rc;
	err_set(e, E_LIMIT, "all %" PRIu32 " ranges of user ids are taken", count);
	return err_hint(e, "raise userns_count in pot.conf, or --userns off");
}

int
ids_get(struct eng *g, const char *pot_id, uint32_t *first, struct err *e)
{
	uint64_t start = config_uint(g->conf, "userns_first");
	uint32_t count = (uint32_t)config_uint(g->conf, "userns_count"), index;
	char path[64];
	int rc = 0;

	if (start + (uint64_t)count * IDS_PER_POT > UINT32_MAX)
		return err_set(e, E_INVAL, "userns_first and userns_count go beyond the last user id");
	snprintf(path, sizeof(path), IDS_DIR "/%s", pot_id);
	/* One that the configuration has taken out of the table is given up for another. */
	if (read_lease(g->root_fd, path, &index) < 0 || index >= count)
		rc = allocate(g, pot_id, count, &index, e);
	fault_point("ids.leased");
	*first = (uint32_t)start + index * IDS_PER_POT;
	return rc;
}

int
ids_find(struct eng *g, const char *pot_id, uint32_t *first)
{
	char path[64];
	uint32_t index;

	snprintf(path, sizeof(path), IDS_DIR "/%s", pot_id);
	if (read_lease(g->root_fd, path, &index) < 0 || index >= config_uint(g->conf, "userns_count"))
		return 0;
	*first = (uint32_t)config_uint(g->conf, "userns_first") + index * IDS_PER_POT;
	return 1;
}

int
ids_release(struct eng *g, const char *pot_id, struct err *e)
{
	char path[64];

	if (pot_id[0] == '\0')
		return 0;
	snprintf(path, sizeof(path), IDS_DIR "/%s", pot_id);
	if (unlinkat(g->root_fd, path, 0) != 0 && errno != ENOENT && errno != ENOTDIR)
		return err_sys(e, "cannot give the range of user ids back");
	return 0;
}

int
ids_reclaim(struct eng *g, struct err *e)
{
	AUTO(fd) int dir = openat(g->root_fd, IDS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(fd) int lock = -1;

	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot open " IDS_DIR);
	lock = lock_file(dir, IDS_LOCK, true, LOCK_WAIT_MS, e);
	return lock < 0 ? lock : reclaim(g, dir, e);
}
