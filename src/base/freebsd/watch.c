/* base/watch.h with kqueue: the directory's vnode tells names, the log file in it tells writes. */
#include <sys/types.h>
#include <sys/event.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/await.h"
#include "base/watch.h"

struct watch {
	int kq, dirfd, logfd;
};

static void
watch_log(struct watch *w)
{
	struct kevent ev;

	fd_close(w->logfd);
	w->logfd = openat(w->dirfd, "log", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (w->logfd < 0)
		return;
	EV_SET(
	    &ev, w->logfd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_EXTEND | NOTE_RENAME, 0, NULL);
	(void)kevent(w->kq, &ev, 1, NULL, 0, NULL);
}

int
watch_open(struct watch **out, int dirfd, struct err *e)
{
	struct kevent ev;
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return err_nomem(e);
	w->logfd = -1;
	w->dirfd = dup(dirfd);
	w->kq = kqueue();
	EV_SET(&ev, w->dirfd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_EXTEND, 0, NULL);
	if (w->dirfd < 0 || w->kq < 0 || kevent(w->kq, &ev, 1, NULL, 0, NULL) < 0) {
		err_sys(e, "cannot watch a directory with kqueue");
		watch_close(w);
		return e == NULL ? -E_SYS : -e->code;
	}
	watch_log(w);
	*out = w;
	return 0;
}

void
watch_close(struct watch *w)
{
	if (w == NULL)
		return;
	fd_close(w->kq);
	fd_close(w->dirfd);
	fd_close(w->logfd);
	free(w);
}

int
watch_wait(struct watch *w, const struct proc_id *id, int timeout_ms, const volatile bool *cancel,
    bool *ended, struct err *e)
{
	static const struct timespec now;
	struct pollfd p = { w->kq, POLLIN, 0 };
	struct kevent ev;
	int n;

	*ended = id != NULL && !proc_id_alive(id);
	if (*ended)
		return 0;
	if (id != NULL) {
		EV_SET(&ev, (uintptr_t)id->pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, NULL);
		if (kevent(w->kq, &ev, 1, NULL, 0, NULL) < 0) {
			*ended = true;
			return 0;
		}
	}
	n = await_fds(&p, 1, timeout_ms, cancel, e);
	if (n < 0)
		return n;
	n = kevent(w->kq, NULL, 0, &ev, 1, &now);
	if (n < 0)
		return err_sys(e, "cannot wait for changes");
	if (n == 1 && ev.filter == EVFILT_PROC)
		*ended = true;
	else if (n == 1 && (int)ev.ident == w->dirfd)
		watch_log(w);
	return 0;
}
