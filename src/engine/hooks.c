/*
 * Hooks: the user's programs at four points of a pot's life, run on the host.
 * They are copied into the pot's directory when they are set, so that a start
 * does not depend on files elsewhere.
 */
#include "engine/epot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "base/text.h"

#define HOOK_DIR "hooks"
#define HOOK_FILE_MAX (16 * 1024 * 1024)

const char *const hook_names[HOOK_COUNT] = {
	[HOOK_PRESTART] = "prestart",
	[HOOK_POSTSTART] = "poststart",
	[HOOK_PRESTOP] = "prestop",
	[HOOK_POSTSTOP] = "poststop",
};

int
hook_find(const char *name, struct err *e)
{
	for (int i = 0; i < HOOK_COUNT; i++)
		if (strcmp(hook_names[i], name) == 0)
			return i;
	err_set(e, E_INVAL, "there is no hook '%s'", name);
	return err_hint(e, "prestart, poststart, prestop or poststop");
}

static void
hook_path(enum hook_point point, char out[static 32])
{
	snprintf(out, 32, HOOK_DIR "/%s", hook_names[point]);
}

bool
hook_is_set(const struct epot *p, enum hook_point point)
{
	char path[32];

	hook_path(point, path);
	return faccessat(p->dir_fd, path, F_OK, 0) == 0;
}

/* Before and after a run nothing of the pot is mounted but what is mounted for the hook. */
static bool
is_mounted_for(enum hook_point point)
{
	return point == HOOK_PRESTART || point == HOOK_POSTSTOP;
}

/*
 * A directory fd on the pot's root for the hook to look into: the running
 * pot's own, or a mount that ends with the hook. -1 where there is none.
 */
static int
hook_root(struct epot *p, enum hook_point point, struct err *e)
{
	const struct iso_ref ref = epot_ref(p);
	int rc;

	if (!is_mounted_for(point))
		return iso_root(&ref, NULL);
	rc = eng_need_storage(p->eng, e);
	return rc < 0 ? rc : stor_mount(p->eng->stor, epot_fs(p), false, e);
}

/* The first address of each family, its bridges and ports; "" where there is none. */
static void
hook_addresses(struct epot *p, struct strv *env)
{
	AUTO_FINI(strv) struct strv bridges = STRV_INIT(NET_BRIDGES_MAX);
	AUTO_FINI(buf) struct buf names = BUF_INIT(4096);
	char ip[2][IP_TEXT] = { "", "" };
	const char *text;
	size_t pos = 0;

	while (p->conf_loaded && (text = kv_next(&p->conf.kv, PC_IP, &pos)) != NULL) {
		struct ip_prefix addr;
		char where[64];

		if (network_address(text, where, &addr, NULL) == 0 && ip[addr.addr.family == 6][0] == '\0')
			ip_print(&addr.addr, ip[addr.addr.family == 6]);
	}
	if (p->conf_loaded && epot_bridges(p, &bridges, NULL) == 0)
		for (size_t i = 0; i < bridges.n; i++)
			buf_fmt(&names, "%s%s", i > 0 ? " " : "", bridges.v[i]);
	strv_fmt(env, "_POT_IP=%s", ip[0]);
	strv_fmt(env, "_POT_IP6=%s", ip[1]);
	strv_fmt(env, "_POT_BRIDGE=%s", buf_cstr(&names));
	strv_fmt(env, "_POT_PORTS=%s", p->state.rec.ports);
}

static void
hook_environment(struct epot *p, enum hook_point point, const char *root, struct strv *env)
{
	const struct state_rec *r = &p->state.rec;

	strv_add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_add(env, "LANG=C");
	strv_fmt(env, "_POT_NAME=%s", p->name);
	strv_fmt(env, "_POT_HOOK=%s", hook_names[point]);
	strv_fmt(env, "_POT_STATE=%s", pot_state_name(r->state));
	strv_fmt(env, "_POT_NETWORK=%s", r->network);
	hook_addresses(p, env);
	if (root[0] != '\0')
		strv_fmt(env, "_POT_ROOT=%s", root);
	if (r->init.pid > 0)
		strv_fmt(env, "_POT_PID=%d", r->init.pid);
	if (point == HOOK_POSTSTOP)
		strv_fmt(env, "_POT_EXIT_STATUS=%d", r->status);
}

static int
run_file(struct epot *p, const char *path, int root, struct strv *env, struct err *e)
{
	AUTO_FINI(buf) struct buf words = BUF_INIT(64 * 1024);
	const char *const argv[] = { path, NULL };
	struct proc_spec spec = PROC_SPEC_INIT;

	spec.argv = argv;
	spec.envp = (const char *const *)strv_argv(env);
	spec.err = &words;
	spec.timeout_ms = (int)config_duration_ms(p->eng->conf, "hook_timeout");
	spec.pass_fd = root;
	spec.cancel = p->eng->cancel;
	return proc_run(&spec, NULL, e);
}

int
hook_run(struct epot *p, enum hook_point point, struct err *e)
{
	AUTO_FINI(strv) struct strv env = STRV_INIT(64);
	AUTO(fd) int root = -1;
	char path[PATH_MAX], root_path[PATH_MAX] = "";
	int rc;

	if (!hook_is_set(p, point))
		return 0;
	/* Its facts; a damaged one keeps no hook from running. */
	(void)!epot_load_conf(p, NULL);
	snprintf(path, sizeof(path), "%s/pots/%s/" HOOK_DIR "/%s", p->eng->root, p->name, hook_names[point]);
	root = hook_root(p, point, e);
	if (root < 0 && point == HOOK_PRESTART)
		return root;
	rc = root < 0 ? 0 : host_fd_path(root, root_path, sizeof(root_path), e);
	hook_environment(p, point, root_path, &env);
	if (rc == 0)
		rc = strv_check(&env, "the hook's environment", e);
	if (rc == 0)
		rc = run_file(p, path, root, &env, e);
	if (rc < 0)
		rc = err_wrap(e, "the %s hook", hook_names[point]);
	fd_close(take_fd(root));
	if (is_mounted_for(point) && stor_unmount(p->eng->stor, epot_fs(p), rc < 0 ? NULL : e) < 0 && rc == 0)
		rc = -E_SYS;
	return rc;
}

int
hook_set(struct epot *p, enum hook_point point, const char *file, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(HOOK_FILE_MAX);
	AUTO(fd) int dir = -1;
	AUTO(fd) int src = -1;
	struct stat st;
	int rc;

	if (file == NULL) {
		char path[32];

		hook_path(point, path);
		if (unlinkat(p->dir_fd, path, 0) != 0 && errno != ENOENT)
			return err_sys(e, "cannot remove the %s hook of %s", hook_names[point], p->name);
		return 0;
	}
	src = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (src < 0 || fstat(src, &st) != 0)
		return err_sys(e, "cannot read the hook %s", file);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0) {
		err_set(e, E_INVAL, "the hook %s is not an executable file", file);
		return err_hint(e, "chmod +x %s", file);
	}
	rc = fd_read_all(src, &text, e);
	if (rc < 0)
		return err_wrap(e, "the hook %s", file);
	dir = dir_make(p->dir_fd, HOOK_DIR, 0700, e);
	if (dir < 0)
		return dir;
	return file_write_atomic(dir, hook_names[point], 0700, text.data, text.len, e);
}
