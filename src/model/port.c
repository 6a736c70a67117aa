/*
 * Published ports as people write them. Text to maps and back; whether a
 * port is free is asked elsewhere.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/port.h"

struct range {
	uint16_t first, last;
};

static int
fail(const char *spec, struct err *e, const char *why)
{
	err_set(e, E_INVAL, "port '%.80s': %s", spec, why);
	err_hint(e, "give [ADDRESS:]HOST:PORT[/tcp|udp], an IPv6 address in brackets");
	return -E_INVAL;
}

/* "A" or "A-B". */
static int
parse_range(const char *s, struct range *out, const char *what, struct err *e)
{
	const char *dash = strchr(s, '-');
	uint64_t first, last;
	char word[8];
	int r;

	if (dash == NULL) {
		if ((r = text_uint(s, 1, UINT16_MAX, &first, what, e)) < 0)
			return r;
		*out = (struct range){ (uint16_t)first, (uint16_t)first };
		return 0;
	}
	if ((size_t)(dash - s) >= sizeof(word))
		return err_set(e, E_INVAL, "%s: '%.64s' is not a range of ports", what, s);
	memcpy(word, s, (size_t)(dash - s));
	word[dash - s] = '\0';
	if ((r = text_uint(word, 1, UINT16_MAX, &first, what, e)) < 0 ||
	    (r = text_uint(dash + 1, 1, UINT16_MAX, &last, what, e)) < 0)
		return r;
	if (last < first)
		return err_set(e, E_INVAL, "%s: the range '%.64s' ends before it begins", what, s);
	*out = (struct range){ (uint16_t)first, (uint16_t)last };
	return 0;
}

static int
append(const struct port_map *one, size_t count, struct port_map *v, size_t *n, struct err *e)
{
	if (count > PORT_MAPS_MAX - *n)
		return err_set(e, E_LIMIT, "more than %d published ports", PORT_MAPS_MAX);
	for (size_t i = 0; i < count; i++) {
		v[*n] = *one;
		v[*n].pot = (uint16_t)(one->pot + i);
		if (one->host != 0)
			v[*n].host = (uint16_t)(one->host + i);
		(*n)++;
	}
	return 0;
}

static int
parse_proto(const char *s, enum port_proto *out)
{
	if (strcmp(s, "tcp") == 0)
		*out = PORT_TCP;
	else if (strcmp(s, "udp") == 0)
		*out = PORT_UDP;
	else
		return -1;
	return 0;
}

/* Cuts the address from the front; *rest is what stands behind its colon. */
static int
cut_address(char *s, struct ip_addr *addr, char **rest, const char *spec, struct err *e)
{
	char *end, *colon;
	int r;

	*addr = (struct ip_addr){ 0 };
	*rest = s;
	if (s[0] == '[') {
		end = strchr(s, ']');
		if (end == NULL || end[1] != ':')
			return fail(spec, e, "'[' without ']:'");
		*end = '\0';
		if ((r = ip_parse(s + 1, addr, e)) < 0) {
			err_wrap(e, "port '%.80s'", spec);
			return r;
		}
		if (addr->family != 6)
			return fail(spec, e, "only an IPv6 address stands in brackets");
		*rest = end + 2;
		return 0;
	}
	colon = strchr(s, ':');
	if (colon == NULL || strchr(colon + 1, ':') == NULL)
		return 0;
	*colon = '\0';
	if ((r = ip_parse(s, addr, e)) < 0) {
		err_wrap(e, "port '%.80s'", spec);
		return r;
	}
	*rest = colon + 1;
	return 0;
}

/* 0.0.0.0 and :: are how other programs write "any address of the host". */
static bool
is_any(const struct ip_addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->b, zero, sizeof(zero)) == 0;
}

int
port_parse(const char *spec, struct port_map *v, size_t *n, struct err *e)
{
	struct port_map one = { .proto = PORT_TCP };
	struct range host = { 0, 0 }, pot;
	char text[PORT_TEXT + 16], *rest, *colon, *slash;
	int r;

	if (strlen(spec) >= sizeof(text))
		return fail(spec, e, "too long");
	memcpy(text, spec, strlen(spec) + 1);
	slash = strchr(text, '/');
	if (slash != NULL) {
		*slash = '\0';
		if (parse_proto(slash + 1, &one.proto) < 0)
			return fail(spec, e, "the protocol is neither tcp nor udp");
	}
	if ((r = cut_address(text, &one.addr, &rest, spec, e)) < 0)
		return r;
	if (one.addr.family != 0 && is_any(&one.addr))
		one.addr = (struct ip_addr){ 0 };
	colon = strchr(rest, ':');
	if (colon == NULL)
		return fail(spec, e, "no ':' between the host's port and the pot's");
	*colon = '\0';
	if ((rest[0] != '\0' && (r = parse_range(rest, &host, "the host's port", e)) < 0) ||
	    (r = parse_range(colon + 1, &pot, "the pot's port", e)) < 0) {
		err_wrap(e, "port '%.80s'", spec);
		return r;
	}
	if (rest[0] != '\0' && host.last - host.first != pot.last - pot.first)
		return fail(spec, e, "the two ranges differ in length");
	one.host = host.first;
	one.pot = pot.first;
	return append(&one, (size_t)(pot.last - pot.first) + 1, v, n, e);
}

int
port_parse_classic(const char *spec, struct port_map *v, size_t *n, struct err *e)
{
	struct port_map one = { .proto = PORT_TCP };
	const char *s = spec, *colon;
	uint64_t pot, host = 0;
	char word[16];
	size_t len;
	int r;

	if (strncmp(s, "tcp:", 4) == 0 || strncmp(s, "udp:", 4) == 0) {
		one.proto = s[0] == 't' ? PORT_TCP : PORT_UDP;
		s += 4;
	}
	colon = strchr(s, ':');
	len = colon != NULL ? (size_t)(colon - s) : strlen(s);
	if (len >= sizeof(word))
		return fail(spec, e, "too long");
	memcpy(word, s, len);
	word[len] = '\0';
	if ((r = text_uint(word, 1, UINT16_MAX, &pot, "the pot's port", e)) < 0 ||
	    (colon != NULL && (r = text_uint(colon + 1, 1, UINT16_MAX, &host, "the host's port", e)) < 0)) {
		err_wrap(e, "port '%.80s'", spec);
		err_hint(e, "give [tcp:|udp:]PORT[:HOSTPORT]");
		return r;
	}
	one.pot = (uint16_t)pot;
	one.host = (uint16_t)host;
	return append(&one, 1, v, n, e);
}

void
port_print(const struct port_map *m, char out[static PORT_TEXT])
{
	char addr[IP_TEXT], host[8] = "";

	ip_print(&m->addr, addr);
	if (m->host != 0)
		snprintf(host, sizeof(host), "%u", m->host);
	snprintf(out, PORT_TEXT, "%s%s%s%s:%u/%s", m->addr.family == 6 ? "[" : "", addr,
	    m->addr.family == 6       ? "]:"
		: m->addr.family == 4 ? ":"
				      : "",
	    host, m->pot, m->proto == PORT_UDP ? "udp" : "tcp");
}

bool
port_conflict(const struct port_map *a, const struct port_map *b)
{
	return a->proto == b->proto && a->host == b->host && a->host != 0 &&
	    (a->addr.family == 0 || b->addr.family == 0 || ip_equal(&a->addr, &b->addr));
}
