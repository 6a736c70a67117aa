/*
 * What is done to FreeBSD's kernel for a pot, in which order, and how it is
 * undone: every operation of each verb is made to fail in turn, and the pot
 * must be as if it had never begun. What the kernel itself makes of these
 * operations is tests/freebsd's.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "isolation/freebsd/plan.h"
#include "model/shimproto.h"

/* ---- a kernel that writes down what it is asked for, and fails at the nth */

struct fake {
	struct buf did;
	int fail_at; /* 0: never */
	int n;
	/* What exists. */
	bool record, ruleset, jail, view, shm;
	int mounts, rules, datasets, roots;
	unsigned running; /* how often somebody still runs when it is looked */
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

	if (rc == 0) {
		f->jail = false;
		f->datasets = 0;
	}
	return rc;
}

static int
f_shm_drop(void *arg, const char *root, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "no shared memory of %s", root);

	if (rc == 0)
		f->shm = false;
	return rc;
}

static int
f_dataset(void *arg, const char *jail, const char *dataset, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "dataset %s", dataset);

	f->datasets += rc == 0;
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

static int
f_known(void *arg, const char *jail, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "known %s", jail);

	return rc < 0 ? rc : f->record ? 0 : -E_NOENT;
}

static int
f_signal_all(void *arg, const char *jail, int sig, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "%s %s", sig == SIGSTOP ? "stop" : "continue", jail);

	return rc < 0 ? rc : f->jail ? 0 : err_set(e, E_STATE, "the pot has ended");
}

static int
f_running(void *arg, const char *jail, unsigned *n, struct err *e)
{
	struct fake *f = arg;

	*n = f->running > 0 ? f->running-- : 0;
	return step(f, e, "%u run", *n);
}

static int
f_root_open(void *arg, const char *jail, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "root of %s", jail);

	f->roots += rc == 0;
	return rc < 0 ? rc : 42;
}

static void
f_root_close(void *arg, int root_fd)
{
	struct fake *f = arg;

	assert_int_equal(root_fd, 42);
	f->roots--;
}

static int
f_unmount(void *arg, int root_fd, const char *target, struct err *e)
{
	struct fake *f = arg;
	int rc = step(f, e, "unmount %s", target);

	f->mounts -= rc == 0;
	return rc;
}

static const struct kern fake_kern = { .record = f_record,
	.forget = f_forget,
	.ruleset_make = f_ruleset_make,
	.ruleset_drop = f_ruleset_drop,
	.mount = f_mount,
	.cover = f_cover,
	.unmount_all = f_unmount_all,
	.jail_make = f_jail_make,
	.jail_drop = f_jail_drop,
	.shm_drop = f_shm_drop,
	.dataset = f_dataset,
	.loopback = f_loopback,
	.cpus = f_cpus,
	.rule_add = f_rule_add,
	.rule_drop = f_rule_drop,
	.known = f_known,
	.signal_all = f_signal_all,
	.running = f_running,
	.root_open = f_root_open,
	.root_close = f_root_close,
	.unmount = f_unmount };

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
	{ "devfs_ruleset", "4" }, { "securelevel", "-1" }, { "zfs_dataset", "tank/web tank/db" } };
static char *const no_devices[] = { NULL };
static char web_set[] = "tank/web", db_set[] = "tank/db";
static char *const datasets[] = { web_set, db_set, NULL };
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

	const struct plan_input in = { .record = &r,
		.osrelease = "14.3-RELEASE",
		.mounts = two,
		.nmounts = ARRAY_LEN(two),
		.devices = no_devices,
		.datasets = datasets };

	snprintf(r.root, sizeof(r.root), "%s", root);
	if (plan_start(p, s, &in, &e) < 0)
		fail_msg("%s", e.msg);
}

