/*
 * libpot: what an orchestrator asks for, all in one: the image is brought when
 * it is not here, a pot of its own is made of it and set up, and started.
 */
#include <stdio.h>
#include <string.h>

#include "lib/images.h"

/* With '_' for each dot, which the shell framework's jails cannot have. */
static int
join_name(const char *a, const char *b, char out[static 64], struct err *e)
{
	if (snprintf(out, 64, "%s_%s", a, b) >= 64) {
		err_set(e, E_INVAL, "the pot's name would be longer than 63 letters");
		return err_hint(e, "choose a shorter one with -n");
	}
	for (char *p = out; *p != '\0'; p++)
		if (*p == '.')
			*p = '_';
	return 0;
}

/* As a classic image: the pot that is the template, brought once. */
static int
bring_template(struct pot_ctx *c, const struct pot_prepare_args *a, char template[static 64], struct err *e)
{
	const struct pot_import_args import = { a->name, a->tag, a->from, a->key, template, a->insecure,
		a->net.stall_s };
	char made[64];
	int rc = eng_exists(c->eng, template, e);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (a->from == NULL)
		return err_set(
		    e, E_NOENT, "neither image %s:%s nor pot %s is on this node", a->name, a->tag, template);
	rc = pot_image_import(c, &import, made, e);
	/* Another one was quicker. */
	return rc == -E_EXIST ? 0 : rc;
}

/* "oci://HOST/PATH" below which the image is. */
static int
bring_image(struct pot_ctx *c, const struct pot_prepare_args *a, char image[static 512], struct err *e)
{
	const char *host = a->from + strlen(POT_PREPARE_OCI);
	struct pot_pull_args pull = { .name = image, .net = a->net };
	struct pot_transfer done;
	struct img_ref_record rec;
	struct reference ref;
	AUTO(img_store) struct img_store *s = NULL;
	int n = snprintf(
	    image, 512, "%s%s%s:%s", host, host[strlen(host) - 1] == '/' ? "" : "/", a->name, a->tag);
	int rc = n >= 512 ? err_set(e, E_INVAL, "the image's name is too long") : lib_ref(image, &ref, e);

	if (rc == 0)
		rc = lib_store(c, &s, e);
	if (rc < 0 || img_ref_get(s, &ref, &rec, NULL) == 0)
		return rc;
	return pot_image_pull(c, &pull, &done, e);
}

/* An image NAME:TAG that is here and was made or loaded by hand. */
static int
find_image(struct pot_ctx *c, const struct pot_prepare_args *a, char image[static 512], struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	struct img_ref_record rec;
	struct reference ref;
	int rc = lib_store(c, &s, e);

	snprintf(image, 512, "%s:%s", a->name, a->tag);
	if (rc < 0 || lib_ref(image, &ref, NULL) < 0)
		return rc < 0 ? rc : 0;
	return img_ref_get(s, &ref, &rec, NULL) == 0;
}

static int
choose_source(struct pot_ctx *c, const struct pot_prepare_args *a, char image[static 512],
    char template[static 64], struct err *e)
{
	int rc;

	image[0] = template[0] = '\0';
	if (a->from != NULL && a->from[0] == '\0')
		return err_set(e, E_INVAL, "an empty place to get the image from");
	if (a->from != NULL && strncmp(a->from, POT_PREPARE_OCI, strlen(POT_PREPARE_OCI)) == 0)
		return a->from[strlen(POT_PREPARE_OCI)] != '\0'
		    ? bring_image(c, a, image, e)
		    : err_set(e, E_INVAL, "%s: a registry's name is missing", a->from);
	if (a->from == NULL && (rc = find_image(c, a, image, e)) != 0)
		return rc < 0 ? rc : 0;
	image[0] = '\0';
	rc = join_name(a->name, a->tag, template, e);
	return rc < 0 ? rc : bring_template(c, a, template, e);
}

/* What runs under an orchestrator belongs to it: it is not kept, and has no /etc or /tmp made for it. */
static int
set_up(struct pot_ctx *c, const char *name, struct err *e)
{
	static const char *const attrs[][2] = { { "persistent", "NO" }, { "no-rc-script", "YES" },
		{ "prunable", "YES" }, { "localhost-tunnel", "YES" }, { "no-etc-hosts", "YES" },
		{ "no-tmpfs", "YES" } };

	for (size_t i = 0; i < ARRAY_LEN(attrs); i++) {
		struct err why = ERR_INIT;
		int rc = pot_set_attribute(c, name, attrs[i][0], attrs[i][1], &why);

		if (rc == -E_NOTSUP || rc == -E_INVAL || rc == -E_NOENT) {
			event_warn(&c->eng->events, "attribute %s is left out: %s", attrs[i][0], why.msg);
		} else if (rc < 0) {
			*e = why;
			return rc;
		}
	}
	return 0;
}

int
pot_image_prepare(struct pot_ctx *c, const struct pot_prepare_args *a, char made[64], struct err *e)
{
	struct pot_create_args create = *a->create;
	char image[512], template[64], stem[64];
	struct err ignored = ERR_INIT;
	int rc = join_name(a->name, a->tag, stem, e);

	if (rc == 0)
		rc = join_name(a->as != NULL ? a->as : stem, a->allocation, made, e);
	if (rc == 0 && (rc = eng_exists(c->eng, made, e)) == 1)
		return err_set(e, E_EXIST, "pot %s exists already", made);
	if (rc < 0 || (rc = choose_source(c, a, image, template, e)) < 0)
		return rc;
	create.name = made;
	create.image = image[0] != '\0' ? image : NULL;
	create.from_pot = template[0] != '\0' ? template : NULL;
	if ((rc = pot_create(c, &create, e)) < 0)
		return rc;
	if ((rc = set_up(c, made, e)) == 0)
		return 0;
	/* Nobody knows of it yet. */
	if (pot_destroy(c, made, true, &ignored) < 0)
		event_warn(&c->eng->events, "%s could not be removed: %s", made, ignored.msg);
	return rc;
}
