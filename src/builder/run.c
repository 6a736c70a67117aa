/*
 * Running a command: a pot whose root is the tree in the making, started with
 * the command, its mounts and its environment, none of which is written down;
 * then the pot goes, and its tree stays for who called. Without us the pot is
 * killed, and removed by whoever comes by (engine/state.h, STATE_BUILD).
 */
#include "builder/run.h"

#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/text.h"
#include "builder/crew.h"
#include "engine/epot.h"

static const char *
network_of(const struct bld *b, const struct bld_run *r)
{
	static const char *const names[] = {
		[BLD_NET_DEFAULT] = "public-bridge",
		[BLD_NET_NONE] = "none",
		[BLD_NET_HOST] = "inherit",
	};

	return names[r->network != BLD_NET_DEFAULT ? r->network : b->network];
}

/* For eng_create_from. Attributes: what a command writes to /tmp is the tree's. */
static int
make_root(void *arg, struct stor *stor, struct stor_fs fs, struct kv *settings, struct err *e)
{
	(void)stor;
	(void)fs;
	int rc = bld_half_clone(arg, e);

	return rc < 0 ? rc : kv_add(settings, IMG_SET_ATTR, "no-tmpfs=YES", e);
}

static int
create(struct bld *b, struct bld_half *h, const struct bld_run *r, struct err *e)
{
	static const char *const open_walls[] = { "privileged=YES", NULL };
	const struct pot_create_args args = {
		.name = h->name,
		.level = -1,
		.network = network_of(b, r),
		.limits = r->limits,
		.nlimits = r->nlimits,
		.walls = r->insecure ? open_walls : NULL,
	};
	const struct eng_maker maker = { make_root, h, true };

	return eng_create_from(b->eng, &args, &maker, e);
}

/* Both lists; what is not in the key after what is. */
static int
join_env(const struct bld_run *r, struct strv *env, struct err *e)
{
	for (const char *const *v = r->env; v != NULL && *v != NULL; v++)
		strv_add(env, *v);
	for (const char *const *v = r->env_more; v != NULL && *v != NULL; v++)
		strv_add(env, *v);
	(void)strv_argv(env);
	return strv_check(env, "the environment", e);
}

static int
start(struct bld *b, const struct bld_half *h, const struct bld_run *r, const char *const *argv,
    char *const *env, const struct bld_mounts *m, struct pot_process *proc, struct err *e)
{
	const struct eng_command command = {
		.argv = (char *const *)argv,
		.env = env,
		.user = r->user != NULL && r->user[0] != '\0' ? r->user : NULL,
		.workdir = r->workdir,
		.mounts = m->v,
		.nmounts = m->n,
	};

	return eng_start_command(b->eng, h->name, &command, proc, e);
}

/* Nobody knows the pot by its name. */
static int
without_name(const struct bld_half *h, int rc, struct err *e)
{
	char prefix[64];
	size_t n = (size_t)snprintf(prefix, sizeof(prefix), "cannot start %s: ", h->name);

	if (strncmp(e->msg, prefix, n) == 0)
		memmove(e->msg, e->msg + n, strlen(e->msg) - n + 1);
	return rc;
}

static int
run_it(struct bld *b, const struct bld_half *h, const struct bld_run *r, char *const *env,
    const struct bld_mounts *m, struct err *e)
{
	struct pot_process proc = { 0, -1 };
	int status, out = crew_out(b), rc;

	if ((rc = start(b, h, r, r->argv, env, m, &proc, e)) < 0)
		return without_name(h, rc, e);
	crew_bind(b);
	fault_point("build.started");
	if ((rc = eng_attach(b->eng, h->name, &proc, out, out, -1, &status, e)) < 0)
		return rc;
	fault_point("build.ended");
	if (status == 0)
		return 0;
	if (status > 128)
		return err_set(e, E_STATE, "the command was killed by signal %d", status - 128);
	return err_set(e, E_STATE, "the command returned %d", status);
}

