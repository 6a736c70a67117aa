/* Checks of an error: the code and a part of the message or of the hint. */
#ifndef TEST_EXPECT_H
#define TEST_EXPECT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"

#define expect_err(call, want, fragment) \
	expect_err_at((call), &e, (want), (fragment), #call, __FILE__, __LINE__)
#define expect_hint(fragment) expect_text(e.hint, (fragment), __FILE__, __LINE__)

static inline void
expect_text(const char *text, const char *fragment, const char *file, int line)
{
	if (strstr(text, fragment) == NULL)
		_fail(file, line);
}

static inline void
expect_err_at(int r, struct err *e, enum err_code want, const char *fragment, const char *call,
    const char *file, int line)
{
	if (r == -(int)want && e->code == (int)want && strstr(e->msg, fragment) != NULL)
		return;
	print_error(
	    "%s: got %d, \"%s\" (%s); wanted %d, \"%s\"\n", call, r, e->msg, e->hint, -(int)want, fragment);
	_fail(file, line);
}

#endif
