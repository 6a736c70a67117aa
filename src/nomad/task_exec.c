/*
 * Commands in running tasks. A child makes the process in the pot and stays
 * as its parent: it tells the exit status, and kills the command when the
 * agent gives it up. What is read and written goes past it, through pipes or
 * a terminal made in the pot.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/proc.h"
#include "nomad/agent_group.h"
#include "nomad/driver_impl.h"

#define PTY_TEXT "terminal"
#define RUNS_TEXT "runs"

struct exec {
	struct drv *d;
	struct call *call;
	const struct drv_exec *in;
	char pot[POT_NAME_LEN];
	char *user, *workdir;
	int theirs[3], ours[3]; /* the command's ends, and the agent's */
	struct work *work;
	bool cancelled;
};

static void
exec_free(struct exec *x)
{
	for (int i = 0; i < 3; i++) {
		fd_close(x->theirs[i]);
		fd_close(x->ours[i]);
	}
	free(x->user);
	free(x->workdir);
	free(x);
}

/* ---- the child -------------------------------------------------------------------------- */

static int
not_executed(const struct exec *x, struct kv *out, const struct err *why, struct err *e)
{
	AUTO_FINI(buf) struct buf line = BUF_INIT(2048);

	/* As a shell would say it, with a shell's status. */
	buf_fmt(&line, "%s\n", why->msg);
	if (x->theirs[2] >= 0)
		(void)!write(x->theirs[2], buf_cstr(&line), line.len);
	return kv_add(out, "status", why->code == E_NOCMD ? "127" : "126", e);
}

static int
wait_for(struct pot_process *p, struct say *s, int *status, struct err *e)
{
	struct err given_up = ERR_INIT;
	struct proc_id id;

	/* It is our child: its number is its own until we have waited for it. */
	if (proc_id_get(p->pid, &id, NULL) == 0 &&
	    proc_id_wait_or(&id, say_cancel(s), &given_up) == -E_INTR) {
		(void)kill(-p->pid, SIGKILL);
		(void)kill(p->pid, SIGKILL);
	}
	return pot_exec_wait(p, status, e);
}

static int
exec_run(void *arg, struct say *s, struct pot_ctx *ctx, struct kv *out, struct err *e)
{
	struct exec *x = arg;
	struct pot_exec_args a = { .argv = (char *const *)x->in->argv.v,
		.user = x->user[0] != '\0' ? x->user : NULL,
		.workdir = x->workdir[0] != '\0' ? x->workdir : NULL,
		.tty = x->in->tty,
		.fds = { x->theirs[0], x->theirs[1], x->theirs[2] } };
	struct pot_process p = { 0, -1 };
	struct err own = ERR_INIT;
	char text[12];
	int status, rc;

	agent_group_enter(x->in->task_id);
	rc = pot_exec(ctx, x->pot, &a, &p, &own);
	if (rc == -E_NOCMD || rc == -E_NOEXEC) {
		if (!x->in->tty)
			say_text(s, RUNS_TEXT);
		return not_executed(x, out, &own, e);
	}
	if (rc < 0) {
		*e = own;
		return rc;
	}
	if (x->in->tty)
		say_fd(s, PTY_TEXT, p.fd);
	else
		say_text(s, RUNS_TEXT);
	fd_close(p.fd);
	/* Only the command itself holds its ends now: who reads them sees when it has ended. */
	for (int i = 0; i < 3; i++)
		fd_close(x->theirs[i]);
	rc = wait_for(&p, s, &status, e);
	snprintf(text, sizeof(text), "%d", status);
	return rc < 0 ? rc : kv_add(out, "status", text, e);
}

/* ---- the driver --------------------------------------------------------------------------- */

static void
close_all(int fds[3])
{
	for (int i = 0; i < 3; i++)
		fd_close(take_fd(fds[i]));
}

static void
exec_told(void *arg, const char *text, int fd)
{
	struct exec *x = arg;
	struct drv_exec_fds fds = { -1, -1, -1 };

	if (strcmp(text, PTY_TEXT) == 0) {
		fds.out = fd;
	} else if (strcmp(text, RUNS_TEXT) == 0) {
		fd_close(fd);
		fds = (struct drv_exec_fds){ take_fd(x->ours[0]), take_fd(x->ours[1]), take_fd(x->ours[2]) };
	} else {
		fd_close(fd);
		log_warn(x->d->log, "%s: %s", x->pot, text);
		return;
	}
	call_exec_fds(x->call, &fds);
}

static void
exec_done(void *arg, int rc, const struct kv *out, const struct err *e)
{
	struct exec *x = arg;
	const char *status = kv_get(out, "status");
	struct drv_exit result = { 0 };

	x->work = NULL;
	call_on_cancel(x->call, NULL, NULL);
	if (x->cancelled) {
		call_done(x->call);
	} else if (rc < 0 || status == NULL) {
		call_fail(x->call, e, false);
	} else {
		result.code = (int32_t)strtol(status, NULL, 10);
		call_exec_exited(x->call, &result);
	}
	exec_free(x);
}

static const struct work_ops exec_ops = { exec_run, exec_told, exec_done };

static void
exec_cancelled(struct call *c, void *arg)
{
	struct exec *x = arg;

	(void)c;
	x->cancelled = true;
	work_cancel(x->work);
}

static int
make_pipes(struct exec *x, struct err *e)
{
	for (int i = 0; i < 3; i++) {
		int p[2];

		if (i == 0 && !x->in->has_stdin) {
			x->theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
			if (x->theirs[0] < 0)
				return err_sys(e, "cannot open /dev/null");
			continue;
		}
		if (pipe2(p, O_CLOEXEC) != 0)
			return err_sys(e, "cannot make a pipe");
		x->theirs[i] = p[i == 0 ? 0 : 1];
		x->ours[i] = p[i == 0 ? 1 : 0];
	}
	return 0;
}

static int
begin(struct exec *x, struct task *t, struct err *e)
{
	int rc = 0;

	if (t == NULL)
		return err_set(e, E_NOENT, "task not found");
	if (t->state != TASK_RUNNING)
		return err_set(e, E_STATE, "the task has ended");
	if (x->in->argv.n == 0)
		return err_set(e, E_INVAL, "no command is given");
	memcpy(x->pot, t->pot, sizeof(x->pot));
	x->user = strdup(t->user == NULL ? "" : t->user);
	x->workdir = strdup(t->workdir == NULL ? "" : t->workdir);
	if (x->user == NULL || x->workdir == NULL)
		return err_nomem(e);
	if (!x->in->tty)
		rc = make_pipes(x, e);
	if (rc == 0)
		rc = work_new_with(x->d, &exec_ops, x, x->theirs, &x->work, e);
	close_all(x->theirs);
	return rc;
}

void
task_exec(struct drv *d, struct call *c, const struct drv_exec *in)
{
	struct exec *x = calloc(1, sizeof(*x));
	struct err e = ERR_INIT;

	if (x == NULL) {
		(void)err_nomem(&e);
		call_fail(c, &e, false);
		return;
	}
	*x = (struct exec){ .d = d, .call = c, .in = in, .theirs = { -1, -1, -1 }, .ours = { -1, -1, -1 } };
	if (begin(x, task_find(d, in->task_id), &e) < 0) {
		exec_free(x);
		call_fail(c, &e, false);
		return;
	}
	call_on_cancel(c, exec_cancelled, x);
}
