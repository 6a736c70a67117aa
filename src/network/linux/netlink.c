/*
 * The few dozen lines of netlink that pot needs: building messages in a
 * bounded buffer, sending them together, reading acknowledgements with the
 * kernel's own words. What the messages say is the business of link.c, nft.c
 * and tc.c.
 *
 * Ours, and not libmnl with libnftnl: programs of the hot path are linked
 * statically (docs/performance.md), and Debian has no static library of either.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "network/linux/netlink.h"

#define RECV_SIZE 32768

int
nl_adopt(struct nl_sock *s, int fd, struct err *e)
{
	static const int one = 1;

	s->fd = fd;
	s->seq = 0;
	/* CAP_ACK: an acknowledgement does not repeat the request. */
	if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one)) < 0)
		return err_sys(e, "cannot set up a netlink socket");
	return 0;
}

int
nl_open(struct nl_sock *s, int protocol, struct err *e)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return err_sys(e, "cannot open a netlink socket");
	return nl_adopt(s, fd, e);
}

void
nl_sock_fini(struct nl_sock *s)
{
	if (s->fd >= 0)
		fd_close(s->fd);
	s->fd = -1;
}

void
nl_batch_fini(struct nl_batch *b)
{
	buf_fini(&b->b);
}

void
nl_batch_reset(struct nl_batch *b)
{
	buf_reset(&b->b);
	b->msg = b->ack = 0;
	b->n = 0;
}

static struct nlmsghdr *
header_at(const struct nl_batch *b, size_t at)
{
	return (struct nlmsghdr *)(b->b.data + at);
}

static void
pad(struct nl_batch *b)
{
	static const char zero[NLMSG_ALIGNTO];

	if (b->b.len % NLMSG_ALIGNTO != 0)
		buf_add(&b->b, zero, NLMSG_ALIGNTO - b->b.len % NLMSG_ALIGNTO);
}

/* The length of the open message follows what was put into it. */
static void
settle(struct nl_batch *b)
{
	if (!b->b.failed)
		header_at(b, b->msg)->nlmsg_len = (uint32_t)(b->b.len - b->msg);
}

void
nl_begin(struct nl_batch *b, uint16_t type, uint16_t flags, const void *head, size_t len, const char *what,
    int allow)
{
	struct nlmsghdr h = { .nlmsg_type = type, .nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST) };
	unsigned i = b->n < NL_TRACKED ? b->n : NL_TRACKED - 1;

	b->m[i].what = what;
	b->m[i].allow = allow;
	b->n++;
	b->msg = b->ack = b->b.len;
	buf_add(&b->b, &h, sizeof(h));
	buf_add(&b->b, head, len);
	pad(b);
	settle(b);
}

void
nl_put(struct nl_batch *b, uint16_t type, const void *data, size_t len)
{
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type };

	buf_add(&b->b, &a, sizeof(a));
	if (len > 0)
		buf_add(&b->b, data, len);
	pad(b);
	settle(b);
}

void
nl_put_str(struct nl_batch *b, uint16_t type, const char *s)
{
	nl_put(b, type, s, strlen(s) + 1);
}

void
nl_put_u8(struct nl_batch *b, uint16_t type, uint8_t v)
{
	nl_put(b, type, &v, sizeof(v));
}

void
nl_put_u16(struct nl_batch *b, uint16_t type, uint16_t v)
{
	nl_put(b, type, &v, sizeof(v));
}

void
nl_put_u32(struct nl_batch *b, uint16_t type, uint32_t v)
{
	nl_put(b, type, &v, sizeof(v));
}

void
nl_put_u64(struct nl_batch *b, uint16_t type, uint64_t v)
{
	nl_put(b, type, &v, sizeof(v));
}

