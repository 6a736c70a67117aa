/*
 * What the groups of a pot limit it to, on v1 and v2: which control files
 * there are for a limit and what is written to them.  A change is a list of
 * writes, each with the text that was there before, so that a failure can be
 * taken back.  Finding the groups is in cgroup.c; what a pot uses is read in
 * stats.c but for the few numbers that a change of limits depends on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "isolation/linux/cgroup.h"

#define KNOB_TEXT 192
#define PERIOD_US 100000 /* of the CPU quota; the kernel's default */
#define CONTROL_MAX (1u << 20)

/* One control file and what it is to say. */
struct knob {
	enum cg_id id;
	char file[40];
	char text[KNOB_TEXT];
	bool optional;    /* a kernel without the file limits nothing there, and nobody asked for it */
	const char *what; /* for messages */
};
struct knobs {
	struct knob *v;
	size_t n;
};

/* What the limits of a pot are written into: open groups, one for each controller. */
struct groups {
	int dir[CG_COUNT]; /* -1: not needed */
	bool v2[CG_COUNT];
};

/* ---- from limits to control files */

static struct knob *
add(struct knobs *k, enum cg_id id, const char *file, const char *what)
{
	struct knob *n = &k->v[k->n++];

	n->id = id;
	n->optional = false;
	n->what = what;
	snprintf(n->file, sizeof(n->file), "%s", file);
	n->text[0] = '\0';
	return n;
}

/* 0 is no limit: `none`. */
static void
add_number(struct knobs *k, enum cg_id id, const char *file, uint64_t v, const char *none, const char *what)
{
	struct knob *n = add(k, id, file, what);

	if (v == 0)
		snprintf(n->text, sizeof(n->text), "%s", none);
	else
		snprintf(n->text, sizeof(n->text), "%llu", (unsigned long long)v);
}

static void
memory_knobs(struct knobs *k, const struct iso_limits *l, bool v2)
{
	uint64_t swap = l->memory_swap;

	if (v2) {
		add_number(k, CG_MEMORY, "memory.max", l->memory, "max", "memory");
		/* v2 counts swap by itself. */
		struct knob *n = add(k, CG_MEMORY, "memory.swap.max", "memory and swap");
		if (swap == 0)
			snprintf(n->text, sizeof(n->text), "max");
		else
			snprintf(n->text, sizeof(n->text), "%llu",
			    (unsigned long long)(swap > l->memory ? swap - l->memory : 0));
		n->optional = !l->swap_wanted;
		add_number(k, CG_MEMORY, "memory.low", l->reservation, "0", "the memory reservation");
		n = add(k, CG_MEMORY, "memory.oom.group", "ending all at once");
		snprintf(n->text, sizeof(n->text), "%d", l->oom_group);
		n->optional = true;
		return;
	}
	add_number(k, CG_MEMORY, "memory.limit_in_bytes", l->memory, "-1", "memory");
	add_number(k, CG_MEMORY, "memory.memsw.limit_in_bytes", swap, "-1", "memory and swap");
	k->v[k->n - 1].optional = !l->swap_wanted;
	add_number(
	    k, CG_MEMORY, "memory.soft_limit_in_bytes", l->reservation, "-1", "the memory reservation");
}

static void
cpu_knobs(struct knobs *k, const struct iso_limits *l, bool v2)
{
	uint64_t quota = l->cpu_quota * (PERIOD_US / 1000);
	struct knob *n;

	if (!v2) {
		add_number(k, CG_CPU, "cpu.shares", l->cpu_shares, "1024", "the CPU shares");
		add_number(k, CG_CPU, "cpu.cfs_quota_us", quota, "-1", "the CPU quota");
		return;
	}
	/* 2..262144 to 1..10000, as everybody converts them. */
	add_number(k, CG_CPU, "cpu.weight", l->cpu_shares < 2 ? 0 : 1 + (l->cpu_shares - 2) * 9999 / 262142,
	    "100", "the CPU shares");
	n = add(k, CG_CPU, "cpu.max", "the CPU quota");
	if (quota == 0)
		snprintf(n->text, sizeof(n->text), "max %d", PERIOD_US);
	else
		snprintf(n->text, sizeof(n->text), "%llu %d", (unsigned long long)quota, PERIOD_US);
}

