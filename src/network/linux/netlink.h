/*
 * Netlink messages, built in one buffer and sent together. Several requests
 * travel in one send; the kernel works through them in order and answers
 * before the send returns, so nothing here ever waits.
 */
#ifndef NETWORK_LINUX_NETLINK_H
#define NETWORK_LINUX_NETLINK_H

#include <stdint.h>
#include <linux/netlink.h>

#include "base/buf.h"

struct nl_sock {
	int fd;
	uint32_t seq; /* last one given */
};
#define NL_SOCK_INIT   \
	{              \
		-1, 0, \
	}

int nl_open(struct nl_sock *, int protocol, struct err *) MUST_CHECK;
/* Takes over an open netlink socket (one made in another network namespace). */
int nl_adopt(struct nl_sock *, int fd, struct err *) MUST_CHECK;
void nl_sock_fini(struct nl_sock *);
DEFINE_AUTO_FINI(nl_sock, struct nl_sock)

#define NL_BATCH_MAX (1024 * 1024)
#define NL_TRACKED 32

struct nl_batch {
	struct buf b;
	size_t msg;     /* where the last message begins */
	size_t ack;     /* where the message begins whose answer ends the conversation */
	unsigned n;     /* messages */
	unsigned sends; /* of this batch, over its life: what tests count */
	struct {
		const char *what; /* borrowed: "cannot add an address" */
		int allow;        /* errno that is no failure, 0 none */
	} m[NL_TRACKED];          /* the last one stands for all further */
};
#define NL_BATCH_INIT                               \
	{                                           \
		BUF_INIT(NL_BATCH_MAX), 0, 0, 0, 0, \
		{                                   \
			{                           \
				NULL, 0             \
			}                           \
		}                                   \
	}
void nl_batch_fini(struct nl_batch *);
void nl_batch_reset(struct nl_batch *);
DEFINE_AUTO_FINI(nl_batch, struct nl_batch)

/* Begins a message; it ends where the next begins or the batch is sent. NLM_F_REQUEST goes without saying. */
void nl_begin(struct nl_batch *, uint16_t type, uint16_t flags, const void *head, size_t len,
    const char *what, int allow);
void nl_put(struct nl_batch *, uint16_t type, const void *, size_t);
void nl_put_str(struct nl_batch *, uint16_t type, const char *);
void nl_put_u8(struct nl_batch *, uint16_t type, uint8_t);
void nl_put_u16(struct nl_batch *, uint16_t type, uint16_t);
void nl_put_u32(struct nl_batch *, uint16_t type, uint32_t);
void nl_put_u64(struct nl_batch *, uint16_t type, uint64_t);
/* A nested attribute: everything up to nl_nest_end. nl_extend puts bytes that are no attribute into it. */
size_t nl_nest(struct nl_batch *, uint16_t type);
void nl_nest_end(struct nl_batch *, size_t);
void nl_extend(struct nl_batch *, const void *, size_t);

/* An answer that is no acknowledgement. Negative ends it, with the error set. */
typedef int nl_reply_fn(void *arg, const struct nlmsghdr *, struct err *);
/*
 * Sends and reads the answers. 0, or the first error that its message does not
 * allow; *failed (may be NULL) counts all messages that failed, allowed or not.
 * A dump must be the only or the last message.
 */
int nl_talk(
    struct nl_sock *, struct nl_batch *, nl_reply_fn *, void *arg, unsigned *failed, struct err *) MUST_CHECK;

/* The attribute of a type among those in len bytes, or NULL. */
const struct nlattr *nl_find(const void *attrs, size_t len, uint16_t type);
/* Among those of a message behind its family header, or within another attribute. */
const struct nlattr *nl_find_msg(const struct nlmsghdr *, size_t head, uint16_t type);
const struct nlattr *nl_find_in(const struct nlattr *, uint16_t type);
/* Iterates: *pos starts at 0. */
const struct nlattr *nl_next(const struct nlattr *nest, size_t *pos);
static inline const void *
nl_data(const struct nlattr *a)
{
	return (const char *)a + NLA_HDRLEN;
}
static inline size_t
nl_len(const struct nlattr *a)
{
	return a->nla_len - (size_t)NLA_HDRLEN;
}
uint32_t nl_u32(const struct nlattr *); /* 0 for NULL or a short one; host order as it stands */
uint32_t nl_be32(const struct nlattr *);
/* Does it hold this string? */
int nl_is_str(const struct nlattr *, const char *);

#endif
