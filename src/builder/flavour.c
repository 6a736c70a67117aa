/*
 * What flavours come to: their command files become steps that copy and
 * settings, their scripts steps that run. Nothing is done here; the steps go
 * through the same cache as those of a Potfile.
 *
 * The recipe's arena owns whatever steps point to, in the order it was made.
 */
#include "builder/flavour.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/host.h"
#include "base/inroot.h"
#include "base/text.h"
#include "builder/copy.h"
#include "builder/flavour_find.h"
#include "builder/flavour_settings.h"
#include "image/config.h"

#define DEPTH_MAX 16
#define STEPS_MAX 4096
#define APPLIED_MAX 256
#define SHEBANG_MAX 256

static const char path_of_pots[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* ---- the arena ------------------------------------------------------------------------ */

struct owned {
	struct owned *next;
	void *p;
	void (*release)(void *);
};

/* Takes p, also on failure. */
static int
own(struct bld_recipe *r, void *p, void (*release)(void *), struct err *e)
{
	struct owned *o = p != NULL ? malloc(sizeof(*o)) : NULL;

	if (o == NULL) {
		if (p != NULL)
			release(p);
		return err_nomem(e);
	}
	*o = (struct owned){ r->arena, p, release };
	r->arena = o;
	return 0;
}

static void
free_flavour(void *p)
{
	flavour_fini(p);
	free(p);
}

static void
free_words(void *p)
{
	strv_fini(p);
	free(p);
}

/* A copy that its step points to, with the directory it takes from. */
struct copying {
	struct bld_copy copy;
	struct strv sources;
};

static void
free_copying(void *p)
{
	struct copying *c = p;

	bld_copy_fini(&c->copy);
	fd_close(c->copy.src);
	strv_fini(&c->sources);
	free(c);
}

void
bld_recipe_fini(struct bld_recipe *r)
{
	for (struct owned *o = r->arena, *next; o != NULL; o = next) {
		next = o->next;
		o->release(o->p);
		free(o);
	}
	free(r->steps);
	kv_fini(&r->settings);
	*r = (struct bld_recipe)BLD_RECIPE_INIT;
}

/* ---- what goes into a recipe -------------------------------------------------------------- */

struct expander {
	struct bld *b;
	struct bld_recipe *r;
	struct strv places, applied; /* applied: refs, for those that others need */
	const char *stack[DEPTH_MAX];
	size_t depth;
	int context;
	size_t args_used; /* bit of each --flavour-arg that was taken */
};

static struct strv *
new_words(struct bld_recipe *r, struct err *e)
{
	struct strv *v = calloc(1, sizeof(*v));

	if (v != NULL)
		*v = (struct strv)STRV_INIT(1024);
	return own(r, v, free_words, e) < 0 ? NULL : v;
}

/* A text that lives as long as the recipe; NULL: out of memory, told. */
static const char *
keep_text(struct bld_recipe *r, struct buf *b, struct err *e)
{
	char *text = buf_check(b, "the step", e) < 0 ? NULL : buf_take(b);

	return text == NULL || own(r, text, free, e) < 0 ? NULL : text;
}

static int
add_step(struct bld_recipe *r, const struct bld_step *step, struct err *e)
{
	if (r->nsteps == STEPS_MAX)
		return err_set(e, E_LIMIT, "more than %d steps", STEPS_MAX);
	if (r->nsteps == r->cap) {
		size_t cap = r->cap == 0 ? 16 : r->cap * 2;
		struct bld_step *v = reallocarray(r->steps, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		r->steps = v;
		r->cap = cap;
	}
	r->steps[r->nsteps++] = *step;
	return 0;
}

/* ---- files ------------------------------------------------------------------------------------- */

/* COPY takes patterns; a command file means names. */
static void
add_literal(struct strv *v, const char *name)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(2 * PATH_MAX);

	for (const char *s = name; *s != '\0'; s++)
		buf_fmt(&b, "%s%c", strchr("*?[\\", *s) != NULL ? "\\" : "", *s);
	strv_add(v, buf_cstr(&b));
	if (b.failed)
		v->failed = true;
}

/* Of the host: the directory in which it is, wherever links lead. */
static int
source_of_host(const struct flavour *f, bool own_dir, const char *path, struct copying *c, struct err *e)
{
	char joined[PATH_MAX], real[PATH_MAX], *slash;
	bool relative = own_dir && path[0] != '/';

	if (snprintf(joined, sizeof(joined), "%s%s%s", relative ? f->where : "", relative ? "/" : "", path) >=
	    PATH_MAX)
		return err_set(e, E_INVAL, "the path is too long");
	if (realpath(joined, real) == NULL)
		return err_sys(e, "cannot copy %s", joined);
	slash = strrchr(real, '/');
	if (slash[1] == '\0')
		return err_set(e, E_INVAL, "the whole of / cannot be copied");
	add_literal(&c->sources, slash + 1);
	slash[slash == real] = '\0';
	c->copy.src = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->copy.src < 0)
		return err_sys(e, "cannot open %s", real);
	/* What lies on the host keeps its owner, as with cp -a; what a flavour brings is root's. */
	c->copy.keep_owner = !own_dir;
	return 0;
}

