/*
 * What stands in the directory of a file system of the overlay mechanism: its
 * state file and the marker of a pending operation. Reading and writing only;
 * what the states mean to operations is in overlay.c.
 *
 * state, as kv.h:   format=1  id=ID  created=NS  generation=N
 *                   layer=ID       once per layer, bottom first
 *                   snap=DEPTH NS TAG   once per snapshot, oldest first
 * Snapshots are depths because history is a line: a rollback cuts layers and
 * later snapshots together, so each snapshot is the lower part of the layers.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/kv.h"
#include "base/text.h"
#include "storage/linux/overlay.h"

#define HEX "0123456789abcdef"

void
ovl_fs_fini(struct ovl_fs *f)
{
	fd_close(take_fd(f->dir));
	strv_fini(&f->layers);
	free(take_ptr(f->snaps));
	f->nsnaps = 0;
}

void
ovl_entry(struct stor_fs fs, char out[static OVL_ENTRY_LEN])
{
	static const char *const kinds[] = { "base", "pot", "image" };

	snprintf(out, OVL_ENTRY_LEN, "%s.%s", kinds[fs.kind], fs.name);
}

void
ovl_new_id(char out[static OVL_ID_LEN + 1])
{
	unsigned char raw[OVL_ID_LEN / 2];

	/* At most 256 bytes from a seeded pool: never short, never interrupted (getrandom(2)). */
	while (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		continue;
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

static bool
is_id(const char *s)
{
	return s != NULL && strlen(s) == OVL_ID_LEN && strspn(s, HEX) == OVL_ID_LEN;
}

const char *
ovl_fs_top(const struct ovl_fs *f)
{
	return f->layers.n > 0 ? f->layers.v[f->layers.n - 1] : NULL;
}

struct ovl_snap *
ovl_snap_find(const struct ovl_fs *f, const char *tag)
{
	for (size_t i = 0; i < f->nsnaps; i++)
		if (strcmp(f->snaps[i].tag, tag) == 0)
			return &f->snaps[i];
	return NULL;
}

static struct ovl_snap *
snap_grow(struct ovl_fs *f, struct err *e)
{
	struct ovl_snap *grown = reallocarray(f->snaps, f->nsnaps + 1, sizeof(*grown));

	if (grown == NULL) {
		err_nomem(e);
		return NULL;
	}
	f->snaps = grown;
	memset(&grown[f->nsnaps], 0, sizeof(*grown));
	return &grown[f->nsnaps++];
}

int
ovl_snap_add(struct ovl_fs *f, const char *tag, struct err *e)
{
	struct ovl_snap *snap = snap_grow(f, e);

	if (snap == NULL)
		return -E_NOMEM;
	snprintf(snap->tag, sizeof(snap->tag), "%s", tag);
	snap->depth = f->layers.n;
	snap->created = text_now_ns();
	return 0;
}

static int
damaged(const struct ovl_fs *f, const char *what, struct err *e)
{
	return err_set(e, E_CORRUPT, "%s/state: %s is missing or wrong", f->entry, what);
}

static int
parse_snap(struct ovl_fs *f, const char *line, struct err *e)
{
	int used = 0;
	struct ovl_snap *snap = snap_grow(f, e);

	if (snap == NULL)
		return -E_NOMEM;
	if (sscanf(line, "%zu %" SCNd64 " %n", &snap->depth, &snap->created, &used) < 2 || used == 0)
		return damaged(f, "a snapshot", e);
	const char *tag = line + used;
	if (tag[0] == '\0' || strlen(tag) > STOR_NAME_MAX || snap->depth < 1 || snap->depth > f->layers.n)
		return damaged(f, "a snapshot", e);
	snprintf(snap->tag, sizeof(snap->tag), "%s", tag);
	return 0;
}

static int
parse_numbers(struct ovl_fs *f, const struct kv *kv, struct err *e)
{
	uint64_t format, created;
	const char *word[] = { kv_get(kv, "format"), kv_get(kv, "created"), kv_get(kv, "generation") };

	for (size_t i = 0; i < ARRAY_LEN(word); i++)
		if (word[i] == NULL)
			return damaged(f, "a number", e);
	int rc = text_uint(word[0], 1, UINT64_MAX, &format, "format", e);
	if (rc == 0 && format != 1)
		rc = err_set(e, E_NOTSUP, "%s/state: format %" PRIu64 " is of a newer pot", f->entry, format);
	if (rc == 0)
		rc = text_uint(word[1], 0, INT64_MAX, &created, "created", e);
	if (rc == 0)
		rc = text_uint(word[2], 1, UINT64_MAX, &f->generation, "generation", e);
	if (rc == 0)
		f->created = (int64_t)created;
	return rc;
}

static int
parse_state(struct ovl_fs *f, const struct buf *text, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	size_t pos = 0;
	const char *value;

	int rc = kv_parse(&kv, text->data, text->len, f->entry, e);
	if (rc == 0)
		rc = parse_numbers(f, &kv, e);
	if (rc < 0)
		return rc;
	value = kv_get(&kv, "id");
	if (!is_id(value))
		return damaged(f, "the id", e);
	memcpy(f->id, value, sizeof(f->id));
	for (pos = 0; (value = kv_next(&kv, "layer", &pos)) != NULL;) {
		if (!is_id(value))
			return damaged(f, "a layer", e);
		strv_add(&f->layers, value);
	}
	rc = strv_check(&f->layers, f->entry, e);
	for (pos = 0; rc == 0 && (value = kv_next(&kv, "snap", &pos)) != NULL;)
		rc = parse_snap(f, value, e);
	return rc;
}

int
ovl_fs_load(struct ovl_fs *f, int at, struct stor_fs fs, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(KV_FILE_MAX);

	ovl_entry(fs, f->entry);
	f->dir = openat(at, f->entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f->dir < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", f->entry);
	if (faccessat(f->dir, "state", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	int rc = file_read(f->dir, "state", &text, e);
	if (rc < 0 || text.len == 0)
		return rc;
	rc = parse_state(f, &text, e);
	return rc < 0 ? rc : 1;
}

static int
print_state(const struct ovl_fs *f, struct buf *text, struct err *e)
{
	buf_fmt(text, "format=1\nid=%s\ncreated=%" PRId64 "\ngeneration=%" PRIu64 "\n", f->id, f->created,
	    f->generation);
	for (size_t i = 0; i < f->layers.n; i++)
		buf_fmt(text, "layer=%s\n", f->layers.v[i]);
	for (size_t i = 0; i < f->nsnaps; i++)
		buf_fmt(text, "snap=%zu %" PRId64 " %s\n", f->snaps[i].depth, f->snaps[i].created,
		    f->snaps[i].tag);
	return buf_check(text, f->entry, e);
}

int
ovl_fs_commit(struct ovl_fs *f, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(KV_FILE_MAX);

	f->generation++;
	int rc = print_state(f, &text, e);
	fault_point("overlay.commit.before");
	if (rc == 0)
		rc = file_write_atomic(f->dir, "state", 0600, text.data, text.len, e);
	fault_point("overlay.commit.after");
	return rc;
}

/*
 * Written in place: until now the file did not exist, and empty means that it
 * does not. With one journal the one fsync of a file written last takes
 * everything before it along; elsewhere each directory is asked for.
 */
int
ovl_fs_commit_first(const struct ovl *o, struct ovl_fs *f, bool durable, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(KV_FILE_MAX);

	f->generation = 1;
	f->created = text_now_ns();
	int rc = print_state(f, &text, e);
	if (rc == 0 && durable && !o->ordered)
		rc = dir_sync(f->dir, f->entry, e);
	if (rc == 0 && durable && !o->ordered)
		rc = dir_sync(o->fs, "fs", e);
	if (rc < 0)
		return rc;
	AUTO(fd) int fd = openat(f->dir, "state", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "%s/state", f->entry);
	fault_point("overlay.make.state-empty");
	rc = fd_write_all(fd, text.data, text.len, f->entry, e);
	if (rc == 0 && durable && fsync(fd) < 0)
		rc = err_sys(e, "%s/state: fsync", f->entry);
	if (rc == 0 && durable && !o->ordered)
		rc = dir_sync(f->dir, f->entry, e);
	return rc;
}

int
ovl_pending_set(const struct ovl_fs *f, const char *op, const char *a, const char *b, struct err *e)
{
	char text[64];

	/* A symlink: its text is there or not, never half, without an fsync of its own. */
	snprintf(text, sizeof(text), "%s %s %s", op, a, b);
	if (symlinkat(text, f->dir, "pending") < 0)
		return err_sys(e, "%s/pending", f->entry);
	return 0;
}

int
ovl_pending_get(const struct ovl_fs *f, struct ovl_pending *p, struct err *e)
{
	char text[64];

	ssize_t n = readlinkat(f->dir, "pending", text, sizeof(text) - 1);
	if (n < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s/pending", f->entry);
	text[n] = '\0';
	if (sscanf(text, "%15s %23s %23s", p->op, p->a, p->b) != 3)
		return err_set(e, E_CORRUPT, "%s/pending: not understood", f->entry);
	return 1;
}

int
ovl_pending_clear(const struct ovl_fs *f, struct err *e)
{
	if (unlinkat(f->dir, "pending", 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s/pending", f->entry);
	return 0;
}
