/* The fixture of the tests of COPY: see copy_lab.h. */
#include "copy_lab.h"

#include <dirent.h>

#include "base/inroot.h"

struct lab *lab_now;

struct bld_context {
	struct ignore ignore;
};

int
bld_check(const struct bld *b, struct err *e)
{
	(void)b;
	(void)e;
	return 0;
}

/* Any tree is the lab's source directory. */
int
bld_look_begin(struct bld *b, const struct bld_tree *t, struct bld_look **look, int *fd, struct err *e)
{
	(void)b;
	(void)t;
	(void)e;
	*look = NULL;
	*fd = lab_now->src;
	lab_now->looks++;
	return 0;
}

void
bld_look_end(struct bld_look *look)
{
	(void)look;
}

/* Of the fake context above. */
const struct ignore *
bld_context_ignore(const struct bld_context *c)
{
	return &c->ignore;
}

static void
on_event(void *arg, const struct pot_event *ev)
{
	struct lab *l = arg;

	if (ev->kind == POT_EV_WARN)
		snprintf(l->warning, sizeof(l->warning), "%s", ev->text);
}

static int
make(struct lab *l, const char *name)
{
	struct err err = ERR_INIT;
	int fd = dir_make(l->scratch->fd, name, 0755, &err);

	assert_true(fd >= 0);
	return fd;
}

int
lab_setup(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));
	void *scratch = NULL;

	if (l == NULL || scratch_setup(&scratch) < 0)
		return -1;
	l->scratch = scratch;
	umask(077); /* nothing may depend on it */
	l->src = make(l, "src");
	l->dst = make(l, "dst");
	l->build = make(l, "build");
	l->tmp = make(l, "tmp");
	l->eng.events = (struct pot_events){ on_event, l };
	l->bld = (struct bld){ .eng = &l->eng, .dir = l->build, .tmp = l->tmp, .epoch = -1 };
	lab_now = l;
	*state = l;
	return 0;
}

int
lab_teardown(void **state)
{
	struct lab *l = *state;
	void *scratch = l->scratch;
	int rc;

	close(l->src);
	close(l->dst);
	close(l->build);
	close(l->tmp);
	rc = scratch_teardown(&scratch);
	free(l);
	return rc;
}

/* ---- copying -------------------------------------------------------------------- */

struct job {
	struct lab *l;
	struct bld_context *context;
	void (*between)(struct lab *);
	struct digest *only; /* no copy then */
};

static int
run(const struct job *j, const char *text, struct err *e)
{
	AUTO_FINI(potfile) struct potfile pf = POTFILE_INIT;
	AUTO_FINI(bld_copy) struct bld_copy c = BLD_COPY_INIT;
	char whole[8192];
	struct digest d;
	int rc, n = snprintf(whole, sizeof(whole), "FROM scratch\n%s\n", text);

	if ((rc = potfile_parse(&pf, whole, (size_t)n, "test", NULL, e)) < 0 ||
	    (rc = bld_copy_init(&c, &pf.steps[1], e)) < 0)
		return rc;
	c.src = j->l->src;
	c.context = j->context;
	c.workdir = "/work";
	if ((rc = bld_copy_digest(&j->l->bld, &c, j->only != NULL ? j->only : &d, e)) < 0 || j->only != NULL)
		return rc;
	if (j->between != NULL)
		j->between(j->l);
	return bld_copy_apply(&j->l->bld, &c, j->l->dst, e);
}

int
lab_copy(struct lab *l, const char *text, struct err *e)
{
	return run(&(struct job){ .l = l }, text, e);
}

int
lab_copy_changing(struct lab *l, const char *text, void (*between)(struct lab *), struct err *e)
{
	return run(&(struct job){ .l = l, .between = between }, text, e);
}

int
lab_digest(struct lab *l, const char *text, struct digest *d, struct err *e)
{
	return run(&(struct job){ .l = l, .only = d }, text, e);
}

int
lab_copy_ignoring(struct lab *l, const char *text, const char *rules, struct err *e)
{
	struct bld_context c = { IGNORE_INIT };
	int rc = ignore_parse(&c.ignore, rules, strlen(rules), ".potignore", e);

	if (rc == 0)
		rc = run(&(struct job){ .l = l, .context = &c }, text, e);
	ignore_fini(&c.ignore);
	return rc;
}

/* ---- looking ------------------------------------------------------------------------- */

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
list_one(int fd, const char *path, const char *name, struct buf *out)
{
	char text[512] = "";
	struct stat st;
	ssize_t n;
	int in;

	assert_sys(fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW));
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(fd, name, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = '\0';
		buf_fmt(out, "l %s>%s\n", path, text);
	} else if (S_ISREG(st.st_mode)) {
		in = openat(fd, name, O_RDONLY | O_CLOEXEC);
		n = read(in, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = '\0';
		close(in);
		buf_fmt(out, "f %o %s=%s\n", st.st_mode & 07777, path, text);
	} else {
		buf_fmt(out, "%s %o %s\n", S_ISDIR(st.st_mode) ? "d" : "p", st.st_mode & 07777, path);
	}
}

static void
list(int fd, const char *prefix, struct buf *out)
{
	struct dirent **names;
	int n = scandirat(fd, ".", &names, NULL, by_name);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		char path[1024];
		int below;

		if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0) {
			snprintf(path, sizeof(path), "%s%s", prefix, names[i]->d_name);
			list_one(fd, path, names[i]->d_name, out);
			below = openat(fd, names[i]->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			snprintf(path, sizeof(path), "%s%s/", prefix, names[i]->d_name);
			if (below >= 0) {
				list(below, path, out);
				close(below);
			}
		}
		free(names[i]);
	}
	free(names);
}

char *
lab_list(int fd)
{
	struct buf out = BUF_INIT(1 << 20);

	buf_str(&out, "");
	list(fd, "", &out);
	return buf_take(&out);
}

void
lab_file(int dirfd, const char *path, const char *text)
{
	char dir[512];
	struct err err = ERR_INIT;

	snprintf(dir, sizeof(dir), "%s", path);
	if (strrchr(dir, '/') != NULL) {
		*strrchr(dir, '/') = '\0';
		int fd = inroot_mkdirs(dirfd, dir, 0755, &err);
		assert_true(fd >= 0);
		close(fd);
		for (char *s = dir; s != NULL;) {
			assert_sys(fchmodat(dirfd, dir, 0755, 0));
			if ((s = strrchr(dir, '/')) != NULL)
				*s = '\0';
		}
	}
	put(dirfd, path, text);
	assert_sys(fchmodat(dirfd, path, 0644, 0));
}

void
lab_mode(int dirfd, const char *path, mode_t mode)
{
	assert_sys(fchmodat(dirfd, path, mode, 0));
}
