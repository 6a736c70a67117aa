/*
 * Making a classic image of a pot's snapshot: the storage packs it, with a
 * file system beside it that holds the conf/pot.conf which the shell framework
 * expects, and the package is compressed on its way into the file. A thread
 * runs the storage's side of the pipe. What stays of a killed one is a file
 * with a name of its own and a file system that prune removes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lzma.h>

#include "base/fault.h"
#include "base/file.h"
#include "image/classic.h"
#include "image/sending.h"
#include "model/imgrecord.h"

#define CHUNK (256u * 1024)
#define CONF_MAX (1024u * 1024)

/* ---- what the pot was ------------------------------------------------------------------ */

static void
put_command(struct buf *b, const struct kv *settings)
{
	static const char *const keys[] = { IMG_SET_ENTRYPOINT, IMG_SET_CMD };
	const char *word, *sep = "pot.cmd=";

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		for (size_t pos = 0; (word = kv_next(settings, keys[i], &pos)) != NULL; sep = " ")
			buf_fmt(b, "%s%s", sep, word);
	if (sep[0] == ' ')
		buf_str(b, "\n");
}

/* The text of the pot.conf: what an image may say, and a network that every node has. */
static int
print_conf(const struct classic_give *g, struct buf *b, struct err *e)
{
	const char *value;

	buf_fmt(b, "pot.level=0\npot.type=single\npot.dns=inherit\nhost.hostname=\"%s\"\n", g->hostname);
	buf_str(b,
	    "osrelease=\"\"\npot.stack=ipv4\nip4=inherit\nip6=inherit\nvnet=false\nnetwork_type=inherit\n");
	put_command(b, g->settings);
	for (size_t pos = 0; (value = kv_next(g->settings, IMG_SET_ENV, &pos)) != NULL;)
		buf_fmt(b, "pot.env=\"%s\"\n", value);
	for (size_t pos = 0; (value = kv_next(g->settings, IMG_SET_ATTR, &pos)) != NULL;)
		buf_fmt(b, "pot.attr.%s\n", value);
	return buf_check(b, "classic image: pot.conf", e);
}

static int
fill_head(const struct classic_give *g, struct stor_fs head, struct err *e)
{
	AUTO_FINI(buf) struct buf conf = BUF_INIT(CONF_MAX);
	int rc = print_conf(g, &conf, e), end;

	if (rc < 0)
		return rc;
	AUTO(fd) int root = stor_mount(g->stor, head, false, e);
	if (root < 0)
		return root;
	AUTO(fd) int dir = dir_make(root, "conf", 0755, e);
	rc = dir < 0 ? dir : file_write_atomic(dir, "pot.conf", 0644, conf.data, conf.len, e);
	fd_close(take_fd(dir));
	fd_close(take_fd(root));
	end = stor_unmount(g->stor, head, rc == 0 ? e : NULL);
	return rc < 0 ? rc : end;
}

/* ---- the package ------------------------------------------------------------------------ */

struct packer {
	const struct classic_give *g;
	struct stor_fs head;
};

static int
pack(void *arg, int fd, struct err *e)
{
	const struct packer *p = arg;

	const struct stor_packing how = { p->head, p->g->snapshot, p->g->origin != NULL };

	return stor_pack(p->g->stor, p->g->fs, p->g->snapshot, &how, fd, e);
}

static int
press(lzma_stream *z, lzma_action action, uint8_t *out, int to, struct err *e)
{
	for (;;) {
		lzma_ret ret;
		int rc;

		z->next_out = out;
		z->avail_out = CHUNK;
		ret = lzma_code(z, action);
		if (ret != LZMA_OK && ret != LZMA_STREAM_END)
			return ret == LZMA_MEM_ERROR ? err_nomem(e)
						     : err_set(e, E_SYS, "classic image: liblzma failed");
		rc = fd_write_all(to, out, CHUNK - z->avail_out, "classic image", e);
		if (rc < 0 || ret == LZMA_STREAM_END || (action == LZMA_RUN && z->avail_in == 0))
			return rc;
	}
}

