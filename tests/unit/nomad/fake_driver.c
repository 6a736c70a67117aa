/*
 * A driver for the protocol half of nomad-pot-driver, in place of pots: a task
 * is a plain process of the host. What it is told to do wrong stands in the
 * task's config ("mode"), so that tests can ask for every kind of answer.
 */
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/signame.h"
#include "nomad/driver.h"

struct task {
	struct task *next;
	struct drv *d;
	char *id;
	pid_t pid;
	struct proc_id process;
	bool has_ended;
	int64_t started_ns, ended_ns;
	struct drv_exit exit;
	struct loop_child *child;
	struct loop_end *end;
	struct loop_timer *kill;
};

/* A call that waits: for a task's end, a time, or to be cancelled. */
struct pending {
	struct pending *next;
	struct drv *d;
	struct call *call;
	struct task *task;
	enum { WAIT, STOP, STATS, HANG, EXEC, SLOW } kind;
	struct loop_timer *timer;
	struct loop_child *child;
	pid_t pid;
	int64_t interval_ms;
};

struct drv {
	struct nomad *nomad;
	struct task *tasks;
	struct pending *pendings;
	bool is_healthy;
	uint64_t mhz;
};

/* ---- pending calls ---------------------------------------------------------- */

static void
pending_free(struct pending *p)
{
	struct pending **at = &p->d->pendings;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	loop_timer_free(p->timer);
	loop_child_free(p->child);
	free(p);
}

static void
pending_cancelled(struct call *c, void *arg)
{
	struct pending *p = arg;

	if (p->kind == HANG)
		nomad_event(p->d->nomad, &(struct drv_event){ .task_id = "", .message = "Cancelled" });
	if (p->kind == EXEC) { /* ends when the process does */
		kill(p->pid, SIGKILL);
		kill(-p->pid, SIGKILL);
		return;
	}
	pending_free(p);
	call_done(c);
}

static struct pending *
pending_new(struct drv *d, struct call *c, struct task *t, int kind)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->d = d;
	p->call = c;
	p->task = t;
	p->kind = kind;
	p->next = d->pendings;
	d->pendings = p;
	call_on_cancel(c, pending_cancelled, p);
	return p;
}

/* ---- tasks -------------------------------------------------------------------- */

static struct task *
task_find(struct drv *d, const char *id)
{
	struct task *t = d->tasks;

	while (t != NULL && strcmp(t->id, id) != 0)
		t = t->next;
	return t;
}

static void
not_found(struct call *c, const char *id)
{
	struct err e = ERR_INIT;

	err_set(&e, E_NOENT, "task '%s': not known", id);
	call_fail(c, &e, false);
}

/* Whoever waits for it is told. */
static void
task_ended(struct task *t)
{
	struct pending *next;

	t->has_ended = true;
	t->ended_ns = 1;
	loop_timer_free(t->kill);
	t->kill = NULL;
	for (struct pending *p = t->d->pendings; p != NULL; p = next) {
		struct call *c = p->call;

		next = p->next;
		if (p->task != t || p->kind == EXEC)
			continue;
		if (p->kind == WAIT)
			call_exited(c, &t->exit);
		else
			call_done(c);
		pending_free(p);
	}
}

static void
on_child_end(void *arg, int status)
{
	struct task *t = arg;

	t->child = NULL;
	t->exit.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	t->exit.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	task_ended(t);
}

static void
on_other_end(void *arg)
{
	struct task *t = arg;

	t->end = NULL;
	t->exit.error = "nobody knows how it ended";
	task_ended(t);
}

static struct task *
task_new(struct drv *d, const char *id)
{
	struct task *t = calloc(1, sizeof(*t));

	if (t == NULL)
		abort();
	t->d = d;
	t->id = strdup(id);
	t->started_ns = 1700000000000000000;
	t->next = d->tasks;
	d->tasks = t;
	return t;
}

static void
task_free(struct task *t)
{
	struct task **at = &t->d->tasks;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	loop_timer_free(t->kill);
	loop_child_free(t->child);
	loop_end_free(t->end);
	free(t->id);
	free(t);
}

