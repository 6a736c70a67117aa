/*
 * A task becomes a pot, in a child of the driver: what the agent and the job
 * say, as arguments of pot_create; then files are copied and the pot started
 * with the agent's pipes as its output. All or nothing: a pot that could not
 * be started is removed again.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "nomad/agent_group.h"
#include "nomad/task_make.h"

#define LIST_MAX 65536
#define BRIDGE_TRIES 5

const char *
make_keep(struct make *m, const char *fmt, ...)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(64 * 1024);
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	strv_add(&m->strings, buf_cstr(&b));
	return m->strings.failed ? "" : m->strings.v[m->strings.n - 1];
}

const char *
make_env(const struct drv_task *t, const char *name)
{
	for (size_t i = 0; i < t->env.n; i++)
		if (strcmp(t->env.v[i].key, name) == 0)
			return t->env.v[i].value;
	return NULL;
}

/* ---- environment, labels, hosts ------------------------------------------------------------- */

static void
add_env(struct make *m, const struct drv_kvs *env)
{
	for (size_t i = 0; i < env->n; i++) {
		const char *name = env->v[i].key;
		size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

		if (name[len] == '\0' && len > 0 && !(name[0] >= '0' && name[0] <= '9'))
			strv_fmt(&m->env, "%s=%s", name, env->v[i].value);
		else
			say_text(m->say, "The variable %.64s is left out: letters, digits and _ make a name",
			    name);
	}
}

static void
add_labels(struct make *m)
{
	const struct drv_task *t = m->t;
	const struct {
		const char *name, *value;
	} own[] = {
		{ "task_id", t->id },
		{ "alloc_id", t->alloc_id },
		{ "task", t->name },
		{ "group", t->group },
		{ "job", t->job_id },
		{ "namespace", t->namespace },
		{ "node_id", t->node_id },
		{ "node", t->node_name },
	};

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (own[i].value[0] != '\0')
			strv_fmt(&m->labels, "io.pot.nomad.%s=%s", own[i].name, own[i].value);
	for (size_t i = 0; i + 1 < m->c->labels.n; i += 2)
		strv_fmt(&m->labels, "%s=%s", m->c->labels.v[i], m->c->labels.v[i + 1]);
}

static void
add_hosts(struct make *m)
{
	for (size_t i = 0; i < m->c->hosts.n; i++)
		strv_add(&m->hosts, m->c->hosts.v[i]);
	if (m->t->net != NULL && m->t->net->hostname[0] != '\0' && m->t->net->address[0] != '\0')
		strv_fmt(&m->hosts, "%s:%s", m->t->net->hostname, m->t->net->address);
}

/* ---- limits and walls ----------------------------------------------------------------------- */

static void
add_limit(struct make *m, const char *name, const char *value)
{
	if (m->nlimits < LIMITS_MAX)
		m->limits[m->nlimits++] = (struct pot_limit){ name, value };
}

static unsigned
count_cpus(const char *list)
{
	unsigned n = 0;

	while (*list != '\0') {
		char *end;
		unsigned long a = strtoul(list, &end, 10), b = a;

		if (end == list)
			return 0;
		if (*end == '-')
			b = strtoul(end + 1, &end, 10);
		n += b >= a ? (unsigned)(b - a + 1) : 0;
		list = *end == ',' ? end + 1 : end;
	}
	return n;
}

static void
add_cpu(struct make *m)
{
	const struct drv_resources *r = &m->t->resources;
	int64_t shares = r->has_linux && r->linux_cpu_shares > 0 ? r->linux_cpu_shares : r->cpu_shares;
	const struct drv *d = m->s->d;
	double part = r->percent_ticks;
	unsigned cores = count_cpus(r->cpuset_cpus);

	if (shares > 0)
		add_limit(m, "cpu-shares",
		    make_keep(m, "%lld",
			(long long)(shares < 2    ? 2
				: shares > 262144 ? 262144
						  : shares)));
	if (cores > 0)
		add_limit(m, "cpus", make_keep(m, "%u", cores));
	if (!m->c->cpu_hard)
		return;
	if (part <= 0 && d->total_mhz > 0)
		part = (double)r->cpu_shares / (double)d->total_mhz;
	if (part > 0 && d->ncores > 0)
		add_limit(m, "cpu-quota",
		    make_keep(m, "%.1f%%", part * d->ncores * 100 < 1 ? 1.0 : part * d->ncores * 100));
}

