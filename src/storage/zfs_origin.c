/*
 * Storage on ZFS: what a file system stands on, and the word that is left with
 * a snapshot. The word is a property of the snapshot (pot:note), so that it
 * goes with it and follows each renaming, also into the hidden names of
 * snapshots that only live on for their clones.
 */
#include <stdio.h>
#include <string.h>

#include "storage/zfs.h"

/* Takes PREFIX and '/' off *name. */
static bool
take_prefix(const char **name, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(*name, prefix, n) != 0 || (*name)[n] != '/')
		return false;
	*name += n + 1;
	return true;
}

/* NAME@TAG of a kind; anything else, a hidden or deleted one, leaves both empty. */
static void
name_origin(const char *snap, struct stor_origin *o)
{
	for (size_t k = 0; k < ZFS_KINDS; k++) {
		const char *name = snap, *at;

		if (!take_prefix(&name, zfs_kind_names[k]) || (at = strchr(name, '@')) == NULL ||
		    at - name > STOR_NAME_MAX || (at[1] == '.' && strncmp(at + 1, ".t-", 3) != 0))
			continue;
		o->kind = (enum stor_kind)k;
		snprintf(o->name, sizeof(o->name), "%.*s", (int)(at - name), name);
		/* A long one follows as a property. */
		if (at[1] != '.')
			snprintf(o->tag, sizeof(o->tag), "%.*s", STOR_NAME_MAX, at + 1);
	}
}

static int
take_word(void *arg, const struct zfs_value *v)
{
	struct stor_origin *o = arg;

	if (v->local && strcmp(v->prop, "pot:note") == 0)
		snprintf(o->note, sizeof(o->note), "%s", v->value);
	else if (v->local && strcmp(v->prop, "pot:tag") == 0 && o->name[0] != '\0' && o->tag[0] == '\0')
		snprintf(o->tag, sizeof(o->tag), "%s", v->value);
	return 0;
}

int
zfs_origin(struct stor *s, struct stor_fs fs, struct stor_origin *o, struct err *e)
{
	AUTO_FINI(buf) struct buf origin = BUF_INIT(ZFS_NAME_LEN + 1);
	char ds[ZFS_NAME_LEN];
	const char *snap;
	int rc = zfs_recover(s, fs, e);

	*o = (struct stor_origin){ .kind = STOR_BASE };
	zfs_dataset(s, fs, ds);
	if (rc == 0)
		rc = zfs_get_one(ds, "origin", &origin, e);
	snap = buf_cstr(&origin);
	if (rc < 0 || !take_prefix(&snap, s->zfs_root))
		return rc;
	name_origin(snap, o);
	rc = zfs_get(buf_cstr(&origin), NULL, "pot:note,pot:tag", take_word, o, e);
	return rc < 0 ? rc : 1;
}

int
zfs_note(struct stor *s, struct stor_fs fs, const char *tag, const char *text, struct err *e)
{
	char snap[ZFS_NAME_LEN], option[STOR_NOTE_LEN + 16];
	int rc = zfs_recover(s, fs, e);

	zfs_snapshot_name(s, fs, tag, snap);
	snprintf(option, sizeof(option), "pot:note=%s", text);
	return rc < 0 ? rc : zfs_run(NULL, e, "set", option, snap, NULL);
}
