/* What pot pull, push, login and logout do. */
#include <errno.h>
#include <string.h>

#include "cli/image/bars.h"
#include "cli/image/secret.h"
#include "cli/image/verbs.h"

int
stall_arg(const struct args *a, unsigned *seconds, struct err *e)
{
	const char *stall = args_value(a, "stall");
	int64_t ms = 0;
	int rc = stall == NULL ? 0 : text_duration(stall, &ms, "--stall", e);

	if (rc < 0)
		return rc;
	if (ms < 0 || ms > INT32_MAX)
		return args_usage(a, e, "--stall: too long");
	*seconds = stall == NULL ? 0 : ms < 1000 ? 1 : (unsigned)(ms / 1000);
	return 0;
}

int
net_args(const struct args *a, struct pot_net *net, char ***insecure, struct err *e)
{
	int rc = stall_arg(a, &net->stall_s, e);

	if (rc != 0)
		return rc;
	*insecure = args_values(a, "insecure");
	if (*insecure == NULL)
		return err_nomem(e);
	net->insecure = (const char *const *)*insecure;
	net->ca_file = args_value(a, "ca-file");
	if (net->ca_file == NULL)
		net->ca_file = getenv("SSL_CERT_FILE");
	net->auth_file = getenv("REGISTRY_AUTH_FILE");
	return 0;
}

/* The last line, or the last event. */
static int
tell_end(struct cli *cli, const char *name, const struct pot_transfer *t, bool pulled, struct err *e)
{
	char size[TEXT_SIZE_LEN];

	if (cli->json)
		return js_print_line(
		    json_pack("{s:s, s:o, s:s, s:o, s:I, s:i, s:i, s:i, s:i, s:o, s:o}", "event", "done",
			"name", js_string(name), "digest", t->digest, "id", js_text_or_null(t->id), "bytes",
			(json_int_t)t->bytes, "blobs", (int)t->blobs, "moved", (int)t->moved, "mounted",
			(int)t->mounted, "streams", (int)t->streams, "changed",
			pulled ? json_boolean(t->changed) : json_null(), "signed_by",
			js_text_or_null(t->signed_by)),
		    e);
	if (cli->quiet) {
		puts(t->digest);
		return 0;
	}
	text_size_print(t->bytes, size);
	put_text(name);
	printf(": %s\n", t->digest);
	if (t->moved == 0)
		printf("%s\n",
		    pulled ? (t->changed ? "all layers were here" : "up to date") : "all layers were there");
	else
		printf("%u of %u %s, %s%s\n", t->moved, t->blobs, pulled ? "layers fetched" : "blobs sent",
		    size, t->mounted > 0 ? ", others mounted" : "");
	if (t->streams > 0)
		printf("%u %s\n", t->streams,
		    pulled ? "of them made of streams" : "layers offered as streams, too");
	if (t->signed_by[0] != '\0') {
		fputs("signed by ", stdout);
		put_text(t->signed_by);
		fputs("\n", stdout);
	}
	return 0;
}

int
tell_failure(struct cli *cli, int rc, const struct err *e)
{
	if (cli->json)
		(void)!js_print_line(json_pack("{s:s, s:s, s:o, s:o}", "event", "failed", "code",
					 err_text((enum err_code)e->code), "message", js_string(e->msg),
					 "hint", js_text_or_null(e->hint)),
		    NULL);
	return rc;
}

static int
streams_option(const struct args *a, enum pot_streams *out, struct err *e)
{
	static const struct {
		const char *word;
		enum pot_streams value;
	} rows[] = { { "auto", POT_STREAMS_AUTO }, { "never", POT_STREAMS_NEVER },
		{ "always", POT_STREAMS_ALWAYS } };
	const char *word = args_value(a, "streams");

	*out = POT_STREAMS_CONFIGURED;
	for (size_t i = 0; word != NULL && i < ARRAY_LEN(rows); i++)
		if (strcmp(word, rows[i].word) == 0)
			*out = rows[i].value;
	if (word != NULL && *out == POT_STREAMS_CONFIGURED)
		return args_usage(a, e, "--streams: auto, never or always");
	return 0;
}

