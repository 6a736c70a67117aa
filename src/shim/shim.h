/*
 * Inside of pot-shim: the log, the pipes, the attached client, in code that
 * every system has in common.  What they ask of the system is a handful of
 * calls (sys_…), each system's own file; on Linux there is no libc below,
 * because the program is resident once or twice per pot and what counts is the
 * number of pages that it touches.
 */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/shimproto.h"

/* sys.c of each system. What the kernel answers: a value >= 0 or -errno. */
enum { SYS_EINTR = 4, SYS_EIO = 5 };
long sys_read(int fd, void *, size_t);
long sys_write(int fd, const void *, size_t);
void sys_close(int fd);
/* A whole frame or nothing, without waiting or SIGPIPE. */
long sys_send(int fd, const void *, size_t);
bool sys_would_wait(long answer); /* of sys_read, sys_send */
long sys_open_append(int dirfd, const char *name);
long sys_size(int fd);
long sys_truncate(int fd, uint64_t size);
void sys_unlink(int dirfd, const char *name);
void sys_rename(int dirfd, const char *from, const char *to);
void *sys_map(size_t bytes); /* NULL: no memory */
void sys_unmap(void *, size_t bytes);

/* The little of libc that is needed. */
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
void *memchr(const void *, int, size_t);
/* text.c */
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

#endif
