/* Proves: limits are the right texts in the right files of v1, v2 and both, all or none, on trees of plain files. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "isolation/linux/cgroup.h"

static struct cg_trees t;
static char dir[64], text[512];
static struct err e;

static const struct iso_io_limit disk = { 8, 0, 1 << 20, 0, 0, 100 };
static const struct iso_limits all = { .memory = 64 << 20,
	.memory_swap = 100 << 20,
	.swap_wanted = true,
	.reservation = 16 << 20,
	.pids = 50,
	.pids_wanted = true,
	.cpu_shares = 512,
	.cpu_quota = 1500,
	.cpus = "0-1",
	.io_weight = 50,
	.oom_group = true,
	.io = &disk,
	.nio = 1 };

static void
put(const char *path, const char *value)
{
	char full[256];
	int f;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	for (char *s = full + strlen(dir) + 1; (s = strchr(s, '/')) != NULL; *s++ = '/') {
		*s = '\0';
		assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
	}
	f = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(f, value, strlen(value)), strlen(value));
	close(f);
}

/* The file's text: a plain file keeps what a longer text left behind the new one. */
static const char *
get(const char *path)
{
	char full[256];
	ssize_t n;
	int f;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	f = open(full, O_RDONLY | O_CLOEXEC);
	n = f < 0 ? -1 : read(f, text, sizeof(text) - 1);
	close(f);
	text[n < 0 ? 0 : n] = '\0';
	return n < 0 ? "(none)" : text;
}

static void
says(const char *path, const char *value)
{
	if (strcmp(get(path), value) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", path, get(path), value);
}

static void
tree(enum cg_id id, const char *sub, const char *own)
{
	snprintf(t.tree[id].mount, sizeof(t.tree[id].mount), "%s%s", dir, sub);
	snprintf(t.tree[id].own, sizeof(t.tree[id].own), "%s", own);
}

#define V2_FILES                                                                                     \
	"memory.max", "memory.swap.max", "memory.low", "memory.oom.group", "pids.max", "cpu.weight", \
	    "cpu.max", "cpuset.cpus", "io.max", "io.weight"

static void
v2_group(void)
{
	static const char *const files[] = { V2_FILES };
	char path[128];

	memset(&t, 0, sizeof(t));
	tree(CG_V2, "", "/");
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), "pot/web/%s", files[i]);
		put(path, "");
	}
	put("pot/web/cgroup.controllers", "cpuset cpu io memory pids\n");
}

static void
on_v2(void **state)
{
	v2_group();
	assert_int_equal(cg_limit(&t, "v2:/pot/web", NULL, &all, &e), 0);
	says("pot/web/memory.max", "67108864");
	says("pot/web/memory.swap.max", "37748736");
	says("pot/web/memory.low", "16777216");
	says("pot/web/memory.oom.group", "1");
	says("pot/web/pids.max", "50");
	says("pot/web/cpu.weight", "20");
	says("pot/web/cpu.max", "150000 100000");
	says("pot/web/cpuset.cpus", "0-1");
	says("pot/web/io.weight", "50");
	says("pot/web/io.max", "8:0 rbps=1048576 wbps=max riops=max wiops=100");
}

/* Without limits a fresh group is not touched; another is set to none. */
static void
none_on_v2(void **state)
{
	static const struct iso_limits none;

	v2_group();
	assert_int_equal(cg_limit(&t, "v2:/pot/web", NULL, &none, &e), 0);
	says("pot/web/memory.max", "");
	put("pot/web/io.max", "8:16 rbps=5 wbps=max riops=max wiops=max\n");
	assert_int_equal(cg_limit(&t, "v2:/pot/web", &none, &none, &e), 0);
	says("pot/web/memory.max", "max");
	says("pot/web/memory.swap.max", "max");
	says("pot/web/pids.max", "max");
	says("pot/web/cpu.max", "max 100000");
	says("pot/web/cpu.weight", "100");
	says("pot/web/cpuset.cpus", "\n");
	/* What an interrupted change left is found and taken away. */
	assert_memory_equal(get("pot/web/io.max"), "8:16 rbps=max wbps=max riops=max wiops=max", 41);
}

static void
v2_without(void **state)
{
	const struct iso_limits pids = { .pids = 50 }, asked = { .pids = 50, .pids_wanted = true };
	const struct iso_limits swap = { .memory = 8 << 20, .memory_swap = 8 << 20 };
	struct iso_limits want;

	v2_group();
	put("pot/web/cgroup.controllers", "memory\n");
	/* A default is for hosts that can; what was asked for is not left out in silence. */
	assert_int_equal(cg_limit(&t, "v2:/pot/web", NULL, &pids, &e), 0);
	says("pot/web/pids.max", "");
	assert_int_equal(cg_limit(&t, "v2:/pot/web", NULL, &asked, &e), -E_NOTSUP);
	assert_non_null(strstr(e.msg, "pids"));
	snprintf(text, sizeof(text), "%s/pot/web/memory.swap.max", dir);
	unlink(text);
	assert_int_equal(cg_limit(&t, "v2:/pot/web", NULL, &swap, &e), 0);
	want = swap;
	want.swap_wanted = true;
	assert_int_equal(cg_limit(&t, "v2:/pot/web", NULL, &want, &e), -E_NOTSUP);
	assert_non_null(strstr(e.msg, "memory.swap.max"));
}