static void
device_knobs(struct knobs *k, const struct iso_io_limit *d, bool v2)
{
	const struct {
		const char *v1, *v2;
		uint64_t rate;
	} rows[] = { { "read_bps", "rbps", d->rbps }, { "write_bps", "wbps", d->wbps },
		{ "read_iops", "riops", d->riops }, { "write_iops", "wiops", d->wiops } };
	struct knob *n = v2 ? add(k, CG_IO, "io.max", "the I/O rates") : NULL;

	if (v2)
		snprintf(n->text, sizeof(n->text), "%u:%u", d->major, d->minor);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (v2) {
			size_t len = strlen(n->text);

			if (rows[i].rate == 0)
				snprintf(n->text + len, sizeof(n->text) - len, " %s=max", rows[i].v2);
			else
				snprintf(n->text + len, sizeof(n->text) - len, " %s=%llu", rows[i].v2,
				    (unsigned long long)rows[i].rate);
			continue;
		}
		n = add(k, CG_IO, "", "the I/O rates");
		snprintf(n->file, sizeof(n->file), "blkio.throttle.%s_device", rows[i].v1);
		snprintf(n->text, sizeof(n->text), "%u:%u %llu", d->major, d->minor,
		    (unsigned long long)rows[i].rate);
	}
}

/* What the kernel limits now may be more than what we were told: a change may have been interrupted. */
static int
add_listed(const char *line, struct iso_io_limit **v, size_t *n)
{
	struct iso_io_limit d = { 0 }, *more;

	if (sscanf(line, "%u:%u", &d.major, &d.minor) != 2)
		return 0;
	for (size_t i = 0; i < *n; i++)
		if ((*v)[i].major == d.major && (*v)[i].minor == d.minor)
			return 0;
	more = reallocarray(*v, *n + 1, sizeof(d));
	if (more == NULL)
		return -E_NOMEM;
	*v = more;
	more[(*n)++] = d;
	return 0;
}

static int
listed_devices(int dir, bool v2, struct iso_io_limit **v, size_t *n, struct err *e)
{
	static const char *const v1_files[] = { "blkio.throttle.read_bps_device",
		"blkio.throttle.write_bps_device", "blkio.throttle.read_iops_device",
		"blkio.throttle.write_iops_device" };
	static const char *const v2_files[] = { "io.max" };

	for (size_t i = 0; i < (v2 ? ARRAY_LEN(v2_files) : ARRAY_LEN(v1_files)); i++) {
		AUTO_FINI(buf) struct buf b = BUF_INIT(CONTROL_MAX);

		if (cg_read(dir, v2 ? v2_files[i] : v1_files[i], &b, NULL) < 0)
			continue;
		for (const char *l = buf_cstr(&b); *l != '\0'; l += strcspn(l, "\n"), l += *l == '\n')
			if (add_listed(l, v, n) < 0)
				return err_nomem(e);
	}
	return 0;
}

static bool
has_device(const struct iso_io_limit *v, size_t n, const struct iso_io_limit *d)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].major == d->major && v[i].minor == d->minor)
			return true;
	return false;
}

/* Devices that only the others name are told, without a limit, too. */
static void
io_knobs(struct knobs *k, const struct iso_limits *l, const struct iso_io_limit *others, size_t nothers,
    int dir, bool v2)
{
	const char *bfq = v2 ? "io.bfq.weight" : "blkio.bfq.weight";

	/* Schedulers with weights: bfq has its own file, the cost model of v2 another. */
	add_number(k, CG_IO, v2 && faccessat(dir, "io.weight", F_OK, 0) == 0 ? "io.weight" : bfq,
	    l->io_weight, "100", "the I/O weight");
	k->v[k->n - 1].optional = l->io_weight == 0;
	for (size_t i = 0; i < l->nio; i++)
		device_knobs(k, &l->io[i], v2);
	for (size_t i = 0; i < nothers; i++)
		if (!has_device(l->io, l->nio, &others[i]))
			device_knobs(
			    k, &(struct iso_io_limit){ others[i].major, others[i].minor, 0, 0, 0, 0 }, v2);
}

