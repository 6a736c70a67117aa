/* What pot sign, verify and keygen do. */
#include <string.h>

#include "cli/image/secret.h"
#include "cli/image/verbs.h"

int
image_sign(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FINI(buf) struct buf passphrase = BUF_INIT(SECRET_MAX);
	struct pot_sign_key key = { args_value(a, "key"), NULL };
	AUTO_FREE char **insecure = NULL;
	char digest[POT_DIGEST_LEN];
	struct pot_net net = { NULL };
	int rc;

	if ((rc = net_args(a, &net, &insecure, e)) < 0 ||
	    (rc = secret_of_key(a, key.file, &passphrase, &key.passphrase, e)) < 0 ||
	    (rc = pot_image_sign(cli->ctx, a->rest[0], &key, &net, digest, e)) < 0)
		return rc;
	puts(digest);
	return 0;
}

int
image_verify(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FREE char **insecure = NULL, **keys = args_values(a, "key");
	struct pot_net net = { NULL };
	char time[TEXT_TIME_LEN];
	struct pot_verdict v;
	int rc;

	if (keys == NULL)
		return err_nomem(e);
	if ((rc = net_args(a, &net, &insecure, e)) < 0 ||
	    (rc = pot_image_verify(cli->ctx, a->rest[0], (const char *const *)keys, &net, &v, e)) < 0)
		return rc;
	if (cli->json)
		return js_print(
		    json_pack("{s:o, s:s, s:o, s:i, s:i, s:o, s:o}", "name", js_string(a->rest[0]), "digest",
			v.digest, "rule", js_string(v.rule), "good", (int)v.good, "need", (int)v.need,
			"signed_by", js_string(v.signed_by), "signed_at", js_time(v.time_ns)),
		    e);
	if (cli->quiet) {
		puts(v.digest);
		return 0;
	}
	text_time_print(v.time_ns, false, time);
	field("digest", "%s", v.digest);
	field("signed by", "%s", v.signed_by);
	field("signed at", "%s", time);
	field("rule", "%s: %u of %u", v.rule, v.good, v.need);
	return 0;
}

/* Twice, so that a slip is no key that nobody can use. */
static int
new_passphrase(const struct args *a, struct buf *out, struct err *e)
{
	AUTO_FINI(buf) struct buf again = BUF_INIT(SECRET_MAX);
	int rc;

	if (args_has(a, "passphrase-stdin"))
		rc = secret_stdin(out, e);
	else if ((rc = secret_prompt("Passphrase: ", false, out, e)) == 0)
		rc = secret_prompt("Again: ", false, &again, e);
	if (rc < 0)
		return rc;
	if (out->len == 0)
		return args_usage(a, e, "the passphrase is empty; give -n for a key without one");
	if (!args_has(a, "passphrase-stdin") && strcmp(buf_cstr(out), buf_cstr(&again)) != 0)
		return args_usage(a, e, "the two passphrases differ");
	return 0;
}

int
image_keygen(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FINI(buf) struct buf passphrase = BUF_INIT(SECRET_MAX);
	const char *comment = args_value(a, "comment");
	int rc;

	(void)cli;
	if ((rc = args_exclusive(a, "no-passphrase", "passphrase-stdin", e)) < 0)
		return rc;
	if (!args_has(a, "no-passphrase") && (rc = new_passphrase(a, &passphrase, e)) < 0)
		return rc;
	return pot_keygen(args_value(a, "public"), args_value(a, "secret"),
	    passphrase.len > 0 ? buf_cstr(&passphrase) : NULL, comment != NULL ? comment : "signify", e);
}
