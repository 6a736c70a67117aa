/* Files of the shell framework: where it keeps pots, and what one of them is. */
#include "expect.h"
#include "model/classicpot.h"

static void
place(void **state)
{
	static const char text[] =
	    "# comment\n POT_ZFS_ROOT=tank/pots\r\nPOT_FS_ROOT=\"/srv/pot\" \nPOT_EXTIF=$(x)\n";
	static const char *const bad[] = { "POT_ZFS_ROOT=$ROOT\n", "POT_FS_ROOT=relative\n",
		"POT_ZFS_ROOT=/abs\n", "POT_ZFS_ROOT=a;b\n", "POT_ZFS_ROOT=-r\n", "POT_ZFS_ROOT=a@b\n" };
	struct classic_place p = CLASSIC_PLACE_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(classic_place_read(&p, "", 0, "f", &e), 0);
	assert_string_equal(p.zfs_root, "zroot/pot");
	assert_string_equal(p.fs_root, "/opt/pot");
	if (classic_place_read(&p, text, strlen(text), "f", &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(p.zfs_root, "tank/pots");
	assert_string_equal(p.fs_root, "/srv/pot");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct classic_place q = CLASSIC_PLACE_INIT;

		assert_int_equal(classic_place_read(&q, bad[i], strlen(bad[i]), "f", &e), -E_INVAL);
	}
}

static int
read_both(struct classic_pot *p, const char *conf, const char *fscomp, struct err *e)
{
	const struct classic_place at = CLASSIC_PLACE_INIT;
	int rc;

	classic_pot_init(p);
	rc = classic_pot_conf(p, conf, strlen(conf), "pot.conf", e);
	return rc < 0 ? rc : classic_pot_fscomp(p, &at, "www", fscomp, strlen(fscomp), "fscomp.conf", e);
}

static void
single(void **state)
{
	AUTO_FINI(classic_pot) struct classic_pot p;
	struct err e = ERR_INIT;

	if (read_both(&p,
		"pot.type=single\nnetwork_type=alias\npot.stack=dual\nip=em0|192.0.2.7 2001:db8::7\n"
		"pot.export.ports=80 443:8443 udp:53:5353\npot.hosts=::1 six\npot.hosts=10.0.0.1 db\n"
		"pot.depend=db\npot.depend=dns\npot.rss.memory=64M\npot.rss.cpus=2\n",
		"zroot/pot/fscomp/data /data ro\n/srv/www /opt/pot/jails/www/m/usr/local/www\n\n", &e) < 0)
		fail_msg("%s", e.msg);
	assert_false(p.multi);
	assert_string_equal(p.root, "zroot/pot/jails/www/m");
	assert_string_equal(p.network, "alias");
	assert_string_equal(p.stack, "dual");
	assert_int_equal(p.addrs.n, 2);
	assert_string_equal(p.addrs.v[0], "em0|192.0.2.7");
	assert_int_equal(p.ports.n, 3);
	assert_string_equal(p.ports.v[1], "8443:443/tcp");
	assert_string_equal(p.ports.v[2], "5353:53/udp");
	assert_string_equal(p.hosts.v[0], "six:::1");
	assert_string_equal(p.hosts.v[1], "db:10.0.0.1");
	assert_int_equal(p.depends.n, 2);
	assert_string_equal(p.memory, "64M");
	assert_int_equal(p.nmounts, 2);
	assert_string_equal(p.mounts[0].source, "/opt/pot/fscomp/data");
	assert_string_equal(p.mounts[0].target, "/data");
	assert_true(p.mounts[0].ro);
	/* Older files have the whole path on the host. */
	assert_string_equal(p.mounts[1].target, "/usr/local/www");
	assert_false(p.mounts[1].ro);
}

static void
parts(void **state)
{
	AUTO_FINI(classic_pot) struct classic_pot p;
	struct err e = ERR_INIT;

	if (read_both(&p, "pot.type=multi\npot.level=1\nip=10.192.0.3\nnetwork_type=public-bridge\n",
		"zroot/pot/bases/14.3 / ro\nzroot/pot/jails/www/usr.local /usr/local zfs-remount\n", &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(p.multi);
	assert_string_equal(p.root, "zroot/pot/bases/14.3");
	assert_int_equal(p.nmounts, 1);
	assert_string_equal(p.mounts[0].source, "/opt/pot/jails/www/usr.local");
	/* An address on a bridge is taken anew. */
	assert_int_equal(p.addrs.n, 0);
}

static void
refuse(const char *conf, const char *fscomp, int want, const char *says)
{
	AUTO_FINI(classic_pot) struct classic_pot p;
	struct err e = ERR_INIT;

	assert_int_equal(read_both(&p, conf, fscomp, &e), want);
	if (strstr(e.msg, says) == NULL)
		fail_msg("'%s' is not in: %s", says, e.msg);
}

static void
bad(void **state)
{
	refuse("pot.type=double\n", "", -E_INVAL, "neither single nor multi");
	refuse("pot.type=multi\n", "", -E_INVAL, "names no root");
	refuse("pot.type=single\n", "zroot/pot/bases/14.3 / ro\n", -E_INVAL, "fscomp.conf:1");
	refuse("pot.type=multi\n", "elsewhere/base / ro\n", -E_INVAL, "no root of a pot");
	refuse("pot.type=single\n", "\nelsewhere/data /data\n", -E_NOTSUP, "fscomp.conf:2");
	refuse("pot.type=single\n", "/a relative\n", -E_INVAL, "not an absolute path");
	refuse("pot.type=single\n", "/a /b rw\n", -E_INVAL, "not of the form");
	refuse("pot.type=single\n", "/a\n", -E_INVAL, "not of the form");
	refuse("pot.type=single\npot.hosts=10.0.0.1\n", "", -E_INVAL, "ADDRESS NAME");
	refuse("pot.type=single\npot.export.ports=99999\n", "", -E_INVAL, "pot.conf");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(place),
		cmocka_unit_test(single),
		cmocka_unit_test(parts),
		cmocka_unit_test(bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
