/*
 * The table of settings. A name has dashes on the command line and underscores
 * in the file. Nothing is looked up on the machine here.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/config_read.h"
#include "registry/options.h"

#define AT(field) offsetof(struct options, field)
#define DAYS_MS UINT64_C(86400000)

/* clang-format off */
const struct option_row option_rows[] = {
	{ "listen", "ADDR:PORT", "127.0.0.1:5000", "serve on this address", OPTION_STRING, AT(listen), 0, 0 },
	{ "data", "DIR", "/var/lib/pot-registry", "keep everything below this directory", OPTION_STRING, AT(data), 0, 0 },
	{ "tls-cert", "FILE", "", "certificate chain (PEM); serve HTTPS", OPTION_STRING, AT(tls_cert), 0, 0 },
	{ "tls-key", "FILE", "", "its key (PEM)", OPTION_STRING, AT(tls_key), 0, 0 },
	{ "auth", "FILE", "", "users and rules; without it anybody may do anything", OPTION_STRING, AT(auth), 0, 0 },
	{ "public-url", "URL", "", "how clients reach this registry when a proxy stands before it", OPTION_STRING, AT(public_url), 0, 0 },
	{ "access-log", "FILE", "", "a line for each request; \"-\" for standard output", OPTION_STRING, AT(access_log), 0, 0 },
	{ "read-only", NULL, "no", "refuse whatever changes something", OPTION_BOOL, AT(read_only), 0, 0 },
	{ "sparse", NULL, "no", "take manifests that refer to what is not there", OPTION_BOOL, AT(sparse), 0, 0 },
	{ "max-blob", "SIZE", "100g", "largest blob", OPTION_SIZE, AT(max_blob), 1, INT64_MAX },
	{ "max-uploads", "N", "4096", "unfinished uploads at a time", OPTION_UINT, AT(max_uploads), 1, 1000000 },
	{ "upload-expiry", "TIME", "1h", "forget an upload that nobody went on with", OPTION_DURATION, AT(upload_expiry), 1000, 365 * DAYS_MS },
	{ "connections", "N", "1024", "connections at a time", OPTION_UINT, AT(connections), 16, 100000 },
	{ "connections-per-address", "N", "256", "connections of one address at a time", OPTION_UINT, AT(connections_per_address), 1, 100000 },
	{ "threads", "N", "0", "threads that serve; 0: as many as processors", OPTION_UINT, AT(threads), 0, 256 },
	{ "idle", "TIME", "60s", "close a connection that sends no request", OPTION_DURATION, AT(idle), 5000, DAYS_MS },
	{ "min-rate", "SIZE", "4k", "bytes per second below which a transfer is cut", OPTION_SIZE, AT(min_rate), 1, INT64_MAX },
	{ "patience", "TIME", "60s", "how long a transfer may be slower than that", OPTION_DURATION, AT(patience), 5000, DAYS_MS },
	{ "rate", "N", "0", "requests per second of one address; 0: any number", OPTION_UINT, AT(rate), 0, 1000000 },
	{ "burst", "N", "200", "requests of one address that may come at once", OPTION_UINT, AT(burst), 1, 1000000 },
	{ "token-life", "TIME", "5m", "how long a token is good", OPTION_DURATION, AT(token_life), 60000, DAYS_MS },
	{ "gc-interval", "TIME", "6h", "collect garbage this often; 0: only when told", OPTION_DURATION, AT(gc_interval), 0, 365 * DAYS_MS },
	{ "gc-grace", "TIME", "1h", "keep what nothing refers to for this long", OPTION_DURATION, AT(gc_grace), 0, 3650 * DAYS_MS },
	{ "gc-untagged", "TIME", "0", "collect manifests that have no tag for this long; 0: keep them", OPTION_DURATION, AT(gc_untagged_age), 0, 3650 * DAYS_MS },
};
/* clang-format on */
const size_t option_count = ARRAY_LEN(option_rows);