int
image_pull(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_pull_args in = { .name = a->rest[0],
		.as = args_value(a, "as"),
		.verify = args_has(a, "verify"),
		.older = args_has(a, "allow-older") };
	const char *max = args_value(a, "max-size");
	AUTO_FREE char **insecure = NULL;
	struct pot_transfer t;
	struct bars bars;
	int rc;

	if ((max != NULL && (rc = text_size(max, &in.max_size, "--max-size", e)) < 0) ||
	    (rc = streams_option(a, &in.streams, e)) < 0 || (rc = net_args(a, &in.net, &insecure, e)) < 0)
		return rc;
	bars_begin(&bars, cli);
	rc = pot_image_pull(cli->ctx, &in, &t, e);
	bars_end(&bars);
	if (rc < 0)
		return tell_failure(cli, rc, e);
	return tell_end(cli, in.as != NULL ? in.as : in.name, &t, true, e);
}

int
image_push(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_push_args in = { .name = a->rest[0],
		.dest = a->nrest > 1 ? a->rest[1] : NULL,
		.streams = args_has(a, "streams") };
	AUTO_FINI(buf) struct buf passphrase = BUF_INIT(SECRET_MAX);
	struct pot_sign_key key = { args_value(a, "sign"), NULL };
	AUTO_FREE char **insecure = NULL;
	struct pot_transfer t;
	struct bars bars;
	int rc;

	if ((rc = net_args(a, &in.net, &insecure, e)) < 0)
		return rc;
	if (key.file != NULL) {
		if ((rc = secret_of_key(a, key.file, &passphrase, &key.passphrase, e)) < 0)
			return rc;
		in.key = &key;
	}
	bars_begin(&bars, cli);
	rc = pot_image_push(cli->ctx, &in, &t, e);
	bars_end(&bars);
	return rc < 0 ? rc : tell_end(cli, in.dest != NULL ? in.dest : in.name, &t, false, e);
}

/* ---- credentials ----------------------------------------------------------------------- */

static int
get_user(const struct args *a, struct buf *user, const char **out, struct err *e)
{
	int rc;

	*out = args_value(a, "username");
	if (*out != NULL)
		return 0;
	if (args_has(a, "password-stdin"))
		return args_usage(a, e, "--password-stdin needs --username");
	if ((rc = secret_prompt("Username: ", true, user, e)) < 0)
		return rc;
	*out = buf_cstr(user);
	return 0;
}

int
image_login(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FINI(buf) struct buf user = BUF_INIT(SECRET_MAX), password = BUF_INIT(SECRET_MAX);
	struct pot_login_args in = { .host = a->rest[0] };
	AUTO_FREE char **insecure = NULL;
	char realm[256];
	int rc;

	if ((rc = net_args(a, &in.net, &insecure, e)) < 0 || (rc = get_user(a, &user, &in.user, e)) < 0)
		return rc;
	if (args_has(a, "password-stdin"))
		rc = secret_stdin(&password, e);
	else
		rc = secret_prompt("Password: ", false, &password, e);
	if (rc < 0)
		return rc;
	if (in.user[0] == '\0' || password.len == 0)
		return args_usage(a, e, "user or password is empty");
	in.password = buf_cstr(&password);
	if ((rc = pot_login(cli->ctx, &in, realm, e)) < 0)
		return rc;
	if (!cli->quiet && realm[0] != '\0')
		printf("logged in to %s as %s; its tokens come from %s\n", in.host, in.user, realm);
	else if (!cli->quiet)
		printf("logged in to %s as %s\n", in.host, in.user);
	return 0;
}

int
image_logout(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_logout(cli->ctx, a->rest[0], e);
}