static int
source_of_context(const struct expander *x, const struct flavour *f, bool own_dir, const char *path,
    struct copying *c, struct err *e)
{
	if (path[0] == '/') {
		err_set(e, E_PERM, "a flavour of the build context cannot copy files of the host");
		return err_hint(e, "copy-in-flv takes what stands beside it");
	}
	add_literal(&c->sources, path);
	c->copy.src = fcntl(own_dir ? f->dir : x->context, F_DUPFD_CLOEXEC, 3);
	return c->copy.src < 0 ? err_sys(e, "cannot copy") : 0;
}

static int
add_copy(struct expander *x, const struct flavour *f, const struct flavour_line *l, struct bld_step *step,
    struct err *e)
{
	static const struct bld_copy none = BLD_COPY_INIT;
	struct copying *c = calloc(1, sizeof(*c));
	bool own_dir = l->op == FLAVOUR_COPY_IN_FLV;
	const char *path = flavour_first(l, 's');
	int rc;

	if (c == NULL)
		return err_nomem(e);
	c->copy = none;
	c->sources = (struct strv)STRV_INIT(4);
	if ((rc = own(x->r, c, free_copying, e)) < 0)
		return rc;
	rc = f->context ? source_of_context(x, f, own_dir, path, c, e)
			: source_of_host(f, own_dir, path, c, e);
	if (rc == 0)
		rc = strv_check(&c->sources, "the path", e);
	if (rc < 0)
		return rc;
	c->copy.sources = (const char *const *)strv_argv(&c->sources);
	c->copy.dest = flavour_first(l, 'd');
	c->copy.workdir = "/";
	step->kind = BLD_COPY;
	step->copy = &c->copy;
	return add_step(x->r, step, e);
}

static int
add_setting(struct expander *x, const struct flavour *f, const struct flavour_line *l, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	int rc = flavour_settings(f, l, &kv, e);

	return rc < 0 ? rc : bld_settings_merge(&x->r->settings, &kv, e);
}

static int
add_line(struct expander *x, const struct flavour *f, const struct flavour_line *l, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(FLAVOUR_FILE_MAX);
	struct bld_step step = { .kind = BLD_COPY };
	char path[PATH_MAX];
	int rc;

	if (l->op == FLAVOUR_COPY_IN || l->op == FLAVOUR_COPY_IN_FLV) {
		/* As it is written: the value of a parameter may be a secret. */
		buf_fmt(&text, "FLAVOUR %s: %s", f->name, l->text);
		step.text = keep_text(x->r, &text, e);
		if (step.text == NULL)
			return -(e != NULL ? e->code : (int)E_NOMEM);
		snprintf(step.where, sizeof(step.where), "flavour %.64s:%u", f->name, l->number);
		rc = add_copy(x, f, l, &step, e);
	} else {
		rc = add_setting(x, f, l, e);
	}
	flavour_path(f, "", path);
	return rc < 0 ? err_wrap(e, "%s:%u", path, l->number) : 0;
}

/* ---- scripts --------------------------------------------------------------------------------------- */

/* "#!INTERPRETER [ARGUMENT]", as the kernel cuts it; without: sh. */
static int
add_interpreter(const struct flavour *f, struct strv *argv, struct err *e)
{
	const char *s = buf_cstr(&f->script.text), *end = s + strcspn(s, "\n");
	size_t len;

	if (strncmp(s, "#!", 2) != 0) {
		strv_add(argv, "/bin/sh");
		return 0;
	}
	if (end - s > SHEBANG_MAX)
		return err_set(e, E_INVAL, "its first line is too long");
	if (end > s && end[-1] == '\r')
		return err_set(e, E_INVAL, "its lines end in CR LF");
	s += 2 + strspn(s + 2, " \t");
	len = strcspn(s, " \t\n");
	if (len == 0)
		return err_set(e, E_INVAL, "no interpreter stands behind #!");
	strv_addn(argv, s, len);
	s += len;
	s += strspn(s, " \t");
	while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (end > s)
		strv_addn(argv, s, (size_t)(end - s));
	return 0;
}

