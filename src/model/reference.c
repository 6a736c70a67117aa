/*
 * References to images as people write them. Text to parts and back; nothing
 * here knows where an image is or whether there is one.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "model/name.h"
#include "model/netaddr.h"
#include "model/reference.h"

static bool
is_alnum_lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* "_", "__", ".", or any number of "-": how many bytes, 0 when it is none of them. */
static size_t
separator(const char *s)
{
	if (s[0] == '.')
		return 1;
	if (s[0] == '_')
		return s[1] == '_' ? 2 : 1;
	return strspn(s, "-");
}

/* One path component; how many bytes it takes, 0 when it is none. */
static size_t
component(const char *s)
{
	size_t n = 0, sep;

	if (!is_alnum_lower(s[0]))
		return 0;
	for (;;) {
		while (is_alnum_lower(s[n]))
			n++;
		sep = separator(s + n);
		if (sep == 0)
			return n;
		if (!is_alnum_lower(s[n + sep]))
			return 0;
		n += sep;
	}
}

bool
ref_is_name(const char *s)
{
	size_t n;

	if (strlen(s) > REF_NAME_MAX)
		return false;
	for (;;) {
		n = component(s);
		if (n == 0)
			return false;
		s += n;
		if (*s == '\0')
			return true;
		if (*s++ != '/')
			return false;
	}
}

bool
ref_is_tag(const char *s)
{
	static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t n = strlen(s);

	return n > 0 && n <= REF_TAG_MAX && s[0] != '.' && s[0] != '-' && strspn(s, rest) == n;
}

bool
ref_is_digest(const char *s)
{
	size_t want;

	if (strncmp(s, "sha256:", 7) == 0)
		want = 64;
	else if (strncmp(s, "sha512:", 7) == 0)
		want = 128;
	else
		return false;
	s += 7;
	return strlen(s) == want && strspn(s, "0123456789abcdef") == want;
}

/* The host part of "HOST[:PORT]" in out; *port points behind the colon, or is NULL. */
static int
split_host(char *text, char **host, char **port, struct err *e)
{
	char *end;

	*port = NULL;
	*host = text;
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return err_set(e, E_INVAL, "registry '%.80s': '[' without ']'", text);
		if (end[1] == ':')
			*port = end + 2;
		*end = '\0';
		*host = text + 1;
		return 0;
	}
	end = strchr(text, ':');
	if (end != NULL) {
		*end = '\0';
		*port = end + 1;
	}
	return 0;
}

int
ref_parse_host(const char *s, char out[static REF_HOST_MAX + 1], struct err *e)
{
	char text[REF_HOST_MAX + 1], *host, *port;
	struct ip_addr ip;
	uint64_t number;
	size_t n = strlen(s);
	int r;

	if (n == 0 || n > REF_HOST_MAX)
		return err_set(e, E_INVAL, "registry '%.80s': %s", s, n == 0 ? "no name" : "too long");
	for (size_t i = 0; i <= n; i++)
		text[i] = (char)tolower((unsigned char)s[i]);
	memcpy(out, text, n + 1);
	if ((r = split_host(text, &host, &port, e)) < 0)
		return r;
	if (port != NULL && (r = text_uint(port, 1, UINT16_MAX, &number, "the registry's port", e)) < 0)
		return r;
	if (s[0] == '[') {
		if (ip_parse(host, &ip, NULL) < 0 || ip.family != 6)
			return err_set(e, E_INVAL, "registry '%.80s': no IPv6 address in brackets", s);
		return 0;
	}
	if (!name_is_hostname(host))
		return err_set(e, E_INVAL, "registry '%.80s': not the name of a host", s);
	return 0;
}

bool
ref_host_is_loopback(const char *s)
{
	char text[REF_HOST_MAX + 1], *host, *port;
	struct ip_addr ip;

	if (ref_parse_host(s, text, NULL) < 0 || split_host(text, &host, &port, NULL) < 0)
		return false;
	if (strcmp(host, "localhost") == 0)
		return true;
	return ip_parse(host, &ip, NULL) == 0 && ip_is_loopback(&ip);
}