static void
add_limits(struct make *m)
{
	const struct drv_resources *r = &m->t->resources;
	const struct task_conf *c = m->c;
	int64_t pids = c->pids_limit >= 0 ? c->pids_limit : m->s->d->conf.pids_limit;

	add_cpu(m);
	if (r->memory_max_mb > r->memory_mb) {
		add_limit(m, "memory", make_keep(m, "%lldm", (long long)r->memory_max_mb));
		add_limit(m, "memory-reservation", make_keep(m, "%lldm", (long long)r->memory_mb));
	} else if (r->memory_mb > 0) {
		add_limit(m, "memory", make_keep(m, "%lldm", (long long)r->memory_mb));
	}
	if (c->memory_swap != NULL)
		add_limit(m, "memory-swap", c->memory_swap);
	if (c->pids_limit >= 0 || pids > 0)
		add_limit(m, "pids", make_keep(m, "%lld", (long long)pids));
	for (size_t i = 0; i + 1 < c->ulimit.n; i += 2)
		add_limit(m, "ulimit", make_keep(m, "%s=%s", c->ulimit.v[i], c->ulimit.v[i + 1]));
	if (c->oom != NULL)
		add_limit(m, "on-oom", c->oom);
}

static void
add_walls(struct make *m)
{
	const struct task_conf *c = m->c;
	const struct {
		const char *name, *value;
	} rows[] = {
		{ "privileged", c->privileged ? "yes" : NULL },
		{ "read-only", c->read_only ? "yes" : NULL },
		{ "seccomp", c->seccomp },
		{ "userns", c->userns },
		{ "shm-size", c->shm_size },
	};
	const struct {
		const char *name;
		const struct strv *list;
	} lists[] = { { "cap-add", &c->cap_add }, { "cap-drop", &c->cap_drop }, { "tmpfs", &c->tmpfs },
		{ "device", &c->devices } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].value != NULL)
			strv_fmt(&m->walls, "%s=%s", rows[i].name, rows[i].value);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (size_t k = 0; k < lists[i].list->n; k++)
			strv_fmt(&m->walls, "%s=%s", lists[i].name, lists[i].list->v[k]);
	for (size_t i = 0; i + 1 < c->sysctl.n; i += 2)
		strv_fmt(&m->walls, "sysctl=%s=%s", c->sysctl.v[i], c->sysctl.v[i + 1]);
	for (size_t i = 0; i < m->t->ndevices; i++)
		strv_fmt(&m->walls, "device=%s:%s", m->t->devices[i].host_path, m->t->devices[i].task_path);
}

/* ---- making it -------------------------------------------------------------------------------- */

static void
add_source(struct make *m, struct pot_create_args *a, struct buf *command)
{
	const struct task_conf *c = m->c;

	a->level = -1;
	if (m->s->imported[0] != '\0') {
		a->from_pot = m->s->imported;
		a->snapshot = false;
	} else {
		a->image = m->s->image;
	}
	if (c->form == IMAGE_CLASSIC || m->s->imported[0] != '\0') {
		if (c->words.n > 0) {
			text_join(c->words.v, command);
			a->command = buf_cstr(command);
		}
	} else if (c->words.n > 0) {
		a->args = (const char *const *)strv_argv((struct strv *)&c->words);
	}
	if (c->has_entrypoint)
		a->entrypoint = (const char *const *)strv_argv((struct strv *)&c->entrypoint);
}

static int
check_lists(struct make *m, struct err *e)
{
	struct strv *all[] = { &m->env, &m->labels, &m->hosts, &m->walls, &m->publish, &m->bridges, &m->names,
		&m->ips, &m->strings };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(all) && rc == 0; i++)
		rc = strv_check(all[i], "the task's configuration", e);
	return rc;
}

static const char *const *
list(struct strv *v)
{
	return v->n == 0 ? NULL : (const char *const *)strv_argv(v);
}

