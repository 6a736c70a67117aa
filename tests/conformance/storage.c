/*
 * Storage conformance, part one: what each operation does, refuses and
 * reports. Content is in storage_content.c, crashes in storage_crash.c, full
 * disks in storage_space.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"
#include "suite.h"

static bool
create_and_destroy(struct suite *t)
{
	OK(stor_exists(t->s, POT("a"), &t->e) == 0);
	DO(stor_create(t->s, POT("a"), &t->e));
	OK(stor_exists(t->s, POT("a"), &t->e) == 1);
	/* Kinds are apart: a base of the same name is another one. */
	OK(stor_exists(t->s, BASE("a"), &t->e) == 0);
	DO(stor_create(t->s, BASE("a"), &t->e));
	OK(suite_put(t, POT("a"), "f", "pot"));
	OK(suite_put(t, BASE("a"), "f", "base"));
	OK(suite_has(t, POT("a"), "f", "pot"));
	OK(suite_has(t, BASE("a"), "f", "base"));
	DO(stor_destroy(t->s, BASE("a"), &t->e));
	OK(stor_exists(t->s, POT("a"), &t->e) == 1);
	DO(stor_destroy(t->s, POT("a"), &t->e));
	OK(stor_exists(t->s, POT("a"), &t->e) == 0);
	/* Absent is fine. */
	DO(stor_destroy(t->s, POT("a"), &t->e));
	return true;
}

static bool
root_of_a_new_one(struct suite *t)
{
	struct stat st;

	DO(stor_create(t->s, POT("a"), &t->e));
	int fd = stor_mount(t->s, POT("a"), false, &t->e);
	OK(fd >= 0);
	OK(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode));
	OK((st.st_mode & 07777) == 0755 && st.st_uid == geteuid());
	OK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	DO(stor_unmount(t->s, POT("a"), &t->e));
	return suite_empty(t);
}

static bool
snapshots(struct suite *t)
{
	DO(stor_create(t->s, POT("a"), &t->e));
	OK(suite_tags_are(t, POT("a"), ""));
	DO(stor_snapshot(t->s, POT("a"), "empty", &t->e));
	OK(suite_put(t, POT("a"), "f", "1"));
	DO(stor_snapshot(t->s, POT("a"), "v1.0-rc_1", &t->e));
	/* Two of the same state. */
	DO(stor_snapshot(t->s, POT("a"), "again", &t->e));
	OK(suite_tags_are(t, POT("a"), "empty v1.0-rc_1 again"));
	OK(suite_has(t, POT("a"), "f", "1"));
	DO(stor_snap_destroy(t->s, POT("a"), "v1.0-rc_1", &t->e));
	OK(suite_tags_are(t, POT("a"), "empty again"));
	DO(stor_rollback(t->s, POT("a"), "again", &t->e));
	OK(suite_has(t, POT("a"), "f", "1"));
	return suite_empty(t);
}

static int
check_snap(void *arg, const struct stor_snap *snap)
{
	int64_t *last = arg;

	if (snap->created < *last || snap->created > text_now_ns() + 1000000000)
		return 1;
	*last = snap->created;
	return 0;
}

static int
stop_at_once(void *arg, const struct stor_snap *snap)
{
	(void)snap;
	++*(int *)arg;
	return 42;
}

static bool
snapshot_times(struct suite *t)
{
	/* Some mechanisms keep whole seconds. */
	int64_t last = text_now_ns() - 2000000000;
	int calls = 0;

	DO(stor_create(t->s, POT("a"), &t->e));
	for (int i = 0; i < 5; i++) {
		char tag[16];
		snprintf(tag, sizeof(tag), "%c%d", 'e' - i, i);
		DO(stor_snapshot(t->s, POT("a"), tag, &t->e));
	}
	OK(stor_snap_list(t->s, POT("a"), check_snap, &last, &t->e) == 0);
	OK(suite_tags_are(t, POT("a"), "e0 d1 c2 b3 a4"));
	OK(stor_snap_list(t->s, POT("a"), stop_at_once, &calls, &t->e) == 42);
	OK(calls == 1);
	return suite_empty(t);
}

