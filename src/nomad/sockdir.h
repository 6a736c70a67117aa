/* The directory in which the plugin's socket is. */
#ifndef NOMAD_SOCKDIR_H
#define NOMAD_SOCKDIR_H

#include "base/err.h"

struct sockdir {
	char *dir, *path; /* path: of the socket, dir/plugin.sock */
	int lock;         /* held as long as the plugin lives; or -1 */
};
#define SOCKDIR_INIT           \
	{                      \
		NULL, NULL, -1 \
	}

/*
 * A new directory that only its owner can enter, below PLUGIN_UNIX_SOCKET_DIR or TMPDIR of the environment, or
 * /tmp. What plugins that were killed have left there goes.
 */
int sockdir_make(struct sockdir *, struct err *) MUST_CHECK;
/* With the socket in it. */
void sockdir_remove(struct sockdir *);

#endif
