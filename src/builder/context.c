/*
 * Opening a context and finding what stands in it: the Potfile and the ignore
 * file. A tar is unpacked below the builder's private directory, which goes
 * with the builder.
 */
#include <sys/random.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/inroot.h"
#include "builder/context.h"
#include "builder/copy_impl.h"

#define FIRST_BYTES 512u
#define PATH_TEXT_MAX 65536u

struct bld_context {
	int fd;      /* -1: there is none */
	bool is_tar; /* it was unpacked: what -f names is in it */
	bool has_text;
	struct buf text; /* stdin was a Potfile */
	struct ignore ignore;
};

int
bld_context_fd(const struct bld_context *c)
{
	return c->fd;
}

const struct ignore *
bld_context_ignore(const struct bld_context *c)
{
	return &c->ignore;
}

void
bld_context_free(struct bld_context *c)
{
	if (c == NULL)
		return;
	fd_close(c->fd);
	buf_fini(&c->text);
	ignore_fini(&c->ignore);
	free(c);
}

/* ---- opening ------------------------------------------------------------------------ */

static int
unpack(struct bld *b, struct bld_context *c, int fd, const char *first, size_t nfirst, struct err *e)
{
	struct archive_args a = { .fd = fd, .first = first, .nfirst = nfirst };
	char name[32];
	unsigned random;
	int rc;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(e, "random bytes");
	snprintf(name, sizeof(name), "context-%08x", random);
	if ((rc = a.dir = dir_make(b->tmp, name, 0700, e)) < 0)
		return rc;
	c->fd = a.dir;
	c->is_tar = true;
	if ((rc = archive_unpack(b, &a, NULL, e)) < 0)
		err_wrap(e, "the context");
	return rc;
}

/* A pipe may give one byte at a time. */
static ssize_t
read_first(int fd, char *out, size_t size, struct err *e)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, out + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "reading standard input");
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

static int
open_stdin(struct bld *b, struct bld_context *c, struct err *e)
{
	char first[FIRST_BYTES];
	ssize_t n = read_first(STDIN_FILENO, first, sizeof(first), e);
	int rc;

	if (n < 0)
		return (int)n;
	if (archive_begins((const unsigned char *)first, (size_t)n))
		return unpack(b, c, STDIN_FILENO, first, (size_t)n, e);
	if (memchr(first, '\0', (size_t)n) != NULL)
		return err_set(e, E_INVAL, "standard input is neither a tar nor a Potfile");
	buf_add(&c->text, first, (size_t)n);
	c->has_text = true;
	if ((rc = fd_read_all(STDIN_FILENO, &c->text, e)) < 0)
		err_wrap(e, "the Potfile on standard input");
	return rc;
}

static int
open_place(struct bld *b, struct bld_context *c, const char *where, struct err *e)
{
	AUTO(fd) int fd = open(where, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "context %.300s", where);
	if (S_ISDIR(st.st_mode)) {
		c->fd = take_fd(fd);
		return 0;
	}
	rc = S_ISREG(st.st_mode) ? archive_is(b, fd, e) : 0;
	if (rc > 0)
		return unpack(b, c, fd, NULL, 0, e);
	if (rc == 0) {
		err_set(e, E_INVAL, "context %.300s: is neither a directory nor a tar", where);
		err_hint(e, "to name the Potfile: -f %.200s", where);
	}
	return rc < 0 ? rc : -E_INVAL;
}

static int
open_any(struct bld *b, struct bld_context *c, const char *where, struct err *e)
{
	if (strcmp(where, "-") == 0)
		return open_stdin(b, c, e);
	if (strstr(where, "://") != NULL || strncmp(where, "git@", 4) == 0) {
		err_set(e, E_NOTSUP, "context %.300s: contexts are not fetched", where);
		return err_hint(e, "give a directory, or a tar on standard input: curl … | pot build -");
	}
	return open_place(b, c, where, e);
}

int
bld_context_open(struct bld *b, const char *where, struct bld_context **out, struct err *e)
{
	struct bld_context *c = calloc(1, sizeof(*c));
	int rc;

	*out = NULL;
	if (c == NULL)
		return err_nomem(e);
	c->fd = -1;
	buf_init(&c->text, POTFILE_MAX);
	if ((rc = open_any(b, c, where, e)) < 0) {
		bld_context_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

/* ---- the Potfile and what goes with it --------------------------------------------------- */

/* In the context; 0: it is not there. */
static int
read_inside(const struct bld_context *c, const char *path, struct buf *text, struct err *e)
{
	int rc;

	if (c->fd < 0)
		return 0;
	buf_reset(text);
	rc = inroot_read(c->fd, path, text, e);
	return rc == -E_NOENT ? 0 : rc < 0 ? rc : 1;
}

/* Where people say; it may be a pipe of theirs. */
static int
read_outside(const char *path, struct buf *text, struct err *e)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int rc;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "%.300s", path);
	if (S_ISDIR(st.st_mode))
		return err_set(e, E_INVAL, "%.300s: is a directory", path);
	buf_reset(text);
	if ((rc = fd_read_all(fd, text, e)) < 0)
		return err_wrap(e, "%.300s", path);
	return 1;
}

static int
parse_ignore(struct bld_context *c, const char *what, const struct buf *text, struct err *e)
{
	return ignore_parse(&c->ignore, buf_cstr(text), text->len, what, e);
}

