/*
 * Which CPUs the pots of this installation are pinned to: ROOT/cpus/pinned,
 * a line "NAME=RUN CPUS" for each pinned run. It is changed under a short lock
 * and never cleaned up: a line counts only while the pot's state tells of the
 * same run and that it is up, and the next choice drops all others. So no death
 * of any process leaves a CPU taken. Knows nothing of how a pot is pinned.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "engine/limit.h"

#define CPUS_DIR "cpus"
#define CPUS_FILE "pinned"
#define CPUS_LOCK "lock"
#define CPUS_LOCK_MS 10000

static int
read_file(struct eng *g, struct kv *kv, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(KV_FILE_MAX);
	int rc = file_read(g->root_fd, CPUS_DIR "/" CPUS_FILE, &text, NULL);

	if (rc == -E_NOENT)
		return 0;
	/* A damaged one is nothing to fail for: it says where pots would better not be. */
	if (rc < 0 || kv_parse(kv, buf_cstr(&text), text.len, CPUS_FILE, NULL) < 0) {
		kv_fini(kv);
		event_warn(&g->events, "%s/%s was damaged and is made anew", g->root, CPUS_DIR "/" CPUS_FILE);
	}
	(void)e;
	return 0;
}

static int
write_file(struct eng *g, const struct kv *kv, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(KV_FILE_MAX);
	AUTO(fd) int dir = dir_open(g->root_fd, CPUS_DIR, e);
	int rc;

	if (dir < 0)
		return dir;
	kv_print(kv, &text);
	rc = buf_check(&text, "the list of pinned pots", e);
	return rc < 0 ? rc : file_write_atomic(dir, CPUS_FILE, 0644, text.data, text.len, e);
}

/* "RUN CPUS": the list when the run is this one, else NULL. */
static const char *
list_of_run(const char *value, uint64_t run_id)
{
	char *end;
	unsigned long long run = strtoull(value, &end, 16);

	return run == run_id && *end == ' ' ? end + 1 : NULL;
}

/* The list of a pot that is up in the run of the entry. */
static const char *
live_list(struct eng *g, const struct kv_pair *entry)
{
	AUTO_FINI(state) struct state s = STATE_INIT;
	AUTO(fd) int dir = dir_open(g->pots_fd, entry->key, NULL);

	if (dir < 0 || state_open(&s, dir, NULL) < 0 || !state_is_active(&s.rec))
		return NULL;
	return list_of_run(entry->value, s.rec.run_id);
}

/* The entries of other pots that still count, and how much each CPU is used by them. */
static int
others(struct epot *p, struct kv *out, unsigned *load, struct err *e)
{
	AUTO_FINI(kv) struct kv all = KV_INIT;
	int rc = read_file(p->eng, &all, e);

	for (size_t i = 0; i < all.n && rc == 0; i++) {
		const char *list = NULL;

		if (strcmp(all.v[i].key, p->name) != 0)
			list = live_list(p->eng, &all.v[i]);
		if (list == NULL)
			continue;
		limits_cpulist_count(list, load, CPUS_MAX);
		rc = kv_add(out, all.v[i].key, all.v[i].value, e);
	}
	return rc;
}

static int
lock_cpus(struct eng *g, struct err *e)
{
	AUTO(fd) int dir = dir_make(g->root_fd, CPUS_DIR, 0755, e);
	int fd = dir < 0 ? dir : lock_file(dir, CPUS_LOCK, true, CPUS_LOCK_MS, e);

	return fd == -E_BUSY ? err_set(e, E_BUSY, "another command chooses CPUs for a pot and does not end")
			     : fd;
}

static int
put(struct epot *p, struct kv *kv, const char *list, struct err *e)
{
	char value[CPUS_TEXT + 24];
	int rc = 0;

	snprintf(value, sizeof(value), "%llx %s", (unsigned long long)p->state.rec.run_id, list);
	if (list[0] != '\0')
		rc = kv_add(kv, p->name, value, e);
	return rc < 0 ? rc : write_file(p->eng, kv, e);
}

static int
choose(const unsigned *load, uint64_t want, char out[static CPUS_TEXT], struct err *e)
{
	AUTO_FREE unsigned *v = calloc(2 * CPUS_MAX, sizeof(*v));
	unsigned *chosen;
	size_t n;
	int rc = v == NULL ? err_nomem(e) : iso_cpus_allowed(v, CPUS_MAX, &n, e);

	if (rc < 0)
		return rc;
	if (want > n)
		return err_set(e, E_LIMIT, "cpus %llu is more than pot may use itself: at most %zu",
		    (unsigned long long)want, n);
	chosen = v + CPUS_MAX;
	limits_cpus_choose(v, n, load, (size_t)want, chosen);
	return limits_cpulist_print(chosen, (size_t)want, out, CPUS_TEXT, e);
}

int
epot_cpus_take(struct epot *p, uint64_t want, char out[static CPUS_TEXT], struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	AUTO_FREE unsigned *load = calloc(CPUS_MAX, sizeof(*load));
	AUTO(fd) int lock = -1;
	int rc;

	out[0] = '\0';
	if (load == NULL)
		return err_nomem(e);
	lock = lock_cpus(p->eng, e);
	rc = lock < 0 ? lock : others(p, &kv, load, e);
	if (rc == 0 && want > 0)
		rc = choose(load, want, out, e);
	if (rc == 0)
		rc = put(p, &kv, out, e);
	fault_point("cpus.taken");
	return rc;
}

void
epot_cpus_put(struct epot *p, const char *list)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	AUTO_FREE unsigned *load = calloc(CPUS_MAX, sizeof(*load));
	AUTO(fd) int lock = lock_cpus(p->eng, NULL);

	if (load != NULL && lock >= 0 && others(p, &kv, load, NULL) == 0)
		(void)!put(p, &kv, list, NULL);
}

int
epot_cpus_get(const struct epot *p, char out[static CPUS_TEXT], struct err *e)
{
	AUTO_FINI(kv) struct kv all = KV_INIT;
	int rc = read_file(p->eng, &all, e);
	const char *value = rc < 0 ? NULL : kv_get(&all, p->name), *list = NULL;

	if (value != NULL && state_is_active(&p->state.rec))
		list = list_of_run(value, p->state.rec.run_id);
	snprintf(out, CPUS_TEXT, "%s", list == NULL ? "" : list);
	return rc;
}
