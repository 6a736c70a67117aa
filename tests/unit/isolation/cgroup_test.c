/* Proves: groups are found in every layout of hierarchies and made, listed and removed by the rules. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "isolation/linux/cgroup.h"

#define V2_ONLY "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1                                                                            \
	"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"                  \
	"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" \
	"37 31 0:34 / /sys/fs/cgroup/my\\040freezer rw - cgroup cgroup rw,freezer\n"
#define UNIFIED "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
#define OTHER                                                                                          \
	"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n50 22 0:50 / /mnt/cgroup2 rw - tmpfs cgroup2 " \
	"rw,freezer\n"

static struct cg_trees t;
static char dir[64];

static void
layouts(void **state)
{
	cg_parse(OTHER V2_ONLY, "0::/user.slice/a\n", &t);
	assert_string_equal(t.tree[CG_V2].mount, "/sys/fs/cgroup");
	assert_string_equal(t.tree[CG_V2].own, "/user.slice/a");
	assert_string_equal(t.tree[CG_FREEZER].mount, "");
	cg_parse(OTHER V1, "6:freezer:/f\n1:cpu,cpuacct:/c\n", &t);
	assert_string_equal(t.tree[CG_V2].mount, "");
	assert_string_equal(t.tree[CG_FREEZER].mount, "/sys/fs/cgroup/my freezer");
	assert_string_equal(t.tree[CG_FREEZER].own, "/f");
	cg_parse(OTHER V1 UNIFIED, "6:freezer:/f\n0::/\n", &t);
	assert_string_equal(t.tree[CG_V2].mount, "/sys/fs/cgroup/unified");
	assert_string_equal(t.tree[CG_V2].own, "/");
	assert_string_equal(t.tree[CG_FREEZER].own, "/f");
	/* A mount that shows a part only: paths below it. */
	cg_parse("29 23 0:26 /outer/c1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/outer/c1/x\n", &t);
	assert_string_equal(t.tree[CG_V2].own, "/x");
	cg_parse("29 23 0:26 /outer /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/outer\n", &t);
	assert_string_equal(t.tree[CG_V2].own, "/");
	cg_parse("", "", &t);
	assert_string_equal(t.tree[CG_V2].mount, "");
	cg_parse("garbage\n- cgroup2\n1 - cgroup2 x y", "0:\n::::\n0::", &t);
	assert_string_equal(t.tree[CG_V2].own, "/");
}

/* What a text names is found where all are found, whichever way; what it cannot be found by is looked for. */
static void
named(void **state)
{
	static struct cg_trees some;
	char text[ISO_CGROUP_MAX];
	struct err e = ERR_INIT;
	struct cg_iter it = { text };
	struct cg_part part;
	unsigned n = 0;

	assert_int_equal(cg_find(&t, &e), 0);
	assert_int_equal(cg_path(&t, NULL, "pot-unit-named", "web", ISO_CG_ALWAYS, text, &e), 0);
	assert_int_equal(cg_find_named(text, &some, &e), 0);
	for (; cg_next(&it, &part, &e) == 1; n++)
		assert_string_equal(some.tree[part.id].mount, t.tree[part.id].mount);
	assert_true(n > 0);
	/* Of another view of the groups than this process has, and no text at all. */
	assert_int_equal(cg_find_named("v2:/no-such-group/pot-unit-named/web", &some, &e), 0);
	assert_string_equal(some.tree[CG_V2].own, t.tree[CG_V2].own);
	assert_int_equal(cg_find_named("nonsense", &some, &e), 0);
	assert_string_equal(some.tree[CG_V2].own, t.tree[CG_V2].own);
}

static void
paths(void **state)
{
	char out[ISO_CGROUP_MAX], longname[ISO_CGROUP_MAX + 1];
	struct err e = ERR_INIT;

	cg_parse(V1 UNIFIED, "6:freezer:/f\n0::/u\n", &t);
	assert_int_equal(cg_path(&t, NULL, "pot", "web", 0, out, &e), 0);
	assert_string_equal(out, "v2:/u/pot/web");
	assert_int_equal(cg_path(&t, "/", "pot", "web", 0, out, &e), 0);
	assert_string_equal(out, "v2:/pot/web");
	assert_int_equal(cg_path(&t, "/a/b", "pot", "web", 0, out, &e), 0);
	assert_string_equal(out, "v2:/a/b/pot/web");
	cg_parse(V1, "6:freezer:/f\n", &t);
	assert_int_equal(cg_path(&t, NULL, "pot", "web", 0, out, &e), 0);
	assert_string_equal(out, "freezer:/f/pot/web");
	assert_int_equal(cg_path(&t, NULL, "pot", "../x", 0, out, &e), -E_INVAL);
	assert_int_equal(cg_path(&t, NULL, "..", "x", 0, out, &e), -E_INVAL);
	assert_int_equal(cg_path(&t, "/a/../..", "pot", "x", 0, out, &e), -E_INVAL);
	assert_int_equal(cg_path(&t, "rel", "pot", "x", 0, out, &e), -E_INVAL);
	memset(longname, 'x', ISO_CGROUP_MAX);
	longname[ISO_CGROUP_MAX] = '\0';
	assert_int_equal(cg_path(&t, NULL, "pot", longname, 0, out, &e), -E_LIMIT);
	cg_parse("", "", &t);
	assert_int_equal(cg_path(&t, NULL, "pot", "web", 0, out, &e), -E_NOTSUP);
	assert_int_equal(cg_make(&t, "v2:/pot/web", &e), -E_NOENT);
	assert_int_equal(cg_remove(&t, "v2:/pot/web", &e), 0);
	assert_int_equal(cg_remove(&t, "v3:/pot/web", &e), -E_INVAL);
	assert_int_equal(cg_remove(&t, "v2:/pot/../..", &e), -E_INVAL);
}

