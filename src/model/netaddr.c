/*
 * IP addresses and prefixes. Text is that of inet_pton(3) and inet_ntop(3),
 * which refuse leading zeros, zones and anything left over. No state.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "model/netaddr.h"

static const char *const stack_names[] = { "ipv4", "ipv6", "dual" };

int
ip_stack_parse(const char *s, enum ip_stack *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(stack_names); i++) {
		if (strcmp(s, stack_names[i]) == 0) {
			*out = (enum ip_stack)(i + 1);
			return 0;
		}
	}
	return err_set(e, E_INVAL, "'%.64s' is not one of ipv4, ipv6, dual", s);
}

const char *
ip_stack_name(enum ip_stack stack)
{
	return stack >= STACK_IPV4 && stack <= STACK_DUAL ? stack_names[stack - 1] : "";
}

static size_t
ip_bytes(const struct ip_addr *a)
{
	return a->family == 4 ? 4 : a->family == 6 ? 16 : 0;
}

int
ip_parse(const char *s, struct ip_addr *out, struct err *e)
{
	struct ip_addr a = { 0 };

	if (inet_pton(AF_INET, s, a.b) == 1) {
		a.family = 4;
	} else if (inet_pton(AF_INET6, s, a.b) == 1) {
		a.family = 6;
	} else {
		err_set(e, E_INVAL, "'%.64s' is neither an IPv4 nor an IPv6 address", s);
		return -E_INVAL;
	}
	*out = a;
	return 0;
}

int
ip_prefix_parse(const char *s, struct ip_prefix *out, struct err *e)
{
	const char *slash = strchr(s, '/');
	size_t len = slash != NULL ? (size_t)(slash - s) : strlen(s);
	struct ip_prefix p = { 0 };
	char addr[IP_TEXT];
	uint64_t bits;
	int r;

	if (len >= sizeof(addr))
		return err_set(e, E_INVAL, "'%.64s' is neither an IPv4 nor an IPv6 address", s);
	memcpy(addr, s, len);
	addr[len] = '\0';
	if ((r = ip_parse(addr, &p.addr, e)) < 0)
		return r;
	bits = 8 * ip_bytes(&p.addr);
	if (slash != NULL && (r = text_uint(slash + 1, 0, bits, &bits, "prefix length", e)) < 0) {
		err_wrap(e, "'%.64s'", s);
		return r;
	}
	p.len = (uint8_t)bits;
	*out = p;
	return 0;
}

void
ip_print(const struct ip_addr *a, char out[static IP_TEXT])
{
	out[0] = '\0';
	if (a->family == 4)
		inet_ntop(AF_INET, a->b, out, IP_TEXT);
	else if (a->family == 6)
		inet_ntop(AF_INET6, a->b, out, IP_TEXT);
}

void
ip_prefix_print(const struct ip_prefix *p, char out[static IP_TEXT])
{
	size_t len;

	ip_print(&p->addr, out);
	len = strlen(out);
	/* The longest address that inet_ntop writes has 45 characters, but never with a length behind it. */
	if (len > 0)
		snprintf(out + len, IP_TEXT - len, "/%u", p->len);
}

int
ip_compare(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, ip_bytes(a));
}

bool
ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return ip_compare(a, b) == 0;
}

/* Sets the bits behind the first len to `ones`. */
static struct ip_addr
set_host_bits(const struct ip_prefix *p, bool ones)
{
	struct ip_addr a = p->addr;

	for (size_t bit = p->len; bit < 8 * ip_bytes(&a); bit++) {
		uint8_t mask = (uint8_t)(0x80u >> bit % 8);

		a.b[bit / 8] = (uint8_t)(ones ? a.b[bit / 8] | mask : a.b[bit / 8] & ~mask);
	}
	return a;
}

struct ip_addr
ip_network(const struct ip_prefix *p)
{
	return set_host_bits(p, false);
}

struct ip_addr
ip_broadcast(const struct ip_prefix *p)
{
	return set_host_bits(p, true);
}

bool
ip_in(const struct ip_prefix *p, const struct ip_addr *a)
{
	struct ip_prefix other = { *a, p->len };
	struct ip_addr x, y;

	if (a->family == 0 || a->family != p->addr.family)
		return false;
	x = ip_network(p);
	y = ip_network(&other);
	return ip_equal(&x, &y);
}

bool
ip_overlap(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return ip_in(a->len <= b->len ? a : b, a->len <= b->len ? &b->addr : &a->addr);
}

struct ip_addr
ip_add(const struct ip_addr *a, uint64_t n)
{
	struct ip_addr out = *a;

	/* Byte by byte from the last, n holding what is still to add and the carry. */
	for (size_t i = ip_bytes(a); i-- > 0 && n > 0;) {
		uint64_t low = (n & 0xff) + out.b[i];

		out.b[i] = (uint8_t)low;
		n = (n >> 8) + (low >> 8);
	}
	return out;
}

bool
ip_is_loopback(const struct ip_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };
	static const uint8_t mapped[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 };

	if (a->family == 4)
		return a->b[0] == 127;
	return a->family == 6 && (memcmp(a->b, one, 16) == 0 || memcmp(a->b, mapped, 13) == 0);
}

int
ip_rate_parse(const char *s, uint64_t *out, const char *what, struct err *e)
{
	static const char units[] = "kmg";
	const char *unit = s + strspn(s, "0123456789."), *dot;
	size_t len = (size_t)(unit - s), decimals = 0;
	uint64_t n, scale = 1;
	char number[24];

	if (*unit != '\0' && (dot = strchr(units, *unit | 0x20)) != NULL) {
		for (const char *u = units; u <= dot; u++)
			scale *= 1000;
		unit++;
	}
	if (strcasecmp(unit, "bit") == 0 || strcasecmp(unit, "bit/s") == 0)
		unit += strlen(unit);
	dot = memchr(s, '.', len);
	if (dot != NULL)
		decimals = (size_t)(s + len - dot) - 1;
	if (len == 0 || len >= sizeof(number) || *unit != '\0' || decimals > 3 ||
	    (dot != NULL && decimals == 0))
		goto bad;
	/* As a whole number of thousandths: "1.5" is 1500. */
	snprintf(number, sizeof(number), "%.*s%.*s", dot != NULL ? (int)(dot - s) : (int)len, s,
	    (int)decimals, dot != NULL ? dot + 1 : "");
	if (text_uint(number, 0, IP_RATE_MAX, &n, what, NULL) < 0)
		goto bad;
	for (size_t i = decimals; i < 3; i++)
		n *= 10;
	if (scale > 1 && n > UINT64_MAX / scale)
		goto bad;
	n = n * scale / 1000;
	if (n < IP_RATE_MIN || n > IP_RATE_MAX)
		goto bad;
	*out = n;
	return 0;
bad:
	err_set(e, E_INVAL, "%s: '%.64s' is not a rate from 8k to 1000G bits per second", what, s);
	err_hint(e, "for example 500k, 10M or 1.5G");
	return -E_INVAL;
}
