/* The system that a root brings, and how Linux starts it: its init is the pot's PID 1. */
#include <fcntl.h>
#include <string.h>

#include "base/inroot.h"
#include "isolation/isolation.h"

#define INIT "/sbin/init"

int
iso_system_command(int root_fd, struct strv *argv, bool *direct, bool *stays, struct err *e)
{
	static const char *const inits[] = { INIT, "/usr/sbin/init", "/lib/systemd/systemd",
		"/usr/lib/systemd/systemd", "/bin/init" };

	*direct = *stays = false;
	if (argv->n == 0) {
		AUTO(fd) int fd = inroot_open(root_fd, INIT, O_PATH, 0, NULL);

		if (fd < 0) {
			fd = -1;
			return 0;
		}
		strv_add(argv, INIT);
	}
	for (size_t i = 0; argv->n > 0 && i < ARRAY_LEN(inits); i++)
		*direct = *direct || strcmp(argv->v[0], inits[i]) == 0;
	return strv_check(argv, "the command", e);
}
