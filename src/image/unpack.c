/*
 * One layer onto those below it: lock, clone of the parent's file system,
 * pot-unpack at the other end of a pipe, snapshot, record. Owns the child and
 * the half-made file system between img_unpack_begin and img_unpack_end;
 * killed there, it leaves both to the next who wants the layer, or to prune.
 */
#include "image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "base/proc.h"
#include "base/text.h"
#include "image/layers.h"
#include "image/store_impl.h"
#include "image/unpack_notes.h"

#define CHUNK ((size_t)256 * 1024)
#define PIPE_BYTES (1024 * 1024)

/* Exit statuses of pot-unpack (unpack/main.c). */
enum { UNPACK_ARCHIVE = 1, UNPACK_LIMIT = 3, UNPACK_FULL = 4, UNPACK_APART = 6 };

struct img_unpack {
	struct img_store *store;
	struct stor *stor;
	struct layer_lock lock;
	struct layer_record rec;
	pid_t pid;        /* 0: none */
	int in, out, err; /* out: a file that the child writes when it is apart */
	bool apart;
	struct unpack_notes notes;
};
#define UNPACK_INIT(store, stor, digest)                                                                     \
	{                                                                                                    \
		store, stor, LAYER_LOCK_INIT, { .diff = *(digest) }, 0, -1, -1, -1, false, UNPACK_NOTES_INIT \
	}

static struct stor_fs
layer_fs(const struct img_unpack *u)
{
	return (struct stor_fs){ STOR_IMAGE, u->lock.hex };
}

int
img_chain_id(const struct digest *parent, const struct digest *diff, struct digest *chain, struct err *e)
{
	char below[DIGEST_TEXT_LEN], own[DIGEST_TEXT_LEN], text[2 * DIGEST_TEXT_LEN + 1];
	int n;

	if (diff->alg != DIGEST_SHA256)
		return err_set(e, E_NOTSUP, "a layer whose diff_id is not a sha256 digest");
	if (parent == NULL) {
		*chain = *diff;
		return 0;
	}
	n = snprintf(text, sizeof(text), "%s %s", digest_print(parent, below), digest_print(diff, own));
	return digest_of(DIGEST_SHA256, text, (size_t)n, chain, e);
}

/* ---- the child ------------------------------------------------------------------- */

static int
make_pipe(int p[static 2], struct err *e)
{
	return pipe2(p, O_CLOEXEC) == 0 ? 0 : err_sys(e, "making a pipe");
}

/* Where it says what it found: a pipe for a line, a file for more. */
static int
make_out(struct img_unpack *u, int out[static 2], struct err *e)
{
	if (!u->apart)
		return make_pipe(out, e);
	if ((out[0] = unpack_notes_file(u->store, e)) < 0)
		return out[0];
	out[1] = fcntl(out[0], F_DUPFD_CLOEXEC, 0);
	return out[1] < 0 ? err_sys(e, "a file for notes") : 0;
}

static int
start_child(struct img_unpack *u, int root, uint64_t max_size, struct err *e)
{
	char program[PATH_MAX], dirfd[16], size[24];
	const char *argv[] = { program, u->apart ? "--apart" : "--layer", "--digest", "--max-size", size,
		"--dirfd", dirfd, NULL };
	struct proc_spec spec = PROC_SPEC_INIT;
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 }, r;

	snprintf(dirfd, sizeof(dirfd), "%d", root);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)max_size);
	if ((r = host_find_program("pot-unpack", host_libexec(), program, sizeof(program), e)) == 0 &&
	    (r = make_pipe(in, e)) == 0 && (r = make_out(u, out, e)) == 0 && (r = make_pipe(err, e)) == 0) {
		pipe_widen(in[1], PIPE_BYTES); /* fewer switches */
		spec.argv = argv;
		spec.fd_in = in[0];
		spec.fd_out = out[1];
		spec.fd_err = err[1];
		spec.pass_fd = root;
		r = proc_start(&spec, &u->pid, e);
		if (r < 0)
			u->pid = 0;
	}
	fd_close(in[0]);
	fd_close(out[1]);
	fd_close(err[1]);
	u->in = in[1];
	u->out = out[0];
	u->err = err[0];
	return r < 0 ? err_wrap(e, "unpacking") : 0;
}

