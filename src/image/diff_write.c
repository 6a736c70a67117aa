/*
 * Writing a layer: the list of changes as a tar. Files are read by fd below
 * the root, in pieces; holes are not read. Whoever holds the list has made
 * sure that nobody writes to the tree: a file that is not what the list says
 * is an error, not a surprise in the layer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/inroot.h"
#include "image/attrs.h"
#include "image/diff.h"

#define CHUNK ((size_t)1024 * 1024)
#define PATH_BYTES 4096

struct writer {
	const struct changes *c;
	const struct diff_write_args *args;
	struct tarout *tar;
	struct attrs attrs;
	char *chunk;
	uint64_t done;
	uint32_t dir; /* whose fd is open, CHANGE_NONE: none */
	int dir_fd;
	struct buf path;
};

static int
changed_meanwhile(const char *path, struct err *e)
{
	return err_set(e, E_STATE, "%s: changed while it was read", path);
}

/* The directory of a change; borrowed until the next call. */
static int
open_dir(struct writer *w, uint32_t index, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(PATH_BYTES);
	int r;

	if (w->dir == index && w->dir_fd >= 0)
		return w->dir_fd;
	fd_close(take_fd(w->dir_fd));
	if ((r = change_path(w->c, index, &path, e)) < 0)
		return r;
	w->dir_fd = inroot_open(w->args->root, path.len > 0 ? path.data : ".", O_RDONLY | O_DIRECTORY, 0, e);
	w->dir = index;
	return w->dir_fd;
}

static struct timespec
clamp(const struct writer *w, struct timespec ts)
{
	if (w->args->epoch >= 0 && ts.tv_sec >= w->args->epoch)
		return (struct timespec){ (time_t)w->args->epoch, 0 };
	return ts;
}

static void
fill(const struct writer *w, const struct change *ch, enum tar_type type, struct tar_entry *en)
{
	*en = (struct tar_entry){
		.path = buf_cstr(&w->path),
		.type = type,
		.mode = ch->mode,
		.uid = ch->uid,
		.gid = ch->gid,
		.mtime = clamp(w, ch->mtime),
	};
}

static void
add_attrs(struct writer *w, struct tar_entry *en)
{
	en->attrs = w->attrs.v;
	en->nattrs = w->attrs.n;
	en->flags = w->attrs.flags;
}

/* ---- one of each kind ----------------------------------------------------------------- */

static int
write_dir(struct writer *w, uint32_t index, struct err *e)
{
	struct tar_entry en;
	int fd = open_dir(w, index, e), r;

	if (fd < 0)
		return fd;
	if ((r = attrs_read(&w->attrs, fd, e)) < 0)
		return r;
	buf_str(&w->path, w->path.len > 0 ? "/" : "./");
	if ((r = buf_check(&w->path, "a path", e)) < 0)
		return r;
	fill(w, &w->c->v[index], TAR_DIR, &en);
	add_attrs(w, &en);
	return tarout_entry(w->tar, &en, e);
}

static int
write_zeros(struct writer *w, uint64_t n, struct err *e)
{
	memset(w->chunk, 0, n < CHUNK ? (size_t)n : CHUNK);
	while (n > 0) {
		size_t piece = n < CHUNK ? (size_t)n : CHUNK;
		int r = tarout_data(w->tar, w->chunk, piece, e);

		if (r < 0)
			return r;
		n -= piece;
	}
	return 0;
}

/* Bytes from at that need not be read. */
static uint64_t
hole_at(int fd, uint64_t at, uint64_t size)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? size - at : 0;
	return (uint64_t)data > size ? size - at : (uint64_t)data - at;
}

