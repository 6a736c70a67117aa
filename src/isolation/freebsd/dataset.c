/*
 * Datasets of ZFS that a pot manages itself: given to its jail by zfs(8), taken
 * back by the kernel when the jail ends. Their properties are the
 * administrator's: one that is not marked `jailed` is refused, because what the
 * pot makes of its mount points would be the host's, once it is taken back.
 */
#include "isolation/freebsd/jail.h"

#include <stdio.h>
#include <string.h>

#include "base/proc.h"

#define ZFS_MS 60000
#define ANSWER_MAX 4096

static int
zfs(const char *const *argv, struct buf *out, struct err *e)
{
	struct proc_spec s = PROC_SPEC_INIT;

	s.argv = argv;
	s.out = out;
	s.timeout_ms = ZFS_MS;
	return proc_run(&s, NULL, e);
}

int
dataset_give(int jid, const char *dataset, struct err *e)
{
	AUTO_FINI(buf) struct buf jailed = BUF_INIT(ANSWER_MAX);
	const char *get[] = { "zfs", "get", "-H", "-o", "value", "jailed", dataset, NULL };
	char number[16];
	const char *give[] = { "zfs", "jail", number, dataset, NULL };
	struct err own = ERR_INIT;
	int rc = zfs(get, &jailed, &own);

	if (rc < 0 && strstr(own.msg, "does not exist") != NULL) {
		err_set(e, E_NOENT, "dataset %s does not exist", dataset);
		return err_hint(e, "zfs create -o jailed=on %s", dataset);
	}
	if (rc < 0 && e != NULL)
		*e = own;

	if (rc == 0 && strcmp(buf_cstr(&jailed), "on\n") != 0) {
		err_set(e, E_STATE, "dataset %s is not marked as one of a jail", dataset);
		return err_hint(e, "zfs set jailed=on %s (the host will not mount it any more)", dataset);
	}
	snprintf(number, sizeof(number), "%d", jid);
	if (rc == 0)
		rc = zfs(give, NULL, e);
	return rc < 0 ? err_wrap(e, "giving the pot %s", dataset) : 0;
}