static bool
there(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static void
fake(bool v2)
{
	memset(&t, 0, sizeof(t));
	strcpy(t.tree[v2 ? CG_V2 : CG_FREEZER].mount, dir);
	strcpy(t.tree[v2 ? CG_V2 : CG_FREEZER].own, "/");
}

static void
make_and_remove(void **state)
{
	struct err e = ERR_INIT;

	for (int v2 = 0; v2 < 2; v2++) {
		const char *web = v2 ? "v2:/pot/web" : "freezer:/pot/web",
			   *db = v2 ? "v2:/pot/db" : "freezer:/pot/db";
		bool is_v2;
		int fd;

		fake(v2);
		assert_int_equal(cg_make(&t, web, &e), 0);
		assert_int_equal(cg_make(&t, web, &e), 0); /* an empty leftover */
		assert_int_equal(cg_make(&t, db, &e), 0);
		assert_true(there("pot/web") && there("pot/db"));
		fd = cg_open(&t, web, &is_v2, &e);
		assert_true(fd >= 0);
		assert_int_equal(is_v2, v2);
		assert_int_equal(mkdirat(fd, "sub", 0755), 0);
		assert_int_equal(mkdirat(fd, "sub/sub", 0755), 0);
		close(fd);
		assert_int_equal(cg_remove(&t, web, &e), 0);
		assert_true(!there("pot/web") && there("pot/db"));
		assert_int_equal(cg_remove(&t, web, &e), 0);
		assert_int_equal(cg_remove(&t, db, &e), 0);
		assert_false(there("pot"));
		assert_int_equal(cg_open(&t, web, &is_v2, &e), -E_NOENT);
	}
}

static void
put(int fd, const char *name, const char *text)
{
	int f = openat(fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(f, text, strlen(text)), strlen(text));
	close(f);
}

static int
collect(void *arg, pid_t pid)
{
	*(unsigned *)arg += (unsigned)pid;
	return 0;
}

static void
control_files(void **state)
{
	struct err e = ERR_INIT;
	unsigned sum = 0;
	char path[128], text[16] = "";
	int fd, f;

	snprintf(path, sizeof(path), "%s/files", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put(fd, "cgroup.freeze", "");
	put(fd, "cgroup.events", "populated 1\nfrozen 1\n");
	assert_int_equal(cg_freeze(fd, true, true, &e), 0);
	f = openat(fd, "cgroup.freeze", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(f, text, sizeof(text)), 1);
	assert_int_equal(text[0], '1');
	close(f);
	put(fd, "freezer.state", "");
	assert_int_equal(cg_freeze(fd, false, true, &e), 0);
	put(fd, "freezer.state", "");
	assert_int_equal(cg_freeze(fd, false, false, &e), 0);
	put(fd, "cgroup.procs", "10\n200\n");
	assert_int_equal(mkdirat(fd, "sub", 0700), 0);
	put(fd, "sub/cgroup.procs", "3000\n");
	assert_int_equal(cg_each(fd, collect, &sum, &e), 0);
	assert_int_equal(sum, 3210);
	put(fd, "cgroup.kill", "");
	put(fd, "cgroup.events", "populated 0\nfrozen 0\n");
	assert_int_equal(cg_kill(fd, true, &e), 0);
	assert_int_equal(unlinkat(fd, "cgroup.freeze", 0), 0);
	assert_int_equal(cg_freeze(fd, true, true, &e), -E_NOENT);
	close(fd);
}

/* The prefix group comes and goes under the hands of others. */
static void *
churn(void *arg)
{
	struct err e = ERR_INIT;
	char group[ISO_CGROUP_MAX];
	intptr_t bad = 0;

	snprintf(group, sizeof(group), "v2:/pot/p%d", *(int *)arg);
	for (int i = 0; i < 2000; i++)
		bad += cg_make(&t, group, &e) < 0 || cg_remove(&t, group, &e) < 0;
	return (void *)bad;
}

static void
parallel(void **state)
{
	pthread_t th[4];
	int id[4];
	void *bad;

	fake(true);
	for (int i = 0; i < 4; i++) {
		id[i] = i;
		assert_int_equal(pthread_create(&th[i], NULL, churn, &id[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(th[i], &bad), 0);
		assert_null(bad);
	}
	assert_false(there("pot"));
}

static int
setup(void **state)
{
	strcpy(dir, "/tmp/iso-cgroup-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(layouts), cmocka_unit_test(named),
		cmocka_unit_test(paths), cmocka_unit_test(make_and_remove), cmocka_unit_test(control_files),
		cmocka_unit_test(parallel) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