size_t
nl_nest(struct nl_batch *b, uint16_t type)
{
	size_t at = b->b.len;

	nl_put(b, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void
nl_nest_end(struct nl_batch *b, size_t at)
{
	if (!b->b.failed)
		((struct nlattr *)(b->b.data + at))->nla_len = (uint16_t)(b->b.len - at);
}

void
nl_extend(struct nl_batch *b, const void *data, size_t len)
{
	buf_add(&b->b, data, len);
	pad(b);
	settle(b);
}

const struct nlattr *
nl_find(const void *attrs, size_t len, uint16_t type)
{
	const char *p = attrs;

	while (len >= (size_t)NLA_HDRLEN) {
		const struct nlattr *a = (const struct nlattr *)p;
		size_t step = NLA_ALIGN((size_t)a->nla_len);

		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			break;
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
		if (step >= len)
			break;
		p += step;
		len -= step;
	}
	return NULL;
}

const struct nlattr *
nl_find_msg(const struct nlmsghdr *h, size_t head, uint16_t type)
{
	size_t skip = NLMSG_HDRLEN + NLMSG_ALIGN(head);

	return h->nlmsg_len < skip ? NULL : nl_find((const char *)h + skip, h->nlmsg_len - skip, type);
}

const struct nlattr *
nl_find_in(const struct nlattr *a, uint16_t type)
{
	return a == NULL ? NULL : nl_find(nl_data(a), nl_len(a), type);
}

const struct nlattr *
nl_next(const struct nlattr *nest, size_t *pos)
{
	const struct nlattr *a;

	if (nest == NULL || *pos + NLA_HDRLEN > nl_len(nest))
		return NULL;
	a = (const struct nlattr *)((const char *)nl_data(nest) + *pos);
	if (a->nla_len < NLA_HDRLEN || a->nla_len > nl_len(nest) - *pos)
		return NULL;
	*pos += NLA_ALIGN((size_t)a->nla_len);
	return a;
}

uint32_t
nl_u32(const struct nlattr *a)
{
	uint32_t v = 0;

	if (a != NULL && nl_len(a) >= sizeof(v))
		memcpy(&v, nl_data(a), sizeof(v));
	return v;
}

uint32_t
nl_be32(const struct nlattr *a)
{
	return ntohl(nl_u32(a));
}

int
nl_is_str(const struct nlattr *a, const char *s)
{
	return a != NULL && nl_len(a) == strlen(s) + 1 && memcmp(nl_data(a), s, nl_len(a)) == 0;
}

/* ---- sending and listening --------------------------------------------------- */

struct talk {
	struct nl_batch *b;
	uint32_t first, ack; /* sequence numbers */
	nl_reply_fn *fn;
	void *arg;
	unsigned failed;
	int rc;
	bool done;
};

/* Numbers the messages; only one is acknowledged, since errors are told anyway. */
static void
number(struct nl_sock *s, struct talk *t)
{
	struct nl_batch *b = t->b;

	t->first = s->seq + 1;
	for (size_t at = 0; at < b->b.len; at += NLMSG_ALIGN(header_at(b, at)->nlmsg_len)) {
		struct nlmsghdr *h = header_at(b, at);

		h->nlmsg_seq = ++s->seq;
		if (at == b->ack) {
			t->ack = s->seq;
			if ((h->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
				h->nlmsg_flags |= NLM_F_ACK;
		}
	}
}

static void
refused(struct talk *t, const struct nlmsghdr *h, int sys, struct err *e)
{
	uint32_t index = h->nlmsg_seq - t->first;
	uint32_t i = index < NL_TRACKED ? index : NL_TRACKED - 1;
	const struct nlmsgerr *m = NLMSG_DATA(h);
	size_t head = sizeof(*m);
	const struct nlattr *text = NULL;

	t->failed++;
	if (index >= t->b->n || t->rc < 0 || (t->b->m[i].allow != 0 && t->b->m[i].allow == sys))
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED) && m->msg.nlmsg_len >= NLMSG_HDRLEN)
		head += m->msg.nlmsg_len - NLMSG_HDRLEN;
	if (h->nlmsg_flags & NLM_F_ACK_TLVS)
		text = nl_find_msg(h, head, NLMSGERR_ATTR_MSG);
	if (text != NULL && nl_len(text) > 1)
		t->rc = err_sysno(
		    e, sys, "%s (%.*s)", t->b->m[i].what, (int)nl_len(text) - 1, (const char *)nl_data(text));
	else
		t->rc = err_sysno(e, sys, "%s", t->b->m[i].what);
}

static void
answer(struct talk *t, const struct nlmsghdr *h, struct err *e)
{
	int32_t code = 0;

	if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
		if (h->nlmsg_len >= NLMSG_HDRLEN + sizeof(code))
			memcpy(&code, NLMSG_DATA(h), sizeof(code));
		if (code < 0 && h->nlmsg_type == NLMSG_ERROR &&
		    h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
			refused(t, h, -code, e);
		else if (code < 0 && t->rc == 0)
			t->rc = err_sysno(e, -code, "%s", t->b->m[0].what);
		t->done = t->done || h->nlmsg_seq == t->ack;
	} else if (h->nlmsg_type >= NLMSG_MIN_TYPE && t->fn != NULL && t->rc == 0) {
		int rc = t->fn(t->arg, h, e);

		if (rc < 0)
			t->rc = rc;
	}
}

/* 1: something came; 0: nothing more is there. */
static int
listen_once(struct nl_sock *s, struct talk *t, struct err *e)
{
	_Alignas(struct nlmsghdr) char in[RECV_SIZE];
	ssize_t n = recv(s->fd, in, sizeof(in), MSG_DONTWAIT | MSG_TRUNC);
	const struct nlmsghdr *h = (const struct nlmsghdr *)in;

	if (n < 0 && errno == EINTR)
		return 1;
	if (n < 0 && (errno == EAGAIN || (errno == ENOBUFS && t->failed > 0)))
		return 0;
	if (n < 0)
		return err_sys(e, "cannot read from the kernel (netlink)");
	if ((size_t)n > sizeof(in))
		return err_set(e, E_SYS, "a netlink message of %zd bytes is too long", n);
	for (size_t left = (size_t)n; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
		if (h->nlmsg_seq - t->first < t->b->n) /* else of an earlier conversation */
			answer(t, h, e);
	return 1;
}

static int
send_all(struct nl_sock *s, struct nl_batch *b, struct err *e)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	static const int large = 2 * NL_BATCH_MAX;
	ssize_t n;

	if (b->b.len > 64 * 1024)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof(large));
	do
		n = sendto(s->fd, b->b.data, b->b.len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	while (n < 0 && errno == EINTR);
	b->sends++;
	return n < 0 ? err_sys(e, "%s", b->m[0].what) : 0;
}

int
nl_talk(struct nl_sock *s, struct nl_batch *b, nl_reply_fn *fn, void *arg, unsigned *failed, struct err *e)
{
	struct talk t = { .b = b, .fn = fn, .arg = arg };
	int rc = buf_check(&b->b, "a netlink message", e);

	if (failed != NULL)
		*failed = 0;
	if (rc < 0 || b->n == 0)
		return rc;
	number(s, &t);
	rc = send_all(s, b, e);
	if (rc < 0)
		return rc;
	do
		rc = listen_once(s, &t, e);
	while (rc > 0 && !t.done);
	if (failed != NULL)
		*failed = t.failed;
	if (t.rc < 0 || rc < 0)
		return t.rc < 0 ? t.rc : rc;
	if (!t.done && t.failed == 0)
		return err_set(e, E_SYS, "%s: the kernel gave no answer", b->m[0].what);
	return 0;
}
