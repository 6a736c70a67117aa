/*
 * COPY and ADD as a whole: sources to a list and its digest, and the list to
 * the tree. Owns what is between the two: the list, what was fetched, the
 * strings of the step.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/inroot.h"
#include "builder/copy_impl.h"

/* Changes when the same step would make another tree than before. */
#define FORM "pot copy 1"
#define SOURCES_MAX 4096u

/* What one source became. */
struct part {
	const char *source;
	bool url;
	struct bld_fetched file;
	size_t from, to; /* items of the scan */
};

struct bld_copy_state {
	struct strv sources, exclude; /* of bld_copy_init */
	struct ignore rules;          /* exclude, compiled */
	struct part *parts;
	size_t nparts;
	struct scan scan;
	bool scanned;
	struct digest content; /* of the scan */
};

static void
forget(struct bld_copy_state *s)
{
	free(s->parts);
	s->parts = NULL;
	s->nparts = 0;
	scan_fini(&s->scan);
	ignore_fini(&s->rules);
	s->scanned = false;
}

static int
need_state(struct bld_copy *c, struct err *e)
{
	if (c->priv != NULL)
		return 0;
	c->priv = calloc(1, sizeof(*c->priv));
	if (c->priv == NULL)
		return err_nomem(e);
	c->priv->sources = (struct strv)STRV_INIT(SOURCES_MAX);
	c->priv->exclude = (struct strv)STRV_INIT(SOURCES_MAX);
	c->priv->scan.root = -1;
	return 0;
}

int
bld_copy_init(struct bld_copy *c, const struct potfile_step *step, struct err *e)
{
	const char *value;
	size_t pos = 0;
	int rc;

	*c = (struct bld_copy)BLD_COPY_INIT;
	if ((rc = need_state(c, e)) < 0)
		return rc;
	for (size_t i = 0; i + 1 < step->nwords; i++)
		strv_add(&c->priv->sources, step->words[i].text);
	while ((value = potfile_flag_next(step, "exclude", &pos)) != NULL)
		strv_add(&c->priv->exclude, value);
	if ((rc = strv_check(&c->priv->sources, "sources", e)) < 0 ||
	    (rc = strv_check(&c->priv->exclude, "exclusions", e)) < 0) {
		bld_copy_fini(c);
		return rc;
	}
	c->add = step->op == POTFILE_ADD;
	c->sources = (const char *const *)strv_argv(&c->priv->sources);
	if (c->priv->exclude.n > 0)
		c->exclude = (const char *const *)strv_argv(&c->priv->exclude);
	c->heredocs = step->heredocs;
	c->nheredocs = step->nheredocs;
	c->dest = step->nwords > 0 ? step->words[step->nwords - 1].text : "";
	c->chown = potfile_flag(step, "chown");
	c->chmod = potfile_flag(step, "chmod");
	c->checksum = potfile_flag(step, "checksum");
	c->link = potfile_flag_is(step, "link");
	c->parents = potfile_flag_is(step, "parents");
	c->unpack_urls = potfile_flag_is(step, "unpack");
	c->no_unpack = potfile_flag(step, "unpack") != NULL && !c->unpack_urls;
	return 0;
}

void
bld_copy_fini(struct bld_copy *c)
{
	if (c->priv != NULL) {
		forget(c->priv);
		strv_fini(&c->priv->sources);
		strv_fini(&c->priv->exclude);
		free(c->priv);
	}
	*c = (struct bld_copy)BLD_COPY_INIT;
}

/* ---- what can be seen to be wrong ---------------------------------------------------------- */

static bool
is_git(const char *source)
{
	size_t len = strlen(source);

	return strncmp(source, "git@", 4) == 0 || strncmp(source, "git://", 6) == 0 ||
	    strncmp(source, "ssh://", 6) == 0 || (len > 4 && strcmp(source + len - 4, ".git") == 0) ||
	    strstr(source, ".git#") != NULL;
}

