/*
 * Bases: the OS userlands that pots are cloned from. A base is a record
 * (base_record.c) and a file system of the storage with the snapshot
 * ENG_BASE_TAG. Filling the root is populate.c's.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "engine/aptsources.h"
#include "engine/base_record.h"
#include "engine/epot.h"
#include "engine/image.h"
#include "engine/populate.h"

/* ---- making --------------------------------------------------------------- */

static void
cut_suffix(char *s)
{
	static const char *const ends[] = { ".gz", ".xz", ".zst", ".bz2", ".tgz", ".txz", ".tbz", ".tbz2",
		".tar" };

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t n = strlen(s), m = strlen(ends[i]);

		if (n > m && strcmp(s + n - m, ends[i]) == 0)
			s[n - m] = '\0';
	}
}

/* Is this no file, but an image of this node? Then it is held. */
static int
find_image(struct eng *eng, const char *from, struct image_source *image, struct err *e)
{
	struct reference ref;

	if (from == NULL || strcmp(from, "-") == 0 || access(from, F_OK) == 0 ||
	    ref_parse(from, &ref, NULL) < 0)
		return 0;
	int r = image_source_get(eng, from, image, e);
	if (r == -E_NOENT) {
		err_set(e, E_NOENT, "there is neither a file nor an image %s", from);
		return err_hint(e, "pot images lists the images");
	}
	return r < 0 ? r : 1;
}

/* The name of the base: given, or the suite's, or the last part of the file's. */
static int
choose_name(const struct pot_base_args *args, const char *suite, const struct image_source *image,
    char out[static 128], struct err *e)
{
	const char *s = args->name, *slash;

	if (s == NULL && args->from == NULL)
		s = suite;
	if (s == NULL && image->lock >= 0)
		return err_set(e, E_USAGE, "a base from an image needs a name");
	if (s == NULL && strcmp(args->from, "-") != 0) {
		AUTO_FREE char *path = realpath(args->from, NULL);

		if (path == NULL)
			return err_sys(e, "opening %s", args->from);
		slash = strrchr(path, '/');
		snprintf(out, 128, "%s", slash + 1);
		cut_suffix(out);
		s = out;
	}
	if (s == NULL)
		return err_set(e, E_USAGE, "a base from standard input needs a name");
	if (s != out)
		snprintf(out, 128, "%s", s);
	return name_check_base(s, e);
}

/* They become one argument of mmdebstrap. */
static int
check_packages(const struct pot_base_args *args, struct err *e)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789+-.,";

	if (args->include == NULL)
		return 0;
	if (args->from != NULL)
		return err_set(e, E_USAGE, "packages to include are for a release, not for what is unpacked");
	if (args->include[0] == '\0' || strlen(args->include) > 1024 ||
	    args->include[strspn(args->include, allowed)] != '\0')
		return err_set(e, E_USAGE,
		    "'%.80s' is not a list of packages: names of Debian packages, separated by commas",
		    args->include);
	return 0;
}

static int
check_args(const struct pot_base_args *args, const struct image_source *image, char suite[static 64],
    char name[static 128], struct err *e)
{
	int r;

	suite[0] = '\0';
	if (args->release == NULL && args->from == NULL)
		return err_set(e, E_USAGE, "a base needs a release or something to make it from");
	if (args->from == NULL && (r = apt_suite(args->release, suite, e)) < 0)
		return r;
	if (args->from != NULL && args->mirror != NULL)
		return err_set(e, E_USAGE, "a mirror is for a release, not for what is unpacked");
	if ((r = check_packages(args, e)) < 0)
		return r;
	if (args->release != NULL && strlen(args->release) > 63)
		return err_set(e, E_INVAL, "release %s: longer than 63 bytes", args->release);
	return choose_name(args, suite, image, name, e);
}

/* The directory for mmdebstrap's work: below the installation, so that a kill leaves it to be found. */
static int
make_tmp_dir(struct eng *eng, const char *name, struct buf *path, struct err *e)
{
	AUTO_FINI(buf) struct buf last = BUF_INIT(256);
	AUTO(fd) int tmp = -1, dir = -1;
	int r;

	if ((r = base_tmp_name(&last, name, e)) < 0)
		return r;
	/* apt downloads as a user of its own, who must get there. */
	if ((tmp = dir_make(eng->root_fd, "tmp", 0711, e)) < 0)
		return tmp;
	if ((dir = dir_make(tmp, buf_cstr(&last), 0711, e)) < 0)
		return dir;
	buf_fmt(path, "%s/tmp/%s", eng->root, buf_cstr(&last));
	return buf_check(path, "path", e);
}

static int
populate(struct base *b, const struct pot_base_args *args, const char *suite, bool filled, int root_fd,
    struct pot_base_info *info, struct err *e)
{
	AUTO_FINI(buf) struct buf tmp = BUF_INIT(PATH_MAX);
	uint64_t max = args->max_size != 0 ? args->max_size : POPULATE_MAX_SIZE;
	int r = 0;

