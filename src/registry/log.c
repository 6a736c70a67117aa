/*
 * Lines of the access log are gathered in one buffer and written by a thread
 * of their own a moment later: a write per request would cost as much as the
 * request.  What a kill loses is the last second of the log.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/text.h"
#include "registry/log.h"

#define BUFFER ((size_t)256 * 1024)
#define FLUSH_S 1

struct log {
	char *path; /* NULL: none */
	int fd;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool stopping, running;
	char *filling, *writing;
	size_t n;
	unsigned long dropped;
};

static int
open_file(struct log *l, struct err *e)
{
	int fd;

	if (l->path == NULL)
		return 0;
	fd = strcmp(l->path, "-") == 0
	    ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
	    : open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return err_sys(e, "open the access log '%s'", l->path);
	fd_close(l->fd);
	l->fd = fd;
	return 0;
}

/* With the lock held; releases it while writing. */
static void
flush(struct log *l)
{
	size_t n = l->n;
	char *text = l->filling;

	l->filling = l->writing;
	l->writing = text;
	l->n = 0;
	pthread_mutex_unlock(&l->lock);
	if (n > 0)
		(void)!fd_write_all(l->fd, text, n, "access log", NULL);
	pthread_mutex_lock(&l->lock);
}

static void *
run(void *arg)
{
	struct log *l = arg;

	pthread_mutex_lock(&l->lock);
	while (!l->stopping) {
		struct timespec until;

		if (l->n == 0) {
			pthread_cond_wait(&l->wake, &l->lock);
			continue;
		}
		if (l->n < BUFFER / 2) {
			clock_gettime(CLOCK_MONOTONIC, &until);
			until.tv_sec += FLUSH_S;
			(void)pthread_cond_timedwait(&l->wake, &l->lock, &until);
		}
		flush(l);
	}
	flush(l);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

int
log_open(const char *access, struct log **out, struct err *e)
{
	struct log *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;
	int rc;

	if (l == NULL)
		return err_nomem(e);
	l->fd = -1;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (access != NULL) {
		l->path = strdup(access);
		l->filling = malloc(BUFFER);
		l->writing = malloc(BUFFER);
		rc = l->path == NULL || l->filling == NULL || l->writing == NULL ? err_nomem(e)
										 : open_file(l, e);
		if (rc == 0 && (rc = pthread_create(&l->thread, NULL, run, l)) != 0)
			rc = err_sysno(e, rc, "start a thread");
		if (rc < 0) {
			log_close(l);
			return rc;
		}
		l->running = true;
	}
	*out = l;
	return 0;
}

void
log_close(struct log *l)
{
	if (l == NULL)
		return;
	if (l->running) {
		pthread_mutex_lock(&l->lock);
		l->stopping = true;
		pthread_cond_signal(&l->wake);
		pthread_mutex_unlock(&l->lock);
		pthread_join(l->thread, NULL);
	}
	fd_close(l->fd);
	free(l->filling);
	free(l->writing);
	free(l->path);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->wake);
	free(l);
}

int
log_reopen(struct log *l, struct err *e)
{
	int rc;

	pthread_mutex_lock(&l->lock);
	rc = open_file(l, e);
	pthread_mutex_unlock(&l->lock);
	return rc;
}

void
log_access(struct log *l, const char *line)
{
	size_t n = strlen(line);

	if (!l->running)
		return;
	pthread_mutex_lock(&l->lock);
	if (l->n + n + 1 > BUFFER) {
		/* The disk does not keep up: requests go first. */
		l->dropped++;
	} else {
		if (l->n == 0 || (l->n < BUFFER / 2 && l->n + n + 1 >= BUFFER / 2))
			pthread_cond_signal(&l->wake);
		memcpy(l->filling + l->n, line, n);
		l->filling[l->n + n] = '\n';
		l->n += n + 1;
	}
	pthread_mutex_unlock(&l->lock);
}

void
log_message(struct log *l, const char *fmt, ...)
{
	char text[1024], when[TEXT_TIME_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_time_print(text_now_ns(), false, when);
	fprintf(stderr, "%s pot-registry: %s\n", when, text);
}
