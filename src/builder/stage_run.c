/*
 * RUN, COPY and ADD: from the words of the instruction to a step. What a
 * command gets that is no part of its key (secrets, proxies) is kept apart
 * from the start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "builder/copy.h"
#include "builder/mounts.h"
#include "builder/stage.h"

#define SECRET_DIR "/run/secrets/"

/* A command in the making: what its step points to. */
struct run {
	struct bld *b;
	struct bld_stage *s;
	const struct instruction *in;
	struct bld_step step;
	struct bld_mount mounts[BLD_MOUNTS_MAX];
	struct potfile_mount parsed[BLD_MOUNTS_MAX];
	size_t nparsed;
	struct strv argv, env, more, words;
	struct buf command;
	int fds[BLD_MOUNTS_MAX];
	size_t nfds;
};

static void
run_fini(struct run *r)
{
	for (size_t i = 0; i < r->nparsed; i++)
		potfile_mount_fini(&r->parsed[i]);
	for (size_t i = 0; i < r->nfds; i++)
		fd_close(r->fds[i]);
	strv_fini(&r->argv);
	strv_fini(&r->env);
	strv_fini(&r->more);
	strv_fini(&r->words);
	buf_fini(&r->command);
	free(r);
}
DEFINE_AUTO(run, struct run *, NULL, run_fini)

/* Owned by the command; NULL without memory, which strv_check tells in the end. */
static const char *
keep(struct run *r, const char *dir, const char *path)
{
	size_t n = r->words.n;

	if (path[0] == '/')
		strv_add(&r->words, path);
	else
		strv_fmt(&r->words, "%s%s%s", dir, strcmp(dir, "/") == 0 ? "" : "/", path);
	return r->words.n > n ? r->words.v[n] : "/";
}

/* ---- mounts --------------------------------------------------------------------------------------- */

static const struct pot_build_secret *
find_secret(const struct bld_stage *s, const char *id)
{
	const struct pot_build_args *u = s->build->args->user;

	for (size_t i = 0; i < u->nsecrets; i++)
		if (strcmp(u->secrets[i].id, id) == 0)
			return &u->secrets[i];
	return NULL;
}

/* As a file, in the environment, or both. 0: there is no file. */
static int
add_secret(struct run *r, const struct potfile_mount *p, struct bld_mount *m, struct err *e)
{
	const char *id = p->id != NULL ? p->id : p->target != NULL ? strrchr(p->target, '/') : NULL;
	const struct pot_build_secret *secret;

	if (id != NULL && id == strrchr(id, '/'))
		id++;
	secret = id != NULL ? find_secret(r->s, id) : NULL;
	if (secret == NULL) {
		if (!p->required)
			return 0;
		err_set(e, E_INVAL, "there is no secret '%.64s'", id != NULL ? id : "");
		return err_hint(e, "give it: --secret id=%.64s,src=FILE", id != NULL ? id : "ID");
	}
	if (p->env != NULL) {
		AUTO_FINI(buf) struct buf pair = BUF_INIT(1024 * 1024);

		if (memchr(secret->data, 0, secret->len) != NULL)
			return err_set(e, E_INVAL, "the secret '%.64s' cannot be in an environment", id);
		buf_fmt(&pair, "%s=%.*s", p->env, (int)secret->len, (const char *)secret->data);
		if (buf_check(&pair, "a secret", e) < 0)
			return -E_LIMIT;
		strv_add(&r->more, pair.data);
		if (p->target == NULL)
			return 0;
	}
	m->kind = BLD_MOUNT_SECRET;
	m->target = p->target != NULL ? p->target : keep(r, SECRET_DIR, id);
	m->id = id;
	m->data = secret->data;
	m->len = secret->len;
	m->mode = p->mode;
	return 1;
}

static int
add_bind(struct run *r, const struct potfile_mount *p, struct bld_mount *m, struct err *e)
{
	int fd;

	m->path = p->source != NULL ? p->source : "";
	if (p->from != NULL) {
		m->kind = BLD_MOUNT_TREE;
		fd = stage_tree_of(r->b, r->s, p->from, &m->tree, e);
		return fd < 0 ? fd : 1;
	}
	m->kind = BLD_MOUNT_DIR;
	fd = bld_context_bind(r->b, r->s->build->context, m->path, &m->content, e);
	if (fd < 0)
		return fd;
	r->fds[r->nfds++] = m->fd = fd;
	m->path = "";
	return 1;
}