	if (filled) {
		/* It is a clone of an image. */
	} else if (args->from != NULL) {
		r = populate_from(b->eng, args->from, max, root_fd, e);
	} else if ((r = make_tmp_dir(b->eng, b->name, &tmp, e)) == 0) {
		r = populate_suite(b->eng, suite, args, max, buf_cstr(&tmp), root_fd, e);
		if (r == 0)
			r = base_remove_tmp(b->eng, b->name, e);
	}
	if (r < 0)
		return r;
	fault_point("base.create.populated");
	if ((r = populate_finish(root_fd, args->from == NULL, e)) < 0)
		return r;
	if (args->release != NULL)
		snprintf(
		    info->release, sizeof(info->release), "%s", args->from == NULL ? suite : args->release);
	else
		populate_pretty_name(root_fd, info->release);
	return 0;
}

static void
describe_source(const struct pot_base_args *args, const char *suite, struct pot_base_info *info)
{
	if (args->source != NULL)
		text_escape_into(info->source, sizeof(info->source), args->source, strlen(args->source));
	else if (args->from == NULL)
		snprintf(info->source, sizeof(info->source), "mmdebstrap %s%s%s%s%s", suite,
		    args->mirror != NULL ? " " : "", args->mirror != NULL ? args->mirror : "",
		    args->include != NULL ? " with " : "", args->include != NULL ? args->include : "");
	else
		text_escape_into(info->source, sizeof(info->source), args->from, strlen(args->from));
}

/* Everything up to the commit. On failure the caller removes what there is. */
static int
build(struct base *b, const struct pot_base_args *args, const char *suite, const struct image_source *image,
    struct err *e)
{
	struct stor *s = b->eng->stor;
	struct pot_base_info info = { 0 };
	AUTO(fd) int dir = -1, root = -1;
	int r;

	snprintf(info.name, sizeof(info.name), "%s", b->name);
	describe_source(args, suite, &info);
	if ((dir = dir_make(b->bases_fd, b->name, 0755, e)) < 0)
		return dir;
	if ((r = dir_sync(b->bases_fd, BASES, e)) < 0)
		return r;
	fault_point("base.create.dir");
	if (image->lock >= 0)
		r = stor_clone(
		    s, (struct stor_fs){ STOR_IMAGE, image->ready.fs }, IMG_LAYER_TAG, base_fs(b->name), e);
	else
		r = stor_create(s, base_fs(b->name), e);
	if (r < 0)
		return r;
	fault_point("base.create.storage");
	if ((root = stor_mount(s, base_fs(b->name), false, e)) < 0)
		return root;
	fault_point("base.create.mounted");
	r = populate(b, args, suite, image->lock >= 0, root, &info, e);
	fd_close(take_fd(root));
	if (r < 0)
		return r;
	fault_point("base.create.filled");
	if ((r = stor_unmount(s, base_fs(b->name), e)) < 0 ||
	    (r = stor_snapshot(s, base_fs(b->name), ENG_BASE_TAG, e)) < 0)
		return r;
	fault_point("base.create.snapshot");
	if (eng_cancelled(b->eng))
		return err_set(e, E_INTR, "interrupted");
	info.created_ns = text_now_ns();
	r = base_record_write(dir, &info, e);
	fault_point("base.create.done");
	return r;
}

int
eng_base_create(struct eng *eng, const struct pot_base_args *args, struct err *e)
{
	AUTO_FINI(base) struct base b = BASE_INIT;
	AUTO_FINI(image_source) struct image_source image = IMAGE_SOURCE_INIT;
	char suite[64], name[128];
	struct err undo = ERR_INIT;
	int r;

	if ((r = find_image(eng, args->from, &image, e)) < 0 ||
	    (r = check_args(args, &image, suite, name, e)) < 0 || (r = eng_need_storage(eng, e)) < 0 ||
	    (r = eng_base_recover(eng, e)) < 0 || (r = base_lock(&b, eng, name, e)) < 0)
		return r;
	if ((r = base_record_exists(b.bases_fd, name, e)) < 0)
		return r;
	if (r == 1) {
		err_set(e, E_EXIST, "base %s exists already", name);
		return err_hint(e, "give another name with -b");
	}
	fault_point("base.create.locked");
	if ((r = base_remove(&b, e)) < 0)
		return err_wrap(e, "removing what an earlier try left");
	if ((r = build(&b, args, suite, &image, e)) == 0)
		return 0;
	if (base_remove(&b, &undo) < 0)
		event_warn(
		    &eng->events, "what was made of base %s could not be removed yet: %s", name, undo.msg);
	return err_wrap(e, "base %s", name);
}

int
eng_base_exists(struct eng *eng, const char *name, struct err *e)
{
	AUTO(fd) int bases = dir_open(eng->root_fd, BASES, e);

	if (bases < 0)
		return bases == -E_NOENT ? 0 : bases;
	return base_record_exists(bases, name, e);
}

/* ---- looking ----------------------------------------------------------------- */

