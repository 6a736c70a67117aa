/*
 * Storage conformance, part four: a full disk. Runs on a second installation
 * on a small file system (--small): it is filled through a mount, then every
 * operation either succeeds or says E_NOSPC and leaves nothing; destroying
 * works on the full disk and gives the space back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "suite.h"

enum { MORE_MAX = 20000 };

/* Fills the disk through a mount of fs; the last bytes go in small pieces. */
static bool
fill_up(struct suite *t, struct stor_fs fs)
{
	char name[48];
	int sys = 0;

	int root = stor_mount(t->s, fs, false, &t->e);
	OK(root >= 0);
	for (size_t piece = 64 << 20; piece >= 4096; piece /= 16)
		for (int i = 0; i < 64; i++) {
			snprintf(name, sizeof(name), "fill-%zu-%d", piece, i);
			sys = fd_fill(root, name, piece);
			if (sys != 0)
				break;
		}
	close(root);
	DO(stor_unmount(t->s, fs, &t->e));
	OK(sys == ENOSPC || sys == EDQUOT);
	return true;
}

/* The call may succeed; refused, it says that there is no space. */
static bool
fits_or_nospc(struct suite *t, int rc)
{
	OK(rc == 0 || (rc == -E_NOSPC && t->e.code == E_NOSPC && t->e.msg[0]));
	return true;
}

/* Makes clones until one is refused: that one must not exist. */
static bool
clones_until_full(struct suite *t)
{
	char name[16];
	int rc = 0;

	for (int i = 0; i < MORE_MAX && rc == 0; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		rc = stor_clone(t->s, POT("a"), "s", POT(name), &t->e);
		OK(fits_or_nospc(t, rc));
		OK(stor_exists(t->s, POT(name), &t->e) == (rc == 0));
		/* Mechanisms with reserves of their own take many; a hundred is proof enough. */
		if (i >= 100)
			break;
	}
	return true;
}

static bool
on_a_full_disk(struct suite *t)
{
	AUTO_FINI(buf) struct buf empty = BUF_INIT(1 << 22);
	AUTO_FINI(buf) struct buf is = BUF_INIT(1 << 22);

	OK(suite_traces(t, &empty));
	DO(stor_create(t->s, POT("a"), &t->e));
	OK(suite_put(t, POT("a"), "f", "1"));
	DO(stor_snapshot(t->s, POT("a"), "s", &t->e));
	DO(stor_create(t->s, POT("b"), &t->e));
	OK(fill_up(t, POT("b")));
	OK(clones_until_full(t));
	OK(fits_or_nospc(t, stor_create(t->s, BASE("n"), &t->e)));
	int rc = stor_snapshot(t->s, POT("b"), "s", &t->e);
	OK(fits_or_nospc(t, rc));
	OK(suite_tags_are(t, POT("b"), rc == 0 ? "s" : ""));
	rc = stor_clone(t->s, POT("b"), NULL, BASE("m"), &t->e);
	OK(fits_or_nospc(t, rc));
	OK(stor_exists(t->s, BASE("m"), &t->e) == (rc == 0));
	rc = stor_rollback(t->s, POT("a"), "s", &t->e);
	OK(fits_or_nospc(t, rc));
	OK(suite_has(t, POT("a"), "f", "1"));
	rc = stor_rename(t->s, POT("b"), "bb", &t->e);
	OK(fits_or_nospc(t, rc));
	/* Everything can be destroyed, and then there is space again. */
	OK(suite_empty(t));
	OK(suite_traces(t, &is));
	OK(strcmp(buf_cstr(&empty), buf_cstr(&is)) == 0);
	DO(stor_create(t->s, POT("a"), &t->e));
	int root = stor_mount(t->s, POT("a"), false, &t->e);
	OK(root >= 0);
	OK(fd_fill(root, "f", 16 << 20) == 0);
	close(root);
	DO(stor_unmount(t->s, POT("a"), &t->e));
	return suite_empty(t);
}

static bool
full_disk(struct suite *t)
{
	struct suite small = *t;

	if (t->small == NULL)
		SKIP("no --small file system given");
	small.dir = t->small;
	small.par.zfs_root = t->small_zfs;
	small.s = NULL;
	int rc = stor_init(&small.s, small.dir, &small.par, &small.e);
	bool good = rc == 0 && on_a_full_disk(&small);
	t->e = small.e;
	if (rc == 0) {
		rc = stor_fini(small.s, &small.e);
		stor_close(small.s);
	}
	OK(good);
	OK(rc == 0);
	return true;
}

const struct suite_case suite_space[] = {
	{ "on a full disk", full_disk },
	{ NULL, NULL },
};