/* On v1 a group of cpuset always names its CPUs: without a limit all those of the group above. */
static void
cpuset_knobs(struct knobs *k, const struct iso_limits *l, int dir, bool v2)
{
	AUTO_FINI(buf) struct buf above = BUF_INIT(CONTROL_MAX);
	struct knob *n = add(k, CG_CPUSET, "cpuset.cpus", "the CPUs");

	if (l->cpus != NULL)
		snprintf(n->text, sizeof(n->text), "%s", l->cpus);
	else if (v2)
		snprintf(n->text, sizeof(n->text), "\n");
	else if (cg_read(dir, "../cpuset.cpus", &above, NULL) == 0)
		snprintf(n->text, sizeof(n->text), "%s", buf_cstr(&above));
}

static int
knobs_of(struct knobs *k, const struct groups *g, const struct iso_limits *l,
    const struct iso_io_limit *others, size_t nothers, struct err *e)
{
	k->n = 0;
	k->v = calloc(16 + 4 * (l->nio + nothers), sizeof(*k->v));
	if (k->v == NULL)
		return err_nomem(e);
	if (g->dir[CG_MEMORY] >= 0)
		memory_knobs(k, l, g->v2[CG_MEMORY]);
	if (g->dir[CG_PIDS] >= 0)
		add_number(k, CG_PIDS, "pids.max", l->pids, "max", "the number of processes");
	if (g->dir[CG_CPU] >= 0)
		cpu_knobs(k, l, g->v2[CG_CPU]);
	if (g->dir[CG_CPUSET] >= 0)
		cpuset_knobs(k, l, g->dir[CG_CPUSET], g->v2[CG_CPUSET]);
	if (g->dir[CG_IO] >= 0)
		io_knobs(k, l, others, nothers, g->dir[CG_IO], g->v2[CG_IO]);
	return 0;
}

/* ---- writing */

static int
read_number(int dir, const char *file, uint64_t *v, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(CONTROL_MAX);
	int r = cg_read(dir, file, &b, e);

	*v = r < 0 ? 0 : strtoull(buf_cstr(&b), NULL, 10);
	return r;
}

unsigned
iso_limits_controllers(const struct iso_limits *l)
{
	unsigned set = 0;

	if (l->memory != 0 || l->memory_swap != 0 || l->reservation != 0)
		set |= ISO_CG_MEMORY;
	if (l->pids != 0 && l->pids_wanted)
		set |= ISO_CG_PIDS;
	if (l->cpu_shares != 0 || l->cpu_quota != 0)
		set |= ISO_CG_CPU;
	if (l->cpus != NULL)
		set |= ISO_CG_CPUSET;
	if (l->io_weight != 0 || l->nio > 0)
		set |= ISO_CG_IO;
	return set;
}

/* Which of them this host cannot is found where its groups are made. */
int
iso_limits_check(const struct iso_limits *l, struct err *e)
{
	return 0;
}

static void
groups_fini(struct groups *g)
{
	for (enum cg_id id = 0; id < CG_COUNT; id++)
		fd_close(g->dir[id]);
}
DEFINE_AUTO_FINI(groups, struct groups)

/* `all`: also those that the limits do not need, where the pot has them. */
static int
groups_open(
    struct groups *g, const struct cg_trees *t, const char *cgroup, unsigned needed, bool all, struct err *e)
{
	for (enum cg_id id = CG_MEMORY; id < CG_COUNT; id++) {
		bool must = (needed & cg_bit(id)) != 0;

		/* A default number of processes is for hosts that can count them. */
		if (id == CG_CPUACCT || (!must && !all && id != CG_PIDS))
			continue;
		g->dir[id] = cg_open_for(t, cgroup, id, &g->v2[id], must ? e : NULL);
		if (g->dir[id] >= 0 || !must)
			continue;
		if (g->dir[id] == -E_NOTSUP)
			err_hint(
			    e, "mount it, or set cgroup_parent to a group that it is given to (pot doctor)");
		return g->dir[id];
	}
	return 0;
}