static void
close_pipes(struct img_unpack *u)
{
	fd_close(take_fd(u->in));
	fd_close(take_fd(u->out));
	fd_close(take_fd(u->err));
}

static void
kill_child(struct img_unpack *u)
{
	int status;

	if (u->pid == 0)
		return;
	if (kill(-u->pid, SIGKILL) != 0)
		kill(u->pid, SIGKILL);
	if (proc_finish(take(u->pid, 0), "pot-unpack", &status, NULL) < 0)
		status = 0; /* killed: its end says nothing */
}

/* How it ended, as an error. why: its last line that is no note. */
static int
child_error(int r, int status, const char *why, struct err *e)
{
	if (r == 0)
		return 0;
	if (why[0] == '\0' || status > 128)
		return err_wrap(e, "unpacking");
	if (status == UNPACK_ARCHIVE)
		return err_set(e, E_CORRUPT, "unpacking: %s", why);
	if (status == UNPACK_APART)
		return err_set(e, E_STATE, "unpacking: %s", why);
	if (status == UNPACK_LIMIT)
		return err_set(e, E_LIMIT, "unpacking: %s", why);
	if (status != UNPACK_FULL)
		return err_set(e, E_SYS, "unpacking: %s", why);
	err_set(e, E_NOSPC, "unpacking: %s", why);
	return err_hint(e, "pot image prune makes room");
}

static void
last_words(struct buf *b, char out[static 512])
{
	char *rest = b->data, *line;

	out[0] = '\0';
	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0' && strncmp(line, "note: ", 6) != 0)
			text_escape_into(out, 512, line, strlen(line));
}

/* Waits for it; the digest that it found must be the one that the image promised. */
static int
finish_child(struct img_unpack *u, struct err *e)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(4096), err = BUF_INIT(65536);
	char why[512], got[DIGEST_TEXT_LEN], want[DIGEST_TEXT_LEN];
	int status = 0, r, re;
	struct digest found;

	fd_close(take_fd(u->in));
	re = fd_read_all(u->err, &err, NULL);
	r = u->apart ? unpack_notes_read(&u->notes, u->out, &out, NULL) : fd_read_all(u->out, &out, NULL);
	fault_point("image.unpack.read");
	if (re < 0 || (r < 0 && !u->apart)) {
		kill_child(u);
		return err_set(e, E_SYS, "unpacking: reading what pot-unpack says");
	}
	last_words(&err, why);
	re = proc_finish(take(u->pid, 0), "pot-unpack", &status, e);
	if ((re = child_error(re, status, why, e)) < 0)
		return re;
	if (r < 0) /* too much to remember */
		return err_set(e, E_STATE, "unpacking: what pot-unpack says of lower layers");
	snprintf(got, sizeof(got), "%.*s", (int)strcspn(buf_cstr(&out), " \n"), buf_cstr(&out));
	if ((r = digest_parse(got, &found, e)) < 0)
		return r;
	u->rec.size = strtoull(buf_cstr(&out) + strlen(got), NULL, 10);
	if (digest_equal(&found, &u->rec.diff))
		return 0;
	return err_set(e, E_CORRUPT, "the layer's content is %s, and the image's config promises %s", got,
	    digest_print(&u->rec.diff, want));
}

/* ---- the file system --------------------------------------------------------------- */

/* What a killed process left goes. */
static int
clear_fs(struct img_unpack *u, struct err *e)
{
	int r;

	if ((r = stor_recover(u->stor, layer_fs(u), e)) < 0 ||
	    (r = stor_unmount(u->stor, layer_fs(u), e)) < 0 ||
	    (r = stor_destroy(u->stor, layer_fs(u), e)) < 0)
		return r;
	fault_point("image.unpack.cleared");
	return 0;
}

/* A fresh one, mounted. Returns its root. */
static int
make_fs(struct img_unpack *u, struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	int r = clear_fs(u, e);

	if (r < 0)
		return r;
	if (u->apart) {
		r = stor_part(u->stor, layer_fs(u), e);
		fault_point("image.unpack.made");
		return r;
	}
	if (u->rec.has_parent)
		r = stor_clone(u->stor, (struct stor_fs){ STOR_IMAGE, digest_hex(&u->rec.parent, hex) },
		    IMG_LAYER_TAG, layer_fs(u), e);
	else
		r = stor_create(u->stor, layer_fs(u), e);
	fault_point("image.unpack.made");
	return r < 0 ? r : stor_mount(u->stor, layer_fs(u), false, e);
}