static bool
rollbacks(struct suite *t)
{
	DO(stor_create(t->s, POT("a"), &t->e));
	OK(suite_put(t, POT("a"), "f", "1"));
	DO(stor_snapshot(t->s, POT("a"), "s1", &t->e));
	OK(suite_put(t, POT("a"), "f", "2"));
	OK(suite_put(t, POT("a"), "g", "2"));
	DO(stor_snapshot(t->s, POT("a"), "s2", &t->e));
	DO(stor_clone(t->s, POT("a"), "s2", POT("kept"), &t->e));
	OK(suite_put(t, POT("a"), "f", "3"));
	DO(stor_rollback(t->s, POT("a"), "s2", &t->e));
	OK(suite_has(t, POT("a"), "f", "2"));
	OK(suite_tags_are(t, POT("a"), "s1 s2"));
	DO(stor_rollback(t->s, POT("a"), "s1", &t->e));
	OK(suite_has(t, POT("a"), "f", "1"));
	OK(suite_has(t, POT("a"), "g", NULL));
	OK(suite_tags_are(t, POT("a"), "s1"));
	/* A clone of a later snapshot goes on unharmed. */
	OK(suite_has(t, POT("kept"), "f", "2"));
	OK(suite_has(t, POT("kept"), "g", "2"));
	/* The tag is free again and means the new state. */
	OK(suite_put(t, POT("a"), "f", "4"));
	DO(stor_snapshot(t->s, POT("a"), "s2", &t->e));
	DO(stor_clone(t->s, POT("a"), "s2", POT("b"), &t->e));
	OK(suite_has(t, POT("b"), "f", "4"));
	return suite_empty(t);
}

static bool
clones(struct suite *t)
{
	DO(stor_create(t->s, BASE("deb"), &t->e));
	OK(suite_put(t, BASE("deb"), "f", "1"));
	DO(stor_snapshot(t->s, BASE("deb"), "s", &t->e));
	OK(suite_put(t, BASE("deb"), "f", "2"));
	DO(stor_clone(t->s, BASE("deb"), "s", POT("a"), &t->e));
	DO(stor_clone(t->s, BASE("deb"), NULL, POT("b"), &t->e));
	OK(suite_has(t, POT("a"), "f", "1"));
	OK(suite_has(t, POT("b"), "f", "2"));
	/* The state taken for the purpose is not listed, nor inherited. */
	OK(suite_tags_are(t, BASE("deb"), "s"));
	OK(suite_tags_are(t, POT("a"), ""));
	OK(suite_tags_are(t, POT("b"), ""));
	/* Writes show on one side only. */
	OK(suite_put(t, POT("a"), "f", "a"));
	OK(suite_put(t, BASE("deb"), "g", "3"));
	OK(suite_has(t, POT("b"), "f", "2"));
	OK(suite_has(t, POT("b"), "g", NULL));
	OK(suite_has(t, BASE("deb"), "f", "2"));
	/* A clone of a clone, of its snapshot and of its present. */
	DO(stor_snapshot(t->s, POT("a"), "s", &t->e));
	DO(stor_clone(t->s, POT("a"), "s", POT("c"), &t->e));
	DO(stor_clone(t->s, POT("c"), NULL, POT("d"), &t->e));
	OK(suite_has(t, POT("c"), "f", "a"));
	OK(suite_has(t, POT("d"), "f", "a"));
	return suite_empty(t);
}

static bool
clone_outlives_its_origin(struct suite *t)
{
	DO(stor_create(t->s, BASE("deb"), &t->e));
	OK(suite_put(t, BASE("deb"), "f", "1"));
	DO(stor_snapshot(t->s, BASE("deb"), "s", &t->e));
	DO(stor_clone(t->s, BASE("deb"), "s", POT("a"), &t->e));
	DO(stor_clone(t->s, BASE("deb"), NULL, POT("b"), &t->e));
	DO(stor_clone(t->s, POT("a"), NULL, POT("c"), &t->e));
	DO(stor_destroy(t->s, BASE("deb"), &t->e));
	OK(stor_exists(t->s, BASE("deb"), &t->e) == 0);
	DO(stor_destroy(t->s, POT("a"), &t->e));
	OK(suite_has(t, POT("b"), "f", "1"));
	OK(suite_has(t, POT("c"), "f", "1"));
	/* Its name is free again, and a new one has nothing of the old. */
	DO(stor_create(t->s, BASE("deb"), &t->e));
	OK(suite_has(t, BASE("deb"), "f", NULL));
	OK(suite_tags_are(t, BASE("deb"), ""));
	DO(stor_snapshot(t->s, BASE("deb"), "s", &t->e));
	OK(suite_put(t, POT("b"), "f", "b"));
	OK(suite_has(t, POT("c"), "f", "1"));
	DO(stor_snapshot(t->s, POT("b"), "s", &t->e));
	OK(suite_put(t, POT("b"), "f", "bb"));
	DO(stor_rollback(t->s, POT("b"), "s", &t->e));
	OK(suite_has(t, POT("b"), "f", "b"));
	return suite_empty(t);
}

