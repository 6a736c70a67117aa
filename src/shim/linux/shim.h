/*
 * Inside of pot-shim.  No libc: the program is resident once or twice per
 * pot, so what counts is the number of pages that it touches.
 */
#ifndef SHIM_LINUX_SHIM_H
#define SHIM_LINUX_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/errno.h>

#include "base/linux/rawsys.h"
#include "model/shimproto.h"

#define SIGBIT(sig) (1ul << ((sig)-1))
enum {
	SIG_HUP = 1,
	SIG_INT = 2,
	SIG_QUIT = 3,
	SIG_KILL = 9,
	SIG_USR1 = 10,
	SIG_USR2 = 12,
	SIG_TERM = 15,
	SIG_CHLD = 17
};

/* text.c: the little of libc that is needed. */
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
void *memchr(const void *, int, size_t);
size_t text_len(const char *);
bool text_is(const char *, const char *);
bool text_number(const char *, uint64_t *); /* decimal, whole string */
/* Decimal with at least `width` digits; returns how many were written. */
size_t text_digits(char *out, uint64_t, unsigned width);

int64_t now_ns(void);

/* log.c: the files of the log. */
struct log {
	int fd; /* -1: not open */
	unsigned files;
	uint64_t max, size, lost;
	char *out; /* LOG_OUT bytes, touched only while lines are written */
	size_t outlen, outtext;
};
#define LOG_OUT 16384
/* One record. Goes to the file with the next log_flush. */
void log_record(struct log *, char stream, bool partial, int64_t when, const char *, size_t);
void log_flush(struct log *);

/* stream.c: pipes into log and client. */
struct stream {
	int fd; /* -1: at its end or not used */
	char tag, frame;
	char *buf; /* STREAM_BUF bytes */
	size_t len;
};
#define STREAM_BUF (SHIM_LOG_LINE + 8192)
struct client {
	int fd; /* -1: none */
	char *pend;
	size_t pendlen;             /* a frame that the socket did not take yet */
	char *queue;                /* more of them, at the end: [size_t len][frame] … */
	size_t queuelen, queuesize; /* mapped */
};
void stream_read(struct stream *, struct log *, struct client *); /* once; fd becomes -1 at the end */
void stream_partial(struct stream *, struct log *);               /* writes what has no newline yet */
/* What is in the pipe, at most `limit` bytes, without waiting for the client. */
void stream_drain(struct stream *, size_t limit, struct log *, struct client *);

/* client.c */
void client_send(struct client *, char type, const void *, size_t);
bool client_flush(struct client *); /* false while frames wait */
void client_drop(struct client *);
void client_reserve(struct client *, size_t bytes); /* room so that client_send never has to wait */

_Noreturn void shim_run(char **argv);
_Noreturn void shim_init(char **argv, char **envp);
/* Makes `ps` show argv[0] only. */
void shim_title(char **argv, const char *comm);

#endif
