/*
 * What is done with a pot that runs, each verb as its operations in order:
 * pausing, ending it, mounts into and out of it, and how a process becomes a
 * command of it. Pure, as plan.c.
 */
#include "isolation/freebsd/plan.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "model/shimproto.h"

#define FREEZE_ROUNDS 100

/* Until none runs: one that was being made while the others were stopped is there at the second look. */
static int
stop_all(const struct kern *k, const char *jail, struct err *e)
{
	unsigned running;
	int rc;

	for (int i = 0; i < FREEZE_ROUNDS; i++) {
		rc = k->signal_all(k->arg, jail, SIGSTOP, e);
		if (rc == 0)
			rc = k->running(k->arg, jail, &running, e);
		if (rc < 0 || running == 0)
			return rc;
	}
	return err_set(e, E_TIMEOUT, "the pot makes processes faster than they are stopped");
}

int
verb_freeze(const struct kern *k, const char *jail, bool frozen, struct err *e)
{
	int rc;

	if (frozen) {
		rc = stop_all(k, jail, e);
		if (rc < 0)
			(void)!k->signal_all(k->arg, jail, SIGCONT, NULL);
		return rc;
	}
	rc = k->signal_all(k->arg, jail, SIGCONT, e);
	/* What it was told while it was paused may have ended it, and us in there with it. */
	return rc == -E_STATE ? 0 : rc;
}

int
verb_kill(const struct kern *k, const char *jail, struct err *e)
{
	/* Only a jail that pot made. */
	int rc = k->known(k->arg, jail, e);

	return rc == -E_NOENT ? 0 : rc < 0 ? rc : k->jail_drop(k->arg, jail, e);
}

int
verb_mount_in(const struct kern *k, const char *jail, const struct plan_mount *m, struct err *e)
{
	int root = k->root_open(k->arg, jail, e), rc;

	if (root < 0)
		return root;
	rc = k->mount(k->arg, root, NULL, m, e);
	k->root_close(k->arg, root);
	return rc;
}

int
verb_mount_out(const struct kern *k, const char *jail, const char *target, struct err *e)
{
	int root = k->root_open(k->arg, jail, e), rc;

	if (root < 0)
		return root;
	rc = k->unmount(k->arg, root, target, e);
	k->root_close(k->arg, root);
	return rc;
}

/* ---- becoming a command */

uint32_t
entry_walk(const struct entry *n, int *sys)
{
	int dir;

	if ((*sys = n->untraceable(n->arg)) != 0 || (*sys = n->attach(n->arg)) != 0)
		return SHIM_STEP_JAIL;
	if (n->terminal != NULL && (*sys = n->terminal(n->arg)) != 0)
		return SHIM_STEP_DIRECT;
	/* As root first; a directory that only the user may enter as the user. */
	dir = *sys = n->change_dir(n->arg);
	if (dir != 0 && dir != EACCES)
		return SHIM_STEP_WORKDIR;
	if ((*sys = n->identity(n->arg)) != 0)
		return SHIM_STEP_USER;
	if (dir != 0 && (*sys = n->change_dir(n->arg)) != 0)
		return SHIM_STEP_WORKDIR;
	n->signals(n->arg);
	*sys = n->execute(n->arg);
	return SHIM_STEP_EXEC;
}

int
entry_failure(const struct shim_failure *f, struct err *e)
{
	switch (f->step) {
	case SHIM_STEP_EXEC:
		if (f->sys == ENOENT || f->sys == ENOTDIR)
			return err_set(e, E_NOCMD, "\"%.200s\": no such file in the pot", f->what);
		return err_set(
		    e, E_NOEXEC, "\"%.200s\" cannot be executed in the pot: %s", f->what, strerror(f->sys));
	case SHIM_STEP_WORKDIR:
		return err_sysno(e, f->sys, "cannot change to the directory \"%.200s\" of the pot", f->what);
	case SHIM_STEP_USER:
		return err_sysno(e, f->sys, "cannot become the user of the command");
	case SHIM_STEP_JAIL:
		/* There is no jail of this number any more. */
		if (f->sys == EINVAL)
			return err_set(e, E_STATE, "the pot has ended");
		return err_sysno(e, f->sys, "cannot enter the jail");
	case SHIM_STEP_DIRECT:
		return err_sysno(e, f->sys, "cannot make a terminal in the pot");
	default:
		return err_sysno(e, f->sys, "cannot set up the pot");
	}
}
