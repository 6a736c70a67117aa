/*
 * libpot: pots of the shell framework become pots of this installation, without a copy of what is in
 * them: a root is a clone of the dataset that it was, and what was mounted into it is mounted from
 * where it is. The framework's own files and datasets stay as they are, but for one
 * snapshot.
 */
#include <pot/image.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "image/classic.h"
#include "lib/images.h"
#include "model/classicpot.h"
#include "model/name.h"

struct adoption {
	struct pot_ctx *ctx;
	const char *classic; /* the pot's name there */
	char name[64];       /* here */
	struct classic_place place;
	struct classic_pot pot;
	struct buf conf; /* its pot.conf */
};

/* ---- what is there ------------------------------------------------------------------------ */

static int
read_text(const char *path, struct buf *text, struct err *e)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? err_sys(e, "%s", path) : fd_read_all(fd, text, e);
}

static int
read_place(const struct pot_adopt_args *a, struct classic_place *place, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(CLASSIC_FILE_MAX);
	int rc;

	*place = (struct classic_place)CLASSIC_PLACE_INIT;
	if (a->config == NULL)
		return 0;
	rc = read_text(a->config, &text, e);
	return rc < 0 ? rc : classic_place_read(place, text.data, text.len, a->config, e);
}

static int
read_pot(struct adoption *ad, struct err *e)
{
	AUTO_FINI(buf) struct buf fscomp = BUF_INIT(CLASSIC_FILE_MAX);
	char conf[CLASSIC_PATH + 128], mounts[CLASSIC_PATH + 128];
	struct err why = ERR_INIT;
	int rc;

	snprintf(conf, sizeof(conf), "%s/jails/%s/conf/pot.conf", ad->place.fs_root, ad->classic);
	snprintf(mounts, sizeof(mounts), "%s/jails/%s/conf/fscomp.conf", ad->place.fs_root, ad->classic);
	rc = read_text(conf, &ad->conf, e);
	if (rc == -E_NOENT) {
		err_set(e, E_NOENT, "there is no classic pot %s in %s/jails", ad->classic, ad->place.fs_root);
		return err_hint(e, "--config names the framework's pot.conf");
	}
	if (rc == 0)
		rc = classic_pot_conf(&ad->pot, buf_cstr(&ad->conf), ad->conf.len, conf, e);
	if (rc < 0)
		return rc;
	rc = read_text(mounts, &fscomp, &why);
	if (rc < 0 && rc != -E_NOENT)
		return err_set(e, why.code, "%s", why.msg);
	return classic_pot_fscomp(
	    &ad->pot, &ad->place, ad->classic, buf_cstr(&fscomp), fscomp.len, mounts, e);
}

/* ---- the pot here --------------------------------------------------------------------------- */

static int
make_root(void *arg, struct stor *stor, struct stor_fs fs, struct kv *settings, struct err *e)
{
	const struct adoption *ad = arg;
	int rc = stor_adopt(stor, ad->pot.root, fs, e);

	fault_point("adopt.root");
	return rc < 0 ? rc : classic_settings(ad->conf.data, ad->conf.len, settings, e);
}

static int
create(struct adoption *ad, struct err *e)
{
	const char *bridges[] = { ad->pot.bridge, NULL };
	bool is_private = strcmp(ad->pot.network, "private-bridge") == 0;
	struct pot_mount mounts[CLASSIC_MOUNTS];
	struct pot_limit limits[2];
	struct pot_create_args create = { .name = ad->name,
		.level = -1,
		.type = ad->pot.multi ? "multi" : "single",
		.network = ad->pot.network,
		.stack = ad->pot.stack,
		.bridges = is_private ? bridges : NULL,
		.addrs = ad->pot.addrs.n > 0 ? (const char *const *)strv_argv(&ad->pot.addrs) : NULL,
		.publish = ad->pot.ports.n > 0 ? (const char *const *)strv_argv(&ad->pot.ports) : NULL,
		.mounts = mounts,
		.nmounts = ad->pot.nmounts,
		.limits = limits };
	const struct eng_maker maker = { .make = make_root, .arg = ad };

	for (size_t i = 0; i < ad->pot.nmounts; i++) {
		const struct classic_mount *m = &ad->pot.mounts[i];

		mounts[i] =
		    (struct pot_mount){ .source = m->source, .target = m->target, .read_only = m->ro };
	}
	if (ad->pot.memory[0] != '\0')
		limits[create.nlimits++] = (struct pot_limit){ "memory", ad->pot.memory };
	if (ad->pot.cpus[0] != '\0')
		limits[create.nlimits++] = (struct pot_limit){ "cpus", ad->pot.cpus };
	return eng_create_from(ad->ctx->eng, &create, &maker, e);
}

