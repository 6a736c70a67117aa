/*
 * What a pot uses, read from its control groups: v2, v1, or each controller
 * where it is. One open and one read a file and no process is looked at, so
 * that hundreds of pots can be asked every second. Only what no group counts
 * (a host without that controller) is added up from the pot's processes.
 *
 * Nothing is computed here but what the kernel tells in parts; rates are for
 * whoever keeps the last answer.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/auto.h"
#include "isolation/linux/cgroup.h"
#include "isolation/linux/meter.h"

#define TEXT_MAX 32768 /* of one file: io.stat has 100 bytes a device */

/* A pot's groups while they are read. */
struct reading {
	const struct iso_meter *m;
	struct iso_stats *s;
	char group[CG_COUNT][ISO_CGROUP_MAX]; /* below the tree; "": none */
	unsigned files;                       /* that were there */
	char text[TEXT_MAX];
};

/* ---- small parsers -------------------------------------------------------------- */

/* A number by itself; "max" is no number. */
static uint64_t
number(const char *text)
{
	char *end;
	unsigned long long v;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return ISO_UNKNOWN;
	v = strtoull(text, &end, 10);
	return v;
}

/* The number in the line "key number". */
static uint64_t
keyed(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *l = text; l != NULL && *l != '\0'; l = strchr(l, '\n'), l = l != NULL ? l + 1 : NULL)
		if (strncmp(l, key, n) == 0 && l[n] == ' ')
			return number(l + n + 1);
	return ISO_UNKNOWN;
}

/* The number behind "key=" in this line of words. */
static uint64_t
in_line(const char *line, const char *key)
{
	size_t n = strlen(key);

	for (const char *w = line; *w != '\0' && *w != '\n'; w += strcspn(w, " \n"), w += *w == ' ')
		if (strncmp(w, key, n) == 0 && w[n] == '=')
			return number(w + n + 1);
	return ISO_UNKNOWN;
}

static uint64_t
times(uint64_t v, uint64_t factor)
{
	return v == ISO_UNKNOWN ? v : v * factor;
}

/* Adds what is known. */
static void
add(uint64_t *sum, uint64_t v)
{
	if (v != ISO_UNKNOWN)
		*sum = *sum == ISO_UNKNOWN ? v : *sum + v;
}

/* ---- files ------------------------------------------------------------------------ */

/* The text of a file of a group, or NULL. Good until the next one. */
static const char *
get(struct reading *r, enum cg_id t, const char *file)
{
	char path[ISO_CGROUP_MAX + 64];
	AUTO(fd) int fd = -1;
	ssize_t n;

	if (r->group[t][0] == '\0' || r->m->trees[t] < 0)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", r->group[t], file);
	fd = openat(r->m->trees[t], path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, r->text, sizeof(r->text) - 1);
	if (n < 0 || (size_t)n == sizeof(r->text) - 1)
		return NULL;
	r->text[n] = '\0';
	r->files++;
	return r->text;
}

/* Where a controller counts: in its own hierarchy, or in v2. */
static enum cg_id
place(const struct reading *r, enum cg_id t)
{
	return r->group[t][0] == '\0' && r->m->inside[t] ? CG_V2 : t;
}

/* ---- what is counted -------------------------------------------------------------- */

/* v2 counts time without any controller. */
static void
read_cpu(struct reading *r)
{
	const char *text = get(r, CG_V2, "cpu.stat");
	struct iso_stats *s = r->s;

	if (text != NULL) {
		s->cpu_ns = times(keyed(text, "usage_usec"), 1000);
		s->user_ns = times(keyed(text, "user_usec"), 1000);
		s->system_ns = times(keyed(text, "system_usec"), 1000);
		s->throttled = keyed(text, "nr_throttled");
		s->throttled_ns = times(keyed(text, "throttled_usec"), 1000);
	} else {
		s->cpu_ns = number(get(r, CG_CPUACCT, "cpuacct.usage"));
		s->user_ns = number(get(r, CG_CPUACCT, "cpuacct.usage_user"));
		s->system_ns = number(get(r, CG_CPUACCT, "cpuacct.usage_sys"));
	}
	if (s->throttled == ISO_UNKNOWN && (text = get(r, CG_CPU, "cpu.stat")) != NULL) {
		s->throttled = keyed(text, "nr_throttled");
		s->throttled_ns = keyed(text, "throttled_time");
	}
}