static int
check_source(const struct bld_copy *c, const char *source, struct err *e)
{
	bool url = bld_is_url(source);

	/* A name that ends in .git may be a file of the context. */
	if (is_git(source) && (url || strstr(source, "://") != NULL || strncmp(source, "git@", 4) == 0)) {
		err_set(e, E_NOTSUP, "%.300s: sources are not taken from git repositories", source);
		return err_hint(e, "add the repository's archive, or clone it with RUN");
	}
	if (url && !c->add) {
		err_set(e, E_INVAL, "%.300s: COPY takes no URLs", source);
		return err_hint(e, "ADD does");
	}
	if (!url && c->src < 0 && c->tree == NULL)
		return err_set(e, E_NOENT, "%.300s: there is no context to take it from", source);
	return 0;
}

static int
check(const struct bld_copy *c, struct err *e)
{
	AUTO_FINI(buf) struct buf dest = BUF_INIT(65536);
	bool dir;
	size_t n;
	int rc = copy_dest_path(c, &dest, &dir, e);

	for (n = 0; rc == 0 && c->sources[n] != NULL; n++)
		rc = check_source(c, c->sources[n], e);
	if (rc < 0)
		return rc;
	if (n + c->nheredocs == 0)
		return err_set(e, E_INVAL, "there is nothing to copy");
	if (n + c->nheredocs > 1 && !dir) {
		err_set(e, E_INVAL, "several sources, and the destination does not end in '/'");
		return err_hint(e, "write %.200s/", c->dest);
	}
	if (c->checksum != NULL && (n != 1 || c->nheredocs > 0 || !bld_is_url(c->sources[0])))
		return err_set(e, E_INVAL, "--checksum is for one URL");
	return 0;
}

/* ---- listing ------------------------------------------------------------------------------------ */

static int
compile_rules(struct bld_copy *c, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; c->exclude != NULL && c->exclude[i] != NULL && rc == 0; i++) {
		rc = ignore_add(&c->priv->rules, c->exclude[i], e);
		if (rc < 0)
			err_wrap(e, "--exclude=%.200s", c->exclude[i]);
	}
	return rc;
}

static int
scan_all(struct bld *b, struct bld_copy *c, struct sums *sums, int root, struct err *e)
{
	struct bld_copy_state *s = c->priv;
	int rc = 0;

	scan_fini(&s->scan);
	scan_init(&s->scan, b, sums, root, c->what != NULL ? c->what : "the context");
	s->scan.ignore = c->context != NULL ? bld_context_ignore(c->context) : NULL;
	s->scan.exclude = s->rules.n > 0 ? &s->rules : NULL;
	s->scan.whole = c->whole;
	for (size_t i = 0; i < s->nparts && rc == 0; i++) {
		struct part *p = &s->parts[i];

		p->from = s->scan.nitems;
		if (!p->url)
			rc = scan_source(&s->scan, p->source, c->parents, e);
		p->to = s->scan.nitems;
		if (rc == 0 && !p->url && p->from == p->to)
			once_warn(b, "nothing in %s matches %s", s->scan.what, p->source);
	}
	if (rc == 0 && s->scan.skipped > 0)
		once_warn(b, "%llu sockets and devices of %s are not copied", s->scan.skipped, s->scan.what);
	/* The table is the caller's, and goes. */
	s->scan.sums = NULL;
	s->scanned = rc == 0;
	return rc;
}

static int
content_digest(const struct bld_copy *c, struct digest *d, struct err *e)
{
	AUTO(hasher) struct hasher *h = NULL;
	int rc = hasher_new(DIGEST_SHA256, &h, e);

	if (rc == 0 && (rc = scan_digest(&c->priv->scan, c->keep_owner && c->chown == NULL, h, e)) == 0)
		rc = hasher_end(h, d, e);
	return rc;
}

static int
add_text(struct hasher *h, const char *text, struct err *e)
{
	/* Not there is not the same as empty. */
	if (text == NULL)
		return hasher_add(h, "\xff", 2, e);
	return hasher_add(h, text, strlen(text) + 1, e);
}