/* What the creation itself has no place for. */
static int
complete(struct adoption *ad, struct err *e)
{
	struct eng *eng = ad->ctx->eng;
	int rc = 0;

	if (ad->pot.hosts.n > 0)
		rc = eng_set_hosts(eng, ad->name, POT_REPLACE, strv_argv(&ad->pot.hosts), e);
	fault_point("adopt.completed");
	for (size_t i = 0; rc == 0 && i < ad->pot.depends.n; i++)
		event_warn(&eng->events, "pot '%s' depends on '%s': start that one first", ad->name,
		    ad->pot.depends.v[i]);
	return rc;
}

static int
adopt(struct adoption *ad, struct err *e)
{
	struct err why = ERR_INIT;
	int rc = create(ad, e);

	if (rc < 0)
		return rc;
	rc = complete(ad, e);
	/* Only the clone goes. */
	if (rc < 0 && eng_destroy(ad->ctx->eng, ad->name, false, &why) < 0)
		err_wrap(e, "taking it back failed too (%s)", why.msg);
	return rc;
}

/* Names with dots, which pots here cannot have, get '_' there. */
static int
choose_name(const struct pot_adopt_args *a, char out[static 64], struct err *e)
{
	if (snprintf(out, 64, "%s", a->as != NULL ? a->as : a->name) >= 64) {
		err_set(e, E_INVAL, "the pot's name would be longer than 63 letters");
		return err_hint(e, "choose another one with --as");
	}
	for (char *p = out; a->as == NULL && *p != '\0'; p++)
		if (*p == '.')
			*p = '_';
	return name_check(out, "pot", e);
}

int
pot_adopt(struct pot_ctx *c, const struct pot_adopt_args *a, char made[64], struct err *e)
{
	struct adoption ad = { .ctx = c, .classic = a->name, .conf = BUF_INIT(CLASSIC_FILE_MAX) };
	int rc = lib_need_root(e);

	if (rc == 0)
		rc = eng_need_node(c->eng, e);
	if (rc == 0 &&
	    (a->name[0] == '\0' || a->name[0] == '.' || strchr(a->name, '/') != NULL ||
		strlen(a->name) > 100))
		rc = err_set(e, E_INVAL, "'%.80s' is no name of a classic pot", a->name);
	if (rc == 0)
		rc = choose_name(a, ad.name, e);
	if (rc == 0)
		rc = eng_need_storage(c->eng, e);
	if (rc < 0)
		return rc;
	classic_pot_init(&ad.pot);
	rc = read_place(a, &ad.place, e);
	if (rc == 0)
		rc = read_pot(&ad, e);
	if (rc == 0 && !a->dry_run)
		rc = adopt(&ad, e);
	if (rc == 0) {
		snprintf(made, 64, "%s", ad.name);
		if (a->dry_run)
			event_info(&c->eng->events,
			    "%s would stand on %s, with %zu mounts and %zu published ports", ad.name,
			    ad.pot.root, ad.pot.nmounts, ad.pot.ports.n);
	}
	classic_pot_fini(&ad.pot);
	buf_fini(&ad.conf);
	return rc;
}
