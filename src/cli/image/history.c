/* What pot history does. */
#include "cli/image/verbs.h"

struct look {
	struct cli *cli;
	struct table table;
	json_t *list;
};

static int
each(void *arg, const struct pot_image_step *s)
{
	struct look *l = arg;

	if (l->cli->json) {
		json_array_append_new(l->list,
		    json_pack("{s:o, s:o, s:o, s:o, s:I, s:o}", "created_at", js_time(s->created_ns),
			"created_by", js_string(s->created_by), "comment", js_text_or_null(s->comment),
			"author", js_text_or_null(s->author), "size_bytes", (json_int_t)s->size, "layer",
			js_text_or_null(s->layer)));
		return 0;
	}
	table_time(&l->table, s->created_ns);
	table_size(&l->table, s->size);
	put_digest(&l->table, s->layer[0] != '\0' ? s->layer : "-");
	table_fmt(&l->table, "%s%s%s", s->created_by, s->comment[0] != '\0' ? "  # " : "", s->comment);
	return 0;
}

int
image_history(struct cli *cli, const struct args *a, struct err *e)
{
	struct look l = { .cli = cli, .list = cli->json ? json_array() : NULL };
	int rc;

	table_init(&l.table, "CREATED -SIZE LAYER STEP");
	rc = pot_image_history(cli->ctx, a->rest[0], each, &l, e);
	if (rc == 0)
		rc = cli->json ? js_print(json_incref(l.list), e) : table_print(&l.table, cli, e);
	table_fini(&l.table);
	json_decref(l.list);
	return rc;
}
