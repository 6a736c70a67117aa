/* Collects what notes.h describes and writes it out in pieces. */
#include "unpack/notes.h"

#include <string.h>

#include "base/file.h"

int
notes_flush(struct notes *n, struct err *e)
{
	int r = n->len > 0 ? fd_write_all(n->fd, n->buf, n->len, "telling about lower layers", e) : 0;

	n->len = 0;
	return r;
}

int
note_add(struct notes *n, enum note what, const char *path, struct err *e)
{
	size_t len = strlen(path) + 1;
	int r;

	if (len >= sizeof(n->buf) || (n->total += len + 1) > NOTES_MAX)
		return err_set(e, E_STATE, "it says too much about lower layers");
	if (n->len + 1 + len > sizeof(n->buf) && (r = notes_flush(n, e)) < 0)
		return r;
	n->buf[n->len++] = (char)what;
	memcpy(n->buf + n->len, path, len);
	n->len += len;
	return 0;
}
