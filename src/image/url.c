/* URLs, by libcurl's own parser: what is checked here is what is connected to. */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "image/http.h"

static void
auto_curlu(CURLU **u)
{
	curl_url_cleanup(*u);
}
#define AUTO_CURLU __attribute__((cleanup(auto_curlu)))

static void
auto_curl(char **s)
{
	curl_free(*s);
}
#define AUTO_CURL __attribute__((cleanup(auto_curl)))

static bool
part_equal(CURLU *a, CURLU *b, CURLUPart part)
{
	AUTO_CURL char *x = NULL, *y = NULL;

	return curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK && strcasecmp(x, y) == 0;
}

bool
url_same_origin(const char *a, const char *b)
{
	AUTO_CURLU CURLU *x = curl_url(), *y = NULL;

	y = curl_url();
	return x != NULL && y != NULL && curl_url_set(x, CURLUPART_URL, a, 0) == CURLUE_OK &&
	    curl_url_set(y, CURLUPART_URL, b, 0) == CURLUE_OK && part_equal(x, y, CURLUPART_SCHEME) &&
	    part_equal(x, y, CURLUPART_HOST) && part_equal(x, y, CURLUPART_PORT);
}

bool
url_is_https(const char *url)
{
	return strncasecmp(url, "https://", 8) == 0;
}

int
url_join(const char *base, const char *location, struct buf *out, struct err *e)
{
	AUTO_CURLU CURLU *u = curl_url();
	AUTO_CURL char *text = NULL, *user = NULL;

	if (u == NULL)
		return err_nomem(e);
	if (strlen(location) > URL_MAX || curl_url_set(u, CURLUPART_URL, base, 0) != CURLUE_OK ||
	    curl_url_set(u, CURLUPART_URL, location, 0) != CURLUE_OK)
		return err_set(e, E_INVAL, "'%.120s' is not a URL", location);
	if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
		return err_set(e, E_INVAL, "a URL with a user's name in it");
	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(u, CURLUPART_URL, &text, 0) != CURLUE_OK)
		return err_nomem(e);
	if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
		return err_set(e, E_INVAL, "'%.120s' is neither http nor https", location);
	buf_reset(out);
	buf_str(out, text);
	return buf_check(out, "URL", e);
}

int
url_host(const char *url, char *out, size_t size, struct err *e)
{
	AUTO_CURLU CURLU *u = curl_url();
	AUTO_CURL char *host = NULL;

	if (u == NULL)
		return err_nomem(e);
	if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK || strlen(host) >= size)
		return err_set(e, E_INVAL, "'%.120s' is not a URL", url);
	for (size_t i = 0; host[i] != '\0'; i++)
		out[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] + 32 : host[i]);
	out[strlen(host)] = '\0';
	return 0;
}

void
url_query(struct buf *url, const char *key, const char *value)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

	buf_fmt(url, "%c%s=", strchr(buf_cstr(url), '?') != NULL ? '&' : '?', key);
	for (; *value != '\0'; value++) {
		if (strchr(plain, *value) != NULL)
			buf_add(url, value, 1);
		else
			buf_fmt(url, "%%%02X", (unsigned char)*value);
	}
}
