/*
 * Buckets by hash of the address.  Two addresses that share one share their
 * rate: with 4096 places that is rare, and it bounds the memory that any
 * number of addresses can take.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/text.h"
#include "registry/limit.h"

#define PLACES 4096
#define LOCKS 16

struct limiter {
	unsigned rate, burst;
	uint64_t seed;
	pthread_mutex_t locks[LOCKS];
	struct {
		int64_t at; /* monotonic ms of the last look */
		double left;
	} v[PLACES];
};

int
limiter_new(unsigned per_second, unsigned burst, struct limiter **out, struct err *e)
{
	struct limiter *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return err_nomem(e);
	l->rate = per_second;
	l->burst = burst > 0 ? burst : 1;
	l->seed = (uint64_t)text_now_ns();
	for (int i = 0; i < LOCKS; i++)
		pthread_mutex_init(&l->locks[i], NULL);
	for (int i = 0; i < PLACES; i++)
		l->v[i].left = l->burst;
	*out = l;
	return 0;
}

void
limiter_free(struct limiter *l)
{
	if (l == NULL)
		return;
	for (int i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&l->locks[i]);
	free(l);
}

bool
limiter_take(struct limiter *l, const char *addr, unsigned *wait_s)
{
	uint64_t h = l->seed;
	int64_t now;
	size_t i;
	bool got;

	if (l->rate == 0)
		return true;
	for (; *addr != '\0'; addr++)
		h = (h ^ (unsigned char)*addr) * UINT64_C(1099511628211);
	i = (h >> 24) % PLACES;
	now = text_monotonic_ms();
	pthread_mutex_lock(&l->locks[i % LOCKS]);
	l->v[i].left += (double)(now - l->v[i].at) * l->rate / 1000;
	l->v[i].at = now;
	if (l->v[i].left > l->burst)
		l->v[i].left = l->burst;
	got = l->v[i].left >= 1;
	if (got)
		l->v[i].left -= 1;
	else
		*wait_s = 1 + (unsigned)((1 - l->v[i].left) / l->rate);
	pthread_mutex_unlock(&l->locks[i % LOCKS]);
	return got;
}
