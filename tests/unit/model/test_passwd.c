/*
 * Users of a hostile root: what is read, what is passed over, and that nothing
 * wrong ever becomes root.
 */
#include "expect.h"
#include "model/passwd.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
			     "daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"
			     "www:x:33:34:www,data:/var/www:/bin/sh\n"
			     "www:x:0:0:second of the name:/:/bin/sh\n"
			     "twin:x:33:99:second of the uid:/twin:/bin/sh\n"
			     "rel:x:40:40::home/rel:sh\n"
			     "nohome:x:41:41:::\n"
			     "max:x:4294967294:4294967294::/:/bin/sh\n"
			     "last:x:50:50::/last:/bin/last";
static const char group[] = "root:x:0:\nadm:x:4:www,last\nwww:x:34:www\nweb:x:35:other,www\nweb2:x:35:www\n"
			    "prefix:x:36:ww,wwww\nempty:x:37:,,\nrootish:x:38:root";

static struct passwd_user u;

static int
lookup(const char *spec, struct err *e)
{
	memset(&u, 0xff, sizeof(u));
	return passwd_lookup(passwd, group, spec, &u, e);
}

static void
check(const char *spec, uid_t uid, gid_t gid, const char *name, const char *home, const char *shell)
{
	struct err e = ERR_INIT;

	if (lookup(spec, &e) < 0)
		fail_msg("%s: %s", spec, e.msg);
	assert_int_equal(u.uid, uid);
	assert_int_equal(u.gid, gid);
	assert_true(u.ngroups >= 1);
	assert_int_equal(u.groups[0], gid);
	assert_string_equal(u.name, name);
	assert_string_equal(u.home, home);
	assert_string_equal(u.shell, shell);
}

static void
users(void **state)
{
	check(NULL, 0, 0, "root", "/root", "/bin/bash");
	check("", 0, 0, "root", "/root", "/bin/bash");
	check("root", 0, 0, "root", "/root", "/bin/bash");
	check("0", 0, 0, "root", "/root", "/bin/bash");
	check("www", 33, 34, "www", "/var/www", "/bin/sh");
	check("33", 33, 34, "www", "/var/www", "/bin/sh");
	check("twin", 33, 99, "twin", "/twin", "/bin/sh");
	check("rel", 40, 40, "rel", "/", "");
	check("nohome", 41, 41, "nohome", "/", "");
	check("last", 50, 50, "last", "/last", "/bin/last");
	check("4294967294", 4294967294u, 4294967294u, "max", "/", "/bin/sh");
	/* A number that passwd does not have: group 0, nothing known. */
	check("12345", 12345, 0, "", "/", "");
	assert_int_equal(u.ngroups, 1);
}

static void
groups(void **state)
{
	check("www", 33, 34, "www", "/var/www", "/bin/sh");
	assert_int_equal(u.ngroups, 3);
	assert_int_equal(u.groups[1], 4);
	assert_int_equal(u.groups[2], 35);
	check("root", 0, 0, "root", "/root", "/bin/bash");
	assert_int_equal(u.ngroups, 2);
	assert_int_equal(u.groups[1], 38);
	check("www:adm", 33, 4, "www", "/var/www", "/bin/sh");
	assert_int_equal(u.ngroups, 1);
	check("www:77", 33, 77, "www", "/var/www", "/bin/sh");
	assert_int_equal(u.ngroups, 1);
	check("1000:2000", 1000, 2000, "", "/", "");
	check("0:0", 0, 0, "root", "/root", "/bin/bash");
	assert_int_equal(u.ngroups, 1);
}

/* Peer attack list: none of these may be taken for a user, least of all for root. */
static void
hostile_specs(void **state)
{
	static const char *const form[] = { ":", "::", "1:", ":1", "1:0:0", "root:", ":root", "www:www:www",
		":0" };
	static const char *const number[] = { "4294967296", "4294967295", "99999999999999999999", "00", "01",
		"007", "18446744073709551616" };
	static const char *const name[] = { "-1", "+1", " 1", "1 ", "+", "-", "root root", " root" };
	static const char *const absent[] = { "0x0", "0X0", "1e0", "0.0", "nobody", "Root", "root\n",
		"\nroot", "ww", "roo", "root\t", "0x", "1_000", "١" };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(form); i++)
		expect_err(lookup(form[i], &e), E_INVAL, "not of the form USER or USER:GROUP");
	expect_hint("www:www");
	for (size_t i = 0; i < ARRAY_LEN(number); i++)
		expect_err(lookup(number[i], &e), E_INVAL, "a number from 0 to 4294967294");
	for (size_t i = 0; i < ARRAY_LEN(name); i++)
		expect_err(lookup(name[i], &e), E_INVAL, "not a user's name or number");
	for (size_t i = 0; i < ARRAY_LEN(absent); i++)
		expect_err(lookup(absent[i], &e), E_NOENT, "not in the pot's /etc/passwd");
	expect_err(lookup("www:none", &e), E_NOENT, "group 'none': not in the pot's /etc/group");
	expect_err(lookup("www:4294967295", &e), E_INVAL, "group 4294967295: a number from 0 to");
	expect_err(lookup("www:-1", &e), E_INVAL, "group '-1': not a group's name or number");
	expect_err(lookup("www:0x0", &e), E_NOENT, "group '0x0'");
	/* What was there before is left alone. */
	assert_int_equal(u.uid, (uid_t)-1);
	assert_int_equal(lookup("nobody", NULL), -E_NOENT);
}

