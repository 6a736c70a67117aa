/*
 * The processes of a pot as the host's /proc shows them, with the numbers they
 * have inside.  Nothing of the pot is executed or opened; names and arguments
 * are the pot's to choose, so they are escaped and cut.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "isolation/linux/walls.h"

#define FILE_MAX 8192
#define NOBODY 65534

struct pidmap {
	int32_t host, inside;
};

struct scan {
	uint32_t first, ids; /* of the pot's user namespace, or 0 */
	struct pidmap *v;
	size_t n, cap;
	struct err *e;
};

/* At most cap-1 bytes of /proc/PID/name; their count, or -1. */
static ssize_t
read_pid_file(pid_t pid, const char *name, char *out, size_t cap)
{
	char path[64];
	AUTO(fd) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, out, cap - 1);
	if (n >= 0)
		out[n] = '\0';
	return n;
}

/* The value of "Key:" in the text of status, or NULL. Lines of the kernel: no name can fake one
   (the name's own newline is escaped there). */
static const char *
status_value(const char *status, const char *key)
{
	size_t n = strlen(key);

	for (const char *l = status; *l != '\0'; l += strcspn(l, "\n"), l += *l == '\n') {
		if (strncmp(l, key, n) == 0 && l[n] == ':')
			return l + n + 1;
	}
	return NULL;
}

/* The number in the innermost pid namespace. */
static int32_t
inside_pid(pid_t host)
{
	char text[FILE_MAX];
	const char *v =
	    read_pid_file(host, "status", text, sizeof(text)) < 0 ? NULL : status_value(text, "NSpid");
	int32_t pid = 0;

	while (v != NULL && *v != '\n' && *v != '\0') {
		pid = (int32_t)strtol(v, (char **)&v, 10);
		while (*v == ' ' || *v == '\t')
			v++;
	}
	return pid;
}

static int
scan_add(void *arg, pid_t pid)
{
	struct scan *s = arg;
	struct pidmap m = { (int32_t)pid, pid > 0 ? inside_pid(pid) : 0 };

	if (m.inside <= 0)
		return 0; /* has ended */
	if (s->n == s->cap) {
		size_t cap = s->cap == 0 ? 64 : s->cap * 2;
		struct pidmap *v = reallocarray(s->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(s->e);
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = m;
	return 0;
}

static int
scan_cgroup(struct scan *s, const struct iso_ref *ref)
{
	AUTO(fd) int fd = -1;
	struct cg_trees *t = malloc(sizeof(*t));
	bool v2;
	int r;

	if (t == NULL)
		return err_nomem(s->e);
	r = cg_find(t, s->e);
	if (r == 0)
		r = fd = cg_open(t, ref->cgroup, &v2, s->e);
	free(t);
	return r < 0 ? r : cg_each(fd, scan_add, s, s->e);
}

static bool
ns_of(pid_t pid, struct stat *st)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	return stat(path, st) == 0;
}

/* Without a group: whoever is in the pid namespace of PID 1. */
static int
scan_namespace(struct scan *s, const struct iso_ref *ref)
{
	AUTO(dir) DIR *d = opendir("/proc");
	struct stat own, st;
	struct dirent *de;
	int r = 0;

	if (d == NULL)
		return err_sys(s->e, "cannot list \"/proc\"");
	if (!ns_of(ref->init.pid, &own))
		return err_set(s->e, E_STATE, "the pot has ended");
	while (r == 0 && (de = readdir(d)) != NULL) {
		pid_t pid = (pid_t)strtol(de->d_name, NULL, 10);

		if (isdigit((unsigned char)de->d_name[0]) && ns_of(pid, &st) && st.st_ino == own.st_ino &&
		    st.st_dev == own.st_dev)
			r = scan_add(s, pid);
	}
	return r;
}

/* Escaped into a fixed field; a character is never cut in half. */
static void
put_escaped(char *out, size_t cap, const char *in, size_t n)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(4 * FILE_MAX + 1);
	size_t len;

	text_escape(in, n, &b);
	len = b.len < cap ? b.len : cap - 1;
	while (len > 0 && len < b.len && ((unsigned char)b.data[len] & 0xc0) == 0x80)
		len--;
	memcpy(out, buf_cstr(&b), len);
	out[len] = '\0';
}

