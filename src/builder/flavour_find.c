/*
 * Finding flavours and reading their files. Directories of the host belong to
 * whoever may run pot; a build context is anybody's and is only reached below
 * its directory.
 */
#include "builder/flavour_find.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/host.h"
#include "base/inroot.h"
#include "base/text.h"

#define PLACES_MAX 64
#define NAMES_MAX 4096

static const char flavours_dir[] = "flavours";

/* ---- places -------------------------------------------------------------------------- */

static void
add_place(struct strv *places, const char *dir, const char *below)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s%s%s", dir, *below != '\0' ? "/" : "", below) >= PATH_MAX)
		return;
	for (size_t i = 0; i < places->n; i++)
		if (strcmp(places->v[i], path) == 0)
			return;
	strv_add(places, path);
}

static void
add_beside(struct strv *places, const char *file)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(file, '/');

	snprintf(dir, sizeof(dir), "%.*s", (int)(slash == NULL ? 0 : slash - file), file);
	add_place(places, dir, flavours_dir);
}

static void
add_users(struct strv *places)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (config != NULL && config[0] == '/')
		add_place(places, config, "pot/flavours");
	else if (home != NULL && home[0] == '/')
		add_place(places, home, ".config/pot/flavours");
}

int
flavour_places(const struct eng *g, const char *const *given, struct strv *places, struct err *e)
{
	char path[PATH_MAX], self[PATH_MAX];

	for (; given != NULL && *given != NULL; given++) {
		if (realpath(*given, path) == NULL)
			return err_sys(e, "cannot look for flavours in %s", *given);
		add_place(places, path, "");
	}
	add_users(places);
	if (realpath(g->conf_path, path) == NULL)
		snprintf(path, sizeof(path), "%s", g->conf_path);
	if (path[0] == '/')
		add_beside(places, path);
	add_beside(places, host_default_config());
	if (host_self_path(self, sizeof(self), NULL) == 0)
		add_beside(places, self);
	add_place(places, host_datadir(), flavours_dir);
	return strv_check(places, "places of flavours", e);
}

/* ---- one ------------------------------------------------------------------------------- */

void
flavour_fini(struct flavour *f)
{
	free(f->name);
	free(f->where);
	fd_close(f->dir);
	buf_fini(&f->commands.text);
	buf_fini(&f->script.text);
	buf_fini(&f->meta.text);
	flavour_meta_fini(&f->about);
	flavour_commands_fini(&f->lines);
	strv_fini(&f->args);
	*f = (struct flavour)FLAVOUR_INIT;
}

void
flavour_path(const struct flavour *f, const char *suffix, char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%s%s", f->where, f->name, suffix);
}

/* A file that is not there, or is something else (a directory of the same name), is none. */
static int
read_host(int dir, const char *name, struct flavour_file *file, struct err *e)
{
	AUTO(fd) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "cannot read it");
	if (!S_ISREG(st.st_mode))
		return 0;
	file->there = true;
	return fd_read_all(fd, &file->text, e);
}

static int
read_context(int dir, const char *name, struct flavour_file *file, struct err *e)
{
	AUTO(fd) int fd = inroot_open(dir, name, O_PATH, 0, NULL);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	file->there = true;
	return inroot_read(dir, name, &file->text, e);
}

static int
read_one(struct flavour *f, const char *suffix, struct flavour_file *file, struct err *e)
{
	AUTO_FINI(buf) struct buf name = BUF_INIT(PATH_MAX);
	int rc;

	buf_fmt(&name, "%s%s", f->name, suffix);
	if ((rc = buf_check(&name, "the name", e)) < 0)
		return rc;
	rc = f->context ? read_context(f->dir, name.data, file, e) : read_host(f->dir, name.data, file, e);
	return rc < 0 ? err_wrap(e, "%s/%s", f->where, name.data) : 0;
}

/* Its files from f->dir. 1: there is such a flavour; 0: not here. */
static int
read_files(struct flavour *f, bool script_only, struct err *e)
{
	char path[PATH_MAX];
	int rc = script_only ? 0 : read_one(f, "", &f->commands, e);

	if (rc == 0)
		rc = read_one(f, ".sh", &f->script, e);
	if (rc == 0)
		rc = read_one(f, ".meta", &f->meta, e);
	if (rc < 0)
		return rc;
	if (!f->commands.there && !f->script.there && !f->meta.there)
		return 0;
	flavour_path(f, ".meta", path);
	if (f->meta.there)
		rc = flavour_meta_parse(&f->about, buf_cstr(&f->meta.text), f->meta.text.len, path, e);
	else
		rc = flavour_meta_parse(&f->about, "title=-\n", 8, path, e);
	if (rc < 0)
		return rc;
	/* A description alone is none, unless it names others. */
	return f->commands.there || f->script.there || f->about.nneeds > 0;
}

static int
open_at(struct flavour *f, int dir, const char *where, bool context, bool script_only, struct err *e)
{
	f->where = strdup(where);
	f->dir = dir;
	f->context = context;
	return f->where == NULL ? err_nomem(e) : read_files(f, script_only, e);
}

/* Forgets the place that did not have it; the name stays. */
static void
close_at(struct flavour *f)
{
	char *name = take_ptr(f->name);

	flavour_fini(f);
	f->name = name;
}

