/*
 * What is done to FreeBSD's kernel for a pot, in which order, and how it is
 * undone: every operation of each verb is made to fail in turn, and the pot
 * must be as if it had never begun. What the kernel itself makes of these
 * operations is tests/freebsd's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "isolation/freebsd/plan.h"

/* ---- a kernel that writes down what it is asked for, and fails at the nth */

struct fake {
	struct buf did;
	int fail_at; /* 0: never */
	int n;
	/* What exists. */
	bool record, ruleset, jail, view;
	int mounts, rules;
};

PRINTF(3, 4) static int step(struct fake *f, struct err *e, const char *fmt, ...)
{
	va_list ap;

	f->n++;
	va_start(ap, fmt);
	buf_vfmt(&f->did, fmt, ap);
	va_end(ap);
	if (f->n == f->fail_at) {
		buf_str(&f->did, " FAILS\n");
		return err_set(e, E_SYS, "injected");
	}
	buf_str(&f->did, "\n");
	return 0;
}

static int
f_record(void *arg, const struct plan_record *r, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "record %s ruleset %u root %s", r->jail, r->ruleset, r->root);

	f->record = f->record || rc == 0;
	return rc;
}

static int
f_forget(void *arg, const char *jail, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "forget %s", jail);

	if (rc == 0)
		f->record = false;
	return rc;
}

static int
f_ruleset_make(void *arg, unsigned ruleset, char *const *devices, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "ruleset %u %s", ruleset, devices[0] != NULL ? devices[0] : "-");

	f->ruleset = true; /* half of it, when it fails */
	return rc;
}

static int
f_ruleset_drop(void *arg, unsigned ruleset, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "no ruleset %u", ruleset);

	if (rc == 0)
		f->ruleset = false;
	return rc;
}

static int
f_mount(void *arg, int root_fd, const char *root, const struct plan_mount *m, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "mount %s %s%s%s%s", m->fstype, m->target, m->ro ? " ro" : "",
	    m->ruleset != 0 ? " ruled" : "", root != NULL ? " in the view" : "");

	f->mounts += rc == 0;
	return rc;
}

static int
f_cover(void *arg, int root_fd, const char *root, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "view %s", root);

	f->view = f->view || rc == 0;
	return rc;
}

static int
f_unmount_all(void *arg, const char *root, bool covered, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "unmount %s%s", root, covered ? " and itself" : "");

	if (rc == 0) {
		f->mounts = 0;
		f->view = f->view && !covered;
	}
	return rc;
}

static int
f_jail_make(void *arg, const struct params *p, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "jail %s", params_find(p, "name")->text);

	f->jail = f->jail || rc == 0;
	return rc;
}

static int
f_jail_drop(void *arg, const char *jail, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "no jail %s", jail);

	if (rc == 0)
		f->jail = false;
	return rc;
}

static int
f_loopback(void *arg, const char *jail, struct err *e)
{
	return step(arg, e, "loopback %s", jail);
}

static int
f_cpus(void *arg, const char *jail, const char *list, struct err *e)
{
	return step(arg, e, "cpus %s", list);
}

static int
f_rule_add(void *arg, const char *rule, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "limit %s", rule);

	f->rules += rc == 0;
	return rc;
}

static int
f_rule_drop(void *arg, const char *filter, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "no limit %s", filter);

	if (rc == 0)
		f->rules = filter[strlen(filter) - 1] == ':' ? 0 : f->rules - 1;
	return rc;
}

static const struct kern fake_kern = { NULL, f_record, f_forget, f_ruleset_make, f_ruleset_drop, f_mount,
	f_cover, f_unmount_all, f_jail_make, f_jail_drop, f_loopback, f_cpus, f_rule_add, f_rule_drop };

static struct kern
kern_of(struct fake *f)
{
	struct kern k = fake_kern;

	k.arg = f;
	return k;
}

/* ---- a pot */

static const struct iso_attr usual[] = { { "enforce_statfs", "2" }, { "children", "0" },
	{ "raw_sockets", "NO" }, { "fdescfs", "YES" }, { "procfs", "YES" }, { "sysvshm", "new" },
	{ "devfs_ruleset", "4" }, { "securelevel", "-1" } };
