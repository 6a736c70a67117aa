/*
 * The harness (suite.h): reading and writing through mounts, describing an
 * installation, children, and main(). What a mechanism must do stands in the
 * case files, not here.
 *
 *   storage-conformance MECHANISM DIR [ZFS_ROOT] [--small DIR [--small-zfs DATASET]] [--only NAME] [--old-kernel]
 *
 * --old-kernel makes fsopen(2) fail as on a kernel without it.
 * DIR is made and removed by the suite. The exit status is 0 when no case failed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/proc.h"
#include "os.h"
#include "suite.h"

static const enum stor_kind kinds[] = { STOR_BASE, STOR_POT, STOR_IMAGE };

bool
suite_fail(struct suite *t, const char *file, int line, const char *what)
{
	printf("# %s:%d: not so: %s\n", file, line, what);
	if (t->e.code != E_OK)
		printf("#   last error: %s%s%s\n", t->e.msg, t->e.hint[0] ? " -- " : "", t->e.hint);
	return false;
}

bool
suite_copies(const struct suite *t)
{
	return strcmp(t->par.mechanism, "copy") == 0;
}

struct stor *
suite_open(struct suite *t)
{
	struct stor *s = NULL;

	return stor_open(&s, t->dir, &t->par, &t->e) < 0 ? NULL : s;
}

bool
fd_put(int rootfd, const char *path, const char *text)
{
	AUTO(fd) int fd = openat(rootfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

bool
fd_has(int rootfd, const char *path, const char *text)
{
	char got[256];

	AUTO(fd) int fd = openat(rootfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return text == NULL && errno == ENOENT;
	ssize_t n = read(fd, got, sizeof(got));
	return text != NULL && n == (ssize_t)strlen(text) && memcmp(got, text, n) == 0;
}

int
fd_fill(int rootfd, const char *path, size_t n)
{
	char chunk[65536];

	AUTO(fd) int fd = openat(rootfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno;
	for (size_t k; n > 0; n -= k) {
		for (size_t i = 0; i < sizeof(chunk); i += 256)
			if (getrandom(chunk + i, 256, 0) != 256)
				return EIO;
		k = n < sizeof(chunk) ? n : sizeof(chunk);
		ssize_t done = write(fd, chunk, k);
		if (done <= 0)
			return done < 0 ? errno : EIO;
		k = done;
	}
	return fsync(fd) < 0 ? errno : 0;
}

bool
suite_put(struct suite *t, struct stor_fs fs, const char *path, const char *text)
{
	int fd = stor_mount(t->s, fs, false, &t->e);

	OK(fd >= 0);
	bool done = fd_put(fd, path, text);
	close(fd);
	DO(stor_unmount(t->s, fs, &t->e));
	OK(done);
	return true;
}

bool
suite_has(struct suite *t, struct stor_fs fs, const char *path, const char *text)
{
	int fd = stor_mount(t->s, fs, true, &t->e);

	OK(fd >= 0);
	bool has = fd_has(fd, path, text);
	close(fd);
	DO(stor_unmount(t->s, fs, &t->e));
	return has;
}

static int
add_tag(void *arg, const struct stor_snap *snap)
{
	struct buf *b = arg;

	buf_fmt(b, "%s%s", b->len > 0 ? " " : "", snap->tag);
	return 0;
}

bool
suite_tags(struct suite *t, struct stor_fs fs, struct buf *b)
{
	buf_reset(b);
	DO(stor_snap_list(t->s, fs, add_tag, b, &t->e));
	return true;
}

bool
suite_tags_are(struct suite *t, struct stor_fs fs, const char *tags)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(65536);

	if (!suite_tags(t, fs, &b))
		return false;
	if (strcmp(buf_cstr(&b), tags) != 0)
		printf("#   tags of %s: \"%s\", expected \"%s\"\n", fs.name, buf_cstr(&b), tags);
	return strcmp(buf_cstr(&b), tags) == 0;
}

static int
add_name(void *arg, const struct stor_info *info)
{
	strv_add(arg, info->name);
	return 0;
}

static bool
describe_fs(struct suite *t, struct stor_fs fs, struct buf *out)
{
	char text[64] = "-";
	AUTO_FINI(buf) struct buf tags = BUF_INIT(65536);

	if (!suite_tags(t, fs, &tags))
		return false;
	int root = stor_mount(t->s, fs, true, &t->e);
	OK(root >= 0);
	int fd = openat(root, "f", O_RDONLY | O_CLOEXEC);
	close(root);
	if (fd >= 0) {
		ssize_t n = read(fd, text, sizeof(text) - 1);
		text[n < 0 ? 0 : n] = '\0';
		close(fd);
	}
	DO(stor_unmount(t->s, fs, &t->e));
	buf_fmt(out, "%d/%s f=%s tags=%s\n", (int)fs.kind, fs.name, text, buf_cstr(&tags));
	return true;
}

bool
suite_describe(struct suite *t, struct buf *out)
{
	buf_reset(out);
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		AUTO_FINI(strv) struct strv names = STRV_INIT(10000);
		DO(stor_list(t->s, kinds[k], false, add_name, &names, &t->e));
		strv_sort(&names);
		for (size_t i = 0; i < names.n; i++)
			if (!describe_fs(t, (struct stor_fs){ kinds[k], names.v[i] }, out))
				return false;
	}
	return true;
}

bool
suite_empty(struct suite *t)
{
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		AUTO_FINI(strv) struct strv names = STRV_INIT(10000);
		DO(stor_list(t->s, kinds[k], false, add_name, &names, &t->e));
		for (size_t i = 0; i < names.n; i++)
			DO(stor_destroy(t->s, (struct stor_fs){ kinds[k], names.v[i] }, &t->e));
	}
	return true;
}

bool
suite_traces(struct suite *t, struct buf *out)
{
	char *top[] = { (char *)t->dir, NULL };
	AUTO_FINI(strv) struct strv paths = STRV_INIT(1000000);

	buf_reset(out);
	FTS *walk = fts_open(top, FTS_PHYSICAL | FTS_NOSTAT, NULL);
	OK(walk != NULL);
	for (FTSENT *f; (f = fts_read(walk)) != NULL;)
		if (f->fts_info != FTS_DP)
			strv_add(&paths, f->fts_path);
	fts_close(walk);
	strv_sort(&paths);
	for (size_t i = 0; i < paths.n; i++)
		buf_fmt(out, "%s\n", paths.v[i]);
	OK(!paths.failed);
	if (t->par.zfs_root != NULL) {
		const char *argv[] = { "zfs", "list", "-H", "-o", "name", "-t", "all", "-r", t->par.zfs_root,
			NULL };
		struct proc_spec spec = PROC_SPEC_INIT;
		AUTO_FINI(buf) struct buf names = BUF_INIT(1 << 20);
		spec.argv = argv;
		spec.out = &names;
		DO(proc_run(&spec, NULL, &t->e));
		buf_str(out, buf_cstr(&names));
	}
	OK(!out->failed);
	return true;
}

int
suite_child(struct suite *t, int (*fn)(struct suite *), const char *fault, const char *log)
{
	int status = 0;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		struct suite own = *t;
		if (fault != NULL)
			setenv("POT_FAULT", fault, 1);
		if (log != NULL)
			setenv("POT_FAULT_LOG", log, 1);
		own.s = suite_open(&own);
		int rc = own.s != NULL ? fn(&own) : 255;
		fflush(stdout);
		_exit(rc);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return pid < 0 ? -1 : status;
}

/* Reports the first line that only one of two listings has. */
static void
print_difference(const char *was, const char *is)
{
	while (*was != '\0' || *is != '\0') {
		size_t a = strcspn(was, "\n"), b = strcspn(is, "\n");
		if (a != b || memcmp(was, is, a) != 0) {
			printf("# first difference: was \"%.*s\", is \"%.*s\"\n", (int)a, was, (int)b, is);
			return;
		}
		was += a + (was[a] != '\0');
		is += b + (is[b] != '\0');
	}
}

