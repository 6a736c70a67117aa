/* What pot inspect --image does. */
#include "cli/image/verbs.h"

static int
add_part(
    struct cli *cli, const char *name, enum pot_image_part part, const char *key, json_t *to, struct err *e)
{
	AUTO_FREE char *text = NULL;
	json_t *value;
	int rc = pot_image_text(cli->ctx, name, part, &text, e);

	if (rc != 0)
		return rc;
	value = json_loads(text, 0, NULL);
	return json_object_set_new(to, key, value) == 0 ? 0 : err_nomem(e);
}

int
image_inspect(struct cli *cli, const struct args *a, struct err *e)
{
	const char *name = args_value(a, "image");
	struct pot_image_info info;
	json_t *o;
	int rc = pot_image_info(cli->ctx, name, &info, e);

	if (rc != 0)
		return rc;
	o = js_image(&info);
	rc = add_part(cli, name, POT_IMAGE_MANIFEST, "manifest", o, e);
	if (rc == 0)
		rc = add_part(cli, name, POT_IMAGE_CONFIG, "config", o, e);
	if (rc == 0)
		return js_print(o, e);
	json_decref(o);
	return rc;
}
