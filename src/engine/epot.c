/*
 * Taking a pot in hand: directory, lock, state, configuration, and the repair
 * of what a killed process left (reconcile). The steps of a run are walked
 * back in steps.c; making and removing pots is create.c.
 */
#include "engine/limit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/remove.h"
#include "model/imgrecord.h"

static int
no_such_pot(const char *name, struct err *e)
{
	int rc = err_set(e, E_NOENT, "no pot is named %s", name);

	(void)err_hint(e, "pot ps -a lists them");
	return rc;
}

static int
open_dir(struct epot *p, struct eng *g, const char *name, struct err *e)
{
	int rc = eng_need_node(g, e);

	if (rc < 0)
		return rc;
	p->eng = g;
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->dir_fd = openat(g->pots_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (p->dir_fd < 0 && errno == ENOENT)
		return no_such_pot(name, e);
	if (p->dir_fd < 0)
		return err_sys(e, "cannot open pot %s", name);
	return 0;
}

static int
lock(struct epot *p, int wait_ms, struct err *e)
{
	p->lock_fd = lock_file(p->dir_fd, "lock", true, wait_ms, e);
	if (p->lock_fd < 0 && p->lock_fd == -E_BUSY) {
		p->lock_fd = -1;
		err_set(e, E_BUSY, "another pot command is working on %s", p->name);
		return err_hint(e, "try again when it has ended");
	}
	if (p->lock_fd < 0) {
		int rc = p->lock_fd;

		p->lock_fd = -1;
		(void)err_wrap(e, "pot %s", p->name);
		return rc;
	}
	return 0;
}

/* A missing or damaged state file is no error here: rec is zero then. */
static int
load_state(struct epot *p, struct err *e)
{
	struct err own = ERR_INIT;
	int rc = p->state.fd < 0 ? state_open(&p->state, p->dir_fd, &own) : state_reload(&p->state, &own);

	if (rc == 0 || rc == -E_CORRUPT || rc == -E_NOENT)
		return 0;
	if (e != NULL)
		*e = own;
	return err_wrap(e, "pot %s", p->name);
}

static bool
is_this_boot(const struct state_rec *r)
{
	uint8_t now[HOST_BOOT_ID_LEN];

	return host_boot_id(now, NULL) == 0 && memcmp(now, r->boot, sizeof(now)) == 0;
}

bool
epot_is_broken(const struct eng *g, const struct state *s)
{
	const struct state_rec *r = &s->rec;

	/* In starting and stopping only the locks tell whether somebody still is at it. */
	if (r->magic == 0 || r->op != OP_NONE || r->state == POT_STARTING || r->state == POT_STOPPING)
		return true;
	if (!state_is_active(r))
		return r->steps != 0;
	return !state_alive(s);
}

int
epot_wait_run(struct epot *p, int ms, struct err *e)
{
	const struct proc_id *shim = &p->state.rec.shim;
	int rc;

	/* Another start may follow at once: the lock alone would make us wait for the next run as well. */
	if (shim->pid == 0)
		return epot_wait_dead(p, ms, e);
	rc = proc_id_wait(shim, ms, e);
	if (rc == -E_TIMEOUT)
		return err_set(e, E_TIMEOUT, "pot %s did not end within %d s", p->name, ms / 1000);
	return rc == -E_NOENT ? 0 : rc;
}

int
epot_wait_dead(struct epot *p, int ms, struct err *e)
{
	AUTO(fd) int fd = openat(p->dir_fd, "state", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int rc;

	if (fd < 0)
		return err_sys(e, "cannot open the state file");
	rc = lock_fd(fd, true, ms, e);
	if (rc == -E_BUSY)
		return err_set(e, E_TIMEOUT, "pot %s did not end within %d s", p->name, ms / 1000);
	return rc;
}

/* A damaged state file of a pot that is otherwise whole: begin a new one. */
static int
rebuild_state(struct epot *p, struct err *e)
{
	struct state_rec r = { .state = POT_STOPPED, .status = -1 };
	int rc = epot_load_conf(p, e);

	if (rc < 0)
		return rc;
	snprintf(r.base, sizeof(r.base), "%s", potconf_get(&p->conf, PC_BASE, ""));
	snprintf(r.network, sizeof(r.network), "%s", potconf_get(&p->conf, PC_NETWORK, "inherit"));
	snprintf(r.id, sizeof(r.id), "%s", potconf_get(&p->conf, PC_ID, ""));
	/* Whatever it was: the network of a run is the one thing that does not end with its processes. */
	if (network_is_bridged(r.network) || strcmp(r.network, "alias") == 0)
		r.steps = 1u << STEP_NETWORK;
	snprintf(r.reason, sizeof(r.reason), "the state file was damaged and has been made anew");
	state_fini(&p->state);
	if (unlinkat(p->dir_fd, "state", 0) != 0 && errno != ENOENT)
		return err_sys(e, "cannot remove the damaged state of %s", p->name);
	event_warn(&p->eng->events, "pot %s: %s", p->name, r.reason);
	rc = state_create(&p->state, p->dir_fd, &r, e);
	if (rc == 0)
		epot_net_texts(p);
	return rc;
}

/* A pause that was not told did not happen; an unpause did. */
static int
reconcile_freeze(struct epot *p, struct err *e)
{
	const struct iso_ref ref = epot_ref(p);

	if (!is_this_boot(&p->state.rec) || !state_alive(&p->state))
		return 0;
	p->state.rec.state = POT_RUNNING;
	return iso_freeze(&ref, false, e);
}

/* Whoever was stopping it died before the pot did: it runs on. */
static int
reconcile_stop(struct epot *p, struct err *e)
{
	AUTO(fd) int stopping = lock_file(p->dir_fd, EPOT_STOP_LOCK, true, 0, NULL);

	if (stopping < 0 || !proc_id_alive(&p->state.rec.init))
		return 0;
	p->state.rec.state = POT_RUNNING;
	return state_write(&p->state, false, e);
}

static int
reconcile_op(struct epot *p, struct err *e)
{
	struct state_rec *r = &p->state.rec;
	bool stored = r->op != OP_FREEZE && r->op != OP_MOUNT && r->op != OP_PORTS;
	int rc = stored ? eng_need_storage(p->eng, e) : 0;

	if (rc < 0)
		return rc;
	switch (r->op) {
	case OP_CREATE:
	case OP_DESTROY:
		rc = epot_remove(p, e);
		return rc < 0 ? rc : no_such_pot(p->name, e);
	case OP_RENAME:
		rc = epot_finish_rename(p, e);
		break;
	case OP_FREEZE:
		rc = reconcile_freeze(p, e);
		break;
	case OP_MOUNT:
		rc = epot_finish_mount(p, e);
		break;
	case OP_STORAGE:
		rc = stor_recover(p->eng->stor, epot_fs(p), e);
		break;
	case OP_LIMITS:
		rc = epot_finish_limits(p, e);
		break;
	case OP_PORTS:
		rc = epot_ports_settle(p, e);
		if (rc == 0)
			epot_net_texts(p);
		break;
	default:
		return err_set(
		    e, E_CORRUPT, "the state of pot %s tells of an unknown operation %u", p->name, r->op);
	}
	if (rc < 0)
		return rc;
	r->op = OP_NONE;
	return state_write(&p->state, true, e);
}

int
epot_end_op(struct epot *p, int rc, struct err *e)
{
	p->state.rec.op = OP_NONE;
	if (state_write(&p->state, false, rc < 0 ? NULL : e) < 0 && rc == 0)
		rc = -E_SYS;
	return rc;
}

static int
reconcile_run(struct epot *p, struct err *e)
{
	struct state_rec *r = &p->state.rec;
	int rc;

	if (!is_this_boot(r)) {
		/* Nothing of that boot exists: no process, mount or group; the numbers mean others now. */
		memset(&r->init, 0, sizeof(r->init));
		memset(&r->shim, 0, sizeof(r->shim));
		r->cgroup[0] = '\0';
		return epot_walk_back(p, POT_STOPPED, "the machine was restarted", e);
	}
	if (state_is_active(r) && state_alive(&p->state)) {
		if (r->state == POT_STOPPING)
			return reconcile_stop(p, e);
		if (r->state != POT_STARTING)
			return 0;
		/* Who was starting it is dead (we hold the lock): its gate is closed, so it ends by itself. */
		rc = epot_wait_dead(p, 10000, e);
		if (rc < 0) {
			(void)!proc_id_kill(&r->shim, SIGKILL, NULL);
			rc = epot_wait_dead(p, 10000, e);
		}
		if (rc < 0)
			return rc;
	}
	if (r->state == POT_STARTING)
		return epot_walk_back(p, POT_FAILED, "the start was interrupted", e);
	return epot_walk_back(
	    p, state_is_active(r) ? POT_FAILED : (enum pot_state)r->state, "the shim was killed", e);
}

bool
epot_is_abandoned(const struct epot *p)
{
	char path[128];

	if ((p->state.rec.flags & STATE_BUILD) == 0)
		return false;
	snprintf(path, sizeof(path), IMG_DIR "/" IMG_LAYERS "/" IMG_LAYER_LOCK "%s", p->name);
	AUTO(fd) int fd = openat(p->eng->root_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? errno == ENOENT : lock_held(fd, NULL) == 0;
}

int
epot_remove_abandoned(struct epot *p, struct err *e)
{
	int rc = state_is_active(&p->state.rec) ? epot_end(p, 0, e) : 0;

	/* Its end has looked at it again, and has removed it then. */
	if (rc < 0)
		return rc;
	p->state.rec.op = OP_DESTROY;
	rc = state_write(&p->state, true, e);
	fault_point("abandoned.journalled");
	if (rc == 0)
		rc = epot_remove(p, e);
	return rc < 0 ? rc : no_such_pot(p->name, e);
}

int
epot_reconcile(struct epot *p, struct err *e)
{
	int rc;

	if (p->state.rec.magic == 0) {
		if (faccessat(p->dir_fd, "pot.conf", F_OK, 0) != 0) {
			/* Killed before the first record: nothing but the directory was made. */
			rc = epot_remove_dir(p, e);
			return rc < 0 ? rc : no_such_pot(p->name, e);
		}
		rc = rebuild_state(p, e);
		if (rc < 0)
			return rc;
	}
	if (p->state.rec.op != OP_NONE) {
		rc = reconcile_op(p, e);
		if (rc < 0)
			return rc;
	}
	rc = epot_is_broken(p->eng, &p->state) ? reconcile_run(p, e) : 0;
	return rc == 0 && epot_is_abandoned(p) ? epot_remove_abandoned(p, e) : rc;
}

int
epot_get_raw(struct epot *p, struct eng *g, const char *name, int lock_wait_ms, struct err *e)
{
	for (;;) {
		int rc = open_dir(p, g, name, e);

		if (rc == 0)
			rc = lock(p, lock_wait_ms, e);
		if (rc < 0)
			return rc;
		if (file_is_named(g->pots_fd, name, p->dir_fd))
			return load_state(p, e);
		epot_fini(p);
	}
}

/* Ended and cleaned up, but the shim is still there. */
static bool
is_ending(const struct state *s)
{
	return s->rec.magic != 0 && s->rec.op == OP_NONE && !state_is_active(&s->rec) && state_alive(s);
}

int
epot_get_settled(struct epot *p, struct eng *g, const char *name, struct err *e)
{
	int rc = epot_get_raw(p, g, name, LOCK_WAIT_MS, e);

	while (rc == 0 && is_ending(&p->state)) {
		/* Its mounts are on their way out, or its clean-up verb wants to look. */
		epot_unlock(p);
		rc = epot_wait_run(p, LOCK_WAIT_MS, e);
		epot_fini(p);
		if (rc == 0)
			rc = epot_get_raw(p, g, name, LOCK_WAIT_MS, e);
	}
	return rc;
}

int
epot_get(struct epot *p, struct eng *g, const char *name, enum epot_access access, struct err *e)
{
	int rc;

	if (access == EPOT_READ) {
		rc = open_dir(p, g, name, e);
		if (rc == 0)
			rc = load_state(p, e);
		if (rc < 0 || (!epot_is_broken(g, &p->state) && !epot_is_abandoned(p)))
			return rc;
		/* Somebody may just be at work on it; then what we have read is the truth of now. */
		rc = lock(p, 0, NULL);
		if (rc == 0 && !file_is_named(g->pots_fd, name, p->dir_fd))
			return no_such_pot(name, e);
		if (rc == 0)
			rc = load_state(p, e);
		if (rc == 0) {
			rc = epot_reconcile(p, e);
			epot_unlock(p);
			return rc;
		}
		if (p->state.rec.magic == 0 || p->state.rec.op == OP_CREATE || p->state.rec.op == OP_DESTROY)
			return no_such_pot(name, e);
		return 0;
	}
	rc = epot_get_settled(p, g, name, e);
	if (rc < 0)
		return rc;
	/* Of a setting that was killed before its rename. */
	(void)unlinkat(p->dir_fd, ".pot.conf.tmp", 0);
	return epot_reconcile(p, e);
}

void
epot_unlock(struct epot *p)
{
	fd_close(p->lock_fd);
	p->lock_fd = -1;
}

void
epot_fini(struct epot *p)
{
	state_fini(&p->state);
	potconf_fini(&p->conf);
	memset(&p->conf, 0, sizeof(p->conf));
	p->conf_loaded = false;
	if (p->net != NULL)
		epot_net_fini(p->net);
	free(p->net);
	p->net = NULL;
	epot_unlock(p);
	fd_close(p->dir_fd);
	p->dir_fd = -1;
}

int
epot_load_conf(struct epot *p, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(KV_FILE_MAX);
	int rc;

	if (p->conf_loaded)
		return 0;
	rc = file_read(p->dir_fd, "pot.conf", &text, e);
	if (rc == 0)
		rc = potconf_parse(&p->conf, buf_cstr(&text), text.len, "pot.conf", e);
	if (rc < 0)
		return err_wrap(e, "pot %s", p->name);
	p->conf_loaded = true;
	return 0;
}

int
epot_save_conf(struct epot *p, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(KV_FILE_MAX);
	int rc;

	kv_print(&p->conf.kv, &text);
	rc = buf_check(&text, "the pot's configuration", e);
	if (rc == 0)
		rc = file_write_atomic(p->dir_fd, "pot.conf", 0600, text.data, text.len, e);
	return rc < 0 ? err_wrap(e, "pot %s", p->name) : 0;
}

int
epot_need_stopped(const struct epot *p, const char *what, struct err *e)
{
	if (!state_is_active(&p->state.rec))
		return 0;
	err_set(e, E_STATE, "cannot %s %s: it is %s", what, p->name, pot_state_name(p->state.rec.state));
	return err_hint(e, "pot stop %s", p->name);
}

int
epot_need_running(const struct epot *p, struct err *e)
{
	if (p->state.rec.state == POT_RUNNING)
		return 0;
	err_set(e, E_STATE, "pot %s is %s", p->name,
	    p->state.rec.state == POT_CREATED ? "not running" : pot_state_name(p->state.rec.state));
	return err_hint(e, p->state.rec.state == POT_PAUSED ? "pot unpause %s" : "pot start %s", p->name);
}

struct iso_ref
epot_ref(const struct epot *p)
{
	const struct state_rec *r = &p->state.rec;

	return (struct iso_ref){ r->init, r->cgroup[0] == '\0' ? NULL : r->cgroup };
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
epot_each(struct eng *g, int (*fn)(void *, const char *, struct err *), void *arg, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1000000);
	AUTO(dir) DIR *d = NULL;
	const struct dirent *ent;
	int fd, rc = eng_need_node(g, e);

	if (rc < 0)
		return rc;
	fd = openat(g->pots_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (d = fdopendir(fd)) == NULL) {
		rc = err_sys(e, "cannot list the pots");
		fd_close(fd);
		return rc;
	}
	while ((ent = readdir(d)) != NULL) {
		if (ent->d_name[0] != '.')
			strv_add(&names, ent->d_name);
		else if (strncmp(ent->d_name, REMOVED_PREFIX, strlen(REMOVED_PREFIX)) == 0)
			/* A destroy was killed behind its commit point. */
			(void)!tree_remove(g->pots_fd, ent->d_name, NULL);
	}
	rc = strv_check(&names, "the list of pots", e);
	if (rc == 0 && names.n > 0)
		qsort(names.v, names.n, sizeof(*names.v), by_name);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		rc = fn(arg, names.v[i], e);
	return rc;
}
