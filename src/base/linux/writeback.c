/* Linux: writing a file's pages back before anybody waits for it. */
#include <fcntl.h>

#include "base/file.h"

void
file_begin_writeback(int fd, uint64_t at, uint64_t n)
{
	(void)sync_file_range(fd, (off64_t)at, (off64_t)n, SYNC_FILE_RANGE_WRITE);
}