static int
add_cache(struct run *r, const struct potfile_mount *p, struct bld_mount *m, struct err *e)
{
	int rc;

	m->kind = BLD_MOUNT_CACHE;
	m->id = p->id != NULL ? p->id : p->target;
	m->path = p->source != NULL ? p->source : "";
	m->mode = p->mode;
	rc = p->from == NULL ? 0 : stage_tree_of(r->b, r->s, p->from, &m->tree, e);
	return rc < 0 ? rc : 1;
}

/* 1: a mount; 0: nothing is mounted. */
static int
to_mount(struct run *r, const struct potfile_mount *p, struct bld_mount *m, struct err *e)
{
	*m = (struct bld_mount){
		.fd = -1, .rw = p->rw, .sharing = p->sharing, .uid = p->uid, .gid = p->gid, .size = p->size
	};
	switch (p->type) {
	case POTFILE_MOUNT_BIND:
		return add_bind(r, p, m, e);
	case POTFILE_MOUNT_CACHE:
		return add_cache(r, p, m, e);
	case POTFILE_MOUNT_TMPFS:
		m->kind = BLD_MOUNT_TMPFS;
		m->mode = p->mode;
		return 1;
	case POTFILE_MOUNT_SECRET:
		return add_secret(r, p, m, e);
	case POTFILE_MOUNT_SSH:
		err_set(e, E_NOTSUP, "RUN --mount=type=ssh is not supported");
		return err_hint(e, "give the key as a secret: --mount=type=secret");
	}
	return err_set(e, E_INVAL, "an unknown kind of mount");
}

static int
add_mounts(struct run *r, struct err *e)
{
	const char *value;
	size_t pos = 0;
	int rc = 0;

	while (rc >= 0 && (value = potfile_flag_next(r->in->st, "mount", &pos)) != NULL) {
		struct potfile_mount *p = &r->parsed[r->nparsed];
		struct bld_mount *m = &r->mounts[r->step.run.nmounts];

		/* One is left for the script. */
		if (r->nparsed == BLD_MOUNTS_MAX - 1)
			return err_set(e, E_LIMIT, "more than %d mounts", BLD_MOUNTS_MAX - 1);
		if ((rc = potfile_mount_parse(value, p, e)) < 0)
			return rc;
		r->nparsed++;
		if ((rc = to_mount(r, p, m, e)) == 1) {
			if (m->target == NULL)
				m->target = keep(r, stage_workdir(r->s), p->target != NULL ? p->target : "");
			r->step.run.nmounts++;
		}
	}
	return rc < 0 ? rc : 0;
}

/* ---- the command ------------------------------------------------------------------------------------- */

static void
add_shell(struct run *r)
{
	const char *word;
	size_t pos = 0, n = r->argv.n;

	while ((word = kv_next(&r->s->settings, IMG_SET_SHELL, &pos)) != NULL)
		strv_add(&r->argv, word);
	if (r->argv.n == n) {
		strv_add(&r->argv, "/bin/sh");
		strv_add(&r->argv, "-c");
	}
}

/* A here-document that names its interpreter is a file, for the command only. */
static void
add_script(struct run *r)
{
	const char *path = keep(r, host_mount_points(), ".pot-build/script");

	r->mounts[r->step.run.nmounts++] = (struct bld_mount){ .kind = BLD_MOUNT_FILE,
		.target = path,
		.fd = -1,
		.data = r->command.data,
		.len = r->command.len,
		.mode = 0555 };
	strv_add(&r->argv, path);
}

static int
add_command(struct run *r, struct err *e)
{
	const struct potfile_step *st = r->in->st;
	bool script = false;
	int rc = 0;

	if (st->exec) {
		for (size_t i = 0; i < st->nwords; i++)
			strv_add(&r->argv, st->words[i].text);
		return strv_check(&r->argv, "the command", e);
	}
	rc = potfile_command(st, &r->command, &script, e);
	if (rc < 0)
		return rc;
	if (script && strncmp(buf_cstr(&r->command), "#!", 2) == 0) {
		add_script(r);
	} else {
		add_shell(r);
		strv_add(&r->argv, buf_cstr(&r->command));
	}
	return strv_check(&r->argv, "the command", e);
}

