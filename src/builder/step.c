/*
 * One step: its key, the cache, and where that has nothing the work itself.
 * Order of what is waited for: the key's lock, the locks of mounts, a token;
 * who holds a later one waits for none before, so that nobody waits in a ring.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "builder/copy.h"
#include "builder/crew.h"
#include "builder/run.h"

/* ---- keys ------------------------------------------------------------------------------------- */

static int
simple_key(struct bld *b, const struct bld_tree *tree, const struct bld_step *s, const char *kind, char *out,
    struct err *e)
{
	AUTO_FINI(bld_key) struct bld_key k = BLD_KEY_INIT;
	int rc = bld_key_begin(&k, kind, tree, b->epoch, e);

	if (rc < 0)
		return rc;
	bld_key_text(&k, "path", s->path);
	bld_key_text(&k, "user", s->run.user);
	if (s->from != NULL)
		bld_key_tree(&k, "from", s->from);
	return bld_key_end(&k, out, e);
}

static int
copy_key(struct bld *b, const struct bld_tree *tree, const struct bld_step *s, char *out, struct err *e)
{
	AUTO_FINI(bld_key) struct bld_key k = BLD_KEY_INIT;
	struct digest d;
	int rc = bld_copy_digest(b, s->copy, &d, e);

	if (rc < 0 || (rc = bld_key_begin(&k, "copy", tree, b->epoch, e)) < 0)
		return rc;
	bld_key_digest(&k, "digest", &d);
	return bld_key_end(&k, out, e);
}

static int
make_key(struct bld *b, const struct bld_tree *tree, const struct bld_step *s, char *key, struct err *e)
{
	switch (s->kind) {
	case BLD_RUN:
		return bld_key_run(&s->run, tree, b->epoch, key, e);
	case BLD_COPY:
		return copy_key(b, tree, s, key, e);
	case BLD_MKDIR:
		return simple_key(b, tree, s, "mkdir", key, e);
	case BLD_SQUASH:
		return simple_key(b, tree, s, "squash", key, e);
	}
	return err_set(e, E_INVAL, "an unknown kind of step");
}

/* ---- work ---------------------------------------------------------------------------------------- */

static int
do_copy(struct bld *b, struct bld_half *h, const struct bld_step *s, struct err *e)
{
	int rc = bld_half_clone(h, e);

	if (rc < 0)
		return rc;
	AUTO(fd) int root = bld_half_mount(h, e);
	rc = root < 0 ? root : bld_copy_apply(b, s->copy, root, e);
	fault_point("build.copied");
	fd_close(take_fd(root));
	return rc < 0 ? rc : bld_half_unmount(h, e);
}

static int
do_mkdir(struct bld_half *h, const struct bld_step *s, struct err *e)
{
	int rc = bld_half_clone(h, e);

	if (rc < 0)
		return rc;
	AUTO(fd) int root = bld_half_mount(h, e);
	rc = root < 0 ? root : bld_make_dirs(root, s->path, s->run.user, e);
	fd_close(take_fd(root));
	return rc < 0 ? rc : bld_half_unmount(h, e);
}

static int
do_work(struct bld *b, struct bld_half *h, const struct bld_step *s, struct bld_mounts *m, struct err *e)
{
	switch (s->kind) {
	case BLD_RUN:
		return bld_run_do(b, h, &s->run, m, e);
	case BLD_COPY:
		return do_copy(b, h, s, e);
	case BLD_MKDIR:
		return do_mkdir(h, s, e);
	case BLD_SQUASH:
		return bld_half_clone(h, e);
	}
	return err_set(e, E_INVAL, "an unknown kind of step");
}

/* The pot of a command goes last: its root is the tree until that has its place. */
static void
remove_pot(struct bld *b, const struct bld_half *h)
{
	struct err own = ERR_INIT;
	int rc = eng_destroy(b->eng, h->name, true, &own);

	if (rc < 0 && rc != -E_NOENT)
		event_warn(&b->eng->events, "%s", own.msg);
}

static int
work(struct bld *b, const struct bld_tree *tree, const struct bld_step *s, struct bld_mounts *m,
    struct bld_record *r, struct err *e)
{
	AUTO_FINI(bld_half) struct bld_half h = BLD_HALF_INIT;
	int rc = bld_half_begin(b, tree, &h, e);

	if (rc < 0)
		return rc;
	rc = do_work(b, &h, s, m, e);
	if (rc == 0)
		rc = bld_half_keep(&h, s->kind == BLD_SQUASH ? s->from : NULL, r, e);
	fault_point("build.kept");
	if (s->kind == BLD_RUN)
		remove_pot(b, &h);
	return rc;
}

static int
work_with_token(
    struct bld *b, const struct bld_tree *tree, const struct bld_step *s, struct bld_record *r, struct err *e)
{
	AUTO_FINI(bld_mounts) struct bld_mounts m = { .n = 0 };
	int rc = s->kind == BLD_RUN ? bld_mounts_lock(b, &s->run, &m, e) : 0;

	if (rc < 0 || (rc = crew_token_take(b, e)) < 0)
		return rc;
	rc = work(b, tree, s, &m, r, e);
	crew_token_give(b);
	return rc;
}

/* ---- the cache before it ------------------------------------------------------------------------------ */

static int
look_up(struct bld *b, const char *key, struct bld_record *r, struct err *e)
{
	int rc = bld_cache_get(b, key, r, e);

	if (rc == 1)
		r->did.cached = !b->no_cache;
	return rc;
}

/* Alone with this key on the node. */
static int
make_it(struct bld *b, const struct bld_tree *tree, const struct bld_step *s, const char *key,
    struct bld_record *r, struct err *e)
{
	int lock = bld_cache_lock(b, key, e), rc;

	if (lock < 0)
		return lock;
	/* Somebody else may have made it while we waited. */
	rc = look_up(b, key, r, e);
	if (rc == 0) {
		memset(r, 0, sizeof(*r));
		snprintf(r->text, sizeof(r->text), "%s", s->text);
		rc = work_with_token(b, tree, s, r, e);
		if (rc == 0)
			rc = bld_cache_put(b, key, r, e);
		fault_point("build.recorded");
	}
	bld_cache_unlock(b, key, lock);
	return rc < 0 ? rc : 0;
}

static int
find_or_make(
    struct bld *b, const struct bld_tree *tree, const struct bld_step *s, struct bld_record *r, struct err *e)
{
	char key[BLD_KEY_LEN];
	int rc = bld_check(b, e);

	if (rc < 0 || (rc = make_key(b, tree, s, key, e)) < 0 || (rc = look_up(b, key, r, e)) != 0)
		return rc < 0 ? rc : 0;
	rc = crew_work(b, e);
	return rc < 0 ? rc : make_it(b, tree, s, key, r, e);
}

int
bld_step_do(
    struct bld *b, struct bld_tree *tree, const struct bld_step *s, struct bld_did *did, struct err *e)
{
	struct bld_record r = { .bytes = 0 };
	int rc;

	crew_step_begin(b, s->text, s->where);
	rc = find_or_make(b, tree, s, &r, e);
	if (rc == BLD_LEFT)
		return rc;
	crew_step_end(b, &r.did, rc < 0);
	if (rc < 0)
		return rc;
	*tree = r.tree;
	*did = r.did;
	return 0;
}