static pid_t
run(struct drv *d, char *const *argv, const int fds[3])
{
	pid_t pid = nomad_fork(d->nomad, fds, 3);

	if (pid != 0)
		return pid;
	setsid();
	for (int i = 0; i < 3; i++)
		dup2(fds[i], i);
	execvp(argv[0], argv);
	_exit(127);
}

/* ---- starting -------------------------------------------------------------------- */

static void
tell(struct drv *d, const struct drv_task *task, const char *message)
{
	struct drv_kv kv = { "name", task->name };
	struct drv_event event = { task->id, task->alloc_id, task->name, message, { 1, &kv } };

	nomad_event(d->nomad, &event);
}

static int
open_output(const char *path)
{
	return open(path[0] == '\0' ? "/dev/null" : path, O_WRONLY | O_CLOEXEC);
}

static int
start_process(struct drv *d, const struct drv_task *task, struct task *t, struct err *e)
{
	AUTO_FINI(strv) struct strv argv = STRV_INIT(1000);
	AUTO(fd) int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	AUTO(fd) int out = open_output(task->stdout_path);
	AUTO(fd) int err = open_output(task->stderr_path);
	int rc;

	rc = value_strings(task->config, "args", &argv, "config", e);
	if (rc < 0)
		return rc;
	if (argv.n == 0)
		strv_add(&argv, "true");
	t->pid = run(d, strv_argv(&argv), (int[]){ in, out, err });
	if (t->pid < 0)
		return err_sys(e, "fork");
	if (proc_id_get(t->pid, &t->process, e) < 0)
		return -e->code;
	t->child = loop_child_new(nomad_loop(d->nomad), t->pid, on_child_end, t, e);
	return t->child == NULL ? -e->code : 0;
}

static void
start_now(struct drv *d, struct call *c, const struct drv_task *task)
{
	struct drv_port port = { "http", 8080, 0, "" };
	struct drv_net_override net = { "192.0.2.1", true, 1, &port };
	struct drv_started started = { 1, NULL, 0, &net };
	struct task *t = task_new(d, task->id);
	AUTO_FREE char *state = NULL;
	struct err e = ERR_INIT;
	int64_t size = sizeof(t->process);

	if (start_process(d, task, t, &e) < 0 ||
	    value_int(task->config, "state_size", size, 1 << 26, &size, "config", &e) < 0) {
		task_free(t);
		call_fail(c, &e, false);
		return;
	}
	state = calloc(1, (size_t)size);
	if (state == NULL)
		abort();
	memcpy(state, &t->process, sizeof(t->process));
	started.state = state;
	started.state_len = (size_t)size;
	tell(d, task, "Started");
	call_started(c, &started);
}

static void
start_slowly(void *arg)
{
	struct pending *p = arg;
	struct call *c = p->call;
	struct drv *d = p->d;

	call_on_cancel(c, NULL, NULL);
	pending_free(p);
	start_now(d, c, call_arg(c));
}

static void
fake_start(struct drv *d, struct call *c, const struct drv_task *task)
{
	const char *mode = "";
	struct err e = ERR_INIT;

	if (value_string(task->config, "mode", &mode, "config", &e) < 0) {
		call_fail(c, &e, false);
	} else if (strcmp(mode, "fatal") == 0 || strcmp(mode, "again") == 0) {
		err_set(&e, E_BUSY, "start '%s': 100%% of it is wrong: \xc3\xa4\xff\n", task->name);
		err_hint(&e, "do it right");
		call_fail(c, &e, mode[0] == 'a');
	} else if (strcmp(mode, "hang") == 0) {
		tell(d, task, "Hanging");
		pending_new(d, c, NULL, HANG);
	} else if (strcmp(mode, "slow") == 0) {
		struct pending *p = pending_new(d, c, NULL, SLOW);

		call_set_arg(c, (void *)(uintptr_t)task);
		p->timer = loop_timer_new(nomad_loop(d->nomad), 200, start_slowly, p);
	} else {
		start_now(d, c, task);
	}
}