static bool
snapshot_removed_under_a_clone(struct suite *t)
{
	DO(stor_create(t->s, POT("a"), &t->e));
	OK(suite_put(t, POT("a"), "f", "1"));
	DO(stor_snapshot(t->s, POT("a"), "s1", &t->e));
	DO(stor_clone(t->s, POT("a"), "s1", POT("b"), &t->e));
	OK(suite_put(t, POT("a"), "f", "2"));
	DO(stor_snapshot(t->s, POT("a"), "s2", &t->e));
	DO(stor_snap_destroy(t->s, POT("a"), "s1", &t->e));
	OK(suite_tags_are(t, POT("a"), "s2"));
	OK(suite_has(t, POT("b"), "f", "1"));
	OK(suite_has(t, POT("a"), "f", "2"));
	DO(stor_destroy(t->s, POT("a"), &t->e));
	OK(suite_has(t, POT("b"), "f", "1"));
	return suite_empty(t);
}

static bool
renames(struct suite *t)
{
	DO(stor_create(t->s, POT("a"), &t->e));
	OK(suite_put(t, POT("a"), "f", "1"));
	DO(stor_snapshot(t->s, POT("a"), "s", &t->e));
	DO(stor_clone(t->s, POT("a"), "s", POT("c"), &t->e));
	OK(suite_put(t, POT("a"), "f", "2"));
	DO(stor_rename(t->s, POT("a"), "b", &t->e));
	OK(stor_exists(t->s, POT("a"), &t->e) == 0);
	OK(suite_has(t, POT("b"), "f", "2"));
	OK(suite_tags_are(t, POT("b"), "s"));
	DO(stor_rollback(t->s, POT("b"), "s", &t->e));
	OK(suite_has(t, POT("b"), "f", "1"));
	OK(suite_has(t, POT("c"), "f", "1"));
	/* The old name is free. */
	DO(stor_create(t->s, POT("a"), &t->e));
	OK(suite_has(t, POT("a"), "f", NULL));
	DO(stor_destroy(t->s, POT("b"), &t->e));
	OK(suite_has(t, POT("c"), "f", "1"));
	return suite_empty(t);
}

static int
add_nothing(void *arg, const struct stor_snap *snap)
{
	(void)arg;
	(void)snap;
	return 0;
}

static bool
missing_sources(struct suite *t)
{
	uint64_t quota = 1 << 20;
	struct stor_info info;

	REFUSED(E_NOENT, stor_snapshot(t->s, POT("a"), "s", &t->e));
	OK(strstr(t->e.msg, "a") != NULL);
	REFUSED(E_NOENT, stor_snap_destroy(t->s, POT("a"), "s", &t->e));
	REFUSED(E_NOENT, stor_rollback(t->s, POT("a"), "s", &t->e));
	REFUSED(E_NOENT, stor_snap_list(t->s, POT("a"), add_nothing, NULL, &t->e));
	REFUSED(E_NOENT, stor_clone(t->s, POT("a"), "s", POT("b"), &t->e));
	REFUSED(E_NOENT, stor_clone(t->s, POT("a"), NULL, POT("b"), &t->e));
	REFUSED(E_NOENT, stor_rename(t->s, POT("a"), "b", &t->e));
	REFUSED(E_NOENT, stor_usage(t->s, POT("a"), &info, &t->e));
	REFUSED(E_NOENT, stor_mount(t->s, POT("a"), false, &t->e));
	REFUSED(E_NOENT, stor_mount(t->s, POT("a"), true, &t->e));
	if (t->s->caps & STOR_CAP_QUOTA)
		REFUSED(E_NOENT, stor_quota(t->s, POT("a"), quota, &t->e));
	OK(stor_exists(t->s, POT("b"), &t->e) == 0);
	DO(stor_create(t->s, POT("a"), &t->e));
	REFUSED(E_NOENT, stor_snap_destroy(t->s, POT("a"), "no-such", &t->e));
	OK(strstr(t->e.msg, "no-such") != NULL);
	REFUSED(E_NOENT, stor_rollback(t->s, POT("a"), "no-such", &t->e));
	REFUSED(E_NOENT, stor_clone(t->s, POT("a"), "no-such", POT("b"), &t->e));
	OK(stor_exists(t->s, POT("b"), &t->e) == 0);
	return suite_empty(t);
}