static int
create(struct make *m, struct err *e)
{
	AUTO_FINI(buf) struct buf command = BUF_INIT(1024 * 1024);
	const struct task_conf *c = m->c;
	struct pot_create_args a = { .name = m->s->pot,
		.user = c->user != NULL     ? c->user
		    : m->t->user[0] != '\0' ? m->t->user
					    : NULL,
		.workdir = c->workdir,
		.hostname = c->hostname };
	int rc;

	add_env(m, &m->t->env);
	add_env(m, &m->t->device_env);
	add_labels(m);
	add_hosts(m);
	add_limits(m);
	add_walls(m);
	add_source(m, &a, &command);
	if ((rc = make_mounts(m, e)) < 0 || (rc = make_network(m, &a, e)) < 0 ||
	    (rc = make_dns(m, &a, e)) < 0 || (rc = check_lists(m, e)) < 0)
		return rc;
	a.env = list(&m->env);
	a.labels = list(&m->labels);
	a.hosts = list(&m->hosts);
	a.walls = list(&m->walls);
	a.publish = list(&m->publish);
	a.bridges = list(&m->bridges);
	a.names = list(&m->names);
	a.addrs = list(&m->ips);
	a.attrs = list((struct strv *)&c->attrs);
	a.mounts = m->mounts;
	a.nmounts = m->nmounts;
	a.limits = m->limits;
	a.nlimits = m->nlimits;
	for (int i = 0;; i++) {
		rc = m->bridge[0] == '\0' ? 0
					  : net_bridge_need(m->ctx, m->bridge, (unsigned)c->bridge_size, e);
		if (rc == 0)
			rc = pot_create(m->ctx, &a, e);
		/* The last task of the allocation that was there before may just have taken the bridge along. */
		if (rc != -E_NOENT || m->bridge[0] == '\0' || i == BRIDGE_TRIES)
			return rc;
	}
}

static int
copy_files(struct make *m, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < m->c->copies.n && rc == 0; i++) {
		const char *text = m->c->copies.v[i], *colon = strchr(text, ':'), *source = NULL;

		rc = make_host_path(m, "copy", text, (size_t)(colon - text), &source, e);
		if (rc == 0)
			rc = pot_copy_in(m->ctx, m->s->pot, source, colon + 1, POT_COPY_PARENTS, e);
	}
	return rc;
}

/* A pipe that nobody reads yet is no reason to wait: the agent's log collector comes back. */
static int
open_output(const char *path, int *fd, struct err *e)
{
	int flags;

	if (path[0] == '\0')
		path = "/dev/null";
	*fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0 && errno == ENXIO)
		*fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0 || (flags = fcntl(*fd, F_GETFL)) < 0 || fcntl(*fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
		return err_sys(e, "cannot open the log pipe %s", path);
	return 0;
}

static int
start(struct make *m, struct err *e)
{
	AUTO(fd) int in = open("/dev/null", O_RDONLY | O_CLOEXEC), out = -1, err = -1;
	struct pot_start_args a = { 0 };
	int fds[3],
	    rc = in < 0 ? err_sys(e, "cannot open /dev/null") : open_output(m->t->stdout_path, &out, e);

	if (rc == 0)
		rc = open_output(m->t->stderr_path, &err, e);
	if (rc < 0)
		return rc;
	fds[0] = in;
	fds[1] = out;
	fds[2] = err;
	a.fds = fds;
	rc = pot_start(m->ctx, m->s->pot, &a, NULL, e);
	if (rc == -E_NOCMD && m->c->form != IMAGE_CLASSIC && m->c->words.n > 0 &&
	    strchr(m->c->words.v[0], ' ') != NULL)
		return err_hint(e, "command is the program alone; the words behind it go to args");
	return rc;
}