static int
press_all(const struct classic_give *g, lzma_stream *z, int from, int to, struct err *e)
{
	AUTO_FREE uint8_t *in = malloc(CHUNK);
	AUTO_FREE uint8_t *out = malloc(CHUNK);

	if (in == NULL || out == NULL)
		return err_nomem(e);
	for (;;) {
		ssize_t n = read(from, in, CHUNK);
		int rc;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "classic image: reading the package");
		if (g->cancel != NULL && *g->cancel)
			return err_set(e, E_INTR, "interrupted");
		z->next_in = in;
		z->avail_in = (size_t)n;
		rc = press(z, n == 0 ? LZMA_FINISH : LZMA_RUN, out, to, e);
		if (rc < 0 || n == 0)
			return rc;
	}
}

static int
compress(const struct classic_give *g, int from, int to, struct err *e)
{
	lzma_stream z = LZMA_STREAM_INIT;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const lzma_mt mt = { .threads = cpus < 1 ? 1
		    : cpus > 8                   ? 8
						 : (uint32_t)cpus,
		.preset = g->level,
		.check = LZMA_CHECK_CRC64 };
	int rc;

	if (lzma_stream_encoder_mt(&z, &mt) != LZMA_OK)
		return err_nomem(e);
	rc = press_all(g, &z, from, to, e);
	lzma_end(&z);
	return rc;
}

/* Packs and compresses at the same time. */
static int
run(const struct classic_give *g, struct stor_fs head, int to, struct err *e)
{
	struct packer p = { g, head };
	struct sending sending;
	int rc, from = sending_begin(&sending, pack, &p, e);

	if (from < 0)
		return from;
	rc = compress(g, from, to, e);
	return sending_end(&sending, rc, e);
}

void
classic_give_fs(const char *pot, char out[static STOR_NAME_MAX + 1])
{
	snprintf(out, STOR_NAME_MAX + 1, "export-%.*s", STOR_NAME_MAX - 8, pot);
}

static int
write_package(const struct classic_give *g, int to, struct err *e)
{
	char name[STOR_NAME_MAX + 1];
	const struct stor_fs head = { STOR_IMAGE, name };
	int rc, end;

	classic_give_fs(g->fs.name, name);
	/* What a killed one left goes. */
	if ((rc = stor_destroy(g->stor, head, e)) < 0 || (rc = stor_create(g->stor, head, e)) < 0)
		return rc;
	fault_point("image.export.head");
	if ((rc = fill_head(g, head, e)) == 0)
		rc = run(g, head, to, e);
	fault_point("image.export.packed");
	end = stor_destroy(g->stor, head, rc == 0 ? e : NULL);
	return rc < 0 ? rc : end;
}

int
classic_give(const struct classic_give *g, int dirfd, const char *stem, struct err *e)
{
	const struct classic_origin nothing = { 0 };
	char temporary[CLASSIC_STEM_LEN + 16], name[CLASSIC_STEM_LEN + 8];
	int rc;

	snprintf(temporary, sizeof(temporary), ".%s.xz.tmp", stem);
	snprintf(name, sizeof(name), "%s.xz", stem);
	if (unlinkat(dirfd, temporary, 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s", temporary);
	AUTO(fd)
	int to = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (to < 0)
		return err_sys(e, "%s", temporary);
	rc = write_package(g, to, e);
	if (rc == 0 && fsync(to) < 0)
		rc = err_sys(e, "%s", temporary);
	fault_point("image.export.written");
	if (rc == 0)
		rc = classic_retract(dirfd, stem, e);
	fault_point("image.export.retracted");
	if (rc == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
		rc = err_sys(e, "%s", name);
	if (rc < 0) {
		unlinkat(dirfd, temporary, 0);
		return rc;
	}
	fault_point("image.export.named");
	return classic_complete(dirfd, stem, g->origin != NULL ? g->origin : &nothing, g->key, e);
}
