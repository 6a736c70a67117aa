/* A pot's configuration: defaults, every known key, the repeated keys, round trips. */
#include "expect.h"
#include <stdio.h>
#include "model/potconf.h"

static int
parse(struct potconf *pc, const char *text, struct err *e)
{
	return potconf_parse(pc, text, strlen(text), "pot.conf", e);
}

static char *
print(const struct potconf *pc)
{
	struct buf b = BUF_INIT(KV_FILE_MAX);

	kv_print(&pc->kv, &b);
	return buf_take(&b);
}

static void
defaults(void **state)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(parse(&pc, "", &e), 0);
	assert_string_equal(potconf_get(&pc, PC_NETWORK, "inherit"), "inherit");
	assert_null(potconf_get(&pc, PC_CMD, NULL));
	assert_string_equal(potconf_attr(&pc, "stop_timeout"), "10");
	assert_string_equal(potconf_attr(&pc, "exec_stop"), "");
	assert_string_equal(potconf_attr(&pc, "no such"), "");
	assert_false(potconf_attr_bool(&pc, "persistent"));
	assert_true(potconf_attr_bool(&pc, "no-tmpfs"));
}

static void
round_trip(void **state)
{
	static const char text[] =
	    "pot.version=1\npot.id=0123456789abcdef\npot.base=debian-12.5\npot.potbase=\n"
	    "pot.type=single\npot.level=0\npot.dns=inherit\npot.cmd=sh -c 'a b'\n"
	    "host.hostname=web.node\nnetwork_type=none\npot.stack=dual\n"
	    "pot.created=2026-11-22T20:52:27Z\nip=10.192.0.2\nip=eth0|fd00::2/64\nbridge=public\n"
	    "bridge=db\npot.export.ports=8080:80/tcp\npot.export.ports=[::1]::53/udp\npot.net.in=8000\n"
	    "pot.net.out=1000000\npot.alias=www\npot.alias=www.local\npot.env=A=1\npot.env=B=x\\ny=z\n"
	    "pot.hosts=10.0.0.1 db\npot.hosts=fd00::1 db\npot.mount=/a /b ro\n"
	    "pot.mount='/a b' /c\npot.attr.persistent=YES\nfuture.key=kept\n"
	    "future.key=twice\npot.attr.future=?\n";
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;
	AUTO_FREE char *out = NULL;
	struct err e = ERR_INIT;
	size_t pos = 0;

	if (parse(&pc, text, &e) < 0)
		fail_msg("%s", e.msg);
	out = print(&pc);
	assert_string_equal(out, text);
	assert_string_equal(potconf_get(&pc, PC_BASE, ""), "debian-12.5");
	assert_true(potconf_attr_bool(&pc, "persistent"));
	assert_string_equal(kv_next(&pc.kv, PC_ENV, &pos), "A=1");
	assert_string_equal(kv_next(&pc.kv, PC_ENV, &pos), "B=x\ny=z");
}

