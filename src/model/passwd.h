/*
 * Users of an untrusted root: "USER[:GROUP]" (names or numbers) looked up in
 * the text of its /etc/passwd and /etc/group. Lines that are too long or do
 * not parse are passed over. Numbers are 0..4294967294, decimal only; a name
 * that is not there is an error and never becomes root.
 */
#ifndef MODEL_PASSWD_H
#define MODEL_PASSWD_H

#include <sys/types.h>
#include "base/err.h"

#define PASSWD_GROUPS_MAX 64

struct passwd_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[PASSWD_GROUPS_MAX]; /* gid first, then the supplementary ones, each once */
	size_t ngroups;
	char name[64];   /* "" when only a number is known */
	char home[256];  /* "/" when not known or not absolute */
	char shell[256]; /* "" when not known */
};

/*
 * passwd, group: file contents ("" when absent). spec NULL or "": root (0:0, looked up).
 *
 * All digits is a number, never a name. USER alone: group from passwd, supplementary groups from
 * group; a number that passwd does not have gets gid 0, as podman and docker do. USER:GROUP: that
 * group and no other. Errors: E_INVAL (not USER[:GROUP], number too large), E_NOENT (no such name),
 * E_LIMIT (more than PASSWD_GROUPS_MAX groups).
 */
int passwd_lookup(
    const char *passwd, const char *group, const char *spec, struct passwd_user *, struct err *) MUST_CHECK;
/* The name of uid in passwd, or NULL; copied to out. */
const char *passwd_name(const char *passwd, uid_t, char out[static 64]);

#endif