static void
fake_recover(struct drv *d, struct call *c, const struct drv_handle *handle)
{
	struct err e = ERR_INIT;
	struct task *t;

	if (handle->task == NULL || handle->version != 1 || handle->state_len < sizeof(t->process)) {
		err_set(&e, E_INVAL, "recover: not a handle of ours");
		call_fail(c, &e, false);
		return;
	}
	if (task_find(d, handle->task->id) == NULL) {
		t = task_new(d, handle->task->id);
		memcpy(&t->process, handle->state, sizeof(t->process));
		t->pid = t->process.pid;
		t->end = loop_end_new(nomad_loop(d->nomad), &t->process, on_other_end, t, &e);
		if (t->end == NULL) {
			task_free(t);
			call_fail(c, &e, false);
			return;
		}
	}
	call_done(c);
}

/* ---- the rest of a task's life -------------------------------------------------------- */

static void
fake_wait(struct drv *d, struct call *c, const char *id)
{
	struct task *t = task_find(d, id);

	if (t == NULL)
		not_found(c, id);
	else if (t->has_ended)
		call_exited(c, &t->exit);
	else
		pending_new(d, c, t, WAIT);
}

static void
kill_now(void *arg)
{
	struct task *t = arg;

	kill(t->pid, SIGKILL);
	kill(-t->pid, SIGKILL);
}

static int
to_signal(const char *name)
{
	return name[0] == '\0' ? SIGTERM : signame_parse(name, NULL);
}

static void
fake_stop(struct drv *d, struct call *c, const char *id, int64_t timeout_ms, const char *name)
{
	struct task *t = task_find(d, id);

	if (t == NULL || t->has_ended) {
		call_done(c);
		return;
	}
	pending_new(d, c, t, STOP);
	kill(t->pid, to_signal(name));
	loop_timer_free(t->kill);
	t->kill = loop_timer_new(nomad_loop(d->nomad), timeout_ms, kill_now, t);
}

static void
fake_destroy(struct drv *d, struct call *c, const char *id, bool force)
{
	struct task *t = task_find(d, id);
	struct err e = ERR_INIT;

	if (t != NULL && !t->has_ended && !force) {
		err_set(&e, E_STATE, "destroy '%s': it runs", id);
		call_fail(c, &e, false);
		return;
	}
	if (t != NULL) {
		if (!t->has_ended) {
			kill(t->pid, SIGKILL);
			kill(-t->pid, SIGKILL);
			waitpid(t->pid, NULL, 0);
			task_ended(t);
		}
		task_free(t);
	}
	call_done(c);
}

static void
fake_inspect(struct drv *d, struct call *c, const char *id)
{
	struct task *t = task_find(d, id);
	struct drv_kv kvs[] = { { "pid", NULL }, { "odd", "not UTF-8: \xff" } };
	struct drv_status status = { .id = id, .name = "fake", .attributes = { ARRAY_LEN(kvs), kvs } };
	char pid[16];

	if (t == NULL) {
		not_found(c, id);
		return;
	}
	snprintf(pid, sizeof(pid), "%d", (int)t->pid);
	kvs[0].value = pid;
	status.state = t->has_ended ? DRV_TASK_EXITED : DRV_TASK_RUNNING;
	status.started_ns = t->started_ns;
	status.completed_ns = t->ended_ns;
	status.exit = t->exit;
	call_status(c, &status);
}

static void
fake_signal(struct drv *d, struct call *c, const char *id, const char *name)
{
	struct task *t = task_find(d, id);
	struct err e = ERR_INIT;

	if (t == NULL || t->has_ended) {
		not_found(c, id);
	} else if (to_signal(name) <= 0 || kill(t->pid, to_signal(name)) < 0) {
		err_set(&e, E_INVAL, "signal '%s': there is none of this name", name);
		call_fail(c, &e, false);
	} else {
		call_done(c);
	}
}

static void
sample(void *arg)
{
	struct pending *p = arg;
	struct drv_stats stats = { 0, 50.5, -1, 1.5, 1000, 7, DRV_UNMEASURED, 4096, DRV_UNMEASURED, 8192, 9,
		10, DRV_UNMEASURED, DRV_UNMEASURED };

	call_stats(p->call, &stats);
	loop_timer_set(p->timer, p->interval_ms);
}