/*
 * The name of the pot is an argument of the classic framework, whose flavours have no description. One that does
 * not look at its arguments gets none, so that pots of all names share what it gave.
 */
static bool
wants_name(const struct flavour *f)
{
	static const char *const words[] = { "$1", "${1", "$@", "${@", "$*", "${*", "argv", "ARGV" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!f->meta.there && strstr(buf_cstr(&f->script.text), words[i]) != NULL)
			return true;
	return false;
}

static int
script_words(struct expander *x, const struct flavour *f, const char *target, struct strv *argv,
    struct strv *env, struct err *e)
{
	const char *pot = x->r->options != NULL ? x->r->options->pot : NULL, *value;
	size_t pos = 0;
	int rc = add_interpreter(f, argv, e);

	if (rc < 0)
		return rc;
	strv_add(argv, target);
	if (wants_name(f))
		strv_add(argv, pot != NULL ? pot : "image");
	strv_add(env, path_of_pots);
	strv_add(env, "HOME=/root");
	strv_add(env, "USER=root");
	while ((value = kv_next(&x->r->settings, IMG_SET_ENV, &pos)) != NULL)
		strv_add(env, value);
	for (size_t i = 0; i < f->args.n; i++)
		strv_add(env, f->args.v[i]);
	rc = strv_check(argv, "words", e);
	return rc < 0 ? rc : strv_check(env, "variables", e);
}

static int
add_script(struct expander *x, const struct flavour *f, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(1024), target = BUF_INIT(1024);
	struct strv *argv = new_words(x->r, e), *env = argv != NULL ? new_words(x->r, e) : NULL;
	struct bld_mount *mount = calloc(1, sizeof(*mount));
	char path[PATH_MAX];
	int rc;

	if ((rc = own(x->r, mount, free, e)) < 0)
		return rc;
	if (env == NULL)
		return -E_NOMEM;
	buf_fmt(&text, "FLAVOUR %s: %s.sh", f->name, f->name);
	/* Not in /tmp: scripts empty that, and a mount point cannot be removed. */
	buf_fmt(&target, "%s/.pot-flavour/%s.sh", host_mount_points(), f->name);
	*mount = (struct bld_mount){ .kind = BLD_MOUNT_FILE,
		.target = keep_text(x->r, &target, e),
		.data = buf_cstr(&f->script.text),
		.len = f->script.text.len,
		.mode = 0755 };
	struct bld_step step = { .kind = BLD_RUN, .text = keep_text(x->r, &text, e) };
	if (step.text == NULL || mount->target == NULL)
		return -E_NOMEM;
	rc = script_words(x, f, mount->target, argv, env, e);
	flavour_path(f, ".sh", path);
	if (rc < 0)
		return err_wrap(e, "%s", path);
	snprintf(step.where, sizeof(step.where), "flavour %.64s", f->name);
	step.run = (struct bld_run){ .argv = (const char *const *)strv_argv(argv),
		.env = (const char *const *)strv_argv(env),
		.mounts = mount,
		.nmounts = 1,
		.network = x->b->network };
	return add_step(x->r, &step, e);
}

/* ---- one after the other ------------------------------------------------------------------------------ */

static int
check_system(const struct flavour *f, struct err *e)
{
	struct img_host host;

	img_host_platform(&host);
	if (strcmp(host.os, "linux") == 0 ? f->about.on_linux : f->about.on_freebsd)
		return 0;
	return err_set(e, E_NOTSUP, "flavour '%s' is for %s, and this is %s", f->name,
	    f->about.on_linux ? "linux" : "freebsd", host.os);
}

/* --flavour-arg NAME.KEY=VALUE, on top of what stands behind the name. */
static int
add_given(struct expander *x, struct flavour_ref *r, const struct flavour *f, struct err *e)
{
	const char *const *args = x->r->options != NULL ? x->r->options->args : NULL;
	int rc = 0;

	for (size_t i = 0; args != NULL && args[i] != NULL && rc == 0; i++) {
		AUTO_FREE char *name = NULL;
		AUTO_FREE char *key = NULL;
		const char *value;

		rc = flavour_arg_parse(args[i], &name, &key, &value, e);
		if (rc < 0 || strcmp(name, f->name) != 0)
			continue;
		x->args_used |= (size_t)1 << (i % (8 * sizeof(size_t)));
		rc = kv_set(&r->args, key, value, e);
	}
	return rc;
}