static bool
existing_targets(struct suite *t)
{
	DO(stor_create(t->s, POT("a"), &t->e));
	DO(stor_create(t->s, POT("b"), &t->e));
	OK(suite_put(t, POT("b"), "f", "b"));
	DO(stor_snapshot(t->s, POT("a"), "s", &t->e));
	OK(suite_put(t, POT("a"), "f", "a"));
	REFUSED(E_EXIST, stor_create(t->s, POT("b"), &t->e));
	OK(strstr(t->e.msg, "b") != NULL);
	REFUSED(E_EXIST, stor_snapshot(t->s, POT("a"), "s", &t->e));
	REFUSED(E_EXIST, stor_clone(t->s, POT("a"), "s", POT("b"), &t->e));
	REFUSED(E_EXIST, stor_clone(t->s, POT("a"), NULL, POT("b"), &t->e));
	REFUSED(E_EXIST, stor_clone(t->s, POT("a"), NULL, POT("a"), &t->e));
	REFUSED(E_EXIST, stor_rename(t->s, POT("a"), "b", &t->e));
	REFUSED(E_EXIST, stor_rename(t->s, POT("a"), "a", &t->e));
	OK(suite_has(t, POT("b"), "f", "b"));
	OK(suite_has(t, POT("a"), "f", "a"));
	OK(suite_tags_are(t, POT("a"), "s"));
	OK(suite_tags_are(t, POT("b"), ""));
	return suite_empty(t);
}

static bool
hostile_names(struct suite *t)
{
	char too_long[STOR_NAME_MAX + 2];
	char longest[STOR_NAME_MAX + 1];
	const char *bad[] = { "", ".", "..", "../a", "a/b", "/a", ".a", "-a", "_a", "a b", "a\n", "a@s", "a%",
		"a\\", "a:b", "a*", "\xc3\xa4", "a\xff", "a'b", "$(id)", "a;b", too_long };

	memset(too_long, 'a', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	memcpy(longest, too_long, STOR_NAME_MAX);
	longest[STOR_NAME_MAX] = '\0';
	DO(stor_create(t->s, POT("ok"), &t->e));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		REFUSED(E_INVAL, stor_create(t->s, POT(bad[i]), &t->e));
		REFUSED(E_INVAL, stor_destroy(t->s, POT(bad[i]), &t->e));
		REFUSED(E_INVAL, stor_exists(t->s, POT(bad[i]), &t->e));
		REFUSED(E_INVAL, stor_rename(t->s, POT("ok"), bad[i], &t->e));
		REFUSED(E_INVAL, stor_snapshot(t->s, POT("ok"), bad[i], &t->e));
		REFUSED(E_INVAL, stor_snap_destroy(t->s, POT("ok"), bad[i], &t->e));
		REFUSED(E_INVAL, stor_rollback(t->s, POT("ok"), bad[i], &t->e));
		REFUSED(E_INVAL, stor_clone(t->s, POT("ok"), bad[i], POT("b"), &t->e));
		REFUSED(E_INVAL, stor_clone(t->s, POT("ok"), NULL, POT(bad[i]), &t->e));
		REFUSED(E_INVAL, stor_mount(t->s, POT(bad[i]), true, &t->e));
		REFUSED(E_INVAL, stor_recover(t->s, POT(bad[i]), &t->e));
		/* Nothing of it reaches a message unescaped. */
		OK(strpbrk(t->e.msg, "\n\xff") == NULL);
	}
	DO(stor_create(t->s, POT(longest), &t->e));
	DO(stor_snapshot(t->s, POT(longest), longest, &t->e));
	OK(suite_tags_are(t, POT(longest), longest));
	DO(stor_clone(t->s, POT(longest), longest, BASE(longest), &t->e));
	/* Names that look like what a mechanism may use inside. */
	const char *odd[] = { "layers", "fs", "pot.a", "a.new", "lost.found", "a--b", "snapshot", "0" };
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		DO(stor_create(t->s, POT(odd[i]), &t->e));
		DO(stor_snapshot(t->s, POT(odd[i]), odd[i], &t->e));
	}
	return suite_empty(t);
}

