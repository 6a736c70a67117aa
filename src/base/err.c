/*
 * The error object: codes, messages, hints.  Messages carry names that
 * hostile files and programs chose, so whatever goes into an object passes
 * through text_escape_into(): the result is one line of printable UTF-8.
 * Nothing here allocates; an error can be made when memory is out.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

#define SYS_TEXT_MAX 128

struct err_row {
	const char *text;
	int exit_status, http, grpc;
};

static const struct err_row rows[] = {
#define X(code, text, exit, http, grpc) [code] = { text, exit, http, grpc },
	ERR_TABLE(X)
#undef X
};

static const struct {
	int sys;
	enum err_code code;
} errno_codes[] = {
	{ ENOENT, E_NOENT },
	{ ESRCH, E_NOENT },
	{ EEXIST, E_EXIST },
	{ EBUSY, E_BUSY },
	{ ETXTBSY, E_BUSY },
	{ EPERM, E_PERM },
	{ EACCES, E_PERM },
	{ ENOSPC, E_NOSPC },
	{ EDQUOT, E_NOSPC },
	{ EINVAL, E_INVAL },
	{ ENAMETOOLONG, E_INVAL },
	{ ELOOP, E_INVAL },
	{ ENOSYS, E_NOTSUP },
	{ EOPNOTSUPP, E_NOTSUP },
	{ ENOMEM, E_NOMEM },
	{ EINTR, E_INTR },
	{ ETIMEDOUT, E_TIMEOUT },
	{ EMFILE, E_LIMIT },
	{ ENFILE, E_LIMIT },
	{ EAGAIN, E_LIMIT },
};

static const struct err_row *
row(enum err_code code)
{
	return (unsigned int)code < E_COUNT ? &rows[code] : &rows[E_SYS];
}

enum err_code
err_from_errno(int sys)
{
	for (size_t i = 0; i < ARRAY_LEN(errno_codes); i++) {
		if (errno_codes[i].sys == sys)
			return errno_codes[i].code;
	}
	return E_SYS;
}

const char *
err_text(enum err_code code)
{
	return row(code)->text;
}

int
err_exit_status(enum err_code code)
{
	return row(code)->exit_status;
}

int
err_http_status(enum err_code code)
{
	return row(code)->http;
}

int
err_grpc_status(enum err_code code)
{
	return row(code)->grpc;
}

/* Two kinds of strerror_r exist; the type of its result tells which one libc has. */
static const char *
strerror_result_gnu(char *result, const char *text)
{
	(void)text;
	return result;
}

static const char *
strerror_result_posix(int result, const char *text)
{
	return result == 0 ? text : "unknown error";
}

static const char *
sys_text(int sys, char *text, size_t size)
{
	return _Generic(strerror_r(sys, text, size), char *: strerror_result_gnu, int: strerror_result_posix)(
	    strerror_r(sys, text, size), text);
}

static void PRINTF(3, 0) print_escaped(char *dst, size_t size, const char *fmt, va_list ap)
{
	char raw[sizeof(((struct err *)0)->msg)];

	if (vsnprintf(raw, sizeof(raw), fmt, ap) < 0)
		raw[0] = '\0';
	text_escape_into(dst, size, raw, strlen(raw));
}

static int PRINTF(4, 0) set(struct err *e, enum err_code code, int sys, const char *fmt, va_list ap)
{
	char msg[sizeof(e->msg)], why[SYS_TEXT_MAX];
	size_t len;

	if (e == NULL)
		return -(int)code;
	/* Room for the cause is kept: a long path must not push it out. */
	print_escaped(msg, sys != 0 ? sizeof(msg) - SYS_TEXT_MAX - 2 : sizeof(msg), fmt, ap);
	if (sys != 0) {
		len = strlen(msg);
		snprintf(msg + len, sizeof(msg) - len, ": %s", sys_text(sys, why, sizeof(why)));
	}
	memcpy(e->msg, msg, sizeof(msg));
	e->code = (int)code;
	e->sys = sys;
	e->hint[0] = '\0';
	return -(int)code;
}

int
err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	int saved = errno, rc;
	va_list ap;

	va_start(ap, fmt);
	rc = set(e, code, 0, fmt, ap);
	va_end(ap);
	errno = saved;
	return rc;
}

int
err_sys(struct err *e, const char *fmt, ...)
{
	int saved = errno, rc;
	va_list ap;

	va_start(ap, fmt);
	rc = set(e, err_from_errno(saved), saved, fmt, ap);
	va_end(ap);
	errno = saved;
	return rc;
}

int
err_sysno(struct err *e, int sys, const char *fmt, ...)
{
	int saved = errno, rc;
	va_list ap;

	va_start(ap, fmt);
	rc = set(e, err_from_errno(sys), sys, fmt, ap);
	va_end(ap);
	errno = saved;
	return rc;
}

int
err_wrap(struct err *e, const char *fmt, ...)
{
	char msg[sizeof(e->msg)];
	int saved = errno;
	size_t len;
	va_list ap;

	if (e == NULL)
		return -(int)E_SYS;
	va_start(ap, fmt);
	/* A long context is cut, so that the cause is still seen. */
	print_escaped(msg, sizeof(msg) / 2, fmt, ap);
	va_end(ap);
	len = strlen(msg);
	memcpy(msg + len, ": ", 3);
	len += 2;
	text_escape_into(msg + len, sizeof(msg) - len, e->msg, strlen(e->msg));
	memcpy(e->msg, msg, sizeof(msg));
	errno = saved;
	return -e->code;
}

int
err_hint(struct err *e, const char *fmt, ...)
{
	char hint[sizeof(e->hint)];
	int saved = errno;
	va_list ap;

	if (e == NULL)
		return -(int)E_SYS;
	va_start(ap, fmt);
	print_escaped(hint, sizeof(hint), fmt, ap);
	va_end(ap);
	memcpy(e->hint, hint, sizeof(hint));
	errno = saved;
	return -e->code;
}

int
err_nomem(struct err *e)
{
	return err_set(e, E_NOMEM, "out of memory");
}
