/*
 * Starting a pot: the ordered steps up. Each is journalled before it runs, so
 * that a process killed anywhere in here is walked back (steps.c) by the next
 * command; a failing step is walked back at once.
 */
#include "engine/command.h"
#include "engine/image.h"
#include "engine/limit.h"
#include "engine/walls.h"

#include <sys/random.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/inroot.h"
#include "base/text.h"

#define MOUNTS_MAX 256
#define ALIVE_WAIT_MS 10000 /* for the last breath of the shim before */

/* What the steps of one start hand to each other. Files and fds end with the start. */
struct start {
	struct epot *p;
	const struct pot_start_args *args;
	const struct eng_command *command; /* in place of the pot's own, or NULL */
	struct strv named;                 /* files that have a name for their mounts */
	int root_fd;
	int alive_fd; /* the state file, locked; the shim's from the start on */
	struct epot_walls walls;
	struct etc_files etc;
	struct iso_mount mounts[MOUNTS_MAX];
	size_t nmounts, nborrowed; /* the first nborrowed are etc's */
	struct potconf_mount *user_mounts;
	size_t nuser_mounts;
	struct strv argv, env, tmpfs;
	struct passwd_user user;
	bool direct_init, stays;
	struct epot_limits *limits;
	int join_fd; /* somebody else's network namespace, or -1 */
	int net[2];  /* what was made ahead of the network: namespace, socket in it; or -1 */
	bool net_filled;
	struct iso_child child;
};

static int
up_hooks(struct start *s, struct err *e)
{
	return hook_run(s->p, HOOK_PRESTART, e);
}

static int
up_root(struct start *s, struct err *e)
{
	int rc = walls_open(s->p, &s->walls, e);

	if (rc == 0)
		rc = s->root_fd = walls_mount_root(s->p, &s->walls, e);
	return rc < 0 ? rc : 0;
}

static int
add_mount(struct start *s, int fd, const char *target, bool dir, struct err *e)
{
	if (fd < 0)
		return fd;
	if (s->nmounts == MOUNTS_MAX) {
		fd_close(fd);
		return err_set(e, E_LIMIT, "more than %d mounts", MOUNTS_MAX);
	}
	s->mounts[s->nmounts++] = (struct iso_mount){ fd, target, dir };
	return 0;
}

static int
add_user_mount(struct start *s, const struct potconf_mount *m, struct err *e)
{
	struct stat st;
	int rc;

	if (stat(m->source, &st) != 0)
		return err_sys(e, "cannot mount %s", m->source);
	rc = add_mount(s, iso_bind(AT_FDCWD, m->source, m->ro, true, e), m->target, S_ISDIR(st.st_mode), e);
	if (rc == 0 && m->idmap && s->walls.iso.ids != 0)
		rc = iso_idmap(s->mounts[s->nmounts - 1].fd, s->walls.map.userns_fd, true, e);
	return rc < 0 ? err_wrap(e, "mount-in %s", m->target) : 0;
}

static int
add_tmpfs(struct start *s, const char *text, struct err *e)
{
	AUTO_FREE struct walls_tmpfs *t = malloc(sizeof(*t));
	int fd, rc = t == NULL ? err_nomem(e) : walls_tmpfs(text, t, e);

	if (rc < 0)
		return rc;
	strv_add(&s->tmpfs, t->path);
	rc = strv_check(&s->tmpfs, "tmpfs mounts", e);
	if (rc < 0)
		return rc;
	fd = iso_tmpfs(t->size, t->mode, s->walls.iso.id_first, e);
	rc = add_mount(s, fd, s->tmpfs.v[s->tmpfs.n - 1], true, e);
	return rc < 0 ? rc : iso_restrict(fd, t->read_only, !t->exec, e);
}

static int
add_all_tmpfs(struct start *s, struct err *e)
{
	const char *text;
	size_t pos = 0;
	int rc = 0;

	while (rc == 0 && (text = kv_next(&s->p->conf.kv, PC_TMPFS, &pos)) != NULL)
		rc = add_tmpfs(s, text, e);
	return rc < 0 ? err_wrap(e, "tmpfs") : rc;
}

