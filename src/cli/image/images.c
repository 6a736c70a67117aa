/* What pot images does. */
#include <string.h>

#include "cli/image/verbs.h"

struct look {
	struct cli *cli;
	const char *name; /* images of this name only, or NULL */
	bool digests;
	struct table table;
	json_t *list;
};

/* NAME, with any tag; or exactly NAME:TAG. */
static bool
is_wanted(const char *want, const char *name)
{
	size_t n = want == NULL ? 0 : strlen(want);

	return want == NULL ||
	    (strncmp(want, name, n) == 0 && (name[n] == '\0' || name[n] == ':' || name[n] == '@'));
}

json_t *
js_image(const struct pot_image_info *i)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:I, s:I, s:I, s:o, s:b}", "name",
	    js_string(i->name), "id", js_string(i->id), "digest", js_string(i->digest), "os",
	    js_text_or_null(i->os), "architecture", js_text_or_null(i->arch), "created_at",
	    js_time(i->created_ns), "named_at", js_time(i->set_ns), "layers", (int)i->layers, "pots",
	    (int)i->pots, "size_bytes", (json_int_t)i->size, "own_bytes", (json_int_t)i->own, "shared_bytes",
	    (json_int_t)i->shared, "unpacked_bytes",
	    i->ready ? json_integer((json_int_t)i->unpacked) : json_null(), "ready", (int)i->ready);
}

static int
each(void *arg, const struct pot_image_info *i)
{
	struct look *l = arg;
	char age[TEXT_AGE_LEN];

	if (!is_wanted(l->name, i->name))
		return 0;
	if (l->cli->json) {
		json_array_append_new(l->list, js_image(i));
		return 0;
	}
	if (l->cli->quiet) {
		puts(i->name);
		return 0;
	}
	age_print(i->created_ns, age);
	table_add(&l->table, i->name);
	if (l->digests)
		table_add(&l->table, i->id);
	else
		put_digest(&l->table, i->id);
	table_add(&l->table, age);
	table_fmt(&l->table, "%u", i->layers);
	table_size(&l->table, i->size);
	table_size(&l->table, i->shared);
	if (i->ready)
		table_size(&l->table, i->unpacked);
	else
		table_add(&l->table, "-");
	table_fmt(&l->table, "%u", i->pots);
	return 0;
}

int
image_images(struct cli *cli, const struct args *a, struct err *e)
{
	struct look l = { .cli = cli,
		.name = a->nrest > 0 ? a->rest[0] : NULL,
		.digests = args_has(a, "digests"),
		.list = cli->json ? json_array() : NULL };
	int rc;

	table_init(&l.table, "IMAGE ID AGE -LAYERS -SIZE -SHARED -UNPACKED -POTS");
	rc = pot_image_list(cli->ctx, each, &l, e);
	if (rc == 0 && cli->json)
		rc = js_print(json_incref(l.list), e);
	else if (rc == 0 && !cli->quiet)
		rc = table_print(&l.table, cli, e);
	table_fini(&l.table);
	json_decref(l.list);
	return rc;
}