static void
fake_stats(struct drv *d, struct call *c, const char *id, int64_t interval_ms)
{
	struct task *t = task_find(d, id);
	struct pending *p;

	if (t == NULL) {
		not_found(c, id);
	} else if (t->has_ended) {
		call_done(c);
	} else {
		p = pending_new(d, c, t, STATS);
		p->interval_ms = interval_ms;
		p->timer = loop_timer_new(nomad_loop(d->nomad), 0, sample, p);
	}
}

/* ---- exec -------------------------------------------------------------------------------- */

static void
on_exec_end(void *arg, int status)
{
	struct pending *p = arg;
	struct drv_exit x = { 0 };
	struct call *c = p->call;

	p->child = NULL;
	x.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	x.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	call_on_cancel(c, NULL, NULL);
	pending_free(p);
	call_exec_exited(c, &x);
}

static int
open_terminal(int *master, int *slave)
{
	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*master < 0 || grantpt(*master) < 0 || unlockpt(*master) < 0)
		return -1;
	*slave = open(ptsname(*master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	return *slave < 0 ? -1 : 0;
}

/* ours: in, out, err; theirs: 0, 1, 2. */
static int
open_fds(const struct drv_exec *x, int ours[3], int theirs[3])
{
	int p[2];

	if (x->tty) {
		ours[0] = ours[2] = -1;
		if (open_terminal(&ours[1], &theirs[0]) < 0)
			return -1;
		theirs[1] = fcntl(theirs[0], F_DUPFD_CLOEXEC, 3);
		theirs[2] = fcntl(theirs[0], F_DUPFD_CLOEXEC, 3);
		return 0;
	}
	for (int i = 0; i < 3; i++) {
		if (pipe2(p, O_CLOEXEC) < 0)
			return -1;
		ours[i] = p[i == 0];
		theirs[i] = p[i != 0];
	}
	if (!x->has_stdin)
		close(take_fd(ours[0]));
	return 0;
}

static pid_t
run_exec(struct drv *d, const struct drv_exec *x, const int fds[3])
{
	pid_t pid = nomad_fork(d->nomad, fds, 3);

	if (pid != 0)
		return pid;
	setsid();
	for (int i = 0; i < 3; i++)
		dup2(fds[i], i);
	if (x->tty) /* the first terminal that a session opens is its own */
		close(open(ttyname(0), O_RDWR));
	execvp(x->argv.v[0], (char *const *)(uintptr_t)x->argv.v);
	_exit(127);
}

static void
fake_exec(struct drv *d, struct call *c, const struct drv_exec *x)
{
	struct err e = ERR_INIT;
	struct pending *p;
	int ours[3], theirs[3];

	if (task_find(d, x->task_id) == NULL) {
		not_found(c, x->task_id);
		return;
	}
	if (open_fds(x, ours, theirs) < 0) {
		err_sys(&e, "exec");
		call_fail(c, &e, false);
		return;
	}
	p = pending_new(d, c, NULL, EXEC);
	p->pid = run_exec(d, x, theirs);
	for (int i = 0; i < 3; i++)
		close(theirs[i]);
	call_exec_fds(c, &(struct drv_exec_fds){ ours[0], ours[1], ours[2] });
	p->child = loop_child_new(nomad_loop(d->nomad), p->pid, on_exec_end, p, &e);
	if (p->child == NULL)
		abort();
}

/* ---- the driver -------------------------------------------------------------------------- */

static int
fake_new(struct nomad *n, struct drv **out, struct err *e)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return err_nomem(e);
	(*out)->nomad = n;
	(*out)->is_healthy = true;
	return 0;
}

/* Tasks go on. */
static void
fake_free(struct drv *d)
{
	while (d->pendings != NULL) {
		struct call *c = d->pendings->call;

		pending_free(d->pendings);
		call_done(c);
	}
	while (d->tasks != NULL)
		task_free(d->tasks);
	free(d);
}

static int
fake_set_config(struct drv *d, const struct value *config, const struct drv_node *node, struct err *e)
{
	const char *fail = "";
	int rc = value_string(config, "fail", &fail, "plugin config", e);

	if (rc < 0)
		return rc;
	d->mhz = node == NULL ? 0 : node->total_mhz;
	return fail[0] == '\0' ? 0 : err_set(e, E_INVAL, "plugin config: fail: %s", fail);
}

