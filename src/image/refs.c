/*
 * References: refs/[HOST/]NAME/:TAG, one record each, replaced by rename. A
 * name cannot clash with a tag: no component of a name begins with ':' or '@'.
 * Directories come and go with what is in them, under refs/.lock. Also the
 * manifests that refer to others (subjects/).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "image/store_impl.h"

#define RECORD_MAX 4096
#define LOCK_MS 60000

static int
lock_refs(struct img_store *s, struct err *e)
{
	return lock_file(s->refs, ".lock", true, LOCK_MS, e);
}

/* The directory of path's last component, made where make; E_NOENT. */
static int
open_dir(struct img_store *s, const char *path, bool make, const char **last, struct err *e)
{
	AUTO(fd) int dir = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char part[256];
	const char *p = path, *slash;

	while (dir >= 0 && (slash = strchr(p, '/')) != NULL) {
		int next;

		if (slash - p >= (ptrdiff_t)sizeof(part))
			return err_set(e, E_LIMIT, "%.80s…: a part of the name is too long", path);
		snprintf(part, sizeof(part), "%.*s", (int)(slash - p), p);
		next = make ? dir_make(dir, part, 0755, e) : dir_open(dir, part, e);
		if (make && next >= 0 && dir_sync(dir, part, e) < 0) {
			fd_close(next);
			next = -E_SYS;
		}
		fd_close(take_fd(dir));
		if (next < 0)
			return next;
		dir = next;
		p = slash + 1;
	}
	*last = p;
	return dir < 0 ? err_sys(e, "images") : take_fd(dir);
}

static int
no_image(const struct reference *ref, struct err *e)
{
	char text[REF_TEXT];

	ref_print(ref, text);
	err_set(e, E_NOENT, "there is no image %s on this node", text);
	if (ref->host[0] != '\0')
		return err_hint(e, "pot pull %s", text);
	return err_hint(e, "pot images lists them");
}

/* By tag where there is one. */
static struct reference
stored_as(const struct reference *ref)
{
	struct reference r = *ref;

	ref_default_tag(&r);
	if (r.tag[0] != '\0')
		r.digest[0] = '\0';
	return r;
}

int
img_ref_set(struct img_store *s, const struct reference *ref, const struct img_ref_record *rec, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(REF_TEXT + 16), text = BUF_INIT(RECORD_MAX);
	AUTO(fd) int lock = -1, dir = -1;
	const struct reference r = stored_as(ref);
	const char *last;
	int rc;

	if ((rc = img_ref_path(&r, &path, e)) < 0 || (rc = img_ref_record_print(rec, &text, e)) < 0)
		return rc;
	if ((lock = lock_refs(s, e)) < 0)
		return lock;
	if ((dir = open_dir(s, buf_cstr(&path), true, &last, e)) < 0)
		return dir;
	fault_point("image.ref.set");
	return file_write_atomic(dir, last, 0644, text.data, text.len, e);
}

/* Reads a record; E_NOENT without a word. */
static int
read_record(int dir, const char *name, struct img_ref_record *rec, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(RECORD_MAX);
	int r = file_read(dir, name, &text, e);

	return r < 0 ? r : img_ref_record_parse(rec, buf_cstr(&text), text.len, name, e);
}

static int
pin_text(struct img_store *s, const char *text, struct err *e)
{
	struct digest d;
	int r = digest_parse(text, &d, e);

	return r < 0 ? r : img_pin(s, &d, e);
}

int
img_ref_get(struct img_store *s, const struct reference *ref, struct img_ref_record *rec, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(REF_TEXT + 16);
	const struct reference r = stored_as(ref);
	const char *last;
	int rc = img_ref_path(&r, &path, e);

	if (rc < 0)
		return rc;
	AUTO(fd) int dir = open_dir(s, buf_cstr(&path), false, &last, e);
	rc = dir < 0 ? dir : read_record(dir, last, rec, e);
	if (rc == -E_NOENT)
		return no_image(&r, e);
	if (rc == 0)
		rc = pin_text(s, rec->manifest, e);
	return rc < 0 ? rc : pin_text(s, rec->digest, e);
}