static void
bad_values(void **state)
{
	static const struct {
		const char *text, *fragment;
		enum err_code code;
	} rows[] = {
		{ "pot.version=2", "pot.conf:1: pot.version: version '2' of the format: made by a newer pot",
		    E_NOTSUP },
		{ "pot.version=", "made by a newer pot", E_NOTSUP },
		{ "pot.id=0123", "pot.conf:1: pot.id: '0123' is not 16 hexadecimal digits", E_INVAL },
		{ "pot.id=0123456789ABCDEF", "is not 16 hexadecimal digits", E_INVAL },
		{ "pot.base=../x", "pot.conf:1: pot.base: base name '../x': not a valid name", E_INVAL },
		{ "pot.potbase=a/b", "pot.conf:1: pot.potbase: pot name 'a/b'", E_INVAL },
		{ "pot.type=double", "pot.conf:1: pot.type: 'double' is not one of single, multi", E_INVAL },
		{ "pot.level=3", "pot.conf:1: pot.level: level", E_INVAL },
		{ "pot.level=-1", "pot.conf:1: pot.level: level", E_INVAL },
		{ "pot.dns=x", "pot.conf:1: pot.dns: 'x' is not one of inherit, ", E_INVAL },
		{ "pot.cmd=sh -c 'x", "pot.conf:1: pot.cmd: ", E_INVAL },
		{ "host.hostname=a_b", "pot.conf:1: host.hostname: 'a_b' is not a host name", E_INVAL },
		{ "host.hostname=", "host.hostname: '' is not a host name", E_INVAL },
		{ "network_type=host",
		    "network_type: 'host' is not one of inherit, none, public-bridge, private-bridge, alias",
		    E_INVAL },
		{ "ip=10.0.0", "ip: '10.0.0' is neither", E_INVAL },
		{ "ip=|10.0.0.1", "ip: '|10.0.0.1' is not of the form", E_INVAL },
		{ "ip=a b|10.0.0.1", "is not of the form", E_INVAL },
		{ "ip=10.0.0.1/33", "prefix length", E_INVAL },
		{ "bridge=../x", "bridge: bridge name '../x'", E_INVAL },
		{ "pot.export.ports=80", "pot.export.ports: port '80'", E_INVAL },
		{ "pot.export.ports=80:80", "'80:80' is not written as 80:80/tcp", E_INVAL },
		{ "pot.export.ports=80-81:80-81/tcp", "is not written as", E_INVAL },
		{ "pot.net.in=1", "pot.net.in: ", E_INVAL },
		{ "pot.net.out=10m", "pot.net.out: ", E_INVAL },
		{ "pot.net.in=8000\npot.net.in=8000", "set a second time", E_INVAL },
		{ "pot.alias=a b", "pot.alias: 'a b' is not a host name", E_INVAL },
		{ "pot.stack=ipv5", "pot.stack: 'ipv5' is not one of ipv4, ipv6, dual", E_INVAL },
		{ "pot.created=yesterday", "pot.conf:1: pot.created: ", E_INVAL },
		{ "pot.env=A", "pot.conf:1: pot.env: environment variable A: no '='", E_INVAL },
		{ "pot.hosts=db 10.0.0.1", "pot.hosts: host 10.0.0.1: 'db' is neither", E_INVAL },
		{ "pot.hosts=10.0.0.1", "is not of the form ADDRESS NAME", E_INVAL },
		{ "pot.mount=/a", "pot.mount: '/a' is not of the form SOURCE TARGET [ro]", E_INVAL },
		{ "pot.mount=/a /b rw", "is not of the form", E_INVAL },
		{ "pot.mount=/a /", "the root itself cannot be mounted over", E_INVAL },
		{ "pot.mount=a /b", "mount source 'a': not an absolute path", E_INVAL },
		{ "pot.mount=/a /b/../c", "'..' is not allowed", E_INVAL },
		{ "pot.mount=/a '/b", "pot.conf:1: pot.mount: ", E_INVAL },
		{ "pot.attr.persistent=maybe", "attribute persistent: 'maybe' is neither YES nor NO",
		    E_INVAL },
		{ "pot.attr.stop_signal=FOO", "attribute stop_signal: signal 'FOO'", E_INVAL },
		{ "pot.type=single\n\n# c\npot.type=single", "pot.conf:4: pot.type: set a second time",
		    E_INVAL },
		{ "pot.attr.zfs=NO\npot.attr.zfs=NO", "pot.conf:2: pot.attr.zfs: set a second time",
		    E_INVAL },
		{ "pot.mount=/a /b\npot.mount=/c //b/", "pot.conf: pot.mount: /b is used twice", E_INVAL },
		/* A newer layout is told as such, whatever else this version does not understand of it. */
		{ "pot.type=other\npot.version=9", "pot.conf:2: pot.version: version '9'", E_NOTSUP },
	};
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(parse(&pc, "pot.base=kept\n", &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		expect_err(parse(&pc, rows[i].text, &e), rows[i].code, rows[i].fragment);
		assert_int_equal(parse(&pc, rows[i].text, NULL), -(int)rows[i].code);
		assert_string_equal(potconf_get(&pc, PC_BASE, ""), "kept");
	}
	expect_err(parse(&pc, "no line", &e), E_INVAL, "pot.conf:1:");
	assert_int_equal(potconf_parse(&pc, "pot.cmd=a\0b", 11, "pot.conf", &e), -E_INVAL);
}

static void
set(void **state)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;
	AUTO_FREE char *out = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(potconf_set(&pc, PC_TYPE, "single", &e), 0);
	assert_int_equal(potconf_set(&pc, PC_TYPE, "multi", &e), 0);
	assert_int_equal(potconf_set(&pc, "pot.attr.persistent", "on", &e), 0);
	assert_int_equal(potconf_set(&pc, "pot.attr.stop_timeout", "1m", &e), 0);
	assert_int_equal(potconf_set(&pc, "x", "y", &e), 0);
	expect_err(potconf_set(&pc, PC_TYPE, "none", &e), E_INVAL, "pot.type: 'none' is not one of");
	expect_err(potconf_set(&pc, "pot.attr.persistent", "x", &e), E_INVAL, "attribute persistent");
	expect_err(potconf_set(&pc, "Bad Key", "x", &e), E_INVAL, "Bad Key");
	assert_int_equal(potconf_set(&pc, "x", NULL, &e), 0);
	assert_int_equal(potconf_clear(&pc, "not there", &e), 0);
	out = print(&pc);
	assert_string_equal(out, "pot.type=multi\npot.attr.persistent=YES\npot.attr.stop_timeout=60\n");
	assert_true(potconf_attr_bool(&pc, "persistent"));
	assert_string_equal(potconf_attr(&pc, "stop_timeout"), "60");
}

