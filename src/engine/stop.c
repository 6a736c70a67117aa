/*
 * The other end of a run: stopping, signals, waiting, the clean-up that the
 * shim has done, and joining a running pot.
 *
 * The clean-up of a run is done by one process: the verb that its shim
 * executes (eng_cleanup). Everybody else waits for the shim's lock to go and
 * then looks; where the shim was killed, that look is the repair.
 */
#include "engine/walls.h"

#include <sys/wait.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "model/signame.h"

#define CLEANUP_WAIT_MS 120000 /* hooks have their own limit below this */

int
eng_cleanup(struct eng *g, const char *name, uint64_t run_id, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc;

	/* No wait limit: whoever holds the lock is the starter, or waits for us. */
	rc = epot_get_raw(&p, g, name, -1, e);
	if (rc == -E_NOENT)
		return 0;
	if (rc < 0)
		return rc;
	if (run_id != 0 && p.state.rec.run_id != run_id)
		return 0;
	if (!state_is_active(&p.state.rec))
		return 0;
	rc = epot_walk_back(&p, POT_FAILED, "the shim left no record", e);
	/* Its builder died with it, or before. */
	if (rc == 0 && epot_is_abandoned(&p))
		rc = epot_remove_abandoned(&p, e);
	return rc == -E_NOENT ? 0 : rc;
}

/* Looks again, from the directory on, at a pot that was unlocked; it is locked then. */
static int
get_again(struct epot *p, struct err *e)
{
	AUTO_FINI(epot) struct epot seen = *p;

	*p = (struct epot)EPOT_INIT;
	return epot_get(p, seen.eng, seen.name, EPOT_WRITE, e);
}

/* Waits until the run that p has seen is over and cleaned up; p is reloaded, locked. */
static int
wait_cleaned(struct epot *p, struct err *e)
{
	int rc;

	epot_unlock(p);
	rc = epot_wait_run(p, CLEANUP_WAIT_MS, e);
	fault_point("stop.over");
	return rc < 0 ? rc : get_again(p, e);
}

/*
 * The lock of who stops this run; p is reloaded. It may still be held by who stopped the run before, on the way
 * out and in want of the pot's lock: only the state tells whether somebody stops this one. *fd stays -1 then, and
 * where nothing runs any more.
 */
static int
take_stop_lock(struct epot *p, int *fd, struct err *e)
{
	struct err own = ERR_INIT;
	int rc = 0;

	while (rc == 0 && state_is_active(&p->state.rec) && p->state.rec.state != POT_STOPPING) {
		*fd = lock_file(p->dir_fd, EPOT_STOP_LOCK, true, 0, &own);
		if (*fd >= 0)
			return 0;
		rc = *fd;
		*fd = -1;
		if (rc != -E_BUSY) {
			if (e != NULL)
				*e = own;
			return err_wrap(e, "cannot stop pot %s", p->name);
		}
		fault_point("stop.held");
		epot_unlock(p);
		rc = lock_file(p->dir_fd, EPOT_STOP_LOCK, true, CLEANUP_WAIT_MS, e);
		if (rc < 0)
			return err_wrap(e, "the last stop of pot %s does not end", p->name);
		fd_close(rc);
		rc = get_again(p, e);
	}
	return rc;
}