/* The last file cannot be written: the others are as before. */
static void
taken_back(void **state)
{
	struct iso_limits have = { .memory = 32 << 20, .pids = 9 };

	v2_group();
	assert_int_equal(cg_limit(&t, "v2:/pot/web", NULL, &have, &e), 0);
	snprintf(text, sizeof(text), "%s/pot/web/io.max", dir);
	unlink(text);
	assert_int_equal(cg_limit(&t, "v2:/pot/web", &have, &all, &e), -E_NOTSUP);
	says("pot/web/memory.max", "33554432");
	assert_memory_equal(get("pot/web/cpu.max"), "max 100000", 10);
}

#define V1 "freezer:/pot/web memory:/own/pot/web pids,cpu:/pot/web cpuset:/pot/web blkio:/pot/web"

static void
v1_groups(void)
{
	static const char *const files[] = { "memory/own/pot/web/memory.limit_in_bytes",
		"memory/own/pot/web/memory.memsw.limit_in_bytes",
		"memory/own/pot/web/memory.soft_limit_in_bytes", "pids/pot/web/pids.max",
		"cpu/pot/web/cpu.shares", "cpu/pot/web/cpu.cfs_quota_us", "cpuset/pot/web/cpuset.cpus",
		"blkio/pot/web/blkio.bfq.weight", "blkio/pot/web/blkio.throttle.read_bps_device",
		"blkio/pot/web/blkio.throttle.write_bps_device",
		"blkio/pot/web/blkio.throttle.read_iops_device",
		"blkio/pot/web/blkio.throttle.write_iops_device" };

	memset(&t, 0, sizeof(t));
	tree(CG_FREEZER, "/freezer", "/");
	tree(CG_MEMORY, "/memory", "/own");
	tree(CG_PIDS, "/pids", "/");
	tree(CG_CPU, "/cpu", "/");
	tree(CG_CPUSET, "/cpuset", "/");
	tree(CG_IO, "/blkio", "/");
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		put(files[i], "");
	put("cpuset/pot/cpuset.cpus", "0-3\n");
}

static void
on_v1(void **state)
{
	static const struct iso_limits none;

	v1_groups();
	assert_int_equal(cg_limit(&t, V1, NULL, &all, &e), 0);
	says("memory/own/pot/web/memory.limit_in_bytes", "67108864");
	says("memory/own/pot/web/memory.memsw.limit_in_bytes", "104857600");
	says("memory/own/pot/web/memory.soft_limit_in_bytes", "16777216");
	says("pids/pot/web/pids.max", "50");
	says("cpu/pot/web/cpu.shares", "512");
	says("cpu/pot/web/cpu.cfs_quota_us", "150000");
	says("cpuset/pot/web/cpuset.cpus", "0-1");
	says("blkio/pot/web/blkio.bfq.weight", "50");
	says("blkio/pot/web/blkio.throttle.read_bps_device", "8:0 1048576");
	says("blkio/pot/web/blkio.throttle.write_iops_device", "8:0 100");
	v1_groups();
	assert_int_equal(cg_limit(&t, V1, &all, &none, &e), 0);
	says("memory/own/pot/web/memory.limit_in_bytes", "-1");
	says("pids/pot/web/pids.max", "max");
	says("cpu/pot/web/cpu.cfs_quota_us", "-1");
	says("cpuset/pot/web/cpuset.cpus", "0-3");
	says("blkio/pot/web/blkio.throttle.read_bps_device", "8:0 0");
}

/* Memory on v1, processes on v2: each where it is. */
static void
on_both(void **state)
{
	const struct iso_limits want = { .memory = 8 << 20, .memory_swap = 8 << 20, .pids = 7 };

	v1_groups();
	tree(CG_V2, "/unified", "/");
	put("unified/pot/web/cgroup.controllers", "pids\n");
	put("unified/pot/web/pids.max", "");
	assert_int_equal(cg_limit(&t, "v2:/pot/web memory:/own/pot/web", NULL, &want, &e), 0);
	says("memory/own/pot/web/memory.limit_in_bytes", "8388608");
	says("unified/pot/web/pids.max", "7");
	says("pids/pot/web/pids.max", "");
}