static int
add_command_mount(struct start *s, const struct eng_mount *m, struct err *e)
{
	char named[ISO_FILE_NAME] = "";
	bool dir = true;
	int rc = add_mount(s, command_mount(s->p, &s->walls, m, &dir, named, e), m->target, dir, e);

	if (rc == 0)
		s->mounts[s->nmounts - 1].dir = dir;
	if (named[0] != '\0')
		strv_add(&s->named, named);
	return rc < 0 ? err_wrap(e, "mount at %s", m->target) : strv_check(&s->named, "mounts", e);
}

static int
up_files(struct start *s, struct err *e)
{
	int rc = etc_make(s->p, e);

	if (rc == 0)
		rc = etc_mounts(s->p, &s->walls, &s->etc, e);
	for (size_t i = 0; i < s->etc.n && rc == 0; i++)
		s->mounts[s->nmounts++] = s->etc.m[i];
	s->nborrowed = s->nmounts;
	if (rc == 0 && !potconf_attr_bool(&s->p->conf, "no-tmpfs"))
		rc = add_mount(s, iso_tmpfs(0, 01777, s->walls.iso.id_first, e), "/tmp", true, e);
	if (rc == 0)
		rc = add_all_tmpfs(s, e);
	if (rc == 0)
		rc = potconf_mounts(&s->p->conf, &s->user_mounts, &s->nuser_mounts, e);
	for (size_t i = 0; i < s->nuser_mounts && rc == 0; i++)
		rc = add_user_mount(s, &s->user_mounts[i], e);
	for (size_t i = 0; s->command != NULL && i < s->command->nmounts && rc == 0; i++)
		rc = add_command_mount(s, &s->command->mounts[i], e);
	return rc;
}

static int
up_cgroup(struct start *s, struct err *e)
{
	struct epot_limits *l = s->limits;
	const char *cgroup = s->p->state.rec.cgroup;
	int rc = iso_cgroup_make(cgroup, e);

	if (rc == 0 && l->set.cpus != 0) {
		rc = epot_cpus_take(s->p, l->set.cpus, l->cpus, e);
		if (rc == 0)
			rc = epot_limits_ready(s->p, l, e);
	}
	fault_point("start.grouped");
	return rc < 0 ? rc : iso_limits_apply(cgroup, NULL, &l->iso, e);
}

/* pot.cmd, else what starts the root's own system if it has such. */
static int
find_command(struct start *s, struct err *e)
{
	const char *cmd = potconf_get(&s->p->conf, PC_CMD, "");
	int rc = 0;

	if (s->command != NULL) {
		for (char *const *w = s->command->argv; *w != NULL; w++)
			strv_add(&s->argv, *w);
		return strv_check(&s->argv, "the command", e);
	}
	rc = text_split(cmd, &s->argv, e);
	if (rc < 0)
		return err_wrap(e, "the command of %s", s->p->name);
	rc = iso_system_command(s->root_fd, &s->argv, &s->direct_init, &s->stays, e);
	if (rc < 0)
		return rc;
	if (s->argv.n == 0) {
		err_set(e, E_INVAL, "pot %s has no command and its root no system to start", s->p->name);
		return err_hint(e, "pot set-cmd -p %s -c 'COMMAND'", s->p->name);
	}
	return strv_check(&s->argv, "the command", e);
}

/* Who the command runs as: the image's or the user's choice; else root. */
static int
find_user(struct start *s, struct err *e)
{
	const char *spec = s->command != NULL ? s->command->user : potconf_get(&s->p->conf, PC_USER, NULL);
	int rc = 0;

	snprintf(s->user.home, sizeof(s->user.home), "/root");
	if (spec != NULL)
		rc = epot_find_user(s->root_fd, spec, &s->user, e);
	return rc < 0 ? err_wrap(e, "the user of %s", s->p->name) : 0;
}

/* Its command sees the network whole from its first instruction on: nothing has opened the gate yet. */
static int
fill_network(void *arg, struct err *e)
{
	struct start *s = arg;
	int rc = epot_net_up(s->p, s->net, e);

	s->net_filled = true;
	fault_point("start.network-up");
	return rc;
}