static int
collect(void *arg, const struct stor_info *info)
{
	struct stor_info *found = arg;

	/* "a" and "b" only, each once. */
	if (strlen(info->name) != 1 || info->name[0] < 'a' || info->name[0] > 'b' ||
	    found[info->name[0] - 'a'].name[0])
		return 1;
	found[info->name[0] - 'a'] = *info;
	return 0;
}

static int
stop_list(void *arg, const struct stor_info *info)
{
	(void)info;
	++*(int *)arg;
	return 7;
}

static bool
lists(struct suite *t)
{
	struct stor_info found[2] = { 0 };
	int64_t now = text_now_ns();
	int calls = 0;

	OK(stor_list(t->s, STOR_POT, true, collect, found, &t->e) == 0 && !found[0].name[0]);
	DO(stor_create(t->s, POT("a"), &t->e));
	DO(stor_create(t->s, BASE("x"), &t->e));
	int fd = stor_mount(t->s, POT("a"), false, &t->e);
	OK(fd >= 0);
	OK(fd_fill(fd, "big", 4 << 20) == 0);
	close(fd);
	DO(stor_unmount(t->s, POT("a"), &t->e));
	DO(stor_clone(t->s, POT("a"), NULL, POT("b"), &t->e));
	OK(stor_list(t->s, STOR_POT, true, collect, found, &t->e) == 0);
	OK(strcmp(found[0].name, "a") == 0 && strcmp(found[1].name, "b") == 0);
	OK(found[0].own + found[0].shared >= 4 << 20);
	OK(suite_copies(t) || found[1].own < 1 << 20);
	for (int i = 0; i < 2; i++)
		OK(found[i].created > now - 2000000000 && found[i].created < text_now_ns() + 1000000000);
	OK(stor_list(t->s, STOR_POT, false, stop_list, &calls, &t->e) == 7 && calls == 1);
	return suite_empty(t);
}

static bool
usage_own_and_shared(struct suite *t)
{
	const uint64_t mib = 1 << 20;
	struct stor_info a, b;

	DO(stor_create(t->s, POT("a"), &t->e));
	int fd = stor_mount(t->s, POT("a"), false, &t->e);
	OK(fd >= 0);
	OK(fd_fill(fd, "big", 8 * mib) == 0);
	close(fd);
	DO(stor_unmount(t->s, POT("a"), &t->e));
	DO(stor_usage(t->s, POT("a"), &a, &t->e));
	OK(strcmp(a.name, "a") == 0);
	OK(a.own >= 8 * mib && a.own < 10 * mib);
	OK(a.shared < mib && a.quota == 0);
	DO(stor_snapshot(t->s, POT("a"), "s", &t->e));
	DO(stor_clone(t->s, POT("a"), "s", POT("b"), &t->e));
	fd = stor_mount(t->s, POT("b"), false, &t->e);
	OK(fd >= 0);
	OK(fd_fill(fd, "more", 2 * mib) == 0);
	close(fd);
	DO(stor_unmount(t->s, POT("b"), &t->e));
	DO(stor_usage(t->s, POT("b"), &b, &t->e));
	OK(b.own >= 2 * mib && (suite_copies(t) || b.own < 4 * mib));
	/* shared may be 0 where the mechanism cannot know; else it is what came from a. */
	OK(b.shared == 0 || (b.shared >= 8 * mib && b.shared < 10 * mib));
	return suite_empty(t);
}