static int
fake_init(struct drv *d, struct err *e)
{
	log_with(nomad_log(d->nomad), LOG_LEVEL_INFO, "begun: \"\xff\"", "key", "a\\b", NULL);
	return 0;
}

static void
fake_capabilities(struct drv *d, struct drv_capabilities *c)
{
	*c = (struct drv_capabilities){ .send_signals = true,
		.exec = true,
		.fs = DRV_FS_IMAGE,
		.nmodes = 2,
		.modes = { DRV_NET_HOST, DRV_NET_GROUP },
		.must_create_network = true };
}

static void
tell_fingerprint(struct drv *d)
{
	const struct drv_attr attrs[] = {
		{ .name = "driver.fake", .type = DRV_BOOL, .b = true },
		{ .name = "driver.fake.mhz", .type = DRV_INT, .i = (int64_t)d->mhz, .unit = "MHz" },
		{ .name = "driver.fake.share", .type = DRV_FLOAT, .f = 0.5 },
		{ .name = "driver.fake.well", .type = DRV_STRING, .s = "yes" },
	};
	struct drv_fingerprint fp = { d->is_healthy ? DRV_HEALTHY : DRV_UNHEALTHY,
		d->is_healthy ? "healthy" : "ill", d->is_healthy ? 4 : 3, attrs };

	nomad_fingerprint(d->nomad, &fp);
}

static void
fake_fingerprint(struct drv *d)
{
	tell_fingerprint(d);
}

static void
fake_shutdown(struct drv *d)
{
}

/* Its host name is the health that is to be told. */
static void
fake_create_network(struct drv *d, struct call *c, const char *alloc_id, const char *hostname)
{
	struct drv_kv label = { "alloc", alloc_id };
	struct drv_created_network net = {
		{ DRV_NET_GROUP, "/run/netns/fake", { 1, &label }, hostname, "192.0.2.2" }, true
	};

	d->is_healthy = strcmp(hostname, "ill") != 0;
	tell_fingerprint(d);
	call_network(c, &net);
}

static void
fake_destroy_network(
    struct drv *d, struct call *c, const char *alloc_id, const struct drv_net_isolation *spec)
{
	struct err e = ERR_INIT;

	if (spec == NULL || (spec->labels.n == 1 && strcmp(spec->labels.v[0].value, alloc_id) == 0)) {
		call_done(c);
		return;
	}
	err_set(&e, E_INVAL, "network of '%s': not ours", alloc_id);
	call_fail(c, &e, false);
}

static const struct spec auth_rows[] = {
	{ "user", SPEC_ATTR, "string", .required = true },
	{ "tls", SPEC_ATTR, "bool", .preset = "true" },
	{ NULL },
};
static const struct spec config_rows[] = {
	{ "enabled", SPEC_ATTR, "bool", .preset = "true" },
	{ "fail", SPEC_ATTR, "string" },
	{ NULL },
};
static const struct spec task_rows[] = {
	{ "mode", SPEC_ATTR, "string" },
	{ "args", SPEC_ATTR, "list(string)" },
	{ "state_size", SPEC_ATTR, "number" },
	{ "auth", SPEC_BLOCK, .rows = auth_rows },
	{ "mount", SPEC_BLOCK_LIST, .rows = auth_rows, .min = 0, .max = 3 },
	{ "sysctl", SPEC_BLOCK_ATTRS, "string" },
	{ NULL },
};

const struct drv_ops pot_driver = {
	.name = "fake",
	.version = "0.1.0",
	.config_spec = config_rows,
	.task_spec = task_rows,
	.new = fake_new,
	.free = fake_free,
	.set_config = fake_set_config,
	.init = fake_init,
	.capabilities = fake_capabilities,
	.fingerprint = fake_fingerprint,
	.shutdown = fake_shutdown,
	.start = fake_start,
	.recover = fake_recover,
	.wait = fake_wait,
	.stop = fake_stop,
	.destroy = fake_destroy,
	.inspect = fake_inspect,
	.signal = fake_signal,
	.stats = fake_stats,
	.exec = fake_exec,
	.create_network = fake_create_network,
	.destroy_network = fake_destroy_network,
};
