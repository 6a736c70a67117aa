/*
 * Pins: what processes at work need and no reference names yet. Each process
 * has one file of lines "KIND DIGEST" that it holds locked; with its end the
 * lock goes, and the next prune removes the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "image/store_impl.h"

static int
open_own(struct img_store *s, struct err *e)
{
	unsigned long long random;

	if (s->pin_fd >= 0)
		return 0;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(e, "cannot get random bytes");
	snprintf(s->pin_name, sizeof(s->pin_name), "%d-%016llx", (int)getpid(), random);
	s->pin_fd = lock_file(s->pins, s->pin_name, true, 0, e);
	return s->pin_fd < 0 ? s->pin_fd : 0;
}

static int
pin_locked(struct img_store *s, const char *line, struct err *e)
{
	AUTO(fd) int lock = -1;
	int r;

	for (size_t i = 0; i < s->pinned.n; i++)
		if (strcmp(s->pinned.v[i], line) == 0)
			return 0;
	/* A prune that has begun ends first; what it takes away is looked for afterwards. */
	if ((lock = store_lock(s, false, e)) < 0)
		return lock;
	if ((r = open_own(s, e)) < 0 || (r = fd_write_all(s->pin_fd, line, strlen(line), "pins", e)) < 0)
		return r;
	strv_add(&s->pinned, line);
	return strv_check(&s->pinned, "pins", e);
}

int
store_pin(struct img_store *s, const char *kind, const struct digest *d, struct err *e)
{
	char text[DIGEST_TEXT_LEN], line[DIGEST_TEXT_LEN + 16];
	int r;

	snprintf(line, sizeof(line), "%s %s\n", kind, digest_print(d, text));
	pthread_mutex_lock(&s->mutex);
	r = pin_locked(s, line, e);
	pthread_mutex_unlock(&s->mutex);
	return r;
}

int
img_pin(struct img_store *s, const struct digest *d, struct err *e)
{
	return store_pin(s, PIN_BLOB, d, e);
}

int
img_pin_chain(struct img_store *s, const struct digest *chain, struct err *e)
{
	return store_pin(s, PIN_LAYER, chain, e);
}

void
store_pins_end(struct img_store *s)
{
	if (s->pin_fd < 0)
		return;
	unlinkat(s->pins, s->pin_name, 0);
	fd_close(take_fd(s->pin_fd));
}

/* One line; a torn last one of a process that is writing it cannot be: it would hold the shared lock. */
static int
tell_line(char *line, int (*fn)(void *, const char *, const struct digest *), void *arg)
{
	char *blank = strchr(line, ' ');
	struct digest d;

	if (blank == NULL)
		return 0;
	*blank = '\0';
	return digest_parse(blank + 1, &d, NULL) == 0 ? fn(arg, line, &d) : 0;
}

static int
tell_file(struct img_store *s, const char *name, int (*fn)(void *, const char *, const struct digest *),
    void *arg, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(64u << 20);
	AUTO(fd) int fd = openat(s->pins, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	char *line, *rest;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "pins/%s", name);
	if (strcmp(name, s->pin_name) != 0 && lock_fd(fd, true, 0, NULL) == 0) {
		unlinkat(s->pins, name, 0);
		return 0;
	}
	if ((r = fd_read_all(fd, &b, e)) < 0)
		return r;
	rest = b.data;
	while (r == 0 && rest != NULL && (line = strsep(&rest, "\n")) != NULL)
		r = tell_line(line, fn, arg);
	return r;
}

int
store_pins_each(
    struct img_store *s, int (*fn)(void *, const char *, const struct digest *), void *arg, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 20);
	int r = store_names(s->pins, false, &names, e);

	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = tell_file(s, names.v[i], fn, arg, e);
	return r;
}
