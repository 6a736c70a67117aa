/* FreeBSD's allocator gives pages back by itself. */
#include "nomad/heap.h"

void
heap_set_up(void)
{
}
