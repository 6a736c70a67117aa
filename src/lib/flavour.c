/* libpot: looking at flavours. Applying them is flavour_create.c's. */
#include <pot/flavour.h>

#include "base/text.h"
#include "builder/flavour_find.h"
#include "builder/flavour_lint.h"
#include "image/config.h"
#include "lib/ctx.h"

#define PLACES_MAX 64

static int
tell(const struct flavour *f, const char *broken, pot_flavour_fn *fn, void *arg)
{
	struct pot_flavour_parameter parameters[FLAVOUR_PARAMETERS_MAX];
	const struct flavour_meta *m = &f->about;
	struct img_host host;

	img_host_platform(&host);
	for (size_t i = 0; i < m->nparameters; i++)
		parameters[i] = (struct pot_flavour_parameter){ m->parameters[i].name,
			m->parameters[i].description, m->parameters[i].def, m->parameters[i].required };
	const struct pot_flavour_info info = {
		.name = f->name,
		.where = f->where != NULL ? f->where : "",
		.title = f->meta.there && m->title != NULL ? m->title : "",
		.description = m->description != NULL ? m->description : "",
		.version = m->version != NULL ? m->version : "",
		.licence = m->licence != NULL ? m->licence : "",
		.broken = broken,
		.on_linux = m->on_linux,
		.on_freebsd = m->on_freebsd,
		.here = host.os[0] == 'l' ? m->on_linux : m->on_freebsd,
		.has_commands = f->commands.there,
		.has_script = f->script.there,
		.has_description = f->meta.there,
		.parameters = parameters,
		.nparameters = m->nparameters,
		.needs = m->needs,
		.nneeds = m->nneeds,
	};
	return fn(arg, &info);
}

int
pot_flavour_list(struct pot_ctx *c, const char *const *dirs, pot_flavour_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(strv) struct strv places = STRV_INIT(PLACES_MAX), names = STRV_INIT(65536);
	int rc = flavour_places(c->eng, dirs, &places, e);

	if (rc == 0)
		rc = flavour_names(&places, &names, e);
	for (size_t i = 0; i < names.n && rc == 0; i++) {
		AUTO_FINI(flavour) struct flavour f = FLAVOUR_INIT;
		struct err why = ERR_INIT;
		/* A file that only has the looks of one is not listed; one that is broken does not hide the others. */
		int opened = flavour_open(&places, -1, names.v[i], &f, &why);

		if (opened == 0 || (opened != -E_NOENT && f.name != NULL))
			rc = tell(&f, opened < 0 ? why.msg : NULL, fn, arg);
	}
	return rc;
}

int
pot_flavour_show(struct pot_ctx *c, const char *const *dirs, const char *name, pot_flavour_fn *fn, void *arg,
    struct err *e)
{
	AUTO_FINI(strv) struct strv places = STRV_INIT(PLACES_MAX);
	AUTO_FINI(flavour) struct flavour f = FLAVOUR_INIT;
	int rc = flavour_places(c->eng, dirs, &places, e);

	if (rc == 0)
		rc = flavour_open(&places, -1, name, &f, e);
	return rc < 0 ? rc : tell(&f, NULL, fn, arg);
}

struct teller {
	pot_flavour_finding_fn *fn;
	void *arg;
};

static int
pass_on(void *arg, const struct flavour_finding *found)
{
	const struct teller *t = arg;
	const struct pot_flavour_finding out = { found->severity, found->file, found->line, found->text };

	return t->fn(t->arg, &out);
}

int
pot_flavour_lint(struct pot_ctx *c, const char *const *dirs, const char *name, pot_flavour_finding_fn *fn,
    void *arg, struct err *e)
{
	AUTO_FINI(strv) struct strv places = STRV_INIT(PLACES_MAX);
	struct teller t = { fn, arg };
	int rc = flavour_places(c->eng, dirs, &places, e);

	return rc < 0 ? rc : flavour_lint(&places, name, pass_on, &t, e);
}