static int
add_list(struct hasher *h, const char *const *list, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; list != NULL && list[i] != NULL && rc == 0; i++)
		rc = add_text(h, list[i], e);
	return rc < 0 ? rc : add_text(h, NULL, e);
}

/* What decides the listing of a tree that never changes. */
static int
fixed_name(const struct bld_copy *c, struct digest *d, struct err *e)
{
	const uint8_t flags[] = { c->parents, c->whole, c->keep_owner, c->chown != NULL };
	char chain[DIGEST_TEXT_LEN];
	AUTO(hasher) struct hasher *h = NULL;
	int rc = hasher_new(DIGEST_SHA256, &h, e);

	if (rc == 0 && (rc = add_text(h, FORM, e)) == 0 &&
	    (rc = add_text(h, c->tree->any ? digest_print(&c->tree->chain, chain) : "", e)) == 0 &&
	    (rc = add_list(h, c->sources, e)) == 0 && (rc = add_list(h, c->exclude, e)) == 0 &&
	    (rc = hasher_add(h, flags, sizeof(flags), e)) == 0)
		rc = hasher_end(h, d, e);
	return rc;
}

static int
scan_tree_of(struct bld *b, struct bld_copy *c, struct sums *sums, struct err *e)
{
	struct bld_look *look = NULL;
	int fd = -1, rc = bld_look_begin(b, c->tree, &look, &fd, e);

	if (rc == 0 && fd < 0)
		rc = err_set(e, E_NOENT, "%s is empty", c->what != NULL ? c->what : "the source");
	if (rc == 0)
		rc = scan_all(b, c, sums, fd, e);
	bld_look_end(look);
	return rc;
}

static int
look_at_sources(struct bld *b, struct bld_copy *c, struct err *e)
{
	AUTO(sums) struct sums *sums = NULL;
	struct digest name;
	int rc = sums_open(&sums, b->dir, b->tmp, e);

	if (rc < 0)
		return rc;
	if (c->src >= 0 || c->tree == NULL) {
		if ((rc = scan_all(b, c, sums, c->src, e)) < 0)
			return rc;
		return content_digest(c, &c->priv->content, e);
	}
	if ((rc = fixed_name(c, &name, e)) < 0 || sums_get_fixed(sums, &name, &c->priv->content))
		return rc;
	if ((rc = scan_tree_of(b, c, sums, e)) == 0 && (rc = content_digest(c, &c->priv->content, e)) == 0)
		sums_put_fixed(sums, &name, &c->priv->content);
	return rc;
}

static int
list_parts(struct bld *b, struct bld_copy *c, struct err *e)
{
	struct bld_copy_state *s = c->priv;
	size_t n = 0;
	int rc = 0;

	while (c->sources[n] != NULL)
		n++;
	s->parts = calloc(n + 1, sizeof(*s->parts));
	if (s->parts == NULL)
		return err_nomem(e);
	s->nparts = n;
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct part *p = &s->parts[i];

		p->source = c->sources[i];
		p->url = bld_is_url(p->source);
		if (p->url)
			rc = bld_fetch(b, p->source, c->checksum, &p->file, e);
	}
	return rc;
}

/* ---- the key ---------------------------------------------------------------------------------------- */

static int
add_parts(struct hasher *h, const struct bld_copy *c, struct err *e)
{
	char text[DIGEST_TEXT_LEN];
	int rc = 0;

	for (size_t i = 0; i < c->priv->nparts && rc == 0; i++) {
		const struct part *p = &c->priv->parts[i];

		rc = add_text(h, p->url ? p->file.name : NULL, e);
		if (rc == 0)
			rc = add_text(h, p->url ? digest_print(&p->file.digest, text) : NULL, e);
	}
	for (size_t i = 0; i < c->nheredocs && rc == 0; i++) {
		rc = add_text(h, c->heredocs[i].name, e);
		if (rc == 0)
			rc = add_text(h, c->heredocs[i].body, e);
	}
	return rc;
}