static char *const no_devices[] = { NULL };
static const struct iso_limits one_cpu = { .cpus = "0-1" };
static const struct plan_mount two[] = {
	{ .fstype = "nullfs", .target = "/etc/hosts", .from_fd = -1, .from = "/r/hosts", .ro = true },
	{ .fstype = "tmpfs", .target = "/tmp", .dir = true, .from_fd = -1, .size = 4096 },
};

static struct iso_spec
spec(void)
{
	return (struct iso_spec){ .name = "web",
		.hostname = "web.example",
		.root_fd = 9,
		.own_net = true,
		.limits = &one_cpu,
		.walls = { .attrs = usual, .nattrs = ARRAY_LEN(usual) } };
}

static void
plan(struct plan *p, const struct iso_spec *s, const char *root, bool covered)
{
	struct plan_record r = { .jail = "web", .ruleset = 30000, .covered = covered };
	struct err e = ERR_INIT;

	snprintf(r.root, sizeof(r.root), "%s", root);
	if (plan_start(p, s, &r, "14.3-RELEASE", two, ARRAY_LEN(two), no_devices, &e) < 0)
		fail_msg("%s", e.msg);
}

static void
expect_nothing(const struct fake *f)
{
	assert_false(f->record);
	assert_false(f->ruleset);
	assert_false(f->jail);
	assert_false(f->view);
	assert_int_equal(f->mounts, 0);
	assert_int_equal(f->rules, 0);
}

static void
start_in_order(void **state)
{
	struct fake f = { .did = BUF_INIT(65536) };
	struct kern k = kern_of(&f);
	struct iso_spec s = spec();
	static struct plan p;
	struct err e = ERR_INIT;

	plan(&p, &s, "/pots/web/m", false);
	assert_int_equal(plan_up(&p, &k, &e), 0);
	assert_string_equal(buf_cstr(&f.did),
	    "record web ruleset 30000 root /pots/web/m\n"
	    "ruleset 30000 -\n"
	    "mount devfs /dev ruled\n"
	    "mount fdescfs /dev/fd\n"
	    "mount procfs /proc\n"
	    "mount nullfs /etc/hosts ro\n"
	    "mount tmpfs /tmp\n"
	    "jail web\n"
	    "loopback web\n"
	    "cpus 0-1\n");
	buf_reset(&f.did);
	assert_int_equal(plan_down(&p.record, &k, &e), 0);
	assert_string_equal(buf_cstr(&f.did),
	    "no jail web\nno limit jail:web:\nunmount /pots/web/m\nno ruleset 30000\nforget web\n");
	expect_nothing(&f);
	buf_fini(&f.did);
}

static void
start_with_a_view(void **state)
{
	struct fake f = { .did = BUF_INIT(65536) };
	struct kern k = kern_of(&f);
	struct iso_spec s = spec();
	static struct plan p;

	s.own_net = false;
	s.limits = NULL;
	plan(&p, &s, "/var/run/pot/web.root", true);
	assert_int_equal(plan_up(&p, &k, NULL), 0);
	assert_non_null(strstr(buf_cstr(&f.did),
	    "ruleset 30000 -\nview /var/run/pot/web.root\nmount devfs /dev ruled in the view\n"));
	assert_null(strstr(buf_cstr(&f.did), "loopback"));
	assert_null(strstr(buf_cstr(&f.did), "cpus"));
	buf_reset(&f.did);
	assert_int_equal(plan_down(&p.record, &k, NULL), 0);
	assert_non_null(strstr(buf_cstr(&f.did), "unmount /var/run/pot/web.root and itself\n"));
	expect_nothing(&f);
	buf_fini(&f.did);
}