/* The pot's own way to stop, inside it, before any signal. */
static int
run_exec_stop(struct epot *p, int64_t timeout_ms, struct err *e)
{
	const char *cmd = potconf_attr(&p->conf, "exec_stop");
	AUTO_FINI(strv) struct strv argv = STRV_INIT(4096);
	AUTO_FINI(strv) struct strv env = STRV_INIT(4096);
	AUTO_FINI(buf) struct buf filter = BUF_INIT(64 * 1024);
	bool own_filter;
	AUTO(fd) int null = -1;
	struct iso_ref ref = epot_ref(p);
	struct proc_id id;
	pid_t pid;
	int pty, rc;

	if (*cmd == '\0')
		return 0;
	rc = text_split(cmd, &argv, e);
	if (rc == 0)
		rc = epot_environment(p, "/root", NULL, &env, e);
	if (rc < 0)
		return rc;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_sys(e, "cannot open /dev/null");
	{
		struct iso_exec_spec spec = {
			.argv = strv_argv(&argv), .envp = strv_argv(&env), .fds = { null, null, null }
		};

		rc = walls_filter(p, &filter, &spec.seccomp, &spec.seccomp_len, &own_filter, e);
		if (rc == 0)
			rc = iso_exec(&ref, &spec, &pid, &pty, e);
	}
	if (rc < 0)
		return rc;
	if (proc_id_get(pid, &id, NULL) == 0 && proc_id_wait(&id, (int)timeout_ms, NULL) == -E_TIMEOUT)
		(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return 0;
}

/* What an init system wants to hear differs. */
static int
stop_signal(const struct epot *p)
{
	int sig = signame_parse(potconf_attr(&p->conf, "stop_signal"), NULL);

	return sig > 0 ? sig : SIGTERM;
}

/*
 * Ends a locked, active pot and returns with it locked, ended and cleaned up.
 * timeout_ms 0: SIGKILL at once, without hooks and commands of the user.
 */
static int
end_run(struct epot *p, int64_t timeout_ms, struct err *e)
{
	struct iso_ref ref = epot_ref(p);
	struct err own = ERR_INIT;
	bool asked = timeout_ms > 0;
	int rc = 0;

	if (p->state.rec.state == POT_STOPPING) {
		/* Somebody stops it already; all that can be added is haste. */
		if (!asked)
			(void)!iso_signal(&ref, SIGKILL, NULL);
		return wait_cleaned(p, e);
	}
	if (asked && hook_run(p, HOOK_PRESTOP, &own) < 0)
		event_warn(&p->eng->events, "pot %s: %s", p->name, own.msg);
	if (p->state.rec.state == POT_PAUSED)
		rc = iso_freeze(&ref, false, e);
	if (rc < 0)
		return rc;
	p->state.rec.state = POT_STOPPING;
	rc = state_write(&p->state, false, e);
	if (rc < 0)
		return rc;
	fault_point("stop.marked");
	epot_unlock(p);
	if (asked) {
		if (run_exec_stop(p, timeout_ms, &own) < 0)
			event_warn(&p->eng->events, "pot %s: exec_stop: %s", p->name, own.msg);
		rc = iso_signal(&ref, stop_signal(p), &own);
		fault_point("stop.signalled");
		if (rc == 0)
			rc = proc_id_wait(&ref.init, (int)timeout_ms, &own);
	}
	if (!asked || rc == -E_TIMEOUT) {
		own = (struct err)ERR_INIT;
		rc = iso_signal(&ref, SIGKILL, &own);
		fault_point("stop.killed");
	}
	if (rc < 0 && rc != -E_NOENT && rc != -E_STATE) {
		if (e != NULL)
			*e = own;
		return rc;
	}
	return wait_cleaned(p, e);
}

int
epot_end(struct epot *p, int64_t timeout_ms, struct err *e)
{
	/* Held to the end: its absence tells the repair that whoever was stopping the pot is dead. */
	AUTO(fd) int stopping = -1;
	int rc = take_stop_lock(p, &stopping, e);

	if (rc < 0 || !state_is_active(&p->state.rec))
		return rc;
	rc = epot_load_conf(p, e);
	if (rc < 0 && timeout_ms > 0)
		return rc;
	if (timeout_ms < 0) {
		const char *own = potconf_get(&p->conf, "pot.attr.stop_timeout", NULL);

		/* The attribute's default is the configuration's value. */
		timeout_ms = config_duration_ms(p->eng->conf, "stop_timeout");
		if (own != NULL)
			(void)!text_duration(own, &timeout_ms, "stop_timeout", NULL);
	}
	return end_run(p, timeout_ms, e);
}

int
eng_stop(struct eng *g, const char *name, int64_t timeout_ms, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc = epot_get(&p, g, name, EPOT_WRITE, e);

	if (rc < 0)
		return rc;
	if (!state_is_active(&p.state.rec)) {
		err_set(e, E_STATE, "pot %s is not running", name);
		return err_hint(e, "pot ps -a");
	}
	return epot_end(&p, timeout_ms, e);
}

int
eng_kill(struct eng *g, const char *name, int sig, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	struct iso_ref ref;
	int rc = epot_get(&p, g, name, EPOT_READ, e);

	if (rc < 0)
		return rc;
	if (p.state.rec.state == POT_PAUSED && sig != SIGKILL)
		return epot_need_running(&p, e);
	if (!state_is_active(&p.state.rec) || p.state.rec.init.pid == 0) {
		err_set(e, E_STATE, "pot %s is not running", name);
		return err_hint(e, "pot ps -a");
	}
	ref = epot_ref(&p);
	rc = iso_signal(&ref, sig, e);
	if (rc == 0 && p.state.rec.state == POT_PAUSED)
		rc = iso_freeze(&ref, false, e); /* a frozen process dies when it thaws */
	return rc;
}

int
eng_pause(struct eng *g, const char *name, bool pause, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	struct iso_ref ref;
	int rc = epot_get(&p, g, name, EPOT_WRITE, e);

	if (rc < 0)
		return rc;
	if (pause && p.state.rec.state != POT_RUNNING)
		return epot_need_running(&p, e);
	if (!pause && p.state.rec.state != POT_PAUSED)
		return err_set(e, E_STATE, "pot %s is not paused", name);
	ref = epot_ref(&p);
	p.state.rec.op = OP_FREEZE;
	rc = state_write(&p.state, false, e);
	fault_point("pause.journalled");
	if (rc == 0)
		rc = iso_freeze(&ref, pause, e);
	fault_point("pause.frozen");
	if (rc == 0)
		p.state.rec.state = pause ? POT_PAUSED : POT_RUNNING;
	p.state.rec.op = OP_NONE;
	if (rc < 0) {
		(void)!state_write(&p.state, false, NULL);
		return err_wrap(e, "cannot %s %s", pause ? "pause" : "unpause", name);
	}
	return state_write(&p.state, false, e);
}

/* The starter is between its records, perhaps in a long prestart: its lock tells when they are whole. */
static int
wait_starter(const struct epot *p, struct err *e)
{
	struct err own = ERR_INIT;
	int fd = -E_BUSY;

	/* A lock has no event that could be waited for together with the flag. */
	while (fd == -E_BUSY) {
		if (eng_cancelled(p->eng))
			return err_set(e, E_INTR, "interrupted");
		fd = lock_file(p->dir_fd, "lock", true, 100, &own);
	}
	if (fd < 0) {
		if (e != NULL)
			*e = own;
		return fd;
	}
	fd_close(fd);
	return 0;
}

int
eng_wait(struct eng *g, const char *name, struct pot_exit *x, struct err *e)
{
	for (;;) {
		AUTO_FINI(epot) struct epot p = EPOT_INIT;
		struct proc_id shim;
		int rc = epot_get(&p, g, name, EPOT_READ, e);

		if (rc < 0)
			return rc;
		if (!state_is_active(&p.state.rec)) {
			epot_exit_get(&p, x);
			return 0;
		}
		shim = p.state.rec.shim;
		rc = shim.pid != 0 ? proc_id_wait_or(&shim, g->cancel, e) : wait_starter(&p, e);
		if (rc < 0)
			return rc;
	}
}

int
eng_last_exit(struct eng *g, const char *name, struct pot_exit *x, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc = epot_get(&p, g, name, EPOT_READ, e);

	if (rc == 0)
		epot_exit_get(&p, x);
	return rc;
}
