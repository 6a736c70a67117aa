/*
 * Owners that release at the end of their scope.  Ownership leaves a scope
 * only through take(): the variable then holds its "nothing" value again.
 */
#ifndef BASE_AUTO_H
#define BASE_AUTO_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Defines auto_NAME(), to be used as  AUTO(NAME) type v = bad;  */
#define DEFINE_AUTO(name, type, bad, release)   \
	static inline void auto_##name(type *p) \
	{                                       \
		if (*p != (bad))                \
			release(*p);            \
	}
#define AUTO(name) __attribute__((cleanup(auto_##name)))

/* For structs with init/fini: AUTO_FINI(buf) struct buf b = BUF_INIT(…); */
#define DEFINE_AUTO_FINI(name, type)                 \
	static inline void auto_fini_##name(type *p) \
	{                                            \
		name##_fini(p);                      \
	}
#define AUTO_FINI(name) __attribute__((cleanup(auto_fini_##name)))

#define take(v, bad)                    \
	__extension__({                 \
		__typeof__(v) v_ = (v); \
		(v) = (bad);            \
		v_;                     \
	})
#define take_fd(v) take(v, -1)
#define take_ptr(v) take(v, NULL)

/* close() that keeps errno; fd -1 is allowed. */
void fd_close(int fd);

static inline void
auto_free(void *p)
{
	free(*(void **)p);
}

#define AUTO_FREE __attribute__((cleanup(auto_free)))

DEFINE_AUTO(fd, int, -1, fd_close)
DEFINE_AUTO(dir, DIR *, NULL, closedir)
DEFINE_AUTO(file, FILE *, NULL, fclose)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
