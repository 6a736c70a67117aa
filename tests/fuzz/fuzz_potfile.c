/* Potfiles: whatever the text, a step or a message with its place; what is printed parses to the same again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/potfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_message(const struct potfile *pf, struct potfile_place where, const struct err *e)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(64 * 1024);

	if (e->msg[0] == '\0')
		abort();
	potfile_excerpt(pf, where, &out);
	if (out.failed || (where.line > 0 && (out.len == 0 || out.data[out.len - 2] != '^')))
		abort();
}

static void
check_step(const struct potfile *pf, const struct potfile_step *st, const struct subst_lookup *lookup)
{
	AUTO_FINI(potfile_step) struct potfile_step out = { 0 };
	AUTO_FINI(buf) struct buf text = BUF_INIT(4 * POTFILE_MAX);
	struct potfile_place where = { 0, 0 };
	struct potfile_health health;
	struct err e = ERR_INIT;
	bool script;

	if (potfile_expand(pf, st, lookup, &out, &where, &e) < 0) {
		check_message(pf, where, &e);
		return;
	}
	if (st->op == POTFILE_HEALTHCHECK && potfile_health(&out, &health, &e) < 0)
		abort();
	if (st->op == POTFILE_RUN && potfile_command(&out, &text, &script, &e) < 0 && e.code != E_LIMIT)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FINI(potfile) struct potfile pf = POTFILE_INIT;
	struct scope_build b = SCOPE_BUILD_INIT;
	struct potfile_place where;
	struct err e = ERR_INIT;

	if (potfile_parse(&pf, (const char *)data, size, "Potfile", &where, &e) < 0) {
		check_message(&pf, where, &e);
	} else {
		struct subst_lookup lookup = scope_build_lookup(&b);
		bool *needed = calloc(pf.nstages, sizeof(*needed));

		if (potfile_resolve(&pf, &b, &where, &e) < 0)
			check_message(&pf, where, &e);
		else if (needed != NULL)
			potfile_needed(&pf, pf.nstages - 1, needed);
		free(needed);
		for (size_t i = 0; i < pf.nsteps && i < 64; i++)
			check_step(&pf, &pf.steps[i], &lookup);
	}
	scope_build_fini(&b);
	return 0;
}
