/*
 * What the host can give, and limits that belong to a process and not to a
 * group: how much memory and how many CPUs, processes and files there are,
 * which disk a path is on, and setrlimit(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "isolation/linux/rlimits.h"

#define INF ISO_RLIM_INFINITY
#define MIB (1024 * 1024)

/* By name, and what a process has that nobody limits: whoever starts a pot may be limited himself. */
static const struct {
	const char *name;
	int resource;
	uint64_t soft, hard;
} rows[] = {
	{ "as", RLIMIT_AS, INF, INF },
	{ "core", RLIMIT_CORE, 0, INF },
	{ "cpu", RLIMIT_CPU, INF, INF },
	{ "data", RLIMIT_DATA, INF, INF },
	{ "fsize", RLIMIT_FSIZE, INF, INF },
	{ "memlock", RLIMIT_MEMLOCK, 8 * MIB, 8 * MIB },
	{ "msgqueue", RLIMIT_MSGQUEUE, 819200, 819200 },
	{ "nice", RLIMIT_NICE, 0, 0 },
	{ "nofile", RLIMIT_NOFILE, 1024, 1048576 },
	{ "nproc", RLIMIT_NPROC, INF, INF },
	{ "rss", RLIMIT_RSS, INF, INF },
	{ "rtprio", RLIMIT_RTPRIO, 0, 0 },
	{ "rttime", RLIMIT_RTTIME, INF, INF },
	{ "sigpending", RLIMIT_SIGPENDING, 65536, 65536 },
	{ "stack", RLIMIT_STACK, 8 * MIB, INF },
};
_Static_assert(ARRAY_LEN(rows) == RLIMITS_COUNT, "as many rows as rlimits.h says");

static int
find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return (int)i;
	return -1;
}

static struct rlimits_row
usual(int resource, uint64_t soft, uint64_t hard)
{
	struct rlimits_row row = { resource, false, { soft, hard }, { soft, hard } };
	struct rlimit own;

	if (getrlimit((__rlimit_resource_t)resource, &own) == 0 && own.rlim_max < hard) {
		row.lower[0] = soft < own.rlim_max ? soft : own.rlim_max;
		row.lower[1] = own.rlim_max;
	}
	return row;
}

int
rlimits_get(struct rlimits *out, const struct iso_rlimit *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		out->v[i] = usual(rows[i].resource, rows[i].soft, rows[i].hard);
	for (size_t i = 0; i < n; i++) {
		int at = find(v[i].name);

		if (at < 0)
			return err_set(e, E_NOTSUP, "this system has no limit \"%s\"", v[i].name);
		out->v[at].asked = true;
		out->v[at].value[0] = v[i].soft;
		out->v[at].value[1] = v[i].hard;
		if (out->v[at].lower[1] == rows[at].hard)
			out->v[at].lower[1] = v[i].hard;
	}
	return 0;
}

static int
not_allowed(const char *name, const struct rlimits_row *row, struct err *e)
{
	int sys = errno;

	err_sysno(e, sys, "cannot set the limit \"%s\"", name);
	if (sys == EPERM && row->lower[1] < row->value[1])
		err_hint(e, "pot itself is limited: at most %llu", (unsigned long long)row->lower[1]);
	return e != NULL ? -e->code : -E_PERM;
}

int
rlimits_set(pid_t pid, const struct rlimits *l, struct err *e)
{
	for (size_t i = 0; i < RLIMITS_COUNT; i++) {
		const struct rlimits_row *row = &l->v[i];
		/* As the kernel has it: two numbers of 64 bits, all ones without a limit. */
		const struct rlimit r = { row->value[0], row->value[1] };
		const struct rlimit lower = { row->lower[0], row->lower[1] };
		__rlimit_resource_t which = (__rlimit_resource_t)row->resource;

		if (prlimit(pid, which, &r, NULL) == 0)
			continue;
		if (row->asked)
			return not_allowed(rows[i].name, row, e);
		/* Without the right to raise limits the usual ones are given as far as they go. */
		(void)prlimit(pid, which, &lower, NULL);
	}
	return 0;
}

static uint64_t
read_number(const char *path)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(4096);
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 || fd_read_all(fd, &b, NULL) < 0 ? 0 : strtoull(buf_cstr(&b), NULL, 10);
}

void
iso_host(struct iso_host *h)
{
	struct sysinfo si;

	h->memory = sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit : 0;
	h->pids = read_number("/proc/sys/kernel/pid_max");
	h->nofile = read_number("/proc/sys/fs/nr_open");
}

int
iso_cpus_allowed(unsigned *cpus, size_t max, size_t *n, struct err *e)
{
	size_t size = CPU_ALLOC_SIZE(max);
	cpu_set_t *set = CPU_ALLOC(max);
	int r = set == NULL ? err_nomem(e) : 0;

	*n = 0;
	if (r == 0 && sched_getaffinity(0, size, set) != 0)
		r = err_sys(e, "cannot find the CPUs that may be used");
	for (size_t i = 0; i < max && r == 0; i++)
		if (CPU_ISSET_S(i, size, set))
			cpus[(*n)++] = (unsigned)i;
	CPU_FREE(set);
	return r;
}

/* Limits are for whole disks: the one that a partition is on. */
static int
whole_disk(dev_t dev, unsigned *major_out, unsigned *minor_out, const char *path, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(4096);
	AUTO(fd) int fd = -1;
	char name[80];
	const char *colon;

	*major_out = major(dev);
	*minor_out = minor(dev);
	snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/partition", major(dev), minor(dev));
	if (access(name, F_OK) != 0)
		return 0;
	snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/../dev", major(dev), minor(dev));
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fd_read_all(fd, &b, NULL) < 0 || (colon = strchr(buf_cstr(&b), ':')) == NULL)
		return err_set(e, E_NOTSUP, "cannot find the disk that %s is on", path);
	*major_out = (unsigned)strtoul(buf_cstr(&b), NULL, 10);
	*minor_out = (unsigned)strtoul(colon + 1, NULL, 10);
	return 0;
}

int
iso_block_device(const char *path, unsigned *major_out, unsigned *minor_out, struct err *e)
{
	struct stat st;
	dev_t dev;

	if (stat(path, &st) != 0)
		return err_sys(e, "cannot limit the I/O of %s", path);
	dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	if (major(dev) == 0) {
		err_set(e, E_NOTSUP, "the file system of %s is not on one disk", path);
		return err_hint(e, "name the disk: --io /dev/DISK:rbps=...");
	}
	return whole_disk(dev, major_out, minor_out, path, e);
}