static void
start_fails_anywhere(void **state)
{
	static struct plan p;

	for (int covered = 0; covered < 2; covered++) {
		struct iso_spec s = spec();
		size_t steps;

		plan(&p, &s, "/pots/web/m", covered == 1);
		steps = p.nops;
		assert_int_equal(steps, covered ? 11 : 10);
		for (size_t i = 1; i <= steps; i++) {
			struct fake f = { .did = BUF_INIT(65536), .fail_at = (int)i };
			struct kern k = kern_of(&f);
			struct err e = ERR_INIT;

			assert_int_equal(plan_up(&p, &k, &e), -E_SYS);
			assert_string_equal(e.msg, "injected");
			expect_nothing(&f);
			buf_fini(&f.did);
		}
	}
}

/* A failing undo keeps the record, and the next one who comes ends the work. */
static void
stop_fails_anywhere(void **state)
{
	struct iso_spec s = spec();
	static struct plan p;

	plan(&p, &s, "/pots/web/m", false);
	for (int i = 1; i <= 5; i++) {
		struct fake f = { .did = BUF_INIT(65536) };
		struct kern k = kern_of(&f);
		struct err e = ERR_INIT;

		assert_int_equal(plan_up(&p, &k, &e), 0);
		f.n = 0;
		f.fail_at = i;
		assert_int_equal(plan_down(&p.record, &k, &e), -E_SYS);
		assert_true(f.record);
		f.fail_at = 0;
		assert_int_equal(plan_down(&p.record, &k, &e), 0);
		expect_nothing(&f);
		/* And with nothing there. */
		assert_int_equal(plan_down(&p.record, &k, &e), 0);
		buf_fini(&f.did);
	}
}

static void
limits_as_rules(void **state)
{
	static const struct iso_io_limit io[] = { { .rbps = 100, .wiops = 7 }, { .rbps = 50 } };
	struct iso_limits l = {
		.memory = 1000, .memory_swap = 1500, .pids = 10, .cpu_quota = 1500, .io = io, .nio = 2
	};
	struct strv v = STRV_INIT(32);
	struct err e = ERR_INIT;

	assert_int_equal(rules_make("web", &l, &v, &e), 0);
	assert_int_equal(v.n, 7);
	/* Plain numbers: the kernel takes no 64m. */
	assert_string_equal(v.v[0], "jail:web:memoryuse:sigkill=1000");
	assert_string_equal(v.v[1], "jail:web:memoryuse:devctl=1000");
	assert_string_equal(v.v[2], "jail:web:swapuse:deny=500");
	assert_string_equal(v.v[3], "jail:web:maxproc:deny=10");
	assert_string_equal(v.v[4], "jail:web:pcpu:deny=150");
	assert_string_equal(v.v[5], "jail:web:readbps:throttle=150");
	assert_string_equal(v.v[6], "jail:web:writeiops:throttle=7");
	strv_fini(&v);
	for (int i = 0; i < 3; i++) {
		struct iso_limits no = { .reservation = i == 0, .cpu_shares = i == 1, .io_weight = i == 2 };

		assert_int_equal(rules_make("web", &no, &v, &e), -E_NOTSUP);
	}
	strv_fini(&v);
}

static void
limits_change(void **state)
{
	struct iso_limits have = { .memory = 100, .pids = 5 }, want = { .pids = 9, .cpu_quota = 500 };

	/* 2 new ones, 3 old ones away. */
	for (int i = 0; i <= 5; i++) {
		struct fake f = { .did = BUF_INIT(65536) };
		struct kern k = kern_of(&f);
		int rc;

		assert_int_equal(rules_change(&k, "web", NULL, &have, NULL), 0);
		assert_int_equal(f.rules, 3);
		buf_reset(&f.did);
		f.n = 0;
		f.fail_at = i;
		rc = rules_change(&k, "web", &have, &want, NULL);
		if (i == 0) {
			assert_int_equal(rc, 0);
			assert_int_equal(f.rules, 2);
			assert_string_equal(buf_cstr(&f.did),
			    "limit jail:web:maxproc:deny=9\n"
			    "limit jail:web:pcpu:deny=50\n"
			    "no limit jail:web:memoryuse:sigkill=100\n"
			    "no limit jail:web:memoryuse:devctl=100\n"
			    "no limit jail:web:maxproc:deny=5\n");
		} else {
			const char *after = strstr(buf_cstr(&f.did), "FAILS\n") + 6;

			assert_int_equal(rc, -E_SYS);
			assert_non_null(strstr(after, "limit jail:web:memoryuse:sigkill=100\n"));
			assert_non_null(strstr(after, "limit jail:web:maxproc:deny=5\n"));
			assert_non_null(strstr(after, "no limit jail:web:maxproc:deny=9\n"));
			assert_non_null(strstr(after, "no limit jail:web:pcpu:deny=50\n"));
		}
		buf_fini(&f.did);
	}
}

