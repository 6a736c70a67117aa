/*
 * What processes of a jail leave in the kernel when they have ended, and what
 * would keep the jail dying for ever: POSIX shared memory, whose names begin
 * with the path of the jail that made them. (System V's objects end with the
 * jail: model/freebsd/jailend.h.)
 */
#include "isolation/freebsd/jail.h"

#include <sys/types.h>
#include <sys/mman.h>
#include <sys/sysctl.h>
#include <sys/user.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"

#define LIST "kern.ipc.posix_shm_list"
#define LIST_MAX ((size_t)64 << 20)

/* The kernel's list: struct kinfo_file, each as long as it says. */
static int
list(char **out, size_t *n, struct err *e)
{
	size_t size = 0;

	/* It grows between the two calls. */
	for (;;) {
		*n = 0;
		if (sysctlbyname(LIST, NULL, &size, NULL, 0) != 0)
			/* A kernel that cannot list them. */
			return errno == ENOENT ? 0 : err_sys(e, "cannot list shared memory");
		size += size / 4 + 16 * sizeof(struct kinfo_file);
		if (size > LIST_MAX)
			return err_set(e, E_LIMIT, "too many objects of shared memory");
		free(*out);
		*out = malloc(size);
		if (*out == NULL)
			return err_nomem(e);
		*n = size;
		if (sysctlbyname(LIST, *out, n, NULL, 0) == 0)
			return 0;
		if (errno != ENOMEM)
			return err_sys(e, "cannot list shared memory");
	}
}

int
shm_drop(const char *root, struct err *e)
{
	AUTO_FREE char *v = NULL;
	size_t n = 0, len = strlen(root), head = offsetof(struct kinfo_file, kf_path);
	int rc;

	/* "/" would be all of the host's. */
	if (len < 2)
		return err_set(e, E_CORRUPT, "the record of a jail says that \"%s\" is its root", root);
	rc = list(&v, &n, e);
	for (size_t at = 0; rc == 0 && at + head < n;) {
		struct kinfo_file k;
		size_t size;
		int one;

		memcpy(&one, v + at + offsetof(struct kinfo_file, kf_structsize), sizeof(one));
		size = (size_t)one;
		if (one <= (int)head || size > sizeof(k) || at + size > n)
			return err_set(e, E_NOTSUP, "this kernel lists shared memory in a form of its own");
		memset(&k, 0, sizeof(k));
		memcpy(&k, v + at, size);
		at += size;
		k.kf_path[sizeof(k.kf_path) - 1] = '\0';
		if (strncmp(k.kf_path, root, len) == 0 && k.kf_path[len] == '/' &&
		    shm_unlink(k.kf_path) != 0 && errno != ENOENT)
			rc = err_sys(e, "cannot remove the shared memory %s", k.kf_path);
	}
	return rc;
}
