/*
 * Reads what pot-unpack --apart says: records of a letter, a path and a NUL
 * (unpack/notes.h). The unpacker parsed what is hostile, so nothing that it
 * says is trusted either: paths are checked here once more.
 */
#include "image/unpack_notes.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "image/store_impl.h"

int
unpack_notes_file(struct img_store *s, struct err *e)
{
	unsigned long long random;
	char name[48];

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(e, "cannot get random bytes");
	snprintf(name, sizeof(name), STORE_PARTIAL_NEW "notes-%016llx", random);
	AUTO(fd) int fd = openat(s->partial, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "a file for notes");
	if (unlinkat(s->partial, name, 0) != 0)
		return err_sys(e, "a file for notes");
	return take_fd(fd);
}

/* Relative, and each component a name. "" is the root. */
static bool
is_plain(const char *path)
{
	for (const char *p = path; *p != '\0';) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
		if (*p == '/' && *++p == '\0')
			return false;
	}
	return true;
}

/* Takes those away that got an entry of their own. Both are sorted. */
static void
subtract(struct strv *from, const struct strv *what)
{
	struct strv left = STRV_INIT(UNPACK_NOTES_MAX);
	size_t k = 0;

	for (size_t i = 0; i < from->n; i++) {
		while (k < what->n && strcmp(what->v[k], from->v[i]) < 0)
			k++;
		if (k == what->n || strcmp(what->v[k], from->v[i]) != 0)
			strv_add(&left, from->v[i]);
	}
	strv_fini(from);
	*from = left;
}

static int
sort_out(struct unpack_notes *n, const struct buf *text, size_t *end, struct err *e)
{
	AUTO_FINI(strv) struct strv own = STRV_INIT(UNPACK_NOTES_MAX);
	const char *p = text->data, *last = p + text->len;
	int r;

	while (p < last && *p != 's') {
		struct strv *to = *p == 'w' ? &n->gone
		    : *p == 'o'             ? &n->opaque
		    : *p == 'i'             ? &n->implied
					    : &own;
		const char *path = p + 1, *stop = memchr(path, '\0', (size_t)(last - path));

		if (stop == NULL || !is_plain(path) || (to == &own && *p != 'e'))
			return err_set(e, E_CORRUPT, "not understood");
		strv_add(to, path);
		p = stop + 1;
	}
	if (p + 2 > last)
		return err_set(e, E_CORRUPT, "cut off");
	*end = (size_t)(p + 2 - text->data);
	strv_sort(&own);
	strv_sort(&n->implied);
	subtract(&n->implied, &own);
	if ((r = strv_check(&own, "notes", e)) < 0 || (r = strv_check(&n->gone, "notes", e)) < 0 ||
	    (r = strv_check(&n->opaque, "notes", e)) < 0)
		return r;
	return strv_check(&n->implied, "notes", e);
}

int
unpack_notes_read(struct unpack_notes *n, int fd, struct buf *rest, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(UNPACK_NOTES_MAX);
	size_t end = 0;
	int r;

	if (lseek(fd, 0, SEEK_SET) != 0)
		return err_sys(e, "notes");
	if ((r = fd_read_all(fd, &text, e)) < 0 || (r = sort_out(n, &text, &end, e)) < 0)
		return r;
	buf_add(rest, text.data + end, text.len - end);
	n->changes = (struct stor_changes){ &n->gone, &n->opaque, &n->implied };
	return buf_check(rest, "notes", e);
}

void
unpack_notes_fini(struct unpack_notes *n)
{
	strv_fini(&n->gone);
	strv_fini(&n->opaque);
	strv_fini(&n->implied);
}
