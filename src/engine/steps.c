/*
 * Walking back: the undo of each step of a start (the way up is start.c), and
 * how a run's end gets into the state. Every undo may be repeated, works in
 * any process, and finds what it needs in the state.
 */
#include "engine/limit.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "base/text.h"

static int
down_network(struct epot *p, struct err *e)
{
	return epot_net_down(p, e);
}

static int
down_process(struct epot *p, struct err *e)
{
	const struct iso_ref ref = epot_ref(p);

	if (ref.init.pid == 0 && ref.cgroup == NULL)
		return 0;
	return iso_kill_all(&ref, e);
}

static int
down_cgroup(struct epot *p, struct err *e)
{
	return p->state.rec.cgroup[0] == '\0' ? 0 : iso_cgroup_remove(p->state.rec.cgroup, e);
}

static int
down_root(struct epot *p, struct err *e)
{
	int rc = eng_need_storage(p->eng, e);

	return rc < 0 ? rc : stor_unmount(p->eng->stor, epot_fs(p), e);
}

/* Prestart has run, so poststop must; what it returns changes nothing any more. */
static int
down_hooks(struct epot *p, struct err *e)
{
	struct err own = ERR_INIT;

	(void)e;
	if (hook_run(p, HOOK_POSTSTOP, &own) < 0)
		event_warn(&p->eng->events, "pot %s: %s", p->name, own.msg);
	return 0;
}

static const struct {
	const char *name;
	int (*down)(struct epot *, struct err *);
} steps[STEP_COUNT] = {
	[STEP_HOOKS] = { "walk-back.hooks", down_hooks },
	[STEP_ROOT] = { "walk-back.root", down_root },
	/* pots/NAME/etc is the pot's own and stays; its mounts ended with the processes. */
	[STEP_FILES] = { "walk-back.files", NULL },
	[STEP_CGROUP] = { "walk-back.cgroup", down_cgroup },
	[STEP_PROCESS] = { "walk-back.process", down_process },
	[STEP_NETWORK] = { "walk-back.network", down_network },
};

static void
oom_reason(struct state_rec *r)
{
	r->reason[0] = '\0';
	if (r->oom_kills > 0)
		snprintf(r->reason, sizeof(r->reason), "out of memory: the kernel killed %u of its processes",
		    r->oom_kills);
}

/* How the run ended, into the record. */
static void
take_exit(struct epot *p, const char *reason)
{
	struct state_rec *r = &p->state.rec;
	struct shim_exit x;

	r->stopped_ns = text_now_ns();
	r->exit_ns = r->stopped_ns;
	if (state_exit(&p->state, &x, NULL) == 1) {
		r->exit_ns = x.time_ns;
		r->signal = WIFSIGNALED(x.wait_status) ? WTERMSIG(x.wait_status) : 0;
		r->status = r->signal != 0 ? 128 + r->signal : WEXITSTATUS(x.wait_status);
		r->crashed = 0;
		oom_reason(r);
		if (x.log_lost > 0)
			snprintf(r->reason, sizeof(r->reason),
			    "%llu bytes of output could not be kept: the disk was full",
			    (unsigned long long)x.log_lost);
		return;
	}
	/* A start that never reached its command has no exit of its own. */
	if (r->state != POT_STARTING) {
		r->signal = SIGKILL;
		r->status = 128 + SIGKILL;
	}
	r->crashed = 1;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

int
epot_walk_back(struct epot *p, enum pot_state final, const char *reason, struct err *e)
{
	struct state_rec *r = &p->state.rec;
	bool half_up = r->state == POT_STARTING && (r->steps & (1u << STEP_NETWORK)) != 0;
	struct err own = ERR_INIT;
	int rc = 0;

	if (state_is_active(r)) {
		bool recorded;

		/* A walk that goes on keeps what the first one said; without a record there will be none. */
		epot_note_oom(p);
		if (r->state != POT_STOPPING || r->crashed == 0)
			take_exit(p, reason);
		recorded = r->crashed == 0;
		if (recorded && final == POT_FAILED)
			final = POT_STOPPED;
		r->state = POT_STOPPING;
	}
	fault_point("walk-back.begin");
	for (int i = STEP_COUNT - 1; i >= 0 && rc == 0; i--) {
		if ((r->steps & (1u << i)) == 0)
			continue;
		if (steps[i].down != NULL)
			rc = steps[i].down(p, e);
		if (rc < 0)
			break;
		fault_point(steps[i].name);
		r->steps &= ~(1u << i);
		rc = state_write(&p->state, false, e);
	}
	if (rc < 0) {
		/* What is left stays in the journal: the next command tries again. */
		(void)!state_write(&p->state, false, NULL);
		return err_wrap(e, "cleaning up pot %s", p->name);
	}
	/* It may have been about to bring back what somebody took away from all pots. */
	if (half_up && network_is_bridged(r->network) && eng_net_repair(p->eng, &own) < 0)
		event_warn(&p->eng->events, "%s", own.msg);
	memset(&r->init, 0, sizeof(r->init));
	/* The shim stays named: who comes next may have to wait for its end (epot_get_settled). */
	r->cgroup[0] = '\0';
	r->paused = 0;
	r->state = final;
	fault_point("walk-back.end");
	/* How it ended is on the disk in the shim's record; only without one must this be. */
	return state_write(&p->state, r->crashed != 0, e);
}

void
epot_exit_get(const struct epot *p, struct pot_exit *x)
{
	const struct state_rec *r = &p->state.rec;

	memset(x, 0, sizeof(*x));
	x->known = r->status >= 0;
	x->status = r->status;
	x->signal = r->signal;
	x->time_ns = r->exit_ns;
	snprintf(x->reason, sizeof(x->reason), "%s", r->reason);
	x->oom_kills = r->oom_kills;
}
