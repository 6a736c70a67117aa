/*
 * Jails by system call: jail_set(2), jail_get(2), jail_remove(2), and working
 * inside of one. A jail is found by its name, which only a living one answers
 * to; a descriptor that owns it (FreeBSD 15) is asked for at run time.
 */
#include "isolation/freebsd/jail.h"

#include <sys/param.h>
#include <sys/jail.h>
#include <sys/procctl.h>
#include <sys/sysctl.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/freebsd/jailend.h"

#define ERRMSG_SIZE 256
#define END_MS 10000
#define PROCS_MAX 65536

/* The kernel's own words where it has some. */
static int
failed(const char *what, const char *name, const char *errmsg, struct err *e)
{
	int sys = errno;

	if (errmsg[0] != '\0')
		return err_set(e, err_from_errno(sys), "cannot %s jail %s: %s", what, name, errmsg);
	return err_sysno(e, sys, "cannot %s jail %s", what, name);
}

static struct iovec
iov_of(const void *p, size_t n)
{
	return (struct iovec){ .iov_base = (void *)(uintptr_t)p, .iov_len = n };
}

static size_t
put(struct iovec *iov, size_t n, const char *name, const void *value, size_t len)
{
	iov[n] = iov_of(name, strlen(name) + 1);
	iov[n + 1] = iov_of(value, len);
	return n + 2;
}

int
jail_find(const char *name, struct err *e)
{
	char errmsg[ERRMSG_SIZE] = "", own[MAXHOSTNAMELEN];
	struct iovec iov[4];
	size_t n;
	int jid;

	/* The kernel writes the name back. */
	if ((size_t)snprintf(own, sizeof(own), "%s", name) >= sizeof(own))
		return err_set(e, E_NOENT, "there is no jail %.64s…", name);
	n = put(iov, 0, "name", own, strlen(own) + 1);
	n = put(iov, n, "errmsg", errmsg, sizeof(errmsg));
	jid = jail_get(iov, (unsigned)n, 0);
	if (jid >= 0)
		return jid;
	return errno == ENOENT ? err_set(e, E_NOENT, "there is no jail %s", name)
			       : failed("find", name, errmsg, e);
}

int
jail_next(int jid, char *name, size_t size)
{
	struct iovec iov[4];
	size_t n = put(iov, 0, "lastjid", &jid, sizeof(jid));

	n = put(iov, n, "name", name, size);
	return jail_get(iov, (unsigned)n, JAIL_DYING);
}

bool
jail_is_dying(int jid)
{
	struct iovec iov[2];
	size_t n = put(iov, 0, "jid", &jid, sizeof(jid));

	return jail_get(iov, (unsigned)n, 0) < 0 && jail_get(iov, (unsigned)n, JAIL_DYING) >= 0;
}

int
jail_path(int jid, char *out, size_t size, struct err *e)
{
	struct iovec iov[4];
	size_t n = put(iov, 0, "jid", &jid, sizeof(jid));

	n = put(iov, n, "path", out, size);
	if (jail_get(iov, (unsigned)n, 0) >= 0)
		return 0;
	return errno == ENOENT ? err_set(e, E_STATE, "the pot has ended") : err_sys(e, "jail %d", jid);
}

int
jail_make(const struct params *p, struct err *e)
{
	char errmsg[ERRMSG_SIZE] = "";
	const char *name = params_find(p, "name")->text;
	struct iovec iov[2 * PARAMS_MAX + 2];
	size_t n = 0;
	int jid;

	for (size_t i = 0; i < p->n; i++) {
		const struct param *a = &p->v[i];

		n = a->kind == PARAM_TEXT  ? put(iov, n, a->name, a->text, strlen(a->text) + 1)
		    : a->kind == PARAM_INT ? put(iov, n, a->name, &a->number, sizeof(a->number))
					   : put(iov, n, a->name, NULL, 0);
	}
	n = put(iov, n, "errmsg", errmsg, sizeof(errmsg));
	jid = jail_set(iov, (unsigned)n, JAIL_CREATE);
	if (jid >= 0)
		return jid;
	if (errno == EEXIST) {
		/* One that is dying does not keep its name. */
		failed("make", name, errmsg, e);
		return err_hint(e, "another program made a jail of this name: jls -n -j %s", name);
	}
	return failed("make", name, errmsg, e);
}

int
jail_own(int jid)
{
	struct iovec iov[4];
	size_t n = put(iov, 0, "jid", &jid, sizeof(jid));
	int fd = -1;

	/* Kernels before 15 do not know the flag: EINVAL. */
	n = put(iov, n, "desc", &fd, sizeof(fd));
	return jail_set(iov, (unsigned)n, JAIL_UPDATE | JAIL_OWN_DESC) < 0 ? -1 : fd;
}

/* ---- its end */

struct ids {
	struct proc_id v[PROCS_MAX];
	size_t n;
};

static int
add_id(void *arg, const struct kinfo_proc *k)
{
	struct ids *ids = arg;

	if (ids->n < PROCS_MAX && k->ki_stat != SZOMB && proc_id_get(k->ki_pid, &ids->v[ids->n], NULL) == 0)
		ids->n++;
	return 0;
}

int
jail_drop(const char *name, struct err *e)
{
	AUTO_FREE struct ids *ids = NULL;
	int jid = jail_find(name, e), rc;

	if (jid == -E_NOENT)
		return 0;
	if (jid < 0)
		return jid;
	ids = calloc(1, sizeof(*ids));
	if (ids == NULL)
		return err_nomem(e);
	rc = procs_each(jid, add_id, ids, e);
	if (rc == 0 && jail_end(jid) != 0 && errno != EINVAL && errno != ENOENT)
		return err_sys(e, "cannot remove jail %s", name);
	for (size_t i = 0; i < ids->n && rc == 0; i++)
		rc = proc_id_wait(&ids->v[i], END_MS, e);
	return rc < 0 ? err_wrap(e, "jail %s", name) : 0;
}

/* ---- inside */

static _Noreturn void
go_inside(int jid, int (*fn)(void *arg), void *arg, int report)
{
	int off = PROC_TRACE_CTL_DISABLE, answer[2] = { 0, 0 };

	/* The kernel lets nobody in who has a directory open. */
	report = dup2(report, 3);
	closefrom(4);
	/* From the moment on in which it is in there it could be looked at, with all that our memory holds. */
	if (procctl(P_PID, 0, PROC_TRACE_CTL, &off) != 0 || jail_attach(jid) != 0) {
		answer[0] = errno;
	} else {
		answer[1] = fn(arg);
	}
	(void)!write(report, answer, sizeof(answer));
	_exit(0);
}

int
jail_inside(int jid, int (*fn)(void *arg), void *arg, int *answer, struct err *e)
{
	int p[2], got[2] = { ESRCH, 0 };
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) != 0)
		return err_sys(e, "cannot make a pipe");
	pid = fork();
	if (pid == 0)
		go_inside(jid, fn, arg, p[1]);
	fd_close(p[1]);
	if (pid > 0) {
		while (read(p[0], got, sizeof(got)) < 0 && errno == EINTR)
			;
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	fd_close(p[0]);
	if (pid < 0)
		return err_sys(e, "cannot make a process");
	if (got[0] == EINVAL || got[0] == ESRCH)
		return err_set(e, E_STATE, "the pot has ended");
	if (got[0] != 0)
		return err_sysno(e, got[0], "cannot enter jail %d", jid);
	*answer = got[1];
	return 0;
}
