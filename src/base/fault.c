/*
 * The armed form of fault_point(), built only for tests (see fault.h).  It
 * keeps the one counter a fault needs, and reports its own troubles by doing
 * nothing: a test that does not see its point in the log fails by itself.
 */
#ifndef POT_FAULTS
#define POT_FAULTS /* compiled by itself, as the portability check does */
#endif

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"

static void
log_pass(const char *file, const char *name)
{
	char line[128];
	size_t n = strlen(name);

	AUTO(fd) int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || n > sizeof(line) - 1)
		return;
	memcpy(line, name, n);
	line[n] = '\n';
	/* One write: lines of parallel processes must not mix. */
	if (write(fd, line, n + 1) < 0)
		return;
}

void
fault_point(const char *name)
{
	static atomic_ulong passes; /* of the armed point, in this process */
	const char *file = getenv("POT_FAULT_LOG");
	const char *armed = getenv("POT_FAULT"), *stop = getenv("POT_FAULT_STOP");
	size_t n = strlen(name);

	if (file != NULL)
		log_pass(file, name);
	if (stop != NULL && strcmp(stop, name) == 0)
		raise(SIGSTOP);
	if (armed == NULL || strncmp(armed, name, n) != 0 || (armed[n] != '\0' && armed[n] != ':'))
		return;
	unsigned long wanted = armed[n] == ':' ? strtoul(armed + n + 1, NULL, 10) : 1;
	if (atomic_fetch_add(&passes, 1) + 1 == wanted)
		raise(SIGKILL);
}