/* NAME.potignore beside the Potfile goes before .potignore of the context. */
static int
read_ignore(struct bld_context *c, const char *potfile, bool inside, struct err *e)
{
	static const char *const ends[] = { ".potignore", ".dockerignore", ".containerignore" };
	AUTO_FINI(buf) struct buf text = BUF_INIT(IGNORE_FILE_MAX), name = BUF_INIT(PATH_TEXT_MAX);
	int rc;

	ignore_fini(&c->ignore);
	for (size_t i = 0; potfile != NULL && i < ARRAY_LEN(ends); i++) {
		buf_reset(&name);
		buf_fmt(&name, "%s%s", potfile, ends[i]);
		if ((rc = buf_check(&name, "name", e)) < 0)
			return rc;
		rc = inside ? read_inside(c, name.data, &text, e) : read_outside(name.data, &text, e);
		if (rc != 0)
			return rc < 0 ? rc : parse_ignore(c, name.data, &text, e);
	}
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		if ((rc = read_inside(c, ends[i], &text, e)) != 0)
			return rc < 0 ? rc : parse_ignore(c, ends[i], &text, e);
	}
	return 0;
}

static int
none_found(const struct bld_context *c, struct err *e)
{
	err_set(e, E_NOENT, "there is no Potfile%s", c->fd >= 0 ? " in the context" : "");
	return err_hint(e, "it is called Potfile, Containerfile or Dockerfile; another name is given by -f");
}

static int
find_potfile(struct bld_context *c, struct buf *text, char what[static 256], struct err *e)
{
	static const char *const names[] = { "Potfile", "Containerfile", "Dockerfile" };
	int rc;

	if (c->has_text) {
		buf_reset(text);
		buf_add(text, buf_cstr(&c->text), c->text.len);
		snprintf(what, 256, "standard input");
		rc = buf_check(text, "Potfile", e);
		return rc < 0 ? rc : read_ignore(c, NULL, true, e);
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if ((rc = read_inside(c, names[i], text, e)) == 0)
			continue;
		snprintf(what, 256, "%s", names[i]);
		return rc < 0 ? rc : read_ignore(c, names[i], true, e);
	}
	return none_found(c, e);
}

static int
named_potfile(struct bld_context *c, const char *name, struct buf *text, struct err *e)
{
	bool inside = c->is_tar;
	int rc = inside ? read_inside(c, name, text, e) : read_outside(name, text, e);

	/* As others do: what is not in the working directory may be in the context. */
	if (rc == 0 && !inside && name[0] != '/') {
		rc = read_inside(c, name, text, e);
		inside = true;
	}
	if (rc == 0)
		return err_set(e, E_NOENT, "there is no Potfile %.300s", name);
	return rc < 0 ? rc : read_ignore(c, name, inside, e);
}

int
bld_context_potfile(
    struct bld_context *c, const char *name, struct buf *text, char what[static 256], struct err *e)
{
	int rc;

	if (name == NULL)
		return find_potfile(c, text, what, e);
	if (strcmp(name, "-") != 0) {
		snprintf(what, 256, "%s", name);
		return named_potfile(c, name, text, e);
	}
	if (c->is_tar || c->has_text)
		return err_set(e, E_USAGE, "standard input is the context already");
	snprintf(what, 256, "standard input");
	buf_reset(text);
	rc = fd_read_all(STDIN_FILENO, text, e);
	return rc < 0 ? err_wrap(e, "the Potfile") : read_ignore(c, NULL, true, e);
}

/* ---- bind mounts ------------------------------------------------------------------------------ */

static int
digest_of_path(struct bld *b, struct bld_context *c, const char *path, struct digest *d, struct err *e)
{
	AUTO(sums) struct sums *sums = NULL;
	AUTO(hasher) struct hasher *h = NULL;
	AUTO_FINI(scan) struct scan s = { .root = -1 };
	int rc = sums_open(&sums, b->dir, b->tmp, e);

	if (rc < 0)
		return rc;
	scan_init(&s, b, sums, c->fd, "the context");
	s.ignore = &c->ignore;
	s.whole = true; /* its own owner and mode are seen as well */
	if ((rc = scan_source(&s, path, false, e)) == 0 && (rc = hasher_new(DIGEST_SHA256, &h, e)) == 0 &&
	    (rc = scan_digest(&s, true, h, e)) == 0)
		rc = hasher_end(h, d, e);
	return rc;
}

int
bld_context_bind(struct bld *b, struct bld_context *c, const char *path, struct digest *d, struct err *e)
{
	AUTO_FINI(buf) struct buf real = BUF_INIT(PATH_TEXT_MAX), clean = BUF_INIT(PATH_TEXT_MAX);
	AUTO(fd) int fd = -1;
	struct stat st;
	int rc;

	if (c->fd < 0)
		return err_set(e, E_NOENT, "%.300s: there is no context", path);
	/* A path, not a glob: what is a wildcard in COPY is a letter here. */
	if ((rc = scan_clean(path, &clean, e)) < 0 ||
	    (rc = scan_resolve(c->fd, buf_cstr(&clean), &real, e)) < 0)
		return err_wrap(e, "%.300s", path);
	buf_reset(&clean);
	for (const char *s = real.data; *s != '\0'; s++) {
		if (strchr("*?[\\", *s) != NULL)
			buf_add(&clean, "\\", 1);
		buf_add(&clean, s, 1);
	}
	if ((rc = buf_check(&clean, "path", e)) < 0 ||
	    (rc = digest_of_path(b, c, buf_cstr(&clean), d, e)) < 0)
		return rc;
	path = real.len > 0 ? real.data : ".";
	fd = rc = inroot_open(c->fd, path, O_PATH, 0, e);
	if (rc < 0)
		return rc;
	if (fstat(fd, &st) != 0)
		return err_sys(e, "%.300s", path);
	return S_ISREG(st.st_mode) ? inroot_open(c->fd, path, O_RDONLY, 0, e) : take_fd(fd);
}