static int expand(struct expander *x, const char *ref, struct err *e);

/* Those that it names, each once in a recipe. */
static int
expand_needs(struct expander *x, const struct flavour *f, const char *ref, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < f->about.nneeds && rc == 0; i++) {
		bool done = false;

		for (size_t k = 0; k < x->applied.n; k++)
			done = done || strcmp(x->applied.v[k], f->about.needs[i]) == 0;
		if (done)
			continue;
		x->stack[x->depth++] = ref;
		rc = expand(x, f->about.needs[i], e);
		x->depth--;
		if (rc < 0)
			err_wrap(e, "flavour '%s'", f->name);
	}
	return rc;
}

static int
check_depth(const struct expander *x, const char *ref, struct err *e)
{
	for (size_t i = 0; i < x->depth; i++)
		if (strcmp(x->stack[i], ref) == 0)
			return err_set(e, E_INVAL, "flavour '%.64s' needs itself", ref);
	return x->depth == DEPTH_MAX
	    ? err_set(e, E_LIMIT, "flavours that name others, more than %d deep", DEPTH_MAX)
	    : 0;
}

static int
expand(struct expander *x, const char *text, struct err *e)
{
	AUTO_FINI(flavour_ref) struct flavour_ref ref = FLAVOUR_REF_INIT;
	static const struct flavour none = FLAVOUR_INIT;
	struct flavour *f;
	int rc = check_depth(x, text, e);

	if (rc == 0)
		rc = flavour_ref_parse(&ref, text, e);
	f = rc == 0 ? malloc(sizeof(*f)) : NULL;
	if (rc < 0 || f == NULL)
		return rc < 0 ? rc : err_nomem(e);
	*f = none;
	if ((rc = own(x->r, f, free_flavour, e)) < 0 ||
	    (rc = flavour_open(&x->places, x->context, ref.name, f, e)) < 0 ||
	    (rc = check_system(f, e)) < 0 || (rc = expand_needs(x, f, text, e)) < 0)
		return rc;
	rc = add_given(x, &ref, f, e);
	if (rc == 0)
		rc = flavour_arm(f, &ref, e);
	for (size_t i = 0; i < f->lines.n && rc == 0; i++)
		rc = add_line(x, f, &f->lines.v[i], e);
	if (rc == 0 && f->script.there)
		rc = add_script(x, f, e);
	strv_add(&x->applied, text);
	return rc < 0 ? rc : strv_check(&x->applied, "flavours", e);
}

static int
check_used(const struct expander *x, struct err *e)
{
	const char *const *args = x->r->options != NULL ? x->r->options->args : NULL;

	for (size_t i = 0; args != NULL && args[i] != NULL && i < 8 * sizeof(size_t); i++)
		if ((x->args_used & (size_t)1 << i) == 0)
			return err_set(e, E_INVAL, "--flavour-arg %.*s: no flavour of this name is applied",
			    (int)strcspn(args[i], "="), args[i]);
	return 0;
}

/* What the image says it was made with: names only. */
static int
note_flavours(const struct expander *x, struct err *e)
{
	AUTO_FINI(buf) struct buf names = BUF_INIT(4096);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	int rc;

	buf_str(&names, "io.pot.flavours=");
	for (size_t i = 0; i < x->applied.n; i++)
		buf_fmt(
		    &names, "%s%.*s", i > 0 ? " " : "", (int)strcspn(x->applied.v[i], "?"), x->applied.v[i]);
	rc = buf_check(&names, "the flavours", e);
	if (rc == 0)
		rc = kv_add(&kv, IMG_SET_LABEL, buf_cstr(&names), e);
	return rc < 0 ? rc : bld_settings_merge(&x->r->settings, &kv, e);
}

int
bld_flavours_expand(struct bld *b, const char *const *refs, int dir, struct bld_recipe *r, struct err *e)
{
	AUTO_FINI(strv) struct strv places = STRV_INIT(64), applied = STRV_INIT(APPLIED_MAX);
	struct expander x = { .b = b, .r = r, .context = dir };
	int rc = flavour_places(b->eng, r->options != NULL ? r->options->dirs : NULL, &places, e);

	x.places = places;
	x.applied = applied;
	for (; rc == 0 && *refs != NULL; refs++)
		rc = expand(&x, *refs, e);
	if (rc == 0)
		rc = check_used(&x, e);
	if (rc == 0)
		rc = note_flavours(&x, e);
	applied = x.applied;
	return rc;
}
