/*
 * Processes of a jail as the kernel lists them (kern.proc), for usage, `top`
 * and the end of a pot.
 */
#include "isolation/freebsd/jail.h"

#include <sys/param.h>
#include <sys/sysctl.h>
#include <sys/user.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"

#define LIST_MAX ((size_t)256 << 20)
#define ARGS_MAX 4096

int
procs_each(int jid, int (*fn)(void *arg, const struct kinfo_proc *), void *arg, struct err *e)
{
	int mib[3] = { CTL_KERN, KERN_PROC, KERN_PROC_PROC };
	AUTO_FREE char *list = NULL;
	size_t size = 0;

	/* It grows between the two calls. */
	for (;;) {
		if (sysctl(mib, 3, NULL, &size, NULL, 0) != 0)
			return err_sys(e, "cannot list processes");
		size += size / 4 + sizeof(struct kinfo_proc);
		if (size > LIST_MAX)
			return err_set(e, E_LIMIT, "too many processes");
		free(list);
		list = malloc(size);
		if (list == NULL)
			return err_nomem(e);
		if (sysctl(mib, 3, list, &size, NULL, 0) == 0)
			break;
		if (errno != ENOMEM)
			return err_sys(e, "cannot list processes");
	}
	for (size_t at = 0; at + sizeof(struct kinfo_proc) <= size;) {
		struct kinfo_proc k;
		int rc;

		memcpy(&k, list + at, sizeof(k));
		if (k.ki_structsize != (int)sizeof(k))
			return err_set(e, E_NOTSUP, "this kernel lists processes in a form of its own");
		at += sizeof(k);
		rc = jid != 0 && k.ki_jid != jid ? 0 : fn(arg, &k);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* ---- top */

struct tasks {
	iso_task_fn *fn;
	void *arg;
};

/* Words with a blank between, what is not printable escaped. */
static void
escaped(char *out, size_t size, const char *from, size_t n)
{
	size_t o = 0;

	while (n > 0 && from[n - 1] == '\0')
		n--;
	for (size_t i = 0; i < n && o + 5 < size; i++) {
		unsigned char c = (unsigned char)from[i];

		if (c == '\0')
			out[o++] = ' ';
		else if (c < ' ' || c == 0x7f || c == '\\')
			o += (size_t)snprintf(out + o, size - o, "\\x%02x", c);
		else
			out[o++] = (char)c;
	}
	out[o] = '\0';
}

static char
state_of(const struct kinfo_proc *k)
{
	switch (k->ki_stat) {
	case SRUN:
		return 'R';
	case SSTOP:
		return 'T';
	case SZOMB:
		return 'Z';
	case SSLEEP:
	case SWAIT:
	case SLOCK:
		return (k->ki_tdflags & TDF_SINTR) != 0 ? 'S' : 'D';
	default:
		return '?';
	}
}

static int
one_task(void *arg, const struct kinfo_proc *k)
{
	struct tasks *t = arg;
	int mib[4] = { CTL_KERN, KERN_PROC, KERN_PROC_ARGS, k->ki_pid };
	char args[ARGS_MAX];
	size_t n = sizeof(args);
	struct iso_task it = { .pid = k->ki_pid,
		.host_pid = k->ki_pid,
		.ppid = k->ki_ppid,
		.uid = k->ki_uid,
		.state = state_of(k),
		.cpu_ns = k->ki_runtime * 1000,
		.rss = (uint64_t)k->ki_rssize * (uint64_t)getpagesize(),
		.vsize = k->ki_size,
		.start_ns = (int64_t)k->ki_start.tv_sec * 1000000000 + (int64_t)k->ki_start.tv_usec * 1000 };

	escaped(it.comm, sizeof(it.comm), k->ki_comm, strnlen(k->ki_comm, sizeof(k->ki_comm)));
	/* A process may end meanwhile, or have more than that. */
	if (sysctl(mib, 4, args, &n, NULL, 0) != 0 && errno != ENOMEM)
		n = 0;
	escaped(it.args, sizeof(it.args), args, n);
	return t->fn(t->arg, &it);
}

int
iso_tasks(const struct iso_ref *ref, iso_task_fn *fn, void *arg, struct err *e)
{
	struct tasks t = { fn, arg };
	const char *name = jail_of(ref->cgroup);
	int jid = name == NULL ? -E_NOENT : jail_find(name, e);

	if (jid == -E_NOENT)
		return err_set(e, E_STATE, "the pot has ended");
	return jid < 0 ? jid : procs_each(jid, one_task, &t, e);
}