static int
spawn(struct start *s, struct err *e)
{
	struct epot *p = s->p;
	char run[24], verb[] = "_cleanup", root_opt[] = "--root", conf_opt[] = "--config";
	char *cleanup[] = { p->eng->self, root_opt, p->eng->root, conf_opt, p->eng->conf_path, verb, p->name,
		run, NULL };
	struct iso_rlimit rlimits[LIMITS_NULIMITS];
	struct iso_spec spec = {
		.name = p->name,
		.hostname = potconf_get(&p->conf, PC_HOSTNAME, p->name),
		.root_fd = s->root_fd,
		.mounts = s->mounts,
		.nmounts = s->nmounts,
		.spent = &s->walls.spent,
		.nspent = s->walls.spent >= 0,
		.argv = strv_argv(&s->argv),
		.envp = strv_argv(&s->env),
		.user = { s->user.uid, s->user.gid, s->user.groups, s->user.ngroups },
		.workdir = s->command != NULL ? s->command->workdir : potconf_get(&p->conf, PC_WORKDIR, NULL),
		.own_net = network_is_own(p->state.rec.network),
		.net_fd = s->net[0] >= 0 ? &s->net[0] : NULL,
		.net_up = s->net[0] >= 0 ? fill_network : NULL,
		.net_arg = s,
		.net_join = s->join_fd >= 0 ? &s->join_fd : NULL,
		.direct_init = s->direct_init,
		.persistent = s->stays || potconf_attr_bool(&p->conf, "persistent"),
		.cgroup = p->state.rec.cgroup,
		.rlimits = rlimits,
		.nrlimits = epot_rlimits(&s->limits->set, rlimits),
		.limits = &s->limits->iso,
		.walls = s->walls.iso,
		.io = s->args->fds != NULL ? ISO_IO_FDS
		    : s->args->attach      ? ISO_IO_ATTACH
					   : ISO_IO_LOG,
		.shim_path = p->eng->shim,
		.run_id = p->state.rec.run_id,
		.state_fd = s->alive_fd,
		/* That the pot starts is on the disk before anything of the user's runs; the pids that
		   come to it mean nothing after a power cut. */
		.sync_state = true,
		.log_dirfd = p->dir_fd,
		.tied = s->command != NULL,
		.log_max = config_uint(p->eng->conf, "log_max_size"),
		.log_files = (unsigned)config_uint(p->eng->conf, "log_files"),
		.cleanup_argv = cleanup,
	};

	snprintf(run, sizeof(run), "%llx", (unsigned long long)p->state.rec.run_id);
	if (p->eng->conf_default && access(p->eng->conf_path, F_OK) != 0) {
		cleanup[3] = verb;
		cleanup[4] = p->name;
		cleanup[5] = run;
		cleanup[6] = NULL;
	}
	if (s->args->fds != NULL)
		memcpy(spec.fds, s->args->fds, sizeof(spec.fds));
	return iso_spawn(&spec, &s->child, e);
}

static int
open_join(struct start *s, struct err *e)
{
	const char *path = potconf_get(&s->p->conf, PC_NETNS, NULL);

	if (path == NULL || strcmp(s->p->state.rec.network, "inherit") != 0)
		return 0;
	s->join_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return s->join_fd < 0 ? err_sys(e, "cannot join the network namespace %s", path) : 0;
}

static int
up_process(struct start *s, struct err *e)
{
	struct state_rec *r = &s->p->state.rec;
	int rc = find_command(s, e);

	if (rc == 0)
		rc = find_user(s, e);
	if (rc == 0)
		rc = epot_environment(
		    s->p, s->user.home, s->command != NULL ? s->command->env : NULL, &s->env, e);
	if (rc < 0)
		return rc;
	if (s->walls.ahead != NULL)
		(void)iso_ahead_net(s->walls.ahead, s->net);
	rc = open_join(s, e);
	if (rc == 0)
		rc = spawn(s, e);
	if (rc < 0)
		return rc;
	fault_point("start.spawned");
	r->init = s->child.init;
	r->shim = s->child.shim;
	r->started_ns = text_now_ns();
	rc = state_write(&s->p->state, false, e);
	fault_point("start.recorded");
	if (rc < 0)
		iso_abort(&s->child);
	return rc;
}

static int
up_network(struct start *s, struct err *e)
{
	int rc = s->net_filled ? 0 : fill_network(s, e);

	if (rc < 0) {
		iso_abort(&s->child);
		return rc;
	}
	return iso_release(&s->child, e);
}

