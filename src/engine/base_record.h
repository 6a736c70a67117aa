/* What there is of a base on the disk: its lock, its record, its temporary directory; and taking all of it away. */
#ifndef ENGINE_BASE_RECORD_H
#define ENGINE_BASE_RECORD_H

#include "base/auto.h"
#include "base/text.h"
#include "engine/engine.h"
#include "model/name.h"

#define BASES "bases"

/* A base in hand: ROOT/bases open and NAME locked. */
struct base {
	struct eng *eng;
	const char *name;
	int bases_fd, lock_fd;
	char lock[POT_NAME_MAX + 16];
};
#define BASE_INIT                      \
	{                              \
		NULL, NULL, -1, -1, "" \
	}
void base_fini(struct base *);
DEFINE_AUTO_FINI(base, struct base)

static inline struct stor_fs
base_fs(const char *name)
{
	return (struct stor_fs){ STOR_BASE, name };
}

/* name outlives it. E_BUSY when somebody makes or removes this base now. */
int base_lock(struct base *, struct eng *, const char *name, struct err *) MUST_CHECK;

/* 1 there is a base, 0 not. */
int base_record_exists(int bases_fd, const char *name, struct err *) MUST_CHECK;
/* E_NOENT when there is no such base. */
int base_record_read(int bases_fd, const char *name, struct pot_base_info *, struct err *) MUST_CHECK;
/* Into ROOT/bases/NAME, durably: from now on there is a base. */
int base_record_write(int dir, const struct pot_base_info *, struct err *) MUST_CHECK;
/* Names in ROOT/bases, in order; not all have a record. */
int base_list_names(int bases_fd, struct strv *names, struct err *) MUST_CHECK;

/* The directory below ROOT/tmp while a base is made. */
int base_tmp_name(struct buf *, const char *name, struct err *) MUST_CHECK;
int base_remove_tmp(struct eng *, const char *name, struct err *) MUST_CHECK;
/* Removes everything of a locked base; what is not there is fine. The record goes first. */
int base_remove(struct base *, struct err *) MUST_CHECK;

#endif