static void
hostile_lines(void **state)
{
	static const char *const lines[] = { "evil:x:0x0:0::/:/bin/sh", "evil:x:4294967296:0::/:/bin/sh",
		"evil:x:4294967295:0::/:/bin/sh", "evil:x:-1:0::/:/bin/sh", "evil:x:+0:0::/:/bin/sh",
		"evil:x: 0:0::/:/bin/sh", "evil:x:0 :0::/:/bin/sh", "evil:x:00:0::/:/bin/sh",
		"evil:x::0::/:/bin/sh", "evil:x:0:::/:/bin/sh", "evil:x:0:4294967295::/:/bin/sh",
		"evil:x:0:0:/:/bin/sh", "evil:x:0:0::/:/bin/sh:", "evil:x:0:0", "evil",
		"evil:", ":x:0:0::/:/bin/sh", "+evil:x:0:0::/:/bin/sh", "evil:x:0:0::/:/bin/sh\r",
		"evil:x:0:0:\t:/:/bin/sh", "#evil:x:0:0::/:/bin/sh", "evil :x:0:0::/:/bin/sh",
		" evil:x:0:0::/:/bin/sh", "" };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		AUTO_FINI(buf) struct buf b = BUF_INIT(4096);

		buf_fmt(&b, "%s\ngood:x:7:7::/good:/bin/sh\n%s", lines[i], lines[i]);
		expect_err(passwd_lookup(buf_cstr(&b), "", "evil", &u, &e), E_NOENT, "user 'evil'");
		assert_int_equal(passwd_lookup(buf_cstr(&b), "", "good", &u, &e), 0);
		assert_int_equal(u.uid, 7);
	}
}

static void
huge(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(1 << 21);
	struct err e = ERR_INIT;

	buf_str(&b, "evil:x:0:0:");
	for (int i = 0; i < 100000; i++)
		buf_str(&b, "aaaaaaaaaa");
	buf_str(&b, ":/:/bin/sh\ngood:x:7:8::/good:/bin/sh\n");
	for (int i = 0; i < 70; i++)
		buf_str(&b, "l");
	buf_str(&b, ":x:0:0::/:/bin/sh\n");
	assert_int_equal(buf_check(&b, "test", &e), 0);
	expect_err(passwd_lookup(b.data, "", "evil", &u, &e), E_NOENT, "user 'evil'");
	assert_int_equal(passwd_lookup(b.data, "", "good", &u, &e), 0);
	expect_err(passwd_lookup(b.data, "",
		       "llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll", &u, &e),
	    E_INVAL, "not a user's name");
	/* Home and shell that do not fit are not cut to another path. */
	buf_reset(&b);
	buf_str(&b, "long:x:9:9::/");
	for (int i = 0; i < 300; i++)
		buf_str(&b, "h");
	buf_str(&b, ":/");
	for (int i = 0; i < 300; i++)
		buf_str(&b, "s");
	assert_int_equal(passwd_lookup(b.data, "", "long", &u, &e), 0);
	assert_string_equal(u.home, "/");
	assert_string_equal(u.shell, "");
}

static void
too_many_groups(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;

	for (int i = 0; i < PASSWD_GROUPS_MAX - 1; i++)
		buf_fmt(&b, "g%d:x:%d:www\n", i, 1000 + i);
	assert_int_equal(passwd_lookup(passwd, b.data, "www", &u, &e), 0);
	assert_int_equal(u.ngroups, PASSWD_GROUPS_MAX);
	assert_int_equal(u.groups[PASSWD_GROUPS_MAX - 1], 1000 + PASSWD_GROUPS_MAX - 2);
	buf_str(&b, "one:x:999:www\n");
	expect_err(
	    passwd_lookup(passwd, b.data, "www", &u, &e), E_LIMIT, "user 'www': in more than 64 groups");
	expect_hint("USER:GROUP");
	assert_int_equal(passwd_lookup(passwd, b.data, "www:www", &u, NULL), -E_NOENT);
	assert_int_equal(passwd_lookup(passwd, b.data, "www:34", &u, &e), 0);
}

/* Without any files root is still root, and a number a number. */
static void
no_files(void **state)
{
	struct err e = ERR_INIT;

	assert_int_equal(passwd_lookup("", "", NULL, &u, &e), 0);
	assert_true(u.uid == 0 && u.gid == 0 && u.ngroups == 1);
	assert_string_equal(u.home, "/");
	assert_int_equal(passwd_lookup(NULL, NULL, "5:6", &u, &e), 0);
	assert_true(u.uid == 5 && u.gid == 6);
	expect_err(
	    passwd_lookup("", "", "root", &u, &e), E_NOENT, "user 'root': not in the pot's /etc/passwd");
	/* root's line may say another group; no user asked for is 0:0. */
	assert_int_equal(passwd_lookup("root:x:0:5::/r:/bin/sh", "", "", &u, &e), 0);
	assert_int_equal(u.gid, 0);
	assert_int_equal(passwd_lookup("root:x:0:5::/r:/bin/sh", "", "root", &u, &e), 0);
	assert_int_equal(u.gid, 5);
}

static void
names(void **state)
{
	char out[64];

	assert_string_equal(passwd_name(passwd, 33, out), "www");
	assert_string_equal(passwd_name(passwd, 0, out), "root");
	assert_string_equal(passwd_name(passwd, 50, out), "last");
	assert_null(passwd_name(passwd, 12345, out));
	assert_null(passwd_name("", 0, out));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users),
		cmocka_unit_test(groups),
		cmocka_unit_test(hostile_specs),
		cmocka_unit_test(hostile_lines),
		cmocka_unit_test(huge),
		cmocka_unit_test(too_many_groups),
		cmocka_unit_test(no_files),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
