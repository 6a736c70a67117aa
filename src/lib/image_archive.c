/* libpot: images to and from files. */
#include <stdlib.h>
#include <string.h>

#include "image/archive.h"
#include "lib/images.h"

int
pot_image_save(struct pot_ctx *c, const char *const *names, int fd, struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	const struct img_archive_args args = { &c->eng->events, c->eng->cancel };
	size_t n = 0;
	int rc = lib_store(c, &s, e);

	while (names[n] != NULL)
		n++;
	AUTO_FREE struct reference *refs = calloc(n + 1, sizeof(*refs));
	AUTO_FREE struct img_ref_record *recs = calloc(n + 1, sizeof(*recs));
	AUTO_FREE struct img_save *v = calloc(n + 1, sizeof(*v));
	if (refs == NULL || recs == NULL || v == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < n && rc == 0; i++) {
		AUTO(img_image) struct img_image *image = NULL;

		rc = lib_find(s, names[i], &refs[i], &recs[i], &image, e);
		if (rc == 0)
			rc = img_image_check(s, image, e);
		v[i] = (struct img_save){ &refs[i], &recs[i] };
	}
	return rc < 0 ? rc : img_archive_write(s, fd, v, n, &args, e);
}

struct loading {
	struct pot_ctx *ctx;
	struct img_store *store;
	const char *name; /* given, or NULL */
	pot_name_fn *fn;
	void *arg;
	unsigned n;
};

/* What the archive calls it: a whole reference. A bare tag, as some tools write it, is no name. */
static int
choose_name(const struct loading *l, const char *inside, struct reference *ref, struct err *e)
{
	if (l->name != NULL)
		return lib_ref(l->name, ref, e);
	if (strpbrk(inside, ":/") != NULL && ref_parse(inside, ref, NULL) == 0) {
		ref_default_tag(ref);
		return 0;
	}
	err_set(e, E_INVAL, "the archive does not say what its image is called");
	return err_hint(e, "give a name with -t NAME:TAG");
}

static int
take_image(
    void *arg, const struct digest *manifest, const struct digest *digest, const char *inside, struct err *e)
{
	struct loading *l = arg;
	AUTO(img_image) struct img_image *i = NULL;
	const struct img_ready_args ready = { &l->ctx->eng->events, l->ctx->eng->cancel, 0 };
	struct reference ref;
	char name[REF_TEXT];
	int rc;

	if (l->name != NULL && l->n++ > 0)
		return err_set(
		    e, E_INVAL, "the archive holds several images, which cannot all be %s", l->name);
	if ((rc = choose_name(l, inside, &ref, e)) < 0 ||
	    (rc = img_image_open(l->store, manifest, &i, e)) < 0 ||
	    (rc = img_image_check(l->store, i, e)) < 0)
		return rc;
	ref_print(&ref, name);
	if (img_platform_fit(&i->config->platform) == 0)
		event_warn(
		    &l->ctx->eng->events, "%s is for another system or processor and cannot run here", name);
	else if ((rc = img_image_ready(l->store, l->ctx->eng->stor, i, &ready, e)) < 0)
		return rc;
	if ((rc = lib_name(l->store, &ref, i, digest, e)) < 0)
		return rc;
	return l->fn == NULL ? 0 : l->fn(l->arg, name);
}

int
pot_image_load(struct pot_ctx *c, int fd, const char *name, pot_name_fn *loaded, void *arg, struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	const struct img_archive_args args = { &c->eng->events, c->eng->cancel };
	struct loading l = { c, NULL, name, loaded, arg, 0 };
	struct reference ref;
	int rc = name != NULL ? lib_ref(name, &ref, e) : 0;

	if (rc == 0)
		rc = lib_store(c, &s, e);
	if (rc == 0)
		rc = eng_need_storage(c->eng, e);
	if (rc < 0)
		return rc;
	l.store = s;
	return img_archive_read(s, fd, 0, &args, take_image, &l, e);
}
