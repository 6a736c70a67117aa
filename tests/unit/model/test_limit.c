/* Limits: texts and numbers, what a host can give, which CPUs are chosen. */
#include "expect.h"
#include "model/limit.h"

static struct limits l;

static void
set(const char *name, const char *text)
{
	struct err e = ERR_INIT;

	if (limits_set(&l, name, text, &e) < 0)
		fail_msg("%s %s: %s", name, text, e.msg);
}

static void
refuse(const char *name, const char *text, const char *says)
{
	struct err e = ERR_INIT;
	struct limits before = l;

	if (limits_set(&l, name, text, &e) != -E_INVAL || strstr(e.msg, says) == NULL)
		fail_msg("%s %s: \"%s\", not \"%s\"", name, text, e.msg, says);
	assert_memory_equal(&before, &l, sizeof(l));
}

static void
parse(void **state)
{
	memset(&l, 0, sizeof(l));
	set("memory", "64m");
	set("memory-swap", "1.5G");
	set("cpus", "2");
	set("cpu-shares", "262144");
	set("cpu-quota", "12.5%");
	set("pids", "0");
	set("io-weight", "1000");
	set("on-oom", "stop");
	set("restart", "on-failure:5");
	assert_int_equal(l.memory, 64 << 20);
	assert_int_equal(l.memory_swap, 3ull << 29);
	assert_int_equal(l.cpu_quota, 125);
	assert_true(l.pids_set && l.pids == 0);
	assert_int_equal(l.on_oom, LIMITS_OOM_STOP);
	assert_int_equal(l.restart_max, 5);
	set("cpu-quota", "150");
	assert_int_equal(l.cpu_quota, 1500);
	refuse("memory", "4194303", "at least 4194304");
	refuse("memory", "12x", "12x");
	refuse("memory", "-1", "-1");
	refuse("cpus", "-1", "cpus");
	refuse("cpus", "1.5", "cpus");
	refuse("cpu-shares", "1", "from 2 to 262144");
	refuse("cpu-quota", "0.5", "at least 1%");
	refuse("cpu-quota", "%", "percent");
	refuse("cpu-quota", "1e3", "percent");
	refuse("cpu-quota", "99999999999999999999", "percent");
	refuse("pids", "1", "from 2");
	refuse("io-weight", "1001", "from 1 to 1000");
	refuse("on-oom", "die", "kill, restart, stop");
	refuse("restart", "always:3", "only on-failure");
	refuse("restart", "on-failure:", "on-failure");
	refuse("restart", "on", "on-failure");
	refuse("speed", "1", "speed");
	set("memory", "default");
	set("pids", "default");
	set("restart", NULL);
	set("cpu-quota", "0");
	assert_true(l.memory == 0 && !l.pids_set && l.restart == LIMITS_RESTART_NO && l.restart_max == 0);
	assert_int_equal(l.cpu_quota, 0);
}

static void
ulimits(void **state)
{
	memset(&l, 0, sizeof(l));
	set("ulimit", "nofile=1024:4096");
	set("ulimit", "core=unlimited");
	set("ulimit", "stack=1m:-1");
	assert_true(l.ulimit[LIMITS_ULIMIT_nofile].set);
	assert_int_equal(l.ulimit[LIMITS_ULIMIT_nofile].hard, 4096);
	assert_true(l.ulimit[LIMITS_ULIMIT_core].soft == LIMITS_UNLIMITED);
	assert_int_equal(l.ulimit[LIMITS_ULIMIT_stack].soft, 1 << 20);
	assert_true(l.ulimit[LIMITS_ULIMIT_stack].hard == LIMITS_UNLIMITED);
	refuse("ulimit", "nofile=10:5", "5");
	refuse("ulimit", "nofile=unlimited:5", "5");
	refuse("ulimit", "nofile", "NAME=SOFT[:HARD]");
	refuse("ulimit", "nofile=", "nofile");
	refuse("ulimit", "nofile=1:2:3", "nofile");
	refuse("ulimit", "nofile=1m", "nofile");
	refuse("ulimit", "files=1", "NAME=SOFT[:HARD]");
	set("ulimit", "nofile=default");
	assert_false(l.ulimit[LIMITS_ULIMIT_nofile].set);
	set("ulimit", "default");
	assert_false(l.ulimit[LIMITS_ULIMIT_core].set);
}

