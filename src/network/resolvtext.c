/* What a host's resolv.conf says (resolvtext.h). Any user of the host may have written it: nothing is trusted. */
#include "network/resolvtext.h"

#include <string.h>

#define BLANKS " \t\r"

static bool
is_stub(const struct ip_addr *a)
{
	static const struct ip_addr stubs[] = { { 4, { 127, 0, 0, 53 } }, { 4, { 127, 0, 0, 54 } } };

	return ip_equal(a, &stubs[0]) || ip_equal(a, &stubs[1]);
}

static void
take_server(struct resolv *r, const char *text)
{
	struct ip_addr a;

	/* With a zone (fe80::1%eth0) it names an interface of the host's: nothing to a pot. */
	if (ip_parse(text, &a, NULL) < 0)
		return;
	if (!ip_is_loopback(&a)) {
		if (r->n < RESOLV_SERVERS_MAX)
			r->servers[r->n++] = a;
	} else if (a.family == 6) {
		r->local6 = true;
	} else if (is_stub(&a)) {
		r->stub = true;
		if (r->local.family == 0)
			r->local = a;
	} else {
		r->local = a;
	}
}

void
resolv_parse(struct resolv *r, const char *text, bool servers_only)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n"), from, n;
		char word[IP_TEXT + 32];

		if (len >= 11 && strncmp(text, "nameserver", 10) == 0 && strchr(BLANKS, text[10]) != NULL) {
			from = 10 + strspn(text + 10, BLANKS);
			n = strcspn(text + from, BLANKS "\n");
			if (n > 0 && n < sizeof(word)) {
				memcpy(word, text + from, n);
				word[n] = '\0';
				take_server(r, word);
			}
		} else if (!servers_only) {
			buf_add(&r->rest, text, len);
			buf_str(&r->rest, "\n");
		}
		text += len + (text[len] == '\n');
	}
}

int
resolv_print(const struct resolv *r, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < r->n; i++) {
		char text[IP_TEXT];

		ip_print(&r->servers[i], text);
		buf_fmt(out, "nameserver %s\n", text);
	}
	buf_add(out, r->rest.data, r->rest.len);
	/* Without a server the C library asks 127.0.0.1: not for long. */
	if (r->n == 0)
		buf_str(out, "options timeout:1 attempts:1\n");
	return buf_check(out, "resolv.conf", e);
}