/* Is the text before the first slash a host, and not a part of the name? */
static bool
looks_like_host(const char *s, size_t n)
{
	return s[0] == '[' || memchr(s, '.', n) != NULL || memchr(s, ':', n) != NULL ||
	    (n == 9 && strncasecmp(s, "localhost", 9) == 0);
}

static int
fail(const char *text, struct err *e, const char *why, const char *hint)
{
	err_set(e, E_INVAL, "image '%.200s': %s", text, why);
	return err_hint(e, "%s", hint);
}

#define SHAPE "a reference is [HOST[:PORT]/]NAME[:TAG][@sha256:…]"

static int
parse_name(const char *text, const char *name, struct reference *r, struct err *e)
{
	size_t n = strlen(name);

	if (n == 0)
		return fail(text, e, "no name", SHAPE);
	if (n > REF_NAME_MAX || n + strlen(r->host) > REF_NAME_MAX)
		return fail(text, e, "longer than 255 bytes", SHAPE);
	for (size_t i = 0; i < n; i++)
		if (name[i] >= 'A' && name[i] <= 'Z')
			return fail(text, e, "upper case in the name", "registries take lower case only");
	if (!ref_is_name(name))
		return fail(text, e, "the name is none that registries take",
		    "lower-case letters and digits, single . _ or - between them, components separated by /");
	memcpy(r->name, name, n + 1);
	return 0;
}

int
ref_parse(const char *text, struct reference *r, struct err *e)
{
	char copy[REF_TEXT], *rest = copy, *at, *colon, *slash;
	size_t n = strlen(text);
	int rc;

	*r = (struct reference){ 0 };
	if (n >= sizeof(copy))
		return fail(text, e, "too long", SHAPE);
	memcpy(copy, text, n + 1);
	at = strchr(copy, '@');
	if (at != NULL) {
		*at++ = '\0';
		if (!ref_is_digest(at))
			return fail(text, e, "not a digest behind '@'",
			    "sha256: and 64, or sha512: and 128, lower-case hexadecimal digits");
		memcpy(r->digest, at, strlen(at) + 1);
	}
	slash = strchr(rest, '/');
	if (slash != NULL && looks_like_host(rest, (size_t)(slash - rest))) {
		*slash = '\0';
		if ((rc = ref_parse_host(rest, r->host, e)) < 0) {
			err_wrap(e, "image '%.200s'", text);
			return rc;
		}
		rest = slash + 1;
	}
	colon = strchr(rest, ':');
	if (colon != NULL) {
		*colon++ = '\0';
		if (!ref_is_tag(colon))
			return fail(text, e, "not a tag behind ':'",
			    "at most 128 letters, digits, _ . and -, the first no . or -");
		memcpy(r->tag, colon, strlen(colon) + 1);
	}
	return parse_name(text, rest, r, e);
}

void
ref_default_tag(struct reference *r)
{
	if (r->tag[0] == '\0' && r->digest[0] == '\0')
		memcpy(r->tag, "latest", sizeof("latest"));
}

void
ref_print_name(const struct reference *r, char out[static REF_TEXT])
{
	snprintf(out, REF_TEXT, "%s%s%s", r->host, r->host[0] != '\0' ? "/" : "", r->name);
}

void
ref_print(const struct reference *r, char out[static REF_TEXT])
{
	char name[REF_TEXT];

	ref_print_name(r, name);
	snprintf(out, REF_TEXT, "%.520s%s%s%s%s", name, r->tag[0] != '\0' ? ":" : "", r->tag,
	    r->digest[0] != '\0' ? "@" : "", r->digest);
}

bool
ref_equal(const struct reference *a, const struct reference *b)
{
	return strcmp(a->host, b->host) == 0 && strcmp(a->name, b->name) == 0 &&
	    strcmp(a->tag, b->tag) == 0 && strcmp(a->digest, b->digest) == 0;
}