static bool
quotas(struct suite *t)
{
	const uint64_t mib = 1 << 20;
	struct stor_info info;

	DO(stor_create(t->s, POT("a"), &t->e));
	if ((t->s->caps & STOR_CAP_QUOTA) == 0) {
		REFUSED(E_NOTSUP, stor_quota(t->s, POT("a"), mib, &t->e));
		OK(strstr(t->e.msg, t->par.mechanism) != NULL);
		return suite_empty(t);
	}
	DO(stor_quota(t->s, POT("a"), 8 * mib, &t->e));
	DO(stor_usage(t->s, POT("a"), &info, &t->e));
	OK(info.quota == 8 * mib);
	int fd = stor_mount(t->s, POT("a"), false, &t->e);
	OK(fd >= 0);
	int sys = fd_fill(fd, "big", 32 * mib);
	OK(sys == EDQUOT || sys == ENOSPC);
	OK(unlinkat(fd, "big", 0) == 0);
	close(fd);
	DO(stor_unmount(t->s, POT("a"), &t->e));
	DO(stor_quota(t->s, POT("a"), 0, &t->e));
	DO(stor_usage(t->s, POT("a"), &info, &t->e));
	OK(info.quota == 0);
	fd = stor_mount(t->s, POT("a"), false, &t->e);
	OK(fd >= 0);
	OK(fd_fill(fd, "big", 12 * mib) == 0);
	close(fd);
	DO(stor_unmount(t->s, POT("a"), &t->e));
	REFUSED(E_INVAL, stor_quota(t->s, POT("a"), 4 * mib, &t->e));
	DO(stor_quota(t->s, POT("a"), 64 * mib, &t->e));
	return suite_empty(t);
}

static bool
reopening(struct suite *t)
{
	DO(stor_create(t->s, POT("a"), &t->e));
	OK(suite_put(t, POT("a"), "f", "1"));
	DO(stor_snapshot(t->s, POT("a"), "s", &t->e));
	stor_close(t->s);
	/* init may be repeated and keeps what is there. */
	t->s = NULL;
	DO(stor_init(&t->s, t->dir, &t->par, &t->e));
	OK(suite_has(t, POT("a"), "f", "1"));
	stor_close(t->s);
	t->s = suite_open(t);
	OK(t->s != NULL);
	OK(suite_tags_are(t, POT("a"), "s"));
	return suite_empty(t);
}

static bool
recover_of_the_healthy(struct suite *t)
{
	/* Repairing what is not broken, or not there, changes nothing. */
	DO(stor_recover(t->s, POT("a"), &t->e));
	DO(stor_create(t->s, POT("a"), &t->e));
	OK(suite_put(t, POT("a"), "f", "1"));
	DO(stor_snapshot(t->s, POT("a"), "s", &t->e));
	OK(suite_put(t, POT("a"), "f", "2"));
	DO(stor_recover(t->s, POT("a"), &t->e));
	OK(suite_has(t, POT("a"), "f", "2"));
	OK(suite_tags_are(t, POT("a"), "s"));
	return suite_empty(t);
}

const struct suite_case suite_basic[] = {
	{ "create and destroy", create_and_destroy },
	{ "the root of a new one is 0755 and the caller's", root_of_a_new_one },
	{ "snapshot with tag, remove, same state twice", snapshots },
	{ "snapshots are listed in order of making, with times", snapshot_times },
	{ "rollback removes later snapshots, not their clones", rollbacks },
	{ "clone of a snapshot and of the present", clones },
	{ "a clone outlives its origin", clone_outlives_its_origin },
	{ "a snapshot removed under a clone", snapshot_removed_under_a_clone },
	{ "rename keeps content, snapshots and clones", renames },
	{ "missing sources", missing_sources },
	{ "existing targets", existing_targets },
	{ "hostile names", hostile_names },
	{ "list with sizes and times", lists },
	{ "space used, own and shared", usage_own_and_shared },
	{ "quota works, or is refused by name", quotas },
	{ "close, init again, open", reopening },
	{ "recover of what is not broken", recover_of_the_healthy },
	{ NULL, NULL },
};
