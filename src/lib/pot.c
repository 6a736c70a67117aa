/*
 * libpot: the public API. Here arguments are checked, once for every front
 * door; what they mean is done by the engine.
 */
#include <pot.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <errno.h>
#include <unistd.h>

#include "base/auto.h"
#include "engine/engine.h"
#include "lib/ctx.h"
#include "model/name.h"
#include "model/reference.h"

int
pot_open(struct pot_ctx **out, const struct pot_open_args *args, struct err *e)
{
	struct pot_ctx *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return err_nomem(e);
	rc = eng_open(&c->eng, args, e);
	if (rc < 0) {
		free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void
pot_close(struct pot_ctx *c)
{
	if (c == NULL)
		return;
	eng_close(c->eng);
	free(c);
}

const char *
pot_root(const struct pot_ctx *c)
{
	return c->eng->root;
}

int
lib_need_root(struct err *e)
{
	if (geteuid() == 0)
		return 0;
	err_set(e, E_PERM, "only root may do this");
	return err_hint(e, "try: sudo pot …");
}

int
lib_check(struct pot_ctx *c, const char *name, struct err *e)
{
	int rc = name_check(name, "pot", e);

	if (rc == 0)
		rc = lib_need_root(e);
	return rc == 0 ? eng_need_node(c->eng, e) : rc;
}

int
lib_check_look(struct pot_ctx *c, const char *name, struct err *e)
{
	int rc = name_check(name, "pot", e);

	return rc == 0 ? eng_need_node(c->eng, e) : rc;
}

static int
check_choice(const char *value, const char *const *choices, const char *what, struct err *e)
{
	AUTO_FINI(buf) struct buf list = BUF_INIT(512);

	for (const char *const *ch = choices; *ch != NULL; ch++) {
		if (value == NULL || strcmp(value, *ch) == 0)
			return 0;
		buf_fmt(&list, "%s%s", list.len > 0 ? ", " : "", *ch);
	}
	err_set(e, E_INVAL, "there is no %s '%s'", what, value);
	return err_hint(e, "one of: %s", buf_cstr(&list));
}

int
lib_check_path(const char *path, const char *what, struct err *e)
{
	if (path == NULL || *path == '\0')
		return err_set(e, E_INVAL, "%s is empty", what);
	if (path[0] != '/')
		return err_set(e, E_INVAL, "%s '%s' is not absolute", what, path);
	return 0;
}

/* ---- node and bases ------------------------------------------------------ */

int
pot_init(struct pot_ctx *c, const struct pot_init_args *a, struct pot_init_report *r, struct err *e)
{
	int rc = a->dry_run ? 0 : lib_need_root(e);

	return rc < 0 ? rc : eng_init(c->eng, a, r, e);
}

int
pot_deinit(struct pot_ctx *c, bool force, struct err *e)
{
	int rc = lib_need_root(e);

	return rc < 0 ? rc : eng_deinit(c->eng, force, e);
}

int
pot_config(struct pot_ctx *c, pot_config_fn *fn, void *arg, struct err *e)
{
	return eng_config(c->eng, fn, arg, e);
}

int
pot_doctor(struct pot_ctx *c, pot_finding_fn *fn, void *arg, struct err *e)
{
	return eng_doctor(c->eng, fn, arg, e);
}

int
pot_base_create(struct pot_ctx *c, const struct pot_base_args *a, struct err *e)
{
	int rc = a->name == NULL ? 0 : name_check_base(a->name, e);

	if (rc == 0 && a->release == NULL && a->from == NULL)
		rc = err_set(e, E_INVAL, "neither a release nor a source is given");
	if (rc == 0)
		rc = lib_need_root(e);
	if (rc == 0)
		rc = eng_need_node(c->eng, e);
	return rc < 0 ? rc : eng_base_create(c->eng, a, e);
}

int
pot_base_list(struct pot_ctx *c, bool sizes, pot_base_fn *fn, void *arg, struct err *e)
{
	int rc = eng_need_node(c->eng, e);

	return rc < 0 ? rc : eng_base_list(c->eng, sizes, fn, arg, e);
}

int
pot_base_destroy(struct pot_ctx *c, const char *name, bool recursive, struct err *e)
{
	int rc = name_check_base(name, e);

	if (rc == 0)
		rc = lib_need_root(e);
	if (rc == 0)
		rc = eng_need_node(c->eng, e);
	return rc < 0 ? rc : eng_base_destroy(c->eng, name, recursive, e);
}

/* ---- making and removing --------------------------------------------------- */

static int
check_names(const char *const *names, const char *kind, struct err *e)
{
	int rc = 0;

	for (; *names != NULL && rc == 0; names++)
		rc = name_check(*names, kind, e);
	return rc;
}

static int
check_rate(uint64_t bps, struct err *e)
{
	if (bps >= IP_RATE_MIN && bps <= IP_RATE_MAX)
		return 0;
	return err_set(e, E_INVAL, "a rate of %llu bits per second is too %s", (unsigned long long)bps,
	    bps < IP_RATE_MIN ? "low" : "high");
}

static int
check_create(const struct pot_create_args *a, struct err *e)
{
	static const char *const types[] = { "single", "multi", NULL };
	static const char *const stacks[] = { "ipv4", "ipv6", "dual", NULL };
	struct reference ref;
	int rc;

	if ((a->base != NULL) + (a->from_pot != NULL) + (a->image != NULL) != 1) {
		err_set(e, E_INVAL, "a pot is made from one base (-b), one pot (-P) or one image");
		return err_hint(e, "pot list -b shows the bases");
	}
	rc = a->base != NULL   ? name_check_base(a->base, e)
	    : a->image != NULL ? ref_parse(a->image, &ref, e)
			       : name_check(a->from_pot, "pot", e);
	if (rc == 0 && a->from_pot != NULL && strcmp(a->from_pot, a->name) == 0)
		rc = err_set(e, E_INVAL, "a pot cannot be made from itself");
	if (rc == 0 && a->tag != NULL)
		rc = name_check_tag(a->tag, e);
	if (rc == 0 && a->tag != NULL && a->snapshot)
		rc = err_set(e, E_INVAL, "either an existing snapshot is used or a new one is taken");
	if (rc == 0)
		rc = check_choice(a->type, types, "type", e);
	if (rc == 0)
		rc = check_choice(a->stack, stacks, "network stack", e);
	if (rc == 0)
		rc = check_choice(a->network, potconf_networks, "network type", e);
	if (rc == 0 && a->bridges != NULL)
		rc = check_names(a->bridges, "bridge", e);
	if (rc == 0 && a->net_in != 0)
		rc = check_rate(a->net_in, e);
	if (rc == 0 && a->net_out != 0)
		rc = check_rate(a->net_out, e);
	for (const char *const *n = a->names; rc == 0 && n != NULL && *n != NULL; n++)
		if (!name_is_hostname(*n))
			rc = err_set(e, E_INVAL, "'%.80s' is not a name that other pots could look up", *n);
	if (rc == 0 && a->level > 2)
		rc = err_set(e, E_INVAL, "the level is 0, 1 or 2, not %d", a->level);
	if (rc == 0 && a->dns != NULL && strncmp(a->dns, "custom:", 7) != 0) {
		static const char *const dns[] = { "inherit", "pot", "off", "custom:FILE", NULL };

		rc = check_choice(a->dns, dns, "dns", e);
	}
	return rc;
}

int
lib_check_create(struct pot_ctx *c, const struct pot_create_args *a, struct err *e)
{
	int rc = lib_check(c, a->name, e);

	return rc < 0 ? rc : check_create(a, e);
}

int
pot_create(struct pot_ctx *c, const struct pot_create_args *a, struct err *e)
{
	int rc = lib_check_create(c, a, e);

	return rc < 0 ? rc : eng_create(c->eng, a, e);
}

int
pot_image_exists(struct pot_ctx *c, const char *image, struct err *e)
{
	struct reference ref;
	int rc = ref_parse(image, &ref, e);

	if (rc == 0)
		rc = eng_need_node(c->eng, e);
	return rc < 0 ? rc : eng_image_exists(c->eng, image, e);
}

bool
pot_image_is_remote(const char *image)
{
	struct reference ref;

	return ref_parse(image, &ref, NULL) == 0 && ref.host[0] != '\0';
}

int
pot_destroy(struct pot_ctx *c, const char *name, bool force, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_destroy(c->eng, name, force, e);
}

int
pot_rename(struct pot_ctx *c, const char *name, const char *newname, struct err *e)
{
	int rc = lib_check(c, name, e);

	if (rc == 0)
		rc = name_check(newname, "pot", e);
	if (rc == 0 && strcmp(name, newname) == 0)
		rc = err_set(e, E_EXIST, "pot %s has this name already", name);
	return rc < 0 ? rc : eng_rename(c->eng, name, newname, e);
}

int
pot_prune(struct pot_ctx *c, const struct pot_prune_args *a, pot_name_fn *fn, void *arg, struct err *e)
{
	int rc = lib_need_root(e);

	if (rc == 0)
		rc = eng_need_node(c->eng, e);
	return rc < 0 ? rc : eng_prune(c->eng, a, fn, arg, e);
}

/* ---- running ---------------------------------------------------------------- */

int
pot_start(struct pot_ctx *c, const char *name, const struct pot_start_args *a, struct pot_process *proc,
    struct err *e)
{
	int rc = lib_check(c, name, e);

	if (rc == 0 && a->attach && (a->fds != NULL || proc == NULL))
		rc = err_set(e, E_INVAL, "attaching goes with neither fds nor a missing process");
	return rc < 0 ? rc : eng_start(c->eng, name, a, proc, e);
}

int
pot_attach(struct pot_ctx *c, const char *name, struct pot_process *proc, int out_fd, int err_fd,
    int signal_fd, int *status, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_attach(c->eng, name, proc, out_fd, err_fd, signal_fd, status, e);
}

int
pot_stop(struct pot_ctx *c, const char *name, int64_t timeout_ms, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_stop(c->eng, name, timeout_ms, e);
}

int
pot_kill(struct pot_ctx *c, const char *name, int sig, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_kill(c->eng, name, sig, e);
}

int
pot_pause(struct pot_ctx *c, const char *name, bool pause, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_pause(c->eng, name, pause, e);
}

int
pot_wait(struct pot_ctx *c, const char *name, struct pot_exit *x, struct err *e)
{
	int rc = lib_check_look(c, name, e);

	return rc < 0 ? rc : eng_wait(c->eng, name, x, e);
}

int
pot_last_exit(struct pot_ctx *c, const char *name, struct pot_exit *x, struct err *e)
{
	int rc = lib_check_look(c, name, e);

	return rc < 0 ? rc : eng_last_exit(c->eng, name, x, e);
}

int
pot_runner(struct pot_ctx *c, const char *name, int32_t *pid, uint64_t *start, struct err *e)
{
	struct proc_id id = { 0, 0 };
	int rc = lib_check_look(c, name, e);

	if (rc == 0)
		rc = eng_runner(c->eng, name, &id, e);
	*pid = id.pid;
	*start = id.start;
	return rc;
}

int
pot_exec(struct pot_ctx *c, const char *name, const struct pot_exec_args *a, struct pot_process *proc,
    struct err *e)
{
	int rc = lib_check(c, name, e);

	if (rc == 0 && !a->login && (a->argv == NULL || a->argv[0] == NULL))
		rc = err_set(e, E_INVAL, "no command is given");
	if (rc == 0 && a->workdir != NULL)
		rc = lib_check_path(a->workdir, "the working directory", e);
	return rc < 0 ? rc : eng_exec(c->eng, name, a, proc, e);
}

int
pot_exec_wait(struct pot_process *proc, int *status, struct err *e)
{
	int ws;

	while (waitpid(proc->pid, &ws, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "cannot wait for process %d", (int)proc->pid);
	*status = WIFSIGNALED(ws) ? 128 + WTERMSIG(ws) : WEXITSTATUS(ws);
	return 0;
}

int
pot_cleanup(struct pot_ctx *c, const char *name, uint64_t run_id, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_cleanup(c->eng, name, run_id, e);
}

/* ---- looking ------------------------------------------------------------------ */

int
pot_list(struct pot_ctx *c, pot_summary_fn *fn, void *arg, struct err *e)
{
	int rc = eng_need_node(c->eng, e);

	return rc < 0 ? rc : eng_list(c->eng, fn, arg, e);
}

int
pot_info(struct pot_ctx *c, const char *name, unsigned flags, struct pot_info **out, struct err *e)
{
	int rc = lib_check_look(c, name, e);

	return rc < 0 ? rc : eng_info(c->eng, name, flags, out, e);
}

int
pot_exists(struct pot_ctx *c, const char *name, struct err *e)
{
	int rc = lib_check_look(c, name, e);

	return rc < 0 ? rc : eng_exists(c->eng, name, e);
}

int
pot_top(struct pot_ctx *c, const char *name, pot_task_fn *fn, void *arg, struct err *e)
{
	int rc = lib_check(c, name, e);

	return rc < 0 ? rc : eng_top(c->eng, name, fn, arg, e);
}

int
pot_stats(
    struct pot_ctx *c, const char *const *names, unsigned flags, pot_stats_fn *fn, void *arg, struct err *e)
{
	int rc = names != NULL ? check_names(names, "pot", e) : 0;

	if (rc == 0)
		rc = lib_need_root(e);
	if (rc == 0)
		rc = eng_need_node(c->eng, e);
	return rc < 0 ? rc : eng_stats(c->eng, names, flags, fn, arg, e);
}

int
pot_logs(struct pot_ctx *c, const char *name, const struct pot_logs_args *a, pot_log_fn *fn, void *arg,
    struct err *e)
{
	int rc = lib_check_look(c, name, e);

	return rc < 0 ? rc : eng_logs(c->eng, name, a, fn, arg, e);
}

/* ---- networks ----------------------------------------------------------------- */

static int
check_bridge(struct pot_ctx *c, const char *name, struct err *e)
{
	int rc = name == NULL ? 0 : name_check(name, "bridge", e);

	if (rc == 0)
		rc = lib_need_root(e);
	return rc == 0 ? eng_need_node(c->eng, e) : rc;
}

int
pot_bridge_create(struct pot_ctx *c, const char *name, unsigned hosts, struct err *e)
{
	int rc = check_bridge(c, name, e);

	if (rc == 0 && (hosts < 2 || hosts > 65534))
		rc = err_set(e, E_INVAL, "a bridge holds 2 to 65534 pots, not %u", hosts);
	return rc < 0 ? rc : eng_bridge_create(c->eng, name, hosts, e);
}

int
pot_bridge_destroy(struct pot_ctx *c, const char *name, struct err *e)
{
	int rc = check_bridge(c, name, e);

	return rc < 0 ? rc : eng_bridge_destroy(c->eng, name, e);
}

int
pot_bridge_list(struct pot_ctx *c, pot_bridge_fn *fn, void *arg, struct err *e)
{
	int rc = lib_need_root(e);

	if (rc == 0)
		rc = eng_need_node(c->eng, e);
	return rc < 0 ? rc : eng_bridge_list(c->eng, fn, arg, e);
}

int
pot_bridge_up(struct pot_ctx *c, const char *name, struct err *e)
{
	int rc = check_bridge(c, name, e);

	return rc < 0 ? rc : eng_bridge_up(c->eng, name, e);
}