static void
env(void **state)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;
	AUTO_FREE char *out = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(potconf_env_add(&pc, "A=1", &e), 0);
	assert_int_equal(potconf_env_add(&pc, "AB=2", &e), 0);
	assert_int_equal(potconf_env_add(&pc, "_x9=a=b", &e), 0);
	assert_int_equal(potconf_env_add(&pc, "EMPTY=", &e), 0);
	assert_int_equal(potconf_env_add(&pc, "A=line\nline", &e), 0);
	out = print(&pc);
	assert_string_equal(out, "pot.env=A=line\\nline\npot.env=AB=2\npot.env=_x9=a=b\npot.env=EMPTY=\n");
	assert_int_equal(potconf_env_remove(&pc, "AB", &e), 0);
	expect_err(potconf_env_remove(&pc, "AB", &e), E_NOENT, "environment variable AB: not set");
	expect_err(potconf_env_remove(&pc, "A=1", &e), E_INVAL, "environment variable 'A': not a valid name");
	expect_err(potconf_env_remove(&pc, "", &e), E_INVAL, "not a valid name");
	free(out);
	out = print(&pc);
	assert_string_equal(out, "pot.env=A=line\\nline\npot.env=_x9=a=b\npot.env=EMPTY=\n");
	assert_int_equal(potconf_clear(&pc, PC_ENV, &e), 0);
	assert_int_equal(pc.kv.n, 0);
}

static void
env_refused(void **state)
{
	struct err e = ERR_INIT;
	AUTO_FREE char *big = malloc(131073);

	expect_err(potconf_env_check("FOO", &e), E_INVAL, "environment variable FOO: no '='");
	expect_hint("give NAME=value");
	expect_err(potconf_env_check("", &e), E_INVAL, "no '='");
	expect_err(potconf_env_check("my secret words", &e), E_INVAL, "no '='");
	assert_null(strstr(e.msg, "secret"));
	expect_err(potconf_env_check("=x", &e), E_INVAL, "environment variable '': not a valid name");
	expect_err(
	    potconf_env_check("1A=secret", &e), E_INVAL, "environment variable '1A': not a valid name");
	expect_hint("not beginning with a digit");
	assert_null(strstr(e.msg, "secret"));
	expect_err(potconf_env_check("A-B=x", &e), E_INVAL, "'A-B'");
	expect_err(potconf_env_check("A B=x", &e), E_INVAL, "'A B'");
	expect_err(potconf_env_check("Ä=x", &e), E_INVAL, "not a valid name");
	assert_non_null(big);
	memset(big, 'x', 131073);
	memcpy(big, "A=", 2);
	big[131072] = '\0';
	expect_err(potconf_env_check(big, &e), E_LIMIT, "environment variable A: longer than 131071 bytes");
	big[131071] = '\0';
	assert_int_equal(potconf_env_check(big, &e), 0);
}

