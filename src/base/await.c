/*
 * The one wait of the library's blocking calls.  Signals are blocked but
 * within ppoll, so that the flag cannot change unseen before it.
 */
#include "base/await.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#include "base/text.h"

static int
wait_once(struct pollfd *p, unsigned n, int64_t end, const volatile bool *cancel, const sigset_t *before)
{
	int64_t left = end < 0 ? 0 : end - text_monotonic_ms();
	const struct timespec ts = { left > 0 ? left / 1000 : 0, left > 0 ? left % 1000 * 1000000 : 0 };

	if (cancel != NULL && *cancel)
		return -E_INTR;
	return ppoll(p, n, end < 0 ? NULL : &ts, before);
}

int
await_fds(struct pollfd *p, unsigned n, int ms, const volatile bool *cancel, struct err *e)
{
	int64_t end = ms < 0 ? -1 : text_monotonic_ms() + ms;
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	do {
		rc = wait_once(p, n, end, cancel, &before);
	} while (rc == -1 && errno == EINTR);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == -E_INTR)
		return err_set(e, E_INTR, "interrupted");
	return rc < 0 ? err_sys(e, "cannot wait") : rc;
}