static void
attributes(void **state)
{
	static const struct {
		const char *name, *value, *param;
		enum param_kind kind;
		int number;
	} good[] = { { "enforce_statfs", "0", "enforce_statfs", PARAM_INT, 0 },
		{ "children", "999999", "children.max", PARAM_INT, 999999 },
		{ "securelevel", "3", "securelevel", PARAM_INT, 3 },
		{ "mount", "YES", "allow.mount", PARAM_FLAG, 0 },
		{ "nullfs", "YES", "allow.mount.nullfs", PARAM_FLAG, 0 },
		{ "tmpfs", "YES", "allow.mount.tmpfs", PARAM_FLAG, 0 },
		{ "zfs", "YES", "allow.mount.zfs", PARAM_FLAG, 0 },
		{ "linprocfs", "YES", "allow.mount.linprocfs", PARAM_FLAG, 0 },
		{ "raw_sockets", "YES", "allow.raw_sockets", PARAM_FLAG, 0 },
		{ "raw_sockets", "NO", "allow.noraw_sockets", PARAM_FLAG, 0 },
		{ "mlock", "YES", "allow.mlock", PARAM_FLAG, 0 },
		{ "chflags", "NO", "allow.nochflags", PARAM_FLAG, 0 },
		{ "set_hostname", "NO", "allow.noset_hostname", PARAM_FLAG, 0 },
		{ "sysvshm", "disable", "sysvshm", PARAM_INT, PARAM_SYS_DISABLE },
		{ "sysvsem", "new", "sysvsem", PARAM_INT, PARAM_SYS_NEW },
		{ "sysvmsg", "inherit", "sysvmsg", PARAM_INT, PARAM_SYS_INHERIT } };
	static const char *const bad[][2] = { { "enforce_statfs", "3" }, { "enforce_statfs", "-1" },
		{ "enforce_statfs", "" }, { "children", "1000000" }, { "children", "1x" },
		{ "securelevel", "4" }, { "mount", "yes" }, { "sysvshm", "NEW" }, { "sysvshm", "" } };
	static struct params p;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct iso_attr a = { good[i].name, good[i].value };
		struct iso_spec s = { .hostname = "h", .walls = { .attrs = &a, .nattrs = 1 } };
		const struct param *got;

		assert_int_equal(params_make(&s, "n", "/p", "", &p, NULL), 0);
		got = params_find(&p, good[i].param);
		assert_non_null(got);
		assert_int_equal(got->kind, good[i].kind);
		assert_int_equal(got->number, good[i].number);
		assert_null(params_find(&p, "osrelease"));
		assert_null(params_find(&p, "vnet"));
		assert_int_equal(params_find(&p, "ip4")->number, PARAM_SYS_INHERIT);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct iso_attr a = { bad[i][0], bad[i][1] };
		struct iso_spec s = { .hostname = "h", .walls = { .attrs = &a, .nattrs = 1 } };

		e = (struct err)ERR_INIT;
		assert_int_equal(params_make(&s, "n", "/p", "", &p, &e), -E_INVAL);
		assert_non_null(strstr(e.msg, bad[i][0]));
	}
}

