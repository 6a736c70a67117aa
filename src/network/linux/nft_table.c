/*
 * A look at nf_tables: are our tables what we made (somebody may have flushed
 * them, or an older pot made them), and which chains of others see forwarded
 * packets. Nothing is changed here.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "network/linux/nft.h"
#include "network/linux/nft_msg.h"

#define HEAD sizeof(struct nfgenmsg)
#define CHAINS_MAX 32
/* User data is a list of type, length, value; 0 is the comment of a table (libnftnl's udata.h). */
#define UDATA_TABLE_COMMENT 0

static uint8_t
family_of(const struct nlmsghdr *h)
{
	return ((const struct nfgenmsg *)NLMSG_DATA(h))->nfgen_family;
}

/* ---- the table ------------------------------------------------------------------- */

struct table_look {
	char want[NET_RULES_HASH + 16]; /* the comment */
	bool same;
};

static bool
has_comment(const struct nlattr *udata, const char *want)
{
	const uint8_t *p = udata == NULL ? NULL : nl_data(udata);
	size_t len = udata == NULL ? 0 : nl_len(udata), n = strlen(want);

	for (; len >= 2 && len - 2 >= p[1]; len -= 2 + (size_t)p[1], p += 2 + (size_t)p[1])
		if (p[0] == UDATA_TABLE_COMMENT)
			return p[1] == n + 1 && memcmp(p + 2, want, n) == 0;
	return false;
}

static int
got_table(void *arg, const struct nlmsghdr *h, struct err *e)
{
	struct table_look *t = arg;

	if (NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWTABLE)
		t->same = has_comment(nl_find_msg(h, HEAD, NFTA_TABLE_USERDATA), t->want);
	return 0;
}

static int
table_same(struct nl_sock *s, const struct net_ruleset_args *a, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	char table[NET_TABLE_NAME], hash[NET_RULES_HASH];
	struct table_look t = { .same = false };
	int rc;

	net_name_table(a->node, table);
	rc = net_ruleset_hash(a, hash, e);
	if (rc < 0)
		return rc;
	snprintf(t.want, sizeof(t.want), NET_RULES_COMMENT "%s", hash);
	nft_begin(&b, NFT_MSG_GETTABLE, 0, NFPROTO_INET, "cannot look for the filter's table", ENOENT);
	nl_put_str(&b, NFTA_TABLE_NAME, table);
	rc = nl_talk(s, &b, got_table, &t, NULL, e);
	return rc < 0 ? rc : t.same;
}

/* ---- its chains -------------------------------------------------------------------- */

struct count {
	const struct net_ruleset_args *a;
	const char *table;
	bool rules;                /* rules are counted one by one, else as the chains say */
	unsigned seen[CHAINS_MAX]; /* by index in net_ruleset_chain */
};

static void
count_one(struct count *c, uint8_t family, const struct nlattr *table, const struct nlattr *chain, unsigned n)
{
	struct net_rules_chain want;

	if (!nl_is_str(table, c->table))
		return;
	for (size_t i = 0; i < CHAINS_MAX && net_ruleset_chain(c->a, i, &want); i++)
		if (family == (want.bridge ? NFPROTO_BRIDGE : NFPROTO_INET) && nl_is_str(chain, want.name))
			c->seen[i] += n;
}

static int
got_count(void *arg, const struct nlmsghdr *h, struct err *e)
{
	struct count *c = arg;
	uint8_t type = NFNL_MSG_TYPE(h->nlmsg_type);

	if (type == NFT_MSG_NEWCHAIN && !c->rules)
		count_one(c, family_of(h), nl_find_msg(h, HEAD, NFTA_CHAIN_TABLE),
		    nl_find_msg(h, HEAD, NFTA_CHAIN_NAME), nl_be32(nl_find_msg(h, HEAD, NFTA_CHAIN_USE)));
	if (type == NFT_MSG_NEWRULE && c->rules)
		count_one(c, family_of(h), nl_find_msg(h, HEAD, NFTA_RULE_TABLE),
		    nl_find_msg(h, HEAD, NFTA_RULE_CHAIN), 1);
	return 0;
}

