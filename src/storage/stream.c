/*
 * The door to native streams: what is checked for every mechanism before one
 * is asked, and the sources that streams are read from. What a stream holds
 * and what of it is believed is each mechanism's own affair.
 */
#include <errno.h>
#include <unistd.h>

#include "storage/check.h"
#include "storage/storage.h"

static int
check_streams(
    struct stor *s, struct stor_fs fs, const char *tag, const struct stor_point *from, struct err *e)
{
	int rc = stor_check_tag(fs, tag, e);

	if (rc == 0 && from != NULL)
		rc = stor_check_tag(from->fs, from->tag, e);
	if (rc == 0 && ((s->caps & STOR_CAP_SEND) == 0 || s->ops->send == NULL))
		rc = err_set(e, E_NOTSUP, "storage \"%s\" has no streams", s->ops->name);
	return rc;
}

int
stor_send(
    struct stor *s, struct stor_fs fs, const char *tag, const struct stor_point *from, int fd, struct err *e)
{
	int rc = check_streams(s, fs, tag, from, e);

	return rc < 0 ? rc : s->ops->send(s, fs, tag, from, fd, e);
}

int
stor_receive(struct stor *s, struct stor_fs dst, const char *tag, const struct stor_point *from,
    const struct stor_source *src, struct err *e)
{
	int rc = check_streams(s, dst, tag, from, e);

	return rc < 0 ? rc : s->ops->receive(s, dst, tag, from, src, e);
}

int
stor_stream_id(struct stor *s, struct stor_fs fs, const char *tag, char id[static STOR_ID_LEN], struct err *e)
{
	int rc = check_streams(s, fs, tag, NULL, e);

	return rc < 0 ? rc : s->ops->stream_id(s, fs, tag, id, e);
}

static ssize_t
read_fd(void *arg, void *to, size_t n, struct err *e)
{
	const int *fd = arg;
	ssize_t got;

	while ((got = read(*fd, to, n)) < 0 && errno == EINTR)
		continue;
	return got < 0 ? err_sys(e, "reading a stream") : got;
}

struct stor_source
stor_source_fd(int *fd)
{
	return (struct stor_source){ read_fd, fd };
}

int
stor_source_fill(const struct stor_source *src, void *to, size_t n, struct err *e)
{
	char *p = to;

	while (n > 0) {
		ssize_t got = src->read(src->arg, p, n, e);

		if (got < 0)
			return (int)got;
		if (got == 0)
			return err_set(e, E_CORRUPT, "the stream ends too early");
		p += got;
		n -= (size_t)got;
	}
	return 0;
}