/* Devices that both lists tell are in both; so is every other file. */
static const struct knob *
counterpart(const struct knobs *k, const struct knob *n)
{
	size_t key = n->id == CG_IO && strstr(n->file, "weight") == NULL ? strcspn(n->text, " ") + 1 : 0;

	for (size_t i = 0; i < k->n; i++)
		if (k->v[i].id == n->id && strcmp(k->v[i].file, n->file) == 0 &&
		    strncmp(k->v[i].text, n->text, key) == 0)
			return &k->v[i];
	return NULL;
}

static int
turn(const struct groups *g, const struct knob *n, struct err *e)
{
	struct err own = ERR_INIT;
	int r = cg_write(g->dir[n->id], n->file, n->text, &own);

	if (r == 0 || (r == -E_NOENT && n->optional))
		return 0;
	if (r == -E_NOENT) {
		r = err_set(e, E_NOTSUP, "this kernel cannot limit %s: there is no \"%s\"", n->what, n->file);
		return r;
	}
	return err_set(e, own.code, "cannot limit %s to %s: %s", n->what, n->text, own.msg);
}

/*
 * v1 wants memory <= memory and swap at each moment: the second goes first
 * unless it would be less than what memory is limited to now. (Files of one
 * controller stand together in the list.)
 */
static void
order_v1(struct knobs *k, const struct groups *g, const struct iso_limits *want)
{
	uint64_t now;

	for (size_t i = 0; i + 1 < k->n; i++) {
		struct knob first = k->v[i];

		if (strcmp(first.file, "memory.limit_in_bytes") != 0)
			continue;
		if (want->memory_swap != 0 &&
		    (read_number(g->dir[CG_MEMORY], first.file, &now, NULL) < 0 || want->memory_swap < now))
			return;
		k->v[i] = k->v[i + 1];
		k->v[i + 1] = first;
		return;
	}
}

/*
 * The changes in order; those done are undone in reverse when one fails. In a
 * fresh group what is not limited is so already; in another, all is written:
 * it may hold what an interrupted change wrote.
 */
static int
turn_all(const struct groups *g, const struct knobs *from, const struct knobs *to, bool fresh, struct err *e)
{
	int r = 0;
	size_t i;

	for (i = 0; i < to->n && r == 0; i++) {
		const struct knob *was = counterpart(from, &to->v[i]);

		if (!fresh || was == NULL || strcmp(was->text, to->v[i].text) != 0)
			r = turn(g, &to->v[i], e);
	}
	for (i = r < 0 ? i - 1 : 0; i > 0; i--) {
		const struct knob *was = counterpart(from, &to->v[i - 1]);

		if (was != NULL && strcmp(was->text, to->v[i - 1].text) != 0)
			(void)!turn(g, was, NULL);
	}
	return r;
}

/* All devices that are limited, will be, or were by an interrupted change. */
static int
all_devices(const struct groups *g, const struct iso_limits *have, const struct iso_limits *want, bool fresh,
    struct iso_io_limit **v, size_t *n, struct err *e)
{
	*n = 0;
	*v = calloc(have->nio + want->nio + 1, sizeof(**v));
	if (*v == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < have->nio; i++)
		(*v)[(*n)++] = have->io[i];
	for (size_t i = 0; i < want->nio; i++)
		if (!has_device(*v, *n, &want->io[i]))
			(*v)[(*n)++] = want->io[i];
	return fresh || g->dir[CG_IO] < 0 ? 0 : listed_devices(g->dir[CG_IO], g->v2[CG_IO], v, n, e);
}

