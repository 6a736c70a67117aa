/* Settings of walls: which texts they take, what they mean, and what pot.conf then has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "model/caps.h"
#include "model/walls.h"

static struct err e;

static uint64_t
caps_of(const char *const *settings)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;
	uint64_t caps;

	for (; settings[0] != NULL; settings += 2)
		assert_int_equal(walls_set(&pc, settings[0], settings[1], &e), 0);
	assert_int_equal(walls_caps(&pc, &caps, &e), 0);
	return caps;
}
#define CAPS(...) caps_of((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static void
capabilities(void **state)
{
	(void)state;
	assert_true(CAPS() == CAPS_DEFAULT);
	assert_true(CAPS("cap-drop", "all") == 0);
	assert_true(CAPS("cap-drop", "ALL", "cap-add", "CAP_Chown") == 1);
	assert_true(CAPS("cap-add", "net_admin") == (CAPS_DEFAULT | 1 << 12));
	assert_true(CAPS("cap-add", "all", "cap-drop", "chown") == (CAPS_ALL & ~UINT64_C(1)));
	assert_true(CAPS("privileged", "yes", "cap-drop", "chown") == (CAPS_ALL & ~UINT64_C(1)));
	assert_true(CAPS("cap-add", "chown", "cap-drop", "chown") == (CAPS_DEFAULT & ~UINT64_C(1)));
	assert_true(CAPS("cap-drop", "all", "cap-drop", "default") == CAPS_DEFAULT);
	assert_int_equal(caps_count, 41);
}

static void
refused(const char *name, const char *value)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;

	memset(&e, 0, sizeof(e));
	if (walls_set(&pc, name, value, &e) >= 0)
		fail_msg("%s=%s was taken", name, value);
	assert_true(e.code != 0 && e.msg[0] != '\0');
	assert_int_equal(pc.kv.n, 0);
}

static void
mistakes(void **state)
{
	static const char *const bad[][2] = { { "cap-add", "net_admn" }, { "cap-add", "" },
		{ "cap-add", "0" }, { "device", "null" }, { "device", "/dev/null:/tmp/x" },
		{ "device", "/dev/null:/dev/" }, { "device", "/dev/null:/dev/../etc/x" },
		{ "device", "/dev/null:/dev/a//b" }, { "device", "/dev/null:/dev/x:r" },
		{ "device", "/dev/null\n" }, { "sysctl", "vm.swappiness=1" },
		{ "sysctl", "kernel.core_pattern=|/x" }, { "sysctl", "net/../kernel/core_pattern=x" },
		{ "sysctl", "net" }, { "sysctl", "=1" }, { "sysctl", "net.x=1\npot.privileged=YES" },
		{ "tmpfs", "x" }, { "tmpfs", "/" }, { "tmpfs", "//" }, { "tmpfs", "/a/../b" },
		{ "tmpfs", "/a:size=x" }, { "tmpfs", "/a:mode=9" }, { "tmpfs", "/a:suid" },
		{ "userns", "maybe" }, { "privileged", "very" }, { "seccomp", "/a/file" },
		{ "shm-size", "1" }, { "shm-size", "-1" }, { "walls", "none" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refused(bad[i][0], bad[i][1]);
}

static void
one_for_each_thing(void **state)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;
	struct walls_tmpfs t;
	struct walls_sysctl s;
	size_t pos = 0;

	(void)state;
	assert_int_equal(walls_set(&pc, "tmpfs", "/a:size=1m", &e), 0);
	assert_int_equal(walls_set(&pc, "tmpfs", "/b", &e), 0);
	assert_int_equal(walls_set(&pc, "tmpfs", "/a:mode=700,ro,exec", &e), 0);
	assert_string_equal(kv_next(&pc.kv, PC_TMPFS, &pos), "/b");
	assert_string_equal(kv_next(&pc.kv, PC_TMPFS, &pos), "/a:mode=700,ro,exec");
	assert_null(kv_next(&pc.kv, PC_TMPFS, &pos));
	assert_int_equal(walls_tmpfs("/a:mode=700,ro,exec,size=1m", &t, &e), 0);
	assert_true(t.mode == 0700 && t.read_only && t.exec && t.size == 1 << 20);
	assert_int_equal(walls_sysctl("net.ipv4.conf.eth0/1.forwarding=1", &s, &e), 0);
	assert_string_equal(s.path, "net/ipv4/conf/eth0.1/forwarding");
	assert_true(s.net);
	assert_int_equal(walls_set(&pc, "userns", "host", &e), 0);
	assert_string_equal(potconf_get(&pc, PC_USERNS, ""), "off");
	assert_int_equal(walls_set(&pc, "shm-size", "1g", &e), 0);
	assert_string_equal(potconf_get(&pc, PC_SHM_SIZE, ""), "1073741824");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(one_for_each_thing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