static void
expect_nothing(const struct fake *f)
{
	assert_false(f->record);
	assert_false(f->ruleset);
	assert_false(f->jail);
	assert_false(f->view);
	assert_false(f->shm);
	assert_int_equal(f->datasets, 0);
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
	    "dataset tank/web\n"
	    "dataset tank/db\n"
	    "loopback web\n"
	    "cpus 0-1\n");
	buf_reset(&f.did);
	f.shm = true; /* a process of it left some */
	assert_int_equal(plan_down(&p.record, &k, &e), 0);
	assert_string_equal(buf_cstr(&f.did),
	    "no jail web\nno limit jail:web:\nno shared memory of /pots/web/m\nunmount /pots/web/m\nno "
	    "ruleset 30000\nforget web\n");
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
		assert_int_equal(steps, covered ? 13 : 12);
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
	for (int i = 1; i <= 6; i++) {
		struct fake f = { .did = BUF_INIT(65536) };
		struct kern k = kern_of(&f);
		struct err e = ERR_INIT;

		assert_int_equal(plan_up(&p, &k, &e), 0);
		f.n = 0;
		f.fail_at = i;
		f.shm = true;
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

/* ---- a pot that runs */

static void
killing(void **state)
{
	for (int i = 0; i <= 2; i++) {
		struct fake f = { .did = BUF_INIT(4096), .fail_at = i, .record = true, .jail = true };
		struct kern k = kern_of(&f);

		assert_int_equal(verb_kill(&k, "web", NULL), i == 0 ? 0 : -E_SYS);
		if (i == 0)
			assert_string_equal(buf_cstr(&f.did), "known web\nno jail web\n");
		assert_int_equal(f.jail, i != 0);
		buf_fini(&f.did);
	}
	/* One that pot did not make is left alone. */
	struct fake f = { .did = BUF_INIT(4096), .jail = true };
	struct kern k = kern_of(&f);

	assert_int_equal(verb_kill(&k, "web", NULL), 0);
	assert_string_equal(buf_cstr(&f.did), "known web\n");
	buf_fini(&f.did);
}

static void
pausing(void **state)
{
	/* One process is being made while the others are stopped: a second round. */
	for (int i = 0; i <= 4; i++) {
		struct fake f = { .did = BUF_INIT(4096), .fail_at = i, .jail = true, .running = 1 };
		struct kern k = kern_of(&f);

		assert_int_equal(verb_freeze(&k, "web", true, NULL), i == 0 ? 0 : -E_SYS);
		if (i == 0)
			assert_string_equal(buf_cstr(&f.did), "stop web\n1 run\nstop web\n0 run\n");
		else /* what was stopped goes on */
			assert_non_null(strstr(buf_cstr(&f.did), "FAILS\ncontinue web\n"));
		buf_fini(&f.did);
	}
	/* It makes them faster than they are stopped. */
	struct fake f = { .did = BUF_INIT(65536), .jail = true, .running = 1000 };
	struct kern k = kern_of(&f);
	size_t len;

	assert_int_equal(verb_freeze(&k, "web", true, NULL), -E_TIMEOUT);
	len = strlen("continue web\n");
	assert_true(f.did.len > len);
	assert_string_equal(buf_cstr(&f.did) + f.did.len - len, "continue web\n");
	buf_reset(&f.did);
	/* On again; and a pot that ended in the moment in which it goes on is no failure. */
	assert_int_equal(verb_freeze(&k, "web", false, NULL), 0);
	assert_string_equal(buf_cstr(&f.did), "continue web\n");
	f.jail = false;
	assert_int_equal(verb_freeze(&k, "web", false, NULL), 0);
	assert_int_equal(verb_freeze(&k, "web", true, NULL), -E_STATE);
	f.jail = true;
	f.fail_at = f.n + 1;
	assert_int_equal(verb_freeze(&k, "web", false, NULL), -E_SYS);
	buf_fini(&f.did);
}

static void
mounting(void **state)
{
	for (int i = 0; i <= 2; i++) {
		struct fake f = { .did = BUF_INIT(4096), .fail_at = i, .jail = true };
		struct kern k = kern_of(&f);

		assert_int_equal(verb_mount_in(&k, "web", &two[0], NULL), i == 0 ? 0 : -E_SYS);
		if (i == 0)
			assert_string_equal(buf_cstr(&f.did), "root of web\nmount nullfs /etc/hosts ro\n");
		assert_int_equal(f.mounts, i == 0);
		assert_int_equal(f.roots, 0);
		buf_fini(&f.did);
	}
	for (int i = 0; i <= 2; i++) {
		struct fake f = { .did = BUF_INIT(4096), .fail_at = i, .jail = true, .mounts = 1 };
		struct kern k = kern_of(&f);

		assert_int_equal(verb_mount_out(&k, "web", "/mnt", NULL), i == 0 ? 0 : -E_SYS);
		if (i == 0)
			assert_string_equal(buf_cstr(&f.did), "root of web\nunmount /mnt\n");
		assert_int_equal(f.mounts, i != 0);
		assert_int_equal(f.roots, 0);
		buf_fini(&f.did);
	}
}

/* ---- a command in it */

struct way {
	struct buf did;
	int n, fail_at, sys;
};

static int
way_step(struct way *w, const char *what)
{
	buf_fmt(&w->did, "%s\n", what);
	return ++w->n == w->fail_at ? w->sys : 0;
}

#define WAY(name, text)                     \
	static int name(void *arg)          \
	{                                   \
		return way_step(arg, text); \
	}
WAY(w_untraceable, "untraceable")
WAY(w_attach, "attach")
WAY(w_terminal, "terminal")
WAY(w_dir, "dir")
WAY(w_identity, "identity")
WAY(w_execute, "execute")

static void
w_signals(void *arg)
{
	struct way *w = arg;

	buf_str(&w->did, "signals\n");
}

static const struct entry entries = { NULL, w_untraceable, w_attach, w_terminal, w_dir, w_identity, w_signals,
	w_execute };

static void
entering(void **state)
{
	/* What fails, as which step, and what the user is told. */
	static const struct {
		int at, sys;
		uint32_t step;
		int code;
	} rows[] = {
		{ 1, EPERM, SHIM_STEP_JAIL, E_PERM },
		{ 2, EINVAL, SHIM_STEP_JAIL, E_STATE }, /* no jail of that number any more */
		{ 3, EMFILE, SHIM_STEP_DIRECT, 0 },
		{ 4, ENOENT, SHIM_STEP_WORKDIR, E_NOENT },
		{ 5, EPERM, SHIM_STEP_USER, E_PERM },
		{ 6, ENOENT, SHIM_STEP_EXEC, E_NOCMD },
		{ 6, ENOTDIR, SHIM_STEP_EXEC, E_NOCMD },
		{ 6, EACCES, SHIM_STEP_EXEC, E_NOEXEC },
		{ 6, ENOEXEC, SHIM_STEP_EXEC, E_NOEXEC },
	};
	static const char all[] = "untraceable\nattach\nterminal\ndir\nidentity\nsignals\nexecute\n";

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct way w = { .did = BUF_INIT(4096), .fail_at = rows[i].at, .sys = rows[i].sys };
		struct entry n = entries;
		struct shim_failure f = { .what = "/x" };
		struct err e = ERR_INIT;

		n.arg = &w;
		f.step = entry_walk(&n, &f.sys);
		assert_int_equal(f.step, rows[i].step);
		assert_int_equal(f.sys, rows[i].sys);
		/* In this order, and nothing behind what failed. */
		assert_int_equal(strncmp(all, buf_cstr(&w.did), w.did.len), 0);
		assert_int_equal(w.n, rows[i].at);
		assert_true(entry_failure(&f, &e) < 0);
		if (rows[i].code != 0)
			assert_int_equal(e.code, rows[i].code);
		buf_fini(&w.did);
	}
}