static bool
has(const struct strv *v, const char *word)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->v[i], word) == 0)
			return true;
	return false;
}

static int
add_env(struct run *r, struct err *e)
{
	AUTO_FINI(strv) struct strv all = STRV_INIT(65536);
	int rc = scope_environ(&r->s->scope, true, &r->env, e);

	if (rc < 0 || (rc = scope_environ(&r->s->scope, false, &all, e)) < 0)
		return rc;
	for (size_t i = 0; i < all.n; i++)
		if (!has(&r->env, all.v[i]))
			strv_add(&r->more, all.v[i]);
	(void)strv_argv(&r->env);
	(void)strv_argv(&r->more);
	rc = strv_check(&r->env, "the environment", e);
	return rc < 0 ? rc : strv_check(&r->more, "the environment", e);
}

static int
add_walls(struct run *r, struct err *e)
{
	const char *network = potfile_flag(r->in->st, "network"),
		   *security = potfile_flag(r->in->st, "security");
	struct bld_run *run = &r->step.run;
	int rc = 0;

	run->network = network == NULL || strcmp(network, "default") == 0 ? r->b->network
	    : strcmp(network, "none") == 0                                ? BLD_NET_NONE
									  : BLD_NET_HOST;
	run->insecure = security != NULL && strcmp(security, "insecure") == 0;
	if (network != NULL && run->network == BLD_NET_HOST)
		rc = bld_build_allows(r->s->build, "host", e);
	if (rc == 0 && run->insecure)
		rc = bld_build_allows(r->s->build, "insecure", e);
	return rc;
}

int
stage_run(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	AUTO(run) struct run *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		return err_nomem(e);
	*r = (struct run){ .b = b,
		.s = s,
		.in = in,
		.step = { .kind = BLD_RUN, .text = in->raw->text },
		.argv = STRV_INIT(65536),
		.env = STRV_INIT(65536),
		.more = STRV_INIT(65536),
		.words = STRV_INIT(65536),
		.command = BUF_INIT(POTFILE_MAX) };
	memcpy(r->step.where, in->where, sizeof(r->step.where));
	if ((rc = add_env(r, e)) < 0 || (rc = add_mounts(r, e)) < 0 || (rc = add_command(r, e)) < 0 ||
	    (rc = add_walls(r, e)) < 0 || (rc = strv_check(&r->words, "the mounts", e)) < 0)
		return rc;
	r->step.run.argv = (const char *const *)strv_argv(&r->argv);
	r->step.run.env = (const char *const *)strv_argv(&r->env);
	r->step.run.env_more = (const char *const *)strv_argv(&r->more);
	r->step.run.user = kv_get(&s->settings, IMG_SET_USER);
	r->step.run.workdir = stage_workdir(s);
	r->step.run.mounts = r->mounts;
	return stage_do(b, s, &r->step, e);
}

/* ---- COPY, ADD ------------------------------------------------------------------------------------------ */

int
stage_copy(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	AUTO_FINI(bld_copy) struct bld_copy copy = BLD_COPY_INIT;
	struct bld_step step = { .kind = BLD_COPY, .text = in->raw->text, .copy = &copy };
	const char *from = potfile_flag(in->st, "from");
	struct bld_tree tree = { .any = false };
	int rc = bld_copy_init(&copy, in->st, e);

	if (rc < 0)
		return rc;
	memcpy(step.where, in->where, sizeof(step.where));
	copy.workdir = stage_workdir(s);
	if (from != NULL) {
		if ((rc = stage_tree_of(b, s, from, &tree, e)) < 0)
			return rc;
		copy.tree = &tree;
		copy.what = from;
		copy.keep_owner = copy.chown == NULL;
	} else {
		copy.context = s->build->context;
		copy.src = bld_context_fd(s->build->context);
		copy.what = "the context";
	}
	return stage_do(b, s, &step, e);
}