/* What the driver keeps of it. */
static int
tell(struct make *m, struct kv *out, struct err *e)
{
	struct pot_info *info = NULL;
	const struct task_conf *c = m->c;
	char started[24], address[48] = "";
	bool alias = strcmp(m->mode, "alias") == 0, advertise = c->advertise_set ? c->advertise : alias;
	int rc = pot_info(m->ctx, m->s->pot, 0, &info, e);

	if (rc < 0)
		return rc;
	snprintf(started, sizeof(started), "%lld",
	    (long long)(info->summary.started_ns != 0 ? info->summary.started_ns : text_now_ns()));
	if (info->naddresses > 0)
		snprintf(address, sizeof(address), "%.*s", (int)strcspn(info->addresses[0].address, "/"),
		    info->addresses[0].address);
	const struct {
		const char *key, *value;
	} rows[] = {
		{ "format", "1" },
		{ "started", started },
		{ "image", m->s->imported[0] == '\0' ? m->s->image : "" },
		{ "user", info->user },
		{ "workdir", info->workdir },
		{ "address", address },
		{ "advertise", advertise && address[0] != '\0' ? "yes" : "no" },
		{ "keep_failed", c->keep_failed ? "yes" : "no" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		rc = kv_add(out, rows[i].key, rows[i].value, e);
	for (size_t i = 0; i < m->ports.n && rc == 0; i++) {
		rc = kv_add(out, "label", m->ports.v[i].key, e);
		if (rc == 0)
			rc = kv_add(out, "port", m->ports.v[i].value, e);
	}
	pot_info_free(info);
	return rc;
}

/* What the registry has now, or by whom it was signed, is asked for each task; what is here is not fetched again. */
static bool
must_ask(const struct make *m)
{
	return (m->c->force_pull || m->c->verify) && !m->s->pulled;
}

static int
have_image(struct make *m, struct kv *out, struct err *e)
{
	struct starting *s = m->s;
	bool classic = image_takes_classic(m->ctx, m->c);
	int rc = 0;

	/* What the classic files have become here goes before the OCI image of that name. */
	if (classic && s->imported[0] == '\0') {
		char pot[POT_NAME_LEN];

		image_classic_pot(m->c, pot);
		rc = pot[0] == '\0' ? 0 : pot_exists(m->ctx, pot, e);
		if (rc == 1)
			snprintf(s->imported, sizeof(s->imported), "%s", pot);
	} else if (s->imported[0] != '\0') {
		rc = pot_exists(m->ctx, s->imported, e);
	}
	if (rc == 0 && s->imported[0] == '\0' && s->image[0] != '\0' && (!classic || s->pulled) &&
	    !must_ask(m))
		rc = pot_image_exists(m->ctx, s->image, e);
	if (rc == 0) {
		(void)!kv_add(out, "missing", "yes", NULL);
		rc = err_set(e, E_NOENT, "image %s is not on this node", s->image);
	}
	return rc < 0 ? rc : 0;
}

/* Of a driver that was killed in the middle: the same task comes again. */
static int
clear_place(struct make *m, struct err *e)
{
	int rc = pot_exists(m->ctx, m->s->pot, e);

	if (rc == 1)
		rc = pot_destroy(m->ctx, m->s->pot, true, e);
	return rc == -E_NOENT ? 0 : rc;
}

static void
undo(struct make *m, const struct err *why)
{
	struct err own = ERR_INIT;

	/* Whoever has taken over from a driver that is gone now owns the name. */
	say_text(m->say, "%s", "");
	if (m->c->keep_failed && why->code != E_INTR) {
		say_text(
		    m->say, "The start failed: pot %s is kept for a look; pot prune removes it", m->s->pot);
		(void)!pot_set_attribute(m->ctx, m->s->pot, "prunable", "YES", NULL);
		return;
	}
	if (pot_destroy(m->ctx, m->s->pot, true, &own) < 0 && own.code != E_NOENT)
		say_text(m->say, "warning: pot %s is left behind: %s", m->s->pot, own.msg);
	agent_group_remove(m->t->id);
	if (m->bridge[0] != '\0')
		net_bridge_release(m->ctx, m->bridge);
}

static int
run(struct make *m, struct kv *out, struct err *e)
{
	int rc = have_image(m, out, e);

	if (rc == 0)
		rc = clear_place(m, e);
	if (rc < 0)
		return rc;
	say_text(m->say, "Making pot %s", m->s->pot);
	rc = create(m, e);
	if (m->resolv[0] != '\0')
		(void)unlink(m->resolv);
	if (rc < 0) {
		if (m->bridge[0] != '\0')
			net_bridge_release(m->ctx, m->bridge);
		return rc;
	}
	rc = copy_files(m, e);
	if (rc == 0)
		say_text(m->say, "Starting pot");
	if (rc == 0)
		rc = start(m, e);
	if (rc == 0)
		agent_group_take(m->ctx, m->s->pot, m->t->id);
	if (rc == 0)
		rc = tell(m, out, e);
	if (rc == 0 && *say_cancel(m->say))
		rc = err_set(e, E_INTR, "the start was given up");
	if (rc < 0)
		undo(m, e);
	return rc;
}

int
task_make(void *arg, struct say *say, struct pot_ctx *ctx, struct kv *out, struct err *e)
{
	struct starting *s = arg;
	struct make *m = calloc(1, sizeof(*m));
	int rc;

	/* The process ends with this: nothing needs to be given back. */
	if (m == NULL)
		return err_nomem(e);
	m->s = s;
	m->c = &s->conf;
	m->t = s->task;
	m->say = say;
	m->ctx = ctx;
	m->env.max = m->labels.max = m->hosts.max = m->walls.max = m->publish.max = m->bridges.max =
	    m->names.max = m->ips.max = m->strings.max = LIST_MAX;
	rc = run(m, out, e);
	return rc;
}
