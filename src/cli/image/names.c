/* What pot tag, rmi and image prune do. */
#include <string.h>

#include "cli/image/verbs.h"

int
image_tag(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_image_tag(cli->ctx, a->rest[0], a->rest[1], e);
}

int
image_rmi(struct cli *cli, const struct args *a, struct err *e)
{
	int first = 0;

	if (a->nrest == 1)
		return pot_image_remove(cli->ctx, a->rest[0], args_has(a, "force"), NULL, e);
	/* All of them, whatever happens to one. */
	for (size_t i = 0; i < a->nrest; i++) {
		struct err one = ERR_INIT;
		int rc = pot_image_remove(cli->ctx, a->rest[i], args_has(a, "force"), NULL, &one);

		if (rc < 0) {
			print_error(cli, &one);
			cli->told = true;
			first = first < 0 ? first : rc;
		}
	}
	return first;
}

struct gone {
	struct cli *cli;
	json_t *names;
};

static int
tell(void *arg, const char *name)
{
	struct gone *g = arg;

	if (g->cli->json)
		json_array_append_new(g->names, js_string(name));
	else
		puts(name);
	return 0;
}

static int
tell_sum(struct cli *cli, struct gone *g, const struct pot_image_gone *n, bool dry_run, struct err *e)
{
	char size[TEXT_SIZE_LEN];

	if (cli->json)
		return js_print(json_pack("{s:O, s:i, s:i, s:I}", "images", g->names, "blobs", (int)n->blobs,
				    "layers", (int)n->layers, "bytes", (json_int_t)n->bytes),
		    e);
	text_size_print(n->bytes, size);
	if (!cli->quiet)
		printf("%s %s in %u blobs, %u unpacked layers\n", dry_run ? "would free" : "freed", size,
		    n->blobs, n->layers);
	return 0;
}

int
image_image(struct cli *cli, const struct args *a, struct err *e)
{
	const struct pot_image_prune_args in = { args_has(a, "all"), args_has(a, "dry-run") };
	struct pot_image_gone n = { 0, 0, 0 };
	struct gone g = { cli, json_array() };
	int rc;

	if (strcmp(a->rest[0], "prune") != 0)
		rc = args_usage(a, e, "'%.64s': there is only 'image prune'", a->rest[0]);
	else
		rc = pot_image_prune(cli->ctx, &in, tell, &g, &n, e);
	if (rc == 0)
		rc = tell_sum(cli, &g, &n, in.dry_run, e);
	json_decref(g.names);
	return rc;
}