static int
write_data(struct writer *w, int fd, uint64_t size, bool sparse, struct err *e)
{
	const struct diff_write_args *a = w->args;
	int r;

	for (uint64_t at = 0; at < size;) {
		uint64_t hole = sparse ? hole_at(fd, at, size) : 0;
		size_t want = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
		ssize_t n;

		if (a->cancel != NULL && *a->cancel)
			return err_set(e, E_INTR, "interrupted");
		if (hole > 0) {
			if ((r = write_zeros(w, hole, e)) < 0)
				return r;
			at += hole;
			w->done += hole;
			continue;
		}
		n = pread(fd, w->chunk, want, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(e, "reading %s", buf_cstr(&w->path))
				     : changed_meanwhile(buf_cstr(&w->path), e);
		if ((r = tarout_data(w->tar, w->chunk, (size_t)n, e)) < 0)
			return r;
		at += (uint64_t)n;
		w->done += (uint64_t)n;
		if (a->progress != NULL)
			a->progress(a->arg, w->done);
	}
	return 0;
}

static int
write_file(struct writer *w, const struct change *ch, struct err *e)
{
	struct tar_entry en;
	struct stat st;
	int dir = open_dir(w, ch->parent, e), r;

	if (dir < 0)
		return dir;
	AUTO(fd) int fd = openat(dir, ch->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "%s", buf_cstr(&w->path));
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != ch->size || st.st_ino != ch->ino)
		return changed_meanwhile(buf_cstr(&w->path), e);
	if ((r = attrs_read(&w->attrs, fd, e)) < 0)
		return err_wrap(e, "%s", buf_cstr(&w->path));
	fill(w, ch, TAR_FILE, &en);
	en.size = ch->size;
	add_attrs(w, &en);
	if ((r = tarout_entry(w->tar, &en, e)) < 0)
		return r;
	return write_data(w, fd, ch->size, (uint64_t)st.st_blocks * 512 < ch->size, e);
}

static int
write_symlink(struct writer *w, const struct change *ch, struct err *e)
{
	char target[PATH_BYTES];
	struct tar_entry en;
	int dir = open_dir(w, ch->parent, e);
	ssize_t n;

	if (dir < 0)
		return dir;
	n = readlinkat(dir, ch->name, target, sizeof(target) - 1);
	if (n < 0)
		return errno == EINVAL ? changed_meanwhile(buf_cstr(&w->path), e)
				       : err_sys(e, "%s", buf_cstr(&w->path));
	target[n] = '\0';
	fill(w, ch, TAR_SYMLINK, &en);
	en.mode = 0777;
	en.link = target;
	return tarout_entry(w->tar, &en, e);
}

static int
write_link(struct writer *w, const struct change *ch, struct err *e)
{
	AUTO_FINI(buf) struct buf first = BUF_INIT(PATH_BYTES);
	struct tar_entry en;
	int r = change_path(w->c, ch->link, &first, e);

	if (r < 0)
		return r;
	fill(w, ch, TAR_HARDLINK, &en);
	en.link = buf_cstr(&first);
	return tarout_entry(w->tar, &en, e);
}

/* An empty file of no time and no mode: it never becomes one. */
static int
write_whiteout(struct writer *w, struct err *e)
{
	const struct tar_entry en = { .path = buf_cstr(&w->path), .type = TAR_FILE };

	return tarout_entry(w->tar, &en, e);
}

static int
write_change(struct writer *w, uint32_t index, struct err *e)
{
	const struct change *ch = &w->c->v[index];
	struct tar_entry en;
	int r;

	buf_reset(&w->path);
	if (ch->kind == CHANGE_WHITEOUT) {
		if ((r = change_path(w->c, ch->parent, &w->path, e)) < 0)
			return r;
		buf_fmt(&w->path, "%s.wh.%s", w->path.len > 0 ? "/" : "", ch->name);
		r = buf_check(&w->path, "a path", e);
		return r < 0 ? r : write_whiteout(w, e);
	}
	if ((r = change_path(w->c, index, &w->path, e)) < 0)
		return r;
	if (ch->link != CHANGE_NONE)
		return write_link(w, ch, e);
	switch ((enum change_kind)ch->kind) {
	case CHANGE_DIR:
		return write_dir(w, index, e);
	case CHANGE_FILE:
		return write_file(w, ch, e);
	case CHANGE_SYMLINK:
		return write_symlink(w, ch, e);
	default:
		fill(w, ch, TAR_FIFO, &en);
		return tarout_entry(w->tar, &en, e);
	}
}

int
img_changes_write(
    const struct changes *c, const struct diff_write_args *args, struct tarout *tar, struct err *e)
{
	struct writer w = { .c = c,
		.args = args,
		.tar = tar,
		.dir = CHANGE_NONE,
		.dir_fd = -1,
		.path = BUF_INIT(2 * PATH_BYTES) };
	int r = 0;

	attrs_init(&w.attrs);
	w.attrs.strict = args->exact;
	if ((w.chunk = malloc(CHUNK)) == NULL)
		r = err_nomem(e);
	for (size_t i = 0; r == 0 && i < c->n; i++) {
		if (args->cancel != NULL && *args->cancel)
			r = err_set(e, E_INTR, "interrupted");
		else if (c->v[i].emit)
			r = write_change(&w, (uint32_t)i, e);
	}
	if (r == 0)
		r = tarout_end(tar, e);
	fd_close(w.dir_fd);
	attrs_fini(&w.attrs);
	buf_fini(&w.path);
	free(w.chunk);
	return r;
}