static int
publish(struct img_unpack *u, struct err *e)
{
	int r;

	if ((r = stor_unmount(u->stor, layer_fs(u), e)) < 0 ||
	    (r = stor_snapshot(u->stor, layer_fs(u), IMG_LAYER_TAG, e)) < 0)
		return r;
	fault_point("image.unpack.snapshot");
	return layer_record_write(u->store, u->lock.hex, &u->rec, e);
}

static void
unpack_free(struct img_unpack *u)
{
	kill_child(u);
	close_pipes(u);
	layer_unlock(&u->lock);
	unpack_notes_fini(&u->notes);
	free(u);
}

/* Removes what was made; what cannot be removed now is made anew or pruned later. */
static void
undo(struct img_unpack *u)
{
	struct err ignored = ERR_INIT;

	kill_child(u);
	close_pipes(u);
	if (stor_unmount(u->stor, layer_fs(u), &ignored) == 0 &&
	    stor_destroy(u->stor, layer_fs(u), &ignored) < 0)
		return;
}

static int
check_parent(struct img_store *s, const struct digest *parent, struct err *e)
{
	char text[DIGEST_TEXT_LEN];
	int r = img_layer_exists(s, parent, e);

	if (r != 0)
		return r < 0 ? r : 0;
	return err_set(
	    e, E_NOENT, "the layers below this one (%s) are not unpacked", digest_print(parent, text));
}

int
img_unpack_begin(struct img_store *s, struct stor *stor, const struct img_unpack_args *a,
    struct img_unpack **out, struct digest *chain, struct err *e)
{
	struct img_unpack *u = calloc(1, sizeof(*u));
	struct digest own;
	int r, root = -1;

	*out = NULL;
	if (u == NULL)
		return err_nomem(e);
	*u = (struct img_unpack)UNPACK_INIT(s, stor, a->diff);
	u->apart = a->apart;
	r = img_chain_id(a->parent, a->diff, &own, e);
	if (r == 0 && chain != NULL)
		*chain = own;
	if (r == 0)
		r = layer_lock_missing(s, &own, a->cancel, a->no_wait, &u->lock, e);
	if (r == 0 && a->parent != NULL && !a->apart)
		r = check_parent(s, a->parent, e);
	if (r != 0) {
		unpack_free(u);
		return r;
	}
	u->rec.has_parent = a->parent != NULL;
	if (a->parent != NULL)
		u->rec.parent = *a->parent;
	r = root = make_fs(u, e);
	if (r >= 0)
		r = start_child(u, root, a->max_size != 0 ? a->max_size : IMG_UNPACK_MAX, e);
	fd_close(root);
	fault_point("image.unpack.started");
	if (r < 0) {
		undo(u);
		unpack_free(u);
		return r;
	}
	*out = u;
	return 0;
}

int
img_unpack_fd(const struct img_unpack *u)
{
	return u->in;
}

int
img_unpack_end(struct img_unpack **up, bool ok, struct err *e)
{
	struct img_unpack *u = take_ptr(*up);
	struct pollfd p = { u->in, 0, 0 };
	int r = 0;

	/* Has it given up by itself? Then it says why, and that is what went wrong. */
	if (ok || (poll(&p, 1, 0) > 0 && (p.revents & POLLERR) != 0))
		r = finish_child(u, e);
	if (r == 0 && ok)
		r = publish(u, e);
	if (r < 0 || !ok)
		undo(u);
	unpack_free(u);
	return r;
}

int
img_unpack_close(struct img_unpack *u)
{
	fd_close(take_fd(u->in));
	return u->err;
}

/* What failed because of what is below: undone, 1. */
static int
on_top(struct img_unpack **up, int r)
{
	if (r != -E_STATE)
		return r;
	undo(*up);
	unpack_free(take_ptr(*up));
	return 1;
}

int
img_unpack_check(struct img_unpack **up, struct err *e)
{
	return on_top(up, finish_child(*up, e));
}