struct base_users {
	struct eng *g;
	const char *base;
	struct strv *users;
};

static int
add_user(void *arg, const char *name, struct err *e)
{
	struct base_users *b = arg;
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc = epot_get(&p, b->g, name, EPOT_READ, e);

	if (rc == -E_NOENT)
		return 0;
	if (rc < 0)
		return rc;
	if (strcmp(p.state.rec.base, b->base) == 0)
		strv_add(b->users, name);
	return 0;
}

int
eng_base_users(struct eng *g, const char *base, struct strv *users, struct err *e)
{
	struct base_users b = { g, base, users };
	int rc = epot_each(g, add_user, &b, e);

	return rc < 0 ? rc : strv_check(users, "the list of pots", e);
}

static int
look(struct eng *eng, int bases_fd, const char *name, bool sizes, struct pot_base_info *info, struct err *e)
{
	AUTO_FINI(strv) struct strv users = STRV_INIT(1 << 20);
	struct stor_info usage;
	int r;

	if ((r = base_record_read(bases_fd, name, info, e)) < 0 ||
	    (r = eng_base_users(eng, name, &users, e)) < 0)
		return r;
	info->pots = (unsigned)users.n;
	if (!sizes)
		return 0;
	if ((r = stor_usage(eng->stor, base_fs(name), &usage, e)) < 0)
		return r;
	info->size = usage.own + usage.shared;
	return 0;
}

int
eng_base_list(struct eng *eng, bool sizes, pot_base_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(65536);
	AUTO(fd) int bases = -1;
	struct pot_base_info info;
	int r;

	if ((r = eng_need_node(eng, e)) < 0 || (r = eng_base_recover(eng, e)) < 0 ||
	    (sizes && (r = eng_need_storage(eng, e)) < 0))
		return r;
	if ((bases = dir_open(eng->root_fd, BASES, e)) < 0)
		return bases == -E_NOENT ? 0 : bases;
	if ((r = base_list_names(bases, &names, e)) < 0)
		return r;
	for (size_t i = 0; i < names.n; i++) {
		r = look(eng, bases, names.v[i], sizes, &info, e);
		if (r == -E_NOENT)
			continue; /* being made, or just removed */
		if (r < 0 || (r = fn(arg, &info)) != 0)
			return r;
	}
	return 0;
}

/* ---- removing ---------------------------------------------------------------- */

struct running {
	const struct strv *users;
	struct err *e;
};

/* pot_summary_fn: E_BUSY for the first of the users that is not at rest. */
static int
refuse_running(void *arg, const struct pot_summary *pot)
{
	struct running *run = arg;

	if (pot->state == POT_CREATED || pot->state == POT_STOPPED || pot->state == POT_FAILED)
		return 0;
	for (size_t i = 0; i < run->users->n; i++)
		if (strcmp(run->users->v[i], pot->name) == 0) {
			err_set(run->e, E_BUSY, "pot %s, made from this base, is %s", pot->name,
			    pot_state_name(pot->state));
			return err_hint(run->e, "pot stop %s", pot->name);
		}
	return 0;
}

static int
destroy_users(struct eng *eng, const struct strv *users, struct err *e)
{
	struct running run = { users, e };
	int r;

	if ((r = eng_list(eng, refuse_running, &run, e)) < 0)
		return r;
	for (size_t i = 0; i < users->n; i++)
		if ((r = eng_destroy(eng, users->v[i], false, e)) < 0 && r != -E_NOENT)
			return r;
	return 0;
}

static int
refuse_used(const char *name, const struct strv *users, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(400);

	for (size_t i = 0; i < users->n && b.len < 300; i++)
		buf_fmt(&b, "%s%s", i > 0 ? ", " : "", users->v[i]);
	if (b.len >= 300)
		buf_str(&b, ", ...");
	err_set(e, E_BUSY, "base %s is used by %s", name, buf_cstr(&b));
	return err_hint(e, "destroy them first, or use -r");
}

int
eng_base_destroy(struct eng *eng, const char *name, bool recursive, struct err *e)
{
	AUTO_FINI(strv) struct strv users = STRV_INIT(1 << 20);
	AUTO_FINI(base) struct base b = BASE_INIT;
	int r;

	if ((r = eng_need_storage(eng, e)) < 0 || (r = base_lock(&b, eng, name, e)) < 0)
		return r;
	if ((r = base_record_exists(b.bases_fd, name, e)) < 0)
		return r;
	if (r == 0) {
		/* What a killed command left goes; there was no base all the same. */
		if ((r = base_remove(&b, e)) < 0)
			return r;
		return err_set(e, E_NOENT, "base %s does not exist", name);
	}
	if ((r = eng_base_users(eng, name, &users, e)) < 0)
		return r;
	if (users.n > 0 && (r = recursive ? destroy_users(eng, &users, e) : refuse_used(name, &users, e)) < 0)
		return r;
	fault_point("base.destroy.start");
	return base_remove(&b, e);
}
