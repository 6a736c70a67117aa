/*
 * Waiting until a new port of a bridge passes frames. The kernel tells a bridge of a
 * port's carrier, and the world of the bridge's, by deferred work (linkwatch): a
 * client that came before it would lose its first packet and with it a second.
 * Asking for the link makes newer kernels do that work at once (since 6.8); older
 * ones announce when it is done.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "base/text.h"
#include "network/linux/link.h"

#define SETTLE_MS 1000

struct settled {
	int bridge_index;
	bool port, bridge;
};

static int
got_state(void *arg, const struct nlmsghdr *h, struct err *e)
{
	struct settled *s = arg;
	const struct ifinfomsg *m = NLMSG_DATA(h);
	const struct nlattr *info, *state, *oper;

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return 0;
	oper = nl_find_msg(h, sizeof(*m), IFLA_OPERSTATE);
	if (m->ifi_index == s->bridge_index) {
		s->bridge =
		    oper != NULL && nl_len(oper) == 1 && *(const uint8_t *)nl_data(oper) == IF_OPER_UP;
		return 0;
	}
	info = nl_find_in(nl_find_msg(h, sizeof(*m), IFLA_LINKINFO), IFLA_INFO_SLAVE_DATA);
	state = nl_find_in(info, IFLA_BRPORT_STATE);
	s->port =
	    state != NULL && nl_len(state) == 1 && *(const uint8_t *)nl_data(state) == BR_STATE_FORWARDING;
	return 0;
}

/* 1: frames pass. */
static int
look(struct nl_sock *s, const char *port, int bridge_index, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	struct settled st = { .bridge_index = bridge_index };
	struct ifinfomsg h = { .ifi_family = AF_UNSPEC };
	int rc;

	nl_begin(&b, RTM_GETLINK, 0, &h, sizeof(h), "cannot look at the link", 0);
	nl_put_str(&b, IFLA_IFNAME, port);
	nl_put_u32(&b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	h.ifi_index = bridge_index;
	nl_begin(&b, RTM_GETLINK, 0, &h, sizeof(h), "cannot look at the bridge", 0);
	nl_put_u32(&b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	rc = nl_talk(s, &b, got_state, &st, NULL, e);
	return rc < 0 ? rc : st.port && st.bridge;
}

/* Something happened to a link, or the time is over (0). */
static int
wait_event(int fd, int64_t deadline)
{
	char in[8192];
	struct pollfd p = { fd, POLLIN, 0 };
	int64_t left = deadline - text_monotonic_ms();

	if (left <= 0 || poll(&p, 1, (int)left) == 0)
		return 0;
	while (recv(fd, in, sizeof(in), MSG_DONTWAIT) > 0)
		continue;
	return 1;
}

int
link_settle(struct nl_sock *s, const struct net_plan_link *l, int bridge_index, struct err *e)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int64_t deadline = text_monotonic_ms() + SETTLE_MS;
	AUTO(fd) int fd = -1;
	int rc = look(s, l->host, bridge_index, e);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	/* Subscribed before the next look, so that nothing is missed between. */
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(e, "cannot listen for events of links");
	do
		rc = look(s, l->host, bridge_index, e);
	while (rc == 0 && wait_event(fd, deadline) > 0);
	return rc < 0 ? rc : 0;
}