static void
devices(void **state)
{
	char text[32], path[200];

	memset(&l, 0, sizeof(l));
	set("io", "rbps=1m,wiops=100");
	set("io", "/dev/vda:wbps=8192");
	assert_int_equal(l.nio, 2);
	assert_string_equal(l.io[0].device, "");
	assert_int_equal(l.io[0].rate[LIMITS_RBPS], 1 << 20);
	assert_int_equal(l.io[0].rate[LIMITS_WIOPS], 100);
	/* One more of the same device, and one taken back. */
	set("io", "riops=7,wiops=0");
	assert_int_equal(l.io[0].rate[LIMITS_RIOPS], 7);
	assert_int_equal(l.io[0].rate[LIMITS_WIOPS], 0);
	assert_int_equal(l.io[0].rate[LIMITS_RBPS], 1 << 20);
	refuse("io", "/dev/vda", "not a rate");
	refuse("io", "vda:rbps=1m", "not the path");
	refuse("io", "rbps=1", "at least 4096");
	refuse("io", "rbps=1m,", "not a rate");
	refuse("io", "speed=1m", "speed=1m");
	refuse("io", "rbps", "rbps");
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	strcpy(path + 180, ":rbps=1m");
	refuse("io", path, "not the path");
	set("io", "rbps=0,riops=0");
	assert_int_equal(l.nio, 1);
	assert_string_equal(l.io[0].device, "/dev/vda");
	set("io", "/dev/vda:default");
	assert_int_equal(l.nio, 0);
	set("io", "rbps=1m");
	set("io", "/dev/vda:wbps=8192");
	set("io", "default");
	assert_int_equal(l.nio, 0);
	for (int i = 0; i < LIMITS_IO_MAX; i++) {
		snprintf(text, sizeof(text), "/dev/d%d:rbps=1m", i);
		set("io", text);
	}
	struct err e = ERR_INIT;
	assert_int_equal(limits_set(&l, "io", "/dev/more:rbps=1m", &e), -E_LIMIT);
	assert_non_null(strstr(e.msg, "16"));
}

/* What is written is what is read; keys that are not set are not written. */
static void
file(void **state)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;
	static struct limits again;
	struct err e = ERR_INIT;
	size_t n;

	memset(&l, 0, sizeof(l));
	assert_int_equal(limits_write(&pc, &l, &e), 0);
	assert_int_equal(pc.kv.n, 0);
	static const char *const rows[][2] = { { "memory", "64m" }, { "memory-swap", "1g" },
		{ "memory-reservation", "8m" }, { "cpus", "3" }, { "cpu-shares", "2" },
		{ "cpu-quota", "33.3" }, { "pids", "0" }, { "ulimit", "nofile=1:2" },
		{ "ulimit", "core=unlimited" }, { "io-weight", "7" }, { "io", "rbps=1m,wiops=3" },
		{ "io", "/dev/a:b:riops=1" }, { "disk", "1t" }, { "on-oom", "restart" },
		{ "restart", "unless-stopped" } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		set(rows[i][0], rows[i][1]);
	assert_int_equal(limits_write(&pc, &l, &e), 0);
	assert_int_equal(limits_read(&pc, &again, &e), 0);
	assert_memory_equal(&l, &again, sizeof(l));
	assert_string_equal(potconf_get(&pc, PC_MEMORY, ""), "67108864");
	assert_string_equal(potconf_get(&pc, PC_LIMIT "cpu-quota", ""), "33.3%");
	n = pc.kv.n;
	assert_int_equal(limits_write(&pc, &again, &e), 0);
	assert_int_equal(pc.kv.n, n);
	/* Other spellings in the file, as the classic tool writes them. */
	assert_int_equal(potconf_set(&pc, PC_MEMORY, "128M", &e), 0);
	assert_int_equal(limits_read(&pc, &again, &e), 0);
	assert_int_equal(again.memory, 128 << 20);
	assert_int_equal(potconf_set(&pc, PC_MEMORY, "lots", &e), -E_INVAL);
	assert_int_equal(potconf_set(&pc, PC_LIMIT "io", "x", &e), -E_INVAL);
}