/* ---- a look at what has failed -------------------------------------------------------------------- */

/* The same pot again, with a first process that stays, and beside it the user's shell. */
static void
debug(struct bld *b, const struct bld_half *h, const struct bld_run *r, char *const *env,
    const struct bld_mounts *m, const struct err *why)
{
	static char shell[] = "/bin/sh";
	static const char *const stay[] = { "/bin/sh", "-c", ":", NULL };
	char *const argv[] = { shell, NULL };
	struct bld_run as_root = *r;
	const struct pot_exec_args args = { .argv = argv,
		.env = env,
		.user = r->user,
		.workdir = r->workdir,
		.tty = true,
		.rows = b->rows,
		.cols = b->cols };
	struct pot_process proc = { 0, -1 }, sh = { 0, -1 };
	struct err own = ERR_INIT;
	int rc;

	as_root.user = NULL;
	event_info(&b->eng->events, "the step failed: %s; here is a shell on what it left", why->msg);
	rc = eng_set_attribute(b->eng, h->name, "persistent", "YES", &own);
	if (rc == 0)
		rc = start(b, h, &as_root, stay, env, m, &proc, &own);
	if (rc == 0 && (rc = eng_exec(b->eng, h->name, &args, &sh, &own)) == 0)
		rc = b->debug(b->debug_arg, &sh, &own);
	/* The end of the client is the pot's. */
	fd_close(proc.fd);
	if (rc < 0)
		event_warn(&b->eng->events, "no shell: %s", own.msg);
	if (eng_stop(b->eng, h->name, 0, &own) < 0 && own.code != E_STATE)
		event_warn(&b->eng->events, "%s", own.msg);
}

/* ---- the whole -------------------------------------------------------------------------------------- */

/* Not before the shim is gone, and its mounts with it. */
static int
settle(struct bld *b, const struct bld_half *h, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;

	return epot_get(&p, b->eng, h->name, EPOT_WRITE, e);
}

/* Mount points: of the command's own mounts, and those that every start makes. */
static int
remove_stubs(struct bld *b, struct bld_half *h, const struct bld_run *r, struct err *e)
{
	static const char *const always[] = { "/proc", "/sys", "/dev", "/etc/hostname", "/etc/hosts",
		"/etc/resolv.conf", "/run" };
	const char *paths[ARRAY_LEN(always) + BLD_MOUNTS_MAX];
	struct bld_look *look = NULL;
	size_t n = 0;
	int parent = -1, rc;

	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		paths[n++] = always[i];
	for (size_t i = 0; i < r->nmounts; i++)
		paths[n++] = r->mounts[i].target;
	if ((rc = bld_look_begin(b, &h->parent, &look, &parent, e)) < 0)
		return rc;
	AUTO(fd) int root = bld_half_mount(h, e);
	rc = root < 0 ? root : bld_stubs_remove(root, parent, paths, n, e);
	bld_look_end(look);
	fd_close(take_fd(root));
	return rc < 0 ? rc : bld_half_unmount(h, e);
}

int
bld_run_do(struct bld *b, struct bld_half *h, const struct bld_run *r, struct bld_mounts *m, struct err *e)
{
	AUTO_FINI(strv) struct strv env = STRV_INIT(65536);
	int rc = join_env(r, &env, e);

	if (rc < 0 || (rc = bld_mounts_make(b, r, m, e)) < 0 || (rc = create(b, h, r, e)) < 0)
		return rc;
	fault_point("build.pot");
	rc = run_it(b, h, r, strv_argv(&env), m, e);
	if (rc < 0 && rc != -E_INTR && b->debug != NULL)
		debug(b, h, r, strv_argv(&env), m, e);
	if (rc == 0 && (rc = settle(b, h, e)) == 0)
		rc = remove_stubs(b, h, r, e);
	return rc;
}