/* A file that could not be read again is never made. */
static void
file_limit(void **state)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT, again = POTCONF_INIT;
	AUTO_FREE char *big = malloc(100001), *out = NULL;
	struct err e = ERR_INIT;
	int r = 0;

	assert_non_null(big);
	memset(big, '\\', 100000);
	big[100000] = '\0';
	for (int i = 0; i < 10 && r == 0; i++) {
		memcpy(big, "A0=", 3);
		big[1] = (char)(big[1] + i);
		r = potconf_env_add(&pc, big, &e);
	}
	expect_err(r, E_LIMIT, "pot.env: the pot's configuration would be larger than 1048576 bytes");
	out = print(&pc);
	assert_non_null(out);
	assert_true(strlen(out) > 900000);
	assert_int_equal(parse(&again, out, &e), 0);
}

static void
hosts(void **state)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;
	AUTO_FREE char *out = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(potconf_hosts_add(&pc, "db:10.0.0.1", &e), 0);
	assert_int_equal(potconf_hosts_add(&pc, "db:FD00:0:0::1", &e), 0);
	assert_int_equal(potconf_hosts_add(&pc, "cache.local:10.0.0.2", &e), 0);
	assert_int_equal(potconf_hosts_add(&pc, "DB:10.0.0.3", &e), 0);
	out = print(&pc);
	assert_string_equal(
	    out, "pot.hosts=10.0.0.3 DB\npot.hosts=fd00::1 db\npot.hosts=10.0.0.2 cache.local\n");
	expect_err(potconf_hosts_remove(&pc, "d", &e), E_NOENT, "host 'd': not in the pot's list");
	expect_err(potconf_hosts_remove(&pc, "", &e), E_NOENT, "host ''");
	assert_int_equal(potconf_hosts_remove(&pc, "db", &e), 0);
	assert_int_equal(pc.kv.n, 1);
	expect_err(potconf_hosts_remove(&pc, "db", &e), E_NOENT, "host 'db'");
}

static void
hosts_refused(void **state)
{
	static const char *const addresses[] = { "db:", "db:10.0.0", "db:10.0.0.256", "db:010.0.0.1",
		"db:fd00::1%eth0", "db:[fd00::1]", "db: 10.0.0.1", "db:10.0.0.1 ", "db:10.0.0.1\nx",
		"db:localhost", "db:::g", "db:0x7f.1", "db:1" };
	static const char *const names[] = { ":10.0.0.1", "a_b:10.0.0.1", "a b:10.0.0.1", "-a:10.0.0.1",
		"a\n:10.0.0.1", "a.:10.0.0.1" };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		expect_err(
		    potconf_hosts_check(addresses[i], &e), E_INVAL, "is neither an IPv4 nor an IPv6 address");
		expect_hint("NAME:ADDRESS");
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		expect_err(potconf_hosts_check(names[i], &e), E_INVAL, "not a host name");
	expect_err(potconf_hosts_check("db", &e), E_INVAL, "host 'db': no ':'");
	assert_int_equal(potconf_hosts_check("db:::1", &e), 0);
	assert_int_equal(potconf_hosts_check("db", NULL), -E_INVAL);
}

