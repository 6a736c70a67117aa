/*
 * Choosing ranges that nobody has. Arithmetic on prefixes and a list of
 * those taken; who fills the list is bridge.c.
 */
#include <stdlib.h>
#include <string.h>

#include "network/bridge.h"

#define TRIES_MAX (1u << 20)

void
net_ranges_fini(struct net_ranges *r)
{
	free(r->v);
	*r = (struct net_ranges)NET_RANGES_INIT;
}

int
net_ranges_add(struct net_ranges *r, const struct ip_prefix *p, struct err *e)
{
	if (p->addr.family == 0 || p->len == 0)
		return 0;
	if (r->n == r->cap) {
		size_t cap = r->cap == 0 ? 64 : 2 * r->cap;
		struct ip_prefix *v = reallocarray(r->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n++] = *p;
	return 0;
}

const struct ip_prefix *
net_ranges_clash(const struct net_ranges *r, const struct ip_prefix *p)
{
	for (size_t i = 0; i < r->n; i++) {
		if (ip_overlap(&r->v[i], p))
			return &r->v[i];
	}
	return NULL;
}

bool
net_range_find(const struct net_ranges *taken, const struct ip_prefix *in, unsigned len, unsigned start,
    struct ip_prefix *out)
{
	unsigned bits = in->addr.family == 4 ? 32 : 128;
	unsigned count, host_bits;
	struct ip_addr base = ip_network(in);

	if (len < in->len || len > bits || bits - len > 63)
		return false;
	host_bits = bits - len;
	count = len - in->len >= 20 ? TRIES_MAX : 1u << (len - in->len);
	for (unsigned i = 0; i < count; i++) {
		out->addr = ip_add(&base, (uint64_t)((start + i) % count) << host_bits);
		out->len = (uint8_t)len;
		if (net_ranges_clash(taken, out) == NULL)
			return true;
	}
	return false;
}

unsigned
net_range_len(unsigned hosts)
{
	unsigned len = 32;

	while (len > 0 && (1ull << (32 - len)) < (unsigned long long)hosts + 3)
		len--;
	return len;
}

struct ip_prefix
net_range_ula(const char *node, unsigned index)
{
	uint32_t id = (uint32_t)strtoul(node, NULL, 16);
	struct ip_prefix p = { .addr.family = 6, .len = 64 };

	/* 40 bits of identity are asked for and 32 are there: the fifth byte is made of the others. */
	p.addr.b[0] = 0xfd;
	p.addr.b[1] = (uint8_t)(0x70 ^ (id >> 24) ^ (id >> 16) ^ (id >> 8) ^ id);
	for (unsigned i = 0; i < 4; i++)
		p.addr.b[2 + i] = (uint8_t)(id >> (24 - 8 * i));
	p.addr.b[6] = (uint8_t)(index >> 8);
	p.addr.b[7] = (uint8_t)index;
	return p;
}

bool
net_range_routed(const struct ip_prefix *routed, unsigned index, struct ip_prefix *out)
{
	if (routed->len >= 64) {
		*out = *routed;
		return index == 0;
	}
	if (64 - routed->len < 32 && index >= 1u << (64 - routed->len))
		return false;
	*out = (struct ip_prefix){ ip_network(routed), 64 };
	/* In the upper half: ip_add counts in the lower one. */
	for (unsigned i = 8, n = index; n > 0 && i-- > 0; n >>= 8)
		out->addr.b[i] = (uint8_t)(out->addr.b[i] | (n & 0xff));
	return true;
}
