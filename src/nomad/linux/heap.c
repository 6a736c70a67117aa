/*
 * glibc keeps what was freed once, as it raises its threshold for mmap with
 * each large piece that is freed: after one message of 20 MiB the process would
 * stay that large. A threshold that has been set stays.
 */
#include <malloc.h>

#include "nomad/heap.h"

#define LARGE (64 * 1024)

void
heap_set_up(void)
{
	mallopt(M_MMAP_THRESHOLD, LARGE);
	mallopt(M_TRIM_THRESHOLD, LARGE);
	mallopt(M_ARENA_MAX, 1);
}