static void
check(const struct limits_host *h, int code, const char *says)
{
	struct err e = ERR_INIT;
	int r = limits_check(&l, h, &e);

	if (r != -code || (code != 0 && strstr(e.msg, says) == NULL))
		fail_msg("%d: %s", r, e.msg);
}

static void
hosts(void **state)
{
	const struct limits_host h = { .memory = 1 << 30, .cpus = 4, .pids = 32768, .nofile = 1 << 20 };
	const struct limits_host unknown = { 0 };

	memset(&l, 0, sizeof(l));
	check(&h, 0, "");
	set("memory", "2g");
	check(&h, E_LIMIT, "at most 1073741824");
	check(&unknown, 0, "");
	set("memory", "1g");
	check(&h, 0, "");
	set("memory-swap", "512m");
	check(&h, E_INVAL, "at least 1073741824");
	set("memory", "0");
	check(&h, E_INVAL, "memory must be limited too");
	set("memory-swap", "0");
	set("memory", "64m");
	set("memory-reservation", "65m");
	check(&h, E_INVAL, "67108864");
	set("memory-reservation", "0");
	set("cpus", "5");
	check(&h, E_LIMIT, "at most 4");
	set("cpus", "4");
	set("cpu-quota", "400");
	check(&h, 0, "");
	set("cpu-quota", "401");
	check(&h, E_LIMIT, "at most 400%");
	set("cpu-quota", "0");
	set("pids", "32769");
	check(&h, E_LIMIT, "at most 32768");
	set("pids", "2");
	set("ulimit", "nofile=1:2000000");
	check(&h, E_LIMIT, "at most 1048576");
}

static void
choose(const char *allowed, const char *load, size_t want, const char *expect)
{
	unsigned a[16], n[16] = { 0 }, out[16], count = 0;
	struct err e = ERR_INIT;
	char text[64];

	for (const char *s = load; *s != '\0'; s += strcspn(s, ";"), s += *s == ';')
		limits_cpulist_count(s, n, 16);
	for (const char *s = allowed; *s != '\0'; s++)
		a[count++] = (unsigned)(*s <= '9' ? *s - '0' : *s - 'a' + 10);
	limits_cpus_choose(a, count, n, want, out);
	assert_int_equal(limits_cpulist_print(out, want, text, sizeof(text), &e), 0);
	assert_string_equal(text, expect);
}

static void
cpus(void **state)
{
	unsigned many[] = { 0, 2, 4, 6, 8, 10 };
	struct err e = ERR_INIT;
	char text[8];

	choose("0123", "", 1, "0");
	choose("0123", "", 4, "0-3");
	choose("0123", "0", 1, "1");
	choose("0123", "0;1;2;3;0", 1, "1");
	choose("0123", "0-2", 2, "0,3");
	choose("0123", "0-3;1;3", 2, "0,2");
	choose("0123", "0-3;0,2", 3, "0-1,3");
	choose("13", "1", 1, "3");
	choose("13", "", 2, "1,3");
	choose("012345", "0-5;3-4", 4, "0-2,5");
	/* Of a damaged list only what can be counted counts. */
	choose("0123", "0-99999999", 1, "0");
	choose("0123", "x", 1, "0");
	choose("0123", "0,,1", 1, "1");
	choose("0123", "3-1", 1, "0");
	assert_int_equal(limits_cpulist_print(many, 6, text, sizeof(text), &e), -E_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(parse), cmocka_unit_test(ulimits),
		cmocka_unit_test(devices), cmocka_unit_test(file), cmocka_unit_test(hosts),
		cmocka_unit_test(cpus) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
