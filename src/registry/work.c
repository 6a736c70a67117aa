/* See work.h. First come, first served. */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "registry/work.h"

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *first, **last;
	bool stopping;
	unsigned n;
	pthread_t threads[];
};

static void *
run(void *arg)
{
	struct workers *w = arg;
	struct job *job;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (w->first == NULL && !w->stopping)
			pthread_cond_wait(&w->wake, &w->lock);
		job = w->first;
		if (job == NULL)
			break;
		w->first = job->next;
		if (w->first == NULL)
			w->last = &w->first;
		pthread_mutex_unlock(&w->lock);
		job->run(job);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int
workers_start(unsigned n, struct workers **out, struct err *e)
{
	struct workers *w = calloc(1, sizeof(*w) + n * sizeof(w->threads[0]));

	if (w == NULL)
		return err_nomem(e);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->last = &w->first;
	for (; w->n < n; w->n++) {
		int rc = pthread_create(&w->threads[w->n], NULL, run, w);

		if (rc != 0) {
			workers_stop(w);
			return err_sysno(e, rc, "start a thread");
		}
	}
	*out = w;
	return 0;
}

void
workers_stop(struct workers *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->n; i++)
		pthread_join(w->threads[i], NULL);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->wake);
	free(w);
}

void
work_submit(struct workers *w, struct job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&w->lock);
	*w->last = job;
	w->last = &job->next;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}
