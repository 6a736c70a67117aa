/* Proves: what a pot uses is read right from every layout of groups, and what nobody counts stays unknown. */
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

#include "base/file.h"
#include "isolation/linux/meter.h"

#define HOST_MEMORY 8000000000u

static char dir[64];
static int dirfd_;
static struct iso_meter meter;
static struct iso_stats s;

/* A file of a tree, with the directories before it. */
static void
put(const char *path, const char *text)
{
	char full[512];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	for (char *slash = full + strlen(dir) + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
		*slash = '\0';
		(void)!mkdir(full, 0700);
	}
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* The trees are directories of the names of their hierarchies. */
static void
open_meter(void)
{
	int trees[CG_COUNT];

	for (int i = 0; i < CG_COUNT; i++)
		trees[i] = openat(dirfd_, cg_names[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
	meter_init(&meter, trees, HOST_MEMORY);
}

static int
setup(void **state)
{
	struct err e = ERR_INIT;

	strcpy(dir, "/tmp/pot-stats-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	dirfd_ = dir_open(AT_FDCWD, dir, &e);
	assert_true(dirfd_ >= 0);
	return 0;
}

static int
teardown(void **state)
{
	struct err e = ERR_INIT;

	meter_fini(&meter);
	close(dirfd_);
	return tree_remove(AT_FDCWD, dir, &e);
}

#define CPU_STAT "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnice_usec 0\n"
#define CPU_STAT_QUOTA \
	CPU_STAT "core_sched.force_idle_usec 0\nnr_periods 9\nnr_throttled 4\nthrottled_usec 77\n"

static void
v2(void **state)
{
	put("v2/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n");
	put("v2/pot/web/cpu.stat", CPU_STAT_QUOTA);
	put("v2/pot/web/memory.stat",
	    "anon 5000\nfile 3000\nkernel 10\nfile_mapped 1\ninactive_anon 7\nactive_file "
	    "1000\ninactive_file 2000\n");
	put("v2/pot/web/memory.current", "8192\n");
	put("v2/pot/web/memory.max", "65536\n");
	put("v2/pot/web/memory.peak", "9000\n");
	put("v2/pot/web/memory.swap.current", "4096\n");
	put("v2/pot/web/memory.events", "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n");
	put("v2/pot/web/pids.current", "7\n");
	put("v2/pot/web/pids.max", "100\n");
	put("v2/pot/web/io.stat",
	    "8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=9 dios=9\n"
	    "253:0 rbytes=1000 wbytes=2000 rios=10 wios=20 dbytes=0 dios=0\n7:1 \n");
	open_meter();
	assert_int_equal(meter_groups(&meter, "v2:/pot/web", &s), 10);
	assert_int_equal(s.cpu_ns, 1500000);
	assert_int_equal(s.user_ns, 1000000);
	assert_int_equal(s.system_ns, 500000);
	assert_int_equal(s.throttled, 4);
	assert_int_equal(s.throttled_ns, 77000);
	assert_int_equal(s.memory, 6192);
	assert_int_equal(s.memory_limit, 65536);
	assert_int_equal(s.memory_peak, 9000);
	assert_int_equal(s.cache, 3000);
	assert_int_equal(s.swap, 4096);
	assert_int_equal(s.pids, 7);
	assert_int_equal(s.pids_limit, 100);
	assert_int_equal(s.read_bytes, 1100);
	assert_int_equal(s.written_bytes, 2200);
	assert_int_equal(s.reads, 11);
	assert_int_equal(s.writes, 22);
	assert_int_equal(s.oom_kills, 1);
	/* Without limits: the host's memory, any number of processes. A pot that did no I/O has an empty file. */
	put("v2/pot/web/memory.max", "max\n");
	put("v2/pot/web/pids.max", "max\n");
	put("v2/pot/web/io.stat", "");
	(void)meter_groups(&meter, "v2:/pot/web", &s);
	assert_int_equal(s.memory_limit, HOST_MEMORY);
	assert_true(s.pids_limit == ISO_UNKNOWN);
	assert_int_equal(s.read_bytes, 0);
	assert_int_equal(s.writes, 0);
	/* More than the host has is not what it may use. */
	put("v2/pot/web/memory.max", "9000000000000\n");
	(void)meter_groups(&meter, "v2:/pot/web", &s);
	assert_int_equal(s.memory_limit, HOST_MEMORY);
	/* Droppable pages are counted a moment before: never less than nothing. */
	put("v2/pot/web/memory.current", "1999\n");
	(void)meter_groups(&meter, "v2:/pot/web", &s);
	assert_int_equal(s.memory, 0);
	/* An old kernel without peak, a controller that is not handed down. */
	assert_int_equal(unlinkat(dirfd_, "v2/pot/web/memory.peak", 0), 0);
	assert_int_equal(unlinkat(dirfd_, "v2/pot/web/pids.current", 0), 0);
	assert_int_equal(unlinkat(dirfd_, "v2/pot/web/pids.max", 0), 0);
	(void)meter_groups(&meter, "v2:/pot/web", &s);
	assert_true(s.memory_peak == ISO_UNKNOWN && s.pids == ISO_UNKNOWN);
	assert_int_equal(s.cache, 3000);
	/* Gone. */
	assert_int_equal(meter_groups(&meter, "v2:/pot/other", &s), 0);
	assert_true(s.cpu_ns == ISO_UNKNOWN && s.memory == ISO_UNKNOWN);
	assert_int_equal(s.memory_limit, HOST_MEMORY);
}

#define V1_MEMORY_STAT                                                                     \
	"cache 1\nrss 2\nswap 3\ninactive_file 4\nhierarchical_memory_limit 50000\n"       \
	"hierarchical_memsw_limit 9223372036854771712\ntotal_cache 3000\ntotal_rss 5000\n" \
	"total_swap 4096\ntotal_inactive_file 2000\ntotal_active_file 1000\n"

static void
put_v1(const char *memory, const char *pids)
{
	char path[128];

#define AT(group, file) (snprintf(path, sizeof(path), "%s/%s", group, file), path)
	put(AT(memory, "memory.stat"), V1_MEMORY_STAT);
	put(AT(memory, "memory.usage_in_bytes"), "8192\n");
	put(AT(memory, "memory.max_usage_in_bytes"), "9000\n");
	put(AT(memory, "memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
	put(AT(pids, "pids.current"), "7\n");
	put(AT(pids, "pids.max"), "max\n");
#undef AT
}

static void
v1(void **state)
{
	put_v1("memory/own/pot/web", "pids/pot/web");
	put("cpuacct/pot/web/cpuacct.usage", "1234567\n");
	put("cpuacct/pot/web/cpuacct.usage_user", "1000000\n");
	put("cpuacct/pot/web/cpuacct.usage_sys", "234567\n");
	put("cpu/pot/web/cpu.stat", "nr_periods 9\nnr_throttled 4\nthrottled_time 77\nnr_bursts 0\n");
	put("blkio/pot/web/blkio.throttle.io_service_bytes_recursive",
	    "8:0 Read 100\n8:0 Write 200\n8:0 Sync 300\n8:0 Async 0\n8:0 Discard 5\n8:0 Total 300\n"
	    "253:0 Read 1000\n253:0 Write 2000\nTotal 3300\n");
	put("blkio/pot/web/blkio.throttle.io_serviced_recursive", "8:0 Read 1\n8:0 Write 2\nTotal 3\n");
	put("freezer/pot/web/freezer.state", "THAWED\n");
	open_meter();
	assert_int_equal(
	    meter_groups(&meter, "freezer:/pot/web memory:/own/pot/web pids,cpuacct,cpu,blkio:/pot/web", &s),
	    12);
	assert_int_equal(s.cpu_ns, 1234567);
	assert_int_equal(s.user_ns, 1000000);
	assert_int_equal(s.system_ns, 234567);
	assert_int_equal(s.throttled, 4);
	assert_int_equal(s.throttled_ns, 77);
	assert_int_equal(s.memory, 6192);
	assert_int_equal(s.memory_limit, 50000);
	assert_int_equal(s.memory_peak, 9000);
	assert_int_equal(s.cache, 3000);
	assert_int_equal(s.swap, 4096);
	assert_int_equal(s.oom_kills, 2);
	assert_int_equal(s.pids, 7);
	assert_true(s.pids_limit == ISO_UNKNOWN);
	assert_int_equal(s.read_bytes, 1100);
	assert_int_equal(s.written_bytes, 2200);
	assert_int_equal(s.reads, 1);
	assert_int_equal(s.writes, 2);
	/* No limit of v1 is a number above all memory. */
	put("memory/own/pot/web/memory.stat", "hierarchical_memory_limit 9223372036854771712\n");
	(void)meter_groups(&meter, "memory:/own/pot/web", &s);
	assert_int_equal(s.memory_limit, HOST_MEMORY);
	assert_int_equal(s.memory, 8192);
	assert_true(s.swap == ISO_UNKNOWN && s.cpu_ns == ISO_UNKNOWN && s.pids == ISO_UNKNOWN);
}

/* v2 without controllers beside v1: time from the one, the rest from the other. */
static void
hybrid(void **state)
{
	put("v2/cgroup.controllers", "\n");
	put("v2/pot/web/cpu.stat", CPU_STAT);
	put("cpu/pot/web/cpu.stat", "nr_periods 9\nnr_throttled 4\nthrottled_time 77\n");
	put("cpuacct/pot/web/cpuacct.usage", "1\n");
	put_v1("memory/pot/web", "pids/pot/web");
	open_meter();
	assert_int_equal(meter_groups(&meter, "v2:/pot/web memory:/pot/web pids,cpuacct:/pot/web", &s), 7);
	assert_int_equal(s.cpu_ns, 1500000);
	assert_int_equal(s.memory, 6192);
	assert_int_equal(s.pids, 7);
	assert_true(s.throttled == ISO_UNKNOWN && s.read_bytes == ISO_UNKNOWN);
	(void)meter_groups(&meter, "v2:/pot/web memory:/pot/web pids,cpuacct,cpu:/pot/web", &s);
	assert_int_equal(s.throttled, 4);
	assert_int_equal(s.throttled_ns, 77);
	/* A controller that moved to v2. */
	meter_fini(&meter);
	put("v2/cgroup.controllers", "memory pids\n");
	put("v2/pot/web/memory.current", "10\n");
	put("v2/pot/web/pids.current", "3\n");
	open_meter();
	(void)meter_groups(&meter, "v2:/pot/web", &s);
	assert_int_equal(s.memory, 10);
	assert_int_equal(s.pids, 3);
}

/* What the kernel does not write, and texts that are no groups: nothing is made up, nothing is read elsewhere. */
static void
odd(void **state)
{
	static const char *const texts[] = { "", " ", "v2", "v2:", "v2:web", "v9:/pot/web", ":/pot/web",
		"v2:/../v2/pot/web", "v2:/pot/../../secret", ",,:/x", "memory:/pot/web:/x  v2:/none" };
	static const char *const numbers[] = { "", "-1\n", "max\n", "x", "\n", " 5\n" };
	char big[40000];

	put("secret/cpu.stat", CPU_STAT);
	put("v2/cgroup.controllers", "memory pids io cpu\n");
	put("v2/pot/web/cpu.stat", "usage_usec\nuser_usec x\nsystem_usec 5");
	put("v2/pot/web/io.stat", "rbytes=5\n8:0 rbytes= wbytes=7 xrbytes=9 rios\n\n8:1");
	put("v2/pot/web/memory.stat", "inactive_file_x 7\nfile 5\n");
	open_meter();
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(meter_groups(&meter, texts[i], &s), 0);
		assert_true(s.cpu_ns == ISO_UNKNOWN);
	}
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		put("v2/pot/web/pids.current", numbers[i]);
		put("v2/pot/web/memory.current", numbers[i]);
		(void)meter_groups(&meter, "v2:/pot/web", &s);
		assert_true(s.pids == ISO_UNKNOWN && s.memory == ISO_UNKNOWN);
	}
	assert_true(s.cpu_ns == ISO_UNKNOWN && s.user_ns == ISO_UNKNOWN);
	assert_int_equal(s.system_ns, 5000);
	assert_int_equal(s.read_bytes, 5);
	assert_int_equal(s.written_bytes, 7);
	assert_int_equal(s.cache, 5);
	/* A file that does not fit is not half a sum. */
	memset(big, '\n', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	memcpy(big, "8:0 rbytes=1\n", 13);
	put("v2/pot/web/io.stat", big);
	(void)meter_groups(&meter, "v2:/pot/web", &s);
	assert_true(s.read_bytes == ISO_UNKNOWN);
}

/* The host's own groups, of whatever kind, and this process, which is in none of a pot's. */
static void
real(void **state)
{
	struct iso_meter *m;
	struct iso_ref ref = { { 0, 0 }, NULL };
	struct err e = ERR_INIT;
	volatile double busy = 0;

	assert_int_equal(iso_meter_open(&m, &e), 0);
	assert_int_equal(proc_id_get(getpid(), &ref.init, &e), 0);
	for (int i = 0; i < 30000000; i++)
		busy += i;
	assert_true(busy > 0);
	/* Without groups its processes are added up. */
	assert_int_equal(iso_stats(m, &ref, &s, &e), 0);
	assert_true(s.pids >= 1 && s.pids != ISO_UNKNOWN);
	assert_true(s.memory > 100000 && s.memory != ISO_UNKNOWN);
	assert_true(s.cpu_ns > 0 && s.cpu_ns != ISO_UNKNOWN);
	assert_true(s.memory_limit > 1 << 20 && s.memory_limit != ISO_UNKNOWN);
	ref.cgroup = "v2:/there/is/none";
	assert_int_equal(iso_stats(m, &ref, &s, &e), -E_STATE);
	ref.cgroup = NULL;
	ref.init.start++;
	assert_int_equal(iso_stats(m, &ref, &s, &e), -E_STATE);
	iso_meter_close(m);
	iso_meter_close(NULL);
	memset(&meter, 0xff, sizeof(meter)); /* teardown closes nothing */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(v2, setup, teardown),
		cmocka_unit_test_setup_teardown(v1, setup, teardown),
		cmocka_unit_test_setup_teardown(hybrid, setup, teardown),
		cmocka_unit_test_setup_teardown(odd, setup, teardown),
		cmocka_unit_test_setup_teardown(real, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