static int
key_of(const struct bld_copy *c, struct digest *d, struct err *e)
{
	const uint8_t flags[] = { c->add && !c->no_unpack, c->unpack_urls, c->parents, c->whole };
	AUTO_FINI(buf) struct buf dest = BUF_INIT(65536);
	AUTO(hasher) struct hasher *h = NULL;
	bool dir = false;
	int rc = hasher_new(DIGEST_SHA256, &h, e);

	if (rc == 0)
		rc = copy_dest_path(c, &dest, &dir, e);
	if (rc == 0 && (rc = add_text(h, FORM, e)) == 0 && (rc = add_text(h, dest.data, e)) == 0 &&
	    (rc = add_text(h, dir ? "/" : NULL, e)) == 0 && (rc = add_text(h, c->chown, e)) == 0 &&
	    (rc = add_text(h, c->chmod, e)) == 0 && (rc = hasher_add(h, flags, sizeof(flags), e)) == 0 &&
	    (rc = hasher_add(h, c->priv->content.bytes, SUM_LEN, e)) == 0 && (rc = add_parts(h, c, e)) == 0)
		rc = hasher_end(h, d, e);
	return rc;
}

int
bld_copy_digest(struct bld *b, struct bld_copy *c, struct digest *d, struct err *e)
{
	int rc = need_state(c, e);

	if (rc < 0)
		return rc;
	forget(c->priv);
	if ((rc = check(c, e)) < 0 || (rc = compile_rules(c, e)) < 0 || (rc = list_parts(b, c, e)) < 0 ||
	    (rc = look_at_sources(b, c, e)) < 0)
		return rc;
	return key_of(c, d, e);
}

/* ---- to the tree -------------------------------------------------------------------------------------- */

/* 1: it was an archive, and is unpacked. */
static int
try_unpack(struct copier *k, int fd, const uint8_t sum[static SUM_LEN], const char *name, struct err *e)
{
	struct archive_args a = { .fd = fd, .merge = true, .owner = &k->owner };
	struct digest found;
	int rc = archive_is(k->b, fd, e);

	if (rc <= 0)
		return rc;
	a.dir = place_dir(k, k->dest.data, e);
	if (a.dir < 0)
		return a.dir;
	rc = archive_unpack(k->b, &a, &found, e);
	fd_close(a.dir);
	if (rc < 0)
		return err_wrap(e, "%.200s", name);
	return memcmp(found.bytes, sum, SUM_LEN) == 0
	    ? 1
	    : err_set(e, E_BUSY, "%.200s: changed while it was unpacked", name);
}

static int
try_unpack_item(struct copier *k, const struct scan_item *item, struct err *e)
{
	const struct scan_node *n = &k->scan->nodes[item->node];
	const char *path = scan_text(k->scan, item->path);
	AUTO(fd) int fd = -1;
	struct stat st;

	if (!k->c->add || k->c->no_unpack || !S_ISREG(n->mode))
		return 0;
	fd = inroot_open(k->src, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, e);
	if (fd < 0)
		return take_fd(fd);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_BUSY, "%s: changed while it was copied", path);
	return try_unpack(k, fd, n->sum.content, path, e);
}

static int
put_url(struct copier *k, const struct part *p, struct err *e)
{
	AUTO(fd) int fd = bld_fetch_open(k->b, &p->file.digest, e);
	struct place to;
	int rc;

	if (fd < 0)
		return take_fd(fd);
	if (k->c->unpack_urls && (rc = try_unpack(k, fd, p->file.digest.bytes, p->source, e)) != 0)
		return rc < 0 ? rc : 0;
	if (p->file.name[0] == '\0' && (k->dest_dir || place_is_dir(k, k->dest.data))) {
		err_set(e, E_INVAL, "%.300s: the URL does not say what the file is called", p->source);
		return err_hint(e, "name the file in the destination");
	}
	if ((rc = place_find(k, p->file.name, &to, e)) < 0)
		return rc;
	rc = put_fetched(k, fd, &p->file, to.dir, to.name, e);
	fd_close(to.dir);
	return rc;
}

