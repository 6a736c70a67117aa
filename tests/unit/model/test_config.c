/*
 * The configuration file: the table, classic files, values of every type, and
 * a place for every mistake. Also what libconfuse must not do.
 */
#include "expect.h"
#include <sys/stat.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "model/config.h"

static int
parse(struct config **c, const char *text, struct err *e)
{
	return config_parse(c, text, strlen(text), "pot.conf", e);
}

static struct config *
good(const char *text)
{
	struct err e = ERR_INIT;
	struct config *c = NULL;

	if (parse(&c, text, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	return c;
}

static void
one(const char *text, const char *key, const char *want)
{
	struct config *c = good(text);

	assert_string_equal(config_get(c, key), want);
	config_free(c);
}

static void
refused(const char *text, const char *fragment)
{
	struct err e = ERR_INIT;
	struct config *c = NULL;

	expect_err(parse(&c, text, &e), E_INVAL, fragment);
	assert_null(c);
	assert_int_equal(parse(&c, text, NULL), -E_INVAL);
	/* The library's scanner has no memory of the broken file. */
	one("storage = btrfs\n", "storage", "btrfs");
}

static void
table(void **state)
{
	static const char *const names[] = { "btrfs_root", "build_cache_max", "cgroup_parent",
		"external_interface", "hook_timeout", "hostname_max", "isolate_pots", "log_files",
		"log_max_size", "mirror", "mmdebstrap", "network", "network6", "network_stack", "pids_limit",
		"pkg", "pull_streams", "routed6", "stop_timeout", "storage", "userns_count", "userns_first",
		"zfs_root" };
	struct config *c = good("");

	assert_int_equal(config_nkeys, ARRAY_LEN(names));
	for (size_t i = 0; i < config_nkeys; i++) {
		assert_string_equal(config_keys[i].name, names[i]);
		assert_string_equal(config_get(c, names[i]), config_keys[i].def);
		assert_string_equal(config_origin(c, names[i]), "default");
		assert_true(strlen(config_keys[i].summary) > 0);
		assert_true((config_keys[i].choices != NULL) == (config_keys[i].type == CONFIG_CHOICE));
	}
	assert_int_equal(config_uint(c, "log_max_size"), 10 * 1024 * 1024);
	assert_int_equal(config_uint(c, "log_files"), 3);
	assert_int_equal(config_uint(c, "hostname_max"), 63);
	assert_int_equal(config_duration_ms(c, "stop_timeout"), 10000);
	assert_int_equal(config_duration_ms(c, "hook_timeout"), 60000);
	assert_string_equal(config_get(c, "storage"), "auto");
	assert_string_equal(config_get(c, "network_stack"), "ipv4");
	assert_string_equal(config_get(c, "mmdebstrap"), "mmdebstrap");
	config_free(c);
	config_free(NULL);
}

static void
values(void **state)
{
	struct config *c = good("# a comment\n"
				"storage = zfs            # one more\n"
				"zfs_root=\"tank/pot\"\n"
				"  log_max_size =\t64m // and one\n"
				"/* several\n   lines = here */ log_files = 7\n"
				"stop_timeout = '1.5m'\r\n"
				"mirror = 'http://deb.debian.org/debian # x'\n"
				"mmdebstrap = /usr/bin/mmdebstrap\n"
				"cgroup_parent = \"\"");

	assert_string_equal(config_get(c, "storage"), "zfs");
	assert_string_equal(config_origin(c, "storage"), "pot.conf:2");
	assert_string_equal(config_get(c, "zfs_root"), "tank/pot");
	assert_int_equal(config_uint(c, "log_max_size"), 64 * 1024 * 1024);
	assert_int_equal(config_uint(c, "log_files"), 7);
	assert_string_equal(config_origin(c, "log_files"), "pot.conf:6");
	assert_int_equal(config_duration_ms(c, "stop_timeout"), 90000);
	assert_string_equal(config_origin(c, "stop_timeout"), "pot.conf:7");
	assert_string_equal(config_get(c, "mirror"), "http://deb.debian.org/debian # x");
	assert_string_equal(config_get(c, "mmdebstrap"), "/usr/bin/mmdebstrap");
	assert_string_equal(config_get(c, "cgroup_parent"), "");
	assert_string_equal(config_origin(c, "cgroup_parent"), "pot.conf:10");
	assert_string_equal(config_origin(c, "hook_timeout"), "default");
	config_free(c);
	one("storage = zfs", "storage", "zfs");
	one("network = 172.30.0.0/16", "network", "172.30.0.0/16");
	one("network6 = fd12:3456:789a::/64", "network6", "fd12:3456:789a::/64");
	one("routed6 = 2001:db8:1::/56", "routed6", "2001:db8:1::/56");
	one("storage = zfs log_files = 2\n", "log_files", "2");
	one("mirror =\nlog_files = 2\n", "mirror", "");
	one("mirror = # none\nlog_files = 2\n", "log_files", "2");
	one("mirror = http://host//path // x\nlog_files = 2\n", "mirror", "http://host//path");
	one("mirror = a/*x*/\nlog_files = 2\n", "mirror", "a");
	one("mirror = \"\\${HOME} \\\\n\"", "mirror", "${HOME} \\n");
	one("mirror = 'a\\n\\'b'", "mirror", "a\\n'b");
	one("mirror = '${HOME}'\n", "mirror", "${HOME}");
	one("mirror = \"a \\\"b\\\"\"\n", "mirror", "a \"b\"");
}

/* A file of the classic framework as it was shipped, with empty values. */
static void
classic(void **state)
{
	struct config *c = good("# pot configuration file\n"
				"POT_ZFS_ROOT=zroot/pot\n"
				"POT_FS_ROOT=/opt/pot\n"
				"POT_CACHE=/var/cache/pot\n"
				"POT_TMP=/tmp\n"
				"POT_GROUP=pot\n"
				"POT_MKTEMP_SUFFIX=.XXXXXXXX\n"
				"POT_HOSTNAME_MAX_LENGTH=64\n"
				"POT_NETWORK=10.192.0.0/10\n"
				"POT_NETMASK=255.192.0.0\n"
				"POT_GATEWAY=10.192.0.1\n"
				"POT_EXTIF=em0\n"
				"POT_EXTRA_EXTIF=\n"
				"POT_NETWORK_em1=192.168.0.0/24\n"
				"POT_NETWORK_vlan.10=\n"
				"POT_EXTIF_ADDR=   # none\n"
				"POT_NETWORK_STACK=dual\n"
				"POT_DNS_NAME=dns\n"
				"POT_DNS_IP=10.192.0.2\n"
				"POT_ISOLATE_VNET_POTS=false\n"
				"POT_EXPORT_PORTS_PF_RULES_HOOK=\n"
				"POT_DEFAULT_SIGNATURE_PUBKEY=\n"
				"POT_VPN_EXTIF=\n"
				"POT_VPN_NETWORKS=\n"
				"POT_LOG_FACILITY=local2\n");

	assert_string_equal(config_get(c, "zfs_root"), "zroot/pot");
	assert_string_equal(config_origin(c, "zfs_root"), "pot.conf:2");
	assert_int_equal(config_uint(c, "hostname_max"), 64);
	assert_string_equal(config_get(c, "network_stack"), "dual");
	assert_string_equal(config_origin(c, "network_stack"), "pot.conf:17");
	assert_string_equal(config_get(c, "network"), "10.192.0.0/10");
	assert_string_equal(config_get(c, "external_interface"), "em0");
	assert_int_equal(config_uint(c, "isolate_pots"), 0);
	config_free(c);
	/* Nothing is the default for a shell. */
	one("POT_NETWORK_STACK=\nPOT_ZFS_ROOT=", "network_stack", "ipv4");
	one("POT_HOSTNAME_MAX_LENGTH=\nlog_files=9\n", "log_files", "9");
}

static void
mistakes(void **state)
{
	static const struct {
		const char *text, *fragment;
	} rows[] = {
		{ "\n  storag = zfs\n", "pot.conf:2:3: unknown setting 'storag'" },
		{ "POT_ZFS_ROT=zroot\n", "pot.conf:1:1: unknown setting 'POT_ZFS_ROT'" },
		{ "include(\"/etc/passwd\")\n", "pot.conf:1:1: unknown setting 'include'" },
		{ "__unknown = 1", "pot.conf:1:1: unknown setting '__unknown'" },
		{ "a|b = 1", "pot.conf:1:1: '|' in the name of a setting" },
		{ "storage|x = 1", "pot.conf:1:1: '|' in the name of a setting" },
		{ "\"storage=x|\" = 1", "pot.conf:1:" },
		{ "storage = disk\n",
		    "pot.conf:1:1: storage: 'disk' is not one of auto|zfs|btrfs|overlay|copy" },
		{ "storage = ''\n", "storage: '' is not one of" },
		{ "#\n#\n    network_stack = ipv5\n",
		    "pot.conf:3:5: network_stack: 'ipv5' is not one of ipv4|ipv6|dual" },
		{ "POT_NETWORK_STACK=ipv5", "pot.conf:1:1: POT_NETWORK_STACK: 'ipv5' is not one of" },
		{ "log_files = many\n", "pot.conf:1:1: log_files" },
		{ "log_files = 0\n", "pot.conf:1:1: log_files" },
		{ "log_files = 1001\n", "pot.conf:1:1: log_files" },
		{ "log_files = -1\n", "pot.conf:1:1: log_files" },
		{ "log_max_size = 10X\n", "pot.conf:1:1: log_max_size" },
		{ "log_max_size = 1k\n", "pot.conf:1:1: log_max_size: '1k' is too small" },
		{ "log_max_size = 2000g\n", "pot.conf:1:1: log_max_size: '2000g' is too large" },
		{ "stop_timeout = soon\n", "pot.conf:1:1: stop_timeout" },
		{ "hook_timeout = 2d\n", "pot.conf:1:1: hook_timeout: '2d' is too large" },
		{ "hostname_max = 65\n", "pot.conf:1:1: hostname_max" },
		{ "storage = zfs\n\nstorage = btrfs\n",
		    "pot.conf:3:1: storage is set a second time, first on line 1" },
		{ "storage = zfs storage = zfs\n", "storage is set a second time" },
		{ "zfs_root = a\nPOT_ZFS_ROOT=b\n",
		    "pot.conf:2:1: POT_ZFS_ROOT is the same setting as the one at pot.conf:1" },
		{ "mirror = 'a\n'", "pot.conf:1:10: a quote is opened and not closed on this line" },
		{ "mirror = \"a", "pot.conf:1:10: a quote is opened and not closed" },
		{ "mirror = \"a\\\"", "pot.conf:1:10: a quote is opened and not closed" },
		{ "\n/* x\n\n", "pot.conf:2:1: a comment is opened and not closed" },
		{ "mirror = a+b\n", "pot.conf:1:11: a value with + or * in it needs quotes" },
		{ "mirror = \"a\\9\"", "pot.conf:1:12: in double quotes only \\\" \\\\ and \\$ are escapes" },
		{ "mirror = \"\\777\"", "pot.conf:1:11: in double quotes only" },
		{ "mirror = \"\\x00b\"", "pot.conf:1:11: in double quotes only" },
		{ "mirror = \"a\\nb\"", "pot.conf:1:12: in double quotes only" },
		{ "mirror = \"a\\", "pot.conf:1:10: a quote is opened and not closed" },
		{ "mirror = ${HOME}\n", "pot.conf:1:10: variables are not replaced here" },
		{ "mirror = \"x${HOME:-y}\"\n", "pot.conf:1:12: variables are not replaced here" },
		{ "log_files = 2\nmirror = {a, b}\n", "pot.conf:2:" },
		{ "storage {\n a = b\n}\n", "pot.conf:1:1: missing equal sign after option 'storage'" },
		{ "storage = zfs\nstorage\n\n \n", "pot.conf:2:1: premature end of file" },
		{ "storage", "pot.conf:1:1: premature end of file" },
		{ "network = 10.192.0.1/16", "'10.192.0.1/16' is not the address of an IPv4 range" },
		{ "network = fd00::/64", "is not the address of an IPv4 range of length 1 to 30" },
		{ "network = 10.192.0.0/31", "is not the address of an IPv4 range of length 1 to 30" },
		{ "network = 10.192.0.0/33", "prefix length" },
		{ "network6 = x", "'x' is neither an IPv4 nor an IPv6 address" },
		{ "isolate_pots = maybe", "is neither yes nor no" },
		{ "storage zfs", "pot.conf:1:1: missing equal sign after option 'storage'" },
		{ "storage = zfs }", "pot.conf:1:1: unexpected closing brace" },
		{ "= x", "pot.conf:1:" },
		{ "mirror = a\x01", "pot.conf:1:11: control character" },
		{ "mirror = 'a\x1b'", "pot.conf:1:12: control character" },
		{ "export POT_FS_ROOT=/opt/pot", "pot.conf:1:1: unknown setting 'export'" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refused(rows[i].text, rows[i].fragment);
}

static void
hints(void **state)
{
	struct err e = ERR_INIT;
	struct config *c = NULL;

	expect_err(parse(&c, "storag = zfs", &e), E_INVAL, "unknown setting 'storag'");
	expect_hint("did you mean storage?");
	expect_err(parse(&c, "POT_ZFS_ROT=x", &e), E_INVAL, "unknown");
	expect_hint("did you mean POT_ZFS_ROOT?");
	expect_err(parse(&c, "completely_other = x", &e), E_INVAL, "unknown");
	expect_hint("pot.conf(5) lists the settings");
}

static void
nul_byte(void **state)
{
	struct err e = ERR_INIT;
	struct config *c = NULL;

	expect_err(config_parse(&c, "log_files = 2\n\0storage = x", 26, "f", &e), E_INVAL,
	    "f:2:1: control character");
}

static void
long_line(void **state)
{
	struct err e = ERR_INIT;
	struct config *c = NULL;
	char text[4200];

	memset(text, 'x', sizeof(text));
	memcpy(text, "\nmirror = ", 10);
	expect_err(
	    config_parse(&c, text, 1 + 4097, "f", &e), E_INVAL, "f:2:4097: a line is longer than 4096 bytes");
	assert_int_equal(config_parse(&c, text, 1 + 4096, "f", &e), 0);
	assert_int_equal(strlen(config_get(c, "mirror")), 4096 - 9);
	config_free(c);
}

static void
put_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void
files(void **state)
{
	char dir[] = "/tmp/pot-test-config-XXXXXX", path[64], link[64];
	struct err e = ERR_INIT;
	struct config *c = NULL;
	AUTO_FREE char *big = calloc(1, 1024 * 1024 + 1);

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pot.conf", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(config_load(&c, NULL, &e), 0);
	config_free(c);
	assert_int_equal(config_load(&c, path, &e), 0);
	assert_string_equal(config_origin(c, "storage"), "default");
	config_free(c);
	put_file(path, "", 0);
	assert_int_equal(config_load(&c, path, &e), 0);
	config_free(c);
	put_file(path, "storage=btrfs", 13);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(config_load(&c, link, &e), 0);
	assert_string_equal(config_get(c, "storage"), "btrfs");
	expect_text(config_origin(c, "storage"), "/link:1", __FILE__, __LINE__);
	config_free(c);
	put_file(path, "bad", 3);
	expect_err(config_load(&c, path, &e), E_INVAL, "/pot.conf:1:1: unknown setting 'bad'");
	expect_err(config_load(&c, dir, &e), E_INVAL, "not a regular file");
	assert_non_null(big);
	memset(big, '\n', 1024 * 1024 + 1);
	put_file(path, big, 1024 * 1024 + 1);
	expect_err(config_load(&c, path, &e), E_LIMIT, "configuration /tmp/pot-test-config-");
	put_file(path, big, 1024 * 1024);
	assert_int_equal(config_load(&c, path, &e), 0);
	config_free(c);
	assert_int_equal(unlink(path), 0);
	/* A FIFO is told at once, it does not block. */
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_err(config_load(&c, path, &e), E_INVAL, "not a regular file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(values),
		cmocka_unit_test(classic),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(hints),
		cmocka_unit_test(nul_byte),
		cmocka_unit_test(long_line),
		cmocka_unit_test(files),
	};

	/* Were the environment read, it would be seen. */
	if (setenv("HOME", "expanded", 1) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