static int
by_host(const void *a, const void *b)
{
	const struct pidmap *x = a, *y = b;

	return x->host < y->host ? -1 : x->host > y->host;
}

/* The scan is in order by now: a pot may have tens of thousands of processes. */
static int32_t
to_inside(const struct scan *s, int32_t host)
{
	const struct pidmap key = { .host = host }, *m = bsearch(&key, s->v, s->n, sizeof(*s->v), by_host);

	return m != NULL ? m->inside : 0;
}

/* When the machine booted, ns since the epoch: what start times count from. */
static int64_t
boot_ns(void)
{
	struct timespec real, boot;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (int64_t)(real.tv_sec - boot.tv_sec) * 1000000000 + (real.tv_nsec - boot.tv_nsec);
}

/* Fields of proc(5) stat behind the name: 3 state, 4 ppid, 14/15 times, 22 start, 23 vsize, 24 rss. */
static bool
parse_stat(const char *text, const struct scan *s, struct iso_task *t)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	unsigned long long utime, stime, start, vsize;
	uint64_t tick = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	long rss;
	int ppid;

	if (open == NULL || close == NULL || close < open ||
	    sscanf(close + 1,
		" %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu %llu %ld",
		&t->state, &ppid, &utime, &stime, &start, &vsize, &rss) != 7)
		return false;
	put_escaped(t->comm, sizeof(t->comm), open + 1, (size_t)(close - open - 1));
	t->ppid = to_inside(s, ppid);
	t->cpu_ns = (utime + stime) * tick;
	t->start_ns = boot_ns() + (int64_t)(start * tick);
	t->vsize = vsize;
	t->rss = rss > 0 ? (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
	return true;
}

/* False when it has ended meanwhile. */
static bool
task_fill(const struct scan *s, const struct pidmap *m, struct iso_task *t)
{
	char text[FILE_MAX];
	const char *uid;
	ssize_t n;

	memset(t, 0, sizeof(*t));
	t->host_pid = m->host;
	t->pid = m->inside;
	if (read_pid_file(m->host, "stat", text, sizeof(text)) <= 0 || !parse_stat(text, s, t))
		return false;
	if (read_pid_file(m->host, "status", text, sizeof(text)) <= 0 ||
	    (uid = status_value(text, "Uid")) == NULL)
		return false;
	t->uid = (uint32_t)strtoul(uid, NULL, 10);
	if (s->ids != 0)
		t->uid = t->uid - s->first < s->ids ? t->uid - s->first : NOBODY;
	n = read_pid_file(m->host, "cmdline", text, sizeof(text));
	while (n > 0 && text[n - 1] == '\0')
		n--;
	for (ssize_t i = 0; i < n; i++) {
		if (text[i] == '\0')
			text[i] = ' ';
	}
	put_escaped(t->args, sizeof(t->args), text, n > 0 ? (size_t)n : 0);
	return true;
}

int
iso_tasks(const struct iso_ref *ref, iso_task_fn *fn, void *arg, struct err *e)
{
	struct scan s = { .e = e };
	struct iso_task t;
	int r;

	if (!proc_id_alive(&ref->init))
		return err_set(e, E_STATE, "the pot has ended");
	r = walls_ids(&ref->init, &s.first, &s.ids, e);
	if (r == 0)
		r = ref->cgroup != NULL && ref->cgroup[0] != '\0' ? scan_cgroup(&s, ref)
								  : scan_namespace(&s, ref);
	if (s.n > 0)
		qsort(s.v, s.n, sizeof(*s.v), by_host);
	for (size_t i = 0; r == 0 && i < s.n; i++) {
		if (task_fill(&s, &s.v[i], &t))
			r = fn(arg, &t);
	}
	free(s.v);
	return r;
}
