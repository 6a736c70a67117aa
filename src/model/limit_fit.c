/*
 * Do limits fit each other and the host, and which CPUs does a pot get? Plain
 * arithmetic on numbers that the caller has found out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/limit.h"

static int
over_host(const char *name, uint64_t asked, uint64_t has, bool bytes, struct err *e)
{
	char a[TEXT_SIZE_LEN], b[TEXT_SIZE_LEN];

	if (has == 0 || asked <= has)
		return 0;
	if (!bytes)
		return err_set(e, E_LIMIT, "%s %" PRIu64 " is more than this host has: at most %" PRIu64,
		    name, asked, has);
	text_size_print(asked, a);
	text_size_print(has, b);
	return err_set(
	    e, E_LIMIT, "%s %s is more than this host has: at most %" PRIu64 " (%s)", name, a, has, b);
}

static int
check_swap(const struct limits *l, struct err *e)
{
	if (l->memory_swap == 0)
		return 0;
	if (l->memory == 0) {
		err_set(
		    e, E_INVAL, "memory-swap counts memory and swap together: memory must be limited too");
		return err_hint(e, "give memory as well, at most %" PRIu64, l->memory_swap);
	}
	if (l->memory_swap < l->memory)
		return err_set(e, E_INVAL,
		    "memory-swap counts memory and swap together: it must be at least %" PRIu64, l->memory);
	return 0;
}

int
limits_check(const struct limits *l, const struct limits_host *h, struct err *e)
{
	const struct limits_range *files = &l->ulimit[LIMITS_ULIMIT_nofile];
	int r = over_host("memory", l->memory, h->memory, true, e);

	if (r == 0)
		r = over_host("memory-reservation", l->memory_reservation, h->memory, true, e);
	if (r == 0)
		r = over_host("cpus", l->cpus, h->cpus, false, e);
	if (r == 0)
		r = over_host("pids", l->pids, h->pids, false, e);
	if (r == 0 && files->set)
		r = over_host("ulimit nofile", files->hard, h->nofile, false, e);
	if (r == 0)
		r = check_swap(l, e);
	if (r < 0)
		return r;
	if (h->cpus != 0 && l->cpu_quota > h->cpus * 1000)
		return err_set(e, E_LIMIT,
		    "cpu-quota %" PRIu64 "%% is more than this host has: at most %" PRIu64 "%%",
		    l->cpu_quota / 10, h->cpus * 100);
	if (l->memory != 0 && l->memory_reservation > l->memory)
		return err_set(
		    e, E_INVAL, "memory-reservation must be at most the memory, %" PRIu64, l->memory);
	return 0;
}

int
limits_cpulist_print(const unsigned *cpus, size_t n, char *out, size_t size, struct err *e)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0, j; i < n; i = j) {
		int k;

		for (j = i + 1; j < n && cpus[j] == cpus[j - 1] + 1; j++)
			;
		if (j - i == 1)
			k = snprintf(out + len, size - len, "%s%u", len > 0 ? "," : "", cpus[i]);
		else
			k = snprintf(
			    out + len, size - len, "%s%u-%u", len > 0 ? "," : "", cpus[i], cpus[j - 1]);
		if (k < 0 || (size_t)k >= size - len)
			return err_set(e, E_LIMIT, "the list of CPUs is longer than %zu bytes", size - 1);
		len += (size_t)k;
	}
	return 0;
}

void
limits_cpulist_count(const char *list, unsigned *load, size_t n)
{
	for (const char *s = list; *s >= '0' && *s <= '9';) {
		char *end;
		unsigned long a = strtoul(s, &end, 10), b = a;

		if (*end == '-')
			b = strtoul(end + 1, &end, 10);
		for (; a <= b && a < n; a++)
			load[a]++;
		s = *end == ',' ? end + 1 : end;
	}
}

void
limits_cpus_choose(const unsigned *allowed, size_t nallowed, const unsigned *load, size_t want, unsigned *out)
{
	size_t n = 0;

	/* Level by level of load, so that the list comes out by load first; then in order of numbers. */
	for (unsigned level = 0; n < want && n < nallowed; level++)
		for (size_t i = 0; i < nallowed && n < want; i++)
			if (load[allowed[i]] == level)
				out[n++] = allowed[i];
	for (size_t i = 1; i < n; i++)
		for (size_t k = i; k > 0 && out[k] < out[k - 1]; k--) {
			unsigned t = out[k];

			out[k] = out[k - 1];
			out[k - 1] = t;
		}
}