static int
count_family(struct nl_sock *s, struct count *c, uint8_t family, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;

	nft_begin(&b, c->rules ? NFT_MSG_GETRULE : NFT_MSG_GETCHAIN, NLM_F_DUMP, family,
	    "cannot list the filter's chains", ENOENT);
	/* Rules can be asked for by table; of chains all are told. */
	if (c->rules)
		nl_put_str(&b, NFTA_RULE_TABLE, c->table);
	return nl_talk(s, &b, got_count, c, NULL, e);
}

/*
 * A chain's use counts its rules and the jumps to it: fewer than its rules says that it
 * was flushed. A dump may be disturbed by transactions of others; chains do
 * not change in those of ours.
 */
static int
chains_ok(struct nl_sock *s, const struct net_ruleset_args *a, bool rules, struct err *e)
{
	char table[NET_TABLE_NAME];
	struct count c = { .a = a, .table = table, .rules = rules };
	struct net_rules_chain want;
	int rc;

	net_name_table(a->node, table);
	rc = count_family(s, &c, NFPROTO_INET, e);
	if (rc == 0 && a->bridge_family)
		rc = count_family(s, &c, NFPROTO_BRIDGE, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < CHAINS_MAX && net_ruleset_chain(a, i, &want); i++)
		if (rules ? c.seen[i] != want.rules : c.seen[i] < want.rules)
			return 0;
	return 1;
}

int
nft_table_ok(struct nl_sock *s, const struct net_ruleset_args *a, struct err *e)
{
	int rc = table_same(s, a, e);

	return rc <= 0 ? rc : chains_ok(s, a, false, e);
}

int
nft_table_whole(struct nl_sock *s, const struct net_ruleset_args *a, struct err *e)
{
	int rc = table_same(s, a, e);

	return rc <= 0 ? rc : chains_ok(s, a, true, e);
}

int
nft_bridge_family(struct nl_sock *s, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	unsigned failed = 0;
	int rc;

	/* A table that nobody has: without the family the answer is EAFNOSUPPORT, else ENOENT. */
	nft_begin(&b, NFT_MSG_GETCHAIN, 0, NFPROTO_BRIDGE, "cannot ask for the filter of bridges", ENOENT);
	nl_put_str(&b, NFTA_CHAIN_TABLE, "pot-is-asking");
	nl_put_str(&b, NFTA_CHAIN_NAME, "pot-is-asking");
	rc = nl_talk(s, &b, NULL, NULL, &failed, e);
	if (rc < 0 && e != NULL && (e->sys == EAFNOSUPPORT || e->sys == EOPNOTSUPP))
		return 0;
	return rc < 0 ? rc : 1;
}

/* ---- everybody's chains ---------------------------------------------------------------- */

struct walk {
	nft_chain_fn *fn;
	void *arg;
};

static void
copy_str(char *dst, size_t size, const struct nlattr *a)
{
	if (a != NULL)
		snprintf(dst, size, "%.*s", (int)nl_len(a), (const char *)nl_data(a));
}

static int
got_chain(void *arg, const struct nlmsghdr *h, struct err *e)
{
	struct walk *w = arg;
	struct nft_chain c = { .family = family_of(h), .hook = ~0u };
	const struct nlattr *hook;

	if (NFNL_MSG_TYPE(h->nlmsg_type) != NFT_MSG_NEWCHAIN)
		return 0;
	hook = nl_find_msg(h, HEAD, NFTA_CHAIN_HOOK);
	copy_str(c.table, sizeof(c.table), nl_find_msg(h, HEAD, NFTA_CHAIN_TABLE));
	copy_str(c.name, sizeof(c.name), nl_find_msg(h, HEAD, NFTA_CHAIN_NAME));
	if (hook != NULL) {
		c.hook = nl_be32(nl_find_in(hook, NFTA_HOOK_HOOKNUM));
		c.drops = nl_find_msg(h, HEAD, NFTA_CHAIN_POLICY) != NULL &&
		    nl_be32(nl_find_msg(h, HEAD, NFTA_CHAIN_POLICY)) == NF_DROP;
	}
	return w->fn(w->arg, &c);
}

int
nft_chains(struct nl_sock *s, nft_chain_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	struct walk w = { fn, arg };

	nft_begin(&b, NFT_MSG_GETCHAIN, NLM_F_DUMP, NFPROTO_UNSPEC, "cannot list the filter's chains", 0);
	return nl_talk(s, &b, got_chain, &w, NULL, e);
}