/*
 * Used is what is charged without the part of the page cache that the kernel drops first
 * (inactive_file), as podman and docker count it.
 */
static void
set_memory(struct iso_stats *s, uint64_t charged, uint64_t droppable)
{
	if (charged == ISO_UNKNOWN)
		return;
	if (droppable == ISO_UNKNOWN)
		droppable = 0;
	s->memory = charged > droppable ? charged - droppable : 0;
}

static void
read_memory_v1(struct reading *r)
{
	struct iso_stats *s = r->s;
	uint64_t droppable, limit;
	const char *text = get(r, CG_MEMORY, "memory.stat");

	droppable = keyed(text, "total_inactive_file");
	s->cache = keyed(text, "total_cache");
	s->swap = keyed(text, "total_swap");
	limit = keyed(text, "hierarchical_memory_limit");
	if (limit < s->memory_limit)
		s->memory_limit = limit;
	set_memory(s, number(get(r, CG_MEMORY, "memory.usage_in_bytes")), droppable);
	s->memory_peak = number(get(r, CG_MEMORY, "memory.max_usage_in_bytes"));
	s->oom_kills = keyed(get(r, CG_MEMORY, "memory.oom_control"), "oom_kill");
}

static void
read_memory_v2(struct reading *r)
{
	struct iso_stats *s = r->s;
	uint64_t droppable, limit;
	const char *text = get(r, CG_V2, "memory.stat");

	droppable = keyed(text, "inactive_file");
	s->cache = keyed(text, "file");
	set_memory(s, number(get(r, CG_V2, "memory.current")), droppable);
	limit = number(get(r, CG_V2, "memory.max"));
	if (limit < s->memory_limit)
		s->memory_limit = limit;
	s->memory_peak = number(get(r, CG_V2, "memory.peak"));
	s->swap = number(get(r, CG_V2, "memory.swap.current"));
	s->oom_kills = keyed(get(r, CG_V2, "memory.events"), "oom_kill");
}

