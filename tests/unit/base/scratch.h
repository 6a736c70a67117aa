/* A directory of its own for each test, and short forms for making and looking at files below it. */
#ifndef TEST_SCRATCH_H
#define TEST_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* The call succeeds, and says why when it does not. */
#define assert_ok(call)                                                   \
	do {                                                              \
		int rc_ = (call);                                         \
		if (rc_ < 0)                                              \
			print_error("%s: %d: %s\n", #call, rc_, err.msg); \
		assert_true(rc_ >= 0);                                    \
	} while (0)
#define assert_fails(call, wanted) assert_int_equal((call), -(int)(wanted))
#define assert_sys(call) assert_true((call) >= 0)

struct scratch {
	char path[64];
	int fd;
};

static inline int
scratch_setup(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -1;
	snprintf(s->path, sizeof(s->path), "/tmp/pot-test-XXXXXX");
	if (mkdtemp(s->path) == NULL)
		return -1;
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = s;
	return s->fd < 0 ? -1 : 0;
}

static inline int
scratch_teardown(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int rc;

	close(s->fd);
	rc = tree_remove(AT_FDCWD, s->path, &err);
	if (rc < 0)
		print_error("%s\n", err.msg);
	free(s);
	return rc;
}

static inline void
put(int dirfd, const char *name, const char *text)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static inline void
assert_content(int dirfd, const char *name, const char *text)
{
	char got[4096];
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, got, sizeof(got) - 1);
	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, text);
	close(fd);
}

static inline bool
is_there(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline int
open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

#define scratch_test(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

#endif
