/* FreeBSD writes clusters back by itself as they fill; there is no call to ask for it. */
#include "base/file.h"

void
file_begin_writeback(int fd, uint64_t at, uint64_t n)
{
	(void)fd;
	(void)at;
	(void)n;
}