static int
look_in_context(struct flavour *f, int context, const char *dirname, bool script_only, struct err *e)
{
	int dir = inroot_open(context, dirname, O_RDONLY | O_DIRECTORY, 0, NULL), rc;

	if (dir < 0)
		return 0;
	rc = open_at(f, dir, "the build context", true, script_only, e);
	if (rc == 0)
		close_at(f);
	return rc;
}

static int
look_on_host(struct flavour *f, const char *dirname, bool place, bool script_only, struct err *e)
{
	char real[PATH_MAX];
	int dir = open(dirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	/* A place that is nobody's of ours (another user's home) has nothing for us. */
	if (dir < 0 && (errno == ENOENT || errno == ENOTDIR || (place && errno == EACCES)))
		return 0;
	if (dir < 0)
		return err_sys(e, "cannot look into %s", dirname);
	rc = open_at(f, dir, realpath(dirname, real) != NULL ? real : dirname, false, script_only, e);
	if (rc == 0)
		close_at(f);
	return rc;
}

/* ---- none ---------------------------------------------------------------------------------- */

/* The flavour that a file belongs to: without its suffix; NULL: to none. */
static char *
flavour_of(const char *file)
{
	size_t len = strlen(file);

	if (file[0] == '.' || len > 200 || strchr(file, '~') != NULL)
		return NULL;
	if (len > 3 && strcmp(file + len - 3, ".sh") == 0)
		len -= 3;
	else if (len > 5 && strcmp(file + len - 5, ".meta") == 0)
		len -= 5;
	else if (strchr(file, '.') != NULL)
		return NULL;
	return buf_dup(file, len);
}

static int
names_in(const char *place, struct strv *names, struct err *e)
{
	AUTO(dir) DIR *dir = opendir(place);
	struct dirent *d;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		struct stat st;
		AUTO_FREE char *name = flavour_of(d->d_name);

		if (name != NULL && fstatat(dirfd(dir), d->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			strv_add(names, name);
	}
	return strv_check(names, "flavours", e);
}

int
flavour_names(const struct strv *places, struct strv *names, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < places->n && rc == 0; i++)
		rc = names_in(places->v[i], names, e);
	strv_sort(names);
	for (size_t i = 1; i < names->n;) {
		if (strcmp(names->v[i - 1], names->v[i]) == 0)
			strv_remove(names, i);
		else
			i++;
	}
	return rc;
}

static int
not_found(const struct strv *places, const char *name, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(NAMES_MAX);
	const char *near = NULL;
	struct stat st;
	char script[PATH_MAX];

	err_set(e, E_NOENT, "there is no flavour '%.200s'", name);
	if (strchr(name, '/') != NULL)
		return -E_NOENT;
	snprintf(script, sizeof(script), "%s.sh", name);
	if (flavour_names(places, &names, NULL) == 0)
		near = text_nearest(name, (const char *const *)names.v, names.n);
	/* The classic framework looked there, too; what lies about in a directory is not run as it comes. */
	if ((stat(name, &st) == 0 && S_ISREG(st.st_mode)) || (stat(script, &st) == 0 && S_ISREG(st.st_mode)))
		return err_hint(e, "the one in this directory is ./%.100s", name);
	if (near != NULL)
		return err_hint(e, "did you mean %s? pot flavours ls", near);
	return err_hint(e, "pot flavours ls; -f ./NAME is a file; --flavour-dir adds a place");
}

int
flavour_open(const struct strv *places, int context, const char *name, struct flavour *f, struct err *e)
{
	const char *slash = strrchr(name, '/'), *last = slash != NULL ? slash + 1 : name;
	AUTO_FREE char *dirname = slash == NULL ? NULL
	    : slash == name                     ? strdup("/")
						: buf_dup(name, (size_t)(slash - name));
	size_t len = strlen(last);
	bool script_only = len > 3 && strcmp(last + len - 3, ".sh") == 0;
	int rc = 0;

	f->name = buf_dup(last, script_only ? len - 3 : len);
	if (f->name == NULL || (slash != NULL && dirname == NULL))
		return err_nomem(e);
	if (len == 0 || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return err_set(e, E_INVAL, "'%.200s' names no flavour", name);
	if (context >= 0 && slash == NULL)
		rc = look_in_context(f, context, flavours_dir, script_only, e);
	if (rc == 0 && context >= 0)
		rc = look_in_context(f, context, slash != NULL ? dirname : ".", script_only, e);
	if (rc == 0 && context < 0 && slash != NULL)
		rc = look_on_host(f, dirname, false, script_only, e);
	for (size_t i = 0; i < places->n && rc == 0 && slash == NULL; i++)
		rc = look_on_host(f, places->v[i], true, script_only, e);
	return rc < 0 ? rc : rc == 0 ? not_found(places, name, e) : 0;
}

int
flavour_arm(struct flavour *f, const struct flavour_ref *r, struct err *e)
{
	char path[PATH_MAX];
	int rc;

	strv_clear(&f->args);
	flavour_commands_fini(&f->lines);
	if ((rc = flavour_arguments(&f->about, r, &f->args, e)) < 0)
		return rc;
	flavour_path(f, "", path);
	return flavour_commands_parse(
	    &f->lines, buf_cstr(&f->commands.text), f->commands.text.len, &f->args, path, e);
}
