/* One file from a server that gives it as it is: redirects followed, a bound kept, tried again where it broke off. */
#ifndef IMAGE_DOWNLOAD_H
#define IMAGE_DOWNLOAD_H

#include "base/event.h"
#include "image/http.h"

struct download_args {
	const char *what; /* for messages and progress */
	const char *url;  /* http or https */
	uint64_t max;     /* bytes of the whole file */
	uint64_t total;   /* as far as known, for progress; 0 not */
	bool insecure;    /* a certificate that is not good is taken; then no other server is asked */
	const struct pot_events *events;
	/*
	 * Optional: more headers to send, and a look at each answer's head but redirects'. That one returns
	 * 1 when there is nothing to come after it (304), 0 to go on.
	 */
	char *const *headers;
	int (*head)(void *arg, const struct http_call *, struct err *);
	void *arg;
};
/*
 * Behind the `have` bytes that fd has already (its offset stands there; they are dropped when the server
 * has no ranges). E_NOENT: the server does not have it, E_CORRUPT: not as much as is
 * there. What came before a failure stays.
 */
int download_file(
    struct http *, const struct download_args *, int fd, uint64_t have, struct err *) MUST_CHECK;

#endif