/* Removes the directories above path that are empty now, but not refs/ itself. */
static void
remove_empty_dirs(struct img_store *s, char *path)
{
	char *slash;

	while ((slash = strrchr(path, '/')) != NULL) {
		*slash = '\0';
		if (strchr(path, '/') == NULL || unlinkat(s->dir, path, AT_REMOVEDIR) != 0)
			break;
	}
}

int
img_ref_remove(struct img_store *s, const struct reference *ref, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(REF_TEXT + 16);
	const struct reference r = stored_as(ref);
	const char *last;
	int rc = img_ref_path(&r, &path, e);

	if (rc < 0)
		return rc;
	AUTO(fd) int lock = lock_refs(s, e);
	if (lock < 0)
		return lock;
	AUTO(fd) int dir = open_dir(s, buf_cstr(&path), false, &last, e);
	if (dir < 0)
		return dir == -E_NOENT ? no_image(&r, e) : dir;
	fault_point("image.ref.remove");
	if (unlinkat(dir, last, 0) != 0)
		return errno == ENOENT ? no_image(&r, e) : err_sys(e, "%s", path.data);
	fault_point("image.ref.removed");
	rc = dir_sync(dir, "refs", e);
	remove_empty_dirs(s, path.data);
	return rc;
}

/* ---- all of them ---------------------------------------------------------------- */

struct lister {
	img_ref_fn *fn;
	void *arg;
};

/* One record: name is what is above it, "example.org/a/b". */
static int
list_one(const struct lister *l, int dir, const char *name, const char *last, struct err *e)
{
	struct img_ref_record rec;
	struct reference ref;
	char text[REF_TEXT];
	int r;

	snprintf(text, sizeof(text), "%s%s", name, last);
	if (ref_parse(text, &ref, NULL) < 0)
		return 0; /* not ours */
	r = read_record(dir, last, &rec, e);
	if (r == -E_NOENT)
		return 0; /* just removed */
	return r < 0 ? err_wrap(e, "image %s", text) : l->fn(l->arg, &ref, &rec, e);
}

static int
list_dir(const struct lister *l, int dir, const char *name, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 20);
	int r = store_names(dir, false, &names, e);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		const char *last = names.v[i];
		char path[REF_TEXT];

		if (last[0] == ':' || last[0] == '@') {
			r = list_one(l, dir, name, last, e);
			continue;
		}
		if (snprintf(path, sizeof(path), "%s%s%s", name, name[0] != '\0' ? "/" : "", last) >=
		    (int)sizeof(path))
			continue;
		AUTO(fd) int sub = dir_open(dir, last, NULL);
		if (sub >= 0)
			r = list_dir(l, sub, path, e);
	}
	return r;
}

int
img_ref_list(struct img_store *s, img_ref_fn *fn, void *arg, struct err *e)
{
	const struct lister l = { fn, arg };

	return list_dir(&l, s->refs, "", e);
}

/* ---- subjects ----------------------------------------------------------------------- */

int
img_subject_add(
    struct img_store *s, const struct digest *subject, const struct digest *manifest, struct err *e)
{
	char dirname[STORE_FILE_LEN], name[STORE_FILE_LEN];

	store_file_name(subject, dirname);
	store_file_name(manifest, name);
	AUTO(fd) int dir = dir_make(s->subjects, dirname, 0755, e);
	if (dir < 0)
		return dir;
	AUTO(fd) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, "subjects/%s", dirname);
	int r = dir_sync(dir, dirname, e);
	return r < 0 ? r : dir_sync(s->subjects, "subjects", e);
}

int
img_subject_list(
    struct img_store *s, const struct digest *subject, img_subject_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 16);
	char dirname[STORE_FILE_LEN];
	int r;

	store_file_name(subject, dirname);
	AUTO(fd) int dir = dir_open(s->subjects, dirname, e);
	if (dir < 0)
		return dir == -E_NOENT ? 0 : dir;
	r = store_names(dir, false, &names, e);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		struct digest d;

		if (store_file_parse(names.v[i], &d))
			r = fn(arg, &d, e);
	}
	return r;
}