/* In the order of enum step_id. */
static const struct {
	const char *name;
	int (*up)(struct start *, struct err *);
} ups[STEP_COUNT] = {
	[STEP_HOOKS] = { "start.hooks", up_hooks },
	[STEP_ROOT] = { "start.root", up_root },
	[STEP_FILES] = { "start.files", up_files },
	[STEP_CGROUP] = { "start.cgroup", up_cgroup },
	[STEP_PROCESS] = { "start.process", up_process },
	[STEP_NETWORK] = { "start.network", up_network },
};

static void
start_fini(struct start *s, bool started)
{
	for (size_t i = 0; i < s->named.n; i++)
		iso_file_done(s->named.v[i], started);
	strv_fini(&s->named);
	fd_close(s->root_fd);
	fd_close(s->alive_fd);
	for (size_t i = s->nborrowed; i < s->nmounts; i++)
		fd_close(s->mounts[i].fd);
	etc_files_fini(&s->etc);
	potconf_mounts_free(s->user_mounts, s->nuser_mounts);
	walls_close(&s->walls);
	strv_fini(&s->tmpfs);
	strv_fini(&s->argv);
	strv_fini(&s->env);
	free(s->limits);
	fd_close(s->join_fd);
	fd_close(s->net[0]);
	fd_close(s->net[1]);
	iso_child_fini(&s->child);
}