static void
read_pids(struct reading *r)
{
	enum cg_id t = place(r, CG_PIDS);

	r->s->pids = number(get(r, t, "pids.current"));
	r->s->pids_limit = number(get(r, t, "pids.max"));
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6": all devices together. */
static void
read_io_v2(struct reading *r)
{
	struct iso_stats *s = r->s;
	const char *l = get(r, CG_V2, "io.stat");

	if (l != NULL)
		s->read_bytes = s->written_bytes = s->reads = s->writes = 0;
	for (; l != NULL && *l != '\0'; l = strchr(l, '\n'), l = l != NULL ? l + 1 : NULL) {
		add(&s->read_bytes, in_line(l, "rbytes"));
		add(&s->written_bytes, in_line(l, "wbytes"));
		add(&s->reads, in_line(l, "rios"));
		add(&s->writes, in_line(l, "wios"));
	}
}

/* "8:0 Read 1\n8:0 Write 2\n8:0 Sync …\nTotal 3\n" */
static void
sum_v1(const char *text, uint64_t *reads, uint64_t *writes)
{
	if (text == NULL)
		return;
	*reads = *writes = 0;
	for (const char *l = text; l != NULL && *l != '\0';
	     l = strchr(l, '\n'), l = l != NULL ? l + 1 : NULL) {
		const char *word = l + strcspn(l, " \n");

		if (strncmp(word, " Read ", 6) == 0)
			add(reads, number(word + 6));
		else if (strncmp(word, " Write ", 7) == 0)
			add(writes, number(word + 7));
	}
}

static void
read_io_v1(struct reading *r)
{
	struct iso_stats *s = r->s;

	sum_v1(get(r, CG_IO, "blkio.throttle.io_service_bytes_recursive"), &s->read_bytes, &s->written_bytes);
	sum_v1(get(r, CG_IO, "blkio.throttle.io_serviced_recursive"), &s->reads, &s->writes);
}

/* ---- which groups ------------------------------------------------------------------ */

unsigned
meter_groups(const struct iso_meter *m, const char *cgroup, struct iso_stats *s)
{
	struct reading r = { .m = m, .s = s };
	struct cg_iter it = { .at = cgroup };
	struct cg_part part;

	memset(s, 0xff, sizeof(*s)); /* ISO_UNKNOWN everywhere */
	s->memory_limit = m->host_memory;
	while (cg_next(&it, &part, NULL) == 1)
		snprintf(r.group[part.id], sizeof(r.group[0]), "%s", part.path + (part.path[0] == '/'));
	read_cpu(&r);
	if (place(&r, CG_MEMORY) == CG_V2)
		read_memory_v2(&r);
	else
		read_memory_v1(&r);
	read_pids(&r);
	if (place(&r, CG_IO) == CG_V2)
		read_io_v2(&r);
	else
		read_io_v1(&r);
	return r.files;
}

/* ---- meters -------------------------------------------------------------------------- */

void
meter_init(struct iso_meter *m, const int trees[static CG_COUNT], uint64_t host_memory)
{
	static const struct {
		enum cg_id id;
		const char *word;
	} inside[] = { { CG_MEMORY, "memory" }, { CG_PIDS, "pids" }, { CG_IO, "io" }, { CG_CPU, "cpu" } };
	char text[512] = "";
	AUTO(fd) int fd = -1;
	ssize_t n;

	memset(m, 0, sizeof(*m));
	memcpy(m->trees, trees, sizeof(m->trees));
	m->host_memory = host_memory;
	if (trees[CG_V2] >= 0)
		fd = openat(trees[CG_V2], "cgroup.controllers", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	for (char *save, *w = strtok_r(text, " \n", &save); w != NULL; w = strtok_r(NULL, " \n", &save))
		for (size_t i = 0; i < ARRAY_LEN(inside); i++)
			m->inside[inside[i].id] |= strcmp(w, inside[i].word) == 0;
}

void
meter_fini(struct iso_meter *m)
{
	for (int i = 0; i < CG_COUNT; i++)
		fd_close(m->trees[i]);
}

static uint64_t
host_memory(void)
{
	struct sysinfo si;

	return sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit : ISO_UNKNOWN;
}

static int
open_trees(const struct cg_trees *t, int fds[static CG_COUNT])
{
	for (int i = 0; i < CG_COUNT; i++)
		fds[i] = t->tree[i].mount[0] == '\0'
		    ? -1
		    : open(t->tree[i].mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

int
iso_meter_open(struct iso_meter **out, struct err *e)
{
	int fds[CG_COUNT], r = CG_WITH_TREES(open_trees(trees, fds));
	struct iso_meter *m;

	if (r < 0)
		return r;
	m = malloc(sizeof(*m));
	if (m == NULL) {
		for (int i = 0; i < CG_COUNT; i++)
			fd_close(fds[i]);
		return err_nomem(e);
	}
	meter_init(m, fds, host_memory());
	*out = m;
	return 0;
}

void
iso_meter_close(struct iso_meter *m)
{
	if (m == NULL)
		return;
	meter_fini(m);
	free(m);
}

/* ---- a pot ------------------------------------------------------------------------------ */

struct sums {
	uint64_t cpu_ns, rss, n;
};

static int
add_task(void *arg, const struct iso_task *t)
{
	struct sums *sums = arg;

	sums->cpu_ns += t->cpu_ns;
	sums->rss += t->rss;
	sums->n++;
	return 0;
}

/* Processes that have ended are missing in the time, and shared pages are counted in each: better than nothing. */
static int
add_up(const struct iso_ref *ref, struct iso_stats *s, struct err *e)
{
	struct sums sums = { 0 };
	int r = iso_tasks(ref, add_task, &sums, e);

	if (r < 0)
		return r;
	if (s->cpu_ns == ISO_UNKNOWN)
		s->cpu_ns = sums.cpu_ns;
	if (s->memory == ISO_UNKNOWN)
		s->memory = sums.rss;
	if (s->pids == ISO_UNKNOWN)
		s->pids = sums.n;
	return 0;
}

int
iso_stats(struct iso_meter *m, const struct iso_ref *ref, struct iso_stats *s, struct err *e)
{
	const char *cgroup = ref->cgroup != NULL ? ref->cgroup : "";
	unsigned files = meter_groups(m, cgroup, s);

	if (files == 0 && cgroup[0] != '\0')
		return err_set(e, E_STATE, "the pot has ended");
	if (s->cpu_ns != ISO_UNKNOWN && s->memory != ISO_UNKNOWN && s->pids != ISO_UNKNOWN)
		return 0;
	return add_up(ref, s, e);
}