/* A directory that only the user may enter is entered as the user; without a terminal none is made. */
static void
entering_as_user(void **state)
{
	struct way w = { .did = BUF_INIT(4096), .fail_at = 3, .sys = EACCES };
	struct entry n = entries;
	int sys;

	n.arg = &w;
	n.terminal = NULL;
	assert_int_equal(entry_walk(&n, &sys), SHIM_STEP_EXEC);
	assert_string_equal(buf_cstr(&w.did), "untraceable\nattach\ndir\nidentity\ndir\nsignals\nexecute\n");
	buf_fini(&w.did);
}

static void
limits_as_rules(void **state)
{
	static const struct iso_io_limit io[] = { { .rbps = 100, .wiops = 7 }, { .rbps = 50 } };
	struct iso_limits l = { .memory = 1000,
		.memory_swap = 1500,
		.swap_wanted = true,
		.pids = 10,
		.cpu_quota = 1500,
		.io = io,
		.nio = 2 };
	struct strv v = STRV_INIT(32);
	struct err e = ERR_INIT;

	assert_int_equal(rules_make("web", &l, &v, &e), 0);
	assert_int_equal(v.n, 7);
	/* Plain numbers: the kernel takes no 64m. */
	assert_string_equal(v.v[0], "jail:web:memoryuse:sigkill=1000");
	assert_string_equal(v.v[1], "jail:web:memoryuse:devctl=1000");
	assert_string_equal(v.v[2], "jail:web:swapuse:deny=1500");
	assert_string_equal(v.v[3], "jail:web:maxproc:deny=10");
	assert_string_equal(v.v[4], "jail:web:pcpu:deny=150");
	assert_string_equal(v.v[5], "jail:web:readbps:throttle=150");
	assert_string_equal(v.v[6], "jail:web:writeiops:throttle=7");
	strv_fini(&v);
	/* Nobody asked for it: a pot that may reserve no memory could not even start. */
	l = (struct iso_limits){ .memory = 1000, .memory_swap = 1000 };
	assert_int_equal(rules_make("web", &l, &v, &e), 0);
	assert_int_equal(v.n, 2);
	strv_fini(&v);
	for (int i = 0; i < 3; i++) {
		struct iso_limits no = { .reservation = i == 0, .cpu_shares = i == 1, .io_weight = i == 2 };

		assert_int_equal(rules_make("web", &no, &v, &e), -E_NOTSUP);
		assert_int_equal(rules_check(&no, &e), -E_NOTSUP);
		assert_true(e.hint[0] != '\0');
	}
	assert_int_equal(rules_check(&l, &e), 0);
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

static void
own_datasets(void **state)
{
	static const char *const bad[] = { "/tank", "tank/", "tank//x", "tank@snap", "-r", "tank/x;y",
		"'open" };
	struct iso_attr a[] = { { "enforce_statfs", "2" }, { "mount", "NO" }, { "zfs", "NO" },
		{ "zfs_dataset", "" } };
	struct iso_spec s = { .hostname = "h", .walls = { .attrs = a, .nattrs = ARRAY_LEN(a) } };
	static struct params p;

	/* None: nothing is opened. */
	for (int i = 0; i < 2; i++) {
		struct strv v = STRV_INIT(64);

		a[3].value = i == 0 ? "" : "  ";
		assert_int_equal(params_make(&s, "n", "/p", "", &p, NULL), 0);
		assert_null(params_find(&p, "allow.mount"));
		assert_null(params_find(&p, "allow.mount.zfs"));
		assert_int_equal(params_find(&p, "enforce_statfs")->number, 2);
		assert_int_equal(params_datasets(&s, &v, NULL), 0);
		assert_int_equal(v.n, 0);
		strv_fini(&v);
	}
	/* The kernel mounts none inside without these. */
	struct strv v = STRV_INIT(64);

	a[3].value = "tank/web:1 tank/a-b_c.d";
	assert_int_equal(params_make(&s, "n", "/p", "", &p, NULL), 0);
	assert_non_null(params_find(&p, "allow.mount"));
	assert_non_null(params_find(&p, "allow.mount.zfs"));
	assert_int_equal(params_find(&p, "enforce_statfs")->number, 1);
	assert_int_equal(params_datasets(&s, &v, NULL), 0);
	assert_int_equal(v.n, 2);
	assert_string_equal(v.v[1], "tank/a-b_c.d");
	strv_fini(&v);
	a[0].value = "0"; /* more open than needed stays so */
	assert_int_equal(params_make(&s, "n", "/p", "", &p, NULL), 0);
	assert_int_equal(params_find(&p, "enforce_statfs")->number, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = ERR_INIT;

		a[3].value = bad[i];
		assert_int_equal(params_datasets(&s, &v, &e), -E_INVAL);
		assert_non_null(strstr(e.msg, "zfs_dataset"));
		strv_fini(&v);
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
		cmocka_unit_test(stop_fails_anywhere), cmocka_unit_test(killing), cmocka_unit_test(pausing),
		cmocka_unit_test(mounting), cmocka_unit_test(entering), cmocka_unit_test(entering_as_user),
		cmocka_unit_test(own_datasets), cmocka_unit_test(limits_as_rules),
		cmocka_unit_test(limits_change), cmocka_unit_test(attributes), cmocka_unit_test(rulesets),
		cmocka_unit_test(names), cmocka_unit_test(releases), cmocka_unit_test(records) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