static int
take_alive_lock(struct start *s, struct err *e)
{
	int rc;

	s->alive_fd = openat(s->p->dir_fd, "state", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (s->alive_fd < 0)
		return err_sys(e, "cannot open the state of %s", s->p->name);
	rc = lock_fd(s->alive_fd, true, ALIVE_WAIT_MS, e);
	if (rc == -E_BUSY)
		return err_set(e, E_BUSY, "the clean-up of the last run of %s does not end", s->p->name);
	return rc;
}

static int
begin(struct start *s, struct err *e)
{
	struct epot *p = s->p;
	struct state_rec *r = &p->state.rec;
	char prefix[64];
	const char *parent = eng_cgroup_parent(p->eng, prefix);
	int rc;

	rc = take_alive_lock(s, e);
	if (rc == 0)
		rc = host_boot_id(r->boot, e);
	if (rc < 0)
		return rc;
	s->limits = calloc(1, sizeof(*s->limits));
	if (s->limits == NULL)
		return err_nomem(e);
	rc = epot_limits_get(p, s->limits, e);
	if (rc < 0)
		return rc;
	rc = iso_cgroup_path(parent, prefix, p->name, epot_limits_controllers(s->limits), r->cgroup, e);
	if (rc < 0)
		return rc;
	if (getrandom(&r->run_id, sizeof(r->run_id), 0) != sizeof(r->run_id))
		return err_sys(e, "cannot get random bytes");
	r->state = POT_STARTING;
	r->steps = 0;
	r->crashed = 0;
	r->oom_kills = 0;
	r->runs++;
	r->reason[0] = '\0';
	memset(&r->init, 0, sizeof(r->init));
	memset(&r->shim, 0, sizeof(r->shim));
	snprintf(r->network, sizeof(r->network), "%s", potconf_get(&p->conf, PC_NETWORK, "inherit"));
	snprintf(r->id, sizeof(r->id), "%s", potconf_get(&p->conf, PC_ID, ""));
	epot_net_texts(p);
	return state_write(&p->state, false, e);
}

/* A failed start: everything back, and the reason where ps and inspect show it. */
static void
undo(struct start *s, const struct err *why)
{
	struct epot *p = s->p;
	struct err own = ERR_INIT;
	char reason[sizeof(p->state.rec.reason)];

	snprintf(reason, sizeof(reason), "%.*s", (int)sizeof(reason) - 1, why->msg);
	/* No fd of ours may hold what is taken down. */
	start_fini(s, false);
	*s = (struct start){ .p = p,
		.args = s->args,
		.root_fd = -1,
		.alive_fd = -1,
		.walls = EPOT_WALLS_INIT,
		.join_fd = -1,
		.net = { -1, -1 },
		.child = ISO_CHILD_INIT };
	if (epot_walk_back(p, POT_FAILED, reason, &own) < 0)
		event_warn(&p->eng->events, "%s", own.msg);
}

static int
run_steps(struct start *s, struct err *e)
{
	struct state_rec *r = &s->p->state.rec;
	int rc = 0;

	for (unsigned i = 0; i < STEP_COUNT && rc == 0; i++) {
		r->steps |= 1u << i;
		/* A file for names is made with the other files, and taken away with the network. */
		if (i == STEP_FILES && network_is_bridged(r->network))
			r->steps |= 1u << STEP_NETWORK;
		rc = state_write(&s->p->state, false, e);
		fault_point("start.journalled");
		if (rc == 0)
			rc = ups[i].up(s, e);
		fault_point(ups[i].name);
		/* Where prestart failed there is nothing for poststop to follow. */
		if (rc < 0 && i == STEP_HOOKS)
			r->steps &= ~(1u << STEP_HOOKS);
	}
	return rc;
}

static int
take_snapshot(struct epot *p, struct err *e)
{
	char tag[128];
	int rc = epot_free_tag(p, tag, e);

	return rc < 0 ? rc : epot_take_snapshot(p, tag, e);
}

static int
check_startable(struct epot *p, struct err *e)
{
	if (p->state.rec.state == POT_STOPPING) {
		int rc;

		/* Its shim cleans up and needs the lock for that. */
		epot_unlock(p);
		rc = epot_wait_run(p, LOCK_WAIT_MS, e);
		if (rc < 0)
			return rc;
		return -E_BUSY;
	}
	if (!state_is_active(&p->state.rec))
		return 0;
	err_set(e, E_EXIST, "pot %s is %s already", p->name, pot_state_name(p->state.rec.state));
	return err_hint(e, "pot restart %s", p->name);
}

static int
get_startable(struct epot *p, struct eng *g, const char *name, struct err *e)
{
	for (;;) {
		int rc = epot_get(p, g, name, EPOT_WRITE, e);

		if (rc == 0)
			rc = check_startable(p, e);
		if (rc != -E_BUSY)
			return rc;
		epot_fini(p);
	}
}

static int
start_pot(struct eng *g, const char *name, const struct pot_start_args *args,
    const struct eng_command *command, struct pot_process *proc, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	struct start s = { .p = &p,
		.args = args,
		.command = command,
		.named = STRV_INIT(MOUNTS_MAX),
		.root_fd = -1,
		.alive_fd = -1,
		.argv = STRV_INIT(4096),
		.env = STRV_INIT(4096),
		.tmpfs = STRV_INIT(256),
		.walls = EPOT_WALLS_INIT,
		.join_fd = -1,
		.net = { -1, -1 },
		.child = ISO_CHILD_INIT };
	struct err own = ERR_INIT;
	int rc;

	rc = eng_need_programs(g, e);
	if (rc == 0)
		rc = eng_need_storage(g, e);
	if (rc == 0)
		rc = get_startable(&p, g, name, e);
	if (rc == 0)
		rc = epot_load_conf(&p, e);
	if (rc == 0 && args->snapshot)
		rc = take_snapshot(&p, e);
	if (rc < 0)
		return rc;
	rc = begin(&s, &own);
	if (rc == 0)
		rc = run_steps(&s, &own);
	if (rc == 0) {
		p.state.rec.state = POT_RUNNING;
		rc = state_write(&p.state, false, &own);
	}
	if (rc < 0) {
		undo(&s, &own);
		if (e != NULL)
			*e = own;
		return err_wrap(e, "cannot start %s", name);
	}
	if (args->attach) {
		proc->pid = 0;
		proc->fd = take_fd(s.child.client_fd);
	}
	start_fini(&s, true);
	fault_point("start.running");
	if (hook_run(&p, HOOK_POSTSTART, &own) < 0)
		event_warn(&g->events, "pot %s: %s", name, own.msg);
	return 0;
}

int
eng_start(struct eng *g, const char *name, const struct pot_start_args *args, struct pot_process *proc,
    struct err *e)
{
	return start_pot(g, name, args, NULL, proc, e);
}

int
eng_start_command(struct eng *g, const char *name, const struct eng_command *command,
    struct pot_process *proc, struct err *e)
{
	const struct pot_start_args args = { .attach = true };

	return start_pot(g, name, &args, command, proc, e);
}