static bool
run_on_fresh(struct suite *t, const struct suite_case *c)
{
	AUTO_FINI(buf) struct buf was = BUF_INIT(1 << 22);
	AUTO_FINI(buf) struct buf is = BUF_INIT(1 << 22);

	DO(stor_init(&t->s, t->dir, &t->par, &t->e));
	bool good = suite_traces(t, &was) && c->run(t);
	if (good && t->skip[0] == '\0') {
		good = suite_traces(t, &is);
		if (good && strcmp(buf_cstr(&was), buf_cstr(&is)) != 0) {
			printf("# something was left behind\n");
			print_difference(buf_cstr(&was), buf_cstr(&is));
			good = false;
		}
	}
	int rc = stor_fini(t->s, &t->e);
	stor_close(take_ptr(t->s));
	OK(!good || rc == 0);
	return good;
}

static int
run_cases(struct suite *t, const struct suite_case *cases, const char *only, int count[3])
{
	for (const struct suite_case *c = cases; c->name != NULL; c++) {
		if (only != NULL && strstr(c->name, only) == NULL)
			continue;
		memset(&t->e, 0, sizeof(t->e));
		t->skip[0] = '\0';
		bool good = run_on_fresh(t, c);
		int number = count[0] + count[1] + count[2] + 1;
		bool skipped = good && t->skip[0] != '\0';
		count[skipped ? 2 : good ? 0 : 1]++;
		printf("%s %d - %s: %s%s%s\n", good ? "ok" : "not ok", number, t->par.mechanism, c->name,
		    skipped ? " # SKIP " : "", skipped ? t->skip : "");
		fflush(stdout);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct suite t = { 0 };
	const char *only = NULL;
	int count[3] = { 0, 0, 0 };

	if (argc < 3) {
		fprintf(stderr,
		    "usage: %s MECHANISM DIR [ZFS_ROOT] [--small DIR] [--small-zfs DATASET] [--only NAME]\n",
		    argv[0]);
		return 2;
	}
	t.par.mechanism = argv[1];
	t.dir = argv[2];
	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], "--small") == 0 && i + 1 < argc)
			t.small = argv[++i];
		else if (strcmp(argv[i], "--small-zfs") == 0 && i + 1 < argc)
			t.small_zfs = argv[++i];
		else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
			only = argv[++i];
		else if (strcmp(argv[i], "--old-kernel") == 0) {
			if (!os_be_old_kernel()) {
				perror("seccomp");
				return 1;
			}
		} else
			t.par.zfs_root = argv[i];
	}
	const struct suite_case *const all[] = { suite_basic, suite_content, suite_crash, suite_space,
		suite_stream };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		run_cases(&t, all[i], only, count);
	for (const struct suite_case *const *own = suite_os; *own != NULL; own++)
		run_cases(&t, *own, only, count);
	printf("1..%d\n", count[0] + count[1] + count[2]);
	printf("# %s: %d passed, %d failed, %d skipped\n", t.par.mechanism, count[0], count[1], count[2]);
	return count[1] > 0 || count[0] == 0;
}
