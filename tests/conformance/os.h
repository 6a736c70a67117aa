/* What the storage suite asks of each system: linux/os.c, freebsd/os.c. */
#ifndef CONFORMANCE_OS_H
#define CONFORMANCE_OS_H

#include <stdbool.h>
#include <sys/types.h>

/* An extended attribute that users may set. */
bool os_set_note(int fd, const char *value);
ssize_t os_get_note(int fd, char *out, size_t size);
/* One that only root may: a right that the file gives to who executes it. */
bool os_set_right(int fd);
bool os_has_right(int fd);
dev_t os_device(unsigned major, unsigned minor);
/* For this process and its children. */
bool os_be_old_kernel(void);

#endif