/* Of several that a glob gave, each would replace the one before. */
static int
check_glob(const struct copier *k, const struct part *p, struct err *e)
{
	size_t files = 0;

	for (size_t i = p->from; i < p->to; i++)
		files += k->scan->items[i].glob && !S_ISDIR(k->scan->nodes[k->scan->items[i].node].mode);
	if (files < 2 || k->dest_dir || place_is_dir(k, k->dest.data))
		return 0;
	err_set(e, E_INVAL, "%zu files match %.200s, and the destination is no directory", files, p->source);
	return err_hint(e, "end the destination with '/'");
}

static int
put_part(struct copier *k, const struct part *p, struct err *e)
{
	int rc;

	if (p->url)
		return put_url(k, p, e);
	rc = check_glob(k, p, e);
	for (size_t i = p->from; i < p->to && rc == 0; i++) {
		const struct scan_item *item = &k->scan->items[i];

		rc = try_unpack_item(k, item, e);
		if (rc == 0)
			rc = put_item(k, item, e);
		else if (rc > 0)
			rc = 0;
		if (rc == 0)
			rc = bld_check(k->b, e);
	}
	return rc;
}

static int
put_texts(struct copier *k, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < k->c->nheredocs && rc == 0; i++) {
		const struct potfile_heredoc *text = &k->c->heredocs[i];
		struct place p;

		if ((rc = place_find(k, text->name, &p, e)) < 0)
			break;
		rc = put_body(k, text->body, strlen(text->body), 0644, p.dir, p.name, e);
		fd_close(p.dir);
	}
	return rc;
}

static int
put_all(struct copier *k, struct err *e)
{
	const struct bld_copy_state *s = k->c->priv;
	int rc = copy_dest_path(k->c, &k->dest, &k->dest_dir, e);

	if (rc == 0 && k->c->chown != NULL && (rc = copy_owner_find(k->root, k->c->chown, &k->owner, e)) < 0)
		err_wrap(e, "--chown=%.100s", k->c->chown);
	for (size_t i = 0; i < s->nparts && rc == 0; i++)
		rc = put_part(k, &s->parts[i], e);
	return rc < 0 ? rc : put_texts(k, e);
}

/* The list of a tree whose digest was known: it must be the same that the key was made of. */
static int
need_scan(struct bld *b, struct bld_copy *c, int fd, struct err *e)
{
	AUTO(sums) struct sums *sums = NULL;
	struct digest found, name;
	int rc;

	if (c->priv->scanned)
		return 0;
	if ((rc = sums_open(&sums, b->dir, b->tmp, e)) < 0 || (rc = scan_all(b, c, sums, fd, e)) < 0 ||
	    (rc = content_digest(c, &found, e)) < 0)
		return rc;
	if (digest_equal(&found, &c->priv->content))
		return 0;
	/* The table was wrong. The next time it is right. */
	if ((rc = fixed_name(c, &name, e)) == 0)
		sums_put_fixed(sums, &name, &found);
	return rc < 0 ? rc : err_set(e, E_BUSY, "%s is not what was noted of it", c->priv->scan.what);
}

int
bld_copy_apply(struct bld *b, struct bld_copy *c, int rootfd, struct err *e)
{
	struct copier k = { .b = b, .c = c, .root = rootfd, .dest = BUF_INIT(65536), .src = c->src };
	struct bld_look *look = NULL;
	int rc = 0;

	if (c->priv == NULL || c->priv->parts == NULL)
		return err_set(e, E_STATE, "a copy whose digest was not asked for");
	if (c->src < 0 && c->tree != NULL && (rc = bld_look_begin(b, c->tree, &look, &k.src, e)) == 0)
		rc = need_scan(b, c, k.src, e);
	k.scan = &c->priv->scan;
	if (rc == 0)
		rc = put_all(&k, e);
	bld_look_end(look);
	buf_fini(&k.dest);
	hasher_free(k.hasher);
	free(k.chunk);
	return rc;
}