static int
apply(const struct cg_trees *t, const char *cgroup, const struct iso_limits *have,
    const struct iso_limits *want, bool fresh, struct err *e)
{
	AUTO_FINI(groups)
	struct groups g = { .dir = { [0 ... CG_COUNT - 1] = -1 } };
	struct knobs from = { NULL, 0 }, to = { NULL, 0 };
	AUTO_FREE struct iso_io_limit *devices = NULL;
	size_t ndevices;
	int r = groups_open(
	    &g, t, cgroup, iso_limits_controllers(have) | iso_limits_controllers(want), !fresh, e);

	if (r == 0)
		r = all_devices(&g, have, want, fresh, &devices, &ndevices, e);
	if (r == 0)
		r = knobs_of(&from, &g, have, devices, ndevices, e);
	if (r == 0)
		r = knobs_of(&to, &g, want, devices, ndevices, e);
	if (r == 0) {
		order_v1(&to, &g, want);
		r = turn_all(&g, &from, &to, fresh, e);
	}
	free(from.v);
	free(to.v);
	return r;
}

int
cg_limit(const struct cg_trees *t, const char *cgroup, const struct iso_limits *have,
    const struct iso_limits *want, struct err *e)
{
	static const struct iso_limits none;

	return apply(t, cgroup, have == NULL ? &none : have, want, have == NULL, e);
}

int
iso_limits_apply(
    const char *cgroup, const struct iso_limits *have, const struct iso_limits *want, struct err *e)
{
	/* The usual pot has none: nothing to look for. */
	if (have == NULL && iso_limits_controllers(want) == 0 && want->pids == 0)
		return 0;
	return CG_WITH_NAMED(cgroup, cg_limit(trees, cgroup, have, want, e));
}

/* ---- what a change depends on */

/* The number on the line that begins with the word; 0 without one. */
static uint64_t
line_number(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *l = text; *l != '\0'; l += strcspn(l, "\n"), l += *l == '\n')
		if (strncmp(l, word, n) == 0 && l[n] == ' ')
			return strtoull(l + n, NULL, 10);
	return 0;
}

/* Page cache is dropped when the room is needed; what is left is in use. */
static int
memory_used(int dir, bool v2, uint64_t *bytes, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(CONTROL_MAX);
	uint64_t cache;
	int r = read_number(dir, v2 ? "memory.current" : "memory.usage_in_bytes", bytes, e);

	if (r == 0)
		r = cg_read(dir, "memory.stat", &b, e);
	if (r < 0)
		return r;
	cache = line_number(buf_cstr(&b), v2 ? "inactive_file" : "total_inactive_file") +
	    line_number(buf_cstr(&b), v2 ? "active_file" : "total_active_file");
	*bytes -= cache < *bytes ? cache : *bytes;
	return 0;
}

int
cg_used(const struct cg_trees *t, const char *cgroup, uint64_t *memory, uint64_t *pids, struct err *e)
{
	bool v2;
	AUTO(fd) int mem = cg_open_for(t, cgroup, CG_MEMORY, &v2, e), p = -1;
	int r = 0;

	*memory = *pids = 0;
	if (mem >= 0)
		r = memory_used(mem, v2, memory, e);
	if (r < 0 || (mem < 0 && mem != -E_NOTSUP))
		return r < 0 ? r : mem;
	p = cg_open_for(t, cgroup, CG_PIDS, &v2, e);
	if (p >= 0)
		return read_number(p, "pids.current", pids, e);
	return p == -E_NOTSUP ? 0 : p;
}

int
cg_oom_kills(const struct cg_trees *t, const char *cgroup, uint64_t *kills, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(CONTROL_MAX);
	bool v2;
	AUTO(fd) int dir = cg_open_for(t, cgroup, CG_MEMORY, &v2, e);
	int r;

	*kills = 0;
	if (dir < 0)
		return dir == -E_NOTSUP ? 0 : dir;
	r = cg_read(dir, v2 ? "memory.events" : "memory.oom_control", &b, e);
	if (r == 0)
		*kills = line_number(buf_cstr(&b), "oom_kill");
	return r;
}

int
iso_limits_used(const char *cgroup, uint64_t *memory, uint64_t *pids, struct err *e)
{
	return CG_WITH_NAMED(cgroup, cg_used(trees, cgroup, memory, pids, e));
}

int
iso_oom_kills(const char *cgroup, uint64_t *kills, struct err *e)
{
	return CG_WITH_NAMED(cgroup, cg_oom_kills(trees, cgroup, kills, e));
}