int
img_unpack_stack(struct img_unpack **up, struct err *e)
{
	struct img_unpack *u = *up;
	char hex[DIGEST_HEX_LEN];
	const struct stor_point below = { { STOR_IMAGE, digest_hex(&u->rec.parent, hex) }, IMG_LAYER_TAG };
	int r = stor_stack(
	    u->stor, layer_fs(u), IMG_LAYER_TAG, u->rec.has_parent ? &below : NULL, &u->notes.changes, e);

	fault_point("image.unpack.stacked");
	if (r < 0)
		return on_top(up, r);
	if ((r = layer_record_write(u->store, u->lock.hex, &u->rec, e)) < 0)
		return r;
	unpack_free(take_ptr(*up));
	return 0;
}

static int
measure(struct img_unpack *u, struct err *e)
{
	struct stor_info info;
	int r = stor_usage(u->stor, layer_fs(u), &info, e);

	/* What is below has a record of its own; a base is a clone, and all of it counts. */
	if (r == 0)
		u->rec.size = u->rec.has_parent ? info.own : info.own + info.shared;
	return r;
}

int
img_layer_adopt(struct img_store *s, struct stor *stor, const struct digest *diff, struct stor_fs src,
    const char *tag, const volatile bool *cancel, struct err *e)
{
	struct img_unpack u = UNPACK_INIT(s, stor, diff);
	int r = layer_lock_missing(s, diff, cancel, false, &u.lock, e);

	if (r != 0)
		return r < 0 ? r : 0;
	if ((r = clear_fs(&u, e)) == 0)
		r = stor_clone(stor, src, tag, layer_fs(&u), e);
	fault_point("image.adopt.cloned");
	if (r == 0)
		r = measure(&u, e);
	if (r == 0)
		r = publish(&u, e);
	if (r < 0)
		undo(&u);
	layer_unlock(&u.lock);
	return r;
}

int
img_layer_take(struct img_store *s, struct stor *stor, const struct digest *parent, const struct digest *diff,
    const char *name, const volatile bool *cancel, struct digest *chain, struct err *e)
{
	struct img_unpack u = UNPACK_INIT(s, stor, diff);
	int r = img_chain_id(parent, diff, chain, e);

	if (parent != NULL) {
		u.rec.has_parent = true;
		u.rec.parent = *parent;
	}
	if (r < 0 || (r = layer_lock_missing(s, chain, cancel, false, &u.lock, e)) != 0)
		return r < 0 ? r : 0;
	if ((r = clear_fs(&u, e)) == 0)
		r = stor_rename(stor, (struct stor_fs){ STOR_IMAGE, name }, u.lock.hex, e);
	fault_point("image.take.renamed");
	if (r == 0 && (r = measure(&u, e)) == 0)
		r = publish(&u, e);
	if (r < 0)
		undo(&u);
	layer_unlock(&u.lock);
	return r;
}

/* ---- from a blob --------------------------------------------------------------------- */

struct feed {
	int from, to;
	img_progress_fn *progress;
	void *arg;
	const volatile bool *cancel;
};

static int
feed_all(const struct feed *f, struct err *e)
{
	AUTO_FREE char *chunk = malloc(CHUNK);
	uint64_t done = 0;

	if (chunk == NULL)
		return err_nomem(e);
	for (;;) {
		ssize_t n = read(f->from, chunk, CHUNK);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(e, "reading a blob") : 0;
		if (f->cancel != NULL && *f->cancel)
			return err_set(e, E_INTR, "interrupted while unpacking");
		if ((r = fd_write_all(f->to, chunk, (size_t)n, "unpacking", e)) < 0)
			return r;
		done += (uint64_t)n;
		if (f->progress != NULL)
			f->progress(f->arg, done);
	}
}

int
img_unpack_blob(struct img_store *s, struct stor *stor, const struct img_unpack_args *a,
    const struct digest *blob, img_progress_fn *progress, void *arg, struct digest *chain, struct err *e)
{
	struct img_unpack *u = NULL;
	struct err why = ERR_INIT;
	int r = img_unpack_begin(s, stor, a, &u, chain, e), re;

	if (r != 0)
		return r < 0 ? r : 0;
	AUTO(fd) int from = img_blob_open(s, blob, NULL, e);
	const struct feed f = { from, u->in, progress, arg, a->cancel };
	r = from < 0 ? from : feed_all(&f, e);
	re = img_unpack_end(&u, r == 0, &why);
	if (re < 0 && r != -E_INTR) {
		*e = why;
		return re;
	}
	return r;
}
