/* engine/sync.h with one short-lived thread: fdatasync has no other way not to wait. */
#include "engine/sync.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#define SYNC_STACK (128 * 1024)

static void *
sync_beside(void *arg)
{
	struct state_sync *sy = arg;

	sy->sys = fdatasync(sy->fd) == 0 ? 0 : errno;
	return NULL;
}

void
state_sync_begin(const struct state *s, struct state_sync *sy)
{
	pthread_attr_t attr;
	sigset_t all, old;

	sy->fd = s->fd;
	sy->sys = 0;
	sy->running = false;
	if (pthread_attr_init(&attr) != 0)
		return;
	/* Signals are for the thread that called us. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_attr_setstacksize(&attr, SYNC_STACK) == 0)
		sy->running = pthread_create(&sy->thread, &attr, sync_beside, sy) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
}

int
state_sync_end(const struct state *s, struct state_sync *sy, struct err *e)
{
	sy->fd = s->fd;
	if (sy->running)
		pthread_join(sy->thread, NULL);
	else
		(void)sync_beside(sy);
	sy->running = false;
	return sy->sys == 0 ? 0 : err_sysno(e, sy->sys, "cannot write the state file to the disk");
}
