/*
 * Making errors: set where it happens, give context on the way up.
 * Every function that can fail returns 0 (or a value >= 0) or the negative
 * code, and takes a struct err * as its last argument; NULL is allowed and
 * then only the code is returned.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>
#include <pot/err.h>

#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MUST_CHECK __attribute__((warn_unused_result))

/* Sets code, message and clears the hint; returns -code. */
int err_set(struct err *, enum err_code, const char *fmt, ...) PRINTF(3, 4);

/*
 * Like err_set with the code that fits errno, ": <strerror>" appended and
 * sys = errno.  ENOENT E_NOENT, EEXIST E_EXIST, EBUSY/ETXTBSY E_BUSY,
 * EPERM/EACCES E_PERM, ENOSPC/EDQUOT E_NOSPC, EINVAL/ENAMETOOLONG/ELOOP
 * E_INVAL, ENOSYS/EOPNOTSUPP E_NOTSUP, ENOMEM E_NOMEM, EINTR E_INTR,
 * ETIMEDOUT E_TIMEOUT, EMFILE/ENFILE/EAGAIN E_LIMIT, else E_SYS.
 * Preserves errno.
 */
int err_sys(struct err *, const char *fmt, ...) PRINTF(2, 3);
/* The same for an errno value in hand (e.g. one sent over a pipe). */
int err_sysno(struct err *, int sys, const char *fmt, ...) PRINTF(3, 4);

/*
 * Puts "<text>: " in front of the message; returns -e->code. Like err_hint without an object it knows no
 * code and returns -E_SYS: who looks at the code of what may wrap passes an object.
 */
int err_wrap(struct err *, const char *fmt, ...) PRINTF(2, 3);
/* Sets the hint ("try: pot init"); returns -e->code. */
int err_hint(struct err *, const char *fmt, ...) PRINTF(2, 3);

int err_nomem(struct err *);

enum err_code err_from_errno(int sys);
const char *err_text(enum err_code);
int err_exit_status(enum err_code);
int err_http_status(enum err_code);
int err_grpc_status(enum err_code);

#endif