/* A ruleset of the administrator's is used as it is, and neither made nor removed. */
static void
rulesets(void **state)
{
	struct iso_attr a = { "devfs_ruleset", "17" };
	struct iso_spec s = { .hostname = "h", .walls = { .attrs = &a, .nattrs = 1 } };
	static struct plan p;

	plan(&p, &s, "/r", false);
	assert_int_equal(p.record.ruleset, 0);
	for (size_t i = 0; i < p.nops; i++) {
		assert_int_not_equal(p.ops[i].kind, PLAN_RULESET);
		if (p.ops[i].kind == PLAN_MOUNT && strcmp(p.ops[i].mount.fstype, "devfs") == 0)
			assert_int_equal(p.ops[i].mount.ruleset, 17);
	}
}

static void
names(void **state)
{
	char out[JAIL_NAME_MAX], longest[JAIL_NAME_MAX + 1];

	assert_int_equal(jail_name("pot", "web", out, NULL), 0);
	assert_string_equal(out, "web");
	assert_int_equal(jail_name("pot-1a2b3c4d", "web", out, NULL), 0);
	assert_string_equal(out, "pot-1a2b3c4d_web");
	assert_int_equal(jail_name("pot", "123", out, NULL), 0);
	assert_string_equal(out, "pot_123");
	assert_int_equal(jail_name("pot", "a.b:c", out, NULL), 0);
	assert_string_equal(out, "a_b_c");
	memset(longest, 'x', sizeof(longest));
	longest[JAIL_NAME_MAX] = '\0';
	assert_int_equal(jail_name("pot", longest, out, NULL), -E_LIMIT);
	assert_null(jail_of("v2:/pot/web"));
	assert_null(jail_of("jail:"));
	assert_null(jail_of(NULL));
	assert_string_equal(jail_of("jail:web"), "web");
}

static void
releases(void **state)
{
	char out[PARAM_OSRELEASE_MAX];

	assert_true(params_osrelease("#!/bin/sh\nUSERLAND_VERSION=\"14.3-RELEASE-p2\"\n", out));
	assert_string_equal(out, "14.3-RELEASE-p2");
	assert_false(params_osrelease("", out));
	assert_false(params_osrelease("X_USERLAND_VERSION=\"14.3\"\n", out));
	assert_false(params_osrelease("USERLAND_VERSION=\"\"\n", out));
	assert_false(params_osrelease("USERLAND_VERSION=\"14.3", out));
	assert_false(params_osrelease("USERLAND_VERSION=\"14.3\x01\"", out));
	assert_false(params_osrelease("USERLAND_VERSION=\"0123456789012345678901234567890123456789\"", out));
}

static void
records(void **state)
{
	struct plan_record r = { .jail = "web", .root = "/pots/we b/m", .ruleset = 28672, .covered = true },
			   got;
	struct buf b = BUF_INIT(4096);

	plan_record_text(&r, &b);
	assert_int_equal(plan_record_parse(buf_cstr(&b), &got, NULL), 0);
	assert_string_equal(got.jail, "web");
	assert_string_equal(got.root, "/pots/we b/m");
	assert_int_equal(got.ruleset, 28672);
	assert_true(got.covered);
	/* Cut anywhere it is damaged, never half believed. */
	for (size_t n = 0; n < b.len; n++) {
		char *cut = buf_dup(b.data, n);

		assert_int_equal(plan_record_parse(cut, &got, NULL), -E_CORRUPT);
		free(cut);
	}
	assert_int_equal(
	    plan_record_parse("pot-jail 1\njail w\nruleset 1\ncovered 0\nroot m\n", &got, NULL), -E_CORRUPT);
	assert_int_equal(
	    plan_record_parse("pot-jail 1\njail w\nruleset x\ncovered 0\nroot /m\n", &got, NULL), -E_CORRUPT);
	assert_int_equal(
	    plan_record_parse("pot-jail 2\njail w\nruleset 1\ncovered 0\nroot /m\n", &got, NULL), -E_CORRUPT);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(start_in_order),
		cmocka_unit_test(start_with_a_view), cmocka_unit_test(start_fails_anywhere),
		cmocka_unit_test(stop_fails_anywhere), cmocka_unit_test(limits_as_rules),
		cmocka_unit_test(limits_change), cmocka_unit_test(attributes), cmocka_unit_test(rulesets),
		cmocka_unit_test(names), cmocka_unit_test(releases), cmocka_unit_test(records) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
