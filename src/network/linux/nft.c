/*
 * Elements of our sets and maps, in transactions: everything of a pot appears at
 * once or not at all. Their layout comes from ruleset.c. Looking at tables
 * and chains is nft_table.c's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "network/linux/nft.h"
#include "network/linux/nft_msg.h"

/* A nested attribute holds 64 KiB; a request for reading back, what our receive buffer holds of answers. */
#define ADD_BYTES 32000
#define GET_KEYS 24

int
nft_open(struct nl_sock *s, struct err *e)
{
	return nl_open(s, NETLINK_NETFILTER, e);
}

void
nft_begin(struct nl_batch *b, uint16_t type, uint16_t flags, uint8_t family, const char *what, int allow)
{
	struct nfgenmsg h = { .nfgen_family = family, .version = NFNETLINK_V0 };

	nl_begin(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &h, sizeof(h), what, allow);
}

static void
transaction_begin(struct nl_batch *b, const char *what)
{
	struct nfgenmsg h = { .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES) };

	nl_begin(b, NFNL_MSG_BATCH_BEGIN, 0, &h, sizeof(h), what, 0);
}

/* Older kernels acknowledge no end of a transaction: what ends the conversation is the message before it. */
static void
transaction_end(struct nl_batch *b)
{
	struct nfgenmsg h = { .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES) };
	size_t last = b->ack;

	nl_begin(b, NFNL_MSG_BATCH_END, 0, &h, sizeof(h), "cannot end a transaction", 0);
	b->ack = last;
}

/* ---- one message per run of elements of the same set ---------------------------------- */

struct run {
	struct nl_batch *b;
	const char *table;
	uint16_t type, flags;
	const char *what;
	int allow;
	bool data;    /* with the data of maps */
	unsigned max; /* elements in a message */
	/* the open message */
	const char *set;
	bool bridge;
	size_t elems, begun;
	unsigned n;
};

static void
run_close(struct run *r)
{
	if (r->set != NULL)
		nl_nest_end(r->b, r->elems);
	r->set = NULL;
}

static void
put_data(struct nl_batch *b, uint16_t type, const void *data, size_t len)
{
	size_t nest = nl_nest(b, type);

	nl_put(b, NFTA_DATA_VALUE, data, len);
	nl_nest_end(b, nest);
}

static void
run_add(struct run *r, const struct net_elem_raw *el)
{
	size_t nest;

	if (r->set == NULL || strcmp(r->set, el->set) != 0 || r->bridge != el->bridge || r->n >= r->max ||
	    r->b->b.len - r->begun > ADD_BYTES) {
		run_close(r);
		r->begun = r->b->b.len;
		nft_begin(
		    r->b, r->type, r->flags, el->bridge ? NFPROTO_BRIDGE : NFPROTO_INET, r->what, r->allow);
		nl_put_str(r->b, NFTA_SET_ELEM_LIST_TABLE, r->table);
		nl_put_str(r->b, NFTA_SET_ELEM_LIST_SET, el->set);
		r->elems = nl_nest(r->b, NFTA_SET_ELEM_LIST_ELEMENTS);
		r->set = el->set;
		r->bridge = el->bridge;
		r->n = 0;
	}
	nest = nl_nest(r->b, NFTA_LIST_ELEM);
	put_data(r->b, NFTA_SET_ELEM_KEY, el->key, el->key_len);
	if (r->data && el->data_len > 0)
		put_data(r->b, NFTA_SET_ELEM_DATA, el->data, el->data_len);
	nl_nest_end(r->b, nest);
	r->n++;
}

/* only[i] false: left out (NULL: all). */
static void
run_all(struct run *r, const struct net_ruleset_args *a, const struct net_elem *v, size_t n, const bool *only)
{
	struct net_elem_raw raw;

	for (size_t i = 0; i < n; i++)
		if ((only == NULL || only[i]) && net_elem_raw(a, &v[i], &raw))
			run_add(r, &raw);
	run_close(r);
}

/* ---- reading back ------------------------------------------------------------------------ */

struct have {
	const struct net_ruleset_args *a;
	const struct net_elem *v;
	size_t n;
	bool *there;
};

static bool
same_value(const struct nlattr *a, const uint8_t *want, unsigned len)
{
	const struct nlattr *v = nl_find_in(a, NFTA_DATA_VALUE);

	return len == 0 ? true : v != NULL && nl_len(v) == len && memcmp(nl_data(v), want, len) == 0;
}

static void
tick(struct have *w, const struct nlmsghdr *h, const struct nlattr *elem)
{
	const struct nlattr *set = nl_find_msg(h, sizeof(struct nfgenmsg), NFTA_SET_ELEM_LIST_SET);
	struct net_elem_raw raw;

	for (size_t i = 0; i < w->n; i++)
		if (!w->there[i] && net_elem_raw(w->a, &w->v[i], &raw) && nl_is_str(set, raw.set) &&
		    same_value(nl_find_in(elem, NFTA_SET_ELEM_KEY), raw.key, raw.key_len) &&
		    same_value(nl_find_in(elem, NFTA_SET_ELEM_DATA), raw.data, raw.data_len))
			w->there[i] = true;
}

