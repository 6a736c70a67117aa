/*
 * The program pot-image: the same command line as pot, and behind the rows of
 * the verbs of images what they do. A new one is a file and a line here.
 */
#include <signal.h>
#include <string.h>

#include "cli/image/verbs.h"

static const struct {
	const char *verb;
	image_run *run;
} verbs[] = {
	{ "build", image_build },
	{ "adopt", image_adopt },
	{ "commit", image_commit },
	{ "create-base", image_create_base },
	{ "export", image_export },
	{ "flavours", image_flavours },
	{ "history", image_history },
	{ "image", image_image },
	{ "images", image_images },
	{ "import", image_import },
	{ "inspect", image_inspect },
	{ "keygen", image_keygen },
	{ "list", image_list },
	{ "load", image_load },
	{ "login", image_login },
	{ "logout", image_logout },
	{ "prepare", image_prepare },
	{ "pull", image_pull },
	{ "push", image_push },
	{ "rmi", image_rmi },
	{ "save", image_save },
	{ "sign", image_sign },
	{ "tag", image_tag },
	{ "verify", image_verify },
};

int
image_verb(struct cli *cli, const struct args *a, struct err *e)
{
	/* A pipe to an unpacker that gave up is an error to be told. */
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].verb, a->cmd->name) == 0)
			return verbs[i].run(cli, a, e);
	return err_set(e, E_NOTSUP, "pot-image has no '%s'", a->cmd->name);
}

void
put_digest(struct table *t, const char *digest)
{
	const char *colon = strchr(digest, ':');

	table_fmt(t, "%.*s", colon == NULL ? 19 : (int)(colon - digest) + 13, digest);
}

json_t *
js_text_or_null(const char *text)
{
	return js_string(text[0] != '\0' ? text : NULL);
}
