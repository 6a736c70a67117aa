/* base/watch.h with inotify and a pidfd. */
#include "base/watch.h"

#include <sys/inotify.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/await.h"

#define LOOK_MS 50

struct watch {
	int fd;
};

int
watch_open(struct watch **out, int dirfd, struct err *e)
{
	char path[64];
	struct watch *w = malloc(sizeof(*w));

	if (w == NULL)
		return err_nomem(e);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd < 0 ||
	    inotify_add_watch(w->fd, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
		err_sys(e, "cannot watch a directory with inotify");
		if (errno == EMFILE || errno == ENOSPC)
			err_hint(e, "raise fs.inotify.max_user_instances or max_user_watches");
		watch_close(w);
		return e == NULL ? -E_SYS : -e->code;
	}
	*out = w;
	return 0;
}

void
watch_close(struct watch *w)
{
	if (w == NULL)
		return;
	fd_close(w->fd);
	free(w);
}

int
watch_wait(struct watch *w, const struct proc_id *id, int timeout_ms, const volatile bool *cancel,
    bool *ended, struct err *e)
{
	char events[4096];
	struct pollfd p[2] = { { w->fd, POLLIN, 0 }, { -1, POLLIN, 0 } };
	AUTO(fd) int pidfd = -1;
	struct err own = ERR_INIT;
	bool blind;
	int rc;

	*ended = false;
	if (id != NULL) {
		pidfd = proc_id_fd(id, &own);
		if (pidfd < 0 && pidfd != -E_NOTSUP) {
			*ended = true;
			return 0;
		}
		p[1].fd = pidfd;
	}
	/* Where no process tells of its end, we look for it now and then. */
	blind = id != NULL && pidfd < 0;
	if (blind && (timeout_ms < 0 || timeout_ms > LOOK_MS))
		timeout_ms = LOOK_MS;
	rc = await_fds(p, 2, timeout_ms, cancel, e);
	if (rc < 0)
		return rc;
	while (read(w->fd, events, sizeof(events)) > 0)
		;
	*ended = blind ? !proc_id_alive(id) : (p[1].revents & POLLIN) != 0;
	return 0;
}