static const struct option_row *
find(const char *name)
{
	for (size_t i = 0; i < option_count; i++) {
		if (strcmp(option_rows[i].name, name) == 0)
			return &option_rows[i];
	}
	return NULL;
}

static int
parse_bool(const char *value, bool *out, const char *what, struct err *e)
{
	if (strcmp(value, "yes") == 0 || strcmp(value, "true") == 0)
		*out = true;
	else if (strcmp(value, "no") == 0 || strcmp(value, "false") == 0)
		*out = false;
	else
		return err_set(e, E_INVAL, "%s: '%.32s' is neither yes nor no", what, value);
	return 0;
}

static int
set_row(struct options *o, const struct option_row *row, const char *value, const char *what, struct err *e)
{
	char *at = (char *)o + row->at;
	uint64_t n = 0;
	int64_t ms = 0;
	char *copy;
	int rc = 0;

	switch (row->type) {
	case OPTION_STRING:
		copy = strdup(value);
		if (copy == NULL)
			return err_nomem(e);
		free(*(char **)at);
		*(char **)at = copy;
		return 0;
	case OPTION_BOOL:
		return parse_bool(value, (bool *)at, what, e);
	case OPTION_UINT:
		return text_uint(value, row->lo, row->hi, (uint64_t *)at, what, e);
	case OPTION_SIZE:
		rc = text_size(value, &n, what, e);
		if (rc == 0)
			*(uint64_t *)at = n;
		break;
	case OPTION_DURATION:
		rc = text_duration(value, &ms, what, e);
		n = (uint64_t)ms;
		if (rc == 0)
			*(int64_t *)at = ms;
		break;
	}
	if (rc == 0 && (n < row->lo || n > row->hi))
		return err_set(e, E_INVAL, "%s: '%.32s' is out of range", what, value);
	return rc;
}

int
options_init(struct options *o, struct err *e)
{
	memset(o, 0, sizeof(*o));
	for (size_t i = 0; i < option_count; i++) {
		int rc = set_row(o, &option_rows[i], option_rows[i].value, option_rows[i].name, e);

		if (rc < 0) {
			options_fini(o);
			return rc;
		}
	}
	return 0;
}

void
options_fini(struct options *o)
{
	for (size_t i = 0; i < option_count; i++) {
		if (option_rows[i].type == OPTION_STRING)
			free(*(char **)((char *)o + option_rows[i].at));
	}
	memset(o, 0, sizeof(*o));
}

int
option_set(struct options *o, const char *name, const char *value, const char *what, struct err *e)
{
	const struct option_row *row = find(name);

	if (row == NULL)
		return err_set(e, E_USAGE, "%s: not known", what);
	return set_row(o, row, value, what, e);
}

static int
set_from_file(
    void *arg, const char *name, const char *value, const char *what, const char *origin, struct err *e)
{
	char dashed[64];

	snprintf(dashed, sizeof(dashed), "%s", name);
	for (char *c = dashed; *c != '\0'; c++) {
		if (*c == '_')
			*c = '-';
	}
	return option_set(arg, dashed, value, what, e);
}

int
options_read(struct options *o, const char *file, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(CONFIG_FILE_MAX);
	struct config_name names[ARRAY_LEN(option_rows)];
	char spelled[ARRAY_LEN(option_rows)][32];
	int rc = file_read(AT_FDCWD, file, &text, e);

	if (rc < 0)
		return err_wrap(e, "configuration '%s'", file);
	for (size_t i = 0; i < option_count; i++) {
		snprintf(spelled[i], sizeof(spelled[i]), "%s", option_rows[i].name);
		for (char *c = spelled[i]; *c != '\0'; c++) {
			if (*c == '-')
				*c = '_';
		}
		names[i] = (struct config_name){ spelled[i], false };
	}
	return config_read(buf_cstr(&text), text.len, file, names, option_count, set_from_file, o, e);
}
