/* Where the programs that belong to pot are. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"

int
host_find_program(const char *name, const char *installed, char *out, size_t size, struct err *e)
{
	char self[PATH_MAX];
	const char *slash;
	int rc = host_self_path(self, sizeof(self), e);

	if (rc < 0)
		return rc;
	slash = strrchr(self, '/');
	snprintf(out, size, "%.*s/%s", (int)(slash == NULL ? 0 : slash - self), self, name);
	if (access(out, X_OK) == 0)
		return 0;
	snprintf(out, size, "%s/%s", installed, name);
	if (access(out, X_OK) == 0)
		return 0;
	rc = err_sys(e, "cannot execute %s", out);
	(void)err_hint(e, "%s stands beside this program or in %s: install pot again", name, installed);
	return rc;
}

const char *
host_datadir(void)
{
	return POT_DATADIR;
}
