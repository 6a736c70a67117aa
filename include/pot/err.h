/*
 * The error object that every function of pot and libpot fills in, and the
 * one table of error codes.  A row carries what each front door answers: the
 * exit status of the command line, the HTTP status of the REST API and the
 * registry, the gRPC status of the Nomad driver.
 *
 * An object lives on the caller's stack and is never freed.
 */
#ifndef POT_ERR_H
#define POT_ERR_H

/* clang-format off */
/*          code         text                   exit  http  grpc */
#define ERR_TABLE(X)                                               \
	X(E_OK,      "ok",                          0,  200,  0)   \
	X(E_USAGE,   "wrong usage",                 2,  400,  3)   \
	X(E_INVAL,   "invalid argument",            1,  400,  3)   \
	X(E_NOENT,   "not found",                   1,  404,  5)   \
	X(E_EXIST,   "exists already",              1,  409,  6)   \
	X(E_STATE,   "not in a state for this",     1,  409,  9)   \
	X(E_BUSY,    "in use",                      1,  409,  9)   \
	X(E_NOTSUP,  "not supported",               1,  501, 12)   \
	X(E_PERM,    "not permitted",               1,  403,  7)   \
	X(E_NOSPC,   "no space left",               1,  507,  8)   \
	X(E_LIMIT,   "limit reached",               1,  429,  8)   \
	X(E_TIMEOUT, "timed out",                   1,  504,  4)   \
	X(E_INTR,    "interrupted",                 1,  499,  1)   \
	X(E_CORRUPT, "damaged data",                1,  500, 15)   \
	X(E_NOMEM,   "out of memory",               1,  500,  8)   \
	X(E_SYS,     "system error",                1,  500, 13)   \
	X(E_NOEXEC,  "command cannot be executed", 126, 400,  9)   \
	X(E_NOCMD,   "command not found",          127, 400,  9)
/* clang-format on */

enum err_code {
#define X(code, text, exit, http, grpc) code,
	ERR_TABLE(X)
#undef X
	    E_COUNT
};

/*
 * code: one of enum err_code.  sys: the errno behind it, or 0.
 * msg: "what failed: why", one line, UTF-8, control characters escaped.
 * hint: what the user can do, may be empty; printed in parentheses.
 */
struct err {
	int code;
	int sys;
	char msg[768];
	char hint[256];
};

#define ERR_INIT             \
	{                    \
		0, 0, "", "" \
	}

#endif