static void
use_and_oom(void **state)
{
	uint64_t memory, pids, kills;

	v1_groups();
	put("memory/own/pot/web/memory.usage_in_bytes", "1000000\n");
	put("memory/own/pot/web/memory.stat",
	    "cache 5\ntotal_inactive_file 300000\ntotal_active_file 100000\n");
	put("memory/own/pot/web/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
	put("pids/pot/web/pids.current", "12\n");
	assert_int_equal(cg_used(&t, V1, &memory, &pids, &e), 0);
	assert_int_equal(memory, 600000);
	assert_int_equal(pids, 12);
	assert_int_equal(cg_oom_kills(&t, V1, &kills, &e), 0);
	assert_int_equal(kills, 3);
	v2_group();
	put("pot/web/memory.current", "1000000\n");
	put("pot/web/memory.stat", "anon 5\ninactive_file 300000\nactive_file 800000\n");
	put("pot/web/memory.events", "low 0\nhigh 0\nmax 9\noom 2\noom_kill 4\noom_group_kill 0\n");
	put("pot/web/pids.current", "1\n");
	assert_int_equal(cg_used(&t, "v2:/pot/web", &memory, &pids, &e), 0);
	assert_int_equal(memory, 0);
	assert_int_equal(cg_oom_kills(&t, "v2:/pot/web", &kills, &e), 0);
	assert_int_equal(kills, 4);
	/* No controller: nothing is known, nothing failed. */
	put("pot/web/cgroup.controllers", "");
	assert_int_equal(cg_oom_kills(&t, "v2:/pot/web", &kills, &e), 0);
	assert_int_equal(kills, 0);
}

/* Where pots' groups are made, on each layout. */
static void
places(void **state)
{
	char out[ISO_CGROUP_MAX];

	v1_groups();
	assert_int_equal(cg_path(&t, NULL, "pot", "web", ISO_CG_ALWAYS, out, &e), 0);
	assert_string_equal(out, "freezer:/pot/web memory:/own/pot/web pids:/pot/web");
	assert_int_equal(cg_path(&t, NULL, "pot", "web", ~0u, out, &e), 0);
	assert_string_equal(out, "freezer:/pot/web memory:/own/pot/web pids,cpu,cpuset,blkio:/pot/web");
	assert_int_equal(cg_path(&t, "/p", "pot", "web", ISO_CG_MEMORY | ISO_CG_CPU, out, &e), 0);
	assert_string_equal(out, "freezer:/p/pot/web memory,cpu:/p/pot/web");
	assert_int_equal(cg_extend(&t, "freezer:/x/web memory:/own/pot/web", NULL, "pot", "web",
			     ISO_CG_MEMORY | ISO_CG_CPU, out, &e),
	    0);
	assert_string_equal(out, "freezer:/x/web memory:/own/pot/web cpu:/pot/web");
	/* v2: beside a group that limits nothing, below one that does. */
	memset(&t, 0, sizeof(t));
	tree(CG_V2, "", "/user.slice/session");
	put("user.slice/session/cgroup.controllers", "memory pids\n");
	put("user.slice/session/memory.max", "max\n");
	assert_int_equal(cg_path(&t, NULL, "pot", "web", ~0u, out, &e), 0);
	assert_string_equal(out, "v2:/user.slice/pot/web");
	put("user.slice/session/memory.max", "1000000\n");
	assert_int_equal(cg_path(&t, NULL, "pot", "web", ~0u, out, &e), 0);
	assert_string_equal(out, "v2:/user.slice/session/pot/web");
	put("user.slice/session/memory.max", "max\n");
	put("user.slice/session/cgroup.controllers", "");
	assert_int_equal(cg_path(&t, NULL, "pot", "web", ~0u, out, &e), 0);
	assert_string_equal(out, "v2:/user.slice/session/pot/web");
	assert_int_equal(cg_path(&t, "/a b", "pot", "web", 0, out, &e), -E_INVAL);
}

/* Controllers are given on from the root to the pots' group, those that are there and not given yet. */
static void
given_on(void **state)
{
	memset(&t, 0, sizeof(t));
	tree(CG_V2, "", "/");
	put("cgroup.controllers", "memory\n");
	put("cgroup.subtree_control", "");
	put("pot/cgroup.controllers", "memory pids\n");
	put("pot/cgroup.subtree_control", "memory\n");
	assert_int_equal(cg_make(&t, "v2:/pot/new", &e), 0);
	says("cgroup.subtree_control", "+memory");
	says("pot/cgroup.subtree_control", /* over "memory" */ "+pidsy\n");
}

/* Hostile or damaged texts of the state name nothing. */
static void
bad_texts(void **state)
{
	static const char *const rows[] = { "v2", "v2:", "v2:/", "v2:/a", "v2:a/b", "v3:/a/b", ":/a/b",
		"v2:/a/../b/c", "v2:/a/b memory", "v2:/a/b memory:/a/../x/y", "v2:/a/b  memory:/a/b",
		"v2:/a/b ,memory:/a/b", "v2:/a/b memory,:/a/b" };

	v2_group();
	tree(CG_MEMORY, "", "/");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (cg_remove(&t, rows[i], &e) != -E_INVAL)
			fail_msg("'%s' is taken", rows[i]);
	struct cg_enter cg;
	assert_int_equal(cg_enter("", &cg, &e), 0);
	assert_int_equal(cg.dir, -1);
}

static int
setup(void **state)
{
	strcpy(dir, "/tmp/iso-limits-XXXXXX");
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
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(on_v2), T(none_on_v2), T(v2_without), T(taken_back), T(on_v1),
		T(on_both), T(use_and_oom), T(places), T(given_on), T(bad_texts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