static int
got_elem(void *arg, const struct nlmsghdr *h, struct err *e)
{
	const struct nlattr *list = nl_find_msg(h, sizeof(struct nfgenmsg), NFTA_SET_ELEM_LIST_ELEMENTS),
			    *elem;

	if (NFNL_MSG_TYPE(h->nlmsg_type) != NFT_MSG_NEWSETELEM)
		return 0;
	for (size_t pos = 0; (elem = nl_next(list, &pos)) != NULL;)
		tick(arg, h, elem);
	return 0;
}

/* A few at a time: each answer is a message of its own, and the socket holds so many. */
static int
have_some(struct nl_sock *s, const struct net_ruleset_args *a, const struct net_elem *v, size_t n,
    bool *there, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	char table[NET_TABLE_NAME];
	struct have w = { a, v, n, there };
	struct run r = {
		.b = &b,
		.table = table,
		.type = NFT_MSG_GETSETELEM,
		.what = "cannot read elements of the filter",
		.allow = ENOENT,
		/* A message ends at the first key that is not there: one key each. */
		.max = 1,
	};
	struct net_elem_raw raw;

	net_name_table(a->node, table);
	for (size_t i = 0; i < n; i++)
		there[i] = !net_elem_raw(a, &v[i], &raw);
	run_all(&r, a, v, n, NULL);
	return nl_talk(s, &b, got_elem, &w, NULL, e);
}

int
nft_have(struct nl_sock *s, const struct net_ruleset_args *a, const struct net_elem *v, size_t n, bool *there,
    struct err *e)
{
	bool some[GET_KEYS];
	int all = 1;

	for (size_t i = 0; i < n; i += GET_KEYS) {
		size_t k = n - i < GET_KEYS ? n - i : GET_KEYS;
		int rc = have_some(s, a, v + i, k, some, e);

		if (rc < 0)
			return rc;
		for (size_t j = 0; j < k; j++)
			all = all && some[j];
		if (there != NULL)
			memcpy(there + i, some, k * sizeof(some[0]));
	}
	return all;
}

/* ---- changing ------------------------------------------------------------------------------ */

static int
change(struct nl_sock *s, uint16_t type, const struct net_ruleset_args *a, const struct net_elem *v, size_t n,
    const bool *only, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	bool add = type == NFT_MSG_NEWSETELEM;
	char table[NET_TABLE_NAME];
	struct run r = {
		.b = &b,
		.table = table,
		.type = type,
		.flags = add ? NLM_F_CREATE : 0,
		.what = add ? "cannot add elements to the filter" : "cannot remove elements of the filter",
		.data = add,
		.max = ~0u,
	};
	unsigned begin;

	net_name_table(a->node, table);
	transaction_begin(&b, r.what);
	begin = b.n;
	run_all(&r, a, v, n, only);
	if (b.n == begin)
		return 0;
	transaction_end(&b);
	return nl_talk(s, &b, NULL, NULL, NULL, e);
}

/* What is there under the keys of these, with whatever data, goes. One by one: a key that is missing fails all. */
static int
clear_keys(
    struct nl_sock *s, const struct net_ruleset_args *a, const struct net_elem *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct err why = ERR_INIT;
		int rc = change(s, NFT_MSG_DELSETELEM, a, v + i, 1, NULL, &why);

		if (rc < 0 && rc != -E_NOENT) {
			if (e != NULL)
				*e = why;
			return rc;
		}
	}
	return 0;
}

int
nft_add(
    struct nl_sock *s, const struct net_ruleset_args *a, const struct net_elem *v, size_t n, struct err *e)
{
	int rc = change(s, NFT_MSG_NEWSETELEM, a, v, n, NULL, e);

	/* With other data: left by a pot that had the port before and whose end nobody saw. */
	if (rc != -E_BUSY && rc != -E_EXIST)
		return rc;
	rc = clear_keys(s, a, v, n, e);
	return rc < 0 ? rc : change(s, NFT_MSG_NEWSETELEM, a, v, n, NULL, e);
}

int
nft_del(
    struct nl_sock *s, const struct net_ruleset_args *a, const struct net_elem *v, size_t n, struct err *e)
{
	AUTO_FREE bool *there = NULL;
	int rc;

	if (n == 0)
		return 0;
	there = calloc(n, sizeof(*there));
	if (there == NULL)
		return err_nomem(e);
	rc = nft_have(s, a, v, n, there, e);
	if (rc >= 0)
		rc = change(s, NFT_MSG_DELSETELEM, a, v, n, there, e);
	/* Somebody flushed the table, or took one of them, since we looked. */
	return rc == -E_NOENT ? clear_keys(s, a, v, n, e) : rc;
}