static void
mounts(void **state)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;
	AUTO_FREE char *out = NULL;
	struct potconf_mount a = { "/srv//data/", "/data", true },
			     b = { "/srv/my data", "/mnt/./x y/", false }, c = { "/", "//data//", false },
			     *got;
	struct err e = ERR_INIT;
	size_t n;

	assert_int_equal(potconf_mount_add(&pc, &a, &e), 0);
	assert_int_equal(potconf_mount_add(&pc, &b, &e), 0);
	expect_err(potconf_mount_add(&pc, &c, &e), E_EXIST, "mount target /data: used already");
	assert_int_equal(potconf_mounts(&pc, &got, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(got[0].source, "/srv/data");
	assert_string_equal(got[0].target, "/data");
	assert_true(got[0].ro);
	assert_string_equal(got[1].source, "/srv/my data");
	assert_string_equal(got[1].target, "/mnt/x y");
	assert_false(got[1].ro);
	potconf_mounts_free(got, n);
	expect_err(
	    potconf_mount_remove(&pc, "/dat", &e), E_NOENT, "mount target /dat: nothing is mounted there");
	expect_err(potconf_mount_remove(&pc, "dat", &e), E_INVAL, "not an absolute path");
	assert_int_equal(potconf_mount_remove(&pc, "//data/", &e), 0);
	assert_int_equal(potconf_mount_add(&pc, &c, &e), 0);
	out = print(&pc);
	assert_string_equal(out, "pot.mount='/srv/my data' '/mnt/x y'\npot.mount=/ /data\n");
	assert_int_equal(potconf_clear(&pc, PC_MOUNT, &e), 0);
	assert_int_equal(potconf_mounts(&pc, &got, &n, &e), 0);
	assert_int_equal(n, 0);
	potconf_mounts_free(got, n);
}

static void
mounts_refused(void **state)
{
	static const struct {
		struct potconf_mount m;
		const char *fragment;
	} rows[] = {
		{ { "rel", "/t", false }, "mount source 'rel': not an absolute path" },
		{ { "", "/t", false }, "mount source '': not an absolute path" },
		{ { "/s", "t", false }, "mount target 't': not an absolute path" },
		{ { "/s", "", false }, "mount target ''" },
		{ { "/s", "/", false }, "mount target /: the root itself" },
		{ { "/s", "//./", false }, "mount target /: the root itself" },
		{ { "/s/..", "/t", false }, "mount source '/s/..': '..' is not allowed" },
		{ { "/s", "/../t", false }, "mount target '/../t': '..' is not allowed" },
	};
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;
	struct err e = ERR_INIT;
	char path[5000] = "/", *p = path;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect_err(potconf_mount_add(&pc, &rows[i].m, &e), E_INVAL, rows[i].fragment);
	memset(p + 1, 'x', sizeof(path) - 2);
	path[4096] = '\0';
	expect_err(potconf_mount_add(&pc, &(struct potconf_mount){ p, "/t", false }, &e), E_INVAL,
	    "longer than 4095 bytes");
	path[4095] = '\0';
	assert_int_equal(potconf_mount_add(&pc, &(struct potconf_mount){ p, "/t", false }, &e), 0);
	assert_int_equal(potconf_mount_add(&pc, &(struct potconf_mount){ "/..a", "/...", false }, &e), 0);
	assert_int_equal(pc.kv.n, 2);
}

/* Paths may hold anything: quotes, newlines, what looks like options. */
static void
odd_paths(void **state)
{
	static const char *const paths[] = { "/a'b", "/a\"b", "/a\nb", "/a\\b", "/ ro", "/a\tb", "/$(x)",
		"/ä", "/#" };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT, again = POTCONF_INIT;
		AUTO_FREE char *out = NULL;
		struct potconf_mount m = { (char *)(uintptr_t)paths[i], (char *)(uintptr_t)paths[i], true },
				     *got;
		size_t n;

		assert_int_equal(potconf_mount_add(&pc, &m, &e), 0);
		out = print(&pc);
		if (parse(&again, out, &e) < 0)
			fail_msg("%s: %s", out, e.msg);
		assert_int_equal(potconf_mounts(&again, &got, &n, &e), 0);
		assert_int_equal(n, 1);
		assert_string_equal(got[0].source, paths[i]);
		assert_string_equal(got[0].target, paths[i]);
		assert_true(got[0].ro);
		potconf_mounts_free(got, n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(set),
		cmocka_unit_test(env),
		cmocka_unit_test(env_refused),
		cmocka_unit_test(file_limit),
		cmocka_unit_test(hosts),
		cmocka_unit_test(hosts_refused),
		cmocka_unit_test(mounts),
		cmocka_unit_test(mounts_refused),
		cmocka_unit_test(odd_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
